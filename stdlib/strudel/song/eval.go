package song

import (
	"fmt"
	"math"
	"strings"

	"github.com/slopstudios/slop/stdlib/strudel/js"
	"github.com/slopstudios/slop/stdlib/strudel/mini"
	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/vocab"
)

// A value of the code: float64, string (in single quotes), bool, nil, *pattern.Pattern, []any, object, *function.
type (
	object   map[string]any
	function struct {
		name string
		call func(args []any) any
	}
	// operation is add, sub … on a pattern, before it is said how.
	operation struct {
		of *pattern.Pattern
		op string
	}
)

// evaluation works out what each expression stands for.
type evaluation struct {
	song   *Song
	names  *scope
	voices []voice
	alls   []func(*pattern.Pattern) *pattern.Pattern
	last   *pattern.Pattern
	at     int // of the call that is worked out: where a mistake is
	calls  int
	depth  int
	probe  func(*pattern.Pattern) bool // nil: nobody looks for the culprit
}

type voice struct {
	name string
	p    *pattern.Pattern
}

type scope struct {
	outer *scope
	name  string
	value any
}

func (s *scope) find(name string) (any, bool) {
	for ; s != nil; s = s.outer {
		if s.name == name {
			return s.value, true
		}
	}
	return nil, false
}

func newEvaluation(s *Song) *evaluation {
	s.CPS = pattern.DefaultCPS
	return &evaluation{song: s}
}

func (e *evaluation) run(tree []js.Statement) (err error) {
	defer pattern.Guard(&err)
	for _, s := range tree {
		e.at = s.Offset
		v := e.value(s.Expr, e.names)
		switch {
		case s.Constant != "":
			e.names = &scope{e.names, s.Constant, v}
		case s.Label != "":
			p, ok := v.(*pattern.Pattern)
			if !ok {
				e.fail(s.Offset, "", "what stands behind %q is %s, not a pattern", s.Label+":", describe(v))
			}
			e.voice(s.Label, p)
		default:
			if p, ok := v.(*pattern.Pattern); ok {
				e.last = p
			}
		}
	}
	p := e.last
	if len(e.voices) > 0 {
		all := make([]*pattern.Pattern, len(e.voices))
		for i, v := range e.voices {
			all[i] = v.p
		}
		p = pattern.Stack(all...)
	}
	if p != nil {
		for _, f := range e.alls {
			p = f(p)
		}
	}
	e.song.pattern = p
	return nil
}

// voice adds a voice: one that is muted by a _ at either end plays nothing, and one of the same name takes the other's place.
func (e *evaluation) voice(name string, p *pattern.Pattern) {
	if strings.HasPrefix(name, "_") || strings.HasSuffix(name, "_") {
		p = pattern.Silence()
	}
	if !strings.Contains(name, "$") {
		for i := range e.voices {
			if e.voices[i].name == name {
				e.voices[i].p = p
				return
			}
		}
	}
	e.voices = append(e.voices, voice{name, p})
}

func (e *evaluation) fail(at int, hint, format string, args ...any) {
	panic(&pattern.Mistake{Message: fmt.Sprintf(format, args...), Hint: hint, At: at})
}

func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case float64, bool, string:
		return pattern.Show(v)
	case *pattern.Pattern:
		return "a pattern"
	case []any:
		return "a list"
	case object:
		return "an object"
	case *function:
		if v.name != "" {
			return "the function " + v.name
		}
		return "a function"
	case operation:
		return "the operation " + v.op
	}
	return fmt.Sprintf("a %T", v)
}

