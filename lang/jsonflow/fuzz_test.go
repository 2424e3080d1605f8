package jsonflow_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/jsonflow"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// scope has the agents of the archives, and the flows that come with the language.
func scope() types.Scope {
	s := langtest.Scope()
	s.Load = func(_, use string) (string, string, error) {
		if name, text, ok := langtest.Standard("../..", use); ok {
			return name, text, nil
		}
		return "", "", os.ErrNotExist
	}
	return s
}

// Whatever is sent as a definition, the answer is a script that can be read and is formatted, or says what is wrong with the definition, at a place in it.
func FuzzDefinition(f *testing.F) {
	paths, err := filepath.Glob("../../testdata/json/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatal("there are no definitions to begin with", err)
	}
	for _, a := range langtest.Read(f, "../../testdata/json") {
		for _, name := range append([]string{"workflow"}, jsonflow.Patterns...) {
			if text, ok := a.Part(name + ".json"); ok {
				f.Add(text)
			}
		}
	}
	s := scope()
	f.Fuzz(func(t *testing.T, text string) {
		src := source.NewFile("fuzz.json", text)
		for _, pattern := range append([]string{"workflow"}, jsonflow.Patterns...) {
			property(t, pattern, src, s)
		}
	})
}

// strange are values that have surprised readers of JSON, of paths, of prompts and of conditions.
var strange = []any{
	nil, true, 0, -1, 1e300, 0.5, 2, "", " ", "a", "a-b", "in", "claude", "std", "__proto__", "answer", "let", "error", "1st", "ü", "{{a}}", "{{a.b[0].c}} {{", "{{steps.a.output.text}}", "{{{a}}}", "\\{{a}}",
	"{{previousOutput}}", "{{#if x}}y{{/if}}", "<<a>> \\<<b <", "<<<", "\"\"\"", "\n a\n\tb\r\n", "\u202e\u0000\u2028", "$& ` ' ${x}", "x",
	`context.a == 1 && !b.output.includes("x") || (c > "3")`, "a == null", "((((", "a.b.c", "a[0]", strings.Repeat("{{a}}", 1200), strings.Repeat("(", 300), strings.Repeat("a.", 300),
	[]any{}, map[string]any{}, []any{"a", 1}, map[string]any{"a": map[string]any{"b": []any{1}}, "map": "x"},
}

// change makes a value that is a little other than v: a part replaced, left out, doubled, renamed, or taken from another definition.
func change(r *rand.Rand, v any, others []any) any {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		if len(names) == 0 || r.IntN(8) == 0 {
			v[fmt.Sprint(strange[r.IntN(len(strange))])] = copied(strange[r.IntN(len(strange))])
			return v
		}
		name := names[r.IntN(len(names))]
		switch r.IntN(10) {
		case 0:
			delete(v, name)
		case 1:
			v[names[r.IntN(len(names))]] = copied(v[name])
		default:
			v[name] = change(r, v[name], others)
		}
		return v
	case []any:
		if len(v) == 0 || r.IntN(8) == 0 {
			return append(v, copied(strange[r.IntN(len(strange))]))
		}
		i := r.IntN(len(v))
		switch r.IntN(8) {
		case 0:
			return slices.Delete(v, i, i+1)
		case 1:
			return append(v, copied(v[i]))
		default:
			v[i] = change(r, v[i], others)
		}
		return v
	case string:
		if r.IntN(3) == 0 {
			return v + fmt.Sprint(strange[r.IntN(len(strange))])
		}
	}
	if r.IntN(8) == 0 {
		return copied(others[r.IntN(len(others))])
	}
	return copied(strange[r.IntN(len(strange))])
}

// copied is a value that shares nothing with v.
func copied(v any) any {
	var c any
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		panic(err)
	}
	return c
}

// Definitions that are almost right become scripts that can be read, or are refused.
func TestDefinitionsThatAreAlmostRight(t *testing.T) {
	rounds := 1000
	if os.Getenv("SLOP_LONG") != "" {
		rounds = 300_000
	}
	var all []any
	for _, a := range langtest.Read(t, "../../testdata/json") {
		for _, name := range append([]string{"workflow"}, jsonflow.Patterns...) {
			var v any
			if text, ok := a.Part(name + ".json"); ok && json.Unmarshal([]byte(text), &v) == nil {
				all = append(all, v)
			}
		}
	}
	s := scope()
	r := rand.New(rand.NewPCG(1, 2))
	scripts := 0
	for range rounds {
		v := copied(all[r.IntN(len(all))])
		for range 1 + r.IntN(4) {
			v = change(r, v, all)
		}
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		pattern := append([]string{"workflow"}, jsonflow.Patterns...)[r.IntN(7)]
		t.Run(pattern, func(t *testing.T) {
			defer func() {
				if e := recover(); e != nil {
					t.Fatalf("%v of %s:\n%s\n%s", e, pattern, raw, debug.Stack())
				}
				if t.Failed() {
					t.Logf("%s", raw)
				}
			}()
			if property(t, pattern, source.NewFile("almost.json", string(raw)), s) {
				scripts++
			}
		})
		if t.Failed() {
			return
		}
	}
	if scripts < rounds/10 {
		t.Errorf("of %d definitions %d became a script: the changes are too coarse", rounds, scripts)
	}
}

// property holds of whatever is read as a definition.
func property(t *testing.T, pattern string, src *source.File, s types.Scope) bool {
	t.Helper()
	flow, diags := jsonflow.Workflow(src, s)
	if pattern != "workflow" {
		flow, diags = jsonflow.Orchestrate(pattern, src, s)
	}
	if (flow == nil) != diags.HasErrors() {
		t.Fatalf("%s: a script and errors, or neither: %v", pattern, diags)
	}
	for _, d := range diags {
		if d.Span.Start < 0 || d.Span.End > len(src.Text)+1 || d.Span.Start > d.Span.End || d.Message == "" || d.File != src {
			t.Fatalf("%s: %+v points nowhere", pattern, d)
		}
	}
	if flow == nil {
		return false
	}
	tree, wrong := syntax.Parse(flow.Script)
	if wrong.HasErrors() {
		t.Fatalf("%s: the script cannot be read: %v\n%s", pattern, wrong, flow.Script.Text)
	}
	if again := string(format.File(tree)); again != flow.Script.Text {
		t.Fatalf("%s: the script is not formatted:\n%s\n%s", pattern, flow.Script.Text, again)
	}
	_, said := lang.Compile(flow.Script, s)
	for _, d := range flow.Place(said) {
		if d.File == src && (d.Span.End > len(src.Text)+1 || strings.Contains(d.Message, "\n")) {
			t.Fatalf("%s: %+v points nowhere", pattern, d)
		}
	}
	return true
}
