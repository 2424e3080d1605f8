package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/slopstudios/slop/runtime/run"
)

// Status says in a word whether an agent can be called.
type Status string

// Only Offline, and only while the breaker is open, and Disabled keep a call from being made.
const (
	Available Status = "available"
	Busy      Status = "busy"     // as many calls are under way as it takes at a time
	Degraded  Status = "degraded" // it failed lately, or part of what it reaches does
	Offline   Status = "offline"  // it failed again and again, or its last check did
	Disabled  Status = "disabled" // somebody turned it off
)

// Health is what is known of an agent in this process.
type Health struct {
	Status   Status
	Reason   string // why it is not available
	Calls    int64  // that ended
	Failures int64  // of those, the ones that were the agent's own fault
	InARow   int    // failures since it last answered
	Active   int    // calls under way
	Lost     int    // calls that did not end when they were told to, and that nobody waits for

	LastError  string // secrets blacked out
	LastFailed time.Time
	RetryAt    time.Time // when a call is tried again; zero: now

	Checked time.Time // zero: never
	Err     error     // what the last check found, until a call succeeds; nil: it can be called
}

// How a breaker decides. A single call with `retry 3` is four failures and opens none.
const (
	// TripAfter failures in a row open the breaker. Of calls that were under way together when the first of them failed only one counts: a hiccup of a server
	// that fifty calls wait for is one piece of bad news.
	TripAfter = 5
	// OpenFor is how long calls then fail at once. The first one behind it goes through and decides.
	OpenFor = 15 * time.Second
	// A call that comes so long before the breaker half-opens waits: it is a retry that was told when to come.
	almost = time.Second
	// So long other calls wait for the one that goes through, so that a retry is not used up by a server that is well again.
	probePatience = 5 * time.Second
	// A timeout below this says more about the script than about the agent.
	minTimeout = 5 * time.Second
	// So many calls of an agent may be lost; each is a goroutine, and what it holds, for good.
	maxLost = 100
	// So many places are told apart.
	maxPlaces = 256
	// A failure is news for so long.
	recent = 5 * time.Minute
)

// Reacher is an Agent whose calls reach places that have nothing to do with each other, such as hosts.
type Reacher interface {
	// Reaches names what a call depends on. Failures there say nothing about calls that depend on something else; with "" they say nothing about any other
	// call. An agent that is no Reacher is one such place.
	Reaches(c *Call) string
}

// Vitals watches the calls of one agent. A breaker opens when it fails again and again: then calls fail at once, as unavailable and with the time at which
// the next may come, so that an `else` takes over and nobody waits for a service that is down. It closes by itself, with the first call that is answered.
//
//	closed ──5 failures in a row──▶ open ──15 s──▶ half-open ──one call is answered──▶ closed
//	                                  ◀────────────it fails───────┘
//
// What it decides is the outcome of an attempt like any other: a host records it as CallFailed, and a replay never asks it.
type Vitals struct {
	name    string
	reaches func(c *Call) string
	off     atomic.Pointer[string] // why no call is made; nil: calls are

	mu     sync.Mutex
	places map[string]*circuit
	health Health // without Status, Reason and RetryAt, which follow from the rest
}

// circuit is the breaker before one place.
type circuit struct {
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	opened  atomic.Int64 // when, in nanoseconds; set while the breaker is locked
	news    atomic.Uint64

	mu      sync.Mutex
	changed chan struct{} // closed when a call through a half-open breaker has ended
}

// everything is the one place of an agent that is no Reacher.
const everything = "everything"

var (
	errFailed  = errors.New("the agent's fault")
	errNothing = errors.New("says nothing about the agent")
)

func newVitals(name string, a Agent) *Vitals {
	v := &Vitals{name: name, places: map[string]*circuit{}, reaches: func(*Call) string { return everything }}
	if r, ok := a.(Reacher); ok {
		v.reaches = r.Reaches
	}
	return v
}

