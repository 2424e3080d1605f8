package graph

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
)

// DOT draws the plan for Graphviz. A container is a cluster with a box of its own in it, which stands for the whole where arrows begin and end.
func DOT(p *plan.Plan) string {
	g := Of(p)
	d := dot{frames: map[string]string{}}
	d.line(0, "digraph %s {", dotQuote(g.Name))
	d.line(1, "compound=true; rankdir=TB; node [shape=box, style=rounded, fontname=\"Helvetica\", fontsize=11]; edge [fontname=\"Helvetica\", fontsize=9];")
	for _, n := range g.Nodes {
		d.node(n, 1)
	}
	for _, e := range g.Edges {
		if e.Implied {
			continue
		}
		var style []string
		if e.Why != plan.Reference {
			style = append(style, "style=dashed", "label="+dotQuote(string(e.Why)))
		}
		if frame := d.frames[e.From]; frame != "" {
			style = append(style, "ltail="+frame)
		}
		if frame := d.frames[e.To]; frame != "" {
			style = append(style, "lhead="+frame)
		}
		if len(style) > 0 {
			d.line(1, "%s -> %s [%s];", dotQuote(e.From), dotQuote(e.To), strings.Join(style, ", "))
		} else {
			d.line(1, "%s -> %s;", dotQuote(e.From), dotQuote(e.To))
		}
	}
	d.line(0, "}")
	return d.b.String()
}

type dot struct {
	b        strings.Builder
	clusters int
	frames   map[string]string // the clusters of containers, by ID
}

func (d *dot) line(depth int, format string, args ...any) {
	d.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&d.b, format, args...)
	d.b.WriteByte('\n')
}

func (d *dot) node(n *Node, depth int) {
	if len(n.Blocks) == 0 {
		d.box(n, depth)
		return
	}
	d.open("", depth)
	d.frames[n.ID] = fmt.Sprintf("cluster%d", d.clusters)
	d.box(n, depth+1)
	for _, b := range n.Blocks {
		if b.Label == "" {
			for _, inner := range b.Nodes {
				d.node(inner, depth+1)
				d.line(depth+1, "%s -> %s [style=invis];", dotQuote(n.ID), dotQuote(inner.ID))
			}
			continue
		}
		d.open(b.Label, depth+1)
		for _, inner := range b.Nodes {
			d.node(inner, depth+2)
		}
		d.line(depth+1, "}")
		if len(b.Nodes) > 0 {
			d.line(depth+1, "%s -> %s [style=dotted, label=%s];", dotQuote(n.ID), dotQuote(b.Nodes[0].ID), dotQuote(b.Label))
		}
	}
	d.line(depth, "}")
}

func (d *dot) open(label string, depth int) {
	d.clusters++
	d.line(depth, "subgraph cluster%d { label=%s; color=gray;", d.clusters, dotQuote(label))
}

func (d *dot) box(n *Node, depth int) {
	style := ""
	switch {
	case n.Kind == "input":
		style = ", shape=oval"
	case n.Kind == string(plan.RequireNode) || n.Kind == string(plan.StopNode):
		style = ", shape=diamond"
	case n.Effect == "do":
		style = ", color=\"#cc6600\""
	case n.Kind == string(plan.LetNode) || n.Kind == string(plan.ValueNode) || n.Kind == string(plan.IntoNode):
		style = ", shape=plain"
	}
	d.line(depth, "%s [label=%s%s];", dotQuote(n.ID), dotQuote(strings.Join(lines(n), "\n")), style)
}

func dotQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
