package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/runtime/travel"
	"github.com/slopstudios/slop/stdlib/contexts"
)

// counted is a model that remembers what it was asked.
type counted struct {
	mu   sync.Mutex
	said []string
}

func (c *counted) answer(_ context.Context, call *agent.Call) agent.Reply {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = append(c.said, string(call.Path))
	return agent.Reply{Value: fmt.Sprintf("%s of %v", call.Path, call.Text), Usage: run.Usage{Calls: 1, Cost: 5, CostSource: run.Reported}}
}

func (c *counted) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.said
	c.said = nil
	return said
}

// forkAndWait forks a run and waits for the end of the fork.
func forkAndWait(t *testing.T, e *engine.Engine, id run.ID, c runs.Change) (run.ID, run.Finished) {
	t.Helper()
	f, err := e.Forecast(t.Context(), id, c)
	if err != nil {
		t.Fatal(err)
	}
	c.By, c.Head = "tester", f.Head
	forked, err := e.Fork(t.Context(), id, c)
	if err != nil {
		t.Fatal(err)
	}
	return forked, wait(t, e, forked)
}

func TestAForkCallsWhatIsDownstreamAndPaysForItAlone(t *testing.T) {
	w := newWorld(t)
	var model counted
	w.model("writer", model.answer)
	s := memory.New()
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	id := start(t, e, w.plan(`
budget 3 calls
input x: string = "rain"
a = writer "a <<x>>"
b = writer "b <<a>>"
output writer "c <<b>>"`), run.Options{})
	was := wait(t, e, id)
	model.take()
	fork, is := forkAndWait(t, e, id, runs.Change{From: "output"})
	if diff := cmp.Diff([]string{"output"}, model.take()); diff != "" {
		t.Errorf("called again: %s", diff)
	}
	if is.Value != was.Value || is.Usage.Calls != 1 || is.Usage.Cost != 5 {
		t.Errorf("the fork ended %+v, its origin %+v", is, was)
	}
	h, err := e.History(t.Context(), fork)
	if err != nil {
		t.Fatal(err)
	}
	facts := h.Facts
	started := facts[0].Body.(*run.Started)
	if started.Fork.Run != id || started.Fork.Seq == 0 || started.Options.By != "tester" {
		t.Errorf("its origin is not named: %+v, by %s", started.Fork, started.Options.By)
	}
	if problems := invariant.Check(h.Plan, facts); len(problems) > 0 {
		t.Error(problems)
	}
	// Three calls are the budget of the fork as of its origin: what is kept counts for nothing.
	if _, is = forkAndWait(t, e, fork, runs.Change{From: "a", Inputs: map[string]any{"x": "sun"}}); is.Status != run.Succeeded || is.Usage.Calls != 3 {
		t.Errorf("the fork of the fork ended %+v", is)
	}
	if diff := cmp.Diff([]string{"a", "b", "output"}, model.take()); diff != "" {
		t.Errorf("called again: %s", diff)
	}
	view := runs.Fold(h.Plan)
	for _, fact := range facts {
		view.Add(fact)
	}
	kept := 0
	for _, step := range view.View().Steps {
		if step.Kept {
			kept++
		}
		if step.Usage.Cost != 5 {
			t.Errorf("%s shows the usage %+v", step.Path, step.Usage)
		}
	}
	if v := view.View(); kept != 2 || v.Usage.Calls != 1 || v.Fork == nil {
		t.Errorf("%d steps are kept, the run used %+v", kept, v.Usage)
	}
}

func TestAForkWithLargeValues(t *testing.T) {
	w := newWorld(t)
	var model counted
	w.model("writer", model.answer)
	e := engine.New(engine.Config{Registry: w.registry, Inline: 8})
	defer shut(t, e)
	id := start(t, e, w.plan(`
input x: string = "a text that is long enough to be kept apart"
input y: string = "rain"
a = writer "a <<x>>"
let n = len(a)
b = writer "b <<n>>"
output writer "c <<b>> <<y>>"`), run.Options{})
	was := wait(t, e, id)
	model.take()
	_, is := forkAndWait(t, e, id, runs.Change{Inputs: map[string]any{"y": "sunshine"}})
	if diff := cmp.Diff([]string{"output"}, model.take()); diff != "" {
		t.Errorf("called again: %s", diff)
	}
	if is.Status != run.Succeeded || is.Value == was.Value {
		t.Errorf("got %+v, was %+v", is, was)
	}
}

