package graph

import (
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/slopstudios/slop/lang/plan"
)

// ASCII draws the plan for a terminal, from top to bottom: what is bracketed together starts together, an arrow leads to what waits, a rail holds what is
// inside. Beside each line stands what it waits for, and why when it is not a mention.
func ASCII(p *plan.Plan) string {
	g := Of(p)
	a := &ascii{waits: map[string][]Edge{}}
	var inputs []string
	nodes := g.Nodes
	for len(nodes) > 0 && nodes[0].Kind == "input" {
		inputs = append(inputs, nodes[0].Name)
		nodes = nodes[1:]
	}
	for _, e := range g.Edges {
		a.waits[e.To] = append(a.waits[e.To], e)
	}
	a.b.WriteString(g.Name)
	if len(inputs) > 0 {
		a.b.WriteString("(" + strings.Join(inputs, ", ") + ")")
	}
	a.b.WriteString("\n\n")
	a.block(nodes, "  ")
	return a.b.String()
}

type ascii struct {
	b     strings.Builder
	waits map[string][]Edge // by ID, into it
}

// block draws nodes in layers.
func (a *ascii) block(nodes []*Node, indent string) {
	width := 0
	for _, n := range nodes {
		width = max(width, runewidth.StringWidth(heading(n)))
	}
	for i, layer := range a.layers(nodes) {
		if i > 0 {
			a.b.WriteString(indent + "  ↓\n")
		}
		for k, n := range layer {
			first, rest := "  ", "  "
			if len(layer) > 1 {
				first, rest = "│ ", "│ "
				switch k {
				case 0:
					first = "┌ "
				case len(layer) - 1:
					first, rest = "└ ", "  "
				}
			}
			a.node(n, indent+first, indent+rest, width)
		}
	}
}

// heading is the first word of a node's line. The value of an inner block is what leaves it.
func heading(n *Node) string {
	switch {
	case n.Kind == string(plan.RequireNode):
		return "require"
	case n.Kind == string(plan.StopNode):
		return "stop if"
	case n.Kind == string(plan.LetNode):
		return "let " + n.Name
	case n.Name == "" && n.ID != "output":
		return "→"
	}
	return title(n)
}

// node draws one node, and under it what is inside.
func (a *ascii) node(n *Node, first, rest string, width int) {
	a.line(first, heading(n), n, width)
	inside := rest + "│ "
	labels := 0
	for _, b := range n.Blocks {
		if b.Label != "" && only(b) != nil {
			labels = max(labels, runewidth.StringWidth(b.Label))
		}
	}
	for _, b := range n.Blocks {
		switch one := only(b); {
		case b.Label == "":
			a.block(b.Nodes, inside)
		case one != nil: // a branch that is one value stands on its own line
			a.line(inside+"  ", b.Label, one, labels)
		default:
			a.b.WriteString(inside + "  " + b.Label + "\n")
			a.block(b.Nodes, inside+"  ")
		}
	}
}

// only is the node of a block that is nothing but one nameless value.
func only(b Block) *Node {
	if len(b.Nodes) == 1 && b.Nodes[0].Name == "" && len(b.Nodes[0].Blocks) == 0 {
		return b.Nodes[0]
	}
	return nil
}

func (a *ascii) line(prefix, head string, n *Node, width int) {
	what := n.Label
	switch n.Kind {
	case string(plan.RequireNode):
		what = strings.TrimPrefix(what, "require ")
	case string(plan.StopNode):
		what = strings.TrimPrefix(what, "stop if ")
	}
	if head == "→" {
		what = strings.TrimPrefix(what, "= ")
	}
	if n.Agent != "" && n.Effect != "" || n.Effect == "do" {
		what += "  " + n.Effect
	}
	if n.Notes != "" {
		what += "  " + n.Notes
	}
	text := prefix + runewidth.FillRight(head, width) + "  " + what
	if w := a.waitsFor(n); w != "" {
		text = runewidth.FillRight(text, waitColumn-2) + "  ← " + w
	}
	a.b.WriteString(strings.TrimRight(text, " ") + "\n")
}

const waitColumn = 56 // where the list of what a line waits for begins, if the line is shorter

func (a *ascii) waitsFor(n *Node) string {
	var out []string
	for _, e := range a.waits[n.ID] {
		from := e.From[strings.LastIndexByte(e.From, '/')+1:]
		switch {
		case e.Implied || strings.HasPrefix(e.From, "input "):
		case e.Why == plan.Reference:
			out = append(out, from)
		default:
			out = append(out, string(e.Why)+" "+from)
		}
	}
	return strings.Join(out, ", ")
}

// layers puts each node one below the last it waits for. What an inner node waits for counts for its container here, so that every arrow points down.
func (a *ascii) layers(nodes []*Node) [][]*Node {
	index := map[string]int{}
	for i, n := range nodes {
		index[n.ID] = i
	}
	before := make([][]int, len(nodes))
	var gather func(n *Node, i int)
	gather = func(n *Node, i int) {
		for _, e := range a.waits[n.ID] {
			if from, ok := index[e.From]; ok && from != i {
				before[i] = append(before[i], from)
			}
		}
		for _, b := range n.Blocks {
			for _, inner := range b.Nodes {
				gather(inner, i)
			}
		}
	}
	for i, n := range nodes {
		gather(n, i)
	}
	level := make([]int, len(nodes))
	var depth func(i int) int
	depth = func(i int) int {
		if level[i] == 0 {
			level[i] = 1 // also while under way: a cycle, which no valid plan has, ends here
			for _, from := range before[i] {
				level[i] = max(level[i], depth(from)+1)
			}
		}
		return level[i]
	}
	var out [][]*Node
	for i, n := range nodes {
		l := depth(i)
		for len(out) < l {
			out = append(out, nil)
		}
		out[l-1] = append(out[l-1], n)
	}
	return out
}
