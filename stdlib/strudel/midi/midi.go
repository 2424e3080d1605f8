// Package midi writes a score as a Standard MIDI File: format 1, a track for each sound, the sounds of a drum kit on channel 10.
package midi

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/slopstudios/slop/stdlib/strudel/score"
)

// Type is the media type of the file.
const Type = "audio/midi"

// Division is how many ticks a quarter note has; a cycle is four quarters.
const Division = 960

// drumChannel is the tenth, which General MIDI gives to drums.
const drumChannel = 9

// channels are those for everything else.
const channels = 15

// spoken are the controls that a MIDI file can say.
var spoken = []string{"gain", "velocity", "postgain", "clip", "pan", "nudge", "freq", "color", "label", "activeLabel", "analyze", "fft"}

// Write gives the file, and what of the score it cannot say.
func Write(s *score.Score) (file []byte, unheard []string) {
	for _, name := range s.Controls() {
		if !slices.Contains(spoken, name) {
			unheard = append(unheard, name)
		}
	}
	tracks := tracksOf(s)
	file = append(file, "MThd"...)
	file = binary.BigEndian.AppendUint32(file, 6)
	file = binary.BigEndian.AppendUint16(file, 1)
	file = binary.BigEndian.AppendUint16(file, uint16(len(tracks)+1))
	file = binary.BigEndian.AppendUint16(file, Division)

	end := ticks(s, s.Seconds)
	tempo := uint32(min(max(math.Floor(1e6/float64(4*s.CPS)+0.5), 1), 1<<24-1)) // microseconds of a quarter
	file = appendTrack(file, end, []message{
		{0, -2, []byte{0xff, 0x51, 3, byte(tempo >> 16), byte(tempo >> 8), byte(tempo)}},
		{0, -1, []byte{0xff, 0x58, 4, 4, 2, 24, 8}}, // four quarters
	})
	bent := false
	for _, t := range tracks {
		file = appendTrack(file, end, t.messages(s, len(tracks) > channels))
		bent = bent || t.bent()
	}
	if bent {
		unheard = append(unheard, "pitches between two keys")
	}
	slices.Sort(unheard)
	return file, unheard
}

// track is a sound with its notes.
type track struct {
	sound   string
	channel byte
	program byte
	notes   []*score.Note
}

func tracksOf(s *score.Score) []*track {
	var list []*track
	of := map[string]*track{}
	next := 0
	for i := range s.Notes {
		n := &s.Notes[i]
		t := of[n.Sound]
		if t == nil {
			t = &track{sound: n.Sound, channel: drumChannel}
			if !score.Drum(n.Sound) {
				t.program = program(n.Sound)
				t.channel = byte(next % channels)
				if t.channel >= drumChannel {
					t.channel++
				}
				next++
			}
			of[n.Sound] = t
			list = append(list, t)
		}
		t.notes = append(t.notes, n)
	}
	return list
}

func (t *track) bent() bool {
	return t.channel != drumChannel && slices.ContainsFunc(t.notes, func(n *score.Note) bool { return math.Abs(n.Key-math.Round(n.Key)) > 0.01 })
}

// message is one of MIDI, at a tick. Of those at the same tick the lower order comes first.
type message struct {
	tick  int
	order int
	bytes []byte
}

// messages are those of a track. Where channels have to be shared, the instrument is said before every note.
func (t *track) messages(s *score.Score, shared bool) []message {
	name := t.sound[:min(len(t.sound), 100)]
	list := []message{{0, -3, append([]byte{0xff, 0x03, byte(len(name))}, name...)}}
	if t.channel != drumChannel && !shared {
		list = append(list, message{0, -2, []byte{0xc0 | t.channel, t.program}})
	}
	pan := byte(64)
	off := map[byte]int{} // the index in list of the end of the last note on a key
	for _, n := range t.notes {
		velocity := math.Floor(float64(min(n.Level(), 2)*100) + 0.5)
		if velocity < 1 {
			continue
		}
		key := byte(min(max(math.Floor(n.Key+0.5), 0), 127))
		if t.channel == drumChannel {
			key = percussion[score.Called(t.sound)]
		} else if !n.Keyed {
			key = 36
		}
		from := ticks(s, n.Start)
		to := max(ticks(s, n.Start+n.Sounding()), from+1)
		if i, ok := off[key]; ok && list[i].tick > from {
			list[i].tick = max(from, 1) // the same key cannot be held twice
		}
		if v, ok := n.Number("pan"); ok || pan != 64 {
			at := byte(64)
			if ok {
				at = byte(math.Floor(float64(min(max(v, 0), 1)*127) + 0.5))
			}
			if at != pan {
				pan = at
				list = append(list, message{from, 1, []byte{0xb0 | t.channel, 10, pan}})
			}
		}
		if shared && t.channel != drumChannel {
			list = append(list, message{from, 1, []byte{0xc0 | t.channel, t.program}})
		}
		list = append(list, message{from, 2, []byte{0x90 | t.channel, key, byte(min(velocity, 127))}})
		off[key] = len(list)
		list = append(list, message{to, 0, []byte{0x80 | t.channel, key, 64}})
	}
	slices.SortStableFunc(list, func(a, b message) int {
		if a.tick != b.tick {
			return a.tick - b.tick
		}
		return a.order - b.order
	})
	return list
}

func ticks(s *score.Score, seconds float64) int {
	return int(math.Floor(float64(seconds*float64(s.CPS*(4*Division))) + 0.5))
}

func appendTrack(file []byte, end int, list []message) []byte {
	file = append(file, "MTrk\x00\x00\x00\x00"...)
	begin, now := len(file), 0
	for _, m := range list {
		file = appendLength(file, m.tick-now)
		file = append(file, m.bytes...)
		now = m.tick
	}
	file = appendLength(file, max(end-now, 0))
	file = append(file, 0xff, 0x2f, 0)
	binary.BigEndian.PutUint32(file[begin-4:], uint32(len(file)-begin))
	return file
}

// appendLength writes a number in groups of seven bits, the highest first.
func appendLength(b []byte, n int) []byte {
	for shift := 28; shift > 0; shift -= 7 {
		if n>>shift > 0 {
			b = append(b, byte(n>>shift&0x7f|0x80))
		}
	}
	return append(b, byte(n&0x7f))
}