// value works out a node.
func (e *evaluation) value(n *js.Node, names *scope) any {
	if e.calls++; e.calls > maxCalls {
		e.fail(n.Offset, "use fewer nested functions", "this code takes too many steps to work out")
	}
	if e.depth++; e.depth > 20_000 {
		e.fail(n.Offset, "", "this code is nested too deep")
	}
	defer func() { e.depth-- }()
	switch n.Kind {
	case js.Number:
		return n.Value
	case js.Text:
		return n.Text
	case js.Mini:
		return e.mini(n)
	case js.Name:
		return e.name(n, names)
	case js.Array:
		list := make([]any, len(n.Args))
		for i, a := range n.Args {
			list[i] = e.value(a, names)
		}
		return list
	case js.Object:
		o := object{}
		for i, key := range n.Keys {
			o[key] = e.value(n.Args[i], names)
		}
		return o
	case js.Arrow:
		return e.arrow(n, names)
	case js.Unary:
		return e.unary(n, e.value(n.Of, names))
	case js.Binary:
		return e.binary(n, names)
	case js.Ternary:
		if truth(e.value(n.Of, names)) {
			return e.value(n.Args[0], names)
		}
		return e.value(n.Args[1], names)
	case js.Member:
		return e.member(n, e.value(n.Of, names))
	case js.Index:
		list, ok := e.value(n.Of, names).([]any)
		i, isNumber := e.value(n.Args[0], names).(float64)
		if !ok || !isNumber || i != math.Trunc(i) || i < 0 || int(i) >= len(list) {
			e.fail(n.Offset, "", "only lists have [ ], with a number of one of their elements")
		}
		return list[int(i)]
	case js.Call:
		return e.call(n, names)
	}
	panic(fmt.Sprintf("song: unexpected node %d", n.Kind))
}

func truth(v any) bool {
	switch v.(type) {
	case float64, string, bool, nil:
		return pattern.Truth(v)
	}
	return true
}

func (e *evaluation) mini(n *js.Node) *pattern.Pattern {
	t, err := mini.Parse(n.Text)
	if err != nil {
		m := err.(*mini.Error)
		e.fail(n.Inner+m.Offset, m.Hint, "%s", m.Message)
	}
	before := e.at
	e.at = n.Offset
	p := t.Pattern()
	e.look(p, n.Offset)
	e.at = before
	return p
}

// look lets the probe hear a pattern as soon as it is made.
func (e *evaluation) look(p *pattern.Pattern, at int) {
	if e.probe != nil && !e.probe(p) {
		e.fail(at, "", "this fails")
	}
}

func (e *evaluation) name(n *js.Node, names *scope) any {
	if v, ok := names.find(n.Text); ok {
		return v
	}
	if v, ok := constants[n.Text]; ok {
		return v()
	}
	if f := e.global(n.Text); f != nil {
		return f
	}
	e.fail(n.Offset, "", "there is no %q", n.Text) // the names were looked at before, so this is a name used above its constant
	return nil
}

// global is a function of Strudel by its name.
func (e *evaluation) global(name string) *function {
	if c, ok := vocab.Controls()[name]; ok {
		return &function{name, func(args []any) any {
			if len(args) > 1 {
				e.fail(e.at, `write one text, as in "c e g", or "c,e,g" for all at once`, "%s takes one pattern, not %d", name, len(args))
			}
			return control(c, e.argument(args, 0, name))
		}}
	}
	if f, ok := globals[name]; ok {
		return &function{name, func(args []any) any { return f(&call{e: e, name: name, args: args}) }}
	}
	if m, ok := methods[name]; ok {
		return e.curried(name, m)
	}
	if op, ok := pattern.Ops[name]; ok {
		return e.curried(name, method{1, 1, func(c *call, p *pattern.Pattern) any { return p.Combine(pattern.In, c.pattern(0), op) }})
	}
	return nil
}

// curried is a method as a function of its own: fast(2) waits for a pattern, fast(2, p) has it.
func (e *evaluation) curried(name string, m method) *function {
	return &function{name, func(args []any) any {
		if m.max == 0 || len(args) > m.max || len(args) == m.max && m.min < m.max && isPattern(args[len(args)-1]) {
			if len(args) > 0 {
				c := &call{e: e, name: name, args: args[:len(args)-1]}
				return c.do(m, e.argument(args, len(args)-1, name))
			}
		}
		if len(args) == m.max+1 {
			c := &call{e: e, name: name, args: args[:m.max]}
			return c.do(m, e.argument(args, m.max, name))
		}
		return &function{name, func(last []any) any {
			c := &call{e: e, name: name, args: args}
			return c.do(m, e.argument(last, 0, name))
		}}
	}}
}

func isPattern(v any) bool { _, ok := v.(*pattern.Pattern); return ok }

