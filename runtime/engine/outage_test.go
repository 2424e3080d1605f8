package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/stdlib/contexts"
)

// blackout is a run in an engine whose store can go away. Agents think, read and do; each call takes a second, and all are written down. What others do to the
// store meanwhile goes to kept.
type blackout struct {
	t     *testing.T
	w     *world
	s     *amnesiac
	e     *engine.Engine
	plan  *plan.Plan
	id    run.ID
	mu    sync.Mutex
	calls []string
}

func newBlackout(t *testing.T, c engine.Config) *blackout {
	b := &blackout{t: t, w: newWorld(t), s: newAmnesiac()}
	act := func(ctx context.Context, c *agent.Call) agent.Reply {
		b.mu.Lock()
		b.calls = append(b.calls, fmt.Sprint(c.Text))
		b.mu.Unlock()
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		select {
		case <-timer.C:
			return agent.Reply{Value: fmt.Sprintf("%v!", c.Text)}
		case <-ctx.Done():
			return agent.Fail(run.Failure, "told to end")
		}
	}
	b.w.model("think", act)
	reader := signature("look")
	reader.Effect = types.Read
	b.w.add("look", scripted{[]types.Signature{reader}, act})
	b.w.doer("do", act)
	b.e = b.engine(b.s, "first", c)
	return b
}

func (b *blackout) engine(s store.Store, owner string, c engine.Config) *engine.Engine {
	c.Registry, c.Store, c.Owner = b.w.registry, s, owner
	return engine.New(c)
}

func (b *blackout) start(text string) {
	b.plan = b.w.plan(text)
	b.id = start(b.t, b.e, b.plan, run.Options{})
}

// goes away or comes back, and a while passes.
func (b *blackout) away(away bool, awhile time.Duration) {
	b.s.away.Store(away)
	time.Sleep(awhile)
}

func (b *blackout) facts() []run.Fact {
	b.t.Helper()
	facts, err := b.s.kept.Load(b.t.Context(), b.id, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return facts
}

// told is the history in words, without what is the same in each.
func (b *blackout) told() string {
	var lines []string
	for _, f := range b.facts() {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// sent is what was called so far, by the text.
func (b *blackout) sent() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.calls)
}

// called says how often a text was sent.
func (b *blackout) called(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, c := range b.calls {
		if c == text {
			n++
		}
	}
	return n
}

// sound holds the history to its invariants.
func (b *blackout) sound() {
	b.t.Helper()
	for _, broken := range invariant.Check(b.plan, b.facts()) {
		b.t.Errorf("invariant: %s", broken)
	}
}

// inABlackout tells a story in a bubble where time is free.
func inABlackout(t *testing.T, c engine.Config, story func(t *testing.T, b *blackout)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBlackout(t, c)
		story(t, b)
		shut(t, b.e)
	})
}

const ofEachKind = `a = think "a"
b = look "b <<a>>"
c = think "c <<b>>"
d = do "d <<a>>"
q = human.ask "q <<a>>"
w = wait "2s" after a
x = think "x" after w
output [c, d, q, x]`

// Without its store a process lets calls under way end, and begins what thinks and reads; it does nothing, asks nobody, and no timer of the run rings. When the
// store is back all of it is stored in the order in which it came about, and what was held back begins.
func TestWithoutItsStoreAProcessThinksAndReads(t *testing.T) {
	inABlackout(t, engine.Config{Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
		b.start(ofEachKind)
		synctest.Wait()
		b.away(true, 10*time.Second)
		if got := b.sent(); !slices.Equal(got, []string{"a", "b a!", "c b a!!"}) {
			t.Errorf("while the store was away these were called: %q", got)
		}
		if got := b.told(); strings.Contains(got, "done") {
			t.Errorf("the store has\n%s", got)
		}
		if o := b.e.Outage(); o.Since.IsZero() || o.Facts != 6 || o.Bytes == 0 {
			t.Errorf("a done, b and c begun and done wait; and that d begins, which was decided before anybody knew: %+v", o)
		}
		b.away(false, 5*time.Second)
		if err := b.e.Answer(t.Context(), b.id, "q", "Q", ""); err != nil {
			t.Error(err)
		}
		if end := wait(t, b.e, b.id); fmt.Sprint(end.Value) != "[c b a!!! d a!! Q x!]" {
			t.Errorf("it ended with %v, %v", end.Value, end.Error)
		}
		if got, want := b.told(), "started\na 1 started\na 1 done: \"a!\"\nb 1 started\nd 1 started\nb 1 done: \"b a!!\"\nc 1 started\nc 1 done: \"c b a!!!\"\n"; !strings.HasPrefix(got, want) {
			t.Errorf("the history is\n%s", got)
		}
		if o := b.e.Outage(); o != (engine.Outage{}) {
			t.Errorf("after it: %+v", o)
		}
		b.sound()
	})
}

