package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// meter is an agent that takes a second, and remembers who was served when.
type meter struct {
	mu     sync.Mutex
	now    int
	most   int
	begun  []time.Duration
	order  []string
	origin time.Time
}

func (m *meter) call(ctx context.Context, c *agent.Call) agent.Reply {
	m.mu.Lock()
	m.now++
	m.most = max(m.most, m.now)
	m.begun = append(m.begun, time.Since(m.origin))
	m.order = append(m.order, c.Text.(string))
	m.mu.Unlock()
	time.Sleep(time.Second)
	m.mu.Lock()
	m.now--
	m.mu.Unlock()
	return agent.Reply{Value: "x"}
}

// bubble makes a world whose model `m` has limits.
func bubble(t *testing.T, l agent.Limits, c engine.Config, test func(t *testing.T, w *world, m *meter, e *engine.Engine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := &meter{origin: time.Now()}
		w.model("m", m.call)
		if err := w.registry.SetLimits("m", l); err != nil {
			t.Fatal(err)
		}
		c.Registry = w.registry
		e := engine.New(c)
		test(t, w, m, e)
		shut(t, e)
	})
}

func (m *meter) underWay() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

const ten = `output map i in 1..10 limit 10 { m "NAME <<i>>" }`

func named(w *world, name string) string { return strings.ReplaceAll(ten, "NAME", name) }

func TestAnAgentsLimitHoldsOverAllRuns(t *testing.T) {
	bubble(t, agent.Limits{Limit: 3}, engine.Config{}, func(t *testing.T, w *world, m *meter, e *engine.Engine) {
		a := start(t, e, w.plan(named(w, "a")), run.Options{})
		b := start(t, e, w.plan(named(w, "b")), run.Options{})
		wait(t, e, a)
		wait(t, e, b)
		if m.most != 3 {
			t.Errorf("%d calls at a time, want 3", m.most)
		}
		if took := time.Since(m.origin); took != 7*time.Second {
			t.Errorf("20 calls of a second, three at a time, took %s", took)
		}
	})
}

func TestTheProcessHasALimit(t *testing.T) {
	bubble(t, agent.Limits{}, engine.Config{MaxParallel: 4}, func(t *testing.T, w *world, m *meter, e *engine.Engine) {
		wait(t, e, start(t, e, w.plan(named(w, "a")), run.Options{}))
		if m.most != 4 {
			t.Errorf("%d calls at a time, want 4", m.most)
		}
	})
}

func TestARunHasALimit(t *testing.T) {
	bubble(t, agent.Limits{}, engine.Config{}, func(t *testing.T, w *world, m *meter, e *engine.Engine) {
		wait(t, e, start(t, e, w.plan(named(w, "a")), run.Options{MaxParallel: 2}))
		if m.most != 2 {
			t.Errorf("%d calls at a time, want 2", m.most)
		}
	})
}

func TestARate(t *testing.T) {
	bubble(t, agent.Limits{PerMinute: 4}, engine.Config{}, func(t *testing.T, w *world, m *meter, e *engine.Engine) {
		wait(t, e, start(t, e, w.plan(named(w, "a")), run.Options{}))
		for i, at := range m.begun {
			if want := time.Duration(i/4) * time.Minute; at != want {
				t.Errorf("call %d began at %s, want %s", i, at, want)
			}
		}
	})
}

// A run with many items does not keep another waiting: they are served in turn.
func TestRunsAreServedInTurn(t *testing.T) {
	bubble(t, agent.Limits{Limit: 1}, engine.Config{}, func(t *testing.T, w *world, m *meter, e *engine.Engine) {
		big := start(t, e, w.plan(named(w, "big")), run.Options{})
		synctest.Wait()
		small := start(t, e, w.plan(`output m "small"`), run.Options{})
		wait(t, e, small)
		if took := time.Since(m.origin); took > 3*time.Second {
			t.Errorf("the small run took %s behind the big one", took)
		}
		wait(t, e, big)
	})
}

