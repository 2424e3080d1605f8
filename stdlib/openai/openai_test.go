package openai_test

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
	"syscall"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/openai"
)

const canary = "sk-c4nary-value"

// fake is a server that answers as a test says and keeps what it was asked.
type fake struct {
	config openai.Config
	mu     sync.Mutex
	bodies []map[string]any
	shown  strings.Builder
	notes  []string
}

func serve(t *testing.T, answer http.HandlerFunc) *fake {
	f := &fake{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body map[string]any
		json.Unmarshal(raw, &body)
		f.mu.Lock()
		f.bodies = append(f.bodies, body)
		f.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	f.config = openai.Config{BaseURL: s.URL + "/v1/", Model: "m1", APIKey: func() (string, error) { return canary, nil }, Price: &types.Price{Input: 1, Output: 2}}
	return f
}

func (f *fake) call(ctx context.Context, c *agent.Call) agent.Reply {
	return f.ask(ctx, openai.New(f.config), c)
}

func (f *fake) ask(ctx context.Context, a agent.Agent, c *agent.Call) agent.Reply {
	c.Emit = func(p agent.Progress) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.shown.WriteString(p.Delta)
		if p.Note != "" {
			f.notes = append(f.notes, p.Note)
		}
	}
	return a.Call(ctx, c)
}

func stream(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, p := range parts {
			io.WriteString(w, p)
			w.(http.Flusher).Flush()
		}
	}
}

func delta(text string) string {
	quoted, _ := json.Marshal(text)
	return `data: {"id":"c1","model":"m1-real","choices":[{"index":0,"delta":{"content":` + string(quoted) + `},"finish_reason":null}]}` + "\n\n"
}

const (
	stop  = `data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	count = `data: {"id":"c1","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}}` + "\n\n"
	done  = "data: [DONE]\n\n"
)

func want(t *testing.T, r agent.Reply, o run.Outcome, parts ...string) {
	t.Helper()
	if r.Outcome != o {
		t.Errorf("outcome %q (%s), want %q", r.Outcome, r.Message, o)
	}
	for _, p := range parts {
		if !strings.Contains(r.Message, p) {
			t.Errorf("message %q lacks %q", r.Message, p)
		}
	}
	if strings.Contains(fmt.Sprint(r), canary) {
		t.Errorf("leaked: %+v", r)
	}
}

func TestAnswer(t *testing.T) {
	var auth, extra, path string
	f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		auth, extra, path = r.Header.Get("Authorization"), r.Header.Get("X-Extra"), r.URL.Path
		stream(": keep alive\n\n", delta("Hello, "), delta("wörld"), stop, count, done)(w, r)
	})
	f.config.Headers = map[string]string{"X-Extra": "1"}
	r := f.call(t.Context(), &agent.Call{Text: "Hi", System: "Be kind.", Args: map[string]any{"temperature": 0.5, "max_tokens": 77}})
	want(t, r, "")
	if r.Value != "Hello, wörld" || f.shown.String() != "Hello, wörld" || r.AgentID != "c1" {
		t.Errorf("%+v, shown %q", r, f.shown.String())
	}
	if r.Usage != (run.Usage{Calls: 1, Input: 6, Output: 5, CacheRead: 4, Tokens: run.Reported, Cost: 20, CostSource: run.Estimated, Model: "m1-real"}) {
		t.Errorf("%+v", r.Usage)
	}
	if auth != "Bearer "+canary || extra != "1" || path != "/v1/chat/completions" {
		t.Error(auth, extra, path)
	}
	sent, _ := json.Marshal(f.bodies[0])
	if string(sent) != `{"max_tokens":77,"messages":[{"content":"Be kind.","role":"system"},{"content":"Hi","role":"user"}],"model":"m1","stream":true,"stream_options":{"include_usage":true},"temperature":0.5}` {
		t.Errorf("%s", sent)
	}
}

