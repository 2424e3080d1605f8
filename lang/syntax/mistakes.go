package syntax

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// What people write who have never seen a manual, and what to tell them. Participle only says that a line is wrong and where it stopped; what was meant is
// guessed here, from the tokens of the line, most particular guess first.

// line is a line that could not be read: where in the stream it begins, where it ends, and the token at which reading failed.
type line struct {
	start, end, failed lexer.RawCursor
}

// guess is one line under the eyes of the guessers. Tokens are counted from the first of the line.
type guess struct {
	r    *reader
	line line
	stop int // the token at which reading failed
	n    int // tokens in the line
	want string
	diag.Diagnostic
}

func (g *guess) tok(i int) *lexer.Token {
	if i < 0 || i >= g.n {
		return &lexer.Token{Type: eolToken, Pos: lexer.Position{Offset: g.endOffset()}}
	}
	return g.r.at(g.line.start + lexer.RawCursor(i))
}

func (g *guess) endOffset() int {
	if g.n == 0 {
		return g.r.at(g.line.start).Pos.Offset
	}
	return span(g.r.at(g.line.start + lexer.RawCursor(g.n-1))).End
}

func (g *guess) is(i int, words ...string) bool {
	for _, w := range words {
		if is(g.tok(i), w) {
			return true
		}
	}
	return false
}

func (g *guess) name(i int) bool { return g.tok(i).Type == nameToken }
func (g *guess) text(i int) bool { return g.tok(i).Type == textToken }

// src is the source from token i up to, not including, token j.
func (g *guess) src(i, j int) string {
	if i >= j {
		return ""
	}
	return g.r.src.Slice(source.Span{Start: g.tok(i).Pos.Offset, End: span(g.tok(j - 1)).End})
}

func (g *guess) span(i, j int) source.Span {
	if i >= g.n {
		end := g.endOffset()
		return source.Span{Start: end, End: end}
	}
	return source.Span{Start: g.tok(i).Pos.Offset, End: span(g.tok(j - 1)).End}
}

// say fills the message. It always returns true, to end a guesser.
func (g *guess) say(code diag.Code, at source.Span, message, label string, help ...string) bool {
	g.Code, g.Span, g.Message, g.Label, g.Help = code, at, message, label, help
	return true
}

// fix adds the repair to what was said.
func (g *guess) fix(at source.Span, text string) bool {
	g.Fix = &diag.Fix{Span: at, Text: text}
	return true
}

// next is the token behind the bracket that opens at i, or behind i.
func (g *guess) next(i int) int {
	if g.is(i, "(", "[", "{") {
		return int(partner(g.tok(i))-g.line.start) + 1
	}
	return i + 1
}

// find returns the first token at the line's own depth that is one of words, or -1.
func (g *guess) find(from int, words ...string) int {
	for i := from; i < g.n; i = g.next(i) {
		if g.is(i, words...) {
			return i
		}
	}
	return -1
}

// explain reports why a line could not be read.
func (r *reader) explain(l line, err error) {
	g := &guess{r: r, line: l, stop: int(l.failed - l.start), n: int(l.end - l.start)}
	var want *expected
	if r.explained++; r.explained > maxExplained || r.blamed(l) {
		return
	}
	if errors.As(err, &want) {
		g.want = want.what
	} else if l.failed > 0 {
		// Participle gives up what may be left out and stops before it; the part itself knows why it does not read.
		lex := r.lex
		lex.FastForward(l.failed - 1)
		if errors.As(g.part(&lex), &want) {
			g.want = want.what
			g.stop = int(min(lex.RawCursor(), l.end) - l.start)
		}
	}
	for _, try := range guessers {
		if try(g) {
			if g.Code != "" {
				r.report(g.Diagnostic)
			}
			return
		}
	}
	g.fallback()
	r.report(g.Diagnostic)
}

// part reads again the part of a line that participle has given up.
func (g *guess) part(lex *lexer.PeekingLexer) error {
	t := lex.Peek()
	if t.Type == nameToken && clauseWords[t.Value] && !(g.is(0, "test") || g.is(0, "type")) {
		return new(Clause).Parse(lex)
	}
	switch {
	case g.is(0, "type"):
		if g.is(g.stop, "must") {
			return new(Must).Parse(lex)
		}
		return new(Field).Parse(lex)
	case g.is(0, "test"):
		return nil
	case g.find(0, "match") >= 0 && g.stop > 0 && g.inBraces():
		return new(Arm).Parse(lex)
	}
	return nil
}

