package machine

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// kept is what a fork took over from its origin and the run has not come to yet.
//
// The facts up to Started.Fork.Kept are of the origin. Each waits under what it is about until that opens: a fork of one item of a map under `limit 1` has the
// results of all other items in its history, and their turn comes one after the other. Of those whose turn has come the first in the log counts first, so
// that a race is won by who won it. What is sent now and is not what was recorded lets the kept facts of that call drop: it is called.
//
// Nothing of them counts: a call that has kept facts reserves nothing and costs nothing. Budgets begin when the last of them is folded.
type kept struct {
	last    run.Seq // 0: the run is no fork, or keeps nothing
	prefix  bool    // not all of them are folded yet
	waiting map[string][]run.Fact
	due     turns // of waiting, as far as it may have come
	taking  bool  // the fact at hand is a kept one
	taken   []run.Taken
}

// about is the key of what a fact is about; empty for facts that no fork keeps.
func about(b run.Body) string {
	switch b := b.(type) {
	case *run.CallStarted:
		return callKey(b.Path)
	case *run.CallDone:
		return callKey(b.Path)
	case *run.CallFailed:
		return callKey(b.Path)
	case *run.Asked:
		return callKey(b.Path)
	case *run.Answered:
		return callKey(b.Path)
	case *run.TimerFired:
		return timerKey(b.Timer)
	case *run.Computed:
		return computeKey(b.Path)
	}
	return ""
}

func callKey(p run.Path) string { return "call " + string(p.Step()) }
func timerKey(id string) string { return "timer " + id }

func computeKey(p run.Path) string { return "compute " + string(p) }

func (m *Machine) forked(f *run.Fork) {
	if f != nil && f.Kept > 1 {
		m.kept.last, m.kept.prefix, m.kept.waiting = f.Kept, true, make(map[string][]run.Fact)
	}
}

// keep lets a kept fact wait for its turn, which may be now.
func (m *Machine) keep(f run.Fact) error {
	key := about(f.Body)
	if key == "" {
		return ErrStale
	}
	m.kept.waiting[key] = append(m.kept.waiting[key], f)
	m.turnOf(key)
	return nil
}

// hasKept reports whether facts wait for a call.
func (m *Machine) hasKept(p run.Path) bool {
	return len(m.kept.waiting) > 0 && len(m.kept.waiting[callKey(p)]) > 0
}

// turn is a place in the order of kept facts.
type turn struct {
	seq run.Seq
	key string
}

// turns is a heap: the first in the log comes first.
type turns []turn

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i].seq < t[j].seq }
func (t turns) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(x any)        { *t = append(*t, x.(turn)) }
func (t *turns) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// callOpened is turnOf a call; in a run that is no fork it costs nothing.
func (m *Machine) callOpened(p run.Path) {
	if len(m.kept.waiting) > 0 {
		m.turnOf(callKey(p))
	}
}

// turnOf notes that what a key names has opened.
func (m *Machine) turnOf(key string) {
	if waiting := m.kept.waiting[key]; len(waiting) > 0 {
		heap.Push(&m.kept.due, turn{waiting[0].Seq, key})
	}
}

// takeKept folds the first kept fact whose turn has come. It reports whether there was one.
func (m *Machine) takeKept() bool {
	k := &m.kept
	for len(k.due) > 0 {
		next := heap.Pop(&k.due).(turn)
		if waiting := k.waiting[next.key]; len(waiting) > 0 && waiting[0].Seq == next.seq && m.takeFirst(next.key) {
			return true
		}
	}
	return false
}

// takeFirst folds the first of the facts that wait under a key, if its turn has come. What is sent now and is not what was recorded drops them.
func (m *Machine) takeFirst(key string) bool {
	k := &m.kept
	f := k.waiting[key][0]
	wish, open := m.subject(f.Body)
	var place []run.Spot
	if open {
		place = m.Place(wish)
	}
	k.taking = true
	err := m.fold(f.Body)
	k.taking = false
	switch {
	case err == nil:
		if wish != nil {
			k.taken = append(k.taken, run.Taken{Wish: wish, Place: place, Fact: f})
		}
		if rest := k.waiting[key][1:]; len(rest) > 0 {
			k.waiting[key] = rest
			m.turnOf(key)
		} else {
			delete(k.waiting, key)
		}
		return true
	case !open:
		return false // its turn is still to come
	}
	delete(k.waiting, key)
	if c := m.callOf(f.Body); c != nil {
		m.pay(c)
	}
	return true
}