// No run ends before that is stored.
func TestWithoutItsStoreNoRunEnds(t *testing.T) {
	inABlackout(t, engine.Config{}, func(t *testing.T, b *blackout) {
		b.start(`output think "a"`)
		synctest.Wait()
		b.away(true, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if end, err := b.e.Wait(ctx, b.id); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %+v, %v", end, err)
		}
		b.away(false, 0)
		if end := wait(t, b.e, b.id); end.Value != "a!" {
			t.Errorf("it ended with %+v", end)
		}
	})
}

const aChain = `output map i in 1..100 limit 1 { t = think "<<i>>" }`

// Calls begin for as long as the bounds of the process let them: 30 s, 1,000 facts, 8 MiB, or what it is told.
func TestWhatWaitsForTheStoreIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		bounds      engine.Unstored
		least, most int // calls that end in a minute
	}{
		"by default for 30 s": {engine.Unstored{}, 29, 31},
		"for 10 s":            {engine.Unstored{For: 10 * time.Second}, 9, 11},
		"20 facts":            {engine.Unstored{Facts: 20}, 10, 12},
		"1,000 bytes":         {engine.Unstored{Bytes: 1000}, 2, 9},
		"nothing begins":      {engine.Unstored{For: -1}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inABlackout(t, engine.Config{Unstored: c.bounds}, func(t *testing.T, b *blackout) {
				b.start(aChain)
				synctest.Wait()
				b.away(true, time.Minute)
				if n := len(b.sent()); n < c.least || n > c.most {
					t.Errorf("%d calls", n)
				}
				o := b.e.Outage()
				if facts := c.bounds.Facts; facts > 0 && o.Facts > facts+1 {
					t.Errorf("%d facts wait", o.Facts)
				}
				b.away(false, 2*time.Minute)
				b.sound()
				if n := len(b.sent()); n != 100 {
					t.Errorf("%d calls in all", n)
				}
			})
		})
	}
}

// The bounds are those of the process: two runs share them.
func TestRunsOfAProcessShareWhatMayWait(t *testing.T) {
	inABlackout(t, engine.Config{Unstored: engine.Unstored{Facts: 20}}, func(t *testing.T, b *blackout) {
		b.start(aChain)
		second := start(t, b.e, b.plan, run.Options{})
		synctest.Wait()
		b.away(true, time.Minute)
		if n := len(b.sent()); n < 10 || n > 14 {
			t.Errorf("%d calls", n)
		}
		b.away(false, 4*time.Minute)
		for _, id := range []run.ID{b.id, second} {
			if end := wait(t, b.e, id); end.Status != run.Succeeded {
				t.Errorf("it ended with %+v", end)
			}
		}
	})
}

// What waits has no seq: who watches sees it as progress that says so, and as facts when it is stored.
func TestWhatWaitsIsShownAsProgress(t *testing.T) {
	inABlackout(t, engine.Config{}, func(t *testing.T, b *blackout) {
		b.start("a = think \"a\"\noutput think \"b\" after a")
		var mu sync.Mutex
		var seen []string
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for ev, err := range b.e.Watch(t.Context(), b.id, 0) {
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if ev.Fact != nil {
					seen = append(seen, fmt.Sprintf("%d %s", ev.Fact.Seq, ev.Fact))
					if b.s.away.Load() {
						t.Errorf("%s is shown with a seq", ev.Fact)
					}
				} else if ev.Progress.Note != "" {
					seen = append(seen, fmt.Sprintf("%s: %s", ev.Progress.Path, ev.Progress.Note))
				}
				mu.Unlock()
			}
		}()
		synctest.Wait()
		b.away(true, 10*time.Second)
		mu.Lock()
		during := slices.Clone(seen)
		mu.Unlock()
		const note = "not stored yet: the store cannot be reached"
		if want := []string{"1 started", "2 a 1 started", "a: answered, and " + note, "output: begun, and " + note, "output: answered, and " + note}; !slices.Equal(during, want) {
			t.Errorf("during the outage this is seen:\n%s", strings.Join(during, "\n"))
		}
		b.away(false, 0)
		<-watched
		if got := seen[len(during):]; len(got) != 4 || !strings.HasPrefix(got[0], "3 a 1 done") || !strings.HasPrefix(got[3], "6 finished") {
			t.Errorf("after it this is seen:\n%s", strings.Join(got, "\n"))
		}
	})
}

