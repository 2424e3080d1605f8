package eval

import (
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/types"
)

func (t *typer) unary(n *ast.UnaryNode) Operand {
	if n.Operator == "!" || n.Operator == "not" {
		o := t.condition(n.Node)
		if b, ok := o.Literal.(bool); ok {
			o.Literal = !b
		}
		return o
	}
	o := t.value(n.Node, t.of(n.Node))
	if !isNumber(o.Type) {
		if !isAny(o.Type) {
			t.mismatch(n.Node, "`"+n.Operator+"` takes a number, "+t.say(n.Node)+" is "+a(o.Type), "", "")
		}
		return Operand{Taint: o.Taint}
	}
	if n.Operator == "-" {
		switch v := o.Literal.(type) {
		case int:
			o.Literal = -v
		case float64:
			o.Literal = -v
		}
	}
	return o
}

func (t *typer) binary(n *ast.BinaryNode) Operand {
	switch n.Operator {
	case "and", "&&", "or", "||":
		return t.logic(n)
	case "??":
		return t.coalesce(n)
	case "==", "!=":
		return t.equality(n)
	case "in":
		return t.in(n)
	case "..":
		return t.span(n)
	case "<", ">", "<=", ">=":
		return t.order(n)
	case "matches", "contains", "startsWith", "endsWith":
		return t.search(n)
	}
	return t.arithmetic(n)
}

func (t *typer) logic(n *ast.BinaryNode) Operand {
	left := t.condition(n.Left)
	yes, no := t.ruledOut(n.Left)
	sure := yes
	if n.Operator == "or" || n.Operator == "||" {
		sure = no
	}
	before := t.sure
	t.sure = append(t.sure[:len(t.sure):len(t.sure)], sure...)
	right := t.condition(n.Right)
	t.sure = before
	return Operand{Type: boolType, Taint: left.Taint | right.Taint}
}

func (t *typer) coalesce(n *ast.BinaryNode) Operand {
	left, right := t.of(n.Left), t.of(n.Right)
	o := Operand{Taint: left.Taint | right.Taint}
	if left.Type.Kind == types.Nothing {
		o.Type = right.Type
		return o
	}
	there := left.Type
	there.Optional = false
	o.Type = meet(there, right.Type)
	return o
}

func (t *typer) arithmetic(n *ast.BinaryNode) Operand {
	left, right := t.value(n.Left, t.of(n.Left)), t.value(n.Right, t.of(n.Right))
	l, r := left.Type, right.Type
	o := Operand{Taint: left.Taint | right.Taint}
	switch {
	case isNumber(l) && isNumber(r):
		o.Type = floatType
		switch n.Operator {
		case "+", "-", "*":
			if l.Kind == types.Int && r.Kind == types.Int {
				o.Type = intType
			}
		case "%":
			o.Type = intType
			if l.Kind == types.Float || r.Kind == types.Float {
				t.mismatch(n, "`%` takes two ints", "", "")
			}
		case "/":
			if right.Literal == 0 || right.Literal == 0.0 {
				t.mismatch(n, "this divides by zero", "", "")
			}
		}
		return o
	case n.Operator == "+" && isText(l) && isText(r):
		o.Type = stringType
		return o
	case isAny(l) && isAny(r):
		return o
	case isAny(l) && (isNumber(r) || n.Operator == "+" && isText(r)):
		o.Type = t.arithmeticAny(n.Operator, r)
		return o
	case isAny(r) && (isNumber(l) || n.Operator == "+" && isText(l)):
		o.Type = t.arithmeticAny(n.Operator, l)
		return o
	}
	t.wrongOperands(n, l, r)
	if n.Operator == "+" && (isText(l) || isText(r)) {
		o.Type = stringType
	}
	return o
}

// arithmeticAny is what comes of an operator when one side is known and the other is any.
func (t *typer) arithmeticAny(operator string, known types.Type) types.Type {
	switch {
	case isText(known):
		return stringType
	case operator == "/" || operator == "**" || operator == "^" || known.Kind == types.Float:
		return floatType
	case operator == "%":
		return intType
	}
	return types.Type{}
}

