package mcpserver_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/mcpserver"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agents of the tests: echo; one that waits until it is let go; one that fails.
type agents struct{ gate chan struct{} }

func (a agents) Signatures() []types.Signature {
	text := types.Type{Kind: types.String}
	params := []types.Param{{Name: "text", Type: text, Required: true}}
	s := func(name string, effect types.Effect) types.Signature {
		return types.Signature{Name: "test." + name, Params: params, Primary: "text", Text: types.Text, Result: text, Effect: effect}
	}
	return []types.Signature{s("echo", types.Read), s("gate", types.Read), s("fail", types.Read), s("deed", types.Do)}
}

func (a agents) Call(ctx context.Context, c *agent.Call) agent.Reply {
	switch c.Callee.Name {
	case "test.gate":
		select {
		case <-a.gate:
		case <-ctx.Done():
			return agent.Fail(run.Failure, "told to end")
		}
	case "test.fail":
		return agent.Fail(run.Failure, "it cannot")
	}
	return agent.Reply{Value: c.Text}
}

type person struct{}

func (person) Signatures() []types.Signature {
	return []types.Signature{{Name: "human.ask", Kind: types.Ask, Params: []types.Param{{Name: "text", Type: types.Type{Kind: types.String}, Required: true}}, Primary: "text", Text: types.Prompt,
		Result: types.Type{Kind: types.String}, Effect: types.Do}}
}

func (person) Call(context.Context, *agent.Call) agent.Reply { return agent.Reply{} }

// world is an engine on a store, and a server in front of it.
type world struct {
	t      *testing.T
	store  *memory.Store
	engine *engine.Engine
	server *mcpserver.Server
	gate   chan struct{}
}

var scripts = map[string]string{
	"greet": "input name: string \"Whom to greet\"\ninput n: int = 1\nx = test.echo \"Hello <<name>>\"\noutput {text: x, n: n}",
	"ask":   "a = human.ask \"Which colour?\"\noutput test.echo \"It is <<a>>\"",
	"slow":  "a = test.gate \"x\"\noutput a",
	"fail":  "output test.fail \"x\"",
	"read":  "input doc: file\noutput test.echo \"<<doc.name>>: <<doc.text>>\"",
	"deed":  "output test.deed \"x\"",
}

func newWorld(t *testing.T, s *memory.Store) *world {
	w := &world{t: t, store: s, gate: make(chan struct{})}
	r := agent.NewRegistry()
	for name, a := range map[string]agent.Agent{"test": agents{w.gate}, "human": person{}} {
		if err := r.Register(name, a, nil); err != nil {
			t.Fatal(err)
		}
	}
	w.engine = engine.New(engine.Config{Store: s, Registry: r, Pool: "here"})
	t.Cleanup(func() { _ = w.engine.Close(context.Background()) })
	var flows []mcpserver.Flow
	for name, text := range scripts {
		p, diags := lang.Compile(source.NewFile(name+".slop", text), r.Scope())
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		flows = append(flows, mcpserver.Flow{Name: name, Doc: "It is " + name + ".", Plan: p})
	}
	var err error
	w.server, err = mcpserver.New(mcpserver.Config{
		Host: w.engine, Flows: flows, Options: run.Options{Pool: "here", Tags: []string{"mcp"}}, Answers: true,
		Ready: func(*plan.Plan, map[string]any) error { return nil },
		Find: func(_ context.Context, word string) (run.ID, error) {
			if _, err := s.Holder(t.Context(), run.ID(word)); err != nil {
				return "", err
			}
			return run.ID(word), nil
		},
		List: func(ctx context.Context, limit int) ([]mcpserver.Entry, error) {
			entries, _, err := s.List(ctx, store.Filter{Pool: "here", Tag: "mcp", Limit: limit})
			var out []mcpserver.Entry
			for _, e := range entries {
				out = append(out, mcpserver.Entry{Run: e.Run, Flow: e.Flow, Status: e.Status, Started: e.Started})
			}
			return out, err
		},
		Check: func(script string) (any, bool) { return []string{"checked " + script}, false },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// client connects over memory, or to an address.
func (w *world) client(notes func(string), transport sdk.Transport) *sdk.ClientSession {
	w.t.Helper()
	if transport == nil {
		server, client := sdk.NewInMemoryTransports()
		session, err := w.server.Connect(context.Background(), server)
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = session.Close() })
		transport = client
	}
	c := sdk.NewClient(&sdk.Implementation{Name: "tester", Version: "1"}, &sdk.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			if notes != nil {
				notes(r.Params.Message)
			}
		},
	})
	session, err := c.Connect(w.t.Context(), transport, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = session.Close() })
	return session
}

type report struct {
	mcpserver.Report
	bad  bool
	text string
}

