package eval

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/types"
)

// names are what the expressions of these tests may use.
var names = func() map[string]Operand {
	enum := types.Type{Kind: types.Enum, Values: []string{"bug", "billing", "other"}}
	review := types.Type{Kind: types.Record, Name: "Review", Fields: []types.Field{
		{Name: "score", Type: intType}, {Name: "notes", Type: stringType}, {Name: "kind", Type: enum}, {Name: "tip", Type: types.Maybe(stringType)},
	}}
	of := func(t types.Type) Operand { return Operand{Type: t} }
	return map[string]Operand{
		"n": of(intType), "f": of(floatType), "s": of(stringType), "b": of(boolType), "kind": of(enum), "review": of(review),
		"xs": of(types.ListOf(intType)), "words": of(stringsType), "reviews": of(types.ListOf(review)), "reply": of(types.Maybe(stringType)),
		"maybe": of(types.Maybe(review)), "data": {Type: anyType, Taint: World}, "file": of(types.Type{Kind: types.File}), "nested": of(types.ListOf(types.ListOf(intType))),
		"token": {Type: stringType, Taint: Secret},
	}
}()

func lookup(name string) (Operand, bool) { o, ok := names[name]; return o, ok }

func TestTypes(t *testing.T) {
	for _, c := range []struct{ code, want string }{
		{`1`, "int"}, {`1.5`, "float"}, {`"a"`, "string"}, {`true`, "bool"}, {`nil`, "nothing"}, {`-n`, "int"}, {`not b`, "bool"},
		{`n + 1`, "int"}, {`n + f`, "float"}, {`n / 2`, "float"}, {`n % 2`, "int"}, {`n ** 2`, "float"}, {`s + "x"`, "string"},
		{`data + 1`, "any"}, {`data + "x"`, "string"}, {`data / 2`, "float"}, {`kind + "x"`, "string"},
		{`n > f`, "bool"}, {`s < "x"`, "bool"}, {`data > 3`, "bool"}, {`n == f`, "bool"}, {`reply == nil`, "bool"}, {`kind == "bug"`, "bool"},
		{`kind in ["bug", "other"]`, "bool"}, {`n in 1..10`, "bool"}, {`f in 0.5..1.5`, "bool"}, {`"a" in review`, "bool"}, {`n in xs`, "bool"},
		{`1..10`, "list of int"}, {`[1, 2]`, "list of int"}, {`[1, 2.5]`, "list of float"}, {`["a", "b"]`, "list of string"}, {`[]`, "empty list"}, {`[1, "a"]`, "list of any"},
		{`{a: 1, b: "x"}`, "{a: int, b: string}"}, {`{(s): 1}`, "any"}, {`review.score`, "int"}, {`review["notes"]`, "string"}, {`review.tip`, "string or nothing"},
		{`maybe?.score`, "int or nothing"}, {`maybe?.score ?? 0`, "int"}, {`maybe?.tip`, "string or nothing"}, {`data?.a?.b`, "any or nothing"}, {`data.a.b`, "any"}, {`data?.a.b`, "any or nothing"}, {`maybe?.notes[0]`, "string or nothing"}, {`(maybe?.notes[0]) ?? "x"`, "string"},
		{`data[0]`, "any"}, {`xs[0]`, "int"}, {`xs[-1]`, "int"}, {`s[0]`, "string"}, {`xs[1:]`, "list of int"}, {`s[:3]`, "string"},
		{`b ? 1 : 2.5`, "float"}, {`b ? "a" : "b"`, "string"}, {`b ? kind : "bug"`, `"bug", "billing" or "other"`}, {`b ? kind : "x"`, "string"}, {`b ? s : nil`, "string or nothing"},
		{`reply ?? "none"`, "string"}, {`reply ?? nil`, "string or nothing"}, {`maybe != nil ? maybe.score : 0`, "int"}, {`maybe == nil ? 0 : maybe.score`, "int"},
		{`maybe != nil and maybe.score > 3`, "bool"}, {`maybe == nil or maybe.score > 3`, "bool"}, {`review.tip != nil ? upper(review.tip) : ""`, "string"},
		{`file.text`, "string"}, {`file.size`, "int"}, {`len(xs)`, "int"}, {`filter(reviews, .score > 3)`, "list of Review"}, {`map(reviews, .score)`, "list of int"},
		{`map(reviews, {{s: .score, i: #index}})`, "list of {s: int, i: int}"}, {`find(reviews, .score > 3)`, "Review or nothing"}, {`find(reviews, .score > 3)?.notes`, "string or nothing"},
		{`sum(xs)`, "int"}, {`sum(reviews, .score / 2)`, "float"}, {`max(xs)`, "int"}, {`max(1, 2.5)`, "float"}, {`mean(xs)`, "float"}, {`first(xs)`, "int or nothing"},
		{`first(xs) ?? 0`, "int"}, {`sort(words, "desc")`, "list of string"}, {`sortBy(reviews, .score)`, "list of Review"}, {`groupBy(reviews, .kind)`, "any"},
		{`concat(xs, [1.5])`, "list of float"}, {`concat([], words)`, "list of string"}, {`flatten(nested)`, "list of int"}, {`join(words, ", ")`, "string"}, {`join(xs, ", ")`, "string"},
		{`split(s, ",")`, "list of string"}, {`keys(review)`, "list of string"}, {`round(f)`, "int"}, {`abs(n)`, "int"}, {`abs(f)`, "float"}, {`fromJSON(s)`, "any"}, {`json(nil)`, "string"},
		{`words | map(upper(#)) | join(", ")`, "string"}, {`map(nested, sum(#))`, "list of int"}, {`map(nested, filter(#, # > 1))`, "list of list of int"}, {`values({a: 1, b: 2.5})`, "list of float"},
		{`1 < n < 5`, "bool"}, {`count(reviews, .score > 3)`, "int"}, {`s matches "^a"`, "bool"}, {`ghost.a + 1`, "any"}, {`any(data, .ok)`, "bool"},
		{`all([], # > 1)`, "bool"}, {`s not in words`, "bool"}, {`not (s contains "x")`, "bool"},
	} {
		tree, problems := Parse(c.code)
		if len(problems) > 0 {
			t.Errorf("%s: %v", c.code, problems)
			continue
		}
		o, problems := tree.Type(lookup)
		if len(problems) > 0 || o.Type.String() != c.want {
			t.Errorf("%s: got %s, want %s; %v", c.code, o.Type, c.want, problems)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct{ code, span, id, message, help string }{
		{`review.scroe > 3`, "scroe", "E0109", "`review` has no field `scroe`", "its fields: score, notes, kind, tip"},
		{`filter(reviews, .scroe > 3)`, "scroe", "E0109", "an item of the list has no field `scroe`", "its fields: score, notes, kind, tip"},
		{`reviews.score`, "score", "E0109", "a list has no field `score`", "take one: `reviews[0].score`, or read all: `map(reviews, .score)`"},
		{`s.length`, "length", "E0109", "`s` is a string, it has no field `length`", "write `len(s)`"},
		{`file.path`, "path", "E0109", "`file` has no field `path`", "its fields: name, size, type, text"},
		{`n + "x"`, `n + "x"`, "E0110", "`+` cannot take an int and a string", "put it into the text: `\"<<n>>…\"`, or write `string(n)`"},
		{`xs + [1]`, `xs + [1]`, "E0110", "`+` cannot take a list of int and a list of int", "write `concat(xs, [1])`"},
		{`n > "3"`, `n > "3"`, "E0110", "`>` cannot compare an int with a string", "write the number without quotes: `n > 3`"},
		{`n == "3"`, `n == "3"`, "E0110", "`n` is an int, it is never equal to a string", "write the number without quotes: `3`"},
		{`n and b`, `n`, "E0110", "a condition must be true or false, `n` is an int", "compare it: `n > 0`"},
		{`data and b`, `data`, "E0110", "`data` may be anything, a condition must be true or false", "compare it: `data == true`"},
		{`filter(xs, # + 1)`, `# + 1`, "E0110", "this must be true or false for each item, `# + 1` is an int", "compare it: `# + 1 > 0`"},
		{`xs["a"]`, `"a"`, "E0110", "the number of an item must be an int, `\"a\"` is a string", ""},
		{`upper(xs)`, `xs`, "E0110", "`upper` takes a string, `xs` is a list of int", ""},
		{`upper(n)`, `n`, "E0110", "`upper` takes a string, `n` is an int", "write `string(n)`"},
		{`upper()`, `upper()`, "E0110", "`upper` takes one argument, not 0", "`upper(text) string`: the text in capitals"},
		{`kind == "bugs"`, `"bugs"`, "E0114", "`kind` is never \"bugs\"", `it is "bug", "billing" or "other"`},
		{`review.kind in ["bug", "x"]`, `"x"`, "E0114", "`review.kind` is never \"x\"", `it is "bug", "billing" or "other"`},
		{`reply + "x"`, `reply`, "E0115", "`reply` may be nothing, a value is needed here", "say what to use instead: `(reply ?? \"none\")`"},
		{`maybe.score`, `maybe`, "E0115", "`maybe` may be nothing, a value is needed here", "say what to use instead: `(maybe ?? …)`"},
		{`upper(first(words))`, `first(words)`, "E0115", "`first(words)` may be nothing, a value is needed here", "say what to use instead: `(first(words) ?? \"none\")`"},
		{`now()`, `now`, "E0124", "`now` gives another value each time, so a run could not be resumed", "`run.started` is when the run began"},
		{`uper(s)`, `uper`, "E0101", "I don't know a function named `uper`", ""},
		{`text(s)`, `text`, "E0101", "I don't know a function named `text`", "write `string(…)`, or put the value into a text: `\"<<…>>\"`"},
		{`toJSON(s)`, `toJSON`, "E0101", "I don't know a function named `toJSON`", "write `json(…)`"},
		{`"a" in s`, `"a" in s`, "E0110", "`in` looks into a list or a record, `s` is a string", "write `s contains \"a\"`"},
		{`words contains "a"`, `words contains "a"`, "E0110", "`contains` looks into a text, `words` is a list of string", "write `\"a\" in words`"},
		{`n in words`, `n in words`, "E0110", "`n` is an int, it is never in a list of string", ""},
		{`s matches "("`, `"("`, "E0110", "this pattern cannot be read: missing closing ): `(`", "a pattern is a regular expression: `matches \"^[a-z]+$\"`"},
		{`{a: 1, a: 2}`, `a`, "E0110", "the field `a` is given twice", ""},
		{`1 / 0`, `1 / 0`, "E0110", "this divides by zero", ""},
		{`sort(reviews)`, `reviews`, "E0110", "`sort` takes numbers or texts, `reviews` is a list of Review", "say by what: `sortBy(reviews, .name)`"},
		{`1..f`, `f`, "E0110", "a list of numbers goes from an int to an int, `f` is a float", ""},
		{`string(file)`, `file`, "E0110", "a file cannot stand in a text", "what is in it is `file.text`"},
	} {
		tree, problems := Parse(c.code)
		if len(problems) > 0 {
			t.Errorf("%s: %v", c.code, problems)
			continue
		}
		_, problems = tree.Type(lookup)
		if len(problems) != 1 {
			t.Errorf("%s: %d problems, want one: %v", c.code, len(problems), problems)
			continue
		}
		p := problems[0]
		if span := string([]rune(c.code)[p.Start:p.End]); p.Code != c.id || p.Message != c.message || p.Help != c.help || span != c.span {
			t.Errorf("%s:\n got %s [%s] %s\n     %s\nwant %s [%s] %s\n     %s", c.code, p.Code, span, p.Message, p.Help, c.id, c.span, c.message, c.help)
		}
	}
}

func TestSyntaxProblems(t *testing.T) {
	for _, c := range []struct{ code, span, message string }{
		{``, "", "an expression is missing here"},
		{`n = 3`, "=", "`=` gives a name, it does not compare"},
		{`if b { 1 } else { 2 }`, "if", "an expression has no `if`"},
		{`let x = 1; x`, "let", "a `let` cannot stand inside an expression"},
		{`n; n`, ";", "an expression has no `;`"},
		{"`x`", "`", "a text stands in single or double quotes"},
		{`$env`, "$", "a name has no `$`"},
		{`n // x`, "//", "a comment cannot stand inside an expression"},
		{`n /* x */`, "/*", "a comment cannot stand inside an expression"},
		{`n & b`, "&", "an expression has no `&`"},
		{`(n`, "(", "this `(` is never closed"},
		{`(n]`, "(", "this `(` is closed by a `]`"},
		{`n)`, ")", "this `)` closes nothing"},
		{`"héé`, `"`, "this text is never closed"},
		{`n +`, "+", "the expression ends too early"},
		{`n n`, "n", "I did not expect `n` here"},
		{`s.upper()`, "s.upper", "only a function can be called in an expression"},
		{`#acc`, "#acc", "I don't know `#acc`"},
		{`99999999999999999999`, "99999999999999999999", "this number is too large"},
		{`"\q"`, "", "this text has a `\\` that means nothing"},
		{`b"x"`, "b", "a text has no letter before its quote"},
		{`::len(xs)`, "::", "an expression has no `::`"},
		{`a ?? 1 + 2`, "+", "`??` and other operators need brackets to say which goes first"},
	} {
		tree, problems := Parse(c.code)
		if tree != nil || len(problems) != 1 {
			t.Errorf("%s: %d problems", c.code, len(problems))
			continue
		}
		p := problems[0]
		runes := []rune(c.code)
		if p.End > len(runes) {
			t.Errorf("%s: the span ends at %d of %d", c.code, p.End, len(runes))
			continue
		}
		if span := string(runes[p.Start:p.End]); p.Code != "E0001" || p.Message != c.message || c.span != "" && span != c.span {
			t.Errorf("%s: got [%s] %s, want [%s] %s", c.code, span, p.Message, c.span, c.message)
		}
		tree.Names() // of no tree there are no names, and no crash
	}
}

func TestOtherLanguagesAreHelped(t *testing.T) {
	for code, help := range map[string]string{
		`s.upper()`:                 "write `upper(s)`",
		`words.join(", ")`:          "write `join(words, …)`",
		`reviews[0].notes.strip()`:  "write `trim(…)`",
		`http.get("x")`:             "an agent is called in a step of its own: `page = http.get \"…\"`",
		`map(xs, x => x)`:           "the current item is `#`: `filter(xs, # > 3)`, `map(xs, .name)`",
		`n === 3`:                   "write `==`",
		`n !== 3`:                   "write `!=`",
		`n = 3`:                     "to compare write `==`",
		`n is 3`:                    "to compare write `==`",
		`# > 3`:                     "`#` and `.name` are the current item and its field, inside `filter(…)`, `map(…)` and their like; with a text they are joined by `+`: \"Hi \" + #",
		`map(reviews, {a: .notes})`: "a record for each item stands in two braces: `map(xs, {{name: .name}})`",
		`b ? 1`:                     "",
	} {
		tree, problems := Parse(code)
		if tree != nil || len(problems) != 1 || problems[0].Help != help {
			t.Errorf("%s: %v", code, problems)
		}
	}
}

func TestNames(t *testing.T) {
	tree, _ := Parse(`a.b + len(filter(cs, .d > é)) + {e: g}["h"] + a?.x`)
	var got []string
	for _, n := range tree.Names() {
		got = append(got, fmt.Sprintf("%s@%d-%d", n.Text, n.Start, n.End))
	}
	if s := strings.Join(got, " "); s != "a@0-1 cs@17-19 é@26-27 g@36-37 a@46-47" {
		t.Error(s)
	}
}

func TestOneUnknownNameIsOneMistake(t *testing.T) {
	for _, code := range []string{`ghost.a.b + 1`, `upper(ghost)`, `ghost and b`, `xs[ghost]`, `filter(ghost, .a > 1)`, `ghost == "x"`, `not ghost`, `sum(ghost)`} {
		tree, _ := Parse(code)
		if _, problems := tree.Type(lookup); len(problems) > 0 {
			t.Errorf("%s: %v", code, problems)
		}
	}
}

func TestTaintIsTheUnion(t *testing.T) {
	for code, want := range map[string]Taint{
		`n`: 0, `data`: World, `data.x + 1`: World, `len(data)`: World, `token`: Secret, `{a: token, b: data}`: Secret | World,
		`b ? data : 1`: World, `map(xs, # + data)`: World, `filter(data, .ok)`: World, `data ?? token`: Secret | World, `"a" + token`: Secret,
	} {
		tree, _ := Parse(code)
		if o, _ := tree.Type(lookup); o.Taint != want {
			t.Errorf("%s: %b, want %b", code, o.Taint, want)
		}
	}
}

func TestLiteralsFitWhatTheySay(t *testing.T) {
	enum := types.Type{Kind: types.Enum, Values: []string{"yes", "no"}}
	record := types.Type{Kind: types.Record, Fields: []types.Field{{Name: "ok", Type: enum}, {Name: "n", Type: floatType}}}
	for _, c := range []struct {
		code string
		to   types.Type
		want bool
	}{
		{`"no"`, enum, true}, {`"maybe"`, enum, false}, {`s`, enum, false}, {`b ? "yes" : "no"`, enum, true}, {`["yes", "no"]`, types.ListOf(enum), true},
		{`["yes", s]`, types.ListOf(enum), false}, {`{ok: "yes", n: 1}`, record, true}, {`{ok: "yes", n: 1, more: 2}`, record, true}, {`{ok: "what", n: 1}`, record, false},
		{`{ok: "yes"}`, record, false}, {`3`, floatType, true}, {`"x"`, stringType, true}, {`[]`, types.ListOf(record), true},
	} {
		tree, _ := Parse(c.code)
		if o, _ := tree.Type(lookup); o.Fits(c.to) != c.want {
			t.Errorf("%s fits %s: %v", c.code, c.to, !c.want)
		}
	}
}

// As lang/syntax hands it over: each text is one letter and blanks.
func TestPlaceholdersAreTexts(t *testing.T) {
	const plain, valued = "\U00017000", "\U00017001"
	asked := 0
	texts := func(name string) (Operand, bool) {
		switch name {
		case plain:
			asked++
			return Operand{Type: stringType, Literal: "bugs"}, true
		case valued:
			return Operand{Type: stringType}, true
		}
		return lookup(name)
	}
	for _, c := range []struct{ code, want, message, help string }{
		{"kind == " + plain + "     ", "bool", "`kind` is never \"bugs\"", `it is "bug", "billing" or "other"`},
		{"kind in [" + plain + "     ]", "bool", "`kind` is never \"bugs\"", `it is "bug", "billing" or "other"`},
		{"n + " + plain + "     ", "string", "`+` cannot take an int and a string", "put it into the text: `\"<<n>>…\"`, or write `string(n)`"},
		{plain + "      and b", "bool", "a condition must be true or false, `\"bugs\"` is a string", ""},
		{"(" + plain + "      + s) and b", "bool", "a condition must be true or false, `\"bugs\" + s` is a string", "compare it: `\"bugs\" + s == \"yes\"`"},
		{"{" + plain + "     : 1}", "{bugs: int}", "", ""},
		{"{" + valued + "     : 1}", "any", "the name of a field cannot have values in it", "put it in brackets: `{(\"…\"): …}`"},
		{"{(" + valued + "     ): 1}", "any", "", ""},
		{"review[" + plain + "     ]", "any", "`review` has no field `bugs`", "its fields: score, notes, kind, tip"},
		{"[" + plain + "     , s]", "list of string", "", ""},
		{plain + "     (s)", "any", "a text cannot be called", "an agent stands before its text, a function before its `(`"},
	} {
		tree, problems := Parse(c.code)
		if tree == nil {
			t.Errorf("%s: %v", c.code, problems)
			continue
		}
		asked = 0
		o, problems := tree.Type(texts)
		if len(problems) == 0 {
			problems = []Problem{{}}
		}
		if p := problems[0]; o.Type.String() != c.want || p.Message != c.message || p.Help != c.help || len(problems) > 1 || asked > 1 {
			t.Errorf("%s: %s, %s, %s (%d problems, asked %d times)", c.code, o.Type, p.Message, p.Help, len(problems), asked)
		}
	}
	if _, problems := Parse("n " + plain); len(problems) != 1 || problems[0].Message != "I did not expect a text here" {
		t.Error(problems)
	}
	tree, _ := Parse(plain)
	if o, _ := tree.Type(texts); !o.Fits(types.Type{Kind: types.Enum, Values: []string{"bugs"}}) || o.Type.Kind != types.String {
		t.Errorf("%+v", o)
	}
}
