package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

type doctorCmd struct {
	Store     bool `help:"Read everything that is stored, and say what is damaged. Takes a while."`
	stateFlag `embed:""`
}

func (v *doctorCmd) Run(c *console) error {
	ctx := context.Background()
	st, err := v.open(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	d := doctor{c: c, state: st, known: map[run.ID]bool{}}
	fmt.Fprintf(c.out, "slop   %s\nstate  %s\n", versionText(), st.folder)
	if st.server != "" {
		fmt.Fprintf(c.out, "store  %s\n", st.server)
	}
	if err := d.count(ctx); err != nil {
		return err
	}
	if !v.Store {
		fmt.Fprintf(c.out, "The store opens. To read all of it: slop doctor --store%s\n", st.said)
		return nil
	}
	if err := d.file(ctx); err != nil {
		return err
	}
	if err := d.runs(ctx); err != nil {
		return err
	}
	if d.damaged > 0 {
		fmt.Fprintf(c.err, "%s found; what is not named above is in order\n", plural(d.damaged, "problem"))
		return &exit{code: exitFailed}
	}
	fmt.Fprintf(c.out, "Nothing is damaged: %s, %s.\n", plural(d.runCount, "run"), plural(d.facts, "fact"))
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
