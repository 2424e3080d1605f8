package claude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/model"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// maxTurns is how often a turn that the API paused is taken up again.
const maxTurns = 5

// errSilent is why a request was given up.
var errSilent = errors.New("silent")

// api asks the Messages API, and again after each round of tools. The SDK reads nothing of the environment and retries nothing: the run does both.
func (a *claude) api(ctx context.Context, c *agent.Call, req model.Request, key string, emit func(agent.Progress)) agent.Reply {
	return model.Converse(ctx, c, req, func(ctx context.Context, req model.Request) model.Round {
		bound := req.Shape != nil && req.Shape.Bindable && !a.isUnbound(req.Model)
		round, refused := a.converse(ctx, req, bound, key, emit)
		if refused {
			a.mu.Lock()
			a.unbound[req.Model] = true
			a.mu.Unlock()
			round, _ = a.converse(ctx, req, false, key, emit)
		}
		return round
	})
}

func (a *claude) isUnbound(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unbound[name]
}

// converse holds one conversation, of several turns where the API pauses. refused: it will not be bound to a schema, and has not begun to answer.
func (a *claude) converse(ctx context.Context, req model.Request, bound bool, key string, emit func(agent.Progress)) (reply model.Round, refused bool) {
	if !bound {
		req = req.Instruct()
	}
	mark := marksOf(req)
	var first *turn
	if name, ok := mark.beginning(req, bound); ok {
		first = a.beginnings.enter(ctx, name, func() { emit(agent.Progress{Note: "waits for another call with the same beginning"}) })
		defer first.over()
		if ended, over := outcome.Ended(ctx); over {
			reply.Reply = ended
			return reply, false
		}
	}
	talk, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	silence := time.AfterFunc(a.Idle, func() { stop(errSilent) })
	defer silence.Stop()
	options := []option.RequestOption{
		option.WithoutEnvironmentDefaults(), option.WithAPIKey(key), option.WithMaxRetries(0),
		option.WithHTTPClient(&http.Client{Transport: listener{a.Transport, func() { silence.Reset(a.Idle) }}}),
	}
	if a.BaseURL != "" {
		options = append(options, option.WithBaseURL(a.BaseURL))
	}
	client := anthropic.NewClient(options...)
	params := a.params(req, bound, mark)
	asked := len(params.Messages)
	var used tally
	for range maxTurns {
		message, err := a.stream(talk, &client, params, &used, first, emit)
		if err != nil {
			reply.Reply, refused = a.failed(ctx, talk, err, bound && used.turns == 0)
		} else if message.StopReason == anthropic.StopReasonPauseTurn {
			params.Messages = append(params.Messages, message.ToParam())
			continue
		} else if message.StopReason == anthropic.StopReasonToolUse && len(req.Tools) > 0 {
			reply.Uses, reply.Raw = wants(message, params.Messages[asked:])
		} else {
			reply.Reply = finished(message, req, bound)
		}
		reply.Usage = used.usage(err != nil)
		model.Charge(&reply.Usage, a.price(req.Model, reply.Usage))
		if used.turns == 0 && turnedAway(err) {
			reply.Usage.Tokens, reply.Usage.CostSource = "", "" // nothing was used
		}
		if reply.AgentID == "" {
			reply.AgentID = used.id
		}
		return reply, refused
	}
	reply.Reply = agent.Fail(run.Failure, fmt.Sprintf("claude paused %d times without an answer", maxTurns))
	reply.Usage, reply.AgentID = used.usage(false), used.id
	model.Charge(&reply.Usage, a.price(req.Model, reply.Usage))
	return reply, false
}

func (a *claude) params(req model.Request, bound bool, mark marks) anthropic.MessageNewParams {
	name := req.Model
	if id, ok := aliases[name]; ok {
		name = id
	}
	params := anthropic.MessageNewParams{Model: name, MaxTokens: int64(req.MaxTokens)}
	for _, t := range req.Turns {
		params.Messages = append(params.Messages, messages(t)...)
	}
	tools(req, &params)
	if req.System != "" {
		params.System = []anthropic.TextBlockParam{{Text: req.System}}
	}
	mark.put(&params)
	if req.Temperature != nil {
		params.Temperature = anthropic.Float(*req.Temperature)
	}
	if req.Effort != "" {
		params.OutputConfig.Effort = anthropic.OutputConfigEffort(req.Effort)
	}
	if bound {
		var schema map[string]json.RawMessage // the fields keep their order: models write them in it
		if err := json.Unmarshal(req.Shape.Schema(false), &schema); err != nil {
			panic("claude: a type has no schema: " + err.Error())
		}
		params.OutputConfig.Format.Schema = map[string]any{}
		for k, v := range schema {
			params.OutputConfig.Format.Schema[k] = v
		}
	}
	return params
}

