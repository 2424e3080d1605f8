//go:build unix

package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/remote"
)

// program is an agent whose program plays a role.
func program(t *testing.T, role string, notes ...string) *remote.Agent {
	t.Helper()
	a := remote.NewProgram(playing(role, notes...))
	t.Cleanup(func() { a.Close() })
	return a
}

// playing is the test binary in a role; it leaves notes of its processes in a folder.
func playing(role string, notes ...string) remote.Program {
	return remote.Program{
		Name: "mine", Command: []string{os.Args[0], "play", role, strings.Join(notes, "")}, Env: []string{"GOCOVERDIR"}, Grace: 300 * time.Millisecond,
	}
}

// known is one that has said hello.
func known(t *testing.T, role string, notes ...string) *remote.Agent {
	t.Helper()
	a := program(t, role, notes...)
	if _, err := a.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

func ask(ctx context.Context, a *remote.Agent, text string, more ...func(*agent.Call)) agent.Reply {
	sig := a.Signatures()[0]
	c := &agent.Call{Run: "r", Path: "p", Key: "r/p", Attempt: 1, Callee: &sig, Text: text, Args: map[string]any{}, Emit: func(agent.Progress) {}}
	for _, m := range more {
		m(c)
	}
	return a.Call(ctx, c)
}

func TestCalls(t *testing.T) {
	t.Parallel()
	a := known(t, "good")
	sigs := a.Signatures()
	if len(sigs) != 2 || sigs[0].Effect != types.Read || sigs[0].Primary != "text" || !sigs[0].Params[2].Secret || sigs[1].Name != "remote.think" || !sigs[1].Structured {
		t.Fatalf("%+v", sigs)
	}
	for text, want := range map[string]string{"echo one two": "one two", "split": "grün", "others": "mine", "twice": "first", "big": strings.Repeat("ü", 3<<20/2)} {
		if r := ask(t.Context(), a, text); r.Value != want || r.Outcome != "" {
			t.Errorf("%s: %.200v %s %s", text, r.Value, r.Outcome, r.Message)
		}
	}
	t.Run("what a call is told", func(t *testing.T) {
		r := ask(t.Context(), a, "all", func(c *agent.Call) {
			c.Args["count"], c.Attempt, c.System, c.Deadline = 3, 2, "Be kind.", time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
			c.Repair = &run.Repair{Round: 1, Answer: "x", Problems: []string{"no"}}
		})
		var m map[string]any
		if err := json.Unmarshal([]byte(r.Value.(string)), &m); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{
			"key": "r/p", "attempt": "2", "system": "Be kind.", "deadline": "2030-01-02T03:04:05Z", "capability": "", "args": "map[count:3 text:all]",
			"repair": "map[answer:x problems:[no] round:1]", "type": "call",
		} {
			if got := fmt.Sprint(m[key]); got != want {
				t.Errorf("%s is %s, want %s", key, got, want)
			}
		}
	})
	t.Run("progress and usage", func(t *testing.T) {
		var seen []agent.Progress
		r := ask(t.Context(), a, "progress", func(c *agent.Call) { c.Emit = func(p agent.Progress) { seen = append(seen, p) } })
		if len(seen) != 2 || seen[0].Delta != "a" || seen[1].Note != "half way" {
			t.Errorf("%+v", seen)
		}
		if u := r.Usage; u.Input != 10 || u.Output != 5 || u.Cost != 250_000 || u.CostSource != run.Reported || u.Tokens != run.Reported || u.Model != "m" {
			t.Errorf("%+v", u)
		}
	})
	t.Run("outcomes", func(t *testing.T) {
		for said, want := range map[string]run.Outcome{
			"unavailable": run.Unavailable, "rate_limited": run.RateLimited, "refused": run.Refused, "denied": run.Denied, "timeout": run.Timeout, "error": run.Failure,
			"": run.Failure, "cancelled": run.Failure, "interrupted": run.Failure, "budget": run.Failure, "asks": run.Failure, "nonsense": run.Failure,
		} {
			r := ask(t.Context(), a, "fail "+said)
			if r.Outcome != want || r.RetryAfter != 2500*time.Millisecond || !strings.HasPrefix(r.Message, "mine: ") {
				t.Errorf("%s: %+v", said, r)
			}
		}
	})
	t.Run("a question in mid-call", func(t *testing.T) {
		r := ask(t.Context(), a, "ask")
		if r.Outcome != run.Asks || r.Form.Text != "Really?" || r.Form.Kind != "choose" || len(r.Form.Choices) != 2 || r.Token != "t1" {
			t.Fatalf("%+v", r)
		}
		r = ask(t.Context(), a, "ask", func(c *agent.Call) { c.Answer = &run.Answer{Token: "t1", Value: "yes"} })
		if r.Value != "t1 yes" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("many at a time in one process", func(t *testing.T) {
		var group sync.WaitGroup
		pids := make([]string, 8)
		for i := range pids {
			group.Go(func() { pids[i], _ = ask(t.Context(), a, "pid").Value.(string) })
		}
		group.Wait()
		for _, pid := range pids {
			if pid == "" || pid != pids[0] {
				t.Errorf("%v", pids)
				break
			}
		}
	})
}

// Secrets go into arguments that are marked, and nowhere else; the program sees of the environment what it may.
func TestSecretsAndEnvironment(t *testing.T) {
	t.Setenv("CANARY", "canary-value")
	a := known(t, "good")
	source := func(string) (string, error) { return "s3cret-value", nil }
	if r := ask(t.Context(), a, "token", func(c *agent.Call) { c.Args["token"], c.Secret = types.Secret{Name: "key"}, source }); r.Value != "s3cret-value" {
		t.Errorf("%+v", r)
	}
	for _, spoil := range []func(*agent.Call){
		func(c *agent.Call) { c.Text = types.Parts{"echo ", types.Secret{Name: "key"}} },
		func(c *agent.Call) { c.Args["count"] = []any{types.Secret{Name: "key"}} },
	} {
		r := ask(t.Context(), a, "all", func(c *agent.Call) { c.Secret = source }, spoil)
		if r.Outcome != run.Failure || !strings.Contains(r.Message, "secret") || strings.Contains(r.Message, "s3cret-value") {
			t.Errorf("%+v", r)
		}
	}
	r := ask(t.Context(), a, "fail s3cret-value", func(c *agent.Call) {
		c.Args["token"], c.Secret = types.Secret{Name: "key"}, source
	})
	if strings.Contains(r.Message, "s3cret-value") {
		t.Errorf("%+v", r)
	}
	if r := ask(t.Context(), a, "env CANARY"); r.Value != "" {
		t.Errorf("it sees the environment: %+v", r)
	}
}

// A program that never becomes an agent is ended, and the reason says what to do.
func TestProgramsThatAreNoAgents(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]string{
		"quits": "ended with code 3:\nno licence found", "future": "speaks protocol 2, and slop speaks 1", "bare": "names no capabilities",
		"endless": "line longer than 16 MiB", "noise": "floods",
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			_, err := program(t, role).Describe(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("mute", func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		if _, err := program(t, "mute").Describe(ctx); err == nil || !strings.Contains(err.Error(), "no hello") {
			t.Errorf("%v", err)
		}
	})
	t.Run("absent", func(t *testing.T) {
		a := remote.NewProgram(remote.Program{Name: "mine", Command: []string{"./no-such-program"}})
		defer a.Close()
		if _, err := a.Describe(t.Context()); err == nil || !strings.Contains(err.Error(), "./no-such-program is not there") {
			t.Errorf("%v", err)
		}
	})
	t.Run("babble before the hello is no harm", func(t *testing.T) {
		if r := ask(t.Context(), known(t, "babbles"), "echo hi"); r.Value != "hi" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("leaves after the hello", func(t *testing.T) {
		a := known(t, "leaves")
		if r := ask(t.Context(), a, "echo hi"); r.Outcome != run.Unavailable {
			t.Errorf("%+v", r)
		}
	})
}

// A program that dies takes its calls with it, as unavailable, and is there again for the next.
func TestDeathInMidCall(t *testing.T) {
	t.Parallel()
	a := known(t, "good")
	before := ask(t.Context(), a, "pid").Value
	var group sync.WaitGroup
	hanging := make(chan agent.Reply, 1)
	told := make(chan struct{})
	group.Go(func() {
		go func() { close(told) }()
		hanging <- ask(t.Context(), a, "hang")
	})
	<-told
	r := ask(t.Context(), a, "die")
	if r.Outcome != run.Unavailable || !strings.Contains(r.Message, "137") || !strings.Contains(r.Message, "out of memory") {
		t.Errorf("%+v", r)
	}
	group.Wait()
	if r := <-hanging; r.Outcome != run.Unavailable && r.Outcome != "" {
		t.Errorf("the call beside it: %+v", r)
	}
	if after := ask(t.Context(), a, "pid").Value; after == "" || after == nil || after == before {
		t.Errorf("it was not started again: %v, then %v", before, after)
	}
}

// A call that is cancelled ends by itself with what it used, or its process is ended once nobody else needs it.
func TestCancel(t *testing.T) {
	t.Parallel()
	cancelled := func(a *remote.Agent, text string) agent.Reply {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(100 * time.Millisecond); cancel() }()
		return ask(ctx, a, text)
	}
	a := known(t, "good")
	before := ask(t.Context(), a, "pid").Value
	if r := cancelled(a, "hang"); r.Outcome != run.Stopped || r.Usage.Input != 7 {
		t.Errorf("%+v", r)
	}
	if ask(t.Context(), a, "pid").Value != before {
		t.Error("a program that obeys was ended")
	}
	notes := t.TempDir()
	a = known(t, "deaf", notes)
	if r := cancelled(a, "ignore"); r.Outcome != run.Stopped {
		t.Errorf("%+v", r)
	}
	if r := ask(t.Context(), a, "echo hi"); r.Value != "hi" {
		t.Errorf("beside one that is deaf: %+v", r)
	}
	a.Close()
	files, _ := filepath.Glob(filepath.Join(notes, "pid-*"))
	if len(files) != 2 {
		t.Errorf("%v", files)
	}
	for _, f := range files {
		pid, _ := strconv.Atoi(strings.TrimPrefix(filepath.Base(f), "pid-"))
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("%d lives", pid)
		}
	}
}

// What a program started ends with it.
func TestCloseEndsTheTree(t *testing.T) {
	t.Parallel()
	notes := t.TempDir()
	a := known(t, "stray", notes)
	if r := ask(t.Context(), a, "echo hi"); r.Value != "hi" {
		t.Fatalf("%+v", r)
	}
	text, err := os.ReadFile(filepath.Join(notes, "child"))
	if err != nil {
		t.Fatal(err)
	}
	child, _ := strconv.Atoi(string(text))
	a.Close()
	for range 200 {
		if syscall.Kill(child, 0) != nil {
			return
		}
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child)); err == nil && strings.Contains(string(state), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d lives", child)
}

// One that promised a heartbeat and falls silent is given up; one that keeps it is not.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	a := known(t, "dumb")
	if r := ask(t.Context(), a, "hang"); r.Outcome != run.Unavailable || !strings.Contains(r.Message, "no longer answers") {
		t.Errorf("%+v", r)
	}
	if r := ask(t.Context(), a, "echo hi"); r.Value != "hi" {
		t.Errorf("it was not started again: %+v", r)
	}
	a = known(t, "beats")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if r := ask(ctx, a, "hang"); r.Outcome != run.Timeout && r.Outcome != run.Stopped {
		t.Errorf("%+v", r)
	}
}

// A program that takes one call at a time runs as often as calls are made.
func TestMoreProcesses(t *testing.T) {
	t.Parallel()
	a := known(t, "single")
	var group sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 2 {
		group.Go(func() { ask(ctx, a, "hang") })
	}
	if r := ask(t.Context(), a, "echo hi"); r.Value != "hi" {
		t.Errorf("%+v", r)
	}
	cancel()
	group.Wait()
}

// A flood of progress ends the process that floods; one that does not read its input is given up.
func TestFloods(t *testing.T) {
	t.Parallel()
	a := known(t, "good")
	var count atomic.Int64
	r := ask(t.Context(), a, "flood", func(c *agent.Call) { c.Emit = func(agent.Progress) { count.Add(1) } })
	if r.Outcome != run.Unavailable || !strings.Contains(r.Message, "64 MiB") || count.Load() == 0 {
		t.Errorf("%+v after %d", r, count.Load())
	}
	if os.Getenv("SLOP_LONG") == "" {
		return // it takes ten seconds to give it up
	}
	a = known(t, "clogged")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	begun := time.Now()
	ask(ctx, a, strings.Repeat("x", 1<<20)) // more than a pipe holds
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("it took %v to give it up", took)
	}
}

// What was kept of a hello is as good as hearing it: nothing is begun before the first call.
func TestKnownBefore(t *testing.T) {
	t.Parallel()
	d, err := program(t, "good").Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := remote.Parse(d.Raw())
	if err != nil || again.Concurrency != 8 || len(again.Signatures) != 2 {
		t.Fatalf("%+v %v", again, err)
	}
	notes := t.TempDir()
	a := program(t, "good", notes)
	a.Known(again)
	if len(a.Signatures()) != 2 {
		t.Error("it has no signatures")
	}
	if files, _ := filepath.Glob(filepath.Join(notes, "*")); len(files) != 0 {
		t.Error("it was begun")
	}
	if err := a.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if r := ask(t.Context(), a, "echo hi"); r.Value != "hi" {
		t.Errorf("%+v", r)
	}
}
