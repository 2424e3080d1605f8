package machine

import (
	"fmt"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/run"
)

// computing is what a line has evaluated at the edge, because it looks into values that are kept elsewhere. A line that needs such a value is left where it stands
// and gone through again once the value is there: what it evaluates, and in which order, is the same each time, so values are found by their number.
type computing struct {
	tried   int32 // fallbacks when it began: each evaluates its own
	values  []computed
	next    int  // of values, while the line is gone through
	again   bool // a value came: enter the line again
	falling bool // the line waits in a fallback
	wish    holder
	path    run.Path
	at      source.Pos
}

type computed struct {
	value any
	err   *run.Error
}

// errLater stands for a value that is not there yet. It is no failure: see Machine.fail.
var errLater = &run.Error{Kind: "later", Message: "the value is being evaluated"}

// met takes note of values that are kept elsewhere: until the first comes nobody has to look for them.
func (m *Machine) met(v any) {
	if !m.large && eval.HoldsLarge(v) {
		m.large = true
	}
}

// serve makes n the line whose expressions are evaluated.
func (m *Machine) serve(n *node) {
	m.serving = n
	if c := n.computing; c != nil {
		c.next = 0
	}
}

// compute has an expression evaluated at the edge, and gives its value when it is there; before that errLater.
func (m *Machine) compute(at source.Pos, code string, env map[string]any, render bool) (any, *run.Error) {
	if m.supposing {
		return nil, errLater
	}
	n := m.serving
	c := n.computing
	if c == nil {
		c = &computing{tried: n.tried}
		n.computing = c
	}
	if c.next < len(c.values) {
		v := c.values[c.next]
		c.next++
		return v.value, v.err
	}
	c.at = at
	c.path = run.Path(fmt.Sprintf("%s!%d.%d", m.unkeyed(n.f.key), n.slot, len(c.values)))
	if n.tried > 0 {
		c.path = run.Path(fmt.Sprintf("%s!%de%d.%d", m.unkeyed(n.f.key), n.slot, n.tried, len(c.values)))
	}
	m.openCompute(n, &run.ComputeWish{Path: c.path, Code: code, Env: env, Render: render})
	return nil, errLater
}

func (m *Machine) openCompute(n *node, w *run.ComputeWish) {
	c := n.computing
	c.wish.node, c.wish.wish = n, w
	m.computes[c.path] = n
	m.active++
	m.openWish(&c.wish)
	m.turnOf(computeKey(c.path))
}

func (m *Machine) computed(b *run.Computed) error {
	n := m.computes[b.Path]
	if n == nil {
		return ErrStale
	}
	c := n.computing
	m.withdrawCompute(n)
	v := computed{value: b.Value}
	if b.Error != "" {
		v = computed{err: valueError(c.at, b.Error)}
	}
	m.met(b.Value)
	c.values = append(c.values, v)
	if c.falling {
		c.falling = false
		n.state = nodeFalling
	} else {
		c.again = true
	}
	m.enqueue(n)
	return nil
}

// withdrawCompute closes the wish of a line, if it has one open.
func (m *Machine) withdrawCompute(n *node) {
	c := n.computing
	if c == nil || !c.wish.open {
		return
	}
	m.closeWish(&c.wish)
	delete(m.computes, c.path)
	m.active--
}

func (m *Machine) dropComputing(n *node) {
	m.withdrawCompute(n)
	n.computing = nil
}