func newCircuit(name string) *circuit {
	c := &circuit{changed: make(chan struct{})}
	c.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: name, MaxRequests: 1, Timeout: OpenFor,
		ReadyToTrip: func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= TripAfter },
		IsExcluded:  func(err error) bool { return err == errNothing },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				c.opened.Store(time.Now().UnixNano())
			}
		},
	})
	return c
}

// rest is how long the breaker stays open.
func (c *circuit) rest() time.Duration {
	return max(0, time.Until(time.Unix(0, c.opened.Load()).Add(OpenFor)))
}

func (c *circuit) change() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *circuit) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Pass is the leave to make one call. Whoever has it says how the call ended.
type Pass struct {
	vitals  *Vitals
	circuit *circuit // nil: the call says nothing about others
	done    func(error)
	news    uint64 // of the circuit when the call began
	probe   bool   // the breaker was half-open
	lost    bool
	ended   bool
}

// Admit gives the leave to make a call now, or, without one, the reply that the call has. It waits for a few seconds at most, and not beyond ctx.
func (v *Vitals) Admit(ctx context.Context, c *Call) (*Pass, Reply) {
	if why := v.off.Load(); why != nil {
		return nil, Fail(run.Unavailable, *why)
	}
	place := v.reaches(c)
	v.mu.Lock()
	if v.health.Lost >= maxLost {
		v.mu.Unlock()
		return nil, v.refuse(OpenFor, fmt.Sprintf("%d of its calls were given up and have not ended", maxLost))
	}
	circuit := v.place(place)
	v.mu.Unlock()
	p := &Pass{vitals: v, circuit: circuit}
	if circuit != nil {
		if reply, ok := v.enter(ctx, p); !ok {
			return nil, reply
		}
	}
	v.mu.Lock()
	v.health.Active++
	v.mu.Unlock()
	return p, Reply{}
}

// place finds the circuit before a place; nil when there is none.
func (v *Vitals) place(name string) *circuit {
	if name == "" {
		return nil
	}
	c := v.places[name]
	if c == nil {
		if len(v.places) >= maxPlaces {
			for name, old := range v.places {
				if old.breaker.State() == gobreaker.StateClosed {
					delete(v.places, name) // at worst it learns anew that the place is down
					break
				}
			}
		}
		c = newCircuit(v.name)
		v.places[name] = c
	}
	return c
}

// enter passes the breaker, or says why it does not.
func (v *Vitals) enter(ctx context.Context, p *Pass) (Reply, bool) {
	c := p.circuit
	var patience *time.Timer // nearly every call is let in at once
	for {
		changed, news := c.change(), c.news.Load()
		done, err := c.breaker.Allow()
		if err == nil {
			p.done, p.news, p.probe = done, news, c.breaker.State() == gobreaker.StateHalfOpen
			return Reply{}, true
		}
		if patience == nil {
			patience = time.NewTimer(probePatience)
			defer patience.Stop()
		}
		open := errors.Is(err, gobreaker.ErrOpenState)
		rest := c.rest()
		if open && rest > almost {
			return v.refuse(rest, ""), false
		}
		soon := time.NewTimer(max(rest, time.Millisecond))
		if !open {
			soon.Stop() // somebody is trying it
		}
		select {
		case <-soon.C:
		case <-changed:
		case <-patience.C:
			soon.Stop()
			return v.refuse(OpenFor, ""), false
		case <-ctx.Done():
			soon.Stop()
			return Fail(run.Stopped, "it was cancelled"), false
		}
		soon.Stop()
	}
}

// refuse is the reply of a call that is not made.
func (v *Vitals) refuse(rest time.Duration, why string) Reply {
	if why == "" {
		v.mu.Lock()
		why = "its last calls failed: " + v.health.LastError
		v.mu.Unlock()
	}
	rest = max(rest.Round(time.Second), time.Second)
	return Reply{
		Outcome: run.Unavailable, RetryAfter: rest,
		Message: fmt.Sprintf("%s is offline and was not called; it is tried again in %v; %s", v.name, rest, why),
	}
}

