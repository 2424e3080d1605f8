package eval

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/types"
)

// Type finds the type of the expression, and every mistake that can be seen before it runs. lookup tells what is known of a name; false says that the
// name does not exist, which is the caller's to report: the value counts as any, so that nothing more is said about it.
//
// What a place wants of the whole (a condition a bool, a prompt no optional) is the caller's rule.
func (t *Tree) Type(lookup func(name string) (Operand, bool)) (Operand, []Problem) {
	if t == nil {
		return Operand{}, nil
	}
	return (&typer{tree: t, ask: lookup}).whole()
}

func (ty *typer) whole() (Operand, []Problem) {
	o := ty.of(ty.tree.root)
	if o.written != nil {
		o.precise = o.written
	} else if full := o.Type; o.Literal == nil && !types.Same(full, widened(full)) {
		o.precise = &full
	}
	o.Type = widened(o.Type)
	if len(ty.problems) > 1 {
		slices.SortStableFunc(ty.problems, func(a, b Problem) int { return a.Start - b.Start })
	}
	return o, ty.problems
}

// typer walks over the tree once. Inside, a literal text has the type of an enum of one, marked by a name no author can write, so that ["a", "b"] and
// {kind: "bug"} fit what they should; widened takes that back at the end.
type typer struct {
	tree *Tree
	ask  func(string) (Operand, bool)

	templates func(string) (*Template, bool) // nil: the script has none

	asked    []answer
	items    []Operand // what # is, innermost last
	sure     []string  // source of what cannot be nothing here: x in x != nil ? … : …
	problems []Problem
	observe  func(types.Type) // sees the type of each part; tests only
}

// answer is what the caller said of a name. It is asked once: to answer may be work, and words to the author.
type answer struct {
	name    string
	operand Operand
	found   bool
}

func (t *typer) lookup(name string) (Operand, bool) {
	for _, a := range t.asked {
		if a.name == name {
			return a.operand, a.found
		}
	}
	o, found := t.ask(name)
	if o.precise != nil {
		o.Type, o.precise = *o.precise, nil
	}
	if s, literal := o.Literal.(string); literal && o.Type.Kind == types.String && !o.Type.Optional {
		o.Type = literalText(s)
	}
	t.asked = append(t.asked, answer{name, o, found})
	return o, found
}

// isPlaceholder knows the names that stand for the texts of an expression: one letter of a script that lang/syntax keeps for them, then blanks.
func isPlaceholder(name string) bool {
	r, size := utf8.DecodeRuneInString(name)
	return size == len(name) && 0x17000 <= r && r <= 0x187f7
}

// text is what the author wrote for n, texts and all, shortened for a message.
func (t *typer) text(n ast.Node) string {
	written := t.tree.text(n)
	if !strings.ContainsFunc(written, func(r rune) bool { return isPlaceholder(string(r)) }) {
		return written
	}
	var b strings.Builder
	blank := false
	for _, r := range written {
		if isPlaceholder(string(r)) {
			b.WriteString(t.written(string(r)))
			blank = true // the rest of its room
			continue
		}
		if r == ' ' && blank {
			continue
		}
		if blank && (isLetter(byte(r)) || strings.ContainsRune("+-*/%=<>!&|?", r)) {
			b.WriteByte(' ')
		}
		blank = false
		b.WriteRune(r)
	}
	return b.String()
}

func (t *typer) written(placeholder string) string {
	const shown = 30
	o, _ := t.lookup(placeholder)
	s, plain := o.Literal.(string)
	if !plain {
		return `"…"`
	}
	if runes := []rune(s); len(runes) > shown {
		s = string(runes[:shown]) + "…"
	}
	return strconv.Quote(s)
}

// literalOf is the constant text that n is.
func (t *typer) literalOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IdentifierNode:
		if isPlaceholder(n.Value) {
			o, _ := t.lookup(n.Value)
			s, ok := o.Literal.(string)
			return s, ok
		}
	}
	return "", false
}

