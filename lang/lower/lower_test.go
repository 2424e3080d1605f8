package lower_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// compile lowers main.slop; the other scripts can be used by their names.
func compile(t *testing.T, files map[string]string) (*plan.Plan, []plan.Test) {
	t.Helper()
	p, tests, diags := lang.CompileTests(source.NewFile("main.slop", files["main.slop"]), langtest.Files(langtest.Scope(), files))
	if p == nil {
		var b bytes.Buffer
		diag.Print(&b, diags, false)
		t.Fatalf("it does not compile:\n%s", b.String())
	}
	return p, tests
}

// Archives with a part out/plan say what the plan of their script is, in the form of plan.Print.
func TestPlans(t *testing.T) {
	seen := 0
	for _, a := range langtest.Read(t, langtest.Folder) {
		if _, ok := a.Part("out/plan"); !ok {
			continue
		}
		seen++
		t.Run(a.Name(), func(t *testing.T) {
			p, _ := compile(t, a.Files)
			if err := plan.Validate(p); err != nil {
				t.Fatalf("the plan is not valid: %v\n%s", err, plan.Print(p))
			}
			a.Expect(t, "out/plan", plan.Print(p))
		})
	}
	if seen < 10 {
		t.Errorf("found only %d archives with a plan", seen)
	}
}

// Spec 12: names in tests have no slots; answers are expressions.
func TestTests(t *testing.T) {
	_, tests := compile(t, map[string]string{"main.slop": `input name: string
output writer "Hello <<name>>"

test "one" {
  given name = "Ada"
  mock writer -> "a", "b"
  expect output == "a"
}
test "two" {
  given name = "Ada"
  fail writer "no ink"
  expect fail "ink"
}
`})
	type line struct{ kind, name, exprs, message string }
	var got [][]line
	for _, test := range tests {
		ls := []line{{kind: test.Name}}
		for _, l := range test.Lines {
			var codes []string
			for _, e := range l.Exprs {
				codes = append(codes, e.Code)
				if len(e.Refs) > 0 {
					t.Errorf("line %d: %q has slots", l.At.Line, e.Code)
				}
			}
			ls = append(ls, line{l.Kind, l.Name, strings.Join(codes, "; "), l.Message})
		}
		got = append(got, ls)
	}
	want := [][]line{
		{{kind: "one"}, {"given", "name", `"Ada"`, ""}, {"mock", "writer", `"a"; "b"`, ""}, {"expect", "", `output == "a"`, ""}},
		{{kind: "two"}, {"given", "name", `"Ada"`, ""}, {"fail", "writer", "", "no ink"}, {"expect fail", "", "", "ink"}},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(line{})); d != "" {
		t.Errorf("other tests (-want +got):\n%s", d)
	}
}

// The names that a scope brings are the first inputs of the plan, before those of the file.
func TestNamesOfTheScopeAreInputs(t *testing.T) {
	scope := langtest.Scope()
	scope.Values = []types.Field{{Name: "draft", Type: types.Type{Kind: types.String}}}
	p, diags := lang.Compile(source.NewFile("repl.slop", "input more: string = \"x\"\nout = writer \"<<draft>> <<more>>\"\noutput out\n"), scope)
	if p == nil {
		t.Fatalf("it does not compile: %v", diags)
	}
	if len(p.Inputs) != 2 || p.Inputs[0].Name != "draft" || !p.Inputs[0].Required || p.Inputs[1].Name != "more" || p.Inputs[1].Required {
		t.Errorf("the inputs are %+v", p.Inputs)
	}
	if err := plan.Validate(p); err != nil {
		t.Error(err)
	}
}

// The worst case of a script is what --dry-run shows and E0127 compares with a budget.
func TestWorstCaseOfScripts(t *testing.T) {
	for _, c := range []struct {
		script string
		calls  int64
		known  bool
	}{
		{`output writer "x" retry 2`, 3, true},
		{`output writer "x" as {n: int}`, 2, true},
		{`output writer "x" as {n: int} repair 0`, 1, true},
		{`output writer "x" as {n: int} retry 2`, 6, true},
		{`output writer "x" retry 1 else editor "y" else "z"`, 3, true},
		{`output map n in [1, 2, 3] { writer "<<n>>" retry 1 }`, 6, true},
		{"let xs = 1..5\nnotes = map n in xs { writer \"<<n>>\" }\noutput reduce p in notes by 2 { editor \"<<p>>\" }", 5 + 2 + 1 + 1, true},
		{"input xs: [int]\noutput map n in xs { writer \"<<n>>\" retry 1 }", 2, false},
		{"input xs: [int]\noutput map n in xs { output n + 1 }", 0, true},
		{"output loop v from \"\" max 4 {\n  r = critic \"<<v>>\"\n  stop if r == \"ok\"\n  writer \"<<v>>\"\n} else fail \"no\"", 7, true},
		{"output loop v from \"\" max 4 {\n  r = critic \"<<v>>\"\n  stop if r == \"ok\"\n  writer \"<<v>>\"\n} else keep", 8, true},
		{"input n: int\noutput match n {\n  1 -> writer \"x\"\n  2 -> writer \"x\" retry 4\n  else -> \"z\"\n}", 5, true},
		{"output race {\n  a = writer \"x\"\n  b = editor \"x\"\n}", 2, true},
		{"a = echo \"free\"\nb = human.ask \"<<a>>?\"\nc = wait \"1s\"\noutput b", 0, true},
		{"use \"./f.slop\" as f\na = f()\nb = f()\noutput [a, b]", 4, true},
	} {
		p, _ := compile(t, map[string]string{"main.slop": c.script + "\n", "f.slop": "output writer \"x\" retry 1\n"})
		if w := plan.Worst(p); w.Calls != c.calls || w.CallsKnown != c.known {
			t.Errorf("%s\n%d calls (known %v), want %d (known %v)", c.script, w.Calls, w.CallsKnown, c.calls, c.known)
		}
	}
}
