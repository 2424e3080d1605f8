package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/metrics"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

// session is one run at work. Its goroutine owns the machine and everything below that is not marked as shared.
//
//	letters ──▶ mailbox ──▶ machine.Apply ──▶ batch ──▶ store.Append ──▶ grants ──▶ workers ──▶ letters
//
// While an append is under way letters collect in the mailbox; the next turn takes all of them, so a busy run appends rarely and much at a time. What the
// machine wishes is granted only after the facts that led to the wish are stored.
type session struct {
	engine   *Engine
	id       run.ID
	plan     *plan.Plan
	options  run.Options
	began    time.Time
	tenant   string
	priority int
	parallel int   // calls of this run at a time; 0: no limit of its own
	gate     *line // before the calls of its flow; nil: they have no limit of their own
	ctx      context.Context
	stop     context.CancelCauseFunc

	machine *machine.Machine
	lease   atomic.Pointer[held] // shared with the keeper
	head    run.Seq              // of the log, as far as it is stored
	last    run.Fact             // the one at head
	now     time.Time            // of this turn; never behind the last fact
	batch   []run.Fact           // applied, not yet stored
	sources []letter             // what the batch came of: taken up again should it not have been stored
	base    run.Seq              // the head before the first of them
	opened  []run.Wish           // not yet looked at

	callees  map[*types.Signature]*callee
	flights  map[attempt]*flight // begun and not recorded as ended, and those whose late end is awaited
	planned  []*flight           // to launch when the batch is stored
	own      *flight             // launched, to be made by the session's own goroutine
	inline   []*flight           // free calls to make when the batch is stored
	parked   map[run.WishID]*parked
	queue    []*parked  // calls that wait for this run's own limit, in order
	inAir    int        // calls that hold a slot
	recent   []run.Fact // stored in the last seconds, without gaps, for a store that may lose them
	out      *outage    // the store cannot be reached; nil: it can
	alarms   alarms
	tried    map[run.Path]time.Time // when calls that reach beyond the run were begun first
	grounded map[attempt]bool       // calls whose CallStarted may be stored, and that this session knows it never made
	careful  bool                   // the machine was folded again in this turn: wishes may be closed before they were looked at
	asks     map[run.Path]*run.Form // questions that wait
	answered map[run.Path]bool      // questions that are over
	replies  []reply                // to callers, when the batch is stored
	listed   run.Status             // what its entry says
	relist   bool                   // its questions are not those of its entry
	filed    <-chan struct{}        // closed when the entry of its end is written
	clock    *time.Timer
	draining bool      // it begins no call any more, and ends with those under way
	parting  bool      // of those only the ones that change the world keep it
	owed     bool      // the end of such a one waits to be stored
	restAt   time.Time // when an idle session gives its lease back; zero: it is not idle

	// Guarded by the limits of the process.
	slots int      // that its calls hold
	waits []*queue // in which its calls wait

	// Shared: used by calls and callers.
	mu         sync.Mutex
	mail       []letter
	asleep     bool
	away       bool // nobody owns the machine: the session's goroutine makes a call itself
	buried     bool
	wake       chan struct{}
	shared     sync.Mutex
	schemas    map[*types.Type]json.RawMessage
	secretFunc func(string) (string, error)
	redactor   redactor
	gallery    gallery
	memory     contexts.Space // what the history makes it: changed when the end of a call that changes it is recorded
	done       chan struct{}  // closed at the end, after the two below are set
	finished   *run.Finished  // nil when the session ended before the run
	err        error          // why it did

	tally *metrics.Tally // nil: nobody counts

	appointment *appointment // of a run that rests and that nobody else wakes
}

// attempt names a call under way.
type attempt struct {
	path   run.Path
	number int
}

// parked is a wish that waits for its time or its turn.
type parked struct {
	wish   run.Wish
	flight *flight
	ticket *ticket
	alarm  *alarm
	gone   bool
}

// letter is what others tell a session.
type letter struct {
	kind    letterKind
	flight  *flight
	flights []*flight
	line    *line    // of a slot
	body    run.Body // of a computation
	request func(reason string) run.Body
	path    run.Path // of an answer
	value   any
	by      string
	reason  string // for an answer or a request
	reply   chan error
	parked  *parked // a call that waits for word of the cache
	found   bool    // value is its answer
}

