// Package mini reads mini-notation, the small language of rhythms in Strudel's double quotes and backticks, and makes patterns of it.
//
//	pattern  = sequence { "," sequence } | sequence { "|" sequence } .
//	sequence = { step | "." } .
//	step     = ( word | number | "~" | "-" | "_" | "!" | "[" pattern "]" | "<" pattern ">" | "{" pattern "}" [ "%" slice ] ) { op } .
//	op       = "*" slice | "/" slice | "!" [ number ] | "@" number | "?" [ number ] | ":" slice | "(" pattern "," pattern [ "," pattern ] ")" | ".." slice .
//	slice    = a step without ops .
package mini

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of one piece of mini-notation. They are far above what anybody plays, and keep hostile text cheap.
const (
	maxDepth = 48
	maxNodes = 20_000
	maxCount = 1_024 // of a replication or a range
)

// Error is what is wrong with a piece of mini-notation, and where: an offset in bytes.
type Error struct {
	Offset  int
	Message string
	Hint    string
}

func (e *Error) Error() string { return e.Message }

// Atom is a word or a number that is played, with its place.
type Atom struct {
	Text   string
	Offset int
}

// Tree is a piece of mini-notation that has been read.
type Tree struct {
	root  *node
	Atoms []Atom
}

type kind int

const (
	word kind = iota
	number
	rest
	sequence // items one after the other
	stack    // parts at once
	choice   // one of the parts, by chance
	turns    // < >: a step a cycle; parts at once
	meter    // { }: parts at once, each as many steps a cycle
)

type node struct {
	kind   kind
	text   string
	value  float64
	parts  []*node
	weight float64
	reps   int
	ops    []op
	offset int
	steps  *node // of a meter: how many a cycle
}

type op struct {
	kind   byte // * / ? : ( .
	arg    *node
	args   []*node
	chance float64
	seed   uint64
}

// Parse reads a piece of mini-notation.
func Parse(text string) (t *Tree, err error) {
	p := &parser{text: text}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *Error:
			t, err = nil, e
		default:
			panic(e)
		}
	}()
	p.space()
	if p.end() {
		p.fail(0, "there is nothing in these quotes", `write ~ for silence`)
	}
	root := p.pattern(0)
	p.space()
	if !p.end() {
		p.unexpected()
	}
	return &Tree{root: root, Atoms: p.atoms}, nil
}

type parser struct {
	text  string
	at    int
	nodes int
	seeds uint64
	atoms []Atom
}

func (p *parser) fail(at int, message, hint string) { panic(&Error{at, message, hint}) }

func (p *parser) end() bool { return p.at >= len(p.text) }

func (p *parser) peek() byte {
	if p.end() {
		return 0
	}
	return p.text[p.at]
}

func (p *parser) space() {
	for !p.end() {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsSpace(r) && r != '\u00a0' {
			if strings.HasPrefix(p.text[p.at:], "//") {
				if end := strings.IndexByte(p.text[p.at:], '\n'); end < 0 {
					p.at = len(p.text)
					return
				}
			}
			return
		}
		p.at += size
	}
}

func (p *parser) node(k kind, at int) *node {
	if p.nodes++; p.nodes > maxNodes {
		p.fail(at, "this pattern is too long", "split it into several")
	}
	return &node{kind: k, weight: 1, reps: 1, offset: at}
}

func (p *parser) unexpected() {
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	switch r {
	case ']', '>', '}', ')':
		p.fail(p.at, fmt.Sprintf("this %q closes nothing", r), "take it away, or open it before")
	case '\'', '’', '‘', '“', '”', '"':
		p.fail(p.at, fmt.Sprintf("%q does not belong in a pattern", r), "")
	case '|':
		p.fail(p.at, "`|` and `,` cannot stand in the same brackets", "put one side in brackets of its own: [a | b], c")
	case '&', '+', '=', ';', '$', '\\':
		p.fail(p.at, fmt.Sprintf("mini-notation has no %q", r), "")
	}
	p.fail(p.at, fmt.Sprintf("%q is not expected here", r), "")
}

// pattern = sequence { "," sequence } | sequence { "|" sequence } .
func (p *parser) pattern(depth int) *node {
	if depth > maxDepth {
		p.fail(p.at, "brackets are nested too deep", fmt.Sprintf("at most %d levels", maxDepth))
	}
	at := p.at
	first := p.sequence(depth)
	p.space()
	between := p.peek()
	if between != ',' && between != '|' {
		return first
	}
	n := p.node(stack, at)
	if between == '|' {
		n.kind = choice
		n.ops = []op{{seed: p.seed()}}
	}
	n.parts = []*node{first}
	for p.space(); p.peek() == between; p.space() {
		p.at++
		n.parts = append(n.parts, p.sequence(depth))
	}
	return n
}

