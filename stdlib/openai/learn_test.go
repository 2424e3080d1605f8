package openai_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/openai"
)

// formatOf is how a request holds the model to a type: json_schema, json_object, words or not at all.
func formatOf(body map[string]any) string {
	if f, ok := body["response_format"].(map[string]any); ok {
		return f["type"].(string)
	}
	if strings.Contains(fmt.Sprint(body["messages"]), "JSON Schema") {
		return "words"
	}
	return "none"
}

// A server that will not hold a model to a schema is asked in a weaker form within the same attempt, and from then on at once. What servers say is theirs.
func TestBindings(t *testing.T) {
	for name, c := range map[string]struct {
		refuses map[string]string // by format: what is said
		status  int
		stream  bool
		want    []string // of the requests of two calls
	}{
		"OpenAI, an older model": {
			refuses: map[string]string{"json_schema": `Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.`},
			want:    []string{"json_schema", "json_object", "json_object"},
		},
		"DeepSeek":  {refuses: map[string]string{"json_schema": `This response_format type is unavailable now`}, want: []string{"json_schema", "json_object", "json_object"}},
		"Groq":      {refuses: map[string]string{"json_schema": "This model does not support response format `json_schema`. See supported models"}, want: []string{"json_schema", "json_object", "json_object"}},
		"LM Studio": {refuses: map[string]string{"json_object": `'response_format.type' must be 'json_schema' or 'text'`}, want: []string{"json_schema", "json_schema"}},
		"neither": {
			refuses: map[string]string{"json_schema": `Unrecognized request argument supplied: response_format`, "json_object": `Unrecognized request argument supplied: response_format`},
			want:    []string{"json_schema", "json_object", "words", "words"},
		},
		"a type that it cannot keep": {refuses: map[string]string{"json_schema": `Invalid schema for response_format 'answer': In context=(), 'minimum' is not permitted`}, want: []string{"json_schema", "json_object", "json_object"}},
		"a grammar, with 500":        {status: 500, refuses: map[string]string{"json_schema": `failed to parse grammar`}, want: []string{"json_schema", "json_object", "json_object"}},
		"422":                        {status: 422, refuses: map[string]string{"json_schema": `[{"loc":["body","response_format","json_schema"],"msg":"extra fields not permitted"}]`, "json_object": "response_format"}, want: []string{"json_schema", "json_object", "words", "words"}},
		"in the stream":              {stream: true, refuses: map[string]string{"json_schema": `response_format is not supported`}, want: []string{"json_schema", "json_object", "json_object"}},
	} {
		t.Run(name, func(t *testing.T) {
			var f *fake
			f = serve(t, func(w http.ResponseWriter, r *http.Request) {
				f.mu.Lock()
				format := formatOf(f.bodies[len(f.bodies)-1])
				f.mu.Unlock()
				said, refused := c.refuses[format]
				quoted, _ := json.Marshal(said)
				switch {
				case refused && c.stream:
					stream(`data: {"error":{"message":`+string(quoted)+`,"code":400},"usage":{"prompt_tokens":7,"completion_tokens":0}}`+"\n\n")(w, r)
				case refused:
					w.WriteHeader(max(c.status, 400))
					fmt.Fprintf(w, `{"error":{"message":%s,"type":"invalid_request_error"}}`, quoted)
				default:
					stream(delta(`{"score":3,"a":null}`), stop, count, done)(w, r)
				}
			})
			a := openai.New(f.config)
			for i := range 2 {
				r := f.ask(t.Context(), a, &agent.Call{Text: "Hi", As: &review})
				if r.Outcome != "" || !reflect.DeepEqual(r.Value, map[string]any{"score": 3, "a": nil}) || r.Usage.Calls != 1 {
					t.Errorf("%+v", r)
				}
				input := int64(6)
				if c.stream && i == 0 {
					input += 7 // what the refused request cost is not lost
				}
				if r.Usage.Input != input || r.Usage.Tokens != run.Reported {
					t.Errorf("call %d used %+v", i, r.Usage)
				}
			}
			var formats []string
			for _, b := range f.bodies {
				formats = append(formats, formatOf(b))
			}
			if !reflect.DeepEqual(formats, c.want) {
				t.Errorf("asked with %v, want %v", formats, c.want)
			}
		})
	}
}

