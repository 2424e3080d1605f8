package claude

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/outcome"
	"github.com/slopstudios/slop/stdlib/process"
)

// Examine says which way Claude is asked, and whether program, version, login, key and model are as they should be. It asks no model.
func (a *claude) Examine(ctx context.Context, say func(agent.Finding)) {
	secrets := outcome.NewSecrets(nil)
	way, key, err := a.way(secrets)
	if err != nil {
		f := agent.Finding{What: "login", Said: err.Error(), Wrong: true}
		if f.Said, f.Mend, _ = strings.Cut(err.Error(), ": "); f.Mend == "" {
			f.Mend = "see slop help configuration"
		}
		say(f)
		return
	}
	if way == "cli" {
		a.examineProgram(ctx, key, say)
		return
	}
	a.examineAPI(ctx, secrets, key, say)
}

func (a *claude) examineProgram(ctx context.Context, key string, say func(agent.Finding)) {
	path, _ := exec.LookPath(a.Program)
	say(agent.Finding{What: "program", Said: path})
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := process.Run(ctx, process.Command{Argv: []string{a.Program, "--version"}, Env: a.environ("", 0), MaxOut: 4096, Sweep: true, Grace: 100 * time.Millisecond})
	switch {
	case err != nil:
		say(agent.Finding{What: "version", Said: "claude --version does not answer: " + err.Error(), Wrong: true, Mend: "run it yourself; install Claude Code anew if it hangs there, too"})
		return
	case r.Code != 0:
		say(agent.Finding{What: "version", Said: fmt.Sprintf("claude --version ended with code %d: %s", r.Code, outcome.Brief(string(r.Stderr), 300, true)), Wrong: true, Mend: "install Claude Code anew"})
		return
	}
	say(agent.Finding{What: "version", Said: outcome.Brief(string(r.Stdout), 100, false)})
	switch {
	case key != "":
		say(agent.Finding{What: "login", Said: "with " + a.KeyName})
	case os.Getenv(loginToken) != "":
		say(agent.Finding{What: "login", Said: "with " + loginToken})
	default:
		say(agent.Finding{What: "login", Said: "the program's own, which only a call can try"})
	}
	say(agent.Finding{What: "model", Said: a.Model})
}

// examineAPI asks for the model's description, which is free and tells whether key, endpoint and model are right.
func (a *claude) examineAPI(ctx context.Context, secrets *outcome.Secrets, key string, say func(agent.Finding)) {
	id := a.Model
	if full, ok := aliases[id]; ok {
		id = full
	}
	options := []option.RequestOption{
		option.WithoutEnvironmentDefaults(), option.WithAPIKey(key), option.WithMaxRetries(0),
		option.WithHTTPClient(&http.Client{Transport: listener{a.Transport, func() {}}}),
	}
	if a.BaseURL != "" {
		options = append(options, option.WithBaseURL(a.BaseURL))
	}
	client := anthropic.NewClient(options...)
	say(agent.Finding{What: "key", Said: a.KeyName + " is set"})
	_, err := client.Models.Get(ctx, id, anthropic.ModelGetParams{})
	var failed *anthropic.Error
	switch {
	case err == nil:
		say(agent.Finding{What: "endpoint", Said: a.host()})
		say(agent.Finding{What: "model", Said: id})
	case errors.As(err, &failed) && (failed.StatusCode == http.StatusUnauthorized || failed.StatusCode == http.StatusForbidden):
		say(agent.Finding{What: "key", Said: a.host() + " does not accept it", Wrong: true, Mend: "set " + a.KeyName + " to a key that is valid there"})
	case errors.As(err, &failed) && failed.StatusCode == http.StatusNotFound && a.BaseURL == "":
		say(agent.Finding{What: "model", Said: a.host() + " has no model " + id, Wrong: true, Mend: `set model = "sonnet", "opus", "haiku", or a full id`})
	case errors.As(err, &failed) && failed.StatusCode == http.StatusNotFound:
		say(agent.Finding{What: "model", Said: a.host() + " does not say which models it has"}) // a proxy, likely
	case errors.As(err, &failed):
		say(agent.Finding{What: "endpoint", Said: fmt.Sprintf("%s answered with %d", a.host(), failed.StatusCode), Wrong: failed.StatusCode >= 500, Mend: "try again later"})
	default:
		_, why := outcome.Connection(err, a.host())
		say(agent.Finding{What: "endpoint", Said: secrets.Black(why), Wrong: true, Mend: "is the network up, and base_url right?"})
	}
}
