// Package tonal knows notes by name, intervals and scales: what is written as an E flat stays one.
package tonal

import (
	"math"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/stdlib/strudel/vocab"
)

// Note is a note as it is written.
type Note struct {
	Letter    int // 0 is C
	Alter     int // sharps; flats are negative
	Octave    int
	HasOctave bool
}

const letters = "CDEFGAB"

var semitones = [7]int{0, 2, 4, 5, 7, 9, 11}

// ParseNote reads a note's name: c, eb4, F#3, cs2, bf.
func ParseNote(s string) (Note, bool) {
	if s == "" {
		return Note{}, false
	}
	n := Note{Letter: strings.IndexByte(letters, s[0]&^0x20), Octave: 3}
	if n.Letter < 0 {
		return Note{}, false
	}
	i := 1
	for ; i < len(s); i++ {
		if s[i] == '#' || s[i] == 's' {
			n.Alter++
		} else if s[i] == 'b' || s[i] == 'f' {
			n.Alter--
		} else {
			break
		}
	}
	if rest := s[i:]; rest != "" {
		o, err := strconv.Atoi(rest)
		if err != nil || o < -2 || o > 20 || rest[0] == '+' {
			return Note{}, false
		}
		n.Octave, n.HasOctave = o, true
	}
	return n, true
}

// MIDI is the note's number; C4 is 60.
func (n Note) MIDI() int { return (n.Octave+1)*12 + semitones[n.Letter] + n.Alter }

// Name writes the note with its octave, Class without.
func (n Note) Name() string { return n.Class() + strconv.Itoa(n.Octave) }

func (n Note) Class() string {
	if n.Alter < 0 {
		return letters[n.Letter:n.Letter+1] + strings.Repeat("b", -n.Alter)
	}
	return letters[n.Letter:n.Letter+1] + strings.Repeat("#", n.Alter)
}

// Interval is a distance on the staff and in semitones.
type Interval struct {
	Steps     int // 0 is a unison, 7 an octave
	Semitones int
}

// ParseInterval reads 3m, 5P, -2M, 4A.
func ParseInterval(s string) (Interval, bool) {
	sign := 1
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		s, sign = rest, -1
	}
	quality := strings.TrimLeft(s, "0123456789")
	number, err := strconv.Atoi(strings.TrimSuffix(s, quality))
	if err != nil || number < 1 || number > 64 || quality == "" {
		return Interval{}, false
	}
	i := Interval{Steps: number - 1}
	natural := semitones[i.Steps%7] + 12*(i.Steps/7)
	perfect := i.Steps%7 == 0 || i.Steps%7 == 3 || i.Steps%7 == 4
	off := 0
	switch same := strings.Trim(quality, quality[:1]) == ""; {
	case quality == "P" && perfect, quality == "M" && !perfect:
	case quality == "m" && !perfect:
		off = -1
	case quality[0] == 'A' && same:
		off = len(quality)
	case quality[0] == 'd' && same:
		if off = -len(quality); !perfect {
			off--
		}
	default:
		return Interval{}, false
	}
	i.Semitones = natural + off
	return Interval{sign * i.Steps, sign * i.Semitones}, true
}

// chromatic is how many steps of the staff a number of semitones is usually written as: six are a diminished fifth.
var chromatic = [12]int{0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6}

// Semitones is the interval that a number of semitones is usually written as.
func Semitones(n int) Interval {
	a := max(n, -n)
	i := Interval{Steps: chromatic[a%12] + 7*(a/12), Semitones: a}
	if n < 0 {
		return Interval{-i.Steps, -i.Semitones}
	}
	return i
}

// Up moves a note by an interval.
func (n Note) Up(i Interval) Note {
	at := n.Letter + 7*n.Octave + i.Steps
	out := Note{Letter: floorMod(at, 7), Octave: floorDiv(at, 7), HasOctave: n.HasOctave}
	out.Alter = n.MIDI() + i.Semitones - out.MIDI()
	return out
}

// Scale is a scale on a note.
type Scale struct {
	Tonic     Note
	Intervals []Interval
}

// ParseScale reads "C:minor", "c4 minor pentatonic". When it cannot, it says what is wrong.
func ParseScale(s string) (Scale, string) {
	words := strings.Fields(strings.ReplaceAll(s, ":", " "))
	if len(words) == 0 {
		return Scale{}, "a scale needs a name, as in \"C:minor\""
	}
	tonic, ok := ParseNote(words[0])
	name := strings.ToLower(strings.Join(words[1:], " "))
	switch {
	case !ok:
		if _, known := vocab.Scales()[strings.ToLower(strings.Join(words, " "))]; known {
			return Scale{}, "the scale " + strconv.Quote(s) + " has no tonic: write " + strconv.Quote("C:"+strings.Join(words, ":"))
		}
		return Scale{}, "the scale " + strconv.Quote(s) + " begins with no note: write one before the name, as in \"C:minor\""
	case name == "":
		return Scale{}, "the scale " + strconv.Quote(s) + " is incomplete: write its name after the tonic with a colon, as in " + strconv.Quote(words[0]+":minor")
	}
	steps, ok := vocab.Scales()[name]
	if !ok {
		if near := vocab.ScaleLike(name); near != "" {
			return Scale{}, "there is no scale " + strconv.Quote(name) + ": did you mean " + strconv.Quote(words[0]+":"+strings.ReplaceAll(near, " ", ":")) + "?"
		}
		return Scale{}, "there is no scale " + strconv.Quote(name) + ": major, minor, dorian, mixolydian, minor:pentatonic, harmonic:minor and others are known"
	}
	scale := Scale{Tonic: tonic}
	for _, step := range steps {
		i, _ := ParseInterval(step)
		scale.Intervals = append(scale.Intervals, i)
	}
	return scale, ""
}

// At is the note at a step; 0 is the tonic, and steps go on over the octaves.
func (s Scale) At(step int) Note {
	n := len(s.Intervals)
	i := s.Intervals[floorMod(step, n)]
	octaves := floorDiv(step, n)
	return s.Tonic.Up(Interval{i.Steps + 7*octaves, i.Semitones + 12*octaves})
}

// Nearest is the step whose note is nearest to a MIDI number, the higher of two that are as near.
func (s Scale) Nearest(midi float64) int {
	n := len(s.Intervals)
	from := floorDiv(int(math.Floor(midi))-s.Tonic.MIDI(), 12) * n
	best, distance := from, math.Inf(1)
	for step := from - n; step <= from+2*n; step++ {
		if d := math.Abs(float64(s.At(step).MIDI()) - midi); d <= distance {
			best, distance = step, d
		}
	}
	return best
}

func floorDiv(a, n int) int {
	q := a / n
	if a%n != 0 && (a < 0) != (n < 0) {
		q--
	}
	return q
}

func floorMod(a, n int) int { return a - n*floorDiv(a, n) }
