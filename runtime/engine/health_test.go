package engine_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
)

func down(context.Context, *agent.Call) agent.Reply {
	return agent.Fail(run.Unavailable, "nobody is there")
}

// While an agent is offline its calls fail at once and `else` takes over; when it is well again, they reach it again.
func TestElseTakesOverForWhoIsOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var calls atomic.Int64
		var well atomic.Bool
		w.model("far", func(ctx context.Context, c *agent.Call) agent.Reply {
			calls.Add(1)
			if well.Load() {
				return agent.Reply{Value: "far"}
			}
			return down(ctx, c)
		})
		w.model("near", say("near"))
		p := w.plan(`a = far "x" else near "x"` + "\noutput a")
		e := engine.New(engine.Config{Registry: w.registry})
		defer shut(t, e)
		for range 3 * agent.TripAfter {
			if end := wait(t, e, start(t, e, p, run.Options{})); end.Value != "near" {
				t.Fatalf("got %+v", end)
			}
		}
		if n := calls.Load(); n != agent.TripAfter {
			t.Errorf("it was called %d times", n)
		}
		if h, _ := w.registry.Health("far"); h.Status != agent.Offline {
			t.Errorf("%+v", h)
		}
		well.Store(true)
		time.Sleep(agent.OpenFor + time.Second)
		if end := wait(t, e, start(t, e, p, run.Options{})); end.Value != "far" {
			t.Errorf("it does not recover: %+v", end)
		}
		if h, _ := w.registry.Health("far"); h.Status != agent.Available {
			t.Errorf("%+v", h)
		}
	})
}

// A single run with `retry 3` never meets the breaker it may open, and one that does comes back when the breaker lets it.
func TestRetriesAndTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var calls atomic.Int64
		w.model("far", func(ctx context.Context, c *agent.Call) agent.Reply {
			if calls.Add(1) < 4 {
				return down(ctx, c)
			}
			return agent.Reply{Value: "ok"}
		})
		e := engine.New(engine.Config{Registry: w.registry})
		defer shut(t, e)
		begun := time.Now()
		if end := wait(t, e, start(t, e, w.plan(`far "x" retry 3 wait 1s`), run.Options{})); end.Value != "ok" {
			t.Fatalf("got %+v", end)
		}
		if took := time.Since(begun); took > agent.OpenFor {
			t.Errorf("took %v: the breaker was in the way", took)
		}

		// Ten items at once, of a server that is away for ten seconds: no item is lost, whatever the breaker does meanwhile.
		away := time.Now().Add(10 * time.Second)
		w.model("weak", func(ctx context.Context, c *agent.Call) agent.Reply {
			if time.Now().Before(away) {
				return down(ctx, c)
			}
			time.Sleep(time.Second)
			return agent.Reply{Value: "ok"}
		})
		p := w.plan("let items = 1..30\noutput map i in items limit 10 { weak \"<<i>>\" retry 3 wait 2s }")
		if end := wait(t, e, start(t, e, p, run.Options{})); end.Status != run.Succeeded {
			t.Errorf("got %+v", end.Error)
		}
	})
}

// What the breaker decides stands in the history as any failure does: read again, it asks nobody.
func TestTheBreakerIsAFact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.model("far", down)
		p := w.plan(`far "x" else "none"`)
		e := engine.New(engine.Config{Registry: w.registry})
		defer shut(t, e)
		var id run.ID
		for range agent.TripAfter + 1 {
			id = start(t, e, p, run.Options{})
			wait(t, e, id)
		}
		var failed *run.CallFailed
		for u, err := range e.Watch(t.Context(), id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if u.Fact == nil {
				continue
			}
			if b, ok := u.Fact.Body.(*run.CallFailed); ok {
				failed = b
			}
		}
		if failed == nil || failed.Outcome != run.Unavailable || failed.RetryAfter != agent.OpenFor || !strings.Contains(failed.Message, "offline") {
			t.Errorf("got %+v", failed)
		}
	})
}

// An agent that hangs, crashes, floods or answers with more than anybody can read harms no run that does not call it, also when it never ends and the process
// has few slots.
func TestBadAgentsHarmNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		release := make(chan struct{})
		w.model("deaf", func(context.Context, *agent.Call) agent.Reply { <-release; return agent.Reply{Value: "late"} })
		w.model("panics", func(context.Context, *agent.Call) agent.Reply { panic("boom") })
		w.model("leaves", func(context.Context, *agent.Call) agent.Reply { runtime.Goexit(); return agent.Reply{} })
		w.model("floods", func(ctx context.Context, c *agent.Call) agent.Reply {
			text := strings.Repeat("é", 1000)
			for range 20_000 {
				c.Emit(agent.Progress{Delta: text, Note: text})
			}
			return agent.Reply{Value: strings.Repeat("x", 100<<20)}
		})
		w.model("good", say("good"))
		e := engine.New(engine.Config{Registry: w.registry, MaxParallel: 4})
		defer shut(t, e)
		defer close(release)
		var group sync.WaitGroup
		fails := func(script string, outcomes ...string) {
			group.Go(func() {
				for range 8 {
					if end := wait(t, e, start(t, e, w.plan(script), run.Options{})); end.Status != run.Failed || !slices.Contains(outcomes, end.Error.Kind) {
						t.Errorf("%s: %+v", script, end.Error)
					}
				}
			})
		}
		fails(`deaf "x" timeout 10s`, "timeout", "unavailable")
		fails(`deaf "x" timeout 10s`, "timeout", "unavailable")
		group.Wait() // more calls hang for good than there are slots
		if h, _ := w.registry.Health("deaf"); h.Lost < agent.TripAfter || h.Status == agent.Available {
			t.Errorf("%+v", h)
		}
		fails(`panics "x"`, "unavailable")
		fails(`leaves "x"`, "unavailable")
		group.Go(func() {
			p := w.plan(`floods "x"`)
			id := start(t, e, p, run.Options{})
			count := 0
			for u, err := range e.Watch(t.Context(), id, 0) { // somebody watches the flood
				if err != nil {
					t.Error(err)
					return
				}
				if u.Progress != nil {
					count++
				}
			}
			if count == 0 {
				t.Error("nothing of the flood was shown")
			}
			if end := wait(t, e, id); end.Status != run.Failed || !strings.Contains(end.Error.Message, "larger than") {
				t.Errorf("%+v", end.Error)
			}
		})
		group.Go(func() {
			for i := range 50 {
				if end := wait(t, e, start(t, e, w.plan(`good "x"`), run.Options{})); end.Value != "good" {
					t.Errorf("run %d beside them: %+v", i, end)
				}
			}
		})
		group.Wait()
		for _, name := range []string{"good", "floods"} {
			if h, _ := w.registry.Health(name); h.Status != agent.Available {
				t.Errorf("%s: %+v", name, h)
			}
		}
	})
}
