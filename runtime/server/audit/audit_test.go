package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/runtime/server/audit"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

func entry(by string) audit.Entry {
	return audit.Entry{By: by, Role: "operator", Method: "POST", Route: "startRun", Path: "/x", Status: 202}
}

func closed(t *testing.T, books ...*audit.Book) {
	t.Helper()
	for _, b := range books {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	}
}

func verified(t *testing.T, docs store.Docs, tenant string) (v audit.Verified, problems []string) {
	t.Helper()
	v, err := audit.Verify(t.Context(), docs, tenant, func(p string) { problems = append(problems, p) })
	if err != nil {
		t.Fatal(err)
	}
	return v, problems
}

// Two servers write one list a tenant, gap-free and chained, whoever comes first; another tenant's is its own.
func TestTwoBooks(t *testing.T) {
	ctx, docs := t.Context(), memory.New()
	one, two := audit.New(docs, audit.Config{}), audit.New(docs, audit.Config{})
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			b := one
			if i%2 == 1 {
				b = two
			}
			if err := b.Note(ctx, "acme", entry(fmt.Sprint("user", i))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Go(func() { _ = one.Note(ctx, "other", entry("eve")) })
	group.Wait()
	closed(t, one, two)
	v, problems := verified(t, docs, "acme")
	if v.Entries != 200 || v.Seq != 200 || problems != nil {
		t.Errorf("%+v, %v", v, problems)
	}
	seen, cursor, before := map[string]bool{}, "", uint64(201)
	for pages := 0; ; pages++ {
		entries, next, err := audit.List(ctx, docs, "acme", cursor, 7)
		if err != nil || pages > 29 {
			t.Fatal(pages, err)
		}
		for _, e := range entries {
			if e.Seq != before-1 || seen[e.By] {
				t.Fatalf("%d follows %d", e.Seq, before)
			}
			before, seen[e.By] = e.Seq, true
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(seen) != 200 || seen["eve"] {
		t.Errorf("the pages have %d entries", len(seen))
	}
	if _, _, err := audit.List(ctx, docs, "acme", "x", 7); !errors.Is(err, audit.ErrCursor) {
		t.Error(err)
	}
	if tenants, err := audit.Tenants(ctx, docs); err != nil || fmt.Sprint(tenants) != "[acme other]" {
		t.Error(tenants, err)
	}
}

// Whatever is changed in the middle of a list shows.
func TestTampering(t *testing.T) {
	for what, tamper := range map[string]func(t *testing.T, docs store.Docs){
		"written over": func(t *testing.T, docs store.Docs) {
			data, version, err := docs.GetDoc(t.Context(), "audit", "acme/0000000000000002")
			if err != nil {
				t.Fatal(err)
			}
			if err := docs.PutDoc(t.Context(), "audit", "acme/0000000000000002", version, bytes.ReplaceAll(data, []byte("user2"), []byte("user1"))); err != nil {
				t.Fatal(err)
			}
		},
		"taken away": func(t *testing.T, docs store.Docs) {
			if err := docs.DropDoc(t.Context(), "audit", "acme/0000000000000002", 1); err != nil {
				t.Fatal(err)
			}
		},
		"the first taken away": func(t *testing.T, docs store.Docs) {
			if err := docs.DropDoc(t.Context(), "audit", "acme/0000000000000001", 1); err != nil {
				t.Fatal(err)
			}
		},
		"made unreadable": func(t *testing.T, docs store.Docs) {
			if err := docs.PutDoc(t.Context(), "audit", "acme/0000000000000002", 1, []byte("{")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		docs := memory.New()
		b := audit.New(docs, audit.Config{})
		for i := range 4 {
			if err := b.Note(t.Context(), "acme", entry(fmt.Sprint("user", i+1))); err != nil {
				t.Fatal(err)
			}
		}
		closed(t, b)
		if _, problems := verified(t, docs, "acme"); problems != nil {
			t.Fatal(problems)
		}
		tamper(t, docs)
		if _, problems := verified(t, docs, "acme"); problems == nil {
			t.Errorf("%s: nothing shows", what)
		}
	}
}

// flaky is a store of documents that is away, or that stores and does not know it.
type flaky struct {
	store.Docs
	away  atomic.Bool
	vague atomic.Int64 // this many writes are stored, and an error is said
}

func (f *flaky) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	if f.away.Load() {
		return errors.New("away")
	}
	err := f.Docs.PutDoc(ctx, kind, name, version, data)
	if err == nil && f.vague.Add(-1) >= 0 {
		return errors.New("who knows")
	}
	return err
}

// A store that is away costs a request two seconds and no entry; one that stored without knowing has each entry once.
func TestOutage(t *testing.T) {
	docs := &flaky{Docs: memory.New()}
	synctest.Test(t, func(t *testing.T) {
		b := audit.New(docs, audit.Config{})
		docs.away.Store(true)
		began := time.Now()
		if err := b.Note(t.Context(), "acme", entry("ann")); !errors.Is(err, audit.ErrLater) || time.Since(began) > 3*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		docs.away.Store(false)
		docs.vague.Store(1)
		time.Sleep(10 * time.Second)
		docs.vague.Store(1)
		if err := b.Note(t.Context(), "acme", entry("bob")); err != nil {
			t.Error(err)
		}
		closed(t, b)
	})
	if v, problems := verified(t, docs, "acme"); v.Entries != 2 || problems != nil {
		t.Errorf("%+v, %v", v, problems)
	}
}

// What can be kept nowhere is in the log.
func TestLost(t *testing.T) {
	docs := &flaky{Docs: memory.New()}
	docs.away.Store(true)
	var text bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		b := audit.New(docs, audit.Config{Log: slog.New(slog.NewTextHandler(&text, nil))})
		_ = b.Note(t.Context(), "acme", entry("ann"))
		closed(t, b)
		if err := b.Note(t.Context(), "acme", entry("bob")); !errors.Is(err, audit.ErrLater) {
			t.Error(err)
		}
		closed(t, b)
	})
	for _, name := range []string{"ann", "bob"} {
		if !strings.Contains(text.String(), name) {
			t.Errorf("the log says nothing of %s:\n%s", name, text.String())
		}
	}
}

// What is too old goes, and the rest still holds together.
func TestRetention(t *testing.T) {
	ctx, docs := t.Context(), memory.New()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := audit.New(docs, audit.Config{Keep: 24 * time.Hour, Now: func() time.Time { return at }})
	for i := range 200 {
		if at = at.Add(time.Hour); b.Note(ctx, "acme", entry(fmt.Sprint("user", i))) != nil {
			t.Fatal("not stored")
		}
	}
	closed(t, b)
	v, problems := verified(t, docs, "acme")
	if problems != nil || v.Seq != 200 || v.Entries > 24+64 {
		t.Errorf("%+v, %v", v, problems)
	}
	b = audit.New(docs, audit.Config{})
	if err := b.Note(ctx, "acme", entry("late")); err != nil {
		t.Error(err)
	}
	closed(t, b)
	if v, problems := verified(t, docs, "acme"); problems != nil || v.Seq != 201 {
		t.Errorf("%+v, %v", v, problems)
	}
	total := 0
	for cursor := ""; ; {
		entries, next, err := audit.List(ctx, docs, "acme", cursor, 50)
		if err != nil {
			t.Fatal(err)
		}
		if total += len(entries); next == "" {
			break
		}
		cursor = next
	}
	if uint64(total) != v.Entries+1 {
		t.Errorf("the pages have %d entries, not %d", total, v.Entries+1)
	}
}
