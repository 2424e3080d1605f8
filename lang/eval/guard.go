package eval

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of an expression's source. They are checked before expr's parser sees it: it recurses without a bound, and a Go stack overflow cannot be caught.
const (
	maxCodeBytes = 1 << 20 // a raw text may be a whole program
	maxTokens    = 4000
	maxBrackets  = 100 // nested
	maxPrefixes  = 50  // operators in a row, as in !!!x
	maxChoices   = 200 // ?: and powers, which nest to the right
	maxNodes     = 4 * maxTokens
)

// scanner walks over the tokens of an expression without understanding them.
type scanner struct {
	code     string
	pos      int // in bytes
	runes    int // the same, in runes
	tokens   int
	prefixes int
	choices  int
	open     []place
	afterDot bool // the last token was . or ?.
}

type place struct {
	char  byte
	start int // in runes
}

// guard finds what expr's parser must not see.
func guard(code string) *Problem {
	if len(code) > maxCodeBytes {
		return syntaxProblem(0, 0, fmt.Sprintf("this expression is longer than %d bytes", maxCodeBytes), "put long texts into a file of their own")
	}
	if !utf8.ValidString(code) {
		return syntaxProblem(0, 0, "this expression is not valid UTF-8", "")
	}
	s := scanner{code: code}
	for s.pos < len(code) {
		if p := s.token(); p != nil {
			return p
		}
	}
	if n := len(s.open); n > 0 {
		o := s.open[n-1]
		return syntaxProblem(o.start, o.start+1, fmt.Sprintf("this `%c` is never closed", o.char), "")
	}
	if s.tokens == 0 {
		return syntaxProblem(0, s.runes, "an expression is missing here", "")
	}
	return nil
}

func (s *scanner) token() *Problem {
	c := s.code[s.pos]
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		s.advance(1)
		return nil
	case c == '"' || c == '\'':
		return s.text(c)
	case isDigit(c):
		s.count(false)
		s.number()
		return nil
	case c == '_' || c >= utf8.RuneSelf || isLetter(c):
		return s.word()
	}
	return s.symbol(c)
}

// advance moves over n bytes of ASCII.
func (s *scanner) advance(n int) {
	s.pos += n
	s.runes += n
}

func (s *scanner) peek(n int) byte {
	if s.pos+n < len(s.code) {
		return s.code[s.pos+n]
	}
	return 0
}

func (s *scanner) count(prefix bool) {
	s.tokens++
	if prefix {
		s.prefixes++
	} else {
		s.prefixes = 0
	}
	s.afterDot = false
}

func (s *scanner) limit() *Problem {
	switch {
	case s.tokens > maxTokens:
		return syntaxProblem(s.runes, s.runes+1, fmt.Sprintf("this expression has more than %d words and signs", maxTokens), "split it with `let`")
	case s.prefixes > maxPrefixes:
		return syntaxProblem(s.runes, s.runes+1, fmt.Sprintf("more than %d signs in a row", maxPrefixes), "")
	case s.choices > maxChoices:
		return syntaxProblem(s.runes, s.runes+1, fmt.Sprintf("more than %d choices in one expression", maxChoices), "split it with `let`, or use `match`")
	case len(s.open) > maxBrackets:
		return syntaxProblem(s.runes, s.runes+1, fmt.Sprintf("brackets are nested deeper than %d", maxBrackets), "split it with `let`")
	}
	return nil
}

func (s *scanner) text(quote byte) *Problem {
	s.count(false)
	start := s.runes
	i := s.pos + 1
	for i < len(s.code) && s.code[i] != quote {
		if s.code[i] == '\\' {
			i++
		}
		i++
	}
	if i >= len(s.code) {
		return syntaxProblem(start, start+1, "this text is never closed", "")
	}
	s.runes += utf8.RuneCountInString(s.code[s.pos : i+1])
	s.pos = i + 1
	return s.limit()
}

func (s *scanner) number() {
	for isDigit(s.peek(0)) || isLetter(s.peek(0)) || s.peek(0) == '_' || s.peek(0) == '.' && isDigit(s.peek(1)) {
		e := s.peek(0) == 'e' || s.peek(0) == 'E'
		s.advance(1)
		if e && (s.peek(0) == '+' || s.peek(0) == '-') {
			s.advance(1)
		}
	}
}

func (s *scanner) word() *Problem {
	from, start := s.pos, s.runes
	for s.pos < len(s.code) {
		r, size := utf8.DecodeRuneInString(s.code[s.pos:])
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			break
		}
		s.pos += size
		s.runes++
	}
	if s.pos == from { // a sign outside ASCII; the parser blames it
		_, size := utf8.DecodeRuneInString(s.code[s.pos:])
		s.pos += size
		s.runes++
		s.count(false)
		return s.limit()
	}
	field := s.afterDot
	word := s.code[from:s.pos]
	s.count(word == "not")
	if field {
		return s.limit()
	}
	switch word {
	case "if", "else":
		return syntaxProblem(start, s.runes, "an expression has no `"+word+"`", "write `condition ? one : other`, or use the step `if`")
	case "let":
		return syntaxProblem(start, s.runes, "a `let` cannot stand inside an expression", "write it on a line of its own above")
	case "b", "B":
		if q := s.peek(0); q == '"' || q == '\'' {
			return syntaxProblem(start, s.runes, "a text has no letter before its quote", "")
		}
	}
	return s.limit()
}

