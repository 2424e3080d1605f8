package pattern

import (
	"context"
	"fmt"
	"slices"
	"sort"
)

// Hap is what a pattern says happens: a value, and the span it is for. It is an Event before its value has become controls.
type Hap struct {
	Whole, Part Span
	Continuous  bool   // there is no Whole: the value was only looked at
	Scale       string // that its note was taken from; "" when none
	Value       any    // float64, string, bool, []any, Controls, *Pattern, or nil
}

// WholeOrPart is the span that decides where the other side of a combination is asked.
func (h Hap) WholeOrPart() Span {
	if h.Continuous {
		return h.Part
	}
	return h.Whole
}

// move puts the hap elsewhere in time. A part that is the whole, as most are, is worked out once.
func (h *Hap) move(f func(Span) Span) {
	part := h.Part
	h.Part = f(part)
	switch {
	case h.Continuous:
	case h.Whole == part:
		h.Whole = h.Part
	default:
		h.Whole = f(h.Whole)
	}
}

// Pattern is a function of time. It never changes, and asking it the same gives the same. The haps of an answer belong to who asked.
type Pattern struct {
	query func(*asking, Span) []Hap
	// Steps is how many steps a cycle of it has, for what counts steps; 0 when nobody can say.
	Steps Time
	// pure is the value of a pattern that is the same once every cycle, which most arguments are.
	pure   any
	isPure bool
	// parts is how many patterns it was put together of, which is what making it costs when it is made anew for each event.
	parts int
}

// asking is one question put to a pattern, and what it may still cost.
type asking struct {
	ctx  context.Context
	left int
	kept map[keptFor]*Pattern
}

// keptFor names what With made of a value, so that a value that comes every cycle is not worked out every cycle.
type keptFor struct {
	with  *Pattern
	value any
}

func (a *asking) made(with *Pattern, v any) *Pattern {
	switch v.(type) {
	case float64, string, bool:
		return a.kept[keptFor{with, v}]
	}
	return nil
}

func (a *asking) keep(with *Pattern, v any, p *Pattern) {
	switch v.(type) {
	case float64, string, bool:
		if a.kept == nil {
			a.kept = map[keptFor]*Pattern{}
		}
		if len(a.kept) < 4096 {
			a.kept[keptFor{with, v}] = p
		}
	}
}

func (a *asking) spend(n int) {
	before := a.left
	a.left -= n + 1
	if a.left < 0 {
		panic(ErrMany)
	}
	if before>>12 != a.left>>12 { // looked at every few thousand steps
		if err := a.ctx.Err(); err != nil {
			panic(stopped{err})
		}
	}
}

// stopped carries the end of a context out of a deep query.
type stopped struct{ err error }

// Mistake is what is wrong with a value that a pattern came upon while it was asked. Who built the pattern may know where it was written.
type Mistake struct {
	Message string
	Hint    string
	At      any // set by who catches it
}

func (m *Mistake) Error() string { return m.Message }

// Fail stops the query, or the building of a pattern, with a mistake. Query and Guard catch it.
func Fail(format string, args ...any) {
	panic(&Mistake{Message: fmt.Sprintf(format, args...)})
}

// Guard turns what the functions of this package panic with on bad input into an error. Other panics pass.
func Guard(err *error) {
	switch p := recover().(type) {
	case nil:
	case *Mistake:
		*err = p
	case stopped:
		*err = p.err
	case error:
		if p != ErrFine && p != ErrMany {
			panic(p)
		}
		*err = p
	default:
		panic(p)
	}
}

// Query gives what happens from begin to end, and how many steps it took to find that. It takes at most limit steps.
func (p *Pattern) Query(ctx context.Context, begin, end Time, limit int) (haps []Hap, steps int, err error) {
	a := &asking{ctx: ctx, left: limit}
	defer func() { steps = limit - a.left }()
	defer Guard(&err)
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	return p.ask(a, Span{begin, end}), 0, nil
}

func (p *Pattern) ask(a *asking, s Span) []Hap {
	a.spend(0)
	haps := p.query(a, s)
	a.spend(len(haps))
	return haps
}

// newPattern makes a pattern of a function that may be asked for any span.
func newPattern(query func(*asking, Span) []Hap) *Pattern { return &Pattern{query: query} }

// perCycle makes a pattern of a function that is only asked within one cycle.
func perCycle(query func(a *asking, cycle int64, s Span) []Hap) *Pattern {
	return newPattern(func(a *asking, s Span) []Hap {
		first := s.Begin.Floor()
		if s.End.Cmp(Cycles(first+1)) <= 0 {
			return query(a, first, s)
		}
		var out []Hap
		for s.Begin.Before(s.End) {
			a.spend(0)
			cycle := s.Begin.Floor()
			end := Earlier(s.End, Cycles(cycle+1))
			out = append(out, query(a, cycle, Span{s.Begin, end})...)
			s.Begin = end
		}
		return out
	})
}

