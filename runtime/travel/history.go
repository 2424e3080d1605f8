// Package travel takes finished, failed and running runs apart: Fork makes a new run of an old one, Diff compares two, Export and Replay carry one in a file.
//
// It is pure: histories and plans go in, facts and reports come out. Who stores a fork and goes on with it is for the engine.
package travel

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
)

// History is a run: its plan and its facts, from Started to wherever it has got.
type History struct {
	ID    run.ID
	Plan  *plan.Plan
	Facts []run.Fact
}

// ErrDrift says that a history is not what this program would make of its plan: one of them has changed.
var ErrDrift = errors.New("the history has drifted")

// step is what a history says of one call with all its attempts and repairs.
type step struct {
	path   run.Path
	agent  string
	effect types.Effect
	kind   stepKind
	wish   run.Wish // of its first attempt
	place  []run.Spot
	rest   time.Duration // of a wait: how long it was to be
	first  run.Seq       // of its first fact
	last   run.Seq       // of the fact that ended it; 0: it has not ended
	void   bool          // it ended when nobody wanted its result any more
	failed bool          // its last attempt did
	facts  []run.Fact
	usage  run.Usage

	value    any // of its last answer
	message  string
	attempts int
	began    time.Time // zero: only its end is known
	ended    time.Time
	kept     bool // the run is a fork and took it over
}

type stepKind string

const (
	callStep stepKind = "call"
	askStep  stepKind = "ask"
	waitStep stepKind = "wait"
)

// has reports whether the step came to a result: a value, or a failure that was the end of it.
func (s *step) has() bool { return s.last > 0 && !s.void }

// steps folds a history and tells its facts apart by step, in the order of their beginning. timers are the deadlines that passed.
type steps struct {
	byPath map[run.Path]*step
	order  []*step
	end    *run.Finished
	// decided is how the machine says the run ended, before the history's own end is looked at; nil: it has not.
	decided *run.Finished
	last    run.Seq
	kept    run.Seq // of the last fact that was taken over
	// computed are the values of expressions that were evaluated at the edge, by what was evaluated.
	computed  map[string]*run.Computed
	computing map[run.Path]string
	waits     map[run.Path]run.Spot // of deadlines: the block that has one
}

// drift is the step that sends something else now than its history says; nil: there is none.
func (r *steps) drift() *run.Error {
	if r.decided == nil || r.decided.Error == nil || r.decided.Error.Code != "E_DRIFT" || r.end != nil && r.end.Error != nil && r.end.Error.Code == "E_DRIFT" {
		return nil
	}
	return r.decided.Error
}

// started is the first fact.
func (h *History) started() (*run.Started, error) {
	if len(h.Facts) == 0 {
		return nil, errors.New("the history is empty")
	}
	s, ok := h.Facts[0].Body.(*run.Started)
	if !ok {
		return nil, errors.New("the history does not begin with started")
	}
	return s, nil
}

// read folds the history.
func (h *History) read() (*steps, error) {
	if _, err := h.started(); err != nil {
		return nil, err
	}
	m := machine.New(h.ID, h.Plan)
	r := &steps{byPath: map[run.Path]*step{}, computed: map[string]*run.Computed{}, computing: map[run.Path]string{}, waits: map[run.Path]run.Spot{}}
	begin, _ := h.started()
	if begin.Fork != nil {
		r.kept = begin.Fork.Kept
	}
	for _, f := range h.Facts {
		r.last = f.Seq
		if end, ok := f.Body.(*run.Finished); ok {
			r.end = end
			break
		}
		r.before(m, f)
		delta, err := m.Apply(f)
		if errors.Is(err, machine.ErrStale) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if f.Seq > r.kept {
			r.after(f)
		}
		for _, t := range delta.Taken { // of a fork: their turn comes when it comes
			r.opened(t.Wish, t.Place, f.At)
			r.after(t.Fact)
		}
		for _, w := range delta.Opened {
			r.opened(w, m.Place(w), f.At)
		}
	}
	for w := range m.Open() {
		if end, ok := w.(*run.FinishWish); ok {
			r.decided = &end.Finished
		}
	}
	r.settle(m)
	return r, nil
}

// opened remembers what a step sends or asks when it first opens, and where it stands.
func (r *steps) opened(w run.Wish, place []run.Spot, at time.Time) {
	s := &step{wish: w}
	switch w := w.(type) {
	case *run.ComputeWish:
		r.computing[w.Path] = content(w)
		return
	case *run.CallWish:
		s.path, s.agent, s.effect, s.kind = w.Path.Step(), w.Agent, w.Callee.Effect, callStep
	case *run.AskWish:
		s.path, s.agent, s.effect, s.kind = w.Path.Step(), w.Agent, types.Do, askStep
	case *run.SleepWish:
		if w.Timer != string(w.Path) { // a deadline
			if len(place) > 0 {
				r.waits[w.Path] = place[len(place)-1]
			}
			return
		}
		s.path, s.agent, s.effect, s.kind, s.rest = w.Path, "wait", types.Do, waitStep, w.Until.Sub(at)
	default:
		return
	}
	if known := r.byPath[s.path]; known != nil {
		if known.place == nil {
			known.place = place
		}
		return // a further attempt, a repair, a question in mid-call, or the one about a call that was interrupted
	}
	s.place = place
	r.byPath[s.path] = s
	r.order = append(r.order, s)
}

