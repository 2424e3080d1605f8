package sqlite_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/sqlite"
)

// fillUp appends until there is no room, and returns the head that was acknowledged.
func fillUp(t *testing.T, s *sqlite.Store, l run.Lease, head run.Seq) run.Seq {
	t.Helper()
	for ; head < 10_000; head++ {
		if err := s.Append(t.Context(), l, head, timer(head+1, strings.Repeat("x", 8<<10))); err != nil {
			if errors.Is(err, store.ErrFenced) || errors.Is(err, store.ErrConflict) {
				t.Errorf("a full disk is called %v", err)
			}
			return head
		}
	}
	t.Fatal("the disk never filled up")
	return 0
}

// whenFull holds a store that has no room to what is promised: it says so, keeps what it has, goes on reading, and works again when there is room.
func whenFull(t *testing.T, s *sqlite.Store, makeRoom func()) {
	t.Helper()
	ctx := t.Context()
	l, err := s.Create(ctx, "r", "me", 0, started("p"))
	if err != nil {
		t.Fatal(err)
	}
	head := fillUp(t, s, l, 1)
	for range 3 {
		if err := s.Append(ctx, l, head, timer(head+1, strings.Repeat("y", 64<<10))); err == nil {
			t.Error("there was room after all")
		}
	}
	facts, err := s.Load(ctx, "r", 0)
	if err != nil || run.Seq(len(facts)) != head {
		t.Errorf("%d facts are there, %d were acknowledged, %v", len(facts), head, err)
	}
	makeRoom()
	if err := s.Append(ctx, l, head, timer(head+1, "z")); err != nil {
		t.Fatalf("there is room again: %v", err)
	}
	if _, err := s.Create(ctx, "q", "me", 0, started("p")); err != nil {
		t.Error(err)
	}
	if facts, err = s.Load(ctx, "r", head); err != nil || len(facts) != 1 {
		t.Errorf("%d facts, %v", len(facts), err)
	}
	if got := problems(t, s); got != nil {
		t.Error(got)
	}
}

func TestTheFileIsFull(t *testing.T) {
	path := empty(t)(t)
	s := open(t, path)
	pages, err := s.LimitPages(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.LimitPages(pages + 60); err != nil {
		t.Fatal(err)
	}
	whenFull(t, s, func() {
		if _, err := s.LimitPages(1 << 20); err != nil {
			t.Fatal(err)
		}
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = closing(t, open(t, path))
	if got := problems(t, s); got != nil {
		t.Error(got)
	}
}

func hint(id run.ID) store.Hint { return store.Hint{Run: id, Pool: "p"} }
