package pattern

import (
	"math/big"
	"testing"
)

func TestFromFloat(t *testing.T) {
	for f, want := range map[float64]string{0: "0", 0.1: "1/10", 1.0 / 3: "1/3", -0.25: "-1/4", 2: "2", 0.333: "333/1000", 5.0 / 7: "5/7", 1.0 / 48000: "1/48000", 3.14159: "314159/100000"} {
		got, err := FromFloat(f)
		if err != nil || got.String() != want {
			t.Errorf("FromFloat(%v) = %v, %v; want %s", f, got, err, want)
		}
	}
}

// Arithmetic is that of big.Rat, or it panics with ErrFine; it never wraps around.
func FuzzTime(f *testing.F) {
	f.Add(int64(1), int64(2), int64(-3), int64(4))
	f.Add(int64(1)<<62, int64(3), int64(1)<<62, int64(7))
	f.Fuzz(func(t *testing.T, a, b, c, d int64) {
		if b == 0 || d == 0 {
			return
		}
		defer func() {
			if p := recover(); p != nil && p != ErrFine {
				panic(p)
			}
		}()
		x, y := Fraction(a, b), Fraction(c, d)
		p, q := big.NewRat(a, b), big.NewRat(c, d)
		check := func(op string, got Time, want *big.Rat) {
			t.Helper()
			if big.NewRat(got.Num(), got.Den()).Cmp(want) != 0 {
				t.Errorf("%v %s %v = %v, want %v", x, op, y, got, want)
			}
		}
		if x.Cmp(y) != p.Cmp(q) {
			t.Errorf("%v cmp %v = %d", x, y, x.Cmp(y))
		}
		check("+", x.Add(y), new(big.Rat).Add(p, q))
		check("-", x.Sub(y), new(big.Rat).Sub(p, q))
		check("*", x.Mul(y), new(big.Rat).Mul(p, q))
		if c != 0 {
			check("/", x.Div(y), new(big.Rat).Quo(p, q))
		}
		if fl := x.Sam(); x.Before(fl) || !x.Before(x.NextSam()) {
			t.Errorf("floor of %v is %v", x, fl)
		}
	})
}
