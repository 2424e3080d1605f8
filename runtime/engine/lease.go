package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// held is a lease and how long it surely lasts by this machine's own clock: counted from before it was asked for.
type held struct {
	run.Lease
	until time.Time // zero: it does not lapse
}

func (e *Engine) held(lease run.Lease, asked time.Time) *held {
	h := &held{Lease: lease}
	if e.ttl > 0 {
		h.until = asked.Add(e.ttl)
	}
	return h
}

// wall is the time that goes on while a machine sleeps.
func wall() time.Time { return time.Now().Round(0) }

// maxExtending is how many leases are extended at a time: enough for a store to join them in one write.
const maxExtending = 8

// keeper makes the leases of all sessions last.
func (e *Engine) keeper() {
	defer e.group.Done()
	every := time.NewTicker(e.ttl / 3)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-e.ctx.Done():
			return
		}
		var group errgroup.Group
		group.SetLimit(maxExtending)
		for _, s := range e.all() {
			group.Go(func() error {
				s.extend()
				return nil
			})
		}
		_ = group.Wait()
	}
}

// extend is the keeper's. What the store does not say now is asked again; a lease that is lost is the session's business.
func (s *session) extend() {
	e := s.engine
	ctx, cancel := context.WithTimeout(e.ctx, e.ttl/3)
	defer cancel()
	old, asked := s.lease.Load(), wall()
	lease, err := e.store.Extend(ctx, old.Lease, e.ttl)
	switch {
	case err == nil:
		s.lease.CompareAndSwap(old, e.held(lease, asked))
		e.heed(&e.troubles.leases, "extend leases", nil)
	case errors.Is(err, store.ErrFenced):
		s.post(letter{kind: fencedLetter})
	default:
		e.heed(&e.troubles.leases, "extend leases", err)
	}
}

// holds reports whether the session may begin something in the world: its lease has not lapsed while the process was stopped or the machine slept. If it
// may not, the session ends or waits for the store.
func (s *session) holds() bool {
	until := s.lease.Load().until
	return until.IsZero() || wall().Before(until) || s.regain()
}

// regain takes a lease again that has lapsed. As long as no other has written, nothing has happened, and the session goes on; else it ends, and what it writes
// is refused.
func (s *session) regain() bool {
	e := s.engine
	asked := wall()
	lease, err := e.store.Extend(s.ctx, s.lease.Load().Lease, e.ttl)
	if errors.Is(err, store.ErrFenced) {
		lease, err = e.store.Claim(s.ctx, s.id, e.owner, e.ttl)
	}
	switch {
	case err == nil:
	case errors.Is(err, store.ErrNotFound) && e.forgets && len(s.recent) > 0 && s.recent[0].Seq == 1:
		return s.mend() // the store lost the whole run: then it is there again, leased to us
	case errors.Is(err, store.ErrHeld), errors.Is(err, store.ErrFinished), errors.Is(err, store.ErrNotFound):
		s.err = fmt.Errorf("run %s went to another worker: %w", s.id, store.ErrFenced)
		return false
	case s.ctx.Err() != nil:
		s.err = context.Cause(s.ctx)
		return false
	default:
		s.goOut()
		return false
	}
	s.lease.Store(e.held(lease, asked))
	switch _, _, known := s.survey(); known {
	case away:
		s.goOut()
		return false
	case another:
		s.lose()
		return false
	}
	return true
}
