// Package stdlib is the list of the agents that come with the language. Each lives in a folder of its own and owns its way to the world.
package stdlib

import (
	"os"

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
	Claude claude.Config
	OpenAI openai.Config
	Ollama openai.Config
	HTTP   http.Config
	Shell  shell.Config
}

// Named is an agent under the name scripts call it by.
type Named struct {
	Name  string
	Agent agent.Agent
}

// Agents lists every agent, in alphabetical order.
func Agents(c Config) []Named {
	if c.Claude.APIKey == nil {
		c.Claude.APIKey = environment("ANTHROPIC_API_KEY")
	}
	if c.OpenAI.APIKey == nil {
		c.OpenAI.APIKey, c.OpenAI.KeyName = environment("OPENAI_API_KEY"), "OPENAI_API_KEY"
	}
	c.Ollama.Name = "ollama"
	if c.Ollama.BaseURL == "" {
		c.Ollama.BaseURL = openai.OllamaURL
	}
	return []Named{
		{"claude", claude.New(c.Claude)},
		{"echo", echo.New()},
		{"http", http.New(c.HTTP)},
		{"human", human.New()},
		{"memory", contexts.New()},
		{"ollama", openai.New(c.Ollama)},
		{"openai", openai.New(c.OpenAI)},
		{"shell", shell.New(c.Shell)},
		{"strudel", strudel.New()},
		{"wait", wait.New()},
	}
}

func environment(name string) func() (string, error) {
	return func() (string, error) { return os.Getenv(name), nil }
}
