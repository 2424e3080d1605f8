package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/mcp"
)

// TestMain is also the program of servers that run as a process of their own.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "fake-mcp" {
		fake(os.Args[2])
		return
	}
	os.Setenv("FAKE_TOKEN", "correct-horse-battery")
	goleak.VerifyTestMain(m)
}

func object(properties string, required ...string) json.RawMessage {
	list, _ := json.Marshal(required)
	if required == nil {
		list = []byte("[]")
	}
	return json.RawMessage(`{"type":"object","properties":{` + properties + `},"required":` + string(list) + `}`)
}

// tools is a server with a tool for each thing that a tool may do.
func tools() *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "everything", Version: "1.2.3"}, nil)
	text := func(t string) *sdk.CallToolResult {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: t}}}
	}
	args := func(r *sdk.CallToolRequest) map[string]any {
		var a map[string]any
		_ = json.Unmarshal(r.Params.Arguments, &a)
		return a
	}
	add := func(name string, in, out json.RawMessage, a *sdk.ToolAnnotations, h sdk.ToolHandler) {
		t := &sdk.Tool{Name: name, Description: "It is\nthe tool " + name + ".", InputSchema: in, Annotations: a}
		if out != nil {
			t.OutputSchema = out
		}
		s.AddTool(t, h)
	}
	add("say", object(`"text":{"type":"string"},"times":{"type":"integer","description":"How often."}`, "text"), nil, &sdk.ToolAnnotations{ReadOnlyHint: true}, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return text(fmt.Sprint(args(r)["text"], args(r)["times"])), nil
	})
	add("put-file.now", object(`"file-name":{"type":"string"},"file.name":{"type":"string"},"tags":{"type":"array","items":{"type":"string"}}`, "file-name"), nil, &sdk.ToolAnnotations{IdempotentHint: true}, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return text(string(r.Params.Arguments)), nil
	})
	add("put.file.now", object(``), nil, nil, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return text("other"), nil })
	add("open", json.RawMessage(`{"type":"object","additionalProperties":true}`), nil, nil, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return text(string(r.Params.Arguments)), nil
	})
	weather := object(`"city":{"type":"string"},"degrees":{"type":"number","minimum":-90},"wind":{"type":["string","null"]}`, "city", "degrees")
	add("weather", object(`"city":{"type":"string"}`, "city"), weather, nil, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		switch city := args(r)["city"]; city {
		case "Nowhere":
			return &sdk.CallToolResult{StructuredContent: map[string]any{"city": city, "degrees": -300}, Content: []sdk.Content{}}, nil
		case "Silent":
			return text("no JSON here"), nil
		case "Old":
			return text(`{"city":"Old","degrees":3}`), nil
		default:
			return &sdk.CallToolResult{StructuredContent: map[string]any{"city": city, "degrees": 7.5}, Content: []sdk.Content{}}, nil
		}
	})
	add("fail", object(``), nil, nil, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		r := text("the disk is full")
		r.IsError = true
		return r, nil
	})
	add("media", object(``), nil, nil, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{
			&sdk.TextContent{Text: "a picture"}, &sdk.ImageContent{Data: []byte("PNG"), MIMEType: "image/png"},
			&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "file:///notes.md", MIMEType: "text/markdown", Text: "# notes"}},
			&sdk.ResourceLink{URI: "https://example.com/", Name: "home"},
		}}, nil
	})
	add("large", object(``), nil, nil, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return text(strings.Repeat("ä", 3<<19)), nil // 3 MiB
	})
	add("slow", object(``), nil, nil, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		if token := r.Params.GetProgressToken(); token != nil {
			_ = r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: 1, Total: 4, Message: "begun"})
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second): // the library does not tell a tool when a request without a session is given up
		}
		return nil, errors.New("it was told to end")
	})
	return s
}

