package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
)

// Protocol is the version that is spoken here.
const Protocol = 1

// What one side takes from the other.
const (
	maxLine       = 16 << 20 // bytes of a message
	maxStrays     = 1000     // lines that are no message, or of no call, before the connection is given up
	maxTalk       = 64 << 20 // bytes of progress of one call
	maxRetryAfter = 7 * 24 * time.Hour
)

// message is any message of the protocol (spec/agent-protocol.md). Which fields count follows from the type.
type message struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"` // of a call

	// hello
	Protocol     int          `json:"protocol,omitempty"`
	Name         string       `json:"name,omitempty"`
	Version      string       `json:"version,omitempty"`
	Concurrency  int          `json:"concurrency,omitempty"` // calls at a time; 0 is 1
	Heartbeat    float64      `json:"heartbeat,omitempty"`   // seconds in which it answers a ping, also while it is at work; 0: it promises nothing
	Capabilities []capability `json:"capabilities,omitempty"`

	// call
	Capability *string         `json:"capability,omitempty"`
	Key        string          `json:"key,omitempty"`
	Attempt    int             `json:"attempt,omitempty"`
	Deadline   string          `json:"deadline,omitempty"`
	Args       map[string]any  `json:"args,omitempty"`
	System     string          `json:"system,omitempty"`
	Schema     json.RawMessage `json:"schema,omitempty"`
	Repair     *repair         `json:"repair,omitempty"`
	Answer     *answer         `json:"answer,omitempty"`
	Folder     string          `json:"folder,omitempty"`

	// progress
	Delta string `json:"delta,omitempty"`
	Note  string `json:"note,omitempty"`

	// result, error, ask
	Value      json.RawMessage `json:"value,omitempty"`
	AgentID    string          `json:"agentId,omitempty"`
	Usage      *usage          `json:"usage,omitempty"`
	Outcome    run.Outcome     `json:"outcome,omitempty"`
	Message    string          `json:"message,omitempty"`
	RetryAfter float64         `json:"retryAfter,omitempty"` // seconds
	Form       *form           `json:"form,omitempty"`
	Token      string          `json:"token,omitempty"`

	// cancel
	Reason string `json:"reason,omitempty"`

	// ping, pong
	N int64 `json:"n,omitempty"`
}

type capability struct {
	Name       string          `json:"name"` // "" is the agent itself
	Doc        string          `json:"doc,omitempty"`
	Input      json.RawMessage `json:"input,omitempty"`  // JSON Schema of an object
	Output     json.RawMessage `json:"output,omitempty"` // JSON Schema; none is any
	Text       string          `json:"text,omitempty"`   // the argument that the text after the name fills
	TextKind   types.TextKind  `json:"textKind,omitempty"`
	Effect     types.Effect    `json:"effect,omitempty"`
	Idempotent bool            `json:"idempotent,omitempty"`
	Structured bool            `json:"structured,omitempty"` // takes `as T`
	Secrets    []string        `json:"secrets,omitempty"`    // arguments that may hold secrets
	Examples   []example       `json:"examples,omitempty"`
}

// example is a call that the conformance test may make.
type example struct {
	Args map[string]any `json:"args,omitempty"`
}

type repair struct {
	Round    int      `json:"round"`
	Answer   any      `json:"answer"`
	Problems []string `json:"problems"`
}

type answer struct {
	Token string `json:"token"`
	Value any    `json:"value"`
}

// usage is cumulative: the last one of a call counts.
type usage struct {
	Input      int64    `json:"input,omitempty"` // tokens
	Output     int64    `json:"output,omitempty"`
	CacheRead  int64    `json:"cacheRead,omitempty"`
	CacheWrite int64    `json:"cacheWrite,omitempty"`
	Cost       *float64 `json:"cost,omitempty"` // dollars
	Model      string   `json:"model,omitempty"`
}

// form is a question to people.
type form struct {
	Kind    string          `json:"kind,omitempty"` // ask, approve, choose, form
	Text    string          `json:"text"`
	Choices []string        `json:"choices,omitempty"`
	Schema  json.RawMessage `json:"schema,omitempty"` // of the answer
}

