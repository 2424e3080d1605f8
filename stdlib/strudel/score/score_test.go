package score_test

import (
	"slices"
	"testing"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/score"
)

type controls = map[string]any

func event(begin, end int64, c controls) pattern.Event {
	span := pattern.Span{Begin: pattern.Fraction(begin, 4), End: pattern.Fraction(end, 4)}
	return pattern.Event{Whole: &span, Part: span, Value: c}
}

func one(t *testing.T, c controls) *score.Note {
	t.Helper()
	s := score.Read([]pattern.Event{event(0, 1, c)}, 1, 1)
	if len(s.Notes) != 1 {
		t.Fatalf("%v is %d notes", c, len(s.Notes))
	}
	return &s.Notes[0]
}

func TestKeys(t *testing.T) {
	for name, want := range map[string]float64{"c": 48, "c4": 60, "a4": 69, "eb3": 51, "f#2": 42, "cs5": 73, "Bb1": 34, "c-1": 0, "bb": 58, "bbb3": 57, "f": 53} {
		if got, ok := score.Key(name, 3); !ok || got != want {
			t.Errorf("%s is the key %v, %v, not %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "h", "c99", " c", "@", "4", "cx", "sd"} {
		if got, ok := score.Key(name, 3); ok {
			t.Errorf("%q is the key %v", name, got)
		}
	}
}

func TestControlsAreFoundByAllTheirNames(t *testing.T) {
	n := one(t, controls{"sound": "bd:3", "lpf": "800:5", "room": []any{0.5, 4.0}, "legato": "0.5", "velocity": 0.5, "postgain": 0.5, "bank": "RolandTR909"})
	if n.Sound != "bd" || n.Variant != 3 || n.Bank != "RolandTR909" || n.Keyed {
		t.Errorf("it is %+v", n)
	}
	for name, want := range map[string]float64{"cutoff": 800, "resonance": 5, "room": 0.5, "roomsize": 4, "clip": 0.5} {
		if got, ok := n.Number(name); !ok || got != want {
			t.Errorf("%s is %v, %v, not %v", name, got, ok, want)
		}
	}
	if n.Sounding() != 0.125 || n.Level() != 0.25 {
		t.Errorf("it sounds %v seconds at %v", n.Sounding(), n.Level())
	}
	for sound, bank := range map[string]string{"RolandTR808_bd": "RolandTR808", "808bd": "TR808"} {
		if n := one(t, controls{"s": sound}); n.Sound != "bd" || n.Bank != bank {
			t.Errorf("%s is %q of %q", sound, n.Sound, n.Bank)
		}
	}
	if n := one(t, controls{"note": "e"}); n.Sound != "triangle" || n.Key != 52 {
		t.Errorf("a note alone is %q at %v", n.Sound, n.Key)
	}
}

func TestWhatIsInAScore(t *testing.T) {
	cut := event(0, 8, controls{"s": "hh"})
	cut.Part.Begin = pattern.Cycles(1) // the rest of one that began before
	s := score.Read([]pattern.Event{
		event(8, 12, controls{"s": "sd", "nudge": -0.25, "squiz": 1.0}), event(0, 4, controls{"s": "bd"}), event(4, 5, controls{"s": "~"}), cut,
		event(16, 20, controls{"s": "bd"}), {Part: pattern.Span{}, Value: controls{"s": "oh"}},
	}, 0.5, 8)
	var got []float64
	for _, n := range s.Notes {
		got = append(got, n.Start, n.Length)
	}
	if want := []float64{0, 2, 3.75, 2}; !slices.Equal(got, want) {
		t.Errorf("starts and lengths are %v, not %v", got, want)
	}
	if want := []string{"nudge", "squiz"}; !slices.Equal(s.Controls(), want) {
		t.Errorf("controls are %v, not %v", s.Controls(), want)
	}
}
