package pattern

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Truth is what a value counts as where a condition is wanted: 0, false and nothing are false.
func Truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	}
	return true
}

// Number reads a value as a number: note names count as their MIDI numbers, true as 1.
func Number(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case bool:
		if v {
			return 1
		}
		return 0
	case string:
		if n, ok := NoteNumber(v); ok {
			return n
		}
		if f, err := strconv.ParseFloat(v, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	case Time:
		return v.Float()
	}
	Fail("%s is neither a number nor a note", Show(v))
	return 0
}

// TimeOf reads a value as a length of time in cycles.
func TimeOf(v any) Time {
	if t, ok := v.(Time); ok {
		return t
	}
	t, err := FromFloat(Number(v))
	if err != nil {
		Fail("%v", err)
	}
	return t
}

// Whole reads a value as a whole number.
func Whole(v any) int64 {
	f := Number(v)
	if f != math.Trunc(f) || math.Abs(f) > 1<<31 {
		Fail("%s is not a whole number", Show(v))
	}
	return int64(f)
}

// NoteNumber is the MIDI number of a note's name: c4 is 60; c alone is in octave 3. Sharps are # or s, flats b or f.
func NoteNumber(name string) (float64, bool) {
	if name == "" {
		return 0, false
	}
	at := strings.IndexByte("c.d.ef.g.a.b", name[0]|0x20)
	if at < 0 || name[0] == '.' {
		return 0, false
	}
	i := 1
	for ; i < len(name); i++ {
		switch name[i] {
		case '#', 's':
			at++
			continue
		case 'b', 'f':
			at--
			continue
		}
		break
	}
	octave := 3
	if rest := name[i:]; rest != "" {
		n, err := strconv.Atoi(rest)
		if err != nil || n < -2 || n > 20 || rest[0] == '+' {
			return 0, false
		}
		octave = n
	}
	return float64((octave+1)*12 + at), true
}

// Show writes a value as code would.
func Show(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case *Pattern:
		return "a pattern"
	case Controls:
		return "a sound"
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = strings.Trim(Show(x), `"`)
		}
		return strconv.Quote(strings.Join(parts, ":"))
	}
	return fmt.Sprint(v)
}

// Combine does an operation on two values: on what two sounds both have, or on two plain values.
func Combine(op func(a, b any) any) func(a, b any) any {
	return func(a, b any) any {
		l, left := a.(Controls)
		r, right := b.(Controls)
		switch {
		case left && right:
			out := make(Controls, len(l), len(l)+len(r))
			copy(out, l)
			for _, x := range r {
				if before, ok := l.Get(x.Name); ok {
					x.Value = op(before, x.Value)
				}
				out = out.put(x.Name, x.Value)
			}
			return out
		case left:
			return l // a plain value says nothing of which control it is for
		case right:
			if a == nil {
				return r
			}
			value := a
			if v, ok := r.Get("value"); ok {
				value = op(a, v)
			}
			return r.With("value", value)
		}
		return op(a, b)
	}
}

// Numeric lifts arithmetic to values.
func Numeric(f func(a, b float64) float64) func(a, b any) any {
	return func(a, b any) any {
		out := f(Number(a), Number(b))
		if math.IsInf(out, 0) || math.IsNaN(out) {
			Fail("%s and %s do not give a number: is something divided by zero?", Show(a), Show(b))
		}
		return out
	}
}

// Ops are the operations on values, by their names in the documentation.
var Ops = map[string]func(a, b any) any{
	"set":  func(_, b any) any { return b },
	"keep": func(a, _ any) any { return a },
	"add":  Numeric(func(a, b float64) float64 { return a + b }),
	"sub":  Numeric(func(a, b float64) float64 { return a - b }),
	"mul":  Numeric(func(a, b float64) float64 { return a * b }),
	"div":  Numeric(func(a, b float64) float64 { return a / b }),
	"mod":  Numeric(func(a, b float64) float64 { return a - b*math.Floor(a/b) }),
	"pow":  Numeric(math.Pow),
	"band": bitwise(func(a, b int64) int64 { return a & b }),
	"bor":  bitwise(func(a, b int64) int64 { return a | b }),
	"bxor": bitwise(func(a, b int64) int64 { return a ^ b }),
	"lt":   compare(func(c int) bool { return c < 0 }),
	"gt":   compare(func(c int) bool { return c > 0 }),
	"lte":  compare(func(c int) bool { return c <= 0 }),
	"gte":  compare(func(c int) bool { return c >= 0 }),
	"eq":   compare(func(c int) bool { return c == 0 }),
	"ne":   compare(func(c int) bool { return c != 0 }),
	"and": func(a, b any) any {
		if Truth(a) {
			return b
		}
		return a
	},
	"or": func(a, b any) any {
		if Truth(a) {
			return a
		}
		return b
	},
}

func bitwise(f func(a, b int64) int64) func(a, b any) any {
	return func(a, b any) any { return float64(f(Whole(a), Whole(b))) }
}

func compare(f func(c int) bool) func(a, b any) any {
	return func(a, b any) any {
		if x, ok := a.(string); ok {
			if y, ok := b.(string); ok {
				return f(strings.Compare(x, y))
			}
		}
		x, y := Number(a), Number(b)
		switch {
		case x < y:
			return f(-1)
		case x > y:
			return f(1)
		}
		return f(0)
	}
}

// How is whose events a combination has.
type How string

// The ways to combine two patterns; In is what an operation without a word of its own does.
const (
	In         How = "in"
	Out        How = "out"
	Mix        How = "mix"
	Squeezed   How = "squeeze"
	SqueezeOut How = "squeezeout"
	ResetEach  How = "reset"
	Restarted  How = "restart"
	PolyHow    How = "poly"
)

// Combine plays p and q together by an operation.
func (p *Pattern) Combine(how How, q *Pattern, op func(a, b any) any) *Pattern {
	op = Combine(op)
	inside := func(outer, inner *Pattern, op func(o, i any) any) *Pattern {
		return outer.Map(func(o any) any { return inner.Map(func(i any) any { return op(o, i) }) }).withSteps(outer.Steps)
	}
	swapped := func(b, a any) any { return op(a, b) }
	switch how {
	case In:
		return p.Left(q, op)
	case Out:
		return p.Right(q, op)
	case Mix:
		return p.Mix(q, op)
	case Squeezed:
		return inside(p, q, op).Squeeze()
	case SqueezeOut:
		return inside(q, p, swapped).Squeeze()
	case ResetEach:
		return inside(q, p, swapped).Reset()
	case Restarted:
		return inside(q, p, swapped).Restart()
	case PolyHow:
		return inside(p, q, op).Poly()
	}
	Fail("there is no way %q to combine patterns", string(how))
	return nil
}