func (t *typer) wrongOperands(n *ast.BinaryNode, l, r types.Type) {
	help := ""
	switch {
	case n.Operator == "+" && l.Kind == types.List && r.Kind == types.List:
		help = "write `concat(" + t.text(n.Left) + ", " + t.text(n.Right) + ")`"
	case n.Operator == "+" && l.Kind == types.List:
		help = "write `concat(" + t.text(n.Left) + ", [" + t.text(n.Right) + "])`"
	case n.Operator == "+" && isText(l):
		help = "put it into the text: `\"…<<" + t.text(n.Right) + ">>\"`, or write `string(" + t.text(n.Right) + ")`"
	case n.Operator == "+" && isText(r):
		help = "put it into the text: `\"<<" + t.text(n.Left) + ">>…\"`, or write `string(" + t.text(n.Left) + ")`"
	}
	t.mismatch(n, "`"+n.Operator+"` cannot take "+a(l)+" and "+a(r), "", help)
}

func (t *typer) order(n *ast.BinaryNode) Operand {
	left, right := t.value(n.Left, t.of(n.Left)), t.value(n.Right, t.of(n.Right))
	l, r := left.Type, right.Type
	o := Operand{Type: boolType, Taint: left.Taint | right.Taint}
	switch {
	case isNumber(l) && isNumber(r), isText(l) && isText(r):
	case isAny(l) && (isAny(r) || isNumber(r) || isText(r)), isAny(r) && (isNumber(l) || isText(l)):
	default:
		help := ""
		if isNumber(l) && isText(r) && isLiteralNumber(right.Literal) {
			help = "write the number without quotes: `" + t.text(n.Left) + " " + n.Operator + " " + right.Literal.(string) + "`"
		} else if l.Kind == types.List && isNumber(r) {
			help = "write `len(" + t.text(n.Left) + ") " + n.Operator + " " + t.text(n.Right) + "`"
		}
		t.mismatch(n, "`"+n.Operator+"` cannot compare "+a(l)+" with "+a(r), "", help)
	}
	return o
}