// withSteps is p that counts so many steps.
func (p *Pattern) withSteps(n Time) *Pattern {
	q := *p
	q.Steps = n
	return &q
}

// of notes how many parts a pattern that nobody else has yet was put together of.
func (p *Pattern) of(parts int) *Pattern {
	p.parts = parts
	return p
}

// Silence is nothing.
func Silence() *Pattern {
	return newPattern(func(*asking, Span) []Hap { return nil }).withSteps(Cycles(1))
}

// Pure is a value once every cycle.
func Pure(value any) *Pattern {
	return &Pattern{pure: value, isPure: true, Steps: Cycles(1), query: func(a *asking, s Span) []Hap {
		first := s.Begin.Floor()
		if !s.Begin.Before(s.End) || s.End.Cmp(Cycles(first+1)) <= 0 {
			return []Hap{{Whole: Span{Cycles(first), Cycles(first + 1)}, Part: s, Value: value}}
		}
		var out []Hap
		for c := first; Cycles(c).Before(s.End); c++ {
			a.spend(0)
			whole := Span{Cycles(c), Cycles(c + 1)}
			out = append(out, Hap{Whole: whole, Part: Span{Later(s.Begin, whole.Begin), Earlier(s.End, whole.End)}, Value: value})
		}
		return out
	}}
}

// Constant gives the value of a pure pattern.
func (p *Pattern) Constant() (value any, ok bool) { return p.pure, p.isPure }

// Signal is a continuous value: f of the time at which it is looked at.
func Signal(f func(Time) any) *Pattern {
	return newPattern(func(_ *asking, s Span) []Hap {
		return []Hap{{Part: s, Continuous: true, Value: f(s.Begin)}}
	})
}

// Map changes every value.
func (p *Pattern) Map(f func(any) any) *Pattern {
	if p.isPure {
		return Pure(f(p.pure)).withSteps(p.Steps)
	}
	return newPattern(func(a *asking, s Span) []Hap {
		haps := p.ask(a, s)
		for i := range haps {
			haps[i].Value = f(haps[i].Value)
			if made, ok := haps[i].Value.(*Pattern); ok {
				a.spend(4 * made.parts) // a part costs a pattern
			}
		}
		return haps
	}).withSteps(p.Steps)
}

// MapHaps changes every hap's value and scale.
func (p *Pattern) MapHaps(f func(Hap) Hap) *Pattern {
	return p.mapHaps(func(h Hap) (Hap, bool) { return f(h), true })
}

// mapHaps changes every hap, and leaves out those for which ok is false.
func (p *Pattern) mapHaps(f func(Hap) (Hap, bool)) *Pattern {
	return newPattern(func(a *asking, s Span) []Hap {
		haps := p.ask(a, s)
		out := haps[:0]
		for _, h := range haps {
			if h, ok := f(h); ok {
				out = append(out, h)
			}
		}
		return out
	}).withSteps(p.Steps)
}

// Filter keeps the values that f holds for.
func (p *Pattern) Filter(f func(any) bool) *Pattern {
	return p.mapHaps(func(h Hap) (Hap, bool) { return h, f(h.Value) })
}

// Collect hands f the haps of each question, those of the same whole together, and plays what it gives.
func (p *Pattern) Collect(f func(together []Hap) []Hap) *Pattern {
	return newPattern(func(a *asking, s Span) []Hap {
		var out []Hap
		haps := p.ask(a, s)
		used := make([]bool, len(haps))
		for i, h := range haps {
			if used[i] {
				continue
			}
			a.spend(len(haps))
			var same []Hap
			for j := i; j < len(haps); j++ {
				if !used[j] && haps[j].Whole == h.Whole && haps[j].Continuous == h.Continuous {
					same, used[j] = append(same, haps[j]), true
				}
			}
			out = append(out, f(same)...)
		}
		return out
	})
}

// shift moves questions and answers apart by functions of time that undo each other.
func (p *Pattern) shift(question, answer func(Time) Time) *Pattern {
	span := func(s Span, f func(Time) Time) Span { return Span{f(s.Begin), f(s.End)} }
	return newPattern(func(a *asking, s Span) []Hap {
		haps := p.ask(a, span(s, question))
		for i := range haps {
			haps[i].move(func(s Span) Span { return span(s, answer) })
		}
		return haps
	})
}

// Late moves p later by so many cycles, Early earlier.
func (p *Pattern) Late(by Time) *Pattern {
	if by.Sign() == 0 {
		return p
	}
	return p.shift(func(t Time) Time { return t.Sub(by) }, func(t Time) Time { return t.Add(by) }).withSteps(p.Steps)
}

func (p *Pattern) Early(by Time) *Pattern { return p.Late(by.Neg()) }

