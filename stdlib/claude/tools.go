package claude

import (
	"encoding/json"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/packages/param"

	"github.com/slopstudios/slop/stdlib/model"
)

// tools are what the API is told of the tools of a call, in an order that does not change: what comes before the conversation is cached.
func tools(req model.Request, params *anthropic.MessageNewParams) {
	for _, t := range req.Tools {
		tool := anthropic.ToolParam{Name: t.Name, InputSchema: param.Override[anthropic.ToolInputSchemaParam](t.Input)}
		if t.Doc != "" {
			tool.Description = anthropic.String(t.Doc)
		}
		params.Tools = append(params.Tools, anthropic.ToolUnionParam{OfTool: &tool})
	}
	if req.Last {
		params.ToolChoice.OfNone = &anthropic.ToolChoiceNoneParam{}
	}
}

// messages are those of a turn. What Claude said before it used tools goes back as it came, its thinking signed; all that the tools gave goes into one message.
func messages(t model.Turn) []anthropic.MessageParam {
	if len(t.Raw) > 0 {
		var raw []json.RawMessage
		_ = json.Unmarshal(t.Raw, &raw) // it is ours
		out := make([]anthropic.MessageParam, len(raw))
		for i := range raw {
			out[i] = param.Override[anthropic.MessageParam](raw[i])
		}
		return out
	}
	if len(t.Answers) > 0 {
		var results []anthropic.ContentBlockParamUnion
		for _, a := range t.Answers {
			results = append(results, anthropic.NewToolResultBlock(a.ID, a.Text, a.Failed))
		}
		return []anthropic.MessageParam{anthropic.NewUserMessage(results...)}
	}
	if t.Assistant {
		return []anthropic.MessageParam{anthropic.NewAssistantMessage(anthropic.NewTextBlock(strings.TrimRight(t.Text, " \t\r\n")))}
	}
	return []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(t.Text))}
}

// wants reads what Claude wants of its tools. said is all of the turn: of one that the API paused there are several messages.
func wants(m *anthropic.Message, said []anthropic.MessageParam) (uses []model.Use, raw json.RawMessage) {
	for _, block := range m.Content {
		if block.Type == "tool_use" {
			uses = append(uses, model.Use{ID: block.ID, Name: block.Name, Args: string(block.Input)})
		}
	}
	raw, _ = json.Marshal(append(said[:len(said):len(said)], m.ToParam())) // it came as JSON
	return uses, raw
}
