package mini_test

import (
	"testing"

	"github.com/slopstudios/slop/stdlib/strudel/mini"
	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// Mini-notation is read without harm, its mistakes lie in the text, and what is right plays.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"bd [sd hh]*2 <a b>/3 {c d e}%4 x(3,8,<0 1>) y? z?.3 a:1:.5 0 .. 3 _ ~ - . q!3 r@2 ! , s", "[a | b]", "bd // end"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := mini.Parse(text)
		if err != nil {
			if e := err.(*mini.Error); e.Offset < 0 || e.Offset > len(text) || e.Message == "" {
				t.Errorf("%q: %+v", text, e)
			}
			return
		}
		for _, a := range tree.Atoms {
			if text[a.Offset:a.Offset+len(a.Text)] != a.Text {
				t.Errorf("%q: the word %q is not at %d", text, a.Text, a.Offset)
			}
		}
		play(t, tree)
	})
}

func play(t *testing.T, tree *mini.Tree) {
	var err error
	func() {
		defer pattern.Guard(&err)
		_, _, err = tree.Pattern().Query(t.Context(), pattern.Time{}, pattern.Cycles(3), 50_000)
	}()
	_ = err // a limit, or a value that does not fit; anything else panics
}
