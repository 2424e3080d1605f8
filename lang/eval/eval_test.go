package eval

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/expr-lang/expr/builtin"
	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/types"
)

func review(score int, notes, kind string, tip any) map[string]any {
	return map[string]any{"score": score, "notes": notes, "kind": kind, "tip": tip}
}

// env has values of the types in names.
var env = map[string]any{
	"n": 3, "f": 2.5, "s": "héllo", "b": true, "kind": "bug", "review": review(7, "fine", "other", nil),
	"xs": []any{3, 1, 2}, "words": []any{"b", "a", "c"}, "reply": nil, "maybe": nil, "token": types.Secret{Name: "token"},
	"reviews": []any{review(7, "fine", "bug", nil), review(2, "dull", "other", "cut"), review(9, "wow", "bug", nil)},
	"data":    map[string]any{"ok": true, "list": []any{1, 2}, "deep": map[string]any{"er": "x"}, "zero": 0},
	"file":    types.FileValue{Name: "a.txt", Size: 3, Type: "text/plain", SHA256: "x", Data: []byte("abc")},
	"image":   types.FileValue{Name: "a.png", Size: 2, Data: []byte{0xff, 0xfe}},
	"nested":  []any{[]any{1}, []any{2, 3}, []any{}},
	"max":     math.MaxInt, "min": math.MinInt,
}

func evaluate(code string, env map[string]any) (any, error) {
	p, err := Compile(code)
	if err != nil {
		return nil, err
	}
	return p.Eval(env)
}

