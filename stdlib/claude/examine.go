package claude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
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
	version, err := a.version(ctx)
	switch {
	case errors.Is(err, errOld):
		say(agent.Finding{What: "version", Said: err.Error(), Wrong: true, Mend: "update Claude Code: claude update"})
		return
	case err != nil:
		say(agent.Finding{What: "version", Said: err.Error(), Wrong: true, Mend: "run it yourself; install Claude Code anew if it does so there, too"})
		return
	}
	say(agent.Finding{What: "version", Said: version})
	login := agent.Finding{What: "login"}
	switch {
	case key != "":
		login.Said = "with " + a.KeyName
	case os.Getenv(loginToken) != "":
		login.Said = "with " + loginToken
	default:
		login = a.login(ctx, version)
	}
	say(login)
	if !login.Wrong {
		say(agent.Finding{What: "model", Said: a.Model})
	}
}

// oldest is the version that has every flag a call is made with; statusSince the first that says whether it is logged in without asking a model.
const (
	oldest      = "2.1.0"
	statusSince = "2.1.41"
)

// errOld is the version of a program that is too old.
var errOld = errors.New("too old")

var versionText = regexp.MustCompile(`\d+\.\d+\.\d+`)

// version asks the program for its own.
func (a *claude) version(ctx context.Context) (string, error) {
	r, err := a.ask(ctx, "--version")
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "", errors.New("claude --version does not answer")
	case err != nil:
		return "", err
	case r.Code != 0:
		return "", fmt.Errorf("claude --version ended with code %d: %s", r.Code, outcome.Brief(string(r.Stderr), 300, true))
	}
	said := outcome.Brief(string(r.Stdout), 100, false)
	version := versionText.FindString(said)
	if version == "" {
		return "", fmt.Errorf("claude --version says %q, which is no version of Claude Code", said)
	}
	if before(version, oldest) {
		return "", fmt.Errorf("claude is %s, which is %w: slop needs %s or newer", version, errOld, oldest)
	}
	return said, nil
}

// login asks the program whether it is logged in, where it can tell.
func (a *claude) login(ctx context.Context, version string) agent.Finding {
	unknown := agent.Finding{What: "login", Said: "the program's own, which only a call can try"}
	if before(versionText.FindString(version), statusSince) {
		return unknown
	}
	r, err := a.ask(ctx, "auth", "status")
	var status struct {
		LoggedIn *bool
		Method   string `json:"authMethod"`
	}
	switch {
	case err != nil || json.Unmarshal(r.Stdout, &status) != nil || status.LoggedIn == nil:
		return unknown
	case !*status.LoggedIn:
		return agent.Finding{What: "login", Said: "the program is not logged in", Wrong: true, Mend: "run claude and log in, or set " + a.KeyName}
	}
	return agent.Finding{What: "login", Said: "the program's own (" + outcome.Brief(status.Method, 40, false) + ")"}
}

// ask runs the program for what it says at once and for nothing.
func (a *claude) ask(ctx context.Context, args ...string) (process.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return process.Run(ctx, process.Command{
		Argv: append([]string{a.Program}, args...), Env: a.environ("", 0), MaxOut: 4096, Sweep: true, Grace: 100 * time.Millisecond,
	})
}

// before compares two versions of three numbers.
func before(a, b string) bool {
	var x, y [3]int
	fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	return slices.Compare(x[:], y[:]) < 0
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
	case !errors.As(err, new(*url.Error)):
		say(agent.Finding{What: "endpoint", Said: a.host() + " does not answer as the Claude API does", Wrong: true, Mend: "is base_url right?"})
	default:
		_, why := outcome.Connection(err, a.host())
		say(agent.Finding{What: "endpoint", Said: secrets.Black(why), Wrong: true, Mend: "is the network up, and base_url right?"})
	}
}
