package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/server/auth"
)

// The bugs of the system before that a client could see, by their number in spec/reliability.md.

// Number 1: a pause destroyed the run. Number 18: the end was told twice.
func TestAPauseBetweenSteps(t *testing.T) {
	w := newWorld(t)
	id := w.start("a = slow \"x\"\nb = echo \"<<a>>!\"\nc = echo \"<<b>>!\"\noutput c")
	c := w.dial()
	c.say(M{"event": "agent:workflow:watch", "run": id})
	c.until("agent:workflow:step:started")
	w.want(200, "POST", "/workflows/"+id+"/pause", nil)
	c.until("agent:workflow:paused")
	close(w.slow)
	c.until("agent:workflow:step:completed") // what was under way ends
	for range 3 {                            // and nothing more begins
		if v := w.want(200, "GET", "/workflows/"+id, nil); v["status"] != "paused" || len(v["steps"].([]any)) != 1 {
			t.Errorf("a paused run is %v", v)
		}
	}
	w.want(200, "POST", "/workflows/"+id+"/resume", nil)
	if v := w.want(200, "GET", "/workflows/"+id+"?wait=20s", nil); v["status"] != "succeeded" || v["output"] != "done!!" {
		t.Errorf("it went on to %v", v)
	}
	_, names := w.events(id, "", 0)
	ends := 0
	for _, name := range names {
		if slices.Contains([]string{"agent:workflow:completed", "agent:workflow:failed", "agent:workflow:cancelled"}, name) {
			ends++
		}
	}
	if ends != 1 || names[len(names)-1] != "agent:workflow:completed" {
		t.Errorf("its events are %v", names)
	}
}

// Number 7 and 18: a time that is over ends what is under way, and the run fails once.
func TestATimeThatIsOver(t *testing.T) {
	w := newWorld(t) // whose slow agent never ends by itself
	v := w.want(200, "POST", "/workflows?wait=20s", M{"script": "output slow \"x\"", "timeout": "50ms"})
	if v["status"] != "failed" {
		t.Errorf("it is %v", v)
	}
	_, names := w.events(v["id"].(string), "", 0)
	if n := strings.Count(fmt.Sprint(names), "agent:workflow:failed"); n != 1 || names[len(names)-1] != "agent:workflow:failed" {
		t.Errorf("it ends with %v", names)
	}
}

// Number 15: a request by name alone broke something. It runs what is stored, and says what it does not know.
func TestRunsByName(t *testing.T) {
	w := newWorld(t)
	w.want(201, "POST", "/flows", M{"name": "f", "script": "output echo \"x\""})
	if v := w.want(200, "POST", "/workflows?wait=10s", M{"flow": "f"}); v["output"] != "x" {
		t.Errorf("it is %v", v)
	}
	if v := w.want(404, "POST", "/workflows", M{"flow": "none"}); !strings.Contains(v["detail"].(string), "none") {
		t.Errorf("one that is not there: %v", v)
	}
	v := w.want(400, "POST", "/workflows", M{"workflowId": "f"})
	if faults, _ := v["errors"].([]any); len(faults) != 1 || faults[0].(M)["pointer"] != "/workflowId" {
		t.Errorf("another word for it: %v", v)
	}
}

// S4: one request froze the server. S5: a key was read as a regular expression.
func TestHostileOrchestrations(t *testing.T) {
	w := newWorld(t)
	task := func(id string) M {
		return M{"id": id, "agentType": "custom", "agentId": "echo", "prompt": "x {{topic}}"}
	}
	for _, n := range []any{0, -1, 1e9, 0.5, "2", nil, 1001} {
		answer, v := w.ask("POST", "/orchestrate/parallel", M{"tasks": []any{task("a"), task("b")}, "options": M{"maxParallel": n}, "context": M{"topic": "x"}})
		if answer.StatusCode != 422 && answer.StatusCode != 202 {
			t.Errorf("maxParallel %v: %d %v", n, answer.StatusCode, v)
		}
	}
	for _, key := range []string{"a(", "(a+)+$", "[", "\\", "$&", "{{a}}", ".*"} {
		v := w.want(200, "POST", "/orchestrate/sequential?wait=20s", M{"tasks": []any{task("a")}, "context": M{"topic": "sea $& {{topic}}", key: "b"}})
		if results, _ := v["output"].(M)["taskResults"].([]any); v["status"] != "succeeded" || len(results) != 1 || results[0].(M)["result"] != "x sea $& {{topic}}" {
			t.Errorf("with the key %q: %v", key, v)
		}
	}
}

// S6: a context said who asked. S7: an id that a caller chose was another's.
func TestNobodyChoosesIDs(t *testing.T) {
	w := newWorld(t, func(c *server.Config) {
		c.Gate = gate{"a": {Tenant: "a", Name: "ann", Role: auth.Operator}, "b": {Tenant: "b", Name: "bob", Role: auth.Operator}}
	})
	ids := map[string]bool{}
	for _, who := range []string{"a", "b", "a"} {
		w.token = who
		body := M{"id": "draft", "tasks": []any{M{"id": "draft", "agentType": "custom", "agentId": "echo", "prompt": "of " + who}}, "context": M{"userId": "eve", "by": "eve", "tenant": "b"}}
		v := w.want(200, "POST", "/orchestrate/sequential?wait=20s", body)
		id, name := v["id"].(string), map[string]string{"a": "ann", "b": "bob"}[who]
		if results := v["output"].(M)["taskResults"].([]any); v["by"] != name || ids[id] || results[0].(M)["result"] != "of "+who {
			t.Errorf("it is %v", v)
		}
		ids[id] = true
	}
	w.token = "b"
	if n := len(w.want(200, "GET", "/workflows", nil)["items"].([]any)); n != 1 {
		t.Errorf("bob has %d runs", n)
	}
	w.want(404, "GET", "/workflows/*", nil)
	w.want(404, "DELETE", "/workflows/*", nil)
}

// S3: a path polluted all objects. S13: an index far away made a list of that length.
func TestHostilePaths(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"a[999999999]", "a.b[-1]", "a[1e9]"} {
		w.want(400, "PUT", "/contexts/"+path, M{"value": 1})
	}
	w.ask("PUT", "/contexts/__proto__.isAdmin", M{"value": true}) // a name like any other, or none
	w.want(200, "PUT", "/contexts/user", M{"value": M{"name": "x"}})
	for _, path := range []string{"user.isAdmin", "user.constructor", "user.toString", "user.__proto__"} {
		w.want(404, "GET", "/contexts/"+path, nil)
	}
}
