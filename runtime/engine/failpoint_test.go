package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/runtime/store/sqlite"
	"github.com/slopstudios/slop/runtime/store/storetest/fault"
)

// reference is the flow that fails at each of its writes in turn: a large text, a deed, some thoughts, a question.
const reference = `big = writer "big"
made = make "a thing" after big
notes = map i in 1..3 limit 1 { m = writer "note <<i>> of <<len(big)>>" }
ok = human.ask "Well?" after notes, made
output [made, len(big), notes, ok, len(big + ok)]`

// inline makes a text of a line a large one.
const inline = 100

// childVar tells the test binary that it is the process that panics: where its files are, and at which write.
const childVar = "SLOP_TEST_FAILPOINT"

// The nth write of a reference flow fails, before or after it took effect: once, and the same process goes on; for good, as for a process that is killed; with
// a panic, in a process of its own. Another engine takes the run up. Whatever was acknowledged is there, no stored step is called again, a deed that was cut
// off is repeated by its answer alone, and the history keeps its invariants.
func TestFailpoints(t *testing.T) {
	if spec := os.Getenv(childVar); spec != "" {
		panicking(t, spec)
		return
	}
	every := 5 // of the points, on disk
	if os.Getenv("SLOP_LONG") != "" {
		every = 1
	}
	for _, then := range []fault.Then{fault.Once, fault.Dead} {
		for _, after := range []bool{false, true} {
			name := map[fault.Then]string{fault.Once: "once", fault.Dead: "dead"}[then] + map[bool]string{false: " before", true: " after"}[after]
			t.Run("memory "+name, func(t *testing.T) {
				t.Parallel()
				points(t, 1, func(t *testing.T, n int) bool {
					s := memory.New()
					return failing(t, s, func() store.Store {
						s.Void("first")
						return s
					}, fault.Point{Write: n, After: after, Then: then})
				})
			})
			t.Run("sqlite "+name, func(t *testing.T) {
				t.Parallel()
				points(t, every, func(t *testing.T, n int) bool {
					path := filepath.Join(t.TempDir(), "runs.db")
					return failing(t, disk(t, path), func() store.Store { return disk(t, path) }, fault.Point{Write: n, After: after, Then: then})
				})
			})
		}
	}
	for _, after := range []bool{false, true} {
		t.Run(map[bool]string{false: "panic before", true: "panic after"}[after], func(t *testing.T) {
			t.Parallel()
			points(t, 2*every, func(t *testing.T, n int) bool { return died(t, fault.Point{Write: n, After: after, Then: fault.Panic}) })
		})
	}
}

// points tells a story for each point, until one is not reached.
func points(t *testing.T, every int, story func(t *testing.T, n int) (fired bool)) {
	n := 1
	for fired := true; fired && !t.Failed(); n += every {
		t.Run(fmt.Sprint(n), func(t *testing.T) { fired = story(t, n) })
	}
	if last := n - 2*every; last < 15-every && !t.Failed() {
		t.Errorf("the last point that was reached is write %d: the flow writes more", last)
	}
}

// disk opens a store whose first owner is dead, as far as the second can tell.
func disk(t *testing.T, path string) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Dead: func(owner string) bool { return owner == "first" }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// life is what is known of a run from outside.
type life struct {
	t     *testing.T
	world *world
	disk  store.Store // without faults

	mu    sync.Mutex
	calls map[string]int // by path and attempt
	cut   bool           // a deed was cut off, and is to be repeated
}

func newLife(t *testing.T, disk store.Store) *life {
	l := &life{t: t, world: newWorld(t), disk: disk, calls: map[string]int{}}
	l.world.model("writer", l.call)
	l.world.doer("make", l.call)
	return l
}

func (l *life) call(_ context.Context, c *agent.Call) agent.Reply {
	l.mu.Lock()
	l.calls[fmt.Sprint(c.Path, " ", c.Attempt)]++
	l.mu.Unlock()
	facts, err := l.disk.Load(context.Background(), c.Run, 0)
	begun := false
	for _, f := range facts {
		switch b := f.Body.(type) {
		case *run.CallStarted:
			begun = begun || b.Path == c.Path && b.Attempt == c.Attempt
		case *run.CallDone:
			if b.Path == c.Path {
				l.t.Errorf("%s is called, and was done in fact %d", c.Path, f.Seq)
			}
		}
	}
	if !begun {
		l.t.Errorf("%s is called, and no fact says so: %v", c.Path, err)
	}
	if c.Text == "big" {
		return agent.Reply{Value: string(make([]byte, inline+1))}
	}
	return agent.Reply{Value: fmt.Sprintf("<%v>", c.Text)}
}

