package stdlib_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib"
	"github.com/slopstudios/slop/stdlib/claude"
)

// The archives are checked against a scope written down for them: it says what the agents themselves say, or the archives prove nothing.
func TestTheScopeOfTheArchivesIsThatOfTheAgents(t *testing.T) {
	r := agent.NewRegistry()
	for _, name := range stdlib.Names() {
		a, _ := stdlib.New(name, stdlib.Config{})
		if err := r.Register(a.Name, a.Agent, nil); err != nil {
			t.Fatal(err)
		}
	}
	written := langtest.Scope().Capabilities
	for name, sig := range r.Scope().Capabilities {
		want, ok := written[name]
		if !ok {
			t.Errorf("the archives do not know %s", name)
			continue
		}
		if diff := cmp.Diff(essence(want), essence(sig)); diff != "" {
			t.Errorf("%s: the archives say -, the agent says +\n%s", name, diff)
		}
	}
}

// essence is what checking and running depend on, without words, prices and configuration.
func essence(s types.Signature) map[string]any {
	m := map[string]any{
		"use": s.Use, "primary": s.Primary, "text": s.Text, "result": s.Result.String(), "effect": s.Effect, "kind": s.Kind,
		"structured": s.Structured, "idempotent": s.Idempotent && s.Effect == types.Do, "question": s.Question, "free": s.Free, "world": s.World,
	}
	for _, p := range s.Params {
		m["param "+p.Name] = map[string]any{"secret": p.Secret, "host": p.Host}
	}
	return m
}

// Processes of the claude program share one login, so few run at a time unless configuration says otherwise; the API takes what comes.
func TestTheClaudeProgramIsLimited(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "claude")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		config claude.Config
		want   int
	}{
		{claude.Config{Program: program}, 4},
		{claude.Config{Program: program, Prefer: "cli"}, 4},
		{claude.Config{Program: program, Prefer: "api"}, 0},
		{claude.Config{Program: filepath.Join(folder, "none")}, 0},
		{claude.Config{Program: filepath.Join(folder, "none"), Tools: []string{"Read"}}, 4}, // only the program can do
	} {
		named, ok := stdlib.New("claude", stdlib.Config{Claude: tt.config})
		if !ok || named.Limit != tt.want {
			t.Errorf("%+v: %d calls at a time, want %d", tt.config, named.Limit, tt.want)
		}
	}
	one, _ := stdlib.New("claude", stdlib.Config{Claude: claude.Config{Name: "one", Program: program}})
	two, _ := stdlib.New("claude", stdlib.Config{Claude: claude.Config{Name: "two", Program: program}})
	if one.Shared == "" || one.Shared != two.Shared {
		t.Errorf("two agents of one login share nothing: %q, %q", one.Shared, two.Shared)
	}
	if named, _ := stdlib.New("echo", stdlib.Config{}); named.Limit != 0 {
		t.Errorf("echo takes %d calls at a time", named.Limit)
	}
	if _, ok := stdlib.New("nobody", stdlib.Config{}); ok {
		t.Error("there is an agent named nobody")
	}
}
