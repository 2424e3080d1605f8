// Package machine is one run in memory: facts go in, wishes come out. It has no clock, dice, goroutine, network or disk.
//
// The state is a tree of frames. A frame is an opened block: the file, a branch taken, an item of a map, a round of a loop, a fallback. It holds one node for
// each line of the block, and a node that has blocks of its own holds their frames:
//
//	waiting ──needs done──▶ running ──▶ done                the value goes to those who wait for it
//	                           │
//	                           ├──failure──▶ ending ──▶ falling ──▶ running (in its else) ──▶ …      when no else is left: failed, and its block fails
//	                           └──its block fails or is left──▶ ending ──▶ stopped                   `ending` waits for `do` calls under way
//
// Every fact touches the node it is about and those it sets free: each node knows who waits for it and each frame how many of its nodes are left, so nothing is
// ever searched, and a map of 100,000 costs 100,000 times one item. What becomes ready goes through one queue; a pause is a queue that is not served.
package machine

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// Version of the machine's decisions, recorded in Started.
const Version = 1

// ErrStale says that a fact no longer fits: a late answer, a duplicate, a wish that was withdrawn. The state is unchanged.
var ErrStale = errors.New("the fact no longer fits")

// ErrVersion says that the run was begun by a machine this one does not know.
var ErrVersion = errors.New("the run was begun by a later version of the machine")

// Machine is one run. It is plain data and belongs to one goroutine.
type Machine struct {
	id run.ID
	p  *plan.Plan
	t  *tables

	head    run.Seq
	started bool
	began   time.Time
	seed    uint64
	inputs  map[string]any

	paused   bool
	pausedAt time.Time
	held     []string // timers that fired during the pause, in order

	root   *frame
	frames uint64 // opened so far: the next one's id
	scope  *scope // the budget of the run; nil: none
	ready  []*node
	served int // of ready
	wakes  []*scope

	calls    map[run.Path]*call // those whose answer or end is awaited
	timers   map[string]*timer
	large    bool               // some fact named a value that is kept elsewhere
	serving  *node              // whose line is evaluated
	computes map[run.Path]*node // those that wait for an evaluation at the edge
	cut      int                // cancelled calls whose end is awaited: they hold Finish back
	usage    run.Usage

	cancelled bool          // why the root was stopped
	final     *run.Finished // decided, not yet recorded
	finish    holder
	finished  *run.Finished

	now    time.Time // of the fact at hand
	turn   uint64    // counts facts, to know the wishes of this one
	opened []*holder
	closed []closing
	first  *holder // open wishes, in the order they opened
	last   *holder
	orders uint64 // given to the cancels of calls that were cut loose

	asks, active, sleeps int // open questions, calls under way or on offer, waits: they make the status

	notes   []run.Note // of the fact at hand
	unnoted int        // beyond maxNotes

	approved  map[run.Path][]approval // calls that were shown to people and are not made yet
	supposing bool                    // a scene is played: nothing is evaluated at the edge

	kept kept // of a fork
	wide bool // nothing is limited and nothing is paid for

	limit int    // maxServed
	buf   []byte // scratch for fingerprints
}

// New is a run of p before its first fact. p is not changed and must not change.
func New(id run.ID, p *plan.Plan) *Machine {
	return &Machine{id: id, p: p, t: newTables(p), calls: make(map[run.Path]*call), timers: make(map[string]*timer), computes: make(map[run.Path]*node), limit: maxServed}
}

// ID names the run.
func (m *Machine) ID() run.ID { return m.id }

// Head is the seq of the last fact that counted. Stale facts in the log (of two answers told, the second) leave it where it was.
func (m *Machine) Head() run.Seq { return m.head }

// Finished is the last fact of the run, nil before it is recorded.
func (m *Machine) Finished() *run.Finished { return m.finished }

// Usage is what all calls that ended have used.
func (m *Machine) Usage() run.Usage { return m.usage }