// End says how the call ended: its outcome, empty when it has an answer, what was said of a failure, and how long the script would have waited for it, where
// it was the script that gave up (0: it did not). Ending twice is ending once.
func (p *Pass) End(outcome run.Outcome, message string, gaveUp time.Duration) {
	verdict := errNothing
	switch outcome {
	case "", run.Refused, run.Invalid, run.Asks:
		verdict = nil // it answered, whatever it said
	case run.Unavailable:
		verdict = errFailed
	case run.Timeout:
		if gaveUp == 0 || gaveUp >= minTimeout {
			verdict = errFailed
		}
	}
	p.settle(verdict, message, false)
}

// Lose says that nobody waits for the end of the call any more, which was told to end. late: because its time was over, not because nobody needed it.
func (p *Pass) Lose(late bool) {
	verdict := errNothing
	if late {
		verdict = errFailed
	}
	p.settle(verdict, "a call did not end when its time was over", true)
}

func (p *Pass) settle(verdict error, message string, lost bool) {
	v := p.vitals
	v.mu.Lock()
	switch {
	case p.ended:
		if p.lost && !lost {
			p.lost = false
			v.health.Lost-- // it came back after all
		}
		v.mu.Unlock()
		return
	case lost:
		p.lost = true
		v.health.Lost++
	}
	p.ended = true
	h := &v.health
	h.Active--
	h.Calls++
	switch verdict {
	case nil:
		h.InARow, h.Err = 0, nil
	case errFailed:
		h.Failures++
		h.InARow++
		h.LastError, h.LastFailed = brief(message), time.Now()
	}
	v.mu.Unlock()

	c := p.circuit
	if c == nil {
		return
	}
	if verdict == errFailed && !p.probe && !c.news.CompareAndSwap(p.news, p.news+1) {
		verdict = errNothing // another call told this already
	}
	p.done(verdict)
	if p.probe {
		c.tell()
	}
}

// brief is the first line of a message.
func brief(message string) string {
	const most = 300
	for i, r := range message {
		if r == '\n' || i >= most {
			return message[:i] + " …"
		}
	}
	return message
}

// look gives the health of the agent, of which slots calls at a time are taken of limit.
func (v *Vitals) look(taken, limit int) Health {
	v.mu.Lock()
	h := v.health
	open, trying := 0, 0
	for _, c := range v.places {
		switch c.breaker.State() {
		case gobreaker.StateOpen:
			open++
			if at := time.Now().Add(c.rest()); h.RetryAt.IsZero() || at.Before(h.RetryAt) {
				h.RetryAt = at
			}
		case gobreaker.StateHalfOpen:
			trying++
		}
	}
	whole := v.places[everything] != nil
	v.mu.Unlock()

	h.Status = Degraded
	why := v.off.Load()
	switch {
	case why != nil:
		h.Status, h.Reason, h.RetryAt = Disabled, *why, time.Time{}
	case h.Err != nil:
		h.Status, h.Reason = Offline, h.Err.Error()
	case h.Lost >= maxLost:
		h.Status, h.Reason = Offline, fmt.Sprintf("%d calls were given up and have not ended", h.Lost)
	case open > 0 && whole:
		h.Status, h.Reason = Offline, h.LastError
	case open > 0:
		h.Reason = fmt.Sprintf("%d of the places it reaches fail; the last: %s", open, h.LastError)
	case trying > 0 || h.InARow > 0 && time.Since(h.LastFailed) < recent:
		h.Reason = h.LastError
	case h.Lost > 0:
		h.Reason = fmt.Sprintf("%d calls were given up and have not ended", h.Lost)
	case limit > 0 && taken >= limit:
		h.Status, h.Reason = Busy, fmt.Sprintf("%d of %d calls at a time are under way", taken, limit)
	default:
		h.Status = Available
	}
	return h
}

// checked keeps what a check found.
func (v *Vitals) checked(at time.Time, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.health.Checked, v.health.Err = at, err
}

// turn has calls fail for a reason, or with none be made.
func (v *Vitals) turn(why string) {
	if why == "" {
		v.off.Store(nil)
		return
	}
	v.off.Store(&why)
}

func (v *Vitals) active() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.health.Active
}
