//go:build unix

package claude_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/claude"
)

// step is an attempt of a call of a run.
func step(attempt int) *agent.Call {
	return &agent.Call{Run: "r1", Path: "fix", Attempt: attempt, Key: "r1/fix", Text: "Mend it."}
}

// flagged is the value of a flag; "" when it is not there.
func flagged(s seen, flag string) string {
	for _, arg := range s.Args {
		if value, ok := strings.CutPrefix(arg, flag+"="); ok {
			return value
		}
	}
	return ""
}

const tooled = `out {"type":"system","subtype":"init","session_id":"s1","tools":["Bash","Read"],"model":"claude-sonnet-5-5","mcp_servers":[]}`

// What a crash interrupted goes on in its own session, which is found again without anything having been recorded.
func TestSessionIsResumedAfterACrash(t *testing.T) {
	path, dir := program(t, tooled, "die")
	also(t, dir, "script2", tooled, good)
	config := claude.Config{Program: path, Tools: []string{"Read"}}
	r, _ := asked(t.Context(), claude.New(config), step(1))
	want(t, r, run.Unavailable, "killed")
	first := givenAt(t, dir, 1)
	id := flagged(first, "--session-id")
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) || slices.Contains(first.Args, "--no-session-persistence") || first.Stdin != "Mend it." {
		t.Errorf("%+v", first)
	}

	r, _ = asked(t.Context(), claude.New(config), step(2)) // another process
	want(t, r, "")
	second := givenAt(t, dir, 2)
	if flagged(second, "--resume") != id || flagged(second, "--session-id") != "" || !strings.Contains(second.Stdin, "do nothing twice") || !strings.HasSuffix(second.Stdin, "Mend it.") {
		t.Errorf("%+v", second)
	}
	other := step(1)
	other.Run = "r2"
	asked(t.Context(), claude.New(config), other)
	if flagged(givenAt(t, dir, 3), "--session-id") == id {
		t.Error("two runs share a session")
	}
}

// A session that never came to be is begun; one that is there although nobody knew is gone on with.
func TestSessionThatIsNotThere(t *testing.T) {
	path, dir := program(t, "err No conversation found with session ID: x", `out {"type":"result","subtype":"error_during_execution","is_error":true,"errors":["No conversation found with session ID: x"]}`, "exit 1")
	also(t, dir, "script2", tooled, good)
	config := claude.Config{Program: path, Tools: []string{"Read"}}
	r, _ := asked(t.Context(), claude.New(config), step(2))
	want(t, r, "")
	first, second := givenAt(t, dir, 1), givenAt(t, dir, 2)
	if id := flagged(first, "--resume"); id == "" || flagged(second, "--session-id") != id || second.Stdin != "Mend it." {
		t.Errorf("%+v, then %+v", first, second)
	}

	path, dir = program(t, "err Error: Session ID x is already in use.", "exit 1")
	also(t, dir, "script2", tooled, good)
	config.Program = path
	r, _ = asked(t.Context(), claude.New(config), step(1))
	want(t, r, "")
	if second := givenAt(t, dir, 2); flagged(second, "--resume") == "" || !strings.Contains(second.Stdin, "do nothing twice") {
		t.Errorf("%+v", second)
	}

	// It is tried once: a program that will not have the session either way fails.
	path, dir = program(t, "err No conversation found with session ID: x", "exit 1")
	config.Program = path
	r, _ = asked(t.Context(), claude.New(config), step(2))
	want(t, r, run.Unavailable, "No conversation found")
	if _, err := os.Stat(filepath.Join(dir, "seen3")); err == nil {
		t.Error("it was begun three times")
	}
}

// An answer that does not fit is mended in the session that gave it: what was done is not done again.
func TestSessionOfARepair(t *testing.T) {
	path, dir := program(t, tooled, strings.Replace(good, `"result":"Hello"`, `"result":"x","structured_output":{"score":8}`, 1))
	config := claude.Config{Program: path, Tools: []string{"Read"}}
	asked(t.Context(), claude.New(config), step(1))
	repair := step(1)
	repair.Path, repair.Key, repair.As = "fix~1", "r1/fix~1", &review
	repair.Repair = &run.Repair{Round: 1, Answer: "eight", Problems: []string{"score: must be an int"}}
	r, _ := asked(t.Context(), claude.New(config), repair)
	want(t, r, "")
	first, second := givenAt(t, dir, 1), givenAt(t, dir, 2)
	if id := flagged(second, "--resume"); id == "" || id != flagged(first, "--session-id") || strings.Contains(second.Stdin, "Mend it.") || !strings.Contains(second.Stdin, "- score: must be an int") {
		t.Errorf("%+v", second)
	}
}

// Who only thinks leaves no session behind and is asked from the beginning.
func TestSessionOfWhoOnlyThinks(t *testing.T) {
	path, dir := program(t, hello, good)
	asked(t.Context(), claude.New(claude.Config{Program: path}), step(2))
	if g := given(t, dir); flagged(g, "--resume")+flagged(g, "--session-id") != "" || !slices.Contains(g.Args, "--no-session-persistence") || g.Stdin != "Mend it." {
		t.Errorf("%+v", g)
	}
}

