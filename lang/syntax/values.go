package syntax

import (
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// A step calls an agent; a calculation is named by `let`. Most first scripts mix them up.

// functions are names that in a calculation are followed by `(`. The list only decides which advice to give.
var functions = map[string]bool{}

func init() {
	for f := range strings.FieldsSeq(`all any one none map filter find findIndex findLast findLastIndex groupBy sortBy count sum mean median min max reduce len
		abs ceil floor round int float string type trim trimPrefix trimSuffix upper lower split splitAfter replace repeat join indexOf lastIndexOf hasPrefix
		hasSuffix concat flatten uniq reverse sort first last take keys values toPairs fromPairs toJSON fromJSON json bullets toBase64 fromBase64 range`) {
		functions[f] = true
	}
}

// value: `x = 3`, `x = len(files)`, `x = a + b`, `writer("…")`, `writer draft`, a text alone, `let x = writer "…"`.
func (g *guess) value() bool {
	if g.is(0, "let") && g.name(1) && g.is(2, "=") {
		return g.letStep()
	}
	i := 0
	switch {
	case g.name(0) && g.is(1, "="):
		i = 2
	case g.is(0, "output"):
		i = 1
	}
	if i >= g.n {
		return false
	}
	t := g.tok(i)
	switch {
	case t.Type == textToken && g.n == i+1 && i == 0:
		g.say("E0007", g.span(0, 1), "a text alone does nothing", "before it the agent is missing, or `output`",
			"to ask an agent: writer "+g.shown(0), "to make it the value: output "+g.shown(0))
		return true
	case t.Type == textToken, t.Type == intToken, t.Type == numberToken, is(t, "["), is(t, "{"), is(t, "("), is(t, "-"), is(t, "!"), is(t, "not"),
		constants[t.Value] && t.Type == nameToken:
		return g.calculation(i)
	case t.Type == durationToken || t.Type == moneyToken:
		return g.say("E0001", g.span(i, i+1), fmt.Sprintf("%s is no value", describe(t)), "", "in a value a duration is a text: \"90s\"; money is a number: 0.50")
	case t.Type != nameToken:
		return false
	}
	after := i + 1
	if g.is(after, ".") && g.name(after+1) {
		after += 2
		for g.is(after, ".") && g.name(after+1) { // longer than a callee
			after += 2
		}
	}
	next := g.tok(after)
	switch {
	case after > i+3 && after >= g.n:
		return g.calculation(i)
	case is(next, "(") && functions[t.Value] && after == i+1:
		return g.calculation(i)
	case is(next, "("):
		return g.brackets(i, after)
	case next.Type == opToken && (binary[next.Value] || next.Value == "[" || next.Value == "?" || next.Value == "?." || next.Value == "."),
		next.Type == nameToken && wordOperators[next.Value]:
		return g.calculation(i)
	case g.stop == after && next.Type == nameToken && foreignWords[t.Value].help != "" && (t.Value == "await" || t.Value == "async" || t.Value == "when"):
		g.say("E0008", g.span(i, i+1), fmt.Sprintf("there is no `%s` in this language", t.Value), "remove this", foreignWords[t.Value].help)
		return g.fix(source.Span{Start: t.Pos.Offset, End: next.Pos.Offset}, "")
	case next.Type == nameToken && !clauseWords[next.Value] && g.stop == after:
		return g.unquoted(i, after)
	case g.stop == after && (next.Type == durationToken || next.Type == intToken || next.Type == numberToken || next.Type == moneyToken):
		g.say("E0006", g.span(after, after+1), fmt.Sprintf("what `%s` gets stands in quotes", g.src(i, after)), fmt.Sprintf("write `\"%s\"`", next.Value))
		return g.fix(g.span(after, after+1), `"`+next.Value+`"`)
	case is(next, ":") && g.text(after+1):
		g.say("E0011", g.span(after, after+1), "between an agent and its text stands nothing", "remove this")
		return g.fix(g.span(after, after+1), "")
	case is(next, "{") && g.stop == after:
		return g.say("E0001", g.span(after, after+1), fmt.Sprintf("I did not expect a block behind `%s`", g.src(i, after)), "",
			fmt.Sprintf("arguments stand in round brackets: %s(name: value) \"…\"", g.src(i, after)),
			"blocks belong to parallel, sequence, try, race, map, reduce, loop, if and match")
	}
	return false
}

// shown is a text as it can be repeated in a message.
func (g *guess) shown(i int) string {
	s := g.tok(i).Value
	if len(s) > 60 || strings.Contains(s, "\n") {
		return `"…"`
	}
	return s
}

// calculation: a value where a step belongs.
func (g *guess) calculation(i int) bool {
	start := source.Span{Start: g.tok(0).Pos.Offset, End: g.tok(0).Pos.Offset}
	what := g.src(i, g.n)
	if len(what) > 40 || strings.Contains(what, "\n") {
		what = "…"
	}
	if i == 2 {
		name := g.tok(0).Value
		g.say("E0004", g.span(0, g.n), "a calculation gets its name with `let`", fmt.Sprintf("write `let %s = %s`", name, what),
			"without `let` a line is a step: it calls an agent")
		return g.fix(start, "let ")
	}
	if i == 0 {
		g.say("E0007", g.span(0, g.n), "a value alone does nothing", fmt.Sprintf("write `output %s`", what), "the value of a block or file is its `output`, or a step as its last line")
		if g.find(0, "=") >= 0 {
			return true
		}
		return g.fix(start, "output ")
	}
	return false
}

// brackets: writer("…"), writer(draft), band.melody(…).
func (g *guess) brackets(i, open int) bool {
	close := g.next(open) - 1
	callee := g.src(i, open)
	if g.name(open+1) && g.is(open+2, ":", "=") || close == open+1 {
		return g.arguments(open, close)
	}
	if close+1 < g.n && (binary[g.tok(close+1).Value] || g.is(close+1, ".", "[", "?", "?.") || wordOperators[g.tok(close+1).Value]) {
		return g.calculation(i)
	}
	if g.text(open + 1) {
		g.say("E0005", g.span(open, close+1), fmt.Sprintf("the text of `%s` stands behind it, without brackets", callee), "",
			fmt.Sprintf("write: %s %s", callee, g.shown(open+1)), "named arguments stand in brackets before the text: claude(model: \"opus\") \"…\"")
		switch {
		case close == open+2:
			return g.fix(g.span(open, close+1), " "+g.tok(open+1).Value)
		case g.is(open+2, ",") && clauseWords[g.tok(open+3).Value]:
			g.Help[1] = "clauses stand behind the text: " + callee + " \"…\" retry 3"
			if g.is(open+4, ":", "=") && close == open+6 {
				return g.fix(g.span(open, close+1), " "+g.tok(open+1).Value+" "+g.tok(open+3).Value+" "+g.tok(open+5).Value)
			}
		case g.is(open+2, ",") && g.name(open+3) && g.is(open+4, ":"):
			return g.fix(g.span(open, close+1), "("+g.src(open+3, close)+") "+g.tok(open+1).Value)
		}
		return true
	}
	inner := g.src(open+1, close)
	g.say("E0005", g.span(open, close+1), fmt.Sprintf("`%s` gets a text, or arguments with names", callee), "",
		fmt.Sprintf("write: %s \"<<%s>>\", or %s(name: %s)", callee, inner, callee, inner))
	if _, ok := dotted(inner); ok {
		return g.fix(g.span(open, close+1), ` "<<`+inner+`>>"`)
	}
	if near, ok := diag.Nearest(callee, keysOf(functions)); ok {
		g.Label, g.Fix = fmt.Sprintf("or did you mean the function `%s`? Then write `let`", near), nil
	}
	return true
}

func keysOf(m map[string]bool) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// arguments: what goes wrong between the brackets of a call.
func (g *guess) arguments(open, close int) bool {
	if g.stop < open || g.stop > close {
		return false
	}
	g.stop = max(g.stop, open+1)
	if g.is(open+2, "=") {
		g.stop = open + 2
	}
	switch i := g.stop; {
	case g.is(i, "=") && g.name(i-1):
		g.say("E0015", g.span(i, i+1), "an argument's name is followed by `:`", "write `:`")
		return g.fix(source.Span{Start: g.span(i-1, i).End, End: g.span(i, i+1).End}, ":")
	case g.text(i) && (g.is(i-1, ",", "(")):
		return g.say("E0005", g.span(i, i+1), "the text stands behind the brackets", "", fmt.Sprintf("write: %s(name: value) %s", g.callee(), g.shown(i)))
	case g.name(i-1) && g.is(i-2, ",", "(") && g.is(i, ",", ")"):
		return g.say("E0005", g.span(i-1, i), "every argument has a name", fmt.Sprintf("write `name: %s`", g.tok(i-1).Value))
	}
	return false
}

// unquoted: `writer draft`, `writer Write about cats`.
func (g *guess) unquoted(i, after int) bool {
	callee := g.src(i, after)
	if near, ok := diag.Nearest(g.tok(after).Value, []string{"as", "after", "retry", "repair", "timeout", "cache", "budget", "else"}); ok && after+1 < g.n {
		g.say("E0001", g.span(after, after+1), fmt.Sprintf("I don't know a clause `%s`", g.tok(after).Value), fmt.Sprintf("did you mean `%s`?", near))
		return g.fix(g.span(after, after+1), near)
	}
	end := after + 1
	for g.is(end, ".") && g.name(end+1) {
		end += 2
	}
	if t := g.tok(end); t.Type == opToken && binary[t.Value] && g.find(end, "retry", "timeout", "as", "else") < 0 { // writer topic + "…"
		sum := g.src(after, g.n)
		g.say("E0006", g.span(after, g.n), fmt.Sprintf("what `%s` is told stands in quotes", callee), "put the values into a text",
			"`<<name>>` puts a value into a text: \"Write about <<topic>>\"")
		if strings.ContainsAny(sum, "\n<>") || strings.Contains(sum, `"""`) {
			return true
		}
		return g.fix(g.span(after, g.n), `"<<`+sum+`>>"`)
	}
	if end < g.n && !clauseWords[g.tok(end).Value] { // several words: a sentence
		return g.say("E0006", g.span(after, g.n), fmt.Sprintf("what `%s` is told stands in quotes", callee), "put quotes around it",
			fmt.Sprintf("write: %s \"%s …\"", callee, g.tok(after).Value))
	}
	inner := g.src(after, end)
	g.say("E0006", g.span(after, end), fmt.Sprintf("what `%s` is told stands in quotes", callee), fmt.Sprintf("write `\"<<%s>>\"`", inner),
		"`<<name>>` puts a value into a text")
	return g.fix(g.span(after, end), `"<<`+inner+`>>"`)
}

// letStep: `let x = writer "…"`.
func (g *guess) letStep() bool {
	lex := g.r.lex
	lex.FastForward(g.line.start + 2)
	if g.stop > 3 && stepAhead(&lex) {
		g.say("E0004", g.span(0, 1), "a step needs no `let`", "remove this", "`let` names a calculation; a step that calls an agent is written: "+g.tok(1).Value+" = "+g.tok(3).Value+" …")
		return g.fix(source.Span{Start: g.tok(0).Pos.Offset, End: g.tok(1).Pos.Offset}, "")
	}
	return false
}

// call: what goes wrong behind the text of a call.
func (g *guess) call() bool {
	i := g.stop
	if i == 0 || i >= g.n || !g.text(i-1) {
		return false
	}
	switch {
	case g.text(i):
		return g.say("E0001", g.span(i, i+1), "an agent gets one text", "this is a second one", "put both into one text, or write three quotes for several lines: \"\"\" … \"\"\"")
	case g.is(i, "+", "..", "~", "&"):
		return g.say("E0001", g.span(i, i+1), "texts are not added", "put the value into the text", `write: writer "Write about <<topic>>"`)
	case g.is(i, ",") && g.text(i+1):
		return g.say("E0001", g.span(i, i+2), "an agent gets one text", "", "put both into one text, or pass an argument by name: claude(model: \"opus\") \"…\"")
	case g.is(i, "(", "{", "[") && clauseWords[g.tok(i+1).Value] && g.is(i+2, ":", "="):
		good := g.tok(i+1).Value + " " + g.src(i+3, g.next(i)-1)
		g.say("E0011", g.span(i, g.next(i)), "clauses stand behind the text, without brackets", fmt.Sprintf("write `%s`", good))
		if g.next(i) == i+5 {
			return g.fix(g.span(i, g.next(i)), good)
		}
		return true
	case g.is(i, "(", "{", "["):
		return g.say("E0001", g.span(i, i+1), "arguments stand before the text", "", fmt.Sprintf("write: %s(name: value) \"…\"", g.callee()))
	case g.is(i, "%", ".", "?"):
		return g.say("E0001", g.span(i, i+1), "a text that is told to an agent is no calculation", "", "calculate first with `let`, then put the value in: \"… <<value>>\"")
	}
	return false
}

// misplaced reports lines that participle would read, but not as their author meant them: words kept for later, declarations inside a block.
func (r *reader) misplaced(start lexer.RawCursor, inBlock bool) bool {
	t := r.at(start)
	if t.Type != nameToken || r.named(start) {
		return false
	}
	next := r.at(start + 1)
	alone := next.Type == eolToken || next.Type == eofToken || is(next, "}")
	if later[t.Value] && !is(next, ".") || foreignWords[t.Value].help != "" && alone {
		end := r.lineEnd(start)
		r.explain(line{start: start, end: end, failed: min(start+1, end)}, nil)
		return true
	}
	switch t.Value {
	case "use", "input", "secret", "type", "agent", "test":
		if !inBlock || is(next, ".") || is(next, "(") {
			return false
		}
		r.report(diag.Diagnostic{
			Code: "E0028", Span: span(t), Message: fmt.Sprintf("`%s` stands in the file, not inside a block", t.Value), Label: "move this line to the top of the file",
		})
		return true
	case "budget":
		if !inBlock || is(next, ".") || is(next, "(") || next.Type == textToken {
			return false
		}
		r.report(diag.Diagnostic{
			Code: "E0028", Span: span(t), Message: "a line that begins with `budget` stands in the file, not inside a block",
			Label: "move this line to the top of the file",
			Help:  []string{"the budget of a block stands behind its closing brace, that of a step in its own line: writer \"…\" budget $0.50"},
		})
		return true
	}
	return false
}

// bareValue reports `x = draft` and `draft`, where draft is the name of a value and of no agent.
func (r *reader) bareValue(s *StepStmt) bool {
	call, ok := s.Step.(*Call)
	if !ok || call.Parens || call.Text != nil || len(call.Clauses) > 0 {
		return false
	}
	root := call.Callee.Agent.Text
	constant := constants[root] && call.Callee.Capability == nil
	if !r.values()[root] && !constant {
		return false
	}
	at := source.Span{Start: s.At.Start, End: s.At.Start}
	d := diag.Diagnostic{Code: "E0004", Span: call.Callee.At, Fix: &diag.Fix{Span: at, Text: "let "}}
	d.Message = fmt.Sprintf("`%s` is a value, not an agent: a calculation gets its name with `let`", root)
	if s.Name != nil {
		d.Label = fmt.Sprintf("write `let %s = %s`", s.Name.Text, call.Callee)
	} else {
		d.Code, d.Fix.Text = "E0007", "output "
		d.Message = fmt.Sprintf("`%s` is a value, not an agent: alone it does nothing", root)
		d.Label = fmt.Sprintf("write `output %s`", call.Callee)
	}
	r.report(d)
	return true
}

// values are the value names of the file that are no agents, seen from the tokens alone.
func (r *reader) values() map[string]bool {
	if r.valueNames != nil {
		return r.valueNames
	}
	names, agents := map[string]bool{}, map[string]bool{}
	for i := range r.tokens {
		t := r.at(lexer.RawCursor(i))
		next := r.at(lexer.RawCursor(i + 1))
		if t.Type != nameToken || next.Type != nameToken && !is(next, "=") {
			continue
		}
		switch t.Value {
		case "agent", "as":
			agents[next.Value] = true
		case "input", "secret", "map", "reduce", "loop", "into", "let":
			names[next.Value] = true
		}
		if prev := r.at(lexer.RawCursor(i - 1)); is(next, "=") && (i == 0 || prev.Type == eolToken || is(prev, "{")) {
			names[t.Value] = true
		}
	}
	for a := range agents {
		delete(names, a)
	}
	r.valueNames = names
	return names
}
