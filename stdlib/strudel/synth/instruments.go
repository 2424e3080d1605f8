package synth

import (
	"math"
	"strings"

	"github.com/slopstudios/slop/stdlib/strudel/score"
)

// instrument is how a sound is made: recorded once and played, or by oscillators as long as the note lasts.
type instrument struct {
	record func(hz float64) []float32 // nil: oscillators
	gated  bool                       // a recording that ends with its note
	pitch  float64                    // the key of a recording that has one pitch of its own; what is played at other keys is sped up
	fixed  bool                       // record has that one pitch only

	wave    wave
	saws    int     // more than 0: so many saws instead of the wave
	detune  float64 // of the saws, semitones
	hiss    *hissColour
	breath  float64 // noise that is mixed in
	octaves float64 // by how many it sounds away from where it is written
	bright  float64 // a lowpass at so many times the note's frequency; 0: none
	vowel   string
	fm, fmh float64
	vib     float64 // semitones at 5 Hz
	attack  float64
	decay   float64
	sustain float64
	release float64
	level   float64
}

func oscillators(w wave, level float64) instrument {
	return instrument{wave: w, attack: 0.004, decay: 0.05, sustain: 0.7, release: 0.03, level: level}
}

func colour(c hissColour) *hissColour { return &c }

// basics are the waveforms that Strudel documents, by all their names.
var basics = map[string]instrument{
	"sine": oscillators(sineWave, 0.26), "sin": oscillators(sineWave, 0.26),
	"triangle": oscillators(triangleWave, 0.27), "tri": oscillators(triangleWave, 0.27),
	"sawtooth": oscillators(sawWave, 0.17), "saw": oscillators(sawWave, 0.17),
	"square": oscillators(pulseWave, 0.15), "sqr": oscillators(pulseWave, 0.15), "pulse": oscillators(pulseWave, 0.15),
	"supersaw": {saws: 5, detune: 0.18, attack: 0.004, decay: 0.05, sustain: 0.7, release: 0.05, level: 0.24},
	"white":    noisy(white, 0.14), "pink": noisy(pink, 0.3), "brown": noisy(brown, 0.3), "crackle": noisy(crackle, 0.3),
	"z_sine": oscillators(sineWave, 0.26), "z_triangle": oscillators(triangleWave, 0.27), "z_sawtooth": oscillators(sawWave, 0.17),
	"z_square": oscillators(pulseWave, 0.15), "z_tan": oscillators(sawWave, 0.17), "z_noise": noisy(white, 0.14),
}

func noisy(c hissColour, level float64) instrument {
	i := oscillators(sineWave, level)
	i.hiss = colour(c)
	return i
}