func (e *evaluation) arrow(n *js.Node, names *scope) *function {
	return &function{call: func(args []any) any {
		inner := names
		for i, p := range n.Params {
			var v any
			if i < len(args) {
				v = args[i]
			}
			inner = &scope{inner, p, v}
		}
		for _, s := range n.Block {
			v := e.value(s.Expr, inner)
			if s.Constant != "" {
				inner = &scope{inner, s.Constant, v}
			}
		}
		return e.value(n.Body, inner)
	}}
}

func (e *evaluation) unary(n *js.Node, v any) any {
	if n.Text == "!" {
		return !truth(v)
	}
	f, ok := v.(float64)
	if !ok {
		e.fail(n.Offset, "", "%s has no %s: it is not a number", describe(v), n.Text)
	}
	if n.Text == "-" {
		return -f
	}
	return f
}

var arithmetic = map[string]func(a, b float64) any{
	"+": func(a, b float64) any { return a + b }, "-": func(a, b float64) any { return a - b }, "*": func(a, b float64) any { return a * b },
	"/": func(a, b float64) any { return a / b }, "%": func(a, b float64) any { return math.Mod(a, b) }, "**": func(a, b float64) any { return math.Pow(a, b) },
	"<": func(a, b float64) any { return a < b }, ">": func(a, b float64) any { return a > b }, "<=": func(a, b float64) any { return a <= b },
	">=": func(a, b float64) any { return a >= b }, "==": func(a, b float64) any { return a == b }, "===": func(a, b float64) any { return a == b },
	"!=": func(a, b float64) any { return a != b }, "!==": func(a, b float64) any { return a != b },
}

func (e *evaluation) binary(n *js.Node, names *scope) any {
	left := e.value(n.Of, names)
	switch n.Text {
	case "&&":
		if !truth(left) {
			return left
		}
		return e.value(n.Args[0], names)
	case "||":
		if truth(left) {
			return left
		}
		return e.value(n.Args[0], names)
	case "??":
		if left != nil {
			return left
		}
		return e.value(n.Args[0], names)
	}
	right := e.value(n.Args[0], names)
	a, aNumber := left.(float64)
	b, bNumber := right.(float64)
	if aNumber && bNumber {
		return arithmetic[n.Text](a, b)
	}
	x, aText := left.(string)
	y, bText := right.(string)
	if n.Text == "+" && (aText || aNumber) && (bText || bNumber) {
		if aNumber {
			x = pattern.Show(a)
		}
		if bNumber {
			y = pattern.Show(b)
		}
		if len(x)+len(y) > js.MaxBytes {
			e.fail(n.Offset, "", "this text is too long")
		}
		return x + y
	}
	hint := ""
	if word := map[string]string{"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod"}[n.Text]; word != "" {
		hint = "patterns have ." + word + "(…)"
	}
	e.fail(n.Offset, hint, "%s and %s have no %s", describe(left), describe(right), n.Text)
	return nil
}

func (e *evaluation) member(n *js.Node, of any) any {
	p, ok := of.(*pattern.Pattern)
	if !ok {
		return e.notPattern(n, of)
	}
	if _, ok := pattern.Ops[n.Text]; ok {
		return operation{p, n.Text}
	}
	return &function{n.Text, func(args []any) any { return e.method(n, p, args) }}
}

func (e *evaluation) notPattern(n *js.Node, of any) any {
	switch v := of.(type) {
	case *function:
		e.fail(n.Offset, fmt.Sprintf("write x => x.%s(…).%s(…)", nameOf(v.name), n.Text), "%s waits for a pattern and has no .%s", describe(v), n.Text)
	case operation:
		op := pattern.Ops[v.op]
		return &function{v.op + "." + n.Text, func(args []any) any {
			return v.of.Combine(pattern.How(strings.ToLower(n.Text)), e.argument(args, 0, v.op), op)
		}}
	case string:
		e.fail(n.Offset, fmt.Sprintf("write %q in double quotes", v), "a text in single quotes is no pattern and has no .%s", n.Text)
	case float64:
		e.fail(n.Offset, "", "the number %s is no pattern and has no .%s", pattern.Show(v), n.Text)
	case []any:
		e.fail(n.Offset, "make a pattern of it first, with seq(…), cat(…) or stack(…)", "a list is no pattern and has no .%s", n.Text)
	}
	e.fail(n.Offset, "", "%s has no .%s", describe(of), n.Text)
	return nil
}

