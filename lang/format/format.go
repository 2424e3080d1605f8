// Package format writes a tree as its script is written by convention: two blanks a level, one between words, comments where they were, and not a letter
// inside a text touched.
package format

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// maxLine is the width, in runes, above which a step's clauses each get a line.
const maxLine = 100

// File returns the canonical text of a file that was read without errors. Formatting it again changes nothing.
func File(f *syntax.File) []byte {
	p := &printer{src: f.Source, comments: f.Comments}
	p.items(f)
	text := bytes.TrimRight(p.out, "\n")
	if len(text) > 0 {
		text = append(text, '\n')
	}
	return text
}

// printer writes the tree and, before each part of it, the comments that stand before that part.
type printer struct {
	src      *source.File
	comments []syntax.Comment // those not written yet
	out      []byte
	indent   int
	column   int // runes on the current line
	pending  []string
	last     int // the offset up to which the source has been written
}

func (p *printer) write(s string) {
	if s == "" {
		return
	}
	if p.column == 0 && !strings.HasPrefix(s, "\n") {
		for range p.indent {
			p.out = append(p.out, "  "...)
		}
		p.column = 2 * p.indent
	}
	p.out = append(p.out, s...)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		p.column = utf8.RuneCountInString(s[i+1:])
	} else {
		p.column += utf8.RuneCountInString(s)
	}
}

// newline ends the line, with the comments that had no room before.
func (p *printer) newline() {
	if len(p.pending) > 0 {
		p.write(" " + p.pending[0])
		rest := p.pending[1:]
		p.pending = nil
		for _, c := range rest {
			p.out = append(p.out, '\n')
			p.column = 0
			p.write(c)
		}
	}
	p.out = append(p.out, '\n')
	p.column = 0
}

// hold takes the comments before an offset inside a line: they follow it at its end.
func (p *printer) hold(before int) {
	for len(p.comments) > 0 && p.comments[0].At.Start < before {
		p.pending = append(p.pending, p.comments[0].Text)
		p.comments = p.comments[1:]
	}
}

// trail takes the comment that stands behind a line's last token.
func (p *printer) trail(end int) {
	if len(p.comments) == 0 {
		return
	}
	c := p.comments[0]
	if c.At.Start < end || !strings.Contains(p.src.Text[end:c.At.Start], "\n") {
		p.hold(c.At.Start + 1)
	}
}

// lead writes the comments before a line, and an empty line where the source has one.
func (p *printer) lead(start int, first bool) {
	for len(p.comments) > 0 && p.comments[0].At.Start < start {
		c := p.comments[0]
		p.comments = p.comments[1:]
		if !first {
			p.gap(c.At.Start)
		}
		first = false
		p.write(c.Text)
		p.newline()
		p.last = c.At.End
	}
	if !first {
		p.gap(start)
	}
}

// gap writes an empty line if the source has one between what was written last and start.
func (p *printer) gap(start int) {
	if start < p.last {
		return
	}
	between := p.src.Text[p.last:start]
	if strings.Count(between, "\n") > 1 {
		p.out = append(p.out, '\n')
	}
}

// done ends a line of the source that ended at end.
func (p *printer) done(end int) {
	p.hold(end)
	p.trail(end)
	p.newline()
	p.last = end
	// a trailing comment ends later
	if i := strings.IndexByte(p.src.Text[end:], '\n'); i >= 0 {
		p.last = end + i
	}
}

func (p *printer) items(f *syntax.File) {
	for i, item := range f.Items {
		p.lead(item.Span().Start, i == 0)
		p.item(item)
		p.done(item.Span().End)
	}
	p.lead(len(p.src.Text), len(f.Items) == 0)
}

func (p *printer) item(item syntax.Item) {
	switch n := item.(type) {
	case *syntax.Use:
		p.write("use ")
		if n.Template {
			p.write("template ")
		}
		p.text(n.Path)
		p.write(" as " + n.As.Text)
	case *syntax.Input:
		p.write("input " + n.Name.Text + ": ")
		p.typ(&n.Type)
		if n.Default != nil {
			p.write(" = ")
			p.expr(n.Default)
		}
		if n.Must != nil {
			p.write(" must ")
			p.expr(n.Must)
		}
		if n.Doc != nil {
			p.write(" ")
			p.text(n.Doc)
		}
	case *syntax.Secret:
		p.write("secret " + n.Name.Text)
	case *syntax.Budget:
		p.write("budget " + p.amount(n.Amount))
	case *syntax.TypeDef:
		p.typeDef(n)
	case *syntax.Agent:
		p.write("agent " + n.Name.Text + " = ")
		p.call(n.Base)
	case *syntax.Test:
		p.test(n)
	case syntax.Stmt:
		p.stmt(n)
	default:
		panic(fmt.Sprintf("format: unexpected item %T", item))
	}
}

