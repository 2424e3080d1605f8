package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/cmd/slop/inputs"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

type runCmd struct {
	Set         []string `name:"set" short:"i" sep:"none" placeholder:"NAME=VALUE" help:"An input; @path reads a text from a file. May be repeated."`
	Input       string   `placeholder:"FILE.json" help:"Inputs as a JSON object in a file; - is standard input."`
	DryRun      bool     `name:"dry-run" help:"Show what would happen and what it may cost, and call nothing."`
	showFlags   `embed:""`
	MaxParallel *string  `name:"max-parallel" placeholder:"N" help:"Calls at a time."`
	Budget      []string `sep:"none" placeholder:"AMOUNT" help:"What the run may use: 0.50 (dollars), '20 calls', '5000 tokens'. May be repeated."`
	Timeout     string   `placeholder:"DURATION" help:"How long the run may take, such as 90s or 10m (then exit 124)."`
	Cache       string   `placeholder:"MODE" help:"What to do with kept answers of calls that have a cache clause: off, read, write (use and keep, the default) or refresh (ask anew and keep)."`
	Trust       bool     `help:"Trust the project's slop.toml, and remember that until it changes."`
	Detach      bool     `short:"d" help:"Print the id of the run and let it work in the background."`
	Ephemeral   bool     `help:"Keep the run in memory only: it ends with this process."`
	Keep        *string  `placeholder:"AGE" help:"Afterwards remove runs that ended longer ago, such as 30d."`
	Replay      string   `placeholder:"DIR" help:"Let the recordings of a folder answer in the place of agents and people: nothing is called, and nothing kept."`
	recordFlag  `embed:""`
	stateFlag   `embed:""`
	File        string `arg:"" optional:"" help:"The script; - is standard input."`
}

func (v *runCmd) Run(c *console) error {
	switch {
	case v.File == "":
		return usage("slop run needs a script: slop run FILE")
	case v.Detach && v.Ephemeral:
		return usage("--detach needs a run that is kept, --ephemeral keeps none: choose one")
	case v.Detach && v.Out != "":
		return usage("--detach does not wait for the files; when the run has ended: slop resume ID -o DIR")
	case v.Detach && v.Record != "":
		return usage("--detach does not wait for the answers that --record writes: choose one")
	case v.Detach && (v.Events != "" || v.JSON):
		return usage("--detach prints the id of the run; what came of it: slop runs show ID --json, slop runs events ID")
	case v.Ephemeral && v.State != "":
		return usage("--ephemeral keeps nothing, so there is nothing for --state: choose one")
	case v.Replay != "" && (v.Detach || v.Record != "" || v.State != "" || v.Keep != nil || v.Cache != ""):
		return usage("--replay calls nobody and keeps nothing, so there is nothing for --detach, --record, --state, --keep and --cache: leave them out")
	case v.File == "-" && v.Input == "-":
		return usage("standard input cannot be the script and its inputs at once")
	}
	if err := cmp.Or(v.check(), v.findRecord()); err != nil {
		return err
	}
	tapes, err := recordings(v.Replay, v.File)
	if err != nil {
		return err
	}
	r, err := v.prepare(c)
	defer r.project.close()
	var said *exit
	switch {
	case err == nil && v.DryRun:
		return c.dryRun(r.plan, r.values, r.options)
	case err == nil && v.Replay != "":
		return v.replay(c, r, tapes)
	case err == nil:
		return v.play(c, r)
	case v.JSON && !(errors.As(err, &said) && said.err == nil):
		c.printJSON(notRun("E_USAGE", err.Error()))
	case v.Events != "" && !(errors.As(err, &said) && said.err == nil):
		c.printUnstarted(notRun("E_USAGE", err.Error()))
	}
	return err
}

// prepared is a run that may begin.
type prepared struct {
	project *project
	plan    *plan.Plan
	values  inputs.Values
	options run.Options
	keep    time.Duration // the age at which runs that have ended are removed afterwards; 0: never
}

