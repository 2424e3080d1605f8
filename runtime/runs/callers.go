package runs

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/run"
)

// Callers are the places that called the flows around a step, outermost first. A step of the script itself has none.
func Callers(p *plan.Plan, path run.Path) []source.Pos {
	c := callers{p: p}
	c.block(0, segments(path))
	return c.found
}

type callers struct {
	p     *plan.Plan
	found []source.Pos
}

// counted are the items, rounds, groups, repairs and questions in a path: which of them it was does not change where it stands in the source.
var counted = regexp.MustCompile(`\^[0-9]+\[[0-9]+\]|\[[0-9]+\]|[#~?][0-9]+`)

// segments are the names in a path; an arm of a `match` is quoted and may hold anything.
func segments(path run.Path) []string {
	var list []string
	name, quoted, escaped := "", false, false
	for _, r := range string(path) {
		switch {
		case escaped:
			escaped = false
		case r == '\\' && quoted:
			escaped = true
		case r == '"':
			quoted = !quoted
		case r == '/' && !quoted:
			list = append(list, name)
			name = ""
			continue
		}
		name += string(r)
	}
	list = append(list, name)
	for i, s := range list {
		if !strings.HasPrefix(s, `"`) {
			list[i] = counted.ReplaceAllString(s, "")
		}
	}
	return list
}

// block follows the rest of a path through a block. It reports whether a flow was called on the way.
func (c *callers) block(b int, rest []string) bool {
	nodes := c.p.Blocks[b].Nodes
	for i := range nodes {
		if n := &nodes[i]; n.Name != "" && len(rest) > 0 && n.Name == rest[0] {
			return c.node(n, rest[1:])
		}
	}
	if v := c.p.Blocks[b].Value; v >= 0 && nodes[v].Name == "" {
		return c.node(&nodes[v], rest) || b == 0 && len(rest) > 0 && rest[0] == "output" && c.node(&nodes[v], rest[1:])
	}
	return false
}

func (c *callers) node(n *plan.Node, rest []string) bool {
	branch := func(name string, b int) bool {
		return b >= 0 && len(rest) > 0 && rest[0] == name && c.block(b, rest[1:])
	}
	switch {
	case n.Flow != nil:
		c.found = append(c.found, n.At)
		if len(rest) == 0 || !elses(n, rest[0]) {
			c.block(n.Flow.Block, rest)
			return true
		}
		c.found = c.found[:len(c.found)-1] // it is in a fallback of the call
	case n.Choice != nil:
		for i, b := range n.Choice.Branches {
			name := "then"
			if i > 0 {
				name = fmt.Sprintf("elif%d", i+1)
			}
			if branch(name, b.Block) {
				return true
			}
		}
		if branch("else", n.Choice.Else) {
			return true
		}
	case n.Match != nil:
		for _, a := range n.Match.Arms {
			if raw, err := plan.Literal(a.Values[0]); err == nil && branch(string(raw), a.Block) {
				return true
			}
		}
		if branch("else", n.Match.Else) {
			return true
		}
	default:
		for _, b := range plan.Bodies(n) {
			if c.p.Blocks[b].Parent >= 0 && !fallback(n, b) && c.block(b, rest) {
				return true
			}
		}
	}
	for _, f := range n.Else {
		if f.Kind == plan.BlockElse && len(rest) > 0 && elses(n, rest[0]) && c.block(f.Block, rest[1:]) {
			return true
		}
	}
	return false
}

// elses reports whether a segment is the path of a fallback of the node.
func elses(n *plan.Node, segment string) bool {
	return len(n.Else) > 0 && strings.HasPrefix(segment, "else") && strings.Trim(segment[len("else"):], "0123456789") == ""
}

func fallback(n *plan.Node, block int) bool {
	for _, f := range n.Else {
		if f.Kind == plan.BlockElse && f.Block == block {
			return true
		}
	}
	return false
}
