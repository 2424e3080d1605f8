// Package storetest is the contract of a store as a suite that every implementation passes.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// Run holds the stores that open makes to the contract. open is called once a test and gives an empty store.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, tests := range []map[string]func(*testing.T, store.Store){logs, queues, indexes, keeps} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				s := open(t)
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				})
				test(t, s)
			})
		}
	}
	t.Run("whoever dies between two writes", func(t *testing.T) { deaths(t, open) })
}

// patience is how long a test waits for what must come. Stores on busy machines and behind networks are slow; none is this slow.
const patience = 30 * time.Second

var logs = map[string]func(*testing.T, store.Store){
	"what was appended is loaded":                      appended,
	"a large append is one":                            large,
	"ids and texts of every kind":                      odd,
	"a run exists once":                                once,
	"of many creators one creates":                     creators,
	"a moved head refuses":                             conflict,
	"one holder of the lease":                          lease,
	"of many claimers one holds":                       claimers,
	"a lease that lapsed is fenced":                    lapse,
	"nothing follows Finished":                         finished,
	"a fact from outside needs no lease":               tell,
	"the second Tell with the same dedup is no fact":   dedup,
	"many Tells with the same dedup are one fact":      sameTells,
	"tellers and a writer lose nothing":                tellers,
	"Told hears":                                       told,
	"Told ends with its context":                       toldCancelled,
	"Tail yields history and what comes":               tail,
	"Tail ends with its context":                       tailCancelled,
	"many appenders, one log":                          race,
	"many runs at once":                                crowd,
	"Unfinished lists what must be taken up":           unfinished,
	"Rest gives the lease back while nothing was told": rest,
	"Holder tells who holds the lease":                 holder,
	"Strays are what no hint will wake":                strays,
	"Lapsed are strays that were held":                 lapsed,
	"Remove takes finished runs":                       remove,
	"what is not there is not found":                   missing,
	"a context that ended stores nothing":              cancelled,
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

func started() run.Fact {
	return run.Fact{Seq: 1, At: at, Body: &run.Started{Plan: "p", Seed: 7, Machine: 1, Inputs: map[string]any{"n": 3, "x": 1.5, "list": []any{"a", nil, true}}}}
}

func startedIn(pool string, priority int) run.Fact {
	return run.Fact{Seq: 1, At: at, Body: &run.Started{Plan: "p", Options: run.Options{Pool: pool, Priority: priority}}}
}

func fired(seq run.Seq, timer string) run.Fact {
	return run.Fact{Seq: seq, At: at.Add(time.Duration(seq) * time.Second), Body: &run.TimerFired{Timer: timer}}
}

func end(seq run.Seq) run.Fact {
	return run.Fact{Seq: seq, At: at, Body: &run.Finished{Status: run.Succeeded, Value: "done"}}
}

func create(t *testing.T, s store.Store, id run.ID) run.Lease {
	t.Helper()
	l, err := s.Create(t.Context(), id, "me", 0, started())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func load(t *testing.T, s store.Store, id run.ID, after run.Seq) []run.Fact {
	t.Helper()
	facts, err := s.Load(t.Context(), id, after)
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func appended(t *testing.T, s store.Store) {
	l := create(t, s, "r")
	want := []run.Fact{started()}
	for i := range 5 {
		batch := []run.Fact{fired(run.Seq(2*i+2), "a"), {Seq: run.Seq(2*i + 3), At: at, Body: &run.CallDone{Path: "x", Attempt: 1, Value: map[string]any{"f": 3.0, "n": 3}, Usage: run.Usage{Calls: 1}}}}
		if err := s.Append(t.Context(), l, run.Seq(2*i+1), batch...); err != nil {
			t.Fatal(err)
		}
		want = append(want, batch...)
	}
	if diff := cmp.Diff(want, load(t, s, "r", 0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[4:], load(t, s, "r", 4)); diff != "" {
		t.Error(diff)
	}
	if got := load(t, s, "r", 99); len(got) != 0 {
		t.Errorf("after the head there are %d facts", len(got))
	}
}

func once(t *testing.T, s store.Store) {
	create(t, s, "r")
	_, err := s.Create(t.Context(), "r", "other", 0, started())
	wantErr(t, "second Create", err, store.ErrExists)
}

func conflict(t *testing.T, s store.Store) {
	l := create(t, s, "r")
	if err := s.Append(t.Context(), l, 1, fired(2, "a")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "behind", s.Append(t.Context(), l, 1, fired(2, "b")), store.ErrConflict)
	wantErr(t, "ahead", s.Append(t.Context(), l, 5, fired(6, "b")), store.ErrConflict)
	if err := s.Append(t.Context(), l, 2, fired(7, "b")); err == nil {
		t.Error("a fact with a wrong number was stored")
	}
	if got := load(t, s, "r", 0); len(got) != 2 {
		t.Errorf("a refused append left %d facts", len(got))
	}
}

func lease(t *testing.T, s store.Store) {
	old := create(t, s, "r")
	_, err := s.Claim(t.Context(), "r", "other", 0)
	wantErr(t, "claim of a held run", err, store.ErrHeld)
	if err := s.Release(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "append after release", s.Append(t.Context(), old, 1, fired(2, "a")), store.ErrFenced)
	fresh, err := s.Claim(t.Context(), "r", "other", 0)
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Token <= old.Token {
		t.Errorf("the token went from %d to %d", old.Token, fresh.Token)
	}
	wantErr(t, "append of the former holder", s.Append(t.Context(), old, 1, fired(2, "a")), store.ErrFenced)
	if err := s.Release(t.Context(), old); err != nil {
		t.Errorf("release of a lost lease: %v", err)
	}
	if err := s.Append(t.Context(), fresh, 1, fired(2, "a")); err != nil {
		t.Error(err)
	}
	again, err := s.Claim(t.Context(), "r", "other", 0)
	if err != nil {
		t.Fatalf("the holder claims again: %v", err)
	}
	wantErr(t, "append under its older token", s.Append(t.Context(), fresh, 2, fired(3, "a")), store.ErrFenced)
	if err := s.Append(t.Context(), again, 2, fired(3, "a")); err != nil {
		t.Error(err)
	}
}

func lapse(t *testing.T, s store.Store) {
	const ttl = 50 * time.Millisecond
	l, err := s.Create(t.Context(), "r", "me", time.Hour, started())
	if err != nil {
		t.Fatal(err)
	}
	if l, err = s.Extend(t.Context(), l, ttl); err != nil {
		t.Fatal(err)
	}
	if l.Until.IsZero() {
		t.Error("a lease with an end does not say when")
	}
	var fresh run.Lease
	for deadline := time.Now().Add(patience); ; {
		if fresh, err = s.Claim(t.Context(), "r", "other", time.Hour); err == nil {
			break
		}
		wantErr(t, "claim before the lease lapsed", err, store.ErrHeld)
		if time.Now().After(deadline) {
			t.Fatal("the lease never lapsed")
		}
		<-time.After(ttl / 5)
	}
	if time.Now().Before(l.Until) {
		t.Error("the lease went to another before its end")
	}
	wantErr(t, "append after the lapse", s.Append(t.Context(), l, 1, fired(2, "a")), store.ErrFenced)
	_, err = s.Extend(t.Context(), l, time.Hour)
	wantErr(t, "extend after the lapse", err, store.ErrFenced)
	if err := s.Append(t.Context(), fresh, 1, fired(2, "a")); err != nil {
		t.Error(err)
	}
}

func finished(t *testing.T, s store.Store) {
	l := create(t, s, "r")
	if err := s.Append(t.Context(), l, 1, end(2)); err != nil {
		t.Fatal(err)
	}
	if who, err := s.Holder(t.Context(), "r"); err != nil || who != "" {
		t.Errorf("a finished run is held by %q, %v", who, err)
	}
	wantErr(t, "append", s.Append(t.Context(), l, 2, fired(3, "a")), store.ErrFinished)
	_, err := s.Tell(t.Context(), "r", run.Fact{At: at, Body: &run.CancelAsked{}}, "")
	wantErr(t, "tell", err, store.ErrFinished)
	if err := s.Release(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	_, err = s.Claim(t.Context(), "r", "me", 0)
	wantErr(t, "claim", err, store.ErrFinished)
	if got := load(t, s, "r", 0); len(got) != 2 {
		t.Errorf("%d facts", len(got))
	}
}

func tell(t *testing.T, s store.Store) {
	l := create(t, s, "r")
	seq, err := s.Tell(t.Context(), "r", run.Fact{Seq: 99, At: at, Body: &run.CancelAsked{By: "ada", Reason: "enough"}}, "")
	if err != nil || seq != 2 {
		t.Fatalf("told at %d, %v", seq, err)
	}
	wantErr(t, "append of who has not read it", s.Append(t.Context(), l, 1, fired(2, "a")), store.ErrConflict)
	want := []run.Fact{{Seq: 2, At: at, Body: &run.CancelAsked{By: "ada", Reason: "enough"}}}
	if diff := cmp.Diff(want, load(t, s, "r", 1)); diff != "" {
		t.Error(diff)
	}
	if err := s.Append(t.Context(), l, 2, fired(3, "a")); err != nil {
		t.Error(err)
	}
}

func dedup(t *testing.T, s store.Store) {
	create(t, s, "r")
	create(t, s, "q")
	pause := run.Fact{At: at, Body: &run.PauseAsked{}}
	first, err := s.Tell(t.Context(), "r", pause, "k")
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Tell(t.Context(), "r", pause, "k")
	if err != nil || second != first {
		t.Errorf("told at %d, then %d, %v", first, second, err)
	}
	if other, err := s.Tell(t.Context(), "q", pause, "k"); err != nil || other != 2 {
		t.Errorf("the key of one run held in another: %d, %v", other, err)
	}
	for range 2 {
		if _, err := s.Tell(t.Context(), "r", pause, ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := load(t, s, "r", 0); len(got) != 4 {
		t.Errorf("%d facts, want started, one of two, and two without a key", len(got))
	}
}

func tellers(t *testing.T, s store.Store) {
	const each, crowd = 20, 5
	l := create(t, s, "r")
	var group sync.WaitGroup
	seqs := make(chan run.Seq, each*crowd)
	for c := range crowd {
		group.Go(func() {
			for i := range each {
				seq, err := s.Tell(t.Context(), "r", run.Fact{At: at, Body: &run.PauseAsked{By: fmt.Sprint(c, i)}}, fmt.Sprint(c, " ", i))
				if err != nil {
					t.Error(err)
				}
				seqs <- seq
			}
		})
	}
	group.Go(func() {
		for done := 0; done < each; {
			facts, err := s.Load(t.Context(), "r", 0)
			if err != nil {
				t.Error(err)
				return
			}
			head := facts[len(facts)-1].Seq
			err = s.Append(t.Context(), l, head, fired(head+1, "a"))
			if err == nil {
				done++
			} else if !errors.Is(err, store.ErrConflict) {
				t.Error(err)
				return
			}
		}
	})
	group.Wait()
	close(seqs)
	seen := map[run.Seq]bool{}
	for seq := range seqs {
		if seen[seq] {
			t.Errorf("seq %d was given twice", seq)
		}
		seen[seq] = true
	}
	facts := load(t, s, "r", 0)
	if len(facts) != 1+each*crowd+each {
		t.Errorf("%d facts, want %d", len(facts), 1+each*crowd+each)
	}
	for i, f := range facts {
		if f.Seq != run.Seq(i+1) {
			t.Fatalf("fact %d is numbered %d", i+1, f.Seq)
		}
	}
}

func told(t *testing.T, s store.Store) {
	create(t, s, "r")
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan run.ID)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for id, err := range s.Told(ctx) {
			if err != nil {
				t.Error(err)
			}
			select {
			case heard <- id:
			case <-ctx.Done():
			}
		}
	}()
	if id := <-heard; id != "" {
		t.Errorf("before it listened it heard %s", id)
	}
	if _, err := s.Tell(t.Context(), "r", run.Fact{At: at, Body: &run.PauseAsked{}}, ""); err != nil {
		t.Fatal(err)
	}
	id := <-heard
	if id != "r" {
		t.Errorf("heard %s", id)
	}
	cancel()
	<-ended
}

func tail(t *testing.T, s store.Store) {
	l := create(t, s, "r")
	if err := s.Append(t.Context(), l, 1, fired(2, "a")); err != nil {
		t.Fatal(err)
	}
	got := make(chan run.Fact)
	go func() {
		defer close(got)
		for f, err := range s.Tail(t.Context(), "r", 1) {
			if err != nil {
				t.Error(err)
			}
			got <- f
		}
	}()
	if f := <-got; f.Seq != 2 {
		t.Errorf("first came %d", f.Seq)
	}
	if _, err := s.Tell(t.Context(), "r", run.Fact{At: at, Body: &run.PauseAsked{}}, ""); err != nil {
		t.Fatal(err)
	}
	if f := <-got; f.Seq != 3 {
		t.Errorf("then came %d", f.Seq)
	}
	if err := s.Append(t.Context(), l, 3, fired(4, "a"), end(5)); err != nil {
		t.Fatal(err)
	}
	var rest []run.Seq
	for f := range got {
		rest = append(rest, f.Seq)
	}
	if !slices.Equal(rest, []run.Seq{4, 5}) {
		t.Errorf("the end was %v", rest)
	}
	for f := range s.Tail(t.Context(), "r", 0) {
		if f.Seq == 2 {
			break // leaving early is allowed
		}
	}
}

func tailCancelled(t *testing.T, s store.Store) {
	create(t, s, "r")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		var last error
		for f, err := range s.Tail(ctx, "r", 0) {
			if last = err; err == nil && f.Seq == 1 {
				cancel()
			}
		}
		ended <- last
	}()
	wantErr(t, "the last word", <-ended, context.Canceled)
}

func race(t *testing.T, s store.Store) {
	const writers = 8
	l := create(t, s, "r")
	var group sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for w := range writers {
		group.Go(func() {
			err := s.Append(t.Context(), l, 1, fired(2, fmt.Sprint(w)))
			switch {
			case err == nil:
				mu.Lock()
				won++
				mu.Unlock()
			case !errors.Is(err, store.ErrConflict):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won != 1 {
		t.Errorf("%d of %d appends after the same head were stored", won, writers)
	}
}

func unfinished(t *testing.T, s store.Store) {
	for _, id := range []run.ID{"a", "b", "c", "d"} {
		pool := "one"
		if id == "d" {
			pool = "two"
		}
		l, err := s.Create(t.Context(), id, "me", 0, startedIn(pool, 0))
		if err != nil {
			t.Fatal(err)
		}
		if id == "b" {
			if err := s.Append(t.Context(), l, 1, end(2)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for pool, want := range map[string][]run.ID{"": {"a", "c", "d"}, "one": {"a", "c"}, "two": {"d"}, "three": nil} {
		if got := ids(t, s.Unfinished(t.Context(), pool)); !slices.Equal(got, want) {
			t.Errorf("of pool %q got %v, want %v", pool, got, want)
		}
	}
	for range s.Unfinished(t.Context(), "") {
		break // leaving early is allowed
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range s.Unfinished(ctx, "") {
		last = err
	}
	wantErr(t, "under an ended context", last, context.Canceled)
}

func missing(t *testing.T, s store.Store) {
	ctx := t.Context()
	_, err := s.Load(ctx, "nobody", 0)
	wantErr(t, "load", err, store.ErrNotFound)
	_, err = s.Claim(ctx, "nobody", "me", 0)
	wantErr(t, "claim", err, store.ErrNotFound)
	_, err = s.Tell(ctx, "nobody", run.Fact{At: at, Body: &run.PauseAsked{}}, "")
	wantErr(t, "tell", err, store.ErrNotFound)
	for _, err := range s.Tail(ctx, "nobody", 0) {
		wantErr(t, "tail", err, store.ErrNotFound)
	}
	_, err = s.GetBlob(ctx, "00")
	wantErr(t, "blob", err, store.ErrNotFound)
	_, _, err = s.GetDoc(ctx, "plan", "x")
	wantErr(t, "doc", err, store.ErrNotFound)
}

func cancelled(t *testing.T, s store.Store) {
	l := create(t, s, "r")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Append(ctx, l, 1, fired(2, "a")); err == nil {
		t.Error("an append under an ended context was stored")
	}
	if _, err := s.Create(ctx, "q", "me", 0, started()); err == nil {
		t.Error("a run was created under an ended context")
	}
	if got := load(t, s, "r", 0); len(got) != 1 {
		t.Errorf("%d facts", len(got))
	}
}
