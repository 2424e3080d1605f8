package lower

import (
	"cmp"
	"slices"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
)

// approvals lets a person be asked for an approval when all that can be known before the answer is known of what it approves: each question waits for what the
// calls mention that change the world and depend on its answer. What itself waits for the answer is not waited for.
func approvals(p *plan.Plan) {
	for b := range p.Blocks {
		for slot := range p.Blocks[b].Nodes {
			if n := &p.Blocks[b].Nodes[slot]; n.Kind == plan.CallNode && p.Callees[n.Call.Callee].Approves() {
				a := approval{p: p, block: b, slot: slot}
				a.collect(b, nil, false)
				a.draw(n)
			}
		}
	}
}

// approval is what a question waits for, in the making.
type approval struct {
	p           *plan.Plan
	block, slot int
	wanted      []plan.Need
}

// place is a line in one of the blocks between the question's and the one that is looked at.
type place struct{ block, slot int }

// collect looks for calls that depend on the answer in a block and in those within. around are the blocks from the question's on, with the lines of each that
// depend on the answer; all: the whole block does.
func (a *approval) collect(block int, around []hanging, all bool) (found bool) {
	own := hanging{block, make([]bool, len(a.p.Blocks[block].Nodes))}
	around = append(slices.Clip(around), own)
	nodes := a.p.Blocks[block].Nodes
	if block == a.block && len(around) == 1 {
		own.lines[a.slot] = true
	}
	for again := true; again; {
		again = false
		for i := range nodes {
			if !own.lines[i] && (all || slices.ContainsFunc(nodes[i].Needs, func(n plan.Need) bool { return n.Why.Decides() && hangs(around, n) })) {
				own.lines[i], again = true, true
			}
		}
	}
	for i := range nodes {
		n := &nodes[i]
		if len(around) == 1 && i == a.slot || n.Effect != types.Do {
			continue
		}
		gated := false
		if n.Kind == plan.CallNode {
			sig := &a.p.Callees[n.Call.Callee]
			gated = own.lines[i] && sig.Kind == types.Call && sig.Effect == types.Do
		}
		for _, in := range plan.Bodies(n) {
			gated = a.collect(in, around, own.lines[i]) || gated
		}
		if gated {
			found = true
			a.mentions(around, i, map[place]bool{})
		}
	}
	for i := range nodes {
		if found && nodes[i].Kind == plan.RequireNode && own.lines[i] {
			a.mentions(around, i, map[place]bool{})
		}
	}
	return found
}

// hanging are the lines of a block that depend on the answer.
type hanging struct {
	block int
	lines []bool
}

func hangs(around []hanging, n plan.Need) bool {
	at := len(around) - 1 - n.Depth
	return at >= 0 && n.Slot < len(around[at].lines) && around[at].lines[n.Slot]
}

// mentions collects what a line of the innermost block mentions in the question's block and around it, also through calculations that depend on the answer.
func (a *approval) mentions(around []hanging, slot int, seen map[place]bool) {
	here := around[len(around)-1]
	if seen[place{here.block, slot}] {
		return
	}
	seen[place{here.block, slot}] = true
	for _, n := range a.p.Blocks[here.block].Nodes[slot].Needs {
		if n.Why != plan.Reference {
			continue
		}
		at := len(around) - 1 - n.Depth
		if at <= 0 && !(at == 0 && hangs(around, n)) {
			a.wanted = append(a.wanted, plan.Need{Depth: -at, Slot: n.Slot, Why: plan.Approval})
			continue
		}
		inner := around[:at+1]
		if k := a.p.Blocks[inner[at].block].Nodes[n.Slot].Kind; k == plan.LetNode || k == plan.ValueNode {
			a.mentions(inner, n.Slot, seen)
		}
	}
}

// draw gives the question its edges.
func (a *approval) draw(n *plan.Node) {
	for _, w := range a.wanted {
		if slices.ContainsFunc(n.Needs, func(o plan.Need) bool { return o.Depth == w.Depth && o.Slot == w.Slot }) {
			continue
		}
		if w.Depth == 0 && a.waits(w.Slot, map[int]bool{}) {
			continue
		}
		n.Needs = append(n.Needs, w)
	}
	slices.SortFunc(n.Needs, func(x, y plan.Need) int { return cmp.Or(cmp.Compare(x.Depth, y.Depth), cmp.Compare(x.Slot, y.Slot)) })
}

// waits reports whether a line of the question's block ends only after the question: itself or something in it waits for it.
func (a *approval) waits(slot int, seen map[int]bool) bool {
	if slot == a.slot {
		return true
	}
	if seen[slot] {
		return false
	}
	seen[slot] = true
	for _, s := range a.needs(a.block, slot, 0) {
		if a.waits(s, seen) {
			return true
		}
	}
	return false
}

// needs are the lines of a block that a line, or what stands in it, waits for.
func (a *approval) needs(block, slot, depth int) (slots []int) {
	n := &a.p.Blocks[block].Nodes[slot]
	for _, need := range n.Needs {
		if need.Depth == depth {
			slots = append(slots, need.Slot)
		}
	}
	if n.Kind == plan.IntoNode && depth == 0 {
		slots = append(slots, n.Of)
	}
	for _, in := range plan.Bodies(n) {
		if a.p.Blocks[in].Parent < 0 {
			continue
		}
		for i := range a.p.Blocks[in].Nodes {
			slots = append(slots, a.needs(in, i, depth+1)...)
		}
	}
	return slots
}
