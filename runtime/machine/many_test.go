package machine_test

import (
	"fmt"
	"testing"

	"github.com/slopstudios/slop/runtime/run"
)

func numbers(n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestMapKeepsOrderAndHasNoBatches(t *testing.T) {
	h := begin(t, `
input xs: [int]
ys = map x, i in xs limit 2 {
  reader "<<x>> at <<i>>"
}
output ys
`, map[string]any{"xs": []any{5, 6, 7, 8}})
	h.opens(`call ys[0] 1 reader "5 at 0"`, `call ys[1] 1 reader "6 at 1"`)
	h.answer("ys[1]", "b")
	h.calls("ys[0]", "ys[2]")
	h.answer("ys[2]", "c")
	h.calls("ys[0]", "ys[3]")
	h.answer("ys[3]", "d")
	h.answer("ys[0]", "a")
	h.ends([]any{"a", "b", "c", "d"})
}

func TestAMapOfNothingIsDone(t *testing.T) {
	h := begin(t, "input xs: [int]\nys = map x in xs { reader \"<<x>>\" }\noutput ys", map[string]any{"xs": []any{}})
	h.ends([]any{})
}

func TestTheFirstFailureStopsAMap(t *testing.T) {
	h := begin(t, "input xs: [int]\nys = map x in xs limit 2 { reader \"<<x>>\" }\noutput ys", map[string]any{"xs": numbers(5)})
	h.begin("ys[1]")
	h.fail("ys[0]", run.Failure, "broken")
	h.opens("cancel ys[1] 1")
	h.must(&run.CallEnded{Path: "ys[1]", Attempt: 1})
	if err := h.failsWith("E_CALL", "broken"); err.Path != "ys[0]" {
		t.Errorf("got %+v", err)
	}
}

func TestToleratedFailuresGoInto(t *testing.T) {
	script := `
input xs: [int]
ys = map x in xs limit 3 tolerate %s into missed {
  n = reader "<<x>>"
  output n
}
output {ys: ys, missed: missed}
`
	h := begin(t, fmt.Sprintf(script, "50%"), map[string]any{"xs": numbers(5)})
	h.fail("ys[2]/n", run.Failure, "two")
	h.fail("ys[0]/n", run.Failure, "zero")
	for _, i := range []string{"1", "3", "4"} {
		h.answer(run.Path("ys["+i+"]/n"), "v"+i)
	}
	missed := func(i int, m string) map[string]any {
		return map[string]any{"item": i, "index": i, "error": map[string]any{"step": fmt.Sprintf("ys[%d]/n", i), "kind": "error", "message": m}}
	}
	h.ends(map[string]any{"ys": []any{"v1", "v3", "v4"}, "missed": []any{missed(0, "zero"), missed(2, "two")}})

	h = begin(t, fmt.Sprintf(script, "1"), map[string]any{"xs": numbers(3)})
	h.fail("ys[0]/n", run.Failure, "zero")
	h.fail("ys[1]/n", run.Failure, "one")
	h.failsWith("E_CALL", "one")

	h = begin(t, fmt.Sprintf(script, "all"), map[string]any{"xs": numbers(2)})
	h.fail("ys[0]/n", run.Failure, "zero")
	h.fail("ys[1]/n", run.Failure, "one")
	h.ends(map[string]any{"ys": []any{}, "missed": []any{missed(0, "zero"), missed(1, "one")}})
}

func TestAnItemMayUseWhatIsNotDoneYet(t *testing.T) {
	h := begin(t, `
input xs: [int]
slow = writer "slow"
ys = map x in xs limit 2 {
  a = reader "<<x>>"
  writer "<<a>> <<slow>>"
}
output ys
`, map[string]any{"xs": numbers(3)})
	h.calls("slow", "ys[0]/a", "ys[1]/a")
	h.answer("ys[0]/a", "a0")
	h.calls("slow", "ys[1]/a")
	h.answer("slow", "S")
	h.opens(`call ys[0] 1 writer "a0 S"`, `call ys[1]/a 1 reader "1"`)
	h.answer("ys[0]", "0")
	h.answer("ys[1]/a", "a1")
	h.answer("ys[2]/a", "a2")
	h.answer("ys[2]", "2")
	h.answer("ys[1]", "1")
	h.ends([]any{"0", "1", "2"})
}

func TestReduceIsATree(t *testing.T) {
	script := `
input xs: [string]
r = reduce p in xs by 2 {
  editor "<<join(p, "+")>>"
}
output r
`
	h := begin(t, script, map[string]any{"xs": []any{"a", "b", "c", "d", "e"}})
	h.opens(`call r^1[0] 1 editor "a+b"`, `call r^1[1] 1 editor "c+d"`)
	h.answer("r^1[1]", "cd")
	h.answer("r^1[0]", "ab")
	h.opens(`call r^2[0] 1 editor "ab+cd"`)
	h.answer("r^2[0]", "abcd")
	h.opens(`call r^3[0] 1 editor "abcd+e"`)
	h.answer("r^3[0]", "abcde")
	h.ends("abcde")

	h = begin(t, script, map[string]any{"xs": []any{"a"}})
	h.ends("a")
	h = begin(t, script, map[string]any{"xs": []any{}})
	h.failsWith("E_VALUE", "empty")
}

func TestReduceRunsEightGroupsAtATime(t *testing.T) {
	xs := make([]any, 30)
	for i := range xs {
		xs[i] = "x"
	}
	h := begin(t, "input xs: [string]\nr = reduce p in xs by 3 { editor \"<<p>>\" }\noutput r", map[string]any{"xs": xs})
	if n := len(h.callPaths()); n != 8 {
		t.Fatalf("%d groups at a time", n)
	}
	h.answer("r^1[3]", "y")
	if got := h.callPaths(); len(got) != 8 || got[7] != "r^1[8]" {
		t.Fatalf("got %q", got)
	}
}

const poem = `
type Review { score: int, notes: string }
start = writer "start"
poem = loop draft from start max 3 {
  review = critic "Score:\n<<draft>>" as Review
  stop if review.score >= 8
  writer "Rewrite <<review.notes>>\n<<draft>>"
} %s
output poem
`

func review(score int) any { return map[string]any{"score": score, "notes": "n"} }

func TestALoopStopsWithTheJudgedValue(t *testing.T) {
	h := begin(t, fmt.Sprintf(poem, "else keep"), nil)
	h.answer("start", "v0")
	h.answer("poem#1/review", review(3))
	h.opens(`call poem#1 1 writer "Rewrite n\nv0"`)
	h.answer("poem#1", "v1")
	h.opens(`call poem#2/review 1 critic "Score:\nv1"`)
	h.answer("poem#2/review", review(9))
	h.ends("v1")
}

func TestALoopThatRunsOutKeepsTheLastValue(t *testing.T) {
	h := begin(t, fmt.Sprintf(poem, "else keep"), nil)
	h.answer("start", "v0")
	for _, k := range []string{"1", "2", "3"} {
		h.answer(run.Path("poem#"+k+"/review"), review(1))
		h.answer(run.Path("poem#"+k), "v"+k)
	}
	h.ends("v3")
}

func TestKeepIsTheLastFinishedRoundWhenABodyFails(t *testing.T) {
	h := begin(t, fmt.Sprintf(poem, "else keep"), nil)
	h.answer("start", "v0")
	h.answer("poem#1/review", review(1))
	h.answer("poem#1", "v1")
	h.answer("poem#2/review", review(1))
	h.fail("poem#2", run.Failure, "broken")
	h.ends("v1")
}

func TestTheLastRoundIsOnlyJudgedWhenItsValueIsNotNeeded(t *testing.T) {
	h := begin(t, fmt.Sprintf(poem, `else fail "not good enough"`), nil)
	h.answer("start", "v0")
	h.answer("poem#1/review", review(1))
	h.answer("poem#1", "v1")
	h.answer("poem#2/review", review(1))
	h.answer("poem#2", "v2")
	h.calls("poem#3/review")
	h.answer("poem#3/review", review(1))
	h.failsWith("E_FAIL", "not good enough")

	h = begin(t, fmt.Sprintf(poem, `else elder "save <<draft>>: <<error.message>>"`), nil)
	h.answer("start", "v0")
	for _, k := range []string{"1", "2", "3"} {
		h.answer(run.Path("poem#"+k+"/review"), review(1))
		h.answer(run.Path("poem#"+k), "v"+k)
	}
	h.opens("call poem/else 1 elder \"save v3: `stop if` did not hold in any of the 3 rounds\"")
	h.answer("poem/else", "saved")
	h.ends("saved")
}

func TestStopLeavesWhatIsUnderWay(t *testing.T) {
	h := begin(t, `
v = loop x from 0 max 3 {
  deed = shell "deed"
  idea = writer "idea"
  check = critic "<<x>>" as int
  stop if check > 0
  output len(deed) + len(idea) + check
} else keep
output v
`, nil)
	h.begin("v#1/deed")
	h.begin("v#1/idea")
	h.answer("v#1/check", 1)
	h.opens(`call v#1/deed 1 shell ["deed"]`, `cancel v#1/idea 1`)
	h.answer("v#1/deed", "done")
	h.must(&run.CallEnded{Path: "v#1/idea", Attempt: 1})
	h.ends(0)
}

func TestALoopWithoutStopGoesAllItsRounds(t *testing.T) {
	h := begin(t, `
said = loop s from [] max 2 {
  a = claude "a <<s>>"
  output concat(s, [a])
}
output said
`, nil)
	h.answer("said#1/a", "x")
	h.answer("said#2/a", "y")
	h.ends([]any{"x", "y"})
}
