package eval

import (
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/types"
)

// Template is a function that a script makes of a prompt template: it takes one record and gives a text. It is there for Type alone. What is compiled
// has the text of the template in place of the call.
type Template struct {
	Params []types.Field // one with an optional type may be left out
	Shows  []Shown
}

// Shown is a place of the record whose value the template puts into its text, or, when it Stands in for what is not there, something else.
type Shown struct {
	Path   []string // names of fields; "" is an item of a list
	Stands bool
}

// Call is a call of a function, in runes: its name, and its brackets.
type Call struct {
	Name               string
	Start, Open, Close int
}

// Calls lists the calls of functions that expressions do not have by themselves, in the order they are written.
func (t *Tree) Calls() []Call {
	if t == nil {
		return nil
	}
	var calls []Call
	var pairs []pair
	seen := map[int]bool{}
	walk(t.root, func(n ast.Node) {
		c, ok := n.(*ast.CallNode)
		if !ok {
			return
		}
		name := c.Callee.(*ast.IdentifierNode)
		at := name.Location()
		if functions[name.Value] != nil || seen[at.From] { // the shared middle of a < b < c
			return
		}
		seen[at.From] = true
		if pairs == nil {
			pairs = bracketPairs(t.code)
		}
		for _, p := range pairs {
			if p.open >= at.To {
				calls = append(calls, Call{Name: name.Value, Start: at.From, Open: p.open, Close: p.close})
				break
			}
		}
	})
	return calls
}

// Taken reports whether a name before a `(` has a meaning of its own already.
func Taken(name string) bool {
	if functions[name] != nil || unsteady[name] {
		return true
	}
	_, ok := builtin.Index[name]
	return ok
}

// TypeWith is Type for a script with templates. templates finds one by name; nil and true for one that was reported: its calls count as strings.
func (t *Tree) TypeWith(lookup func(name string) (Operand, bool), templates func(name string) (*Template, bool)) (Operand, []Problem) {
	if t == nil {
		return Operand{}, nil
	}
	return (&typer{tree: t, ask: lookup, templates: templates}).whole()
}

// template types a call of a template, if name is one.
func (t *typer) template(n ast.Node, name string, args []ast.Node) (Operand, bool) {
	if t.templates == nil {
		return Operand{}, false
	}
	f, ok := t.templates(name)
	if !ok {
		return Operand{}, false
	}
	if f == nil {
		t.rest(args)
		return Operand{Type: stringType}, true
	}
	given := Operand{Type: types.Type{Kind: types.Record}}
	switch len(args) {
	case 0:
	case 1:
		given = t.value(args[0], t.of(args[0]))
	default:
		t.rest(args)
		t.report(n, "E0111", "`"+name+"` takes one record", "", "write "+sketch(name, f))
		return Operand{Type: stringType}, true
	}
	if given.Type.Kind == types.Record {
		t.fill(n, name, f, args, given.Type)
	} else if !isAny(given.Type) {
		t.report(args[0], "E0111", "`"+name+"` takes a record, "+t.say(args[0])+" is "+a(given.Type), "", "write "+sketch(name, f))
	}
	return Operand{Type: stringType, Taint: given.Taint}, true
}

// sketch is how a template is called.
func sketch(name string, f *Template) string {
	var fields []string
	for _, p := range f.Params {
		if !p.Type.Optional {
			fields = append(fields, p.Name+": …")
		}
	}
	if len(fields) == 0 {
		return "`" + name + "()`"
	}
	return "`" + name + "({" + strings.Join(fields, ", ") + "})`"
}

