package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/slopstudios/slop/cmd/slop/form"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// showFlags say what a command that takes a run to its end shows of it.
type showFlags struct {
	Events  string `placeholder:"ndjson" help:"Print every event as a line of JSON on standard output, instead of the value."`
	JSON    bool   `name:"json" help:"Print the run as one JSON object on standard output, instead of the value."`
	Quiet   bool   `short:"q" help:"Show no progress."`
	Verbose bool   `short:"v" help:"Show in lines what the engine does besides, such as a store that fails for a while."`

	outFolder `embed:""`
}

func (v *showFlags) check() error {
	switch {
	case v.Events != "" && v.Events != "ndjson":
		return usage("--events knows one form: --events ndjson")
	case v.Events != "" && v.JSON:
		return usage("--events and --json both want standard output: choose one")
	}
	return v.find()
}

// log is where the engine says what it does besides; nil: nowhere.
func (v showFlags) log(c *console) io.Writer {
	if v.Verbose {
		return c.err
	}
	return nil
}

// session is a run of p as the flags want it shown.
func (v showFlags) session(c *console, pr *project, h *host, p *plan.Plan) *session {
	h.know(pr, p.Secrets)
	s := &session{c: c, runs: h.engine, plan: p, redact: h.redact, state: h.state}
	if h.state != nil {
		s.leave, s.troubles = h.leave, h.witness.news
	}
	switch {
	case v.Events != "":
		s.events = c.out
	case v.Quiet || v.JSON && !c.live:
		// nothing moves on the screen
	case c.live && !v.Verbose:
		s.screen = screen.NewTree(c.err, c.style, func() (int, int) { return c.width(), c.height() }, firstSteps(p), s.agent)
	default:
		s.screen = screen.NewLines(c.err, c.style, s.agent)
	}
	return s
}

// present takes a run to its end and prints what the flags ask for.
func (v showFlags) present(c *console, h *host, s *session, begin func(context.Context) (run.ID, error), options run.Options) error {
	begun := time.Now()
	end, err := s.play(context.Background(), begin)
	switch {
	case errors.Is(err, errAtOnce):
		h.abandon()
		if v.JSON && h.state == nil {
			c.printJSON(s.report(run.Finished{Status: run.Cancelled}))
		} else if v.JSON {
			c.printJSON(s.report(s.sofar()))
		}
		s.sayResume()
		return &exit{code: exitInterrupted}
	case errors.Is(err, errUnread):
		s.sayResume()
		return nil // what is wrong is standard output, of which Main speaks
	case errors.Is(err, errLeft):
		if v.JSON {
			c.printJSON(s.report(s.sofar()))
		}
		s.sayResume()
		return &exit{code: exitInterrupted}
	case errors.Is(err, errWaits):
		_ = h.engine.Close(context.Background()) // what is stored is stored
		if all, err := h.state.history(context.Background(), s.id); err == nil {
			s.folder = all.fold() // with the questions that were asked at the same time
		}
		if v.JSON {
			c.printJSON(s.report(s.sofar()))
		}
		s.drawWaiting()
		return &exit{code: exitWaiting}
	case errors.Is(err, runs.ErrInput):
		if v.JSON {
			c.printJSON(notRun("E_USAGE", err.Error()))
		} else if v.Events != "" {
			c.printUnstarted(notRun("E_USAGE", err.Error()))
		}
		return &exit{exitUsage, err}
	case errors.As(err, new(*exit)):
		return err // it says itself what is wrong
	case err != nil && h.state != nil && s.id == "":
		return h.state.unusable(err)
	case err != nil && h.state != nil:
		return &exit{exitUnreachable, fmt.Errorf("run %s stopped: %w\n  it is kept as far as it was stored: slop resume%s %s", s.id, err, s.state.said, s.id)}
	case err != nil:
		return err
	}
	code := s.exitCode(end, options)
	if v.Out != "" && end.Status == run.Succeeded {
		if end.Value, err = v.writeFiles(c, end.Value); err != nil {
			return &exit{exitFailed, fmt.Errorf("the run succeeded, but its files could not be written: %w%s", err, s.filesAgain())}
		}
	}
	switch {
	case v.Events != "":
	case v.JSON:
		c.printJSON(s.report(end))
	case end.Status == run.Succeeded:
		if s.screen != nil && c.live {
			c.sayTotal(s.folder.View(), s.took(begun))
		}
		c.printValue(end.Value)
	}
	if s.unread && code == exitInterrupted && !s.interrupted {
		return nil // nobody interrupted it: what is wrong is standard output, of which Main speaks
	}
	if end.Status != run.Succeeded {
		s.drawFailure(end, code)
	}
	if code != exitOK {
		return &exit{code: code}
	}
	return nil
}

