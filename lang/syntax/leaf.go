package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/source"
)

// The leaves of the grammar read themselves: they make up most of a script, and reflection is slow. Each Parse is that of participle.Parseable.

// expected is what a leaf wanted and did not get, in the author's words: "a duration, as `30s`". Where it was is where the lexer stands.
type expected struct{ what string }

func (e *expected) Error() string { return "expected " + e.what }

func wants(what string) error { return &expected{what} }

// accept moves past a token with this value.
func accept(lex *lexer.PeekingLexer, value string) bool {
	if !is(lex.Peek(), value) {
		return false
	}
	lex.Next()
	return true
}

// from is the span of what was read since start.
func from(start int, lex *lexer.PeekingLexer) source.Span {
	return source.Span{Start: start, End: span(before(lex)).End}
}

// Parse reads a NAME.
func (n *Name) Parse(lex *lexer.PeekingLexer) error {
	t := lex.Peek()
	if t.Type != nameToken {
		return participle.NextMatch
	}
	*n = Name{Node{span(t)}, t.Value}
	lex.Next()
	return nil
}

// Parse reads the token of a text; what is in it is read later.
func (x *Text) Parse(lex *lexer.PeekingLexer) error {
	t := lex.Peek()
	if t.Type != textToken {
		return participle.NextMatch
	}
	x.At = span(t)
	x.Quote = quoteAt(t.Value, 0)
	lex.Next()
	return nil
}

// Parse reads a type.
//
//	type = ( NAME | "[" type "]" | "{" NAME ":" type { "," NAME ":" type } "}" | string { "|" string } ) [ "?" ] .
func (t *Type) Parse(lex *lexer.PeekingLexer) error {
	first := lex.Peek()
	start := first.Pos.Offset
	switch {
	case first.Type == nameToken:
		t.Name = new(Name)
		if err := t.Name.Parse(lex); err != nil {
			return err
		}
	case first.Type == textToken:
		for {
			value := new(Text)
			if value.Parse(lex) != nil {
				return wants("another text behind `|`")
			}
			t.Enum = append(t.Enum, value)
			if !accept(lex, "|") {
				break
			}
		}
	case is(first, "["):
		lex.Next()
		t.List = new(Type)
		if err := t.List.Parse(lex); err != nil {
			return orWants(err, "the type of the list's items, as `[string]`")
		}
		if !accept(lex, "]") {
			return wants("`]`")
		}
	case is(first, "{"):
		lex.Next()
		for {
			accept(lex, eol)
			var f Field
			if err := f.Parse(lex); err != nil {
				return orWants(err, "a field, as `name: string`")
			}
			t.Fields = append(t.Fields, f)
			more := accept(lex, ",")
			more = accept(lex, eol) || more
			if accept(lex, "}") {
				break
			}
			if !more {
				return wants("`,` or `}`")
			}
		}
	default:
		return participle.NextMatch
	}
	t.Optional = accept(lex, "?")
	t.At = from(start, lex)
	return nil
}

// orWants gives a plain "no match" its words.
func orWants(err error, what string) error {
	if err == participle.NextMatch {
		return wants(what)
	}
	return err
}

// Parse reads `name: type "doc"`.
func (f *Field) Parse(lex *lexer.PeekingLexer) error {
	start, back := lex.Peek().Pos.Offset, lex.MakeCheckpoint()
	if err := f.Name.Parse(lex); err != nil {
		return err
	}
	if !accept(lex, ":") {
		lex.LoadCheckpoint(back)
		return participle.NextMatch
	}
	if err := f.Type.Parse(lex); err != nil {
		return orWants(err, "a type, as `string` or `[int]`")
	}
	doc := new(Text)
	if doc.Parse(lex) == nil {
		f.Doc = doc
	}
	f.At = from(start, lex)
	return separated(lex)
}

// separated is what lies between the lines of a type.
func separated(lex *lexer.PeekingLexer) error {
	if t := lex.Peek(); !is(t, ",") && !is(t, "}") && t.Type != eolToken {
		return wants("a comma or a new line before the next field")
	}
	return nil
}

// Parse reads `must expr else "message"`.
func (m *Must) Parse(lex *lexer.PeekingLexer) error {
	start := lex.Peek().Pos.Offset
	if !accept(lex, "must") {
		return participle.NextMatch
	}
	m.Cond = new(Expr)
	if err := m.Cond.Parse(lex); err != nil {
		return orWants(err, "a condition behind `must`")
	}
	if accept(lex, "else") {
		m.Else = new(Text)
		if m.Else.Parse(lex) != nil {
			return wants("a text behind `else`: what to say when the condition does not hold")
		}
	}
	m.At = from(start, lex)
	return separated(lex)
}

