package eval

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// Parse reads an expression. When there are problems the tree is nil; its methods may be called all the same and find nothing.
// It never panics, and takes time in proportion to the text.
func Parse(code string) (*Tree, []Problem) {
	if p := guard(code); p != nil {
		return nil, []Problem{*p}
	}
	// The guard has bounded the tree already.
	parsed, err := parser.Parse(code)
	if err != nil {
		start, end, message := 0, 0, err.Error()
		var at *file.Error
		if errors.As(err, &at) {
			start, end, message = at.From, at.To, at.Message
		}
		if strings.Contains(message, "literal") {
			start, end = numberBefore(code, start, end)
		}
		return nil, []Problem{*sayParseError(message, start, max(end, start))}
	}
	t := &Tree{code: code, root: parsed.Node}
	if nodes := maxNodes; !countNodes(t.root, &nodes) {
		return nil, []Problem{*syntaxProblem(0, utf8.RuneCountInString(code), "this expression is too large", "split it with `let`")}
	}
	if p := t.refused(); p != nil {
		return nil, []Problem{*p}
	}
	return t, nil
}

// numberBefore is the number that ends at or before start: expr blames the token behind it.
func numberBefore(code string, start, end int) (int, int) {
	runes := []rune(code)
	isPart := func(r rune) bool {
		return r == '_' || r == '.' || r < utf8.RuneSelf && (isDigit(byte(r)) || isLetter(byte(r)))
	}
	last := min(start, len(runes)-1)
	for last >= 0 && !isPart(runes[last]) {
		last--
	}
	first := last
	for first > 0 && isPart(runes[first-1]) {
		first--
	}
	if last < 0 {
		return start, end
	}
	return first, last + 1
}

// countNodes counts down for each visit of a node. expr's parser shares the middle of a < b < c, so that a tree of comparisons within comparisons is
// small where it is kept but doubles at each level for whoever walks over it.
func countNodes(n ast.Node, left *int) bool {
	if n == nil {
		return true
	}
	if *left--; *left < 0 {
		return false
	}
	ok := true
	below(n, func(m ast.Node) { ok = ok && countNodes(m, left) })
	return ok
}

// refused finds what expr's parser accepts and we do not: a call of something that is not a name, an item of another name than # and #index.
func (t *Tree) refused() *Problem {
	var found *Problem
	walk(t.root, func(n ast.Node) {
		if found != nil {
			return
		}
		switch n := n.(type) {
		case *ast.CallNode:
			if _, ok := n.Callee.(*ast.IdentifierNode); !ok {
				start, end := t.span(n.Callee)
				found = syntaxProblem(start, end, "only a function can be called in an expression", t.callCure(n))
			}
		case *ast.PointerNode:
			if n.Name != "" && n.Name != "index" {
				found = syntaxProblem(n.Location().From, n.Location().To, "I don't know `#"+n.Name+"`", "`#` is the current item, `#index` its number from 0")
			}
		}
	})
	return found
}

// callCure knows the methods of other languages.
func (t *Tree) callCure(n *ast.CallNode) string {
	m, ok := n.Callee.(*ast.MemberNode)
	if !ok {
		return ""
	}
	name, _ := m.Property.(*ast.StringNode)
	switch {
	case name == nil:
		return ""
	case functions[name.Value] != nil && len(n.Arguments) == 0:
		return "write `" + name.Value + "(" + t.text(m.Node) + ")`"
	case functions[name.Value] != nil:
		return "write `" + name.Value + "(" + t.text(m.Node) + ", …)`"
	case foreign[name.Value] != "" && name.Value != "get": // http.get is an agent
		return foreign[name.Value]
	}
	return "an agent is called in a step of its own: `page = http.get \"…\"`"
}

// Names lists every occurrence of a free name, in the order they are written: placeholders of texts and `run` too, but no functions.
func (t *Tree) Names() []Name {
	if t == nil {
		return nil
	}
	var names []Name
	walk(t.root, func(n ast.Node) {
		if id, ok := n.(*ast.IdentifierNode); ok {
			at := id.Location()
			if slices.ContainsFunc(names, func(n Name) bool { return n.Start == at.From }) {
				return // the shared middle of a < b < c
			}
			names = append(names, Name{Text: id.Value, Start: at.From, End: at.To})
		}
	})
	return names
}

