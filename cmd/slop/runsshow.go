package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/cmd/slop/form"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/wire"
)

// runArg names the run of a command.
type runArg struct {
	stateFlag  `embed:""`
	serverFlag `embed:""`
	ID         string `arg:"" help:"The run, or the beginning of its id."`
}

// run opens the state folder and reads the run.
func (v *runArg) run(ctx context.Context) (*state, *history, error) {
	st, err := v.serverFlag.open(ctx, v.stateFlag)
	if err != nil {
		return nil, nil, err
	}
	id, err := st.find(ctx, v.ID)
	if err == nil {
		var h *history
		if h, err = st.history(ctx, id); err == nil {
			return st, h, nil
		}
	}
	st.close()
	return nil, nil, err
}

type runsShowCmd struct {
	JSON   bool `name:"json" help:"Print the run as slop run --json does."`
	runArg `embed:""`
}

func (v *runsShowCmd) Run(c *console) error {
	ctx := context.Background()
	st, h, err := v.run(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	s := h.session(c, st)
	for i := range h.facts {
		s.take(ctx, runs.Event{Fact: &h.facts[i]})
	}
	end := h.finished()
	if end != nil {
		e := st.bystander(nil)
		defer func() { _ = e.Close(ctx) }()
		whole, err := e.Wait(ctx, h.id) // with what is kept apart for its size
		if err != nil {
			return st.damaged(h.id, err)
		}
		end = &whole
	}
	if v.JSON {
		if end == nil {
			end = &run.Finished{Status: s.folder.Status()}
		}
		report := s.report(*end)
		if end.Status == run.Waiting {
			report.Error = nil // the run has none: it waits
		}
		c.printJSON(report)
		return nil
	}
	return s.drawRun(ctx, c, st, h, end)
}

// session is a view of a stored run: it shows and does nothing by itself.
func (h *history) session(c *console, st *state) *session {
	return &session{
		c: c, plan: h.plan, id: h.id, state: st, folder: runs.Fold(h.plan).Named(h.id), redact: func(text string) string { return text },
		past: after, notes: []wire.Note{},
	}
}

// stamp is a time as people read it.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// drawRun shows a run to a person.
func (s *session) drawRun(ctx context.Context, c *console, st *state, h *history, end *run.Finished) error {
	view := s.folder.View()
	style := c.outStyle
	line := func(name, text string) { fmt.Fprintf(c.out, "%s %s\n", style.Dim(pad(name, 9)), text) }
	line("run", style.Bold(string(h.id)))
	line("flow", screen.Inert(h.plan.Name))
	status := c.statusStyle(string(view.Status), string(view.Status))
	if view.Finished.IsZero() {
		who, err := st.holder(ctx, h.id)
		switch {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return st.unusable(err)
		case who != "":
			status += ", " + who + " is at work on it"
		case view.Status == run.Running:
			status = c.statusStyle("stopped", "stopped") + ", nobody is at work on it: slop resume" + st.said + " " + string(h.id)
		}
	}
	line("status", status)
	began := stamp(view.Started)
	if !view.Finished.IsZero() {
		began += ", took " + screen.Took(view.Finished.Sub(view.Started))
	}
	line("started", began)
	if folder, script, ok := h.folder(); ok {
		line("script", screen.Inert(script+", in "+folder))
	}
	if f := h.started.Fork; f != nil {
		line("fork of", fmt.Sprintf("%s at %d", f.Run, f.Seq))
	}
	if used := screen.Used(view.Usage); used != "" || view.Usage.Calls > 0 {
		text := plural(int(view.Usage.Calls), "call")
		if used != "" {
			text += ", " + used
		}
		line("used", text)
	}
	if e := view.Error; e != nil {
		text := e.Code + ": " + screen.OneLine(e.Message, 300)
		if e.Path != "" {
			text += " (step " + screen.Inert(string(e.Path)) + ")"
		}
		line("error", style.Red(text))
	}
	c.printSteps(view)
	c.printAnswers(view)
	for _, step := range waiting(view) {
		fmt.Fprintln(c.out)
		c.printQuestion(st, h.id, step)
	}
	if view.Status == run.Succeeded {
		if text := outputText(end.Value); text != "" {
			fmt.Fprintf(c.out, "\n%s\n", text)
		}
	}
	if again := s.forkLine(run.Finished{Status: view.Status, Error: view.Error}); again != "" {
		fmt.Fprintln(c.err, again)
	}
	return nil
}

// printAnswers lists what people said, and when.
func (c *console) printAnswers(view runs.View) {
	any := false
	for _, step := range view.Steps[:min(len(view.Steps), maxSteps)] {
		a := step.Answer
		if a == nil {
			continue
		}
		if !any {
			fmt.Fprintln(c.out)
			any = true
		}
		text := screen.Answer(a.Value, a.By, a.Reason)
		if a.By == runs.ByTimeout && step.Status != runs.Done {
			text = "not answered in time"
		}
		fmt.Fprintf(c.out, "%s %s  %s  %s\n", c.outStyle.Green("!"), c.outStyle.Bold(screen.Inert(string(step.Path))), c.outStyle.Dim(stamp(a.At)), text)
	}
}

// printQuestion shows a question that waits: what is asked, until when, what the answer has, and the command that answers it.
func (c *console) printQuestion(st *state, id run.ID, step runs.Step) {
	style, f := c.outStyle, step.Form
	fmt.Fprintf(c.out, "%s %s  %s\n", style.Yellow("?"), style.Bold(screen.Inert(string(step.Path))), screen.OneLine(f.Text, 300))
	if !step.Until.IsZero() {
		fmt.Fprintln(c.out, style.Dim("  until "+stamp(step.Until)))
	}
	for _, line := range append(form.Actions(*f), form.Fields(f.Answer())...) {
		fmt.Fprintln(c.out, "  "+line)
	}
	fmt.Fprintln(c.out, "  "+answerLine(st, id, step))
}

// maxOutput is how many lines of its value slop runs show shows.
const maxOutput = 20

func outputText(v any) string {
	text, ok := v.(string)
	if !ok && v != nil {
		text, _ = eval.Render(wire.Plain(v)) // it was rendered before
	}
	return screen.Inert(firstLines(strings.TrimRight(text, "\n"), maxOutput))
}

// maxSteps is how many steps are listed; the others are in --json.
const maxSteps = 200

func (c *console) printSteps(view runs.View) {
	if len(view.Steps) == 0 {
		return
	}
	fmt.Fprintln(c.out)
	rows := [][]string{{"STEP", "AGENT", "STATUS", "TRIES", "TOOK", "USED"}}
	for _, s := range view.Steps[:min(len(view.Steps), maxSteps)] {
		took := "–"
		if !s.Started.IsZero() && !s.Finished.IsZero() {
			took = screen.Took(s.Finished.Sub(s.Started))
		}
		used := screen.Used(s.Usage)
		switch {
		case s.Cached:
			used = "from the cache"
		case s.Kept:
			used = strings.TrimSuffix("kept, "+used, ", ")
		case s.Status == runs.Failed && s.Error != "":
			used = screen.OneLine(s.Error, 80)
		}
		rows = append(rows, []string{screen.OneLine(string(s.Path), 60), screen.OneLine(s.Agent, 30), string(s.Status), strconv.Itoa(s.Attempts), took, used})
	}
	c.printRows(rows, func(row, column int, text string) string {
		switch {
		case row == 0:
			return c.outStyle.Dim(text)
		case column == 2:
			return c.statusStyle(rows[row][2], text)
		}
		return text
	})
	if n := len(view.Steps) - maxSteps; n > 0 {
		fmt.Fprintf(c.out, "… and %d more: --json has all\n", n)
	}
}
