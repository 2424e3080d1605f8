package agent_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// watched registers one agent and gives what watches its calls.
func watched(t *testing.T, a agent.Agent) (*agent.Registry, *agent.Vitals) {
	t.Helper()
	r := agent.NewRegistry()
	if err := r.Register("a", a, nil); err != nil {
		t.Fatal(err)
	}
	return r, r.Vitals("a")
}

func plain() world {
	return world{signatures: []types.Signature{{Name: "a", Effect: types.Think}}, check: func(context.Context) error { return nil }}
}

func health(t *testing.T, r *agent.Registry) agent.Health {
	t.Helper()
	h, ok := r.Health("a")
	if !ok {
		t.Fatal("the agent is not registered")
	}
	return h
}

// attempt makes a call that ends at once; it reports whether it was let through.
func attempt(t *testing.T, v *agent.Vitals, o run.Outcome) bool {
	t.Helper()
	p, reply := v.Admit(t.Context(), &agent.Call{})
	if p == nil {
		if reply.Outcome != run.Unavailable || reply.RetryAfter <= 0 {
			t.Errorf("it was kept out with %+v", reply)
		}
		return false
	}
	p.End(o, "why", 0)
	return true
}

// What counts against an agent: that it cannot be reached, does not answer or crashes. That it says no, or answers badly, does not.
func TestWhatCountsAgainstAnAgent(t *testing.T) {
	for _, c := range []struct {
		outcome run.Outcome
		gaveUp  time.Duration
		opens   bool
	}{
		{run.Unavailable, 0, true},
		{run.Timeout, 0, true},
		{run.Timeout, time.Minute, true},
		{run.Timeout, time.Second, false}, // the script had no patience
		{run.Refused, 0, false},
		{run.Denied, 0, false},
		{run.Invalid, 0, false},
		{run.RateLimited, 0, false},
		{run.Failure, 0, false},
		{run.Stopped, 0, false},
		{run.Interrupted, 0, false},
		{"", 0, false},
	} {
		r, v := watched(t, plain())
		for range 3 * agent.TripAfter {
			if p, _ := v.Admit(t.Context(), &agent.Call{}); p != nil {
				p.End(c.outcome, "why", c.gaveUp)
			}
		}
		if h := health(t, r); (h.Status == agent.Offline) != c.opens {
			t.Errorf("%q, given up after %v: %+v", c.outcome, c.gaveUp, h)
		}
	}
}

// Five failures in a row, and calls fail at once, until one that goes through is answered.
func TestBreakerOpensAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, v := watched(t, plain())
		for i := range agent.TripAfter {
			if i == agent.TripAfter-1 && health(t, r).Status != agent.Degraded {
				t.Errorf("before it opens: %+v", health(t, r))
			}
			if !attempt(t, v, run.Unavailable) {
				t.Fatalf("it opened after %d", i)
			}
		}
		h := health(t, r)
		if h.Status != agent.Offline || h.InARow != agent.TripAfter || h.RetryAt.IsZero() || h.LastError != "why" {
			t.Errorf("open: %+v", h)
		}
		p, reply := v.Admit(t.Context(), &agent.Call{})
		if p != nil || reply.Outcome != run.Unavailable || reply.RetryAfter != agent.OpenFor || !strings.Contains(reply.Message, "why") {
			t.Fatalf("got %+v", reply)
		}

		time.Sleep(reply.RetryAfter)
		if !attempt(t, v, run.Unavailable) {
			t.Error("after retry-after nobody may try")
		}
		if attempt(t, v, "") {
			t.Error("the try failed, and another call goes through")
		}
		time.Sleep(agent.OpenFor)
		for range 2 {
			if !attempt(t, v, "") {
				t.Error("it does not close")
			}
		}
		if h := health(t, r); h.Status != agent.Available || h.InARow != 0 || h.Failures != agent.TripAfter+1 {
			t.Errorf("closed: %+v", h)
		}
	})
}

// Fifty calls that one hiccup ends are one piece of bad news; a call that is told no by a rate limit in the middle changes nothing.
func TestAHiccupOpensNothing(t *testing.T) {
	r, v := watched(t, plain())
	var calls []*agent.Pass
	for range 50 {
		p, _ := v.Admit(t.Context(), &agent.Call{})
		calls = append(calls, p)
	}
	for _, p := range calls {
		p.End(run.Unavailable, "hiccup", 0)
	}
	if h := health(t, r); h.Status != agent.Degraded || h.Failures != 50 {
		t.Errorf("%+v", h)
	}
	if !attempt(t, v, "") {
		t.Error("it opened")
	}
}

