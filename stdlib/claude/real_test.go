//go:build unix

package claude_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/claude"
)

// scripted is a Messages API for the real program: it uses a tool once, when the program offers it, and answers then.
type scripted struct {
	mu     sync.Mutex
	status int // refuse with it
	tool   string
	input  string
	hangs  func() // called instead of answering
	bodies []string
}

func (m *scripted) set(tool, input string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tool, m.input = tool, input
}

func (m *scripted) last() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.bodies) == 0 {
		return ""
	}
	return m.bodies[len(m.bodies)-1]
}

func (m *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/v1/messages") {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	var asked struct {
		Messages []struct{ Content json.RawMessage }
		Tools    []struct{ Name string }
	}
	json.Unmarshal(body, &asked)
	m.mu.Lock()
	status, tool, input, hangs := m.status, m.tool, m.input, m.hangs
	m.bodies = append(m.bodies, string(body))
	m.mu.Unlock()
	if hangs != nil {
		hangs()
		<-r.Context().Done()
		return
	}
	if status != 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"error","error":{"type":"%s","message":"no (%d)"}}`, map[int]string{401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}[status], status)
		return
	}
	offered := slices.ContainsFunc(asked.Tools, func(t struct{ Name string }) bool { return t.Name == tool })
	answered := false // a tool gave something, and nobody has allowed more since
	if n := len(asked.Messages); n > 0 {
		last := string(asked.Messages[n-1].Content)
		answered = strings.Contains(last, `"tool_result"`) && !strings.Contains(last, "You may do now")
	}
	if !offered || answered {
		sse(start, open, text("done"), shut, end("end_turn"), stop)(w, r)
		return
	}
	quoted, _ := json.Marshal(input)
	id := time.Now().UnixNano() // messages with the same one are one to the program
	sse(strings.Replace(start, "msg_1", fmt.Sprint("msg_", id), 1), fmt.Sprintf(`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_%d","name":%q,"input":{}}}`, id, tool),
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":`+string(quoted)+`}}`, shut, end("tool_use"), stop)(w, r)
}

