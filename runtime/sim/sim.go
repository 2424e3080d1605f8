// Package sim plays runs: a random program, and a host that answers, fails, pauses, forgets and repeats itself, all from one seed and in one thread.
//
// After each fact the wishes are compared with what the deltas said; after a crash the folded machine with the one that was lost; at the end the history with
// its invariants and, where nothing depended on luck, the value with that of a plain interpreter. Once the faults stop, every run must end.
package sim

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
)

// Story is one simulated run.
type Story struct {
	Plan  *plan.Plan
	Seed  uint64
	Plain bool // nothing goes wrong but what Answer decides, and the value must be Reference's
}

const (
	faultySteps = 400    // while these last, anything may go wrong
	maxSteps    = 200000 // a run that has not ended by then never will
)

// Inputs of every simulated run.
func Inputs(seed uint64) map[string]any {
	list := []any{}
	for i := range int(seed % 6) {
		list = append(list, fmt.Sprintf("item %d", i))
	}
	return map[string]any{"topic": "rain", "list": list}
}

// Answer is what every agent says to a text, the same at any time; some texts it cannot answer.
func Answer(text string, as *types.Type) (value any, ok bool) {
	h := fnv.New64a()
	h.Write([]byte(text))
	n := h.Sum64() >> 7
	if n%7 == 0 {
		return nil, false
	}
	if as != nil && as.Kind == types.Int {
		return int(n % 11), true
	}
	return fmt.Sprintf("a%d", n%1000), true
}

// Play carries the story out and reports what went against the rules, with the history as the end of the message.
func Play(s Story) error {
	h := &host{Story: s, r: rand.New(rand.NewPCG(s.Seed, 1)), m: machine.New("sim", s.Plan), open: map[run.WishID]bool{}, flying: map[run.Path]*flight{}, now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	err := h.play()
	if err == nil {
		return nil
	}
	var b strings.Builder
	facts := h.log
	if len(facts) > 300 {
		facts = facts[len(facts)-300:]
	}
	for _, f := range facts {
		fmt.Fprintf(&b, "  %d %s\n", f.Seq, f)
	}
	for w := range h.m.Open() {
		fmt.Fprintf(&b, "  open: %s\n", w)
	}
	return fmt.Errorf("seed %d: %w\n%s", s.Seed, err, b.String())
}

// host is the world around one machine.
type host struct {
	Story
	r      *rand.Rand
	m      *machine.Machine
	log    []run.Fact
	raw    [][]byte
	snap   []byte // an older state, and the number of facts it holds
	snapAt int
	open   map[run.WishID]bool
	flying map[run.Path]*flight // calls that an agent is at work on
	order  []run.Path           // of flying
	ended  []run.Body           // results that were recorded, to be repeated
	now    time.Time
	steps  int
	asked  map[run.Path]bool
}

type flight struct {
	path    run.Path
	attempt int
	text    string
	as      *types.Type
	free    bool
}

func (h *host) calm() bool { return h.Plain || h.steps > faultySteps }

func (h *host) chance(n int) bool { return h.r.IntN(n) == 0 }

func (h *host) play() error {
	h.asked = map[run.Path]bool{}
	started := &run.Started{Inputs: Inputs(h.Seed), Seed: h.Seed, Machine: machine.Version}
	if !h.Plain && h.chance(4) {
		started.Options.Timeout = time.Duration(1+h.r.IntN(20)) * time.Minute
	}
	if err := h.tell(started); err != nil {
		return err
	}
	for h.m.Finished() == nil {
		h.steps++
		if h.steps > maxSteps {
			return errors.New("the run does not end")
		}
		if !h.calm() && h.chance(3) {
			if err := h.fault(); err != nil {
				return err
			}
			continue
		}
		if err := h.step(); err != nil {
			return err
		}
	}
	for _, b := range h.ended {
		if err := h.stale(b); err != nil {
			return err
		}
	}
	if problems := invariant.Check(h.Story.Plan, h.log); len(problems) > 0 {
		return fmt.Errorf("invariants:\n  %s", strings.Join(problems, "\n  "))
	}
	return h.compare()
}

// compare holds a plain run against the reference.
func (h *host) compare() error {
	if !h.Plain {
		return nil
	}
	want, failed := Reference(h.Story.Plan, Inputs(h.Seed))
	got := h.m.Finished()
	switch {
	case failed && got.Status != run.Failed:
		return fmt.Errorf("the reference fails, the run %s with %v", got.Status, got.Value)
	case failed:
		return nil
	case got.Status != run.Succeeded:
		return fmt.Errorf("the reference gives %v, the run %s: %s", want, got.Status, got.Error)
	case !eval.Equal(want, got.Value):
		return fmt.Errorf("the reference gives %v, the run %v", want, got.Value)
	}
	return nil
}

// tell records a fact that must fit.
func (h *host) tell(b run.Body) error {
	fitted, err := h.try(b)
	if err == nil && !fitted {
		err = fmt.Errorf("%s is refused", run.Fact{Body: b})
	}
	return err
}

// try records a fact if it still fits.
func (h *host) try(b run.Body) (fitted bool, err error) {
	f := run.Fact{Seq: run.Seq(len(h.log) + 1), At: h.now, Body: b}
	d, err := h.m.Apply(f)
	if errors.Is(err, machine.ErrStale) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	raw, err := run.EncodeFact(f)
	if err != nil {
		return false, err
	}
	h.log = append(h.log, f)
	h.raw = append(h.raw, raw)
	for _, id := range d.Closed {
		if !h.open[id] {
			return true, fmt.Errorf("%s closed %q, which is not open", f, id)
		}
		delete(h.open, id)
	}
	for _, w := range d.Opened {
		if h.open[w.ID()] {
			return true, fmt.Errorf("%s opened %q twice", f, w.ID())
		}
		h.open[w.ID()] = true
	}
	return true, h.sameWishes(h.m)
}

func (h *host) sameWishes(m *machine.Machine) error {
	n := 0
	for w := range m.Open() {
		n++
		if !h.open[w.ID()] {
			return fmt.Errorf("%q is open, and no delta said so", w.ID())
		}
	}
	if n != len(h.open) {
		return fmt.Errorf("the deltas left %d wishes open, Open has %d", len(h.open), n)
	}
	return nil
}

// stale records a fact that must not count, and looks that nothing changed.
func (h *host) stale(b run.Body) error {
	before, err := h.m.Snapshot()
	if err != nil {
		return err
	}
	_, err = h.m.Apply(run.Fact{Seq: run.Seq(len(h.log) + 1), At: h.now, Body: b})
	if !errors.Is(err, machine.ErrStale) {
		return fmt.Errorf("%s should be stale, it is %v", run.Fact{Body: b}, err)
	}
	after, err := h.m.Snapshot()
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		return fmt.Errorf("%s is stale and changed the state:\n%s\n%s", run.Fact{Body: b}, before, after)
	}
	return nil
}

