//go:build unix

package shell_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/shell"
)

func call(t *testing.T, c shell.Config, text any, args map[string]any) (agent.Reply, string) {
	t.Helper()
	return callIn(t.Context(), t, c, &agent.Call{Text: text, Args: args})
}

func callIn(ctx context.Context, t *testing.T, c shell.Config, call *agent.Call) (agent.Reply, string) {
	t.Helper()
	var mu sync.Mutex
	var shown strings.Builder
	call.Emit = func(p agent.Progress) { mu.Lock(); defer mu.Unlock(); shown.WriteString(p.Delta) }
	call.Secret = func(name string) (string, error) {
		if name == "token" {
			return "c4nary-value", nil
		}
		return "", errors.New("not set")
	}
	r := shell.New(c).Call(ctx, call)
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
}

// Words reach the program as they are: nothing in them is read by a shell.
func TestWordsAreLiteral(t *testing.T) {
	pwned := filepath.Join(t.TempDir(), "pwned")
	for _, word := range []string{`"; touch ` + pwned, `$(touch ` + pwned + `)`, "a\nb", "-n", "`touch " + pwned + "`", "* ?", ""} {
		r, _ := call(t, shell.Config{}, []string{"printf", "%s|", word, "end"}, nil)
		if r.Outcome != "" || r.Value != word+"|end|" {
			t.Errorf("%q gave %+v", word, r)
		}
	}
	if _, err := os.Stat(pwned); err == nil {
		t.Error("a word was run")
	}
}

func TestValue(t *testing.T) {
	for script, value := range map[string]string{
		`echo hello`: "hello", `printf 'a\n\n'`: "a\n", `printf 'a\r\n'`: "a", `true`: "", `printf '  x  '`: "  x  ",
	} {
		if r, _ := call(t, shell.Config{}, nil, map[string]any{"sh": script}); r.Outcome != "" || r.Value != value {
			t.Errorf("%s gave %+v, want %q", script, r, value)
		}
	}
	r, shown := call(t, shell.Config{}, nil, map[string]any{"sh": "cat; echo end", "stdin": "über\n"})
	if r.Value != "über\nend" || shown != "über\nend\n" {
		t.Errorf("%+v, shown %q", r, shown)
	}
	dir := t.TempDir()
	if r, _ := callIn(t.Context(), t, shell.Config{}, &agent.Call{Text: []string{"pwd", "-P"}, Folder: dir}); r.Value != resolved(dir) {
		t.Errorf("runs in %v, not in %s", r.Value, dir)
	}
}

func resolved(dir string) string {
	real, _ := filepath.EvalSymlinks(dir)
	return real
}

func TestFailures(t *testing.T) {
	r, _ := call(t, shell.Config{}, nil, map[string]any{"sh": "echo broken >&2; exit 7"})
	want(t, r, run.Failure, "code 7", "broken")
	r, _ = call(t, shell.Config{}, nil, map[string]any{"sh": "echo only stdout; exit 1"})
	want(t, r, run.Failure, "code 1", "only stdout")
	r, _ = call(t, shell.Config{}, nil, map[string]any{"sh": "kill -9 $$"})
	want(t, r, run.Failure, "signal", "killed")
	r, _ = call(t, shell.Config{}, []string{"no-such-command"}, nil)
	want(t, r, run.Failure, "no-such-command", "installed")
	r, _ = call(t, shell.Config{MaxOutput: 1000}, []string{"yes"}, nil)
	want(t, r, run.Failure, "more than 1000 bytes")
	r, _ = call(t, shell.Config{}, nil, map[string]any{"sh": `printf '\377'`})
	want(t, r, run.Failure, "not text")
	r, _ = callIn(t.Context(), t, shell.Config{}, &agent.Call{Text: []string{"true"}, Folder: "/no/such/folder"})
	want(t, r, run.Failure, "/no/such/folder")
	file := filepath.Join(t.TempDir(), "script")
	os.WriteFile(file, []byte("#!/bin/sh\n"), 0o600)
	{ // needs an x bit even for root
		r, _ = call(t, shell.Config{}, []string{file}, nil)
		want(t, r, run.Denied, "executable")
	}
	for _, bad := range []struct {
		text any
		args map[string]any
		say  string
	}{
		{nil, nil, "no command"}, {[]string{"a"}, map[string]any{"sh": "b"}, "not both"}, {types.Parts{"x", types.Secret{Name: "token"}}, nil, "env"},
		{nil, map[string]any{"sh": types.Parts{"x", types.Secret{Name: "token"}}}, "env"}, {[]string{"a\x00b"}, nil, "NUL"},
		{[]string{"true"}, map[string]any{"env": "X=1"}, "record"}, {[]string{"true"}, map[string]any{"env": map[string]any{"A": []any{1}}}, `"A"`},
		{[]string{"true"}, map[string]any{"env": map[string]any{"A": types.Secret{Name: "gone"}}}, "gone"},
	} {
		r, _ = call(t, shell.Config{}, bad.text, bad.args)
		want(t, r, run.Failure, bad.say)
	}
}