type letterKind uint8

const (
	resultLetter  letterKind = iota // a call has ended
	resultsLetter                   // free calls have ended
	slotLetter                      // a call that waited may begin
	requestLetter                   // somebody wants the run cancelled, paused or resumed
	answerLetter                    // somebody answers a question
	bodyLetter                      // a fact made by a worker
	cacheLetter                     // a store was asked for the answer of a call
	toldLetter                      // the log has facts from outside
	storeLetter                     // the store was asked whether it is back: found says so
	nudgeLetter                     // look up: the engine closes
	fencedLetter                    // the lease is lost
	drainLetter                     // begin nothing more
	partLetter                      // and wait for nothing that may be made again
	ringLetter                      // an alarm rang: kept only to take it up again
)

type reply struct {
	to  chan error
	err error
}

// post puts a letter into the mailbox. A session that is over takes none; it reports whether it did.
func (s *session) post(l letter) bool {
	s.mu.Lock()
	if s.buried {
		s.mu.Unlock()
		return false
	}
	s.mail = append(s.mail, l)
	s.stir()
	return true
}

// stir unlocks mu and sees to it that somebody reads the mail: the session's goroutine, or, if that one is away on a call, a new one.
func (s *session) stir() {
	wake, away := s.asleep, s.away
	s.asleep, s.away = false, false
	s.mu.Unlock()
	switch {
	case wake:
		s.wake <- struct{}{}
	case away:
		s.engine.group.Add(1)
		go s.live()
	}
}

// ride makes the only call in the air on the session's own goroutine, so that in a chain of calls no other has to be woken twice a step. If a letter comes
// meanwhile, a new goroutine takes the session over, and ride returns false: this one was a mere worker then.
func (s *session) ride(f *flight) (mine bool) {
	s.mu.Lock()
	if len(s.mail) > 0 || s.ctx.Err() != nil {
		s.mu.Unlock()
		s.engine.workers.do(f.fly)
		return true
	}
	s.away = true
	s.mu.Unlock()
	landed := false
	defer func() {
		if !landed {
			f.crash(recover())
		}
	}()
	f.answer()
	landed = true
	f.land()
	s.mu.Lock()
	s.mail = append(s.mail, letter{kind: resultLetter, flight: f})
	if mine = s.away; mine {
		s.away = false
		s.mu.Unlock()
		return true
	}
	s.stir()
	return false
}

// collect waits for letters or the next alarm.
func (s *session) collect(spare []letter) []letter {
	for s.ctx.Err() == nil {
		var ring <-chan time.Time
		at, ok := s.alarms.next()
		if !s.restAt.IsZero() && (!ok || s.restAt.Before(at)) {
			at, ok = s.restAt, true
		}
		if ok {
			rest := time.Until(at)
			if rest <= 0 {
				s.mu.Lock()
				mail := s.mail
				s.mail = spare[:0]
				s.mu.Unlock()
				return mail
			}
			if s.clock == nil {
				s.clock = time.NewTimer(rest)
			} else {
				s.clock.Reset(rest)
			}
			ring = s.clock.C
		}
		s.mu.Lock()
		if len(s.mail) > 0 {
			mail := s.mail
			s.mail = spare[:0]
			s.mu.Unlock()
			return mail
		}
		s.asleep = true
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ring:
			s.rouse()
		case <-s.ctx.Done():
			s.rouse()
		}
	}
	return nil
}

// rouse takes back the word that the session sleeps. A poster who saw it asleep has a wake-up on the way, which is taken.
func (s *session) rouse() {
	s.mu.Lock()
	asleep := s.asleep
	s.asleep = false
	s.mu.Unlock()
	if !asleep {
		<-s.wake
	}
}

