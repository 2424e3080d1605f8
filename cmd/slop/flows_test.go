package main

import (
	"strings"
	"testing"

	"github.com/slopstudios/slop/cmd/slop/trial"
	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// Each flow that comes with the language says what it does, compiles without a warning where nothing is configured, is written in the one form, and its
// tests pass.
func TestStandardFlows(t *testing.T) {
	t.Setenv("SLOP_HOME", t.TempDir())
	pr, err := openProject(t.TempDir() + "/x.slop")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range standardFlows() {
		t.Run(name, func(t *testing.T) {
			file, text, err := standardFlow(name)
			if err != nil {
				t.Fatal(err)
			}
			p, tests, diags := lang.CompileTests(source.NewFile(file, text), pr.scope())
			if len(diags) > 0 {
				var b strings.Builder
				diag.Print(&b, diags, false)
				t.Errorf("it has something to mend:\n%s", b.String())
			}
			if p == nil {
				return
			}
			if err := plan.Validate(p); err != nil {
				t.Error(err)
			}
			if aboutFlow(text) == "" {
				t.Error("no comment says what it does")
			}
			if parsed, _ := syntax.Parse(source.NewFile(file, text)); string(format.File(parsed)) != text {
				t.Error("slop fmt would write it otherwise")
			}
			if len(tests) < 2 {
				t.Errorf("it has %d tests", len(tests))
			}
			for _, test := range tests {
				for _, problem := range trial.Run(p, test).Problems {
					t.Errorf("%s, line %d: %s; %s", test.Name, problem.At.Line, problem.Message, problem.Detail)
				}
			}
		})
	}
}