func call(t *testing.T, ctx context.Context, c *sdk.ClientSession, tool string, args map[string]any) report {
	t.Helper()
	params := &sdk.CallToolParams{Name: tool, Arguments: args}
	params.SetProgressToken(tool)
	r, err := c.CallTool(ctx, params)
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	out := report{bad: r.IsError}
	if len(r.Content) > 0 {
		out.text = r.Content[0].(*sdk.TextContent).Text
	}
	if r.StructuredContent != nil {
		raw, _ := json.Marshal(r.StructuredContent)
		if err := json.Unmarshal(raw, &out.Report); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	return out
}

// A flow is a tool with the schemas of its inputs and its output; its run is named, whatever comes of it.
func TestFlowsAreTools(t *testing.T) {
	w := newWorld(t, memory.New())
	web := httptest.NewServer(w.server.Handler(""))
	defer web.Close()
	for way, transport := range map[string]sdk.Transport{"memory": nil, "web": &sdk.StreamableClientTransport{Endpoint: web.URL, DisableStandaloneSSE: true}} {
		t.Run(way, func(t *testing.T) {
			c := w.client(nil, transport)
			defer func() { _ = c.Close() }()
			tools, err := c.ListTools(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			byName := map[string]*sdk.Tool{}
			for _, tool := range tools.Tools {
				byName[tool.Name] = tool
			}
			greet := byName["greet"]
			in, _ := json.Marshal(greet.InputSchema)
			out, _ := json.Marshal(greet.OutputSchema)
			if !strings.Contains(string(in), `"required":["name"]`) || !strings.Contains(string(in), "Whom to greet") || !strings.Contains(string(out), `"text":{"type":"string"}`) || !strings.HasPrefix(greet.Description, "It is greet.") {
				t.Errorf("greet: %s\n%s\n%s", greet.Description, in, out)
			}
			if !greet.Annotations.ReadOnlyHint || byName["deed"].Annotations.ReadOnlyHint {
				t.Error("what changes the world is not told from what does not")
			}
			r := call(t, t.Context(), c, "greet", map[string]any{"name": "Ada", "n": 2})
			if raw, _ := json.Marshal(r.Output); r.bad || r.Status != run.Succeeded || string(raw) != `{"n":2,"text":"Hello Ada"}` || r.Run == "" {
				t.Errorf("greet: %+v", r)
			}
			if r := call(t, t.Context(), c, "greet", map[string]any{"nam": "Ada"}); !r.bad || !strings.Contains(r.text, "name") {
				t.Errorf("without its input: %+v", r)
			}
			if r := call(t, t.Context(), c, "fail", nil); !r.bad || r.Status != run.Failed || r.Error != "it cannot" || r.Run == "" {
				t.Errorf("fail: %+v", r)
			}
			if r := call(t, t.Context(), c, "read", map[string]any{"doc": "/etc/passwd"}); r.Output != "doc.txt: /etc/passwd" {
				t.Errorf("a client names a file of this machine: %+v", r)
			}
			if r := call(t, t.Context(), c, "check", map[string]any{"script": "x"}); !strings.Contains(r.text, "checked x") {
				t.Errorf("check: %+v", r)
			}
			listed := func() bool { // the list is derived, and comes a moment behind
				r := call(t, t.Context(), c, "list", nil)
				return strings.Contains(r.text, `"flow": "greet"`) && strings.Contains(r.text, `"status": "failed"`)
			}
			for late := time.Now().Add(20 * time.Second); !listed(); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(late) {
					t.Fatal("the runs are not listed")
				}
			}
		})
	}
}

// A run outlives the call that waits for it, its client, and the server: its id is all that is needed to go on.
func TestRunsOutliveTheirCalls(t *testing.T) {
	s := memory.New()
	w := newWorld(t, s)
	told := make(chan string, 100)
	c := w.client(func(note string) { told <- note }, nil)
	begun := call(t, t.Context(), c, "run", map[string]any{"flow": "slow", "wait": 0})
	if begun.bad || begun.Run == "" || begun.Status == run.Succeeded || begun.Next == "" {
		t.Fatalf("begun: %+v", begun)
	}
	waiting, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = c.CallTool(waiting, &sdk.CallToolParams{Name: "status", Arguments: map[string]any{"run": begun.Run, "wait": 60}})
	}()
	cancel() // the client gives up, and the run goes on
	<-ended
	if r := call(t, t.Context(), c, "status", map[string]any{"run": begun.Run}); r.bad || r.Status != run.Running || len(r.Steps) != 1 {
		t.Errorf("after the call was given up: %+v", r)
	}
	if r := call(t, t.Context(), c, "status", map[string]any{"run": begun.Run, "wait": 0.2}); r.Status != run.Running {
		t.Errorf("the time to wait was over: %+v", r)
	}
	if err := w.engine.Close(t.Context()); err != nil { // the server ends
		t.Fatal(err)
	}
	again := newWorld(t, s)
	c = again.client(func(note string) { told <- note }, nil)
	open := time.AfterFunc(300*time.Millisecond, func() { close(again.gate) }) // what happens before the call watches the run is told to nobody
	defer open.Stop()
	if r := call(t, t.Context(), c, "resume", map[string]any{"run": begun.Run}); r.bad || r.Status != run.Succeeded || r.Output != "x" {
		t.Errorf("resumed: %+v", r)
	}
	late := time.After(30 * time.Second)
	for {
		select {
		case note := <-told:
			if note == "a done" {
				return
			}
		case <-late:
			t.Fatal("the client was not told that the step is done")
		}
	}
}

