package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

// Unstored bounds what a process begins while its store cannot be reached. What comes of that waits in memory, and is lost with the process.
type Unstored struct {
	For   time.Duration // `think` and `read` begin for so long; 0: DefaultUnstoredFor; below 0: none begins
	Facts int           // as long as fewer wait; 0: DefaultUnstoredFacts
	Bytes int           // and they are smaller than this; 0: DefaultUnstoredBytes
}

// What Unstored leaves open.
const (
	DefaultUnstoredFor   = 30 * time.Second
	DefaultUnstoredFacts = 1000
	DefaultUnstoredBytes = 8 << 20
)

// hiccup is how long a store may not answer before anything begins without it: most of the time it was a connection that broke.
const hiccup = time.Second

// Outage is how a process stands to its store.
type Outage struct {
	Since   time.Time // when the first run found that the store does not answer; zero: it does
	Facts   int       // that wait until it answers again
	Bytes   int       // of them, and of large values that wait
	Dropped uint64    // facts that waited in vain since the process began: another worker took their run over, or the engine was closed
}

// outages are the runs of a process that cannot reach their store, together.
type outages struct {
	bounds Unstored

	mu    sync.Mutex
	out   int // sessions
	state Outage
}

func (o *outages) init(bounds Unstored) {
	if bounds.For == 0 {
		bounds.For = DefaultUnstoredFor
	}
	if bounds.Facts == 0 {
		bounds.Facts = DefaultUnstoredFacts
	}
	if bounds.Bytes == 0 {
		bounds.Bytes = DefaultUnstoredBytes
	}
	o.bounds = bounds
}

// enter counts a session that cannot reach the store.
func (o *outages) enter(since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.out++; o.out == 1 {
		o.state.Since = since
	}
}

// leave takes a session out again, with what it had waiting.
func (o *outages) leave(facts, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state.Facts -= facts
	o.state.Bytes -= bytes
	if o.out--; o.out == 0 {
		o.state.Since = time.Time{}
	}
}

func (o *outages) add(facts, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state.Facts += facts
	o.state.Bytes += bytes
}

func (o *outages) drop(facts int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state.Dropped += uint64(facts)
}

// room reports whether one more call may begin.
func (o *outages) room(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return now.Sub(o.state.Since) < o.bounds.For && o.state.Facts < o.bounds.Facts && o.state.Bytes < o.bounds.Bytes
}

// Outage tells whether the store of this engine can be reached, and what waits for it.
func (e *Engine) Outage() Outage {
	e.outages.mu.Lock()
	defer e.outages.mu.Unlock()
	return e.outages.state
}

// outage is a session that cannot reach its store. The machine goes on beyond the head of the log: its facts wait in the batch, in order, and nobody is told
// that they are so. Calls under way end; of new ones only those begin that may be made twice, since another worker may take the run over meanwhile and knows
// nothing of them. All else that the machine wishes is held until the store is back.
//
//	out ──▶ asked again ──▶ it answers ──▶ is the lease still ours, or free, and the log what we know? ──▶ write again what it lost, append what waits ──▶ back
//	             ▲── no ──────────┘                     └── no: another was at work here, what waits is dropped
type outage struct {
	since    time.Time
	declared bool // it is no hiccup
	asking   bool // somebody asks the store
	rest     time.Duration
	held     []run.Wish
	facts    int // that it has waiting, as the process counts them
	bytes    int
}

// goOut is for every answer of the store that says nothing. The store is asked again, ever less often.
func (s *session) goOut() {
	o := s.out
	if o == nil {
		o = &outage{since: s.now, rest: firstRest}
		s.out = o
		s.engine.outages.enter(o.since)
	}
	if o.asking {
		return
	}
	o.asking = true
	rest := o.rest
	o.rest = min(2*o.rest, longRest)
	head := s.head
	s.engine.workers.do(func() {
		pause(s.ctx, rest)
		_, err := s.engine.store.Load(s.ctx, s.id, head)
		s.post(letter{kind: storeLetter, found: err == nil || errors.Is(err, store.ErrNotFound)})
	})
}

// heard is the word of the store, or that there is none.
func (s *session) heard(answers bool) {
	if s.out == nil {
		return
	}
	s.out.asking = false
	if answers {
		s.comeBack()
	} else {
		s.goOut()
	}
}

