package eval

import (
	"github.com/slopstudios/slop/lang/types"
)

// Function is a function that an expression may call.
type Function struct {
	Name   string
	Doc    string // one line
	Params []FunctionParam
	Result types.Type // where it depends on the arguments: what is known in any case

	hidden bool                           // made by the compiler, not written by authors
	run    func(m *meter, args []any) any // nil: a predicate function, rewrite.go knows it
	result func(args []Operand) types.Type
}

// FunctionParam is a parameter. Of a Predicate the argument is an expression over `#`, the current item; Many takes any number of arguments.
type FunctionParam struct {
	Name      string
	Type      types.Type
	Optional  bool
	Predicate bool
	Many      bool
}

// Signature is how a function is called and what it gives: "take(list, n) list".
func (f Function) Signature() string {
	s := f.Name + "("
	for i, p := range f.Params {
		if i > 0 {
			s += ", "
		}
		s += p.Name
		if p.Many {
			s += "…"
		}
		if p.Optional {
			s += "?"
		}
	}
	return s + ") " + f.Result.String()
}

// Functions lists what an expression may call, in alphabetical order. The list is the whole: what is not in it does not exist.
func Functions() []Function {
	list := make([]Function, 0, len(functions))
	for _, name := range functionNames {
		if f := functions[name]; !f.hidden {
			list = append(list, *f)
		}
	}
	return list
}

var (
	anyType     = types.Type{}
	stringType  = types.Type{Kind: types.String}
	intType     = types.Type{Kind: types.Int}
	floatType   = types.Type{Kind: types.Float}
	boolType    = types.Type{Kind: types.Bool}
	listType    = types.ListOf(anyType)
	stringsType = types.ListOf(stringType)
	numberType  = floatType // an int fits
)

func param(name string, t types.Type) FunctionParam { return FunctionParam{Name: name, Type: t} }

func optional(p FunctionParam) FunctionParam { p.Optional = true; return p }

func many(p FunctionParam) FunctionParam { p.Many = true; return p }

func predicate(name string, t types.Type) FunctionParam {
	return FunctionParam{Name: name, Type: t, Predicate: true}
}

