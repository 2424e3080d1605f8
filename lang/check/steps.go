package check

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// typeBlock types the nodes of a block, each after those it mentions, and gives the block its type.
func (c *checker) typeBlock(b *Block) {
	done := make([]bool, len(b.Nodes))
	type frame struct{ slot, edge int }
	for start := range b.Nodes {
		if done[start] {
			continue
		}
		done[start] = true
		work := []frame{{start, 0}}
		for len(work) > 0 {
			f := &work[len(work)-1]
			if f.edge < len(b.edges[f.slot]) {
				e := b.edges[f.slot][f.edge]
				f.edge++
				if e.why == plan.Reference && !done[e.from] {
					done[e.from] = true
					work = append(work, frame{e.from, 0})
				}
				continue
			}
			c.typeNode(b.Nodes[f.slot])
			work = work[:len(work)-1]
		}
	}
	c.typeValue(b)
}

// typeValue gives a block the type of its value: its value line's, else a record of its named steps.
func (c *checker) typeValue(b *Block) {
	if b.Value >= 0 {
		n := b.Nodes[b.Value]
		b.Type, b.taint = n.Type, n.taint
		b.bad = b.bad || n.bad
		return
	}
	t := types.Type{Kind: types.Record}
	for _, n := range b.Nodes {
		if n.Step == nil || n.Name == "" {
			continue
		}
		// A step whose type is not known makes only its own field anything.
		t.Fields = append(t.Fields, types.Field{Name: n.Name, Type: n.Type})
		b.taint |= n.taint
		b.bad = b.bad || n.bad
	}
	b.Type = t
}

// typeNode types one node and passes on what it found to the node's name.
func (c *checker) typeNode(n *Node) {
	var k known
	switch n.Kind {
	case plan.LetNode:
		k = c.typeExpr(n.Expr)
	case plan.ValueNode:
		if n.Text != nil {
			k = c.typeText(n.Text, "this text")
			break
		}
		k = c.typeExpr(n.Expr)
		if _, output := n.Stmt.(*syntax.Output); output && !k.bad && k.Type.Optional {
			written := c.written(n.Expr)
			c.add(diag.Diagnostic{
				Code: "E0115", Span: n.Expr.At, Message: fmt.Sprintf("`%s` may be empty, and an output needs a value", written), Label: fmt.Sprintf("it is %s", k.Type),
				Help: []string{fmt.Sprintf("say what to give in its place: `output %s ?? \"none\"`", written)},
			})
			k.bad = true
		}
	case plan.RequireNode:
		c.condition(n.Expr, "require")
		c.typeText(n.Stmt.(*syntax.Require).Else, "this message")
	case plan.StopNode:
		if n.bad {
			c.typeExpr(n.Expr)
		} else {
			c.condition(n.Expr, "stop if")
		}
	case plan.IntoNode:
		k = c.typeInto(n)
	default:
		k = c.typeStep(n)
		c.info.Steps[n.Step] = k.Type
	}
	n.Type, n.taint = k.Type, k.Taint
	n.bad = n.bad || k.bad
	if n.bad {
		n.Type = types.Type{}
	}
	if n.Decl != nil {
		n.Decl.Type, n.Decl.taint = n.Type, n.taint
		n.Decl.bad = n.Decl.bad || n.bad
	}
}

// typeInto types the list of what a map could not do.
func (c *checker) typeInto(n *Node) known {
	m := n.block.Nodes[n.Of].Step.(*syntax.Map)
	over := c.info.Exprs[m.Over]
	item := types.Type{}
	if over != nil {
		item = over.Type.Item()
	}
	return known{Operand: eval.Operand{Taint: worldTaint, Type: types.ListOf(types.Type{Kind: types.Record, Fields: []types.Field{
		{Name: "item", Type: item}, {Name: "index", Type: types.Type{Kind: types.Int}}, {Name: "error", Type: errorType},
	}})}}
}