// live starts the run, if there is none, and answers until it ends, or until the store is dead.
func (l *life) live(e *engine.Engine, id run.ID, dead func() bool) run.ID {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		switch {
		case time.Now().After(deadline):
			l.t.Fatal("the run does not end")
		case dead():
			return id
		case id == "":
			got, err := e.Start(l.t.Context(), l.world.plan(reference), nil, run.Options{})
			if err == nil {
				id = got
			} else if !errors.Is(err, fault.ErrFault) {
				l.t.Fatal(err)
			}
			continue
		}
		facts, err := l.disk.Load(l.t.Context(), id, 0)
		if err != nil {
			l.t.Fatalf("%s was acknowledged: %v", id, err)
		}
		if _, over := facts[len(facts)-1].Body.(*run.Finished); over {
			return id
		}
		open := map[run.Path]string{}
		for _, f := range facts {
			switch b := f.Body.(type) {
			case *run.Asked:
				open[b.Path] = b.Form.Kind
			case *run.Answered:
				delete(open, b.Path)
			}
		}
		for path, kind := range open {
			value := "yes"
			if kind == "interrupted" {
				value, l.cut = "again", true
			}
			ctx, cancel := context.WithTimeout(l.t.Context(), 100*time.Millisecond) // a session without a store does not answer
			err := e.Answer(ctx, id, path, value, "")
			cancel()
			if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, fault.ErrFault) && !errors.Is(err, runs.ErrAnswered) && !errors.Is(err, runs.ErrNotAsked) && !errors.Is(err, runs.ErrFinished) {
				l.t.Errorf("answer %s: %v", path, err)
			}
		}
	}
}

// failing tells the story in this process. again gives what a second process sees.
func failing(t *testing.T, s store.Store, again func() store.Store, p fault.Point) (fired bool) {
	l := newLife(t, s)
	faulty := fault.New(s, p)
	e := engine.New(engine.Config{Registry: l.world.registry, Store: faulty, Owner: "first", Inline: inline})
	id := l.live(e, "", func() bool { return p.Then == fault.Dead && faulty.Fired() })
	shut(t, e)
	l.disk = again()
	l.second(id)
	return faulty.Fired()
}

// second is the engine that takes up what the first left, and judges.
func (l *life) second(id run.ID) {
	t := l.t
	e := engine.New(engine.Config{Registry: l.world.registry, Store: l.disk, Owner: "second", Inline: inline})
	defer shut(t, e)
	var left []run.ID
	for found, err := range l.disk.Unfinished(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, found)
	}
	if _, err := e.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id != "" {
		left = append(left, id)
	}
	for _, id := range left { // a start whose answer was lost may have left a run too
		l.live(e, id, func() bool { return false })
		facts, err := l.disk.Load(t.Context(), id, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, broken := range invariant.Check(l.world.plan(reference), facts) {
			t.Errorf("invariant: %s", broken)
		}
		end := facts[len(facts)-1].Body.(*run.Finished)
		want := fmt.Sprint([]any{"<a thing>", inline + 1, []any{
			map[string]any{"m": fmt.Sprintf("<note 1 of %d>", inline+1)},
			map[string]any{"m": fmt.Sprintf("<note 2 of %d>", inline+1)},
			map[string]any{"m": fmt.Sprintf("<note 3 of %d>", inline+1)},
		}, "yes", inline + 4})
		if got := fmt.Sprint(end.Value); end.Status != run.Succeeded || got != want {
			t.Errorf("it ended %s with %s, %v; want %s", end.Status, got, end.Error, want)
		}
	}
	if len(left) > 1 {
		return // two runs: the calls of both were counted together
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, n := range l.calls {
		if n != 1 {
			t.Errorf("%s was called %d times", key, n)
		}
	}
	if l.calls["made 2"] > 0 && !l.cut {
		t.Error("the deed was repeated, and nobody said so")
	}
}

// died tells the story in a process that panics.
func died(t *testing.T, p fault.Point) (fired bool) {
	folder := t.TempDir()
	spec := fmt.Sprintf("%d %t %s", p.Write, p.After, folder)
	cmd := exec.Command(os.Args[0], "-test.run=^TestFailpoints$")
	cmd.Env = append(os.Environ(), childVar+"="+spec)
	out, _ := cmd.CombinedOutput()
	fired = cmd.ProcessState.ExitCode() == 2 && strings.Contains(string(out), fault.ErrFault.Error())
	if !fired && cmd.ProcessState.ExitCode() != 0 {
		t.Fatalf("the process that should panic said\n%s", out)
	}
	l := newLife(t, disk(t, filepath.Join(folder, "runs.db")))
	id, _ := os.ReadFile(filepath.Join(folder, "id")) // not there when the start was not acknowledged
	l.second(run.ID(id))
	return fired
}

// panicking is the process that panics.
func panicking(t *testing.T, spec string) {
	var p fault.Point
	folder := ""
	if _, err := fmt.Sscanf(spec, "%d %t %s", &p.Write, &p.After, &folder); err != nil {
		t.Fatal(err)
	}
	p.Then = fault.Panic
	s := disk(t, filepath.Join(folder, "runs.db"))
	l := newLife(t, s)
	faulty := fault.New(s, p)
	e := engine.New(engine.Config{Registry: l.world.registry, Store: faulty, Owner: "first", Inline: inline})
	id := run.ID("")
	var err error
	if id, err = e.Start(t.Context(), l.world.plan(reference), nil, run.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "id"), []byte(id), 0o600); err != nil {
		t.Fatal(err)
	}
	l.live(e, id, func() bool {
		if faulty.Fired() {
			time.Sleep(100 * time.Millisecond) // a panic of a session ends the session alone: then nothing ends this process
			fmt.Println(fault.ErrFault)
			os.Exit(2)
		}
		return false
	})
	shut(t, e)
}
