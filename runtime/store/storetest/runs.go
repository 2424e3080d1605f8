package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

func ids(t *testing.T, all iter.Seq2[run.ID, error]) []run.ID {
	t.Helper()
	var out []run.ID
	for id, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, id)
	}
	return out
}

// eventually asks again until it is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func large(t *testing.T, s store.Store) {
	l := create(t, s, "r")
	value := strings.Repeat("0123456789abcdef", 2<<10)
	var batch []run.Fact
	for seq := run.Seq(2); seq < 102; seq++ {
		batch = append(batch, run.Fact{Seq: seq, At: at, Body: &run.CallDone{Path: "x", Attempt: 1, Value: fmt.Sprint(seq, value)}})
	}
	if err := s.Append(t.Context(), l, 1, batch...); err != nil {
		t.Fatal(err)
	}
	for _, after := range []run.Seq{1, 2, 50, 100} {
		if diff := cmp.Diff(batch[after-1:], load(t, s, "r", after)); diff != "" {
			t.Errorf("after %d: %.300s", after, diff)
		}
	}
}

func odd(t *testing.T, s store.Store) {
	for _, id := range []run.ID{"r", "R", "r ", "r:1", "{r}", "r/é/日", "r*", "r%", "r_", "'r'", "01J9ZK4Q6Y8W3V5T7S2R1P0N9M"} {
		l := create(t, s, id)
		want := []run.Fact{{Seq: 2, At: at, Body: &run.CallDone{Path: run.Path(id), Attempt: 1, Value: "line\nline\r\n\x00\t\"" + string(id) + "\u2028", AgentID: string(id)}}}
		if err := s.Append(t.Context(), l, 1, want...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, load(t, s, id, 1)); diff != "" {
			t.Error(diff)
		}
		if _, err := s.Tell(t.Context(), id, run.Fact{At: at, Body: &run.PauseAsked{}}, string(id)); err != nil {
			t.Error(err)
		}
	}
}

func creators(t *testing.T, s store.Store) {
	var group sync.WaitGroup
	var won atomic.Int32
	for range 8 {
		group.Go(func() {
			_, err := s.Create(t.Context(), "r", "me", 0, started())
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, store.ErrExists) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d created the run", won.Load())
	}
}

func claimers(t *testing.T, s store.Store) {
	if err := s.Release(t.Context(), create(t, s, "r")); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var won atomic.Int32
	for i := range 8 {
		group.Go(func() {
			l, err := s.Claim(t.Context(), "r", fmt.Sprint("worker ", i), time.Hour)
			if err == nil {
				won.Add(1)
				if l.Run != "r" || l.Owner != fmt.Sprint("worker ", i) || l.Until.IsZero() {
					t.Errorf("the lease is %+v", l)
				}
			} else if !errors.Is(err, store.ErrHeld) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d hold the lease", won.Load())
	}
}

func sameTells(t *testing.T, s store.Store) {
	create(t, s, "r")
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if seq, err := s.Tell(t.Context(), "r", run.Fact{At: at, Body: &run.PauseAsked{}}, "k"); err != nil || seq != 2 {
				t.Errorf("told at %d, %v", seq, err)
			}
		})
	}
	group.Wait()
	if got := load(t, s, "r", 0); len(got) != 2 {
		t.Errorf("%d facts", len(got))
	}
}