// typeStep types a step: its own value, then where its fallbacks meet it.
func (c *checker) typeStep(n *Node) known {
	var k known
	switch s := n.Step.(type) {
	case *syntax.Call:
		k = c.typeCall(s, n)
	case *syntax.Group:
		c.typeBlock(n.Bodies[0])
		k = blockValue(n.Bodies[0])
	case *syntax.Race:
		k = c.typeRace(s, n)
	case *syntax.Map:
		c.list(s.Over, "map", n.Bodies[0].Binds[0])
		if s.Index != nil {
			n.Bodies[0].Binds[1].Type = types.Type{Kind: types.Int}
		}
		c.typeBlock(n.Bodies[0])
		k = blockValue(n.Bodies[0])
		k.Type = types.ListOf(k.Type)
	case *syntax.Reduce:
		k = c.typeReduce(s, n)
	case *syntax.Loop:
		k = c.typeLoop(s, n)
	case *syntax.If:
		for i, br := range s.Branches {
			word := "if"
			if i > 0 {
				word = "else if"
			}
			c.condition(br.Cond, word)
		}
		k = c.meetBodies(n)
		if s.Else == nil && !k.bad {
			k.Type = types.Maybe(k.Type)
		}
	case *syntax.Match:
		subject := c.typeExpr(s.Subject)
		c.checkArms(s, subject)
		k = c.meetBodies(n)
		k.bad = k.bad || subject.bad
	}
	c.checkClauses(n)
	return c.typeFallbacks(n, k)
}

func blockValue(b *Block) known {
	return known{Operand: eval.Operand{Type: b.Type, Taint: b.taint}, bad: b.bad}
}

// meetBodies types the branches of a step and finds where they meet.
func (c *checker) meetBodies(n *Node) known {
	var k known
	for i, b := range n.Bodies {
		c.typeBlock(b)
		v := blockValue(b)
		if i == 0 {
			k = v
			continue
		}
		k.Type, k.Taint, k.bad = types.Meet(k.Type, v.Type), k.Taint|v.Taint, k.bad || v.bad
	}
	return k
}

func (c *checker) typeRace(s *syntax.Race, n *Node) known {
	b := n.Bodies[0]
	c.typeBlock(b)
	k := known{bad: b.bad}
	members := 0
	for _, m := range b.Nodes {
		if m.Step == nil {
			continue
		}
		if members == 0 {
			k.Type = m.Type
		} else {
			k.Type = types.Meet(k.Type, m.Type)
		}
		k.Taint |= m.taint
		k.bad = k.bad || m.bad
		members++
	}
	c.checkRace(s, b, members)
	if s.N > 0 {
		k.Type = types.ListOf(k.Type)
	}
	return k
}

// list types what a map or reduce goes over and gives its variable the type of the items.
func (c *checker) list(over *syntax.Expr, word string, item *Decl) types.Type {
	k := c.typeExpr(over)
	item.bad = item.bad || k.bad
	item.taint = k.Taint
	if k.bad {
		return types.Type{}
	}
	written := c.written(over)
	d := diag.Diagnostic{Code: "E0116", Span: over.At}
	switch {
	case k.Type.Kind == types.List && !k.Type.Optional:
		item.Type = k.Type.Item()
		return item.Type
	case k.Type.Kind == types.List:
		d.Code = "E0115"
		d.Message, d.Label = fmt.Sprintf("`%s` may be empty, and `%s` needs a list", written, word), fmt.Sprintf("say what to take when it is: `%s ?? []`", written)
	case k.Type.Kind == types.Any:
		d.Message, d.Label = fmt.Sprintf("`%s` goes over a list, and `%s` could be anything", word, written), "say what is in it"
		d.Help = []string{"`as [string]` behind the call that gives it, or `input files: [file]`"}
	case k.Type.Kind == types.String:
		d.Message, d.Label = fmt.Sprintf("`%s` goes over a list, and `%s` is a string", word, written), "one text, not a list of them"
		d.Help = []string{fmt.Sprintf("its lines: `split(%s, \"\\n\")`", written), "or let an agent answer with a list: `… as [string]`"}
	default:
		d.Message, d.Label = fmt.Sprintf("`%s` goes over a list, and `%s` is %s", word, written, article(k.Type)), "a list is needed here"
		if lists := listFields(k.Type); len(lists) > 0 {
			d.Label = fmt.Sprintf("did you mean `%s.%s`?", written, lists[0])
		}
	}
	c.add(d)
	item.bad = true
	return types.Type{}
}

