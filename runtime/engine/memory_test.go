package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/runtime/store/redis"
	"github.com/slopstudios/slop/runtime/store/redis/redistest"
	"github.com/slopstudios/slop/runtime/store/sqlite"
	"github.com/slopstudios/slop/stdlib/contexts"
)

// stores runs a test on each store that a test can have for nothing. open gives the store of another process.
func stores(t *testing.T, test func(t *testing.T, open func() store.Store)) {
	t.Run("memory", func(t *testing.T) {
		s := memory.New()
		test(t, func() store.Store { return apart{s} })
	})
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "slop.db")
		test(t, func() store.Store {
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		})
	})
	t.Run("redis", func(t *testing.T) {
		server := redistest.Start(t)
		test(t, func() store.Store {
			s, err := redis.Open(t.Context(), redis.Config{URL: server.URL()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		})
	})
}

// apart makes a store in memory one that several processes share.
type apart struct{ store.Store }

func (w *world) flow(name, text string) *plan.Plan {
	w.t.Helper()
	p, diags := lang.Compile(source.NewFile(name+".slop", text), w.registry.Scope())
	if diags.HasErrors() {
		w.t.Fatalf("%s\ndoes not compile: %v", text, diags)
	}
	return p
}

// play runs a flow to its end on a store of its own process.
func (w *world) play(s store.Store, p *plan.Plan, o run.Options) run.Finished {
	w.t.Helper()
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(w.t, e)
	return wait(w.t, e, start(w.t, e, p, o))
}

func remembering(t testing.TB) *world {
	w := newWorld(t)
	w.add("memory", contexts.New())
	return w
}

// hangsOnce is a model that never answers the first call.
func (w *world) hangsOnce(name string) (begun chan struct{}) {
	begun = make(chan struct{})
	var calls atomic.Int32
	w.model(name, func(ctx context.Context, c *agent.Call) agent.Reply {
		if calls.Add(1) == 1 {
			close(begun)
			return hang(ctx, c)
		}
		return agent.Reply{Value: "!"}
	})
	return begun
}

// The state of a run is what its history says: writers of one path at once come in the order of the facts, in this process and in the next.
func TestTheStateOfARunFollowsItsHistory(t *testing.T) {
	w := remembering(t)
	begun := w.hangsOnce("hangs")
	p := w.plan(`all = map i in 1..100 { memory.append(path: "list", value: i) }
sum = map i in 1..100 { memory.add(path: "n", by: i) }
again = map i in 1..50 { memory.set(path: "last", value: i) }
before = memory.get "last" after again
slow = hangs "x" after all, sum, before
list = memory.get "list" after slow
n = memory.get "n" after slow
last = memory.get "last" after slow
output {places: all, list: list, n: n, before: before, last: last}`)
	s := memory.New()
	dead := engine.New(engine.Config{Registry: w.registry, Store: s, Owner: "dead"})
	id := start(t, dead, p, run.Options{})
	<-begun
	shut(t, dead)
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	if err := e.Adopt(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	got := wait(t, e, id).Value.(map[string]any)
	list := got["list"].([]any)
	for i, place := range got["places"].([]any) {
		if list[place.(int)-1] != i+1 {
			t.Fatalf("the append of %d was told place %v, and the list is %v", i+1, place, list)
		}
	}
	if got["n"] != 5050 || got["before"] != got["last"] {
		t.Errorf("the sum is %v, the last write was %v and is %v", got["n"], got["before"], got["last"])
	}
}

// A value with a ttl ends when it would have ended in the process that wrote it.
func TestTTLOfARunGoesOnInTheNextProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := remembering(t)
		begun := w.hangsOnce("hangs")
		p := w.plan(`one = memory.set(path: "brief", value: 1, ttl: "1h")
two = memory.set(path: "long", value: 2, ttl: "3h") after one
slow = hangs "x" after two
brief = memory.get(path: "brief", default: "gone") after slow
long = memory.get(path: "long", default: "gone") after slow
output [brief, long]`)
		s := memory.New()
		dead := engine.New(engine.Config{Registry: w.registry, Store: s, Owner: "dead"})
		id := start(t, dead, p, run.Options{})
		<-begun
		shut(t, dead)
		time.Sleep(2 * time.Hour)
		e := engine.New(engine.Config{Registry: w.registry, Store: s})
		defer shut(t, e)
		if err := e.Adopt(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{"gone", 2}, wait(t, e, id).Value); diff != "" {
			t.Error(diff)
		}
	})
}

