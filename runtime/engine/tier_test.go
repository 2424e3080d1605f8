package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// numbering is a model that answers with the number of the call.
func (w *world) numbering(name string) *atomic.Int32 {
	calls := new(atomic.Int32)
	w.model(name, func(context.Context, *agent.Call) agent.Reply {
		return agent.Reply{Value: fmt.Sprint(calls.Add(1)), Usage: run.Usage{Calls: 1, Input: 10, Output: 10, Cost: 5, CostSource: run.Reported}}
	})
	return calls
}

func kept(t *testing.T, s store.Store) int {
	t.Helper()
	n := 0
	for _, err := range s.AllDocs(t.Context(), "cache", "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

const remembered = `a = asks "one" cache 1h
output a`

// The answer of a call is there for the next process, costs nothing, and the history says where it came from.
func TestTheCacheIsSharedByProcesses(t *testing.T) {
	stores(t, func(t *testing.T, open func() store.Store) {
		w := newWorld(t)
		calls := w.numbering("asks")
		p := w.plan(remembered)
		if end := w.play(open(), p, run.Options{}); end.Value != "1" || end.Usage.Cost != 5 {
			t.Fatalf("%+v", end)
		}
		s := open()
		e := engine.New(engine.Config{Registry: w.registry, Store: s})
		defer shut(t, e)
		id := start(t, e, p, run.Options{})
		if end := wait(t, e, id); end.Value != "1" || end.Usage.Cost != 0 || calls.Load() != 1 {
			t.Errorf("%+v after %d calls", end, calls.Load())
		}
		facts, err := s.Load(t.Context(), id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if done, ok := facts[1].Body.(*run.CallDone); !ok || done.Source != "cache" || len(facts) != 3 {
			t.Errorf("its history: %v", facts)
		}
		if end := wait(t, e, start(t, e, p, run.Options{Tenant: "another"})); end.Value != "2" {
			t.Errorf("another tenant got %+v", end)
		}
		if end := wait(t, e, start(t, e, w.plan(strings.Replace(remembered, `"one"`, `"two"`, 1)), run.Options{})); end.Value != "3" {
			t.Errorf("another question got %+v", end)
		}
	})
}

// Each mode does what it says, in a history that another process goes on with too.
func TestCacheModes(t *testing.T) {
	for _, c := range []struct {
		mode   run.CacheMode
		filled bool
		want   string // with an answer `1` in the cache, or none
		then   string // what a run in the usual mode gets afterwards
	}{
		{"", true, "1", "1"}, {run.CacheWrite, true, "1", "1"}, {run.CacheRead, true, "1", "1"}, {run.CacheOff, true, "2", "1"}, {run.CacheRefresh, true, "2", "2"},
		{"", false, "1", "1"}, {run.CacheRead, false, "1", "2"}, {run.CacheOff, false, "1", "2"}, {run.CacheRefresh, false, "1", "1"},
	} {
		t.Run(fmt.Sprintf("%s,%t", c.mode, c.filled), func(t *testing.T) {
			w := newWorld(t)
			w.numbering("asks")
			p, s := w.plan(remembered), apart{memory.New()}
			if c.filled {
				w.play(s, p, run.Options{})
			}
			if end := w.play(s, p, run.Options{Cache: c.mode}); end.Value != c.want {
				t.Errorf("got %v, want %s", end.Value, c.want)
			}
			if end := w.play(s, p, run.Options{}); end.Value != c.then {
				t.Errorf("afterwards %v, want %s", end.Value, c.then)
			}
		})
	}
	w := newWorld(t)
	w.numbering("asks")
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	if _, err := e.Start(t.Context(), w.plan(remembered), nil, run.Options{Cache: "sometimes"}); !errors.Is(err, runs.ErrInput) {
		t.Errorf("an unknown mode: %v", err)
	}
}

// An answer lives as long as the call says that wants it, and is cleaned up after as long as the call said that brought it.
func TestCachedAnswersExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.numbering("asks")
		p, s := w.plan(remembered), apart{memory.New()}
		w.play(s, p, run.Options{})
		time.Sleep(time.Hour - time.Second)
		if end := w.play(s, p, run.Options{}); end.Value != "1" {
			t.Errorf("before its end: %v", end.Value)
		}
		if end := w.play(s, w.plan(strings.Replace(remembered, "1h", "10m", 1)), run.Options{}); end.Value != "2" {
			t.Errorf("a call that wants it younger got %v", end.Value)
		}
		if n, err := engine.Expire(t.Context(), s, time.Now()); n != 0 || err != nil {
			t.Errorf("%d expired, %v", n, err)
		}
		time.Sleep(10 * time.Minute)
		if n, err := engine.Expire(t.Context(), s, time.Now()); n != 1 || err != nil || kept(t, s) != 0 {
			t.Errorf("%d expired, %v, %d are left", n, err, kept(t, s))
		}
		if end := w.play(s, p, run.Options{}); end.Value != "3" {
			t.Errorf("after its end: %v", end.Value)
		}
	})
}

// A cache that cannot be read or written fails no run, and is left alone for a while.
func TestABrokenCacheFailsNoRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.numbering("asks")
		many := w.plan(`input who: string
all = map i in 1..20 limit 1 { asks "<<who>> <<i>>" cache 1h }
output len(all)`)
		for _, hangs := range []bool{false, true} {
			var asked atomic.Int32
			broken := func(ctx context.Context) error {
				asked.Add(1)
				if hangs {
					<-ctx.Done()
				}
				return errors.New("connection refused")
			}
			h := &hooks{Store: memory.New()}
			h.getDoc = func(string) error { return broken(t.Context()) }
			h.putDoc = func(ctx context.Context, _ string, _ func() error) error { return broken(ctx) }
			if hangs {
				h.getDoc = nil
			}
			e := engine.New(engine.Config{Registry: w.registry, Store: h})
			id, err := e.Start(t.Context(), many, map[string]any{"who": fmt.Sprint(hangs)}, run.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if end := wait(t, e, id); end.Value != 20 {
				t.Errorf("%+v", end)
			}
			shut(t, e)
			if n := asked.Load(); n > 3 {
				t.Errorf("a store that does not answer was asked %d times", n)
			}
		}
	})
}

