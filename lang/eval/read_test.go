package eval

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/slopstudios/slop/lang/types"
)

var reviewType = types.Type{
	Kind: types.Record, Name: "Review",
	Fields: []types.Field{
		{Name: "score", Type: intType}, {Name: "notes", Type: stringType}, {Name: "tip", Type: types.Maybe(stringType)},
		{Name: "marks", Type: types.Maybe(types.ListOf(types.Type{Kind: types.Enum, Values: []string{"good", "bad"}}))},
	},
	Musts: []types.Must{{Expr: `score in 1..10`, Else: "score must be 1 to 10"}, {Expr: `len(notes) > 0 or score > 5`}},
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		t        types.Type
		give     string
		want     any
		problems []string
	}{
		{reviewType, `{"score": 8.0, "notes": "x", "extra": 1}`, map[string]any{"score": 8, "notes": "x", "tip": nil, "marks": nil}, nil},
		{reviewType, `{"score": "8", "notes": "x"}`, nil, []string{`score: expected int, found "8"`}},
		{reviewType, `{"score": 8.5}`, nil, []string{`score: expected int, found 8.5`, `notes: is missing, expected string`}},
		{reviewType, `{"score": 0, "notes": "x"}`, nil, []string{`score: score must be 1 to 10`}},
		{reviewType, `{"score": 3, "notes": ""}`, nil, []string{`must len(notes) > 0 or score > 5`}},
		{reviewType, `{"score": 3, "notes": "x", "marks": ["good", "ugly"]}`, nil, []string{`marks[1]: expected "good" or "bad", found "ugly"`}},
		{reviewType, `[1]`, nil, []string{`expected a record, found a list`}},
		{types.ListOf(reviewType), `[{"score": 3, "notes": "x"}, {"score": 99, "notes": "x"}]`, nil, []string{`[1].score: score must be 1 to 10`}},
		{floatType, `3`, 3.0, nil},
		{intType, `3.0`, 3, nil},
		{intType, `1e300`, nil, []string{`expected int, found 1e+300`}},
		{boolType, `"true"`, nil, []string{`expected bool, found "true"`}},
		{types.Maybe(intType), `null`, nil, nil},
		{intType, `null`, nil, []string{`expected int, found nothing`}},
		{anyType, `{"a": [1, null]}`, map[string]any{"a": []any{1, nil}}, nil},
	} {
		v, err := FromJSON([]byte(c.give))
		if err != nil {
			t.Fatal(err)
		}
		got, problems := Read(c.t, v)
		if diff := cmp.Diff(c.want, got) + cmp.Diff(c.problems, problems); diff != "" {
			t.Errorf("%s as %s: %s", c.give, c.t, diff)
		}
	}
	if _, problems := Read(types.ListOf(intType), strings.Split(strings.Repeat("x", 3), "")); len(problems) != 1 {
		t.Errorf("a Go value that is none of ours: %v", problems)
	}
	if _, problems := Read(anyType, map[string]any{"a": struct{}{}}); !reflect.DeepEqual(problems, []string{"a: this is no value of the language"}) {
		t.Errorf("a Go value that is none of ours: %v", problems)
	}
	many := make([]any, 100)
	if _, problems := Read(types.ListOf(intType), many); len(problems) != maxProblems+1 || problems[maxProblems] != "… and more" {
		t.Errorf("%d problems", len(problems))
	}
}

func TestAMustThatCannotBeCheckedIsAProblem(t *testing.T) {
	for expr, want := range map[string]string{
		`score >`:     "`must score >` cannot be checked: the expression ends too early",
		`score / 0`:   "`must score / 0` cannot be checked: this divides by zero",
		`score`:       "`must score` is not a condition, it is an int",
		`score > 3`:   "",
		`score > 300`: "must score > 300",
	} {
		if got := Holds(types.Must{Expr: expr}, map[string]any{"score": 5}); got != want {
			t.Errorf("%s: %q", expr, got)
		}
	}
}

