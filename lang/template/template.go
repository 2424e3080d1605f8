// Package template reads prompt templates: plain text with gaps such as {{user.name}}, and above it, if its author likes, the variables it takes.
//
//	---
//	input name: string = "friend"
//	input items: [{title: string}]
//	---
//	Dear {{name}}, you asked for {{items[0].title | "nothing"}}.
//
// The header is written as the inputs of a flow are, and it is left to others to read. Of the text only the gaps and `\{{`, a literal `{{`, mean
// something: a lone brace, `}}` and `<<` are text. What is put into a gap is never looked at again.
package template

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// Limits of a template. Its text becomes part of every expression that calls it.
const (
	MaxBytes = 256 << 10
	MaxGaps  = 500
)

// Template is a template as it is written.
type Template struct {
	Source   *source.File
	Declared bool        // it has a header
	Header   source.Span // the lines of the header, without those that enclose it
	Parts    []Part
}

// Part is a piece of the text: Literal, or Gap when it is set.
type Part struct {
	Literal string
	Gap     *Gap
}

// Gap is a place of the text where a value is put in.
type Gap struct {
	At      source.Span // with its braces
	Path    []Segment   // the first is the name of a variable
	Default any         // what stands there when there is no value: a string, int, float64 or bool; nil when none is written
}

// Segment is a step on the way to a value: the name of a field, or the number of an item when Name is "".
type Segment struct {
	At    source.Span
	Name  string
	Index int
}

// String is the path as it is written: items[0].title.
func (g *Gap) String() string {
	var b strings.Builder
	for i, s := range g.Path {
		switch {
		case s.Name == "":
			fmt.Fprintf(&b, "[%d]", s.Index)
		case i > 0:
			b.WriteString("." + s.Name)
		default:
			b.WriteString(s.Name)
		}
	}
	return b.String()
}