// Whoever starts, answers, pauses or cancels is told at once that nothing can be taken down.
func TestWithoutItsStoreCallersAreToldSo(t *testing.T) {
	inABlackout(t, engine.Config{}, func(t *testing.T, b *blackout) {
		b.start("q = human.ask \"q\"\na = think \"a\"\noutput \"<<q>> <<a>>\"")
		elsewhere := b.engine(b.s, "elsewhere", engine.Config{})
		defer shut(t, elsewhere)
		synctest.Wait()
		b.away(true, 5*time.Second)
		began := time.Now()
		for what, err := range map[string]error{
			"start": func() error { _, err := b.e.Start(t.Context(), b.plan, nil, run.Options{}); return err }(),
			"start elsewhere": func() error {
				_, err := elsewhere.Start(t.Context(), b.plan, nil, run.Options{})
				return err
			}(),
			"submit":           func() error { _, err := elsewhere.Submit(t.Context(), b.plan, nil, run.Options{}); return err }(),
			"answer":           b.e.Answer(t.Context(), b.id, "q", "x", ""),
			"pause":            b.e.Pause(t.Context(), b.id, "", ""),
			"resume":           b.e.Resume(t.Context(), b.id, "", ""),
			"cancel":           b.e.Cancel(t.Context(), b.id, "", ""),
			"answer elsewhere": elsewhere.Answer(t.Context(), b.id, "q", "x", ""),
			"cancel elsewhere": elsewhere.Cancel(t.Context(), b.id, "", ""),
		} {
			if !errors.Is(err, runs.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("they were told after %s", took)
		}
		b.away(false, 2*time.Second)
		if err := b.e.Answer(t.Context(), b.id, "q", "Q", ""); err != nil {
			t.Error(err)
		}
		if end := wait(t, b.e, b.id); end.Value != "Q a!" {
			t.Errorf("nothing of it came about: %+v", end)
		}
		b.sound()
	})
}

// A store that neither answers nor refuses keeps a caller waiting for no longer than some seconds.
func TestASilentStoreKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e := engine.New(engine.Config{Registry: w.registry, Store: silent{newAmnesiac()}})
		defer shut(t, e)
		began := time.Now()
		if _, err := e.Start(t.Context(), w.plan("output 1"), nil, run.Options{}); !errors.Is(err, runs.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("after %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := e.Start(ctx, w.plan("output 1"), nil, run.Options{}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, runs.ErrUnavailable) {
			t.Errorf("a caller who waits for less knows why: %v", err)
		}
	})
}

// silent is a store that says nothing.
type silent struct{ store.Store }

func (silent) PutBlob(ctx context.Context, _ []byte) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func (silent) Create(ctx context.Context, _ run.ID, _ string, _ time.Duration, _ ...run.Fact) (run.Lease, error) {
	<-ctx.Done()
	return run.Lease{}, ctx.Err()
}

// A lease that lapsed during the outage is asked for again: while nobody else has written, what waits is stored under the new one. One that did not is shown.
func TestTheLeaseAfterAnOutage(t *testing.T) {
	for name, c := range map[string]struct {
		away  time.Duration
		token uint64
	}{"it lapsed": {20 * time.Second, 2}, "it did not": {5 * time.Second, 1}} {
		t.Run(name, func(t *testing.T) {
			inABlackout(t, engine.Config{Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
				b.start("a = think \"a\"\nb = think \"b\" after a\noutput do \"d\" after b")
				synctest.Wait()
				b.away(true, c.away)
				for b.away(false, 0); b.called("d") == 0; {
					time.Sleep(100 * time.Millisecond)
				}
				lease, err := b.s.kept.Extend(t.Context(), run.Lease{Run: b.id, Token: c.token, Owner: "first"}, engine.DefaultLease)
				if err != nil {
					t.Errorf("the run is not held with token %d: %v %+v", c.token, err, lease)
				}
				if end := wait(t, b.e, b.id); end.Value != "d!" || len(b.sent()) != 3 {
					t.Errorf("it ended with %+v after %q", end, b.sent())
				}
				b.sound()
			})
		})
	}
}

