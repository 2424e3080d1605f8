// Package memory keeps everything in the memory of one process: for tests and --ephemeral, and as the reference of the store's contract.
//
// Facts are kept as the Go values they are, so appending costs a copy of a few words a fact.
package memory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/ear"
)

// Store is a store.Store. Use New.
type Store struct {
	mu    sync.RWMutex
	logs  map[run.ID]*log
	order []run.ID // as they were created
	blobs map[string]*blob
	docs  map[[2]string]*doc

	ears   sync.Map // *ear.Ear → nothing: who listens to Told
	queue  queue
	limits limits
	index  index
}

type log struct {
	mu       sync.Mutex
	facts    []run.Fact // facts[i].Seq == i+1; only ever appended to
	token    uint64
	owner    string // "": nobody holds it
	until    time.Time
	finished bool
	rests    bool // until it is told something or its hint is due
	pool     string
	priority int
	dedup    map[string]run.Seq
	grown    chan struct{} // closed when facts grow; nil while nobody waits
}

type blob struct {
	data []byte
	put  time.Time
}

type doc struct {
	version uint64
	data    []byte
}

// New returns an empty store.
func New() *Store {
	return &Store{logs: map[run.ID]*log{}, blobs: map[string]*blob{}, docs: map[[2]string]*doc{}}
}

// Close is there for the contract: there is nothing to give back.
func (s *Store) Close() error { return nil }

