package engine

import (
	"container/heap"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
)

// limits hands out the slots of a process: so many calls at a time in all, so many of each agent, so many of each begun in a second or minute.
//
// Waiting for a slot is no fact. Who waits is served by priority, then who has the fewest slots, then run by run in turn, so that a run with 10,000 items does
// not keep another waiting. A turn is a lot of calls: what begins together is recorded together, and where a thousand runs wait each would else get one slot at a
// time and record every call alone. The last slots are for runs that have next to none: else whoever comes behind such a run would wait for the end of one of its calls.
type limits struct {
	mu      sync.Mutex
	room    int // slots of the process that are free
	spare   int // as many are kept from runs that have share of them
	share   int
	lot     int              // calls of a run that are served in one turn, at agents without limits of their own
	counts  bool             // the slots of each run: they decide who is next
	lines   map[string]*line // by agent
	pots    map[string]*pot  // by what agents share
	sharing *sharing         // with other processes; nil: this one is alone
	waiting int
	turn    uint64 // rises with each waiter served: who was served longest ago is next
	closed  bool
}

// line is the queue before one agent.
type line struct {
	limits *limits
	pot    *pot // of the slots, which other lines may share
	rates  []*rate
	queues queues // the runs that wait, next first
	byRun  map[*session]*queue
	timer  *time.Timer // ends the wait for a rate

	permits *permits // of rates that other processes share; nil: they do not
	asking  bool     // somebody asks the store for what this line is short of
}

// pot is a number of slots.
type pot struct {
	limit int // 0: none
	used  int
	loan  *loan // of slots that other processes share; nil: they do not

	guests []*guest // who waits for one of them in the midst of another call; they come first
}

func (p *pot) empty() bool { return p.limit > 0 && p.used >= p.limit }

// queue is what one run waits for at one agent, in order.
type queue struct {
	session *session
	line    *line
	turn    uint64
	tickets []*ticket
	index   int // in its heap
}

// ticket is one call that waits for a slot. Its session is told by a letter when it has one.
type ticket struct {
	line *line
	call *flight
	gone bool // nobody wants it any more
}

// Of so many slots one is spared, and of those so many are the share of a run.
const (
	spareOf = 16
	shareOf = 8
	lotOf   = 125 // runs that can be at work at a time with a lot each
)

func newLimits(room int) *limits {
	spare := room / spareOf
	return &limits{room: room, spare: spare, share: max(1, spare/shareOf), lot: max(1, room/lotOf), counts: true, lines: map[string]*line{}, pots: map[string]*pot{}}
}

// newGates are the limits of flows: they bound nothing but each flow.
func newGates() *limits {
	return &limits{room: math.MaxInt, lot: 1, lines: map[string]*line{}, pots: map[string]*pot{}}
}

// fits reports whether the process has a slot for a run.
func (l *limits) fits(s *session) bool {
	return l.room > l.spare || l.room > 0 && l.counts && s.slots < l.share
}

// line gives the queue of an agent. Its limits are read once, when its first call comes.
func (l *limits) line(name string, bounds agent.Limits) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.lines[name]
	if ln == nil {
		ln = &line{limits: l, pot: &pot{limit: bounds.Limit}, byRun: map[*session]*queue{}}
		if shared := bounds.Shared; shared != "" && l.pots[shared] != nil {
			ln.pot = l.pots[shared]
		} else if shared != "" {
			l.pots[shared] = ln.pot
		}
		if l.sharing != nil {
			l.sharing.share(ln, name, bounds)
		}
		if bounds.PerSecond > 0 {
			ln.rates = append(ln.rates, newRate(bounds.PerSecond, time.Second))
		}
		if bounds.PerMinute > 0 {
			ln.rates = append(ln.rates, newRate(bounds.PerMinute, time.Minute))
		}
		l.lines[name] = ln
	}
	return ln
}

// bounded reports whether an agent has limits of its own.
func (ln *line) bounded() bool { return ln.pot.limit > 0 || len(ln.rates) > 0 }