// Parse reads an arm of a match.
//
//	arm = ( literal { "," literal } | "else" ) "->" ( block | value ) .
func (a *Arm) Parse(lex *lexer.PeekingLexer) error {
	start := lex.Peek().Pos.Offset
	if is(lex.Peek(), "}") {
		return participle.NextMatch
	}
	if accept(lex, "else") {
		a.Else = true
	} else {
		for again := true; again; again = accept(lex, ",") {
			literal := new(Expr)
			if err := literal.literal(lex); err != nil {
				return err
			}
			a.Literals = append(a.Literals, literal)
		}
	}
	if !accept(lex, "->") {
		return wants("`->` behind the case")
	}
	if block := new(Block); block.Parse(lex) == nil {
		a.Block = block
	} else {
		a.Value = new(Value)
		if err := a.Value.Parse(lex); err != nil {
			return orWants(err, "a step or a value behind `->`")
		}
	}
	a.At = from(start, lex)
	return nil
}

// literal reads a text, a number, true or false.
func (x *Expr) literal(lex *lexer.PeekingLexer) error {
	t := lex.Peek()
	start := t.Pos.Offset
	switch {
	case t.Type == textToken, t.Type == intToken, t.Type == numberToken, is(t, "true"), is(t, "false"):
		lex.Next()
	case is(t, "-"):
		lex.Next()
		if next := lex.Peek(); next.Type != intToken && next.Type != numberToken {
			return wants("a number behind `-`")
		}
		lex.Next()
	default:
		return wants("a case: a text, a number, `true`, `false` or `else`")
	}
	x.At = from(start, lex)
	return nil
}

// Parse reads `agent` or `agent.capability`.
func (c *Callee) Parse(lex *lexer.PeekingLexer) error {
	start := lex.Peek().Pos.Offset
	if err := c.Agent.Parse(lex); err != nil {
		return err
	}
	if accept(lex, ".") {
		c.Capability = new(Name)
		if err := c.Capability.Parse(lex); err != nil {
			return wants("the name of a capability, as in `http.get`")
		}
	}
	c.At = from(start, lex)
	return nil
}

// Parse reads a call.
//
//	call = callee [ "(" [ arg { "," arg } [ "," ] ] ")" ] [ string ] { clause } .
func (c *Call) Parse(lex *lexer.PeekingLexer) error {
	start := lex.Peek().Pos.Offset
	if err := c.head(lex); err != nil {
		return err
	}
	for {
		var clause Clause
		err := clause.Parse(lex)
		if err == participle.NextMatch {
			break
		}
		if err != nil {
			return err
		}
		c.Clauses = append(c.Clauses, clause)
	}
	c.At = from(start, lex)
	return nil
}

// head reads a call up to its clauses.
func (c *Call) head(lex *lexer.PeekingLexer) error {
	if err := c.Callee.Parse(lex); err != nil {
		return err
	}
	if accept(lex, "(") {
		c.Parens = true
		for !accept(lex, ")") {
			var arg Arg
			if err := arg.Parse(lex); err != nil {
				return orWants(err, "an argument, as `name: value`")
			}
			c.Args = append(c.Args, arg)
			if !accept(lex, ",") && !is(lex.Peek(), ")") {
				return wants("`,` or `)`")
			}
		}
	}
	text := new(Text)
	if text.Parse(lex) == nil {
		c.Text = text
	}
	return nil
}

// Parse reads `name: expr`.
func (a *Arg) Parse(lex *lexer.PeekingLexer) error {
	start := lex.Peek().Pos.Offset
	if err := a.Name.Parse(lex); err != nil {
		return err
	}
	if !accept(lex, ":") {
		return wants("`:` and a value behind the argument's name")
	}
	a.Value = new(Expr)
	if err := a.Value.Parse(lex); err != nil {
		return orWants(err, "a value behind `:`")
	}
	a.At = from(start, lex)
	return nil
}

// Parse reads a clause.
//
//	clause = "as" type | "after" NAME { "," NAME } | "retry" INT [ "wait" DURATION ] | "repair" INT | "timeout" DURATION
//	       | "cache" DURATION | "budget" ( MONEY | INT "tokens" | INT "calls" ) | "else" fallback .
func (c *Clause) Parse(lex *lexer.PeekingLexer) error {
	word := lex.Peek()
	if word.Type != nameToken || !clauseWords[word.Value] {
		return participle.NextMatch
	}
	lex.Next()
	c.Kind = ClauseKind(word.Value)
	var err error
	switch c.Kind {
	case AsClause:
		c.Type = new(Type)
		err = orWants(c.Type.Parse(lex), "a type, as `as Review` or `as [string]`")
	case AfterClause:
		for again := true; again && err == nil; again = accept(lex, ",") {
			var name Name
			err = orWants(name.Parse(lex), "the name of a step")
			c.After = append(c.After, name)
		}
	case RetryClause:
		if c.Count, err = count(lex, "how many more times, as `retry 3`"); err == nil && accept(lex, "wait") {
			c.Wait, err = duration(lex)
		}
	case RepairClause:
		c.Count, err = count(lex, "how many times, as `repair 2`")
	case TimeoutClause, CacheClause:
		c.Duration, err = duration(lex)
	case BudgetClause:
		err = orWants(c.Amount.Parse(lex), "an amount, as `$0.50`, `5000 tokens` or `20 calls`")
	case ElseClause:
		c.Fallback = new(Fallback)
		err = c.Fallback.Parse(lex)
	}
	if err != nil {
		return err
	}
	c.At = from(word.Pos.Offset, lex)
	return nil
}

