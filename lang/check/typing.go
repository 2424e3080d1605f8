package check

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// known is what typing found out about an expression. Bad means that it rests on something reported before: nothing more is to be said about it.
type known struct {
	eval.Operand
	bad bool
}

// typeExpr types an expression whose names are resolved.
func (c *checker) typeExpr(e *syntax.Expr) known {
	x := c.info.Exprs[e]
	if x == nil {
		return known{bad: true}
	}
	if len(e.Path) > 0 {
		if k, ok := c.typePath(e, x); ok {
			x.Type, x.Lent = k.Type, lent(k)
			return k
		}
		x.Tree = c.parse(e.Code).tree // for the words of the mistake
	}
	if x.Tree == nil {
		return known{bad: true}
	}
	k := known{}
	op, problems := x.Tree.TypeWith(func(name string) (eval.Operand, bool) {
		if i, ok := syntax.PlaceholderIndex(name); ok {
			if i >= len(e.Texts) {
				return eval.Operand{}, false
			}
			t := c.typeText(e.Texts[i], "a text")
			k.bad = k.bad || t.bad
			return t.Operand, true
		}
		for _, r := range x.Refs {
			if r.Name != name {
				continue
			}
			if r.Decl.bad {
				k.bad = true
				return eval.Operand{}, false
			}
			return eval.Operand{Type: r.Decl.Type, Taint: r.Decl.taint}, true
		}
		if name == "run" {
			return eval.Operand{Type: runType}, true
		}
		k.bad = true
		return eval.Operand{}, false
	}, c.templatesOf(&k))
	k.Operand = op
	for _, p := range problems {
		if p.Code == "E0109" {
			c.forgotAs(&p, e, x)
		}
		if p.Code == "E0109" && p.Label == "" && len(e.Path) == 2 && len(x.Refs) == 1 && x.Refs[0].Decl.Type.Kind == types.String {
			p.Label = fmt.Sprintf("a text is mentioned by its name alone: `%s`", e.Path[0])
		}
		if p.Code == "E0115" && p.Help == "" {
			p.Help = optionalCure(c.src.Slice(spanIn(c.src, e, p.Start, p.End)))
		}
		c.problem(e, p)
		c.forgotten = nil
		k.bad = true
	}
	if !k.bad && !c.fitsWithTemplates(e) {
		k.bad = true
	}
	if k.bad {
		k.Type, k.Literal = types.Type{}, nil
	}
	x.Type, x.Lent = k.Type, lent(k)
	x.Tree = c.parse(e.Code).tree
	if len(e.Path) > 0 {
		x.Tree = nil
	}
	return k
}

// typePath types names joined by dots without a parse. It reports false when something is wrong with them.
func (c *checker) typePath(e *syntax.Expr, x *Expr) (known, bool) {
	k := known{}
	switch {
	case len(x.Refs) == 1:
		d := x.Refs[0].Decl
		if d.bad {
			return known{bad: true}, true
		}
		k.Type, k.Taint = d.Type, d.taint
		if d.Secret {
			k.Taint |= eval.Secret
		}
	case e.Path[0] == "run":
		k.Type = runType
	default:
		return known{bad: true}, true
	}
	for _, field := range e.Path[1:] {
		if k.Type.Optional {
			return known{}, false
		}
		switch k.Type.Kind {
		case types.Any:
		case types.Record:
			f, ok := k.Type.Field(field)
			if !ok {
				return known{}, false
			}
			k.Type = f.Type
		default:
			return known{}, false
		}
	}
	return k, true
}

// typeText types the values in a text and checks that each can be shown. What names the text in a message: "this prompt".
func (c *checker) typeText(t *syntax.Text, what string) known {
	k := known{Operand: eval.Operand{Type: types.Type{Kind: types.String}}}
	if t == nil {
		return k
	}
	for i := range t.Parts {
		e := t.Parts[i].Expr
		if e == nil {
			continue
		}
		part := c.typeExpr(e)
		k.Taint |= part.Taint
		k.bad = k.bad || part.bad
		if !part.bad && !c.showable(e, part.Type, what) {
			k.bad = true
		}
	}
	if k.bad {
		return k
	}
	if s, ok := t.Plain(); ok {
		k.Literal = s
	}
	return k
}

// showable checks that a value can stand in a text: something, and no bare file.
func (c *checker) showable(e *syntax.Expr, t types.Type, what string) bool {
	written := c.written(e)
	switch {
	case t.Kind == types.Nothing:
		c.add(diag.Diagnostic{Code: "E0115", Span: e.At, Message: fmt.Sprintf("`%s` has no value to put into %s", written, what), Label: "this is always nothing"})
		return false
	case t.Optional:
		c.add(diag.Diagnostic{
			Code: "E0115", Span: e.At, Message: fmt.Sprintf("`%s` may be empty, and %s needs a value", written, what), Label: fmt.Sprintf("it is %s", t),
			Help: []string{fmt.Sprintf("say what to put in its place: `<<%s ?? \"none\">>`", written)},
		})
		return false
	case t.Kind == types.File:
		d := diag.Diagnostic{
			Code: "E0110", Span: e.At, Message: fmt.Sprintf("a file cannot stand in %s as it is", what), Label: fmt.Sprintf("its text is `%s.text`, its name `%s.name`", written, written),
		}
		if len(e.Path) > 0 {
			d.Fix = &diag.Fix{Span: e.At, Text: written + ".text"}
		}
		c.add(d)
		return false
	case t.Kind == types.Agent:
		c.add(diag.Diagnostic{
			Code: "E0110", Span: e.At, Message: fmt.Sprintf("an agent cannot stand in %s", what), Label: "it is called with a text, and its answer can",
			Help: []string{fmt.Sprintf("call it in a line of its own, and mention the answer: `answer = %s \"…\"`, then `<<answer>>`", written)},
		})
		return false
	case t.Kind == types.List && t.Item().Kind == types.File:
		c.add(diag.Diagnostic{
			Code: "E0110", Span: e.At, Message: fmt.Sprintf("files cannot stand in %s as they are", what), Label: "this is a list of files",
			Help: []string{fmt.Sprintf("go over them with `map f in %s { … <<f.text>> … }`, or name them: `<<bullets(map(%s, #.name))>>`", written, written)},
		})
		return false
	}
	return true
}

