package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/inputs"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/travel"
	"github.com/slopstudios/slop/runtime/wire"
)

type runsForkCmd struct {
	From       string   `placeholder:"STEP" help:"The step to do again, as slop runs show names it; or a block, an item (notes[3]), a round (poem#2), a used flow."`
	Only       bool     `help:"Do only that step again: what depends on it keeps its result."`
	Set        []string `name:"set" short:"i" sep:"none" placeholder:"NAME=VALUE" help:"Another input; @path reads a text from a file. May be repeated."`
	Script     string   `placeholder:"FILE" help:"An edited script, instead of the text the run began with."`
	Detach     bool     `short:"d" help:"Print the id of the new run and let it work in the background."`
	DryRun     bool     `name:"dry-run" short:"n" help:"Say what would be done again and why, and do nothing."`
	Trust      bool     `help:"Trust the project's slop.toml, and remember that until it changes."`
	showFlags  `embed:""`
	recordFlag `embed:""`
	runArg     `embed:""`
}

func (runsForkCmd) Help() string {
	return "Begins a new run that keeps every result of the old one that does not depend on what changes, and says before what will be done again and why. " +
		"People are asked again from there on. Without --from it does again what other inputs or an edited script change, and what failed or had not ended. " +
		"What is kept costs nothing. The new run shows and ends as slop run does."
}

func (v *runsForkCmd) Run(c *console) error {
	switch {
	case v.Only && v.From == "":
		return usage("--only is about one step: name it with --from STEP")
	case v.Detach && v.DryRun:
		return usage("--dry-run begins nothing that could work in the background")
	case v.Detach && v.Record != "":
		return usage("--detach does not wait for the answers that --record writes; when the run has ended: slop resume ID --record DIR")
	case v.DryRun && v.Record != "":
		return usage("--dry-run begins nothing that could be recorded: choose one")
	case v.Detach && v.Out != "":
		return usage("--detach does not wait for the files; when the run has ended: slop resume ID -o DIR")
	case v.Detach && (v.Events != "" || v.JSON):
		return usage("--detach shows nothing; what came of it: slop runs show ID --json, slop runs events ID")
	}
	if err := cmp.Or(v.check(), v.findRecord()); err != nil {
		return err
	}
	ctx := context.Background()
	st, h, err := v.run(ctx)
	if err != nil {
		return err
	}
	if st.api != nil {
		defer st.close()
		err = v.forkThere(ctx, c, st, h)
	} else {
		err = v.fork(ctx, c, st, h)
	}
	var said *exit
	if v.JSON && err != nil && !(errors.As(err, &said) && said.err == nil) {
		c.printJSON(notRun("E_USAGE", err.Error()))
	}
	return err
}

func (v *runsForkCmd) fork(ctx context.Context, c *console, st *state, h *history) error {
	pr, change, err := v.change(c, h)
	if err != nil {
		st.close()
		return err
	}
	host := storedHost(pr, st, v.log(c))
	defer host.close()
	f, err := host.engine.Forecast(ctx, h.id, change)
	if err != nil {
		return forkError(st, h, err)
	}
	change.Head = f.Head // what is said now is what is done
	p := cmp.Or(change.Plan, h.plan)
	v.foretell(c, h, p, f)
	if v.DryRun {
		return nil
	}
	if err := c.trust(pr, v.Trust); err != nil {
		return err
	}
	if err := pr.missingSecrets(p.Secrets); err != nil {
		return err
	}
	if v.Detach {
		id, err := host.engine.SubmitFork(ctx, h.id, change)
		if err != nil {
			return forkError(st, h, err)
		}
		fmt.Fprintln(c.out, id)
		return st.background(c, id)
	}
	s := v.session(c, pr, host, p)
	s.kept, s.past = f.Kept, f.Kept
	return v.presentAndRecord(c, v.showFlags, host, s, func(ctx context.Context) (run.ID, error) { return host.engine.Fork(ctx, h.id, change) }, h.started.Options)
}

// foretell says what a fork will do: as the answer of --dry-run, else before it is done.
func (v *runsForkCmd) foretell(c *console, h *history, p *plan.Plan, f *runs.Forecast) {
	switch {
	case v.DryRun && v.JSON:
		c.printJSON(wire.ForecastOf(f))
	case v.DryRun:
		c.drawForecast(c.out, c.outStyle, h, p, f)
	case !v.Quiet:
		c.drawForecast(c.err, c.style, h, p, f)
	}
}

// forkThere begins the new run on the server of the old one, which works on it.
func (v *runsForkCmd) forkThere(ctx context.Context, c *console, st *state, h *history) error {
	if v.Out != "" || v.Record != "" || v.Events != "" {
		return usage("the run is on a server, which keeps its files: slop runs events%s ID, slop runs show%s ID", st.said, st.said)
	}
	_, change, err := v.change(c, h)
	if err != nil {
		return err
	}
	change.Pool, change.By = "", "" // the server knows
	f, err := st.api.Forecast(ctx, h.id, change)
	if err != nil {
		return forkError(st, h, err)
	}
	v.foretell(c, h, cmp.Or(change.Plan, h.plan), f)
	if v.DryRun {
		return nil
	}
	change.Head = f.Head // what is said now is what is done
	id, err := st.api.Fork(ctx, h.id, change)
	if err != nil {
		return forkError(st, h, err)
	}
	fmt.Fprintln(c.out, id)
	fmt.Fprintln(c.err, c.style.Dim("the server works on it: slop runs logs -f"+st.said+" "+string(id)))
	return nil
}