// inMemory connects to s anew at each dial.
func inMemory(t *testing.T, s *sdk.Server) func() sdk.Transport {
	return func() sdk.Transport {
		server, client := sdk.NewInMemoryTransports()
		session, err := s.Connect(context.Background(), server, nil)
		if err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { _ = session.Close() })
		return client
	}
}

func newServer(t *testing.T, c mcp.Config) *mcp.Server {
	if c.Name == "" {
		c.Name = "every"
	}
	s := mcp.New(c)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// caller calls the tools of a server as a script does.
type caller struct {
	t          *testing.T
	server     *mcp.Server
	signatures map[string]types.Signature
	notes      func(string)
}

func learn(t *testing.T, c mcp.Config) *caller {
	t.Helper()
	s := newServer(t, c)
	if _, err := s.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	return callerOf(t, s)
}

func callerOf(t *testing.T, s *mcp.Server) *caller {
	c := &caller{t: t, server: s, signatures: map[string]types.Signature{}}
	for _, sig := range s.Signatures() {
		c.signatures[sig.Name] = sig
	}
	return c
}

func (c *caller) call(ctx context.Context, name string, args map[string]any, answer *run.Answer) agent.Reply {
	c.t.Helper()
	sig, ok := c.signatures[name]
	if !ok {
		c.t.Fatalf("there is no %s", name)
	}
	return c.server.Call(ctx, &agent.Call{
		Callee: &sig, Args: args, Answer: answer, Hide: func(string, string) {},
		Emit: func(p agent.Progress) {
			if c.notes != nil {
				c.notes(p.Note)
			}
		},
		Secret: func(name string) (string, error) { return "value of " + name, nil },
	})
}

func value(t *testing.T, r agent.Reply) any {
	t.Helper()
	if r.Outcome != "" {
		t.Fatalf("%s: %s", r.Outcome, r.Message)
	}
	return r.Value
}

// serve puts a server on the web.
func serve(t *testing.T, s *sdk.Server, o *sdk.StreamableHTTPOptions) http.Handler {
	t.Cleanup(func() {
		for session := range s.Sessions() {
			_ = session.Close()
		}
	})
	return sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s }, o)
}

// ways are a server as both transports reach it, on the web in the newest manner and in the one before.
func ways(t *testing.T, s *sdk.Server) map[string]mcp.Config {
	out := map[string]mcp.Config{"stdio": {Transport: inMemory(t, s)}}
	for way, o := range map[string]*sdk.StreamableHTTPOptions{"web": {Stateless: true}, "web before": nil} {
		web := httptest.NewServer(serve(t, s, o))
		t.Cleanup(web.Close)
		out[way] = mcp.Config{URL: web.URL}
	}
	return out
}