// What the store lost of its last seconds is written again before what waited.
func TestWhatWasLostIsStoredBeforeWhatWaited(t *testing.T) {
	for left := range 4 {
		inABlackout(t, engine.Config{Forgets: true, Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
			b.start("a = think \"a\"\nb = think \"b\" after a\noutput think \"c\" after b")
			time.Sleep(1500 * time.Millisecond) // started, a started, a done, b started
			b.away(true, 5*time.Second)
			b.s.forget(t, b.id, left)
			b.away(false, 2*time.Second)
			if end := wait(t, b.e, b.id); end.Value != "c!" || len(b.sent()) != 3 {
				t.Errorf("with %d facts left it ended with %+v after %q", left, end, b.sent())
			}
			want := "started\na 1 started\na 1 done: \"a!\"\nb 1 started\nb 1 done: \"b!\"\noutput 1 started\noutput 1 done: \"c!\"\n"
			if got := b.told(); !strings.HasPrefix(got, want) {
				t.Errorf("with %d facts left the history became\n%s", left, got)
			}
			b.sound()
		})
	}
}

const thenDo = "a = think \"a\"\nb = think \"b\" after a\nd = do \"d\" after b\noutput \"<<d>>\""

// When another worker took the run over, what waited is dropped and counted. It did not see the thoughts of the outage and has them again; what changes the world
// happened once, and what the first wrote afterwards is nowhere.
func TestWhatWaitedIsDroppedWhenAnotherTookOver(t *testing.T) {
	for _, over := range []bool{false, true} { // the run has ended when the first comes back
		inABlackout(t, engine.Config{Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
			b.start(thenDo)
			synctest.Wait()
			b.away(true, 25*time.Second) // a and b end
			second := b.engine(b.s.kept, "second", engine.Config{Lease: engine.DefaultLease})
			defer shut(t, second)
			if err := second.Adopt(t.Context(), b.id); err != nil {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond)
			if over {
				time.Sleep(10 * time.Second)
			}
			b.away(false, 5*time.Second)
			if end := wait(t, b.e, b.id); end.Value != "d!" {
				t.Errorf("who waited at the first is told %+v", end)
			}
			if o := b.e.Outage(); o.Dropped != 3 || o.Facts != 0 || o.Bytes != 0 || !o.Since.IsZero() {
				t.Errorf("the end of a, the beginning and end of b: %+v", o)
			}
			if b.called("a") != 2 || b.called("b") != 2 || b.called("d") != 1 {
				t.Errorf("calls: %q", b.sent())
			}
			b.sound()
		})
	}
}

// Another worker took the run over, and died or left: what waited is dropped all the same, and the run goes on from what is stored.
func TestWhatWaitedIsDroppedWhenAnotherWrote(t *testing.T) {
	inABlackout(t, engine.Config{Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
		b.start(thenDo)
		synctest.Wait()
		b.away(true, 25*time.Second)
		second := b.engine(b.s.kept, "second", engine.Config{Lease: engine.DefaultLease})
		if err := second.Adopt(t.Context(), b.id); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond) // a is called again
		shut(t, second)
		b.away(false, 10*time.Second)
		if end := wait(t, b.e, b.id); end.Value != "d!" {
			t.Errorf("it ended with %+v", end)
		}
		if o := b.e.Outage(); o.Dropped != 3 || b.called("d") != 1 {
			t.Errorf("%+v after %q", o, b.sent())
		}
		b.sound()
	})
}

// With the process what waited is gone. The next one thinks again what had ended, and does what was not begun.
func TestWhatWaitedGoesWithItsProcess(t *testing.T) {
	var log bytes.Buffer
	inABlackout(t, engine.Config{Log: slog.New(slog.NewTextHandler(&log, nil))}, func(t *testing.T, b *blackout) {
		b.start(thenDo)
		synctest.Wait()
		b.away(true, 25*time.Second)
		shut(t, b.e)
		if text := log.String(); strings.Count(text, "is dropped") != 1 || !strings.Contains(text, "facts=3") || !strings.Contains(text, "run="+string(b.id)) {
			t.Errorf("the log says %s", text)
		}
		if o := b.e.Outage(); o.Dropped != 3 {
			t.Errorf("an engine that is closed counts what it drops: %+v", o)
		}
		b.s.kept.Void("first")
		b.away(false, 0)
		second := b.engine(b.s, "second", engine.Config{})
		defer shut(t, second)
		if err := second.Adopt(t.Context(), b.id); err != nil {
			t.Fatal(err)
		}
		if end := wait(t, second, b.id); end.Value != "d!" || b.called("a") != 2 || b.called("b") != 2 || b.called("d") != 1 {
			t.Errorf("it ended with %+v after %q", end, b.sent())
		}
		b.sound()
	})
}

