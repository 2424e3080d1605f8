//go:build unix

package claude_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/claude"
)

var (
	long  = strings.Repeat("All of this is known. ", 400)
	wrote = strings.Replace(start, `"cache_read_input_tokens":1000,"cache_creation_input_tokens":10`, `"cache_read_input_tokens":0,"cache_creation_input_tokens":2000`, 1)
	read  = strings.Replace(start, `"cache_read_input_tokens":1000,"cache_creation_input_tokens":10`, `"cache_read_input_tokens":2000,"cache_creation_input_tokens":0`, 1)
	plain = strings.Replace(start, `"cache_read_input_tokens":1000,"cache_creation_input_tokens":10`, `"cache_read_input_tokens":0,"cache_creation_input_tokens":0`, 1)
)

// crowd is calls that come together, and says when one of them waits for another.
type crowd struct {
	t       *testing.T
	agent   agent.Agent
	waits   chan struct{}
	replies sync.Map
	group   sync.WaitGroup
}

func (c *crowd) call(ctx context.Context, i int, call *agent.Call) {
	call.Emit = func(p agent.Progress) {
		if p.Note == "waits for another call with the same beginning" {
			c.waits <- struct{}{}
		}
	}
	c.group.Go(func() { c.replies.Store(i, c.agent.Call(ctx, call)) })
}

func (c *crowd) reply(i int) agent.Reply {
	r, _ := c.replies.Load(i)
	return r.(agent.Reply)
}

// fan holds the first request back until it is told what to answer, and answers the others at once.
func fan(t *testing.T, n int) (c *crowd, s *server, arrived <-chan struct{}, answer chan<- http.HandlerFunc) {
	first, told := make(chan struct{}), make(chan http.HandlerFunc)
	s = serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(first)
		(<-told)(w, r)
	}, sse(read, open, text("other"), shut, end("end_turn"), stop))
	return &crowd{t: t, agent: claude.New(s.config), waits: make(chan struct{}, n)}, s, first, told
}

func item(i int) *agent.Call {
	text := long + fmt.Sprint("Number ", i)
	return &agent.Call{Text: text, Shared: len(long)}
}

// Of calls with the same beginning the first goes out alone until its answer begins; then the others follow all at once, and read what it left.
func TestFanOutSendsTheFirstAlone(t *testing.T) {
	const n = 10
	c, s, arrived, answer := fan(t, n)
	for i := range n {
		c.call(t.Context(), i, item(i))
	}
	<-arrived
	for range n - 1 {
		<-c.waits
	}
	s.mu.Lock()
	if len(s.bodies) != 1 {
		t.Errorf("%d requests before the first was answered", len(s.bodies))
	}
	s.mu.Unlock()
	rest := make(chan struct{})
	answer <- func(w http.ResponseWriter, r *http.Request) {
		sse(wrote)(w, r)
		<-rest // its first token is enough for the others
		sse(open, text("first"), shut, end("end_turn"), stop)(w, r)
	}
	for s.requests() < n { // the test's own time limit ends this, if nothing does
		time.Sleep(time.Millisecond)
	}
	close(rest)
	c.group.Wait()
	total := run.Usage{}
	for i := range n {
		r := c.reply(i)
		want(t, r, "")
		total = total.Add(r.Usage)
	}
	// Sonnet: 10 × 100 × 2 + 2000 × 2.5 + 9 × 2000 × 0.1 + 10 × 10 × 10 dollars a million.
	if total.CacheWrite != 2000 || total.CacheRead != 18000 || total.Cost != 2000+5000+1800+1000 {
		t.Errorf("%+v", total)
	}
	var sent struct {
		Messages []struct {
			Content []struct {
				Text  string
				Cache *struct{ Type string } `json:"cache_control"`
			}
		}
	}
	for _, body := range s.bodies {
		json.Unmarshal([]byte(body), &sent)
		parts := sent.Messages[0].Content
		if len(parts) != 2 || parts[0].Text != long || parts[0].Cache == nil || parts[0].Cache.Type != "ephemeral" || !strings.HasPrefix(parts[1].Text, "Number ") || parts[1].Cache != nil {
			t.Errorf("%.200s", body)
		}
	}
	// For some minutes it is there: nobody waits.
	c.call(t.Context(), n, item(n))
	c.group.Wait()
	if len(c.waits) != 0 {
		t.Error("a call waited for what was there")
	}
}

