// Package fault makes a store fail at a chosen write: before it took effect, after it (the answer is lost), once or for good.
//
// A test that kills between any two writes tells a story once to count its writes, then once for every point:
//
//	fault.Each(t, fault.Dead, func(t *testing.T, wrap func(store.Store) *fault.Store) {
//		s := wrap(memory.New())
//		…                        // the story, up to the error
//		…                        // go on with s.Store, as a second process would, and judge
//	})
package fault

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// ErrFault is what a write that was made to fail answers. It says nothing about whether it was stored.
var ErrFault = errors.New("fault: no answer")

// Then is what comes after the fault.
type Then int

// Once: the store goes on as if nothing had been. Dead: every later operation fails too, reads included, as for a process that was killed. Panic: as
// Dead, and the writer's goroutine panics with ErrFault.
const (
	Once Then = iota
	Dead
	Panic
)

// Point is where a store fails.
type Point struct {
	Write int  // the nth write, from 1; 0: never
	After bool // it took effect, and the answer is lost
	Then  Then
}

func (p Point) String() string {
	if p.After {
		return fmt.Sprintf("after write %d", p.Write)
	}
	return fmt.Sprintf("before write %d", p.Write)
}

// Store is a store that fails at its point. What it is made of stays usable: it is what a second process sees.
type Store struct {
	store.Store
	point Point

	mu     sync.Mutex
	writes []string
	fired  bool
}

// New makes s fail at a point.
func New(s store.Store, p Point) *Store { return &Store{Store: s, point: p} }

// Fired tells whether the point was reached.
func (s *Store) Fired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired
}

// Writes names the writes so far, in order.
func (s *Store) Writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.writes...)
}

// Each tells a story with a store that never fails, counts its writes, and tells it again for every write, with a fault before and after it. The story wraps
// one store, and must reach the point again: each time it is asserted that the fault fired.
func Each(t *testing.T, then Then, story func(t *testing.T, wrap func(store.Store) *Store)) {
	t.Helper()
	tell := func(t *testing.T, p Point) *Store {
		t.Helper()
		var s *Store
		story(t, func(inner store.Store) *Store {
			s = New(inner, p)
			return s
		})
		if s == nil {
			t.Fatal("the story wrapped no store")
		}
		return s
	}
	var calm *Store
	if !t.Run("without a fault", func(t *testing.T) { calm = tell(t, Point{}) }) {
		return
	}
	writes := calm.Writes()
	if len(writes) == 0 {
		t.Fatal("the story writes nothing")
	}
	for i, name := range writes {
		for _, after := range []bool{false, true} {
			p := Point{Write: i + 1, After: after, Then: then}
			t.Run(fmt.Sprint(p, " ", name), func(t *testing.T) {
				if s := tell(t, p); !s.Fired() {
					t.Errorf("the fault %v did not fire: the story made %d writes", p, len(s.Writes()))
				}
			})
		}
	}
}

// write does a write, or has it fail.
func (s *Store) write(name string, do func() error) error {
	s.mu.Lock()
	if s.dead() {
		s.mu.Unlock()
		return ErrFault
	}
	s.writes = append(s.writes, name)
	here := len(s.writes) == s.point.Write
	if here {
		s.fired = true
	}
	s.mu.Unlock()
	if !here {
		return do()
	}
	if s.point.After {
		_ = do() // what it answered nobody hears
	}
	if s.point.Then == Panic {
		panic(ErrFault)
	}
	return ErrFault
}

func (s *Store) dead() bool { return s.fired && s.point.Then != Once }

// read fails when the process is dead.
func (s *Store) read() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead() {
		return ErrFault
	}
	return nil
}

// Create implements store.Log.
func (s *Store) Create(ctx context.Context, id run.ID, owner string, ttl time.Duration, facts ...run.Fact) (lease run.Lease, err error) {
	err = s.write("create", func() error {
		lease, err = s.Store.Create(ctx, id, owner, ttl, facts...)
		return err
	})
	if errors.Is(err, ErrFault) {
		lease = run.Lease{}
	}
	return lease, err
}

// Claim implements store.Log.
func (s *Store) Claim(ctx context.Context, id run.ID, owner string, ttl time.Duration) (lease run.Lease, err error) {
	err = s.write("claim", func() error {
		lease, err = s.Store.Claim(ctx, id, owner, ttl)
		return err
	})
	if errors.Is(err, ErrFault) {
		lease = run.Lease{}
	}
	return lease, err
}

// Extend implements store.Log.
func (s *Store) Extend(ctx context.Context, lease run.Lease, ttl time.Duration) (longer run.Lease, err error) {
	err = s.write("extend", func() error {
		longer, err = s.Store.Extend(ctx, lease, ttl)
		return err
	})
	if err != nil {
		longer = lease
	}
	return longer, err
}

// Release implements store.Log.
func (s *Store) Release(ctx context.Context, lease run.Lease) error {
	return s.write("release", func() error { return s.Store.Release(ctx, lease) })
}

// Rest implements store.Log.
func (s *Store) Rest(ctx context.Context, lease run.Lease, head run.Seq, wake time.Time) error {
	return s.write("rest", func() error { return s.Store.Rest(ctx, lease, head, wake) })
}

// Append implements store.Log.
func (s *Store) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	return s.write("append", func() error { return s.Store.Append(ctx, lease, head, facts...) })
}

// Tell implements store.Log.
func (s *Store) Tell(ctx context.Context, id run.ID, f run.Fact, dedup string) (seq run.Seq, err error) {
	err = s.write("tell", func() error {
		seq, err = s.Store.Tell(ctx, id, f, dedup)
		return err
	})
	if errors.Is(err, ErrFault) {
		seq = 0
	}
	return seq, err
}

