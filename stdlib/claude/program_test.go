//go:build unix

package claude_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/claude"
)

const canary = "sk-ant-c4nary-value"

const (
	hello   = `out {"type":"system","subtype":"init","session_id":"s1","cwd":"/x","tools":[],"model":"claude-sonnet-5-5","mcp_servers":[],"claude_code_version":"2.1.0"}`
	partial = `out {"type":"stream_event","parent_tool_use_id":null,"event":{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}}`
	message = `out {"type":"assistant","parent_tool_use_id":null,"message":{"id":"m1","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"Hello from the message"}]}}`
	billed  = `"total_cost_usd":0.0123,"usage":{"input_tokens":1,"output_tokens":1},"modelUsage":{"claude-sonnet-5-5":{"inputTokens":10,"outputTokens":20,"cacheReadInputTokens":30,"cacheCreationInputTokens":40,"costUSD":0.01},"claude-haiku-5-5":{"inputTokens":1,"outputTokens":2}}`
	good    = `out {"type":"result","subtype":"success","is_error":false,"result":"Hello","stop_reason":"end_turn","permission_denials":[],` + billed + `}`
)

// asked puts a call to an agent and gives what was shown meanwhile.
func asked(ctx context.Context, a agent.Agent, c *agent.Call) (agent.Reply, string) {
	var mu sync.Mutex
	var shown strings.Builder
	if c.Text == nil {
		c.Text = "Hi"
	}
	c.Emit = func(p agent.Progress) {
		mu.Lock()
		defer mu.Unlock()
		shown.WriteString(p.Delta)
		if p.Tool != nil {
			p.Note = p.Tool.Note()
		}
		if p.Note != "" {
			shown.WriteString("[" + p.Note + "]")
		}
	}
	r := a.Call(ctx, c)
	mu.Lock()
	defer mu.Unlock()
	return r, shown.String()
}

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

func key() (string, error) { return canary, nil }

// The program is given nothing that could make it more than a model: no tools, no settings, no MCP, an empty folder, no variables of ours.
func TestProgramOnlyThinks(t *testing.T) {
	for name, value := range map[string]string{
		"CLAUDECODE": "1", "CLAUDE_CODE_ENTRYPOINT": "cli", "ANTHROPIC_MODEL": "other", "ANTHROPIC_BASE_URL": "http://evil", "OTEL_SERVICE_NAME": "x", "TRACEPARENT": "00-x",
		"ANTHROPIC_API_KEY": "ambient", "AWS_SECRET_ACCESS_KEY": "aws", "CLAUDE_CONFIG_DIR": "/login",
	} {
		t.Setenv(name, value)
	}
	path, dir := program(t, hello, partial, message, good)
	a := claude.New(claude.Config{Program: path, APIKey: key, Model: "opus"})
	r, shown := asked(t.Context(), a, &agent.Call{Text: "-secret prompt", System: "You are -kind.", Folder: t.TempDir(), Args: map[string]any{"effort": "low", "max_tokens": 99}})
	want(t, r, "")
	if r.Value != "Hello" || shown != "Hel" || r.AgentID != "s1" {
		t.Errorf("%+v, shown %q", r, shown)
	}
	if want := (run.Usage{Calls: 1, Input: 11, Output: 22, CacheRead: 30, CacheWrite: 40, Tokens: run.Reported, Cost: 12300, CostSource: run.Estimated, Model: "claude-sonnet-5-5"}); r.Usage != want {
		t.Errorf("%+v", r.Usage)
	}
	g := given(t, dir)
	for _, flag := range []string{
		"-p", "--output-format=stream-json", "--verbose", "--include-partial-messages", "--setting-sources=", "--strict-mcp-config",
		"--permission-mode=dontAsk", "--no-session-persistence", "--tools=", "--model=opus", "--effort=low",
		`--settings={"disableAllHooks":true,"permissions":{"deny":["Read(//**)"]}}`,
	} {
		if !slices.Contains(g.Args, flag) {
			t.Errorf("%s is missing in %q", flag, g.Args)
		}
	}
	if joined := strings.Join(g.Args, " "); strings.Contains(joined, "secret prompt") || strings.Contains(joined, "kind") || strings.Contains(joined, canary) || strings.Contains(joined, "allowedTools") {
		t.Errorf("the command line says too much: %s", joined)
	}
	if g.Stdin != "-secret prompt" || g.Persona != "You are -kind." || len(g.Files) != 0 || filepath.Base(g.Dir) != "work" {
		t.Errorf("%+v", g)
	}
	env := strings.Join(g.Env, "\n")
	for _, leaked := range []string{"CLAUDECODE=", "ENTRYPOINT", "ANTHROPIC_MODEL", "evil", "OTEL", "TRACEPARENT", "ambient", "aws"} {
		if strings.Contains(env, leaked) {
			t.Errorf("%s leaked", leaked)
		}
	}
	for _, needed := range []string{"ANTHROPIC_API_KEY=" + canary, "CLAUDE_CONFIG_DIR=/login", "CLAUDE_CODE_MAX_RETRIES=0", "CLAUDE_CODE_MAX_OUTPUT_TOKENS=99", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1"} {
		if !strings.Contains(env, needed) {
			t.Errorf("%s is missing", needed)
		}
	}
	if _, err := os.Stat(filepath.Dir(g.Dir)); err == nil {
		t.Error("its folder was left behind")
	}
	path, dir = program(t, hello, good)
	asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{Text: "/clear and @/etc/passwd"})
	if g := given(t, dir); g.Stdin != "The request:\n/clear and @/etc/passwd" {
		t.Errorf("a prompt could be taken for a command: %q", g.Stdin)
	}
	if s := a.Signatures()[0]; s.Effect != types.Think || !s.Structured || s.Price == nil || s.Price.Output != 20 {
		t.Errorf("%+v", s)
	}
}

