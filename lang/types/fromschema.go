package types

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// What FromSchema reads at most. A schema comes from a server we did not choose.
const (
	maxSchemaBytes = 1 << 20
	maxSchemaDepth = 32
	maxSchemaNodes = 5000
)

// FromSchema reads the type that a JSON Schema describes, as a tool or a stored flow declares it. What the language has no word for
// (patterns, ranges, alternatives, records without a list of fields) is any. A reference is followed within the schema only and never fetched:
// one that leads elsewhere is any. The error says that the text is not a schema, or is too large.
func FromSchema(raw json.RawMessage) (Type, error) {
	if len(raw) > maxSchemaBytes {
		return Type{}, fmt.Errorf("read a schema: it has %d bytes, more than %d", len(raw), maxSchemaBytes)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return Type{}, nil
	}
	r := schemaReader{}
	root, err := decodeOrdered(raw)
	if err != nil {
		return Type{}, fmt.Errorf("read a schema: %w", err)
	}
	r.root = root
	t, err := r.read(root, 0)
	if err != nil {
		return Type{}, fmt.Errorf("read a schema: %w", err)
	}
	return t, nil
}

type schemaReader struct {
	root  any
	nodes int
}

func (r *schemaReader) read(v any, depth int) (Type, error) {
	if r.nodes++; r.nodes > maxSchemaNodes {
		return Type{}, fmt.Errorf("it is larger than %d parts", maxSchemaNodes)
	}
	if depth > maxSchemaDepth {
		return Type{}, nil // a recursive schema has no finite type: any from here on
	}
	if _, ok := v.(bool); ok {
		return Type{}, nil
	}
	s, ok := v.(*object)
	if !ok {
		return Type{}, fmt.Errorf("expected an object, found %s", jsonWord(v))
	}
	if ref, ok := s.get("$ref").(string); ok {
		target, found := r.resolve(ref)
		if !found {
			return Type{}, nil
		}
		return r.read(target, depth+1)
	}
	if t, ok, err := r.alternatives(s, depth); ok || err != nil {
		return t, err
	}
	if values := s.get("enum"); values != nil {
		return enumOf(values), nil
	}
	if c, ok := s.get("const").(string); ok {
		return Type{Kind: Enum, Values: []string{c}}, nil
	}
	kind, nullable, known := kindOf(s)
	if !known {
		return Type{Optional: nullable}, nil
	}
	t, err := r.ofKind(kind, s, depth)
	if t.Kind != Nothing {
		t.Optional = nullable
	}
	return t, err
}

func (r *schemaReader) ofKind(kind string, s *object, depth int) (Type, error) {
	switch kind {
	case "string":
		return Type{Kind: String}, nil
	case "integer":
		return Type{Kind: Int}, nil
	case "number":
		return Type{Kind: Float}, nil
	case "boolean":
		return Type{Kind: Bool}, nil
	case "null":
		return Type{Kind: Nothing}, nil
	case "array":
		items := s.get("items")
		if items == nil {
			return ListOf(Type{}), nil
		}
		if _, tuple := items.([]any); tuple {
			return ListOf(Type{}), nil
		}
		item, err := r.read(items, depth+1)
		return ListOf(item), err
	case "object":
		return r.record(s, depth)
	}
	return Type{}, nil
}

func (r *schemaReader) record(s *object, depth int) (Type, error) {
	properties, ok := s.get("properties").(*object)
	if !ok || len(properties.keys) == 0 {
		if s.get("additionalProperties") == false {
			return Type{Kind: Record}, nil
		}
		return Type{}, nil // an open record: its fields are known at run time only
	}
	var required []string
	if list, ok := s.get("required").([]any); ok {
		for _, v := range list {
			if name, ok := v.(string); ok {
				required = append(required, name)
			}
		}
	}
	t := Type{Kind: Record}
	for _, name := range properties.keys {
		ft, err := r.read(properties.values[name], depth+1)
		if err != nil {
			return Type{}, err
		}
		if !slices.Contains(required, name) {
			ft = Maybe(ft)
		}
		f := Field{Name: name, Type: ft}
		if p, ok := properties.values[name].(*object); ok {
			f.Doc, _ = p.get("description").(string)
		}
		t.Fields = append(t.Fields, f)
	}
	return t, nil
}

