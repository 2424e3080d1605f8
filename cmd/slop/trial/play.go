package trial

import (
	"slices"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/agent/cassette"
	"github.com/slopstudios/slop/runtime/run"
)

// Played is a run that recordings answered.
type Played struct {
	ID    run.ID
	Facts []run.Fact // its whole history, up to Finished
	// Problem is why it came to no end of its own: what a step sends is not recorded. Finished has it, too. nil: it did.
	Problem *Problem
}

// Play runs p with inputs and the answers of recordings alone, by a clock of its own. One of the same inputs answers before the others, and what it says of the run
// itself holds.
func Play(p *plan.Plan, inputs map[string]any, o run.Options, recordings ...*cassette.Recording) Played {
	w := newWorld(p, plan.Test{At: source.Pos{File: p.Sources[0].Name, Line: 1, Column: 1}})
	recordings = slices.Clone(recordings)
	slices.SortStableFunc(recordings, func(a, b *cassette.Recording) int { return likeness(b, inputs) - likeness(a, inputs) })
	w.player, w.recorded, w.options, w.inputs, w.id = cassette.Play(recordings...), true, o, inputs, "replay"
	if len(recordings) > 0 && recordings[0].ID != "" {
		w.id, w.began, w.now = recordings[0].ID, recordings[0].Started, recordings[0].Started
	}
	out := Played{ID: w.id}
	w.heard = func(f run.Fact) { out.Facts = append(out.Facts, f) }
	w.play()
	if len(w.problems) > 0 {
		out.Problem = &w.problems[0]
		at := out.Problem.At
		w.heard(run.Fact{Seq: w.machine.Head() + 1, At: w.now, Body: &run.Finished{Status: run.Failed, Error: &run.Error{
			Code: "E_RECORDING", Kind: "recording", Message: out.Problem.Message, Path: out.Problem.Step, File: at.File, Line: at.Line, Column: at.Column,
		}}})
	}
	return out
}

// likeness is 1 when a recording was given these inputs.
func likeness(r *cassette.Recording, inputs map[string]any) int {
	if len(r.Inputs) == len(inputs) && cassette.Same(r.Inputs, inputs) {
		return 1
	}
	return 0
}
