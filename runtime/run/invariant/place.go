package invariant

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
)

// spot is a node on the way to a call: which line of which opened block.
type spot struct {
	block, slot int
	prefix      string // path of the opened block
	path        string // of the node in it
	viaElse     bool   // the way goes on through one of its fallbacks
}

// same names the node of one opened block.
func (s spot) same() string {
	return s.prefix + "\x00" + strconv.Itoa(s.block) + "." + strconv.Itoa(s.slot)
}

// places finds what a path means in a plan by trying the names of the blocks from the file inward.
type places struct {
	p     *plan.Plan
	known map[string][]spot
}

// find lists the nodes on the way to the step at path, the file's first; nil: there is no such step.
func (r *places) find(path string) []spot {
	if way, ok := r.known[path]; ok {
		return way
	}
	way, ok := r.inBlock(0, "", path)
	if !ok {
		way = nil
	}
	r.known[path] = way
	return way
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "/" + name
}

func (r *places) inBlock(block int, prefix, path string) ([]spot, bool) {
	b := &r.p.Blocks[block]
	for slot := range b.Nodes {
		n := &b.Nodes[slot]
		if !isStep(n.Kind) {
			continue
		}
		p := prefix
		switch {
		case n.Name != "":
			p = join(prefix, n.Name)
		case prefix == "":
			p = "output"
		}
		rest, ok := strings.CutPrefix(path, p)
		if !ok || rest != "" && !strings.ContainsAny(rest[:1], "/[#^~?") {
			continue
		}
		if way, ok := r.inNode(spot{block: block, slot: slot, prefix: prefix, path: p}, n, rest, path); ok {
			return way, true
		}
	}
	return nil, false
}

func isStep(k plan.NodeKind) bool {
	switch k {
	case plan.LetNode, plan.ValueNode, plan.RequireNode, plan.StopNode, plan.IntoNode:
		return false
	}
	return true
}

func (r *places) inNode(s spot, n *plan.Node, rest, path string) ([]spot, bool) {
	if n.Kind == plan.CallNode && marks(rest) {
		return []spot{s}, true
	}
	into := func(block int, segment string, viaElse bool) ([]spot, bool) {
		prefix := s.path + segment
		if !strings.HasPrefix(path, prefix) {
			return nil, false
		}
		way, ok := r.inBlock(block, prefix, path)
		if !ok {
			return nil, false
		}
		here := s
		here.viaElse = viaElse
		return append([]spot{here}, way...), true
	}
	// the bodies whose segment is known beforehand
	segments := map[string]int{}
	switch n.Kind {
	case plan.GroupNode:
		segments[""] = n.Group.Block
	case plan.RaceNode:
		segments[""] = n.Race.Block
	case plan.FlowNode:
		segments[""] = n.Flow.Block
	case plan.ChoiceNode:
		for i, b := range n.Choice.Branches {
			name := "/then"
			if i > 0 {
				name = fmt.Sprintf("/elif%d", i+1)
			}
			segments[name] = b.Block
		}
		if n.Choice.Else >= 0 {
			segments["/else"] = n.Choice.Else
		}
	case plan.MatchNode:
		for _, a := range n.Match.Arms {
			raw, _ := json.Marshal(a.Values[0])
			segments["/"+string(raw)] = a.Block
		}
		if n.Match.Else >= 0 {
			segments["/else"] = n.Match.Else
		}
	case plan.MapNode:
		if i := digits(rest[min(1, len(rest)):]); i > 0 && strings.HasPrefix(rest[i+1:], "]") && rest[0] == '[' {
			segments[rest[:i+2]] = n.Map.Block
		}
	case plan.LoopNode:
		if i := digits(rest[min(1, len(rest)):]); i > 0 && rest[0] == '#' {
			segments[rest[:i+1]] = n.Loop.Block
		}
	case plan.ReduceNode:
		if i := strings.IndexByte(rest, ']'); i > 0 && rest[0] == '^' {
			segments[rest[:i+1]] = n.Reduce.Block
		}
	}
	for segment, block := range segments {
		if way, ok := into(block, segment, false); ok {
			return way, true
		}
	}
	before := r.elses(n)
	for i, f := range n.Else {
		if f.Kind != plan.BlockElse {
			continue
		}
		name := "/else"
		if k := before + i + 1; k > 1 {
			name += strconv.Itoa(k)
		}
		if way, ok := into(f.Block, name, true); ok {
			return way, true
		}
	}
	return nil, false
}

// marks reports whether what follows the path of a step marks a repair of its call, a question that it asks, or neither.
func marks(s string) bool {
	for _, mark := range "~?" {
		if s != "" && rune(s[0]) == mark {
			n := digits(s[1:])
			if n == 0 {
				return false
			}
			s = s[1+n:]
		}
	}
	return s == ""
}

func digits(s string) int {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

// elses counts the /else segments that nameless steps within a container use at the container's own path: its fallbacks are numbered after them.
func (r *places) elses(n *plan.Node) int {
	count := 0
	inner := -1
	switch n.Kind {
	case plan.ChoiceNode:
		if n.Choice.Else >= 0 {
			count = 1
		}
	case plan.MatchNode:
		if n.Match.Else >= 0 {
			count = 1
		}
	case plan.GroupNode:
		inner = n.Group.Block
	case plan.FlowNode:
		inner = n.Flow.Block
	}
	if inner >= 0 {
		if b := &r.p.Blocks[inner]; b.Value >= 0 && isStep(b.Nodes[b.Value].Kind) && b.Nodes[b.Value].Name == "" {
			v := &b.Nodes[b.Value]
			count += r.elses(v) + len(v.Else)
		}
	}
	return count
}