func TestValues(t *testing.T) {
	list := func(xs ...any) []any { return append([]any{}, xs...) }
	for _, c := range []struct {
		code string
		want any
	}{
		// numbers
		{`n + 1`, 4}, {`n + f`, 5.5}, {`7 / 2`, 3.5}, {`6 / 2`, 3.0}, {`7 % 4`, 3}, {`-7 % 4`, -3}, {`2 ** 10`, 1024.0}, {`-n`, -3}, {`+n`, 3}, {`- -n`, 3},
		{`n * 2 - 1`, 5}, {`1_000`, 1000}, {`0x1f`, 31}, {`min % -1`, 0}, {`max - 1 + 1`, math.MaxInt}, {`3037000499 * 3037000499`, 3037000499 * 3037000499}, {`min * 1`, math.MinInt},
		{`n == 3.0`, true}, {`9007199254740993 == 9007199254740992.0`, false}, {`9007199254740993 > 9007199254740992.0`, true}, {`n < f`, false}, {`1 < n < 5`, true}, {`1 < n < 2`, false},
		{`abs(-3)`, 3}, {`abs(-2.5)`, 2.5}, {`ceil(2.1)`, 3}, {`floor(-2.1)`, -3}, {`round(2.5)`, 3}, {`round(-2.5)`, -3}, {`int(3.9)`, 3}, {`int("42")`, 42}, {`float("2.5e1")`, 25.0}, {`float(3)`, 3.0},
		{`max(1, 3, 2.5)`, 3}, {`max(xs)`, 3}, {`min(xs, 0)`, 0}, {`sum(xs)`, 6}, {`sum([0.5, 1])`, 1.5}, {`sum([])`, 0}, {`sum(reviews, .score)`, 18}, {`mean(xs)`, 2.0}, {`median(xs)`, 2.0}, {`median([1, 2])`, 1.5},
		// logic and comparison
		{`b and not false`, true}, {`false or b`, true}, {`false and 1 / 0 > 1`, false}, {`true or 1 / 0 > 1`, true}, {`b ? 1 : 1 / 0`, 1}, {`!b`, false}, {`b && true || false`, true},
		{`n == "3"`, false}, {`nil == nil`, true}, {`reply == nil`, true}, {`xs == [3.0, 1, 2]`, true}, {`{a: 1, b: 2} == {b: 2.0, a: 1}`, true}, {`review != review`, false}, {`"a" < "b"`, true},
		// in
		{`1 in xs`, true}, {`1.0 in xs`, true}, {`4 in xs`, false}, {`4 not in xs`, true}, {`"score" in review`, true}, {`2.5 in 1..10`, true}, {`10 in 1..10`, true}, {`10.01 in 1..10`, false}, {`0.7 in 0.5..0.8`, true}, {`5 in 1..1e9`, true}, {`n not in 4..5`, true},
		// texts
		{`s + "!"`, "héllo!"}, {`s[1]`, "é"}, {`s[-1]`, "o"}, {`s[1:3]`, "él"}, {`s[:2]`, "hé"}, {`s[-2:]`, "lo"}, {`s[4:2]`, ""}, {`s[:99]`, "héllo"}, {`len(s)`, 5}, {`indexOf(s, "llo")`, 2}, {`indexOf(s, "x")`, -1}, {`lastIndexOf(s, "l")`, 3},
		{`upper(s)`, "HÉLLO"}, {`lower("ÀB")`, "àb"}, {`trim("  a ")`, "a"}, {`trim("xax", "x")`, "a"}, {`trimPrefix("abc", "a")`, "bc"}, {`trimSuffix("abc", "c")`, "ab"}, {`replace("aba", "a", "x")`, "xbx"}, {`repeat("ab", 3)`, "ababab"}, {`repeat("ab", 0)`, ""},
		{`split("a,b", ",")`, list("a", "b")}, {`lines("a\nb\n")`, list("a", "b")}, {`lines("a\r\nb")`, list("a", "b")}, {`lines("")`, list()}, {`join(words, "-")`, "b-a-c"}, {`join(xs)`, "312"}, {`bullets(words)`, "- b\n- a\n- c"}, {`bullets(["a\nb"])`, "- a\n  b"},
		{`s startsWith "hé"`, true}, {`s endsWith "x"`, false}, {`s contains "ll"`, true}, {`s not contains "ll"`, false}, {`s matches "^h.l+o$"`, true}, {`s matches ("^" + "x")`, false},
		{`string(1.0)`, "1"}, {`string(b)`, "true"}, {`string("x")`, "x"}, {`string([1])`, "[\n  1\n]"}, {`json({b: [1, 2.0, nil], a: "<&>"})`, `{"a":"<&>","b":[1,2,null]}`}, {`json("a\"b")`, `"a\"b"`}, {`json(nil)`, "null"},
		{`fromJSON("{\"a\": [1, 2.0, 1e2]}")`, map[string]any{"a": list(1, 2.0, 100.0)}}, {`text("a", n, " ", f, b)`, "a3 2.5true"}, {`text("x ", {b: 1, a: []})`, "x {\n  \"a\": [],\n  \"b\": 1\n}"},
		// lists
		{`xs[0]`, 3}, {`xs[-1]`, 2}, {`xs[1:]`, list(1, 2)}, {`xs[:-1]`, list(3, 1)}, {`xs[5:]`, list()}, {`1..3`, list(1, 2, 3)}, {`3..1`, list()}, {`2..2`, list(2)}, {`1..1e1 | len()`, 10},
		{`len(xs)`, 3}, {`len(review)`, 4}, {`first(xs)`, 3}, {`last(xs)`, 2}, {`first([])`, nil}, {`take(xs, 2)`, list(3, 1)}, {`take(xs, 9)`, list(3, 1, 2)}, {`reverse(xs)`, list(2, 1, 3)}, {`sort(xs)`, list(1, 2, 3)}, {`sort(words, "desc")`, list("c", "b", "a")}, {`sort([2, 1.5])`, list(1.5, 2)},
		{`sortBy(reviews, .score)[0].notes`, "dull"}, {`map(sortBy(reviews, .kind, "desc"), .score)`, list(2, 7, 9)}, {`map(sortBy(reviews, .kind), .score)`, list(7, 9, 2)}, {`concat(xs, [4], [])`, list(3, 1, 2, 4)}, {`concat([])`, list()}, {`flatten(nested)`, list(1, 2, 3)}, {`flatten([[1, [2]], 3])`, list(1, 2, 3)},
		{`uniq([1, 1.0, "1", 2, "1", [1], [1.0], nil, nil])`, list(1, "1", 2, list(1), nil)}, {`filter(xs, # > 1)`, list(3, 2)}, {`filter(reviews, .score > 5) | map(.notes)`, list("fine", "wow")}, {`map(xs, #index)`, list(0, 1, 2)}, {`map([], # + 1)`, list()},
		{`all(xs, # > 0)`, true}, {`any(xs, # > 2)`, true}, {`none(xs, # > 5)`, true}, {`one(xs, # == 3)`, true}, {`all([], # > 0)`, true}, {`any([], # > 0)`, false}, {`count(xs, # > 1)`, 2}, {`count([true, false, true])`, 2},
		{`find(xs, # < 3)`, 1}, {`find(xs, # > 5)`, nil}, {`findLast(xs, # < 3)`, 2}, {`findIndex(xs, # < 3)`, 1}, {`findLastIndex(xs, # < 3)`, 2}, {`findIndex(xs, # > 5)`, nil}, {`findLast([], # > 5)`, nil},
		{`map(nested, sum(#))`, list(1, 5, 0)}, {`map(xs, {{v: #}})[0].v`, 3}, {`sum(map(nested, len(#)))`, 3}, {`filter(nested, any(#, # > 2))`, list(list(2, 3))},
		// records
		{`review.notes`, "fine"}, {`review["notes"]`, "fine"}, {`review.tip`, nil}, {`review.tip ?? "x"`, "x"}, {`data.deep.er`, "x"}, {`{a: 1, ("b" + "c"): 2}`, map[string]any{"a": 1, "bc": 2}}, {`keys(data)`, list("deep", "list", "ok", "zero")}, {`values({b: 1, a: 2})`, list(2, 1)},
		{`toPairs({b: 1, a: 2})`, list(list("a", 2), list("b", 1))}, {`fromPairs([["x", 1], ["y", 2]])`, map[string]any{"x": 1, "y": 2}}, {`groupBy(xs, # > 1 ? "big" : "small")`, map[string]any{"big": list(3, 2), "small": list(1)}}, {`keys(groupBy(reviews, .kind))`, list("bug", "other")},
		// what may not be there
		{`data?.nope`, nil}, {`data?.nope.deeper.still`, nil}, {`data?.deep.er`, "x"}, {`data?.deep?.no ?? 4`, 4}, {`maybe?.score`, nil}, {`maybe?.score ?? 0`, 0}, {`maybe?.["a"]`, nil}, {`data?.["deep"].er`, "x"}, {`maybe?.a[0] ?? 1`, 1}, {`xs ?? 1`, list(3, 1, 2)}, {`data.zero ?? 7`, 0}, {`(maybe?.a ?? maybe?.b) ?? "c"`, "c"},
		// files and secrets
		{`file.text`, "abc"}, {`file.name + file.type`, "a.txttext/plain"}, {`file.size + 1`, 4}, {`image.size`, 2}, {`text("Bearer ", token)`, types.Parts{"Bearer ", types.Secret{Name: "token"}}}, {`{h: token}`, map[string]any{"h": types.Secret{Name: "token"}}},
	} {
		got, err := evaluate(c.code, env)
		if err != nil {
			t.Errorf("%s: %v", c.code, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.code, diff)
		}
	}
}

