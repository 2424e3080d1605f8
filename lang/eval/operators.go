package eval

import (
	"math"
	"math/bits"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/types"
)

// absent stands for what `?.` did not find, until the end of its chain.
type absent struct{}

// field reads a.b.
func (m *meter) field(from, name any) any {
	v := m.fieldOr(from, name)
	if v == any(absent{}) {
		switch from := from.(type) {
		case nil:
			fail(MissingFailure, "there is nothing to read `%v` of", name)
		case map[string]any:
			failField(from, name)
		}
	}
	return v
}

func failField(from map[string]any, name any) {
	fields := sortedKeys(from)
	const shown = 8
	if len(fields) > shown {
		fields = append(fields[:shown:shown], "…")
	}
	if len(fields) == 0 {
		fail(MissingFailure, "there is no field `%v`: the record is empty", name)
	}
	fail(MissingFailure, "there is no field `%v`; there are %s", name, strings.Join(fields, ", "))
}

// fieldOr reads a?.b, and also a.b behind it.
func (m *meter) fieldOr(from, name any) any {
	switch from := from.(type) {
	case map[string]any:
		if v, ok := from[name.(string)]; ok {
			return v
		}
		return absent{}
	case types.FileValue:
		return m.fileField(from, name.(string))
	case nil, absent:
		return absent{}
	case []any:
		fail(TypeFailure, "a list has no field `%v`; its items may: `map(…, .%v)`", name, name)
	}
	fail(TypeFailure, "%s has no field `%v`", word(from), name)
	return nil
}

func (m *meter) fileField(f types.FileValue, name string) any {
	switch name {
	case "name":
		return f.Name
	case "size":
		return int(f.Size)
	case "type":
		return f.Type
	case "text":
		if f.Data == nil && f.Size > 0 {
			if f.Binary {
				fail(ValueFailure, "`%s` is not a text (it is not UTF-8)", f.Name)
			}
			if m.refer && f.SHA256 != "" {
				return types.Large{SHA256: f.SHA256, Size: f.Size}
			}
			fail(ValueFailure, "the text of `%s` is not at hand here", f.Name)
		}
		m.alloc(len(f.Data))
		if !utf8.Valid(f.Data) {
			fail(ValueFailure, "`%s` is not a text (it is not UTF-8)", f.Name)
		}
		return string(f.Data)
	}
	fail(MissingFailure, "a file has no field `%s`; it has name, size, type, text", name)
	return nil
}

// link reads a.b in a chain that began with `?.`: what was absent stays so.
func (m *meter) link(from, name any) any {
	if _, gone := from.(absent); gone {
		return from
	}
	return m.field(from, name)
}

// chain ends a chain of `?.`.
func chain(v any) any {
	if _, gone := v.(absent); gone {
		return nil
	}
	return v
}

// index reads xs[i], "text"[i], r["name"].
func (m *meter) index(from, at any) any {
	switch from := from.(type) {
	case absent:
		return from
	case []any:
		i := m.place(at, len(from), "list", "items")
		return from[i]
	case string:
		m.scan(len(from))
		i := m.place(at, utf8.RuneCountInString(from), "text", "characters")
		m.alloc(utf8.UTFMax)
		return runeSlice(from, i, i+1)
	case map[string]any, types.FileValue:
		name, ok := at.(string)
		if !ok {
			fail(TypeFailure, "the name of a field is a string, this is %s", word(at))
		}
		return m.field(from, name)
	case nil:
		fail(MissingFailure, "there is nothing here to take an item of")
	}
	fail(TypeFailure, "%s has no items", word(from))
	return nil
}

// indexOr reads a?.[i].
func (m *meter) indexOr(from, at any) any {
	switch v := from.(type) {
	case nil, absent:
		return absent{}
	case map[string]any:
		if name, ok := at.(string); ok {
			return m.fieldOr(v, name)
		}
	}
	return m.index(from, at)
}

