package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
)

// compileIn is lang.CompileTests in a project. Where the script calls tools of an MCP server that nobody has listed yet, or a program that has not said yet what
// it can do, that is started once, if its slop.toml is trusted, and what it says is kept: after that a script is checked without it.
func (c *console) compileIn(pr *project, src *source.File) (*plan.Plan, []plan.Test, diag.List) {
	return c.compileWith(pr, func() (*plan.Plan, []plan.Test, diag.List) { return pr.compile(src) })
}

func (c *console) compileWith(pr *project, compile func() (*plan.Plan, []plan.Test, diag.List)) (*plan.Plan, []plan.Test, diag.List) {
	p, tests, diags := compile()
	if !diags.HasErrors() {
		return p, tests, diags
	}
	named := func(name string) bool {
		return slices.ContainsFunc(diags, func(d diag.Diagnostic) bool { return names(d, name) })
	}
	wanted, programs, models := pr.unlisted(diags), pr.strangers(named), pr.waitsFor(named)
	if len(wanted)+len(programs)+len(models) == 0 {
		return p, tests, diags
	}
	defer func() { pr.adviseModels(diags) }()
	if len(untrusted(pr)) > 0 {
		advise(diags, programs, "%s is a program that has not said yet what it can do: trust the slop.toml that names it (slop help configuration)")
		advise(diags, wanted, "what the MCP server %s offers is not known yet: trust the slop.toml that names it (slop help configuration), then  slop mcp list %s")
		return p, tests, diags
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	wanted = append(wanted, models...)
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	waited := len(pr.ungranted)
	for name, err := range pr.admit(ctx, wanted...) {
		if err != nil {
			fmt.Fprintf(c.err, "%s: MCP server %s: %s\n", c.style.Yellow("warning"), name, screen.Inert(err.Error()))
			advise(diags, []string{name}, "what the MCP server %s offers is not known: it cannot be reached (slop mcp list %s)")
		}
	}
	for name, err := range pr.describe(ctx, programs...) {
		if err != nil {
			fmt.Fprintf(c.err, "%s: agent %s: %s\n", c.style.Yellow("warning"), name, screen.Inert(err.Error()))
			advise(diags, []string{name}, "%s is in slop.toml, but it is no agent yet: slop agent test tells more about a program")
		}
	}
	wanted = append(wanted, programs...)
	again := slices.DeleteFunc(wanted, func(name string) bool { return !slices.Contains(pr.registry.Agents(), name) })
	if len(again) == 0 && len(pr.ungranted) == waited {
		return p, tests, diags
	}
	p, tests, diags = compile()
	return p, tests, diags
}

// adviseModels adds what can be done to messages about models whose tools are not known.
func (p *project) adviseModels(diags diag.List) {
	for name, w := range p.ungranted {
		text := describeFault(w.why)
		if w.why == nil {
			text = "%s is in slop.toml, and what it may use of the MCP server " + strings.Join(w.servers, ", ") + " is not known: it cannot be reached (slop mcp list " + strings.Join(w.servers, " ") + ")"
			if len(untrusted(p)) > 0 {
				text = "%s may use tools of the MCP server " + strings.Join(w.servers, ", ") + ", which are not known yet: trust the slop.toml that names it (slop help configuration), then  slop mcp list"
			}
		}
		advise(diags, []string{name}, text)
	}
}

// describeFault is a mistake in slop.toml on one line.
func describeFault(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	var fault *config.Error
	if errors.As(err, &fault) {
		if fault.Label != "" {
			text += ", " + fault.Label
		}
		if len(fault.Help) > 0 {
			text += "; " + strings.Join(fault.Help, "; ")
		}
	}
	return text
}

// advise adds what can be done to messages about agents of some servers.
func advise(diags diag.List, servers []string, format string) {
	for i := range diags {
		for _, name := range servers {
			if names(diags[i], name) {
				diags[i].Help = []string{strings.ReplaceAll(format, "%s", name)}
				diags[i].Label = ""
			}
		}
	}
}

// names reports whether a message is about an agent of a server.
func names(d diag.Diagnostic, server string) bool {
	return (d.Code == "E0102" || d.Code == "E0208") && (strings.Contains(d.Message, "`"+server+".") || strings.Contains(d.Message, "`"+server+"`"))
}

// unlisted are the servers that messages are about and whose tools are not known.
func (p *project) unlisted(diags diag.List) []string {
	var out []string
	for _, name := range p.config.Servers() {
		if p.servers[name].Listing() == nil && slices.ContainsFunc(diags, func(d diag.Diagnostic) bool { return names(d, name) }) {
			out = append(out, name)
		}
	}
	return out
}

// learn starts servers and lists their tools, all at once, and registers those that were not known.
func (p *project) learn(ctx context.Context, servers ...string) map[string]error {
	errs := map[string]error{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for _, name := range servers {
		group.Go(func() {
			_, err := p.servers[name].Learn(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && !slices.Contains(p.registry.Agents(), name) {
				err = p.enlist(p.registry, name)
			}
			errs[name] = err
		})
	}
	group.Wait()
	return errs
}

// ready makes the tools that a plan calls known, where the listing that it was planned with is gone.
func (p *project) ready(ctx context.Context, pl *plan.Plan) {
	wanted, called := map[string]bool{}, map[string]bool{}
	for _, callee := range pl.Callees {
		name, _, _ := strings.Cut(callee.Name, ".")
		called[name] = true
		if s := p.servers[name]; s != nil && s.Listing() == nil {
			wanted[name] = true
		}
	}
	for _, callee := range pl.Callees {
		for _, t := range callee.Tools {
			name, _, _ := strings.Cut(t.Name, ".")
			if s := p.servers[name]; s != nil && s.Listing() == nil {
				wanted[name] = true
			}
		}
	}
	if len(wanted) > 0 {
		p.admit(ctx, slices.Sorted(maps.Keys(wanted))...) // a call of one that cannot be reached says so
	}
	p.describe(ctx, p.strangers(func(name string) bool { return called[name] })...)
}

// close ends the MCP servers that were started.
func (p *project) close() {
	if p == nil {
		return
	}
	var group sync.WaitGroup
	for _, s := range p.servers {
		group.Go(func() { _ = s.Close() })
	}
	group.Wait()
}
