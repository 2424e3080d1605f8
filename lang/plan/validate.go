package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slopstudios/slop/lang/types"
)

// The limits of a plan. They are far above what a script can reach and keep the sums of a machine from overflowing.
const (
	maxBlocks = 1 << 20
	maxNodes  = 1 << 22
	maxCount  = 1 << 31
	maxDepth  = 2000 // blocks within blocks, flows included: whoever walks a plan may recurse
)

// Validate reports the first thing in p that a machine could not work with: an index out of range, a block used twice or never, a node without what its kind
// needs, an expression that reads what nothing makes it wait for, a cycle. What lang/lower builds is always valid.
func Validate(p *Plan) error {
	v := validator{p: p, used: make([]bool, len(p.Blocks)), depth: make([]int, len(p.Blocks))}
	return v.plan()
}

type validator struct {
	p     *Plan
	used  []bool
	depth []int // of each block
	block int   // being looked at
	node  int
	waits map[[2]int]bool // what the node waits for: depth, slot
	over  []over          // edges of each block, inner needs lifted to the container in whose block they end
}

// over is an edge between two nodes of one block.
type over struct{ block, from, to int }

func (v *validator) plan() error {
	p := v.p
	switch {
	case p.Version != Version:
		return fmt.Errorf("the plan has version %d, this release knows %d", p.Version, Version)
	case len(p.Blocks) == 0:
		return errors.New("the plan has no blocks")
	case len(p.Blocks) > maxBlocks:
		return fmt.Errorf("the plan has %d blocks, the limit is %d", len(p.Blocks), maxBlocks)
	case len(p.Sources) == 0:
		return errors.New("the plan has no source")
	case p.Blocks[0].Parent != -1:
		return errors.New("block 0 has a parent")
	}
	if err := checkInputs(p.Inputs, p.Blocks[0].Binds); err != nil {
		return fmt.Errorf("block 0: %w", err)
	}
	if err := checkAmounts(p.Budget); err != nil {
		return err
	}
	if err := checkType(p.Output, 0); err != nil {
		return err
	}
	for i := range p.Callees {
		if err := checkSignature(&p.Callees[i]); err != nil {
			return fmt.Errorf("callee %d: %w", i, err)
		}
	}
	nodes := 0
	for i := range p.Blocks {
		b := &p.Blocks[i]
		nodes += len(b.Nodes) + len(b.Binds)
		switch {
		case nodes > maxNodes:
			return fmt.Errorf("the plan has more than %d nodes", maxNodes)
		case b.Value < -1 || b.Value >= len(b.Nodes):
			return fmt.Errorf("block %d: its value is at slot %d of %d", i, b.Value, len(b.Nodes))
		case b.Parent < -1 || b.Parent >= i:
			return fmt.Errorf("block %d: its parent is %d", i, b.Parent)
		}
	}
	v.used[0] = true
	owner := make([]int, len(p.Blocks)) // the slot of the node that has the block
	for i := range p.Blocks {
		for slot := range p.Blocks[i].Nodes {
			v.block, v.node = i, slot
			if err := v.check(&p.Blocks[i].Nodes[slot], owner); err != nil {
				return fmt.Errorf("block %d, node %d: %w", i, slot, err)
			}
		}
	}
	for i, used := range v.used {
		if !used {
			return fmt.Errorf("block %d belongs to no node", i)
		}
	}
	v.lift(owner)
	return v.cycles()
}

func (v *validator) check(n *Node, owner []int) error {
	v.waits = make(map[[2]int]bool, len(n.Needs))
	for _, need := range n.Needs {
		b, err := v.outward(need.Depth)
		if err != nil {
			return err
		}
		if need.Slot < 0 || need.Slot >= len(v.p.Blocks[b].Nodes) {
			return fmt.Errorf("it needs slot %d of block %d, which has %d nodes", need.Slot, b, len(v.p.Blocks[b].Nodes))
		}
		switch need.Why {
		case Reference, After, Gate, Order, Sequence, Approval:
		default:
			return fmt.Errorf("it needs something for the reason %q", need.Why)
		}
		v.waits[[2]int{need.Depth, need.Slot}] = true
	}
	if err := checkType(n.Type, 0); err != nil {
		return err
	}
	switch n.Effect {
	case "", types.Think, types.Read, types.Do:
	default:
		return fmt.Errorf("its effect is %q", n.Effect)
	}
	if err := checkDuration(n.Timeout); err != nil {
		return err
	}
	if err := checkAmounts(n.Budget); err != nil {
		return err
	}
	if err := v.kind(n, owner); err != nil {
		return err
	}
	return v.fallbacks(n, owner)
}

