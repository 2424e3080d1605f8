package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// crowd has 100 people answer one question at the same time, through the engines in turn. It returns who was told that the answer counts, and what the others
// were told.
func crowd(t *testing.T, engines []*engine.Engine, id run.ID, path run.Path) (winners []string, errs []error) {
	t.Helper()
	const people = 100
	var wg sync.WaitGroup
	var mu sync.Mutex
	gate := make(chan struct{})
	for i := range people {
		wg.Add(1)
		go func() {
			defer wg.Done()
			by, value := fmt.Sprintf("person %d", i), []string{"yes", "no"}[i%2]
			<-gate
			err := engines[i%len(engines)].Answer(t.Context(), id, path, value, by)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners = append(winners, by)
			} else {
				errs = append(errs, err)
			}
		}()
	}
	close(gate)
	wg.Wait()
	return winners, errs
}

// decided is the answer that counts in a history, and how many facts there are that say one.
func decided(t *testing.T, s store.Store, id run.ID) (first *run.Answered, at time.Time, all int) {
	t.Helper()
	facts, err := s.Load(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range facts {
		if b, ok := f.Body.(*run.Answered); ok {
			if all++; first == nil {
				first, at = b, f.At
			}
		}
	}
	return first, at, all
}

// Of 100 who answer at the same time exactly one decides, on each store, whether the run has a session in one process, in none, or others answer it from
// outside; all others are told who did, and when.
func TestExactlyOneOfAHundredDecides(t *testing.T) {
	stores(t, func(t *testing.T, open func() store.Store) {
		w := newWorld(t)
		p := w.plan("ok = human.approve \"Go?\"\nmore = human.ask \"<<ok>>?\"\noutput \"<<ok>> <<more>>\"")
		s := open()
		here, there := engine.New(engine.Config{Registry: w.registry, Store: s}), engine.New(engine.Config{Registry: w.registry, Store: open()})
		defer shut(t, here)
		defer shut(t, there)
		for name, who := range map[string][]*engine.Engine{"in its session": {here}, "from another process": {there}, "from both": {here, there}} {
			t.Run(name, func(t *testing.T) {
				id := start(t, here, p, run.Options{})
				asked(t, here, id)
				winners, errs := crowd(t, who, id, "ok")
				if len(winners) != 1 || len(errs) != 99 {
					t.Fatalf("%d decided (%v), %d did not", len(winners), winners, len(errs))
				}
				counts, at, all := decided(t, s, id)
				if name == "from another process" && all != 1 {
					t.Errorf("the history has %d answers", all)
				}
				if counts.By != winners[0] {
					t.Errorf("%s was told that the answer counts, and %s's does", winners[0], counts.By)
				}
				for _, err := range errs {
					var other *runs.AnsweredError
					if !errors.Is(err, runs.ErrAnswered) || !errors.As(err, &other) || other.By != winners[0] || !other.At.Equal(at) || other.Path != "ok" {
						t.Fatalf("another was told: %v", err)
					}
				}
				if err := there.Answer(t.Context(), id, "more", "well", "last"); err != nil && !errors.Is(err, runs.ErrNotAsked) {
					t.Fatal(err)
				} else if err != nil { // the run has not come so far
					for ev := range here.Watch(t.Context(), id, 0) {
						if ev.Fact != nil {
							if b, ok := ev.Fact.Body.(*run.Asked); ok && b.Path == "more" {
								break
							}
						}
					}
					if err := there.Answer(t.Context(), id, "more", "well", "last"); err != nil {
						t.Fatal(err)
					}
				}
				if end := wait(t, here, id); end.Value != fmt.Sprint(counts.Value, " well") {
					t.Errorf("it ended %v", end.Value)
				}
				err := there.Answer(t.Context(), id, "ok", "no", "late")
				if other := (*runs.AnsweredError)(nil); !errors.As(err, &other) || other.By != winners[0] {
					t.Errorf("who answers when the run has ended is told: %v", err)
				}
			})
		}
	})
}

// Answers that come at the very moment at which the time is over: the log decides, once. Either somebody answered in time, or the `else` counts and everybody is
// told so.
func TestAnswersRaceWithTheTimeout(t *testing.T) {
	for round := range 20 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			s := memory.New()
			here, there := engine.New(engine.Config{Registry: w.registry, Store: s}), engine.New(engine.Config{Registry: w.registry, Store: apart{s}})
			defer shut(t, here)
			defer shut(t, there)
			id := start(t, here, w.plan("ok = human.ask \"Go?\" timeout 5s else \"nobody\"\noutput ok"), run.Options{})
			asked(t, here, id)
			time.Sleep(5*time.Second - time.Duration(round%3)*time.Nanosecond)
			winners, errs := crowd(t, []*engine.Engine{here, there}, id, "ok")
			end := wait(t, here, id)
			switch {
			case len(winners) > 1 || len(winners)+len(errs) != 100:
				t.Fatalf("%v decided, %d did not", winners, len(errs))
			case len(winners) == 0 && end.Value != "nobody", len(winners) == 1 && end.Value == "nobody":
				t.Fatalf("%v decided, and it ended %v", winners, end.Value)
			}
			want := runs.ByTimeout
			if len(winners) == 1 {
				want = winners[0]
			}
			for _, err := range errs {
				if other := (*runs.AnsweredError)(nil); !errors.As(err, &other) || other.By != want {
					t.Fatalf("%s decided, and another was told: %v", want, err)
				}
			}
		})
	}
}

