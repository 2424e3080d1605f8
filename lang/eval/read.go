package eval

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/types"
)

const maxProblems = 20 // of one answer: more do not help a model to repair it

// Read makes a value of type t of v, which comes from outside: an answer, an input. Fields not asked for are dropped, optional ones that are not there
// become nothing, 8.0 is an int, "8" is not, an int where a float is wanted becomes one. Every must is checked. The problems are lines for the author or
// for the model that is to repair its answer, each with the path of what it is about: `score: expected int, found "8"`. With problems the value is nil.
func Read(t types.Type, v any) (value any, problems []string) {
	r := reader{}
	value = r.read(t, v, "", 0)
	if len(r.problems) == 0 {
		return value, nil
	}
	for _, p := range r.problems {
		line := p.Message
		if p.At != "" {
			line = p.At + ": " + line
		}
		problems = append(problems, line)
	}
	return nil, problems
}

// Misfit is what is wrong with one place of a value.
type Misfit struct {
	At      string // a JSON pointer: "/legs/0/city"; empty: the whole value
	Message string
}

// ReadAt is Read for programs and forms: each problem says where it is by a JSON pointer.
func ReadAt(t types.Type, v any) (value any, problems []Misfit) {
	r := reader{pointers: true}
	value = r.read(t, v, "", 0)
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return value, nil
}

// Holds checks a must over the values of env. problem is empty when it holds, else what to tell.
func Holds(must types.Must, env map[string]any) (problem string) {
	p, err := Compile(must.Expr)
	if err != nil {
		return fmt.Sprintf("`must %s` cannot be checked: %v", must.Expr, err)
	}
	v, err := p.Eval(env)
	if err != nil {
		return fmt.Sprintf("`must %s` cannot be checked: %v", must.Expr, err)
	}
	switch {
	case v == true:
		return ""
	case v != false:
		return fmt.Sprintf("`must %s` is not a condition, it is %s", must.Expr, word(v))
	case must.Else != "":
		return must.Else
	}
	return "must " + must.Expr
}

type reader struct {
	problems []Misfit
	pointers bool // places are JSON pointers, else paths as an author writes them: legs[0].city
}

func (r *reader) problem(path, format string, args ...any) any {
	switch n := len(r.problems); {
	case n < maxProblems:
		r.problems = append(r.problems, Misfit{path, fmt.Sprintf(format, args...)})
	case n == maxProblems:
		r.problems = append(r.problems, Misfit{Message: "… and more"})
	}
	return nil
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// field is the place of a field of what is at path.
func (r *reader) field(path, name string) string {
	switch {
	case r.pointers:
		return path + "/" + pointerEscapes.Replace(name)
	case path == "":
		return name
	}
	return path + "." + name
}

// item is the place of an item of the list at path.
func (r *reader) item(path string, i int) string {
	if r.pointers {
		return path + "/" + strconv.Itoa(i)
	}
	return path + "[" + strconv.Itoa(i) + "]"
}

func (r *reader) read(t types.Type, v any, path string, depth int) any {
	if depth > maxDepth {
		return r.problem(path, "this is nested deeper than %d", maxDepth)
	}
	if v == nil && (t.Optional || t.Kind == types.Nothing) {
		return nil
	}
	switch t.Kind {
	case types.Any:
		return r.any(v, path, depth)
	case types.String, types.Agent:
		switch v.(type) {
		case string, types.Secret, types.Parts, types.Large:
			return v
		}
	case types.Int:
		switch n := v.(type) {
		case int:
			return n
		case float64:
			if n == math.Trunc(n) && n < math.MaxInt64 && n >= math.MinInt64 {
				return int(n)
			}
		}
	case types.Float:
		switch n := v.(type) {
		case float64:
			if !math.IsNaN(n) && !math.IsInf(n, 0) {
				return n
			}
		case int:
			return float64(n)
		}
	case types.Bool:
		if b, ok := v.(bool); ok {
			return b
		}
	case types.File:
		if f, ok := v.(types.FileValue); ok {
			return f
		}
	case types.Enum:
		if s, ok := v.(string); ok {
			for _, allowed := range t.Values {
				if s == allowed {
					return s
				}
			}
		}
	case types.List:
		if xs, ok := v.([]any); ok {
			return r.list(t, xs, path, depth)
		}
	case types.Record:
		if fields, ok := v.(map[string]any); ok {
			return r.record(t, fields, path, depth)
		}
	}
	return r.problem(path, "expected %s, found %s", expected(t), show(v))
}

// expected names a type for someone who may not know the declaration: a model.
func expected(t types.Type) string {
	switch t.Kind {
	case types.Record:
		return "a record"
	case types.List:
		return "a list"
	}
	return t.String()
}

func (r *reader) list(t types.Type, xs []any, path string, depth int) any {
	out := make([]any, len(xs))
	item := t.Item()
	for i, x := range xs {
		out[i] = r.read(item, x, r.item(path, i), depth+1)
	}
	return out
}

func (r *reader) record(t types.Type, fields map[string]any, path string, depth int) any {
	before := len(r.problems)
	out := make(map[string]any, len(t.Fields))
	for _, f := range t.Fields {
		at := r.field(path, f.Name)
		v, ok := fields[f.Name]
		switch {
		case ok:
			out[f.Name] = r.read(f.Type, v, at, depth+1)
		case f.Type.Optional || f.Type.Kind == types.Nothing:
			out[f.Name] = nil
		default:
			r.problem(at, "is missing, expected %s", expected(f.Type))
		}
	}
	if len(r.problems) > before {
		return nil // a must over fields that are wrong says nothing new
	}
	for _, must := range t.Musts {
		if s := Holds(must, out); s != "" {
			r.problem(r.mustPath(must, path), "%s", s)
		}
	}
	return out
}

// mustPath blames the field, when the must is about one.
func (r *reader) mustPath(must types.Must, path string) string {
	t, _ := Parse(must.Expr)
	name := ""
	for _, n := range t.Names() {
		if name != "" && name != n.Text {
			return path
		}
		name = n.Text
	}
	if name == "" {
		return path
	}
	return r.field(path, name)
}

// any takes every value of the language as it is.
func (r *reader) any(v any, path string, depth int) any {
	if depth > maxDepth {
		return r.problem(path, "this is nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil, bool, int, string, types.FileValue, types.Secret, types.Parts, types.Large:
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return r.problem(path, "this is not a number that can be written down")
		}
	case []any:
		for i, x := range v {
			r.any(x, r.item(path, i), depth+1)
		}
	case map[string]any:
		for _, name := range sortedKeys(v) {
			r.any(v[name], r.field(path, name), depth+1)
		}
	default:
		return r.problem(path, "this is no value of the language")
	}
	return v
}
