package travel_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

func TestAFailedRunIsRepaired(t *testing.T) {
	p := compile(t, `
input x: string
a = writer "a <<x>>"
b = editor "b <<a>>"
c = critic "c <<b>>"
output c`, nil)
	w := start(t, p, map[string]any{"x": "rain"}, 1)
	broken := true
	w.answer = func(c *run.CallWish) (any, bool) {
		if c.Path == "b" && broken {
			return nil, false
		}
		return echoing(c)
	}
	h := w.play()
	if last(h).Status != run.Failed {
		t.Fatal(w.log())
	}
	broken = false
	f := fork(t, h, travel.Change{})
	if diff := cmp.Diff([]string{"b: it failed"}, told(f)); diff != "" {
		t.Fatal(diff)
	}
	again := goOn(t, f, 1)
	if end := last(again.play()); end.Status != run.Succeeded || end.Usage.Calls != 2 {
		t.Errorf("it ended %+v", end)
	}
	if diff := cmp.Diff([]string{"b", "c"}, sorted(again.did)); diff != "" {
		t.Error(diff)
	}
}

func TestAMemberOfARaceThatWasNamedIsDone(t *testing.T) {
	p := compile(t, `
input x: string
r = race {
  m0 = writer "a <<x>>"
  m1 = editor "b <<x>>"
}
output critic "c <<r>>"`, nil)
	for seed := range uint64(20) {
		h := start(t, p, map[string]any{"x": "rain"}, seed).play()
		f := fork(t, h, travel.Change{From: "r/m0"})
		if f.Again[0].Path != "r/m0" && f.Again[1].Path != "r/m0" || len(f.Again) < 2 {
			t.Fatalf("seed %d: %v", seed, told(f))
		}
		again := goOn(t, f, seed)
		open := map[run.Path]bool{}
		for w := range again.m.Open() {
			if c, ok := w.(*run.CallWish); ok {
				open[c.Path] = true
			}
		}
		if !open["r/m0"] {
			t.Fatalf("seed %d: the race is decided without it: %v", seed, told(f))
		}
		again.play()
	}
}

func TestWhatIsPinnedIsNotDoneAgain(t *testing.T) {
	p := compile(t, `
input x: string
a = writer "a <<x>>"
b = shell "publish <<a>>"
c = critic "c <<a>> <<b>>"
output [a, c]`, nil)
	h := start(t, p, map[string]any{"x": "rain"}, 1).play()
	f := fork(t, h, travel.Change{From: "a", Only: true, Inputs: map[string]any{"x": "sun"}})
	pinned := map[run.Path]bool{}
	for _, k := range f.Keeps {
		pinned[k.Path] = k.Pinned
	}
	if diff := cmp.Diff(map[run.Path]bool{"b": true, "c": true}, pinned); diff != "" {
		t.Fatal(diff)
	}
	w := goOn(t, f, 1)
	end := last(w.play())
	was := last(h).Value.([]any)
	if diff := cmp.Diff([]any{"(a sun)", was[1]}, end.Value); diff != "" {
		t.Error(diff)
	}
	// A fork of the fork: what the pinned step would have been asked is what counts from now on.
	again := fork(t, w.h, travel.Change{From: "c"})
	if diff := cmp.Diff([]string{"c: you named it"}, told(again)); diff != "" {
		t.Error(diff)
	}
	if v := last(goOn(t, again, 1).play()).Value.([]any); v[1] == was[1] {
		t.Errorf("c was done again with the new draft, and says %v", v[1])
	}
}

func TestAForkOfAForkOfAFork(t *testing.T) {
	p := compile(t, `
input x: string
notes = map i in ["a", "b", "c", "d"] limit 1 {
  r = writer "<<i>> <<x>>"
  critic "<<r>>"
}
output notes`, nil)
	h := start(t, p, map[string]any{"x": "rain"}, 1).play()
	want := last(h).Value
	for i, from := range []run.Path{"notes[2]/r", "notes[0]/r", "notes[3]", "notes[0]"} {
		f := fork(t, h, travel.Change{From: from})
		if len(f.Again) != 2 {
			t.Fatalf("fork %d: %v", i, told(f))
		}
		h = goOn(t, f, uint64(i)).play()
		if diff := cmp.Diff(want, last(h).Value); diff != "" {
			t.Errorf("fork %d: %s", i, diff)
		}
		if last(h).Usage.Calls != 2 {
			t.Errorf("fork %d paid for %d calls", i, last(h).Usage.Calls)
		}
	}
}

