package plan_test

import (
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/plan"
)

func TestParseAmount(t *testing.T) {
	for s, want := range map[string]plan.Amount{
		"$2": {Money: 2_000_000}, "0.50": {Money: 500_000}, "20 calls": {Calls: 20}, "1 call": {Calls: 1}, "5,000 tokens": {Tokens: 5000},
		"5000tokens": {Tokens: 5000}, "10m": {Duration: 10 * time.Minute},
	} {
		if got, err := plan.ParseAmount(s); err != nil || got != want {
			t.Errorf("ParseAmount(%q) = %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "lots", "-1", "0", "NaN", "calls", "x tokens", "1e300"} {
		if got, err := plan.ParseAmount(s); err == nil {
			t.Errorf("ParseAmount(%q) = %+v, want an error", s, got)
		}
	}
}

func TestDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{"90s": 90 * time.Second, "7d": 7 * 24 * time.Hour, "500ms": 500 * time.Millisecond, "2h": 2 * time.Hour} {
		if got, err := plan.ParseDuration(s); err != nil || got != want {
			t.Errorf("plan.ParseDuration(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "30", "-1s", "0s", "abc", "9999d", "1h2d"} {
		if d, err := plan.ParseDuration(s); err == nil {
			t.Errorf("plan.ParseDuration(%q) = %v, want an error", s, d)
		}
	}
}
