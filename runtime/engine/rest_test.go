package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store/memory"
)

const pausing = `ok = human.approve "Go?"
require ok == "yes" else "no"
w = wait "2h"
again = human.ask "And?" after w
output again`

// A run that waits has no session: an answer, a time, another process wakes it, and whoever watches or waits does not notice.
func TestARestingRunIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := memory.New()
		e := engine.New(engine.Config{Registry: w.registry, Store: s})
		other := engine.New(engine.Config{Registry: w.registry, Store: s})
		defer shut(t, e)
		defer shut(t, other)
		id := start(t, e, w.plan(pausing), run.Options{})
		ended := make(chan run.Finished)
		go func() { ended <- wait(t, e, id) }()
		var kinds []string
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			last := run.Seq(0)
			for ev, err := range e.Watch(t.Context(), id, 0) {
				if err != nil {
					t.Error(err)
					return
				}
				if last++; ev.Fact.Seq != last {
					t.Errorf("fact %d comes as number %d", ev.Fact.Seq, last)
				}
				kinds = append(kinds, ev.Fact.Kind())
			}
		}()
		rests := func(what string) {
			t.Helper()
			time.Sleep(engine.DefaultLinger + time.Second)
			synctest.Wait()
			if n := e.Resident(); n != 0 {
				t.Errorf("%s: %d runs are in memory", what, n)
			}
			if owner, err := s.Holder(t.Context(), id); owner != "" || err != nil {
				t.Errorf("%s: %q holds the lease, %v", what, owner, err)
			}
		}
		rests("while it asks")
		if err := e.Answer(t.Context(), id, "other", "yes", ""); !errors.Is(err, runs.ErrNotAsked) {
			t.Errorf("an answer to nothing: %v", err)
		}
		if err := e.Answer(t.Context(), id, "ok", "yes", "ada"); err != nil {
			t.Fatal(err)
		}
		rests("while it waits")
		if err := e.Answer(t.Context(), id, "ok", "no", "eve"); !errors.Is(err, runs.ErrAnswered) {
			t.Errorf("a second answer: %v", err)
		}
		time.Sleep(2 * time.Hour)
		rests("while it asks again")
		if err := other.Answer(t.Context(), id, "again", "well", "bob"); err != nil {
			t.Fatal(err)
		}
		if end := <-ended; end.Value != "well" {
			t.Errorf("got %+v", end)
		}
		<-watched
		if got := strings.Join(kinds, " "); got != "started asked answered timer_fired asked answered finished" {
			t.Errorf("watched: %s", got)
		}
	})
}

// Who answers at once does not wait for a fold.
func TestARunLingersBeforeItRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e := engine.New(engine.Config{Registry: w.registry})
		defer shut(t, e)
		id := start(t, e, w.plan(pausing), run.Options{})
		time.Sleep(engine.DefaultLinger - time.Second)
		if e.Resident() != 1 {
			t.Error("it does not linger")
		}
		if err := e.Cancel(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		wait(t, e, id)
	})
}

// A log that grows between the decision to rest and its writing keeps the run awake.
func TestWhatIsToldToARunThatLiesDownIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := memory.New()
		e := engine.New(engine.Config{Registry: w.registry, Store: s})
		defer shut(t, e)
		const n = 20
		var ids []run.ID
		for range n {
			ids = append(ids, start(t, e, w.plan(`output human.ask "Go?"`), run.Options{}))
		}
		time.Sleep(engine.DefaultLinger)
		for i, id := range ids { // at the very moment
			if _, err := s.Tell(t.Context(), id, run.Fact{At: time.Now().UTC(), Body: &run.Answered{Path: "output", Value: fmt.Sprint(i)}}, ""); err != nil {
				t.Fatal(err)
			}
		}
		for i, id := range ids {
			if end := wait(t, e, id); end.Value != fmt.Sprint(i) {
				t.Errorf("got %+v", end)
			}
		}
	})
}