const literalName = "\x00"

func literalText(s string) types.Type {
	return types.Type{Kind: types.Enum, Name: literalName, Values: []string{s}}
}

func isLiteral(t types.Type) bool { return t.Kind == types.Enum && t.Name == literalName }

func widened(t types.Type) types.Type {
	switch {
	case isLiteral(t):
		return types.Type{Kind: types.String, Optional: t.Optional}
	case t.Kind == types.List && t.Elem != nil:
		item := widened(*t.Elem)
		t.Elem = &item
	case t.Kind == types.Record && t.Name == "":
		fields := make([]types.Field, len(t.Fields))
		for i, f := range t.Fields {
			f.Type = widened(f.Type)
			fields[i] = f
		}
		t.Fields = fields
	}
	return t
}

// meet keeps literals literal, and an enum an enum when the literal is one of its values.
func meet(a, b types.Type) types.Type {
	if a.Kind == types.Enum && b.Kind == types.Enum && isLiteral(a) != isLiteral(b) {
		declared, literal := a, b
		if isLiteral(a) {
			declared, literal = b, a
		}
		either := a.Optional || b.Optional
		if !types.Fits(types.Type{Kind: types.Enum, Values: literal.Values}, types.Type{Kind: types.Enum, Values: declared.Values}) {
			declared = types.Type{Kind: types.String}
		}
		declared.Optional = either
		return declared
	}
	if isLiteral(a) && isLiteral(b) {
		both := types.Meet(a, b)
		both.Name = literalName
		return both
	}
	return types.Meet(a, b)
}

// precise is what a function's rule works on.
func precise(o Operand) types.Type {
	if o.precise != nil {
		return *o.precise
	}
	return o.Type
}

func (t *typer) report(n ast.Node, code, message, label, help string) {
	start, end := t.tree.span(n)
	t.problems = append(t.problems, Problem{Code: code, Start: start, End: end, Message: message, Label: label, Help: help})
}

func (t *typer) mismatch(n ast.Node, message, label, help string) {
	t.report(n, "E0110", message, label, help)
}

func (t *typer) say(n ast.Node) string { return "`" + t.text(n) + "`" }

// a puts an article where a reader expects one: "a list of string", "an int"; a declared name and any stand alone.
func a(t types.Type) string {
	switch t = widened(t); {
	case t.Optional, t.Kind == types.Any, t.Kind == types.Nothing, t.Kind == types.Enum, t.Name != "":
		return t.String()
	case t.Kind == types.Int:
		return "an int"
	case t.Kind == types.Agent:
		return "an agent"
	case t.Kind == types.Record:
		return "a record " + t.String()
	case t.Kind == types.List && t.Item().Kind == types.Nothing:
		return "an empty list"
	}
	return "a " + t.String()
}

func (t *typer) of(n ast.Node) Operand {
	o := t.part(n)
	if t.observe != nil {
		t.observe(o.Type)
	}
	return o
}

func (t *typer) part(n ast.Node) Operand {
	switch n := n.(type) {
	case *ast.NilNode:
		return Operand{Type: types.Type{Kind: types.Nothing}}
	case *ast.BoolNode:
		return Operand{Type: boolType, Literal: n.Value}
	case *ast.IntegerNode:
		return Operand{Type: intType, Literal: n.Value}
	case *ast.FloatNode:
		return Operand{Type: floatType, Literal: n.Value}
	case *ast.StringNode:
		return Operand{Type: literalText(n.Value), Literal: n.Value}
	case *ast.IdentifierNode:
		return t.name(n)
	case *ast.PointerNode:
		return t.pointer(n)
	case *ast.UnaryNode:
		return t.unary(n)
	case *ast.BinaryNode:
		return t.binary(n)
	case *ast.ChainNode, *ast.MemberNode:
		o, gone := t.chain(n)
		if gone {
			o.Type = types.Maybe(o.Type)
		}
		return t.certain(n, o)
	case *ast.SliceNode:
		return t.slice(n)
	case *ast.CallNode:
		return t.call(n, n.Callee.(*ast.IdentifierNode).Value, n.Arguments)
	case *ast.BuiltinNode:
		return t.call(n, n.Name, n.Arguments)
	case *ast.ConditionalNode:
		return t.choice(n)
	case *ast.ArrayNode:
		return t.array(n)
	case *ast.MapNode:
		return t.record(n)
	}
	return Operand{}
}

