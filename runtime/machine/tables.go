package machine

import (
	"encoding/json"
	"slices"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// tables are what the plan says, turned the way the machine reads it. They are derived from the plan alone and are no part of the state.
type tables struct {
	blocks   []blockTable
	callees  []calleeTable
	programs map[string]*eval.Program
}

// blockTable turns the needs of a block's nodes around.
type blockTable struct {
	nodes   []nodeTable
	members int // steps of the block: what a race waits for and a group's limit counts
	// skipLast marks the nodes that do not start in the last round of a judged loop: those below the last `stop if`, and what needs them. Nil: not a loop's.
	skipLast []bool
	stops    bool // a `stop if` stands in it
}

type nodeTable struct {
	feeds   []int32     // nodes of the same block that need this one
	missing int32       // how many nodes of the same block this one needs
	outer   []plan.Need // needs in blocks around, each once
	step    bool
	// elses is the number of its first `else` less one, and timer what its deadline is called. A nameless step in a block without a segment of its own (try,
	// parallel, a flow) has its container's path: the container's fallbacks are numbered after those within.
	elses int
	timer string
	as    string // the type a call asks for, as it goes into fingerprints

	shared int32 // parts of a call's text, from the first on, that other calls begin with too
}

type calleeTable struct {
	defaults map[string]any
	params   map[string]types.Type
}

func newTables(p *plan.Plan) *tables {
	t := &tables{blocks: make([]blockTable, len(p.Blocks)), callees: make([]calleeTable, len(p.Callees)), programs: make(map[string]*eval.Program)}
	for i := range p.Callees {
		t.callees[i] = newCallee(&p.Callees[i])
	}
	for i := range p.Blocks {
		t.block(p, i)
	}
	for i := range p.Blocks {
		for j := range p.Blocks[i].Nodes {
			n := &p.Blocks[i].Nodes[j]
			t.blocks[i].nodes[j].elses = elsesBelow(p, n)
			t.blocks[i].nodes[j].timer = timerSuffix(p, n)
			if n.Kind == plan.LoopNode {
				t.judged(p, n.Loop)
			}
		}
	}
	t.shares(p)
	return t
}

func newCallee(s *types.Signature) calleeTable {
	c := calleeTable{params: make(map[string]types.Type, len(s.Params))}
	for _, p := range s.Params {
		c.params[p.Name] = p.Type
	}
	if len(s.Defaults) > 0 {
		if v, err := run.DecodeValue(s.Defaults); err == nil {
			c.defaults, _ = v.(map[string]any)
		}
	}
	return c
}

func isStep(k plan.NodeKind) bool {
	switch k {
	case plan.LetNode, plan.ValueNode, plan.RequireNode, plan.StopNode, plan.IntoNode:
		return false
	}
	return true
}

func (t *tables) block(p *plan.Plan, i int) {
	b := &p.Blocks[i]
	bt := &t.blocks[i]
	bt.nodes = make([]nodeTable, len(b.Nodes))
	need := func(from, to int) {
		if from < 0 || from >= len(b.Nodes) {
			return // a bind is always there
		}
		feeds := bt.nodes[from].feeds
		if len(feeds) > 0 && feeds[len(feeds)-1] == int32(to) {
			return // for a second reason; the needs of one node come together
		}
		bt.nodes[from].feeds = append(feeds, int32(to))
		bt.nodes[to].missing++
	}
	for j := range b.Nodes {
		n := &b.Nodes[j]
		nt := &bt.nodes[j]
		nt.step = isStep(n.Kind)
		if nt.step {
			bt.members++
		}
		bt.stops = bt.stops || n.Kind == plan.StopNode
		for _, e := range n.Needs {
			if e.Depth == 0 {
				need(e.Slot, j)
			} else if !slices.ContainsFunc(nt.outer, func(o plan.Need) bool { return o.Depth == e.Depth && o.Slot == e.Slot }) {
				nt.outer = append(nt.outer, e)
			}
		}
		if n.Kind == plan.IntoNode {
			need(n.Of, j)
		}
		if n.Kind == plan.CallNode && n.Call.As != nil {
			if raw, err := json.Marshal(n.Call.As); err == nil {
				nt.as = string(raw)
			}
		}
	}
}

// alike is the nameless step whose path is that of its container n, if there is one.
func alike(p *plan.Plan, n *plan.Node) *plan.Node {
	var b *plan.Block
	switch n.Kind {
	case plan.GroupNode:
		b = &p.Blocks[n.Group.Block]
	case plan.FlowNode:
		b = &p.Blocks[n.Flow.Block]
	default:
		return nil
	}
	if b.Value < 0 || b.Value >= len(b.Nodes) || b.Nodes[b.Value].Name != "" || !isStep(b.Nodes[b.Value].Kind) {
		return nil
	}
	return &b.Nodes[b.Value]
}

// elsesBelow counts the /else segments in use at the path of n by steps within it.
func elsesBelow(p *plan.Plan, n *plan.Node) int {
	count := 0
	if n.Kind == plan.ChoiceNode && n.Choice.Else >= 0 || n.Kind == plan.MatchNode && n.Match.Else >= 0 {
		count++
	}
	if in := alike(p, n); in != nil {
		count += elsesBelow(p, in) + len(in.Else)
	}
	return count
}

func timerSuffix(p *plan.Plan, n *plan.Node) string {
	suffix := "@timeout"
	for in := alike(p, n); in != nil; in = alike(p, in) {
		suffix += "+"
	}
	return suffix
}

// judged finds what does not start in the last round of a loop whose last value is not needed.
func (t *tables) judged(p *plan.Plan, l *plan.Loop) {
	b := &p.Blocks[l.Block]
	last := -1
	for j := range b.Nodes {
		if b.Nodes[j].Kind == plan.StopNode {
			last = j
		}
	}
	if !l.JudgeOnly || last < 0 {
		return
	}
	skip := make([]bool, len(b.Nodes))
	for j := last + 1; j < len(b.Nodes); j++ {
		skip[j] = true
	}
	for again := true; again; {
		again = false
		for j := range b.Nodes {
			if !skip[j] && t.needsAny(p, l.Block, j, 0, skip) {
				skip[j], again = true, true
			}
		}
	}
	t.blocks[l.Block].skipLast = skip
}

// needsAny reports whether a node, or a node within it, needs a marked slot of the block depth steps outward.
func (t *tables) needsAny(p *plan.Plan, block, slot, depth int, marked []bool) bool {
	n := &p.Blocks[block].Nodes[slot]
	for _, e := range n.Needs {
		if e.Depth == depth && e.Slot < len(marked) && marked[e.Slot] {
			return true
		}
	}
	if n.Kind == plan.IntoNode && depth == 0 && marked[n.Of] {
		return true
	}
	for _, in := range inner(n) {
		for j := range p.Blocks[in].Nodes {
			if p.Blocks[in].Parent >= 0 && t.needsAny(p, in, j, depth+1, marked) {
				return true
			}
		}
	}
	return false
}

// inner lists the blocks that stand in a node, fallbacks included.
func inner(n *plan.Node) []int {
	var out []int
	switch n.Kind {
	case plan.GroupNode:
		out = append(out, n.Group.Block)
	case plan.RaceNode:
		out = append(out, n.Race.Block)
	case plan.MapNode:
		out = append(out, n.Map.Block)
	case plan.ReduceNode:
		out = append(out, n.Reduce.Block)
	case plan.LoopNode:
		out = append(out, n.Loop.Block)
	case plan.FlowNode:
		out = append(out, n.Flow.Block)
	case plan.ChoiceNode:
		for _, b := range n.Choice.Branches {
			out = append(out, b.Block)
		}
		if n.Choice.Else >= 0 {
			out = append(out, n.Choice.Else)
		}
	case plan.MatchNode:
		for _, a := range n.Match.Arms {
			out = append(out, a.Block)
		}
		if n.Match.Else >= 0 {
			out = append(out, n.Match.Else)
		}
	}
	for _, f := range n.Else {
		if f.Kind == plan.BlockElse {
			out = append(out, f.Block)
		}
	}
	return out
}

// program compiles an expression once for all its evaluations.
func (t *tables) program(code string) (*eval.Program, error) {
	if p, ok := t.programs[code]; ok {
		return p, nil
	}
	p, err := eval.Compile(code)
	if err != nil {
		return nil, err
	}
	t.programs[code] = p
	return p, nil
}
