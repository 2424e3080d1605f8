package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// witness sees when a store takes nothing more, as on a full disk. The engine tries again for as long as that lasts; the person should know why nothing
// happens.
type witness struct {
	store.Store
	down atomic.Bool
	news chan error // what is wrong, or nil when it is over; as much as is not read is dropped
}

func newWitness(s store.Store) *witness { return &witness{Store: s, news: make(chan error, 4)} }

// Append implements store.Log.
func (w *witness) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	err := w.Store.Append(ctx, lease, head, facts...)
	switch {
	case err == nil:
		if w.down.CompareAndSwap(true, false) {
			w.tell(nil)
		}
	case ctx.Err() != nil, errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrFinished):
		// these are its word
	case w.down.CompareAndSwap(false, true):
		w.tell(err)
	}
	return err
}

func (w *witness) tell(err error) {
	select {
	case w.news <- err:
	default:
	}
}

// sayStore says that the store takes nothing more, or again.
func (s *session) sayStore(err error) {
	if err == nil {
		s.say("what happened can be written again: the run goes on")
		return
	}
	if s.state.server != "" {
		s.say(fmt.Sprintf("what happened cannot be written to %s: %v\n  what thinks or reads goes on for a while, all else waits until it can; or stop it with Ctrl-C and later: slop resume%s %s", s.state.server, err, s.state.said, s.id))
		return
	}
	if found := s.state.probe(); found != nil {
		err = found
	}
	s.say(fmt.Sprintf("what happened cannot be written to %s: %v\n  the run waits until it can; make room, or stop it with Ctrl-C and later: slop resume%s %s", s.state.folder, err, s.state.said, s.id))
}
