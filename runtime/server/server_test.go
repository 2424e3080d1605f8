package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/metrics"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/stdlib/contexts"
	"github.com/slopstudios/slop/stdlib/echo"
	"github.com/slopstudios/slop/stdlib/flows"
	"github.com/slopstudios/slop/stdlib/human"
)

// world is a server with the agents echo and human, and slow, which ends when it is let go.
type world struct {
	t     *testing.T
	url   string
	store store.Store
	api   *server.Server
	slow  chan struct{}
	token string // "": none
	asked int
}

type slowAgent struct{ let chan struct{} }

func (slowAgent) Signatures() []types.Signature {
	return []types.Signature{{Primary: "text", Text: types.Prompt, Params: []types.Param{{Name: "text", Type: types.Type{Kind: types.String}, Required: true}}, Effect: types.Think, Result: types.Type{Kind: types.String}}}
}

func (a slowAgent) Call(ctx context.Context, c *agent.Call) agent.Reply {
	for { // progress that nobody watches is lost
		c.Emit(agent.Progress{Delta: "slowly "})
		select {
		case <-a.let:
			return agent.Reply{Value: "done"}
		case <-ctx.Done():
			return agent.Fail(run.Failure, "cancelled")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func newWorld(t *testing.T, adjust ...func(*server.Config)) *world {
	t.Helper()
	w := &world{t: t, store: memory.New(), slow: make(chan struct{})}
	registry := agent.NewRegistry()
	for name, a := range map[string]agent.Agent{"echo": echo.New(), "human": human.New(), "memory": contexts.New(), "slow": slowAgent{w.slow}} {
		if err := registry.Register(name, a, nil); err != nil {
			t.Fatal(err)
		}
	}
	book := metrics.New(w.store, metrics.Config{})
	e := engine.New(engine.Config{Store: w.store, Registry: registry, Pool: "server", Metrics: book})
	c := server.Config{Metrics: book, Host: e, Store: w.store, Registry: registry, Load: flows.Load, Options: run.Options{Pool: "server"}, Version: "test"}
	for _, f := range adjust {
		f(&c)
	}
	w.api = server.New(c)
	web := httptest.NewServer(w.api)
	w.url = web.URL + server.Root
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := w.api.Close(ctx); err != nil {
			t.Errorf("the server does not close: %v", err)
		}
		web.Close()
		if err := e.Close(ctx); err != nil {
			t.Errorf("the engine does not close: %v", err)
		}
	})
	return w
}

// ask sends a request, body as JSON unless it is text, and gives the answer with its body read as JSON.
func (w *world) ask(method, path string, body any, header ...string) (*http.Response, map[string]any) {
	w.t.Helper()
	var reader io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case string:
		reader, kind = strings.NewReader(b), "text/x-slop"
	default:
		data, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(data)
	}
	url := w.url + path
	if strings.HasPrefix(path, "http") {
		url = path
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, url, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if w.token != "" {
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var v map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &v); err != nil {
			w.t.Fatalf("%s %s: %d: %s", method, path, answer.StatusCode, text)
		}
	}
	return answer, v
}

// want is ask, and fails the test on another status.
func (w *world) want(status int, method, path string, body any, header ...string) map[string]any {
	w.t.Helper()
	answer, v := w.ask(method, path, body, header...)
	if answer.StatusCode != status {
		w.t.Fatalf("%s %s: %d, not %d: %v", method, path, answer.StatusCode, status, v)
	}
	return v
}

func (w *world) start(script string) string {
	w.t.Helper()
	return w.want(http.StatusAccepted, "POST", "/workflows", map[string]any{"script": script})["id"].(string)
}

func TestARunByREST(t *testing.T) {
	w := newWorld(t)
	answer, v := w.ask("POST", "/workflows?wait=10s", map[string]any{"script": "input who: string\noutput echo \"hi <<who>>\"", "inputs": map[string]any{"who": "sea"}})
	if answer.StatusCode != http.StatusOK || v["output"] != "hi sea" || v["status"] != "succeeded" || v["cost"] != 0.0 {
		t.Fatalf("%d: %v", answer.StatusCode, v)
	}
	id := v["id"].(string)
	if want := server.Root + "/workflows/" + id; answer.Header.Get("Location") != want {
		t.Errorf("its place is %q, not %q", answer.Header.Get("Location"), want)
	}
	if v := w.want(http.StatusOK, "POST", "/workflows?wait=10s&input.n=2", "input n: int\noutput \"<<n + 1>>\""); v["output"] != "3" {
		t.Errorf("a script as it is gives %v", v)
	}
	list := w.want(http.StatusOK, "GET", "/workflows?limit=1", nil)
	if len(list["items"].([]any)) != 1 || list["next"] == nil {
		t.Errorf("the list is %v", list)
	}
	rest := w.want(http.StatusOK, "GET", "/workflows?limit=1&cursor="+list["next"].(string), nil)
	if items := rest["items"].([]any); len(items) != 1 || items[0].(map[string]any)["id"] != id || rest["next"] != nil {
		t.Errorf("its next page is %v", rest)
	}
	answer, _ = w.ask("GET", "/workflows/"+id, nil)
	if tag := answer.Header.Get("ETag"); tag == "" {
		t.Error("a run has no ETag")
	} else if answer, _ := w.ask("GET", "/workflows/"+id, nil, "If-None-Match", tag); answer.StatusCode != http.StatusNotModified {
		t.Errorf("an unchanged run is sent again: %d", answer.StatusCode)
	}
}

