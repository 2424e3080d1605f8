package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/audit"
	"github.com/slopstudios/slop/runtime/store"
)

type doctorCmd struct {
	Agent     string `help:"Look at this agent only, and closely: it may make small calls, which can cost something." placeholder:"NAME"`
	Store     bool   `help:"Read everything that is stored, and say what is damaged. Takes a while."`
	JSON      bool   `name:"json" help:"Print what was found about the agents as JSON."`
	stateFlag `embed:""`
}

func (v *doctorCmd) Run(c *console) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if v.Agent != "" || v.JSON {
		return v.agents(ctx, c)
	}
	st, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	d := doctor{c: c, state: st, known: map[run.ID]bool{}}
	fmt.Fprintf(c.out, "slop   %s\nstate  %s\n", versionText(), st.folder)
	if st.server != "" {
		fmt.Fprintf(c.out, "store  %s (%s)\n", st.server, st.remote.from)
	}
	if err := d.count(ctx); err != nil {
		return err
	}
	if !v.Store {
		fmt.Fprintf(c.out, "The store opens. To read all of it: slop doctor --store%s\n\n", st.said)
		return v.agents(ctx, c)
	}
	if err := d.file(ctx); err != nil {
		return err
	}
	if err := d.runs(ctx); err != nil {
		return err
	}
	if err := d.audits(ctx); err != nil {
		return err
	}
	if d.damaged > 0 {
		fmt.Fprintf(c.err, "%s found; what is not named above is in order\n", plural(d.damaged, "problem"))
		return &exit{code: exitFailed}
	}
	fmt.Fprintf(c.out, "Nothing is damaged: %s, %s.\n", plural(d.runCount, "run"), plural(d.facts, "fact"))
	return nil
}

// agents looks whether what can be called from here can be called.
func (v *doctorCmd) agents(ctx context.Context, c *console) error {
	pr, err := openProject("")
	if err != nil {
		return err
	}
	if strange := untrusted(pr); len(strange) > 0 {
		if v.Agent != "" || v.JSON {
			return usage("%s is not trusted yet, so no agent was looked at (slop help configuration)", strange[0].Source.Name)
		}
		fmt.Fprintf(c.err, "%s is not trusted yet, so no agent was looked at (slop help configuration)\n", strange[0].Source.Name)
		return nil
	}
	all, err := c.examineAgents(ctx, pr, v.Agent)
	if err != nil {
		return err
	}
	broken := false
	if v.JSON {
		c.printJSON(map[string]any{"agents": all})
		broken = slices.ContainsFunc(all, func(r examined) bool { return !r.OK && (r.Configured || v.Agent != "") })
	} else {
		broken = c.printExamined(all, v.Agent != "")
	}
	if broken {
		return &exit{code: exitFailed}
	}
	return nil
}

// doctor looks at a store.
type doctor struct {
	c                        *console
	state                    *state
	runCount, facts, damaged int
	known                    map[run.ID]bool // runs of which something was said
}

func (d *doctor) say(format string, args ...any) {
	d.damaged++
	fmt.Fprintf(d.c.out, "%s %s\n", d.c.outStyle.Red("✗"), fmt.Sprintf(format, args...))
}

// count says how much there is.
func (d *doctor) count(ctx context.Context) error {
	unfinished, stopped := 0, 0
	for id, err := range d.state.store.Unfinished(ctx, "") {
		if err != nil {
			return d.state.unusable(err)
		}
		unfinished++
		if who, err := d.state.store.Holder(ctx, id); err == nil && who == "" {
			stopped++
		}
	}
	fmt.Fprintf(d.c.out, "runs   %d that have not ended, of which nobody is at work on %d\n", unfinished, stopped)
	return nil
}

// file has the store check what it keeps everything in.
func (d *doctor) file(ctx context.Context) error {
	problems, err := inspect(ctx, d.state.store)
	if err != nil {
		return d.state.unusable(err)
	}
	for _, p := range problems {
		if p.run == "" {
			d.say("%s", p.what)
			continue
		}
		d.known[p.run] = true
		d.say("run %s: %s", p.run, p.what)
	}
	return nil
}

// runs reads every run, folds it, and compares what lists say of it.
func (d *doctor) runs(ctx context.Context) error {
	return d.state.each(ctx, func(id run.ID, _ error) error { // what is damaged the store has named
		d.runCount++
		h, err := d.state.history(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			d.runCount--
			return nil // removed meanwhile
		case err != nil && d.known[id]:
			return nil
		case err != nil:
			first, _, _ := strings.Cut(err.Error(), "\n")
			d.say("%s", first)
			return nil
		}
		d.facts += len(h.facts)
		for i, f := range h.facts {
			if f.Seq != run.Seq(i+1) {
				d.say("run %s: fact %d stands in the place of %d", id, f.Seq, i+1)
				break
			}
		}
		d.fold(h)
		return nil
	})
}

// audits looks whether the lists of who changed what hold together.
func (d *doctor) audits(ctx context.Context) error {
	tenants, err := audit.Tenants(ctx, d.state.store)
	for _, tenant := range tenants {
		if err == nil {
			_, err = audit.Verify(ctx, d.state.store, tenant, func(problem string) { d.say("audit log of %s: %s", screen.Inert(tenant), problem) })
		}
	}
	if err != nil {
		return d.state.unusable(err)
	}
	return nil
}

// fold tries whether the facts fit their plan.
func (d *doctor) fold(h *history) {
	defer func() {
		if r := recover(); r != nil {
			d.say("run %s: its facts do not fit its plan: %v", h.id, r)
		}
	}()
	f := runs.Fold(h.plan).Named(h.id)
	for _, fact := range h.facts {
		f.Add(fact)
	}
}