func (t *typer) name(n *ast.IdentifierNode) Operand {
	o, ok := t.lookup(n.Value)
	if !ok {
		return Operand{}
	}
	if o.precise != nil {
		o.Type = *o.precise // what the caller knows of the name is what it is bound to
		o.precise = nil
	}
	if s, ok := o.Literal.(string); ok && o.Type.Kind == types.String { // a text of the script, which stands in the code as a name
		o.Type = literalText(s)
	}
	return t.certain(n, o)
}

func (t *typer) pointer(n *ast.PointerNode) Operand {
	if len(t.items) == 0 {
		return Operand{}
	}
	item := t.items[len(t.items)-1]
	if n.Name == "index" {
		return Operand{Type: intType, Taint: item.Taint & Changing}
	}
	return t.certain(n, item)
}

// certain takes the "or nothing" off what a condition around has ruled out.
func (t *typer) certain(n ast.Node, o Operand) Operand {
	if o.Type.Optional && len(t.sure) > 0 && slices.Contains(t.sure, t.text(n)) {
		o.Type.Optional = false
	}
	return o
}

// value wants something to be there.
func (t *typer) value(n ast.Node, o Operand) Operand {
	switch {
	case o.Type.Kind == types.Nothing:
		t.report(n, "E0115", t.say(n)+" is nothing, a value is needed here", "is always nothing", "")
		o.Type = types.Type{}
	case o.Type.Optional:
		t.report(n, "E0115", t.say(n)+" may be nothing, a value is needed here", "may be nothing",
			"say what to use instead: `("+t.text(n)+" ?? "+standIn(o.Type)+")`")
		o.Type.Optional = false
	}
	return o
}

// standIn is a value of a type, for the cure of an optional.
func standIn(t types.Type) string {
	switch t.Kind {
	case types.Int, types.Float:
		return "0"
	case types.Bool:
		return "false"
	case types.List:
		return "[]"
	case types.Enum:
		if len(t.Values) > 0 && !isLiteral(t) {
			return strconv.Quote(t.Values[0])
		}
	case types.Record, types.File:
		return "…"
	}
	return `"none"`
}

func isNumber(t types.Type) bool { return t.Kind == types.Int || t.Kind == types.Float }

func isText(t types.Type) bool { return t.Kind == types.String || t.Kind == types.Enum }

func isAny(t types.Type) bool { return t.Kind == types.Any }

// condition wants true or false. Inside a predicate any will do; it is checked when it runs.
func (t *typer) condition(n ast.Node) Operand {
	o := t.value(n, t.of(n))
	switch {
	case o.Type.Kind == types.Bool:
	case isAny(o.Type):
		if t.known(n) && len(t.items) == 0 {
			t.mismatch(n, t.say(n)+" may be anything, a condition must be true or false", "", "compare it: `"+t.text(n)+" == true`")
		}
	default:
		t.mismatch(n, "a condition must be true or false, "+t.say(n)+" is "+a(o.Type), "", conditionCure(t.text(n), o.Type))
	}
	return Operand{Type: boolType, Taint: o.Taint, Literal: o.Literal}
}

func conditionCure(text string, t types.Type) string {
	switch t.Kind {
	case types.String:
		return "compare it: `" + text + ` == "yes"` + "`"
	case types.Enum:
		if len(t.Values) > 0 && !isLiteral(t) {
			return "compare it: `" + text + " == " + strconv.Quote(t.Values[0]) + "`"
		}
	case types.Int, types.Float:
		return "compare it: `" + text + " > 0`"
	case types.List:
		return "count it: `len(" + text + ") > 0`"
	}
	return ""
}