// live is the session's goroutine: it ends with the run, with the lease, or with the engine.
func (s *session) live() {
	mine := true
	defer s.engine.group.Done()
	defer func() {
		if mine {
			s.bury()
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			s.err = fmt.Errorf("run %s stopped: %v\n%s", s.id, r, debug.Stack())
		}
	}()
	var mail []letter
	for s.finished == nil && s.err == nil {
		s.tick()
		s.settle()
		if s.finished != nil || s.err != nil {
			return
		}
		if f := s.own; f != nil {
			s.own = nil
			mine = false
			if mine = s.ride(f); !mine {
				return
			}
		}
		if s.draining && len(s.flights) == 0 && s.out == nil || s.parting && !s.owed && !s.doing() {
			s.err = errClosing
			return
		}
		switch over, told := s.lounge(); {
		case over:
			return
		case told:
			continue
		}
		clear(mail)
		mail = s.collect(mail)
		if err := s.ctx.Err(); err != nil {
			s.err = context.Cause(s.ctx)
			return
		}
		s.tick()
		for i := range mail {
			s.receive(mail[i])
		}
		s.ring()
	}
}

// tick reads the clock once a turn. Facts of a run never go back in time, whatever the clock does.
func (s *session) tick() {
	if now := time.Now().UTC().Round(0); now.After(s.now) {
		s.now = now
	}
}

// settle stores what the turn brought and grants what it opened, until nothing is left to do.
func (s *session) settle() {
	for s.err == nil {
		s.admit()
		if s.out != nil {
			if !s.venture() {
				return
			}
			continue
		}
		if len(s.batch) > 0 {
			s.commit()
			continue
		}
		s.finished = s.machine.Finished() // all that was folded is stored
		for _, r := range s.replies {
			r.to <- r.err
		}
		s.replies = s.replies[:0]
		clear(s.sources)
		s.sources, s.base = s.sources[:0], s.head
		s.careful = false
		if s.finished != nil || !s.grant() {
			s.list()
			return
		}
	}
}

// receive lets one letter take effect in the machine.
func (s *session) receive(l letter) {
	switch l.kind {
	case resultLetter:
		s.sources = append(s.sources, l)
		s.landed(l.flight)
	case resultsLetter:
		s.sources = append(s.sources, l)
		for _, f := range l.flights {
			s.landed(f)
		}
	case slotLetter:
		s.seated(l.flight, l.line)
	case requestLetter, answerLetter:
		if s.out != nil && s.out.declared {
			l.reply <- runs.ErrUnavailable
			return
		}
		s.sources = append(s.sources, l)
		if l.kind == requestLetter {
			s.replies = append(s.replies, reply{l.reply, s.request(l)})
			return
		}
		s.replies = append(s.replies, reply{l.reply, s.answer(l)})
	case bodyLetter:
		s.sources = append(s.sources, l)
		s.record(l.body)
	case cacheLetter:
		s.looked(l)
	case toldLetter:
		s.hear()
	case storeLetter:
		s.heard(l.found)
	case fencedLetter:
		if s.out == nil { // else it is asked for when the store is back
			s.regain()
		}
	case drainLetter, partLetter:
		s.draining, s.parting = true, s.parting || l.kind == partLetter
		for id, p := range s.parked {
			s.unpark(id, p)
		}
		s.queue = nil
	}
}

// doing reports whether a call is under way that changes the world.
func (s *session) doing() bool {
	for _, f := range s.flights {
		if f.callee.do {
			return true
		}
	}
	return false
}

// request records that somebody wants the run cancelled, paused or resumed. That it is so already is no error.
func (s *session) request(l letter) error {
	err := s.record(l.request(s.redactor.reason(l.reason)))
	if errors.Is(err, machine.ErrStale) {
		err = nil
		if s.machine.Finished() != nil {
			err = runs.ErrFinished
		}
	}
	return err
}

// record makes a fact and folds it. ErrStale leaves no fact behind.
func (s *session) record(body run.Body) error { return s.recordWith(body, nil) }

// recordWith records the end of a call that makes the run's own state another.
func (s *session) recordWith(body run.Body, state *contexts.State) error {
	f := run.Fact{Seq: s.head + run.Seq(len(s.batch)) + 1, At: s.now, Body: body}
	if s.tally != nil {
		s.credit(body)
	}
	delta, err := s.machine.Apply(f)
	if err != nil {
		if !errors.Is(err, machine.ErrStale) && s.err == nil {
			s.err = fmt.Errorf("run %s cannot go on: %w", s.id, err)
		}
		return err
	}
	s.batch = append(s.batch, f)
	if s.out != nil {
		s.unstored(f)
	}
	if state != nil {
		s.memory.Restore(*state)
	}
	s.follow(body, delta)
	return nil
}

