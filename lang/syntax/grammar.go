package syntax

import (
	"sync"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/source"
)

// rule is the grammar of one kind of line, built by participle from the tags of T the first time such a line is read.
type rule[T any] struct {
	once   sync.Once
	parser *participle.Parser[T]
}

var goOn = participle.AllowTrailing(true) // what follows is the business of whoever called

func (r *rule[T]) read(lex *lexer.PeekingLexer) (*T, error) {
	r.once.Do(func() {
		r.parser = participle.MustBuild[T](
			participle.Lexer(definition{}),
			participle.UseLookahead(1),
			participle.ParseTypeWith(readStep),
			participle.ParseTypeWith(readTestLine),
		)
	})
	return r.parser.ParseFromLexer(lex, goOn)
}

var (
	useRule    rule[Use]
	inputRule  rule[Input]
	secretRule rule[Secret]
	budgetRule rule[Budget]
	typeRule   rule[TypeDef]
	agentRule  rule[Agent]
	testRule   rule[Test]

	givenRule  rule[Given]
	mockRule   rule[Mock]
	failRule   rule[FailMock]
	expectRule rule[Expect]

	stepRule    rule[StepStmt]
	letRule     rule[Let]
	requireRule rule[Require]
	stopRule    rule[StopIf]
	outputRule  rule[Output]

	groupRule  rule[Group]
	raceRule   rule[Race]
	mapRule    rule[Map]
	reduceRule rule[Reduce]
	loopRule   rule[Loop]
	ifRule     rule[If]
	matchRule  rule[Match]
)

// located is a node that can be told where it stands.
type located[T any] interface {
	*T
	place(source.Span)
}

func (n *Node) place(s source.Span) { n.At = s }

// read reads one T and gives it its span: from its first token to its last.
func read[T any, P located[T]](lex *lexer.PeekingLexer, r *rule[T]) (P, error) {
	start := lex.Peek().Pos.Offset
	node, err := r.read(lex)
	p := P(node)
	if err == nil {
		p.place(source.Span{Start: start, End: span(before(lex)).End})
	}
	return p, err
}

// readItem reads a declaration. It reports false when the line is none: a Stmt.
func readItem(lex *lexer.PeekingLexer, word string) (item Item, err error, ok bool) {
	switch word {
	case "use":
		item, err = read(lex, &useRule)
	case "input":
		item, err = read(lex, &inputRule)
	case "secret":
		item, err = read(lex, &secretRule)
	case "budget":
		item, err = read(lex, &budgetRule)
	case "type":
		item, err = read(lex, &typeRule)
	case "agent":
		item, err = read(lex, &agentRule)
	case "test":
		item, err = read(lex, &testRule)
	default:
		return nil, nil, false
	}
	return item, err, true
}

func readStmt(lex *lexer.PeekingLexer, word string) (Stmt, error) {
	switch word {
	case "let":
		return read(lex, &letRule)
	case "require":
		return read(lex, &requireRule)
	case "stop":
		return read(lex, &stopRule)
	case "output":
		return read(lex, &outputRule)
	}
	return readStepStmt(lex)
}

// stmt = [ NAME "=" ] step .
func readStepStmt(lex *lexer.PeekingLexer) (*StepStmt, error) {
	return read(lex, &stepRule)
}

// line = "given" NAME "=" expr | "mock" callee "->" expr { "," expr } | "fail" callee string | "expect" ( "fail" string | expr ) .
func readTestLine(lex *lexer.PeekingLexer) (TestLine, error) {
	switch lex.Peek().Value {
	case "given":
		return read(lex, &givenRule)
	case "mock":
		return read(lex, &mockRule)
	case "fail":
		return read(lex, &failRule)
	case "expect":
		return read(lex, &expectRule)
	}
	return nil, participle.NextMatch
}

// blockWords begin a step that is no call.
var blockWords = map[string]bool{
	"parallel": true, "sequence": true, "try": true, "race": true, "map": true, "reduce": true, "loop": true, "if": true, "match": true,
}

// step = call | parallel | sequence | race | map | reduce | if | match | loop | try .
func readStep(lex *lexer.PeekingLexer) (Step, error) {
	switch lex.Peek().Value {
	case "parallel", "sequence", "try":
		return read(lex, &groupRule)
	case "race":
		return read(lex, &raceRule)
	case "map":
		return read(lex, &mapRule)
	case "reduce":
		return read(lex, &reduceRule)
	case "loop":
		return read(lex, &loopRule)
	case "if":
		return read(lex, &ifRule)
	case "match":
		return read(lex, &matchRule)
	}
	call := new(Call)
	if err := call.Parse(lex); err != nil {
		return nil, err
	}
	return call, nil
}
