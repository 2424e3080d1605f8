//go:build unix

package stdlib_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/claude"
	"github.com/slopstudios/slop/stdlib/openai"
	"github.com/slopstudios/slop/stdlib/remote"
)

// Every model agent says the same things in the same words: spec/agents.md, "Models alike". Each is driven through the same causes by a world that speaks its
// language, and must come to the same outcome, the same events and the same kind of usage.

// cause is something that happens to a call, whoever is asked.
type cause struct {
	name    string
	outcome run.Outcome
	says    string     // part of the message
	shown   string     // what a watcher sees of the text
	tokens  run.Source // where its usage comes from
	waits   time.Duration
}

// begun: there may be a bill, and nobody knows how much of it.
const begun = run.Source("begun")

var causes = []cause{
	{name: "answered", shown: "Hello", tokens: run.Reported},
	{name: "no usage", shown: "Hello", tokens: run.Unknown},
	{name: "truncated", outcome: run.Failure, says: "max_tokens", shown: "Hello", tokens: run.Reported},
	{name: "refused", outcome: run.Refused, says: "refused", tokens: run.Reported},
	{name: "rate limited", outcome: run.RateLimited, says: "slow down", waits: 30 * time.Second},
	{name: "wrong key", outcome: run.Denied, says: "key"},
	{name: "wrong model", outcome: run.Failure, says: "no such model"},
	{name: "overloaded", outcome: run.Unavailable, says: "overloaded"},
	{name: "broken off", outcome: run.Unavailable, shown: "Hello", tokens: begun},
}

// speaker is an agent and how the world answers it for each cause.
type speaker struct {
	name string
	open func(t *testing.T, what string) agent.Agent
	// except says of a cause what this one cannot know, and so says otherwise.
	except map[string]func(*cause)
}

func speakers() []speaker {
	return []speaker{
		{name: "the claude program", open: claudeProgram, except: map[string]func(*cause){
			"rate limited": func(c *cause) { c.tokens = run.Unknown }, // the program made the request, and says nothing of what it cost
			"wrong key":    func(c *cause) { c.tokens = run.Unknown },
			"wrong model":  func(c *cause) { c.tokens = run.Unknown },
			"overloaded":   func(c *cause) { c.tokens = run.Unknown },
		}},
		{name: "the Claude API", open: claudeAPI},
		{name: "the OpenAI protocol", open: openAI},
		{name: "a program of one's own", open: ownProgram, except: map[string]func(*cause){
			"overloaded": func(c *cause) { c.tokens = run.Unknown }, // it may have been on its way
		}},
	}
}

// witness keeps what an agent shows of a call.
type witness struct {
	agent.Agent
	mu    sync.Mutex
	shown string
}

func (w *witness) Call(ctx context.Context, c *agent.Call) agent.Reply {
	c.Emit = func(p agent.Progress) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.shown += p.Delta
	}
	return w.Agent.Call(ctx, c)
}

// recorded is what a run records of the only call it makes.
func recorded(t *testing.T, a agent.Agent) (r agent.Reply) {
	t.Helper()
	registry := agent.NewRegistry()
	if err := registry.Register("m", a, nil); err != nil {
		t.Fatal(err)
	}
	p, diags := lang.Compile(source.NewFile("main.slop", `output m "Hi"`), registry.Scope())
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	e := engine.New(engine.Config{Registry: registry})
	defer e.Close(t.Context())
	id, err := e.Start(t.Context(), p, nil, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for event, err := range e.Watch(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Fact == nil {
			continue
		}
		switch b := event.Fact.Body.(type) {
		case *run.CallDone:
			r.Value, r.Usage = b.Value, b.Usage
		case *run.CallFailed:
			r.Outcome, r.Message, r.RetryAfter, r.Usage = b.Outcome, b.Message, b.RetryAfter, b.Usage
		}
	}
	return r
}

func TestModelsAlike(t *testing.T) {
	for _, s := range speakers() {
		for _, c := range causes {
			if change := s.except[c.name]; change != nil {
				change(&c)
			}
			t.Run(s.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				w := &witness{Agent: s.open(t, c.name)}
				r := recorded(t, w)
				if r.Outcome != c.outcome || !strings.Contains(strings.ToLower(r.Message), c.says) {
					t.Errorf("%q: %s", r.Outcome, r.Message)
				}
				if w.shown != c.shown {
					t.Errorf("shown is %q, not %q", w.shown, c.shown)
				}
				if c.outcome == "" && r.Value != "Hello" {
					t.Errorf("%v", r.Value)
				}
				if r.RetryAfter < c.waits-5*time.Second || r.RetryAfter > c.waits {
					t.Errorf("to be asked again in %v, not %v", r.RetryAfter, c.waits)
				}
				switch u := r.Usage; c.tokens {
				case begun:
					if u.Tokens == "" || u.CostSource == "" {
						t.Errorf("what was begun is paid for: %+v", u)
					}
				case run.Reported:
					u.Cost, u.CostSource = 0, ""
					if u != (run.Usage{Calls: 1, Input: 100, Output: 10, CacheRead: 40, Tokens: run.Reported, Model: "m-1"}) || r.Usage.CostSource == "" {
						t.Errorf("%+v", r.Usage)
					}
				default: // unknown, or nothing was used
					u.Model = ""
					if u != (run.Usage{Calls: 1, Tokens: c.tokens, CostSource: c.tokens}) {
						t.Errorf("%+v", r.Usage)
					}
				}
			})
		}
	}
}

