package syntax

import (
	"io"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/source"
)

// The kinds of token. A text is one token, quotes and all; a comment is none.
const (
	nameToken     lexer.TokenType = iota + 1
	intToken                      // 12
	numberToken                   // 1.5 1e9 0xff 1_000
	durationToken                 // 30s, or any digits with letters stuck to them
	moneyToken                    // $0.50
	textToken
	opToken
	eolToken
)

const (
	eofToken = lexer.EOF
	eol      = "\n"
)

// definition makes the scan a lexer of participle.
type definition struct{}

func (definition) Symbols() map[string]lexer.TokenType {
	return map[string]lexer.TokenType{
		"EOF": eofToken, "Name": nameToken, "Int": intToken, "Number": numberToken, "Duration": durationToken,
		"Money": moneyToken, "Text": textToken, "Op": opToken, "EOL": eolToken,
	}
}

func (d definition) Lex(name string, r io.Reader) (lexer.Lexer, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return d.LexString(name, string(text))
}

func (definition) LexString(name, text string) (lexer.Lexer, error) {
	s := scan(source.NewFile(name, text))
	return &replay{tokens: s.tokens}, nil
}

// replay hands out tokens that are already there.
type replay struct {
	tokens []lexer.Token
	next   int
}

func (r *replay) Next() (lexer.Token, error) {
	t := r.tokens[r.next]
	if r.next < len(r.tokens)-1 {
		r.next++
	}
	return t, nil
}

// span is where a token stands. A bracket that the scan has put where its author forgot it takes no room.
func span(t *lexer.Token) source.Span {
	if t.Pos.Column == forgotten {
		return source.Span{Start: t.Pos.Offset, End: t.Pos.Offset}
	}
	return source.Span{Start: t.Pos.Offset, End: t.Pos.Offset + len(t.Value)}
}

// forgotten marks, in the column that nobody counts, a bracket that is not in the text.
const forgotten = 1

// partner returns the place in the stream of the bracket that closes (or opened) the bracket t. The scan has put it where a lexer usually counts lines,
// which nobody needs here: spans are bytes.
func partner(t *lexer.Token) lexer.RawCursor { return lexer.RawCursor(t.Pos.Line) }

// before is the token that was consumed last.
func before(lex *lexer.PeekingLexer) *lexer.Token {
	at := max(lex.RawCursor(), 1)
	return &lex.Range(at-1, at)[0]
}

// skipBracket moves past the bracket that opens here and all that is in it.
func skipBracket(lex *lexer.PeekingLexer) {
	lex.FastForward(partner(lex.Peek()))
}

func is(t *lexer.Token, word string) bool { return t.Value == word && t.Type != textToken }
