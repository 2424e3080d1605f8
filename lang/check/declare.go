package check

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// blockKind tells what a block is the inside of, where that changes what may stand in it or how its nodes are ordered.
type blockKind string

const (
	plainBlock    blockKind = ""
	fileBlock     blockKind = "file"
	parallelBlock blockKind = "parallel"
	sequenceBlock blockKind = "sequence"
	raceBlock     blockKind = "race"
	loopBlock     blockKind = "loop"
	elseBlock     blockKind = "else"
)

// declareFile declares what stands in the file and builds its blocks.
func (c *checker) declareFile() {
	root := &Block{Value: -1, kind: fileBlock, names: map[string]*Decl{}, at: source.Span{Start: 0, End: len(c.src.Text)}}
	c.info.Root = root
	var stmts []syntax.Stmt
	var binds []*Decl
	for _, v := range c.scope.Values {
		binds = append(binds, &Decl{Name: v.Name, File: c.file, Block: root, Type: v.Type, reads: 1})
	}
	var inputs []*Decl
	budgets := map[string]*syntax.Budget{} // the first of each unit
	for _, item := range c.file.Items {
		switch item := item.(type) {
		case *syntax.Use:
			c.declareCallee(item.As, func() { c.uses[item.As.Text] = item })
		case *syntax.Input:
			inputs = append(inputs, &Decl{Name: item.Name.Text, File: c.file, At: item.Name.At, Block: root, Input: item})
		case *syntax.Secret:
			d := &Decl{Name: item.Name.Text, File: c.file, At: item.Name.At, Block: root, Secret: true, Type: types.Type{Kind: types.String}, Slot: -1}
			if c.declare(root, d) {
				c.secrets[d.Name] = d
			}
			c.info.Secrets = append(c.info.Secrets, d)
		case *syntax.Budget:
			if first := budgets[unit(item.Amount)]; first != nil {
				c.add(diag.Diagnostic{
					Code: "E0128", Span: item.At, Message: "the budget of the file is there twice", Label: "the smaller one would hold, whatever this says",
					Related: c.related(first.At, "the first time is here"),
				})
			} else {
				budgets[unit(item.Amount)] = item
			}
			c.info.Budget = append(c.info.Budget, Amount(item.Amount))
		case *syntax.TypeDef:
			c.declareType(item)
		case *syntax.Agent:
			c.declareCallee(item.Name, func() { c.agents[item.Name.Text] = item })
		case *syntax.Test:
			c.info.Tests = append(c.info.Tests, item)
		case syntax.Stmt:
			stmts = append(stmts, item)
		}
	}
	for _, d := range inputs {
		c.declare(root, d)
		c.info.Inputs = append(c.info.Inputs, d)
	}
	c.addNodes(root, stmts)
	for _, d := range binds {
		// A line of the file may take the place of a name that was there before it: that is how a REPL binds a name anew. What it mentions under that name
		// is the old value.
		if root.names[d.Name] == nil {
			root.put(d)
		} else {
			c.before[d.Name] = d
		}
	}
	c.bind(root, append(binds, inputs...))
	for _, n := range root.Nodes {
		c.declareInside(n)
	}
}

// Amount is what a budget allows, as the plan has it.
func Amount(a syntax.Amount) plan.Amount {
	return plan.Amount{Money: plan.Money(a.Money), Tokens: int64(a.Tokens), Calls: int64(a.Calls), Duration: a.Duration}
}

// unit tells the kinds of budgets apart: a file may have one of each.
func unit(a syntax.Amount) string {
	switch {
	case a.Money > 0:
		return "money"
	case a.Tokens > 0:
		return "tokens"
	case a.Calls > 0:
		return "calls"
	}
	return "time"
}

// declareCallee declares a name of the agents' name space: a persona or a used flow.
func (c *checker) declareCallee(name syntax.Name, declare func()) {
	var first syntax.Name
	if u := c.uses[name.Text]; u != nil {
		first = u.As
	} else if a := c.agents[name.Text]; a != nil {
		first = a.Name
	} else {
		declare()
		return
	}
	c.add(diag.Diagnostic{
		Code: "E0104", Span: name.At, Message: fmt.Sprintf("there are two agents named `%s`", name.Text), Label: "the second one: give it a name of its own",
		Related: c.related(first.At, "the first one is here"),
	})
}

