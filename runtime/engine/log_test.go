package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// flaky is a store that takes no facts and no entries for a while.
type flaky struct {
	*memory.Store
	fails atomic.Int32
}

var errFull = errors.New("no room for hunter22")

func (s *flaky) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	if s.fails.Add(-1) >= 0 {
		return errFull
	}
	return s.Store.Append(ctx, lease, head, facts...)
}

func (s *flaky) PutEntries(context.Context, ...store.Entry) error { return errFull }

// What nobody waits for is logged: once when a store begins to fail, once when it answers again, however often it was tried meanwhile.
func TestTheLogHearsOfWhatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.model("writer", func(context.Context, *agent.Call) agent.Reply { return agent.Reply{Value: "v"} })
		s := &flaky{Store: memory.New()}
		s.fails.Store(5)
		var log strings.Builder // the handler takes turns
		e := engine.New(engine.Config{Registry: w.registry, Store: s, Log: slog.New(slog.NewTextHandler(&log, nil))})
		id := start(t, e, w.plan("a = writer \"a\"\noutput writer \"b <<a>>\""), run.Options{})
		wait(t, e, id)
		shut(t, e)
		for text, times := range map[string]int{
			`level=WARN msg="the store fails, which is tried again" to="store what happened"`: 1,
			`level=INFO msg="the store answers again" to="store what happened"`:               1,
			`level=WARN msg="the store fails, which is tried again" to="list runs"`:           1,
			`msg="the run ended" run=` + string(id) + ` status=succeeded`:                     1,
		} {
			if n := strings.Count(log.String(), text); n != times {
				t.Errorf("%s: %d times, want %d, in\n%s", text, n, times, log.String())
			}
		}
	})
}