// What is kept reserves nothing, and what is called must fit the budget from the first.
func TestTheBudgetOfAForkIsItsOwn(t *testing.T) {
	p := compile(t, `
budget 4 calls
input x: string
a = writer "a"
b = map i in ["a", "b", "c"] { writer "b <<i>> <<x>>" }
output [a, b]`, nil)
	h := start(t, p, map[string]any{"x": "rain"}, 1).play()
	if end := last(goOn(t, fork(t, h, travel.Change{From: "b"}), 1).play()); end.Status != run.Succeeded || end.Usage.Calls != 3 {
		t.Errorf("a fork within its budget ended %+v", end)
	}
	less := compile(t, `
budget 2 calls
input x: string
a = writer "a"
b = map i in ["a", "b", "c"] { writer "b <<i>> <<x>>" }
output [a, b]`, nil)
	if end := last(goOn(t, fork(t, h, travel.Change{From: "b", Plan: less}), 1).play()); end.Status != run.Failed || end.Error.Code != "E_BUDGET" {
		t.Errorf("a fork over its budget ended %+v", end)
	}
	if end := last(goOn(t, fork(t, h, travel.Change{From: "a", Plan: less}), 1).play()); end.Status != run.Succeeded || end.Usage.Calls != 1 {
		t.Errorf("a fork within the smaller budget ended %+v", end)
	}
}

// A gate that stopped the origin is judged again.
func TestAGateThatHoldsStopsTheForkToo(t *testing.T) {
	script := `
input x: string
a = writer "a <<x>>"
require len(a) > 100 else "too short"
output critic "c <<a>>"`
	h := start(t, compile(t, script, nil), map[string]any{"x": "rain"}, 1).play()
	if _, err := travel.NewFork(h, travel.Change{}, travel.New{ID: "fork", At: noon}); !errors.Is(err, travel.ErrNothing) {
		t.Errorf("nothing is to be done again: %v", err)
	}
	f := fork(t, h, travel.Change{Plan: compile(t, strings.Replace(script, "100", "3", 1), nil)})
	if diff := cmp.Diff([]string{"output: the origin did not come to it"}, told(f)); diff != "" {
		t.Error(diff)
	}
	if end := last(goOn(t, f, 1).play()); end.Status != run.Succeeded {
		t.Errorf("it ended %+v", end)
	}
	f = fork(t, h, travel.Change{Inputs: map[string]any{"x": "rain"}})
	if f.Fails == nil || f.Fails.Code != "E_REQUIRE" || len(f.Again) > 0 {
		t.Errorf("it should say that it fails: %+v, %v", f.Fails, told(f))
	}
}

// Time that ran out in the origin has run out in the fork, unless something under that deadline is done again.
func TestDeadlinesThatPassedAreKept(t *testing.T) {
	p := compile(t, `
input x: string
ok = human.approve "go on?" timeout 1m else "no"
block = try {
  a = writer "a"
  b = editor "SLOW <<a>>"
  output b
} timeout 5m else critic "instead"
last = judge "last <<x>>"
output [ok, block, last]`, nil)
	w := start(t, p, map[string]any{"x": "rain"}, 1)
	w.silent, w.stuck = true, "SLOW"
	h := w.play()
	f := fork(t, h, travel.Change{From: "last"})
	if diff := cmp.Diff([]string{"last: you named it"}, told(f)); diff != "" {
		t.Fatalf("%s\n%s", diff, w.log())
	}
	again := goOn(t, f, 1)
	end := last(again.play())
	if diff := cmp.Diff(last(h).Value, end.Value); diff != "" || again.m.Kept() > 0 {
		t.Errorf("%d kept facts are left; %s", again.m.Kept(), diff)
	}
	if diff := cmp.Diff([]string{"last"}, sorted(again.did)); diff != "" {
		t.Error(diff)
	}
	f = fork(t, h, travel.Change{From: "block/a"})
	if diff := cmp.Diff([]string{"block/a: you named it", "block/b: it needs block/a", "block/else: it needs block/a"}, told(f)); diff != "" {
		t.Fatal(diff)
	}
	if v := last(goOn(t, f, 1).play()).Value.([]any); v[0] != "no" || v[1] != "(SLOW (a))" {
		t.Errorf("with time enough it ends %v", v)
	}
}

