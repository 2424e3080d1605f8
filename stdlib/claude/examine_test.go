//go:build unix

package claude_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/claude"
)

// examined is what is found of an agent, a line each: "WRONG" stands before what keeps calls from being made.
func examined(t *testing.T, c claude.Config) string {
	t.Helper()
	var lines []string
	claude.New(c).(agent.Examiner).Examine(t.Context(), func(f agent.Finding) {
		line := f.What + ": " + f.Said
		if f.Wrong {
			line = "WRONG " + line
			if f.Mend == "" {
				t.Errorf("nothing says how to mend %q", line)
			}
			line += " → " + f.Mend
		}
		lines = append(lines, line)
	})
	said := strings.Join(lines, "\n")
	if strings.Contains(said, canary) {
		t.Errorf("it leaks: %s", said)
	}
	return said
}

func TestExamineProgram(t *testing.T) {
	in, out := `out {"loggedIn":true,"authMethod":"claude.ai"}`, []string{`out {"loggedIn":false,"authMethod":"none"}`, "exit 1"}
	for name, c := range map[string]struct {
		version, auth []string
		config        claude.Config
		want          []string
	}{
		"all is well":            {nil, []string{in}, claude.Config{}, []string{"version: 2.1.197", "login: the program's own (claude.ai)", "model: sonnet"}},
		"not logged in":          {nil, out, claude.Config{KeyName: "MY_KEY"}, []string{"WRONG login: the program is not logged in → run claude and log in, or set MY_KEY"}},
		"with a key":             {nil, out, claude.Config{APIKey: key}, []string{"login: with ANTHROPIC_API_KEY"}},
		"too old":                {[]string{"out 1.0.128 (Claude Code)"}, []string{in}, claude.Config{}, []string{"WRONG version: claude is 1.0.128, which is too old: slop needs 2.1.0 or newer → update Claude Code"}},
		"cannot say its login":   {[]string{"out 2.1.12 (Claude Code)"}, out, claude.Config{}, []string{"login: the program's own, which only a call can try", "model: sonnet"}},
		"says something else":    {nil, []string{"out Not JSON"}, claude.Config{}, []string{"only a call can try"}},
		"another program":        {[]string{"out hello"}, nil, claude.Config{}, []string{`WRONG version: claude --version says "hello"`}},
		"a program that crashes": {[]string{"err cannot find libc", "exit 127"}, nil, claude.Config{}, []string{"WRONG version: claude --version ended with code 127: cannot find libc"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CLAUDE_CODE_OAUTH_TOKEN", "")
			path, dir := program(t, "exit 9")
			if c.version != nil {
				also(t, dir, "version", c.version...)
			}
			if c.auth != nil {
				also(t, dir, "auth", c.auth...)
			}
			c.config.Program = path
			said := examined(t, c.config)
			for _, part := range append(c.want, "program: "+path) {
				if !strings.Contains(said, part) {
					t.Errorf("%q is missing in\n%s", part, said)
				}
			}
			if seen, _ := filepath.Glob(filepath.Join(dir, "seen*")); len(seen) > 0 {
				t.Error("a model was asked")
			}
		})
	}
	t.Run("a token", func(t *testing.T) {
		t.Setenv("CLAUDE_CODE_OAUTH_TOKEN", canary)
		path, _ := program(t, "exit 9")
		if said := examined(t, claude.Config{Program: path}); !strings.Contains(said, "login: with CLAUDE_CODE_OAUTH_TOKEN") {
			t.Error(said)
		}
	})
	none := filepath.Join(t.TempDir(), "claude")
	for name, c := range map[string]struct {
		config claude.Config
		want   string
	}{
		"not found":            {claude.Config{Program: none}, "WRONG login: claude cannot be asked"},
		"not found, but meant": {claude.Config{Program: none, Prefer: "cli"}, "WRONG login: claude needs the claude program, and it is not on PATH → install Claude Code"},
		"no key":               {claude.Config{Program: none, Prefer: "api", KeyName: "MY_KEY"}, "WRONG login: claude has no key → set MY_KEY"},
		"a key that fails":     {claude.Config{Prefer: "api", APIKey: func() (string, error) { return "", fmt.Errorf("set MY_KEY") }}, "WRONG login: claude has no key → set MY_KEY"},
	} {
		if said := examined(t, c.config); !strings.Contains(said, c.want) {
			t.Errorf("%s: %s", name, said)
		}
	}
}

func TestExamineAPI(t *testing.T) {
	status := func(code int, kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/models/claude-sonnet-5-5" {
				t.Errorf("%s was asked", r.URL)
			}
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"type":"error","error":{"type":%q,"message":"%s"}}`, kind, canary)
		}
	}
	fine := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"id":"claude-sonnet-5-5","type":"model","display_name":"x","created_at":"2026-01-01T00:00:00Z"}`)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"all is well": {fine, "model: claude-sonnet-5-5"},
		"wrong key":   {status(401, "authentication_error"), "does not accept it → set ANTHROPIC_API_KEY to a key that is valid there"},
		"no model":    {status(404, "not_found_error"), "does not say which models it has"}, // it is not Anthropic's own
		"down":        {status(503, "api_error"), "answered with 503 → try again later"},
		"a web page":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "does not answer as the Claude API does → is base_url right?"},
		"limited":     {status(429, "rate_limit_error"), "endpoint: 127.0.0.1"},
	} {
		s := serve(t, c.answer)
		if said := examined(t, s.config); !strings.Contains(said, c.want) || strings.Contains(said, "WRONG") != strings.Contains(c.want, "→") {
			t.Errorf("%s: %s", name, said)
		}
	}
	if said := examined(t, claude.Config{Prefer: "api", APIKey: key, BaseURL: "http://127.0.0.1:1"}); !strings.Contains(said, "WRONG endpoint: 127.0.0.1:1 refused the connection") {
		t.Error(said)
	}
}
