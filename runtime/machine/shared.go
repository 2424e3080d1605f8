package machine

import (
	"encoding/binary"
	"hash/fnv"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
)

// shares finds how much of the text of each model's call other calls of the run begin with too, as far as the plan tells: the same call for the next item or in the
// next round, or another call with the same beginning. It is counted in parts. A provider can keep what was read once, and read it again for less.
func (t *tables) shares(p *plan.Plan) {
	many := map[int]bool{} // blocks that run many times
	for i := range p.Blocks {
		for j := range p.Blocks[i].Nodes {
			switch n := &p.Blocks[i].Nodes[j]; n.Kind {
			case plan.MapNode:
				many[n.Map.Block] = true
			case plan.ReduceNode:
				many[n.Reduce.Block] = true
			case plan.LoopNode:
				many[n.Loop.Block] = true
			}
		}
	}
	seen := map[uint64]int{} // beginnings, and how many calls have them
	for pass := range 2 {
		for i := range p.Blocks {
			for j := range p.Blocks[i].Nodes {
				n := &p.Blocks[i].Nodes[j]
				if n.Call == nil || n.Call.Text == nil || !p.Callees[n.Call.Callee].Structured {
					continue
				}
				nt := &t.blocks[i].nodes[j]
				for k, beginning := range beginnings(p, i, n.Call) {
					if pass == 0 {
						seen[beginning]++
					} else if seen[beginning] > 1 {
						nt.shared = max(nt.shared, int32(k+1))
					}
				}
				if pass == 1 {
					nt.shared = max(nt.shared, constant(p, i, n.Call.Text, many))
				}
			}
		}
	}
}

// beginnings are hashes of the beginnings of a call's text up to each value in it, by part: two calls with the same one send the same so far.
func beginnings(p *plan.Plan, block int, c *plan.Call) map[int]uint64 {
	all := map[int]uint64{}
	h := fnv.New64a()
	number := func(n int) { h.Write(binary.AppendVarint(nil, int64(n))) }
	text := func(s string) {
		number(len(s))
		h.Write([]byte(s))
	}
	write := func(part *plan.Part) {
		if part.Expr == nil {
			number(0)
			text(part.Literal)
			return
		}
		number(1 + len(part.Expr.Refs))
		text(part.Expr.Code)
		text(strings.Join(part.Expr.Path, "."))
		for _, r := range part.Expr.Refs {
			at := block
			for range r.Depth {
				at = p.Blocks[at].Parent
			}
			number(at)
			number(r.Slot)
		}
	}
	number(c.Callee)
	for i := range c.System {
		for k := range c.System[i].Parts {
			write(&c.System[i].Parts[k])
		}
	}
	number(-1)
	for k := range c.Text.Parts {
		write(&c.Text.Parts[k])
		if c.Text.Parts[k].Expr != nil {
			all[k] = h.Sum64()
		}
	}
	return all
}

// constant is how many parts, from the first on, are the same each time the block that runs many times around a call does; 0 when none is around it.
func constant(p *plan.Plan, block int, t *plan.Text, many map[int]bool) int32 {
	inside := 0 // how many blocks around the call are within that one
	for ; block >= 0 && !many[block]; inside++ {
		block = p.Blocks[block].Parent
	}
	if block < 0 {
		return 0
	}
	for k := range t.Parts {
		if e := t.Parts[k].Expr; e != nil {
			for _, r := range e.Refs {
				if r.Depth <= inside {
					return int32(k)
				}
			}
		}
	}
	return int32(len(t.Parts))
}

// sent is how many bytes of a text there are so far: in text, or in list once something stands there that is no plain text.
func sent(text []byte, list []any) int {
	if list != nil {
		return lengthOf(list)
	}
	return len(text)
}

// lengthOf is how many bytes a text will have when all that is put away is in its place; 0 when a secret stands in it.
func lengthOf(list []any) int {
	n := 0
	for _, part := range list {
		switch part := part.(type) {
		case string:
			n += len(part)
		case types.Large:
			n += int(part.Size)
		case types.Parts:
			inner := lengthOf(part)
			if inner == 0 && len(part) > 0 {
				return 0
			}
			n += inner
		case types.Secret:
			return 0
		}
	}
	return n
}
