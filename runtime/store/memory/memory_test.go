package memory_test

import (
	"errors"
	"testing"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/runtime/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return memory.New() })
}

func TestVoidFencesTheDead(t *testing.T) {
	s := memory.New()
	first := run.Fact{Seq: 1, Body: &run.Started{}}
	dead, err := s.Create(t.Context(), "r", "dead", 0, first)
	if err != nil {
		t.Fatal(err)
	}
	s.Void("dead")
	if _, err := s.Claim(t.Context(), "r", "alive", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), dead, 1, run.Fact{Seq: 2, Body: &run.TimerFired{}}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the dead wrote: %v", err)
	}
}