// comeBack brings the log up to where the machine is, if it is still this session's to write.
func (s *session) comeBack() {
	if !s.regain() || s.engine.forgets && !s.mend() {
		return
	}
	if err := s.engine.commons.mend(s.ctx, s.out.since); err != nil {
		s.goOut() // before a step that reads what is shared
		return
	}
	stored, more, known := s.survey()
	switch {
	case known == away:
		s.goOut()
		return
	case known == another:
		s.lose()
		return
	case known == shorter, len(more) > 0:
		s.back()
		s.refold()
		return
	}
	s.stored(stored)
	if len(s.batch) > 0 {
		err := s.engine.store.Append(s.ctx, s.lease.Load().Lease, s.head, s.batch...)
		if err != nil {
			s.goOut() // whatever it says: what is behind it shows when the log is looked at again
			return
		}
		s.engine.heed(&s.engine.troubles.facts, "store what happened", nil)
		s.stored(len(s.batch))
	}
	s.back()
}

// back ends the outage of a session: what was held back has its turn.
func (s *session) back() {
	o := s.out
	s.out = nil
	s.engine.outages.leave(o.facts, o.bytes)
	s.opened = append(s.opened, o.held...)
}

// The ways a log may stand to what a session knows of it.
type standing uint8

const (
	asKnown standing = iota
	away             // nobody can tell
	shorter          // the store lost the end of it
	another          // another worker wrote
)

// survey looks at the log from the last fact that this session knows on. stored facts of the batch are in it, because the word that they are was lost; behind
// them stands more, which was told from outside.
func (s *session) survey() (stored int, more []run.Fact, known standing) {
	facts, err := s.engine.store.Load(s.ctx, s.id, s.head-1)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && len(facts) == 0:
		return 0, nil, shorter
	case err != nil:
		return 0, nil, away
	case !same(facts[0], s.last):
		return 0, nil, another
	}
	facts = facts[1:]
	for stored < len(facts) && stored < len(s.batch) && same(facts[stored], s.batch[stored]) {
		stored++
	}
	for _, f := range facts[stored:] {
		switch f.Body.(type) {
		case *run.Answered, *run.PauseAsked, *run.ResumeAsked, *run.CancelAsked:
		default:
			return stored, nil, another
		}
	}
	return stored, facts[stored:], asKnown
}

// lose ends a session whose lease is back and whose run another worker has carried on meanwhile, and left: who takes it up sees how far it got.
func (s *session) lose() {
	s.err = errResting
	s.appointment = &appointment{id: s.id, at: time.Now(), priority: s.priority}
	s.engine.release(s.lease.Load().Lease)
}

// venture does what may be done without the store. It reports whether that brought something new.
func (s *session) venture() (again bool) {
	o := s.out
	if !o.declared && s.now.Sub(o.since) < hiccup {
		return false
	}
	if !o.declared {
		o.declared = true
		for _, f := range s.batch {
			s.unstored(f)
		}
	}
	for _, r := range s.replies {
		if r.err == nil {
			r.err = runs.ErrUnavailable // what is in the batch may be stored yet: who asks again finds out
		}
		r.to <- r.err
	}
	s.replies = s.replies[:0]
	for i := range s.sources {
		s.sources[i].reply = nil
	}
	planned := s.planned
	s.planned = nil
	for _, f := range planned {
		switch {
		case f.told:
			s.withdraw(f)
			again = true
		case s.ventures(f.wish):
			f.early = true
			s.launch(f, false)
		default:
			s.planned = append(s.planned, f)
		}
	}
	if len(s.inline) > 0 && s.engine.outages.room(s.now) {
		flights := slices.Clone(s.inline)
		for _, f := range flights {
			f.early, f.launched = true, true
		}
		clear(s.inline)
		s.inline = s.inline[:0]
		s.fanOut(flights)
	}
	return again
}

// ventures reports whether a call may begin without the store: it may be made twice, needs nothing that is kept there, and there is room for what comes of it.
func (s *session) ventures(w *run.CallWish) bool {
	if w.Callee.Free && !w.Callee.FreeWith(w.Args) || !w.Callee.Free && w.Callee.Effect != types.Think && w.Callee.Effect != types.Read {
		return false
	}
	return !apart(w) && s.engine.outages.room(s.now)
}

// apart reports whether something that a call sends is kept apart from facts.
func apart(w *run.CallWish) bool {
	return w.Persona != nil || eval.HoldsLarge(w.Args) || eval.HoldsLarge(w.Text) || w.Repair != nil && eval.HoldsLarge(w.Repair.Answer)
}

