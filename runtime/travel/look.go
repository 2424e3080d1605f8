package travel

import (
	"time"

	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// Call is one step of a run: what it sent, as its history renders it, and what came of it.
type Call struct {
	Path     run.Path
	Agent    string
	Kind     string // call, ask, wait
	Effect   types.Effect
	Status   string // as of Doing
	At       source.Pos
	Text     any            // string, []string or types.Parts; nil: none
	System   any            // string or types.Parts; nil: none
	Args     map[string]any // values may be types.Secret, types.Parts or hold types.Large
	Form     *run.Form      // of a question
	Value    any
	Error    string // of a step that failed
	Attempts []Attempt
	Usage    run.Usage
	Began    time.Time // zero: only its end is known
	Ended    time.Time // zero: it has not
	Kept     bool      // the run is a fork and took it over
}

// Attempt is one attempt of a call, or of its repair: its path says so.
type Attempt struct {
	Path    run.Path
	Number  int
	Seq     run.Seq // of the fact that began it, or else ended it
	Began   time.Time
	Ended   time.Time
	Outcome run.Outcome // "": it has not ended, or succeeded
	Done    bool        // it gave a value
	Message string
	Source  string
	AgentID string // what the agent calls it
	Usage   run.Usage
}

// Look gives a step of the run. *ErrStep.
func (h *History) Look(path run.Path) (*Call, error) {
	r, err := h.read()
	if err != nil {
		return nil, err
	}
	s := r.byPath[path]
	if s == nil {
		return nil, r.unknown(path)
	}
	c := &Call{
		Path: s.path, Agent: s.agent, Kind: string(s.kind), Effect: s.effect, Status: s.doing().Status, Value: s.value, Error: s.message, Usage: s.usage,
		Began: s.began, Ended: s.ended, Kept: s.kept,
	}
	if len(s.place) > 0 {
		spot := s.place[len(s.place)-1]
		c.At = h.Plan.Blocks[spot.Block].Nodes[spot.Slot].At
	}
	switch w := s.wish.(type) {
	case *run.CallWish:
		c.Text, c.Args = w.Text, w.Args
		if w.System != "" {
			c.System = w.System
		} else if w.Persona != nil {
			c.System = w.Persona
		}
	case *run.AskWish:
		form := w.Form
		c.Form = &form
	}
	for _, f := range s.facts {
		c.attempt(f)
	}
	return c, nil
}

// attempt books a fact of the step on the attempt that it is about.
func (c *Call) attempt(f run.Fact) {
	of := func(path run.Path, number int) *Attempt {
		for i := range c.Attempts {
			if a := &c.Attempts[i]; a.Path == path && a.Number == number {
				return a
			}
		}
		c.Attempts = append(c.Attempts, Attempt{Path: path, Number: number, Seq: f.Seq})
		return &c.Attempts[len(c.Attempts)-1]
	}
	switch b := f.Body.(type) {
	case *run.CallStarted:
		of(b.Path, b.Attempt).Began = f.At
	case *run.CallDone:
		a := of(b.Path, b.Attempt)
		a.Ended, a.Done, a.Source, a.AgentID, a.Usage = f.At, true, b.Source, b.AgentID, b.Usage
	case *run.CallFailed:
		a := of(b.Path, b.Attempt)
		a.Ended, a.Outcome, a.Message, a.Source, a.Usage = f.At, b.Outcome, b.Message, b.Source, b.Usage
	case *run.CallEnded:
		a := of(b.Path, b.Attempt)
		a.Ended, a.Outcome, a.Usage = f.At, run.Stopped, b.Usage
	}
}
