package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
)

// Verdict is what one part of the conformance test found.
type Verdict string

// Skipped is what could not be tried: nothing is wrong, and nothing is known.
const (
	Passed  Verdict = "passed"
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped"
)

// Result is one part of the conformance test.
type Result struct {
	Part    string  `json:"part"` // what an agent has to do
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail,omitempty"`
}

// TestOptions say how far the conformance test may go.
type TestOptions struct {
	Do    bool          // make the example calls of capabilities that change the world, too
	Limit time.Duration // of one call; 0 is a minute
	Pong  time.Duration // how long a pong is awaited; 0 is 5 s
}

// Test holds a program to the protocol, part by part, and says each as it is known. It reports whether nothing failed.
func Test(ctx context.Context, p Program, o TestOptions, say func(Result)) bool {
	if p.Grace == 0 {
		p.Grace = cancelGrace
	}
	if o.Limit == 0 {
		o.Limit = time.Minute
	}
	if o.Pong == 0 {
		o.Pong = 5 * time.Second
	}
	t := &tester{ctx: ctx, options: o, say: say, ok: true, ends: map[string]int{}}
	t.run(p)
	return t.ok
}

// tester is one conformance test under way.
type tester struct {
	ctx     context.Context
	options TestOptions
	say     func(Result)
	ok      bool
	session *session
	about   *Description

	mu      sync.Mutex
	garbage []string
	ends    map[string]int // how often each call was answered
	unknown []string       // ids that were answered and never called
	called  map[string]bool
	slowest struct { // of the examples that were answered
		name string
		args map[string]any
		took time.Duration
	}
}

func (t *tester) passed(part, format string, args ...any) {
	t.say(Result{part, Passed, fmt.Sprintf(format, args...)})
}

func (t *tester) failed(part, format string, args ...any) {
	t.ok = false
	t.say(Result{part, Failed, fmt.Sprintf(format, args...)})
}

func (t *tester) skipped(part, format string, args ...any) {
	t.say(Result{part, Skipped, fmt.Sprintf(format, args...)})
}

func (t *tester) run(p Program) {
	s, err := start(t.ctx, p)
	if err != nil {
		t.failed("starts", "%v", err)
		return
	}
	defer s.wire.end()
	t.session = s
	t.called = map[string]bool{}
	s.mu.Lock()
	s.talked, s.saw = t.hearGarbage, t.see
	s.mu.Unlock()
	t.about, err = s.greet(t.ctx)
	if err != nil {
		t.failed("says hello", "%v", err)
		return
	}
	t.passed("says hello", "%s %s, protocol %d, %s, %s at a time", orElse(t.about.Name, "without a name"), t.about.Version, Protocol, count(len(t.about.Signatures), "capability", "capabilities"), count(t.about.Concurrency, "call", "calls"))
	if !t.answersPings("answers a ping", 1, nil) {
		return // nothing else would be known of it
	}
	t.answersPings("passes over types and fields it does not know", 2, []byte(`{"type":"x-later","more":{"ä":["☃","\ud83c\udfb5"]},"n":7}`+"\n"))
	t.answersPings("reads a line of 3 MB", 3, []byte(`{"type":"x-later","padding":"`+strings.Repeat("ä", 3<<19)+`"}`+"\n"))
	t.answersPings("passes over a cancel of a call that is not there", 4, []byte(`{"type":"cancel","id":"nobody"}`+"\n"))
	t.refusesUnknown()
	t.examples()
	t.cancels()
	t.together()
	t.answersOnce()
	t.staysClean()
	t.endsWithInput()
}

func (t *tester) hearGarbage(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.garbage) < 10 {
		t.garbage = append(t.garbage, line)
	}
}

func (t *tester) see(m *message) {
	switch m.Type {
	case "result", "error", "ask":
		t.mu.Lock()
		defer t.mu.Unlock()
		t.ends[m.ID]++
		if !t.called[m.ID] {
			t.unknown = append(t.unknown, m.ID)
		}
	}
}

