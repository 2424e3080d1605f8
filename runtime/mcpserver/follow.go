package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/travel"
)

func fold(h *travel.History) *runs.Folder {
	f := runs.Fold(h.Plan).Named(h.ID)
	for _, fact := range h.Facts {
		f.Add(fact)
	}
	return f
}

// follow waits until a run has ended, or waits for a person, or the time is over, and says how it stands then. Who gives up the call ends the waiting and
// nothing else.
func (s *Server) follow(ctx context.Context, r *sdk.CallToolRequest, id run.ID, wait time.Duration, steps bool) (any, error) {
	h, err := s.config.Host.History(ctx, id)
	if err != nil {
		return nil, err
	}
	f := fold(h)
	rests := func() bool {
		switch f.Status() {
		case run.Succeeded, run.Failed, run.Cancelled, run.Paused:
			return true
		case run.Waiting: // the question itself is the next fact
			return slices.ContainsFunc(f.View().Steps, func(s runs.Step) bool { return s.Status == runs.Asking && s.Form != nil })
		}
		return false
	}
	if wait > 0 && !rests() {
		within, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		told := 0.0
		for event, err := range s.config.Host.Watch(within, id, h.Facts[len(h.Facts)-1].Seq) {
			if err != nil {
				break // the time is over, or the store is away for a moment: what is known is told
			}
			note := ""
			switch {
			case event.Fact != nil:
				f.Add(*event.Fact)
				note = news(*event.Fact)
			case event.Progress != nil && event.Progress.Note != "":
				note = string(event.Progress.Path) + ": " + event.Progress.Note
			}
			if note != "" {
				told++
				s.progress(within, r, told, note)
			}
			if rests() {
				break
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.report(ctx, h.Plan, f, steps)
}

// news is a fact as it is shown while a client waits.
func news(f run.Fact) string {
	switch b := f.Body.(type) {
	case *run.CallStarted:
		return string(b.Path) + " started"
	case *run.CallDone:
		return string(b.Path) + " done"
	case *run.CallFailed:
		return string(b.Path) + " failed: " + b.Message
	case *run.Asked:
		return string(b.Path) + " asks: " + b.Form.Text
	}
	return ""
}

func (s *Server) progress(ctx context.Context, r *sdk.CallToolRequest, n float64, note string) {
	if r == nil {
		return
	}
	if token := r.Params.GetProgressToken(); token != nil {
		note, _, _ = strings.Cut(note, "\n")
		_ = r.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: n, Message: note[:min(len(note), 300)]})
	}
}

// report says how a run stands.
func (s *Server) report(ctx context.Context, p *plan.Plan, f *runs.Folder, steps bool) (any, error) {
	view := f.View()
	out := Report{Run: view.ID, Flow: p.Name, Status: view.Status}
	for i := range view.Steps {
		step := &view.Steps[i]
		if steps {
			out.Steps = append(out.Steps, Step{step.Path, step.Agent, step.Status, step.Error})
		}
		if step.Status == runs.Asking && step.Form != nil {
			q := Question{Step: step.Path, Kind: step.Form.Kind, Text: step.Form.Text, Choices: step.Form.Choices, Actions: step.Form.Actions}
			if len(q.Choices) == 0 {
				q.Schema = step.Form.AnswerSchema()
			}
			out.Questions = append(out.Questions, q)
		}
	}
	if view.Finished.IsZero() {
		switch {
		case len(out.Questions) > 0 && s.config.Answers:
			out.Next = "ask your user, then call answer with run, step and value"
		case len(out.Questions) > 0:
			out.Next = fmt.Sprintf("a person answers with: slop answer %s", out.Run)
		case out.Status == run.Paused:
			out.Next = "call resume to go on"
		default:
			out.Next = "call status with wait to see its end; resume if nobody is at work on it"
		}
		return out, nil
	}
	end, err := s.config.Host.Wait(ctx, view.ID) // it has ended: its value is whole here
	if err != nil {
		return nil, err
	}
	if end.Error != nil {
		out.Error = end.Error.Message
	}
	if end.Status != run.Succeeded {
		return nil, failed{out}
	}
	out.Output = shown(end.Value)
	return out, nil
}

// shown is a value as JSON has it: of a file what it is, and its text if it has one.
func shown(v any) any {
	switch v := v.(type) {
	case types.FileValue:
		out := map[string]any{"name": v.Name, "size": v.Size, "type": v.Type, "sha256": v.SHA256}
		if strings.HasPrefix(v.Type, "text/") && v.Data != nil {
			out["text"] = string(v.Data)
		} else if v.Data != nil {
			out["data"] = v.Data // base64
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = shown(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, field := range v {
			out[name] = shown(field)
		}
		return out
	}
	return v
}

// given is an argument as the engine takes it: whole numbers are whole, and a file is its text. A client never names a file of this machine.
func given(t types.Type, v any, name string) any {
	switch v := v.(type) {
	case float64:
		if v == float64(int64(v)) && t.Kind != types.Float {
			return int(v)
		}
	case string:
		if t.Kind == types.File {
			return types.FileValue{Name: name + ".txt", Size: int64(len(v)), Type: "text/plain", Data: []byte(v)}
		}
	case []any:
		for i := range v {
			v[i] = given(t.Item(), v[i], fmt.Sprintf("%s-%d", name, i+1))
		}
	case map[string]any:
		for field := range v {
			of := types.Type{}
			for _, f := range t.Fields {
				if f.Name == field {
					of = f.Type
				}
			}
			v[field] = given(of, v[field], field)
		}
	}
	return v
}

// whole is a value of JSON with its whole numbers as such.
func whole(v any) (any, error) { return given(types.Type{}, v, ""), nil }

// inputSchema is what a flow asks for.
func inputSchema(p *plan.Plan) json.RawMessage {
	t := types.Type{Kind: types.Record}
	for _, in := range p.Inputs {
		of := in.Type
		of.Optional = !in.Required
		t.Fields = append(t.Fields, types.Field{Name: in.Name, Type: of, Doc: in.Doc})
	}
	return types.Schema(t)
}

// outputSchema is the report of a run whose output has a type.
func outputSchema(t types.Type) json.RawMessage {
	output := json.RawMessage(`{}`)
	if !holdsFile(t) {
		output = types.Schema(t)
	}
	return json.RawMessage(`{"type":"object","properties":{"run":{"type":"string"},"flow":{"type":"string"},"status":{"type":"string","enum":["queued","running","waiting","paused","succeeded","failed","cancelled"]},` +
		`"output":` + string(output) + `,"error":{"type":"string"},"questions":{"type":"array","items":{"type":"object"}},"steps":{"type":"array","items":{"type":"object"}},"next":{"type":"string"}},"required":["run","status"]}`)
}

func holdsFile(t types.Type) bool {
	if t.Kind == types.File || t.Elem != nil && holdsFile(*t.Elem) {
		return true
	}
	for _, f := range t.Fields {
		if holdsFile(f.Type) {
			return true
		}
	}
	return false
}
