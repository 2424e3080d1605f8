package engine_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// employ makes a worker of an engine; dismiss ends its work.
func employ(t *testing.T, e *engine.Engine) (dismiss func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := e.Work(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// A run that its process left behind is taken up by another worker of its pool: at once with a hint, after a sweep without one; runs of other pools are not.
func TestAWorkerTakesUpWhatWasLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.model("m", func(ctx context.Context, c *agent.Call) agent.Reply {
			if c.Attempt == 1 {
				<-ctx.Done()
			}
			return agent.Reply{Value: fmt.Sprint("attempt ", c.Attempt)}
		})
		p := w.plan(`output m "x"`)
		s := memory.New()
		dead := engine.New(engine.Config{Registry: w.registry, Store: s, Owner: "dead"})
		id := start(t, dead, p, run.Options{Pool: "server"})
		foreign := start(t, dead, p, run.Options{Pool: "cli"})
		synctest.Wait()
		s.Void("dead")

		worker := engine.New(engine.Config{Registry: w.registry, Store: s, Owner: "worker", Pool: "server"})
		defer shut(t, worker)
		dismiss := employ(t, worker)
		began := time.Now()
		if end := wait(t, worker, id); end.Value != "attempt 2" {
			t.Errorf("got %+v", end)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the sweep at the start took it up after %s", took)
		}

		// The process dies once more while the worker is at work: the next sweep finds the run.
		id = start(t, dead, p, run.Options{Pool: "server"})
		synctest.Wait()
		s.Void("dead")
		began = time.Now()
		wait(t, worker, id)
		if took := time.Since(began); took > engine.DefaultSweep+time.Second {
			t.Errorf("the sweep took it up after %s", took)
		}
		shut(t, dead)
		dismiss()
		if facts, _ := s.Load(t.Context(), foreign, 0); len(facts) != 2 {
			t.Errorf("the run of another pool went on: %v", facts)
		}
	})
}

// What rests is in nobody's memory: the hint that rest leaves, or that an answer leaves, wakes it in whatever worker comes first.
func TestWorkersWakeEachOthersRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := memory.New()
		var engines [2]*engine.Engine
		for i := range engines {
			engines[i] = engine.New(engine.Config{Registry: w.registry, Store: s, Pool: "server", Owner: fmt.Sprint(i), Lease: engine.DefaultLease})
			defer shut(t, engines[i])
		}
		dismiss := employ(t, engines[0])
		id := start(t, engines[0], w.plan(pausing), run.Options{})
		time.Sleep(time.Minute)
		if n := engines[0].Resident(); n != 0 {
			t.Errorf("%d runs are in memory", n)
		}
		dismiss()
		shut(t, engines[0])
		defer employ(t, engines[1])()
		if err := engines[1].Answer(t.Context(), id, "ok", "yes", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Hour + time.Minute)
		if err := engines[1].Answer(t.Context(), id, "again", "well", ""); err != nil {
			t.Fatal(err)
		}
		if end := wait(t, engines[1], id); end.Value != "well" {
			t.Errorf("got %+v", end)
		}
	})
}

// Two workers share what waits in the store's line: each takes what it has room for, the higher priority first.
func TestWorkersShareTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := &meter{origin: time.Now()}
		w.model("m", m.call)
		p := w.plan(`output m "x"`)
		s := memory.New()
		var dismiss []func()
		var engines [2]*engine.Engine
		for i := range engines {
			engines[i] = engine.New(engine.Config{Registry: w.registry, Store: s, Pool: "server", Owner: fmt.Sprint(i), MaxResident: 2, MaxQueued: 8})
			dismiss = append(dismiss, employ(t, engines[i]))
			defer shut(t, engines[i])
			synctest.Wait()
		}
		var ids []run.ID
		for range 8 {
			ids = append(ids, start(t, engines[0], p, run.Options{}))
		}
		for _, id := range ids {
			wait(t, engines[1], id)
		}
		if took := time.Since(m.origin); took != 2*time.Second || m.most != 4 {
			t.Errorf("8 runs of a second, 4 at a time, took %s with %d at a time", took, m.most)
		}
		for _, d := range dismiss {
			d()
		}
	})
}

