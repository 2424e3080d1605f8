package main

import (
	"context"
	"fmt"
	"maps"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
)

type agentsCmd struct {
	JSON   bool   `name:"json" help:"Print the agents as JSON."`
	Folder string `arg:"" optional:"" help:"The folder or script whose slop.toml counts; the one you stand in if not given."`
}

type agentReport struct {
	Name       string         `json:"name"`
	Use        string         `json:"use"`
	Agent      string         `json:"agent"` // whose limits and health it shares
	Kind       types.CallKind `json:"kind"`
	Effect     types.Effect   `json:"effect"`
	Idempotent bool           `json:"idempotent"`
	Free       bool           `json:"free"`
	Text       types.TextKind `json:"text"` // what kind of text stands after it; empty: none
	Signature  string         `json:"signature"`
	Params     []paramReport  `json:"params"`
	Result     string         `json:"result"`
	Structured bool           `json:"structured"` // takes `as T`
	Doc        string         `json:"doc,omitempty"`
	Model      string         `json:"model,omitempty"`
	Tools      []string       `json:"tools,omitempty"` // that a model may use by itself
	Price      *types.Price   `json:"price"`
	Limits     limitReport    `json:"limits"`
	Status     string         `json:"status"` // available, busy, degraded, offline; unchecked when slop.toml is not trusted
	Reason     string         `json:"reason,omitempty"`
	Checked    *time.Time     `json:"checked"` // null: it has nothing to check, or was not
	Calls      int64          `json:"calls"`   // in this process
	Failures   int64          `json:"failures"`
}

type paramReport struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Required bool   `json:"required"`
	Secret   bool   `json:"secret"` // may hold secrets
	Doc      string `json:"doc,omitempty"`
}

// limitReport bounds calls; 0 is no bound.
type limitReport struct {
	Parallel  int    `json:"parallel"`
	PerSecond int    `json:"perSecond"`
	PerMinute int    `json:"perMinute"`
	Shared    string `json:"shared,omitempty"` // with whom parallel is shared
}

const unchecked = "unchecked"

// reportOf says what is known of a callee.
func reportOf(r *agent.Registry, name string, trusted bool) agentReport {
	_, sig, _ := r.Lookup(name)
	owner, limits, _ := r.Owner(name)
	health, _ := r.Health(owner)
	report := agentReport{
		Name: name, Use: sig.Use, Agent: owner, Kind: sig.Kind, Effect: sig.Effect, Idempotent: sig.Idempotent, Free: sig.Free, Text: sig.Text,
		Signature: signatureText(*sig), Params: []paramReport{}, Result: sig.Result.String(), Structured: sig.Structured, Doc: sig.Doc, Model: modelOf(*sig), Price: sig.Price, Tools: toolNames(sig),
		Limits: limitReport{limits.Limit, limits.PerSecond, limits.PerMinute, limits.Shared},
		Status: string(health.Status), Reason: health.Reason, Calls: health.Calls, Failures: health.Failures,
	}
	for _, p := range sig.Params {
		report.Params = append(report.Params, paramReport{p.Name, p.Type.String(), p.Required, p.Secret, p.Doc})
	}
	switch {
	case !health.Checked.IsZero():
		at := health.Checked.UTC()
		report.Checked = &at
	case r.Checks(owner) && !trusted:
		report.Status = unchecked
	}
	return report
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
	unknown := map[string]error{}
	if len(strange) == 0 {
		unknown = pr.describe(ctx, pr.strangers(everybody)...)
		pr.registry.Check(ctx)
	}
	var reports []agentReport
	for _, name := range pr.registry.Names() {
		reports = append(reports, reportOf(pr.registry, name, len(strange) == 0))
	}
	for _, name := range pr.strangers(everybody) {
		r := agentReport{Name: name, Use: program, Agent: name, Kind: types.Call, Effect: types.Do, Signature: name, Params: []paramReport{}, Status: unchecked}
		if why := unknown[name]; why != nil {
			r.Status, r.Reason = string(agent.Offline), why.Error()
		}
		reports = append(reports, r)
	}
	for _, name := range slices.Sorted(maps.Keys(pr.ungranted)) {
		w := pr.ungranted[name]
		r := agentReport{Name: name, Use: pr.config.Agents[name].Use, Agent: name, Kind: types.Call, Effect: types.Do, Signature: name, Params: []paramReport{}, Status: unchecked}
		if r.Reason = "what it may use of " + strings.Join(w.servers, ", ") + " is not known (slop mcp list)"; w.why != nil {
			r.Status, r.Reason = string(agent.Offline), describeFault(w.why)
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
		switch r.Status {
		case string(agent.Offline):
			sign = st.Red("✗")
		case string(agent.Busy), string(agent.Degraded):
			sign = st.Yellow("!")
		case unchecked:
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
		if len(r.Tools) > 0 {
			fmt.Fprintln(c.out, indent(st.Dim(wrapText("may use "+some(r.Tools, 12), 70)), "         "))
		}
		if r.Reason != "" {
			fmt.Fprintln(c.out, indent(st.Red(wrapText(screen.Inert(r.Status+": "+r.Reason), 70)), "         "))
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
