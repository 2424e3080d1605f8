package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

// How often a worker looks for runs that a lost hint or a dead process left behind. Where leases lapse, other machines hold runs too, and nothing but a look tells
// that one of them is gone: then within 5 s of the end of a lease. That look sees the leases alone; all unfinished runs are looked through every DefaultSweep.
const (
	DefaultSweep      = time.Minute
	DefaultLeaseSweep = 4 * time.Second

	// Where many thousand runs are open, looking is not to be what the store is busy with.
	sweepRest, repairRest, mostRest = 25, 100, 10 * time.Minute
)

// checkEvery is how often a worker asks agents whether they could be called: often enough for whoever looks at their status, and it costs nothing.
const checkEvery = time.Minute

// Work makes this engine a worker of its pool, until ctx or the engine ends: it takes up the runs that hints of the store's queue name, while it has room, and
// sweeps up those that no hint names any more. What it has taken up goes on when Work returns; Drain hands it over.
func (e *Engine) Work(ctx context.Context) error {
	ctx, stop := e.whileOpen(ctx)
	defer stop()
	if err := e.enlist(stop); err != nil {
		return err
	}
	defer e.resign()
	hints := make(chan struct{}, 1)
	poke := func() {
		select {
		case hints <- struct{}{}:
		default:
		}
	}
	listens := make(chan struct{})
	go func() {
		defer close(listens)
		e.hinted(ctx, poke)
	}()
	sweeps := make(chan struct{})
	go func() {
		defer close(sweeps)
		e.sweeps(ctx, &e.troubles.lapses, "look for leases that lapsed", e.store.Lapsed, e.sweep, sweepRest)
	}()
	repairs := make(chan struct{})
	go func() {
		defer close(repairs)
		e.heed(&e.troubles.sweeps, "reconcile the list of runs", e.Reconcile(ctx, e.pool)) // lists are derived: the next start tries again
		e.sweeps(ctx, &e.troubles.sweeps, "look for runs that were left behind", e.store.Strays, max(e.sweep, DefaultSweep), repairRest)
	}()
	checks := make(chan struct{})
	go func() {
		defer close(checks)
		e.registry.Watch(ctx, checkEvery)
	}()
	e.serve(ctx, hints)
	<-listens
	<-sweeps
	<-repairs
	<-checks
	return nil
}

// enlist marks the engine as a worker: the store's queue wakes its runs from now on.
func (e *Engine) enlist(stop func()) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed, e.draining:
		return runs.ErrClosed
	case e.pool == "":
		return errors.New("a worker needs a pool")
	case e.dismiss != nil:
		return errors.New("the engine works already")
	}
	e.dismiss = stop
	e.group.Add(1)
	return nil
}

// resign gives the hints back that were taken and not followed.
func (e *Engine) resign() {
	defer e.group.Done()
	e.mu.Lock()
	e.dismiss = nil
	var hints []store.Hint
	for _, p := range e.agenda.byRun {
		if p.hinted {
			hints = append(hints, store.Hint{Run: p.id, Pool: e.pool, Priority: p.priority})
			e.agenda.drop(p.id)
		}
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), releaseTimeout)
	defer cancel()
	for _, h := range hints {
		e.dropped("give a hint back", h.Run, e.store.Enqueue(ctx, h)) // else another worker's sweep finds the run
	}
}

// hinted pokes whenever the pool may have a new hint.
func (e *Engine) hinted(ctx context.Context, poke func()) {
	for rest := firstRest; ctx.Err() == nil; rest = min(2*rest, longRest) {
		for _, err := range e.store.Hinted(ctx, e.pool) {
			e.heed(&e.troubles.hints, "wait for hints", err)
			if err != nil {
				break
			}
			rest = firstRest
			poke()
		}
		pause(ctx, rest)
	}
}