// credit lets who counts know whose call a fact is about, as long as the machine knows.
func (s *session) credit(body run.Body) {
	var path run.Path
	switch b := body.(type) {
	case *run.CallStarted:
		path = b.Path
	case *run.CallDone:
		path = b.Path
	case *run.CallFailed:
		path = b.Path
	case *run.CallEnded:
		path = b.Path
	default:
		return
	}
	if agent := s.machine.Calling(path); agent != "" {
		s.tally.Calls(path, agent)
	}
}

// sleeps reports whether all that is open are timers: a run that has come to nothing else has been at work, and was not in line.
func (s *session) sleeps() bool {
	for w := range s.machine.Open() {
		if _, ok := w.(*run.SleepWish); !ok {
			return false
		}
	}
	return true
}

// follow takes note of what a fact opened and closed.
func (s *session) follow(body run.Body, delta run.Delta) {
	s.opened = append(s.opened, delta.Opened...)
	if err := s.takeOver(delta.Taken); err != nil && s.err == nil {
		s.err = err
	}
	if len(delta.Closed) == 0 {
		return
	}
	for _, id := range delta.Closed {
		if p := s.parked[id]; p != nil {
			s.unpark(id, p)
		}
	}
	if _, own := body.(*run.CallDone); own && len(delta.Closed) == 1 && !s.careful {
		return // its own wish: nothing that waits was closed
	}
	closed := func(w run.Wish) bool {
		return slices.Contains(delta.Closed, w.ID()) && !slices.ContainsFunc(delta.Opened, func(o run.Wish) bool { return o == w })
	}
	if len(s.opened) > 0 {
		s.opened = slices.DeleteFunc(s.opened, closed)
	}
	if s.out != nil {
		s.out.held = slices.DeleteFunc(s.out.held, closed)
	}
	if len(s.inline) > 0 {
		s.inline = slices.DeleteFunc(s.inline, func(f *flight) bool {
			if !slices.Contains(delta.Closed, f.wish.ID()) {
				return false
			}
			delete(s.flights, attempt{f.wish.Path, f.wish.Attempt})
			return true
		})
	}
	for path := range s.asks {
		if slices.Contains(delta.Closed, (&run.AskWish{Path: path}).ID()) {
			delete(s.asks, path)
			s.over(path)
		}
	}
}

func (s *session) over(path run.Path) {
	s.relist = true
	if s.answered == nil {
		s.answered = map[run.Path]bool{}
	}
	s.answered[path] = true
}

// unpark forgets a wish that waited.
func (s *session) unpark(id run.WishID, p *parked) {
	delete(s.parked, id)
	p.gone = true
	s.alarms.cancel(p.alarm)
	if p.ticket != nil && p.ticket.drop() {
		p.flight.leaveGate()
		s.freed() // else its slot is on the way, and seated gives it back
	}
}

// admit looks at what the machine wishes now. Calls that may begin get their CallStarted into the batch that is being made.
func (s *session) admit() {
	for len(s.opened) > 0 && s.err == nil {
		opened := s.opened
		s.opened = nil
		for i, w := range opened {
			if s.err != nil {
				return
			}
			s.wish(w)
			if i == len(opened)-1 && s.opened == nil {
				s.opened = opened[:0]
			}
		}
	}
}

func (s *session) wish(w run.Wish) {
	switch w := w.(type) {
	case *run.CallWish:
		if w.Due.After(s.now) {
			s.park(w, w.Due)
			return
		}
		s.begin(w)
	case *run.AskWish:
		if s.out != nil {
			s.hold(w)
			return
		}
		s.ask(w)
	case *run.SleepWish:
		if w.Until.After(s.now) {
			s.park(w, w.Until)
			return
		}
		s.fire(w)
	case *run.ComputeWish:
		s.compute(w)
	case *run.CancelWish:
		s.tell(w)
	case *run.FinishWish:
		if s.out != nil {
			s.hold(w)
			return
		}
		f := w.Finished
		s.record(&f)
	}
}

// fire records that a timer rang. Without the store none does: what it decides, such as that nobody answered in time, is for the log to say.
func (s *session) fire(w *run.SleepWish) {
	if s.out != nil {
		s.hold(w)
		return
	}
	s.sources = append(s.sources, letter{kind: ringLetter})
	s.record(&run.TimerFired{Timer: w.Timer})
}

