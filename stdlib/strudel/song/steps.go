package song

import "github.com/slopstudios/slop/stdlib/strudel/pattern"

// Functions that count steps instead of cycles.

// bySteps makes a method of a number of steps that may change while the pattern plays.
func bySteps(f func(p *pat, n time) *pat) method {
	return method{1, 1, func(c *call, p *pat) any {
		return pattern.Stepwise(c.pattern(0), func(v any) *pat { return f(p, pattern.TimeOf(v)) })
	}}
}

// shrink takes a number of steps, or one with how many times: "1:3".
func shrink(c *call, p *pat) any {
	return pattern.Stepwise(c.pattern(0), func(v any) *pat {
		times := int64(0)
		if list, ok := v.([]any); ok && len(list) == 2 {
			v, times = list[0], pattern.Whole(list[1])
		}
		return p.Shrink(pattern.TimeOf(v), times)
	})
}

func grow(c *call, p *pat) any {
	return pattern.Stepwise(c.pattern(0), func(v any) *pat {
		if _, ok := v.([]any); ok {
			pattern.Fail("how often grow grows is not covered here: write the number of steps alone, as in .grow(1)")
		}
		return p.Grow(pattern.TimeOf(v))
	})
}

func stepMethods() map[string]method {
	return map[string]method{
		"take": bySteps((*pat).Take), "drop": bySteps((*pat).Drop), "extend": bySteps((*pat).Extend),
		"contract": bySteps(func(p *pat, n time) *pat {
			if n.Sign() == 0 {
				pattern.Fail("contract needs a number that is not 0")
			}
			return pattern.WithSteps(p, p.Steps.Div(n))
		}),
		"shrink": {1, 1, shrink}, "grow": {1, 1, grow},
		"tour": {1, many, func(c *call, p *pat) any { return p.Tour(c.patterns()...) }},
		"within": {3, 3, func(c *call, p *pat) any {
			f := c.function(2)
			return pattern.WithTime(c.pattern(0), func(begin time) *pat {
				return pattern.WithTime(c.pattern(1), func(end time) *pat { return p.Within(begin, end, f) })
			})
		}},
		"into":          {2, 2, func(c *call, p *pat) any { return p.Into(c.pattern(0), c.function(1)) }},
		"chunkInto":     changing(func(p *pat, n int64, f func(*pat) *pat) *pat { return chunkInto(p, n, false, f) }),
		"chunkBackInto": changing(func(p *pat, n int64, f func(*pat) *pat) *pat { return chunkInto(p, n, true, f) }),
	}
}

// chunkInto loops one of n parts of each cycle in turn, and does f to the loop.
func chunkInto(p *pat, n int64, back bool, f func(*pat) *pat) *pat {
	if n <= 0 || n > 1024 {
		pattern.Fail("into how many parts? %d is not between 1 and 1024", n)
	}
	all := make([]*pat, n)
	for i := range all {
		all[i] = pattern.Pure(i == 0)
	}
	pieces := pattern.FastCat(all...)
	if back {
		return p.Into(pieces.Iter(n).Early(pattern.Cycles(1)), f)
	}
	return p.Into(pieces.IterBack(n), f)
}

// stepAlt reads its arguments: of a list each has its turn.
func stepAlt(c *call) any {
	lists := make([][]*pat, len(c.args))
	for i, v := range c.args {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, v := range list {
			lists[i] = append(lists[i], c.sequence(v, 0))
		}
	}
	return pattern.StepAlt(lists...)
}