func (c *checker) declareType(t *syntax.TypeDef) {
	if first := c.typeDefs[t.Name.Text]; first != nil {
		c.add(diag.Diagnostic{
			Code: "E0104", Span: t.Name.At, Message: fmt.Sprintf("there are two types named `%s`", t.Name.Text), Label: "the second one: give it a name of its own",
			Related: c.related(first.Name.At, "the first one is here"),
		})
		return
	}
	if builtinType(t.Name.Text) {
		c.add(diag.Diagnostic{
			Code: "E0104", Span: t.Name.At, Message: fmt.Sprintf("`%s` is a type of the language already", t.Name.Text),
			Label: "choose another name; types of your own usually begin with a capital letter",
		})
		return
	}
	c.typeDefs[t.Name.Text] = t
}

// declare puts a value name into its block, unless it is taken along the line of nesting. It reports whether the name is new.
func (c *checker) declare(b *Block, d *Decl) bool {
	for outer := b; outer != nil; outer = outer.Parent {
		first := outer.names[d.Name]
		if first == nil {
			continue
		}
		message := fmt.Sprintf("the name `%s` is given twice", d.Name)
		label := "the second time: choose another name"
		where := "the first time is here"
		if outer != b {
			message = fmt.Sprintf("the name `%s` is taken already", d.Name)
			label = "a block cannot reuse a name from around it: choose another"
			where = fmt.Sprintf("`%s` is here, and seen inside the block", d.Name)
		}
		c.add(diag.Diagnostic{Code: "E0104", Span: d.At, Message: message, Label: label, Related: c.related(first.At, where)})
		// Its own block still finds the inner one: what the line below it means is clear enough.
		if outer != b {
			b.put(d)
			d.bad = true
		}
		d.reads++ // whoever reads the name may mean this one
		return false
	}
	b.put(d)
	return true
}

func (b *Block) put(d *Decl) {
	if b.names == nil {
		b.names = make(map[string]*Decl, len(b.Binds)+1)
	}
	b.names[d.Name] = d
}

// bind gives the block its binds and their slots, once its nodes are known.
func (c *checker) bind(b *Block, binds []*Decl) {
	b.Binds = binds
	for i, d := range binds {
		d.Slot = len(b.Nodes) + i
	}
}

// inner makes the block of a container. Binds are declared before its lines, so that a line which repeats one is the second.
func (c *checker) inner(owner *Node, syn *syntax.Block, kind blockKind, binds ...*Decl) *Block {
	b := &Block{Syntax: syn, Parent: owner.block, Value: -1, kind: kind, owner: owner, at: owner.at}
	for _, d := range binds {
		d.Block = b
		if d.At != (source.Span{}) { // `error` is found without being declared: an else inside an else has its own
			c.declare(b, d)
		}
	}
	b.Binds = binds
	if syn != nil {
		b.at = syn.At
		c.info.Blocks[syn] = b
		b.bad = len(syn.Stmts) == 0 || syn.Lost
		if len(syn.Stmts) == 0 && !syn.Lost {
			c.add(diag.Diagnostic{
				Code: "E0132", Span: syn.At, Message: "this block is empty", Label: "a block needs at least one line: a step, or `output` and a value",
			})
		}
		c.addNodes(b, syn.Stmts)
	}
	c.bind(b, binds)
	return b
}

// value makes the block of a branch, arm or fallback that is one value: a step, an expression or a text.
func (c *checker) value(owner *Node, kind blockKind, v syntax.Value, text *syntax.Text, binds ...*Decl) *Block {
	b := c.inner(owner, nil, kind, binds...)
	n := &Node{Kind: plan.ValueNode, Into: -1, block: b}
	switch {
	case v.Step != nil:
		n.Kind, n.Step, n.at = stepKind(v.Step), v.Step, v.Step.Span()
	case v.Expr != nil:
		n.Expr, n.at = v.Expr, v.Expr.At
	default:
		n.Text, n.at = text, text.At
	}
	b.at = n.at
	b.Nodes = []*Node{n}
	b.Value = 0
	c.bind(b, b.Binds)
	return b
}