// What was evaluated at the edge is not evaluated again, and what is kept outside of the facts goes into the file of the run.
func TestLargeValues(t *testing.T) {
	script := `
input x: string
a = writer "LARGE"
let n = len(a)
b = editor "b <<n>>"
c = critic "c <<b>> <<x>>"
output c`
	h := start(t, compile(t, script, nil), map[string]any{"x": "rain"}, 1).play()
	f := fork(t, h, travel.Change{From: "c"})
	if diff := cmp.Diff([]string{"c: you named it"}, told(f)); diff != "" {
		t.Fatal(diff)
	}
	w := goOn(t, f, 1)
	if w.play(); w.computed > 0 {
		t.Errorf("%d expressions were evaluated again", w.computed)
	}
	// In an edited script the line stands elsewhere, and says the same.
	f = fork(t, h, travel.Change{Plan: compile(t, strings.Replace(script, "a = ", "z = judge \"z\"\na = ", 1), nil)})
	if diff := cmp.Diff([]string{"z: the origin did not come to it"}, told(f)); diff != "" {
		t.Error(diff)
	}
	if w = goOn(t, f, 1); last(w.play()).Status != run.Succeeded || w.computed > 0 {
		t.Errorf("%d expressions were evaluated again", w.computed)
	}
	if _, err := travel.Export(h, nil, nil); err == nil {
		t.Error("a run was exported without the bytes that its facts name")
	}
	if diff := cmp.Diff([]string{strings.Repeat("a", 64)}, h.Blobs()); diff != "" {
		t.Error(diff)
	}
}

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

const asks = `
a = writer "a"
b = editor "b <<a>>"
c = shell "c <<b>>"
d = critic "d"
output [c, d]`

// wants has the editor ask twice and the shell once.
func wants(c *run.CallWish) *run.Form {
	switch {
	case c.Path == "b" && c.Answer == nil:
		return &run.Form{Kind: "choose", Text: "which?", Choices: []string{"x", "y"}}
	case c.Path == "b" && c.Answer.Value == "x":
		return &run.Form{Kind: "form", Text: "how?"}
	case c.Path == "c" && c.Answer == nil:
		return &run.Form{Kind: "approve", Text: "sure?", Choices: []string{"yes", "no"}}
	}
	return nil
}

func wanted(q *run.AskWish) any {
	switch q.Path {
	case "b?1":
		return "x"
	case "b?2":
		return map[string]any{"size": 3}
	}
	return "yes"
}

// What an agent asks in mid-call goes with its call: kept with it, asked again with it.
func TestQuestionsInMidCallGoWithTheirCall(t *testing.T) {
	for seed := range uint64(10) {
		w := start(t, compile(t, asks, nil), nil, seed)
		w.wants, w.person = wants, wanted
		h := w.play()
		if end := last(h); end.Status != run.Succeeded || end.Usage.Calls != 7 {
			t.Fatalf("it ended %+v\n%s", end, w.log())
		}
		for from, want := range map[run.Path][]string{
			"d": {"d"}, "c": {"c", "c?1"}, "b": {"b", "b?1", "b?2", "c", "c?1"}, "a": {"a", "b", "b?1", "b?2", "c", "c?1"},
		} {
			again := goOn(t, fork(t, h, travel.Change{From: from}), seed)
			again.wants, again.person = wants, wanted
			if end := last(again.play()); end.Status != run.Succeeded {
				t.Fatalf("from %s it ended %+v", from, end)
			}
			if diff := cmp.Diff(want, sorted(again.did)); diff != "" {
				t.Errorf("from %s: %s", from, diff)
			}
		}
	}
}