// prepare finds what is wrong before anything runs.
func (v *runCmd) prepare(c *console) (r prepared, err error) {
	src, err := c.readScript(v.File)
	if err != nil {
		return r, err
	}
	if r.project, err = openProject(v.File); err != nil {
		return r, err
	}
	conf := r.project.config.Run
	if r.options, err = v.options(conf); err != nil {
		return r, err
	}
	if r.keep, err = v.keep(r.project.config); err != nil {
		return r, err
	}
	if conf.Color != "" {
		c.configured(conf.Color)
	}
	var diags diag.List
	if v.Trust { // a server may have to be started to know its tools
		if err = c.trust(r.project, true); err != nil {
			return r, err
		}
	}
	r.plan, _, diags = c.compileIn(r.project, src)
	if !v.Quiet || diags.HasErrors() {
		diag.Print(c.err, diags, c.style.On)
	}
	if diags.HasErrors() {
		if v.JSON {
			c.printJSON(invalidScript(diags))
		} else if v.Events != "" {
			c.printUnstarted(invalidScript(diags))
		}
		return r, &exit{code: exitScript}
	}
	if r.values, err = v.values(c, r.plan); err != nil || v.DryRun || v.Replay != "" {
		return r, err
	}
	if err = c.trust(r.project, v.Trust); err != nil {
		return r, err
	}
	if err = missingModels(r.plan, r.values); err != nil {
		return r, err
	}
	return r, r.project.missingSecrets(r.plan.Secrets)
}

// options puts flags before the environment before slop.toml.
func (v *runCmd) options(conf config.Run) (run.Options, error) {
	o := run.Options{By: "cli"}
	bad := func(what, value string, err error) error { return usage("%s %s: %s", what, value, err) }
	o.MaxParallel = conf.MaxParallel
	parallel, from := os.Getenv("SLOP_MAX_PARALLEL"), "SLOP_MAX_PARALLEL"
	if v.MaxParallel != nil {
		parallel, from = *v.MaxParallel, "--max-parallel"
	}
	if parallel != "" || v.MaxParallel != nil {
		n, err := strconv.Atoi(parallel)
		if err != nil || n < 1 {
			return o, usage("%s must be a whole number from 1, not %q", from, parallel)
		}
		o.MaxParallel = n
	}
	timeout, from := v.Timeout, "--timeout"
	if timeout == "" {
		timeout, from = os.Getenv("SLOP_TIMEOUT"), "SLOP_TIMEOUT"
	}
	if timeout == "" {
		timeout, from = conf.Timeout, "slop.toml: timeout"
	}
	if timeout != "" {
		d, err := plan.ParseDuration(timeout)
		if err != nil {
			return o, bad(from, timeout, err)
		}
		o.Timeout = d
	}
	budgets, from := v.Budget, "--budget"
	if len(budgets) == 0 && os.Getenv("SLOP_BUDGET") != "" {
		budgets, from = []string{os.Getenv("SLOP_BUDGET")}, "SLOP_BUDGET"
	}
	if len(budgets) == 0 && conf.Budget != "" {
		budgets, from = []string{conf.Budget}, "slop.toml: budget"
	}
	for _, s := range budgets {
		a, err := plan.ParseAmount(s)
		if err != nil {
			return o, bad(from, s, err)
		}
		o.Budget = append(o.Budget, a)
	}
	mode, from := v.Cache, "--cache"
	if mode == "" {
		mode, from = os.Getenv("SLOP_CACHE"), "SLOP_CACHE"
	}
	if mode == "" {
		mode = conf.Cache
	}
	if o.Cache = run.CacheMode(mode); !o.Cache.Known() {
		return o, usage("%s is one of off, read, write and refresh, not %q", from, mode)
	}
	return o, nil
}

