package synth

import (
	"math"
	"slices"

	"github.com/slopstudios/slop/stdlib/strudel/score"
)

// block is how many frames are made at a time: few enough that a render stops at once when it is told to.
const block = 128

// known are the controls that are heard. What is not here is reported, not dropped in silence.
var known = []string{
	"gain", "velocity", "postgain", "pan", "dry", "clip", "cut", "nudge", "freq",
	"attack", "decay", "sustain", "release",
	"cutoff", "resonance", "hcutoff", "hresonance", "bandf", "bandq", "ftype", "vowel",
	"lpenv", "lpattack", "lpdecay", "lpsustain", "lprelease", "hpenv", "hpattack", "hpdecay", "hpsustain", "hprelease",
	"bpenv", "bpattack", "bpdecay", "bpsustain", "bprelease",
	"coarse", "crush", "distort", "distortvol", "shape", "shapevol",
	"vib", "vibmod", "fmi", "fmh", "fmattack", "fmdecay", "fmsustain", "penv", "pattack", "pdecay", "psustain", "prelease", "panchor",
	"noise", "density", "unison", "spread", "detune", "pw",
	"tremolo", "tremolosync", "tremolodepth", "phaserrate", "phaserdepth", "phasercenter", "phasersweep",
	"orbit", "delay", "delaytime", "delayfeedback", "delaysync", "room", "roomsize", "roomfade", "roomlp",
}

// recorded are the controls of recordings: an oscillator has no beginning, end or speed.
var recorded = []string{"speed", "begin", "end", "loop", "unit"}

// seen is what belongs to the eye.
var seen = []string{"color", "label", "activeLabel", "analyze", "fft"}

// voice is one note that sounds.
type voice struct {
	start, end int // frames
	source     source
	turns      float64 // a frame
	pitch      *pitch
	breath     *hiss
	breathing  float64
	amp        envelope
	filters    [2][]moving // of the left and the right
	mouths     [2]*mouth
	shapers    []shaper
	held       [2]float64 // of coarse
	coarse     int
	tremolo    *wobble
	phaser     *wobble
	notches    [2]filter
	depth      float64
	left       float64
	right      float64
	dry        float64
	room       float64
	delay      float64
	orbit      int
	at         int // frames since the start
}

// pitch moves the tone: vibrato, envelope and frequency modulation.
type pitch struct {
	vib, vibmod float64
	env         *envelope
	penv        float64
	anchor      float64
	fm, fmh     float64
	fmEnv       *envelope
	phase       float64 // of the modulator
}

// moving is a filter with an envelope of its own, steered every few frames.
type moving struct {
	filter
	hz, q   float64
	octaves float64
	env     envelope
}

type shaper struct {
	kind   shape
	amount float64
	level  float64
}

type shape uint8

const (
	crushed shape = iota
	distorted
)

type wobble struct{ phase, inc, depth, center, sweep float64 }

func (w *wobble) next() float64 {
	v := sine(w.phase)
	w.phase = wrap(w.phase + w.inc)
	return v
}

