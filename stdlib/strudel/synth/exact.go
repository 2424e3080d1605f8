package synth

import (
	"math"
	"sync"
)

// Rate is how many frames a second has.
const Rate = 44100

// The arithmetic of this package gives the same bits on every platform. Two things would break that: the functions of math, which are written in assembly
// on some, and the multiplication that is fused with the addition after it where a processor can. So the functions are our own, and every product is rounded
// by a conversion, float64(a*b), which Go promises not to fuse (a test reads the source for it).

const (
	sineBits = 12
	sineSize = 1 << sineBits
)

// sines is one turn, and one point more, so that the last has a neighbour.
var sines = sync.OnceValue(func() *[sineSize + 1]float64 {
	t := new([sineSize + 1]float64)
	for i := range t {
		t[i] = sinOf(float64(i) / sineSize)
	}
	return t
})

// sine of x turns, to seven digits.
func sine(x float64) float64 {
	x -= math.Floor(x)
	x = float64(x * sineSize)
	i := int(x)
	f := x - float64(i)
	t := sines()
	a := t[i]
	return a + float64(f*(t[i+1]-a))
}

// sinOf is the sine of x turns, as exact as a float64 is, for tables and coefficients.
func sinOf(x float64) float64 {
	x -= math.Floor(x)
	sign := 1.0
	if x >= 0.5 {
		x, sign = x-0.5, -1
	}
	if x > 0.25 {
		x = 0.5 - x
	}
	a := float64(x * (2 * math.Pi))
	square := float64(a * a)
	sum, term := a, a
	for k := 1.0; k < 12; k++ {
		term = -float64(term*square) / float64(2*k*(float64(2*k)+1))
		sum += term
	}
	return float64(sign * sum)
}

// tanOf is the tangent of x turns, 0 ≤ x < 1/4.
func tanOf(x float64) float64 { return sinOf(x) / sinOf(x+0.25) }

// exp2 is 2 to the x.
func exp2(x float64) float64 {
	if x < -1000 {
		return 0
	}
	x = min(x, 1000)
	whole := math.Floor(x)
	a := float64((x - whole) * math.Ln2)
	sum, term := 1.0, 1.0
	for k := 1.0; k < 14; k++ {
		term = float64(term*a) / k
		sum += term
	}
	return math.Ldexp(sum, int(whole))
}

// log2 is the inverse of exp2, for x > 0.
func log2(x float64) float64 {
	frac, exp := math.Frexp(x) // 1/2 ≤ frac < 1
	y := (frac - 1) / (frac + 1)
	square := float64(y * y)
	sum, power := 0.0, y
	for k := 1.0; k < 40; k += 2 {
		sum += power / k
		power = float64(power * square)
	}
	return float64(exp) + float64(sum*(2/math.Ln2))
}

// semitones is the factor that raises a frequency by so many.
func semitones(n float64) float64 { return exp2(n / 12) }

// hertz is the frequency of a MIDI note.
func hertz(note float64) float64 { return float64(440 * semitones(note-69)) }

// noteOf is the MIDI note of a frequency.
func noteOf(hz float64) float64 { return 69 + float64(12*log2(hz/440)) }

// decibels is the factor of so many.
func decibels(db float64) float64 { return exp2(db / (20 * 0.30102999566398120)) }

// fading is what a frame is multiplied by so that a sound falls by 60 dB in so many seconds.
func fading(seconds float64) float64 {
	return exp2(-9.965784284662087 / float64(max(seconds, 1e-4)*Rate)) // log2(1000)
}

// soft bends what is beyond ±1 back: the hyperbolic tangent, nearly.
func soft(x float64) float64 {
	switch {
	case x >= 3:
		return 1
	case x <= -3:
		return -1
	}
	square := float64(x * x)
	return float64(x*(27+square)) / (27 + float64(9*square))
}

// dice are numbers that look random and are the same every time.
type dice uint32

// seeded makes dice of a seed; two seeds that are close give dice that are not.
func seeded(seed uint32) dice {
	seed ^= seed >> 16
	seed *= 0x7feb352d
	seed ^= seed >> 15
	seed *= 0x846ca68b
	seed ^= seed >> 16
	return dice(seed | 1)
}

// roll is from -1 to 1.
func (d *dice) roll() float64 {
	x := uint32(*d)
	x ^= x << 13
	x ^= x >> 17
	x ^= x << 5
	*d = dice(x)
	return float64(float64(int32(x)) / (1 << 31)) // exact; rounded so that the next addition is not fused either
}
