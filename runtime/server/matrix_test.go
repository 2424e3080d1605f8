package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
)

// people are a viewer, an operator and an admin of tenant a, and an admin of tenant b.
var people = gate{
	"v": {Tenant: "a", Name: "vic", Role: auth.Viewer, Proof: "token v"}, "o": {Tenant: "a", Name: "olga", Role: auth.Operator, Proof: "token o"},
	"a": {Tenant: "a", Name: "ann", Role: auth.Admin, Proof: "token a"}, "b": {Tenant: "b", Name: "bob", Role: auth.Admin, Proof: "token b"},
}

// made are what the operator of tenant a makes, by the path under which it is found. A route about one thing needs a row here, so that it is tried whether another
// tenant finds that thing.
var made = map[string]func(w *world) string{
	"/orchestrate/{id}": func(w *world) string {
		task := map[string]any{"id": "a", "agentType": "custom", "agentId": "echo", "prompt": "x"}
		return w.want(202, "POST", "/orchestrate/sequential", map[string]any{"tasks": []any{task}})["id"].(string)
	},
	"/workflows/{id}": func(w *world) string { return w.start("output slow \"x\"") },
	"/templates/{id}": func(w *world) string {
		w.asked++
		return w.want(201, "POST", "/templates", M{"name": fmt.Sprint("t", w.asked), "content": "x"})["id"].(string)
	},
	"/contexts/{path}": func(w *world) string {
		w.want(200, "PUT", "/contexts/a.b", M{"value": 1})
		return "a.b"
	},
	"/flows/{id}": func(w *world) string {
		w.asked++
		return w.want(201, "POST", "/flows", M{"name": fmt.Sprint("f", w.asked), "script": "output \"x\""})["id"].(string)
	},
}

// everybodys are routes about what belongs to a server, and not to a tenant.
var everybodys = []string{"getAgent", "unregisterAgent", "getAgentHealth", "executeAgent", "enableAgent", "disableAgent"}

var variable = regexp.MustCompile(`\{[^}]*\}`)

// asking asks for a route and gives the status and the code of the problem.
func (w *world) asking(token, method, path string) (status int, code string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(w.url, server.Root)+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", w.asked/250, w.asked%250)) // each from elsewhere, since too many unknown tokens from one address wait
	w.asked++
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		return answer.StatusCode, ""
	}
	text, _ := io.ReadAll(answer.Body)
	var p struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(text, &p) // it may be no JSON
	return answer.StatusCode, p.Code
}

// Every route lets in whom its table says, and nobody else.
func TestEveryRouteAndRole(t *testing.T) {
	w := newWorld(t, func(c *server.Config) {
		c.Gate, c.Proxies = people, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	for _, r := range w.api.Routes() {
		path := variable.ReplaceAllString(r.Path, "none")
		for _, token := range []string{"", "x", "v", "o", "a"} {
			status, code := w.asking(token, r.Method, path)
			role := people[token].Role
			switch {
			case r.Role == auth.Anyone || role >= r.Role:
				if status == 401 || status == 403 {
					t.Errorf("%s %s: %v may not: %d %s", r.Method, r.Path, role, status, code)
				}
			case role == auth.Anyone:
				if status != 401 || code != "E_UNAUTHENTICATED" {
					t.Errorf("%s %s: who proves nothing gets %d %s", r.Method, r.Path, status, code)
				}
			case status != 403 || code != "E_FORBIDDEN":
				t.Errorf("%s %s: %v gets %d %s", r.Method, r.Path, role, status, code)
			}
		}
	}
}

// What belongs to another tenant is answered by every route like what does not exist.
func TestEveryRouteAndTenant(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = people })
	w.token = "o"
	for _, r := range w.api.Routes() {
		if !strings.Contains(r.Path, "{") || slices.Contains(everybodys, r.ID) {
			continue
		}
		tried := false
		for prefix, make := range made {
			rest, ok := strings.CutPrefix(r.Path, server.Root+prefix)
			if !ok || rest != "" && rest[0] != '/' {
				continue
			}
			tried = true
			rest = variable.ReplaceAllString(rest, "none")
			there := server.Root + variable.ReplaceAllString(prefix, make(w)) + rest
			nowhere := server.Root + variable.ReplaceAllString(prefix, "none") + rest
			status, code := w.asking("b", r.Method, there)
			if status2, code2 := w.asking("b", r.Method, nowhere); status != status2 || code != code2 || status < 400 {
				t.Errorf("%s %s: another's is %d %s, and what is not there %d %s", r.Method, r.Path, status, code, status2, code2)
			}
			if strings.HasPrefix(r.Path, server.Root+"/workflows/{id}") && r.Method == "GET" && status != 404 {
				t.Errorf("%s %s: another's is %d %s", r.Method, r.Path, status, code)
			}
		}
		if !tried {
			t.Errorf("%s %s is about one thing: let made, in this file, make one for it to be tried whether another tenant finds it (or name it in everybodys)", r.Method, r.Path)
		}
	}
}

