// Package shell runs commands of this machine: words go to the program as they are, and no shell reads them unless the script asks for one.
package shell

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
	"github.com/slopstudios/slop/stdlib/process"
)

// Config of a shell agent. The zero value works.
type Config struct {
	Name      string        // "shell" when empty
	Env       []string      // names of further environment variables that commands may see
	Folder    string        // working folder; "" is that of the run, or else that of the call
	MaxOutput int           // bytes of stdout a command may print; 0 is 16 MiB
	Grace     time.Duration // between SIGTERM and SIGKILL when a call is cancelled; 0 is 5 s
	Shell     []string      // what runs `sh:`; empty is sh -c
	// RunFolder gives the working folder of a run, which is made at its first call, for nobody else of the machine to read; "" is none. nil: no run has one.
	RunFolder func(run.ID) string
	Off       bool // every call is denied: for hosts whose runs others start, where nobody has allowed commands
}

// New returns an agent with one capability, named as configured.
func New(c Config) agent.Agent {
	if c.Name == "" {
		c.Name = "shell"
	}
	if c.MaxOutput == 0 {
		c.MaxOutput = 16 << 20
	}
	if c.Grace == 0 {
		c.Grace = 5 * time.Second
	}
	if len(c.Shell) == 0 {
		c.Shell = []string{"sh", "-c"}
	}
	return &shell{c}
}

type shell struct{ Config }

// Signatures of the shell: a `do` that nobody may repeat without asking.
func (s *shell) Signatures() []types.Signature {
	optional := func(t types.Kind) types.Type { return types.Type{Kind: t, Optional: true} }
	return []types.Signature{{
		Name: s.Name, Use: s.Name, Doc: "Runs a command. Its words go to the program as they are; `sh:` runs a script of a real shell instead.",
		Primary: "argv", Text: types.Argv, Effect: types.Do, Kind: types.Call, World: true, Version: "1",
		Result: types.Type{Kind: types.String},
		Params: []types.Param{
			{Name: "argv", Type: types.Type{Kind: types.List, Optional: true, Elem: &types.Type{Kind: types.String}}, Doc: "the program and its arguments"},
			{Name: "sh", Type: optional(types.String), Host: true, Doc: "a script for sh -c; takes no interpolation: pass values as env"},
			{Name: "env", Type: optional(types.Any), Secret: true, Doc: "environment variables, a record"},
			{Name: "stdin", Type: optional(types.String), Doc: "what the command reads"},
		},
	}}
}

// Check looks for the shell itself.
func (s *shell) Check(ctx context.Context) error {
	_, err := process.Run(ctx, process.Command{Argv: append(slices.Clone(s.Shell), "exit 0"), Env: process.Environ()})
	return err
}

// Call runs the command and gives its stdout without the last newline.
func (s *shell) Call(ctx context.Context, c *agent.Call) agent.Reply {
	if s.Off {
		return agent.Fail(run.Denied, fmt.Sprintf("commands are off on a server: a table [agents.%s] in its slop.toml, empty or not, allows them", s.Name))
	}
	secrets := outcome.NewSecrets(c.Secret)
	command, err := s.command(c, secrets)
	if err != nil {
		return agent.Fail(run.Failure, secrets.Black(err.Error()))
	}
	lines := &lines{emit: func(text string) { c.Emit(agent.Progress{Delta: secrets.Black(text)}) }}
	command.Out = lines.write
	result, err := process.Run(ctx, command)
	if err == nil {
		lines.flush()
	}
	if reply, ended := outcome.Ended(ctx); ended && err != nil {
		return reply
	}
	name := c.Args["sh"]
	if name == nil {
		name = command.Argv[0]
	}
	reply := s.read(result, err, outcome.Brief(fmt.Sprint(name), 80, false))
	reply.Message = secrets.Black(reply.Message)
	return reply
}

// read turns the end of a command into a reply.
func (s *shell) read(r process.Result, err error, name string) agent.Reply {
	switch {
	case errors.Is(err, process.ErrNotFound):
		return agent.Fail(run.Failure, fmt.Sprintf("the command %s is not there: is it installed, and on PATH?", name))
	case errors.Is(err, fs.ErrPermission):
		return agent.Fail(run.Denied, fmt.Sprintf("%s may not be run: is it executable?", name))
	case errors.Is(err, process.ErrOutput):
		return agent.Fail(run.Failure, fmt.Sprintf("%s printed more than %s and was stopped: let it write to a file, or print less", name, size(s.MaxOutput)))
	case err != nil:
		return agent.Fail(run.Failure, fmt.Sprintf("%s could not be run: %v", name, err))
	}
	last := ""
	if tail := outcome.Brief(string(r.Stderr), 2000, true); tail != "" {
		last = ":\n" + tail
	} else if tail := outcome.Brief(string(r.Stdout), 500, true); tail != "" {
		last = "; it printed:\n" + tail
	}
	switch {
	case r.Signal != "":
		return agent.Fail(run.Failure, fmt.Sprintf("%s was ended by a signal (%s)%s", name, r.Signal, last))
	case r.Code != 0:
		return agent.Fail(run.Failure, fmt.Sprintf("%s ended with code %d%s", name, r.Code, last))
	case !utf8.Valid(r.Stdout):
		return agent.Fail(run.Failure, fmt.Sprintf("what %s printed is not text (UTF-8): let it write to a file, or pipe it through base64", name))
	}
	out := string(r.Stdout)
	if cut, ok := strings.CutSuffix(out, "\r\n"); ok {
		return agent.Reply{Value: cut}
	}
	return agent.Reply{Value: strings.TrimSuffix(out, "\n")}
}

