package invariant_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
)

func compile(t *testing.T, script string) *plan.Plan {
	t.Helper()
	p, diags := lang.Compile(source.NewFile("main.slop", script), langtest.Scope())
	if p == nil {
		t.Fatalf("%v", diags)
	}
	return p
}

const script = `
budget 5 calls
input n: int
a = writer "a" retry 2
one = shell "one"
two = shell "two"
require len(a) > 1 else "short"
ys = map x in [1, 2] { 
  r = reader "<<x>> <<a>>"
  output try { 
    critic "<<r>>" 
  } else { writer "<<x>>" }
}
output [one, two, ys]
`

// history numbers bodies.
func history(bodies ...run.Body) []run.Fact {
	var out []run.Fact
	for i, b := range bodies {
		out = append(out, run.Fact{Seq: run.Seq(i + 1), At: time.Date(2026, 11, 22, 10, 0, i, 0, time.UTC), Body: b})
	}
	return out
}

func begins(path run.Path, attempt int) run.Body {
	return &run.CallStarted{Path: path, Attempt: attempt, Key: "r/" + string(path), Fingerprint: "f", Reserved: run.Amount{Calls: 1}}
}

func done(path run.Path, attempt int, v any) run.Body {
	return &run.CallDone{Path: path, Attempt: attempt, Value: v, Usage: run.Usage{Calls: 1}}
}

func failed(path run.Path, attempt int) run.Body {
	return &run.CallFailed{Path: path, Attempt: attempt, Outcome: run.Failure, Usage: run.Usage{Calls: 1}}
}

func started() run.Body { return &run.Started{Inputs: map[string]any{"n": 1}} }

func finished(calls int64) run.Body {
	return &run.Finished{Status: run.Succeeded, Usage: run.Usage{Calls: calls}}
}

func TestAGoodHistoryHasNoProblems(t *testing.T) {
	facts := history(started(), begins("a", 1), begins("one", 1), failed("a", 1), begins("a", 2), done("one", 1, "1"), begins("two", 1), done("a", 2, "long"), done("two", 1, "2"),
		begins("ys[0]/r", 1), done("ys[0]/r", 1, "r"))
	if problems := invariant.Check(compile(t, script), facts); len(problems) > 0 {
		t.Errorf("%s", strings.Join(problems, "\n"))
	}
	p := compile(t, strings.Replace(script, "budget 5 calls", "", 1))
	facts = append(facts, history(begins("ys[0]", 1), failed("ys[0]", 1), begins("ys[0]/else", 1), done("ys[0]/else", 1, "e"))...)
	for i := range facts {
		facts[i].Seq = run.Seq(i + 1)
	}
	if problems := invariant.Check(p, facts); len(problems) > 0 {
		t.Errorf("%s", strings.Join(problems, "\n"))
	}
}

