package travel_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/sim"
	"github.com/slopstudios/slop/runtime/travel"
)

const chain = `
input x: string
a = writer "a <<x>>"
b = editor "b <<a>>" else "none"
ok = human.approve "good?"
output [a, b, ok]`

func exported(t *testing.T, h *travel.History) []byte {
	t.Helper()
	data, err := travel.Export(h, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAReplayGivesTheSameResult(t *testing.T) {
	for seed := range uint64(60) {
		p := compile(t, sim.Script(rand.New(rand.NewPCG(seed, 0)), true), sim.Files())
		w := start(t, p, sim.Inputs(seed), seed)
		w.answer = simulated(seed)
		h := w.play()
		back, _, err := travel.Import(exported(t, h))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		r, err := travel.Replay(back)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, w.log())
		}
		if diff := cmp.Diff(last(h), r.End); diff != "" {
			t.Errorf("seed %d: %s", seed, diff)
		}
		for _, l := range r.Lines[1 : len(r.Lines)-1] {
			if l.At.Line == 0 || l.Source == "" {
				t.Errorf("seed %d: %s has no line in the script", seed, l.Fact)
			}
		}
	}
}

func TestAReplayShowsTheLineOfEachFact(t *testing.T) {
	h := start(t, compile(t, chain, nil), map[string]any{"x": "rain"}, 1).play()
	r, err := travel.Replay(h)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, l := range r.Lines {
		got[l.Fact.Kind()+" "+strings.SplitN(l.Fact.String(), " ", 2)[0]] = l.Source
	}
	for fact, line := range map[string]string{"call_done a": `a = writer "a <<x>>"`, "call_started b": `b = editor "b <<a>>" else "none"`, "answered ok": `ok = human.approve "good?"`} {
		if got[fact] != line {
			t.Errorf("%s stands at %q, want %q", fact, got[fact], line)
		}
	}
}

func TestADamagedFileIsRefused(t *testing.T) {
	data := exported(t, start(t, compile(t, chain, nil), map[string]any{"x": "rain"}, 1).play())
	r := rand.New(rand.NewPCG(1, 1))
	for range 400 {
		bad := slices.Clone(data)
		at := r.IntN(len(bad))
		bad[at] ^= 1 << r.IntN(8)
		if h, _, err := travel.Import(bad); err == nil {
			if again := exported(t, h); string(again) != string(data) { // a blank for another, outside of what is said
				t.Fatalf("byte %d: %q was read", at, bad[max(0, at-20):min(len(bad), at+20)])
			}
		}
	}
	for n := 0; n < len(data)-2; n += 97 {
		if _, _, err := travel.Import(data[:n]); !errors.Is(err, travel.ErrDamaged) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	for _, s := range []string{"{}", "[]", "", "null"} {
		if _, _, err := travel.Import([]byte(s)); !errors.Is(err, travel.ErrDamaged) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, _, err := travel.Import([]byte(`{"schema": "slop.run/9"}`)); err == nil || errors.Is(err, travel.ErrDamaged) || !strings.Contains(err.Error(), "slop.run/9") {
		t.Errorf("of a later form: %v", err)
	}
}

func TestADriftedHistoryIsRefused(t *testing.T) {
	fresh := func() *travel.History {
		return start(t, compile(t, chain, nil), map[string]any{"x": "rain"}, 1).play()
	}
	find := func(h *travel.History, kind, path string) int {
		return slices.IndexFunc(h.Facts, func(f run.Fact) bool { return f.Kind() == kind && strings.HasPrefix(f.String(), path) })
	}
	for name, change := range map[string]func(h *travel.History){
		"another answer": func(h *travel.History) {
			i := find(h, "call_done", "a ")
			b := *h.Facts[i].Body.(*run.CallDone)
			b.Value = "another"
			h.Facts[i].Body = &b
		},
		"another output": func(h *travel.History) {
			b := *last(h)
			b.Value = []any{"x"}
			h.Facts[len(h.Facts)-1].Body = &b
		},
		"another usage": func(h *travel.History) {
			b := *last(h)
			b.Usage.Calls++
			h.Facts[len(h.Facts)-1].Body = &b
		},
		"an end too early": func(h *travel.History) {
			i := find(h, "answered", "ok ")
			h.Facts = append(h.Facts[:i:i], run.Fact{Seq: run.Seq(i + 1), At: noon, Body: last(h)})
		},
		"another text in the plan": func(h *travel.History) {
			h.Plan = compile(t, strings.Replace(chain, `"b <<a>>"`, `"c <<a>>"`, 1), nil)
		},
	} {
		h := fresh()
		change(h)
		if _, err := travel.Replay(h); !errors.Is(err, travel.ErrDrift) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h := fresh()
	h.Facts = append(h.Facts, run.Fact{Seq: run.Seq(len(h.Facts) + 1), At: noon, Body: &run.PauseAsked{}})
	if _, err := travel.Replay(h); !errors.Is(err, travel.ErrDamaged) {
		t.Errorf("a fact after the end: %v", err)
	}
}

func TestAForkIsReplayedToo(t *testing.T) {
	h := start(t, compile(t, chain, nil), map[string]any{"x": "rain"}, 1).play()
	f := goOn(t, fork(t, h, travel.Change{From: "b"}), 1).play()
	back, _, err := travel.Import(exported(t, f))
	if err != nil {
		t.Fatal(err)
	}
	r, err := travel.Replay(back)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Lines[1].Kept || r.Lines[len(r.Lines)-1].Kept || r.Took() < 0 {
		t.Errorf("what is kept is not marked: %+v", r.Lines)
	}
}

func TestARunInTheMiddleIsExportedAndForked(t *testing.T) {
	p := compile(t, chain, nil)
	w := start(t, p, map[string]any{"x": "rain"}, 1)
	w.slow = true
	w.halt = func(run.Path) bool { return slices.Contains(w.did, "b") && len(w.h.Facts) > 4 }
	h := w.play()
	r, err := travel.Replay(h)
	if err != nil || r.End != nil {
		t.Fatalf("%v, %v", r, err)
	}
	f := fork(t, h, travel.Change{})
	if diff := cmp.Diff([]string{"ok"}, paths(f)); diff != "" {
		t.Errorf("it would do again: %s", diff)
	}
	if end := last(goOn(t, f, 1).play()); end.Status != run.Succeeded {
		t.Errorf("it ended %+v", end)
	}
}