// kind checks what goes with the kind of n, and that nothing else is set.
func (v *validator) kind(n *Node, owner []int) error {
	set := 0
	for _, s := range [...]bool{n.Call != nil, n.Expr != nil, n.Group != nil, n.Race != nil, n.Map != nil, n.Reduce != nil, n.Choice != nil, n.Match != nil, n.Loop != nil, n.Flow != nil} {
		if s {
			set++
		}
	}
	if set != 1 && n.Kind != IntoNode || set != 0 && n.Kind == IntoNode {
		return fmt.Errorf("a %s node with %d contents", n.Kind, set)
	}
	missing := fmt.Errorf("a %s node without its content", n.Kind)
	switch n.Kind {
	case CallNode:
		if n.Call == nil {
			return missing
		}
		return v.call(n.Call)
	case LetNode, ValueNode, StopNode:
		if n.Expr == nil {
			return missing
		}
		return v.expr(n.Expr)
	case RequireNode:
		if n.Expr == nil || n.Message == nil {
			return missing
		}
		if err := v.expr(n.Expr); err != nil {
			return err
		}
		return v.text(n.Message)
	case GroupNode:
		if n.Group == nil {
			return missing
		}
		if n.Group.Limit < 0 {
			return errors.New("a negative limit")
		}
		return v.body(n.Group.Block, 0, owner)
	case RaceNode:
		if n.Race == nil {
			return missing
		}
		if err := v.body(n.Race.Block, 0, owner); err != nil {
			return err
		}
		if n.Race.N < 0 || n.Race.N > len(v.p.Blocks[n.Race.Block].Nodes) {
			return fmt.Errorf("a race for %d winners", n.Race.N)
		}
		return nil
	case MapNode:
		return v.mapping(n, missing, owner)
	case IntoNode:
		nodes := v.p.Blocks[v.block].Nodes
		if n.Of < 0 || n.Of >= len(nodes) || nodes[n.Of].Map == nil || nodes[n.Of].Map.Into != v.node {
			return fmt.Errorf("the failures of slot %d, which has none to give", n.Of)
		}
		if !v.waits[[2]int{0, n.Of}] {
			return fmt.Errorf("it does not wait for its map at slot %d", n.Of)
		}
		return nil
	case ReduceNode:
		if n.Reduce == nil {
			return missing
		}
		if n.Reduce.By < 2 || n.Reduce.By > maxCount {
			return fmt.Errorf("a reduce by %d", n.Reduce.By)
		}
		if err := v.expr(&n.Reduce.Over); err != nil {
			return err
		}
		return v.body(n.Reduce.Block, 1, owner)
	case ChoiceNode:
		return v.choice(n, missing, owner)
	case MatchNode:
		return v.match(n, missing, owner)
	case LoopNode:
		if n.Loop == nil {
			return missing
		}
		if n.Loop.Max < 1 || n.Loop.Max > maxCount {
			return fmt.Errorf("a loop of %d rounds", n.Loop.Max)
		}
		if err := v.expr(&n.Loop.From); err != nil {
			return err
		}
		return v.body(n.Loop.Block, 1, owner)
	case FlowNode:
		if n.Flow == nil {
			return missing
		}
		return v.flow(n.Flow, owner)
	default:
		return fmt.Errorf("a node of kind %q", n.Kind)
	}
}