// braced writes the lines of a body between braces. Body is the span of the braces; line writes the i-th.
func (p *printer) braced(body source.Span, spans []source.Span, line func(i int)) {
	p.write("{")
	comments := len(p.comments) > 0 && p.comments[0].At.Start < body.End
	if len(spans) == 0 && !comments {
		p.write("}")
		return
	}
	if len(spans) == 1 && !comments && len(p.pending) == 0 && !strings.Contains(p.src.Slice(source.Span{Start: body.Start, End: spans[0].Start}), "\n") &&
		!strings.Contains(p.src.Slice(source.Span{Start: spans[0].End, End: body.End}), "\n") {
		p.write(" ")
		line(0)
		p.write(" }")
		return
	}
	p.trailOpen(body.Start)
	p.indent++
	p.newline()
	p.last = body.Start + 1
	for i, s := range spans {
		p.lead(s.Start, i == 0)
		line(i)
		p.done(s.End)
	}
	p.lead(body.End-1, len(spans) == 0)
	p.indent--
	p.trimGap()
	p.write("}")
}

// trimGap takes back an empty line before a closing brace.
func (p *printer) trimGap() {
	if bytes.HasSuffix(p.out, []byte("\n\n")) {
		p.out = p.out[:len(p.out)-1]
	}
}

// trailOpen takes the comment behind an opening brace.
func (p *printer) trailOpen(brace int) {
	p.hold(brace + 1)
	if len(p.comments) > 0 && brace < p.comments[0].At.Start && !strings.Contains(p.src.Text[brace:p.comments[0].At.Start], "\n") &&
		strings.TrimSpace(p.src.Text[brace+1:p.comments[0].At.Start]) == "" {
		p.hold(p.comments[0].At.Start + 1)
	}
}

func (p *printer) block(b *syntax.Block) {
	spans := make([]source.Span, len(b.Stmts))
	for i, s := range b.Stmts {
		spans[i] = s.Span()
	}
	p.braced(b.At, spans, func(i int) { p.stmt(b.Stmts[i]) })
}

func (p *printer) test(n *syntax.Test) {
	p.write("test ")
	p.text(n.Name)
	p.write(" ")
	spans := make([]source.Span, len(n.Lines))
	for i, l := range n.Lines {
		spans[i] = l.Span()
	}
	p.braced(source.Span{Start: p.sign(n.Name.At.End, '{'), End: n.At.End}, spans, func(i int) {
		switch l := n.Lines[i].(type) {
		case *syntax.Given:
			p.write("given " + l.Name.Text + " = ")
			p.expr(l.Value)
		case *syntax.Mock:
			p.write("mock " + l.Callee.String() + " -> ")
			for i, a := range l.Answers {
				if i > 0 {
					p.write(", ")
				}
				p.expr(a)
			}
		case *syntax.FailMock:
			p.write("fail " + l.Callee.String() + " ")
			p.text(l.Message)
		case *syntax.Expect:
			p.write("expect ")
			if l.Fail != nil {
				p.write("fail ")
				p.text(l.Fail)
			} else {
				p.expr(l.Cond)
			}
		}
	})
}

// sign finds a bracket behind an offset, past blanks, commas and comments.
func (p *printer) sign(i int, bracket byte) int {
	for i < len(p.src.Text) && p.src.Text[i] != bracket {
		if strings.HasPrefix(p.src.Text[i:], "//") {
			n := strings.IndexByte(p.src.Text[i:], '\n')
			if n < 0 {
				return len(p.src.Text)
			}
			i += n
		}
		i++
	}
	return i
}

