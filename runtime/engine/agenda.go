package engine

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

// appointment is a run that has no session here, and that this engine will give one: when its time comes, or when it is told something. It is all that a
// resting run costs.
type appointment struct {
	id       run.ID
	head     run.Seq // of its log when it was put down; 0: unknown
	at       time.Time
	priority int
	hinted   bool // it came out of the store's queue, and goes back there when this engine leaves
	tries    int
	index    int // in its heap; -1: in none
	ready    bool
}

// agenda keeps the appointments of an engine, which guards it.
type agenda struct {
	byRun map[run.ID]*appointment
	later laterHeap // not due yet
	ready readyHeap // due: the higher priority first
	timer *time.Timer
}

// put makes an appointment; a zero time is none: the run waits to be told something. Of two for one run the earlier counts.
func (a *agenda) put(p *appointment) {
	if old := a.byRun[p.id]; old != nil {
		if old.ready || !old.at.IsZero() && (p.at.IsZero() || old.at.Before(p.at)) {
			return
		}
		a.drop(p.id)
	}
	if a.byRun == nil {
		a.byRun = map[run.ID]*appointment{}
	}
	p.index, p.ready = -1, false
	a.byRun[p.id] = p
	if !p.at.IsZero() {
		heap.Push(&a.later, p)
	}
}

// hurry makes a run due, if there is an appointment for it.
func (a *agenda) hurry(id run.ID) bool {
	p := a.byRun[id]
	if p == nil {
		return false
	}
	if !p.ready {
		if p.index >= 0 {
			heap.Remove(&a.later, p.index)
		}
		p.ready = true
		heap.Push(&a.ready, p)
	}
	return true
}

func (a *agenda) drop(id run.ID) {
	p := a.byRun[id]
	if p == nil {
		return
	}
	delete(a.byRun, id)
	switch {
	case p.ready:
		heap.Remove(&a.ready, p.index)
	case p.index >= 0:
		heap.Remove(&a.later, p.index)
	}
}

// ripen moves what is due.
func (a *agenda) ripen(now time.Time) {
	for len(a.later) > 0 && !a.later[0].at.After(now) {
		a.hurry(a.later[0].id)
	}
}

// take removes the next that is due; nil when none is.
func (a *agenda) take() *appointment {
	if len(a.ready) == 0 {
		return nil
	}
	p := a.ready[0]
	a.drop(p.id)
	return p
}

type laterHeap []*appointment

func (h laterHeap) Len() int           { return len(h) }
func (h laterHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h laterHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *laterHeap) Push(x any) { *h = push(*h, x.(*appointment)) }
func (h *laterHeap) Pop() any   { return pop((*[]*appointment)(h)) }

type readyHeap []*appointment

func (h readyHeap) Len() int { return len(h) }
func (h readyHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[j].priority, h[i].priority), h[i].at.Compare(h[j].at), cmp.Compare(h[i].id, h[j].id)) < 0
}
func (h readyHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *readyHeap) Push(x any) { *h = push(*h, x.(*appointment)) }
func (h *readyHeap) Pop() any   { return pop((*[]*appointment)(h)) }

func push(h []*appointment, p *appointment) []*appointment {
	p.index = len(h)
	return append(h, p)
}

func pop(h *[]*appointment) *appointment {
	n := len(*h) - 1
	p := (*h)[n]
	(*h)[n] = nil
	*h = (*h)[:n]
	p.index = -1
	return p
}

// maxAdopting is how many runs are folded at a time: each is read whole.
const maxAdopting = 8

// dispatch takes up what is due while there is room, and sets the clock for the rest. e.mu is held.
func (e *Engine) dispatch() {
	a := &e.agenda
	if e.closed || e.draining || len(a.byRun) == 0 {
		return
	}
	now := time.Now()
	a.ripen(now)
	for e.room() && len(e.adopting) < maxAdopting {
		p := a.take()
		if p == nil {
			break
		}
		if e.sessions[p.id] != nil || e.adopting[p.id] {
			continue
		}
		e.adopting[p.id] = true
		e.workers.do(func() { e.keepAppointment(p) })
	}
	if len(a.later) == 0 {
		return
	}
	rest := a.later[0].at.Sub(now)
	if a.timer == nil {
		a.timer = time.AfterFunc(rest, e.chime)
	} else {
		a.timer.Reset(rest)
	}
}

// chime is the clock of the agenda.
func (e *Engine) chime() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dispatch()
}

// room reports whether one more run may have a session. e.mu is held.
func (e *Engine) room() bool { return len(e.sessions)+len(e.adopting) < e.seats }

// keepAppointment gives a run its session. What cannot be taken up now is tried again, ever less often; what another holds, or what has ended, is none of ours.
func (e *Engine) keepAppointment(p *appointment) {
	err := e.adopt(e.ctx, p.id)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.adopting, p.id)
	switch {
	case err == nil, errors.Is(err, store.ErrHeld), errors.Is(err, runs.ErrFinished), errors.Is(err, runs.ErrNotFound), errors.Is(err, runs.ErrClosed):
	default:
		e.log.Warn("a run cannot be taken up, which is tried again", "run", p.id, "tries", p.tries+1, "error", err)
		p.at = time.Now().Add(min(firstRest<<min(p.tries, 20), longestRest))
		p.tries++
		e.agenda.put(p)
	}
	e.dispatch()
	e.hunger()
}

// hurry has a resting run taken up because it was told something.
func (e *Engine) hurry(id run.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.agenda.hurry(id) {
		e.dispatch()
	}
}

// missed takes up resting runs that were told something while nobody listened.
func (e *Engine) missed(ctx context.Context) {
	e.mu.Lock()
	var resting []appointment
	for _, p := range e.agenda.byRun {
		if !p.ready && p.head > 0 {
			resting = append(resting, *p)
		}
	}
	e.mu.Unlock()
	for _, p := range resting {
		if facts, err := e.store.Load(ctx, p.id, p.head); err != nil || len(facts) > 0 {
			e.hurry(p.id)
		}
	}
}