// addNodes makes the nodes of the lines and declares their names.
func (c *checker) addNodes(b *Block, stmts []syntax.Stmt) {
	c.order = append(c.order, b)
	b.Nodes = make([]*Node, 0, len(stmts))
	for i, stmt := range stmts {
		last := i == len(stmts)-1
		n := &Node{Stmt: stmt, Into: -1, block: b, slot: len(b.Nodes), at: stmt.Span()}
		b.Nodes = append(b.Nodes, n)
		switch stmt := stmt.(type) {
		case *syntax.StepStmt:
			n.Kind, n.Step = stepKind(stmt.Step), stmt.Step
			if stmt.Name != nil {
				c.name(b, n, *stmt.Name)
			} else {
				c.valueLine(b, n, last, stmts)
			}
			if m, ok := stmt.Step.(*syntax.Map); ok && m.Into != nil {
				into := &Node{Kind: plan.IntoNode, Step: nil, Into: -1, Of: n.slot, block: b, slot: len(b.Nodes), at: m.Into.At}
				n.Into = into.slot
				b.Nodes = append(b.Nodes, into)
				c.name(b, into, *m.Into)
			}
		case *syntax.Let:
			n.Kind, n.Expr = plan.LetNode, stmt.Value
			c.name(b, n, stmt.Name)
		case *syntax.Require:
			n.Kind, n.Expr = plan.RequireNode, stmt.Cond
		case *syntax.StopIf:
			n.Kind, n.Expr = plan.StopNode, stmt.Cond
			if b.kind != loopBlock {
				d := diag.Diagnostic{
					Code: "E0128", Span: n.at, Message: "`stop if` has no loop to stop here", Label: "it stands directly in the body of a `loop`",
					Help: []string{"to end the flow when something is wrong, write `require … else \"…\"`"},
				}
				for outer := b.owner; outer != nil; outer = outer.block.owner {
					if outer.block.kind == loopBlock {
						d.Message = fmt.Sprintf("`stop if` cannot stand inside the `%s` in a loop", stepWord(b.owner))
						d.Label = "it is a line of the loop's own block"
						d.Help = []string{"write the whole condition behind it, without a block around it: `stop if review.score >= 8 and done`"}
						break
					}
				}
				c.add(d)
				n.bad = true
			}
		case *syntax.Output:
			if stmt.Value.Step != nil {
				n.Kind, n.Step = stepKind(stmt.Value.Step), stmt.Value.Step
				if m, ok := n.Step.(*syntax.Map); ok && m.Into != nil {
					into := &Node{Kind: plan.IntoNode, Into: -1, Of: n.slot, block: b, slot: len(b.Nodes), at: m.Into.At}
					n.Into = into.slot
					b.Nodes = append(b.Nodes, into)
					c.name(b, into, *m.Into)
				}
			} else {
				n.Kind, n.Expr = plan.ValueNode, stmt.Value.Expr
			}
			c.valueLine(b, n, last, stmts)
		}
	}
	if b.owner == nil {
		return // the file: its binds come first
	}
	c.bind(b, b.Binds)
	for _, n := range b.Nodes {
		c.declareInside(n)
	}
}

// name declares the name of a node.
func (c *checker) name(b *Block, n *Node, name syntax.Name) {
	n.Name = name.Text
	n.Decl = &Decl{Name: name.Text, File: c.file, At: name.At, Block: b, Slot: n.slot}
	c.declare(b, n.Decl)
}

// valueLine makes n the value of its block, if it is the last line.
func (c *checker) valueLine(b *Block, n *Node, last bool, stmts []syntax.Stmt) {
	if last {
		b.Value = n.slot
		return
	}
	next := stmts[len(stmts)-1]
	d := diag.Diagnostic{Code: "E0132", Span: n.at, Related: c.related(firstLine(c.src, next.Span()), "this is the last line")}
	if _, ok := n.Stmt.(*syntax.Output); ok {
		d.Span = source.Span{Start: n.at.Start, End: n.at.Start + len("output")}
		d.Message = "`output` must be the last line of its block"
		d.Label = "it says what the value is; it does not stop anything"
		d.Help = []string{"to stop early write `require … else \"…\"`", "to give a different value in some cases write `output if … { … } else { … }`"}
	} else {
		d.Span = firstLine(c.src, n.at)
		d.Message = "only the last line of a block may go without a name"
		d.Label = fmt.Sprintf("give it a name: `name = %s …`", firstWord(c.src.Slice(n.at)))
	}
	c.add(d)
}

// firstWord is the text up to the first blank or bracket.
func firstWord(s string) string {
	if i := strings.IndexAny(s, " \t\r\n({\"'"); i > 0 {
		return s[:i]
	}
	return s
}

