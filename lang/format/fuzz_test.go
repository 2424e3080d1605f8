package format_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// FuzzFormat: what is formatted means what it meant, has its comments, and formatting it again changes nothing.
func FuzzFormat(f *testing.F) {
	for _, path := range []string{"hello", "band", "digest", "triage", "poem", "oracle", "publish", "tune", "debate", "names"} {
		text, err := os.ReadFile("../syntax/testdata/" + path + ".slop")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("x = a(// one\n b: 1, // two\n) // three\n// four\n  retry 2 // five\n  else { // six\n  }\n")
	f.Fuzz(func(t *testing.T, text string) {
		before, list := syntax.Parse(source.NewFile("fuzz.slop", text))
		if list.HasErrors() {
			return
		}
		once := string(format.File(before))
		after, list := syntax.Parse(source.NewFile("once.slop", once))
		if list.HasErrors() {
			t.Fatalf("cannot be read again: %s\n%q\nfrom\n%q", list[0].Message, once, text)
		}
		if d := cmp.Diff(before, after, sameTree); d != "" {
			t.Fatalf("the meaning changed: %s\n%q\nfrom\n%q", d, once, text)
		}
		if a, b := comments(before), comments(after); a != b {
			t.Fatalf("comments were\n%s\nand are\n%s\n%q\nfrom\n%q", a, b, once, text)
		}
		if twice := string(format.File(after)); twice != once {
			t.Fatalf("formatting again changes it: %s\nfrom\n%q", cmp.Diff(once, twice), text)
		}
	})
}
