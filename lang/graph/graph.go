// Package graph draws a plan: what a flow does, what waits for what, and why.
package graph

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/plan"
)

// Graph is a plan as boxes and arrows. Boxes nest as blocks do.
type Graph struct {
	Name  string  `json:"name"`
	Nodes []*Node `json:"nodes"` // of the file, inputs first, then in written order
	Edges []Edge  `json:"edges"`
}

// Node is an input, a step, a let, a gate or a value line.
type Node struct {
	ID     string  `json:"id"`   // its path; unique in the graph
	Name   string  `json:"name"` // empty when it has none
	Kind   string  `json:"kind"` // of plan.NodeKind, or "input"
	Label  string  `json:"label"`
	Agent  string  `json:"agent,omitempty"` // as the script calls it
	Effect string  `json:"effect,omitempty"`
	Notes  string  `json:"notes,omitempty"` // its policies: "retry 2 · timeout 90s"
	File   string  `json:"file,omitempty"`
	Line   int     `json:"line,omitempty"`
	Blocks []Block `json:"blocks,omitempty"` // body, branches, arms, then fallbacks
}

// Block is one of the blocks of a node. Label is empty for the only body of a container.
type Block struct {
	ID    string  `json:"id"`
	Label string  `json:"label,omitempty"` // `then`, `else`, `"bug"`
	Else  bool    `json:"else,omitempty"`  // a fallback
	Nodes []*Node `json:"nodes"`
}

// Edge says that To starts when From is done.
type Edge struct {
	From string   `json:"from"`
	To   string   `json:"to"`
	Why  plan.Why `json:"why"`
	// Implied edges follow from others (a gate holds back what already waits for something behind it) and are left out of drawings.
	Implied bool `json:"implied,omitempty"`
}

// Of builds the graph of a plan.
func Of(p *plan.Plan) *Graph {
	b := &builder{p: p, g: &Graph{Name: p.Name, Nodes: []*Node{}, Edges: []Edge{}}, ids: make([][]string, len(p.Blocks)), taken: map[string]bool{}}
	for _, in := range p.Inputs {
		n := &Node{ID: b.unique("input " + in.Name), Name: in.Name, Kind: "input", Label: in.Name + ": " + in.Type.String()}
		b.inputs = append(b.inputs, n.ID)
		b.g.Nodes = append(b.g.Nodes, n)
	}
	b.g.Nodes = append(b.g.Nodes, b.block(0, "")...)
	for i := range p.Blocks {
		b.edges(i)
	}
	return b.g
}

type builder struct {
	p      *plan.Plan
	g      *Graph
	ids    [][]string // by block and slot
	inputs []string
	taken  map[string]bool
}

func (b *builder) unique(id string) string {
	base := id
	for i := 2; b.taken[id]; i++ {
		id = fmt.Sprintf("%s (%d)", base, i)
	}
	b.taken[id] = true
	return id
}

func (b *builder) block(i int, path string) []*Node {
	nodes := b.p.Blocks[i].Nodes
	b.ids[i] = make([]string, len(nodes))
	out := make([]*Node, len(nodes))
	for slot := range nodes {
		b.ids[i][slot] = b.unique(join(path, pathName(&nodes[slot])))
	}
	for slot := range nodes {
		out[slot] = b.node(&nodes[slot], b.ids[i][slot], path)
	}
	return out
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}

// pathName is the last part of a node's ID: its name, or what it is where it has none.
func pathName(n *plan.Node) string {
	switch {
	case n.Name != "":
		return n.Name
	case n.Kind == plan.RequireNode || n.Kind == plan.StopNode:
		return fmt.Sprintf("%s:%d", n.Kind, n.At.Line)
	}
	return "output"
}

