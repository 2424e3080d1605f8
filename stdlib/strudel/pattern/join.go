package pattern

import "cmp"

// A pattern of patterns becomes one in several ways. They differ in whose wholes are kept, and in how time inside runs.

func inner(h Hap) *Pattern {
	switch v := h.Value.(type) {
	case *Pattern:
		return v
	case nil:
		return Silence()
	default:
		return Pure(v)
	}
}

// Inner keeps the wholes of the inner patterns.
func (p *Pattern) Inner() *Pattern {
	if p.isPure {
		if q, ok := p.pure.(*Pattern); ok {
			return q
		}
	}
	return newPattern(func(a *asking, s Span) []Hap {
		var out []Hap
		for _, o := range p.ask(a, s) {
			out = append(out, inner(o).ask(a, o.Part)...)
		}
		return out
	})
}

// Outer keeps the wholes of the outer pattern.
func (p *Pattern) Outer() *Pattern {
	return newPattern(func(a *asking, s Span) []Hap {
		var out []Hap
		for _, o := range p.ask(a, s) {
			for _, i := range inner(o).ask(a, o.Part) {
				i.Whole, i.Continuous = o.Whole, o.Continuous
				out = append(out, i)
			}
		}
		return out
	})
}

// Both keeps what the wholes of both share.
func (p *Pattern) Both() *Pattern {
	return newPattern(func(a *asking, s Span) []Hap {
		var out []Hap
		for _, o := range p.ask(a, s) {
			for _, i := range inner(o).ask(a, o.Part) {
				if i, ok := cut(o, i); ok {
					out = append(out, i)
				}
			}
		}
		return out
	})
}

// cut gives of i what it shares with o.
func cut(o, i Hap) (Hap, bool) {
	part, ok := o.Part.Meet(i.Part)
	if !ok {
		return Hap{}, false
	}
	i.Part = part
	if i.Continuous || o.Continuous {
		i.Continuous = true
		return i, true
	}
	i.Whole, ok = o.Whole.Meet(i.Whole)
	return i, ok
}

// Squeeze squeezes a cycle of the inner pattern into each event of the outer one.
func (p *Pattern) Squeeze() *Pattern {
	return p.within(func(i *Pattern, o Hap) *Pattern { return i.into(o.Whole) })
}

// into plays the cycle that begins with a span in that span, and the others before and behind.
func (p *Pattern) into(s Span) *Pattern {
	length := s.Length()
	if length.Sign() <= 0 {
		return Silence()
	}
	return p.Early(s.Begin.Sam()).Fast(Cycles(1).Div(length)).Late(s.Begin)
}

// Restart begins the inner pattern with each event of the outer one, Reset begins its cycle.
func (p *Pattern) Restart() *Pattern {
	return p.within(func(i *Pattern, o Hap) *Pattern { return i.Late(o.Whole.Begin) })
}

func (p *Pattern) Reset() *Pattern {
	return p.within(func(i *Pattern, o Hap) *Pattern { return i.Late(o.Whole.Begin.InCycle()) })
}

// within plays, during each event of the outer pattern, what place makes of the inner one.
func (p *Pattern) within(place func(i *Pattern, o Hap) *Pattern) *Pattern {
	return newPattern(func(a *asking, s Span) []Hap {
		var out []Hap
		for _, o := range p.ask(a, s) {
			if o.Continuous {
				continue
			}
			for _, i := range place(inner(o), o).ask(a, o.Part) {
				if i, ok := cut(o, i); ok {
					out = append(out, i)
				}
			}
		}
		return out
	})
}

// Poly fits the steps of the inner patterns to those of the outer one, and keeps the outer wholes.
func (p *Pattern) Poly() *Pattern {
	steps := p.Steps
	return p.Map(func(v any) any {
		if i, ok := v.(*Pattern); ok {
			return i.Pace(steps)
		}
		return Pure(v).Pace(steps)
	}).Outer()
}

// Pace plays p so fast that it has so many steps a cycle.
func (p *Pattern) Pace(steps Time) *Pattern {
	if p.Steps.Sign() <= 0 || steps.Sign() <= 0 {
		Fail("how many steps this pattern has is not known here")
	}
	return p.Fast(steps.Div(p.Steps)).withSteps(steps)
}

// Left combines two patterns: the events of p, each with the values that q has while it lasts.
func (p *Pattern) Left(q *Pattern, f func(a, b any) any) *Pattern {
	if q.isPure { // its whole cycles cut nothing but what crosses a cycle
		return p.withConstant(q.pure, f)
	}
	return newPattern(func(a *asking, s Span) []Hap {
		var out []Hap
		for _, l := range p.ask(a, s) {
			for _, r := range q.ask(a, l.WholeOrPart()) {
				if part, ok := l.Part.Meet(r.Part); ok {
					out = append(out, Hap{Whole: l.Whole, Part: part, Continuous: l.Continuous, Value: f(l.Value, r.Value), Scale: cmp.Or(l.Scale, r.Scale)})
				}
			}
		}
		return out
	}).withSteps(p.Steps)
}

// withConstant is Left with a pure pattern. An event that crosses cycles is cut where they meet.
func (p *Pattern) withConstant(v any, f func(a, b any) any) *Pattern {
	return newPattern(func(a *asking, s Span) []Hap {
		haps := p.ask(a, s)
		for i := range haps {
			h := haps[i]
			h.Value = f(h.Value, v)
			for h.Part.Begin.Floor()+1 < h.Part.End.Ceil() {
				first := h
				first.Part.End = Cycles(h.Part.Begin.Floor() + 1)
				haps = append(haps, first)
				h.Part.Begin = first.Part.End
				a.spend(0)
			}
			haps[i] = h
		}
		return haps
	}).withSteps(p.Steps)
}

// Right is Left the other way round: the events of q with the values of p.
func (p *Pattern) Right(q *Pattern, f func(a, b any) any) *Pattern {
	return q.Left(p, func(b, a any) any { return f(a, b) })
}

// Mix combines two patterns where their events overlap.
func (p *Pattern) Mix(q *Pattern, f func(a, b any) any) *Pattern {
	return newPattern(func(a *asking, s Span) []Hap {
		var out []Hap
		right := q.ask(a, s)
		for _, l := range p.ask(a, s) {
			a.spend(len(right))
			for _, r := range right {
				if h, ok := cut(l, r); ok {
					h.Value = f(l.Value, r.Value)
					out = append(out, h)
				}
			}
		}
		return out
	}).withSteps(p.Steps)
}

// With asks for a value while the pattern plays: what f makes of each value of p plays while p has it.
func With(p *Pattern, f func(any) *Pattern) *Pattern {
	if p.isPure {
		return f(p.pure)
	}
	var with *Pattern
	with = newPattern(func(a *asking, s Span) []Hap {
		var out []Hap
		for _, o := range p.ask(a, s) {
			q := a.made(with, o.Value)
			if q == nil {
				q = f(o.Value)
				a.spend(q.parts)
				a.keep(with, o.Value, q)
			}
			out = append(out, q.ask(a, o.Part)...)
		}
		return out
	})
	return with
}

// WithTime is With for lengths of time, WithWhole for whole numbers.
func WithTime(p *Pattern, f func(Time) *Pattern) *Pattern {
	return With(p, func(v any) *Pattern { return f(TimeOf(v)) })
}

func WithWhole(p *Pattern, f func(int64) *Pattern) *Pattern {
	return With(p, func(v any) *Pattern { return f(Whole(v)) })
}

// WithSteps is p that counts so many steps a cycle.
func WithSteps(p *Pattern, steps Time) *Pattern { return p.withSteps(steps) }
