package machine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// book stands for a text that is kept elsewhere; texts has what it says.
var (
	book  = types.Large{SHA256: strings.Repeat("ab", 32), Size: 70_000}
	texts = map[any]string{book: "rain and more rain"}
)

// compute answers the open Compute wish of a path as an edge would.
func (h *host) compute(path run.Path) {
	h.t.Helper()
	w, ok := h.open[(&run.ComputeWish{Path: path}).ID()].(*run.ComputeWish)
	if !ok {
		h.t.Fatalf("nothing is to be computed at %s, but %s", path, h.wishes())
	}
	env := map[string]any{}
	for name, v := range w.Env {
		if text, large := texts[v]; large {
			v = text
		}
		env[name] = v
	}
	c := &run.Computed{Path: path}
	p, err := eval.Compile(w.Code)
	if err == nil {
		c.Value, err = p.Eval(env)
	}
	if err != nil {
		c.Error = err.Error()
	}
	h.must(c)
}

func TestALargeTextIsPassedOnUnopened(t *testing.T) {
	h := begin(t, `
a = writer "a"
let same = a
b = editor "Shorten:\n<<same>>!"
output {text: b}
`, nil)
	h.answer("a", book)
	if diff := cmp.Diff(types.Parts{"Shorten:\n", book, "!"}, h.call("b").Text); diff != "" {
		t.Error(diff)
	}
	h.answer("b", "short")
	h.ends(map[string]any{"text": "short"})
}

func TestALineThatLooksInsideWaitsForTheEdge(t *testing.T) {
	h := begin(t, `
a = writer "a"
let shout = upper(a)
require len(a) > 3 and a contains "rain" else "too short: <<lower(a)>>"
words = map w in split(a, " ") { echo "<<w>>" }
b = if a startsWith "x" { editor "x" } else if len(a) > 5 { editor "<<upper(a)>> and <<lower(a)>>" } else { editor "z" }
output [shout, words[0], b]
`, nil)
	h.answer("a", book)
	h.opens(`compute !1.0 upper(a)`, `compute !2.0 len(a) > 3 and a contains "rain"`)
	h.compute("!2.0")
	h.opens(`compute !1.0 upper(a)`, `compute !3.0 split(a, " ")`, `compute !4.0 a startsWith "x"`)
	h.stale(&run.Computed{Path: "!2.0", Value: false})
	h.compute("!4.0")
	h.compute("!4.1")
	h.compute("!3.0")
	for i, w := range []string{"rain", "and", "more", "rain"} {
		h.answer(run.Path(fmt.Sprintf("words[%d]", i)), w)
	}
	h.compute("b/elif2!0.0")
	h.compute("b/elif2!0.1")
	if got := h.call("b/elif2").Text; got != "RAIN AND MORE RAIN and rain and more rain" {
		t.Errorf("sent: %v", got)
	}
	h.answer("b/elif2", "done")
	h.compute("!1.0")
	h.ends([]any{"RAIN AND MORE RAIN", "rain", "done"})
}

func TestAnEvaluationAtTheEdgeMayFail(t *testing.T) {
	h := begin(t, `
a = writer "a"
n = parallel {
  inner = writer "<<split(a, " ")[9]>>"
} else {
  let size = len(a)
  output size
}
output n
`, nil)
	h.answer("a", book)
	h.compute("n!0.0")
	h.compute("n/else!0.0")
	h.ends(18)
}

func TestAFallbackLooksInside(t *testing.T) {
	h := begin(t, `
a = writer "a"
b = editor "<<upper(a)>>" else fail "no editor for <<split(a, " ")[0]>>, <<a>>"
output b
`, nil)
	h.answer("a", book)
	h.compute("!1.0")
	h.fail("b", run.Refused, "no")
	h.compute("!1e1.0")
	h.failsWith("E_FAIL", "no editor for rain, ‹a text of 68 KiB›")
}

func TestWhatIsBeingEvaluatedEndsWithItsBlock(t *testing.T) {
	h := begin(t, `
a = writer "a"
b = parallel {
  x = writer "<<upper(a)>>"
} timeout 10s else "late"
output b
`, nil)
	h.answer("a", book)
	h.opens(`sleep b@timeout until 2026-11-22T10:00:10Z`, `compute b!0.0 upper(a)`)
	h.fire("b@timeout")
	h.stale(&run.Computed{Path: "b!0.0", Value: "X"})
	h.ends("late")
}

func TestLargeValuesOfAFileAreNeverInTheMachine(t *testing.T) {
	file := types.FileValue{Name: "b.txt", Size: 70_000, Type: "text/plain", SHA256: book.SHA256}
	h := begin(t, `
input doc: file
output writer "<<doc.name>>: <<doc.text>>"
`, map[string]any{"doc": file})
	if diff := cmp.Diff(types.Parts{"b.txt: ", book}, h.call("output").Text); diff != "" {
		t.Error(diff)
	}
	h.answer("output", "ok")
	h.ends("ok")

	file.Binary = true
	h = begin(t, "input doc: file\noutput writer \"<<doc.text>>\"", map[string]any{"doc": file})
	h.failsWith("E_VALUE", "not a text")
}
