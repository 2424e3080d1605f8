package eval

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/types"
)

// foreign names functions that people know from elsewhere, with what to write here.
var foreign = map[string]string{
	"toJSON": "write `json(…)`", "stringify": "write `json(…)`", "str": "write `string(…)`", "toString": "write `string(…)`",
	"hasPrefix": "write `text startsWith \"…\"`", "hasSuffix": "write `text endsWith \"…\"`", "length": "write `len(…)`", "size": "write `len(…)`",
	"get": "write `record.name` or `record[\"name\"]`", "reduce": "write the step `reduce`, or `sum`, `join`, `concat`",
	"includes": "write `x in xs`, or `text contains \"…\"`", "has": "write `x in xs`, or `\"name\" in record`", "unique": "write `uniq(…)`",
	"append": "write `concat(xs, [x])`", "push": "write `concat(xs, [x])`", "head": "write `first(…)`", "tail": "write `xs[1:]`",
	"range": "write `0..9`", "sorted": "write `sort(…)`", "avg": "write `mean(…)`", "average": "write `mean(…)`", "parseJSON": "write `fromJSON(…)`",
	"uppercase": "write `upper(…)`", "lowercase": "write `lower(…)`", "strip": "write `trim(…)`", "substring": "write `text[0:3]`", "type": "declare the type: `as T`",
	"text": "write `string(…)`, or put the value into a text: `\"<<…>>\"`", "format": "put the values into a text: `\"<<…>>\"`",
}

// unsteady names functions that give another value each time, so that a resumed run would not be the same run.
var unsteady = map[string]bool{
	"now": true, "date": true, "duration": true, "timezone": true, "today": true, "time": true, "timestamp": true,
	"random": true, "rand": true, "uuid": true, "shuffle": true,
}

func (t *typer) call(n ast.Node, name string, args []ast.Node) Operand {
	if o, ok := t.template(n, name, args); ok {
		return o
	}
	f := functions[name]
	if f == nil || f.hidden {
		return t.unknown(n, name, args)
	}
	if least, most := f.arity(); len(args) < least || len(args) > most {
		t.mismatch(n, f.sayArity(len(args)), "", "`"+f.Signature()+"`: "+f.Doc)
		t.rest(args)
		return Operand{Type: f.Result}
	}
	operands := make([]Operand, 0, len(args))
	o := Operand{Type: f.Result}
	for i, arg := range args {
		p := f.Params[min(i, len(f.Params)-1)]
		var of Operand
		if body, is := arg.(*ast.PredicateNode); is {
			if !p.Predicate {
				t.mismatch(n, "`"+name+"` takes no condition there", "", "`"+f.Signature()+"`: "+f.Doc)
				return o
			}
			of = t.predicate(body, p, operands[0])
		} else {
			of = t.argument(f, p, arg)
		}
		operands = append(operands, of)
		o.Taint |= of.Taint
	}
	t.special(n, f, args, operands)
	if f.result != nil {
		o.Type = f.result(operands)
	}
	return o
}

func (t *typer) rest(args []ast.Node) {
	for _, a := range args {
		if p, is := a.(*ast.PredicateNode); is {
			t.items = append(t.items, Operand{})
			t.of(p.Node)
			t.items = t.items[:len(t.items)-1]
			continue
		}
		t.of(a)
	}
}

func (t *typer) unknown(n ast.Node, name string, args []ast.Node) Operand {
	at := n.Location()
	p := Problem{Code: "E0101", Start: at.From, End: at.To, Message: "I don't know a function named `" + name + "`"}
	near, found := diag.Nearest(name, visibleFunctions)
	switch {
	case isPlaceholder(name):
		p.Message = "a text cannot be called"
		p.Help = "an agent stands before its text, a function before its `(`"
	case unsteady[name]:
		p.Code = "E0124"
		p.Message = "`" + name + "` gives another value each time, so a run could not be resumed"
		p.Help = "`run.started` is when the run began"
	case foreign[name] != "":
		p.Help = foreign[name]
	case found:
		p.Label = "did you mean `" + near + "`?"
		p.Fix = &near
	default:
		p.Help = "a name before `(` is a function; some are " + strings.Join(diag.NearestN(name, visibleFunctions, 8), ", ")
	}
	t.problems = append(t.problems, p)
	t.rest(args)
	return Operand{}
}

// argument wants what the parameter wants.
func (t *typer) argument(f *Function, p FunctionParam, arg ast.Node) Operand {
	o := t.of(arg)
	if f.Name == "json" {
		return o // JSON can say nothing: null
	}
	o = t.value(arg, o)
	if types.Fits(o.Type, p.Type) {
		return o
	}
	help := ""
	switch {
	case p.Type.Kind == types.String && isNumber(o.Type):
		help = "write `string(" + t.text(arg) + ")`"
	case p.Type.Kind == types.Int && o.Type.Kind == types.Float:
		help = "write `int(" + t.text(arg) + ")`"
	case p.Type.Kind == types.List && o.Type.Kind == types.Record:
		help = "its values are `values(" + t.text(arg) + ")`"
	case p.Type.Kind == types.List && isText(o.Type):
		help = "its lines are `lines(" + t.text(arg) + ")`"
	}
	t.mismatch(arg, fmt.Sprintf("`%s` takes %s, %s is %s", f.Name, wanted(p.Type), t.say(arg), a(o.Type)), "", help)
	o.Type = p.Type
	return o
}

