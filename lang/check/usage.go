package check

import (
	"fmt"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// checkUnused warns of what nobody reads: answers of agents that change nothing, and what the file declares.
func (c *checker) checkUnused() {
	if len(c.broken) > 0 {
		return // a line that could not be read may have used it
	}
	warn := func(at source.Span, message, label, help string) {
		d := diag.Diagnostic{Code: "E0107", Severity: diag.Warning, Span: at, Message: message, Label: label}
		if help != "" {
			d.Help = []string{help}
		}
		c.add(d)
	}
	for _, in := range c.info.Inputs {
		if in.reads == 0 {
			warn(in.At, fmt.Sprintf("nothing uses the input `%s`", in.Name), "it would be asked for in vain", fmt.Sprintf("mention it with `<<%s>>`, or remove the line", in.Name))
		}
	}
	for _, item := range c.file.Items {
		switch item := item.(type) {
		case *syntax.TypeDef:
			if c.typeUses[item.Name.Text] == 0 && c.typeDefs[item.Name.Text] == item {
				warn(item.Name.At, fmt.Sprintf("nothing uses the type `%s`", item.Name.Text), "no input and no `as` asks for it", fmt.Sprintf("behind a call: `as %s`", item.Name.Text))
			}
		case *syntax.Use:
			if item.Template && c.useCount[item.As.Text] == 0 && c.uses[item.As.Text] == item && c.info.Templates[item.As.Text] != nil {
				warn(item.As.At, fmt.Sprintf("nothing calls the template `%s`", item.As.Text), "it is loaded for nothing", fmt.Sprintf("put its text into another: `\"<<%s>>\"`", c.templateCall(item.As.Text)))
			}
			if !item.Template && c.useCount[item.As.Text] == 0 && c.uses[item.As.Text] == item && c.info.Flows[item.As.Text] != nil {
				warn(item.As.At, fmt.Sprintf("nothing calls the flow `%s`", item.As.Text), "it is loaded for nothing", "")
			}
		}
	}
	for _, b := range c.order {
		for _, n := range b.Nodes {
			c.unusedNode(b, n, warn)
		}
	}
}

func (c *checker) unusedNode(b *Block, n *Node, warn func(at source.Span, message, label, help string)) {
	if n.Decl == nil || n.Decl.reads > 0 || n.bad || b.names[n.Name] != n.Decl {
		return
	}
	switch {
	case n.Kind == plan.LetNode:
		warn(n.Decl.At, fmt.Sprintf("nothing uses `%s`", n.Name), "it is computed for nothing", fmt.Sprintf("mention it with `<<%s>>`, or remove the line", n.Name))
	case n.Kind == plan.IntoNode:
		warn(n.Decl.At, fmt.Sprintf("nothing uses `%s`", n.Name), "nobody would hear of the failures", fmt.Sprintf("mention it, for example in the output: `failed: %s`; or leave `into` away", n.Name))
	case n.Step == nil || b.Value < 0 || b.kind == raceBlock || n.Decl.after > 0:
	case n.Effect != types.Do && n.Type.Kind != types.Nothing:
		what := "its answer is paid for and thrown away"
		if callOf(n) == nil {
			what = "its value is made and thrown away"
		}
		warn(n.Decl.At, fmt.Sprintf("nothing uses `%s`", n.Name), what, fmt.Sprintf("mention it below with `<<%s>>`, or remove the step", n.Name))
	}
}

// checkQuestions reports questions whose answer nobody reads.
func (c *checker) checkQuestions() {
	for _, b := range c.order {
		for i, n := range b.Nodes {
			if !n.question || n.bad || i == b.Value || n.Decl != nil && n.Decl.reads > 0 {
				continue
			}
			// Without a value line the answer leaves in the block's record; but if something is done below it, nobody will have looked at it by then.
			if b.Value < 0 && !(n.Decl != nil && doesBelow(b, i)) {
				continue
			}
			name, at := n.Name, firstLine(c.src, n.at)
			if n.Decl != nil {
				at = n.Decl.At
			}
			if name == "" {
				name = "ok"
			}
			d := diag.Diagnostic{
				Code: "E0133", Span: at, Message: "nobody reads the answer to this question", Label: "whatever the answer is, the flow goes on",
				Help: []string{fmt.Sprintf("mention the answer: `<<%s>>`", name)},
			}
			if n.Type.Kind == types.Enum && len(n.Type.Values) > 0 {
				d.Help = []string{fmt.Sprintf("write below it: `require %s == %q else \"not approved\"`", name, n.Type.Values[0])}
			}
			c.add(d)
		}
	}
}

// doesBelow reports whether a step below slot i changes something, other than by asking or waiting.
func doesBelow(b *Block, i int) bool {
	for _, n := range b.Nodes[i+1:] {
		if n.Step != nil && n.Effect == types.Do && !n.question && n.Type.Kind != types.Nothing {
			return true
		}
	}
	return false
}

// checkLoops checks what is special to loops: their `else`, what `stop if` reads, and that what was judged is what is kept.
func (c *checker) checkLoops() {
	for _, b := range c.order {
		if b.kind != loopBlock {
			continue
		}
		loop := b.owner.Step.(*syntax.Loop)
		var stops []*Node
		for _, n := range b.Nodes {
			if n.Kind == plan.StopNode {
				stops = append(stops, n)
			}
		}
		if len(stops) == 0 {
			continue
		}
		c.needsElse(loop, stops[0])
		for _, n := range stops {
			if !n.bad && !c.changes(n, b) && !c.constant(n.Expr) && c.sound(n.Expr) {
				c.add(diag.Diagnostic{
					Code: "E0118", Severity: diag.Warning, Span: n.Expr.At, Message: "this reads nothing that changes from round to round", Label: "it stops in the first round or never",
					Help: []string{fmt.Sprintf("let it look at `%s`, or at a step inside the loop", loop.Var.Text)},
				})
			}
		}
		c.throwsAway(b, stops, loop)
	}
}

func (c *checker) needsElse(loop *syntax.Loop, stop *Node) {
	for _, clause := range loop.Clauses {
		if clause.Kind == syntax.ElseClause {
			return
		}
	}
	end := loop.Body.At.End
	d := diag.Diagnostic{
		Code: "E0119", Span: firstLine(c.src, loop.At), Message: fmt.Sprintf("this loop does not say what happens after %s", rounds(loop.Max)), Label: "`stop if` may never have held by then",
		Help:    []string{"write behind its last brace `else keep` to go on with the last value, or `else fail \"…\"`, or `else` and another agent"},
		Related: c.related(firstLine(c.src, stop.at), "this may never hold"),
		Fix:     &diag.Fix{Span: source.Span{Start: end, End: end}, Text: " else keep"},
	}
	c.add(d)
}

func rounds(n int) string {
	if n == 1 {
		return "its one round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// sound reports whether every name of an expression is known.
func (c *checker) sound(e *syntax.Expr) bool {
	ok := true
	c.eachRef(e, func(r Ref) { ok = ok && !r.Decl.bad })
	return ok
}

// constant reports whether an expression mentions nothing at all.
func (c *checker) constant(e *syntax.Expr) bool {
	found := false
	c.eachRef(e, func(Ref) { found = true })
	return !found
}

// changes reports whether a `stop if` reads something that may differ from round to round: the loop's variable, or a step of its body.
func (c *checker) changes(stop *Node, body *Block) bool {
	found := false
	seen := map[*Decl]bool{}
	var visit func(e *syntax.Expr)
	visit = func(e *syntax.Expr) {
		c.eachRef(e, func(r Ref) {
			d := r.Decl
			if found || seen[d] {
				return
			}
			seen[d] = true
			if d.Block != body {
				return
			}
			if d.Slot >= len(body.Nodes) || body.Nodes[d.Slot].Kind != plan.LetNode {
				found = true
				return
			}
			visit(body.Nodes[d.Slot].Expr)
		})
	}
	visit(stop.Expr)
	return found
}

// throwsAway warns when every step that the next value needs is judged by `stop if` too: when it holds, the loop leaves with the value before.
func (c *checker) throwsAway(b *Block, stops []*Node, loop *syntax.Loop) {
	if b.Value < 0 {
		return
	}
	judged := map[int]bool{}
	for _, n := range stops {
		needed(b, n.slot, judged)
	}
	made := map[int]bool{}
	needed(b, b.Value, made)
	made[b.Value] = true
	steps := 0
	for slot := range made {
		if b.Nodes[slot].Step == nil {
			continue
		}
		steps++
		if !judged[slot] {
			return
		}
	}
	if steps == 0 {
		return
	}
	c.add(diag.Diagnostic{
		Code: "E0131", Severity: diag.Warning, Span: c.valueSpan(b), Message: "the loop throws away what it judged", Label: "when `stop if` holds, the loop leaves with the value from before this round",
		Related: c.related(firstLine(c.src, stops[len(stops)-1].at), "this judges the new value"),
		Help:    []string{fmt.Sprintf("judge `%s` first, stop, and make the next value below `stop if`", loop.Var.Text)},
	})
}

// needed collects the slots that a node waits for because it, or something inside it, mentions them.
func needed(b *Block, slot int, into map[int]bool) {
	for _, e := range b.edges[slot] {
		if e.why == plan.Reference && !into[e.from] {
			into[e.from] = true
			needed(b, e.from, into)
		}
	}
}