// newVoice makes ready what plays a note; cutAt is the frame at which a note of the same cut group ends it.
func (b *band) newVoice(n *score.Note, in instrument, cutAt int) *voice {
	v := &voice{start: frames(n.Start), coarse: 1, dry: n.Or("dry", 1), orbit: b.orbit(n.Or("orbit", 1))}
	gate := n.Sounding()
	if cutAt >= 0 {
		gate = min(gate, float64(cutAt-v.start)/Rate)
	}
	key := float64(36)
	if n.Keyed {
		key = n.Key
	}
	key += float64(12 * in.octaves)
	hz := hertz(key)
	if f, ok := n.Number("freq"); ok {
		hz = f
	}
	hz = min(max(hz, 1), 0.45*Rate)
	dice := seeded(uint32(v.start) ^ hash(n.Sound))

	natural := -1 // the frames of a recording
	if in.record != nil {
		natural = b.play(v, n, in, hz)
	} else {
		v.turns = hz / Rate
		v.source = oscillatorOf(n, in, dice)
	}
	v.envelope(n, in, gate, natural, cutAt)
	v.moves(n, in, gate)
	v.colours(n, in, hz, gate, b.cps)
	if amount := n.Or("noise", in.breath); amount > 0 && in.hiss == nil {
		v.breath, v.breathing = &hiss{colour: pink, dice: dice}, min(amount, 4)
	}
	level := float64(in.level * min(n.Level(), 16))
	pan := min(max(n.Or("pan", 0.5), 0), 1)
	v.left = float64(level * sinOf((1-pan)/4))
	v.right = float64(level * sinOf(pan/4))
	v.room, v.delay = min(max(n.Or("room", 0), 0), 4), min(max(n.Or("delay", 0), 0), 4)
	return v
}

// play sets a recording up, and says how many frames it lasts.
func (b *band) play(v *voice, n *score.Note, in instrument, hz float64) (natural int) {
	var data []float32
	rate := 1.0
	if in.fixed {
		data = b.recording(n, 0, in)
		if n.Keyed {
			rate = hz / hertz(in.pitch)
		}
	} else {
		key := min(max(math.Floor(noteOf(hz)+0.5), 0), 140)
		data = b.recording(n, key, in)
		rate = hz / hertz(key)
	}
	size := float64(len(data))
	s := &oneShot{data: data, begin: 0, end: size, loop: n.Or("loop", 0) > 0}
	if at, ok := n.Number("begin"); ok {
		s.begin = float64(size * min(max(at, 0), 1))
	}
	if at, ok := n.Number("end"); ok {
		s.end = float64(size * min(max(at, 0), 1))
	}
	speed := min(max(n.Or("speed", 1), -64), 64)
	if n.Text("unit") == "c" {
		speed = float64(speed*size) / Rate
		speed = float64(speed * b.cps)
	}
	rate = float64(rate * speed)
	s.at = s.begin
	if rate < 0 {
		s.at = max(s.end-1, s.begin)
	}
	s.done = s.end <= s.begin || rate == 0
	v.source, v.turns = s, rate
	switch {
	case s.done:
		return 0
	case s.loop:
		return frames(n.Sounding())
	}
	return int(min((s.end-s.begin)/math.Abs(rate), 60*Rate)) + 1
}

func oscillatorOf(n *score.Note, in instrument, d dice) source {
	switch {
	case in.hiss != nil:
		return &hiss{colour: *in.hiss, dice: d, density: min(n.Or("density", 0.02), 1)}
	case in.saws > 0:
		saws := int(min(max(n.Or("unison", float64(in.saws)), 1), 16))
		return newChoir(saws, n.Or("detune", in.detune), min(max(n.Or("spread", 0.6), 0), 1), d)
	}
	return &tone{wave: in.wave, width: min(max(n.Or("pw", 0.5), 0.01), 0.99)}
}

// envelope decides how long it is heard. A recording sounds to its end, unless its note or an envelope of the author's ends it.
func (v *voice) envelope(n *score.Note, in instrument, gate float64, natural, cutAt int) {
	attack, decay, sustain, release := in.attack, in.decay, in.sustain, in.release
	if in.record != nil {
		attack, decay, sustain, release = 0, 0, 1, 0.005
		if in.gated {
			release = 0.25
		}
		gated := in.gated
		for _, name := range []string{"clip", "decay", "sustain", "release"} {
			_, set := n.Number(name)
			gated = gated || set
		}
		if !gated {
			gate = float64(natural) / Rate
			if cutAt >= 0 {
				gate = min(gate, float64(cutAt-v.start)/Rate)
			}
		}
	}
	if cutAt >= 0 {
		release = min(release, 0.01)
	}
	times := func(name string, otherwise float64) float64 { return min(max(n.Or(name, otherwise), 0), 60) }
	v.amp = newEnvelope(times("attack", attack), times("decay", decay), min(max(n.Or("sustain", sustain), 0), 4), max(times("release", release), 0.002), gate)
	v.end = v.start + v.amp.end()
	if natural >= 0 {
		v.end = min(v.end, v.start+natural)
	}
}

