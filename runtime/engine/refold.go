package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// How long a session waits before it asks a store again that did not answer.
const (
	firstRest = 10 * time.Millisecond
	longRest  = time.Second

	longestRest = time.Minute // between two tries of a run that cannot be taken up
)

// pause lets the rest before another try pass, and makes the next one longer. It ends early, with the reason, when the session does.
func (s *session) pause(rest *time.Duration) error {
	timer := time.NewTimer(*rest)
	select {
	case <-timer.C:
	case <-s.ctx.Done():
		timer.Stop()
		return context.Cause(s.ctx)
	}
	*rest = min(2**rest, longRest)
	return nil
}

// load reads the log of the run until the store answers or the session ends.
func (s *session) load(after run.Seq) ([]run.Fact, error) {
	rest := firstRest
	for {
		facts, err := s.engine.store.Load(s.ctx, s.id, after)
		if err == nil || errors.Is(err, store.ErrNotFound) {
			return facts, err
		}
		if err := s.pause(&rest); err != nil {
			return nil, err
		}
	}
}

// hear reads what was told to the run from outside. While a batch is being made the append will find out by itself.
func (s *session) hear() {
	if len(s.batch) > 0 {
		return
	}
	facts, err := s.load(s.head)
	if (err == nil && len(facts) == 0 || errors.Is(err, store.ErrNotFound)) && s.engine.forgets {
		err = s.mend()
	}
	if err != nil {
		s.err = err
		return
	}
	for _, f := range facts {
		s.advance(f)
	}
}

// advance folds a fact that is stored already and that this session has not made.
func (s *session) advance(f run.Fact) {
	s.head = f.Seq
	if f.At.After(s.now) {
		s.now = f.At.UTC().Round(0)
	}
	delta, err := s.machine.Apply(f)
	if err == nil {
		s.remember(f.Body)
		s.follow(f.Body, delta)
	} else if !errors.Is(err, machine.ErrStale) {
		s.err = fmt.Errorf("run %s cannot go on after fact %d: %w", s.id, f.Seq, err)
	}
	s.gallery.facts([]run.Fact{f})
	s.memorize([]run.Fact{f})
}

// remember keeps of a fact what the session itself needs to know.
func (s *session) remember(b run.Body) {
	switch b := b.(type) {
	case *run.Asked:
		form := b.Form
		if s.asks == nil {
			s.asks = map[run.Path]*run.Form{}
		}
		s.asks[b.Path], s.relist = &form, true
	case *run.Answered:
		if s.asks[b.Path] != nil {
			delete(s.asks, b.Path)
			s.over(b.Path)
		}
	}
}

// refold throws the machine away and folds the log again: after an append whose fate is unknown, or one that came behind facts from outside. Calls in the
// air stay there; what had come of calls, callers and clocks and was not stored is taken up again where it still fits.
func (s *session) refold() {
	sources, replies, seen := s.sources, s.replies, s.head
	s.sources, s.replies, s.batch = nil, nil, nil
	s.careful = true
	planned, inline := s.planned, s.inline
	s.planned, s.inline = nil, nil
	s.grounded = map[attempt]bool{}
	for _, f := range append(planned, inline...) {
		key := attempt{f.wish.Path, f.wish.Attempt}
		delete(s.flights, key)
		s.grounded[key] = true
	}
	if s.engine.forgets {
		if err := s.mend(); err != nil {
			s.err, s.replies = err, replies
			return
		}
	}
	if !s.fold() {
		s.replies = replies
		return
	}
	for _, f := range planned {
		f.slot = false
		f.give()
		s.inAir--
	}
	facts, err := s.load(seen)
	if err != nil {
		s.err = err
		s.replies = replies
		return
	}
	s.tick()
	s.gallery.facts(facts)
	s.memorize(facts)
	s.takeUp(sources, facts)
}

