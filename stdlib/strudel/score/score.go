// Package score is a piece as its players read it: sounds in seconds, each with what its controls come to. The synthesiser, the MIDI file and the picture
// are made from the same score.
package score

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/vocab"
)

// Score is what is played, in the order of its beginnings.
type Score struct {
	Seconds float64
	CPS     float64 // cycles in a second
	Notes   []Note
}

// Note is one sound.
type Note struct {
	Start, Length float64 // seconds; the length is that of the event, whatever becomes of it
	Sound         string  // "bd", "sawtooth", "gm_flute"
	Bank          string  // the drum machine, "" when none is named
	Variant       int     // which sample of its sound, from 0
	Key           float64 // as in MIDI: 60 is the c in the middle; between two keys it has a fraction
	Keyed         bool    // it has a key of its own
	numbers       map[string]float64
	texts         map[string]string
}

// Number is a control that is a number.
func (n *Note) Number(name string) (float64, bool) {
	v, ok := n.numbers[name]
	return v, ok
}

// Or is a number, or what stands in for it.
func (n *Note) Or(name string, otherwise float64) float64 {
	if v, ok := n.numbers[name]; ok {
		return v
	}
	return otherwise
}

// Text is a control that is a word; "" when there is none.
func (n *Note) Text(name string) string { return n.texts[name] }

// Sounding is how long the event lasts as played: clip makes it shorter or longer.
func (n *Note) Sounding() float64 { return float64(n.Length * max(n.Or("clip", 1), 0)) }

// Level is how loud it is asked to be; 1 is as it comes.
func (n *Note) Level() float64 {
	return float64(float64(max(n.Or("gain", 1), 0)*max(n.Or("velocity", 1), 0)) * max(n.Or("postgain", 1), 0))
}

