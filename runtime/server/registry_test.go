package server_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/roster"
	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/stdlib/remote"
)

// weather is an agent that takes requests. A call for "hold" is never answered; held is told.
func weather(t *testing.T, held chan<- struct{}) string {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m struct {
			Type, ID string
			Args     M
		}
		_ = json.Unmarshal(body, &m) // it is ours
		say := func(v M) { _ = json.NewEncoder(w).Encode(v) }
		switch m.Type {
		case "hello":
			say(M{"type": "hello", "protocol": 1, "name": "weather", "version": "1", "concurrency": 4, "capabilities": []M{{
				"name": "", "text": "place", "effect": "read", "doc": "Says how the weather is.",
				"input":  M{"type": "object", "properties": M{"place": M{"type": "string"}, "days": M{"type": "integer"}}, "required": []string{"place"}},
				"output": M{"type": "string"},
			}}})
		case "ping":
			say(M{"type": "pong"})
		case "call":
			if m.Args["place"] == "hold" {
				w.WriteHeader(http.StatusOK)
				w.(http.Flusher).Flush()
				held <- struct{}{}
				<-r.Context().Done()
				return
			}
			say(M{"type": "result", "id": m.ID, "value": "rain in " + m.Args["place"].(string)})
		}
	}))
	t.Cleanup(web.Close)
	return web.URL
}

func callback(ctx context.Context, name string, c *roster.Callback) (roster.Made, error) {
	a := remote.NewCallback(remote.Callback{Name: name, URL: c.URL, Transport: &http.Transport{}})
	d, err := a.Describe(ctx)
	if err != nil {
		_ = a.Close()
		return roster.Made{}, err
	}
	c.Hello = d.Raw()
	return roster.Made{Agent: a, Limit: a.Concurrency(), End: func(why string) { _ = a.Dismiss(why) }}, nil
}

// guests is a world whose server takes agents.
func guests(t *testing.T, adjust ...func(*server.Config)) (*world, *roster.Roster) {
	t.Helper()
	var r *roster.Roster
	w := newWorld(t, append([]func(*server.Config){func(c *server.Config) {
		r = roster.New(roster.Config{Docs: c.Store, Registry: c.Registry, Make: callback})
		c.Roster = r
	}}, adjust...)...)
	t.Cleanup(r.Close)
	return w, r
}

func TestAgents(t *testing.T) {
	w := newWorld(t)
	v := w.want(200, "GET", "/registry/echo", nil)
	c := v["capabilities"].([]any)[0].(M)
	if v["status"] != "available" || v["enabled"] != true || v["origin"] != "configured" || c["name"] != "echo" || c["text"] == "" || c["input"].(M)["type"] != "object" {
		t.Errorf("%v", v)
	}
	for query, want := range map[string]string{"": "echo human memory slow", "?effect=think": "slow", "?use=human": "human", "?q=SLO": "slow", "?status=offline": "", "?effect=think,do&q=slow": "slow"} {
		var names []string
		for _, item := range w.want(200, "GET", "/registry"+query, nil)["items"].([]any) {
			names = append(names, item.(M)["id"].(string))
		}
		if strings.Join(names, " ") != want {
			t.Errorf("%s: %v, not %s", query, names, want)
		}
	}
	w.want(400, "GET", "/registry?status=dead", nil)
	w.want(400, "GET", "/registry?type=claude", nil)
	w.want(404, "GET", "/registry/nobody", nil)
	w.want(200, "GET", "/registry/echo/health?check=true", nil)
}

