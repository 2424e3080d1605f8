package contexts_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/contexts"
)

func apply(t *testing.T, s *contexts.Space, c contexts.Change) any {
	t.Helper()
	v, err := s.Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func set(t *testing.T, s *contexts.Space, path string, value any) {
	t.Helper()
	apply(t, s, contexts.Change{Verb: contexts.Set, Path: path, Value: value})
}

func remove(t *testing.T, s *contexts.Space, path string) {
	t.Helper()
	apply(t, s, contexts.Change{Verb: contexts.Delete, Path: path})
}

func get(t *testing.T, s *contexts.Space, path string) any {
	t.Helper()
	v, ok, err := s.Get(path)
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
	remove(t, &s, "a.b[0]")
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
		_, err := s.Apply(contexts.Change{Verb: contexts.Set, Path: c.path, Value: c.value})
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
	if _, err := s.Apply(contexts.Change{Verb: contexts.Set, Path: "b", Value: half}); err == nil {
		t.Error("more than the bound went in")
	}
	remove(t, &s, "a")
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
		apply(t, &s, contexts.Change{Verb: contexts.Set, Path: "a.b", Value: 1, TTL: time.Minute})
		set(t, &s, "a.c", 2)
		time.Sleep(time.Minute - time.Nanosecond)
		if got := get(t, &s, "a.b"); got != 1 {
			t.Errorf("before its end: %v", got)
		}
		time.Sleep(time.Nanosecond)
		if diff := cmp.Diff(map[string]any{"c": 2}, get(t, &s, "a")); diff != "" {
			t.Error(diff)
		}
		apply(t, &s, contexts.Change{Verb: contexts.Set, Path: "a.b", Value: 1, TTL: time.Minute})
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
				for _, c := range []contexts.Change{
					{Verb: contexts.Set, Path: fmt.Sprintf("shared.w%d.n%d", w, i), Value: i},
					{Verb: contexts.Merge, Path: "merged", Value: map[string]any{fmt.Sprintf("w%d", w): map[string]any{fmt.Sprintf("n%d", i): i}}},
					{Verb: contexts.Append, Path: "list", Value: w},
					{Verb: contexts.Add, Path: "sum", Value: 1},
				} {
					if _, err := s.Apply(c); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	for _, path := range []string{"shared", "merged"} {
		all := get(t, &s, path).(map[string]any)
		if len(all) != 100 {
			t.Fatalf("%d of 100 writers left something in %s", len(all), path)
		}
		for w, v := range all {
			if len(v.(map[string]any)) != 20 {
				t.Errorf("%s of %s kept %d of 20", w, path, len(v.(map[string]any)))
			}
		}
	}
	if n := len(get(t, &s, "list").([]any)); n != 2000 {
		t.Errorf("%d of 2000 items", n)
	}
	if sum := get(t, &s, "sum"); sum != 2000 {
		t.Errorf("the sum is %v", sum)
	}
}

func TestMerge(t *testing.T) {
	var s contexts.Space
	set(t, &s, "a", map[string]any{"keep": 1, "in": map[string]any{"x": 1, "y": []any{1, 2}}})
	apply(t, &s, contexts.Change{Verb: contexts.Merge, Path: "a", Value: map[string]any{"new": "n", "in": map[string]any{"y": []any{3}, "odd name/": nil}}})
	want := map[string]any{"keep": 1, "new": "n", "in": map[string]any{"x": 1, "y": []any{3}, "odd name/": nil}}
	if diff := cmp.Diff(want, get(t, &s, "a")); diff != "" {
		t.Error(diff)
	}
	apply(t, &s, contexts.Change{Verb: contexts.Merge, Path: "fresh.one", Value: map[string]any{"x": 1}})
	if diff := cmp.Diff(map[string]any{"x": 1}, get(t, &s, "fresh.one")); diff != "" {
		t.Error(diff)
	}
	for _, c := range []contexts.Change{
		{Verb: contexts.Merge, Path: "a", Value: "text"}, {Verb: contexts.Merge, Path: "a.keep", Value: map[string]any{}}, {Verb: contexts.Append, Path: "a", Value: 1},
		{Verb: contexts.Add, Path: "a", Value: 1}, {Verb: contexts.Add, Path: "n", Value: "x"}, {Verb: "swap", Path: "a"}, {Verb: contexts.Set, Path: "a", Value: 1, TTL: -1},
		{Verb: contexts.Add, Path: "a.keep", Value: math.MaxInt},
	} {
		if _, err := s.Apply(c); err == nil {
			t.Errorf("%+v was made", c)
		}
	}
	if diff := cmp.Diff(want, get(t, &s, "a")); diff != "" {
		t.Errorf("what was refused changed something: %s", diff)
	}
}

func TestAppendAndAdd(t *testing.T) {
	var s contexts.Space
	for i, want := range []any{1, 2} {
		if n := apply(t, &s, contexts.Change{Verb: contexts.Append, Path: "a.list", Value: i}); n != want {
			t.Errorf("the list has %v items", n)
		}
	}
	for _, c := range []struct{ by, sum any }{{2, 2}, {-5, -3}, {0.5, -2.5}, {1, -1.5}} {
		if sum := apply(t, &s, contexts.Change{Verb: contexts.Add, Path: "n", Value: c.by}); sum != c.sum {
			t.Errorf("the sum is %v, want %v", sum, c.sum)
		}
	}
}

func TestList(t *testing.T) {
	var s contexts.Space
	set(t, &s, "b.y", 1)
	set(t, &s, "b.x[0]", 1)
	set(t, &s, "a", 1)
	for path, want := range map[string][]string{"": {"a", "b"}, "b": {"x", "y"}, "b.x": {"[0]"}, "a": nil, "none": nil} {
		got, err := s.List(path)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
	if _, err := s.List("a..b"); err == nil {
		t.Error("a bad path lists")
	}
}

// A snapshot stays what it is, goes through a store and back, and takes the ends of its values along.
func TestSnapshotAndRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s contexts.Space
		set(t, &s, "a.list", []any{"x", 1, 2.0, nil, true, types.FileValue{Name: "f", SHA256: "0"}, types.Large{SHA256: "1", Size: 2}})
		apply(t, &s, contexts.Change{Verb: contexts.Set, Path: "a.brief", Value: 1, TTL: time.Minute})
		before := get(t, &s, "a")
		data, err := s.Snapshot().Encode()
		if err != nil {
			t.Fatal(err)
		}
		set(t, &s, "a", "gone")
		state, err := contexts.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		s.Restore(state)
		if diff := cmp.Diff(before, get(t, &s, "a")); diff != "" {
			t.Error(diff)
		}
		if state.Bytes() != s.Snapshot().Bytes() || state.Bytes() == 0 {
			t.Errorf("it weighs %d and %d", state.Bytes(), s.Snapshot().Bytes())
		}
		time.Sleep(time.Minute)
		if got := get(t, &s, "a.brief"); got != "nothing there" {
			t.Errorf("its end was lost: %v", got)
		}
		for _, bad := range []string{"", "1", `{"root":3}`, `{"root":{"a":1},"ends":{"a":"2026-01-01T00:00:00Z"}}`, `{"root":{"a":{"$secret":"k"}}}`, `{"root":` + strings.Repeat(`{"a":`, 50) + "1" + strings.Repeat("}", 51)} {
			if _, err := contexts.Decode([]byte(bad)); err == nil {
				t.Errorf("%.60s was read", bad)
			}
		}
	})
}