func (m *meter) place(at any, n int, whole, parts string) int {
	i, ok := at.(int)
	if !ok {
		fail(TypeFailure, "the number of an item is an int, this is %s", word(at))
	}
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		fail(MissingFailure, "there is no item %d: the %s has %d %s", at, whole, n, parts)
	}
	return i
}

// slice cuts xs[from:to] and "text"[from:to]; a missing end is nil. Ends that are too far are the ends of the list.
func (m *meter) slice(args []any) any {
	end := func(v any, n, otherwise int) int {
		if v == nil {
			return otherwise
		}
		i, ok := v.(int)
		if !ok {
			fail(TypeFailure, "the number of an item is an int, this is %s", word(v))
		}
		if i < 0 {
			i += n
		}
		return max(0, min(i, n))
	}
	switch v := args[0].(type) {
	case string:
		m.alloc(len(v))
		n := utf8.RuneCountInString(v)
		from, to := end(args[1], n, 0), end(args[2], n, n)
		return runeSlice(v, from, max(from, to))
	case []any:
		from, to := end(args[1], len(v), 0), end(args[2], len(v), len(v))
		to = max(from, to)
		m.items(to - from)
		return append([]any{}, v[from:to]...)
	case nil:
		fail(MissingFailure, "there is nothing here to cut")
	}
	fail(TypeFailure, "only a string or a list can be cut, this is %s", word(args[0]))
	return nil
}

// runeSlice cuts s by runes; from and to are within it.
func runeSlice(s string, from, to int) string {
	start, n := len(s), 0
	for i := range s {
		if n == from {
			start = i
		}
		if n == to {
			return s[start:i]
		}
		n++
	}
	return s[start:]
}

func (m *meter) add(a, b any) any {
	switch x := a.(type) {
	case int:
		switch y := b.(type) {
		case int:
			sum := x + y
			if (sum > x) != (y > 0) {
				failOverflow()
			}
			return sum
		case float64:
			return finite(float64(x) + y)
		}
	case float64:
		if y, ok := toFloat(b); ok {
			return finite(x + y)
		}
	case string:
		if y, ok := b.(string); ok {
			m.alloc(len(x) + len(y))
			return x + y
		}
	}
	failOperands("+", a, b)
	return nil
}

func (m *meter) subtract(a, b any) any {
	x, xInt := a.(int)
	y, yInt := b.(int)
	if xInt && yInt {
		d := x - y
		if (d < x) != (y > 0) {
			failOverflow()
		}
		return d
	}
	f, g := numbers("-", a, b)
	return finite(f - g)
}

func (m *meter) multiply(a, b any) any {
	x, xInt := a.(int)
	y, yInt := b.(int)
	if xInt && yInt {
		return multiplyInts(x, y)
	}
	f, g := numbers("*", a, b)
	return finite(f * g)
}

func multiplyInts(x, y int) int {
	negative := (x < 0) != (y < 0)
	high, low := bits.Mul64(magnitude(x), magnitude(y))
	switch {
	case high != 0 || low > 1<<63 || !negative && low == 1<<63:
		failOverflow()
	case negative:
		return int(-low)
	}
	return int(low)
}

func magnitude(x int) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

func (m *meter) divide(a, b any) any {
	f, g := numbers("/", a, b)
	if g == 0 {
		fail(NumberFailure, "this divides by zero")
	}
	return finite(f / g)
}

func (m *meter) modulo(a, b any) any {
	x, xInt := a.(int)
	y, yInt := b.(int)
	if !xInt || !yInt {
		fail(TypeFailure, "`%%` takes two ints, not %s and %s", word(a), word(b))
	}
	switch y {
	case 0:
		fail(NumberFailure, "this divides by zero")
	case -1:
		return 0 // the smallest int has no negative
	}
	return x % y
}

func (m *meter) power(a, b any) any {
	f, g := numbers("**", a, b)
	return finite(math.Pow(f, g))
}

func (m *meter) negate(a any) any {
	switch a := a.(type) {
	case int:
		if a == math.MinInt {
			failOverflow()
		}
		return -a
	case float64:
		return -a
	}
	fail(TypeFailure, "`-` takes a number, this is %s", word(a))
	return nil
}

