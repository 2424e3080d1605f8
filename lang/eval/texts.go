package eval

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/types"
)

func countRunes(s string) int { return utf8.RuneCountInString(s) }

// text is what an interpolating text has become: text("Hello ", name).
func (m *meter) text(args []any) any {
	total := 0
	for _, a := range args {
		switch a := a.(type) {
		case string:
			total += len(a)
		case []any, map[string]any:
			m.step(m.sizeBelow(a))
		}
	}
	m.alloc(total)
	switch v := RenderParts(args).(type) {
	case string:
		m.alloc(len(v))
		return v
	case types.Parts:
		return v
	case error:
		failText(v)
	}
	return nil
}

func failText(err error) {
	if err == errTooLarge {
		fail(LimitFailure, "%v", err)
	}
	fail(ValueFailure, "%v", err)
}

// sizeBelow is how many steps it takes to write v out.
func (m *meter) sizeBelow(v any) int {
	return (MaxValue - m.weigh(v, MaxValue, 0)) / 64
}

func (m *meter) string(args []any) any {
	if s, ok := args[0].(string); ok {
		return s
	}
	switch args[0].(type) {
	case []any, map[string]any:
		m.step(m.sizeBelow(args[0]))
	}
	s, err := Render(args[0])
	if err != nil {
		failText(err)
	}
	m.alloc(itemBytes + len(s))
	return s
}

func (m *meter) json(args []any) any {
	m.step(m.sizeBelow(args[0]))
	b, err := appendJSON(nil, args[0], "", "")
	if err != nil {
		failText(err)
	}
	m.alloc(len(b))
	return string(b)
}

func (m *meter) fromJSON(args []any) any {
	s := stringArg(args[0])
	m.alloc(len(s))
	m.alloc(min(8*len(s), MaxValue)) // what it takes to hold the parts of a text of short parts
	v, err := FromJSON([]byte(s))
	if err != nil {
		fail(ValueFailure, "%v", err)
	}
	return v
}

func (m *meter) int(args []any) any {
	switch v := args[0].(type) {
	case int:
		return v
	case float64:
		return toInt(v)
	case string:
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil {
			fail(ValueFailure, "%s is not an int", show(v))
		}
		return n
	}
	fail(TypeFailure, "`int` takes a number or a string, this is %s", word(args[0]))
	return nil
}

func (m *meter) float(args []any) any {
	switch v := args[0].(type) {
	case int:
		return float64(v)
	case float64:
		return v
	case string:
		m.scan(len(v))
		text := strings.TrimSpace(v)
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || strings.ContainsAny(text, "xX_iInN") {
			fail(ValueFailure, "%s is not a number", show(v))
		}
		return finite(f)
	}
	fail(TypeFailure, "`float` takes a number or a string, this is %s", word(args[0]))
	return nil
}

// repeat counts bytes before it makes them: expr's own can end the process.
func (m *meter) repeat(args []any) any {
	s, n := stringArg(args[0]), intArg(args[1])
	if n < 0 {
		fail(ValueFailure, "`repeat` cannot repeat %d times", n)
	}
	if n > 0 && len(s) > MaxValue/n {
		m.alloc(MaxValue + 1)
	}
	m.alloc(len(s) * n)
	return strings.Repeat(s, n)
}

func (m *meter) join(args []any) any {
	xs := listArg(args[0])
	separator := ""
	if len(args) > 1 {
		separator = stringArg(args[1])
	}
	var b strings.Builder
	for i, x := range xs {
		s := m.string([]any{x}).(string)
		if i > 0 {
			s = separator + s
		}
		m.step(1)
		if b.Len()+len(s) > MaxValue {
			m.alloc(MaxValue + 1)
		}
		b.WriteString(s)
	}
	m.alloc(b.Len())
	return b.String()
}

func (m *meter) bullets(args []any) any {
	xs := listArg(args[0])
	var b strings.Builder
	for i, x := range xs {
		s := m.string([]any{x}).(string)
		if strings.Contains(s, "\n") {
			m.alloc(3 * len(s))
			s = strings.ReplaceAll(s, "\n", "\n  ")
		}
		m.step(1)
		if b.Len()+len(s)+3 > MaxValue {
			m.alloc(MaxValue + 1)
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("- " + s)
	}
	m.alloc(b.Len())
	return b.String()
}

func (m *meter) strings(parts []string) []any {
	m.items(len(parts))
	list := make([]any, len(parts))
	for i, p := range parts {
		list[i] = p
	}
	return list
}

func (m *meter) split(args []any) any {
	s, separator := stringArg(args[0]), stringArg(args[1])
	m.scan(len(s))
	n := strings.Count(s, separator) + 1
	m.alloc(2 * n * itemBytes)
	return m.strings(strings.Split(s, separator))
}

func (m *meter) lines(args []any) any {
	s := stringArg(args[0])
	m.scan(len(s))
	m.alloc(2 * (strings.Count(s, "\n") + 1) * itemBytes)
	s = strings.TrimSuffix(s, "\n")
	if s == "" {
		return []any{}
	}
	parts := strings.Split(s, "\n")
	for i, p := range parts {
		parts[i] = strings.TrimSuffix(p, "\r")
	}
	return m.strings(parts)
}

func (m *meter) trim(args []any) any {
	s := stringArg(args[0])
	m.scan(len(s))
	if len(args) == 1 {
		return strings.TrimSpace(s)
	}
	cut := stringArg(args[1])
	m.step((len(s)/64 + 1) * (1 + len(cut)))
	return strings.Trim(s, cut)
}

func (m *meter) trimPrefix(args []any) any {
	return strings.TrimPrefix(stringArg(args[0]), stringArg(args[1]))
}

func (m *meter) trimSuffix(args []any) any {
	return strings.TrimSuffix(stringArg(args[0]), stringArg(args[1]))
}

func (m *meter) upper(args []any) any { return m.mapped(args[0], strings.ToUpper) }
func (m *meter) lower(args []any) any { return m.mapped(args[0], strings.ToLower) }

func (m *meter) mapped(v any, how func(string) string) any {
	s := stringArg(v)
	m.alloc(len(s))
	return how(s)
}

func (m *meter) replace(args []any) any {
	s, old, new := stringArg(args[0]), stringArg(args[1]), stringArg(args[2])
	m.scan(len(s))
	n := strings.Count(s, old)
	if len(new) > 0 && n > MaxValue/len(new) {
		m.alloc(MaxValue + 1)
	}
	m.alloc(len(s) + n*len(new))
	return strings.ReplaceAll(s, old, new)
}

// indexOf counts characters, as slices and len do.
func (m *meter) indexOf(args []any) any {
	s, part := stringArg(args[0]), stringArg(args[1])
	m.scan(2 * len(s))
	return runesBefore(s, strings.Index(s, part))
}

func (m *meter) lastIndexOf(args []any) any {
	s, part := stringArg(args[0]), stringArg(args[1])
	m.scan(2 * len(s))
	return runesBefore(s, strings.LastIndex(s, part))
}

func runesBefore(s string, at int) int {
	if at < 0 {
		return -1
	}
	return countRunes(s[:at])
}