func listFields(t types.Type) []string {
	var list []string
	for _, f := range t.Fields {
		if f.Type.Kind == types.List {
			list = append(list, f.Name)
		}
	}
	return list
}

// article puts "a" or "an" before a type where English wants it.
func article(t types.Type) string {
	s := t.String()
	switch t.Kind {
	case types.Enum, types.Any, types.Nothing:
		return s
	}
	if strings.HasPrefix(s, "{") {
		return s
	}
	if strings.ContainsRune("aeiouAEIO", rune(s[0])) {
		return "an " + s
	}
	return "a " + s
}

func (c *checker) typeReduce(s *syntax.Reduce, n *Node) known {
	b := n.Bodies[0]
	item := c.list(s.Over, "reduce", b.Binds[0])
	b.Binds[0].Type = types.ListOf(item)
	taint := b.Binds[0].taint
	c.typeBlock(b)
	k := blockValue(b)
	k.Taint |= taint
	k.bad = k.bad || b.Binds[0].bad
	if s.By < 2 {
		c.add(diag.Diagnostic{Code: "E0128", Span: headerWord(c.src, s.Over.At.End, s.Body.At.Start, "by"), Message: "`reduce` merges groups of at least two", Label: fmt.Sprintf("`by %d` would never end", s.By), Help: []string{"write `by 10`, or any number from 2 up"}})
	}
	if k.bad {
		return k
	}
	if !types.Fits(k.Type, item) {
		d := diag.Diagnostic{
			Code: "E0117", Span: c.valueSpan(b), Message: "the merged value must be like the items, since it is merged again", Label: fmt.Sprintf("this is %s, an item is %s", article(k.Type), article(item)),
			Help: []string{"to reduce everything in one call, write a call instead of `reduce`"},
		}
		c.lastLineNamed(&d, b, item)
		c.add(d)
		k.bad = true
	}
	k.Type = item
	return k
}

// valueSpan is where the value of a block is written.
func (c *checker) valueSpan(b *Block) source.Span {
	if b.Value < 0 {
		return firstLine(c.src, b.at)
	}
	n := b.Nodes[b.Value]
	if n.Expr != nil {
		return n.Expr.At
	}
	return firstLine(c.src, n.at)
}

// maxRetyped bounds the second looks at loop bodies in a file: loops inside loops would double them at each level.
const maxRetyped = 20_000

// typeLoop finds the type of a loop's variable: where the start and the body's value meet. The body is typed with the type of the start; if its value widens
// that, once more with what they meet in, and only what is wrong then is said.
func (c *checker) typeLoop(s *syntax.Loop, n *Node) known {
	b := n.Bodies[0]
	if s.Max < 1 {
		c.add(diag.Diagnostic{Code: "E0128", Span: headerWord(c.src, s.From.At.End, s.Body.At.Start, "max"), Message: "a loop has at least one round", Label: "`max 1` or more"})
	}
	start := c.typeExpr(s.From)
	v := b.Binds[0]
	v.Type, v.taint, v.bad = start.Type, start.Taint|worldTaint, v.bad || start.bad
	said := len(*c.diags)
	c.typeBlock(b)
	body := blockValue(b)
	k := known{bad: start.bad || body.bad}
	k.Type = start.Type
	if !k.bad {
		met := types.Meet(start.Type, body.Type)
		if !types.Same(met, start.Type) && c.retyped < maxRetyped && met.Kind != types.Any {
			*c.diags = (*c.diags)[:said]
			v.Type = met
			c.untype(b)
			c.typeBlock(b)
			body = blockValue(b)
			k.bad = body.bad
			met = types.Meet(start.Type, body.Type)
		}
		if !k.bad && (met.Kind == types.Any && start.Type.Kind != types.Any && body.Type.Kind != types.Any || !types.Fits(body.Type, met)) {
			d := diag.Diagnostic{
				Code: "E0117", Span: c.valueSpan(b), Message: fmt.Sprintf("each round must give the next `%s`, and this is something else", s.Var.Text),
				Label:   fmt.Sprintf("this is %s; `%s` starts as %s", article(body.Type), s.Var.Text, article(start.Type)),
				Related: c.related(s.From.At, fmt.Sprintf("`%s` starts here", s.Var.Text)),
			}
			c.lastLineNamed(&d, b, start.Type)
			c.add(d)
			k.bad = true
		}
		k.Type = met
	}
	k.Taint = start.Taint | body.Taint
	for _, f := range n.Fallbacks {
		if f != nil && len(f.Binds) > 1 {
			f.Binds[1].Type, f.Binds[1].taint, f.Binds[1].bad = k.Type, k.Taint, k.bad
		}
	}
	if len(n.failing) > 1 {
		n.failing[1].Type, n.failing[1].taint, n.failing[1].bad = k.Type, k.Taint, k.bad
	}
	return k
}