func (m *meter) plus(a any) any {
	switch a.(type) {
	case int, float64:
		return a
	}
	fail(TypeFailure, "`+` takes a number, this is %s", word(a))
	return nil
}

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func numbers(operator string, a, b any) (float64, float64) {
	f, ok := toFloat(a)
	g, also := toFloat(b)
	if !ok || !also {
		failOperands(operator, a, b)
	}
	return f, g
}

func finite(f float64) float64 {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		fail(NumberFailure, "the result is not a number that can be written down")
	}
	return f
}

func failOverflow() { fail(NumberFailure, "the result is too large for an int") }

func failOperands(operator string, a, b any) {
	if _, ok := a.(string); ok && operator == "+" && b != nil {
		fail(TypeFailure, "`+` cannot add %s to a string; put it into a text or write string(…)", word(b))
	}
	fail(TypeFailure, "`%s` cannot take %s and %s", operator, word(a), word(b))
}

func (m *meter) equals(a, b any) bool {
	refuseSecret(a)
	refuseSecret(b)
	return equal(a, b, m, 0)
}

func (m *meter) differs(a, b any) bool { return !m.equals(a, b) }

func (m *meter) order(operator string, a, b any) int {
	if s, ok := a.(string); ok {
		m.scan(len(s))
	}
	n, ok := compare(a, b)
	if !ok {
		fail(TypeFailure, "`%s` cannot compare %s with %s", operator, word(a), word(b))
	}
	return n
}

func (m *meter) less(a, b any) bool      { return m.order("<", a, b) < 0 }
func (m *meter) more(a, b any) bool      { return m.order(">", a, b) > 0 }
func (m *meter) lessEqual(a, b any) bool { return m.order("<=", a, b) <= 0 }
func (m *meter) moreEqual(a, b any) bool { return m.order(">=", a, b) >= 0 }

// within is x in xs.
func (m *meter) within(x, xs any) bool {
	refuseSecret(x)
	switch xs := xs.(type) {
	case []any:
		for _, item := range xs {
			if equal(x, item, m, 0) {
				return true
			}
		}
		return false
	case map[string]any:
		name, ok := x.(string)
		if !ok {
			fail(TypeFailure, "the name of a field is a string, this is %s", word(x))
		}
		_, has := xs[name]
		return has
	case string:
		fail(TypeFailure, "`in` looks into a list or a record; a text is searched with `contains`")
	case nil:
		fail(MissingFailure, "there is nothing here to look into")
	}
	fail(TypeFailure, "`in` looks into a list or a record, not into %s", word(xs))
	return false
}

// between is x in a..b: a range of reals, both ends included.
func (m *meter) between(args []any) any {
	low, ok := compare(args[0], args[1])
	high, also := compare(args[0], args[2])
	if _, text := args[0].(string); !ok || !also || text {
		fail(TypeFailure, "a range holds numbers, not %s in %s..%s", word(args[0]), show(args[1]), show(args[2]))
	}
	return low >= 0 && high <= 0
}

// upTo is the list a..b.
func (m *meter) upTo(a, b any) any {
	from, ok := wholeNumber(a)
	to, also := wholeNumber(b)
	if !ok || !also {
		fail(TypeFailure, "a list from %s to %s needs two ints", show(a), show(b))
	}
	if to < from {
		return []any{}
	}
	n := uint64(to) - uint64(from)
	if n >= MaxValue/itemBytes {
		fail(LimitFailure, "this makes a list of more than %d items", MaxValue/itemBytes)
	}
	m.items(int(n) + 1)
	list := make([]any, int(n)+1)
	for i := range list {
		list[i] = from + i
	}
	return list
}

// wholeNumber takes 1e3 for 1000.
func wholeNumber(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int(v), true
		}
	}
	return 0, false
}

