// Package runs is how programs talk about runs: start them, watch them, answer them. Engines and clients offer it; the command line and the server use it.
package runs

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
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
)

// Runs starts and steers runs. All methods may be called from any goroutine.
type Runs interface {
	// Start begins a run; when it returns, the run is stored. Inputs are values by name; ErrInput names all that are missing or do not fit.
	Start(ctx context.Context, p *plan.Plan, inputs map[string]any, o run.Options) (run.ID, error)
	// Wait gives the end of a run. A run that failed is no error of Wait.
	Wait(ctx context.Context, id run.ID) (run.Finished, error)
	// Watch yields the facts after a seq, then what comes, with progress in between, until the run is finished.
	Watch(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[Event, error]
	// Cancel, Pause and Resume ask for it and return when the request is stored. ErrFinished.
	Cancel(ctx context.Context, id run.ID, by, reason string) error
	Pause(ctx context.Context, id run.ID, by, reason string) error
	Resume(ctx context.Context, id run.ID, by, reason string) error
	// Answer answers the question at path. The first answer counts: ErrAnswered for the others. ErrNotAsked, ErrAnswer.
	Answer(ctx context.Context, id run.ID, path run.Path, value any, by string) error
}

// Event is news of a run: exactly one field is set.
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
}

// Step is one call of a run: a path, with all its attempts.
type Step struct {
	Path     run.Path
	Agent    string
	Status   StepStatus
	Attempts int
	Started  time.Time // zero: calls that are free record their end only
	Finished time.Time // zero: not yet
	Usage    run.Usage
	Error    string    // of the last attempt, when it failed
	Form     *run.Form // of a question that waits
}

// StepStatus of a call.
type StepStatus string

// The statuses of a call. A failed one becomes running again with its next attempt.
const (
	Running   StepStatus = "running"
	Asking    StepStatus = "waiting" // for a person
	Done      StepStatus = "done"
	Failed    StepStatus = "failed"
	Cancelled StepStatus = "cancelled"
)
