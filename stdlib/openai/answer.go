package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// maxAnswer bounds an answer with everything around it; a line of a stream may be as long.
const maxAnswer = 64 << 20

// reader collects an answer, streamed or whole.
type reader struct {
	emit  func(agent.Progress)
	alive func() // called at each sign of life

	id, model string
	text      strings.Builder
	think     thinking
	refusal   string
	finish    string // why the model stopped; "" when it was not said
	done      bool   // `[DONE]` was seen, or the answer came whole
	tokens    *tokens
	cost      *float64 // dollars, where the server tells
	failure   *failure
	noise     string // what was there instead of an answer
	thought   bool
	thoughts  strings.Builder   // reasoning_content
	details   []json.RawMessage // reasoning_details
	tools     toolCalls
	whole     bool // it did not stream
}

// chunk is a piece of a stream, or a whole answer: they differ in `delta` and `message` only.
type chunk struct {
	ID      string
	Model   string
	Choices []struct {
		Delta, Message said
		FinishReason   string `json:"finish_reason"`
		Error          json.RawMessage
	}
	Usage *tokens
	Error json.RawMessage

	Object, Message string // of an error that is not inside `error`: Mistral, vLLM
	Type            string
	Code            any
	Groq            struct{ Usage *tokens } `json:"x_groq"`
}

type said struct {
	Content   content
	Refusal   string
	Reasoning content         // OpenRouter, vLLM
	Thought   content         `json:"reasoning_content"` // DeepSeek, llama.cpp
	Details   json.RawMessage `json:"reasoning_details"` // OpenRouter
	ToolCalls json.RawMessage `json:"tool_calls"`
}

