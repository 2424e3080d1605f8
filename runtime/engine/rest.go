package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// errResting ends a session whose run waits for a person or for a time.
var errResting = errors.New("the run rests")

// idle reports whether nothing is under way and nothing will happen soon by itself.
func (s *session) idle() bool {
	if len(s.flights) > 0 || len(s.planned) > 0 || len(s.inline) > 0 || s.inAir > 0 {
		return false
	}
	at, ok := s.alarms.next()
	return !ok || at.Sub(s.now) > s.engine.linger
}

// lounge decides whether an idle session stays: for a while, since who answers at once should not wait for a fold, but not in a crowd.
// It reports whether the session is over, or else whether it was told something meanwhile.
func (s *session) lounge() (over, told bool) {
	if !s.idle() || s.out != nil {
		s.restAt = time.Time{}
		return false, false
	}
	if s.restAt.IsZero() {
		s.restAt = s.now.Add(s.engine.linger)
		if s.engine.crowded() {
			s.restAt = s.now
		}
	}
	if s.now.Before(s.restAt) || s.mailed() {
		return false, false
	}
	return s.rest()
}

// mailed reports whether there is something to read first.
func (s *session) mailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mail) > 0
}

// rest gives the lease back until the run is told something or its time comes.
func (s *session) rest() (over, told bool) {
	s.restAt = time.Time{}
	for w := range s.machine.Open() {
		switch w := w.(type) {
		case *run.AskWish, *run.SleepWish:
		case *run.CallWish:
			if !w.Due.After(s.now) {
				return false, false
			}
		default:
			return false, false
		}
	}
	wake, _ := s.alarms.next()
	p := &appointment{id: s.id, head: s.head, at: wake, priority: s.priority}
	err := s.engine.store.Rest(s.ctx, s.lease.Load().Lease, s.head, wake)
	switch {
	case err == nil:
		if s.engine.works(s.options.Pool) {
			p = nil // the store's queue wakes it
		}
	case errors.Is(err, store.ErrConflict):
		s.hear()
		return false, true
	case errors.Is(err, store.ErrFenced):
		return !s.regain(), true
	case errors.Is(err, store.ErrFinished):
		s.err = fmt.Errorf("run %s went to another worker: %w", s.id, err)
		return true, false
	case s.ctx.Err() != nil:
		s.err = context.Cause(s.ctx)
		return true, false
	default:
		p.at = s.now.Add(longRest) // it may be at rest or not: whoever takes it up sees
	}
	s.err, s.appointment = errResting, p
	return true, false
}
