package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/server/auth"
)

// openapi is spec/openapi.yaml, and what of it tests look up.
type openapi struct {
	doc        map[string]any
	known      map[string]*jsonschema.Schema // by name
	operations map[string]operation          // by operationId
}

type operation struct {
	method, path string
	said         map[string]any
	parameters   []map[string]any
}

// readOpenAPI reads the description. In it a schema of an answer lets further fields be, since readers skip them; here it does not, so that no field is forgotten in it.
func readOpenAPI(t *testing.T) *openapi {
	t.Helper()
	o := &openapi{doc: description(t, "openapi.yaml"), operations: map[string]operation{}}
	var closeAll func(v any)
	closeAll = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if _, open := v["additionalProperties"]; v["properties"] != nil && v["type"] != nil && !open {
				v["additionalProperties"] = false
			}
			for _, x := range v {
				closeAll(x)
			}
		case []any:
			for _, x := range v {
				closeAll(x)
			}
		}
	}
	closeAll(at(o.doc, "components", "schemas"))
	o.known = schemas(t, o.doc)
	for path, item := range at(o.doc, "paths").(map[string]any) {
		shared, _ := at(item, "parameters").([]any)
		for method, said := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			id, _ := at(said, "operationId").(string)
			if _, twice := o.operations[id]; twice || id == "" {
				t.Errorf("%s %s: the operationId %q is missing, or there twice", method, path, id)
			}
			op := operation{method: strings.ToUpper(method), path: path, said: said.(map[string]any)}
			own, _ := op.said["parameters"].([]any)
			for _, p := range slices.Concat(shared, own) {
				op.parameters = append(op.parameters, o.resolve(t, p))
			}
			o.operations[id] = op
		}
	}
	return o
}

// resolve follows a reference.
func (o *openapi) resolve(t *testing.T, v any) map[string]any {
	t.Helper()
	if ref, ok := at(v, "$ref").(string); ok {
		v = at(o.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		if v == nil {
			t.Fatalf("%s leads nowhere", ref)
		}
	}
	m, _ := v.(map[string]any)
	return m
}

// schemaName is the component that is the schema of a body.
func schemaName(media any) string {
	ref, _ := at(media, "schema", "$ref").(string)
	return strings.TrimPrefix(ref, "#/components/schemas/")
}

// valid tells what is wrong with the body of an answer; nil: the description has it.
func (o *openapi) valid(t *testing.T, id string, status int, kind string, body []byte) error {
	t.Helper()
	responses := at(o.operations[id].said, "responses")
	said := at(responses, fmt.Sprint(status))
	if said == nil && status >= 400 {
		said = at(responses, "default")
	}
	if said == nil {
		return fmt.Errorf("the description knows no answer %d", status)
	}
	content, _ := o.resolve(t, said)["content"].(map[string]any)
	if len(body) == 0 && content == nil {
		return nil
	}
	kind, _, _ = strings.Cut(kind, ";")
	media, ok := content[kind]
	if !ok {
		if _, any := content["*/*"]; any {
			return nil
		}
		return fmt.Errorf("the description knows no %s of %d: %.200s", kind, status, body)
	}
	name := schemaName(media)
	if name == "" {
		return fmt.Errorf("the schema of %s of %d has no name", kind, status)
	}
	if kind == "text/event-stream" {
		return nil
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("it is no JSON: %w: %.200s", err, body)
	}
	if err := o.known[name].Validate(v); err != nil {
		return fmt.Errorf("it is no %s: %w\n%s", name, err, body)
	}
	return nil
}

// Every route is in spec/openapi.yaml, and everything there is a route.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	o := readOpenAPI(t)
	left := maps.Clone(o.operations)
	for _, r := range newWorld(t).api.Routes() {
		op, ok := left[r.ID]
		delete(left, r.ID)
		if !ok {
			t.Errorf("spec/openapi.yaml has no operation %s: %s %s", r.ID, r.Method, r.Path)
			continue
		}
		if op.method != r.Method || op.path != r.Path || op.said["x-role"] != r.Role.String() {
			t.Errorf("%s is %s %s for %v, and spec/openapi.yaml says %s %s for %v", r.ID, r.Method, r.Path, r.Role, op.method, op.path, op.said["x-role"])
		}
		if security, ok := op.said["security"].([]any); (r.Role == auth.Anyone) != (ok && len(security) == 0) {
			t.Errorf("%s: the description is wrong about who needs a token", r.ID)
		}
		if op.said["summary"] == nil || at(op.said, "responses", "default", "$ref") != "#/components/responses/Problem" {
			t.Errorf("%s wants a summary, and problems as its default answer", r.ID)
		}
		var inPath []string
		for _, p := range op.parameters {
			if p["in"] == "path" {
				inPath = append(inPath, "{"+p["name"].(string)+"}")
			}
		}
		if want := variable.FindAllString(r.Path, -1); !slices.Equal(inPath, want) {
			t.Errorf("%s: its path has %v, and its parameters are %v", r.ID, want, inPath)
		}
	}
	for id, op := range left {
		t.Errorf("spec/openapi.yaml has %s, %s %s, which no route is", id, op.method, op.path)
	}
	if said := texts(at(o.doc, "components", "schemas", "Problem", "properties", "code", "enum")); !slices.Equal(said, server.Codes()) {
		t.Errorf("it says problems are %v, and they are %v", said, server.Codes())
	}
}

