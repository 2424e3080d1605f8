package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// maxBytes bounds a slop.toml: nobody writes more by hand.
const maxBytes = 1 << 20

// Read reads and checks one file.
func Read(path string) (*File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(text) > maxBytes {
		return nil, fmt.Errorf("%s is larger than 1 MB", path)
	}
	sum := sha256.Sum256(text)
	f := &File{
		Path: path, Source: source.NewFile(shortName(path), mask(string(text))), SHA256: hex.EncodeToString(sum[:]),
		agents: map[string]Agent{}, secrets: map[string]Secret{}, mcp: map[string]MCP{}, published: map[string]string{},
	}
	tree := map[string]any{}
	if _, err := toml.Decode(string(text), &tree); err != nil {
		return nil, syntaxError(f.Source, err)
	}
	r := &reader{file: f}
	r.top(tree)
	if r.err != nil {
		return nil, r.err
	}
	f.Asks = r.asks
	return f, nil
}

// shortName is the path as the user would type it from here.
func shortName(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(here, path)
	if err != nil || strings.Count(rel, "..") > 2 {
		return path
	}
	return rel
}

func syntaxError(f *source.File, err error) error {
	var p toml.ParseError
	if !errors.As(err, &p) {
		return &Error{File: f, Message: err.Error()}
	}
	at := source.Span{Start: p.Position.Start, End: p.Position.Start + max(1, p.Position.Len)}
	return &Error{File: f, Span: at, Message: "this is not TOML: " + p.Message, Help: []string{"TOML is written like  model = \"opus\"  below a line  [agents.writer]"}}
}

// reader walks the decoded tree, in order of the keys' places in the file, and stops at the first mistake.
type reader struct {
	file *File
	err  *Error
	asks []string
}

func (r *reader) fail(path []string, label, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{File: r.file.Source, Span: locate(r.file.Source, path), Message: fmt.Sprintf(format, args...), Label: label}
	}
}

func (r *reader) unknown(path []string, known []string) {
	word := path[len(path)-1]
	where := ""
	if len(path) > 1 {
		where = " in [" + strings.Join(path[:len(path)-1], ".") + "]"
	}
	if near, ok := diag.Nearest(word, known); ok {
		r.fail(path, fmt.Sprintf("did you mean `%s`?", near), "unknown key `%s`%s", word, where)
		return
	}
	r.fail(path, "", "unknown key `%s`%s", word, where)
	if r.err.Help == nil {
		r.err.Help = []string{"what may stand here: " + strings.Join(known, ", ")}
	}
}

func (r *reader) top(tree map[string]any) {
	for _, key := range r.ordered(nil, tree) {
		switch key {
		case "agents":
			for _, name := range r.tables(tree, key) {
				r.agent(name, tree[key].(map[string]any)[name])
			}
		case "secrets":
			for _, name := range r.tables(tree, key) {
				r.secret(name, tree[key].(map[string]any)[name])
			}
		case "run":
			t, ok := tree[key].(map[string]any)
			if !ok {
				r.fail([]string{key}, "write it as a table: [run]", "`run` must be a table")
				return
			}
			r.run(t)
		case "store":
			t, ok := tree[key].(map[string]any)
			if !ok {
				r.fail([]string{key}, "write it as a table: [store]", "`store` must be a table")
				return
			}
			r.store(t)
		case "server":
			t, ok := tree[key].(map[string]any)
			if !ok {
				r.fail([]string{key}, "write it as a table: [server]", "`server` must be a table")
				return
			}
			r.server(t)
		case "mcp":
			for _, name := range r.tables(tree, key) {
				r.mcp(name, tree[key].(map[string]any)[name])
			}
		case "publish":
			t, ok := tree[key].(map[string]any)
			if !ok {
				r.fail([]string{key}, "write it as a table: [publish]", "`publish` must be a table")
				return
			}
			r.publish(t)
		default:
			r.unknown([]string{key}, []string{"agents", "mcp", "publish", "secrets", "run", "server", "store"})
		}
	}
}

func (r *reader) tables(tree map[string]any, key string) []string {
	t, ok := tree[key].(map[string]any)
	if !ok {
		r.fail([]string{key}, "", "`%s` must be a table, like [%s.name]", key, key)
		return nil
	}
	return r.ordered([]string{key}, t)
}

// ordered returns the keys of a table as they stand in the file.
func (r *reader) ordered(path []string, t map[string]any) []string {
	keys := make([]string, 0, len(t))
	at := map[string]int{}
	for k := range t {
		keys = append(keys, k)
		at[k] = locate(r.file.Source, append(slices.Clone(path), k)).Start
	}
	slices.SortFunc(keys, func(a, b string) int {
		if at[a] != at[b] {
			return at[a] - at[b]
		}
		return strings.Compare(a, b)
	})
	return keys
}

