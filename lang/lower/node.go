package lower

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// lowering is one node on its way into the plan. It gathers what the node's own expressions mention: what is mentioned deeper holds back only inner nodes.
type lowering struct {
	*flow
	block *check.Block
	index int // of block, in the plan
	reads []plan.Need
}

func (l *lowering) node(n *check.Node) plan.Node {
	p := plan.Node{Kind: n.Kind, Name: n.Name, At: l.src.Pos(start(n)), Type: l.plain(n.Type), Effect: n.Effect}
	switch n.Kind {
	case plan.LetNode, plan.StopNode:
		p.Expr = l.expr(n.Expr)
	case plan.ValueNode:
		if n.Text != nil {
			p.Expr = l.textExpr(n.Text)
		} else {
			p.Expr = l.expr(n.Expr)
		}
	case plan.RequireNode:
		p.Expr = l.expr(n.Expr)
		p.Message = l.text(n.Stmt.(*syntax.Require).Else)
	case plan.IntoNode:
		p.Of = n.Of
		l.reads = append(l.reads, plan.Need{Slot: n.Of, Why: plan.Reference})
	default:
		l.step(n, &p)
		l.policies(n, &p)
	}
	p.Needs = needs(l.reads, n.Needs)
	if p.Loop != nil {
		p.Loop.JudgeOnly = judgeOnly(l.p, &p) && !l.failTells(n)
	}
	return p
}

func start(n *check.Node) int {
	switch {
	case n.Stmt != nil:
		return n.Stmt.Span().Start
	case n.Step != nil:
		return n.Step.Span().Start
	case n.Expr != nil:
		return n.Expr.At.Start
	case n.Text != nil:
		return n.Text.At.Start
	case n.Decl != nil:
		return n.Decl.At.Start
	}
	return 0
}

func (l *lowering) step(n *check.Node, p *plan.Node) {
	switch s := n.Step.(type) {
	case *syntax.Call:
		l.call(s, n, p)
	case *syntax.Group:
		p.Group = &plan.Group{Kind: string(s.Kind), Limit: s.Limit, Block: l.body(n, 0)}
	case *syntax.Race:
		p.Race = &plan.Race{N: s.N, Block: l.body(n, 0)}
	case *syntax.Map:
		m := &plan.Map{Over: *l.expr(s.Over), Index: s.Index != nil, Limit: s.Limit, Tolerate: tolerate(s.Tolerate), Into: n.Into}
		if m.Limit == 0 {
			m.Limit = plan.MapLimit
		}
		m.Block = l.body(n, 0)
		p.Map = m
	case *syntax.Reduce:
		r := &plan.Reduce{Over: *l.expr(s.Over), By: s.By}
		r.Block = l.body(n, 0)
		p.Reduce = r
	case *syntax.Loop:
		loop := &plan.Loop{From: *l.expr(s.From), Max: s.Max}
		loop.Block = l.body(n, 0)
		p.Loop = loop
	case *syntax.If:
		c := &plan.Choice{Else: -1}
		for i := range s.Branches {
			c.Branches = append(c.Branches, plan.Branch{Cond: *l.expr(s.Branches[i].Cond), Block: l.body(n, i)})
		}
		if s.Else != nil {
			c.Else = l.body(n, len(s.Branches))
		}
		p.Choice = c
	case *syntax.Match:
		m := &plan.Match{Subject: *l.expr(s.Subject), Else: -1}
		for i, arm := range s.Arms {
			b := l.body(n, i)
			if arm.Else {
				m.Else = b
				continue
			}
			a := plan.Arm{Block: b}
			for _, e := range arm.Literals {
				a.Values = append(a.Values, evaluate(l.code(e)))
			}
			m.Arms = append(m.Arms, a)
		}
		p.Match = m
	default:
		panic(fmt.Sprintf("lower: unexpected step %T", s))
	}
}

func (l *lowering) body(n *check.Node, i int) int { return l.flow.block(n.Bodies[i], l.index) }

func tolerate(t *syntax.Tolerate) *plan.Tolerate {
	switch {
	case t == nil:
		return nil
	case t.All:
		return &plan.Tolerate{All: true}
	case t.Percent >= 0:
		return &plan.Tolerate{Percent: t.Percent}
	}
	return &plan.Tolerate{Count: t.Count}
}