// typeDef writes a type that its author wrote on one line on one, and any other with a line for each field.
func (p *printer) typeDef(n *syntax.TypeDef) {
	p.write("type " + n.Name.Text + " ")
	type part struct {
		at    source.Span
		field *syntax.Field
		must  *syntax.Must
	}
	var parts []part
	for i := range n.Fields {
		parts = append(parts, part{at: n.Fields[i].At, field: &n.Fields[i]})
	}
	for i := range n.Musts {
		parts = append(parts, part{at: n.Musts[i].At, must: &n.Musts[i]})
	}
	slices.SortFunc(parts, func(a, b part) int { return a.at.Start - b.at.Start })
	one := func(q part) {
		if q.field != nil {
			p.field(q.field)
			return
		}
		p.write("must ")
		p.expr(q.must.Cond)
		if q.must.Else != nil {
			p.write(" else ")
			p.text(q.must.Else)
		}
	}
	body := source.Span{Start: p.sign(n.Name.At.End, '{'), End: n.At.End}
	broken := strings.Contains(p.src.Slice(body), "\n")
	var lines []source.Span
	var rows [][]part
	for i, q := range parts {
		if i > 0 && !broken {
			rows[len(rows)-1] = append(rows[len(rows)-1], q)
			lines[len(lines)-1].End = q.at.End
			continue
		}
		rows = append(rows, []part{q})
		lines = append(lines, q.at)
	}
	p.braced(body, lines, func(i int) {
		for j, q := range rows[i] {
			if j > 0 {
				p.write(", ")
			}
			one(q)
		}
	})
}

func (p *printer) field(f *syntax.Field) {
	p.write(f.Name.Text + ": ")
	p.typ(&f.Type)
	if f.Doc != nil {
		p.write(" ")
		p.text(f.Doc)
	}
}

func (p *printer) typ(t *syntax.Type) {
	switch {
	case t.Name != nil:
		p.write(t.Name.Text)
	case t.List != nil:
		p.write("[")
		p.typ(t.List)
		p.write("]")
	case len(t.Enum) > 0:
		for i, v := range t.Enum {
			if i > 0 {
				p.write(" | ")
			}
			p.text(v)
		}
	default:
		p.write("{")
		for i := range t.Fields {
			if i > 0 {
				p.write(", ")
			}
			p.field(&t.Fields[i])
		}
		p.write("}")
	}
	if t.Optional {
		p.write("?")
	}
}

// text writes a text as it stands. Comments before it in its line wait for the line's end, which a text of several lines must not swallow.
func (p *printer) text(t *syntax.Text) { p.write(p.src.Slice(t.At)) }

// expr writes an expression as it stands. Comments in it stay in it.
func (p *printer) expr(x *syntax.Expr) {
	p.hold(x.At.Start)
	for len(p.comments) > 0 && p.comments[0].At.Start < x.At.End {
		p.comments = p.comments[1:] // it is in the source of the expression
	}
	p.write(p.src.Slice(x.At))
}

func (p *printer) stmt(s syntax.Stmt) {
	switch n := s.(type) {
	case *syntax.StepStmt:
		if n.Name != nil {
			p.write(n.Name.Text + " = ")
		}
		p.step(n.Step)
	case *syntax.Let:
		p.write("let " + n.Name.Text + " = ")
		p.expr(n.Value)
	case *syntax.Require:
		p.write("require ")
		p.expr(n.Cond)
		p.write(" else ")
		p.text(n.Else)
	case *syntax.StopIf:
		p.write("stop if ")
		p.expr(n.Cond)
	case *syntax.Output:
		p.write("output ")
		p.value(&n.Value)
	}
}

func (p *printer) value(v *syntax.Value) {
	if v.Step != nil {
		p.step(v.Step)
	} else {
		p.expr(v.Expr)
	}
}

