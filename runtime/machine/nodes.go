package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/run"
)

// start begins a node whose needs are done.
func (m *Machine) start(n *node) {
	pn := m.plan(n)
	if len(pn.Budget) > 0 || pn.Kind == plan.FlowNode && len(pn.Flow.Budget) > 0 {
		n.scope = n.f.scope
		if pn.Kind == plan.FlowNode {
			n.scope = newScope(n.scope, pn.Flow.Budget)
		}
		n.scope = newScope(n.scope, pn.Budget)
	}
	if isContainer(pn.Kind) {
		if after := containerTimeout(pn); after > 0 {
			n.timer = &timer{id: string(m.path(n)) + m.table(n).timer, node: n, kind: deadlineTimer, until: m.now.Add(after), after: after}
			m.addTimer(n.timer)
		}
	}
	m.enter(n)
}

// enter does what a line says, for as much of it as can be evaluated now: see compute.
func (m *Machine) enter(n *node) {
	pn := m.plan(n)
	switch pn.Kind {
	case plan.CallNode:
		m.startCall(n)
	case plan.LetNode, plan.ValueNode:
		if v, err := m.eval(n.f, pn.Expr, nil); err != nil {
			m.fail(n, m.within(n, err), false)
		} else {
			m.done(n, v)
		}
	case plan.RequireNode:
		m.require(n)
	case plan.StopNode:
		m.stopIf(n)
	case plan.IntoNode:
		m.done(n, n.value)
	case plan.GroupNode:
		m.openFrame(n, frameSpec{block: pn.Group.Block, key: m.key(n), scope: m.budgetOf(n), limit: pn.Group.Limit})
	case plan.RaceNode:
		m.openFrame(n, frameSpec{block: pn.Race.Block, key: m.key(n), scope: m.budgetOf(n)})
	case plan.MapNode:
		m.startMap(n)
	case plan.ReduceNode:
		m.startReduce(n)
	case plan.LoopNode:
		m.startLoop(n)
	case plan.ChoiceNode:
		m.choose(n)
	case plan.MatchNode:
		m.match(n)
	case plan.FlowNode:
		m.startFlow(n)
	default:
		panic(fmt.Sprintf("machine: unexpected node kind %q", pn.Kind))
	}
}

func isContainer(k plan.NodeKind) bool { return isStep(k) && k != plan.CallNode }

func containerTimeout(pn *plan.Node) time.Duration {
	after := pn.Timeout
	for _, a := range pn.Budget {
		after = shorter(after, a.Duration)
	}
	if pn.Kind == plan.FlowNode {
		for _, a := range pn.Flow.Budget {
			after = shorter(after, a.Duration)
		}
	}
	return after
}

// goOn takes up a running node again after something in it ended.
func (m *Machine) goOn(n *node) {
	if c := n.computing; c != nil && c.again {
		c.again = false
		m.enter(n)
		return
	}
	switch m.plan(n).Kind {
	case plan.CallNode:
		if n.call != nil {
			m.offer(n.call)
		}
	case plan.MapNode:
		m.pumpMap(n)
	case plan.ReduceNode:
		m.pumpReduce(n)
	case plan.LoopNode:
		m.nextRound(n)
	}
}

// childDone takes the value of a block that closed.
func (m *Machine) childDone(f *frame, v any) {
	n := f.owner
	if f.fallback() {
		m.done(n, v)
		return
	}
	switch m.plan(n).Kind {
	case plan.MapNode, plan.ReduceNode:
		n.many.running--
		n.many.ended++
		n.many.results[f.part&partMask] = v
		m.enqueue(n)
	case plan.LoopNode:
		m.roundDone(n, f, v)
	default:
		m.done(n, v)
	}
}

// childFailed takes the failure of a block, after its last `do` has ended.
func (m *Machine) childFailed(f *frame, err *run.Error) {
	n := f.owner
	if !f.fallback() && m.plan(n).Kind == plan.MapNode {
		m.itemFailed(n, int(f.part), err)
		return
	}
	m.fall(n, err, false)
}

func (m *Machine) require(n *node) {
	pn := m.plan(n)
	ok, err := m.condition(n.f, pn.Expr)
	switch {
	case err != nil:
		m.fail(n, m.within(n, err), false)
	case ok:
		m.done(n, nil)
	default:
		text, err := m.message(n.f, pn.Message, nil)
		if err != nil {
			m.fail(n, m.within(n, err), false)
			return
		}
		m.fail(n, m.fault(n, "E_REQUIRE", "require", text), false)
	}
}

// stopIf leaves the loop with the variable's value when its condition holds.
func (m *Machine) stopIf(n *node) {
	stop, err := m.condition(n.f, m.plan(n).Expr)
	switch {
	case err != nil:
		m.fail(n, m.within(n, err), false)
	case !stop:
		m.done(n, nil)
	default:
		loop := n.f.owner
		m.note(loop, run.Note{Kind: run.NoteStopped, Number: loop.many.round})
		loop.value = loop.loopValue()
		m.end(loop, intentDone, false)
	}
}