// policies adds what is written behind a step and goes for every kind: timeout, budget and the fallbacks in their order.
func (l *lowering) policies(n *check.Node, p *plan.Node) {
	fallbacks := 0
	for _, c := range check.Clauses(n.Step) {
		switch c.Kind {
		case syntax.TimeoutClause:
			if _, call := n.Step.(*syntax.Call); !call || p.Match == nil { // of a call it is for one attempt, whoever is called
				p.Timeout = c.Duration
			}
		case syntax.BudgetClause:
			p.Budget = append(p.Budget, check.Amount(c.Amount))
		case syntax.ElseClause:
			p.Else = append(p.Else, l.fallback(c.Fallback, n.Fallbacks[fallbacks]))
			fallbacks++
		}
	}
}

func (l *lowering) fallback(f *syntax.Fallback, b *check.Block) plan.Fallback {
	switch {
	case f.Skip:
		return plan.Fallback{Kind: plan.Skip}
	case f.Keep:
		return plan.Fallback{Kind: plan.Keep}
	case f.Fail != nil:
		return plan.Fallback{Kind: plan.Fail, Message: l.text(f.Fail)}
	}
	return plan.Fallback{Kind: plan.BlockElse, Block: l.flow.block(b, l.index)}
}

// needs joins what the node reads with the edges that check drew for other reasons. Of several reasons to wait for one node the first counts:
// reading it, then `after`, a gate, the order of doing, the order of a sequence.
func needs(reads, drawn []plan.Need) []plan.Need {
	rank := map[plan.Why]int{plan.Reference: 0, plan.After: 1, plan.Gate: 2, plan.Order: 3, plan.Sequence: 4}
	best := map[[2]int]plan.Need{}
	add := func(n plan.Need) {
		key := [2]int{n.Depth, n.Slot}
		if old, ok := best[key]; !ok || rank[n.Why] < rank[old.Why] {
			best[key] = n
		}
	}
	for _, n := range reads {
		add(n)
	}
	for _, n := range drawn {
		if n.Why != plan.Reference { // reads knows these, and only those that hold back this very node
			add(n)
		}
	}
	var out []plan.Need
	for _, n := range best {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b plan.Need) int {
		return cmp.Or(a.Depth-b.Depth, a.Slot-b.Slot)
	})
	return out
}

// judgeOnly tells whether the value of a loop's last round would be thrown away: there is a `stop if`, and no `else` of the loop asks for the variable.
func judgeOnly(p *plan.Plan, n *plan.Node) bool {
	stops := false
	for _, inner := range p.Blocks[n.Loop.Block].Nodes {
		stops = stops || inner.Kind == plan.StopNode
	}
	if !stops || len(n.Else) == 0 {
		return false
	}
	for _, f := range n.Else {
		if f.Kind == plan.Keep || f.Kind == plan.BlockElse && mentions(p, f.Block, 0, len(p.Blocks[f.Block].Nodes)+1) {
			return false
		}
	}
	return true
}

// failTells tells whether the message of an `else fail` of a loop mentions the loop's variable. There it has no slot.
func (l *lowering) failTells(n *check.Node) bool {
	name, tells := n.Step.(*syntax.Loop).Var.Text, false
	for _, c := range check.Clauses(n.Step) {
		if c.Fallback == nil || c.Fallback.Fail == nil {
			continue
		}
		syntax.Walk(c.Fallback.Fail, func(inner any) bool {
			if e, ok := inner.(*syntax.Expr); ok && l.info.Exprs[e] != nil {
				for _, r := range l.info.Exprs[e].Refs {
					tells = tells || r.Name == name
				}
			}
			return true
		})
	}
	return tells
}

// mentions tells whether an expression in block b, or in a block inside it, refers to the given slot of the block depth outward of b.
func mentions(p *plan.Plan, b, depth, slot int) bool {
	for i := range p.Blocks[b].Nodes {
		n := &p.Blocks[b].Nodes[i]
		found := false
		plan.Exprs(n, func(e *plan.Expr) {
			for _, r := range e.Refs {
				found = found || r.Depth == depth && r.Slot == slot
			}
		})
		if found {
			return true
		}
		for _, inner := range plan.Bodies(n) {
			if p.Blocks[inner].Parent == b && mentions(p, inner, depth+1, slot) {
				return true
			}
		}
	}
	return false
}

func (f *flow) pos(at source.Span) source.Pos { return f.src.Pos(at.Start) }
