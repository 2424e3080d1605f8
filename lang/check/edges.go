package check

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// edge says that a node waits for the node at slot from of its block. A mention deep inside a container is an edge of the container too.
type edge struct {
	from int
	why  plan.Why
	at   source.Span // the mention; of the other reasons the line that waits
}

// drawOrder adds the edges that follow from the written order: gates, doing, and sequence.
//
// The rule draws an edge from each gate to every node below it. Drawn so, a file of n lines could have n² edges. Only the nearest gate above is
// drawn: the gates wait for each other in turn, so the nodes that wait for a node, through others, are the same. Doing is a chain already.
func (c *checker) drawOrder(b *Block) {
	gate, doing, step := -1, -1, -1
	draw := func(n *Node, from int, why plan.Why) {
		if from < 0 {
			return
		}
		c.need(n, 0, from, why)
		b.edges[n.slot] = append(b.edges[n.slot], edge{from: from, why: why, at: firstLine(c.src, n.at)})
	}
	for _, n := range b.Nodes {
		if n.Kind == plan.IntoNode {
			continue
		}
		draw(n, gate, plan.Gate)
		if n.Kind == plan.RequireNode || n.Kind == plan.StopNode {
			gate = n.slot
		}
		if n.Step == nil {
			continue
		}
		if b.kind == sequenceBlock {
			draw(n, step, plan.Sequence)
			step = n.slot
		}
		if n.Effect == types.Do && b.kind != parallelBlock && b.kind != raceBlock {
			if b.kind != sequenceBlock {
				draw(n, doing, plan.Order)
			}
			doing = n.slot
		}
	}
}

// findCycles reports every set of nodes that wait for each other, by its shortest circle.
func (c *checker) findCycles() {
	for _, b := range c.order {
		for _, group := range circles(b.edges) {
			c.reportCycle(b, shortest(b.edges, group))
			for _, slot := range group {
				b.Nodes[slot].bad = true
				if d := b.Nodes[slot].Decl; d != nil {
					d.bad = true
				}
			}
		}
	}
}

// circles returns the strongly connected groups of the graph (Tarjan), those of one node only when it waits for itself.
func circles(edges [][]edge) [][]int {
	index := make([]int, len(edges))
	low := make([]int, len(edges))
	onStack := make([]bool, len(edges))
	var stack []int
	var groups [][]int
	next := 1
	type frame struct{ node, edge int }
	for start := range edges {
		if index[start] != 0 {
			continue
		}
		work := []frame{{start, 0}}
		for len(work) > 0 {
			f := &work[len(work)-1]
			if f.edge == 0 && index[f.node] == 0 {
				index[f.node], low[f.node] = next, next
				next++
				stack = append(stack, f.node)
				onStack[f.node] = true
			}
			if f.edge < len(edges[f.node]) {
				to := edges[f.node][f.edge].from
				f.edge++
				if index[to] == 0 {
					work = append(work, frame{to, 0})
				} else if onStack[to] {
					low[f.node] = min(low[f.node], index[to])
				}
				continue
			}
			node := f.node
			work = work[:len(work)-1]
			if len(work) > 0 {
				up := work[len(work)-1].node
				low[up] = min(low[up], low[node])
			}
			if low[node] != index[node] {
				continue
			}
			var group []int
			for {
				last := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				onStack[last] = false
				group = append(group, last)
				if last == node {
					break
				}
			}
			if len(group) > 1 || waitsFor(edges[node], node) {
				groups = append(groups, group)
			}
		}
	}
	return groups
}

func waitsFor(edges []edge, slot int) bool {
	for _, e := range edges {
		if e.from == slot {
			return true
		}
	}
	return false
}

// hop is one edge of a circle: node waits for edge.from.
type hop struct {
	node int
	edge edge
}

