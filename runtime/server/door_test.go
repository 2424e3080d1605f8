package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/server/audit"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
)

// A page of another site, or one whose name was made to lead here, gets nothing; a program that says no origin does.
func TestPagesOfOthers(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Origins = []string{"https://app.example.com"} })
	own := strings.TrimSuffix(w.url, server.Root)
	for _, tt := range []struct {
		name, value string
		status      int
	}{
		{"Host", "evil.com", 403}, {"Host", "127.0.0.1.evil.com", 403}, {"Host", "localhost.evil.com:7070", 403}, {"Host", "", 200}, {"Host", "localhost:99", 200}, {"Host", "[::1]", 200},
		{"Host", "10.0.0.1", 403}, {"Origin", "null", 403}, {"Origin", "https://evil.com", 403}, {"Origin", "https://app.example.com.evil.com", 403}, {"Origin", "https://x.app.example.com", 403},
		{"Origin", "http://app.example.com", 403}, {"Origin", "https://app.example.com", 200}, {"Origin", own, 200}, {"Origin", own + "0", 403}, {"X-Nothing", "x", 200},
	} {
		value := []string{tt.name, tt.value}
		if tt.name == "Host" && tt.value == "" {
			value = nil
		}
		if answer, v := w.ask("GET", "/workflows", nil, value...); answer.StatusCode != tt.status {
			t.Errorf("%s: %q: %d %v", tt.name, tt.value, answer.StatusCode, v)
		}
		h := http.Header{}
		options := &websocket.DialOptions{HTTPHeader: h}
		if tt.name == "Host" {
			options.Host = tt.value
		} else {
			h.Set(tt.name, tt.value)
		}
		conn, answer, err := websocket.Dial(t.Context(), w.url+"/events", options)
		if err == nil {
			_ = conn.CloseNow()
		}
		if (err == nil) != (tt.status == 200) || err != nil && answer.StatusCode != 403 {
			t.Errorf("a socket with %s: %q: %v", tt.name, tt.value, err)
		}
	}
	w.want(403, "POST", "/workflows", map[string]any{"script": "output 1"}, "Sec-Fetch-Site", "cross-site")
	w.want(202, "POST", "/workflows", map[string]any{"script": "output 1"}, "Sec-Fetch-Site", "same-origin")
	answer, _ := w.ask("GET", "/workflows", nil, "Origin", "https://app.example.com")
	if answer.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || answer.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("the page that may is told %v", answer.Header)
	}
	answer, _ = w.ask("OPTIONS", "/workflows", nil, "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST")
	if answer.StatusCode != 204 || !strings.Contains(answer.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("its question beforehand is answered %d %v", answer.StatusCode, answer.Header)
	}
	if answer, _ = w.ask("OPTIONS", "/workflows", nil, "Origin", "https://evil.com", "Access-Control-Request-Method", "POST"); answer.StatusCode != 403 || answer.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another's is answered %d", answer.StatusCode)
	}
	named := newWorld(t, func(c *server.Config) { c.Gate, c.Hosts = people, []string{"slop.example.com"} })
	named.token = "v"
	named.want(200, "GET", "/workflows", nil, "Host", "slop.example.com:443")
	named.want(403, "GET", "/workflows", nil, "Host", "evil.com")
	named.want(200, "GET", strings.TrimSuffix(named.url, server.Root)+"/healthz", nil, "Host", "10.1.2.3")
}