// takeUp lets what a batch came of take effect again, as far as it is not among the facts that are stored.
func (s *session) takeUp(sources []letter, stored []run.Fact) {
	ended := map[attempt]bool{}
	answered := map[run.Path]*run.Answered{}
	requested := map[string]bool{}
	for _, f := range stored {
		switch b := f.Body.(type) {
		case *run.CallDone:
			ended[attempt{b.Path, b.Attempt}] = true
		case *run.CallFailed:
			ended[attempt{b.Path, b.Attempt}] = true
		case *run.CallEnded:
			ended[attempt{b.Path, b.Attempt}] = true
		case *run.Answered:
			if answered[b.Path] == nil {
				answered[b.Path] = b
			}
		case *run.PauseAsked, *run.ResumeAsked, *run.CancelAsked:
			requested[f.String()] = true
		}
	}
	s.sources = append(s.sources, sources...) // until they are stored
	for _, l := range sources {
		switch l.kind {
		case resultLetter, resultsLetter:
			flights := l.flights
			if l.flight != nil {
				flights = []*flight{l.flight}
			}
			for _, f := range flights {
				if !ended[attempt{f.wish.Path, f.wish.Attempt}] {
					f.closed = false
					s.conclude(f)
				}
			}
		case ringLetter:
			if f := l.flight; f != nil && !ended[attempt{f.wish.Path, f.wish.Attempt}] {
				s.abandon(f)
			}
		case bodyLetter:
			s.record(l.body)
		case requestLetter:
			var err error
			if !requested[(run.Fact{Body: l.body}).String()] {
				err = s.request(l)
			}
			s.replies = append(s.replies, reply{l.reply, err})
		case answerLetter:
			b := answered[l.path]
			if b != nil && b.By == l.by && s.equalAnswer(b.Value, l.value) {
				s.replies = append(s.replies, reply{l.reply, nil}) // it was stored after all
				continue
			}
			s.replies = append(s.replies, reply{l.reply, s.answer(l)})
		}
	}
}

// equalAnswer compares what is stored with what was answered.
func (s *session) equalAnswer(a, b any) bool {
	n, err := normal(b)
	if err == nil {
		n, err = s.shelve(s.redactor.value(n))
	}
	if err != nil {
		return false
	}
	x, errX := run.EncodeValue(a)
	y, errY := run.EncodeValue(n)
	return errX == nil && errY == nil && string(x) == string(y)
}

// fold makes the machine anew from the log.
func (s *session) fold() bool {
	facts, err := s.load(0)
	if err != nil {
		s.err = err
		return false
	}
	return s.refresh(facts)
}

// refresh makes the machine anew from all facts of the log, and looks at all it wishes.
func (s *session) refresh(facts []run.Fact) bool {
	memory := rebuild{session: s, open: map[run.Path]*run.CallWish{}}
	s.machine = machine.New(s.id, s.plan)
	s.opened, s.inline, s.queue = nil, nil, nil
	s.asks, s.answered = nil, nil
	for id, p := range s.parked {
		s.unpark(id, p)
	}
	for _, f := range facts {
		s.head = f.Seq
		if f.At.After(s.now) {
			s.now = f.At.UTC().Round(0)
		}
		delta, err := s.machine.Apply(f)
		if err == nil {
			err = memory.see(f, delta)
		}
		if err != nil && !errors.Is(err, machine.ErrStale) {
			s.err = fmt.Errorf("run %s cannot go on after fact %d: %w", s.id, f.Seq, err)
			return false
		}
		if err == nil {
			s.remember(f.Body)
		}
	}
	s.memory.Restore(memory.state)
	if s.finished = s.machine.Finished(); s.finished != nil {
		return true
	}
	open := map[run.Path]bool{}
	for w := range s.machine.Open() {
		s.opened = append(s.opened, w)
		if ask, ok := w.(*run.AskWish); ok {
			open[ask.Path] = true
		}
	}
	for path := range s.asks {
		if !open[path] { // nobody answered in time, or nobody needs it any more
			delete(s.asks, path)
			s.over(path)
		}
	}
	return true
}
