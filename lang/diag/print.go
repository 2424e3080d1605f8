package diag

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"

	"github.com/slopstudios/slop/lang/source"
)

// What is drawn has an end: nobody reads the twenty-first message, nor a line of a thousand columns.
const (
	maxShown = 20
	maxWidth = 140
	maxWords = 1000 // runes of a message, a label or a help: more is a name or a text that no person wrote
	tabWidth = 4
)

// Print draws the list for people: what is wrong, where, and what to do about it.
//
//	error[E0102]: I don't know an agent named `reseacher`
//	 --> article.slop:3:9
//	  |
//	3 | facts = reseacher "Find five surprising facts about <<topic>>."
//	  |         ^^^^^^^^^ did you mean `researcher`?
//	  |
//	  = help: agents in scope: claude, editor, researcher, writer
//
// After twenty it says how many more there are.
func Print(w io.Writer, l List, color bool) {
	p := printer{Writer: bufio.NewWriter(w), color: color}
	for i, d := range l {
		if i == maxShown {
			fmt.Fprintf(p, "\n… and %d more\n", len(l)-maxShown)
			break
		}
		if i > 0 {
			fmt.Fprintln(p)
		}
		p.diagnostic(d)
	}
	p.Flush()
}

type printer struct {
	*bufio.Writer
	color  bool
	gutter int // columns of the widest line number
}

type paint string

const (
	bold   paint = "\x1b[1m"
	red    paint = "\x1b[1;31m"
	yellow paint = "\x1b[1;33m"
	blue   paint = "\x1b[1;34m"
	green  paint = "\x1b[32m"
)

func (p *printer) paint(c paint, s string) string {
	if !p.color || s == "" {
		return s
	}
	return string(c) + s + "\x1b[0m"
}

// mark is a place to underline.
type mark struct {
	file    *source.File
	span    source.Span
	label   string
	primary bool
}

func (p *printer) diagnostic(d Diagnostic) {
	tone := red
	if d.Severity == Warning {
		tone = yellow
	}
	fmt.Fprintf(p, "%s%s\n", p.paint(tone, fmt.Sprintf("%s[%s]", d.Severity, d.Code)), p.paint(bold, ": "+oneLine(d.Message)))
	if d.File == nil {
		p.gutter = 1
		p.notes(d)
		return
	}
	files := []*source.File{d.File}
	marks := map[*source.File][]mark{d.File: {{d.File, d.Span, d.Label, true}}}
	for _, r := range d.Related {
		f := r.File
		if f == nil {
			f = d.File
		}
		if !slices.Contains(files, f) {
			files = append(files, f)
		}
		marks[f] = append(marks[f], mark{f, r.Span, r.Message, false})
	}
	last := 1
	for _, f := range files {
		for _, m := range marks[f] {
			last = max(last, f.Pos(m.span.End).Line)
		}
	}
	p.gutter = len(strconv.Itoa(last))
	for i, f := range files {
		arrow := "-->"
		if i > 0 {
			arrow = ":::"
			p.bar("")
		}
		at := f.Pos(marks[f][0].span.Start)
		pointer := ""
		if d.Pointer != "" && i == 0 {
			pointer = " (" + oneLine(d.Pointer) + ")"
		}
		fmt.Fprintf(p, "%s%s %s:%d:%d%s\n", strings.Repeat(" ", p.gutter), p.paint(blue, arrow), f.Name, at.Line, at.Column, pointer)
		if f.Text == "" || len(f.Text) > 64<<20 {
			continue
		}
		p.bar("")
		p.snippet(f, marks[f], tone)
	}
	p.notes(d)
}

func (p *printer) notes(d Diagnostic) {
	fixed, ok := repaired(d)
	if d.File != nil && d.File.Text != "" && (len(d.Help) > 0 || ok) {
		p.bar("")
	}
	indent := strings.Repeat(" ", p.gutter+1)
	for _, h := range d.Help {
		h = strings.ReplaceAll(strings.TrimRight(h, "\n"), "\n", "\n"+indent+"        ")
		fmt.Fprintf(p, "%s%s help: %s\n", indent, p.paint(blue, "="), visible(h, true))
	}
	if ok {
		fmt.Fprintf(p, "%s%s try:  %s\n", indent, p.paint(blue, "="), p.paint(green, fixed))
	}
}

// repaired is the line as the fix makes it, if it is one line and fits.
func repaired(d Diagnostic) (string, bool) {
	if d.Fix == nil || d.File == nil {
		return "", false
	}
	start, end := d.File.Pos(d.Fix.Span.Start), d.File.Pos(d.Fix.Span.End)
	if start.Line != end.Line || strings.Contains(d.Fix.Text, "\n") {
		return "", false
	}
	line := d.File.Line(start.Line)
	runes := []rune(line)
	if end.Column-1 > len(runes) {
		return "", false
	}
	line = string(runes[:start.Column-1]) + d.Fix.Text + string(runes[end.Column-1:])
	if utf8.RuneCountInString(line) > maxWords {
		return "", false
	}
	line = strings.TrimSpace(visible(strings.TrimRight(line, "\r"), false))
	return line, line != "" && runewidth.StringWidth(line) <= maxWidth
}

