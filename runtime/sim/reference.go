package sim

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
)

// Reference computes what a plan's value is by plain recursion: one step after the other, nothing at a time, no facts. It knows nothing of the machine.
// It takes the programs of Script(r, true), whose value does not depend on what happens first.
func Reference(p *plan.Plan, inputs map[string]any) (value any, failed bool) {
	r := &reference{p: p}
	binds := make([]any, len(p.Inputs))
	for i, in := range p.Inputs {
		binds[i] = inputs[in.Name]
	}
	v, err := r.block(0, nil, binds, false)
	return v, err != nil
}

type reference struct{ p *plan.Plan }

// room is an opened block.
type room struct {
	block  int
	outer  *room
	binds  []any
	values []any
	done   []bool
}

type stopped struct{} // a `stop if` held

func (stopped) Error() string { return "stopped" }

type unfinished struct{} // a round that was only judged

func (unfinished) Error() string { return "judged only" }

func (r *reference) block(block int, outer *room, binds []any, judge bool) (any, error) {
	b := &r.p.Blocks[block]
	in := &room{block: block, outer: outer, binds: binds, values: make([]any, len(b.Nodes)), done: make([]bool, len(b.Nodes))}
	last := -1
	for slot := range b.Nodes {
		if b.Nodes[slot].Kind == plan.StopNode {
			last = slot
		}
	}
	for left := len(b.Nodes); left > 0; {
		before := left
		for slot := range b.Nodes {
			if in.done[slot] || !r.ready(in, slot) {
				continue
			}
			if judge && slot > last {
				return nil, unfinished{}
			}
			v, err := r.node(in, slot)
			if err != nil {
				return nil, err
			}
			in.values[slot], in.done[slot] = v, true
			left--
		}
		if left == before {
			return nil, fmt.Errorf("block %d does not get on", block)
		}
	}
	if b.Value >= 0 {
		return in.values[b.Value], nil
	}
	fields := map[string]any{}
	for slot := range b.Nodes {
		if n := &b.Nodes[slot]; n.Name != "" && n.Kind != plan.LetNode && n.Kind != plan.IntoNode {
			fields[n.Name] = in.values[slot]
		}
	}
	return fields, nil
}

// ready reports whether all that a node and everything within it mentions is there.
func (r *reference) ready(in *room, slot int) bool {
	return r.there(in, &r.p.Blocks[in.block].Nodes[slot], 0)
}

func (r *reference) there(in *room, n *plan.Node, depth int) bool {
	for _, e := range n.Needs {
		if e.Depth == depth && e.Slot < len(in.done) && !in.done[e.Slot] {
			return false
		}
	}
	for _, b := range plan.Bodies(n) {
		if r.p.Blocks[b].Parent < 0 {
			continue
		}
		for i := range r.p.Blocks[b].Nodes {
			if !r.there(in, &r.p.Blocks[b].Nodes[i], depth+1) {
				return false
			}
		}
	}
	return true
}

func (r *reference) node(in *room, slot int) (any, error) {
	n := &r.p.Blocks[in.block].Nodes[slot]
	var current any
	v, err := r.try(in, n, &current)
	for _, f := range n.Else {
		if err == nil || err == error(stopped{}) {
			return v, err
		}
		switch f.Kind {
		case plan.Skip:
			return nil, nil
		case plan.Keep:
			return current, nil
		case plan.Fail:
			return nil, fmt.Errorf("fail")
		}
		v, err = r.block(f.Block, in, []any{map[string]any{"step": "", "kind": "", "message": ""}, current}, false)
	}
	return v, err
}

func (r *reference) try(in *room, n *plan.Node, current *any) (any, error) {
	switch n.Kind {
	case plan.LetNode, plan.ValueNode:
		return r.eval(in, n.Expr)
	case plan.RequireNode:
		if v, err := r.eval(in, n.Expr); err != nil || v != true {
			return nil, fmt.Errorf("require")
		}
		return nil, nil
	case plan.StopNode:
		v, err := r.eval(in, n.Expr)
		if err == nil && v == true {
			err = stopped{}
		}
		return nil, err
	case plan.CallNode:
		return r.call(in, n)
	case plan.GroupNode:
		return r.block(n.Group.Block, in, nil, false)
	case plan.RaceNode:
		// All members of a plain race send the same, so each that wins has the same value.
		b := &r.p.Blocks[n.Race.Block]
		inner := &room{block: n.Race.Block, outer: in, values: make([]any, len(b.Nodes)), done: make([]bool, len(b.Nodes))}
		for slot := range b.Nodes {
			if v, err := r.node(inner, slot); err == nil {
				return v, nil
			}
		}
		return nil, fmt.Errorf("race")
	case plan.MapNode:
		return r.each(in, n)
	case plan.ReduceNode:
		items, err := r.items(in, &n.Reduce.Over)
		if err != nil || len(items) == 0 {
			return nil, fmt.Errorf("reduce: %v", err)
		}
		for len(items) > 1 {
			var next []any
			for i := 0; i < len(items); i += n.Reduce.By {
				part := items[i:min(i+n.Reduce.By, len(items))]
				if len(part) == 1 {
					next = append(next, part[0])
					continue
				}
				v, err := r.block(n.Reduce.Block, in, []any{part}, false)
				if err != nil {
					return nil, err
				}
				next = append(next, v)
			}
			items = next
		}
		return items[0], nil
	case plan.ChoiceNode:
		for _, b := range n.Choice.Branches {
			if v, err := r.eval(in, &b.Cond); err != nil {
				return nil, err
			} else if v == true {
				return r.block(b.Block, in, nil, false)
			}
		}
		if n.Choice.Else < 0 {
			return nil, nil
		}
		return r.block(n.Choice.Else, in, nil, false)
	case plan.MatchNode:
		v, err := r.eval(in, &n.Match.Subject)
		if err != nil {
			return nil, err
		}
		for _, a := range n.Match.Arms {
			for _, x := range a.Values {
				if eval.Equal(v, x) {
					return r.block(a.Block, in, nil, false)
				}
			}
		}
		return r.block(n.Match.Else, in, nil, false)
	case plan.LoopNode:
		return r.loop(in, n, current)
	case plan.FlowNode:
		return r.flow(in, n)
	}
	return nil, fmt.Errorf("the reference does not know %s", n.Kind)
}