func (p *printer) step(s syntax.Step) {
	switch n := s.(type) {
	case *syntax.Call:
		p.call(n)
	case *syntax.Group:
		p.write(string(n.Kind))
		if n.Limit > 0 {
			p.write(fmt.Sprintf(" limit %d", n.Limit))
		}
		p.write(" ")
		p.block(n.Body)
		p.clauses(n.Body.At.End, n.Clauses)
	case *syntax.Race:
		p.write("race ")
		if n.N > 0 {
			p.write(fmt.Sprintf("%d ", n.N))
		}
		p.block(n.Body)
		p.clauses(n.Body.At.End, n.Clauses)
	case *syntax.Map:
		p.write("map " + n.Item.Text)
		if n.Index != nil {
			p.write(", " + n.Index.Text)
		}
		p.write(" in ")
		p.expr(n.Over)
		if n.Limit > 0 {
			p.write(fmt.Sprintf(" limit %d", n.Limit))
		}
		if t := n.Tolerate; t != nil {
			switch {
			case t.All:
				p.write(" tolerate all")
			case t.Percent >= 0:
				p.write(fmt.Sprintf(" tolerate %d%%", t.Percent))
			default:
				p.write(fmt.Sprintf(" tolerate %d", t.Count))
			}
		}
		if n.Into != nil {
			p.write(" into " + n.Into.Text)
		}
		p.write(" ")
		p.block(n.Body)
		p.clauses(n.Body.At.End, n.Clauses)
	case *syntax.Reduce:
		p.write("reduce " + n.Part.Text + " in ")
		p.expr(n.Over)
		p.write(fmt.Sprintf(" by %d ", n.By))
		p.block(n.Body)
		p.clauses(n.Body.At.End, n.Clauses)
	case *syntax.Loop:
		p.write("loop " + n.Var.Text + " from ")
		p.expr(n.From)
		p.write(fmt.Sprintf(" max %d ", n.Max))
		p.block(n.Body)
		p.clauses(n.Body.At.End, n.Clauses)
	case *syntax.If:
		end := 0
		for i := range n.Branches {
			b := &n.Branches[i]
			if i > 0 {
				p.between(end, "else if ")
			} else {
				p.write("if ")
			}
			p.expr(b.Cond)
			p.write(" ")
			p.block(b.Body)
			end = b.Body.At.End
		}
		if n.Else != nil {
			p.between(end, "else ")
			p.block(n.Else)
			end = n.Else.At.End
		}
		p.clauses(end, n.Clauses)
	case *syntax.Match:
		p.match(n)
	default:
		panic(fmt.Sprintf("format: unexpected step %T", s))
	}
}

// between writes a word behind a block. A comment that stands there sends it to a line of its own, for it would swallow the word.
func (p *printer) between(end int, word string) {
	for len(p.comments) > 0 && strings.TrimSpace(p.src.Text[end:max(end, p.comments[0].At.Start)]) == "" {
		end = p.comments[0].At.End
		p.hold(end)
	}
	if len(p.pending) == 0 {
		p.write(" " + word)
		return
	}
	p.newline()
	p.write(word)
}

func (p *printer) match(n *syntax.Match) {
	p.write("match ")
	p.expr(n.Subject)
	p.write(" ")
	open := p.sign(n.Subject.At.End, '{')
	spans := make([]source.Span, len(n.Arms))
	heads, widest := make([]string, len(n.Arms)), 0
	for i := range n.Arms {
		a := &n.Arms[i]
		spans[i] = a.At
		if a.Else {
			heads[i] = "else"
		}
		for j, l := range a.Literals {
			if j > 0 {
				heads[i] += ", "
			}
			heads[i] += p.src.Slice(l.At)
		}
		widest = max(widest, utf8.RuneCountInString(heads[i]))
	}
	close := n.At.End
	if len(n.Clauses) > 0 || n.At.End > 0 {
		close = p.closing(open, spans)
	}
	p.braced(source.Span{Start: open, End: close}, spans, func(i int) {
		a := &n.Arms[i]
		p.write(heads[i])
		if widest <= 30 {
			p.write(strings.Repeat(" ", widest-utf8.RuneCountInString(heads[i])))
		}
		p.write(" -> ")
		if a.Block != nil {
			p.block(a.Block)
		} else {
			p.value(a.Value)
		}
	})
	p.clauses(close, n.Clauses)
}

// closing finds the offset behind the `}` that ends a body with these lines.
func (p *printer) closing(open int, lines []source.Span) int {
	i := open + 1
	if len(lines) > 0 {
		i = lines[len(lines)-1].End
	}
	for i < len(p.src.Text) && p.src.Text[i] != '}' {
		if strings.HasPrefix(p.src.Text[i:], "//") {
			n := strings.IndexByte(p.src.Text[i:], '\n')
			if n < 0 {
				break
			}
			i += n
		}
		i++
	}
	return min(i+1, len(p.src.Text))
}