// tally sums up what the turns of a conversation used.
type tally struct {
	id, model string
	turns     int  // that have begun
	open      bool // the last one has not said its final count
	run.Usage
}

// stream makes one request and reads its answer to the end.
func (a *claude) stream(ctx context.Context, client *anthropic.Client, params anthropic.MessageNewParams, used *tally, first *turn, emit func(agent.Progress)) (*anthropic.Message, error) {
	stream := client.Messages.NewStreaming(ctx, params)
	defer stream.Close()
	var message anthropic.Message
	var complete, thinks bool
	before := used.Usage
	for stream.Next() {
		e := stream.Current()
		if err := message.Accumulate(e); err != nil {
			return nil, fmt.Errorf("%w: %w", errBroken, err)
		}
		switch e.Type {
		case "message_start":
			used.turns++
			used.id, used.model, used.open = message.ID, string(message.Model), true
			first.answered(message.Usage.CacheReadInputTokens+message.Usage.CacheCreationInputTokens > 0)
			if !message.Usage.JSON.InputTokens.Valid() {
				used.Tokens = run.Unknown
			}
		case "content_block_start":
			if e.ContentBlock.Type == "thinking" && !thinks {
				thinks = true
				emit(agent.Progress{Note: "thinking"})
			}
		case "content_block_delta":
			if e.Delta.Type == "text_delta" && e.Delta.Text != "" {
				emit(agent.Progress{Delta: e.Delta.Text})
			}
		case "message_delta":
			used.open = !e.Usage.JSON.OutputTokens.Valid()
		case "message_stop":
			complete = true
		}
		used.Input, used.Output = before.Input+message.Usage.InputTokens, before.Output+message.Usage.OutputTokens
		used.CacheRead, used.CacheWrite = before.CacheRead+message.Usage.CacheReadInputTokens, before.CacheWrite+message.Usage.CacheCreationInputTokens
	}
	if err := stream.Err(); err != nil {
		return nil, err
	}
	if !complete {
		return nil, errBroken
	}
	return &message, nil
}

// errRedirected is an answer that sends us elsewhere.
var errRedirected = errors.New("redirected")

// errBroken is a stream that ended before the answer did.
var errBroken = errors.New("the answer broke off")

// usage is what was reported. Of an answer that broke off the output is known only as far as it was counted.
func (t *tally) usage(broken bool) run.Usage {
	u := t.Usage
	u.Calls, u.Model = 1, t.model
	switch {
	case t.Tokens == run.Unknown || t.turns == 0 || t.open && !broken:
		u = run.Usage{Calls: 1, Model: t.model, Tokens: run.Unknown}
	case t.open:
		u.Tokens = run.Estimated
	default:
		u.Tokens = run.Reported
	}
	return u
}

// finished is the reply to a message that came whole. Every stop reason has its outcome.
func finished(m *anthropic.Message, req model.Request, bound bool) agent.Reply {
	var text strings.Builder
	for _, block := range m.Content {
		if block.Type == "text" {
			text.WriteString(block.Text)
		}
	}
	r := agent.Reply{AgentID: m.ID}
	switch m.StopReason {
	case anthropic.StopReasonMaxTokens:
		r.Outcome, r.Message = run.Failure, fmt.Sprintf("the answer was cut off after %d tokens: raise max_tokens, or ask for less", req.MaxTokens)
	case anthropic.StopReasonModelContextWindowExceeded:
		r.Outcome, r.Message = run.Failure, "the prompt and the answer are longer than the model can hold"
	case anthropic.StopReasonRefusal:
		r.Outcome, r.Message = run.Refused, "claude refused"
		if said := outcome.Brief(text.String(), 500, false); said != "" {
			r.Message += ": " + said
		}
	case anthropic.StopReasonToolUse:
		r.Outcome, r.Message = run.Failure, "claude wanted to use a tool, and it has none"
	case anthropic.StopReasonEndTurn, anthropic.StopReasonStopSequence, "": // "": of a server that does not say
		if strings.TrimSpace(text.String()) == "" {
			r.Outcome, r.Message = run.Unavailable, "claude gave an empty answer"
			break
		}
		r.Value = req.Shape.Value(text.String(), bound)
	default: // each that was added so far stood for an answer that is not whole
		r.Outcome, r.Message = run.Failure, fmt.Sprintf("claude stopped for a reason that this version of slop does not know (%s)", outcome.Brief(string(m.StopReason), 60, false))
	}
	return r
}

