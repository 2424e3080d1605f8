package synth

import (
	"math"
	"strings"
)

// A recording is a short sound of our own making, one channel, made once for a render and played as often as it occurs.

// take is a recording under way.
type take []float64

func newTake(seconds float64) take { return make(take, frames(seconds)) }

// kit is what makes one drum machine another: a pitch, a length, a brightness.
type kit struct{ pitch, length, bright float64 }

// kitOf is the character of a bank and of the variant of a sound. The two that everybody knows are told by their character; of any other the name decides.
func kitOf(bank string, variant int) kit {
	k := kit{1, 1, 1}
	switch bank = strings.TrimPrefix(strings.ToLower(bank), "roland"); bank {
	case "":
	case "tr808":
		k = kit{0.85, 1.6, 0.85}
	case "tr909":
		k = kit{1.05, 1.1, 1.15}
	default:
		d := seeded(hash(bank))
		k = kit{1 + float64(0.15*d.roll()), 1 + float64(0.3*d.roll()), 1 + float64(0.25*d.roll())}
	}
	if variant > 0 {
		d := seeded(uint32(variant) + 77)
		k.pitch = float64(k.pitch * (1 + float64(0.2*d.roll())))
		k.length = float64(k.length * (1 + float64(0.35*d.roll())))
		k.bright = float64(k.bright * (1 + float64(0.25*d.roll())))
	}
	return k
}

func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

// sweep adds a sine that falls from one pitch to another within about fall seconds, and dies within ring.
func (t take) sweep(from, to, fall, ring, level float64) {
	phase, bendBy, height := 0.0, fading(fall), 1.0
	die, loud := fading(ring), level
	for i := range t {
		t[i] += float64(loud * sine(phase))
		phase = wrap(phase + (to+float64((from-to)*height))/Rate)
		height = float64(height * bendBy)
		loud = float64(loud * die)
	}
}

// noise adds noise through a filter, from a moment on, that dies within ring seconds.
func (t take) noise(seed uint32, kind filterKind, hz, q, from, ring, level float64) {
	d := seeded(seed)
	f := filter{kind: kind}
	f.tune(hz, q)
	die, loud := fading(ring), level
	for i := min(frames(from), len(t)); i < len(t); i++ {
		t[i] += float64(loud * f.next(d.roll()))
		loud = float64(loud * die)
	}
}

// plates are the pitches of a beaten sheet of metal: far from any harmonic series.
var plates = []float64{205.3, 304.4, 369.6, 522.7, 540, 800}

// metal adds clashing pulses, of which only what is high is left.
func (t take) metal(scale, cut, ring, level float64) {
	high := filter{kind: highpass}
	high.tune(cut, 0.9)
	die, loud := fading(ring), level
	var phases [6]float64
	for i := range t {
		sum := 0.0
		for j, hz := range plates {
			v := -1.0
			if phases[j] < 0.5 {
				v = 1
			}
			sum += v
			phases[j] = wrap(phases[j] + float64(hz*scale)/Rate)
		}
		t[i] += float64(loud * high.next(float64(sum*0.17)))
		loud = float64(loud * die)
	}
}

// partial is a tone of a thing that was struck.
type partial struct{ ratio, level, ring float64 }

// strike adds partials that ring, each by itself, by turning a hand instead of asking for a sine.
func (t take) strike(hz float64, partials []partial) {
	for n, p := range partials {
		f := float64(hz*p.ratio) / Rate
		if f > 0.45 {
			continue
		}
		die := fading(p.ring)
		start := float64(float64(n) * 0.137) // they do not all begin at the same point, which would click
		x, y := float64(p.level*sinOf(start+0.25)), float64(p.level*sinOf(start))
		if n == 0 {
			x, y = p.level, 0
		}
		c, s := float64(die*sinOf(f+0.25)), float64(die*sinOf(f))
		for i := range t {
			t[i] += y
			x, y = float64(x*c)-float64(y*s), float64(x*s)+float64(y*c)
		}
	}
}

// finish brings a take to its peak, takes the click from its beginning and end, and cuts what is not heard.
func (t take) finish(peak float64) []float32 {
	loudest := 1e-9
	for _, v := range t {
		loudest = max(loudest, math.Abs(v))
	}
	scale := peak / loudest
	last := len(t)
	for last > 0 && math.Abs(float64(t[last-1]*scale)) < 1e-4 {
		last--
	}
	out := make([]float32, last)
	for i := range out {
		out[i] = float32(t[i] * scale)
	}
	for i := range min(last, 24) {
		out[i] = float32(float64(out[i]) * (float64(i) / 24))
	}
	for i := range min(last, 400) {
		at := last - 1 - i
		out[at] = float32(float64(out[at]) * (float64(i) / 400))
	}
	return out
}

