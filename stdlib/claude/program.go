package claude

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/model"
	"github.com/slopstudios/slop/stdlib/outcome"
	"github.com/slopstudios/slop/stdlib/process"
)

// plainSystem stands in for the program's own system prompt, which is that of a coding agent, when a script has none.
const plainSystem = "Answer the request."

// maxSchema is how long a schema may be on the command line; Linux takes 128 KiB a word.
const maxSchema = 100 << 10

// program asks by running claude -p. The prompt goes in by stdin and the persona by a file: the command line has nothing but flags.
func (a *claude) program(ctx context.Context, c *agent.Call, req model.Request, key string, emit func(agent.Progress)) agent.Reply {
	dir, err := os.MkdirTemp("", "slop-claude-")
	if err != nil {
		return agent.Fail(run.Failure, "no folder to work in: "+err.Error())
	}
	defer os.RemoveAll(dir)
	folder := filepath.Join(dir, "work")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return agent.Fail(run.Failure, "no folder to work in: "+err.Error())
	}
	if a.acts() {
		if a.Folder != "" {
			folder = a.Folder
		} else if c.Folder != "" {
			folder = c.Folder
		}
	}
	persona := req.System
	if persona == "" && !a.acts() {
		persona = plainSystem
	}
	bound := req.Shape != nil && req.Shape.Bindable && len(req.Shape.Schema(false)) < maxSchema
	if !bound {
		req = req.Instruct()
	}
	w, err := a.begin(c, req)
	if err != nil {
		return agent.Fail(run.Denied, err.Error())
	}
	argv := a.flags(req, bound)
	if persona != "" {
		file := filepath.Join(dir, "system.txt")
		if err := os.WriteFile(file, []byte(persona), 0o600); err != nil {
			return agent.Fail(run.Failure, "the system prompt cannot be written: "+err.Error())
		}
		flag := "--system-prompt-file="
		if a.acts() { // what does needs the program's own knowledge of its tools
			flag = "--append-system-prompt-file="
		}
		argv = append(argv, flag+file)
	}
	if len(w.allowed) > 0 {
		file := filepath.Join(dir, "settings.json")
		rules, err := json.Marshal(map[string]any{"permissions": map[string]any{"allow": w.allowed}})
		if err == nil {
			err = os.WriteFile(file, rules, 0o600)
		}
		if err != nil {
			return agent.Fail(run.Failure, "what people allowed cannot be written: "+err.Error())
		}
		argv = append(argv, "--settings="+file)
	}
	limit := req.MaxTokens
	if _, asked := model.Limit(c); a.acts() && !a.limited && !asked {
		limit = 0 // it works in many turns; a limit nobody set would stop it half way
	}
	env := a.environ(key, limit)
	reply, words := a.attempt(ctx, argv, folder, env, w, req, bound, emit)
	switch {
	case w.resumes && sessionMissing(words):
		reply, _ = a.attempt(ctx, argv, folder, env, w.anew(req), req, bound, emit)
	case w.session != "" && !w.resumes && sessionTaken(words):
		reply, _ = a.attempt(ctx, argv, folder, env, w.taken(req), req, bound, emit)
	}
	return reply
}

// attempt runs the program once. words is what it said of a session that could not be begun, or gone on with.
func (a *claude) attempt(ctx context.Context, argv []string, folder string, env []string, w work, req model.Request, bound bool, emit func(agent.Progress)) (reply agent.Reply, words string) {
	told := &teller{emit: emit, tools: a.acts()}
	told.price = a.configured(req.Model)
	stopped, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	told.abort = func(why error) { stop(why) }
	result, err := process.Run(stopped, process.Command{
		Argv: append(slices.Clip(argv), w.flag()), Dir: folder, Env: env, Stdin: []byte(w.prompt),
		Out: told.write, Idle: a.Idle, Grace: a.Grace, Sweep: true,
	})
	said := told.end()
	if said.session == "" {
		said.session = w.session
	}
	var excess excessError
	switch {
	case errors.As(err, &excess):
		return agent.Fail(run.Failure, excess.Error()), ""
	case errors.Is(err, process.ErrIdle):
		return said.broken(run.Timeout, fmt.Sprintf("claude said nothing for %v and was stopped", a.Idle)), ""
	case errors.Is(err, process.ErrNotFound):
		return agent.Fail(run.Failure, "the claude program is not there any more"), ""
	case errors.Is(err, process.ErrFolder):
		return agent.Fail(run.Failure, err.Error()), ""
	case err != nil:
		if reply, ended := outcome.Ended(ctx); ended {
			return said.broken(reply.Outcome, reply.Message), ""
		}
		return said.broken(run.Unavailable, "claude could not be run: "+err.Error()), ""
	}
	if w.session != "" && result.Code != 0 && said.message == "" {
		words = string(result.Stderr)
		if said.final != nil {
			words += said.words()
		}
	}
	reply = said.reply(result, req, bound, func(u run.Usage) *types.Price { return a.price(req.Model, u) })
	if reply.Outcome == run.Denied && len(said.denied) > 0 && a.Permissions == "ask" && w.session != "" {
		if question, ok := askLeave(w, said.denied); ok {
			question.Usage, question.AgentID = reply.Usage, reply.AgentID
			return question, ""
		}
	}
	return reply, words
}

