package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/wire"
)

// description is a YAML file of spec as JSON values.
func description(t *testing.T, file string) map[string]any {
	t.Helper()
	text, err := os.ReadFile("../../spec/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	data, err := json.Marshal(doc) // keys are texts
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// schemas compiles those of a description, by name.
func schemas(t *testing.T, doc map[string]any) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("doc.json", doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]*jsonschema.Schema{}
	for name := range at(doc, "components", "schemas").(map[string]any) {
		s, err := c.Compile("doc.json#/components/schemas/" + name)
		if err != nil {
			t.Fatalf("schema %s: %v", name, err)
		}
		out[name] = s
	}
	return out
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	slices.Sort(out)
	return out
}

// spec/asyncapi.yaml says what can be said on a socket, no more and no less; its examples and what really comes fit its schemas.
func TestAsyncAPI(t *testing.T) {
	doc := description(t, "asyncapi.yaml")
	known := schemas(t, doc)
	if said, can := texts(at(doc, "components", "schemas", "command", "properties", "event", "enum")), server.Commands(); !slices.Equal(said, can) {
		t.Errorf("it says %v, and a socket knows %v", said, can)
	}
	var events []string
	for _, b := range []run.Body{&run.Started{}, &run.CallStarted{}, &run.CallDone{}, &run.CallFailed{}, &run.CallFailed{Outcome: run.Asks}, &run.CallEnded{}, &run.Asked{},
		&run.Answered{}, &run.Computed{}, &run.TimerFired{}, &run.PauseAsked{}, &run.ResumeAsked{}, &run.CancelAsked{},
		&run.Finished{Status: run.Succeeded}, &run.Finished{Status: run.Failed}, &run.Finished{Status: run.Cancelled}} {
		events = append(events, "agent:workflow:"+wire.EventName(b))
	}
	slices.Sort(events)
	if said := texts(at(doc, "components", "schemas", "fact", "properties", "event", "enum")); !slices.Equal(said, events) {
		t.Errorf("it says %v, and the events are %v", said, events)
	}
	for name, m := range at(doc, "components", "messages").(map[string]any) {
		examples, _ := at(m, "examples").([]any)
		if len(examples) == 0 {
			t.Errorf("message %s has no example", name)
		}
		for _, e := range examples {
			if err := known[name].Validate(at(e, "payload")); err != nil {
				t.Errorf("an example of %s: %v", name, err)
			}
		}
	}

	w := newWorld(t)
	c := w.dial()
	c.say(map[string]any{"event": "agent:workflow:execute", "id": 1, "script": "a = slow \"x\" timeout 20ms retry 1 else \"b\"\nok = human.approve \"<<a>>?\"\nrequire ok == \"yes\" else \"no\"\noutput ok"})
	seen := map[string]bool{}
	for {
		v := c.hear()
		schema := "fact"
		switch kind, _ := v["kind"].(string); {
		case v["event"] == "agent:ack":
			schema = "ack"
		case v["event"] == "agent:error":
			schema = "error"
		case kind == "progress" || kind == "note":
			schema = kind
		}
		seen[schema] = true
		if err := known[schema].Validate(v); err != nil {
			t.Errorf("%v is no %s: %v", v, schema, err)
		}
		if v["event"] == "agent:workflow:asked" {
			c.say(map[string]any{"event": "agent:workflow:answer", "run": v["run"], "step": "nothing", "value": "yes"})
			c.say(map[string]any{"event": "agent:workflow:answer", "run": v["run"], "step": "ok", "value": "yes"})
		}
		if name, _ := v["event"].(string); strings.HasSuffix(name, "workflow:completed") {
			break
		}
	}
	for _, schema := range []string{"fact", "ack", "error", "note", "progress"} {
		if !seen[schema] {
			t.Errorf("no %s came", schema)
		}
	}
}