// Runs that wait cost next to nothing: no goroutine, and of memory little more than their log. SLOP_LONG=1 has ten thousand.
func TestManyRunsThatWait(t *testing.T) {
	n := 1000
	if os.Getenv("SLOP_LONG") != "" {
		n = 10_000
	}
	w := newWorld(t)
	s := memory.New()
	e := engine.New(engine.Config{Registry: w.registry, Store: s, MaxResident: 512, Linger: 50 * time.Millisecond})
	defer shut(t, e)
	p := w.plan(`w = wait "1h"
output echo "x" after w`)
	weigh := func() (heap uint64, goroutines int) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse, runtime.NumGoroutine()
	}
	heap, goroutines := weigh()
	for range n {
		start(t, e, p, run.Options{})
	}
	for deadline := time.Now().Add(time.Minute); e.Resident() > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond) // nothing tells that a run has lain down
	}
	heaps, more := weigh()
	each := int64(heaps-heap) / int64(n)
	t.Logf("%d bytes each, %d goroutines more", each, more-goroutines)
	if each > 10<<10 {
		t.Errorf("%d bytes each", each)
	}
	if more-goroutines > 200 {
		t.Errorf("%d goroutines more", more-goroutines)
	}
}

// More runs than there is room for wait in line, the higher priority first; beyond the bound Start refuses.
func TestRunsWaitInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := &meter{origin: time.Now()}
		w.model("m", m.call)
		s := memory.New()
		e := engine.New(engine.Config{Registry: w.registry, Store: s, MaxResident: 1, MaxQueued: 3})
		defer shut(t, e)
		p := func(name string) run.ID {
			priority := 0
			if name == "urgent" {
				priority = 1
			}
			time.Sleep(time.Millisecond) // who comes first is known by the clock
			return start(t, e, w.plan(`output m "`+name+`"`), run.Options{Priority: priority})
		}
		ids := []run.ID{p("first"), p("second"), p("third"), p("urgent")}
		_, err := e.Start(t.Context(), w.plan(`output m "x"`), nil, run.Options{})
		var busy *runs.BusyError
		if !errors.As(err, &busy) || busy.Bound != 3 || !errors.Is(err, runs.ErrBusy) {
			t.Errorf("a fifth run: %v", err)
		}
		synctest.Wait()
		if got, err := s.GetEntry(t.Context(), ids[1]); err != nil || got.Status != run.Queued {
			t.Errorf("in line: %+v, %v", got, err)
		}
		for _, id := range ids {
			wait(t, e, id)
		}
		if got := strings.Join(m.order, " "); got != "first urgent second third" {
			t.Errorf("the order is %s", got)
		}
	})
}

// Whoever has lost its lease stops, and what it writes is refused.
func TestALostLeaseStopsItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		told := make(chan struct{})
		w.model("m", func(ctx context.Context, c *agent.Call) agent.Reply {
			if c.Attempt == 1 {
				<-ctx.Done()
				close(told)
			}
			return agent.Reply{Value: fmt.Sprint("attempt ", c.Attempt)}
		})
		s := memory.New()
		old := engine.New(engine.Config{Registry: w.registry, Store: s, Owner: "old", Lease: engine.DefaultLease})
		defer shut(t, old)
		id := start(t, old, w.plan(`output m "x"`), run.Options{})
		time.Sleep(time.Hour) // its lease is made to last
		fresh := engine.New(engine.Config{Registry: w.registry, Store: s, Owner: "new", Lease: engine.DefaultLease})
		defer shut(t, fresh)
		if err := fresh.Adopt(t.Context(), id); err == nil {
			t.Fatal("two hold the lease")
		}
		s.Void("old") // as after a stop of the process past the end of its lease
		if err := fresh.Adopt(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		<-told
		if end := wait(t, old, id); end.Value != "attempt 2" {
			t.Errorf("got %+v", end)
		}
		if old.Resident() != 0 {
			t.Error("the session without a lease goes on")
		}
	})
}
