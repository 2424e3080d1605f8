//go:build unix

package claude_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/claude"
)

// server is a Messages API that answers as a test says and keeps what it was asked.
type server struct {
	config claude.Config
	mu     sync.Mutex
	bodies []string
	heads  []http.Header
}

func serve(t *testing.T, answers ...http.HandlerFunc) *server {
	s := &server{}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bodies, s.heads = append(s.bodies, string(body)), append(s.heads, r.Header)
		answer := answers[min(len(s.bodies), len(answers))-1]
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(h.Close)
	s.config = claude.Config{Prefer: "api", APIKey: key, BaseURL: h.URL}
	return s
}

func (s *server) call(ctx context.Context, c *agent.Call) (agent.Reply, string) {
	return asked(ctx, claude.New(s.config), c)
}

func (s *server) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies)
}

func sse(events ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Request-Id", "req_1")
		for _, e := range events {
			var kind struct{ Type string }
			json.Unmarshal([]byte(e), &kind)
			fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind.Type, e)
			w.(http.Flusher).Flush()
		}
	}
}

const (
	start = `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5-5-20261001","content":[],"stop_reason":null,"usage":{"input_tokens":100,"cache_read_input_tokens":1000,"cache_creation_input_tokens":10,"output_tokens":1}}}`
	open  = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	shut  = `{"type":"content_block_stop","index":0}`
	stop  = `{"type":"message_stop"}`
	ping  = `{"type":"ping"}`
)

func text(s string) string {
	quoted, _ := json.Marshal(s)
	return `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":` + string(quoted) + `}}`
}

func end(reason string) string {
	return `{"type":"message_delta","delta":{"stop_reason":"` + reason + `","stop_sequence":null},"usage":{"output_tokens":10}}`
}

func whole(answer string) http.HandlerFunc {
	return sse(start, ping, open, text(answer), shut, end("end_turn"), stop)
}

func TestAPI(t *testing.T) {
	t.Setenv("ANTHROPIC_API_KEY", "ambient")
	t.Setenv("ANTHROPIC_AUTH_TOKEN", "ambient")
	t.Setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
	s := serve(t, sse(start, open, text("Hello, "), ping, text("wörld"), shut, end("end_turn"), stop))
	r, shown := s.call(t.Context(), &agent.Call{System: "Be kind.", Args: map[string]any{"model": "haiku", "max_tokens": 99, "temperature": 1, "effort": "low"}})
	want(t, r, "")
	if r.Value != "Hello, wörld" || shown != "Hello, wörld" || r.AgentID != "msg_1" {
		t.Errorf("%+v, shown %q", r, shown)
	}
	// 100 × 0.10 + 10 × 0.50 + 1000 × 0.01 + 10 × 0.125 dollars a million: the price of haiku for short prompts, rounded up.
	if want := (run.Usage{Calls: 1, Input: 100, Output: 10, CacheRead: 1000, CacheWrite: 10, Tokens: run.Reported, Cost: 27, CostSource: run.Estimated, Model: "claude-sonnet-5-5-20261001"}); r.Usage != want {
		t.Errorf("%+v", r.Usage)
	}
	if want := `{"max_tokens":99,"messages":[{"content":[{"text":"Hi","type":"text"}],"role":"user"}],"model":"claude-haiku-5-5","temperature":1,"system":[{"text":"Be kind.","type":"text"}],"output_config":{"effort":"low"},"stream":true}`; !same(s.bodies[0], want) {
		t.Errorf("sent %s", s.bodies[0])
	}
	if h := s.heads[0]; h.Get("X-Api-Key") != canary || h.Get("Authorization") != "" {
		t.Errorf("%v", h)
	}
}

