package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

const (
	pageFacts = 500  // read at once from a log
	pageRuns  = 1000 // looked at together
)

// refusal turns what a script said into the error of the contract.
func refusal(r reply, what string, id run.ID) error {
	words := map[string]error{"none": store.ErrNotFound, "exists": store.ErrExists, "finished": store.ErrFinished, "fenced": store.ErrFenced}
	if err, ok := words[r.at(0)]; ok {
		return fmt.Errorf("%s run %s: %w", what, id, err)
	}
	return failure(odd(r), what, id)
}

func failure(err error, what string, id run.ID) error {
	return fmt.Errorf("redis: %s run %s: %w", what, id, err)
}

// Create implements store.Log. The run is among the unfinished ones before its log is there, so that no crash can hide it.
func (s *Store) Create(ctx context.Context, id run.ID, owner string, ttl time.Duration, facts ...run.Fact) (run.Lease, error) {
	if id == "" {
		return run.Lease{}, errors.New("redis: create a run without a name")
	}
	texts, ends, err := encode(id, 0, facts)
	if err != nil {
		return run.Lease{}, err
	}
	pool, priority := "", 0
	if len(facts) > 0 {
		if b, ok := facts[0].Body.(*run.Started); ok {
			pool, priority = b.Options.Pool, b.Options.Priority
		}
	}
	if err := s.register(ctx, id, pool, owner, ttl); err != nil {
		return run.Lease{}, failure(err, "create", id)
	}
	until := end(ttl)
	m := newMark()
	args := append([]any{m, owner, micros(ttl), pool, priority, flag(ends), s.conf.Keep.Milliseconds()}, texts...)
	r, err := s.write(ctx, createScript, s.keysOf(id), args...)
	switch {
	case err != nil:
		return run.Lease{}, failure(err, "create", id)
	case !r.is("ok"):
		return run.Lease{}, refusal(r, "create", id)
	}
	if ends {
		s.unregister(ctx, id, pool)
	} else {
		s.marks.set(id, 1, entryID(run.Seq(len(facts)), m))
	}
	return run.Lease{Run: id, Token: 1, Owner: owner, Until: until}, nil
}

// Claim implements store.Log.
func (s *Store) Claim(ctx context.Context, id run.ID, owner string, ttl time.Duration) (run.Lease, error) {
	until := end(ttl)
	r, err := s.write(ctx, claimScript, s.keysOf(id), owner, micros(ttl), "")
	if err == nil && r.is("held") && s.conf.Dead(r.at(1)) {
		until = end(ttl)
		r, err = s.write(ctx, claimScript, s.keysOf(id), owner, micros(ttl), r.at(2))
	}
	switch {
	case err != nil:
		return run.Lease{}, failure(err, "claim", id)
	case r.is("held"):
		return run.Lease{}, fmt.Errorf("claim run %s: %w", id, store.ErrHeld)
	case !r.is("ok"):
		return run.Lease{}, refusal(r, "claim", id)
	}
	token, err := strconv.ParseUint(r.at(1), 10, 64)
	if err != nil {
		return run.Lease{}, failure(err, "claim", id)
	}
	s.marks.set(id, token, r.at(2))
	s.note(ctx, id, r.at(3), leaseNote(r.at(4), owner)) // where it fails, the run is found with all others
	return run.Lease{Run: id, Token: token, Owner: owner, Until: until}, nil
}

// Extend implements store.Log. A lease that is extended may be lost with the last seconds of a server: it then ends earlier, never later.
func (s *Store) Extend(ctx context.Context, lease run.Lease, ttl time.Duration) (run.Lease, error) {
	until := end(ttl)
	r, err := s.run(ctx, extendScript, s.keysOf(lease.Run), lease.Token, lease.Owner, micros(ttl))
	switch {
	case err != nil:
		return lease, failure(err, "extend the lease of", lease.Run)
	case !r.is("ok"):
		return lease, refusal(r, "extend the lease of", lease.Run)
	}
	lease.Until = until
	return lease, nil
}

// Release implements store.Log.
func (s *Store) Release(ctx context.Context, lease run.Lease) error {
	r, err := s.run(ctx, releaseScript, s.keysOf(lease.Run), lease.Token, lease.Owner)
	switch {
	case err != nil:
		return failure(err, "release", lease.Run)
	case !r.is("ok"):
		return refusal(r, "release", lease.Run)
	}
	s.marks.drop(lease.Run, lease.Token)
	return nil
}