// What does not fit is not recorded, and who answered is told where it does not.
func TestAnAnswerThatDoesNotFitIsNotRecorded(t *testing.T) {
	w := newWorld(t)
	p := w.plan(`type Trip {
  city: string
  legs: [{days: int}]
  class: "eco" | "first"
  must len(legs) < 3 else "two legs at most"
}
t = human.ask "Where to?" as Trip
output "<<t.city>> <<t.legs[0].days>> <<t.class>>"`)
	s := memory.New()
	here, there := engine.New(engine.Config{Registry: w.registry, Store: s}), engine.New(engine.Config{Registry: w.registry, Store: apart{s}})
	defer shut(t, here)
	defer shut(t, there)
	id := start(t, here, p, run.Options{})
	q := asked(t, here, id)
	if schema := string(q.Form.Schema); !strings.Contains(schema, `"class":{"type":"string","enum":["eco","first"]}`) || !strings.Contains(schema, `"required":["city","legs","class"]`) {
		t.Errorf("the schema is %s", schema)
	}
	for _, e := range []*engine.Engine{here, there} {
		for want, value := range map[string]any{
			`/legs/0/days: expected int, found "x"; /class: expected "eco" or "first", found "bus"`: map[string]any{"city": "Oslo", "legs": []any{map[string]any{"days": "x"}}, "class": "bus"},
			`/city: is missing, expected string`:                                                    map[string]any{"legs": []any{}, "class": "eco"},
			`/legs: two legs at most`:                                                               `{"city": "Oslo", "legs": [{"days": 1}, {"days": 1}, {"days": 1}], "class": "eco"}`,
			`expected a record, found "Oslo"`:                                                       "Oslo",
		} {
			err := e.Answer(t.Context(), id, "t", value, "me")
			if unfit := (*runs.UnfitError)(nil); !errors.Is(err, runs.ErrAnswer) || !errors.As(err, &unfit) || !strings.HasSuffix(err.Error(), ": "+want) {
				t.Errorf("%v: %v", value, err)
			}
		}
	}
	if _, _, n := decided(t, s, id); n != 0 {
		t.Errorf("%d answers are recorded", n)
	}
	if err := there.Answer(t.Context(), id, "t", map[string]any{"city": "Oslo", "legs": []any{map[string]any{"days": 2.0}}, "class": "eco"}, "me"); err != nil {
		t.Fatal(err)
	}
	if end := wait(t, here, id); end.Value != "Oslo 2 eco" {
		t.Errorf("it ended %v, %v", end.Value, end.Error)
	}
}

