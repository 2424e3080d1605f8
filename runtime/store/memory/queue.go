package memory

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// queue holds at most one hint a run.
type queue struct {
	mu    sync.Mutex
	hints map[run.ID]store.Hint
	ears  map[chan struct{}]string // the pool that each listens to
}

func (q *queue) has(id run.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, ok := q.hints[id]
	return ok
}

// Enqueue implements store.Queue.
func (s *Store) Enqueue(ctx context.Context, h store.Hint) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if old, ok := q.hints[h.Run]; ok {
		h.Priority = max(h.Priority, old.Priority)
		if old.Due.Before(h.Due) {
			h.Due = old.Due
		}
	}
	if q.hints == nil {
		q.hints = map[run.ID]store.Hint{}
	}
	q.hints[h.Run] = h
	for ear, pool := range q.ears {
		if pool == h.Pool {
			select {
			case ear <- struct{}{}:
			default:
			}
		}
	}
	return nil
}

// Dequeue implements store.Queue.
func (s *Store) Dequeue(ctx context.Context, pool string) (store.Hint, bool, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return store.Hint{}, false, time.Time{}, err
	}
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	var best *store.Hint
	var next time.Time
	for _, h := range q.hints {
		switch {
		case h.Pool != pool:
		case h.Due.After(now):
			if next.IsZero() || h.Due.Before(next) {
				next = h.Due
			}
		case best == nil || cmp.Or(cmp.Compare(best.Priority, h.Priority), h.Due.Compare(best.Due), cmp.Compare(h.Run, best.Run)) < 0:
			best = &h
		}
	}
	if best == nil {
		return store.Hint{}, false, next, nil
	}
	delete(q.hints, best.Run)
	return *best, true, time.Time{}, nil
}

// Queued implements store.Queue.
func (s *Store) Queued(ctx context.Context, pool string) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	now, n := time.Now(), 0
	for _, h := range q.hints {
		if h.Pool == pool && !h.Due.After(now) {
			n++
		}
	}
	return n, nil
}

// Hinted implements store.Queue.
func (s *Store) Hinted(ctx context.Context, pool string) iter.Seq2[struct{}, error] {
	return func(yield func(struct{}, error) bool) {
		q := &s.queue
		ear := make(chan struct{}, 1)
		q.mu.Lock()
		if q.ears == nil {
			q.ears = map[chan struct{}]string{}
		}
		q.ears[ear] = pool
		q.mu.Unlock()
		defer func() {
			q.mu.Lock()
			delete(q.ears, ear)
			q.mu.Unlock()
		}()
		for yield(struct{}{}, nil) {
			select {
			case <-ear:
			case <-ctx.Done():
				return
			}
		}
	}
}

// limits are the slots and rates under their names.
type limits struct {
	mu    sync.Mutex
	slots map[string]map[string]time.Time // holder → end
	rates map[string]time.Time            // theoretical arrival time of the next
}

// Take implements store.Limits.
func (s *Store) Take(ctx context.Context, name, holder string, n int, ttl time.Duration) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	l := &s.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slots == nil {
		l.slots = map[string]map[string]time.Time{}
	}
	now, held := time.Now(), l.slots[name]
	maps.DeleteFunc(held, func(_ string, end time.Time) bool { return !now.Before(end) })
	if _, mine := held[holder]; !mine && len(held) >= n {
		return false, nil
	}
	if held == nil {
		held = map[string]time.Time{}
		l.slots[name] = held
	}
	held[holder] = now.Add(ttl)
	return true, nil
}

// Give implements store.Limits.
func (s *Store) Give(ctx context.Context, name, holder string) error {
	l := &s.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slots[name], holder)
	return ctx.Err()
}

// Pass implements store.Limits.
func (s *Store) Pass(ctx context.Context, name string, rate store.Rate) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	gap, slack, err := rate.Gaps()
	if err != nil {
		return 0, err
	}
	l := &s.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	arrival := l.rates[name]
	if arrival.Before(now) {
		arrival = now
	}
	if wait := arrival.Sub(now) - slack; wait > 0 {
		return wait, nil
	}
	if l.rates == nil {
		l.rates = map[string]time.Time{}
	}
	l.rates[name] = arrival.Add(gap)
	return 0, nil
}

// index is the list of runs.
type index struct {
	mu      sync.Mutex
	entries map[run.ID]store.Entry
}

func (x *index) drop(id run.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.entries, id)
}

// PutEntries implements store.Index.
func (s *Store) PutEntries(ctx context.Context, entries ...store.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	x := &s.index
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.entries == nil {
		x.entries = map[run.ID]store.Entry{}
	}
	for _, e := range entries {
		if old, ok := x.entries[e.Run]; s.logs[e.Run] != nil && (!ok || old.Seq <= e.Seq) {
			x.entries[e.Run] = e
		}
	}
	return nil
}

// GetEntry implements store.Index.
func (s *Store) GetEntry(ctx context.Context, id run.ID) (store.Entry, error) {
	if err := ctx.Err(); err != nil {
		return store.Entry{}, err
	}
	x := &s.index
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.entries[id]
	if !ok {
		return e, fmt.Errorf("the entry of run %s: %w", id, store.ErrNotFound)
	}
	return e, nil
}

// List implements store.Index.
func (s *Store) List(ctx context.Context, f store.Filter) ([]store.Entry, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	behind, err := f.Behind()
	if err != nil {
		return nil, "", err
	}
	x := &s.index
	x.mu.Lock()
	var chosen []store.Entry
	for _, e := range x.entries {
		if f.Match(e) && behind(e) {
			chosen = append(chosen, e)
		}
	}
	x.mu.Unlock()
	slices.SortFunc(chosen, store.Entry.Compare)
	next := ""
	if n := f.Size(); len(chosen) > n {
		chosen = chosen[:n:n]
		next = chosen[n-1].Cursor()
	}
	return chosen, next, nil
}