func same(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

func TestAPIStructured(t *testing.T) {
	s := serve(t, whole(`{"score":8}`))
	r, _ := s.call(t.Context(), &agent.Call{As: &review})
	want(t, r, "")
	if !reflect.DeepEqual(r.Value, map[string]any{"score": 8}) {
		t.Errorf("%#v", r.Value)
	}
	if !strings.Contains(s.bodies[0], `"properties":{"score":{"type":"integer"},"a":{"type":"string"}}`) || !strings.Contains(s.bodies[0], `"type":"json_schema"`) {
		t.Errorf("the schema is not sent in the order of its fields: %s", s.bodies[0])
	}
	s = serve(t, whole(`{"value":"bug"}`))
	if r, _ := s.call(t.Context(), &agent.Call{As: &types.Type{Kind: types.Enum, Values: []string{"bug", "other"}}}); r.Value != "bug" {
		t.Errorf("%+v", r)
	}
	// An API that does not know the parameter is asked in words, from then on at once.
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		io.WriteString(w, `{"type":"error","error":{"type":"invalid_request_error","message":"output_config: Extra inputs are not permitted"}}`)
	}
	s = serve(t, refuse, whole("```json\n{\"score\":3}\n```"))
	a := claude.New(s.config)
	for requests := 2; requests <= 3; requests++ {
		r, _ := asked(t.Context(), a, &agent.Call{As: &review})
		if want(t, r, ""); !reflect.DeepEqual(r.Value, map[string]any{"score": 3}) || len(s.bodies) != requests {
			t.Errorf("%+v after %d requests", r, len(s.bodies))
		}
	}
	if !strings.Contains(s.bodies[2], "JSON Schema") || strings.Contains(s.bodies[2], "output_config") {
		t.Error(s.bodies[2])
	}
}

// A repair shows the model its answer and what is wrong with it.
func TestAPIRepair(t *testing.T) {
	s := serve(t, whole(`{"score":8}`))
	r, _ := s.call(t.Context(), &agent.Call{As: &review, Repair: &run.Repair{Round: 1, Answer: map[string]any{"score": "eight"}, Problems: []string{"score: must be an int"}}})
	want(t, r, "")
	var sent struct {
		Messages []struct {
			Role    string
			Content []struct{ Text string }
		}
	}
	json.Unmarshal([]byte(s.bodies[0]), &sent)
	if len(sent.Messages) != 3 || sent.Messages[1].Role != "assistant" || sent.Messages[1].Content[0].Text != `{"score":"eight"}` || !strings.Contains(sent.Messages[2].Content[0].Text, "- score: must be an int") {
		t.Errorf("%+v", sent)
	}
}

func TestAPIStopReasons(t *testing.T) {
	for reason, c := range map[string]struct {
		o   run.Outcome
		say string
	}{
		"end_turn": {"", ""}, "stop_sequence": {"", ""}, "max_tokens": {run.Failure, "max_tokens"}, "refusal": {run.Refused, "Some text"},
		"tool_use": {run.Failure, "tool"}, "model_context_window_exceeded": {run.Failure, "longer"}, "something_new": {run.Failure, "does not know (something_new)"},
	} {
		r, _ := serve(t, sse(start, open, text("Some text"), shut, end(reason), stop)).call(t.Context(), &agent.Call{})
		want(t, r, c.o, c.say)
		if r.Usage.Tokens != run.Reported || r.Usage.Output != 10 {
			t.Errorf("%s: %+v", reason, r.Usage)
		}
	}
	r, _ := serve(t, sse(start, end("end_turn"), stop)).call(t.Context(), &agent.Call{})
	want(t, r, run.Unavailable, "empty")

	// A paused turn is taken up where it stopped; what both used is added.
	s := serve(t, sse(start, open, text("First"), shut, end("pause_turn"), stop), whole("second"))
	r, shown := s.call(t.Context(), &agent.Call{})
	want(t, r, "")
	if r.Value != "second" || shown != "Firstsecond" || r.Usage.Output != 20 || r.Usage.Input != 200 || !strings.Contains(s.bodies[1], `"First"`) {
		t.Errorf("%+v, shown %q", r, shown)
	}
	s = serve(t, sse(start, open, text("x"), shut, end("pause_turn"), stop))
	r, _ = s.call(t.Context(), &agent.Call{})
	want(t, r, run.Failure, "paused 5 times")
}

