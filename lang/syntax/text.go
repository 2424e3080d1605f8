package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// decode reads what is in a text: escapes, interpolations, and for triple quotes the indent that its lines share. A plain text interpolates nothing.
func (r *reader) decode(t *Text, plain bool) {
	raw := r.src.Slice(t.At)
	q := len(t.Quote)
	if len(raw) < 2*q || !strings.HasSuffix(raw, string(t.Quote)) || t.Quote[0] != '"' && t.Quote[0] != '\'' {
		return // never closed, and said so
	}
	d := decoder{r: r, text: r.src.Text, from: t.At.Start + q, to: t.At.End - q, talks: t.Quote[0] == '"', plain: plain, piece: t.At.Start + q}
	if q == 3 {
		d.trim()
	}
	d.run()
	t.Parts = d.parts
}

// decoder walks the bytes between two quotes.
type decoder struct {
	r        *reader
	text     string
	from, to int
	talks    bool   // double quotes: escapes and interpolations
	plain    bool   // inside << >>
	indent   string // what every line but an empty one begins with
	lines    bool   // three quotes: lines lose their indent

	parts   []Part
	literal strings.Builder
	piece   int // where the literal began
}

// trim drops the first and the last line end and finds the common indent.
func (d *decoder) trim() {
	body := d.text[d.from:d.to]
	lead := len(body) - len(strings.TrimLeft(body, " \t"))
	broken := false // does the text begin on a line of its own?
	if rest := body[lead:]; strings.HasPrefix(rest, "\n") || strings.HasPrefix(rest, "\r\n") {
		n := lead + strings.IndexByte(rest, '\n') + 1
		d.from += n
		body = body[n:]
		broken = true
	}
	if n := strings.LastIndexByte(body, '\n'); strings.Trim(body[n+1:], " \t") == "" && (n >= 0 || broken) {
		end := max(n, 0)
		if end > 0 && body[end-1] == '\r' {
			end--
		}
		d.to = d.from + end
		body = body[:end]
	}
	first := true
	for i, line := range strings.Split(body, "\n") {
		if i == 0 && !broken {
			continue
		}
		text := strings.TrimLeft(line, " \t")
		if text == "" || text == "\r" {
			continue
		}
		indent := line[:len(line)-len(text)]
		if first {
			d.indent, first = indent, false
			continue
		}
		n := 0
		for n < len(indent) && n < len(d.indent) && indent[n] == d.indent[n] {
			n++
		}
		d.indent = d.indent[:n]
	}
	d.lines = true
	d.piece = d.from
	if broken {
		d.from = d.skipIndent(d.from)
	}
}

// skipIndent returns where a line begins once its indent is gone. A line of blanks is an empty one.
func (d *decoder) skipIndent(i int) int {
	text := i
	for text < d.to && blankByte(d.text[text]) {
		text++
	}
	if text == d.to || d.text[text] == '\n' || d.text[text] == '\r' {
		return text
	}
	return min(i+len(d.indent), text)
}

func (d *decoder) run() {
	start := d.from // of the run of plain bytes
	flush := func(end int) {
		if end > start {
			d.literal.WriteString(d.text[start:end])
		}
	}
	i, blamed := d.from, 0
	for i < d.to {
		c := d.text[i]
		switch {
		case c == '\n' && d.lines:
			flush(i + 1)
			i = d.skipIndent(i + 1)
			start = i
		case c == '\r' && i+1 < d.to && d.text[i+1] == '\n':
			flush(i)
			i++
			start = i
		case c == '\\' && d.talks:
			flush(i)
			i = d.escape(i)
			start = i
		case c == '<' && d.talks && !d.plain && strings.HasPrefix(d.text[i:d.to], "<<"):
			end, ok := interpolationEnd(d.text[:d.to], i, false)
			if !ok {
				if blamed++; blamed <= 3 { // who writes a fourth has not read the first
					d.blame(i)
				}
				for i += 2; i < d.to && d.text[i] == '<'; i++ { // one run, one mistake
				}
				continue
			}
			flush(i)
			d.interpolate(i, end)
			i = end
			start = i
		default:
			i++
		}
	}
	flush(d.to)
	d.endLiteral(d.to)
}

