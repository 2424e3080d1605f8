//go:build unix

package remote_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// schema compiles a definition of the published schema.
func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	const file = "../../spec/agent-protocol.schema.json"
	s, err := jsonschema.NewCompiler().Compile(file + "#/$defs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fits(t *testing.T, s *jsonschema.Schema, text string) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Errorf("%v\n%s", err, text)
	} else if err := s.Validate(v); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// What is said here, what agents say, and what the page shows are what the published schema says.
func TestSchema(t *testing.T) {
	t.Parallel()
	to, from := schema(t, "toAgent"), schema(t, "fromAgent")
	a := known(t, "good")
	r := ask(t.Context(), a, "all", func(c *agent.Call) {
		c.System, c.Folder, c.Answer = "Be kind.", "/work", &run.Answer{Token: "t", Value: true}
		c.Repair = &run.Repair{Round: 1, Answer: 3, Problems: []string{"no"}}
	})
	var call map[string]any
	if err := json.Unmarshal([]byte(r.Value.(string)), &call); err != nil {
		t.Fatal(err)
	}
	call["id"] = "c1"
	text, _ := json.Marshal(call)
	fits(t, to, string(text))
	d, err := a.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fits(t, from, string(d.Raw()))

	page, err := os.ReadFile("../../spec/agent-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for line := range strings.Lines(string(page)) {
		if strings.Contains(line, "…}") {
			continue // shortened
		}
		if text, ok := strings.CutPrefix(line, "→ "); ok {
			fits(t, to, text)
			count++
		} else if text, ok := strings.CutPrefix(line, "← "); ok {
			fits(t, from, text)
			count++
		}
	}
	if count < 4 {
		t.Errorf("the page shows %d messages", count)
	}
	for _, bad := range []string{`{"type":"hello","protocol":2,"capabilities":[{"name":""}]}`, `{"type":"error","id":"c1","outcome":"asks","message":""}`, `{"type":"result"}`} {
		v, _ := jsonschema.UnmarshalJSON(strings.NewReader(bad))
		if from.Validate(v) == nil {
			t.Errorf("the schema takes %s", bad)
		}
	}
}
