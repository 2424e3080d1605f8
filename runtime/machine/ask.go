package machine

import (
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// startAsk puts a question to people.
func (m *Machine) startAsk(n *node, sig *types.Signature, w *run.CallWish) {
	form, problem := question(sig, w)
	if problem != "" {
		m.fail(n, m.fault(n, "E_VALUE", "value", problem), false)
		return
	}
	if sig.Approves() {
		form.Actions, form.More = m.actions(n)
	}
	c := &call{node: n, path: m.path(n), attempt: 1, effect: sig.Effect, state: callAsked}
	n.call = c
	m.calls[c.path] = c
	m.asks++
	var deadline time.Time
	if limit := m.plan(n).Timeout; limit > 0 {
		deadline = m.now.Add(limit)
		n.timer = &timer{id: string(c.path) + "@timeout", node: n, kind: askTimer, until: deadline, after: limit}
		m.addTimer(n.timer)
	}
	m.openAsk(c, form, deadline)
}

func (m *Machine) openAsk(c *call, form run.Form, deadline time.Time) {
	c.wish.node = c.node
	c.wish.wish = &run.AskWish{Path: c.path, Agent: m.plan(c.node).Call.Agent, Form: form, Deadline: deadline}
	m.openWish(&c.wish)
	m.callOpened(c.path)
}

// question is the form of what a call asks, or what is wrong with it.
func question(sig *types.Signature, w *run.CallWish) (form run.Form, problem string) {
	var text string
	var large types.Parts
	switch asked := firstOf(w.Text, w.Args[sig.Primary]).(type) {
	case string:
		text = asked
	case types.Large:
		large = types.Parts{asked}
	case types.Parts:
		large = asked
	default:
		return form, "a question must be a text"
	}
	for _, p := range large {
		if _, secret := p.(types.Secret); secret {
			return form, "a secret cannot stand in a question"
		}
	}
	kind := sig.Use
	if i := strings.LastIndexByte(kind, '.'); i >= 0 {
		kind = kind[i+1:]
	}
	form = run.Form{Kind: kind, Text: text, Large: large, Type: sig.Result}
	if w.As != nil {
		form.Type = *w.As
	}
	form.Choices = append(form.Choices, form.Type.Values...)
	if from, ok := w.Args["from"].([]any); ok {
		form.Choices = nil
		for _, x := range from {
			if s, ok := x.(string); ok {
				form.Choices = append(form.Choices, s)
			}
		}
		if len(form.Choices) != len(from) || len(from) == 0 {
			return form, "`from` must be a list of at least one text"
		}
	}
	return form, ""
}

func (m *Machine) asked(b *run.Asked) error {
	c := m.calls[b.Path]
	if c == nil || !c.isAsk() || c.told {
		return ErrStale
	}
	if m.kept.taking && !sameActions(b.Form.Actions, c.wish.wish.(*run.AskWish).Form.Actions) {
		return ErrStale // of a fork: something else would be done than was shown in its origin
	}
	c.told = true // the question was shown
	m.expect(b)
	return nil
}

func (c *call) isAsk() bool {
	return c.state == callAsked || c.state == callUnsure || c.state == callWants
}

func (m *Machine) answered(b *run.Answered) error {
	c := m.calls[b.Path]
	if c == nil || !c.isAsk() {
		return ErrStale
	}
	if c.state == callUnsure {
		return m.resolved(c, b.Value)
	}
	w := c.wish.wish.(*run.AskWish)
	v, ok := accept(&w.Form, b.Value)
	if !ok {
		return ErrStale
	}
	m.met(v)
	if c.state == callWants {
		m.told(c, v)
		return nil
	}
	n := c.node
	m.decided(c.path, v == "yes")
	m.dropCall(c)
	m.done(n, v)
	return nil
}

// maxQuestions is how many questions one call may ask while it is under way: an agent that is never content would keep a person for ever.
const maxQuestions = 20

// wants asks people what an agent needs to know in mid-call. Its attempt has ended, and nothing is held open for it: it is called again with the answer.
func (m *Machine) wants(c *call, b *run.CallFailed) {
	if c.asking == nil {
		c.asking = &asking{}
	}
	a := c.asking
	if a.count == maxQuestions {
		n := c.node
		m.dropCall(c)
		n.call = nil
		tired := *b
		tired.Outcome, tired.Message = run.Failure, "it asked more than "+several(maxQuestions, "question")
		m.fail(n, m.callError(n, c, &tired), false)
		return
	}
	m.closeWish(&c.wish)
	m.active--
	m.asks++
	a.count++
	a.form, a.token = b.Form, b.Token
	c.state, c.told = callWants, false
	m.moveCall(c, c.path.Question(a.count))
	m.openAsk(c, *a.form, time.Time{})
}

// told calls an agent again with the answer to what it asked.
func (m *Machine) told(c *call, v any) {
	m.asks--
	m.active++
	c.asking.answer = &run.Answer{Token: c.asking.token, Value: v}
	c.asking.form, c.asking.token, c.told = nil, "", false
	m.moveCall(c, c.sent.Path)
	w := *c.sent
	w.Answer = c.asking.answer
	c.sent = &w
	m.seal(c)
	m.estimate(c)
	c.attempt++
	m.again(c, time.Time{})
}

// moveCall has what comes for a call come under another path.
func (m *Machine) moveCall(c *call, to run.Path) {
	delete(m.calls, c.path)
	c.path = to
	m.calls[to] = c
}

// caught reports whether something around a step answers for its failure: an else of its own or of a container, a try, a map that tolerates.
func (m *Machine) caught(n *node) bool {
	for ; n != nil; n = n.f.owner {
		pn := m.plan(n)
		if int(n.tried) < len(pn.Else) || pn.Kind == plan.GroupNode && pn.Group.Kind == "try" || pn.Kind == plan.MapNode && pn.Map.Tolerate != nil {
			return true
		}
	}
	return false
}

// unsure asks a person what became of a `do` that was interrupted: nothing else ever repeats it.
func (m *Machine) unsure(c *call) {
	m.closeWish(&c.wish)
	m.active--
	m.asks++
	c.state, c.told = callUnsure, false
	m.openAsk(c, m.unsureForm(c), time.Time{})
}

// unsureForm names the type of the call's result, which the value of `done` must fit.
func (m *Machine) unsureForm(c *call) run.Form {
	pc := m.plan(c.node).Call
	result := m.p.Callees[pc.Callee].Result
	if pc.As != nil {
		result = *pc.As
	}
	return run.Form{Kind: run.InterruptedForm, Choices: []string{"done", "again", "fail"}, Type: result,
		Text: "The call of " + pc.Agent + " was under way when the run was interrupted. Was it done? Answer `done` (with its value, if it has one), `again` to call it once more, or `fail`."}
}

// resolved takes the answer about an interrupted `do`: "again", "fail", "done", or {done: value}.
func (m *Machine) resolved(c *call, v any) error {
	n := c.node
	if r, ok := v.(map[string]any); ok && len(r) == 1 {
		if value, ok := r["done"]; ok {
			form := m.unsureForm(c)
			value, problems := eval.Read(form.Type, value)
			if len(problems) > 0 {
				return ErrStale
			}
			m.dropCall(c)
			m.met(value)
			m.done(n, value)
			return nil
		}
	}
	switch v {
	case "done":
		m.dropCall(c)
		m.done(n, nil)
	case "again":
		m.asks--
		m.active++
		c.attempt++
		m.again(c, time.Time{})
	case "fail":
		m.dropCall(c)
		n.call = nil
		m.fail(n, m.callError(n, c, &run.CallFailed{Attempt: c.attempt, Outcome: run.Interrupted, Message: "the call was interrupted, and a person decided that it failed"}), false)
	default:
		return ErrStale
	}
	return nil
}

// accept reads an answer as its question wants it.
func accept(f *run.Form, v any) (any, bool) {
	if f.Declined(v) {
		return v, true
	}
	if len(f.Choices) > 0 {
		s, ok := v.(string)
		return v, ok && slices.Contains(f.Choices, s)
	}
	v, problems := eval.Read(f.Type, v)
	return v, len(problems) == 0
}