// step grants a wish, ends a call, or lets time pass.
func (h *host) step() error {
	if h.calm() && h.m.Status() == run.Paused {
		return h.tell(&run.ResumeAsked{})
	}
	var wishes []run.Wish
	for w := range h.m.Open() {
		switch w := w.(type) {
		case *run.CallWish:
			if f := h.flying[w.Path]; f != nil && f.attempt == w.Attempt {
				continue
			}
			if w.Due.After(h.now) {
				continue
			}
		case *run.SleepWish:
			if w.Until.After(h.now) {
				continue
			}
		case *run.AskWish:
			if h.r.IntN(3) > 0 {
				continue // people take their time
			}
		case *run.CancelWish:
			if h.flying[w.Path] != nil {
				continue
			}
		}
		wishes = append(wishes, w)
	}
	n := h.r.IntN(len(wishes) + len(h.order) + 1)
	switch {
	case n < len(wishes):
		return h.grant(wishes[n])
	case n < len(wishes)+len(h.order):
		return h.land(h.flying[h.order[n-len(wishes)]])
	}
	return h.pass()
}

func (h *host) grant(w run.Wish) error {
	switch w := w.(type) {
	case *run.CallWish:
		return h.call(w)
	case *run.AskWish:
		return h.ask(w)
	case *run.SleepWish:
		return h.tell(&run.TimerFired{Timer: w.Timer})
	case *run.CancelWish: // nobody is at work on it any more
		return h.record(&run.CallEnded{Path: w.Path, Attempt: w.Attempt})
	case *run.FinishWish:
		f := w.Finished
		return h.tell(&f)
	}
	return fmt.Errorf("an unexpected wish: %T", w)
}