// HeaderText is the text of the file with everything outside the header blanked, so that places in it are those of the file.
func (t *Template) HeaderText() string {
	b := []byte(t.Source.Text)
	for i := range b {
		if (i < t.Header.Start || i >= t.Header.End) && b[i] != '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}

// Parse reads a template. The template is whole only when the list has no errors; what could be read is in it all the same.
//
// The last line end of the file is not part of the text: a file ends with one whether its author wants it or not. Line ends come out as \n.
func Parse(src *source.File) (*Template, diag.List) {
	r := &reader{t: &Template{Source: src}, text: src.Text}
	switch {
	case len(src.Text) > MaxBytes:
		r.report("E0130", source.Span{}, fmt.Sprintf("a template may have %d KiB at most, and this has %d", MaxBytes>>10, len(src.Text)>>10), "", "give what is long as a variable")
		return r.t, r.diags
	case !utf8.ValidString(src.Text):
		r.report("E0108", source.Span{}, "this template is not text in UTF-8", "", "save it as UTF-8")
		return r.t, r.diags
	}
	r.header()
	r.body()
	return r.t, r.diags
}

type reader struct {
	t       *Template
	diags   diag.List
	text    string
	pos     int
	gaps    int
	literal strings.Builder
}

func (r *reader) report(code diag.Code, at source.Span, message, label string, help ...string) {
	d := diag.Diagnostic{Code: code, Severity: diag.Error, File: r.t.Source, Span: at, Message: message, Label: label}
	for _, h := range help {
		if h != "" {
			d.Help = append(d.Help, h)
		}
	}
	r.diags.Add(d)
}

const (
	byteOrderMark = "\ufeff"
	fence         = "---"
)

// header = "---" EOL { line EOL } "---" EOL .
func (r *reader) header() {
	if strings.HasPrefix(r.text, byteOrderMark) {
		r.pos = len(byteOrderMark)
	}
	start := r.pos
	line, next := r.line(start)
	if line != fence {
		return
	}
	first := next
	for at := next; at < len(r.text); at = next {
		if line, next = r.line(at); line == fence {
			r.t.Declared, r.t.Header, r.pos = true, source.Span{Start: first, End: at}, next
			return
		}
	}
	r.report("E0120", source.Span{Start: start, End: start + len(fence)}, "the header of this template never ends", "it begins here", "close it with a second line `---`; a text that begins with such a line needs a header before it, which may be empty")
	r.pos = len(r.text)
}

// line is the line that begins at a place, without blanks at its end, and where the next begins.
func (r *reader) line(at int) (string, int) {
	end := strings.IndexByte(r.text[at:], '\n')
	if end < 0 {
		return strings.TrimRight(r.text[at:], " \t\r"), len(r.text)
	}
	return strings.TrimRight(r.text[at:at+end], " \t\r"), at + end + 1
}

// body = { gap | "\{{" | character } .
func (r *reader) body() {
	if strings.HasSuffix(r.text, "\n") && r.pos < len(r.text) {
		r.text = strings.TrimSuffix(r.text[:len(r.text)-1], "\r")
	}
	for r.pos < len(r.text) {
		rest := r.text[r.pos:]
		switch {
		case strings.HasPrefix(rest, `\{{`):
			r.literal.WriteString("{{")
			r.pos += len(`\{{`)
		case strings.HasPrefix(rest, "{{"):
			r.gap()
		case strings.HasPrefix(rest, "\r\n"):
			r.pos++
		default:
			n := 1 + strings.IndexAny(rest[1:], "\\{\r")
			if n == 0 {
				n = len(rest)
			}
			r.literal.WriteString(rest[:n])
			r.pos += n
		}
	}
	r.flush()
}

func (r *reader) flush() {
	if r.literal.Len() > 0 {
		r.t.Parts = append(r.t.Parts, Part{Literal: r.literal.String()})
		r.literal.Reset()
	}
}

// gap = "{{" NAME { "." NAME | "[" INT "]" } [ "|" default ] "}}" .
func (r *reader) gap() {
	start := r.pos
	end := start + strings.IndexByte(r.text[start:]+"\n", '\n')
	g := &gapReader{text: r.text[:end], pos: start + len("{{")}
	gap := g.read()
	if g.message == "" {
		gap.At = source.Span{Start: start, End: g.pos}
		r.pos = g.pos
		if r.gaps++; r.gaps == MaxGaps+1 {
			r.report("E0130", gap.At, fmt.Sprintf("a template has %d gaps at most", MaxGaps), "this is one too many", "give a text of several values as one variable")
		}
		if r.gaps <= MaxGaps {
			r.flush()
			r.t.Parts = append(r.t.Parts, Part{Gap: gap})
		}
		return
	}
	const literally = "to write `{{` itself, put a `\\` before it: `\\{{`"
	shut := strings.Index(r.text[start:end], "}}")
	if shut < 0 {
		r.report("E0120", source.Span{Start: start, End: start + len("{{")}, "this `{{` is never closed", "there is no `}}` behind it on its line", "a gap is the name of a variable: `{{user.name}}`", literally)
		r.pos = end
		return
	}
	at := source.Span{Start: g.pos, End: min(max(g.end, g.pos+1), end)}
	r.report("E0120", at, g.message, g.label, g.help, literally)
	r.pos = start + shut + len("}}")
}

// gapReader reads what stands in the braces. The first thing that is wrong ends it.
type gapReader struct {
	text                 string
	pos, end             int
	message, label, help string
}

func (g *gapReader) fail(end int, message, label, help string) {
	if g.message == "" {
		g.end, g.message, g.label, g.help = end, message, label, help
	}
}

func (g *gapReader) blanks() {
	for g.pos < len(g.text) && (g.text[g.pos] == ' ' || g.text[g.pos] == '\t') {
		g.pos++
	}
}

func (g *gapReader) accept(s string) bool {
	if strings.HasPrefix(g.text[g.pos:], s) {
		g.pos += len(s)
		return true
	}
	return false
}

func (g *gapReader) read() *Gap {
	gap := &Gap{}
	g.blanks()
	if n := len(g.text); g.pos < n && strings.IndexByte("#/>!^%&", g.text[g.pos]) >= 0 {
		g.fail(g.pos+1, "a template has no conditions, loops or parts", "a gap is the name of a variable", "compute it in the script, and give it to the template as a variable")
		return gap
	}
	gap.Path = append(gap.Path, g.name("a gap is the name of a variable"))
	for g.message == "" {
		start := g.pos
		switch {
		case g.accept("."):
			gap.Path = append(gap.Path, g.name("the name of a field is missing behind the dot"))
			continue
		case g.accept("["):
			s := g.index()
			s.At = source.Span{Start: start, End: g.pos}
			gap.Path = append(gap.Path, s)
			continue
		}
		break
	}
	g.blanks()
	if g.message != "" {
		return gap
	}
	if strings.HasPrefix(g.text[g.pos:], "||") || strings.HasPrefix(g.text[g.pos:], "??") {
		g.fail(g.pos+2, "I did not expect `"+g.text[g.pos:g.pos+2]+"` here", "write `|`", "what to write when there is no value stands behind a `|`: `{{name | \"friend\"}}`")
		return gap
	}
	if g.accept("|") {
		g.blanks()
		gap.Default = g.constant()
		g.blanks()
	}
	if g.message == "" && !g.accept("}}") {
		g.fail(g.pos+1, "I did not expect this in a gap", "", "a gap is a name, fields and numbers of items behind it, and perhaps what to write when there is no value: `{{items[0].title | \"none\"}}`")
	}
	return gap
}

func (g *gapReader) name(missing string) Segment {
	start := g.pos
	for g.pos < len(g.text) {
		r, size := utf8.DecodeRuneInString(g.text[g.pos:])
		if r != '_' && !unicode.IsLetter(r) && (g.pos == start || !unicode.IsDigit(r)) {
			break
		}
		g.pos += size
	}
	if g.pos == start {
		g.fail(start+1, missing, "", "for instance `{{user.name}}`")
	}
	return Segment{At: source.Span{Start: start, End: g.pos}, Name: g.text[start:g.pos]}
}

func (g *gapReader) index() Segment {
	start := g.pos
	for g.pos < len(g.text) && '0' <= g.text[g.pos] && g.text[g.pos] <= '9' {
		g.pos++
	}
	n, err := strconv.Atoi(g.text[start:g.pos])
	if err != nil || n > 1<<30 || !g.accept("]") {
		g.pos = start
		g.fail(start+1, "the number of an item is missing here", "items are counted from 0", "for instance `{{items[0]}}`")
	}
	return Segment{Index: n}
}

// constant is a text in quotes, a number, true or false.
func (g *gapReader) constant() any {
	start := g.pos
	if g.pos < len(g.text) && (g.text[g.pos] == '"' || g.text[g.pos] == '\'') {
		return g.quoted(g.text[g.pos])
	}
	for g.pos < len(g.text) && strings.IndexByte(" \t}|", g.text[g.pos]) < 0 {
		g.pos++
	}
	word := g.text[start:g.pos]
	if word == "true" || word == "false" {
		return word == "true"
	}
	if n, err := strconv.Atoi(word); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(word, 64); err == nil && !strings.ContainsAny(word, "xXpPnN_") {
		return f
	}
	end := g.pos
	g.pos = start
	g.fail(end, "behind `|` stands what to write when there is no value: a text, a number, true or false", "write it in quotes: `\""+word+"\"`", "")
	return nil
}

func (g *gapReader) quoted(quote byte) string {
	start := g.pos
	var b strings.Builder
	for g.pos++; g.pos < len(g.text); g.pos++ {
		switch c := g.text[g.pos]; {
		case c == quote:
			g.pos++
			return b.String()
		case c == '\\' && quote == '"' && g.pos+1 < len(g.text):
			g.pos++
			switch c := g.text[g.pos]; c {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case '"', '\\':
				b.WriteByte(c)
			default:
				g.pos--
				g.fail(g.pos+2, "a `\\` before this means nothing", "", "write `\\n`, `\\t`, `\\\"` or `\\\\`, or use single quotes, in which nothing is special")
				return ""
			}
		default:
			b.WriteByte(c)
		}
	}
	g.pos = start
	g.fail(start+1, "this text is never closed", "it ends on its line", "")
	return ""
}
