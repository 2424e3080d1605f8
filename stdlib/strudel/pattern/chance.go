package pattern

import "math"

// Chance is decided by the time of an event alone, so a pattern plays the same each time it is asked. The dice are our own: other players of the same code
// drop other events, as often.

// dice gives a number from 0 up to, not including, 1.
func dice(t Time, seed uint64) float64 {
	x := mix(mix(uint64(t.Num())+0x9e3779b97f4a7c15*(seed+1)) ^ uint64(t.Den())*0xd1342543de82ef95)
	return float64(x>>11) / (1 << 53)
}

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Rand is a continuous random number from 0 to 1. Different seeds roll different dice.
func Rand(seed uint64) *Pattern {
	return Signal(func(t Time) any { return dice(t, seed) })
}

// Perlin is a random number from 0 to 1 that glides from cycle to cycle.
func Perlin(seed uint64) *Pattern {
	return Signal(func(t Time) any {
		at := t.InCycle().Float()
		smooth := at * at * at * (at*(at*6-15) + 10)
		a, b := dice(t.Sam(), seed), dice(t.NextSam(), seed)
		return a + (b-a)*smooth
	})
}

// DegradeBy drops each event with a chance, UndegradeBy keeps those that DegradeBy(1-chance) would drop.
func (p *Pattern) DegradeBy(chance float64, seed uint64) *Pattern {
	return p.rolled(seed, func(r float64) bool { return r >= chance })
}

func (p *Pattern) UndegradeBy(chance float64, seed uint64) *Pattern {
	return p.rolled(seed, func(r float64) bool { return r < 1-chance })
}

func (p *Pattern) rolled(seed uint64, keep func(float64) bool) *Pattern {
	return p.mapHaps(func(h Hap) (Hap, bool) { return h, keep(dice(h.WholeOrPart().Begin, seed)) })
}

// EachCycle gives for every cycle the pattern that pick chooses by a random number, at the same cycle.
func EachCycle(seed uint64, pick func(r float64) *Pattern) *Pattern {
	return perCycle(func(a *asking, cycle int64, s Span) []Hap {
		return pick(dice(Cycles(cycle), seed)).ask(a, s)
	})
}

// Wave is the shape of a signal: one cycle of it, from 0 to 1.
type Wave func(at float64) float64

// The waves of the documentation. The times at which they are looked at are cycles, so a whole number of them is the same point of the wave.
var Waves = map[string]Wave{
	"saw":  func(t float64) float64 { return t - math.Floor(t) },
	"isaw": func(t float64) float64 { return 1 - (t - math.Floor(t)) },
	"tri": func(t float64) float64 {
		at := t - math.Floor(t)
		if at < 0.5 {
			return 2 * at
		}
		return 2 - 2*at
	},
	"itri": func(t float64) float64 {
		at := t - math.Floor(t)
		if at < 0.5 {
			return 1 - 2*at
		}
		return 2*at - 1
	},
	"sine":   func(t float64) float64 { return 0.5 + 0.5*math.Sin(2*math.Pi*t) },
	"cosine": func(t float64) float64 { return 0.5 + 0.5*math.Cos(2*math.Pi*t) },
	"square": func(t float64) float64 { return math.Floor(2 * (t - math.Floor(t))) },
}