// The real program, from the registry of npm in a folder of this test, asks a server of ours. With SLOP_LONG=1 only: it is large.
func TestRealProgram(t *testing.T) {
	if os.Getenv("SLOP_LONG") == "" {
		t.Skip("a long test: SLOP_LONG=1")
	}
	folder := t.TempDir()
	install := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, "@anthropic-ai/claude-code")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm: %v\n%s", err, out)
	}
	programs, _ := filepath.Glob(filepath.Join(folder, "node_modules", "@anthropic-ai", "claude-code-*", "claude"))
	if len(programs) == 0 {
		t.Fatal("the package has no program for this machine")
	}
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN"} {
		t.Setenv(name, "")
		os.Unsetenv(name) // until the test is over
	}
	m := &scripted{}
	server := httptest.NewServer(m)
	defer server.Close()
	work := t.TempDir()
	base := claude.Config{Prefer: "cli", Program: programs[0], BaseURL: server.URL, APIKey: key, Grace: time.Second}
	with := func(change func(*claude.Config)) agent.Agent {
		c := base
		change(&c)
		return claude.New(c)
	}
	thinks := with(func(*claude.Config) {})
	acts := with(func(c *claude.Config) { c.Folder, c.Tools = work, []string{"Read"} })
	asks := with(func(c *claude.Config) { c.Folder, c.Permissions = work, "ask" })

	t.Run("it only thinks", func(t *testing.T) {
		m.set("Bash", `{"command":"touch pwned"}`)
		r, shown := asked(t.Context(), thinks, &agent.Call{System: "Be kind."})
		want(t, r, "")
		if r.Value != "done" || shown != "done" || r.Usage.Tokens != run.Reported || r.Usage.Input != 100 || r.Usage.CacheRead != 1000 || r.Usage.Output != 10 {
			t.Errorf("%+v, shown %q", r, shown)
		}
		if body := m.last(); !strings.Contains(body, "Be kind.") || strings.Contains(body, `"name":"Bash"`) {
			t.Error(body)
		}
	})
	t.Run("structured", func(t *testing.T) {
		m.set("StructuredOutput", `{"score":8}`)
		r, _ := asked(t.Context(), thinks, &agent.Call{As: &review})
		if want(t, r, ""); !reflect.DeepEqual(r.Value, map[string]any{"score": 8}) {
			t.Errorf("%#v", r.Value)
		}
	})
	t.Run("refused by the API", func(t *testing.T) {
		for status, o := range map[int]run.Outcome{401: run.Denied, 404: run.Failure, 429: run.RateLimited, 529: run.Unavailable} {
			m.mu.Lock()
			m.status = status
			m.mu.Unlock()
			r, _ := asked(t.Context(), thinks, &agent.Call{})
			want(t, r, o)
		}
		m.mu.Lock()
		m.status = 0
		m.mu.Unlock()
	})
	t.Run("a tool it may use", func(t *testing.T) {
		os.WriteFile(filepath.Join(work, "note"), []byte("the note"), 0o600)
		m.set("Read", fmt.Sprintf(`{"file_path":%q}`, filepath.Join(work, "note")))
		r, shown := asked(t.Context(), acts, step(1))
		if want(t, r, ""); !strings.Contains(shown, "[uses Read {") || !strings.Contains(shown, "[Read answered]") || !strings.Contains(m.last(), "the note") {
			t.Errorf("shown %q", shown)
		}
	})
	t.Run("a tool it may not use", func(t *testing.T) {
		m.set("Write", fmt.Sprintf(`{"file_path":%q,"content":"x"}`, filepath.Join(work, "denied")))
		r, _ := asked(t.Context(), with(func(c *claude.Config) { c.Folder, c.Tools = work, []string{"Read", "Write(/nowhere)"} }), &agent.Call{Run: "r2", Path: "p", Attempt: 1})
		want(t, r, run.Denied, "not allowed to use Write")
	})
	for i, use := range []struct{ tool, input, made string }{
		{"Bash", `{"command":"touch made-1"}`, "made-1"},
		{"Bash", `{"command":"echo 'a, (b)' && touch made-2"}`, "made-2"},
		{"Write", fmt.Sprintf(`{"file_path":%q,"content":"x"}`, filepath.Join(work, "made, 3")), "made, 3"},
	} {
		t.Run("asks for "+use.made, func(t *testing.T) {
			m.set(use.tool, use.input)
			c := &agent.Call{Run: run.ID(fmt.Sprint("asks", i)), Path: "p", Attempt: 1}
			r, _ := asked(t.Context(), asks, c)
			want(t, r, run.Asks)
			if _, err := os.Stat(filepath.Join(work, use.made)); err == nil {
				t.Error("it was done before anybody allowed it")
			}
			c.Attempt, c.Answer = 2, &run.Answer{Token: r.Token, Value: "yes"}
			r, _ = asked(t.Context(), asks, c)
			want(t, r, "")
			if _, err := os.Stat(filepath.Join(work, use.made)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a session goes on", func(t *testing.T) {
		m.set("", "")
		c := &agent.Call{Run: "crash", Path: "p", Attempt: 2, Text: "The request."}
		r, _ := asked(t.Context(), acts, c) // there is none
		want(t, r, "")
		ctx, cancel := context.WithCancel(t.Context())
		m.mu.Lock()
		m.hangs = cancel
		m.mu.Unlock()
		r, _ = asked(ctx, acts, &agent.Call{Run: "crash", Path: "q", Attempt: 1, Text: "Another request."})
		want(t, r, run.Stopped)
		m.mu.Lock()
		m.hangs = nil
		m.mu.Unlock()
		r, _ = asked(t.Context(), acts, &agent.Call{Run: "crash", Path: "q", Attempt: 2, Text: "Another request."})
		if want(t, r, ""); strings.Count(m.last(), "Another request.") != 2 || !strings.Contains(m.last(), "do nothing twice") {
			t.Errorf("%.3000s", m.last())
		}
	})
	t.Run("notes of other work stay away", func(t *testing.T) {
		os.WriteFile(filepath.Join(work, "CLAUDE.md"), []byte("AMBIENT"), 0o600)
		projects, _ := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".claude", "projects", "*"))
		for _, p := range projects {
			os.MkdirAll(filepath.Join(p, "memory"), 0o700)
			os.WriteFile(filepath.Join(p, "memory", "MEMORY.md"), []byte("AMBIENT"), 0o600)
		}
		if len(projects) == 0 {
			t.Error("the program keeps its sessions elsewhere now")
		}
		asked(t.Context(), acts, &agent.Call{Run: "ambient", Path: "p", Attempt: 1})
		if strings.Contains(m.last(), "AMBIENT") {
			t.Error("what lies about reached the model")
		}
	})
	t.Run("doctor", func(t *testing.T) {
		c := base
		c.APIKey = nil
		if said := examined(t, c); !strings.Contains(said, "version: ") || !strings.Contains(said, "WRONG login: the program is not logged in") {
			t.Error(said)
		}
		if said := examined(t, base); strings.Contains(said, "WRONG") {
			t.Error(said)
		}
	})
}
