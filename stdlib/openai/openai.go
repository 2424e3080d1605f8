// Package openai asks models behind any server that speaks the OpenAI chat protocol: OpenAI, OpenRouter, Ollama, vLLM, LM Studio and many more.
//
// It has a small client of its own. The official SDK is made for one server and is strict where the others differ: they leave out usage, `[DONE]`, types and
// finish reasons, answer 200 with an error or an error in HTML, think aloud in three dialects, send the whole answer at once when a stream was asked for,
// and refuse parameters. All of that is read here, and a parameter that a server has refused is not sent to it again.
package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/model"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// Config of an agent. The zero value asks OpenAI itself, which needs an APIKey and a Model.
type Config struct {
	Name      string                 // "openai" when empty
	BaseURL   string                 // up to and without /chat/completions; "" is https://api.openai.com/v1
	APIKey    func() (string, error) // read at each call; nil, or an empty key: none is sent
	KeyName   string                 // what the key is called in messages, such as OPENAI_API_KEY
	Model     string                 // for calls that name none
	MaxTokens int                    // of an answer, for calls that say nothing; 0 is 4096
	Headers   map[string]string      // sent with each request
	Price     *types.Price           // of Model; nil: unknown, free for OllamaURL; zero: free
	Idle      time.Duration          // how long a server may be silent, loading its model included; 0 is 10 minutes
	Transport http.RoundTripper      // nil: one of its own, with the proxies of the environment
}

const home = "https://api.openai.com/v1"

// OllamaURL is where Ollama listens.
const OllamaURL = "http://localhost:11434/v1"

// New returns an agent with one capability, named as configured.
func New(c Config) agent.Agent {
	if c.Name == "" {
		c.Name = "openai"
	}
	if c.BaseURL == "" {
		c.BaseURL = home
	}
	c.BaseURL = strings.TrimSuffix(strings.TrimRight(c.BaseURL, "/"), "/chat/completions")
	if c.Price == nil && c.BaseURL == OllamaURL {
		c.Price = &types.Price{} // a model of this machine costs nothing
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = 4096
	}
	if c.Idle == 0 {
		c.Idle = 10 * time.Minute
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     30 * time.Second,
		}
	}
	return &chat{Config: c, refused: map[string]bool{}, weaker: map[string]binding{}}
}

// Ollama returns an agent for the models of this machine: no key, and calls cost nothing.
func Ollama(c Config) agent.Agent {
	if c.Name == "" {
		c.Name = "ollama"
	}
	if c.BaseURL == "" {
		c.BaseURL = OllamaURL
	}
	if c.Price == nil {
		c.Price = &types.Price{}
	}
	return New(c)
}

type chat struct {
	Config
	mu      sync.Mutex
	refused map[string]bool    // parameters this server has refused: stream_options, max_tokens, stream, tool_choice, reasoning_content
	weaker  map[string]binding // how a model, or a model with a schema, is held to a type, where not by its schema
}

// Signatures of the model.
func (a *chat) Signatures() []types.Signature {
	optional := func(k types.Kind) types.Type { return types.Type{Kind: k, Optional: true} }
	var prices map[string]types.Price // what is configured is the price of one model, unless calls are free
	if a.Price != nil && a.Model != "" && *a.Price != (types.Price{}) {
		prices = map[string]types.Price{a.Model: *a.Price}
	}
	return []types.Signature{{
		Name: a.Name, Use: a.Name, Doc: "Asks a model through the OpenAI chat protocol.",
		Primary: "prompt", Text: types.Prompt, Effect: types.Think, Kind: types.Call, Structured: true, World: true, Version: "1",
		Result: types.Type{Kind: types.String}, Price: a.Price, Prices: prices, MaxOutput: a.MaxTokens,
		Params: []types.Param{
			{Name: "prompt", Type: types.Type{Kind: types.String}, Required: true},
			{Name: "model", Type: optional(types.String), Doc: "the name the server knows it by"},
			{Name: "max_tokens", Type: optional(types.Int), Doc: "of the answer; a longer one is a failure"},
			{Name: "temperature", Type: optional(types.Float)},
		},
	}}
}

// Call asks once, and again after each round of tools. A request that a server refuses because of a parameter is sent again without it: that costs nothing and
// is no attempt of its own.
func (a *chat) Call(ctx context.Context, c *agent.Call) agent.Reply {
	req, err := model.Read(c, a.Model, a.MaxTokens)
	if err != nil {
		return agent.Fail(run.Failure, err.Error())
	}
	secrets := outcome.SecretsOf(c)
	key, err := a.key(secrets)
	if err != nil {
		return agent.Fail(run.Denied, err.Error())
	}
	if req.Model == "" {
		return agent.Fail(run.Failure, a.noModel(ctx, key))
	}
	emit := func(p agent.Progress) {
		p.Delta, p.Note = secrets.Black(p.Delta), secrets.Black(p.Note)
		c.Emit(p)
	}
	reply := model.Converse(ctx, c, req, func(ctx context.Context, req model.Request) model.Round {
		return a.ask(ctx, req, key, emit)
	})
	if reply.Usage.Model == "" {
		reply.Usage.Model = req.Model
	}
	reply.Message = secrets.Black(reply.Message)
	return reply
}