// A caller, and an address, may ask so often, and hears when it may again. What a header says of an address counts only from a proxy that is trusted.
func TestTooOften(t *testing.T) {
	w := newWorld(t, func(c *server.Config) {
		c.Gate, c.Proxies = people, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
		c.Limits = server.Limits{Caller: store.Rate{Count: 1, Per: time.Hour, Burst: 3}, Address: store.Rate{Count: 1, Per: time.Hour, Burst: 8}}
	})
	w.token = "v"
	from := func(text string) []string { return []string{"X-Forwarded-For", text} }
	for range 3 {
		w.want(200, "GET", "/workflows", nil, from("192.0.2.1")...)
	}
	answer, v := w.ask("GET", "/workflows", nil, from("192.0.2.2")...)
	if answer.StatusCode != 429 || v["code"] != "E_RATE_LIMITED" || answer.Header.Get("Retry-After") == "" || !strings.HasPrefix(answer.Header.Get("RateLimit"), `"caller";r=0;t=`) || answer.Header.Get("RateLimit-Policy") != `"caller";q=1;w=3600` {
		t.Errorf("%d %v %v", answer.StatusCode, v, answer.Header)
	}
	w.token = "o"
	w.want(200, "GET", "/workflows", nil, from("192.0.2.2")...)
	w.token = ""
	for range 5 {
		w.want(404, "GET", "/nothing", nil, from("192.0.2.1")...)
	}
	w.want(429, "GET", "/nothing", nil, from("192.0.2.1")...)
	w.want(429, "GET", "/nothing", nil, from("198.51.100.7, 192.0.2.1, 10.1.1.1")...) // the client made the first up
	w.want(404, "GET", "/nothing", nil, from("192.0.2.1, 198.51.100.7, 10.1.1.1")...)
	for i := range 8 {
		w.want(404, "GET", "/nothing", nil, from(fmt.Sprintf("2001:db8:1:1::%d", i))...)
	}
	w.want(429, "GET", "/nothing", nil, from("2001:db8:1:1:ffff::1")...)
	w.want(404, "GET", "/nothing", nil, from("2001:db8:1:2::1")...)

	direct := newWorld(t, func(c *server.Config) { c.Limits.Address = store.Rate{Count: 1, Per: time.Hour, Burst: 2} })
	for i, want := range []int{200, 200, 429} {
		direct.want(want, "GET", "/workflows", nil, from(fmt.Sprintf("192.0.2.%d", i))...)
	}
}

// Who tries tokens has to wait; who has one gets through from the same address.
func TestTryingTokens(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = people })
	for range 10 {
		w.token = "guess"
		w.want(401, "GET", "/workflows", nil)
	}
	if answer, v := w.ask("GET", "/workflows", nil); answer.StatusCode != 429 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", answer.StatusCode, v)
	}
	w.want(429, "GET", "/events?ticket=guess", nil, "Authorization", "")
	w.token = "v"
	w.want(200, "GET", "/workflows", nil)
	w.token = ""
	w.want(401, "GET", "/workflows", nil)
}

// A caller has so many streams at a time.
func TestStreamsOfOne(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate, c.Limits = people, server.Limits{Streams: 2} })
	w.token = "v"
	one := w.dial()
	w.dial()
	w.want(429, "GET", "/events", nil)
	w.token = "o"
	w.dial()
	_ = one.conn.Close(websocket.StatusNormalClosure, "")
	w.token = "v"
	for deadline := time.Now().Add(10 * time.Second); ; {
		h := http.Header{"Authorization": {"Bearer v"}}
		conn, _, err := websocket.Dial(t.Context(), w.url+"/events", &websocket.DialOptions{HTTPHeader: h})
		if err == nil {
			_ = conn.CloseNow()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a seat that was given back is not there")
		}
	}
}

// Connections beyond the bound are closed, and those of before go on.
func TestCrowd(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: w.api, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = web.Serve(w.api.Crowd(l, 3)) }()
	defer func() { _ = web.Close() }()
	ask := func(c net.Conn) error {
		_, _ = fmt.Fprintf(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		b := make([]byte, 12)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err := io.ReadFull(c, b)
		return err
	}
	var conns []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if err := ask(c); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err == nil {
		if err := ask(c); err == nil {
			t.Error("a fourth connection is served")
		}
		_ = c.Close()
	}
	_ = conns[0].Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			err = ask(c)
			_ = c.Close()
		}
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the place that was given back is not there: %v", err)
		}
	}
}

// Bodies that are packed, too large or nested without end are refused before anybody works on them.
func TestBadBodies(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.MaxBody = 64 << 10 })
	w.want(415, "POST", "/workflows", map[string]any{"script": "output 1"}, "Content-Encoding", "gzip")
	w.want(413, "POST", "/workflows", map[string]any{"script": strings.Repeat("x", 100<<10)})
	for _, body := range []string{strings.Repeat("[", 30<<10), `{"inputs":` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000) + "}"} {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", w.url+"/workflows", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != 400 || !bytes.Contains(text, []byte("200 deep")) {
			t.Errorf("%d %s", answer.StatusCode, text)
		}
	}
	w.want(200, "POST", "/workflows?wait=10s", map[string]any{"script": "output \"[[[[\""})
}

