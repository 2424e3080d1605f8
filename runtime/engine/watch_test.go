package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

func TestProgressStreamsAndANewAttemptVoidsIt(t *testing.T) {
	watched := make(chan struct{})
	w := newWorld(t)
	w.model("writer", func(_ context.Context, c *agent.Call) agent.Reply {
		<-watched
		c.Emit(agent.Progress{Delta: "one "})
		c.Emit(agent.Progress{Delta: "two"})
		c.Emit(agent.Progress{Note: "thinking"})
		if c.Attempt == 1 {
			return agent.Fail(run.Unavailable, "line cut")
		}
		return agent.Reply{Value: "one two"}
	})
	p := w.plan(`output writer "x" retry 1 wait 1ms`)
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, p, run.Options{})
	shown := ""
	var log []string
	opened := false
	for ev, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Fact != nil {
			log = append(log, fmt.Sprintf("%s(%q)", ev.Fact.Kind(), shown))
			if _, started := ev.Fact.Body.(*run.CallStarted); started && !opened {
				opened = true
				close(watched)
			}
			continue
		}
		pr := ev.Progress
		if pr.Reset {
			shown = ""
		}
		if pr.Delta != "" && pr.Offset != len(shown) {
			t.Errorf("%q comes at %d, %d were shown", pr.Delta, pr.Offset, len(shown))
		}
		shown += pr.Delta
	}
	want := `started("") call_started("") call_failed("one two") call_started("one two") call_done("one two") finished("one two")`
	if got := strings.Join(log, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestASlowWatcherLosesNoFact(t *testing.T) {
	w := newWorld(t)
	w.model("writer", func(_ context.Context, c *agent.Call) agent.Reply {
		for range 10 {
			c.Emit(agent.Progress{Note: "news"})
		}
		return agent.Reply{Value: "x"}
	})
	p := w.plan(`output map i in 1..1000 limit 50 { writer "<<i>>" }`)
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, p, run.Options{})
	var last run.Seq
	progress := 0
	for ev, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Fact == nil {
			progress++
			continue
		}
		if ev.Fact.Seq != last+1 {
			t.Fatalf("fact %d comes after %d", ev.Fact.Seq, last)
		}
		if last = ev.Fact.Seq; last == 1 {
			wait(t, e, id) // it looks away until the run is over
		}
	}
	if last != 2002 {
		t.Errorf("%d facts, want started, 1000 beginnings and ends, finished", last)
	}
	if progress > 1100 {
		t.Errorf("%d pieces of progress waited for who did not look", progress)
	}
	for ev, err := range e.Watch(t.Context(), id, 2000) {
		if err != nil || ev.Fact.Seq <= 2000 {
			t.Errorf("from 2000 on: %v, %v", ev.Fact, err)
		}
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	w.model("hangs", hang)
	p := w.plan(`output hangs "x"`)
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, p, run.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var last error
	for _, err := range e.Watch(ctx, id, 0) {
		last = err
	}
	if last != context.DeadlineExceeded {
		t.Errorf("the last word is %v", last)
	}
	for _, err := range e.Watch(t.Context(), "nobody", 0) {
		if err != runs.ErrNotFound {
			t.Errorf("watching nobody: %v", err)
		}
	}
}

