package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/stdlib/model"
)

// user registers a model that may use the tools named, and does what the strongest of them does.
func (w *world) user(name string, h handler, tools ...string) {
	w.t.Helper()
	s := signature(name)
	s.Effect, s.Structured, s.Rounds, s.MaxOutput = types.Think, true, 3, 100
	for _, tool := range tools {
		_, sig, ok := w.registry.Lookup(tool)
		if !ok {
			w.t.Fatalf("no tool %s", tool)
		}
		s.Tools = append(s.Tools, sig.AsTool())
		if sig.Effect == types.Do {
			s.Effect = types.Do
		}
	}
	w.add(name, scripted{[]types.Signature{s}, h})
}

func TestToolsOfACall(t *testing.T) {
	w := newWorld(t)
	looks := 0
	w.add("look", scripted{[]types.Signature{signature("look")}, func(_ context.Context, c *agent.Call) agent.Reply {
		looks++
		if c.Use != nil || c.Secret != nil || c.Memory != nil || c.Callee.Name != "look" || c.Args["at"] != "it" {
			t.Errorf("a tool got %+v", c)
		}
		c.Hide("key", "correct-horse")
		c.Emit(agent.Progress{Note: "half way"})
		if c.Args["badly"] == true {
			return agent.Fail(run.Failure, "not with correct-horse")
		}
		return agent.Reply{Value: map[string]any{"seen": "a correct-horse", "n": 1.5}}
	}})
	w.add("other", scripted{[]types.Signature{signature("other")}, say("no")})
	watched := make(chan struct{})
	w.user("m", func(ctx context.Context, c *agent.Call) agent.Reply {
		<-watched
		if r := c.Use(ctx, agent.Use{Tool: "other"}); r.Outcome != run.Denied {
			t.Errorf("a tool that was not granted: %+v", r)
		}
		r := c.Use(ctx, agent.Use{ID: "1", Tool: "look", Args: map[string]any{"at": "it", "say": "correct-horse"}})
		if text := fmt.Sprint(r.Value); text != "map[n:1.5 seen:a ‹secret key›]" {
			t.Errorf("it answered %s", text)
		}
		r = c.Use(ctx, agent.Use{ID: "2", Tool: "look", Args: map[string]any{"at": "it", "badly": true, "say": strings.Repeat("x", 2040) + "correct-horse"}})
		if r.Outcome != run.Failure || r.Message != "not with ‹secret key›" {
			t.Errorf("it failed: %+v", r)
		}
		return agent.Reply{Value: "done"}
	}, "look")
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	id := start(t, e, w.plan(`m "go"`), run.Options{})
	var notes []string
	var uses []run.ToolUse
	opened := false
	for ev, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if !opened {
			opened = true
			close(watched)
		}
		if p := ev.Progress; p != nil && p.Note != "" {
			notes = append(notes, p.Note)
			if p.Tool != nil {
				uses = append(uses, *p.Tool)
			}
		}
		if ev.Fact != nil && fmt.Sprintf("%T", ev.Fact.Body) == "*run.Finished" {
			break
		}
	}
	if end := wait(t, e, id); end.Value != "done" || looks != 2 {
		t.Fatalf("after %d looks: %+v", looks, end)
	}
	all := strings.Join(notes, "\n")
	for _, part := range []string{`uses look {"at":"it"`, "look: half way", "look answered", "look failed: not with ‹secret key›"} {
		if !strings.Contains(all, part) {
			t.Errorf("the notes lack %q:\n%s", part, all)
		}
	}
	if len(uses) != 4 || uses[0].ID != "1" || uses[0].Ended || !uses[1].Ended || uses[1].Failed || uses[1].Result != `{"n":1.5,"seen":"a ‹secret key›"}` || !uses[3].Failed {
		t.Errorf("those who watch see %+v", uses)
	}
	if text := fmt.Sprint(uses, notes); strings.Contains(strings.ReplaceAll(text, `"say":"correct-horse"`, ""), "correct") { // the first use made it known
		t.Errorf("a secret is shown: %s", text)
	}
}