func TestFailures(t *testing.T) {
	for _, c := range []struct{ code, kind, span, message string }{
		{`1 + n / 0`, NumberFailure, "n / 0", "this divides by zero"},
		{`n % 0`, NumberFailure, "n % 0", "this divides by zero"},
		{`max + 1`, NumberFailure, "max + 1", "the result is too large for an int"},
		{`min - 1`, NumberFailure, "min - 1", "the result is too large for an int"},
		{`max * 2`, NumberFailure, "max * 2", "the result is too large for an int"},
		{`min * -1`, NumberFailure, "min * -1", "the result is too large for an int"},
		{`-min`, NumberFailure, "-min", "the result is too large for an int"},
		{`abs(min)`, NumberFailure, "abs(min)", "the result is too large for an int"},
		{`int(1e300)`, NumberFailure, "int(1e300)", "the result is too large for an int"},
		{`1e308 * 10`, NumberFailure, "1e308 * 10", "the result is not a number that can be written down"},
		{`(-8) ** 0.5`, NumberFailure, "(-8) ** 0.5", "the result is not a number that can be written down"},
		{`sum([max, 1])`, NumberFailure, "sum([max, 1])", "the result is too large for an int"},
		{`review.nope`, MissingFailure, "review.nope", "there is no field `nope`; there are kind, notes, score, tip"},
		{`map(reviews, .nope)`, MissingFailure, ".nope", "there is no field `nope`; there are kind, notes, score, tip"},
		{`maybe.score`, MissingFailure, "maybe.score", "there is nothing to read `score` of"},
		{`data?.deep.nope`, MissingFailure, "data?.deep.nope", "there is no field `nope`; there are er"},
		{`xs[3]`, MissingFailure, "xs[3]", "there is no item 3: the list has 3 items"},
		{`s[-6]`, MissingFailure, "s[-6]", "there is no item -6: the text has 5 characters"},
		{`ghost + 1`, MissingFailure, "ghost", "there is no value named `ghost`"},
		{`n + s`, TypeFailure, "n + s", "`+` cannot take an int and a string"},
		{`data.ok + 1`, TypeFailure, "data.ok + 1", "`+` cannot take a bool and an int"},
		{`data.list and b`, TypeFailure, "data.list", "a condition is true or false, this is a list"},
		{`not data.zero`, TypeFailure, "data.zero", "a condition is true or false, this is an int"},
		{`reply ? 1 : 2`, TypeFailure, "reply", "a condition is true or false, this is nothing"},
		{`filter(data, true)`, TypeFailure, "data", "this is not a list, it is a record"},
		{`filter(s, true)`, TypeFailure, "s", "this is not a list, it is a string"},
		{`filter(reply, true)`, MissingFailure, "reply", "there is no list here, there is nothing"},
		{`filter(xs, #)`, TypeFailure, "#", "this must be true or false for each item, it is an int"},
		{`n > s`, TypeFailure, "n > s", "`>` cannot compare an int with a string"},
		{`sort([1, "a"])`, TypeFailure, `sort([1, "a"])`, "`sort` cannot compare a string with an int"},
		{`n in s`, TypeFailure, "n in s", "`in` looks into a list or a record; a text is searched with `contains`"},
		{`{(n): 1}`, TypeFailure, "n", "the name of a field is a string, this is an int"},
		{`xs.a`, TypeFailure, "xs.a", "a list has no field `a`; its items may: `map(…, .a)`"},
		{`image.text`, ValueFailure, "image.text", "`a.png` is not a text (it is not UTF-8)"},
		{`text("a", reply)`, ValueFailure, `text("a", reply)`, "there is nothing to put into the text; say what to write instead: `<<… ?? \"none\">>`"},
		{`text(file)`, ValueFailure, `text(file)`, "the file `a.txt` cannot stand in a text; write `.text` for what is in it, `.name` for its name"},
		{`token == "x"`, TypeFailure, `token == "x"`, "a secret cannot be read in an expression"},
		{`token + "x"`, TypeFailure, `token + "x"`, "`+` cannot take a secret and a string"},
		{`string(token)`, ValueFailure, `string(token)`, "a secret cannot stand in this text"},
		{`string([token])`, ValueFailure, `string([token])`, "a secret cannot stand in this text"},
		{`int("x1")`, ValueFailure, `int("x1")`, `"x1" is not an int`},
		{`float("inf")`, ValueFailure, `float("inf")`, `"inf" is not a number`},
		{`max([])`, ValueFailure, `max([])`, "`max` of an empty list is nothing"},
		{`fromJSON("{")`, ValueFailure, `fromJSON("{")`, "the JSON ends too early"},
		{`fromJSON("1 2")`, ValueFailure, `fromJSON("1 2")`, "there is something after the end of the JSON"},
		{`sort(xs, "up")`, ValueFailure, `sort(xs, "up")`, `the order is "asc" or "desc", not "up"`},
		{`take(xs, -1)`, ValueFailure, `take(xs, -1)`, "`take` cannot take -1 items"},
		{`repeat("a", -1)`, ValueFailure, `repeat("a", -1)`, "`repeat` cannot repeat -1 times"},
		{`s matches ("(" + "")`, ValueFailure, `s matches ("(" + "")`, "this pattern cannot be read: missing closing ): `(`"},
		{`1..1e9`, LimitFailure, "1..1e9", "this makes a list of more than 1048576 items"},
		{`1..1.5`, TypeFailure, "1..1.5", "a list from 1 to 1.5 needs two ints"},
		{`"a" in 1..2`, TypeFailure, `"a" in 1..2`, "a range holds numbers, not a string in 1..2"},
	} {
		_, err := evaluate(c.code, env)
		var f *Failure
		if !errors.As(err, &f) {
			t.Errorf("%s: %v, want a failure", c.code, err)
			continue
		}
		if span := string([]rune(c.code)[f.Start:f.End]); f.Kind != c.kind || f.Message != c.message || span != c.span {
			t.Errorf("%s:\n got %s [%s] %s\nwant %s [%s] %s", c.code, f.Kind, span, f.Message, c.kind, c.span, c.message)
		}
	}
}

