package pattern

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Time is a point or a length in cycles, exactly: a fraction in lowest terms. The zero value is 0.
//
// Its parts are 64 bits wide. Arithmetic that needs more panics with ErrFine, which Query turns into an error: no music is that fine, only hostile code.
type Time struct {
	num int64
	low int64 // the denominator less one, so that the zero value is 0/1
}

// Fraction is num/den in lowest terms. A denominator of 0 is a mistake of the caller.
func Fraction(num, den int64) Time {
	if den == 0 {
		panic("pattern: a fraction with the denominator 0")
	}
	if num == math.MinInt64 || den == math.MinInt64 {
		panic(ErrFine)
	}
	if den < 0 {
		num, den = -num, -den
	}
	if d := gcd(abs(num), den); d > 1 {
		num, den = num/d, den/d
	}
	return Time{num, den - 1}
}

// Cycles is n cycles.
func Cycles(n int64) Time { return Time{num: n} }

// FromFloat is the simplest fraction that reads as f: 0.1 is 1/10, and 1.0/3 is 1/3.
func FromFloat(f float64) (Time, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) > 1<<40 {
		return Time{}, fmt.Errorf("%v is not a length of time", f)
	}
	if f == math.Trunc(f) {
		return Cycles(int64(f)), nil
	}
	negative := f < 0
	x := math.Abs(f)
	// The convergents of its continued fraction, until one is the same number for practical purposes.
	var h0, h1, k0, k1 int64 = 0, 1, 1, 0
	for rest := x; ; {
		whole := math.Floor(rest)
		a := int64(whole)
		h, okH := mulAdd(a, h1, h0)
		k, okK := mulAdd(a, k1, k0)
		if !okH || !okK || k > 1<<31 {
			break
		}
		h0, h1, k0, k1 = h1, h, k1, k
		if math.Abs(float64(h)/float64(k)-x) <= 1e-15*math.Max(1, x) || rest == whole {
			break
		}
		rest = 1 / (rest - whole)
	}
	if negative {
		h1 = -h1
	}
	return Fraction(h1, k1), nil
}

func mulAdd(a, b, c int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi != 0 || lo > math.MaxInt64/2 {
		return 0, false
	}
	sum := lo + uint64(c)
	return int64(sum), sum <= math.MaxInt64/2
}

// Num and Den are the fraction's parts; Den is at least 1.
func (t Time) Num() int64 { return t.num }
func (t Time) Den() int64 { return t.low + 1 }

// Float is the nearest number.
func (t Time) Float() float64 { return float64(t.num) / float64(t.Den()) }

// String is like "3", "1/2" or "-5/3".
func (t Time) String() string {
	if t.low == 0 {
		return strconv.FormatInt(t.num, 10)
	}
	return strconv.FormatInt(t.num, 10) + "/" + strconv.FormatInt(t.Den(), 10)
}

// ParseTime reads what String writes.
func ParseTime(s string) (Time, error) {
	above, below, broken := strings.Cut(s, "/")
	num, err := strconv.ParseInt(above, 10, 64)
	if err != nil {
		return Time{}, fmt.Errorf("%q is not a time in cycles: write 3 or 1/2", s)
	}
	if !broken {
		return Cycles(num), nil
	}
	den, err := strconv.ParseInt(below, 10, 64)
	if err != nil || den <= 0 || num == math.MinInt64 {
		return Time{}, fmt.Errorf("%q is not a time in cycles: write 3 or 1/2", s)
	}
	return Fraction(num, den), nil
}

func (t Time) Add(u Time) Time {
	switch {
	case u.low == 0: // whole cycles keep lowest terms
		return Time{sum(t.num, product(u.num, t.Den())), t.low}
	case t.low == 0:
		return Time{sum(u.num, product(t.num, u.Den())), u.low}
	case t.low == u.low:
		return Fraction(sum(t.num, u.num), t.Den())
	}
	d := gcd(t.Den(), u.Den())
	return Fraction(sum(product(t.num, u.Den()/d), product(u.num, t.Den()/d)), product(t.Den(), u.Den()/d))
}

