package trial_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/slopstudios/slop/cmd/slop/trial"
	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/agent/cassette"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/runtime/travel"
)

// moody answers as its text wants it to.
type moody struct {
	mu    sync.Mutex
	tries int
}

func (*moody) Signatures() []types.Signature {
	return []types.Signature{{
		Name: "moody", Params: []types.Param{{Name: "prompt", Type: types.Type{Kind: types.String}}}, Primary: "prompt", Text: types.Prompt,
		Result: types.Type{Kind: types.String}, Effect: types.Think, Kind: types.Call, Structured: true,
	}}
}

func (m *moody) Call(ctx context.Context, c *agent.Call) agent.Reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch text, _ := c.Text.(string); {
	case c.Repair != nil:
		return agent.Reply{Value: `{"kind":"bug"}`}
	case strings.HasPrefix(text, "hang"):
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return agent.Fail(run.Interrupted, "ended")
	case strings.HasPrefix(text, "sort"):
		return agent.Reply{Value: "no idea"}
	case strings.HasPrefix(text, "flaky"):
		if m.tries++; m.tries == 1 {
			return agent.Fail(run.Unavailable, "busy")
		}
	}
	return agent.Reply{Value: "yes", Usage: run.Usage{Calls: 1, Input: 10, Tokens: run.Reported}}
}

func planOf(t *testing.T, script string) (*plan.Plan, *agent.Registry) {
	t.Helper()
	r := agent.NewRegistry()
	if err := r.Register("moody", &moody{}, nil); err != nil {
		t.Fatal(err)
	}
	p, diags := lang.Compile(source.NewFile("main.slop", script), r.Scope())
	if diags.HasErrors() {
		t.Fatalf("the script has errors: %s: %s", diags[0].Code, diags[0].Message)
	}
	return p, r
}

// recorded runs a script for real, and gives its recording as it comes out of a file.
func recorded(t *testing.T, script string) *cassette.Recording {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p, registry := planOf(t, script)
		store, ctx := memory.New(), context.Background()
		e := engine.New(engine.Config{Store: store, Registry: registry})
		id, err := e.Start(ctx, p, nil, run.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Wait(ctx, id); err != nil {
			t.Fatal(err)
		}
		facts, err := store.Load(ctx, id, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = e.Close(ctx)
		r, err := cassette.Record(&travel.History{ID: id, Plan: p, Facts: facts}, nil, func(s string) string { return s })
		if err == nil {
			_, err = r.Save(dir, func(s string) string { return s })
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	all, err := cassette.Load(dir)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d recordings, %v", len(all), err)
	}
	return all[0]
}

const moods = `
type Ticket {
  kind: string
}
first = race {
  a = moody "hang"
  b = moody "quick"
}
ticket = moody "sort this" as Ticket repair 1
tried = moody "flaky" retry 1 wait 1s
each = map n in [1, 2, 3] { moody "again" }
output "<<first>> <<ticket.kind>> <<tried>> <<len(each)>> <<run.id>>"
`

// Races, repairs, retries, equal calls and the run's own id come out as they did.
func TestRecordAndReplay(t *testing.T) {
	r := recorded(t, moods)
	var paths []string
	for _, c := range r.Calls {
		paths = append(paths, string(c.Path))
	}
	if !slices.IsSorted(paths) || len(paths) != 9 {
		t.Errorf("recorded: %v", paths)
	}
	p, _ := planOf(t, moods)
	got := trial.Replay(p, r)
	if text := problems(got); text != "" || len(got.Unused) > 0 {
		t.Fatalf("%s, unused %v", text, got.Unused)
	}
	if got.Finished.Value != r.Output || got.Finished.Usage.Input != 50 {
		t.Errorf("%+v, recorded %v", got.Finished, r.Output)
	}

	// A test of the script gets the same answers, whatever its run is called.
	p, _ = planOf(t, moods)
	test := plan.Test{Name: "t", At: source.Pos{File: "main.slop", Line: 1}}
	if text := problems(trial.Run(p, test, r)); text != "" {
		t.Error(text)
	}
}

// What changed in the script is told at its line.
func TestReplayTellsWhatChanged(t *testing.T) {
	r := recorded(t, moods)
	for _, change := range []struct{ from, to, want, was, is string }{
		{`"sort this"`, `"sort that"`, "moody at ticket sends something else", "sort this", "sort that"},
		{`kind: string`, `kind: int`, "", "", ""},
		{`moody "quick"`, `moody "quicker"`, "moody at first/b sends something else", "quick", "quicker"},
		{`[1, 2, 3]`, `[1, 2]`, "the output is not the recorded one", "yes bug yes 3", "yes bug yes 2"},
		{`output "`, `also = moody "new"` + "\n" + `output "<<also>>`, "no answer of moody at also is recorded", "", ""},
	} {
		p, _ := planOf(t, strings.Replace(moods, change.from, change.to, 1))
		got := trial.Replay(p, r)
		if len(got.Problems) != 1 {
			t.Errorf("%s: %v", change.to, got.Problems)
			continue
		}
		if g := got.Problems[0]; !strings.Contains(g.Message, change.want) || !strings.Contains(g.Was, change.was) || !strings.Contains(g.Is, change.is) || !g.Again || g.At.Line == 0 {
			t.Errorf("%s: %+v", change.to, g)
		}
	}
}

// A run that failed fails again, with the same code.
func TestReplayOfAFailure(t *testing.T) {
	const script = `output moody "flaky"` + "\n"
	r := recorded(t, script)
	p, _ := planOf(t, script)
	if text := problems(trial.Replay(p, r)); text != "" || r.Status != run.Failed {
		t.Errorf("%s: %s", r.Status, text)
	}
	p, _ = planOf(t, `output moody "flaky" else "fine"`+"\n")
	if text := problems(trial.Replay(p, r)); !strings.Contains(text, "does not fail any more") {
		t.Error(text)
	}
}
