package fault_test

import (
	"errors"
	"testing"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/runtime/store/storetest/fault"
)

func start(t *testing.T, s store.Store, id run.ID) error {
	t.Helper()
	_, err := s.Create(t.Context(), id, "me", 0, run.Fact{Seq: 1, Body: &run.Started{}})
	return err
}

func TestThePointDecidesWhetherItWasStored(t *testing.T) {
	for _, after := range []bool{false, true} {
		for _, then := range []fault.Then{fault.Once, fault.Dead} {
			inner := memory.New()
			s := fault.New(inner, fault.Point{Write: 2, After: after, Then: then})
			if err := start(t, s, "a"); err != nil || s.Fired() {
				t.Fatalf("before the point: %v, fired %v", err, s.Fired())
			}
			if err := start(t, s, "b"); !errors.Is(err, fault.ErrFault) || !s.Fired() {
				t.Errorf("at the point: %v, fired %v", err, s.Fired())
			}
			if _, err := inner.Load(t.Context(), "b", 0); (err == nil) != after {
				t.Errorf("after %v: %v", after, err)
			}
			if err := start(t, s, "c"); (err == nil) != (then == fault.Once) {
				t.Errorf("then %v, it answered %v", then, err)
			}
			if _, err := s.Load(t.Context(), "a", 0); (err == nil) != (then == fault.Once) {
				t.Errorf("then %v, a read gave %v", then, err)
			}
		}
	}
}

func TestPanic(t *testing.T) {
	s := fault.New(memory.New(), fault.Point{Write: 1, Then: fault.Panic})
	defer func() {
		if recover() != fault.ErrFault {
			t.Error("it did not panic")
		}
		if err := start(t, s, "a"); !errors.Is(err, fault.ErrFault) {
			t.Errorf("then it answered %v", err)
		}
	}()
	_ = start(t, s, "a")
}

func TestEachVisitsEveryWriteTwice(t *testing.T) {
	visits := 0
	fault.Each(t, fault.Dead, func(t *testing.T, wrap func(store.Store) *fault.Store) {
		visits++
		s := wrap(memory.New())
		for _, id := range []run.ID{"a", "b", "c"} {
			if start(t, s, id) != nil {
				return
			}
		}
	})
	if visits != 1+2*3 {
		t.Errorf("the story was told %d times", visits)
	}
}