// Each of these ends the process, or does not end, as expr ships it.
func TestBombs(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	long := make([]any, 3000)
	for i := range long {
		long[i] = i
	}
	env := map[string]any{"big": big, "xs": long, "deep": deepList(5000)}
	for _, code := range []string{
		`repeat(repeat("a", 900000), 900000)`,
		`repeat("", 9223372036854775807) + repeat("ab", 9223372036854775807)`,
		`sum(xs, sum(xs, sum(xs, 1)))`,
		`map(xs, map(xs, map(xs, #)))`,
		`join(map(xs, big), "")`,
		`map(xs, big)`,
		`map(xs, [big, big])`,
		`json(map(xs, big))`,
		`text(map(xs, big))`,
		`bullets(map(xs, big))`,
		`replace(big, "x", big)`,
		`split(big, "") | map(split(big, ""))`,
		`map(1..1000, replace(big, "x", "yyyyyyyyyy"))`,
		strings.Repeat("big + ", 40) + "big",
		`all(xs, all(xs, big contains "nope") or true)`,
		`any(xs, any(xs, any(xs, # < 0)))`,
		`filter(1..1000000, any(1..1000000, false))`,
		`-9223372036854775807..9223372036854775807`,
		`filter(xs, big matches "(x+x+)+y(a|b)*c{1,500}")`,
		`any(xs, any(xs, "x" matches ("a{1,900}" + string(#))))`,
		`flatten(map(xs, xs))`,
		`uniq(map(xs, [#]))`,
		`fromJSON("[" + repeat("[],", 5000000) + "[]]")`,
		`fromJSON(repeat("[", 9000) + repeat("]", 9000))`,
		`sortBy(map(1..100000, big), #)`,
		`deep == deep`,
		`json(deep)`,
		`flatten(deep)`,
		`[deep]`,
		`map(1..1000000, {{a: #, b: #}})`,
		`groupBy(1..1000000, string(#))`,
		`median(1..1000000, 1..1000000, 1..1000000, 1..1000000, 1..1000000, 1..1000000)`,
		`concat(` + strings.Repeat("1..1000000, ", 20) + `[])`,
	} {
		_, err := evaluate(code, env)
		var f *Failure
		if !errors.As(err, &f) || f.Kind != LimitFailure && f.Kind != ValueFailure {
			t.Errorf("%.60s: %v, want a limit", code, err)
		}
	}
}

