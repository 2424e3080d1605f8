package song

import (
	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// What is done to samples: cutting, stretching, speeding up.

func sounds(name string, v any) pattern.Controls {
	c, ok := v.(pattern.Controls)
	if !ok {
		pattern.Fail("%s needs sounds, and got the plain value %s: put it behind s(…)", name, pattern.Show(v))
	}
	return c
}

func of(c pattern.Controls, name string, otherwise float64) float64 {
	if v, ok := c.Get(name); ok {
		return pattern.Number(v)
	}
	return otherwise
}

func hurry(p *pat, r time) *pat {
	return p.Fast(r).Map(func(v any) any {
		c := sounds("hurry", v)
		c = c.With("speed", of(c, "speed", 1)*r.Float())
		return c
	})
}

// parts is into how many parts a sound may be cut.
const parts = 1024

func cuts(name string, n int64) {
	if n <= 0 || n > parts {
		pattern.Fail("%s cuts into 1 to %d parts, not %d", name, parts, n)
	}
}

// piece is part i of n of what a sound plays.
func piece(c pattern.Controls, i, n int64) pattern.Controls {
	begin, end := of(c, "begin", 0), of(c, "end", 1)
	out := c.With("begin", begin+(end-begin)*float64(i)/float64(n))
	out = out.With("end", begin+(end-begin)*float64(i+1)/float64(n))
	return out
}

func chop(p *pat, n int64) *pat {
	cuts("chop", n)
	return p.Map(func(v any) any {
		c := sounds("chop", v)
		all := make([]*pat, n)
		for i := range all {
			all[i] = pattern.Pure(piece(c, int64(i), n))
		}
		return pattern.FastCat(all...)
	}).Squeeze()
}

func striate(p *pat, n int64) *pat {
	cuts("striate", n)
	all := make([]*pat, n)
	for i := range all {
		all[i] = p.Map(func(v any) any { return piece(sounds("striate", v), int64(i), n) })
	}
	return pattern.FastCat(all...)
}

// slice plays parts of a sound by their numbers.
func slice(c *call, p *pat) any { return sliced(c, p) }

func sliced(c *call, p *pat) *pat {
	index := c.pattern(1)
	return pattern.WithWhole(c.pattern(0), func(n int64) *pat {
		cuts("slice", n)
		return index.Left(p, func(i, v any) any {
			at := pattern.Number(i)
			out := sounds("slice", v)
			for name, x := range map[string]float64{"begin": at / float64(n), "end": (at + 1) / float64(n), "_slices": float64(n)} {
				if _, ok := out.Get(name); !ok {
					out = out.With(name, x)
				}
			}
			return out
		})
	})
}

// splice is slice, each part played so fast that it fills its step.
func splice(c *call, p *pat) any {
	return sliced(c, p).MapHaps(func(h pattern.Hap) pattern.Hap {
		v := sounds("splice", h.Value)
		length := h.WholeOrPart().Length().Float()
		if length > 0 {
			v = v.With("speed", c.e.song.CPS/of(v, "_slices", 1)/length*of(v, "speed", 1))
			v = v.With("unit", "c")
		}
		h.Value = v
		return h
	})
}

// loopAt stretches a sound over so many cycles, fit over its event.
func loopAt(c *call, p *pat) any {
	return pattern.WithTime(c.pattern(0), func(n time) *pat {
		if n.Sign() <= 0 {
			pattern.Fail("loopAt needs a number of cycles above 0")
		}
		return p.Slow(n).Map(func(v any) any {
			out := sounds("loopAt", v)
			out = out.With("speed", c.e.song.CPS/n.Float())
			out = out.With("unit", "c")
			return out
		})
	})
}

func fit(c *call, p *pat) any {
	return p.MapHaps(func(h pattern.Hap) pattern.Hap {
		v := sounds("fit", h.Value)
		if length := h.WholeOrPart().Length().Float(); length > 0 {
			part := of(v, "end", 1) - of(v, "begin", 0)
			v = v.With("speed", c.e.song.CPS/length*part)
			v = v.With("unit", "c")
		}
		h.Value = v
		return h
	})
}