// An engine that drains lets calls under way end, begins none, and leaves each run to another worker, which needs no sweep to find it.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var calls atomic.Int32
		w.doer("make", func(ctx context.Context, c *agent.Call) agent.Reply {
			calls.Add(1)
			select {
			case <-time.After(20 * time.Second):
				return agent.Reply{Value: "made"}
			case <-ctx.Done():
				return agent.Fail(run.Failure, "told to end")
			}
		})
		p := w.plan(`a = make "a"
b = make "b" after a
ok = human.ask "Well?" after b
output "<<a>> <<b>> <<ok>>"`)
		s := memory.New()
		old := engine.New(engine.Config{Registry: w.registry, Store: s, Pool: "server", Owner: "old", Lease: engine.DefaultLease})
		dismiss := employ(t, old)
		id := start(t, old, p, run.Options{})
		time.Sleep(time.Second)
		if err := old.Drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		dismiss()
		facts, _ := s.Load(t.Context(), id, 0)
		if kind := facts[len(facts)-1].Kind(); kind != "call_done" || calls.Load() != 1 {
			t.Errorf("after %d calls the last fact is %s", calls.Load(), kind)
		}
		if n, err := s.Queued(t.Context(), "server"); n != 1 || err != nil {
			t.Errorf("%d hints are left, %v", n, err)
		}
		fresh := engine.New(engine.Config{Registry: w.registry, Store: s, Pool: "server", Owner: "new", Lease: engine.DefaultLease, Sweep: 24 * time.Hour})
		defer shut(t, fresh)
		defer employ(t, fresh)()
		asked(t, fresh, id)
		if err := fresh.Answer(t.Context(), id, "ok", "yes", ""); err != nil {
			t.Fatal(err)
		}
		if end := wait(t, fresh, id); end.Value != "made made yes" || calls.Load() != 2 {
			t.Errorf("after %d calls: %+v", calls.Load(), end)
		}
	})
}

// A drain that is in a hurry cuts off what does not end in time: a person is asked about a `do`.
func TestADrainHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.doer("make", hang)
		s := memory.New()
		old := engine.New(engine.Config{Registry: w.registry, Store: s, Pool: "server", Owner: "old"})
		dismiss := employ(t, old)
		id := start(t, old, w.plan(`output make "x"`), run.Options{})
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := old.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		dismiss()
		fresh := engine.New(engine.Config{Registry: w.registry, Store: s, Pool: "server", Owner: "new", Sweep: 24 * time.Hour})
		defer shut(t, fresh)
		defer employ(t, fresh)()
		if q := asked(t, fresh, id); q.Form.Kind != "interrupted" {
			t.Errorf("the question is %+v", q)
		}
		if err := fresh.Cancel(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		wait(t, fresh, id)
	})
}

// Who leaves a run that is kept waits for what changes the world, and for nothing else.
func TestPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var made, told atomic.Int32
		w.doer("make", func(context.Context, *agent.Call) agent.Reply {
			made.Add(1)
			time.Sleep(5 * time.Second)
			return agent.Reply{Value: "made"}
		})
		w.model("ponder", func(ctx context.Context, c *agent.Call) agent.Reply {
			if told.Add(1) > 1 {
				return agent.Reply{Value: "pondered"}
			}
			return hang(ctx, c)
		})
		s := memory.New()
		p := w.plan("a = make \"a\"\nb = ponder \"b\"\noutput \"<<a>> <<b>>\"")
		old := engine.New(engine.Config{Registry: w.registry, Store: s})
		id := start(t, old, p, run.Options{})
		time.Sleep(time.Second)
		begun := time.Now()
		if err := old.Part(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 4*time.Second || took > 5*time.Second {
			t.Errorf("it took %v to leave", took)
		}

		again := engine.New(engine.Config{Registry: w.registry, Store: s})
		if err := again.Adopt(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if end := wait(t, again, id); end.Value != "made pondered" || made.Load() != 1 || told.Load() != 2 {
			t.Errorf("after %d deeds and %d thoughts: %+v", made.Load(), told.Load(), end)
		}
		shut(t, again)

		told.Store(0)
		third := engine.New(engine.Config{Registry: w.registry, Store: s})
		start(t, third, w.plan(`output ponder "b"`), run.Options{})
		time.Sleep(time.Second)
		begun = time.Now()
		if err := third.Part(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v to leave a thought", took)
		}
	})
}

// Lists that lost a write are repaired when a worker starts.
func TestReconcile(t *testing.T) {
	w := newWorld(t)
	s := memory.New()
	e := engine.New(engine.Config{Registry: w.registry, Store: s, Pool: "server"})
	ended := start(t, e, w.plan(`output "x"`), run.Options{})
	waits := start(t, e, w.plan(`output human.ask "x"`), run.Options{})
	wait(t, e, ended)
	asked(t, e, waits)
	shut(t, e)
	lost, err := s.GetEntry(t.Context(), ended)
	if err != nil {
		t.Fatal(err)
	}
	lost.Status = run.Running
	if err := s.PutEntries(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	e = engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	if err := e.Reconcile(t.Context(), "server"); err != nil {
		t.Fatal(err)
	}
	list, _, err := s.List(t.Context(), store.Filter{})
	if err != nil || len(list) != 2 || list[1].Status != run.Succeeded || list[0].Status != run.Waiting {
		t.Errorf("got %+v, %v", list, err)
	}
}