func (s *Store) log(id run.ID) (*log, error) {
	s.mu.RLock()
	l := s.logs[id]
	s.mu.RUnlock()
	if l == nil {
		return nil, fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	return l, nil
}

// Create implements store.Log.
func (s *Store) Create(ctx context.Context, id run.ID, owner string, ttl time.Duration, facts ...run.Fact) (run.Lease, error) {
	if err := ctx.Err(); err != nil {
		return run.Lease{}, err
	}
	if err := numbered(id, 0, facts); err != nil {
		return run.Lease{}, err
	}
	l := &log{facts: slices.Clone(facts), token: 1, owner: owner, until: end(ttl), finished: closes(facts)}
	if len(facts) > 0 {
		if b, ok := facts[0].Body.(*run.Started); ok {
			l.pool, l.priority = b.Options.Pool, b.Options.Priority
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.logs[id]; taken {
		return run.Lease{}, fmt.Errorf("run %s: %w", id, store.ErrExists)
	}
	s.logs[id] = l
	s.order = append(s.order, id)
	return run.Lease{Run: id, Token: 1, Owner: owner, Until: l.until}, nil
}

// Claim implements store.Log.
func (s *Store) Claim(ctx context.Context, id run.ID, owner string, ttl time.Duration) (run.Lease, error) {
	if err := ctx.Err(); err != nil {
		return run.Lease{}, err
	}
	l, err := s.log(id)
	if err != nil {
		return run.Lease{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.finished {
		return run.Lease{}, fmt.Errorf("claim run %s: %w", id, store.ErrFinished)
	}
	if l.owner != "" && l.owner != owner && !l.lapsed() {
		return run.Lease{}, fmt.Errorf("claim run %s: %w", id, store.ErrHeld)
	}
	l.token++
	l.owner, l.until, l.rests = owner, end(ttl), false
	return run.Lease{Run: id, Token: l.token, Owner: owner, Until: l.until}, nil
}

// Extend implements store.Log.
func (s *Store) Extend(ctx context.Context, lease run.Lease, ttl time.Duration) (run.Lease, error) {
	if err := ctx.Err(); err != nil {
		return lease, err
	}
	l, err := s.log(lease.Run)
	if err != nil {
		return lease, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.heldBy(lease) {
		return lease, fmt.Errorf("extend the lease of run %s: %w", lease.Run, store.ErrFenced)
	}
	l.until = end(ttl)
	lease.Until = l.until
	return lease, nil
}

// Release implements store.Log.
func (s *Store) Release(ctx context.Context, lease run.Lease) error {
	l, err := s.log(lease.Run)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token == lease.Token {
		l.owner = ""
	}
	return nil
}

// Rest implements store.Log.
func (s *Store) Rest(ctx context.Context, lease run.Lease, head run.Seq, wake time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l, err := s.log(lease.Run)
	if err != nil {
		return err
	}
	l.mu.Lock()
	switch {
	case !l.heldBy(lease):
		err = fmt.Errorf("let run %s rest: %w", lease.Run, store.ErrFenced)
	case run.Seq(len(l.facts)) != head:
		err = fmt.Errorf("let run %s rest at %d: %w: it is at %d", lease.Run, head, store.ErrConflict, len(l.facts))
	default:
		l.owner, l.rests = "", wake.IsZero()
	}
	hint := store.Hint{Run: lease.Run, Pool: l.pool, Priority: l.priority, Due: wake}
	l.mu.Unlock()
	if err != nil || wake.IsZero() {
		return err
	}
	return s.Enqueue(ctx, hint)
}

// Holder implements store.Log.
func (s *Store) Holder(ctx context.Context, id run.ID) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	l, err := s.log(id)
	if err != nil {
		return "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.finished || l.lapsed() {
		return "", nil
	}
	return l.owner, nil
}

// Remove implements store.Log.
func (s *Store) Remove(ctx context.Context, id run.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	l := s.logs[id]
	if l == nil {
		s.mu.Unlock()
		return fmt.Errorf("run %s: %w", id, store.ErrNotFound)
	}
	l.mu.Lock()
	finished := l.finished
	l.mu.Unlock()
	if finished {
		delete(s.logs, id)
		s.order = slices.DeleteFunc(s.order, func(o run.ID) bool { return o == id })
	}
	s.mu.Unlock()
	if !finished {
		return fmt.Errorf("remove run %s: it is not finished: %w", id, store.ErrHeld)
	}
	s.index.drop(id)
	return nil
}

// Void takes back every lease of an owner, as the kernel does with the lock file of a process that died.
func (s *Store) Void(owner string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range s.logs {
		l.mu.Lock()
		if l.owner == owner {
			l.owner = ""
			l.token++ // whoever still believes in the lease is fenced
		}
		l.mu.Unlock()
	}
}

// Append implements store.Log.
func (s *Store) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l, err := s.log(lease.Run)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.heldBy(lease) {
		return fmt.Errorf("append to run %s: %w", lease.Run, store.ErrFenced)
	}
	if l.finished {
		return fmt.Errorf("append to run %s: %w", lease.Run, store.ErrFinished)
	}
	if run.Seq(len(l.facts)) != head {
		return fmt.Errorf("append to run %s after %d: %w: it is at %d", lease.Run, head, store.ErrConflict, len(l.facts))
	}
	if err := numbered(lease.Run, head, facts); err != nil {
		return err
	}
	l.add(facts...)
	return nil
}

// Tell implements store.Log.
func (s *Store) Tell(ctx context.Context, id run.ID, f run.Fact, dedup string) (run.Seq, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	l, err := s.log(id)
	if err != nil {
		return 0, err
	}
	seq, fresh, err := l.tell(id, f, dedup)
	if err != nil || !fresh {
		return seq, err
	}
	if err := s.Enqueue(ctx, store.Hint{Run: id, Pool: l.pool, Priority: l.priority}); err != nil {
		return seq, nil // told all the same: the sweep finds it
	}
	s.ears.Range(func(e, _ any) bool {
		e.(*ear.Ear).Hear(id)
		return true
	})
	return seq, nil
}

func (l *log) tell(id run.ID, f run.Fact, dedup string) (seq run.Seq, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq, told := l.dedup[dedup]; told && dedup != "" {
		return seq, false, nil
	}
	if l.finished {
		return 0, false, fmt.Errorf("tell run %s: %w", id, store.ErrFinished)
	}
	f.Seq = run.Seq(len(l.facts)) + 1
	l.add(f)
	l.rests = false
	if dedup != "" {
		if l.dedup == nil {
			l.dedup = map[string]run.Seq{}
		}
		l.dedup[dedup] = f.Seq
	}
	return f.Seq, true, nil
}

// Told implements store.Log.
func (s *Store) Told(ctx context.Context) iter.Seq2[run.ID, error] {
	return func(yield func(run.ID, error) bool) {
		e := ear.New()
		s.ears.Store(e, nil)
		defer s.ears.Delete(e)
		if !yield("", nil) {
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-e.Wake():
			}
			for _, id := range e.Take() {
				if !yield(id, nil) {
					return
				}
			}
		}
	}
}

// Load implements store.Log.
func (s *Store) Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := s.log(id)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.after(after), nil
}

// Tail implements store.Log.
func (s *Store) Tail(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[run.Fact, error] {
	return func(yield func(run.Fact, error) bool) {
		l, err := s.log(id)
		if err != nil {
			yield(run.Fact{}, err)
			return
		}
		for {
			l.mu.Lock()
			facts, finished := l.after(after), l.finished
			var grown chan struct{}
			if len(facts) == 0 && !finished {
				if l.grown == nil {
					l.grown = make(chan struct{})
				}
				grown = l.grown
			}
			l.mu.Unlock()
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
			if finished {
				return
			}
			if grown == nil {
				continue
			}
			select {
			case <-grown:
			case <-ctx.Done():
				yield(run.Fact{}, ctx.Err())
				return
			}
		}
	}
}

// Unfinished implements store.Log.
func (s *Store) Unfinished(ctx context.Context, pool string) iter.Seq2[run.ID, error] {
	return store.Named(s.choose(ctx, func(id run.ID, l *log) bool { return !l.finished && (pool == "" || l.pool == pool) }))
}

// Strays implements store.Log.
func (s *Store) Strays(ctx context.Context, pool string) iter.Seq2[store.Hint, error] {
	return s.choose(ctx, func(id run.ID, l *log) bool {
		return !l.finished && l.pool == pool && !l.rests && (l.owner == "" || l.lapsed()) && !s.queue.has(id)
	})
}

// Lapsed implements store.Log.
func (s *Store) Lapsed(ctx context.Context, pool string) iter.Seq2[store.Hint, error] {
	return s.Strays(ctx, pool)
}

// choose yields the runs whose log, which is locked meanwhile, is wanted.
func (s *Store) choose(ctx context.Context, want func(run.ID, *log) bool) iter.Seq2[store.Hint, error] {
	return func(yield func(store.Hint, error) bool) {
		s.mu.RLock()
		ids := slices.Clone(s.order)
		s.mu.RUnlock()
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				yield(store.Hint{}, err)
				return
			}
			l, err := s.log(id)
			if err != nil {
				continue
			}
			l.mu.Lock()
			wanted, hint := want(id, l), store.Hint{Run: id, Pool: l.pool, Priority: l.priority}
			l.mu.Unlock()
			if wanted && !yield(hint, nil) {
				return
			}
		}
	}
}

// PutBlob implements store.Blobs.
func (s *Store) PutBlob(ctx context.Context, data []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.blobs[hash]; have != nil {
		data = have.data
	}
	s.blobs[hash] = &blob{data, time.Now()}
	return hash, nil
}

// GetBlob implements store.Blobs.
func (s *Store) GetBlob(ctx context.Context, hash string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.blobs[hash]
	if b == nil {
		return nil, fmt.Errorf("blob %s: %w", hash, store.ErrNotFound)
	}
	return b.data, nil
}

// AllBlobs implements store.Blobs.
func (s *Store) AllBlobs(ctx context.Context) iter.Seq2[store.Blob, error] {
	return func(yield func(store.Blob, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(store.Blob{}, err)
			return
		}
		s.mu.RLock()
		var blobs []store.Blob
		for hash, b := range s.blobs {
			blobs = append(blobs, store.Blob{Hash: hash, Size: int64(len(b.data)), Put: b.put})
		}
		s.mu.RUnlock()
		for _, b := range blobs {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// DropBlob implements store.Blobs.
func (s *Store) DropBlob(ctx context.Context, hash string, before time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.blobs[hash]; b != nil && b.put.Before(before) {
		delete(s.blobs, hash)
	}
	return nil
}

// PutDoc implements store.Docs.
func (s *Store) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{kind, name}
	d := s.docs[key]
	if d == nil {
		d = &doc{}
	}
	if d.version != version {
		return fmt.Errorf("%s %s at version %d: %w: it is at %d", kind, name, version, store.ErrConflict, d.version)
	}
	s.docs[key] = &doc{version: version + 1, data: slices.Clone(data)}
	return nil
}

// GetDoc implements store.Docs.
func (s *Store) GetDoc(ctx context.Context, kind, name string) ([]byte, uint64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	d := s.docs[[2]string{kind, name}]
	if d == nil {
		return nil, 0, fmt.Errorf("%s %s: %w", kind, name, store.ErrNotFound)
	}
	return slices.Clone(d.data), d.version, nil
}

// DropDoc implements store.Docs.
func (s *Store) DropDoc(ctx context.Context, kind, name string, version uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{kind, name}
	if d := s.docs[key]; d != nil && d.version != version {
		return fmt.Errorf("%s %s at version %d: %w: it is at %d", kind, name, version, store.ErrConflict, d.version)
	}
	delete(s.docs, key)
	return nil
}

// AllDocs implements store.Docs.
func (s *Store) AllDocs(ctx context.Context, kind, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", err)
			return
		}
		s.mu.RLock()
		var names []string
		for key := range s.docs {
			if key[0] == kind && strings.HasPrefix(key[1], prefix) {
				names = append(names, key[1])
			}
		}
		s.mu.RUnlock()
		slices.Sort(names)
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

func (l *log) heldBy(lease run.Lease) bool {
	return l.owner != "" && l.token == lease.Token && !l.lapsed()
}

func (l *log) lapsed() bool { return !l.until.IsZero() && !time.Now().Before(l.until) }

func (l *log) add(facts ...run.Fact) {
	l.facts = append(l.facts, facts...)
	l.finished = l.finished || closes(facts)
	if l.grown != nil {
		close(l.grown)
		l.grown = nil
	}
}

// after shares the array of facts: they are never changed, and the full slice expression keeps a caller's append away from ours.
func (l *log) after(seq run.Seq) []run.Fact {
	if seq >= run.Seq(len(l.facts)) {
		return nil
	}
	return l.facts[seq:len(l.facts):len(l.facts)]
}

func closes(facts []run.Fact) bool {
	if len(facts) == 0 {
		return false
	}
	_, last := facts[len(facts)-1].Body.(*run.Finished)
	return last
}

func numbered(id run.ID, head run.Seq, facts []run.Fact) error {
	for i := range facts {
		if want := head + run.Seq(i) + 1; facts[i].Seq != want {
			return fmt.Errorf("append to run %s: fact %d is numbered %d", id, want, facts[i].Seq)
		}
	}
	return nil
}

func end(ttl time.Duration) time.Time {
	if ttl <= 0 {
		return time.Time{}
	}
	return time.Now().Add(ttl)
}
