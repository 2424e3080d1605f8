package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

type runsCancelCmd struct {
	Reason string `short:"m" placeholder:"TEXT" help:"Why, for the history."`
	runArg `embed:""`
}

// cancelTime is how long the end of a cancelled run is waited for: what changes the world has its grace.
const cancelTime = engine.DefaultGrace + 5*time.Second

func (v *runsCancelCmd) Run(c *console) error {
	ctx := context.Background()
	st, h, err := v.run(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	if end := h.finished(); end != nil {
		if end.Status == run.Cancelled {
			fmt.Fprintf(c.err, "run %s is cancelled already\n", h.id)
			return nil
		}
		return usage("run %s has ended already: %s", h.id, end.Status)
	}
	e := st.bystander(h.secrets())
	defer func() { _ = e.Close(ctx) }() // what is stored is stored
	if err := e.Cancel(ctx, h.id, whoami(), v.Reason); err != nil && !errors.Is(err, runs.ErrFinished) {
		return st.unusable(err)
	}
	// Somebody has to carry it out. Nothing more is called, so that it needs no agents: where nobody is at work on the run, it is done here.
	if err := e.Adopt(ctx, h.id); err != nil && !errors.Is(err, store.ErrHeld) && !errors.Is(err, runs.ErrFinished) {
		return st.unusable(err)
	}
	wait, stop := context.WithTimeout(ctx, cancelTime)
	defer stop()
	end, err := e.Wait(wait, h.id)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		who, _ := st.holder(ctx, h.id)
		if who == "" {
			who = "a process"
		}
		fmt.Fprintf(c.err, "asked; %s is ending run %s\n", who, h.id)
	case err != nil:
		return st.unusable(err)
	default:
		fmt.Fprintf(c.err, "run %s: %s\n", h.id, end.Status)
	}
	return nil
}

// bystander is an engine that tells runs things and calls nobody. What it tells holds no secret that it knows of.
func (s *state) bystander(secrets func(name string) (string, error)) *engine.Engine {
	owner := ""
	if s.self != nil {
		owner = s.self.Name
	}
	return engine.New(engine.Config{Store: s.store, Owner: owner, Lease: s.lease, Secrets: secrets})
}

type runsPauseCmd struct {
	Reason string `short:"m" placeholder:"TEXT" help:"Why, for the history."`
	runArg `embed:""`
}

func (v *runsPauseCmd) Run(c *console) error {
	ctx := context.Background()
	st, h, err := v.run(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	switch status := h.fold().Status(); {
	case h.finished() != nil:
		return usage("run %s has ended: %s", h.id, status)
	case status == run.Paused:
		fmt.Fprintf(c.err, "run %s is paused already\n", h.id)
		return nil
	}
	if err := st.steer(ctx, h, (*engine.Engine).Pause, v.Reason); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "paused: nothing more starts, what is under way ends; go on: slop runs resume%s %s\n", st.said, h.id)
	return nil
}

type runsResumeCmd struct {
	Reason string `short:"m" placeholder:"TEXT" help:"Why, for the history."`
	runArg `embed:""`
}

func (v *runsResumeCmd) Run(c *console) error {
	ctx := context.Background()
	st, h, err := v.run(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	switch status := h.fold().Status(); {
	case h.finished() != nil:
		return usage("run %s has ended: %s", h.id, status)
	case status == run.Paused:
		if err := st.steer(ctx, h, (*engine.Engine).Resume, v.Reason); err != nil {
			return err
		}
	}
	return st.sayWhoGoesOn(ctx, c, h.id)
}

// steer tells a run what a person wants of it, and has lists show it.
func (s *state) steer(ctx context.Context, h *history, ask func(e *engine.Engine, ctx context.Context, id run.ID, by, reason string) error, reason string) error {
	e := s.bystander(h.secrets())
	defer func() { _ = e.Close(ctx) }() // what is stored is stored
	if err := s.told(ask(e, ctx, h.id, whoami(), reason), h.id); err != nil {
		return err
	}
	_ = e.Relist(ctx, h.id) // derived: the next fact of the run writes it too
	return nil
}

// told turns the refusal of a request into words.
func (s *state) told(err error, id run.ID) error {
	switch {
	case errors.Is(err, runs.ErrFinished):
		return usage("run %s has ended", id)
	case err != nil:
		return s.unusable(err)
	}
	return nil
}

// sayWhoGoesOn says who carries on with a run that was told something, or how to.
func (s *state) sayWhoGoesOn(ctx context.Context, c *console, id run.ID) error {
	who, err := s.holder(ctx, id)
	switch {
	case err != nil:
		return s.unusable(err)
	case who != "":
		fmt.Fprintf(c.err, "%s goes on with it\n", who)
	default:
		fmt.Fprintf(c.err, "nobody is at work on it: slop resume%s %s\n", s.said, id)
	}
	return nil
}