func denied(uses ...string) string {
	return strings.Replace(good, `"permission_denials":[]`, `"permission_denials":[`+strings.Join(uses, ",")+`]`, 1)
}

// With permissions = "ask" people decide what was not allowed, and the session goes on with their leave.
func TestPermissionIsAsked(t *testing.T) {
	path, dir := program(t, tooled, denied(`{"tool_name":"Bash","tool_use_id":"t","tool_input":{"command":"git push origin main"}}`, `{"tool_name":"Write","tool_input":{"file_path":"/x/y.txt","content":"z"}}`,
		`{"tool_name":"Bash","tool_input":{"command":"git push origin main"}}`, `{"tool_name":"WebFetch","tool_input":{"url":"https://example.com/a?b"}}`))
	also(t, dir, "script2", tooled, good)
	a := claude.New(claude.Config{Program: path, Permissions: "ask", Tools: []string{"Bash(git status:*)"}})
	r, _ := asked(t.Context(), a, step(1))
	want(t, r, run.Asks)
	if r.Form == nil || r.Form.Kind != "approve" || r.Form.Text != "claude wants to\n- run `git push origin main`\n- write /x/y.txt\n- fetch pages of example.com\nMay it?" || !slices.Equal(r.Form.Choices, []string{"yes", "no"}) {
		t.Errorf("%+v", r.Form)
	}
	if r.Usage.Tokens != run.Reported || r.AgentID != "s1" {
		t.Errorf("the attempt that asks is paid for: %+v", r)
	}
	first := givenAt(t, dir, 1)
	if tools := flagged(first, "--tools"); !strings.Contains(tools, "Bash") || !strings.Contains(tools, "WebFetch") || flagged(first, "--allowedTools") != "Bash(git status:*)" {
		t.Errorf("%+v", first)
	}

	yes := step(2)
	yes.Answer = &run.Answer{Token: r.Token, Value: "yes"}
	again, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Permissions: "ask", Tools: []string{"Bash(git status:*)"}}), yes) // another process
	want(t, again, "")
	second := givenAt(t, dir, 2)
	if flagged(second, "--resume") != flagged(first, "--session-id") || !strings.Contains(second.Stdin, "You may do now") {
		t.Errorf("%+v", second)
	}
	if second.Settings != `{"permissions":{"allow":["Bash(git push origin main)","Edit(//x/y.txt)","WebFetch(domain:example.com)"]}}` || strings.Contains(strings.Join(second.Args, " "), "push") {
		t.Errorf("%+v", second)
	}

	no := step(2)
	no.Answer = &run.Answer{Token: r.Token, Value: "no"}
	again, _ = asked(t.Context(), a, no)
	want(t, again, run.Denied, "not allowed to run `git push origin main`, and write /x/y.txt")
	no.Answer.Token = "{"
	again, _ = asked(t.Context(), a, no)
	want(t, again, run.Denied, "cannot be read")
}

// A command that no rule can name exactly needs the whole tool, and the question says so. So does one whose rule the program did not take.
func TestPermissionOfTheWholeTool(t *testing.T) {
	for _, command := range []string{"rm -rf *", "a && b", "x=$(id)", "cat <f", `a\\b`, "a # b"} {
		path, _ := program(t, tooled, denied(`{"tool_name":"Bash","tool_input":{"command":"`+command+`"}}`))
		r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Permissions: "ask"}), step(1))
		want(t, r, run.Asks, "use Bash as it likes in this step, first for `"+strings.ReplaceAll(command, `\\`, `\`)+"`")
		if !strings.Contains(r.Token, `"asked":["Bash"]`) {
			t.Error(r.Token)
		}
	}
	use := `{"tool_name":"Bash","tool_input":{"command":"make"}}`
	path, dir := program(t, tooled, denied(use))
	also(t, dir, "script2", tooled, denied(use))
	also(t, dir, "script3", tooled, denied(use))
	a := claude.New(claude.Config{Program: path, Permissions: "ask"})
	r, _ := asked(t.Context(), a, step(1))
	want(t, r, run.Asks, "run `make`")
	c := step(2)
	c.Answer = &run.Answer{Token: r.Token, Value: "yes"}
	r, _ = asked(t.Context(), a, c)
	want(t, r, run.Asks, "use Bash as it likes")
	c = step(3)
	c.Answer = &run.Answer{Token: r.Token, Value: "yes"}
	r, _ = asked(t.Context(), a, c)
	want(t, r, run.Denied, "not allowed to use Bash") // nothing is left to ask for
}

// Without a run there is nobody to ask later.
func TestPermissionWithoutARun(t *testing.T) {
	path, _ := program(t, tooled, denied(`{"tool_name":"Bash","tool_input":"odd"}`))
	r, _ := asked(t.Context(), claude.New(claude.Config{Program: path, Permissions: "ask"}), &agent.Call{})
	want(t, r, run.Denied, "use Bash:")
}