// Servers differ; what they mean is the same.
func TestDialects(t *testing.T) {
	slow := func(text string) http.HandlerFunc { // every byte alone: characters and lines are cut
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := range len(text) {
				io.WriteString(w, text[i:i+1])
				w.(http.Flusher).Flush()
			}
		}
	}
	whole := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
	}
	long := strings.Repeat("x", 3<<20)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		value  string
		tokens run.Source
	}{
		"no usage":                 {stream(delta("a"), stop, done), "a", run.Unknown},
		"no DONE":                  {stream(delta("a"), stop, count), "a", run.Reported},
		"DONE but no reason":       {stream(delta("a"), done), "a", run.Unknown},
		"no empty lines":           {stream(strings.ReplaceAll(delta("a")+delta("b")+stop+count+done, "\n\n", "\n")), "ab", run.Reported},
		"CRLF, no blank":           {stream(strings.NewReplacer("\n", "\r\n", "data: ", "data:").Replace(delta("a") + stop + done)), "a", run.Unknown},
		"bytes one by one":         {slow(delta("grün 🎵") + stop + done), "grün 🎵", run.Unknown},
		"comments and events":      {stream(": hi\n\n", "event: chunk\nid: 7\n", delta("a"), ":\n", stop, done), "a", run.Unknown},
		"garbage between":          {stream("data: {broken\n\n", delta("a"), "nonsense\n\n", stop, done), "a", run.Unknown},
		"a line of 3 MB":           {stream(delta(long), stop, done), long, run.Unknown},
		"whole, not streamed":      {whole(`{"id":"c1","choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`), "a", run.Reported},
		"whole, indented":          {whole("\n {\n \"choices\": [{\"message\": {\"content\": \"a\"}}]}"), "a", run.Unknown},
		"parts":                    {stream(`data: {"choices":[{"delta":{"content":[{"type":"thinking","text":"hm"},{"type":"text","text":"a"}]}}]}`+"\n\n", stop, done), "a", run.Unknown},
		"odd types":                {stream(`data: {"created":"now","choices":[{"index":"0","delta":{"content":"a"},"logprobs":7}],"usage":null}`+"\n\n", stop, done), "a", run.Unknown},
		"usage of nulls":           {stream(delta("a"), stop, `data: {"choices":[],"usage":{"prompt_tokens":null}}`+"\n\n", done), "a", run.Unknown},
		"think":                    {stream(delta("<thi"), delta("nk>\nsecret"), delta(" thought</th"), delta("ink>\n\nThe "), delta("answer"), stop, done), "The answer", run.Unknown},
		"think without a begin":    {stream(delta("thought</think>\nThe answer"), stop, done), "The answer", run.Unknown},
		"less-than is no thinking": {stream(delta("<"), delta("b> is bold"), stop, done), "<b> is bold", run.Unknown},
		"think in the middle":      {stream(delta("Use <think> and </think>."), stop, done), "Use <think> and </think>.", run.Unknown},
		"reasoning apart":          {stream(`data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}`+"\n\n", `data: {"choices":[{"delta":{"reasoning":"hm"}}]}`+"\n\n", delta("a"), stop, done), "a", run.Unknown},
		"two choices":              {stream(`data: {"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}`+"\n\n", stop, done), "a", run.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, c.answer)
			r := f.call(t.Context(), &agent.Call{Text: "Hi"})
			want(t, r, "")
			if r.Value != c.value {
				t.Errorf("%.100q, want %.100q", r.Value, c.value)
			}
			if r.Usage.Tokens != c.tokens || (c.tokens == run.Unknown) != (r.Usage.CostSource == run.Unknown) {
				t.Errorf("%+v", r.Usage)
			}
			if strings.Contains(f.shown.String(), "secret") {
				t.Errorf("the thinking was shown: %q", f.shown.String())
			}
		})
	}
}

