package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

type ownTool struct {
	tool   *sdk.Tool
	handle handler
}

func object(properties string, required string) json.RawMessage {
	return json.RawMessage(`{"type":"object","properties":{` + properties + `},"required":[` + required + `],"additionalProperties":false}`)
}

const (
	runProperty  = `"run":{"type":"string","description":"The id of the run, or its beginning."}`
	waitProperty = `"wait":{"type":"number","minimum":0,"description":"How many seconds to wait for its end or a question; 0 does not wait."}`
)

// own are the tools beside the flows.
func (s *Server) own() []ownTool {
	reads := &sdk.ToolAnnotations{ReadOnlyHint: true}
	var names []string
	for _, f := range s.config.Flows {
		names = append(names, f.Name)
	}
	tools := []ownTool{
		{&sdk.Tool{Name: "run", Description: "Begin a run of a published flow: " + strings.Join(names, ", ") + ".", OutputSchema: outputSchema(types.Type{}),
			InputSchema: object(`"flow":{"type":"string"},"inputs":{"type":"object","description":"The inputs of the flow by name."},`+waitProperty, `"flow"`)}, s.run},
		{&sdk.Tool{Name: "status", Description: "How a run stands: its steps, its questions, its output.", Annotations: reads, OutputSchema: outputSchema(types.Type{}),
			InputSchema: object(runProperty+`,`+waitProperty, `"run"`)}, s.status},
		{&sdk.Tool{Name: "list", Description: "The published flows, and the latest runs that were begun by this server.", Annotations: reads,
			InputSchema: object(`"limit":{"type":"integer","minimum":1,"maximum":100}`, ``)}, s.list},
		{&sdk.Tool{Name: "resume", Description: "Go on with a run that nobody is at work on, or that is paused.", OutputSchema: outputSchema(types.Type{}),
			InputSchema: object(runProperty+`,`+waitProperty, `"run"`)}, s.resume},
		{&sdk.Tool{Name: "cancel", Description: "End a run for good. Giving up a call does not.", OutputSchema: outputSchema(types.Type{}),
			InputSchema: object(runProperty+`,"reason":{"type":"string"}`, `"run"`)}, s.cancel},
	}
	if s.config.Answers {
		tools = append(tools, ownTool{&sdk.Tool{Name: "answer", Description: "Answer a question that a run asks. Ask your user first: the run wants to know it from a person.",
			OutputSchema: outputSchema(types.Type{}), InputSchema: object(runProperty+`,"step":{"type":"string","description":"The step that asks."},`+
				`"value":{"description":"The answer, as the question wants it."},"reason":{"type":"string"},`+waitProperty, `"run","step","value"`)}, s.answer})
	}
	if s.config.Check != nil {
		tools = append(tools, ownTool{&sdk.Tool{Name: "check", Description: "Find the mistakes in the text of a SLOP script. Nothing is run.", Annotations: reads,
			InputSchema: object(`"script":{"type":"string"}`, `"script"`)}, s.check})
	}
	return tools
}

// Report is what a client is told of a run.
type Report struct {
	Run       run.ID     `json:"run"`
	Flow      string     `json:"flow"`
	Status    run.Status `json:"status"`
	Output    any        `json:"output,omitempty"`
	Error     string     `json:"error,omitempty"`
	Questions []Question `json:"questions,omitempty"`
	Steps     []Step     `json:"steps,omitempty"`
	Next      string     `json:"next,omitempty"` // what can be done
}

// Question waits for an answer.
type Question struct {
	Step    run.Path        `json:"step"`
	Kind    string          `json:"kind"`
	Text    string          `json:"text"`
	Choices []string        `json:"choices,omitempty"`
	Schema  json.RawMessage `json:"schema,omitempty"`
	Actions []run.Action    `json:"actions,omitempty"` // of an approval: the calls that a yes lets happen, as they will be made
}

// Step is a call of a run.
type Step struct {
	Path   run.Path        `json:"path"`
	Agent  string          `json:"agent"`
	Status runs.StepStatus `json:"status"`
	Error  string          `json:"error,omitempty"`
}

