package redis

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// keysOfShard are open, hints, ready, later and leases of one shard of a pool.
func (s *Store) keysOfShard(pool, shard string) []string {
	tag := pool + "/" + shard
	return []string{s.tagged(tag, "open"), s.tagged(tag, "hints"), s.tagged(tag, "ready"), s.tagged(tag, "later"), s.tagged(tag, "leases")}
}

// Enqueue implements store.Queue.
func (s *Store) Enqueue(ctx context.Context, h store.Hint) error {
	r, err := s.run(ctx, hintScript, s.keysOfShard(h.Pool, s.shard(string(h.Run))), string(h.Run), h.Priority, due(h.Due), s.key("hint", h.Pool))
	if err == nil && !r.is("ok") {
		err = odd(r)
	}
	if err != nil {
		return failure(err, "enqueue", h.Run)
	}
	return nil
}

// Dequeue implements store.Queue. With several shards it looks at the first of each, and takes the best. When its answer is lost, so is the hint, until the next sweep.
func (s *Store) Dequeue(ctx context.Context, pool string) (store.Hint, bool, time.Time, error) {
	for {
		shard, member := "0", ""
		if s.shards > 1 {
			best, from, next, err := s.best(ctx, pool)
			if err != nil || best == "" {
				return store.Hint{}, false, next, err
			}
			shard, member = from, best
		}
		r, err := s.run(ctx, takeScript, s.keysOfShard(pool, shard), member)
		switch {
		case err != nil:
			return store.Hint{}, false, time.Time{}, fmt.Errorf("redis: take a hint of pool %q: %w", pool, err)
		case r.is("gone"): // another took it
			continue
		case r.is("due"):
			h, err := hint(pool, r)
			return h, err == nil, time.Time{}, err
		case r.is("later") && member == "":
			next, err := later(r)
			return store.Hint{}, false, next, err
		case r.is("idle"):
			return store.Hint{}, false, time.Time{}, nil
		}
		return store.Hint{}, false, time.Time{}, fmt.Errorf("redis: take a hint of pool %q: %w", pool, odd(r))
	}
}

// best finds the hint that comes first among all shards of a pool, or else when one becomes due.
func (s *Store) best(ctx context.Context, pool string) (member, shard string, next time.Time, err error) {
	replies := make([]reply, s.shards)
	err = s.crowd(ctx, s.shards, func(i int) (err error) {
		replies[i], err = s.run(ctx, peekScript, s.keysOfShard(pool, strconv.Itoa(i)))
		return err
	})
	if err != nil {
		return "", "", time.Time{}, fmt.Errorf("redis: look at the queue of pool %q: %w", pool, err)
	}
	top := 0
	for i, r := range replies {
		switch {
		case r.is("due"):
			priority, err := strconv.Atoi(r.at(2))
			if err != nil {
				return "", "", time.Time{}, odd(r)
			}
			if member == "" || priority > top || priority == top && r.at(1) < member {
				member, shard, top = r.at(1), strconv.Itoa(i), priority
			}
		case r.is("later"):
			at, err := later(r)
			if err != nil {
				return "", "", time.Time{}, err
			}
			if next.IsZero() || at.Before(next) {
				next = at
			}
		}
	}
	if member != "" {
		next = time.Time{}
	}
	return member, shard, next, nil
}

// hint reads what take answers: due, 'DUE RUN', priority.
func hint(pool string, r reply) (store.Hint, error) {
	member := r.at(1)
	priority, err := strconv.Atoi(r.at(2))
	if err != nil || len(member) <= dueDigits+1 {
		return store.Hint{}, odd(r)
	}
	h := store.Hint{Run: run.ID(member[dueDigits+1:]), Pool: pool, Priority: priority}
	nanos, err := strconv.ParseInt(member[:dueDigits], 10, 64)
	if err != nil {
		return store.Hint{}, odd(r)
	}
	if nanos > 0 {
		h.Due = time.Unix(0, nanos).UTC()
	}
	return h, nil
}

// later reads when the next hint is due and what the server's clock shows. Whoever waits does so by the clock here: with clocks that differ it would come too early, again
// and again, or too late.
func later(r reply) (time.Time, error) {
	nanos, err1 := strconv.ParseInt(r.at(1), 10, 64)
	micro, err2 := strconv.ParseInt(r.at(2), 10, 64)
	if err1 != nil || err2 != nil {
		return time.Time{}, odd(r)
	}
	at, there, here := time.Unix(0, nanos).UTC(), time.UnixMicro(micro), time.Now()
	if skew := here.Sub(there); skew > time.Second || skew < -time.Second || !here.Before(at) {
		return here.Add(at.Sub(there)), nil
	}
	return at, nil
}

const dueDigits = 19

// due writes a time so that texts compare as times do.
func due(t time.Time) string {
	nanos := int64(0)
	if !t.IsZero() {
		nanos = max(0, t.UnixNano())
	}
	return fmt.Sprintf("%0*d", dueDigits, nanos)
}

// Queued implements store.Queue.
func (s *Store) Queued(ctx context.Context, pool string) (int, error) {
	counts := make([]int, s.shards)
	err := s.crowd(ctx, s.shards, func(i int) error {
		r, err := s.run(ctx, queuedScript, s.keysOfShard(pool, strconv.Itoa(i)))
		if err == nil {
			counts[i], err = strconv.Atoi(r.at(0))
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("redis: count the queue of pool %q: %w", pool, err)
	}
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum, nil
}

// Hinted implements store.Queue.
func (s *Store) Hinted(ctx context.Context, pool string) iter.Seq2[struct{}, error] {
	return func(yield func(struct{}, error) bool) {
		e := s.ears.listen(s.key("hint", pool))
		defer e.stop()
		for {
			if _, _, ok := e.wait(ctx); !ok || !yield(struct{}{}, nil) {
				return
			}
		}
	}
}

// crowd makes n calls at once, which the line sends together, and returns the first error.
func (s *Store) crowd(ctx context.Context, n int, do func(i int) error) error {
	g, _ := errgroup.WithContext(ctx)
	g.SetLimit(maxGroup)
	for i := range n {
		g.Go(func() error { return do(i) })
	}
	return g.Wait()
}
