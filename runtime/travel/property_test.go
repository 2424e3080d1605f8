package travel_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/sim"
	"github.com/slopstudios/slop/runtime/travel"
)

// A fork that changes nothing does again the step that was named and what depends on it, says so before, and ends as its origin did.
func TestForksOfRandomRuns(t *testing.T) {
	length, first := 1500*time.Millisecond, uint64(1)
	if os.Getenv("SLOP_LONG") != "" {
		length, first = 5*time.Minute, uint64(time.Now().Unix())*1000
	}
	count := 0
	for end := time.Now().Add(length); time.Now().Before(end) && !t.Failed(); count++ {
		forkOfRandomRun(t, first+uint64(count))
	}
	t.Logf("%d runs from seed %d", count, first)
}

// simulated agents fail at some texts in the runs of even seeds: then a block may end while something in it waits, and what was done of it is luck.
func simulated(seed uint64) func(w *run.CallWish) (any, bool) {
	return func(w *run.CallWish) (any, bool) {
		v, ok := sim.Answer(text(w), w.As)
		if !ok && seed%2 == 1 {
			return map[bool]any{true: 7, false: "never mind"}[w.As != nil], true
		}
		return v, ok
	}
}

func forkOfRandomRun(t *testing.T, seed uint64) {
	script := sim.Script(rand.New(rand.NewPCG(seed, 0)), true)
	p := compile(t, script, sim.Files())
	w := start(t, p, sim.Inputs(seed), seed)
	w.answer = simulated(seed)
	h := w.play()
	steps := sorted(w.did)
	if len(steps) == 0 {
		return
	}
	r := rand.New(rand.NewPCG(seed, 3))
	from := run.Path(steps[r.IntN(len(steps))])
	f, err := travel.NewFork(h, travel.Change{From: from}, travel.New{ID: "fork", At: noon.Add(time.Hour)})
	if err != nil {
		t.Fatalf("seed %d, from %s: %v\n%s\n%s", seed, from, err, script, w.log())
	}
	again := goOn(t, f, seed)
	again.answer = simulated(seed)
	end := again.play()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("seed %d, from %s: "+format, append([]any{seed, from}, args...)...)
		t.Fatalf("%s\norigin:\n%s\nfork:\n%s\nsaid:\n  %s", script, w.log(), again.log(), strings.Join(told(f), "\n  "))
	}
	was, is := last(h), last(end)
	luck := w.luck || again.luck || seed%2 == 0
	if was.Status != is.Status || !eval.Equal(was.Value, is.Value) {
		fail("the origin ended %s %v, the fork %s %v", was.Status, was.Value, is.Status, is.Value)
	}
	said := slices.DeleteFunc(paths(f), func(path string) bool { // a member of a race may be left before it begins, what the origin did not come to may not be come to
		fresh := slices.ContainsFunc(f.Again, func(a travel.Again) bool { return string(a.Path) == path && a.Why == travel.Fresh })
		return (fresh || inRace(path)) && !slices.Contains(sorted(again.did), path)
	})
	did := slices.DeleteFunc(sorted(again.did), func(path string) bool { return inRace(path) && !slices.Contains(said, path) })
	if diff := cmp.Diff(said, did); diff != "" && !luck {
		fail("what it said and what it did: %s", diff)
	}
	if n := again.m.Kept(); n > 0 && !luck {
		fail("%d kept facts never had their turn", n)
	}
	var redone []run.Path
	for _, a := range f.Again {
		redone = append(redone, a.Path)
		switch {
		case a.Why == travel.Named && a.Path != from && !strings.HasPrefix(string(a.Path), string(from)):
			fail("%s was not named", a.Path)
		case a.Why == travel.Downstream && was.Status == run.Succeeded && (a.Of == "" || !slices.ContainsFunc(f.Again, func(o travel.Again) bool { return o.Path == a.Of })):
			fail("%s is done again and needs nothing that is", a.Path)
		}
	}
	for _, k := range f.Keeps {
		if of := travel.Needs(h, k.Path, redone); of != "" && !luck {
			fail("%s keeps its result and needs %s, which is done again", k.Path, of)
		}
	}
}

// A fork with other inputs ends as a new run with these inputs would, whatever it keeps; so does a fork of a fork, and one of a run that has not ended.
func TestForksOfRandomRunsWithOtherInputs(t *testing.T) {
	length, first := 1500*time.Millisecond, uint64(1)
	if os.Getenv("SLOP_LONG") != "" {
		length, first = 5*time.Minute, uint64(time.Now().Unix())*1000
	}
	count, kept := 0, 0
	for end := time.Now().Add(length); time.Now().Before(end) && !t.Failed(); count++ {
		kept += otherInputs(t, first+uint64(count))
	}
	t.Logf("%d runs from seed %d, %d results were kept", count, first, kept)
}

func otherInputs(t *testing.T, seed uint64) (kept int) {
	script := sim.Script(rand.New(rand.NewPCG(seed, 0)), true)
	p := compile(t, script, sim.Files())
	r := rand.New(rand.NewPCG(seed, 3))
	w := start(t, p, sim.Inputs(seed), seed)
	w.answer = simulated(seed)
	if stop := r.IntN(30); stop < 15 {
		w.halt = func(run.Path) bool { return len(w.h.Facts) > stop }
	}
	h := w.play()
	inputs := sim.Inputs(seed + uint64(r.IntN(2)))
	if r.IntN(2) == 0 {
		inputs["topic"] = "sun"
	}
	fresh := start(t, p, inputs, seed)
	fresh.answer = simulated(seed)
	want := last(fresh.play())
	for generation := range 3 {
		c := travel.Change{Inputs: inputs}
		if steps := sorted(w.did); generation > 0 && len(steps) > 0 {
			c = travel.Change{From: run.Path(steps[r.IntN(len(steps))])}
		}
		f, err := travel.NewFork(h, c, travel.New{ID: run.ID("fork" + string(rune('1'+generation))), At: noon.Add(time.Duration(generation+1) * time.Hour)})
		var unknown *travel.ErrStep
		if errors.As(err, &unknown) {
			continue // with other inputs there is no such step
		}
		if err != nil {
			t.Fatalf("seed %d: %v\n%s\n%s", seed, err, script, w.log())
		}
		kept += len(f.Keeps)
		again := goOn(t, f, seed)
		again.answer = simulated(seed)
		h = again.play()
		if got := last(h); got.Status != want.Status || !eval.Equal(got.Value, want.Value) {
			t.Errorf("seed %d, fork %d: it ended %s %v, a new run %s %v", seed, generation, got.Status, got.Value, want.Status, want.Value)
			t.Fatalf("%s\norigin:\n%s\nfork:\n%s\nsaid:\n  %s", script, w.log(), again.log(), strings.Join(told(f), "\n  "))
		}
		if _, err := travel.Replay(h); err != nil {
			t.Fatalf("seed %d, fork %d: %v", seed, generation, err)
		}
		w = again
	}
	return kept
}

// inRace reads it off the names that sim gives the members of races.
func inRace(path string) bool {
	for _, segment := range strings.Split(path, "/") {
		if i := strings.LastIndexByte(segment, 'm'); i > 0 && i+2 == len(segment) {
			return true
		}
	}
	return false
}

func last(h *travel.History) *run.Finished {
	end, _ := h.Facts[len(h.Facts)-1].Body.(*run.Finished)
	return end
}
