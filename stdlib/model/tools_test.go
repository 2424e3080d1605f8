package model_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/model"
)

// granted is a call of a model with two tools that read and one that does.
func granted(use func(context.Context, agent.Use) agent.Reply) *agent.Call {
	schema := json.RawMessage(`{"type":"object"}`)
	return &agent.Call{Text: "Hi", Use: use, Callee: &types.Signature{Name: "m", Effect: types.Do, Rounds: 3, Tools: []types.Tool{
		{Name: "a.get", Effect: types.Read, Input: schema}, {Name: "a.list", Effect: types.Read, Input: schema}, {Name: "b.put", Effect: types.Do, Input: schema},
	}}}
}

// says makes a model that wants one thing after another, and then answers.
func says(rounds ...[]model.Use) (ask func(context.Context, model.Request) model.Round, seen *[]model.Request) {
	seen = &[]model.Request{}
	return func(_ context.Context, r model.Request) model.Round {
		n := len(*seen)
		*seen = append(*seen, r)
		usage := run.Usage{Calls: 1, Input: 10, Output: 1, Tokens: run.Reported, Cost: 5, CostSource: run.Estimated, Model: "m1"}
		if n < len(rounds) {
			return model.Round{Reply: agent.Reply{Usage: usage, AgentID: fmt.Sprint("id", n)}, Uses: rounds[n], Raw: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
		}
		return model.Round{Reply: agent.Reply{Value: "done", Usage: usage, AgentID: fmt.Sprint("id", n)}}
	}, seen
}

func converse(t *testing.T, c *agent.Call, ask func(context.Context, model.Request) model.Round) agent.Reply {
	t.Helper()
	r, err := model.Read(c, "m1", 100)
	if err != nil {
		t.Fatal(err)
	}
	return model.Converse(t.Context(), c, r, ask)
}

func use(id, name, args string) model.Use { return model.Use{ID: id, Name: name, Args: args} }

// What goes wrong with a tool the model is told; what it used is summed up.
func TestConverse(t *testing.T) {
	var mu sync.Mutex
	used := map[string]string{}
	c := granted(func(_ context.Context, u agent.Use) agent.Reply {
		args, _ := json.Marshal(u.Args)
		mu.Lock()
		used[u.ID] = u.Tool + string(args)
		mu.Unlock()
		switch u.ID {
		case "2":
			return agent.Fail(run.Timeout, "no answer within 5m")
		case "7":
			return agent.Reply{Value: map[string]any{"f": types.FileValue{Name: "a.png", Type: "image/png", Size: 3, Data: []byte{0xff, 0xd8, 0}}, "n": 1.5}}
		case "8":
			return agent.Reply{Value: strings.Repeat("x", 1<<20)}
		}
		return agent.Reply{Value: "it is " + u.ID}
	})
	ask, seen := says(
		[]model.Use{use("1", "a__get", `{"x":1}`), use("2", "a.list", ""), use("3", "a__got", "{}"), use("4", "a__get", "{"), use("5", "a__get", "[1]"), use("6", "a__get", `"{\"x\":2}"`)},
		[]model.Use{use("7", "b__put", "{}"), use("8", "a__get", "null")},
	)
	r := converse(t, c, ask)
	if r.Value != "done" || r.AgentID != "id2" || r.Usage != (run.Usage{Calls: 1, Input: 30, Output: 3, Tokens: run.Reported, Cost: 15, CostSource: run.Estimated, Model: "m1"}) {
		t.Errorf("%+v", r)
	}
	if want := map[string]string{"1": `a.get{"x":1}`, "2": "a.list{}", "6": `a.get{"x":2}`, "7": "b.put{}", "8": "a.get{}"}; !reflect.DeepEqual(used, want) {
		t.Errorf("used %v", used)
	}
	turns := (*seen)[2].Turns
	if len(turns) != 5 || string(turns[1].Raw) != `{"n":0}` || !turns[1].Assistant || turns[2].Assistant {
		t.Fatalf("%+v", turns)
	}
	for i, want := range []string{"it is 1", "timeout: no answer within 5m", `there is no tool "a__got"; there are: a__get, a__list, b__put`, "not done: the arguments are no JSON", "not done: the arguments are no JSON object", "it is 6"} {
		if a := turns[2].Answers[i]; !strings.HasPrefix(a.Text, want) || a.Failed != !strings.HasPrefix(want, "it is") || a.ID != fmt.Sprint(i+1) {
			t.Errorf("answer %d is %+v, want %q", i+1, a, want)
		}
	}
	if a := turns[4].Answers; a[0].Text != `{"f":"(a file that is no text: a.png, image/png, 3 bytes)","n":1.5}` || len(a[1].Text) > 129<<10 || !strings.Contains(a[1].Text, "of 1048576 bytes)") {
		t.Errorf("%.300v", a)
	}
}

// The rounds are bounded: the last answer is asked for without tools.
func TestRoundsAreBounded(t *testing.T) {
	c := granted(func(context.Context, agent.Use) agent.Reply { return agent.Reply{Value: "x"} })
	more := []model.Use{use("1", "a__get", "")}
	ask, seen := says(more, more, more)
	if r := converse(t, c, ask); r.Value != "done" || len(*seen) != 4 || !(*seen)[3].Last || (*seen)[2].Last {
		t.Errorf("%+v after %d requests", r, len(*seen))
	}
	ask, _ = says(more, more, more, more)
	if r := converse(t, c, ask); r.Outcome != run.Failure || !strings.Contains(r.Message, "tool_rounds") || r.Usage.Input != 40 || r.Usage.Calls != 1 {
		t.Errorf("%+v", r)
	}
	many := make([]model.Use, 40)
	for i := range many {
		many[i] = use(fmt.Sprint(i), "a__get", "")
	}
	ask, seen = says(many)
	converse(t, c, ask)
	if a := (*seen)[1].Turns[2].Answers; a[31].Failed || !a[32].Failed || !strings.Contains(a[39].Text, "at most 32") {
		t.Errorf("%+v", a[30:])
	}
}

// What reads is done at the same time; beside something that changes the world, everything is done in the order in which it was asked for.
func TestToolsAtOnceOrInOrder(t *testing.T) {
	for second, want := range map[string]time.Duration{"a__list": time.Second, "b__put": 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var order []string
			c := granted(func(_ context.Context, u agent.Use) agent.Reply {
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, u.ID)
				return agent.Reply{Value: "x"}
			})
			ask, _ := says([]model.Use{use("1", "a__get", ""), use("2", second, ""), use("3", "a__get", "")})
			begun := time.Now()
			converse(t, c, ask)
			if took := time.Since(begun); took != want || second == "b__put" && !slices.Equal(order, []string{"1", "2", "3"}) {
				t.Errorf("%s: %v, took %v", second, order, took)
			}
		})
	}
}