func deepList(n int) any {
	var v any = 1
	for range n {
		v = []any{v}
	}
	return v
}

func TestSourceIsBounded(t *testing.T) {
	comparisons := "n"
	for range 60 {
		comparisons = "(0 < " + comparisons + " < 1)"
	}
	for _, code := range []string{
		strings.Repeat("!", 200_000) + "b",
		strings.Repeat("-", 200_000) + "1",
		strings.Repeat("not ", 200_000) + "b",
		strings.Repeat("(", 1_000_000) + "1" + strings.Repeat(")", 1_000_000),
		strings.Repeat("[", 500_000),
		strings.Repeat("{a:", 300_000),
		strings.Repeat("a?", 300_000),
		strings.Repeat("1 ** ", 200_000) + "1",
		strings.Repeat("a.", 400_000) + "a",
		strings.Repeat("1+", 400_000) + "1",
		strings.Repeat("a ? b : ", 3000) + "c",
		`"` + strings.Repeat("x", 2_000_000) + `"`,
		comparisons,
		"a" + strings.Repeat("[a", 2000) + strings.Repeat("]", 2000),
		"\xff\xfe", "\x00", "“quotes”", "a\u202eb",
	} {
		if _, problems := Parse(code); len(problems) == 0 {
			t.Errorf("%.40q was taken", code)
		}
	}
	long := "0" + strings.Repeat(" + 1", 1500)
	if v, err := evaluate(long, nil); err != nil || v != 1500 {
		t.Errorf("a long sum: %v, %v", v, err)
	}
}

