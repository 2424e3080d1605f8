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

// pauseLonger lets the rest before another try pass, and makes the next one longer. It ends early, with the reason, when ctx does.
func pauseLonger(ctx context.Context, rest *time.Duration) error {
	pause(ctx, *rest)
	*rest = min(2**rest, longRest)
	return context.Cause(ctx)
}

// load reads the log of the run. It is false when that cannot be had: the session is over, or the store out of reach.
func (s *session) load(after run.Seq) ([]run.Fact, bool) {
	facts, err := s.engine.store.Load(s.ctx, s.id, after)
	if err != nil {
		s.troubled(err)
	}
	return facts, err == nil
}

// troubled is for an error of the store that a session can do nothing about: it waits, or ends.
func (s *session) troubled(err error) {
	switch {
	case s.ctx.Err() != nil:
		s.err = context.Cause(s.ctx)
	case unreachable(err):
		s.goOut()
	default:
		s.err = err
	}
}

// hear reads what was told to the run from outside. While a batch is being made, or waits, the append will find out by itself.
func (s *session) hear() {
	if len(s.batch) > 0 || s.out != nil {
		return
	}
	facts, err := s.engine.store.Load(s.ctx, s.id, s.head)
	if (err == nil && len(facts) == 0 || errors.Is(err, store.ErrNotFound)) && s.engine.forgets {
		s.mend()
		return
	}
	if err != nil {
		s.troubled(err)
		return
	}
	for _, f := range facts {
		s.advance(f)
	}
}

// advance folds a fact that is stored already and that this session has not made.
func (s *session) advance(f run.Fact) {
	s.head, s.last = f.Seq, f
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

// refold throws the machine away and folds the log again: after an append that came behind facts from outside, or when the end of the log was lost. Calls in
// the air stay there; what had come of calls, callers and clocks and was not stored is taken up again where it still fits.
func (s *session) refold() {
	if s.engine.forgets && !s.mend() {
		return
	}
	facts, ok := s.load(0)
	if !ok {
		return
	}
	sources, base, seen := s.sources, int(s.base), int(s.head)
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
	for _, f := range s.flights {
		if f.early && f.wish.Callee.FreeWith(f.wish.Args) {
			s.disown(f) // it is called again
		}
	}
	for _, f := range planned {
		f.slot = false
		f.give()
		s.inAir--
	}
	if !s.refresh(facts) {
		return
	}
	s.tick()
	s.base = run.Seq(base) // all sources are taken up again, those too whose facts are stored
	news := facts[min(seen, len(facts)):]
	s.gallery.facts(news)
	s.memorize(news)
	s.takeUp(sources, facts[min(base, len(facts)):])
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
				if !ended[attempt{f.wish.Path, f.wish.Attempt}] && s.restarted(f) {
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
			s.reply(l, err)
		case answerLetter:
			b := answered[l.path]
			if b != nil && b.By == l.by && s.equalAnswer(b.Value, l.value) {
				s.reply(l, nil) // it was stored after all
				continue
			}
			s.reply(l, s.answer(l))
		}
	}
}

// reply has a caller told when the batch is stored, unless it was told before that the store is out of reach.
func (s *session) reply(l letter, err error) {
	if l.reply != nil {
		s.replies = append(s.replies, reply{l.reply, err})
	}
}

// equalAnswer compares what is stored with what was answered.
func (s *session) equalAnswer(a, b any) bool {
	n, err := normal(b)
	if err == nil {
		n, err = s.engine.shelve(s.ctx, s.redactor.value(n))
	}
	if err != nil {
		return false
	}
	x, errX := run.EncodeValue(a)
	y, errY := run.EncodeValue(n)
	return errX == nil && errY == nil && string(x) == string(y)
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
	if s.out != nil {
		s.out.held = nil // the machine wishes it again
	}
	for _, f := range facts {
		s.head, s.last = f.Seq, f
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
	s.base = s.head
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
