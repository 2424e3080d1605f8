package midi_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/slopstudios/slop/stdlib/strudel/midi"
	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/score"
)

// parsed is a file as a sequencer reads it.
type parsed struct {
	format, division int
	tempo            int // microseconds of a quarter
	tracks           []track
}

type track struct {
	name     string
	programs map[byte]byte
	notes    []note
	end      int
}

type note struct {
	channel, key, velocity byte
	from, to               int
}

func parse(t *testing.T, file []byte) (p parsed) {
	t.Helper()
	be := binary.BigEndian
	if string(file[:4]) != "MThd" || be.Uint32(file[4:]) != 6 {
		t.Fatal("no header")
	}
	p.format, p.division = int(be.Uint16(file[8:])), int(be.Uint16(file[12:]))
	count := int(be.Uint16(file[10:]))
	rest := file[14:]
	for range count {
		if string(rest[:4]) != "MTrk" {
			t.Fatal("no track where one should be")
		}
		size := int(be.Uint32(rest[4:]))
		body := rest[8 : 8+size]
		rest = rest[8+size:]
		tr := track{programs: map[byte]byte{}}
		number := func() (n int) {
			for {
				b := body[0]
				body = body[1:]
				if n = n<<7 | int(b&0x7f); b < 0x80 {
					return n
				}
			}
		}
		now, ended := 0, false
		for len(body) > 0 {
			if ended {
				t.Fatal("messages after the end of a track")
			}
			now += number()
			status := body[0]
			body = body[1:]
			switch {
			case status == 0xff:
				kind := body[0]
				body = body[1:]
				n := number()
				data := body[:n]
				body = body[n:]
				switch kind {
				case 0x03:
					tr.name = string(data)
				case 0x51:
					p.tempo = int(data[0])<<16 | int(data[1])<<8 | int(data[2])
				case 0x2f:
					ended, tr.end = true, now
				}
			case status&0xf0 == 0xc0:
				tr.programs[status&15] = body[0]
				body = body[1:]
			case status&0xf0 == 0xb0:
				body = body[2:]
			case status&0xf0 == 0x90:
				tr.notes = append(tr.notes, note{status & 15, body[0], body[1], now, -1})
				body = body[2:]
			case status&0xf0 == 0x80:
				i := len(tr.notes) - 1
				for ; i >= 0 && !(tr.notes[i].key == body[0] && tr.notes[i].to < 0); i-- {
				}
				if i < 0 {
					t.Fatal("a note ends that did not begin")
				}
				tr.notes[i].to = now
				body = body[2:]
			default:
				t.Fatalf("status %x", status)
			}
		}
		if !ended {
			t.Error("a track without an end")
		}
		p.tracks = append(p.tracks, tr)
	}
	if len(rest) > 0 {
		t.Error("bytes after the last track")
	}
	return p
}

func event(at, length int64, c map[string]any) pattern.Event {
	span := pattern.Span{Begin: pattern.Fraction(at, 8), End: pattern.Fraction(at+length, 8)}
	return pattern.Event{Whole: &span, Part: span, Value: c}
}

func TestAFile(t *testing.T) {
	s := score.Read([]pattern.Event{
		event(0, 1, map[string]any{"s": "bd"}),
		event(1, 1, map[string]any{"s": "hh", "gain": 0.5}),
		event(0, 8, map[string]any{"s": "gm_flute", "note": 69.0}),
		event(4, 8, map[string]any{"s": "gm_flute", "note": 69.0, "lpf": 300.0}),
		event(8, 2, map[string]any{"note": "c3", "velocity": 2.0}),
		event(9, 2, map[string]any{"note": 60.5, "gain": 0.0}),
	}, 0.5, 4)
	file, unheard := midi.Write(s)
	p := parse(t, file)
	if p.format != 1 || p.division != midi.Division || p.tempo != 500000 {
		t.Errorf("format %d, division %d, tempo %d", p.format, p.division, p.tempo)
	}
	var names []string
	for _, tr := range p.tracks {
		names = append(names, tr.name)
		if tr.end != 2*4*midi.Division {
			t.Errorf("track %q ends at %d", tr.name, tr.end)
		}
	}
	if want := []string{"", "bd", "gm_flute", "hh", "triangle"}; !slices.Equal(names, want) {
		t.Fatalf("tracks %q, not %q", names, want)
	}
	const eighth = midi.Division / 2
	for i, want := range [][]note{
		1: {{9, 36, 100, 0, eighth}},
		2: {{0, 69, 100, 0, 4 * eighth}, {0, 69, 100, 4 * eighth, 12 * eighth}}, // the first ends where the second begins
		3: {{9, 42, 50, eighth, 2 * eighth}},
		4: {{1, 48, 127, 8 * eighth, 10 * eighth}}, // what has no loudness is not there
	} {
		if i > 0 && !slices.Equal(p.tracks[i].notes, want) {
			t.Errorf("%s: %v, not %v", p.tracks[i].name, p.tracks[i].notes, want)
		}
	}
	if got := p.tracks[2].programs[0]; got != 73 {
		t.Errorf("the flute is program %d", got)
	}
	if want := []string{"cutoff", "pitches between two keys"}; !slices.Equal(unheard, want) {
		t.Errorf("unheard %q, not %q", unheard, want)
	}
}

func TestPrograms(t *testing.T) {
	for sound, want := range map[string]byte{
		"gm_piano": 0, "piano": 0, "gm_epiano1": 4, "gm_acoustic_guitar_nylon": 24, "gm_acoustic_bass": 32, "gm_electric_bass_pick": 34, "gm_synth_bass_1": 38, "gm_string_ensemble_1": 48,
		"gm_choir_aahs": 52, "gm_trumpet": 56, "gm_muted_trumpet": 59, "gm_tenor_sax": 66, "gm_pan_flute": 75, "sawtooth": 81, "square": 80, "gm_pad_warm": 89, "gm_fx_rain": 96,
		"gm_steel_drums": 114, "gm_applause": 126, "gm_lead_8_bass_lead": 87, "gm_violin": 40, "harp": 46,
	} {
		s := score.Read([]pattern.Event{event(0, 1, map[string]any{"s": sound, "note": 60.0})}, 1, 1)
		file, _ := midi.Write(s)
		for channel, got := range parse(t, file).tracks[1].programs {
			if got != want || channel == 9 {
				t.Errorf("%s is program %d, not %d, on channel %d", sound, got, want, channel+1)
			}
		}
	}
}

// More instruments than channels share them, each note after its program.
func TestManySounds(t *testing.T) {
	var events []pattern.Event
	for i := range int64(40) {
		events = append(events, event(i, 1, map[string]any{"s": "sound" + string(rune('a'+i)), "note": 60.0}))
	}
	file, _ := midi.Write(score.Read(events, 1, 5))
	p := parse(t, file)
	if len(p.tracks) != 41 {
		t.Fatalf("%d tracks", len(p.tracks))
	}
	for _, tr := range p.tracks[1:] {
		if len(tr.notes) != 1 || tr.notes[0].channel == 9 || tr.notes[0].to < 0 {
			t.Errorf("%q: %v", tr.name, tr.notes)
		}
	}
}

func TestHostileNumbers(t *testing.T) {
	for _, v := range []float64{math.MaxFloat64, -math.MaxFloat64, math.Inf(1), math.NaN(), 1e-300} {
		for _, name := range []string{"note", "gain", "pan", "clip", "velocity", "freq"} {
			c := map[string]any{"s": "sine", "note": 60.0, name: v}
			file, _ := midi.Write(score.Read([]pattern.Event{event(0, 1, c)}, 1, 1))
			parse(t, file)
		}
	}
}
