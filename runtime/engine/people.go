package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
)

// Answer implements runs.Runs.
func (e *Engine) Answer(ctx context.Context, id run.ID, path run.Path, value any, by string) error {
	value, reason := runs.Reason(value)
	err, ok := e.mail(ctx, id, letter{kind: answerLetter, path: path, value: value, by: by, reason: reason})
	if !ok {
		_, err = e.reached(ctx, func(ctx context.Context) (run.ID, error) { return id, e.tellAnswer(ctx, id, path, value, by, reason) })
		return err
	}
	if errors.Is(err, runs.ErrAnswered) || errors.Is(err, runs.ErrNotAsked) || errors.Is(err, runs.ErrFinished) {
		// Whose answer counts stands in the log. A session forgets it.
		if facts, p, failed := e.history(ctx, id); failed == nil {
			if _, _, said := question(id, p, facts, path); said != nil {
				return said
			}
		}
	}
	return err
}

// tellAnswer answers a question of a run that has no session here.
func (e *Engine) tellAnswer(ctx context.Context, id run.ID, path run.Path, value any, by, reason string) error {
	facts, p, err := e.history(ctx, id)
	if err != nil {
		return outward(err)
	}
	form, asked, err := question(id, p, facts, path)
	if err != nil {
		return err
	}
	value, err = fitting(form, value)
	if err != nil {
		return err
	}
	var secrets redactor
	e.acquaint(p, &secrets)
	value, reason = secrets.value(value), secrets.reason(reason)
	if !chosen(form, value) {
		if value, err = e.shelve(ctx, value); err != nil {
			return err
		}
	}
	// Of answers told at the same time the first is kept, and no other stands in the history.
	answer := run.Fact{At: time.Now().UTC().Round(0), Body: &run.Answered{Path: path, Value: value, By: by, Reason: reason}}
	seq, err := e.store.Tell(ctx, id, answer, fmt.Sprintf("answer %d %s", asked, path))
	if err != nil && !errors.Is(err, store.ErrFinished) {
		return outward(err)
	}
	told := err
	if facts, err = e.store.Load(ctx, id, 0); err != nil {
		return outward(err)
	}
	if told != nil {
		if _, _, err = question(id, p, facts, path); err == nil {
			err = outward(told)
		}
		return err
	}
	if _, _, err = question(id, p, facts[:seq-1], path); err != nil {
		return err
	}
	first := facts[seq-1]
	if b, ok := first.Body.(*run.Answered); !ok || b.By != by || !first.At.Equal(answer.At) {
		return closed(path, first, run.Delta{})
	}
	return nil
}

// question finds the form of an open question in a history, and the fact that asks it, or says why it is not open: *runs.AnsweredError, ErrNotAsked, ErrFinished.
func question(id run.ID, p *plan.Plan, facts []run.Fact, path run.Path) (form *run.Form, asked run.Seq, err error) {
	var m *machine.Machine
	if p != nil && len(p.Blocks) > 0 {
		m = machine.New(id, p)
	}
	wish := (&run.AskWish{Path: path}).ID()
	over := runs.ErrNotAsked
	finished := false
	for _, f := range facts {
		switch b := f.Body.(type) {
		case *run.Asked:
			if b.Path == path {
				form, asked, over = &b.Form, f.Seq, nil
			}
		case *run.Finished:
			finished = true
		}
		if m == nil {
			continue
		}
		delta, err := m.Apply(f)
		switch {
		case errors.Is(err, machine.ErrStale):
		case err != nil:
			m = nil
		case form != nil && slices.Contains(delta.Closed, wish) && !slices.ContainsFunc(delta.Opened, func(w run.Wish) bool { return w.ID() == wish }):
			over = closed(path, f, delta)
		}
	}
	switch {
	case over != nil && !(finished && over == runs.ErrNotAsked):
		return nil, 0, over
	case finished:
		return nil, 0, runs.ErrFinished
	case m == nil:
		return nil, 0, runs.ErrAnswered
	}
	return form, asked, nil
}

// closed says what closed a question: an answer, the end of its time, or that nobody needs to know any more.
func closed(path run.Path, f run.Fact, delta run.Delta) error {
	if b, ok := f.Body.(*run.Answered); ok && b.Path == path {
		return &runs.AnsweredError{Path: path, By: b.By, At: f.At}
	}
	for i := range delta.Taken {
		f := &delta.Taken[i].Fact
		if b, ok := f.Body.(*run.Answered); ok && b.Path == path {
			return &runs.AnsweredError{Path: path, By: b.By, At: f.At}
		}
	}
	for i := range delta.Notes {
		if n := &delta.Notes[i]; n.Kind == run.NoteFailed && n.Path == path && n.Error != nil && n.Error.Kind == string(run.Timeout) {
			return &runs.AnsweredError{Path: path, By: runs.ByTimeout, At: f.At}
		}
	}
	return runs.ErrNotAsked
}

// fitting reads an answer as its question wants it. A text stands for the JSON in it, unless a text is wanted.
func fitting(form *run.Form, v any) (any, error) {
	value, err := normal(v)
	if err != nil {
		return nil, &runs.UnfitError{Problems: []eval.Misfit{{Message: err.Error()}}}
	}
	if form.Declined(value) {
		return value, nil
	}
	if form.Kind == run.InterruptedForm {
		r, ok := value.(map[string]any)
		if done, said := r["done"]; ok && said && len(r) == 1 {
			done, problems := spoken(form.Type, done)
			for i := range problems {
				problems[i].At = "/done" + problems[i].At
			}
			if len(problems) > 0 {
				return nil, &runs.UnfitError{Problems: problems}
			}
			return map[string]any{"done": done}, nil
		}
	}
	t := form.Answer()
	value, problems := spoken(t, value)
	if len(problems) > 0 {
		return nil, &runs.UnfitError{Problems: problems}
	}
	return value, nil
}

// spoken reads what a person said as a value of type t.
func spoken(t types.Type, v any) (any, []eval.Misfit) {
	if s, ok := v.(string); ok && !textual(t) {
		s = strings.TrimSpace(s)
		if read, err := decode(s); err == nil && t.Kind != types.Enum {
			v = read
		} else {
			v = s
		}
	}
	return eval.ReadAt(t, v)
}
