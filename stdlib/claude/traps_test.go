//go:build unix

package claude_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/claude"
)

// What has been seen to go wrong with programs that run claude -p, one test each. spec/agents.md lists them with what is done about it.

// A denied tool ends with exit code 0 and "success".
func TestTrap01DeniedTool(t *testing.T) {
	for name, script := range map[string][]string{
		"in the result": {tooled, denied(`{"tool_name":"Bash","tool_input":{"command":"ls"}}`)},
		"as an event":   {tooled, `out {"type":"system","subtype":"permission_denied","tool_name":"Bash"}`, good},
	} {
		path, _ := program(t, script...)
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Tools: []string{"Read"}}), &agent.Call{})
		want(t, r, run.Denied, "not allowed to use Bash")
		if r.Value != nil {
			t.Errorf("%s: an answer without what it needed: %v", name, r.Value)
		}
	}
}

// An error of the API calls itself a success, on stdout, and ends with 0 or 1.
func TestTrap02ErrorsThatSaySuccess(t *testing.T) {
	for status, o := range map[int]run.Outcome{401: run.Denied, 403: run.Denied, 404: run.Failure, 429: run.RateLimited, 500: run.Unavailable, 529: run.Unavailable} {
		path, _ := program(t, hello, fmt.Sprintf(`out {"type":"result","subtype":"success","is_error":true,"result":"API Error: %d","api_error_status":%d}`, status, status), fmt.Sprint("exit ", status%2))
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
		want(t, r, o, strconv.Itoa(status))
	}
}

// A prompt among the arguments is seen by everybody on the machine, and has a limit.
func TestTrap03PromptInArguments(t *testing.T) {
	path, dir := program(t, hello, good)
	long := strings.Repeat("long ", 1<<20) + canary
	r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, APIKey: key}), &agent.Call{Text: long, System: "persona " + canary})
	want(t, r, "")
	if g := given(t, dir); g.Stdin != long || strings.Contains(strings.Join(g.Args, " "), canary) {
		t.Error("the prompt is not what came by stdin")
	}
}

// A last turn that is too large loses the session: its id is known before anything is said, and a limit on the output is set where one was asked for.
func TestTrap04LostSession(t *testing.T) {
	path, dir := program(t, "exit 1")
	r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Tools: []string{"Read"}, MaxTokens: 77}), step(1))
	want(t, r, run.Unavailable, "without a result")
	if g := given(t, dir); r.AgentID == "" || flagged(g, "--session-id") != r.AgentID || !slices.Contains(g.Env, "CLAUDE_CODE_MAX_OUTPUT_TOKENS=77") {
		t.Errorf("%+v of %+v", r, g)
	}
}

// It goes silent, or does not end although it has answered.
func TestTrap05Silence(t *testing.T) {
	path, _ := program(t, hello, partial, "hang")
	r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Idle: 300 * time.Millisecond, Grace: 100 * time.Millisecond}), &agent.Call{})
	want(t, r, run.Timeout, "said nothing for 300ms")
}

// Its output breaks off: what has no result is no answer.
func TestTrap06BrokenOutput(t *testing.T) {
	for _, script := range [][]string{{hello, message}, {hello, partial, "exit 0"}, {hello, "raw " + good[4:len(good)/2]}, {}} {
		path, _ := program(t, script...)
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
		want(t, r, run.Unavailable, "without a result")
	}
	path, _ := program(t, hello, "many 20000", "big 3000000")
	r, shown := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
	if text, _ := r.Value.(string); len(text) != 3000000 || !strings.HasSuffix(shown, "19998,19999,") {
		t.Errorf("%s: %d bytes, %d shown", r.Message, len(text), len(shown))
	}
}

// It leaves children behind that nobody ends.
func TestTrap07Orphans(t *testing.T) {
	path, dir := program(t, hello, "stray", good)
	r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Grace: 200 * time.Millisecond}), &agent.Call{})
	want(t, r, "")
	text, _ := os.ReadFile(filepath.Join(dir, "stray"))
	stray, _ := strconv.Atoi(string(text))
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", stray)); stray == 0 || err == nil && !strings.Contains(string(stat), ") Z ") || err != nil && syscall.Kill(stray, 0) == nil {
		t.Errorf("the stray %d lives", stray)
	}
}