func (v *validator) call(c *Call) error {
	if c.Callee < 0 || c.Callee >= len(v.p.Callees) {
		return fmt.Errorf("it calls callee %d of %d", c.Callee, len(v.p.Callees))
	}
	if c.Retry < 0 || c.Retry > maxCount || c.Repair < 0 || c.Repair > maxCount {
		return errors.New("it is retried or repaired a wrong number of times")
	}
	for _, d := range []time.Duration{c.Wait, c.Cache} {
		if err := checkDuration(d); err != nil {
			return err
		}
	}
	for i := range c.Args {
		if err := v.expr(&c.Args[i].Value); err != nil {
			return err
		}
	}
	if c.Text != nil && c.Words != nil {
		return errors.New("it has both a text and words")
	}
	if c.As != nil {
		if err := checkType(*c.As, 0); err != nil {
			return err
		}
	}
	for _, ts := range [][]Text{c.Words, c.System} {
		for i := range ts {
			if err := v.text(&ts[i]); err != nil {
				return err
			}
		}
	}
	return v.text(c.Text)
}

func (v *validator) mapping(n *Node, missing error, owner []int) error {
	m := n.Map
	if m == nil {
		return missing
	}
	if m.Limit < 1 || m.Limit > maxCount {
		return fmt.Errorf("a map of %d items at a time", m.Limit)
	}
	if t := m.Tolerate; t != nil && (t.Count < 0 || t.Percent < 0 || t.Percent > 100) {
		return errors.New("it tolerates a wrong number of failures")
	}
	nodes := v.p.Blocks[v.block].Nodes
	if m.Into < -1 || m.Into >= len(nodes) {
		return fmt.Errorf("its failures go to slot %d", m.Into)
	}
	if m.Into >= 0 && (nodes[m.Into].Kind != IntoNode || nodes[m.Into].Of != v.node) {
		return fmt.Errorf("its failures go to slot %d, which does not take them", m.Into)
	}
	if err := v.expr(&m.Over); err != nil {
		return err
	}
	binds := 1
	if m.Index {
		binds = 2
	}
	return v.body(m.Block, binds, owner)
}

func (v *validator) choice(n *Node, missing error, owner []int) error {
	if n.Choice == nil || len(n.Choice.Branches) == 0 {
		return missing
	}
	for i := range n.Choice.Branches {
		if err := v.expr(&n.Choice.Branches[i].Cond); err != nil {
			return err
		}
		if err := v.body(n.Choice.Branches[i].Block, 0, owner); err != nil {
			return err
		}
	}
	if n.Choice.Else == -1 {
		return nil
	}
	return v.body(n.Choice.Else, 0, owner)
}

func (v *validator) match(n *Node, missing error, owner []int) error {
	if n.Match == nil {
		return missing
	}
	if err := v.expr(&n.Match.Subject); err != nil {
		return err
	}
	for i := range n.Match.Arms {
		if len(n.Match.Arms[i].Values) == 0 {
			return errors.New("an arm with nothing to compare with")
		}
		if err := v.body(n.Match.Arms[i].Block, 0, owner); err != nil {
			return err
		}
	}
	if n.Match.Else == -1 {
		return nil
	}
	return v.body(n.Match.Else, 0, owner)
}

func (v *validator) flow(f *Flow, owner []int) error {
	if f.Block <= v.block || f.Block >= len(v.p.Blocks) || v.used[f.Block] || v.p.Blocks[f.Block].Parent != -1 {
		return fmt.Errorf("its flow is block %d", f.Block)
	}
	v.used[f.Block] = true
	owner[f.Block] = v.node
	if v.depth[f.Block] = v.depth[v.block] + 1; v.depth[f.Block] > maxDepth {
		return fmt.Errorf("more than %d blocks within each other", maxDepth)
	}
	if err := checkInputs(f.Inputs, v.p.Blocks[f.Block].Binds); err != nil {
		return err
	}
	if err := checkAmounts(f.Budget); err != nil {
		return err
	}
	if len(f.Args) != len(f.Inputs) {
		return fmt.Errorf("%d arguments for %d inputs", len(f.Args), len(f.Inputs))
	}
	if f.TextInput < 0 || f.Text != nil && f.TextInput >= len(f.Inputs) {
		return fmt.Errorf("its text fills input %d of %d", f.TextInput, len(f.Inputs))
	}
	for _, a := range f.Args {
		if a == nil {
			continue
		}
		if err := v.expr(a); err != nil {
			return err
		}
	}
	return v.text(f.Text)
}

