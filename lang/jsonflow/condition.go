package jsonflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/types"
)

// A condition is JavaScript in little, of which the definitions use this much:
//
//	or      = and { "||" and } .
//	and     = compare { "&&" compare } .
//	compare = unary [ ( "==" | "===" | "!=" | "!==" | "<" | "<=" | ">" | ">=" ) unary ] .
//	unary   = "!" unary | primary .
//	primary = NUMBER | TEXT | "true" | "false" | "null" | "undefined" | "(" or ")" | path { "." method "(" [ or ] ")" } [ ".length" ] .
//
// It is read when the definition is, so that a mistake in it is one of the definition and not a step that silently does not run.
type cond struct {
	op   string // an operator; "number", "text", "bool", "null", "path"; or a method
	text string
	path []seg
	args []*cond // operands; of a method what it is called on, then its arguments
}

const (
	maxCondition = 10_000 // bytes
	maxNested    = 50
)

// methods are those of JavaScript's texts that conditions may call, with how many arguments they take.
var methods = map[string]int{"includes": 1, "startsWith": 1, "endsWith": 1, "toLowerCase": 0, "toUpperCase": 0, "trim": 0, "toString": 0}

type condReader struct {
	s     string
	i     int
	depth int
	fault string
}

// condition reads a condition, or says what in it cannot be read.
func (r *reader) condition(v *value) *cond {
	p := &condReader{s: v.text}
	var c *cond
	if len(v.text) > maxCondition {
		p.fail("it is longer than %d bytes", maxCondition)
	} else if c = p.binary(0); p.fault == "" && p.peek() != "" {
		p.fail("%s is too much", quoted(p.s[p.i:]))
	}
	if p.fault == "" {
		return c
	}
	d := r.wrong("E0207", v, "I cannot read this condition: %s", p.fault)
	d.Help = []string{`a condition compares paths with values: context.tier == "premium" && !context.done`, `and looks into texts: classify.output.includes("article")`}
	return nil
}

func (p *condReader) fail(format string, args ...any) {
	if p.fault == "" {
		p.fault = fmt.Sprintf(format, args...)
	}
	p.i = len(p.s)
}

var operators = []string{"===", "!==", "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "{{", "}}"}

// peek is the operator that comes next; "?" when it is no operator, "" at the end.
func (p *condReader) peek() string {
	p.i = min(p.i, len(p.s))
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
	if p.i == len(p.s) {
		return ""
	}
	for _, op := range operators {
		if strings.HasPrefix(p.s[p.i:], op) {
			return op
		}
	}
	return "?"
}

var levels = [][]string{{"||"}, {"&&"}, {"===", "!==", "==", "!=", "<=", ">=", "<", ">"}}

func (p *condReader) binary(level int) *cond {
	if level == len(levels) {
		return p.unary()
	}
	left := p.binary(level + 1)
	for p.fault == "" {
		op := p.peek()
		if !slices.Contains(levels[level], op) {
			break
		}
		p.i += len(op)
		left = &cond{op: op, args: []*cond{left, p.binary(level + 1)}}
		if level == 2 && slices.Contains(levels[2], p.peek()) {
			p.fail("two comparisons stand side by side: use && between them")
		}
	}
	return left
}

func (p *condReader) unary() *cond {
	if p.depth++; p.depth > maxNested {
		p.fail("it is nested more than %d deep", maxNested)
		return &cond{op: "null"}
	}
	defer func() { p.depth-- }()
	switch op := p.peek(); op {
	case "!":
		p.i++
		return &cond{op: "!", args: []*cond{p.unary()}}
	case "(":
		p.i++
		c := p.binary(0)
		if p.fault == "" && p.peek() != ")" {
			p.fail("a ) is missing")
		}
		p.i = min(p.i+1, len(p.s))
		if strings.HasPrefix(p.s[p.i:], " =>") || strings.HasPrefix(p.s[p.i:], "=>") {
			p.fail("a function cannot stand in it")
		}
		return c
	case "{{": // a gap, as in a prompt
		end := strings.Index(p.s[p.i:], "}}")
		if end < 0 {
			p.fail("a }} is missing")
			return nil
		}
		path, ok := parsePath(p.s[p.i+2 : p.i+end])
		if !ok {
			p.fail("%s is no path", quoted(p.s[p.i:p.i+end+2]))
			return nil
		}
		p.i += end + 2
		return &cond{op: "path", path: path}
	case "?":
		return p.primary()
	case "":
		p.fail("something is missing at its end")
	default:
		p.fail("%s does not belong at %s", quoted(op), quoted(p.s[p.i:]))
	}
	return nil
}

func (p *condReader) primary() *cond {
	c := p.s[p.i]
	switch {
	case c == '"' || c == '\'' || c == '`':
		return p.quotedText(c)
	case c >= '0' && c <= '9' || c == '-' || c == '.':
		start := p.i
		for p.i++; p.i < len(p.s) && strings.IndexByte("0123456789.eE+-", p.s[p.i]) >= 0; p.i++ {
		}
		if f, err := strconv.ParseFloat(p.s[start:p.i], 64); err != nil || f != f {
			p.fail("%s is no number", quoted(p.s[start:p.i]))
		}
		return &cond{op: "number", text: p.s[start:p.i]}
	}
	start := p.i
	for p.i < len(p.s) {
		r, size := utf8.DecodeRuneInString(p.s[p.i:])
		if r == '[' {
			end := strings.IndexByte(p.s[p.i:], ']')
			if end < 0 {
				p.fail("a ] is missing")
				return nil
			}
			p.i += end + 1
			continue
		}
		if r == '=' && strings.HasPrefix(p.s[p.i:], "=>") {
			p.fail("a function cannot stand in it")
			return nil
		}
		if !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_$.-?", r)) {
			break
		}
		p.i += size
	}
	word := strings.ReplaceAll(p.s[start:p.i], "?.", ".")
	switch word {
	case "":
		p.fail("%s does not belong into it", quoted(p.s[start:]))
		return nil
	case "true", "false":
		return &cond{op: "bool", text: word}
	case "null", "undefined":
		return &cond{op: "null"}
	}
	return p.methods(word)
}

