package pattern

var (
	one  = Cycles(1)
	half = Fraction(1, 2)
)

// FastGap plays each cycle that many times as fast, and leaves the rest of the cycle silent.
func (p *Pattern) FastGap(factor Time) *Pattern {
	if factor.Sign() <= 0 {
		return Silence()
	}
	factor = Later(factor, one)
	length := one.Div(factor)
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		return p.squeezed(a, cycle, Span{Time{}, length}, s)
	})
}

// Compress squeezes each cycle into a part of it.
func (p *Pattern) Compress(begin, end Time) *Pattern {
	if begin == end {
		Fail("compress needs an end after its begin, and both are %s", begin)
	}
	if begin.Sign() < 0 || one.Before(end) || end.Before(begin) {
		return Silence()
	}
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		return p.squeezed(a, cycle, Span{begin, end}, s)
	})
}

// Zoom plays a part of each cycle as if it were the whole cycle.
func (p *Pattern) Zoom(begin, end Time) *Pattern {
	length := end.Sub(begin)
	if length.Sign() <= 0 {
		return Silence()
	}
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		sam := Cycles(cycle)
		in := func(t Time) Time { return t.Sub(sam).Mul(length).Add(begin).Add(sam) }
		out := func(t Time) Time { return t.Sub(sam).Sub(begin).Div(length).Add(sam) }
		haps := p.ask(a, Span{in(s.Begin), in(s.End)})
		for i := range haps {
			haps[i].move(func(s Span) Span { return Span{out(s.Begin), out(s.End)} })
		}
		return haps
	}).withSteps(p.Steps.Mul(length))
}

// Ribbon loops so many cycles of p from an offset.
func (p *Pattern) Ribbon(offset, cycles Time) *Pattern {
	if cycles.Sign() <= 0 {
		return Silence()
	}
	return Pure(1.0).Slow(cycles).Map(func(any) any { return p.Early(offset) }).Restart()
}

// Rev plays each cycle backwards.
func (p *Pattern) Rev() *Pattern {
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		turn := Cycles(2*cycle + 1)
		mirror := func(s Span) Span { return Span{turn.Sub(s.End), turn.Sub(s.Begin)} }
		haps := p.ask(a, mirror(s))
		for i := range haps {
			haps[i].move(mirror)
		}
		return haps
	}).withSteps(p.Steps)
}

// Palindrome plays every other cycle backwards.
func (p *Pattern) Palindrome() *Pattern { return p.LastOf(2, (*Pattern).Rev) }

// FirstOf changes the first of every n cycles, LastOf the last.
func (p *Pattern) FirstOf(n int64, f func(*Pattern) *Pattern) *Pattern {
	return p.oneOf(n, 0, f)
}

func (p *Pattern) LastOf(n int64, f func(*Pattern) *Pattern) *Pattern {
	return p.oneOf(n, n-1, f)
}

func (p *Pattern) oneOf(n, which int64, f func(*Pattern) *Pattern) *Pattern {
	if n <= 0 {
		Fail("every how many cycles? %d is too few", n)
	}
	changed := f(p)
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		if floorMod(cycle, n) == which {
			return changed.ask(a, s)
		}
		return p.ask(a, s)
	}).withSteps(p.Steps)
}

// When changes p while the pattern of conditions is true.
func (p *Pattern) When(on *Pattern, f func(*Pattern) *Pattern) *Pattern {
	changed := f(p)
	return on.Map(func(v any) any {
		if Truth(v) {
			return changed
		}
		return p
	}).Inner().withSteps(p.Steps)
}

// Iter begins each cycle a step of n later than the one before, IterBack earlier.
func (p *Pattern) Iter(n int64) *Pattern { return p.iter(n, 1) }

func (p *Pattern) IterBack(n int64) *Pattern { return p.iter(n, -1) }

func (p *Pattern) iter(n, direction int64) *Pattern {
	if n <= 0 || n > 1024 {
		Fail("into how many parts? %d is not between 1 and 1024", n)
	}
	all := make([]*Pattern, n)
	for i := range all {
		all[i] = p.Early(Fraction(direction*int64(i), n))
	}
	return Cat(all...).withSteps(p.Steps)
}

// Ply plays each event n times in its own time.
func (p *Pattern) Ply(n Time) *Pattern {
	return p.Map(func(v any) any { return Pure(v).Fast(n) }).Squeeze()
}

// Segment looks at p n times a cycle.
func (p *Pattern) Segment(n Time) *Pattern {
	return p.Struct(Pure(true).Fast(n)).withSteps(n)
}

// Struct gives p the events of a pattern of conditions, where they are true.
func (p *Pattern) Struct(on *Pattern) *Pattern {
	return on.Filter(Truth).Left(p, func(_, v any) any { return v })
}

// Mask silences p where a pattern of conditions is not true.
func (p *Pattern) Mask(on *Pattern) *Pattern {
	type hidden struct{}
	return p.Left(on, func(v, b any) any {
		if Truth(b) {
			return v
		}
		return hidden{}
	}).Filter(func(v any) bool { return v != any(hidden{}) || v == nil }).withSteps(p.Steps)
}

// Invert turns true into false and false into true.
func (p *Pattern) Invert() *Pattern { return p.Map(func(v any) any { return !Truth(v) }) }