// flags is the command line. Everything that could begin with a dash is written as --flag=value.
func (a *claude) flags(req model.Request, bound bool) []string {
	argv := []string{
		a.Program, "-p", "--output-format=stream-json", "--verbose", "--include-partial-messages",
		"--setting-sources=" + strings.Join(a.Settings, ","), "--strict-mcp-config", "--permission-mode=dontAsk",
		"--model=" + req.Model,
	}
	names := make([]string, len(a.Tools))
	for i, t := range a.Tools {
		names[i], _, _ = strings.Cut(t, "(") // "Bash(git:*)" allows part of the tool Bash
	}
	if a.Permissions == "ask" {
		for _, tool := range offered {
			if !slices.Contains(names, tool) {
				names = append(names, tool)
			}
		}
	}
	argv = append(argv, "--tools="+strings.Join(names, ","))
	if !a.acts() {
		argv = append(argv, "--settings="+closed)
	}
	if len(a.Tools) > 0 {
		argv = append(argv, "--allowedTools="+strings.Join(a.Tools, ","))
	}
	if req.Effort != "" {
		argv = append(argv, "--effort="+req.Effort)
	}
	if bound {
		argv = append(argv, "--json-schema="+string(req.Shape.Schema(false)))
	}
	return argv
}

// closed keeps the program from reading the files that a prompt mentions as @path, which it does by itself and not through a tool, and from running hooks.
const closed = `{"disableAllHooks":true,"permissions":{"deny":["Read(//**)"]}}`

// prompt is what goes in by stdin. A text that begins like a command of the program is put behind a line that does not.
func prompt(req model.Request) string {
	text := req.Flat()
	if begin := strings.TrimSpace(text); begin != "" && strings.ContainsAny(begin[:1], "/!#") {
		return "The request:\n" + text
	}
	return text
}

// environ is all that the program sees: what every command may, its own login, and what we mean to tell it. Nothing of the session we may run in ourselves.
func (a *claude) environ(key string, maxTokens int) []string {
	env := process.Environ(append([]string{"CLAUDE_CONFIG_DIR", loginToken}, a.Env...)...)
	if !a.acts() {
		env = slices.DeleteFunc(env, func(entry string) bool { return strings.HasPrefix(entry, "SSH_AUTH_SOCK=") }) // it would look for a git identity
	}
	env = append(env,
		"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1", // no updates, no telemetry
		"CLAUDE_CODE_MAX_RETRIES=0",                  // the run retries, so that attempts and budgets agree
	)
	if len(a.Settings) == 0 {
		env = append(env, "CLAUDE_CODE_DISABLE_AUTO_MEMORY=1") // what it noted of other work in this folder, which no other switch leaves out
	}
	if maxTokens > 0 {
		env = append(env, "CLAUDE_CODE_MAX_OUTPUT_TOKENS="+strconv.Itoa(maxTokens))
	}
	if key != "" {
		env = append(env, "ANTHROPIC_API_KEY="+key)
	}
	if a.BaseURL != "" {
		env = append(env, "ANTHROPIC_BASE_URL="+a.BaseURL)
	}
	return env
}

// excessError says that the program offers the model what it was told not to.
type excessError string

func (e excessError) Error() string {
	return fmt.Sprintf(`this version of the claude program does not run without tools (it offers %s), so it cannot be trusted to only think: update it, or set prefer = "api"`, string(e))
}