// claudeProgram is the claude program of a machine where something happens.
func claudeProgram(t *testing.T, what string) agent.Agent {
	const (
		hello  = `{"type":"system","subtype":"init","session_id":"s","tools":[],"mcp_servers":[],"model":"m-1"}`
		piece  = `{"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"Hello"}}}`
		billed = `,"total_cost_usd":0.001,"modelUsage":{"m-1":{"inputTokens":100,"outputTokens":10,"cacheReadInputTokens":40}}`
	)
	result := func(fields string) string { return `{"type":"result","subtype":"success",` + fields + `}` }
	failed := func(status int, text string) []string {
		return []string{hello, result(fmt.Sprintf(`"is_error":true,"result":%q,"api_error_status":%d`, text, status))}
	}
	limited := fmt.Sprintf(`{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":%d}}`, time.Now().Add(30*time.Second).Unix())
	lines := map[string][]string{
		"answered":     {hello, piece, result(`"result":"Hello"` + billed)},
		"no usage":     {hello, piece, result(`"result":"Hello"`)},
		"truncated":    {hello, piece, result(`"result":"Hello","stop_reason":"max_tokens"` + billed)},
		"refused":      {hello, result(`"result":"No.","stop_reason":"refusal"` + billed)},
		"rate limited": append([]string{limited}, failed(429, "slow down")...),
		"wrong key":    failed(401, "invalid x-api-key"),
		"wrong model":  failed(404, "no such model"),
		"overloaded":   failed(529, "Overloaded"),
		"broken off":   {hello, piece},
	}[what]
	dir := t.TempDir()
	put(t, dir, "said", strings.Join(lines, "\n")+"\n")
	return claude.New(claude.Config{Prefer: "cli", Program: script(t, dir, "cat >/dev/null\ncat '"+dir+"/said'\n")})
}

