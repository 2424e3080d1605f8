package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/stdlib/remote"
)

// A program that is an agent says itself what it can do, so it has to run before a script that names it can be checked. What it says is kept in the state
// folder until the program, or what slop.toml says of it, changes; and nothing is run for a slop.toml that is not trusted.

// started are the programs that this process may have begun: Main ends them.
var started struct {
	sync.Mutex
	agents []*remote.Agent
}

// endPrograms ends every program and waits until it is gone.
func endPrograms() {
	started.Lock()
	agents := started.agents
	started.agents = nil
	started.Unlock()
	var group sync.WaitGroup
	for _, a := range agents {
		group.Go(func() { _ = a.Close() })
	}
	group.Wait()
}

// programOf is the agent that slop.toml describes. A command with a slash is found from the file's own folder, and works there unless another is named.
func programOf(a config.Agent) *remote.Agent {
	here := filepath.Dir(a.File.Path)
	p := remote.Program{Name: a.Name, Command: slices.Clone(a.Command), Folder: a.Folder, Env: a.Env}
	if p.Folder == "" {
		p.Folder = here
	}
	if strings.Contains(p.Command[0], "/") && !filepath.IsAbs(p.Command[0]) {
		p.Command[0] = filepath.Join(here, p.Command[0])
	}
	made := remote.NewProgram(p)
	started.Lock()
	started.agents = append(started.agents, made)
	started.Unlock()
	return made
}

// mark names what a program said of itself as long as it is the same program, as far as its files tell.
func mark(a config.Agent) string {
	here := filepath.Dir(a.File.Path)
	parts := []any{remote.Protocol, a.Command, a.Folder, a.Env, here}
	for i, word := range a.Command {
		file := word
		if i == 0 && !strings.Contains(word, "/") {
			if found, err := exec.LookPath(word); err == nil {
				file = found
			}
		} else if !filepath.IsAbs(file) {
			file = filepath.Join(here, file)
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			parts = append(parts, file, info.Size(), info.ModTime().UnixNano())
		}
	}
	text, _ := json.Marshal(parts) // texts and numbers
	sum := sha256.Sum256(text)
	return filepath.Join("agents", hex.EncodeToString(sum[:12])+".json")
}

// program registers an agent that is a program, if it is known what it can do.
func (p *project) program(r *agent.Registry, a config.Agent) error {
	made := programOf(a)
	p.programs[a.Name] = made
	hello, ok := p.places.Kept(mark(a))
	if !ok {
		return nil
	}
	d, err := remote.Parse(hello)
	if err != nil {
		return nil // of another version: it is asked again
	}
	made.Known(d)
	return enlist(r, a, made, made.Concurrency(), "", nil)
}

// strangers are the programs that have yet to say what they can do, of those that are wanted.
func (p *project) strangers(wanted func(name string) bool) []string {
	known := p.registry.Agents()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.programs)) {
		if !slices.Contains(known, name) && wanted(name) {
			out = append(out, name)
		}
	}
	return out
}

// describeTime is how long programs may take to say what they can do.
const describeTime = 15 * time.Second

// describe runs programs, all at once, until they have said what they can do, and registers them.
func (p *project) describe(ctx context.Context, names ...string) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, describeTime)
	defer cancel()
	errs := map[string]error{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, name := range names {
		group.Go(func() {
			a, made := p.config.Agents[name], p.programs[name]
			d, err := made.Describe(ctx)
			if err == nil {
				_ = p.places.Keep(mark(a), d.Raw()) // else it is asked again
				err = enlist(p.registry, a, made, made.Concurrency(), "", nil)
			}
			mu.Lock()
			errs[name] = err
			mu.Unlock()
		})
	}
	group.Wait()
	return errs
}

// everybody wants every agent.
func everybody(string) bool { return true }
