package eval

import (
	"reflect"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker/nature"
	"github.com/expr-lang/expr/conf"
)

// rewriter turns the tree of an author's expression into one in which expr's machine keeps what it is good at (names, jumps, loops, building lists and
// records) and every operator and function is ours. It makes new nodes and leaves the old as they are: expr's parser shares the middle of a < b < c.
type rewriter struct {
	m         *meter
	functions conf.FunctionsTable
	failure   *Failure // the first thing that cannot be compiled
	builds    bool     // a list, a record or a text may be made
}

var (
	boolNature = nature.FromType(reflect.TypeFor[bool]())
	unaryFunc  = nature.FromType(reflect.TypeFor[func(any) any]())
	unaryTest  = nature.FromType(reflect.TypeFor[func(any) bool]())
	binaryFunc = nature.FromType(reflect.TypeFor[func(any, any) any]())
	binaryTest = nature.FromType(reflect.TypeFor[func(any, any) bool]())
)

func (r *rewriter) rewrite(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return r.unary(n)
	case *ast.BinaryNode:
		return r.binary(n)
	case *ast.ChainNode:
		return call1(n, chain, r.link(n.Node))
	case *ast.MemberNode:
		return r.member(n)
	case *ast.SliceNode:
		r.builds = true
		return r.call(n, "[:]", (*meter).slice, r.rewrite(n.Node), r.end(n.From), r.end(n.To))
	case *ast.CallNode:
		return r.function(n, n.Callee.(*ast.IdentifierNode).Value, n.Arguments)
	case *ast.BuiltinNode:
		return r.function(n, n.Name, n.Arguments)
	case *ast.ConditionalNode:
		return at(n, &ast.ConditionalNode{Ternary: true, Cond: r.truth(n.Cond), Exp1: r.rewrite(n.Exp1), Exp2: r.rewrite(n.Exp2)})
	case *ast.ArrayNode:
		r.builds = true
		return at(n, &ast.ArrayNode{Nodes: r.all(n.Nodes)})
	case *ast.MapNode:
		r.builds = true
		return at(n, &ast.MapNode{Pairs: r.all(n.Pairs)})
	case *ast.PairNode:
		name := n.Key
		if _, plain := name.(*ast.StringNode); !plain {
			name = call1(name, key, r.rewrite(name))
		}
		return at(n, &ast.PairNode{Key: name, Value: r.rewrite(n.Value)})
	}
	return n // names, literals, #
}

func (r *rewriter) all(nodes []ast.Node) []ast.Node {
	out := make([]ast.Node, len(nodes))
	for i, n := range nodes {
		out[i] = r.rewrite(n)
	}
	return out
}

func (r *rewriter) end(n ast.Node) ast.Node {
	if n == nil {
		return &ast.NilNode{}
	}
	return r.rewrite(n)
}

func (r *rewriter) unary(n *ast.UnaryNode) ast.Node {
	switch n.Operator {
	case "!", "not":
		return isBool(at(n, &ast.UnaryNode{Operator: "not", Node: r.truth(n.Node)}))
	case "-":
		switch literal := n.Node.(type) {
		case *ast.IntegerNode:
			return at(n, &ast.IntegerNode{Value: -literal.Value})
		case *ast.FloatNode:
			return at(n, &ast.FloatNode{Value: -literal.Value})
		}
		return call1(n, r.m.negate, r.rewrite(n.Node))
	}
	return call1(n, r.m.plus, r.rewrite(n.Node))
}

func (r *rewriter) binary(n *ast.BinaryNode) ast.Node {
	switch n.Operator {
	case "and", "&&", "or", "||":
		return isBool(at(n, &ast.BinaryNode{Operator: n.Operator, Left: r.truth(n.Left), Right: r.truth(n.Right)}))
	case "??":
		return at(n, &ast.BinaryNode{Operator: "??", Left: call1(n, some, r.rewrite(n.Left)), Right: r.rewrite(n.Right)})
	case "in":
		if span, ok := n.Right.(*ast.BinaryNode); ok && span.Operator == ".." {
			return r.call(n, "in..", (*meter).between, r.rewrite(n.Left), r.rewrite(span.Left), r.rewrite(span.Right))
		}
	case "matches":
		if literal, ok := n.Right.(*ast.StringNode); ok {
			p, failure := readPattern(literal.Value)
			if failure != nil {
				return r.refuse(n.Right, failure)
			}
			return test2(n, r.m.matches, r.rewrite(n.Left), &ast.ConstantNode{Value: p})
		}
	}
	left, right := r.rewrite(n.Left), r.rewrite(n.Right)
	if f := r.operator(n.Operator); f != nil {
		r.builds = r.builds || n.Operator == "+" || n.Operator == ".."
		return call2(n, f, left, right)
	}
	if f := r.comparison(n.Operator); f != nil {
		return test2(n, f, left, right)
	}
	return r.refuse(n, &Failure{Kind: ValueFailure, Message: "I don't know the operator `" + n.Operator + "`"})
}

