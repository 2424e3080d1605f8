package machine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// many is what a map, a reduce or a loop knows of its blocks.
type many struct {
	items   []any
	key     run.Path // of a map: what the keys of its items begin with
	next    int      // the first item, or group, that has not started
	running int
	ended   int // done or failed
	results []any

	allowed int      // of a map: how many may fail
	missed  []missed // of a map, as they failed
	level   int      // of a reduce, from 1
	round   int      // of a loop, from 1
	value   any      // of a loop: the variable
}

type missed struct {
	index int
	err   *run.Error
}

// partMask cuts the group out of a reduce's part; the level is above it.
const partMask = 1<<32 - 1

func (n *node) loopValue() any {
	if n.many == nil {
		return nil
	}
	return n.many.value
}

func (m *Machine) list(n *node, over *plan.Expr, what string) ([]any, bool) {
	v, err := m.eval(n.f, over, nil)
	if err != nil {
		m.fail(n, m.within(n, err), false)
		return nil, false
	}
	items, ok := v.([]any)
	if !ok {
		m.fail(n, m.fault(n, "E_VALUE", "value", what+" needs a list, this is "+brief(v)), false)
	}
	return items, ok
}

func (m *Machine) startMap(n *node) {
	mp := m.plan(n).Map
	items, ok := m.list(n, &mp.Over, "map")
	if !ok {
		return
	}
	n.many = &many{items: items, results: make([]any, len(items))}
	if t := mp.Tolerate; t != nil {
		switch {
		case t.All:
			n.many.allowed = len(items)
		case t.Percent > 0:
			n.many.allowed = len(items) * t.Percent / 100
		default:
			n.many.allowed = t.Count
		}
	}
	m.pumpMap(n)
}

// pumpMap opens items in order as far as the limit goes, and closes the map after the last.
func (m *Machine) pumpMap(n *node) {
	mp := m.plan(n).Map
	x := n.many
	limit := mp.Limit
	if limit <= 0 {
		limit = plan.MapLimit
	}
	if m.wide {
		limit = len(x.items)
	}
	for x.next < len(x.items) && x.running < limit && n.state == nodeRunning {
		i := x.next
		x.next++
		x.running++
		if x.key == "" {
			x.key = m.key(n)
		}
		s := frameSpec{block: mp.Block, key: x.key.Item(i), part: int64(i), scope: m.budgetOf(n)}
		if mp.Index {
			m.openFrame(n, s, x.items[i], i)
		} else {
			m.openFrame(n, s, x.items[i])
		}
	}
	if x.ended < len(x.items) || n.state != nodeRunning {
		return
	}
	if len(x.missed) == 0 {
		m.done(n, x.results)
		return
	}
	lost := make(map[int]bool, len(x.missed))
	for _, l := range x.missed {
		lost[l.index] = true
	}
	list := make([]any, 0, len(x.items)-len(lost))
	for i, v := range x.results {
		if !lost[i] {
			list = append(list, v)
		}
	}
	m.done(n, list)
}

func (m *Machine) itemFailed(n *node, i int, err *run.Error) {
	if n.state != nodeRunning {
		return
	}
	x := n.many
	x.running--
	x.ended++
	x.missed = append(x.missed, missed{i, err})
	if len(x.missed) > x.allowed {
		m.keepMissed(n)
		m.fall(n, err, false)
		return
	}
	m.note(nil, run.Note{Kind: run.NoteLeftOut, Path: m.path(n).Item(i), Error: err})
	m.enqueue(n)
}

// keepMissed puts the failures of a map where its `into` finds them: when the map is done, and when it fails, before an else takes its place.
func (m *Machine) keepMissed(n *node) {
	pn := m.plan(n)
	if pn.Kind != plan.MapNode || pn.Map.Tolerate == nil || pn.Map.Into < 0 {
		return
	}
	into := &n.f.nodes[pn.Map.Into]
	if n.many == nil {
		if into.value == nil {
			into.value = []any{}
		}
		return
	}
	sorted := slices.Clone(n.many.missed)
	slices.SortFunc(sorted, func(a, b missed) int { return a.index - b.index })
	list := make([]any, len(sorted))
	for i, l := range sorted {
		list[i] = map[string]any{"item": n.many.items[l.index], "index": l.index, "error": errorValue(l.err)}
	}
	into.value = list
}

func (m *Machine) startReduce(n *node) {
	items, ok := m.list(n, &m.plan(n).Reduce.Over, "reduce")
	if !ok {
		return
	}
	switch len(items) {
	case 0:
		m.fail(n, m.fault(n, "E_VALUE", "value", "reduce needs at least one item, the list is empty"), false)
		return
	case 1:
		m.done(n, items[0])
		return
	}
	n.many = &many{items: items}
	m.nextLevel(n)
}

