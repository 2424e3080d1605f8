package trial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent/cassette"
	"github.com/slopstudios/slop/runtime/run"
)

// Replay runs p as a recording was run: with its inputs and its answers alone. It must come to what was recorded.
func Replay(p *plan.Plan, r *cassette.Recording) Result {
	at := source.Pos{Line: 1, Column: 1}
	if len(p.Sources) > 0 {
		at.File = p.Sources[0].Name
	}
	w := newWorld(p, plan.Test{At: at})
	w.player, w.recorded, w.options = cassette.Play(r), true, r.Options
	if r.ID != "" {
		w.id, w.began, w.now = r.ID, r.Started, r.Started
	}
	if w.readRecorded(r) {
		w.play()
	}
	if w.finished != nil && len(w.problems) == 0 {
		w.compare(r)
	}
	result := w.result()
	if len(w.problems) == 0 {
		for _, c := range w.player.Unused() {
			if !slices.Contains(result.Unused, c.Path) {
				result.Unused = append(result.Unused, c.Path)
			}
		}
	}
	return result
}

// again adds a problem that recording again would mend.
func (w *world) again(at source.Pos, was, is, format string, args ...any) {
	w.problems = append(w.problems, Problem{At: at, Message: fmt.Sprintf(format, args...), Was: was, Is: is, Again: true})
}

// readRecorded takes the inputs over.
func (w *world) readRecorded(r *cassette.Recording) bool {
	w.inputs = map[string]any{}
	for _, in := range w.plan.Inputs {
		v, given := r.Inputs[in.Name]
		if !given {
			if in.Required {
				w.again(w.test.At, "", "", "the recording gives no input %s, which the flow wants now", in.Name)
			}
			continue
		}
		v, problems := eval.Read(in.Type, v)
		if len(problems) > 0 {
			w.again(w.test.At, "", "", "the recorded input %s does not fit any more: %s", in.Name, strings.Join(problems, "; "))
			continue
		}
		w.inputs[in.Name] = v
	}
	for name := range r.Inputs {
		if !slices.ContainsFunc(w.plan.Inputs, func(in plan.Input) bool { return in.Name == name }) {
			w.again(w.test.At, "", "", "the recording gives the input %s, which the flow has no more", name)
		}
	}
	return len(w.problems) == 0
}

// replay answers a call as it was answered when the recording was made. What nobody waited for then is not answered now.
func (w *world) replay(c *run.CallWish) {
	want := cassette.Asks(c, nil)
	got := w.player.Take(want)
	switch {
	case got == nil:
		w.unrecorded(c, want)
	case got.Failed != nil:
		f := *got.Failed
		f.Path, f.Attempt, f.Usage = c.Path, c.Attempt, got.Usage
		w.fact(&f)
	case got.Done:
		t, v, problems := c.Callee.Result, got.Value, []string(nil)
		if c.As != nil {
			t = *c.As
		}
		if t.Kind != types.Nothing {
			v, problems = eval.Read(t, v)
		}
		if len(problems) > 0 { // the type has changed, or somebody changed the answer
			w.again(w.line(c), "", "", "what is recorded of %s at %s does not fit: %s", c.Agent, c.Path, strings.Join(problems, "; "))
			w.problems[len(w.problems)-1].Step = c.Path
			return
		}
		w.keep(c, v)
		w.fact(&run.CallDone{Path: c.Path, Attempt: c.Attempt, Value: v, Usage: got.Usage})
	}
}

func (w *world) replayAnswer(a *run.AskWish) {
	want := cassette.Questions(a, nil)
	got := w.player.Take(want)
	switch {
	case got == nil:
		w.unrecorded(a, want)
	case got.Done:
		w.fact(&run.Answered{Path: a.Path, Value: got.Value, By: "recording"})
	}
}

// unrecorded says what of a step is not as it was recorded.
func (w *world) unrecorded(wish run.Wish, want *cassette.Call) {
	at := w.line(wish)
	defer func() { w.problems[len(w.problems)-1].Step = want.Path }()
	near, name := w.player.Near(want)
	if near == nil {
		w.again(at, "", "", "no answer of %s at %s is recorded", want.Agent, want.Path)
		return
	}
	changed := cassette.Changes(near, want)
	if len(changed) == 0 { // an attempt or a round more than there were
		w.again(at, "", "", "no answer of %s at %s is recorded in %s", want.Agent, want.Path, name)
		return
	}
	w.again(at, near.Text(), want.Text(), "%s at %s sends something else than in %s: %s", want.Agent, want.Path, name, strings.Join(changed, ", "))
}

// line is where the step of a wish stands in the script itself, also when a flow that it uses makes the call.
func (w *world) line(wish run.Wish) source.Pos {
	at := w.test.At
	for _, spot := range w.machine.Place(wish) {
		if n := w.plan.Blocks[spot.Block].Nodes[spot.Slot]; n.At.Line > 0 && n.At.File == w.plan.Sources[0].Name {
			at = n.At
		}
	}
	return at
}

// compare holds the end of the run against the recorded one.
func (w *world) compare(r *cassette.Recording) {
	end := w.finished
	code, message := "", ""
	if end.Error != nil {
		code, message = end.Error.Code, end.Error.Message
	}
	recorded := ""
	if r.Error != nil {
		recorded = r.Error.Code
	}
	switch {
	case end.Status != r.Status && end.Status == run.Succeeded:
		w.again(w.test.At, "", "", "the flow does not fail any more; recorded is that it fails with %s", recorded)
	case end.Status != r.Status:
		w.again(w.test.At, "", "", "the flow failed: %s", message)
	case code != recorded:
		w.again(w.test.At, "", "", "the flow failed with %s (%s); recorded is %s", code, message, recorded)
	case r.Status == run.Succeeded && !cassette.Same(end.Value, r.Output):
		w.again(w.test.At, cassette.Readable(r.Output), cassette.Readable(end.Value), "the output is not the recorded one")
	}
}
