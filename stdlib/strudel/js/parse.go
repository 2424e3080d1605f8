// Package js reads the part of JavaScript that Strudel code is written in: expressions, arrow functions, constants and labels. It reads only; nothing is ever
// run.
package js

import (
	"fmt"
	"strings"
)

// Limits of one piece of code; they keep hostile text cheap.
const (
	MaxBytes  = 64 << 10
	maxDepth  = 100
	maxErrors = 20
)

// Kind says what a node is.
type Kind int

const (
	Number  Kind = iota // Value
	Text                // Text: a string in single quotes
	Mini                // Text: mini-notation; Inner: where it begins
	Name                // Text
	Member              // Of . Text
	Index               // Of [ Args[0] ]
	Call                // Of ( Args )
	Array               // [ Args ]
	Object              // { Keys[i]: Args[i] }
	Arrow               // ( Params ) => Body, with Block's constants before it
	Unary               // Text Of
	Binary              // Of Text Args[0]
	Ternary             // Of ? Args[0] : Args[1]
)

// Node is a piece of an expression.
type Node struct {
	Kind   Kind
	Offset int // of its first character; of a Member or a Call that of the name called
	Inner  int
	Text   string
	Value  float64
	Of     *Node
	Args   []*Node
	Keys   []string
	Params []string
	Block  []Statement
	Body   *Node
}

// Statement is an expression, perhaps with a name: of a constant, or of a label.
type Statement struct {
	Offset   int
	Label    string // "$", "drums", "_muted"
	Constant string
	Expr     *Node
}

// Parse reads code. What it could read is in the first result even when there are errors.
func Parse(code string) ([]Statement, []*Error) {
	if len(code) > MaxBytes {
		return nil, []*Error{{0, fmt.Sprintf("the code is longer than %d KiB", MaxBytes>>10), "split it"}}
	}
	var all []Statement
	var errs []*Error
	for from := 0; from < len(code); {
		p := &parser{lexer: lexer{code: code, at: from}}
		found, err := p.program()
		all = append(all, found...)
		if err == nil {
			break
		}
		if errs = append(errs, err); len(errs) == maxErrors {
			break
		}
		from = resume(code, max(p.tok.offset, err.Offset, from))
	}
	return all, errs
}

// resume finds the next line that begins something of its own.
func resume(code string, after int) int {
	for after < len(code) {
		i := strings.IndexByte(code[after:], '\n')
		if i < 0 {
			return len(code)
		}
		after += i + 1
		line, _, _ := strings.Cut(code[after:], "\n")
		if strings.HasPrefix(line, "const ") || strings.HasPrefix(line, "let ") {
			return after
		}
		if word, _, ok := strings.Cut(line, ":"); ok && word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$") == "" {
			return after
		}
	}
	return len(code)
}

type parser struct {
	lexer
	tok, ahead token
	hasAhead   bool
	depth      int
}

func (p *parser) advance() token {
	t := p.tok
	if p.hasAhead {
		p.tok, p.hasAhead = p.ahead, false
	} else {
		p.tok = p.next()
	}
	return t
}

func (p *parser) peek() token {
	if !p.hasAhead {
		p.ahead, p.hasAhead = p.next(), true
	}
	return p.ahead
}

func (p *parser) is(m string) bool { return p.tok.kind == mark && p.tok.text == m }

func (p *parser) take(m string) bool {
	if p.is(m) {
		p.advance()
		return true
	}
	return false
}

func fail(at int, hint, format string, args ...any) {
	panic(&Error{at, fmt.Sprintf(format, args...), hint})
}

func (p *parser) program() (all []Statement, err *Error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *Error:
			err = e
		default:
			panic(e)
		}
	}()
	p.advance()
	for p.tok.kind != end {
		if p.take(";") {
			continue
		}
		all = append(all, p.statement())
	}
	return all, nil
}