// subject is the wish that a fact answers, and whether it is open.
func (m *Machine) subject(b run.Body) (run.Wish, bool) {
	if t, ok := b.(*run.TimerFired); ok {
		if x := m.timers[t.Timer]; x != nil && x.wish.open {
			return x.wish.wish, true
		}
		return nil, false
	}
	if c, ok := b.(*run.Computed); ok {
		if n := m.computes[c.Path]; n != nil {
			return n.computing.wish.wish, true
		}
		return nil, false
	}
	c := m.callOf(b)
	switch {
	case c == nil:
		return nil, false
	case c.wish.open:
		return c.wish.wish, true
	case c.sent != nil:
		return c.sent, false
	}
	return nil, false
}

func (m *Machine) callOf(b run.Body) *call {
	switch b := b.(type) {
	case *run.CallStarted:
		return m.calls[b.Path]
	case *run.CallDone:
		return m.calls[b.Path]
	case *run.CallFailed:
		return m.calls[b.Path]
	case *run.Asked:
		return m.calls[b.Path]
	case *run.Answered:
		return m.calls[b.Path]
	}
	return nil
}

// pay has a call that was offered for nothing reserve what it needs, as any other.
func (m *Machine) pay(c *call) {
	if c.state == callOffered && !c.free && !c.reserved && c.scope != nil && c.node != nil {
		m.closeWish(&c.wish)
		c.state = callReady
		m.enqueue(c.node)
	}
}

// begun ends the kept part of the history: what is offered and has no result in it is called, and has to fit the budgets.
func (m *Machine) begun() {
	m.kept.prefix = false
	for _, h := range m.wishes() {
		if w, ok := h.wish.(*run.CallWish); ok && !m.hasKept(w.Path) {
			m.pay(m.calls[w.Path])
		}
	}
}

// keptFacts lists what waits, in order.
func (m *Machine) keptFacts() []run.Fact {
	var all []run.Fact
	for _, key := range slices.Sorted(maps.Keys(m.kept.waiting)) {
		all = append(all, m.kept.waiting[key]...)
	}
	slices.SortFunc(all, func(a, b run.Fact) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// Kept counts the kept facts that wait for their turn.
func (m *Machine) Kept() int {
	n := 0
	for _, facts := range m.kept.waiting {
		n += len(facts)
	}
	return n
}

// NewWide is a run without bounds on how much may go on at a time and on what it may cost: a forecast of all that can start.
func NewWide(id run.ID, p *plan.Plan) *Machine {
	m := New(id, p)
	m.wide = true
	return m
}

// Place says where the step of an open wish stands, the outermost block first; nil when nothing is under way there.
func (m *Machine) Place(w run.Wish) []run.Spot {
	var n *node
	switch w := w.(type) {
	case *run.CallWish:
		if c := m.calls[w.Path]; c != nil {
			n = c.node
		}
	case *run.AskWish:
		if c := m.calls[w.Path]; c != nil {
			n = c.node
		}
	case *run.SleepWish:
		if t := m.timers[w.Timer]; t != nil {
			n = t.node
		}
	case *run.ComputeWish:
		n = m.computes[w.Path]
	}
	if n == nil {
		return nil
	}
	spots := make([]run.Spot, n.f.depth+1)
	for i := n.f.depth; i >= 0; i-- {
		spots[i] = run.Spot{Block: n.f.block, Slot: int(n.slot), Path: m.unkeyed(n.f.key), Part: n.f.part}
		n = n.f.owner
	}
	return spots
}

// Cancelling reports whether the call at path was told to end, or nobody waits for it any more.
func (m *Machine) Cancelling(path run.Path) bool {
	c := m.calls[path]
	return c != nil && (c.cancelled() || c.state == callCut)
}