// A question is part of the answer; the tool `answer` answers it, once, in another process if need be.
func TestQuestions(t *testing.T) {
	s := memory.New()
	w := newWorld(t, s)
	c := w.client(nil, nil)
	asked := call(t, t.Context(), c, "ask", nil)
	if asked.bad || asked.Status != run.Waiting || len(asked.Questions) != 1 || asked.Questions[0].Text != "Which colour?" || asked.Questions[0].Step != "a" || !strings.Contains(asked.Next, "answer") {
		t.Fatalf("asked: %+v", asked)
	}
	if err := w.engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	c = newWorld(t, s).client(nil, nil)
	if r := call(t, t.Context(), c, "answer", map[string]any{"run": asked.Run, "step": "b", "value": "red"}); !r.bad || !strings.Contains(r.text, "asks nothing") {
		t.Errorf("to a step that asks nothing: %+v", r)
	}
	if r := call(t, t.Context(), c, "answer", map[string]any{"run": asked.Run, "step": "a", "value": "red"}); r.bad || r.Output != "It is red" {
		t.Errorf("answered: %+v", r)
	}
	if r := call(t, t.Context(), c, "answer", map[string]any{"run": asked.Run, "step": "a", "value": "blue"}); !r.bad {
		t.Errorf("answered twice: %+v", r)
	}
	read, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "slop://runs/" + string(asked.Run)})
	if err != nil || !strings.Contains(read.Contents[0].Text, `"output": "It is red"`) {
		t.Errorf("its resource: %+v, %v", read, err)
	}
	if _, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "slop://runs/nobody"}); err == nil {
		t.Error("there is a resource of no run")
	}
	second := call(t, t.Context(), c, "ask", nil)
	if r := call(t, t.Context(), c, "cancel", map[string]any{"run": second.Run, "reason": "enough"}); r.bad || r.Status != run.Cancelled {
		t.Errorf("cancelled: %+v", r)
	}
}

// Runs of others are not there for a client.
func TestOtherRunsAreNotShown(t *testing.T) {
	w := newWorld(t, memory.New())
	c := w.client(nil, nil)
	mine := call(t, t.Context(), c, "greet", map[string]any{"name": "Ada"})
	h, err := w.engine.History(t.Context(), mine.Run)
	if err != nil {
		t.Fatal(err)
	}
	other, err := w.engine.Start(t.Context(), h.Plan, map[string]any{"name": "Bob"}, run.Options{Pool: "here"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.engine.Wait(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"status", "resume", "cancel"} {
		if r := call(t, t.Context(), c, tool, map[string]any{"run": other}); !r.bad || !strings.Contains(r.text, "there is no run") {
			t.Errorf("%s: %+v", tool, r)
		}
	}
	if r := call(t, t.Context(), c, "list", nil); strings.Contains(r.text, string(other)) {
		t.Errorf("list: %s", r.text)
	}
}

// A page of another site, a name that leads here, and whoever has no token are refused.
func TestWhoMayUseTheServer(t *testing.T) {
	w := newWorld(t, memory.New())
	handler := w.server.Handler("correct-horse")
	for _, c := range []struct {
		origin, host, token string
		want                int
	}{
		{"", "127.0.0.1:80", "Bearer correct-horse", 200}, {"http://localhost:3000", "localhost:80", "Bearer correct-horse", 200},
		{"https://evil.example", "127.0.0.1", "Bearer correct-horse", 403}, {"null", "127.0.0.1", "Bearer correct-horse", 403}, {"http://127.0.0.1.evil.example", "127.0.0.1", "Bearer correct-horse", 403},
		{"http://localhost.evil.example", "127.0.0.1", "Bearer correct-horse", 403}, {"", "evil.example", "Bearer correct-horse", 403},
		{"", "127.0.0.1", "", 401}, {"", "127.0.0.1", "Bearer wrong", 401},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`))
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		r = r.WithContext(ctx)
		r.Host = c.host
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.token != "" {
			r.Header.Set("Authorization", c.token)
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		cancel()
		if rec.Code != c.want {
			t.Errorf("%+v: %d %s", c, rec.Code, rec.Body)
		}
	}
}