// park sets a wish aside until a time.
func (s *session) park(w run.Wish, until time.Time) {
	p := &parked{wish: w}
	p.alarm = s.alarms.set(&alarm{at: until, parked: p})
	s.parked[w.ID()] = p
}

// ring takes the alarms whose time has come.
func (s *session) ring() {
	for s.err == nil {
		a := s.alarms.due(s.now)
		if a == nil {
			return
		}
		switch {
		case a.parked != nil:
			delete(s.parked, a.parked.wish.ID())
			switch w := a.parked.wish.(type) {
			case *run.SleepWish:
				s.fire(w)
			case *run.CallWish:
				s.sources = append(s.sources, letter{kind: ringLetter})
				s.begin(w)
			}
		case a.flight != nil:
			s.timeUp(a.flight)
		}
	}
}

// callee finds who serves a call. It is looked up once a run.
func (s *session) callee(sig *types.Signature) *callee {
	if c := s.callees[sig]; c != nil {
		return c
	}
	c := s.engine.callee(sig)
	s.callees[sig] = c
	return c
}

// begin makes a call ready to launch, or has it wait for its turn.
func (s *session) begin(w *run.CallWish) {
	key := attempt{w.Path, w.Attempt}
	if s.draining {
		return // whoever takes the run up begins it
	}
	if f := s.flights[key]; f != nil && s.resumes(f, w) {
		return // it is under way: the wish was seen before the machine was folded again
	}
	known := w.Callee.Free // one that is started nevertheless reaches beyond the run: into shared state, which knows the calls it has seen
	if w.Started && !s.grounded[key] && !known {
		// It was begun by a process that is gone. The machine decides what becomes of it.
		s.record(&run.CallFailed{
			Path: w.Path, Attempt: w.Attempt, Outcome: run.Interrupted, Message: "the process that made this call ended before its answer was recorded",
		})
		return
	}
	if s.out != nil && !s.ventures(w) {
		s.hold(w)
		return
	}
	delete(s.grounded, key)
	if !w.Started && s.recall(w) {
		return
	}
	s.board(w)
}

// board has a call wait for its turn, or makes it ready to launch.
func (s *session) board(w *run.CallWish) {
	key := attempt{w.Path, w.Attempt}
	f := &flight{session: s, wish: w, callee: s.callee(w.Callee)}
	if w.Callee.Free && (w.Started || w.Attempt > 1) {
		if f.unsure = s.tried[w.Path]; f.unsure.IsZero() {
			f.unsure = s.began
		}
		f.unsure = f.unsure.Add(-maxSkew)
	}
	if f.callee.inline && w.Timeout == 0 && w.Callee.FreeWith(w.Args) {
		f.ctx = s.ctx
		s.flights[key] = f
		s.inline = append(s.inline, f)
		return
	}
	if s.parallel > 0 && s.inAir >= s.parallel {
		p := &parked{wish: w, flight: f}
		s.parked[w.ID()] = p
		s.queue = append(s.queue, p)
		return
	}
	s.seat(f)
}

// seat asks for a slot of the flow, then for one of the agent and of the process.
func (s *session) seat(f *flight) {
	s.inAir++
	if s.gate != nil {
		t, ok := s.gate.take(f)
		if !ok {
			s.parked[f.wish.ID()] = &parked{wish: f.wish, flight: f, ticket: t}
			return
		}
		f.gated = true
	}
	s.approach(f)
}

// approach asks for a slot of the agent and of the process.
func (s *session) approach(f *flight) {
	t, ok := f.callee.line.take(f)
	if !ok {
		s.parked[f.wish.ID()] = &parked{wish: f.wish, flight: f, ticket: t}
		return
	}
	f.slot = true
	s.start(f)
}

// seated is the word that a call that waited has its slot.
func (s *session) seated(f *flight, ln *line) {
	id := f.wish.ID()
	p := s.parked[id]
	if p == nil || p.flight != f {
		f.refuse(ln) // it is not wanted any more
		s.freed()
		return
	}
	delete(s.parked, id)
	if ln == s.gate {
		f.gated = true
		s.approach(f)
		return
	}
	f.slot = true
	s.start(f)
}

