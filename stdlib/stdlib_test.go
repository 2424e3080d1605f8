package stdlib_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib"
)

// The archives are checked against a scope written down for them: it says what the agents themselves say, or the archives prove nothing.
func TestTheScopeOfTheArchivesIsThatOfTheAgents(t *testing.T) {
	r := agent.NewRegistry()
	for _, a := range stdlib.Agents(stdlib.Config{}) {
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
