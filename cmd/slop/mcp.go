package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/slopstudios/slop/cmd/slop/inputs"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/mcp"
)

type mcpCmd struct {
	List    mcpListCmd    `cmd:"" help:"Start the MCP servers of slop.toml and list their tools anew."`
	Inspect mcpInspectCmd `cmd:"" help:"Show a tool: how it is called, and what its server says of it."`
	Call    mcpCallCmd    `cmd:"" help:"Call a tool once."`
	Serve   mcpServeCmd   `cmd:"" help:"Offer the flows of this project as tools to others."`
}

// trusted opens the project where one stands, whose servers may be started.
func (c *console) trusted(trust bool) (*project, error) {
	pr, err := openProject("")
	if err != nil {
		return nil, err
	}
	if err := c.trust(pr, trust); err != nil {
		return nil, err
	}
	return pr, nil
}

// server finds a configured server.
func (p *project) server(name string) (*mcp.Server, error) {
	if s := p.servers[name]; s != nil {
		return s, nil
	}
	known := p.config.Servers()
	switch near, ok := diag.Nearest(name, known); {
	case len(known) == 0:
		return nil, usage("slop.toml names no MCP server; write one under [mcp.%s] (slop help mcp)", name)
	case ok:
		return nil, usage("slop.toml names no MCP server %q, did you mean %q?", name, near)
	default:
		return nil, usage("slop.toml names no MCP server %q; it names: %s", name, strings.Join(known, ", "))
	}
}

type mcpListCmd struct {
	JSON  bool     `name:"json" help:"Print the servers and tools as JSON."`
	Trust bool     `help:"Trust the slop.toml that counts here, and remember it."`
	Names []string `arg:"" optional:"" name:"server" help:"Servers of slop.toml; all if none is given."`
}

type serverReport struct {
	Name     string       `json:"name"`
	OK       bool         `json:"ok"`
	Problem  string       `json:"problem,omitempty"`
	Server   string       `json:"server,omitempty"`
	Version  string       `json:"version,omitempty"`
	Protocol string       `json:"protocol,omitempty"`
	Tools    []toolReport `json:"tools"`
}

type toolReport struct {
	Name       string       `json:"name"` // in scripts
	Tool       string       `json:"tool"` // its server's own name
	Effect     types.Effect `json:"effect"`
	Idempotent bool         `json:"idempotent"`
	Signature  string       `json:"signature"`
	Doc        string       `json:"doc,omitempty"`
}