// change reads what is to differ. Files are named from where the person stands; after that this process is where the run is to be.
func (v *runsForkCmd) change(c *console, h *history) (*project, runs.Change, error) {
	change := runs.Change{From: run.Path(v.From), Only: v.Only, By: "cli"}
	p := h.plan
	var pr *project
	if v.Script != "" {
		src, err := c.readScript(v.Script)
		if err != nil {
			return nil, change, err
		}
		if pr, err = openProject(v.Script); err != nil {
			return nil, change, err
		}
		var diags diag.List
		p, _, diags = c.compileIn(pr, src)
		if !v.Quiet || diags.HasErrors() {
			diag.Print(c.err, diags, c.style.On)
		}
		if diags.HasErrors() {
			if v.JSON {
				c.printJSON(invalidScript(diags))
			}
			return nil, change, &exit{code: exitScript}
		}
		change.Plan = p
	}
	if len(v.Set) > 0 {
		values, err := inputs.Read(p.Inputs, v.Set, nil)
		var missing *inputs.Missing
		if err != nil && !errors.As(err, &missing) { // the others are those of the run
			return nil, change, &exit{exitUsage, err}
		}
		change.Inputs = values
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, change, usage("the folder you stand in is gone: cd to another")
	}
	_, _, own := h.folder()
	switch {
	case pr != nil:
		change.Pool = poolPrefix + here
	case own:
		pr, err = h.project()
	default: // of a server
		change.Pool = poolPrefix + here
		pr, err = openProject("main.slop")
	}
	return pr, change, err
}

// forkError says in words what keeps a run from being forked.
func forkError(st *state, h *history, err error) error {
	var unknown *travel.ErrStep
	switch {
	case errors.As(err, &unknown):
		text := unknown.Error()
		names := make([]string, len(unknown.Known))
		for i, k := range unknown.Known {
			names[i] = string(k)
		}
		if near, ok := diag.Nearest(string(unknown.Path), names); ok {
			text += "; did you mean " + near + "?"
		}
		return &exit{exitUsage, errors.New(text)}
	case errors.Is(err, travel.ErrNothing):
		return usage("nothing would be done again: name a step with --from STEP, another input with -i, or an edited script with --script; `slop runs show%s %s` lists the steps", st.said, h.id)
	case errors.Is(err, travel.ErrDrift):
		return &exit{exitFailed, fmt.Errorf("run %s cannot be forked: %w", h.id, err)}
	case errors.Is(err, runs.ErrInput):
		return &exit{exitUsage, err}
	}
	return st.unusable(err)
}

// maxForecast is how many lines of a forecast are shown; --dry-run --json has all.
const maxForecast = 40

// drawForecast says what a fork will do again and why.
func (c *console) drawForecast(w io.Writer, style screen.Style, h *history, p *plan.Plan, f *runs.Forecast) {
	fmt.Fprintf(w, "%s\n", style.Bold("A fork of run "+string(h.id)+" ("+screen.Inert(h.plan.Name)+")"))
	if len(f.Again) == 0 {
		fmt.Fprintln(w, "nothing is called again")
	} else {
		fmt.Fprintln(w, "done again:")
	}
	width := 0
	for _, a := range f.Again[:min(len(f.Again), maxForecast)] {
		width = max(width, screen.Width(screen.OneLine(string(a.Path), 60)))
	}
	for i := range f.Again[:min(len(f.Again), maxForecast)] {
		a := &f.Again[i]
		line := "  " + pad(screen.OneLine(string(a.Path), 60), width) + "  " + screen.OneLine(a.Agent, 30) + ": " + screen.OneLine(a.Text(), 200)
		if a.Effect == types.Do && a.Why != travel.Asked && !asks(p, a.Agent) {
			line += style.Yellow(" (it changes the world)")
		}
		fmt.Fprintln(w, line)
	}
	if n := len(f.Again) - maxForecast; n > 0 {
		fmt.Fprintf(w, "  … and %d more\n", n)
	}
	if len(f.Keeps) > 0 {
		fmt.Fprintln(w, keptLine(f))
	}
	if len(f.Gone) > 0 {
		fmt.Fprintln(w, "no longer in the script: "+listOf(f.Gone))
	}
	if e := f.Fails; e != nil {
		fmt.Fprintln(w, style.Red("it will fail: "+e.Code+": "+screen.OneLine(e.Message, 300)))
	}
}

// asks reports whether an agent is a person, or a wait: they change nothing.
func asks(p *plan.Plan, agent string) bool {
	for i := range p.Callees {
		if p.Callees[i].Name == agent {
			return p.Callees[i].Kind == types.Ask || p.Callees[i].Kind == types.Sleep
		}
	}
	return agent == "wait"
}

func keptLine(f *runs.Forecast) string {
	var kept, pinned []run.Path
	for _, k := range f.Keeps {
		if k.Pinned {
			pinned = append(pinned, k.Path)
		} else {
			kept = append(kept, k.Path)
		}
	}
	var lines []string
	if len(kept) > 0 {
		lines = append(lines, "kept: "+listOf(kept))
	}
	if len(pinned) > 0 {
		lines = append(lines, "kept although what they depend on may change: "+listOf(pinned))
	}
	if used := screen.Used(f.Usage()); used != "" {
		lines[len(lines)-1] += " (" + used + ", paid for by the old run)"
	}
	return strings.Join(lines, "\n")
}

// listOf names a few steps and counts the others.
func listOf(paths []run.Path) string {
	const most = 12
	var names []string
	for _, p := range paths[:min(len(paths), most)] {
		names = append(names, screen.OneLine(string(p), 60))
	}
	if n := len(paths) - most; n > 0 {
		names = append(names, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(names, ", ")
}