// A cancelled call does nothing more, and says what it has cost.
func TestToolsOfACancelledCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	c := granted(func(context.Context, agent.Use) agent.Reply { n++; cancel(); return agent.Reply{Value: "x"} })
	ask, seen := says([]model.Use{use("1", "b__put", ""), use("2", "b__put", "")})
	r, _ := model.Read(c, "m1", 100)
	if reply := model.Converse(ctx, c, r, ask); reply.Outcome != run.Stopped || n != 1 || len(*seen) != 1 || reply.Usage.Input != 10 {
		t.Errorf("%+v after %d uses", reply, n)
	}
}

// Tools that ask people end the call with their questions, one after the other. Nothing that was done is done again.
func TestToolsThatAsk(t *testing.T) {
	for _, tool := range []string{"a__get", "b__put"} { // at the same time; in order
		var mu sync.Mutex
		done := map[string]int{}
		c := granted(func(_ context.Context, u agent.Use) agent.Reply {
			mu.Lock()
			defer mu.Unlock()
			if u.ID == "1" || u.Answer != nil {
				done[u.ID]++
				if u.ID != "1" && u.Answer.Token != "of "+u.ID {
					t.Errorf("%s got back %q", u.ID, u.Answer.Token)
				}
				return agent.Reply{Value: fmt.Sprint(u.ID, u.Args, " told ", u.Answer != nil && u.Answer.Value != nil)}
			}
			return agent.Ask(run.Form{Kind: "form", Text: "what of " + u.ID}, "of "+u.ID)
		})
		rounds := [][]model.Use{{use("1", tool, `{"x":1}`), use("2", tool, `{"x":2}`), use("3", tool, `{"x":3}`)}}
		ask, _ := says(rounds...)
		r := converse(t, c, ask)
		for _, id := range []string{"2", "3"} {
			if r.Outcome != run.Asks || r.Form.Text != "what of "+id || done["1"] != 1 {
				t.Fatalf("%s: %+v, done %v", tool, r, done)
			}
			if want := int64(10); id == "2" && r.Usage.Input != want || id == "3" && r.Usage.Input != 0 {
				t.Errorf("before %s it used %+v", id, r.Usage)
			}
			c.Answer = &run.Answer{Token: r.Token, Value: map[string]any{"go": true}}
			ask, seen := says() // another process: it has only the token
			r = converse(t, c, ask)
			if id == "3" {
				if r.Value != "done" || !reflect.DeepEqual(done, map[string]int{"1": 1, "2": 1, "3": 1}) {
					t.Fatalf("%+v, done %v", r, done)
				}
				if turns := (*seen)[0].Turns; len(turns) != 3 || string(turns[1].Raw) != `{"n":0}` || turns[2].Answers[2].Text != "3map[x:3] told true" || turns[2].Answers[0].Text != "1map[x:1] told false" {
					t.Errorf("%+v", turns)
				}
			} else if len(*seen) != 0 {
				t.Error("the model was asked before all is told")
			}
		}
	}
}