func TestProblems(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		method, path string
		body         any
		status       int
		code         string
	}{
		{"GET", "/nothing", nil, 404, "E_NOT_FOUND"},
		{"PUT", "/workflows", nil, 405, "E_METHOD"},
		{"GET", "/workflows/none", nil, 404, "E_NOT_FOUND"},
		{"GET", "/workflows?stauts=x", nil, 400, "E_INVALID"},
		{"GET", "/workflows?status=x", nil, 400, "E_INVALID"},
		{"GET", "/workflows?cursor=x", nil, 400, "E_INVALID"},
		{"GET", "/workflows?since=yesterday", nil, 400, "E_INVALID"},
		{"POST", "/workflows", map[string]any{"scrpt": "x"}, 400, "E_INVALID"},
		{"POST", "/workflows", map[string]any{"script": 1}, 400, "E_INVALID"},
		{"POST", "/workflows", map[string]any{}, 400, "E_INVALID"},
		{"POST", "/workflows", map[string]any{"script": "output \"x\"", "priority": 1000}, 400, "E_INVALID"},
		{"POST", "/workflows", map[string]any{"script": "output \"x\"", "budget": "lots"}, 400, "E_INVALID"},
		{"POST", "/workflows", map[string]any{"script": "output \"x\"", "timeout": "soon"}, 400, "E_INVALID"},
		{"POST", "/workflows", map[string]any{"script": "output \"x\"", "inputs": []int{1}}, 400, "E_INVALID"},
		{"POST", "/workflows", map[string]any{"script": "output nobody \"x\""}, 422, "E_SCRIPT"},
		{"POST", "/workflows", map[string]any{"script": "use \"./other.slop\" as other\noutput other \"x\""}, 422, "E_SCRIPT"},
		{"POST", "/workflows", map[string]any{"script": "input n: int\noutput \"<<n>>\""}, 422, "E_INPUT"},
		{"POST", "/workflows", map[string]any{"script": "input n: int\noutput \"<<n>>\"", "inputs": map[string]any{"n": "x"}}, 422, "E_INPUT"},
	} {
		answer, v := w.ask(tt.method, tt.path, tt.body)
		if answer.StatusCode != tt.status || v["code"] != tt.code || answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %v: %d %v, not %d %s", tt.method, tt.path, tt.body, answer.StatusCode, v, tt.status, tt.code)
		}
		if v["requestId"] != answer.Header.Get("X-Request-Id") || v["requestId"] == "" || v["title"] == "" {
			t.Errorf("%s %s: %v", tt.method, tt.path, v)
		}
		if tt.code == "E_SCRIPT" && len(v["diagnostics"].([]any)) == 0 {
			t.Errorf("a script with a mistake has no diagnostics: %v", v)
		}
	}
	huge := strings.Repeat("x", server.DefaultMaxBody+1)
	if answer, v := w.ask("POST", "/workflows", map[string]any{"script": huge}); answer.StatusCode != 413 || v["code"] != "E_TOO_LARGE" {
		t.Errorf("a huge body: %d %v", answer.StatusCode, v)
	}
}