// A program that offers tools although it was told not to is stopped: it could do more than think.
func TestProgramWithToolsIsNotTrusted(t *testing.T) {
	path, _ := program(t, strings.Replace(hello, `"tools":[]`, `"tools":["Bash","StructuredOutput"]`, 1), "hang")
	r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Grace: 200 * time.Millisecond}), &agent.Call{})
	want(t, r, run.Failure, "Bash", `prefer = "api"`)
	if strings.Contains(r.Message, "StructuredOutput") {
		t.Error(r.Message)
	}
	path, _ = program(t, strings.Replace(hello, `"tools":[]`, `"tools":["StructuredOutput"]`, 1), good)
	r, _ = asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
	want(t, r, "")
}

func TestProgramThatActs(t *testing.T) {
	path, dir := program(t, strings.Replace(hello, `"tools":[]`, `"tools":["Bash","Read"]`, 1), `out {"type":"assistant","message":{"id":"m1","content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"ls"}}]}}`,
		`out {"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1","content":[{"type":"text","text":"a.txt"}]}]}}`,
		`out {"type":"assistant","message":{"id":"m2","content":[{"type":"tool_use","id":"t2","name":"Read","input":{}}]}}`,
		`out {"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t2","content":"no","is_error":true},{"type":"tool_result","tool_use_id":"t9","content":"nobody asked"}]}}`, good)
	folder := t.TempDir()
	a := claude.New(claude.Config{Program: path, Tools: []string{"Read", "Bash(git:*)"}, Folder: folder})
	r, shown := asked(t.Context(), a, &agent.Call{System: "Be careful."})
	want(t, r, "")
	g := given(t, dir)
	real, _ := filepath.EvalSymlinks(folder)
	if !slices.Contains(g.Args, "--tools=Read,Bash") || !slices.Contains(g.Args, "--allowedTools=Read,Bash(git:*)") || g.Dir != real || g.Persona != "Be careful." || shown != `[uses Bash {"command":"ls"}][Bash answered][uses Read {}][Read failed: no]` {
		t.Errorf("%+v, shown %q", g, shown)
	}
	if joined := strings.Join(append(g.Args, g.Env...), " "); strings.Contains(joined, " --system-prompt-file") || strings.Contains(joined, "MAX_OUTPUT_TOKENS") {
		t.Error(joined)
	}
	if s := a.Signatures()[0]; s.Effect != types.Do || s.Idempotent {
		t.Errorf("%+v", s)
	}
	if s := claude.New(claude.Config{Folder: "/x"}).Signatures()[0]; s.Effect != types.Do {
		t.Error("a working folder makes the agent a do")
	}
}

