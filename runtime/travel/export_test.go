package travel

import (
	"slices"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// Needs finds by the edges of the plan alone whether a step of a history needs one of some others: which.
func Needs(h *History, path run.Path, others []run.Path) run.Path {
	old, err := h.read()
	if err != nil {
		panic(err)
	}
	d := &decision{history: h, old: old, known: map[*plan.Node][]plan.Need{}}
	for i := range h.Plan.Blocks {
		for j := range h.Plan.Blocks[i].Nodes { // what a branch that was not taken mentions, nobody needed
			d.known[&h.Plan.Blocks[i].Nodes[j]] = h.Plan.Blocks[i].Nodes[j].Needs
		}
	}
	sorted := slices.Sorted(slices.Values(others))
	return d.cause(old.byPath[path], sorted)
}