func (r *rewriter) operator(name string) func(a, b any) any {
	switch name {
	case "+":
		return r.m.add
	case "-":
		return r.m.subtract
	case "*":
		return r.m.multiply
	case "/":
		return r.m.divide
	case "%":
		return r.m.modulo
	case "**", "^":
		return r.m.power
	case "..":
		return r.m.upTo
	}
	return nil
}

func (r *rewriter) comparison(name string) func(a, b any) bool {
	switch name {
	case "==":
		return r.m.equals
	case "!=":
		return r.m.differs
	case "<":
		return r.m.less
	case ">":
		return r.m.more
	case "<=":
		return r.m.lessEqual
	case ">=":
		return r.m.moreEqual
	case "in":
		return r.m.within
	case "contains":
		return r.m.contains
	case "startsWith":
		return r.m.startsWith
	case "endsWith":
		return r.m.endsWith
	case "matches":
		return r.m.matches
	}
	return nil
}

// truth makes sure that a condition is a bool, where its operator does not do so already.
func (r *rewriter) truth(n ast.Node) ast.Node {
	out := r.rewrite(n)
	if _, literal := out.(*ast.BoolNode); literal || out.Nature().Type == boolNature.Type {
		return out
	}
	return isBool(typedCall(n, unaryTest, truth, out))
}

func (r *rewriter) member(n *ast.MemberNode) ast.Node {
	if chained(n.Node) {
		return call1(n, chain, r.link(n))
	}
	return r.read(n, r.rewrite(n.Node), false)
}

// chained tells that n ends in a chain. expr ends a chain at a `[`; to an author a?.b[0] is one.
func chained(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ChainNode:
		return true
	case *ast.MemberNode:
		return chained(n.Node)
	}
	return false
}

// link rewrites what stands in a chain that has a `?.` in it.
func (r *rewriter) link(n ast.Node) ast.Node {
	switch n := n.(type) {
	case *ast.ChainNode:
		return r.link(n.Node)
	case *ast.MemberNode:
		return r.read(n, r.link(n.Node), true)
	}
	return r.rewrite(n)
}

func (r *rewriter) read(n *ast.MemberNode, from ast.Node, linked bool) ast.Node {
	name, plain := n.Property.(*ast.StringNode)
	switch {
	case plain && n.Optional:
		return call2(n, r.m.fieldOr, from, name)
	case plain && linked:
		return call2(n, r.m.link, from, name)
	case plain:
		return call2(n, r.m.field, from, name)
	case n.Optional:
		return call2(n, r.m.indexOr, from, r.rewrite(n.Property))
	}
	r.builds = true // a character of a text
	return call2(n, r.m.index, from, r.rewrite(n.Property))
}

// function rewrites a call. The arguments have been counted and typed by the checker, but Compile takes code from elsewhere too, so it looks again.
func (r *rewriter) function(n ast.Node, name string, args []ast.Node) ast.Node {
	f := functions[name]
	if f == nil {
		return r.refuse(n, &Failure{Kind: ValueFailure, Message: "I don't know a function named `" + name + "`"})
	}
	if least, most := f.arity(); len(args) < least || len(args) > most {
		return r.refuse(n, &Failure{Kind: ValueFailure, Message: f.sayArity(len(args))})
	}
	for i, a := range args {
		if _, predicate := a.(*ast.PredicateNode); predicate != (i < len(f.Params) && f.Params[i].Predicate) {
			return r.refuse(n, &Failure{Kind: ValueFailure, Message: "`" + name + "` is called as " + f.Signature()})
		}
	}
	r.builds = true
	if len(args) > 1 && len(f.Params) > 1 && f.Params[1].Predicate {
		return r.predicateCall(n, name, args)
	}
	return r.call(n, name, f.run, r.all(args)...)
}

