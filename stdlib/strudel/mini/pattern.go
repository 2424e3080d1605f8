package mini

import (
	"slices"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// Pattern makes the pattern that the text describes. It panics as the functions of package pattern do; pattern.Guard catches it.
func (t *Tree) Pattern() *pattern.Pattern { return build(t.root) }

func build(n *node) *pattern.Pattern {
	var p *pattern.Pattern
	switch n.kind {
	case word:
		p = pattern.Pure(n.text)
	case number:
		p = pattern.Pure(n.value)
	case rest:
		p = pattern.Silence()
	case sequence:
		p, _ = sequenceOf(n)
	case stack:
		p = pattern.Stack(buildAll(n.parts)...)
	case choice:
		all := buildAll(n.parts)
		return pattern.EachCycle(n.ops[0].seed, func(r float64) *pattern.Pattern { return all[int(r*float64(len(all)))] })
	case turns:
		var all []*pattern.Pattern
		for _, part := range n.parts {
			q, steps := sequenceOf(part)
			all = append(all, q.Slow(steps))
		}
		p = pattern.Stack(all...)
		if len(all) > 1 || n.parts[0].kind == sequence {
			p = pattern.WithSteps(p, pattern.Cycles(1))
		}
	case meter:
		p = metered(n)
	}
	for _, o := range n.ops {
		p = apply(p, o)
	}
	return p
}

func buildAll(nodes []*node) []*pattern.Pattern {
	all := make([]*pattern.Pattern, len(nodes))
	for i, n := range nodes {
		all[i] = build(n)
	}
	return all
}

// sequenceOf gives a sequence squeezed into a cycle, and its number of steps.
func sequenceOf(n *node) (*pattern.Pattern, pattern.Time) {
	if n.kind != sequence {
		p := build(n)
		return p, pattern.Cycles(1)
	}
	var all []pattern.Weighted
	total := pattern.Time{}
	for _, part := range n.parts {
		w := pattern.TimeOf(part.weight)
		p := build(part)
		for range part.reps {
			all = append(all, pattern.Weighted{Weight: w, Pattern: p})
			total = total.Add(w)
		}
	}
	return pattern.TimeCat(all...), total
}

// metered = "{" pattern "}" [ "%" slice ]: each part plays as many steps a cycle; without a number, as many as the first has.
func metered(n *node) *pattern.Pattern {
	var all []*pattern.Pattern
	var counts []pattern.Time
	for _, part := range n.parts {
		p, steps := sequenceOf(part)
		if steps.Sign() <= 0 {
			continue
		}
		all, counts = append(all, p), append(counts, steps)
	}
	if len(all) == 0 {
		return pattern.Silence()
	}
	at := func(steps pattern.Time) *pattern.Pattern {
		fitted := make([]*pattern.Pattern, len(all))
		for i, p := range all {
			fitted[i] = p.Fast(steps.Div(counts[i]))
		}
		return pattern.WithSteps(pattern.Stack(fitted...), steps)
	}
	if n.steps == nil {
		return at(counts[0])
	}
	return pattern.WithTime(build(n.steps), at)
}

func apply(p *pattern.Pattern, o op) *pattern.Pattern {
	switch o.kind {
	case '*':
		return pattern.WithTime(build(o.arg), p.Fast)
	case '/':
		return pattern.WithTime(build(o.arg), p.Slow)
	case '?':
		return p.DegradeBy(o.chance, o.seed)
	case ':':
		return p.Left(build(o.arg), func(a, b any) any {
			list, ok := a.([]any)
			if !ok {
				list = []any{a}
			}
			if more, ok := b.([]any); ok {
				return slices.Concat(list, more)
			}
			return append(slices.Clip(list), b)
		})
	case '(':
		rotation := pattern.Pure(0.0)
		if len(o.args) == 3 {
			rotation = build(o.args[2])
		}
		return pattern.WithWhole(build(o.args[0]), func(k int64) *pattern.Pattern {
			return pattern.WithWhole(build(o.args[1]), func(n int64) *pattern.Pattern {
				return pattern.WithWhole(rotation, func(r int64) *pattern.Pattern { return p.Euclid(k, n, r) })
			})
		})
	}
	panic("mini: no such operator " + string(o.kind))
}