// Rest implements store.Log.
func (s *Store) Rest(ctx context.Context, lease run.Lease, head run.Seq, wake time.Time) error {
	r, err := s.write(ctx, restScript, s.keysOf(lease.Run), lease.Token, lease.Owner, uint64(head), flag(wake.IsZero()))
	switch {
	case err != nil:
		return failure(err, "let rest", lease.Run)
	case r.is("conflict"):
		return fmt.Errorf("let run %s rest at %d: %w: it is at %s", lease.Run, head, store.ErrConflict, r.at(1))
	case !r.is("ok"):
		return refusal(r, "let rest", lease.Run)
	}
	s.marks.drop(lease.Run, lease.Token)
	if wake.IsZero() {
		return nil
	}
	priority, _ := strconv.Atoi(r.at(2))
	return s.Enqueue(ctx, store.Hint{Run: lease.Run, Pool: r.at(1), Priority: priority, Due: wake})
}

// Append implements store.Log.
func (s *Store) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	id := lease.Run
	texts, ends, err := encode(id, head, facts)
	if err != nil {
		return err
	}
	m := newMark()
	args := append([]any{lease.Token, lease.Owner, uint64(head), m, s.marks.anchor(lease, head), flag(ends), s.conf.Keep.Milliseconds(), s.grown(id)}, texts...)
	r, err := s.write(ctx, appendScript, s.keysOf(id), args...)
	switch {
	case err != nil:
		return failure(err, "append to", id)
	case r.is("conflict"):
		return fmt.Errorf("append to run %s after %d: %w: it is at %s", id, head, store.ErrConflict, r.at(1))
	case r.is("torn"):
		s.marks.drop(id, lease.Token)
		return fmt.Errorf("append to run %s after %d: %w: what its holder has seen was lost, and others wrote since", id, head, store.ErrFenced)
	case r.is("fenced"):
		s.marks.drop(id, lease.Token)
		return refusal(r, "append to", id)
	case !r.is("ok"):
		return refusal(r, "append to", id)
	}
	if ends {
		s.marks.drop(id, lease.Token)
		s.unregister(ctx, id, r.at(1))
	} else if len(texts) > 0 {
		s.marks.set(id, lease.Token, entryID(head+run.Seq(len(texts)), m))
	}
	return nil
}

// Tell implements store.Log.
func (s *Store) Tell(ctx context.Context, id run.ID, f run.Fact, dedup string) (run.Seq, error) {
	f.Seq = 0 // the log numbers it
	text, err := run.EncodeFact(f)
	if err != nil {
		return 0, err
	}
	m := newMark()
	key := "=" + dedup
	if dedup == "" {
		key = "~" + m // so that a second attempt finds what the first has done
	}
	r, err := s.write(ctx, tellScript, s.keysOf(id), text, m, key, s.grown(id), s.key("told"), string(id))
	if err != nil {
		return 0, failure(err, "tell", id)
	}
	if !r.is("ok") && !r.is("told") {
		return 0, refusal(r, "tell", id)
	}
	seq, err := strconv.ParseUint(r.at(1), 10, 64)
	if err != nil {
		return 0, failure(err, "tell", id)
	}
	if r.is("ok") {
		priority, _ := strconv.Atoi(r.at(3))
		_ = s.Enqueue(ctx, store.Hint{Run: id, Pool: r.at(2), Priority: priority}) // told all the same: the sweep finds it
	}
	return run.Seq(seq), nil
}

// Told implements store.Log.
func (s *Store) Told(ctx context.Context) iter.Seq2[run.ID, error] {
	return func(yield func(run.ID, error) bool) {
		e := s.ears.listen(s.key("told"))
		defer e.stop()
		for {
			gap, ids, ok := e.wait(ctx)
			if !ok || gap && !yield("", nil) {
				return
			}
			for _, id := range ids {
				if !yield(run.ID(id), nil) {
					return
				}
			}
		}
	}
}

// Load implements store.Log.
func (s *Store) Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error) {
	var facts []run.Fact
	for {
		page, _, more, err := s.page(ctx, id, after)
		if err != nil {
			return nil, err
		}
		facts = append(facts, page...)
		if !more {
			return facts, nil
		}
		after = facts[len(facts)-1].Seq
	}
}