func TestEachInvariantIsSeen(t *testing.T) {
	good := []run.Body{started(), begins("a", 1), done("a", 1, "long")}
	for _, c := range []struct {
		want   string
		bodies []run.Body
	}{
		{"comes before the start", []run.Body{begins("a", 1)}},
		{"started twice", append(slices.Clone(good), started())},
		{"comes after the end", append(slices.Clone(good), finished(1), &run.PauseAsked{})},
		{"has not started", []run.Body{started(), done("a", 1, "x")}},
		{"is not under way", append(slices.Clone(good), done("a", 1, "x"))},
		{"second result", append(slices.Clone(good), done("a", 1, "x"))},
		{"starts after it was done", append(slices.Clone(good), begins("a", 2))},
		{"attempt 3 of a comes after 0", []run.Body{started(), begins("a", 3)}},
		{"while its attempt 1 is under way", []run.Body{started(), begins("a", 1), begins("a", 2)}},
		{"no such step", []run.Body{started(), begins("nobody", 1)}},
		{"no such step", []run.Body{started(), begins("ys/r", 1)}},
		{"during a pause", []run.Body{started(), &run.PauseAsked{}, begins("a", 1)}},
		{"after the run was cancelled", []run.Body{started(), &run.CancelAsked{}, begins("a", 1)}},
		{"what it sends is not recorded", []run.Body{started(), &run.CallStarted{Path: "a", Attempt: 1, Key: "r/a"}}},
		{"is not run/path", []run.Body{started(), &run.CallStarted{Path: "a", Attempt: 1, Key: "a", Fingerprint: "f"}}},
		{"is not run/path", []run.Body{started(), begins("a", 1), &run.CallStarted{Path: "one", Attempt: 1, Key: "other/one", Fingerprint: "f"}}},
		{"the run ends while a is under way", []run.Body{started(), begins("a", 1), finished(0)}},
		{"the end says", append(slices.Clone(good), finished(7))},
		{"nobody asked for it", append(slices.Clone(good), &run.Finished{Status: run.Cancelled, Usage: run.Usage{Calls: 1}})},
		{"its error is", append(slices.Clone(good), &run.Finished{Status: run.Failed, Usage: run.Usage{Calls: 1}})},
		{`"two" begins before "one"`, []run.Body{started(), begins("one", 1), begins("two", 1), done("one", 1, "1")}},
		{`"two" begins before "one"`, []run.Body{started(), begins("two", 1), done("two", 1, "1"), begins("one", 1)}},
		{"starts before a, which it needs", []run.Body{started(), begins("ys[0]/r", 1)}},
		{"did not let it through", []run.Body{started(), begins("a", 1), done("a", 1, "x"), begins("one", 1), done("one", 1, "1"), begins("two", 1), done("two", 1, "2"), begins("ys[1]/r", 1)}},
		{"promises", []run.Body{started(), begins("a", 1), failed("a", 1), begins("a", 2), failed("a", 2), begins("a", 3), begins("one", 1), done("one", 1, "1"), begins("two", 1), begins("ys[0]", 1)}},
		{"that attempt is not under way", []run.Body{started(), &run.CallEnded{Path: "a", Attempt: 1}}},
	} {
		problems := strings.Join(invariant.Check(compile(t, script), history(c.bodies...)), "\n")
		if !strings.Contains(problems, c.want) {
			t.Errorf("%v: want a problem that says %q, got\n%s", c.bodies[len(c.bodies)-1], c.want, problems)
		}
	}
	gap := history(good...)
	gap[2].Seq = 4
	if problems := invariant.Check(compile(t, script), gap); len(problems) == 0 {
		t.Error("a gap was not seen")
	}
}

func TestAFallbackStartsAloneInTheWorld(t *testing.T) {
	p := compile(t, "x = try {\n a = shell \"a\"\n b = writer \"b\"\n output [a, b]\n} else {\n c = writer \"c\"\n output [c, c]\n}\noutput x")
	bodies := []run.Body{started(), begins("x/a", 1), begins("x/b", 1), failed("x/b", 1), begins("x/else/c", 1)}
	if problems := strings.Join(invariant.Check(p, history(bodies...)), "\n"); !strings.Contains(problems, "which it replaces") {
		t.Errorf("got %q", problems)
	}
	bodies = slices.Insert(bodies, 4, failed("x/a", 1))
	if problems := invariant.Check(p, history(bodies...)); len(problems) > 0 {
		t.Errorf("got %q", problems)
	}
}

func TestStrangePathsAreNoStep(t *testing.T) {
	p := compile(t, script)
	for _, path := range []run.Path{"", "/", "a/", "a~", "a~x", "ys[", "ys[x]/r", "ys[1", "ys[1]x", "ys#1/r", "~1", "[0]", `"`, "ys[0]/r~1~2", "ys[0]/elsewhere"} {
		if problems := invariant.Check(p, history(started(), begins(path, 1))); !strings.Contains(strings.Join(problems, " "), "no such step") {
			t.Errorf("%q was taken for a step: %v", path, problems)
		}
	}
}
