package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
)

// stateOf is shared state as one call may use it.
//
// The run's own state is what the history makes it: a change is made when the CallDone of its call is recorded, in the order and at the time of the facts. So
// a fold in another process comes to the same state, and what was cancelled, came too late or was not stored has changed nothing. What outlives the run is the
// commons' business; a call that reaches it is recorded before it is made, as any other, and is never made again by a fold.
type stateOf struct{ f *flight }

func (m stateOf) Get(ctx context.Context, scope contexts.Scope, path string) (value any, ok bool, err error) {
	if scope == contexts.Run {
		m.f.looked = true
		return m.f.session.memory.Get(path)
	}
	return m.commons().get(ctx, m.f.session.space(scope), path)
}

func (m stateOf) List(ctx context.Context, scope contexts.Scope, path string) ([]string, error) {
	if scope == contexts.Run {
		m.f.looked = true
		return m.f.session.memory.List(path)
	}
	return m.commons().list(ctx, m.f.session.space(scope), path)
}

func (m stateOf) Change(ctx context.Context, scope contexts.Scope, c contexts.Change) (any, error) {
	f := m.f
	s, free := f.session, f.wish.Callee.FreeWith(f.wish.Args)
	switch {
	case (scope == contexts.Run) != free:
		return nil, fmt.Errorf("%s cannot change the state of %s", f.wish.Agent, scope)
	case scope != contexts.Run:
		c.Value = s.redactor.value(c.Value)
		return m.commons().change(ctx, s.space(scope), f.wish.Key, f.unsure, c)
	case f.change != nil:
		return nil, errors.New("a call makes one change")
	}
	f.change = &c
	return nil, nil
}

func (m stateOf) commons() *commons { return &m.f.session.engine.commons }

// changed is the state of the run after the change of a call that has ended; nil when it changes nothing. It puts what the change came to into the fact.
func (s *session) changed(f *flight, done *run.CallDone) (*contexts.State, error) {
	if f.change == nil {
		return nil, nil
	}
	next, value, err := s.memory.Snapshot().Apply(*f.change, s.now)
	done.Value = value
	return &next, err
}

// try notes when a call that reaches beyond the run was begun first.
func (s *session) try(path run.Path, at time.Time) {
	if s.tried == nil {
		s.tried = map[run.Path]time.Time{}
	}
	s.tried[path] = at
}

// rebuild makes the state of a run anew while its history is folded: calls that are free and change something change nothing but that state, so those that
// were done are done once more.
type rebuild struct {
	session *session
	open    map[run.Path]*run.CallWish
	state   contexts.State
}

func (r *rebuild) see(f run.Fact, delta run.Delta) error {
	for _, w := range delta.Opened {
		if c, ok := w.(*run.CallWish); ok && c.Callee.Free && r.session.callee(c.Callee).do {
			r.open[c.Path] = c
		}
	}
	switch b := f.Body.(type) {
	case *run.CallStarted:
		if r.open[b.Path] != nil && r.session.tried[b.Path].IsZero() {
			r.session.try(b.Path, f.At)
		}
	case *run.CallDone:
		if w := r.open[b.Path]; w != nil && b.Source != run.Kept {
			delete(r.open, b.Path)
			delete(r.session.tried, b.Path)
			if err := r.done(w, f.At); err != nil {
				return err
			}
		}
	}
	return r.take(delta.Taken)
}

// take sees to what a fork keeps of its origin, when its turn has come.
func (r *rebuild) take(taken []run.Taken) error {
	for _, t := range taken {
		w, ok := t.Wish.(*run.CallWish)
		if _, done := t.Fact.Body.(*run.CallDone); !ok || !done || !w.Callee.Free || !r.session.callee(w.Callee).do {
			continue
		}
		delete(r.open, w.Path)
		if err := r.done(w, t.Fact.At); err != nil {
			return err
		}
	}
	return nil
}

// done sees to a call that has ended. One that is not free changed what outlives the run, and is not made again.
func (r *rebuild) done(w *run.CallWish, at time.Time) error {
	if !w.Callee.FreeWith(w.Args) {
		return nil
	}
	return r.redo(w, at)
}

// redo makes the change of a call again that was done at a time.
func (r *rebuild) redo(w *run.CallWish, at time.Time) error {
	s := r.session
	rest := firstRest
	for {
		f := &flight{session: s, wish: w, callee: s.callee(w.Callee), ctx: s.ctx}
		if f.callee.agent == nil {
			return nil // nobody here reads what it changed
		}
		f.answer()
		failed, ok := f.body.(*run.CallFailed)
		switch {
		case !ok && f.change == nil:
			return nil
		case !ok:
			next, _, err := r.state.Apply(*f.change, at)
			r.state = next
			return err
		case failed.Outcome != run.Unavailable:
			return fmt.Errorf("%s changed the state of the run and cannot do so again: %s", w.Path, failed.Message)
		}
		// A large value is out of reach.
		if err := pauseLonger(s.ctx, &rest); err != nil {
			return err
		}
	}
}

// Memory gives the state that the steps of a run share, as it was after a fact; seq 0: as it is now.
func (e *Engine) Memory(ctx context.Context, id run.ID, seq run.Seq) (contexts.State, error) {
	facts, p, err := e.history(ctx, id)
	if err != nil {
		return contexts.State{}, fmt.Errorf("read run %s: %w", id, outward(err))
	}
	last := facts[len(facts)-1]
	at := time.Now()
	if _, ended := last.Body.(*run.Finished); ended {
		at = last.At
	}
	s := e.newSession(id, p, facts[0])
	defer s.stop(nil)
	defer context.AfterFunc(ctx, func() { s.stop(ctx.Err()) })()
	r := rebuild{session: s, open: map[run.Path]*run.CallWish{}}
	for _, f := range facts {
		if seq > 0 && f.Seq > seq {
			break
		}
		if seq > 0 && f.Seq == seq {
			at = f.At
		}
		delta, err := s.machine.Apply(f)
		if errors.Is(err, machine.ErrStale) {
			continue
		}
		if err == nil {
			err = r.see(f, delta)
		}
		if err != nil {
			return contexts.State{}, fmt.Errorf("read the memory of run %s at fact %d: %w", id, f.Seq, err)
		}
	}
	return r.state.At(at), nil
}