func TestPriorityGoesFirst(t *testing.T) {
	bubble(t, agent.Limits{Limit: 1}, engine.Config{}, func(t *testing.T, w *world, m *meter, e *engine.Engine) {
		low := start(t, e, w.plan(named(w, "low")), run.Options{})
		synctest.Wait()
		high := start(t, e, w.plan(named(w, "high")), run.Options{Priority: 1})
		wait(t, e, high)
		wait(t, e, low)
		for i, who := range m.order[1:11] {
			if !strings.HasPrefix(who, "high") {
				t.Errorf("call %d was for %s", i+1, who)
			}
		}
	})
}

// Slots of calls that were cancelled while they waited, or while they were under way, come back.
func TestSlotsComeBack(t *testing.T) {
	bubble(t, agent.Limits{Limit: 2}, engine.Config{MaxParallel: 2}, func(t *testing.T, w *world, m *meter, e *engine.Engine) {
		for i := range 20 {
			id := start(t, e, w.plan(named(w, fmt.Sprint(i))), run.Options{MaxParallel: 5})
			time.Sleep(time.Duration(i) * 100 * time.Millisecond)
			if err := e.Cancel(t.Context(), id, "", ""); err != nil {
				t.Fatal(err)
			}
			wait(t, e, id)
		}
		time.Sleep(time.Minute)
		m.most = 0
		wait(t, e, start(t, e, w.plan(named(w, "last")), run.Options{}))
		if m.most != 2 {
			t.Errorf("after all the cancelling %d calls run at a time, want 2", m.most)
		}
	})
}

// What several agents share, such as one login, bounds them together.
func TestASharedLimit(t *testing.T) {
	shared := agent.Limits{Limit: 3, Shared: "login"}
	bubble(t, shared, engine.Config{}, func(t *testing.T, w *world, m *meter, e *engine.Engine) {
		w.model("other", m.call)
		if err := w.registry.SetLimits("other", shared); err != nil {
			t.Fatal(err)
		}
		a := start(t, e, w.plan(named(w, "a")), run.Options{})
		b := start(t, e, w.plan(strings.ReplaceAll(named(w, "b"), "m \"", "other \"")), run.Options{})
		wait(t, e, a)
		wait(t, e, b)
		if m.most != 3 {
			t.Errorf("%d calls at a time, want 3", m.most)
		}
		if took := time.Since(m.origin); took != 7*time.Second {
			t.Errorf("20 calls of a second, three at a time, took %s", took)
		}
	})
}

// A flow of 10,000 items takes what there is and keeps nobody else waiting for the end of its calls.
func TestABigRunKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.model("slow", func(ctx context.Context, c *agent.Call) agent.Reply {
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
			return agent.Reply{Value: "x"}
		})
		e := engine.New(engine.Config{Registry: w.registry, MaxParallel: 100})
		defer shut(t, e)
		var big []run.ID
		for range 2 {
			big = append(big, start(t, e, w.plan(`output map i in 1..10000 limit 10000 { slow "<<i>>" }`), run.Options{}))
			time.Sleep(10 * time.Second)
		}
		p := w.plan(`output slow "x"`)
		for i := range 5 {
			began := time.Now()
			id := start(t, e, p, run.Options{})
			for ev, err := range e.Watch(t.Context(), id, 0) {
				if err != nil {
					t.Fatal(err)
				}
				if ev.Fact != nil && ev.Fact.Kind() == "call_started" {
					break
				}
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("run %d waited %s", i, took)
			}
		}
		for _, id := range big {
			if err := e.Cancel(t.Context(), id, "", ""); err != nil {
				t.Fatal(err)
			}
			wait(t, e, id)
		}
	})
}