// record is tell for the end of a call, which is repeated later.
func (h *host) record(b run.Body) error {
	h.ended = append(h.ended, b)
	if len(h.ended) > 20 {
		h.ended = h.ended[1:]
	}
	return h.tell(b)
}

func (h *host) call(w *run.CallWish) error {
	f := &flight{path: w.Path, attempt: w.Attempt, as: w.As, free: w.Callee.FreeWith(w.Args)}
	switch t := w.Text.(type) {
	case string:
		f.text = t
	case []string:
		f.text = strings.Join(t, " ")
	}
	if w.Started { // begun before a crash
		return h.record(&run.CallFailed{Path: w.Path, Attempt: w.Attempt, Outcome: run.Interrupted, Message: "the host went away"})
	}
	if !h.calm() && !f.free && h.chance(10) {
		v, ok := Answer(f.text, f.as)
		if ok {
			return h.record(&run.CallDone{Path: w.Path, Attempt: w.Attempt, Value: v, Source: "cache"})
		}
	}
	if !f.free {
		if err := h.tell(&run.CallStarted{Path: w.Path, Attempt: w.Attempt, Key: w.Key, Fingerprint: w.Fingerprint, Reserved: w.Reserve}); err != nil {
			return err
		}
	}
	h.flying[f.path] = f
	h.order = append(h.order, f.path)
	return nil
}

func (h *host) ask(w *run.AskWish) error {
	if !h.asked[w.Path] {
		h.asked[w.Path] = true
		fitted, err := h.try(&run.Asked{Path: w.Path, Form: w.Form, Deadline: w.Deadline})
		if err != nil || fitted {
			return err
		}
	}
	v, _ := Answer(w.Form.Text, nil)
	if v == nil {
		v = "well"
	}
	if w.Form.Kind == "interrupted" {
		delete(h.asked, w.Path)
		v = []any{"again", "fail", "done", map[string]any{"done": "was done"}}[h.r.IntN(4)]
	} else if h.Plain {
		if _, ok := Answer(w.Form.Text, nil); !ok {
			return fmt.Errorf("a plain program asks %q, which has no answer", w.Form.Text)
		}
	}
	if err := h.tell(&run.Answered{Path: w.Path, Value: v, By: "someone"}); err != nil {
		return err
	}
	if h.chance(2) && w.Form.Kind != "interrupted" {
		return h.stale(&run.Answered{Path: w.Path, Value: v})
	}
	return nil
}

// land ends a call that an agent is at work on.
func (h *host) land(f *flight) error {
	delete(h.flying, f.path)
	for i, p := range h.order {
		if p == f.path {
			h.order = append(h.order[:i], h.order[i+1:]...)
			break
		}
	}
	usage := run.Usage{Calls: 1, Input: int64(len(f.text)) / 4, Output: 10, Tokens: run.Reported, Cost: 100, CostSource: run.Reported}
	if f.free {
		usage = run.Usage{}
	}
	v, ok := Answer(f.text, f.as)
	var b run.Body = &run.CallDone{Path: f.path, Attempt: f.attempt, Value: v, Usage: usage}
	if !ok {
		b = &run.CallFailed{Path: f.path, Attempt: f.attempt, Outcome: run.Failure, Message: "I cannot", Usage: usage}
	}
	if h.Plain && ok && f.attempt == 1 && !f.free && h.chance(5) && h.retries(f) {
		b = &run.CallFailed{Path: f.path, Attempt: f.attempt, Outcome: run.Unavailable, Message: "not now", Usage: usage}
	}
	if !h.calm() && h.chance(4) {
		o := []run.Outcome{run.Timeout, run.Unavailable, run.RateLimited, run.Refused, run.Denied, run.Invalid, run.Failure, run.Interrupted, run.Asks}[h.r.IntN(9)]
		failed := &run.CallFailed{Path: f.path, Attempt: f.attempt, Outcome: o, Message: string(o), Usage: usage}
		if o == run.Invalid {
			failed.Answer, failed.Problems = "nonsense", []string{"expected int"}
		}
		if o == run.Asks {
			failed.Form = &run.Form{Kind: "form", Text: "which one?", Type: types.Type{Kind: types.Any}}
			failed.Token = fmt.Sprint("so far ", f.attempt)
		}
		if o == run.RateLimited {
			failed.RetryAfter = time.Duration(h.r.IntN(60)) * time.Second
		}
		b = failed
	}
	if h.open[(&run.CancelWish{Path: f.path, Attempt: f.attempt}).ID()] && h.chance(2) {
		b = &run.CallEnded{Path: f.path, Attempt: f.attempt, Usage: usage}
	}
	if f.free { // its wish may be gone: nobody waits for the end of what costs nothing
		fitted, err := h.try(b)
		if fitted {
			h.ended = append(h.ended, b)
		}
		return err
	}
	return h.record(b)
}

