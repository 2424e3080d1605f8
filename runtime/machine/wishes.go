package machine

import (
	"cmp"
	"math"
	"slices"

	"github.com/slopstudios/slop/runtime/run"
)

// holder is the place of one wish: in a call, a timer, or the machine itself. Open wishes form a list, so that opening and closing cost the same in any run.
type holder struct {
	wish       run.Wish
	node       *node  // where in the plan it stands; nil: a call that was cut loose, a timer of the run, the end
	order      uint64 // among those of one node, and among those without
	open       bool
	turn       uint64 // when it was opened
	at         int    // its place in opened, in that turn
	prev, next *holder
}

// closing remembers a wish that was closed in this turn.
type closing struct {
	node  *node
	order uint64
	id    run.WishID
}

func (m *Machine) openWish(h *holder) {
	if h.open {
		panic("machine: a wish was opened twice: " + h.wish.ID().String())
	}
	h.order = m.orderOf(h)
	h.open, h.turn, h.at = true, m.turn, len(m.opened)
	m.opened = append(m.opened, h)
	h.prev, h.next = m.last, nil
	if m.last == nil {
		m.first = h
	} else {
		m.last.next = h
	}
	m.last = h
}

// orderOf puts the wishes of one node, or those that stand nowhere, in an order that a restored machine keeps: timers, calls and questions, cancels, the end.
func (m *Machine) orderOf(h *holder) uint64 {
	switch h.wish.(type) {
	case *run.SleepWish:
		return 0
	case *run.CancelWish:
		if h.node != nil {
			return 2
		}
		if h.order == 0 {
			m.orders++
			return m.orders + 2
		}
		return h.order
	case *run.FinishWish:
		return math.MaxUint64
	}
	return 1
}

// closeWish withdraws a wish. One that nobody has seen yet leaves no trace.
func (m *Machine) closeWish(h *holder) {
	if !h.open {
		return
	}
	h.open = false
	if h.prev == nil {
		m.first = h.next
	} else {
		h.prev.next = h.next
	}
	if h.next == nil {
		m.last = h.prev
	} else {
		h.next.prev = h.prev
	}
	h.prev, h.next = nil, nil
	if h.turn == m.turn {
		m.opened[h.at] = nil
	} else {
		m.closed = append(m.closed, closing{h.node, h.order, h.wish.ID()})
	}
	h.wish = nil
}

// delta hands out what this turn opened and closed.
func (m *Machine) delta() run.Delta {
	d := run.Delta{Notes: m.takeNotes(), Taken: m.kept.taken}
	m.kept.taken = nil
	if len(m.closed) > 0 {
		slices.SortStableFunc(m.closed, func(a, b closing) int { return inPlan(a.node, b.node, a.order, b.order) })
		d.Closed = make([]run.WishID, len(m.closed))
		for i, c := range m.closed {
			d.Closed[i] = c.id
		}
		clear(m.closed)
		m.closed = m.closed[:0]
	}
	open := m.opened[:0]
	for _, h := range m.opened {
		if h != nil {
			open = append(open, h)
		}
	}
	if len(open) > 0 {
		sortHolders(open)
		d.Opened = make([]run.Wish, len(open))
		for i, h := range open {
			d.Opened[i] = h.wish
		}
	}
	clear(m.opened)
	m.opened = m.opened[:0]
	return d
}

// wishes lists what is open in plan order, which, unlike the order of opening, a restored machine has too.
func (m *Machine) wishes() []*holder {
	var open []*holder
	for h := m.first; h != nil; h = h.next {
		open = append(open, h)
	}
	sortHolders(open)
	return open
}

func sortHolders(hs []*holder) {
	slices.SortStableFunc(hs, func(a, b *holder) int { return inPlan(a.node, b.node, a.order, b.order) })
}

// inPlan orders wishes as the plan is written; those that stand nowhere come last, as they came.
func inPlan(a, b *node, x, y uint64) int {
	switch {
	case a == b:
		return cmp.Compare(x, y)
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return comparePlaces(a, b)
}

// comparePlaces walks up from both nodes to where their ways part.
func comparePlaces(a, b *node) int {
	above := 0 // who stands within the other comes after it
	for a.f.depth > b.f.depth {
		a, above = a.f.owner, 1
	}
	for b.f.depth > a.f.depth {
		b, above = b.f.owner, -1
	}
	for a.f != b.f {
		if a.f.owner == b.f.owner {
			return cmp.Compare(a.f.part, b.f.part)
		}
		a, b = a.f.owner, b.f.owner
	}
	if a == b {
		return above
	}
	return cmp.Compare(a.slot, b.slot)
}
