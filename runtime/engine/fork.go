package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
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

// Forecast implements runs.Runs.
func (e *Engine) Forecast(ctx context.Context, id run.ID, c runs.Change) (*runs.Forecast, error) {
	f, head, err := e.decide(ctx, id, c)
	if err != nil {
		return nil, err
	}
	begin := f.Facts[0].Body.(*run.Started)
	return &runs.Forecast{
		Of: id, Head: head, Flow: f.Plan.Name, Seq: f.Origin.Seq, Kept: f.Origin.Kept, Inputs: begin.Inputs,
		Again: f.Again, Keeps: f.Keeps, Gone: f.Gone, Fails: f.Fails,
	}, nil
}

// decide makes a fork that is not stored yet, and says how much of its origin was looked at.
func (e *Engine) decide(ctx context.Context, id run.ID, c runs.Change) (*travel.Fork, run.Seq, error) {
	h, err := e.History(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	for c.Head > 0 && len(h.Facts) > 1 && h.Facts[len(h.Facts)-1].Seq > c.Head {
		h.Facts = h.Facts[:len(h.Facts)-1]
	}
	change := travel.Change{From: c.From, Only: c.Only, Plan: c.Plan}
	n := travel.New{At: time.Now().UTC().Round(0), By: c.By, Pool: c.Pool}
	if n.ID, _, err = e.name(n.At); err != nil {
		return nil, 0, err
	}
	if c.ID != "" {
		n.ID = c.ID
	}
	if c.Inputs != nil || c.Plan != nil {
		if change.Inputs, err = e.forkInputs(ctx, h, c, n.ID); err != nil {
			return nil, 0, err
		}
	}
	f, err := travel.NewFork(h, change, n)
	return f, h.Facts[len(h.Facts)-1].Seq, err
}

// forkInputs are those of the origin that the fork's plan has too, and over them the ones that are given, as they stand in a history.
func (e *Engine) forkInputs(ctx context.Context, h *travel.History, c runs.Change, id run.ID) (map[string]any, error) {
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

// Fork implements runs.Runs.
func (e *Engine) Fork(ctx context.Context, id run.ID, c runs.Change) (run.ID, error) {
	f, s, err := e.draftFork(ctx, id, c)
	if err != nil {
		return "", err
	}
	return e.reached(ctx, func(ctx context.Context) (run.ID, error) { return e.fork(ctx, f, s) })
}

func (e *Engine) fork(ctx context.Context, f *travel.Fork, s *session) (run.ID, error) {
	seated, err := e.seat(ctx, s)
	if err != nil {
		s.stop(nil)
		return "", err
	}
	if seated {
		defer e.stand(s.id)
	}
	if err := e.create(ctx, s, f.Facts...); err != nil {
		return "", err
	}
	if !seated {
		e.line(ctx, s, f.Facts[0], f.Facts[len(f.Facts)-1].Seq)
		return s.id, nil
	}
	s.refresh(f.Facts)
	return s.id, e.animate(s)
}

// SubmitFork stores a fork as Fork does and leaves it to another process, as Submit does.
func (e *Engine) SubmitFork(ctx context.Context, id run.ID, c runs.Change) (run.ID, error) {
	f, s, err := e.draftFork(ctx, id, c)
	if err != nil {
		return "", err
	}
	return e.reached(ctx, func(ctx context.Context) (run.ID, error) { return e.submit(ctx, s, f.Facts...) })
}

// draftFork decides about a fork and gives it a session that does nothing yet.
func (e *Engine) draftFork(ctx context.Context, id run.ID, c runs.Change) (*travel.Fork, *session, error) {
	f, _, err := e.decide(ctx, id, c)
	if err != nil {
		return nil, nil, err
	}
	if _, err := e.keep(ctx, f.Plan); err != nil {
		return nil, nil, fmt.Errorf("store the plan of %s: %w", f.Plan.Name, err)
	}
	s := e.newSession(f.ID, f.Plan, f.Facts[0])
	s.options.ID, s.now = c.ID, f.Facts[0].At
	return f, s, nil
}

// Diff implements runs.Runs.
func (e *Engine) Diff(ctx context.Context, a, b run.ID) (*travel.Difference, error) {
	x, err := e.History(ctx, a)
	if err != nil {
		return nil, err
	}
	y, err := e.History(ctx, b)
	if err != nil {
		return nil, err
	}
	return travel.Differ(x, y)
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