func (v *validator) fallbacks(n *Node, owner []int) error {
	for i := range n.Else {
		f := &n.Else[i]
		switch f.Kind {
		case Skip:
		case Keep:
			if n.Loop == nil {
				return errors.New("it keeps a last value, and is no loop")
			}
		case Fail:
			if f.Message == nil {
				return errors.New("it fails without a message")
			}
			if err := v.text(f.Message); err != nil {
				return err
			}
		case BlockElse:
			binds := 1
			if n.Loop != nil {
				binds = 2
			}
			if err := v.body(f.Block, binds, owner); err != nil {
				return err
			}
		default:
			return fmt.Errorf("a fallback of kind %q", f.Kind)
		}
	}
	return nil
}

// body claims block b for the node being looked at.
func (v *validator) body(b, binds int, owner []int) error {
	switch {
	case b <= v.block || b >= len(v.p.Blocks):
		return fmt.Errorf("it has block %d of %d", b, len(v.p.Blocks))
	case v.used[b]:
		return fmt.Errorf("block %d has a node already", b)
	case v.p.Blocks[b].Parent != v.block:
		return fmt.Errorf("block %d stands in block %d", b, v.p.Blocks[b].Parent)
	case len(v.p.Blocks[b].Binds) != binds:
		return fmt.Errorf("block %d binds %d names instead of %d", b, len(v.p.Blocks[b].Binds), binds)
	}
	v.used[b] = true
	owner[b] = v.node
	if v.depth[b] = v.depth[v.block] + 1; v.depth[b] > maxDepth {
		return fmt.Errorf("more than %d blocks within each other", maxDepth)
	}
	return nil
}

func (v *validator) expr(e *Expr) error {
	for _, r := range e.Refs {
		b, err := v.outward(r.Depth)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		nodes := len(v.p.Blocks[b].Nodes)
		switch {
		case r.Slot < 0 || r.Slot >= nodes+len(v.p.Blocks[b].Binds):
			return fmt.Errorf("%s is at slot %d of block %d, which has %d", r.Name, r.Slot, b, nodes+len(v.p.Blocks[b].Binds))
		case r.Slot < nodes && !v.waits[[2]int{r.Depth, r.Slot}]:
			return fmt.Errorf("it reads %s and does not wait for it", r.Name)
		}
	}
	return nil
}