func TestAPIFailures(t *testing.T) {
	plain := func(status int, kind, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "9")
			w.Header().Set("Request-Id", "req_1")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"type":"error","error":{"type":%q,"message":%q}}`, kind, message)
		}
	}
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(502)
		io.WriteString(w, "<html>bad gateway</html>")
	}
	mid := func(kind string) http.HandlerFunc {
		return sse(start, open, text("half"), `{"type":"error","error":{"type":"`+kind+`","message":"in the middle"}}`)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		o      run.Outcome
		say    string
		tokens run.Source
	}{
		"400":         {plain(400, "invalid_request_error", "prompt is too long"), run.Failure, "prompt is too long", ""},
		"401":         {plain(401, "authentication_error", "invalid x-api-key "+canary), run.Denied, "ANTHROPIC_API_KEY", ""},
		"403":         {plain(403, "permission_error", "no"), run.Denied, "403", ""},
		"billing":     {plain(402, "billing_error", "no credit"), run.Denied, "no credit", ""},
		"404":         {plain(404, "not_found_error", "model: x"), run.Failure, "model: x", ""},
		"413":         {plain(413, "request_too_large", "too large"), run.Failure, "too large", ""},
		"429":         {plain(429, "rate_limit_error", "slow down"), run.RateLimited, "slow down", ""},
		"500":         {plain(500, "api_error", "oops"), run.Unavailable, "oops", ""},
		"529":         {plain(529, "overloaded_error", "Overloaded"), run.Unavailable, "Overloaded", ""},
		"502 in HTML": {html, run.Unavailable, "502", ""},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, run.Failure, "base_url", ""},
		"overloaded in between": {mid("overloaded_error"), run.Unavailable, "in the middle", run.Estimated},
		"529 in between":        {mid("api_error"), run.Unavailable, "in the middle", run.Estimated},
		"a key in between":      {mid("authentication_error"), run.Denied, "in the middle", run.Estimated},
		"half closed": {func(w http.ResponseWriter, r *http.Request) { // the headers promise more than comes
			w.Header().Set("Content-Length", "100000")
			sse(start, open, text("half"))(w, r)
		}, run.Unavailable, "broke", run.Estimated},
		"limit in between":      {mid("rate_limit_error"), run.RateLimited, "in the middle", run.Estimated},
		"unknown in between":    {mid("strange_error"), run.Unavailable, "in the middle", run.Estimated},
		"broken off":            {sse(start, open, text("half")), run.Unavailable, "broke", run.Estimated},
		"broken off at the end": {sse(start, open, text("half"), shut, end("end_turn")), run.Unavailable, "broke", run.Reported},
		"nothing":               {sse(), run.Unavailable, "broke", run.Unknown},
		"events out of order":   {sse(start, text("x"), shut), run.Unavailable, "broke", run.Estimated},
		"data that is no JSON": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "event: message_start\ndata: {oops\n\n")
		}, run.Unavailable, "", run.Unknown},
		"the connection dropped": {func(w http.ResponseWriter, r *http.Request) {
			sse(start, open, text("half"))(w, r)
			panic(http.ErrAbortHandler)
		}, run.Unavailable, "broke", run.Estimated},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, c.answer)
			r, _ := s.call(t.Context(), &agent.Call{})
			want(t, r, c.o, c.say)
			if len(s.bodies) != 1 {
				t.Errorf("%d requests: only the run retries", len(s.bodies))
			}
			if r.Usage.Tokens != c.tokens || (c.tokens == "" || c.tokens == run.Unknown) != (r.Usage.Cost == 0) {
				t.Errorf("%+v", r.Usage)
			}
			if retry := name == "429" || name == "529" || name == "500"; retry && r.RetryAfter != 9*time.Second || c.tokens == run.Estimated && r.RetryAfter != 0 {
				t.Errorf("retry after %v", r.RetryAfter)
			}
		})
	}
}

func TestAPIDialects(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) { // every byte alone: characters and lines are cut
		rec := httptest.NewRecorder()
		whole("grün 🎵")(rec, r)
		for _, b := range rec.Body.Bytes() {
			w.Write([]byte{b})
			w.(http.Flusher).Flush()
		}
	}
	r, shown := serve(t, slow).call(t.Context(), &agent.Call{})
	if want(t, r, ""); r.Value != "grün 🎵" || shown != "grün 🎵" {
		t.Errorf("%+v, shown %q", r, shown)
	}
	long := strings.Repeat("x", 3<<20)
	r, _ = serve(t, whole(long)).call(t.Context(), &agent.Call{})
	if want(t, r, ""); r.Value != long {
		t.Error("a line of 3 MB")
	}
	// Thinking comes before the answer and is not part of it.
	r, shown = serve(t, sse(start, `{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"secret"}}`, shut,
		strings.Replace(open, `"index":0`, `"index":1`, 1), strings.Replace(text("The answer"), `"index":0`, `"index":1`, 1), strings.Replace(shut, `"index":0`, `"index":1`, 1),
		`{"type":"something_new"}`, end("end_turn"), stop)).call(t.Context(), &agent.Call{})
	if want(t, r, ""); r.Value != "The answer" || shown != "[thinking]The answer" {
		t.Errorf("%+v, shown %q", r, shown)
	}
	// No usage: unknown, and so is the cost.
	r, _ = serve(t, sse(`{"type":"message_start","message":{"id":"m","role":"assistant","content":[]}}`, open, text("a"), shut, `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`, stop)).call(t.Context(), &agent.Call{})
	if want(t, r, ""); r.Usage.Tokens != run.Unknown || r.Usage.CostSource != run.Unknown {
		t.Errorf("%+v", r.Usage)
	}
	// The price of a model that nobody knows is unknown, not 0.
	r, _ = serve(t, whole("a")).call(t.Context(), &agent.Call{Args: map[string]any{"model": "claude-next"}})
	if r.Usage.Tokens != run.Reported || r.Usage.CostSource != run.Unknown {
		t.Errorf("%+v", r.Usage)
	}
}

func TestAPITime(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) {
		sse(start, open, text("half"))(w, r)
		<-r.Context().Done()
	}
	s := serve(t, hang)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, _ := s.call(ctx, &agent.Call{})
	want(t, r, run.Timeout, "too long")
	if r.Usage.Tokens == "" {
		t.Errorf("a call that was cut off has cost something: %+v", r.Usage)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	r, _ = s.call(ctx, &agent.Call{})
	want(t, r, run.Stopped)

	s.config.Idle = 50 * time.Millisecond
	r, _ = s.call(t.Context(), &agent.Call{})
	want(t, r, run.Timeout, "said nothing")
	s = serve(t, func(w http.ResponseWriter, r *http.Request) { // pings keep it going
		for range 40 {
			sse(ping)(w, r)
			time.Sleep(20 * time.Millisecond)
		}
		whole("a")(w, r)
	})
	s.config.Idle = 600 * time.Millisecond
	r, _ = s.call(t.Context(), &agent.Call{})
	want(t, r, "")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	r, _ = asked(t.Context(), claude.New(claude.Config{Prefer: "api", APIKey: key, BaseURL: "http://" + l.Addr().String()}), &agent.Call{})
	want(t, r, run.Unavailable, "refused the connection")
	if r.Usage.Tokens != "" || r.Usage.CostSource != "" {
		t.Errorf("nothing was used: %+v", r.Usage)
	}
}