// What a tool's agent takes at a time holds for scripts and models together, and a process that is full of models that wait for tools does not stand still.
func TestToolsKeepTheLimitOfTheirAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := &meter{origin: time.Now()}
		slow := func(ctx context.Context, c *agent.Call) agent.Reply {
			c.Text = "x"
			return m.call(ctx, c)
		}
		w.add("look", scripted{[]types.Signature{signature("look")}, slow})
		if err := w.registry.SetLimits("look", agent.Limits{Limit: 2}); err != nil {
			t.Fatal(err)
		}
		w.user("m", func(ctx context.Context, c *agent.Call) agent.Reply {
			replies := make(chan agent.Reply, 2)
			for range 2 {
				go func() { replies <- c.Use(ctx, agent.Use{Tool: "look"}) }()
			}
			for range 2 {
				if r := <-replies; r.Outcome != "" {
					return r
				}
			}
			return agent.Reply{Value: "x"}
		}, "look")
		e := engine.New(engine.Config{Registry: w.registry, MaxParallel: 4})
		defer shut(t, e)
		p := w.plan("a = map i in 1..10 limit 10 { m \"<<i>>\" }\nb = map i in 1..10 limit 10 { look \"<<i>>\" }\noutput [a, b]")
		if end := wait(t, e, start(t, e, p, run.Options{})); end.Status != run.Succeeded {
			t.Fatalf("%+v", end.Error)
		}
		if took := time.Since(m.origin); m.most != 2 || took != 15*time.Second {
			t.Errorf("30 uses of a second, two at a time: %d at a time, %v", m.most, took)
		}

		// Slots that processes share are asked of the store for tools, too.
		m.most = 0
		shared := engine.New(engine.Config{Registry: w.registry, Store: memory.New(), MaxParallel: 4, Shared: true})
		defer shut(t, shared)
		if end := wait(t, shared, start(t, shared, p, run.Options{})); end.Status != run.Succeeded || m.most != 2 {
			t.Errorf("%d at a time: %+v", m.most, end.Error)
		}

		// Who gives up waiting takes no slot along.
		hold := w.plan("a = look \"1\"\nb = look \"2\"\nc = m \"x\" timeout 300ms else \"late\"\noutput c")
		if end := wait(t, e, start(t, e, hold, run.Options{})); end.Value != "late" {
			t.Errorf("%+v", end)
		}
		time.Sleep(3 * time.Second)
		m.most = 0
		begun := time.Now()
		wait(t, e, start(t, e, w.plan(`output map i in 1..4 limit 4 { look "<<i>>" }`), run.Options{}))
		if took := time.Since(begun); m.most != 2 || took != 2*time.Second {
			t.Errorf("4 calls afterwards: %d at a time, %v", m.most, took)
		}
	})
}

// A tool that is down fails at once and says so to the model, which is none the worse for it.
func TestToolsHaveTheirOwnHealth(t *testing.T) {
	w := newWorld(t)
	var calls atomic.Int64
	w.add("look", scripted{[]types.Signature{signature("look")}, func(ctx context.Context, c *agent.Call) agent.Reply {
		calls.Add(1)
		return down(ctx, c)
	}})
	w.user("m", func(ctx context.Context, c *agent.Call) agent.Reply {
		var last agent.Reply
		for range 2 * agent.TripAfter {
			last = c.Use(ctx, agent.Use{Tool: "look"})
		}
		return agent.Reply{Value: last.Message}
	}, "look")
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	end := wait(t, e, start(t, e, w.plan(`m "go"`), run.Options{}))
	if text, _ := end.Value.(string); !strings.Contains(text, "is offline and was not called") || calls.Load() != agent.TripAfter {
		t.Errorf("after %d calls: %v", calls.Load(), end.Value)
	}
	if h, _ := w.registry.Health("m"); h.Status != agent.Available {
		t.Errorf("the model is %+v", h)
	}
	if h, _ := w.registry.Health("look"); h.Status != agent.Offline {
		t.Errorf("the tool is %+v", h)
	}
}