// Status of the run. It is Waiting when questions to people are open and nothing else is under way.
func (m *Machine) Status() run.Status {
	switch {
	case m.finished != nil:
		return m.finished.Status
	case !m.started:
		return run.Queued
	case m.paused:
		return run.Paused
	case m.asks > 0 && m.active == 0 && m.sleeps == 0 && m.final == nil:
		return run.Waiting
	}
	return run.Running
}

// Apply folds one fact and says which wishes it opened and which it closed, in plan order. What it closed is closed before what it opened is open.
//
// ErrStale: the fact no longer fits (a late duplicate); the state is unchanged. Seqs must rise; they may skip those of stale facts.
func (m *Machine) Apply(f run.Fact) (run.Delta, error) {
	if f.Seq <= m.head || f.Body == nil || m.finished != nil {
		return run.Delta{}, ErrStale
	}
	now := m.now
	m.now = f.At.Round(0).UTC()
	m.turn++
	fold := m.fold
	if f.Seq <= m.kept.last {
		fold = func(run.Body) error { return m.keep(f) }
	}
	if err := fold(f.Body); err != nil {
		m.now = now
		return run.Delta{}, err
	}
	m.head = f.Seq
	m.drain()
	if m.kept.prefix && m.head == m.kept.last {
		m.begun()
		m.drain()
	}
	m.conclude()
	return m.delta(), nil
}

// Open yields every wish that is open now, in plan order. Hosts use it once, after a fold; granting a wish twice is harmless.
func (m *Machine) Open() iter.Seq[run.Wish] {
	return func(yield func(run.Wish) bool) {
		for _, h := range m.wishes() {
			w := h.wish
			if c, ok := w.(*run.CallWish); ok && m.calls[c.Path].state == callStarted {
				began := *c
				began.Started = true
				w = &began
			}
			if !yield(w) {
				return
			}
		}
	}
}

// fold lets one fact take effect, or reports ErrStale before anything is changed.
func (m *Machine) fold(b run.Body) error {
	if s, ok := b.(*run.Started); ok {
		return m.begin(s)
	}
	if !m.started {
		return ErrStale
	}
	switch b := b.(type) {
	case *run.CallStarted:
		return m.callStarted(b)
	case *run.CallDone:
		return m.callDone(b)
	case *run.CallFailed:
		return m.callFailed(b)
	case *run.CallEnded:
		return m.callEnded(b)
	case *run.Asked:
		return m.asked(b)
	case *run.Answered:
		return m.answered(b)
	case *run.Computed:
		return m.computed(b)
	case *run.TimerFired:
		return m.timerFired(b)
	case *run.PauseAsked:
		return m.pause()
	case *run.ResumeAsked:
		return m.resume()
	case *run.CancelAsked:
		return m.cancel(b)
	case *run.Finished:
		if !m.finish.open {
			return ErrStale
		}
		m.closeWish(&m.finish)
		m.finished = b
		return nil
	}
	return ErrStale
}

func (m *Machine) begin(s *run.Started) error {
	if m.started {
		return ErrStale
	}
	if s.Machine > Version {
		return fmt.Errorf("%w: it says %d, this is %d", ErrVersion, s.Machine, Version)
	}
	m.started, m.began, m.seed, m.inputs = true, m.now, s.Seed, s.Inputs
	m.forked(s.Fork)
	for _, v := range s.Inputs {
		m.met(v)
	}
	m.scope = newScope(nil, append(append([]plan.Amount(nil), m.p.Budget...), s.Options.Budget...))
	deadline := s.Options.Timeout
	for _, a := range append(append([]plan.Amount(nil), m.p.Budget...), s.Options.Budget...) {
		deadline = shorter(deadline, a.Duration)
	}
	if deadline > 0 {
		m.addTimer(&timer{id: runDeadline, kind: deadlineTimer, until: m.now.Add(deadline), after: deadline})
	}
	binds, err := m.rootBinds()
	m.root = m.openFrame(nil, frameSpec{block: 0, key: run.Path(m.id) + "/", scope: m.scope}, binds...)
	if err != nil {
		m.failFrame(m.root, err, false)
	}
	return nil
}

