package engine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// Lists show a run as it is at every stop of its life, and what they show is what its facts say.
func TestListsShowARunAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.model("fails", func(ctx context.Context, c *agent.Call) agent.Reply {
			return agent.Reply{Outcome: run.Refused, Message: "no", Usage: run.Usage{Cost: 7}}
		})
		p := w.plan(`ok = human.approve "Go?"
require ok == "yes" else "no"
w = wait "1h"
output fails "x" after w`)
		s := memory.New()
		e := engine.New(engine.Config{Registry: w.registry, Store: s})
		defer shut(t, e)
		id := start(t, e, p, run.Options{Pool: "here", Tenant: "t", Tags: []string{"a", "b"}})
		check := func(want store.Entry) {
			t.Helper()
			synctest.Wait()
			facts, err := s.Load(t.Context(), id, 0)
			if err != nil {
				t.Fatal(err)
			}
			want.Run, want.Flow, want.Started, want.Pool, want.Tenant, want.Tags = id, "main", facts[0].At, "here", "t", []string{"a", "b"}
			want.Seq = facts[len(facts)-1].Seq
			got, err := s.GetEntry(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(engine.Entry(id, p, facts), got); diff != "" {
				t.Errorf("the facts say otherwise: %s", diff)
			}
		}
		check(store.Entry{Status: run.Waiting, Waiting: []run.Path{"ok"}})
		if err := e.Pause(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		check(store.Entry{Status: run.Paused, Waiting: []run.Path{"ok"}})
		if err := e.Answer(t.Context(), id, "ok", "yes", ""); err != nil {
			t.Fatal(err)
		}
		check(store.Entry{Status: run.Paused})
		if err := e.Resume(t.Context(), id, "", ""); err != nil {
			t.Fatal(err)
		}
		check(store.Entry{Status: run.Running})
		end := wait(t, e, id)
		facts, _ := s.Load(t.Context(), id, 0)
		check(store.Entry{Status: run.Failed, Finished: facts[len(facts)-1].At, Code: end.Error.Code, Cost: 7, CostSource: run.Reported})
	})
}

// forgetful loses what is written into its index.
type forgetful struct{ store.Store }

func (forgetful) PutEntries(context.Context, ...store.Entry) error { return errors.New("lost") }

func TestALostEntryFailsNoRunAndIsRepaired(t *testing.T) {
	w := newWorld(t)
	s := memory.New()
	e := engine.New(engine.Config{Registry: w.registry, Store: forgetful{s}})
	p := w.plan(`output human.approve "Go?"`)
	id := start(t, e, w.plan(`output "x"`), run.Options{})
	open := start(t, e, p, run.Options{})
	if end := wait(t, e, id); end.Value != "x" {
		t.Errorf("got %+v", end)
	}
	asked(t, e, open)
	shut(t, e)
	e = engine.New(engine.Config{Registry: w.registry, Store: s})
	if err := e.Relist(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetEntry(t.Context(), id); err != nil || got.Status != run.Succeeded {
		t.Errorf("derived again: %+v, %v", got, err)
	}
	if err := e.Adopt(t.Context(), open); err != nil {
		t.Fatal(err)
	}
	shut(t, e)
	if got, err := s.GetEntry(t.Context(), open); err != nil || len(got.Waiting) != 1 {
		t.Errorf("taken up again: %+v, %v", got, err)
	}
}

// picky refuses the entries of one flow, alone or among others.
type picky struct {
	store.Store
	gate    chan struct{} // holds the first write up, so that the next ones come together
	refused atomic.Int32
}

func (p *picky) PutEntries(ctx context.Context, entries ...store.Entry) error {
	<-p.gate
	for _, e := range entries {
		if e.Flow == "bad" {
			p.refused.Add(1)
			return errors.New("refused")
		}
	}
	return p.Store.PutEntries(ctx, entries...)
}

func TestTheTroubleOfOneEntryIsNotEverybodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.plan(`output "x"`)
		bad := *p
		bad.Name = "bad"
		s := &picky{Store: memory.New(), gate: make(chan struct{})}
		e := engine.New(engine.Config{Registry: w.registry, Store: s})
		defer shut(t, e)
		start(t, e, p, run.Options{})
		synctest.Wait()
		ids := []run.ID{start(t, e, p, run.Options{}), start(t, e, &bad, run.Options{}), start(t, e, p, run.Options{})}
		synctest.Wait()
		close(s.gate)
		synctest.Wait()
		for i, want := range []bool{true, false, true} {
			if _, err := s.GetEntry(t.Context(), ids[i]); (err == nil) != want {
				t.Errorf("the entry of run %d: %v", i, err)
			}
		}
		if n := s.refused.Load(); n != 2 {
			t.Errorf("it was refused %d times, want once among others and once alone", n)
		}
	})
}

// asked waits until a run has put a question.
func asked(t *testing.T, e *engine.Engine, id run.ID) *run.Asked {
	t.Helper()
	for ev, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Fact == nil {
			continue
		}
		if b, ok := ev.Fact.Body.(*run.Asked); ok {
			return b
		}
	}
	t.Fatal("the run ended without a question")
	return nil
}