// families are instruments by how a word of their names begins; the first that fits counts, so what is special comes first.
var families = []struct {
	words string // alternatives
	make  func() instrument
}{
	{"mridangam tabla taiko timpani melodic_tom synth_drum reverse_cymbal", func() instrument { return struck(skinned, true) }},
	{"steel_drum steeldrum handpan", func() instrument { return struck(steelDrum, true) }},
	{"fx_ goblins echoes crystal soundtrack rain", func() instrument { return struck(bell, true) }},
	{"lead charang calliope chiff fifths", func() instrument {
		return instrument{saws: 2, detune: 0.1, bright: 12, attack: 0.006, decay: 0.08, sustain: 0.8, release: 0.06, level: 0.26}
	}},
	{"pad sweep warm bowed metallic polysynth atmosphere", func() instrument {
		return instrument{saws: 5, detune: 0.15, bright: 4, attack: 0.3, decay: 0.2, sustain: 0.85, release: 0.5, level: 0.3}
	}},
	{"synth_bass", func() instrument {
		return instrument{wave: sawWave, bright: 5, attack: 0.003, decay: 0.25, sustain: 0.5, release: 0.05, level: 0.36}
	}},
	{"epiano fmpiano rhodes wurli electric_piano", func() instrument { return struck(electricPiano, true) }},
	{"harpsichord clavi clavinet clavisynth", func() instrument { return plucked(1.6, 0.9) }},
	{"piano steinway grand honky kawai", func() instrument { return instrument{record: piano, level: 0.9} }},
	{"celesta glockenspiel music_box tubular bell tinkle handbell handchime gong triangles crotales fingercymbal flexatone marktree wineglass", func() instrument { return struck(bell, true) }},
	{"vibraphone marimba xylophone kalimba balafon slitdrum", func() instrument { return struck(bar, true) }},
	{"overdriven distortion", func() instrument { return instrument{record: amplified, gated: true, level: 0.55} }},
	{"organ pipeorgan drawbar", func() instrument {
		return instrument{wave: organWave, attack: 0.008, decay: 0.01, sustain: 1, release: 0.04, level: 0.3}
	}},
	{"accordion harmonica bandoneon super64 trainwhistle", func() instrument {
		return instrument{saws: 2, detune: 0.12, bright: 8, attack: 0.04, decay: 0.05, sustain: 0.9, release: 0.06, level: 0.24}
	}},
	{"trumpet trombone tuba horn brass", func() instrument {
		return instrument{saws: 2, detune: 0.06, bright: 7, attack: 0.04, decay: 0.08, sustain: 0.85, release: 0.08, level: 0.28}
	}},
	{"sax saxello oboe bassoon clarinet bagpipe shanai reed didgeridoo", func() instrument {
		return instrument{wave: pulseWave, bright: 6, vib: 0.05, breath: 0.02, attack: 0.03, decay: 0.05, sustain: 0.9, release: 0.06, level: 0.17}
	}},
	{"flute piccolo recorder ocarina shakuhachi whistle ballwhistle bottle", func() instrument {
		return instrument{wave: triangleWave, vib: 0.08, breath: 0.06, attack: 0.05, decay: 0.05, sustain: 0.9, release: 0.08, level: 0.3}
	}},
	{"choir voice aahs oohs vox halo", func() instrument {
		return instrument{saws: 3, detune: 0.12, vowel: "a", vib: 0.07, attack: 0.12, decay: 0.1, sustain: 0.9, release: 0.25, level: 0.4}
	}},
	{"slap pizzicato", func() instrument { return plucked(1.4, 0.85) }},
	{"contrabass cello viola violin fiddle string orchestra tremolo", func() instrument {
		return instrument{saws: 3, detune: 0.08, bright: 6, vib: 0.08, attack: 0.09, decay: 0.1, sustain: 0.85, release: 0.2, level: 0.3}
	}},
	{"bass", func() instrument { return plucked(1.8, 0.45) }},
	{"muted", func() instrument { return plucked(0.25, 0.5) }},
	{"guitar harp folkharp dulcimer sitar banjo shamisen koto ukulele psaltery dantranh strumstick", func() instrument { return plucked(2.4, 0.75) }},
	{"applause seashore gunshot gun_shot breath helicopter wind oceandrum", func() instrument {
		i := noisy(pink, 0.35)
		i.attack, i.release = 0.15, 0.3
		return i
	}},
	{"casio", func() instrument {
		return instrument{wave: pulseWave, bright: 10, attack: 0.003, decay: 0.2, sustain: 0.4, release: 0.06, level: 0.24}
	}},
	{"metal anvil", func() instrument { return struck(plate, false) }},
	{"insect bird crow siren", func() instrument {
		return instrument{record: chirp, fixed: true, pitch: 60, level: 0.4}
	}},
	{"jazz east", func() instrument { return struck(skinned, false) }},
	{"space num telephone", func() instrument {
		return instrument{wave: sineWave, fm: 3, fmh: 1.41, attack: 0.01, decay: 0.3, sustain: 0.3, release: 0.1, level: 0.3}
	}},
}

// instrumentOf finds how a sound is made. It is false where nothing of ours comes near.
func instrumentOf(n *score.Note) (instrument, bool) {
	if called := score.Called(n.Sound); called != "" {
		bank, variant := n.Bank, n.Variant
		return instrument{record: func(float64) []float32 { return drum(called, kitOf(bank, variant)) }, fixed: true, pitch: 36, level: 1}, true
	}
	if i, ok := basics[n.Sound]; ok {
		return i, true
	}
	name := strings.ToLower(n.Sound)
	for _, f := range families {
		for word := range strings.FieldsSeq(f.words) {
			if strings.Contains("_"+name, "_"+word) {
				i := f.make()
				i.gated = i.gated && strings.HasPrefix(name, "gm_")
				return i, true
			}
		}
	}
	return instrument{}, false
}

func struck(record func(hz float64) []float32, gated bool) instrument {
	return instrument{record: record, gated: gated, level: 0.6}
}

func plucked(ring, bright float64) instrument {
	return instrument{record: func(hz float64) []float32 { return pluck(hz, ring, bright) }, gated: true, level: 0.6}
}