func (m *meter) texts(operator string, a, b any) (string, string) {
	x, ok := a.(string)
	y, also := b.(string)
	if !ok || !also {
		if _, list := a.([]any); list && operator == "contains" {
			fail(TypeFailure, "`contains` looks into a text; write `x in xs` for a list")
		}
		fail(TypeFailure, "`%s` takes two strings, not %s and %s", operator, word(a), word(b))
	}
	m.scan(len(x) + len(y))
	return x, y
}

func (m *meter) contains(a, b any) bool {
	x, y := m.texts("contains", a, b)
	return strings.Contains(x, y)
}

func (m *meter) startsWith(a, b any) bool {
	x, y := m.texts("startsWith", a, b)
	return strings.HasPrefix(x, y)
}

func (m *meter) endsWith(a, b any) bool {
	x, y := m.texts("endsWith", a, b)
	return strings.HasSuffix(x, y)
}

// pattern is a regular expression and what it costs: the instructions that each character of a text may meet.
type pattern struct {
	re   *regexp.Regexp
	cost int
}

const maxPattern = 1000 // bytes of a regular expression

func readPattern(source string) (*pattern, *Failure) {
	if len(source) > maxPattern {
		return nil, &Failure{Kind: LimitFailure, Message: "this pattern is longer than 1000 bytes"}
	}
	parsed, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return nil, &Failure{Kind: ValueFailure, Message: "this pattern cannot be read: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, &Failure{Kind: ValueFailure, Message: "this pattern cannot be read: " + err.Error()}
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return nil, &Failure{Kind: ValueFailure, Message: "this pattern cannot be read: " + err.Error()}
	}
	return &pattern{re: re, cost: len(program.Inst)}, nil
}

func (m *meter) matches(a, b any) bool {
	p, ready := b.(*pattern)
	if !ready {
		_, source := m.texts("matches", a, b)
		read, failure := readPattern(source)
		if failure != nil {
			panic(failure)
		}
		m.step(200 + 50*read.cost) // to read a pattern is work, too
		p = read
	}
	s, ok := a.(string)
	if !ok {
		fail(TypeFailure, "`matches` takes a string, this is %s", word(a))
	}
	m.step(1 + (len(s)/16+1)*p.cost/2)
	return p.re.MatchString(s)
}

// truth is the value of a condition.
func truth(v any) bool {
	b, ok := v.(bool)
	if !ok {
		fail(TypeFailure, "a condition is true or false, this is %s", word(v))
	}
	return b
}

// some makes a value ready for ??: a list without items is a list, whatever Go calls it.
func some(v any) any {
	switch list := v.(type) {
	case []any:
		if list == nil {
			return []any{}
		}
	case map[string]any:
		if list == nil {
			return map[string]any{}
		}
	}
	return v
}

// list is what a function with a predicate goes through.
func list(v any) any {
	xs, ok := v.([]any)
	if !ok {
		if v == nil {
			fail(MissingFailure, "there is no list here, there is nothing")
		}
		fail(TypeFailure, "this is not a list, it is %s", word(v))
	}
	return xs
}

// key is the name of a field in {(name): value}.
func key(v any) any {
	if _, ok := v.(string); !ok {
		fail(TypeFailure, "the name of a field is a string, this is %s", word(v))
	}
	return v
}

// weight is what one round of a predicate's body costs.
type weight struct {
	steps int // nodes
	bytes int // of the lists and records it writes out, and of its place in the result
}

// test is the body of a predicate that answers yes or no; item the body of one that makes a value. Both count the round.
func (m *meter) test(v, w any) any {
	m.round(w.(weight))
	b, ok := v.(bool)
	if !ok {
		fail(TypeFailure, "this must be true or false for each item, it is %s", word(v))
	}
	return b
}

func (m *meter) item(v, w any) any {
	m.round(w.(weight))
	return v
}

func (m *meter) round(w weight) {
	m.step(w.steps)
	if m.bytes += w.bytes; m.bytes > MaxBytes {
		fail(LimitFailure, "this makes more than %d MiB of values", MaxBytes>>20)
	}
}

func refuseSecret(v any) {
	switch v.(type) {
	case types.Secret, types.Parts:
		fail(TypeFailure, "a secret cannot be read in an expression")
	}
}