// written is an expression as its author wrote it, for a message.
func (c *checker) written(e *syntax.Expr) string {
	s := strings.TrimSpace(c.src.Slice(e.At))
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		s = strings.TrimSpace(s[:i]) + " …"
	}
	if runes := []rune(s); len(runes) > 40 {
		s = string(runes[:40]) + "…"
	}
	return s
}

func optionalCure(written string) string {
	if written == "" || strings.ContainsAny(written, "\n") {
		return "`??` gives what to take when there is nothing"
	}
	return fmt.Sprintf("say what to take when it is empty: `%s ?? …`", written)
}

// condition checks that an expression is true or false. Word is what it stands behind: if, require, stop if, must.
func (c *checker) condition(e *syntax.Expr, word string) known {
	if e == nil {
		return known{bad: true}
	}
	k := c.typeExpr(e)
	if k.bad {
		return k
	}
	d := diag.Diagnostic{Code: "E0110", Span: e.At}
	written := c.written(e)
	switch {
	case k.Type.Kind == types.Bool && !k.Type.Optional:
		if b, ok := c.constantValue(e, k); ok && !(word == "require" && !b) {
			d.Code, d.Severity = "E0118", diag.Warning
			d.Message, d.Label = fmt.Sprintf("this condition is always %t", b), "it does not depend on anything"
			c.add(d)
		}
		return k
	case k.Type.Optional || k.Type.Kind == types.Nothing:
		d.Code = "E0115"
		d.Message = fmt.Sprintf("a condition must be true or false, and `%s` may be empty", written)
		d.Label = fmt.Sprintf("it is %s", k.Type)
		if k.Type.Kind == types.Bool {
			d.Help = []string{fmt.Sprintf("say what counts when it is empty: `%s ?? false`", written)}
		} else {
			d.Help = []string{fmt.Sprintf("to ask whether it is there: `%s != nil`", written)}
		}
	case k.Type.Kind == types.Any:
		d.Message = "a condition must be true or false, and this could be anything"
		d.Label = "compare it: `… == true`"
		d.Help = []string{"`as` gives the answer of an agent a type"}
	case k.Type.Kind == types.List:
		d.Message, d.Label = fmt.Sprintf("a condition must be true or false, and this is a %s", k.Type), fmt.Sprintf("to ask whether it has items: `len(%s) > 0`", written)
	case k.Type.Kind == types.Enum:
		d.Message, d.Label = fmt.Sprintf("a condition must be true or false, and this is %s", k.Type), fmt.Sprintf("compare it: `%s == %q`", written, k.Type.Values[0])
	case k.Type.Kind == types.String:
		d.Message, d.Label = "a condition must be true or false, and this is a text", fmt.Sprintf("compare it: `%s == \"yes\"`", written)
		d.Help = []string{"to make an agent answer with one word of a list: `as \"yes\" | \"no\"`"}
	case k.Type.Kind == types.Record && len(boolFields(k.Type)) > 0:
		d.Message = fmt.Sprintf("a condition must be true or false, and this is %s", article(k.Type))
		d.Label = fmt.Sprintf("did you mean `%s.%s`?", written, boolFields(k.Type)[0])
	case k.Type.Kind == types.Record && len(k.Type.Fields) > 0:
		d.Message = fmt.Sprintf("a condition must be true or false, and this is %s", article(k.Type))
		d.Label = fmt.Sprintf("compare one of its fields: `%s.%s == …`", written, k.Type.Fields[0].Name)
	case k.Type.Kind == types.Int || k.Type.Kind == types.Float:
		d.Message, d.Label = fmt.Sprintf("a condition must be true or false, and this is %s", article(k.Type)), fmt.Sprintf("compare it: `%s > 0`", written)
	default:
		d.Message = fmt.Sprintf("a condition must be true or false, and this is %s", article(k.Type))
		d.Label = "compare it with something"
	}
	c.add(d)
	k.bad = true
	return k
}

// constantValue is the value of a condition that depends on nothing.
func (c *checker) constantValue(e *syntax.Expr, k known) (value, ok bool) {
	if value, ok = k.Literal.(bool); ok {
		return value, true
	}
	if _, named := c.firstName(e); named || len(e.Path) > 0 {
		return false, false
	}
	v, err := evaluate(c.codeOf(e), nil)
	value, ok = v.(bool)
	return value, ok && err == nil
}

func boolFields(t types.Type) []string {
	var list []string
	for _, f := range t.Fields {
		if f.Type.Kind == types.Bool && !f.Type.Optional {
			list = append(list, f.Name)
		}
	}
	return list
}
