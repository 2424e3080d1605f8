package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/stdlib/contexts"
	"github.com/slopstudios/slop/stdlib/echo"
	"github.com/slopstudios/slop/stdlib/human"
	waits "github.com/slopstudios/slop/stdlib/wait"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type handler = func(context.Context, *agent.Call) agent.Reply

// world is a registry with echo, human, and models made of functions.
type world struct {
	t        testing.TB
	registry *agent.Registry
}

func newWorld(t testing.TB) *world {
	w := &world{t, agent.NewRegistry()}
	w.add("echo", echo.New())
	w.add("human", human.New())
	w.add("wait", waits.New())
	return w
}

func (w *world) add(name string, a agent.Agent) {
	w.t.Helper()
	if err := w.registry.Register(name, a, nil); err != nil {
		w.t.Fatal(err)
	}
}

// model registers a think agent, doer a do agent.
func (w *world) model(name string, h handler) {
	s := signature(name)
	s.Effect, s.Structured = types.Think, true
	w.add(name, scripted{[]types.Signature{s}, h})
}

func (w *world) doer(name string, h handler) {
	s := signature(name)
	s.Effect = types.Do
	w.add(name, scripted{[]types.Signature{s}, h})
}

func (w *world) plan(text string) *plan.Plan {
	w.t.Helper()
	p, diags := lang.Compile(source.NewFile("main.slop", text), w.registry.Scope())
	if diags.HasErrors() {
		w.t.Fatalf("%s\ndoes not compile: %v", text, diags)
	}
	return p
}