func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// maxServed is how many nodes one fact may set going. A map of a million items stays below; a loop of a billion rounds that calls nobody does not, and would
// hold up every other run of the process.
const maxServed = 5_000_000

// drain serves what became ready until nothing is, unless the run is paused; and lets calls that wait for budget try again.
func (m *Machine) drain() {
	count := 0
	for {
		switch {
		case len(m.wakes) > 0:
			s := m.wakes[0]
			m.wakes = m.wakes[1:]
			m.wake(s)
		case m.served < len(m.ready) && !m.paused:
			n := m.ready[m.served]
			m.ready[m.served] = nil
			m.served++
			n.queued = false
			if count++; count > m.limit {
				err := m.fault(n, "E_LIMIT", "limit", fmt.Sprintf("more than %d steps in a row that call nobody", m.limit))
				m.failFrame(m.root, err, true)
				continue
			}
			m.advance(n)
		case len(m.kept.due) > 0 && m.takeKept():
		default:
			if m.served == len(m.ready) {
				m.ready, m.served = m.ready[:0], 0
			}
			return
		}
	}
}

// enqueue has a node served: started, gone on with, or led to its next else.
func (m *Machine) enqueue(n *node) {
	if !n.queued {
		n.queued = true
		m.ready = append(m.ready, n)
	}
}

func (m *Machine) pause() error {
	if m.paused || m.cancelled || m.final != nil {
		return ErrStale
	}
	m.paused, m.pausedAt = true, m.now
	for _, h := range m.wishes() {
		switch w := h.wish.(type) {
		case *run.CallWish:
			// A free call may be under way: nobody records its start. It is left to end, like all that has begun.
			if c := m.calls[w.Path]; c.state == callOffered && !c.free {
				m.closeWish(h)
				c.state = callReserved
				m.enqueue(c.node)
			}
		case *run.SleepWish:
			if t := m.timers[w.Timer]; t.kind == deadlineTimer {
				m.closeWish(h)
			}
		}
	}
	return nil
}

func (m *Machine) resume() error {
	if !m.paused {
		return ErrStale
	}
	m.paused = false
	length := max(0, m.now.Sub(m.pausedAt))
	for _, t := range m.timersInOrder() {
		if t.kind == deadlineTimer {
			t.until = t.until.Add(length)
			m.openTimer(t)
		}
	}
	held := m.held
	m.held = nil
	for _, id := range held {
		if t := m.timers[id]; t != nil {
			m.fire(t)
		}
	}
	return nil
}

func (m *Machine) cancel(b *run.CancelAsked) error {
	if m.cancelled || m.final != nil {
		return ErrStale
	}
	m.cancelled = true
	m.paused = false // nothing is left to hold back
	m.held = nil
	message := "the run was cancelled"
	if b.By != "" {
		message += " by " + b.By
	}
	if b.Reason != "" {
		message += ": " + b.Reason
	}
	m.root.err = &run.Error{Code: "E_CANCELLED", Kind: "cancelled", Message: message}
	m.dropTimer(m.timers[runDeadline])
	if !m.stopFrame(m.root, true) {
		m.rootEnded(m.root)
	}
	return nil
}

// rootEnded decides how the run ends. The wish to finish opens when the last cancelled call has ended.
func (m *Machine) rootEnded(f *frame) {
	m.dropTimer(m.timers[runDeadline])
	m.final = &run.Finished{Status: run.Failed, Error: f.err}
	if m.cancelled {
		m.final.Status = run.Cancelled
	}
}

func (m *Machine) conclude() {
	if m.final == nil || m.cut > 0 || m.finish.open || m.finished != nil {
		return
	}
	m.final.Usage = m.usage
	m.finish.wish = &run.FinishWish{Finished: *m.final}
	m.openWish(&m.finish)
}