func TestTools(t *testing.T) {
	t.Parallel()
	for way, config := range ways(t, tools()) {
		t.Run(way, func(t *testing.T) {
			config.Cache = t.TempDir()
			c := learn(t, config)
			if l := c.server.Listing(); l.Server != "everything" || l.Version != "1.2.3" || len(l.Tools) != 9 {
				t.Errorf("it says %s %s and %d tools", l.Server, l.Version, len(l.Tools))
			}
			if got := value(t, c.call(t.Context(), "every.say", map[string]any{"text": "hi", "times": 3}, nil)); got != "hi3" {
				t.Errorf("say: %v", got)
			}
			if got := value(t, c.call(t.Context(), "every.put_file_now", map[string]any{"file_name": types.Secret{Name: "x"}, "file_name_2": "b", "tags": []any{"c"}}, nil)); got != `{"file-name":"value of x","file.name":"b","tags":["c"]}` {
				t.Errorf("put_file_now: %v", got)
			}
			if got := value(t, c.call(t.Context(), "every.put_file_now_2", nil, nil)); got != "other" {
				t.Errorf("put_file_now_2: %v", got)
			}
			if got := value(t, c.call(t.Context(), "every.open", map[string]any{"arguments": map[string]any{"a": 1}}, nil)); got != `{"a":1}` {
				t.Errorf("open: %v", got)
			}
			if diff := cmp.Diff(map[string]any{"city": "Oslo", "degrees": 7.5}, value(t, c.call(t.Context(), "every.weather", map[string]any{"city": "Oslo"}, nil))); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]any{"city": "Old", "degrees": 3}, value(t, c.call(t.Context(), "every.weather", map[string]any{"city": "Old"}, nil))); diff != "" {
				t.Error(diff)
			}
			for city, want := range map[string]string{"Nowhere": "does not fit the schema", "Silent": "structured content, and it did not"} {
				if r := c.call(t.Context(), "every.weather", map[string]any{"city": city}, nil); r.Outcome != run.Failure || !strings.Contains(r.Message, want) {
					t.Errorf("%s: %+v", city, r)
				}
			}
			if r := c.call(t.Context(), "every.fail", nil, nil); r.Outcome != run.Failure || r.Message != "the disk is full" {
				t.Errorf("fail: %+v", r)
			}
			media := value(t, c.call(t.Context(), "every.media", nil, nil)).([]any)
			image, notes, link := media[1].(types.FileValue), media[2].(types.FileValue), media[3].(map[string]any)
			if media[0] != "a picture" || image.Name != "image-2.png" || string(image.Data) != "PNG" || notes.Name != "notes.md" || string(notes.Data) != "# notes" || link["uri"] != "https://example.com/" {
				t.Errorf("media: %+v", media)
			}
			if got := value(t, c.call(t.Context(), "every.large", nil, nil)).(string); len(got) != 3<<20 {
				t.Errorf("large: %d bytes", len(got))
			}
			cancelled, cancel := context.WithCancel(t.Context())
			var told atomic.Value
			c.notes = func(note string) { told.Store(note); cancel() }
			if r := c.call(cancelled, "every.slow", nil, nil); r.Outcome != run.Stopped || told.Load() != "1 of 4 begun" {
				t.Errorf("slow: %+v, told %v", r, told.Load())
			}
			again := callerOf(t, newServer(t, config)) // knows all that from the disk
			if diff := cmp.Diff(c.signatures, again.signatures); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	s := tools()
	sig := func(c mcp.Config, name string) types.Signature {
		t.Helper()
		c.Transport = inMemory(t, s)
		got, ok := learn(t, c).signatures[name]
		if !ok {
			t.Fatalf("there is no %s", name)
		}
		return got
	}
	say := sig(mcp.Config{}, "every.say")
	if say.Effect != types.Do || say.Primary != "text" || say.Text != types.Text || !say.World || say.Doc != "It is the tool say." || say.Result.Kind != types.Any {
		t.Errorf("say: %+v", say)
	}
	if p := say.Params; len(p) != 2 || p[0].Name != "text" || !p[0].Required || p[1].Name != "times" || p[1].Type.Kind != types.Int || !p[1].Type.Optional || p[1].Doc != "How often." {
		t.Errorf("say: %+v", p)
	}
	if got := sig(mcp.Config{Trusted: true}, "every.say"); got.Effect != types.Read {
		t.Errorf("trusted, say is %s", got.Effect)
	}
	if got := sig(mcp.Config{Trusted: true}, "every.put_file_now"); got.Effect != types.Do || !got.Idempotent || got.Use != "every.put-file.now" {
		t.Errorf("trusted, put-file.now is %+v", got)
	}
	if got := sig(mcp.Config{}, "every.put_file_now"); got.Idempotent {
		t.Error("what a server that is not trusted says counts")
	}
	if got := sig(mcp.Config{Effects: map[string]types.Effect{"put-file.now": types.Think, "say": types.Read}, Idempotent: []string{"put_file_now"}}, "every.put_file_now"); got.Effect != types.Think || !got.Idempotent {
		t.Errorf("slop.toml does not decide: %+v", got)
	}
	weather := sig(mcp.Config{}, "every.weather")
	if got := weather.Result.String(); !strings.Contains(got, "city: string") || !strings.Contains(got, "degrees: float") {
		t.Errorf("weather gives %s", got)
	}
	only := learn(t, mcp.Config{Transport: inMemory(t, s), Allow: []string{"put*", "say"}, Deny: []string{"put.*"}})
	if len(only.signatures) != 2 || only.signatures["every.put_file_now"].Name == "" {
		t.Errorf("allowed are %v", only.signatures)
	}
}

// A server that says that its tools changed is listed anew: what is planned from then on takes them as they are, and a plan from before is told.
func TestToolsThatChangeMeanwhile(t *testing.T) {
	t.Parallel()
	h := func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "done"}}}, nil
	}
	for _, way := range []string{"stdio", "web"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := sdk.NewServer(&sdk.Implementation{Name: "s", Version: "1"}, nil)
			s.AddTool(&sdk.Tool{Name: "a", InputSchema: object(`"x":{"type":"string"}`)}, h)
			heard := make(chan struct{}, 10)
			config := ways(t, s)[way]
			config.Cache, config.Changed = t.TempDir(), func() { heard <- struct{}{} }
			before := learn(t, config)
			s.AddTool(&sdk.Tool{Name: "a", InputSchema: object(`"x":{"type":"integer"}`)}, h)
			s.AddTool(&sdk.Tool{Name: "b", InputSchema: object(``)}, h)
			for len(before.server.Signatures()) < 2 {
				select {
				case <-heard:
				case <-time.After(time.Minute):
					t.Fatal("nobody heard of the change")
				}
			}
			if r := before.call(t.Context(), "every.a", map[string]any{"x": "1"}, nil); r.Outcome != run.Failure || !strings.Contains(r.Message, "has changed since this run was planned") {
				t.Errorf("a, as it was: %+v", r)
			}
			after := callerOf(t, before.server)
			for name, args := range map[string]map[string]any{"every.a": {"x": 1}, "every.b": nil} {
				if got := value(t, after.call(t.Context(), name, args, nil)); got != "done" {
					t.Errorf("%s: %v", name, got)
				}
			}
			if kept := newServer(t, config); len(kept.Signatures()) != 2 {
				t.Errorf("kept on disk are %v", kept.Signatures())
			}
		})
	}
}

