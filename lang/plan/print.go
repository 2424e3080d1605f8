package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
)

// Print draws a plan for people and for tests: each block with its nodes in slots, what they call and what they wait for.
func Print(p *Plan) string {
	pr := printer{p: p}
	pr.line(0, "plan %s -> %s", p.Name, p.Output)
	for _, in := range p.Inputs {
		s := fmt.Sprintf("input %s: %s", in.Name, in.Type)
		if in.Default != nil {
			s += " = " + string(in.Default)
		}
		pr.line(0, "%s%s", s, musts(in.Musts))
	}
	if len(p.Secrets) > 0 {
		pr.line(0, "secrets %s", strings.Join(p.Secrets, " "))
	}
	if len(p.Budget) > 0 {
		pr.line(0, "budget %s", amounts(p.Budget))
	}
	for i, c := range p.Callees {
		pr.line(0, "callee %d %s", i, signature(&c))
	}
	pr.block(0, 0)
	return pr.b.String()
}

type printer struct {
	p *Plan
	b strings.Builder
}

func (pr *printer) line(depth int, format string, args ...any) {
	pr.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&pr.b, format, args...)
	pr.b.WriteByte('\n')
}

func (pr *printer) block(i, depth int) {
	b := &pr.p.Blocks[i]
	head := fmt.Sprintf("block %d", i)
	if len(b.Binds) > 0 {
		head += " binds " + strings.Join(b.Binds, " ")
	}
	if b.Value >= 0 {
		head += fmt.Sprintf(" value %d", b.Value)
	}
	pr.line(depth, "%s", head)
	for slot := range b.Nodes {
		pr.node(i, slot, depth+1)
	}
}

func (pr *printer) node(b, slot, depth int) {
	n := &pr.p.Blocks[b].Nodes[slot]
	name := n.Name
	if name == "" {
		name = "-"
	}
	pr.line(depth, "%d %s %s: %s%s%s", slot, n.Kind, name, n.Type, pr.policies(n), pr.needs(b, n.Needs))
	pr.content(n, depth+1)
	for _, f := range n.Else {
		switch f.Kind {
		case Fail:
			pr.line(depth+1, "else fail %s", text(f.Message))
		case BlockElse:
			pr.line(depth+1, "else")
			pr.block(f.Block, depth+2)
		default:
			pr.line(depth+1, "else %s", f.Kind)
		}
	}
}

func (pr *printer) content(n *Node, depth int) {
	switch n.Kind {
	case CallNode:
		pr.call(n.Call, depth)
	case LetNode, ValueNode, StopNode:
		pr.line(depth, "%s", code(n.Expr))
	case RequireNode:
		pr.line(depth, "%s else %s", code(n.Expr), text(n.Message))
	case GroupNode:
		pr.line(depth, "%s%s", n.Group.Kind, number(" limit ", n.Group.Limit))
		pr.block(n.Group.Block, depth)
	case RaceNode:
		pr.line(depth, "race%s", number(" ", n.Race.N))
		pr.block(n.Race.Block, depth)
	case MapNode:
		m := n.Map
		s := fmt.Sprintf("over %s limit %d", code(&m.Over), m.Limit)
		if m.Tolerate != nil {
			s += " tolerate " + tolerate(m.Tolerate)
		}
		if m.Into >= 0 {
			s += fmt.Sprintf(" into %d", m.Into)
		}
		pr.line(depth, "%s", s)
		pr.block(m.Block, depth)
	case IntoNode:
		pr.line(depth, "of %d", n.Of)
	case ReduceNode:
		pr.line(depth, "over %s by %d", code(&n.Reduce.Over), n.Reduce.By)
		pr.block(n.Reduce.Block, depth)
	case ChoiceNode:
		for _, br := range n.Choice.Branches {
			pr.line(depth, "if %s", code(&br.Cond))
			pr.block(br.Block, depth+1)
		}
		pr.otherwise(n.Choice.Else, depth)
	case MatchNode:
		pr.line(depth, "match %s", code(&n.Match.Subject))
		for _, a := range n.Match.Arms {
			values := make([]string, len(a.Values))
			for i, v := range a.Values {
				raw, _ := Literal(v)
				values[i] = string(raw)
			}
			pr.line(depth, "%s ->", strings.Join(values, ", "))
			pr.block(a.Block, depth+1)
		}
		pr.otherwise(n.Match.Else, depth)
	case LoopNode:
		s := fmt.Sprintf("from %s max %d", code(&n.Loop.From), n.Loop.Max)
		if n.Loop.JudgeOnly {
			s += ", the last round only judges"
		}
		pr.line(depth, "%s", s)
		pr.block(n.Loop.Block, depth)
	case FlowNode:
		pr.flow(n.Flow, depth)
	}
}

func (pr *printer) otherwise(block, depth int) {
	if block >= 0 {
		pr.line(depth, "else")
		pr.block(block, depth+1)
	}
}

