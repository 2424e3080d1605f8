package travel_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

func differ(t *testing.T, a, b *travel.History) *travel.Difference {
	t.Helper()
	d, err := travel.Differ(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const three = `
input x: string
a = writer "a"
b = editor "b <<x>>"
c = critic "c <<a>> <<b>>"
output c`

func TestTheSameRunDoesNotDiffer(t *testing.T) {
	p := compile(t, three, nil)
	a := start(t, p, map[string]any{"x": "rain"}, 1).play()
	b := start(t, p, map[string]any{"x": "rain"}, 2).play()
	d := differ(t, a, b)
	if len(d.Steps) > 0 || d.Same != 3 || d.First != "" || d.Outcome || d.Plan || len(d.Script)+len(d.Inputs) > 0 || d.Output != nil {
		t.Errorf("%+v", d)
	}
}

func TestTwoRunsDifferInTheirSteps(t *testing.T) {
	a := start(t, compile(t, three, nil), map[string]any{"x": "rain"}, 1).play()
	edited := compile(t, `
input x: string
a = writer "a"
b = editor "b <<x>>!"
d = judge "d <<b>>"
output d`, nil)
	b := start(t, edited, map[string]any{"x": "sun"}, 1).play()
	d := differ(t, a, b)
	got := map[run.Path][]string{}
	for _, s := range d.Steps {
		got[s.Path] = s.What
	}
	want := map[run.Path][]string{"b": {"sent", "output"}, "c": {"only in a"}, "d": {"only in b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if d.First != "b" || !d.Plan || !d.Outcome || d.Same != 1 || d.Output == nil {
		t.Errorf("%+v", d)
	}
	if diff := cmp.Diff([]travel.Pair{{Name: "x", A: "rain", B: "sun"}}, d.Inputs); diff != "" {
		t.Error(diff)
	}
	wantLines := []travel.FileChange{{File: "main.slop", Line: 4, A: []string{`b = editor "b <<x>>"`, `c = critic "c <<a>> <<b>>"`, "output c"}, B: []string{`b = editor "b <<x>>!"`, `d = judge "d <<b>>"`, "output d"}}}
	if diff := cmp.Diff(wantLines, d.Script); diff != "" {
		t.Error(diff)
	}
}

func TestAForkIsComparedWithItsOrigin(t *testing.T) {
	a := start(t, compile(t, three, nil), map[string]any{"x": "rain"}, 1).play()
	f := fork(t, a, travel.Change{Inputs: map[string]any{"x": "sun"}})
	b := goOn(t, f, 1).play()
	d := differ(t, a, b)
	if d.First != "b" || d.Same != 1 || d.B.Fork == nil || d.B.Usage.Calls != 2 {
		t.Errorf("%+v", d)
	}
}