// Where there are many slots a turn is more than one call, so that a run records the beginnings of its calls together.
func TestATurnIsALot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		begun := map[string]int{}
		free := make(chan struct{})
		w.model("m", func(ctx context.Context, c *agent.Call) agent.Reply {
			who := c.Text.(string)
			mu.Lock()
			begun[who]++
			mu.Unlock()
			first := free
			if who != "a" {
				first = nil
			}
			select {
			case <-first:
			case <-ctx.Done():
			}
			return agent.Reply{Value: "x"}
		})
		e := engine.New(engine.Config{Registry: w.registry, MaxParallel: 250})
		defer shut(t, e)
		ids := []run.ID{start(t, e, w.plan(`output map i in 1..300 limit 300 { m "a" }`), run.Options{})}
		synctest.Wait()
		for _, who := range []string{"b", "c", "d"} { // each takes one of the slots that are spared for such as it
			ids = append(ids, start(t, e, w.plan(`output map i in 1..4 limit 4 { m "`+who+`" }`), run.Options{}))
			synctest.Wait()
		}
		for range 3 + 3 + 2 { // three are spared again, a second one for each, and one turn more
			free <- struct{}{}
			synctest.Wait()
		}
		if begun["b"] != 4 || begun["c"] != 2 || begun["d"] != 2 {
			t.Errorf("the first run has begun %d of its calls, the others %d and %d", begun["b"], begun["c"], begun["d"])
		}
		for _, id := range ids {
			if err := e.Cancel(t.Context(), id, "", ""); err != nil {
				t.Fatal(err)
			}
			wait(t, e, id)
		}
	})
}

// The calls of all runs of one flow have a limit together; other flows are not held up by it.
func TestAFlowHasALimit(t *testing.T) {
	bubble(t, agent.Limits{}, engine.Config{MaxPerFlow: 3}, func(t *testing.T, w *world, m *meter, e *engine.Engine) {
		p := w.plan(named(w, "a"))
		other := *p
		other.Name = "other"
		ids := []run.ID{start(t, e, p, run.Options{}), start(t, e, p, run.Options{})}
		synctest.Wait()
		if now := m.underWay(); now != 3 {
			t.Errorf("%d calls of a flow at a time, want 3", now)
		}
		ids = append(ids, start(t, e, &other, run.Options{}))
		synctest.Wait()
		if now := m.underWay(); now != 6 {
			t.Errorf("%d calls of two flows at a time, want 6", now)
		}
		time.Sleep(time.Millisecond) // so that the calls end before the patience with them does
		if err := e.Cancel(t.Context(), ids[0], "", ""); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			wait(t, e, id)
		}
		if m.most != 6 {
			t.Errorf("%d calls of two flows at a time, want 6", m.most)
		}
	})
}

// Two processes that share a store share the limits of their agents, and neither starves the other.
func TestProcessesShareLimits(t *testing.T) {
	for name, test := range map[string]struct {
		limits agent.Limits
		c      engine.Config
		took   time.Duration
		most   int
	}{
		"slots of an agent": {agent.Limits{Limit: 3}, engine.Config{}, 7 * time.Second, 3},
		"slots of a flow":   {agent.Limits{}, engine.Config{MaxPerFlow: 3}, 7 * time.Second, 3},
		"a rate":            {agent.Limits{PerMinute: 5}, engine.Config{}, 3 * time.Minute, 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				m := &meter{origin: time.Now()}
				w.model("m", m.call)
				if err := w.registry.SetLimits("m", test.limits); err != nil {
					t.Fatal(err)
				}
				s := memory.New()
				var engines [2]*engine.Engine
				var ids [2]run.ID
				var took [2]time.Duration
				for i := range engines {
					c := test.c
					c.Registry, c.Store, c.Owner, c.Shared = w.registry, s, fmt.Sprint(i), true
					engines[i] = engine.New(c)
					defer shut(t, engines[i])
					ids[i] = start(t, engines[i], w.plan(named(w, "x")), run.Options{})
				}
				var group sync.WaitGroup
				for i, e := range engines {
					group.Go(func() {
						if end := wait(t, e, ids[i]); end.Status != run.Succeeded {
							t.Errorf("got %+v", end)
						}
						took[i] = time.Since(m.origin)
					})
				}
				group.Wait()
				longest := max(took[0], took[1])
				if m.most > test.most || longest < test.took-test.took/5 || longest > test.took*3/2+time.Second {
					t.Errorf("20 calls took %s with %d at a time, want %s and %d", longest, m.most, test.took, test.most)
				}
				if first := min(took[0], took[1]); first < longest/3 {
					t.Errorf("one process was done after %s, the other after %s", first, longest)
				}
			})
		})
	}
}
