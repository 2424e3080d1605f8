// Package run is the vocabulary of a run: facts (what has happened, in order), wishes (what should happen next) and the words both are made of.
package run

import (
	"encoding/json"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
)

// ID names a run. It sorts by the time of its start.
type ID string

// Path is the identity of a call within its run: "poem#2/review" (spec/language.md, "Paths").
type Path string

// Seq numbers the facts of a run from 1 without gaps.
type Seq uint64

// Status of a run.
type Status string

// Only Succeeded, Failed and Cancelled are final.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Waiting   Status = "waiting" // for a person, with nothing else to do
	Paused    Status = "paused"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

// Final reports whether a run of this status has ended.
func (s Status) Final() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Outcome says how a call failed.
type Outcome string

// The outcomes. Timeout, Unavailable and RateLimited may pass and are retried; Invalid is repaired.
const (
	Timeout     Outcome = "timeout"
	Unavailable Outcome = "unavailable" // connection, 5xx, crash of the agent
	RateLimited Outcome = "rate_limited"
	Refused     Outcome = "refused" // the model or person said no
	Denied      Outcome = "denied"  // authentication, permission
	Invalid     Outcome = "invalid" // the answer does not fit its type
	Interrupted Outcome = "interrupted"
	Failure     Outcome = "error"
	OverBudget  Outcome = "budget"    // never of a call: of a step or block
	Asks        Outcome = "asks"      // the agent needs an answer in mid-call
	Stopped     Outcome = "cancelled" // of CallEnded
)

// Source says where a number about usage comes from.
type Source string

// A made-up 0 is never a figure: what nobody reported is Unknown.
const (
	Unknown   Source = "unknown"
	Estimated Source = "estimated"
	Reported  Source = "reported"
)

// Usage is what a call used. Tokens and Cost count only as far as their sources say.
type Usage struct {
	Calls      int64      `json:"calls,omitempty"`
	Input      int64      `json:"input,omitempty"` // tokens, without those read from or written to the provider's cache
	Output     int64      `json:"output,omitempty"`
	CacheRead  int64      `json:"cacheRead,omitempty"`
	CacheWrite int64      `json:"cacheWrite,omitempty"`
	Tokens     Source     `json:"tokens,omitempty"`     // where the token figures come from; empty: the call has none
	Cost       plan.Money `json:"cost,omitempty"`       // millionths of a dollar
	CostSource Source     `json:"costSource,omitempty"` // empty: the call costs nothing
	Model      string     `json:"model,omitempty"`
}

// Amount is a sum of what budgets count.
type Amount struct {
	Money  plan.Money `json:"money,omitempty"`
	Tokens int64      `json:"tokens,omitempty"`
	Calls  int64      `json:"calls,omitempty"`
}

// Options of a run, fixed when it starts.
type Options struct {
	Budget      []plan.Amount `json:"budget,omitempty"` // in addition to the plan's
	Timeout     time.Duration `json:"timeout,omitempty"`
	MaxParallel int           `json:"maxParallel,omitempty"`
	Priority    int           `json:"priority,omitempty"`
	Pool        string        `json:"pool,omitempty"`
	Tenant      string        `json:"tenant,omitempty"`
	Tags        []string      `json:"tags,omitempty"`
	By          string        `json:"by,omitempty"`
	Cache       CacheMode     `json:"cache,omitempty"`
	ID          ID            `json:"-"` // of the new run, from NewID; "": it gets one. With it, beginning a run twice begins it once
}

// CacheMode says what a run does with the cache of answers, for all calls whose script has a `cache` clause.
type CacheMode string

// The modes. The zero value is CacheWrite.
const (
	CacheOff     CacheMode = "off"     // every call is made, nothing is kept
	CacheRead    CacheMode = "read"    // answers that are there are used, nothing is kept
	CacheWrite   CacheMode = "write"   // answers that are there are used, new ones are kept
	CacheRefresh CacheMode = "refresh" // every call is made, its answer takes the place of the one that is there
)

// Known reports whether the mode is one of them.
func (c CacheMode) Known() bool { return c == "" || c.Reads() || c.Writes() || c == CacheOff }

// Reads reports whether answers that are there are used.
func (c CacheMode) Reads() bool { return c == "" || c == CacheRead || c == CacheWrite }

