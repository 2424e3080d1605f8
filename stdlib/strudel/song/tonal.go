package song

import (
	"strings"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/tonal"
)

func tonalMethods() map[string]method {
	return map[string]method{
		"scale":          {1, 1, scale},
		"scaleTranspose": {1, 1, scaleTranspose},
		"transpose":      {1, 1, transpose},
		"rootNotes":      {0, 1, rootNotes},
	}
}

// scaleName reads the name of a scale: a list when mini-notation wrote it with colons.
func scaleName(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		words := make([]string, len(v))
		for i, w := range v {
			words[i] = strings.Trim(pattern.Show(w), `"`)
		}
		return strings.Join(words, ":")
	}
	pattern.Fail("%s is no name of a scale: write one as in \"C:minor\"", pattern.Show(v))
	return ""
}

func parseScale(name string) tonal.Scale {
	s, problem := tonal.ParseScale(name)
	if problem != "" {
		pattern.Fail("%s", problem)
	}
	return s
}

// scale makes notes of steps: of n, of numbers; notes with names move to the nearest note of the scale.
func scale(c *call, p *pat) any {
	return pattern.With(c.pattern(0), func(v any) *pat {
		name := scaleName(v)
		s := parseScale(name)
		return pattern.WithSteps(p.MapHaps(func(h pattern.Hap) pattern.Hap {
			h.Scale = name
			h.Value = inScale(s, h.Value)
			return h
		}), p.Steps)
	})
}

func inScale(s tonal.Scale, v any) any {
	sound, ok := v.(pattern.Controls)
	if !ok {
		return noteInScale(s, v)
	}
	if note, ok := sound.Get("note"); ok {
		return sound.With("note", noteInScale(s, note))
	}
	if n, ok := sound.Get("n"); ok {
		return sound.Without("n").With("note", noteInScale(s, n))
	}
	return sound
}

func noteInScale(s tonal.Scale, v any) any {
	if name, ok := v.(string); ok {
		n, ok := tonal.ParseNote(name)
		if !ok {
			pattern.Fail("%q is neither a step of a scale nor a note", name)
		}
		return s.At(s.Nearest(float64(n.MIDI()))).Name()
	}
	step := pattern.Number(v)
	up := int(step)
	if float64(up) < step { // what lies between steps is the next one up
		up++
	}
	return s.At(up).Name()
}

// notes changes the note of a sound, or a plain note.
func notes(v any, what string, f func(note any) any) any {
	sound, ok := v.(pattern.Controls)
	if !ok {
		return f(v)
	}
	note, ok := sound.Get("note")
	if !ok {
		pattern.Fail("%s needs a note, and this sound has none", what)
	}
	return sound.With("note", f(note))
}

// scaleTranspose moves notes by steps of the scale they are in.
func scaleTranspose(c *call, p *pat) any {
	return pattern.With(c.pattern(0), func(v any) *pat {
		by := int(pattern.Whole(v))
		return p.MapHaps(func(h pattern.Hap) pattern.Hap {
			if h.Scale == "" {
				pattern.Fail("scaleTranspose needs a scale: write .scale(\"C:minor\") before it")
			}
			s := parseScale(h.Scale)
			h.Value = notes(h.Value, "scaleTranspose", func(note any) any {
				name, ok := note.(string)
				n, isNote := tonal.ParseNote(name)
				if !ok || !isNote {
					pattern.Fail("scaleTranspose needs notes with names, and got %s", pattern.Show(note))
				}
				return s.At(s.Nearest(float64(n.MIDI())) + by).Name()
			})
			return h
		})
	})
}

// transpose moves notes by semitones, or by an interval such as 3M.
func transpose(c *call, p *pat) any {
	return pattern.With(c.pattern(0), func(v any) *pat {
		var by tonal.Interval
		if name, ok := v.(string); ok {
			i, ok := tonal.ParseInterval(name)
			if !ok {
				pattern.Fail("%q is no interval: write semitones, or one such as 3M or 5P", name)
			}
			by = i
		} else {
			by = tonal.Semitones(int(pattern.Whole(v)))
		}
		return pattern.WithSteps(p.Map(func(v any) any {
			return notes(v, "transpose", func(note any) any {
				name, ok := note.(string)
				if !ok {
					return pattern.Number(note) + float64(by.Semitones)
				}
				n, ok := tonal.ParseNote(name)
				if !ok {
					pattern.Fail("%q is no note", name)
				}
				n = n.Up(by)
				if !n.HasOctave {
					return n.Class()
				}
				return n.Name()
			})
		}), p.Steps)
	})
}

// rootNotes gives the roots of chords, in an octave.
func rootNotes(c *call, p *pat) any {
	return pattern.With(c.or(0, 2.0), func(octave any) *pat {
		o := int(pattern.Whole(octave))
		root := func(v any) any {
			name, _ := v.(string)
			end := 1
			for end < len(name) && (name[end] == '#' || name[end] == 'b') {
				end++
			}
			n, ok := tonal.ParseNote(name[:min(end, len(name))])
			if !ok {
				pattern.Fail("%s is no chord: write one as in \"Am7\"", pattern.Show(v))
			}
			n.Octave = o
			return n.Name()
		}
		return p.Map(func(v any) any {
			sound, ok := v.(pattern.Controls)
			if !ok {
				return root(v)
			}
			chord, _ := sound.Get("chord")
			return sound.Without("chord").With("note", root(chord))
		})
	})
}
