package machine

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// scope is a budget in force: of the run, of a flow, of a container or of one step. A call reserves from every scope around it before it may start, and
// what it did not use comes back when it has ended. spent + reserved never exceeds a limit, save by what a call used beyond its worst case.
type scope struct {
	id       uint64 // set while a snapshot is taken or read
	parent   *scope
	limits   []plan.Amount
	spent    run.Amount
	reserved run.Amount
	inFlight int
	waiting  []*call // in order; those that were given up in the meantime are skipped
	live     int     // of waiting
	waking   bool
}

// newScope stands for a budget inside parent. Without anything to count it is parent itself.
func newScope(parent *scope, limits []plan.Amount) *scope {
	var counted []plan.Amount
	for _, l := range limits {
		if l.Money > 0 || l.Tokens > 0 || l.Calls > 0 {
			counted = append(counted, l)
		}
	}
	if len(counted) == 0 {
		return parent
	}
	return &scope{parent: parent, limits: counted}
}

func (s *scope) fits(need run.Amount) bool {
	for _, l := range s.limits {
		switch {
		case l.Money > 0 && s.spent.Money+s.reserved.Money+need.Money > l.Money,
			l.Tokens > 0 && s.spent.Tokens+s.reserved.Tokens+need.Tokens > l.Tokens,
			l.Calls > 0 && s.spent.Calls+s.reserved.Calls+need.Calls > l.Calls:
			return false
		}
	}
	return true
}

// lack says in words what does not fit.
func (s *scope) lack(need run.Amount) string {
	for _, l := range s.limits {
		switch {
		case l.Money > 0 && s.spent.Money+need.Money > l.Money:
			return fmt.Sprintf("the call may cost up to %s, and of the budget of %s only %s is left", dollars(need.Money), dollars(l.Money), dollars(max(0, l.Money-s.spent.Money)))
		case l.Tokens > 0 && s.spent.Tokens+need.Tokens > l.Tokens:
			return fmt.Sprintf("the call may take up to %d tokens, and the budget of %d has only %d left", need.Tokens, l.Tokens, max(0, l.Tokens-s.spent.Tokens))
		case l.Calls > 0 && s.spent.Calls+need.Calls > l.Calls:
			return fmt.Sprintf("the budget of %s is spent", several(int(l.Calls), "call"))
		}
	}
	return "the budget is spent"
}

func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func dollars(m plan.Money) string {
	if m%10000 == 0 {
		return fmt.Sprintf("$%d.%02d", m/1000000, m/10000%100)
	}
	return fmt.Sprintf("$%d.%06d", m/1000000, m%1000000)
}

// counts reports whether any scope around has a limit that pick sees.
func (s *scope) counts(pick func(plan.Amount) bool) bool {
	for ; s != nil; s = s.parent {
		for _, l := range s.limits {
			if pick(l) {
				return true
			}
		}
	}
	return false
}

// reserve takes what a call needs from every budget around it. It reports whether the call may start now. If not, the call waits in the scope it
// does not fit into, or, when nothing is in flight there that could give something back, its step has failed.
func (m *Machine) reserve(c *call) bool {
	for s := c.scope; s != nil; s = s.parent {
		if s.live == 0 && s.fits(c.need) {
			continue
		}
		if s.live == 0 && s.inFlight == 0 {
			m.overBudget(c, s)
			return false
		}
		c.state = callBlocked
		m.note(c.node, run.Note{Kind: run.NoteBudget, Path: c.path})
		s.waiting = append(s.waiting, c)
		s.live++
		c.blocked = s
		return false
	}
	m.take(c)
	return true
}

func (m *Machine) take(c *call) {
	for s := c.scope; s != nil; s = s.parent {
		s.reserved = s.reserved.Add(c.need)
		s.inFlight++
	}
	c.reserved = true
}

// settle gives back what a call had reserved and books what it spent.
func (m *Machine) settle(c *call, spent run.Amount) {
	if !c.reserved {
		return
	}
	c.reserved = false
	for s := c.scope; s != nil; s = s.parent {
		s.reserved = s.reserved.Sub(c.need)
		s.spent = s.spent.Add(spent)
		s.inFlight--
		if s.live > 0 && !s.waking {
			s.waking = true
			m.wakes = append(m.wakes, s)
		}
	}
}

