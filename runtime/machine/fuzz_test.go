package machine_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
)

// fuzzScripts together hold every construct of the language.
var fuzzScripts = []string{
	`
input xs: [string]
budget 30 calls
a = writer "a" retry 2 else oracle "b <<error.message>>" else skip
ys = map x, i in xs limit 2 tolerate 1 into missed {
  one = reader "<<x>> <<i>>" timeout 30s
  two = shell "deed"
  editor "<<one>> <<a ?? "none">>"
} timeout 5m budget 9 calls
require len(ys) > 0 else "none of <<len(missed)>>"
r = reduce p in ys by 2 { editor "<<p>>" } else "nothing"
output r
`, `
type Review { score: int, notes: string, must score in 1..10 else "1 to 10" }
start = writer "s"
poem = loop d from start max 3 {
  deed = shell "x"
  review = critic "<<d>> <<deed>>" as Review repair 2
  stop if review.score >= 5
  writer "<<d>> <<review.notes>>"
} else keep
output poem
`, `
r = race 2 {
  a = claude "a" retry 1
  b = gpt "b" else "B"
  c = try { 
    x = local "x" 
    output x 
  } timeout 15s
} timeout 20s else { output ["none"] }
ok = human.approve "<<r>>?" timeout 2d else "no"
w = wait "10s"
v = if ok == "yes" { http.post(url: "https://example.com/", body: r) } else { archive "no" }
output match ok { 
  "yes" -> shell "done"
  else -> memory.get "x"
}
`, `
p = parallel limit 2 {
  a = shell "a"
  b = try {
    one = shell "b1"
    two = shell "b2 -- <<one>>"
    output two
  } else {
    back = shell "undo"
    output back
  }
  c = sequence {
    x = writer "x" budget $0.05
    y = echo "<<x>>"
  } budget 2 calls
}
output json(p)
`,
}

// FuzzMachine tells a run facts in any order: those that answer an open wish and those that do not. Nothing panics, what is refused changes nothing, the deltas
// add up to Open, a snapshot is the state, and what was accepted keeps the invariants.
func FuzzMachine(f *testing.F) {
	var plans []*plan.Plan
	for _, s := range fuzzScripts {
		plans = append(plans, compile(f, s, nil))
	}
	for i := range plans {
		f.Add(append([]byte{byte(i)}, bytes.Repeat([]byte{0, 7, 1, 13, 2, 40}, 20)...))
		f.Add(append([]byte{byte(i)}, bytes.Repeat([]byte{0, 1}, 60)...))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 60 { // a run of the tests without fuzzing tries these
		data := make([]byte, 200)
		for j := range data {
			data[j] = byte(r.IntN(256))
		}
		data[0] = byte(i)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 400 {
			return
		}
		p := plans[int(data[0])%len(plans)]
		m := machine.New("r1", p)
		now := start
		var facts []run.Fact
		open := map[run.WishID]bool{}
		tell := func(b run.Body) {
			fact := run.Fact{Seq: run.Seq(len(facts) + 1), At: now, Body: b}
			before, err := m.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			d, err := m.Apply(fact)
			if err != nil {
				if !errors.Is(err, machine.ErrStale) {
					t.Fatal(err)
				}
				if after, _ := m.Snapshot(); !bytes.Equal(before, after) {
					t.Fatalf("%s was refused and changed the state", fact)
				}
				return
			}
			facts = append(facts, fact)
			for _, id := range d.Closed {
				if !open[id] {
					t.Fatalf("%s closed %q, which is not open", fact, id)
				}
				delete(open, id)
			}
			for _, w := range d.Opened {
				open[w.ID()] = true
			}
			n := 0
			for w := range m.Open() {
				if n++; !open[w.ID()] {
					t.Fatalf("after %s %q is open, and no delta said so", fact, w.ID())
				}
			}
			if n != len(open) {
				t.Fatalf("after %s the deltas left %d wishes open, Open has %d", fact, len(open), n)
			}
		}
		tell(&run.Started{Inputs: map[string]any{"xs": []any{"a", "b", "c"}}, Machine: machine.Version})
		for i := 1; i+1 < len(data); i += 2 {
			now = now.Add(time.Duration(data[i]) * time.Second)
			tell(fuzzFact(m, data[i], data[i+1]))
		}
		before, _ := m.Snapshot()
		restored, err := machine.Restore(p, before)
		if err != nil {
			t.Fatal(err)
		}
		if after, _ := restored.Snapshot(); !bytes.Equal(before, after) {
			t.Fatalf("restored the run is another:\n%s\n%s", before, after)
		}
		for _, problem := range invariant.Check(p, facts) {
			t.Errorf("invariant: %s\n%s", problem, history(facts))
		}
	})
}

// fuzzFact makes a fact about one of the open wishes, or about nothing.
func fuzzFact(m *machine.Machine, which, what byte) run.Body {
	var wishes []run.Wish
	for w := range m.Open() {
		wishes = append(wishes, w)
	}
	if len(wishes) == 0 || what >= 240 {
		return []run.Body{&run.PauseAsked{}, &run.ResumeAsked{}, &run.CancelAsked{}, &run.TimerFired{Timer: "@run"}, &run.Answered{Path: "a"}, &run.CallDone{Path: "a", Attempt: 1}, &run.Computed{}, nil}[what%8]
	}
	usage := run.Usage{Calls: 1, Cost: 7, CostSource: run.Reported}
	switch w := wishes[int(which)%len(wishes)].(type) {
	case *run.CallWish:
		v := any("answer")
		if w.As != nil {
			v = map[string]any{"score": int(what) % 10, "notes": "n"}
		}
		attempt := w.Attempt
		if what%16 == 15 {
			attempt++
		}
		switch what % 8 {
		case 0, 1, 2:
			return &run.CallStarted{Path: w.Path, Attempt: attempt, Key: w.Key, Fingerprint: w.Fingerprint, Reserved: w.Reserve}
		case 3, 4, 5:
			return &run.CallDone{Path: w.Path, Attempt: attempt, Value: v, Usage: usage}
		case 6:
			return &run.CallEnded{Path: w.Path, Attempt: attempt, Usage: usage}
		}
		outcomes := []run.Outcome{run.Timeout, run.Unavailable, run.RateLimited, run.Refused, run.Denied, run.Invalid, run.Interrupted, run.Failure, run.Asks, ""}
		return &run.CallFailed{Path: w.Path, Attempt: attempt, Outcome: outcomes[int(what/8)%len(outcomes)], Usage: usage}
	case *run.AskWish:
		return &run.Answered{Path: w.Path, Value: []any{"yes", "no", 3, "again", "done", map[string]any{"done": 1}, "fail", nil}[what%8]}
	case *run.SleepWish:
		return &run.TimerFired{Timer: w.Timer}
	case *run.CancelWish:
		if what%2 == 0 {
			return &run.CallDone{Path: w.Path, Attempt: w.Attempt, Value: "late", Usage: usage}
		}
		return &run.CallEnded{Path: w.Path, Attempt: w.Attempt}
	case *run.FinishWish:
		f := w.Finished
		return &f
	}
	return nil
}
