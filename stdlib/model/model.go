// Package model is what all adapters of language models share: how a call becomes a conversation, how an answer of a wanted type is asked for and read,
// and what the tokens cost.
package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
)

// Request is what a call asks, whichever model it is put to.
type Request struct {
	Model       string   // "" when neither the script nor the configuration names one
	MaxTokens   int      // of the answer
	Temperature *float64 // nil: the model's own
	Effort      string   // "", low, medium, high, xhigh or max
	System      string
	Turns       []Turn
	Shared      int    // bytes of the first turn's text that other calls begin with too
	Shape       *Shape // nil: text is wanted
	Tools       []Tool // that the model may use
	Rounds      int    // how often
	Last        bool   // it has used them as often as it may, and is to answer
}

// Turn is one message of the conversation.
type Turn struct {
	Assistant bool            `json:"assistant,omitempty"` // said by the model
	Text      string          `json:"text,omitempty"`
	Uses      []Use           `json:"uses,omitempty"`    // what the model wants of tools
	Raw       json.RawMessage `json:"raw,omitempty"`     // of a turn with Uses: what the model said, as its provider wants it back
	Answers   []Answer        `json:"answers,omitempty"` // what tools gave to the Uses of the turn before
}

// Efforts lists what `effort` may be.
var Efforts = []string{"low", "medium", "high", "xhigh", "max"}

// Read makes the request of a call. name and maxTokens are what is configured for calls that say nothing.
func Read(c *agent.Call, name string, maxTokens int) (Request, error) {
	r := Request{Model: name, MaxTokens: maxTokens, System: c.System, Tools: offered(c)}
	if len(r.Tools) > 0 {
		r.Rounds = max(c.Callee.Rounds, 1)
	}
	text := c.Text
	if text == nil {
		text = c.Args["prompt"]
	}
	prompt, ok := text.(string)
	if !ok {
		return r, errors.New("a model is asked with a text that holds no secrets")
	}
	if strings.TrimSpace(prompt) == "" {
		return r, errors.New("the prompt is empty")
	}
	if v, ok := c.Args["model"].(string); ok && v != "" {
		r.Model = v
	}
	if v, ok := Limit(c); ok {
		if v < 1 {
			return r, fmt.Errorf("max_tokens is %d; it must be 1 or more", v)
		}
		r.MaxTokens = v
	}
	switch v := c.Args["temperature"].(type) {
	case float64:
		r.Temperature = &v
	case int:
		f := float64(v)
		r.Temperature = &f
	}
	if v, ok := c.Args["effort"].(string); ok && v != "" {
		if !slices.Contains(Efforts, v) {
			return r, fmt.Errorf("effort is %q; it may be %s", v, strings.Join(Efforts, ", "))
		}
		r.Effort = v
	}
	r.Shape = newShape(c.As)
	r.Turns = []Turn{{Text: prompt}}
	if c.Text != nil && c.Shared <= len(prompt) && utf8.ValidString(prompt[:c.Shared]) {
		r.Shared = c.Shared
	}
	if c.Repair != nil {
		r.Turns = append(r.Turns, Turn{Assistant: true, Text: said(c.Repair.Answer)}, Turn{Text: objection(c.Repair.Problems)})
	}
	return r, nil
}

// Limit is the max_tokens of a call; false when it says nothing.
func Limit(c *agent.Call) (int, bool) {
	switch v := c.Args["max_tokens"].(type) {
	case int:
		return v, true
	case float64: // configured, and read from JSON
		return int(v), v == math.Trunc(v) && math.Abs(v) < 1e9
	}
	return 0, false
}

// said is an earlier answer as the model gave it.
func said(answer any) string {
	text, ok := answer.(string)
	if !ok {
		text, _ = jsonvalue.Text(answer)
	}
	if strings.TrimSpace(text) == "" {
		return "(nothing)" // an empty message is refused
	}
	return text
}

func objection(problems []string) string {
	if len(problems) == 0 {
		problems = []string{"it cannot be read as what was asked for"}
	}
	return "That answer does not fit what was asked:\n- " + strings.Join(problems, "\n- ") + "\nGive the whole answer again with every problem mended, and nothing else."
}

// Flat is the conversation as one text, for a model that takes no turns.
func (r Request) Flat() string {
	if len(r.Turns) == 1 {
		return r.Turns[0].Text
	}
	return fmt.Sprintf("%s\n\n---\nYour answer to this was:\n\n%s\n\n---\n%s", r.Turns[0].Text, r.Turns[1].Text, r.Turns[2].Text)
}