// wake lets calls that wait in a scope try again, in their order, as long as they fit. None overtakes the first, so each fact wakes only whom it can serve.
func (m *Machine) wake(s *scope) {
	s.waking = false
	for len(s.waiting) > 0 {
		c := s.waiting[0]
		if c.blocked != s {
			s.waiting = s.waiting[1:]
			continue
		}
		if !s.fits(c.need) && s.inFlight > 0 {
			return
		}
		s.waiting = s.waiting[1:]
		s.live--
		c.blocked = nil
		if !s.fits(c.need) {
			m.overBudget(c, s)
			continue
		}
		if m.reserveAgain(c, s) {
			c.state = callReserved
			m.enqueue(c.node)
		}
	}
	s.waiting = nil
}

// reserveAgain is reserve for a call that has had its turn in the scope awaited.
func (m *Machine) reserveAgain(c *call, awaited *scope) bool {
	for s := c.scope; s != nil; s = s.parent {
		if s.fits(c.need) && (s == awaited || s.live == 0) {
			continue
		}
		if s.live == 0 && s.inFlight == 0 {
			m.overBudget(c, s)
			return false
		}
		c.state = callBlocked
		s.waiting = append(s.waiting, c)
		s.live++
		c.blocked = s
		return false
	}
	m.take(c)
	return true
}

func (m *Machine) overBudget(c *call, s *scope) {
	n := c.node
	m.dropCall(c)
	n.call = nil
	err := m.fault(n, "E_BUDGET", "budget", s.lack(c.need))
	err.Path = c.path
	m.fail(n, err, false)
}

// worstCase is what a call reserves: one call; its input, counted as three runes a token and rounded up; its output at the agent's maximum (or at the
// script's max_tokens); and the price of the model it names. An agent without a maximum reserves its input only: then the overshoot is at most the calls in flight.
func worstCase(sig *types.Signature, w *run.CallWish) run.Amount {
	need := run.Amount{Calls: 1}
	price := priceOf(sig, w)
	if sig.Effect != types.Think && !sig.Structured && price == nil {
		return need
	}
	runes := utf8.RuneCountInString(w.System) + runesIn(w.Text) + runesIn(w.Args)
	if w.Repair != nil {
		runes += runesIn(w.Repair.Answer)
		for _, p := range w.Repair.Problems {
			runes += utf8.RuneCountInString(p)
		}
	}
	if w.Answer != nil {
		runes += runesIn(w.Answer.Value)
	}
	input := int64(runes+2) / 3
	output := int64(sig.MaxOutput)
	if limit, ok := w.Args["max_tokens"].(int); ok && limit > 0 {
		output = int64(limit)
	}
	if asked := int64(sig.Asked()); asked > 1 { // what tools answer comes on top of it: nobody knows how long that will be
		input, output = input*asked, output*asked
	}
	need.Tokens = input + output
	if price != nil { // dollars per million tokens are millionths of a dollar per token
		need.Money = plan.Money(math.Ceil(float64(float64(input)*price.InputAtMost()) + float64(float64(output)*price.Output)))
	}
	return need
}

// priceOf is the price of the model that a call names; nil when nobody knows it.
func priceOf(sig *types.Signature, w *run.CallWish) *types.Price {
	model, _ := w.Args["model"].(string)
	return sig.PriceOf(model)
}

func runesIn(v any) int {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v)
	case []string:
		n := 0
		for _, s := range v {
			n += utf8.RuneCountInString(s) + 1
		}
		return n
	case []any:
		n := 2
		for _, x := range v {
			n += runesIn(x) + 1
		}
		return n
	case types.Parts:
		return runesIn([]any(v))
	case map[string]any:
		n := 2
		for k, x := range v {
			n += utf8.RuneCountInString(k) + runesIn(x) + 4
		}
		return n
	case types.FileValue:
		return int(min(v.Size, math.MaxInt32))
	case types.Large:
		return int(min(v.Size, math.MaxInt32))
	case nil:
		return 0
	}
	return 8
}