// Controls are the names of everything that was set, sorted, as far as a player could make something of it.
func (s *Score) Controls() []string {
	seen := map[string]bool{}
	for i := range s.Notes {
		for name := range s.Notes[i].numbers {
			seen[name] = true
		}
		for name := range s.Notes[i].texts {
			seen[name] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Peak is the reach of a wave in a stretch of time, from -1 to 1.
type Peak struct{ Low, High float32 }

// Read makes a score of the events that begin within so many seconds. What plays without a sound is a triangle, as Strudel has it.
func Read(events []pattern.Event, cps, seconds float64) *Score {
	cps = even(cps)
	s := &Score{Seconds: seconds, CPS: cps}
	for _, e := range events {
		if !e.Begins() {
			continue
		}
		n := Note{Start: e.Whole.Begin.Float() / cps, Length: e.Whole.Length().Float() / cps}
		n.read(e.Value)
		n.Start += n.numbers["nudge"]
		if n.Start >= seconds || n.Start < 0 || n.Sound == "~" || n.Sound == "-" {
			continue
		}
		s.Notes = append(s.Notes, n)
	}
	slices.SortStableFunc(s.Notes, func(a, b Note) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
	return s
}

// read sorts the controls of one event. Several written as one ("1000:5") go to their own names; sorted order makes the outcome certain where two names
// mean the same.
func (n *Note) read(controls map[string]any) {
	n.numbers, n.texts = map[string]float64{}, map[string]string{}
	names := make([]string, 0, len(controls))
	for name := range controls {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		v := controls[name]
		var further []string
		if c, ok := vocab.Controls()[name]; ok {
			name, further = c.Name, c.More
		}
		parts := several(v, len(further) > 0)
		for i, to := range append([]string{name}, further...) {
			if full, ok := vocab.Controls()[to]; ok {
				to = full.Name
			}
			if i < len(parts) {
				n.set(to, parts[i])
			}
		}
		if len(parts) > len(further)+1 {
			n.texts[fmt.Sprintf("%s (its part %d)", name, len(further)+2)] = "" // nobody knows it, so it will be listed
		}
	}
	n.name()
	n.key()
}

// several are the parts of a control: those of a list and, where a control has further parts, of a text with colons.
func several(v any, further bool) []any {
	switch v := v.(type) {
	case []any:
		return v
	case string:
		if !further {
			break
		}
		var parts []any
		for _, p := range strings.Split(v, ":") {
			parts = append(parts, p)
		}
		return parts
	}
	return []any{v}
}

func (n *Note) set(name string, v any) {
	switch v := v.(type) {
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			n.numbers[name] = even(v)
		}
	case int:
		n.numbers[name] = float64(v)
	case bool:
		n.numbers[name] = 0
		if v {
			n.numbers[name] = 1
		}
	case string:
		v = strings.TrimSpace(v)
		if f, err := strconv.ParseFloat(v, 64); err == nil && name != "s" && name != "bank" && !math.IsNaN(f) && !math.IsInf(f, 0) {
			n.numbers[name] = even(f)
		} else if v != "" {
			n.texts[name] = v
		}
	}
}

// even takes a number as 40 bits have it. A pattern may come by its numbers through a sine, whose last bit is not the same on every platform; what is
// played is the same on all.
func even(f float64) float64 {
	const rest = 1<<12 - 1
	return math.Float64frombits((math.Float64bits(f) + (rest+1)/2) &^ rest)
}

// name finds which sound it is.
func (n *Note) name() {
	n.Sound, n.Bank = n.texts["s"], n.texts["bank"]
	if f, ok := n.numbers["s"]; ok && n.Sound == "" {
		n.Sound = strconv.FormatFloat(f, 'g', -1, 64)
	}
	if at := strings.LastIndexByte(n.Sound, '_'); n.Bank == "" && at > 0 && drums[n.Sound[at+1:]] != "" {
		n.Sound, n.Bank = n.Sound[at+1:], n.Sound[:at] // RolandTR909_bd
	}
	for _, machine := range []string{"808", "909"} {
		if rest, ok := strings.CutPrefix(n.Sound, machine); ok && drums[rest] != "" {
			n.Sound, n.Bank = rest, "TR"+machine // 808bd
		}
	}
	if v := n.numbers["n"]; v >= 0 && v < 1<<20 {
		n.Variant = int(v + 0.5)
	}
	if n.Sound == "" {
		n.Sound = "triangle"
	}
	for _, name := range []string{"s", "bank", "n"} {
		delete(n.texts, name)
		delete(n.numbers, name)
	}
}

// key finds how high it is.
func (n *Note) key() {
	if hz, ok := n.numbers["freq"]; ok && hz > 0 {
		n.Key, n.Keyed = 69+12*math.Log2(hz/440), true
		return // of its frequency the synthesiser takes the number itself
	}
	delete(n.numbers, "freq")
	if v, ok := n.numbers["note"]; ok {
		n.Key, n.Keyed = v, true
	} else if name := n.texts["note"]; name != "" {
		if n.Key, n.Keyed = Key(name, n.Or("octave", 3)); n.Keyed {
			delete(n.texts, "note")
			if last := name[len(name)-1]; last < '0' || last > '9' {
				delete(n.numbers, "octave") // it has done its work
			}
		}
	}
	if o, ok := n.numbers["octave"]; ok && n.Keyed {
		n.Key += float64(12 * (min(max(o, -8), 16) - 3))
		delete(n.numbers, "octave")
	}
	n.Key = min(max(n.Key, -24), 160)
	delete(n.numbers, "note")
}

// Key reads a note's name, such as c, eb4, f#2 or cs3; one without an octave is in the octave given.
func Key(name string, octave float64) (float64, bool) {
	if name == "" {
		return 0, false
	}
	letter := strings.IndexByte("c d ef g a b", name[0]|0x20)
	if letter < 0 || name[0] == ' ' || name[0] == '@' {
		return 0, false
	}
	key, rest := float64(letter), name[1:]
	for rest != "" {
		switch rest[0] {
		case '#', 's':
			key++
		case 'b', 'f':
			key--
		default:
			o, err := strconv.Atoi(rest)
			if err != nil || o < -2 || o > 12 {
				return 0, false
			}
			return key + float64(12*(o+1)), true
		}
		rest = rest[1:]
	}
	return key + float64(12*(octave+1)), true
}

// Pitched tells whether its key is a pitch that is heard.
func (n *Note) Pitched() bool { return n.Keyed && !Drum(n.Sound) }