func toldCancelled(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range s.Told(ctx) {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		cancel()
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	for _, err := range s.Hinted(ctx, "p") {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		cancel()
	}
}

// crowd appends to many runs at once, as an engine does, and reads them while they grow.
func crowd(t *testing.T, s store.Store) {
	const runs, appends = 20, 10
	var group sync.WaitGroup
	for i := range runs {
		id := run.ID(fmt.Sprint("r", i))
		group.Go(func() {
			l, err := s.Create(t.Context(), id, "me", time.Hour, started())
			if err != nil {
				t.Error(err)
				return
			}
			for head := run.Seq(1); head < 2*appends; head += 2 {
				if err := s.Append(t.Context(), l, head, fired(head+1, string(id)), fired(head+2, string(id))); err != nil {
					t.Error(err)
					return
				}
				facts, err := s.Load(t.Context(), id, head)
				if err != nil || len(facts) != 2 || facts[1].Seq != head+2 {
					t.Errorf("%s after %d: %v, %v", id, head, facts, err)
				}
			}
		})
	}
	group.Wait()
	for i := range runs {
		id := run.ID(fmt.Sprint("r", i))
		for j, f := range load(t, s, id, 0) {
			if f.Seq != run.Seq(j+1) || j > 0 && f.Body.(*run.TimerFired).Timer != string(id) {
				t.Fatalf("fact %d of %s is %+v", j+1, id, f)
			}
		}
	}
	if got := ids(t, s.Unfinished(t.Context(), "")); len(got) != runs {
		t.Errorf("%d runs are unfinished", len(got))
	}
}

func rest(t *testing.T, s store.Store) {
	ctx := t.Context()
	l, err := s.Create(ctx, "r", "me", time.Hour, startedIn("p", 3))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tell(ctx, "r", run.Fact{At: at, Body: &run.PauseAsked{}}, ""); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "at a head that moved", s.Rest(ctx, l, 1, time.Time{}), store.ErrConflict)
	if err := s.Append(ctx, l, 2, fired(3, "a")); err != nil {
		t.Errorf("a Rest that was refused took the lease: %v", err)
	}
	drain(t, s, "p")
	wake := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	if err := s.Rest(ctx, l, 3, wake); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "append of who rests", s.Append(ctx, l, 3, fired(4, "a")), store.ErrFenced)
	_, ok, next, err := s.Dequeue(ctx, "p")
	if err != nil || ok || !next.Equal(wake) {
		t.Errorf("the queue has a hint: %v, at %v instead of %v, %v", ok, next, wake, err)
	}
	if _, err := s.Tell(ctx, "r", run.Fact{At: at, Body: &run.PauseAsked{}}, ""); err != nil {
		t.Fatal(err)
	}
	h, ok, _, err := s.Dequeue(ctx, "p")
	if err != nil || !ok || h.Run != "r" || h.Pool != "p" || h.Priority != 3 {
		t.Errorf("told while it rests: %+v, %v, %v", h, ok, err)
	}
	_, err = s.Claim(ctx, "r", "other", time.Hour)
	if err != nil {
		t.Errorf("a run that rests is free: %v", err)
	}
	wantErr(t, "Rest of a former holder", s.Rest(ctx, l, 4, time.Time{}), store.ErrFenced)
	wantErr(t, "Rest of nothing", s.Rest(ctx, run.Lease{Run: "nobody", Token: 1, Owner: "me"}, 1, time.Time{}), store.ErrNotFound)
}

// drain empties a queue and gives what was in it.
func drain(t *testing.T, s store.Store, pool string) []store.Hint {
	t.Helper()
	var out []store.Hint
	for {
		h, ok, _, err := s.Dequeue(t.Context(), pool)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return out
		}
		out = append(out, h)
	}
}

func holder(t *testing.T, s store.Store) {
	ctx := t.Context()
	is := func(what, want string) {
		t.Helper()
		if got, err := s.Holder(ctx, "r"); err != nil || got != want {
			t.Errorf("%s: %q holds it, %v", what, got, err)
		}
	}
	_, err := s.Holder(ctx, "r")
	wantErr(t, "before it is there", err, store.ErrNotFound)
	l := create(t, s, "r")
	is("created", "me")
	if err := s.Release(ctx, l); err != nil {
		t.Fatal(err)
	}
	is("released", "")
	if _, err = s.Claim(ctx, "r", "other", 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lease lapses", func() bool {
		got, err := s.Holder(ctx, "r")
		if err != nil || got != "" && got != "other" {
			t.Fatalf("%q, %v", got, err)
		}
		return got == ""
	})
}

