// Package stdlib is the list of the agents that come with the language. Each lives in a folder of its own and owns its way to the world.
package stdlib

import (
	"os"
	"slices"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/claude"
	"github.com/slopstudios/slop/stdlib/contexts"
	"github.com/slopstudios/slop/stdlib/echo"
	"github.com/slopstudios/slop/stdlib/http"
	"github.com/slopstudios/slop/stdlib/human"
	"github.com/slopstudios/slop/stdlib/openai"
	"github.com/slopstudios/slop/stdlib/shell"
	"github.com/slopstudios/slop/stdlib/strudel"
	"github.com/slopstudios/slop/stdlib/wait"
)

// Config of the agents that can be configured. The zero value gives each its defaults, and keys from the environment at the time of a call.
type Config struct {
	Claude  claude.Config
	OpenAI  openai.Config
	Ollama  openai.Config
	HTTP    http.Config
	Shell   shell.Config
	Strudel strudel.Config
}

// Named is an agent under the name scripts call it by.
type Named struct {
	Name  string
	Agent agent.Agent
	Limit int // calls at a time where nobody says otherwise; 0: no limit

	Shared string // what that Limit is for, where several agents share it (agent.Limits)
}

// New gives the agent of that name. It is false when there is none.
func New(name string, c Config) (Named, bool) {
	i := slices.IndexFunc(list, func(e entry) bool { return e.name == name })
	if i < 0 {
		return Named{}, false
	}
	return list[i].make(c), true
}

// Names lists every agent, in alphabetical order.
func Names() []string {
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.name
	}
	return names
}

type entry struct {
	name  string
	build func(c Config) agent.Agent
	limit func(c Config) int // nil: no limit
}

func (e entry) make(c Config) Named {
	n := Named{Name: e.name, Agent: e.build(c)}
	if e.limit != nil {
		n.Limit, n.Shared = e.limit(c), e.name
	}
	return n
}

// list is the one list of what comes with the language, in alphabetical order.
var list = []entry{
	{name: "claude", build: func(c Config) agent.Agent {
		if c.Claude.APIKey == nil {
			c.Claude.APIKey = environment("ANTHROPIC_API_KEY")
		}
		return claude.New(c.Claude)
	}, limit: func(c Config) int { return claude.Limit(c.Claude) }},
	{name: "echo", build: func(Config) agent.Agent { return echo.New() }},
	{name: "http", build: func(c Config) agent.Agent { return http.New(c.HTTP) }},
	{name: "human", build: func(Config) agent.Agent { return human.New() }},
	{name: "memory", build: func(Config) agent.Agent { return contexts.New() }},
	{name: "ollama", build: func(c Config) agent.Agent {
		c.Ollama.Name = "ollama"
		if c.Ollama.BaseURL == "" {
			c.Ollama.BaseURL = openai.OllamaURL
		}
		return openai.New(c.Ollama)
	}},
	{name: "openai", build: func(c Config) agent.Agent {
		if c.OpenAI.APIKey == nil {
			c.OpenAI.APIKey, c.OpenAI.KeyName = environment("OPENAI_API_KEY"), "OPENAI_API_KEY"
		}
		return openai.New(c.OpenAI)
	}},
	{name: "shell", build: func(c Config) agent.Agent { return shell.New(c.Shell) }},
	{name: "strudel", build: func(c Config) agent.Agent { return strudel.New(c.Strudel) }},
	{name: "wait", build: func(Config) agent.Agent { return wait.New() }},
}

func environment(name string) func() (string, error) {
	return func() (string, error) { return os.Getenv(name), nil }
}
