package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/store"
)

// sharing is how the processes of one store keep their limits together. A process holds slots of the store and lends them to its calls; while the same agent is
// called again and again no call asks the store. What nobody needs goes back after a moment, what everybody needs goes round.
type sharing struct {
	limits store.Limits
	owner  string
	ctx    context.Context
	do     func(func())
}

const (
	slotTTL    = 15 * time.Second       // of a slot, which is extended at a third of it: what a crash costs others
	slotIdle   = time.Second            // how long a slot that nobody needs stays here
	slotTurn   = 2 * time.Second        // how long a slot stays here when others may want it
	slotAsk    = 100 * time.Millisecond // between two tries to get one
	permitWait = time.Second            // between two tries to get a permit of a rate, at most
)

// loan is what a process holds of a number of slots that is shared. It is guarded by the limits.
type loan struct {
	name  string
	held  []lent
	count int       // holders named so far
	after time.Time // others may go first
	timer *time.Timer
}

type lent struct {
	holder string
	since  time.Time
}

// permits are the calls of an agent that the shared rates allow and that have not begun.
type permits struct {
	name  string
	rates []store.Rate
	left  int
}

// share has a line draw on the store.
func (sh *sharing) share(ln *line, name string, bounds agent.Limits) {
	if ln.pot.limit > 0 && ln.pot.loan == nil {
		ln.pot.loan = &loan{name: "slots of " + name}
		if bounds.Shared != "" {
			ln.pot.loan.name = "slots shared by " + bounds.Shared
		}
	}
	if bounds.PerSecond > 0 || bounds.PerMinute > 0 {
		ln.permits = &permits{name: name}
		if bounds.PerMinute > 0 {
			ln.permits.rates = append(ln.permits.rates, store.Rate{Count: bounds.PerMinute, Per: time.Minute})
		}
		if bounds.PerSecond > 0 {
			ln.permits.rates = append(ln.permits.rates, store.Rate{Count: bounds.PerSecond, Per: time.Second})
		}
	}
}

// short reports whether a call would have to wait for the store's word.
func (ln *line) short() bool {
	return ln.pot.loan != nil && len(ln.pot.loan.held) <= ln.pot.used || ln.permits != nil && ln.permits.left == 0
}

// send has somebody ask the store for what a line is short of. The limits are locked.
func (ln *line) send() {
	l := ln.limits
	if l.sharing == nil || l.closed || l.sharing.ctx.Err() != nil || ln.asking || !ln.awaited() || ln.pot.empty() || !ln.short() {
		return
	}
	ln.asking = true
	l.sharing.do(ln.ask)
}

// ask gets one thing after another, until the line is not short or nobody waits in it.
func (ln *line) ask() {
	l, sh := ln.limits, ln.limits.sharing
	for {
		l.mu.Lock()
		served := l.serve()
		ln.tidy()
		if l.closed || sh.ctx.Err() != nil || !ln.awaited() || ln.pot.empty() || !ln.short() {
			ln.asking = false
			l.mu.Unlock()
			call(served)
			return
		}
		lender := ln.pot.loan
		slot := lender != nil && len(lender.held) <= ln.pot.used
		var holder string
		var rest time.Duration
		if slot {
			lender.count++
			holder = fmt.Sprint(sh.owner, "/", lender.count)
			rest = time.Until(lender.after)
		}
		l.mu.Unlock()
		call(served)
		switch {
		case rest > 0:
			pause(sh.ctx, rest)
		case slot:
			ok, err := sh.limits.Take(sh.ctx, lender.name, holder, ln.pot.limit, slotTTL)
			if err != nil || !ok {
				pause(sh.ctx, slotAsk)
				continue
			}
			l.mu.Lock()
			lender.held = append(lender.held, lent{holder, time.Now()})
			l.mu.Unlock()
		case sh.permit(ln.permits):
			l.mu.Lock()
			ln.permits.left++
			l.mu.Unlock()
		}
	}
}

// permit gets the word of every rate for one more call.
func (sh *sharing) permit(p *permits) bool {
	for i, rate := range p.rates {
		for {
			wait, err := sh.limits.Pass(sh.ctx, fmt.Sprint("rate ", i, " of ", p.name), rate)
			if err == nil && wait == 0 {
				break
			}
			if err != nil {
				wait = permitWait
			}
			if pause(sh.ctx, min(wait, permitWait)); sh.ctx.Err() != nil {
				return false
			}
		}
	}
	return true
}

// settle gives slots back: one that was here for its turn while calls wait, since others may wait too; later those that nobody needs. The limits are locked.
func (p *pot) settle(l *limits, wanted bool) {
	b := p.loan
	if b == nil || len(b.held) <= p.used {
		return
	}
	if wanted && time.Since(b.held[0].since) > slotTurn {
		b.after = time.Now().Add(2 * slotAsk)
		l.sharing.back(b.name, b.held[:1])
		b.held = slices.Delete(b.held, 0, 1)
		return
	}
	if b.timer != nil {
		return
	}
	b.timer = time.AfterFunc(slotIdle, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		b.timer = nil
		if len(b.held) > p.used && !l.closed {
			l.sharing.back(b.name, b.held[p.used:])
			b.held = b.held[:p.used]
		}
	})
}

// back gives slots to the store. One that does not arrive lapses.
func (sh *sharing) back(name string, held []lent) {
	held = slices.Clone(held)
	sh.do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(sh.ctx), releaseTimeout)
		defer cancel()
		for _, h := range held {
			_ = sh.limits.Give(ctx, name, h.holder)
		}
	})
}

// extend makes the slots that are held here last. One that was lost is not lent again.
func (l *limits) extend() {
	l.mu.Lock()
	pots := map[*pot][]lent{}
	for _, ln := range l.lines {
		if b := ln.pot.loan; b != nil && len(b.held) > 0 {
			pots[ln.pot] = slices.Clone(b.held)
		}
	}
	l.mu.Unlock()
	for p, held := range pots {
		for _, h := range held {
			ok, err := l.sharing.limits.Take(l.sharing.ctx, p.loan.name, h.holder, p.limit, slotTTL)
			if err != nil || ok {
				continue
			}
			l.mu.Lock()
			p.loan.held = slices.DeleteFunc(p.loan.held, func(o lent) bool { return o.holder == h.holder })
			l.mu.Unlock()
		}
	}
}

// sharer makes the slots of this process last.
func (e *Engine) sharer() {
	defer e.group.Done()
	for e.ctx.Err() == nil {
		pause(e.ctx, slotTTL/3)
		e.limits.extend()
		e.flows.extend()
	}
}
