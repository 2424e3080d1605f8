// Package trial runs the `test` blocks of a script: the machine that runs every flow, with answers from the test in the place of agents and a clock
// that only moves when nothing else can happen. A day of waiting costs nothing, and the same test gives the same history for ever.
package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/agent/cassette"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	memory "github.com/slopstudios/slop/stdlib/contexts"
	"github.com/slopstudios/slop/stdlib/echo"
)

// Result of one test. It passed when Problems is empty.
type Result struct {
	Problems []Problem
	Finished run.Finished
	Elapsed  time.Duration // by the test's own clock
	Calls    int
	Unused   []run.Path // of a recording: steps whose answers nobody asked for
}

// Problem is why a test failed and the line that says so.
type Problem struct {
	At      source.Pos
	Step    run.Path // "": no step's
	Message string
	Detail  string // lines of values; may be empty
	Was, Is string // of what is not as it was recorded; both empty: nothing
	Again   bool   // recording again would mend it
}

// maxFacts ends a test whose flow never does.
const maxFacts = 200_000

// start is when every test begins.
var start = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

// Run plays t against p. What no mock stands for is answered out of recordings.
func Run(p *plan.Plan, t plan.Test, recordings ...*cassette.Recording) Result {
	w := newWorld(standIns(p, t), t)
	if len(recordings) > 0 {
		w.player = cassette.Play(recordings...)
	}
	if w.read() {
		w.play()
	}
	if w.finished != nil {
		w.judge()
	}
	return w.result()
}

func newWorld(p *plan.Plan, t plan.Test) *world {
	w := &world{plan: p, test: t, id: "test", began: start, now: start, answers: map[string]*script{}}
	for _, space := range []*contexts.Space{&w.memory.Run, &w.memory.Flow, &w.memory.Shared} {
		space.Clock = func() time.Time { return w.now }
	}
	return w
}

func (w *world) result() Result {
	r := Result{Problems: w.problems, Elapsed: w.now.Sub(w.began), Calls: w.calls}
	if w.finished != nil {
		r.Finished = *w.finished
	}
	return r
}

// world is what the flow of one test meets.
type world struct {
	plan     *plan.Plan
	test     plan.Test
	id       run.ID
	began    time.Time
	options  run.Options
	player   *cassette.Player // nil: nothing is recorded
	recorded bool             // a recording is played: nothing else answers
	machine  *machine.Machine
	now      time.Time
	inputs   map[string]any
	answers  map[string]*script // by callee as the test names it
	memory   contexts.Spaces
	wishes   []run.Wish // open and not granted yet, in the order they opened
	finished *run.Finished
	heard    func(run.Fact) // nil: nobody wants to know what happens
	problems []Problem
	calls    int
	made     int // files

	cache     map[string]cached
	questions map[run.Path]string // of calls that may be cached, by step
}

// script is what a callee answers, in order; the last is repeated.
type script struct {
	lines []answer
	next  int
}

type answer struct {
	value any
	fail  string
	fails bool
}

func (s *script) take() answer {
	a := s.lines[min(s.next, len(s.lines)-1)]
	s.next++
	return a
}

func (w *world) problem(at source.Pos, detail, format string, args ...any) {
	w.problems = append(w.problems, Problem{At: at, Message: fmt.Sprintf(format, args...), Detail: detail})
}

// read computes what the test gives and mocks, before anything runs.
func (w *world) read() bool {
	w.inputs = map[string]any{}
	for _, l := range w.test.Lines {
		switch l.Kind {
		case "given":
			v, err := value(l.Exprs[0], w.env())
			if err != nil {
				w.problem(l.At, "", "cannot compute `given %s`: %s", l.Name, err)
				continue
			}
			in := slices.IndexFunc(w.plan.Inputs, func(in plan.Input) bool { return in.Name == l.Name })
			if in < 0 {
				w.problem(l.At, "", "the flow has no input %s", l.Name)
				continue
			}
			v, problems := eval.Read(w.plan.Inputs[in].Type, w.files(w.plan.Inputs[in].Type, v))
			if len(problems) > 0 {
				w.problem(l.At, "", "given %s: %s", l.Name, strings.Join(problems, "; "))
				continue
			}
			w.inputs[l.Name] = v
		case "mock":
			for _, e := range l.Exprs {
				v, err := value(e, w.env())
				if err != nil {
					w.problem(l.At, "", "cannot compute the answer of %s: %s", l.Name, err)
					continue
				}
				w.script(l.Name).lines = append(w.script(l.Name).lines, answer{value: v})
			}
		case "fail":
			w.script(l.Name).lines = append(w.script(l.Name).lines, answer{fail: l.Message, fails: true})
		}
	}
	return len(w.problems) == 0
}