// A secret that comes back in pieces is blacked out before anybody sees it.
func TestSecretsAreBlackedOutInProgress(t *testing.T) {
	watched := make(chan struct{})
	w := newWorld(t)
	s := signature("fetch")
	s.Params[0].Secret = true
	w.add("fetch", scripted{[]types.Signature{s}, func(_ context.Context, c *agent.Call) agent.Reply {
		<-watched
		v, err := agent.Reveal(c.Text, c.Secret)
		if err != nil {
			return agent.Fail(run.Denied, err.Error())
		}
		for _, r := range "key=" + v.(string) + "! hunter " {
			c.Emit(agent.Progress{Delta: string(r)})
		}
		c.Emit(agent.Progress{Note: "sent " + v.(string)})
		return agent.Fail(run.Refused, "the server does not like "+v.(string))
	}})
	p := w.plan("secret token\noutput fetch(text: token)")
	e := engine.New(engine.Config{Registry: w.registry, Secrets: func(string) (string, error) { return "hunter22", nil }})
	defer shut(t, e)
	id := start(t, e, p, run.Options{})
	seen := ""
	opened := false
	for ev, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Fact != nil {
			seen += ev.Fact.String() + "\n"
			if _, started := ev.Fact.Body.(*run.CallStarted); started && !opened {
				opened = true
				close(watched)
			}
			continue
		}
		seen += ev.Progress.Delta + ev.Progress.Note
	}
	if strings.Contains(seen, "hunter22") || !strings.Contains(seen, "key=‹secret token›! hunter ") || !strings.Contains(seen, "sent ‹secret token›") ||
		!strings.Contains(seen, "does not like ‹secret token›") {
		t.Errorf("what was seen:\n%s", seen)
	}
}

// A secret is blacked out also where it turns up before any call has asked for it: in an input, and in the answer of an earlier step.
func TestASecretIsKnownFromTheStart(t *testing.T) {
	w := newWorld(t)
	sent := ""
	w.model("gossip", func(context.Context, *agent.Call) agent.Reply { return agent.Reply{Value: "it is hunter22"} })
	w.model("listener", func(_ context.Context, c *agent.Call) agent.Reply {
		sent = c.Text.(string)
		return agent.Reply{Value: "heard"}
	})
	s := signature("fetch")
	s.Params[0].Secret = true
	w.add("fetch", scripted{[]types.Signature{s}, func(context.Context, *agent.Call) agent.Reply { return agent.Reply{Value: "x"} }})
	p := w.plan("secret token\ninput said: string\na = gossip \"?\"\nb = listener \"<<a>> <<said>>\"\nc = fetch(text: token) after b\noutput \"<<a>> <<said>> <<c>>\"")
	e := engine.New(engine.Config{Registry: w.registry, Secrets: func(string) (string, error) { return "hunter22", nil }})
	defer shut(t, e)
	id, err := e.Start(t.Context(), p, map[string]any{"said": "say hunter22"}, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := ""
	for ev, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Fact != nil {
			seen += ev.Fact.String() + "\n"
		}
	}
	end, err := e.Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if want := "it is ‹secret token› say ‹secret token›"; sent != want || end.Value != want+" x" || strings.Contains(seen, "hunter22") {
		t.Errorf("sent %q, ended with %v, kept:\n%s", sent, end.Value, seen)
	}
}

// What streamed before anybody watched is shown to the first who does.
func TestProgressWaitsForItsFirstWatcher(t *testing.T) {
	early, watched := make(chan struct{}), make(chan struct{})
	w := newWorld(t)
	w.add("fetch", scripted{[]types.Signature{signature("fetch")}, func(_ context.Context, c *agent.Call) agent.Reply {
		c.Emit(agent.Progress{Delta: "early "})
		close(early)
		<-watched
		c.Emit(agent.Progress{Delta: "late"})
		return agent.Reply{Value: "early late"}
	}})
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, w.plan(`output fetch "x"`), run.Options{})
	<-early
	shown := ""
	for ev, err := range e.Watch(t.Context(), id, 0) {
		switch {
		case err != nil:
			t.Fatal(err)
		case ev.Progress != nil:
			if ev.Progress.Offset != len(shown) {
				t.Errorf("%q comes at %d, %d were shown", ev.Progress.Delta, ev.Progress.Offset, len(shown))
			}
			shown += ev.Progress.Delta
		case ev.Fact.Kind() == "call_started":
			close(watched)
		}
	}
	if shown != "early late" {
		t.Errorf("shown: %q", shown)
	}
}
