package syntax

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// reserved words are no value names: they begin lines, steps and clauses, or mean something in an expression, or are kept for later.
var reserved = map[string]bool{
	"use": true, "input": true, "secret": true, "budget": true, "type": true, "agent": true, "test": true, "let": true, "require": true, "stop": true, "output": true,
	"parallel": true, "sequence": true, "race": true, "map": true, "reduce": true, "if": true, "match": true, "loop": true, "try": true,
	"as": true, "after": true, "retry": true, "repair": true, "timeout": true, "cache": true, "else": true,
	"true": true, "false": true, "nil": true, "in": true, "and": true, "or": true, "not": true, "matches": true, "contains": true, "startsWith": true, "endsWith": true,
	"run": true, "error": true,
	"flow": true, "import": true, "for": true, "while": true, "fn": true, "async": true, "return": true, "on": true, "finally": true, "when": true, "key": true,
}

// Reserved tells whether a word may not be the name of a value, an agent or a flow.
func Reserved(word string) bool { return reserved[word] }

// declare reports names that nothing may have.
func (r *reader) declare(names ...*Name) {
	for _, n := range names {
		if n == nil || !reserved[n.Text] {
			continue
		}
		what := "is a word of the language"
		switch {
		case n.Text == "run" || n.Text == "error":
			what = "means something in every expression"
		case later[n.Text]:
			what = "is kept for later"
		}
		r.report(diag.Diagnostic{
			Code: "E0105", Span: n.At, Message: fmt.Sprintf("`%s` cannot be a name: it %s", n.Text, what), Label: fmt.Sprintf("write, for instance, `%s`", another(n.Text)),
		})
	}
}

// another is a name close to a reserved word.
func another(word string) string {
	if good, ok := map[string]string{
		"input": "question", "output": "result", "error": "problem", "type": "kind", "test": "trial", "key": "api_key", "run": "session", "map": "notes", "match": "found",
		"budget": "limit", "in": "source", "use": "usage",
	}[word]; ok {
		return good
	}
	return "the_" + word
}

// names checks what a node declares.
func (r *reader) names(n any) {
	switch n := n.(type) {
	case *Use:
		r.declare(&n.As)
	case *Input:
		r.declare(&n.Name)
	case *Secret:
		r.declare(&n.Name)
	case *Agent:
		r.declare(&n.Name)
	case *StepStmt:
		r.declare(n.Name)
	case *Let:
		r.declare(&n.Name)
	case *Map:
		r.declare(&n.Item, n.Index, n.Into)
		r.atLeastOne(n.At, "limit", n.Limit)
	case *Reduce:
		r.declare(&n.Part)
	case *Loop:
		r.declare(&n.Var)
	case *Group:
		r.atLeastOne(n.At, "limit", n.Limit)
	case *Race:
		r.atLeastOne(n.At, "race", n.N)
	case *Clause:
		r.something(n)
	case *Budget:
		if n.Amount.nothing() {
			r.report(diag.Diagnostic{Code: "E0019", Span: n.At, Message: "with a budget of nothing nothing can run", Label: "allow something, or remove this"})
		}
	case *Type:
		r.foreignType(n)
	case *Call:
		r.elseLast(n.Clauses)
	}
}

// elseLast reports a clause behind the else: it would look as if it belonged to the fallback.
func (r *reader) elseLast(clauses []Clause) {
	last := -1
	for i, c := range clauses {
		if c.Kind == ElseClause {
			last = i
		} else if last >= 0 {
			r.report(diag.Diagnostic{
				Code: "E0001", Span: c.At, Message: fmt.Sprintf("`%s` stands behind `else`, which comes last", c.Kind), Label: "move it before `else`",
			})
			return
		}
	}
}

func (a Amount) nothing() bool {
	return a.Money == 0 && a.Tokens == 0 && a.Calls == 0 && a.Duration == 0
}

