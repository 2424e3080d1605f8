package syntax_test

import (
	"testing"

	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// A repair that is proposed leaves a script that reads.
func TestFixesAreRight(t *testing.T) {
	for text, want := range map[string]string{
		"x = echo “he said “hi” to me”\n":                                      "x = echo \"he said “hi” to me\"\n",
		"x = echo “he said \"hi\" to me”\n":                                    "x = echo \"\"\"he said \"hi\" to me\"\"\"\n",
		"x = echo “say \"hi\"”\n":                                              "x = echo \"\"\"say \"hi\"\"\"\"\n",
		"x = echo ‘it’s fine’\n":                                               "x = echo 'it’s fine'\n",
		"x = echo „a“\n":                                                       "x = echo \"a\"\n",
		"x = echo “a\"\n":                                                      "x = echo \"a\"\n",
		"x = echo “\"a” retry 2\n":                                             "x = echo \"\"\"\"a\"\"\" retry 2\n",
		"x = echo “open\n":                                                     "", // where it ends nobody knows
		"x = echo “a\\” b\n":                                                   "", // the backslash would take the quote
		"x = parallel {\n  a = echo \"b\" // c\n\noutput x\n":                  "x = parallel {\n  a = echo \"b\" // c\n}\n\noutput x\n",
		"x = parallel {\r\n  a = echo \"b\"\r\n\r\noutput x\r\n":               "x = parallel {\r\n  a = echo \"b\"\n}\r\n\r\noutput x\r\n",
		"x = parallel {\n  a = echo \"b\"":                                     "x = parallel {\n  a = echo \"b\"\n}",
		"x = if true { echo \"a\"\noutput x\n":                                 "x = if true { echo \"a\" }\noutput x\n",
		"x = try {\n  y = try {\n    a = echo \"b\"\n  z = echo \"e\"\n}\n":    "x = try {\n  y = try {\n    a = echo \"b\"\n  }\n  z = echo \"e\"\n}\n",
		"x = parallel {\na = echo \"b\"\noutput x\n":                           "", // without an indent nobody knows
		"x = parallel {\n  a = echo \"b\"\ny = parallel {\n  a = echo \"b\"\n": "", // two are missing
	} {
		_, list := syntax.Parse(source.NewFile("main.slop", text))
		if len(list) == 0 {
			t.Errorf("%q: nothing is wrong", text)
			continue
		}
		fix := list[0].Fix
		if fix == nil {
			if want != "" {
				t.Errorf("%q: no fix", text)
			}
			continue
		}
		got := text[:fix.Span.Start] + fix.Text + text[fix.Span.End:]
		if got != want {
			t.Errorf("%q: the fix gives %q, not %q", text, got, want)
		}
		if _, again := syntax.Parse(source.NewFile("main.slop", got)); again.HasErrors() {
			t.Errorf("%q: after the fix: %v", got, again)
		}
	}
}
