package server_test

import (
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/server"
)

// A JSON definition, in the request that the reference takes or as its own body, is a run like any other; its mistakes are said by their places in the JSON.
func TestDefinitionsOverREST(t *testing.T) {
	w := newWorld(t)
	steps := []any{
		map[string]any{"id": "a", "name": "A", "agentType": "custom", "agentId": "echo", "prompt": "hi {{topic}}", "inputs": []any{}, "outputs": []any{map[string]any{"field": "result", "contextPath": "r.a"}}, "dependencies": []any{}},
		map[string]any{"id": "b", "name": "B", "agentType": "custom", "agentId": "echo", "prompt": "{{r.a}}!", "inputs": []any{}, "outputs": []any{}, "dependsOn": []any{"a"}},
	}
	for _, body := range []map[string]any{
		{"workflow": map[string]any{"id": "w", "name": "Two", "steps": steps}, "context": map[string]any{"topic": "sea"}, "priority": 7},
		{"id": "w", "name": "Two", "steps": steps, "context": map[string]any{"topic": "sea"}, "priority": 7},
	} {
		v := w.want(200, "POST", "/workflows?wait=10s", body)
		out, _ := v["output"].(map[string]any)
		ended, _ := out["steps"].(map[string]any)
		if v["status"] != "succeeded" || ended["a"] != "hi sea" || ended["b"] != "hi sea!" || v["flow"] != "Two" || v["priority"] != 7.0 {
			t.Errorf("it is %v", v)
		}
	}
	v := w.want(422, "POST", "/workflows", map[string]any{"steps": []any{map[string]any{"id": "a", "name": "A", "agentType": "custom", "agentId": "echo", "prompt": "x", "dependencies": []any{"b"}}}})
	if d := v["diagnostics"].([]any); v["code"] != "E_SCRIPT" || len(d) == 0 || d[0].(map[string]any)["file"] != "workflow.json" {
		t.Errorf("an unknown dependency: %v", v)
	}
}

// An orchestration has its id at once, and its result under it; its events have a family of their own. (Reference 5.1 #13: a request that takes longer than its connection
// lost its result.)
func TestOrchestrationsOverREST(t *testing.T) {
	w := newWorld(t)
	body := map[string]any{"tasks": []any{
		map[string]any{"id": "a", "agentType": "custom", "agentId": "slow", "prompt": "A {{topic}}"},
		map[string]any{"id": "b", "agentType": "custom", "agentId": "echo", "prompt": "B {{topic}}"},
	}, "context": map[string]any{"topic": "x"}}
	answer, v := w.ask("POST", "/orchestrate/parallel", body)
	id, _ := v["id"].(string)
	if answer.StatusCode != 202 || id == "" || answer.Header.Get("Location") != server.Root+"/workflows/"+id {
		t.Fatalf("%d: %v", answer.StatusCode, v)
	}
	close(w.slow)
	v = w.want(200, "GET", "/orchestrate/"+id+"?wait=10s", nil)
	out, _ := v["output"].(map[string]any)
	if results, _ := out["taskResults"].([]any); v["status"] != "succeeded" || len(results) != 2 {
		t.Errorf("it is %v", v)
	}
	if _, names := w.events(id, "", 0); names[0] != "agent:orchestration:started" || !strings.HasPrefix(names[len(names)-1], "agent:orchestration:completed") {
		t.Errorf("its events are %v", names)
	}
	body["pattern"] = "sequential"
	if v := w.want(200, "POST", "/orchestrate?wait=10s", body); v["status"] != "succeeded" {
		t.Errorf("by the pattern that it names: %v", v)
	}
	w.want(422, "POST", "/orchestrate/conditional", body)
	w.want(422, "POST", "/orchestrate", map[string]any{"pattern": "nothing", "tasks": []any{}})
	w.want(404, "GET", "/orchestrate/"+w.start("output \"x\""), nil)
}
