package claude

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/model"
	"github.com/slopstudios/slop/stdlib/outcome"
	"github.com/slopstudios/slop/stdlib/process"
)

// event is one line of stream-json. Kinds we do not know are skipped; a field of another type than ours is as good as missing.
type event struct {
	Type    string
	Subtype string
	Session string  `json:"session_id"`
	Parent  *string `json:"parent_tool_use_id"` // set on what a subagent says

	// system
	Tools   []string
	Servers []struct{ Name, Status string } `json:"mcp_servers"`
	Model   string
	denial
	Attempt int
	Status  int `json:"error_status"`

	Message struct { // assistant, and user for what tools gave; the parts of one message come in several events
		ID      string
		Content []part
	}
	Error any // assistant: why it is no answer
	Event struct {
		Type  string
		Block struct{ Type string } `json:"content_block"`
		Delta struct{ Type, Text string }
	}
	Limit struct {
		Status   string
		ResetsAt any
	} `json:"rate_limit_info"`

	result
}

// part is one of a message.
type part struct {
	Type, Text string
	ID, Name   string // tool_use
	Input      json.RawMessage
	Of         string `json:"tool_use_id"` // tool_result
	Content    json.RawMessage
	Failed     bool `json:"is_error"`
}

// result is the last line.
type result struct {
	IsError    bool            `json:"is_error"`
	Text       string          `json:"result"`
	Structured json.RawMessage `json:"structured_output"`
	Stop       string          `json:"stop_reason"`
	Terminal   string          `json:"terminal_reason"`
	APIStatus  int             `json:"api_error_status"`
	Errors     []any
	Denials    []denial `json:"permission_denials"`
	Cost       *float64 `json:"total_cost_usd"`
	Usage      *struct {
		Input      int64 `json:"input_tokens"`
		Output     int64 `json:"output_tokens"`
		CacheRead  int64 `json:"cache_read_input_tokens"`
		CacheWrite int64 `json:"cache_creation_input_tokens"`
	}
	Models map[string]struct {
		InputTokens, OutputTokens, CacheReadInputTokens, CacheCreationInputTokens int64
	} `json:"modelUsage"`
}

// telling is what a run of the program has told.
type telling struct {
	begun   bool // any event came, so there may be a bill
	session string
	model   string
	message string
	text    strings.Builder // of the last whole message, for the case that the result has none
	why     string          // assistant.error
	denied  []denial
	resets  time.Time
	final   *result
	subtype string
	price   *types.Price // what configuration says; nil: nothing
	noise   string       // the last line that was no event
}

// teller reads stdout as it comes. Lines are put together from bytes before they are decoded, so a character is never cut in two.
type teller struct {
	emit  func(agent.Progress)
	tools bool // it may have tools
	abort func(error)

	mu    sync.Mutex
	rest  []byte
	skip  bool // within a line that is too long
	ended bool
	telling
	thinks bool
	uses   map[string]string // tools in use: their names by what the model calls the use
}

// maxLine bounds a line. A turn with everything in it has been seen at several megabytes.
const maxLine = 64 << 20

func (t *teller) write(chunk []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(chunk) > 0 && !t.ended {
		line, rest, whole := bytes.Cut(chunk, []byte("\n"))
		chunk = rest
		if !t.skip {
			t.rest = append(t.rest, line...)
		}
		if len(t.rest) > maxLine {
			t.rest, t.skip, t.noise = nil, true, "a line longer than 64 MiB"
		}
		if whole {
			if !t.skip {
				t.line(t.rest)
			}
			t.rest, t.skip = t.rest[:0], false
		}
	}
}

// end takes in a last line without its newline. What comes later is not read any more.
func (t *teller) end() *telling {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended && !t.skip {
		t.line(t.rest)
	}
	t.ended = true
	return &t.telling
}