// When the first call fails, or is not needed any more, the others go on; one that waits can be cancelled, and has sent nothing then.
func TestFanOutWhenTheFirstFails(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"overloaded": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(529) },
		"broken":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		c, s, arrived, answer := fan(t, 3)
		c.call(t.Context(), 0, item(0))
		<-arrived
		ctx, cancel := context.WithCancel(t.Context())
		c.call(ctx, 1, item(1))
		<-c.waits
		c.call(t.Context(), 2, item(2))
		<-c.waits
		cancel()
		for {
			if r, ok := c.replies.Load(1); ok {
				want(t, r.(agent.Reply), run.Stopped)
				break
			}
			time.Sleep(time.Millisecond)
		}
		answer <- fail
		c.group.Wait()
		want(t, c.reply(0), run.Unavailable)
		want(t, c.reply(2), "")
		if s.requests() != 2 {
			t.Errorf("%s: %d requests", name, s.requests())
		}
	}
	c, _, arrived, answer := fan(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	c.call(ctx, 0, item(0))
	<-arrived
	c.call(t.Context(), 1, item(1))
	<-c.waits
	cancel()
	c.group.Wait()
	answer <- whole("")
	want(t, c.reply(0), run.Stopped)
	want(t, c.reply(1), "")
}

// What the API does not keep nobody waits for a second time; other beginnings, models and schemas are others.
func TestFanOutInVain(t *testing.T) {
	s := serve(t, sse(plain, open, text("x"), shut, end("end_turn"), stop))
	c := &crowd{t: t, agent: claude.New(s.config), waits: make(chan struct{}, 10)}
	c.call(t.Context(), 0, item(0))
	c.group.Wait()
	for i := range 5 {
		c.call(t.Context(), i, item(i))
	}
	c.group.Wait()
	if len(c.waits) != 0 {
		t.Errorf("%d calls waited in vain", len(c.waits))
	}

	c, _, arrived, answer := fan(t, 10)
	c.call(t.Context(), 0, item(0))
	<-arrived
	other := item(1)
	other.Text = "Else. " + other.Text.(string)
	c.call(t.Context(), 1, other)
	model := item(2)
	model.Args = map[string]any{"model": "opus"}
	c.call(t.Context(), 2, model)
	typed := item(3)
	typed.As = &review
	c.call(t.Context(), 3, typed)
	persona := item(4)
	persona.System = "Judge."
	c.call(t.Context(), 4, persona)
	answer <- whole("x")
	c.group.Wait()
	if len(c.waits) != 0 {
		t.Errorf("%d calls waited for another beginning", len(c.waits))
	}
}

// A long persona is marked; short ones, and texts that nobody shares, are not.
func TestMarks(t *testing.T) {
	sent := func(c *agent.Call) string {
		s := serve(t, whole(`{"score":1}`))
		s.call(t.Context(), c)
		return s.bodies[0]
	}
	mark := `"cache_control":{"type":"ephemeral"}`
	for name, c := range map[string]struct {
		call  *agent.Call
		marks int
	}{
		"a short persona":           {&agent.Call{System: "Judge."}, 0},
		"a long persona":            {&agent.Call{System: long}, 1},
		"a long text of one call":   {&agent.Call{Text: long}, 0},
		"a short beginning":         {&agent.Call{Text: "Read this: x", Shared: 10}, 0},
		"short, behind a persona":   {&agent.Call{Text: "Read this: x", Shared: 10, System: long}, 2},
		"all of it is shared":       {&agent.Call{Text: long, Shared: len(long)}, 1},
		"only blanks are not":       {&agent.Call{Text: long + " \n", Shared: len(long)}, 1},
		"in the midst of a letter":  {&agent.Call{Text: long + "ü", Shared: len(long) + 1}, 0},
		"with a type":               {&agent.Call{Text: long + "x", Shared: len(long), As: &review}, 1},
		"a repair of what is typed": {&agent.Call{Text: long + "x", Shared: len(long), As: &review, Repair: &run.Repair{Round: 1, Answer: "x"}}, 1},
	} {
		body := sent(c.call)
		if n := strings.Count(body, mark); n != c.marks {
			t.Errorf("%s: %d marks, not %d", name, n, c.marks)
		}
		if strings.Contains(body, `"text":""`) || strings.Contains(body, `"text":" \n"`) {
			t.Errorf("%s: an empty block is refused", name)
		}
	}
}
