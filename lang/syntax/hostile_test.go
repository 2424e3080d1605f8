package syntax_test

import (
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// What nobody would call a script gets an error, soon: never a panic, a hang or the end of the stack.
func TestHostile(t *testing.T) {
	const (
		mb   = 300_000 // a multiple of the runes below
		many = 200_000
	)
	fill := func(s string, size int) string { return strings.Repeat(s, size/len(s)+1)[:size] }
	for name, c := range map[string]struct {
		text string
		code diag.Code
	}{
		"a hundred megabytes":        {fill("x = writer \"hello\"\n", 100<<20), "E0130"},
		"a million round brackets":   {"let x = " + strings.Repeat("(", 1_000_000), "E0130"},
		"a million braces":           {strings.Repeat("x = parallel {\n", 500_000), "E0130"},
		"a million closing brackets": {strings.Repeat(")", 1_000_000), "E0024"},
		"brackets side by side":      {"let x = " + fill("()[]{}", mb), ""},
		"a million else":             {"x = a \"b\"" + strings.Repeat(" else c \"d\"", 100_000), ""},
		"a million else if":          {"if a { b \"c\" }" + strings.Repeat(" else if a { b \"c\" }", 50_000), ""},
		"eight megabytes of signs":   {fill("+", 8<<20), "E0130"},
		"minuses":                    {"let x = " + strings.Repeat("-", 300_000) + "1", ""},
		"a million minuses":          {"let x = " + strings.Repeat("-", 1_000_000) + "1", "E0130"},
		"nots":                       {"let x = " + strings.Repeat("not ", many) + "true", ""},
		"arrows":                     {strings.Repeat("->", many), ""},
		"a name of two megabytes":    {"let x = " + strings.Repeat("a", 2<<20-20), ""},
		"budgets in a row":           {"x = a \"b\"" + strings.Repeat(" budget $1", 100_000), ""},
		"budgets of the file":        {strings.Repeat("budget $1\n", 100_000), ""},
		"arguments":                  {"x = a(" + strings.Repeat("b: 1, ", 90_000) + ")", ""},
		"dots":                       {"let x = a" + strings.Repeat(".a", 300_000), ""},
		"an open quote":              {"x = writer \"hello", "E0120"},
		"open quotes":                {fill("\"\n", mb), "E0120"},
		"an open triple quote":       {"x = writer \"\"\"" + fill("hello\n", mb), "E0120"},
		"open interpolations":        {"x = a \"" + fill("<<", mb) + "\"", "E0120"},
		"open interpolations, words": {"x = a \"" + fill("<<a ", mb) + "\"", "E0120"},
		"quotes in interpolations":   {fill("\"<<'", mb), ""},
		"quotes in closed ones":      {fill("\"<<'>>", mb), ""},
		"nested interpolations":      {"x = a \"" + strings.Repeat("<<f(\"", 100_000) + strings.Repeat("\")>>", 100_000) + "\"", ""},
		"invalid UTF-8":              {"x = writer \"\xff\"", "E0002"},
		"a zero byte":                {"x = writer \"\x00\"", "E0002"},
		"UTF-16":                     {"\xff\xfex\x00 \x00=\x00", "E0002"},
		"bidi controls":              {"x = writer \"\u202egood\u202c\"", "E0130"},
		"many bidi controls":         {fill("\u2066", mb), "E0130"},
		"an image":                   {"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "E0002"},
		"a program":                  {"\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x03\x00\x3e\x00\x01\x00\x00\x00", "E0002"},
		"semicolons":                 {fill(";", mb), "E0016"},
		"hashes":                     {fill("#\n", mb), "E0010"},
		"commas":                     {fill(",", mb), ""},
		"operators":                  {"let x = 1 " + fill("+\n", mb), ""},
		"newlines":                   {fill("\n", 8*mb), ""},
		"comments before else":       {"x = a \"b\"\n" + fill("// c\n", mb) + "else \"d\"", ""},
		"a line of names":            {fill("a ", mb), ""},
		"lines of names":             {fill("a b\n", mb), ""},
		"clause words":               {fill("retry ", mb), ""},
		"arms":                       {"match x {" + fill("\n1 -> a", mb) + "\n}", ""},
		"broken arms":                {"match x {" + fill("\n1 = a", mb) + "\n}", ""},
		"broken blocks":              {fill("loop {\n a b\n}\n", mb), ""},
		"open parens, many lines":    {fill("x = a(\n", mb), ""},
		"line continuation":          {"x = a \"b\"" + fill("\nretry 1", mb), ""},
		"curly quotes":               {fill("“", mb), "E0120"},
		"texts never closed":         {fill("a = echo \"x\n", mb), "E0120"},
		"no-break spaces":            {fill("\u00a0", mb), "E0023"},
		"YAML":                       {fill("- a: b\n", mb), "E0018"},
		"a type of fields":           {"type T {" + fill("a: int, ", mb) + "}", ""},
		"texts in an expression":     {"let x = [" + fill("\"\",", mb) + "1]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			began := spent()
			file, list := syntax.Parse(source.NewFile("hostile.slop", c.text))
			took := spent() - began
			if file == nil {
				t.Fatal("no file")
			}
			if c.code != "" && (len(list) == 0 || list[0].Code != c.code && list[len(list)-1].Code != c.code) {
				t.Errorf("not %s: %d messages", c.code, len(list))
			}
			if len(list) > 1000 {
				t.Errorf("%d messages", len(list))
			}
			if took > 8*time.Second { // a second on a machine that has nothing else to do
				t.Errorf("took %v", took)
			}
			if took > 500*time.Millisecond {
				t.Log(took)
			}
		})
	}
}

// A byte order mark and CRLF are the business of editors.
func TestWindows(t *testing.T) {
	plain := "// hello\nx = writer \"\"\"\n  one\n    two\n  \"\"\"\n  retry 2\noutput x\n"
	want, list := syntax.Parse(source.NewFile("a.slop", plain))
	got, more := syntax.Parse(source.NewFile("a.slop", "\ufeff"+strings.ReplaceAll(plain, "\n", "\r\n")))
	if len(list)+len(more) > 0 || len(got.Items) != len(want.Items) || got.Comments[0].Text != want.Comments[0].Text {
		t.Fatalf("%v %v", list, more)
	}
	text := func(f *syntax.File) string {
		s, _ := f.Items[0].(*syntax.StepStmt).Step.(*syntax.Call).Text.Plain()
		return s
	}
	if text(got) != "one\n  two" || text(want) != text(got) {
		t.Errorf("%q, %q", text(want), text(got))
	}
}

func TestIncomplete(t *testing.T) {
	for text, want := range map[string]bool{
		"x = parallel {": true, "x = parallel {\n a = b \"c\"": true, "x = parallel { a = b \"c\" }": false, "x = a \"\"\"one": true, "x = a \"one": false,
		"let x = 1 +": true, "let x = [1,": true, "x =": true, "": false, "output x": false, "x = a(": true, "}": false, "mock a ->": true,
	} {
		if got := syntax.Incomplete(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
