package syntax

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// Limits of what is read. The depth keeps every recursion over the tree far from the end of the stack; the size keeps a script what it is.
const (
	MaxBytes = 2 << 20 // thirty thousand lines; read and checked within a second
	MaxDepth = 200

	// Each word and sign takes some two hundred bytes of memory while a file is read. A script of MaxBytes has a quarter of a million.
	maxTokens = 400_000

	// A file that is not a script at all has a mistake at every turn: nobody wants them all.
	maxDiagnostics = 200
	maxExplained   = 50 // lines whose mistake is looked into

	// An interpolation is short and flat, so that looking for its end is cheap even in a text full of <<.
	maxInterpolation      = 1000
	maxInterpolationDepth = 32
)

// scanner cuts a file into tokens. It goes first and alone looks at characters: quotes, brackets, comments, line ends. Whatever is never closed is blamed
// on the delimiter that opened it, here, so that nothing after it has to guess.
type scanner struct {
	src      *source.File
	text     string
	pos      int
	tokens   []lexer.Token
	comments []Comment
	diags    diag.List
	stack    []bracket
	round    int // how many ( and [ are open: inside them a line end is a blank

	missing  int // how many brackets may be closed where the indent says that they should have been
	unclosed []bracket
	stray    []lexer.Token
	tooDeep  bool // nested too deep, too long or too broken: nothing is read
	open     bool // a triple-quoted text is still open at the end of the file

	lineIndent int
	looked     int  // continues looked from here …
	lookedTo   int  // … to here
	goesOn     bool // and found this
}

// bracket is an opened one: its token, the indent of its line, and once it is found to be never closed, the offset where it should have been.
type bracket struct {
	token  int
	indent int
	end    int
}

func scan(src *source.File) *scanner {
	s := newScanner(src)
	s.run()
	if missing := len(s.unclosed); missing > 0 && !s.tooDeep {
		// Brackets alone cannot tell which `{` lacks its `}`: they always leave the outermost one. The indent of the lines knows better, if it makes sense.
		again := newScanner(src)
		again.missing = missing
		again.run()
		if len(again.unclosed) <= missing && len(again.stray) <= len(s.stray) {
			s = again
		}
	}
	if !s.tooDeep {
		s.blame()
	}
	return s
}

// blame reports the brackets that are left over.
func (s *scanner) blame() {
	for _, b := range s.unclosed {
		open := &s.tokens[b.token]
		d := diag.Diagnostic{
			Code:    "E0120",
			Span:    span(open),
			Message: fmt.Sprintf("this `%s` is never closed", open.Value),
			Label:   "opened here",
		}
		line := s.src.Pos(b.end).Line
		switch {
		case b.end >= len(s.text):
			d.Help = []string{fmt.Sprintf("a `%s` is missing at the end of the file", closing(open.Value))}
		case s.src.Pos(open.Pos.Offset).Line == line:
			d.Help = []string{fmt.Sprintf("a `%s` is missing on this line", closing(open.Value))}
		default:
			d.Help = []string{fmt.Sprintf("a `%s` is missing before line %d", closing(open.Value), line)}
		}
		d.Fix = s.closed(b)
		s.report(d)
	}
	for _, t := range s.stray {
		s.report(diag.Diagnostic{
			Code:    "E0024",
			Span:    span(&t),
			Message: fmt.Sprintf("this `%s` closes nothing", t.Value),
			Label:   "there is no open bracket that it belongs to",
			Help:    []string{"remove it, or look for the bracket that was closed too early above it"},
		})
	}
}

// closed puts the missing brace of a block behind the last line that is inside it, when it is the only thing wrong with the brackets of the file and the indent
// of the lines says where that is; nil otherwise.
func (s *scanner) closed(b bracket) *diag.Fix {
	open := &s.tokens[b.token]
	last := int(partner(open)) - 1
	if len(s.unclosed) != 1 || len(s.stray) > 0 || s.open || open.Value != "{" || last <= b.token {
		return nil
	}
	at := span(&s.tokens[last]).End
	if s.src.Pos(open.Pos.Offset).Line == s.src.Pos(at).Line {
		return &diag.Fix{Span: source.Span{Start: at, End: at}, Text: " }"}
	}
	if i := strings.IndexByte(s.text[at:], '\n'); i >= 0 { // a comment may follow
		at += i
	} else {
		at = len(s.text)
	}
	at -= len(s.text[:at]) - len(strings.TrimRight(s.text[:at], "\r"))
	line := s.src.Line(s.src.Pos(open.Pos.Offset).Line)
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	return &diag.Fix{Span: source.Span{Start: at, End: at}, Text: "\n" + indent + "}"}
}

