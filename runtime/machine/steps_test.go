package machine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
)

func TestAChainRunsInOrderOfReference(t *testing.T) {
	h := begin(t, `
input topic: string
facts = researcher "Facts about <<topic>>"
draft = writer "Write from:\n<<facts>>"
output editor "Tighten:\n<<draft>>"
`, map[string]any{"topic": "rain"})
	h.opens(`call facts 1 researcher "Facts about rain"`)
	h.answer("facts", "F")
	h.opens(`call draft 1 writer "Write from:\nF"`)
	h.answer("draft", "D")
	h.opens(`call output 1 editor "Tighten:\nD"`)
	h.answer("output", "E")
	h.opens(`finish succeeded "E"`)
	h.ends("E")
}

func TestStepsThatMentionNothingStartTogetherAndMentionsBelowCount(t *testing.T) {
	h := begin(t, `
a = writer "<<b>> <<c>>"
b = writer "b"
c = writer "c"
output a
`, nil)
	h.calls("b", "c")
	h.answer("c", "C")
	h.calls("b")
	h.answer("b", "B")
	h.opens(`call a 1 writer "B C"`)
	h.answer("a", "A")
	h.ends("A")
}

func TestDoingRunsInWrittenOrder(t *testing.T) {
	h := begin(t, `
one = shell "one"
two = shell "two"
think = writer "t"
three = shell "three"
output [one, two, three, think]
`, nil)
	h.calls("one", "think")
	h.answer("one", "1")
	h.calls("two", "think")
	h.answer("think", "t")
	h.answer("two", "2")
	h.answer("three", "3")
	h.ends([]any{"1", "2", "3", "t"})
}

func TestABlockWithoutAValueLineIsARecordOfItsSteps(t *testing.T) {
	h := begin(t, `
band = parallel {
  let tone = "C"
  melody = composer "m <<tone>>"
  beat = drummer "b"
}
output band
`, nil)
	h.calls("band/melody", "band/beat")
	h.answer("band/beat", "B")
	h.answer("band/melody", "M")
	h.ends(map[string]any{"melody": "M", "beat": "B"})
}

func TestAParallelStartsNoMoreThanItsLimit(t *testing.T) {
	h := begin(t, `
p = parallel limit 2 {
  a = writer "a"
  b = writer "b"
  c = writer "c"
  d = writer "d"
}
output p
`, nil)
	h.calls("p/a", "p/b")
	h.answer("p/b", "B")
	h.calls("p/a", "p/c")
	h.answer("p/a", "A")
	h.answer("p/c", "C")
	h.answer("p/d", "D")
	h.ends(map[string]any{"a": "A", "b": "B", "c": "C", "d": "D"})
}

func TestAGateHoldsBackWhatIsBelowIt(t *testing.T) {
	script := `
n = writer "n"
require len(n) > 2 else "too short: <<n>>"
m = writer "m"
output m
`
	h := begin(t, script, nil)
	h.calls("n")
	h.answer("n", "long")
	h.calls("m")
	h.answer("m", "M")
	h.ends("M")

	h = begin(t, script, nil)
	h.answer("n", "x")
	err := h.failsWith("E_REQUIRE", "too short: x")
	if err.Line != 3 || err.File != "main.slop" {
		t.Errorf("the failure should point at the gate, it points at %s:%d", err.File, err.Line)
	}
}

func TestAFailedGateCancelsThinkingAndAwaitsDoing(t *testing.T) {
	h := begin(t, `
a = shell "make"
b = writer "b"
c = writer "c"
require c == "ok" else "no"
output [a, b]
`, nil)
	h.begin("a")
	h.begin("b")
	h.answer("c", "bad")
	h.opens(`call a 1 shell ["make"]`, `cancel b 1`)
	h.stale(&run.CallDone{Path: "b", Attempt: 2, Value: "late"})
	h.answer("a", "made")
	h.opens(`cancel b 1`) // finish waits for the cost of b
	h.must(&run.CallEnded{Path: "b", Attempt: 1, Usage: run.Usage{Calls: 1, Cost: 5, CostSource: run.Reported}})
	h.stale(&run.CallEnded{Path: "b", Attempt: 1})
	h.stale(&run.CallDone{Path: "b", Attempt: 1, Value: "late"})
	h.failsWith("E_REQUIRE", "no")
	if h.m.Usage().Cost != 5 {
		t.Errorf("the cost of the cancelled call is lost: %+v", h.m.Usage())
	}
}

