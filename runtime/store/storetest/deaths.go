package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/storetest/fault"
)

// deaths tells the life of a run, from the first blob to its removal, and lets the process die before and after each write. Then a second life judges what is
// there: what was acknowledged is, what was not is there whole or not at all, nothing is out of reach, and the run can be brought to its end.
func deaths(t *testing.T, open func(t *testing.T) store.Store) {
	if testing.Short() {
		t.Skip("the long form opens a store for each write and side")
	}
	fault.Each(t, fault.Dead, func(t *testing.T, wrap func(store.Store) *fault.Store) {
		s := open(t)
		t.Cleanup(func() { _ = s.Close() })
		l := life{ctx: t.Context(), s: wrap(s)}
		if err := l.live(); err != nil && !errors.Is(err, fault.ErrFault) {
			t.Fatal(err)
		}
		l.judge(t, s)
		secondLife(t, s, l.removing)
	})
}

var (
	text  = []byte("what the run is about")
	story = []run.Fact{startedIn("p", 1), fired(2, "a"), fired(3, "b"), fired(4, "c"), fired(5, "d"), {Seq: 6, At: at, Body: &run.Answered{Path: "q", Value: "yes"}}, fired(7, "e"), fired(8, "f"), end(9)}
)

// life is what a process knows when it dies.
type life struct {
	ctx      context.Context
	s        store.Store
	sure     int // facts that were acknowledged
	maybe    int // and with the write that was under way
	hash     string
	told     bool
	removing bool
	removed  bool
}