// target is the step that a fact is about, and for a deadline the block it ends.
func target(b run.Body) (path run.Path, deadline bool) {
	switch b := b.(type) {
	case *run.CallStarted:
		return b.Path.Step(), false
	case *run.CallDone:
		return b.Path.Step(), false
	case *run.CallFailed:
		return b.Path.Step(), false
	case *run.CallEnded:
		return b.Path.Step(), false
	case *run.Asked:
		return b.Path.Step(), false
	case *run.Answered:
		return b.Path.Step(), false
	case *run.TimerFired:
		name, cut := strings.CutSuffix(b.Timer, "@timeout")
		if b.Timer == "" || b.Timer[0] == '@' {
			return "", true
		}
		return run.Path(name), cut
	}
	return "", false
}

// content is what an expression that is evaluated at the edge says and sees, wherever it stands.
func content(w *run.ComputeWish) string {
	c := *w
	c.Path = ""
	raw, err := json.Marshal(&c)
	if err != nil {
		return string(w.Path)
	}
	return string(raw)
}

// before looks at what a fact finds: a result that comes when its call has been told to end, or was cut loose, is nobody's.
func (r *steps) before(m *machine.Machine, f run.Fact) {
	var call run.Path
	switch b := f.Body.(type) {
	case *run.CallDone:
		call = b.Path
	case *run.CallFailed:
		call = b.Path
	default:
		return
	}
	if s := r.byPath[call.Step()]; s != nil && m.Cancelling(call) {
		s.void = true
	}
}

// after books a fact that counted.
func (r *steps) after(f run.Fact) {
	if b, ok := f.Body.(*run.Computed); ok {
		r.computed[r.computing[b.Path]] = b
		return
	}
	path, deadline := target(f.Body)
	s := r.byPath[path]
	if s == nil || deadline && s.kind == callStep {
		return
	}
	if s.first == 0 {
		s.first = f.Seq
	}
	s.facts = append(s.facts, f)
	end := func(failed bool, value any, message string) {
		s.last, s.failed, s.value, s.message, s.ended, s.kept = f.Seq, failed, value, message, f.At, f.Seq <= r.kept
	}
	switch b := f.Body.(type) {
	case *run.CallStarted:
		if s.began.IsZero() {
			s.began = f.At
		}
		s.attempts++
	case *run.CallDone:
		end(false, b.Value, "")
		s.usage = s.usage.Add(b.Usage)
	case *run.CallFailed:
		end(true, nil, b.Message)
		s.usage = s.usage.Add(b.Usage)
	case *run.CallEnded:
		s.void, s.ended = true, f.At
		s.usage = s.usage.Add(b.Usage)
	case *run.Asked:
		if s.began.IsZero() {
			s.began = f.At
		}
		s.last = 0 // of a call that was interrupted: it has not ended
	case *run.Answered:
		end(false, b.Value, "")
	case *run.TimerFired:
		message := ""
		if deadline {
			message = "nobody answered in time"
		}
		end(deadline, nil, message)
	}
}

// settle finds the steps that are still open: of these no result is known.
func (r *steps) settle(m *machine.Machine) {
	for w := range m.Open() {
		var path run.Path
		switch w := w.(type) {
		case *run.CallWish:
			path = w.Path.Step()
		case *run.AskWish:
			path = w.Path.Step()
		case *run.CancelWish:
			path = w.Path.Step()
		case *run.SleepWish:
			path = w.Path
			if w.Timer != string(w.Path) {
				continue
			}
		default:
			continue
		}
		if s := r.byPath[path]; s != nil {
			s.last = 0
		}
	}
}

// inside reports whether path is the step at root or stands in it.
func inside(path, root run.Path) bool {
	rest, ok := strings.CutPrefix(string(path), string(root))
	return ok && (rest == "" || strings.ContainsRune("/[#^~?", rune(rest[0])))
}

// named finds the steps at or in a path, as a person writes it.
func (r *steps) named(path run.Path) []*step {
	var found []*step
	for _, s := range r.order {
		if inside(s.path, path) && (s.first > 0 || s.wish != nil) {
			found = append(found, s)
		}
	}
	return found
}

// ErrStep says that a run has no such step.
type ErrStep struct {
	Path  run.Path
	Known []run.Path // at most ten, those that share the beginning first
}

func (e *ErrStep) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("the run has no step %q: it called nothing", e.Path)
	}
	names := make([]string, len(e.Known))
	for i, k := range e.Known {
		names[i] = string(k)
	}
	return fmt.Sprintf("the run has no step %q; it has %s", e.Path, strings.Join(names, ", "))
}

const maxKnown = 10

func (r *steps) unknown(path run.Path) error {
	e := &ErrStep{Path: path}
	all := slices.Clone(r.order)
	slices.SortStableFunc(all, func(a, b *step) int { return shared(b.path, path) - shared(a.path, path) })
	for _, s := range all[:min(len(all), maxKnown)] {
		e.Known = append(e.Known, s.path)
	}
	return e
}

// shared counts the letters that two paths begin with.
func shared(a, b run.Path) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
