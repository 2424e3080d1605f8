// Package contexts is shared state: values under nested paths such as `a.b[0].c`, some with an end to their life.
//
// State is a value that is never changed: a change makes a new state that copies the records and lists along its path. So what a reader got stays what it was,
// a snapshot is the state itself, and whoever keeps one decides when a change counts: Space at once, under a lock; an engine when the history of a run says so,
// or when a store has taken it.
package contexts

import (
	"context"
	"errors"
	"sync"
	"time"
)

// The bounds of a state. They keep a runaway script from eating the process.
const (
	MaxPath  = 1024     // bytes of a path
	MaxDepth = 32       // names and indexes in a path, and levels of a value
	MaxItems = 100_000  // of a list
	MaxEnds  = 10_000   // values with a ttl
	MaxBytes = 16 << 20 // of all values together, estimated
)

// Scope says who shares a state.
type Scope string

// The scopes. What is in Flow and Shared outlives the run.
const (
	Run    Scope = "run"    // the steps of one run
	Flow   Scope = "flow"   // all runs of a flow
	Shared Scope = "shared" // all flows
)

// Scopes lists them, the narrowest first.
var Scopes = []string{string(Run), string(Flow), string(Shared)}

// What keeps a change from being made that says nothing about the change itself.
var (
	ErrUnavailable = errors.New("shared state cannot be reached")
	ErrUnsure      = errors.New("nobody knows whether the change was made")
)

// Space is a state that many goroutines change. The zero value is empty and ready.
type Space struct {
	Clock func() time.Time // nil: time.Now

	mu    sync.Mutex
	state State
	view  State // state without what had ended when somebody looked last
}

// Get gives the value at path; ok is false when there is none. The value must not be changed.
func (s *Space) Get(path string) (value any, ok bool, err error) { return s.look().Get(path) }

// List gives what is below a path, as State.List does.
func (s *Space) List(path string) ([]string, error) { return s.look().List(path) }

// Apply makes a change. No two are made at the same time, so none undoes another.
func (s *Space) Apply(c Change) (value any, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, value, err := s.state.Apply(c, s.now())
	if err == nil {
		s.state, s.view = next, next
	}
	return value, err
}

// Snapshot gives the state as the changes left it, with what has ended since.
func (s *Space) Snapshot() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Restore makes a state that of the space.
func (s *Space) Restore(state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.view = state, state
}

// look leaves the state itself alone: when a value went is the business of the next change, whose time may be a little earlier.
func (s *Space) look() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view = s.view.At(s.now())
	return s.view
}

func (s *Space) now() time.Time {
	if s.Clock != nil {
		return s.Clock()
	}
	return time.Now()
}

// Spaces keeps all scopes in memory, for a host of one run.
type Spaces struct {
	Run, Flow, Shared Space
}

// Get gives a value of a scope.
func (s *Spaces) Get(_ context.Context, scope Scope, path string) (value any, ok bool, err error) {
	return s.of(scope).Get(path)
}

// List gives what is below a path of a scope.
func (s *Spaces) List(_ context.Context, scope Scope, path string) ([]string, error) {
	return s.of(scope).List(path)
}

// Change makes a change in a scope.
func (s *Spaces) Change(_ context.Context, scope Scope, c Change) (any, error) {
	return s.of(scope).Apply(c)
}

func (s *Spaces) of(scope Scope) *Space {
	switch scope {
	case Flow:
		return &s.Flow
	case Shared:
		return &s.Shared
	}
	return &s.Run
}
