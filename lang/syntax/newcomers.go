package syntax

import (
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// foreign words: what other languages call it, and what to write here.
var foreignWords = map[string]struct{ good, help string }{
	"for":      {"map", "for each item of a list write: map item in list { … }"},
	"foreach":  {"map", "for each item of a list write: map item in list { … }"},
	"while":    {"", `to repeat until it is good write: loop draft from start max 5 { … stop if … }`},
	"until":    {"", `to repeat until it is good write: loop draft from start max 5 { … stop if … }`},
	"return":   {"output", "the value of a block or file is its last line: output draft"},
	"import":   {"", `to use another flow write: use "./critique.slop" as critique`},
	"from":     {"", `to use another flow write: use "./critique.slop" as critique`},
	"include":  {"", `to use another flow write: use "./critique.slop" as critique`},
	"fn":       {"", `what is used twice is a flow of its own, in its own file: use "./part.slop" as part`},
	"def":      {"", `what is used twice is a flow of its own, in its own file: use "./part.slop" as part`},
	"func":     {"", `what is used twice is a flow of its own, in its own file: use "./part.slop" as part`},
	"function": {"", `what is used twice is a flow of its own, in its own file: use "./part.slop" as part`},
	"flow":     {"", `a file is a flow; another one is used with: use "./part.slop" as part`},
	"end":      {"}", "a block ends with `}`"},
	"then":     {"", "after a condition comes a block: if ok { … }"},
	"elif":     {"else if", "write: else if … { … }"},
	"elsif":    {"else if", "write: else if … { … }"},
	"elseif":   {"else if", "write: else if … { … }"},
	"var":      {"let", "a calculation gets its name with `let`; a step needs no word: draft = writer \"…\""},
	"const":    {"let", "a calculation gets its name with `let`; a step needs no word: draft = writer \"…\""},
	"set":      {"let", "a calculation gets its name with `let`; a step needs no word: draft = writer \"…\""},
	"print":    {"output", "what a script answers is its last line: output draft"},
	"await":    {"", "nothing needs `await`: a step waits for what it mentions"},
	"async":    {"", "nothing needs `async`: steps that do not mention each other run at the same time"},
	"switch":   {"match", `write: match kind { "bug" -> …, one case a line, else -> … }`},
	"case":     {"", `a case is written: "bug" -> engineer "…"`},
	"default":  {"else", `the last case is written: else -> support "…"`},
	"catch":    {"else", "what to do when it fails comes behind: try { … } else { … }"},
	"except":   {"else", "what to do when it fails comes behind: try { … } else { … }"},
	"finally":  {"", "there is no `finally`: write the step below the block, `after` it"},
	"throw":    {"", `to stop write: require score > 3 else "the draft is too weak"`},
	"raise":    {"", `to stop write: require score > 3 else "the draft is too weak"`},
	"assert":   {"require", `write: require score > 3 else "the draft is too weak"`},
	"break":    {"", "to leave a loop write: stop if …"},
	"continue": {"", "a round of a loop or an item of a map always runs to its end; to skip work write: if … { … }"},
	"unless":   {"", "write: if not (…) { … }"},
	"when":     {"if", "write: if … { … }"},
	"do":       {"", "blocks stand in braces"},
	"begin":    {"", "blocks stand in braces"},
	"on":       {"", "this word is kept for later"},
	"key":      {"", "this word is kept for later"},
}

// later words are reserved: a line that begins with one is never a call.
var later = map[string]bool{
	"flow": true, "import": true, "for": true, "while": true, "fn": true, "async": true, "return": true, "on": true, "finally": true, "when": true, "key": true,
}

// foreignWord: a line that begins with a word of another language, `if x then`, `if x:`.
func (g *guess) foreignWord() bool {
	word := g.tok(0).Value
	if f, ok := foreignWords[word]; ok && g.name(0) && !g.is(1, "=", ".") && !(g.stop > 1 && g.text(1) && !later[word]) {
		label := ""
		if f.good != "" {
			label = fmt.Sprintf("write `%s`", f.good)
		}
		g.say("E0008", g.span(0, 1), fmt.Sprintf("there is no `%s` in this language", word), label, f.help)
		switch word {
		case "for", "foreach":
			if g.name(1) && g.is(2, "in") {
				g.fix(g.span(0, 1), "map")
			}
		case "return", "elif", "elsif", "elseif", "switch":
			g.fix(g.span(0, 1), f.good)
		case "var", "const":
			g.variable()
		case "import", "include":
			if g.text(1) && g.n == 2 {
				g.fix(g.span(0, 2), "use "+g.tok(1).Value+" as "+usedName(g.tok(1).Value))
			}
		case "while", "until":
			g.repeat(word)
		case "fn", "def", "func", "function":
			g.function()
		case "end":
			if g.n == 1 {
				g.fix(g.span(0, 1), "}")
			}
		}
		return true
	}
	if g.is(g.stop, "then") {
		at, help := g.span(g.stop, g.stop+1), "after a condition comes a block: if ok { … }"
		if g.find(0, "if", "elif", "elsif", "elseif") >= 0 {
			g.say("E0008", at, "there is no `then` in this language", "write `{`, and `}` behind the block", help)
			if rest := g.src(g.stop+1, g.n); rest != "" && g.find(g.stop, "else") < 0 && !strings.Contains(rest, "\n") {
				return g.fix(g.span(g.stop, g.n), "{ "+rest+" }")
			}
			return g.fix(at, "{")
		}
		if g.text(g.stop-1) || g.is(g.stop-1, ")") {
			help = "steps follow each other by mention: one that mentions `draft` runs after it, whatever the order of the lines"
		}
		return g.say("E0008", at, "there is no `then` in this language", "", help)
	}
	if i := g.find(0, "elif", "elsif", "elseif"); i > 0 {
		g.say("E0008", g.span(i, i+1), fmt.Sprintf("there is no `%s` in this language", g.tok(i).Value), "write `else if`")
		return g.fix(g.span(i, i+1), "else if")
	}
	if i := g.find(0, "catch", "except", "finally"); i > 0 && g.is(i-1, "}") {
		return g.say("E0008", g.span(i, i+1), fmt.Sprintf("there is no `%s` in this language", g.tok(i).Value), "write `else`", foreignWords["catch"].help)
	}
	if g.is(g.stop, ":") && g.stop == g.n-1 && g.find(0, "if", "map", "loop", "parallel", "race", "try", "sequence", "else", "match", "reduce") >= 0 {
		return g.say("E0027", g.span(g.stop, g.stop+1), "a block stands in braces", "write `{`, and `}` behind the block",
			"indenting alone means nothing: if ok { … }")
	}
	return false
}

// repeat: `while score < 8 {`. What the loop starts from only its author knows; the condition can be turned round.
func (g *guess) repeat(word string) {
	open := g.find(1, "{")
	if open < 2 {
		return
	}
	cond := g.src(1, open)
	if strings.Contains(cond, "\n") || cond == "true" {
		return
	}
	if g.is(1, "(") && g.next(1) == open {
		cond = g.src(2, open-1)
	}
	if word == "while" {
		cond = "not (" + cond + ")"
	}
	g.Help = []string{"to repeat until it is good write: loop draft from start max 5 { … stop if " + cond + " … } else keep"}
}

// function: `fn greet(name) {`. What would be its file is said with its names.
func (g *guess) function() {
	if !g.name(1) {
		return
	}
	name := g.tok(1).Value
	var inputs []string
	for i := 3; g.is(2, "(") && i < g.next(2)-1; i = g.next(i) {
		if g.name(i) && g.is(i-1, "(", ",") {
			inputs = append(inputs, "`input "+g.tok(i).Value+": string`")
		}
	}
	with := ""
	if len(inputs) > 0 && len(inputs) <= 5 {
		with = ", below " + strings.Join(inputs, " and ")
	}
	g.Help = []string{fmt.Sprintf("what is used twice is a flow of its own: put these lines into a file %s.slop%s", name, with), fmt.Sprintf("and use it here: use \"./%s.slop\" as %s", name, name)}
}

// variable: `const x = 3`, `var draft = writer "…"`. The word is `let` before a calculation and nothing before a step.
func (g *guess) variable() {
	if g.name(1) && g.is(2, "=") {
		g.r.file.Broken = append(g.r.file.Broken, Name{Node{g.span(1, 2)}, g.tok(1).Value})
		lex := g.r.lex
		lex.FastForward(g.line.start + 2)
		if stepAhead(&lex) {
			g.Label = "remove this"
			g.fix(source.Span{Start: g.tok(0).Pos.Offset, End: g.tok(1).Pos.Offset}, "")
			return
		}
	}
	g.fix(g.span(0, 1), "let")
}

// usedName is a name for what stands at a quoted path.
func usedName(quoted string) string {
	name := path.Base(strings.Trim(quoted, `"'`))
	name, _, _ = strings.Cut(strings.TrimSuffix(strings.TrimSuffix(name, ".slop"), ".txt"), "@")
	words := strings.FieldsFunc(name, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	name = strings.Trim(strings.Join(words, "_"), "_")
	if name == "" || isDigit(name[0]) {
		return "part"
	}
	return name
}

// declaration: what goes wrong in use, input, type, agent, test.
func (g *guess) declaration() bool {
	end := g.span(g.n, g.n)
	switch g.tok(0).Value {
	case "use":
		switch i := 1; {
		case g.is(1, ".", "..", "...", "/", "@"):
			end := g.n
			if as := g.find(1, "as"); as > 0 {
				end = as
			}
			good := `"` + g.src(1, end) + `"`
			g.say("E0032", g.span(1, end), "what is used stands in quotes", fmt.Sprintf("write `%s`", good), "this is how it is written: "+forms["use"])
			return g.fix(g.span(1, end), good)
		case g.text(1) && g.name(2) && g.n == 3:
			g.say("E0032", g.span(2, 3), "before the name of what is used stands `as`", fmt.Sprintf("write `as %s`", g.tok(2).Value))
			return g.fix(g.span(2, 3), "as "+g.tok(2).Value)
		case g.name(1) && !g.is(1, "template"):
			return g.say("E0032", g.span(1, 2), "what is used stands in quotes", "", "this is how it is written: "+forms["use"])
		case g.is(1, "template") && g.text(2):
			i = 2
			fallthrough
		case g.text(1):
			if g.n != i+1 {
				return false
			}
			name := usedName(g.tok(i).Value)
			g.say("E0032", end, "a flow that is used needs a name", "write `as "+name+"`")
			return g.fix(end, " as "+name)
		}
	case "input":
		switch {
		case !g.name(1):
			return g.say("E0026", g.span(1, 2), "an input needs a name", "", "this is how it is written: "+forms["input"])
		case g.n == 2 || g.is(2, "=") || g.text(2):
			at := source.Span{Start: span(g.tok(1)).End, End: span(g.tok(1)).End}
			kind := "string"
			switch t := g.tok(3); {
			case !g.is(2, "="):
			case t.Type == intToken:
				kind = "int"
			case t.Type == numberToken:
				kind = "float"
			case is(t, "true") || is(t, "false"):
				kind = "bool"
			}
			g.say("E0031", g.span(1, 2), fmt.Sprintf("the input `%s` needs a type", g.tok(1).Value), fmt.Sprintf("write `%s: %s`", g.tok(1).Value, kind),
				"types are string, int, float, bool, file, any, lists as [string], and those of this file")
			return g.fix(at, ": "+kind)
		case g.name(2):
			g.say("E0031", g.span(2, 3), "between an input's name and its type stands `:`", "")
			return g.fix(source.Span{Start: span(g.tok(1)).End, End: span(g.tok(1)).End}, ":")
		case g.is(g.stop, "=") && g.find(0, "must") > 0 && g.find(0, "must") < g.stop:
			must := source.Span{Start: g.tok(g.find(0, "must")).Pos.Offset, End: span(g.tok(g.stop - 1)).End}
			return g.say("E0001", g.span(g.stop, g.stop+1), "a default stands before `must`", "move it there",
				fmt.Sprintf("write: input %s: … = … %s", g.tok(1).Value, g.r.src.Slice(must)))
		case g.is(g.stop, "default"):
			g.say("E0001", g.span(g.stop, g.stop+1), "a default is written with `=`", "write `=`")
			return g.fix(g.span(g.stop, g.stop+1), "=")
		case g.is(g.stop, "required", "optional"):
			return g.say("E0001", g.span(g.stop, g.stop+1), fmt.Sprintf("an input is not marked `%s`", g.tok(g.stop).Value), "",
				"an input without a default is required; one that may be missing has a type with `?`: input note: string?")
		}
	case "type":
		if g.name(1) && g.is(2, "=") {
			g.say("E0031", g.span(2, 3), "a type's name is followed by its braces", "remove `=`", "this is how it is written: "+forms["type"])
			return g.fix(g.span(2, 3), "")
		}
	case "agent":
		switch {
		case g.name(1) && g.is(2, ":"):
			g.say("E0015", g.span(2, 3), "an agent's name is followed by `=`", "write `=`")
			return g.fix(g.span(2, 3), "=")
		case g.name(1) && (g.text(2) || g.is(2, "=") && g.text(3)):
			at := 2
			if g.is(2, "=") {
				at = 3
			}
			return g.say("E0001", g.span(at, at+1), "an agent is made from another one", "before this text its name is missing",
				"this is how it is written: "+forms["agent"])
		}
	case "budget":
		return g.amount(0)
	case "require":
		if g.stop >= g.n && g.find(0, "else") < 0 && g.n > 1 && g.want == "" {
			g.say("E0026", end, "a `require` says why the script stops", "write `else \"…\"`", "this is how it is written: "+forms["require"])
			return g.fix(end, ` else "…"`)
		}
	case "stop":
		if g.n > 1 && !g.is(1, "if") {
			g.say("E0001", g.span(1, 2), "behind `stop` comes `if`", "write `if`", "this is how it is written: "+forms["stop"])
			if g.is(1, "when") {
				return g.fix(g.span(1, 2), "if")
			}
			return true
		}
	case "secret":
		if g.text(1) {
			return g.say("E0001", g.span(1, 2), "a secret is a name, without quotes", "", "its value comes from the environment or the configuration, never from the script: secret api_key")
		}
		if g.name(1) && g.is(2, "=") {
			return g.say("E0001", g.span(2, g.n), "a secret's value does not stand in the script", "remove this",
				"it comes from the environment or the configuration by its name")
		}
	case "test":
		if g.name(1) || g.is(1, "{") {
			return g.say("E0001", g.span(1, 2), "a test has a name in quotes", "", "this is how it is written: "+forms["test"])
		}
		return g.testLine()
	}
	return g.typeMistake()
}

// testLine: what goes wrong inside a test.
func (g *guess) testLine() bool {
	if g.stop < 1 || g.stop >= g.n {
		return false
	}
	begin := g.stop // of the line in the test
	for begin > 0 && g.tok(begin-1).Type != eolToken && !g.is(begin-1, "{") {
		begin--
	}
	switch {
	case g.is(begin, "mock") && g.is(g.stop, "=", ":", "returns"):
		g.say("E0009", g.span(g.stop, g.stop+1), "what a mock answers stands behind `->`", "write `->`", "this is how it is written: "+forms["mock"])
		return g.fix(g.span(g.stop, g.stop+1), "->")
	case g.is(begin, "given") && g.is(g.stop, ":"):
		g.say("E0015", g.span(g.stop, g.stop+1), "what is given stands behind `=`", "write `=`")
		return g.fix(g.span(g.stop, g.stop+1), "=")
	case g.is(begin, "assert", "check", "should", "it"):
		return g.say("E0001", g.span(begin, begin+1), fmt.Sprintf("a test knows no `%s`", g.tok(begin).Value), "write `expect`", "this is how it is written: "+forms["expect"])
	case begin == g.stop && !g.is(begin, "given", "mock", "fail", "expect"):
		return g.say("E0001", g.span(begin, begin+1), fmt.Sprintf("a line of a test does not begin with %s", describe(g.tok(begin))), "",
			"it begins with given, mock, fail or expect: "+forms["expect"])
	}
	return false
}

// foreignTypes: what other languages call a type.
var foreignTypes = map[string]string{
	"str": "string", "text": "string", "String": "string", "Str": "string", "Text": "string", "varchar": "string", "char": "string",
	"number": "float", "Number": "float", "double": "float", "Float": "float", "decimal": "float", "real": "float",
	"integer": "int", "Integer": "int", "Int": "int", "long": "int", "int64": "int", "int32": "int", "i64": "int", "i32": "int", "uint": "int",
	"boolean": "bool", "Boolean": "bool", "Bool": "bool",
	"list": "[string]", "List": "[string]", "array": "[string]", "Array": "[string]", "strings": "[string]",
	"dict": "any", "Dict": "any", "object": "any", "Object": "any", "map": "any", "Map": "any", "json": "any", "JSON": "any", "Any": "any", "unknown": "any",
	"record": "any", "struct": "any", "File": "file", "files": "[file]",
}

// typeName returns the type that a foreign name means.
func typeName(name string) string {
	if good, ok := foreignTypes[name]; ok {
		return good
	}
	return name
}

// typeMistake: list<string>, string[], list of string, Optional[str], string | null.
func (g *guess) typeMistake() bool {
	i := g.stop
	back := i - 1 // the type's name
	if !g.name(back) || !(g.is(back-1, ":", "as", "[") || g.is(back-1, ",") || g.is(back-1, "|")) {
		return false
	}
	name := g.tok(back).Value
	say := func(end int, good string) bool {
		g.say("E0012", g.span(back, end), fmt.Sprintf("a type is not written `%s`", g.src(back, end)), fmt.Sprintf("write `%s`", good),
			"types are string, int, float, bool, file, any, lists as [string], records as {name: string}, and those of this file")
		return g.fix(g.span(back, end), good)
	}
	switch {
	case g.is(i, "<") && g.name(i+1):
		end := g.find(i, ">")
		if end < 0 {
			return false
		}
		if strings.EqualFold(name, "optional") {
			return say(end+1, typeName(g.tok(i+1).Value)+"?")
		}
		if strings.HasPrefix(strings.ToLower(name), "map") || strings.HasPrefix(strings.ToLower(name), "dict") || g.is(i+2, ",") {
			return say(end+1, "any")
		}
		return say(end+1, "["+typeName(g.tok(i+1).Value)+"]")
	case g.is(i, "[") && g.is(i+1, "]"):
		return say(i+2, "["+typeName(name)+"]")
	case g.is(i, "[") && g.name(i+1) && g.is(i+2, "]"):
		if strings.EqualFold(name, "optional") {
			return say(i+3, typeName(g.tok(i+1).Value)+"?")
		}
		return say(i+3, "["+typeName(g.tok(i+1).Value)+"]")
	case g.is(i, "of") && g.name(i+1) && !g.is(back-1, ","):
		return say(i+2, "["+typeName(strings.TrimSuffix(g.tok(i+1).Value, "s"))+"]")
	case g.is(i, "|") && g.is(i+1, "null", "nil", "None", "undefined"):
		return say(i+2, typeName(name)+"?")
	case name == "optional" && g.name(i):
		return say(i+1, typeName(g.tok(i).Value)+"?")
	}
	return false
}

// blockHeader: what goes wrong between a block word and its `{`.
func (g *guess) blockHeader() bool {
	at := -1
	for i := 0; i < g.n && i <= g.stop; i = g.next(i) {
		if t := g.tok(i); t.Type == nameToken && blockWords[t.Value] && (i == 0 || g.is(i-1, "=", "output", "->", "else")) {
			at = i
		}
	}
	if at < 0 {
		return false
	}
	open := g.find(at+1, "{")
	if open < 0 {
		open = g.n
	}
	here := g.span(open, open+1)
	here.End = here.Start
	if open > 0 && open < g.n {
		here = source.Span{Start: span(g.tok(open - 1)).End, End: span(g.tok(open - 1)).End}
	}
	word := g.tok(at).Value
	help := "this is how it is written: " + forms[word]
	switch word {
	case "loop":
		in, max := g.find(at, "from"), g.find(at, "max")
		switch {
		case in < 0 && max < 0 && g.stop <= open:
			return g.say("E0021", g.span(at, at+1), "a loop says what it starts from and how often it may run", "", help)
		case in < 0 && g.name(at+1) && g.is(at+2, "in", "=", "of", ":"):
			g.say("E0021", g.span(at+2, at+3), "a loop says what it starts from with `from`", "write `from`", help)
			return g.fix(g.span(at+2, at+3), "from")
		case in < 0:
			return g.say("E0021", g.span(at, at+1), "a loop says what it starts from", "`from` is missing", help)
		case max < 0 && g.stop <= open:
			g.say("E0021", here, "a loop has an end: say how many rounds at most", "write `max 5`", help)
			return g.fix(here, " max 5")
		}
	case "reduce":
		if g.name(at+1) && g.is(at+2, "in") && g.find(at, "by") < 0 && g.stop <= open {
			g.say("E0021", here, "a reduce says how many it merges at a time", "write `by 10`", help)
			return g.fix(here, " by 10")
		}
	}
	if word == "map" || word == "reduce" {
		switch {
		case g.name(at+1) && g.is(at+2, "of", "from", "over", ":"):
			g.say("E0022", g.span(at+2, at+3), fmt.Sprintf("`%s` goes through a list with `in`", word), "write `in`")
			return g.fix(g.span(at+2, at+3), "in")
		case g.name(at+1) && g.is(at+2, "as") && g.name(at+3):
			good := g.tok(at+3).Value + " in " + g.tok(at+1).Value
			g.say("E0022", g.span(at+1, at+4), "first the name of an item, then the list", fmt.Sprintf("write `%s`", good))
			return g.fix(g.span(at+1, at+4), good)
		case g.name(at+1) && g.is(at+2, "{"):
			return g.say("E0022", g.span(at+1, at+2), fmt.Sprintf("`%s` gives each item a name", word), fmt.Sprintf("write `item in %s`", g.tok(at+1).Value), help)
		case g.name(at+1) && g.is(at+2, ",") && g.name(at+3) && g.is(at+4, "of", "from", "over", ":"):
			g.say("E0022", g.span(at+4, at+5), fmt.Sprintf("`%s` goes through a list with `in`", word), "write `in`")
			return g.fix(g.span(at+4, at+5), "in")
		case g.is(at+1, "(") && open < g.n && g.next(at+1) == open:
			inner := g.span(at+1, open)
			good := g.src(at+2, open-1)
			if !g.name(at+2) || !g.is(at+3, "in", "of") {
				return g.say("E0022", inner, fmt.Sprintf("`%s` gives each item a name", word), fmt.Sprintf("write `item in %s`", good), help)
			}
			g.say("E0022", inner, fmt.Sprintf("behind `%s` stand no brackets", word), fmt.Sprintf("write `%s %s`", word, good), help)
			if inner.Start == g.span(at, at+1).End {
				good = " " + good
			}
			return g.fix(inner, good)
		case g.is(at+1, "("):
			if at == 0 || g.is(at-1, "=") {
				return g.calculation(at)
			}
		}
	}
	if g.is(g.stop, "limit", "tolerate", "into", "by", "max") || g.stop > 0 && g.is(g.stop-1, "limit", "tolerate", "into", "by", "max") {
		i := g.stop
		if !g.is(i, "limit", "tolerate", "into", "by", "max") {
			i--
		}
		w := g.tok(i).Value
		switch {
		case g.is(i+1, ":", "="):
			return g.superfluous(i)
		case w != "into" && g.tok(i+1).Type != intToken:
			return g.number(i)
		}
	}
	if (word == "race" || word == "parallel") && g.is(at+1, "(") {
		good := " limit " + g.src(at+2, g.next(at+1)-1)
		if word == "race" {
			good = " " + g.src(at+2, g.next(at+1)-1)
		}
		g.say("E0001", g.span(at+1, g.next(at+1)), fmt.Sprintf("behind `%s` stand no brackets", word), fmt.Sprintf("write `%s%s`", word, good), help)
		return g.fix(g.span(at+1, g.next(at+1)), good)
	}
	if word == "parallel" && g.tok(at+1).Type == intToken {
		p := g.span(at+1, at+2)
		g.say("E0001", p, "how many run at a time is said with `limit`", fmt.Sprintf("write `limit %s`", g.tok(at+1).Value))
		return g.fix(source.Span{Start: p.Start, End: p.Start}, "limit ")
	}
	if word == "match" && g.stop > open {
		return g.arm(open)
	}
	if open == g.n && g.stop >= g.n-1 && (g.stop >= g.n || !g.is(g.stop, "=")) {
		return g.say("E0027", g.span(g.n, g.n), fmt.Sprintf("`%s` needs a block", word), "`{` is missing here", help)
	}
	return false
}

// arm: what goes wrong in a case of a match.
func (g *guess) arm(open int) bool {
	i := g.stop
	begin := i
	for begin > open+1 && g.tok(begin-1).Type != eolToken {
		begin--
	}
	switch {
	case g.is(begin, "case", "when"):
		g.say("E0008", g.span(begin, begin+1), "a case needs no word before it", "remove this", foreignWords["case"].help)
		return g.fix(source.Span{Start: g.tok(begin).Pos.Offset, End: g.tok(begin + 1).Pos.Offset}, "")
	case g.is(begin, "default", "otherwise", "_", "*"):
		g.say("E0008", g.span(begin, begin+1), "the case for everything else is called `else`", "write `else`")
		return g.fix(g.span(begin, begin+1), "else")
	case g.is(i, ":", "="):
		g.say("E0009", g.span(i, i+1), "between a case and what it does stands `->`", "write `->`")
		return g.fix(source.Span{Start: g.span(i-1, i).End, End: g.span(i, i+1).End}, " ->")
	case g.is(i, "|", "or", "||"):
		g.say("E0001", g.span(i, i+1), "several cases of one arm are separated by commas", "write `,`")
		return g.fix(g.span(i, i+1), ",")
	case begin == i && g.name(i) && g.find(i, "->") > i:
		return g.say("E0001", g.span(i, i+1), fmt.Sprintf("a case is a text, a number, `true` or `false`, not %s", describe(g.tok(i))),
			fmt.Sprintf("write `\"%s\"` for the text", g.tok(i).Value), "to compare with a value write: if kind == other { … }")
	}
	return false
}

// superfluous: `retry: 3`, `limit = 4`.
func (g *guess) superfluous(i int) bool {
	word, sign := g.tok(i).Value, g.tok(i+1).Value
	good := word
	if i+2 < g.n {
		good += " " + g.tok(i+2).Value
	}
	g.say("E0011", g.span(i+1, i+2), fmt.Sprintf("`%s` needs no `%s`", word, sign), fmt.Sprintf("write `%s`", good))
	at := g.span(i+1, i+2)
	if i+2 < g.n && g.tok(i+2).Pos.Offset > at.End {
		return g.fix(at, "")
	}
	return g.fix(at, " ")
}

var numerals = map[string]string{
	"one": "1", "once": "1", "two": "2", "twice": "2", "three": "3", "thrice": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
	"nine": "9", "ten": "10", "twelve": "12", "twenty": "20", "thirty": "30", "sixty": "60", "hundred": "100",
}

// number: `retry three`, `max "5"`, `limit 2.5`.
func (g *guess) number(i int) bool {
	word := g.tok(i).Value
	value := g.tok(i + 1)
	at := g.span(i+1, i+2)
	if digits, ok := numerals[strings.ToLower(value.Value)]; ok {
		g.say("E0020", at, "numbers are written in digits", fmt.Sprintf("write `%s`", digits))
		return g.fix(at, digits)
	}
	if value.Type == textToken {
		if inner := strings.Trim(value.Value, `"'`); inner != "" && strings.Trim(inner, "0123456789") == "" {
			g.say("E0020", at, fmt.Sprintf("behind `%s` comes a number, without quotes", word), fmt.Sprintf("write `%s %s`", word, inner))
			return g.fix(at, inner)
		}
	}
	if is(value, "(") && g.tok(i+2).Type == intToken && g.is(i+3, ")") {
		g.say("E0011", g.span(i+1, i+4), fmt.Sprintf("`%s` needs no brackets", word), fmt.Sprintf("write `%s %s`", word, g.tok(i+2).Value))
		return g.fix(g.span(i+1, i+4), " "+g.tok(i+2).Value)
	}
	if is(value, "{") {
		at = source.Span{Start: g.span(i, i+1).End, End: g.span(i, i+1).End}
	}
	if i+1 >= g.n || is(value, "{") {
		return g.say("E0020", at, fmt.Sprintf("behind `%s` a number is missing", word), "how many?", fmt.Sprintf("write, for instance: %s 3", word))
	}
	return g.say("E0020", at, fmt.Sprintf("behind `%s` comes a whole number, not %s", word, describe(value)), "", fmt.Sprintf("write, for instance: %s 3", word))
}

var longUnits = map[string]string{
	"sec": "s", "secs": "s", "second": "s", "seconds": "s", "min": "m", "mins": "m", "minute": "m", "minutes": "m", "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
	"day": "d", "days": "d", "S": "s", "M": "m", "H": "h", "D": "d", "milliseconds": "ms", "millis": "ms", "msec": "ms", "s": "s", "m": "m", "h": "h", "d": "d", "ms": "ms",
}

// duration: `timeout 30`, `timeout 30 seconds`, `timeout 30sec`, `timeout "30s"`.
func (g *guess) duration(i int) bool {
	word, t := g.tok(i).Value, g.tok(i+1)
	at := g.span(i+1, i+2)
	help := "units are ms, s, m, h and d: 500ms, 30s, 5m, 2h, 7d"
	propose := func(at source.Span, message, good string) bool {
		g.say("E0019", at, message, fmt.Sprintf("write `%s`", good), help)
		return g.fix(at, good)
	}
	digits := strings.TrimRight(t.Value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	switch {
	case t.Type == intToken && g.name(i+2) && longUnits[g.tok(i+2).Value] != "":
		return propose(g.span(i+1, i+3), "a duration is one word", t.Value+longUnits[g.tok(i+2).Value])
	case t.Type == intToken:
		return propose(at, "a duration needs a unit", t.Value+"s")
	case t.Type == textToken:
		if inner := strings.Trim(t.Value, `"'`); inner != "" {
			if _, ok := parseDuration(inner); ok {
				return propose(at, "a duration stands without quotes", inner)
			}
		}
	case t.Type == durationToken && longUnits[strings.TrimPrefix(t.Value, digits)] != "":
		if unit := longUnits[strings.TrimPrefix(t.Value, digits)]; unit != strings.TrimPrefix(t.Value, digits) && strings.Trim(digits, "0123456789") == "" {
			return propose(at, fmt.Sprintf("I don't know the unit `%s`", strings.TrimPrefix(t.Value, digits)), digits+unit)
		}
	}
	if t.Type == durationToken {
		if good, ok := oneUnit(t.Value); ok {
			return propose(at, "a duration is a whole number with one unit", good)
		}
	}
	if is(t, "(") && g.tok(i+2).Type == durationToken && g.is(i+3, ")") {
		g.say("E0011", g.span(i+1, i+4), fmt.Sprintf("`%s` needs no brackets", word), fmt.Sprintf("write `%s %s`", word, g.tok(i+2).Value))
		return g.fix(g.span(i+1, i+4), " "+g.tok(i+2).Value)
	}
	if i+1 >= g.n {
		return g.say("E0019", at, fmt.Sprintf("behind `%s` a duration is missing", word), "how long?", fmt.Sprintf("write, for instance: %s 30s", word))
	}
	return g.say("E0019", at, fmt.Sprintf("behind `%s` comes a duration, not %s", word, describe(t)), "a whole number with a unit", help)
}

// oneUnit writes `1h30m` and `1.5h` as a whole number of the largest unit that gives one.
func oneUnit(s string) (string, bool) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok && err != nil {
		d, err = time.ParseDuration(days + "h")
		d *= 24
	}
	if err != nil || d < time.Millisecond {
		return "", false
	}
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if d%unit.size == 0 {
			return fmt.Sprintf("%d%s", d/unit.size, unit.name), true
		}
	}
	return "", false
}

// amount: `budget 2`, `budget 2 dollars`.
func (g *guess) amount(i int) bool {
	t := g.tok(i + 1)
	help := "a budget is written: $0.50, 5000 tokens or 20 calls"
	if t.Type == intToken || t.Type == numberToken {
		end := i + 2
		if g.is(i+2, "dollars", "dollar", "usd", "USD", "$") {
			end++
		}
		at := g.span(i+1, end)
		g.say("E0019", at, "a budget says of what", fmt.Sprintf("write `$%s` for dollars", t.Value), help)
		if end > i+2 {
			return g.fix(at, "$"+t.Value)
		}
		return true
	}
	return g.say("E0019", g.span(i+1, i+2), "behind `budget` comes an amount", "", help)
}

// clause: what goes wrong behind a call or a block.
func (g *guess) clause() bool {
	i := g.stop
	if i > 0 && g.name(i-1) && (clauseWords[g.tok(i-1).Value] || g.is(i-1, "wait")) && !g.is(i, "wait") {
		i--
	}
	word := g.tok(i).Value
	if word == "wait" && g.tok(i-1).Type != intToken {
		if i == 0 || g.tok(i+1).Type != durationToken || !g.text(i-1) {
			return false
		}
		good := "retry 3 wait " + g.tok(i+1).Value
		g.say("E0001", g.span(i, i+2), "`wait` belongs to `retry`: it is the pause before another attempt", fmt.Sprintf("write `%s`", good),
			"to let time pass before a step: pause = wait \"30s\"")
		return g.fix(g.span(i, i+2), good)
	}
	if g.name(i) && g.is(i+1, ":", "=") && (clauseWords[word] || word == "wait") && i > 0 {
		return g.superfluous(i)
	}
	if g.name(i) && (i > 0 || word == "budget") {
		switch word {
		case "retry", "repair":
			if t := g.tok(i + 1); t.Type == intToken && g.want == "" {
				break
			}
			return g.number(i)
		case "timeout", "cache", "wait":
			return g.duration(i)
		case "budget":
			return g.amount(i)
		case "as":
			if g.typeMistake() {
				return true
			}
			if g.want != "" {
				return g.say("E0031", g.span(i+1, i+2), "behind `as` comes a type", "", "a type of this file, string, int, float, bool, or a list: as [string]")
			}
		}
	}
	t := g.tok(g.stop)
	if is(t, ",") && g.stop > 0 && g.behindCall() && clauseWords[g.tok(g.stop+1).Value] {
		g.say("E0011", g.span(g.stop, g.stop+1), "clauses stand behind each other without commas", "remove this")
		return g.fix(g.span(g.stop, g.stop+1), "")
	}
	if t.Type == nameToken && g.stop > 0 && g.behindCall() {
		candidates := []string{"as", "after", "retry", "repair", "timeout", "cache", "budget", "else"}
		switch {
		case t.Value == "times" || t.Value == "time":
			g.say("E0020", g.span(g.stop, g.stop+1), "the number is enough", "remove this")
			return g.fix(g.span(g.stop, g.stop+1), "")
		case (t.Value == "with" || t.Value == "and" || t.Value == "using" || t.Value == "then") && clauseWords[g.tok(g.stop+1).Value]:
			g.say("E0011", g.span(g.stop, g.stop+1), fmt.Sprintf("`%s` needs no `%s` before it", g.tok(g.stop+1).Value, t.Value), "remove this")
			return g.fix(source.Span{Start: t.Pos.Offset, End: g.tok(g.stop + 1).Pos.Offset}, "")
		case g.is(g.stop+1, "=") && !clauseWords[t.Value]:
			return g.say("E0016", g.span(g.stop, g.stop+1), "every step stands on a line of its own", fmt.Sprintf("begin a new line before `%s`", t.Value))
		case (t.Value == "until" || t.Value == "while") && g.find(0, "loop") >= 0:
			return g.say("E0001", g.span(g.stop, g.stop+1), fmt.Sprintf("a loop knows no `%s`", t.Value), "",
				"to leave it earlier write a line in its block: "+forms["stop"])
		case g.is(g.stop+1, ":") && !clauseWords[t.Value]:
			return g.say("E0005", g.span(g.stop, g.stop+1), fmt.Sprintf("the argument `%s` stands in brackets, before the text", t.Value), "",
				fmt.Sprintf("write: %s(%s: …) \"…\"", g.callee(), t.Value))
		}
		if g.is(0, "output") && g.text(1) && clauseWords[t.Value] {
			return g.say("E0001", g.span(g.stop, g.stop+1), fmt.Sprintf("`%s` stands behind a step, and a text alone is none", t.Value), "",
				fmt.Sprintf("name the agent before the text: output echo \"…\" %s …", t.Value))
		}
		near, ok := diag.Nearest(t.Value, candidates)
		label := ""
		if ok {
			label = fmt.Sprintf("did you mean `%s`?", near)
		}
		g.say("E0001", g.span(g.stop, g.stop+1), fmt.Sprintf("I don't know a clause `%s`", t.Value), label,
			"behind a step may stand: as, after, retry, repair, timeout, cache, budget, else")
		if ok {
			g.fix(g.span(g.stop, g.stop+1), near)
		}
		return true
	}
	return false
}

// behindCall tells whether what stands before the stop is a call with its text, or a block with its clauses.
func (g *guess) behindCall() bool {
	prev := g.tok(g.stop - 1)
	return prev.Type == textToken || is(prev, "}") || is(prev, ")") || prev.Type == durationToken || prev.Type == intToken || prev.Type == moneyToken || is(prev, "keep") || is(prev, "skip")
}

// callee is the callee of the line, as written.
func (g *guess) callee() string {
	i := g.find(0, "=", "output") + 1
	if g.is(i+1, ".") {
		return g.src(i, i+3)
	}
	return g.tok(i).Value
}