func (t *teller) line(line []byte) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	var e event
	var odd *json.UnmarshalTypeError
	if err := json.Unmarshal(line, &e); err != nil && !errors.As(err, &odd) || e.Type == "" {
		t.noise = outcome.Brief(string(line), 300, false)
		return
	}
	t.begun = true
	if e.Session != "" {
		t.session = e.Session
	}
	switch e.Type {
	case "system":
		t.system(&e)
	case "stream_event":
		t.partial(&e)
	case "assistant":
		if e.Parent == nil {
			if e.Message.ID != t.message {
				t.message = e.Message.ID
				t.text.Reset() // the last message is the answer
			}
			for _, part := range e.Message.Content {
				if part.Type == "text" {
					t.text.WriteString(part.Text)
				}
			}
		}
		t.used(e.Message.Content)
		if why, ok := e.Error.(string); ok && why != "" {
			t.why = why
		}
	case "user":
		t.used(e.Message.Content)
	case "rate_limit_event":
		if e.Limit.Status == "rejected" {
			t.resets = moment(e.Limit.ResetsAt)
		}
	case "result":
		r := e.result // of several, the last counts
		t.final, t.subtype = &r, e.Subtype
	}
}

func (t *teller) system(e *event) {
	switch e.Subtype {
	case "init":
		t.model = e.Model
		extra := slices.DeleteFunc(slices.Clone(e.Tools), func(name string) bool { return name == "StructuredOutput" })
		if !t.tools && len(extra) > 0 {
			t.abort(excessError(strings.Join(extra[:min(4, len(extra))], ", ")))
		}
		for _, s := range e.Servers { // one that is not ready yet has no tools in the list
			if s.Status == "connected" || s.Status == "pending" {
				t.abort(excessError("the MCP server " + s.Name))
			}
		}
	case "api_retry":
		t.emit(agent.Progress{Note: fmt.Sprintf("claude tries again (attempt %d)", e.Attempt)})
	case "permission_denied":
		t.denied = append(t.denied, e.denial)
	}
}

// partial shows tokens as they come. They are never the answer: that is in the result.
func (t *teller) partial(e *event) {
	if e.Parent != nil {
		return
	}
	switch {
	case e.Event.Type == "content_block_delta" && e.Event.Delta.Type == "text_delta" && e.Event.Delta.Text != "":
		t.emit(agent.Progress{Delta: e.Event.Delta.Text})
	case e.Event.Type == "content_block_start" && e.Event.Block.Type == "thinking" && !t.thinks:
		t.thinks = true
		t.emit(agent.Progress{Note: "thinking"})
	}
}

// used shows the tools that the program uses, as they begin and as they end.
func (t *teller) used(parts []part) {
	for _, p := range parts {
		switch p.Type {
		case "tool_use":
			if p.Name == "StructuredOutput" || t.uses[p.ID] != "" {
				continue
			}
			if t.uses == nil {
				t.uses = map[string]string{}
			}
			t.uses[p.ID] = p.Name
			t.emit(agent.Progress{Tool: &run.ToolUse{ID: p.ID, Name: p.Name, Args: outcome.Brief(string(p.Input), maxShown, false)}})
		case "tool_result":
			name := t.uses[p.Of]
			if name == "" {
				continue
			}
			delete(t.uses, p.Of)
			t.emit(agent.Progress{Tool: &run.ToolUse{ID: p.Of, Name: name, Ended: true, Failed: p.Failed, Result: outcome.Brief(resultText(p.Content), maxShown, false)}})
		}
	}
}

// maxShown is how much is shown of what a tool is given, and gives.
const maxShown = 4 << 10

// resultText is what a tool gave: a text, or parts of which the texts count.
func resultText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var parts []part
	_ = json.Unmarshal(raw, &parts) // what is neither shows nothing
	for _, p := range parts {
		text += p.Text
	}
	return text
}

// broken is the reply when the program was stopped.
func (t *telling) broken(o run.Outcome, message string) agent.Reply {
	return agent.Reply{Outcome: o, Message: message, Usage: t.usage(nil), AgentID: t.session}
}