func (m *Machine) choose(n *node) {
	c := m.plan(n).Choice
	for i := range c.Branches {
		ok, err := m.condition(n.f, &c.Branches[i].Cond)
		if err != nil {
			m.fail(n, m.within(n, err), false)
			return
		}
		if ok {
			name := "then"
			if i > 0 {
				name = "elif" + strconv.Itoa(i+1)
			}
			m.branch(n, c.Branches[i].Block, name, i)
			return
		}
	}
	if c.Else < 0 {
		m.note(n, run.Note{Kind: run.NoteBranch})
		m.done(n, nil)
		return
	}
	m.branch(n, c.Else, "else", len(c.Branches))
}

func (m *Machine) match(n *node) {
	pn := m.plan(n)
	subject, err := m.eval(n.f, &pn.Match.Subject, nil)
	if err != nil {
		m.fail(n, m.within(n, err), false)
		return
	}
	for i, arm := range pn.Match.Arms {
		for _, v := range arm.Values {
			if eval.Equal(subject, literal(v)) {
				m.branch(n, arm.Block, armName(arm.Values[0]), i)
				return
			}
		}
	}
	if pn.Match.Else < 0 {
		m.fail(n, m.fault(n, "E_VALUE", "value", "no case fits "+brief(subject)), false)
		return
	}
	m.branch(n, pn.Match.Else, "else", len(pn.Match.Arms))
}

// literal of an arm as a runtime value: a plan that was read back holds a json.Number or a float64 where an int was written.
func literal(v any) any {
	if n, ok := v.(json.Number); ok {
		if back, err := run.DecodeValue([]byte(n)); err == nil {
			return back
		}
	}
	return v
}

func armName(v any) string {
	raw, err := run.EncodeValue(literal(v))
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

func (m *Machine) branch(n *node, block int, name string, i int) {
	m.note(n, run.Note{Kind: run.NoteBranch, Name: name})
	m.openFrame(n, frameSpec{block: block, key: m.key(n).Join(name), part: int64(i), scope: m.budgetOf(n)})
}

// startFlow opens a used flow with its inputs bound.
func (m *Machine) startFlow(n *node) {
	pn := m.plan(n)
	fl := pn.Flow
	binds := make([]any, len(fl.Inputs))
	for i := range fl.Inputs {
		in := &fl.Inputs[i]
		var v any
		given := true
		var err *run.Error
		switch {
		case fl.Text != nil && i == fl.TextInput:
			v, err = m.text(n.f, fl.Text, nil)
		case i < len(fl.Args) && fl.Args[i] != nil:
			v, err = m.eval(n.f, fl.Args[i], nil)
		default:
			given = false
			v, err = m.defaultOf(in)
		}
		if err == nil && given {
			v, err = m.fit(in, v)
		}
		if err != nil {
			m.fail(n, m.within(n, err), false)
			return
		}
		binds[i] = v
	}
	m.openFrame(n, frameSpec{block: fl.Block, key: m.key(n), scope: m.budgetOf(n)}, binds...)
}

// rootBinds are the inputs of the run: what was given, else the default, else nothing. The border has read and checked them.
func (m *Machine) rootBinds() ([]any, *run.Error) {
	binds := make([]any, len(m.p.Inputs))
	for i := range m.p.Inputs {
		in := &m.p.Inputs[i]
		v, ok := m.inputs[in.Name]
		if !ok {
			if in.Required {
				return binds, &run.Error{Code: "E_INPUT", Kind: "value", Message: "the input " + in.Name + " is missing"}
			}
			var err *run.Error
			if v, err = m.defaultOf(in); err != nil {
				return binds, err
			}
		}
		binds[i] = v
	}
	return binds, nil
}

func (m *Machine) defaultOf(in *plan.Input) (any, *run.Error) {
	if len(in.Default) == 0 {
		return nil, nil
	}
	v, err := run.DecodeValue(in.Default)
	if err != nil {
		return nil, &run.Error{Code: "E_INPUT", Kind: "value", Message: "the default of " + in.Name + " cannot be read: " + err.Error()}
	}
	return m.fit(in, v)
}

// fit checks what a flow is called with against the declaration of its input.
func (m *Machine) fit(in *plan.Input, v any) (any, *run.Error) {
	v, problems := eval.Read(in.Type, v)
	if len(problems) > 0 {
		return nil, &run.Error{Code: "E_INPUT", Kind: "value", Message: "the input " + in.Name + " does not fit: " + problems[0]}
	}
	for _, must := range in.Musts {
		p, err := m.t.program(must.Expr)
		if err != nil {
			return nil, &run.Error{Code: "E_INPUT", Kind: "value", Message: err.Error()}
		}
		env := map[string]any{in.Name: v}
		var ok any
		if m.large && eval.HoldsLarge(v) {
			var failure *run.Error
			if ok, failure = m.compute(source.Pos{}, must.Expr, env, false); failure == errLater {
				return nil, failure
			} else if failure != nil {
				err = errors.New(failure.Message)
			}
		} else {
			ok, err = p.Eval(env)
		}
		if err != nil || ok != true {
			message := must.Else
			if message == "" {
				message = "must " + must.Expr
			}
			return nil, &run.Error{Code: "E_INPUT", Kind: "value", Message: "the input " + in.Name + " does not fit: " + message}
		}
	}
	return v, nil
}