// Writes reports whether new answers are kept.
func (c CacheMode) Writes() bool { return c == "" || c == CacheWrite || c == CacheRefresh }

// Fact is one thing that happened. At is the clock of whoever recorded it.
type Fact struct {
	Seq  Seq
	At   time.Time
	Body Body
}

// Body is one of *Started, *CallStarted, *CallDone, *CallFailed, *CallEnded, *Asked, *Answered, *Computed, *TimerFired, *PauseAsked, *ResumeAsked, *CancelAsked, *Finished.
type Body interface{ kind() string }

// Started is always fact 1.
type Started struct {
	Plan    string         `json:"plan"` // hash
	Inputs  map[string]any `json:"inputs,omitempty"`
	Options Options        `json:"options,omitzero"`
	Seed    uint64         `json:"seed"`
	Machine int            `json:"machine"` // version of the machine that began it
	Fork    *Fork          `json:"fork,omitempty"`
}

// Fork names the origin of a forked run. The facts after Started, up to Kept, are of the origin: what its steps came to that do not run again.
type Fork struct {
	Run  ID  `json:"run"`
	Seq  Seq `json:"seq"`            // of the origin's first fact that the fork has not taken over
	Kept Seq `json:"kept,omitempty"` // of the fork's last fact that it has taken over; 0: there is none
}

// Kept is the Source of results that a fork took over from its origin: their usage is shown and counts for nothing.
const Kept = "kept"

// CallStarted is recorded before every call that costs, changes the world or lasts.
type CallStarted struct {
	Path        Path   `json:"path"`
	Attempt     int    `json:"attempt"` // from 1
	Key         string `json:"key"`     // run/path, the same for every attempt
	Fingerprint string `json:"fingerprint"`
	Reserved    Amount `json:"reserved,omitzero"`
}

// CallDone carries a value that has been read and validated.
type CallDone struct {
	Path    Path   `json:"path"`
	Attempt int    `json:"attempt"`
	Value   any    `json:"value"`
	Usage   Usage  `json:"usage,omitzero"`
	Source  string `json:"source,omitempty"` // "cache" or Kept when it was not the agent that answered
	AgentID string `json:"agentId,omitempty"`
}

// CallFailed ends an attempt. Invalid opens a repair round, Asks a question.
type CallFailed struct {
	Path       Path          `json:"path"`
	Attempt    int           `json:"attempt"`
	Outcome    Outcome       `json:"outcome"`
	Message    string        `json:"message"`            // up to 4 KiB
	Problems   []string      `json:"problems,omitempty"` // what was wrong with an invalid answer
	Answer     any           `json:"answer,omitempty"`   // the invalid answer, for the repair
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
	Usage      Usage         `json:"usage,omitzero"`
	Source     string        `json:"source,omitempty"` // Kept, or empty
	Form       *Form         `json:"form,omitempty"`   // of Asks: what people are asked
	Token      string        `json:"token,omitempty"`  // of Asks: what the agent gets back beside the answer, up to MaxToken
}

// MaxToken bounds what an agent that asks wants to get back beside the answer.
const MaxToken = 64 << 10

// CallEnded is the end of a cancelled or late call: it settles the budget and changes no value.
type CallEnded struct {
	Path    Path  `json:"path"`
	Attempt int   `json:"attempt"`
	Usage   Usage `json:"usage,omitzero"`
}

// Asked records that a question was put to people.
type Asked struct {
	Path     Path      `json:"path"`
	Form     Form      `json:"form"`
	Deadline time.Time `json:"deadline,omitzero"`
}

// Answered is the answer of a person; the first counts.
type Answered struct {
	Path   Path   `json:"path"`
	Value  any    `json:"value"`
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"` // for people who read the history
}