// MCP servers that are not ready at the first turn have no tools in the list: one that is there at all was not asked for.
func TestTrap08ServersNotReady(t *testing.T) {
	for _, status := range []string{"pending", "connected"} {
		path, _ := program(t, strings.Replace(hello, `"mcp_servers":[]`, `"mcp_servers":[{"name":"mail","status":"`+status+`"}]`, 1), "hang")
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Grace: 100 * time.Millisecond}), &agent.Call{})
		want(t, r, run.Failure, "the MCP server mail")
	}
	path, dir := program(t, strings.Replace(hello, `"mcp_servers":[]`, `"mcp_servers":[{"name":"mail","status":"disabled"}]`, 1), good)
	r, _ := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
	want(t, r, "")
	if g := given(t, dir); !slices.Contains(g.Args, "--strict-mcp-config") {
		t.Error(g.Args)
	}
}

// A schema that the program does not take is passed over in silence: the text goes to the host, which reads it as the type itself.
func TestTrap09SchemaIgnored(t *testing.T) {
	for _, answer := range []string{`"I'd say 8."`, `"x","structured_output":null`} {
		path, _ := program(t, hello, strings.Replace(good, `"Hello"`, answer, 1))
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{As: &review})
		if _, text := r.Value.(string); r.Outcome != "" || !text {
			t.Errorf("%+v", r)
		}
	}
}

// What lies about in folders and settings changes results: none of it counts unless slop.toml says so.
func TestTrap10Ambience(t *testing.T) {
	path, dir := program(t, hello, good)
	asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{Folder: t.TempDir()})
	if g := given(t, dir); !slices.Contains(g.Args, "--setting-sources=") || !strings.Contains(flagged(g, "--settings"), `"disableAllHooks":true`) || len(g.Files) != 0 || !slices.Contains(g.Env, "CLAUDE_CODE_DISABLE_AUTO_MEMORY=1") {
		t.Errorf("%+v", g)
	}
	path, dir = program(t, tooled, good)
	a := claude.New(claude.Config{Program: path, Settings: []string{"project", "local"}})
	asked(t.Context(), a, &agent.Call{Folder: t.TempDir()})
	if g := given(t, dir); flagged(g, "--setting-sources") != "project,local" || slices.Contains(g.Env, "CLAUDE_CODE_DISABLE_AUTO_MEMORY=1") {
		t.Errorf("%+v", g)
	}
	if a.Signatures()[0].Effect != types.Do {
		t.Error("settings have hooks, which run commands")
	}
}

// --bare breaks logins other than a key.
func TestTrap11Bare(t *testing.T) {
	path, dir := program(t, hello, good)
	asked(t.Context(), claude.New(claude.Config{Program: path, APIKey: key}), &agent.Call{})
	if slices.Contains(given(t, dir).Args, "--bare") {
		t.Error("--bare was set")
	}
}

// Costs are counted twice when usage, models and several results are added up.
func TestTrap12CountedTwice(t *testing.T) {
	first := strings.Replace(good, `"total_cost_usd":0.0123`, `"total_cost_usd":0.0100`, 1)
	path, _ := program(t, hello, first, good)
	r, _ := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
	if want := (run.Usage{Calls: 1, Input: 11, Output: 22, CacheRead: 30, CacheWrite: 40, Tokens: run.Reported, Cost: 12300, CostSource: run.Estimated, Model: "claude-sonnet-5-5"}); r.Usage != want {
		t.Errorf("%+v", r.Usage)
	}
}

// It stops after too many turns, or too much money, with exit code 0.
func TestTrap13Limits(t *testing.T) {
	for subtype, say := range map[string]string{"error_max_turns": "turns", "error_max_budget_usd": "spent"} {
		path, _ := program(t, hello, `out {"type":"result","subtype":"`+subtype+`","is_error":false,"num_turns":3}`, "exit 0")
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
		want(t, r, run.Failure, say)
	}
}

// --continue takes whichever session came last in a folder, which may be another step's.
func TestTrap14WhichSession(t *testing.T) {
	path, dir := program(t, tooled, good)
	a := claude.New(claude.Config{Program: path, Tools: []string{"Read"}, Folder: t.TempDir()})
	asked(t.Context(), a, step(1))
	asked(t.Context(), a, step(2))
	first, second := givenAt(t, dir, 1), givenAt(t, dir, 2)
	if slices.Contains(second.Args, "--continue") || flagged(second, "--resume") != flagged(first, "--session-id") || first.Dir != second.Dir {
		t.Errorf("%+v, then %+v", first, second)
	}
}