// What ends in a list leaves it, whatever was removed before it and at once with it.
func TestTTLInLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s contexts.Space
		for i := range 12 {
			apply(t, &s, contexts.Change{Verb: contexts.Append, Path: "l", Value: i})
		}
		for _, i := range []int{2, 9, 10, 11} {
			apply(t, &s, contexts.Change{Verb: contexts.Set, Path: fmt.Sprintf("l[%d]", i), Value: "brief", TTL: time.Minute})
		}
		remove(t, &s, "l[0]")
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]any{1, 3, 4, 5, 6, 7, 8}, get(t, &s, "l")); diff != "" {
			t.Error(diff)
		}
		set(t, &s, "x", 1) // the state itself is cleaned by the next change
		if v, _, _ := s.Snapshot().Get("l"); len(v.([]any)) != 7 {
			t.Errorf("it still holds %v", v)
		}
	})
}

// Whatever is done, the weight is that of what is there: nothing adds up that is gone.
func FuzzWeight(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	f.Add([]byte("set and merge and append and add and delete"))
	f.Fuzz(func(t *testing.T, story []byte) {
		paths := []string{"a", "b", "a.b", "a.b[0]", "a.b[1].c", "b[0]", "b[1]", "b[0].x"}
		values := []any{nil, 1, "text", []any{}, []any{1, nil}, map[string]any{}, map[string]any{"b": nil, "x": []any{"y"}}, map[string]any{"b": map[string]any{"c": 1}}}
		verbs := []contexts.Verb{contexts.Set, contexts.Merge, contexts.Append, contexts.Add, contexts.Delete}
		now := time.Unix(0, 0)
		var state contexts.State
		for len(story) >= 2 {
			a, b := int(story[0]), int(story[1])
			story = story[2:]
			now = now.Add(time.Second)
			state, _, _ = state.Apply(contexts.Change{
				Verb: verbs[a%len(verbs)], Path: paths[a/8%len(paths)], Value: values[b%len(values)], TTL: time.Duration(b/8%4) * 3 * time.Second,
			}, now)
			data, err := state.Encode()
			if err != nil {
				t.Fatal(err)
			}
			again, err := contexts.Decode(data)
			if err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			if again.Bytes() != state.Bytes() {
				t.Fatalf("%s weighs %d, and %d is counted", data, again.Bytes(), state.Bytes())
			}
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"a", "a.b[0].c", "[", "a[99999999999999999999]", "ü.ß", "a\x00b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		var s contexts.Space
		if _, err := s.Apply(contexts.Change{Verb: contexts.Set, Path: path, Value: "v"}); err != nil {
			return
		}
		if v, ok, err := s.Get(path); err != nil || !ok || v != "v" {
			t.Errorf("%q was set and is %v, %v, %v", path, v, ok, err)
		}
		remove(t, &s, path)
		if _, ok, _ := s.Get(path); ok {
			t.Errorf("%q was deleted and is there", path)
		}
	})
}