// freed lets the next call of this run's own queue go on.
func (s *session) freed() {
	s.inAir--
	for len(s.queue) > 0 && (s.parallel == 0 || s.inAir < s.parallel) {
		p := s.queue[0]
		s.queue = s.queue[1:]
		if p.gone {
			continue
		}
		delete(s.parked, p.wish.ID())
		s.seat(p.flight)
	}
}

// start records that a call begins. It is launched when that is stored.
func (s *session) start(f *flight) {
	w := f.wish
	held := s.out != nil && !s.ventures(w)
	if held || !w.Started && !w.Callee.FreeWith(w.Args) && s.record(begun(w)) != nil {
		f.give()
		if held {
			s.hold(w)
		}
		s.freed()
		return
	}
	if w.Callee.Free && s.tried[w.Path].IsZero() && !w.Callee.FreeWith(w.Args) {
		s.try(w.Path, s.now)
	}
	s.flights[attempt{w.Path, w.Attempt}] = f
	s.planned = append(s.planned, f)
}

// grant launches what may begin now that the facts before it are stored. It reports whether that brought something new to store.
func (s *session) grant() bool {
	if len(s.planned) > 0 && !s.holds() {
		return false
	}
	again := false
	alone := len(s.planned)+len(s.inline) == 1 && len(s.flights) == 1 && s.quiet()
	planned := s.planned
	s.planned = nil // what is withdrawn makes room, in which others are planned
	for _, f := range planned {
		if f.told {
			s.withdraw(f)
			again = true
			continue
		}
		s.launch(f, alone)
	}
	if clear(planned); s.planned == nil {
		s.planned = planned[:0]
	}
	if len(s.inline) > 0 {
		flights := slices.Clone(s.inline)
		for _, f := range flights {
			f.launched = true
		}
		clear(s.inline)
		s.inline = s.inline[:0]
		if alone {
			s.own = flights[0]
		} else {
			s.fanOut(flights)
		}
	}
	return again
}

// withdraw ends a call that nobody needs any more before it is launched.
func (s *session) withdraw(f *flight) {
	f.give()
	f.slot = false
	s.freed()
	s.end(f, run.Usage{Tokens: run.Reported, CostSource: run.Reported}) // nothing, and that is known
}

// quiet reports whether no alarm will ring.
func (s *session) quiet() bool {
	_, ok := s.alarms.next()
	return !ok
}

// fanOut gives free calls to a worker, or to two when there is enough to do for both.
func (s *session) fanOut(flights []*flight) {
	if n := len(flights); n >= 64 {
		half := flights[n/2:]
		flights = flights[: n/2 : n/2]
		s.engine.workers.do(func() { flyAll(s, half) })
	}
	s.engine.workers.do(func() { flyAll(s, flights) })
}

func (s *session) launch(f *flight, alone bool) {
	f.launched = true
	f.ctx, f.cancel = context.WithCancelCause(s.ctx)
	if t := f.wish.Timeout; t > 0 {
		f.alarm = s.alarms.set(&alarm{at: time.Now().Add(t), flight: f})
	}
	if alone && f.alarm == nil {
		s.own = f
		return
	}
	s.engine.workers.do(f.fly)
}

// landed records the end of a call.
func (s *session) landed(f *flight) {
	s.alarms.cancel(f.alarm)
	s.conclude(f)
	if f.slot {
		f.slot = false
		if !f.freed {
			s.freed()
		}
	}
}

func (s *session) conclude(f *flight) {
	if f.disowned {
		return
	}
	key := attempt{f.wish.Path, f.wish.Attempt}
	if s.flights[key] == f {
		delete(s.flights, key)
	}
	s.owed = s.owed || f.callee.do
	done, ok := f.body.(*run.CallDone)
	switch {
	case f.closed:
		s.record(&run.CallEnded{Path: f.wish.Path, Attempt: f.wish.Attempt, Usage: f.usage})
	case f.told && !(ok && f.grace):
		s.end(f, used(f.usage, f.callee.pinned, true)) // a model that was cut off and says nothing may charge all the same
	case f.late && !(ok && f.callee.do):
		s.record(f.overdue(used(f.usage, f.callee.pinned, true)))
	case ok:
		state, err := s.changed(f, done)
		if err != nil {
			if s.record(f.failed(agent.Fail(run.Failure, err.Error()))) != nil {
				s.end(f, f.usage)
			}
			return
		}
		if s.recordWith(done, state) != nil {
			s.end(f, f.usage) // nobody waits for it any more
			return
		}
	default:
		if s.record(f.body) != nil {
			s.end(f, f.usage)
		}
	}
}