// A plan pins what a tool was: one that is another when it is called fails, and so does one that is gone.
func TestAToolThatChanged(t *testing.T) {
	t.Parallel()
	s := sdk.NewServer(&sdk.Implementation{Name: "s", Version: "1"}, nil)
	h := func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "done"}}}, nil
	}
	s.AddTool(&sdk.Tool{Name: "a", InputSchema: object(`"x":{"type":"string"}`)}, h)
	s.AddTool(&sdk.Tool{Name: "b", InputSchema: object(``)}, h)
	config := mcp.Config{Transport: inMemory(t, s), Cache: t.TempDir()}
	learn(t, config)
	before := callerOf(t, newServer(t, config))
	s.AddTool(&sdk.Tool{Name: "a", InputSchema: object(`"x":{"type":"integer"}`)}, h)
	s.RemoveTools("b")
	if r := before.call(t.Context(), "every.a", map[string]any{"x": "1"}, nil); r.Outcome != run.Failure || !strings.Contains(r.Message, "has changed since this run was planned") {
		t.Errorf("a: %+v", r)
	}
	if r := before.call(t.Context(), "every.b", nil, nil); r.Outcome != run.Failure || !strings.Contains(r.Message, "has no tool") {
		t.Errorf("b: %+v", r)
	}
	after := callerOf(t, newServer(t, config)) // the listing was made anew when it was called
	if got := value(t, after.call(t.Context(), "every.a", map[string]any{"x": 1}, nil)); got != "done" {
		t.Errorf("a, anew: %v", got)
	}
}

