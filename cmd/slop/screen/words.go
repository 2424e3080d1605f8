package screen

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// Style wraps text in colours, or leaves it alone.
type Style struct{ On bool }

func (s Style) wrap(code, text string) string {
	if !s.On || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold and the others paint text when colours are on.
func (s Style) Bold(t string) string   { return s.wrap("1", t) }
func (s Style) Dim(t string) string    { return s.wrap("2", t) }
func (s Style) Red(t string) string    { return s.wrap("31", t) }
func (s Style) Green(t string) string  { return s.wrap("32", t) }
func (s Style) Yellow(t string) string { return s.wrap("33", t) }
func (s Style) Cyan(t string) string   { return s.wrap("36", t) }

// Inert takes the power over the terminal from a text of the world: escape sequences and other control characters become visible signs. Tabs and line
// ends stay. Direction overrides go too, since they make a line read as what it is not.
func Inert(text string) string {
	clean := true
	for i := 0; i < len(text); i++ {
		if b := text[i]; (b < 0x20 && b != '\n' && b != '\t') || b >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r == '\r' && i+1 < len(text) && text[i+1] == '\n':
		case r < 0x20:
			b.WriteRune('␀' + r)
		case r == 0x7f:
			b.WriteRune('␡')
		case r == utf8.RuneError && n == 1, unicode.IsControl(r), isBidi(r):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

func isBidi(r rune) bool {
	return (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) || r == 0x200e || r == 0x200f || r == 0x061c
}

// OneLine is text on one line of at most width columns, inert.
func OneLine(text string, width int) string {
	if len(text) > 8*width+64 {
		text = text[:8*width+64]
	}
	text = strings.Join(strings.Fields(Inert(text)), " ")
	if width <= 0 {
		return ""
	}
	return runewidth.Truncate(text, width, "…")
}

// Value is a value as one line, as wide as that at most.
func Value(v any, width int) string {
	switch v := v.(type) {
	case types.Large:
		return fmt.Sprintf("a text of %d KiB", v.Size>>10)
	case string:
		return OneLine(strconv.Quote(clip(v, 4*width)), width)
	}
	text, err := run.EncodeValue(v)
	if err != nil {
		return "a value"
	}
	return OneLine(string(text), width)
}

// clip keeps the beginning of a text that will be cut in any case.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// Answer is what was said to a question, by whom and why, as one line.
func Answer(v any, by, reason string) string {
	text := Value(v, 200)
	if by != "" {
		text += " by " + OneLine(by, 80)
	}
	if reason != "" {
		text += ": " + OneLine(reason, 300)
	}
	return text
}

// Took is a length of time as people read it: 0.4s, 12s, 3m05s.
func Took(d time.Duration) string {
	switch {
	case d < 0:
		d = 0
		fallthrough
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// Used is what calls used, empty when nothing is known and nothing counts.
func Used(u run.Usage) string {
	var parts []string
	about := func(s run.Source) string {
		if s == run.Estimated {
			return "about "
		}
		return ""
	}
	if n := u.Input + u.Output + u.CacheRead + u.CacheWrite; n > 0 && u.Tokens != run.Unknown {
		parts = append(parts, about(u.Tokens)+count(n)+" tokens")
	}
	switch {
	case u.CostSource == run.Unknown:
		parts = append(parts, "cost unknown")
	case u.CostSource != "":
		parts = append(parts, about(u.CostSource)+Dollars(int64(u.Cost)))
	}
	return strings.Join(parts, ", ")
}

// Dollars writes millionths of a dollar: $1.24, $0.0031.
func Dollars(micro int64) string {
	switch d := float64(micro) / 1e6; {
	case micro == 0:
		return "$0"
	case d >= 0.1:
		return fmt.Sprintf("$%.2f", d)
	case d >= 0.0001:
		return fmt.Sprintf("$%.4f", d)
	default:
		return fmt.Sprintf("$%.6f", d)
	}
}

func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Width is how many columns a text takes on a terminal.
func Width(text string) int { return runewidth.StringWidth(text) }
