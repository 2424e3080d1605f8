package eval

import (
	"fmt"
	"testing"

	"github.com/slopstudios/slop/lang/types"
)

// greet is a template as lang/check makes it.
var greet = &Template{
	Params: []types.Field{
		{Name: "name", Type: stringType}, {Name: "user", Type: types.Type{Kind: types.Record, Fields: []types.Field{{Name: "nick", Type: anyType}}}}, {Name: "mood", Type: types.Maybe(stringType)}, {Name: "any", Type: types.Maybe(anyType)},
	},
	Shows: []Shown{{Path: []string{"name"}}, {Path: []string{"user", "nick"}}, {Path: []string{"mood"}, Stands: true}, {Path: []string{"any", ""}, Stands: true}},
}

func templates(name string) (*Template, bool) {
	switch name {
	case "greet":
		return greet, true
	case "broken":
		return nil, true
	}
	return nil, false
}

// Spec 4.8: what a template may be given; it gives a string that carries the taints of what went in.
func TestTemplateTypes(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{`greet({name: s, user: {nick: 1}})`, "string"},
		{`greet({name: kind, user: {nick: s, more: 1}, mood: reply, any: [1]}) + "!"`, "string"},
		{`greet(data)`, "string world"},
		{`len(greet({name: token, user: data}))`, "int secret world"},
		{`greet({name: greet({name: s, user: data}), user: {nick: n}})`, "string world"},
		{`map(words, greet({name: #, user: {nick: #index}}))`, "list of string"},
		{`broken({whatever: n})`, "string"},
		{`greet()`, "E0111 0-7"},
		{`greet({name: s})`, "E0111 0-16"},
		{`greet({name: 1, user: {nick: s}})`, "E0111 13-14"},
		{`greet({name: s, user: {nick: s}, moon: 1})`, "E0111 33-37"},
		{`greet({name: reply, user: {nick: s}})`, "E0115 13-18"},
		{`greet({name: s, user: {nick: reply}})`, "E0115 22-35"},
		{`greet({name: s, user: {nick: file}})`, "E0110 22-34"},
		{`greet({name: s, user: s})`, "E0111 22-23"},
		{`greet(review)`, "E0111 6-12"},
		{`greet(s)`, "E0111 6-7"},
		{`greet(maybe)`, "E0115 6-11"},
		{`greet({}, {})`, "E0111 0-13"},
		{`gret({name: s})`, "E0101 0-4"},
	} {
		tree, problems := Parse(c.code)
		var o Operand
		if len(problems) == 0 {
			o, problems = tree.TypeWith(lookup, templates)
		}
		got := o.Type.String()
		if o.Taint&Secret != 0 {
			got += " secret"
		}
		if o.Taint&World != 0 {
			got += " world"
		}
		if len(problems) > 0 {
			got = fmt.Sprintf("%s %d-%d", problems[0].Code, problems[0].Start, problems[0].End)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s %v", c.code, got, c.want, problems)
		}
	}
}

func TestCallsOfTemplates(t *testing.T) {
	tree, _ := Parse(`upper(greet ({name: "(", n: f(x)})) + string(a < g() < b)`)
	want := []Call{{"greet", 6, 12, 33}, {"f", 28, 29, 31}, {"g", 49, 50, 51}}
	if got := tree.Calls(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the calls are %v, want %v", got, want)
	}
}