// asking is a server whose tool asks two things, in the manner that the client knows.
func asking(calls *atomic.Int32) *sdk.Server {
	s := sdk.NewServer(&sdk.Implementation{Name: "s", Version: "1"}, nil)
	city := &sdk.ElicitParams{Mode: "form", Message: "Where to?", RequestedSchema: object(`"city":{"type":"string","description":"A city."},"seats":{"type":"integer"}`, "city")}
	page := &sdk.ElicitParams{Mode: "url", Message: "Sign in.", URL: "https://example.com/login", ElicitationID: "1"}
	s.AddTool(&sdk.Tool{Name: "book", InputSchema: object(``)}, func(_ context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		calls.Add(1)
		answer, ok := r.Params.InputResponses["a"].(*sdk.ElicitResult)
		login, _ := r.Params.InputResponses["b"].(*sdk.ElicitResult)
		if !ok {
			return &sdk.CallToolResult{InputRequests: sdk.InputRequestMap{"b": page, "a": city}, RequestState: "sealed"}, nil
		}
		text := fmt.Sprintf("%s %v, login %s, state %q", answer.Action, answer.Content, login.Action, r.Params.RequestState)
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}}, nil
	})
	s.AddTool(&sdk.Tool{Name: "ask", InputSchema: object(`"who":{"type":"string"}`)}, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		calls.Add(1)
		a, err := r.Session.Elicit(ctx, city)
		if err != nil {
			return nil, err
		}
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: fmt.Sprintf("%s %v", a.Action, a.Content)}}}, nil
	})
	return s
}

// A result that asks for input ends the attempt; people are asked one thing after the other, and the tool is called again with all they said.
func TestInputRequired(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	for way, config := range ways(t, asking(&calls)) {
		t.Run(way, func(t *testing.T) {
			calls.Store(0)
			c := learn(t, config)
			if p := c.server.Listing().Protocol; (p < "2026-07-28") != (way == "web before") {
				t.Fatalf("this way speaks %s", p)
			}
			if way == "web before" { // the library of the server asks both at once, in the older manner
				r := c.call(t.Context(), "every.book", nil, nil)
				for asked := 0; r.Outcome == run.Asks && asked < 2; asked++ {
					var told any = run.Decline
					if strings.Contains(r.Form.Text, "Where to?") {
						told = map[string]any{"city": "Oslo"}
					}
					r = c.call(t.Context(), "every.book", nil, &run.Answer{Token: r.Token, Value: told})
				}
				if got := value(t, r); got != `accept map[city:Oslo], login decline, state "sealed"` {
					t.Errorf("it ended with %v", got)
				}
				return
			}
			first := c.call(t.Context(), "every.book", nil, nil)
			if first.Outcome != run.Asks || first.Form.Text != "The MCP server every asks: Where to?" || first.Form.Kind != "form" || len(first.Form.Type.Fields) != 2 {
				t.Fatalf("first: %+v %+v", first, first.Form)
			}
			second := c.call(t.Context(), "every.book", nil, &run.Answer{Token: first.Token, Value: map[string]any{"city": "Oslo", "seats": nil}})
			if second.Outcome != run.Asks || !strings.Contains(second.Form.Text, "https://example.com/login") {
				t.Fatalf("second: %+v", second)
			}
			if calls.Load() != 1 {
				t.Errorf("the tool was called %d times before people had told all", calls.Load())
			}
			third := c.call(t.Context(), "every.book", nil, &run.Answer{Token: second.Token, Value: run.Decline})
			if got := value(t, third); got != `accept map[city:Oslo], login decline, state "sealed"` || calls.Load() != 2 {
				t.Errorf("third: %v after %d calls", got, calls.Load())
			}
		})
	}
}

// A server of the older manner asks in the midst of a call: the call ends, and is made anew when people have answered.
func TestElicitation(t *testing.T) {
	t.Parallel()
	c := learn(t, fakeServer(t, "asks"))
	first := c.call(t.Context(), "every.ask", nil, nil)
	if first.Outcome != run.Asks || first.Form.Text != "The MCP server every asks: Where to?" {
		t.Fatalf("first: %+v", first)
	}
	second := c.call(t.Context(), "every.ask", nil, &run.Answer{Token: first.Token, Value: map[string]any{"city": "Oslo"}})
	if got := value(t, second); got != "accept map[city:Oslo]" {
		t.Errorf("second: %v", got)
	}
	if got := value(t, c.call(t.Context(), "every.ask", nil, &run.Answer{Token: first.Token, Value: run.Decline})); got != "decline map[]" {
		t.Errorf("declined: %v", got)
	}
}

