package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// kept is something that ran well, for :save.
type kept struct {
	text string
	name string // it gave a value or declaration this name; empty for a gate
	kind string // of a declaration, or one of those below
}

const (
	namedLine = "named" // a step or a let
	gateLine  = "gate"  // a require
	callLine  = "call"  // a step without a name: what it did counts even when nobody reads its value
	valueLine = "value" // an expression, to look at
)

func (r *repl) keep(k kept) { r.history = append(r.history, k) }

// keptStatement is a statement as :save will need it. A line without a name has lost its `output`: only the last line of a script may have it.
func keptStatement(src *source.File, item syntax.Item) kept {
	switch item := item.(type) {
	case *syntax.StepStmt:
		if item.Name == nil {
			return kept{src.Text[item.Span().Start:], "_", callLine}
		}
		return kept{written(src), item.Name.Text, namedLine}
	case *syntax.Let:
		return kept{written(src), item.Name.Text, namedLine}
	case *syntax.Output:
		if step := item.Value.Step; step != nil {
			return kept{src.Text[step.Span().Start:], "_", callLine}
		}
		return kept{src.Text[item.Value.Expr.Span().Start:], "_", valueLine}
	}
	return kept{written(src), "", gateLine}
}

// script is what ran well as one script, where a name is given once and only the last line has none.
func (r *repl) script() string {
	last := -1
	for i, k := range r.history {
		switch k.kind {
		case namedLine, gateLine, callLine, valueLine:
			last = i
		}
	}
	names := map[string]string{} // what a name of the session is called in the script, as far as we are
	var lines []string
	for i, k := range r.history {
		again, read := r.later(i)
		head, text, name := "", k.text, k.name
		switch {
		case i == last && k.kind == valueLine:
			head = valueWord
		case i == last && k.kind == callLine:
		case k.kind == valueLine && !read:
			continue // it was looked at
		case k.kind == callLine && !read:
			head = fmt.Sprintf("line%d = ", i+1)
		case k.kind == callLine:
			name = fmt.Sprintf("line%d", i+1)
			head = name + " = "
		case k.kind == valueLine:
			name = fmt.Sprintf("line%d", i+1)
			head = "let " + name + " = "
		case again && !read:
			continue // a later line took its place
		case again:
			name = fmt.Sprintf("%s_%d", k.name, i+1)
		}
		if before, after, ok := strings.Cut(text, k.name); ok && head == "" && k.name != "" {
			head, text = before+name, after
		}
		lines = append(lines, head+r.renamed(text, names))
		names[k.name] = name
	}
	return strings.Join(lines, "\n") + "\n"
}

// maxRenamed bounds how often one line may mention one name that is to change.
const maxRenamed = 200

// renamed is a line, or what stands behind the name it gives, with names as the script has them. A mention is what the checker does not know when the
// name is missing: the same word in a prompt stays.
func (r *repl) renamed(text string, names map[string]string) string {
	for name, other := range names {
		if name == other || !mentions(text, name) {
			continue
		}
		for range maxRenamed {
			span, found := r.mention(text, name, other)
			if !found {
				break
			}
			text = text[:span.Start] + other + text[span.End:]
		}
	}
	return text
}

// mention finds the first mention of name in the rest of a line.
func (r *repl) mention(text, name, other string) (span source.Span, found bool) {
	scope := r.project.scope()
	for _, b := range append(r.values, binding{name: other, kind: types.Type{Kind: types.Any}}) {
		if b.name != name {
			scope.Values = append(scope.Values, types.Field{Name: b.name, Type: b.kind})
		}
	}
	lead := "given_" // any name will do for the one the line gives
	if trimmed := strings.TrimSpace(text); !strings.HasPrefix(trimmed, "=") && !strings.HasPrefix(trimmed, ":") {
		lead = ""
	}
	declared := "\n"
	for _, d := range r.declared {
		declared += d.text + "\n"
	}
	for _, form := range []string{lead, "let " + lead, valueWord} {
		src := source.NewFile("repl", form+text+declared)
		if _, diags := syntax.Parse(src); diags.HasErrors() {
			continue
		}
		_, diags := lang.Check(src, scope)
		for _, d := range diags {
			if d.Code == "E0101" && src.Slice(d.Span) == name && d.Span.End <= len(form+text) {
				return source.Span{Start: d.Span.Start - len(form), End: d.Span.End - len(form)}, true
			}
		}
	}
	return span, false
}

// later reports whether the name that line i gave is given again, and whether a line reads it until then. A declaration holds for all lines, so that its
// last form is the one they get.
func (r *repl) later(i int) (again, read bool) {
	k := r.history[i]
	value := func(k kept) bool {
		return k.kind == namedLine || k.kind == callLine || k.kind == valueLine || k.kind == "input"
	}
	for _, other := range r.history[i+1:] {
		read = read || value(k) && mentions(afterName(other), k.name)
		if other.name == k.name && (value(k) && value(other) || k.kind == other.kind) {
			return true, read
		}
	}
	return false, read
}

// afterName is a line without the name it gives.
func afterName(k kept) string {
	if k.name == "_" {
		return k.text
	}
	_, rest, _ := strings.Cut(k.text, k.name)
	return rest
}

func (r *repl) save(path string) error {
	if path == "" {
		return usage(":save needs a file: :save hello.slop")
	}
	if len(r.history) == 0 {
		return usage("nothing has run yet")
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		if os.IsExist(err) {
			return usage("%s is there already: choose another name", path)
		}
		return usage("%s", plainPathError(err))
	}
	text := r.script()
	_, err = f.WriteString(text)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if _, diags := lang.Check(source.NewFile(path, text), r.project.scope()); diags.HasErrors() {
		fmt.Fprintf(r.c.err, "%s is written, but not a script yet, for instance because a name was given twice: slop check %s\n", path, path)
	}
	return nil
}