// beyond are words of JavaScript that are not part of the subset.
var beyond = map[string]string{
	"function": "write x => …", "if": "use a pattern such as when, or ?:", "for": "use a pattern such as fast, iter or stack", "while": "use a pattern",
	"class": "", "new": "", "import": "", "export": "", "return": "", "try": "", "throw": "", "switch": "", "async": "", "this": "", "delete": "", "typeof": "",
	"eval": "nothing is run here", "window": "there is no browser here", "document": "there is no browser here", "globalThis": "", "process": "", "require": "",
	"console": "", "fetch": "use samples('github:…')",
}

// statement = ( "const" | "let" | "var" ) NAME "=" expr | NAME ":" expr | expr .
func (p *parser) statement() Statement {
	s := Statement{Offset: p.tok.offset}
	if p.tok.kind == name {
		switch p.tok.text {
		case "const", "let", "var":
			p.advance()
			if p.tok.kind != name {
				fail(p.tok.offset, "as in const drums = s(\"bd sd\")", "a name is missing")
			}
			s.Constant = p.advance().text
			if !p.take("=") {
				fail(p.tok.offset, "as in const drums = s(\"bd sd\")", "%q needs a value: `=` is missing", s.Constant)
			}
			s.Expr = p.expr()
			p.endOfStatement()
			return s
		}
		if next := p.peek(); next.kind == mark && next.text == ":" {
			s.Label = p.advance().text
			p.advance()
			if p.tok.kind == end {
				fail(s.Offset, "", "there is nothing behind this label")
			}
			s.Expr = p.expr()
			p.endOfStatement()
			return s
		}
	}
	s.Expr = p.expr()
	p.endOfStatement()
	return s
}

func (p *parser) endOfStatement() {
	switch {
	case p.take(";"), p.tok.kind == end, p.tok.newline, p.is("}"):
		return
	case p.is(")") || p.is("]"):
		fail(p.tok.offset, "take it away, or open it before", "this %q closes nothing", p.tok.text)
	case p.is("="), p.is("+="), p.is("-="), p.is("++"), p.is("--"):
		fail(p.tok.offset, "give the new value a name of its own with const", "values do not change here")
	case p.is(","):
		fail(p.tok.offset, "join patterns with stack(…), or write each behind its own $:", "two expressions stand side by side")
	}
	fail(p.tok.offset, "a `.`, a comma or a line's end is missing before it", "%s is not expected here", p.describe())
}

func (p *parser) describe() string {
	switch p.tok.kind {
	case end:
		return "the end of the code"
	case text, mini:
		return fmt.Sprintf("the text %q", p.tok.text)
	}
	return fmt.Sprintf("%q", p.tok.text)
}

func (p *parser) deeper() {
	if p.depth++; p.depth > maxDepth {
		fail(p.tok.offset, fmt.Sprintf("at most %d levels", maxDepth), "this is nested too deep")
	}
}

// expr = arrow | binary [ "?" expr ":" expr ] .
func (p *parser) expr() *Node {
	p.deeper()
	defer func() { p.depth-- }()
	if n := p.arrow(); n != nil {
		return n
	}
	n := p.binary(0)
	if p.is("?") {
		at := p.advance().offset
		yes := p.expr()
		if !p.take(":") {
			fail(p.tok.offset, "as in a ? b : c", "a `:` is missing")
		}
		return &Node{Kind: Ternary, Offset: at, Of: n, Args: []*Node{yes, p.expr()}}
	}
	return n
}

