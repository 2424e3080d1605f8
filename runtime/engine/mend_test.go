package engine_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// amnesiac is a store that can be away, and come back without what it was told last.
type amnesiac struct {
	store.Store
	mu   sync.Mutex
	kept *memory.Store
	away atomic.Bool
}

func newAmnesiac() *amnesiac {
	m := memory.New()
	return &amnesiac{Store: m, kept: m}
}

var errAway = errors.New("the store is away")

func (a *amnesiac) now() (*memory.Store, error) {
	if a.away.Load() {
		return nil, errAway
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.kept, nil
}

// forget makes it come back with the first n facts of a run, and with no bytes that only later facts name.
func (a *amnesiac) forget(t *testing.T, id run.ID, n int) {
	t.Helper()
	old, fresh := a.kept, memory.New()
	facts, err := old.Load(context.Background(), id, 0)
	if err != nil || len(facts) < n {
		t.Fatalf("%d facts, %v", len(facts), err)
	}
	for _, f := range facts[:n] {
		f.Blobs(func(hash string) {
			data, err := old.GetBlob(context.Background(), hash)
			if err == nil {
				_, err = fresh.PutBlob(context.Background(), data)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	if n > 0 {
		lease, err := fresh.Create(context.Background(), id, "gone", 0, facts[:n]...)
		if err == nil {
			err = fresh.Release(context.Background(), lease)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a.mu.Lock()
	a.kept = fresh
	a.mu.Unlock()
}

func (a *amnesiac) Claim(ctx context.Context, id run.ID, owner string, ttl time.Duration) (run.Lease, error) {
	s, err := a.now()
	if err != nil {
		return run.Lease{}, err
	}
	return s.Claim(ctx, id, owner, ttl)
}

func (a *amnesiac) Create(ctx context.Context, id run.ID, owner string, ttl time.Duration, facts ...run.Fact) (run.Lease, error) {
	s, err := a.now()
	if err != nil {
		return run.Lease{}, err
	}
	return s.Create(ctx, id, owner, ttl, facts...)
}

func (a *amnesiac) Extend(ctx context.Context, lease run.Lease, ttl time.Duration) (run.Lease, error) {
	s, err := a.now()
	if err != nil {
		return run.Lease{}, err
	}
	return s.Extend(ctx, lease, ttl)
}

func (a *amnesiac) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	s, err := a.now()
	if err != nil {
		return err
	}
	return s.Append(ctx, lease, head, facts...)
}

func (a *amnesiac) Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error) {
	s, err := a.now()
	if err != nil {
		return nil, err
	}
	return s.Load(ctx, id, after)
}

func (a *amnesiac) Release(ctx context.Context, lease run.Lease) error {
	s, err := a.now()
	if err != nil {
		return err
	}
	return s.Release(ctx, lease)
}

func (a *amnesiac) Rest(ctx context.Context, lease run.Lease, head run.Seq, wake time.Time) error {
	s, err := a.now()
	if err != nil {
		return err
	}
	return s.Rest(ctx, lease, head, wake)
}

func (a *amnesiac) PutBlob(ctx context.Context, data []byte) (string, error) {
	s, err := a.now()
	if err != nil {
		return "", err
	}
	return s.PutBlob(ctx, data)
}

func (a *amnesiac) GetBlob(ctx context.Context, hash string) ([]byte, error) {
	s, err := a.now()
	if err != nil {
		return nil, err
	}
	return s.GetBlob(ctx, hash)
}

func (a *amnesiac) Tell(ctx context.Context, id run.ID, f run.Fact, dedup string) (run.Seq, error) {
	s, err := a.now()
	if err != nil {
		return 0, err
	}
	return s.Tell(ctx, id, f, dedup)
}

func (a *amnesiac) Tail(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[run.Fact, error] {
	s, err := a.now()
	if err != nil {
		return func(yield func(run.Fact, error) bool) { yield(run.Fact{}, err) }
	}
	return s.Tail(ctx, id, after)
}

func (a *amnesiac) GetDoc(ctx context.Context, kind, name string) ([]byte, uint64, error) {
	s, err := a.now()
	if err != nil {
		return nil, 0, err
	}
	return s.GetDoc(ctx, kind, name)
}

func (a *amnesiac) AllDocs(ctx context.Context, kind, prefix string) iter.Seq2[string, error] {
	s, err := a.now()
	if err != nil {
		return func(yield func(string, error) bool) { yield("", err) }
	}
	return s.AllDocs(ctx, kind, prefix)
}

func (a *amnesiac) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	s, err := a.now()
	if err != nil {
		return err
	}
	return s.PutDoc(ctx, kind, name, version, data)
}

// A store that comes back without its last seconds is told them again: nothing runs twice, and nobody sees the history change.
func TestWhatTheStoreLostIsWrittenAgain(t *testing.T) {
	// started, a started, a done + b started: the store comes back with none of them, with some, and with all
	for left := range 5 {
		s := newAmnesiac()
		w := newWorld(t)
		calls, began, release := map[string]int{}, make(chan struct{}), make(chan struct{})
		var mu sync.Mutex
		count := func(name string) {
			mu.Lock()
			defer mu.Unlock()
			calls[name]++
		}
		w.model("thinks", func(context.Context, *agent.Call) agent.Reply {
			count("thinks")
			return agent.Reply{Value: "A"}
		})
		w.doer("does", func(context.Context, *agent.Call) agent.Reply {
			count("does")
			close(began)
			<-release
			return agent.Reply{Value: "B"}
		})
		p := w.plan("a = thinks \"a\"\nb = does \"<<a>>\"\noutput thinks \"<<b>>\"")
		e := engine.New(engine.Config{Registry: w.registry, Store: s, Forgets: true, Lease: time.Hour})
		id := start(t, e, p, run.Options{})
		<-began
		s.away.Store(true)
		s.forget(t, id, left)
		close(release)
		s.away.Store(false)
		end := wait(t, e, id)
		if end.Status != run.Succeeded || calls["thinks"] != 2 || calls["does"] != 1 {
			t.Errorf("with %d facts left: %s %v after %v", left, end.Status, end.Error, calls)
		}
		facts, err := s.Load(t.Context(), id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if problems := invariant.Check(p, facts); len(problems) > 0 {
			t.Errorf("with %d facts left: %s", left, strings.Join(problems, "\n"))
		}
		shut(t, e)
	}
}

// Calls under way end while the store is away; nothing new begins, and when it is back the run goes on by itself.
func TestARunOutlivesAnOutage(t *testing.T) {
	s := newAmnesiac()
	w := newWorld(t)
	began, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var second atomic.Bool
	w.model("first", func(context.Context, *agent.Call) agent.Reply {
		close(began)
		<-release
		close(ended)
		return agent.Reply{Value: "A"}
	})
	w.doer("second", func(context.Context, *agent.Call) agent.Reply {
		second.Store(true)
		if s.away.Load() {
			t.Error("it began before the fact that says so was stored")
		}
		return agent.Reply{Value: "B"}
	})
	e := engine.New(engine.Config{Registry: w.registry, Store: s, Forgets: true, Lease: time.Hour})
	defer shut(t, e)
	id := start(t, e, w.plan("a = first \"a\"\noutput second \"<<a>>\""), run.Options{})
	<-began
	s.away.Store(true)
	close(release)
	<-ended
	if _, err := e.Start(t.Context(), w.plan("output 1"), nil, run.Options{}); !errors.Is(err, errAway) {
		t.Errorf("a start meanwhile: %v", err)
	}
	if second.Load() {
		t.Error("the second step began during the outage")
	}
	s.away.Store(false)
	if end := wait(t, e, id); end.Value != "B" {
		t.Errorf("%+v", end)
	}
}