type tokens struct {
	Prompt     *float64 `json:"prompt_tokens"`
	Completion *float64 `json:"completion_tokens"`
	Details    struct {
		Cached float64 `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	Hit  float64  `json:"prompt_cache_hit_tokens"` // DeepSeek
	Cost *float64 `json:"cost"`                    // OpenRouter
}

// content is a string, or a list of parts of which the texts count.
type content string

func (c *content) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*c = content(text)
		return nil
	}
	var parts []struct{ Type, Text string }
	if json.Unmarshal(data, &parts) == nil {
		for _, p := range parts {
			if p.Type == "" || p.Type == "text" || p.Type == "output_text" {
				*c += content(p.Text)
			}
		}
	}
	return nil // anything else is not text
}

// read takes in the body of a response with status 200.
func (r *reader) read(resp *http.Response) {
	in := bufio.NewReaderSize(io.LimitReader(resp.Body, maxAnswer), 32<<10)
	var first byte
	for { // what comes first tells a stream from a whole answer; types of content are wrong too often
		b, err := in.ReadByte()
		if err != nil {
			return
		}
		r.alive()
		if first = b; !strings.ContainsRune(" \r\n\t", rune(b)) {
			in.UnreadByte()
			break
		}
	}
	if first == '{' || first == '<' || first == '[' {
		whole, err := io.ReadAll(in)
		r.alive()
		if first == '{' && err == nil && json.Valid(whole) {
			r.take(whole)
			r.done, r.whole = r.failure == nil, true
			return
		}
		r.noise = plainText(string(whole))
		return
	}
	r.stream(in)
}

// stream reads server-sent events: `data:` lines up to an empty one. Comments keep the connection alive, `[DONE]` ends it, and so does the end.
func (r *reader) stream(in *bufio.Reader) {
	var data []byte
	for !r.done && r.failure == nil {
		line, err := in.ReadBytes('\n')
		r.alive()
		line = bytes.TrimRight(line, "\r\n")
		if value, ok := bytes.CutPrefix(line, []byte("error:")); ok && json.Valid(value) { // llama.cpp
			r.failure = readFailure(value)
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			alone := len(data) == 0
			data = append(append(data, bytes.TrimPrefix(value, []byte(" "))...), '\n')
			if complete := bytes.TrimSpace(data); alone && (json.Valid(complete) || string(complete) == "[DONE]") {
				r.event(complete) // some servers leave the empty line out
				data = data[:0]
			}
		}
		if len(line) == 0 || err != nil {
			r.event(bytes.TrimSpace(data))
			data = data[:0]
		}
		if err != nil {
			break
		}
	}
	r.show(r.think.end())
}

func (r *reader) event(data []byte) {
	switch {
	case len(data) == 0:
	case string(data) == "[DONE]":
		r.done = true
	case json.Valid(data):
		r.take(data)
	default:
		r.noise = plainText(string(data))
	}
}

// take reads a chunk or a whole answer. A field of another type than ours is as good as missing.
func (r *reader) take(data []byte) {
	var c chunk
	if err := json.Unmarshal(data, &c); err != nil {
		var odd *json.UnmarshalTypeError
		if !errors.As(err, &odd) {
			r.noise = plainText(string(data))
			return
		}
	}
	failed := c.Error
	if len(c.Choices) > 0 && !given(failed) {
		failed = c.Choices[0].Error
	}
	if c.Object == "error" && c.Message != "" && !given(failed) {
		failed, _ = json.Marshal(map[string]any{"message": c.Message, "type": c.Type, "code": c.Code})
	}
	if c.Usage == nil {
		c.Usage = c.Groq.Usage
	}
	if given(failed) {
		r.failure = readFailure(failed)
		if c.Usage != nil {
			r.tokens = c.Usage
		}
		return
	}
	if c.ID != "" {
		r.id = c.ID
	}
	if c.Model != "" {
		r.model = c.Model
	}
	if c.Usage != nil {
		r.tokens = c.Usage
		if c.Usage.Cost != nil {
			r.cost = c.Usage.Cost
		}
	}
	for _, choice := range c.Choices[:min(1, len(c.Choices))] {
		for _, s := range []said{choice.Delta, choice.Message} {
			if s.Thought+s.Reasoning != "" && !r.thought {
				r.thought = true
				r.emit(agent.Progress{Note: "thinking"})
			}
			r.thoughts.WriteString(string(s.Thought))
			var details []json.RawMessage
			if json.Unmarshal(s.Details, &details) == nil {
				r.details = append(r.details, details...)
			}
			r.refusal += s.Refusal
			if given(s.ToolCalls) {
				r.tools.take(s.ToolCalls)
			}
			r.show(r.think.feed(string(s.Content)))
		}
		if choice.FinishReason != "" {
			r.finish = choice.FinishReason
		}
	}
	if len(c.Choices) == 0 && c.Usage == nil && c.ID == "" {
		r.noise = plainText(string(data))
	}
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

func (r *reader) show(text string) {
	if text != "" {
		r.text.WriteString(text)
		r.emit(agent.Progress{Delta: text})
	}
}

// answer is the text without what was thought aloud. Some templates open the thinking in the prompt, so that only its end is seen.
func (r *reader) answer() string {
	r.show(r.think.end())
	text := r.text.String()
	if _, after, ok := strings.Cut(text, "</think>"); ok && !strings.Contains(text, "<think>") {
		text = strings.TrimLeft(after, " \r\n\t")
	}
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return text
}

// back is what the model thought, as the server wants it back.
func (r *reader) back() map[string]any {
	thoughts := map[string]any{}
	if r.thoughts.Len() > 0 {
		thoughts["reasoning_content"] = r.thoughts.String()
	}
	if len(r.details) > 0 {
		thoughts["reasoning_details"] = r.details
	}
	return thoughts
}

// usage is what the server reported; what it did not is unknown.
func (r *reader) usage() run.Usage {
	u := run.Usage{Calls: 1, Model: r.model, Tokens: run.Unknown}
	if t := r.tokens; t != nil && t.Prompt != nil && t.Completion != nil {
		u.Tokens = run.Reported
		u.CacheRead = int64(min(max(t.Details.Cached, t.Hit), *t.Prompt))
		u.Input, u.Output = int64(*t.Prompt)-u.CacheRead, int64(*t.Completion)
	}
	return u
}

// thinking takes <think>…</think> off the beginning of an answer that comes in pieces.
type thinking struct {
	held  string
	state int
	close string
}

const (
	atStart = iota
	inside
	behind // the blanks after it
	beyond
)

var thinkTags = [][2]string{{"<think>", "</think>"}, {"<thinking>", "</thinking>"}}

func (t *thinking) feed(piece string) string {
	if t.state == beyond {
		return piece
	}
	t.held += piece
	if t.state == atStart {
		begin := strings.TrimLeft(t.held, " \r\n\t")
		waiting := begin == ""
		for _, tag := range thinkTags {
			if strings.HasPrefix(begin, tag[0]) {
				t.state, t.close, t.held = inside, tag[1], begin[len(tag[0]):]
				break
			}
			waiting = waiting || strings.HasPrefix(tag[0], begin)
		}
		if t.state == atStart {
			if waiting {
				return ""
			}
			return t.release(t.held)
		}
	}
	if t.state == inside {
		_, after, ok := strings.Cut(t.held, t.close)
		if !ok {
			t.held = t.held[max(0, len(t.held)-len(t.close)):] // the end may be cut in two
			return ""
		}
		t.state, t.held = behind, after
	}
	if rest := strings.TrimLeft(t.held, " \r\n\t"); rest != "" {
		return t.release(rest)
	}
	return ""
}

func (t *thinking) release(text string) string {
	t.state, t.held = beyond, ""
	return text
}

// end gives what was held back in case thinking had begun.
func (t *thinking) end() string {
	if t.state == atStart {
		return t.release(t.held)
	}
	return ""
}

// failure is an error of the server in any of its shapes: a string, or a record with message, type and code.
type failure struct {
	message, kind string
	status        int
}

func readFailure(raw json.RawMessage) *failure {
	f := &failure{}
	if json.Unmarshal(raw, &f.message) == nil {
		return f
	}
	var body struct {
		Message, Type string
		Code          any
		Status        any
	}
	json.Unmarshal(raw, &body)
	f.message, f.kind = body.Message, body.Type
	for _, code := range []any{body.Code, body.Status} {
		switch code := code.(type) {
		case float64:
			f.status = int(code)
		case string:
			if n, err := strconv.Atoi(code); err == nil {
				f.status = n
			} else {
				f.kind += " " + code
			}
		}
	}
	if f.message == "" {
		f.message = string(raw)
	}
	return f
}

// words of errors and what they mean, the first that fits counts.
var words = []struct {
	word string
	run.Outcome
}{
	{"insufficient_quota", run.Denied}, {"billing", run.Denied}, {"credit", run.Denied},
	{"rate_limit", run.RateLimited}, {"rate limit", run.RateLimited}, {"too_many_requests", run.RateLimited},
	{"invalid_api_key", run.Denied}, {"authentication", run.Denied}, {"permission", run.Denied}, {"unauthorized", run.Denied},
	{"overloaded", run.Unavailable}, {"unavailable", run.Unavailable}, {"server_error", run.Unavailable}, {"timeout", run.Unavailable},
	{"content_filter", run.Refused}, {"content_policy", run.Refused},
	{"invalid_request", run.Failure}, {"not_found", run.Failure}, {"context_length", run.Failure},
}

// outcome of an error that came without a status, or in the middle of an answer.
func (f *failure) outcome() (run.Outcome, string) {
	message := outcome.Brief(f.message, 500, false)
	kind := strings.ToLower(f.kind)
	for _, w := range words {
		if strings.Contains(kind, w.word) {
			return w.Outcome, message
		}
	}
	if f.status >= 400 {
		return outcome.Of(f.status), message
	}
	return run.Unavailable, message
}

// failed is the reply to a status other than 200.
func (a *chat) failed(resp *http.Response, body []byte, name string) agent.Reply {
	reply := agent.Reply{Outcome: outcome.Of(resp.StatusCode), RetryAfter: outcome.RetryAfter(resp.Header, time.Now()), Usage: run.Usage{Calls: 1, Model: name}}
	if resp.StatusCode < 400 {
		reply.Outcome, reply.RetryAfter = run.Failure, 0
		reply.Message = fmt.Sprintf("%s answered %d instead of 200; base_url may be wrong", a.host(), resp.StatusCode)
		if to := resp.Header.Get("Location"); to != "" {
			reply.Message += ": it redirects to " + outcome.Brief(to, 200, false)
		}
		return reply
	}
	var envelope struct {
		Error   json.RawMessage
		Message string
		Detail  any
	}
	var list []json.RawMessage // Gemini
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		body = list[0]
	}
	message := ""
	if json.Unmarshal(body, &envelope) == nil {
		switch {
		case len(envelope.Error) > 0:
			f := readFailure(envelope.Error)
			message = f.message
			kind, said := strings.ToLower(f.kind), strings.ToLower(f.message)
			switch {
			case resp.StatusCode == http.StatusTooManyRequests && strings.Contains(kind, "insufficient_quota"):
				reply.Outcome = run.Denied // waiting does not fill an account
			case resp.StatusCode == http.StatusBadRequest && (strings.Contains(kind, "content_filter") || strings.Contains(kind, "content_policy")):
				reply.Outcome = run.Refused
			case resp.StatusCode == http.StatusBadRequest && strings.Contains(said, "api key") && strings.Contains(said, "valid"):
				reply.Outcome = run.Denied
			}
		case envelope.Message != "":
			message = envelope.Message
		case envelope.Detail != nil:
			message = fmt.Sprint(envelope.Detail)
		}
	}
	if message == "" {
		message = plainText(string(body))
	}
	if in := again.FindStringSubmatch(message); reply.Outcome == run.RateLimited && reply.RetryAfter == 0 && in != nil {
		if wait, err := time.ParseDuration(in[1]); err == nil && wait < 7*24*time.Hour {
			reply.RetryAfter = wait
		}
	}
	reply.Message = fmt.Sprintf("%s answered %d %s", a.host(), resp.StatusCode, http.StatusText(resp.StatusCode))
	if message != "" {
		reply.Message += ": " + outcome.Brief(message, 500, false)
	}
	switch {
	case resp.StatusCode == http.StatusNotFound && strings.HasSuffix(a.host(), ":11434"):
		reply.Message += fmt.Sprintf(" (fetch it with `ollama pull %s`)", name)
	case resp.StatusCode == http.StatusUnauthorized:
		reply.Message += fmt.Sprintf(" (is %s right?)", a.keyName())
	}
	return reply
}

var (
	tags   = regexp.MustCompile(`(?s)<(script|style).*?</(script|style)>|<[^>]*>`)
	blanks = regexp.MustCompile(`\s+`)
	again  = regexp.MustCompile(`(?i)(?:try again|retry) in ((?:[0-9.]+(?:ms|[hms]))+)`) // where there is no header that says it
)

// plainText makes a line of what may be a page of HTML.
func plainText(body string) string {
	if len(body) > 64<<10 {
		body = body[:64<<10]
	}
	if strings.Contains(body, "<") {
		body = tags.ReplaceAllString(body, " ")
	}
	return outcome.Brief(blanks.ReplaceAllString(body, " "), 300, false)
}

// modelNames reads the answer of /models.
func modelNames(body []byte) []string {
	var list struct {
		Data []struct{ ID string }
	}
	json.Unmarshal(body, &list)
	var names []string
	for _, m := range list.Data {
		if m.ID != "" {
			names = append(names, m.ID)
		}
	}
	return names
}
