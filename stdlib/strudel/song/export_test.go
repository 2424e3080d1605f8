package song

import (
	"context"

	"github.com/slopstudios/slop/stdlib/strudel/pattern"
)

// AtOnce gives all that plays in so many cycles as the answer to a single question, which is how the packages of the table were asked: nothing is cut where
// cycles meet.
func (s *Song) AtOnce(ctx context.Context, cycles int64) ([]pattern.Event, error) {
	haps, _, err := s.query(ctx, pattern.Time{}, pattern.Cycles(cycles), maxSteps)
	if err != nil {
		return nil, s.placed(ctx, err)
	}
	events := make([]pattern.Event, len(haps))
	for i, h := range haps {
		events[i] = event(h)
	}
	return events, nil
}