// inBraces tells whether the stop is inside a block that opens in this line.
func (g *guess) inBraces() bool {
	for i := 0; i < g.n; i = g.next(i) {
		if i >= g.stop {
			return false
		}
		if g.is(i, "{") && g.next(i) > g.stop {
			return true
		}
	}
	return false
}

// blamed tells whether the scan has said already what is wrong with a line: a text or a bracket that is never closed makes nonsense of the rest.
func (r *reader) blamed(l line) bool {
	from, to := r.at(l.start).Pos.Offset, r.at(l.end).Pos.Offset
	for _, d := range r.diags[:r.scanned] {
		if d.Span.Start >= from && d.Span.Start <= to && (d.Code == "E0120" || d.Code == "E0024" || d.Code == "E0001") {
			return true
		}
	}
	return false
}

var guessers = []func(*guess) bool{
	(*guess).yaml, (*guess).braces, (*guess).arrow, (*guess).hyphen, (*guess).foreignWord, (*guess).colon,
	(*guess).declaration, (*guess).blockHeader, (*guess).equals, (*guess).clause, (*guess).value, (*guess).call,
}

// yaml: `steps:`, `- name: x`. Said once a file.
func (g *guess) yaml() bool {
	if !(g.is(0, "-") && (g.name(1) || g.text(1)) || g.name(0) && g.is(1, ":") && g.n == 2 && !blockWords[g.tok(0).Value] && !g.is(0, "else") ||
		g.r.yaml && g.name(0) && g.is(1, ":")) {
		return false
	}
	if g.r.yaml {
		return true
	}
	g.r.yaml = true
	return g.looksLikeYAML()
}

func (g *guess) looksLikeYAML() bool {
	return g.say("E0018", g.span(0, min(g.n, 2)), "this looks like YAML; a script is a list of steps", "",
		`a step is one sentence: draft = writer "Write about <<topic>>"`, "blocks stand in braces: parallel { … }")
}

// braces: `{{ name }}`, `{% for %}` outside a text.
func (g *guess) braces() bool {
	for i := 0; i+1 < g.n; i++ {
		if g.is(i, "{") && g.is(i+1, "{") && g.tok(i+1).Pos.Offset == g.tok(i).Pos.Offset+1 {
			inner := g.next(i) - 2 // the first of the closing braces
			if name := g.src(i+2, inner); g.stop == i && g.is(inner, "}") && i > 0 && g.name(i-1) && !g.is(0, "let", "output") {
				if _, ok := dotted(name); ok {
					g.say("E0017", g.span(i, inner+2), "`{{ }}` means nothing here", fmt.Sprintf("write `\"<<%s>>\"`", name), `values are put into texts: writer "Write about <<topic>>"`)
					return g.fix(g.span(i, inner+2), `"<<`+name+`>>"`)
				}
			}
			return g.say("E0017", g.span(i, i+2), "`{{ }}` means nothing here", "", `values are put into texts: writer "Write about <<topic>>"`,
				"in a calculation a name stands for itself: let n = len(topic)")
		}
		if g.is(i, "{") && g.is(i+1, "%") {
			return g.say("E0017", g.span(i, i+2), "`{% %}` means nothing here", "", `values are put into texts: writer "Write about <<topic>>"`,
				"to decide write `if … { … }`, for each item of a list `map item in list { … }`")
		}
	}
	return false
}

// arrow: `=>` for `->`.
func (g *guess) arrow() bool {
	for i := range g.n {
		if g.is(i, "=>") {
			if g.is(i-1, ")") && g.find(0, "match") < 0 {
				return g.say("E0009", g.span(i, i+1), "there are no functions of your own in this language", "", foreignWords["fn"].help)
			}
			g.say("E0009", g.span(i, i+1), "the arrow is written `->`", "write `->`")
			return g.fix(g.span(i, i+1), "->")
		}
	}
	return false
}

