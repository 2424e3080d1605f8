// Package mcpserver offers flows as tools of a server that speaks the Model Context Protocol.
//
// Each published flow is a tool with the flow's inputs as its arguments; beside them stand tools that work on any flow and any run: run, status, list,
// answer, resume, cancel, check. A run outlives the call that began it, and the server: each answer names its run, and says what it waits for.
package mcpserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/travel"
)

// Flow is a published flow.
type Flow struct {
	Name string
	Doc  string
	Plan *plan.Plan
}

// Host works on runs.
type Host interface {
	runs.Runs
	History(ctx context.Context, id run.ID) (*travel.History, error)
	// Adopt takes up a run that no process is at work on.
	Adopt(ctx context.Context, id run.ID) error
}

// Entry is a run in a list.
type Entry struct {
	Run      run.ID     `json:"run"`
	Flow     string     `json:"flow"`
	Status   run.Status `json:"status"`
	Started  time.Time  `json:"started"`
	Finished time.Time  `json:"finished,omitzero"`
}

// Config of a server.
type Config struct {
	Host    Host
	Flows   []Flow
	Options run.Options // of runs that it begins. Runs with these tags and this pool are those that it shows and steers, and no others.
	Ready   func(p *plan.Plan, inputs map[string]any) error
	List    func(ctx context.Context, limit int) ([]Entry, error)
	Find    func(ctx context.Context, word string) (run.ID, error) // by the beginning of an id
	Check   func(script string) (report any, ok bool)
	Wait    time.Duration // how long a call waits for its run; 0: DefaultWait
	Answers bool          // whether questions can be answered by a tool
	Version string
}

// DefaultWait is below what clients usually wait for.
const DefaultWait = 45 * time.Second

// maxWait is the longest that a call may ask to wait.
const maxWait = 10 * time.Minute

// Server is one server; any number of clients may use it at once.
type Server struct {
	config Config
	sdk    *sdk.Server
}

// New makes the tools.
func New(c Config) (*Server, error) {
	if c.Wait <= 0 {
		c.Wait = DefaultWait
	}
	s := &Server{config: c}
	s.sdk = sdk.NewServer(&sdk.Implementation{Name: "slop", Title: "SLOP flows", Version: cmp.Or(c.Version, "dev")}, &sdk.ServerOptions{
		Instructions: "Each flow is a tool. A run may outlive the call: its id is in the answer, `status` tells how it stands, and a question that waits is answered with `answer`.",
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)), Capabilities: &sdk.ServerCapabilities{},
	})
	reserved := map[string]bool{}
	for _, t := range s.own() {
		reserved[t.tool.Name] = true
		s.add(t.tool, t.handle)
	}
	for _, f := range c.Flows {
		if reserved[f.Name] {
			return nil, fmt.Errorf("a flow cannot be published as `%s`: a tool of the server has that name", f.Name)
		}
		reserved[f.Name] = true
		s.add(&sdk.Tool{
			Name: f.Name, Description: describe(f), InputSchema: inputSchema(f.Plan), OutputSchema: outputSchema(f.Plan.Output), Annotations: hints(f.Plan),
		}, func(ctx context.Context, r *sdk.CallToolRequest, args map[string]any) (any, error) {
			return s.start(ctx, r, f, args, s.config.Wait)
		})
	}
	s.sdk.AddResourceTemplate(&sdk.ResourceTemplate{
		URITemplate: "slop://runs/{id}", Name: "run", Title: "A run", MIMEType: "application/json", Description: "How a run stands: its status, steps, questions and output.",
	}, s.resource)
	return s, nil
}

func describe(f Flow) string {
	text := f.Doc
	if text == "" {
		text = "Runs the flow " + f.Name + "."
	}
	return text + "\n\nThe answer names the run; when it has not ended yet, use `status` with it."
}

// hints say what a flow does to the world.
func hints(p *plan.Plan) *sdk.ToolAnnotations {
	reads := !slices.ContainsFunc(p.Callees, func(s types.Signature) bool { return s.Effect != types.Read && s.Effect != types.Think && !s.Free })
	return &sdk.ToolAnnotations{ReadOnlyHint: reads}
}

// Stdio serves one client on standard input and output, until either ends.
func (s *Server) Stdio(ctx context.Context) error {
	err := s.sdk.Run(ctx, &sdk.StdioTransport{})
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Connect serves one client over a transport of tests.
func (s *Server) Connect(ctx context.Context, t sdk.Transport) (*sdk.ServerSession, error) {
	return s.sdk.Connect(ctx, t, nil)
}

// Handler serves clients by streamable HTTP. Pages of other sites may not use it: a request that names an Origin must come from this machine's own. token,
// when there is one, must be in each request.
func (s *Server) Handler(token string) http.Handler {
	inner := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s.sdk }, &sdk.StreamableHTTPOptions{Stateless: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, origin := range r.Header.Values("Origin") {
			if u, err := url.Parse(origin); err != nil || u.Scheme != "http" && u.Scheme != "https" || !local(u.Hostname()) {
				http.Error(w, "pages of other sites may not use this server", http.StatusForbidden)
				return
			}
		}
		host, _ := url.Parse("//" + r.Host)
		if host == nil || !local(host.Hostname()) {
			http.Error(w, "this server is known by the names of this machine only", http.StatusForbidden)
			return
		}
		if token != "" && r.Header.Get("Authorization") != "Bearer "+token {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "this server needs its token", http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func local(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// handler answers a call: with a value, or with an error, which the client sees as the tool's.
type handler func(ctx context.Context, r *sdk.CallToolRequest, args map[string]any) (any, error)

// failed is the answer of a run that did not succeed: the client sees it, and that it is none to build on.
type failed struct{ answer any }

func (failed) Error() string { return "the run failed" }

func (s *Server) add(t *sdk.Tool, h handler) {
	s.sdk.AddTool(t, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		args := map[string]any{}
		if len(r.Params.Arguments) > 0 {
			if err := json.Unmarshal(r.Params.Arguments, &args); err != nil {
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "the arguments are no object"}
			}
		}
		answer, err := h(ctx, r, args)
		result := &sdk.CallToolResult{Content: []sdk.Content{}}
		var bad failed
		switch {
		case errors.As(err, &bad):
			answer, result.IsError = bad.answer, true
		case err != nil:
			result.IsError = true
			result.Content = append(result.Content, &sdk.TextContent{Text: err.Error()})
			return result, nil
		}
		text, err := json.MarshalIndent(answer, "", " ")
		if err != nil {
			return nil, err
		}
		result.StructuredContent = json.RawMessage(text)
		result.Content = append(result.Content, &sdk.TextContent{Text: string(text)})
		return result, nil
	})
}
