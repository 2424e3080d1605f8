package check_test

import (
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// The names a scope brings are the first binds of the file; a line that gives one anew still sees its old value.
func TestScopeValues(t *testing.T) {
	scope := langtest.Scope()
	scope.Values = []types.Field{{Name: "poem", Type: types.Type{Kind: types.String}}, {Name: "n", Type: types.Type{Kind: types.Int}}}
	file, said := syntax.Parse(source.NewFile("repl", "input style: string\npoem = editor \"More <<style>>: <<poem>>\"\noutput \"<<poem>> <<n>>\"\n"))
	info, list := check.File(file, scope)
	if said = append(said, list...); len(said) > 0 {
		t.Fatalf("%s: %s", said[0].Code, said[0].Message)
	}
	var binds []string
	for _, d := range info.Root.Binds {
		binds = append(binds, d.Name)
	}
	if got := strings.Join(binds, " "); got != "poem n style" {
		t.Errorf("the binds are %s", got)
	}
	if needs := info.Root.Nodes[0].Needs; len(needs) != 0 {
		t.Errorf("poem waits for %v: its own old value is there already", needs)
	}
	if needs := info.Root.Nodes[1].Needs; len(needs) != 1 || needs[0].Slot != 0 {
		t.Errorf("the output waits for %v, not for the new poem", needs)
	}
}