// bar draws a line that has no number.
func (p *printer) bar(rest string) {
	line := strings.Repeat(" ", p.gutter+1) + p.paint(blue, "|")
	if rest != "" {
		line += " " + rest
	}
	fmt.Fprintln(p, line)
}

// snippet draws the marked lines of a file in their order, … for those between.
func (p *printer) snippet(f *source.File, marks []mark, tone paint) {
	type row struct {
		line       int
		start, end int // columns in runes, from 0
		mark
	}
	var rows []row
	for _, m := range marks {
		start, end := f.Pos(m.span.Start), f.Pos(max(m.span.Start, m.span.End))
		if end.Line > start.Line && end.Column == 1 && m.span.End > m.span.Start { // a span that takes the line end with it
			end = f.Pos(m.span.End - 1)
		}
		if start.Line == end.Line {
			rows = append(rows, row{start.Line, start.Column - 1, end.Column - 1, m})
			continue
		}
		first, last := f.Line(start.Line), f.Line(end.Line)
		head := m
		head.label = ""
		rows = append(rows, row{start.Line, start.Column - 1, utf8.RuneCountInString(strings.TrimRight(first, " \t")), head})
		indent := utf8.RuneCountInString(last) - utf8.RuneCountInString(strings.TrimLeft(last, " \t"))
		rows = append(rows, row{end.Line, min(indent, end.Column-1), end.Column - 1, m})
	}
	slices.SortStableFunc(rows, func(a, b row) int { return a.line - b.line })
	shown := 0
	for _, r := range rows {
		if shown > 0 && r.line == shown+2 {
			text, _ := p.source(f.Line(shown+1), 0, 0)
			p.numbered(shown+1, text)
		} else if shown > 0 && r.line > shown+2 {
			fmt.Fprintln(p, p.paint(blue, strings.Repeat(".", p.gutter+2)))
		}
		text, under := p.source(f.Line(r.line), r.start, r.end)
		if r.line != shown {
			p.numbered(r.line, text)
		}
		shown = r.line
		sign, c := "^", tone
		if !r.primary {
			sign, c = "-", blue
		}
		carets := strings.Repeat(sign, max(1, under.width))
		if r.label != "" {
			carets += " " + oneLine(r.label)
		}
		p.bar(strings.Repeat(" ", under.at) + p.paint(c, carets))
	}
}

func (p *printer) numbered(n int, text string) {
	fmt.Fprintf(p, "%s %s\n", p.paint(blue, fmt.Sprintf("%*d |", p.gutter, n)), strings.TrimRight(text, " "))
}

// underline is where carets go, in columns of the screen.
type underline struct{ at, width int }

// source makes a line fit for the screen: tabs become blanks, what cannot be seen becomes visible, a long line is cropped around the marked runes.
func (p *printer) source(line string, start, end int) (string, underline) {
	runes := []rune(line)
	start, end = min(start, len(runes)), min(max(start, end), len(runes))
	from, to := 0, len(runes)
	if len(runes) > maxWidth {
		from = max(0, min(start-maxWidth/3, len(runes)-maxWidth))
		to = min(len(runes), from+maxWidth)
	}
	var b strings.Builder
	at, width, column := 0, 0, 0
	if from > 0 {
		b.WriteString("…")
		column++
	}
	for i := from; i < to; i++ {
		if i == start {
			at = column
		}
		before := column
		switch s := cell(runes[i]); {
		case runes[i] == '\t':
			n := tabWidth - column%tabWidth
			b.WriteString(strings.Repeat(" ", n))
			column += n
		default:
			b.WriteString(s)
			column += widths.StringWidth(s)
		}
		if i >= start && i < end {
			width += column - before
		}
	}
	if start >= to {
		at = column
	}
	if to < len(runes) {
		b.WriteString("…")
	}
	return b.String(), underline{at, width}
}

// widths counts columns the same way everywhere, whatever the locale.
var widths = &runewidth.Condition{}

// cell is how a rune is shown.
func cell(r rune) string {
	if r == 0 || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
		return "�"
	}
	return string(r)
}

func visible(s string, lines bool) string {
	if utf8.RuneCountInString(s) > maxWords {
		s = string([]rune(s)[:maxWords]) + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', lines && r == '\n':
			return r
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return '�'
		}
		return r
	}, s)
}

func oneLine(s string) string {
	return visible(strings.ReplaceAll(s, "\n", " "), false)
}
