package pattern

import (
	"context"
	"testing"
)

// looker is the context of a question that counts the steps between two looks at it.
type looker struct {
	context.Context
	asking *asking
	last   int
	most   int
}

func (l *looker) Err() error {
	l.most = max(l.most, l.last-l.asking.left)
	l.last = l.asking.left
	return nil
}

// However a pattern is made, a question looks at its context every few thousand steps, or after each list of events, when one is longer.
func TestLooks(t *testing.T) {
	const longest = 20_000
	beats := Pure("x").Fast(Cycles(longest))
	for name, p := range map[string]*Pattern{
		"a long list":    beats.Map(func(v any) any { return v }).Filter(func(any) bool { return true }),
		"many questions": Pure(Pure("y")).Fast(Cycles(longest)).Squeeze(),
		"combined":       Pure("x").Fast(Cycles(300)).Mix(Pure("y").Fast(Cycles(300)), func(a, _ any) any { return a }),
		"collected":      Pure("x").Fast(Cycles(500)).Collect(func(h []Hap) []Hap { return h }),
		"asked for each": With(Pure("x").Fast(Cycles(3000)), func(v any) *Pattern { return Pure(v).Fast(Cycles(7)) }),
	} {
		const limit = 1 << 30
		a := &asking{left: limit}
		l := &looker{Context: t.Context(), asking: a, last: limit}
		a.ctx = l
		p.ask(a, Span{Cycles(0), Cycles(1)})
		if l.last == limit || max(l.most, l.last-a.left) > 4096+longest+1 {
			t.Errorf("%s: %d steps between two looks", name, l.most)
		}
	}
}