// known tells whether every name below n exists: what an unknown one poisons is not to be blamed.
func (t *typer) known(n ast.Node) bool {
	known := true
	walk(n, func(m ast.Node) {
		switch m := m.(type) {
		case *ast.IdentifierNode:
			if _, ok := t.lookup(m.Value); !ok {
				known = false
			}
		case *ast.CallNode:
			known = known && t.exists(m.Callee.(*ast.IdentifierNode).Value)
		case *ast.BuiltinNode:
			known = known && functions[m.Name] != nil
		}
	})
	return known
}

// exists tells whether there is a function of that name.
func (t *typer) exists(function string) bool {
	if functions[function] != nil || t.templates == nil {
		return functions[function] != nil
	}
	f, _ := t.templates(function)
	return f != nil
}

func (t *typer) choice(n *ast.ConditionalNode) Operand {
	c := t.condition(n.Cond)
	yes, no := t.ruledOut(n.Cond)
	first := t.under(yes, n.Exp1)
	second := t.under(no, n.Exp2)
	return Operand{Type: meet(first.Type, second.Type), Taint: c.Taint | first.Taint | second.Taint}
}

func (t *typer) under(sure []string, n ast.Node) Operand {
	before := t.sure
	t.sure = append(slices.Clip(before), sure...)
	o := t.of(n)
	t.sure = before
	return o
}

// ruledOut tells what cannot be nothing where a condition holds, and where it does not.
func (t *typer) ruledOut(n ast.Node) (yes, no []string) {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator == "not" || n.Operator == "!" {
			no, yes = t.ruledOut(n.Node)
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "!=", "==":
			other := n.Left
			if _, is := n.Left.(*ast.NilNode); is {
				other = n.Right
			} else if _, is := n.Right.(*ast.NilNode); !is {
				return nil, nil
			}
			if n.Operator == "!=" {
				return []string{t.text(other)}, nil
			}
			return nil, []string{t.text(other)}
		case "and", "&&":
			left, _ := t.ruledOut(n.Left)
			right, _ := t.ruledOut(n.Right)
			return append(left, right...), nil
		case "or", "||":
			_, left := t.ruledOut(n.Left)
			_, right := t.ruledOut(n.Right)
			return nil, append(left, right...)
		}
	}
	return yes, no
}

func (t *typer) array(n *ast.ArrayNode) Operand {
	item := types.Type{Kind: types.Nothing}
	written := item
	var taint Taint
	for i, e := range n.Nodes {
		o := t.of(e)
		taint |= o.Taint
		if i == 0 {
			item, written = o.Type, o.Type
			continue
		}
		item, written = meet(item, o.Type), together(written, o.Type)
	}
	out := Operand{Type: types.ListOf(item), Taint: taint}
	if isAny(item) && written.Kind == types.Record {
		list := types.ListOf(written)
		out.written = &list
	}
	return out
}

// together is where records of a written list meet that do not have the same fields: one that not all have is optional. That is enough to see whether they may
// stand where a flow asks for such a list; as a value they are anything, since to read a field that is not there is a failure.
func together(a, b types.Type) types.Type {
	if a.Kind != types.Record || b.Kind != types.Record || a.Optional || b.Optional {
		return meet(a, b)
	}
	out := types.Type{Kind: types.Record}
	for _, f := range a.Fields {
		if g, ok := b.Field(f.Name); ok {
			f.Type = meet(f.Type, g.Type)
		} else {
			f.Type = types.Maybe(f.Type)
		}
		out.Fields = append(out.Fields, f)
	}
	for _, f := range b.Fields {
		if _, ok := a.Field(f.Name); !ok {
			f.Type = types.Maybe(f.Type)
			out.Fields = append(out.Fields, f)
		}
	}
	return out
}

