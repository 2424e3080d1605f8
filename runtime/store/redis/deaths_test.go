package redis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/redis"
	"github.com/slopstudios/slop/runtime/store/redis/redistest"
)

// One call writes in several places. A process that dies between any two of its scripts leaves a log that is whole, and a run that somebody finds.
func TestDeathsWithinACall(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	for n := 0; ; n++ {
		if died := deathAfter(t, server, n); !died {
			if n < 12 {
				t.Errorf("a life has only %d scripts", n)
			}
			return
		}
	}
}

const pool = "x"

// deathAfter lives a life that ends with its nth script, and judges what is there.
func deathAfter(t *testing.T, server *redistest.Server, n int) (died bool) {
	t.Helper()
	prefix := fmt.Sprint("death", n)
	proxy := redistest.NewProxy(t, server)
	s := open(t, redis.Config{URL: proxy.URL(), Prefix: prefix})
	proxy.Allow(n)
	sure, removing := live(t, s)
	died = proxy.Spent()
	proxy.Cut()
	_ = s.Close()

	s = open(t, redis.Config{URL: server.URL(), Prefix: prefix, Dead: func(owner string) bool { return owner == "me" }})
	defer func() { _ = s.Close() }()
	ctx := t.Context()
	listed := func(what string, seq func(func(run.ID, error) bool)) bool {
		found := false
		for id, err := range seq {
			if err != nil {
				t.Errorf("after %d: %s: %v", n, what, err)
			}
			found = found || id == "r"
		}
		return found
	}
	facts, err := s.Load(ctx, "r", 0)
	if err != nil { // not created yet, or removed already
		if sure > 0 && !removing {
			t.Errorf("after %d: %d facts were acknowledged: %v", n, sure, err)
		}
		if listed("unfinished", s.Unfinished(ctx, pool)) {
			t.Errorf("after %d: there is no run, and it is unfinished", n)
		}
		return died
	}
	const story = "started a told b finished"
	got := timers(t, s, "r")
	if len(facts) < sure || !strings.HasPrefix(story, got) {
		t.Errorf("after %d: %d facts were acknowledged, and the log holds %s", n, sure, got)
	}
	over := got == story
	if listed("unfinished", s.Unfinished(ctx, pool)) == over {
		t.Errorf("after %d: the log holds %s, and among the unfinished it is the opposite", n, got)
	}
	_, hinted, next, err := s.Dequeue(ctx, pool)
	must(t, err)
	if !over && !hinted && next.IsZero() && !listed("strays", store.Named(s.Strays(ctx, pool))) {
		t.Errorf("after %d: nobody finds the run", n)
	}
	if !over {
		lease, err := s.Claim(ctx, "r", "heir", 0)
		must(t, err)
		head := run.Seq(len(facts))
		must(t, s.Append(ctx, lease, head, run.Fact{Seq: head + 1, At: at, Body: &run.Finished{Status: run.Succeeded}}))
	}
	if listed("unfinished", s.Unfinished(ctx, pool)) || listed("strays", store.Named(s.Strays(ctx, pool))) {
		t.Errorf("after %d: it is finished and somebody looks for it", n)
	}
	must(t, s.PutEntries(ctx, store.Entry{Run: "r", Status: run.Succeeded, Started: at, Seq: 99}))
	if entries, _, err := s.List(ctx, store.Filter{}); err != nil || len(entries) != 1 {
		t.Errorf("after %d: entries %v, %v", n, entries, err)
	}
	must(t, s.Remove(ctx, "r"))
	if entries, _, err := s.List(ctx, store.Filter{}); err != nil || len(entries) != 0 {
		t.Errorf("after %d and removal: entries %v, %v", n, entries, err)
	}
	return died
}

// live goes from a start to a removal, until a call fails; it returns how many facts were acknowledged.
func live(t *testing.T, s store.Store) (sure int, removing bool) {
	ctx := t.Context()
	lease, err := s.Create(ctx, "r", "me", 0, run.Fact{Seq: 1, At: at, Body: &run.Started{Options: run.Options{Pool: pool}}})
	if err != nil {
		return 0, false
	}
	entry := store.Entry{Run: "r", Status: run.Running, Started: at, Seq: 1}
	if s.PutEntries(ctx, entry) != nil || s.Append(ctx, lease, 1, fired(2, "a")) != nil {
		return 1, false
	}
	if s.Rest(ctx, lease, 2, time.Now().Add(time.Hour)) != nil {
		return 2, false
	}
	if _, err := s.Tell(ctx, "r", pause("told"), ""); err != nil {
		return 2, false
	}
	if _, _, _, err := s.Dequeue(ctx, pool); err != nil {
		return 3, false
	}
	if lease, err = s.Claim(ctx, "r", "me", 0); err != nil {
		return 3, false
	}
	if s.Append(ctx, lease, 3, fired(4, "b")) != nil {
		return 3, false
	}
	if s.Append(ctx, lease, 4, run.Fact{Seq: 5, At: at, Body: &run.Finished{Status: run.Succeeded}}) != nil {
		return 4, false
	}
	entry.Status, entry.Seq = run.Succeeded, 5
	if s.PutEntries(ctx, entry) != nil || s.Release(ctx, lease) != nil {
		return 5, false
	}
	_ = s.Remove(ctx, "r")
	return 5, true
}