func TestLetsAreValues(t *testing.T) {
	h := begin(t, `
input n: int
let twice = n * 2
let many = twice > 5
output {twice: twice, many: many, run: run.id}
`, map[string]any{"n": 3})
	h.ends(map[string]any{"twice": 6, "many": true, "run": "r1"})
}

func TestAnExpressionThatFailsPointsAtItsPlace(t *testing.T) {
	h := begin(t, `
input x: any
let y = x.a.b
output y
`, map[string]any{"x": map[string]any{"a": 3}})
	err := h.failsWith("E_VALUE")
	if err.Line != 3 || err.Kind != "value" {
		t.Errorf("got %+v", err)
	}
}

func TestBranches(t *testing.T) {
	script := `
input n: int
x = if n > 10 { writer "big" } else if n > 5 { writer "middle" } else { small = writer "small" 
 output small }
output x
`
	for n, path := range map[int]run.Path{20: "x/then", 7: "x/elif2", 1: "x/else/small"} {
		h := begin(t, script, map[string]any{"n": n})
		h.calls(string(path))
		h.answer(path, "v")
		h.ends("v")
	}
	h := begin(t, "input n: int\nx = if n > 10 { writer \"big\" }\noutput x ?? \"none\"", map[string]any{"n": 1})
	h.ends("none")
}

func TestMatch(t *testing.T) {
	script := `
type Ticket { kind: "bug" | "billing" | "other" }
ticket = triage "?" as Ticket
output match ticket.kind {
  "bug", "billing" -> engineer "fix"
  else -> "none"
}
`
	h := begin(t, script, nil)
	h.answer("ticket", map[string]any{"kind": "billing"})
	h.calls(`output/"bug"`)
	h.answer(`output/"bug"`, "fixed")
	h.ends("fixed")
	h = begin(t, script, nil)
	h.answer("ticket", map[string]any{"kind": "other"})
	h.ends("none")
}

func TestFlowsAreInlined(t *testing.T) {
	p := compile(t, `
use "./polish.slop" as polish
a = polish "raw" budget 5 calls
b = polish(text: a, rounds: 3)
output b
`, map[string]string{"polish.slop": `
input text: string
input rounds: int = 1 must rounds < 4
first = editor "<<rounds>>: <<text>>"
output editor "again <<first>>"
`})
	h := beginWith(t, p, &run.Started{})
	h.opens(`call a/first 1 editor "1: raw"`)
	h.answer("a/first", "F")
	h.opens(`call a 1 editor "again F"`)
	h.answer("a", "A")
	h.opens(`call b/first 1 editor "3: A"`)
	h.answer("b/first", "F2")
	h.answer("b", "B")
	h.ends("B")
}

func TestElseIsTriedInOrder(t *testing.T) {
	h := begin(t, `
quote = oracle "A quote." else elder "A quote, <<error.kind>>: <<error.message>>" else "Patience."
output quote
`, nil)
	h.fail("quote", run.Failure, "down")
	h.opens(`call quote/else 1 elder "A quote, error: down"`)
	h.fail("quote/else", run.Refused, "no")
	h.ends("Patience.")
}

func TestElseSkipAndFailAndBlocks(t *testing.T) {
	h := begin(t, `
a = oracle "a" else skip
b = try { 
  x = oracle "x"
  y = oracle "y <<x>>"
} else {
  z = elder "z <<error.step>>"
  output {x: z, y: z}
}
c = oracle "c" else fail "c is gone"
output [a ?? "no a", b, c]
`, nil)
	h.fail("a", run.Denied, "no key")
	h.fail("b/x", run.Failure, "x broke")
	h.opens(`call b/else/z 1 elder "z b/x"`, `call c 1 oracle "c"`)
	h.answer("b/else/z", "Z")
	h.fail("c", run.Failure, "boom")
	h.failsWith("E_FAIL", "c is gone")
}

func TestFallbacksOfNestedNamelessBlocksHaveTheirOwnPaths(t *testing.T) {
	h := begin(t, `
x = try {
  try {
    oracle "1"
  } else { oracle "2" }
} else { oracle "3" }
output x
`, nil)
	h.fail("x", run.Failure, "a")
	h.fail("x/else", run.Failure, "b")
	h.calls("x/else2")
	h.answer("x/else2", "three")
	h.ends("three")
}