// What cannot be read in the cache is no answer, and goes when the cache is cleaned up.
func TestADamagedAnswerIsNone(t *testing.T) {
	w := newWorld(t)
	w.numbering("asks")
	p, s := w.plan(remembered), apart{memory.New()}
	w.play(s, p, run.Options{})
	for name, err := range s.AllDocs(t.Context(), "cache", "") {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.PutDoc(t.Context(), "cache", name, 1, []byte("{broken")); err != nil {
			t.Fatal(err)
		}
	}
	if end := w.play(s, p, run.Options{Cache: run.CacheRead}); end.Value != "2" {
		t.Errorf("got %v", end.Value)
	}
	if n, err := engine.Expire(t.Context(), s, time.Now()); n != 1 || err != nil {
		t.Errorf("%d expired, %v", n, err)
	}
}

// A large answer is kept apart. The next run puts it there again, so that it is in use from now on; without its bytes the call is made.
func TestLargeAnswersInTheCache(t *testing.T) {
	stores(t, func(t *testing.T, open func() store.Store) {
		w := newWorld(t)
		var calls atomic.Int32
		w.model("asks", func(context.Context, *agent.Call) agent.Reply {
			calls.Add(1)
			return agent.Reply{Value: strings.Repeat("large ", 50_000)}
		})
		p, s := w.plan(remembered+" + \"!\""), open()
		w.play(s, p, run.Options{})
		var hash string
		if err := engine.NamedBlobs(t.Context(), s, func(h string) { hash = h }); err != nil || hash == "" {
			t.Fatalf("no value is named, %v", err)
		}
		began := time.Now()
		if end := w.play(open(), p, run.Options{}); end.Status != run.Succeeded || calls.Load() != 1 {
			t.Errorf("%v after %d calls", end.Status, calls.Load())
		}
		if err := s.DropBlob(t.Context(), hash, began); err != nil {
			t.Fatal(err)
		}
		if _, err := s.GetBlob(t.Context(), hash); err != nil {
			t.Errorf("what a fact names was put before that fact, long ago: %v", err)
		}
		if err := s.DropBlob(t.Context(), hash, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if end := w.play(open(), p, run.Options{}); end.Status != run.Succeeded || calls.Load() != 2 {
			t.Errorf("without its bytes: %+v after %d calls", end.Status, calls.Load())
		}
	})
}

// accounted is an agent that asks as somebody.
type accounted struct {
	scripted
	as func() string
}

func (a accounted) Account() string { return agent.Account("server", a.as()) }

// An answer given to one account is none for another.
func TestTheCacheKnowsAccounts(t *testing.T) {
	w := newWorld(t)
	var key atomic.Value
	key.Store("sk-first")
	var calls atomic.Int32
	sig := signature("asks")
	sig.Effect = types.Think
	w.add("asks", accounted{scripted{[]types.Signature{sig}, func(context.Context, *agent.Call) agent.Reply {
		return agent.Reply{Value: fmt.Sprint(calls.Add(1))}
	}}, func() string { return key.Load().(string) }})
	p, s := w.plan(remembered), apart{memory.New()}
	for _, c := range []struct{ key, want string }{{"sk-first", "1"}, {"sk-first", "1"}, {"sk-second", "2"}, {"sk-first", "1"}} {
		key.Store(c.key)
		if end := w.play(s, p, run.Options{}); end.Value != c.want {
			t.Errorf("as %s: %v, want %s", c.key, end.Value, c.want)
		}
	}
}

// While a store is asked the call waits: it can be cancelled, and a pause lets it wait.
func TestACallThatWaitsForTheCacheCanBeCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		calls := w.numbering("asks")
		asked := make(chan struct{})
		h := &hooks{Store: memory.New(), getDoc: func(string) error {
			close(asked)
			time.Sleep(time.Minute)
			return store.ErrNotFound
		}}
		e := engine.New(engine.Config{Registry: w.registry, Store: h})
		id := start(t, e, w.plan(remembered), run.Options{})
		<-asked
		if err := e.Cancel(t.Context(), id, "ada", "enough"); err != nil {
			t.Fatal(err)
		}
		if end := wait(t, e, id); end.Status != run.Cancelled || calls.Load() != 0 {
			t.Errorf("%+v after %d calls", end, calls.Load())
		}
		shut(t, e)
	})
}

// Only what fits its type is kept.
func TestOnlyValidAnswersAreKept(t *testing.T) {
	w := newWorld(t)
	var answer atomic.Value
	answer.Store("nonsense")
	w.model("asks", func(context.Context, *agent.Call) agent.Reply { return agent.Reply{Value: answer.Load()} })
	p, s := w.plan(`a = asks "how many?" as int cache 1h
output a`), apart{memory.New()}
	if end := w.play(s, p, run.Options{}); end.Status != run.Failed || kept(t, s) != 0 {
		t.Errorf("%+v, and %d answers are kept", end, kept(t, s))
	}
	for _, says := range []string{"41", "42"} {
		answer.Store(says)
		if diff := cmp.Diff(any(41), w.play(s, p, run.Options{}).Value); diff != "" {
			t.Error(diff)
		}
	}
}
