package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

// History reads a run with its plan.
func (e *Engine) History(ctx context.Context, id run.ID) (*travel.History, error) {
	facts, p, err := e.history(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read run %s: %w", id, outward(err))
	}
	return &travel.History{ID: id, Plan: p, Facts: facts}, nil
}

// Forecast decides what a fork of a run would keep and do again, and begins nothing. Inputs of the change need name only those that differ; of n, id and time
// are set here.
func (e *Engine) Forecast(ctx context.Context, id run.ID, c travel.Change, n travel.New) (*travel.Fork, error) {
	h, err := e.History(ctx, id)
	if err != nil {
		return nil, err
	}
	n.At = time.Now().UTC().Round(0)
	if n.ID, _, err = e.name(n.At); err != nil {
		return nil, err
	}
	if c.Inputs != nil || c.Plan != nil {
		if c.Inputs, err = e.forkInputs(ctx, h, c, n.ID); err != nil {
			return nil, err
		}
	}
	return travel.NewFork(h, c, n)
}

// forkInputs are those of the origin that the fork's plan has too, and over them the ones that are given, as they stand in a history.
func (e *Engine) forkInputs(ctx context.Context, h *travel.History, c travel.Change, id run.ID) (map[string]any, error) {
	p := c.Plan
	if p == nil {
		p = h.Plan
	}
	begin := h.Facts[0].Body.(*run.Started)
	whole, err := e.fetch(ctx, begin.Inputs)
	if err != nil {
		return nil, fmt.Errorf("read the inputs of run %s: %w", h.ID, err)
	}
	all := map[string]any{}
	was, _ := whole.(map[string]any)
	for name, v := range was {
		if slices.ContainsFunc(p.Inputs, func(in plan.Input) bool { return in.Name == name }) {
			all[name] = v
		}
	}
	maps.Copy(all, c.Inputs)
	given, err := readInputs(p, all)
	if err != nil {
		return nil, err
	}
	s := e.newSession(id, p, run.Fact{Seq: 1, Body: begin})
	defer s.stop(nil)
	shelved, err := e.shelve(ctx, s.redactor.value(given))
	if err != nil {
		return nil, fmt.Errorf("store the inputs of %s: %w", p.Name, err)
	}
	inputs, _ := shelved.(map[string]any)
	return inputs, nil
}

// Fork begins a run as it was forecast: when it returns, the run is stored with all that it keeps.
func (e *Engine) Fork(ctx context.Context, f *travel.Fork) (run.ID, error) {
	if _, err := e.keep(ctx, f.Plan); err != nil {
		return "", fmt.Errorf("store the plan of %s: %w", f.Plan.Name, err)
	}
	facts := f.Facts
	s := e.newSession(f.ID, f.Plan, facts[0])
	s.now = facts[0].At
	seated, err := e.seat(ctx, s)
	if err != nil {
		s.stop(nil)
		return "", err
	}
	if seated {
		defer e.stand(s.id)
	}
	if err := e.create(ctx, s, facts...); err != nil {
		return "", err
	}
	if !seated {
		e.line(ctx, s, facts[0], facts[len(facts)-1].Seq)
		return s.id, nil
	}
	s.fold()
	return s.id, e.animate(s)
}

// takeOver makes the changes of the run's own state that a fork keeps of its origin, when their turn comes.
func (s *session) takeOver(taken []run.Taken) error {
	if len(taken) == 0 {
		return nil
	}
	r := rebuild{session: s, state: s.memory.Snapshot()}
	err := r.take(taken)
	s.memory.Restore(r.state)
	return err
}