// Retries that come back together when the breaker half-opens wait for the one that goes through; none of them is used up by a server that is well again.
func TestRetriesWaitForTheTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, v := watched(t, plain())
		for range agent.TripAfter {
			attempt(t, v, run.Unavailable)
		}
		time.Sleep(agent.OpenFor - 100*time.Millisecond) // a clock that is a little ahead
		var group sync.WaitGroup
		var mu sync.Mutex
		through, together, most := 0, 0, 0
		for range 20 {
			group.Go(func() {
				p, _ := v.Admit(t.Context(), &agent.Call{})
				if p == nil {
					return
				}
				mu.Lock()
				through++
				first := through == 1
				together++
				if first {
					most = together
				}
				mu.Unlock()
				if first {
					time.Sleep(time.Second)
					mu.Lock()
					most = together
					mu.Unlock()
				}
				p.End("", "", 0)
			})
		}
		group.Wait()
		if through != 20 || most != 1 {
			t.Errorf("%d went through, %d beside the first", through, most)
		}
	})
}

// hosts reaches what the call names.
type hosts struct{ world }

func (hosts) Reaches(c *agent.Call) string { s, _ := c.Text.(string); return s }

// A place that fails keeps nobody from another, and what has nothing to do with other calls opens no breaker.
func TestPlacesAreToldApart(t *testing.T) {
	r, v := watched(t, hosts{plain()})
	call := func(place string, o run.Outcome) bool {
		p, _ := v.Admit(t.Context(), &agent.Call{Text: place})
		if p == nil {
			return false
		}
		p.End(o, "down", 0)
		return true
	}
	for range 2 * agent.TripAfter {
		call("dead.example", run.Unavailable)
		call("", run.Unavailable)
	}
	if call("dead.example", "") || !call("well.example", "") || !call("", "") {
		t.Error("places are not told apart")
	}
	if h := health(t, r); h.Status != agent.Degraded || !strings.Contains(h.Reason, "1 of the places") {
		t.Errorf("%+v", h)
	}
	for i := range 2000 {
		call(strings.Repeat("x", i+1), "") // any number of places costs little
	}
}

func TestStatus(t *testing.T) {
	sick := errors.New("no key")
	problem := sick
	a := plain()
	a.check = func(context.Context) error { return problem }
	r, v := watched(t, a)
	if err := r.SetLimits("a", agent.Limits{Limit: 1}); err != nil {
		t.Fatal(err)
	}
	p, _ := v.Admit(t.Context(), &agent.Call{})
	if h := health(t, r); h.Status != agent.Busy || h.Active != 1 {
		t.Errorf("with its only slot taken: %+v", h)
	}
	p.End("", "", 0)
	p.End(run.Unavailable, "twice", 0)
	if h := health(t, r); h.Status != agent.Available || h.Calls != 1 {
		t.Errorf("afterwards: %+v", h)
	}
	r.Check(t.Context())
	if h := health(t, r); h.Status != agent.Offline || h.Reason != "no key" || h.Checked.IsZero() {
		t.Errorf("after a bad check: %+v", h)
	}
	problem = nil
	r.Check(t.Context())
	if h := health(t, r); h.Status != agent.Available {
		t.Errorf("after a good check: %+v", h)
	}
	problem = sick
	r.Check(t.Context())
	attempt(t, v, "")
	if h := health(t, r); h.Status != agent.Available {
		t.Errorf("after an answer: %+v", h)
	}
}

// A host that lives long finds out by itself, and an agent that hangs in its check hangs in one only.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checks atomic.Int64
		release := make(chan struct{})
		a := plain()
		a.check = func(context.Context) error { checks.Add(1); <-release; return nil }
		r, _ := watched(t, a)
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { r.Watch(ctx, time.Minute) })
		time.Sleep(5*time.Minute + time.Second)
		if h := health(t, r); checks.Load() != 1 || h.Status != agent.Offline {
			t.Errorf("%d checks hang, %+v", checks.Load(), h)
		}
		close(release)
		time.Sleep(2 * time.Minute)
		if h := health(t, r); h.Status != agent.Available || checks.Load() < 2 {
			t.Errorf("%d checks, %+v", checks.Load(), h)
		}
		stop()
		group.Wait()
	})
}

// Calls that never end are counted, bounded, and taken off the count when they end after all.
func TestLostCallsAreBounded(t *testing.T) {
	r, v := watched(t, hosts{plain()})
	var lost []*agent.Pass
	for {
		p, _ := v.Admit(t.Context(), &agent.Call{})
		if p == nil || len(lost) > 1000 {
			break
		}
		p.Lose(true)
		lost = append(lost, p)
	}
	if h := health(t, r); h.Status != agent.Offline || h.Lost != len(lost) || len(lost) > 200 || h.Active != 0 {
		t.Errorf("%d were let through: %+v", len(lost), h)
	}
	for _, p := range lost {
		p.End("", "", 0)
	}
	if h := health(t, r); h.Lost != 0 {
		t.Errorf("%+v", h)
	}
}