// retries reports whether the call may fail once and be called again.
func (h *host) retries(f *flight) bool {
	for w := range h.m.Open() {
		if c, ok := w.(*run.CallWish); ok && c.Path == f.path {
			return retryOf(h.Story.Plan, c)
		}
	}
	return false
}

// retryOf is true when every call of this callee that has this text's wish may be retried; paths are not resolved here, so all calls of the plan must.
func retryOf(p *plan.Plan, w *run.CallWish) bool {
	for i := range p.Blocks {
		for j := range p.Blocks[i].Nodes {
			if c := p.Blocks[i].Nodes[j].Call; c != nil && c.Agent == w.Agent && c.Retry == 0 {
				return false
			}
		}
	}
	return true
}

// pass lets time go on to the next moment that something waits for.
func (h *host) pass() error {
	var next time.Time
	for w := range h.m.Open() {
		at := time.Time{}
		switch w := w.(type) {
		case *run.CallWish:
			at = w.Due
		case *run.SleepWish:
			if h.Plain && strings.Contains(w.Timer, "@") {
				continue // nobody is late in a plain story
			}
			at = w.Until
		}
		if at.After(h.now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		next = h.now.Add(time.Second)
	}
	if !h.calm() && h.chance(2) {
		next = h.now.Add(next.Sub(h.now) / 2)
	}
	h.now = next
	return nil
}

// fault does something that a good world would not.
func (h *host) fault() error {
	switch h.r.IntN(12) {
	case 0, 1:
		return h.crash()
	case 2:
		_, err := h.try(&run.PauseAsked{})
		return err
	case 3, 4:
		_, err := h.try(&run.ResumeAsked{})
		return err
	case 5:
		if !h.chance(12) {
			return nil
		}
		_, err := h.try(&run.CancelAsked{By: "someone"})
		return err
	case 6, 7:
		if len(h.ended) > 0 {
			return h.stale(h.ended[h.r.IntN(len(h.ended))])
		}
	case 8:
		if f := h.log[h.r.IntN(len(h.log))]; f.Kind() == "call_started" || f.Kind() == "finished" || f.Kind() == "started" {
			return h.stale(f.Body)
		}
	case 9:
		return h.stale([]run.Body{&run.TimerFired{Timer: "nobody's"}, &run.Answered{Path: "nowhere", Value: 1}, &run.CallDone{Path: "v1", Attempt: 99}, &run.CallEnded{Path: "v1", Attempt: 0},
			&run.Computed{Path: "v1"}, &run.Asked{Path: "v1x"}, &run.CallStarted{Path: "v1", Attempt: -1}}[h.r.IntN(7)])
	case 10:
		var err error
		h.snapAt = len(h.log)
		h.snap, err = h.m.Snapshot()
		return err
	case 11:
		h.now = h.now.Add(time.Duration(h.r.IntN(300)) * time.Second)
	}
	return nil
}

// crash forgets everything but the log, and folds it: from the beginning, or from an older snapshot.
func (h *host) crash() error {
	before, err := h.m.Snapshot()
	if err != nil {
		return err
	}
	m, from := machine.New("sim", h.Story.Plan), 0
	if h.snap != nil && h.chance(2) {
		if m, err = machine.Restore(h.Story.Plan, h.snap); err != nil {
			return err
		}
		from = h.snapAt
	}
	for _, raw := range h.raw[from:] {
		f, err := run.DecodeFact(raw)
		if err != nil {
			return err
		}
		if _, err := m.Apply(f); err != nil {
			return fmt.Errorf("folding %s again: %w", f, err)
		}
	}
	after, err := m.Snapshot()
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		return fmt.Errorf("folded again (from fact %d) the run is another:\n%s\n%s", from, before, after)
	}
	h.m = m
	h.flying, h.order = map[run.Path]*flight{}, nil
	return h.sameWishes(m)
}
