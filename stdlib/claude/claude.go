// Package claude asks Claude: through the claude program when it is on PATH, else through the Messages API.
//
// Asked to think, the program runs with no tools, no MCP server, no settings of folder or user, in an empty folder, and leaves no session behind: only so may it
// run in parallel and be asked again. Tools, a working folder, settings or people's leave, which only configuration can give, make the agent one that does.
package claude

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/model"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// Config of an agent. The zero value takes whatever of the two ways is there.
type Config struct {
	Name      string                 // "claude" when empty
	Prefer    string                 // "api" or "cli" takes that way alone; "" the program when it is on PATH
	Model     string                 // an id or one of opus, sonnet, haiku, fable; "" is sonnet
	MaxTokens int                    // of an answer, for calls that say nothing; 0 is 4096
	APIKey    func() (string, error) // read at each call; nil, or an empty key: none
	KeyName   string                 // what the key is called in messages; "" is ANTHROPIC_API_KEY
	BaseURL   string                 // "" is Anthropic's own
	Price     *types.Price           // of Model; nil: the list price, if the model is known

	Program string   // the claude program; "" is "claude" on PATH
	Tools   []string // what the program may use, such as Read or Bash(git:*); makes the agent a `do`
	Folder  string   // where the program works; makes the agent a `do`
	// Permissions: "ask" has people asked what Tools do not allow, and makes the agent a `do`; "", or "deny": it fails the call.
	Permissions string
	Settings    []string      // user, project, local: settings, notes and hooks of the program that count; makes the agent a `do`. Empty: none
	Env         []string      // names of further environment variables it may see
	Idle        time.Duration // how long it may be silent; 0 is 10 minutes
	Grace       time.Duration // between SIGTERM and SIGKILL; 0 is 3 s

	Transport http.RoundTripper // of the API; nil: one of its own, with the proxies of the environment
}

// DefaultModel is asked when nobody names one.
const DefaultModel = "sonnet"

// New returns an agent with one capability, named as configured.
func New(c Config) agent.Agent {
	if c.Name == "" {
		c.Name = "claude"
	}
	if c.Model == "" {
		c.Model = DefaultModel
	}
	if c.KeyName == "" {
		c.KeyName = "ANTHROPIC_API_KEY"
	}
	if c.Program == "" {
		c.Program = "claude"
	}
	if c.Idle == 0 {
		c.Idle = 10 * time.Minute
	}
	a := &claude{Config: c, limited: c.MaxTokens != 0, unbound: map[string]bool{}}
	if a.MaxTokens == 0 {
		a.MaxTokens = 4096
	}
	if a.Price == nil {
		a.Price, a.listed = ListPrice(a.Model), true
	}
	if a.Transport == nil {
		a.Transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     30 * time.Second,
		}
	}
	return a
}

// programLimit: processes of the claude program that run at once fight over its login and its settings, and one token is lost in the end.
const programLimit = 4

// Limit is how many calls at a time an agent of that configuration takes when nobody says otherwise; 0: any number.
func Limit(c Config) int {
	if c.Program == "" {
		c.Program = "claude"
	}
	acts := c.acts()
	if c.Prefer == "api" && !acts {
		return 0
	}
	if _, absent := exec.LookPath(c.Program); absent != nil && c.Prefer != "cli" && !acts {
		return 0 // the API is asked
	}
	return programLimit
}

type claude struct {
	Config
	limited bool // MaxTokens was configured
	listed  bool // Price was not

	mu      sync.Mutex
	unbound map[string]bool // models of the API that refuse to be bound to a schema

	beginnings beginnings
}

// acts says that the agent may change the world.
func (c *Config) acts() bool {
	return len(c.Tools) > 0 || c.Folder != "" || c.Permissions == "ask" || len(c.Settings) > 0
}