func TestProgramOutcomes(t *testing.T) {
	result := func(fields string) string { return `out {"type":"result",` + fields + `,"session_id":"s1"}` }
	failed := func(text, more string) string {
		return result(fmt.Sprintf(`"subtype":"success","is_error":true,"result":%q%s`, text, more))
	}
	inAnHour := time.Now().Add(time.Hour).Unix()
	for name, c := range map[string]struct {
		script  []string
		outcome run.Outcome
		say     string // of the message, or the value
	}{
		"exit 1 after an answer":          {[]string{hello, good, "exit 1"}, "", "Hello"},
		"several results: the last":       {[]string{hello, result(`"subtype":"success","is_error":false,"result":"first"`), good}, "", "Hello"},
		"unknown lines and fields":        {[]string{hello, `out {"type":"telepathy","x":1}`, "out garbage", "out", `out {"no":"type"}`, `out [1]`, `out {"type":"system","subtype":7}`, strings.Replace(good, `"result":`, `"new":{"a":1},"result":`, 1)}, "", "Hello"},
		"a result without text":           {[]string{hello, message, result(`"subtype":"success","is_error":false`)}, "", "Hello from the message"},
		"a message in parts":              {[]string{hello, message, strings.Replace(message, "Hello from the message", ", and on", 1), result(`"subtype":"success","is_error":false`)}, "", "Hello from the message, and on"},
		"a subagent talks between":        {[]string{hello, message, `out {"type":"assistant","parent_tool_use_id":"t1","message":{"id":"m2","content":[{"type":"text","text":"sub"}]}}`, result(`"subtype":"success","is_error":false`)}, "", "Hello from the message"},
		"no newline at the end":           {[]string{hello, "raw " + strings.TrimPrefix(good, "out ")}, "", "Hello"},
		"split characters":                {[]string{hello, "split " + strings.Replace(strings.TrimPrefix(good, "out "), "Hello", "grün 🎵", 1)}, "", "grün 🎵"},
		"partial messages are no answer":  {[]string{hello, partial}, run.Unavailable, "without a result"},
		"messages without a result":       {[]string{hello, message, "exit 0"}, run.Unavailable, "without a result"},
		"nothing at all":                  {[]string{"err something broke", "exit 3"}, run.Unavailable, "code 3 and without a result: something broke"},
		"killed":                          {[]string{hello, "die"}, run.Unavailable, "signal (killed)"},
		"too old":                         {[]string{"err error: unknown option '--tools='", "exit 1"}, run.Failure, "too old"},
		"not logged in":                   {[]string{hello, failed("Invalid API key · Please run /login", ""), "exit 1"}, run.Denied, "/login"},
		"authentication in the message":   {[]string{hello, `out {"type":"assistant","error":"authentication_failed","message":{"id":"m","content":[{"type":"text","text":"key ` + canary + `"}]}}`, failed("bad key "+canary, "")}, run.Denied, "bad key"},
		"billing":                         {[]string{hello, `out {"type":"assistant","error":"billing_error","message":{}}`, "exit 1"}, run.Denied, "billing error"},
		"model not found":                 {[]string{hello, `out {"type":"assistant","error":"model_not_found","message":{}}`, failed("no such model", "")}, run.Failure, "no such model"},
		"429":                             {[]string{hello, failed("API Error: 429", `,"api_error_status":429`)}, run.RateLimited, "429"},
		"500":                             {[]string{hello, failed("API Error: 500", `,"api_error_status":500`), "exit 1"}, run.Unavailable, "500"},
		"529":                             {[]string{hello, failed("Overloaded", `,"api_error_status":529`), "exit 0"}, run.Unavailable, "Overloaded"},
		"403":                             {[]string{hello, failed("no", `,"api_error_status":403`)}, run.Denied, "no"},
		"404":                             {[]string{hello, failed("no", `,"api_error_status":404`)}, run.Failure, "no"},
		"api error without status":        {[]string{hello, failed("Connection error.", `,"terminal_reason":"api_error"`)}, run.Unavailable, "Connection error"},
		"server error in the message":     {[]string{hello, `out {"type":"assistant","error":"server_error","message":{}}`, failed("x", "")}, run.Unavailable, "x"},
		"too many turns":                  {[]string{hello, result(`"subtype":"error_max_turns","is_error":true`)}, run.Failure, "turns"},
		"budget":                          {[]string{hello, result(`"subtype":"error_max_budget_usd","is_error":true`)}, run.Failure, "spent"},
		"no structured output":            {[]string{hello, result(`"subtype":"error_max_structured_output_retries","is_error":true,"errors":["no match"]`)}, run.Invalid, "no match"},
		"error during execution":          {[]string{hello, result(`"subtype":"error_during_execution","is_error":true,"errors":["it broke"]`)}, run.Failure, "it broke"},
		"an error subtype without a flag": {[]string{hello, result(`"subtype":"error_during_execution","is_error":false`)}, run.Failure, "error_during_execution"},
		"a denied tool":                   {[]string{hello, strings.Replace(good, `"permission_denials":[]`, `"permission_denials":[{"tool_name":"Bash"},{"tool_name":"Bash"}]`, 1)}, run.Denied, "use Bash:"},
		"a denied tool, as an event":      {[]string{hello, `out {"type":"system","subtype":"permission_denied","tool_name":"Write"}`, good}, run.Denied, "Write"},
		"refused":                         {[]string{hello, result(`"subtype":"success","is_error":false,"result":"I can't.","stop_reason":"refusal"`)}, run.Refused, "I can't."},
		"cut off":                         {[]string{hello, result(`"subtype":"success","is_error":false,"result":"half","stop_reason":"max_tokens"`)}, run.Failure, "max_tokens"},
		"cut off, as an error":            {[]string{hello, failed("response exceeded the 4096 output token maximum", "")}, run.Failure, "max_tokens"},
		"context full":                    {[]string{hello, result(`"subtype":"success","is_error":false,"result":"half","stop_reason":"model_context_window_exceeded"`)}, run.Failure, "longer"},
		"empty":                           {[]string{hello, result(`"subtype":"success","is_error":false,"result":" "`)}, run.Unavailable, "empty"},
		"limit with an event":             {[]string{hello, fmt.Sprintf(`out {"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":%d,"rateLimitType":"five_hour"}}`, inAnHour), failed("You've hit your limit · resets 1pm", "")}, run.RateLimited, "it is over at"},
		"limit with a time in its text":   {[]string{hello, failed(fmt.Sprintf("Claude AI usage limit reached|%d", inAnHour), "")}, run.RateLimited, "it is over at"},
		"limit without a time":            {[]string{hello, failed("You've hit your weekly limit", "")}, run.RateLimited, "weekly limit"},
		"a warning is no limit":           {[]string{hello, `out {"type":"rate_limit_event","rate_limit_info":{"status":"allowed_warning","resetsAt":1}}`, good}, "", "Hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, _ := program(t, c.script...)
			r, shown := asked(t.Context(), claude.New(claude.Config{Program: path, APIKey: key, Grace: 200 * time.Millisecond}), &agent.Call{})
			if c.outcome != "" {
				want(t, r, c.outcome, c.say)
			} else if want(t, r, ""); r.Value != c.say {
				t.Errorf("%+v", r)
			}
			if strings.Contains(r.Message, "it is over at") != (r.RetryAfter > 50*time.Minute && r.RetryAfter <= time.Hour) {
				t.Errorf("retry after %v", r.RetryAfter)
			}
			if strings.Contains(shown, canary) || r.Usage.Calls != 1 {
				t.Errorf("shown %q, %+v", shown, r.Usage)
			}
		})
	}
}

