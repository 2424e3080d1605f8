package engine

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

// trouble is something of the store that fails for a while. It is logged when it begins and when it is over, however often it is tried meanwhile.
type trouble struct{ lasts atomic.Bool }

// troubles are what an engine goes on in spite of: nobody waits for these, so nobody would hear of them.
type troubles struct {
	facts   trouble
	listing trouble
	leases  trouble
	told    trouble
	hints   trouble
	lapses  trouble
	sweeps  trouble
}

// heed logs how something went that is tried again anyway.
func (e *Engine) heed(t *trouble, what string, err error) {
	switch {
	case err == nil:
		if t.lasts.Load() && t.lasts.CompareAndSwap(true, false) {
			e.log.Info("the store answers again", "to", what)
		}
	case e.ctx.Err() != nil, errors.Is(err, context.Canceled), errors.Is(err, store.ErrConflict): // it was to end; or somebody told the run something meanwhile
	case t.lasts.CompareAndSwap(false, true):
		e.log.Warn("the store fails, which is tried again", "to", what, "error", err)
	}
}

// dropped logs what is not tried again: somebody else makes up for it, later.
func (e *Engine) dropped(what string, id run.ID, err error) {
	if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrFenced) {
		e.log.Warn("the store fails, which is left to others", "to", what, "run", id, "error", err)
	}
}

// logEnd tells how a session ended.
func (s *session) logEnd() {
	switch {
	case s.finished != nil:
		s.engine.log.Info("the run ended", "run", s.id, "status", s.finished.Status)
	case errors.Is(s.err, errResting):
		s.engine.log.Debug("the run rests", "run", s.id)
	case errors.Is(s.err, errClosing), errors.Is(s.err, runs.ErrClosed):
		s.engine.log.Info("the run is left where it is", "run", s.id)
	case errors.Is(s.err, store.ErrFenced), errors.Is(s.err, store.ErrFinished):
		s.engine.log.Warn("the run went to another process", "run", s.id)
	case s.err != nil:
		s.engine.log.Error("the run stopped", "run", s.id, "error", s.redactor.text(s.err.Error()))
	}
}
