package runs

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// names finds the agent behind a path by walking the plan as the path does. Items, rounds and groups share what they call, so each shape of a path is
// walked once.
type names struct {
	plan  *plan.Plan
	known map[string]*plan.Call
}

func newNames(p *plan.Plan) *names { return &names{plan: p, known: map[string]*plan.Call{}} }

// step is the step at path before anything is known of it but what its plan says.
func (n *names) step(path run.Path) Step {
	s := Step{Path: path}
	if c := n.call(path); c != nil {
		s.Agent = c.Agent
		s.Free = c.Callee >= 0 && c.Callee < len(n.plan.Callees) && n.plan.Callees[c.Callee].Free
	}
	return s
}

func (n *names) call(path run.Path) *plan.Call {
	if n.plan == nil || len(n.plan.Blocks) == 0 {
		return nil
	}
	segments := split(string(path))
	shape := strings.Join(segments, "/")
	call, ok := n.known[shape]
	if !ok {
		if node := n.find(0, segments); node != nil {
			call = node.Call
		}
		n.known[shape] = call
	}
	return call
}

// split cuts a path into the names that lead through the plan: `notes[3]/quote/"a/b"~1` is notes, quote, "a/b".
func split(path string) []string {
	var segments []string
	for path != "" {
		var segment string
		if path[0] == '"' {
			quoted, err := strconv.QuotedPrefix(path)
			if err != nil {
				return append(segments, path)
			}
			segment, path = quoted, path[len(quoted):]
		}
		rest, after, _ := strings.Cut(path, "/")
		if segment == "" {
			segment = rest
			if i := strings.IndexAny(segment, "[#^~?"); i >= 0 {
				segment = segment[:i]
			}
		}
		path = after
		segments = append(segments, segment)
	}
	return segments
}

// find walks from block along segments to the call they name; nil when they lead nowhere.
func (n *names) find(block int, segments []string) *plan.Node {
	b := &n.plan.Blocks[block]
	if len(segments) > 0 {
		for i := range b.Nodes {
			node := &b.Nodes[i]
			if node.Name != "" && node.Name == segments[0] && node.Kind != plan.LetNode && node.Kind != plan.IntoNode {
				if found := n.inside(node, segments[1:]); found != nil {
					return found
				}
			}
		}
	}
	if b.Value < 0 || b.Value >= len(b.Nodes) || b.Nodes[b.Value].Name != "" {
		return nil
	}
	// The value line goes by its block's path; in the file that is "output".
	if block == 0 && len(segments) > 0 && segments[0] == "output" {
		segments = segments[1:]
	}
	return n.inside(&b.Nodes[b.Value], segments)
}

// inside walks from a node.
func (n *names) inside(node *plan.Node, segments []string) *plan.Node {
	if len(segments) > 0 {
		if i, ok := n.elseNumber(segments[0], node); ok {
			if found := n.find(node.Else[i].Block, segments[1:]); found != nil {
				return found
			}
		}
	}
	switch {
	case node.Call != nil:
		if len(segments) == 0 {
			return node
		}
	case node.Group != nil:
		return n.find(node.Group.Block, segments)
	case node.Race != nil:
		return n.find(node.Race.Block, segments)
	case node.Map != nil:
		return n.find(node.Map.Block, segments)
	case node.Reduce != nil:
		return n.find(node.Reduce.Block, segments)
	case node.Loop != nil:
		return n.find(node.Loop.Block, segments)
	case node.Flow != nil:
		return n.find(node.Flow.Block, segments)
	case node.Choice != nil && len(segments) > 0:
		for i, branch := range node.Choice.Branches {
			if segments[0] == branchName(i) {
				return n.find(branch.Block, segments[1:])
			}
		}
		if segments[0] == "else" && node.Choice.Else >= 0 {
			return n.find(node.Choice.Else, segments[1:])
		}
	case node.Match != nil && len(segments) > 0:
		for _, arm := range node.Match.Arms {
			if len(arm.Values) > 0 && literalName(arm.Values[0]) == segments[0] {
				return n.find(arm.Block, segments[1:])
			}
		}
		if segments[0] == "else" && node.Match.Else >= 0 {
			return n.find(node.Match.Else, segments[1:])
		}
	}
	return nil
}

// elseNumber reads /else, /else2 … as the fallback of a node that it names. A nameless step at the path of its container comes first in the count.
func (n *names) elseNumber(segment string, node *plan.Node) (int, bool) {
	digits, ok := strings.CutPrefix(segment, "else")
	if !ok {
		return 0, false
	}
	number := 1
	if digits != "" {
		var err error
		if number, err = strconv.Atoi(digits); err != nil || number < 2 {
			return 0, false
		}
	}
	i := number - 1 - n.elsesBelow(node)
	if i < 0 || i >= len(node.Else) || node.Else[i].Kind != plan.BlockElse {
		return 0, false
	}
	return i, true
}

// elsesBelow counts the /else in use at the path of a node by what stands in it.
func (n *names) elsesBelow(node *plan.Node) int {
	switch {
	case node.Choice != nil && node.Choice.Else >= 0, node.Match != nil && node.Match.Else >= 0:
		return 1
	case node.Group != nil:
		return n.elsesOf(node.Group.Block)
	case node.Flow != nil:
		return n.elsesOf(node.Flow.Block)
	}
	return 0
}

func (n *names) elsesOf(block int) int {
	b := &n.plan.Blocks[block]
	if b.Value < 0 || b.Value >= len(b.Nodes) || b.Nodes[b.Value].Name != "" {
		return 0
	}
	inner := &b.Nodes[b.Value]
	return n.elsesBelow(inner) + len(inner.Else)
}

func branchName(i int) string {
	if i == 0 {
		return "then"
	}
	return "elif" + strconv.Itoa(i+1)
}

func literalName(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
