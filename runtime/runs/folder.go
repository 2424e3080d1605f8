package runs

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
)

// Folder makes a View of facts as they come, and says what follows from each. It belongs to one goroutine.
type Folder struct {
	plan    *plan.Plan
	names   *names
	machine *machine.Machine // of the same run: it knows what no fact says; nil before Started
	view    View
	index   map[run.Path]int
}

// Fold begins a view of a run of p.
func Fold(p *plan.Plan) *Folder {
	return &Folder{plan: p, names: newNames(p), index: map[run.Path]int{}, view: View{Status: run.Queued}}
}

// Named sets the ID of the run, which facts do not carry. It comes before the first fact.
func (f *Folder) Named(id run.ID) *Folder {
	f.view.ID = id
	return f
}

// Add folds one fact and returns what follows from it. Its cost does not grow with the run. Of a history that does not begin with Started, or that its plan
// does not fit, it knows only what the facts themselves say.
func (f *Folder) Add(fact run.Fact) []run.Note {
	f.fact(fact)
	notes := f.follow(fact)
	for i := range notes {
		f.note(&notes[i], fact.At)
	}
	if f.machine != nil {
		f.view.Status = f.machine.Status()
	}
	return notes
}

// follow has the machine fold the fact too.
func (f *Folder) follow(fact run.Fact) []run.Note {
	if _, ok := fact.Body.(*run.Started); ok && f.machine == nil && f.plan != nil && len(f.plan.Blocks) > 0 {
		f.machine = machine.New(f.view.ID, f.plan)
	}
	if f.machine == nil {
		return nil
	}
	delta, err := f.machine.Apply(fact)
	if err != nil && !errors.Is(err, machine.ErrStale) {
		f.machine = nil
	}
	return delta.Notes
}

// note lets what no fact says show in the steps.
func (f *Folder) note(n *run.Note, at time.Time) {
	switch n.Kind {
	case run.NoteWaits:
		s := f.step(n.Path)
		s.Agent, s.Status, s.Started, s.Until, s.Attempts = n.Agent, Asking, at, n.Until, 1
	case run.NoteWaited:
		f.step(n.Path).settle(Done, at)
	case run.NoteRetry:
		if !n.Until.IsZero() {
			s := f.step(n.Path)
			s.Status, s.Until = Retrying, n.Until
		}
	case run.NoteElse:
		if i, ok := f.index[n.Path]; ok && n.Value != nil {
			if s := &f.view.Steps[i]; s.Answer != nil && s.Answer.By == ByTimeout && s.Status == Failed { // what stands in for the answer is one
				s.Status, s.Error, s.Answer = Done, "", &Answer{Value: n.Value, By: ByTimeout, At: at}
			}
		}
	case run.NoteWithdrawn:
		f.step(n.Path).settle(Cancelled, at)
		if call, ok := n.Path.Asker(); ok {
			f.step(call).settle(Cancelled, at)
		}
	case run.NoteFailed:
		if n.Agent == "" {
			return // of a block or a gate: the error of the run, or the note of its fallback, says it
		}
		s := f.step(n.Path)
		s.Agent, s.Error = n.Agent, n.Error.Message
		if s.Started.IsZero() {
			s.Started = at
		}
		if s.Status == Asking && s.Form != nil && n.Error.Kind == string(run.Timeout) {
			s.Answer = &Answer{By: ByTimeout, At: at}
		}
		s.settle(Failed, at)
	}
}

func (s *Step) settle(status StepStatus, at time.Time) {
	s.Status, s.Finished, s.Until, s.Form = status, at, time.Time{}, nil
}