// lot is how many calls of a run are served in one turn. Where slots are few, a turn is one call.
func (ln *line) lot() int {
	if ln.bounded() {
		return 1
	}
	return ln.limits.lot
}

// take gives a slot at once, or a ticket: then the session of the call gets a letter when its turn has come.
func (ln *line) take(f *flight) (*ticket, bool) {
	l := ln.limits
	var served []*ticket
	defer func() { call(served) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(ln.queues) > 0 {
		ln.tidy() // who gave up waiting keeps nobody back
	}
	if len(ln.queues) == 0 && ln.open() && l.fits(f.session) {
		ln.occupy(f.session)
		return nil, true
	}
	t := &ticket{line: ln, call: f}
	q := ln.byRun[f.session]
	if q == nil {
		l.turn++
		q = &queue{session: f.session, line: ln, turn: l.turn}
		ln.byRun[f.session] = q
		if l.counts {
			f.session.waits = append(f.session.waits, q)
		}
		heap.Push(&ln.queues, q)
	}
	q.tickets = append(q.tickets, t)
	l.waiting++
	if ln.queues[0] == q && ln.open() && l.fits(f.session) {
		served = l.serve() // those before it wait for slots that are spared for such as it
	}
	ln.watchClock()
	ln.send()
	return t, false
}

// open reports whether a call could begin now.
func (ln *line) open() bool {
	if ln.limits.room <= 0 || ln.pot.empty() || ln.limits.sharing != nil && ln.short() {
		return false
	}
	if len(ln.rates) == 0 {
		return true
	}
	return ln.restUntil().IsZero()
}

// restUntil is when the rates allow the next call; zero when they do now.
func (ln *line) restUntil() time.Time {
	var latest time.Time
	now := time.Now()
	for _, r := range ln.rates {
		if at := r.next(); at.After(now) && at.After(latest) {
			latest = at
		}
	}
	return latest
}

func (ln *line) occupy(s *session) {
	ln.limits.room--
	ln.pot.used++
	if ln.permits != nil {
		ln.permits.left--
	}
	ln.count(s, 1)
	for _, r := range ln.rates {
		r.begin(time.Now())
	}
}

// count books a slot of a run, which may change its place in the lines it waits in.
func (ln *line) count(s *session, n int) {
	if !ln.limits.counts {
		return
	}
	s.slots += n
	for _, q := range s.waits {
		heap.Fix(&q.line.queues, q.index)
	}
}

// give returns a slot of a run and serves whoever is next.
func (ln *line) give(s *session) {
	l := ln.limits
	l.mu.Lock()
	ln.pot.used--
	l.room++
	ln.count(s, -1)
	ln.welcome()
	ln.pot.settle(l, l.waiting > 0)
	if l.waiting == 0 {
		l.mu.Unlock()
		return
	}
	served := l.serve()
	l.mu.Unlock()
	call(served)
}

// drop takes a ticket back. It reports whether the ticket still waited: if not, its slot is on the way and is to be given back when it comes.
func (t *ticket) drop() bool {
	l := t.line.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.gone {
		return false
	}
	t.gone = true
	l.waiting--
	return true
}

// serve picks all that can begin now. Tickets that were dropped fall out here.
func (l *limits) serve() []*ticket {
	var served []*ticket
	for _, ln := range l.lines {
		ln.welcome()
	}
	for l.room > 0 && !l.closed {
		var best *line
		for _, ln := range l.lines {
			ln.tidy()
			if len(ln.queues) > 0 && ln.open() && l.fits(ln.queues[0].session) && (best == nil || ln.queues[0].before(best.queues[0])) {
				best = ln
			}
		}
		if best == nil {
			break
		}
		q := best.queues[0]
		t := q.tickets[0]
		q.tickets = q.tickets[1:]
		t.gone = true
		l.waiting--
		if !l.counts || (q.session.slots+1)%best.lot() == 0 {
			l.turn++
			q.turn = l.turn
			heap.Fix(&best.queues, q.index)
		}
		best.occupy(q.session)
		served = append(served, t)
	}
	for _, ln := range l.lines {
		ln.watchClock()
		ln.send()
	}
	return served
}

// tidy removes dropped tickets from the front and runs that wait for nothing.
func (ln *line) tidy() {
	for len(ln.queues) > 0 {
		q := ln.queues[0]
		for len(q.tickets) > 0 && q.tickets[0].gone {
			q.tickets = q.tickets[1:]
		}
		if len(q.tickets) > 0 {
			return
		}
		heap.Pop(&ln.queues)
		delete(ln.byRun, q.session)
		if ln.limits.counts {
			q.session.waits = slices.DeleteFunc(q.session.waits, func(o *queue) bool { return o == q })
		}
	}
}

// watchClock sets the timer of a line that waits for nothing but its rate.
func (ln *line) watchClock() {
	l := ln.limits
	if len(ln.rates) == 0 || l.closed || ln.timer != nil {
		return
	}
	ln.tidy()
	at := ln.restUntil()
	if len(ln.queues) == 0 || at.IsZero() {
		return
	}
	ln.timer = time.AfterFunc(time.Until(at), func() {
		l.mu.Lock()
		ln.timer = nil
		served := l.serve()
		l.mu.Unlock()
		call(served)
	})
}

func call(served []*ticket) {
	for _, t := range served {
		if !t.call.session.post(letter{kind: slotLetter, flight: t.call, line: t.line}) {
			t.call.refuse(t.line) // its run is over
		}
	}
}

// give returns the slots of a call, once.
func (f *flight) give() {
	if !f.given.Swap(true) {
		f.refuse(f.callee.line)
	}
}

// refuse returns a slot that came too late, or is not needed any more; with that of the agent goes that of the flow.
func (f *flight) refuse(ln *line) {
	if ln == f.callee.line {
		f.leaveGate()
	}
	ln.give(f.session)
}

// leaveGate returns the slot of the flow.
func (f *flight) leaveGate() {
	if f.gated {
		f.gated = false
		f.session.gate.give(f.session)
	}
}

// close stops the clocks: nobody is served any more.
func (l *limits) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, ln := range l.lines {
		if ln.timer != nil {
			ln.timer.Stop()
		}
		if b := ln.pot.loan; b != nil {
			if b.timer != nil {
				b.timer.Stop()
			}
			l.sharing.back(b.name, b.held)
			b.held = nil
		}
	}
}