// flow binds the inputs of a used flow; its block stands alone.
func (r *reference) flow(in *room, n *plan.Node) (any, error) {
	fl := n.Flow
	binds := make([]any, len(fl.Inputs))
	for i, input := range fl.Inputs {
		var err error
		switch {
		case fl.Text != nil && i == fl.TextInput:
			binds[i], err = r.text(in, fl.Text)
		case fl.Args[i] != nil:
			binds[i], err = r.eval(in, fl.Args[i])
		case len(input.Default) > 0:
			binds[i], err = eval.FromJSON(input.Default)
		}
		if err != nil {
			return nil, err
		}
	}
	return r.block(fl.Block, nil, binds, false)
}

func (r *reference) loop(in *room, n *plan.Node, current *any) (any, error) {
	v, err := r.eval(in, &n.Loop.From)
	if err != nil {
		return nil, err
	}
	stops := false
	for _, x := range r.p.Blocks[n.Loop.Block].Nodes {
		stops = stops || x.Kind == plan.StopNode
	}
	for k := 1; k <= n.Loop.Max; k++ {
		*current = v
		next, err := r.block(n.Loop.Block, in, []any{v}, n.Loop.JudgeOnly && k == n.Loop.Max)
		if err == error(stopped{}) {
			return v, nil
		}
		if err != nil {
			return nil, err
		}
		v = next
	}
	*current = v
	if stops {
		return nil, fmt.Errorf("out of rounds")
	}
	return v, nil
}

func (r *reference) each(in *room, n *plan.Node) (any, error) {
	items, err := r.items(in, &n.Map.Over)
	if err != nil {
		return nil, err
	}
	allowed := 0
	if t := n.Map.Tolerate; t != nil {
		allowed = t.Count
		if t.Percent > 0 {
			allowed = len(items) * t.Percent / 100
		}
		if t.All {
			allowed = len(items)
		}
	}
	out := []any{}
	for i, x := range items {
		v, err := r.block(n.Map.Block, in, []any{x, i}, false)
		if err == nil {
			out = append(out, v)
			continue
		}
		if allowed--; allowed < 0 {
			return nil, err
		}
	}
	return out, nil
}

func (r *reference) items(in *room, e *plan.Expr) ([]any, error) {
	v, err := r.eval(in, e)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("not a list")
	}
	return list, nil
}

func (r *reference) eval(in *room, e *plan.Expr) (any, error) {
	env := map[string]any{}
	for _, ref := range e.Refs {
		at := in
		for range ref.Depth {
			at = at.outer
		}
		if ref.Slot < len(at.values) {
			env[ref.Name] = at.values[ref.Slot]
		} else {
			env[ref.Name] = at.binds[ref.Slot-len(at.values)]
		}
	}
	p, err := eval.Compile(e.Code)
	if err != nil {
		return nil, err
	}
	return p.Eval(env)
}

func (r *reference) text(in *room, t *plan.Text) (string, error) {
	var b strings.Builder
	for _, part := range t.Parts {
		b.WriteString(part.Literal)
		if part.Expr == nil {
			continue
		}
		v, err := r.eval(in, part.Expr)
		if err != nil {
			return "", err
		}
		s, err := eval.Render(v)
		if err != nil {
			return "", err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func (r *reference) call(in *room, n *plan.Node) (any, error) {
	c := n.Call
	sig := &r.p.Callees[c.Callee]
	texts := c.Words
	if c.Text != nil {
		texts = append(texts, *c.Text)
	}
	var words []string
	for _, t := range texts {
		word, err := r.text(in, &t)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
	if sig.Kind == types.Sleep {
		return nil, nil
	}
	v, ok := Answer(strings.Join(words, " "), c.As)
	if !ok {
		return nil, fmt.Errorf("the agent failed")
	}
	return v, nil
}
