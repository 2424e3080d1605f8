package song_test

import (
	"testing"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/song"
)

// fourVoices is what a model writes: drums, bass, chords and a melody.
const fourVoices = `setcpm(110/4)
$: s("bd*4, [~ sd]*2, hh*8, ~ ~ ~ [~ oh]").bank("RolandTR909").gain("[1 .8]*2")
$: note("<c2 ab1 eb2 bb1>*2").s("sawtooth").lpf(sine.range(300, 1200).slow(4)).every(4, x => x.fast(2))
$: n("<[0,2,4] [3,5,7]>/2").scale("C:minor").s("gm_epiano1").struct("x ~ x ~ ~ x ~ ~").off(1/8, x => x.add(note(12)).gain(.4))
$: n("0 [2 4] <3 5> [~ <4 1>]").scale("C5:minor").s("triangle").jux(rev).room(.4)`

// BenchmarkEvents asks for 64 cycles of four voices. Its yardstick is the same number of events of one voice that needs no thought.
func BenchmarkEvents(b *testing.B) {
	s, problems := song.Read(fourVoices)
	if s == nil {
		b.Fatal(problems)
	}
	events, err := s.Beginnings(b.Context(), 64)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("four voices", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Beginnings(b.Context(), 64); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(events)), "events")
	})
	b.Run("reading", func(b *testing.B) {
		for b.Loop() {
			song.Read(fourVoices)
		}
	})
	b.Run("yardstick", func(b *testing.B) {
		n := len(events) / 64
		p := pattern.Pure(pattern.Controls{{Name: "s", Value: "bd"}}).Fast(pattern.Cycles(int64(n)))
		for b.Loop() {
			if _, _, err := p.Query(b.Context(), pattern.Time{}, pattern.Cycles(64), 1<<30); err != nil {
				b.Fatal(err)
			}
		}
	})
}