// end records a call whose value nobody wants.
func (s *session) end(f *flight, used run.Usage) {
	key := attempt{f.wish.Path, f.wish.Attempt}
	if s.flights[key] == f {
		delete(s.flights, key)
	}
	f.closed = true
	f.muted.Store(true)
	s.record(&run.CallEnded{Path: f.wish.Path, Attempt: f.wish.Attempt, Usage: used})
}

// tell ends a call under way: `think` and `read` have a moment to say what they used, a `do` has the grace period.
func (s *session) tell(w *run.CancelWish) {
	f := s.flights[attempt{w.Path, w.Attempt}]
	if f == nil {
		// Nobody is at work on it: it was begun by a process that is gone.
		s.record(&run.CallEnded{Path: w.Path, Attempt: w.Attempt, Usage: run.Usage{Calls: 1, Tokens: run.Unknown, CostSource: run.Unknown}})
		return
	}
	if f.told {
		return
	}
	if s.out != nil && f.callee.do && f.launched {
		s.hold(w) // what it does is worth more than what was decided and is not stored
		return
	}
	f.told, f.grace = true, w.Grace
	if !f.launched {
		return // grant sees it
	}
	if f.cancel != nil {
		f.cancel(errCancelled)
	}
	s.await(f)
}

// await sets the alarm for a call that was asked to end.
func (s *session) await(f *flight) {
	s.alarms.cancel(f.alarm)
	rest := s.engine.patience
	if f.callee.do {
		rest = s.engine.grace
	}
	f.alarm = s.alarms.set(&alarm{at: s.now.Add(rest), flight: f})
}

// timeUp is the alarm of a call: its time is over, or it was asked to end and has not.
func (s *session) timeUp(f *flight) {
	switch {
	case f.told, f.late:
		s.sources = append(s.sources, letter{kind: ringLetter, flight: f})
		s.abandon(f)
	case f.returned.Load():
		// It came in time: what is large in it waits for the store.
	default:
		f.late = true
		if f.cancel != nil {
			f.cancel(errTimeout)
		}
		s.await(f)
	}
}

// abandon records the end of a call that does not end by itself. What still comes of it changes nothing. Its slots go back: who hangs keeps nobody waiting.
func (s *session) abandon(f *flight) {
	if p := f.pass.Load(); p != nil {
		p.Lose(f.late)
	}
	if f.slot {
		f.give()
		f.freed = true
		s.freed()
	}
	unknown := used(run.Usage{}, f.callee.pinned, true) // its worker still has what was used
	if f.told {
		s.end(f, unknown)
		return
	}
	f.closed = true
	f.muted.Store(true)
	delete(s.flights, attempt{f.wish.Path, f.wish.Attempt})
	s.record(f.overdue(unknown))
}

// ask puts a question to people: whoever watches sees it.
func (s *session) ask(w *run.AskWish) {
	if s.asks[w.Path] != nil {
		return
	}
	form, err := s.form(w.Form)
	if err != nil {
		if unreachable(err) && s.ctx.Err() == nil {
			s.goOut()
			s.hold(w)
			return
		}
		if s.ctx.Err() == nil {
			s.err = fmt.Errorf("run %s cannot go on: the question at %s: %w", s.id, w.Path, err)
		}
		return
	}
	if s.asks == nil {
		s.asks = map[run.Path]*run.Form{}
	}
	if s.record(&run.Asked{Path: w.Path, Form: form, Deadline: w.Deadline}) == nil {
		s.asks[w.Path], s.relist = &form, true
	}
}

func (s *session) answer(l letter) error {
	form := s.asks[l.path]
	if form == nil {
		if s.answered[l.path] {
			return runs.ErrAnswered
		}
		return runs.ErrNotAsked
	}
	value, err := fitting(form, l.value)
	if err != nil {
		return err
	}
	if value = s.redactor.value(value); !chosen(form, value) {
		if value, err = s.engine.shelve(s.ctx, value); err != nil {
			return fmt.Errorf("%w: %w", runs.ErrUnavailable, err)
		}
	}
	if s.record(&run.Answered{Path: l.path, Value: value, By: l.by, Reason: s.redactor.reason(l.reason)}) != nil {
		return runs.ErrAnswered
	}
	delete(s.asks, l.path)
	s.over(l.path)
	return nil
}