func (s *Server) run(ctx context.Context, r *sdk.CallToolRequest, args map[string]any) (any, error) {
	name, _ := args["flow"].(string)
	i := slices.IndexFunc(s.config.Flows, func(f Flow) bool { return f.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("no flow %q is published; `list` shows those that are", name)
	}
	inputs, _ := args["inputs"].(map[string]any)
	return s.start(ctx, r, s.config.Flows[i], inputs, s.wait(args))
}

func (s *Server) wait(args map[string]any) time.Duration {
	if seconds, ok := args["wait"].(float64); ok && seconds >= 0 {
		return min(time.Duration(seconds*float64(time.Second)), maxWait)
	}
	return s.config.Wait
}

// start begins a run and waits for it.
func (s *Server) start(ctx context.Context, r *sdk.CallToolRequest, f Flow, args map[string]any, wait time.Duration) (any, error) {
	inputs := map[string]any{}
	for name, v := range args {
		if v == nil {
			continue
		}
		inputs[name] = v
		for _, in := range f.Plan.Inputs {
			if in.Name == name {
				inputs[name] = given(in.Type, v, name)
			}
		}
	}
	if err := s.config.Ready(f.Plan, inputs); err != nil {
		return nil, err
	}
	options := s.config.Options
	options.By = s.client(r)
	id, err := s.config.Host.Start(ctx, f.Plan, inputs, options)
	if err != nil {
		return nil, err
	}
	return s.follow(ctx, r, id, wait, false)
}

// client names who asks, for the history.
func (s *Server) client(r *sdk.CallToolRequest) string {
	if p := r.Session.InitializeParams(); p != nil && p.ClientInfo != nil && p.ClientInfo.Name != "" {
		name := p.ClientInfo.Name
		return "mcp " + strings.ToValidUTF8(name[:min(len(name), 80)], "")
	}
	return "mcp"
}

// find gives the run that a call names, if it is one of ours.
func (s *Server) find(ctx context.Context, args map[string]any) (run.ID, error) {
	word, _ := args["run"].(string)
	unknown := fmt.Errorf("there is no run %q that this server began; `list` shows them", word)
	if word == "" {
		return "", unknown
	}
	id, err := s.config.Find(ctx, word)
	if err != nil {
		return "", unknown
	}
	h, err := s.config.Host.History(ctx, id)
	if err != nil {
		return "", unknown
	}
	if begun, ok := h.Facts[0].Body.(*run.Started); !ok || !slices.Equal(begun.Options.Tags, s.config.Options.Tags) || begun.Options.Pool != s.config.Options.Pool {
		return "", unknown
	}
	return id, nil
}

func (s *Server) status(ctx context.Context, r *sdk.CallToolRequest, args map[string]any) (any, error) {
	id, err := s.find(ctx, args)
	if err != nil {
		return nil, err
	}
	wait := time.Duration(0)
	if args["wait"] != nil {
		wait = s.wait(args)
	}
	return s.follow(ctx, r, id, wait, true)
}

func (s *Server) list(ctx context.Context, _ *sdk.CallToolRequest, args map[string]any) (any, error) {
	limit := 20
	if n, ok := args["limit"].(float64); ok && n >= 1 {
		limit = int(min(n, 100))
	}
	entries, err := s.config.List(ctx, limit)
	if err != nil {
		return nil, err
	}
	flows := []map[string]any{}
	for _, f := range s.config.Flows {
		flows = append(flows, map[string]any{"flow": f.Name, "description": f.Doc, "inputs": inputSchema(f.Plan)})
	}
	return map[string]any{"flows": flows, "runs": append([]Entry{}, entries...)}, nil
}

func (s *Server) resume(ctx context.Context, r *sdk.CallToolRequest, args map[string]any) (any, error) {
	id, err := s.find(ctx, args)
	if err != nil {
		return nil, err
	}
	if err := s.config.Host.Adopt(ctx, id); err != nil && !errors.Is(err, runs.ErrFinished) {
		return nil, err
	}
	if h, err := s.config.Host.History(ctx, id); err == nil && fold(h).Status() == run.Paused {
		if err := s.config.Host.Resume(ctx, id, s.client(r), ""); err != nil && !errors.Is(err, runs.ErrFinished) {
			return nil, err
		}
	}
	return s.follow(ctx, r, id, s.wait(args), false)
}

func (s *Server) cancel(ctx context.Context, r *sdk.CallToolRequest, args map[string]any) (any, error) {
	id, err := s.find(ctx, args)
	if err != nil {
		return nil, err
	}
	_ = s.config.Host.Adopt(ctx, id) // nobody else may be there to end it
	reason, _ := args["reason"].(string)
	if err := s.config.Host.Cancel(ctx, id, s.client(r), reason); err != nil && !errors.Is(err, runs.ErrFinished) {
		return nil, err
	}
	answer, err := s.follow(ctx, r, id, s.config.Wait, false)
	var bad failed
	if errors.As(err, &bad) {
		return bad.answer, nil // that was asked for
	}
	return answer, err
}

func (s *Server) answer(ctx context.Context, r *sdk.CallToolRequest, args map[string]any) (any, error) {
	id, err := s.find(ctx, args)
	if err != nil {
		return nil, err
	}
	step, _ := args["step"].(string)
	reason, _ := args["reason"].(string)
	value, err := whole(args["value"])
	if err != nil {
		return nil, err
	}
	switch err := s.config.Host.Answer(ctx, id, run.Path(step), runs.Because(value, reason), s.client(r)); {
	case errors.Is(err, runs.ErrNotAsked), errors.Is(err, runs.ErrFinished):
		return nil, fmt.Errorf("step %q of run %s asks nothing; `status` shows what waits", step, id)
	case err != nil:
		return nil, err
	}
	_ = s.config.Host.Adopt(ctx, id) // it may have been left by a process that is gone; another that is at work on it goes on by itself
	return s.follow(ctx, r, id, s.wait(args), false)
}

func (s *Server) check(_ context.Context, _ *sdk.CallToolRequest, args map[string]any) (any, error) {
	script, ok := args["script"].(string)
	if !ok {
		return nil, errors.New("check needs the text of a script")
	}
	report, fine := s.config.Check(script)
	return map[string]any{"ok": fine, "diagnostics": report}, nil
}

// resource gives slop://runs/ID.
func (s *Server) resource(ctx context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	word, ok := strings.CutPrefix(r.Params.URI, "slop://runs/")
	if !ok {
		return nil, sdk.ResourceNotFoundError(r.Params.URI)
	}
	id, err := s.find(ctx, map[string]any{"run": word})
	if err != nil {
		return nil, sdk.ResourceNotFoundError(r.Params.URI)
	}
	report, err := s.follow(ctx, nil, id, 0, true)
	var bad failed
	if errors.As(err, &bad) {
		report, err = bad.answer, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(report, "", " ")
	if err != nil {
		return nil, err
	}
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: r.Params.URI, MIMEType: "application/json", Text: string(text)}}}, nil
}