// What is learnt of one model says nothing of another, and of one type nothing of others.
func TestBindingsAreOfAModelAndAType(t *testing.T) {
	var f *fake
	var asked []string
	f = serve(t, func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		body := f.bodies[len(f.bodies)-1]
		asked = append(asked, fmt.Sprint(body["model"], " ", formatOf(body)))
		f.mu.Unlock()
		text, _ := json.Marshal(body)
		switch {
		case body["model"] == "old" && formatOf(body) == "json_schema":
			w.WriteHeader(400)
			io.WriteString(w, `{"error":{"message":"response_format json_schema is not supported by this model"}}`)
		case formatOf(body) == "json_schema" && strings.Contains(string(text), `"deep"`):
			w.WriteHeader(400)
			io.WriteString(w, `{"error":{"message":"Invalid schema for response_format 'answer'"}}`)
		case strings.Contains(string(text), "value"):
			stream(delta(`{"value":[1]}`), stop, done)(w, r)
		default:
			stream(delta(`{"score":3,"a":null,"deep":1}`), stop, done)(w, r)
		}
	})
	a := openai.New(f.config)
	deep := types.Type{Kind: types.Record, Fields: []types.Field{{Name: "deep", Type: types.Type{Kind: types.Int}}}}
	list := types.Type{Kind: types.List, Elem: &types.Type{Kind: types.Int}}
	for _, c := range []struct {
		model string
		as    *types.Type
	}{{"old", &review}, {"new", &review}, {"new", &deep}, {"new", &review}, {"new", &deep}, {"old", &deep}, {"old", &list}} {
		if r := f.ask(t.Context(), a, &agent.Call{Text: "Hi", As: c.as, Args: map[string]any{"model": c.model}}); r.Outcome != "" || c.as == &list && !reflect.DeepEqual(r.Value, []any{1}) {
			t.Errorf("%s: %+v", c.model, r)
		}
	}
	want := []string{"old json_schema", "old json_object", "new json_schema", "new json_schema", "new json_object", "new json_schema", "new json_object", "old json_object", "old json_object"}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("asked\n%v, want\n%v", asked, want)
	}
}

// Tools and a type together: after the last round the model is asked to answer without tools, and a server that knows no tool_choice is offered none.
func TestTheLastRoundHasNoTools(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		var f *fake
		f = serve(t, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			body := f.bodies[len(f.bodies)-1]
			f.mu.Unlock()
			switch {
			case body["tool_choice"] != nil && refuses:
				w.WriteHeader(400)
				io.WriteString(w, `{"error":{"message":"Unknown field: tool_choice"}}`)
			case body["tools"] != nil && body["tool_choice"] == nil:
				stream(`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"github__search","arguments":"{}"}}]}}]}`+"\n\n", strings.Replace(stop, "stop", "tool_calls", 1), count, done)(w, r)
			default:
				stream(delta(`{"score":3,"a":null}`), stop, count, done)(w, r)
			}
		})
		uses := 0
		c := toolCall(func(_ context.Context, u agent.Use) agent.Reply { uses++; return agent.Reply{Value: uses} })
		c.As = &review
		r := f.call(t.Context(), c)
		if r.Outcome != "" || uses != 2 || r.Usage != (run.Usage{Calls: 1, Input: 18, Output: 15, CacheRead: 12, Tokens: run.Reported, Cost: 60, CostSource: run.Estimated, Model: r.Usage.Model}) {
			t.Errorf("after %d uses: %+v", uses, r)
		}
		last := f.bodies[len(f.bodies)-1]
		if refuses != (last["tools"] == nil) || formatOf(last) != "json_schema" {
			t.Errorf("the last request is %v", last)
		}
	}
}
