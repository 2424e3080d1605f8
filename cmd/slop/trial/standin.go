package trial

import (
	"path"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// standIns gives the plan in which every used flow that the test mocks is a single call, so that its answer takes the place of all it would do.
func standIns(p *plan.Plan, t plan.Test) *plan.Plan {
	flows := flowNames(p)
	changed := *p
	for _, l := range t.Lines {
		flow, isFlow := flows[l.Name]
		if (l.Kind != "mock" && l.Kind != "fail") || !isFlow {
			continue
		}
		if &changed.Blocks[0] == &p.Blocks[0] {
			changed.Blocks = slices.Clone(p.Blocks)
		}
		for b := range changed.Blocks {
			block := &changed.Blocks[b]
			for i := range block.Nodes {
				if n := block.Nodes[i]; n.Flow != nil && n.Flow.Name == flow {
					block.Nodes = slices.Clone(block.Nodes)
					block.Nodes[i] = called(&changed, n, l.Name)
				}
			}
		}
	}
	return &changed
}

// called is the node of a flow as a call of an agent of that name.
func called(p *plan.Plan, n plan.Node, name string) plan.Node {
	p.Callees = append(slices.Clone(p.Callees), types.Signature{Name: name, Use: name, Result: n.Type, Effect: n.Effect, Kind: types.Call})
	n.Kind, n.Flow = plan.CallNode, nil
	n.Call = &plan.Call{Callee: len(p.Callees) - 1, Agent: name}
	return n
}

// flowNames maps what the script calls a flow, by `use` or as an agent made of one, to the flow's own name.
func flowNames(p *plan.Plan) map[string]string {
	names := map[string]string{}
	if len(p.Sources) < 2 {
		return names // it uses nothing
	}
	file, _ := syntax.Parse(source.NewFile(p.Sources[0].Name, p.Sources[0].Text))
	for _, item := range file.Items {
		if use, ok := item.(*syntax.Use); ok && !use.Template {
			if written, ok := use.Path.Plain(); ok {
				names[use.As.Text] = strings.TrimSuffix(path.Base(written), ".slop")
			}
		}
	}
	for _, item := range file.Items {
		if agent, ok := item.(*syntax.Agent); ok {
			if flow, ok := names[agent.Base.Callee.String()]; ok {
				names[agent.Name.Text] = flow
			}
		}
	}
	return names
}