func (l *life) live() (err error) {
	ctx, s := l.ctx, l.s
	if l.hash, err = s.PutBlob(ctx, text); err != nil {
		return err
	}
	if err := s.PutDoc(ctx, "plan", "p", 0, text); err != nil {
		return err
	}
	var lease run.Lease
	err = l.facts(1, func() (err error) {
		lease, err = s.Create(ctx, "r", "me", 0, story[0])
		return err
	})
	if err != nil {
		return err
	}
	step := func(head, to int) error {
		return l.facts(to, func() error { return s.Append(ctx, lease, run.Seq(head), story[head:to]...) })
	}
	take := func() error {
		h, ok, _, err := s.Dequeue(ctx, "p")
		if err == nil && (!ok || h.Run != "r") {
			err = errors.New("there is no hint")
		}
		if err == nil {
			lease, err = s.Claim(ctx, h.Run, "me", 0)
		}
		return err
	}
	for _, do := range []func() error{
		func() error {
			return s.PutEntries(ctx, store.Entry{Run: "r", Status: run.Running, Started: at, Seq: 1})
		},
		func() error { return step(1, 3) },
		func() error {
			_, err := s.Take(ctx, "agent", "r", 1, time.Hour)
			return err
		},
		func() error { return step(3, 5) },
		func() error { return s.Give(ctx, "agent", "r") },
		func() error { return s.Rest(ctx, lease, 5, time.Time{}) },
		func() error {
			return s.PutEntries(ctx, store.Entry{Run: "r", Status: run.Waiting, Started: at, Seq: 5})
		},
		func() error {
			l.told = true
			return l.facts(6, func() error {
				_, err := s.Tell(ctx, "r", story[5], "k")
				return err
			})
		},
		take,
		func() error { return step(6, 7) },
		func() error { return s.Rest(ctx, lease, 7, time.Now().Add(-time.Second)) },
		take,
		func() error { return step(7, 9) },
		func() error {
			return s.PutEntries(ctx, store.Entry{Run: "r", Status: run.Succeeded, Started: at, Seq: 9})
		},
		func() error { return s.Release(ctx, lease) },
		func() error {
			l.removing = true
			return s.Remove(ctx, "r")
		},
		func() error {
			l.removed = true
			return s.DropBlob(ctx, l.hash, time.Now().Add(time.Hour))
		},
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func (l *life) facts(to int, write func() error) error {
	l.maybe = to
	err := write()
	if err == nil {
		l.sure = to
	}
	return err
}

func (l *life) judge(t *testing.T, s store.Store) {
	facts, err := s.Load(t.Context(), "r", 0)
	switch {
	case errors.Is(err, store.ErrNotFound):
		if l.sure > 0 && !l.removing {
			t.Errorf("%d facts were acknowledged and are lost", l.sure)
		}
		return
	case err != nil:
		t.Fatal(err)
	case l.removed:
		t.Error("what was removed is there")
	case len(facts) != l.sure && len(facts) != l.maybe:
		t.Errorf("%d facts are there, want %d or %d", len(facts), l.sure, l.maybe)
	}
	if diff := cmp.Diff(story[:len(facts)], facts); diff != "" {
		t.Error(diff)
	}
	if data, err := s.GetBlob(t.Context(), l.hash); err != nil || string(data) != string(text) {
		t.Errorf("the run is there and its blob is not: %q, %v", data, err)
	}
	if len(facts) == len(story) {
		return
	}
	owner, err := s.Holder(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	waits := len(facts) == 5 && !slices.Contains(ids(t, store.Named(s.Strays(t.Context(), "p"))), "r") // for an answer, perhaps
	if !waits && owner == "" && !slices.Contains(ids(t, store.Named(s.Strays(t.Context(), "p"))), "r") && len(drain(t, s, "p")) == 0 {
		t.Errorf("nobody will ever wake the run, which has %d facts", len(facts))
	}
}

// secondLife begins where the first one ended, under the same name, and brings the run to its end.
func secondLife(t *testing.T, s store.Store, removing bool) {
	ctx := t.Context()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	hash, err := s.PutBlob(ctx, text)
	fail(err)
	if err := s.PutDoc(ctx, "plan", "p", 0, text); err != nil && !errors.Is(err, store.ErrConflict) {
		t.Fatal(err)
	}
	if !removing {
		if l, err := s.Create(ctx, "r", "me", 0, story[0]); err == nil {
			fail(s.Release(ctx, l))
		} else if !errors.Is(err, store.ErrExists) {
			t.Fatal(err)
		}
	}
	for to := range story {
		facts, err := s.Load(ctx, "r", 0)
		if removing && errors.Is(err, store.ErrNotFound) {
			return
		}
		fail(err)
		head := run.Seq(len(facts))
		if int(head) > to {
			continue
		}
		if to == 5 {
			_, err := s.Tell(ctx, "r", story[5], "k")
			fail(err)
			continue
		}
		l, err := s.Claim(ctx, "r", "me", 0)
		fail(err)
		fail(s.Append(ctx, l, head, story[to]))
		fail(s.Release(ctx, l))
	}
	if seq, err := s.Tell(ctx, "r", story[5], "k"); err != nil || seq != 6 {
		t.Errorf("told again: %d, %v", seq, err)
	}
	if diff := cmp.Diff(story, load(t, s, "r", 0)); diff != "" {
		t.Error(diff)
	}
	fail(s.PutEntries(ctx, store.Entry{Run: "r", Status: run.Succeeded, Started: at, Seq: 9}))
	if all, _, err := s.List(ctx, store.Filter{}); err != nil || len(all) != 1 || all[0].Status != run.Succeeded {
		t.Errorf("the list is %+v, %v", all, err)
	}
	if ok, err := s.Take(ctx, "agent", "r", 1, time.Hour); err != nil || !ok {
		t.Errorf("its own slot is taken: %v", err)
	}
	if got := ids(t, s.Unfinished(ctx, "")); len(got) != 0 {
		t.Errorf("unfinished are %v", got)
	}
	fail(s.Remove(ctx, "r"))
	fail(s.DropBlob(ctx, hash, time.Now().Add(time.Hour)))
	if got := listBlobs(t, s); len(got) != 0 {
		t.Errorf("blobs are left: %v", got)
	}
}