// commit stores the batch. Only then may anybody learn of it.
func (s *session) commit() {
	err := s.engine.store.Append(s.ctx, s.lease.Load().Lease, s.head, s.batch...)
	switch {
	case err == nil:
		s.engine.heed(&s.engine.troubles.facts, "store what happened", nil)
		s.stored(len(s.batch))
	case errors.Is(err, store.ErrFenced):
		s.regain() // nothing was stored: the batch is appended again, if that is still allowed
	case errors.Is(err, store.ErrFinished):
		s.err = fmt.Errorf("run %s went to another worker: %w", s.id, err)
	case s.ctx.Err() != nil:
		s.err = context.Cause(s.ctx)
	case errors.Is(err, store.ErrConflict):
		s.refold()
	default:
		s.engine.heed(&s.engine.troubles.facts, "store what happened", err)
		s.goOut()
	}
}

// stored takes note that the first n facts of the batch are stored, and tells those who watch.
func (s *session) stored(n int) {
	if n == 0 {
		return
	}
	facts := s.batch[:n]
	s.head += run.Seq(n)
	s.last = facts[n-1]
	s.gallery.facts(facts)
	s.memorize(facts)
	if s.tally != nil {
		s.tally.Stored(facts)
	}
	s.batch = slices.Delete(s.batch, 0, n)
	s.owed = s.owed && len(s.batch) > 0
	if s.out != nil && len(s.batch) == 0 {
		for _, f := range s.flights {
			f.early = false // it began in the order of the log after all
		}
	}
}

// open stores a new run, together with the beginning of whatever it can do at once.
func (s *session) open(ctx context.Context, first run.Fact) error {
	s.advance(first)
	s.admit()
	if err := s.engine.create(ctx, s, append([]run.Fact{first}, s.batch...)...); err != nil {
		s.err = err
		s.bury()
		return err
	}
	if s.tally != nil {
		s.tally.Waited(first.At)
	}
	s.stored(len(s.batch))
	return nil
}

// bury ends the session: calls are told, watchers and waiters hear, the lease goes back.
func (s *session) bury() {
	resting := errors.Is(s.err, errResting)
	if s.lease.Load() != nil { // else its caller hears
		s.logEnd()
	}
	s.stop(errClosing)
	if s.out != nil {
		if n := len(s.batch); n > 0 {
			s.engine.outages.drop(n)
			s.engine.log.Warn("what came of calls while the store was away is dropped: another worker took the run over, or the process ended; who goes on with the run makes them again",
				"run", s.id, "facts", n)
		}
		s.engine.outages.leave(s.out.facts, s.out.bytes)
	}
	if s.clock != nil {
		s.clock.Stop()
	}
	if resting {
		s.engine.forget(s) // before the mailbox closes: who comes too late for it finds the appointment
	}
	s.mu.Lock()
	s.buried = true
	mail := s.mail
	s.mail = nil
	s.mu.Unlock()

	err := s.err
	if err == nil {
		err = runs.ErrFinished
	}
	for _, r := range s.replies {
		r.to <- err
	}
	for _, l := range mail {
		switch {
		case l.reply != nil:
			l.reply <- err
		case l.kind == slotLetter:
			l.flight.refuse(l.line)
		case l.kind == toldLetter && resting:
			s.engine.hurry(s.id)
		}
	}
	for _, f := range s.planned {
		f.give()
	}
	for _, p := range s.parked {
		if p.ticket != nil && p.ticket.drop() {
			p.flight.leaveGate()
		}
	}
	if !resting {
		s.engine.forget(s)
		switch {
		case s.lease.Load() == nil: // the run was never stored
		case s.finished != nil: // which ended the lease too
		case errors.Is(s.err, errClosing):
			s.engine.handOver(s)
		default:
			s.engine.release(s.lease.Load().Lease)
		}
	}
	s.gallery.close()
	if s.filed != nil {
		<-s.filed // whoever waits for the run finds it in lists as it ended
	}
	close(s.done)
}
