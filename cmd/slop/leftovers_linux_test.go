package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// pid reads the number of a process that a script has noted.
func (s *story) pid(name string) int {
	s.t.Helper()
	s.await(name)
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = syscall.Kill(n, syscall.SIGKILL) })
	return n
}

func running(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// When slop is killed what its calls had started goes on: whoever takes the run up ends it before a call is made again. What an earlier step left running on purpose
// stays, and so does what another slop, which lives, is running.
func TestNoOrphanAfterResume(t *testing.T) {
	t.Parallel()
	s := newStory(t, `a = shell(sh: 'setsid sleep 300 >/dev/null 2>&1 & echo $! > daemon.new; mv daemon.new daemon')
b = shell(sh: 'if test -e go; then echo B; else setsid sh -c "trap : TERM; echo \$\$ > deaf.new; mv deaf.new deaf; while :; do sleep 300; done" & sleep 300 & echo $! > orphan.new; mv orphan.new orphan; wait; fi') after a
output b
`)
	other := newStory(t, "output shell(sh: 'sleep 300 & echo $! > child.new; mv child.new child; wait')\n")
	state := filepath.Join(s.dir, "state")
	living, _ := other.begin("child", "--state", state)
	child := other.pid("child")
	cmd, _ := s.begin("deaf", "--state", state)
	orphan, deaf, daemon := s.pid("orphan"), s.pid("deaf"), s.pid("daemon")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !running(orphan) || !running(deaf) {
		t.Fatal("they ended by themselves")
	}
	out, _, _ := s.slop("runs", "--state", state, "--json", "--limit", "1")
	_, rest, _ := strings.Cut(out, `"id": "`)
	id, _, _ := strings.Cut(rest, `"`)
	if !running(orphan) {
		t.Error("who only looks ends something")
	}
	if said := s.want(exitWaiting, "", "resume", "-q", "-v", "--state", state, id); !strings.Contains(said, `msg="ended what a dead process left running" commands=1`) {
		t.Errorf("resume says\n%s", said)
	}
	for name, pid := range map[string]int{"orphan": orphan, "deaf": deaf} {
		if running(pid) {
			t.Errorf("the %s %d is running beside the run that was resumed", name, pid)
		}
	}
	for name, pid := range map[string]int{"daemon": daemon, "child": child, "other slop": living.Process.Pid} {
		if !running(pid) {
			t.Errorf("the %s %d was ended", name, pid)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.want(exitOK, "", "answer", "--state", state, id, "b", "again")
	s.want(exitOK, "B\n", "resume", "-q", "--state", state, id)
}
