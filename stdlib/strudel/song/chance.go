package song

import (
	"math"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// Seeds keep the dice of different functions apart. Those in mini-notation count from 1.
const (
	seedDegrade = 0
	seedRand    = 1 << 20
	seedCycles  = 2 << 20
	seedPerlin  = 3 << 20
	seedOrder   = 4 << 20
)

func chanceMethods() map[string]method {
	all := map[string]method{
		"degradeBy":   byChance(func(p *pat, x float64) *pat { return p.DegradeBy(x, seedDegrade) }),
		"undegradeBy": byChance(func(p *pat, x float64) *pat { return p.UndegradeBy(x, seedDegrade) }),
		"degrade":     plainly(func(p *pat) *pat { return p.DegradeBy(0.5, seedDegrade) }),
		"undegrade":   plainly(func(p *pat) *pat { return p.UndegradeBy(0.5, seedDegrade) }),
		"sometimesBy": {2, 2, func(c *call, p *pat) any {
			f := c.function(1)
			return pattern.With(c.pattern(0), func(v any) *pat { return sometimes(p, pattern.Number(v), f) })
		}},
		"someCyclesBy": {2, 2, func(c *call, p *pat) any {
			f := c.function(1)
			return pattern.With(c.pattern(0), func(v any) *pat { return someCycles(p, pattern.Number(v), f) })
		}},
		"someCycles": {1, 1, func(c *call, p *pat) any { return someCycles(p, 0.5, c.function(0)) }},
		"shuffle":    byParts(true), "scramble": byParts(false),
		"choose": {1, many, func(c *call, p *pat) any {
			choices := c.patterns()
			return p.Map(func(v any) any {
				r := math.Mod(pattern.Number(v), 1)
				return choices[int(math.Max(0, r)*float64(len(choices)))]
			}).Inner()
		}},
	}
	for name, x := range map[string]float64{"sometimes": 0.5, "often": 0.75, "rarely": 0.25, "almostNever": 0.1, "almostAlways": 0.9, "always": 1, "never": 0} {
		all[name] = method{1, 1, func(c *call, p *pat) any { return sometimes(p, x, c.function(0)) }}
	}
	return all
}

func byChance(f func(p *pat, x float64) *pat) method {
	return method{1, 1, func(c *call, p *pat) any {
		return pattern.With(c.pattern(0), func(v any) *pat { return f(p, pattern.Number(v)) })
	}}
}

func sometimes(p *pat, x float64, f func(*pat) *pat) *pat {
	switch x {
	case 0:
		return p
	case 1:
		return f(p)
	}
	return pattern.Stack(p.DegradeBy(x, seedDegrade), f(p.UndegradeBy(1-x, seedDegrade)))
}

func someCycles(p *pat, x float64, f func(*pat) *pat) *pat {
	changed := f(p)
	return pattern.EachCycle(seedCycles, func(r float64) *pat {
		if r < x {
			return changed
		}
		return p
	})
}

// byParts plays n parts of each cycle in an order by chance: each once when it shuffles, any when it scrambles.
func byParts(once bool) method {
	return withWhole(func(p *pat, n int64) *pat {
		if n <= 0 || n > parts {
			pattern.Fail("into how many parts? %d is not between 1 and %d", n, parts)
		}
		piece := func(i int64) *pat { return p.Zoom(pattern.Fraction(i, n), pattern.Fraction(i+1, n)) }
		return pattern.EachCycle(seedOrder, func(r float64) *pat {
			order := make([]int64, n)
			for i := range order {
				order[i] = int64(i)
			}
			for i := range order {
				r = math.Mod(r*7919+float64(i)*0.61803398875, 1)
				if once {
					j := i + int(r*float64(len(order)-i))
					order[i], order[j] = order[j], order[i]
				} else {
					order[i] = int64(r * float64(n))
				}
			}
			all := make([]pattern.Weighted, n)
			for i, k := range order {
				all[i] = pattern.Weighted{Weight: pattern.Cycles(1), Pattern: piece(k)}
			}
			return pattern.TimeCat(all...)
		})
	})
}