// page reads facts after a seq, whether the run was finished before they were read, and whether there may be more.
func (s *Store) page(ctx context.Context, id run.ID, after run.Seq) (facts []run.Fact, finished, more bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, false, err
	}
	keys := s.keysOf(id)
	from := after + 1
	if at, ok := s.marks.at(id); ok && at == after && after > 0 {
		from = after // whether what the holder saw last is still there
	}
	pipe := s.client.Pipeline()
	stand := pipe.HMGet(ctx, keys[0], "token", "fin")
	entries := pipe.XRangeN(ctx, keys[1], strconv.FormatUint(uint64(from), 10), "+", pageFacts)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, false, false, failure(err, "load", id)
	}
	if v := stand.Val(); len(v) != 2 || v[0] == nil {
		return nil, false, false, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	finished = stand.Val()[1] != nil
	ids := make([]string, 0, len(entries.Val()))
	for _, e := range entries.Val() {
		ids = append(ids, e.ID)
		seq, _ := seqOf(e.ID)
		if seq <= after {
			continue
		}
		text, _ := e.Values["f"].(string)
		f, err := run.DecodeFact([]byte(text))
		switch want := after + run.Seq(len(facts)) + 1; {
		case err != nil:
			return nil, false, false, fmt.Errorf("run %s, fact %d: %w: %w", id, seq, store.ErrCorrupt, err)
		case seq != want || f.Seq != 0 && f.Seq != seq:
			return nil, false, false, fmt.Errorf("run %s: %w: where fact %d belongs, entry %s holds fact %d", id, store.ErrCorrupt, want, e.ID, f.Seq)
		}
		f.Seq = seq
		facts = append(facts, f)
	}
	s.marks.saw(id, ids)
	return facts, finished, len(entries.Val()) == pageFacts, nil
}

// Tail implements store.Log. Once it has begun, it waits while Redis is away, and goes on when Redis is there again.
func (s *Store) Tail(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[run.Fact, error] {
	return func(yield func(run.Fact, error) bool) {
		var e *ear
		for {
			facts, finished, more, err := s.page(ctx, id, after)
			if err != nil && e != nil && away(err) {
				if e.await(ctx, maxRedial) {
					continue
				}
				err = cmp.Or(ctx.Err(), err)
			}
			if err != nil {
				yield(run.Fact{}, err)
				return
			}
			for _, f := range facts {
				if err := ctx.Err(); err != nil {
					yield(run.Fact{}, err)
					return
				}
				if !yield(f, nil) {
					return
				}
				after = f.Seq
			}
			switch {
			case more:
				continue
			case finished:
				return
			case e == nil: // it wakes as soon as it listens, so that nothing between is missed
				e = s.ears.listen(s.grown(id))
				defer e.stop()
			}
			if _, _, ok := e.wait(ctx); !ok {
				yield(run.Fact{}, cmp.Or(ctx.Err(), goredis.ErrClosed))
				return
			}
		}
	}
}

// away tells that a server could not answer, rather than would not.
func away(err error) bool {
	for _, final := range []error{store.ErrNotFound, store.ErrCorrupt, goredis.ErrClosed, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, final) {
			return false
		}
	}
	var said goredis.Error
	if !errors.As(err, &said) {
		return true
	}
	return slices.ContainsFunc([]string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"}, func(word string) bool {
		return goredis.HasErrorPrefix(err, word)
	})
}

// Holder implements store.Log.
func (s *Store) Holder(ctx context.Context, id run.ID) (string, error) {
	r, err := s.run(ctx, standScript, s.keysOf(id))
	switch {
	case err != nil:
		return "", failure(err, "look at", id)
	case r.is("none"):
		return "", refusal(r, "look at", id)
	case r.is("held") && !s.conf.Dead(r.at(1)):
		return r.at(1), nil
	}
	return "", nil
}

// Remove implements store.Log.
func (s *Store) Remove(ctx context.Context, id run.ID) error {
	r, err := s.write(ctx, removeScript, s.keysOf(id), s.grown(id))
	switch {
	case err != nil:
		return failure(err, "remove", id)
	case r.is("held"):
		return fmt.Errorf("remove run %s: it is not finished: %w", id, store.ErrHeld)
	case !r.is("ok"):
		return refusal(r, "remove", id)
	}
	s.unregister(ctx, id, r.at(1))
	if e, err := decodeEntry([]byte(r.at(2))); err == nil {
		s.unlist(ctx, e)
	}
	return nil
}