func TestAForkAsksForInputsThatFit(t *testing.T) {
	w := newWorld(t)
	var model counted
	w.model("writer", model.answer)
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, w.plan(`
input n: int = 1
output writer "a <<n>>"`), run.Options{})
	wait(t, e, id)
	if _, err := e.Forecast(t.Context(), id, runs.Change{Inputs: map[string]any{"n": "many"}}); !errors.Is(err, runs.ErrInput) {
		t.Errorf("an input that does not fit: %v", err)
	}
	if _, err := e.Forecast(t.Context(), id, runs.Change{Inputs: map[string]any{"m": 1}}); !errors.Is(err, runs.ErrInput) {
		t.Errorf("an input that there is not: %v", err)
	}
	if _, err := e.Forecast(t.Context(), "nobody", runs.Change{From: "output"}); !errors.Is(err, runs.ErrNotFound) {
		t.Errorf("a run that there is not: %v", err)
	}
	if _, err := e.Forecast(t.Context(), id, runs.Change{}); !errors.Is(err, travel.ErrNothing) {
		t.Errorf("no change: %v", err)
	}
	var unknown *travel.ErrStep
	if _, err := e.Forecast(t.Context(), id, runs.Change{From: "b"}); !errors.As(err, &unknown) {
		t.Errorf("a step that there is not: %v", err)
	}
}

func TestAForkGoesOnAfterACrash(t *testing.T) {
	w := newWorld(t)
	var model counted
	w.model("writer", model.answer)
	s := memory.New()
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	id := start(t, e, w.plan(`
a = writer "a"
ok = human.approve "Go?"
require ok == "yes" else "no"
notes = map i in ["x", "y", "z"] limit 1 { writer "n <<i>>" }
output writer "c <<a>> <<notes>>"`), run.Options{})
	answer := func(e *engine.Engine, id run.ID) {
		t.Helper()
		awaitQuestion(t, e, id)
		if err := e.Answer(t.Context(), id, "ok", "yes", "me"); err != nil {
			t.Fatal(err)
		}
	}
	answer(e, id)
	was := wait(t, e, id)
	model.take()
	fork, err := e.Fork(t.Context(), id, runs.Change{From: "a"})
	if err != nil {
		t.Fatal(err)
	}
	awaitQuestion(t, e, fork)
	shut(t, e)

	e = engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	if err := e.Adopt(t.Context(), fork); err != nil {
		t.Fatal(err)
	}
	answer(e, fork)
	if is := wait(t, e, fork); is.Value != was.Value {
		t.Errorf("got %+v, want %+v", is, was)
	}
}

// awaitQuestion waits until the run has asked.
func awaitQuestion(t *testing.T, e *engine.Engine, id run.ID) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for event, err := range e.Watch(ctx, id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Fact != nil && event.Fact.Kind() == "asked" {
			return
		}
	}
	t.Fatal("the run ended and did not ask")
}

// A fork is what was forecast, though its origin went on meanwhile; and it may be left to another process.
func TestAForkIsWhatWasForecast(t *testing.T) {
	w := newWorld(t)
	var model counted
	w.model("writer", model.answer)
	s := memory.New()
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	id := start(t, e, w.plan(`
a = writer "a"
ok = human.approve "Go?" after a
b = writer "b <<ok>>"
output writer "c <<b>>"`), run.Options{})
	awaitQuestion(t, e, id)
	f, err := e.Forecast(t.Context(), id, runs.Change{From: "ok"})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Answer(t.Context(), id, "ok", "yes", "me"); err != nil {
		t.Fatal(err)
	}
	wait(t, e, id)
	model.take()
	fork, err := e.SubmitFork(t.Context(), id, runs.Change{From: "ok", Head: f.Head})
	if err != nil {
		t.Fatal(err)
	}
	facts, err := s.Load(t.Context(), fork, 0)
	if err != nil {
		t.Fatal(err)
	}
	origin := facts[0].Body.(*run.Started).Fork
	if origin.Seq != f.Seq || origin.Kept != f.Kept || len(model.take()) > 0 {
		t.Errorf("the fork has the origin %+v, forecast was %+v", origin, f)
	}
	other := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, other)
	if err := other.Adopt(t.Context(), fork); err != nil {
		t.Fatal(err)
	}
	awaitQuestion(t, other, fork)
	if err := other.Answer(t.Context(), fork, "ok", "no", "me"); err != nil {
		t.Fatal(err)
	}
	wait(t, other, fork)
	if diff := cmp.Diff([]string{"b", "output"}, model.take()); diff != "" {
		t.Errorf("called again: %s", diff)
	}
	d, err := e.Diff(t.Context(), id, fork)
	if err != nil || d.First != "ok" || d.Plan {
		t.Errorf("they differ in %+v, %v", d, err)
	}
}

func TestAForkHasTheSharedStateThatItsOriginHad(t *testing.T) {
	w := newWorld(t)
	var model counted
	w.model("writer", model.answer)
	w.add("memory", contexts.New())
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, w.plan(`
one = memory.set(path: "a", value: "first")
two = writer "two" after one
three = memory.get(path: "a") after two
output three ?? "none"`), run.Options{})
	was := wait(t, e, id)
	if _, is := forkAndWait(t, e, id, runs.Change{From: "three"}); is.Value != was.Value || is.Value != "first" {
		t.Errorf("got %+v, want %+v", is, was)
	}
}
