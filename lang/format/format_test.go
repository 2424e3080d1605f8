package format_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// sameTree compares trees but for where things stand.
var sameTree = cmp.Options{
	cmpopts.IgnoreTypes(source.Span{}, &source.File{}, []syntax.Comment{}),
	cmpopts.IgnoreUnexported(syntax.Block{}),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Code" }, cmp.Comparer(func(a, b string) bool {
		return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
	})),
	cmp.Exporter(func(reflect.Type) bool { return false }),
}

func read(t *testing.T, text string) *syntax.File {
	t.Helper()
	f, list := syntax.Parse(source.NewFile("a.slop", text))
	if list.HasErrors() {
		var b strings.Builder
		diag.Print(&b, list, false)
		t.Fatalf("%s\nin\n%s", b.String(), text)
	}
	return f
}

// settled formats a text and requires that it means what it meant, has every comment it had, and is formatted.
func settled(t *testing.T, text string) string {
	t.Helper()
	before := read(t, text)
	once := string(format.File(before))
	after := read(t, once)
	if d := cmp.Diff(before, after, sameTree); d != "" {
		t.Fatalf("the meaning changed: %s\nfrom\n%s\nto\n%s", d, text, once)
	}
	if a, b := comments(before), comments(after); a != b {
		t.Fatalf("comments were\n%s\nand are\n%s\nin\n%s\nfrom\n%s", a, b, once, text)
	}
	if twice := string(format.File(after)); twice != once {
		t.Fatalf("formatting again changes it: %s\nfrom\n%s", cmp.Diff(once, twice), text)
	}
	return once
}

func comments(f *syntax.File) string {
	var list []string
	for _, c := range f.Comments {
		list = append(list, c.Text)
	}
	return strings.Join(list, "\n")
}

func programs(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"../syntax/testdata/*.slop", "../../examples/*.slop"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			out[path] = string(text)
		}
	}
	if len(out) < 11 {
		t.Fatalf("only %d programs", len(out))
	}
	return out
}

func TestPrograms(t *testing.T) {
	for name, text := range programs(t) {
		t.Run(filepath.Base(name), func(t *testing.T) { settled(t, text) })
	}
}

// A comment survives wherever a line may have one: behind it, and above it.
func TestCommentsEverywhere(t *testing.T) {
	for name, text := range programs(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
			tried := 0
			for i := range lines {
				for _, with := range []string{
					strings.Join(lines[:i+1], "\n") + " // HERE\n" + strings.Join(lines[i+1:], "\n"),
					strings.Join(lines[:i], "\n") + "\n// HERE\n" + strings.Join(lines[i:], "\n"),
				} {
					f, list := syntax.Parse(source.NewFile("a.slop", with))
					if list.HasErrors() || !strings.Contains(comments(f), "// HERE") {
						continue // inside a text of several lines
					}
					settled(t, with)
					tried++
				}
			}
			if tried < len(lines) {
				t.Errorf("only %d positions in %d lines", tried, len(lines))
			}
		})
	}
}

func TestFormat(t *testing.T) {
	for name, c := range map[string]struct{ from, to string }{
		"spacing":  {"x   =  writer   \"a\"   retry   3   wait  2s\noutput   x", "x = writer \"a\" retry 3 wait 2s\noutput x\n"},
		"indent":   {"x = parallel {\n      a = b \"c\"\n\n\n\n\td = e \"f\"\n\n}\n", "x = parallel {\n  a = b \"c\"\n\n  d = e \"f\"\n}\n"},
		"one line": {"x = try{a \"b\"}else{c \"d\"}", "x = try { a \"b\" } else { c \"d\" }\n"},
		"arms":     {"output match k {\n\"a\"->b \"c\"\n\"long\",\"d\" -> e\nelse->{f \"g\"}}", "output match k {\n  \"a\"         -> b \"c\"\n  \"long\", \"d\" -> e\n  else        -> { f \"g\" }\n}\n"},
		"clauses":  {"x = a \"b\"\nretry 2\n      timeout 30s else c", "x = a \"b\"\n  retry 2\n  timeout 30s else c\n"},
		"else":     {"if a {\n  b \"c\"\n}\nelse {\n  d \"e\"\n}\n", "if a {\n  b \"c\"\n} else {\n  d \"e\"\n}\n"},
		"text":     {"x = a \"\"\"\n      one\n        two\n   \"\"\"\n", "x = a \"\"\"\n      one\n        two\n   \"\"\"\n"},
		"windows":  {"\ufeffx = a \"b\"\r\noutput x\r\n", "x = a \"b\"\noutput x\n"},
		"comments": {"//a\n\n\n//b\nx = a \"b\"   //c\n\n//d", "//a\n\n//b\nx = a \"b\" //c\n\n//d\n"},
		"type":     {"type T{a:int \"x\",b:[string]?\nmust a>1 else \"no\"}", "type T {\n  a: int \"x\"\n  b: [string]?\n  must a>1 else \"no\"\n}\n"},
		"args":     {"x = a(\n b: 1,\n\n c: 2)\n", "x = a(\n  b: 1,\n\n  c: 2,\n)\n"},
		"long":     {"x = writer \"" + strings.Repeat("a", 90) + "\" retry 3 timeout 30s", "x = writer \"" + strings.Repeat("a", 90) + "\"\n  retry 3\n  timeout 30s\n"},
		"no line":  {"", ""},

		"a comment above else":     {"if a { b \"c\" }\n// d\nelse { e \"f\" }", "if a { b \"c\" } // d\nelse { e \"f\" }\n"},
		"a comment behind else":    {"if a { b \"c\" } else { // d\ne \"f\" }", "if a { b \"c\" } else { // d\n  e \"f\"\n}\n"},
		"comments in a header":     {"x = map a,\n// b\n// c\nd in e { f \"g\" }", "x = map a, d in e { // b\n  // c\n  f \"g\"\n}\n"},
		"a comment before a )":     {"x = a(\nb: 1\n// c\n)", "x = a(\n  b: 1,\n  // c\n)\n"},
		"a clause behind a long )": {"x = a( // b\nc: 1) retry 2", "x = a( // b\n  c: 1,\n) retry 2\n"},

		"a comment": {"// only", "// only\n"},
		"an input":  {"input  a:string=\"b\"   must len(a)>1  \"what?\"", "input a: string = \"b\" must len(a)>1 \"what?\"\n"},
		"a use":     {"use   template  \"a@1\"  as  b\nsecret   c\nbudget  $1", "use template \"a@1\" as b\nsecret c\nbudget $1\n"},
		"a test":    {"test \"t\"{\ngiven a=1\nmock b->2,3\nfail c \"d\"\nexpect output==1\nexpect fail \"e\"}", "test \"t\" {\n  given a = 1\n  mock b -> 2, 3\n  fail c \"d\"\n  expect output==1\n  expect fail \"e\"\n}\n"},
		"a map":     {"x = map a,i in b limit 2 tolerate 20% into c{d \"<<a>>\"}", "x = map a, i in b limit 2 tolerate 20% into c { d \"<<a>>\" }\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := settled(t, c.from); got != c.to {
				t.Error(cmp.Diff(c.to, got))
			}
		})
	}
}