// kinds of errors of the API. An error in the middle of an answer has no status of its own.
var kinds = map[anthropic.ErrorType]run.Outcome{
	anthropic.ErrorTypeInvalidRequestError: run.Failure, anthropic.ErrorTypeAuthenticationError: run.Denied, anthropic.ErrorTypePermissionError: run.Denied,
	anthropic.ErrorTypeNotFoundError: run.Failure, anthropic.ErrorTypeRateLimitError: run.RateLimited, anthropic.ErrorTypeTimeoutError: run.Unavailable,
	anthropic.ErrorTypeOverloadedError: run.Unavailable, anthropic.ErrorTypeAPIError: run.Unavailable, anthropic.ErrorTypeBillingError: run.Denied,
}

// failed is the reply to an error. refused: the API will not be bound to the schema.
func (a *claude) failed(ctx, talk context.Context, err error, bound bool) (r agent.Reply, refused bool) {
	var said *anthropic.Error
	if errors.As(err, &said) {
		o, ok := kinds[said.Type()]
		switch {
		case said.StatusCode >= 400 && (!ok || said.StatusCode == http.StatusTooManyRequests):
			o = outcome.Of(said.StatusCode)
		case !ok:
			o = run.Unavailable
		}
		var body struct {
			Error struct{ Message string }
		}
		message := ""
		if json.Unmarshal([]byte(said.RawJSON()), &body) == nil {
			message = body.Error.Message
		}
		if message == "" {
			message = http.StatusText(said.StatusCode)
		}
		r = agent.Reply{Outcome: o, Message: "the Claude API: " + outcome.Brief(message, 500, false), AgentID: said.RequestID}
		if said.StatusCode >= 400 {
			r.Message = fmt.Sprintf("the Claude API answered %d: %s", said.StatusCode, outcome.Brief(message, 500, false))
		}
		if o == run.Denied {
			r.Message += fmt.Sprintf(" (is %s right?)", a.KeyName)
		}
		if said.Response != nil {
			r.RetryAfter = wait(said.Response.Header, time.Now())
		}
		refused = bound && said.StatusCode == http.StatusBadRequest && (strings.Contains(message, "output_config") || strings.Contains(message, "output_format") || strings.Contains(message, "schema"))
		return r, refused
	}
	if reply, ended := outcome.Ended(ctx); ended {
		return reply, false
	}
	if errors.Is(context.Cause(talk), errSilent) {
		return agent.Fail(run.Timeout, fmt.Sprintf("the Claude API said nothing for %v", a.Idle)), false
	}
	if errors.Is(err, errRedirected) {
		return agent.Fail(run.Failure, a.host()+" redirects to another address: base_url may be wrong"), false
	}
	if errors.Is(err, errBroken) || errors.Is(err, io.ErrUnexpectedEOF) {
		return agent.Fail(run.Unavailable, "the Claude API broke the answer off"), false
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return agent.Fail(run.Unavailable, "the Claude API sent what cannot be read"), false
	}
	o, why := outcome.Connection(err, a.host())
	return agent.Fail(o, why), false
}

// turnedAway reports whether a request came to nobody, or was answered with an error instead of the beginning of an answer.
func turnedAway(err error) bool {
	var said *anthropic.Error
	var dial *net.OpError
	return errors.As(err, &said) || errors.Is(err, errRedirected) || errors.As(err, &dial) && dial.Op == "dial"
}

func (a *claude) host() string {
	if u, err := url.Parse(a.BaseURL); err == nil && u.Host != "" {
		return u.Host
	}
	return "api.anthropic.com"
}

// listener notices each sign of life of a connection, pings included, which the SDK keeps to itself.
type listener struct {
	http.RoundTripper
	alive func()
}

func (l listener) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	l.alive()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		resp.Body.Close()
		return nil, errRedirected // not followed: the key stays with the host it is for
	}
	resp.Body = heard{resp.Body, l.alive}
	return resp, nil
}

type heard struct {
	io.ReadCloser
	alive func()
}

func (h heard) Read(p []byte) (int, error) {
	n, err := h.ReadCloser.Read(p)
	if n > 0 {
		h.alive()
	}
	return n, err
}
