package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/store"
)

// mixed is a flow with something of everything. Each of its commands says in the file `log` that it ran.
const mixed = `a = shell(sh: 'echo a >> log; echo A')
both = parallel {
  p = shell(sh: 'sleep 0.02; echo both/p >> log; echo "$A-p"', env: {A: a})
  q = shell(sh: 'echo both/q >> log; sleep 0.02; echo "$A-q"', env: {A: a})
}
kept = memory.set(path: "band.lead", value: both.p)
items = map i in 1..4 limit 2 {
  m = shell(sh: 'echo "items[$((I-1))]/m" >> log; sleep 0.01; echo "M$I"', env: {I: i, W: both.p})
}
pause = wait "50ms" after items
count = loop n from 0 max 2 {
  s = shell(sh: 'echo "count#$((N+1))/s" >> log; echo "S$N"', env: {N: n, B: both.q}) after pause
  let next = len(s) > 0 ? n + 1 : n
  output next
}
e = shell(sh: 'echo e >> log; exit 3') else "fallback"
big = shell(sh: 'echo big >> log; head -c 70000 /dev/zero | tr "\0" x') after count, e
size = shell(sh: 'echo size >> log; wc -c | tr -d " "', stdin: big)
thought = thinker "<<a>> of <<count>>"
lead = memory.get "band.lead" after kept, thought
ok = human.approve "Go with <<count>>?" after size, thought
last = shell(sh: 'echo last >> log; echo "L$OK"', env: {OK: ok})
output {a: a, both: both, items: items, count: count, e: e, size: size, length: len(big), thought: thought, lead: lead ?? "nobody", ok: ok, last: last}
`

// results are what the commands of mixed print; e fails.
var results = map[string]string{
	"a": "A", "both/p": "A-p", "both/q": "A-q", "items[0]/m": "M1", "items[1]/m": "M2", "items[2]/m": "M3", "items[3]/m": "M4",
	"count#1/s": "S0", "count#2/s": "S1", "big": strings.Repeat("x", 70000), "size": "70000", "last": "Lyes",
}

// crash is one run of mixed whose processes are killed.
type crash struct {
	*story
	t       *testing.T
	dice    *rand.Rand
	program string
	thought func() int // how often the model was called, for this run
	id      run.ID
	kills   int
	full    time.Duration // what an undisturbed run takes
	again   map[string]int
}

// TestCrashes kills the program at random points of a mixed flow, resumes until it ends, and compares with a run that nobody disturbed.
// SLOP_SEED repeats a story.
func TestCrashes(t *testing.T) {
	stories, kills := 3, 4
	if testing.Short() { // under the race detector: a process that is killed reports no race
		stories, kills = 2, 2
	}
	program, err := exec.LookPath("slop") // TestMain's
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("SLOP_LONG") != "" {
		stories, kills = 20, 10
		program = filepath.Join(t.TempDir(), "slop")
		if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("SLOP_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("SLOP_SEED=%d", seed)
	calm := newCrash(t, program, seed)
	begun := time.Now()
	calm.begin(false)
	calm.finish(0)
	full := time.Since(begun)
	undisturbed := calm.verify()
	if t.Failed() {
		return
	}
	t.Run("killed", func(t *testing.T) {
		for i := range stories {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				c := newCrash(t, program, seed+uint64(i))
				c.full = full
				for c.kills < kills {
					c.begin(i%2 == 1)
					c.finish(kills)
					if got := c.verify(); got != undisturbed {
						t.Errorf("the output is\n%s\nand that of an undisturbed run\n%s", got, undisturbed)
					}
					if t.Failed() {
						return
					}
				}
				t.Logf("%d kills", c.kills)
			})
		}
	})
}