// Unfinished implements store.Log.
func (s *Store) Unfinished(ctx context.Context, pool string) iter.Seq2[run.ID, error] {
	return store.Named(s.choose(ctx, pool, pool == "", false, func(reply) bool { return true }))
}

// Strays implements store.Log.
func (s *Store) Strays(ctx context.Context, pool string) iter.Seq2[store.Hint, error] {
	return s.choose(ctx, pool, false, true, s.stray)
}

// Lapsed implements store.Log. A lease is noted when it is taken, and looked up in its run only when what was noted is over: then it may have been extended, given
// back, or lost. So runs that rest cost nothing.
func (s *Store) Lapsed(ctx context.Context, pool string) iter.Seq2[store.Hint, error] {
	return func(yield func(store.Hint, error) bool) {
		noted, err := s.lapsed(ctx, pool)
		if err != nil {
			yield(store.Hint{}, err)
			return
		}
		for chunk := range slices.Chunk(noted, pageRuns) {
			stands, err := s.stands(ctx, len(chunk), func(i int) run.ID { return chunk[i].id })
			if err != nil {
				yield(store.Hint{}, err)
				return
			}
			for i, n := range chunk {
				stand := stands[i]
				switch {
				case stand.is("finished"), stand.is("none") && n.over > unborn:
					s.unregister(ctx, n.id, pool)
				case n.hinted && !stand.is("none"), stand.is("rests"):
					s.note(ctx, n.id, pool, "", n.lease)
				case s.stray(stand):
					priority, _ := strconv.Atoi(stand.at(4))
					if !yield(store.Hint{Run: n.id, Pool: pool, Priority: priority}, nil) {
						return
					}
				case stand.is("held"):
					s.note(ctx, n.id, pool, leaseNote(stand.at(5), stand.at(1)), n.lease)
				}
			}
		}
	}
}

type noted struct {
	id     run.ID
	lease  string
	hinted bool
	over   time.Duration // for how long it is, as far as it was noted
}

func leaseNote(until, owner string) string { return until + " " + owner }

// note keeps what a lease is known to be, where it is known to be nothing else.
func (s *Store) note(ctx context.Context, id run.ID, pool, lease string, was ...any) {
	_, _ = s.run(ctx, leaseScript, s.keysOfShard(pool, s.shard(string(id))), append([]any{string(id), lease}, was...)...)
}

// lapsed reads the leases of a pool that are over as far as they were noted.
func (s *Store) lapsed(ctx context.Context, pool string) (out []noted, err error) {
	dead := map[string]bool{} // one look at an owner is enough
	for n := range s.shards {
		r, err := s.run(ctx, leasesScript, s.keysOfShard(pool, strconv.Itoa(n)))
		if err == nil && !r.is("ok") {
			err = odd(r)
		}
		if err != nil {
			return nil, fmt.Errorf("redis: read the leases of pool %q: %w", pool, err)
		}
		now, _ := strconv.ParseInt(r.at(1), 10, 64)
		for i := 2; i+2 < len(r); i += 3 {
			text, owner, _ := strings.Cut(r[i+1], " ")
			until, _ := strconv.ParseInt(text, 10, 64)
			over := until > 0 && until <= now
			if !over && owner != "" {
				is, known := dead[owner]
				if !known {
					is = s.conf.Dead(owner)
					dead[owner] = is
				}
				over = is
			}
			if over {
				out = append(out, noted{run.ID(r[i]), r[i+1], r[i+2] == "1", time.Duration(now-until) * time.Microsecond})
			}
		}
	}
	return out, nil
}

// stray tells whether nobody is at work on a run, nor does it rest.
func (s *Store) stray(stand reply) bool {
	return stand.is("free") || stand.is("held") && s.conf.Dead(stand.at(1))
}