// Hanging, deaf, with a grandchild that left: all of it is gone soon after the call is stopped.
func TestProgramIsStopped(t *testing.T) {
	const grace = 300 * time.Millisecond
	path, dir := program(t, hello, "deaf", "stray", "hang")
	a := claude.New(claude.Config{Program: path, Grace: grace})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan agent.Reply, 1)
	go func() { r, _ := asked(ctx, a, &agent.Call{}); done <- r }()
	stray := 0
	for range 1000 {
		if text, _ := os.ReadFile(filepath.Join(dir, "stray")); len(text) > 0 {
			stray, _ = strconv.Atoi(string(text))
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	select {
	case r := <-done:
		want(t, r, run.Stopped)
		if r.Usage.Tokens != run.Unknown || r.Usage.CostSource != run.Unknown {
			t.Errorf("a call that was cut off has cost something: %+v", r.Usage)
		}
	case <-time.After(grace + time.Second):
		t.Fatal("it was not stopped in time")
	}
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", stray)); stray == 0 || err == nil && !strings.Contains(string(text), ") Z ") || err != nil && syscall.Kill(stray, 0) == nil {
		t.Errorf("the stray %d lives: %s", stray, text)
	}

	path, _ = program(t, hello, "hang")
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	r, _ := asked(ctx, claude.New(claude.Config{Program: path}), &agent.Call{})
	want(t, r, run.Timeout, "too long")
	r, _ = asked(t.Context(), claude.New(claude.Config{Program: path, Idle: 200 * time.Millisecond}), &agent.Call{})
	want(t, r, run.Timeout, "said nothing")
}