func TestOff(t *testing.T) {
	r, shown := call(t, shell.Config{Off: true}, []string{"echo", "x"}, nil)
	if want(t, r, run.Denied, "[agents.shell]"); shown != "" {
		t.Errorf("it ran: %q", shown)
	}
}

// A secret is in the environment of the command, and nowhere that anybody looks.
func TestSecrets(t *testing.T) {
	env := map[string]any{"TOKEN": types.Secret{Name: "token"}, "HEADER": types.Parts{"Bearer ", types.Secret{Name: "token"}}, "N": 3, "F": 1.5, "B": true}
	r, shown := call(t, shell.Config{}, nil, map[string]any{"env": env, "sh": `
		[ "$TOKEN" = "c4n""ary-value" ] && [ "$HEADER" = "Bearer c4n""ary-value" ] && [ "$N$F$B" = 31.5true ] || exit 9
		if [ -r /proc/$$/cmdline ]; then ! tr '\0' ' ' < /proc/$$/cmdline | grep -q "$(printf 'c4n%s' ary-value)" || exit 8; fi
		echo "leak $TOKEN"; echo "oops $TOKEN" >&2; exit 5`})
	want(t, r, run.Failure, "code 5", "oops ‹secret token›")
	if strings.Contains(fmt.Sprint(r)+shown, "c4nary-value") || shown != "leak ‹secret token›\n" {
		t.Errorf("leaked: %+v, shown %q", r, shown)
	}
	t.Setenv("SOME_API_KEY", "other")
	if r, _ := call(t, shell.Config{}, nil, map[string]any{"sh": "echo [$SOME_API_KEY]"}); r.Value != "[]" {
		t.Errorf("our environment leaked: %v", r.Value)
	}
	if r, _ := call(t, shell.Config{Env: []string{"SOME_API_KEY"}}, nil, map[string]any{"sh": "echo [$SOME_API_KEY]"}); r.Value != "[other]" {
		t.Errorf("a configured variable did not arrive: %v", r.Value)
	}
}

func TestCancelAndTimeout(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	r, _ := callIn(ctx, t, shell.Config{Grace: 200 * time.Millisecond}, &agent.Call{Args: map[string]any{"sh": "trap '' TERM; while :; do sleep 1; done"}})
	want(t, r, run.Timeout)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %v", took)
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	r, _ = callIn(ctx, t, shell.Config{}, &agent.Call{Text: []string{"sleep", "60"}})
	want(t, r, run.Stopped)
}

func TestSignature(t *testing.T) {
	a := shell.New(shell.Config{Name: "sandbox"})
	s := a.Signatures()[0]
	if s.Name != "sandbox" || s.Effect != types.Do || s.Text != types.Argv || s.Idempotent || !s.World {
		t.Errorf("%+v", s)
	}
	if err := a.(agent.Checker).Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := shell.New(shell.Config{Shell: []string{"no-such-shell", "-c"}}).(agent.Checker).Check(t.Context()); err == nil {
		t.Error("a missing shell was not noticed")
	}
}

// Each run works in a folder of its own: what one leaves there is there for its next command, and for nobody else.
func TestRunFolder(t *testing.T) {
	root := filepath.Join(t.TempDir(), "work", "here")
	c := shell.Config{RunFolder: func(id run.ID) string { return filepath.Join(root, string(id)) }}
	in := func(id run.ID, script string) agent.Reply {
		r, _ := callIn(t.Context(), t, c, &agent.Call{Run: id, Folder: t.TempDir(), Args: map[string]any{"sh": script}})
		return r
	}
	if r := in("a", "touch left && ls && pwd -P"); r.Outcome != "" || !strings.HasPrefix(r.Value.(string), "left\n") || !strings.HasSuffix(r.Value.(string), "/work/here/a") {
		t.Errorf("the first run: %+v", r)
	}
	if r := in("b", "ls"); r.Value != "" {
		t.Errorf("the second run finds %q", r.Value)
	}
	if r := in("a", "ls; rm left; rmdir ../a"); r.Value != "left" {
		t.Errorf("the first run goes on: %+v", r)
	}
	if r := in("a", "ls"); r.Value != "" {
		t.Errorf("a folder that was removed is made anew: %+v", r)
	}
	info, err := os.Stat(filepath.Join(root, "b"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(root, "c")); err != nil {
		t.Fatal(err)
	}
	want(t, in("c", "true"), run.Failure, "is no folder")
	c.Folder = t.TempDir()
	if r := in("d", "pwd -P"); r.Outcome != "" || strings.Contains(r.Value.(string), "work") {
		t.Errorf("a folder that is configured counts before it: %+v", r)
	}
}