// A call by REST is a run, with all that a run has.
func TestExecuteAnAgent(t *testing.T) {
	w := newWorld(t)
	for text, want := range map[string]string{"hi": "hi", "say \"<<no>>\" \\n 'x'": "say \"<<no>>\" \\n 'x'", "two\nlines <": "two\nlines <", " ": " "} {
		v := w.want(200, "POST", "/registry/echo/execute?wait=10s", M{"text": text})
		if v["output"] != want || v["flow"] != "agent:echo" {
			t.Errorf("%q gives %v", text, v)
		}
	}
	answer, v := w.ask("POST", "/registry/slow/execute", M{"prompt": "x", "timeout": "10m", "budget": "5 calls", "tags": []string{"a"}}, "Idempotency-Key", "1")
	if answer.StatusCode != 202 || !strings.HasSuffix(answer.Header.Get("Location"), v["id"].(string)) {
		t.Errorf("%d %v", answer.StatusCode, v)
	}
	if again := w.want(202, "POST", "/registry/slow/execute", M{"prompt": "x", "timeout": "10m", "budget": "5 calls", "tags": []string{"a"}}, "Idempotency-Key", "1"); again["id"] != v["id"] {
		t.Errorf("a second run: %v", again)
	}
	close(w.slow)
	if v := w.want(200, "GET", "/workflows/"+v["id"].(string)+"?wait=10s", nil); v["output"] != "done" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "POST", "/registry/memory/execute?wait=10s", M{"callee": "memory.get", "args": M{"path": "a.b", "default": M{"deep": []any{1, true, "x", nil}}}}); v["status"] == nil {
		t.Errorf("%v", v)
	}
	for _, tt := range []struct {
		agent  string
		body   M
		status int
	}{
		{"nobody", M{"text": "x"}, 404}, {"memory", M{"text": "x"}, 400}, {"memory", M{"callee": "echo"}, 400}, {"echo", M{"text": "x", "prompt": "y"}, 400}, {"echo", M{"txt": "x"}, 400},
		{"echo", M{"text": "x", "args": []int{1}}, 400}, {"echo", M{"text": "x", "args": M{"a b": 1}}, 400}, {"echo", M{"text": "x", "args": M{"nothing": 1}}, 422}, {"echo", M{}, 422},
		{"echo", M{"text": "x", "as": "int\nx = echo \"y\""}, 400}, {"echo", M{"text": "x", "timeout": "soon"}, 400},
	} {
		if answer, v := w.ask("POST", "/registry/"+tt.agent+"/execute", tt.body); answer.StatusCode != tt.status {
			t.Errorf("%s %v: %d %v", tt.agent, tt.body, answer.StatusCode, v)
		}
	}
	w.want(400, "POST", "/registry/echo/execute?priority=3", M{"text": "x"})
}