// A write that nobody waited for to its end has changed nothing, and the write that failed says why.
func TestARefusedWriteChangesNothing(t *testing.T) {
	w := remembering(t)
	p := w.plan(`a = memory.set(path: "a", value: "text")
b = try {
  inner = memory.set(path: "a.b", value: 1) after a
  output "done"
} else { output error.message }
c = try {
  output memory.append(path: "a", value: 1) after b
} else { output 0 }
d = memory.get "a" after c
output [b, c, d]`)
	if diff := cmp.Diff([]any{"path `a.b`: `b` needs a record, there is a text", 0, "text"}, w.play(memory.New(), p, run.Options{}).Value); diff != "" {
		t.Error(diff)
	}
}

// What a flow and all flows share outlives the run, and is seen by whom it is for.
func TestScopesOutliveTheRun(t *testing.T) {
	stores(t, func(t *testing.T, open func() store.Store) {
		w := remembering(t)
		write := w.flow("diary", `one = memory.set(path: "notes.today", value: {text: "sun"}, scope: "flow")
two = memory.merge(path: "notes", value: {author: "Ada"}, scope: "flow")
three = memory.append(path: "log", value: "diary", scope: "shared")
four = memory.set(path: "mine", value: 1)`)
		read := `a = memory.get(path: "notes", scope: "flow", default: "none")
b = memory.get(path: "log[0]", scope: "shared", default: "none")
c = memory.get(path: "mine", default: "none")
d = memory.list(scope: "flow")
e = memory.list(path: "notes", scope: "flow")
f = memory.list(scope: "shared")
output [a, b, c, d, e, f]`
		if end := w.play(open(), write, run.Options{}); end.Status != run.Succeeded {
			t.Fatalf("%+v", end)
		}
		notes := map[string]any{"today": map[string]any{"text": "sun"}, "author": "Ada"}
		none := []any{}
		for _, c := range []struct {
			flow string
			o    run.Options
			want []any
		}{
			{"diary", run.Options{}, []any{notes, "diary", "none", []any{"notes"}, []any{"author", "today"}, []any{"log"}}},
			{"other", run.Options{}, []any{"none", "diary", "none", none, none, []any{"log"}}},
			{"diary", run.Options{Pool: "cli:elsewhere"}, []any{"none", "diary", "none", none, none, []any{"log"}}},
			{"diary", run.Options{Tenant: "another"}, []any{"none", "none", "none", none, none, none}},
		} {
			if diff := cmp.Diff(any(c.want), w.play(open(), w.flow(c.flow, read), c.o).Value); diff != "" {
				t.Errorf("%s %+v: %s", c.flow, c.o, diff)
			}
		}
	})
}