func strays(t *testing.T, s store.Store) {
	ctx := t.Context()
	leases := map[run.ID]run.Lease{}
	for _, id := range []run.ID{"held", "freed", "hinted", "rests", "wakes", "done", "told", "lapsed", "elsewhere"} {
		pool := "p"
		if id == "elsewhere" {
			pool = "q"
		}
		l, err := s.Create(ctx, id, "me", time.Hour, startedIn(pool, 0))
		if err != nil {
			t.Fatal(err)
		}
		leases[id] = l
	}
	are := func(what string, want ...run.ID) {
		t.Helper()
		got := ids(t, store.Named(s.Strays(ctx, "p")))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v stray, want %v", what, got, want)
		}
	}
	are("all are held")
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []run.ID{"freed", "hinted", "elsewhere"} {
		fail(s.Release(ctx, leases[id]))
	}
	fail(s.Enqueue(ctx, store.Hint{Run: "hinted", Pool: "p", Due: time.Now().Add(time.Hour)}))
	fail(s.Rest(ctx, leases["rests"], 1, time.Time{}))
	fail(s.Rest(ctx, leases["told"], 1, time.Time{}))
	fail(s.Rest(ctx, leases["wakes"], 1, time.Now().Add(time.Hour)))
	fail(s.Append(ctx, leases["done"], 1, end(2)))
	fail(s.Release(ctx, leases["done"]))
	are("some are not", "freed")
	_, err := s.Tell(ctx, "told", run.Fact{At: at, Body: &run.PauseAsked{}}, "")
	fail(err)
	are("one was told and has a hint", "freed")
	if h, ok, _, err := s.Dequeue(ctx, "p"); err != nil || !ok || h.Run != "told" {
		t.Fatalf("%+v, %v, %v", h, ok, err)
	}
	are("its hint was taken by somebody who died", "freed", "told")
	_, err = s.Extend(ctx, leases["lapsed"], 50*time.Millisecond)
	fail(err)
	eventually(t, "a lapsed lease strays", func() bool { return slices.Contains(ids(t, store.Named(s.Strays(ctx, "p"))), "lapsed") })
	_, err = s.Claim(ctx, "freed", "other", time.Hour)
	fail(err)
	are("one is claimed", "told", "lapsed")

	urgent, err := s.Create(ctx, "urgent", "me", time.Hour, startedIn("p", 7))
	fail(err)
	fail(s.Release(ctx, urgent))
	for h, err := range s.Strays(ctx, "p") {
		fail(err)
		if h.Run == "urgent" && (h.Priority != 7 || h.Pool != "p" || !h.Due.IsZero()) {
			t.Errorf("the hint that a stray lacks is %+v", h)
		}
	}
	are("one more is free", "told", "lapsed", "urgent")
}

