//go:build unix

package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A process that is stopped past its lease loses its run to another. When it goes on, nothing that it has to say is written: the run has one history, one
// result, and each command ran once.
func TestStoppedPastItsLease(t *testing.T) {
	s := newStory(t, `t = thinker "think"
b = shell(sh: 'echo "b after $T" >> log; touch at-b; while ! test -e go; do sleep 0.05; done; echo B', env: {T: t})
output "<<t>> <<b>>"
`)
	var asked atomic.Int32
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			_ = os.WriteFile(filepath.Join(s.dir, "at-t"), nil, 0o644)
			<-release
		}
		model(w, r)
	}))
	t.Cleanup(server.Close)
	answer := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answer)
	conf := fmt.Sprintf("[agents.thinker]\nuse = \"openai\"\nbase_url = %q\nmodel = \"m\"\napi_key_env = \"THE_KEY\"\n", server.URL+"/v1")
	if err := os.WriteFile(filepath.Join(s.dir, "slop.toml"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("THE_KEY", "key-of-the-test")
	t.Setenv("SLOP_LEASE", "1s")

	first := s.command("run", "-q", "main.slop")
	var heard, said bytes.Buffer
	first.Stdout, first.Stderr = &heard, &heard
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if first.ProcessState == nil {
			_ = first.Process.Kill()
			_ = first.Wait()
		}
	})
	s.await("at-t")
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	id := s.newest()
	taken := make(chan struct{})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) { // until the lease has lapsed
		second := s.command("resume", "-q", id)
		said.Reset()
		second.Stdout, second.Stderr = &said, &said
		if err := second.Start(); err != nil {
			t.Fatal(err)
		}
		taken = make(chan struct{})
		go func() {
			_ = second.Wait()
			close(taken)
		}()
		if s.appears("at-b", taken) {
			break
		}
		if code := second.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(said.String(), "is at work") || time.Now().After(deadline) {
			t.Fatalf("taking over: exit %d\n%s", code, said.String())
		}
	}
	answer()
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // it hears the answer to its call, and may try to write what it likes
	if err := os.WriteFile(filepath.Join(s.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it has become one who watches
	if code := first.ProcessState.ExitCode(); code != exitOK || heard.String() != "m says: think B\n" {
		t.Errorf("the process that lost its run ended with %d and said\n%s", code, heard.String())
	}
	<-taken
	if said.String() != "m says: think B\n" {
		t.Errorf("the process that took over printed\n%s", said.String())
	}
	s.want(exitOK, "m says: think B\n", "resume", "-q", id)
	if log, err := os.ReadFile(filepath.Join(s.dir, "log")); string(log) != "b after m says: think\n" {
		t.Errorf("what was called: %q, %v", log, err)
	}
	events, _, _ := s.slop("runs", "events", id)
	if n := strings.Count(events, `"kind":"call_done","path":"t"`); n != 1 {
		t.Errorf("the thought has %d results:\n%s", n, events)
	}
}

// appears waits for a file that a script makes, or for the end of the process that should.
func (s *story) appears(name string, ended <-chan struct{}) bool {
	for {
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
		if _, err := os.Stat(filepath.Join(s.dir, name)); err == nil {
			return true
		}
	}
}