func (v *mcpListCmd) Run(c *console) error {
	pr, err := c.trusted(v.Trust)
	if err != nil {
		return err
	}
	defer pr.close()
	names := v.Names
	if len(names) == 0 {
		names = pr.config.Servers()
	}
	for _, name := range names {
		if _, err := pr.server(name); err != nil {
			return err
		}
	}
	if len(names) == 0 && !v.JSON {
		fmt.Fprintln(c.err, "slop.toml names no MCP server (slop help mcp)")
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	errs := pr.learn(ctx, names...)
	reports := []serverReport{}
	broken := false
	for _, name := range names {
		r := serverReport{Name: name, OK: errs[name] == nil, Tools: []toolReport{}}
		if err := errs[name]; err != nil {
			r.Problem, broken = err.Error(), true
		} else if l := pr.servers[name].Listing(); l != nil {
			r.Server, r.Version, r.Protocol = l.Server, l.Version, l.Protocol
			for _, s := range pr.servers[name].Signatures() {
				_, own, _ := strings.Cut(s.Use, ".")
				r.Tools = append(r.Tools, toolReport{s.Name, own, s.Effect, s.Idempotent, signatureText(s), s.Doc})
			}
		}
		reports = append(reports, r)
	}
	if v.JSON {
		c.printJSON(map[string]any{"servers": reports})
	} else {
		for _, r := range reports {
			c.printServer(r)
		}
	}
	if broken {
		return &exit{code: exitUnreachable}
	}
	return nil
}

func (c *console) printServer(r serverReport) {
	st := c.outStyle
	if !r.OK {
		fmt.Fprintf(c.out, "%s %s  %s\n", st.Red("✗"), st.Bold(r.Name), st.Red(screen.Inert(r.Problem)))
		return
	}
	fmt.Fprintf(c.out, "%s %s  %s\n", st.Green("✓"), st.Bold(r.Name), st.Dim(screen.Inert(strings.TrimSpace(r.Server+" "+r.Version)+", protocol "+r.Protocol+", "+plural(len(r.Tools), "tool"))))
	for _, t := range r.Tools {
		fmt.Fprintf(c.out, "  %s %s\n", pad(string(t.Effect), 5), screen.Inert(t.Signature))
		if t.Doc != "" {
			fmt.Fprintln(c.out, indent(st.Dim(screen.Inert(wrapText(t.Doc, 70))), "        "))
		}
	}
}

// tool finds what a script would call.
func (c *console) tool(ctx context.Context, pr *project, callee string) (*mcp.Server, *types.Signature, error) {
	name, _, dotted := strings.Cut(callee, ".")
	s, err := pr.server(name)
	if err != nil {
		return nil, nil, err
	}
	if s.Listing() == nil {
		if err := pr.learn(ctx, name)[name]; err != nil {
			return nil, nil, &exit{exitUnreachable, fmt.Errorf("the MCP server %s cannot be reached: %w", name, err)}
		}
	}
	signatures := s.Signatures()
	i := slices.IndexFunc(signatures, func(s types.Signature) bool { return s.Name == callee || s.Use == callee })
	if i >= 0 {
		return s, &signatures[i], nil
	}
	var known []string
	for _, s := range signatures {
		known = append(known, s.Name)
	}
	switch near, ok := diag.Nearest(callee, known); {
	case !dotted:
		return s, nil, usage("which tool of %s? %s", name, strings.Join(known, ", "))
	case ok:
		return s, nil, usage("there is no tool %q, did you mean %q?", callee, near)
	default:
		return s, nil, usage("there is no tool %q; there are: %s (slop mcp list %s asks the server anew)", callee, strings.Join(known, ", "), name)
	}
}

// oneTool names the tool that a command is about.
type oneTool struct {
	Trust bool   `help:"Trust the slop.toml that counts here, and remember it."`
	Tool  string `arg:"" help:"The tool, as scripts call it: github.search."`
}

// found is a tool of a server that runs while the command does.
type found struct {
	project   *project
	server    *mcp.Server
	signature *types.Signature
}

// with does a command's work on its tool, until Ctrl-C.
func (v oneTool) with(c *console, work func(ctx context.Context, t found) error) error {
	pr, err := c.trusted(v.Trust)
	if err != nil {
		return err
	}
	defer pr.close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	s, sig, err := c.tool(ctx, pr, v.Tool)
	if err != nil {
		return err
	}
	return work(ctx, found{pr, s, sig})
}

type mcpInspectCmd struct{ oneTool }

func (v *mcpInspectCmd) Run(c *console) error {
	return v.with(c, func(_ context.Context, t found) error {
		c.inspect(t)
		return nil
	})
}

func (c *console) inspect(f found) {
	sig := f.signature
	_, own, _ := strings.Cut(sig.Use, ".")
	l := f.server.Listing()
	i := slices.IndexFunc(l.Tools, func(t mcp.Tool) bool { return t.Name == own })
	t := l.Tools[i]
	st := c.outStyle
	fmt.Fprintf(c.out, "%s\n\n", st.Bold(screen.Inert(signatureText(*sig))))
	if t.Description != "" {
		fmt.Fprintf(c.out, "%s\n\n", screen.Inert(t.Description))
	}
	fmt.Fprintf(c.out, "server    %s\ntool      %s\neffect    %s%s\nsays      read only %v, idempotent %v%s\n", screen.Inert(l.String()), screen.Inert(own), sig.Effect,
		map[bool]string{true: ", idempotent"}[sig.Idempotent], t.ReadOnly, t.Idempotent, map[bool]string{false: " (counts with trust = true)"}[f.project.config.MCP[strings.Split(sig.Name, ".")[0]].Trust])
	for _, p := range sig.Params {
		need := ""
		if p.Required {
			need = ", must be given"
		}
		if p.Name == sig.Primary {
			need += ", the text behind the tool"
		}
		fmt.Fprintf(c.out, "argument  %s: %s%s\n", screen.Inert(p.Name), screen.Inert(p.Type.String()), need)
		if p.Doc != "" {
			fmt.Fprintln(c.out, indent(st.Dim(screen.Inert(wrapText(p.Doc, 70))), "            "))
		}
	}
	fmt.Fprintf(c.out, "gives     %s\n", screen.Inert(sig.Result.String()))
	for _, schema := range []struct {
		name string
		raw  json.RawMessage
	}{{"input", t.Input}, {"output", t.Output}} {
		if len(schema.raw) > 0 {
			var v any
			_ = json.Unmarshal(schema.raw, &v)
			text, _ := json.MarshalIndent(v, "  ", "  ")
			fmt.Fprintf(c.out, "\nschema of its %s\n  %s\n", schema.name, screen.Inert(string(text)))
		}
	}
}

type mcpCallCmd struct {
	oneTool
	Args []string `arg:"" optional:"" name:"argument" help:"Its arguments as name=value, or its text alone; @path reads a value from a file."`
}

func (v *mcpCallCmd) Run(c *console) error {
	return v.with(c, func(ctx context.Context, t found) error { return v.call(ctx, c, t) })
}

func (v *mcpCallCmd) call(ctx context.Context, c *console, t found) error {
	args, err := v.arguments(t.signature)
	if err != nil {
		return err
	}
	call := &agent.Call{Callee: t.signature, Args: args, Secret: t.project.secret, Emit: func(p agent.Progress) {
		if p.Note != "" {
			fmt.Fprintln(c.err, c.style.Dim(screen.Inert(p.Note)))
		}
	}}
	reply := t.server.Call(ctx, call)
	for reply.Outcome == run.Asks && c.asks {
		q := &run.Asked{Path: run.Path(v.Tool), Form: *reply.Form}
		value, _, ok := c.askFor(q)
		if !ok {
			break
		}
		call.Answer = &run.Answer{Token: reply.Token, Value: value}
		reply = t.server.Call(ctx, call)
	}
	switch {
	case reply.Outcome == run.Asks:
		return &exit{exitWaiting, errors.New("a person must answer and there is no terminal: " + screen.OneLine(reply.Form.Text, 300))}
	case reply.Outcome != "":
		return &exit{exitFailed, fmt.Errorf("%s (%s)", reply.Message, reply.Outcome)}
	}
	return c.printAnswer(reply.Value)
}

// printAnswer prints what a tool gave: a text as it is, a file's bytes where that is no terminal, anything else as JSON.
func (c *console) printAnswer(v any) error {
	switch v := v.(type) {
	case string:
		fmt.Fprintln(c.out, c.shown(v))
		return nil
	case types.FileValue:
		if c.outTerminal {
			fmt.Fprintf(c.out, "%s, %s, %d bytes: redirect standard output to have it\n", v.Name, v.Type, v.Size)
			return nil
		}
		_, err := c.out.Write(v.Data)
		return err
	}
	c.printJSON(v)
	return nil
}

// shown is a text of the world as a terminal may have it.
func (c *console) shown(text string) string {
	if c.outTerminal {
		return screen.Inert(text)
	}
	return text
}

// arguments reads those of the command line as the tool's types want them.
func (v *mcpCallCmd) arguments(sig *types.Signature) (map[string]any, error) {
	var want []plan.Input
	for _, p := range sig.Params {
		in := plan.Input{Name: p.Name, Type: p.Type}
		if !p.Required {
			in.Type.Optional = true
		}
		want = append(want, in)
	}
	given := slices.Clone(v.Args)
	for i, arg := range given {
		name, _, pair := strings.Cut(arg, "=")
		named := slices.ContainsFunc(sig.Params, func(p types.Param) bool { return p.Name == name })
		if sig.Primary != "" && !(pair && named) && len(given) == 1 {
			given[i] = sig.Primary + "=" + arg
		}
	}
	values, err := inputs.Read(want, given, nil)
	if err != nil {
		return nil, usage("%s\n  see: slop mcp inspect %s", err, sig.Name)
	}
	args := map[string]any{}
	for name, value := range values {
		if value != nil {
			args[name] = value
		}
	}
	return args, nil
}