func (b *builder) node(n *plan.Node, id, path string) *Node {
	out := &Node{ID: id, Name: n.Name, Kind: string(n.Kind), Label: b.label(n), Effect: string(n.Effect), Notes: notes(n), File: n.At.File, Line: n.At.Line}
	if n.Call != nil {
		out.Agent = n.Call.Agent
	}
	inner := id
	if n.Name == "" {
		inner = path // a nameless step has its block's path
	}
	body := func(block int, label string) {
		p := inner
		if label != "" {
			p = join(inner, label)
		}
		out.Blocks = append(out.Blocks, Block{ID: b.unique(p + " {}"), Label: label, Nodes: b.block(block, p)})
	}
	switch {
	case n.Choice != nil:
		for i, br := range n.Choice.Branches {
			label := "then"
			if i > 0 {
				label = "elif" + strconv.Itoa(i+1)
			}
			body(br.Block, label)
		}
		if n.Choice.Else >= 0 {
			body(n.Choice.Else, "else")
		}
	case n.Match != nil:
		for _, a := range n.Match.Arms {
			raw, err := plan.Literal(a.Values[0])
			if err != nil {
				raw = []byte("?")
			}
			body(a.Block, string(raw))
		}
		if n.Match.Else >= 0 {
			body(n.Match.Else, "else")
		}
	case n.Group != nil:
		body(n.Group.Block, "")
	case n.Race != nil:
		body(n.Race.Block, "")
	case n.Map != nil:
		body(n.Map.Block, "")
	case n.Reduce != nil:
		body(n.Reduce.Block, "")
	case n.Loop != nil:
		body(n.Loop.Block, "")
	case n.Flow != nil:
		body(n.Flow.Block, "")
	}
	for i, f := range n.Else {
		if f.Kind == plan.BlockElse {
			label := "else"
			if i > 0 {
				label += strconv.Itoa(i + 1)
			}
			body(f.Block, label)
			out.Blocks[len(out.Blocks)-1].Else = true
		}
	}
	return out
}

// label says what a node does, without its name.
func (b *builder) label(n *plan.Node) string {
	bind := func(block int) string { return strings.Join(b.p.Blocks[block].Binds, ", ") }
	switch n.Kind {
	case plan.CallNode:
		return n.Call.Agent
	case plan.LetNode, plan.ValueNode:
		return "= " + short(n.Expr.Words())
	case plan.RequireNode:
		return "require " + short(n.Expr.Words())
	case plan.StopNode:
		return "stop if " + short(n.Expr.Words())
	case plan.GroupNode:
		if n.Group.Limit > 0 {
			return fmt.Sprintf("%s limit %d", n.Group.Kind, n.Group.Limit)
		}
		return n.Group.Kind
	case plan.RaceNode:
		if n.Race.N > 0 {
			return fmt.Sprintf("race %d", n.Race.N)
		}
		return "race"
	case plan.MapNode:
		return fmt.Sprintf("map %s in %s", bind(n.Map.Block), short(n.Map.Over.Words()))
	case plan.IntoNode:
		return "what failed"
	case plan.ReduceNode:
		return fmt.Sprintf("reduce %s in %s by %d", bind(n.Reduce.Block), short(n.Reduce.Over.Words()), n.Reduce.By)
	case plan.ChoiceNode:
		return "if " + short(n.Choice.Branches[0].Cond.Words())
	case plan.MatchNode:
		return "match " + short(n.Match.Subject.Words())
	case plan.LoopNode:
		return fmt.Sprintf("loop %s from %s max %d", bind(n.Loop.Block), short(n.Loop.From.Words()), n.Loop.Max)
	case plan.FlowNode:
		return "flow " + n.Flow.Name
	}
	return string(n.Kind)
}

const shortest = 44 // runes of an expression in a drawing

func short(code string) string {
	code = strings.Join(strings.Fields(asText(code)), " ")
	if r := []rune(code); len(r) > shortest {
		return string(r[:shortest-1]) + "…"
	}
	return code
}

// asText writes text("a ", x) as a script does, "a <<x>>". Any other expression stays as it is.
func asText(code string) string {
	inner, ok := strings.CutPrefix(code, "text(")
	if !ok {
		return code
	}
	var b strings.Builder
	depth, start := 1, 0
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '"', '\'':
			for q := inner[i]; i+1 < len(inner); {
				if i++; inner[i] == '\\' {
					i++
				} else if inner[i] == q {
					break
				}
			}
			continue
		case '(', '[', '{':
			depth++
			continue
		case ')', ']', '}':
			if depth--; depth > 0 {
				continue // it belongs to the part
			}
		case ',':
			if depth > 1 {
				continue
			}
		default:
			continue
		}
		part := strings.TrimSpace(inner[start:i])
		if s, err := strconv.Unquote(part); err == nil {
			b.WriteString(s)
		} else if part != "" {
			b.WriteString("<<" + part + ">>")
		}
		start = i + 1
		if depth == 0 {
			if start < len(inner) {
				return code // the text is only the beginning of the expression
			}
			return `"` + b.String() + `"`
		}
	}
	return code
}