// fakeServer runs this program as a server that does what role says.
func fakeServer(t *testing.T, role string) mcp.Config {
	return mcp.Config{Command: []string{os.Args[0], "fake-mcp", role}, Env: []string{"FAKE_TOKEN"}, Log: filepath.Join(t.TempDir(), "log", "every.log"), Cache: filepath.Join(t.TempDir(), "mcp")}
}

// Several calls under way at once, of which one asks: the others go on, and nobody is told what another asked.
func TestElicitationAmongOthers(t *testing.T) {
	t.Parallel()
	c := learn(t, fakeServer(t, "asks"))
	var wg sync.WaitGroup
	replies := make([]agent.Reply, 8)
	for i := range replies {
		wg.Add(1)
		go func() {
			defer wg.Done()
			replies[i] = c.call(t.Context(), "every.book", nil, nil) // the older manner, done by the library of the server
			if i == 0 {
				replies[i] = c.call(t.Context(), "every.ask", nil, nil)
			}
		}()
	}
	wg.Wait()
	for i, r := range replies {
		if r.Outcome != run.Asks && !(r.Outcome == run.Failure && strings.Contains(r.Message, "limit = 1")) {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// Programs print what is no message, take long to start, end, hang and flood. The call fails as what it is, nothing of theirs stays, and another server,
// or the same one started anew, serves the next call.
func TestMisbehaviour(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]struct {
		outcome run.Outcome
		message string
		again   bool // the next call is served at once
	}{
		"garbage":    {"", "after all", true},
		"slow start": {"", "done", true},
		"mute":       {"", "done", true},
		"exit":       {run.Unavailable, "it ended with exit code 7", false},
		"crash":      {run.Unavailable, "a signal ended it: killed", false},
		"hang":       {run.Timeout, "timeout under [mcp.every]", true},
		"deaf":       {run.Timeout, "timeout under [mcp.every]", true},
		"flood":      {run.Unavailable, "a line of more than 48 MiB", false},
		"wrong":      {run.Failure, "is not the protocol", true},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			config := fakeServer(t, role)
			config.Timeout = 30 * time.Second
			config.Start = 30 * time.Second
			switch role {
			case "hang", "deaf":
				config.Timeout = 300 * time.Millisecond
			case "mute":
				config.Start = 500 * time.Millisecond
			}
			c := learn(t, config)
			r := c.call(t.Context(), "every.go", nil, nil)
			text, _ := r.Value.(string)
			if r.Outcome != want.outcome || !strings.Contains(r.Message+text, want.message) {
				t.Errorf("got %s: %s%s", r.Outcome, r.Message, text)
			}
			next := c.call(t.Context(), "every.well", nil, nil)
			for next.Outcome == run.Unavailable && !want.again { // it is left alone for a moment, and says how long
				if next.RetryAfter <= 0 || next.RetryAfter > time.Minute {
					t.Fatalf("the next: %+v", next)
				}
				time.Sleep(next.RetryAfter)
				next = c.call(t.Context(), "every.well", nil, nil)
			}
			if next.Value != "well" {
				t.Errorf("the next: %+v", next)
			}
			if log, _ := os.ReadFile(config.Log); strings.Contains(string(log), "correct-horse") || role == "crash" && !strings.Contains(string(log), "the key is ‹FAKE_TOKEN›") {
				t.Errorf("the log holds %q", log)
			}
		})
	}
}

