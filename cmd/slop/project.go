package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/mcp"
	"github.com/slopstudios/slop/stdlib/remote"
)

// project is the folder a script lives in: its configuration, what it can call there and what it can use.
type project struct {
	folder    string // of the script
	root      string // below it lies everything that `use` may name
	config    *config.Config
	places    config.Places
	registry  *agent.Registry
	serves    bool                     // others start the runs
	work      string                   // where runs have working folders; "" until a host is there
	servers   map[string]*mcp.Server   // by name
	programs  map[string]*remote.Agent // by name
	ungranted map[string]ungranted     // models whose tools are not known, by name
}

// stdinName is what a script is called that came by standard input.
const stdinName = "stdin.slop"

// maxScript is far more than the language accepts; it keeps /dev/zero from filling the memory.
const maxScript = 128 << 20

// readScript reads a script, or standard input for "-", under the name that messages show.
func (c *console) readScript(path string) (*source.File, error) {
	if path == "-" {
		text, err := io.ReadAll(io.LimitReader(c.in, maxScript))
		return source.NewFile(stdinName, string(text)), err
	}
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) && filepath.Ext(path) == "" {
			if _, other := os.Stat(path + ".slop"); other == nil {
				return nil, usage("there is no file %s, did you mean %s.slop?", path, path)
			}
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil, usage("%s%s", plainPathError(err), neighbour(path))
		}
		return nil, usage("%s", plainPathError(err))
	}
	defer func() { _ = f.Close() }()
	var text strings.Builder
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, usage("%s is a folder, not a script", path)
	} else if err == nil {
		text.Grow(int(min(info.Size(), maxScript)))
	}
	if _, err := io.Copy(&text, io.LimitReader(f, maxScript)); err != nil {
		return nil, usage("%s", plainPathError(err))
	}
	return source.NewFile(filepath.ToSlash(filepath.Clean(path)), text.String()), nil
}

func plainPathError(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

// openProject reads the configuration around a script and registers what can be called. It starts nothing and reads no secret.
func openProject(script string) (*project, error) {
	folder := "."
	if script != "" && script != "-" {
		folder = filepath.Dir(script)
	}
	p := &project{places: config.UserPlaces(os.Getenv), programs: map[string]*remote.Agent{}}
	var err error
	if p.folder, err = filepath.Abs(folder); err != nil {
		return nil, err
	}
	if p.config, err = config.Load(p.folder, p.places); err != nil {
		return nil, &exit{exitUsage, err}
	}
	p.root = p.folder
	if p.config.Project != nil {
		p.root = filepath.Dir(p.config.Project.Path)
	}
	if p.registry, err = agents(p); err != nil {
		return nil, &exit{exitUsage, err}
	}
	return p, nil
}

// serve makes the agents those of a server. Others start its runs and choose their inputs, so http reaches the internet only and shell is off, unless slop.toml says otherwise.
func (p *project) serve() error {
	p.serves = true
	registry, err := agents(p)
	if err != nil {
		return &exit{exitUsage, err}
	}
	p.registry = registry
	return nil
}

// noProject can show what a run was and call nobody.
func noProject() *project {
	return &project{config: &config.Config{}, places: config.UserPlaces(os.Getenv), registry: agent.NewRegistry()}
}

// scope is what a script of the project may name.
func (p *project) scope() types.Scope {
	s := p.registry.Scope()
	s.Load = p.load
	return s
}

// load finds a used file, below the project's folder only.
func (p *project) load(from, path string) (name, text string, err error) {
	switch {
	case strings.HasPrefix(path, "std/"):
		return standardFlow(path)
	case strings.HasPrefix(path, "@"):
		return "", "", fmt.Errorf("%s is stored on a server; `slop run` reads files: write \"./name.slop\"", path)
	case filepath.IsAbs(path) || strings.HasPrefix(path, "~"):
		return "", "", fmt.Errorf("a used file is named from the script's own folder, like \"./%s\"", filepath.Base(path))
	}
	base := filepath.Dir(from)
	if from == stdinName || from == "" {
		base = "."
	}
	name = filepath.Join(base, filepath.FromSlash(path))
	real, err := filepath.Abs(name)
	if err != nil {
		return "", "", err
	}
	root := p.root
	if r, err := filepath.EvalSymlinks(root); err == nil {
		root = r
	}
	if r, err := filepath.EvalSymlinks(real); err == nil {
		real = r
	}
	if rel, err := filepath.Rel(root, real); err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", "", fmt.Errorf("%s lies outside the project's folder %s", path, p.root)
	}
	f, err := os.Open(real)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", "", fmt.Errorf("there is no file %s%s", filepath.ToSlash(name), neighbour(name))
		}
		return "", "", plainPathError(err)
	}
	defer func() { _ = f.Close() }()
	body, err := io.ReadAll(io.LimitReader(f, maxScript))
	if err != nil {
		return "", "", plainPathError(err)
	}
	return filepath.ToSlash(name), string(body), nil
}