// moves sets up what bends the pitch.
func (v *voice) moves(n *score.Note, in instrument, gate float64) {
	p := pitch{}
	if in.vib > 0 {
		p.vib, p.vibmod = 5.2, in.vib
	}
	if hz := n.Or("vib", 0); hz > 0 {
		p.vib, p.vibmod = min(hz, 1000), 0.5
	}
	if _, ok := n.Number("vibmod"); ok {
		p.vibmod = min(max(n.Or("vibmod", 0), -48), 48)
	}
	if amount := n.Or("penv", 0); amount != 0 {
		p.penv = min(max(amount, -96), 96)
		_, attacks := n.Number("pattack")
		_, decays := n.Number("pdecay")
		attack := n.Or("pattack", 0)
		if !attacks && !decays {
			attack, attacks = 0.2, true
		}
		sustain := n.Or("psustain", 0)
		if _, set := n.Number("psustain"); !set && attacks && !decays {
			sustain = 1
		}
		e := newEnvelope(attack, n.Or("pdecay", 0), sustain, n.Or("prelease", 0.01), gate)
		p.env, p.anchor = &e, n.Or("panchor", sustain)
	}
	p.fm, p.fmh = min(max(n.Or("fmi", in.fm), 0), 64), min(max(n.Or("fmh", 1), 0), 64)
	if _, set := n.Number("fmh"); !set && in.fm > 0 {
		p.fmh = in.fmh
	}
	for _, name := range []string{"fmattack", "fmdecay", "fmsustain"} {
		if _, set := n.Number(name); set && p.fmEnv == nil {
			e := newEnvelope(n.Or("fmattack", 0), n.Or("fmdecay", 0.1), n.Or("fmsustain", 0), 0.1, gate)
			if _, decays := n.Number("fmdecay"); !decays {
				e = newEnvelope(n.Or("fmattack", 0), 0, n.Or("fmsustain", 1), 0.1, gate)
			}
			p.fmEnv = &e
		}
	}
	if p.vib > 0 && p.vibmod != 0 || p.env != nil || p.fm > 0 {
		v.pitch = &p
	}
}