func (t Time) Sub(u Time) Time { return t.Add(u.Neg()) }

func (t Time) Neg() Time { return Time{-t.num, t.low} }

func (t Time) Mul(u Time) Time {
	// Cancelled crosswise: what fits in the end fits on the way, and it is in lowest terms.
	if t.num == 0 || u.num == 0 {
		return Time{}
	}
	a, b := gcd(abs(t.num), u.Den()), gcd(abs(u.num), t.Den())
	return Time{product(t.num/a, u.num/b), product(t.Den()/b, u.Den()/a) - 1}
}

// Div divides. Dividing by 0 is a mistake of the caller.
func (t Time) Div(u Time) Time {
	switch {
	case u.num == 0:
		panic("pattern: a division by 0")
	case u.num < 0:
		return t.Mul(Time{-u.Den(), -u.num - 1})
	}
	return t.Mul(Time{u.Den(), u.num - 1})
}

// Cmp is -1, 0 or 1 as t is before, at or after u.
func (t Time) Cmp(u Time) int {
	if t.low == u.low {
		switch {
		case t.num < u.num:
			return -1
		case t.num > u.num:
			return 1
		}
		return 0
	}
	if (t.num < 0) != (u.num < 0) {
		if t.num < 0 {
			return -1
		}
		return 1
	}
	hi, lo := bits.Mul64(uint64(abs(t.num)), uint64(u.Den()))
	hi2, lo2 := bits.Mul64(uint64(abs(u.num)), uint64(t.Den()))
	c := cmp.Or(cmp.Compare(hi, hi2), cmp.Compare(lo, lo2))
	if t.num < 0 {
		return -c
	}
	return c
}

func (t Time) Before(u Time) bool { return t.Cmp(u) < 0 }

// Sign is -1, 0 or 1.
func (t Time) Sign() int {
	switch {
	case t.num < 0:
		return -1
	case t.num > 0:
		return 1
	}
	return 0
}

// Floor is the number of the cycle that t is in.
func (t Time) Floor() int64 {
	if t.low == 0 {
		return t.num
	}
	q := t.num / t.Den()
	if t.num < 0 {
		q--
	}
	return q
}

// Ceil is the first whole number of cycles that is not before t.
func (t Time) Ceil() int64 { return -t.Neg().Floor() }

// Sam is the start of the cycle that t is in, NextSam its end: Tidal's words.
func (t Time) Sam() Time     { return Cycles(t.Floor()) }
func (t Time) NextSam() Time { return Cycles(t.Floor() + 1) }

// InCycle is how far into its cycle t is.
func (t Time) InCycle() Time { return t.Sub(t.Sam()) }

// Earlier and Later are the first and the last of two.
func Earlier(t, u Time) Time {
	if u.Before(t) {
		return u
	}
	return t
}

func Later(t, u Time) Time {
	if t.Before(u) {
		return u
	}
	return t
}

func gcd(a, b int64) int64 {
	if a == 1 || b == 1 {
		return 1
	}
	for a > math.MaxUint32 || b > math.MaxUint32 {
		if b == 0 {
			return a
		}
		a, b = b, a%b
	}
	x, y := uint32(a), uint32(b) // which machines divide much faster
	for y != 0 {
		x, y = y, x%y
	}
	return int64(x)
}

func abs(a int64) int64 {
	if a < 0 {
		return -a
	}
	return a
}

func sum(a, b int64) int64 {
	c := a + b
	if (c > a) != (b > 0) && b != 0 || c == math.MinInt64 {
		panic(ErrFine)
	}
	return c
}

func product(a, b int64) int64 {
	hi, lo := bits.Mul64(uint64(abs(a)), uint64(abs(b)))
	if hi != 0 || lo > math.MaxInt64 {
		panic(ErrFine)
	}
	if (a < 0) != (b < 0) {
		return -int64(lo)
	}
	return int64(lo)
}