func (t *typer) record(n *ast.MapNode) Operand {
	out := types.Type{Kind: types.Record}
	var taint Taint
	open := false
	for _, p := range n.Pairs {
		pair := p.(*ast.PairNode)
		v := t.of(pair.Value)
		taint |= v.Taint
		name, plain := pair.Key.(*ast.StringNode)
		if !plain {
			k := t.value(pair.Key, t.of(pair.Key))
			taint |= k.Taint
			if !isText(k.Type) && !isAny(k.Type) {
				t.mismatch(pair.Key, "the name of a field is a string, "+t.say(pair.Key)+" is "+a(k.Type), "", "")
			}
			open = true
			continue
		}
		field := name.Value
		if isPlaceholder(field) {
			o, _ := t.lookup(field)
			s, constant := o.Literal.(string)
			if !constant {
				t.mismatch(name, "the name of a field cannot have values in it", "", "put it in brackets: `{(\"…\"): …}`")
				open = true
				continue
			}
			field = s
		}
		if _, twice := out.Field(field); twice {
			t.mismatch(name, "the field `"+field+"` is given twice", "the second time", "")
			continue
		}
		out.Fields = append(out.Fields, types.Field{Name: field, Type: v.Type})
	}
	if open {
		out = types.Type{} // its names are known when it runs
	}
	return Operand{Type: out, Taint: taint}
}

// chain types a.b?.c; gone tells that a `?.` in it may find nothing.
func (t *typer) chain(n ast.Node) (o Operand, gone bool) {
	if c, ok := n.(*ast.ChainNode); ok {
		return t.chain(c.Node)
	}
	m, ok := n.(*ast.MemberNode)
	if !ok {
		return t.of(n), false
	}
	from, gone := t.chain(m.Node)
	from = t.certain(m.Node, from)
	if m.Optional {
		gone = gone || from.Type.Optional || isAny(from.Type) || from.Type.Kind == types.Nothing
		from.Type.Optional = false
	} else {
		from = t.value(m.Node, from)
	}
	if name, plain := m.Property.(*ast.StringNode); plain && !t.quoted(name) {
		of, missing := t.field(m, from, name)
		return of, gone || missing && m.Optional
	}
	return t.index(m, from), gone
}

// quoted tells a["b"], which asks a record or by mistake a list, from a.b.
func (t *typer) quoted(name *ast.StringNode) bool {
	at := name.Location().From
	for _, r := range t.tree.code {
		if at == 0 {
			return r == '"' || r == '\''
		}
		at--
	}
	return false
}

func (t *typer) field(m *ast.MemberNode, from Operand, name *ast.StringNode) (o Operand, missing bool) {
	of := from.Type
	switch of.Kind {
	case types.Any, types.Nothing:
		return Operand{Taint: from.Taint}, false
	case types.File:
		of = fileRecord
	case types.List:
		help := "take one: `" + t.text(m.Node) + "[0]." + name.Value + "`, or read all: `map(" + t.text(m.Node) + ", ." + name.Value + ")`"
		if name.Value == "length" || name.Value == "size" || name.Value == "count" {
			help = "write `len(" + t.text(m.Node) + ")`"
		}
		t.report(name, "E0109", "a list has no field `"+name.Value+"`", "", help)
		return Operand{Taint: from.Taint}, true
	case types.Record:
	default:
		help := ""
		if name.Value == "length" || name.Value == "size" {
			help = "write `len(" + t.text(m.Node) + ")`"
		}
		t.report(name, "E0109", t.say(m.Node)+" is "+a(of)+", it has no field `"+name.Value+"`", "", help)
		return Operand{Taint: from.Taint}, true
	}
	if f, ok := of.Field(name.Value); ok {
		return Operand{Type: f.Type, Taint: from.Taint}, false
	}
	if m.Optional && of.Name == "" && from.Type.Kind == types.Record {
		return Operand{Taint: from.Taint}, true // of an undeclared record `?.` may ask for anything
	}
	t.unknownField(m, name, of)
	return Operand{Taint: from.Taint}, true
}

