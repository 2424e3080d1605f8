package plan

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
)

// ParseDuration reads "90s", "5m", "2h", "7d" or "500ms", as a script writes it.
func ParseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := time.ParseDuration(days + "h")
		if err == nil && !strings.ContainsAny(days, "hmsun") {
			s = (n * 24).String()
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > types.MaxDuration {
		return 0, fmt.Errorf("%q is not a duration such as 30s, 5m, 2h or 7d", s)
	}
	return d, nil
}

// ParseAmount reads a budget: "$2", "0.50", "20 calls", "5000 tokens", "10m".
func ParseAmount(s string) (Amount, error) {
	t := strings.TrimSpace(s)
	if t == "" {
		return Amount{}, errors.New("it is empty: a shell reads $2 as a variable, so write 2 or '$2'")
	}
	for word, set := range map[string]func(n int64) Amount{
		"tokens": func(n int64) Amount { return Amount{Tokens: n} },
		"calls":  func(n int64) Amount { return Amount{Calls: n} },
	} {
		digits, ok := strings.CutSuffix(t, word)
		if !ok {
			digits, ok = strings.CutSuffix(t, strings.TrimSuffix(word, "s"))
		}
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.ReplaceAll(strings.TrimSpace(digits), ",", ""), 10, 64)
		if err != nil || n < 1 {
			return Amount{}, fmt.Errorf("how many %s?", word)
		}
		return set(n), nil
	}
	if d, err := ParseDuration(t); err == nil {
		return Amount{Duration: d}, nil
	}
	f, err := strconv.ParseFloat(strings.TrimPrefix(t, "$"), 64)
	if err != nil || !(f > 0 && f <= 1e9) { // NaN is neither
		return Amount{}, errors.New("a budget is dollars (0.50), '20 calls', '5000 tokens' or a time (10m)")
	}
	return Amount{Money: Money(f*1e6 + 0.5)}, nil
}