// queues is a heap: the higher priority first, then who was served longest ago.
type queues []*queue

func (q *queue) before(other *queue) bool {
	if a, b := q.session.priority, other.session.priority; a != b {
		return a > b
	}
	if q.line.limits.counts {
		if a, b := q.session.slots/q.line.lot(), other.session.slots/other.line.lot(); a != b {
			return a < b
		}
	}
	return q.turn < other.turn
}

func (qs queues) Len() int           { return len(qs) }
func (qs queues) Less(i, j int) bool { return qs[i].before(qs[j]) }
func (qs queues) Swap(i, j int) {
	qs[i], qs[j] = qs[j], qs[i]
	qs[i].index, qs[j].index = i, j
}
func (qs *queues) Push(x any) {
	q := x.(*queue)
	q.index = len(*qs)
	*qs = append(*qs, q)
}
func (qs *queues) Pop() any {
	last := (*qs)[len(*qs)-1]
	*qs = (*qs)[:len(*qs)-1]
	return last
}

// rate allows at most len(starts) calls to begin in any window. It remembers when they did, so it is exact and has no burst at a window's edge.
type rate struct {
	window time.Duration
	starts []time.Time // a ring, the oldest at at
	at     int
}

func newRate(n int, window time.Duration) *rate {
	return &rate{window: window, starts: make([]time.Time, n)}
}

// next is when a call may begin.
func (r *rate) next() time.Time {
	oldest := r.starts[r.at]
	if oldest.IsZero() {
		return oldest
	}
	return oldest.Add(r.window)
}

func (r *rate) begin(now time.Time) {
	r.starts[r.at] = now
	r.at = (r.at + 1) % len(r.starts)
}
