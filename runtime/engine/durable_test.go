package engine_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/runtime/store/presence"
	"github.com/slopstudios/slop/runtime/store/sqlite"
)

// computer is a machine with a state folder: its processes come and go.
type computer struct {
	t         *testing.T
	path      string
	processes *presence.Folder
}

func newComputer(t *testing.T) *computer {
	folder := t.TempDir()
	f, err := presence.Open(filepath.Join(folder, "processes"))
	if err != nil {
		t.Fatal(err)
	}
	return &computer{t, filepath.Join(folder, "runs.db"), f}
}

// boot starts a process; kill ends it as kill -9 does: nothing it still writes arrives, and the kernel frees its lock.
func (c *computer) boot(r *agent.Registry) (e *engine.Engine, kill func()) {
	c.t.Helper()
	s, err := sqlite.Open(c.t.Context(), sqlite.Config{Path: c.path, Dead: c.processes.Dead})
	if err != nil {
		c.t.Fatal(err)
	}
	h, err := c.processes.Announce()
	if err != nil {
		c.t.Fatal(err)
	}
	e = engine.New(engine.Config{Registry: r, Store: s, Owner: h.Name, Lease: engine.DefaultLease, Pool: "here"})
	dead := false
	return e, func() {
		if dead {
			return
		}
		dead = true
		_ = s.Close()
		h.Leave()
		shut(c.t, e)
	}
}

// A `do` that was under way when its process was killed is asked about, in another process on the same file; the answer decides, and nothing is repeated
// without it. What was done before is not done again.
func TestAnInterruptedDoOnDisk(t *testing.T) {
	for answer, want := range map[string]struct {
		value any
		calls int32
		end   any
	}{
		"again":  {"again", 2, "first made"},
		"done":   {map[string]any{"done": "by hand"}, 1, "first by hand"},
		"failed": {"fail", 1, nil},
	} {
		t.Run(answer, func(t *testing.T) {
			var before, calls atomic.Int32
			begun := make(chan struct{})
			w := newWorld(t)
			w.doer("prepare", func(context.Context, *agent.Call) agent.Reply {
				before.Add(1)
				return agent.Reply{Value: "first"}
			})
			w.doer("make", func(ctx context.Context, c *agent.Call) agent.Reply {
				if calls.Add(1) == 1 {
					close(begun)
					<-ctx.Done()
				}
				return agent.Reply{Value: "made"}
			})
			c := newComputer(t)
			e, kill := c.boot(w.registry)
			id := start(t, e, w.plan("a = prepare \"x\"\nb = make \"<<a>>\"\noutput \"<<a>> <<b>>\""), run.Options{})
			<-begun
			kill()

			e, end := c.boot(w.registry)
			defer end()
			defer employ(t, e)()
			q := asked(t, e, id)
			if q.Form.Kind != "interrupted" || q.Path != "b" {
				t.Errorf("the question is %+v", q)
			}
			if err := e.Answer(t.Context(), id, q.Path, want.value, "ada"); err != nil {
				t.Fatal(err)
			}
			if end := wait(t, e, id); end.Value != want.end || calls.Load() != want.calls || before.Load() != 1 {
				t.Errorf("after %d and %d calls: %+v", before.Load(), calls.Load(), end)
			}
		})
	}
}

// An `else` answers for an interrupted `do`: then nobody is asked.
func TestAnInterruptedDoThatIsCaught(t *testing.T) {
	begun := make(chan struct{})
	w := newWorld(t)
	w.doer("make", func(ctx context.Context, c *agent.Call) agent.Reply {
		close(begun)
		<-ctx.Done()
		return agent.Reply{}
	})
	c := newComputer(t)
	e, kill := c.boot(w.registry)
	id := start(t, e, w.plan(`output make "x" else "<<error.kind>>"`), run.Options{})
	<-begun
	kill()
	e, end := c.boot(w.registry)
	defer end()
	defer employ(t, e)()
	if end := wait(t, e, id); end.Value != "interrupted" {
		t.Errorf("got %+v", end)
	}
}

// A history that was made by another plan stops: nothing of it is carried out on a guess.
func TestDrift(t *testing.T) {
	w := newWorld(t)
	w.doer("make", func(context.Context, *agent.Call) agent.Reply {
		t.Error("it is called")
		return agent.Reply{Value: "made"}
	})
	p := w.plan(`output make "x"`)
	s := memory.New()
	writer := engine.New(engine.Config{Registry: w.registry, Store: s})
	id, err := writer.Submit(t.Context(), p, nil, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	shut(t, writer)
	lease, err := s.Claim(t.Context(), id, "another program", 0)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := s.Load(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := machine.New(id, p)
	delta, err := m.Apply(facts[0])
	if err != nil {
		t.Fatal(err)
	}
	call := delta.Opened[0].(*run.CallWish)
	begun := run.Fact{Seq: 2, At: facts[0].At, Body: &run.CallStarted{Path: call.Path, Attempt: 1, Key: call.Key, Fingerprint: "of something else"}}
	if err := s.Append(t.Context(), lease, 1, begun); err != nil {
		t.Fatal(err)
	}
	if err := s.Release(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Config{Registry: w.registry, Store: s})
	defer shut(t, e)
	if err := e.Adopt(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if end := wait(t, e, id); end.Status != run.Failed || end.Error.Code != "E_DRIFT" {
		t.Errorf("got %+v", end)
	}
	if list, _, err := s.List(t.Context(), store.Filter{Status: []run.Status{run.Failed}}); err != nil || len(list) != 1 || list[0].Code != "E_DRIFT" {
		t.Errorf("listed: %+v, %v", list, err)
	}
}
