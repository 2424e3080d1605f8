package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of a row: each field with its length or in eight bytes, so that no two rows are written alike.
func sum(fields ...any) int64 {
	b := make([]byte, 0, 256) // on the stack
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			b = binary.BigEndian.AppendUint64(b, uint64(len(f)))
			b = append(b, f...)
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(f))
		case bool:
			if f {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		case []byte: // the last one: it is not copied
			return int64(crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, f))
		default:
			panic(fmt.Sprintf("sqlite: no checksum of a %T", f))
		}
	}
	return int64(crc32.Checksum(b, castagnoli))
}

// state is the row of a run.
type state struct {
	n               int64
	id              run.ID
	head            run.Seq
	token           uint64
	owner           string
	until           int64 // in nanoseconds; 0: the lease does not lapse by time
	finished, rests bool
	pool            string
	priority        int

	entered bool    // it is known what the run's entry in the index was derived at
	entry   run.Seq // which is this; 0: there is none

	damage error // of one in a page
}

func (r *state) sum() int64 {
	return sum(r.n, string(r.id), int64(r.head), int64(r.token), r.owner, r.until, r.finished, r.rests, r.pool, int64(r.priority))
}

const stateColumns = "n, id, head, token, owner, until, finished, rests, pool, priority, crc"

func (r *state) scan(scan func(...any) error) error {
	var crc int64
	err := scan(&r.n, &r.id, &r.head, &r.token, &r.owner, &r.until, &r.finished, &r.rests, &r.pool, &r.priority, &crc)
	if spoiled(err) {
		return corrupt(r.id, "its row cannot be read: %v", err)
	}
	if err == nil && crc != r.sum() {
		return corrupt(r.id, "its row does not fit its checksum")
	}
	return err
}