// command puts a call together. Secrets enter the environment and nothing else.
func (s *shell) command(c *agent.Call, secrets *outcome.Secrets) (process.Command, error) {
	p := process.Command{Dir: s.Folder, Env: process.Environ(s.Env...), MaxOut: s.MaxOutput, Grace: s.Grace}
	if p.Dir == "" {
		dir, err := s.runFolder(c.Run)
		if err != nil {
			return p, err
		}
		p.Dir = cmp.Or(dir, c.Folder)
	}
	text := c.Text
	if text == nil {
		text = c.Args["argv"]
	}
	argv, err := words(text)
	if err != nil {
		return p, err
	}
	script, isScript := c.Args["sh"].(string)
	switch {
	case !isScript && c.Args["sh"] != nil:
		return p, fmt.Errorf("`sh` takes a plain text: pass secrets and values as env")
	case isScript && len(argv) > 0:
		return p, fmt.Errorf("a call has either words or `sh`, not both")
	case isScript:
		argv = append(slices.Clone(s.Shell), script)
	case len(argv) == 0:
		return p, fmt.Errorf("there is no command to run")
	}
	p.Argv = argv
	switch stdin := c.Args["stdin"].(type) {
	case nil:
	case string:
		p.Stdin = []byte(stdin)
	default:
		return p, fmt.Errorf("stdin must be a string")
	}
	env, err := secrets.Open(c.Args["env"])
	if err != nil || env == nil {
		return p, err
	}
	record, ok := env.(map[string]any)
	if !ok {
		return p, fmt.Errorf("env must be a record, such as {NAME: \"value\"}")
	}
	for name, v := range record {
		value, err := plain(v)
		if err != nil || name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return p, fmt.Errorf("env %q: a variable is a string, number or boolean", name)
		}
		p.Env = append(p.Env, name+"="+value)
	}
	slices.Sort(p.Env[len(p.Env)-len(record):])
	return p, nil
}

// runFolder makes the folder of a run. Commands may have removed it, and made of its name what they like: only a folder will do.
func (s *shell) runFolder(id run.ID) (string, error) {
	if s.RunFolder == nil {
		return "", nil
	}
	dir := s.RunFolder(id)
	if dir == "" {
		return "", nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", fmt.Errorf("the working folder of the run cannot be made: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("the working folder of the run cannot be made: %w", err)
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("the working folder of the run, %s, is no folder", dir)
	}
	return dir, nil
}

// words reads argv: a list of plain strings. NUL cannot be passed to a program.
func words(v any) ([]string, error) {
	var argv []string
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []string:
		argv = v
	case []any:
		for _, w := range v {
			word, ok := w.(string)
			if !ok {
				return nil, fmt.Errorf("a word of a command must be a string")
			}
			argv = append(argv, word)
		}
	default:
		return nil, fmt.Errorf("a command is a list of words; secrets go into env")
	}
	for _, w := range argv {
		if strings.ContainsRune(w, 0) {
			return nil, fmt.Errorf("a word of the command holds a NUL character")
		}
	}
	return argv, nil
}

func plain(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", fmt.Errorf("not plain")
}

func size(bytes int) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// lines hands stdout on in whole lines, so that neither a character nor a secret is cut in two. A line that never ends is held back up to a limit.
type lines struct {
	mu   sync.Mutex
	rest []byte
	emit func(string)
}

// maxHeld is how much of an unfinished line is kept for showing.
const maxHeld = 64 << 10

func (l *lines) write(chunk []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, chunk...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	if end == 0 && len(l.rest) > maxHeld {
		end = len(l.rest)
	}
	if end > 0 {
		l.emit(strings.ToValidUTF8(string(l.rest[:end]), "�"))
		l.rest = append(l.rest[:0], l.rest[end:]...)
	}
}

func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.emit(strings.ToValidUTF8(string(l.rest), "�"))
		l.rest = nil
	}
}