// keyed is a world whose callers have tokens.
func keyed(t *testing.T, adjust ...func(*server.Config)) (w *world, tokens *auth.Tokens, make func(auth.Role, string) (text, id string)) {
	w = newWorld(t, append([]func(*server.Config){func(c *server.Config) {
		tokens = auth.NewTokens(c.Store, nil)
		c.Gate = auth.AnyOf{tokens}
	}}, adjust...)...)
	t.Cleanup(tokens.Close)
	return w, tokens, func(r auth.Role, tenant string) (string, string) {
		text, made, err := tokens.Create(t.Context(), r, tenant, "", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return text, made.ID
	}
}

// A token that is revoked ends the streams that it opened within five seconds, and those of a ticket that it asked for.
func TestRevokedWhileStreaming(t *testing.T) {
	t.Parallel()
	w, _, make := keyed(t)
	text, id := make(auth.Operator, "a")
	w.token = text
	flow := w.start("output slow \"x\"")
	held := w.dial()
	ticket := w.want(201, "POST", "/tickets", nil)["ticket"].(string)
	byTicket, _, err := websocket.Dial(t.Context(), w.url+"/events?ticket="+url.QueryEscape(ticket), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = byTicket.CloseNow() }()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", w.url+"/workflows/"+flow+"/events", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	r.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	elsewhere := auth.NewTokens(w.store, nil)
	if _, err := elsewhere.Revoke(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var group sync.WaitGroup
	for what, conn := range map[string]*websocket.Conn{"a socket": held.conn, "one by a ticket": byTicket} {
		group.Go(func() {
			for {
				if _, _, err := conn.Read(t.Context()); err != nil {
					if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
						t.Errorf("%s ends with %v", what, err)
					}
					break
				}
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s lives on for %v", what, took)
			}
		})
	}
	text2, _ := io.ReadAll(stream.Body)
	if took := time.Since(began); took > 5*time.Second || !bytes.Contains(text2, []byte("E_UNAUTHENTICATED")) {
		t.Errorf("after %v the stream ends with %s", took, text2[max(0, len(text2)-300):])
	}
	group.Wait()
	w.want(401, "GET", "/workflows", nil)
}

// A ticket opens one socket in the name of who asked for it, and nothing else.
func TestTicketOpensASocket(t *testing.T) {
	w, _, make := keyed(t)
	w.token, _ = make(auth.Viewer, "a")
	ticket := w.want(201, "POST", "/tickets", nil)["ticket"].(string)
	w.token = ""
	for _, path := range []string{"/workflows", "/workflows/x/events", "/audit"} {
		w.want(401, "GET", path+"?ticket="+ticket, nil)
	}
	conn, _, err := websocket.Dial(t.Context(), w.url+"/events?ticket="+ticket, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	c := &client{t, conn}
	c.say(map[string]any{"event": "agent:workflow:execute", "script": "output 1", "id": 1})
	if v := c.until("agent:error"); v["error"].(map[string]any)["code"] != "E_FORBIDDEN" {
		t.Errorf("the ticket of a viewer starts a run: %v", v)
	}
	w.want(401, "GET", "/events?ticket="+ticket, nil)
}

// Every change is in the list of its tenant with who, what and how it ended, also those that were refused; the chain holds, and another tenant sees nothing of it.
func TestAuditLog(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = people })
	w.token = "o"
	id := w.start("ok = human.approve \"secret canary?\"\noutput ok")
	w.want(200, "POST", "/workflows/"+id+"/pause", map[string]any{"reason": "canary"}, "X-Request-Id", "r-1")
	w.token = "v"
	w.want(403, "POST", "/workflows/"+id+"/cancel", nil)
	w.token = "o"
	c := w.dial()
	c.say(map[string]any{"event": "agent:workflow:cancel", "run": id, "id": 1})
	c.until("agent:ack")
	w.want(403, "GET", "/audit", nil)
	w.token = "b"
	w.want(404, "POST", "/workflows/"+id+"/pause", nil)
	if items := w.want(200, "GET", "/audit", nil)["items"].([]any); len(items) != 1 || items[0].(map[string]any)["status"] != 404.0 {
		t.Errorf("bob's list is %v", items)
	}
	w.token = "a"
	var got []string
	next := ""
	for {
		page := w.want(200, "GET", "/audit?limit=3"+next, nil)
		if strings.Contains(fmt.Sprint(page), "canary") {
			t.Errorf("a body is in the list: %v", page)
		}
		for _, item := range page["items"].([]any) {
			e := item.(map[string]any)
			got = append(got, fmt.Sprint(e["seq"], " ", e["by"], " ", e["role"], " ", e["proof"], " ", e["method"], " ", e["route"], " ", e["status"]))
			if e["address"] != "127.0.0.1" || e["request"] == "" || e["hash"] == "" || e["at"] == "" {
				t.Errorf("an entry is %v", e)
			}
		}
		if page["next"] == nil {
			break
		}
		next = "&cursor=" + page["next"].(string)
	}
	want := []string{
		"4 olga operator token o WS agent:workflow:cancel 200", "3 vic viewer token v POST cancelRun 403", "2 olga operator token o POST pauseRun 200", "1 olga operator token o POST startRun 202",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the list is\n%s", strings.Join(got, "\n"))
	}
	w.want(400, "GET", "/audit?cursor=x", nil)
	v, err := audit.Verify(t.Context(), w.store, "a", func(p string) { t.Error(p) })
	if err != nil || v.Entries != 4 {
		t.Errorf("%+v %v", v, err)
	}
}

