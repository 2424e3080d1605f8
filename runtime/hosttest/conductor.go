package hosttest

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// conductor lets scripted calls answer one at a time, in the order in which they were started, and only when everything else is at rest: so that a history
// is the same every time, however many goroutines make it.
type conductor struct {
	script script
	seq    func(path run.Path, attempt int) run.Seq // of a CallStarted or Asked

	mu      sync.Mutex
	arrived []*turn // wants its answer told
	ready   []*turn // wants to return
	news    chan struct{}
}

// turn is one scripted call.
type turn struct {
	agent   string
	path    run.Path
	attempt int
	answer  answer
	known   bool
	told    chan struct{}
	back    chan struct{}
}

func newConductor(s script, seq func(run.Path, int) run.Seq) *conductor {
	return &conductor{script: s, seq: seq, news: make(chan struct{}, 1)}
}

func (c *conductor) queue(list *[]*turn, t *turn) {
	c.mu.Lock()
	*list = append(*list, t)
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// perform is the part of one call: it returns what the script says when the conductor says so. Whoever is told to end returns in its turn too.
func (c *conductor) perform(ctx context.Context, name string, path run.Path, attempt int) (answer, bool) {
	t := &turn{agent: name, path: path, attempt: attempt, told: make(chan struct{}), back: make(chan struct{})}
	c.queue(&c.arrived, t)
	<-t.told
	ended := false
	if t.known {
		ended = t.answer.live(ctx)
	}
	c.queue(&c.ready, t)
	<-t.back
	return t.answer, ended
}

// live lets the time of an answer pass. It reports whether the call was told to end before.
func (a answer) live(ctx context.Context) (ended bool) {
	told, wait := ctx.Done(), a.after
	var over <-chan time.Time
	switch a.kind {
	case "hang":
		wait = 0
	case "stubborn":
		told, wait = nil, cmp.Or(a.after, time.Minute)
	default:
		if wait == 0 {
			return false
		}
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return false
	case <-told:
		return true
	}
}

// conduct works until done is closed and nobody waits for a turn.
func (c *conductor) conduct(done <-chan struct{}) {
	for {
		synctest.Wait()
		if c.step() {
			continue
		}
		select {
		case <-c.news:
		case <-done:
			synctest.Wait()
			if !c.step() {
				return
			}
		}
	}
}

// step tells all that arrived what they answer, or lets one return. It reports whether there was anything to do.
func (c *conductor) step() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.arrived) > 0 {
		c.sort(c.arrived)
		for _, t := range c.arrived {
			t.answer, t.known = c.script.take(t.agent, t.path)
			close(t.told)
		}
		c.arrived = nil
		return true
	}
	if len(c.ready) > 0 {
		c.sort(c.ready)
		close(c.ready[0].back)
		c.ready = c.ready[1:]
		return true
	}
	return false
}

func (c *conductor) sort(turns []*turn) {
	slices.SortFunc(turns, func(a, b *turn) int {
		return cmp.Or(cmp.Compare(c.seq(a.path, a.attempt), c.seq(b.path, b.attempt)), strings.Compare(string(a.path), string(b.path)))
	})
}

// player is an agent of the world that plays its part of the script.
type player struct {
	signature types.Signature
	conductor *conductor
}

func (p player) Signatures() []types.Signature { return []types.Signature{p.signature} }

func (p player) Call(ctx context.Context, c *agent.Call) agent.Reply {
	a, ended := p.conductor.perform(ctx, c.Callee.Name, c.Path, c.Attempt)
	if ended {
		return agent.Fail(run.Failure, "it was told to end: "+context.Cause(ctx).Error())
	}
	switch a.kind {
	case "value", "stubborn":
		return agent.Reply{Value: a.value, Usage: run.Usage{Calls: 1, Input: a.input, Output: a.output}}
	case "fail":
		return agent.Reply{Outcome: a.outcome, Message: a.message, RetryAfter: a.retryAfter}
	case "asks":
		return agent.Ask(a.form, "after "+a.form.Text)
	case "panic":
		panic(a.message)
	case "prompt":
		return agent.Reply{Value: filled(c, prompt(c))}
	case "call":
		return agent.Reply{Value: filled(c, all(c, func(name string) (string, error) { return "‹" + name + "›", nil }))}
	case "reveal":
		var leaks []string
		var missing error
		text := all(c, func(name string) (string, error) {
			v, err := c.Secret(name)
			if err != nil {
				missing = fmt.Errorf("secret %s: %w", name, err)
				return "", err
			}
			leaks = append(leaks, v, base64.StdEncoding.EncodeToString([]byte(v)), url.QueryEscape(v))
			return v, nil
		})
		if missing != nil {
			return agent.Fail(run.Denied, missing.Error())
		}
		return agent.Reply{Value: filled(c, text+", leaks "+strings.Join(leaks, " "))}
	}
	return agent.Fail(run.Failure, "the archive has no answer for `"+c.Callee.Name+"`")
}

// filled puts a text where a call wants a record: into its body, or its first text.
func filled(c *agent.Call, text string) any {
	t := c.Callee.Result
	if c.As != nil {
		t = *c.As
	}
	if t.Kind != types.Record {
		return text
	}
	record := map[string]any{}
	first := ""
	for _, f := range t.Fields {
		switch f.Type.Kind {
		case types.String:
			record[f.Name] = ""
			if first == "" || f.Name == "body" {
				first = f.Name
			}
		case types.Int, types.Float:
			record[f.Name] = 200
		case types.Bool:
			record[f.Name] = true
		case types.List:
			record[f.Name] = []any{}
		default:
			record[f.Name] = nil
			if !f.Type.Optional {
				record[f.Name] = map[string]any{}
			}
		}
	}
	record[first] = text
	return record
}

func prompt(c *agent.Call) string {
	switch text := c.Text.(type) {
	case string:
		return text
	case []string:
		return fmt.Sprintf("%q", text)
	default:
		return fmt.Sprint(text)
	}
}

// all shows everything a call carries.
func all(c *agent.Call, secret func(string) (string, error)) string {
	show := func(v any) string {
		if words, ok := v.([]string); ok {
			return fmt.Sprintf("%q", words)
		}
		v, err := agent.Reveal(v, secret)
		if err != nil {
			return err.Error()
		}
		raw, err := run.EncodeValue(v)
		if err != nil {
			return err.Error()
		}
		return string(raw)
	}
	var parts []string
	if c.System != "" {
		parts = append(parts, "system "+show(c.System))
	}
	if c.Text != nil {
		parts = append(parts, "text "+show(c.Text))
	}
	if len(c.Args) > 0 {
		parts = append(parts, "args "+show(c.Args))
	}
	if c.As != nil {
		parts = append(parts, "schema "+string(c.Schema))
	}
	if c.Repair != nil {
		parts = append(parts, fmt.Sprintf("repair %d of %s because %s", c.Repair.Round, show(c.Repair.Answer), strings.Join(c.Repair.Problems, "; ")))
	}
	if c.Answer != nil {
		parts = append(parts, fmt.Sprintf("answer %s, token %s", show(c.Answer.Value), show(c.Answer.Token)))
	}
	return strings.Join(parts, ", ")
}
