package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
				counts, at, _ := decided(t, s, id)
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
			`/city: is missing, expected string`:                                                   map[string]any{"legs": []any{}, "class": "eco"},
			`/legs: two legs at most`:                                                              `{"city": "Oslo", "legs": [{"days": 1}, {"days": 1}, {"days": 1}], "class": "eco"}`,
			`expected a record, found "Oslo"`:                                                      "Oslo",
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
