package syntax_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// The programs of the language's design read without a word.
func TestPrograms(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.slop")
	if len(files) < 11 {
		t.Fatalf("only %d programs", len(files))
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, diags := syntax.Parse(source.NewFile(filepath.Base(name), string(text)))
		for _, d := range diags {
			t.Errorf("%v %s: %s (%s)", d.File.Pos(d.Span.Start), d.Code, d.Message, d.Label)
		}
		if len(file.Items) == 0 {
			t.Errorf("%s: nothing was read", name)
		}
	}
}