func (d *decoder) endLiteral(end int) {
	if d.literal.Len() > 0 {
		d.parts = append(d.parts, Part{Node: Node{source.Span{Start: d.piece, End: end}}, Literal: d.literal.String()})
		d.literal.Reset()
	}
	d.piece = end
}

func (d *decoder) interpolate(start, end int) {
	d.endLiteral(start)
	at := source.Span{Start: start, End: end}
	inner := source.Span{Start: start + 2, End: end - 2}
	for inner.Start < inner.End && blankByte(d.text[inner.Start]) {
		inner.Start++
	}
	for inner.Start < inner.End && blankByte(d.text[inner.End-1]) {
		inner.End--
	}
	if inner.Start == inner.End {
		d.r.report(diag.Diagnostic{
			Code:    "E0120",
			Span:    at,
			Message: "there is nothing between `<<` and `>>`",
			Label:   "a name or a calculation belongs here",
			Help:    []string{"for the characters themselves write \\<<"},
		})
		d.piece = end
		return
	}
	x := &Expr{Node: Node{inner}}
	if sideBySide(d.text[inner.Start:inner.End]) {
		d.r.report(diag.Diagnostic{
			Code:    "E0120",
			Span:    at,
			Message: "what stands in this `<<` … `>>` is no expression",
			Label:   "two values stand side by side",
			Help:    []string{"Strudel and other code belongs in single quotes, where nothing is special: '…' or '''…'''", "for the characters themselves write \\<<"},
		})
		d.piece = end
		return
	}
	d.r.fill(x, true)
	d.parts = append(d.parts, Part{Node: Node{at}, Expr: x})
	d.piece = end
}

// sideBySide tells whether two operands stand side by side, as in `c4 eb4` or `<<EOF text>>`: expr never allows that, but code and prose are full of it.
func sideBySide(code string) bool {
	operand := false // a name or number has just ended, and a blank came
	for i := 0; i < len(code); {
		c := code[i]
		switch {
		case c == '"' || c == '\'':
			i, _ = textEnd(code, i, true)
			operand = false
		case isLetter(c) || isDigit(c):
			j := i
			for j < len(code) && (isLetter(code[j]) || isDigit(code[j]) || code[j] >= utf8.RuneSelf) {
				j++
			}
			word := code[i:j]
			operator := wordOperators[word] || word == "not"
			if operand && !operator {
				return true
			}
			operand = !operator
			i = j
		case c == ' ' || c == '\t':
			i++
		case c == '~' || c == '\\' || c == '`' || c == ';':
			return true
		default:
			operand = false
			i++
		}
	}
	return false
}

func blankByte(c byte) bool { return c == ' ' || c == '\t' }

