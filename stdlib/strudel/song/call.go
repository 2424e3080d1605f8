package song

import (
	"fmt"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// call is a function that is called, with its arguments.
type call struct {
	e    *evaluation
	name string
	args []any
}

// method is what a function does to a pattern. It takes min to max arguments besides; max is many when their number is free.
type method struct {
	min, max int
	do       func(c *call, p *pattern.Pattern) any
}

const many = 256

func (c *call) do(m method, p *pattern.Pattern) any {
	if len(c.args) < m.min || len(c.args) > m.max {
		want := fmt.Sprintf("%d", m.min)
		switch {
		case m.max == many:
			want = fmt.Sprintf("at least %d", m.min)
		case m.max > m.min:
			want = fmt.Sprintf("%d to %d", m.min, m.max)
		}
		c.e.fail(c.e.at, usage[c.name], "%s takes %s %s, not %d", c.name, want, plural(m.max, "argument"), len(c.args))
	}
	return m.do(c, p)
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func (c *call) pattern(i int) *pattern.Pattern { return c.e.argument(c.args, i, c.name) }

// or is argument i, or a value when it is not there.
func (c *call) or(i int, v any) *pattern.Pattern {
	if i >= len(c.args) || c.args[i] == nil {
		return pattern.Pure(v)
	}
	return c.pattern(i)
}

// constant reads an argument that cannot change while the pattern plays.
func (c *call) constant(i int) any {
	switch v := c.args[i].(type) {
	case *pattern.Pattern:
		if x, ok := v.Constant(); ok {
			return x
		}
		c.e.fail(c.e.at, "", "%s takes a single value here, not a pattern", c.name)
	case float64, string, bool:
		return v
	}
	c.e.fail(c.e.at, "", "%s takes a single value here, not %s", c.name, describe(c.args[i]))
	return nil
}

func (c *call) number(i int) float64 { return pattern.Number(c.constant(i)) }

// function reads an argument as what to do to a pattern.
func (c *call) function(i int) func(*pattern.Pattern) *pattern.Pattern {
	switch f := c.args[i].(type) {
	case *function:
		return func(p *pattern.Pattern) *pattern.Pattern {
			return c.e.argument([]any{f.call([]any{p})}, 0, c.name+"'s function")
		}
	case *pattern.Pattern:
		c.e.fail(c.e.at, "write x => x.…", "%s takes a function, not a pattern", c.name)
	}
	c.e.fail(c.e.at, "write x => x.…", "%s takes a function, not %s", c.name, describe(c.args[i]))
	return nil
}

// numbered is function for one that also gets a number.
func (c *call) numbered(i int) func(p *pattern.Pattern, n int) *pattern.Pattern {
	f, ok := c.args[i].(*function)
	if !ok {
		c.e.fail(c.e.at, "write (x, n) => x.…", "%s takes a function, not %s", c.name, describe(c.args[i]))
	}
	return func(p *pattern.Pattern, n int) *pattern.Pattern {
		return c.e.argument([]any{f.call([]any{p, float64(n)})}, 0, c.name+"'s function")
	}
}

// patterns reads all arguments as patterns; a list is a sequence.
func (c *call) patterns() []*pattern.Pattern {
	all := make([]*pattern.Pattern, len(c.args))
	for i, v := range c.args {
		all[i] = c.sequence(v, 0)
	}
	return all
}

func (c *call) sequence(v any, depth int) *pattern.Pattern {
	list, ok := v.([]any)
	if !ok {
		return c.e.argument([]any{v}, 0, c.name)
	}
	if depth > 32 {
		pattern.Fail("lists are nested too deep")
	}
	if len(list) == 0 {
		return pattern.Silence()
	}
	all := make([]*pattern.Pattern, len(list))
	for i, x := range list {
		all[i] = c.sequence(x, depth+1)
	}
	return pattern.FastCat(all...)
}

// weighted reads arguments such as [3, "c e"]; one without a number has steps for a weight.
func (c *call) weighted(steps bool) []pattern.Weighted {
	all := make([]pattern.Weighted, len(c.args))
	for i, v := range c.args {
		if pair, ok := v.([]any); ok && len(pair) == 2 {
			if n, ok := number(pair[0]); ok {
				all[i] = pattern.Weighted{Weight: pattern.TimeOf(n), Pattern: c.sequence(pair[1], 0)}
				if all[i].Weight.Sign() <= 0 {
					pattern.Fail("%s needs lengths above 0, and got %s", c.name, pattern.Show(n))
				}
				continue
			}
		}
		p := c.sequence(v, 0)
		if !steps {
			c.e.fail(c.e.at, usage[c.name], "%s takes pairs of a length and a pattern", c.name)
		}
		if p.Steps.Sign() <= 0 {
			pattern.Fail("how many steps this pattern has is not known here: write [4, …] for 4 of them")
		}
		all[i] = pattern.Weighted{Weight: p.Steps, Pattern: p}
	}
	return all
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case *pattern.Pattern:
		if x, ok := v.Constant(); ok {
			f, ok := x.(float64)
			return f, ok
		}
	}
	return 0, false
}