var agentKeys = []string{
	"use", "model", "base_url", "api_key_env", "system", "limit", "rate", "price", "max_tokens", "temperature", "effort", "prefer", "tools", "tool_rounds", "permissions", "settings",
	"folder", "env", "timeout", "command", "engine", "private", "first_byte_timeout",
	"max_body", "max_redirects", "max_output", "run_folder",
}

func (r *reader) agent(name string, v any) {
	table := []string{"agents", name}
	t, ok := v.(map[string]any)
	if !ok {
		r.fail(table, "", "agent `%s` must be a table: [agents.%s]", name, name)
		return
	}
	if !agentName.MatchString(name) {
		r.fail(table, "", "`%s` cannot be the name of an agent: use letters, digits and _, a letter first", name)
		return
	}
	a := Agent{Name: name, Use: name, File: r.file}
	for _, key := range r.ordered(table, t) {
		at, v := append(slices.Clone(table), key), t[key]
		a.Keys = append(a.Keys, key)
		switch key {
		case "use":
			r.text(at, v, &a.Use)
		case "model":
			r.text(at, v, &a.Model)
		case "base_url":
			r.text(at, v, &a.BaseURL)
			switch u, err := url.Parse(a.BaseURL); {
			case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
				r.fail(at, "", "`base_url` must begin with http:// or https:// and name a host")
			case u.User != nil:
				r.fail(at, "name the variable that holds the key: api_key_env", "a name and password do not belong in `base_url`")
			case u.RawQuery != "" || u.Fragment != "":
				r.fail(at, "", "`base_url` ends before the ? or #: the path of each request is put behind it")
			}
		case "api_key_env":
			r.text(at, v, &a.APIKeyEnv)
			if strings.HasPrefix(a.APIKeyEnv, "sk-") {
				r.fail(at, "the name of the variable, not the key", "`api_key_env` names the environment variable that holds the key")
			}
		case "system":
			r.text(at, v, &a.System)
		case "limit":
			r.count(at, v, &a.Limit)
		case "rate":
			r.text(at, v, &a.Rate)
			if !ratePattern.MatchString(a.Rate) {
				r.fail(at, `such as "60/m"`, "`rate` must be a number of calls per second or minute")
			}
		case "price":
			a.Price = r.price(at, v)
		case "max_tokens":
			r.count(at, v, &a.MaxTokens)
		case "temperature":
			a.Temperature = r.float(at, v)
		case "effort":
			r.text(at, v, &a.Effort)
		case "prefer":
			r.text(at, v, &a.Prefer)
			if a.Prefer != "api" && a.Prefer != "cli" {
				r.fail(at, "", "`prefer` must be \"api\" or \"cli\"")
			}
		case "engine":
			r.text(at, v, &a.Engine)
			if a.Engine != "node" && a.Engine != "built-in" {
				r.fail(at, "", "`engine` must be \"built-in\" or \"node\"")
			}
		case "tools":
			for _, tool := range r.texts(at, v) {
				switch _, err := path.Match(tool, ""); {
				case !granted.MatchString(tool):
					a.Tools = append(a.Tools, tool)
				case err != nil:
					r.fail(at, "", "%q is no pattern of tools such as \"github.search\" or \"files.*\"", tool)
				default:
					a.Grants = append(a.Grants, tool)
				}
			}
		case "tool_rounds":
			if r.count(at, v, &a.ToolRounds); a.ToolRounds > types.MaxRounds {
				r.fail(at, "", "`tool_rounds` is at most %d", types.MaxRounds)
			}
		case "permissions":
			r.text(at, v, &a.Permissions)
			if a.Permissions != "ask" && a.Permissions != "deny" {
				r.fail(at, "", "`permissions` must be \"ask\" or \"deny\"")
			}
		case "settings":
			a.Settings = r.texts(at, v)
			for _, from := range a.Settings {
				if !slices.Contains([]string{"user", "project", "local"}, from) {
					r.fail(at, "", "`settings` lists whose settings of the claude program count: \"user\", \"project\", \"local\"")
				}
			}
		case "folder":
			r.text(at, v, &a.Folder)
			a.Folder = r.abs(a.Folder)
		case "env":
			a.Env = r.texts(at, v)
		case "command":
			if _, text := v.(string); text {
				r.fail(at, `a list of words: command = ["./my-agent", "--fast"]`, "`command` must be a list of texts; no shell splits it")
				break
			}
			if a.Command = r.texts(at, v); len(a.Command) == 0 || a.Command[0] == "" {
				r.fail(at, "", "`command` must name a program")
			}
		case "timeout":
			a.Timeout, _ = r.duration(at, v)
		case "first_byte_timeout":
			a.FirstByte, _ = r.duration(at, v)
		case "private", "run_folder":
			said, ok := v.(bool)
			if !ok {
				r.fail(at, "", "`%s` must be true or false", key)
			}
			if key == "private" {
				a.Private = &said
			} else {
				a.RunFolder = &said
			}
		case "max_body":
			r.count(at, v, &a.MaxBody)
		case "max_output":
			r.count(at, v, &a.MaxOutput)
		case "max_redirects":
			written, ok := v.(int64)
			if !ok || written < 0 || written > math.MaxInt32 {
				r.fail(at, "", "`max_redirects` must be a whole number from 0")
			}
			n := int(written)
			a.MaxRedirects = &n
		default:
			r.unknown(at, agentKeys)
		}
	}
	r.file.agents[name] = a
	r.weigh(a)
}

