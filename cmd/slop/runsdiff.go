package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/travel"
	"github.com/slopstudios/slop/runtime/wire"
)

type runsDiffCmd struct {
	JSON       bool `name:"json" help:"Print the difference as one JSON object."`
	stateFlag  `embed:""`
	serverFlag `embed:""`
	A          string `arg:"" help:"A run, or the beginning of its id."`
	B          string `arg:"" help:"Another."`
}

func (runsDiffCmd) Help() string {
	return "Compares script, inputs and, step by step, what was sent, what came of it, and what it used; and names the step at which the runs part."
}

func (v *runsDiffCmd) Run(c *console) error {
	ctx := context.Background()
	st, err := v.serverFlag.open(ctx, v.stateFlag)
	if err != nil {
		return err
	}
	defer st.close()
	var both [2]*history
	for i, word := range []string{v.A, v.B} {
		id, err := st.find(ctx, word)
		if err != nil {
			return err
		}
		if both[i], err = st.history(ctx, id); err != nil {
			return err
		}
	}
	e := st.bystander(nil)
	defer func() { _ = e.Close(ctx) }() // it told nobody anything
	d, err := e.Diff(ctx, both[0].id, both[1].id)
	if err != nil {
		return &exit{exitFailed, err}
	}
	if v.JSON {
		c.printJSON(wire.DifferenceOf(d))
		return nil
	}
	c.drawDiff(d, both[0].plan, both[1].plan)
	return nil
}

func (c *console) drawDiff(d *travel.Difference, a, b *plan.Plan) {
	style, w := c.outStyle, c.out
	side := func(name string, s *travel.Side) {
		line := fmt.Sprintf("%s  %s  %s  %s, took %s", style.Bold(name), s.ID, screen.Inert(s.Flow), c.statusStyle(string(s.Status), string(s.Status)), screen.Took(s.Duration))
		if s.Usage.Calls > 0 {
			line += ", " + plural(int(s.Usage.Calls), "call")
		}
		if used := screen.Used(s.Usage); used != "" {
			line += ", " + used
		}
		if s.Fork != nil {
			line += fmt.Sprintf(", a fork of %s", s.Fork.Run)
		}
		if s.Error != nil {
			line += "\n   " + style.Red(s.Error.Code+": "+screen.OneLine(s.Error.Message, 200))
		}
		fmt.Fprintln(w, line)
	}
	side("a", &d.A)
	side("b", &d.B)
	switch {
	case len(d.Script) > 0:
		fmt.Fprintf(w, "\n%s\n", style.Bold("Script"))
		for _, f := range d.Script {
			text := difference(f.File, sourceOf(a, f.File), sourceOf(b, f.File))
			for i := 0; i < 2; i++ { // the heads name the files of slop fmt
				_, text, _ = strings.Cut(text, "\n")
			}
			fmt.Fprintf(w, "%s", indent(fmt.Sprintf("--- a %s\n+++ b %s\n%s", f.File, f.File, screen.Inert(text)), "  "))
		}
		fmt.Fprintln(w)
	case d.Plan:
		fmt.Fprintf(w, "\n%s the text is the same; agents, their versions or settings are not\n", style.Bold("Script"))
	}
	if len(d.Inputs) > 0 {
		fmt.Fprintf(w, "\n%s\n", style.Bold("Inputs"))
		for _, p := range d.Inputs {
			fmt.Fprintf(w, "  %s\n%s", p.Name, both(p.A, p.B))
		}
	}
	if wire.Alike(d) {
		fmt.Fprintf(w, "\nThe same: %s sent and got the same in both.\n", plural(d.Same, "step"))
	}
	if d.First != "" {
		fmt.Fprintf(w, "\n%s %s\n", style.Bold("They part at"), screen.Inert(string(d.First)))
	}
	if len(d.Steps) > 0 {
		fmt.Fprintln(w)
		rows := [][]string{{"STEP", "AGENT", "DIFFERS IN", "A", "B"}}
		for _, s := range d.Steps[:min(len(d.Steps), maxSteps)] {
			what := append([]string{}, s.What...)
			for i, x := range what {
				if x == "sent" {
					what[i] = strings.Join(s.Sent, ", ")
				}
			}
			rows = append(rows, []string{screen.OneLine(string(s.Path), 60), screen.OneLine(s.Agent, 30), screen.OneLine(strings.Join(what, ", "), 80), doingWords(s.A), doingWords(s.B)})
		}
		c.printRows(rows, func(row, _ int, text string) string {
			if row == 0 {
				return style.Dim(text)
			}
			return text
		})
		if n := len(d.Steps) - maxSteps; n > 0 {
			fmt.Fprintf(w, "… and %d more: --json has all\n", n)
		}
		if !wire.Alike(d) && d.Same > 0 {
			fmt.Fprintf(w, "%s sent and got the same in both\n", plural(d.Same, "step"))
		}
	}
	for _, s := range d.Steps {
		if s.Path != d.First || s.A == nil || s.B == nil {
			continue
		}
		if s.A.Text != s.B.Text {
			fmt.Fprintf(w, "\n%s sent\n%s", screen.Inert(string(s.Path)), both(s.A.Text, s.B.Text))
		}
		if len(s.What) > 1 || s.A.Text == s.B.Text {
			fmt.Fprintf(w, "\n%s gave\n%s", screen.Inert(string(s.Path)), both(s.A.Value, s.B.Value))
		}
	}
	if d.Output != nil {
		fmt.Fprintf(w, "\n%s\n%s", style.Bold("Output"), both(d.Output.A, d.Output.B))
	}
}

func both(a, b any) string {
	show := func(v any) string {
		if v == nil {
			return "nothing"
		}
		return screen.OneLine(shortValue(v), 300)
	}
	return "    a  " + show(a) + "\n    b  " + show(b) + "\n"
}

func doingWords(d *travel.Doing) string {
	if d == nil {
		return "–"
	}
	text := d.Status
	if d.Duration > 0 {
		text += " " + screen.Took(d.Duration)
	}
	if used := screen.Used(d.Usage); used != "" {
		text += ", " + used
	}
	return text
}

func sourceOf(p *plan.Plan, name string) string {
	for _, s := range p.Sources {
		if s.Name == name {
			return s.Text
		}
	}
	return ""
}
