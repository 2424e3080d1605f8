package machine_test

import (
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

func TestACallCarriesItsTimeout(t *testing.T) {
	h := begin(t, "x = oracle \"q\" timeout 30s retry 1 else \"late\"\noutput x", nil)
	if c := h.call("x"); c.Timeout != 30*time.Second {
		t.Fatalf("got %s", c.Timeout)
	}
	h.fail("x", run.Timeout, "no answer within 30s")
	h.fail("x", run.Timeout, "no answer within 30s")
	h.ends("late")
}

func TestABlockThatTakesTooLong(t *testing.T) {
	h := begin(t, `
x = try {
  a = shell "a"
  b = writer "b"
  output [a, b]
} timeout 1m else { output ["late"] }
output x
`, nil)
	h.begin("x/a")
	h.begin("x/b")
	h.opens("sleep x@timeout until 2026-11-22T10:01:00Z", `call x/a 1 shell ["a"]`, `call x/b 1 writer "b"`)
	h.fire("x@timeout")
	h.opens("cancel x/a 1 with grace", "cancel x/b 1")
	h.must(&run.CallEnded{Path: "x/b", Attempt: 1})
	h.opens("cancel x/a 1 with grace") // the else waits for the end of what changes the world
	h.must(&run.CallEnded{Path: "x/a", Attempt: 1})
	h.ends([]any{"late"})
}

func TestABlockInTimeLeavesNoTimer(t *testing.T) {
	h := begin(t, "x = parallel { \n a = writer \"a\"\n } timeout 1m\noutput x", nil)
	h.answer("x/a", "A")
	h.stale(&run.TimerFired{Timer: "x@timeout"})
	h.ends(map[string]any{"a": "A"})
}

func TestTheDeadlineOfTheRun(t *testing.T) {
	p := compile(t, "budget 10m\na = shell \"x\"\noutput a", nil)
	h := beginWith(t, p, &run.Started{Options: run.Options{Timeout: time.Minute}})
	h.begin("a")
	h.opens(`call a 1 shell ["x"]`, "sleep @run until 2026-11-22T10:01:00Z")
	h.fire("@run")
	h.must(&run.CallEnded{Path: "a", Attempt: 1})
	h.failsWith("E_TIMEOUT", "1m")
}

func TestQuestions(t *testing.T) {
	script := `
draft = writer "d"
ok = human.approve "Publish?\n<<draft>>" timeout 2d else "no"
output ok
`
	h := begin(t, script, nil)
	h.answer("draft", "D")
	h.opens("sleep ok@timeout until 2026-11-24T10:00:00Z", `ask ok human.approve "Publish?\nD" until 2026-11-24T10:00:00Z`)
	if h.m.Status() != run.Waiting {
		t.Errorf("the run is %s", h.m.Status())
	}
	form := h.open[(&run.AskWish{Path: "ok"}).ID()].(*run.AskWish).Form
	if form.Kind != "approve" || len(form.Choices) != 2 {
		t.Errorf("got %+v", form)
	}
	h.must(&run.Asked{Path: "ok", Form: form})
	h.stale(&run.Asked{Path: "ok", Form: form})
	h.stale(&run.Answered{Path: "ok", Value: "perhaps"})
	h.must(&run.Answered{Path: "ok", Value: "yes", By: "me"})
	h.stale(&run.Answered{Path: "ok", Value: "no"})
	h.ends("yes")

	h = begin(t, script, nil)
	h.answer("draft", "D")
	h.fire("ok@timeout")
	h.stale(&run.Answered{Path: "ok", Value: "yes"})
	h.ends("no")
}

func TestChoices(t *testing.T) {
	h := begin(t, "input xs: [string]\nok = human.choose(question: \"Which?\", from: xs)\noutput ok", map[string]any{"xs": []any{"a", "b"}})
	h.stale(&run.Answered{Path: "ok", Value: "c"})
	h.must(&run.Answered{Path: "ok", Value: "b"})
	h.ends("b")
}

func TestWaiting(t *testing.T) {
	script := "input d: string\nwait \"<<d>>\"\n"
	script = "input d: string\npause_ = wait \"<<d>>\"\na = shell \"a\"\noutput a"
	h := begin(t, script, map[string]any{"d": "1h30m"})
	h.opens("sleep pause_ until 2026-11-22T11:30:00Z")
	h.fire("pause_")
	h.answer("a", "A")
	h.ends("A")
	h = begin(t, script, map[string]any{"d": "soon"})
	h.failsWith("E_VALUE", `"soon"`)
	h = begin(t, "w = wait(until: \"2026-11-23T00:00:00+01:00\")\na = shell \"a\"\noutput a", nil)
	h.opens("sleep w until 2026-11-22T23:00:00Z")
	h = begin(t, "w = wait \"2d\" timeout 1d\na = shell \"a\"\noutput a", nil)
	h.fire("w")
	h.failsWith("E_TIMEOUT")
}

func TestAPauseStartsNothingAndLetsCallsEnd(t *testing.T) {
	h := begin(t, `
a = writer "a"
b = writer "b"
c = writer "<<a>>"
let n = len(c)
output [a, b, n]
`, nil)
	h.begin("a")
	h.must(&run.PauseAsked{By: "me"})
	h.stale(&run.PauseAsked{})
	h.stale(&run.CallStarted{Path: "b", Attempt: 1})
	h.calls("a")
	h.answer("a", "A")
	h.opens()
	if h.m.Status() != run.Paused {
		t.Errorf("the run is %s", h.m.Status())
	}
	h.must(&run.ResumeAsked{})
	h.stale(&run.ResumeAsked{})
	h.calls("b", "c")
	h.answer("c", "cc")
	h.answer("b", "B")
	h.ends([]any{"A", "B", 2})
}

func TestDeadlinesMoveByTheLengthOfAPauseAndWaitsDoNot(t *testing.T) {
	h := begin(t, `
x = parallel {
  w = wait "5m"
  q = human.ask "q?" timeout 10m else "nobody"
} timeout 1h
output x.q
`, nil)
	h.now = h.now.Add(time.Minute)
	h.must(&run.PauseAsked{})
	h.opens("sleep x/w until 2026-11-22T10:05:00Z", "sleep x/q@timeout until 2026-11-22T10:10:00Z", `ask x/q human.ask "q?" until 2026-11-22T10:10:00Z`)
	h.stale(&run.TimerFired{Timer: "x@timeout"})
	h.fire("x/q@timeout")
	h.fire("x/w")
	h.stale(&run.TimerFired{Timer: "x/w"})
	h.opens(`ask x/q human.ask "q?" until 2026-11-22T10:10:00Z`)
	h.now = start.Add(31 * time.Minute)
	h.must(&run.ResumeAsked{})
	h.ends("nobody")
}

func TestABlocksDeadlineAfterAPause(t *testing.T) {
	h := begin(t, "x = try {\n a = writer \"a\"\n output a\n} timeout 1h\noutput x", nil)
	h.now = h.now.Add(10 * time.Minute)
	h.must(&run.PauseAsked{})
	h.opens()
	h.now = h.now.Add(30 * time.Minute)
	h.must(&run.ResumeAsked{})
	h.opens("sleep x@timeout until 2026-11-22T11:30:00Z", `call x/a 1 writer "a"`)
}

func TestCancel(t *testing.T) {
	h := begin(t, `
a = shell "a"
b = writer "b"
q = human.ask "q?"
c = writer "c"
output [a, b, q, c]
`, nil)
	h.begin("a")
	h.begin("b")
	h.must(&run.CancelAsked{By: "me", Reason: "enough"})
	h.opens("cancel a 1 with grace", "cancel b 1")
	h.stale(&run.CancelAsked{})
	h.stale(&run.PauseAsked{})
	h.stale(&run.CallStarted{Path: "c", Attempt: 1})
	h.must(&run.CallDone{Path: "a", Attempt: 1, Value: "made it"})
	h.must(&run.CallEnded{Path: "b", Attempt: 1})
	f := h.finish()
	if f.Status != run.Cancelled || f.Error.Code != "E_CANCELLED" {
		t.Errorf("got %s, %s", f.Status, f.Error)
	}
}

func TestCancelWhilePausedAndWhileFailing(t *testing.T) {
	h := begin(t, "a = writer \"a\"\noutput a", nil)
	h.must(&run.PauseAsked{})
	h.must(&run.CancelAsked{})
	if f := h.finish(); f.Status != run.Cancelled {
		t.Errorf("got %s", f.Status)
	}
	h = begin(t, "a = shell \"a\"\nb = writer \"b\"\noutput [a, b]", nil)
	h.begin("a")
	h.fail("b", run.Failure, "broken")
	h.opens(`call a 1 shell ["a"]`)
	h.must(&run.CancelAsked{})
	h.opens("cancel a 1 with grace")
	h.must(&run.CallFailed{Path: "a", Attempt: 1, Outcome: run.Failure, Message: "killed"})
	if f := h.finish(); f.Status != run.Cancelled {
		t.Errorf("got %s", f.Status)
	}
}

func TestInterruptedThinkingIsCalledAgain(t *testing.T) {
	h := begin(t, "a = writer \"a\"\noutput a", nil)
	h.begin("a")
	if !h.call("a").Started {
		t.Error("Open should say that the call has started")
	}
	h.must(&run.CallFailed{Path: "a", Attempt: 1, Outcome: run.Interrupted})
	if c := h.call("a"); c.Attempt != 2 || c.Started || c.Key != "r1/a" {
		t.Errorf("got %+v", c)
	}
	h.answer("a", "A")
	h.ends("A")
}

func TestAnInterruptedDeedIsAQuestion(t *testing.T) {
	script := "a = shell \"a\"\noutput a"
	interrupted := func() *host {
		h := begin(t, script, nil)
		h.begin("a")
		h.must(&run.CallFailed{Path: "a", Attempt: 1, Outcome: run.Interrupted, Message: "the machine went away"})
		if h.m.Status() != run.Waiting {
			t.Errorf("the run is %s", h.m.Status())
		}
		h.stale(&run.Answered{Path: "a", Value: "what?"})
		return h
	}
	h := interrupted()
	h.must(&run.Answered{Path: "a", Value: map[string]any{"done": "it was"}})
	h.ends("it was")
	h = interrupted()
	h.must(&run.Answered{Path: "a", Value: "again"})
	if c := h.call("a"); c.Attempt != 2 {
		t.Errorf("got attempt %d", c.Attempt)
	}
	h.answer("a", "A")
	h.ends("A")
	h = interrupted()
	h.must(&run.Answered{Path: "a", Value: "fail"})
	h.failsWith("E_INTERRUPTED")
}

func TestAnInterruptedDeedThatIsCaughtFails(t *testing.T) {
	h := begin(t, "a = try {\n x = shell \"a\"\n output x\n} else { output \"undone\" }\noutput a", nil)
	h.begin("a/x")
	h.must(&run.CallFailed{Path: "a/x", Attempt: 1, Outcome: run.Interrupted, Message: "away"})
	h.ends("undone")
}

func TestBudgetOfCalls(t *testing.T) {
	h := begin(t, `
budget 3 calls
a = writer "a" retry 5
b = writer "b"
output [a, b]
`, nil)
	h.fail("a", run.Timeout, "t")
	h.begin("b")
	h.begin("a")
	h.must(&run.CallFailed{Path: "a", Attempt: 2, Outcome: run.Timeout, Message: "t"})
	h.calls("b") // the fourth does not fit; b is in flight and may give something back
	h.answer("b", "B")
	h.failsWith("E_BUDGET", "3 calls")
}

func TestACallWaitsForBudgetThatComesBack(t *testing.T) {
	p := compile(t, `
budget $0.05
a = claude "a"
b = claude "b"
output [a, b]
`, nil)
	h := beginWith(t, p, &run.Started{})
	h.calls("a") // each may cost three cents
	if r := h.call("a").Reserve; r.Money != 30003 || r.Tokens != 2001 || r.Calls != 1 {
		t.Errorf("got %+v", r)
	}
	h.begin("a")
	h.must(&run.CallDone{Path: "a", Attempt: 1, Value: "A", Usage: run.Usage{Calls: 1, Cost: 1000, CostSource: run.Reported}})
	h.answer("b", "B")
	h.ends([]any{"A", "B"})
}

func TestASpentBudgetIsCaughtByElse(t *testing.T) {
	h := begin(t, `
a = claude "a" budget $0.01 else elder "e"
output a
`, nil)
	h.calls("a/else") // the fallback is not charged to the step it replaces
	h.answer("a/else", "E")
	h.ends("E")
}

func TestBudgetsOfBlocksAddUp(t *testing.T) {
	h := begin(t, `
input xs: [int]
x = map i in xs limit 4 tolerate all {
  writer "<<i>>"
} budget 2 calls
y = writer "y"
output [x, y]
`, map[string]any{"xs": numbers(4)})
	h.calls("x[0]", "x[1]", "y")
	h.answer("x[1]", "1")
	h.answer("x[0]", "0")
	h.answer("y", "Y")
	h.ends([]any{[]any{"0", "1"}, "Y"})
}

func TestAnAgentWithoutAPriceUnderABudget(t *testing.T) {
	p := compile(t, "a = claude \"a\"\noutput a", nil)
	p.Callees[0].Price = nil
	h := beginWith(t, p, &run.Started{Options: run.Options{Budget: []plan.Amount{{Money: 1000000}}}})
	h.failsWith("E_BUDGET", "price of claude is not known")
}

func TestAnInterruptedCallKeepsItsReservationAsSpent(t *testing.T) {
	h := begin(t, "budget 2 calls\na = writer \"a\"\nb = writer \"<<a>>\"\noutput b", nil)
	h.begin("a")
	h.must(&run.CallFailed{Path: "a", Attempt: 1, Outcome: run.Interrupted})
	h.answer("a", "A")
	h.failsWith("E_BUDGET")
}

func TestACallReservesWhatItsModelAndItsLimitCost(t *testing.T) {
	p := compile(t, `
input name: string = "opus"
budget $1
a = claude(model: "opus", max_tokens: 8000) "a"
b = claude "b"
c = claude(model: name, max_tokens: 10) "c"
output [a, b, c]
`, nil)
	h := beginWith(t, p, &run.Started{})
	for path, want := range map[run.Path]plan.Money{"a": 8000*25 + 13*5, "b": 2000*15 + 3, "c": 10*25 + 13*5} {
		if r := h.call(path).Reserve; r.Money != want {
			t.Errorf("%s reserves %d, want %d", path, r.Money, want)
		}
	}
	h = beginWith(t, p, &run.Started{Inputs: map[string]any{"name": "mystery"}})
	h.failsWith("E_BUDGET", "price of claude is not known")
}
