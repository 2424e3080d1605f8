package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/redis"
	"github.com/slopstudios/slop/runtime/store/sqlite"
	"github.com/slopstudios/slop/stdlib"
	"github.com/slopstudios/slop/stdlib/claude"
	"github.com/slopstudios/slop/stdlib/flows"
	"github.com/slopstudios/slop/stdlib/http"
	"github.com/slopstudios/slop/stdlib/mcp"
	"github.com/slopstudios/slop/stdlib/openai"
	"github.com/slopstudios/slop/stdlib/shell"
	"github.com/slopstudios/slop/stdlib/strudel"
)

// setting is what slop.toml can say about a built-in agent beside use, limit and rate: the keys, and what they change.
type setting struct {
	keys      []string
	configure func(c *stdlib.Config, a config.Agent)
}

// settings of the agents that have any, by the name in stdlib's list.
var settings = map[string]setting{
	"claude": {modelKeys("base_url", "api_key_env", "effort", "prefer", "tools", "tool_rounds", "permissions", "settings", "folder", "env"), func(c *stdlib.Config, a config.Agent) {
		c.Claude = claude.Config{
			Prefer: a.Prefer, Model: a.Model, MaxTokens: a.MaxTokens, BaseURL: a.BaseURL, Price: a.Price, Tools: a.Tools, Folder: a.Folder, Env: a.Env,
			Idle: a.Timeout, Permissions: a.Permissions, Settings: a.Settings,
		}
		if len(a.Grants) > 0 {
			c.Claude.Prefer = "api"
		}
		if a.APIKeyEnv != "" {
			c.Claude.APIKey, c.Claude.KeyName = environment(a.APIKeyEnv), a.APIKeyEnv
		}
	}},
	"ollama": {modelKeys("base_url", "api_key_env", "tools", "tool_rounds"), func(c *stdlib.Config, a config.Agent) { c.Ollama = chat(a) }},
	"openai": {modelKeys("base_url", "api_key_env", "tools", "tool_rounds"), func(c *stdlib.Config, a config.Agent) {
		c.OpenAI = chat(a)
		if c.OpenAI.BaseURL == "" {
			c.OpenAI.BaseURL = os.Getenv("OPENAI_BASE_URL")
		}
	}},
	"strudel": {[]string{"engine", "folder"}, func(c *stdlib.Config, a config.Agent) {
		if a.Engine == "node" {
			c.Strudel = strudel.Config{Packages: cmp.Or(a.Folder, filepath.Dir(a.File.Path))}
		}
	}},
	"http": {[]string{"private", "timeout", "first_byte_timeout", "max_body", "max_redirects"}, func(c *stdlib.Config, a config.Agent) {
		c.HTTP = http.Config{Timeout: a.Timeout, FirstByte: a.FirstByte, MaxBody: int64(a.MaxBody)}
		if a.MaxRedirects != nil {
			c.HTTP.MaxRedirects = cmp.Or(*a.MaxRedirects, -1)
		}
		switch {
		case a.Private == nil:
		case *a.Private:
			c.HTTP.Networks = http.Any
		default:
			c.HTTP.Networks = http.Public
		}
	}},
	"shell": {[]string{"folder", "run_folder", "env", "max_output"}, func(c *stdlib.Config, a config.Agent) {
		c.Shell = shell.Config{Folder: a.Folder, Env: a.Env, MaxOutput: a.MaxOutput}
	}},
}

// modelKeys are the keys that every model takes, and more.
func modelKeys(more ...string) []string {
	return append([]string{"model", "system", "max_tokens", "temperature", "price", "timeout"}, more...)
}

// chat configures an agent that speaks the protocol of OpenAI.
func chat(a config.Agent) openai.Config {
	c := openai.Config{BaseURL: a.BaseURL, Model: a.Model, MaxTokens: a.MaxTokens, Price: a.Price, Idle: a.Timeout}
	if a.APIKeyEnv != "" {
		c.APIKey, c.KeyName = environment(a.APIKeyEnv), a.APIKeyEnv
	}
	return c
}

// environment reads a key at each call, so that checking a script reads none. One that slop.toml names must be there: without it a call would go out under
// no name, or another's.
func environment(name string) func() (string, error) {
	return func() (string, error) {
		key := os.Getenv(name)
		if key == "" {
			return "", fmt.Errorf("set %s, which slop.toml names as api_key_env", name)
		}
		return key, nil
	}
}