func start(t testing.TB, e *engine.Engine, p *plan.Plan, o run.Options) run.ID {
	t.Helper()
	id, err := e.Start(t.Context(), p, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func wait(t testing.TB, e *engine.Engine, id run.ID) run.Finished {
	t.Helper()
	end, err := e.Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return end
}

func shut(t testing.TB, e *engine.Engine) {
	t.Helper()
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func say(v any) handler {
	return func(context.Context, *agent.Call) agent.Reply { return agent.Reply{Value: v} }
}

func hang(ctx context.Context, c *agent.Call) agent.Reply {
	<-ctx.Done()
	return agent.Fail(run.Failure, "told to end")
}

func TestStartNamesAllThatIsWrongWithTheInputs(t *testing.T) {
	w := newWorld(t)
	p := w.plan("input a: string\ninput b: int must b > 0\ninput c: float = 1.0\ninput d: string\necho \"<<a>> <<b>> <<c>> <<d>>\"")
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	_, err := e.Start(t.Context(), p, map[string]any{"b": -1, "c": "x", "e": 1}, run.Options{})
	if !errors.Is(err, runs.ErrInput) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"missing: a, d", "b: ", "c: ", "`e`"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	id, err := e.Start(t.Context(), p, map[string]any{"a": "x", "b": 2, "c": 3, "d": "y"}, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if end := wait(t, e, id); end.Value != "x 2 3 y" {
		t.Errorf("got %+v", end)
	}
	if end := wait(t, e, id); end.Value != "x 2 3 y" {
		t.Errorf("waiting again, after the end: %+v", end)
	}
	if _, err := e.Wait(t.Context(), "nobody"); !errors.Is(err, runs.ErrNotFound) {
		t.Errorf("waiting for nobody: %v", err)
	}
}

func TestTheFirstAnswerCounts(t *testing.T) {
	w := newWorld(t)
	p := w.plan(`ok = human.approve "Go?"
output ok`)
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, p, run.Options{})
	for ev, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if _, asked := ev.Fact.Body.(*run.Asked); asked {
			break
		}
	}
	if err := e.Answer(t.Context(), id, "ok", "maybe", "ada"); !errors.Is(err, runs.ErrAnswer) {
		t.Errorf("an answer that is none of the choices: %v", err)
	}
	if err := e.Answer(t.Context(), id, "other", "yes", "ada"); !errors.Is(err, runs.ErrNotAsked) {
		t.Errorf("an answer to nothing: %v", err)
	}
	var group sync.WaitGroup
	var won, late, over atomic.Int32
	for i := range 100 {
		group.Go(func() {
			switch err := e.Answer(t.Context(), id, "ok", []string{"yes", "no"}[i%2], fmt.Sprint(i)); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, runs.ErrAnswered):
				late.Add(1)
			case errors.Is(err, runs.ErrFinished):
				over.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 || late.Load()+over.Load() != 99 {
		t.Errorf("%d answers counted, %d were late, %d came after the end", won.Load(), late.Load(), over.Load())
	}
	wait(t, e, id)
}

func TestACrashHarmsNoOther(t *testing.T) {
	w := newWorld(t)
	w.model("panics", func(context.Context, *agent.Call) agent.Reply { panic("boom") })
	w.model("leaves", func(context.Context, *agent.Call) agent.Reply { runtime.Goexit(); return agent.Reply{} })
	w.model("floods", func(_ context.Context, c *agent.Call) agent.Reply {
		for range 100_000 {
			c.Emit(agent.Progress{Delta: "drop ", Note: "flood"})
		}
		return agent.Reply{Value: strings.Repeat("x", 40<<20)}
	})
	w.model("odd", say(make(chan int)))
	deep := any("x")
	for range 1000 {
		deep = []any{deep}
	}
	w.model("deep", say(deep))
	w.model("well", say("fine"))
	p := w.plan(`a = panics "x" else "<<error.message>>"
b = leaves "x" else "<<error.message>>"
c = floods "x" else "<<error.message>>"
d = odd "x" else "<<error.message>>"
e = deep "x" else "<<error.message>>"
f = well "x"
output [a, b, c, d, e, f]`)
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, p, run.Options{})
	for _, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
	}
	end := wait(t, e, id)
	got, ok := end.Value.([]any)
	if !ok {
		t.Fatalf("the run ended with %+v", end)
	}
	for i, want := range []string{"crashed: boom", "ended its goroutine", "larger than 32 MiB", "chan int is no value", "nested deeper", "fine"} {
		if !strings.Contains(got[i].(string), want) {
			t.Errorf("%d: got %q, want %q in it", i, got[i], want)
		}
	}
}

func TestGoexitOfALoneCall(t *testing.T) {
	w := newWorld(t)
	w.model("leaves", func(context.Context, *agent.Call) agent.Reply { runtime.Goexit(); return agent.Reply{} })
	p := w.plan(`output leaves "x" else "caught"`)
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	if end := wait(t, e, start(t, e, p, run.Options{})); end.Value != "caught" {
		t.Errorf("got %+v", end)
	}
}

func TestCancelWhileALoneCallIsUnderWay(t *testing.T) {
	w := newWorld(t)
	w.model("hangs", hang)
	p := w.plan(`output hangs "x"`)
	synctest.Test(t, func(t *testing.T) {
		e := engine.New(engine.Config{Registry: w.registry})
		defer shut(t, e)
		id := start(t, e, p, run.Options{})
		synctest.Wait()
		if err := e.Cancel(t.Context(), id, "ada", "enough"); err != nil {
			t.Fatal(err)
		}
		end := wait(t, e, id)
		if end.Status != run.Cancelled || !strings.Contains(end.Error.Message, "by ada: enough") {
			t.Errorf("got %+v", end)
		}
		if err := e.Cancel(t.Context(), id, "", ""); !errors.Is(err, runs.ErrFinished) {
			t.Errorf("a cancel after the end: %v", err)
		}
	})
}

func TestCloseLeavesRunsForLater(t *testing.T) {
	begun := make(chan struct{})
	w := newWorld(t)
	w.model("hangs", func(ctx context.Context, c *agent.Call) agent.Reply {
		close(begun)
		return hang(ctx, c)
	})
	p := w.plan(`output hangs "x"`)
	s := memory.New()
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	id := start(t, e, p, run.Options{})
	waited := make(chan error)
	go func() {
		_, err := e.Wait(t.Context(), id)
		waited <- err
	}()
	<-begun
	shut(t, e)
	if err := <-waited; !errors.Is(err, runs.ErrClosed) {
		t.Errorf("who waited got %v", err)
	}
	if _, err := e.Start(t.Context(), p, nil, run.Options{}); !errors.Is(err, runs.ErrClosed) {
		t.Errorf("a start after the end: %v", err)
	}

	calls := 0
	fresh := newWorld(t)
	fresh.model("hangs", func(_ context.Context, c *agent.Call) agent.Reply {
		calls++
		return agent.Reply{Value: fmt.Sprint("attempt ", c.Attempt)}
	})
	second := engine.New(engine.Config{Registry: fresh.registry, Store: s})
	defer shut(t, second)
	n, err := second.Recover(t.Context())
	if err != nil || n != 1 {
		t.Fatalf("%d runs were taken up, %v", n, err)
	}
	if end := wait(t, second, id); end.Value != "attempt 2" || calls != 1 {
		t.Errorf("after %d calls: %+v", calls, end)
	}
}

func TestCloseNamesAnAgentThatDoesNotEnd(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t)
	w.doer("deaf", func(context.Context, *agent.Call) agent.Reply {
		close(begun)
		<-release
		return agent.Reply{Value: "late"}
	})
	p := w.plan(`output deaf "x"`)
	e := engine.New(engine.Config{Registry: w.registry})
	start(t, e, p, run.Options{})
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(release)
	shut(t, e)
}

// A do that was under way when the process died is not repeated: a person says what became of it.
func TestAnInterruptedDoIsAskedAbout(t *testing.T) {
	for answer, want := range map[string]struct {
		value any
		calls int32
		end   any
	}{
		"again":  {"again", 2, "made"},
		"done":   {map[string]any{"done": "was made"}, 1, "was made"},
		"failed": {"fail", 1, nil},
	} {
		t.Run(answer, func(t *testing.T) {
			var calls atomic.Int32
			begun := make(chan struct{})
			w := newWorld(t)
			w.doer("make", func(ctx context.Context, c *agent.Call) agent.Reply {
				if calls.Add(1) == 1 {
					close(begun)
					<-ctx.Done()
				}
				return agent.Reply{Value: "made"}
			})
			p := w.plan(`output make "it"`)
			s := memory.New()
			dead := engine.New(engine.Config{Registry: w.registry, Store: s, Owner: "dead"})
			id := start(t, dead, p, run.Options{})
			<-begun
			s.Void("dead") // the process is gone, its lease with it
			shut(t, dead)

			e := engine.New(engine.Config{Registry: w.registry, Store: s})
			defer shut(t, e)
			if err := e.Adopt(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			for ev, err := range e.Watch(t.Context(), id, 0) {
				if err != nil {
					t.Fatal(err)
				}
				if ev.Fact == nil {
					continue
				}
				if asked, ok := ev.Fact.Body.(*run.Asked); ok {
					if asked.Form.Kind != "interrupted" {
						t.Errorf("the question is %+v", asked.Form)
					}
					if err := e.Answer(t.Context(), id, asked.Path, want.value, "ada"); err != nil {
						t.Fatal(err)
					}
				}
			}
			end := wait(t, e, id)
			if end.Value != want.end || calls.Load() != want.calls {
				t.Errorf("after %d calls: %+v", calls.Load(), end)
			}
		})
	}
}

// Two processes share a store: what one is told reaches the run in the other.
func TestAnotherProcessCanSteer(t *testing.T) {
	w := newWorld(t)
	w.model("hangs", hang)
	p := w.plan(`ok = human.approve "Go?"
slow = hangs "x" after ok
output "<<ok>> <<slow>>"`)
	s := memory.New()
	here := engine.New(engine.Config{Registry: w.registry, Store: s})
	there := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, here)
	defer shut(t, there)
	id := start(t, here, p, run.Options{})
	for ev, err := range there.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		switch b := ev.Fact.Body.(type) {
		case *run.Asked:
			if err := there.Answer(t.Context(), id, b.Path, "yes", "bob"); err != nil {
				t.Fatal(err)
			}
			if err := there.Answer(t.Context(), id, b.Path, "no", "eve"); !errors.Is(err, runs.ErrAnswered) {
				t.Errorf("a second answer: %v", err)
			}
		case *run.CallStarted:
			if err := there.Cancel(t.Context(), id, "bob", ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	if end := wait(t, there, id); end.Status != run.Cancelled {
		t.Errorf("got %+v", end)
	}
	if err := there.Adopt(t.Context(), id); !errors.Is(err, runs.ErrFinished) {
		t.Errorf("a finished run was taken up: %v", err)
	}
}

func TestUsageIsNeverMadeUp(t *testing.T) {
	w := newWorld(t)
	w.model("silent", say("x"))
	w.model("counts", func(context.Context, *agent.Call) agent.Reply {
		return agent.Reply{Value: "x", Usage: run.Usage{Input: 1000, Output: 100}}
	})
	w.model("bills", func(context.Context, *agent.Call) agent.Reply {
		return agent.Reply{Value: "x", Usage: run.Usage{Input: 10, Tokens: run.Reported, Cost: 7, CostSource: run.Reported}}
	})
	w.model("crashes", func(context.Context, *agent.Call) agent.Reply { panic("x") })
	w.model("limited", func(context.Context, *agent.Call) agent.Reply { return agent.Fail(run.RateLimited, "later") })
	scope := w.registry.Scope()
	priced := scope.Capabilities["counts"]
	priced.Price = &types.Price{Input: 3, Output: 15}
	scope.Capabilities["counts"] = priced
	p, diags := lang.Compile(source.NewFile("main.slop", `a = silent "x"
b = counts "x"
c = bills "x"
d = limited "x" else "none"
e = echo "x"
f = crashes "x" else "none"
output "<<a>><<b>><<c>><<d>><<e>><<f>>"`), scope)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, p, run.Options{})
	folder := runs.Fold(p)
	for ev, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		folder.Add(*ev.Fact)
	}
	for path, want := range map[run.Path]run.Usage{
		"a": {Calls: 1, Tokens: run.Unknown, CostSource: run.Unknown},
		"b": {Calls: 1, Input: 1000, Output: 100, Tokens: run.Reported, Cost: 4500, CostSource: run.Estimated},
		"c": {Calls: 1, Input: 10, Tokens: run.Reported, Cost: 7, CostSource: run.Reported},
		"d": {Calls: 1},
		"e": {Calls: 1},
		"f": {Calls: 1, Tokens: run.Unknown, CostSource: run.Unknown},
	} {
		if s, _ := folder.Step(path); s.Usage != want {
			t.Errorf("%s used %+v, want %+v", path, s.Usage, want)
		}
	}
	if got := folder.View().Usage; got.CostSource != run.Unknown {
		t.Errorf("the run used %+v: the sum hides that a part is unknown", got)
	}
}

// The shared state of a run lives in the process; another process makes it anew from the history.
func TestTheSharedStateSurvivesTheProcess(t *testing.T) {
	w := newWorld(t)
	w.add("memory", contexts.New())
	begun := make(chan struct{})
	var calls atomic.Int32
	w.model("hangs", func(ctx context.Context, c *agent.Call) agent.Reply {
		if calls.Add(1) == 1 {
			close(begun)
			return hang(ctx, c)
		}
		return agent.Reply{Value: "!"}
	})
	p := w.plan(`one = memory.set(path: "a.b", value: [1, 2])
two = memory.set(path: "a.c", value: "gone")
three = memory.delete "a.c"
slow = hangs "x" after three
got = memory.get "a" after slow
output {slow: slow, got: got}`)
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
	want := map[string]any{"slow": "!", "got": map[string]any{"b": []any{1, 2}}}
	if diff := cmp.Diff(want, wait(t, e, id).Value); diff != "" {
		t.Error(diff)
	}
}

// A value that a person gives for a call that was cut off fits the type of the call's result, as the plan was promised.
func TestDoneFitsTheResult(t *testing.T) {
	w := newWorld(t)
	begun := make(chan struct{})
	w.doer("make", func(ctx context.Context, c *agent.Call) agent.Reply {
		close(begun)
		return hang(ctx, c)
	})
	s := memory.New()
	dead := engine.New(engine.Config{Registry: w.registry, Store: s, Owner: "dead"})
	id := start(t, dead, w.plan("output make \"x\""), run.Options{})
	<-begun
	shut(t, dead)
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	if err := e.Adopt(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	path := asked(t, e, id).Path
	if err := e.Answer(t.Context(), id, path, map[string]any{"done": 7}, ""); !errors.Is(err, runs.ErrAnswer) {
		t.Errorf("a number for a text: %v", err)
	}
	long := strings.Repeat("x", engine.DefaultInline+1)
	if err := e.Answer(t.Context(), id, path, map[string]any{"done": long}, ""); err != nil {
		t.Fatal(err)
	}
	if end := wait(t, e, id); end.Value != long {
		t.Errorf("got %v", end)
	}
	facts, _ := s.Load(t.Context(), id, 0)
	for _, f := range facts {
		if text, err := run.EncodeFact(f); err != nil || len(text) > engine.DefaultInline {
			t.Errorf("%s has %d bytes, %v", f.Kind(), len(text), err)
		}
	}
}