// something reports a duration or a budget of nothing, which the tree cannot tell from none.
func (r *reader) something(c *Clause) {
	d := diag.Diagnostic{Code: "E0019", Span: c.At, Label: "allow something, or remove this"}
	switch {
	case c.Kind == TimeoutClause && c.Duration == 0:
		d.Message = "in no time nothing can be done"
	case c.Kind == CacheClause && c.Duration == 0:
		d.Message = "an answer that is kept for no time is not kept"
	case c.Kind == BudgetClause && c.Amount.nothing():
		d.Message = "with a budget of nothing nothing can run"
	default:
		return
	}
	r.report(d)
}

// atLeastOne reports `limit 0`, which the tree cannot tell from no limit.
func (r *reader) atLeastOne(at source.Span, word string, n int) {
	if n > 0 {
		return
	}
	head, _, _ := strings.Cut(r.src.Slice(at), "{")
	i := strings.LastIndex(head, word+" ")
	if i < 0 || strings.TrimSpace(head[i+len(word):]) == "" || strings.TrimSpace(head[i+len(word):])[0] != '0' {
		return
	}
	r.report(diag.Diagnostic{
		Code: "E0020", Span: source.Span{Start: at.Start + i, End: at.Start + i + len(strings.TrimRight(head[i:], " \t\r\n"))},
		Message: fmt.Sprintf("`%s 0` would run nothing", word), Label: "at least 1",
	})
}

// foreignType notes a type that other languages know; it is reported at the end, if the file does not declare a type of that name.
func (r *reader) foreignType(t *Type) {
	if t.Name != nil && foreignTypes[t.Name.Text] != "" {
		r.foreignTypes = append(r.foreignTypes, *t.Name)
	}
}

func (r *reader) reportForeignTypes() {
	own := map[string]bool{}
	for _, item := range r.file.Items {
		if def, ok := item.(*TypeDef); ok {
			own[def.Name.Text] = true
		}
	}
	for _, n := range r.foreignTypes {
		if own[n.Text] {
			continue
		}
		good := foreignTypes[n.Text]
		d := diag.Diagnostic{
			Code: "E0012", Span: n.At, Message: fmt.Sprintf("there is no type `%s`", n.Text), Label: fmt.Sprintf("write `%s`", good),
			Help: []string{"types are string, int, float, bool, file, any, lists as [string], records as {name: string}, and those of this file"},
			Fix:  &diag.Fix{Span: n.At, Text: good},
		}
		switch {
		case good == "float":
			d.Label = "write `float`, or `int` for whole numbers"
		case good == "any" && !strings.EqualFold(n.Text, "any"):
			d.Label = "write the fields, as `{name: string, score: int}`, or `any`"
			d.Fix = nil
		case n.Text == "list" || n.Text == "List" || n.Text == "array" || n.Text == "Array":
			d.Label = "write what it is a list of, as `[string]`"
			d.Fix = nil
		}
		r.report(d)
	}
}

// foreignConstants are words for nothing, yes and no that expressions write otherwise.
var foreignConstants = map[string]string{
	"None": "nil", "null": "nil", "Null": "nil", "NULL": "nil", "undefined": "nil", "nothing": "nil", "True": "true", "False": "false", "TRUE": "true", "FALSE": "false",
}

// constants reports None, null, True and their kin.
func (r *reader) constantsIn(x *Expr) {
	if len(x.Path) > 1 {
		return
	}
	code := x.Code
	for i := 0; i < len(code); {
		if !isLetter(code[i]) {
			i++
			continue
		}
		j := i
		for j < len(code) && (isLetter(code[j]) || isDigit(code[j])) {
			j++
		}
		word := code[i:j]
		good, ok := foreignConstants[word]
		rest := strings.TrimLeft(code[j:], " ")
		if ok && (i == 0 || code[i-1] != '.') && !strings.HasPrefix(rest, ":") && !strings.HasPrefix(rest, "(") && !r.values()[word] {
			start := x.At.Start + len(string([]rune(r.src.Slice(x.At))[:len([]rune(code[:i]))]))
			at := source.Span{Start: start, End: start + len(word)}
			r.report(diag.Diagnostic{
				Code: "E0013", Span: at, Message: fmt.Sprintf("`%s` is written `%s`", word, good), Label: fmt.Sprintf("write `%s`", good),
				Fix: &diag.Fix{Span: at, Text: good},
			})
		}
		i = j
	}
}
