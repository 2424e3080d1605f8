package synth

// filter is a state variable filter of two poles, by the trapezoidal rule: it stays stable while its cutoff moves.
type filter struct {
	kind       filterKind
	a1, a2, a3 float64
	k          float64
	ic1, ic2   float64
}

type filterKind uint8

const (
	lowpass filterKind = iota
	highpass
	bandpass
	notch
)

// tune sets the cutoff and the quality, which is 0.707 for a flat filter and more for one that rings.
func (f *filter) tune(hz, q float64) {
	hz = min(max(hz, 10), 0.45*Rate)
	g := tanOf(hz / (2 * Rate))
	f.k = 1 / min(max(q, 0.3), 100)
	f.a1 = 1 / (1 + float64(g*(g+f.k)))
	f.a2 = float64(g * f.a1)
	f.a3 = float64(g * f.a2)
}

func (f *filter) next(x float64) float64 {
	v3 := x - f.ic2
	v1 := float64(f.a1*f.ic1) + float64(f.a2*v3)
	v2 := f.ic2 + float64(f.a2*f.ic1) + float64(f.a3*v3)
	f.ic1 = float64(2*v1) - f.ic1
	f.ic2 = float64(2*v2) - f.ic2
	switch f.kind {
	case highpass:
		return x - float64(f.k*v1) - v2
	case bandpass:
		return float64(f.k * v1)
	case notch:
		return x - float64(f.k*v1)
	}
	return v2
}

func (f *filter) run(x []float64) {
	for i := range x {
		x[i] = f.next(x[i])
	}
}

// formant is one resonance of a mouth.
type formant struct{ hz, level, width float64 }

// vowels are the formants of a singer, as phonetics has them.
var vowels = map[string][]formant{
	"a":  {{800, 1, 80}, {1150, 0.5, 90}, {2900, 0.03, 120}},
	"e":  {{400, 1, 70}, {1600, 0.15, 80}, {2700, 0.08, 100}},
	"i":  {{350, 1, 50}, {1900, 0.12, 100}, {2700, 0.06, 120}},
	"o":  {{450, 1, 70}, {800, 0.35, 80}, {2830, 0.02, 100}},
	"u":  {{325, 1, 50}, {700, 0.2, 60}, {2530, 0.02, 170}},
	"ae": {{650, 1, 80}, {1700, 0.3, 90}, {2400, 0.05, 120}},
	"aa": {{750, 1, 80}, {1100, 0.5, 90}, {2600, 0.03, 120}},
	"oe": {{450, 1, 70}, {1400, 0.15, 80}, {2300, 0.05, 100}},
	"ue": {{300, 1, 60}, {1700, 0.1, 90}, {2200, 0.05, 120}},
	"y":  {{300, 1, 60}, {1600, 0.12, 90}, {2200, 0.05, 120}},
	"uh": {{600, 1, 80}, {1200, 0.3, 90}, {2500, 0.03, 120}},
	"un": {{500, 1, 80}, {1000, 0.3, 90}, {2400, 0.03, 120}},
	"en": {{550, 1, 80}, {1500, 0.25, 90}, {2500, 0.05, 120}},
	"an": {{700, 1, 80}, {1000, 0.4, 90}, {2500, 0.03, 120}},
	"on": {{450, 1, 80}, {700, 0.4, 90}, {2500, 0.02, 120}},
}

// mouth sings a vowel: formants side by side.
type mouth struct {
	formants []filter
	levels   []float64
}

func newMouth(vowel string) *mouth {
	list := vowels[vowel]
	if list == nil {
		return nil
	}
	m := &mouth{}
	for _, f := range list {
		band := filter{kind: bandpass}
		band.tune(f.hz, f.hz/f.width)
		m.formants = append(m.formants, band)
		m.levels = append(m.levels, float64(f.level*3))
	}
	return m
}

func (m *mouth) run(x []float64) {
	for i, v := range x {
		sum := 0.0
		for j := range m.formants {
			sum += float64(m.levels[j] * m.formants[j].next(v))
		}
		x[i] = sum
	}
}

// envelope rises in a straight line, falls to its sustain and, when the gate closes, to nothing, in curves.
type envelope struct {
	attack, decay, release float64 // frames
	sustain                float64
	gate                   int // the frame at which it is let go
	off                    float64
}

func newEnvelope(attack, decay, sustain, release, gateSeconds float64) envelope {
	e := envelope{
		attack: max(float64(attack*Rate), 0), decay: max(float64(decay*Rate), 0), release: max(float64(release*Rate), 1), sustain: sustain,
		gate: frames(gateSeconds),
	}
	e.off = e.held(e.gate)
	return e
}

func (e *envelope) held(i int) float64 {
	t := float64(i)
	if t < e.attack {
		return t / e.attack
	}
	if t -= e.attack; t < e.decay {
		rest := 1 - t/e.decay
		return e.sustain + float64((1-e.sustain)*float64(rest*rest))
	}
	return e.sustain
}

func (e *envelope) at(i int) float64 {
	if i < e.gate {
		return e.held(i)
	}
	rest := 1 - float64(i-e.gate)/e.release
	if rest <= 0 {
		return 0
	}
	return float64(e.off * float64(rest*rest))
}

// end is the frame after which nothing is heard.
func (e *envelope) end() int { return e.gate + int(e.release) + 1 }

// frames of so many seconds, to the nearest.
func frames(seconds float64) int {
	return int(float64(min(max(seconds, 0), 4000)*Rate) + 0.5)
}
