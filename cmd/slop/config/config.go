// Package config reads slop.toml: what a machine and a project offer to scripts.
//
// Two files count. The project's is found upward from the script, the user's lies in the configuration folder. An agent or secret of the project
// replaces the user's of the same name as a whole, so that no field of one file ever meets a key of the other. Both are read strictly: a key
// nobody knows is an error that shows its line.
package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// Name of the file, in a project as in the user's configuration folder.
const Name = "slop.toml"

// Config is what the files say together.
type Config struct {
	Project *File // nil: none found
	User    *File // nil: none found
	Agents  map[string]Agent
	Secrets map[string]Secret
	MCP     map[string]MCP
	Publish map[string]string // of the project: scripts by the names under which others run them
	Run     Run
	Store   Store
	Server  Server
	Keep    string // age at which `slop run` removes old runs; the user's alone to say
}

// File is one slop.toml as it was read.
type File struct {
	Path      string       // absolute
	Source    *source.File // for messages: what may be a key is starred out
	SHA256    string
	Asks      []string // what it may do only when it is trusted, one line each; empty: it needs no trust
	agents    map[string]Agent
	secrets   map[string]Secret
	mcp       map[string]MCP
	published map[string]string
	run       Run
	store     Store
	server    Server
	keep      string
}

// Agent is a table [agents.NAME]. Fields that were not written are zero.
type Agent struct {
	Name         string
	Use          string // which built-in agent serves it; NAME itself when it was not written
	Model        string
	BaseURL      string
	APIKeyEnv    string
	System       string
	Limit        int    // calls at a time; 0: no limit
	Rate         string // "60/m"
	Price        *types.Price
	MaxTokens    int
	Temperature  *float64
	Effort       string
	Prefer       string
	Tools        []string // of claude: those of its program
	Grants       []string // tools of MCP servers that the model may use, as patterns: "github.search", "files.*"
	ToolRounds   int
	Permissions  string   // of claude: "ask" has people asked what Tools do not allow; "deny", or nothing, does not
	Settings     []string // of claude: which settings of its program count: user, project, local
	Folder       string   // absolute
	Env          []string // names of environment variables that commands may see
	Engine       string   // of strudel: "node" asks the packages in Folder
	Private      *bool    // of http: whether it may reach private networks; nil: not said
	FirstByte    time.Duration
	MaxBody      int      // bytes
	MaxRedirects *int     // redirects that are followed
	MaxOutput    int      // bytes a command may print
	RunFolder    *bool    // of shell: whether each run has a working folder of its own; nil: not said
	Command      []string // of `use = "program"`: the program and its arguments
	Timeout      time.Duration
	Keys         []string // that were written, in order
	File         *File
}

// Secret says where the value of a secret is read: exactly one field is set.
type Secret struct {
	Env  string
	Path string // absolute
}

// Run holds the defaults of `slop run`. Zero: not said.
type Run struct {
	MaxParallel int
	Budget      string
	Timeout     string
	Color       string
	Cache       string
}

// Store says where runs are kept. A project that names a server replaces all that the user says of one. Zero: not said.
type Store struct {
	URL        string // of a Redis, without a password
	URLEnv     string // the environment variable that holds it, and may hold a password
	Prefix     string
	Durability string
	Lease      time.Duration
	File       *File
}

// Error is a mistake in a slop.toml and where it stands.
type Error struct {
	File    *source.File
	Span    source.Span
	Message string
	Label   string
	Help    []string
}

func (e *Error) Error() string {
	at := e.File.Pos(e.Span.Start)
	return fmt.Sprintf("%s:%d:%d: %s", at.File, at.Line, at.Column, e.Message)
}

// Load reads the project file that is found from folder upward and the user's file. A missing file is no error.
func Load(folder string, places Places) (*Config, error) {
	c := &Config{Agents: map[string]Agent{}, Secrets: map[string]Secret{}, MCP: map[string]MCP{}}
	user := filepath.Join(places.Config, Name)
	if _, err := os.Stat(user); err == nil && places.Config != "" {
		if c.User, err = Read(user); err != nil {
			return nil, err
		}
		c.add(c.User)
	}
	if path, ok := find(folder); ok && path != user {
		var err error
		if c.Project, err = Read(path); err != nil {
			return nil, err
		}
		if c.Project.keep != "" {
			return nil, &Error{
				File: c.Project.Source, Span: locate(c.Project.Source, []string{"store", "keep"}), Message: "a project does not remove the runs of others",
				Help: []string{"`keep` stands in your own slop.toml (slop help environment), or use --keep and SLOP_KEEP"},
			}
		}
		c.add(c.Project)
	}
	return c, nil
}