func (w *world) script(name string) *script {
	s := w.answers[name]
	if s == nil {
		s = &script{}
		w.answers[name] = s
	}
	return s
}

func (w *world) env() map[string]any {
	env := map[string]any{"run": map[string]any{"id": "test", "started": start.Format(time.RFC3339)}}
	for _, in := range w.plan.Inputs {
		v, ok := w.inputs[in.Name]
		if !ok && in.Default != nil {
			v, _ = eval.FromJSON(in.Default)
		}
		env[in.Name] = v
	}
	return env
}

// play grants wishes in the order they opened; when none can be granted now, the clock moves to the next that can.
func (w *world) play() {
	w.machine = machine.New(w.id, w.plan)
	w.fact(&run.Started{Plan: plan.Hash(w.plan), Inputs: w.inputs, Options: w.options, Seed: 1, Machine: machine.Version})
	for facts := 0; w.finished == nil; facts++ {
		if facts > maxFacts {
			w.problem(w.test.At, "", "the flow did not end after %d events", maxFacts)
			return
		}
		if len(w.problems) > 0 {
			return
		}
		wish, ok := w.next()
		if !ok {
			w.problem(w.test.At, "", "the flow waits for something that never comes")
			return
		}
		w.grant(wish)
	}
}

// next takes the first wish that is due. A wish stays behind when only its time has not come.
func (w *world) next() (run.Wish, bool) {
	best, at := -1, time.Time{}
	for i, wish := range w.wishes {
		t := due(wish)
		if !t.After(w.now) {
			best, at = i, w.now
			break
		}
		if best < 0 || t.Before(at) {
			best, at = i, t
		}
	}
	if best < 0 {
		return nil, false
	}
	wish := w.wishes[best]
	w.wishes = slices.Delete(w.wishes, best, best+1)
	w.now = at
	return wish, true
}

func due(w run.Wish) time.Time {
	switch w := w.(type) {
	case *run.CallWish:
		return w.Due
	case *run.SleepWish:
		return w.Until
	}
	return time.Time{}
}

// fact records body now and takes over the wishes it opens and closes.
func (w *world) fact(body run.Body) {
	f := run.Fact{Seq: w.machine.Head() + 1, At: w.now, Body: body}
	delta, err := w.machine.Apply(f)
	if errors.Is(err, machine.ErrStale) {
		return
	}
	if err != nil {
		w.problem(w.test.At, "", "%s", err)
		return
	}
	if w.heard != nil {
		w.heard(f)
	}
	if len(delta.Closed) > 0 {
		w.wishes = slices.DeleteFunc(w.wishes, func(o run.Wish) bool { return slices.Contains(delta.Closed, o.ID()) })
	}
	w.wishes = append(w.wishes, delta.Opened...)
}

func (w *world) grant(wish run.Wish) {
	switch wish := wish.(type) {
	case *run.CallWish:
		w.call(wish)
	case *run.AskWish:
		w.ask(wish)
	case *run.SleepWish:
		w.fact(&run.TimerFired{Timer: wish.Timer})
	case *run.ComputeWish:
		v, err := value(plan.Expr{Code: wish.Code}, wish.Env)
		c := &run.Computed{Path: wish.Path, Value: v}
		if err != nil {
			c.Error = err.Error()
		}
		w.fact(c)
	case *run.CancelWish:
		w.fact(&run.CallEnded{Path: wish.Path, Attempt: wish.Attempt})
	case *run.FinishWish:
		w.finished = &wish.Finished
		w.fact(&wish.Finished)
	default:
		panic(fmt.Sprintf("trial: unexpected wish %T", wish))
	}
}

// find looks for the answers of a callee: by the name the script uses, then by the capability's, then, for a persona or a configured agent,
// by what serves it.
func (w *world) find(names ...string) (*script, bool) {
	for _, n := range names {
		if s, ok := w.answers[n]; ok {
			return s, true
		}
	}
	return nil, false
}