// granted is a tool of an MCP server, or a pattern of some. What else may stand under `tools` is the claude program's: Read, Bash(git:*).
var granted = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*\.[^\s()]+$`)

// weigh notes what an agent may do only when its file is trusted.
func (r *reader) weigh(a Agent) {
	ask := func(format string, args ...any) {
		r.asks = append(r.asks, fmt.Sprintf("agent %s: ", a.Name)+fmt.Sprintf(format, args...))
	}
	if a.Use == "shell" {
		ask("runs commands on this machine")
	}
	if a.Use == "program" {
		ask("runs the program %s", strings.Join(a.Command, " "))
	}
	if a.Engine == "node" {
		ask("runs the Strudel packages in its folder with Node, shut in")
	}
	if a.Private != nil && *a.Private {
		ask("may reach private networks, also where redirects lead")
	}
	if a.Use == "mcp" {
		ask("starts an MCP server")
	}
	if len(a.Tools) > 0 {
		ask("lets the model use tools on this machine (%s)", strings.Join(a.Tools, ", "))
	}
	if len(a.Grants) > 0 {
		ask("lets the model use tools of MCP servers (%s)", strings.Join(a.Grants, ", "))
	}
	if a.Permissions == "ask" {
		ask("lets the model use tools on this machine, and asks people first")
	}
	if len(a.Settings) > 0 {
		ask("has the claude program take its %s settings, whose hooks run commands", strings.Join(a.Settings, " and "))
	}
	if a.Folder != "" {
		ask("works in the folder %s", a.Folder)
	}
	if len(a.Env) > 0 {
		ask("lets a program see the environment variables %s", strings.Join(a.Env, ", "))
	}
	if a.APIKeyEnv != "" && a.BaseURL == "" {
		ask("sends %s to the service behind %s", a.APIKeyEnv, a.Use)
	}
	keyed := a.APIKeyEnv != "" || a.Use == "openai" || a.Use == "claude"
	if a.BaseURL != "" && keyed {
		key := a.APIKeyEnv
		switch {
		case key != "":
		case a.Use == "openai":
			key = "OPENAI_API_KEY"
		case a.Use == "claude":
			key = "ANTHROPIC_API_KEY"
		}
		ask("sends %s to %s", key, a.BaseURL)
	}
}

func (r *reader) secret(name string, v any) {
	path := []string{"secrets", name}
	t, ok := v.(map[string]any)
	if !ok || len(t) != 1 {
		r.fail(path, "", "secret `%s` is read from a place: write %s = {env = \"NAME\"} or %s = {file = \"path\"}", name, name, name)
		return
	}
	var s Secret
	for key, v := range t {
		at := append(slices.Clone(path), key)
		switch key {
		case "env":
			r.text(at, v, &s.Env)
			r.asks = append(r.asks, fmt.Sprintf("secret %s: reads the environment variable %s", name, s.Env))
		case "file":
			r.text(at, v, &s.Path)
			s.Path = r.abs(s.Path)
			r.asks = append(r.asks, fmt.Sprintf("secret %s: reads the file %s", name, s.Path))
		default:
			r.unknown(at, []string{"env", "file"})
		}
	}
	r.file.secrets[name] = s
}

func (r *reader) run(t map[string]any) {
	known := []string{"max_parallel", "budget", "timeout", "color", "cache"}
	for _, key := range r.ordered([]string{"run"}, t) {
		at, v := []string{"run", key}, t[key]
		switch key {
		case "max_parallel":
			r.count(at, v, &r.file.run.MaxParallel)
		case "budget":
			r.text(at, v, &r.file.run.Budget)
		case "timeout":
			_, r.file.run.Timeout = r.duration(at, v)
		case "color":
			r.text(at, v, &r.file.run.Color)
			if !slices.Contains([]string{"auto", "always", "never"}, r.file.run.Color) {
				r.fail(at, "", "`color` must be \"auto\", \"always\" or \"never\"")
			}
		case "cache":
			r.text(at, v, &r.file.run.Cache)
			if modes := []string{"off", "read", "write", "refresh"}; !slices.Contains(modes, r.file.run.Cache) {
				r.fail(at, "", "`cache` must be \"off\", \"read\", \"write\" or \"refresh\"")
			}
		default:
			r.unknown(at, known)
		}
	}
}

func (r *reader) store(t map[string]any) {
	s := Store{File: r.file}
	for _, key := range r.ordered([]string{"store"}, t) {
		at, v := []string{"store", key}, t[key]
		switch key {
		case "url":
			r.text(at, v, &s.URL)
			r.address(at, s.URL)
		case "url_env":
			r.text(at, v, &s.URLEnv)
			if !variable.MatchString(s.URLEnv) {
				r.fail(at, "the name of the variable, not the address", "`url_env` names the environment variable that holds the address")
			}
		case "prefix":
			r.text(at, v, &s.Prefix)
		case "durability":
			r.text(at, v, &s.Durability)
			if s.Durability != "strict" {
				r.fail(at, "", "`durability` is \"strict\", or is left out")
			}
		case "lease":
			s.Lease, _ = r.duration(at, v)
		case "keep":
			_, r.file.keep = r.duration(at, v)
		default:
			r.unknown(at, []string{"url", "url_env", "prefix", "durability", "lease", "keep"})
		}
	}
	switch {
	case s.URL != "" && s.URLEnv != "":
		r.fail([]string{"store", "url_env"}, "", "`url` and `url_env` both say where runs are kept: choose one")
	case s.URL != "":
		r.asks = append(r.asks, "keeps runs on "+s.URL)
	case s.URLEnv != "":
		r.asks = append(r.asks, "keeps runs on the server that "+s.URLEnv+" names")
	case s.Prefix != "" || s.Durability != "":
		r.fail([]string{"store"}, "", "`prefix` and `durability` are about a server: say which, with `url` or `url_env`")
	}
	if s != (Store{File: r.file}) {
		r.file.store = s
	}
}

// address checks the address of a store.
func (r *reader) address(at []string, address string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || !strings.HasPrefix(u.Scheme, "redis") && u.Scheme != "unix":
		r.fail(at, "", "`url` must be the address of a Redis: redis://host:6379, rediss:// with TLS, redis+sentinel://, redis+cluster://")
	case u.User != nil, strings.Contains(u.RawQuery, "password"):
		r.fail(at, "put the whole address into a variable, and name that: url_env", "a name and password do not belong in `url`")
	}
}

func (r *reader) duration(at []string, v any) (d time.Duration, text string) {
	r.text(at, v, &text)
	d, err := plan.ParseDuration(text)
	if err != nil {
		r.fail(at, "", "%s", err)
	}
	return d, text
}

// abs resolves a path against the folder of the file; ~/ is the user's home.
func (r *reader) abs(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(r.file.Path), path)
}

func (r *reader) text(at []string, v any, to *string) {
	s, ok := v.(string)
	if !ok {
		r.fail(at, "", "`%s` must be a text in quotes", at[len(at)-1])
		return
	}
	*to = s
}

func (r *reader) texts(at []string, v any) []string {
	list, ok := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		s, isText := e.(string)
		ok = ok && isText
		out = append(out, s)
	}
	if !ok {
		r.fail(at, "", "`%s` must be a list of texts", at[len(at)-1])
	}
	return out
}

func (r *reader) count(at []string, v any, to *int) {
	n, ok := v.(int64)
	if !ok || n < 1 || n > math.MaxInt32 {
		r.fail(at, "", "`%s` must be a whole number from 1", at[len(at)-1])
		return
	}
	*to = int(n)
}

func (r *reader) float(at []string, v any) *float64 {
	var f float64
	switch n := v.(type) {
	case int64:
		f = float64(n)
	case float64:
		f = n
	default:
		r.fail(at, "", "`%s` must be a number", at[len(at)-1])
		return nil
	}
	if f < 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		r.fail(at, "", "`%s` must not be negative", at[len(at)-1])
		return nil
	}
	return &f
}

func (r *reader) price(at []string, v any) *types.Price {
	t, ok := v.(map[string]any)
	if !ok {
		r.fail(at, "", "`price` is dollars per million tokens: price = {input = 3, output = 15}")
		return nil
	}
	p := &types.Price{}
	fields := map[string]*float64{"input": &p.Input, "output": &p.Output, "cache_read": &p.CacheRead, "cache_write": &p.CacheWrite}
	for key, v := range t {
		at := append(slices.Clone(at), key)
		to, ok := fields[key]
		if !ok {
			r.unknown(at, []string{"input", "output", "cache_read", "cache_write"})
			return nil
		}
		if f := r.float(at, v); f != nil {
			*to = *f
		}
	}
	for _, must := range []string{"input", "output"} {
		if _, ok := t[must]; !ok {
			r.fail(at, "", "`price` needs both input and output, in dollars per million tokens")
		}
	}
	return p
}
