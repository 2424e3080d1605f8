package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

var queues = map[string]func(*testing.T, store.Store){
	"hints come by priority, then by when they were due": ordered,
	"a run has one hint":               merged,
	"what is not due waits":            undue,
	"of many takers each hint has one": takers,
	"Hinted hears":                     hinted,
	"a Tell hints":                     tellHints,
	"as many slots as there are":       slots,
	"a slot lapses":                    slotLapses,
	"of many holders as many as there are slots have one": holders,
	"a rate lets its burst pass, and then one by one":     rates,
	"a rate is kept among many":                           rateRace,
	"what did not pass may after it waited":               rateWaits,
	"a rate of nothing is refused":                        rateRefused,
}

func enqueue(t *testing.T, s store.Store, hints ...store.Hint) {
	t.Helper()
	for _, h := range hints {
		if err := s.Enqueue(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
}

func names(hints []store.Hint) string {
	out := ""
	for _, h := range hints {
		out += string(h.Run)
	}
	return out
}

func ordered(t *testing.T, s store.Store) {
	past := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	enqueue(t, s,
		store.Hint{Run: "c", Pool: "p", Due: past(time.Minute)},
		store.Hint{Run: "b", Pool: "p", Due: past(time.Hour)},
		store.Hint{Run: "a", Pool: "p"}, // due since ever
		store.Hint{Run: "x", Pool: "p", Priority: 9, Due: past(time.Second)},
		store.Hint{Run: "z", Pool: "p", Priority: -1, Due: past(24 * time.Hour)},
		store.Hint{Run: "o", Pool: "other", Priority: 99},
	)
	if n, err := s.Queued(t.Context(), "p"); err != nil || n != 5 {
		t.Errorf("%d are queued, %v", n, err)
	}
	if got := names(drain(t, s, "p")); got != "xabcz" {
		t.Errorf("the order is %s", got)
	}
	if n, err := s.Queued(t.Context(), "p"); err != nil || n != 0 {
		t.Errorf("%d are queued, %v", n, err)
	}
	if got := names(drain(t, s, "other")); got != "o" {
		t.Errorf("the other pool had %s", got)
	}
	if _, ok, next, err := s.Dequeue(t.Context(), "nobody's"); ok || !next.IsZero() || err != nil {
		t.Errorf("an empty queue: %v, %v, %v", ok, next, err)
	}
}

func merged(t *testing.T, s store.Store) {
	late := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	enqueue(t, s, store.Hint{Run: "r", Pool: "p", Priority: 5, Due: late}, store.Hint{Run: "r", Pool: "p", Priority: 2})
	got := drain(t, s, "p")
	if len(got) != 1 || got[0].Run != "r" || got[0].Priority != 5 || got[0].Pool != "p" {
		t.Errorf("got %+v", got)
	}
	enqueue(t, s, store.Hint{Run: "r", Pool: "p", Due: late}, store.Hint{Run: "r", Pool: "p", Due: late.Add(time.Hour)})
	if _, ok, next, err := s.Dequeue(t.Context(), "p"); ok || !next.Equal(late) || err != nil {
		t.Errorf("the later hint counted: %v, %v, %v", ok, next, err)
	}
	enqueue(t, s, store.Hint{Run: "r", Pool: "p"}, store.Hint{Run: "r", Pool: "p", Due: late})
	if got := drain(t, s, "p"); len(got) != 1 {
		t.Errorf("got %+v", got)
	}
}

func undue(t *testing.T, s store.Store) {
	now := time.Now().Truncate(time.Millisecond)
	enqueue(t, s,
		store.Hint{Run: "b", Pool: "p", Priority: 9, Due: now.Add(2 * time.Hour)},
		store.Hint{Run: "a", Pool: "p", Due: now.Add(time.Hour)},
		store.Hint{Run: "c", Pool: "q", Due: now.Add(time.Minute)})
	if n, err := s.Queued(t.Context(), "p"); err != nil || n != 0 {
		t.Errorf("%d are queued, %v", n, err)
	}
	if _, ok, next, err := s.Dequeue(t.Context(), "p"); ok || err != nil || !next.Equal(now.Add(time.Hour)) {
		t.Errorf("%v, %v, %v", ok, next, err)
	}
	enqueue(t, s, store.Hint{Run: "d", Pool: "p", Due: time.Now().Add(100 * time.Millisecond)})
	eventually(t, "it becomes due", func() bool { return names(drain(t, s, "p")) == "d" })
}

func takers(t *testing.T, s store.Store) {
	const hints, workers = 40, 4
	for i := range hints {
		enqueue(t, s, store.Hint{Run: run.ID(fmt.Sprint(i)), Pool: "p", Priority: i % 3})
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	seen := map[run.ID]int{}
	for range workers {
		group.Go(func() {
			for {
				h, ok, _, err := s.Dequeue(t.Context(), "p")
				if err != nil {
					t.Error(err)
				}
				if err != nil || !ok {
					return
				}
				mu.Lock()
				seen[h.Run]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was taken %d times", id, n)
		}
	}
	if len(seen) != hints {
		t.Errorf("%d of %d were taken", len(seen), hints)
	}
}

func hinted(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	heard, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for _, err := range s.Hinted(ctx, "p") {
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case heard <- struct{}{}:
			case <-ctx.Done():
			}
		}
	}()
	<-heard // it has begun to listen
	for i := range 3 {
		enqueue(t, s, store.Hint{Run: run.ID(fmt.Sprint(i)), Pool: "p"})
		for got := false; !got; { // it may hear more often than there is something
			<-heard
			got = len(drain(t, s, "p")) > 0
		}
	}
	cancel()
	<-ended
}

func tellHints(t *testing.T, s store.Store) {
	if _, err := s.Create(t.Context(), "r", "me", time.Hour, startedIn("p", 7)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Tell(t.Context(), "r", run.Fact{At: at, Body: &run.PauseAsked{}}, ""); err != nil {
			t.Fatal(err)
		}
	}
	got := drain(t, s, "p")
	if len(got) != 1 || got[0].Run != "r" || got[0].Priority != 7 {
		t.Errorf("the hints are %+v", got)
	}
}

func take(t *testing.T, s store.Store, name, holder string, n int, ttl time.Duration) bool {
	t.Helper()
	ok, err := s.Take(t.Context(), name, holder, n, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func slots(t *testing.T, s store.Store) {
	if !take(t, s, "l", "a", 2, time.Hour) || !take(t, s, "l", "b", 2, time.Hour) {
		t.Error("a free slot was refused")
	}
	if take(t, s, "l", "c", 2, time.Hour) {
		t.Error("a third has one of two")
	}
	if !take(t, s, "l", "a", 2, time.Hour) || !take(t, s, "l", "a", 1, time.Hour) {
		t.Error("who has one does not keep it")
	}
	if !take(t, s, "other", "c", 1, time.Hour) {
		t.Error("names share slots")
	}
	if !take(t, s, "l", "c", 3, time.Hour) {
		t.Error("the limit was raised, and it is refused")
	}
	for _, who := range []string{"a", "a", "stranger"} {
		if err := s.Give(t.Context(), "l", who); err != nil {
			t.Fatal(err)
		}
	}
	if take(t, s, "l", "d", 2, time.Hour) {
		t.Error("two are taken of two")
	}
	if !take(t, s, "l", "d", 3, time.Hour) {
		t.Error("what was given back is not free")
	}
	if take(t, s, "none", "a", 0, time.Hour) {
		t.Error("one of no slots")
	}
}

func slotLapses(t *testing.T, s store.Store) {
	take(t, s, "l", "a", 1, time.Hour)
	if !take(t, s, "l", "a", 1, 50*time.Millisecond) {
		t.Error("who has one does not keep it")
	}
	eventually(t, "the slot lapses", func() bool { return take(t, s, "l", "b", 1, time.Hour) })
	if take(t, s, "l", "a", 1, time.Hour) {
		t.Error("who lost it has it too")
	}
	if err := s.Give(t.Context(), "l", "a"); err != nil {
		t.Fatal(err)
	}
	if take(t, s, "l", "c", 1, time.Hour) {
		t.Error("who lost it gave it away")
	}
}

func holders(t *testing.T, s store.Store) {
	var group sync.WaitGroup
	var have atomic.Int32
	for i := range 12 {
		group.Go(func() {
			ok, err := s.Take(t.Context(), "l", fmt.Sprint(i), 5, time.Hour)
			if err != nil {
				t.Error(err)
			}
			if ok {
				have.Add(1)
			}
		})
	}
	group.Wait()
	if have.Load() != 5 {
		t.Errorf("%d have one of 5", have.Load())
	}
}

func pass(t *testing.T, s store.Store, name string, rate store.Rate) time.Duration {
	t.Helper()
	wait, err := s.Pass(t.Context(), name, rate)
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

func rates(t *testing.T, s store.Store) {
	rate := store.Rate{Count: 4, Per: 4 * time.Hour}
	for i := range 4 {
		if wait := pass(t, s, "r", rate); wait != 0 {
			t.Errorf("%d of the burst waits %v", i, wait)
		}
	}
	first := pass(t, s, "r", rate)
	if first <= 55*time.Minute || first > time.Hour {
		t.Errorf("the next waits %v, want an hour", first)
	}
	if again := pass(t, s, "r", rate); again <= 55*time.Minute || again > first {
		t.Errorf("what did not pass was counted: %v, then %v", first, again)
	}
	if wait := pass(t, s, "other", rate); wait != 0 {
		t.Errorf("another name waits %v", wait)
	}
	smooth := store.Rate{Count: 4, Per: 4 * time.Hour, Burst: 1}
	if wait := pass(t, s, "smooth", smooth); wait != 0 {
		t.Errorf("the first waits %v", wait)
	}
	if wait := pass(t, s, "smooth", smooth); wait <= 55*time.Minute || wait > time.Hour {
		t.Errorf("without a burst the second waits %v", wait)
	}
}

func rateRace(t *testing.T, s store.Store) {
	var group sync.WaitGroup
	var passed atomic.Int32
	for range 20 {
		group.Go(func() {
			wait, err := s.Pass(t.Context(), "r", store.Rate{Count: 7, Per: 1000 * time.Hour})
			if err != nil {
				t.Error(err)
			}
			if wait == 0 {
				passed.Add(1)
			}
		})
	}
	group.Wait()
	if passed.Load() != 7 {
		t.Errorf("%d passed, want 7", passed.Load())
	}
}

func rateWaits(t *testing.T, s store.Store) {
	rate := store.Rate{Count: 5, Per: time.Second, Burst: 1}
	begun := time.Now()
	for range 3 {
		for wait := pass(t, s, "r", rate); wait > 0; wait = pass(t, s, "r", rate) {
			if wait > 200*time.Millisecond {
				t.Fatalf("it waits %v for a gap of 200 ms", wait)
			}
			<-time.After(wait)
		}
	}
	if took := time.Since(begun); took < 395*time.Millisecond {
		t.Errorf("three passed within %v, want two gaps of 200 ms", took)
	}
}

func rateRefused(t *testing.T, s store.Store) {
	for _, rate := range []store.Rate{{}, {Count: 1}, {Per: time.Second}, {Count: -1, Per: time.Second}, {Count: 1, Per: time.Second, Burst: -1}} {
		if _, err := s.Pass(t.Context(), "r", rate); err == nil {
			t.Errorf("%+v is a rate", rate)
		}
	}
}