// reply is what the run amounts to. Stdout is believed before the exit code: the program has ended with 0 after errors and with 1 after answers.
func (t *telling) reply(p process.Result, req model.Request, bound bool, price func(run.Usage) *types.Price) agent.Reply {
	r := agent.Reply{Usage: t.usage(price), AgentID: t.session}
	fail := func(o run.Outcome, message string) agent.Reply {
		r.Outcome, r.Message = o, message
		if o == run.RateLimited && !t.resets.IsZero() {
			r.RetryAfter = min(max(0, time.Until(t.resets)), longest)
			r.Message += "; it is over at " + t.resets.Local().Format("Mon 15:04")
		}
		return r
	}
	if t.final == nil {
		return fail(t.unfinished(p))
	}
	if len(t.final.Denials) > 0 { // they say more than the events, of the same
		t.denied = t.final.Denials
	}
	if t.final.IsError || t.subtype != "success" {
		return fail(t.classify(req))
	}
	if len(t.denied) > 0 {
		var names []string
		for _, d := range t.denied {
			names = append(names, d.Tool)
		}
		slices.Sort(names)
		return fail(run.Denied, fmt.Sprintf("claude was not allowed to use %s: add it to `tools` in slop.toml, or set permissions = \"ask\" there, or ask for less", strings.Join(slices.Compact(names), ", ")))
	}
	switch t.final.Stop {
	case "refusal":
		return fail(run.Refused, "claude refused: "+outcome.Brief(t.answer(), 500, false))
	case "max_tokens":
		return fail(run.Failure, fmt.Sprintf("the answer was cut off after %d tokens: raise max_tokens, or ask for less", req.MaxTokens))
	case "model_context_window_exceeded":
		return fail(run.Failure, "the prompt and the answer are longer than the model can hold")
	}
	if raw := t.final.Structured; bound && len(raw) > 0 && string(raw) != "null" {
		if v, err := jsonvalue.Parse(raw); err == nil {
			r.Value = req.Shape.Unwrap(v)
			return r
		}
	}
	text := t.answer()
	if strings.TrimSpace(text) == "" {
		return fail(run.Unavailable, "claude gave an empty answer")
	}
	r.Value = req.Shape.Value(text, bound)
	return r
}

// answer is the text of the result, else that of the last message. Partial messages are never taken for it.
func (t *telling) answer() string {
	if t.final.Text != "" {
		return t.final.Text
	}
	return t.text.String()
}

// unfinished says why there is no result.
func (t *telling) unfinished(p process.Result) (run.Outcome, string) {
	if o, ok := reasons[t.why]; ok {
		return o, "claude could not answer: " + strings.ReplaceAll(t.why, "_", " ")
	}
	last := outcome.Brief(string(p.Stderr), 1000, true)
	if last == "" {
		last = t.noise
	}
	if strings.Contains(last, "unknown option") {
		return run.Failure, "this version of the claude program is too old for slop, update it: " + last
	}
	how := fmt.Sprintf("with code %d", p.Code)
	if p.Signal != "" {
		how = "by a signal (" + p.Signal + ")"
	}
	message := "claude ended " + how + " and without a result"
	if last != "" {
		message += ": " + last
	}
	if asksForLogin(last) {
		return run.Denied, message
	}
	return run.Unavailable, message
}

// reasons are the words of assistant.error.
var reasons = map[string]run.Outcome{
	"authentication_failed": run.Denied, "billing_error": run.Denied, "rate_limit": run.RateLimited, "overloaded": run.Unavailable,
	"server_error": run.Unavailable, "invalid_request": run.Failure, "model_not_found": run.Failure, "max_output_tokens": run.Failure,
}

