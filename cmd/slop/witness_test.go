package main

import (
	"context"
	"errors"
	"testing"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// sick is a store whose appends end with what is set.
type sick struct {
	store.Store
	err error
}

func (s *sick) Append(context.Context, run.Lease, run.Seq, ...run.Fact) error { return s.err }

// A store that takes nothing more is told of once, and so is its recovery; what it says of the lease and the head is no trouble.
func TestWitness(t *testing.T) {
	full := errors.New("the disk is full")
	s := &sick{}
	w := newWitness(s)
	want := func(err error, news ...error) {
		t.Helper()
		s.err = err
		for range 3 {
			if got := w.Append(t.Context(), run.Lease{}, 0); got != err {
				t.Errorf("the error became %v", got)
			}
		}
		for _, n := range news {
			if got := <-w.news; got != n {
				t.Errorf("told of %v, want %v", got, n)
			}
		}
		if len(w.news) > 0 {
			t.Errorf("after %v too much is told", err)
		}
	}
	want(nil)
	want(store.ErrConflict)
	want(full, full)
	want(store.ErrFenced)
	want(nil, nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.err = ended.Err()
	_ = w.Append(ended, run.Lease{}, 0)
	if len(w.news) > 0 {
		t.Error("the end of a context is told of")
	}
}
