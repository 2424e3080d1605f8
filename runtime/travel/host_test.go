package travel_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/travel"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func compile(t testing.TB, script string, files map[string]string) *plan.Plan {
	t.Helper()
	p, diags := lang.Compile(source.NewFile("main.slop", script), langtest.Files(langtest.Scope(), files))
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, script)
	}
	return p
}

// world is one thread around a machine. Its agents answer alike whatever the time; what is done first is up to dice.
type world struct {
	t        testing.TB
	m        *machine.Machine
	h        *travel.History
	r        *rand.Rand
	answer   func(w *run.CallWish) (any, bool)
	person   func(w *run.AskWish) any
	wants    func(w *run.CallWish) *run.Form // what an agent asks in mid-call; nil: nothing
	now      time.Time
	did      []run.Path // steps that were called, asked or waited for
	silent   bool       // people do not answer
	stuck    string     // calls whose text has this in it do not end
	slow     bool       // people answer when nothing else is left to do
	luck     bool       // a block ended while calls in it were open: which of them were made was up to the dice
	computed int        // expressions that were evaluated at the edge
	halt     func(done run.Path) bool
}

func text(w *run.CallWish) string {
	switch t := w.Text.(type) {
	case string:
		return t
	case []string:
		return strings.Join(t, " ")
	}
	return ""
}

// echoing agents say what they were asked, in brackets; a text that has BAD in it they refuse.
func echoing(w *run.CallWish) (any, bool) {
	s := text(w)
	switch {
	case strings.Contains(s, "BAD"):
		return nil, false
	case strings.Contains(s, "LARGE"):
		return types.Large{SHA256: strings.Repeat("a", 64), Size: 1 << 20}, true
	case w.As != nil && w.As.Kind == types.Int:
		return len(s) % 10, true
	}
	return "(" + s + ")", true
}

// start begins a run of p.
func start(t testing.TB, p *plan.Plan, inputs map[string]any, seed uint64) *world {
	w := &world{t: t, h: &travel.History{ID: "origin", Plan: p}, m: machine.New("origin", p), r: rand.New(rand.NewPCG(seed, 9)), answer: echoing, now: noon}
	w.tell(&run.Started{Plan: plan.Hash(p), Inputs: inputs, Seed: seed, Machine: machine.Version})
	return w
}

// goOn takes up a fork.
func goOn(t testing.TB, f *travel.Fork, seed uint64) *world {
	t.Helper()
	w := &world{t: t, h: &travel.History{ID: f.ID, Plan: f.Plan}, m: machine.New(f.ID, f.Plan), r: rand.New(rand.NewPCG(seed, 10)), answer: echoing, now: noon}
	open := map[run.WishID]bool{}
	for _, fact := range f.Facts {
		raw, err := run.EncodeFact(fact)
		if err != nil {
			t.Fatal(err)
		}
		if fact, err = run.DecodeFact(raw); err != nil {
			t.Fatal(err)
		}
		delta, err := w.m.Apply(fact)
		if err != nil {
			t.Fatalf("fact %d, %s, does not fit: %v", fact.Seq, fact, err)
		}
		for _, id := range delta.Closed {
			if !open[id] {
				t.Fatalf("fact %d closed %q, which is not open", fact.Seq, id)
			}
			delete(open, id)
		}
		for _, x := range delta.Opened {
			open[x.ID()] = true
		}
		if len(f.Facts) < 200 {
			w.sameWishes(open)
			if w.r.IntN(4) == 0 {
				w.restored()
				w.sameWishes(open)
			}
		}
		w.h.Facts = append(w.h.Facts, fact)
		w.now = fact.At
	}
	return w
}

// sameWishes holds what the deltas said against what is open.
func (w *world) sameWishes(open map[run.WishID]bool) {
	w.t.Helper()
	n := 0
	for x := range w.m.Open() {
		n++
		if !open[x.ID()] {
			w.t.Fatalf("%q is open, and no delta said so", x.ID())
		}
	}
	if n != len(open) {
		w.t.Fatalf("the deltas left %d wishes open, there are %d", len(open), n)
	}
}

func (w *world) tell(b run.Body) {
	w.t.Helper()
	f := run.Fact{Seq: run.Seq(len(w.h.Facts) + 1), At: w.now, Body: b}
	delta, err := w.m.Apply(f)
	if err != nil {
		w.t.Fatalf("%s: %v", f, err)
	}
	for _, n := range delta.Notes {
		w.luck = w.luck || n.Kind == run.NoteElse || n.Kind == run.NoteFailed || n.Kind == run.NoteLeftOut
	}
	for _, id := range delta.Closed {
		ended := id.Kind == run.CallKind || id.Kind == run.AskKind || id.Kind == run.SleepKind && !strings.Contains(id.Name, "@")
		w.luck = w.luck || ended && !strings.HasPrefix(f.String(), id.Name+" ") && !inRace(id.Name)
	}
	w.h.Facts = append(w.h.Facts, f)
}

// play goes on to the end, or to where it is halted.
func (w *world) play() *travel.History {
	w.t.Helper()
	for n := 0; w.m.Finished() == nil; n++ {
		if n > 100_000 {
			w.t.Fatal("the run does not end")
		}
		if w.halt != nil && w.halt("") {
			break
		}
		w.step()
	}
	w.restored()
	if problems := invariant.Check(w.h.Plan, w.h.Facts); len(problems) > 0 {
		w.t.Fatalf("invariants:\n  %s\n%s", strings.Join(problems, "\n  "), w.log())
	}
	return w.h
}

