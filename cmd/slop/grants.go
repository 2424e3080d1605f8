package main

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
)

// A model that is granted tools of MCP servers cannot be registered before these have listed them: what the tools do is part of what the model does. Like the
// tools themselves it becomes known when a script names it, at the latest.

const (
	defaultRounds = 8
	maxGranted    = 128 // tools of one model: more than providers take
)

// ungranted is a model that is not registered.
type ungranted struct {
	servers []string // whose tools it is granted
	why     error    // nil: they have not been listed
}

// ownServers are the MCP servers whose tools an agent is granted.
func ownServers(a config.Agent) []string {
	servers := map[string]bool{}
	for _, g := range a.Grants {
		name, _, _ := strings.Cut(g, ".")
		servers[name] = true
	}
	return slices.Sorted(maps.Keys(servers))
}

// grantable reports what slop.toml says of the tools of an agent and cannot be.
func (p *project) grantable(a config.Agent) error {
	tools := strings.Join(a.Grants, ", ")
	switch {
	case a.ToolRounds > 0 && len(a.Grants) == 0:
		return a.Fault("tool_rounds", fmt.Sprintf("`tool_rounds` says how often %s may use tools, and it is granted none", a.Name), "", `grant them: tools = ["github.search", "files.*"]`)
	case len(a.Tools) > 0 && a.Use != "claude":
		return a.Fault("tools", fmt.Sprintf("`%s` is no tool of an MCP server", a.Tools[0]), "", `write the server's name and the tool's: tools = ["github.search", "files.*"]`)
	case len(a.Grants) > 0 && len(a.Tools) > 0:
		return a.Fault("tools", fmt.Sprintf("`%s` is of the claude program, %s of MCP servers", a.Tools[0], tools), "the API uses the latter, the program the former", "make two agents of it")
	case len(a.Grants) > 0 && (a.Prefer == "cli" || a.Folder != "" || a.Permissions == "ask" || len(a.Settings) > 0):
		return a.Fault("tools", fmt.Sprintf("%s: tools of MCP servers are used through the API, and `folder`, `permissions`, `settings` and prefer = \"cli\" are about the claude program", tools), "", "make two agents of it")
	}
	for _, name := range ownServers(a) {
		if _, ok := p.config.MCP[name]; ok {
			continue
		}
		label, servers := "", p.config.Servers()
		if near, ok := diag.Nearest(name, servers); ok {
			label = fmt.Sprintf("did you mean `%s`?", near)
		}
		help := "slop.toml names no MCP server (slop help mcp)"
		if len(servers) > 0 {
			help = "there are: " + strings.Join(servers, ", ")
		}
		return a.Fault("tools", fmt.Sprintf("%s: there is no MCP server `%s`", tools, name), label, help)
	}
	return nil
}

// granted are the tools that slop.toml grants an agent, by name. listed: every server has told what it has.
func (p *project) granted(a config.Agent) (tools []types.Tool, listed bool, err error) {
	found := map[string]types.Tool{}
	for _, g := range a.Grants {
		name, pattern, _ := strings.Cut(g, ".")
		s := p.servers[name]
		if s.Listing() == nil {
			return nil, false, nil
		}
		var known []string
		before := len(found)
		matched := false
		for _, sig := range s.Signatures() {
			_, called, _ := strings.Cut(sig.Name, ".")
			_, own, _ := strings.Cut(sig.Use, ".")
			known = append(known, sig.Name)
			for _, n := range []string{called, own} {
				if ok, _ := path.Match(pattern, n); ok {
					matched = true
					found[sig.Name] = sig.AsTool()
				}
			}
		}
		if !matched {
			label := ""
			if near, ok := diag.Nearest(g, known); ok {
				label = fmt.Sprintf("did you mean `%s`?", near)
			}
			help := fmt.Sprintf("it has none that may be called (slop mcp list %s)", name)
			if len(known) > 0 {
				help = "it has: " + some(known, 12) + fmt.Sprintf(" (slop mcp list %s asks it anew)", name)
			}
			return nil, true, a.Fault("tools", fmt.Sprintf("the MCP server %s has no tool `%s`", name, g), label, help)
		}
		if len(found) > maxGranted {
			return nil, true, a.Fault("tools", fmt.Sprintf("`%s` grants %d tools more: a model is given at most %d", g, len(found)-before, maxGranted), "", "name those that it needs")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		tools = append(tools, found[name])
	}
	return tools, true, nil
}

// some names the first few of many.
func some(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %d more", len(names)-n)
}

// grant registers an agent with its tools, or notes why it is not.
func (p *project) grant(r *agent.Registry, a config.Agent) error {
	tools, listed, err := p.granted(a)
	if err != nil || !listed {
		p.ungranted[a.Name] = ungranted{ownServers(a), err}
		return nil
	}
	delete(p.ungranted, a.Name)
	return p.register(r, a, tools)
}

// settle registers the models that waited for servers which have been listed meanwhile.
func (p *project) settle() {
	for _, name := range slices.Sorted(maps.Keys(p.ungranted)) {
		if err := p.grant(p.registry, p.config.Agents[name]); err != nil {
			p.ungranted[name] = ungranted{ownServers(p.config.Agents[name]), err}
		}
	}
}

// waitsFor are the servers that have to be listed, or listed anew, before the models that are wanted are known.
func (p *project) waitsFor(wanted func(name string) bool) (servers []string) {
	for _, name := range slices.Sorted(maps.Keys(p.ungranted)) {
		if w := p.ungranted[name]; wanted(name) {
			for _, s := range w.servers {
				if w.why != nil || p.servers[s].Listing() == nil {
					servers = append(servers, s)
				}
			}
		}
	}
	slices.Sort(servers)
	return slices.Compact(servers)
}

// admit lists servers and registers the models that waited for them. A server that had been listed may have other tools now: then all is registered anew.
func (p *project) admit(ctx context.Context, servers ...string) map[string]error {
	anew := slices.ContainsFunc(servers, func(name string) bool { return p.servers[name].Listing() != nil })
	errs := p.learn(ctx, servers...)
	if anew {
		p.close()
		if registry, err := agents(p); err == nil {
			p.registry = registry
		}
		return errs
	}
	p.settle()
	return errs
}

// tooled puts the tools that are granted into a signature. A model does what the strongest of them does.
func tooled(s *types.Signature, a config.Agent, tools []types.Tool) {
	if len(tools) == 0 {
		return
	}
	s.Tools, s.Rounds = tools, a.ToolRounds
	if s.Rounds == 0 {
		s.Rounds = defaultRounds
	}
	var parts []string
	for _, t := range tools {
		parts = append(parts, t.Name, t.Version)
		if t.Effect == types.Do {
			s.Effect = types.Do
		}
	}
	s.Version += "+" + agent.Account(parts...)[:12] // another tool, another answer: it is part of cache keys
}

// toolNames are what a model may use.
func toolNames(s *types.Signature) []string {
	var names []string
	for _, t := range s.Tools {
		names = append(names, t.Name)
	}
	return names
}