// Every example of the description fits its schema, and every reference leads somewhere.
func TestOpenAPIExamples(t *testing.T) {
	o := readOpenAPI(t)
	count := 0
	var look func(v any, place string)
	look = func(v any, place string) {
		switch v := v.(type) {
		case []any:
			for i, x := range v {
				look(x, fmt.Sprintf("%s/%d", place, i))
			}
		case map[string]any:
			if _, ok := v["$ref"].(string); ok {
				o.resolve(t, v)
			}
			all := map[string]any{}
			if e, ok := v["example"]; ok {
				all[""] = e
			}
			examples, _ := v["examples"].(map[string]any)
			for name, e := range examples {
				all[name] = at(e, "value")
			}
			if name := schemaName(v); name != "" {
				for which, e := range all {
					count++
					if err := o.known[name].Validate(e); err != nil {
						t.Errorf("%s: the example %s is no %s: %v", place, which, name, err)
					}
				}
			}
			for name, x := range v {
				if name != "example" && name != "examples" {
					look(x, place+"/"+name)
				}
			}
		}
	}
	look(o.doc, "")
	if count < 45 {
		t.Errorf("only %d examples were found", count)
	}
}

// spoken asks for an operation and holds the answer to the description.
func (w *world) spoken(o *openapi, id string, status int, query string, vars M, body any, header ...string) M {
	w.t.Helper()
	op, ok := o.operations[id]
	if !ok {
		w.t.Fatalf("the description has no %s", id)
	}
	path := op.path
	for name, v := range vars {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(fmt.Sprint(v)))
	}
	var data []byte
	if body != nil {
		data, _ = json.Marshal(body) // plain values
		if text, ok := body.(string); ok {
			data = []byte(text)
		}
		header = append([]string{"Content-Type", "application/json"}, header...)
	}
	answer, text := w.raw(op.method, strings.TrimPrefix(path, server.Root)+query, data, header...)
	if answer.StatusCode != status {
		w.t.Errorf("%s: %d, not %d: %s", id, answer.StatusCode, status, text)
		return nil
	}
	if err := o.valid(w.t, id, status, answer.Header.Get("Content-Type"), text); err != nil {
		w.t.Errorf("%s: %v", id, err)
	}
	var v M
	_ = json.Unmarshal(text, &v) // it may be no JSON
	return v
}