// answersPings sends something, then a ping, and waits for its pong.
func (t *tester) answersPings(part string, n int64, before []byte) bool {
	limit := t.options.Pong
	if len(before) > 1<<20 {
		limit = 30 * time.Second // a shell reads byte by byte
	}
	if before != nil {
		ctx, cancel := context.WithTimeout(t.ctx, sendTimeout)
		err := t.session.wire.send(ctx, before)
		cancel()
		if err != nil {
			t.failed(part, "it does not take messages: %v", err)
			return false
		}
	}
	if err := t.session.send(t.ctx, &message{Type: "ping", N: n}); err != nil {
		t.failed(part, "%v", err)
		return false
	}
	until := time.NewTimer(limit)
	defer until.Stop()
	for {
		t.session.mu.Lock()
		got := t.session.pongs >= n
		t.session.mu.Unlock()
		if got {
			t.passed(part, "")
			return true
		}
		select {
		case <-t.session.over:
			t.failed(part, "%v", t.session.reason())
			return false
		case <-t.ctx.Done():
			t.failed(part, "stopped")
			return false
		case <-until.C:
			t.failed(part, "no {\"type\":\"pong\",\"n\":%d} within %v", n, limit)
			return false
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// call makes a call and waits for its end, or cancels it after a while.
func (t *tester) call(capability string, args map[string]any, cancelAfter time.Duration) (r agent.Reply, took time.Duration, err error) {
	limit := t.options.Limit
	if cancelAfter > 0 {
		limit = cancelAfter
	}
	ctx, stop := context.WithTimeout(t.ctx, limit)
	defer stop()
	id, c, ok := t.session.enter()
	if !ok {
		if err := t.session.reason(); err != nil {
			return r, 0, err
		}
		return r, 0, errors.New("it has a call that it did not end")
	}
	t.mu.Lock()
	t.called[id] = true
	t.mu.Unlock()
	c.emit, c.black = func(agent.Progress) {}, func(s string) string { return s }
	begun := time.Now()
	m := &message{Capability: &capability, Args: args, Key: "conformance/" + id, Attempt: 1, Deadline: begun.Add(limit).UTC().Format(time.RFC3339Nano)}
	r = t.session.ask(ctx, id, c, m)
	took = time.Since(begun)
	if err := t.session.reason(); err != nil {
		return r, took, err
	}
	if ctx.Err() != nil && cancelAfter == 0 {
		return r, took, fmt.Errorf("no end within %v", limit)
	}
	return r, took, nil
}

func (t *tester) refusesUnknown() {
	const part = "refuses a capability it does not have"
	r, _, err := t.call("no_such_capability", map[string]any{}, 0)
	switch {
	case err != nil:
		t.failed(part, "%v", err)
	case r.Outcome == "":
		t.failed(part, "it gave a result; an error is wanted, with the outcome \"error\"")
	default:
		t.passed(part, "%s: %s", r.Outcome, r.Message)
	}
}

// tryable lists the examples that may be called.
func (t *tester) tryable() (list []struct {
	name string
	sig  types.Signature
	args map[string]any
}) {
	for _, sig := range t.about.Signatures {
		if sig.Effect == types.Do && !t.options.Do {
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(sig.Name, own), ".")
		for _, e := range t.about.examples[name] {
			list = append(list, struct {
				name string
				sig  types.Signature
				args map[string]any
			}{name, sig, e.Args})
		}
	}
	return list
}

func (t *tester) examples() {
	for _, sig := range t.about.Signatures {
		name := strings.TrimPrefix(strings.TrimPrefix(sig.Name, own), ".")
		part := "answers the examples of " + orElse(name, "the agent itself")
		switch n := len(t.about.examples[name]); {
		case n == 0:
			t.skipped(part, "it has none; write \"examples\": [{\"args\": {…}}] into the hello")
		case sig.Effect == types.Do && !t.options.Do:
			t.skipped(part, "it changes the world; --do tries it")
		}
	}
	for _, e := range t.tryable() {
		args, _ := json.Marshal(e.args)
		part := fmt.Sprintf("answers %s %s", orElse(e.name, "the agent itself"), clipped(string(args)))
		if problems := misfits(e.sig, e.args); problems != "" {
			t.failed(part, "the example does not fit its input: %s", problems)
			continue
		}
		r, took, err := t.call(e.name, e.args, 0)
		switch {
		case err != nil:
			t.failed(part, "%v", err)
			if t.session.reason() != nil {
				return
			}
		case r.Outcome == run.Asks:
			t.passed(part, "it asks: %s", r.Form.Text)
		case r.Outcome != "":
			t.failed(part, "%s: %s", r.Outcome, r.Message)
		default:
			if _, problems := eval.Read(e.sig.Result, r.Value); len(problems) > 0 {
				t.failed(part, "the result is not what output says: %s", problems[0])
				continue
			}
			if took > t.slowest.took {
				t.slowest.name, t.slowest.args, t.slowest.took = e.name, e.args, took
			}
			text, _ := jsonvalue.Text(r.Value)
			t.passed(part, "%s in %v", clipped(text), took.Round(time.Millisecond))
		}
	}
}

// misfits says what is wrong with the arguments of an example.
func misfits(sig types.Signature, args map[string]any) string {
	known := map[string]bool{}
	for _, p := range sig.Params {
		known[p.Name] = true
		v, given := args[p.Name]
		if !given && p.Required {
			return p.Name + " is missing"
		}
		if given {
			text, _ := json.Marshal(v)
			value, _ := jsonvalue.Parse(text)
			if _, problems := eval.Read(p.Type, value); len(problems) > 0 {
				return p.Name + ": " + problems[0]
			}
		}
	}
	for name := range args {
		if !known[name] {
			return name + " is no property of it"
		}
	}
	return ""
}

func (t *tester) cancels() {
	const part = "ends a call that is cancelled"
	if t.slowest.took == 0 {
		t.skipped(part, "there is no example to try it with")
		return
	}
	_, took, err := t.call(t.slowest.name, t.slowest.args, min(t.slowest.took/2, time.Second)+time.Microsecond)
	switch {
	case err != nil:
		t.failed(part, "it did not end within %v: %v", cancelGrace, err)
	default:
		t.passed(part, "within %v", took.Round(time.Millisecond))
	}
}

func (t *tester) together() {
	const part = "keeps calls at the same time apart"
	list := t.tryable()
	switch {
	case t.about.Concurrency < 2:
		t.skipped(part, "it takes one call at a time")
		return
	case len(list) == 0:
		t.skipped(part, "there is no example to try it with")
		return
	case t.session.reason() != nil:
		t.skipped(part, "it is gone")
		return
	}
	n := min(t.about.Concurrency, 4)
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			e := list[i%len(list)]
			r, _, err := t.call(e.name, e.args, 0)
			if err == nil && r.Outcome != "" && r.Outcome != run.Asks {
				err = fmt.Errorf("%s: %s", r.Outcome, r.Message)
			}
			errs[i] = err
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.failed(part, "%v", err)
		return
	}
	t.passed(part, "%d of them", n)
}

// answersOnce looks a moment later whether anything was answered twice, or to nobody.
func (t *tester) answersOnce() {
	const part = "answers each call once"
	if t.session.reason() == nil {
		select {
		case <-time.After(200 * time.Millisecond):
		case <-t.session.over:
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, n := range t.ends {
		if n > 1 && t.called[id] {
			t.failed(part, "call %s was answered %d times", id, n)
			return
		}
	}
	if len(t.unknown) > 0 {
		t.failed(part, "it answered a call %q, which nobody made", t.unknown[0])
		return
	}
	t.passed(part, "")
}

func (t *tester) staysClean() {
	const part = "writes nothing but messages to its output"
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.garbage) > 0 {
		t.failed(part, "%q: write what is for people to standard error", clipped(t.garbage[0]))
		return
	}
	t.passed(part, "")
}

// endsWithInput closes its input.
func (t *tester) endsWithInput() {
	const part = "ends when its input ends"
	w := t.session.wire.(*stdio)
	if t.session.reason() != nil {
		t.failed(part, "it ended before: %v", t.session.reason())
		return
	}
	w.closeIn()
	begun := time.Now()
	select {
	case <-w.gone:
		t.passed(part, "within %v", time.Since(begun).Round(time.Millisecond))
	case <-time.After(cancelGrace):
		t.failed(part, "it still ran %v later", cancelGrace)
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// clipped is the beginning of a text, for one line.
func clipped(s string) string {
	const most = 60
	r := []rune(s)
	if len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
