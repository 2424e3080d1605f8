package plan

import (
	"math"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/types"
)

// WorstCase is the most a run can ask of agents: everything is retried, repaired, and falls through to its last `else`; every branch is the dearest, every loop
// goes all its rounds. Calls that are free, questions to people and timers do not count.
type WorstCase struct {
	Calls      int64
	CallsKnown bool // false: a map or reduce goes over a list whose length only the run knows; Calls then counts one item of each
	// Money counts the answers at their maximum and the prompts as far as they are written in the script, at four bytes a token.
	Money      Money
	MoneyKnown bool // false: Calls are not known, or a model has no price or no maximum of output
}

// Worst walks the plan once.
func Worst(p *Plan) WorstCase {
	w := worst{p: p, lengths: make(map[[2]int]int), used: make(map[int]use)}
	t := w.block(0)
	return WorstCase{Calls: t.calls, CallsKnown: !t.open, Money: Money(t.money), MoneyKnown: !t.open && !t.unpriced}
}

type worst struct {
	p       *Plan
	lengths map[[2]int]int // of lists, by block and slot; -1: unknown
	used    map[int]use    // by the block of a flow: where it is used
}

// use is a flow where it is called.
type use struct {
	block int
	flow  *Flow
}

// tally is a number of calls and what they cost. Sums stop at the largest int64.
type tally struct {
	calls, money   int64
	open, unpriced bool
}

func (t tally) plus(u tally) tally {
	return tally{addUp(t.calls, u.calls), addUp(t.money, u.money), t.open || u.open, t.unpriced || u.unpriced}
}

func (t tally) times(n int64) tally {
	if n == 0 {
		return tally{}
	}
	return tally{multiply(t.calls, n), multiply(t.money, n), t.open, t.unpriced}
}

// dearer is the worse of two ways only one of which is gone.
func (t tally) dearer(u tally) tally {
	return tally{max(t.calls, u.calls), max(t.money, u.money), t.open || u.open, t.unpriced || u.unpriced}
}

func (w *worst) block(b int) tally {
	var sum tally
	for slot := range w.p.Blocks[b].Nodes {
		sum = sum.plus(w.node(b, slot))
	}
	return sum
}

func (w *worst) node(b, slot int) tally {
	n := &w.p.Blocks[b].Nodes[slot]
	t := w.step(b, n)
	for _, f := range n.Else {
		if f.Kind == BlockElse {
			t = t.plus(w.block(f.Block))
		}
	}
	return t
}

func (w *worst) step(b int, n *Node) tally {
	switch n.Kind {
	case CallNode:
		return w.call(n.Call)
	case GroupNode:
		return w.block(n.Group.Block)
	case RaceNode:
		return w.block(n.Race.Block)
	case MapNode:
		return w.items(w.block(n.Map.Block), w.length(b, &n.Map.Over), func(n int64) int64 { return n })
	case ReduceNode:
		by := int64(n.Reduce.By)
		return w.items(w.block(n.Reduce.Block), w.length(b, &n.Reduce.Over), func(n int64) int64 { return merges(n, by) })
	case ChoiceNode:
		var t tally
		for _, br := range n.Choice.Branches {
			t = t.dearer(w.block(br.Block))
		}
		if n.Choice.Else >= 0 {
			t = t.dearer(w.block(n.Choice.Else))
		}
		return t
	case MatchNode:
		var t tally
		for _, a := range n.Match.Arms {
			t = t.dearer(w.block(a.Block))
		}
		if n.Match.Else >= 0 {
			t = t.dearer(w.block(n.Match.Else))
		}
		return t
	case LoopNode:
		return w.loop(n.Loop)
	case FlowNode:
		w.used[n.Flow.Block] = use{b, n.Flow}
		return w.block(n.Flow.Block)
	default:
		return tally{}
	}
}

func (w *worst) items(each tally, n int, count func(int64) int64) tally {
	if n < 0 {
		if each != (tally{}) {
			each.open = true
		}
		return each
	}
	return each.times(count(int64(n)))
}

// loop counts all rounds; what stands below the last `stop if` of a loop that only judges at its end is not run in the last.
func (w *worst) loop(l *Loop) tally {
	nodes := w.p.Blocks[l.Block].Nodes
	last := len(nodes)
	if l.JudgeOnly {
		for slot := range nodes {
			if nodes[slot].Kind == StopNode {
				last = slot
			}
		}
	}
	var judged, below tally
	for slot := range nodes {
		if slot <= last {
			judged = judged.plus(w.node(l.Block, slot))
		} else {
			below = below.plus(w.node(l.Block, slot))
		}
	}
	return judged.times(int64(l.Max)).plus(below.times(int64(l.Max - 1)))
}

