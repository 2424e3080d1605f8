package engine_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
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

// shy counts the blobs it is given and refuses the first.
type shy struct {
	store.Store
	count atomic.Int32
}

func (s *shy) PutBlob(ctx context.Context, data []byte) (string, error) {
	time.Sleep(time.Second)
	if s.count.Add(1) == 1 {
		return "", errors.New("not now")
	}
	return s.Store.PutBlob(ctx, data)
}

// Of many who start one plan at the same time one stores it; when that fails, the next one does.
func TestAPlanIsStoredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.plan(`output "x"`)
		s := &shy{Store: memory.New()}
		e := engine.New(engine.Config{Registry: w.registry, Store: s})
		defer shut(t, e)
		var group sync.WaitGroup
		var failed atomic.Int32
		for range 20 {
			group.Go(func() {
				if _, err := e.Start(t.Context(), p, nil, run.Options{}); err != nil {
					failed.Add(1)
				}
			})
		}
		group.Wait()
		if s.count.Load() != 2 || failed.Load() != 1 {
			t.Errorf("it was stored %d times, and %d of 20 runs could not start", s.count.Load(), failed.Load())
		}
	})
}

// A run that its starter names is begun once, however often that is asked for.
func TestARunOfAGivenIDIsBegunOnce(t *testing.T) {
	w := newWorld(t)
	e := engine.New(engine.Config{Registry: w.registry, Store: memory.New()})
	defer shut(t, e)
	p, id := w.plan(`output "hi"`), run.NewID(time.Now(), [10]byte{7})
	if got, err := e.Start(t.Context(), p, nil, run.Options{ID: id}); err != nil || got != id {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := e.Start(t.Context(), p, nil, run.Options{ID: id}); !errors.Is(err, runs.ErrExists) {
		t.Errorf("the second start says %v", err)
	}
	if end, err := e.Wait(t.Context(), id); err != nil || end.Value != "hi" {
		t.Errorf("it ended with %v, %v", end, err)
	}
}

// So is a fork, also while it is still as it was begun.
func TestAForkOfAGivenIDIsBegunOnce(t *testing.T) {
	w := newWorld(t)
	e := engine.New(engine.Config{Registry: w.registry, Store: memory.New()})
	defer shut(t, e)
	origin, err := e.Start(t.Context(), w.plan(`a = echo "a"
output echo "<<a>>!"`), nil, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Wait(t.Context(), origin); err != nil {
		t.Fatal(err)
	}
	id := run.NewID(time.Now(), [10]byte{9})
	change := runs.Change{From: "output", ID: id}
	if got, err := e.SubmitFork(t.Context(), origin, change); err != nil || got != id {
		t.Fatalf("%v, %v", got, err)
	}
	for range 3 {
		if _, err := e.SubmitFork(t.Context(), origin, change); !errors.Is(err, runs.ErrExists) {
			t.Errorf("another fork of that id says %v", err)
		}
	}
}