// A page whose name was made to lead here, and a page of another site, get nowhere.
func TestOtherSites(t *testing.T) {
	w := newWorld(t)
	w.want(403, "GET", "/workflows", nil, "Host", "evil.example")
	w.want(403, "POST", "/workflows", map[string]any{"script": "output \"x\""}, "Sec-Fetch-Site", "cross-site")
	w.want(403, "POST", "/workflows", map[string]any{"script": "output \"x\""}, "Origin", "https://evil.example")
	for _, origin := range []string{"https://evil.example", "null", "http://127.0.0.1.evil.example"} {
		conn, answer, err := websocket.Dial(t.Context(), w.url+"/events", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
		if err == nil {
			_ = conn.CloseNow()
			t.Errorf("a page of %s has a socket", origin)
		} else if answer == nil || answer.StatusCode != 403 {
			t.Errorf("a page of %s: %v", origin, err)
		}
	}
}

func TestSteer(t *testing.T) {
	w := newWorld(t)
	id := w.start("ok = human.approve \"Go?\"\nrequire ok == \"yes\" else \"no\"\noutput ok")
	var questions []any
	for deadline := time.Now().Add(20 * time.Second); len(questions) == 0 && time.Now().Before(deadline); { // a list follows its runs
		questions = w.want(200, "GET", "/workflows?waiting=true", nil)["items"].([]any)
	}
	if len(questions) != 1 || questions[0].(map[string]any)["id"] != id {
		t.Fatalf("%v waits", questions)
	}
	q := w.want(200, "GET", "/workflows/"+id, nil)["questions"].([]any)[0].(map[string]any)
	if q["step"] != "ok" || q["kind"] != "approve" || q["text"] != "Go?" || q["schema"] == nil {
		t.Errorf("the question is %v", q)
	}
	at := "/workflows/" + id
	if v := w.want(200, "POST", at+"/pause", map[string]any{"reason": "lunch"}); v["status"] != "paused" {
		t.Errorf("a paused run is %v", v["status"])
	}
	w.want(200, "POST", at+"/resume", nil)
	w.want(400, "POST", at+"/answer", map[string]any{"step": "ok"})
	w.want(409, "POST", at+"/answer", map[string]any{"step": "nothing", "value": "yes"})
	w.want(422, "POST", at+"/answer", map[string]any{"step": "ok", "value": "perhaps"})
	w.want(200, "POST", at+"/answer", map[string]any{"step": "ok", "value": "yes"})
	if v := w.want(200, "GET", at+"?wait=10s", nil); v["output"] != "yes" {
		t.Errorf("the run is %v", v)
	}
	w.want(409, "POST", at+"/cancel", nil)
	id = w.start("output slow \"x\"")
	w.want(200, "POST", "/workflows/"+id+"/cancel", map[string]any{"reason": "enough"})
	if v := w.want(200, "GET", "/workflows/"+id+"?wait=10s", nil); v["status"] != "cancelled" || v["error"].(map[string]any)["code"] != "E_CANCELLED" {
		t.Errorf("a cancelled run is %v", v)
	}
}

// Requests with one key begin one run, however many come at once; another request with the key is a mistake.
func TestIdempotency(t *testing.T) {
	w := newWorld(t)
	body := map[string]any{"script": "output \"x\""}
	var ids sync.Map
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			answer, v := w.ask("POST", "/workflows", body, "Idempotency-Key", "k")
			if answer.StatusCode != 202 {
				t.Errorf("%d: %v", answer.StatusCode, v)
				return
			}
			ids.Store(v["id"], answer.Header.Get("Idempotency-Replayed"))
		})
	}
	group.Wait()
	count := 0
	ids.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Errorf("%d runs were begun", count)
	}
	if n := len(w.want(200, "GET", "/workflows", nil)["items"].([]any)); n != 1 {
		t.Errorf("%d runs are there", n)
	}
	if v := w.want(422, "POST", "/workflows", map[string]any{"script": "output \"y\""}, "Idempotency-Key", "k"); v["code"] != "E_IDEMPOTENCY" {
		t.Errorf("another request with the key: %v", v)
	}
}

// events reads a stream of server-sent events until it ends, or until after so many with an id.
func (w *world) events(id string, after string, most int) (seqs []string, names []string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", w.url+"/workflows/"+id+"/events", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if seq, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			seqs = append(seqs, seq)
		}
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			names = append(names, name)
		}
		if lines.Text() == "" && most > 0 && len(seqs) >= most {
			break
		}
	}
	return seqs, names
}

// A stream that broke goes on where it was: each fact once, in order, to the end.
func TestServerSentEvents(t *testing.T) {
	w := newWorld(t)
	id := w.start("a = slow \"x\"\nb = echo \"<<a>>\"\noutput b")
	first, names := w.events(id, "", 2)
	if fmt.Sprint(first) != "[1 2]" || names[0] != "agent:workflow:started" || names[1] != "agent:workflow:step:started" {
		t.Fatalf("it begins with %v %v", first, names)
	}
	close(w.slow)
	rest, names := w.events(id, "2", 0)
	if fmt.Sprint(rest) != "[3 4 5]" || names[len(names)-1] != "agent:workflow:completed" {
		t.Errorf("it goes on with %v %v", rest, names)
	}
	if answer, _ := w.ask("GET", "/workflows/"+id+"/events", nil, "Accept", "text/event-stream", "Last-Event-ID", "5"); answer.StatusCode != http.StatusNoContent {
		t.Errorf("behind the end: %d", answer.StatusCode)
	}
	page := w.want(200, "GET", "/workflows/"+id+"/events?after=1&limit=2", nil)
	if page["next"] != "3" || len(page["items"].([]any)) != 2 {
		t.Errorf("a page of events is %v", page)
	}
}