// maxRefusals is how many parameters may be refused on the way to an answer; there are fewer.
const maxRefusals = 10

// ask puts one request, in a form that the server takes.
func (a *chat) ask(ctx context.Context, req model.Request, key string, emit func(agent.Progress)) model.Round {
	return a.watched(ctx, req, key, emit, func(*reader) {})
}

// watched is ask for somebody who wants to see how the answer was read.
func (a *chat) watched(ctx context.Context, req model.Request, key string, emit func(agent.Progress), seen func(*reader)) model.Round {
	var spent run.Usage // of requests that were refused after they had begun to cost
	for range maxRefusals {
		round, again := a.attempt(ctx, req, key, emit, seen)
		if again {
			spent = spent.Add(round.Usage)
			continue
		}
		round.Usage = round.Usage.Add(spent)
		round.Usage.Calls = 1
		return round
	}
	return model.Round{Reply: agent.Reply{Outcome: run.Failure, Message: a.host() + " refuses every form of this request", Usage: spent}}
}

// attempt makes one request. again: the server refused a parameter that is now left out.
func (a *chat) attempt(ctx context.Context, req model.Request, key string, emit func(agent.Progress), seen func(*reader)) (round model.Round, again bool) {
	fail := func(r agent.Reply) (model.Round, bool) { return model.Round{Reply: r}, false }
	how := a.binding(req)
	body, err := jsonvalue.Text(a.body(req, how))
	if err != nil {
		return fail(agent.Fail(run.Failure, "the request cannot be written: "+err.Error()))
	}
	talk, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	silence := time.AfterFunc(a.Idle, func() { stop(errSilent) })
	defer silence.Stop()

	var sent atomic.Bool // from then on the server may think, and charge for it
	traced := httptrace.WithClientTrace(talk, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	resp, err := a.send(traced, http.MethodPost, "/chat/completions", key, []byte(body))
	if err != nil {
		reply := a.unanswered(ctx, talk, err)
		reply.Usage = run.Usage{Calls: 1}
		if sent.Load() {
			reply.Usage.Tokens = run.Unknown
			model.Charge(&reply.Usage, a.price(req.Model))
		}
		return fail(reply)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
		if reply, ended := outcome.Ended(ctx); ended {
			return fail(reply)
		}
		if draft, ok := drafted(text); ok && resp.StatusCode == http.StatusBadRequest && req.Shape != nil {
			// It was asked for JSON, and the server found that it is none: as good as an answer that does not fit, which the host has repaired.
			reply := agent.Reply{Value: draft, Usage: run.Usage{Calls: 1, Model: req.Model, Tokens: run.Unknown}}
			model.Charge(&reply.Usage, a.price(req.Model))
			return fail(reply)
		}
		if a.learn(resp.StatusCode, string(text), req, how) {
			return model.Round{}, true
		}
		reply := a.failed(resp, text, req.Model)
		if len(req.Tools) > 0 && resp.StatusCode != http.StatusTooManyRequests && takesNoTools(string(text)) {
			reply.Outcome = run.Failure
			reply.Message += fmt.Sprintf(" (it was offered %s: give %s another model, or take `tools` away from it in slop.toml)", count(len(req.Tools), "tool"), a.Name)
		}
		return fail(reply)
	}
	got := reader{emit: emit, alive: func() { silence.Reset(a.Idle) }}
	got.tools.known = func(name string) bool {
		return slices.ContainsFunc(req.Tools, func(t model.Tool) bool { return t.Name == name })
	}
	got.read(resp)
	seen(&got)
	round = a.round(ctx, talk, &got, req, how)
	model.Charge(&round.Usage, a.price(req.Model))
	if got.cost != nil && *got.cost >= 0 {
		round.Usage.Cost, round.Usage.CostSource = plan.Money(math.Ceil(*got.cost*1e6-1e-9)), run.Reported
	}
	if f := got.failure; f != nil && got.text.Len() == 0 && ctx.Err() == nil && a.learn(http.StatusBadRequest, f.kind+" "+f.message, req, how) {
		if got.tokens == nil {
			round.Usage = run.Usage{} // it did not begin
		}
		return round, true
	}
	return round, false
}

// maxRefusal bounds what is read of an answer with an error.
const maxRefusal = 256 << 10

// body is what is sent. Parameters that this server refuses are left out.
func (a *chat) body(req model.Request, how binding) map[string]any {
	switch how {
	case byRecord:
		req = req.InstructRecord()
	case byWords:
		req = req.Instruct()
	}
	var messages []any
	if req.System != "" {
		messages = append(messages, map[string]any{"role": "system", "content": req.System})
	}
	for _, t := range req.Turns {
		messages = append(messages, messagesOf(t, a.refuses("reasoning_content"))...)
	}
	body := map[string]any{"model": req.Model, "messages": messages}
	if !a.refuses("stream") {
		body["stream"] = true
		if !a.refuses("stream_options") {
			body["stream_options"] = map[string]any{"include_usage": true}
		}
	}
	limit := "max_tokens" // what all servers know, except OpenAI for its newer models
	if a.BaseURL == home || a.refuses("max_tokens") {
		limit = "max_completion_tokens"
	}
	body[limit] = req.MaxTokens
	if req.Temperature != nil {
		body["temperature"] = *req.Temperature
	}
	if len(req.Tools) > 0 && !(req.Last && a.refuses("tool_choice")) {
		body["tools"] = offer(req.Tools)
		if req.Last {
			body["tool_choice"] = "none"
		}
	}
	switch how {
	case bySchema:
		schema := json.RawMessage(req.Shape.Schema(true)) // as it is: models write the fields in this order
		body["response_format"] = map[string]any{"type": "json_schema", "json_schema": map[string]any{"name": "answer", "strict": true, "schema": schema}}
	case byRecord:
		body["response_format"] = map[string]any{"type": "json_object"}
	}
	return body
}

// round is what an answer, read as far as it came, amounts to.
func (a *chat) round(ctx, talk context.Context, got *reader, req model.Request, how binding) model.Round {
	usage := got.usage()
	fail := func(o run.Outcome, message string) model.Round {
		return model.Round{Reply: agent.Reply{Outcome: o, Message: message, Usage: usage, AgentID: got.id}}
	}
	whole := got.finish != "" || got.done
	if reply, ended := outcome.Ended(ctx); ended && !whole {
		return fail(reply.Outcome, reply.Message)
	}
	if !whole && errors.Is(context.Cause(talk), errSilent) {
		return fail(run.Timeout, fmt.Sprintf("%s said nothing for %v", a.host(), a.Idle))
	}
	if got.failure != nil {
		o, message := got.failure.outcome()
		return fail(o, fmt.Sprintf("%s failed while answering: %s", a.host(), message))
	}
	text := got.answer()
	switch {
	case text == "" && got.finish == "" && got.noise != "":
		return fail(run.Unavailable, a.host()+" did not answer in the chat protocol: "+got.noise)
	case !whole:
		return fail(run.Unavailable, a.host()+" broke the answer off")
	case got.refusal != "":
		return fail(run.Refused, "the model refused: "+outcome.Brief(got.refusal, 500, false))
	case got.finish == "content_filter":
		return fail(run.Refused, "the provider's content filter stopped the answer")
	case slices.Contains(broken, got.finish):
		return fail(run.Unavailable, fmt.Sprintf("%s broke the answer off (%s)", a.host(), got.finish))
	case slices.Contains(cutOff, strings.ToLower(got.finish)):
		return fail(run.Failure, fmt.Sprintf("the answer was cut off after %d tokens: raise max_tokens, or ask for less", req.MaxTokens))
	case len(got.tools.calls) > 0 && len(req.Tools) > 0: // whatever the reason it stopped for is called
		r := model.Round{Reply: agent.Reply{Usage: usage, AgentID: got.id}, Uses: got.tools.uses(len(req.Turns)), Text: text}
		r.Raw = spoken(text, r.Uses, got.back())
		return r
	case text == "" && (got.finish == "tool_calls" || got.finish == "function_call"):
		if len(req.Tools) > 0 {
			return fail(run.Unavailable, "the model wanted to use a tool, and "+a.host()+" does not say which")
		}
		return fail(run.Failure, "the model wanted to use a tool, and it has none")
	case text == "" && (got.thought || got.think.close != ""):
		return fail(run.Failure, "the model thought aloud and gave no answer: raise max_tokens")
	case text == "":
		return fail(run.Unavailable, "the model gave an empty answer")
	}
	return model.Round{Reply: agent.Reply{Value: req.Shape.Value(text, how != byWords), Usage: usage, AgentID: got.id}}
}

// cutOff are the words of servers for an answer that reached its limit.
var cutOff = []string{"length", "max_tokens", "model_length"}

// broken are the words of servers for an answer that they could not finish; what came of it is no answer.
var broken = []string{"error", "abort", "network_error", "insufficient_system_resource"}

// errSilent is why a request was given up.
var errSilent = errors.New("silent")

// unanswered is a request without an answer.
func (a *chat) unanswered(ctx, talk context.Context, err error) agent.Reply {
	if reply, ended := outcome.Ended(ctx); ended {
		return reply
	}
	if errors.Is(context.Cause(talk), errSilent) {
		return agent.Fail(run.Timeout, fmt.Sprintf("%s said nothing for %v", a.host(), a.Idle))
	}
	o, why := outcome.Connection(err, a.host())
	return agent.Fail(o, why+a.hint(why))
}

// hint says what to do when nobody listens.
func (a *chat) hint(why string) string {
	if !strings.Contains(why, "refused the connection") {
		return ""
	}
	if strings.HasSuffix(a.host(), ":11434") {
		return ": is Ollama running? Start it with `ollama serve`"
	}
	return ": is the server running, and is base_url right?"
}

func (a *chat) host() string {
	if u, err := url.Parse(a.BaseURL); err == nil && u.Host != "" {
		return u.Host
	}
	return a.BaseURL
}

// price of a model: what is configured holds for the configured model, and for all when calls are free.
func (a *chat) price(name string) *types.Price {
	if a.Price != nil && (name == a.Model || a.Model == "" || *a.Price == types.Price{}) {
		return a.Price
	}
	return nil
}

func (a *chat) key(secrets *outcome.Secrets) (string, error) {
	for name, value := range a.Headers {
		if lower := strings.ToLower(name); strings.Contains(lower, "auth") || strings.Contains(lower, "key") || strings.Contains(lower, "token") {
			secrets.Add(name, value)
			secrets.Add(name, strings.TrimPrefix(value, "Bearer "))
		}
	}
	key := ""
	if a.APIKey != nil {
		var err error
		if key, err = a.APIKey(); err != nil {
			return "", fmt.Errorf("%s has no key: %w", a.Name, err)
		}
	}
	if key == "" && a.BaseURL == home {
		return "", fmt.Errorf("%s has no key: set %s", a.Name, a.keyName())
	}
	secrets.Add(a.keyName(), key)
	return key, nil
}

// Account is the server, and as whom it is asked.
func (a *chat) Account() string {
	parts := []string{a.BaseURL}
	if a.APIKey != nil {
		key, err := a.APIKey()
		parts = append(parts, key, fmt.Sprint(err != nil))
	}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		parts = append(parts, name, a.Headers[name])
	}
	return agent.Account(parts...)
}

