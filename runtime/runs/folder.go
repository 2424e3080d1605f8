package runs

import (
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// Folder makes a View of facts as they come. It belongs to one goroutine.
type Folder struct {
	names  *names
	view   View
	index  map[run.Path]int
	open   int // calls under way
	asking int // questions that wait
	paused bool
}

// Fold begins a view of a run of p.
func Fold(p *plan.Plan) *Folder {
	return &Folder{names: newNames(p), index: map[run.Path]int{}, view: View{Status: run.Queued}}
}

// Named sets the ID that the view shows: facts do not carry it.
func (f *Folder) Named(id run.ID) *Folder {
	f.view.ID = id
	return f
}

// Add folds one fact. Its cost does not grow with the run.
func (f *Folder) Add(fact run.Fact) {
	v := &f.view
	switch b := fact.Body.(type) {
	case *run.Started:
		v.Started = fact.At
	case *run.CallStarted:
		s := f.step(b.Path)
		if s.Status != Running {
			f.open++
		}
		if s.Started.IsZero() {
			s.Started = fact.At
		}
		s.Status, s.Error = Running, ""
		s.Attempts = max(s.Attempts, b.Attempt)
	case *run.CallDone:
		s := f.end(b.Path, b.Attempt, Done, fact)
		s.Usage, v.Usage = s.Usage.Add(b.Usage), v.Usage.Add(b.Usage)
	case *run.CallFailed:
		s := f.end(b.Path, b.Attempt, Failed, fact)
		s.Error = b.Message
		s.Usage, v.Usage = s.Usage.Add(b.Usage), v.Usage.Add(b.Usage)
	case *run.CallEnded:
		s := f.step(b.Path)
		if s.Status == Running || s.Status == "" {
			s = f.end(b.Path, b.Attempt, Cancelled, fact)
		}
		s.Usage, v.Usage = s.Usage.Add(b.Usage), v.Usage.Add(b.Usage)
	case *run.Asked:
		s := f.step(b.Path)
		if s.Status != Asking {
			f.asking++
		}
		form := b.Form
		s.Status, s.Started, s.Attempts, s.Form = Asking, fact.At, max(s.Attempts, 1), &form
	case *run.Answered:
		f.answered(b.Path, Done, fact)
	case *run.TimerFired:
		if path, ok := strings.CutSuffix(b.Timer, "@timeout"); ok {
			f.unanswered(run.Path(path), fact)
		}
	case *run.PauseAsked:
		f.paused = true
	case *run.ResumeAsked:
		f.paused = false
	case *run.Finished:
		f.finish(b, fact)
		return
	}
	v.Status = f.status()
}

func (f *Folder) finish(b *run.Finished, fact run.Fact) {
	v := &f.view
	v.Status, v.Output, v.Error, v.Finished = b.Status, b.Value, b.Error, fact.At
	if b.Usage != (run.Usage{}) {
		v.Usage = b.Usage
	}
	for i := range v.Steps {
		if s := &v.Steps[i]; s.Status == Running || s.Status == Asking {
			s.Status, s.Finished, s.Form = Cancelled, fact.At, nil
		}
	}
}

func (f *Folder) status() run.Status {
	switch {
	case f.paused:
		return run.Paused
	case f.asking > 0 && f.open == 0:
		return run.Waiting
	default:
		return run.Running
	}
}

func (f *Folder) step(path run.Path) *Step {
	i, ok := f.index[path]
	if !ok {
		i = len(f.view.Steps)
		f.index[path] = i
		f.view.Steps = append(f.view.Steps, Step{Path: path, Agent: f.names.agent(path)})
	}
	return &f.view.Steps[i]
}

func (f *Folder) end(path run.Path, attempt int, status StepStatus, fact run.Fact) *Step {
	s := f.step(path)
	if s.Status == Running {
		f.open--
	}
	s.Status, s.Finished = status, fact.At
	s.Attempts = max(s.Attempts, attempt)
	return s
}

func (f *Folder) answered(path run.Path, status StepStatus, fact run.Fact) {
	s := f.step(path)
	if s.Status != Asking {
		return // a late answer
	}
	f.asking--
	s.Status, s.Finished, s.Form = status, fact.At, nil
}

// unanswered closes a question whose time is over. Other steps have timers of that name too: they say themselves how they ended.
func (f *Folder) unanswered(path run.Path, fact run.Fact) {
	i, ok := f.index[path]
	if !ok || f.view.Steps[i].Status != Asking {
		return
	}
	f.answered(path, Failed, fact)
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