// put writes a file of a test.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// api is a server that refuses with a status, or streams events.
func api(t *testing.T, status int, body string, events ...string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status != http.StatusOK {
			w.Header().Set("Retry-After", "30")
			if status != http.StatusTooManyRequests {
				w.Header().Del("Retry-After")
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, e := range events {
			var kind struct{ Type string }
			if json.Unmarshal([]byte(e), &kind); kind.Type != "" {
				fmt.Fprintf(w, "event: %s\n", kind.Type)
			}
			fmt.Fprintf(w, "data: %s\n\n", e)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// statuses are those that a service refuses with, and what it says.
var statuses = map[string]struct {
	status     int
	kind, text string
}{
	"rate limited": {429, "rate_limit_error", "slow down"}, "wrong key": {401, "authentication_error", "invalid x-api-key"},
	"wrong model": {404, "not_found_error", "no such model"}, "overloaded": {529, "overloaded_error", "Overloaded"},
}

func claudeAPI(t *testing.T, what string) agent.Agent {
	start := `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m-1","content":[],"usage":{"input_tokens":100,"cache_read_input_tokens":40,"cache_creation_input_tokens":0,"output_tokens":1}}}`
	silent := `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m-1","content":[]}}`
	body := []string{`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`, `{"type":"content_block_stop","index":0}`}
	end := func(why string) []string {
		return []string{`{"type":"message_delta","delta":{"stop_reason":"` + why + `"},"usage":{"output_tokens":10}}`, `{"type":"message_stop"}`}
	}
	s := statuses[what]
	events := map[string][]string{
		"answered":   append(append([]string{start}, body...), end("end_turn")...),
		"no usage":   append(append([]string{silent}, body...), `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`, `{"type":"message_stop"}`),
		"truncated":  append(append([]string{start}, body...), end("max_tokens")...),
		"refused":    append([]string{start}, end("refusal")...),
		"broken off": append([]string{start}, body...),
	}[what]
	if s.status == 0 {
		s.status = http.StatusOK
	}
	url := api(t, s.status, fmt.Sprintf(`{"type":"error","error":{"type":%q,"message":%q}}`, s.kind, s.text), events...)
	return claude.New(claude.Config{Prefer: "api", BaseURL: url, APIKey: func() (string, error) { return "a-key-of-a-test", nil }})
}

func openAI(t *testing.T, what string) agent.Agent {
	piece := `{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"content":"Hello"}}]}`
	end := func(why string) string {
		return `{"id":"c","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"` + why + `"}]}`
	}
	usage := `{"id":"c","model":"m-1","choices":[],"usage":{"prompt_tokens":140,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":40}}}`
	s := statuses[what]
	events := map[string][]string{
		"answered":   {piece, end("stop"), usage, "[DONE]"},
		"no usage":   {piece, end("stop"), "[DONE]"},
		"truncated":  {piece, end("length"), usage, "[DONE]"},
		"refused":    {`{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"refusal":"No."}}]}`, end("stop"), usage, "[DONE]"},
		"broken off": {piece},
	}[what]
	if s.status == 0 {
		s.status = http.StatusOK
	}
	url := api(t, s.status, fmt.Sprintf(`{"error":{"type":%q,"message":%q}}`, s.kind, s.text), events...)
	return openai.New(openai.Config{BaseURL: url, Model: "m", KeyName: "OUR_KEY", APIKey: func() (string, error) { return "a-key-of-a-test", nil }})
}

func ownProgram(t *testing.T, what string) agent.Agent {
	piece := `{"type":"progress","id":"ID","delta":"Hello"}`
	usage := `,"usage":{"input":100,"output":10,"cacheRead":40,"model":"m-1"}}`
	failed := func(outcome, message string) []string {
		return []string{`{"type":"error","id":"ID","outcome":"` + outcome + `","message":"` + message + `"}`}
	}
	lines := map[string][]string{
		"answered":     {piece, `{"type":"result","id":"ID","value":"Hello"` + usage},
		"no usage":     {piece, `{"type":"result","id":"ID","value":"Hello"}`},
		"truncated":    {piece, `{"type":"error","id":"ID","outcome":"error","message":"cut off: raise max_tokens"` + usage},
		"refused":      {`{"type":"error","id":"ID","outcome":"refused","message":"it refused"` + usage},
		"rate limited": {`{"type":"error","id":"ID","outcome":"rate_limited","message":"slow down","retryAfter":30}`},
		"wrong key":    failed("denied", "OUR_KEY is not a valid key"),
		"wrong model":  failed("error", "no such model"),
		"overloaded":   failed("unavailable", "overloaded"),
		"broken off":   {piece},
	}[what]
	dir := t.TempDir()
	put(t, dir, "hello", `{"type":"hello","protocol":1,"name":"m","version":"1","capabilities":[{"name":"","doc":"Asks.","effect":"think","input":{"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]},"output":{"type":"string"},"text":"prompt"}]}`+"\n")
	put(t, dir, "said", strings.Join(lines, "\n")+"\n")
	after := "cat >/dev/null\n"
	if what == "broken off" {
		after = "exit 3\n"
	}
	p := remote.NewProgram(remote.Program{Name: "own", Command: []string{script(t, dir, `read -r hello
cat '`+dir+`/hello'
read -r call
id=$(printf %s "$call" | sed 's/.*"id":"\([^"]*\)".*/\1/')
sed "s/ID/$id/" '`+dir+`/said'
`+after)}})
	t.Cleanup(func() { p.Close() })
	about, err := p.Describe(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	p.Known(about)
	return p
}

// script is a program of a test.
func script(t *testing.T, dir, text string) string {
	t.Helper()
	put(t, dir, "program", "#!/bin/sh\n"+text)
	path := filepath.Join(dir, "program")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}