func TestFailures(t *testing.T) {
	page := "<html><head><title>502 Bad Gateway</title><style>x{}</style></head><body><h1>502</h1></body></html>"
	plain := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "9")
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		outcome run.Outcome
		say     string
	}{
		"400":                 {plain(400, `{"error":{"message":"bad temperature","type":"invalid_request_error"}}`), run.Failure, "bad temperature"},
		"401":                 {plain(401, `{"error":{"message":"Incorrect API key provided: `+canary+`"}}`), run.Denied, "OPENAI_API_KEY"},
		"402":                 {plain(402, `{"message":"no credits"}`), run.Denied, "no credits"},
		"404":                 {plain(404, `{"error":"model m1 not found"}`), run.Failure, "m1 not found"},
		"422":                 {plain(422, `{"detail":[{"msg":"field required"}]}`), run.Failure, "field required"},
		"429":                 {plain(429, `{"error":{"message":"slow down"}}`), run.RateLimited, "slow down"},
		"429 empty account":   {plain(429, `{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}`), run.Denied, "pay"},
		"500 empty":           {plain(500, ""), run.Unavailable, "500"},
		"502 in HTML":         {plain(502, page), run.Unavailable, "502 Bad Gateway"},
		"301":                 {plain(301, ""), run.Failure, "base_url"},
		"200 and HTML":        {plain(200, page), run.Unavailable, "chat protocol"},
		"200 and an error":    {plain(200, `{"error":{"message":"boom","code":500}}`), run.Unavailable, "boom"},
		"200 and a text":      {plain(200, `{"error":"boom"}`), run.Unavailable, "boom"},
		"200 and nothing":     {plain(200, ""), run.Unavailable, "broke"},
		"200 and other JSON":  {plain(200, `{"hello":"world"}`), run.Unavailable, "chat protocol"},
		"error in the middle": {stream(delta("a"), `data: {"error":{"message":"overloaded","code":"overloaded_error"}}`+"\n\n"), run.Unavailable, "overloaded"},
		"ended by an error":   {stream(delta("a"), `data: {"id":"c1","choices":[{"delta":{"content":""},"finish_reason":"error"}]}`+"\n\ndata: [DONE]\n\n"), run.Unavailable, "broke the answer off (error)"},
		"aborted":             {stream(delta("a"), `data: {"id":"c1","choices":[{"delta":{},"finish_reason":"abort"}]}`+"\n\ndata: [DONE]\n\n"), run.Unavailable, "(abort)"},
		"error of the choice": {plain(200, `{"id":"c1","choices":[{"message":{"content":"a"},"finish_reason":"error","error":{"code":502,"message":"upstream fell over"}}]}`), run.Unavailable, "upstream fell over"},
		"limit in the middle": {stream(delta("a"), `data: {"error":{"message":"x","code":429}}`+"\n\n"), run.RateLimited, "x"},
		"key in the middle":   {stream(`data: {"error":{"message":"x","type":"authentication_error"}}` + "\n\n"), run.Denied, "x"},
		"broken off":          {stream(delta("a")), run.Unavailable, "broke"},
		"cut off":             {stream(delta("a"), strings.Replace(stop, "stop", "length", 1), done), run.Failure, "max_tokens"},
		"filtered":            {stream(delta("a"), strings.Replace(stop, "stop", "content_filter", 1), done), run.Refused, "filter"},
		"refused":             {stream(`data: {"choices":[{"delta":{"refusal":"I can't."}}]}`+"\n\n", stop, done), run.Refused, "I can't."},
		"a tool":              {stream(`data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}`+"\n\n", strings.Replace(stop, "stop", "tool_calls", 1), done), run.Failure, "tool"},
		"empty":               {stream(delta(" \n"), stop, done), run.Unavailable, "empty"},
		"only thoughts":       {stream(delta("<think>hm</think>"), stop, done), run.Failure, "thought"},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, c.answer).call(t.Context(), &agent.Call{Text: "Hi"})
			want(t, r, c.outcome, c.say)
			if strings.Contains(r.Message, "<") || strings.Contains(r.Message, "x{}") {
				t.Errorf("HTML is shown: %s", r.Message)
			}
			if (name[0] == '4' || name[0] == '5') != (r.RetryAfter == 9*time.Second) {
				t.Errorf("retry after %v", r.RetryAfter)
			}
			if r.Usage.Calls != 1 {
				t.Errorf("%+v", r.Usage)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := openai.Config{BaseURL: "http://" + l.Addr().String() + "/v1", Model: "m"}
	emit := func(agent.Progress) {}
	want(t, openai.Ollama(c).Call(t.Context(), &agent.Call{Text: "Hi", Emit: emit}), run.Unavailable, "refused", "is the server running")
	if err := openai.Ollama(c).(agent.Checker).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
	// A transport that refuses stands in for a machine without Ollama.
	c = openai.Config{Model: "m", Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, l.Addr().String())
	}}}
	want(t, openai.Ollama(c).Call(t.Context(), &agent.Call{Text: "Hi", Emit: emit}), run.Unavailable, "is Ollama running?", "ollama serve")
}

// A connection that breaks before the answer leaves open what was used; one that was never made used nothing.
func TestUsageOfABrokenConnection(t *testing.T) {
	emit := func(agent.Progress) {}
	f := serve(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	r := f.call(t.Context(), &agent.Call{Text: "Hi"})
	want(t, r, run.Unavailable, "broke the connection off")
	if r.Usage.Tokens != run.Unknown || r.Usage.CostSource != run.Unknown {
		t.Errorf("after the question was sent: %+v", r.Usage)
	}
	refuses := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}}
	r = openai.New(openai.Config{BaseURL: "http://127.0.0.1:1/v1", Model: "m", Transport: refuses}).Call(t.Context(), &agent.Call{Text: "Hi", Emit: emit})
	want(t, r, run.Unavailable, "refused")
	if r.Usage.Tokens != "" || r.Usage.CostSource != "" {
		t.Errorf("before it was sent: %+v", r.Usage)
	}
}