// functions is the allow-list, by name. functionNames is its order.
var functions, functionNames = index(
	Function{Name: "abs", Doc: "the number without its sign", Params: []FunctionParam{param("n", numberType)}, Result: numberType, run: (*meter).abs, result: sameNumber},
	Function{Name: "all", Doc: "true if the condition holds for each item: all(xs, # > 0)", Params: []FunctionParam{param("list", listType), predicate("condition", boolType)}, Result: boolType},
	Function{Name: "any", Doc: "true if the condition holds for at least one item", Params: []FunctionParam{param("list", listType), predicate("condition", boolType)}, Result: boolType},
	Function{Name: "bullets", Doc: "the items as lines that begin with \"- \"", Params: []FunctionParam{param("list", listType)}, Result: stringType, run: (*meter).bullets},
	Function{Name: "ceil", Doc: "the next int above", Params: []FunctionParam{param("n", numberType)}, Result: intType, run: (*meter).ceil},
	Function{Name: "concat", Doc: "the lists one after the other as one", Params: []FunctionParam{many(param("list", listType))}, Result: listType, run: (*meter).concat, result: meetAll},
	Function{Name: "count", Doc: "how many items meet the condition; without one: how many are true", Params: []FunctionParam{param("list", listType), optional(predicate("condition", boolType))}, Result: intType, run: (*meter).countTrue},
	Function{Name: "filter", Doc: "the items that meet the condition: filter(xs, .score > 3)", Params: []FunctionParam{param("list", listType), predicate("condition", boolType)}, Result: listType, result: firstArg},
	Function{Name: "find", Doc: "the first item that meets the condition, or nothing", Params: []FunctionParam{param("list", listType), predicate("condition", boolType)}, Result: types.Maybe(anyType), result: maybeItem},
	Function{Name: "findIndex", Doc: "the number of the first item that meets the condition, from 0, or nothing", Params: []FunctionParam{param("list", listType), predicate("condition", boolType)}, Result: types.Maybe(intType)},
	Function{Name: "findLast", Doc: "the last item that meets the condition, or nothing", Params: []FunctionParam{param("list", listType), predicate("condition", boolType)}, Result: types.Maybe(anyType), result: maybeItem},
	Function{Name: "findLastIndex", Doc: "the number of the last item that meets the condition, or nothing", Params: []FunctionParam{param("list", listType), predicate("condition", boolType)}, Result: types.Maybe(intType)},
	Function{Name: "first", Doc: "the first item, or nothing if the list is empty", Params: []FunctionParam{param("list", listType)}, Result: types.Maybe(anyType), run: (*meter).first, result: maybeItem},
	Function{Name: "flatten", Doc: "a list of lists as one list, however deep", Params: []FunctionParam{param("list", listType)}, Result: listType, run: (*meter).flatten, result: flat},
	Function{Name: "float", Doc: "the number as a float; reads a string", Params: []FunctionParam{param("value", anyType)}, Result: floatType, run: (*meter).float},
	Function{Name: "floor", Doc: "the next int below", Params: []FunctionParam{param("n", numberType)}, Result: intType, run: (*meter).floor},
	Function{Name: "fromJSON", Doc: "the value that a JSON text stands for", Params: []FunctionParam{param("text", stringType)}, Result: anyType, run: (*meter).fromJSON},
	Function{Name: "fromPairs", Doc: "a record from a list of [name, value]", Params: []FunctionParam{param("pairs", listType)}, Result: anyType, run: (*meter).fromPairs},
	Function{Name: "groupBy", Doc: "a record of lists, by what the expression gives for each item: groupBy(xs, .kind)", Params: []FunctionParam{param("list", listType), predicate("name", anyType)}, Result: anyType, run: (*meter).groupBy},
	Function{Name: "indexOf", Doc: "where in the text the part begins, in characters from 0; -1 if nowhere", Params: []FunctionParam{param("text", stringType), param("part", stringType)}, Result: intType, run: (*meter).indexOf},
	Function{Name: "int", Doc: "the number without its fraction; reads a string", Params: []FunctionParam{param("value", anyType)}, Result: intType, run: (*meter).int},
	Function{Name: "join", Doc: "the items as one text with a separator between them", Params: []FunctionParam{param("list", listType), optional(param("separator", stringType))}, Result: stringType, run: (*meter).join},
	Function{Name: "json", Doc: "the value as JSON in one line, names sorted", Params: []FunctionParam{param("value", anyType)}, Result: stringType, run: (*meter).json},
	Function{Name: "keys", Doc: "the names of a record's fields, sorted", Params: []FunctionParam{param("record", anyType)}, Result: stringsType, run: (*meter).keys},
	Function{Name: "last", Doc: "the last item, or nothing if the list is empty", Params: []FunctionParam{param("list", listType)}, Result: types.Maybe(anyType), run: (*meter).last, result: maybeItem},
	Function{Name: "lastIndexOf", Doc: "where in the text the part begins for the last time; -1 if nowhere", Params: []FunctionParam{param("text", stringType), param("part", stringType)}, Result: intType, run: (*meter).lastIndexOf},
	Function{Name: "len", Doc: "how many items, fields or characters", Params: []FunctionParam{param("value", anyType)}, Result: intType, run: (*meter).len},
	Function{Name: "lines", Doc: "the lines of a text", Params: []FunctionParam{param("text", stringType)}, Result: stringsType, run: (*meter).lines},
	Function{Name: "lower", Doc: "the text in small letters", Params: []FunctionParam{param("text", stringType)}, Result: stringType, run: (*meter).lower},
	Function{Name: "map", Doc: "what the expression gives for each item: map(xs, .name)", Params: []FunctionParam{param("list", listType), predicate("value", anyType)}, Result: listType, result: listOfPredicate},
	Function{Name: "max", Doc: "the largest number, of a list or of the arguments", Params: []FunctionParam{many(param("n", anyType))}, Result: numberType, run: (*meter).max, result: largest},
	Function{Name: "mean", Doc: "the average", Params: []FunctionParam{many(param("n", anyType))}, Result: floatType, run: (*meter).mean},
	Function{Name: "median", Doc: "the number in the middle", Params: []FunctionParam{many(param("n", anyType))}, Result: floatType, run: (*meter).median},
	Function{Name: "min", Doc: "the smallest number, of a list or of the arguments", Params: []FunctionParam{many(param("n", anyType))}, Result: numberType, run: (*meter).min, result: largest},
	Function{Name: "none", Doc: "true if the condition holds for no item", Params: []FunctionParam{param("list", listType), predicate("condition", boolType)}, Result: boolType},
	Function{Name: "one", Doc: "true if the condition holds for exactly one item", Params: []FunctionParam{param("list", listType), predicate("condition", boolType)}, Result: boolType},
	Function{Name: "repeat", Doc: "the text so many times", Params: []FunctionParam{param("text", stringType), param("times", intType)}, Result: stringType, run: (*meter).repeat},
	Function{Name: "replace", Doc: "the text with each old part replaced by the new", Params: []FunctionParam{param("text", stringType), param("old", stringType), param("new", stringType)}, Result: stringType, run: (*meter).replace},
	Function{Name: "reverse", Doc: "the list from its end", Params: []FunctionParam{param("list", listType)}, Result: listType, run: (*meter).reverse, result: firstArg},
	Function{Name: "round", Doc: "the nearest int; halves go away from 0", Params: []FunctionParam{param("n", numberType)}, Result: intType, run: (*meter).round0},
	Function{Name: "sort", Doc: "the numbers or texts in order; \"desc\" for the other way", Params: []FunctionParam{param("list", listType), optional(param("order", stringType))}, Result: listType, run: (*meter).sort, result: firstArg},
	Function{Name: "sortBy", Doc: "the items in the order of what the expression gives: sortBy(xs, .score, \"desc\")", Params: []FunctionParam{param("list", listType), predicate("value", anyType), optional(param("order", stringType))}, Result: listType, run: (*meter).sortBy, result: firstArg},
	Function{Name: "split", Doc: "the parts of a text between the separators", Params: []FunctionParam{param("text", stringType), param("separator", stringType)}, Result: stringsType, run: (*meter).split},
	Function{Name: "string", Doc: "the value as a text, as it would stand in one", Params: []FunctionParam{param("value", anyType)}, Result: stringType, run: (*meter).string},
	Function{Name: "sum", Doc: "the numbers added up: sum(xs) or sum(xs, .price)", Params: []FunctionParam{param("list", listType), optional(predicate("value", numberType))}, Result: numberType, run: (*meter).sum, result: summed},
	Function{Name: "take", Doc: "the first n items", Params: []FunctionParam{param("list", listType), param("n", intType)}, Result: listType, run: (*meter).take, result: firstArg},
	Function{Name: "text", Doc: "the parts as one text", Params: []FunctionParam{many(param("part", anyType))}, Result: stringType, hidden: true, run: (*meter).text},
	Function{Name: "toPairs", Doc: "a list of [name, value], sorted by name", Params: []FunctionParam{param("record", anyType)}, Result: types.ListOf(listType), run: (*meter).toPairs},
	Function{Name: "trim", Doc: "the text without blanks, or the given characters, at its ends", Params: []FunctionParam{param("text", stringType), optional(param("characters", stringType))}, Result: stringType, run: (*meter).trim},
	Function{Name: "trimPrefix", Doc: "the text without this beginning", Params: []FunctionParam{param("text", stringType), param("beginning", stringType)}, Result: stringType, run: (*meter).trimPrefix},
	Function{Name: "trimSuffix", Doc: "the text without this end", Params: []FunctionParam{param("text", stringType), param("end", stringType)}, Result: stringType, run: (*meter).trimSuffix},
	Function{Name: "uniq", Doc: "the list without repeats; the first of each stays", Params: []FunctionParam{param("list", listType)}, Result: listType, run: (*meter).uniq, result: firstArg},
	Function{Name: "upper", Doc: "the text in capitals", Params: []FunctionParam{param("text", stringType)}, Result: stringType, run: (*meter).upper},
	Function{Name: "values", Doc: "the values of a record's fields, sorted by name", Params: []FunctionParam{param("record", anyType)}, Result: listType, run: (*meter).values, result: fieldValues},
)

