package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/store"
)

// The bounds of what is kept for a store that may lose it.
const (
	maxRecalled      = 1000
	maxRecalledBytes = 8 << 20
)

// made is a change of what outlives runs, as it was made first.
type made struct {
	space string
	name  string // of the document
	key   string
	at    time.Time
	contexts.Change
	match contexts.Match // of the first time
}

// recall keeps the changes that this process made in the last seconds, for a store that may lose them.
type recall struct {
	mu      sync.Mutex
	changes []made
	bytes   int
	mending sync.Mutex
	mended  time.Time // when all of them were there; guarded by mending
}

func (r *recall) add(m made) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, m)
	r.bytes += weight(m.Value, maxRecalledBytes)
	for len(r.changes) > 0 && (m.at.Sub(r.changes[0].at) > lossy || len(r.changes) > maxRecalled || r.bytes > maxRecalledBytes) {
		r.bytes -= weight(r.changes[0].Value, maxRecalledBytes)
		r.changes = r.changes[1:]
	}
}

func (r *recall) all() []made {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]made(nil), r.changes...)
}

// mend makes the changes of the last seconds again that the store lost, in their order, unless that was seen to since a time. An error says that the store
// does not answer.
func (c *commons) mend(ctx context.Context, since time.Time) error {
	r := &c.recall
	if len(r.all()) == 0 {
		return nil
	}
	r.mending.Lock()
	defer r.mending.Unlock()
	if r.mended.After(since) {
		return nil
	}
	for _, m := range r.all() {
		if err := c.remake(ctx, m); err != nil {
			return err
		}
	}
	r.mended = time.Now()
	return nil
}

// remake makes a change again. One that cannot be made any more stays lost.
func (c *commons) remake(ctx context.Context, m made) error {
	if eval.HoldsLarge(m.Value) {
		if _, err := c.engine.fetch(ctx, m.Value); err != nil { // it may be lost with the change that named it
			if unreachable(err) {
				return err
			}
			return nil
		}
	}
	for range maxConflicts {
		_, err := c.try(ctx, m, time.Time{}, true)
		switch {
		case errors.Is(err, store.ErrConflict):
		case errors.Is(err, contexts.ErrUnavailable):
			return err
		default:
			return nil
		}
	}
	return nil
}

// passed reports whether a change that was made before is not to be made again: the document may have seen it, or has seen a later one that it would undo. What
// adds and appends undoes nothing.
func (d *shared) passed(m made) bool {
	if !d.Since.Before(m.at) {
		return true
	}
	if m.Verb == contexts.Add || m.Verb == contexts.Append {
		return false
	}
	for _, s := range d.Seen {
		if s.At.After(m.at) {
			return true
		}
	}
	return false
}