func wanted(t types.Type) string {
	switch {
	case t.Kind == types.List && t.Item().Kind == types.Any:
		return "a list"
	case t.Kind == types.Float:
		return "a number"
	}
	return a(t)
}

// predicate types an expression over the items of a list.
func (t *typer) predicate(body *ast.PredicateNode, p FunctionParam, list Operand) Operand {
	item := Operand{Type: list.Type.Item(), Taint: list.Taint}
	if item.Type.Kind == types.Nothing {
		item.Type = types.Type{} // of an empty list; there is none to be wrong about
	}
	t.items = append(t.items, item)
	o := t.of(body.Node)
	switch p.Type.Kind {
	case types.Bool:
		if o = t.value(body.Node, o); o.Type.Kind != types.Bool && !isAny(o.Type) {
			t.mismatch(body.Node, "this must be true or false for each item, "+t.say(body.Node)+" is "+a(o.Type), "", conditionCure(t.text(body.Node), o.Type))
		}
	case types.Float:
		if o = t.value(body.Node, o); !isNumber(o.Type) && !isAny(o.Type) {
			t.mismatch(body.Node, "this must be a number for each item, "+t.say(body.Node)+" is "+a(o.Type), "", "")
		}
	}
	t.items = t.items[:len(t.items)-1]
	o.Literal = nil
	return o
}

// special holds what a signature does not say.
func (t *typer) special(n ast.Node, f *Function, args []ast.Node, operands []Operand) {
	wrong := func(i int, wants string) {
		t.mismatch(args[i], fmt.Sprintf("`%s` takes %s, %s is %s", f.Name, wants, t.say(args[i]), a(operands[i].Type)), "", "")
	}
	switch f.Name {
	case "len":
		switch operands[0].Type.Kind {
		case types.List, types.Record, types.String, types.Enum, types.Any:
		default:
			wrong(0, "a list, a record or a string")
		}
	case "keys", "values", "toPairs":
		if k := operands[0].Type.Kind; k != types.Record && k != types.Any {
			wrong(0, "a record")
		}
	case "min", "max", "mean", "median":
		for i, o := range operands {
			of := o.Type
			if of.Kind == types.List {
				of = of.Item()
			}
			if !isNumber(of) && !isAny(of) && of.Kind != types.Nothing {
				wrong(i, "numbers, or a list of them")
			}
		}
	case "sum":
		if of := operands[0].Type.Item(); len(operands) == 1 && !isNumber(of) && !isAny(of) && of.Kind != types.Nothing {
			wrong(0, "a list of numbers")
		}
	case "count":
		if of := operands[0].Type.Item(); len(operands) == 1 && of.Kind != types.Bool && !isAny(of) && of.Kind != types.Nothing {
			t.mismatch(args[0], "`count` needs a condition to count by", "", "how many there are is `len("+t.text(args[0])+")`")
		}
	case "sort":
		if of := operands[0].Type.Item(); !isNumber(of) && !isText(of) && !isAny(of) && of.Kind != types.Nothing {
			t.mismatch(args[0], "`sort` takes numbers or texts, "+t.say(args[0])+" is "+a(operands[0].Type), "", "say by what: `sortBy("+t.text(args[0])+", .name)`")
		}
		t.orderWord(args, operands, 1)
	case "sortBy":
		if of := t.value(args[1].(*ast.PredicateNode).Node, operands[1]).Type; !isNumber(of) && !isText(of) && !isAny(of) {
			wrong(1, "a number or a string for each item")
		}
		t.orderWord(args, operands, 2)
	case "groupBy":
		switch of := t.value(args[1].(*ast.PredicateNode).Node, operands[1]).Type; of.Kind {
		case types.List, types.Record, types.File:
			wrong(1, "a string for each item")
		}
	case "int", "float":
		if of := operands[0].Type; !isNumber(of) && !isText(of) && !isAny(of) {
			wrong(0, "a number or a string")
		}
	case "string", "json":
		if operands[0].Type.Kind == types.File {
			t.mismatch(args[0], "a file cannot stand in a text", "", "what is in it is `"+t.text(args[0])+".text`")
		}
	}
}

func (t *typer) orderWord(args []ast.Node, operands []Operand, i int) {
	if len(operands) <= i {
		return
	}
	if s, literal := operands[i].Literal.(string); literal && s != "asc" && s != "desc" {
		t.mismatch(args[i], `the order is "asc" or "desc"`, "", "")
	}
}

func (f *Function) sayArity(n int) string {
	least, most := f.arity()
	count := fmt.Sprintf("%d to %d arguments", least, most)
	switch {
	case most == maxTokens:
		count = "at least one argument"
	case least == most && least == 1:
		count = "one argument"
	case least == most:
		count = fmt.Sprintf("%d arguments", least)
	}
	return fmt.Sprintf("`%s` takes %s, not %d", f.Name, count, n)
}

var visibleFunctions = func() []string {
	var names []string
	for _, name := range functionNames {
		if !functions[name].hidden {
			names = append(names, name)
		}
	}
	return names
}()