func TestWhatCannotBeKeptUntilPeopleAnswer(t *testing.T) {
	c := granted(func(_ context.Context, u agent.Use) agent.Reply {
		if u.Tool == "b.put" {
			return agent.Ask(run.Form{Text: "well?"}, "")
		}
		return agent.Reply{Value: strings.Repeat("x", 100<<10)}
	})
	ask, _ := says([]model.Use{use("1", "a__get", "")}, []model.Use{use("2", "b__put", "")})
	if r := converse(t, c, ask); r.Outcome != run.Failure || !strings.Contains(r.Message, "b__put asks people") || r.Usage.Input != 20 {
		t.Errorf("%+v", r)
	}
	for _, token := range []string{"", "{}", `{"turns":[{}],"open":[{}]}`, `{"turns":[{"uses":[{}]}],"open":[{}],"asked":7}`} {
		c.Answer = &run.Answer{Token: token, Value: "x"}
		ask, seen := says()
		if r := converse(t, c, ask); r.Outcome != run.Failure || len(*seen) != 0 {
			t.Errorf("%q: %+v", token, r)
		}
	}
}

// Names are such as every provider takes, and no two are the same.
func TestToolNames(t *testing.T) {
	long := strings.Repeat("n", 70)
	c := granted(func(context.Context, agent.Use) agent.Reply { return agent.Reply{} })
	c.Callee.Tools = []types.Tool{{Name: "a.b"}, {Name: "a.ü"}, {Name: "a." + long + "1"}, {Name: "a." + long + "2"}, {Name: "a__b"}}
	r, err := model.Read(c, "m", 1)
	if err != nil || r.Rounds != 3 {
		t.Fatal(r, err)
	}
	seen := map[string]bool{}
	for _, tool := range r.Tools {
		if len(tool.Name) > 64 || strings.Trim(tool.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || seen[tool.Name] {
			t.Errorf("%q", tool.Name)
		}
		seen[tool.Name] = true
	}
	if r.Tools[0].Name != "a__b" {
		t.Errorf("%q", r.Tools[0].Name)
	}
}