// Linger repeats the first part of each cycle to fill it.
func (p *Pattern) Linger(part Time) *Pattern {
	if part.Sign() <= 0 {
		if part.Sign() == 0 {
			return Silence()
		}
		Fail("linger needs a part of a cycle between 0 and 1, and got %s", part)
	}
	return p.Zoom(Time{}, part).Slow(part).withSteps(p.Steps)
}

// Inside does f as if p were n times slower, Outside as if it were faster.
func (p *Pattern) Inside(n Time, f func(*Pattern) *Pattern) *Pattern { return f(p.Slow(n)).Fast(n) }

func (p *Pattern) Outside(n Time, f func(*Pattern) *Pattern) *Pattern { return f(p.Fast(n)).Slow(n) }

// SwingBy delays the second half of each of n parts of a cycle by a share of it.
func (p *Pattern) SwingBy(swing, n Time) *Pattern {
	late := FastCat(Pure(Time{}), Pure(swing.Mul(half)))
	return p.Inside(n, func(p *Pattern) *Pattern {
		return late.Map(func(v any) any { return p.Late(v.(Time)) }).Inner()
	})
}

// PressBy begins each event later by a share of its length.
func (p *Pattern) PressBy(by Time) *Pattern {
	return p.Map(func(v any) any { return Pure(v).Compress(by, one) }).Squeeze()
}

// Brak makes every other cycle sound like a breakbeat.
func (p *Pattern) Brak() *Pattern {
	return p.When(Cat(Pure(false), Pure(true)), func(p *Pattern) *Pattern {
		return FastCat(p, Silence()).Late(Fraction(1, 4))
	})
}

// RepeatCycles plays each cycle n times.
func (p *Pattern) RepeatCycles(n int64) *Pattern {
	if n <= 0 {
		Fail("how many times? %d is too few", n)
	}
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		shift := Cycles(cycle - (cycle-floorMod(cycle, n))/n)
		return p.Late(shift).ask(a, s)
	}).withSteps(p.Steps)
}

// Chunk changes one of n parts of each cycle in turn.
func (p *Pattern) Chunk(n int64, back, fast bool, f func(*Pattern) *Pattern) *Pattern {
	if n <= 0 || n > 1024 {
		Fail("into how many parts? %d is not a number that goes", n)
	}
	if !fast {
		p = p.RepeatCycles(n)
	}
	changed := f(p)
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		i := floorMod(cycle, n)
		if back {
			i = floorMod(-cycle, n)
		}
		sam := Cycles(cycle)
		begin, end := sam.Add(Fraction(i, n)), sam.Add(Fraction(i+1, n))
		// Asked part by part, as a pattern of conditions would.
		var out []Hap
		for _, part := range []struct {
			p *Pattern
			s Span
		}{{p, Span{sam, begin}}, {changed, Span{begin, end}}, {p, Span{end, sam.Add(one)}}} {
			if w, ok := s.Meet(part.s); ok && w.Begin != w.End {
				out = append(out, part.p.ask(a, w)...)
			}
		}
		return out
	}).withSteps(p.Steps)
}

// Euclid is whether each of n steps has one of k beats, as even as can be; a negative k gives the steps between. Bjorklund's algorithm, as Toussaint tells it.
func Euclid(k, n, rotate int64) []bool {
	if n <= 0 || n > 1024 {
		Fail("a euclidean rhythm of %d steps cannot be played: use 1 to 1024", n)
	}
	if k > n || -k > n {
		Fail("a euclidean rhythm of %d beats does not fit into %d steps", k, n)
	}
	invert := k < 0
	if invert {
		k = -k
	}
	// Sequences of the front are each followed by one of the back, until there is at most one left over.
	front, back := make([][]bool, 0, k), make([][]bool, 0, n-k)
	for range k {
		front = append(front, []bool{true})
	}
	for range n - k {
		back = append(back, []bool{false})
	}
	for len(back) > 1 && len(front) > 0 {
		m := min(len(front), len(back))
		for i := range m {
			front[i] = append(front[i], back[i]...)
		}
		switch {
		case len(front) > m:
			front, back = front[:m], front[m:]
		default:
			back = back[m:]
		}
	}
	steps := make([]bool, 0, n)
	for _, group := range append(front, back...) {
		steps = append(steps, group...)
	}
	out := make([]bool, n)
	for i, on := range steps {
		out[floorMod(int64(i)+rotate, n)] = on != invert
	}
	return out
}

func sequence(values []bool) *Pattern {
	all := make([]*Pattern, len(values))
	for i, v := range values {
		all[i] = Pure(v)
	}
	return FastCat(all...)
}

// Euclid gives p a euclidean rhythm.
func (p *Pattern) Euclid(k, n, rotate int64) *Pattern {
	return p.Struct(sequence(Euclid(k, n, rotate)))
}

// EuclidLegato holds each beat until the next. It rotates p with the rhythm.
func (p *Pattern) EuclidLegato(k, n, rotate int64) *Pattern {
	steps := Euclid(k, n, 0)
	if k == 0 {
		return Silence()
	}
	var held []Weighted
	first := 0
	for _, on := range steps {
		switch {
		case on:
			held = append(held, Weighted{one, Pure(true)})
		case len(held) == 0:
			first++
		default:
			held[len(held)-1].Weight = held[len(held)-1].Weight.Add(one)
		}
	}
	if first > 0 { // a rhythm of the steps between: what comes before the first beat is silent
		held = append([]Weighted{{Cycles(int64(first)), Silence()}}, held...)
	}
	return p.Struct(TimeCat(held...)).Late(Fraction(rotate, n))
}