func (w *world) call(c *run.CallWish) {
	if w.recall(c) {
		if w.player != nil {
			w.player.Given(c.Path, c.Attempt)
		}
		return
	}
	w.calls++
	if !c.Callee.FreeWith(c.Args) {
		w.fact(&run.CallStarted{Path: c.Path, Attempt: c.Attempt, Key: c.Key, Fingerprint: c.Fingerprint, Reserved: c.Reserve})
	}
	s, mocked := w.find(c.Agent, c.Callee.Name, c.Callee.Use)
	if !mocked {
		reply, known := w.builtin(c)
		if !known && w.player != nil {
			w.replay(c)
			return
		}
		if !known {
			w.problem(w.test.At, "", "nothing says what %s answers at %s; add `mock %s -> …`", c.Agent, c.Path, c.Agent)
			return
		}
		if reply.Outcome != "" {
			w.fact(&run.CallFailed{Path: c.Path, Attempt: c.Attempt, Outcome: reply.Outcome, Message: reply.Message})
			return
		}
		w.done(c, reply.Value)
		return
	}
	a := s.take()
	if a.fails {
		w.fact(&run.CallFailed{Path: c.Path, Attempt: c.Attempt, Outcome: run.Unavailable, Message: a.fail})
		return
	}
	w.done(c, a.value)
}

// done reads the answer as the type the script asks for; one that does not fit is an invalid answer, which opens a repair.
func (w *world) done(c *run.CallWish, v any) {
	t := c.Callee.Result
	if c.As != nil {
		t = *c.As
		if text, ok := v.(string); ok && t.Kind != types.String && t.Kind != types.Enum {
			if parsed, err := eval.FromJSON([]byte(text)); err == nil {
				v = parsed
			}
		}
	}
	if t.Kind == types.Nothing {
		w.fact(&run.CallDone{Path: c.Path, Attempt: c.Attempt})
		return
	}
	read, problems := eval.Read(t, w.files(t, v))
	if len(problems) > 0 {
		w.fact(&run.CallFailed{
			Path: c.Path, Attempt: c.Attempt, Outcome: run.Invalid, Message: "the mock's answer does not fit: " + strings.Join(problems, "; "),
			Problems: problems, Answer: v,
		})
		return
	}
	w.keep(c, read)
	w.fact(&run.CallDone{Path: c.Path, Attempt: c.Attempt, Value: read})
}

// builtin answers for what needs no world: echo and the run's memory.
func (w *world) builtin(c *run.CallWish) (agent.Reply, bool) {
	var a agent.Agent
	switch {
	case c.Callee.Use == "echo":
		a = echo.New()
	case strings.HasPrefix(c.Callee.Use, "memory.") && !w.recorded:
		a = memory.New()
	default:
		return agent.Reply{}, false
	}
	return a.Call(context.Background(), &agent.Call{
		Run: "test", Path: c.Path, Attempt: c.Attempt, Key: c.Key, Callee: c.Callee, Args: c.Args, Text: c.Text, As: c.As, Repair: c.Repair,
		Emit: func(agent.Progress) {}, Memory: &w.memory,
	}), true
}

func (w *world) ask(a *run.AskWish) {
	w.fact(&run.Asked{Path: a.Path, Form: a.Form, Deadline: a.Deadline})
	s, mocked := w.find(a.Agent, "human."+a.Form.Kind)
	if !mocked && w.player != nil {
		w.replayAnswer(a)
		return
	}
	if !mocked {
		w.problem(w.test.At, "", "nothing says what %s answers at %s; add `mock %s -> …`", a.Agent, a.Path, a.Agent)
		return
	}
	answer := s.take()
	if answer.fails {
		if a.Deadline.IsZero() {
			w.problem(w.test.At, "", "%s at %s cannot fail: it waits for an answer without a `timeout`; mock the answer instead", a.Agent, a.Path)
		}
		return // the timer beside it fires: nobody answered
	}
	t := a.Form.Type
	if len(a.Form.Choices) > 0 {
		t = types.Type{Kind: types.Enum, Values: a.Form.Choices}
	}
	v, problems := eval.Read(t, w.files(t, answer.value))
	if len(problems) > 0 {
		w.problem(w.test.At, "", "%s at %s cannot be answered so: %s", a.Agent, a.Path, strings.Join(problems, "; "))
		return
	}
	w.fact(&run.Answered{Path: a.Path, Value: v, By: "test"})
}
