package main

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/types"
)

type agentsCmd struct {
	JSON   bool   `name:"json" help:"Print the agents as JSON."`
	Folder string `arg:"" optional:"" help:"The folder or script whose slop.toml counts; the one you stand in if not given."`
}

type agentReport struct {
	Name      string       `json:"name"`
	Use       string       `json:"use"`
	Effect    types.Effect `json:"effect"`
	Signature string       `json:"signature"`
	Doc       string       `json:"doc,omitempty"`
	Model     string       `json:"model,omitempty"`
	Health    string       `json:"health"` // ok, problem, unchecked
	Problem   string       `json:"problem,omitempty"`
	Price     *types.Price `json:"price"`
}

func (v *agentsCmd) Run(c *console) error {
	script := ""
	if v.Folder != "" {
		script = v.Folder
		if !strings.HasSuffix(script, ".slop") {
			script += "/."
		}
	}
	pr, err := openProject(script)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	strange := untrusted(pr)
	if len(strange) == 0 {
		pr.registry.Check(ctx)
	}
	var reports []agentReport
	for _, name := range pr.registry.Names() {
		_, sig, _ := pr.registry.Lookup(name)
		r := agentReport{
			Name: name, Use: sig.Use, Effect: sig.Effect, Signature: signatureText(*sig), Doc: sig.Doc, Model: modelOf(*sig),
			Health: "unchecked", Price: sig.Price,
		}
		owner, _, _ := pr.registry.Owner(name)
		if health, can := pr.registry.Health(owner); !can {
			r.Health = "ok"
		} else if !health.Checked.IsZero() {
			r.Health = "ok"
			if health.Err != nil {
				r.Health, r.Problem = "problem", health.Err.Error()
			}
		}
		reports = append(reports, r)
	}
	if v.JSON {
		c.printJSON(map[string]any{"agents": reports})
		return nil
	}
	st := c.outStyle
	for _, r := range reports {
		sign := st.Green("✓")
		switch r.Health {
		case "problem":
			sign = st.Red("✗")
		case "unchecked":
			sign = st.Yellow("?")
		}
		fmt.Fprintf(c.out, "%s %s  %s\n", sign, pad(string(r.Effect), 5), st.Bold(r.Signature))
		if r.Use != r.Name || r.Model != "" {
			text := "served by " + r.Use
			if r.Model != "" {
				text += ", model " + r.Model
			}
			fmt.Fprintln(c.out, "         "+st.Dim(text))
		}
		if r.Doc != "" {
			fmt.Fprintln(c.out, indent(st.Dim(wrapText(r.Doc, 70)), "         "))
		}
		if r.Problem != "" {
			fmt.Fprintln(c.out, indent(st.Red(wrapText(screen.Inert(r.Problem), 70)), "         "))
		}
	}
	for _, f := range strange {
		fmt.Fprintf(c.err, "%s is not trusted yet, so no agent was checked (slop help configuration)\n", f.Source.Name)
	}
	return nil
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-len(s))) }

// signatureText is a callee as it is written in a script: claude "prompt" (model: string, …) -> string.
func signatureText(s types.Signature) string {
	var b strings.Builder
	b.WriteString(s.Name)
	var args []string
	for _, p := range s.Params {
		if p.Name == s.Primary {
			continue
		}
		arg := p.Name + ": " + p.Type.String()
		if !p.Required && !p.Type.Optional { // it has a default
			arg += "?"
		}
		args = append(args, arg)
	}
	if len(args) > 0 {
		b.WriteString("(" + strings.Join(args, ", ") + ")")
	}
	if s.Primary != "" {
		b.WriteString(" \"" + s.Primary + "\"")
	}
	b.WriteString(" -> ")
	switch {
	case s.Structured:
		b.WriteString(s.Result.String() + ", or what `as` asks for")
	default:
		b.WriteString(s.Result.String())
	}
	return strings.ReplaceAll(b.String(), " or nothing", "?")
}
