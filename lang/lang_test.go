package lang_test

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// examples reads every program in examples/.
func examples(t testing.TB) []*source.File {
	t.Helper()
	names, err := filepath.Glob("../examples/*.slop")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) < 15 {
		t.Fatalf("found only %d examples", len(names))
	}
	var out []*source.File
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, source.NewFile(filepath.Base(name), string(text)))
	}
	return out
}

// real is the scope of an installation without configuration: what the examples are written for.
func real() types.Scope {
	all := langtest.Scope()
	scope := types.Scope{Capabilities: map[string]types.Signature{}}
	for name, sig := range all.Capabilities {
		if strings.Contains(name, ".") {
			scope.Capabilities[name] = sig
		}
	}
	for _, name := range []string{"echo", "claude", "openai", "ollama", "shell", "wait"} {
		scope.Capabilities[name] = all.Capabilities[name]
	}
	scope.Load = func(from, use string) (string, string, error) {
		if name, text, ok := langtest.Standard("..", use); ok {
			return name, text, nil
		}
		name := path.Join(path.Dir(from), use)
		text, err := os.ReadFile(filepath.Join("../examples", name))
		return name, string(text), err
	}
	return scope
}

func drawn(l diag.List) string {
	var b bytes.Buffer
	diag.Print(&b, l, false)
	return b.String()
}

// Every example compiles without a warning, has tests, and opens with a comment.
func TestExamples(t *testing.T) {
	for _, src := range examples(t) {
		t.Run(src.Name, func(t *testing.T) {
			p, tests, diags := lang.CompileTests(src, real())
			if len(diags) > 0 {
				t.Errorf("it has something to mend:\n%s", drawn(diags))
			}
			if p == nil {
				return
			}
			if err := plan.Validate(p); err != nil {
				t.Errorf("its plan is not valid: %v", err)
			}
			if len(tests) == 0 {
				t.Error("it has no test")
			}
			if !strings.HasPrefix(src.Text, "// ") {
				t.Error("it does not begin with a comment that says what it shows")
			}
		})
	}
}

func TestThePlanOfAScriptIsAlwaysTheSame(t *testing.T) {
	for _, src := range examples(t) {
		first, diags := lang.Compile(src, real())
		if first == nil {
			t.Errorf("%s does not compile:\n%s", src.Name, drawn(diags))
			continue
		}
		for range 4 {
			again, _ := lang.Compile(source.NewFile(src.Name, src.Text), real())
			if plan.Hash(again) != plan.Hash(first) {
				t.Errorf("%s: two plans of one text:\n%s\n%s", src.Name, plan.Encode(first), plan.Encode(again))
				break
			}
		}
	}
}

func TestAnErrorGivesNoPlan(t *testing.T) {
	for _, text := range []string{"output nobody", "x = ", "a = echo \"<<b>>\"\nb = echo \"<<a>>\"\n"} {
		p, diags := lang.Compile(source.NewFile("bad.slop", text), langtest.Scope())
		if p != nil || !diags.HasErrors() {
			t.Errorf("%q: plan %v, diagnostics:\n%s", text, p, drawn(diags))
		}
	}
}

// Whatever compiles gives a plan that a machine can work with, and that survives being stored.
func FuzzCompile(f *testing.F) {
	for _, src := range examples(f) {
		f.Add(src.Text)
	}
	for _, a := range langtest.Read(f, "../testdata/spec") {
		f.Add(a.Main())
	}
	table, err := os.ReadFile("testdata/table.slop")
	if err != nil {
		f.Fatal(err)
	}
	scope := langtest.Scope()
	scope.Load = func(_, use string) (string, string, error) {
		if name, text, ok := langtest.Standard("..", use); ok {
			return name, text, nil
		}
		return "table.slop", string(table), nil
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, _, diags := lang.CompileTests(source.NewFile("fuzz.slop", text), scope)
		if p == nil {
			if !diags.HasErrors() {
				t.Errorf("no plan and no error")
			}
			return
		}
		if err := plan.Validate(p); err != nil {
			t.Fatalf("the plan is not valid: %v\n%s", err, plan.Print(p))
		}
		data := plan.Encode(p)
		q, err := plan.Decode(data)
		if err != nil {
			t.Fatalf("the plan is not read back: %v\n%s", err, data)
		}
		if again := plan.Encode(q); !bytes.Equal(again, data) {
			t.Errorf("the plan changes when it is stored:\n%s\n%s", data, again)
		}
		plan.Worst(p)
	})
}