// classify says what kind of failure a result is.
func (t *telling) classify(req model.Request) (run.Outcome, string) {
	text := outcome.Brief(t.words(), 1000, false)
	say := func(otherwise string) string {
		if text == "" {
			return "claude: " + otherwise
		}
		return "claude: " + text
	}
	if t.resets.IsZero() && limitText.MatchString(t.words()) {
		t.resets = limitEnds(t.words(), time.Now())
	}
	switch o, known := reasons[t.why]; {
	case t.subtype == "error_max_turns":
		return run.Failure, "claude stopped: it took more turns than it may"
	case t.subtype == "error_max_budget_usd", t.final.Terminal == "budget_exhausted":
		return run.Failure, "claude stopped: it spent what it may"
	case t.subtype == "error_max_structured_output_retries", t.final.Terminal == "structured_output_retry_exhausted":
		return run.Invalid, say("it gave no answer of the type that was asked for")
	case t.final.APIStatus >= 400:
		return outcome.Of(t.final.APIStatus), say(fmt.Sprintf("the API answered %d", t.final.APIStatus))
	case known:
		return o, say(strings.ReplaceAll(t.why, "_", " "))
	case limitText.MatchString(t.words()):
		return run.RateLimited, say("its limit is reached")
	case asksForLogin(t.words()):
		return run.Denied, say("it is not logged in")
	case strings.Contains(t.words(), "output token maximum"):
		return run.Failure, fmt.Sprintf("the answer was cut off after %d tokens: raise max_tokens, or ask for less", req.MaxTokens)
	case t.final.Terminal == "api_error", strings.Contains(t.words(), "API Error: 5"), strings.Contains(t.words(), "Connection error"):
		return run.Unavailable, say("the API failed")
	}
	return run.Failure, say("it failed (" + t.subtype + ")")
}

// words is all the text that a failed result carries.
func (t *telling) words() string {
	parts := []string{t.final.Text}
	for _, e := range t.final.Errors {
		if s, ok := e.(string); ok {
			parts = append(parts, s)
		}
	}
	if joined := strings.TrimSpace(strings.Join(parts, "\n")); joined != "" {
		return joined
	}
	return t.text.String()
}

func asksForLogin(text string) bool {
	return strings.Contains(text, "/login") || strings.Contains(text, "Invalid API key") || strings.Contains(text, "Not logged in")
}

// usage is what the program reports. The sum over models counts subagents, too; the cost is the program's estimate. A cost of 0 for tokens that were used is what
// subscriptions report: it is not known what they cost.
func (t *telling) usage(price func(run.Usage) *types.Price) run.Usage {
	u := run.Usage{Calls: 1, Model: t.model}
	if !t.begun {
		return u
	}
	u.Tokens = run.Unknown
	if f := t.final; f != nil {
		most := int64(-1)
		for name, m := range f.Models {
			u.Input, u.Output = u.Input+m.InputTokens, u.Output+m.OutputTokens
			u.CacheRead, u.CacheWrite = u.CacheRead+m.CacheReadInputTokens, u.CacheWrite+m.CacheCreationInputTokens
			if m.OutputTokens > most || m.OutputTokens == most && name < u.Model {
				most, u.Model = m.OutputTokens, name
			}
			u.Tokens = run.Reported
		}
		if len(f.Models) == 0 && f.Usage != nil {
			u.Input, u.Output, u.CacheRead, u.CacheWrite = f.Usage.Input, f.Usage.Output, f.Usage.CacheRead, f.Usage.CacheWrite
			u.Tokens = run.Reported
		}
	}
	if p := t.price; p != nil && (*p == types.Price{} || u.Tokens == run.Reported && len(t.final.Models) <= 1) {
		model.Charge(&u, p) // who configures a price pays that one, whatever the program believes
		return u
	}
	if f := t.final; f != nil {
		if f.Cost != nil && *f.Cost > 0 {
			u.Cost, u.CostSource = plan.Money(math.Ceil(*f.Cost*1e6-1e-9)), run.Estimated
			return u
		}
		if f.Cost != nil {
			u.CostSource = run.Unknown
			if u.Tokens == run.Reported && u.Input+u.Output+u.CacheRead+u.CacheWrite == 0 {
				u.CostSource = "" // nothing was used
			}
			return u
		}
	}
	if price == nil {
		u.CostSource = run.Unknown
		return u
	}
	model.Charge(&u, price(u))
	return u
}