// A hundred writers in several processes lose no update, whether they write to one value or to many.
func TestNoUpdateIsLostBetweenProcesses(t *testing.T) {
	stores(t, func(t *testing.T, open func() store.Store) {
		w := remembering(t)
		p := w.plan(`input who: int
all = map i in 1..25 {
  a = memory.add(path: "sum", scope: "shared")
  b = memory.append(path: "list", value: who * 100 + i, scope: "shared")
  c = memory.set(path: "by.w<<who>>.n<<i>>", value: i, scope: "shared")
}`)
		var group sync.WaitGroup
		for who := range 4 {
			e := engine.New(engine.Config{Registry: w.registry, Store: open()})
			defer shut(t, e)
			group.Go(func() {
				id, err := e.Start(t.Context(), p, map[string]any{"who": who}, run.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if end, err := e.Wait(t.Context(), id); err != nil || end.Status != run.Succeeded {
					t.Errorf("%+v, %v", end, err)
				}
			})
		}
		group.Wait()
		end := w.play(open(), w.plan(`a = memory.get(path: "sum", scope: "shared")
b = memory.get(path: "list", scope: "shared")
c = memory.get(path: "by", scope: "shared")
output {sum: a, list: b, by: c}`), run.Options{})
		got := end.Value.(map[string]any)
		list := got["list"].([]any)
		slices.SortFunc(list, func(a, b any) int { return a.(int) - b.(int) })
		if n := len(slices.Compact(list)); got["sum"] != 100 || n != 100 {
			t.Errorf("of 100 updates %v were added up, and %d were listed", got["sum"], n)
		}
		for who := range 4 {
			if n := len(got["by"].(map[string]any)[fmt.Sprintf("w%d", who)].(map[string]any)); n != 25 {
				t.Errorf("process %d has %d of 25 values", who, n)
			}
		}
	})
}

// hooks is a store in which something may happen before a write.
type hooks struct {
	store.Store
	append func(ctx context.Context, facts []run.Fact) error
	putDoc func(ctx context.Context, kind string, write func() error) error
	getDoc func(kind string) error
}

func (h *hooks) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	if h.append != nil {
		if err := h.append(ctx, facts); err != nil {
			return err
		}
	}
	return h.Store.Append(ctx, lease, head, facts...)
}

func (h *hooks) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	write := func() error { return h.Store.PutDoc(ctx, kind, name, version, data) }
	if h.putDoc != nil {
		return h.putDoc(ctx, kind, write)
	}
	return write()
}

func (h *hooks) GetDoc(ctx context.Context, kind, name string) ([]byte, uint64, error) {
	if h.getDoc != nil {
		if err := h.getDoc(kind); err != nil {
			return nil, 0, err
		}
	}
	return h.Store.GetDoc(ctx, kind, name)
}

const counting = `n = memory.add(path: "n", scope: "shared")
slow = hangs "x" after n
got = memory.get(path: "n", scope: "shared") after slow
output [n, got]`

// What outlives the run is not written again when the history is folded in another process.
func TestAFoldWritesNothingThatOutlivesTheRun(t *testing.T) {
	stores(t, func(t *testing.T, open func() store.Store) {
		w := remembering(t)
		begun := w.hangsOnce("hangs")
		dead := engine.New(engine.Config{Registry: w.registry, Store: open(), Owner: "dead"})
		id := start(t, dead, w.plan(counting), run.Options{})
		<-begun
		shut(t, dead)
		e := engine.New(engine.Config{Registry: w.registry, Store: open()})
		defer shut(t, e)
		if err := e.Adopt(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{1, 1}, wait(t, e, id).Value); diff != "" {
			t.Error(diff)
		}
	})
}

// A process that dies between such a write and the fact of it, or before the write, has written once when the run has ended, and nobody is asked about it.
func TestAWriteThatOutlivesTheRunIsMadeOnceOverACrash(t *testing.T) {
	for _, dies := range []string{"before the write", "after the write"} {
		t.Run(dies, func(t *testing.T) {
			w := remembering(t)
			w.model("hangs", say("!"))
			s := memory.New()
			reached := make(chan struct{})
			block := func(ctx context.Context) error {
				close(reached)
				<-ctx.Done()
				return ctx.Err()
			}
			h := &hooks{Store: s}
			if dies == "before the write" {
				h.putDoc = func(ctx context.Context, kind string, _ func() error) error { return block(ctx) }
			} else {
				h.append = func(ctx context.Context, facts []run.Fact) error {
					if slices.ContainsFunc(facts, func(f run.Fact) bool { _, ok := f.Body.(*run.CallDone); return ok }) {
						return block(ctx)
					}
					return nil
				}
			}
			dead := engine.New(engine.Config{Registry: w.registry, Store: h, Owner: "dead"})
			id := start(t, dead, w.plan(counting), run.Options{})
			<-reached
			shut(t, dead)
			e := engine.New(engine.Config{Registry: w.registry, Store: s})
			defer shut(t, e)
			if err := e.Adopt(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{1, 1}, wait(t, e, id).Value); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A write whose fate the store does not tell is made once.
func TestAWriteOfUnknownFateIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := remembering(t)
		p := w.plan(`all = map i in 1..10 { memory.add(path: "n", by: i, scope: "shared") }
got = memory.get(path: "n", scope: "shared") after all
output got ?? 0`)
		var count atomic.Int32
		h := &hooks{Store: memory.New(), putDoc: func(_ context.Context, kind string, write func() error) error {
			switch count.Add(1) % 3 {
			case 0:
				_ = write()
				return errors.New("the line went dead")
			case 1:
				return errors.New("the store rests")
			}
			return write()
		}}
		if end := w.play(h, p, run.Options{}); end.Value != 55 {
			t.Errorf("got %+v, want 55", end)
		}
	})
}

// Shared state that cannot be reached is a failure that may pass.
func TestSharedStateOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := remembering(t)
		var down atomic.Bool
		down.Store(true)
		time.AfterFunc(time.Second, func() { down.Store(false) })
		h := &hooks{Store: memory.New(), getDoc: func(string) error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}}
		p := w.plan(`a = memory.get(path: "x", scope: "flow") else "nothing to read"
b = memory.set(path: "x", value: 1, scope: "flow") retry 5 wait 1m
c = memory.get(path: "x", scope: "flow") after b
output [a, c]`)
		if diff := cmp.Diff([]any{"nothing to read", 1}, w.play(h, p, run.Options{}).Value); diff != "" {
			t.Error(diff)
		}
	})
}

