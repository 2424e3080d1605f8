package engine

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

// maxQueued is how many events wait for one slow watcher. Beyond it progress is dropped, and facts are read from the store when the watcher comes for
// them: none is ever lost. maxDelta bounds the text that small pieces of progress are joined to.
const (
	maxQueued = 1024
	maxDelta  = 64 << 10
)

// gallery is everybody who watches one run. While it is empty it costs one load.
type gallery struct {
	mu       sync.Mutex
	watchers []*watcher
	count    atomic.Int32
	closed   bool
}

// watcher holds what one viewer has yet to see.
type watcher struct {
	mu     sync.Mutex
	queue  []runs.Event
	gap    bool // facts were dropped from the queue: the store has them
	closed bool // the session is over: nothing more comes this way
	wake   chan struct{}
}

func (g *gallery) add(w *watcher) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.watchers = append(g.watchers, w)
	g.count.Add(1)
	return true
}

func (g *gallery) remove(w *watcher) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.watchers, w); i >= 0 {
		g.watchers = slices.Delete(g.watchers, i, i+1)
		g.count.Add(-1)
	}
}

// facts shows what the store said is stored.
func (g *gallery) facts(batch []run.Fact) {
	if g.count.Load() == 0 {
		return
	}
	batch = slices.Clone(batch)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.watchers {
		w.facts(batch)
	}
}

func (g *gallery) progress(p runs.Progress) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range g.watchers {
		w.progress(p)
	}
}

// close tells everybody that nothing more comes.
func (g *gallery) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, w := range g.watchers {
		w.mu.Lock()
		w.closed = true
		w.mu.Unlock()
		w.poke()
	}
}

func (w *watcher) facts(batch []run.Fact) {
	w.mu.Lock()
	for i := range batch {
		if w.gap || len(w.queue) >= maxQueued {
			w.gap = true
			break
		}
		w.queue = append(w.queue, runs.Event{Fact: &batch[i]})
		if b, ok := batch[i].Body.(*run.CallStarted); ok && b.Attempt > 1 {
			w.queue = append(w.queue, runs.Event{Progress: &runs.Progress{Path: b.Path, Attempt: b.Attempt, Reset: true}})
		}
	}
	w.mu.Unlock()
	w.poke()
}

func (w *watcher) progress(p runs.Progress) {
	w.mu.Lock()
	if w.gap || !w.join(p) && len(w.queue) >= maxQueued {
		w.mu.Unlock()
		return
	}
	w.mu.Unlock()
	w.poke()
}

// join puts p into the queue, into the last piece of the same call where it follows on; of its notes the newest stays.
func (w *watcher) join(p runs.Progress) bool {
	if n := len(w.queue); n > 0 {
		last := w.queue[n-1].Progress
		if last != nil && !last.Reset && last.Tool == nil && p.Tool == nil && last.Path == p.Path && last.Attempt == p.Attempt && last.Offset+len(last.Delta) == p.Offset && len(last.Delta) < maxDelta {
			last.Delta += p.Delta
			last.Note = cmp.Or(p.Note, last.Note)
			return true
		}
		if n >= maxQueued {
			return false
		}
	}
	w.queue = append(w.queue, runs.Event{Progress: &p})
	return true
}

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) take() (events []runs.Event, gap, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, gap, closed = w.queue, w.gap, w.closed
	w.queue, w.gap = nil, false
	return events, gap, closed
}

// Watch implements runs.Runs. Facts come from the store, and each exactly once; progress comes only while the run is at work in this engine.
func (e *Engine) Watch(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[runs.Event, error] {
	return func(yield func(runs.Event, error) bool) {
		v := viewing{e: e, ctx: ctx, id: id, last: after, yield: yield}
		for v.live() && v.rest() {
		}
	}
}

// viewing is one pass of one viewer.
type viewing struct {
	e     *Engine
	ctx   context.Context
	id    run.ID
	last  run.Seq // the newest fact that was shown
	ended bool    // Finished was shown
	yield func(runs.Event, error) bool
}

// live follows a session of this engine. It reports whether there is more to see from the store.
func (v *viewing) live() bool {
	s := v.e.session(v.id)
	if s == nil {
		return true
	}
	w := &watcher{wake: make(chan struct{}, 1)}
	if !s.gallery.add(w) {
		return true
	}
	defer s.gallery.remove(w)
	if !v.load() { // the queue holds what comes from here on
		return false
	}
	for !v.ended {
		events, gap, closed := w.take()
		for _, ev := range events {
			if !v.show(ev) {
				return false
			}
		}
		if gap && !v.load() {
			return false
		}
		if closed {
			return !v.ended
		}
		select {
		case <-w.wake:
		case <-v.ctx.Done():
			v.yield(runs.Event{}, v.ctx.Err())
			return false
		}
	}
	return false
}

func (v *viewing) show(ev runs.Event) bool {
	if ev.Fact == nil {
		return v.yield(ev, nil)
	}
	if ev.Fact.Seq <= v.last {
		return true
	}
	if ev.Fact.Seq > v.last+1 && !v.load() {
		return false
	}
	return ev.Fact.Seq <= v.last || v.fact(ev.Fact)
}

func (v *viewing) fact(f *run.Fact) bool {
	v.last = f.Seq
	_, v.ended = f.Body.(*run.Finished)
	return v.yield(runs.Event{Fact: f}, nil)
}

// load shows what the store has and this viewer has not seen.
func (v *viewing) load() bool {
	facts, err := v.e.store.Load(v.ctx, v.id, v.last)
	if err != nil {
		v.yield(runs.Event{}, outward(err))
		return false
	}
	for i := range facts {
		if !v.fact(&facts[i]) {
			return false
		}
	}
	return true
}

// rest follows a run that is not, or no more, at work in this engine. It reports whether it is at work here again.
func (v *viewing) rest() bool {
	if v.ended {
		return false
	}
	ctx, cancel := v.e.whileOpen(v.ctx)
	defer cancel()
	a := v.e.await(v.id, cancel)
	defer v.e.leave(v.id, a)
	for f, err := range v.e.store.Tail(ctx, v.id, v.last) {
		if err != nil {
			if a.came.Load() && v.ctx.Err() == nil && v.e.ctx.Err() == nil {
				return true
			}
			v.yield(runs.Event{}, v.e.ended(v.ctx, err))
			return false
		}
		if !v.fact(&f) {
			return false
		}
	}
	return false
}

// arrival ends the wait for a run to be at work here.
type arrival struct {
	came   atomic.Bool
	cancel func()
}

func (a *arrival) come() {
	a.came.Store(true)
	a.cancel()
}

func (e *Engine) await(id run.ID, cancel func()) *arrival {
	a := &arrival{cancel: cancel}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sessions[id] != nil {
		a.come()
		return a
	}
	if e.viewers == nil {
		e.viewers = map[run.ID][]*arrival{}
	}
	e.viewers[id] = append(e.viewers[id], a)
	return a
}

func (e *Engine) leave(id run.ID, a *arrival) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if left := slices.DeleteFunc(e.viewers[id], func(o *arrival) bool { return o == a }); len(left) > 0 {
		e.viewers[id] = left
	} else {
		delete(e.viewers, id)
	}
}

// outward turns the store's words into those of runs.
func outward(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return runs.ErrNotFound
	case errors.Is(err, store.ErrFinished):
		return runs.ErrFinished
	}
	return err
}