// Fast plays p that many times as fast, Slow that many times slower; 0 is silence.
func (p *Pattern) Fast(factor Time) *Pattern {
	if factor.Sign() == 0 {
		return Silence()
	}
	if factor.Sign() < 0 {
		Fail("a pattern cannot be played %s times as fast: use rev to play it backwards", factor)
	}
	if factor == Cycles(1) {
		return p
	}
	return p.shift(func(t Time) Time { return t.Mul(factor) }, func(t Time) Time { return t.Div(factor) }).withSteps(p.Steps)
}

func (p *Pattern) Slow(factor Time) *Pattern {
	if factor.Sign() == 0 {
		return Silence()
	}
	return p.Fast(Cycles(1).Div(factor))
}

// Stack plays all at once.
func Stack(all ...*Pattern) *Pattern {
	if len(all) == 1 {
		return all[0]
	}
	return newPattern(func(a *asking, s Span) []Hap {
		answers := make([][]Hap, len(all))
		for i, p := range all {
			answers[i] = p.ask(a, s)
		}
		return slices.Concat(answers...)
	}).withSteps(commonSteps(all)).of(len(all))
}

func commonSteps(all []*Pattern) Time {
	steps := Time{}
	for i, p := range all {
		switch {
		case p.Steps.Sign() <= 0 || p.Steps.Den() != 1 || steps.Num() > 1<<20:
			return Time{}
		case i == 0:
			steps = p.Steps
		default:
			steps = Cycles(product(steps.Num()/gcd(steps.Num(), p.Steps.Num()), p.Steps.Num()))
		}
	}
	return steps
}

// Cat plays one after the other, a cycle each; every pattern goes on where it was when its turn comes again.
func Cat(all ...*Pattern) *Pattern {
	switch len(all) {
	case 0:
		return Silence()
	case 1:
		return all[0]
	}
	n := int64(len(all))
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		turn := floorMod(cycle, n)
		// The pattern's own cycle is the number of its turns so far.
		offset := Cycles(cycle - (cycle-turn)/n)
		haps := all[turn].ask(a, Span{s.Begin.Sub(offset), s.End.Sub(offset)})
		for i := range haps {
			haps[i].move(func(s Span) Span { return Span{s.Begin.Add(offset), s.End.Add(offset)} })
		}
		return haps
	}).withSteps(commonSteps(all)).of(len(all))
}

// FastCat squeezes all into one cycle.
func FastCat(all ...*Pattern) *Pattern {
	if len(all) == 1 {
		return all[0]
	}
	return Cat(all...).Fast(Cycles(int64(max(1, len(all))))).withSteps(Cycles(int64(len(all)))).of(len(all))
}

// Weighted is a pattern and the share it has of a cycle.
type Weighted struct {
	Weight  Time
	Pattern *Pattern
}

// TimeCat squeezes all into one cycle, each as long as its weight among all says.
func TimeCat(all ...Weighted) *Pattern {
	total := Time{}
	for _, w := range all {
		total = total.Add(w.Weight)
	}
	if total.Sign() <= 0 {
		return Silence()
	}
	if len(all) == 1 {
		return all[0].Pattern.withSteps(total)
	}
	begins := make([]Time, len(all)+1)
	for i, w := range all {
		begins[i+1] = begins[i].Add(w.Weight.Div(total))
	}
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		var out []Hap
		sam := Cycles(cycle)
		from, to := s.Begin.Sub(sam), s.End.Sub(sam)
		first := sort.Search(len(all), func(i int) bool { return from.Before(begins[i+1]) })
		for i := first; i < len(all); i++ {
			if to.Cmp(begins[i]) <= 0 && from != to {
				break
			}
			if begins[i] == begins[i+1] {
				continue
			}
			out = append(out, all[i].Pattern.squeezed(a, cycle, Span{begins[i], begins[i+1]}, s)...)
			if from == to {
				break
			}
		}
		return out
	}).withSteps(total).of(len(all))
}

// squeezed gives what p does in a cycle when that cycle is squeezed into a part of it, within s.
func (p *Pattern) squeezed(a *asking, cycle int64, into, s Span) []Hap {
	sam := Cycles(cycle)
	begin, length := sam.Add(into.Begin), into.Length()
	window, ok := s.Meet(Span{begin, sam.Add(into.End)})
	if !ok {
		return nil
	}
	in := func(t Time) Time { return t.Sub(begin).Div(length).Add(sam) }
	out := func(t Time) Time { return t.Sub(sam).Mul(length).Add(begin) }
	haps := p.ask(a, Span{in(window.Begin), in(window.End)})
	for i := range haps {
		haps[i].move(func(s Span) Span { return Span{out(s.Begin), out(s.End)} })
	}
	return haps
}

func floorMod(a, n int64) int64 {
	if m := a % n; m < 0 {
		return m + n
	} else {
		return m
	}
}