// hyphen: `my-draft = …`, `input my-name: string`.
func (g *guess) hyphen() bool {
	if g.hyphenInside() {
		return true
	}
	i := 0
	switch g.tok(0).Value {
	case "let", "input", "secret", "agent", "type":
		i = 1
	}
	if j := g.find(0, "as"); g.is(0, "use") && j > 0 {
		i = j + 1
	}
	from := i
	for g.name(i) && g.is(i+1, "-") && g.tok(i+1).Pos.Offset == span(g.tok(i)).End && span(g.tok(i+1)).End == g.tok(i+2).Pos.Offset &&
		(g.name(i+2) || g.tok(i+2).Type == intToken) {
		i += 2
	}
	if i == from || !g.is(i+1, "=", ":", "{") && i+1 < g.n {
		return false
	}
	good := strings.ReplaceAll(g.src(from, i+1), "-", "_")
	for j := from; j <= i; j += 2 { // in expressions its parts look like names
		g.r.file.Broken = append(g.r.file.Broken, Name{Node{span(g.tok(j))}, g.tok(j).Value})
	}
	g.say("E0105", g.span(from, i+1), fmt.Sprintf("a name has no hyphens: `%s` is a subtraction", g.src(from, i+1)), fmt.Sprintf("write `%s`", good))
	return g.fix(g.span(from, i+1), good)
}

// hyphenInside: `map my-file in files`, `my-agent "…"`.
func (g *guess) hyphenInside() bool {
	for i := 0; i < g.n; i++ {
		end := i
		for g.name(end) && g.is(end+1, "-") && g.tok(end+1).Pos.Offset == span(g.tok(end)).End && span(g.tok(end+1)).End == g.tok(end+2).Pos.Offset && g.name(end+2) {
			end += 2
		}
		if end == i {
			continue
		}
		if g.stop > i && g.stop <= end+1 && (g.is(i-1, "map", "reduce", "loop", "into", "after", "given", "mock", "fail") || g.text(end+1)) {
			good := strings.ReplaceAll(g.src(i, end+1), "-", "_")
			g.say("E0105", g.span(i, end+1), fmt.Sprintf("a name has no hyphens: `%s` is a subtraction", g.src(i, end+1)), fmt.Sprintf("write `%s`", good))
			return g.fix(g.span(i, end+1), good)
		}
		i = end
	}
	return false
}

// yamlWords begin the lines of other workflow languages; here they are rarely what a step is called.
var yamlWords = map[string]bool{
	"name": true, "version": true, "title": true, "description": true, "agent": true, "agents": true, "prompt": true, "model": true, "id": true, "on": true,
	"type": true, "workflow": true, "run": true, "uses": true, "author": true, "kind": true,
}

// recordInArm: `"a" -> {x: 1}`, where a brace opens a block.
func (g *guess) recordInArm() bool {
	open := g.line.start - 1
	if !is(g.r.at(open), "{") || !is(g.r.at(open-1), "->") && !is(g.r.at(open-1), "else") || g.name(2) && (g.text(3) || g.is(3, "(", ".")) || g.text(2) && g.n == 3 && is(g.r.at(open-1), "else") {
		return false
	}
	at := source.Span{Start: g.r.at(open).Pos.Offset, End: span(g.r.at(partner(g.r.at(open)))).End}
	record := g.r.src.Slice(at)
	if strings.Contains(record, "\n") {
		return g.say("E0015", g.span(1, 2), "this brace opens a block, not a record", "a step's name is followed by `=`", "for a record write: { output {name: value} }")
	}
	g.say("E0015", at, "this brace opens a block, not a record", "write `{ output "+record+" }`")
	return g.fix(at, "{ output "+record+" }")
}

// colon: `x: writer "…"` for `x = writer "…"`, `x := …`.
func (g *guess) colon() bool {
	if !g.name(0) || !g.is(1, ":", ":=") || blockWords[g.tok(0).Value] || clauseWords[g.tok(0).Value] {
		return false
	}
	if g.recordInArm() {
		return true
	}
	if yamlWords[g.tok(0).Value] && g.is(1, ":") && g.n == 3 && (g.name(2) || g.text(2)) && g.r.at(g.line.start-1).Type != opToken {
		g.r.yaml = true
		return g.looksLikeYAML()
	}
	g.say("E0015", g.span(1, 2), "a step's name is followed by `=`", "write `=`")
	if g.tok(1).Pos.Offset == g.span(0, 1).End {
		return g.fix(g.span(1, 2), " =")
	}
	return g.fix(g.span(1, 2), "=")
}