// symbol reads one sign. Where expr reads two characters as one, the second is harmless alone, except in the pairs named here.
func (s *scanner) symbol(c byte) *Problem {
	start := s.runes
	pair := s.code[s.pos:min(s.pos+2, len(s.code))]
	switch triple := s.code[s.pos:min(s.pos+3, len(s.code))]; triple {
	case "===", "!==":
		p := syntaxProblem(start, start+3, "an expression has no `"+triple+"`", "write `"+pair+"`")
		fix := pair
		p.Fix = &fix
		return p
	}
	switch pair {
	case "=>":
		return syntaxProblem(start, start+2, "an expression has no `=>`", "the current item is `#`: `filter(xs, # > 3)`, `map(xs, .name)`")
	case "//", "/*":
		return syntaxProblem(start, start+2, "a comment cannot stand inside an expression", "write it on a line of its own")
	case "::":
		return syntaxProblem(start, start+2, "an expression has no `::`", "")
	case "?.", "..", "==", "!=", "<=", ">=", "&&", "||", "??", "**":
		s.count(false)
		s.afterDot = pair == "?."
		if pair == "**" {
			s.choices++
		}
		s.advance(2)
		return s.limit()
	}
	switch c {
	case '`':
		return syntaxProblem(start, start+1, "a text stands in single or double quotes", "")
	case '$':
		return syntaxProblem(start, start+1, "a name has no `$`", "write the name alone")
	case ';':
		return syntaxProblem(start, start+1, "an expression has no `;`", "one expression, one value: write `let` on a line of its own")
	case '=':
		p := syntaxProblem(start, start+1, "`=` gives a name, it does not compare", "to compare write `==`")
		fix := "=="
		p.Fix = &fix
		return p
	case '&':
		return syntaxProblem(start, start+1, "an expression has no `&`", "write `and`")
	case '#':
		return s.hash()
	case '(', '[', '{':
		s.open = append(s.open, place{c, start})
	case ')', ']', '}':
		if p := s.closing(c); p != nil {
			return p
		}
	case '?', '^':
		s.choices++
	}
	s.count(c == '!' || c == '-' || c == '+')
	s.afterDot = c == '.'
	s.advance(1)
	return s.limit()
}

func (s *scanner) closing(c byte) *Problem {
	n := len(s.open)
	if n == 0 {
		return syntaxProblem(s.runes, s.runes+1, fmt.Sprintf("this `%c` closes nothing", c), "")
	}
	o := s.open[n-1]
	if want := map[byte]byte{'(': ')', '[': ']', '{': '}'}[o.char]; want != c {
		return syntaxProblem(o.start, o.start+1, fmt.Sprintf("this `%c` is closed by a `%c`", o.char, c), "")
	}
	s.open = s.open[:n-1]
	return nil
}

// hash is the current item, or its number: #, #index.
func (s *scanner) hash() *Problem {
	start := s.runes
	s.count(false)
	s.advance(1)
	from := s.pos
	for isLetter(s.peek(0)) || isDigit(s.peek(0)) || s.peek(0) == '_' {
		s.advance(1)
	}
	if word := s.code[from:s.pos]; word != "" && word != "index" {
		return syntaxProblem(start, s.runes, "I don't know `#"+word+"`", "`#` is the current item, `#index` its number from 0")
	}
	return s.limit()
}

func syntaxProblem(start, end int, message, help string) *Problem {
	return &Problem{Code: "E0001", Start: start, End: end, Message: message, Help: help}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// sayParseError puts an error of expr's parser into an author's words.
func sayParseError(message string, start, end int) *Problem {
	p := syntaxProblem(start, end, "I cannot read this expression from here on", "")
	what, found := strings.CutPrefix(message, "unexpected token ")
	switch {
	case found && what == "EOF":
		p.Message = "the expression ends too early"
		p.Label = "something is missing after this"
	case found:
		token := what
		if open := strings.IndexByte(what, '('); open >= 0 {
			token = strings.Trim(what[open+1:len(what)-1], `"`)
		}
		p.Message = "I did not expect `" + token + "` here"
		if isPlaceholder(token) {
			p.Message = "I did not expect a text here"
		}
		switch token {
		case "#", ".":
			p.Help = "`#` and `.name` are the current item and its field, inside `filter(…)`, `map(…)` and their like; with a text they are joined by `+`: \"Hi \" + #"
		case "is":
			p.Help = "to compare write `==`"
		case ":":
			p.Help = "a record for each item stands in two braces: `map(xs, {{name: .name}})`"
		}
	case strings.HasPrefix(message, "expected name"):
		p.Message = "the name of a field is missing after the dot"
	case strings.HasPrefix(message, "invalid integer"), strings.HasPrefix(message, "integer literal"), strings.HasPrefix(message, "invalid hex"):
		p.Message = "this number is too large"
	case strings.HasPrefix(message, "invalid float"), strings.HasPrefix(message, "float literal"), strings.HasPrefix(message, "bad number"):
		p.Message = "this is not a number"
	case strings.HasPrefix(message, "literal not terminated"):
		p.Message = "this text does not end on its line"
	case strings.HasPrefix(message, "unable to unescape"), strings.HasPrefix(message, "invalid char escape"):
		p.Message = "this text has a `\\` that means nothing"
		p.Help = `write \n, \t, \", \\ or \u{1F600}`
	case strings.HasPrefix(message, "Operator ("):
		p.Message = "`??` and other operators need brackets to say which goes first"
		p.Help = "write `(reply ?? \"none\") + …`"
	case strings.HasPrefix(message, "unrecognized character"):
		p.Message = "this character means nothing in an expression"
		if strings.ContainsAny(message, "“”„‘’«»") {
			p.Code = "E0120"
			p.Message = "these are curly quotes; texts stand in straight ones"
			p.Help = "word processors turn straight quotes into curly ones: switch off \"smart quotes\""
		}
	case strings.HasPrefix(message, "expected at least"):
		p.Message = "an argument is missing here"
	}
	return p
}