// colours sets up what shapes the sound after it is made.
func (v *voice) colours(n *score.Note, in instrument, hz, gate, cps float64) {
	for side := range 2 {
		add := func(kind filterKind, cutoff, q, octaves float64, e envelope) {
			m := moving{filter: filter{kind: kind}, hz: cutoff, q: q, octaves: octaves, env: e}
			m.tune(cutoff, q)
			v.filters[side] = append(v.filters[side], m)
		}
		if in.bright > 0 {
			add(lowpass, float64(hz*in.bright), 0.707, 0, envelope{})
		}
		for _, f := range []struct {
			kind            filterKind
			cutoff, q, name string
		}{{lowpass, "cutoff", "resonance", "lp"}, {highpass, "hcutoff", "hresonance", "hp"}, {bandpass, "bandf", "bandq", "bp"}} {
			cutoff, ok := n.Number(f.cutoff)
			if !ok {
				continue
			}
			q := n.Or(f.q, 1)
			if f.kind != bandpass {
				q = decibels(min(max(n.Or(f.q, -3), -3), 40)) // as browsers count it
			}
			octaves, e := filterEnvelope(n, f.name, gate)
			add(f.kind, cutoff, q, octaves, e)
			if t := n.Text("ftype"); t == "24db" || t == "ladder" || n.Or("ftype", 0) >= 1 {
				add(f.kind, cutoff, 0.707, octaves, e)
			}
		}
		vowel := in.vowel
		if t := n.Text("vowel"); t != "" {
			vowel = t
		}
		v.mouths[side] = newMouth(vowel)
	}
	if hold := n.Or("coarse", 1); hold > 1 {
		v.coarse = int(min(hold, 4096))
	}
	if bits := n.Or("crush", 0); bits > 0 {
		v.shapers = append(v.shapers, shaper{crushed, exp2(min(max(bits, 1), 24) - 1), 1})
	}
	if s := n.Or("shape", 0); s > 0 {
		s = min(s, 0.99)
		v.shapers = append(v.shapers, shaper{distorted, float64(2*s) / (1 - s), n.Or("shapevol", 1)})
	}
	if d := n.Or("distort", 0); d > 0 {
		v.shapers = append(v.shapers, shaper{distorted, exp2(float64(min(d, 20)*math.Log2E)) - 1, n.Or("distortvol", 1)})
	}
	rate := n.Or("tremolo", 0)
	if s, ok := n.Number("tremolosync"); ok {
		rate = float64(s * cps)
	}
	if rate > 0 {
		v.tremolo = &wobble{phase: 0.25, inc: min(rate, 5000) / Rate, depth: min(max(n.Or("tremolodepth", 1), 0), 1)}
	}
	if rate := n.Or("phaserrate", 0); rate > 0 {
		v.phaser = &wobble{inc: min(rate, 1000) / Rate, center: n.Or("phasercenter", 1000), sweep: n.Or("phasersweep", 2000)}
		v.depth = min(max(n.Or("phaserdepth", 0.75), 0), 1)
		v.notches = [2]filter{{kind: notch}, {kind: notch}}
	}
}

func filterEnvelope(n *score.Note, name string, gate float64) (octaves float64, e envelope) {
	octaves, moved := n.Number(name + "env")
	for _, part := range []string{"attack", "decay", "sustain", "release"} {
		if _, set := n.Number(name + part); set && !moved {
			octaves, moved = 1, true
		}
	}
	if !moved {
		return 0, e
	}
	return min(max(octaves, -12), 12), newEnvelope(n.Or(name+"attack", 0.005), n.Or(name+"decay", 0.14), n.Or(name+"sustain", 0), n.Or(name+"release", 0.1), gate)
}

// workspace is what voices share while they make a block, one after the other.
type workspace struct{ inc, left, right [block]float64 }

// sound makes the next frames of a voice and adds them to its bus, from a frame of the block on.
func (v *voice) sound(w *workspace, to *bus, from int) {
	count := min(block-from, v.end-v.start-v.at)
	inc, left, right := w.inc[:count], w.left[:count], w.right[:count]
	v.bend(inc)
	stereo := v.source.fill(inc, left, right)
	if v.breath != nil {
		for i := range left {
			noise := float64(v.breathing * v.breath.next())
			left[i] += noise
			if stereo {
				right[i] += noise
			}
		}
	}
	for i := range left {
		a := v.amp.at(v.at + i)
		left[i] = float64(left[i] * a)
		if stereo {
			right[i] = float64(right[i] * a)
		}
	}
	var swing [block]float64
	if v.phaser != nil {
		for i := range left {
			swing[i] = v.phaser.next()
		}
	}
	v.colour(0, left, swing[:count])
	if stereo {
		v.colour(1, right, swing[:count])
	} else {
		right = left
	}
	var shake [block]float64
	if v.tremolo != nil {
		for i := range left {
			shake[i] = 1 - float64(v.tremolo.depth*float64(0.5-float64(0.5*v.tremolo.next())))
		}
		for i := range left {
			left[i] = float64(left[i] * shake[i])
			if stereo {
				right[i] = float64(right[i] * shake[i])
			}
		}
	}
	for i := range left {
		l, r := float64(left[i]*v.left), float64(right[i]*v.right)
		to.left[from+i] += float64(l * v.dry)
		to.right[from+i] += float64(r * v.dry)
		if v.room > 0 {
			to.roomLeft[from+i] += float64(l * v.room)
			to.roomRight[from+i] += float64(r * v.room)
		}
		if v.delay > 0 {
			to.delayLeft[from+i] += float64(l * v.delay)
			to.delayRight[from+i] += float64(r * v.delay)
		}
	}
	v.at += count
}