func (p *parser) seed() uint64 {
	p.seeds++
	return 16 + p.seeds // the first few belong to functions
}

// sequence = { step | "." } .
func (p *parser) sequence(depth int) *node {
	p.space()
	n := p.node(sequence, p.at)
	var feet []*node
	for {
		p.space()
		at := p.at
		switch c := p.peek(); {
		case p.end() || strings.IndexByte(",|]>})", c) >= 0:
			if len(n.parts) == 0 && feet == nil {
				what := "a step is missing here"
				if p.end() {
					what = "a step is missing at the end"
				}
				p.fail(min(at, max(0, len(p.text)-1)), what, "write ~ for silence")
			}
			if feet != nil {
				if len(n.parts) > 0 {
					feet = append(feet, n)
				}
				whole := p.node(sequence, n.offset)
				whole.parts = feet
				return whole
			}
			return n
		case c == '.' && p.alone(1):
			p.at++
			if len(n.parts) == 0 {
				p.fail(at, "a `.` ends a group of steps, and none stands before it", "")
			}
			feet = append(feet, n)
			n = p.node(sequence, p.at)
		case c == '_':
			p.at++
			if len(n.parts) == 0 {
				p.fail(at, "`_` makes the step before it longer, and none stands there", "write ~ for silence")
			}
			n.parts[len(n.parts)-1].weight++
		case c == '!' && len(n.parts) > 0:
			p.at++
			p.at += len(p.text[p.at:]) - len(strings.TrimLeft(p.text[p.at:], " "))
			before := *n.parts[len(n.parts)-1]
			before.reps = 1
			n.parts = append(n.parts, &before)
		case strings.HasPrefix(p.text[p.at:], "..") && len(n.parts) > 0:
			p.at += 2
			p.space()
			p.span(n, at, depth)
		default:
			n.parts = append(n.parts, p.step(depth))
		}
	}
}

// span makes the steps of `1 .. 4`.
func (p *parser) span(n *node, at, depth int) {
	from, to := n.parts[len(n.parts)-1], p.slice(depth)
	if from.kind != number || to.kind != number || from.value != float64(int(from.value)) || to.value != float64(int(to.value)) || len(from.ops) > 0 {
		p.fail(at, "`..` counts from one whole number to another", `as in "0 .. 3"`)
	}
	first, last := int(from.value), int(to.value)
	step := 1
	if last < first {
		step = -1
	}
	if (last-first)*step > maxCount {
		p.fail(at, fmt.Sprintf("`..` counts over more than %d steps", maxCount), "")
	}
	for i := first; i != last; {
		i += step
		m := p.node(number, to.offset)
		m.value, m.text = float64(i), strconv.Itoa(i)
		n.parts = append(n.parts, m)
	}
}

// alone tells whether the next n bytes stand by themselves.
func (p *parser) alone(n int) bool {
	if p.at+n >= len(p.text) {
		return true
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at+n:])
	return !inWord(r)
}

func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("~-_#.^", r)
}

// step is a slice and what is done to it.
func (p *parser) step(depth int) *node {
	n := p.slice(depth)
	for {
		at := p.at
		switch p.peek() {
		case '*', '/':
			o := op{kind: p.peek()}
			p.at++
			o.arg = p.argument(depth, string(o.kind), at)
			n.ops = append(n.ops, o)
		case '!':
			p.at++
			count := 2.0
			if f, ok := p.number(); ok {
				count = f
			}
			if count != float64(int(count)) || count < 0 || count > maxCount || n.reps*int(count) > maxCount {
				p.fail(at, "`!` repeats a step a whole number of times", "as in bd!3")
			}
			n.reps *= int(count)
		case '@':
			p.at++
			f, ok := p.number()
			if !ok || f <= 0 {
				p.fail(at, "`@` gives a step a weight, and needs a number after it", "as in bd@3")
			}
			n.weight = f
		case '?':
			p.at++
			o := op{kind: '?', chance: 0.5, seed: p.seed()}
			if f, ok := p.number(); ok {
				o.chance = f
			}
			if o.chance < 0 || o.chance > 1 {
				p.fail(at, "`?` needs a chance between 0 and 1", "as in hh?0.3")
			}
			n.ops = append(n.ops, o)
		case ':':
			p.at++
			n.ops = append(n.ops, op{kind: ':', arg: p.argument(depth, ":", at)})
		case '(':
			p.at++
			o := op{kind: '('}
			for {
				p.space()
				o.args = append(o.args, p.sequence(depth+1))
				p.space()
				if p.peek() != ',' {
					break
				}
				p.at++
			}
			if p.peek() != ')' {
				p.unclosed(at, '(', ')')
			}
			p.at++
			if len(o.args) < 2 || len(o.args) > 3 {
				p.fail(at, "a euclidean rhythm needs beats and steps, and may have a rotation", "as in bd(3,8) or bd(3,8,2)")
			}
			n.ops = append(n.ops, o)
		default:
			if !p.end() && strings.IndexByte(" \t\r\n,|]>})", p.peek()) < 0 {
				if r, _ := utf8.DecodeRuneInString(p.text[p.at:]); !unicode.IsSpace(r) && strings.IndexByte("[<{", p.peek()) < 0 {
					if strings.HasPrefix(p.text[p.at:], "//") {
						return n
					}
					p.unexpected()
				}
			}
			return n
		}
	}
}

