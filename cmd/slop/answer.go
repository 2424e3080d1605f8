package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/form"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

type answerCmd struct {
	stateFlag  `embed:""`
	serverFlag `embed:""`
	ID         string   `arg:"" optional:"" help:"The run, or the beginning of its id."`
	Step       string   `arg:"" optional:"" help:"The step that asks. Without it: the questions that wait."`
	Words      []string `arg:"" optional:"" name:"answer" help:"The answer; @path reads it from a file, - from standard input."`
}

func (answerCmd) Help() string {
	return `What a step takes:

  human.approve   approve, or reject "why"
  human.choose    one of its choices, or its number
  human.ask       a text; behind 'as T' a number, yes or no, a choice, or JSON such as '{"city": "Oslo", "days": 3}'
  a form that an agent gave up in mid-call (its step ends in ?1, ?2 …: quote it)
                  its fields as JSON, or the value of its only field, or decline
  a call that was cut off and may have done its work
                  done, done VALUE (or done @path), again, or fail

On a terminal an answer may be left out: then it is asked for, field by field. What does not fit is said with a JSON pointer, such as /days, and nothing is
recorded. The first answer counts, with your name and the time; who comes later is told who was first. A run that a process works on goes on at once; else slop resume ID goes on with it.`
}

func (v *answerCmd) Run(c *console) error {
	if v.ID == "" {
		return usage("slop answer needs a run: slop answer ID STEP ANSWER; `slop runs --status waiting` lists those that wait")
	}
	ctx := context.Background()
	st, h, err := (&runArg{v.stateFlag, v.serverFlag, v.ID}).run(ctx)
	if err != nil {
		return err
	}
	defer st.close()
	view := h.fold().View()
	asked := waiting(view)
	if v.Step == "" {
		return listQuestions(c, st, h, asked)
	}
	step, err := v.find(st, h, view, asked)
	if err != nil {
		return err
	}
	var value any
	var reason string
	switch {
	case len(v.Words) > 0:
		if value, reason, err = v.read(c, step.Form); err != nil {
			return usage("%s: %s\n  %s", step.Path, err, answerLine(st, h.id, *step))
		}
	case !c.asks:
		return usage("what is the answer? %s", answerLine(st, h.id, *step))
	default:
		ok := false
		if value, reason, ok = c.askFor(&run.Asked{Path: step.Path, Form: *step.Form, Deadline: step.Until}); !ok {
			return usage("there was no answer: nothing is recorded")
		}
	}
	e := st.bystander(h.secrets())
	defer func() { _ = e.Close(ctx) }() // what is stored is stored
	var there runs.Runs = e
	if st.api != nil {
		there = st.api // it knows whose answer came first
	}
	switch err := there.Answer(ctx, h.id, step.Path, runs.Because(value, reason), whoami()); {
	case errors.Is(err, runs.ErrAnswered):
		return usage("%s", screen.Inert(err.Error()))
	case errors.Is(err, runs.ErrNotAsked):
		return usage("step %s asks nothing any more", step.Path)
	case errors.Is(err, runs.ErrAnswer):
		return usage("%s\n  %s", err, answerLine(st, h.id, *step))
	case err != nil:
		return st.told(err, h.id)
	}
	_ = e.Relist(ctx, h.id) // derived: the next fact of the run writes it too
	return st.sayWhoGoesOn(ctx, c, h.id)
}

func listQuestions(c *console, st *state, h *history, asked []runs.Step) error {
	if len(asked) == 0 {
		return usage("run %s asks nothing", h.id)
	}
	for _, step := range asked {
		c.printQuestion(st, h.id, step)
	}
	return nil
}

// find gives the step that asks.
func (v *answerCmd) find(st *state, h *history, view runs.View, asked []runs.Step) (*runs.Step, error) {
	var names []string
	for i := range asked {
		if string(asked[i].Path) == v.Step {
			return &asked[i], nil
		}
		names = append(names, string(asked[i].Path))
	}
	for _, step := range view.Steps {
		switch a := step.Answer; {
		case string(step.Path) != v.Step:
		case a != nil && a.By == runs.ByTimeout:
			return nil, usage("step %s was not answered in time: it was over at %s", v.Step, stamp(a.At))
		case a != nil:
			return nil, usage("step %s was answered at %s: %s", v.Step, stamp(a.At), screen.Answer(a.Value, a.By, a.Reason))
		default:
			return nil, usage("step %s asks nothing: it is %s", v.Step, step.Status)
		}
	}
	switch near, ok := diag.Nearest(v.Step, names); {
	case h.finished() != nil:
		return nil, usage("run %s has ended", h.id)
	case len(names) == 0:
		return nil, usage("run %s asks nothing", h.id)
	case ok:
		return nil, usage("run %s has no question %q, did you mean %q?", h.id, v.Step, near)
	default:
		return nil, usage("run %s has no question %q; it asks at: %s", h.id, v.Step, strings.Join(names, ", "))
	}
}

// maxAnswer is more than any answer may have.
const maxAnswer = 1 << 20

// read turns the words of the command line into the value a form asks for.
func (v *answerCmd) read(c *console, f *run.Form) (value any, reason string, err error) {
	if f.Kind == run.ApproveForm {
		if value, _, err = form.Read(*f, v.Words[0]); err != nil {
			return nil, "", errors.New("please say approve or reject")
		}
		return value, strings.Join(v.Words[1:], " "), nil
	}
	words := v.Words
	if n := len(words); n == 1 && len(f.Choices) == 0 || n == 2 && f.Kind == run.InterruptedForm && strings.EqualFold(words[0], "done") {
		words = slices.Clone(words)
		if words[n-1], err = c.textOf(words[n-1]); err != nil {
			return nil, "", err
		}
	}
	return form.Read(*f, strings.Join(words, " "))
}

// askFor puts one question on the terminal. Not ok: there was no answer.
func (c *console) askFor(q *run.Asked) (value any, reason string, ok bool) {
	s := &session{c: c, redact: func(text string) string { return text }}
	s.show(q)
	defer s.silence()
	for {
		line, ok := c.readLine()
		if !ok {
			fmt.Fprintln(c.err)
			return nil, "", false
		}
		done, err := s.dialogue.Line(line)
		if done {
			value, reason = s.dialogue.Answer()
			return value, reason, true
		}
		c.complain(err)
		fmt.Fprint(c.err, s.dialogue.Prompt())
	}
}

// textOf reads an answer that @path or - stands for.
func (c *console) textOf(word string) (string, error) {
	name, file := strings.CutPrefix(word, "@")
	if !file && word != "-" {
		return word, nil
	}
	in := c.in
	if file {
		f, err := os.Open(name)
		if err != nil {
			return "", plainPathError(err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxAnswer+1))
	switch {
	case err != nil:
		return "", plainPathError(err)
	case len(data) > maxAnswer:
		return "", fmt.Errorf("an answer has %d bytes at most", maxAnswer)
	}
	return string(data), nil
}