func (a *chat) keyName() string {
	if a.KeyName == "" {
		return "OPENAI_API_KEY"
	}
	return a.KeyName
}

// send makes a request and does not follow redirects: a POST would become a GET, and the key would go along.
func (a *chat) send(ctx context.Context, method, path, key string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "slop")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for name, value := range a.Headers {
		req.Header.Set(name, value)
	}
	client := http.Client{Transport: a.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return client.Do(req)
}

// Check asks for the list of models, which costs nothing.
func (a *chat) Check(ctx context.Context) error {
	secrets := outcome.NewSecrets(nil)
	key, err := a.key(secrets)
	if err != nil {
		return err
	}
	names, err := a.models(ctx, key)
	if err != nil {
		return errors.New(secrets.Black(err.Error()))
	}
	if a.Model != "" && len(names) > 0 && !slices.Contains(names, a.Model) && !slices.Contains(names, a.Model+":latest") {
		return fmt.Errorf("%s has no model %s; it has %s", a.host(), a.Model, few(names))
	}
	return nil
}

// models lists what the server offers; nothing when it does not tell.
func (a *chat) models(ctx context.Context, key string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	resp, err := a.send(ctx, http.MethodGet, "/models", key, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s does not answer", a.host())
		}
		_, why := outcome.Connection(err, a.host())
		return nil, errors.New(why + a.hint(why))
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	switch {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed:
		return nil, nil // it has no list
	case resp.StatusCode != http.StatusOK:
		return nil, errors.New(a.failed(resp, text, a.Model).Message)
	}
	return modelNames(text), nil
}

func (a *chat) noModel(ctx context.Context, key string) string {
	message := fmt.Sprintf("no model is named: set `model` of %s in slop.toml, or write %s(model: \"…\")", a.Name, a.Name)
	if names, err := a.models(ctx, key); err == nil && len(names) > 0 {
		message += "; " + a.host() + " has " + few(names)
	}
	return message
}

func few(names []string) string {
	if len(names) > 8 {
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", len(names)-8)
	}
	return strings.Join(names, ", ")
}