func (r *rewriter) predicateCall(n ast.Node, name string, args []ast.Node) ast.Node {
	over := call1(args[0], list, r.rewrite(args[0]))
	body := args[1].(*ast.PredicateNode)
	switch name {
	case "map":
		return r.loop(n, "map", over, r.value(body))
	case "sum":
		return r.call(n, name, (*meter).sum, r.loop(n, "map", over, r.value(body)))
	case "groupBy":
		return r.call(n, name, (*meter).groupBy, r.loop(n, "map", over, r.pair(body)))
	case "sortBy":
		return r.call(n, name, (*meter).sortBy, append([]ast.Node{r.loop(n, "map", over, r.pair(body))}, r.all(args[2:])...)...)
	}
	return r.loop(n, name, over, r.condition(body))
}

// loop is one of expr's own predicate functions.
func (r *rewriter) loop(n ast.Node, name string, over, body ast.Node) ast.Node {
	return at(n, &ast.BuiltinNode{Name: name, Arguments: []ast.Node{over, at(n, &ast.PredicateNode{Node: body})}})
}

func (r *rewriter) condition(body *ast.PredicateNode) ast.Node {
	return call2(body.Node, r.m.test, r.rewrite(body.Node), cost(body))
}

func (r *rewriter) value(body *ast.PredicateNode) ast.Node {
	return call2(body.Node, r.m.item, r.rewrite(body.Node), cost(body))
}

// pair is [item, value].
func (r *rewriter) pair(body *ast.PredicateNode) ast.Node {
	both := &ast.ArrayNode{Nodes: []ast.Node{&ast.PointerNode{}, r.rewrite(body.Node)}}
	return call2(body.Node, r.m.item, both, cost(body))
}

// cost is what one round of a body takes, inner bodies aside: they count their own rounds.
func cost(body *ast.PredicateNode) ast.Node {
	const (
		recordBytes = 400 // an empty map of Go, and its first fields
		resultBytes = 4 * itemBytes
	)
	w := weight{bytes: resultBytes}
	walk(body.Node, func(n ast.Node) {
		w.steps++
		switch n := n.(type) {
		case *ast.ArrayNode:
			w.bytes += itemBytes * (2 + len(n.Nodes))
		case *ast.MapNode:
			w.bytes += recordBytes + fieldBytes*len(n.Pairs)
		}
	})
	return &ast.ConstantNode{Value: w}
}

// call calls one of our functions that take their arguments as a list.
func (r *rewriter) call(n ast.Node, name string, run func(*meter, []any) any, args ...ast.Node) ast.Node {
	if _, known := r.functions[name]; !known {
		m := r.m
		r.functions[name] = &builtin.Function{Name: name, Func: func(args ...any) (any, error) {
			m.step(1)
			return run(m, args), nil
		}}
	}
	out := at(n, &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args})
	if f := functions[name]; f != nil && f.Result.Kind == boolType.Kind {
		return isBool(out)
	}
	return out
}

// The operators are called by expr's typed calls, which make no list of their arguments.

func call1(n ast.Node, f func(any) any, a ast.Node) ast.Node {
	return typedCall(n, unaryFunc, f, a)
}

func call2(n ast.Node, f func(a, b any) any, a, b ast.Node) ast.Node {
	return typedCall(n, binaryFunc, f, a, b)
}

func test2(n ast.Node, f func(a, b any) bool, a, b ast.Node) ast.Node {
	return isBool(typedCall(n, binaryTest, f, a, b))
}

func typedCall(n ast.Node, t nature.Nature, f any, args ...ast.Node) ast.Node {
	callee := &ast.ConstantNode{Value: f}
	callee.SetNature(t)
	return at(n, &ast.CallNode{Callee: callee, Arguments: args})
}

func isBool(n ast.Node) ast.Node {
	n.SetNature(boolNature)
	return n
}

// at gives a new node the place of the old, for the failures of the machine.
func at(old, n ast.Node) ast.Node {
	n.SetLocation(old.Location())
	return n
}

func (r *rewriter) refuse(n ast.Node, f *Failure) ast.Node {
	if r.failure == nil {
		f.Start, f.End = n.Location().From, n.Location().To
		r.failure = f
	}
	return at(n, &ast.NilNode{})
}

func (f *Function) arity() (least, most int) {
	for _, p := range f.Params {
		if p.Many {
			return least + 1, maxTokens
		}
		if !p.Optional {
			least++
		}
		most++
	}
	return least, most
}
