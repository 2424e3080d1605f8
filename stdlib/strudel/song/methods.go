package song

import (
	"math"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// Short names, for a table that is read as a list.
type (
	pat  = pattern.Pattern
	time = pattern.Time
)

// withTime makes a method of one length or factor that may change while the pattern plays.
func withTime(f func(p *pat, t time) *pat) method {
	return method{1, 1, func(c *call, p *pat) any {
		return keepSteps(p, pattern.WithTime(c.pattern(0), func(t time) *pat { return f(p, t) }))
	}}
}

func withWhole(f func(p *pat, n int64) *pat) method {
	return method{1, 1, func(c *call, p *pat) any {
		return pattern.WithWhole(c.pattern(0), func(n int64) *pat { return f(p, n) })
	}}
}

func keepSteps(p, q *pat) *pat {
	if q.Steps.Sign() == 0 {
		return pattern.WithSteps(q, p.Steps)
	}
	return q
}

func plainly(f func(p *pat) *pat) method {
	return method{0, 0, func(_ *call, p *pat) any { return f(p) }}
}

// changing makes a method of a number that may change and a function.
func changing(f func(p *pat, n int64, change func(*pat) *pat) *pat) method {
	return method{2, 2, func(c *call, p *pat) any {
		change := c.function(1)
		return pattern.WithWhole(c.pattern(0), func(n int64) *pat { return f(p, n, change) })
	}}
}

// values makes a method that changes each value.
func values(f func(v any) any) method {
	return plainly(func(p *pat) *pat { return p.Map(f) })
}

func rounded(f func(float64) float64) method {
	return values(func(v any) any { return f(pattern.Number(v)) })
}

// methods are the functions on patterns. Controls, operations and what only draws have tables of their own.
var methods map[string]method

func init() { methods = allMethods() } // they call each other by name through the evaluation, which the compiler takes for a cycle

func allMethods() map[string]method {
	all := map[string]method{
		// Time.
		"fast": withTime((*pat).Fast), "slow": withTime((*pat).Slow), "early": withTime((*pat).Early), "late": withTime((*pat).Late),
		"fastGap": withTime((*pat).FastGap), "linger": withTime((*pat).Linger), "segment": withTime((*pat).Segment), "ply": withTime((*pat).Ply),
		"rev": plainly((*pat).Rev), "palindrome": plainly((*pat).Palindrome), "brak": plainly((*pat).Brak),
		"iter": withWhole((*pat).Iter), "iterBack": withWhole((*pat).IterBack), "repeatCycles": withWhole((*pat).RepeatCycles),
		"press": plainly(func(p *pat) *pat { return p.PressBy(pattern.Fraction(1, 2)) }), "pressBy": withTime((*pat).PressBy),
		"compress": twoTimes((*pat).Compress), "zoom": twoTimes((*pat).Zoom), "ribbon": twoTimes((*pat).Ribbon),
		"swingBy": twoTimes((*pat).SwingBy), "swing": withTime(func(p *pat, n time) *pat { return p.SwingBy(pattern.Fraction(1, 3), n) }),
		"inside": timed((*pat).Inside), "outside": timed((*pat).Outside),
		"pace": withTime((*pat).Pace), "expand": withTime(func(p *pat, n time) *pat { return pattern.WithSteps(p, p.Steps.Mul(n)) }),
		"bite": {2, 2, bite},

		// Rhythm.
		"struct": {1, 1, func(c *call, p *pat) any { return p.Struct(c.pattern(0)) }},
		"mask":   {1, 1, func(c *call, p *pat) any { return p.Mask(c.pattern(0)) }},
		"invert": plainly((*pat).Invert),
		"reset":  {1, 1, func(c *call, p *pat) any { return restarted(p, c.pattern(0)).Reset() }},
		"restart": {1, 1, func(c *call, p *pat) any {
			return restarted(p, c.pattern(0)).Restart()
		}},
		"euclid":    {2, 2, func(c *call, p *pat) any { return euclid(c, p, (*pat).Euclid) }},
		"euclidRot": {3, 3, func(c *call, p *pat) any { return euclid(c, p, (*pat).Euclid) }},
		"euclidLegato": {2, 2, func(c *call, p *pat) any {
			return euclid(c, p, (*pat).EuclidLegato)
		}},
		"euclidLegatoRot": {3, 3, func(c *call, p *pat) any { return euclid(c, p, (*pat).EuclidLegato) }},
		"beat":            {2, 2, beat},

		// Now and then.
		"firstOf": changing((*pat).FirstOf), "every": changing((*pat).FirstOf), "lastOf": changing((*pat).LastOf),
		"when":       {2, 2, func(c *call, p *pat) any { return p.When(c.pattern(0), c.function(1)) }},
		"chunk":      changing(func(p *pat, n int64, f func(*pat) *pat) *pat { return p.Chunk(n, false, false, f) }),
		"chunkBack":  changing(func(p *pat, n int64, f func(*pat) *pat) *pat { return p.Chunk(n, true, false, f) }),
		"fastChunk":  changing(func(p *pat, n int64, f func(*pat) *pat) *pat { return p.Chunk(n, false, true, f) }),
		"apply":      {1, 1, func(c *call, p *pat) any { return c.function(0)(p) }},
		"off":        {2, 2, off},
		"echo":       {3, 3, func(c *call, p *pat) any { return echo(c, p, 0, 1, 2) }},
		"stut":       {3, 3, func(c *call, p *pat) any { return echo(c, p, 0, 2, 1) }},
		"echoWith":   {3, 3, echoWith},
		"plyWith":    {2, 2, plyWith},
		"plyForEach": {2, 2, plyForEach},
		"superimpose": {1, many, func(c *call, p *pat) any {
			return pattern.Stack(append([]*pat{p}, layers(c, p)...)...)
		}},
		"layer": {1, many, func(c *call, p *pat) any { return pattern.Stack(layers(c, p)...) }},
		"jux":   {1, 1, func(c *call, p *pat) any { return jux(p, 1, c.function(0)) }},
		"juxBy": {2, 2, func(c *call, p *pat) any {
			f := c.function(1)
			return pattern.With(c.pattern(0), func(v any) *pat { return jux(p, pattern.Number(v), f) })
		}},

		// Values.
		"round": rounded(func(f float64) float64 { return math.Floor(f + 0.5) }), "floor": rounded(math.Floor), "ceil": rounded(math.Ceil),
		"toBipolar": rounded(func(f float64) float64 { return f*2 - 1 }), "fromBipolar": rounded(func(f float64) float64 { return (f + 1) / 2 }),
		"range":  ranged(func(v, a, b float64) float64 { return v*(b-a) + a }),
		"range2": ranged(func(v, a, b float64) float64 { return (v+1)/2*(b-a) + a }),
		"rangex": ranged(func(v, a, b float64) float64 { return math.Exp(v*(math.Log(b)-math.Log(a)) + math.Log(a)) }),
		"ratio":  values(ratio),
		"as":     {1, 1, as},
		"adsr":   envelope("attack", "decay", "sustain", "release"),
		"ad":     envelope("attack", "decay"), "ds": envelope("decay", "sustain"), "ar": envelope("attack", "release"),
		"hush": plainly(func(*pat) *pat { return pattern.Silence() }),
		"p": {1, 1, func(c *call, p *pat) any {
			c.e.voice(pattern.Show(c.constant(0)), p)
			return p
		}},
		"partials": {1, 1, func(c *call, p *pat) any {
			list, ok := c.args[0].([]any)
			if !ok {
				pattern.Fail("partials takes a list of numbers, as in [1, 0, 0.5]")
			}
			return p.Combine(pattern.In, pattern.Pure(pattern.Controls{{Name: "partials", Value: list}}), pattern.Ops["set"])
		}},

		// Samples.
		"hurry":   withTime(hurry),
		"chop":    withWhole(chop),
		"striate": withWhole(striate),
		"slice":   {2, 2, slice},
		"splice":  {2, 2, splice},
		"loopAt":  {1, 1, loopAt},
		"fit":     {0, 0, fit},
	}
	for _, more := range []map[string]method{pickMethods(), tonalMethods(), chanceMethods(), stepMethods()} {
		for name, m := range more {
			all[name] = m
		}
	}
	for alias, name := range map[string]string{
		"density": "fast", "sparsity": "slow", "inv": "invert", "euclidrot": "euclidRot", "euclidlegato": "euclidLegato", "chunkback": "chunkBack",
		"slowChunk": "chunk", "slowchunk": "chunk", "fastchunk": "fastChunk", "stutWith": "echoWith", "stutwith": "echoWith", "echowith": "echoWith",
		"plywith": "plyWith", "plyforeach": "plyForEach", "juxby": "juxBy", "seg": "segment", "rib": "ribbon", "iterback": "iterBack", "fastgap": "fastGap",
		"struct2": "struct", "zoomArc": "zoom", "zoomarc": "zoom", "steps": "pace", "someTimesBy": "sometimesBy", "trans": "transpose", "scaleTrans": "scaleTranspose",
		"strans": "scaleTranspose", "chunkinto": "chunkInto", "chunkbackinto": "chunkBackInto",
	} {
		if m, ok := all[name]; ok {
			all[alias] = m
		}
	}
	delete(all, "struct2")
	return all
}

func twoTimes(f func(p *pat, a, b time) *pat) method {
	return method{2, 2, func(c *call, p *pat) any {
		return pattern.WithTime(c.pattern(0), func(a time) *pat {
			return pattern.WithTime(c.pattern(1), func(b time) *pat { return f(p, a, b) })
		})
	}}
}

func timed(f func(p *pat, t time, change func(*pat) *pat) *pat) method {
	return method{2, 2, func(c *call, p *pat) any {
		change := c.function(1)
		return pattern.WithTime(c.pattern(0), func(t time) *pat {
			if t.Sign() <= 0 {
				pattern.Fail("%s needs a factor above 0, and got %s", c.name, t)
			}
			return f(p, t, change)
		})
	}}
}

func ranged(f func(v, a, b float64) float64) method {
	return method{2, 2, func(c *call, p *pat) any {
		lowHigh := c.pattern(0).Map(func(a any) any {
			return c.pattern(1).Map(func(b any) any { return []any{pattern.Number(a), pattern.Number(b)} })
		}).Inner()
		if a, ok := c.pattern(0).Constant(); ok {
			if b, ok := c.pattern(1).Constant(); ok {
				low, high := pattern.Number(a), pattern.Number(b)
				return p.Map(func(v any) any { return f(pattern.Number(v), low, high) })
			}
		}
		return p.Left(lowHigh, func(v, ab any) any {
			list := ab.([]any)
			return f(pattern.Number(v), list[0].(float64), list[1].(float64))
		})
	}}
}

func restarted(p, on *pat) *pat {
	return on.Filter(pattern.Truth).Map(func(any) any { return p })
}

func euclid(c *call, p *pat, f func(p *pat, k, n, r int64) *pat) any {
	return pattern.WithWhole(c.pattern(0), func(k int64) *pat {
		return pattern.WithWhole(c.pattern(1), func(n int64) *pat {
			return pattern.WithWhole(c.or(2, 0.0), func(r int64) *pat { return f(p, k, n, r) })
		})
	})
}

func off(c *call, p *pat) any {
	f := c.function(1)
	return pattern.Stack(p, f(pattern.WithTime(c.pattern(0), p.Late)))
}

// repeats is how many times an echo may sound.
const repeats = 256

func times(n int64) int {
	if n < 0 || n > repeats {
		pattern.Fail("%d times is not between 0 and %d", n, repeats)
	}
	return int(n)
}

func echo(c *call, p *pat, count, delay, feedback int) any {
	return pattern.WithWhole(c.pattern(count), func(n int64) *pat {
		return pattern.WithTime(c.pattern(delay), func(t time) *pat {
			return pattern.With(c.pattern(feedback), func(v any) *pat {
				var all []*pat
				for i := range times(n) {
					gain := pattern.Controls{{Name: "gain", Value: math.Pow(pattern.Number(v), float64(i))}}
					all = append(all, p.Late(t.Mul(pattern.Cycles(int64(i)))).Combine(pattern.In, pattern.Pure(gain), pattern.Ops["mul"]))
				}
				return pattern.Stack(all...)
			})
		})
	})
}

func echoWith(c *call, p *pat) any {
	f := c.numbered(2)
	return pattern.WithWhole(c.pattern(0), func(n int64) *pat {
		return pattern.WithTime(c.pattern(1), func(t time) *pat {
			var all []*pat
			for i := range times(n) {
				all = append(all, f(p.Late(t.Mul(pattern.Cycles(int64(i)))), i))
			}
			return pattern.Stack(all...)
		})
	})
}

// plyWith does f once more for each repetition; plyForEach tells f which it is.
func plyWith(c *call, p *pat) any {
	f := c.function(1)
	return plied(c, p, func(q *pat, i int) *pat {
		for range i {
			q = f(q)
		}
		return q
	})
}

func plyForEach(c *call, p *pat) any {
	f := c.numbered(1)
	return plied(c, p, func(q *pat, i int) *pat {
		if i == 0 {
			return q
		}
		return f(q, i)
	})
}

func plied(c *call, p *pat, each func(q *pat, i int) *pat) *pat {
	return pattern.WithWhole(c.pattern(0), func(n int64) *pat {
		return p.Map(func(v any) any {
			var all []*pat
			for i := range times(n) {
				all = append(all, each(pattern.Pure(v), i))
			}
			return pattern.FastCat(all...)
		}).Squeeze()
	})
}

func layers(c *call, p *pat) []*pat {
	var all []*pat
	for i := range c.args {
		all = append(all, c.function(i)(p))
	}
	return all
}

// jux plays p on the left and what f makes of it on the right, so far apart.
func jux(p *pat, by float64, f func(*pat) *pat) *pat {
	pan := func(to float64) *pat {
		return p.Map(func(v any) any {
			c, ok := v.(pattern.Controls)
			if !ok {
				pattern.Fail("jux needs sounds, and got the plain value %s: put it behind note(…) or s(…)", pattern.Show(v))
			}
			at := 0.5
			if v, ok := c.Get("pan"); ok {
				at = pattern.Number(v)
			}
			return c.With("pan", at+to)
		})
	}
	return pattern.Stack(pan(-by/2), f(pan(by/2)))
}

// bite cuts a cycle into n parts and plays those of a pattern of numbers.
func bite(c *call, p *pat) any {
	return pattern.WithWhole(c.pattern(0), func(n int64) *pat {
		if n <= 0 {
			pattern.Fail("bite needs a number of parts above 0")
		}
		return c.pattern(1).Map(func(v any) any {
			i := pattern.TimeOf(v).Div(pattern.Cycles(n))
			at := i.InCycle()
			return p.Zoom(at, at.Add(pattern.Fraction(1, n)))
		}).Squeeze()
	})
}

// beat plays p at some of n steps of a cycle.
func beat(c *call, p *pat) any {
	return pattern.WithTime(c.pattern(1), func(n time) *pat {
		if n.Sign() <= 0 {
			pattern.Fail("beat needs a number of steps above 0")
		}
		return c.pattern(0).Map(func(v any) any {
			at := pattern.TimeOf(v).Div(n).InCycle()
			return p.Map(func(v any) any {
				return pattern.Pure(v).Compress(at, pattern.Earlier(pattern.Cycles(1), at.Add(pattern.Cycles(1).Div(n))))
			}).Squeeze()
		}).Inner()
	})
}

func ratio(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	out := pattern.Number(list[0])
	for _, x := range list[1:] {
		by := pattern.Number(x)
		if by == 0 {
			pattern.Fail("the ratio %s divides by 0", pattern.Show(v))
		}
		out /= by
	}
	return out
}

// as names the parts of list values: "c:.5".as("note:gain").
func as(c *call, p *pat) any {
	return pattern.With(c.pattern(0), func(names any) *pat {
		list, ok := names.([]any)
		if !ok {
			list = []any{names}
		}
		return p.Map(func(v any) any {
			parts, ok := v.([]any)
			if !ok {
				parts = []any{v}
			}
			out := pattern.Controls{}
			for i, n := range list {
				name, ok := n.(string)
				if !ok {
					pattern.Fail("as takes names of controls, not %s", pattern.Show(n))
				}
				if i < len(parts) {
					out = out.With(canonical(name), parts[i])
				}
			}
			return out
		})
	})
}

func envelope(names ...string) method {
	return method{1, 1, func(c *call, p *pat) any {
		return p.Combine(pattern.In, c.pattern(0).Map(func(v any) any {
			parts, ok := v.([]any)
			if !ok {
				parts = []any{v}
			}
			out := pattern.Controls{}
			for i, n := range names {
				if i < len(parts) {
					out = out.With(n, parts[i])
				}
			}
			return out
		}), pattern.Ops["set"])
	}}
}