func TestRetryWaitsWithJitterAndHonoursRetryAfter(t *testing.T) {
	h := begin(t, `x = oracle "q" retry 3 wait 2s
output x`, nil)
	h.fail("x", run.RateLimited, "busy")
	first := h.call("x")
	if d := first.Due.Sub(h.now); first.Attempt != 2 || d < 0 || d > 2*time.Second {
		t.Fatalf("attempt %d is due in %s", first.Attempt, d)
	}
	h.begin("x")
	h.must(&run.CallFailed{Path: "x", Attempt: 2, Outcome: run.Unavailable, Message: "503", RetryAfter: 45 * time.Second})
	if d := h.call("x").Due.Sub(h.now); d != 45*time.Second {
		t.Fatalf("retry-after is not honoured: due in %s", d)
	}
	h.stale(&run.CallDone{Path: "x", Attempt: 2, Value: "late"})
	h.fail("x", run.Timeout, "slow")
	if d := h.call("x").Due.Sub(h.now); d > 8*time.Second {
		t.Fatalf("the third wait is up to 8s, it is %s", d)
	}
	h.fail("x", run.Timeout, "slow again")
	err := h.failsWith("E_TIMEOUT", "slow again")
	if err.Attempt != 4 || err.Agent != "oracle" || err.Path != "x" {
		t.Errorf("got %+v", err)
	}
}

func TestWhatCannotPassIsNotRetried(t *testing.T) {
	h := begin(t, `x = oracle "q" retry 3
output x`, nil)
	h.fail("x", run.Denied, "bad key")
	h.failsWith("E_DENIED", "bad key")
}

func TestRepairAsksAgainWithTheProblems(t *testing.T) {
	h := begin(t, `
type Review { score: int, must score > 0 else "positive" }
r = critic "Score" as Review repair 2
output r.score
`, nil)
	h.begin("r")
	h.must(&run.CallFailed{Path: "r", Attempt: 1, Outcome: run.Invalid, Problems: []string{"score: positive"}, Answer: map[string]any{"score": 0}})
	c := h.begin("r~1")
	if c.Repair == nil || c.Repair.Round != 1 || c.Attempt != 1 || c.Key != "r1/r~1" || !cmp.Equal(c.Repair.Answer, map[string]any{"score": 0}) {
		t.Fatalf("got %+v", c.Repair)
	}
	h.must(&run.CallFailed{Path: "r~1", Attempt: 1, Outcome: run.Invalid, Problems: []string{"score: still"}, Answer: "x"})
	h.answer("r~2", map[string]any{"score": 3})
	h.ends(3)
}

func TestRepairsEnd(t *testing.T) {
	h := begin(t, `r = critic "Score" as int
output r`, nil)
	for _, path := range []run.Path{"r", "r~1"} {
		h.begin(path)
		h.must(&run.CallFailed{Path: path, Attempt: 1, Outcome: run.Invalid, Problems: []string{"expected int"}, Answer: "x"})
	}
	h.failsWith("E_INVALID", "expected int")
}

func TestRaceTakesTheFirstSuccess(t *testing.T) {
	script := `
r = race {
  a = claude "a"
  b = gpt "b"
  c = local "c"
}
output r
`
	h := begin(t, script, nil)
	h.begin("r/a")
	h.begin("r/c")
	h.fail("r/b", run.Failure, "no")
	h.answer("r/c", "C")
	h.opens("cancel r/a 1")
	h.must(&run.CallDone{Path: "r/a", Attempt: 1, Value: "late", Usage: run.Usage{Calls: 1}}) // its own end will do
	h.ends("C")

	h = begin(t, script, nil)
	h.fail("r/a", run.Failure, "1")
	h.fail("r/b", run.Failure, "2")
	h.fail("r/c", run.Failure, "3")
	h.failsWith("E_CALL", "a: 1; b: 2; c: 3")
}

func TestRaceOfNIsAListInWrittenOrder(t *testing.T) {
	h := begin(t, `
r = race 2 {
  a = claude "a"
  b = gpt "b"
  c = local "c"
} else { output ["none"] }
output r
`, nil)
	h.answer("r/c", "C")
	h.answer("r/b", "B")
	h.ends([]any{"B", "C"})
	h = begin(t, "r = race 2 {\n a = claude \"a\"\n b = gpt \"b\"\n} else { output [\"none\"] }\noutput r", nil)
	h.begin("r/b")
	h.fail("r/a", run.Failure, "x")
	h.must(&run.CallEnded{Path: "r/b", Attempt: 1})
	h.ends([]any{"none"})
}