func (pr *printer) call(c *Call, depth int) {
	s := c.Agent
	if sig := &pr.p.Callees[c.Callee]; sig.Name != c.Agent {
		s += " = " + sig.Name
	}
	if c.As != nil {
		s += fmt.Sprintf(" as %s", *c.As)
	}
	if c.Retry > 0 {
		s += fmt.Sprintf(" retry %d wait %v", c.Retry, c.Wait)
	}
	s += number(" repair ", c.Repair)
	if c.Cache > 0 {
		s += " cache " + duration(c.Cache)
	}
	pr.line(depth, "%s", s)
	for i := range c.System {
		pr.line(depth, "system %s", text(&c.System[i]))
	}
	for i := range c.Args {
		pr.line(depth, "%s: %s", c.Args[i].Name, code(&c.Args[i].Value))
	}
	if c.Text != nil {
		pr.line(depth, "text %s", text(c.Text))
	}
	for i := range c.Words {
		pr.line(depth, "word %s", text(&c.Words[i]))
	}
}

func (pr *printer) flow(f *Flow, depth int) {
	s := "flow " + f.Name
	if len(f.Budget) > 0 {
		s += " budget " + amounts(f.Budget)
	}
	pr.line(depth, "%s", s)
	for i, in := range f.Inputs {
		s := fmt.Sprintf("input %s: %s", in.Name, in.Type)
		switch {
		case f.Args[i] != nil:
			s += " = " + code(f.Args[i])
		case f.Text != nil && f.TextInput == i:
			s += " = " + text(f.Text)
		case in.Default != nil:
			s += " default " + string(in.Default)
		}
		pr.line(depth, "%s%s", s, musts(in.Musts))
	}
	pr.block(f.Block, depth)
}

func (pr *printer) policies(n *Node) string {
	s := ""
	if n.Effect != "" {
		s += " " + string(n.Effect)
	}
	if n.Timeout > 0 {
		s += " timeout " + duration(n.Timeout)
	}
	if len(n.Budget) > 0 {
		s += " budget " + amounts(n.Budget)
	}
	return s
}

// needs names each node that is waited for, with the reason when it is no mention: "<- melody, draft (after), 3 (gate)".
func (pr *printer) needs(b int, needs []Need) string {
	if len(needs) == 0 {
		return ""
	}
	out := make([]string, len(needs))
	for i, need := range needs {
		at := b
		for range need.Depth {
			at = pr.p.Blocks[at].Parent
		}
		out[i] = pr.p.Blocks[at].Nodes[need.Slot].Name
		if out[i] == "" {
			out[i] = strconv.Itoa(need.Slot)
		}
		out[i] += strings.Repeat("^", need.Depth)
		if need.Why != Reference {
			out[i] += " (" + string(need.Why) + ")"
		}
	}
	return " <- " + strings.Join(out, ", ")
}

func code(e *Expr) string { return e.Code }

func text(t *Text) string {
	var b strings.Builder
	for _, p := range t.Parts {
		if p.Expr != nil {
			b.WriteString("<<" + p.Expr.Code + ">>")
		} else {
			b.WriteString(p.Literal)
		}
	}
	raw, _ := marshal(b.String())
	return string(raw)
}

func number(word string, n int) string {
	if n == 0 {
		return ""
	}
	return word + strconv.Itoa(n)
}

func musts(ms []types.Must) string {
	s := ""
	for _, m := range ms {
		s += " must " + m.Expr
	}
	return s
}

func tolerate(t *Tolerate) string {
	switch {
	case t.All:
		return "all"
	case t.Percent > 0:
		return fmt.Sprintf("%d%%", t.Percent)
	}
	return strconv.Itoa(t.Count)
}

func amounts(as []Amount) string {
	out := make([]string, len(as))
	for i, a := range as {
		out[i] = a.String()
	}
	return strings.Join(out, ", ")
}

// String is the amount as a script writes it: "$0.50", "5000 tokens", "20 calls", "10m".
func (a Amount) String() string {
	switch {
	case a.Money > 0:
		return a.Money.String()
	case a.Tokens > 0:
		return fmt.Sprintf("%d tokens", a.Tokens)
	case a.Calls > 0:
		return fmt.Sprintf("%d calls", a.Calls)
	default:
		return duration(a.Duration)
	}
}

// String is the sum in dollars with at least two decimals: "$0.50", "$0.000125".
func (m Money) String() string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	frac := strings.TrimRight(fmt.Sprintf("%06d", m%1e6), "0")
	for len(frac) < 2 {
		frac += "0"
	}
	return fmt.Sprintf("%s$%d.%s", sign, m/1e6, frac)
}

// duration writes whole days, hours, minutes and seconds as a script does: "2d", "90s", "500ms".
func duration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d >= u.unit && d%u.unit == 0 {
			return fmt.Sprintf("%d%s", d/u.unit, u.name)
		}
	}
	return d.String()
}

func signature(s *types.Signature) string {
	out := s.Name
	if s.Use != s.Name {
		out += " uses " + s.Use
	}
	out += fmt.Sprintf(" %s %s", s.Kind, s.Effect)
	if s.Defaults != nil {
		out += " " + string(s.Defaults)
	}
	return out
}