// hold keeps a wish until the store is back.
func (s *session) hold(w run.Wish) { s.out.held = append(s.out.held, w) }

// unstored counts a fact that waits, and tells those who watch what they see nothing of yet.
func (s *session) unstored(f run.Fact) {
	o := s.out
	if !o.declared {
		return
	}
	size := 0
	if text, err := run.EncodeFact(f); err == nil {
		size = len(text)
	}
	o.facts++
	o.bytes += size
	s.engine.outages.add(1, size)
	const waits = "not stored yet: the store cannot be reached"
	switch b := f.Body.(type) {
	case *run.CallStarted:
		s.gallery.progress(runs.Progress{Path: b.Path, Attempt: b.Attempt, Note: "begun, and " + waits})
	case *run.CallDone:
		s.gallery.progress(runs.Progress{Path: b.Path, Attempt: b.Attempt, Note: "answered, and " + waits})
	case *run.CallFailed:
		s.gallery.progress(runs.Progress{Path: b.Path, Attempt: b.Attempt, Note: "failed, and " + waits})
	}
}

// resumes goes on with a call under way after the machine was folded again. Where the log knows nothing of its beginning, because that was not stored, it is
// recorded now, as long as the machine would send the same.
func (s *session) resumes(f *flight, w *run.CallWish) bool {
	if w.Started || w.Callee.FreeWith(w.Args) {
		return true
	}
	if f.wish.Fingerprint == w.Fingerprint && s.record(begun(w)) == nil {
		return true
	}
	s.disown(f)
	return false
}

// restarted records again that a call began whose answer waits, where the log knows nothing of it. It reports whether the answer still is one.
func (s *session) restarted(f *flight) bool {
	if f.disowned {
		return false
	}
	id := f.wish.ID()
	i := slices.IndexFunc(s.opened, func(w run.Wish) bool { return w.ID() == id })
	if i < 0 {
		return true // nobody waits for it, as its end will say
	}
	w := s.opened[i].(*run.CallWish)
	switch {
	case w.Started:
		return true
	case w.Callee.FreeWith(w.Args):
		return !f.early || !f.looked && reflect.DeepEqual(w.Args, f.wish.Args) && reflect.DeepEqual(w.Text, f.wish.Text)
	case w.Fingerprint != f.wish.Fingerprint:
		return false
	}
	s.opened = slices.Delete(s.opened, i, i+1)
	return s.record(begun(w)) == nil
}

// disown lets a call under way go: what comes of it answers nothing that is asked now.
func (s *session) disown(f *flight) {
	f.disowned = true
	f.muted.Store(true)
	s.alarms.cancel(f.alarm)
	if key := (attempt{f.wish.Path, f.wish.Attempt}); s.flights[key] == f {
		delete(s.flights, key)
	}
	if f.cancel != nil {
		f.cancel(errCancelled)
	}
}

// begun is the fact that a call begins.
func begun(w *run.CallWish) *run.CallStarted {
	return &run.CallStarted{Path: w.Path, Attempt: w.Attempt, Key: w.Key, Fingerprint: w.Fingerprint, Reserved: w.Reserve}
}

// unreachable reports whether an error says that a store could not answer. Every other has a name, or is about what was asked.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	for _, word := range []error{
		store.ErrNotFound, store.ErrExists, store.ErrHeld, store.ErrFenced, store.ErrConflict, store.ErrFinished, store.ErrCursor, store.ErrCorrupt,
		runs.ErrNotFound, runs.ErrFinished, runs.ErrAnswered, runs.ErrNotAsked, runs.ErrAnswer, runs.ErrInput, runs.ErrClosed, runs.ErrBusy, runs.ErrUnavailable, errUnread,
	} {
		if errors.Is(err, word) {
			return false
		}
	}
	return true
}

// How long a caller waits for a store that neither answers nor refuses: less when it is known not to.
const (
	storePatience  = 10 * time.Second
	outagePatience = 500 * time.Millisecond
)

// reached asks the store for something on behalf of a caller, who hears soon when it does not answer. An end of ctx is the caller's own business.
func (e *Engine) reached(ctx context.Context, ask func(context.Context) (run.ID, error)) (run.ID, error) {
	patience := storePatience
	if !e.Outage().Since.IsZero() {
		patience = outagePatience
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id, err := ask(bounded)
	if unreachable(err) && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", runs.ErrUnavailable, err)
	}
	return id, outward(err)
}
