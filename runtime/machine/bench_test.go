package machine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
)

// benchmark carries a run out as fast as the machine lets it: every call is started and answered at once. A step is a call.
func benchmark(b *testing.B, p *plan.Plan, inputs map[string]any, steps int) {
	b.ReportAllocs()
	for b.Loop() {
		if n := carryOut(b, p, inputs); n != steps {
			b.Fatalf("%d steps instead of %d", n, steps)
		}
	}
	perStep := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(steps)
	b.ReportMetric(perStep, "ns/step")
}

func carryOut(t testing.TB, p *plan.Plan, inputs map[string]any) int {
	m := machine.New("bench", p)
	seq := run.Seq(0)
	apply := func(body run.Body) run.Delta {
		seq++
		d, err := m.Apply(run.Fact{Seq: seq, At: start, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	open := apply(&run.Started{Inputs: inputs}).Opened
	steps := 0
	for i := 0; i < len(open); i++ {
		switch w := open[i].(type) {
		case *run.CallWish:
			steps++
			if !w.Callee.Free {
				apply(&run.CallStarted{Path: w.Path, Attempt: w.Attempt, Key: w.Key, Fingerprint: w.Fingerprint, Reserved: w.Reserve})
			}
			open = append(open, apply(&run.CallDone{Path: w.Path, Attempt: w.Attempt, Value: "v", Usage: run.Usage{Calls: 1}}).Opened...)
		case *run.FinishWish:
			f := w.Finished
			apply(&f)
			if f.Status != run.Succeeded {
				t.Fatalf("%s: %s", f.Status, f.Error)
			}
		}
		open[i] = nil
	}
	return steps
}

func chain(t testing.TB, n int) *plan.Plan {
	var b strings.Builder
	b.WriteString("s0 = writer \"begin\"\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "s%d = writer \"after <<s%d>>\"\n", i, i-1)
	}
	fmt.Fprintf(&b, "output s%d\n", n-1)
	return compile(t, b.String(), nil)
}

func BenchmarkChain1000(b *testing.B) {
	benchmark(b, chain(b, 1000), nil, 1000)
}

const mapping = `
input xs: [int]
ys = map x in xs limit 16 {
  reader "item <<x>>"
}
output len(ys)
`

func BenchmarkMap10000(b *testing.B) {
	benchmark(b, compile(b, mapping, nil), map[string]any{"xs": numbers(10000)}, 10000)
}

func BenchmarkMap100000(b *testing.B) {
	benchmark(b, compile(b, mapping, nil), map[string]any{"xs": numbers(100000)}, 100000)
}

func BenchmarkMap10000Free(b *testing.B) {
	benchmark(b, compile(b, strings.Replace(mapping, "reader", "echo", 1), nil), map[string]any{"xs": numbers(10000)}, 10000)
}

// BenchmarkMapUnlimited opens all items at once.
func BenchmarkMapUnlimited(b *testing.B) {
	benchmark(b, compile(b, strings.Replace(mapping, "limit 16", "limit 100000", 1), nil), map[string]any{"xs": numbers(100000)}, 100000)
}

func BenchmarkDiamond(b *testing.B) {
	var s strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&s, "a%d = writer \"a\"\nb%d = writer \"b <<a%d>>\"\nc%d = writer \"c <<a%d>>\"\nd%d = writer \"d <<b%d>> <<c%d>>\"\n", i, i, i, i, i, i, i, i)
	}
	s.WriteString("output d0\n")
	benchmark(b, compile(b, s.String(), nil), nil, 4000)
}

func BenchmarkExpressions(b *testing.B) {
	benchmark(b, compile(b, strings.Replace(mapping, "item <<x>>", "item <<x + 1>>", 1), nil), map[string]any{"xs": numbers(10000)}, 10000)
}

// BenchmarkFold1000000 folds a history of a million facts: a map of 500,000 calls.
func BenchmarkFold1000000(b *testing.B) {
	p := compile(b, mapping, nil)
	const items = 500_000
	m := machine.New("r1", p)
	facts := make([]run.Fact, 0, 2*items+2)
	apply := func(body run.Body) []run.Wish {
		f := run.Fact{Seq: run.Seq(len(facts) + 1), At: start, Body: body}
		d, err := m.Apply(f)
		if err != nil {
			b.Fatal(err)
		}
		facts = append(facts, f)
		return d.Opened
	}
	open := apply(&run.Started{Inputs: map[string]any{"xs": numbers(items)}})
	for i := 0; i < len(open); i++ {
		switch w := open[i].(type) {
		case *run.CallWish:
			apply(&run.CallStarted{Path: w.Path, Attempt: w.Attempt, Key: w.Key, Fingerprint: w.Fingerprint, Reserved: w.Reserve})
			open = append(open, apply(&run.CallDone{Path: w.Path, Attempt: w.Attempt, Value: "v", Usage: run.Usage{Calls: 1}})...)
		case *run.FinishWish:
			f := w.Finished
			apply(&f)
		}
		open[i] = nil
	}
	b.ReportAllocs()
	for b.Loop() {
		m := machine.New("r1", p)
		for _, f := range facts {
			if _, err := m.Apply(f); err != nil {
				b.Fatal(err)
			}
		}
		if m.Finished() == nil {
			b.Fatal("it did not end")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(facts)), "ns/fact")
}

// TestTheCostOfAnItemDoesNotGrow would see a search through the run: at sixteen times the items it would make each sixteen times as dear.
func TestTheCostOfAnItemDoesNotGrow(t *testing.T) {
	for _, limit := range []string{"limit 16", "limit 100000"} {
		p := compile(t, strings.Replace(mapping, "limit 16", limit, 1), nil)
		perItem := func(n int) time.Duration {
			best := time.Hour
			for range 3 {
				began := spent()
				carryOut(t, p, map[string]any{"xs": numbers(n)})
				best = min(best, (spent()-began)/time.Duration(n))
			}
			return best
		}
		if few, many := perItem(2000), perItem(32000); many > 6*few {
			t.Errorf("%s: an item costs %s among 2,000 and %s among 32,000", limit, few, many)
		}
	}
}