// A disabled agent fails at once, saying so, and an else takes over; another server follows, and a restart remembers.
func TestDisableAnAgent(t *testing.T) {
	w := newWorld(t)
	c := w.dial()
	c.say(M{"event": "agent:registry:watch", "id": 1})
	if v := c.hear(); v["event"] != "agent:ack" {
		t.Fatalf("%v", v)
	}
	for _, name := range []string{"slow", "echo"} { // echo is free: nobody admits its calls
		v := w.want(200, "POST", "/registry/"+name+"/disable", M{"reason": "too dear"})
		if v["status"] != "disabled" || v["enabled"] != false || v["disabledBy"] != "local" {
			t.Errorf("%v", v)
		}
		if v := w.want(503, "GET", "/registry/"+name+"/health", nil); !strings.Contains(v["reason"].(string), "too dear") {
			t.Errorf("%v", v)
		}
		for range 7 { // more than open a breaker
			if v := w.want(200, "POST", "/workflows?wait=10s", M{"script": "output " + name + " \"x\""}); v["status"] != "failed" || !strings.Contains(v["error"].(M)["message"].(string), name+" is disabled") {
				t.Errorf("%v", v)
			}
		}
		if v := w.want(200, "POST", "/workflows?wait=10s", M{"script": "output " + name + " \"x\" else \"y\""}); v["output"] != "y" {
			t.Errorf("%v", v)
		}
		if v := c.hear(); v["event"] != "agent:registry:disabled" || v["agent"] != name {
			t.Errorf("%v", v)
		}
	}
	other := agent.NewRegistry()
	for _, name := range []string{"slow", "echo"} {
		if err := other.Register(name, slowAgent{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := roster.New(roster.Config{Docs: w.store, Registry: other})
	follow := func(want agent.Status) {
		t.Helper()
		if err := elsewhere.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if h, _ := other.Health("echo"); h.Status != want {
			t.Errorf("another server has it %s", h.Status)
		}
	}
	follow(agent.Disabled)
	if v := w.want(200, "POST", "/registry/echo/enable", nil); v["status"] != "available" {
		t.Errorf("%v", v)
	}
	follow(agent.Available)
	if v := c.hear(); v["event"] != "agent:registry:enabled" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "POST", "/workflows?wait=10s", M{"script": "output echo \"x\""}); v["output"] != "x" {
		t.Errorf("%v", v)
	}
	w.want(403, "POST", "/registry/human/disable", nil)
	w.want(404, "POST", "/registry/nobody/disable", nil)
}

func TestRegisterAnAgent(t *testing.T) {
	held := make(chan struct{}, 1)
	url := weather(t, held)
	w, r := guests(t)
	c := w.dial()
	c.say(M{"event": "agent:registry:watch", "id": 1})
	c.hear()
	answer, v := w.ask("POST", "/registry", M{"name": "weather", "url": url}, "Idempotency-Key", "k")
	if answer.StatusCode != 201 || answer.Header.Get("Location") != server.Root+"/registry/weather" || v["origin"] != "registered" || v["limits"].(M)["parallel"] != 4.0 {
		t.Fatalf("%d %v", answer.StatusCode, v)
	}
	if answer, _ := w.ask("POST", "/registry", M{"name": "weather", "url": url}, "Idempotency-Key", "k"); answer.StatusCode != 201 || answer.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %d", answer.StatusCode)
	}
	w.want(409, "POST", "/registry", M{"name": "weather", "url": url})
	w.want(409, "POST", "/registry", M{"name": "echo", "url": url})
	if v := w.want(200, "POST", "/workflows?wait=10s", M{"script": "output weather(days: 2) \"Rome\""}); v["output"] != "rain in Rome" {
		t.Errorf("%v", v)
	}
	if v := c.hear(); v["event"] != "agent:registry:registered" || v["agent"] != "weather" {
		t.Errorf("%v", v)
	}
	other := agent.NewRegistry()
	elsewhere := roster.New(roster.Config{Docs: w.store, Registry: other, Make: callback})
	defer elsewhere.Close()
	if err := elsewhere.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := other.Lookup("weather"); !ok {
		t.Error("another server does not know it")
	}

	id := w.start("output weather \"hold\"")
	select {
	case <-held:
	case <-time.After(10 * time.Second):
		t.Fatal("it is not called")
	}
	w.want(204, "DELETE", "/registry/weather", nil)
	if v := w.want(200, "GET", "/workflows/"+id+"?wait=10s", nil); v["status"] != "failed" || !strings.Contains(v["error"].(M)["message"].(string), "unregistered") {
		t.Errorf("%v", v)
	}
	w.want(404, "GET", "/registry/weather", nil)
	w.want(422, "POST", "/workflows", M{"script": "output weather \"Rome\""})
	if err := elsewhere.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := other.Lookup("weather"); ok {
		t.Error("another server still calls it")
	}
	w.want(201, "POST", "/registry", M{"name": "weather", "url": url})
	if v := w.want(200, "POST", "/registry/weather/execute?wait=10s", M{"text": "Oslo"}); v["output"] != "rain in Oslo" {
		t.Errorf("%v", v)
	}
	if r.Of("weather").Callback == nil {
		t.Error("it is forgotten")
	}
	w.want(403, "DELETE", "/registry/echo", nil) // comes with the server
	for _, body := range []M{{}, {"name": "a b", "url": url}, {"name": "output", "url": url}, {"name": "x", "url": "file:///etc/passwd"}, {"name": "x", "url": "http://a:b@c/"}, {"name": "x", "url": url + "?key=1"}} {
		w.want(400, "POST", "/registry", body)
	}
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	if v := w.want(422, "POST", "/registry", M{"name": "x", "url": none.URL}); v["code"] != "E_AGENT" {
		t.Errorf("%v", v)
	}
	w.want(404, "GET", "/registry/x", nil)
}

// Agents are the server's: an admin of another tenant sees them, and neither changes them nor sees what calls of others came to.
func TestAgentsOfTheServer(t *testing.T) {
	w, _ := guests(t, func(c *server.Config) { c.Gate = people })
	w.token = "b"
	if v := w.want(200, "GET", "/registry/slow", nil); v["health"] != nil {
		t.Errorf("%v", v)
	}
	w.want(403, "POST", "/registry/slow/disable", nil)
	w.want(403, "DELETE", "/registry/slow", nil)
	w.want(403, "POST", "/registry", M{"name": "x", "url": "http://localhost:1/"})
}
