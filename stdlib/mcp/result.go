package mcp

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"strings"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
)

// arguments are those of a call under the names that the tool has for them.
func (t *tool) arguments(c *agent.Call) (map[string]any, error) {
	given := maps.Clone(c.Args)
	if given == nil {
		given = map[string]any{}
	}
	if p := c.Callee.Primary; p != "" && c.Text != nil {
		given[p] = c.Text
	}
	open, err := agent.Reveal(given, c.Secret)
	if err != nil {
		return nil, err
	}
	values, _ := open.(map[string]any)
	if t.open {
		record, ok := values[openParam].(map[string]any)
		if !ok && values[openParam] != nil {
			return nil, fmt.Errorf("`%s` of %s must be a record", openParam, c.Callee.Name)
		}
		values = record
	}
	out := make(map[string]any, len(values))
	for name, v := range values {
		if own, ok := t.params[name]; ok {
			name = own
		}
		out[name] = sent(v)
	}
	return out, nil
}

// sent is a value as JSON can carry it: a file is its text, or its bytes in base64.
func sent(v any) any {
	switch v := v.(type) {
	case types.FileValue:
		if utf8.Valid(v.Data) {
			return string(v.Data)
		}
		return base64.StdEncoding.EncodeToString(v.Data)
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = sent(item)
		}
		return list
	case map[string]any:
		record := make(map[string]any, len(v))
		for name, field := range v {
			record[name] = sent(field)
		}
		return record
	}
	return v
}

// reply reads what a tool gave.
func (t *tool) reply(r *sdk.CallToolResult) agent.Reply {
	if r.IsError {
		message := texts(r.Content)
		if message == "" {
			message = "the tool failed and did not say why"
		}
		return agent.Fail(run.Failure, message)
	}
	if len(t.Output) == 0 {
		return agent.Reply{Value: contents(r.Content)}
	}
	v, err := structured(r)
	if err != nil {
		return agent.Fail(run.Failure, fmt.Sprintf("the tool %q: %v", t.Name, err))
	}
	if t.output != nil {
		if err := t.output.Validate(v); err != nil {
			return agent.Fail(run.Failure, fmt.Sprintf("the answer of the tool %q does not fit the schema that the server lists for it: %s", t.Name, problem(err)))
		}
	}
	return agent.Reply{Value: v}
}

// structured is the value of a tool that declares one. Some servers give it as text only.
func structured(r *sdk.CallToolResult) (any, error) {
	if r.StructuredContent == nil {
		v, err := jsonvalue.Parse([]byte(texts(r.Content)))
		if err != nil {
			return nil, errors.New("its server says that it answers with structured content, and it did not")
		}
		return v, nil
	}
	raw, err := json.Marshal(r.StructuredContent)
	if err != nil {
		return nil, err
	}
	return jsonvalue.Parse(raw)
}

// texts joins what can be read.
func texts(content []sdk.Content) string {
	var parts []string
	for _, c := range content {
		switch c := c.(type) {
		case *sdk.TextContent:
			parts = append(parts, c.Text)
		case *sdk.EmbeddedResource:
			if c.Resource != nil && c.Resource.Text != "" {
				parts = append(parts, c.Resource.Text)
			}
		}
	}
	return strings.Join(parts, "\n")
}

// contents is the value of a tool without an output schema: its text; a file for an image, a sound or a resource; a list when there are several and
// one of them is no text.
func contents(content []sdk.Content) any {
	var values []any
	onlyText := true
	for i, c := range content {
		switch c := c.(type) {
		case *sdk.TextContent:
			values = append(values, c.Text)
			continue
		case *sdk.ImageContent:
			values = append(values, file(fmt.Sprintf("image-%d", i+1), c.MIMEType, c.Data))
		case *sdk.AudioContent:
			values = append(values, file(fmt.Sprintf("audio-%d", i+1), c.MIMEType, c.Data))
		case *sdk.EmbeddedResource:
			if c.Resource == nil {
				continue
			}
			data := c.Resource.Blob
			if c.Resource.Text != "" || data == nil {
				data = []byte(c.Resource.Text)
			}
			values = append(values, file(path.Base(c.Resource.URI), c.Resource.MIMEType, data))
		case *sdk.ResourceLink:
			values = append(values, map[string]any{"uri": c.URI, "name": c.Name, "title": c.Title, "description": c.Description, "type": c.MIMEType})
		default:
			continue
		}
		onlyText = false
	}
	switch {
	case onlyText:
		return texts(content)
	case len(values) == 1:
		return values[0]
	}
	return values
}

// extensions of what tools give often; the tables of a machine differ.
var extensions = map[string]string{
	"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp", "image/svg+xml": ".svg", "audio/wav": ".wav", "audio/mpeg": ".mp3",
	"text/plain": ".txt", "text/html": ".html", "text/markdown": ".md", "application/json": ".json", "application/pdf": ".pdf",
}

func file(name, media string, data []byte) types.FileValue {
	sum := sha256.Sum256(data)
	if media == "" {
		media = "application/octet-stream"
	}
	if path.Ext(name) == "" {
		name += extensions[media]
	}
	return types.FileValue{Name: name, Size: int64(len(data)), Type: media, SHA256: hex.EncodeToString(sum[:]), Data: data}
}