// What is really answered is what the description says, with no field that it forgets.
func TestOpenAPIAnswers(t *testing.T) {
	o := readOpenAPI(t)
	w := newWorld(t)
	at := func(v M) M { return M{"id": v["id"]} }

	// Runs, with a question, a failure, tries, files and a fork.
	first := w.spoken(o, "startRun", 200, "?wait=20s", nil, M{"script": "input who: string\na = echo \"a\"\nb = echo \"<<a>> <<who>>\"\noutput b", "inputs": M{"who": "Ada"}, "tags": []string{"x"}, "priority": 3, "budget": "20 calls"})
	asking := w.spoken(o, "startRun", 202, "", nil, M{"script": "ok = human.approve \"Go?\"\nc = memory.set(path: \"a.b\", value: 1) after ok\nrequire ok == \"yes\" else \"no\"\noutput ok"})
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if v := w.spoken(o, "getRun", 200, "", at(asking), nil); v["status"] == "waiting" {
			break
		}
	}
	w.spoken(o, "listRuns", 200, "?status=waiting,running&waiting=true", nil, nil)
	w.spoken(o, "pauseRun", 200, "", at(asking), M{"reason": "lunch"})
	w.spoken(o, "resumeRun", 200, "", at(asking), nil)
	w.spoken(o, "answerRun", 422, "", at(asking), M{"step": "ok", "value": "perhaps"})
	w.spoken(o, "answerRun", 200, "", at(asking), M{"step": "ok", "value": "yes", "reason": "why not"})
	w.spoken(o, "getRun", 200, "?wait=20s", at(asking), nil)
	w.spoken(o, "cancelRun", 409, "", at(asking), nil)
	for _, verb := range []string{"cancelRun", "deleteRun"} {
		w.spoken(o, verb, 200, "", at(w.spoken(o, "startRun", 202, "", nil, M{"script": "output slow \"x\""})), M{})
	}
	failed := w.spoken(o, "startRun", 200, "?wait=20s", nil, M{"script": "a = echo \"x\"\nrequire a == \"y\" else \"no\"\noutput a"})
	w.spoken(o, "getRunSnapshot", 200, "", at(failed), nil)
	w.spoken(o, "startRun", 422, "", nil, M{"script": "output ecko \"x\""})
	w.spoken(o, "startRun", 400, "", nil, M{"scrpt": "x"})
	w.spoken(o, "getRun", 404, "", M{"id": "none"}, nil)
	w.spoken(o, "listRuns", 200, "?limit=1&tag=x&q=script", nil, nil)
	w.spoken(o, "listRuns", 200, "", nil, nil)
	for _, v := range []M{first, asking, failed} {
		w.spoken(o, "runEvents", 200, "?limit=2", at(v), nil)
		w.spoken(o, "runEvents", 200, "?after=1", at(v), nil)
		w.spoken(o, "getRunContext", 200, "", at(v), nil)
		w.spoken(o, "getRunSnapshot", 200, "?seq=2", at(v), nil)
		w.spoken(o, "listArtifacts", 200, "", at(v), nil)
		w.spoken(o, "exportRun", 200, "", at(v), nil)
		steps := w.spoken(o, "listSteps", 200, "", at(v), nil)
		for _, s := range steps["items"].([]any) {
			w.spoken(o, "getStep", 200, "", M{"id": v["id"], "step": s.(M)["path"]}, nil)
			w.spoken(o, "listSteps", 200, "?step="+url.QueryEscape(s.(M)["path"].(string)), at(v), nil)
		}
	}
	w.spoken(o, "runEvents", 200, "", at(first), nil, "Accept", "text/event-stream")
	w.spoken(o, "runEvents", 204, "", at(first), nil, "Accept", "text/event-stream", "Last-Event-ID", "99")
	w.spoken(o, "getStep", 404, "", M{"id": first["id"], "step": "no/ne"}, nil)
	w.spoken(o, "forkRun", 200, "", at(first), M{"from": "b", "dryRun": true})
	w.spoken(o, "forkRun", 200, "", at(first), M{"inputs": M{"who": "Bo"}, "dryRun": true})
	fork := w.spoken(o, "forkRun", 202, "", at(first), M{"inputs": M{"who": "Bo"}})
	w.spoken(o, "getRun", 200, "?wait=20s", at(fork), nil)
	w.spoken(o, "diffRuns", 200, "?with="+fork["id"].(string), at(first), nil)
	edited := w.spoken(o, "forkRun", 202, "", at(first), M{"script": "input who: string\nb = echo \"<<who>>!\"\noutput b"})
	w.spoken(o, "getRun", 200, "?wait=20s", at(edited), nil)
	w.spoken(o, "diffRuns", 200, "?with="+edited["id"].(string), at(first), nil)
	w.spoken(o, "diffRuns", 400, "", at(first), nil)
	file := w.spoken(o, "uploadBlob", 201, "?name=a.txt", nil, "one two", "Content-Type", "text/plain")
	filed := w.spoken(o, "startRun", 200, "?wait=20s", nil, M{"script": "input f: file\noutput f", "inputs": M{"f": M{"sha256": file["sha256"]}}})
	w.spoken(o, "listArtifacts", 200, "", at(filed), nil)
	w.spoken(o, "getArtifact", 200, "", M{"id": filed["id"], "sha256": file["sha256"]}, nil)
	w.spoken(o, "getArtifact", 206, "", M{"id": filed["id"], "sha256": file["sha256"]}, nil, "Range", "bytes=1-2")
	w.spoken(o, "uploadBlob", 415, "", nil, "x", "Content-Type", "multipart/form-data; boundary=x")

	// Orchestrations; the examples of the description are real requests.
	for _, id := range []string{"orchestrate", "orchestrate-sequential", "orchestrate-parallel", "orchestrate-conditional", "orchestrate-map-reduce"} {
		media := o.resolve(t, o.operations[id].said["requestBody"])["content"].(M)["application/json"].(M)
		v := w.spoken(o, id, 200, "?wait=20s", nil, media["example"])
		if v["status"] != "succeeded" {
			t.Errorf("%s: %v", id, v)
		}
		w.spoken(o, "getOrchestration", 200, "", at(v), nil)
		w.spoken(o, id, 422, "", nil, M{"pattern": "nothing"})
	}

	// Templates.
	greet := M{"name": "greeting", "content": "Say hello to {{user.name}}{{mark}}", "category": "c", "description": "d", "tags": []string{"warm"}, "variables": []M{{"name": "user", "type": "object"}, {"name": "mark", "type": "string", "default": "!"}}}
	w.spoken(o, "createTemplate", 201, "", nil, greet)
	w.spoken(o, "createTemplate", 409, "", nil, greet)
	w.spoken(o, "createTemplate", 422, "", nil, M{"name": "bad", "content": "{{a"})
	this := M{"id": "greeting"}
	w.spoken(o, "interpolateTemplate", 200, "", this, M{"variables": M{"user": M{"name": "Ada"}}})
	w.spoken(o, "interpolateTemplate", 422, "", this, M{})
	w.spoken(o, "updateTemplate", 200, "", this, M{"content": "Greet {{user.name}}", "changeDescription": "shorter"})
	w.spoken(o, "updateTemplate", 412, "", this, M{"content": "x"}, "If-Match", `"none"`)
	w.spoken(o, "getTemplate", 200, "", M{"id": "greeting@1"}, nil)
	w.spoken(o, "getTemplate", 404, "", M{"id": "none"}, nil)
	w.spoken(o, "listTemplates", 200, "?tag=warm&category=c&q=gre", nil, nil)
	w.spoken(o, "listTemplateVersions", 200, "?limit=1", this, nil)
	w.spoken(o, "getTemplateVersion", 200, "", M{"id": "greeting", "version": 2}, nil)
	w.spoken(o, "diffTemplate", 200, "?from=1&to=2", this, nil)
	w.spoken(o, "rollbackTemplate", 200, "", this, M{"version": 1})
	w.spoken(o, "deleteTemplate", 204, "", this, nil)

	// Flows, and what editors ask.
	w.spoken(o, "createFlow", 201, "", nil, M{"name": "house/hello", "description": "d", "tags": []string{"x"}, "script": "input who: string = \"x\" \"Who?\"\noutput echo \"hello <<who>>\""})
	w.spoken(o, "createFlow", 422, "", nil, M{"name": "bad", "script": "output ecko \"x\""})
	this = M{"id": "house/hello"}
	w.spoken(o, "updateFlow", 200, "", this, M{"script": "output echo \"hi\"", "draft": true, "changeDescription": "shorter"})
	w.spoken(o, "getFlow", 200, "", this, nil)
	w.spoken(o, "listFlows", 200, "?published=true", nil, nil)
	w.spoken(o, "listFlowVersions", 200, "", this, nil)
	w.spoken(o, "getFlowVersion", 200, "", M{"id": "house/hello", "version": 1}, nil)
	w.spoken(o, "diffFlow", 200, "", this, nil)
	w.spoken(o, "deleteFlow", 204, "", this, nil)
	for _, script := range []string{"output echo \"x\"", "output ecko \"x\"", "let unused = 1\nx = parallel {\n a = echo \"1\"\n}\nif len(x.a) > 1 { b = echo \"y\" } else { c = human.approve \"z\" }\noutput x.a"} {
		w.spoken(o, "check", 200, "", nil, M{"script": script})
		w.spoken(o, "format", 200, "", nil, M{"script": script})
	}
	for _, format := range []string{"json", "mermaid", "dot", "ascii"} {
		w.spoken(o, "graph", 200, "", nil, M{"script": "x = parallel {\n a = echo \"1\"\n b = echo \"2\" retry 2\n}\noutput echo \"<<x.a>>\"", "format": format})
	}
	w.spoken(o, "graph", 200, "", nil, M{"script": ""})
	w.spoken(o, "graph", 422, "", nil, M{"script": "output ecko \"x\""})
	w.spoken(o, "format", 422, "", nil, M{"script": "output \"x"})

	// Agents.
	w.spoken(o, "listAgents", 200, "", nil, nil)
	w.spoken(o, "listAgents", 200, "?use=echo&status=available&effect=think&q=ec", nil, nil)
	for _, name := range []string{"echo", "human", "memory", "slow"} {
		w.spoken(o, "getAgent", 200, "", M{"id": name}, nil)
		w.spoken(o, "getAgentHealth", 200, "?check=true", M{"id": name}, nil)
	}
	w.spoken(o, "getAgent", 404, "", M{"id": "none"}, nil)
	w.spoken(o, "executeAgent", 200, "?wait=20s", M{"id": "echo"}, M{"text": "hello"})
	w.spoken(o, "executeAgent", 202, "", M{"id": "memory"}, M{"callee": "memory.set", "args": M{"path": "a", "value": 1}})
	w.spoken(o, "executeAgent", 400, "", M{"id": "memory"}, M{})
	w.spoken(o, "disableAgent", 200, "", M{"id": "slow"}, M{"reason": "enough"})
	w.spoken(o, "getAgentHealth", 503, "", M{"id": "slow"}, nil)
	w.spoken(o, "enableAgent", 200, "", M{"id": "slow"}, nil)
	w.spoken(o, "unregisterAgent", 403, "", M{"id": "echo"}, nil)
	w.spoken(o, "executeAgent", 422, "", M{"id": "echo"}, M{"text": "x", "args": M{"none": 1}})
	w.spoken(o, "registerAgent", 422, "", nil, M{"name": "weather", "url": "http://localhost:1/"}) // this one takes none
	w.spoken(o, "registerAgent", 400, "", nil, M{"name": "if", "url": "file:///x"})
	g, _ := guests(t)
	g.spoken(o, "registerAgent", 201, "", nil, M{"name": "weather", "url": weather(t, nil)})
	g.spoken(o, "registerAgent", 409, "", nil, M{"name": "weather", "url": weather(t, nil)})
	g.spoken(o, "executeAgent", 200, "?wait=20s", M{"id": "weather"}, M{"args": M{"place": "Rome"}})
	g.spoken(o, "listAgents", 200, "", nil, nil)
	g.spoken(o, "unregisterAgent", 204, "", M{"id": "weather"}, nil)

	// Shared state, accounts and health.
	w.spoken(o, "putContext", 200, "", M{"path": "mood.today"}, M{"value": "calm", "ttl": "8h"})
	w.spoken(o, "mergeContext", 200, "", M{"path": "mood"}, M{"value": M{"later": []any{1, nil, "x"}}})
	w.spoken(o, "putContext", 200, "?scope=flow&flow=f", M{"path": "n"}, M{"value": 1})
	w.spoken(o, "putContext", 412, "", M{"path": "mood"}, M{"value": 1}, "If-Match", `"999"`)
	w.spoken(o, "getContext", 200, "", M{"path": "mood"}, nil)
	w.spoken(o, "getContext", 400, "", M{"path": "a..b"}, nil)
	w.spoken(o, "listContexts", 200, "", nil, nil)
	w.spoken(o, "deleteContext", 204, "", M{"path": "mood.today"}, nil)
	w.spoken(o, "createTicket", 201, "", nil, nil)
	w.spoken(o, "listAudit", 200, "?limit=200", nil, nil)
	w.spoken(o, "getMetrics", 200, "?since=2026-11-27T00:00:00Z", nil, nil)
	w.spoken(o, "getMetrics", 400, "?since=yesterday", nil, nil)
	w.spoken(o, "health", 200, "", nil, nil)

}

