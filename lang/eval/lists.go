package eval

import (
	"math"
	"slices"

	"github.com/slopstudios/slop/lang/types"
)

func listArg(v any) []any { return list(v).([]any) }

func (m *meter) len(args []any) any {
	switch v := args[0].(type) {
	case string:
		m.scan(len(v))
		return countRunes(v)
	case []any:
		return len(v)
	case map[string]any:
		return len(v)
	case nil:
		fail(MissingFailure, "there is nothing here to count")
	}
	fail(TypeFailure, "`len` counts a list, a record or a string, this is %s", word(args[0]))
	return nil
}

func (m *meter) first(args []any) any {
	if xs := listArg(args[0]); len(xs) > 0 {
		return xs[0]
	}
	return nil
}

func (m *meter) last(args []any) any {
	if xs := listArg(args[0]); len(xs) > 0 {
		return xs[len(xs)-1]
	}
	return nil
}

func (m *meter) take(args []any) any {
	xs, n := listArg(args[0]), intArg(args[1])
	if n < 0 {
		fail(ValueFailure, "`take` cannot take %d items", n)
	}
	n = min(n, len(xs))
	m.items(n)
	return append([]any{}, xs[:n]...)
}

func (m *meter) reverse(args []any) any {
	xs := m.copied(args[0])
	slices.Reverse(xs)
	return xs
}

func (m *meter) copied(v any) []any {
	xs := listArg(v)
	m.items(len(xs))
	return append([]any{}, xs...)
}

func (m *meter) concat(args []any) any {
	total := 0
	for _, a := range args {
		total += len(listArg(a))
	}
	m.items(total)
	all := make([]any, 0, total)
	for _, a := range args {
		all = append(all, listArg(a)...)
	}
	return all
}

func (m *meter) flatten(args []any) any {
	flat := []any{}
	m.flattenInto(&flat, listArg(args[0]), 0)
	return flat
}

func (m *meter) flattenInto(flat *[]any, xs []any, depth int) {
	if depth > maxDepth {
		fail(LimitFailure, "this list is nested deeper than %d", maxDepth)
	}
	m.items(len(xs))
	for _, x := range xs {
		if inner, ok := x.([]any); ok {
			m.flattenInto(flat, inner, depth+1)
			continue
		}
		if len(*flat) >= MaxValue/itemBytes {
			m.items(len(*flat) + 1)
		}
		*flat = append(*flat, x)
	}
}

// uniq compares texts and numbers by table, anything else pair by pair.
func (m *meter) uniq(args []any) any {
	xs := listArg(args[0])
	m.items(len(xs))
	seen := make(map[any]bool)
	unique := []any{}
	for _, x := range xs {
		m.step(1)
		k, simple := simpleKey(x)
		switch {
		case simple && seen[k]:
			continue
		case simple:
			if s, ok := k.(string); ok {
				m.scan(len(s))
			}
			seen[k] = true
		default:
			refuseSecret(x)
			if slices.ContainsFunc(unique, func(u any) bool { return equal(u, x, m, 0) }) {
				continue
			}
		}
		unique = append(unique, x)
	}
	return unique
}

// simpleKey is a value that Go's tables find, the same for 1 and 1.0.
func simpleKey(v any) (any, bool) {
	switch v := v.(type) {
	case nil, bool, int, string:
		return v, true
	case float64:
		if n, ok := wholeNumber(v); ok {
			return n, true
		}
		return v, math.Abs(v) < 1<<53
	}
	return nil, false
}

func (m *meter) sort(args []any) any {
	xs := m.copied(args[0])
	descending := len(args) > 1 && orderArg(args[1])
	m.sortStable(xs, func(x any) any { return x }, descending)
	return xs
}

// sortBy gets [item, value] for each item.
func (m *meter) sortBy(args []any) any {
	pairs := m.copied(args[0])
	descending := len(args) > 1 && orderArg(args[1])
	m.sortStable(pairs, func(x any) any { return x.([]any)[1] }, descending)
	for i, p := range pairs {
		pairs[i] = p.([]any)[0]
	}
	return pairs
}

func orderArg(v any) bool {
	switch stringArg(v) {
	case "asc":
		return false
	case "desc":
		return true
	}
	fail(ValueFailure, `the order is "asc" or "desc", not %s`, show(v))
	return false
}

// sortStable keeps the order of equals, both ways.
func (m *meter) sortStable(xs []any, by func(any) any, descending bool) {
	slices.SortStableFunc(xs, func(a, b any) int {
		n := m.order("sort", by(a), by(b))
		m.step(1)
		if descending {
			return -n
		}
		return n
	})
	if len(xs) == 1 {
		m.order("sort", by(xs[0]), by(xs[0]))
	}
}

// groupBy gets [item, name] for each item.
func (m *meter) groupBy(args []any) any {
	groups := map[string]any{}
	for _, p := range listArg(args[0]) {
		pair := p.([]any)
		name, ok := groupName(pair[1])
		if !ok {
			fail(TypeFailure, "`groupBy` needs a string for each item, this is %s", word(pair[1]))
		}
		group, old := groups[name].([]any)
		if !old {
			m.alloc(4*fieldBytes + len(name))
		}
		m.alloc(2 * itemBytes)
		groups[name] = append(group, pair[0])
	}
	return groups
}

