package syntax_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// seeds are the programs, and what newcomers write.
func seeds(f *testing.F) {
	f.Helper()
	for _, pattern := range []string{"testdata/*.slop", "../../testdata/spec/*.txtar"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			script := string(text)
			if _, after, ok := strings.Cut(script, "-- main.slop --\n"); ok {
				script, _, _ = strings.Cut(after, "\n-- ")
			}
			f.Add(script)
		}
	}
}

// FuzzParse: reading never panics, every span lies in the file, every message can be drawn, and an expression's code has the runes of its source.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		src := source.NewFile("fuzz.slop", text)
		file, list := syntax.Parse(src)
		inside := func(s source.Span) bool { return 0 <= s.Start && s.Start <= s.End && s.End <= len(text) }
		for _, d := range list {
			if !inside(d.Span) || d.Code == "" || d.Message == "" || d.Fix != nil && !inside(d.Fix.Span) {
				t.Errorf("%+v", d)
			}
		}
		var b strings.Builder
		diag.Print(&b, list, false)
		if _, err := diag.JSON(list); err != nil {
			t.Error(err)
		}
		syntax.Incomplete(text)
		syntax.Walk(file, func(n any) bool {
			if s, ok := n.(syntax.Item); ok && !inside(s.Span()) {
				t.Errorf("%T stands at %v of %d", n, s.Span(), len(text))
			}
			if x, ok := n.(*syntax.Expr); ok && !list.HasErrors() {
				if a, b := utf8.RuneCountInString(x.Code), utf8.RuneCountInString(src.Slice(x.At)); a != b {
					t.Errorf("%q has %d runes, its source %q has %d", x.Code, a, src.Slice(x.At), b)
				}
			}
			return true
		})
	})
}