// No token and no ticket is in an answer, in the log or in anything that is kept but the hash.
func TestNoTokenAnywhere(t *testing.T) {
	var log syncBuffer
	w, _, make := keyed(t, func(c *server.Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	token, _ := make(auth.Admin, "a")
	secret := token[14:]
	w.token = token
	ticket := w.want(201, "POST", "/tickets", nil)["ticket"].(string)
	var said strings.Builder
	for _, r := range w.api.Routes() {
		path := strings.TrimPrefix(variable.ReplaceAllString(r.Path, "none"), server.Root)
		if strings.HasPrefix(r.Path, "/healthz") || strings.HasPrefix(r.Path, "/readyz") || r.ID == "events" {
			continue
		}
		for _, query := range []string{"", "?token=" + token, "?access_token=" + token + "&ticket=" + ticket} {
			answer, v := w.ask(r.Method, path+query, nil)
			if r.ID != "createTicket" {
				fmt.Fprintln(&said, answer.Header, v)
			}
		}
	}
	conn, _, err := websocket.Dial(t.Context(), w.url+"/events?ticket="+ticket, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseNow()
	text := log.take()
	for name, where := range map[string]string{"an answer": said.String(), "the log": text} {
		if strings.Contains(where, secret) || strings.Contains(where, ticket) {
			t.Errorf("a token is in %s", name)
		}
	}
	if !strings.Contains(text, "route=listRuns") {
		t.Errorf("the log says\n%s", text)
	}
	for _, kind := range []string{"token", "token-used", "ticket", "audit", "idempotency"} {
		for name, err := range w.store.AllDocs(t.Context(), kind, "") {
			data, _, err2 := w.store.GetDoc(t.Context(), kind, name)
			if err != nil || err2 != nil || bytes.Contains(data, []byte(secret)) || strings.Contains(name, secret) {
				t.Errorf("a token is in %s %s (%v %v)", kind, name, err, err2)
			}
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// awayGate is a gate whose store cannot be reached.
type awayGate struct{}

func (awayGate) Caller(*http.Request) (auth.Caller, error) {
	return auth.Caller{}, context.DeadlineExceeded
}
func (awayGate) Holds(context.Context, auth.Caller) error { return context.DeadlineExceeded }

// When tokens cannot be looked up nobody is let in, and nobody is told that theirs does not hold.
func TestTheGateIsAway(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = awayGate{} })
	w.token = "x"
	if answer, v := w.ask("GET", "/workflows", nil); answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v", answer.StatusCode, v)
	}
	w.want(200, "GET", "/health", nil)
}

// 500 connections that send a byte a second, half of them as headers and half as bodies that nobody may send, slow nobody else and are gone within 40 seconds.
func TestSlowSenders(t *testing.T) {
	if os.Getenv("SLOP_LONG") == "" {
		t.Skip("make test-long: this takes 40 seconds")
	}
	t.Parallel()
	w := newWorld(t, func(c *server.Config) { c.Gate = people })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: w.api, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = web.Serve(l) }()
	defer func() { _ = web.Close() }()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	var group sync.WaitGroup
	for i := range 500 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			_, _ = fmt.Fprintf(conn, "POST %s/workflows HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", server.Root)
		}
		group.Go(func() {
			defer func() { _ = conn.Close() }()
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				if _, err := conn.Write([]byte("G")); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
					t.Errorf("a slow sender is still there after %v", time.Since(began))
					return
				}
			}
		})
	}
	w.url = "http://" + l.Addr().String() + server.Root
	w.token = "v"
	var took []time.Duration
	for range 200 {
		asked := time.Now()
		w.want(200, "GET", "/workflows", nil)
		took = append(took, time.Since(asked))
		time.Sleep(20 * time.Millisecond) // spread over some seconds of them
	}
	slices.Sort(took)
	t.Logf("p99 of others: %v", took[len(took)*99/100])
	if p99 := took[len(took)*99/100]; p99 > 200*time.Millisecond {
		t.Errorf("others wait: p99 %v", p99)
	}
	group.Wait()
	t.Logf("the last was gone after %v", time.Since(began))
}
