package travel_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

// What a fork does again is what it says it does, and why.
func TestWhatIsDoneAgain(t *testing.T) {
	polish := map[string]string{"polish.slop": "input text: string\nfirst = critic \"judge <<text>>\"\nsecond = editor \"mend <<first>>\"\noutput second"}
	inputs := map[string]any{"x": "rain"}
	for _, c := range []struct {
		name, script, edited string
		from                 run.Path
		only                 bool
		inputs               map[string]any
		slow                 bool     // people answer when nothing else is left to do
		want                 []string // `path: reason` of Again
		did                  []string // when it is not the paths of want
		gone                 []string
	}{
		{name: "linear, from the middle", script: `
input x: string
a = writer "a <<x>>"
b = editor "b <<a>>"
c = critic "c <<b>>"
output c`, from: "b", want: []string{"b: you named it", "c: it needs b"}},
		{name: "linear, only the middle", script: `
input x: string
a = writer "a <<x>>"
b = editor "b <<a>>"
c = critic "c <<b>>"
output c`, from: "b", only: true, want: []string{"b: you named it"}},
		{name: "parallel", script: `
input x: string
band = parallel {
  l = writer "l <<x>>"
  r = editor "r <<x>>"
}
output critic "c <<band.l>> <<band.r>>"`, from: "band/l", want: []string{"band/l: you named it", "output: it needs band/l"}},
		{name: "a whole block", script: `
input x: string
z = writer "z"
band = parallel {
  l = writer "l <<x>>"
  r = editor "r <<x>>"
}
output [z, band.l]`, from: "band", want: []string{"band/l: you named it", "band/r: you named it"}},
		{name: "a round of a loop", script: `
input x: string
start = writer "s <<x>>"
poem = loop d from start max 3 {
  review = critic "judge <<d>>"
  editor "better <<d>> <<review>>"
}
output poem`, from: "poem#2/review", want: []string{
			"poem#2/review: you named it", "poem#2: it needs poem#2/review", "poem#3/review: it needs poem#2", "poem#3: it needs poem#3/review"}},
		{name: "an item of a map that is bounded", script: `
input x: string
notes = map i in ["a", "b", "c", "d"] limit 1 {
  reader = writer "read <<i>> <<x>>"
  critic "judge <<reader>>"
}
total = reduce part in notes by 2 { editor "merge <<part>>" }
output total`, from: "notes[1]/reader", want: []string{
			"notes[1]/reader: you named it", "notes[1]: it needs notes[1]/reader", "total^1[0]: it needs notes[1]", "total^1[1]: it needs notes[1]", "total^2[0]: it needs total^1[1]"}},
		{name: "a group of a reduce", script: `
input x: string
notes = map i in ["a", "b", "c", "d"] { writer "read <<i>> <<x>>" }
total = reduce part in notes by 2 { editor "merge <<part>>" }
output total`, from: "total^1[1]", want: []string{"total^1[1]: you named it", "total^2[0]: it needs total^1[1]"}},
		{name: "inside a used flow", script: `
use "./polish.slop" as polish
input x: string
a = writer "a <<x>>"
b = polish "<<a>>"
output critic "c <<b>>"`, from: "b/first", want: []string{"b/first: you named it", "b/second: it needs b/first", "output: it needs b/first"}},
		{name: "a fallback", script: `
input x: string
a = writer "BAD <<x>>" else editor "instead <<x>>"
b = critic "b"
output [a, b]`, from: "a/else", want: []string{"a/else: you named it"}},
		{name: "a step with a fallback", script: `
input x: string
a = writer "BAD <<x>>" else editor "instead <<x>>"
b = critic "b"
output [a, b]`, from: "a", want: []string{"a: you named it", "a/else: you named it"}},
		{name: "what is done is done in order", script: `
input x: string
a = shell "one"
b = shell "two"
c = writer "c <<x>>"
output [a, b, c]`, from: "a", want: []string{"a: you named it", "b: it needs a"}},
		{name: "after an approval", script: `
input x: string
draft = writer "d <<x>>"
ok = human.approve "publish <<draft>>?"
require ok == "yes" else "no"
output editor "p <<draft>>"`, from: "output", want: []string{"output: you named it"}},
		{name: "before an approval", script: `
input x: string
draft = writer "d <<x>>"
ok = human.approve "publish <<draft>>?"
require ok == "yes" else "no"
output editor "p <<x>>"`, from: "draft", want: []string{"draft: you named it", "ok: it needs draft", "output: it needs ok"}},
		{name: "people are asked again, even of what does not change", script: `
input x: string
draft = writer "d <<x>>" 
fine = editor "f <<draft>>"
ok = human.approve "publish?"
require ok == "yes" else "no"
output critic "p <<fine>>"`, from: "draft", slow: true,
			want: []string{"draft: you named it", "fine: it needs draft", "ok: people are asked again after draft", "output: it needs fine"}},
		{name: "people are asked again although only one step is done again", script: `
input x: string
draft = writer "d <<x>>"
ok = human.approve "publish <<draft>>?"
require ok == "yes" else "no"
output editor "p <<draft>>"`, from: "draft", only: true, want: []string{"draft: you named it", "ok: it needs draft"}},
		{name: "items of a map do not see each other's questions", script: `
input x: string
notes = map i in ["a", "b"] {
  read = writer "read <<i>> <<x>>"
  ok = human.approve "keep <<read>>?"
  output ok
}
output notes`, from: "notes[0]/read", want: []string{"notes[0]/read: you named it", "notes[0]/ok: it needs notes[0]/read"}},
		{name: "a changed input", script: `
input x: string
a = writer "a"
b = editor "b <<x>>"
c = critic "c <<a>> <<b>>"
output c`, inputs: map[string]any{"x": "sun"}, want: []string{"b: what it sends has changed: its text", "c: it needs b"}},
		{name: "a changed script", script: `
input x: string
a = writer "a"
b = editor "b <<x>>"
c = critic "c <<a>> <<b>>"
d = judge "d <<x>>"
output [c, d]`, edited: `
input x: string
a = writer "a"
b = editor "b <<x>> please"
c = critic "c <<a>> <<b>>"
e = elder "e <<x>>"
output [c, e]`, want: []string{"b: what it sends has changed: its text", "c: it needs b", "e: the origin did not come to it"}, gone: []string{"d"}},
		{name: "another agent for every item", script: `
input x: string
notes = map i in ["a", "b", "c"] limit 1 {
  read = writer "read <<i>>"
  judge "judge <<read>>"
}
output notes`, edited: `
input x: string
notes = map i in ["a", "b", "c"] limit 1 {
  read = writer "read <<i>>"
  critic "judge <<read>>"
}
output notes`, want: []string{
			"notes[0]: what it sends has changed: the agent (judge, now critic)", "notes[1]: what it sends has changed: the agent (judge, now critic)", "notes[2]: what it sends has changed: the agent (judge, now critic)"}},
		{name: "what names the run or its time is another in a fork", script: `
input x: string
a = writer "a <<run.id>>"
b = critic "b"
output [a, b]`, inputs: map[string]any{"x": "rain"}, want: []string{"a: what it sends has changed: its text"}},
		{name: "a let and a gate carry a change on", script: `
input x: string
a = writer "a <<x>>"
let n = len(a)
require n > 0 else "empty"
b = critic "b"
output writer "w <<n>> <<b>>"`, from: "a", want: []string{"a: you named it", "b: it needs a", "output: it needs a"}},
		{name: "of a branch", script: `
input x: string
a = writer "a <<x>>"
c = if len(a) > 2 { critic "long" } else { editor "short" }
output c`, from: "a", want: []string{"a: you named it", "c/then: it needs a"}},
		{name: "a wait", script: `
input x: string
a = writer "a <<x>>"
b = wait "10s"
c = shell "c"
output [a, c]`, from: "c", want: []string{"c: you named it"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := compile(t, c.script, polish)
			for seed := range uint64(5) {
				w := start(t, p, inputs, seed)
				w.slow = c.slow
				h := w.play()
				change := travel.Change{From: c.from, Only: c.only, Inputs: c.inputs}
				if c.edited != "" {
					change.Plan = compile(t, c.edited, polish)
				}
				f := fork(t, h, change)
				slices.Sort(c.want)
				if diff := cmp.Diff(c.want, told(f)); diff != "" {
					t.Fatalf("it says it will do again (-want +got):\n%s\n%s", diff, w.log())
				}
				if diff := cmp.Diff(c.gone, sorted(f.Gone)); diff != "" && len(c.gone)+len(f.Gone) > 0 {
					t.Errorf("gone: %s", diff)
				}
				again := goOn(t, f, seed)
				end := again.play()
				if diff := cmp.Diff(paths(f), sorted(again.did)); diff != "" {
					t.Fatalf("it did again (-said +did):\n%s\n%s", diff, again.log())
				}
				if n := again.m.Kept(); n > 0 {
					t.Errorf("%d kept facts never had their turn\n%s", n, again.log())
				}
				if _, fresh := end.Facts[0].Body.(*run.Started); !fresh || end.Facts[0].Body.(*run.Started).Fork.Run != "origin" {
					t.Errorf("its origin is not named: %s", end.Facts[0])
				}
			}
		})
	}
}
