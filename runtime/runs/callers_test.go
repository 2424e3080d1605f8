package runs_test

import (
	"fmt"
	"testing"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// Whoever called the flow that a step belongs to is found by the path of the step, whatever stands around the call.
func TestCallers(t *testing.T) {
	files := map[string]string{"main.slop": `use "./a.slop" as a
input xs: [string] = []
one = a "x"
two = map x in xs {
  if x == "a" {
    a "x" else a "y"
  } else {
    deep = a "z"
    output deep
  }
}
three = writer "x" else a "y"
output match one {
  "a/b" -> a "q"
  else -> a "r"
}
`, "a.slop": `use "./b.slop" as b
input text: string
first = writer "<<text>>"
output b "<<first>>"
`, "b.slop": `input text: string
inner = loop v from text max 3 { writer "<<v>>" }
output inner
`}
	p, diags := lang.Compile(source.NewFile("main.slop", files["main.slop"]), langtest.Files(langtest.Scope(), files))
	if p == nil {
		t.Fatal(diags)
	}
	for path, want := range map[run.Path]string{
		"one/first":              "[main.slop:3]",
		"one":                    "[main.slop:3 a.slop:4]",
		"one/inner#2":            "[main.slop:3 a.slop:4]",
		"two[4]/then/first":      "[main.slop:6]",
		"two[4]/then/else/first": "[main.slop:6]",
		"two[0]/else/deep/first": "[main.slop:8]",
		"three":                  "[]",
		"three/else/first":       "[main.slop:12]",
		`output/"a/b"/first`:     "[main.slop:14]",
		"output/else/inner#1~1":  "[main.slop:15 a.slop:4]",
		"unknown":                "[]",
	} {
		var got []string
		for _, at := range runs.Callers(p, path) {
			got = append(got, fmt.Sprintf("%s:%d", at.File, at.Line))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s is called from %v, not %s", path, got, want)
		}
	}
}