// pause waits for a while or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// serve follows the hints of the pool while there is room.
func (e *Engine) serve(ctx context.Context, hints <-chan struct{}) {
	rest := firstRest
	for ctx.Err() == nil {
		if !e.hungry() {
			select {
			case <-e.appetite:
			case <-ctx.Done():
			}
			continue
		}
		h, ok, next, err := e.store.Dequeue(ctx, e.pool)
		e.heed(&e.troubles.hints, "take hints", err)
		switch {
		case err != nil:
			pause(ctx, rest)
			rest = min(2*rest, longRest)
			continue
		case ok:
			e.invite(h)
		default:
			wait := e.sweep
			if !next.IsZero() {
				wait = min(wait, max(time.Until(next), time.Millisecond))
			}
			timer := time.NewTimer(wait)
			select {
			case <-hints:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
		rest = firstRest
	}
}

// hungry reports whether a hint that is taken now would be followed soon: what waits here is out of the reach of other workers.
func (e *Engine) hungry() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.room() && len(e.agenda.ready) < maxAdopting
}

// hunger tells serve that there may be room again.
func (e *Engine) hunger() {
	select {
	case e.appetite <- struct{}{}:
	default:
	}
}

// invite makes an appointment of a hint. A run that is at work here has been told something.
func (e *Engine) invite(h store.Hint) {
	if s := e.session(h.Run); s != nil && s.post(letter{kind: toldLetter}) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.agenda.put(&appointment{id: h.Run, at: time.Now(), priority: h.Priority, hinted: true})
	e.agenda.hurry(h.Run)
	e.dispatch()
}

// sweeps looks for what was left behind, at the start and then from time to time: rest times as long as a look takes nobody looks so again.
func (e *Engine) sweeps(ctx context.Context, t *trouble, what string, strays look, every time.Duration, rest int) {
	for ctx.Err() == nil {
		began := time.Now()
		e.heed(t, what, e.sweepUp(ctx, strays)) // what it did not find, the next finds
		pause(ctx, max(every, min(time.Duration(rest)*time.Since(began), mostRest)))
	}
}

// look yields runs of a pool that were left behind.
type look func(ctx context.Context, pool string) iter.Seq2[store.Hint, error]

// sweepUp leaves a hint for every run that nobody holds and nothing will wake.
func (e *Engine) sweepUp(ctx context.Context, strays look) error {
	for h, err := range strays(ctx, e.pool) {
		if err != nil {
			return err
		}
		if err := e.store.Enqueue(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// Reconcile repairs the list of a pool ("" is every pool) after writes that were lost: it derives again the entries of runs that ended and are not shown so,
// and of those that are not shown at all.
func (e *Engine) Reconcile(ctx context.Context, pool string) error {
	open := map[run.ID]bool{}
	for id, err := range e.store.Unfinished(ctx, pool) {
		if err != nil {
			return fmt.Errorf("reconcile the list of runs: %w", err)
		}
		open[id] = true
	}
	var wrong []run.ID
	f := store.Filter{Pool: pool, Status: []run.Status{run.Queued, run.Running, run.Waiting, run.Paused}, Limit: store.MaxLimit}
	for more := true; more; more = f.Cursor != "" {
		entries, next, err := e.store.List(ctx, f)
		if err != nil {
			return fmt.Errorf("reconcile the list of runs: %w", err)
		}
		for _, entry := range entries {
			if !open[entry.Run] {
				wrong = append(wrong, entry.Run)
			}
			delete(open, entry.Run)
		}
		f.Cursor = next
	}
	for id := range open {
		wrong = append(wrong, id)
	}
	for _, id := range wrong {
		if err := e.Relist(ctx, id); err != nil && !errors.Is(err, runs.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Drain ends the engine in peace, as before a restart: it takes up and starts nothing more, calls under way end and are recorded, leases go back, and a hint
// for each run lets another worker go on with it at once. What has not ended with ctx is ended as Close ends it. The engine is closed afterwards.
func (e *Engine) Drain(ctx context.Context) error { return e.drain(ctx, drainLetter) }

// Part is a Drain that waits only for calls that change the world. What thinks or reads is ended at once: whoever goes on with its run makes it again.
func (e *Engine) Part(ctx context.Context) error { return e.drain(ctx, partLetter) }

func (e *Engine) drain(ctx context.Context, kind letterKind) error {
	e.mu.Lock()
	e.draining = true
	dismiss := e.dismiss
	e.mu.Unlock()
	if dismiss != nil {
		dismiss()
	}
	sessions := e.all()
	for _, s := range sessions {
		s.post(letter{kind: kind})
	}
	for _, s := range sessions {
		select {
		case <-s.done:
		case <-ctx.Done():
		}
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.grace)
	defer cancel()
	return e.Close(closing)
}
