package js

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is what is wrong with the code, and where: an offset in bytes.
type Error struct {
	Offset  int
	Message string
	Hint    string
}

func (e *Error) Error() string { return e.Message }

type tokenKind int

const (
	end tokenKind = iota
	name
	num
	text // '…'
	mini // "…" or `…`
	mark // an operator or a bracket
)

type token struct {
	kind    tokenKind
	offset  int
	text    string // a name, a mark, or the value of a string
	inner   int    // of a string: the offset of its first character
	value   float64
	newline bool // a line ended before it
}

// lexer cuts code into tokens.
type lexer struct {
	code string
	at   int
}

// marks are the operators of the subset, and some beyond it that deserve a message; the longest come first.
var marks = []string{
	"===", "!==", "...", "**=", "<<=", ">>=", "&&=", "||=", "??=",
	"=>", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "**", "<<", ">>",
	"(", ")", "[", "]", "{", "}", ".", ",", ";", ":", "?", "=", "+", "-", "*", "/", "%", "<", ">", "!", "&", "|", "^", "~",
}

func (l *lexer) next() token {
	newline := l.space()
	t := token{offset: l.at, newline: newline}
	if l.at >= len(l.code) {
		return t
	}
	r, _ := utf8.DecodeRuneInString(l.code[l.at:])
	switch {
	case r == '_' || r == '$' || unicode.IsLetter(r):
		from := l.at
		for l.at < len(l.code) {
			r, size := utf8.DecodeRuneInString(l.code[l.at:])
			if r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				break
			}
			l.at += size
		}
		t.kind, t.text = name, l.code[from:l.at]
	case r >= '0' && r <= '9' || r == '.' && l.at+1 < len(l.code) && l.code[l.at+1] >= '0' && l.code[l.at+1] <= '9':
		l.number(&t)
	case r == '\'' || r == '"' || r == '`':
		l.quoted(&t, r)
	case strings.ContainsRune("“”„‟″", r):
		panic(&Error{l.at, fmt.Sprintf("%q is a typographic quote", r), `write "`})
	case strings.ContainsRune("‘’‚‛′", r):
		panic(&Error{l.at, fmt.Sprintf("%q is a typographic quote", r), "write '"})
	default:
		for _, m := range marks {
			if strings.HasPrefix(l.code[l.at:], m) {
				t.kind, t.text = mark, m
				l.at += len(m)
				return t
			}
		}
		hint := ""
		if r == '#' {
			hint = "comments begin with //"
		}
		panic(&Error{l.at, fmt.Sprintf("%q does not belong in code", r), hint})
	}
	return t
}

// space skips blanks and comments, and tells whether a line ended.
func (l *lexer) space() (newline bool) {
	for l.at < len(l.code) {
		rest := l.code[l.at:]
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case r == '\n' || r == '\u2028' || r == '\u2029':
			newline = true
			l.at += size
		case unicode.IsSpace(r) || r == '\ufeff' || r == '\u00a0':
			l.at += size
		case strings.HasPrefix(rest, "//"):
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				l.at += i
			} else {
				l.at = len(l.code)
			}
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest, "*/")
			if i < 0 {
				panic(&Error{l.at, "this comment is not closed", "write */ where it ends"})
			}
			newline = newline || strings.Contains(rest[:i], "\n")
			l.at += i + 2
		default:
			return newline
		}
	}
	return newline
}

func (l *lexer) number(t *token) {
	from := l.at
	digits := func() {
		for l.at < len(l.code) && (l.code[l.at] >= '0' && l.code[l.at] <= '9' || l.code[l.at] == '_') {
			l.at++
		}
	}
	digits()
	if l.at < len(l.code) && l.code[l.at] == '.' {
		l.at++
		digits()
	}
	if l.at < len(l.code) && (l.code[l.at] == 'e' || l.code[l.at] == 'E') {
		l.at++
		if l.at < len(l.code) && (l.code[l.at] == '-' || l.code[l.at] == '+') {
			l.at++
		}
		digits()
	}
	written := l.code[from:l.at]
	f, err := strconv.ParseFloat(strings.ReplaceAll(written, "_", ""), 64)
	if r, _ := utf8.DecodeRuneInString(l.code[l.at:]); err != nil || unicode.IsLetter(r) || r == '_' || r == '$' {
		panic(&Error{from, fmt.Sprintf("%q is not a number", written+string(r)), "text belongs in quotes"})
	}
	t.kind, t.value, t.text = num, f, written
}

func (l *lexer) quoted(t *token, quote rune) {
	l.at++
	t.inner = l.at
	t.kind = mini
	if quote == '\'' {
		t.kind = text
	}
	var out strings.Builder
	for l.at < len(l.code) {
		r, size := utf8.DecodeRuneInString(l.code[l.at:])
		switch {
		case r == quote:
			l.at++
			t.text = out.String()
			return
		case r == '\n' && quote != '`':
			panic(&Error{t.offset, fmt.Sprintf("this %c is not closed on its line", quote), "close it, or use backticks (`) for a pattern over several lines"})
		case r == '\\':
			l.at++
			if l.at < len(l.code) {
				e, size := utf8.DecodeRuneInString(l.code[l.at:])
				l.at += size
				switch e {
				case 'n':
					out.WriteByte('\n')
				case 't':
					out.WriteByte('\t')
				case '\n':
				default:
					out.WriteRune(e)
				}
			}
			continue
		case quote == '`' && strings.HasPrefix(l.code[l.at:], "${"):
			panic(&Error{l.at, "values cannot be put into a pattern's text with ${…} here", "write the text out, or use a pattern as an argument"})
		}
		out.WriteRune(r)
		l.at += size
	}
	panic(&Error{t.offset, fmt.Sprintf("this %c is not closed", quote), fmt.Sprintf("write %c where the text ends", quote)})
}