// blame reports a << that is never closed, with the cure for what it looks like.
func (d *decoder) blame(i int) {
	line := d.text[i:min(d.to, i+maxInterpolation)]
	if n := strings.IndexByte(line, '\n'); n >= 0 {
		line = strings.TrimRight(line[:n], "\r")
	}
	at := source.Span{Start: i, End: i + 2}
	out := diag.Diagnostic{
		Code:    "E0120",
		Span:    at,
		Message: "this `<<` is never closed",
		Label:   "a `>>` is missing on this line",
		Help:    []string{"`<<name>>` puts a value in; for the characters themselves write \\<<"},
	}
	word := strings.TrimLeft(line[2:], "-~")
	switch {
	case strings.HasPrefix(line, "<<<<<<<"):
		out.Message = "this looks like the marker of a merge that was not finished"
		out.Label = "a merge conflict"
		at.End = i + 7
		out.Span = at
		out.Help = []string{"settle the conflict; to keep the marker as text write \\<<\\<<\\<<<"}
	case strings.Contains(line, ">>"):
		out.Message = "what stands in this `<<` … `>>` is no expression"
		out.Label = "a bracket or a quote in it is never closed"
		out.Help = []string{"Strudel and other code belongs in single quotes, where nothing is special: '…' or '''…'''", "for the characters themselves write \\<<"}
	case len(word) >= 3 && strings.ToUpper(word[:3]) == word[:3] && isLetter(word[0]) && isLetter(word[1]) && isLetter(word[2]):
		out.Message = "this `<<` is never closed; it looks like a heredoc"
		out.Label = "the start of a heredoc?"
		out.Help = []string{"shell code belongs in single quotes, where nothing is special: '''…'''", "for the characters themselves write \\<<"}
	case strings.ContainsAny(line[2:], "[]~*"):
		out.Help = []string{"Strudel and other code belongs in single quotes, where nothing is special: '…' or '''…'''", "for the characters themselves write \\<<"}
	}
	d.r.report(out)
}

// escape reads the escape at i and returns where it ends.
func (d *decoder) escape(i int) int {
	if i+1 >= d.to {
		return i + 1
	}
	switch c := d.text[i+1]; c {
	case 'n':
		d.literal.WriteByte('\n')
	case 't':
		d.literal.WriteByte('\t')
	case '"', '\\':
		d.literal.WriteByte(c)
	case '<':
		if strings.HasPrefix(d.text[i+1:d.to], "<<") {
			d.literal.WriteString("<<")
			return i + 3
		}
		return d.badEscape(i)
	case 'u':
		return d.unicode(i)
	default:
		return d.badEscape(i)
	}
	return i + 2
}

// unicode reads \u{1f3b5}.
func (d *decoder) unicode(i int) int {
	rest := d.text[i+2 : min(d.to, i+12)]
	end := strings.IndexByte(rest, '}')
	if !strings.HasPrefix(rest, "{") || end < 0 {
		return d.badEscape(i)
	}
	n, err := strconv.ParseUint(rest[1:end], 16, 32)
	if err != nil || !utf8.ValidRune(rune(n)) || n > utf8.MaxRune {
		return d.badEscape(i)
	}
	d.literal.WriteRune(rune(n))
	return i + 2 + end + 1
}

func (d *decoder) badEscape(i int) int {
	r, size := utf8.DecodeRuneInString(d.text[i+1:])
	at := source.Span{Start: i, End: i + 1 + size}
	if r == '\n' || r == '\r' {
		at.End = i + 1
		size = 0
	}
	out := diag.Diagnostic{
		Code:    "E0003",
		Span:    at,
		Message: fmt.Sprintf("a text in double quotes knows no `%s`", d.text[at.Start:at.End]),
		Help:    []string{"it knows \\n \\t \\\" \\\\ \\u{1f3b5} and \\<<", "for a backslash write \\\\; for code use single quotes, where nothing is special: '…'"},
		Fix:     &diag.Fix{Span: source.Span{Start: i, End: i + 1}, Text: `\\`},
	}
	switch {
	case at.End == i+1:
		out.Message = "a backslash cannot end a line"
		out.Help = []string{"a line end in a text is one as it stands; for a backslash write \\\\"}
	case r == '\'':
		out.Label, out.Fix = "a ' needs no backslash here", &diag.Fix{Span: at, Text: "'"}
	case r == 'u':
		out.Label, out.Fix = "the number of the character stands in braces: \\u{1f3b5}", nil
	case r == '<':
		out.Label, out.Fix = "a single < needs no backslash", &diag.Fix{Span: at, Text: "<"}
	case r == '{' || r == '$' || r == '>' || r == '#':
		out.Label, out.Fix = fmt.Sprintf("a %c needs no backslash", r), &diag.Fix{Span: at, Text: string(r)}
	}
	d.r.report(out)
	return i + 1 + size
}
