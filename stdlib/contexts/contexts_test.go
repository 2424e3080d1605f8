package contexts_test

import (
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/run"
	memory "github.com/slopstudios/slop/stdlib/contexts"
)

func call(t *testing.T, space *contexts.Space, name string, text any, args map[string]any) agent.Reply {
	t.Helper()
	r := agent.NewRegistry()
	if err := r.Register("memory", memory.New(), nil); err != nil {
		t.Fatal(err)
	}
	a, s, ok := r.Lookup(name)
	if !ok {
		t.Fatalf("no %s", name)
	}
	return a.Call(t.Context(), &agent.Call{Callee: s, Text: text, Args: args, Memory: space})
}

func TestMemory(t *testing.T) {
	var space contexts.Space
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

func TestMemoryRefuses(t *testing.T) {
	var space contexts.Space
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
