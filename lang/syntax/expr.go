package syntax

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/source"
)

// Operators of expr-lang that stand between two operands.
var (
	binary = map[string]bool{
		"+": true, "-": true, "*": true, "/": true, "%": true, "^": true, "**": true, "==": true, "!=": true, "<": true, ">": true, "<=": true, ">=": true,
		"&&": true, "||": true, "??": true, "|": true, "..": true,
	}
	wordOperators = map[string]bool{
		"and": true, "or": true, "in": true, "matches": true, "contains": true, "startsWith": true, "endsWith": true,
	}
)

// Parse finds the end of an expression: where the next token cannot belong to it. expr never puts two operands side by side, so all it takes is to know
// whether an operand is due. What is in brackets is not looked at.
func (x *Expr) Parse(lex *lexer.PeekingLexer) error {
	start := lex.Peek().Pos.Offset
	begin := lex.Cursor()
	due, ternaries := true, 0 // an operand is due; so many `?` wait for their `:`
	for {
		t := lex.Peek()
		if due {
			switch t.Type {
			case nameToken:
				switch {
				case t.Value == "not":
				case wordOperators[t.Value]:
					return wants("a value before `" + t.Value + "`")
				default:
					due = false
				}
			case textToken, intToken, numberToken:
				due = false
			case eolToken:
				if lex.Cursor() == begin {
					return participle.NextMatch
				}
			case opToken:
				switch t.Value {
				case "(", "[", "{":
					if t.Value == "{" && is(ahead(lex), "{") {
						return wants("a name behind `{`")
					}
					skipBracket(lex)
					due = false
					continue
				case "#":
					due = false
				case "-", "+", "!", ".":
				default:
					return missing(lex, begin)
				}
			default:
				return missing(lex, begin)
			}
			lex.Next()
			continue
		}
		switch {
		case t.Type == nameToken && wordOperators[t.Value]:
			due = true
		case t.Type == nameToken && t.Value == "not":
			back := lex.MakeCheckpoint()
			lex.Next()
			if next := lex.Peek(); next.Type != nameToken || !wordOperators[next.Value] {
				lex.LoadCheckpoint(back)
				x.At = from(start, lex)
				return nil
			}
			due = true
		case t.Type != opToken:
			x.At = from(start, lex)
			return nil
		case t.Value == "." || t.Value == "?.":
			lex.Next()
			if next := lex.Peek(); next.Type == nameToken {
				lex.Next()
			} else if !is(next, "[") {
				return wants("the name of a field behind `" + t.Value + "`")
			}
			continue
		case t.Value == "(" || t.Value == "[":
			skipBracket(lex)
			continue
		case t.Value == "?":
			ternaries++
			due = true
		case t.Value == ":" && ternaries > 0:
			ternaries--
			due = true
		case binary[t.Value]:
			due = true
		default:
			x.At = from(start, lex)
			return nil
		}
		lex.Next()
	}
}

// ahead is the token behind the next.
func ahead(lex *lexer.PeekingLexer) *lexer.Token {
	look := *lex
	look.Next()
	return look.Peek()
}

func missing(lex *lexer.PeekingLexer, begin int) error {
	if lex.Cursor() == begin {
		return participle.NextMatch
	}
	return wants("a value behind `" + before(lex).Value + "`")
}

// Parse reads a value: a step if it looks like one, else an expression. In an arm and behind a clause's else a `{` has been taken as a block before.
func (v *Value) Parse(lex *lexer.PeekingLexer) error {
	if stepAhead(lex) {
		step, err := readStep(lex)
		v.Step = step
		return err
	}
	v.Expr = new(Expr)
	return v.Expr.Parse(lex)
}

// stepAhead tells whether a value is a step: it begins with a block word (map and reduce only when a NAME follows) or with a callee followed by a text,
// by `()`, by `( NAME :` or by a clause word.
func stepAhead(lex *lexer.PeekingLexer) bool {
	t := lex.Peek()
	if t.Type != nameToken {
		return false
	}
	back := lex.MakeCheckpoint()
	defer lex.LoadCheckpoint(back)
	first := t.Value
	lex.Next()
	if blockWords[first] {
		return first != "map" && first != "reduce" || lex.Peek().Type == nameToken
	}
	if accept(lex, ".") {
		if lex.Peek().Type != nameToken {
			return false
		}
		lex.Next()
	}
	switch next := lex.Peek(); {
	case next.Type == textToken:
		return true
	case next.Type == nameToken:
		return clauseWords[next.Value]
	case is(next, "("):
		lex.Next()
		if accept(lex, ")") {
			return true
		}
		if lex.Peek().Type != nameToken {
			return false
		}
		lex.Next()
		return is(lex.Peek(), ":")
	}
	return false
}

// fill gives an expression what stands in its span: Code, Texts and Path. Inside << >> texts are plain.
func (r *reader) fill(x *Expr, plain bool) {
	r.fillCode(x, plain)
	r.constantsIn(x)
}

func (r *reader) fillCode(x *Expr, plain bool) {
	code := r.src.Slice(x.At)
	if path, ok := dotted(code); ok {
		x.Code, x.Path = code, path
		return
	}
	if !strings.ContainsAny(code, "\"'\n\r") && !strings.Contains(code, "//") && !strings.Contains(code, "\u00a0") {
		x.Code = code
		return
	}
	var b strings.Builder
	b.Grow(len(code) + 8)
	blank := func(s string) {
		for range s {
			b.WriteByte(' ')
		}
	}
	for i := 0; i < len(code); {
		switch c := code[i]; {
		case c == '"' || c == '\'':
			end, _ := textEnd(code, i, plain)
			t := &Text{Node: Node{source.Span{Start: x.At.Start + i, End: x.At.Start + end}}, Quote: quoteAt(code, i)}
			r.decode(t, plain)
			runes := utf8.RuneCountInString(code[i:end]) - 1
			if prev, _ := utf8.DecodeLastRuneInString(b.String()); runes > 0 && (prev == '_' || unicode.IsLetter(prev) || unicode.IsDigit(prev)) {
				b.WriteByte(' ')
				runes--
			}
			b.WriteString(Placeholder(min(len(x.Texts), placeholderLast-placeholderFirst)))
			for range runes {
				b.WriteByte(' ')
			}
			x.Texts = append(x.Texts, t)
			i = end
		case c == '\n' || c == '\r':
			b.WriteByte(' ')
			i++
		case c == '/' && strings.HasPrefix(code[i:], "//"):
			end := strings.IndexByte(code[i:], '\n')
			if end < 0 {
				end = len(code) - i
			}
			blank(code[i : i+end])
			i += end
		default:
			_, size := utf8.DecodeRuneInString(code[i:])
			b.WriteString(code[i : i+size])
			i += size
		}
	}
	x.Code = b.String()
}

// constants are words that look like names in an expression.
var constants = map[string]bool{"true": true, "false": true, "nil": true, "not": true}

// dotted splits a name, or names joined by dots, without blanks.
func dotted(code string) ([]string, bool) {
	if len(code) > 1000 { // no name of a person's; eval has limits for what is no path
		return nil, false
	}
	start := true
	for _, c := range code {
		switch {
		case c == '_' || unicode.IsLetter(c) && !isPlaceholder(c) || !start && unicode.IsDigit(c):
			start = false
		case c == '.' && !start:
			start = true
		default:
			return nil, false
		}
	}
	if start || constants[code] {
		return nil, false
	}
	return strings.Split(code, "."), true
}