// filesAgain says how to get the files of a run that is kept.
func (s *session) filesAgain() string {
	if s.state == nil || s.id == "" {
		return ""
	}
	return fmt.Sprintf("\n  they are kept with the run: slop resume%s %s -o DIR", s.state.said, s.id)
}

// took is how long the run took, which may be longer than this process.
func (s *session) took(begun time.Time) time.Duration {
	if view := s.folder.View(); s.past > 0 && !view.Finished.IsZero() {
		return view.Finished.Sub(view.Started)
	}
	return time.Since(begun)
}

// sofar stands for the end of a run that has none yet.
func (s *session) sofar() run.Finished { return run.Finished{Status: s.folder.Status()} }

// sayResume says how to go on with a run that is kept.
func (s *session) sayResume() {
	if s.state == nil || s.id == "" {
		return
	}
	fmt.Fprintf(s.c.err, "run %s is kept where it is; go on with it:\n  slop resume%s %s\n", s.id, s.state.said, s.id)
}

// drawWaiting says which answers a run waits for that is kept, and how to give them.
func (s *session) drawWaiting() {
	asked := waiting(s.folder.View())
	if len(asked) == 0 {
		return
	}
	first := asked[0]
	s.unasked = &run.Asked{Path: first.Path, Form: *first.Form}
	var help []string
	for _, step := range asked {
		if step.Path != first.Path {
			help = append(help, fmt.Sprintf("step %s waits too: %s", step.Path, screen.OneLine(s.redact(step.Form.Text), 200)))
		}
		help = append(help, answerLine(s.state, s.id, step))
	}
	s.drawNoPerson(append(help, fmt.Sprintf("then go on: slop resume%s %s", s.state.said, s.id)))
}

// waiting are the steps that wait for a person.
func waiting(view runs.View) []runs.Step {
	var asked []runs.Step
	for _, step := range view.Steps {
		if step.Status == runs.Asking && step.Form != nil {
			asked = append(asked, step)
		}
	}
	return asked
}

// answerLine is the command that answers a question.
func answerLine(st *state, id run.ID, step runs.Step) string {
	begin := fmt.Sprintf("slop answer%s %s %s ", st.said, id, shellWord(string(step.Path)))
	f := step.Form
	switch {
	case f.Kind == run.ApproveForm:
		return begin + "approve, or reject \"why\""
	case f.Kind == run.FillForm && len(f.Type.Fields) == 0:
		return begin + "accept, or decline"
	case f.Kind == run.FillForm:
		return begin + shellWord(form.Sample(f.Type)) + ", or decline"
	case f.Kind == run.InterruptedForm:
		return begin + "done [VALUE], or again, or fail"
	}
	switch t := f.Answer(); t.Kind {
	case types.String:
		return begin + "\"…\""
	case types.Enum:
		words := make([]string, len(t.Values))
		for i, choice := range t.Values {
			words[i] = shellWord(choice)
		}
		return begin + screen.OneLine(strings.Join(words, ", or "), 200)
	default:
		return begin + shellWord(form.Sample(t))
	}
}