// encode writes a message as one line.
func encode(m *message) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, err
	}
	if b.Len() > maxLine {
		return nil, fmt.Errorf("the message has %d MiB, more than %d", b.Len()>>20, maxLine>>20)
	}
	return b.Bytes(), nil
}

// decode reads a line.
func decode(line []byte) (*message, error) {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		return nil, err
	}
	if m.Type == "" {
		return nil, errors.New("it has no type")
	}
	return &m, nil
}

// Description is what an agent says of itself in its hello.
type Description struct {
	Name        string
	Version     string
	Concurrency int
	Heartbeat   time.Duration     // 0: none
	Signatures  []types.Signature // named as below the agent's own name: "remote", "remote.shout"
	raw         []byte
	examples    map[string][]example // by capability
}

// Raw is the hello as it was said, for who keeps it: Parse reads it again.
func (d *Description) Raw() []byte { return d.raw }

// Parse reads a hello, which may have been kept.
func Parse(hello []byte) (*Description, error) {
	m, err := decode(hello)
	if err != nil {
		return nil, fmt.Errorf("its hello cannot be read: %w", err)
	}
	if m.Type != "hello" {
		return nil, fmt.Errorf("it begins with %q and not with a hello", m.Type)
	}
	return describe(m, hello)
}

// own is the first word of the names of capabilities; the registry puts the name from slop.toml in its place.
const own = "remote"

var capabilityName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

const maxCapabilityName = 64

func describe(m *message, raw []byte) (*Description, error) {
	if m.Protocol != Protocol {
		return nil, fmt.Errorf("it speaks protocol %d, and slop speaks %d", m.Protocol, Protocol)
	}
	if len(m.Capabilities) == 0 {
		return nil, errors.New("its hello names no capabilities")
	}
	if m.Concurrency < 0 || m.Concurrency > 10_000 {
		return nil, fmt.Errorf("its concurrency is %d; it is from 1 to 10000", m.Concurrency)
	}
	if m.Heartbeat != 0 && !(m.Heartbeat >= 0.1 && m.Heartbeat <= 3600) {
		return nil, fmt.Errorf("its heartbeat is %v seconds; it is from 0.1 to 3600, or left out", m.Heartbeat)
	}
	d := &Description{
		Name: m.Name, Version: m.Version, Concurrency: max(1, m.Concurrency), Heartbeat: time.Duration(m.Heartbeat * float64(time.Second)),
		raw: bytes.Clone(raw), examples: map[string][]example{},
	}
	seen := map[string]bool{}
	for _, c := range m.Capabilities {
		if c.Name != "" && (len(c.Name) > maxCapabilityName || !capabilityName.MatchString(c.Name)) {
			return nil, fmt.Errorf("%q cannot be the name of a capability: use letters, digits and _, a letter first", c.Name)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("the capability %q stands twice", c.Name)
		}
		seen[c.Name] = true
		s, err := c.signature(m.Version)
		if err != nil {
			return nil, fmt.Errorf("capability %q: %w", c.Name, err)
		}
		d.Signatures = append(d.Signatures, s)
		d.examples[c.Name] = c.Examples
	}
	return d, nil
}

