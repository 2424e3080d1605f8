package lang_test

import (
	"testing"

	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/syntax"
)

// Every example is written as the formatter writes it.
func TestExamplesAreFormatted(t *testing.T) {
	for _, src := range examples(t) {
		file, diags := syntax.Parse(src)
		if diags.HasErrors() {
			t.Errorf("%s cannot be read:\n%s", src.Name, drawn(diags))
			continue
		}
		if got := string(format.File(file)); got != src.Text {
			t.Errorf("%s is not formatted; it should be\n%s", src.Name, got)
		}
	}
}