func (p *printer) call(c *syntax.Call) {
	p.write(c.Callee.String())
	end := c.Callee.At.End
	if c.Parens {
		end = p.args(end, c.Args)
	}
	if c.Text != nil {
		p.write(" ")
		p.text(c.Text)
		end = c.Text.At.End
	}
	p.clauses(end, c.Clauses)
}

// args stay on one line, or, when their author began a line with the first, get a line each. It returns where their brackets end.
func (p *printer) args(end int, args []syntax.Arg) int {
	p.write("(")
	broken := len(args) > 0 && strings.Contains(p.src.Text[end:args[0].At.Start], "\n")
	if broken {
		p.trailOpen(end)
		p.indent++
		p.newline()
		p.last = end
	}
	for i := range args {
		a := &args[i]
		if broken {
			p.lead(a.At.Start, i == 0)
		}
		p.write(a.Name.Text + ": ")
		p.expr(a.Value)
		end = a.At.End
		switch {
		case broken:
			p.write(",")
			p.done(end)
		case i < len(args)-1:
			p.write(", ")
		}
	}
	end = p.sign(end, ')') + 1
	if broken {
		p.lead(end-1, false)
		p.indent--
		p.trimGap()
	}
	p.write(")")
	return end
}

// clauses stay on the lines their author gave them; when the line would be too long, each gets its own. Clauses on lines of their own are indented once.
func (p *printer) clauses(end int, clauses []syntax.Clause) {
	if len(clauses) == 0 {
		return
	}
	width := p.column + len(p.pending)
	simple := true
	for i := range clauses {
		c := &clauses[i]
		if f := c.Fallback; f != nil && f.Block != nil {
			simple = false
			break
		}
		width += 1 + utf8.RuneCountInString(firstLine(p.src.Slice(c.At)))
		if strings.Contains(p.src.Slice(c.At), "\n") {
			simple = false
			break
		}
	}
	long := simple && width > maxLine && p.column > 2*p.indent+1
	p.indent++
	for i := range clauses {
		c := &clauses[i]
		broken := strings.Contains(p.src.Text[end:c.At.Start], "\n")
		p.hold(c.At.Start)
		afterBrace := bytes.HasSuffix(p.out, []byte("}")) && p.column > 0
		switch {
		case len(p.pending) > 0, long, broken && !(afterBrace && len(p.pending) == 0 && c.Kind == syntax.ElseClause):
			p.newline()
		default:
			p.write(" ")
		}
		p.indent--
		if p.column == 0 {
			p.indent++
			p.clause(c)
			p.indent--
		} else {
			p.clause(c)
		}
		p.indent++
		end = c.At.End
	}
	p.indent--
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (p *printer) clause(c *syntax.Clause) {
	p.write(string(c.Kind) + " ")
	switch c.Kind {
	case syntax.AsClause:
		p.typ(c.Type)
	case syntax.AfterClause:
		for i, n := range c.After {
			if i > 0 {
				p.write(", ")
			}
			p.write(n.Text)
		}
	case syntax.RetryClause:
		p.write(fmt.Sprint(c.Count))
		if c.Wait > 0 {
			p.write(" wait " + p.lastWord(c.At))
		}
	case syntax.RepairClause:
		p.write(fmt.Sprint(c.Count))
	case syntax.TimeoutClause, syntax.CacheClause:
		p.write(p.lastWord(c.At))
	case syntax.BudgetClause:
		p.write(p.amount(c.Amount))
	case syntax.ElseClause:
		f := c.Fallback
		switch {
		case f.Skip:
			p.write("skip")
		case f.Keep:
			p.write("keep")
		case f.Fail != nil:
			p.write("fail ")
			p.text(f.Fail)
		case f.Text != nil:
			p.text(f.Text)
		case f.Block != nil:
			p.block(f.Block)
		default:
			p.call(f.Call)
		}
	}
}

// amount keeps what the author wrote: $0.50 and $0.5 are both fine.
func (p *printer) amount(a syntax.Amount) string {
	return strings.Join(strings.Fields(p.src.Slice(a.At)), " ")
}

// lastWord is the last word of a clause as its author wrote it: 90s stays 90s.
func (p *printer) lastWord(at source.Span) string {
	words := strings.Fields(p.src.Slice(at))
	return words[len(words)-1]
}
