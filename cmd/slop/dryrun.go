package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/inputs"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/graph"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// dryRun shows what a run would do, as far as it can be known before any answer, and calls nothing.
func (c *console) dryRun(p *plan.Plan, values inputs.Values, o run.Options) error {
	st, w := c.outStyle, c.out
	fmt.Fprintf(w, "%s\n\n", st.Bold("A dry run of "+p.Name+": nothing is called."))
	fmt.Fprintf(w, "%s\n\n%s\n", st.Bold("Graph"), indent(strings.TrimRight(graph.ASCII(p), "\n"), "  "))

	if len(p.Inputs) > 0 {
		fmt.Fprintf(w, "\n%s\n\n", st.Bold("Inputs"))
		for _, in := range p.Inputs {
			v, known := values[in.Name]
			switch {
			case known:
				fmt.Fprintf(w, "  %s = %s\n", in.Name, screen.OneLine(shortValue(v), 100))
			case in.Default != nil:
				fmt.Fprintf(w, "  %s = %s %s\n", in.Name, screen.OneLine(string(in.Default), 100), st.Dim("(default)"))
			default:
				fmt.Fprintf(w, "  %s %s\n", in.Name, st.Yellow("not given"))
			}
		}
	}
	fmt.Fprintf(w, "\n%s\n", st.Bold("Calls"))
	d := dry{c: c, plan: p, known: make([]map[string]any, len(p.Blocks))}
	d.learn(values)
	d.block(0, "")
	if !d.any {
		fmt.Fprintln(w, "\n  none")
	}

	fmt.Fprintf(w, "\n%s\n\n", st.Bold("Agents"))
	for _, s := range p.Callees {
		line := fmt.Sprintf("  %-16s %-6s", s.Name, s.Effect)
		if s.Use != s.Name {
			line += " served by " + s.Use
		}
		if m := modelOf(s); m != "" {
			line += " model " + m
		}
		fmt.Fprintln(w, strings.TrimRight(line, " ")+priceWords(s, s.PriceOf("")))
	}

	worst := plan.Worst(p)
	fmt.Fprintf(w, "\n%s\n\n  %s\n", st.Bold("Worst case"), worstWords(worst, p.Callees))
	for _, b := range append(append([]plan.Amount{}, p.Budget...), o.Budget...) {
		fmt.Fprintf(w, "  budget: %s\n", b)
	}
	if o.Timeout > 0 {
		fmt.Fprintf(w, "  timeout: %s\n", o.Timeout)
	}
	if len(p.Secrets) > 0 {
		fmt.Fprintf(w, "  secrets: %s\n", strings.Join(p.Secrets, ", "))
	}
	return nil
}

// priceWords is what a model costs, in words that stand behind it.
func priceWords(s types.Signature, price *types.Price) string {
	switch {
	case price != nil:
		return fmt.Sprintf(" ($%g in, $%g out per million tokens)", price.Input, price.Output)
	case s.Effect == types.Think && !s.Free:
		return " (price unknown)"
	}
	return ""
}

func worstWords(w plan.WorstCase, callees []types.Signature) string {
	calls := "up to " + plural(int(w.Calls), "call")
	if w.Calls == 0 && w.CallsKnown {
		return "no calls that cost anything"
	}
	if !w.CallsKnown {
		calls = fmt.Sprintf("up to %s for each item of its lists; how many items there are only the run knows", plural(int(w.Calls), "call"))
	}
	priced := slices.ContainsFunc(callees, func(s types.Signature) bool { return s.Price != nil || s.Effect == types.Think && !s.Free })
	switch {
	case !priced:
		return calls + ", none with a price"
	case w.MoneyKnown:
		return calls + ", about " + screen.Dollars(int64(w.Money))
	case w.Money > 0:
		return calls + ", at least " + screen.Dollars(int64(w.Money)) + "; not every price is known"
	}
	return calls + "; the cost is unknown"
}

func modelOf(s types.Signature) string {
	var defaults struct {
		Model string `json:"model"`
	}
	_ = json.Unmarshal(s.Defaults, &defaults) // absent: no model is configured
	return defaults.Model
}

func shortValue(v any) string {
	if f, ok := v.(types.FileValue); ok {
		return f.Name
	}
	if list, ok := v.([]any); ok && len(list) > 0 {
		if _, ok := list[0].(types.FileValue); ok {
			names := make([]string, len(list))
			for i, e := range list {
				f, _ := e.(types.FileValue)
				names[i] = f.Name
			}
			return strings.Join(names, ", ")
		}
	}
	text, err := eval.Render(v)
	if err != nil {
		return "…"
	}
	return text
}

// dry walks a plan with the values that are known before anything is called.
type dry struct {
	c     *console
	plan  *plan.Plan
	known []map[string]any // by block
	any   bool
}

// learn finds the values of inputs and of every `let` that follows from them.
func (d *dry) learn(values inputs.Values) {
	for i := range d.known {
		d.known[i] = map[string]any{}
	}
	for _, in := range d.plan.Inputs {
		if v, ok := values[in.Name]; ok {
			d.known[0][in.Name] = v
		} else if in.Default != nil {
			if v, err := eval.FromJSON(in.Default); err == nil {
				d.known[0][in.Name] = v
			}
		} else if !in.Required {
			d.known[0][in.Name] = nil
		}
	}
	for again := true; again; {
		again = false
		for b := range d.plan.Blocks {
			for _, n := range d.plan.Blocks[b].Nodes {
				if n.Kind != plan.LetNode || n.Expr == nil {
					continue
				}
				if _, done := d.known[b][n.Name]; done {
					continue
				}
				if v, ok := d.value(b, *n.Expr); ok {
					d.known[b][n.Name] = v
					again = true
				}
			}
		}
	}
}