func groups(items, by int) int { return (items + by - 1) / by }

func (m *Machine) nextLevel(n *node) {
	x := n.many
	x.level++
	x.next, x.running, x.ended = 0, 0, 0
	x.results = make([]any, groups(len(x.items), max(m.plan(n).Reduce.By, 2)))
	m.pumpReduce(n)
}

// pumpReduce opens groups in order, ReduceLimit at a time; when a level is done its results are the next level's items.
func (m *Machine) pumpReduce(n *node) {
	r := m.plan(n).Reduce
	by := max(r.By, 2)
	x := n.many
	for x.next < len(x.results) && (x.running < plan.ReduceLimit || m.wide) && n.state == nodeRunning {
		g := x.next
		x.next++
		part := x.items[g*by : min((g+1)*by, len(x.items))]
		if len(part) == 1 {
			x.results[g] = part[0]
			x.ended++
			continue
		}
		x.running++
		m.openFrame(n, frameSpec{block: r.Block, key: m.key(n).Group(x.level, g), part: int64(x.level)<<32 + int64(g), scope: m.budgetOf(n)}, slices.Clone(part))
	}
	if x.ended < len(x.results) || n.state != nodeRunning {
		return
	}
	if len(x.results) == 1 {
		m.done(n, x.results[0])
		return
	}
	x.items = x.results
	m.nextLevel(n)
}

func (m *Machine) startLoop(n *node) {
	v, err := m.eval(n.f, &m.plan(n).Loop.From, nil)
	if err != nil {
		m.fail(n, m.within(n, err), false)
		return
	}
	n.many = &many{value: v}
	m.nextRound(n)
}

func never(rounds int) string {
	if rounds == 1 {
		return "`stop if` did not hold in the only round"
	}
	return fmt.Sprintf("`stop if` did not hold in any of the %d rounds", rounds)
}

// nextRound opens the next round, or ends the loop after the last.
func (m *Machine) nextRound(n *node) {
	l := m.plan(n).Loop
	x := n.many
	if x.running > 0 {
		return
	}
	if x.round == l.Max {
		if !m.t.blocks[l.Block].stops {
			m.done(n, x.value)
			return
		}
		m.fail(n, m.fault(n, "E_LOOP", "rounds", never(l.Max)), false)
		return
	}
	x.round++
	x.running = 1
	m.note(n, run.Note{Kind: run.NoteRound, Number: x.round, Of: l.Max})
	m.openFrame(n, frameSpec{block: l.Block, key: m.key(n).Round(x.round), part: int64(x.round), scope: m.budgetOf(n), judge: l.JudgeOnly && x.round == l.Max}, x.value)
}

func (m *Machine) roundDone(n *node, f *frame, v any) {
	l := m.plan(n).Loop
	x := n.many
	x.running = 0
	if !(l.JudgeOnly && x.round == l.Max && m.t.blocks[l.Block].skipLast != nil) { // else the round was only judged and has no value
		x.value = v
	}
	m.enqueue(n)
}

// raceWon counts a member that succeeded. When enough have, the others are left and the race is done; it reports whether it is.
func (m *Machine) raceWon(f *frame) bool {
	n := f.owner
	pn := m.plan(n)
	if pn.Kind != plan.RaceNode || f.fallback() {
		return false
	}
	f.won++
	if f.won < max(pn.Race.N, 1) {
		return false
	}
	var winners []any
	for i := range f.nodes {
		if f.nodes[i].state == nodeDone && m.table(&f.nodes[i]).step {
			winners = append(winners, f.nodes[i].value)
		}
	}
	n.value = winners
	if pn.Race.N == 0 {
		n.value = winners[0]
	}
	m.noteWinners(n, f)
	m.end(n, intentDone, false)
	return true
}

// raceLost counts a member that failed. The race fails when too few are left to win it, with every reason; it reports false outside of a race.
func (m *Machine) raceLost(n *node) bool {
	f := n.f
	if f.owner == nil || f.fallback() || !m.table(n).step {
		return false
	}
	pn := m.plan(f.owner)
	if pn.Kind != plan.RaceNode {
		return false
	}
	f.lost++
	f.left--
	need := max(pn.Race.N, 1)
	if m.t.blocks[f.block].members-f.lost >= need {
		return true
	}
	var reasons []string
	var last *run.Error
	for i := range f.nodes {
		if member := &f.nodes[i]; member.state == nodeFailed {
			reasons = append(reasons, m.plan(member).Name+": "+member.err.Message)
			last = member.err
		}
	}
	err := m.fault(f.owner, last.Code, last.Kind, strings.Join(reasons, "; "))
	m.noteFailure(f.owner, err)
	m.failFrame(f, err, false)
	return true
}