// methods reads the calls behind a path.
func (p *condReader) methods(word string) *cond {
	method := ""
	if i := strings.LastIndexByte(word, '.'); i >= 0 && p.i < len(p.s) && p.s[p.i] == '(' {
		word, method = word[:i], word[i+1:]
	} else if strings.HasSuffix(word, ".length") {
		word, method = strings.TrimSuffix(word, ".length"), "length"
	}
	path, ok := parsePath(word)
	if !ok {
		p.fail("%s is no path", quoted(word))
		return nil
	}
	c := &cond{op: "path", path: path}
	for n := 0; method != "" && p.fault == "" && n < maxNested; n++ {
		if method == "length" {
			return &cond{op: method, args: []*cond{c}}
		}
		takes, ok := methods[method]
		if !ok {
			p.fail("nobody knows %s here", quoted("."+method+"()"))
			return nil
		}
		c = &cond{op: method, args: []*cond{c}}
		p.i++
		if takes > 0 {
			c.args = append(c.args, p.binary(0))
		}
		if p.fault == "" && p.peek() != ")" {
			p.fail("the ) of .%s( is missing", method)
			return nil
		}
		p.i = min(p.i+1, len(p.s))
		method = ""
		if p.i < len(p.s) && p.s[p.i] == '.' {
			start := p.i + 1
			for p.i++; p.i < len(p.s) && (unicode.IsLetter(rune(p.s[p.i])) || p.s[p.i] == '_'); p.i++ {
			}
			method = p.s[start:p.i]
			if method != "length" && (p.i == len(p.s) || p.s[p.i] != '(') {
				p.fail("%s does not belong behind a call", quoted("."+method))
			}
		}
	}
	return c
}

func (p *condReader) quotedText(quote byte) *cond {
	var b strings.Builder
	for p.i++; p.i < len(p.s) && p.s[p.i] != quote; p.i++ {
		c := p.s[p.i]
		if c == '\\' && p.i+1 < len(p.s) {
			p.i++
			switch c = p.s[p.i]; c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			}
		}
		b.WriteByte(c)
	}
	if p.i == len(p.s) {
		p.fail("a %c is missing", quote)
	}
	p.i = min(p.i+1, len(p.s))
	return &cond{op: "text", text: strings.ToValidUTF8(b.String(), "\ufffd")}
}

// paths calls do with every path of a condition.
func (c *cond) paths(do func([]seg)) {
	if c == nil {
		return
	}
	if c.op == "path" {
		do(c.path)
	}
	for _, a := range c.args {
		a.paths(do)
	}
}

// expr is an expression of the language, with what is known of its type.
type expr struct {
	code string
	typ  types.Type
}

var (
	anyType    = types.Type{Kind: types.Any}
	stringType = types.Type{Kind: types.String}
	floatType  = types.Type{Kind: types.Float}
	boolType   = types.Type{Kind: types.Bool}
)

// isNumber is what a text looks like that JavaScript reads as a number.
const isNumber = ` matches '^[-+]?[0-9]+([.][0-9]+)?$'`

// truth writes a condition as an expression that is true or false, whatever its values turn out to be.
func (c *cond) truth(resolve func([]seg) expr) string {
	e := c.value(resolve)
	switch {
	case e.typ.Kind == types.Bool && e.typ.Optional:
		return "(" + e.code + " ?? false)"
	case e.typ.Kind == types.Bool:
		return e.code
	case e.typ.Kind == types.String:
		return "(" + e.some(`""`) + ` != "")`
	case (e.typ.Kind == types.Float || e.typ.Kind == types.Int) && !e.typ.Optional:
		return "(" + e.code + " != 0)"
	case e.typ.Kind == types.Nothing:
		return "false"
	}
	return "(not ((" + e.code + ` ?? nil) in [nil, false, 0, ""]))`
}