// Computed answers a Compute wish.
type Computed struct {
	Path  Path   `json:"path"`
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

// TimerFired says that a Sleep is over.
type TimerFired struct {
	Timer string `json:"timer"`
}

// PauseAsked, ResumeAsked and CancelAsked come from outside.
type PauseAsked struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// ResumeAsked ends a pause.
type ResumeAsked struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// CancelAsked ends a run.
type CancelAsked struct {
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Finished is always the last fact.
type Finished struct {
	Status Status `json:"status"`
	Value  any    `json:"value,omitempty"`
	Error  *Error `json:"error,omitempty"`
	Usage  Usage  `json:"usage,omitzero"`
}

// Error is why a step or a run failed.
type Error struct {
	Code    string `json:"code"` // "E_TIMEOUT", "E_BUDGET", "E_REQUIRE" … (spec/diagnostics.md, "Failures of runs")
	Kind    string `json:"kind"` // the outcome, or require, value, budget, timeout, fail
	Message string `json:"message"`
	Path    Path   `json:"path,omitempty"`
	Agent   string `json:"agent,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

// Form is a question to a person.
type Form struct {
	Kind    string      `json:"kind"` // "ask", "approve", "choose", "form"; "interrupted"
	Text    string      `json:"text"`
	Large   types.Parts `json:"-"` // in a wish: the text when something large stands in it; whoever records Asked joins it into Text
	Choices []string    `json:"choices,omitempty"`
	Type    types.Type  `json:"type,omitzero"` // of the answer; of "interrupted": of the value behind done
	// Actions are, of an approval, the calls that change the world and depend on the answer, as they will be made if it is yes; More is how many are not listed.
	Actions []Action `json:"actions,omitempty"`
	More    int      `json:"more,omitempty"`
	// Schema is the JSON Schema of an answer. Whoever records Asked writes it, so that a history tells it without the language.
	Schema json.RawMessage `json:"schema,omitempty"`
}

// Action is a call as it will be made. Fingerprint is that of its CallStarted, and empty where not all that is sent can be known yet.
type Action struct {
	Path        Path   `json:"path"`
	Agent       string `json:"agent"`
	Sent        []Sent `json:"sent,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Sent is an argument, or the text behind the agent, as JSON for people: a secret is ‹secret NAME›, what is large ‹…, sha256 …›.
type Sent struct {
	Name    string          `json:"name"`
	Value   json.RawMessage `json:"value,omitempty"`
	Unknown bool            `json:"unknown,omitempty"` // it is not known before the answer; with a Value: not all of it may be shown
}

// The kinds of forms that are answered in a manner of their own.
const (
	ApproveForm     = "approve"     // yes or no
	FillForm        = "form"        // of an agent in mid-call: it may be declined
	InterruptedForm = "interrupted" // what became of a call that was cut off: "done", {"done": value}, "again", "fail"
)

// Answer is the type that an answer has; one may also decline what may be declined, and say with what value an interrupted call was done.
func (f *Form) Answer() types.Type {
	choices := f.Choices
	if f.Kind == ApproveForm && len(choices) == 0 {
		choices = []string{"yes", "no"}
	}
	switch {
	case len(choices) > 0:
		return types.Type{Kind: types.Enum, Values: choices}
	case f.Type.Kind == types.Any && f.Kind != FillForm:
		return types.Type{Kind: types.String}
	}
	return f.Type
}

// AnswerSchema is the JSON Schema of all that the form takes.
func (f *Form) AnswerSchema() json.RawMessage {
	schema := string(types.Schema(f.Answer()))
	switch f.Kind {
	case FillForm:
		schema = `{"anyOf":[` + schema + `,{"const":"` + Decline + `"}]}`
	case InterruptedForm:
		schema = `{"anyOf":[` + schema + `,{"type":"object","properties":{"done":` + string(types.Schema(f.Type)) + `},"required":["done"],"additionalProperties":false}]}`
	}
	return json.RawMessage(schema)
}

// Decline is the answer of who does not want to fill in a form: any form may be declined.
const Decline = "decline"

// Declined reports whether v declines the form.
func (f *Form) Declined(v any) bool { return f.Kind == FillForm && v == Decline }

func (*Started) kind() string     { return "started" }
func (*CallStarted) kind() string { return "call_started" }
func (*CallDone) kind() string    { return "call_done" }
func (*CallFailed) kind() string  { return "call_failed" }
func (*CallEnded) kind() string   { return "call_ended" }
func (*Asked) kind() string       { return "asked" }
func (*Answered) kind() string    { return "answered" }
func (*Computed) kind() string    { return "computed" }
func (*TimerFired) kind() string  { return "timer_fired" }
func (*PauseAsked) kind() string  { return "pause_asked" }
func (*ResumeAsked) kind() string { return "resume_asked" }
func (*CancelAsked) kind() string { return "cancel_asked" }
func (*Finished) kind() string    { return "finished" }

// Kind names the body of a fact: "call_done".
func (f Fact) Kind() string { return f.Body.kind() }