// odd are values that have surprised readers of JSON.
var odd = []any{
	nil, true, false, 0, -1, 1, 1e300, -0.5, json.Number("1e999"), json.Number("123456789012345678901234567890"), "", " ", "x", "0", "-1", "null", "é💥\u0000\u202e", "../../etc/passwd", "a@2", "a@0", "%2F", "__proto__",
	"constructor", "{{a}}", "<<a>>", "$&", "a[999999999]", "a.b[0].c", "'; drop table runs; --", "2026-11-27T15:04:05Z", "10m", "-5m", "99999999h", "output echo \"x\"", "output", strings.Repeat("long ", 2000),
	[]any{}, map[string]any{}, []any{nil, []any{[]any{}}}, map[string]any{"": nil, "a": map[string]any{"b": 1}}, map[string]any{"$large": map[string]any{"sha256": "x", "size": 1}}, deep(150), deep(300),
}

func deep(n int) any {
	var v any = "x"
	for range n {
		v = []any{v}
	}
	return v
}

// maker makes values after schemas, and now and then others.
type maker struct {
	*rand.Rand
	t *testing.T
	o *openapi
}

func (m maker) pick(list []any) any { return list[m.IntN(len(list))] }

func (m maker) value(schema any, level int) any {
	s := m.o.resolve(m.t, schema)
	if level > 8 || m.IntN(8) == 0 {
		return m.pick(odd)
	}
	for _, which := range []string{"enum", "anyOf", "oneOf"} {
		list, ok := s[which].([]any)
		switch {
		case !ok || s["properties"] != nil:
		case which == "enum":
			return m.pick(list)
		default:
			return m.value(m.pick(list), level+1)
		}
	}
	kind := s["type"]
	if kinds, ok := kind.([]any); ok {
		kind = m.pick(kinds)
	}
	switch kind {
	case "object":
		v := map[string]any{}
		fields, _ := s["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if slices.Contains(texts(s["required"]), name) && m.IntN(10) > 0 || m.IntN(3) == 0 {
				v[name] = m.value(fields[name], level+1)
			}
		}
		if m.IntN(12) == 0 || fields == nil {
			v[fmt.Sprint(m.pick(odd))] = m.pick(odd)
		}
		return v
	case "array":
		v := []any{}
		for range m.IntN(4) {
			v = append(v, m.value(s["items"], level+1))
		}
		return v
	case "integer", "number":
		return m.pick([]any{0, 1, 2, 3, 50, 200, 1000, -1, 1 << 40})
	case "boolean":
		return m.IntN(2) == 0
	case "null":
		return nil
	case "string":
		return m.pick([]any{"x", "greeting", "f", "output echo \"x\"", "input n: int\noutput \"<<n>>\"", "ok", "output", "1s", "{{a}} {{b.c}}", "echo", "custom"})
	}
	return m.pick(odd)
}