// The same of all that can be said on a socket.
func TestEveryCommand(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = people })
	w.token = "o"
	id := w.start("output slow \"x\"")
	say := func(token, event, run string) (code string) {
		w.token = token
		c := w.dial()
		c.say(map[string]any{"event": event, "run": run, "id": "1", "step": "x", "value": "y"})
		for {
			switch v := c.hear(); {
			case v["event"] == "agent:ack":
				return ""
			case v["event"] == "agent:error" && v["id"] == "1":
				return v["error"].(map[string]any)["code"].(string)
			}
		}
	}
	for _, event := range server.Commands() {
		for _, token := range []string{"v", "o", "a"} {
			code := say(token, event, "none")
			if may := people[token].Role >= server.CommandRole(event); may == (code == "E_FORBIDDEN") {
				t.Errorf("%s: %v gets %q", event, people[token].Role, code)
			}
		}
		if event == "agent:registry:watch" {
			continue // agents are the server's
		}
		if there, nowhere := say("b", event, id), say("b", event, "none"); there != nowhere || there == "" {
			t.Errorf("%s: another's is %q, and what is not there %q", event, there, nowhere)
		}
	}
	w.token = ""
	if status, _ := w.asking("", "GET", server.Root+"/events"); status != 401 {
		t.Errorf("a socket without a token: %d", status)
	}
}

// Nobody says in a body whose something is, or who did it.
func TestNobodyNamesATenant(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = people })
	w.token = "a"
	id := w.start("output slow \"x\"")
	for _, r := range w.api.Routes() {
		if !r.Changes || r.ID == "uploadBlob" { // whose body is the bytes of a file, whatever they say
			continue
		}
		path := strings.TrimPrefix(strings.ReplaceAll(r.Path, "/workflows/{id}", "/workflows/"+id), server.Root)
		path = variable.ReplaceAllString(path, "none")
		for _, field := range []string{"tenant", "by", "approvedBy", "status", "pool", "role"} {
			body := map[string]any{field: "b"}
			if r.ID == "startRun" {
				body["script"] = "output \"x\""
			}
			if answer, v := w.ask(r.Method, path, body); answer.StatusCode < 400 || answer.StatusCode >= 500 {
				t.Errorf("%s %s takes %s: %d %v", r.Method, r.Path, field, answer.StatusCode, v)
			}
		}
	}
	for _, path := range []string{"/workflows?tenant=b", "/audit?tenant=b", "/workflows/" + id + "?tenant=b", "/workflows/" + id + "/events?tenant=b"} {
		w.want(400, "GET", path, nil)
	}
}

// sealed counts what is written.
type sealed struct {
	store.Store
	writes *atomic.Int64
}

func (s sealed) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	s.writes.Add(1)
	return s.Store.PutDoc(ctx, kind, name, version, data)
}

func (s sealed) DropDoc(ctx context.Context, kind, name string, version uint64) error {
	s.writes.Add(1)
	return s.Store.DropDoc(ctx, kind, name, version)
}

func (s sealed) PutBlob(ctx context.Context, data []byte) (string, error) {
	s.writes.Add(1)
	return s.Store.PutBlob(ctx, data)
}

func (s sealed) Tell(ctx context.Context, id run.ID, f run.Fact, dedup string) (run.Seq, error) {
	s.writes.Add(1)
	return s.Store.Tell(ctx, id, f, dedup)
}

func (s sealed) Remove(ctx context.Context, id run.ID) error {
	s.writes.Add(1)
	return s.Store.Remove(ctx, id)
}

// still counts what is asked of a host that changes something.
type still struct {
	server.Host
	writes *atomic.Int64
}