// When so much has been written since that a document no longer knows a call which was interrupted, a person is asked.
func TestAWriteThatNobodyKnowsOfIsAQuestion(t *testing.T) {
	w := remembering(t)
	w.model("hangs", say("!"))
	s := memory.New()
	reached := make(chan struct{})
	h := &hooks{Store: s, putDoc: func(ctx context.Context, kind string, _ func() error) error {
		close(reached)
		<-ctx.Done()
		return ctx.Err()
	}}
	dead := engine.New(engine.Config{Registry: w.registry, Store: h, Owner: "dead"})
	id := start(t, dead, w.plan(counting), run.Options{})
	<-reached
	shut(t, dead)
	if end := w.play(s, w.plan(`all = map i in 1..300 { memory.add(path: "n", scope: "shared") }`), run.Options{}); end.Status != run.Succeeded {
		t.Fatalf("%+v", end)
	}
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	if err := e.Adopt(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for f, err := range s.Tail(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if asked, ok := f.Body.(*run.Asked); ok {
			if asked.Form.Kind != "interrupted" || asked.Path != "n" {
				t.Errorf("asked %+v", asked)
			}
			break
		}
	}
	if err := e.Answer(t.Context(), id, "n", map[string]any{"done": 1}, "ada"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{1, 300}, wait(t, e, id).Value); diff != "" {
		t.Error(diff)
	}
}

// What outlives runs ends at its time, and is cleaned up: the value first, and the empty document when nobody can ask for what it has seen.
func TestSharedStateExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := remembering(t)
		s := memory.New()
		count := func() int {
			n := 0
			for _, err := range s.AllDocs(t.Context(), "context", "") {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			return n
		}
		expire := func(want int) {
			t.Helper()
			if n, err := engine.Expire(t.Context(), s, time.Now()); n != want || err != nil {
				t.Errorf("%d documents expired, %v; want %d", n, err, want)
			}
		}
		w.play(s, w.plan(`a = memory.set(path: "brief", value: 1, ttl: "1h", scope: "shared")
b = memory.set(path: "long.x", value: 1, scope: "shared")
c = memory.set(path: "long.y", value: 1, ttl: "1h", scope: "shared")`), run.Options{})
		read := w.plan(`a = memory.get(path: "brief", scope: "shared", default: 0)
b = memory.get(path: "long", scope: "shared")
c = memory.list(scope: "shared")
output [a, b, c]`)
		time.Sleep(time.Hour - time.Second)
		if diff := cmp.Diff([]any{1, map[string]any{"x": 1, "y": 1}, []any{"brief", "long"}}, w.play(s, read, run.Options{}).Value); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Second)
		if diff := cmp.Diff([]any{0, map[string]any{"x": 1}, []any{"long"}}, w.play(s, read, run.Options{}).Value); diff != "" {
			t.Error(diff)
		}
		expire(2)
		expire(0)
		if n := count(); n != 2 {
			t.Errorf("%d documents, and what they have seen may be asked for", n)
		}
		time.Sleep(8 * 24 * time.Hour)
		expire(1)
		if n := count(); n != 1 {
			t.Errorf("%d documents, one of them empty for long", n)
		}
		// Writers clean up as they go, once an hour.
		w.play(s, w.plan(`a = memory.set(path: "brief", value: 1, ttl: "1h", scope: "shared")`), run.Options{})
		time.Sleep(9 * 24 * time.Hour)
		w.play(s, w.plan(`a = memory.set(path: "other", value: 1, scope: "shared")`), run.Options{})
		time.Sleep(time.Hour)
		w.play(s, w.plan(`a = memory.set(path: "other", value: 2, scope: "shared")`), run.Options{})
		if n := count(); n != 2 {
			t.Errorf("%d documents are kept, want those of `long` and `other`", n)
		}
	})
}

