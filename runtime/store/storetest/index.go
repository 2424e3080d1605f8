package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

var indexes = map[string]func(*testing.T, store.Store){
	"an entry is kept whole":                        entry,
	"an older entry never replaces a newer one":     entryAge,
	"the entry of a run without a log is not kept":  entryWithout,
	"many entries are kept together":                entries,
	"filters choose":                                filters,
	"pages show each run once":                      pages,
	"a page goes on where it ended, whatever comes": cursors,
	"a cursor that was not given out is refused":    cursorRefused,
	"a page has an end":                             limits,
}

func put(t *testing.T, s store.Store, entries ...store.Entry) {
	t.Helper()
	for _, e := range entries {
		create(t, s, e.Run)
		if err := s.PutEntries(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func entry(t *testing.T, s store.Store) {
	e := store.Entry{Run: "r", Flow: "article", Status: run.Failed, Started: at, Finished: at.Add(time.Minute + time.Nanosecond), Cost: 1234567, CostSource: run.Estimated, Pool: "cli:/home/ada/x y",
		Tenant: "acme", Tags: []string{"a", "b c"}, Waiting: []run.Path{"poem#2/review", "x"}, Code: "E_TIMEOUT", Seq: 17}
	put(t, s, e)
	got, err := s.GetEntry(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Error(diff)
	}
	all, next, err := s.List(t.Context(), store.Filter{})
	if diff := cmp.Diff([]store.Entry{e}, all); diff != "" || next != "" || err != nil {
		t.Errorf("%s\nnext %q, %v", diff, next, err)
	}
}

func entryAge(t *testing.T, s store.Store) {
	e := store.Entry{Run: "r", Flow: "f", Status: run.Running, Started: at, Seq: 5}
	put(t, s, e)
	old := e
	old.Seq, old.Status = 4, run.Queued
	if err := s.PutEntries(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetEntry(t.Context(), "r"); err != nil || got.Status != run.Running {
		t.Errorf("%+v, %v", got, err)
	}
	e.Seq, e.Status = 6, run.Succeeded
	if err := s.PutEntries(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for status, want := range map[run.Status]int{run.Running: 0, run.Queued: 0, run.Succeeded: 1} {
		if got, _, err := s.List(t.Context(), store.Filter{Status: []run.Status{status}}); err != nil || len(got) != want {
			t.Errorf("%d are %s, %v", len(got), status, err)
		}
	}
}

// Of entries that come together each is kept or not as if it came alone.
func entries(t *testing.T, s store.Store) {
	var all []store.Entry
	for i := range 50 {
		e := store.Entry{Run: run.ID(fmt.Sprint("r", i)), Flow: "f", Status: run.Running, Started: at.Add(time.Duration(i)), Seq: 5}
		if i == 7 {
			newer := e
			newer.Seq, newer.Status = 6, run.Succeeded
			put(t, s, newer)
		} else if i != 8 {
			create(t, s, e.Run)
		}
		all = append(all, e)
	}
	if err := s.PutEntries(t.Context()); err != nil {
		t.Errorf("none at all: %v", err)
	}
	if err := s.PutEntries(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	for status, want := range map[run.Status]int{run.Running: 48, run.Succeeded: 1} {
		if got, _, err := s.List(t.Context(), store.Filter{Status: []run.Status{status}}); err != nil || len(got) != want {
			t.Errorf("%d are %s, want %d, %v", len(got), status, want, err)
		}
	}
}

func entryWithout(t *testing.T, s store.Store) {
	if err := s.PutEntries(t.Context(), store.Entry{Run: "nobody", Started: at, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	_, err := s.GetEntry(t.Context(), "nobody")
	wantErr(t, "its entry", err, store.ErrNotFound)
	if got, _, err := s.List(t.Context(), store.Filter{}); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func filters(t *testing.T, s store.Store) {
	hour := func(n int) time.Time { return at.Add(time.Duration(n) * time.Hour) }
	put(t, s,
		store.Entry{Run: "a", Flow: "poem", Status: run.Running, Started: hour(1), Pool: "p", Tenant: "x", Tags: []string{"t", "u"}, Seq: 1},
		store.Entry{Run: "b", Flow: "poem", Status: run.Waiting, Started: hour(2), Pool: "p", Tenant: "y", Waiting: []run.Path{"q"}, Seq: 1},
		store.Entry{Run: "c", Flow: "song", Status: run.Succeeded, Started: hour(3), Pool: "q", Tenant: "x", Tags: []string{"t"}, Seq: 1},
		store.Entry{Run: "d", Flow: "song", Status: run.Failed, Started: hour(4), Pool: "q", Tags: []string{"tu"}, Seq: 1},
	)
	for _, c := range []struct {
		filter store.Filter
		want   string
	}{
		{store.Filter{}, "dcba"},
		{store.Filter{Flow: "poem"}, "ba"},
		{store.Filter{Flow: "poe"}, ""},
		{store.Filter{Status: []run.Status{run.Running}}, "a"},
		{store.Filter{Status: []run.Status{run.Running, run.Failed, run.Paused}}, "da"},
		{store.Filter{Pool: "p"}, "ba"},
		{store.Filter{Tenant: "x"}, "ca"},
		{store.Filter{Tag: "t"}, "ca"},
		{store.Filter{Tag: "u"}, "a"},
		{store.Filter{Text: "POE"}, "ba"},
		{store.Filter{Text: "u"}, "da"},
		{store.Filter{Text: "c", Tenant: "x"}, "c"},
		{store.Filter{Text: "%"}, ""},
		{store.Filter{Waiting: true}, "b"},
		{store.Filter{Since: hour(3)}, "dc"},
		{store.Filter{Since: hour(3).Add(time.Nanosecond)}, "d"},
		{store.Filter{Flow: "song", Tenant: "x"}, "c"},
		{store.Filter{Flow: "song", Tenant: "x", Waiting: true}, ""},
	} {
		got := ""
		for f := c.filter; ; {
			f.Limit = 1
			page, next, err := s.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				got += string(e.Run)
			}
			if f.Cursor = next; next == "" {
				break
			}
		}
		if got != c.want {
			t.Errorf("%+v chose %s, want %s", c.filter, got, c.want)
		}
	}
}

// shown lists all pages from a cursor on.
func shown(t *testing.T, s store.Store, f store.Filter) []run.ID {
	t.Helper()
	var out []run.ID
	for {
		page, next, err := s.List(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > f.Size() {
			t.Fatalf("a page of %d has %d", f.Size(), len(page))
		}
		for _, e := range page {
			out = append(out, e.Run)
		}
		if f.Cursor = next; next == "" {
			return out
		}
	}
}

// pages has runs that started at the same moment on both sides of every border between pages.
func pages(t *testing.T, s store.Store) {
	var want []run.ID
	for i := range 12 {
		id := run.ID(fmt.Sprintf("r%02d", i))
		put(t, s, store.Entry{Run: id, Started: at.Add(time.Duration(i/4) * time.Nanosecond), Seq: 1})
		want = append(want, id)
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 2, 3, 5, 12, 100} {
		if got := shown(t, s, store.Filter{Limit: limit}); !slices.Equal(got, want) {
			t.Errorf("by %d: %v", limit, got)
		}
	}
}

// cursors changes everything between two pages: newer runs come, the last one shown goes, entries change.
func cursors(t *testing.T, s store.Store) {
	var all []store.Entry
	for i := range 8 {
		e := store.Entry{Run: run.ID(fmt.Sprint("r", i)), Status: run.Running, Started: at.Add(time.Duration(i) * time.Second), Seq: 2}
		all = append(all, e)
		put(t, s, e)
	}
	page, next, err := s.List(t.Context(), store.Filter{Limit: 3})
	if err != nil || len(page) != 3 || page[2].Run != "r5" {
		t.Fatalf("%v, %v", page, err)
	}
	put(t, s, store.Entry{Run: "newer", Started: at.Add(time.Hour), Seq: 1}, store.Entry{Run: "r5a", Started: all[5].Started, Seq: 1})
	l, err := s.Claim(t.Context(), "r5", "me", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), l, 1, end(2)); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), "r5"); err != nil {
		t.Fatal(err)
	}
	all[3].Seq, all[3].Status = 3, run.Succeeded
	if err := s.PutEntries(t.Context(), all[3]); err != nil {
		t.Fatal(err)
	}
	if got := shown(t, s, store.Filter{Limit: 2, Cursor: next}); !slices.Equal(got, []run.ID{"r4", "r3", "r2", "r1", "r0"}) {
		t.Errorf("then came %v", got)
	}
}

func cursorRefused(t *testing.T, s store.Store) {
	for _, cursor := range []string{"x", "!", "MTIz", "☃"} {
		_, _, err := s.List(t.Context(), store.Filter{Cursor: cursor})
		wantErr(t, cursor, err, store.ErrCursor)
	}
}

func limits(t *testing.T, s store.Store) {
	for i := range store.DefaultLimit + 1 {
		put(t, s, store.Entry{Run: run.ID(fmt.Sprint("r", i)), Started: at.Add(time.Duration(i)), Seq: 1})
	}
	page, next, err := s.List(t.Context(), store.Filter{})
	if err != nil || len(page) != store.DefaultLimit || next == "" {
		t.Errorf("%d, %q, %v", len(page), next, err)
	}
	page, next, err = s.List(t.Context(), store.Filter{Limit: 10 * store.MaxLimit})
	if err != nil || len(page) != store.DefaultLimit+1 || next != "" {
		t.Errorf("%d, %q, %v", len(page), next, err)
	}
}