// Instruct adds to the request, in words, that the answer must fit the shape: for models that cannot be bound to it.
func (r Request) Instruct() Request {
	if r.Shape == nil {
		return r
	}
	r.Turns = slices.Clone(r.Turns)
	r.Turns[0].Text += "\n\nAnswer with JSON only: no other words, no code fence. It must fit this JSON Schema:\n" + string(types.Schema(r.Shape.Type))
	return r
}

// InstructRecord is Instruct for a model that is bound to answer with a record, whichever.
func (r Request) InstructRecord() Request {
	if r.Shape == nil {
		return r
	}
	r.Turns = slices.Clone(r.Turns)
	r.Turns[0].Text += "\n\nAnswer with one JSON object only. It must fit this JSON Schema:\n" + string(r.Shape.Schema(false))
	return r
}

// Shape is the type an answer must have. Plain strings have none.
type Shape struct {
	Type types.Type
	// Bindable: a provider can be bound to it. What contains `any` has no schema that providers take.
	Bindable bool
	wrapped  bool // providers want a record at the top: anything else travels as {value: …}
}

func newShape(t *types.Type) *Shape {
	if t == nil || t.Kind == types.String && !t.Optional {
		return nil
	}
	return ShapeOf(*t)
}

// ShapeOf is the shape of a type.
func ShapeOf(t types.Type) *Shape {
	return &Shape{Type: t, Bindable: !holdsAny(t), wrapped: t.Kind != types.Record || t.Optional}
}

func holdsAny(t types.Type) bool {
	if t.Kind == types.Any || t.Elem != nil && holdsAny(*t.Elem) || t.Kind == types.List && t.Elem == nil {
		return true
	}
	return slices.ContainsFunc(t.Fields, func(f types.Field) bool { return holdsAny(f.Type) })
}

// Schema is the JSON Schema that a provider is bound to; strict when it wants every field required.
func (s *Shape) Schema(strict bool) []byte {
	t := s.Type
	if s.wrapped {
		t = types.Type{Kind: types.Record, Fields: []types.Field{{Name: "value", Type: t}}}
		strict = true // the one field must be there
	}
	if strict {
		return types.SchemaStrict(t)
	}
	return types.Schema(t)
}

// Value reads an answer. bound says that the provider was given Schema. What is no JSON is returned as the text it is: the host says what is wrong with it.
func (s *Shape) Value(text string, bound bool) any {
	if s == nil {
		return text
	}
	v, err := jsonvalue.Parse([]byte(unfence(text)))
	if err != nil {
		return text
	}
	if bound {
		return s.Unwrap(v)
	}
	return v
}

// Unwrap takes the answer of a bound provider out of its wrapping.
func (s *Shape) Unwrap(v any) any {
	if record, ok := v.(map[string]any); ok && s.wrapped && len(record) == 1 {
		if inner, ok := record["value"]; ok {
			return inner
		}
	}
	return v
}

// unfence takes the ``` off that models like to put around JSON.
func unfence(text string) string {
	text = strings.TrimSpace(text)
	inner, ok := strings.CutPrefix(text, "```")
	if !ok {
		return text
	}
	inner, ok = strings.CutSuffix(inner, "```")
	line, rest, more := strings.Cut(inner, "\n")
	if !ok || !more || strings.ContainsAny(line, "{[\"") {
		return text
	}
	return strings.TrimSpace(rest)
}

// Charge puts the cost of what was used into u. A price of zero means that calls are free; no price, or no count of tokens, that nobody knows.
func Charge(u *run.Usage, p *types.Price) {
	switch {
	case p != nil && *p == types.Price{}:
		u.Cost, u.CostSource = 0, ""
	case p == nil || u.Tokens != run.Reported && u.Tokens != run.Estimated:
		u.Cost, u.CostSource = 0, run.Unknown
	default:
		u.Cost, u.CostSource = Cost(*u, *p), run.Estimated
	}
}

// Cost is what the tokens of u cost, rounded up to a millionth of a dollar.
func Cost(u run.Usage, p types.Price) plan.Money {
	read, write := p.CacheRead, p.CacheWrite
	if read == 0 {
		read = p.Input
	}
	if write == 0 {
		write = p.Input
	}
	// Dollars per million tokens are millionths of a dollar per token.
	sum := float64(u.Input)*p.Input + float64(u.Output)*p.Output + float64(u.CacheRead)*read + float64(u.CacheWrite)*write
	return plan.Money(math.Ceil(sum - 1e-9))
}
