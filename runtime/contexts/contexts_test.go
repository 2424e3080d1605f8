package contexts_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/contexts"
)

func set(t *testing.T, s *contexts.Space, path string, value any) {
	t.Helper()
	if err := s.Set(t.Context(), path, value, 0); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *contexts.Space, path string) any {
	t.Helper()
	v, ok, err := s.Get(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "nothing there"
	}
	return v
}

func TestNestedPaths(t *testing.T) {
	var s contexts.Space
	set(t, &s, "a.b[0].c", 1)
	set(t, &s, "a.b[1]", "two")
	set(t, &s, "a.b[0].d", []any{true})
	want := map[string]any{"b": []any{map[string]any{"c": 1, "d": []any{true}}, "two"}}
	if diff := cmp.Diff(want, get(t, &s, "a")); diff != "" {
		t.Error(diff)
	}
	if err := s.Delete(t.Context(), "a.b[0]"); err != nil {
		t.Fatal(err)
	}
	if got := get(t, &s, "a.b[0]"); got != "two" {
		t.Errorf("after a deletion the list begins with %v", got)
	}
	for _, path := range []string{"a.b[9]", "a.x", "a.b.c", "a[0]", "a.b[0].c"} {
		if got := get(t, &s, path); got != "nothing there" {
			t.Errorf("%s is %v", path, got)
		}
	}
}

func TestOwnPropertiesOnly(t *testing.T) {
	var s contexts.Space
	set(t, &s, "a", "text")
	for _, path := range []string{"constructor", "__proto__", "a.length", "toString"} {
		if got := get(t, &s, path); got != "nothing there" {
			t.Errorf("%s is %v", path, got)
		}
	}
	set(t, &s, "__proto__.polluted", true)
	if got := get(t, &s, "polluted"); got != "nothing there" {
		t.Errorf("polluted is %v", got)
	}
}

func TestSetRefuses(t *testing.T) {
	var s contexts.Space
	set(t, &s, "text", "x")
	set(t, &s, "list[0]", 1)
	deep := any(1)
	for range contexts.MaxDepth + 1 {
		deep = []any{deep}
	}
	for _, c := range []struct {
		path  string
		value any
		want  string
	}{
		{"", 1, "missing"}, {"a..b", 1, "looks like"}, {".a", 1, "looks like"}, {"a.", 1, "looks like"}, {"a[x]", 1, "whole number"}, {"a[-1]", 1, "whole number"},
		{"a[0", 1, "whole number"}, {"[0]", 1, "looks like"}, {"a b", 1, "names hold"}, {"a[0]b", 1, "after `]`"},
		{"text.x", 1, "needs a record"}, {"text[0]", 1, "needs a list"}, {"list.x", 1, "needs a record"}, {"list[5]", 1, "past the end"},
		{"big[100001]", 1, "at most"}, {strings.Repeat("a.", 40) + "a", 1, "deeper"}, {strings.Repeat("a", 2000), 1, "too long"},
		{"deep", deep, "nested deeper"}, {"huge", strings.Repeat("x", contexts.MaxBytes+1), "at most"}, {"secret", types.Secret{Name: "token"}, "secret"}, {"odd", struct{}{}, "no value"},
	} {
		err := s.Set(t.Context(), c.path, c.value, 0)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: got %v, want %q in it", c.path, err, c.want)
		}
	}
	if got := get(t, &s, "list"); !cmp.Equal(got, []any{1}) {
		t.Errorf("a refused write left %v", got)
	}
}

func TestSizeIsGivenBack(t *testing.T) {
	var s contexts.Space
	half := strings.Repeat("x", contexts.MaxBytes/2+1)
	for range 10 {
		set(t, &s, "a", half) // replaces
	}
	if err := s.Set(t.Context(), "b", half, 0); err == nil {
		t.Error("more than the bound went in")
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	set(t, &s, "b", half)
}

func TestWhatAReaderGotStays(t *testing.T) {
	var s contexts.Space
	set(t, &s, "a.list[0]", 1)
	before := get(t, &s, "a")
	set(t, &s, "a.list[0]", 2)
	if diff := cmp.Diff(map[string]any{"list": []any{1}}, before); diff != "" {
		t.Error(diff)
	}
}

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s contexts.Space
		if err := s.Set(t.Context(), "a.b", 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		set(t, &s, "a.c", 2)
		time.Sleep(time.Minute - 1)
		if got := get(t, &s, "a.b"); got != 1 {
			t.Errorf("before its end: %v", got)
		}
		time.Sleep(time.Nanosecond)
		if diff := cmp.Diff(map[string]any{"c": 2}, get(t, &s, "a")); diff != "" {
			t.Error(diff)
		}
		if err := s.Set(t.Context(), "a.b", 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		set(t, &s, "a.b", 3) // a write without a ttl lasts
		time.Sleep(time.Hour)
		if got := get(t, &s, "a.b"); got != 3 {
			t.Errorf("after an hour: %v", got)
		}
	})
}

func TestNoLostUpdates(t *testing.T) {
	var s contexts.Space
	var group sync.WaitGroup
	for w := range 100 {
		group.Go(func() {
			for i := range 20 {
				if err := s.Set(t.Context(), fmt.Sprintf("shared.w%d.n%d", w, i), i, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	all := get(t, &s, "shared").(map[string]any)
	if len(all) != 100 {
		t.Fatalf("%d of 100 writers left something", len(all))
	}
	for w, v := range all {
		if len(v.(map[string]any)) != 20 {
			t.Errorf("%s kept %d of 20", w, len(v.(map[string]any)))
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"a", "a.b[0].c", "[", "a[99999999999999999999]", "ü.ß", "a\x00b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		var s contexts.Space
		if s.Set(t.Context(), path, "v", 0) != nil {
			return
		}
		if v, ok, err := s.Get(t.Context(), path); err != nil || !ok || v != "v" {
			t.Errorf("%q was set and is %v, %v, %v", path, v, ok, err)
		}
		if err := s.Delete(t.Context(), path); err != nil {
			t.Error(err)
		}
		if _, ok, _ := s.Get(t.Context(), path); ok {
			t.Errorf("%q was deleted and is there", path)
		}
	})
}