func groupName(v any) (string, bool) {
	switch v.(type) {
	case string, int, bool, float64:
		s, err := Render(v)
		return s, err == nil
	}
	return "", false
}

func (m *meter) keys(args []any) any {
	r := m.record("keys", args[0])
	names := make([]any, 0, len(r))
	for _, name := range sortedKeys(r) {
		names = append(names, name)
	}
	return names
}

func (m *meter) values(args []any) any {
	r := m.record("values", args[0])
	list := make([]any, 0, len(r))
	for _, name := range sortedKeys(r) {
		list = append(list, r[name])
	}
	return list
}

func (m *meter) toPairs(args []any) any {
	r := m.record("toPairs", args[0])
	m.alloc(len(r) * 3 * itemBytes)
	pairs := make([]any, 0, len(r))
	for _, name := range sortedKeys(r) {
		pairs = append(pairs, []any{name, r[name]})
	}
	return pairs
}

func (m *meter) record(function string, v any) map[string]any {
	r, ok := v.(map[string]any)
	if !ok {
		if v == nil {
			fail(MissingFailure, "`%s` has no record to read, there is nothing", function)
		}
		fail(TypeFailure, "`%s` takes a record, this is %s", function, word(v))
	}
	m.alloc(2 * len(r) * itemBytes)
	m.step(4 * len(r))
	return r
}

func (m *meter) fromPairs(args []any) any {
	pairs := listArg(args[0])
	m.alloc(len(pairs) * fieldBytes)
	r := make(map[string]any, len(pairs))
	for _, p := range pairs {
		pair, ok := p.([]any)
		if !ok || len(pair) != 2 {
			fail(TypeFailure, "`fromPairs` takes a list of [name, value], this is %s", word(p))
		}
		name, ok := pair[0].(string)
		if !ok {
			fail(TypeFailure, "the name of a field is a string, this is %s", word(pair[0]))
		}
		r[name] = pair[1]
	}
	return r
}

func (m *meter) countTrue(args []any) any {
	n := 0
	xs := listArg(args[0])
	m.step(len(xs))
	for _, x := range xs {
		if truth(x) {
			n++
		}
	}
	return n
}

func (m *meter) sum(args []any) any {
	xs := listArg(args[0])
	m.step(len(xs))
	var total any = 0
	for _, x := range xs {
		if _, ok := toFloat(x); !ok {
			fail(TypeFailure, "`sum` adds numbers, this is %s", word(x))
		}
		total = m.add(total, x)
	}
	return total
}

// numbersOf reads the arguments of min, max, mean, median: numbers, or lists of them.
func (m *meter) numbersOf(function string, args []any) []any {
	var all []any
	for _, a := range args {
		if xs, ok := a.([]any); ok {
			m.items(len(xs))
			all = append(all, xs...)
			continue
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		fail(ValueFailure, "`%s` of an empty list is nothing", function)
	}
	for _, n := range all {
		if _, ok := toFloat(n); !ok {
			fail(TypeFailure, "`%s` takes numbers, this is %s", function, word(n))
		}
	}
	return all
}

func (m *meter) min(args []any) any {
	return slices.MinFunc(m.numbersOf("min", args), func(a, b any) int { n, _ := compare(a, b); return n })
}

func (m *meter) max(args []any) any {
	return slices.MaxFunc(m.numbersOf("max", args), func(a, b any) int { n, _ := compare(a, b); return n })
}

func (m *meter) mean(args []any) any {
	all := m.numbersOf("mean", args)
	total, _ := toFloat(m.sum([]any{all}))
	return finite(total / float64(len(all)))
}

func (m *meter) median(args []any) any {
	all := m.numbersOf("median", args)
	m.sortStable(all, func(x any) any { return x }, false)
	middle := len(all) / 2
	high, _ := toFloat(all[middle])
	if len(all)%2 == 1 {
		return high
	}
	low, _ := toFloat(all[middle-1])
	return finite(low/2 + high/2)
}

func (m *meter) abs(args []any) any {
	switch n := args[0].(type) {
	case int:
		if n < 0 {
			return m.negate(n)
		}
		return n
	case float64:
		return math.Abs(n)
	}
	fail(TypeFailure, "`abs` takes a number, this is %s", word(args[0]))
	return nil
}

func (m *meter) ceil(args []any) any   { return rounded("ceil", args[0], math.Ceil) }
func (m *meter) floor(args []any) any  { return rounded("floor", args[0], math.Floor) }
func (m *meter) round0(args []any) any { return rounded("round", args[0], math.Round) }

func rounded(function string, v any, how func(float64) float64) any {
	switch n := v.(type) {
	case int:
		return n
	case float64:
		return toInt(how(n))
	}
	fail(TypeFailure, "`%s` takes a number, this is %s", function, word(v))
	return nil
}

func toInt(f float64) int {
	if math.IsNaN(f) || f >= math.MaxInt64 || f < math.MinInt64 {
		failOverflow()
	}
	return int(f)
}

func intArg(v any) int {
	n, ok := v.(int)
	if !ok {
		fail(TypeFailure, "this must be an int, it is %s", word(v))
	}
	return n
}

func stringArg(v any) string {
	s, ok := v.(string)
	if !ok {
		if _, secret := v.(types.Secret); secret {
			refuseSecret(v)
		}
		fail(TypeFailure, "this must be a string, it is %s", word(v))
	}
	return s
}