// alternatives understands "this or null"; any other choice is any.
func (r *schemaReader) alternatives(s *object, depth int) (Type, bool, error) {
	for _, word := range []string{"anyOf", "oneOf"} {
		list, ok := s.get(word).([]any)
		if !ok || len(list) == 0 {
			continue
		}
		met := Type{Kind: Nothing}
		for _, v := range list {
			t, err := r.read(v, depth+1)
			if err != nil {
				return Type{}, true, err
			}
			met = Meet(met, t)
		}
		onlyOf := func(v any) bool { o, ok := v.(*object); return ok && o.get("type") == "null" }
		if !slices.ContainsFunc(list, onlyOf) && met.Kind != Nothing {
			met.Optional = false // it became optional only by meeting the nothing we began with
		}
		return met, true, nil
	}
	if list, ok := s.get("allOf").([]any); ok && len(list) == 1 {
		t, err := r.read(list[0], depth+1)
		return t, true, err
	}
	return Type{}, false, nil
}

// resolve follows "#/$defs/Name" and "#".
func (r *schemaReader) resolve(ref string) (any, bool) {
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, false
	}
	v := r.root
	for _, part := range strings.Split(path, "/")[1:] {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		o, ok := v.(*object)
		if !ok || o.values[part] == nil {
			return nil, false
		}
		v = o.values[part]
	}
	return v, true
}

// kindOf reads "type", which may be a list with "null" in it.
func kindOf(s *object) (kind string, nullable, known bool) {
	switch t := s.get("type").(type) {
	case string:
		return t, false, true
	case []any:
		var kinds []string
		for _, v := range t {
			switch name, _ := v.(string); name {
			case "null":
				nullable = true
			case "":
			default:
				kinds = append(kinds, name)
			}
		}
		if len(kinds) == 1 {
			return kinds[0], nullable, true
		}
		if len(kinds) == 0 && nullable {
			return "null", false, true
		}
		return "", nullable, false
	}
	if s.get("properties") != nil {
		return "object", false, true
	}
	return "", false, false
}

func enumOf(v any) Type {
	list, _ := v.([]any)
	t := Type{Kind: Enum}
	for _, item := range list {
		switch item := item.(type) {
		case string:
			if !slices.Contains(t.Values, item) {
				t.Values = append(t.Values, item)
			}
		case nil:
			t.Optional = true
		default:
			return Type{}
		}
	}
	if len(t.Values) == 0 {
		return Type{}
	}
	return t
}

// object is a JSON object that remembers the order of its keys.
type object struct {
	keys   []string
	values map[string]any
}

func (o *object) get(key string) any { return o.values[key] }

func decodeOrdered(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is something after its end")
	}
	return v, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	const maxDepth = 4 * maxSchemaDepth
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		o := &object{values: map[string]any{}}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ := key.(string)
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			if _, twice := o.values[name]; !twice {
				o.keys = append(o.keys, name)
			}
			o.values[name] = v
		}
		_, err := d.Token()
		return o, err
	}
	return token, nil
}

func jsonWord(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case []any:
		return "a list"
	}
	return "a number"
}

// ParamsOf reads the arguments that a JSON Schema of an object describes; those named in secrets may hold secrets. No schema is no arguments.
func ParamsOf(raw json.RawMessage, secrets []string) ([]Param, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, nil
	}
	t, err := FromSchema(raw)
	if err != nil {
		return nil, err
	}
	if t.Kind != Record {
		if t.Kind == Any {
			return nil, nil
		}
		return nil, fmt.Errorf("read a schema: arguments are an object with properties, not %s", t)
	}
	params := make([]Param, len(t.Fields))
	for i, f := range t.Fields {
		params[i] = Param{Name: f.Name, Type: f.Type, Required: !f.Type.Optional, Doc: f.Doc, Secret: slices.Contains(secrets, f.Name)}
	}
	return params, nil
}
