package edition_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/slopstudios/slop/runtime/edition"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/runtime/store/sqlite"
)

type about struct {
	Tag string `json:"tag"`
}

type shelf = edition.Shelf[about, string]

func each(t *testing.T, f func(t *testing.T, s *shelf)) {
	t.Run("memory", func(t *testing.T) { f(t, &shelf{Docs: memory.New(), Kind: "note", Prefix: "note_"}) })
	t.Run("sqlite", func(t *testing.T) {
		db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "state.db")})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		f(t, &shelf{Docs: db, Kind: "note", Prefix: "note_"})
	})
}

func TestEditions(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		ctx := t.Context()
		made, err := s.Create(ctx, "a", "house/rules", "", "ann", about{"x"}, "one")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Create(ctx, "a", "house/rules", "", "bob", about{}, "other"); !errors.Is(err, store.ErrExists) {
			t.Errorf("a name that is taken: %v", err)
		}
		if _, err := s.Create(ctx, "b", "house/rules", "", "bob", about{}, "b's"); err != nil {
			t.Errorf("another tenant's name: %v", err)
		}
		for _, ref := range []string{"house/rules", made.ID} {
			if got, err := s.Get(ctx, "a", ref); err != nil || got.Text != "one" || got.Tag() != made.Tag() || got.Number != 1 || got.Author != "ann" {
				t.Errorf("%s is %+v, %v", ref, got, err)
			}
		}
		stale, _ := s.Get(ctx, "a", "house/rules")
		if err := s.SaveText(ctx, "a", made, "two", "bob", "better"); err != nil {
			t.Fatal(err)
		}
		if err := s.SaveText(ctx, "a", stale, "lost", "eve", ""); !errors.Is(err, store.ErrConflict) {
			t.Errorf("a change of what has moved on: %v", err)
		}
		made.About.Tag = "y"
		if err := s.Save(ctx, "a", made, "cy"); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(ctx, "a", made.ID)
		if err != nil || got.Number != 2 || got.Text != "two" || got.About.Tag != "y" || got.By != "cy" || got.Author != "bob" || got.Note != "better" {
			t.Errorf("it is %+v, %v", got, err)
		}
		for n, want := range map[int]string{1: "one", 2: "two"} {
			if e, err := s.At(ctx, "a", got, n); err != nil || e.Text != want || e.Number != n {
				t.Errorf("edition %d is %+v, %v", n, e, err)
			}
		}
		for _, n := range []int{0, -1, 3} {
			if _, err := s.At(ctx, "a", got, n); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("edition %d: %v", n, err)
			}
		}
		if err := s.Drop(ctx, "a", stale); !errors.Is(err, store.ErrConflict) {
			t.Errorf("what has moved on is dropped: %v", err)
		}
		if err := s.Drop(ctx, "a", got); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(ctx, "a", "house/rules"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("it is still there: %v", err)
		}
		again, err := s.Create(ctx, "a", "house/rules", "", "ann", about{}, "new")
		if err != nil || again.Number != 1 || again.Tag() == made.Tag() || again.Tag() == stale.Tag() {
			t.Errorf("a name that comes again is %+v, %v", again, err)
		}
	})
}

// D7 of the system before: edits were lost, and two got the same version.
func TestNoLostEdits(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		const writers, edits = 8, 5
		if _, err := s.Create(t.Context(), "a", "n", "", "", about{}, "0"); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				for i := 0; i < edits; {
					thing, err := s.Get(t.Context(), "a", "n")
					if err == nil {
						err = s.SaveText(t.Context(), "a", thing, fmt.Sprintf("%d.%d", w, i), "", "")
					}
					if err == nil {
						i++
					} else if !errors.Is(err, store.ErrConflict) {
						t.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
		thing, err := s.Get(t.Context(), "a", "n")
		if err != nil || thing.Number != 1+writers*edits {
			t.Fatalf("%d editions, %v", thing.Number, err)
		}
		seen := map[string]bool{}
		for n := 1; n <= thing.Number; n++ {
			e, err := s.At(t.Context(), "a", thing, n)
			if err != nil || seen[e.Text] {
				t.Fatalf("edition %d is %+v, %v", n, e, err)
			}
			seen[e.Text] = true
		}
	})
}

func TestPages(t *testing.T) {
	each(t, func(t *testing.T, s *shelf) {
		for _, tenant := range []string{"a", "a/b", "b"} {
			for i := range 7 {
				if _, err := s.Create(t.Context(), tenant, fmt.Sprintf("n/%d", i), "", tenant, about{fmt.Sprint(i % 2)}, ""); err != nil {
					t.Fatal(err)
				}
			}
		}
		list := func(limit int, keep func(*edition.Thing[about, string]) bool) (names []string) {
			for cursor := ""; ; {
				page, next, err := s.Page(t.Context(), "a", cursor, limit, keep)
				if err != nil || len(page) > limit {
					t.Fatalf("%d things, %v", len(page), err)
				}
				for _, thing := range page {
					names = append(names, thing.Name)
					if thing.By != "a" {
						t.Errorf("%s is %s's", thing.Name, thing.By)
					}
				}
				if cursor = next; next == "" {
					return names
				}
			}
		}
		all := func(*edition.Thing[about, string]) bool { return true }
		want := []string{"n/0", "n/1", "n/2", "n/3", "n/4", "n/5", "n/6"}
		for _, limit := range []int{1, 2, 3, 7, 50} {
			if got := list(limit, all); !slices.Equal(got, want) {
				t.Errorf("by %d: %v", limit, got)
			}
		}
		odd := func(thing *edition.Thing[about, string]) bool { return thing.About.Tag == "1" }
		if got := list(2, odd); !slices.Equal(got, []string{"n/1", "n/3", "n/5"}) {
			t.Errorf("the odd ones are %v", got)
		}
		if _, _, err := s.Page(context.Background(), "a", "%%", 1, all); !errors.Is(err, store.ErrCursor) {
			t.Errorf("a made-up cursor: %v", err)
		}
	})
}
