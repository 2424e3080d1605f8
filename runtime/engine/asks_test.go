package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// asker asks where to once, and then tells what it was told.
func asker(token string) handler {
	return func(_ context.Context, c *agent.Call) agent.Reply {
		if c.Answer == nil {
			form := run.Form{Kind: "form", Text: "Where to?", Type: types.Type{Kind: types.Record, Fields: []types.Field{{Name: "city", Type: types.Type{Kind: types.String}}}}}
			return agent.Ask(form, token)
		}
		if c.Answer.Value == run.Decline {
			return agent.Fail(run.Refused, "then not")
		}
		city := c.Answer.Value.(map[string]any)["city"].(string)
		return agent.Reply{Value: c.Answer.Token + " to " + city}
	}
}

// The process that asked is gone; another one takes the answer, and calls again with it and with what the agent wanted to remember.
func TestAQuestionInMidCallOutlivesTheProcess(t *testing.T) {
	city := strings.Repeat("Oslo ", 20_000) // large: it is kept apart
	for answer, want := range map[string]struct {
		value any
		end   any
	}{
		"filled in": {map[string]any{"city": city}, "bound to " + city},
		"declined":  {run.Decline, nil},
	} {
		t.Run(answer, func(t *testing.T) {
			w := newWorld(t)
			w.doer("travel", asker("bound"))
			here := newComputer(t)
			first, kill := here.boot(w.registry)
			p := w.plan(`output travel "go"`)
			id := start(t, first, p, run.Options{})
			if q := asked(t, first, id); q.Path != "output?1" {
				t.Errorf("the question is %+v", q)
			}
			kill()
			second, stop := here.boot(w.registry)
			defer stop()
			defer employ(t, second)()
			if err := second.Answer(t.Context(), id, "output?1", map[string]any{"town": 1}, "me"); !errors.Is(err, runs.ErrAnswer) {
				t.Errorf("what does not fit is taken: %v", err)
			}
			if err := second.Answer(t.Context(), id, "output?1", want.value, "me"); err != nil {
				t.Fatal(err)
			}
			if err := second.Answer(t.Context(), id, "output?1", want.value, "you"); !errors.Is(err, runs.ErrAnswered) && !errors.Is(err, runs.ErrFinished) {
				t.Errorf("it is answered twice: %v", err)
			}
			end := wait(t, second, id)
			if end.Value != want.end || want.end == nil && (end.Error == nil || end.Error.Kind != "refused") {
				t.Errorf("it ended %.200v, %v", end.Value, end.Error)
			}
		})
	}
}

func TestWhatAnAgentRemembersIsBounded(t *testing.T) {
	for token, want := range map[string]string{
		strings.Repeat("x", run.MaxToken+1): "more than 64 KiB",
		"so far: correct-horse":             "a secret",
	} {
		w := newWorld(t)
		w.doer("travel", func(ctx context.Context, c *agent.Call) agent.Reply {
			c.Hide("key", "correct-horse")
			return asker(token)(ctx, c)
		})
		e := engine.New(engine.Config{Store: memory.New(), Registry: w.registry})
		end := wait(t, e, start(t, e, w.plan(`output travel "go"`), run.Options{}))
		if end.Error == nil || !strings.Contains(end.Error.Message, want) || end.Error.Kind != "error" {
			t.Errorf("it ended %v", end.Error)
		}
		shut(t, e)
	}
}
