package trial

import (
	"strings"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// judge holds the end of the run against what the test expects. A run that fails although nothing expects it fails the test.
func (w *world) judge() {
	failed := w.finished.Status != run.Succeeded
	message := ""
	if w.finished.Error != nil {
		message = w.finished.Error.Message
	}
	expectsFailure := false
	for _, l := range w.test.Lines {
		if l.Kind == "expect fail" {
			expectsFailure = true
			switch {
			case !failed:
				w.problem(l.At, "output was "+show(w.finished.Value), "expected the flow to fail with %q, and it did not fail", l.Message)
			case !strings.Contains(message, l.Message):
				w.problem(l.At, "it failed with "+show(message), "expected the flow to fail with %q", l.Message)
			}
		}
	}
	if failed {
		if !expectsFailure {
			at := w.test.At
			if e := w.finished.Error; e != nil && e.Line > 0 {
				at = source.Pos{File: e.File, Line: e.Line, Column: e.Column}
				if from := runs.Callers(w.plan, e.Path); len(from) > 0 {
					at = from[0]
				}
			}
			where := ""
			if e := w.finished.Error; e != nil && e.Path != "" {
				where = " at " + string(e.Path)
			}
			w.problem(at, "", "the flow failed%s: %s", where, message)
		}
		return
	}
	env := w.env()
	env["output"] = w.finished.Value
	for _, l := range w.test.Lines {
		if l.Kind != "expect" {
			continue
		}
		v, err := value(l.Exprs[0], env)
		switch {
		case err != nil:
			w.problem(l.At, "output was "+show(w.finished.Value), "cannot compute `%s`: %s", w.source(l), err)
		case v != true:
			w.problem(l.At, "output was "+show(w.finished.Value), "expected %s", w.source(l))
		}
	}
}

// source is the expectation as its author wrote it.
func (w *world) source(l plan.TestLine) string {
	for _, s := range w.plan.Sources {
		if s.Name != l.At.File {
			continue
		}
		line := strings.TrimSpace(source.NewFile(s.Name, s.Text).Line(l.At.Line))
		if rest, ok := strings.CutPrefix(line, "expect"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return l.Exprs[0].Code
}

func value(e plan.Expr, env map[string]any) (any, error) {
	if len(e.Path) > 0 {
		return eval.Path(env, e.Path)
	}
	p, err := eval.Compile(e.Code)
	if err != nil {
		return nil, err
	}
	return p.Eval(env)
}

// show is a value on a few lines.
func show(v any) string {
	if s, ok := v.(string); ok {
		return clip(quote(s))
	}
	text, err := eval.Render(v)
	if err != nil {
		return "a file"
	}
	return clip(text)
}

func quote(s string) string {
	text, err := eval.Render([]any{s}) // as JSON, without escaping letters
	if err != nil {
		return s
	}
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "["), "]"))
}

const maxShown = 1000

func clip(s string) string {
	r := []rune(s)
	if len(r) <= maxShown {
		return s
	}
	return string(r[:maxShown]) + "…"
}