// bend fills in how fast the tone turns.
func (v *voice) bend(inc []float64) {
	p := v.pitch
	if p == nil {
		for i := range inc {
			inc[i] = v.turns
		}
		return
	}
	for i := range inc {
		at := v.at + i
		turns := v.turns
		if p.env != nil || p.vib > 0 {
			semis := 0.0
			if p.vib > 0 {
				semis = float64(p.vibmod * sine(float64(p.vib*float64(at))/Rate))
			}
			if p.env != nil {
				semis += float64(p.penv * (p.env.at(at) - p.anchor))
			}
			turns = float64(turns * semitones(semis))
		}
		if p.fm > 0 {
			index := p.fm
			if p.fmEnv != nil {
				index = float64(index * p.fmEnv.at(at))
			}
			step := float64(turns * p.fmh)
			p.phase = wrap(p.phase + step)
			turns += float64(float64(index*step) * sine(p.phase))
		}
		inc[i] = turns
	}
}

// steering is how many frames pass between two looks of a filter at its envelope.
const steering = 16

func (v *voice) colour(side int, x, swing []float64) {
	for j := range v.filters[side] {
		f := &v.filters[side][j]
		if f.octaves == 0 {
			f.run(x)
			continue
		}
		for from := 0; from < len(x); from += steering {
			f.tune(float64(f.hz*exp2(float64(f.octaves*f.env.at(v.at+from)))), f.q)
			f.run(x[from:min(from+steering, len(x))])
		}
	}
	if m := v.mouths[side]; m != nil {
		m.run(x)
	}
	if v.coarse > 1 {
		for i := range x {
			if (v.at+i)%v.coarse == 0 {
				v.held[side] = x[i]
			}
			x[i] = v.held[side]
		}
	}
	for _, s := range v.shapers {
		for i, y := range x {
			switch s.kind {
			case crushed:
				x[i] = math.Floor(float64(y*s.amount)+0.5) / s.amount
			case distorted:
				x[i] = float64(s.level * (float64((1+s.amount)*y) / (1 + float64(s.amount*math.Abs(y)))))
			}
		}
	}
	if p := v.phaser; p != nil {
		for from := 0; from < len(x); from += steering {
			v.notches[side].tune(max(p.center+float64(float64(p.sweep*0.5)*swing[from]), 60), 0.7)
			for i := from; i < min(from+steering, len(x)); i++ {
				x[i] += float64(v.depth * (v.notches[side].next(x[i]) - x[i]))
			}
		}
	}
}

// unheard are the controls and sounds of a score that are not heard, sorted.
func unheard(s *score.Score, sounds map[string]instrument) []string {
	var list []string
	for _, name := range s.Controls() {
		if !slices.Contains(known, name) && !slices.Contains(recorded, name) && !slices.Contains(seen, name) {
			list = append(list, name)
		}
	}
	for i := range s.Notes {
		n := &s.Notes[i]
		in, ok := sounds[n.Sound]
		if !ok {
			if list = append(list, "sound "+n.Sound); n.Keyed {
				list[len(list)-1] += " (a triangle stands in)"
			}
			continue
		}
		if in.record == nil {
			for _, name := range recorded {
				if _, set := n.Number(name); set || n.Text(name) != "" {
					list = append(list, name+" of "+n.Sound)
				}
			}
		}
		if t := n.Text("vowel"); t != "" && vowels[t] == nil {
			list = append(list, "vowel "+t)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