func (f *Folder) fact(fact run.Fact) {
	v := &f.view
	switch b := fact.Body.(type) {
	case *run.Started:
		v.Started, v.Status, v.Fork = fact.At, run.Running, b.Fork
	case *run.CallStarted:
		s := f.step(b.Path)
		if s.Started.IsZero() {
			s.Started = fact.At
		}
		s.Status, s.Error, s.Until = Running, "", time.Time{}
		s.Attempts = max(s.Attempts, b.Attempt)
	case *run.CallDone:
		s := f.end(b.Path, b.Attempt, Done, fact)
		s.Cached = b.Source == "cache"
		f.used(s, b.Usage, b.Source)
	case *run.CallFailed:
		if b.Outcome == run.Asks && b.Form != nil { // it has not ended: the question stands at a path of its own
			s := f.step(b.Path)
			s.Status, s.Attempts = Asking, max(s.Attempts, b.Attempt)
			f.used(s, b.Usage, b.Source)
			return
		}
		s := f.end(b.Path, b.Attempt, Failed, fact)
		s.Error = b.Message
		f.used(s, b.Usage, b.Source)
	case *run.CallEnded:
		s := f.step(b.Path)
		if s.Status == Running || s.Status == "" {
			s = f.end(b.Path, b.Attempt, Cancelled, fact)
		}
		f.used(s, b.Usage, "")
	case *run.Asked:
		s := f.step(b.Path)
		form := b.Form
		s.Status, s.Started, s.Until, s.Attempts, s.Form = Asking, fact.At, b.Deadline, max(s.Attempts, 1), &form
	case *run.Answered:
		f.answered(b.Path, Done, &Answer{b.Value, b.By, fact.At, b.Reason})
		f.step(b.Path).Kept = v.Fork != nil && fact.Seq <= v.Fork.Kept
	case *run.TimerFired:
		if path, ok := strings.CutSuffix(b.Timer, "@timeout"); ok && f.machine == nil { // else a note says it: in a pause the question stands on
			f.unanswered(run.Path(path), fact)
		}
	case *run.Finished:
		f.finish(b, fact)
	}
}

// used books what an attempt used. What a fork took over was paid for by its origin.
func (f *Folder) used(s *Step, u run.Usage, source string) {
	if s.Kept && source != run.Kept { // its kept result did not fit after all, and it was called
		s.Kept, s.Usage = false, run.Usage{}
	}
	s.Kept = source == run.Kept
	s.Usage = s.Usage.Add(u)
	if !s.Kept {
		f.view.Usage = f.view.Usage.Add(u)
	}
}

func (f *Folder) finish(b *run.Finished, fact run.Fact) {
	v := &f.view
	v.Status, v.Output, v.Error, v.Finished = b.Status, b.Value, b.Error, fact.At
	if b.Usage != (run.Usage{}) {
		v.Usage = b.Usage
	}
	for i := range v.Steps {
		if s := &v.Steps[i]; s.Status == Running || s.Status == Asking || s.Status == Retrying {
			s.settle(Cancelled, fact.At)
		}
	}
}

func (f *Folder) step(path run.Path) *Step {
	i, ok := f.index[path]
	if !ok {
		i = len(f.view.Steps)
		f.index[path] = i
		f.view.Steps = append(f.view.Steps, f.names.step(path))
	}
	return &f.view.Steps[i]
}

func (f *Folder) end(path run.Path, attempt int, status StepStatus, fact run.Fact) *Step {
	s := f.step(path)
	s.settle(status, fact.At)
	s.Attempts = max(s.Attempts, attempt)
	return s
}

func (f *Folder) answered(path run.Path, status StepStatus, a *Answer) {
	s := f.step(path)
	if s.Status != Asking || s.Form == nil {
		return // a late answer
	}
	s.Answer = a
	s.settle(status, a.At)
}

// unanswered closes a question whose time is over. Other steps have timers of that name too: they say themselves how they ended.
func (f *Folder) unanswered(path run.Path, fact run.Fact) {
	i, ok := f.index[path]
	if !ok || f.view.Steps[i].Status != Asking || f.view.Steps[i].Form == nil {
		return
	}
	f.answered(path, Failed, &Answer{By: ByTimeout, At: fact.At})
	f.view.Steps[i].Error = "nobody answered in time"
}

// View gives the run as it is now. The caller may keep it.
func (f *Folder) View() View {
	v := f.view
	v.Steps = slices.Clone(v.Steps)
	return v
}

// Status gives the status alone, without the cost of a View.
func (f *Folder) Status() run.Status { return f.view.Status }

// Step gives the step at path as it is now.
func (f *Folder) Step(path run.Path) (Step, bool) {
	i, ok := f.index[path]
	if !ok {
		return Step{}, false
	}
	return f.view.Steps[i], true
}