// agents registers the built-in agents under their names and the configured ones under theirs, where the configured win.
func agents(p *project) (*agent.Registry, error) {
	r := agent.NewRegistry()
	for _, name := range stdlib.Names() {
		if _, configured := p.config.Agents[name]; configured {
			continue
		}
		if err := p.register(r, config.Agent{Name: name, Use: name}, nil); err != nil {
			return nil, err
		}
	}
	for _, name := range p.config.Names() {
		a := p.config.Agents[name]
		if err := meant(a); err != nil {
			return nil, err
		}
		if a.Use == program {
			if err := p.program(r, a); err != nil {
				return nil, err
			}
			continue
		}
		if err := p.grantable(a); err != nil {
			return nil, err
		}
		if len(a.Grants) > 0 {
			continue // it waits for the servers
		}
		if err := p.register(r, a, nil); err != nil {
			return nil, err
		}
	}
	p.servers, p.ungranted = map[string]*mcp.Server{}, map[string]ungranted{}
	for _, name := range p.config.Servers() {
		m := p.config.MCP[name]
		if _, configured := p.config.Agents[name]; configured || slices.Contains(r.Agents(), name) {
			return nil, m.Fault(fmt.Sprintf("there is an agent `%s` already: give the MCP server another name", name))
		}
		c := serverConfig(p, m)
		c.Changed = func() { p.relist(r, name) }
		p.servers[name] = mcp.New(c)
		if err := p.enlist(r, name); err != nil {
			return nil, m.Fault(err.Error())
		}
	}
	for _, name := range p.config.Names() {
		if a := p.config.Agents[name]; len(a.Grants) > 0 {
			if err := p.grant(r, a); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// serverConfig is what slop.toml says of an MCP server.
func serverConfig(p *project, m config.MCP) mcp.Config {
	c := mcp.Config{
		Name: m.Name, Command: m.Command, Folder: m.Folder, Env: m.Env, URL: m.URL, Headers: m.Headers, Token: m.TokenEnv, Allow: m.Allow, Deny: m.Deny,
		Trusted: m.Trust, Idempotent: m.Idempotent, Timeout: m.Timeout, Start: m.Start, Version: version,
	}
	if p.places.State != "" {
		c.Cache = filepath.Join(p.places.State, "mcp")
		c.Log = filepath.Join(c.Cache, m.Name+".log")
	}
	c.Effects = map[string]types.Effect{}
	for tool, effect := range m.Effects {
		c.Effects[tool] = types.Effect(effect)
	}
	return c
}

// enlist registers the tools of a server, as far as they are known.
func (p *project) enlist(r *agent.Registry, name string) error {
	s := p.servers[name]
	if len(s.Signatures()) == 0 {
		return nil
	}
	if err := r.Register(name, s, nil); err != nil {
		return err
	}
	return r.SetLimits(name, agent.Limits{Limit: p.config.MCP[name].Limit})
}

// relist lets runs that are planned from here on call what a server offers now.
func (p *project) relist(r *agent.Registry, name string) {
	if !slices.Contains(r.Agents(), name) {
		_ = p.enlist(r, name) // another may have been faster
		return
	}
	_ = r.Relist(name) // a name that collides: all stays as it was
}

// program is what an agent of slop.toml uses that is a program of its own.
const program = "program"

var programKeys = []string{"command", "folder", "env", "system", "price"}

// meant reports what slop.toml says about an agent and nobody understands.
func meant(a config.Agent) error {
	names := stdlib.Names()
	if a.Use == program && len(a.Command) == 0 {
		return a.Fault("use", fmt.Sprintf("agent `%s` does not say which program it is", a.Name), "", `write command = ["./my-agent"]`)
	}
	if slices.Contains(names, a.Use) || a.Use == program {
		own := settings[a.Use].keys
		if a.Use == program {
			own = programKeys
		}
		known := append([]string{"use", "limit", "rate"}, own...)
		for _, key := range a.Keys {
			if !slices.Contains(known, key) {
				return a.Fault(key, fmt.Sprintf("`%s` means nothing to an agent that uses %s", key, a.Use), "", "it takes: "+strings.Join(known, ", "))
			}
		}
		if a.RunFolder != nil && *a.RunFolder && a.Folder != "" {
			return a.Fault("run_folder", "the commands of a run work in `folder`, or in a folder of its own", "", "take one of the two lines away")
		}
		return nil
	}
	key, message := "use", fmt.Sprintf("there is no built-in agent `%s`", a.Use)
	if !slices.Contains(a.Keys, "use") {
		key, message = "", fmt.Sprintf("agent `%s` does not say what it uses", a.Name)
	}
	label := ""
	if near, ok := diag.Nearest(a.Use, names); ok && key == "use" {
		label = fmt.Sprintf("did you mean `%s`?", near)
	}
	return a.Fault(key, message, label, "write use = and one of: "+strings.Join(append(names, program), ", "))
}

func (p *project) register(r *agent.Registry, a config.Agent, tools []types.Tool) error {
	var c stdlib.Config
	if s := settings[a.Use]; s.configure != nil {
		s.configure(&c, a)
	}
	if a.Use == "shell" && a.Folder == "" {
		c.Shell.RunFolder = p.runFolders(a.RunFolder)
	}
	if p.serves {
		c.Shell.Off = a.File == nil // no slop.toml says a word of it
		if c.HTTP.Networks == http.Named {
			c.HTTP.Networks = http.Public
		}
	}
	named, ok := stdlib.New(a.Use, c)
	if !ok {
		panic("slop: stdlib has no agent " + a.Use)
	}
	return enlist(r, a, named.Agent, named.Limit, named.Shared, tools)
}

// enlist registers an agent as it is configured. limit is how many calls at a time it takes when nobody says otherwise.
func enlist(r *agent.Registry, a config.Agent, made agent.Agent, limit int, shared string, tools []types.Tool) error {
	if err := r.Register(a.Name, made, func(s *types.Signature) { adjust(s, a); tooled(s, a, tools) }); err != nil {
		return err
	}
	limits := agent.Limits{PerSecond: a.PerSecond(), PerMinute: a.PerMinute()}
	switch {
	case a.Limit > 0:
		limits.Limit = a.Limit
	case limit > 0:
		limits.Limit, limits.Shared = limit, shared
	}
	return r.SetLimits(a.Name, limits)
}

// adjust puts what is configured into the signature, which the plan pins.
func adjust(s *types.Signature, a config.Agent) {
	if a.System != "" {
		s.System = a.System
	}
	if a.Price != nil {
		s.Price = a.Price
	}
	if a.MaxTokens > 0 {
		s.MaxOutput = a.MaxTokens
	}
	if len(a.Tools) > 0 || a.Permissions == "ask" || len(a.Settings) > 0 || (a.Folder != "" && s.Effect == types.Think && a.Use != program) {
		s.Effect = types.Do // with tools or a folder of its own a model changes the world
	}
	defaults := map[string]any{}
	if a.Model != "" {
		defaults["model"] = a.Model
	}
	if a.MaxTokens > 0 {
		defaults["max_tokens"] = a.MaxTokens
	}
	if a.Temperature != nil {
		defaults["temperature"] = *a.Temperature
	}
	if a.Effort != "" {
		defaults["effort"] = a.Effort
	}
	if len(defaults) > 0 {
		s.Defaults, _ = json.Marshal(defaults) // texts and numbers
	}
}

// standardFlow reads a flow that comes with the program, and standardFlows names them all.
func standardFlow(path string) (name, text string, err error) { return flows.Load(path) }

func standardFlows() []string { return flows.Names() }

// aboutFlow is what a standard flow says of itself.
func aboutFlow(text string) string { return flows.About(text) }

// storeName is the file of the embedded store in a state folder.
const storeName = "runs.db"

// embedded opens the store of a state folder.
func embedded(ctx context.Context, folder string, dead func(owner string) bool) (store.Store, error) {
	s, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(folder, storeName), Dead: dead})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// shared opens a store that several machines share.
func shared(ctx context.Context, address, prefix, durability string, dead func(owner string) bool) (store.Store, error) {
	s, err := redis.Open(ctx, redis.Config{
		URL: address, Prefix: prefix, Durability: durability, Dead: dead,
		Warn: func(text string) { fmt.Fprintln(os.Stderr, "warning: "+text) },
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// copyStore copies a store into a file that is not there yet, while it is used.
func copyStore(ctx context.Context, s store.Store, path string) error {
	embedded, ok := s.(*sqlite.Store)
	if !ok {
		return errors.New("only the embedded store is copied by slop")
	}
	return embedded.Backup(ctx, path)
}

// shrink gives the room of what was removed back, where a store keeps a file of its own.
func shrink(ctx context.Context, s store.Store) error {
	embedded, ok := s.(*sqlite.Store)
	if !ok {
		return nil
	}
	_, err := embedded.Shrink(ctx)
	return err
}

// everyRun yields every run of a store that can name them without its index.
func everyRun(ctx context.Context, s store.Store) (iter.Seq2[run.ID, error], bool) {
	embedded, ok := s.(*sqlite.Store)
	if !ok {
		return nil, false
	}
	return embedded.Runs(ctx), true
}

// problem is something that is wrong with a store: of one run, or of none alone.
type problem struct {
	run  run.ID
	what string
}

// inspect has a store check all that it keeps.
func inspect(ctx context.Context, s store.Store) (problems []problem, err error) {
	embedded, ok := s.(*sqlite.Store)
	if !ok {
		return nil, nil // a server answers for its own files; every run is read and folded all the same
	}
	for p, err := range embedded.Check(ctx) {
		if err != nil {
			return problems, err
		}
		problems = append(problems, problem{p.Run, p.What})
	}
	return problems, nil
}
