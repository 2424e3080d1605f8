package check

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/syntax"
)

// codeOf is an expression as lang/eval compiles it: the texts in it are strings of expr-lang, those with values calls of text(…).
func (c *checker) codeOf(e *syntax.Expr) string {
	var b strings.Builder
	skip, at := 0, -1
	splices := c.info.Splices(e)
	for _, at := range c.info.AgentsIn(e) {
		splices = append(splices, Splice{at.Start, at.End, quote(at.Text)})
	}
	slices.SortFunc(splices, func(a, b Splice) int { return a.Start - b.Start })
	for _, r := range e.Code {
		at++
		if skip > 0 { // the blanks that keep a placeholder as long as its text
			skip--
			continue
		}
		if len(splices) > 0 && splices[0].Start == at {
			b.WriteString(splices[0].Code)
			skip = splices[0].End - at - 1
			splices = splices[1:]
			continue
		}
		if i, ok := syntax.PlaceholderIndex(string(r)); ok && i < len(e.Texts) {
			b.WriteString(c.codeOfText(e.Texts[i]))
			skip = utf8.RuneCountInString(c.src.Slice(e.Texts[i].At)) - 1
			continue
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

func (c *checker) codeOfText(t *syntax.Text) string {
	if plain, ok := t.Plain(); ok {
		return quote(plain)
	}
	parts := make([]string, 0, len(t.Parts))
	for i := range t.Parts {
		if e := t.Parts[i].Expr; e != nil {
			parts = append(parts, c.codeOf(e))
		} else {
			parts = append(parts, quote(t.Parts[i].Literal))
		}
	}
	return "text(" + strings.Join(parts, ", ") + ")"
}

// quote writes a string of expr-lang, which reads what JSON writes.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("check: a string that JSON cannot write: " + err.Error())
	}
	return strings.TrimSpace(b.String())
}