var review = types.Type{Kind: types.Record, Fields: []types.Field{{Name: "score", Type: types.Type{Kind: types.Int}}, {Name: "a", Type: types.Type{Kind: types.String, Optional: true}}}}

func TestProgramStructured(t *testing.T) {
	path, dir := program(t, hello, strings.Replace(good, `"result":"Hello"`, `"result":"Done.","structured_output":{"score":8}`, 1))
	a := claude.New(claude.Config{Program: path})
	r, _ := asked(t.Context(), a, &agent.Call{As: &review})
	want(t, r, "")
	if !reflect.DeepEqual(r.Value, map[string]any{"score": 8}) {
		t.Errorf("%#v", r.Value)
	}
	if g := given(t, dir); !slices.Contains(g.Args, `--json-schema={"type":"object","properties":{"score":{"type":"integer"},"a":{"type":"string"}},"required":["score"],"additionalProperties":false}`) || g.Stdin != "Hi" {
		t.Errorf("%+v", g)
	}
	// An old version ignores the schema: the host gets the text.
	path, _ = program(t, hello, strings.Replace(good, "Hello", "I'd say 8.", 1))
	r, _ = asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{As: &review})
	if r.Outcome != "" || r.Value != "I'd say 8." {
		t.Errorf("%+v", r)
	}
	// any has no schema: it is asked for in words.
	path, dir = program(t, hello, strings.Replace(good, `"Hello"`, "\"```json\\n[1]\\n```\"", 1))
	r, _ = asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{As: &types.Type{Kind: types.Any}})
	if g := given(t, dir); !reflect.DeepEqual(r.Value, []any{1}) || strings.Contains(strings.Join(g.Args, " "), "json-schema") || !strings.Contains(g.Stdin, "JSON Schema") {
		t.Errorf("%+v %+v", r, g)
	}
	// A repair tells the whole story.
	path, dir = program(t, hello, good)
	asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{As: &review, Repair: &run.Repair{Round: 1, Answer: "eight", Problems: []string{"score: must be an int"}}})
	if g := given(t, dir); !strings.HasPrefix(g.Stdin, "Hi\n") || !strings.Contains(g.Stdin, "eight") || !strings.Contains(g.Stdin, "- score: must be an int") {
		t.Error(g.Stdin)
	}
}

func TestProgramUsage(t *testing.T) {
	usage := func(fields string) run.Usage {
		path, _ := program(t, hello, `out {"type":"result","subtype":"success","is_error":false,"result":"x"`+fields+`}`)
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
		return r.Usage
	}
	if u := usage(`,"usage":{"input_tokens":100,"output_tokens":10,"cache_read_input_tokens":1000,"cache_creation_input_tokens":10}`); u != (run.Usage{Calls: 1, Input: 100, Output: 10, CacheRead: 1000, CacheWrite: 10, Tokens: run.Reported, Cost: 425, CostSource: run.Estimated, Model: "claude-sonnet-5-5"}) {
		t.Errorf("without a cost it is estimated from the price: %+v", u)
	}
	if u := usage(`,"total_cost_usd":0,"usage":{"input_tokens":100,"output_tokens":10}`); u.CostSource != run.Unknown || u.Cost != 0 || u.Tokens != run.Reported {
		t.Errorf("a subscription's 0 is no cost: %+v", u)
	}
	if u := usage(``); u.Tokens != run.Unknown || u.CostSource != run.Unknown {
		t.Errorf("what nobody reported is unknown: %+v", u)
	}

	// A price that is configured counts before what the program believes; zero means that calls are free.
	charged := func(p types.Price, fields string) run.Usage {
		path, _ := program(t, hello, `out {"type":"result","subtype":"success","is_error":false,"result":"x"`+fields+`}`)
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Price: &p}), &agent.Call{})
		return r.Usage
	}
	told := `,"total_cost_usd":0.25,"modelUsage":{"claude-sonnet-5-5":{"inputTokens":10,"outputTokens":5}}`
	if u := charged(types.Price{Input: 100, Output: 200}, told); u.Cost != 2000 || u.CostSource != run.Estimated {
		t.Errorf("a configured price: %+v", u)
	}
	for _, fields := range []string{told, ""} {
		if u := charged(types.Price{}, fields); u.Cost != 0 || u.CostSource != "" {
			t.Errorf("declared free: %+v", u)
		}
	}
	more := `,"total_cost_usd":0.25,"modelUsage":{"claude-sonnet-5-5":{"inputTokens":10,"outputTokens":5},"claude-haiku-5-5":{"inputTokens":10,"outputTokens":5}}`
	if u := charged(types.Price{Input: 100, Output: 200}, more); u.Cost != 250_000 {
		t.Errorf("the price of one model says nothing about others: %+v", u)
	}
}