// arrow = ( NAME | "(" [ NAME { "," NAME } ] ")" ) "=>" ( expr | "{" { statement } "return" expr "}" ) .
func (p *parser) arrow() *Node {
	at := p.tok.offset
	var params []string
	switch {
	case p.tok.kind == name && p.peek().kind == mark && p.peek().text == "=>":
		params = []string{p.advance().text}
	case p.is("(") && p.looksLikeArrow():
		p.advance()
		for p.tok.kind == name {
			params = append(params, p.advance().text)
			if !p.take(",") {
				break
			}
		}
		p.advance() // ")"
	default:
		return nil
	}
	p.advance() // "=>"
	n := &Node{Kind: Arrow, Offset: at, Params: params}
	if !p.is("{") {
		n.Body = p.expr()
		return n
	}
	open := p.advance().offset
	for {
		switch {
		case p.tok.kind == end:
			fail(open, "write } where it ends", "this \"{\" is not closed")
		case p.take(";"):
		case p.tok.kind == name && p.tok.text == "return":
			p.advance()
			n.Body = p.expr()
			p.take(";")
			if !p.take("}") {
				fail(p.tok.offset, "", "%s is not expected here: a function ends with what it returns", p.describe())
			}
			return n
		case p.is("}"):
			fail(p.tok.offset, "write x => x.fast(2), or return something", "this function returns nothing")
		default:
			n.Block = append(n.Block, p.statement())
		}
	}
}

// looksLikeArrow tells whether the parenthesis that begins here holds parameters.
func (p *parser) looksLikeArrow() bool {
	try := &parser{lexer: p.lexer, tok: p.tok, ahead: p.ahead, hasAhead: p.hasAhead}
	ok := false
	func() {
		defer func() {
			if e := recover(); e != nil {
				if _, known := e.(*Error); !known {
					panic(e)
				}
			}
		}()
		try.advance()
		for try.tok.kind == name {
			try.advance()
			if !try.take(",") {
				break
			}
		}
		ok = try.take(")") && try.is("=>")
	}()
	return ok
}

var levels = []string{"??", "||", "&&", "== != === !==", "< > <= >=", "+ -", "* / %", "**"}

func (p *parser) binary(level int) *Node {
	if level == len(levels) {
		return p.unary()
	}
	n := p.binary(level + 1)
	for p.tok.kind == mark && contains(levels[level], p.tok.text) {
		t := p.advance()
		var right *Node
		if t.text == "**" {
			p.deeper()
			right = p.binary(level)
			p.depth--
		} else {
			right = p.binary(level + 1)
		}
		n = &Node{Kind: Binary, Offset: t.offset, Text: t.text, Of: n, Args: []*Node{right}}
	}
	return n
}

func contains(words, word string) bool {
	for _, w := range strings.Fields(words) {
		if w == word {
			return true
		}
	}
	return false
}

func (p *parser) unary() *Node {
	if p.is("-") || p.is("+") || p.is("!") {
		t := p.advance()
		p.deeper()
		defer func() { p.depth-- }()
		return &Node{Kind: Unary, Offset: t.offset, Text: t.text, Of: p.unary()}
	}
	if p.tok.kind == name && p.tok.text == "await" && !p.peek().newline {
		p.advance()
	}
	return p.postfix(p.primary())
}

// postfix = primary { "." NAME | "(" [ args ] ")" | "[" expr "]" } .
func (p *parser) postfix(n *Node) *Node {
	for {
		switch {
		case p.is(".") || p.is("?."):
			dot := p.advance()
			if p.tok.kind != name {
				if p.tok.kind == mark && p.tok.text == "." {
					fail(p.tok.offset, "take one away", "there are two dots")
				}
				fail(dot.offset, "as in .fast(2)", "a name is missing after this dot")
			}
			t := p.advance()
			n = &Node{Kind: Member, Offset: t.offset, Text: t.text, Of: n}
		case p.is("("):
			open := p.advance().offset
			args := p.list(open, ")")
			n = &Node{Kind: Call, Offset: n.Offset, Of: n, Args: args}
		case p.is("[") && !p.tok.newline:
			open := p.advance().offset
			index := p.expr()
			if !p.take("]") {
				fail(open, "write ] where it ends", "this \"[\" is not closed")
			}
			n = &Node{Kind: Index, Offset: open, Of: n, Args: []*Node{index}}
		case p.tok.kind == mini && p.tok.text != "" && p.tok.inner > 0 && p.code[p.tok.offset] == '`' && !p.tok.newline && (n.Kind == Name || n.Kind == Member):
			// A tagged template: mini`c e g`.
			t := p.advance()
			n = &Node{Kind: Call, Offset: n.Offset, Of: n, Args: []*Node{{Kind: Mini, Offset: t.offset, Inner: t.inner, Text: t.text}}}
		default:
			return n
		}
	}
}