// lapsed asks for what Lapsed must find, and for nothing that is no stray: it may leave others to Strays.
func lapsed(t *testing.T, s store.Store) {
	ctx := t.Context()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const short = 50 * time.Millisecond
	leases := map[run.ID]run.Lease{}
	for id, ttl := range map[run.ID]time.Duration{"lapses": short, "again": short, "extended": short, "rests": time.Hour, "wakes": time.Hour, "hinted": short, "done": time.Hour, "elsewhere": short, "held": time.Hour} {
		pool := "p"
		if id == "elsewhere" {
			pool = "q"
		}
		l, err := s.Create(ctx, id, "me", time.Hour, startedIn(pool, 3))
		fail(err)
		fail(s.Release(ctx, l))
		leases[id], err = s.Claim(ctx, id, "me", ttl)
		fail(err)
		if id == "extended" {
			leases[id], err = s.Extend(ctx, leases[id], time.Hour)
			fail(err)
		}
	}
	fail(s.Rest(ctx, leases["rests"], 1, time.Time{}))
	fail(s.Rest(ctx, leases["wakes"], 1, time.Now().Add(time.Hour)))
	fail(s.Enqueue(ctx, store.Hint{Run: "hinted", Pool: "p"}))
	again, err := s.Claim(ctx, "done", "me", time.Hour)
	fail(err)
	fail(s.Append(ctx, again, 1, end(2)))
	look := func() []run.ID {
		t.Helper()
		var got []run.ID
		for h, err := range s.Lapsed(ctx, "p") {
			fail(err)
			if h.Pool != "p" || h.Priority != 3 || !h.Due.IsZero() {
				t.Errorf("the hint is %+v", h)
			}
			got = append(got, h.Run)
		}
		slices.Sort(got)
		return got
	}
	finds := func(what string, want ...run.ID) {
		t.Helper()
		eventually(t, what, func() bool { return slices.Equal(look(), want) })
		for range 3 { // what it has looked at does not change what it finds
			if got := look(); !slices.Equal(got, want) {
				t.Errorf("%s: %v lapsed, want %v", what, got, want)
			}
		}
	}
	finds("two leases lapse", "again", "lapses")
	taken, err := s.Claim(ctx, "again", "other", time.Hour)
	fail(err)
	finds("one was taken over", "lapses")
	h, ok, _, err := s.Dequeue(ctx, "p")
	if err != nil || !ok || h.Run != "hinted" {
		t.Fatalf("%+v, %v, %v", h, ok, err)
	}
	finds("who took a hint died", "hinted", "lapses")
	_, err = s.Tell(ctx, "rests", run.Fact{At: at, Body: &run.PauseAsked{}}, "")
	fail(err)
	finds("what was told has a hint", "hinted", "lapses")
	if h, ok, _, err = s.Dequeue(ctx, "p"); err != nil || !ok || h.Run != "rests" {
		t.Fatalf("%+v, %v, %v", h, ok, err)
	}
	finds("what was told lost its hint", "hinted", "lapses", "rests")
	_, err = s.Extend(ctx, taken, short)
	fail(err)
	again, err = s.Claim(ctx, "rests", "me", time.Hour)
	fail(err)
	fail(s.Rest(ctx, again, 2, time.Time{}))
	eventually(t, "the lease lapses again", func() bool { // noted for an hour: Strays finds it if Lapsed does not
		return slices.Contains(append(look(), ids(t, store.Named(s.Strays(ctx, "p")))...), "again")
	})
	fail(s.Enqueue(ctx, store.Hint{Run: "lapses", Pool: "p"}))
	if got := look(); slices.Contains(got, "lapses") || slices.Contains(got, "rests") {
		t.Errorf("what has a hint, and what rests again, lapsed: %v", got)
	}
}

func remove(t *testing.T, s store.Store) {
	ctx := t.Context()
	l := create(t, s, "r")
	if _, err := s.Tell(ctx, "r", run.Fact{At: at, Body: &run.PauseAsked{}}, "k"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "an unfinished run", s.Remove(ctx, "r"), store.ErrHeld)
	if got := load(t, s, "r", 0); len(got) != 2 {
		t.Errorf("it has %d facts", len(got))
	}
	if err := s.Append(ctx, l, 2, end(3)); err != nil {
		t.Fatal(err)
	}
	if err := s.PutEntries(ctx, store.Entry{Run: "r", Started: at, Seq: 3}); err != nil {
		t.Fatal(err)
	}
	create(t, s, "other")
	if err := s.Remove(ctx, "r"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Load(ctx, "r", 0)
	wantErr(t, "load", err, store.ErrNotFound)
	_, err = s.GetEntry(ctx, "r")
	wantErr(t, "entry", err, store.ErrNotFound)
	wantErr(t, "remove again", s.Remove(ctx, "r"), store.ErrNotFound)
	if entries, _, err := s.List(ctx, store.Filter{}); err != nil || len(entries) != 0 {
		t.Errorf("%v is listed, %v", entries, err)
	}
	if got := ids(t, s.Unfinished(ctx, "")); !slices.Equal(got, []run.ID{"other"}) {
		t.Errorf("unfinished are %v", got)
	}
	if err := s.PutEntries(ctx, store.Entry{Run: "r", Started: at, Seq: 4}); err != nil {
		t.Fatal(err)
	}
	_, err = s.GetEntry(ctx, "r")
	wantErr(t, "a late entry", err, store.ErrNotFound)
	create(t, s, "r")
	if seq, err := s.Tell(ctx, "r", run.Fact{At: at, Body: &run.PauseAsked{}}, "k"); err != nil || seq != 2 {
		t.Errorf("a run of the same id is told at %d, %v", seq, err)
	}
}