func (s still) Cancel(ctx context.Context, id run.ID, by, reason string) error {
	s.writes.Add(1)
	return s.Host.Cancel(ctx, id, by, reason)
}

func (s still) Pause(ctx context.Context, id run.ID, by, reason string) error {
	s.writes.Add(1)
	return s.Host.Pause(ctx, id, by, reason)
}

func (s still) Resume(ctx context.Context, id run.ID, by, reason string) error {
	s.writes.Add(1)
	return s.Host.Resume(ctx, id, by, reason)
}

func (s still) Answer(ctx context.Context, id run.ID, path run.Path, value any, by string) error {
	s.writes.Add(1)
	return s.Host.Answer(ctx, id, path, value, by)
}

func (s still) Fork(ctx context.Context, id run.ID, c runs.Change) (run.ID, error) {
	s.writes.Add(1)
	return s.Host.Fork(ctx, id, c)
}

// A GET changes nothing, so that no link that somebody follows does.
func TestGetChangesNothing(t *testing.T) {
	var writes atomic.Int64
	w := newWorld(t, func(c *server.Config) {
		c.Gate = people
		c.Store, c.Host = sealed{c.Store, &writes}, still{c.Host, &writes}
	})
	w.token = "o"
	id := w.want(200, "POST", "/workflows?wait=10s", map[string]any{"script": "output \"x\""})["id"].(string)
	for _, r := range w.api.Routes() {
		if r.Method != "GET" && r.Method != "HEAD" {
			if slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE"}, r.Method) {
				continue
			}
			t.Errorf("%s %s: a method that nobody knows", r.Method, r.Path)
		}
		path := variable.ReplaceAllString(strings.ReplaceAll(r.Path, "/workflows/{id}", "/workflows/"+id), "none")
		before := writes.Load()
		status, code := w.asking("a", r.Method, path)
		if n := writes.Load() - before; n > 0 || status >= 500 {
			t.Errorf("%s %s writes %d times: %d %s", r.Method, r.Path, n, status, code)
		}
	}
	if writes.Load() == 0 {
		t.Error(fmt.Errorf("nothing was counted at all"))
	}
}

// Bytes are named by their hash, and who knows the hash of another tenant's still does not get them: neither as a file nor by writing what histories write.
func TestBlobsOfAnother(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = people })
	w.token = "o"
	bytes := strings.Repeat("the canary of tenant a ", 10_000)
	r, err := http.NewRequestWithContext(t.Context(), "POST", w.url+"/blobs?name=a.txt", strings.NewReader(bytes))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer o")
	r.Header.Set("Content-Type", "text/plain")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var file struct{ SHA256 string }
	if err := json.NewDecoder(answer.Body).Decode(&file); err != nil || file.SHA256 == "" {
		t.Fatal(answer.Status, err)
	}
	script := "input f: file\noutput f"
	w.want(200, "POST", "/workflows?wait=10s", M{"script": script, "inputs": M{"f": M{"sha256": file.SHA256}}})
	w.token = "b"
	if answer, v := w.ask("POST", "/workflows?wait=10s", M{"script": script, "inputs": M{"f": M{"sha256": file.SHA256}}}); answer.StatusCode < 400 {
		t.Errorf("bob has ann's file: %v", v)
	}
	for _, named := range []any{
		M{"$large": M{"sha256": file.SHA256, "size": len(bytes)}}, M{"$file": M{"sha256": file.SHA256, "name": "a", "size": len(bytes), "type": "text/plain"}}, M{"sha256": file.SHA256, "size": len(bytes)},
		[]any{M{"$large": M{"sha256": file.SHA256, "size": len(bytes)}}},
	} {
		answer, v := w.ask("POST", "/workflows?wait=10s", M{"script": "input v: any\nx = echo \"<<v>>\"\noutput {v: v, x: x}", "inputs": M{"v": named}})
		if text := fmt.Sprint(v); strings.Contains(text, "canary") || answer.StatusCode != 200 {
			t.Errorf("%v: %d %.300s", named, answer.StatusCode, text)
		}
	}
	for _, path := range []string{"/blobs/" + file.SHA256, "/workflows/none/artifacts/" + file.SHA256} {
		if answer, _ := w.ask("GET", path, nil); answer.StatusCode < 400 {
			t.Errorf("%s: %d", path, answer.StatusCode)
		}
	}
}
