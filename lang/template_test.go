package lang_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
)

// Spec 4.8: the text of a template is in the plan, once, with its hash; the plan changes with it.
func TestThePlanHoldsItsTemplates(t *testing.T) {
	compile := func(greeting string) *plan.Plan {
		t.Helper()
		p, diags := lang.Compile(source.NewFile("main.slop", `use template "./prompts/greet.txt" as greet
use template "./prompts/greet.txt" as hail
use "./flow.slop" as polish
a = polish "Ada"
output "<<a>> <<greet({name: "Bo"})>> <<hail({name: "Cy"})>>"
`), langtest.Files(langtest.Scope(), map[string]string{
			"prompts/greet.txt": greeting,
			"flow.slop":         "use template \"./prompts/greet.txt\" as g\ninput who: string\necho \"<<g({name: who})>>\"\n",
		}))
		if p == nil {
			t.Fatal(drawn(diags))
		}
		return p
	}
	first := compile("Hello {{name}}")
	var names []string
	for _, s := range first.Sources {
		names = append(names, s.Name)
		if sum := sha256.Sum256([]byte(s.Text)); s.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s has the hash of something else", s.Name)
		}
	}
	if got := strings.Join(names, " "); got != "main.slop prompts/greet.txt flow.slop" {
		t.Errorf("the sources are %s", got)
	}
	if plan.Hash(first) == plan.Hash(compile("Hallo {{name}}")) {
		t.Error("another text, and the same plan")
	}
}

// A template that calls itself to call itself grows by what is written, not by doubling.
func TestTemplatesInTemplates(t *testing.T) {
	inner := `"x"`
	for range 20 {
		inner = "twice({it: " + inner + "})"
	}
	p, diags := lang.Compile(source.NewFile("main.slop", "use template \"./twice.txt\" as twice\noutput "+inner+"\n"), langtest.Files(langtest.Scope(), map[string]string{"twice.txt": "{{it}}{{it}}"}))
	if p == nil {
		t.Fatal(drawn(diags))
	}
	program, err := eval.Compile(p.Blocks[0].Nodes[0].Expr.Code)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := program.Eval(nil); err != nil || v != strings.Repeat("x", 1<<20) {
		t.Errorf("the value has %d bytes, error %v", len(v.(string)), err)
	}
	for range 20 {
		inner = "twice({it: " + inner + "})"
	}
	if p, diags := lang.Compile(source.NewFile("main.slop", "use template \"./twice.txt\" as twice\noutput "+inner+"\n"), langtest.Files(langtest.Scope(), map[string]string{"twice.txt": "{{it}}{{it}}"})); p != nil || !hasCode(diags, "E0130") {
		t.Errorf("an expression that is too deep with its templates: %s", drawn(diags))
	}
}

// A template of any text that is checked without an error gives code that compiles, and a plan that is valid.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"Hello {{name}}", "---\ninput name: any = {a: [1]}\n---\n{{name.a[0] | 'x'}}", "{{name.in.not}} {{name[0][1]}}", "---\ntype T { a: string }\ninput name: T\n---\n{{name.a}} <<name>>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		scope := langtest.Files(langtest.Scope(), map[string]string{"t.txt": text})
		p, diags := lang.Compile(source.NewFile("main.slop", "use template \"./t.txt\" as greet\ninput x: any\noutput greet(x)\n"), scope)
		drawn(diags)
		if p == nil {
			if !diags.HasErrors() {
				t.Error("no plan and no error")
			}
			return
		}
		if err := plan.Validate(p); err != nil {
			t.Fatalf("the plan is not valid: %v", err)
		}
		program, err := eval.Compile(p.Blocks[0].Nodes[0].Expr.Code)
		if err != nil {
			t.Fatalf("%v: %s", err, p.Blocks[0].Nodes[0].Expr.Code)
		}
		for _, x := range []any{nil, map[string]any{}, map[string]any{"name": "{{name}} <<x>>"}, map[string]any{"name": []any{}}} {
			_, _ = program.Eval(map[string]any{"x": x}) // it may fail, and must not panic
		}
	})
}
