//go:build unix

package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/remote"
)

// responder answers messages as an agent on a network does. hang keeps calls that say so waiting until they are cancelled.
type responder struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

func (r *responder) answer(m object, say func(object)) {
	id, _ := m["id"].(string)
	switch m["type"] {
	case "hello":
		say(hello(nil))
	case "ping":
		say(object{"type": "pong", "n": m["n"]})
	case "cancel":
		r.mu.Lock()
		if c := r.waiting[id]; c != nil {
			close(c)
			delete(r.waiting, id)
		}
		r.mu.Unlock()
	case "call":
		text, _ := m["args"].(object)["text"].(string)
		switch text {
		case "hang":
			c := make(chan struct{})
			r.mu.Lock()
			r.waiting[id] = c
			r.mu.Unlock()
			say(object{"type": "progress", "id": id, "note": "waiting"})
			<-c
			say(object{"type": "error", "id": id, "outcome": "cancelled", "message": "as you wish", "usage": object{"input": 7}})
		case "nothing":
		default:
			say(object{"type": "progress", "id": id, "delta": "…"})
			say(object{"type": "result", "id": id, "value": text})
		}
	}
}

// dial connects an agent to a server and has it answer until the connection ends.
func dial(t *testing.T, server string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), server, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(16 << 20)
	r := &responder{waiting: map[string]chan struct{}{}}
	go func() {
		for {
			_, line, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			var m object
			_ = json.Unmarshal(line, &m)
			go r.answer(m, func(o object) {
				line, _ := json.Marshal(o)
				_ = conn.Write(context.Background(), websocket.MessageText, line)
			})
		}
	}()
	return conn
}

// An agent that connects by WebSocket serves calls as a program does, is unavailable while it is away, and is there again when it comes back.
func TestSocket(t *testing.T) {
	a := remote.NewGuest("mine")
	defer a.Close()
	came := make(chan *remote.Description, 1)
	gone := make(chan error, 1)
	var refuse atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gone <- a.ServeSocket(w, r, func(d *remote.Description) error {
			if refuse.Load() {
				return errors.New("the name is taken")
			}
			came <- d
			return nil
		})
	}))
	defer server.Close()
	conn := dial(t, server.URL)
	if d := <-came; d.Name != "fake" || len(a.Signatures()) != 2 {
		t.Fatalf("%+v", d)
	}
	eventually(t, func() bool { return ask(t.Context(), a, "hello").Value == "hello" })
	if r := ask(t.Context(), a, strings.Repeat("ü", 3<<19)); len(r.Value.(string)) != 3<<20 {
		t.Error("3 MB do not come back")
	}
	noted := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-noted; cancel() }()
	r := ask(ctx, a, "hang", func(c *agent.Call) { c.Emit = func(agent.Progress) { close(noted) } })
	if r.Outcome != run.Stopped || r.Usage.Input != 7 {
		t.Errorf("%+v", r)
	}
	conn.CloseNow()
	<-gone
	if r := ask(t.Context(), a, "hello"); r.Outcome != run.Unavailable || !strings.Contains(r.Message, "not connected") {
		t.Errorf("%+v", r)
	}
	conn = dial(t, server.URL)
	<-came
	eventually(t, func() bool { return ask(t.Context(), a, "hello").Value == "hello" })
	conn.CloseNow()
	<-gone
	refuse.Store(true)
	dial(t, server.URL)
	if err := <-gone; err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("%v", err)
	}
	req, _ := http.NewRequest(http.MethodGet, server.URL, nil)
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "https://evil.example"} {
		req.Header.Set(k, v)
	}
	resp, err := server.Client().Do(req)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a page of another origin: %v %v", resp, err)
	}
	resp.Body.Close()
	<-gone
}

// eventually waits until the agent is in use, which is a moment after its welcome.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it never came")
}

// An agent that takes requests answers each message in the body of its answer; what it does wrong costs the call, or its connection.
func TestCallback(t *testing.T) {
	r := &responder{waiting: map[string]chan struct{}{}}
	status := http.StatusOK
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		now := status
		mu.Unlock()
		if req.Header.Get("Authorization") != "Bearer t0ken" {
			now = http.StatusUnauthorized
		}
		if now != http.StatusOK {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(now)
			return
		}
		body, _ := io.ReadAll(req.Body)
		var m object
		if json.Unmarshal(body, &m) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.answer(m, func(o object) {
			_ = json.NewEncoder(w).Encode(o)
			w.(http.Flusher).Flush()
		})
	}))
	defer server.Close()
	token := "t0ken"
	a := remote.NewCallback(remote.Callback{Name: "mine", URL: server.URL, Token: func() (string, error) { return token, nil }, Transport: &http.Transport{}})
	defer a.Close()
	if _, err := a.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := ask(t.Context(), a, "hello"); r.Value != "hello" {
		t.Errorf("%+v", r)
	}
	if r := ask(t.Context(), a, "nothing"); r.Outcome != run.Unavailable || !strings.Contains(r.Message, "no end of the call") {
		t.Errorf("%+v", r)
	}
	noted := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-noted; cancel() }()
	if r := ask(ctx, a, "hang", func(c *agent.Call) { c.Emit = func(agent.Progress) { close(noted) } }); r.Outcome != run.Stopped || r.Usage.Input != 7 {
		t.Errorf("%+v", r)
	}
	for code, want := range map[int]run.Outcome{429: run.RateLimited, 503: run.Unavailable, 403: run.Denied, 404: run.Failure, 302: run.Failure} {
		mu.Lock()
		status = code
		mu.Unlock()
		if r := ask(t.Context(), a, "hello"); r.Outcome != want || r.RetryAfter != 7*time.Second {
			t.Errorf("%d: %+v", code, r)
		}
	}
	mu.Lock()
	status = http.StatusOK
	mu.Unlock()
	if r := ask(t.Context(), a, "hello"); r.Value != "hello" {
		t.Errorf("it does not recover: %+v", r)
	}
	wrong := remote.NewCallback(remote.Callback{Name: "mine", URL: server.URL, Transport: &http.Transport{}})
	defer wrong.Close()
	if _, err := wrong.Describe(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("%v", err)
	}
	if _, err := remote.NewCallback(remote.Callback{Name: "mine", URL: "file:///etc/passwd"}).Describe(t.Context()); err == nil {
		t.Error("any address will do")
	}
}