func TestTheOrderOfRecordsIsTheSameEveryTime(t *testing.T) {
	record := map[string]any{}
	for _, k := range strings.Split("the quick brown fox jumps over that lazy dog", " ") {
		record[k] = []any{k, 1}
	}
	for _, code := range []string{`keys(r)`, `values(r)`, `toPairs(r)`, `json(r)`, `string(r)`, `groupBy(keys(r), #[0])`, `fromPairs(toPairs(r))`, `map(groupBy(values(r), #[1])["1"], #[0])`} {
		p, err := Compile(code)
		if err != nil {
			t.Fatal(err)
		}
		env := map[string]any{"r": record}
		want, err := p.Eval(env)
		if err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		for range 500 {
			if got, _ := p.Eval(env); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: %v, then %v", code, want, got)
			}
		}
	}
}

// A new release of expr may bring functions that nobody here has looked at.
func TestEveryBuiltinOfExprIsKnown(t *testing.T) {
	refused := []string{"bitand", "bitnand", "bitnot", "bitor", "bitshl", "bitshr", "bitushr", "bitxor", "date", "duration", "fromBase64", "get", "hasPrefix", "hasSuffix", "now", "reduce", "splitAfter", "timezone", "toBase64", "toJSON", "type"}
	var unknown []string
	for _, name := range builtin.Names {
		if functions[name] == nil && !slices.Contains(refused, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		t.Errorf("decide about %v", unknown)
	}
	for _, name := range refused {
		if functions[name] != nil {
			t.Errorf("%s is refused and in the list", name)
		}
		if _, err := Compile(name + "(1)"); err == nil {
			t.Errorf("%s can be called", name)
		}
	}
}

func TestFunctionsAreDocumentedAndCallable(t *testing.T) {
	list := Functions()
	if !slices.IsSortedFunc(list, func(a, b Function) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }) {
		t.Error("the list is not in order")
	}
	for _, f := range list {
		if f.Doc == "" || len(f.Params) == 0 {
			t.Errorf("%s has no words or no parameters", f.Name)
		}
		if f.hidden {
			t.Errorf("%s is not for authors", f.Name)
		}
		predicate := len(f.Params) > 1 && f.Params[1].Predicate
		if f.run == nil && !predicate {
			t.Errorf("%s does nothing", f.Name)
		}
	}
	if s := functions["sortBy"].Signature(); s != "sortBy(list, value, order?) list of any" {
		t.Error(s)
	}
}

