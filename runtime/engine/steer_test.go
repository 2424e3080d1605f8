package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// steered is a run in some state, and the engine it is steered through.
type steered struct {
	t      *testing.T
	w      *world
	s      *memory.Store
	e      *engine.Engine
	plan   *plan.Plan
	id     run.ID
	opened []*engine.Engine
}

// open makes another engine the one that the run is steered through.
func (r *steered) open(c engine.Config) {
	c.Registry, c.Store = r.w.registry, r.s
	r.e = engine.New(c)
	r.opened = append(r.opened, r.e)
}

func (r *steered) start(text string) {
	r.plan = r.w.plan(text)
	r.id = start(r.t, r.e, r.plan, run.Options{})
	time.Sleep(time.Second)
}

func (r *steered) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(time.Second)
}

func (r *steered) facts() []run.Fact {
	r.t.Helper()
	facts, err := r.s.Load(r.t.Context(), r.id, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return facts
}

func (r *steered) status() run.Status { return engine.Entry(r.id, r.plan, r.facts()).Status }

// Who says why may name a secret: it is blacked out whether the run is at work in this process, in another, or nowhere.
func TestReasonsHoldNoSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		secrets := func(string) (string, error) { return "hunter22", nil }
		r := &steered{t: t, w: newWorld(t), s: memory.New()}
		r.open(engine.Config{Secrets: secrets})
		r.start("secret token\noutput human.ask \"x\"")
		ctx := t.Context()
		r.must(r.e.Pause(ctx, r.id, "", "because of hunter22"))
		other := engine.New(engine.Config{Store: r.s, Secrets: secrets})
		defer shut(t, other)
		r.must(other.Resume(ctx, r.id, "", "because of hunter22"))
		shut(t, r.e)
		r.must(other.Cancel(ctx, r.id, "", "because of hunter22"))
		var reasons []string
		for _, f := range r.facts() {
			switch b := f.Body.(type) {
			case *run.PauseAsked:
				reasons = append(reasons, b.Reason)
			case *run.ResumeAsked:
				reasons = append(reasons, b.Reason)
			case *run.CancelAsked:
				reasons = append(reasons, b.Reason)
			}
		}
		const said = "because of ‹secret token›"
		if diff := cmp.Diff([]string{said, said, said}, reasons); diff != "" {
			t.Error(diff)
		}
	})
}

// steeredStates are all the states a run can be in.
var steeredStates = map[string]func(*steered){
	"queued": func(r *steered) {
		r.open(engine.Config{MaxResident: 1})
		start(r.t, r.e, r.w.plan(`output slow "blocker" timeout 1m`), run.Options{})
		r.start(`output slow "x"`)
	},
	"thinking":      func(r *steered) { r.start(`output slow "x"`) },
	"doing":         func(r *steered) { r.start(`output make "x"`) },
	"retrying":      func(r *steered) { r.start(`output fails "x" retry 5 wait 10h`) },
	"asking":        func(r *steered) { r.start(`output human.ask "x"`) },
	"asking, rests": func(r *steered) { r.start(`output human.ask "x"`); time.Sleep(time.Hour) },
	"waiting":       func(r *steered) { r.start("w = wait \"10h\"\noutput echo \"x\" after w"); time.Sleep(time.Hour) },
	"paused": func(r *steered) {
		r.start(`output human.ask "x"`)
		r.must(r.e.Pause(r.t.Context(), r.id, "", ""))
	},
	"paused, rests": func(r *steered) {
		r.start(`output human.ask "x"`)
		r.must(r.e.Pause(r.t.Context(), r.id, "", ""))
		time.Sleep(time.Hour)
	},
	"paused while it does": func(r *steered) {
		r.start(`output make "x"`)
		r.must(r.e.Pause(r.t.Context(), r.id, "", ""))
	},
	"cancelled, not ended": func(r *steered) {
		r.start(`output stubborn "x"`)
		r.must(r.e.Cancel(r.t.Context(), r.id, "", ""))
	},
	"elsewhere": func(r *steered) {
		here := r.e
		r.open(engine.Config{})
		r.start(`output make "x"`)
		r.e = here
	},
	"nowhere": func(r *steered) {
		here := r.e
		r.open(engine.Config{})
		r.start(`output human.ask "x"`)
		shut(r.t, r.e)
		r.e = here
	},
	"succeeded": func(r *steered) { r.start(`output "x"`) },
	"failed":    func(r *steered) { r.start(`output fails "x"`) },
	"cancelled": func(r *steered) {
		r.start(`output human.ask "x"`)
		r.must(r.e.Cancel(r.t.Context(), r.id, "", ""))
	},
}

