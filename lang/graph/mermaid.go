package graph

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
)

// Mermaid draws the plan as a Mermaid flowchart, as it stands in a Markdown page.
func Mermaid(p *plan.Plan) string {
	g := Of(p)
	m := mermaid{names: map[string]string{}}
	m.line(0, "flowchart TD")
	for _, n := range g.Nodes {
		m.node(n, 1)
	}
	for _, e := range g.Edges {
		if e.Implied {
			continue
		}
		m.line(1, "%s %s %s", m.names[e.From], arrow(e.Why), m.names[e.To])
	}
	for _, e := range m.falls {
		m.line(1, "%s", e)
	}
	m.line(1, "classDef input fill:#eef,stroke:#88a")
	m.line(1, "classDef doing fill:#fde8d7,stroke:#c60")
	m.line(1, "classDef gate fill:#fff,stroke:#999,stroke-dasharray:3 3")
	return m.b.String()
}

func arrow(why plan.Why) string {
	if why == plan.Reference {
		return "-->"
	}
	return "-. " + string(why) + " .->"
}

type mermaid struct {
	b     strings.Builder
	names map[string]string // of boxes in the drawing, by ID
	falls []string          // arrows to fallbacks
}

func (m *mermaid) line(depth int, format string, args ...any) {
	m.b.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&m.b, format, args...)
	m.b.WriteByte('\n')
}

func (m *mermaid) name(id string) string {
	name := fmt.Sprintf("n%d", len(m.names)+1)
	m.names[id] = name
	return name
}

func (m *mermaid) node(n *Node, depth int) {
	bodies, falls := split(n.Blocks)
	name := m.name(n.ID)
	if len(bodies) == 0 {
		m.line(depth, "%s%s%s", name, shape(n), class(n))
	} else {
		m.line(depth, "subgraph %s[%s]", name, quoted(lines(n)))
		for _, b := range bodies {
			m.block(b, depth+1)
		}
		m.line(depth, "end")
	}
	for _, f := range falls {
		inner := m.name(f.ID)
		m.line(depth, "subgraph %s[%s]", inner, quoted([]string{title(n) + " " + f.Label}))
		for _, k := range f.Nodes {
			m.node(k, depth+1)
		}
		m.line(depth, "end")
		m.falls = append(m.falls, fmt.Sprintf("%s -. else .-> %s", name, inner))
	}
}

// block draws the only body of a container in its frame, and each of several in a frame of its own.
func (m *mermaid) block(b Block, depth int) {
	if b.Label == "" {
		for _, n := range b.Nodes {
			m.node(n, depth)
		}
		return
	}
	m.line(depth, "subgraph %s[%s]", m.name(b.ID), quoted([]string{b.Label}))
	for _, n := range b.Nodes {
		m.node(n, depth+1)
	}
	m.line(depth, "end")
}

func shape(n *Node) string {
	label := quoted(lines(n))
	switch n.Kind {
	case "input":
		return "([" + label + "])"
	case string(plan.RequireNode), string(plan.StopNode):
		return "{{" + label + "}}"
	case string(plan.LetNode), string(plan.ValueNode), string(plan.IntoNode):
		return "(" + label + ")"
	}
	return "[" + label + "]"
}

func class(n *Node) string {
	switch {
	case n.Kind == "input":
		return ":::input"
	case n.Kind == string(plan.RequireNode) || n.Kind == string(plan.StopNode):
		return ":::gate"
	case n.Effect == "do":
		return ":::doing"
	}
	return ""
}

// title is the name of a node, or what stands for it.
func title(n *Node) string {
	if n.Name != "" {
		return n.Name
	}
	return "output"
}

// lines are the lines of a box: its name, what it does with its effect, its policies.
func lines(n *Node) []string {
	what := n.Label
	if n.Agent != "" && n.Effect != "" || n.Effect == "do" {
		what += " · " + n.Effect
	}
	out := []string{what}
	if n.Kind != "input" && n.Kind != string(plan.RequireNode) && n.Kind != string(plan.StopNode) {
		out = []string{title(n), what}
	}
	if n.Notes != "" {
		out = append(out, n.Notes)
	}
	return out
}

// split tells bodies from fallbacks.
func split(blocks []Block) (bodies, falls []Block) {
	for _, b := range blocks {
		if b.Else {
			falls = append(falls, b)
		} else {
			bodies = append(bodies, b)
		}
	}
	return bodies, falls
}

// quoted writes a label of Mermaid, in which quotes and angle brackets are entities.
func quoted(lines []string) string {
	r := strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "&", "#amp;", "`", "#96;", `\`, "#92;")
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = r.Replace(l)
	}
	return `"` + strings.Join(out, "<br/>") + `"`
}