func (p *parser) list(open int, closing string) []*Node {
	var all []*Node
	for {
		if p.take(closing) {
			return all
		}
		if p.tok.kind == end {
			p.unclosed(open, closing)
		}
		if p.is("...") {
			fail(p.tok.offset, "write the elements out", "`...` is not part of what is read here")
		}
		all = append(all, p.expr())
		if p.take(",") {
			continue
		}
		if !p.is(closing) {
			if p.tok.kind == end || p.is(")") || p.is("]") || p.is("}") || p.tok.newline && p.tok.kind == name {
				p.unclosed(open, closing)
			}
			if p.is("=") || p.is(":") {
				fail(p.tok.offset, "arguments have no names here: write the value alone", "%s is not expected here", p.describe())
			}
			fail(p.tok.offset, "a comma or a `.` is missing before it", "%s is not expected here", p.describe())
		}
	}
}

func (p *parser) unclosed(open int, closing string) {
	opened := p.code[open : open+1]
	if p.tok.kind == mark && p.tok.text != closing && contains(") ] }", p.tok.text) {
		fail(p.tok.offset, "write "+closing, "%q closes what %q opened", p.tok.text, opened)
	}
	fail(open, "write "+closing+" where it ends", "this %q is not closed", opened)
}

func (p *parser) primary() *Node {
	t := p.tok
	switch t.kind {
	case num:
		p.advance()
		return &Node{Kind: Number, Offset: t.offset, Value: t.value, Text: t.text}
	case text:
		p.advance()
		return &Node{Kind: Text, Offset: t.offset, Inner: t.inner, Text: t.text}
	case mini:
		p.advance()
		return &Node{Kind: Mini, Offset: t.offset, Inner: t.inner, Text: t.text}
	case name:
		if hint, ok := beyond[t.text]; ok {
			fail(t.offset, hint, "%q is not part of the JavaScript that is read here", t.text)
		}
		p.advance()
		return &Node{Kind: Name, Offset: t.offset, Text: t.text}
	case mark:
		switch t.text {
		case "(":
			p.advance()
			n := p.expr()
			if !p.take(")") {
				p.unclosed(t.offset, ")")
			}
			return n
		case "[":
			p.advance()
			return &Node{Kind: Array, Offset: t.offset, Args: p.list(t.offset, "]")}
		case "{":
			return p.object()
		case ")", "]", "}":
			fail(t.offset, "take it away, or open it before", "this %q closes nothing", t.text)
		}
		fail(t.offset, "", "%q is not expected here", t.text)
	}
	fail(max(0, min(t.offset, len(p.code))-1), "", "the code ends where something is missing")
	return nil
}

// object = "{" { ( NAME | STRING | NUMBER ) ":" expr "," } "}" .
func (p *parser) object() *Node {
	open := p.advance().offset
	n := &Node{Kind: Object, Offset: open}
	for {
		if p.take("}") {
			return n
		}
		if p.tok.kind == end {
			p.unclosed(open, "}")
		}
		if p.tok.kind == mark {
			fail(p.tok.offset, "as in {a: s(\"bd\")}", "a name is missing here")
		}
		key := p.advance()
		if !p.take(":") {
			if p.is(",") || p.is("}") {
				n.Keys = append(n.Keys, key.text)
				n.Args = append(n.Args, &Node{Kind: Name, Offset: key.offset, Text: key.text})
				p.take(",")
				continue
			}
			fail(p.tok.offset, "as in {a: s(\"bd\")}", "a `:` is missing after %q", key.text)
		}
		n.Keys = append(n.Keys, key.text)
		n.Args = append(n.Args, p.expr())
		if !p.take(",") && !p.is("}") {
			p.unclosed(open, "}")
		}
	}
}