// values reads the inputs; what is missing is asked for where somebody can answer.
func (v *runCmd) values(c *console, p *plan.Plan) (inputs.Values, error) {
	var object map[string]any
	if v.Input != "" {
		var err error
		if object, err = inputs.Object(v.Input, c.in); err != nil {
			return nil, &exit{exitUsage, err}
		}
	}
	values, err := inputs.Read(p.Inputs, v.Set, object)
	var missing *inputs.Missing
	switch {
	case err == nil:
		return values, nil
	case !errors.As(err, &missing):
		return nil, &exit{exitUsage, err}
	case v.DryRun:
		return values, nil
	case c.asks && v.Input != "-" && v.File != "-":
		for _, in := range missing.Inputs {
			if values[in.Name], err = c.askInput(in); err != nil {
				return nil, err
			}
		}
		return values, nil
	}
	lines := []string{missing.Error()}
	for _, in := range missing.Inputs {
		line := fmt.Sprintf("  -i %s=…  (%s)", in.Name, in.Type)
		if in.Doc != "" {
			line += "  " + in.Doc
		}
		lines = append(lines, line)
	}
	return nil, usage("%s", strings.Join(lines, "\n"))
}

// askInput asks until the answer fits.
func (c *console) askInput(in plan.Input) (any, error) {
	question := in.Doc
	if question == "" {
		question = in.Name
	}
	for {
		fmt.Fprintf(c.err, "%s %s ", c.style.Bold(screen.Inert(question)), c.style.Dim("("+in.Type.String()+")"))
		line, ok := c.readLine()
		if !ok {
			fmt.Fprintln(c.err)
			return nil, usage("missing input: %s", in.Name)
		}
		v, err := inputs.Parse(in, line)
		if err == nil {
			return v, nil
		}
		fmt.Fprintln(c.err, c.style.Red(screen.Inert(err.Error())))
	}
}

// keep puts the flag before the environment before the user's slop.toml. A project's has no say: it does not remove the runs of others.
func (v *runCmd) keep(conf *config.Config) (time.Duration, error) {
	age, from := os.Getenv("SLOP_KEEP"), "SLOP_KEEP"
	if age == "" {
		age, from = conf.Keep, "slop.toml: keep"
	}
	if v.Keep != nil {
		age, from = *v.Keep, "--keep"
	}
	if age == "" && v.Keep == nil {
		return 0, nil
	}
	d, err := plan.ParseDuration(age)
	if err != nil {
		return 0, usage("%s %s: %s", from, age, err)
	}
	return d, nil
}

// play runs the plan to its end and prints what the flags ask for.
func (v *runCmd) play(c *console, r prepared) error {
	if v.Ephemeral {
		h := newHost(r.project, v.log(c))
		defer h.close()
		s := v.session(c, r.project, h, r.plan)
		return v.presentAndRecord(c, v.showFlags, h, s, s.start(r.values, r.options), r.options)
	}
	here, err := os.Getwd()
	if err != nil {
		return usage("the folder you stand in is gone, so the run could not be resumed there: cd to another, or --ephemeral")
	}
	r.options.Pool = poolPrefix + here
	st, err := v.open(context.Background())
	if err != nil {
		return err
	}
	h := storedHost(r.project, st, v.log(c))
	defer h.close()
	if v.Detach {
		return detach(c, h, r)
	}
	s := v.session(c, r.project, h, r.plan)
	err = v.presentAndRecord(c, v.showFlags, h, s, s.start(r.values, r.options), r.options)
	if r.keep > 0 && !s.interrupted {
		if _, lost := st.forget(context.Background(), time.Now().Add(-r.keep), false); lost != nil {
			fmt.Fprintln(c.err, "old runs could not be removed: "+lost.Error())
		}
	}
	return err
}

// firstSteps are the named steps of the file, which the tree shows before they start.
func firstSteps(p *plan.Plan) []string {
	var names []string
	for _, n := range p.Blocks[0].Nodes {
		switch n.Kind {
		case plan.LetNode, plan.ValueNode, plan.RequireNode, plan.StopNode, plan.IntoNode:
			continue
		}
		name := n.Name
		if name == "" {
			name = "output"
		}
		names = append(names, name)
	}
	return names
}

// sayTotal is the last line of a run on a terminal.
func (c *console) sayTotal(view runs.View, took time.Duration) {
	parts := []string{screen.Took(took)}
	if view.Usage.Calls > 0 {
		parts = append(parts, plural(int(view.Usage.Calls), "call"))
	}
	if used := screen.Used(view.Usage); used != "" {
		parts = append(parts, used)
	}
	fmt.Fprintln(c.err, c.style.Green("✓")+" "+c.style.Dim(strings.Join(parts, ", ")))
}