// neighbour suggests a file beside one that is not there: of its kind, or a script.
func neighbour(path string) string {
	kind := filepath.Ext(path)
	if kind == "" || strings.ContainsAny(kind, `*?[\`) {
		kind = ".slop"
	}
	scripts, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"+kind))
	if err != nil {
		return ""
	}
	for i := range scripts {
		scripts[i] = filepath.Base(scripts[i])
	}
	if near, ok := diag.Nearest(filepath.Base(path), scripts); ok {
		return ", did you mean " + near + "?"
	}
	return ""
}

// trust makes sure that the user stands behind every slop.toml before anything in it counts.
func (c *console) trust(p *project, flag bool) error {
	for _, f := range untrusted(p) {
		if err := c.trustFile(p, f, flag); err != nil {
			return err
		}
	}
	return nil
}

func (c *console) trustFile(p *project, f *config.File, flag bool) error {
	if flag {
		if err := p.places.Remember(f); err != nil {
			return usage("the trust in %s cannot be remembered: %s\n  SLOP_TRUST=1 trusts it for this once", f.Source.Name, plainPathError(err))
		}
		return nil
	}
	asks := "  " + screen.Inert(strings.Join(f.Asks, "\n  "))
	if c.asks {
		fmt.Fprintf(c.err, "%s is not trusted yet. It\n%s\nDo you trust it? [yes/no] ", c.style.Bold(f.Source.Name), asks)
		line, _ := c.readLine()
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			if err := p.places.Remember(f); err != nil {
				fmt.Fprintf(c.err, "(this cannot be remembered: %s)\n", plainPathError(err))
			}
			return nil
		}
		return usage("%s is not trusted; nothing was run", f.Source.Name)
	}
	return usage("%s is not trusted yet. It\n%s\n  read it, then add --trust (remembered until it changes), or set SLOP_TRUST=1", f.Source.Name, asks)
}

// untrusted are the files that the user must stand behind first.
func untrusted(p *project) []*config.File {
	if os.Getenv("SLOP_TRUST") == "1" {
		return nil
	}
	here, err := os.Getwd()
	if err != nil {
		here = "" // the folder is gone: nothing lies in it
	}
	var files []*config.File
	for _, f := range []*config.File{p.config.User, p.config.Project} {
		if !p.places.Trusted(f, here) {
			files = append(files, f)
		}
	}
	return files
}

// secret reads the value of a secret.
func (p *project) secret(name string) (string, error) { return p.config.Value(name, os.LookupEnv) }

// missingModels names the calls of agents that have no model of their own and are told none. Without one there is nobody to ask, and no server need be asked to
// know that. One that could be given from outside and is not, is not called.
func missingModels(p *plan.Plan, values map[string]any) error {
	var lines []string
	left := notGiven(p, values)
	for i, b := range p.Blocks {
		for _, n := range b.Nodes {
			if n.Call == nil || left[i] {
				continue
			}
			sig := p.Callees[n.Call.Callee]
			named := slices.ContainsFunc(n.Call.Args, func(a plan.Arg) bool { return a.Name == "model" })
			if sig.Use != "openai" && sig.Use != "ollama" || named || modelOf(sig) != "" {
				continue
			}
			line := fmt.Sprintf("%s is told no model: set model = \"…\" under [agents.%s] in slop.toml, or write %s(model: \"…\")", sig.Name, sig.Name, sig.Name)
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) > 0 {
		return usage("%s", strings.Join(lines, "\n"))
	}
	return nil
}

// notGiven are the blocks that call an agent which is a value and whose name is neither in the inputs nor in the script.
func notGiven(p *plan.Plan, values map[string]any) map[int]bool {
	var said strings.Builder
	write := func(v any) {
		if raw, err := json.Marshal(v); err == nil {
			said.Write(raw)
		}
	}
	write(values)
	var arms []plan.Arm
	for _, in := range p.Inputs {
		if _, given := values[in.Name]; !given {
			said.Write(in.Default)
		}
	}
	for _, b := range p.Blocks {
		for i := range b.Nodes {
			n := &b.Nodes[i]
			plan.Exprs(n, func(e *plan.Expr) { said.WriteString(e.Code) })
			if n.Flow != nil {
				for _, in := range n.Flow.Inputs {
					said.Write(in.Default)
				}
			}
			if n.Match != nil {
				arms = append(arms, n.Match.Arms...)
			}
		}
	}
	left := map[int]bool{}
	for _, a := range arms {
		if call := p.Blocks[a.Block].Nodes[0].Call; call != nil && a.Values[0] == call.Agent {
			left[a.Block] = !strings.Contains(said.String(), strconv.Quote(call.Agent))
		}
	}
	return left
}

// missingSecrets names all that cannot be read, before anything runs.
func (p *project) missingSecrets(names []string) error {
	var lines []string
	for _, name := range names {
		if _, err := p.secret(name); err != nil {
			lines = append(lines, "secret "+name+" "+err.Error())
		}
	}
	if len(lines) > 0 {
		return usage("%s", strings.Join(lines, "\n"))
	}
	return nil
}
