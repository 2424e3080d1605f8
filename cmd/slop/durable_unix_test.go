//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// story is a folder in which slop is run, and killed.
type story struct {
	t   *testing.T
	dir string
}

func newStory(t *testing.T, script string) *story {
	s := &story{t, t.TempDir()}
	if err := os.WriteFile(filepath.Join(s.dir, "main.slop"), []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *story) command(args ...string) *exec.Cmd {
	cmd := exec.Command("slop", args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "SLOP_HOME="+filepath.Join(s.dir, "home"), "SLOP_STATE=", "SLOP_TRUST=1", "CI=")
	return cmd
}

// slop runs a command to its end.
func (s *story) slop(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	cmd := s.command(args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// want runs a command and compares what it prints and how it ends.
func (s *story) want(code int, stdout string, args ...string) (stderr string) {
	s.t.Helper()
	out, problems, got := s.slop(args...)
	if got != code || out != stdout {
		s.t.Errorf("slop %s: exit %d, want %d; it printed %q, want %q; and said\n%s", strings.Join(args, " "), got, code, out, stdout, problems)
	}
	return problems
}

// await waits for a file that a script makes.
func (s *story) await(name string) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(s.dir, name)); err == nil {
			return
		}
	}
	s.t.Fatalf("there is no %s", name)
}