// equals: `if x = 3`, `===`, `x is 3`.
func (g *guess) equals() bool {
	at := func() bool { // in a condition?
		for i := g.stop - 1; i >= 0; i-- {
			if g.is(i, "if", "require", "must", "expect", "stop", "match") {
				return true
			}
			if g.is(i, "=") {
				return g.is(0, "let")
			}
		}
		return false
	}
	switch {
	case g.is(g.stop, "=") && at():
		g.say("E0014", g.span(g.stop, g.stop+1), "`=` gives a name; to compare write `==`", "write `==`")
		return g.fix(g.span(g.stop, g.stop+1), "==")
	case g.is(g.stop, "===", "!=="):
		good := g.tok(g.stop).Value[:2]
		g.say("E0014", g.span(g.stop, g.stop+1), fmt.Sprintf("to compare write `%s`", good), "")
		return g.fix(g.span(g.stop, g.stop+1), good)
	case g.is(g.stop, "is", "equals", "eq") && at():
		end, good := g.stop+1, "=="
		if g.is(end, "not") {
			end, good = end+1, "!="
		}
		g.say("E0014", g.span(g.stop, end), fmt.Sprintf("to compare write `%s`", good), "")
		return g.fix(g.span(g.stop, end), good)
	}
	return false
}

// forms is how each construct is written, for those who know its first word but not the rest.
var forms = map[string]string{
	"use":      `use "./critique.slop" as critique`,
	"input":    `input topic: string = "rain" "What is it about?"`,
	"secret":   `secret api_key`,
	"budget":   `budget $2, budget 10m, budget 50000 tokens or budget 20 calls`,
	"type":     `type Review { score: int, notes: string }`,
	"agent":    `agent critic = claude "You judge poems."`,
	"test":     `test "says hello" { … }`,
	"given":    `given name = "Ada"`,
	"mock":     `mock writer -> "a draft"`,
	"fail":     `fail writer "out of ideas"`,
	"expect":   `expect output == "a draft", or expect fail "out of ideas"`,
	"let":      `let words = len(split(draft, " "))`,
	"require":  `require score > 3 else "the draft is too weak"`,
	"stop":     `stop if review.score >= 8`,
	"output":   `output draft, or output editor "Tighten this: <<draft>>"`,
	"parallel": `parallel { … }, or parallel limit 4 { … }`,
	"sequence": `sequence { … }`,
	"try":      `try { … } else { … }`,
	"race":     `race { … }, or race 2 { … }`,
	"map":      `map file in files limit 4 { … }`,
	"reduce":   `reduce part in notes by 10 { … }`,
	"loop":     `loop draft from start max 5 { … } else keep`,
	"if":       `if ok == "yes" { … } else { … }`,
	"match":    `match kind { "bug" -> …, one case a line, else -> … }`,
}

// fallback says what was found, and how what was begun is written.
func (g *guess) fallback() {
	form := ""
	for i := min(g.stop, g.n-1); i >= 0 && form == ""; i-- {
		if t := g.tok(i); t.Type == nameToken && (i == 0 || g.is(i-1, "=", "output", "->", "else") || blockWords[t.Value] && !g.is(i+1, "(") && !g.is(i-1, "stop")) {
			form = forms[t.Value]
		}
	}
	t := g.tok(g.stop)
	if t.Type == eolToken || t.Type == eofToken || g.stop >= g.n {
		g.say("E0026", g.span(g.n, g.n), "this line stops too early", "something is missing here")
	} else {
		g.say("E0001", g.span(g.stop, g.stop+1), fmt.Sprintf("I did not expect %s here", describe(t)), "")
	}
	if g.want != "" {
		g.Label = "expected " + g.want
	}
	if form == "" && g.is(1, "=") {
		form = `draft = writer "Write about <<topic>>"`
	}
	if form != "" {
		g.Help = []string{"this is how it is written: " + form}
	}
}

// describe names a token in the author's words.
func describe(t *lexer.Token) string {
	switch t.Type {
	case textToken:
		return "a text"
	case durationToken:
		return fmt.Sprintf("the duration `%s`", t.Value)
	case moneyToken:
		return fmt.Sprintf("the amount `%s`", t.Value)
	case eolToken, eofToken:
		return "the end of the line"
	}
	return fmt.Sprintf("`%s`", t.Value)
}