// Parse reads what stands behind a clause's else. A call there takes every clause but another else, which belongs to the step around it.
//
//	fallback = "skip" | "keep" | "fail" string | string | block | call .
func (f *Fallback) Parse(lex *lexer.PeekingLexer) error {
	t := lex.Peek()
	start := t.Pos.Offset
	switch {
	case is(t, "skip"):
		lex.Next()
		f.Skip = true
	case is(t, "keep"):
		lex.Next()
		f.Keep = true
	case is(t, "fail"):
		lex.Next()
		f.Fail = new(Text)
		if f.Fail.Parse(lex) != nil {
			return wants("a text behind `fail`: the reason")
		}
	case t.Type == textToken:
		f.Text = new(Text)
		if err := f.Text.Parse(lex); err != nil {
			return err
		}
	case is(t, "{"):
		f.Block = new(Block)
		if err := f.Block.Parse(lex); err != nil {
			return err
		}
	case t.Type == nameToken && !blockWords[t.Value]:
		f.Call = new(Call)
		if err := f.Call.head(lex); err != nil {
			return err
		}
		for !is(lex.Peek(), "else") {
			var clause Clause
			if err := clause.Parse(lex); err == participle.NextMatch {
				break
			} else if err != nil {
				return err
			}
			f.Call.Clauses = append(f.Call.Clauses, clause)
		}
		f.Call.At = from(start, lex)
	default:
		return wants("what to do instead: a text, an agent, a block, `skip` or `fail \"why\"`")
	}
	f.At = from(start, lex)
	return nil
}

// Parse reads an amount of money, tokens, calls or time.
func (a *Amount) Parse(lex *lexer.PeekingLexer) error {
	t := lex.Peek()
	switch t.Type {
	case moneyToken:
		money, ok := parseMoney(t.Value)
		if !ok {
			return wants("an amount of money, as `$0.50`")
		}
		a.Money = money
		lex.Next()
	case durationToken:
		var err error
		if a.Duration, err = duration(lex); err != nil {
			return err
		}
	case intToken:
		n, err := count(lex, "an amount")
		if err != nil {
			return err
		}
		switch {
		case accept(lex, "tokens"):
			a.Tokens = n
		case accept(lex, "calls"):
			a.Calls = n
		default:
			return wants("`tokens` or `calls` behind the number")
		}
	default:
		return participle.NextMatch
	}
	a.At = from(t.Pos.Offset, lex)
	return nil
}

// parseMoney reads $0.50 as millionths of a dollar.
func parseMoney(s string) (int64, bool) {
	whole, fraction, _ := strings.Cut(strings.ReplaceAll(s[1:], "_", ""), ".")
	if len(fraction) > 6 || len(whole) > 9 {
		return 0, false
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", 6-len(fraction)), 10, 64)
	return n, err == nil
}

var units = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// duration reads 30s, 5m, 2h, 7d or 500ms.
func duration(lex *lexer.PeekingLexer) (time.Duration, error) {
	t := lex.Peek()
	d, ok := parseDuration(t.Value)
	if t.Type != durationToken || !ok {
		return 0, wants("a duration, as `30s`, `5m` or `2h`")
	}
	lex.Next()
	return d, nil
}

func parseDuration(s string) (time.Duration, bool) {
	i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if i < 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	unit, ok := units[s[i:]]
	if err != nil || !ok || n > int64(100*365*24*time.Hour/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// count reads an INT.
func count(lex *lexer.PeekingLexer, what string) (int, error) {
	t := lex.Peek()
	if t.Type != intToken {
		return 0, wants("a whole number: " + what)
	}
	n, err := strconv.ParseInt(t.Value, 10, 32)
	if err != nil {
		return 0, wants(fmt.Sprintf("a number up to %d", 1<<31-1))
	}
	lex.Next()
	return int(n), nil
}

// Parse reads how many items of a map may fail: 3, 20% or all.
func (t *Tolerate) Parse(lex *lexer.PeekingLexer) error {
	start := lex.Peek().Pos.Offset
	t.Percent = -1
	if accept(lex, "all") {
		t.All = true
	} else {
		n, err := count(lex, "how many may fail, as `tolerate 3`, `tolerate 20%` or `tolerate all`")
		if err != nil {
			return err
		}
		if accept(lex, "%") {
			t.Percent = n
		} else {
			t.Count = n
		}
	}
	t.At = from(start, lex)
	return nil
}

// Parse takes a block's braces and leaves what is in them for later: its lines are read one by one, each with errors of its own.
//
//	block = "{" [ stmt { EOL stmt } ] "}" .
func (b *Block) Parse(lex *lexer.PeekingLexer) error {
	open := lex.Peek()
	if !is(open, "{") {
		return participle.NextMatch
	}
	inside := *lex
	inside.Next()
	b.from = inside.Checkpoint
	skipBracket(lex)
	b.At = from(open.Pos.Offset, lex)
	return nil
}
