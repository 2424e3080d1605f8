package template_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/template"
)

func read(t *testing.T, text template.Text) *template.Template {
	t.Helper()
	r, faults, said := template.Read("greeting", text)
	if len(faults) > 0 || said.HasErrors() {
		t.Fatalf("%v %v", faults, said)
	}
	return r
}

func variables(list ...template.Variable) []template.Variable { return list }

func TestFill(t *testing.T) {
	no, yes := false, true
	for _, tt := range []struct {
		name      string
		text      template.Text
		values    map[string]any
		want      string
		used, not []string
	}{
		{"what is mentioned", template.Text{Content: "Hi {{ name }}, {{name}}!"}, map[string]any{"name": "Ada"}, "Hi Ada, Ada!", []string{"name"}, nil},
		{"nested", template.Text{Content: "{{user.name}} {{items[0].title}}"}, map[string]any{"user": map[string]any{"name": "Ada"}, "items": []any{map[string]any{"title": "T"}}}, "Ada T", []string{"user", "items"}, nil},
		{"typed", template.Text{Content: "{{n}} {{b}} {{l}} {{o.a}}", Variables: variables(template.Variable{Name: "n", Type: "number"}, template.Variable{Name: "b", Type: "boolean"},
			template.Variable{Name: "l", Type: "array"}, template.Variable{Name: "o", Type: "object"})},
			map[string]any{"n": 3, "b": true, "l": []any{1, "x"}, "o": map[string]any{"a": 0.5}}, "3 true [\n  1,\n  \"x\"\n] 0.5", []string{"n", "b", "l", "o"}, nil},
		{"defaults", template.Text{Content: "{{a}}|{{b}}|{{c[1]}}|{{d.x}}", Variables: variables(
			template.Variable{Name: "a", Type: "string", Default: "say \"<<hi>>\"\n\\ {{b}}"}, template.Variable{Name: "b", Type: "number", Required: &no, Default: 1.5},
			template.Variable{Name: "c", Type: "[string]", Default: []any{"x", "y"}}, template.Variable{Name: "d", Type: "object", Required: &yes, Default: map[string]any{"x": "odd key", "a b": 1}})},
			nil, "say \"<<hi>>\"\n\\ {{b}}|1.5|y|odd key", []string{"a", "b", "c", "d"}, nil},
		{"missing, and not required", template.Text{Content: "[{{a}}][{{b.c}}][{{d}}][{{e | \"E\"}}]", Variables: variables(template.Variable{Name: "a", Type: "string", Required: &no},
			template.Variable{Name: "b", Type: "object", Required: &no}, template.Variable{Name: "d", Type: "string"}, template.Variable{Name: "e", Type: "number", Required: &no})},
			map[string]any{"a": nil, "d": "d"}, "[][][d][E]", []string{"d"}, []string{"a", "b", "e"}},
		{"a header", template.Text{Content: "---\ninput who: string = \"you\"\ninput n: int?\n---\n{{who}} {{n | 0}}"}, nil, "you 0", []string{"who"}, []string{"n"}},
		// D1 and D2 of the system before: values are put in as they are, and never read again.
		{"D1 dollar signs", template.Text{Content: "x {{a}} y"}, map[string]any{"a": "$& $$ $` $' $1"}, "x $& $$ $` $' $1 y", []string{"a"}, nil},
		{"D2 a gap in a value", template.Text{Content: "A={{a}} B={{b}}"}, map[string]any{"a": "{{b}} <<b>>", "b": "SECRET"}, "A={{b}} <<b>> B=SECRET", []string{"a", "b"}, nil},
		{"D3 own names only", template.Text{Content: "{{constructor | \"none\"}} {{__proto__ | \"none\"}} {{o.toString | \"none\"}}"}, map[string]any{"o": map[string]any{}}, "none none none", []string{"o"}, []string{"constructor", "__proto__"}},
		{"D3 given", template.Text{Content: "{{constructor}} {{__proto__.x}}"}, map[string]any{"constructor": "c", "__proto__": map[string]any{"x": 1}}, "c 1", []string{"constructor", "__proto__"}, nil},
		{"D4 a literal gap", template.Text{Content: `\{{name}} {{name}} { }} {`}, map[string]any{"name": "n"}, "{{name}} n { }} {", []string{"name"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := read(t, tt.text)
			got, faults := r.Fill(tt.values)
			if faults != nil {
				t.Fatal(faults)
			}
			want := template.Filled{Content: tt.want, Used: append([]string{}, tt.used...), Missing: append([]string{}, tt.not...)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			again := read(t, template.Text{Content: r.File()}) // as a script would read it
			if got, faults := again.Fill(tt.values); faults != nil || got.Content != tt.want {
				t.Errorf("its file gives %q, %v\n%s", got.Content, faults, r.File())
			}
		})
	}
}

// D3, D4: what does not fit is told, with its place.
func TestWhatDoesNotFit(t *testing.T) {
	r := read(t, template.Text{Content: "{{n}} {{l}} {{o.x}} {{s}} {{m}} {{k}}", Variables: variables(template.Variable{Name: "n", Type: "number"}, template.Variable{Name: "l", Type: "array"},
		template.Variable{Name: "o", Type: "object"}, template.Variable{Name: "s", Type: "string"}, template.Variable{Name: "m", Type: "string"}, template.Variable{Name: "k", Type: `"a" | "b"`})})
	_, faults := r.Fill(map[string]any{"n": "three", "l": "x", "o": []any{}, "s": 1, "mm": "typo", "k": "c"})
	var got []string
	for _, f := range faults {
		got = append(got, f.Pointer+": "+f.Detail)
	}
	want := []string{
		"/variables/n: it should be a number, and is text", "/variables/l: it should be a list, and is text", "/variables/o: it should be an object", "/variables/s: it should be text, and is a number",
		"/variables/m: this variable is required", `/variables/k: it should be "a" or "b", and is "c"`, "/variables/mm: the template has no such variable; did you mean m?",
	}
	for i, w := range want {
		if i >= len(got) || strings.SplitN(got[i], ":", 2)[0] != strings.SplitN(w, ":", 2)[0] {
			t.Fatalf("it says\n%s", strings.Join(got, "\n"))
		}
	}
	t.Log(strings.Join(got, "\n"))
	if _, faults := read(t, template.Text{Content: "{{a.b}}"}).Fill(map[string]any{"a": map[string]any{"c": 1}}); len(faults) != 1 {
		t.Errorf("a field that is not there: %v", faults)
	} else {
		t.Log(faults)
	}
}

func TestMistakes(t *testing.T) {
	v := func(name, kind string, def any) []template.Variable {
		return variables(template.Variable{Name: name, Type: kind, Default: def})
	}
	for _, tt := range []struct {
		text          template.Text
		pointer, code string
		line          int
	}{
		{template.Text{Content: "a\n{{#if x}}"}, "", "E0120", 2},
		{template.Text{Content: "{{user-name}}"}, "", "E0120", 1},
		{template.Text{Content: "{{name"}, "", "E0120", 1},
		{template.Text{Content: strings.Repeat("x", template.MaxContent+1)}, "/content", "", 0},
		{template.Text{Content: "{{a}}", Variables: v("b", "string", nil)}, "/variables", "", 0},
		{template.Text{Content: "{{a}}", Variables: v("a", "strin", nil)}, "/variables/0", "", 0},
		{template.Text{Content: "{{a}}", Variables: v("a", "string\ninput b: string", nil)}, "/variables/0/type", "", 0},
		{template.Text{Content: "{{a}}", Variables: v("a", "number", "x")}, "/variables/0", "", 0},
		{template.Text{Content: "{{a}}", Variables: v("a", "object", "x")}, "/variables/0/default", "", 0},
		{template.Text{Content: "{{a}}", Variables: v("a-b", "string", nil)}, "/variables/0/name", "", 0},
		{template.Text{Content: "{{a}}", Variables: append(v("a", "string", nil), v("a", "string", nil)...)}, "/variables/1/name", "", 0},
		{template.Text{Content: "x\ny {{a.b}}", Variables: v("a", "string", nil)}, "", "E0109", 2},
		{template.Text{Content: "---\ninput a: string\n---\n{{a}}", Variables: v("a", "string", nil)}, "/variables", "", 0},
		{template.Text{Content: "{{a}}", Variables: make([]template.Variable, template.MaxVariables+1)}, "/variables", "", 0},
	} {
		_, faults, said := template.Read("x", tt.text)
		switch {
		case tt.pointer != "":
			if len(faults) == 0 || faults[0].Pointer != tt.pointer {
				t.Errorf("%.40q %v: %v %v", tt.text.Content, tt.text.Variables, faults, said)
			}
		case len(faults) > 0 || !said.HasErrors() || string(said[0].Code) != tt.code || said[0].File.Pos(said[0].Span.Start).Line != tt.line:
			t.Errorf("%.40q: %v %v", tt.text.Content, faults, said)
		}
	}
}

func TestVariables(t *testing.T) {
	yes, no := true, false
	got := read(t, template.Text{Content: "---\ninput who: string \"Who?\"\ninput n: int = 3\n---\n{{who}} {{n}}"}).Variables()
	want := []template.Variable{{Name: "who", Type: "string", Required: &yes, Description: "Who?"}, {Name: "n", Type: "int", Required: &no, Default: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
