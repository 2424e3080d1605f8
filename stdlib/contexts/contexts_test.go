package contexts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/run"
	memory "github.com/slopstudios/slop/stdlib/contexts"
)

func call(t *testing.T, spaces *contexts.Spaces, name string, text any, args map[string]any) agent.Reply {
	t.Helper()
	r := agent.NewRegistry()
	if err := r.Register("memory", memory.New(), nil); err != nil {
		t.Fatal(err)
	}
	a, s, ok := r.Lookup(name)
	if !ok {
		t.Fatalf("no %s", name)
	}
	return a.Call(t.Context(), &agent.Call{Callee: s, Text: text, Args: args, Memory: spaces})
}

func TestMemory(t *testing.T) {
	var space contexts.Spaces
	if r := call(t, &space, "memory.get", "a.b", map[string]any{"default": "none"}); r.Value != "none" {
		t.Errorf("the default: %+v", r)
	}
	if r := call(t, &space, "memory.set", nil, map[string]any{"path": "a.b", "value": 3, "ttl": "2h"}); r.Outcome != "" || r.Value != nil {
		t.Errorf("set: %+v", r)
	}
	if r := call(t, &space, "memory.get", "a.b", nil); r.Value != 3 {
		t.Errorf("get: %+v", r)
	}
	if r := call(t, &space, "memory.delete", "a.b", nil); r.Outcome != "" {
		t.Errorf("delete: %+v", r)
	}
	if r := call(t, &space, "memory.get", "a.b", nil); r.Value != nil || r.Outcome != "" {
		t.Errorf("after delete: %+v", r)
	}
}

func TestMemoryChanges(t *testing.T) {
	var space contexts.Spaces
	for _, c := range []struct {
		name string
		args map[string]any
		want any
	}{
		{"memory.merge", map[string]any{"path": "a", "value": map[string]any{"x": 1}}, nil},
		{"memory.merge", map[string]any{"path": "a", "value": map[string]any{"y": 2}}, nil},
		{"memory.append", map[string]any{"path": "l", "value": "one"}, 1},
		{"memory.append", map[string]any{"path": "l", "value": "two"}, 2},
		{"memory.add", map[string]any{"path": "n"}, 1},
		{"memory.add", map[string]any{"path": "n", "by": 2.0}, 3},
		{"memory.add", map[string]any{"path": "n", "by": 0.5}, 3.5},
	} {
		if r := call(t, &space, c.name, nil, c.args); r.Outcome != "" || r.Value != c.want {
			t.Errorf("%s %v: %+v, want %v", c.name, c.args, r, c.want)
		}
	}
	for text, want := range map[any][]any{nil: {"a", "l", "n"}, "a": {"x", "y"}, "l": {"[0]", "[1]"}, "none": {}} {
		if r := call(t, &space, "memory.list", text, nil); !cmp.Equal(r.Value, any(want)) {
			t.Errorf("list %v: %+v", text, r)
		}
	}
}

// Each scope has a state of its own.
func TestMemoryScopes(t *testing.T) {
	var space contexts.Spaces
	for _, scope := range contexts.Scopes {
		if r := call(t, &space, "memory.set", "a", map[string]any{"value": scope, "scope": scope}); r.Outcome != "" {
			t.Errorf("set: %+v", r)
		}
	}
	if r := call(t, &space, "memory.get", "a", nil); r.Value != "run" {
		t.Errorf("without a scope: %+v", r)
	}
	for _, scope := range contexts.Scopes {
		if r := call(t, &space, "memory.get", "a", map[string]any{"scope": scope}); r.Value != scope {
			t.Errorf("%s: %+v", scope, r)
		}
	}
}

func TestMemoryRefuses(t *testing.T) {
	var space contexts.Spaces
	for _, ttl := range []any{"soon", "-1s", "0s", 5, "9999d"} {
		r := call(t, &space, "memory.set", "a", map[string]any{"value": 1, "ttl": ttl})
		if r.Outcome != run.Failure || !strings.Contains(r.Message, "ttl") {
			t.Errorf("ttl %v: %+v", ttl, r)
		}
	}
	if r := call(t, &space, "memory.set", "a..b", map[string]any{"value": 1}); r.Outcome != run.Failure {
		t.Errorf("a bad path: %+v", r)
	}
	if r := call(t, &space, "memory.set", "a", map[string]any{"value": types.Secret{Name: "k"}}); r.Outcome != run.Failure {
		t.Errorf("a secret went in: %+v", r)
	}
}