func nameOf(name string) string {
	if name == "" {
		return "fast"
	}
	return name
}

// method does what a pattern's method does.
func (e *evaluation) method(n *js.Node, p *pattern.Pattern, args []any) any {
	name := n.Text
	if m, ok := methods[name]; ok {
		return (&call{e: e, name: name, args: args}).do(m, p)
	}
	if c, ok := vocab.Controls()[name]; ok {
		if len(args) == 0 {
			return control(c, p)
		}
		if len(args) > 1 {
			e.fail(n.Offset, `write one text, as in "c e g", or "c,e,g" for all at once`, "%s takes one pattern, not %d", name, len(args))
		}
		return p.Combine(pattern.In, control(c, e.argument(args, 0, name)), pattern.Ops["set"])
	}
	if f, ok := globals[name]; ok && !alone[name] { // stack, seq, cat … have the pattern first
		return f(&call{e: e, name: name, args: append([]any{p}, args...)})
	}
	if visual[strings.TrimPrefix(name, "_")] {
		return p
	}
	e.fail(n.Offset, "", "patterns have no .%s", name)
	return nil
}

func (e *evaluation) call(n *js.Node, names *scope) any {
	of := e.value(n.Of, names)
	args := make([]any, len(n.Args))
	for i, a := range n.Args {
		args[i] = e.value(a, names)
	}
	if o, ok := of.(operation); ok {
		op := pattern.Ops[o.op]
		of = &function{o.op, func(args []any) any { return o.of.Combine(pattern.In, e.argument(args, 0, o.op), op) }}
	}
	f, ok := of.(*function)
	if !ok {
		e.fail(n.Offset, "", "%s cannot be called", describe(of))
	}
	e.heard(n, f.name)
	before := e.at
	e.at = n.Offset
	out := f.call(args)
	if p, ok := out.(*pattern.Pattern); ok {
		e.look(p, n.Offset)
	}
	e.at = before
	return out
}

// argument reads an argument as a pattern.
func (e *evaluation) argument(args []any, i int, name string) *pattern.Pattern {
	if i >= len(args) {
		pattern.Fail("%s needs something in its parentheses", name)
	}
	switch v := args[i].(type) {
	case *pattern.Pattern:
		return v
	case float64, string, bool:
		return pattern.Pure(v)
	case nil:
		return pattern.Silence()
	case []any:
		list, ok := plainList(v)
		if !ok {
			panic(&pattern.Mistake{Message: name + " takes a pattern, not a list of patterns", Hint: `write one text, as in "c e g", or join them with seq(…), cat(…) or stack(…)`})
		}
		return pattern.Pure(list)
	}
	pattern.Fail("%s takes a pattern, not %s", name, describe(args[i]))
	return nil
}

func plainList(list []any) ([]any, bool) {
	for _, v := range list {
		switch v.(type) {
		case float64, string, bool:
		default:
			return nil, false
		}
	}
	return list, true
}

// control makes sounds of plain values. Further parts of a list go to further controls.
func control(c vocab.Control, p *pattern.Pattern) *pattern.Pattern {
	return p.Map(func(v any) any {
		switch v := v.(type) {
		case pattern.Controls:
			if x, ok := v.Get("value"); ok {
				return v.Without("value").With(c.Name, x)
			}
			panic(&pattern.Mistake{Message: c.Name + " takes plain values, and got sounds", Hint: "take ." + c.Name + "() away, or write it before the others"})
		case []any:
			if c.More == nil || len(v) == 0 {
				return pattern.Controls{{Name: c.Name, Value: v}}
			}
			out := pattern.Controls{{Name: c.Name, Value: v[0]}}
			for i, x := range v[1:] {
				if i < len(c.More) {
					out = append(out, pattern.Control{Name: c.More[i], Value: x})
				}
			}
			return out
		}
		return pattern.Controls{{Name: c.Name, Value: v}}
	})
}