// A model with a tool that changes the world is never asked again by itself once it has begun: what the tool did would be done twice.
func TestAModelWithToolsThatDoIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	var made, thought atomic.Int32
	begun := make(chan struct{})
	w.doer("make", func(ctx context.Context, _ *agent.Call) agent.Reply {
		if made.Add(1) == 1 {
			close(begun)
			<-ctx.Done()
		}
		return agent.Reply{Value: "made"}
	})
	w.add("look", scripted{[]types.Signature{signature("look")}, say("seen")})
	use := func(ctx context.Context, c *agent.Call) agent.Reply {
		for _, tool := range c.Callee.Tools {
			if r := c.Use(ctx, agent.Use{Tool: tool.Name}); r.Outcome != "" {
				return r
			}
		}
		return agent.Reply{Value: "done"}
	}
	w.user("worker", use, "look", "make")
	w.user("reader", func(ctx context.Context, c *agent.Call) agent.Reply {
		if thought.Add(1) == 1 {
			<-ctx.Done()
		}
		return use(ctx, c)
	}, "look")
	c := newComputer(t)
	e, kill := c.boot(w.registry)
	id := start(t, e, w.plan("a = reader \"x\"\nb = worker \"y\"\noutput \"<<a>> <<b>>\""), run.Options{})
	<-begun
	kill()
	e, end := c.boot(w.registry)
	defer end()
	defer employ(t, e)()
	q := asked(t, e, id)
	if q.Form.Kind != "interrupted" || q.Path != "b" || made.Load() != 1 {
		t.Errorf("made %d times, and the question is %+v", made.Load(), q)
	}
	if err := e.Answer(t.Context(), id, q.Path, map[string]any{"done": "by hand"}, "ada"); err != nil {
		t.Fatal(err)
	}
	if end := wait(t, e, id); end.Value != "done by hand" || made.Load() != 1 || thought.Load() != 2 {
		t.Errorf("made %d times, thought %d times: %+v", made.Load(), thought.Load(), end)
	}
}

// A tool that asks people ends the call; when they have answered, in another process, the conversation goes on where it was, and nothing is done again.
func TestAToolThatAsksOutlivesTheProcess(t *testing.T) {
	w := newWorld(t)
	var made atomic.Int32
	w.doer("make", func(context.Context, *agent.Call) agent.Reply { made.Add(1); return agent.Reply{Value: "made"} })
	w.doer("travel", asker("bound"))
	w.user("m", func(ctx context.Context, c *agent.Call) agent.Reply {
		r, err := model.Read(c, "m1", 100)
		if err != nil {
			return agent.Fail(run.Failure, err.Error())
		}
		return model.Converse(ctx, c, r, func(_ context.Context, r model.Request) model.Round {
			usage := run.Usage{Input: 10, Tokens: run.Reported}
			if last := r.Turns[len(r.Turns)-1]; len(last.Answers) > 0 {
				return model.Round{Reply: agent.Reply{Value: last.Answers[0].Text + ", " + last.Answers[1].Text, Usage: usage}}
			}
			return model.Round{Reply: agent.Reply{Usage: usage}, Uses: []model.Use{{ID: "1", Name: "make"}, {ID: "2", Name: "travel"}}}
		})
	}, "make", "travel")
	here := newComputer(t)
	first, kill := here.boot(w.registry)
	id := start(t, first, w.plan(`output m "go"`), run.Options{})
	if q := asked(t, first, id); q.Path != "output?1" || q.Form.Text != "Where to?" {
		t.Errorf("the question is %+v", q)
	}
	kill()
	second, stop := here.boot(w.registry)
	defer stop()
	defer employ(t, second)()
	if err := second.Answer(t.Context(), id, "output?1", map[string]any{"city": "Oslo"}, "me"); err != nil {
		t.Fatal(err)
	}
	if end := wait(t, second, id); end.Value != "made, bound to Oslo" || made.Load() != 1 || end.Usage.Input != 20 {
		t.Errorf("made %d times: %+v", made.Load(), end)
	}
}

// A budget reserves for every round.
func TestBudgetsReserveForEachRound(t *testing.T) {
	w := newWorld(t)
	w.add("look", scripted{[]types.Signature{signature("look")}, say("seen")})
	w.user("m", say("done"), "look")
	e := engine.New(engine.Config{Registry: w.registry})
	defer shut(t, e)
	for budget, want := range map[int]string{407: "too little", 408: "done"} { // two tokens of input and a hundred of output, four times
		p := w.plan(fmt.Sprintf(`output m "abc" budget %d tokens else "too little"`, budget))
		if end := wait(t, e, start(t, e, p, run.Options{})); end.Value != want {
			t.Errorf("with %d tokens: %+v", budget, end)
		}
	}
}
