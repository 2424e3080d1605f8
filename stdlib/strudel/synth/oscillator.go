package synth

import "math"

// source makes the samples of one voice. inc holds, for each frame, how many turns the tone makes in it (of a one-shot: how many frames are passed over).
// It writes left, and right when it reports that it is stereo.
type source interface {
	fill(inc, left, right []float64) (stereo bool)
}

// step smooths the jump of a wave at phase t that moves by dt a frame (a polynomial band-limited step).
func step(t, dt float64) float64 {
	switch {
	case t < dt:
		x := t / dt
		return x + x - float64(x*x) - 1
	case t > 1-dt:
		x := (t - 1) / dt
		return float64(x*x) + x + x + 1
	}
	return 0
}

// bend smooths the corner of a wave at distance d from it (the integral of step).
func bend(d, dt float64) float64 {
	if d > 0.5 {
		d = 1 - d
	}
	if d >= dt {
		return 0
	}
	x := 1 - d/dt
	return float64(dt*float64(x*float64(x*x))) / 6
}

// stride is the size of an increment that the smoothing can work with.
func stride(inc float64) float64 { return min(max(math.Abs(inc), 1e-9), 0.5) }

func wrap(t float64) float64 { return t - math.Floor(t) }

// tone is a single oscillator.
type tone struct {
	wave  wave
	phase float64
	width float64 // of a pulse
}

type wave uint8

const (
	sineWave wave = iota
	triangleWave
	sawWave
	pulseWave
	organWave
)

func (o *tone) fill(inc, left, _ []float64) bool {
	t := o.phase
	switch o.wave {
	case sineWave:
		for i, d := range inc {
			left[i] = sine(t)
			t = wrap(t + d)
		}
	case triangleWave:
		for i, d := range inc {
			dt := stride(d)
			v := float64(4*t) - 1
			if t > 0.5 {
				v = 3 - float64(4*t)
			}
			left[i] = v + float64(8*(bend(t, dt)-bend(wrap(t+0.5), dt)))
			t = wrap(t + d)
		}
	case sawWave:
		for i, d := range inc {
			left[i] = float64(2*t) - 1 - step(t, stride(d))
			t = wrap(t + d)
		}
	case pulseWave:
		for i, d := range inc {
			dt := stride(d)
			v := -1.0
			if t < o.width {
				v = 1
			}
			left[i] = v + step(t, dt) - step(wrap(t+1-o.width), dt)
			t = wrap(t + d)
		}
	case organWave:
		for i, d := range inc {
			left[i] = float64(0.5*sine(t)) + float64(0.3*sine(float64(2*t))) + float64(0.2*sine(float64(3*t))) + float64(0.1*sine(float64(4*t)))
			t = wrap(t + d)
		}
	}
	o.phase = t
	return false
}

// choir is several saws, a little apart in pitch and in place.
type choir struct {
	phases, rates []float64
	lefts, rights []float64
}

func newChoir(voices int, detune, spread float64, d dice) *choir {
	c := &choir{}
	level := 1 / math.Sqrt(float64(voices))
	for i := range voices {
		at := 0.0 // from -1 to 1
		if voices > 1 {
			at = float64(2*i)/float64(voices-1) - 1
		}
		side := float64(at * spread)
		if i%2 == 1 {
			side = -side // neighbours in pitch are not neighbours in place
		}
		c.phases = append(c.phases, (d.roll()+1)/2)
		c.rates = append(c.rates, semitones(float64(at*detune)))
		c.lefts = append(c.lefts, float64(level*math.Sqrt((1-side)/2)))
		c.rights = append(c.rights, float64(level*math.Sqrt((1+side)/2)))
	}
	return c
}

func (c *choir) fill(inc, left, right []float64) bool {
	clear(left)
	clear(right)
	for j, t := range c.phases {
		rate, l, r := c.rates[j], c.lefts[j], c.rights[j]
		for i, d := range inc {
			d = float64(d * rate)
			v := float64(2*t) - 1 - step(t, stride(d))
			left[i] += float64(v * l)
			right[i] += float64(v * r)
			t = wrap(t + d)
		}
		c.phases[j] = t
	}
	return true
}

// hiss is noise of a colour.
type hiss struct {
	colour  hissColour
	dice    dice
	density float64 // of crackle
	b       [7]float64
}

type hissColour uint8

const (
	white hissColour = iota
	pink
	brown
	crackle
)

func (h *hiss) next() float64 {
	w := h.dice.roll()
	b := &h.b
	switch h.colour {
	case pink: // poles spread over the octaves, so that each octave holds the same power
		b[0] = float64(0.99886*b[0]) + float64(w*0.0555179)
		b[1] = float64(0.99332*b[1]) + float64(w*0.0750759)
		b[2] = float64(0.96900*b[2]) + float64(w*0.1538520)
		b[3] = float64(0.86650*b[3]) + float64(w*0.3104856)
		b[4] = float64(0.55000*b[4]) + float64(w*0.5329522)
		b[5] = float64(-0.7616*b[5]) - float64(w*0.0168980)
		sum := b[0] + b[1] + b[2] + b[3] + b[4] + b[5] + b[6] + float64(w*0.5362)
		b[6] = float64(w * 0.115926)
		return float64(sum * 0.11)
	case brown:
		b[0] = (b[0] + float64(0.02*w)) / 1.02
		return float64(b[0] * 3.5)
	case crackle:
		if (w+1)/2 < h.density {
			return h.dice.roll()
		}
		return 0
	}
	return w
}

func (h *hiss) fill(_, left, _ []float64) bool {
	for i := range left {
		left[i] = h.next()
	}
	return false
}

// oneShot plays a recording that we made ourselves.
type oneShot struct {
	data       []float32
	at         float64
	begin, end float64 // frames of the recording between which it plays
	loop       bool
	done       bool
}

func (s *oneShot) fill(inc, left, _ []float64) bool {
	for i, d := range inc {
		if s.done {
			left[i] = 0
			continue
		}
		j := int(s.at)
		f := s.at - float64(j)
		var a, b float64
		if j >= 0 && j < len(s.data) {
			a = float64(s.data[j])
		}
		if j+1 >= 0 && j+1 < len(s.data) {
			b = float64(s.data[j+1])
		}
		left[i] = a + float64(f*(b-a))
		s.at += d
		if s.at >= s.end || s.at < s.begin {
			if !s.loop || s.end-s.begin < 1 {
				s.done = true
				continue
			}
			for s.at >= s.end {
				s.at -= s.end - s.begin
			}
			for s.at < s.begin {
				s.at += s.end - s.begin
			}
		}
	}
	return false
}
