package wire

import (
	"fmt"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// Error is why a run or a step of it failed.
type Error struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Path    run.Path `json:"path"`
}

// ErrorOf is nil when there is none.
func ErrorOf(e *run.Error) *Error {
	if e == nil {
		return nil
	}
	return &Error{e.Code, e.Message, e.Path}
}

// Step is a call of a run.
type Step struct {
	Path     run.Path        `json:"path"`
	Agent    string          `json:"agent"`
	Status   runs.StepStatus `json:"status"`
	Attempts int             `json:"attempts"` // 0: it failed before it could be called
	Started  *time.Time      `json:"started"`
	Finished *time.Time      `json:"finished"`
	Usage    Usage           `json:"usage"`
	Cost
	Error  string  `json:"error,omitempty"`
	Kept   bool    `json:"kept,omitempty"`   // taken over from the run that this one is a fork of, which has paid for it
	Answer *Answer `json:"answer,omitempty"` // to its question
}

// Answer is what was said to a question.
type Answer struct {
	Value  any        `json:"value"`
	By     string     `json:"by"` // runs.ByTimeout: nobody answered in time, and this stands in for it
	At     *time.Time `json:"at"`
	Reason string     `json:"reason,omitempty"`
}

func answerOf(a *runs.Answer) *Answer {
	if a == nil {
		return nil
	}
	return &Answer{Plain(a.Value), a.By, Instant(a.At), a.Reason}
}

// Steps of a view, never nil.
func Steps(v runs.View) []Step {
	steps := make([]Step, 0, len(v.Steps))
	for _, s := range v.Steps {
		steps = append(steps, Step{
			Path: s.Path, Agent: s.Agent, Status: s.Status, Attempts: s.Attempts, Started: Instant(s.Started), Finished: Instant(s.Finished),
			Usage: UsageOf(s.Usage), Cost: CostOfStep(s), Error: s.Error, Kept: s.Kept, Answer: answerOf(s.Answer),
		})
	}
	return steps
}

// Note is what follows from a fact and is said by none.
type Note struct {
	Kind string    `json:"kind,omitempty"`
	At   time.Time `json:"at"`
	*run.Note
	Error *Error `json:"error,omitempty"` // in the place of the note's own
	Text  string `json:"text"`
}

// NoteOf is a note with its text. It has no Kind: only a frame has one.
func NoteOf(n *run.Note, at time.Time) Note {
	return Note{At: at, Note: n, Error: ErrorOf(n.Error), Text: n.Text()}
}

// Instant is a time in UTC, null when there is none.
func Instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Plain is v with files, and texts that are kept apart for their size, described by their fields, and secrets by their names, for JSON.
func Plain(v any) any {
	switch v := v.(type) {
	case types.FileValue:
		return map[string]any{"name": v.Name, "size": v.Size, "type": v.Type, "sha256": v.SHA256}
	case types.Large:
		return map[string]any{"size": v.Size, "type": "text/plain; charset=utf-8", "sha256": v.SHA256}
	case types.Secret:
		return "‹secret " + v.Name + "›"
	case types.Parts:
		var b strings.Builder
		for _, p := range v {
			switch p := Plain(p).(type) {
			case string:
				b.WriteString(p)
			case map[string]any:
				fmt.Fprintf(&b, "‹%v bytes, sha256 %v›", p["size"], p["sha256"])
			}
		}
		return b.String()
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = Plain(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = Plain(e)
		}
		return out
	}
	return v
}
