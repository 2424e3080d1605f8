package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/runtime/agent"
)

// examined is what slop doctor found out about an agent.
type examined struct {
	Name       string          `json:"name"`
	Configured bool            `json:"configured"` // in slop.toml; a built-in agent that nobody configured may well be of no use here
	OK         bool            `json:"ok"`
	Findings   []agent.Finding `json:"findings"`
}

// examineAgents looks at every agent of the project at once, or closely at the one named.
func (c *console) examineAgents(ctx context.Context, pr *project, only string) ([]examined, error) {
	names := pr.registry.Agents()
	for _, name := range slices.Concat(pr.config.Servers(), slices.Sorted(maps.Keys(pr.programs)), slices.Sorted(maps.Keys(pr.ungranted))) {
		if !slices.Contains(names, name) { // nobody knows yet what it can do
			names = append(names, name)
		}
	}
	slices.Sort(names)
	defer pr.close()
	if only != "" {
		if owner, _, ok := pr.registry.Owner(only); ok {
			only = owner // http.get is of http
		}
		if !slices.Contains(names, only) {
			if near, ok := diag.Nearest(only, names); ok {
				return nil, usage("there is no agent %q, did you mean %q?", only, near)
			}
			return nil, usage("there is no agent %q; there are: %s", only, strings.Join(names, ", "))
		}
		names = []string{only}
	}
	among := func(name string) bool { return slices.Contains(names, name) }
	strange := pr.describe(ctx, pr.strangers(among)...)
	if servers := pr.waitsFor(among); len(servers) > 0 {
		pr.admit(ctx, servers...)
	}
	results := make([]*examined, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			found, nothing := pr.registry.Examine(ctx, name)
			if s := pr.servers[name]; s != nil {
				found, nothing = nil, false // it may take longer to start than an agent to be looked at
				s.Examine(ctx, func(f agent.Finding) { found = append(found, f) })
			}
			if w, ok := pr.ungranted[name]; ok {
				said := "what it may use of " + strings.Join(w.servers, ", ") + " is not known: the server cannot be reached"
				if w.why != nil {
					said = describeFault(w.why)
				}
				found, nothing = []agent.Finding{{What: "tools", Said: said, Wrong: true, Mend: "see slop mcp list " + strings.Join(w.servers, " ")}}, false
			}
			if _, sig, ok := pr.registry.Lookup(name); ok && len(sig.Tools) > 0 && !nothing {
				found = append(found, agent.Finding{What: "granted", Said: fmt.Sprintf("%s (effect %s)", some(toolNames(sig), 12), sig.Effect)})
			}
			if why := strange[name]; why != nil {
				found, nothing = []agent.Finding{{What: "hello", Said: why.Error(), Wrong: true, Mend: "slop agent test tells more about a program"}}, false
			}
			if nothing && only == "" {
				return
			}
			wrong := func(f agent.Finding) bool { return f.Wrong }
			if only != "" && !slices.ContainsFunc(found, wrong) {
				found = append(found, pr.registry.Probe(ctx, name)...)
			}
			_, configured := pr.config.Agents[name]
			configured = configured || pr.servers[name] != nil
			results[i] = &examined{Name: name, Configured: configured, OK: !slices.ContainsFunc(found, wrong), Findings: found}
		})
	}
	group.Wait()
	var all []examined
	for _, r := range results {
		if r != nil {
			all = append(all, *r)
		}
	}
	return all, nil
}

// printExamined shows what was found, and reports whether an agent that somebody counts on cannot be called.
func (c *console) printExamined(all []examined, only bool) (broken bool) {
	st := c.outStyle
	width := 0
	for _, r := range all {
		width = max(width, len(r.Name))
	}
	for _, r := range all {
		counts := r.Configured || only
		sign := st.Green("✓")
		switch {
		case !r.OK && counts:
			sign, broken = st.Red("✗"), true
		case !r.OK:
			sign = st.Dim("-")
		}
		if r.OK && !only {
			var said []string
			for _, f := range r.Findings {
				said = append(said, screen.Inert(f.Said))
			}
			fmt.Fprintf(c.out, "%s %s  %s\n", sign, pad(r.Name, width), st.Dim(strings.Join(said, ", ")))
			continue
		}
		for i, f := range r.Findings {
			if !only && !f.Wrong {
				continue
			}
			begin := sign + " " + pad(r.Name, width) + "  "
			if only && i > 0 {
				begin = strings.Repeat(" ", width+4)
			}
			text := f.What + ": " + screen.Inert(f.Said)
			switch {
			case f.Wrong && counts:
				text = st.Red(text)
			case f.Wrong:
				text = st.Dim(text)
			}
			fmt.Fprintf(c.out, "%s%s\n", begin, text)
			if f.Mend != "" {
				fmt.Fprintf(c.out, "%s%s\n", strings.Repeat(" ", width+4), st.Dim("→ "+screen.Inert(f.Mend)))
			}
		}
		if len(r.Findings) == 0 {
			fmt.Fprintf(c.out, "%s %s  %s\n", sign, pad(r.Name, width), st.Dim("needs nothing"))
		}
	}
	return broken
}