// lastLineNamed explains a block whose value is the record of all its steps, where that of the last one was meant.
func (c *checker) lastLineNamed(d *diag.Diagnostic, b *Block, want types.Type) {
	if b.Value >= 0 || len(b.Nodes) == 0 {
		return
	}
	last := b.Nodes[len(b.Nodes)-1]
	if last.Step == nil || last.Name == "" || !types.Fits(last.Type, want) {
		return
	}
	d.Span = last.Decl.At
	d.Label = fmt.Sprintf("with a name, the last line is not the value of the block: write `output %s` below it, or leave the name away", last.Name)
	d.Help = append(d.Help, "a block without a value line gives a record of all its steps")
}

// untype forgets what the first look at a block found, so that it can be typed again.
func (c *checker) untype(b *Block) {
	b.bad, b.taint = len(b.Nodes) == 0 || b.Syntax != nil && b.Syntax.Lost, 0
	c.retyped += len(b.Nodes)
	for _, n := range b.Nodes {
		n.bad, n.taint = c.info.Calls[callOf(n)] == nil && callOf(n) != nil, 0
		if n.Decl != nil {
			n.Decl.bad, n.Decl.taint = n.bad, 0
		}
		for _, inner := range n.Bodies {
			c.untype(inner)
		}
		for _, inner := range n.Fallbacks {
			if inner != nil {
				c.untype(inner)
			}
		}
	}
}

func callOf(n *Node) *syntax.Call {
	call, _ := n.Step.(*syntax.Call)
	return call
}

// typeFallbacks types the fallbacks of a step. Those of a call must fit its type; those of a block meet it.
func (c *checker) typeFallbacks(n *Node, k known) known {
	i := -1
	_, call := n.Step.(*syntax.Call)
	skip := false
	for _, clause := range Clauses(n.Step) {
		if clause.Kind != syntax.ElseClause || clause.Fallback == nil {
			continue
		}
		i++
		f := clause.Fallback
		switch {
		case f.Skip:
			skip = true
		case f.Fail != nil:
			c.typeText(f.Fail, "this message")
		}
		b := n.Fallbacks[i]
		if b == nil {
			continue
		}
		c.typeBlock(b)
		v := blockValue(b)
		if f.Text != nil {
			v.Literal = nil
			if s, ok := f.Text.Plain(); ok {
				v.Literal = s
			}
		}
		if v.bad || k.bad {
			k.Taint |= v.Taint
			continue
		}
		if call && !v.Fits(k.Type) {
			label := fmt.Sprintf("this is %s; the step gives %s", article(v.Type), article(k.Type))
			if s, ok := v.Literal.(string); ok && k.Type.Kind == types.Enum {
				label = fmt.Sprintf("%q is not one of %s", s, types.Quoted(k.Type.Values))
			}
			c.add(diag.Diagnostic{Code: "E0110", Span: c.valueSpan(b), Message: "a fallback must give what the step would have given", Label: label})
			continue
		}
		if !call {
			k.Type = types.Meet(k.Type, v.Type)
		}
		k.Taint |= v.Taint
	}
	if skip {
		k.Type = types.Maybe(k.Type)
	}
	return k
}
