// Package ear collects the runs that one listener of a store in the same process has yet to hear of.
package ear

import (
	"sync"

	"github.com/slopstudios/slop/runtime/run"
)

// Ear holds each run that waits once, so a slow listener costs at most one entry a run, and nobody who tells waits for it. Use New.
type Ear struct {
	wake    chan struct{}
	mu      sync.Mutex
	waiting map[run.ID]bool
	order   []run.ID
}

// New returns an ear that has heard nothing.
func New() *Ear { return &Ear{wake: make(chan struct{}, 1), waiting: map[run.ID]bool{}} }

// Hear adds a run.
func (e *Ear) Hear(id run.ID) {
	e.mu.Lock()
	if !e.waiting[id] {
		e.waiting[id] = true
		e.order = append(e.order, id)
	}
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Wake has something when there may be runs to take.
func (e *Ear) Wake() <-chan struct{} { return e.wake }

// Take gives the runs that were heard of since the last time, in order.
func (e *Ear) Take() []run.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := e.order
	e.order = nil
	clear(e.waiting)
	return ids
}
