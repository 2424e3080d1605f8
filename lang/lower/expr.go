package lower

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/syntax"
)

// expr lowers an expression where it stands and notes what it reads.
func (l *lowering) expr(e *syntax.Expr) *plan.Expr {
	var refs refSet
	l.refs(&refs, e)
	out := &plan.Expr{Code: l.code(e), Path: l.path(e), At: l.pos(e.At), Refs: refs.list}
	if l.info.CallsTemplate(e) {
		out.Written = strings.Join(strings.Fields(l.src.Slice(e.At)), " ")
	}
	return out
}

// textExpr makes an expression of a text: its value is the rendered text.
func (l *lowering) textExpr(t *syntax.Text) *plan.Expr {
	var refs refSet
	for i := range t.Parts {
		if t.Parts[i].Expr != nil {
			l.refs(&refs, t.Parts[i].Expr)
		}
	}
	return &plan.Expr{Code: l.textCode(t), At: l.pos(t.At), Refs: refs.list}
}

// text lowers a text whose values are put in at run time.
func (l *lowering) text(t *syntax.Text) *plan.Text {
	if t == nil {
		return nil
	}
	out := &plan.Text{At: l.pos(t.At), Parts: []plan.Part{}}
	for i := range t.Parts {
		switch p := &t.Parts[i]; {
		case p.Expr != nil:
			out.Parts = append(out.Parts, plan.Part{Expr: l.expr(p.Expr)})
		case p.Literal == "":
		case len(out.Parts) > 0 && out.Parts[len(out.Parts)-1].Expr == nil:
			out.Parts[len(out.Parts)-1].Literal += p.Literal
		default:
			out.Parts = append(out.Parts, plan.Part{Literal: p.Literal})
		}
	}
	return out
}

// refs adds the names that e and the texts in it mention, each once. Names without a slot (a secret, `run`) are found by what they are called.
func (l *lowering) refs(out *refSet, e *syntax.Expr) {
	if x := l.info.Exprs[e]; x != nil {
		for _, r := range x.Refs {
			l.ref(out, r.Decl)
		}
	}
	for _, t := range e.Texts {
		for i := range t.Parts {
			if inner := t.Parts[i].Expr; inner != nil {
				l.refs(out, inner)
			}
		}
	}
}

func (l *lowering) ref(out *refSet, d *check.Decl) {
	if d == nil || d.Secret || d.Block == nil || out.has(d.Name) {
		return
	}
	// Counted from here and not taken over: what a persona mentions was counted from the file's block.
	depth := 0
	for b := l.block; b != d.Block; b = b.Parent {
		if b == nil {
			return // a name of a `must`: it has no slot
		}
		depth++
	}
	out.add(plan.Ref{Name: d.Name, Depth: depth, Slot: d.Slot})
	if d.Slot < len(d.Block.Nodes) {
		l.reads = append(l.reads, plan.Need{Depth: depth, Slot: d.Slot, Why: plan.Reference})
	}
}

// refSet holds references in order of appearance, each name once. Most expressions mention few names; the last line of a long script can mention all.
type refSet struct {
	list  []plan.Ref
	named map[string]bool // once there are many
}

const few = 16

func (s *refSet) has(name string) bool {
	if s.named != nil {
		return s.named[name]
	}
	return slices.ContainsFunc(s.list, func(r plan.Ref) bool { return r.Name == name })
}

func (s *refSet) add(r plan.Ref) {
	s.list = append(s.list, r)
	if len(s.list) == few {
		s.named = map[string]bool{}
		for _, r := range s.list {
			s.named[r.Name] = true
		}
	} else if s.named != nil {
		s.named[r.Name] = true
	}
}

// code is the expression with its texts put in: a plain one as a string of expr-lang, one with values as a call of text(…). Runs of blanks become one.
func (f *flow) code(e *syntax.Expr) string {
	var b strings.Builder
	b.Grow(len(e.Code))
	skip, blank, at := 0, false, -1
	splices := append(f.info.Splices(e), f.agentNames(e)...)
	slices.SortFunc(splices, func(a, b check.Splice) int { return a.Start - b.Start })
	for _, r := range e.Code {
		at++
		if skip > 0 { // the blanks that keep a placeholder as long as its text
			skip--
			continue
		}
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' {
			blank = true
			continue
		}
		if blank && b.Len() > 0 {
			b.WriteByte(' ')
		}
		blank = false
		if len(splices) > 0 && splices[0].Start == at {
			b.WriteString(splices[0].Code)
			skip = splices[0].End - at - 1
			splices = splices[1:]
			continue
		}
		if i, ok := syntax.PlaceholderIndex(string(r)); ok && i < len(e.Texts) {
			b.WriteString(f.textCode(e.Texts[i]))
			skip = utf8.RuneCountInString(f.src.Slice(e.Texts[i].At)) - 1
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (f *flow) textCode(t *syntax.Text) string {
	if plain, ok := t.Plain(); ok {
		return quote(plain)
	}
	parts := make([]string, 0, len(t.Parts))
	for i := range t.Parts {
		switch p := &t.Parts[i]; {
		case p.Expr != nil:
			parts = append(parts, f.code(p.Expr))
		case p.Literal != "":
			parts = append(parts, quote(p.Literal))
		}
	}
	return "text(" + strings.Join(parts, ", ") + ")"
}

// quote writes a string of expr-lang.
func quote(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			b.WriteString(`\u{` + strconv.FormatInt(int64(r), 16) + `}`)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
