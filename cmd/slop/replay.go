package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/cmd/slop/trial"
	"github.com/slopstudios/slop/runtime/agent/cassette"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// replay takes a run to its end with what is recorded, and shows it as any other. It calls nobody and reads no secret.
func (v *runCmd) replay(c *console, r prepared, t tapes) error {
	recorded := t.of(r.plan.Name)
	if len(recorded) == 0 {
		return usage("%s has no recording of %s; %s makes one", v.Replay, r.plan.Name, again(v.File, v.Replay, &cassette.Recording{Inputs: r.values}))
	}
	played := trial.Play(r.plan, r.values, r.options, recorded...)
	h := newHost(noProject(), nil)
	defer h.close()
	s := v.session(c, h.project, h, r.plan)
	happened := past{played: played}
	s.runs, s.answered = happened, true
	err := v.present(c, h, s, happened.begin, r.options)
	if p := played.Problem; p != nil && !v.JSON && v.Events == "" {
		if detail := problemOf(v.File, v.Replay, &cassette.Recording{Inputs: r.values}, *p).Detail; detail != "" {
			fmt.Fprintln(c.err, indent(screen.Inert(detail), "  "))
		}
	}
	return err
}

// past is a run that has happened: there is nothing to steer.
type past struct {
	runs.Runs
	played trial.Played
}

func (p past) begin(context.Context) (run.ID, error) { return p.played.ID, nil }

// Watch yields all that happened.
func (p past) Watch(_ context.Context, _ run.ID, after run.Seq) iter.Seq2[runs.Event, error] {
	return func(yield func(runs.Event, error) bool) {
		for i := range p.played.Facts {
			if f := &p.played.Facts[i]; f.Seq > after && !yield(runs.Event{Fact: f}, nil) {
				return
			}
		}
	}
}

// Wait gives its end.
func (p past) Wait(context.Context, run.ID) (run.Finished, error) {
	return *p.played.Facts[len(p.played.Facts)-1].Body.(*run.Finished), nil
}

// Cancel comes too late.
func (past) Cancel(context.Context, run.ID, string, string) error { return runs.ErrFinished }