// The time of a question goes on while no process is there. What its `else` says counts as answered by the timeout, in what people see and for who comes late.
func TestTheTimeOfAQuestionOutlivesTheProcess(t *testing.T) {
	for script, want := range map[string]struct {
		value any
		code  string
		said  any
	}{
		"ok = human.approve \"Go?\" timeout 2d else \"no\"\noutput ok":                {value: "no", said: "no"},
		"ok = human.ask \"Go?\" timeout 2d else { output trim(\" no \") }\noutput ok": {value: "no"},
		"ok = human.approve \"Go?\" timeout 2d\noutput ok":                            {code: "E_TIMEOUT"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			p := w.plan(script)
			s := memory.New()
			first := engine.New(engine.Config{Registry: w.registry, Store: apart{s}, Owner: "first"})
			began := time.Now()
			id := start(t, first, p, run.Options{Pool: "server"})
			if q := asked(t, first, id); !q.Deadline.Equal(began.Add(48 * time.Hour)) {
				t.Errorf("it is asked until %v", q.Deadline)
			}
			shut(t, first)
			time.Sleep(50 * time.Hour)
			second := engine.New(engine.Config{Registry: w.registry, Store: apart{s}, Pool: "server", Owner: "second"})
			defer shut(t, second)
			defer employ(t, second)()
			end := wait(t, second, id)
			if end.Value != want.value || (end.Error == nil) != (want.code == "") || end.Error != nil && end.Error.Code != want.code {
				t.Errorf("%s\nended %v, %v", script, end.Value, end.Error)
			}
			folder := runs.Fold(p).Named(id)
			for ev := range second.Watch(t.Context(), id, 0) {
				if ev.Fact != nil {
					folder.Add(*ev.Fact)
				}
			}
			step, _ := folder.Step("ok")
			if a := step.Answer; a == nil || a.By != runs.ByTimeout || a.Value != want.said {
				t.Errorf("%s\nthe step shows %+v", script, a)
			}
			if done := step.Status == runs.Done; done != (want.said != nil) {
				t.Errorf("%s\nthe step is %s", script, step.Status)
			}
			err := second.Answer(t.Context(), id, "ok", "yes", "late")
			if other := (*runs.AnsweredError)(nil); !errors.As(err, &other) || other.By != runs.ByTimeout {
				t.Errorf("who is late is told: %v", err)
			}
		})
	}
}

// forged is a store in which questions show something else than was asked.
type forged struct{ store.Store }

func (f forged) Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error) {
	facts, err := f.Store.Load(ctx, id, after)
	facts = slices.Clone(facts)
	for i := range facts {
		if b, ok := facts[i].Body.(*run.Asked); ok {
			other := *b
			other.Form.Actions = []run.Action{b.Form.Actions[0]}
			other.Form.Actions[0].Sent = slices.Clone(b.Form.Actions[0].Sent)
			other.Form.Actions[0].Sent[0].Value = []byte(`"send something else"`)
			facts[i].Body = &other
		}
	}
	return facts, err
}

// What was shown is what is done: the process that asked is gone, another takes the answer, and the agent gets the arguments that the history of the question
// names, with a secret in the place of its name. A history in which something else was shown is stopped before anything is done.
func TestWhatWasApprovedIsDone(t *testing.T) {
	for name, tampered := range map[string]bool{"as it was shown": false, "otherwise": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var calls []string
			post := signature("post")
			post.Effect = types.Do
			post.Params = append(post.Params, types.Param{Name: "auth", Type: types.Type{Kind: types.String}, Secret: true})
			w.add("post", scripted{[]types.Signature{post}, func(_ context.Context, c *agent.Call) agent.Reply {
				calls = append(calls, fmt.Sprint(c.Text))
				return agent.Reply{Value: "sent"}
			}})
			w.model("writer", func(context.Context, *agent.Call) agent.Reply { return agent.Reply{Value: "a <draft>"} })
			s := memory.New()
			first := engine.New(engine.Config{Registry: w.registry, Store: apart{s}, Owner: "first"})
			id := start(t, first, w.plan(`secret token
draft = writer "write"
ok = human.approve "Send it?"
require ok == "yes" else "not approved"
output post(auth: token) "send <<draft>>"`), run.Options{Pool: "server"})
			q := asked(t, first, id)
			if len(q.Form.Actions) != 1 || q.Form.Actions[0].Fingerprint == "" {
				t.Fatalf("it shows %+v", q.Form.Actions)
			}
			var shown []string
			for _, s := range q.Form.Actions[0].Sent {
				shown = append(shown, s.Name+" "+string(s.Value))
			}
			if got := strings.Join(shown, ", "); got != `text "send a \u003cdraft\u003e", auth "‹secret token›"` {
				t.Errorf("it shows %s", got)
			}
			shut(t, first)
			var kept store.Store = apart{s}
			if tampered {
				kept = forged{kept}
			}
			second := engine.New(engine.Config{Registry: w.registry, Store: kept, Pool: "server", Owner: "second", Secrets: func(string) (string, error) { return "correct-horse", nil }})
			defer shut(t, second)
			defer employ(t, second)()
			if err := second.Answer(t.Context(), id, "ok", "yes", "ada"); err != nil {
				t.Fatal(err)
			}
			end := wait(t, second, id)
			if tampered {
				if end.Error == nil || end.Error.Code != "E_APPROVAL" || len(calls) != 0 {
					t.Errorf("after %q it ended %v, %v", calls, end.Value, end.Error)
				}
				return
			}
			if end.Value != "sent" || len(calls) != 1 || calls[0] != "send a <draft>" {
				t.Errorf("after %q it ended %v, %v", calls, end.Value, end.Error)
			}
		})
	}
}