func (v *validator) text(t *Text) error {
	if t == nil {
		return nil
	}
	for i := range t.Parts {
		if e := t.Parts[i].Expr; e != nil {
			if err := v.expr(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// outward returns the block depth blocks around the one being looked at.
func (v *validator) outward(depth int) (int, error) {
	b := v.block
	if depth < 0 {
		return 0, fmt.Errorf("depth %d", depth)
	}
	for range depth {
		if b = v.p.Blocks[b].Parent; b < 0 {
			return 0, fmt.Errorf("depth %d is outside the flow", depth)
		}
	}
	return b, nil
}

// lift collects the edges of every block. A need of an inner node counts for the container it is in, as in the check for cycles.
func (v *validator) lift(owner []int) {
	for i := range v.p.Blocks {
		for slot := range v.p.Blocks[i].Nodes {
			for _, need := range v.p.Blocks[i].Nodes[slot].Needs {
				b, to := i, slot
				for range need.Depth {
					to = owner[b]
					b = v.p.Blocks[b].Parent
				}
				v.over = append(v.over, over{b, need.Slot, to})
			}
		}
	}
}

// cycles reports an error when the edges of a block go round.
func (v *validator) cycles() error {
	slices.SortFunc(v.over, func(a, b over) int { return a.block - b.block })
	for len(v.over) > 0 {
		b := v.over[0].block
		end := 1
		for end < len(v.over) && v.over[end].block == b {
			end++
		}
		if cyclic(len(v.p.Blocks[b].Nodes), v.over[:end]) {
			return fmt.Errorf("block %d: its nodes wait for each other", b)
		}
		v.over = v.over[end:]
	}
	return nil
}

func cyclic(nodes int, edges []over) bool {
	in := make([]int, nodes)
	out := make([][]int, nodes)
	for _, e := range edges {
		in[e.to]++
		out[e.from] = append(out[e.from], e.to)
	}
	var free []int
	for n, k := range in {
		if k == 0 {
			free = append(free, n)
		}
	}
	done := 0
	for len(free) > 0 {
		n := free[len(free)-1]
		free = free[:len(free)-1]
		done++
		for _, to := range out[n] {
			if in[to]--; in[to] == 0 {
				free = append(free, to)
			}
		}
	}
	return done < nodes
}

func checkInputs(inputs []Input, binds []string) error {
	if len(inputs) != len(binds) {
		return fmt.Errorf("%d inputs for %d names", len(inputs), len(binds))
	}
	for i := range inputs {
		if inputs[i].Name != binds[i] {
			return fmt.Errorf("input %d is %q, its name is %q", i, inputs[i].Name, binds[i])
		}
		if err := checkType(inputs[i].Type, 0); err != nil {
			return err
		}
		if d := inputs[i].Default; d != nil && !json.Valid(d) {
			return fmt.Errorf("the default of %q is no JSON", inputs[i].Name)
		}
	}
	return nil
}

func checkAmounts(as []Amount) error {
	for _, a := range as {
		set := 0
		for _, x := range []int64{int64(a.Money), a.Tokens, a.Calls, int64(a.Duration)} {
			if x < 0 {
				return errors.New("a budget below zero")
			}
			if x > 0 {
				set++
			}
		}
		if set > 1 {
			return errors.New("one budget of two things")
		}
		if err := checkDuration(a.Duration); err != nil {
			return err
		}
	}
	return nil
}

func checkDuration(d time.Duration) error {
	if d < 0 || d > types.MaxDuration {
		return fmt.Errorf("a duration of %v", d)
	}
	return nil
}

func checkSignature(s *types.Signature) error {
	switch s.Kind {
	case "", types.Call, types.Ask, types.Sleep:
	default:
		return fmt.Errorf("its kind is %q", s.Kind)
	}
	if s.Defaults != nil && !json.Valid(s.Defaults) {
		return errors.New("its defaults are no JSON")
	}
	if s.MaxOutput < 0 {
		return errors.New("a negative maximum of output")
	}
	if s.Rounds < 0 || s.Rounds > types.MaxRounds {
		return fmt.Errorf("tools are used in %d rounds", s.Rounds)
	}
	for _, t := range s.Tools {
		var schema map[string]json.RawMessage
		if err := json.Unmarshal(t.Input, &schema); t.Name == "" || err != nil || schema == nil {
			return fmt.Errorf("the tool %q has no schema", t.Name)
		}
		if t.Effect == types.Do && s.Effect != types.Do {
			return fmt.Errorf("its tool %q changes the world, and it does not", t.Name)
		}
	}
	for _, p := range s.Params {
		if err := checkType(p.Type, 0); err != nil {
			return err
		}
	}
	return checkType(s.Result, 0)
}

const typeDepth = 200 // deeper than the nesting the language allows

func checkType(t types.Type, depth int) error {
	if depth > typeDepth {
		return errors.New("a type is nested too deeply")
	}
	switch {
	case t.Kind > types.Nothing:
		return fmt.Errorf("a type of kind %d", t.Kind)
	case t.Kind == types.List && t.Elem == nil:
		return errors.New("a list of nothing known")
	}
	if t.Elem != nil {
		if err := checkType(*t.Elem, depth+1); err != nil {
			return err
		}
	}
	for _, f := range t.Fields {
		if err := checkType(f.Type, depth+1); err != nil {
			return err
		}
	}
	return nil
}