// notes lists the policies of a node as a script writes them.
func notes(n *plan.Node) string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if c := n.Call; c != nil {
		if c.As != nil {
			add("as %s", short(c.As.String()))
		}
		if c.Retry > 0 {
			add("retry %d", c.Retry)
		}
		if c.Cache > 0 {
			add("cache %s", plan.Amount{Duration: c.Cache})
		}
	}
	if m := n.Map; m != nil {
		add("%d at a time", m.Limit)
		if t := m.Tolerate; t != nil {
			switch {
			case t.All:
				add("tolerate all")
			case t.Percent > 0:
				add("tolerate %d%%", t.Percent)
			default:
				add("tolerate %d", t.Count)
			}
		}
	}
	if n.Timeout > time.Duration(0) {
		add("timeout %s", plan.Amount{Duration: n.Timeout})
	}
	for _, a := range n.Budget {
		add("budget %s", a)
	}
	for _, f := range n.Else {
		switch f.Kind {
		case plan.Skip, plan.Keep:
			add("else %s", f.Kind)
		case plan.Fail:
			add("else fail")
		}
	}
	return strings.Join(out, " · ")
}

// edges adds what the nodes of block i wait for, and the inputs they mention.
func (b *builder) edges(i int) {
	nodes := b.p.Blocks[i].Nodes
	implied := impliedEdges(nodes)
	for slot := range nodes {
		to := b.ids[i][slot]
		seen := map[int]bool{}
		plan.Exprs(&nodes[slot], func(e *plan.Expr) {
			for _, r := range e.Refs {
				at := b.outward(i, r.Depth)
				if k := r.Slot - len(b.p.Blocks[at].Nodes); at == 0 && k >= 0 && k < len(b.inputs) && !seen[k] {
					seen[k] = true
					b.g.Edges = append(b.g.Edges, Edge{From: b.inputs[k], To: to, Why: plan.Reference})
				}
			}
		})
		for _, need := range nodes[slot].Needs {
			from := b.ids[b.outward(i, need.Depth)][need.Slot]
			b.g.Edges = append(b.g.Edges, Edge{From: from, To: to, Why: need.Why, Implied: need.Depth == 0 && implied[[2]int{need.Slot, slot}]})
		}
	}
}

func (b *builder) outward(block, depth int) int {
	for range depth {
		block = b.p.Blocks[block].Parent
	}
	return block
}

// impliedEdges finds the edges, other than references and `after`, that another way round makes needless: from, to.
func impliedEdges(nodes []plan.Node) map[[2]int]bool {
	out := map[[2]int]bool{}
	memo := map[[2]int]bool{}
	// reaches: from is done before to may start, by one edge or more
	var reaches func(from, to int) bool
	reaches = func(from, to int) bool {
		key := [2]int{from, to}
		if r, ok := memo[key]; ok {
			return r
		}
		memo[key] = false
		for _, need := range nodes[to].Needs {
			if need.Depth == 0 && (need.Slot == from || reaches(from, need.Slot)) {
				memo[key] = true
				return true
			}
		}
		return false
	}
	if len(nodes) > 300 { // a drawing of that many boxes is not read arrow by arrow
		return out
	}
	for to := range nodes {
		for _, need := range nodes[to].Needs {
			if need.Depth > 0 || need.Why == plan.Reference || need.Why == plan.After {
				continue
			}
			for _, other := range nodes[to].Needs {
				if other.Depth == 0 && other.Slot != need.Slot && reaches(need.Slot, other.Slot) {
					out[[2]int{need.Slot, to}] = true
				}
			}
		}
	}
	return out
}
