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

// Forecast decides what a fork of a run would keep and do again, and stores nothing. Inputs of the change need name only those that differ; by is whoever
// forks, "" for whoever began the origin.
func (e *Engine) Forecast(ctx context.Context, id run.ID, c travel.Change, by string) (*travel.Fork, error) {
	h, err := e.History(ctx, id)
	if err != nil {
		return nil, err
	}
	if c.Inputs != nil || c.Plan != nil {
		if c.Inputs, err = forkInputs(h, c); err != nil {
			return nil, err
		}
	}
	now := time.Now().UTC().Round(0)
	name, _, err := e.name(now)
	if err != nil {
		return nil, err
	}
	return travel.NewFork(h, c, travel.New{ID: name, At: now, By: by})
}

// forkInputs are those of the origin that the fork's plan has too, and over them the ones that are given.
func forkInputs(h *travel.History, c travel.Change) (map[string]any, error) {
	p := c.Plan
	if p == nil {
		p = h.Plan
	}
	all := map[string]any{}
	for name, v := range h.Facts[0].Body.(*run.Started).Inputs {
		if slices.ContainsFunc(p.Inputs, func(in plan.Input) bool { return in.Name == name }) {
			all[name] = v
		}
	}
	maps.Copy(all, c.Inputs)
	return readInputs(p, all)
}

// Fork begins a run as it was forecast: when it returns, the run is stored with all that it keeps.
func (e *Engine) Fork(ctx context.Context, f *travel.Fork) (run.ID, error) {
	if _, err := e.keep(ctx, f.Plan); err != nil {
		return "", fmt.Errorf("store the plan of %s: %w", f.Plan.Name, err)
	}
	facts := slices.Clone(f.Facts)
	begin := *facts[0].Body.(*run.Started)
	facts[0].Body = &begin
	s := e.newSession(f.ID, f.Plan, facts[0])
	if black, ok := s.redactor.value(begin.Inputs).(map[string]any); ok {
		begin.Inputs = black
	}
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

// takeOver makes the shared state of a fork: what those of its origin's calls wrote there that are kept. It does so once in the life of a session, which
// may fold its history several times.
func (s *session) takeOver(taken []run.Taken) {
	for _, t := range taken {
		w, ok := t.Wish.(*run.CallWish)
		if _, done := t.Fact.Body.(*run.CallDone); !ok || !done || !w.Callee.Free || s.takenOver[t.Fact.Seq] {
			continue
		}
		if c := s.callee(w.Callee); c.do {
			if s.takenOver == nil {
				s.takenOver = map[run.Seq]bool{}
			}
			s.takenOver[t.Fact.Seq] = true
			f := &flight{session: s, wish: w, callee: c, ctx: s.ctx}
			f.answer() // its answer is known
		}
	}
}
