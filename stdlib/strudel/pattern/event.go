package pattern

import "errors"

// Span is a stretch of time, its end not included. A span without length is a point.
type Span struct{ Begin, End Time }

func (s Span) Length() Time { return s.End.Sub(s.Begin) }

// Meet is what two spans share. Two that only touch share nothing, unless one of them is a point at the other's begin.
func (s Span) Meet(o Span) (Span, bool) {
	m := Span{Later(s.Begin, o.Begin), Earlier(s.End, o.End)}
	switch c := m.Begin.Cmp(m.End); {
	case c > 0:
		return Span{}, false
	case c == 0:
		if m.Begin == s.End && s.Begin != s.End || m.Begin == o.End && o.Begin != o.End {
			return Span{}, false
		}
	}
	return m, true
}

// Event is a thing that plays: what with, and when. Times are in cycles from the start; a cycle lasts 1/CPS seconds.
type Event struct {
	// Whole is when it begins and ends. It is nil for a continuous value, one that was only looked at during Part.
	Whole *Span
	// Part is the part of it that was asked for: the same as Whole, unless the question cut it. An event that Begins is one to start a sound for.
	Part Span
	// Value holds the controls by their full names: s ("bd"), note (a number as in MIDI, or a name such as "c#3"; without an octave it is octave 3), n (which
	// sample of a set; 0 when there is none), gain, cutoff (what lpf sets), room, pan, speed, begin, end, clip (the length of the sound in lengths of the
	// event), … Values are float64, string, bool or []any.
	Value map[string]any
}

// Begins tells whether Part has the event's beginning. A player sounds such events only; the others are rests of what has begun before.
func (e Event) Begins() bool { return e.Whole != nil && e.Whole.Begin == e.Part.Begin }

// DefaultCPS is how many cycles a second has when code does not say.
const DefaultCPS = 0.5

var (
	// ErrFine: the arithmetic of times left the range of its numbers.
	ErrFine = errors.New("the times of this pattern are too fine to be counted: nest or speed up less")
	// ErrMany: the pattern gives more events, or takes more steps to find them, than a query may.
	ErrMany = errors.New("this pattern makes too many events: speed up or repeat less, or ask for fewer cycles")
)
