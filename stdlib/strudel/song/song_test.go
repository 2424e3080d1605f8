package song_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/song"
)

// Each mistake is told once, where it is, with what to do.
func TestProblems(t *testing.T) {
	for _, tt := range []struct {
		name, code string
		want       []string
	}{
		{"an unknown method", `s("bd").gainn(.8)`, []string{`line 1, column 9: there is no .gainn (did you mean .gain?)`}},
		{"a word from elsewhere", `s("bd").reverb(.8)`, []string{`line 1, column 9: there is no .reverb (did you mean .room?)`}},
		{"an unknown function", `sequnce("c e")`, []string{`line 1, column 1: there is no sequnce (did you mean sequence?)`}},
		{"a note without quotes", `note(c4)`, []string{`line 1, column 6: there is no c4 (notes are texts: write note("c4"))`}},
		{"a sound without quotes", `s(bd)`, []string{`line 1, column 3: there is no bd (sounds are texts: write s("bd"))`}},
		{"the tempo in beats", "setbpm(120)\ns(\"bd\")", []string{`line 1, column 1: there is no setbpm (write setcpm(120/4) for 120 beats a minute in bars of 4, on a line of its own)`}},
		{"an unknown sound", `s("bd snare")`, []string{`line 1, column 7: there is no sound "snare" (did you mean "sd"?)`}},
		{"a sound of a set that is not loaded", `s("arpy")`, []string{`line 1, column 4: the sound "arpy" is not loaded (write samples('github:tidalcycles/dirt-samples') first, or use another sound)`}},
		{"sounds of sets that are loaded", "samples('github:x/y')\ns(\"arpy mine\")", nil},
		{"an unknown drum machine", `s("bd").bank("TR-808")`, []string{`line 1, column 15: there is no drum machine "TR-808" (did you mean "RolandTR808"?)`}},
		{"a short name of a drum machine", `s("bd").bank("tr909")`, nil},
		{"a scale without a tonic", `n("0").scale("minor")`, []string{`line 1, column 8: the scale "minor" has no tonic: write "C:minor"`}},
		{"a scale with a blank", `n("0").scale("C minor")`, []string{`line 1, column 8: the scale "C" is incomplete: write its name after the tonic with a colon, as in "C:minor"`}},
		{"an unknown scale", `n("0").scale("C:minr")`, []string{`line 1, column 8: there is no scale "minr": did you mean "C:minor"?`}},
		{"an open bracket in a pattern", `s("bd [sd hh")`, []string{`line 1, column 7: this '[' is not closed (write ']' where it ends)`}},
		{"the wrong closing bracket", `s("<bd [sd> hh]")`, []string{`line 1, column 11: '>' closes what '[' opened (write ']')`}},
		{"a closing bracket alone", `s("bd] sd")`, []string{`line 1, column 6: this ']' closes nothing (take it away, or open it before)`}},
		{"nothing after a star", `s("bd* sd")`, []string{"line 1, column 6: `*` needs something after it (as in hh*4)"}},
		{"an empty pattern", `s("")`, []string{`line 1, column 4: there is nothing in these quotes (write ~ for silence)`}},
		{"an open parenthesis", `stack(s("bd"), s("hh")`, []string{`line 1, column 6: this "(" is not closed (write ) where it ends)`}},
		{"an open quote", "s(\"bd sd)\n", []string{"line 1, column 3: this \" is not closed on its line (close it, or use backticks (`) for a pattern over several lines)"}},
		{"a missing comma", `stack(s("bd") s("hh"))`, []string{`line 1, column 15: "s" is not expected here (a comma or a ` + "`.`" + ` is missing before it)`}},
		{"typographic quotes", `s(“bd”)`, []string{`line 1, column 3: '“' is a typographic quote (write ")`}},
		{"several mistakes", "$: s(\"bd\").gainn(1)\n$: note(\"c [e\")\n$: s(\"hh\")).fast(2)\n$: s(\"bd\").roomm(1)", []string{
			`line 1, column 12: there is no .gainn (did you mean .gain?)`,
			`line 2, column 12: this '[' is not closed (write ']' where it ends)`,
			`line 3, column 11: this ")" closes nothing (take it away, or open it before)`,
			`line 4, column 12: there is no .roomm (did you mean .room?)`,
		}},
		{"columns are characters", `/* ä♪ */ s("bd").gainn(1)`, []string{`line 1, column 18: there is no .gainn (did you mean .gain?)`}},
		{"a statement of JavaScript", "for (let i = 0; i < 3; i++) s('bd')", []string{`line 1, column 1: "for" is not part of the JavaScript that is read here (use a pattern such as fast, iter or stack)`}},
		{"what would run in a browser", `window.alert("x")`, []string{`line 1, column 1: "window" is not part of the JavaScript that is read here (there is no browser here)`}},
		{"a value in a text", "note(`c ${1}`)", []string{"line 1, column 9: values cannot be put into a pattern's text with ${…} here (write the text out, or use a pattern as an argument)"}},
		{"a changed constant", "let x = s(\"bd\")\nx = s(\"sd\")", []string{`line 2, column 3: values do not change here (give the new value a name of its own with const)`}},
		{"documented but not covered", `chord("<C Am>").voicing()`, []string{`line 1, column 17: .voicing is Strudel, but it is not covered here (the voicings of chords are a table that is not here: write the notes, as in note("[c3,e3,g3]"))`}},
		{"too few arguments", `s("bd").every(2)`, []string{`line 1, column 9: every takes 2 arguments, not 1 (as in .every(4, x => x.rev()))`}},
		{"a pattern where a function belongs", `s("bd").jux(s("sd"))`, []string{`line 1, column 9: jux takes a function, not a pattern (write x => x.…)`}},
		{"too many patterns", `note("c", "e")`, []string{`line 1, column 1: note takes one pattern, not 2 (write one text, as in "c e g", or "c,e,g" for all at once)`}},
		{"a list for a pattern", `note(["c", "e"])`, []string{`line 1, column 1: note takes a pattern, not a list of patterns (write one text, as in "c e g", or join them with seq(…), cat(…) or stack(…))`}},
		{"a number that is none", `n("0 x").add(n("bd"))`, []string{`line 1, column 10: "bd" is neither a number nor a note`}},
		{"a word for a speed", `s("bd").fast("quick")`, []string{`line 1, column 9: "quick" is neither a number nor a note`}},
		{"plain values", `"c e g"`, []string{`the plain value "c" makes no sound (put the pattern behind note(…), n(…) or s(…))`}},
		{"a value beside a sound", `"c e g".s("piano")`, []string{`the plain value "c" is not used by any sound (name it, as in note("c e").s("piano"))`}},
		{"sums of patterns", `note("c" + "e")`, []string{`line 1, column 10: a pattern and a pattern have no + (patterns have .add(…))`}},
		{"no pattern", `setcpm(30)`, []string{`the code plays nothing: it has no pattern (write one, as in s("bd sd") or $: note("c e g"))`}},
		{"no code", ``, []string{`the code plays nothing: it has no pattern (write one, as in s("bd sd") or $: note("c e g"))`}},
		{"prose around the code", "Here is your pattern:\ns(\"bd\")", []string{"line 1, column 6: \"is\" is not expected here (a `.`, a comma or a line's end is missing before it)"}},
		{"a fence of markdown", "```js\ns(\"bd\")\n```", []string{"line 1, column 1: this is a fence of Markdown, not code (take the lines with ``` away)"}},
		{"method on a waiting function", `s("bd").every(2, fast(2).rev())`, []string{`line 1, column 26: the function fast waits for a pattern and has no .rev (write x => x.fast(…).rev(…))`}},
		{"a name above its constant", "s(\"bd\").add(x)\nconst x = 1", []string{`line 1, column 13: there is no x`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, problems, err := song.Check(t.Context(), tt.code)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("%s\nsays\n%s\nwant\n%s", tt.code, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// Hostile code is a problem soon, and takes little of anything.
func TestHostileCode(t *testing.T) {
	for name, code := range map[string]string{
		"deep brackets":                "s(\"" + strings.Repeat("[", 30_000) + "\")",
		"deep parentheses":             strings.Repeat("(", 60_000),
		"deep lists":                   "note(" + strings.Repeat("[", 60_000),
		"deep functions":               "s(\"bd\").apply(" + strings.Repeat("x=>", 20_000) + "1)",
		"a long chain":                 "s(\"bd\")" + strings.Repeat(".fast(2)", 8_000),
		"a long sum":                   "s(\"bd\").fast(1" + strings.Repeat("+1", 30_000) + ")",
		"many events":                  `s("bd*1e9")`,
		"very many events":             `s("[[[bd*9999]*9999]*9999]*9999")`,
		"fast of fast":                 `s("bd").fast(1000000).fast(1000000).fast(1000000).fast(1000000)`,
		"ply of ply":                   `s("bd*16").ply(1000).ply(1000).ply(1000)`,
		"chop of chop":                 `s("bd").chop(1000).chop(1000).chop(1000)`,
		"echoes of echoes":             `s("bd")` + strings.Repeat(`.echoWith(200, .1, x => x.echoWith(200, .1, x => x.gain(1)))`, 3),
		"layers doubled":               `s("bd")` + strings.Repeat(`.superimpose(x => x.late(.01))`, 40),
		"offs in offs":                 `s("bd")` + strings.Repeat(`.off(.01, x => x)`, 60),
		"a function that calls itself": "const f = x => x.layer(f, f)\ns(\"bd\").apply(f)",
		"functions that double": `const a = x => x.layer(y => y, y => y)
const b = x => a(a(a(a(x))))
const c = x => b(b(b(b(x))))
const d = x => c(c(c(c(x))))
s("bd").apply(d)`,
		"a huge euclid":      `s("bd(1,1000000)")`,
		"a huge replication": `s("[[[[bd!1000]!1000]!1000]!1000]!1000")`,
		"a huge range":       `n("0 .. 1000000000")`,
		"a huge run":         `n(run(1e9))`,
		"a huge iter":        `s("bd").iter(1e9)`,
		"fine times":         `s("bd").late(1/3).late(1/7).late(1/11).late(1/13).late(1/17).late(1/19).late(1/23).late(1/29).late(1/31).late(1/37).late(1/41).late(1/43).late(1/47).late(1/53).late(1/59)`,
		"segments of many":   `s("` + strings.Repeat("bd ", 5_000) + `").segment(100000)`,
		"a stack of stacks":  `s("` + strings.Repeat("[bd,", 40) + "bd" + strings.Repeat("]", 40) + `*4096")`,
		"slow to a stop":     `s("bd").slow(1e300)`,
		"a text that grows":  "const a = 'x'" + strings.Repeat("+'xxxxxxxxxxxxxxxx'", 3_000) + "\ns(a)",
		"growths of growths": `"0 1 2 3 4"` + strings.Repeat(`.grow(1)`, 4_000) + `.n()`,
		"steps of steps":     `"0*1024"` + strings.Repeat(`.take("1 2 3")`, 10) + `.n()`,
		"loops in loops":     `n("0 1 2 3 4")` + strings.Repeat(`.chunkInto(1000, x => x.fast(2))`, 40),
		"too long":           "s(\"bd\")" + strings.Repeat(" ", 70_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
			defer stop()
			s, problems, err := song.Check(ctx, code)
			if err != nil {
				t.Fatal("not soon")
			}
			if len(problems) > 0 {
				return
			}
			if _, err := s.Beginnings(ctx, 64); ctx.Err() != nil {
				t.Fatalf("not soon: %v", err)
			}
		})
	}
}

// endless has more to find than anybody waits for, a little in each cycle.
const endless = `s("bd*1000").gain(sine.segment(1000)).lpf(saw.segment(999)).degradeBy(1)`

// lastLook is a context that ends when it has been looked at so often, and counts on.
type lastLook struct {
	context.Context
	at, looks int
}

func (l *lastLook) Err() error {
	if l.looks++; l.looks >= l.at {
		return context.Canceled
	}
	return nil
}

// The first look at a context that has ended is the last one. How much is done between two looks is what TestLooks in pattern holds.
func TestBeginningsStopWhenTheContextEnds(t *testing.T) {
	s, problems := song.Read(endless)
	if s == nil {
		t.Fatal(problems)
	}
	for _, at := range []int{1, 2, 3, 100, 1001} {
		ctx := &lastLook{Context: t.Context(), at: at}
		if _, err := s.Beginnings(ctx, 1024); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if ctx.looks > at+2 { // one more tells that the failure is no mistake of the code
			t.Errorf("it was ended at look %d, and went on to look %d", at, ctx.looks)
		}
	}
}

// What plays too much is told after the cycle that does, and what takes too long after a bounded number of steps.
func TestTooManyEvents(t *testing.T) {
	for code, want := range map[string]string{
		endless:                     "the first ",
		`s("bd*4096").ply(100)`:     "cycle 1 of this pattern makes too many events",
		`s("bd").fast("<1 90000>")`: "cycle 2 of this pattern makes too many events, or takes too many steps to find them: speed up or repeat less",
		`s("bd*1000")`:              "more than 100000 events by cycle 101 of this pattern are too many: speed up or repeat less, or ask for fewer cycles",
	} {
		s, problems := song.Read(code)
		if s == nil {
			t.Fatal(problems)
		}
		_, err := s.Beginnings(t.Context(), 1024)
		if !errors.Is(err, pattern.ErrMany) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v", code, err)
		}
	}
}

// Chance is as likely as it says, the same every time, and different for different dice.
func TestChance(t *testing.T) {
	count := func(code string) int {
		t.Helper()
		s, problems := song.Read(code)
		if s == nil {
			t.Fatal(problems)
		}
		events, err := s.Beginnings(t.Context(), 125)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := s.Beginnings(t.Context(), 125)
		if len(again) != len(events) {
			t.Errorf("%s is %d events, then %d", code, len(events), len(again))
		}
		return len(events)
	}
	for code, want := range map[string]int{
		`s("bd*8").degradeBy(.3)`: 700, `s("bd*8").degrade()`: 500, `s("bd*8?")`: 500, `s("bd*8?0.9")`: 100, `s("bd*8").undegradeBy(.2)`: 800,
		`s("bd*8").sometimesBy(.4, x => x.ply(2))`: 1400, `s("[bd*8 | ~]")`: 500, `s("bd*8").often(x => x.ply(3))`: 2500,
		`s("bd*8").someCycles(x => x.fast(2))`: 1500, `s(chooseCycles("bd*4", "bd*12"))`: 1000, `s("bd*8").shuffle(4)`: 1000, `s("bd*8").mask(brandBy(.25).segment(8))`: 250,
		`s(wchooseCycles(["bd*2", 3], ["bd*10", 1]))`: 500,
	} {
		if got := count(code); got < want*4/5-20 || got > want*6/5+20 {
			t.Errorf("%s is %d events, want about %d", code, got, want)
		}
	}
}

// Whatever the code, it is read without harm, and what is valid plays.
func FuzzRead(f *testing.F) {
	f.Add(fourVoices)
	f.Add("const f = (x, n) => { const y = x.fast(2); return y }; $: s(`bd [sd,hh](3,8,<1 2>)?.3:2`).off(1/8, f) // x")
	f.Add(`arrange([2, n("0 .. 3").scale('C:minor')], [1, {a: [1, -2 ** 3]}])`)
	f.Add(`"<a!2 b>/3".pickRestart({a: s("bd"), b: x => x}).add.squeeze("{1 2 3}%4 . _ ~ | -")`)
	f.Fuzz(func(t *testing.T, code string) {
		ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
		defer stop()
		s, problems, err := song.Check(ctx, code)
		if err != nil {
			t.Fatalf("not soon: %v", err)
		}
		for _, p := range problems {
			if p.Message == "" || p.Line < 0 || p.Line > strings.Count(code, "\n")+1 {
				t.Errorf("problem %+v", p)
			}
		}
		if len(problems) > 0 {
			return
		}
		if _, err := s.Beginnings(ctx, 4); err != nil && !errors.Is(err, pattern.ErrMany) {
			t.Errorf("valid, and then: %v", err)
		}
	})
}