func (w *worst) call(c *Call) tally {
	sig := &w.p.Callees[c.Callee]
	if sig.Free && !c.MayLast(sig) || sig.Kind == types.Ask || sig.Kind == types.Sleep {
		return tally{}
	}
	t := tally{calls: 1}
	limit := sig.MaxOutput
	if n, err := strconv.Atoi(c.code("max_tokens")); err == nil && n > 0 {
		limit = n
	}
	model, _ := strconv.Unquote(c.code("model")) // anything but a literal: the agent's own
	price := sig.PriceOf(model)
	switch {
	case price != nil && (limit > 0 || price.Output == 0):
		input := float64(tokens(sig.System, c)) * price.InputAtMost() // dollars per million tokens are millionths of a dollar per token
		output := float64(limit) * price.Output
		t.money = int64(math.Min(math.Ceil((input+output)*float64(sig.Asked())), math.MaxInt64/2))
	case sig.Effect == types.Think:
		t.unpriced = true
	}
	return t.times(int64(c.Retry) + 1).times(int64(c.Repair) + 1)
}

// MayLast reports whether the call of a free capability may reach beyond its run, and so be none that is free (types.Signature.FreeWith).
func (c *Call) MayLast(sig *types.Signature) bool {
	for i := range sig.Params {
		p := &sig.Params[i]
		if code := c.code(p.Name); p.Lasts && code != "" && (len(p.Type.Values) == 0 || code != strconv.Quote(p.Type.Values[0])) {
			return true
		}
	}
	return false
}

// code is the expression of an argument; "" when it is not given.
func (c *Call) code(arg string) string {
	for i := range c.Args {
		if c.Args[i].Name == arg {
			return c.Args[i].Value.Code
		}
	}
	return ""
}

// tokens estimates what is known of a prompt before it is rendered.
func tokens(system string, c *Call) int {
	bytes := len(system)
	texts := append([]Text(nil), c.System...)
	if c.Text != nil {
		texts = append(texts, *c.Text)
	}
	for _, t := range texts {
		for _, p := range t.Parts {
			bytes += len(p.Literal)
		}
	}
	return (bytes + 3) / 4
}

// merges is how many groups of at least two a reduce of n items by `by` calls its body for.
func merges(n, by int64) int64 {
	calls := int64(0)
	for n > 1 {
		groups := (n + by - 1) / by
		calls += groups
		if n%by == 1 { // the last group is one item, which goes up as it is
			calls--
		}
		n = groups
	}
	return calls
}

// length returns how many items a list has when the script says so, else -1.
func (w *worst) length(b int, e *Expr) int {
	if len(e.Path) == 0 {
		return listLength(e.Code)
	}
	if len(e.Path) != 1 || len(e.Refs) != 1 {
		return -1
	}
	for range e.Refs[0].Depth {
		b = w.p.Blocks[b].Parent
	}
	nodes := w.p.Blocks[b].Nodes
	slot := e.Refs[0].Slot
	if i := slot - len(nodes); i >= 0 {
		u, flow := w.used[b]
		switch {
		case !flow || i >= len(u.flow.Args):
			return -1
		case u.flow.Args[i] != nil:
			return w.length(u.block, u.flow.Args[i])
		case u.flow.Text == nil || i != u.flow.TextInput:
			return listLength(string(u.flow.Inputs[i].Default))
		}
		return -1
	}
	if n, seen := w.lengths[[2]int{b, slot}]; seen {
		return n
	}
	w.lengths[[2]int{b, slot}] = -1 // a list that names itself has no length
	n := -1
	switch node := &nodes[slot]; node.Kind {
	case LetNode, ValueNode:
		n = w.length(b, node.Expr)
	case MapNode:
		n = w.length(b, &node.Map.Over)
	case IntoNode:
		n = w.length(b, &nodes[node.Of].Map.Over)
	}
	w.lengths[[2]int{b, slot}] = n
	return n
}

// listLength counts the items of a list or range written out in an expression: [a, f(b), "c"] has 3, 1..5 has 5; -1 for anything else.
func listLength(code string) int {
	code = strings.TrimSpace(code)
	if from, to, ok := strings.Cut(code, ".."); ok {
		a, errA := strconv.Atoi(strings.TrimSpace(from))
		z, errZ := strconv.Atoi(strings.TrimSpace(to))
		if errA == nil && errZ == nil {
			return max(0, z-a+1)
		}
	}
	if !strings.HasPrefix(code, "[") {
		return -1
	}
	depth, commas, last := 0, 0, byte(0) // last: the last byte that is no blank, one bracket deep
	for i := 0; i < len(code); i++ {
		c := code[i]
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		case '"', '\'':
			i += stringLength(code[i:]) - 1
		case '[', '(', '{':
			depth++
		case ']', ')', '}':
			depth--
			if depth == 0 {
				if i != len(code)-1 {
					return -1
				}
				switch last {
				case '[':
					return 0
				case ',':
					return commas
				}
				return commas + 1
			}
		case ',':
			if depth == 1 {
				commas++
			}
		}
		last = c
	}
	return -1
}

// stringLength is the length of the quoted text that code begins with.
func stringLength(code string) int {
	for i := 1; i < len(code); i++ {
		switch code[i] {
		case '\\':
			i++
		case code[0]:
			return i + 1
		}
	}
	return len(code)
}

func addUp(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func multiply(a, b int64) int64 {
	if a != 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}