func TestTime(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) { stream(delta("a"))(w, r); <-r.Context().Done() }
	f := serve(t, hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := f.call(ctx, &agent.Call{Text: "Hi"})
	want(t, r, run.Timeout)
	if r.Usage.Tokens != run.Unknown || r.Usage.CostSource != run.Unknown {
		t.Errorf("a call that was cut off has cost something: %+v", r.Usage)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	want(t, f.call(ctx, &agent.Call{Text: "Hi"}), run.Stopped)

	f.config.Idle = 50 * time.Millisecond
	want(t, f.call(t.Context(), &agent.Call{Text: "Hi"}), run.Timeout, "said nothing")
	f = serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f.config.Idle = 50 * time.Millisecond
	want(t, f.call(t.Context(), &agent.Call{Text: "Hi"}), run.Timeout, "said nothing")
	f = serve(t, func(w http.ResponseWriter, r *http.Request) { // signs of life keep it going
		for range 40 {
			stream(": loading\n\n")(w, r)
			time.Sleep(20 * time.Millisecond)
		}
		stream(delta("a"), stop, done)(w, r)
	})
	f.config.Idle = 600 * time.Millisecond
	want(t, f.call(t.Context(), &agent.Call{Text: "Hi"}), "")
}

var review = types.Type{Kind: types.Record, Fields: []types.Field{{Name: "score", Type: types.Type{Kind: types.Int}}, {Name: "a", Type: types.Type{Kind: types.String, Optional: true}}}}

func TestStructured(t *testing.T) {
	f := serve(t, stream(delta(`{"score":`), delta(`8,"a":null}`), stop, done))
	r := f.call(t.Context(), &agent.Call{Text: "Hi", As: &review})
	want(t, r, "")
	if !reflect.DeepEqual(r.Value, map[string]any{"score": 8, "a": nil}) {
		t.Errorf("%#v", r.Value)
	}
	format, _ := json.Marshal(f.bodies[0]["response_format"])
	if string(format) != `{"json_schema":{"name":"answer","schema":{"additionalProperties":false,"properties":{"a":{"type":["string","null"]},"score":{"type":"integer"}},"required":["score","a"],"type":"object"},"strict":true},"type":"json_schema"}` {
		t.Errorf("%s", format)
	}
	// A list travels in a record, and comes out of it.
	f = serve(t, stream(delta(`{"value":[1,2]}`), stop, done))
	if r := f.call(t.Context(), &agent.Call{Text: "Hi", As: &types.Type{Kind: types.List, Elem: &types.Type{Kind: types.Int}}}); !reflect.DeepEqual(r.Value, []any{1, 2}) {
		t.Errorf("%#v", r.Value)
	}
	// What contains any is asked for in words.
	f = serve(t, stream(delta("```json\n{\"x\":1}\n```"), stop, done))
	if r := f.call(t.Context(), &agent.Call{Text: "Hi", As: &types.Type{Kind: types.Any}}); !reflect.DeepEqual(r.Value, map[string]any{"x": 1}) || f.bodies[0]["response_format"] != nil {
		t.Errorf("%#v", r.Value)
	}
	// An answer that is no JSON goes to the host as it is.
	f = serve(t, stream(delta("I'd say 8."), stop, done))
	if r := f.call(t.Context(), &agent.Call{Text: "Hi", As: &review}); r.Outcome != "" || r.Value != "I'd say 8." {
		t.Errorf("%+v", r)
	}
}

// A repair shows the model its answer and what is wrong with it.
func TestRepair(t *testing.T) {
	f := serve(t, stream(delta(`{"score":8}`), stop, done))
	want(t, f.call(t.Context(), &agent.Call{Text: "Hi", As: &review, Repair: &run.Repair{Round: 1, Answer: "eight", Problems: []string{"score: must be an int"}}}), "")
	messages := f.bodies[0]["messages"].([]any)
	if len(messages) != 3 || messages[1].(map[string]any)["role"] != "assistant" || messages[1].(map[string]any)["content"] != "eight" || !strings.Contains(fmt.Sprint(messages[2]), "score: must be an int") {
		t.Errorf("%v", messages)
	}
}

// What a server has refused is not sent to it again.
func TestRefusedParameters(t *testing.T) {
	f := serve(t, nil)
	refuse := func(w http.ResponseWriter, what string) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"error":{"message":"unknown parameter: %s"}}`, what)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		var body map[string]any
		json.Unmarshal(raw, &body)
		f.bodies = append(f.bodies, body)
		switch {
		case body["response_format"] != nil:
			refuse(w, "response_format")
		case body["stream_options"] != nil:
			refuse(w, "stream_options")
		case body["max_tokens"] != nil:
			refuse(w, "'max_tokens' is not supported; use 'max_completion_tokens'")
		default:
			stream(delta(`{"score":3}`), stop, done)(w, r)
		}
	}))
	t.Cleanup(s.Close)
	f.config.BaseURL = s.URL
	a := openai.New(f.config)
	for round, want := range []int{5, 6} {
		r := f.ask(t.Context(), a, &agent.Call{Text: "Hi", As: &review})
		if !reflect.DeepEqual(r.Value, map[string]any{"score": 3}) || len(f.bodies) != want {
			t.Errorf("round %d: %+v after %d requests", round, r, len(f.bodies))
		}
	}
	if prompt := fmt.Sprint(f.bodies[5]["messages"]); !strings.Contains(prompt, "JSON Schema") || f.bodies[5]["max_completion_tokens"] != 4096.0 {
		t.Error(prompt)
	}
}

func TestPrices(t *testing.T) {
	usage := func(r agent.Reply) run.Usage { return r.Usage }
	f := serve(t, stream(delta("a"), stop, count, done))
	if u := usage(f.call(t.Context(), &agent.Call{Text: "Hi", Args: map[string]any{"model": "other"}})); u.CostSource != run.Unknown || u.Tokens != run.Reported {
		t.Errorf("the price of another model is unknown: %+v", u)
	}
	if u := usage(f.ask(t.Context(), openai.Ollama(openai.Config{BaseURL: f.config.BaseURL}), &agent.Call{Text: "Hi", Args: map[string]any{"model": "any"}})); u.CostSource != "" || u.Cost != 0 {
		t.Errorf("what is free is declared so: %+v", u)
	}
	f = serve(t, stream(delta("a"), stop, `data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"cost":0.0123}}`+"\n\n", done))
	if u := usage(f.call(t.Context(), &agent.Call{Text: "Hi"})); u.CostSource != run.Reported || u.Cost != 12300 {
		t.Errorf("%+v", u)
	}
}

func TestConfiguration(t *testing.T) {
	emit := func(agent.Progress) {}
	want(t, openai.New(openai.Config{Model: "m"}).Call(t.Context(), &agent.Call{Text: "Hi", Emit: emit}), run.Denied, "OPENAI_API_KEY")
	want(t, openai.New(openai.Config{Model: "m", APIKey: func() (string, error) { return "", fmt.Errorf("GROQ_KEY is not set") }}).Call(t.Context(), &agent.Call{Text: "Hi", Emit: emit}), run.Denied, "GROQ_KEY is not set")
	models := `{"data":[{"id":"llama3.2:latest"},{"id":"qwen3"}]}`
	f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" {
			io.WriteString(w, models)
			return
		}
		w.WriteHeader(500)
	})
	f.config.Model = ""
	want(t, f.call(t.Context(), &agent.Call{Text: "Hi"}), run.Failure, "no model is named", "llama3.2:latest, qwen3")
	want(t, f.call(t.Context(), &agent.Call{}), run.Failure)
	for name, ok := range map[string]bool{"": true, "llama3.2": true, "qwen3": true, "gone": false} {
		f.config.Model = name
		if err := openai.New(f.config).(agent.Checker).Check(t.Context()); (err == nil) != ok || !ok && !strings.Contains(err.Error(), "qwen3") {
			t.Errorf("%q: %v", name, err)
		}
	}
	f = serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401); io.WriteString(w, canary) })
	if err := openai.New(f.config).(agent.Checker).Check(t.Context()); err == nil || strings.Contains(err.Error(), canary) {
		t.Error(err)
	}
	if s := openai.New(openai.Config{BaseURL: openai.OllamaURL + "/"}).Signatures()[0]; s.Price == nil || *s.Price != (types.Price{}) {
		t.Errorf("the models of this machine are free: %+v", s.Price)
	}
	if s := openai.New(openai.Config{}).Signatures()[0]; s.Price != nil {
		t.Errorf("a price that nobody knows: %+v", s.Price)
	}
	s := openai.Ollama(openai.Config{}).Signatures()[0]
	if s.Name != "ollama" || s.Effect != types.Think || !s.Structured || !s.World || s.Price == nil || s.MaxOutput == 0 {
		t.Errorf("%+v", s)
	}
}