func TestInputsAreNotChanged(t *testing.T) {
	xs := []any{3, 1, 2}
	env := map[string]any{"xs": xs}
	for _, code := range []string{`sort(xs)`, `reverse(xs)`, `sortBy(xs, #)`, `concat(xs, [1])`, `uniq(xs)`, `median(xs)`, `xs[1:]`, `map(xs, # + 1)`} {
		if _, err := evaluate(code, env); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(xs, []any{3, 1, 2}) {
			t.Fatalf("%s changed its argument to %v", code, xs)
		}
	}
}

func TestPath(t *testing.T) {
	if v, err := Path(env["data"], []string{"deep", "er"}); err != nil || v != "x" {
		t.Errorf("%v, %v", v, err)
	}
	if v, err := Path(1, nil); err != nil || v != 1 {
		t.Errorf("%v, %v", v, err)
	}
	_, err := Path(env["data"], []string{"deep", "nope"})
	var f *Failure
	if !errors.As(err, &f) || f.Kind != MissingFailure || f.Message != "there is no field `nope`; there are er" {
		t.Errorf("%v", err)
	}
	if v, err := Path(env["file"], []string{"text"}); err != nil || v != "abc" {
		t.Errorf("%v, %v", v, err)
	}
}

func TestRender(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{
		{"<a>", "<a>"}, {3, "3"}, {3.0, "3"}, {0.1, "0.1"}, {1e21, "1e+21"}, {1e-7, "1e-7"}, {true, "true"}, {math.Copysign(0, -1), "0"}, {[]any{}, "[]"}, {map[string]any{}, "{}"},
		{map[string]any{"b": []any{1, "<&>\u2028\n"}, "a": nil}, "{\n  \"a\": null,\n  \"b\": [\n    1,\n    \"<&>\u2028\\n\"\n  ]\n}"}, {"a\xff", "a\xff"}, {[]any{"a\xff\x01"}, "[\n  \"a\uFFFD\\u0001\"\n]"},
	} {
		if got, err := Render(c.v); err != nil || got != c.want {
			t.Errorf("got %q, %v; want %q", got, err, c.want)
		}
	}
	for _, v := range []any{nil, types.FileValue{}, types.Secret{}, types.Parts{}, []any{types.FileValue{}}, struct{}{}, deepList(3000)} {
		if s, err := Render(v); err == nil {
			t.Errorf("%T was written as %.40s", v, s)
		}
	}
	if got := RenderParts([]any{"a", 1, types.Parts{"b", types.Secret{Name: "k"}, "c"}, "d", types.Secret{Name: "l"}}); !reflect.DeepEqual(got, types.Parts{"a1b", types.Secret{Name: "k"}, "cd", types.Secret{Name: "l"}}) {
		t.Errorf("%#v", got)
	}
	if _, isError := RenderParts([]any{nil}).(error); !isError {
		t.Error("nothing was written")
	}
}

func TestACacheCompilesOnce(t *testing.T) {
	c := Cache{}
	a, err := c.Compile("1 + 1")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := c.Compile("1 + 1"); a != b {
		t.Error("compiled twice")
	}
	if _, err := c.Compile("1 +"); err == nil || len(c) != 1 {
		t.Error("what does not compile was kept")
	}
}
