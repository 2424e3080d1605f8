// Package form asks a person for an answer, line by line: a word, or the fields of a form one after the other, until all of it fits.
package form

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// Dialogue is a form that is being answered. Its owner prints what Prompt says, hands each line that is typed to Line, and closes it.
type Dialogue struct {
	form   run.Form
	filled bool // a part of the answer was taken
	prompt string
	line   string
	err    error
	value  any
	reason string

	yield func(string) bool
	next  func() (string, bool)
	stop  func()
}

// New begins with the first prompt of a form.
func New(f run.Form) *Dialogue {
	d := &Dialogue{form: f}
	d.next, d.stop = iter.Pull(func(yield func(string) bool) {
		d.yield = yield
		d.ask()
	})
	d.prompt, _ = d.next()
	return d
}

// Prompt is what to print before the next line.
func (d *Dialogue) Prompt() string { return d.prompt }

// Line takes a line. It reports whether the answer is complete; an error says what is wrong with the line, and the prompt stands again.
func (d *Dialogue) Line(line string) (done bool, err error) {
	d.line, d.err = line, nil
	prompt, more := d.next()
	if !more {
		return true, nil
	}
	d.prompt = prompt
	return false, d.err
}

// Answer is what was said in all, and why, where a reason was given.
func (d *Dialogue) Answer() (value any, reason string) { return d.value, d.reason }

// Close ends the dialogue, complete or not.
func (d *Dialogue) Close() { d.stop() }

// hear waits for a line; false when there is nothing more to ask. As long as nothing is filled in, a line may hold all of the answer.
func (d *Dialogue) hear(prompt string) (string, bool) {
	for d.yield(prompt) {
		text := strings.TrimSpace(d.line)
		switch {
		case d.form.Kind == run.FillForm && strings.EqualFold(text, run.Decline):
			d.value = run.Decline
			return "", false
		case d.filled || !d.whole(text):
			return d.line, true
		}
		if d.form.Kind == run.FillForm && strings.EqualFold(text, "accept") {
			text = "{}"
		}
		if d.value, d.err = readJSON(d.form.Answer(), text); d.err == nil {
			return "", false
		}
	}
	return "", false
}

// whole reports whether a text is meant as all of the answer.
func (d *Dialogue) whole(text string) bool {
	switch d.form.Answer().Kind {
	case types.Record:
		return strings.HasPrefix(text, "{") || d.form.Kind == run.FillForm && strings.EqualFold(text, "accept")
	case types.List:
		return strings.HasPrefix(text, "[")
	}
	return false
}

func (d *Dialogue) ask() {
	f := &d.form
	if t := f.Answer(); len(f.Choices) == 0 && (t.Kind == types.Record && len(t.Fields) > 0 || t.Kind == types.List) {
		if v, ok := d.fill(t, ""); ok {
			d.value = v
		}
		return
	}
	d.filled = true // there is one line
	prompt := Hint(*f)
	for {
		line, ok := d.hear(prompt)
		if !ok {
			return
		}
		if d.value, d.reason, d.err = Read(*f, line); d.err == nil {
			return
		}
	}
}

// fill asks for a value of a type. Not ok: there is nothing more to ask.
func (d *Dialogue) fill(t types.Type, label string) (v any, ok bool) {
	switch {
	case t.Kind == types.Record && len(t.Fields) > 0:
		return d.record(t, label)
	case t.Kind == types.List:
		return d.list(t, label)
	}
	prompt := "  " + field(t, label)
	if t.Kind == types.Enum {
		prompt = "  " + label + ":" + choices(t.Values) + "\n" + prompt
	}
	for {
		line, ok := d.hear(prompt)
		if !ok {
			return nil, false
		}
		if v, d.err = one(t, line); d.err == nil {
			d.filled = true
			return v, true
		}
	}
}

// record asks for its fields, and again for those that break a condition.
func (d *Dialogue) record(t types.Type, label string) (any, bool) {
	values := make(map[string]any, len(t.Fields))
	asked := t.Fields
	for {
		for _, f := range asked {
			about := screen.Inert(f.Name)
			if label != "" {
				about = label + ", " + about
			}
			if f.Doc != "" {
				about = screen.OneLine(f.Doc, 200) + "\n  " + about
			}
			v, ok := d.fill(f.Type, about)
			if !ok {
				return nil, false
			}
			values[f.Name] = v
		}
		v, problems := eval.ReadAt(t, values)
		if len(problems) == 0 {
			return v, true
		}
		d.err = problem(problems[0])
		asked = blamed(t, problems[0].At)
	}
}

// list asks for one item after the other.
func (d *Dialogue) list(t types.Type, label string) (any, bool) {
	item, list := t.Item(), []any{}
	deep := item.Kind == types.Record || item.Kind == types.List
	for {
		at := strings.TrimSpace(label + " " + strconv.Itoa(len(list)+1))
		prompt := "  " + at + " (" + word(item) + ", empty: no more): "
		switch {
		case deep:
			prompt = "  " + at + ": is there one? [yes/no] "
		case item.Kind == types.Enum:
			prompt = "  " + at + ":" + choices(item.Values) + "\n" + prompt
		}
		line, ok := d.hear(prompt)
		if !ok {
			return nil, false
		}
		text := strings.TrimSpace(line)
		if text == "" {
			return list, true
		}
		var v any
		if !deep {
			if v, d.err = one(item, line); d.err == nil {
				list, d.filled = append(list, v), true
			}
			continue
		}
		if v, d.err = one(types.Type{Kind: types.Bool}, text); d.err != nil {
			continue
		}
		if d.filled = true; v == false {
			return list, true
		}
		if v, ok = d.fill(item, at); !ok {
			return nil, false
		}
		list = append(list, v)
	}
}

// blamed are the fields to ask for again.
func blamed(t types.Type, pointer string) []types.Field {
	name, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
	if i := slices.IndexFunc(t.Fields, func(f types.Field) bool { return f.Name == name }); i >= 0 {
		return t.Fields[i : i+1]
	}
	return t.Fields
}

func problem(p eval.Misfit) error {
	if p.At == "" {
		return errors.New(p.Message)
	}
	return fmt.Errorf("%s: %s", p.At, p.Message)
}

func field(t types.Type, label string) string {
	kind := word(t)
	if t.Optional {
		kind += ", empty: none"
	}
	return strings.TrimSpace(label+" ("+kind+")") + ": "
}

func choices(values []string) string {
	var b strings.Builder
	for i, v := range values {
		fmt.Fprintf(&b, "  %d %s", i+1, screen.OneLine(v, 60))
	}
	return b.String()
}

// word is what a person is to type.
func word(t types.Type) string {
	switch t.Kind {
	case types.String:
		return "text"
	case types.Int:
		return "whole number"
	case types.Float:
		return "number"
	case types.Bool:
		return "yes/no"
	case types.Enum:
		return "1-" + strconv.Itoa(len(t.Values))
	case types.List, types.Record:
		return "JSON"
	}
	return screen.Inert(t.String())
}