// value computes an expression of block b when all it mentions is known.
func (d *dry) value(b int, e plan.Expr) (any, bool) {
	env := map[string]any{}
	for _, r := range e.Refs {
		at := b
		for i := 0; i < r.Depth && at >= 0; i++ {
			at = d.plan.Blocks[at].Parent
		}
		if at < 0 {
			return nil, false
		}
		v, ok := d.known[at][r.Name]
		if !ok {
			return nil, false
		}
		env[r.Name] = v
	}
	if len(e.Path) > 0 {
		if e.Path[0] == "run" {
			return nil, false
		}
		v, err := eval.Path(env, e.Path)
		return v, err == nil
	}
	p, err := eval.Compile(e.Code)
	if err != nil || strings.Contains(e.Code, "run.") {
		return nil, false
	}
	v, err := p.Eval(env)
	return v, err == nil
}

// block lists the calls of a block, the inner ones below the step they belong to.
func (d *dry) block(b int, path string) {
	for _, n := range d.plan.Blocks[b].Nodes {
		name := n.Name
		if name == "" && b == 0 {
			name = "output"
		}
		at := strings.Trim(path+"/"+name, "/")
		switch {
		case n.Call != nil:
			d.call(b, at, n)
		case n.Group != nil:
			d.block(n.Group.Block, at)
		case n.Race != nil:
			d.block(n.Race.Block, at)
		case n.Map != nil:
			d.block(n.Map.Block, at+"[…]")
		case n.Reduce != nil:
			d.block(n.Reduce.Block, at+"^…")
		case n.Loop != nil:
			d.block(n.Loop.Block, at+"#…")
		case n.Flow != nil:
			d.block(n.Flow.Block, at)
		case n.Choice != nil:
			for i, branch := range n.Choice.Branches {
				segment := "then"
				if i > 0 {
					segment = fmt.Sprintf("elif%d", i+1)
				}
				d.block(branch.Block, at+"/"+segment)
			}
			if n.Choice.Else >= 0 {
				d.block(n.Choice.Else, at+"/else")
			}
		case n.Match != nil:
			for _, arm := range n.Match.Arms {
				d.block(arm.Block, at+"/"+armName(arm))
			}
			if n.Match.Else >= 0 {
				d.block(n.Match.Else, at+"/else")
			}
		}
		for i, f := range n.Else {
			if f.Kind != plan.BlockElse {
				continue
			}
			segment := "else"
			if i > 0 {
				segment = fmt.Sprintf("else%d", i+1)
			}
			d.block(f.Block, at+"/"+segment)
		}
	}
}

func armName(a plan.Arm) string {
	if len(a.Values) == 0 {
		return "else"
	}
	text, _ := json.Marshal(a.Values[0]) // a literal
	return string(text)
}

func (d *dry) call(b int, path string, n plan.Node) {
	d.any = true
	st, call := d.c.outStyle, n.Call
	sig := d.plan.Callees[call.Callee]
	head := fmt.Sprintf("\n  %s  %s  %s", st.Bold(path), st.Cyan(call.Agent), st.Dim(string(sig.Effect)))
	if call.Retry > 0 {
		head += st.Dim(fmt.Sprintf("  retry %d", call.Retry))
	}
	if call.As != nil {
		head += st.Dim("  as " + call.As.String())
	}
	fmt.Fprintln(d.c.out, head)
	if sig.System != "" {
		fmt.Fprintln(d.c.out, indent(st.Dim("system: ")+screen.Inert(sig.System), "      "))
	}
	for i := range call.System {
		fmt.Fprintln(d.c.out, indent(st.Dim("system: ")+screen.Inert(d.text(b, &call.System[i])), "      "))
	}
	switch {
	case call.Text != nil:
		fmt.Fprintln(d.c.out, indent(screen.Inert(d.text(b, call.Text)), "      "))
	case len(call.Words) > 0:
		words := make([]string, len(call.Words))
		for i := range call.Words {
			words[i] = d.text(b, &call.Words[i])
			if strings.ContainsAny(words[i], " \t\n'\"") {
				words[i] = "'" + strings.ReplaceAll(words[i], "'", `'\''`) + "'"
			}
		}
		fmt.Fprintln(d.c.out, indent(screen.Inert(strings.Join(words, " ")), "      "))
	}
	args := append([]plan.Arg{}, call.Args...)
	sort.Slice(args, func(i, j int) bool { return args[i].Name < args[j].Name })
	for _, a := range args {
		text := "<<" + a.Value.Words() + ">>"
		if v, ok := d.value(b, a.Value); ok {
			text = shortValue(v)
		}
		price := ""
		if a.Name == "model" {
			model, _ := strconv.Unquote(a.Value.Code) // anything but a literal: as the worst case has it, the agent's own
			price = priceWords(sig, sig.PriceOf(model))
		}
		fmt.Fprintf(d.c.out, "      %s: %s%s\n", a.Name, screen.OneLine(text, 200), price)
	}
}

// text renders what is known of a text; the rest stays as it is written.
func (d *dry) text(b int, t *plan.Text) string {
	var out strings.Builder
	for _, part := range t.Parts {
		if part.Expr == nil {
			out.WriteString(part.Literal)
			continue
		}
		if v, ok := d.value(b, *part.Expr); ok {
			if text, err := eval.Render(v); err == nil {
				out.WriteString(text)
				continue
			}
		}
		out.WriteString("<<" + part.Expr.Words() + ">>")
	}
	return out.String()
}