// What was told from outside before what waited was stored comes first. What still fits is kept; the read that is under way at that moment may be made again,
// the deed behind it is made once.
func TestWhatWasToldMeanwhileComesFirst(t *testing.T) {
	inABlackout(t, engine.Config{Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
		b.start("q = human.ask \"q\"\na = think \"a\"\nb = think \"b <<a>>\"\ne = echo \"<<b>>\"\nc = look \"c <<e>>\"\nd = do \"d <<c>> <<q>>\"\noutput d")
		synctest.Wait()
		b.away(true, 2500*time.Millisecond) // b is under way
		if _, err := b.s.kept.Tell(t.Context(), b.id, run.Fact{At: time.Now(), Body: &run.Answered{Path: "q", Value: "Q"}}, ""); err != nil {
			t.Fatal(err)
		}
		b.away(true, time.Second) // c is
		b.away(false, 0)
		if end := wait(t, b.e, b.id); end.Value != "d c b a!!! Q!" || b.called("b a!") != 1 || b.called("c b a!!") > 2 || b.called("d c b a!!! Q") != 1 {
			t.Errorf("it ended with %+v after %q", end, b.sent())
		}
		if o := b.e.Outage(); o != (engine.Outage{}) {
			t.Errorf("%+v", o)
		}
		b.sound()
	})
}

// A thought that would be another, because of what was told from outside, is thought again; the old one is used for nothing.
func TestAThoughtThatWouldBeAnotherIsThoughtAgain(t *testing.T) {
	inABlackout(t, engine.Config{Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
		var slow atomic.Int32
		b.w.model("slow", func(context.Context, *agent.Call) agent.Reply {
			if slow.Add(1) == 1 {
				time.Sleep(10 * time.Second)
			}
			return agent.Reply{Value: "slow"}
		})
		b.w.model("late", func(_ context.Context, c *agent.Call) agent.Reply {
			b.mu.Lock()
			b.calls = append(b.calls, fmt.Sprint(c.Text))
			b.mu.Unlock()
			time.Sleep(time.Minute)
			return agent.Reply{Value: fmt.Sprintf("%v!", c.Text)}
		})
		b.start("x = think \"x\"\nv = race {\n  a = think \"a <<x>>\"\n  b = slow \"b <<x>>\"\n}\noutput late \"w <<v>>\"")
		synctest.Wait()
		b.away(true, 5*time.Second) // a has won, and what came of it is under way
		for _, body := range []run.Body{&run.PauseAsked{}, &run.ResumeAsked{}} {
			if _, err := b.s.kept.Tell(t.Context(), b.id, run.Fact{At: time.Now(), Body: body}, ""); err != nil {
				t.Fatal(err)
			}
			b.away(false, 2*time.Second)
		}
		if end := wait(t, b.e, b.id); end.Value != "w slow!" || b.called("w a x!!") != 1 || b.called("w slow") != 1 {
			t.Errorf("it ended with %+v after %q", end, b.sent())
		}
		b.sound()
	})
}

// A question that waits is not decided by its time during an outage: an answer that another process wrote down counts.
func TestNoTimerDecidesDuringAnOutage(t *testing.T) {
	inABlackout(t, engine.Config{Lease: time.Minute}, func(t *testing.T, b *blackout) {
		b.start("q = human.ask \"q\" timeout 5s else \"nobody\"\na = think \"a\"\noutput \"<<q>> <<a>>\"")
		synctest.Wait()
		b.away(true, 10*time.Second)
		if _, err := b.s.kept.Tell(t.Context(), b.id, run.Fact{At: time.Now(), Body: &run.Answered{Path: "q", Value: "Q"}}, ""); err != nil {
			t.Fatal(err)
		}
		b.away(false, 0)
		if end := wait(t, b.e, b.id); end.Value != "Q a!" {
			t.Errorf("it ended with %+v", end)
		}
		b.sound()
	})
}