// almost is an example of a body with one field that is another, is missing, or is too many.
func (m maker) almost(media any) any {
	all := []any{}
	if e := at(media, "example"); e != nil {
		all = append(all, e)
	}
	examples, _ := at(media, "examples").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		all = append(all, at(examples[name], "value"))
	}
	if len(all) == 0 {
		return m.pick(odd)
	}
	e := m.pick(all)
	fields, ok := e.(map[string]any)
	if !ok || len(fields) == 0 || m.IntN(3) == 0 {
		return e
	}
	v := maps.Clone(fields)
	name := slices.Sorted(maps.Keys(v))[m.IntN(len(v))]
	switch m.IntN(4) {
	case 0:
		delete(v, name)
	case 1:
		v[fmt.Sprint(m.pick(odd))] = m.pick(odd)
	default:
		v[name] = m.pick(odd)
	}
	return v
}

// Whatever is sent, made after the description and beside it, is answered with a status, and a problem with a code, that the description knows; nothing breaks.
func TestOpenAPIFuzz(t *testing.T) {
	count, seed := 300, uint64(1)
	if os.Getenv("SLOP_LONG") != "" {
		count, seed = 20_000, uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	o := readOpenAPI(t)
	w := newWorld(t)
	m := maker{rand.New(rand.NewPCG(seed, seed)), t, o}
	run := w.run("input who: string\na = echo \"a <<who>>\"\noutput a", M{"who": "x"})["id"]
	open := w.start("ok = human.approve \"Go?\"\nrequire ok == \"yes\" else \"no\"\noutput ok")
	w.want(201, "POST", "/templates", M{"name": "greeting", "content": "Hello {{a}}"})
	w.want(201, "POST", "/flows", M{"name": "f", "script": "output echo \"x\""})
	w.want(200, "PUT", "/contexts/a", M{"value": M{"b": []any{M{"c": 1}}}})
	there := map[string][]any{"id": {run, open, "greeting", "greeting@1", "f", "f@1", "echo"}, "step": {"a", "ok"}, "version": {1, 2}, "path": {"a", "a.b[0].c", "a.b"}, "with": {run, open}}
	ids := slices.Sorted(maps.Keys(o.operations))
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == "events" }) // a socket
	statuses := map[int]int{}
	for i := range count {
		id := ids[m.IntN(len(ids))]
		op := o.operations[id]
		path, query, header := op.path, url.Values{}, http.Header{}
		one := func(name string, schema any) string {
			if known := there[name]; known != nil && m.IntN(3) > 0 {
				return fmt.Sprint(m.pick(known))
			}
			if text, ok := m.value(schema, 4).(string); ok {
				return text
			}
			return fmt.Sprint(m.pick(odd[:40]))
		}
		for _, p := range op.parameters {
			name := p["name"].(string)
			switch {
			case p["in"] == "path":
				text := one(name, p["schema"])
				if text == "" || text == "." || text == ".." {
					text = "none" // of which the client would make another path
				}
				path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(text))
			case m.IntN(3) > 0:
			case p["in"] == "query" && name != "wait":
				query.Add(name, one(name, p["schema"]))
			case p["in"] == "header":
				header.Set(name, strings.Map(func(r rune) rune {
					if r < ' ' || r > '~' {
						return -1
					}
					return r
				}, one(name, p["schema"])))
			}
		}
		if m.IntN(15) == 0 {
			query.Add(fmt.Sprint(m.pick(odd[:40])), "x")
		}
		var body []byte
		if said := op.said["requestBody"]; said != nil {
			content, _ := o.resolve(t, said)["content"].(map[string]any)
			kind := slices.Sorted(maps.Keys(content))[m.IntN(len(content))]
			header.Set("Content-Type", kind)
			v := m.value(at(content, kind, "schema"), 0)
			if m.IntN(3) == 0 {
				v = m.almost(content[kind])
			}
			if text, ok := v.(string); ok && kind != "application/json" {
				body = []byte(text)
			} else if data, err := json.Marshal(v); err == nil {
				body = data
			}
			if kind == "*/*" {
				header.Set("Content-Type", "text/plain")
			}
			if m.IntN(20) == 0 && len(body) > 0 { // cut off
				body = body[:m.IntN(len(body))]
			}
			if m.IntN(30) == 0 {
				header.Set("Content-Type", "application/x-nothing")
			}
		}
		target := strings.TrimSuffix(w.url, server.Root) + path + "?" + query.Encode()
		r, err := http.NewRequestWithContext(t.Context(), op.method, target, bytes.NewReader(body))
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		r.Header = header
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("request %d: %s %s: %v", i, op.method, target, err)
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			t.Fatalf("request %d: %s %s: %v", i, op.method, target, err)
		}
		statuses[answer.StatusCode]++
		what := fmt.Sprintf("request %d, %s: %s %s\n%v\n%.1000s\n%d", i, id, op.method, target, header, body, answer.StatusCode)
		if broken := answer.StatusCode >= 500 && at(op.said, "responses", fmt.Sprint(answer.StatusCode)) == nil; broken {
			t.Errorf("%s: %.1000s", what, text)
		} else if err := o.valid(t, id, answer.StatusCode, answer.Header.Get("Content-Type"), text); err != nil {
			t.Errorf("%s: %.2000v", what, err)
		}
	}
	t.Log(statuses)
	for _, status := range []int{200, 400, 404, 422} {
		if statuses[status] == 0 {
			t.Errorf("none of %d requests was answered with %d: the fuzz does not reach far", count, status)
		}
	}
}