// choose yields the unfinished runs of a pool, or of all, oldest first, as far as they stand as is wanted.
func (s *Store) choose(ctx context.Context, pool string, all, unhinted bool, want func(reply) bool) iter.Seq2[store.Hint, error] {
	return func(yield func(store.Hint, error) bool) {
		if err := s.repair(ctx); err != nil {
			yield(store.Hint{}, err)
			return
		}
		pools := []string{pool}
		if all {
			var err error
			if pools, err = s.client.SMembers(ctx, s.key("pools")).Result(); err != nil {
				yield(store.Hint{}, fmt.Errorf("redis: list the pools: %w", err))
				return
			}
		}
		var open []opened
		for _, pool := range pools {
			some, err := s.open1(ctx, pool, unhinted)
			if err != nil {
				yield(store.Hint{}, err)
				return
			}
			open = append(open, some...)
		}
		slices.SortFunc(open, func(a, b opened) int { return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.id, b.id)) })
		for chunk := range slices.Chunk(open, pageRuns) {
			stands, err := s.stands(ctx, len(chunk), func(i int) run.ID { return chunk[i].id })
			if err != nil {
				yield(store.Hint{}, err)
				return
			}
			for i, o := range chunk {
				switch {
				case stands[i].is("none") && time.Since(time.UnixMicro(o.since)) > unborn, stands[i].is("finished"):
					s.unregister(ctx, o.id, o.pool)
				case stands[i].is("none"):
				case want(stands[i]):
					priority, _ := strconv.Atoi(stands[i].at(4))
					if !yield(store.Hint{Run: o.id, Pool: o.pool, Priority: priority}, nil) {
						return
					}
				}
			}
		}
	}
}

// unborn is how long a run may be announced without being there: whoever announced it either creates it within that time or has failed.
const unborn = time.Minute

type opened struct {
	id    run.ID
	pool  string
	since int64
}

// open1 lists the runs of one pool that are not known to be finished.
func (s *Store) open1(ctx context.Context, pool string, unhinted bool) ([]opened, error) {
	var out []opened
	for n := range s.shards {
		seen := map[string]bool{}
		for from := "0"; from != ""; {
			r, err := s.run(ctx, opensScript, s.keysOfShard(pool, strconv.Itoa(n)), from, pageRuns, flag(unhinted))
			if err != nil {
				return nil, fmt.Errorf("redis: list the unfinished runs of pool %q: %w", pool, err)
			}
			next := r.at(len(r) - 1)
			if next == from {
				next = "(" + from // a whole page of one microsecond
			}
			from = next
			for i := 1; i+1 < len(r)-1; i += 2 {
				since, _ := strconv.ParseInt(r[i+1], 10, 64)
				if !seen[r[i]] {
					seen[r[i]] = true
					out = append(out, opened{run.ID(r[i]), pool, since})
				}
			}
		}
	}
	return out, nil
}

// stands asks how many runs stand, in one go.
func (s *Store) stands(ctx context.Context, n int, id func(i int) run.ID) ([]reply, error) {
	out := make([]reply, n)
	err := s.crowd(ctx, n, func(i int) (err error) {
		out[i], err = s.run(ctx, standScript, s.keysOf(id(i)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("redis: look at the unfinished runs: %w", err)
	}
	return out, nil
}

// register announces a run of a pool, and its lease when that is known.
func (s *Store) register(ctx context.Context, id run.ID, pool, owner string, ttl time.Duration) error {
	if _, known := s.pools.Load(pool); !known {
		if err := s.client.SAdd(ctx, s.key("pools"), pool).Err(); err != nil {
			return err
		}
		s.pools.Store(pool, nil)
	}
	_, err := s.write(ctx, openScript, s.keysOfShard(pool, s.shard(string(id))), string(id), owner, micros(ttl))
	return err
}

// unregister clears what is derived from a run that has ended. Where it fails, the next sweep does it.
func (s *Store) unregister(ctx context.Context, id run.ID, pool string) {
	_, _ = s.run(ctx, closeScript, s.keysOfShard(pool, s.shard(string(id))), string(id))
}

// encode writes facts that follow head, and tells whether they end the run.
func encode(id run.ID, head run.Seq, facts []run.Fact) (texts []any, ends bool, err error) {
	for i, f := range facts {
		if want := head + run.Seq(i) + 1; f.Seq != want {
			return nil, false, fmt.Errorf("append to run %s: fact %d is numbered %d", id, want, f.Seq)
		}
		text, err := run.EncodeFact(f)
		if err != nil {
			return nil, false, err
		}
		texts = append(texts, text)
		_, ends = f.Body.(*run.Finished)
	}
	return texts, ends, nil
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// end is when a lease ends by the clock here. The server's count begins later, so that the holder is the first to think that it is over.
func end(ttl time.Duration) time.Time {
	if ttl <= 0 {
		return time.Time{}
	}
	return time.Now().Add(ttl)
}