// A large answer that came in time waits for the store, counts for what may wait, and is no answer that came too late.
func TestALargeAnswerWaitsForTheStore(t *testing.T) {
	inABlackout(t, engine.Config{Inline: 100, Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
		large := strings.Repeat("x", 1000)
		b.w.model("write", func(context.Context, *agent.Call) agent.Reply {
			time.Sleep(time.Second)
			return agent.Reply{Value: large}
		})
		b.start("a = write \"a\" timeout 3s\nb = think \"<<len(a)>>\"\noutput b")
		synctest.Wait()
		b.away(true, 20*time.Second)
		if o := b.e.Outage(); o.Bytes < len(large) {
			t.Errorf("%+v", o)
		}
		b.away(false, 0)
		if end := wait(t, b.e, b.id); end.Value != "1000!" {
			t.Errorf("it ended with %+v, %v", end, end.Error)
		}
		if o := b.e.Outage(); o != (engine.Outage{}) {
			t.Errorf("%+v", o)
		}
		b.sound()
	})
}

const sharing = `n = map i in 1..3 limit 1 { memory.add(path: "n", by: i, scope: "shared") }
x = memory.set(path: "x", value: "mine", scope: "shared") after n
y = memory.append(path: "y", value: "mine", scope: "shared") after x
h = think "h" after y
gn = memory.get(path: "n", scope: "shared") after h
gx = memory.get(path: "x", scope: "shared") after h
gy = memory.get(path: "y", scope: "shared") after h
output [gn, gx, gy]`

// Shared state that the store lost with its last seconds is written again by the process that wrote it, once, before a step reads it.
func TestSharedStateThatWasLostIsWrittenAgain(t *testing.T) {
	inABlackout(t, engine.Config{Forgets: true, Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
		b.w.add("memory", contexts.New())
		b.start(sharing)
		time.Sleep(500 * time.Millisecond) // h is under way
		before := len(b.facts())
		b.away(true, 5*time.Second)
		b.s.forget(t, b.id, before-4)
		b.away(false, 0)
		if end := wait(t, b.e, b.id); fmt.Sprint(end.Value) != "[6 mine [mine]]" {
			t.Errorf("it ended with %+v, %v", end.Value, end.Error)
		}
		b.sound()
	})
}

// What another has written since is not undone: a value that was set is not set again over a later one. What is added and appended comes behind it.
func TestWhatOthersSharedSinceIsNotUndone(t *testing.T) {
	inABlackout(t, engine.Config{Forgets: true, Lease: engine.DefaultLease}, func(t *testing.T, b *blackout) {
		b.w.add("memory", contexts.New())
		b.start(sharing)
		time.Sleep(500 * time.Millisecond)
		before := len(b.facts())
		b.away(true, 5*time.Second)
		b.s.forget(t, b.id, before)
		other := b.engine(b.s.kept, "other", engine.Config{})
		defer shut(t, other)
		theirs := b.w.plan("n = memory.add(path: \"n\", by: 10, scope: \"shared\")\nx = memory.set(path: \"x\", value: \"theirs\", scope: \"shared\")\n" +
			"y = memory.append(path: \"y\", value: \"theirs\", scope: \"shared\")\noutput [n, x, y]")
		if end := wait(t, other, start(t, other, theirs, run.Options{})); end.Status != run.Succeeded {
			t.Fatalf("%+v", end)
		}
		b.away(false, 0)
		if end := wait(t, b.e, b.id); fmt.Sprint(end.Value) != "[16 theirs [theirs mine]]" {
			t.Errorf("it ended with %+v, %v", end.Value, end.Error)
		}
	})
}

// A store that reads and cannot write, as on a full disk, is away too.
func TestAStoreThatCannotWriteIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBlackout(t, engine.Config{})
		shut(t, b.e)
		full := &full{Store: b.s}
		b.e = b.engine(full, "first", engine.Config{})
		defer func() { shut(t, b.e) }()
		b.start(thenDo)
		synctest.Wait()
		full.mu.Lock()
		full.full = true
		full.mu.Unlock()
		time.Sleep(time.Minute)
		full.mu.Lock()
		if b.called("b") != 1 || b.called("d") != 0 || full.tries > 100 {
			t.Errorf("%q after %d tries", b.sent(), full.tries)
		}
		full.full = false
		full.mu.Unlock()
		if end := wait(t, b.e, b.id); end.Value != "d!" || len(b.sent()) != 3 {
			t.Errorf("it ended with %+v after %q", end, b.sent())
		}
		b.sound()
	})
}

type full struct {
	store.Store
	mu    sync.Mutex
	full  bool
	tries int
}

func (f *full) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		f.tries++
		return errors.New("no space left on device")
	}
	return f.Store.Append(ctx, lease, head, facts...)
}
