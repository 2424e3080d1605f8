package config

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// MCP is a table [mcp.NAME]: a server of the Model Context Protocol whose tools scripts call as NAME.tool. Either Command or URL is set.
type MCP struct {
	Name       string
	Command    []string
	Folder     string   // absolute
	Env        []string // names of environment variables that the program may see
	URL        string
	Headers    map[string]string // the variables that hold their values
	TokenEnv   string
	Allow      []string
	Deny       []string
	Trust      bool              // what it says of the effects of its tools counts
	Effects    map[string]string // read, do, think, by tool
	Idempotent []string
	Timeout    time.Duration
	Start      time.Duration
	Limit      int
	File       *File
}

var mcpKeys = []string{
	"command", "url", "folder", "env", "headers", "token_env", "allow", "deny", "trust", "effects", "idempotent", "timeout", "start_timeout", "limit",
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (r *reader) mcp(name string, v any) {
	at := []string{"mcp", name}
	t, ok := v.(map[string]any)
	if !ok {
		r.fail(at, "", "MCP server `%s` must be a table: [mcp.%s]", name, name)
		return
	}
	if !agentName.MatchString(name) {
		r.fail(at, "", "`%s` cannot be the name of an MCP server: its tools are called %s.tool, so use letters, digits and _, a letter first", name, name)
		return
	}
	m := MCP{Name: name, File: r.file}
	for _, key := range r.ordered(at, t) {
		at, v := append(slices.Clone(at), key), t[key]
		switch key {
		case "command":
			m.Command = r.texts(at, v)
			if len(m.Command) == 0 || m.Command[0] == "" {
				r.fail(at, "", "`command` is a program and its arguments: command = [\"npx\", \"-y\", \"some-server\"]")
			}
		case "url":
			r.text(at, v, &m.URL)
			switch u, err := url.Parse(m.URL); {
			case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
				r.fail(at, "", "`url` must begin with http:// or https:// and name a host")
			case u.User != nil:
				r.fail(at, "name the variable that holds the key: token_env", "a name and password do not belong in `url`")
			}
		case "folder":
			r.text(at, v, &m.Folder)
			m.Folder = r.abs(m.Folder)
		case "env":
			m.Env = r.texts(at, v)
			r.variables(at, m.Env...)
		case "headers":
			m.Headers = r.words(at, v)
			for _, variable := range m.Headers {
				r.variables(at, variable)
			}
		case "token_env":
			r.text(at, v, &m.TokenEnv)
			r.variables(at, m.TokenEnv)
		case "allow":
			m.Allow = r.patterns(at, v)
		case "deny":
			m.Deny = r.patterns(at, v)
		case "idempotent":
			m.Idempotent = r.texts(at, v)
		case "trust":
			if m.Trust, ok = v.(bool); !ok {
				r.fail(at, "", "`trust` is true or false")
			}
		case "effects":
			m.Effects = r.words(at, v)
			for _, tool := range r.ordered(at, asTable(v)) {
				if e := m.Effects[tool]; !slices.Contains([]string{"read", "do", "think"}, e) {
					r.fail(append(at, tool), "", "the effect of a tool is \"read\", \"do\" or \"think\"")
				}
			}
		case "timeout":
			m.Timeout, _ = r.duration(at, v)
		case "start_timeout":
			m.Start, _ = r.duration(at, v)
		case "limit":
			r.count(at, v, &m.Limit)
		default:
			r.unknown(at, mcpKeys)
		}
	}
	local := map[string]bool{"folder": m.Folder != "", "env": len(m.Env) > 0}
	web := map[string]bool{"headers": len(m.Headers) > 0, "token_env": m.TokenEnv != ""}
	switch {
	case (len(m.Command) == 0) == (m.URL == ""):
		r.fail(at, "", "an MCP server has a `command` or a `url`, and not both")
	case m.URL != "":
		for key, set := range local {
			if set {
				r.fail(append(at, key), "", "`%s` is for a server with a `command`", key)
			}
		}
	default:
		for key, set := range web {
			if set {
				r.fail(append(at, key), "", "`%s` is for a server with a `url`", key)
			}
		}
	}
	r.file.mcp[name] = m
	ask := func(format string, args ...any) {
		r.asks = append(r.asks, "MCP server "+name+": "+fmt.Sprintf(format, args...))
	}
	if len(m.Command) > 0 {
		ask("runs %s", strings.Join(m.Command, " "))
		if len(m.Env) > 0 {
			ask("lets it see %s", strings.Join(m.Env, ", "))
		}
		return
	}
	ask("sends what scripts give to its tools to %s", m.URL)
	for _, variable := range append(sortedValues(m.Headers), m.TokenEnv) {
		if variable != "" {
			ask("sends %s there", variable)
		}
	}
}

func asTable(v any) map[string]any {
	t, _ := v.(map[string]any)
	return t
}

func sortedValues(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// variables holds that each is the name of an environment variable, and not what is in it.
func (r *reader) variables(at []string, names ...string) {
	for _, name := range names {
		if !variableName.MatchString(name) {
			r.fail(at, "the name of the variable, not its value", "`%s` names environment variables", at[len(at)-1])
		}
	}
}

// words reads a table of texts.
func (r *reader) words(at []string, v any) map[string]string {
	t, ok := v.(map[string]any)
	if !ok {
		r.fail(at, "", "`%s` is a table of texts: %s = {name = \"…\"}", at[len(at)-1], at[len(at)-1])
		return nil
	}
	out := map[string]string{}
	for _, key := range r.ordered(at, t) {
		var text string
		r.text(append(slices.Clone(at), key), t[key], &text)
		out[key] = text
	}
	return out
}

func (r *reader) patterns(at []string, v any) []string {
	list := r.texts(at, v)
	for _, p := range list {
		if _, err := path.Match(p, ""); err != nil {
			r.fail(at, "", "%q is no pattern of names such as \"search*\"", p)
		}
	}
	return list
}

// publish reads [publish]: which flows of the project others may run, under which names.
func (r *reader) publish(t map[string]any) {
	for _, name := range r.ordered([]string{"publish"}, t) {
		at := []string{"publish", name}
		var script string
		r.text(at, t[name], &script)
		if !agentName.MatchString(name) {
			r.fail(at, "", "`%s` cannot be the name of a tool: use letters, digits and _, a letter first", name)
		}
		if !strings.HasSuffix(script, ".slop") {
			r.fail(at, "", "`%s` is a script of the project: %s = \"flows/%s.slop\"", name, name, name)
		}
		r.file.published[name] = r.abs(script)
	}
}

// Fault places a mistake about a server that only the caller can judge.
func (m MCP) Fault(message string, help ...string) *Error {
	return &Error{File: m.File.Source, Span: locate(m.File.Source, []string{"mcp", m.Name}), Message: message, Help: help}
}

// Servers returns the names of the configured MCP servers in order.
func (c *Config) Servers() []string {
	var names []string
	for name := range c.MCP {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
