package eval

import (
	"errors"
	"reflect"
	"regexp"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/slopstudios/slop/lang/types"
)

// FuzzEval holds for every text: nothing panics, places lie within it, what the checker passes compiles, an evaluation gives the same value or the same
// failure each time, the value is of the type that was promised, and what is typed through and through does not fail for its types.
func FuzzEval(f *testing.F) {
	for _, seed := range []string{
		`n + 1`, `review.score >= 8 and review.kind == "bug"`, `filter(reviews, .score > 3) | map(.notes) | join(", ")`, `maybe?.score ?? 0`, `s[1:3] + upper(words[0])`,
		`sortBy(reviews, .score, "desc")[0].notes`, `groupBy(reviews, .kind)`, `1 < n < 5`, `n in 1..10`, `{a: 1, ("b" + s): [n, f]}`, `b ? xs : []`, `sum(xs, # * #index)`,
		`text("a ", n, {a: xs})`, `not (s matches "^h") or false`, `maybe != nil ? maybe.score : -n`, `fromJSON(json(review)).score`, `"é" + "\u{1F600}"`, `max(xs) ** 2 / 3 % 2`,
		`count(reviews, any(nested, # == [.score]))`, `1..1e9`, `repeat(s, 99999999)`, `((((`, `a ?? b + c`, `maybe?.tip?.[0]`, `0x1F + 1_0.5e3`, `xs[-1:][0]`, "\"\xff\"", `-(-9223372036854775807 - 1)`,
		`find(reviews, .tip != nil)?.tip ?? "none"`, `flatten(map(nested, reverse(#)))`, `toPairs(review) | fromPairs()`, `#`, `map(xs, #) == xs`, `keys(data)`, `[n, s, nil, b][2]`, `reply ?? (n > 2 ? nil : "x")`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code string) { holds(t, code) })
}

// fataler is what fuzzing and rapid have in common.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func holds(t fataler, code string) {
	t.Helper()
	tree, problems := Parse(code)
	within(t, code, problems)
	if tree == nil {
		if len(problems) == 0 {
			t.Fatal("no tree and no problem")
		}
		if _, err := Compile(code); err == nil {
			t.Fatal("what does not parse compiles")
		}
		return
	}
	for _, n := range tree.Names() {
		if got := string([]rune(code)[n.Start:n.End]); got != n.Text {
			t.Fatalf("the name %q stands at %q", n.Text, got)
		}
	}
	sawAny := false
	ty := typer{tree: tree, ask: func(name string) (Operand, bool) {
		o, ok := names[name]
		sawAny = sawAny || !ok
		return o, ok
	}, observe: func(of types.Type) { sawAny = sawAny || hasAny(of) }}
	o := ty.of(tree.root)
	within(t, code, ty.problems)
	p, err := Compile(code)
	if err != nil {
		if len(ty.problems) == 0 {
			t.Fatalf("checked, but does not compile: %v", err)
		}
		return
	}
	v, failure := p.Eval(env)
	again, failedAgain := p.Eval(env)
	if !reflect.DeepEqual(v, again) || !reflect.DeepEqual(failure, failedAgain) {
		t.Fatalf("%v %v, then %v %v", v, failure, again, failedAgain)
	}
	if failure != nil {
		var why *Failure
		if !errors.As(failure, &why) || why.Kind == "" || why.Message == "this cannot be computed" {
			t.Fatalf("an unexplained failure: %#v", failure)
		}
		within(t, code, []Problem{{Code: "-", Start: why.Start, End: why.End, Message: why.Message}})
		if why.Kind == TypeFailure && len(ty.problems) == 0 && !sawAny {
			t.Fatalf("checked as %s, but: %v", o.Type, failure)
		}
		return
	}
	if len(ty.problems) > 0 {
		return
	}
	if _, wrong := Read(o.Type, v); len(wrong) > 0 {
		t.Fatalf("promised %s, got %v: %v", o.Type, v, wrong)
	}
}

func within(t fataler, code string, problems []Problem) {
	t.Helper()
	n := utf8.RuneCountInString(code)
	for _, p := range problems {
		if p.Start < 0 || p.End < p.Start || p.End > n || p.Message == "" || p.Code == "" {
			t.Fatalf("a place outside the text of %d: %+v", n, p)
		}
	}
}

// TestTypedExpressionsHoldTheirPromise asks the same of expressions that are mostly well typed, which a fuzzer rarely finds.
func TestTypedExpressionsHoldTheirPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		holds(t, drawCode(t, rapid.SampledFrom([]string{"int", "float", "bool", "string", "ints", "strings", "reviews", "review", "kind", "maybe"}).Draw(t, "want"), 4))
	})
}

