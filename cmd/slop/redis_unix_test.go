//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/store/redis/redistest"
)

// A run on a Redis: slop is killed and goes on, then the server is killed, and slop, which was told nothing of it, goes on when it is back.
func TestRunsOnARedis(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "everysec")
	tale := newStory(t, "a = shell \"sh -c 'echo a >> log; until [ -e go ]; do sleep 0.05; done'\"\nb = shell \"sh -c 'echo b >> log; echo B'\"\noutput b\n")
	dir, script := tale.dir, "main.slop"
	slop := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
		cmd := tale.command(args...)
		cmd.Env = append(cmd.Env, "SLOP_STORE="+server.URL(), "CI=1")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		return cmd, &out
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); {
			if time.Now().After(end) {
				t.Fatalf("never: %s", what)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	lines := func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "log")) // none yet: no lines
		return string(text)
	}
	first, _ := slop("run", script)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	until("a began", func() bool { return lines() == "a\n" })
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // killed
	list, out := slop("runs", "--json")
	if err := list.Run(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, rest, _ := strings.Cut(out.String(), `"id": "`)
	id, _, _ := strings.Cut(rest, `"`)
	if len(id) != 26 {
		t.Fatalf("the list is %s", out)
	}
	ask, out := slop("resume", id)
	if err := ask.Run(); ask.ProcessState.ExitCode() != exitWaiting {
		t.Fatalf("a call that changes the world was interrupted, and resume ends with %v: %s", err, out)
	}
	again, out := slop("answer", id, "a", "again")
	if err := again.Run(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	second, out := slop("resume", id)
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	until("a began again", func() bool { return lines() == "a\na\n" })
	server.Kill()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server.Restart()
	if err := second.Wait(); err != nil || !strings.Contains(out.String(), "B\n") {
		t.Errorf("%v: %s", err, out)
	}
	if got := lines(); got != "a\na\nb\n" {
		t.Errorf("what was done:\n%s", got)
	}
}

// A project says in its slop.toml where its runs are kept, and a run in the background is kept there too.
func TestRunsOnTheStoreOfTheProject(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes")
	server.Do("ACL", "SETUSER", "me", "on", ">hunter22", "~*", "&*", "+@all")
	s := newStory(t, "output shell(sh: 'echo done')\n")
	if err := os.WriteFile(filepath.Join(s.dir, "slop.toml"), []byte("[store]\nurl_env = \"THE_STORE\"\nprefix = \"ours\"\nlease = \"5s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address := "redis://me:hunter22@" + server.Addr()
	t.Setenv("THE_STORE", address)
	s.want(exitOK, "done\n", "run", "-q", "main.slop")
	out, problems, code := s.slop("run", "--detach", "main.slop")
	id := strings.TrimSpace(out)
	if code != exitOK || len(id) != 26 {
		t.Fatalf("exit %d, %q\n%s", code, out, problems)
	}
	if out, problems, code := s.slop("runs", "logs", "-f", id); code != exitOK || !strings.Contains(out, "run succeeded") {
		t.Errorf("exit %d\n%s%s", code, out, problems)
	}
	if out, _, _ := s.slop("doctor"); !strings.Contains(out, "store  redis://me@"+server.Addr()+" (THE_STORE)") || strings.Contains(out, "hunter22") {
		t.Errorf("doctor says\n%s", out)
	}
	elsewhere := newStory(t, "")
	t.Setenv("SLOP_STORE", address)
	t.Setenv("SLOP_STORE_PREFIX", "ours")
	if out, problems, code := elsewhere.slop("runs", "--json"); code != exitOK || strings.Count(out, `"succeeded"`) != 2 {
		t.Errorf("from elsewhere: exit %d\n%s%s", code, out, problems)
	}
}