func (c *Config) add(f *File) {
	for name, a := range f.agents {
		c.Agents[name] = a
	}
	for name, s := range f.secrets {
		c.Secrets[name] = s
	}
	if f.store.URL != "" || f.store.URLEnv != "" {
		lease := c.Store.Lease
		c.Store = f.store
		c.Store.Lease = lease
	}
	if f.store.Lease > 0 {
		c.Store.Lease = f.store.Lease
	}
	if f.keep != "" {
		c.Keep = f.keep
	}
	if f.server.File != nil {
		c.Server = f.server
	}
	for name, m := range f.mcp {
		c.MCP[name] = m
	}
	if len(f.published) > 0 {
		c.Publish = f.published
	}
	if f.run.MaxParallel != 0 {
		c.Run.MaxParallel = f.run.MaxParallel
	}
	for _, s := range []struct{ to, from *string }{
		{&c.Run.Budget, &f.run.Budget}, {&c.Run.Timeout, &f.run.Timeout}, {&c.Run.Color, &f.run.Color}, {&c.Run.Cache, &f.run.Cache},
	} {
		if *s.from != "" {
			*s.to = *s.from
		}
	}
}

// find looks for slop.toml in folder and in every folder above it.
func find(folder string) (string, bool) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", false
	}
	for {
		path := filepath.Join(folder, Name)
		if s, err := os.Stat(path); err == nil && s.Mode().IsRegular() {
			return path, true
		}
		up := filepath.Dir(folder)
		if up == folder {
			return "", false
		}
		folder = up
	}
}

// Places are the folders of the user.
type Places struct {
	Config string // slop.toml
	State  string // history of the REPL, trust; created with mode 0700 when first needed
}

// UserPlaces follows SLOP_HOME, else the XDG variables, else their defaults below the home folder. Without any of them a place is "".
func UserPlaces(env func(string) string) Places {
	if home := env("SLOP_HOME"); home != "" {
		return Places{Config: home, State: filepath.Join(home, "state")}
	}
	home := env("HOME")
	xdg := func(name string, rest ...string) string {
		if dir := env(name); filepath.IsAbs(dir) {
			return filepath.Join(dir, "slop")
		}
		if !filepath.IsAbs(home) {
			return "" // never the folder one stands in, which may be anybody's
		}
		return filepath.Join(append(append([]string{home}, rest...), "slop")...)
	}
	return Places{Config: xdg("XDG_CONFIG_HOME", ".config"), State: xdg("XDG_STATE_HOME", ".local", "state")}
}

// StateFile returns the path of a file in the state folder, which exists afterwards and is the user's alone.
func (p Places) StateFile(name string) (string, error) {
	if p.State == "" {
		return "", errors.New("there is no folder for the state: set HOME or SLOP_HOME")
	}
	if err := os.MkdirAll(p.State, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(p.State, name), nil
}

// Fault places a mistake about a key of an agent that only the caller can judge, such as an unknown `use`.
func (a Agent) Fault(key, message, label string, help ...string) *Error {
	return &Error{
		File: a.File.Source, Span: locate(a.File.Source, []string{"agents", a.Name, key}),
		Message: message, Label: label, Help: help,
	}
}

var agentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ratePattern is what `rate` may say: "10/s", "60/m".
var ratePattern = regexp.MustCompile(`^[1-9][0-9]{0,8}/[sm]$`)

// PerSecond is the number of a rate per second; 0 when there is none.
func (a Agent) PerSecond() int { return rate(a.Rate, "/s") }

// PerMinute is the number of a rate per minute; 0 when there is none.
func (a Agent) PerMinute() int { return rate(a.Rate, "/m") }

func rate(s, unit string) int {
	digits, ok := strings.CutSuffix(s, unit)
	if !ok {
		return 0
	}
	n, _ := strconv.Atoi(digits) // the pattern has made sure
	return n
}

// Names returns the configured agents in order.
func (c *Config) Names() []string {
	names := make([]string, 0, len(c.Agents))
	for name := range c.Agents {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