// drawType draws types a script can declare; drawValue values of them, as an answer's JSON.
func drawType(depth int) *rapid.Generator[types.Type] {
	return rapid.Custom(func(t *rapid.T) types.Type {
		kinds := []types.Kind{types.Any, types.String, types.Int, types.Float, types.Bool, types.Enum}
		if depth > 0 {
			kinds = append(kinds, types.List, types.Record)
		}
		ty := types.Type{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		switch ty.Kind {
		case types.List:
			ty = types.ListOf(drawType(depth-1).Draw(t, "item"))
		case types.Enum:
			ty.Values = rapid.SliceOfNDistinct(rapid.StringMatching(`[a-d]`), 1, 4, rapid.ID[string]).Draw(t, "values")
		case types.Record:
			for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-e]`), 1, 4, rapid.ID[string]).Draw(t, "names") {
				ty.Fields = append(ty.Fields, types.Field{Name: name, Type: drawType(depth-1).Draw(t, name)})
			}
		}
		ty.Optional = ty.Kind != types.Any && rapid.Bool().Draw(t, "optional")
		return ty
	})
}

func drawValue(t *rapid.T, ty types.Type) any {
	if ty.Optional && rapid.Bool().Draw(t, "nothing") {
		return nil
	}
	switch ty.Kind {
	case types.Any:
		return rapid.SampledFrom([]any{nil, true, 3, 2.5, "x", []any{1}, map[string]any{"k": "v"}}).Draw(t, "any")
	case types.String:
		return rapid.String().Draw(t, "string")
	case types.Int:
		return rapid.Int().Draw(t, "int")
	case types.Float:
		return rapid.Float64Range(-1e9, 1e9).Draw(t, "float")
	case types.Bool:
		return rapid.Bool().Draw(t, "bool")
	case types.Enum:
		return rapid.SampledFrom(ty.Values).Draw(t, "enum")
	case types.List:
		xs := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "n") {
			xs = append(xs, drawValue(t, ty.Item()))
		}
		return xs
	case types.Record:
		r := map[string]any{}
		for _, f := range ty.Fields {
			r[f.Name] = drawValue(t, f.Type)
		}
		return r
	}
	return nil
}

// What fits a type is read as that type, reading is settled, and the schema that a model is shown agrees.
func TestReadFitsAndSchemaAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := drawType(2).Draw(t, "from"), drawType(2).Draw(t, "to")
		v := drawValue(t, from)
		own, problems := Read(from, v)
		if len(problems) > 0 || !Equal(own, v) {
			t.Fatalf("%v is no %s: %v", v, from, problems)
		}
		if again, problems := Read(from, own); len(problems) > 0 || !reflect.DeepEqual(again, own) {
			t.Fatalf("reading %v again gives %v %v", own, again, problems)
		}
		if _, problems := Read(types.Meet(from, to), v); len(problems) > 0 {
			t.Fatalf("%v is no %s, where %s and %s meet: %v", v, types.Meet(from, to), from, to, problems)
		}
		if !hasAny(from) && types.Fits(from, to) {
			if _, problems := Read(to, v); len(problems) > 0 {
				t.Fatalf("%s fits %s, but %v does not: %v", from, to, v, problems)
			}
		}
	})
}

func hasAny(t types.Type) bool {
	if t.Kind == types.Any || t.Elem != nil && hasAny(*t.Elem) {
		return true
	}
	for _, f := range t.Fields {
		if hasAny(f.Type) {
			return true
		}
	}
	return false
}

func TestAStrictSchemaTakesWhatReadTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ty := drawType(2).Draw(t, "type")
		v, _ := Read(ty, drawValue(t, ty))
		text, err := appendJSON(nil, v, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(types.SchemaStrict(ty), text); err != nil {
			t.Fatalf("%s is a %s, but: %v", text, ty, err)
		}
	})
}

func validate(schema json.RawMessage, text []byte) error {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(schema)))
	if err != nil {
		return err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("t.json", doc); err != nil {
		return err
	}
	s, err := c.Compile("t.json")
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return s.Validate(v)
}

func TestJSONIsReadAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawValue(t, drawType(3).Draw(t, "type"))
		for _, indent := range []string{"", "  "} {
			line := ""
			if indent != "" {
				line = "\n"
			}
			text, err := appendJSON(nil, v, line, indent)
			if err != nil {
				t.Fatal(err)
			}
			back, err := FromJSON(text)
			if err != nil || !Equal(back, v) {
				t.Fatalf("%s: %v, %v", text, back, err)
			}
			if !json.Valid(text) {
				t.Fatalf("not JSON: %s", text)
			}
		}
	})
}

func TestProblemsHavePlaces(t *testing.T) {
	leg := types.Type{Kind: types.Record, Fields: []types.Field{{Name: "a/b", Type: types.Type{Kind: types.String}}, {Name: "days", Type: types.Type{Kind: types.Int}}},
		Musts: []types.Must{{Expr: "days > 0", Else: "at least a day"}}}
	trip := types.Type{Kind: types.Record, Fields: []types.Field{{Name: "legs", Type: types.Type{Kind: types.List, Elem: &leg}}}}
	v := map[string]any{"legs": []any{map[string]any{"a/b": 1, "days": 2}, map[string]any{"a/b": "x", "days": 0}, map[string]any{"a/b": "x"}}}
	_, problems := ReadAt(trip, v)
	want := []Misfit{
		{At: "/legs/0/a~1b", Message: "expected string, found 1"}, {At: "/legs/1/days", Message: "at least a day"},
		{At: "/legs/2/days", Message: "is missing, expected int"},
	}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
	if _, problems := ReadAt(trip, "x"); len(problems) != 1 || problems[0].At != "" {
		t.Errorf("of the whole: %v", problems)
	}
}