// Pause, resume and cancel can be asked for in every state, any number of times: what is so already is no error, a finished run says that it is.
func TestSteeringInEveryState(t *testing.T) {
	verbs := map[string]func(*engine.Engine, context.Context, run.ID, string, string) error{
		"pause": (*engine.Engine).Pause, "resume": (*engine.Engine).Resume, "cancel": (*engine.Engine).Cancel,
	}
	for state, enter := range steeredStates {
		for verb, do := range verbs {
			t.Run(state+"/"+verb, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.model("slow", hang)
					w.doer("make", hang)
					w.model("fails", func(context.Context, *agent.Call) agent.Reply { return agent.Fail(run.Unavailable, "no line") })
					w.doer("stubborn", func(ctx context.Context, c *agent.Call) agent.Reply {
						<-ctx.Done()
						time.Sleep(5 * time.Second)
						return agent.Reply{Value: "made"}
					})
					s := memory.New()
					r := &steered{t: t, w: w, s: s}
					defer func() {
						for _, e := range r.opened {
							shut(t, e)
						}
					}()
					r.open(engine.Config{})
					enter(r)
					before := r.status()
					final := before == run.Succeeded || before == run.Failed || before == run.Cancelled
					for i := range 3 {
						err := do(r.e, t.Context(), r.id, "ada", "")
						time.Sleep(100 * time.Millisecond)
						over := r.status() == run.Cancelled
						switch {
						case final && !errors.Is(err, runs.ErrFinished):
							t.Errorf("time %d: %v, and the run is over", i, err)
						case !final && err != nil && !(over && errors.Is(err, runs.ErrFinished)):
							t.Errorf("time %d: %v", i, err)
						}
					}
					if state == "nowhere" {
						if err := r.e.Adopt(t.Context(), r.id); err != nil && !errors.Is(err, runs.ErrFinished) {
							t.Fatal(err)
						}
					}
					time.Sleep(20 * time.Second)
					switch got := r.status(); {
					case final && got != before:
						t.Errorf("the run was %s and is %s", before, got)
					case final:
						return
					case state == "cancelled, not ended", verb == "cancel":
						if state == "queued" {
							time.Sleep(time.Minute) // until there is room for it
							got = r.status()
						}
						if got != run.Cancelled {
							t.Errorf("the run is %s", got)
						}
					case verb == "pause" && got != run.Paused, verb == "resume" && got == run.Paused:
						t.Errorf("the run is %s", got)
					}
					if err := r.e.Cancel(t.Context(), r.id, "", ""); err != nil && !errors.Is(err, runs.ErrFinished) {
						t.Error(err)
					}
					if end := wait(t, r.e, r.id); end.Status != run.Cancelled {
						t.Errorf("got %+v", end)
					}
					for _, broken := range invariant.Check(r.plan, r.facts()) {
						t.Errorf("invariant: %s", broken)
					}
				})
			})
		}
	}
}

// The timers of a run go on during a pause and take effect when it is over; the deadlines of blocks and of the run move by its length.
func TestTimeAndAPause(t *testing.T) {
	for name, test := range map[string]struct {
		text   string
		o      run.Options
		answer time.Duration // after the start; 0: nobody does
		end    time.Duration
		status run.Status
	}{
		"a wait that ends during the pause ends with it": {text: "w = wait \"1h\"\noutput echo \"x\" after w", end: 3 * time.Hour, status: run.Succeeded},
		"a wait that is longer is not longer than it is": {text: "w = wait \"4h\"\noutput echo \"x\" after w", end: 4 * time.Hour, status: run.Succeeded},
		"the time of a question ends with the pause":     {text: `output human.ask "x" timeout 2h`, end: 3 * time.Hour, status: run.Failed},
		"an answer during the pause counts": {text: `a = human.ask "x" timeout 2h
output echo "<<a>>"`, answer: 90 * time.Minute, end: 3 * time.Hour, status: run.Succeeded},
		"the deadline of a block moves": {text: "a = try {\n  b = human.ask \"x\"\n  output b\n} timeout 2h\noutput a", answer: 225 * time.Minute, end: 225 * time.Minute, status: run.Succeeded},
		"and is kept":                   {text: "a = try {\n  b = human.ask \"x\"\n  output b\n} timeout 2h\noutput a", end: 4 * time.Hour, status: run.Failed},
		"the deadline of the run moves": {text: `output human.ask "x"`, o: run.Options{Timeout: 2 * time.Hour}, answer: 225 * time.Minute, end: 225 * time.Minute, status: run.Succeeded},
		"and is kept too":               {text: `output human.ask "x"`, o: run.Options{Timeout: 2 * time.Hour}, end: 4 * time.Hour, status: run.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				s := memory.New()
				e := engine.New(engine.Config{Registry: w.registry, Store: s})
				defer shut(t, e)
				origin := time.Now()
				at := func(d time.Duration) { time.Sleep(time.Until(origin.Add(d))) }
				id := start(t, e, w.plan(test.text), test.o)
				if test.answer > 0 {
					go func() {
						at(test.answer)
						path := run.Path("output")
						for _, f := range must(s.Load(t.Context(), id, 0)) {
							if b, ok := f.Body.(*run.Asked); ok {
								path = b.Path
							}
						}
						if err := e.Answer(t.Context(), id, path, "yes", ""); err != nil {
							t.Error(err)
						}
					}()
				}
				at(time.Hour - time.Minute)
				if err := e.Pause(t.Context(), id, "", ""); err != nil {
					t.Fatal(err)
				}
				at(3*time.Hour - time.Minute)
				if err := e.Resume(t.Context(), id, "", ""); err != nil {
					t.Fatal(err)
				}
				end := wait(t, e, id)
				took := time.Since(origin)
				if end.Status != test.status || took < test.end-2*time.Minute || took > test.end+time.Minute {
					t.Errorf("after %s: %+v, want %s after %s", took, end, test.status, test.end)
				}
			})
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