// A large value is kept apart, and named where a sweep finds it.
func TestLargeValuesOfSharedState(t *testing.T) {
	stores(t, func(t *testing.T, open func() store.Store) {
		w := remembering(t)
		text := strings.Repeat("large ", 50_000)
		w.model("writer", say(text))
		s := open()
		w.play(s, w.plan(`a = writer "x"
b = memory.set(path: "a.text", value: a, scope: "shared")
c = memory.set(path: "a.text", value: a)`), run.Options{})
		named := map[string]bool{}
		if err := engine.NamedBlobs(t.Context(), s, func(hash string) { named[hash] = true }); err != nil {
			t.Fatal(err)
		}
		if len(named) != 1 {
			t.Errorf("%d values are named", len(named))
		}
		for name, err := range s.AllDocs(t.Context(), "context", "") {
			if err != nil {
				t.Fatal(err)
			}
			if data, _, err := s.GetDoc(t.Context(), "context", name); err != nil || len(data) > 2000 {
				t.Errorf("%s has %d bytes, %v", name, len(data), err)
			}
		}
		end := w.play(open(), w.plan(`a = memory.get(path: "a.text", scope: "shared")
output len(a ?? "none") == 300000`), run.Options{})
		if end.Value != true {
			t.Errorf("got %+v", end)
		}
	})
}

// A document that grows too large is refused, and stays as it was.
func TestSharedStateIsBounded(t *testing.T) {
	w := remembering(t)
	w.model("writer", say(strings.Repeat("x", 60_000)))
	end := w.play(memory.New(), w.plan(`t = writer "x"
all = map i in 1..30 tolerate all into missed { memory.append(path: "l", value: t, scope: "shared") }
l = memory.get(path: "l", scope: "shared") after all
output [len(l ?? []), len(missed)]`), run.Options{})
	if diff := cmp.Diff([]any{17, 13}, end.Value); diff != "" {
		t.Error(diff)
	}
}

// A fork has the state that the steps it keeps have made, and writes anew what it does again.
func TestAForkKeepsTheStateOfItsSteps(t *testing.T) {
	w := remembering(t)
	var calls atomic.Int32
	w.model("writer", func(context.Context, *agent.Call) agent.Reply { return agent.Reply{Value: fmt.Sprint(calls.Add(1))} })
	p := w.plan(`a = memory.append(path: "l", value: "kept")
b = memory.add(path: "n", scope: "shared")
c = writer "x" after a, b
d = memory.append(path: "l", value: c)
e = memory.add(path: "n", by: 10, scope: "shared") after d
f = memory.get "l" after d
g = memory.get(path: "n", scope: "shared") after e
output {l: f, n: g}`)
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, p, run.Options{})
	if diff := cmp.Diff(map[string]any{"l": []any{"kept", "1"}, "n": 11}, wait(t, e, id).Value); diff != "" {
		t.Fatal(diff)
	}
	_, end := forkAndWait(t, e, id, runs.Change{From: "c"})
	if diff := cmp.Diff(map[string]any{"l": []any{"kept", "2"}, "n": 21}, end.Value); diff != "" {
		t.Error(diff)
	}
}
