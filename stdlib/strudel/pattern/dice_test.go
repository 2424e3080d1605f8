package pattern

import "testing"

// The dice are fair for whole cycles and for what lies between, whatever the seed.
func TestDiceAreFair(t *testing.T) {
	for seed := range uint64(40) {
		for _, step := range []Time{one, Fraction(1, 8), Fraction(1, 3)} {
			low, sum := 0, 0.0
			for i := range int64(4000) {
				r := dice(step.Mul(Cycles(i)), seed)
				if sum += r; r < 0.25 {
					low++
				}
			}
			if low < 880 || low > 1120 || sum < 1920 || sum > 2080 {
				t.Errorf("seed %d, every %s: %d of 4000 are below a quarter, the mean is %v", seed, step, low, sum/4000)
			}
		}
	}
}