func TestAServerThatDoesNotStart(t *testing.T) {
	t.Parallel()
	s := newServer(t, fakeServer(t, "no start"))
	if _, err := s.Learn(t.Context()); err == nil || !strings.Contains(err.Error(), "exit code 3") || !strings.Contains(err.Error(), "every.log") || strings.Contains(err.Error(), "correct") {
		t.Errorf("it says %v", err)
	}
	missing := newServer(t, mcp.Config{Command: []string{"no-such-program-of-mcp"}})
	if _, err := missing.Learn(t.Context()); err == nil || !strings.Contains(err.Error(), "install it") {
		t.Errorf("it says %v", err)
	}
	if err := missing.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "install it") {
		t.Errorf("its check says %v", err)
	}
}

// A server on the web is asked with the headers that slop.toml names; a refusal is told apart from an outage.
func TestWeb(t *testing.T) {
	t.Parallel()
	status := atomic.Int32{}
	handler := serve(t, tools(), nil)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer correct-horse-battery" || r.Header.Get("X-Team") != "blue team" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if code := int(status.Load()); code != 0 {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer web.Close()
	env := sync.Map{}
	env.Store("KEY", "correct-horse-battery")
	env.Store("TEAM", "blue team")
	config := mcp.Config{URL: web.URL, Token: "KEY", Headers: map[string]string{"X-Team": "TEAM"}, Getenv: func(name string) (string, bool) {
		v, ok := env.Load(name)
		text, _ := v.(string)
		return text, ok
	}}
	c := learn(t, config)
	if got := value(t, c.call(t.Context(), "every.say", map[string]any{"text": "hi"}, nil)); got != "hi<nil>" {
		t.Errorf("say: %v", got)
	}
	for code, want := range map[int]run.Outcome{429: run.RateLimited, 503: run.Unavailable, 403: run.Denied} {
		status.Store(int32(code))
		r := c.call(t.Context(), "every.say", map[string]any{"text": "hi"}, nil)
		if r.Outcome != want || r.RetryAfter != 7*time.Second {
			t.Errorf("%d: %+v", code, r)
		}
		status.Store(0)
		for r = c.call(t.Context(), "every.say", map[string]any{"text": "hi"}, nil); r.Outcome == run.Unavailable && r.RetryAfter > 0; r = c.call(t.Context(), "every.say", map[string]any{"text": "hi"}, nil) {
			time.Sleep(r.RetryAfter)
		}
		if r.Outcome != "" {
			t.Errorf("after %d: %+v", code, r)
		}
	}
	env.Store("KEY", "wrong-horse-battery")
	if _, err := newServer(t, config).Learn(t.Context()); err == nil || !strings.Contains(err.Error(), "401") || !strings.Contains(err.Error(), "token_env") {
		t.Errorf("it says %v", err)
	}
	for header, want := range map[string]string{
		`Bearer resource_metadata="https://x.example/.well-known/oauth-protected-resource"`: "by OAuth, and slop opens no browser to sign in",
		`Bearer error="insufficient_scope", scope="write"`:                                  "the token may do less than this needs",
		`Negotiate`: "it wants a key",
		"":          "it wants a key",
	} {
		closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if header != "" {
				w.Header().Set("WWW-Authenticate", header)
			}
			w.WriteHeader(http.StatusUnauthorized)
		}))
		_, err := newServer(t, mcp.Config{Name: "wiki", URL: closed.URL}).Learn(t.Context())
		closed.Close()
		if err == nil || !strings.Contains(err.Error(), "401 Unauthorized: ") || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "under [mcp.wiki] in slop.toml") {
			t.Errorf("%s: it says %v", header, err)
		}
	}
	env.Delete("KEY")
	if r := c.call(t.Context(), "every.say", nil, nil); r.Outcome != run.Denied || !strings.Contains(r.Message, "set KEY") {
		t.Errorf("without a key: %+v", r)
	}
	gone := newServer(t, mcp.Config{URL: "http://127.0.0.1:1/mcp"})
	if _, err := gone.Learn(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("it says %v", err)
	}
}