// drum records a sound of the kit, by what it is called.
func drum(called string, k kit) []float32 {
	p, l, b := k.pitch, k.length, k.bright
	switch called {
	case "bass drum":
		t := newTake(float64(0.7 * l))
		t.sweep(float64(190*p), float64(48*p), 0.09, float64(0.55*l), 1)
		t.noise(1, lowpass, float64(2500*b), 0.7, 0, 0.02, 0.3)
		return t.finish(0.95)
	case "snare":
		t := newTake(float64(0.4 * l))
		t.sweep(float64(240*p), float64(180*p), 0.05, float64(0.16*l), 0.7)
		t.sweep(float64(380*p), float64(330*p), 0.05, float64(0.10*l), 0.35)
		t.noise(2, highpass, float64(1400*b), 0.7, 0, float64(0.28*l), 0.6)
		return t.finish(0.75)
	case "rimshot":
		t := newTake(0.15)
		t.strike(float64(480*p), []partial{{1, 0.6, 0.05}, {3.6, 1, 0.04}, {4.9, 0.4, 0.03}})
		t.noise(3, bandpass, float64(3000*b), 1, 0, 0.015, 0.8)
		return t.finish(0.6)
	case "clap":
		t := newTake(float64(0.45 * l))
		for i, at := range []float64{0, 0.011, 0.021} {
			t.noise(uint32(10+i), bandpass, float64(1200*p), 1.4, at, 0.03, 1)
		}
		t.noise(14, bandpass, float64(1100*p), 1.1, 0.03, float64(0.28*l), 0.9)
		return t.finish(0.65)
	case "closed hi-hat":
		t := newTake(float64(0.15 * l))
		t.metal(float64(1.5*p), float64(7000*b), float64(0.08*l), 1)
		t.noise(4, highpass, float64(8000*b), 0.8, 0, float64(0.06*l), 0.4)
		return t.finish(0.4)
	case "open hi-hat":
		t := newTake(float64(0.8 * l))
		t.metal(float64(1.5*p), float64(6500*b), float64(0.6*l), 1)
		t.noise(5, highpass, float64(8000*b), 0.8, 0, float64(0.5*l), 0.35)
		return t.finish(0.42)
	case "crash":
		t := newTake(float64(2.2 * l))
		t.metal(float64(1.7*p), float64(3500*b), float64(1.7*l), 0.6)
		t.noise(6, highpass, float64(4500*b), 0.7, 0, float64(1.5*l), 0.6)
		return t.finish(0.5)
	case "ride":
		t := newTake(float64(1.6 * l))
		t.metal(float64(1.9*p), float64(6000*b), float64(1.1*l), 0.6)
		t.strike(float64(900*p), []partial{{1, 0.12, float64(1.2 * l)}, {2.41, 0.2, float64(1.1 * l)}, {3.9, 0.2, float64(0.8 * l)}})
		return t.finish(0.4)
	case "high tom":
		return tom(float64(205*p), l)
	case "middle tom":
		return tom(float64(150*p), l)
	case "low tom":
		return tom(float64(105*p), l)
	case "cowbell":
		t := newTake(float64(0.5 * l))
		t.strike(float64(560*p), []partial{{1, 1, float64(0.3 * l)}, {1.504, 0.9, float64(0.25 * l)}, {2.9, 0.3, 0.08}, {4.4, 0.2, 0.05}})
		return t.finish(0.5)
	case "claves":
		t := newTake(0.12)
		t.strike(float64(2500*p), []partial{{1, 1, 0.08}, {1.6, 0.1, 0.04}})
		return t.finish(0.5)
	case "shaker":
		t := newTake(float64(0.2 * l))
		t.noise(7, bandpass, float64(6500*b), 1.2, 0, float64(0.1*l), 0.5)
		t.noise(8, bandpass, float64(7500*b), 1.2, 0.03, float64(0.12*l), 1)
		return t.finish(0.35)
	case "tambourine":
		t := newTake(float64(0.4 * l))
		t.metal(float64(3.1*p), float64(8000*b), float64(0.25*l), 0.8)
		t.noise(9, highpass, float64(7000*b), 0.9, 0, float64(0.2*l), 0.6)
		return t.finish(0.4)
	case "effect":
		t := newTake(float64(0.9 * l))
		t.sweep(float64(2400*p), float64(120*p), float64(0.8*l), float64(0.9*l), 0.8)
		t.noise(20, bandpass, float64(2500*b), 2, 0, float64(0.6*l), 0.5)
		return t.finish(0.5)
	}
	t := newTake(float64(0.3 * l)) // percussion of any kind: a conga
	t.sweep(float64(420*p), float64(310*p), 0.04, float64(0.2*l), 1)
	t.noise(21, bandpass, float64(1800*b), 1, 0, 0.02, 0.4)
	return t.finish(0.6)
}

func tom(hz, length float64) []float32 {
	t := newTake(float64(0.6 * length))
	t.sweep(float64(hz*1.5), hz, 0.08, float64(0.45*length), 1)
	t.sweep(float64(hz*2.4), float64(hz*1.6), 0.06, float64(0.15*length), 0.25)
	t.noise(22, lowpass, 3000, 0.7, 0, 0.03, 0.2)
	return t.finish(0.8)
}