// argument is what follows an operator.
func (p *parser) argument(depth int, of string, at int) *node {
	if p.end() || !strings.ContainsRune("[<{", rune(p.peek())) {
		if r, _ := utf8.DecodeRuneInString(p.text[p.at:]); p.end() || !inWord(r) {
			p.fail(at, fmt.Sprintf("`%s` needs something after it", of), map[string]string{"*": "as in hh*4", "/": "as in bd/2", ":": "as in bd:3"}[of])
		}
	}
	n := p.slice(depth)
	if (of == "*" || of == "/") && (n.kind == word || n.kind == rest) {
		p.fail(n.offset, fmt.Sprintf("`%s` needs a number after it, not %q", of, n.text), "")
	}
	return n
}

// number reads a number that follows an operator.
func (p *parser) number() (float64, bool) {
	end := p.at
	for end < len(p.text) && (p.text[end] >= '0' && p.text[end] <= '9' || p.text[end] == '.' || end == p.at && p.text[end] == '-') {
		end++
	}
	f, err := strconv.ParseFloat(p.text[p.at:end], 64)
	if err != nil {
		return 0, false
	}
	p.at = end
	return f, true
}

// slice is a step without ops.
func (p *parser) slice(depth int) *node {
	at := p.at
	c := p.peek()
	switch c {
	case '[', '<', '{':
		p.at++
		inside := p.pattern(depth + 1)
		closing := map[byte]byte{'[': ']', '<': '>', '{': '}'}[c]
		if p.peek() != closing {
			p.unclosed(at, rune(c), rune(closing))
		}
		p.at++
		if c == '[' {
			if inside.kind == sequence && len(inside.parts) == 1 && inside.parts[0].reps == 1 && len(inside.parts[0].ops) == 0 {
				n := *inside.parts[0]
				n.weight, n.offset = 1, at
				return &n
			}
			n := p.node(sequence, at)
			n.parts = []*node{inside}
			return n
		}
		n := p.node(turns, at)
		n.parts = []*node{inside}
		if inside.kind == stack {
			n.parts = inside.parts
		}
		if c == '{' {
			n.kind = meter
			if p.peek() == '%' {
				p.at++
				n.steps = p.argument(depth, "%", p.at-1)
			}
		}
		return n
	}
	end := at
	for end < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[end:])
		if !inWord(r) {
			break
		}
		end += size
	}
	text := p.text[at:end]
	if text == "" {
		if p.end() {
			p.fail(max(0, at-1), "a step is missing at the end", "write ~ for silence")
		}
		p.unexpected()
	}
	if before := strings.TrimRight(p.text[:at], " \t\n"); text[0] == '^' && (before == "" || strings.ContainsRune("[<{(,|", rune(before[len(before)-1]))) {
		p.fail(at, "`^`, which says whose steps are counted, is Strudel, but it is not covered here", "take it away, or give the number of steps with .pace(…)")
	}
	p.at = end
	if text == "~" || text == "-" {
		return p.node(rest, at)
	}
	if isNumber(text) {
		n := p.node(number, at)
		n.text = text
		n.value, _ = strconv.ParseFloat(text, 64)
		return n
	}
	n := p.node(word, at)
	n.text = text
	p.atoms = append(p.atoms, Atom{text, at})
	return n
}

func (p *parser) unclosed(at int, open, closing rune) {
	if !p.end() {
		r, _ := utf8.DecodeRuneInString(p.text[p.at:])
		if strings.ContainsRune("]>})", r) {
			p.fail(p.at, fmt.Sprintf("%q closes what %q opened", r, open), fmt.Sprintf("write %q", closing))
		}
		p.unexpected()
	}
	p.fail(at, fmt.Sprintf("this %q is not closed", open), fmt.Sprintf("write %q where it ends", closing))
}

// isNumber is strict: "5x" and "1_000" are words.
func isNumber(s string) bool {
	digits := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits = true
		case c == '.':
		case c == '-' && (i == 0 || s[i-1] == 'e' || s[i-1] == 'E'):
		case (c == 'e' || c == 'E') && digits && i+1 < len(s):
		default:
			return false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return err == nil && digits && f-f == 0
}