// The program's login is a secret although nobody configures it: what the program says of it is not shown.
func TestProgramLoginIsHidden(t *testing.T) {
	t.Setenv("CLAUDE_CODE_OAUTH_TOKEN", canary)
	path, _ := program(t, hello, `out {"type":"stream_event","event":{"type":"content_block_delta","delta":{"type":"text_delta","text":"`+canary+`"}}}`,
		`out {"type":"result","subtype":"success","is_error":true,"result":"bad token `+canary+`","api_error_status":401}`)
	hidden := ""
	r, shown := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{Hide: func(_, value string) { hidden = value }})
	want(t, r, run.Denied, "‹secret CLAUDE_CODE_OAUTH_TOKEN›")
	if strings.Contains(shown, canary) || hidden != canary {
		t.Errorf("shown %q, the host was told of %q", shown, hidden)
	}
}

func TestWays(t *testing.T) {
	path, _ := program(t, hello, good)
	none := filepath.Join(t.TempDir(), "claude")
	for name, c := range map[string]struct {
		config claude.Config
		args   map[string]any
		o      run.Outcome
		say    string
	}{
		"neither":                {claude.Config{Program: none}, nil, run.Denied, "ANTHROPIC_API_KEY"},
		"an empty key":           {claude.Config{Program: none, APIKey: func() (string, error) { return "", nil }}, nil, run.Denied, "not on PATH"},
		"cli, not there":         {claude.Config{Program: none, Prefer: "cli", APIKey: key}, nil, run.Denied, "install Claude Code"},
		"api, no key":            {claude.Config{Program: path, Prefer: "api", KeyName: "MY_KEY"}, nil, run.Denied, "MY_KEY"},
		"api, a key that fails":  {claude.Config{Program: path, Prefer: "api", APIKey: func() (string, error) { return "", fmt.Errorf("the file is gone") }}, nil, run.Denied, "the file is gone"},
		"tools need the program": {claude.Config{Program: none, APIKey: key, Tools: []string{"Read"}}, nil, run.Denied, "install Claude Code"},
		"tools, but api":         {claude.Config{Program: path, APIKey: key, Prefer: "api", Folder: "/x"}, nil, run.Denied, `prefer = "cli"`},
		"temperature":            {claude.Config{Program: path}, map[string]any{"temperature": 0.5}, run.Failure, "temperature"},
		"effort":                 {claude.Config{Program: path}, map[string]any{"effort": "huge"}, run.Failure, "effort"},
		"a program that is gone": {claude.Config{Program: path, Folder: "/no/such/folder"}, nil, run.Failure, "/no/such/folder"},
		"a key that was named":   {claude.Config{Program: path, APIKey: func() (string, error) { return "", fmt.Errorf("set MY_KEY") }}, nil, run.Denied, "set MY_KEY"},
		"a login is enough":      {claude.Config{Program: path}, nil, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := asked(t.Context(), claude.New(c.config), &agent.Call{Args: c.args})
			want(t, r, c.o, c.say)
			check := claude.New(c.config).(agent.Checker).Check(t.Context())
			if (check == nil) != (c.o != run.Denied) {
				t.Errorf("the check says %v", check)
			}
		})
	}
	t.Setenv("PATH", filepath.Dir(path)+":"+os.Getenv("PATH"))
	r, _ := asked(t.Context(), claude.New(claude.Config{}), &agent.Call{})
	want(t, r, "")
	hung, dir := program(t, good)
	also(t, dir, "version", "exit 2")
	if err := claude.New(claude.Config{Program: hung}).(agent.Checker).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "code 2") {
		t.Error(err)
	}
}

func TestListPrice(t *testing.T) {
	for name, output := range map[string]float64{"opus": 20, "claude-opus-4-5-20251101": 25, "claude-opus-5": 25, "claude-opus-5-5": 20, "haiku": 2.5, "claude-fable-5": 50} {
		if p := claude.ListPrice(name); p == nil || p.Output != output {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for _, name := range []string{"", "gpt-5", "claude-opus-5-9", "claude-opus-6", "claude-opus-5-5-large"} {
		if p := claude.ListPrice(name); p != nil {
			t.Errorf("%s has no known price: %+v", name, p)
		}
	}
}
