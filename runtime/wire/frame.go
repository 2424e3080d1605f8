package wire

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// SchemaVersion of frames. A new field or kind leaves it as it is; readers skip what they do not know.
const SchemaVersion = 1

// Orchestrated is the tag of runs that `/orchestrate` began: their events are named agent:orchestration:*, those of others agent:workflow:*.
const Orchestrated = "orchestration"

// Frames makes the frames of one run as its events come: a JSON object each. It belongs to one goroutine.
//
// Each fact is one frame with the seq of the fact, so the seqs of a run have no gap; what follows from a fact (kind "note"), and the progress of calls (kind
// "progress"), stand between them without one.
type Frames struct {
	ID     run.ID
	Folder *runs.Folder // of the run; who makes frames adds each fact to it first
	Family string       // begins the names of events; "" is agent:workflow
}

// Fact is the frame of a fact that the Folder has been given: as it is stored, save that what was used has the shape it has everywhere else.
func (m *Frames) Fact(f run.Fact) ([]byte, error) {
	var used run.Usage
	var cost Cost
	name := EventName(f.Body)
	switch b := f.Body.(type) {
	case *run.CallDone:
		c := *b
		used, c.Usage, f.Body = b.Usage, run.Usage{}, &c
		cost = m.costAt(b.Path, used)
		if b.Source == CacheSource {
			cost = CostOf(used, CacheSource)
		}
	case *run.CallFailed:
		c := *b
		used, c.Usage, f.Body = b.Usage, run.Usage{}, &c
		cost = m.costAt(b.Path, used)
	case *run.CallEnded:
		c := *b
		used, c.Usage, f.Body = b.Usage, run.Usage{}, &c
		cost = m.costAt(b.Path, used)
	case *run.Finished:
		c := *b
		used, c.Usage, f.Body = b.Usage, run.Usage{}, &c
		cost = CostOfRun(m.Folder.View())
	default:
		line, err := run.EncodeFact(f)
		if err != nil {
			return nil, err
		}
		return m.named(name, line)
	}
	line, err := run.EncodeFact(f)
	if err != nil {
		return nil, err
	}
	more, err := json.Marshal(struct {
		Usage Usage `json:"usage"`
		Cost
	}{UsageOf(used), cost})
	if err != nil {
		return nil, err
	}
	return m.named(name, append(append(bytes.TrimSuffix(line, []byte("}")), ','), more[1:]...))
}

func (m *Frames) costAt(path run.Path, u run.Usage) Cost {
	if step, ok := m.Folder.Step(path); ok && step.Free {
		return CostOf(u, FreeSource)
	}
	return CostOf(u, NoSource)
}

// Name is the whole name of an event.
func (m *Frames) Name(event string) string {
	if m.Family == "" {
		return "agent:workflow:" + event
	}
	return m.Family + ":" + event
}

// named puts the name of the event and the run in front of an object.
func (m *Frames) named(event string, object []byte) ([]byte, error) {
	head, err := json.Marshal(struct {
		Event string `json:"event"`
		Run   run.ID `json:"run"`
	}{m.Name(event), m.ID})
	if err != nil {
		return nil, err
	}
	return append(append(bytes.TrimSuffix(head, []byte("}")), ','), object[1:]...), nil
}

// EventName is what happens, as the name of its event ends.
func EventName(b run.Body) string {
	switch b := b.(type) {
	case *run.Started:
		return "started"
	case *run.CallStarted:
		return "step:started"
	case *run.CallDone:
		return "step:completed"
	case *run.CallFailed:
		if b.Outcome == run.Asks {
			return "step:asks"
		}
		return "step:failed"
	case *run.CallEnded:
		return "step:ended"
	case *run.Asked:
		return "asked"
	case *run.Answered:
		return "answered"
	case *run.Computed:
		return "step:computed"
	case *run.TimerFired:
		return "timer"
	case *run.PauseAsked:
		return "paused"
	case *run.ResumeAsked:
		return "resumed"
	case *run.CancelAsked:
		return "cancelling"
	case *run.Finished:
		switch b.Status {
		case run.Succeeded:
			return "completed"
		case run.Cancelled:
			return "cancelled"
		}
		return "failed"
	}
	return "fact"
}

// Progress is the frame of what is shown and forgotten.
func (m *Frames) Progress(p *runs.Progress) ([]byte, error) {
	line, err := json.Marshal(struct {
		Kind    string       `json:"kind"`
		Path    run.Path     `json:"path"`
		Attempt int          `json:"attempt"`
		Delta   string       `json:"delta,omitempty"`
		Offset  *int         `json:"offset,omitempty"`
		Note    string       `json:"note,omitempty"`
		Tool    *run.ToolUse `json:"tool,omitempty"`
		Reset   bool         `json:"reset,omitempty"`
	}{"progress", p.Path, p.Attempt, p.Delta, offset(p), p.Note, p.Tool, p.Reset})
	if err != nil {
		return nil, err
	}
	return m.named("step:progress", line)
}

func offset(p *runs.Progress) *int {
	if p.Delta == "" {
		return nil
	}
	return &p.Offset
}

// Note is the frame of what follows from the fact before it.
func (m *Frames) Note(n *run.Note, at time.Time) ([]byte, error) {
	note := NoteOf(n, at)
	note.Kind = "note"
	line, err := json.Marshal(note)
	if err != nil {
		return nil, err
	}
	return m.named("note", line)
}
