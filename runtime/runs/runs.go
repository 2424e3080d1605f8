// Package runs is how programs talk about runs: start them, watch them, answer them. Engines and clients offer it; the command line and the server use it.
package runs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

// The errors callers branch on.
var (
	ErrNotFound = errors.New("there is no such run")
	ErrFinished = errors.New("the run is finished")
	ErrAnswered = errors.New("the question has been answered")
	ErrNotAsked = errors.New("nobody asked that")
	ErrAnswer   = errors.New("the answer does not fit the question")
	ErrInput    = errors.New("the inputs do not fit")
	ErrClosed   = errors.New("the engine is closed")
	ErrBusy     = errors.New("too many runs wait in line")
	ErrExists   = errors.New("there is a run of that id")

	// ErrUnavailable: nothing can be taken down now, so nothing is promised. It is worth another try.
	ErrUnavailable = errors.New("the store of the runs cannot be reached")
)

// BusyError is an ErrBusy that says how many runs may wait.
type BusyError struct{ Bound int }

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v: %d may; start it again when some have ended", ErrBusy, e.Bound)
}

// Is makes it an ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// ByTimeout is who answered a question that nobody answered in time: its `else` says what counts.
const ByTimeout = "timeout"

// AnsweredError is an ErrAnswered that says whose answer counts.
type AnsweredError struct {
	Path run.Path
	By   string // empty: nobody says; ByTimeout: its time was over
	At   time.Time
}

func (e *AnsweredError) Error() string {
	at := e.At.UTC().Format("2006-01-02 15:04:05Z")
	switch e.By {
	case ByTimeout:
		return fmt.Sprintf("the question at %s was not answered in time: it was over at %s", e.Path, at)
	case "":
		return fmt.Sprintf("the question at %s was answered at %s", e.Path, at)
	}
	return fmt.Sprintf("%s answered the question at %s first, at %s", e.By, e.Path, at)
}

// Is makes it an ErrAnswered.
func (e *AnsweredError) Is(target error) bool { return target == ErrAnswered }

// UnfitError is an ErrAnswer that says what does not fit, and where.
type UnfitError struct{ Problems []eval.Misfit }

func (e *UnfitError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Message
		if p.At != "" {
			lines[i] = p.At + ": " + p.Message
		}
	}
	return fmt.Sprintf("%v: %s", ErrAnswer, strings.Join(lines, "; "))
}

// Is makes it an ErrAnswer.
func (e *UnfitError) Is(target error) bool { return target == ErrAnswer }

// Runs starts and steers runs. All methods may be called from any goroutine.
type Runs interface {
	// Start begins a run; when it returns, the run is stored. Inputs are values by name; ErrInput names all that are missing or do not fit.
	// ErrExists: there is a run of the id that the options name, begun before.
	Start(ctx context.Context, p *plan.Plan, inputs map[string]any, o run.Options) (run.ID, error)
	// Wait gives the end of a run. A run that failed is no error of Wait.
	Wait(ctx context.Context, id run.ID) (run.Finished, error)
	// Watch yields the facts after a seq, then what comes, with progress in between, until the run is finished.
	Watch(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[Event, error]
	// Cancel, Pause and Resume ask for it and return when the request is stored. ErrFinished.
	Cancel(ctx context.Context, id run.ID, by, reason string) error
	Pause(ctx context.Context, id run.ID, by, reason string) error
	Resume(ctx context.Context, id run.ID, by, reason string) error
	// Answer answers the question at path. The first answer counts: *AnsweredError, an ErrAnswered, for the others, also when the run has ended since. ErrNotAsked:
	// nobody asked, or nobody needs to know any more. *UnfitError, an ErrAnswer: it does not fit, and nothing is recorded. Because gives it a reason.
	Answer(ctx context.Context, id run.ID, path run.Path, value any, by string) error
	// Forecast says what a fork of a run would keep and do again, and begins nothing. travel.ErrNothing, travel.ErrDrift, *travel.ErrStep, ErrInput.
	Forecast(ctx context.Context, id run.ID, c Change) (*Forecast, error)
	// Fork begins a new run that keeps what Forecast says; when it returns, the run is stored with all that it keeps.
	Fork(ctx context.Context, id run.ID, c Change) (run.ID, error)
	// Diff compares two runs step by step.
	Diff(ctx context.Context, a, b run.ID) (*travel.Difference, error)
}

// Because is an answer with the reason that its history keeps.
func Because(value any, reason string) any {
	if reason == "" {
		return value
	}
	return reasoned{value, reason}
}

// Reason takes an answer apart.
func Reason(answer any) (value any, reason string) {
	if r, ok := answer.(reasoned); ok {
		return r.value, r.reason
	}
	return answer, ""
}

type reasoned struct {
	value  any
	reason string
}

// Event is news of a run: exactly one field is set. What follows from a fact and is not said by it (a wait, a fallback, a round) is for whoever folds the
// facts: see Folder.Add.
type Event struct {
	Fact     *run.Fact
	Progress *Progress
}

// Progress is news of a call under way. It is shown and forgotten: some may be lost, and none comes after the fact that ends its attempt.
type Progress struct {
	Path    run.Path
	Attempt int
	Offset  int    // bytes of Delta that the attempt sent before this one
	Delta   string // text as it streams
	Note    string // one line about what is going on
	Reset   bool   // a new attempt begins: what was shown of earlier ones is void

	Tool *run.ToolUse // a tool that the call begins to use, or has used; the Note says so too
}

// View is a run as its facts show it.
type View struct {
	ID       run.ID
	Status   run.Status
	Output   any
	Error    *run.Error
	Started  time.Time
	Finished time.Time // zero: not yet
	Steps    []Step    // in order of their first fact
	Usage    run.Usage // of all calls so far; of the run once it is finished
	Fork     *run.Fork // where the run comes from, when it is a fork
}

// Step is one call of a run: a path, with all its attempts.
type Step struct {
	Path     run.Path
	Agent    string
	Free     bool // its agent is declared to cost nothing
	Status   StepStatus
	Attempts int       // 0: it failed before it could be called
	Until    time.Time // of a `wait` under way, of a retry that waits, and of a question that waits no longer
	Started  time.Time // zero: calls that are free, and answers out of the cache, have an end only
	Finished time.Time // zero: not yet
	Usage    run.Usage
	Cached   bool      // its answer came out of the cache
	Kept     bool      // it was taken over from the origin of a fork: its usage is not the run's
	Error    string    // of the last attempt, when it failed; or why it could not be called
	Form     *run.Form // of a question that waits
	Answer   *Answer   // of a question that was answered, or not in time
}

// Answer is what was said to a question, by whom, and when.
type Answer struct {
	Value  any       `json:"value"`
	By     string    `json:"by"` // empty: nobody says; ByTimeout: its time was over, and Value is what its `else` says, where that stands in the script
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// StepStatus of a call.
type StepStatus string

// The statuses of a call. A failed one becomes running again with its next attempt.
const (
	Running   StepStatus = "running"
	Asking    StepStatus = "waiting"  // for a person, who sees its Form; or, without a Form, for its time, or for the answer to what it asked in mid-call
	Retrying  StepStatus = "retrying" // the last attempt failed, the next waits for its time
	Done      StepStatus = "done"
	Failed    StepStatus = "failed"
	Cancelled StepStatus = "cancelled"
)