// Of several results the first lacks what agents in the background cost.
func TestTrap15LateResult(t *testing.T) {
	path, _ := program(t, hello, `out {"type":"result","subtype":"success","is_error":false,"result":"first","total_cost_usd":0.001}`, good)
	r, _ := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
	if r.Value != "Hello" || r.Usage.Cost != 12300 {
		t.Errorf("%+v", r)
	}
}

// Versions differ: one that is too old is named as such, and what a new one adds is passed over.
func TestTrap16Versions(t *testing.T) {
	path, dir := program(t, "err error: unknown option '--tools='", "exit 1")
	also(t, dir, "version", "out 1.0.128 (Claude Code)")
	a := claude.New(claude.Config{Program: path})
	r, _ := asked(t.Context(), a, &agent.Call{})
	want(t, r, run.Failure, "too old")
	if err := a.(agent.Checker).Check(t.Context()); err == nil || !strings.Contains(err.Error(), "1.0.128, which is too old") {
		t.Error(err)
	}
	path, _ = program(t, hello, `out {"type":"telepathy"}`, `out {"type":"system","subtype":"new","x":[]}`, strings.Replace(good, `"result":"Hello"`, `"news":{},"result":"Hello"`, 1))
	r, _ = asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
	want(t, r, "")
}

// It takes the traces of whoever started it for its own.
func TestTrap17Traces(t *testing.T) {
	for _, name := range []string{"TRACEPARENT", "TRACESTATE", "OTEL_EXPORTER_OTLP_HEADERS", "CLAUDE_CODE_ENABLE_TELEMETRY", "CLAUDECODE"} {
		t.Setenv(name, "ambient")
	}
	path, dir := program(t, hello, good)
	asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
	if env := strings.Join(given(t, dir).Env, "\n"); strings.Contains(env, "ambient") {
		t.Error(env)
	}
}

// A limit that is reached says when it ends in an event, in a number, or in words for people.
func TestTrap18LimitReached(t *testing.T) {
	end := time.Now().Add(90 * time.Minute)
	failed := func(text string) string {
		return fmt.Sprintf(`out {"type":"result","subtype":"success","is_error":true,"result":%q}`, text)
	}
	clock := strings.ToLower(end.UTC().Format("3:04pm"))
	for name, script := range map[string][]string{
		"event":  {hello, fmt.Sprintf(`out {"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":%d}}`, end.Unix()), failed("You've hit your limit")},
		"number": {hello, failed(fmt.Sprintf("Claude AI usage limit reached|%d", end.Unix()))},
		"words":  {hello, failed("You've hit your limit · resets " + clock + " (UTC)")},
	} {
		path, _ := program(t, script...)
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path}), &agent.Call{})
		want(t, r, run.RateLimited, "it is over at")
		if r.RetryAfter < 85*time.Minute || r.RetryAfter > 90*time.Minute {
			t.Errorf("%s: %v", name, r.RetryAfter)
		}
	}
}

// Many at a time fight over one login.
func TestTrap19SharedLogin(t *testing.T) {
	path, _ := program(t, hello, good)
	for _, c := range []claude.Config{{Program: path}, {Program: path, Prefer: "cli"}, {Program: path, Tools: []string{"Read"}}, {Permissions: "ask"}} {
		if n := claude.Limit(c); n != 4 {
			t.Errorf("%+v: %d at a time", c, n)
		}
	}
	if n := claude.Limit(claude.Config{Prefer: "api"}); n != 0 {
		t.Errorf("the API takes %d at a time", n)
	}
}

// Headless, it trusts the folder it is started in: who thinks gets an empty one, and who acts the one that was declared.
func TestTrap20TrustedFolder(t *testing.T) {
	flow, declared := t.TempDir(), t.TempDir()
	os.WriteFile(filepath.Join(flow, "CLAUDE.md"), []byte("ambient"), 0o600)
	path, dir := program(t, tooled, good)
	for _, c := range []struct {
		config claude.Config
		dir    string
	}{{claude.Config{}, ""}, {claude.Config{Folder: declared}, declared}, {claude.Config{Tools: []string{"Read"}}, flow}} {
		c.config.Program = path
		os.Remove(filepath.Join(dir, "seen"))
		if c.dir == "" {
			also(t, dir, "script", hello, good)
		}
		asked(context.Background(), claude.New(c.config), &agent.Call{Folder: flow})
		g := given(t, dir)
		if real, _ := filepath.EvalSymlinks(c.dir); c.dir != "" && g.Dir != real || c.dir == "" && (len(g.Files) != 0 || strings.HasPrefix(g.Dir, flow)) {
			t.Errorf("%+v: it worked in %s", c.config, g.Dir)
		}
	}
}
