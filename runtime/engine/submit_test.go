package engine_test

import (
	"testing"

	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// What was submitted waits until somebody adopts it; nothing of it runs where it was submitted.
func TestSubmit(t *testing.T) {
	w := newWorld(t)
	p := w.plan(`ok = human.approve "Go?"
output ok`)
	s := memory.New()
	desk := engine.New(engine.Config{Store: s}) // it knows no agents
	id, err := desk.Submit(t.Context(), p, nil, run.Options{Pool: "cli:/x"})
	if err != nil {
		t.Fatal(err)
	}
	if facts, err := s.Load(t.Context(), id, 0); err != nil || len(facts) != 1 {
		t.Fatalf("%d facts, %v", len(facts), err)
	}
	if who, err := s.Holder(t.Context(), id); err != nil || who != "" {
		t.Errorf("%q holds it, %v", who, err)
	}
	if e, err := s.GetEntry(t.Context(), id); err != nil || e.Status != run.Waiting || e.Pool != "cli:/x" {
		t.Errorf("its entry is %+v, %v", e, err)
	}
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	defer shut(t, desk)
	if err := e.Adopt(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	answer(t, e, desk, id)
}

// The history keeps why somebody answered as they did, whether the run is at work here or elsewhere.
func TestReasonOfAnAnswer(t *testing.T) {
	w := newWorld(t)
	p := w.plan(`ok = human.approve "Go?"
output ok`)
	s := memory.New()
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	answer(t, e, e, start(t, e, p, run.Options{}))
}

func answer(t *testing.T, worker, desk *engine.Engine, id run.ID) {
	t.Helper()
	for ev, err := range worker.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Fact == nil {
			continue
		}
		switch b := ev.Fact.Body.(type) {
		case *run.Asked:
			if err := desk.Answer(t.Context(), id, b.Path, runs.Because("no", "not today"), "ada"); err != nil {
				t.Fatal(err)
			}
		case *run.Answered:
			if b.Value != "no" || b.Reason != "not today" || b.By != "ada" {
				t.Errorf("the answer is kept as %+v", b)
			}
		case *run.Finished:
			if b.Value != "no" {
				t.Errorf("the run ended with %v", b.Value)
			}
		}
	}
}