// walk visits n and all below it, in written order, except the names of called functions.
func walk(n ast.Node, visit func(ast.Node)) {
	if n == nil {
		return
	}
	visit(n)
	below(n, func(m ast.Node) { walk(m, visit) })
}

// below visits the nodes right below n, in written order.
func below(n ast.Node, visit func(ast.Node)) {
	switch n := n.(type) {
	case *ast.UnaryNode:
		visit(n.Node)
	case *ast.BinaryNode:
		visit(n.Left)
		visit(n.Right)
	case *ast.ChainNode:
		visit(n.Node)
	case *ast.MemberNode:
		visit(n.Node)
		visit(n.Property)
	case *ast.SliceNode:
		visit(n.Node)
		visit(n.From)
		visit(n.To)
	case *ast.CallNode:
		if _, name := n.Callee.(*ast.IdentifierNode); !name {
			visit(n.Callee)
		}
		each(n.Arguments, visit)
	case *ast.BuiltinNode:
		each(n.Arguments, visit)
	case *ast.PredicateNode:
		visit(n.Node)
	case *ast.ConditionalNode:
		visit(n.Cond)
		visit(n.Exp1)
		visit(n.Exp2)
	case *ast.ArrayNode:
		each(n.Nodes, visit)
	case *ast.MapNode:
		each(n.Pairs, visit)
	case *ast.PairNode:
		visit(n.Key)
		visit(n.Value)
	}
}

func each(nodes []ast.Node, visit func(ast.Node)) {
	for _, n := range nodes {
		visit(n)
	}
}

// span is the place of a whole expression. expr keeps the place of one token for each node, so it is the span of all tokens below, and of the partners
// of the brackets among them.
func (t *Tree) span(n ast.Node) (start, end int) {
	pairs := bracketPairs(t.code)
	start, end = n.Location().From, n.Location().To
	walk(n, func(m ast.Node) {
		at := m.Location()
		start, end = min(start, at.From), max(end, at.To)
		switch m.(type) {
		case *ast.CallNode, *ast.BuiltinNode:
			for _, p := range pairs { // its own, when there is no argument in it
				if p.open >= at.To {
					end = max(end, p.open+1)
					break
				}
			}
		}
	})
	for grown := true; grown; {
		grown = false
		for _, p := range pairs {
			opens, closes := start <= p.open && p.open < end, start <= p.close && p.close < end
			if opens != closes {
				start, end = min(start, p.open), max(end, p.close+1)
				grown = true
			}
		}
	}
	return start, end
}

// pair is a bracket and the one that closes it, in runes.
type pair struct {
	open, close int
}

// bracketPairs lists the brackets of code in the order in which they open. The guard has seen to it that they match.
func bracketPairs(code string) []pair {
	var pairs []pair
	var open []int
	var quote rune
	escaped := false
	at := -1
	for _, r := range code {
		at++
		switch {
		case quote != 0:
			if r == quote && !escaped {
				quote = 0
			}
			escaped = r == '\\' && !escaped
		case r == '"' || r == '\'':
			quote, escaped = r, false
		case r == '(' || r == '[' || r == '{':
			open = append(open, len(pairs))
			pairs = append(pairs, pair{at, at})
		case (r == ')' || r == ']' || r == '}') && len(open) > 0:
			pairs[open[len(open)-1]].close = at
			open = open[:len(open)-1]
		}
	}
	return pairs
}

// text is what the author wrote for n, shortened for a message.
func (t *Tree) text(n ast.Node) string {
	const shown = 40
	start, end := t.span(n)
	runes := []rune(t.code)
	start, end = min(start, len(runes)), min(end, len(runes))
	if start >= end {
		return "this"
	}
	if end-start > shown {
		return string(runes[start:start+shown]) + "…"
	}
	return string(runes[start:end])
}