func TestArgumentsAreCheckedWhereTheyAreUsed(t *testing.T) {
	h := begin(t, `
input x: any
a = http.get(url: x)
output a.status
`, map[string]any{"x": []any{1}})
	h.failsWith("E_VALUE", "url must be string", "a list")
}

func TestWordsOfACommand(t *testing.T) {
	h := begin(t, `
input w: string
a = shell "grep -c <<w>> notes.txt"
output a
`, map[string]any{"w": `a b"; rm -rf /`})
	if got := h.call("a").Text; !cmp.Equal(got, []string{"grep", "-c", `a b"; rm -rf /`, "notes.txt"}) {
		t.Errorf("got %q", got)
	}
	h = begin(t, "input w: string\na = shell \"grep <<w>>\"\noutput a", map[string]any{"w": "-rf"})
	h.failsWith("E_VALUE", "--")
	h = begin(t, "input w: string\na = shell \"grep -- <<w>>\"\noutput a", map[string]any{"w": "-rf"})
	if got := h.call("a").Text; !cmp.Equal(got, []string{"grep", "--", "-rf"}) {
		t.Errorf("got %q", got)
	}
}

func TestValuesInAnAddressAreEncoded(t *testing.T) {
	h := begin(t, `
input q: string
a = http.get "http://localhost:8080/s/<<q>>?q=<<q>>"
output a.status
`, map[string]any{"q": "a b/../?&ü@x"})
	want := "http://localhost:8080/s/a%20b%2F..%2F%3F%26%C3%BC%40x?q=a%20b%2F..%2F%3F%26%C3%BC%40x"
	if got := h.call("a").Text; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSecretsStayNames(t *testing.T) {
	h := begin(t, `
secret token
a = http.get(url: "https://x.example/a", headers: {Authorization: "Bearer <<token>>"})
output a.status
`, nil)
	c := h.call("a")
	want := map[string]any{"Authorization": types.Parts{"Bearer ", types.Secret{Name: "token"}}}
	if !cmp.Equal(c.Args["headers"], want) {
		t.Errorf("got %#v", c.Args["headers"])
	}
}

func TestDefaultsOfAnAgentStandBelowItsArguments(t *testing.T) {
	p := compile(t, `a = claude(temperature: 0.5) "x"
output a`, nil)
	p.Callees[0].Defaults = []byte(`{"model":"big","temperature":1}`)
	p.Callees[0].System = "Be kind."
	h := beginWith(t, p, &run.Started{})
	c := h.call("a")
	if !cmp.Equal(c.Args, map[string]any{"model": "big", "temperature": 0.5}) || c.System != "Be kind." {
		t.Errorf("got %v, system %q", c.Args, c.System)
	}
}

func TestPersonasAreTheSystemText(t *testing.T) {
	h := begin(t, `
input who: string
agent base = claude "You are <<who>>."
agent judge2 = base "You judge."
a = judge2 "x"
output a
`, map[string]any{"who": "strict"})
	if got := h.call("a").System; got != "You are strict.\n\nYou judge." {
		t.Errorf("got %q", got)
	}
}

func TestDrift(t *testing.T) {
	h := begin(t, "a = shell \"x\"\nb = writer \"b\"\noutput [a, b]", nil)
	h.begin("a")
	h.must(&run.CallStarted{Path: "b", Attempt: 1, Key: "r1/b", Fingerprint: "0000", Reserved: run.Amount{Calls: 1}})
	h.opens(`cancel a 1 with grace`, `cancel b 1`)
	h.must(&run.CallEnded{Path: "b", Attempt: 1})
	h.must(&run.CallEnded{Path: "a", Attempt: 1})
	h.failsWith("E_DRIFT")
}

func TestFreeCallsNeedNoStart(t *testing.T) {
	h := begin(t, "a = echo \"hi\"\noutput a", nil)
	if c := h.call("a"); c.Fingerprint != "" {
		t.Errorf("a free call has no fingerprint, this is %s", c.Fingerprint)
	}
	h.stale(&run.CallStarted{Path: "a", Attempt: 1})
	h.must(&run.CallDone{Path: "a", Attempt: 1, Value: "hi"})
	h.ends("hi")
}

func TestACallMustStartBeforeItEnds(t *testing.T) {
	h := begin(t, "a = writer \"hi\"\noutput a", nil)
	h.stale(&run.CallDone{Path: "a", Attempt: 1, Value: "hi"})
	h.must(&run.CallDone{Path: "a", Attempt: 1, Value: "cached", Source: "cache"})
	h.ends("cached")
}

func TestErrorsOfHelloAreReadable(t *testing.T) {
	h := begin(t, "x = oracle \"q\"\noutput x", nil)
	h.fail("x", run.Failure, "down")
	if got := h.failsWith("E_CALL").String(); !strings.Contains(got, "E_CALL at x: down") {
		t.Errorf("got %q", got)
	}
}

func TestNothingIsAValueWhereAnythingMayStand(t *testing.T) {
	h := begin(t, "input x: any\nm = memory.set(path: \"p\", value: x)\noutput memory.get \"p\"", map[string]any{"x": nil})
	if v, ok := h.call("m").Args["value"]; !ok || v != nil {
		t.Errorf("got %v", h.call("m").Args)
	}
}

func TestAnEmptyPlanEndsAtOnce(t *testing.T) {
	h := beginWith(t, &plan.Plan{Blocks: []plan.Block{{Value: -1, Parent: -1}}}, &run.Started{})
	h.ends(map[string]any{})
}

func TestAMissingInputFailsTheRun(t *testing.T) {
	h := begin(t, "input x: string\na = writer \"<<x>>\"\noutput a", nil)
	h.failsWith("E_INPUT", "x is missing")
}

func TestALaterMachinesRunIsRefused(t *testing.T) {
	m := machine.New("r1", compile(t, "output 1", nil))
	_, err := m.Apply(run.Fact{Seq: 1, At: start, Body: &run.Started{Machine: machine.Version + 1}})
	if !errors.Is(err, machine.ErrVersion) {
		t.Errorf("got %v", err)
	}
}

func TestASnapshotOfAnotherPlanIsRefused(t *testing.T) {
	h := begin(t, "a = writer \"a\"\nb = map x in [1, 2] { reader \"<<x>>\" }\noutput [a, b]", nil)
	snap, err := h.m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range [][]byte{nil, []byte("{}"), []byte(`{"v":1,"machine":1,"frames":[{"block":99}]}`), []byte(strings.Replace(string(snap), `{"v":`, `{"v":9`, 1))} {
		if _, err := machine.Restore(h.p, s); err == nil {
			t.Errorf("%s was restored", s)
		}
	}
	if _, err := machine.Restore(compile(t, "output 1", nil), snap); err == nil {
		t.Error("a snapshot was restored with another plan")
	}
}

func TestABudgetWithinABudget(t *testing.T) {
	h := begin(t, `
input xs: [int]
budget 4 calls
ys = map x in xs limit 3 tolerate all {
  writer "<<x>>"
} budget 3 calls
z = writer "z"
output [len(ys), z]
`, map[string]any{"xs": numbers(6)})
	h.calls("ys[0]", "ys[1]", "ys[2]", "z")
	h.answer("z", "Z")
	h.answer("ys[1]", "1")
	h.answer("ys[0]", "0")
	h.answer("ys[2]", "2")
	h.ends([]any{3, "Z"})
}

func TestALoopThatCallsNobodyIsBounded(t *testing.T) {
	m := machine.New("r1", compile(t, "n = loop i from 0 max 1000000000 { output i + 1 }\noutput n", nil))
	m.SetLimit(1000)
	d, err := m.Apply(run.Fact{Seq: 1, At: start, Body: &run.Started{}})
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := d.Opened[0].(*run.FinishWish); !ok || f.Finished.Error.Code != "E_LIMIT" {
		t.Errorf("got %s", d.Opened)
	}
}

func TestTwoCallsCannotHaveOnePath(t *testing.T) {
	h := begin(t, "input c: bool\nx = try {\n then = writer \"a\"\n if c { critic \"b\" }\n}\noutput x ?? \"none\"", map[string]any{"c": true})
	h.calls()
	h.failsWith("E_PATH", "x/then")
}