func newCrash(t *testing.T, program string, seed uint64) *crash {
	c := &crash{t: t, story: newStory(t, mixed), dice: rand.New(rand.NewPCG(seed, 1)), program: program}
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		model(w, r)
	}))
	t.Cleanup(server.Close)
	c.thought = func() int { return int(calls.Swap(0)) }
	conf := fmt.Sprintf("[agents.thinker]\nuse = \"openai\"\nbase_url = %q\nmodel = \"m\"\napi_key_env = \"THE_KEY\"\n", server.URL+"/v1")
	if err := os.WriteFile(filepath.Join(c.dir, "slop.toml"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *crash) command(args ...string) *exec.Cmd {
	cmd := c.story.command(args...)
	cmd.Path = c.program
	cmd.Env = append(cmd.Env, "THE_KEY=key-of-the-test")
	return cmd
}

// kill runs a command and kills it at a random moment, unless it ends before that.
func (c *crash) kill(args ...string) (stdout, stderr string, killed bool) {
	c.t.Helper()
	cmd := c.command(args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	timer := time.AfterFunc(time.Duration(c.dice.Int64N(int64(c.full))), func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	timer.Stop()
	if killed = cmd.ProcessState.ExitCode() == -1; killed {
		c.kills++
	}
	return out.String(), problems.String(), killed
}

// begin starts a run, by a command that may be killed when there is something to lose.
func (c *crash) begin(detach bool) {
	c.t.Helper()
	_ = os.Remove(filepath.Join(c.dir, "log"))
	c.id, c.again = "", map[string]int{}
	known := c.list()
	args := []string{"run", "-q", "main.slop"}
	if detach {
		args = []string{"run", "--detach", "main.slop"}
	}
	for c.id == "" {
		var out, problems string
		killed := false
		if c.full == 0 {
			out, problems, _ = c.slop(args...)
		} else {
			out, problems, killed = c.kill(args...)
		}
		if detach && strings.HasSuffix(out, "\n") { // acknowledged
			c.id = run.ID(strings.TrimSpace(out))
		}
		for _, id := range c.list() {
			if !strings.Contains(strings.Join(known, " "), id) && c.id == "" {
				c.id = run.ID(id)
			}
		}
		switch {
		case c.id == "" && !killed:
			c.t.Fatalf("nobody killed it, and there is no run: %s%s", out, problems)
		case c.id != "":
			st := c.open()
			if _, err := st.history(c.t.Context(), c.id); err != nil {
				c.t.Fatalf("%s was acknowledged and is not there: %v", c.id, err)
			}
			st.close()
		}
	}
}

// slop runs a command to its end.
func (c *crash) slop(args ...string) (stdout, stderr string, code int) {
	c.t.Helper()
	cmd := c.command(args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// list gives the runs there are.
func (c *crash) list() (ids []string) {
	st := c.open()
	defer st.close()
	for id, err := range st.store.Unfinished(c.t.Context(), "") {
		if err != nil {
			c.t.Fatal(err)
		}
		ids = append(ids, string(id))
	}
	entries, _, err := st.store.List(c.t.Context(), store.Filter{Limit: store.MaxLimit})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		ids = append(ids, string(e.Run))
	}
	return ids
}

func (c *crash) open() *state {
	c.t.Helper()
	st, err := stateFlag{State: filepath.Join(c.dir, "home", "state")}.open(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return st
}

// finish resumes the run until it ends, and kills whoever works on it as long as there are kills to be had.
func (c *crash) finish(kills int) {
	c.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; {
		if time.Now().After(deadline) {
			c.t.Fatal("the run does not end")
		}
		c.stopBackground()
		c.nobodyIsLeft()
		if c.answer() {
			return
		}
		if c.kills < kills {
			c.kill("resume", "-q", string(c.id))
			continue
		}
		if out, problems, code := c.slop("resume", "-q", string(c.id)); code != exitOK && code != exitWaiting {
			c.t.Fatalf("resume: exit %d, %q\n%s", code, out, problems)
		}
	}
}

// stopBackground kills the process in the background that works on the run, at a random moment.
func (c *crash) stopBackground() {
	for pid, line := range c.processes() {
		if !strings.Contains(line, " --background ") {
			continue
		}
		if c.full > 0 {
			time.Sleep(time.Duration(c.dice.Int64N(int64(c.full)))) // the moment is the dice's
		}
		if now, ok := c.processes()[pid]; ok && now == line {
			if p, err := os.FindProcess(pid); err == nil && p.Kill() == nil {
				c.kills++
			}
		}
	}
}

// processes gives the command lines of those that work in the folder of the run.
func (c *crash) processes() map[int]string {
	found := map[int]string{}
	paths, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, path := range paths {
		if dir, err := os.Readlink(path); err == nil && dir == c.dir {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline")) // it may have ended
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			found[pid] = strings.ReplaceAll(string(line), "\x00", " ")
		}
	}
	return found
}

// nobodyIsLeft sees to it that no process of a killed run goes on.
func (c *crash) nobodyIsLeft() {
	c.t.Helper()
	var left map[int]string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if left = c.processes(); len(left) == 0 {
			return
		}
	}
	c.t.Errorf("processes are left: %v", left)
}

// lines counts what the commands wrote.
func (c *crash) lines() map[string]int {
	text, err := os.ReadFile(filepath.Join(c.dir, "log"))
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	lines := map[string]int{}
	for line := range strings.Lines(string(text)) {
		lines[strings.TrimSuffix(line, "\n")]++
	}
	return lines
}

// answer answers every question of the run, and reports that it has ended.
func (c *crash) answer() (ended bool) {
	c.t.Helper()
	st := c.open()
	h, err := st.history(c.t.Context(), c.id)
	st.close()
	if err != nil {
		c.t.Fatal(err)
	}
	if h.finished() != nil {
		return true
	}
	for _, step := range waiting(h.fold().View()) {
		words := []string{"approve"}
		if step.Form.Kind == "interrupted" {
			path := string(step.Path)
			result, known := results[path]
			switch {
			case !known:
				words = []string{"again"} // memory.set: no command
			case c.dice.IntN(2) == 0:
				words = []string{"again"}
			default:
				words = []string{"done", "@result"}
				if err := os.WriteFile(filepath.Join(c.dir, "result"), []byte(result), 0o644); err != nil {
					c.t.Fatal(err)
				}
			}
			if words[0] == "again" {
				c.again[path]++
			}
		}
		args := append([]string{"answer", string(c.id), string(step.Path)}, words...)
		if out, problems, code := c.slop(args...); code != exitOK {
			c.t.Fatalf("slop %s: exit %d, %s\n%s", strings.Join(args, " "), code, out, problems)
		}
	}
	return false
}

// verify judges a run that has ended, and gives its output.
func (c *crash) verify() string {
	c.t.Helper()
	out, problems, code := c.slop("resume", "-q", string(c.id))
	if code != exitOK {
		c.t.Errorf("it ended with %d, %s\n%s", code, out, problems)
	}
	st := c.open()
	defer st.close()
	h, err := st.history(c.t.Context(), c.id)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, broken := range invariant.Check(h.plan, h.facts) {
		c.t.Errorf("invariant: %s", broken)
	}
	lines := c.lines()
	attempts, done, byHand := map[string]int{}, map[string]bool{}, map[string]bool{}
	for _, f := range h.facts {
		switch b := f.Body.(type) {
		case *run.CallStarted:
			attempts[string(b.Path)]++
		case *run.CallDone:
			done[string(b.Path)] = true
		case *run.Answered:
			byHand[string(b.Path)] = byHand[string(b.Path)] || b.Value != "again"
		}
	}
	for path, n := range lines {
		if most := 1 + c.again[path]; n > most || n > attempts[path] {
			c.t.Errorf("%s ran %d times: it was started %d times, and `again` was said %d times", path, n, attempts[path], c.again[path])
		}
	}
	for path := range results {
		switch {
		case !done[path] && !byHand[path]:
			c.t.Errorf("%s has no result", path)
		case done[path] && attempts[path] == 1 && lines[path] != 1:
			c.t.Errorf("%s is stored, and ran %d times", path, lines[path])
		}
	}
	if n := c.thought(); n > attempts["thought"] || n < 1 {
		c.t.Errorf("the model was called %d times, and %d calls were started", n, attempts["thought"])
	}
	if c.t.Failed() {
		for _, f := range h.facts {
			text, _ := run.EncodeFact(f)
			c.t.Logf("%s", text[:min(len(text), 300)])
		}
		c.t.Logf("the commands ran %v", lines)
	}
	return out
}
