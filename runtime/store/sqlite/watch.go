package sqlite

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store/ear"
)

// maxHeard is how many tells of other processes are named; of more, a listener hears that it may have missed some.
const maxHeard = 1000

// watch wakes those who wait in this process for what is written, here or elsewhere.
type watch struct {
	version int64 // data_version when the writer last looked
	tell    int64 // the last of the tells up to which all were heard here

	mu    sync.Mutex
	ears  map[*ear.Ear]bool
	pools map[chan struct{}]string // the pool each listens to
	tails map[run.ID]map[chan struct{}]bool
}

// look wakes everybody when another process wrote: data_version changes by the commits of others only.
func (s *Store) look() {
	w := &s.watch
	var version int64
	err := s.writer.row("PRAGMA data_version", nil, &version)
	if err != nil {
		if fatal(err) {
			_ = s.stop(err)
		}
		return
	}
	if version == w.version {
		return
	}
	var told []run.ID
	last := w.tell
	err = s.writer.rows("SELECT t.n, r.id FROM tells t JOIN runs r ON r.n = t.run WHERE t.n > ? ORDER BY t.n LIMIT ?", []any{w.tell, maxHeard + 1}, func(scan func(...any) error) error {
		var id run.ID
		err := scan(&last, &id)
		told = append(told, id)
		return err
	})
	if err == nil && len(told) > maxHeard {
		told = []run.ID{""}
		err = s.writer.row("SELECT max(n) FROM tells", nil, &last)
	}
	if err != nil {
		return // the next look tries again
	}
	w.version, w.tell = version, last
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := range w.ears {
		for _, id := range told {
			e.Hear(id)
		}
	}
	for c := range w.pools {
		poke(c)
	}
	for _, tails := range w.tails {
		for c := range tails {
			poke(c)
		}
	}
}

// told and hinted and grew are called by the writer, once something is stored.
func (w *watch) told(id run.ID, n int64) {
	if n == w.tell+1 { // no other process told something in between
		w.tell = n
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := range w.ears {
		e.Hear(id)
	}
}

func (w *watch) hinted(pool string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c, listens := range w.pools {
		if listens == pool {
			poke(c)
		}
	}
}

func (w *watch) grew(id run.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.tails[id] {
		poke(c)
	}
}

// Told implements store.Log.
func (s *Store) Told(ctx context.Context) iter.Seq2[run.ID, error] {
	return func(yield func(run.ID, error) bool) {
		w := &s.watch
		e := ear.New()
		w.mu.Lock()
		if w.ears == nil {
			w.ears = map[*ear.Ear]bool{}
		}
		w.ears[e] = true
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			delete(w.ears, e)
			w.mu.Unlock()
		}()
		if !yield("", nil) {
			return
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.ended:
				yield("", s.ready(context.Background()))
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

// Hinted implements store.Queue.
func (s *Store) Hinted(ctx context.Context, pool string) iter.Seq2[struct{}, error] {
	return func(yield func(struct{}, error) bool) {
		w := &s.watch
		wake := make(chan struct{}, 1)
		w.mu.Lock()
		if w.pools == nil {
			w.pools = map[chan struct{}]string{}
		}
		w.pools[wake] = pool
		w.mu.Unlock()
		defer func() {
			w.mu.Lock()
			delete(w.pools, wake)
			w.mu.Unlock()
		}()
		for yield(struct{}{}, nil) {
			select {
			case <-ctx.Done():
				return
			case <-s.ended:
				yield(struct{}{}, s.ready(context.Background()))
				return
			case <-wake:
			}
		}
	}
}

// Tail implements store.Log.
func (s *Store) Tail(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[run.Fact, error] {
	return func(yield func(run.Fact, error) bool) {
		wake := s.watch.tail(id)
		defer s.watch.untail(id, wake)
		for {
			facts, finished, err := s.load(ctx, id, after)
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
			if finished {
				return
			}
			select {
			case <-wake:
			case <-s.ended:
				yield(run.Fact{}, fmt.Errorf("run %s: %w", id, s.ready(context.Background())))
				return
			case <-ctx.Done():
				yield(run.Fact{}, ctx.Err())
				return
			}
		}
	}
}

func (w *watch) tail(id run.ID) chan struct{} {
	wake := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tails == nil {
		w.tails = map[run.ID]map[chan struct{}]bool{}
	}
	if w.tails[id] == nil {
		w.tails[id] = map[chan struct{}]bool{}
	}
	w.tails[id][wake] = true
	return wake
}

func (w *watch) untail(id run.ID, wake chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.tails[id], wake); len(w.tails[id]) == 0 {
		delete(w.tails, id)
	}
}