// restored looks that a machine made of a snapshot is the same.
func (w *world) restored() {
	snap, err := w.m.Snapshot()
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := machine.Restore(w.h.Plan, snap)
	if err != nil {
		w.t.Fatal(err)
	}
	if a, b := fmt.Sprint(slices.Collect(w.m.Open())), fmt.Sprint(slices.Collect(m.Open())); len(a) != len(b) {
		w.t.Fatalf("restored: %s\nwas: %s", b, a)
	}
	w.m = m
}

func (w *world) step() {
	w.t.Helper()
	w.now = w.now.Add(time.Millisecond)
	var open []run.Wish
	var timers []*run.SleepWish
	for x := range w.m.Open() {
		if s, ok := x.(*run.SleepWish); ok {
			timers = append(timers, s)
			continue
		}
		open = append(open, x)
	}
	if w.silent {
		open = slices.DeleteFunc(open, isAsk)
	}
	if w.stuck != "" {
		open = slices.DeleteFunc(open, func(x run.Wish) bool {
			c, ok := x.(*run.CallWish)
			return ok && c.Started && strings.Contains(text(c), w.stuck)
		})
	}
	if len(open) == 0 {
		if len(timers) == 0 {
			w.t.Fatalf("nothing is left to do:\n%s", w.log())
		}
		slices.SortFunc(timers, func(a, b *run.SleepWish) int { return a.Until.Compare(b.Until) })
		if timers[0].Until.After(w.now) {
			w.now = timers[0].Until
		}
		if timers[0].Timer == string(timers[0].Path) {
			w.did = append(w.did, timers[0].Path)
		}
		w.tell(&run.TimerFired{Timer: timers[0].Timer})
		return
	}
	if w.slow && slices.ContainsFunc(open, func(x run.Wish) bool { return !isAsk(x) }) {
		open = slices.DeleteFunc(open, isAsk)
	}
	switch x := open[w.r.IntN(len(open))].(type) {
	case *run.CallWish:
		w.call(x)
	case *run.ComputeWish:
		w.computed++
		w.tell(&run.Computed{Path: x.Path, Value: 5})
	case *run.AskWish:
		w.tell(&run.Asked{Path: x.Path, Form: x.Form, Deadline: x.Deadline})
		var answer any = "yes"
		if w.person != nil {
			answer = w.person(x)
		}
		w.did = append(w.did, x.Path)
		w.tell(&run.Answered{Path: x.Path, Value: answer, By: "somebody"})
	case *run.CancelWish:
		w.tell(&run.CallEnded{Path: x.Path, Attempt: x.Attempt, Usage: run.Usage{Calls: 1}})
	case *run.FinishWish:
		end := x.Finished
		w.tell(&end)
	}
}

func isAsk(x run.Wish) bool {
	_, ok := x.(*run.AskWish)
	return ok
}

func (w *world) call(x *run.CallWish) {
	if !x.Started && x.Fingerprint != "" {
		w.tell(&run.CallStarted{Path: x.Path, Attempt: x.Attempt, Key: x.Key, Fingerprint: x.Fingerprint, Reserved: x.Reserve})
		if path := x.Path.Step(); !slices.Contains(w.did, path) {
			w.did = append(w.did, path)
		}
		return
	}
	if x.Fingerprint == "" {
		w.did = append(w.did, x.Path)
	}
	if w.wants != nil {
		if form := w.wants(x); form != nil {
			w.tell(&run.CallFailed{Path: x.Path, Attempt: x.Attempt, Outcome: run.Asks, Message: "it asks", Form: form, Token: "so far", Usage: run.Usage{Calls: 1}})
			return
		}
	}
	v, ok := w.answer(x)
	usage := run.Usage{Calls: 1, Cost: 100, CostSource: run.Reported}
	if !ok {
		w.tell(&run.CallFailed{Path: x.Path, Attempt: x.Attempt, Outcome: run.Unavailable, Message: "no", Usage: usage})
		return
	}
	w.tell(&run.CallDone{Path: x.Path, Attempt: x.Attempt, Value: v, Usage: usage})
}

func (w *world) log() string {
	var b strings.Builder
	for _, f := range w.h.Facts {
		fmt.Fprintf(&b, "  %d %s\n", f.Seq, f)
	}
	for x := range w.m.Open() {
		fmt.Fprintf(&b, "  open: %s\n", x)
	}
	return b.String()
}

func fork(t testing.TB, h *travel.History, c travel.Change) *travel.Fork {
	t.Helper()
	f, err := travel.NewFork(h, c, travel.New{ID: "fork", At: noon.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// told lists what a fork says it will do again, as `path: reason`.
func told(f *travel.Fork) []string {
	var out []string
	for _, a := range f.Again {
		out = append(out, string(a.Path)+": "+a.Text())
	}
	slices.Sort(out)
	return out
}

func paths(f *travel.Fork) []string {
	var out []string
	for _, a := range f.Again {
		out = append(out, string(a.Path))
	}
	slices.Sort(out)
	return out
}

func sorted(paths []run.Path) []string {
	var out []string
	for _, p := range paths {
		out = append(out, string(p))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
