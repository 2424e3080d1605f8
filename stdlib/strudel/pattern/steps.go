package pattern

import "context"

// What works by steps instead of cycles: a pattern that says how many it has, as "a b c" has three, can be taken apart and put together by them.

// maxStepwise is how many patterns may be put together by steps, and maxFirst how much may be asked to learn how many steps they have.
const (
	maxStepwise = 1024
	maxFirst    = 10_000
)

// counted is how many steps p has, which what counts steps must know.
func (p *Pattern) counted() Time {
	if p.Steps.Sign() <= 0 {
		Fail("how many steps this pattern has is not known here")
	}
	return p.Steps
}

// Take gives the first n steps, or the last ones when n is below 0; Drop what it leaves over.
func (p *Pattern) Take(n Time) *Pattern {
	steps := p.counted()
	switch {
	case n.Sign() == 0:
		return nothing()
	case n.Sign() > 0 && n.Before(steps):
		return p.Zoom(Time{}, n.Div(steps))
	case n.Sign() < 0 && n.Neg().Before(steps):
		return p.Zoom(one.Add(n.Div(steps)), one)
	}
	return p
}

func (p *Pattern) Drop(n Time) *Pattern {
	steps := p.counted()
	switch {
	case n.Sign() == 0:
		return p
	case n.Sign() > 0:
		return p.Take(Earlier(Time{}, n.Sub(steps)))
	}
	return p.Take(Later(Time{}, steps.Add(n)))
}

// nothing is what is left without steps: unlike a rest it takes no time.
func nothing() *Pattern { return Silence().withSteps(Time{}) }

// Extend plays p that many times as fast and counts its steps as often.
func (p *Pattern) Extend(n Time) *Pattern { return p.Fast(n).withSteps(p.counted().Mul(n)) }

// Shrink plays p, then p without n steps, and so on until nothing is left, or so many times; Grow plays the same from the shortest to the longest.
// Below 0 the steps go from the end, or come from it.
func (p *Pattern) Shrink(n Time, times int64) *Pattern {
	return StepCat(p.shrinking(n, times)...)
}

func (p *Pattern) Grow(n Time) *Pattern {
	all := p.shrinking(n.Neg(), 0)
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return StepCat(all...)
}

func (p *Pattern) shrinking(n Time, times int64) []*Pattern {
	if n.Sign() == 0 {
		return []*Pattern{p}
	}
	var all []*Pattern
	for i := int64(0); ; i++ {
		q := p.Drop(n.Mul(Cycles(i)))
		if q.Steps.Sign() <= 0 || times > 0 && int64(len(all)) == times {
			return all
		}
		if all = append(all, q); len(all) > maxStepwise {
			Fail("that many steps cannot be played: more than %d patterns would be put together", maxStepwise)
		}
	}
}

// Tour plays p behind all others, then before the last of them, and so on until it comes first.
func (p *Pattern) Tour(others ...*Pattern) *Pattern {
	if len(others) > 30 {
		Fail("a tour goes through at most 30 patterns, not %d", len(others))
	}
	var all []*Pattern
	for i := len(others); i >= 0; i-- {
		all = append(all, others[:i]...)
		all = append(all, p)
		all = append(all, others[i:]...)
	}
	return StepCat(all...)
}

// Zip plays the first step of each, then the second of each, and so on until all are at their ends together: as many steps a cycle as they
// have in common.
func Zip(all ...*Pattern) *Pattern {
	if len(all) == 0 {
		return Silence()
	}
	steps := commonSteps(all)
	if steps.Sign() <= 0 || product(steps.Num(), int64(len(all))) > maxStepwise {
		Fail("these patterns cannot be zipped: their steps are not known here, or meet after more than %d", maxStepwise)
	}
	var slices []*Pattern
	for i := range steps.Num() {
		for _, p := range all {
			at := floorMod(i, p.Steps.Num())
			slices = append(slices, p.Zoom(Fraction(at, p.Steps.Num()), Fraction(at+1, p.Steps.Num())))
		}
	}
	return StepCat(slices...).Pace(steps)
}

// StepAlt plays one of each list in its turn, and all turns in one cycle.
func StepAlt(lists ...[]*Pattern) *Pattern {
	turns := int64(1)
	for _, list := range lists {
		if len(list) == 0 {
			return Silence()
		}
		n := int64(len(list))
		if turns = product(turns/gcd(turns, n), n); turns > maxStepwise {
			Fail("these lists come together after more than %d turns", maxStepwise)
		}
	}
	var all []*Pattern
	for i := range turns {
		for _, list := range lists {
			all = append(all, list[i%int64(len(list))])
		}
	}
	return StepCat(all...)
}

// StepCat plays one after the other in a cycle, each as long as its steps are many.
func StepCat(all ...*Pattern) *Pattern {
	weighted := make([]Weighted, 0, len(all))
	for _, p := range all {
		if p.Steps.Sign() > 0 {
			weighted = append(weighted, Weighted{p.Steps, p})
		}
	}
	if len(weighted) == 0 {
		return nothing()
	}
	return TimeCat(weighted...)
}

// StepJoin plays what the first cycle of a pattern of patterns has in it, each as long as its steps are many. Later cycles of it are never asked.
func (p *Pattern) StepJoin() *Pattern {
	var all []*Pattern
	for _, h := range p.ask(&asking{ctx: context.Background(), left: maxFirst}, Span{Cycles(0), Cycles(1)}) {
		if !h.Continuous && h.Whole.Begin == h.Part.Begin {
			all = append(all, inner(h))
		}
	}
	return StepCat(all...)
}

// Stepwise does f with each value of q, and joins what it gives by steps.
func Stepwise(q *Pattern, f func(v any) *Pattern) *Pattern {
	return q.Map(func(v any) any { return f(v) }).StepJoin()
}

// Within does f to what begins in a part of each cycle, its end included.
func (p *Pattern) Within(begin, end Time, f func(*Pattern) *Pattern) *Pattern {
	inside := func(h Hap) bool {
		at := h.WholeOrPart().Begin.InCycle()
		return begin.Cmp(at) <= 0 && at.Cmp(end) <= 0
	}
	return Stack(
		f(p.mapHaps(func(h Hap) (Hap, bool) { return h, inside(h) })),
		p.mapHaps(func(h Hap) (Hap, bool) { return h, !inside(h) }),
	).withSteps(p.Steps)
}

// Into loops the part of p under each true event of a pattern of conditions, and does f to the loop; where it is false, p goes on as it is.
func (p *Pattern) Into(pieces *Pattern, f func(*Pattern) *Pattern) *Pattern {
	return pieces.MapHaps(func(h Hap) Hap {
		if q := p; !Truth(h.Value) {
			h.Value = q
		} else if h.Continuous {
			Fail("into needs a pattern with events, as in \"1 0\"")
		} else {
			h.Value = f(p.Ribbon(h.Whole.Begin, h.Whole.Length()).Late(h.Whole.Begin))
		}
		return h
	}).Inner().withSteps(p.Steps)
}