func (c *capability) signature(version string) (types.Signature, error) {
	s := types.Signature{
		Name: own, Use: "program", Doc: c.Doc, Primary: c.Text, Text: c.TextKind, Effect: c.Effect, Kind: types.Call, Idempotent: c.Idempotent,
		Structured: c.Structured, World: true, Version: "program " + version,
	}
	if c.Name != "" {
		s.Name += "." + c.Name
		s.Use += "." + c.Name
	}
	switch c.Effect {
	case types.Think, types.Read, types.Do:
	case "":
		s.Effect = types.Do // what does not say so may change the world
	default:
		return s, fmt.Errorf("its effect is %q; it is think, read or do", c.Effect)
	}
	switch c.TextKind {
	case types.Prompt, types.Argv, types.URL, types.Code, types.Text:
	case "":
		if c.Text != "" {
			s.Text = types.Prompt
		}
	default:
		return s, fmt.Errorf("its textKind is %q; it is prompt, argv, url, code or text", c.TextKind)
	}
	var err error
	if s.Params, err = types.ParamsOf(c.Input, c.Secrets); err != nil {
		return s, fmt.Errorf("its input: %w", err)
	}
	if s.Result, err = types.FromSchema(c.Output); err != nil {
		return s, fmt.Errorf("its output: %w", err)
	}
	known := func(name string) bool {
		for _, p := range s.Params {
			if p.Name == name {
				return true
			}
		}
		return false
	}
	if c.Text != "" && !known(c.Text) {
		return s, fmt.Errorf("its text fills %q, which is no property of its input", c.Text)
	}
	for _, name := range c.Secrets {
		if !known(name) {
			return s, fmt.Errorf("%q may hold secrets, and is no property of its input", name)
		}
	}
	return s, nil
}

// runUsage puts what an agent reported into the words of a run.
func (u *usage) runUsage() run.Usage {
	if u == nil {
		return run.Usage{}
	}
	natural := func(n int64) int64 { return max(0, n) }
	r := run.Usage{
		Calls: 1, Input: natural(u.Input), Output: natural(u.Output), CacheRead: natural(u.CacheRead), CacheWrite: natural(u.CacheWrite), Model: u.Model,
	}
	if r.Input+r.Output+r.CacheRead+r.CacheWrite > 0 {
		r.Tokens = run.Reported
	}
	if u.Cost != nil && *u.Cost >= 0 && *u.Cost < 1e9 {
		r.Cost, r.CostSource = plan.Money(math.Round(*u.Cost*1e6)), run.Reported
	}
	return r
}

// reply is the end of a call as the runtime knows it.
func (m *message) reply() agent.Reply {
	switch m.Type {
	case "result":
		if len(m.Value) == 0 {
			return agent.Reply{AgentID: m.AgentID}
		}
		v, err := jsonvalue.Parse(m.Value)
		if err != nil {
			return agent.Fail(run.Failure, "its answer cannot be read: "+err.Error())
		}
		return agent.Reply{Value: v, AgentID: m.AgentID}
	case "ask":
		return m.question()
	}
	r := agent.Reply{Outcome: m.Outcome, Message: m.Message, AgentID: m.AgentID}
	switch r.Outcome {
	case run.Timeout, run.Unavailable, run.RateLimited, run.Refused, run.Denied, run.Invalid, run.Failure:
	case run.Stopped:
		r.Outcome, r.Message = run.Failure, "it says that it was cancelled, and nobody did that"
	default:
		r.Outcome = run.Failure
	}
	if r.Message == "" {
		r.Message = "it failed and did not say why"
	}
	if m.RetryAfter > 0 {
		r.RetryAfter = time.Duration(min(m.RetryAfter, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	return r
}

func (m *message) question() agent.Reply {
	if m.Form == nil || m.Form.Text == "" {
		return agent.Fail(run.Failure, "it asks people, and does not say what")
	}
	f := run.Form{Kind: m.Form.Kind, Text: m.Form.Text, Choices: m.Form.Choices}
	t, err := types.FromSchema(m.Form.Schema)
	if err != nil {
		return agent.Fail(run.Failure, "it asks people for an answer of no type: "+err.Error())
	}
	f.Type = t
	switch f.Kind {
	case "approve", "choose", "ask", "form":
	case "":
		f.Kind = "ask"
		switch {
		case len(f.Choices) > 0:
			f.Kind = "choose"
		case t.Kind == types.Record:
			f.Kind = "form"
		}
	default:
		return agent.Fail(run.Failure, fmt.Sprintf("it asks people with a form of the kind %q; it is ask, approve, choose or form", f.Kind))
	}
	if f.Kind == "choose" && len(f.Choices) == 0 {
		return agent.Fail(run.Failure, "it has people choose, and gives no choices")
	}
	return agent.Ask(f, m.Token)
}
