package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slopstudios/slop/stdlib/model"
)

// toolCalls collects what a model wants of its tools, which comes in pieces. Servers differ: the place of a piece, its id or its type may be missing, the name
// may come again with every piece, and the whole may come at once, its arguments as a text or as the record itself.
type toolCalls struct {
	known func(name string) bool // a name is whole
	calls []*toolCall
}

type toolCall struct {
	at       int // the server's number for it; -1: it gave none
	id, name string
	args     strings.Builder
}

type piece struct {
	Index    *float64
	ID       string
	Function struct {
		Name      string
		Arguments json.RawMessage
	}
}

func (t *toolCalls) take(raw json.RawMessage) {
	var pieces []json.RawMessage
	if json.Unmarshal(raw, &pieces) != nil {
		return
	}
	for _, r := range pieces {
		var p piece
		_ = json.Unmarshal(r, &p) // a field of another type is as good as missing
		c := t.of(&p)
		if c.id == "" {
			c.id = p.ID
		}
		switch name := p.Function.Name; {
		case name == "" || name == c.name:
		case c.name == "":
			c.name = name
		case !t.isKnown(c.name): // it comes in pieces, too
			c.name += name
		}
		c.add(p.Function.Arguments)
	}
}

func (t *toolCalls) isKnown(name string) bool { return t.known != nil && t.known(name) }

// of finds the call that a piece belongs to: by its number, by its id, else it is the last one's, unless it begins another.
func (t *toolCalls) of(p *piece) *toolCall {
	at := -1
	if p.Index != nil {
		at = int(*p.Index)
	}
	begins := p.ID != "" || p.Function.Name != ""
	for i := len(t.calls) - 1; i >= 0; i-- {
		c := t.calls[i]
		switch {
		case p.ID != "" && c.id != "":
			if p.ID == c.id && at == c.at {
				return c
			}
		case p.ID == "" && t.another(c, p):
		case at >= 0 && c.at == at:
			return c
		case at < 0 && i == len(t.calls)-1 && (!begins || p.ID == ""):
			return c
		}
	}
	c := &toolCall{at: at}
	t.calls = append(t.calls, c)
	return c
}

// another reports whether a piece without an id begins a call of its own, though it may have the number of c.
func (t *toolCalls) another(c *toolCall, p *piece) bool {
	switch name := p.Function.Name; {
	case name == "" || c.name == "":
		return false
	case name != c.name:
		return t.isKnown(c.name)
	default:
		return c.whole() && len(p.Function.Arguments) > len(`""`)
	}
}

// add takes arguments: a piece of their text, or all of them.
func (c *toolCall) add(raw json.RawMessage) {
	var text string
	switch {
	case len(raw) == 0 || string(raw) == "null":
	case json.Unmarshal(raw, &text) == nil:
		c.args.WriteString(text)
	default:
		c.args.Write(bytes.TrimSpace(raw))
	}
}

// whole reports that the arguments are complete.
func (c *toolCall) whole() bool { return c.args.Len() > 0 && json.Valid([]byte(c.args.String())) }

// uses is what the model wants in a round, each with an id. Those that we give have nine letters and digits, as Mistral wants them.
func (t *toolCalls) uses(round int) []model.Use {
	var out []model.Use
	taken := map[string]bool{}
	for i, c := range t.calls {
		id := c.id
		for n := i; id == "" || taken[id]; n++ {
			id = fmt.Sprintf("c%03d%05d", round%1000, n%100_000)
		}
		taken[id] = true
		out = append(out, model.Use{ID: id, Name: c.name, Args: c.args.String()})
	}
	return out
}

// spoken is a turn of the model as a server wants it back. Of its thinking it gets what it sent under the name it used: some insist on it.
func spoken(text string, uses []model.Use, thoughts map[string]any) json.RawMessage {
	var calls []any
	for _, u := range uses {
		args := strings.TrimSpace(u.Args)
		if args == "" || !json.Valid([]byte(args)) {
			args = "{}" // servers read them; the model is told in the answer that it wrote what cannot be read
		}
		calls = append(calls, map[string]any{"id": u.ID, "type": "function", "function": map[string]any{"name": u.Name, "arguments": args}})
	}
	message := map[string]any{"role": "assistant", "content": text, "tool_calls": calls}
	if text == "" {
		message["content"] = nil
	}
	for name, thought := range thoughts {
		message[name] = thought
	}
	raw, _ := json.Marshal(message) // texts, and JSON that was read
	return raw
}

// maxDescription is how many characters OpenAI takes of what a tool is for.
const maxDescription = 1024

// offer is what a server is told of the tools.
func offer(tools []model.Tool) []any {
	out := make([]any, len(tools))
	for i, t := range tools {
		doc := t.Doc
		if r := []rune(doc); len(r) > maxDescription {
			doc = string(r[:maxDescription-1]) + "…"
		}
		out[i] = map[string]any{"type": "function", "function": map[string]any{"name": t.Name, "description": doc, "parameters": t.Input}}
	}
	return out
}

// messagesOf are the messages of a turn.
func messagesOf(t model.Turn, plain bool) []any {
	switch {
	case t.Raw != nil && plain: // it does not take its thoughts back
		var m map[string]any
		if json.Unmarshal(t.Raw, &m) == nil {
			for _, name := range thoughtFields {
				delete(m, name)
			}
			return []any{m}
		}
		return []any{t.Raw}
	case t.Raw != nil:
		return []any{t.Raw}
	case len(t.Answers) > 0:
		var out []any
		for _, a := range t.Answers {
			text := a.Text
			if a.Failed {
				text = "error: " + text
			}
			out = append(out, map[string]any{"role": "tool", "tool_call_id": a.ID, "content": text})
		}
		return out
	case t.Assistant:
		return []any{map[string]any{"role": "assistant", "content": t.Text}}
	}
	return []any{map[string]any{"role": "user", "content": t.Text}}
}

// thoughtFields are where servers tell what a model thought, and want to be told again.
var thoughtFields = []string{"reasoning_content", "reasoning_details"}

// count is so many of a thing, in words.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