// fill checks what a template is given against what it takes.
func (t *typer) fill(n ast.Node, name string, f *Template, args []ast.Node, given types.Type) {
	blame := n
	values := map[string]*ast.PairNode{}
	if len(args) > 0 {
		blame = args[0]
		if record, ok := args[0].(*ast.MapNode); ok {
			blame = n
			for _, p := range record.Pairs {
				pair := p.(*ast.PairNode)
				if field, ok := t.literalOf(pair.Key); ok {
					if isPlaceholder(field) {
						o, _ := t.lookup(field)
						field, _ = o.Literal.(string)
					}
					values[field] = pair
					t.takes(name, f, pair.Key, field)
				}
			}
		}
	}
	var missing []string
	first := ""
	for _, p := range f.Params {
		have, ok := given.Field(p.Name)
		if !ok {
			if !p.Type.Optional {
				if missing = append(missing, "`"+p.Name+"`"); len(missing) == 1 {
					first = p.Name
				}
			}
			continue
		}
		at := blame
		if pair := values[p.Name]; pair != nil {
			at = pair.Value
		}
		if !types.Fits(have.Type, p.Type) {
			t.unfit(at, name, p, have.Type)
			continue
		}
		for _, s := range f.Shows {
			if s.Path[0] == p.Name && !t.showable(at, name, p, s, have.Type) {
				break
			}
		}
	}
	if len(missing) > 0 {
		t.report(blame, "E0111", "the template `"+name+"` needs "+strings.Join(missing, ", "), "write "+sketch(name, f), "")
		last := &t.problems[len(t.problems)-1]
		last.Template, last.Param = name, first
	}
}

// takes checks that a template has a variable of that name.
func (t *typer) takes(name string, f *Template, at ast.Node, field string) {
	var names []string
	for _, p := range f.Params {
		if p.Name == field {
			return
		}
		names = append(names, p.Name)
	}
	p := Problem{Code: "E0111", Message: "the template `" + name + "` has no variable `" + field + "`", Label: "it would be ignored", Template: name}
	p.Start, p.End = at.Location().From, at.Location().To
	if near, ok := diag.Nearest(field, names); ok {
		p.Label, p.Fix = "did you mean `"+near+"`?", &near
	}
	if len(names) > 0 {
		p.Help = "its variables: " + strings.Join(diag.NearestN(field, names, 8), ", ")
	} else {
		p.Help = "it has no variables"
	}
	t.problems = append(t.problems, p)
}

func (t *typer) unfit(at ast.Node, name string, p types.Field, have types.Type) {
	bare := have
	bare.Optional = false
	if have.Kind == types.Nothing || have.Optional && types.Fits(bare, p.Type) {
		t.report(at, "E0115", t.say(at)+" may be nothing, and `"+p.Name+"` of the template `"+name+"` needs a value", "", "say what to use instead: `"+p.Name+": "+t.text(at)+" ?? "+standIn(have)+"`")
	} else {
		t.report(at, "E0111", "`"+p.Name+"` of the template `"+name+"` must be "+a(p.Type), "this is "+a(have), "")
	}
	last := &t.problems[len(t.problems)-1]
	last.Template, last.Param = name, p.Name
}

// showable follows a value to what the template shows of it, as far as it is known.
func (t *typer) showable(at ast.Node, name string, p types.Field, s Shown, have types.Type) bool {
	what := p.Name
	for _, field := range s.Path[1:] {
		if have.Optional {
			break
		}
		if field == "" {
			if have.Kind != types.List {
				return true
			}
			have, what = have.Item(), what+"[…]"
			continue
		}
		inner, ok := have.Field(field)
		if have.Kind == types.File {
			inner, ok = fileRecord.Field(field)
		}
		if !ok {
			return true
		}
		have, what = inner.Type, what+"."+field
	}
	switch {
	case (have.Optional || have.Kind == types.Nothing) && !s.Stands:
		t.report(at, "E0115", "`"+what+"` may be nothing, and the template `"+name+"` puts it into its text", "", "give it a value: `… ?? "+standIn(have)+"`; or let the template say what to write instead: `{{"+what+` | "none"}}`+"`")
	case have.Kind == types.File || have.Kind == types.List && have.Item().Kind == types.File:
		t.report(at, "E0110", "a file cannot stand in a text, and the template `"+name+"` puts `"+what+"` into its text", "", "what is in a file is its `.text`")
	default:
		return true
	}
	last := &t.problems[len(t.problems)-1]
	last.Template, last.Param = name, p.Name
	return false
}
