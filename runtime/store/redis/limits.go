package redis

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

// Take implements store.Limits.
func (s *Store) Take(ctx context.Context, name, holder string, n int, ttl time.Duration) (bool, error) {
	r, err := s.run(ctx, slotScript, []string{s.tagged(name, "slots")}, holder, n, micros(ttl))
	if err != nil {
		return false, fmt.Errorf("redis: take a slot of %s: %w", name, err)
	}
	return r.is("ok"), nil
}

// Give implements store.Limits.
func (s *Store) Give(ctx context.Context, name, holder string) error {
	if err := s.client.ZRem(ctx, s.tagged(name, "slots"), holder).Err(); err != nil {
		return fmt.Errorf("redis: give a slot of %s back: %w", name, err)
	}
	return nil
}

// Pass implements store.Limits.
func (s *Store) Pass(ctx context.Context, name string, rate store.Rate) (time.Duration, error) {
	gap, slack, err := rate.Gaps()
	if err != nil {
		return 0, err
	}
	r, err := s.run(ctx, rateScript, []string{s.tagged(name, "rate")}, decimal(gap), decimal(slack))
	if err != nil {
		return 0, fmt.Errorf("redis: pass the rate of %s: %w", name, err)
	}
	wait, err := strconv.ParseFloat(r.at(0), 64)
	if err != nil {
		return 0, odd(r)
	}
	return time.Duration(math.Ceil(wait * float64(time.Microsecond))), nil
}

// decimal writes a duration in microseconds with its fraction.
func decimal(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Microsecond), 'f', 3, 64)
}