type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func (w *world) dial() *client {
	w.t.Helper()
	h := http.Header{}
	if w.token != "" {
		h.Set("Authorization", "Bearer "+w.token)
	}
	conn, _, err := websocket.Dial(w.t.Context(), w.url+"/events", &websocket.DialOptions{HTTPHeader: h})
	if err != nil {
		w.t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	w.t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{w.t, conn}
}

func (c *client) say(v any) {
	c.t.Helper()
	text, _ := json.Marshal(v)
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) hear() map[string]any {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	_, text, err := c.conn.Read(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		c.t.Fatal(err)
	}
	return v
}

// until hears frames up to one of an event, and gives it.
func (c *client) until(event string) map[string]any {
	c.t.Helper()
	for {
		if v := c.hear(); v["event"] == event {
			return v
		}
	}
}

// One socket begins runs, watches them, answers and steers.
func TestSocket(t *testing.T) {
	w := newWorld(t)
	c := w.dial()
	c.say(map[string]any{"event": "agent:workflow:execute", "id": 1, "script": "ok = human.approve \"Go?\"\nrequire ok == \"yes\" else \"no\"\noutput ok"})
	id := c.until("agent:ack")["run"].(map[string]any)["id"]
	if v := c.until("agent:workflow:asked"); v["run"] != id {
		t.Errorf("another run asks: %v", v)
	}
	c.say(map[string]any{"event": "agent:workflow:execute", "id": 2, "script": "output slow \"x\""})
	other := c.until("agent:ack")["run"].(map[string]any)["id"]
	c.until("agent:workflow:step:started")
	if v := c.until("agent:workflow:step:progress"); !strings.HasPrefix(v["delta"].(string), "slowly ") || v["run"] != other {
		t.Errorf("progress is %v", v)
	}
	c.say(map[string]any{"event": "agent:workflow:answer", "run": id, "step": "ok", "value": "yes", "id": "3"})
	if v := c.until("agent:workflow:completed"); v["run"] != id || v["value"] != "yes" {
		t.Errorf("the end is %v", v)
	}
	c.say(map[string]any{"event": "agent:workflow:cancel", "executionId": other})
	c.until("agent:workflow:cancelled")
	for _, bad := range []map[string]any{{"event": "agent:nothing"}, {"event": "agent:workflow:watch", "run": "none"}, {"even": "x"}, {"event": "agent:workflow:execute", "script": "output nobody \"x\""}} {
		c.say(bad)
		if v := c.until("agent:error"); v["error"].(map[string]any)["code"] == "" {
			t.Errorf("%v: %v", bad, v)
		}
	}
	c.say(map[string]any{"event": "agent:workflow:watch", "run": id, "after": 2})
	if v := c.hear(); v["seq"] != 3.0 {
		t.Errorf("behind 2 comes %v", v)
	}
}

// What belongs to another is like what does not exist.
func TestTenants(t *testing.T) {
	gate := gate{"a": {Tenant: "a", Name: "ann", Role: auth.Operator}, "b": {Tenant: "b", Name: "bob", Role: auth.Admin}, "v": {Tenant: "a", Name: "vic", Role: auth.Viewer}}
	w := newWorld(t, func(c *server.Config) { c.Gate = gate })
	w.want(401, "GET", "/workflows", nil)
	w.token = "v"
	w.want(403, "POST", "/workflows", map[string]any{"script": "output \"x\""})
	w.token = "a"
	id := w.start("output \"x\"")
	w.token = "b"
	if n := len(w.want(200, "GET", "/workflows", nil)["items"].([]any)); n != 0 {
		t.Errorf("bob sees %d runs", n)
	}
	for _, path := range []string{"", "/events"} {
		w.want(404, "GET", "/workflows/"+id+path, nil)
	}
	for _, path := range []string{"/pause", "/resume", "/cancel"} {
		w.want(404, "POST", "/workflows/"+id+path, nil)
	}
	c := w.dial()
	c.say(map[string]any{"event": "agent:workflow:watch", "run": id})
	if v := c.until("agent:error"); v["error"].(map[string]any)["code"] != "E_NOT_FOUND" {
		t.Errorf("bob may watch: %v", v)
	}
}

type gate map[string]auth.Caller

func (g gate) Caller(r *http.Request) (auth.Caller, error) {
	c, ok := g[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		return c, auth.ErrUnknown
	}
	return c, nil
}

func (g gate) Holds(context.Context, auth.Caller) error { return nil }
