package openai

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/slopstudios/slop/stdlib/model"
)

// binding is how a model is held to the type that is asked for. Whatever it is, the host reads and validates the answer: some servers accept a schema and do
// not keep to it.
type binding int

// From the strongest on: each is what is tried when the server refuses the one before.
const (
	bySchema binding = iota // response_format json_schema
	byRecord                // response_format json_object, and the schema in words
	byWords                 // words alone, also where text is asked for
)

// binding is the strongest way that the server has not refused for this model and type.
func (a *chat) binding(req model.Request) binding {
	if req.Shape == nil || !req.Shape.Bindable {
		return byWords
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.weaker[req.Model], a.weaker[schemaOf(req)])
}

// schemaOf names a model and a type together.
func schemaOf(req model.Request) string { return req.Model + "\n" + string(req.Shape.Schema(true)) }

// What servers say when they will not hold a model to a type, when it is this type only that they will not, and when it is about tools.
var (
	formatWords = []string{"response_format", "response format", "json_schema", "json_object", "json mode", "json schema", "structured output"}
	typeWords   = []string{"invalid schema", "invalid_json_schema", "unsupported schema", "grammar"}
	toolWords   = []string{"function", "tools", "tool_choice", "tool choice"}
)

func says(text string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

// learn looks at a refusal and reports whether the request is worth sending again without what was refused. It is kept in mind for the calls to come.
func (a *chat) learn(status int, text string, req model.Request, how binding) bool {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotImplemented, http.StatusMethodNotAllowed:
	case http.StatusInternalServerError: // of a grammar that could not be made
		if !strings.Contains(strings.ToLower(text), "grammar") {
			return false
		}
	default:
		return false
	}
	text = strings.ToLower(text)
	a.mu.Lock()
	defer a.mu.Unlock()
	leave := func(parameter string) bool {
		was := a.refused[parameter]
		a.refused[parameter] = true
		return !was
	}
	aboutType := says(text, formatWords) || says(text, typeWords) && !(len(req.Tools) > 0 && says(text, toolWords)) || strings.Contains(text, "guided")
	switch {
	case how < byWords && aboutType:
		name := req.Model
		if says(text, typeWords) {
			name = schemaOf(req)
		}
		if at := max(a.weaker[req.Model], a.weaker[schemaOf(req)]); at == how { // else another call has learnt it meanwhile
			a.weaker[name] = how + 1
		}
		return true
	case strings.Contains(text, "stream_options"):
		return leave("stream_options")
	case strings.Contains(text, "max_completion_tokens"):
		return leave("max_tokens")
	case req.Last && len(req.Tools) > 0 && strings.Contains(text, "tool_choice"):
		return leave("tool_choice")
	case says(text, thoughtFields):
		return leave("reasoning_content")
	case strings.Contains(text, "stream") && says(text, []string{"not support", "unsupported", "not allowed", "cannot"}):
		return leave("stream")
	}
	return false
}

// takesNoTools reports whether a refusal is about tools as such.
func takesNoTools(text string) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "tool") && says(text, []string{"support", "requires", "not allowed", "not enabled", "unavailable", "no endpoints"})
}

func (a *chat) refuses(parameter string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused[parameter]
}

// drafted is what a model wrote where its server found that it is not the JSON that it was asked for (Groq).
func drafted(body []byte) (string, bool) {
	var envelope struct {
		Error struct {
			Code  string
			Draft string `json:"failed_generation"`
		}
	}
	err := json.Unmarshal(body, &envelope)
	return envelope.Error.Draft, err == nil && envelope.Error.Code == "json_validate_failed" && strings.TrimSpace(envelope.Error.Draft) != ""
}