func isLiteralNumber(v any) bool {
	s, ok := v.(string)
	if !ok {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func (t *typer) span(n *ast.BinaryNode) Operand {
	left, right := t.value(n.Left, t.of(n.Left)), t.value(n.Right, t.of(n.Right))
	for _, side := range []struct {
		n ast.Node
		o Operand
	}{{n.Left, left}, {n.Right, right}} {
		_, whole := wholeNumber(side.o.Literal)
		if k := side.o.Type.Kind; k != types.Int && k != types.Any && !whole {
			t.mismatch(side.n, "a list of numbers goes from an int to an int, "+t.say(side.n)+" is "+a(side.o.Type), "", "")
		}
	}
	return Operand{Type: types.ListOf(intType), Taint: left.Taint | right.Taint}
}

// equality may compare what may be nothing: nothing is equal to nothing.
func (t *typer) equality(n *ast.BinaryNode) Operand {
	left, right := t.of(n.Left), t.of(n.Right)
	o := Operand{Type: boolType, Taint: left.Taint | right.Taint}
	if t.impossible(n.Left, left, n.Right, right) || t.impossible(n.Right, right, n.Left, left) {
		return o
	}
	if !mayBeEqual(left.Type, right.Type) {
		verb := "is never equal to"
		if n.Operator == "!=" {
			verb = "always differs from"
		}
		help := ""
		if isNumber(left.Type) && isLiteralNumber(right.Literal) {
			help = "write the number without quotes: `" + right.Literal.(string) + "`"
		}
		t.mismatch(n, t.say(n.Left)+" is "+a(left.Type)+", it "+verb+" "+a(right.Type), "", help)
	}
	return o
}

// mayBeEqual tells whether two types have values that may be equal.
func mayBeEqual(l, r types.Type) bool {
	switch {
	case isAny(l) || isAny(r):
		return true
	case l.Kind == types.Nothing || r.Kind == types.Nothing:
		return true // a caller may ask, even where the answer is known
	case isNumber(l) && isNumber(r), isText(l) && isText(r):
		return true
	case l.Kind == types.List && r.Kind == types.List:
		return l.Item().Kind == types.Nothing || r.Item().Kind == types.Nothing || mayBeEqual(l.Item(), r.Item())
	}
	return l.Kind == r.Kind
}

// impossible finds a literal that an enum never is.
func (t *typer) impossible(of ast.Node, enum Operand, at ast.Node, literal Operand) bool {
	s, ok := literal.Literal.(string)
	if !ok || enum.Type.Kind != types.Enum || isLiteral(enum.Type) {
		return false
	}
	for _, v := range enum.Type.Values {
		if v == s {
			return false
		}
	}
	p := Problem{Code: "E0114", Message: t.say(of) + " is never " + strconv.Quote(s), Help: "it is " + types.Quoted(enum.Type.Values)}
	p.Start, p.End = t.tree.span(at)
	if near, found := diag.Nearest(s, enum.Type.Values); found {
		p.Label = "did you mean " + strconv.Quote(near) + "?"
		fix := strconv.Quote(near)
		p.Fix = &fix
	}
	t.problems = append(t.problems, p)
	return true
}

func (t *typer) in(n *ast.BinaryNode) Operand {
	if span, ok := n.Right.(*ast.BinaryNode); ok && span.Operator == ".." {
		return t.inRange(n, span)
	}
	left, right := t.of(n.Left), t.value(n.Right, t.of(n.Right))
	o := Operand{Type: boolType, Taint: left.Taint | right.Taint}
	switch right.Type.Kind {
	case types.Any:
	case types.List:
		if xs, ok := n.Right.(*ast.ArrayNode); ok && left.Type.Kind == types.Enum && !isLiteral(left.Type) {
			wrong := false
			for _, x := range xs.Nodes {
				s, literal := t.literalOf(x)
				wrong = literal && t.impossible(n.Left, left, x, Operand{Literal: s}) || wrong
			}
			if wrong {
				return o
			}
		}
		if item := right.Type.Item(); item.Kind != types.Nothing && !mayBeEqual(left.Type, item) {
			t.mismatch(n, t.say(n.Left)+" is "+a(left.Type)+", it is never in "+a(right.Type), "", "")
		}
	case types.Record:
		if !isText(left.Type) && !isAny(left.Type) {
			t.mismatch(n.Left, "the name of a field is a string, "+t.say(n.Left)+" is "+a(left.Type), "", "")
		}
	case types.String, types.Enum:
		t.mismatch(n, "`in` looks into a list or a record, "+t.say(n.Right)+" is a string", "",
			"write `"+t.text(n.Right)+" contains "+t.text(n.Left)+"`")
	default:
		t.mismatch(n.Right, "`in` looks into a list or a record, "+t.say(n.Right)+" is "+a(right.Type), "", "")
	}
	return o
}

// inRange is x in a..b, a range of reals.
func (t *typer) inRange(n, span *ast.BinaryNode) Operand {
	o := Operand{Type: boolType}
	for _, e := range []ast.Node{n.Left, span.Left, span.Right} {
		v := t.value(e, t.of(e))
		o.Taint |= v.Taint
		if !isNumber(v.Type) && !isAny(v.Type) {
			t.mismatch(e, "a range holds numbers, "+t.say(e)+" is "+a(v.Type), "", "")
		}
	}
	return o
}

func (t *typer) search(n *ast.BinaryNode) Operand {
	left, right := t.value(n.Left, t.of(n.Left)), t.value(n.Right, t.of(n.Right))
	o := Operand{Type: boolType, Taint: left.Taint | right.Taint}
	switch {
	case n.Operator == "contains" && left.Type.Kind == types.List:
		t.mismatch(n, "`contains` looks into a text, "+t.say(n.Left)+" is "+a(left.Type), "",
			"write `"+t.text(n.Right)+" in "+t.text(n.Left)+"`")
	case !isText(left.Type) && !isAny(left.Type):
		t.mismatch(n.Left, "`"+n.Operator+"` takes a string, "+t.say(n.Left)+" is "+a(left.Type), "", "")
	case !isText(right.Type) && !isAny(right.Type):
		t.mismatch(n.Right, "`"+n.Operator+"` takes a string, "+t.say(n.Right)+" is "+a(right.Type), "", "")
	case n.Operator == "matches":
		if s, literal := right.Literal.(string); literal {
			if _, failure := readPattern(s); failure != nil {
				t.mismatch(n.Right, strings.ToLower(failure.Message[:1])+failure.Message[1:], "", "a pattern is a regular expression: `matches \"^[a-z]+$\"`")
			}
		}
	}
	return o
}
