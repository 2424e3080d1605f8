package plan

// Exprs calls visit for every expression of the node itself, in a fixed order. Those in its blocks belong to their nodes.
func Exprs(n *Node, visit func(*Expr)) {
	if n.Expr != nil {
		visit(n.Expr)
	}
	inText(n.Message, visit)
	if c := n.Call; c != nil {
		for i := range c.System {
			inText(&c.System[i], visit)
		}
		inText(c.Text, visit)
		for i := range c.Words {
			inText(&c.Words[i], visit)
		}
		for i := range c.Args {
			visit(&c.Args[i].Value)
		}
	}
	switch {
	case n.Map != nil:
		visit(&n.Map.Over)
	case n.Reduce != nil:
		visit(&n.Reduce.Over)
	case n.Loop != nil:
		visit(&n.Loop.From)
	case n.Match != nil:
		visit(&n.Match.Subject)
	case n.Choice != nil:
		for i := range n.Choice.Branches {
			visit(&n.Choice.Branches[i].Cond)
		}
	case n.Flow != nil:
		for _, a := range n.Flow.Args {
			if a != nil {
				visit(a)
			}
		}
		inText(n.Flow.Text, visit)
	}
	for i := range n.Else {
		inText(n.Else[i].Message, visit)
	}
}

func inText(t *Text, visit func(*Expr)) {
	if t == nil {
		return
	}
	for i := range t.Parts {
		if t.Parts[i].Expr != nil {
			visit(t.Parts[i].Expr)
		}
	}
}

// Bodies returns the blocks of a node as they are written: its body, branches or arms, then its fallbacks.
func Bodies(n *Node) []int {
	var out []int
	switch {
	case n.Group != nil:
		out = append(out, n.Group.Block)
	case n.Race != nil:
		out = append(out, n.Race.Block)
	case n.Map != nil:
		out = append(out, n.Map.Block)
	case n.Reduce != nil:
		out = append(out, n.Reduce.Block)
	case n.Loop != nil:
		out = append(out, n.Loop.Block)
	case n.Flow != nil:
		out = append(out, n.Flow.Block)
	case n.Choice != nil:
		for _, br := range n.Choice.Branches {
			out = append(out, br.Block)
		}
		if n.Choice.Else >= 0 {
			out = append(out, n.Choice.Else)
		}
	case n.Match != nil:
		for _, a := range n.Match.Arms {
			out = append(out, a.Block)
		}
		if n.Match.Else >= 0 {
			out = append(out, n.Match.Else)
		}
	}
	for _, f := range n.Else {
		if f.Kind == BlockElse {
			out = append(out, f.Block)
		}
	}
	return out
}