// side is an operand of && or ||: a comparison needs no brackets there.
func (c *cond) side(i int, resolve func([]seg) expr) string {
	code := c.args[i].truth(resolve)
	if op := c.args[i].op; (op == "&&" || op == "||") && op != c.op || strings.Contains(code, " ? ") {
		return code
	}
	return unwrap(code)
}

// some is the expression, or other where it is nothing.
func (e expr) some(other string) string {
	if e.typ.Optional || e.typ.Kind == types.Any {
		return "(" + e.code + " ?? " + other + ")"
	}
	return e.code
}

// text is the value as a text; nothing is the empty one.
func (e expr) text() string {
	if e.typ.Kind == types.String {
		return e.some(`""`)
	}
	return "string(" + unwrap(e.some(`""`)) + ")"
}

func (c *cond) value(resolve func([]seg) expr) expr {
	arg := func(i int) expr { return c.args[i].value(resolve) }
	switch c.op {
	case "number":
		return expr{c.text, floatType}
	case "text":
		return expr{literal(c.text), stringType}
	case "bool":
		return expr{c.text, boolType}
	case "null":
		return expr{"nil", types.Type{Kind: types.Nothing}}
	case "path":
		return resolve(c.path)
	case "!":
		return expr{"(not " + c.args[0].truth(resolve) + ")", boolType}
	case "&&", "||":
		word := map[string]string{"&&": " and ", "||": " or "}[c.op]
		return expr{"(" + c.side(0, resolve) + word + c.side(1, resolve) + ")", boolType}
	case "includes":
		return expr{"(" + arg(0).text() + " contains " + arg(1).text() + ")", boolType}
	case "startsWith", "endsWith":
		return expr{"(" + arg(0).text() + " " + c.op + " " + arg(1).text() + ")", boolType}
	case "toLowerCase":
		return expr{"lower(" + arg(0).text() + ")", stringType}
	case "toUpperCase":
		return expr{"upper(" + arg(0).text() + ")", stringType}
	case "trim":
		return expr{"trim(" + arg(0).text() + ")", stringType}
	case "toString":
		return expr{arg(0).text(), stringType}
	case "length":
		return expr{"len(" + unwrap(arg(0).some(`""`)) + ")", floatType}
	}
	return expr{compare(c.op, arg(0), arg(1)), boolType}
}

// compare writes a comparison as JavaScript means it: what only looks like a number is one beside a number, and nothing is less than nothing.
func compare(op string, a, b expr) string {
	strict := len(op) == 3
	equal := op == "==" || op == "==="
	unequal := op == "!=" || op == "!=="
	word := op
	if strict {
		word = op[:2]
	}
	isNum := func(e expr) bool { return e.typ.Kind == types.Float || e.typ.Kind == types.Int }
	direct := func(x, y string) string { return "(" + x + " " + word + " " + y + ")" }
	switch {
	case a.typ.Kind == types.Nothing && b.typ.Kind == types.Nothing:
		return strconv.FormatBool(equal || op == "<=" || op == ">=")
	case a.typ.Kind == types.Nothing || b.typ.Kind == types.Nothing:
		if equal || unequal {
			return direct(a.code, b.code)
		}
		return "false"
	case isNum(a) && isNum(b):
		if a.typ.Optional || b.typ.Optional {
			return direct(a.some("0"), b.some("0"))
		}
		return direct(a.code, b.code)
	case strict && (a.typ.Kind == types.Any || b.typ.Kind == types.Any):
		return direct(a.code, b.code)
	case isNum(a) || isNum(b) || a.typ.Kind == types.Any && b.typ.Kind == types.Any && !equal && !unequal:
		guards, sides := []string{}, [2]string{}
		for i, e := range []expr{a, b} {
			if sides[i] = e.code; !isNum(e) || e.typ.Optional {
				t := "trim(" + e.text() + ")"
				guards = append(guards, t+isNumber)
				sides[i] = "float(" + t + ")"
			}
		}
		other := "false"
		if unequal {
			other = "true"
		} else if !isNum(a) && !isNum(b) {
			other = direct(a.text(), b.text())
		}
		return "(" + strings.Join(guards, " and ") + " ? " + sides[0] + " " + word + " " + sides[1] + " : " + other + ")"
	case a.typ.Kind == types.Bool && b.typ.Kind == types.String || a.typ.Kind == types.String && b.typ.Kind == types.Bool:
		return direct("lower(trim("+a.text()+"))", "lower(trim("+b.text()+"))")
	case equal || unequal:
		return direct(a.code, b.code)
	}
	return direct(a.text(), b.text())
}