// Signatures of the model.
func (a *claude) Signatures() []types.Signature {
	optional := func(k types.Kind) types.Type { return types.Type{Kind: k, Optional: true} }
	s := types.Signature{
		Name: a.Name, Use: a.Name, Doc: "Asks Claude.",
		Primary: "prompt", Text: types.Prompt, Effect: types.Think, Kind: types.Call, Structured: true, World: true, Version: "1",
		Result: types.Type{Kind: types.String}, Price: a.Price, MaxOutput: a.MaxTokens,
		Params: []types.Param{
			{Name: "prompt", Type: types.Type{Kind: types.String}, Required: true},
			{Name: "model", Type: optional(types.String), Doc: "an id, or opus, sonnet, haiku, fable"},
			{Name: "max_tokens", Type: optional(types.Int), Doc: "of the answer; a longer one is a failure"},
			{Name: "temperature", Type: optional(types.Float), Doc: "the API only"},
			{Name: "effort", Type: optional(types.String), Doc: strings.Join(model.Efforts, ", ")},
		},
	}
	if a.listed || *a.Price != (types.Price{}) { // else every model is free
		s.Prices = maps.Clone(prices)
		for name, id := range aliases {
			s.Prices[name] = prices[id]
		}
		if a.Price != nil {
			s.Prices[a.Model] = *a.Price
		} else {
			delete(s.Prices, a.Model)
		}
	}
	if a.acts() {
		s.Effect, s.Doc = types.Do, "Asks Claude, which may use tools."
	}
	return []types.Signature{s}
}

// Call makes one attempt, by program or by API.
func (a *claude) Call(ctx context.Context, c *agent.Call) agent.Reply {
	req, err := model.Read(c, a.Model, a.MaxTokens)
	if err != nil {
		return agent.Fail(run.Failure, err.Error())
	}
	secrets := outcome.SecretsOf(c)
	secrets.Add(loginToken, os.Getenv(loginToken)) // the program is given it, and may say it
	way, key, err := a.way(secrets)
	if err != nil {
		return agent.Fail(run.Denied, err.Error())
	}
	emit := func(p agent.Progress) {
		p.Delta, p.Note = secrets.Black(p.Delta), secrets.Black(p.Note)
		if p.Tool != nil {
			shown := *p.Tool
			shown.Args, shown.Result = secrets.Black(shown.Args), secrets.Black(shown.Result)
			p.Tool = &shown
		}
		c.Emit(p)
	}
	var reply agent.Reply
	switch {
	case way == "cli" && req.Temperature != nil:
		return agent.Fail(run.Failure, `the claude program takes no temperature: leave it out, or set prefer = "api" in slop.toml`)
	case way == "cli":
		reply = a.program(ctx, c, req, key, emit)
	default:
		reply = a.api(ctx, c, req, key, emit)
	}
	if reply.Usage.Calls == 0 {
		reply.Usage.Calls = 1
	}
	if reply.Usage.Model == "" {
		reply.Usage.Model = req.Model
	}
	reply.Message = secrets.Black(reply.Message)
	return reply
}

// loginToken names the variable that holds the login of the program where there is nobody to log in.
const loginToken = "CLAUDE_CODE_OAUTH_TOKEN"

// way chooses between "cli" and "api" and gives the key, which the program needs only when it is not logged in.
func (a *claude) way(secrets *outcome.Secrets) (way, key string, err error) {
	var missing error
	if a.APIKey != nil {
		key, missing = a.APIKey()
	}
	secrets.Add(a.KeyName, key)
	_, absent := exec.LookPath(a.Program)
	switch {
	case a.acts() && a.Prefer == "api":
		return "", "", fmt.Errorf(`%s has tools, a folder, permissions or settings, which only the claude program can use: set prefer = "cli"`, a.Name)
	case missing != nil: // a key that was named is not passed over in favour of the program's own login
		return "", "", fmt.Errorf("%s has no key: %w", a.Name, missing)
	case a.Prefer == "api" && key == "":
		return "", "", fmt.Errorf("%s has no key: set %s", a.Name, a.KeyName)
	case a.Prefer == "api":
		return "api", key, nil
	case absent == nil:
		return "cli", key, nil
	case a.Prefer == "cli" || a.acts():
		return "", "", fmt.Errorf("%s needs the claude program, and it is not on PATH: install Claude Code", a.Name)
	case key == "":
		return "", "", fmt.Errorf("%s cannot be asked: the claude program is not on PATH, and %s is not set; install Claude Code or set the key", a.Name, a.KeyName)
	}
	return "api", key, nil
}

// Account is what answers, program or server, and as whom it is asked. How the program is logged in is known to itself only; where it looks is known here.
func (a *claude) Account() string {
	way, key, err := a.way(outcome.NewSecrets(nil))
	return agent.Account(way, key, fmt.Sprint(err != nil), a.BaseURL, os.Getenv("CLAUDE_CONFIG_DIR"), os.Getenv(loginToken))
}