var fileRecord = types.Type{Kind: types.Record, Name: "file", Fields: []types.Field{
	{Name: "name", Type: stringType}, {Name: "size", Type: intType}, {Name: "type", Type: stringType}, {Name: "text", Type: stringType},
}}

func (t *typer) unknownField(m *ast.MemberNode, name *ast.StringNode, of types.Type) {
	names := make([]string, len(of.Fields))
	for i, f := range of.Fields {
		names[i] = f.Name
	}
	whose := t.say(m.Node)
	if _, item := m.Node.(*ast.PointerNode); item {
		whose = "an item of the list"
	}
	p := Problem{Code: "E0109", Message: fmt.Sprintf("%s has no field `%s`", whose, name.Value)}
	p.Start, p.End = name.Location().From, name.Location().To
	near, found := diag.Nearest(name.Value, names)
	if found {
		p.Label = "did you mean `" + near + "`?"
		p.Fix = &near
	}
	const shown = 8
	rest := ""
	if len(names) > shown {
		names, rest = names[:shown], ", …"
	}
	switch {
	case len(names) == 0:
		p.Help = "the record is empty"
	default:
		p.Help = "its fields: " + strings.Join(names, ", ") + rest
	}
	t.problems = append(t.problems, p)
}

func (t *typer) index(m *ast.MemberNode, from Operand) Operand {
	at := t.value(m.Property, t.of(m.Property))
	o := Operand{Taint: from.Taint | at.Taint}
	switch from.Type.Kind {
	case types.List:
		if o.Type = from.Type.Item(); o.Type.Kind == types.Nothing {
			o.Type = types.Type{} // of an empty list; what it will hold is not known here
		}
		t.wantIndex(m.Property, at)
	case types.String, types.Enum:
		o.Type = stringType
		t.wantIndex(m.Property, at)
	case types.Record:
		if name, literal := at.Literal.(string); literal {
			if f, ok := from.Type.Field(name); ok {
				o.Type = f.Type
				return o
			}
			t.unknownField(m, &ast.StringNode{Value: name}, from.Type)
			last := &t.problems[len(t.problems)-1]
			last.Start, last.End = t.tree.span(m.Property)
			last.Fix = nil
			return o
		}
		if !isText(at.Type) && !isAny(at.Type) {
			t.mismatch(m.Property, "a field of a record is asked for by its name, "+t.say(m.Property)+" is "+a(at.Type), "", "")
		}
	case types.Any, types.Nothing:
	default:
		t.mismatch(m.Node, t.say(m.Node)+" is "+a(from.Type)+", it has no items", "", "")
	}
	return o
}

func (t *typer) wantIndex(n ast.Node, at Operand) {
	switch {
	case at.Type.Kind == types.Int:
	case isAny(at.Type):
		if t.known(n) && len(t.items) == 0 {
			t.mismatch(n, t.say(n)+" may be anything, the number of an item must be an int", "is any", "write `int("+t.text(n)+")`")
		}
	default:
		t.mismatch(n, "the number of an item must be an int, "+t.say(n)+" is "+a(at.Type), "", "")
	}
}

func (t *typer) slice(n *ast.SliceNode) Operand {
	from := t.value(n.Node, t.of(n.Node))
	o := Operand{Type: from.Type, Taint: from.Taint}
	switch from.Type.Kind {
	case types.List, types.Any:
	case types.String, types.Enum:
		o.Type = stringType
	default:
		t.mismatch(n.Node, "only a string or a list can be cut, "+t.say(n.Node)+" is "+a(from.Type), "", "")
		o.Type = types.Type{}
	}
	for _, end := range []ast.Node{n.From, n.To} {
		if end != nil {
			e := t.value(end, t.of(end))
			o.Taint |= e.Taint
			t.wantIndex(end, e)
		}
	}
	return o
}
