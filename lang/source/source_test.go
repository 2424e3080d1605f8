package source_test

import (
	"testing"

	"github.com/slopstudios/slop/lang/source"
)

func TestPos(t *testing.T) {
	f := source.NewFile("a.slop", "äb\r\n\ncd")
	for offset, want := range map[int][2]int{-1: {1, 1}, 0: {1, 1}, 2: {1, 2}, 3: {1, 3}, 5: {2, 1}, 6: {3, 1}, 8: {3, 3}, 99: {3, 3}} {
		if p := f.Pos(offset); p.Line != want[0] || p.Column != want[1] || p.File != "a.slop" {
			t.Errorf("%d is at %+v, not %v", offset, p, want)
		}
	}
	for n, want := range map[int]string{0: "", 1: "äb", 2: "", 3: "cd", 4: ""} {
		if got := f.Line(n); got != want {
			t.Errorf("line %d is %q", n, got)
		}
	}
	if got := f.Slice(source.Span{Start: 6, End: 99}); got != "cd" {
		t.Errorf("%q", got)
	}
}
