package storetest

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

var keeps = map[string]func(*testing.T, store.Store){
	"blobs":                                   blobs,
	"blobs of every size":                     blobSizes,
	"AllBlobs yields what is kept":            allBlobs,
	"DropBlob leaves what was put later":      dropBlob,
	"documents are compared and set":          docs,
	"documents are dropped as they are set":   dropDoc,
	"AllDocs yields names by prefix":          allDocs,
	"what was handed in or out is not shared": copies,
}

func blobs(t *testing.T, s store.Store) {
	hash, err := s.PutBlob(t.Context(), []byte("abc"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; hash != want {
		t.Errorf("hash %s", hash)
	}
	if again, err := s.PutBlob(t.Context(), []byte("abc")); err != nil || again != hash {
		t.Errorf("the same bytes again: %s, %v", again, err)
	}
	data, err := s.GetBlob(t.Context(), hash)
	if err != nil || string(data) != "abc" {
		t.Errorf("got %q, %v", data, err)
	}
}

func blobSizes(t *testing.T, s store.Store) {
	for _, size := range []int{0, 1, 4095, 4096, 100_000, 3 << 20} {
		want := bytes.Repeat([]byte{0, 1, 254, 255}, size/4+1)[:size]
		hash, err := s.PutBlob(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.GetBlob(t.Context(), hash); err != nil || !bytes.Equal(got, want) {
			t.Errorf("of %d bytes came %d, %v", size, len(got), err)
		}
	}
}

func listBlobs(t *testing.T, s store.Store) map[string]store.Blob {
	t.Helper()
	out := map[string]store.Blob{}
	for b, err := range s.AllBlobs(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := out[b.Hash]; twice {
			t.Errorf("%s is there twice", b.Hash)
		}
		out[b.Hash] = b
	}
	return out
}

func allBlobs(t *testing.T, s store.Store) {
	if got := listBlobs(t, s); len(got) != 0 {
		t.Errorf("an empty store has %v", got)
	}
	for _, text := range []string{"a", "bb", "ccc", "a"} {
		if _, err := s.PutBlob(t.Context(), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	got := listBlobs(t, s)
	if len(got) != 3 {
		t.Errorf("there are %d", len(got))
	}
	for hash, b := range got {
		data, err := s.GetBlob(t.Context(), hash)
		if err != nil || b.Size != int64(len(data)) {
			t.Errorf("%+v has %d bytes, %v", b, len(data), err)
		}
		if age := time.Since(b.Put); age < -time.Minute || age > time.Hour {
			t.Errorf("%s was put %v ago", hash, age)
		}
	}
	for range s.AllBlobs(t.Context()) {
		break // leaving early is allowed
	}
}

func dropBlob(t *testing.T, s store.Store) {
	ctx := t.Context()
	hash, err := s.PutBlob(ctx, []byte("abc"))
	if err != nil {
		t.Fatal(err)
	}
	first := listBlobs(t, s)[hash].Put
	eventually(t, "a second put counts", func() bool {
		if _, err := s.PutBlob(ctx, []byte("abc")); err != nil {
			t.Fatal(err)
		}
		return listBlobs(t, s)[hash].Put.After(first)
	})
	for _, before := range []time.Time{time.Now().Add(-time.Hour), first} {
		if err := s.DropBlob(ctx, hash, before); err != nil {
			t.Fatal(err)
		}
		if _, err := s.GetBlob(ctx, hash); err != nil {
			t.Fatalf("it was put later and is gone: %v", err)
		}
	}
	for range 2 {
		if err := s.DropBlob(ctx, hash, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.GetBlob(ctx, hash)
	wantErr(t, "what was dropped", err, store.ErrNotFound)
	if got := listBlobs(t, s); len(got) != 0 {
		t.Errorf("listed are %v", got)
	}
	if again, err := s.PutBlob(ctx, []byte("abc")); err != nil || again != hash {
		t.Errorf("put again: %v", err)
	}
	if data, err := s.GetBlob(ctx, hash); err != nil || string(data) != "abc" {
		t.Errorf("%q, %v", data, err)
	}
}

func docs(t *testing.T, s store.Store) {
	ctx := t.Context()
	if err := s.PutDoc(ctx, "plan", "p", 0, []byte("one")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "a second first", s.PutDoc(ctx, "plan", "p", 0, []byte("other")), store.ErrConflict)
	if err := s.PutDoc(ctx, "plan", "p", 1, []byte("two")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "a stale write", s.PutDoc(ctx, "plan", "p", 1, []byte("other")), store.ErrConflict)
	wantErr(t, "a write ahead", s.PutDoc(ctx, "plan", "p", 3, []byte("other")), store.ErrConflict)
	wantErr(t, "a version of nothing", s.PutDoc(ctx, "plan", "q", 1, []byte("other")), store.ErrConflict)
	data, version, err := s.GetDoc(ctx, "plan", "p")
	if err != nil || string(data) != "two" || version != 2 {
		t.Errorf("got %q at %d, %v", data, version, err)
	}
	if err := s.PutDoc(ctx, "other", "p", 0, nil); err != nil {
		t.Errorf("kinds share names: %v", err)
	}
	if data, version, err := s.GetDoc(ctx, "other", "p"); err != nil || len(data) != 0 || version != 1 {
		t.Errorf("an empty document: %q at %d, %v", data, version, err)
	}
}

func dropDoc(t *testing.T, s store.Store) {
	ctx := t.Context()
	if err := s.DropDoc(ctx, "k", "n", 3); err != nil {
		t.Errorf("dropping what is not there: %v", err)
	}
	for version, text := range []string{"one", "two"} {
		if err := s.PutDoc(ctx, "k", "n", uint64(version), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, "dropping an older version", s.DropDoc(ctx, "k", "n", 1), store.ErrConflict)
	if data, _, err := s.GetDoc(ctx, "k", "n"); err != nil || string(data) != "two" {
		t.Errorf("%q, %v", data, err)
	}
	if err := s.DropDoc(ctx, "k", "n", 2); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.GetDoc(ctx, "k", "n")
	wantErr(t, "what was dropped", err, store.ErrNotFound)
	wantErr(t, "its next version", s.PutDoc(ctx, "k", "n", 2, nil), store.ErrConflict)
	if err := s.PutDoc(ctx, "k", "n", 0, []byte("anew")); err != nil {
		t.Fatal(err)
	}
	if data, version, err := s.GetDoc(ctx, "k", "n"); err != nil || string(data) != "anew" || version != 1 {
		t.Errorf("%q at %d, %v", data, version, err)
	}
}

func allDocs(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, name := range []string{"b", "a", "a/2", "a/1", "a%", "a*", "a_x", "A", "é", "a\xc3\xa9", "a[1]", "ab"} {
		if err := s.PutDoc(ctx, "k", name, 0, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutDoc(ctx, "kk", "a", 0, nil); err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[string][]string{
		"":       {"A", "a", "a%", "a*", "a/1", "a/2", "a[1]", "a_x", "ab", "a\u00e9", "b", "\u00e9"},
		"a/":     {"a/1", "a/2"},
		"a%":     {"a%"},
		"a*":     {"a*"},
		"a_":     {"a_x"},
		"a[1]":   {"a[1]"},
		"z":      nil,
		"\u00e9": {"\u00e9"},
	} {
		var got []string
		for name, err := range s.AllDocs(ctx, "k", prefix) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("with %q: %s, want %s", prefix, strings.Join(got, " "), strings.Join(want, " "))
		}
	}
	for range s.AllDocs(ctx, "k", "") {
		break // leaving early is allowed
	}
}

func copies(t *testing.T, s store.Store) {
	ctx := t.Context()
	data := []byte("abc")
	if err := s.PutDoc(ctx, "k", "n", 0, data); err != nil {
		t.Fatal(err)
	}
	data[0] = 'x'
	got, _, err := s.GetDoc(ctx, "k", "n")
	if err != nil || string(got) != "abc" {
		t.Errorf("%q, %v", got, err)
	}
	got[0] = 'y'
	if got, _, err := s.GetDoc(ctx, "k", "n"); err != nil || string(got) != "abc" {
		t.Errorf("%q, %v", got, err)
	}
}