func index(list ...Function) (map[string]*Function, []string) {
	byName := make(map[string]*Function, len(list))
	names := make([]string, 0, len(list))
	for _, f := range list {
		byName[f.Name] = &f
		names = append(names, f.Name)
	}
	return byName, names
}

// The rules by which the type of a result follows from the arguments.

func firstArg(args []Operand) types.Type { return precise(args[0]) }

func maybeItem(args []Operand) types.Type { return types.Maybe(precise(args[0]).Item()) }

func listOfPredicate(args []Operand) types.Type { return types.ListOf(precise(args[1])) }

func sameNumber(args []Operand) types.Type {
	if args[0].Type.Kind == types.Int {
		return intType
	}
	return floatType
}

func meetAll(args []Operand) types.Type {
	met := types.ListOf(types.Type{Kind: types.Nothing})
	for _, a := range args {
		met = types.Meet(met, precise(a))
	}
	if met.Kind != types.List {
		return listType
	}
	return met
}

func flat(args []Operand) types.Type {
	item := precise(args[0]).Item()
	for item.Kind == types.List {
		item = item.Item()
	}
	return types.ListOf(item)
}

func summed(args []Operand) types.Type {
	of := args[len(args)-1].Type
	if len(args) == 1 {
		of = of.Item()
	}
	if of.Kind == types.Int {
		return intType
	}
	return floatType
}

func largest(args []Operand) types.Type {
	met := types.Type{Kind: types.Nothing}
	for _, a := range args {
		t := a.Type
		if t.Kind == types.List {
			t = t.Item()
		}
		met = types.Meet(met, t)
	}
	if met.Kind == types.Int {
		return intType
	}
	return floatType
}

func fieldValues(args []Operand) types.Type {
	t := precise(args[0])
	if t.Kind != types.Record {
		return listType
	}
	met := types.Type{Kind: types.Nothing}
	for i, f := range t.Fields {
		if i == 0 {
			met = f.Type
			continue
		}
		met = types.Meet(met, f.Type)
	}
	return types.ListOf(met)
}