// Remove implements store.Log.
func (s *Store) Remove(ctx context.Context, id run.ID) error {
	return s.write("remove", func() error { return s.Store.Remove(ctx, id) })
}

// Load implements store.Log.
func (s *Store) Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	return s.Store.Load(ctx, id, after)
}

// Holder implements store.Log.
func (s *Store) Holder(ctx context.Context, id run.ID) (string, error) {
	if err := s.read(); err != nil {
		return "", err
	}
	return s.Store.Holder(ctx, id)
}

// Enqueue implements store.Queue.
func (s *Store) Enqueue(ctx context.Context, h store.Hint) error {
	return s.write("enqueue", func() error { return s.Store.Enqueue(ctx, h) })
}

// Dequeue implements store.Queue. It counts as a write whether it took something or not.
func (s *Store) Dequeue(ctx context.Context, pool string) (h store.Hint, ok bool, next time.Time, err error) {
	err = s.write("dequeue", func() error {
		h, ok, next, err = s.Store.Dequeue(ctx, pool)
		return err
	})
	if errors.Is(err, ErrFault) {
		h, ok, next = store.Hint{}, false, time.Time{}
	}
	return h, ok, next, err
}

// Take implements store.Limits.
func (s *Store) Take(ctx context.Context, name, holder string, n int, ttl time.Duration) (ok bool, err error) {
	err = s.write("take", func() error {
		ok, err = s.Store.Take(ctx, name, holder, n, ttl)
		return err
	})
	return ok && err == nil, err
}

// Give implements store.Limits.
func (s *Store) Give(ctx context.Context, name, holder string) error {
	return s.write("give", func() error { return s.Store.Give(ctx, name, holder) })
}

// Pass implements store.Limits.
func (s *Store) Pass(ctx context.Context, name string, rate store.Rate) (wait time.Duration, err error) {
	err = s.write("pass", func() error {
		wait, err = s.Store.Pass(ctx, name, rate)
		return err
	})
	return wait, err
}

// PutEntries implements store.Index.
func (s *Store) PutEntries(ctx context.Context, entries ...store.Entry) error {
	return s.write("put entries", func() error { return s.Store.PutEntries(ctx, entries...) })
}

// GetEntry implements store.Index.
func (s *Store) GetEntry(ctx context.Context, id run.ID) (store.Entry, error) {
	if err := s.read(); err != nil {
		return store.Entry{}, err
	}
	return s.Store.GetEntry(ctx, id)
}

// List implements store.Index.
func (s *Store) List(ctx context.Context, f store.Filter) ([]store.Entry, string, error) {
	if err := s.read(); err != nil {
		return nil, "", err
	}
	return s.Store.List(ctx, f)
}

// PutBlob implements store.Blobs.
func (s *Store) PutBlob(ctx context.Context, data []byte) (hash string, err error) {
	err = s.write("put blob", func() error {
		hash, err = s.Store.PutBlob(ctx, data)
		return err
	})
	if errors.Is(err, ErrFault) {
		hash = ""
	}
	return hash, err
}

// GetBlob implements store.Blobs.
func (s *Store) GetBlob(ctx context.Context, hash string) ([]byte, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	return s.Store.GetBlob(ctx, hash)
}

// DropBlob implements store.Blobs.
func (s *Store) DropBlob(ctx context.Context, hash string, before time.Time) error {
	return s.write("drop blob", func() error { return s.Store.DropBlob(ctx, hash, before) })
}

// PutDoc implements store.Docs.
func (s *Store) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	return s.write("put doc", func() error { return s.Store.PutDoc(ctx, kind, name, version, data) })
}

// GetDoc implements store.Docs.
func (s *Store) GetDoc(ctx context.Context, kind, name string) ([]byte, uint64, error) {
	if err := s.read(); err != nil {
		return nil, 0, err
	}
	return s.Store.GetDoc(ctx, kind, name)
}

// DropDoc implements store.Docs.
func (s *Store) DropDoc(ctx context.Context, kind, name string, version uint64) error {
	return s.write("drop doc", func() error { return s.Store.DropDoc(ctx, kind, name, version) })
}

// Tail implements store.Log.
func (s *Store) Tail(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[run.Fact, error] {
	return alive(s, s.Store.Tail(ctx, id, after))
}

// Unfinished implements store.Log.
func (s *Store) Unfinished(ctx context.Context, pool string) iter.Seq2[run.ID, error] {
	return alive(s, s.Store.Unfinished(ctx, pool))
}

// Strays implements store.Log.
func (s *Store) Strays(ctx context.Context, pool string) iter.Seq2[store.Hint, error] {
	return alive(s, s.Store.Strays(ctx, pool))
}

// Lapsed implements store.Log.
func (s *Store) Lapsed(ctx context.Context, pool string) iter.Seq2[store.Hint, error] {
	return alive(s, s.Store.Lapsed(ctx, pool))
}

// AllBlobs implements store.Blobs.
func (s *Store) AllBlobs(ctx context.Context) iter.Seq2[store.Blob, error] {
	return alive(s, s.Store.AllBlobs(ctx))
}

// AllDocs implements store.Docs.
func (s *Store) AllDocs(ctx context.Context, kind, prefix string) iter.Seq2[string, error] {
	return alive(s, s.Store.AllDocs(ctx, kind, prefix))
}

// alive yields what all yields while the process lives.
func alive[T any](s *Store, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err := s.read(); err != nil {
			yield(none, err)
			return
		}
		for v, err := range all {
			if dead := s.read(); dead != nil {
				yield(none, dead)
				return
			}
			if !yield(v, err) {
				return
			}
		}
	}
}