// begin starts a run and returns when the script has made the file.
func (s *story) begin(file string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	s.t.Helper()
	cmd := s.command(append([]string{"run", "main.slop"}, args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	s.await(file)
	return cmd, &problems
}

// newest is the run that was begun last.
func (s *story) newest() string {
	s.t.Helper()
	out, problems, _ := s.slop("runs", "--limit", "1")
	_, row, ok := strings.Cut(out, "\n")
	if !ok || len(row) < 26 {
		s.t.Fatalf("no run: %s%s", out, problems)
	}
	return row[:26]
}

// thinks is a script whose second step only reads, hangs the first time, and answers the second.
const thinks = `a = shell(sh: 'echo a >> log; echo A')
b = shell(sh: 'echo b >> log; touch at-b; if test -e go; then echo B; else exec sleep 100; fi')
output "<<a>> <<b>>"
`

// A process that is killed loses nothing that was stored, and its run is taken up at once; a deed that was under way is asked about, not repeated.
func TestKillAndResume(t *testing.T) {
	t.Parallel()
	s := newStory(t, thinks)
	cmd, _ := s.begin("at-b")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	id := s.newest()
	if out, _, _ := s.slop("runs"); !strings.Contains(out, "stopped") {
		t.Errorf("a killed run is listed as\n%s", out)
	}
	begun := time.Now()
	if said := s.want(exitWaiting, "", "resume", id[:20]); !strings.Contains(said, "slop answer "+id+" b done [VALUE], or again, or fail") {
		t.Errorf("the interrupted call is asked about with\n%s", said)
	}
	if took := time.Since(begun); took > leaseTime-time.Second {
		t.Errorf("it was taken up after %v: the lease of a dead process is void", took)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.want(exitUsage, "", "answer", id, "b", "perhaps")
	s.want(exitOK, "", "answer", id, "b", "again")
	s.want(exitOK, "A B\n", "resume", id)
	s.want(exitOK, "A B\n", "resume", id)
	if log, err := os.ReadFile(filepath.Join(s.dir, "log")); string(log) != "a\nb\nb\n" {
		t.Errorf("what was called: %q, %v", log, err)
	}
}

// The answer `done` with a value stands for a call that was cut off. A text is a text also when it looks like a number, and may be long, from a file.
func TestDoneWithAValue(t *testing.T) {
	t.Parallel()
	s := newStory(t, thinks)
	cmd, _ := s.begin("at-b")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	long := strings.Repeat("é", 50_000)
	if err := os.WriteFile(filepath.Join(s.dir, "value"), []byte(long), 0o644); err != nil {
		t.Fatal(err)
	}
	id := s.newest()
	s.want(exitWaiting, "", "resume", "-q", id)
	s.want(exitUsage, "", "answer", id, "b", "done", "@nowhere")
	s.want(exitOK, "", "answer", id, "b", "done", "@value")
	s.want(exitOK, "A "+long+"\n", "resume", "-q", id)

	_ = os.Remove(filepath.Join(s.dir, "at-b"))
	cmd, _ = s.begin("at-b")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	id = s.newest()
	s.want(exitWaiting, "", "resume", "-q", id)
	s.want(exitOK, "", "answer", id, "b", "done", "70")
	s.want(exitOK, "A 70\n", "resume", "-q", id)
}

// Ctrl-C ends the work of this process and keeps the run; cancel is how to end it for good.
func TestInterruptKeepsTheRun(t *testing.T) {
	t.Parallel()
	s := newStory(t, `a = shell "touch at-a"
w = wait "1h" after a
output echo "never" after w
`)
	cmd, problems := s.begin("at-a")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	id := s.newest()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(problems.String(), "slop resume "+id) {
		t.Errorf("exit %d, and it said\n%s", code, problems)
	}
	if out, _, _ := s.slop("runs", "--status", "running", "--json"); !strings.Contains(out, id) {
		t.Errorf("the run is not kept: %s", out)
	}
	if said := s.want(exitOK, "", "runs", "cancel", id); !strings.Contains(said, "cancelled") {
		t.Errorf("cancel said %s", said)
	}
	s.want(exitInterrupted, "", "resume", "-q", id)
}

// What changes the world is waited for when a process is told to stop, so that nobody has to ask later whether it was done.
func TestInterruptWaitsForDeeds(t *testing.T) {
	t.Parallel()
	s := newStory(t, `a = shell(sh: 'touch at-a; while ! test -e go; do sleep 0.05; done; echo A')
output shell "echo B <<a>>"
`)
	cmd, problems := s.begin("at-a", "--json")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(problems.String(), "is waited for") {
		t.Errorf("exit %d, and it said\n%s", code, problems)
	}
	s.want(exitOK, "B A\n", "resume", "-q", s.newest())
}

// A run that works in the background says who it is at once, can be steered from elsewhere, and outlives the command that began it.
func TestDetach(t *testing.T) {
	t.Parallel()
	s := newStory(t, `a = shell "touch at-a"
ok = human.approve "Go?"
output "said <<ok>>"
`)
	out, problems, code := s.slop("run", "--detach", "main.slop")
	id := strings.TrimSpace(out)
	if code != exitOK || len(id) != 26 {
		t.Fatalf("exit %d, %q\n%s", code, out, problems)
	}
	t.Cleanup(func() { s.slop("runs", "cancel", id) })
	s.await("at-a")
	if said := s.want(exitUsage, "", "resume", id); !strings.Contains(said, "process ") || !strings.Contains(said, "slop runs logs -f "+id) {
		t.Errorf("of a run that is under way resume says\n%s", said)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if out, _, code := s.slop("answer", id, "ok", "approve"); code == exitOK {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the question is not asked: %s", out)
		}
	}
	follow := s.command("runs", "events", "-f", id)
	var seen bytes.Buffer
	follow.Stdout = &seen
	if err := follow.Run(); err != nil || !strings.Contains(seen.String(), `"kind":"finished","status":"succeeded","value":"said yes"`) {
		t.Errorf("%v, and the events are\n%s", err, seen.String())
	}
	s.want(exitOK, "said yes\n", "resume", "-q", id)
	if log, err := os.ReadFile(filepath.Join(s.dir, "home", "state", "logs", id+".log")); err != nil || !strings.Contains(string(log), "said yes\n") || !strings.Contains(string(log), "level=INFO msg=\"took up a run\" run="+id) {
		t.Errorf("its log is %q, %v", log, err)
	}
}

// A run in the background is in a session of its own: the end of the terminal is not its end.
func TestDetachedSession(t *testing.T) {
	t.Parallel()
	s := newStory(t, `output shell(sh: 'echo $PPID > parent; touch at-a; while ! test -e go; do sleep 0.05; done; echo done')
`)
	cmd := s.command("run", "-d", "main.slop")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(out))
	t.Cleanup(func() { s.slop("runs", "cancel", id) })
	s.await("at-a")
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP) // whoever is left of the group
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _, code := s.slop("runs", "logs", "-f", id); code != exitOK || !strings.Contains(out, "run succeeded") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// A fork may work in the background too.
func TestDetachedFork(t *testing.T) {
	t.Parallel()
	s := newStory(t, `a = shell(sh: 'echo a >> calls; echo a')
output shell(sh: 'echo b >> calls; echo b', stdin: a)
`)
	s.want(exitOK, "b\n", "run", "-q", "main.slop")
	origin := s.newest()
	out, said, code := s.slop("runs", "fork", "-d", "--from", "output", origin)
	id := strings.TrimSpace(out)
	if code != exitOK || len(id) != len(origin) || id == origin || !strings.Contains(said, "output") {
		t.Fatalf("exit %d, stdout %q\n%s", code, out, said)
	}
	if out, _, code := s.slop("runs", "logs", "-f", id); code != exitOK || !strings.Contains(out, "run succeeded") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if calls, err := os.ReadFile(filepath.Join(s.dir, "calls")); err != nil || string(calls) != "a\nb\nb\n" {
		t.Errorf("called were %q, %v", calls, err)
	}
	if out, _, code := s.slop("runs", "fork", "-d", "-n", "--from", "output", origin); code != exitUsage || out != "" {
		t.Errorf("-d with -n: exit %d, %q", code, out)
	}
}

// The story that the README tells of a run that is killed is true.
func TestReadmeNight(t *testing.T) {
	t.Parallel()
	s := newStory(t, "")
	if err := os.WriteFile(filepath.Join(s.dir, "night.slop"), []byte(named(t, "night.slop")), 0o644); err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, p := range prompted(t) {
		switch {
		case strings.Contains(p.line, "night.slop"):
			cmd := s.command()
			cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", p.line}
			cmd.Err = nil
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), "[facts] shell done") {
				t.Errorf("%s: %v\n%s", p.line, err, out)
			}
			told++
		case p.line == "slop runs":
			if out, _, _ := s.slop("runs"); !strings.Contains(out, "stopped") {
				t.Errorf("the run is listed as\n%s", out)
			}
			told++
		case strings.HasSuffix(p.line, " ID"):
			words := strings.Fields(strings.TrimSuffix(p.line, " ID"))
			id := s.newest()
			s.want(exitOK, p.output, append(words[1:], id)...)
			if out, _, _ := s.slop("runs", "logs", id); strings.Count(out, "[facts] shell started") != 1 {
				t.Errorf("the shell was called again:\n%s", out)
			}
			told++
		}
	}
	if told != 3 {
		t.Errorf("the README tells %d parts of the story", told)
	}
}