// Check says whether the program runs, or a key is there. Neither costs anything; a key is not tried.
func (a *claude) Check(ctx context.Context) error {
	way, _, err := a.way(outcome.NewSecrets(nil))
	if err != nil || way == "api" {
		return err
	}
	_, err = a.version(ctx)
	return err
}

// price of a model for the tokens of u: what is configured holds for the configured model, the list for the others.
func (a *claude) price(name string, u run.Usage) *types.Price {
	if p := a.configured(name); p != nil {
		return p
	}
	p := ListPrice(name)
	if p != nil && *p == prices[haiku] && u.Input+u.CacheRead+u.CacheWrite <= 100_000 {
		return &haikuShort
	}
	return p
}

// configured is the price that configuration gives for calls of a model; nil when it says nothing. That calls are free holds for every model.
func (a *claude) configured(name string) *types.Price {
	if a.listed || name != a.Model && *a.Price != (types.Price{}) {
		return nil
	}
	return a.Price
}

// aliases are the names that people use for the newest of a family.
var aliases = map[string]string{
	"opus":   "claude-opus-5-5",
	"sonnet": "claude-sonnet-5-5",
	"haiku":  haiku,
	"fable":  "claude-fable-5-1",
}

// prices are Anthropic's list prices of October 2026, dollars per million tokens, cache writes for five minutes. The longest prefix of a model's id counts.
// Haiku 5.5 is listed with its band for prompts over 100,000 tokens, so that a reservation is enough; haikuShort is the other.
var prices = map[string]types.Price{
	"claude-fable-5-1":  {Input: 10, Output: 50, CacheRead: 0.25, CacheWrite: 12.5},
	"claude-mythos-5-1": {Input: 10, Output: 50, CacheRead: 0.25, CacheWrite: 12.5},
	"claude-fable-5":    {Input: 10, Output: 50, CacheRead: 1, CacheWrite: 12.5},
	"claude-mythos-5":   {Input: 10, Output: 50, CacheRead: 1, CacheWrite: 12.5},
	"claude-opus-5-5":   {Input: 4, Output: 20, CacheRead: 0.2, CacheWrite: 5},
	"claude-opus-5":     {Input: 5, Output: 25, CacheRead: 0.5, CacheWrite: 6.25},
	"claude-opus-4-8":   {Input: 5, Output: 25, CacheRead: 0.5, CacheWrite: 6.25},
	"claude-opus-4-7":   {Input: 5, Output: 25, CacheRead: 0.5, CacheWrite: 6.25},
	"claude-opus-4-6":   {Input: 5, Output: 25, CacheRead: 0.5, CacheWrite: 6.25},
	"claude-opus-4-5":   {Input: 5, Output: 25, CacheRead: 0.5, CacheWrite: 6.25},
	"claude-sonnet-5-5": {Input: 2, Output: 10, CacheRead: 0.1, CacheWrite: 2.5},
	"claude-sonnet-5":   {Input: 2, Output: 10, CacheRead: 0.2, CacheWrite: 2.5},
	"claude-sonnet-4-6": {Input: 3, Output: 15, CacheRead: 0.3, CacheWrite: 3.75},
	"claude-sonnet-4-5": {Input: 3, Output: 15, CacheRead: 0.3, CacheWrite: 3.75},
	haiku:               {Input: 0.5, Output: 2.5, CacheRead: 0.05, CacheWrite: 0.625},
	"claude-haiku-4-5":  {Input: 1, Output: 5, CacheRead: 0.1, CacheWrite: 1.25},
}

const haiku = "claude-haiku-5-5"

var haikuShort = types.Price{Input: 0.1, Output: 0.5, CacheRead: 0.01, CacheWrite: 0.125}

// ListPrice is the published price of a model, by id or alias; nil when it is not known.
func ListPrice(name string) *types.Price {
	if id, ok := aliases[name]; ok {
		name = id
	}
	for _, id := range slices.SortedFunc(maps.Keys(prices), func(a, b string) int { return len(b) - len(a) }) {
		rest, ok := strings.CutPrefix(name, id)
		if ok && (rest == "" || dated(rest)) {
			p := prices[id]
			return &p
		}
	}
	return nil
}

// dated reports whether rest is the date that ends a full id, as in claude-opus-4-5-20251101.
func dated(rest string) bool {
	return len(rest) == 9 && rest[0] == '-' && strings.Trim(rest[1:], "0123456789") == ""
}