// shortest finds the shortest circle through the first line of the group: a search by breadth along what each node waits for.
func shortest(edges [][]edge, group []int) []hop {
	start := group[0]
	member := map[int]bool{}
	for _, slot := range group {
		member[slot] = true
		start = min(start, slot)
	}
	came := map[int]hop{} // by the node reached: the hop that led to it
	queue := []int{start}
	for len(queue) > 0 {
		node := queue[0]
		queue = queue[1:]
		for _, e := range edges[node] {
			if !member[e.from] {
				continue
			}
			if e.from == start {
				path := []hop{{node, e}}
				for at := node; at != start; {
					h := came[at]
					path = append(path, h)
					at = h.node
				}
				for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
					path[i], path[j] = path[j], path[i]
				}
				return path
			}
			if _, seen := came[e.from]; !seen {
				came[e.from] = hop{node, e}
				queue = append(queue, e.from)
			}
		}
	}
	panic("check: a group of nodes that wait for each other has no circle")
}

// maxShownHops is how much of a circle is shown: a longer one is not read.
const maxShownHops = 20

// reportCycle prints the whole path, with the line and the reason of each edge.
func (c *checker) reportCycle(b *Block, path []hop) {
	first := path[0]
	d := diag.Diagnostic{Code: "E0103", Span: first.edge.at}
	if len(path) == 1 {
		name := c.called(b, first.node)
		d.Message = name + " waits for itself"
		d.Label = "this is its own value, which is not there yet"
		d.Related = c.related(firstLine(c.src, b.Nodes[first.node].at), name+" is here")
		if b.Nodes[first.node].Kind == plan.LoopNode {
			d.Help = []string{"inside a loop its last value has the name after `loop`"}
		}
		c.add(d)
		return
	}
	names := make([]string, 0, len(path)+1)
	for i, h := range path {
		if i == maxShownHops {
			names = append(names, fmt.Sprintf("… %d more …", len(path)-i))
			break
		}
		names = append(names, c.called(b, h.node))
		if i > 0 {
			d.Related = append(d.Related, diag.Related{File: c.src, Span: h.edge.at, Message: c.reason(b, h)})
		}
	}
	names = append(names, names[0])
	d.Message = "these lines wait for each other, so none of them can start"
	d.Label = c.reason(b, first)
	d.Help = []string{"each waits for the next: " + strings.Join(names, " → ")}
	if cure := cureOf(b, path, c); cure != "" {
		d.Help = append(d.Help, cure)
	}
	c.add(d)
}

// cureOf says how to break a circle, when one of its edges is only the written order.
func cureOf(b *Block, path []hop, c *checker) string {
	for _, h := range path {
		switch h.edge.why {
		case plan.Gate:
			return fmt.Sprintf("move the `%s` of line %d below what it needs", gateWord(b.Nodes[h.edge.from]), c.line(b.Nodes[h.edge.from].at.Start))
		case plan.Sequence:
			return "the steps of a `sequence` run in their written order; in `parallel` only mentions count"
		case plan.Order:
			return fmt.Sprintf("steps that change something run in their written order: move line %d above line %d", c.line(b.Nodes[h.node].at.Start), c.line(b.Nodes[h.edge.from].at.Start))
		}
	}
	return ""
}

func gateWord(n *Node) string {
	if n.Kind == plan.StopNode {
		return "stop if"
	}
	return "require"
}

// called is how a message names a line of a block.
func (c *checker) called(b *Block, slot int) string {
	n := b.Nodes[slot]
	switch {
	case n.Name != "":
		return "`" + n.Name + "`"
	case n.Kind == plan.RequireNode || n.Kind == plan.StopNode:
		return fmt.Sprintf("the `%s` of line %d", gateWord(n), c.line(n.at.Start))
	}
	return fmt.Sprintf("the value in line %d", c.line(n.at.Start))
}

// reason says why a node of a circle waits for the next.
func (c *checker) reason(b *Block, h hop) string {
	from, to := c.called(b, h.edge.from), c.called(b, h.node)
	switch h.edge.why {
	case plan.After:
		return fmt.Sprintf("%s says `after` %s", to, from)
	case plan.Gate:
		return fmt.Sprintf("%s is below %s and waits for it", to, from)
	case plan.Order:
		return fmt.Sprintf("%s changes something, as does %s above it (line %d): they run in written order", to, from, c.line(b.Nodes[h.edge.from].at.Start))
	case plan.Sequence:
		return fmt.Sprintf("%s comes after %s in the sequence", to, from)
	}
	return fmt.Sprintf("%s mentions %s", to, from)
}
