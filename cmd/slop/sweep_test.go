package main

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// aged is a store whose values were put long ago, but for those that are young, and one of whose runs may be damaged.
type aged struct {
	store.Store
	young   map[string]bool
	damaged run.ID
}

func (a *aged) AllBlobs(ctx context.Context) iter.Seq2[store.Blob, error] {
	return func(yield func(store.Blob, error) bool) {
		for b, err := range a.Store.AllBlobs(ctx) {
			if !a.young[b.Hash] {
				b.Put = b.Put.Add(-2 * sweepGrace)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func (a *aged) DropBlob(ctx context.Context, hash string, before time.Time) error {
	return a.Store.DropBlob(ctx, hash, before.Add(2*sweepGrace))
}

func (a *aged) Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error) {
	if id == a.damaged {
		return nil, store.ErrCorrupt
	}
	return a.Store.Load(ctx, id, after)
}

// A value is swept when no fact of any run names it and it is old; while a run cannot be read, none is.
func TestSweep(t *testing.T) {
	ctx := t.Context()
	a := &aged{Store: memory.New(), young: map[string]bool{}}
	s := &state{folder: t.TempDir(), store: a}
	put := func(text string) string {
		hash, err := a.PutBlob(ctx, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	thePlan, input, result, file, orphan, fresh := put("plan"), put("input"), put("result"), put("file"), put("orphan"), put("fresh")
	a.young[fresh] = true
	lease, err := a.Create(ctx, "r", "me", 0, run.Fact{Seq: 1, At: time.Now(), Body: &run.Started{Plan: thePlan, Inputs: map[string]any{"x": types.Large{SHA256: input, Size: 5}}}})
	if err == nil {
		err = a.Append(ctx, lease, 1, run.Fact{Seq: 2, At: time.Now(), Body: &run.CallDone{
			Path: "a", Attempt: 1, Value: []any{types.Large{SHA256: result, Size: 6}, map[string]any{"f": types.FileValue{SHA256: file, Size: 4}}},
		}})
	}
	if err != nil {
		t.Fatal(err)
	}

	a.damaged = "r"
	if _, err := s.sweep(ctx, nil, false); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("with a run that cannot be read: %v", err)
	}
	a.damaged = ""
	if w, err := s.sweep(ctx, nil, true); err != nil || w.count != 1 {
		t.Errorf("a dry run would sweep %d, %v", w.count, err)
	}
	if w, err := s.sweep(ctx, nil, false); err != nil || w.count != 1 || w.bytes != int64(len("orphan")) {
		t.Errorf("swept %+v, %v", w, err)
	}
	for _, hash := range []string{thePlan, input, result, file, fresh} {
		if _, err := a.GetBlob(ctx, hash); err != nil {
			t.Errorf("a value that is needed is gone: %v", err)
		}
	}
	if _, err := a.GetBlob(ctx, orphan); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the orphan: %v", err)
	}
	if w, err := s.sweep(ctx, []run.ID{"r"}, true); err != nil || w.count != 4 {
		t.Errorf("without its run %d would go, %v", w.count, err)
	}
}

// The times at which a run with a beginning of an id can have been started.
func TestSpan(t *testing.T) {
	at := time.UnixMilli(1795794389721)
	id := string(run.NewID(at, [10]byte{1, 2, 3}))
	for n := 1; n <= len(id); n++ {
		first, last, ok := span(id[:n])
		if !ok || at.Before(first) || at.After(last) {
			t.Errorf("span(%q) is %v to %v, %v", id[:n], first, last, ok)
		}
		if n >= 10 && !first.Equal(last) {
			t.Errorf("ten characters are a time: %v to %v", first, last)
		}
	}
	for _, word := range []string{"", "u", "0i", "zzzzzzzzzzz", id + "0"} {
		if _, _, ok := span(word); ok {
			t.Errorf("span(%q) is said to be the beginning of an id", word)
		}
	}
}