// drawCode draws an expression of a type. In the body of a predicate it does not use #, except where it stands here.
func drawCode(t *rapid.T, want string, depth int) string {
	rules := map[string][]string{
		"int":     {"n", "3", "0", "-1", "review.score"},
		"float":   {"f", "2.5", "0.0", "1e3"},
		"bool":    {"b", "true", "false"},
		"string":  {"s", `"x"`, `""`, "review.notes", "file.text"},
		"ints":    {"xs", "[]", "1..4", "[1, 2]"},
		"strings": {"words", "[]", `["a", "b"]`, "keys(review)"},
		"reviews": {"reviews", "[]", "[review]"},
		"review":  {"review", "reviews[0]"},
		"kind":    {"kind", "review.kind", `"bug"`},
		"maybe":   {"reply", "nil", "review.tip", "maybe?.notes"},
	}
	if depth > 0 {
		rules = map[string][]string{
			"int":     {"<int> + <int>", "<int> - <int>", "<int> * <int>", "<int> % <int>", "-<int>", "(<int>)", "len(<strings>)", "len(<string>)", "sum(<ints>)", "sum(<reviews>, .score)", "max(<ints>)", "abs(<int>)", "round(<float>)", "<ints>[<int>]", "<bool> ? <int> : <int>", "count(<ints>, # > <int>)", "first(<ints>) ?? <int>", "indexOf(<string>, <string>)", "findIndex(<ints>, # == <int>) ?? <int>", "{a: <int>, b: <string>}.a", "<review>.score", "int(<string>)", "(find(<reviews>, <bool>)?.score) ?? <int>", "<int>"},
			"float":   {"<float> + <int>", "<int> / <int>", "<float> * <float>", "mean(<ints>)", "median(<ints>)", "<int> ** <int>", "float(<int>)", "<bool> ? <int> : <float>", "min(<float>, <int>)", "sum(<ints>, # / <int>)", "max(<int>, <float>)"},
			"bool":    {"<int> > <int>", "<float> <= <int>", "<string> == <string>", "<int> in <ints>", "<float> in <int>..int", "not <bool>", "<bool> and <bool>", "<bool> or <bool>", "any(<ints>, # > <int>)", "all(<reviews>, .kind == <kind>)", "<kind> == \"bug\"", "<string> contains <string>", "<string> matches \"^h\"", "<maybe> == nil", "<string> in <strings>", "<ints> == <ints>", "one(<ints>, <bool>)", "<kind> in [\"bug\", \"other\"]", "<maybe> != nil ? <maybe> == <string> : <bool>", "none(<strings>, # startsWith <string>)", "<string> < <string>", "\"score\" in <review>"},
			"string":  {"<string> + <string>", "upper(<string>)", "<maybe> ?? <string>", "<strings>[<int>]", "join(<strings>, <string>)", "join(<ints>)", "<string>[<int>:<int>]", "<string>[<int>]", "string(<ints>)", "<review>.notes", "string(<float>)", "json(<review>)", "<kind> + <string>", "bullets(<strings>)", "replace(<string>, <string>, <string>)", "trim(<string>)", "repeat(<string>, <int>)", "<bool> ? <string> : <kind>", "(find(<reviews>, <bool>)?.notes) ?? <string>", "<reviews>[<int>]?.tip ?? <string>"},
			"ints":    {"filter(<ints>, # > <int>)", "map(<reviews>, .score)", "map(<ints>, # + <int>)", "concat(<ints>, <ints>)", "sort(<ints>)", "reverse(<ints>)", "<ints>[<int>:]", "take(<ints>, <int>)", "[<int>, <int>]", "uniq(<ints>)", "<int>..int", "<bool> ? <ints> : []", "flatten([<ints>, <ints>])", "map(<strings>, len(#))", "sort(<ints>, \"desc\")", "values({a: <int>, b: <int>})", "map(<ints>, #index)", "map(filter(<reviews>, .score > <int>), .score)"},
			"strings": {"map(<reviews>, .notes)", "split(<string>, \",\")", "lines(<string>)", "map(<ints>, string(#))", "sortBy(<strings>, len(#))", "concat(<strings>, [<string>])", "keys({a: <int>})", "filter(<strings>, # != <string>)", "uniq(<strings>)", "map(<reviews>, .tip ?? <string>)"},
			"reviews": {"filter(<reviews>, .score > <int>)", "sortBy(<reviews>, .score)", "concat(<reviews>, [<review>])", "reverse(<reviews>)", "<reviews>[<int>:]", "sortBy(<reviews>, .notes, \"desc\")", "uniq(<reviews>)"},
			"review":  {"<reviews>[<int>]", "<bool> ? <review> : <review>", "first(<reviews>) ?? <review>"},
			"kind":    {"<review>.kind", "<bool> ? <kind> : <kind>", "<bool> ? <kind> : \"other\""},
			"maybe":   {"first(<strings>)", "find(<strings>, # contains <string>)", "<bool> ? <string> : nil", "find(<reviews>, <bool>)?.notes", "<maybe> ?? <maybe>", "maybe?.notes", "last(<strings>)", "find(<reviews>, .score > <int>)?.tip"},
		}
	}
	rule := rapid.SampledFrom(rules[want]).Draw(t, want)
	if depth == 0 {
		return rule
	}
	return kindWord.ReplaceAllStringFunc(rule, func(word string) string {
		word = word[1 : len(word)-1]
		if depth == 0 || rapid.IntRange(0, 9).Draw(t, "leaf") == 0 {
			return "(" + drawCode(t, word, 0) + ")"
		}
		return "(" + drawCode(t, word, depth-1) + ")"
	})
}

// kindWord is what a rule leaves open.
var kindWord = regexp.MustCompile(`<\w+>`)