// firstLine is the part of a span that stands on its first line.
func firstLine(f *source.File, at source.Span) source.Span {
	for i := at.Start; i < at.End && i < len(f.Text); i++ {
		if f.Text[i] == '\n' || f.Text[i] == '\r' {
			return source.Span{Start: at.Start, End: i}
		}
	}
	return at
}

// headerWord is a word of a step's header with what stands behind it, as `max 0`: the last one between two places.
func headerWord(f *source.File, start, end int, word string) source.Span {
	header := strings.TrimRight(f.Text[start:end], " \t\r\n")
	return source.Span{Start: start + max(0, strings.LastIndex(header, word)), End: start + len(header)}
}

// declareInside builds the blocks inside a step: its bodies, then its fallbacks.
func (c *checker) declareInside(n *Node) {
	bind := func(name syntax.Name) *Decl {
		return &Decl{Name: name.Text, File: c.file, At: name.At}
	}
	body := func(syn *syntax.Block, kind blockKind, binds ...*Decl) {
		n.Bodies = append(n.Bodies, c.inner(n, syn, kind, binds...))
	}
	switch s := n.Step.(type) {
	case *syntax.Group:
		body(s.Body, map[syntax.GroupKind]blockKind{syntax.Parallel: parallelBlock, syntax.Sequence: sequenceBlock}[s.Kind])
	case *syntax.Race:
		body(s.Body, raceBlock)
	case *syntax.Map:
		binds := []*Decl{bind(s.Item)}
		if s.Index != nil {
			binds = append(binds, bind(*s.Index))
		}
		body(s.Body, plainBlock, binds...)
	case *syntax.Reduce:
		body(s.Body, plainBlock, bind(s.Part))
	case *syntax.Loop:
		body(s.Body, loopBlock, bind(s.Var))
	case *syntax.If:
		for _, br := range s.Branches {
			body(br.Body, plainBlock)
		}
		if s.Else != nil {
			body(s.Else, plainBlock)
		}
	case *syntax.Match:
		for _, arm := range s.Arms {
			if arm.Block != nil {
				body(arm.Block, plainBlock)
			} else {
				b := c.value(n, plainBlock, *arm.Value, nil)
				n.Bodies = append(n.Bodies, b)
				c.order = append(c.order, b)
				c.declareInside(b.Nodes[0])
			}
		}
	}
	if n.Step == nil {
		return
	}
	for _, clause := range Clauses(n.Step) {
		if clause.Kind != syntax.ElseClause || clause.Fallback == nil {
			continue
		}
		f := clause.Fallback
		binds := []*Decl{{Name: "error", File: c.file, Type: errorType, taint: worldTaint}}
		if l, ok := n.Step.(*syntax.Loop); ok {
			binds = append(binds, bind(l.Var))
		}
		var b *Block
		switch {
		case f.Block != nil:
			b = c.inner(n, f.Block, elseBlock, binds...)
		case f.Call != nil:
			b = c.value(n, elseBlock, syntax.Value{Step: f.Call}, nil, binds...)
		case f.Text != nil:
			b = c.value(n, elseBlock, syntax.Value{}, f.Text, binds...)
		}
		if f.Fail != nil {
			n.failing = binds
		}
		n.Fallbacks = append(n.Fallbacks, b)
		if b != nil && b.Syntax == nil {
			c.order = append(c.order, b)
			c.declareInside(b.Nodes[0])
		}
	}
}

// stepKind is the kind of a step's node. A call of a flow is told apart when callees are resolved.
func stepKind(s syntax.Step) plan.NodeKind {
	switch s.(type) {
	case *syntax.Group:
		return plan.GroupNode
	case *syntax.Race:
		return plan.RaceNode
	case *syntax.Map:
		return plan.MapNode
	case *syntax.Reduce:
		return plan.ReduceNode
	case *syntax.If:
		return plan.ChoiceNode
	case *syntax.Match:
		return plan.MatchNode
	case *syntax.Loop:
		return plan.LoopNode
	}
	return plan.CallNode
}

// Clauses are the policies written behind a step.
func Clauses(s syntax.Step) []syntax.Clause {
	switch s := s.(type) {
	case *syntax.Call:
		return s.Clauses
	case *syntax.Group:
		return s.Clauses
	case *syntax.Race:
		return s.Clauses
	case *syntax.Map:
		return s.Clauses
	case *syntax.Reduce:
		return s.Clauses
	case *syntax.If:
		return s.Clauses
	case *syntax.Match:
		return s.Clauses
	case *syntax.Loop:
		return s.Clauses
	}
	return nil
}