// piano is a string of many partials, a little sharper than harmonics, struck by a soft hammer; low ones ring longer.
func piano(hz float64) []float32 {
	ring := min(max(float64(6*exp2(float64(-0.8*log2(hz/110)))), 0.5), 9)
	t := newTake(min(ring, 5))
	var partials []partial
	for k := 1.0; k <= 14; k++ {
		stretch := math.Sqrt(1 + float64(0.0004*float64(k*k)))
		level := exp2(float64(-0.55*(k-1))) + 0.3/float64(k*k)
		partials = append(partials, partial{float64(k * stretch), level, ring / (1 + float64(0.35*(k-1)))})
		if k <= 5 { // the second string beats against the first
			partials = append(partials, partial{float64(float64(k*stretch) * 1.0007), float64(0.6 * level), float64(0.8*ring) / (1 + float64(0.3*(k-1)))})
		}
	}
	t.strike(hz, partials)
	t.noise(30, lowpass, min(float64(hz*6), 4000), 0.7, 0, 0.03, 0.12)
	return t.finish(0.5)
}

func electricPiano(hz float64) []float32 {
	t := newTake(3)
	t.strike(hz, []partial{{1, 1, 3}, {2, 0.25, 2}, {3, 0.12, 1.2}, {14, 0.06, 0.25}, {1.003, 0.3, 2.5}})
	return t.finish(0.5)
}

func bell(hz float64) []float32 {
	t := newTake(3.5)
	t.strike(hz, []partial{{1, 1, 3.5}, {2.756, 0.5, 2}, {5.404, 0.3, 1.1}, {8.933, 0.15, 0.6}, {2.01, 0.1, 2}})
	return t.finish(0.5)
}

func bar(hz float64) []float32 {
	t := newTake(1.6)
	t.strike(hz, []partial{{1, 1, 1.4}, {3.93, 0.35, 0.4}, {9.5, 0.1, 0.12}})
	t.noise(31, bandpass, 2500, 0.8, 0, 0.012, 0.15)
	return t.finish(0.55)
}

func steelDrum(hz float64) []float32 {
	t := newTake(1.8)
	t.strike(hz, []partial{{1, 1, 1.5}, {2.002, 0.7, 1.1}, {3.01, 0.25, 0.6}, {4.2, 0.2, 0.3}})
	return t.finish(0.5)
}

func skinned(hz float64) []float32 {
	t := newTake(0.9)
	t.strike(hz, []partial{{1, 1, 0.8}, {1.504, 0.5, 0.45}, {1.742, 0.35, 0.35}, {2.0, 0.3, 0.3}, {2.245, 0.2, 0.2}})
	t.noise(32, bandpass, 1800, 0.8, 0, 0.03, 0.3)
	return t.finish(0.6)
}

func plate(hz float64) []float32 {
	t := newTake(1.4)
	t.strike(hz, []partial{{1, 0.6, 1.2}, {1.83, 0.8, 1}, {2.71, 0.7, 0.8}, {3.97, 0.6, 0.5}, {5.31, 0.4, 0.35}, {7.7, 0.3, 0.2}})
	return t.finish(0.5)
}

func chirp(float64) []float32 {
	t := newTake(0.35)
	t.sweep(4200, 2600, 0.2, 0.25, 1)
	return t.finish(0.5)
}

// pluck is a string: a burst of noise that goes round in a delay as long as one period, and is dulled at every round.
func pluck(hz, ring, bright float64) []float32 {
	hz = max(hz, 16)
	ring = min(max(float64(ring*exp2(float64(-0.5*log2(hz/196)))), 0.15), 6)
	t := newTake(min(float64(ring*1.1), 4))
	period := Rate / hz
	dull := min(max(0.5-float64(0.45*bright), 0.02), 0.5) // how much of the sample before is mixed in: it delays by as much
	whole := int(period - dull)
	frac := period - dull - float64(whole)
	if whole < 2 {
		whole, frac = 2, 0
	}
	line := make([]float64, whole+1)
	d := seeded(40)
	tone := filter{}
	tone.tune(float64(float64(hz*16)*bright), 0.6)
	for i := range line {
		line[i] = tone.next(d.roll())
	}
	mean := 0.0
	for _, v := range line {
		mean += v
	}
	for i := range line {
		line[i] -= mean / float64(len(line))
	}
	loss := exp2(-9.965784284662087 / float64(ring*hz))
	last, at := 0.0, 0
	for i := range t {
		next := at + 1
		if next == len(line) {
			next = 0
		}
		// line[at] is whole+1 frames old, line[next] is whole frames old
		v := line[next] + float64(frac*(line[at]-line[next]))
		y := float64(loss * (v + float64(dull*(last-v))))
		last = v
		t[i] = y
		line[at] = y
		at = next
	}
	return t.finish(0.55)
}

// amplified is a string through an amplifier that is too small for it.
func amplified(hz float64) []float32 {
	t := take{}
	for _, v := range pluck(hz, 4, 0.8) {
		t = append(t, soft(float64(8*float64(v))))
	}
	low := filter{}
	low.tune(3500, 0.8)
	low.run(t)
	return t.finish(0.5)
}
