package wire

import (
	"encoding/json"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

// Run is a run as a server tells of it.
type Run struct {
	ID         run.ID     `json:"id"`
	Status     run.Status `json:"status"`
	Flow       string     `json:"flow"`
	Output     any        `json:"output"`
	Error      *Error     `json:"error"`
	CreatedAt  *time.Time `json:"createdAt"`  // it was stored
	StartedAt  *time.Time `json:"startedAt"`  // its first step began; null: none has
	FinishedAt *time.Time `json:"finishedAt"` // null: it has not
	Usage      Usage      `json:"usage"`
	Cost
	Queue     *Queue     `json:"queue"` // null: it waits in no line
	Seq       run.Seq    `json:"seq"`   // of the last fact that counted here
	By        string     `json:"by,omitempty"`
	Tags      []string   `json:"tags,omitempty"`
	Priority  int        `json:"priority,omitempty"`
	Fork      *run.Fork  `json:"fork,omitempty"`
	Questions []Question `json:"questions"` // that wait for an answer
	Steps     []Step     `json:"steps"`
}

// Queue is the place of a run that waits for its turn.
type Queue struct {
	Position int    `json:"position,omitempty"` // from 1; 0: nobody knows
	Reason   string `json:"reason"`
}

// Question waits for an answer.
type Question struct {
	Step    run.Path        `json:"step"`
	Kind    string          `json:"kind"` // ask, approve, choose, form, interrupted
	Text    string          `json:"text"`
	Choices []string        `json:"choices,omitempty"`
	Schema  json.RawMessage `json:"schema"` // of the answer
	Asked   *time.Time      `json:"asked"`

	Deadline *time.Time   `json:"deadline"`          // null: it waits as long as it takes
	Actions  []run.Action `json:"actions,omitempty"` // of an approval: the calls that a yes lets happen, as they will be made
	More     int          `json:"more,omitempty"`    // of them are not listed
}

// Questions of a view that wait for an answer, never nil.
func Questions(v runs.View) []Question {
	open := []Question{}
	for _, s := range v.Steps {
		if f := s.Form; s.Status == runs.Asking && f != nil {
			open = append(open, Question{s.Path, f.Kind, f.Text, f.Choices, f.AnswerSchema(), Instant(s.Started), Instant(s.Until), f.Actions, f.More})
		}
	}
	return open
}

// RunOf is a run as its folded facts show it. seq is that of the last of them.
func RunOf(v runs.View, flow string, o run.Options, seq run.Seq) Run {
	r := Run{
		ID: v.ID, Status: v.Status, Flow: flow, Output: Plain(v.Output), Error: ErrorOf(v.Error), CreatedAt: Instant(v.Started), FinishedAt: Instant(v.Finished),
		Usage: UsageOf(v.Usage), Cost: CostOfRun(v), Seq: seq, By: o.By, Tags: o.Tags, Priority: o.Priority, Fork: v.Fork, Questions: Questions(v), Steps: Steps(v),
	}
	if r.Error == nil && v.Status == run.Cancelled {
		r.Error = &Error{Code: "E_CANCELLED", Message: "the run was cancelled"}
	}
	for _, s := range v.Steps {
		if !s.Started.IsZero() && (r.StartedAt == nil || s.Started.Before(*r.StartedAt)) {
			r.StartedAt = Instant(s.Started)
		}
	}
	if r.StartedAt == nil && v.Status != run.Queued {
		r.StartedAt = r.CreatedAt
	}
	return r
}

// Entry is a run in a list.
type Entry struct {
	ID         run.ID     `json:"id"`
	Flow       string     `json:"flow"`
	Status     run.Status `json:"status"`
	CreatedAt  *time.Time `json:"createdAt"`
	FinishedAt *time.Time `json:"finishedAt"`
	Cost
	Code    string     `json:"code,omitempty"`    // of the error of a failed run
	Waiting []run.Path `json:"waiting,omitempty"` // the questions that wait for an answer
	Tags    []string   `json:"tags,omitempty"`
}

// EntryOf is a run as the index of a store knows it.
func EntryOf(e store.Entry) Entry {
	return Entry{
		ID: e.Run, Flow: e.Flow, Status: e.Status, CreatedAt: Instant(e.Started), FinishedAt: Instant(e.Finished),
		Cost: CostOf(run.Usage{Cost: e.Cost, CostSource: e.CostSource}, NoSource), Code: e.Code, Waiting: e.Waiting, Tags: e.Tags,
	}
}
