package mcp

import (
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// compile makes the check of structured answers. A schema that cannot be understood checks nothing; one that refers elsewhere is not fetched.
func compile(raw json.RawMessage) *jsonschema.Resolved {
	var v any
	var s jsonschema.Schema
	if json.Unmarshal(raw, &v) != nil || !ends(v) || json.Unmarshal(raw, &s) != nil || !slices.Contains(drafts, strings.TrimSuffix(s.Schema, "#")) {
		return nil
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		return nil
	}
	return resolved
}

// drafts are the versions of JSON Schema that are checked. A schema that names none is of the newest.
var drafts = []string{"", "http://json-schema.org/draft-07/schema", "https://json-schema.org/draft-07/schema", "https://json-schema.org/draft/2020-12/schema"}

// maxSteps bounds how many schemas may apply to one value.
const maxSteps = 10_000

// ends reports whether a check by a schema comes to an end. The validator follows a reference to where it stands until the stack is full, and no program
// survives that; a server that we did not choose may list such a schema. So the schemas that apply to the very same value may form no circle, and not be too
// many. A schema may well contain itself further down, in a property or an item.
func ends(root any) bool {
	e := endings{root: root, steps: map[uintptr]int{}}
	return e.all(root, true)
}

type endings struct {
	root  any
	steps map[uintptr]int // by schema; 0 while it is being counted
}

// all looks at every record in v, of which those that are no schema do no harm.
func (e *endings) all(v any, top bool) bool {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if !e.all(item, false) {
				return false
			}
		}
	case map[string]any:
		if _, renamed := v["$id"].(string); renamed && !top {
			return false // references in it mean another place
		}
		if _, ok := e.count(v); !ok {
			return false
		}
		for _, field := range v {
			if !e.all(field, false) {
				return false
			}
		}
	}
	return true
}

// count counts the schemas that apply to a value when s does.
func (e *endings) count(s map[string]any) (int, bool) {
	key := reflect.ValueOf(s).Pointer()
	if n, met := e.steps[key]; met {
		return n, n > 0
	}
	e.steps[key] = 0
	var parts []any
	for _, word := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := s[word].([]any)
		parts = append(parts, list...)
	}
	for _, word := range []string{"not", "if", "then", "else"} {
		parts = append(parts, s[word])
	}
	for _, word := range []string{"dependentSchemas", "dependencies"} {
		record, _ := s[word].(map[string]any)
		for _, part := range record {
			parts = append(parts, part)
		}
	}
	for _, word := range []string{"$ref", "$dynamicRef", "$recursiveRef"} {
		if to, ok := s[word].(string); ok {
			part, ok := e.find(to)
			if !ok {
				return 0, false
			}
			parts = append(parts, part)
		}
	}
	n := 1
	for _, part := range parts {
		if sub, ok := part.(map[string]any); ok {
			more, ok := e.count(sub)
			if n += more; !ok || n > maxSteps {
				return 0, false
			}
		}
	}
	e.steps[key] = n
	return n, true
}

// find follows a reference within the schema that is written as a path.
func (e *endings) find(to string) (any, bool) {
	fragment, ok := strings.CutPrefix(to, "#")
	if !ok {
		return nil, false
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil {
		return nil, false
	}
	if fragment == "" {
		return e.root, true
	}
	steps := strings.Split(fragment, "/")
	if steps[0] != "" {
		return nil, false // a name that stands somewhere
	}
	at := e.root
	for _, step := range steps[1:] {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch v := at.(type) {
		case map[string]any:
			at, ok = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if ok = err == nil && i >= 0 && i < len(v); ok {
				at = v[i]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
	}
	return at, true
}

// problem is the innermost of what a validator found, and where, in a few words: it repeats what a server sent.
func problem(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || errors.Unwrap(inner) == nil {
			return doc(strings.TrimPrefix(err.Error(), "validating "))
		}
		err = inner
	}
}