func newScanner(src *source.File) *scanner {
	return &scanner{src: src, text: src.Text, tokens: make([]lexer.Token, 0, len(src.Text)/8+8)}
}

// run fills tokens, comments and diags. The last token is the end of the file.
func (s *scanner) run() {
	s.pos = 0
	if strings.HasPrefix(s.text, "\ufeff") {
		s.pos = len("\ufeff")
	}
	for s.pos < len(s.text) && !s.tooDeep {
		s.next()
		if len(s.tokens) > maxTokens {
			s.tooDeep = true
			s.report(diag.Diagnostic{
				Code: "E0130", Span: span(&s.tokens[maxTokens]), Message: fmt.Sprintf("this file has more than %d words and signs", maxTokens),
				Help: []string{"keep data in files of its own and hand it in: `input text: file`"},
			})
		}
	}
	for i := len(s.stack) - 1; i >= 0; i-- { // the end of the file closes what is still open
		s.giveUp()
	}
	s.tokens = append(s.tokens, lexer.Token{Type: eofToken, Pos: lexer.Position{Offset: len(s.text)}})
}

// giveUp closes the innermost open bracket here, for its author has not.
func (s *scanner) giveUp() {
	b := s.stack[len(s.stack)-1]
	s.stack = s.stack[:len(s.stack)-1]
	b.end = s.pos
	s.unclosed = append(s.unclosed, b)
	s.close(b.token)
}

// close puts the closing bracket of the opener at token i here.
func (s *scanner) close(i int) {
	s.dropEOL()
	value := closing(s.tokens[i].Value)
	if value != "}" {
		s.round--
	}
	at := span(&s.tokens[len(s.tokens)-1]).End
	s.tokens = append(s.tokens, lexer.Token{Type: opToken, Value: value, Pos: lexer.Position{Offset: at, Line: i, Column: forgotten}})
	s.tokens[i].Pos.Line = len(s.tokens) - 1
}

func closing(open string) string {
	switch open {
	case "(":
		return ")"
	case "[":
		return "]"
	}
	return "}"
}

func (s *scanner) add(kind lexer.TokenType, start, end int) {
	s.tokens = append(s.tokens, lexer.Token{Type: kind, Value: s.text[start:end], Pos: lexer.Position{Offset: start}})
	s.pos = end
}

