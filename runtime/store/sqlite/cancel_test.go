package sqlite_test

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Whoever stops reading halfway holds nothing up: the write-ahead log can be emptied, and the next reader finds the connection as it should be.
func TestReadersThatGiveUpHoldNothing(t *testing.T) {
	s := closing(t, open(t, empty(t)(t)))
	w := build(t, s)
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(time.Duration(i)*2*time.Microsecond, cancel)
		got, err := s.Load(ctx, "run-2", 0)
		if err != nil && !errors.Is(err, context.Canceled) || err == nil && len(got) != len(w.facts["run-2"]) {
			t.Fatalf("%d facts, %v", len(got), err)
		}
		for _, err := range s.Tail(ctx, "run-1", 0) {
			if err != nil || i%2 == 0 {
				break
			}
		}
		timer.Stop()
		cancel()
	}
	if err := s.Checkpoint(); err != nil {
		t.Error(err)
	}
	if w.judge(t, s) {
		t.Error("something is missing")
	}
}
