package server_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/slopstudios/slop/runtime/server"
)

func TestContexts(t *testing.T) {
	w := newWorld(t)
	answer, v := w.ask("PUT", "/contexts/a.b%5B0%5D.c", M{"value": 1})
	tag := answer.Header.Get("ETag")
	if answer.StatusCode != 200 || v["value"] != 1.0 || v["version"] != 1.0 || tag != `"1"` {
		t.Fatalf("%d %v", answer.StatusCode, v)
	}
	if v := w.want(200, "PATCH", "/contexts/a", M{"value": M{"d": "x"}}, "If-Match", tag); fmt.Sprint(v["value"]) != "map[b:[map[c:1]] d:x]" || v["version"] != 2.0 {
		t.Errorf("merged it is %v", v)
	}
	w.want(412, "PUT", "/contexts/a.d", M{"value": "lost"}, "If-Match", tag)
	w.want(412, "DELETE", "/contexts/a", nil, "If-Match", tag)
	w.want(404, "PUT", "/contexts/none", M{"value": 1}, "If-Match", "*")
	w.want(200, "PUT", "/contexts/brief", M{"value": 1, "ttl": "1h"})
	if list := w.want(200, "GET", "/contexts", nil); !slices.Equal(names(list), []string{"a", "brief"}) {
		t.Errorf("the names are %v", list)
	}
	page := w.want(200, "GET", "/contexts?limit=1", nil)
	if rest := w.want(200, "GET", "/contexts?limit=1&cursor="+page["next"].(string), nil); !slices.Equal(names(rest), []string{"brief"}) || rest["next"] != nil {
		t.Errorf("the next page is %v", rest)
	}
	w.want(204, "DELETE", "/contexts/a.d", nil)
	w.want(404, "GET", "/contexts/a.d", nil)
	w.want(404, "DELETE", "/contexts/a.d", nil)
	for _, bad := range []struct {
		method, path string
		body         M
	}{
		{"PUT", "/contexts/a..b", M{"value": 1}}, {"PUT", "/contexts/x", M{}}, {"PUT", "/contexts/x", M{"value": 1, "ttl": "soon"}}, {"PATCH", "/contexts/x", M{"value": 1}},
		{"PUT", "/contexts/x%5B999999999%5D", M{"value": 1}}, {"GET", "/contexts/x?scope=run", nil}, {"GET", "/contexts?scope=flow", nil}, {"PUT", "/contexts/brief.x", M{"value": 1}},
	} {
		if answer, v := w.ask(bad.method, bad.path, bad.body); answer.StatusCode != 400 {
			t.Errorf("%v: %d %v", bad, answer.StatusCode, v)
		}
	}
	w.want(200, "PUT", "/contexts/__proto__.isAdmin", M{"value": true}) // S3: a name like any other
	w.want(404, "GET", "/contexts/isAdmin", nil)
}

// What a run sees by memory.* is what the API sees, in each scope.
func TestContextsOfRuns(t *testing.T) {
	w := newWorld(t)
	w.want(200, "PUT", "/contexts/mood", M{"value": "calm"})
	w.want(200, "PUT", "/contexts/mood?scope=flow&flow=house%2Fsong", M{"value": "wild"})
	w.want(201, "POST", "/flows", M{"name": "house/song", "script": `a = memory.get(path: "mood", scope: "shared")
b = memory.get(path: "mood", scope: "flow")
c = memory.set(path: "seen.by", value: "a run", scope: "flow")
output "<<json(a)>> <<json(b)>>"`})
	if v := w.want(200, "POST", "/workflows?wait=10s", M{"flow": "house/song"}); v["output"] != `"calm" "wild"` {
		t.Errorf("a run sees %v", v)
	}
	if v := w.want(200, "GET", "/contexts/seen.by?flow=house%2Fsong", nil); v["value"] != "a run" || v["scope"] != "flow" {
		t.Errorf("the API sees %v", v)
	}
	w.want(404, "GET", "/contexts/seen.by", nil)
}

// Number 4 of the system before: of parallel changes 78 of 100 were lost.
func TestNoLostContexts(t *testing.T) {
	w := newWorld(t)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() { w.want(200, "PUT", fmt.Sprintf("/contexts/all.n%d", i), M{"value": i}) })
	}
	group.Wait()
	if v := w.want(200, "GET", "/contexts/all", nil); len(v["value"].(M)) != 20 {
		t.Errorf("%d of 20 are left", len(v["value"].(M)))
	}
}

func TestContextsOfOthers(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = tenants{} })
	w.token = "ann"
	w.want(200, "PUT", "/contexts/x", M{"value": "ann's"})
	w.token = "bob"
	w.want(404, "GET", "/contexts/x", nil)
	w.want(404, "DELETE", "/contexts/x", nil)
	if items := w.want(200, "GET", "/contexts", nil)["items"].([]any); len(items) != 0 {
		t.Errorf("bob sees %v", items)
	}
	w.want(200, "PUT", "/contexts/x", M{"value": "bob's"})
	w.token = "ann"
	if v := w.want(200, "GET", "/contexts/x", nil); v["value"] != "ann's" {
		t.Errorf("ann's is %v", v)
	}
}