func (s *scanner) next() {
	c := s.text[s.pos]
	switch {
	case c == ' ' || c == '\t' || c == '\r':
		s.pos++
	case c == '\n':
		s.pos++
		s.lineEnd()
	case c == '/' && strings.HasPrefix(s.text[s.pos:], "//"):
		s.comment()
	case c == '"' || c == '\'':
		s.quoted()
	case isDigit(c):
		s.number()
	case c == '$' && s.pos+1 < len(s.text) && isDigit(s.text[s.pos+1]):
		end := s.pos + 1
		for end < len(s.text) && (isDigit(s.text[end]) || s.text[end] == '_' || s.text[end] == '.' && end+1 < len(s.text) && isDigit(s.text[end+1])) {
			end++
		}
		s.add(moneyToken, s.pos, end)
	case isLetter(c):
		s.name()
	case c < utf8.RuneSelf:
		s.operator()
	default:
		s.foreign()
	}
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// The letters of placeholders: Tangut, a script nobody has written for five centuries. They belong to us alone.
const (
	placeholderFirst = 0x17000
	placeholderLast  = 0x187f7
)

// Placeholder is the name that stands in an Expr's Code for its i-th text.
func Placeholder(i int) string { return string(rune(placeholderFirst + i)) }

// PlaceholderIndex tells which text a name in an Expr's Code stands for.
func PlaceholderIndex(name string) (int, bool) {
	r, size := utf8.DecodeRuneInString(name)
	if size != len(name) || !isPlaceholder(r) {
		return 0, false
	}
	return int(r - placeholderFirst), true
}

func isPlaceholder(r rune) bool { return r >= placeholderFirst && r <= placeholderLast }

func (s *scanner) name() {
	end := s.pos
	for end < len(s.text) {
		if c := s.text[end]; isLetter(c) || isDigit(c) {
			end++
			continue
		}
		r, size := utf8.DecodeRuneInString(s.text[end:])
		if r < utf8.RuneSelf || !(unicode.IsLetter(r) || unicode.IsDigit(r)) || isPlaceholder(r) {
			break
		}
		end += size
	}
	if s.text[s.pos:end] == "end" && s.endsBlock(end) {
		return
	}
	s.add(nameToken, s.pos, end)
}

// endsBlock takes a line that says only `end` for the brace that its author meant.
func (s *scanner) endsBlock(end int) bool {
	n := len(s.tokens)
	rest := strings.TrimLeft(s.text[end:], " \t\r")
	if n == 0 || s.tokens[n-1].Type != eolToken && !is(&s.tokens[n-1], "{") || rest != "" && rest[0] != '\n' && !strings.HasPrefix(rest, "//") ||
		len(s.stack) == 0 || !is(&s.tokens[s.stack[len(s.stack)-1].token], "{") {
		return false
	}
	at := source.Span{Start: s.pos, End: end}
	s.report(diag.Diagnostic{
		Code: "E0008", Span: at, Message: "there is no `end` in this language", Label: "write `}`", Help: []string{foreignWords["end"].help}, Fix: &diag.Fix{Span: at, Text: "}"},
	})
	top := s.stack[len(s.stack)-1]
	s.stack = s.stack[:len(s.stack)-1]
	s.close(top.token)
	s.pos = end
	return true
}

// number takes 12 1_000 0xff 1.5 2e-3, and 30s: digits with letters stuck to them are one word.
func (s *scanner) number() {
	start, end, kind := s.pos, s.pos, intToken
	digits := func(ok func(byte) bool) {
		for end < len(s.text) && (ok(s.text[end]) || s.text[end] == '_') {
			if s.text[end] == '_' {
				kind = numberToken
			}
			end++
		}
	}
	peek := func(at int) byte {
		if at < len(s.text) {
			return s.text[at]
		}
		return 0
	}
	if s.text[end] == '0' && strings.IndexByte("xXbBoO", peek(end+1)) >= 0 && peek(end+1) != 0 {
		end += 2
		kind = numberToken
		digits(func(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' })
	} else {
		digits(isDigit)
		if peek(end) == '.' && isDigit(peek(end+1)) {
			kind = numberToken
			end++
			digits(isDigit)
		}
		if e := peek(end); e == 'e' || e == 'E' {
			at := end + 1
			if sign := peek(at); sign == '+' || sign == '-' {
				at++
			}
			if isDigit(peek(at)) {
				kind = numberToken
				end = at
				digits(isDigit)
			}
		}
	}
	if kind == intToken && end-start > 1 && s.text[start] == '0' {
		kind = numberToken
	}
	if end < len(s.text) {
		r, _ := utf8.DecodeRuneInString(s.text[end:])
		if r == '_' || unicode.IsLetter(r) {
			kind = durationToken
			for end < len(s.text) {
				r, size := utf8.DecodeRuneInString(s.text[end:])
				if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
					break
				}
				end += size
			}
		}
	}
	s.add(kind, start, end)
}

func (s *scanner) comment() {
	end := len(s.text)
	if i := strings.IndexByte(s.text[s.pos:], '\n'); i >= 0 {
		end = s.pos + i
	}
	trimmed := strings.TrimRight(s.text[s.pos:end], "\r \t")
	s.comments = append(s.comments, Comment{Node{source.Span{Start: s.pos, End: s.pos + len(trimmed)}}, trimmed})
	s.pos = end
}

// quoted takes a text. One that never ends is blamed on its quote and taken to the end of the line (a triple-quoted one: to the end of the file).
func (s *scanner) quoted() {
	end, ok := textEnd(s.text, s.pos, false)
	if !ok {
		s.unclosedText(end)
	}
	s.add(textToken, s.pos, end)
}

func (s *scanner) unclosedText(end int) {
	quote := quoteAt(s.text, s.pos)
	d := diag.Diagnostic{
		Code:    "E0120",
		Span:    source.Span{Start: s.pos, End: s.pos + len(quote)},
		Message: "this text is never closed",
	}
	if len(quote) == 3 {
		s.open = true
		d.Label = "opened here"
		d.Help = []string{fmt.Sprintf("put %s behind the last line of the text", quote)}
	} else {
		d.Label = fmt.Sprintf("a closing %s is missing on this line", quote)
		if strings.TrimSpace(s.text[s.pos+1:end]) != "" && strings.Count(s.text[s.pos:end], "{") == 0 && strings.Count(s.text[s.pos:end], ")") == 0 {
			d.Fix = &diag.Fix{Span: source.Span{Start: end, End: end}, Text: string(quote)}
		}
		d.Help = []string{fmt.Sprintf("a text in %s ends on its own line; for several lines write %s … %s", quote, strings.Repeat(string(quote), 3), strings.Repeat(string(quote), 3))}
	}
	s.report(d)
}

func (s *scanner) report(d diag.Diagnostic) {
	if len(s.diags) >= maxDiagnostics {
		return
	}
	d.Severity, d.File = diag.Error, s.src
	s.diags.Add(d)
	s.tooDeep = s.tooDeep || len(s.diags) == maxDiagnostics
}

func quoteAt(text string, pos int) Quote {
	q := text[pos]
	if pos+2 < len(text) && text[pos+1] == q && text[pos+2] == q {
		return Quote(text[pos : pos+3])
	}
	return Quote(text[pos : pos+1])
}

// textEnd returns where the text that opens at pos ends, quotes included. When it never does, that is the end of its line, or of the file for triple quotes.
// In a plain text, as inside << >>, nothing interpolates.
func textEnd(text string, pos int, plain bool) (end int, ok bool) {
	quote := quoteAt(text, pos)
	triple := len(quote) == 3
	talks := quote[0] == '"'
	for i := pos + len(quote); i < len(text); {
		switch c := text[i]; {
		case c == quote[0] && (!triple || strings.HasPrefix(text[i:], string(quote))):
			if triple { // """" closes with the last three
				for i+3 < len(text) && text[i+3] == c {
					i++
				}
			}
			return i + len(quote), true
		case c == '\n' && !triple:
			end = i
			if text[i-1] == '\r' {
				end--
			}
			return end, false
		case c == '\\' && talks && i+1 < len(text) && text[i+1] != '\n' && text[i+1] != '\r':
			i += 2
			if text[i-1] == '<' && i < len(text) && text[i] == '<' {
				i++
			}
		case c == '<' && talks && !plain && strings.HasPrefix(text[i:], "<<"):
			if stop, closed := interpolationEnd(text, i, plain); closed {
				i = stop
			} else {
				i += 2
			}
		default:
			i++
		}
	}
	return len(text), false
}

// interpolationEnd returns where the << at pos ends, >> included. It must, on its line, with every bracket and quote in it closed.
func interpolationEnd(text string, pos int, plain bool) (end int, ok bool) {
	text = text[:min(len(text), pos+maxInterpolation)]
	if !strings.Contains(text[pos:], ">>") {
		return 0, false
	}
	var open [maxInterpolationDepth]byte
	depth := 0
	for i := pos + 2; i < len(text); {
		switch c := text[i]; c {
		case '\n':
			return 0, false
		case '"', '\'':
			stop, closed := textEnd(text, i, true)
			if !closed || strings.IndexByte(text[i:stop], '\n') >= 0 {
				return 0, false
			}
			i = stop
			continue
		case '(', '[', '{':
			if depth == len(open) {
				return 0, false
			}
			open[depth] = closing(text[i : i+1])[0]
			depth++
		case ')', ']', '}':
			if depth == 0 || open[depth-1] != c {
				return 0, false
			}
			depth--
		case '<':
			if strings.HasPrefix(text[i:], "<<") {
				return 0, false
			}
		case '>':
			if strings.HasPrefix(text[i:], ">>") {
				return i + 2, depth == 0
			}
		}
		i++
	}
	return 0, false
}

// The operators of more than one character, longest first.
var operators = []string{
	"===", "!==", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "..", "->", "=>", "**", "::", ":=", "+=", "-=", "{{", "}}", "/*", "*/",
}

func (s *scanner) operator() {
	rest := s.text[s.pos:]
	size := 1
	for _, op := range operators {
		if op[0] == rest[0] && strings.HasPrefix(rest, op) {
			size = len(op)
			break
		}
	}
	if rest[0] == '{' || rest[0] == '}' {
		size = 1
	}
	switch rest[0] {
	case '#', ';', '/':
		if s.otherComment(rest) {
			return
		}
	}
	switch rest[0] {
	case '(', '[', '{':
		s.stack = append(s.stack, bracket{token: len(s.tokens), indent: s.lineIndent})
		if rest[0] != '{' {
			s.round++
		}
		s.add(opToken, s.pos, s.pos+1)
		if len(s.stack) > MaxDepth {
			s.tooDeep = true
			s.report(diag.Diagnostic{
				Code:    "E0130",
				Span:    source.Span{Start: s.pos - 1, End: s.pos},
				Message: fmt.Sprintf("this is nested deeper than %d brackets", MaxDepth),
				Help:    []string{"give the inner part a name with `let`, or move it to a flow of its own: `use \"./part.slop\" as part`"},
			})
		}
	case ')', ']', '}':
		s.closer(rest[:1])
	default:
		s.add(opToken, s.pos, s.pos+size)
	}
}

func (s *scanner) closer(value string) {
	if value == "}" {
		s.dropEOL()
	}
	top := len(s.stack) - 1
	if top >= 0 && closing(s.tokens[s.stack[top].token].Value) != value {
		// A bracket that closes something further out: what is inside was never closed.
		for top >= 0 && closing(s.tokens[s.stack[top].token].Value) != value {
			top--
		}
		if top >= 0 {
			for len(s.stack)-1 > top {
				s.giveUp()
			}
		}
	}
	if top < 0 {
		s.stray = append(s.stray, lexer.Token{Value: value, Pos: lexer.Position{Offset: s.pos}})
		s.pos++
		return
	}
	i := s.stack[top].token
	s.stack = s.stack[:top]
	if value != "}" {
		s.round--
	}
	s.add(opToken, s.pos, s.pos+1)
	last := len(s.tokens) - 1
	s.tokens[last].Pos.Line = i
	s.tokens[i].Pos.Line = last
}

// lineEnd is at the start of a line: does the statement above go on?
func (s *scanner) lineEnd() {
	s.lineIndent = 0
	for i := s.pos; i < len(s.text) && (s.text[i] == ' ' || s.text[i] == '\t'); i++ {
		s.lineIndent++
		if s.text[i] == '\t' {
			s.lineIndent++
		}
	}
	for s.missing > 0 && len(s.stack) > 0 && s.dedented(s.stack[len(s.stack)-1]) {
		s.giveUp()
		s.missing--
	}
	if s.round > 0 || len(s.tokens) == 0 {
		return
	}
	if last := &s.tokens[len(s.tokens)-1]; last.Type == eolToken || is(last, "{") || is(last, ",") {
		return
	}
	if s.continues() {
		return
	}
	s.tokens = append(s.tokens, lexer.Token{Type: eolToken, Value: eol, Pos: lexer.Position{Offset: s.pos - 1}})
}

// dedented tells whether the line that begins here cannot be inside b: it is no deeper than the line that opened b, and does not close it.
func (s *scanner) dedented(b bracket) bool {
	rest := strings.TrimLeft(s.text[s.pos:min(len(s.text), s.pos+s.lineIndent+1)], " \t")
	if rest == "" || rest == "\n" || rest == "\r" || rest == "/" || s.lineIndent > b.indent || s.continues() {
		return false
	}
	return !strings.Contains(")]}", rest) || s.lineIndent < b.indent
}

// dropEOL takes back the line end before a closing brace: lines are separated, not ended.
func (s *scanner) dropEOL() {
	if n := len(s.tokens); n > 0 && s.tokens[n-1].Type == eolToken {
		s.tokens = s.tokens[:n-1]
	}
}

var clauseWords = map[string]bool{
	"as": true, "after": true, "retry": true, "repair": true, "timeout": true, "cache": true, "budget": true, "else": true,
}

// continues tells whether the next line that says something begins with a clause word. `else ->` is an arm, `cache = …` a step, and a `budget` in the first
// column of the file is the file's own.
func (s *scanner) continues() bool {
	if s.pos > s.looked && s.pos <= s.lookedTo {
		return s.goesOn
	}
	i := s.pos
blanks:
	for i < len(s.text) {
		switch c := s.text[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		case c == '/' && strings.HasPrefix(s.text[i:], "//"):
			stop := strings.IndexByte(s.text[i:], '\n')
			if stop < 0 {
				stop = len(s.text) - i
			}
			i += stop
		default:
			break blanks
		}
	}
	s.looked, s.lookedTo, s.goesOn = s.pos, i, s.clauseAt(i)
	return s.goesOn
}

func (s *scanner) clauseAt(i int) bool {
	start := i
	for i < len(s.text) && s.text[i] >= 'a' && s.text[i] <= 'z' {
		i++
	}
	word := s.text[start:i]
	if !clauseWords[word] || i < len(s.text) && (isLetter(s.text[i]) || isDigit(s.text[i]) || s.text[i] >= utf8.RuneSelf) {
		return false
	}
	if word == "budget" && len(s.stack) == 0 && (start == 0 || s.text[start-1] == '\n') {
		return false
	}
	rest := strings.TrimLeft(s.text[i:], " \t")
	return !strings.HasPrefix(rest, "->") && !(strings.HasPrefix(rest, "=") && !strings.HasPrefix(rest, "=="))
}