// find gives the row of a run, which the operation may change together with what is stored. ErrNotFound.
func (t *tx) find(id run.ID) (*state, error) {
	if r := t.states[id]; r != nil {
		return r, nil
	}
	r := &state{}
	err := r.scan(func(into ...any) error {
		return t.row("SELECT "+stateColumns+" FROM runs WHERE id = ?", []any{string(id)}, into...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	if spoiled(err) {
		return nil, corrupt(id, "its row is damaged")
	}
	if err != nil {
		return nil, err
	}
	if r.id != id {
		return nil, corrupt(id, "its row is of run %s", r.id)
	}
	t.states[id] = r
	return r, nil
}

// lease writes who holds a run.
func (t *tx) lease(r *state) error {
	return t.exec("UPDATE runs SET token = ?, owner = ?, until = ?, rests = ?, crc = ? WHERE n = ?", int64(r.token), r.owner, r.until, r.rests, r.sum(), r.n)
}

// batch is facts as they are stored in a row: encoded, a line each.
type batch struct {
	facts int
	data  []byte
	ends  bool // with Finished
}

// maxRow bounds a row, so that a damaged page costs no more than its run and reading goes piece by piece.
const maxRow = 1 << 20

func encode(facts []run.Fact) ([]batch, int, error) {
	var out []batch
	size := 0
	for i, f := range facts {
		if i == 0 {
			out = append(out, batch{data: make([]byte, 0, min(len(facts)*usualFact, maxRow))})
		}
		b := &out[len(out)-1]
		before := len(b.data)
		if b.facts > 0 {
			b.data = append(b.data, '\n')
		}
		start := len(b.data)
		data, err := run.AppendFact(b.data, f)
		if err != nil {
			return nil, 0, err
		}
		line := data[start:]
		if len(line) > run.MaxFactBytes {
			return nil, 0, fmt.Errorf("fact %d (%s) has %d bytes, more than the limit of %d", f.Seq, f.Kind(), len(line), run.MaxFactBytes)
		}
		size += len(line)
		if b.facts > 0 && len(data) > maxRow {
			b.data = b.data[:before]
			out = append(out, batch{data: slices.Clone(line)})
			b = &out[len(out)-1]
		} else {
			b.data = data
		}
		b.facts++
		_, b.ends = f.Body.(*run.Finished)
	}
	return out, size, nil
}

// usualFact is about the size of the beginning or the end of a call with a short result.
const usualFact = 256

// add writes batches behind the head of a run.
func (t *tx) add(s *Store, r *state, batches []batch) error {
	ends := false
	for _, b := range batches {
		r.head += run.Seq(b.facts)
		ends = ends || b.ends
		if err := t.exec("INSERT INTO facts (run, last, crc, data) VALUES (?, ?, ?, ?)", r.n, int64(r.head), sum(string(r.id), int64(r.head), b.data), b.data); err != nil {
			return err
		}
	}
	t.then(func() { s.watch.grew(r.id) })
	if ends {
		r.finished = true
		return t.exec("UPDATE runs SET head = ?, finished = 1, crc = ? WHERE n = ?", int64(r.head), r.sum(), r.n)
	}
	return t.exec("UPDATE runs SET head = ?, crc = ? WHERE n = ?", int64(r.head), r.sum(), r.n)
}

func (r *state) heldBy(lease run.Lease) bool {
	return r.owner != "" && r.token == lease.Token && !r.lapsed()
}

func (r *state) lapsed() bool { return r.until != 0 && time.Now().UnixNano() >= r.until }

// free tells that nobody holds the run, or nobody who lives.
func (r *state) free(dead func(string) bool) bool {
	return r.owner == "" || r.lapsed() || dead(r.owner)
}

func until(ttl time.Duration) int64 {
	if ttl <= 0 {
		return 0
	}
	return time.Now().Add(ttl).UnixNano()
}

func (r *state) toLease() run.Lease {
	l := run.Lease{Run: r.id, Token: r.token, Owner: r.owner}
	if r.until != 0 {
		l.Until = time.Unix(0, r.until)
	}
	return l
}

func numbered(id run.ID, head run.Seq, facts []run.Fact) error {
	for i := range facts {
		if want := head + run.Seq(i) + 1; facts[i].Seq != want {
			return fmt.Errorf("append to run %s: fact %d is numbered %d", id, want, facts[i].Seq)
		}
	}
	return nil
}

// Create implements store.Log.
func (s *Store) Create(ctx context.Context, id run.ID, owner string, ttl time.Duration, facts ...run.Fact) (run.Lease, error) {
	if err := numbered(id, 0, facts); err != nil {
		return run.Lease{}, err
	}
	batches, size, err := encode(facts)
	if err != nil {
		return run.Lease{}, fmt.Errorf("create run %s: %w", id, err)
	}
	options := run.Options{}
	if len(facts) > 0 {
		if b, ok := facts[0].Body.(*run.Started); ok {
			options = b.Options
		}
	}
	var lease run.Lease
	err = s.lasting(ctx, size, func(t *tx) error {
		_, err := t.find(id)
		if err == nil {
			return fmt.Errorf("run %s: %w", id, store.ErrExists)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r := &state{id: id, entered: true, token: 1, owner: owner, until: until(ttl), pool: options.Pool, priority: options.Priority}
		r.n, err = t.insert("INSERT INTO runs (id, head, token, owner, until, finished, rests, pool, priority, crc) VALUES (?, 0, 1, ?, ?, 0, 0, ?, ?, 0)",
			string(id), owner, r.until, r.pool, r.priority)
		if err != nil {
			return err
		}
		t.states[id] = r
		lease = r.toLease()
		return t.add(s, r, batches)
	})
	if err != nil {
		return run.Lease{}, err
	}
	return lease, nil
}

// Claim implements store.Log.
func (s *Store) Claim(ctx context.Context, id run.ID, owner string, ttl time.Duration) (run.Lease, error) {
	var lease run.Lease
	err := s.passing(ctx, func(t *tx) error {
		r, err := t.find(id)
		if err != nil {
			return err
		}
		if r.finished {
			return fmt.Errorf("claim run %s: %w", id, store.ErrFinished)
		}
		if r.owner != owner && !r.free(s.dead) {
			return fmt.Errorf("claim run %s: %w", id, store.ErrHeld)
		}
		r.token++
		r.owner, r.until, r.rests = owner, until(ttl), false
		lease = r.toLease()
		return t.lease(r)
	})
	if err != nil {
		return run.Lease{}, err
	}
	return lease, nil
}

// Extend implements store.Log.
func (s *Store) Extend(ctx context.Context, lease run.Lease, ttl time.Duration) (run.Lease, error) {
	longer := lease
	err := s.passing(ctx, func(t *tx) error {
		r, err := t.find(lease.Run)
		if err != nil {
			return err
		}
		if !r.heldBy(lease) {
			return fmt.Errorf("extend the lease of run %s: %w", lease.Run, store.ErrFenced)
		}
		r.until = until(ttl)
		longer.Until = r.toLease().Until
		return t.lease(r)
	})
	if err != nil {
		return lease, err
	}
	return longer, nil
}

// Release implements store.Log.
func (s *Store) Release(ctx context.Context, lease run.Lease) error {
	return s.passing(ctx, func(t *tx) error {
		r, err := t.find(lease.Run)
		if err != nil || r.token != lease.Token || r.owner == "" {
			return err
		}
		r.owner = ""
		return t.lease(r)
	})
}

// Rest implements store.Log.
func (s *Store) Rest(ctx context.Context, lease run.Lease, head run.Seq, wake time.Time) error {
	return s.passing(ctx, func(t *tx) error {
		r, err := t.find(lease.Run)
		if err != nil {
			return err
		}
		if !r.heldBy(lease) {
			return fmt.Errorf("let run %s rest: %w", lease.Run, store.ErrFenced)
		}
		if r.head != head {
			return fmt.Errorf("let run %s rest at %d: %w: it is at %d", lease.Run, head, store.ErrConflict, r.head)
		}
		r.owner, r.rests = "", wake.IsZero()
		if err := t.lease(r); err != nil || wake.IsZero() {
			return err
		}
		return t.hint(s, store.Hint{Run: r.id, Pool: r.pool, Priority: r.priority, Due: wake})
	})
}

// Append implements store.Log.
func (s *Store) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	wrong := numbered(lease.Run, head, facts)
	batches, size, err := encode(facts)
	if err != nil {
		return fmt.Errorf("append to run %s: %w", lease.Run, err)
	}
	return s.lasting(ctx, size, func(t *tx) error {
		r, err := t.find(lease.Run)
		if err != nil {
			return err
		}
		if !r.heldBy(lease) {
			return fmt.Errorf("append to run %s: %w", lease.Run, store.ErrFenced)
		}
		if r.finished {
			return fmt.Errorf("append to run %s: %w", lease.Run, store.ErrFinished)
		}
		if r.head != head {
			return fmt.Errorf("append to run %s after %d: %w: it is at %d", lease.Run, head, store.ErrConflict, r.head)
		}
		if wrong != nil || len(batches) == 0 {
			return wrong
		}
		return t.add(s, r, batches)
	})
}

// Tell implements store.Log.
func (s *Store) Tell(ctx context.Context, id run.ID, f run.Fact, dedup string) (run.Seq, error) {
	var seq run.Seq
	err := s.lasting(ctx, 0, func(t *tx) error {
		r, err := t.find(id)
		if err != nil {
			return err
		}
		if seq, err = t.told(r, dedup); err != nil || seq != 0 {
			return err
		}
		if r.finished {
			return fmt.Errorf("tell run %s: %w", id, store.ErrFinished)
		}
		f.Seq = r.head + 1
		batches, _, err := encode([]run.Fact{f})
		if err != nil {
			return fmt.Errorf("tell run %s: %w", id, err)
		}
		if r.rests {
			r.rests = false
			if err := t.lease(r); err != nil {
				return err
			}
		}
		if err := t.add(s, r, batches); err != nil {
			return err
		}
		var key any // NULL is like no other
		if dedup != "" {
			key = dedup
		}
		n, err := t.insert("INSERT INTO tells (run, seq, dedup, crc) VALUES (?, ?, ?, ?)", r.n, int64(f.Seq), key, sum(string(id), dedup, int64(f.Seq)))
		if err != nil {
			return err
		}
		seq = f.Seq
		t.then(func() { s.watch.told(id, n) })
		return t.hint(s, store.Hint{Run: id, Pool: r.pool, Priority: r.priority})
	})
	if err != nil {
		return 0, err
	}
	return seq, nil
}

// told gives the seq at which something was told before; 0 when it was not.
func (t *tx) told(r *state, dedup string) (run.Seq, error) {
	if dedup == "" {
		return 0, nil
	}
	var seq run.Seq
	var crc int64
	err := t.row("SELECT seq, crc FROM tells WHERE run = ? AND dedup = ?", []any{r.n, dedup}, &seq, &crc)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if spoiled(err) || err == nil && crc != sum(string(r.id), dedup, int64(seq)) {
		return 0, corrupt(r.id, "the row of what it was told does not fit its checksum")
	}
	return seq, err
}

// Load implements store.Log.
func (s *Store) Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error) {
	facts, _, err := s.load(ctx, id, after)
	return facts, err
}

// load reads what is stored after a seq, in one statement and so as of one moment, and holds it against the head.
func (s *Store) load(ctx context.Context, id run.ID, after run.Seq) (facts []run.Fact, finished bool, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, false, err
	}
	var head, at run.Seq
	found := false
	err = s.rows(ctx, `SELECT r.head, f.last, f.crc, f.data FROM runs r LEFT JOIN facts f ON f.run = r.n AND f.last > ?2
		WHERE r.id = ?1 ORDER BY f.last`, []any{string(id), clip(after)}, func(scan func(...any) error) error {
		found = true
		var last, crc sql.NullInt64
		var data []byte
		if err := scan(&head, &last, &crc, &data); err != nil {
			return err
		}
		if !last.Valid {
			return nil
		}
		if crc.Int64 != sum(string(id), last.Int64, data) {
			return corrupt(id, "the facts up to %d do not fit their checksum", last.Int64)
		}
		more, err := decode(id, run.Seq(last.Int64), data)
		if err != nil {
			return err
		}
		first := more[0].Seq
		if at == 0 && first > after+1 || at != 0 && first != at+1 {
			return corrupt(id, "the facts before %d are missing", first)
		}
		at = more[len(more)-1].Seq
		if first <= after {
			more = more[after+1-first:]
		}
		facts = append(facts, more...)
		return nil
	})
	switch {
	case err != nil:
		return nil, false, s.unreadable(ctx, id, err)
	case !found:
		return nil, false, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	case at != 0 && at == head:
		return facts, closes(facts), nil
	case at != 0 || head > after:
		return nil, false, corrupt(id, "its facts end at %d and should at %d", at, head)
	}
	r, err := s.state(ctx, id) // no fact tells whether it is finished
	if err == nil && r.head > after {
		return s.load(ctx, id, after) // it grew meanwhile
	}
	return nil, err == nil && r.finished, err
}

func closes(facts []run.Fact) bool {
	_, last := facts[len(facts)-1].Body.(*run.Finished)
	return last
}

// state reads the row of a run.
func (s *Store) state(ctx context.Context, id run.ID) (*state, error) {
	r := &state{}
	err := r.scan(func(into ...any) error {
		return s.row(ctx, "SELECT "+stateColumns+" FROM runs WHERE id = ?", []any{string(id)}, into...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	if spoiled(err) {
		return nil, corrupt(id, "its row is damaged")
	}
	if err != nil {
		return nil, s.unreadable(ctx, id, err)
	}
	if r.id != id {
		return nil, corrupt(id, "its row is of run %s", r.id)
	}
	return r, nil
}

// clip keeps a seq within SQLite's integers.
func clip(seq run.Seq) int64 { return int64(min(seq, 1<<62)) }

// unreadable says of which run something could not be read. When the context ended, that is the reason.
func (s *Store) unreadable(ctx context.Context, id run.ID, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var f *fault
	if !errors.As(err, &f) { // a refusal of ours names the run
		return err
	}
	return fmt.Errorf("run %s: %w", id, damaged(err))
}

// decode reads a row of facts that ends with a seq.
func decode(id run.ID, last run.Seq, data []byte) ([]run.Fact, error) {
	n := bytes.Count(data, []byte{'\n'}) + 1
	if run.Seq(n) > last {
		return nil, corrupt(id, "%d facts end at %d", n, last)
	}
	facts := make([]run.Fact, 0, n)
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		f, err := run.DecodeFact(line)
		if err != nil {
			return nil, corrupt(id, "%v", err)
		}
		if want := last - run.Seq(n-1-len(facts)); f.Seq != want {
			return nil, corrupt(id, "fact %d is numbered %d", want, f.Seq)
		}
		facts = append(facts, f)
	}
	return facts, nil
}

// Unfinished implements store.Log.
func (s *Store) Unfinished(ctx context.Context, pool string) iter.Seq2[run.ID, error] {
	return store.Named(s.choose(ctx, "FROM runs WHERE finished = 0 AND n > ?1 AND (?2 = '' OR pool = ?2) ORDER BY n LIMIT 1000", pool, func(*state) bool { return true }))
}

// Strays implements store.Log.
func (s *Store) Strays(ctx context.Context, pool string) iter.Seq2[store.Hint, error] {
	known := map[string]bool{} // of many runs that a dead process left, one look at its lock is enough
	dead := func(owner string) bool {
		is, ok := known[owner]
		if !ok {
			is = s.dead(owner)
			known[owner] = is
		}
		return is
	}
	return s.choose(ctx, "FROM runs WHERE finished = 0 AND n > ?1 AND pool = ?2 AND rests = 0 ORDER BY n LIMIT 1000", pool, func(r *state) bool {
		return r.free(dead) && !s.hinted(ctx, r.id)
	})
}

// Lapsed implements store.Log. Runs that rest are passed over by the index.
func (s *Store) Lapsed(ctx context.Context, pool string) iter.Seq2[store.Hint, error] {
	return s.Strays(ctx, pool)
}

// hinted tells that a run has a hint which will be found. One that is damaged will not be.
func (s *Store) hinted(ctx context.Context, id run.ID) bool {
	h := store.Hint{Run: id}
	var due, crc int64
	err := s.row(ctx, "SELECT pool, priority, due, crc FROM hints WHERE id = ?", []any{string(id)}, &h.Pool, &h.Priority, &due, &crc)
	return err == nil && crc == hintSum(h, due)
}

// Runs yields every run, finished or not, whether the index knows it or not: whoever drops what no run names must not miss one. A run whose row is damaged is
// an error, after which the others follow.
func (s *Store) Runs(ctx context.Context) iter.Seq2[run.ID, error] {
	return func(yield func(run.ID, error) bool) {
		for after, more := int64(-1), true; more; {
			page, err := s.page(ctx, "FROM runs WHERE n > ?1 AND ?2 = '' ORDER BY n LIMIT 1000", after, "")
			if err != nil {
				yield("", err)
				return
			}
			more = false
			for _, r := range page {
				more, after = true, max(after, r.n)
				if !yield(r.id, r.damage) {
					return
				}
			}
		}
	}
}

// choose yields runs page by page, so that no page is held open while somebody thinks about it.
func (s *Store) choose(ctx context.Context, from, pool string, want func(*state) bool) iter.Seq2[store.Hint, error] {
	return func(yield func(store.Hint, error) bool) {
		for after, more := int64(-1), true; more; {
			page, err := s.page(ctx, from, after, pool)
			if err != nil {
				yield(store.Hint{}, err)
				return
			}
			more = false
			for _, r := range page {
				more, after = true, max(after, r.n)
				if r.damage == nil && want(r) && !yield(store.Hint{Run: r.id, Pool: r.pool, Priority: r.priority}, nil) {
					return
				}
			}
		}
	}
}

func (s *Store) page(ctx context.Context, from string, after int64, pool string) ([]*state, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var page []*state
	err := s.rows(ctx, "SELECT "+stateColumns+" "+from, []any{after, pool}, func(scan func(...any) error) error {
		r := &state{}
		err := r.scan(scan)
		if errors.Is(err, store.ErrCorrupt) {
			r.damage, err = err, nil // the others go on
		}
		page = append(page, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", unread(ctx, err))
	}
	return page, nil
}

// Holder implements store.Log.
func (s *Store) Holder(ctx context.Context, id run.ID) (string, error) {
	if err := s.ready(ctx); err != nil {
		return "", err
	}
	r, err := s.state(ctx, id)
	if err != nil {
		return "", err
	}
	if r.finished || r.free(s.dead) {
		return "", nil
	}
	return r.owner, nil
}

// Remove implements store.Log.
func (s *Store) Remove(ctx context.Context, id run.ID) error {
	return s.lasting(ctx, 0, func(t *tx) error {
		r, err := t.find(id)
		if err != nil {
			return err
		}
		if !r.finished {
			return fmt.Errorf("remove run %s: it is not finished: %w", id, store.ErrHeld)
		}
		for _, table := range []string{"facts", "tells", "entries"} {
			if err := t.exec("DELETE FROM "+table+" WHERE run = ?", r.n); err != nil {
				return err
			}
		}
		if err := t.exec("DELETE FROM hints WHERE id = ?", string(id)); err != nil {
			return err
		}
		delete(t.states, id)
		return t.exec("DELETE FROM runs WHERE n = ?", r.n)
	})
}
