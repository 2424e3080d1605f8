package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

func hintSum(h store.Hint, due int64) int64 {
	return sum(string(h.Run), h.Pool, int64(h.Priority), due)
}

// nanos writes the zero time as 0.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// hint keeps a hint. One that was damaged is written over: it is derived.
func (t *tx) hint(s *Store, h store.Hint) error {
	old := store.Hint{Run: h.Run}
	var due, crc int64
	err := t.row("SELECT pool, priority, due, crc FROM hints WHERE id = ?", []any{string(h.Run)}, &old.Pool, &old.Priority, &due, &crc)
	if err != nil && !errors.Is(err, sql.ErrNoRows) && !spoiled(err) {
		return err
	}
	if err == nil && crc == hintSum(old, due) {
		h.Priority = max(h.Priority, old.Priority)
		if due < nanos(h.Due) {
			h.Due = fromNanos(due)
		}
	}
	due = nanos(h.Due)
	err = t.exec("INSERT OR REPLACE INTO hints (id, pool, priority, due, crc) VALUES (?, ?, ?, ?, ?)", string(h.Run), h.Pool, h.Priority, due, hintSum(h, due))
	t.then(func() { s.watch.hinted(h.Pool) })
	return err
}

// Enqueue implements store.Queue.
func (s *Store) Enqueue(ctx context.Context, h store.Hint) error {
	return s.passing(ctx, func(t *tx) error { return t.hint(s, h) })
}

// Dequeue implements store.Queue. It looks before it writes, so that a queue with nothing due costs no transaction.
func (s *Store) Dequeue(ctx context.Context, pool string) (store.Hint, bool, time.Time, error) {
	due, next, err := s.due(ctx, pool)
	if err != nil || !due {
		return store.Hint{}, false, next, err
	}
	var h store.Hint
	found := false
	err = s.passing(ctx, func(t *tx) (err error) {
		h, found, err = t.first(pool, time.Now().UnixNano())
		return err
	})
	if err != nil || found {
		return h, found, time.Time{}, err
	}
	_, next, err = s.due(ctx, pool) // another was faster
	return store.Hint{}, false, next, err
}

// first takes the first hint that is due away. It goes down the priorities one by one, so that the hints which sleep in one need not be passed to reach the
// next.
func (t *tx) first(pool string, now int64) (store.Hint, bool, error) {
	for priority := int64(math.MaxInt64); ; {
		var next sql.NullInt64
		if err := t.row("SELECT max(priority) FROM hints WHERE pool = ? AND priority <= ?", []any{pool, priority}, &next); err != nil || !next.Valid {
			return store.Hint{}, false, err
		}
		h := store.Hint{Pool: pool, Priority: int(next.Int64)}
		var due, crc int64
		err := t.row("SELECT id, due, crc FROM hints WHERE pool = ? AND priority = ? AND due <= ? ORDER BY due, id LIMIT 1", []any{pool, next.Int64, now}, &h.Run, &due, &crc)
		if errors.Is(err, sql.ErrNoRows) {
			if next.Int64 == math.MinInt64 {
				return store.Hint{}, false, nil
			}
			priority = next.Int64 - 1
			continue
		}
		if err != nil && !spoiled(err) {
			return store.Hint{}, false, err
		}
		if err := t.exec("DELETE FROM hints WHERE id = ?", string(h.Run)); err != nil {
			return store.Hint{}, false, err
		}
		if h.Due = fromNanos(due); err == nil && crc == hintSum(h, due) { // else it is lost, which the sweep makes good
			return h, true, nil
		}
	}
}

// due tells whether a hint is, and when the first of the others will be.
func (s *Store) due(ctx context.Context, pool string) (due bool, next time.Time, err error) {
	if err := s.ready(ctx); err != nil {
		return false, time.Time{}, err
	}
	var first int64
	err = s.row(ctx, "SELECT EXISTS (SELECT 1 FROM hints WHERE pool = ?1 AND due <= ?2), coalesce((SELECT min(due) FROM hints WHERE pool = ?1 AND due > ?2 AND due <= ?3), 0)",
		[]any{pool, time.Now().UnixNano(), int64(math.MaxInt64)}, &due, &first) // no text is below a number
	if err != nil {
		return false, time.Time{}, fmt.Errorf("the queue of pool %q: %w", pool, unread(ctx, err))
	}
	return due, fromNanos(first), nil
}

// Queued implements store.Queue.
func (s *Store) Queued(ctx context.Context, pool string) (int, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	n := 0
	if err := s.row(ctx, "SELECT count(*) FROM hints WHERE pool = ? AND due <= ?", []any{pool, time.Now().UnixNano()}, &n); err != nil {
		return 0, fmt.Errorf("the queue of pool %q: %w", pool, unread(ctx, err))
	}
	return n, nil
}

// Take implements store.Limits.
func (s *Store) Take(ctx context.Context, name, holder string, n int, ttl time.Duration) (ok bool, err error) {
	err = s.passing(ctx, func(t *tx) error {
		ok = false
		now := time.Now()
		if err := t.exec("DELETE FROM slots WHERE name = ? AND until <= ?", name, now.UnixNano()); err != nil {
			return err
		}
		taken, mine := 0, false
		err := t.rows("SELECT holder, until, crc FROM slots WHERE name = ?", []any{name}, func(scan func(...any) error) error {
			var who string
			var until, crc int64
			if err := scan(&who, &until, &crc); err != nil {
				if spoiled(err) {
					return nil
				}
				return err
			}
			if crc == sum(name, who, until) {
				taken++
				mine = mine || who == holder
			}
			return nil
		})
		if err != nil || !mine && taken >= n {
			return err
		}
		ok = true
		until := now.Add(ttl).UnixNano()
		return t.exec("INSERT OR REPLACE INTO slots (name, holder, until, crc) VALUES (?, ?, ?, ?)", name, holder, until, sum(name, holder, until))
	})
	return ok && err == nil, err
}

// Give implements store.Limits.
func (s *Store) Give(ctx context.Context, name, holder string) error {
	return s.passing(ctx, func(t *tx) error { return t.exec("DELETE FROM slots WHERE name = ? AND holder = ?", name, holder) })
}

// Pass implements store.Limits.
func (s *Store) Pass(ctx context.Context, name string, rate store.Rate) (wait time.Duration, err error) {
	gap, slack, err := rate.Gaps()
	if err != nil {
		return 0, err
	}
	err = s.passing(ctx, func(t *tx) error {
		wait = 0
		now := time.Now().UnixNano()
		var arrival, crc int64
		err := t.row("SELECT arrival, crc FROM rates WHERE name = ?", []any{name}, &arrival, &crc)
		if err != nil && !errors.Is(err, sql.ErrNoRows) && !spoiled(err) {
			return err
		}
		if err != nil || crc != sum(name, arrival) {
			arrival = now
		}
		arrival = max(arrival, now)
		if wait = time.Duration(arrival-now) - slack; wait > 0 {
			return nil
		}
		wait = 0
		arrival += int64(gap)
		return t.exec("INSERT OR REPLACE INTO rates (name, arrival, crc) VALUES (?, ?, ?)", name, arrival, sum(name, arrival))
	})
	return wait, err
}
