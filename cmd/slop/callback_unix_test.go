//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shouter is an agent that takes requests.
func shouter(t *testing.T) string {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Type, ID string
			Args     struct{ Text string }
		}
		_ = json.NewDecoder(r.Body).Decode(&m) // it is ours
		said := map[string]any{"type": "pong"}
		switch m.Type {
		case "hello":
			text := map[string]any{"type": "object", "properties": map[string]any{"text": map[string]any{"type": "string"}}, "required": []string{"text"}}
			said = map[string]any{"type": "hello", "protocol": 1, "name": "shouter", "capabilities": []any{map[string]any{"name": "", "text": "text", "effect": "read", "input": text}}}
		case "call":
			said = map[string]any{"type": "result", "id": m.ID, "value": strings.ToUpper(m.Args.Text)}
		}
		_ = json.NewEncoder(w).Encode(said) // nobody listens
	}))
	t.Cleanup(web.Close)
	return web.URL
}

// An agent that registers is reached on the internet only, unless slop.toml says otherwise. Servers on the same store know it within seconds, and after a restart.
func TestAgentRegistersAtAServer(t *testing.T) {
	s := newStory(t, "output 1\n")
	ask := func(method, url string, body any) (int, string) {
		t.Helper()
		data, _ := json.Marshal(body) // plain values
		r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		text, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(text)
	}
	it := map[string]string{"name": "shout", "url": shouter(t)}
	url, end := s.serve()
	if status, text := ask("POST", url+"/registry", it); status != 422 || !strings.Contains(text, "private network") {
		t.Errorf("an agent of this machine: %d %s", status, text)
	}
	end()
	if err := os.WriteFile(filepath.Join(s.dir, "slop.toml"), []byte("[agents.http]\nprivate = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	one, endOne := s.serve()
	two, endTwo := s.serve()
	if status, text := ask("POST", one+"/registry", it); status != 201 {
		t.Fatalf("%d %s", status, text)
	}
	for deadline := time.Now().Add(20 * time.Second); status(t, "GET", two+"/registry/shout", "") != 200; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the other server does not know it")
		}
	}
	endOne()
	endTwo()
	url, _ = s.serve()
	if status, text := ask("POST", url+"/registry/shout/execute?wait=20s", map[string]string{"text": "hi"}); status != 200 || !strings.Contains(text, `"output":"HI"`) {
		t.Errorf("after a restart: %d %s", status, text)
	}
}
