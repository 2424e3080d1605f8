package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

const worldTaint = eval.World

// errorType is what `error` is in an `else`, and in the list that `into` names.
var errorType = types.Type{Kind: types.Record, Fields: []types.Field{
	{Name: "step", Type: types.Type{Kind: types.String}},
	{Name: "kind", Type: types.Type{Kind: types.String}},
	{Name: "message", Type: types.Type{Kind: types.String}},
}}

// runType is what `run` is in expressions.
var runType = types.Type{Kind: types.Record, Fields: []types.Field{
	{Name: "id", Type: types.Type{Kind: types.String}},
	{Name: "started", Type: types.Type{Kind: types.String}},
}}

var builtinTypes = map[string]types.Kind{
	"string": types.String, "int": types.Int, "float": types.Float, "bool": types.Bool, "any": types.Any, "file": types.File, "agent": types.Agent,
}

func builtinType(name string) bool {
	_, ok := builtinTypes[name]
	return ok
}

// declareTypes gives every `type` of the file its meaning.
func (c *checker) declareTypes() {
	for _, item := range c.file.Items {
		if t, ok := item.(*syntax.TypeDef); ok && c.typeDefs[t.Name.Text] == t {
			c.declared(t)
		}
	}
}

// declared resolves a `type` of the file once.
func (c *checker) declared(def *syntax.TypeDef) types.Type {
	name := def.Name.Text
	if t, ok := c.info.Types[name]; ok {
		return t
	}
	c.typing[name] = true
	t := types.Type{Kind: types.Record, Name: name}
	t.Fields = c.fields(def.Fields)
	delete(c.typing, name)
	scope := &Block{Value: -1, names: map[string]*Decl{}}
	for i, f := range t.Fields {
		scope.names[f.Name] = &Decl{Name: f.Name, File: c.file, At: def.Fields[min(i, len(def.Fields)-1)].Name.At, Block: scope, Slot: i, Type: f.Type, bad: c.badTypes[name]}
	}
	for _, m := range def.Musts {
		c.resolveExpr(m.Cond, place{block: scope})
		c.condition(m.Cond, "must")
		must := types.Must{Expr: c.codeOf(m.Cond)}
		if m.Else != nil {
			must.Else = c.plainText(m.Else, "the message of a `must`")
		}
		t.Musts = append(t.Musts, must)
	}
	c.info.Types[name] = t
	return t
}

func (c *checker) fields(fields []syntax.Field) []types.Field {
	list := make([]types.Field, 0, len(fields))
	seen := map[string]syntax.Name{}
	for _, f := range fields {
		if first, ok := seen[f.Name.Text]; ok {
			c.add(diag.Diagnostic{
				Code: "E0104", Span: f.Name.At, Message: fmt.Sprintf("there are two fields named `%s`", f.Name.Text), Label: "the second one: give it a name of its own",
				Related: c.related(first.At, "the first one is here"),
			})
			continue
		}
		seen[f.Name.Text] = f.Name
		field := types.Field{Name: f.Name.Text, Type: c.typeOf(&f.Type)}
		if f.Doc != nil {
			field.Doc = c.plainText(f.Doc, "the description of a field")
		}
		list = append(list, field)
	}
	return list
}

// plainText is a text that may not hold values: it is read before there are any.
func (c *checker) plainText(t *syntax.Text, what string) string {
	if s, ok := t.Plain(); ok {
		return s
	}
	c.add(diag.Diagnostic{Code: "E0128", Span: t.At, Message: what + " cannot hold values", Label: "it is read before the flow runs: write plain text"})
	return ""
}

// typeOf is the meaning of a type as written.
func (c *checker) typeOf(t *syntax.Type) types.Type {
	out := c.bareType(t)
	if t.Optional {
		out = types.Maybe(out)
	}
	c.info.Named[t] = out
	return out
}

func (c *checker) bareType(t *syntax.Type) types.Type {
	switch {
	case t.List != nil:
		return types.ListOf(c.typeOf(t.List))
	case t.Fields != nil:
		return types.Type{Kind: types.Record, Fields: c.fields(t.Fields)}
	case t.Enum != nil:
		return c.enum(t)
	case t.Name == nil:
		return types.Type{}
	}
	name := t.Name.Text
	if kind, ok := builtinTypes[name]; ok {
		return types.Type{Kind: kind}
	}
	if def := c.typeDefs[name]; def != nil {
		c.typeUses[name]++
		if c.typing[name] {
			c.add(diag.Diagnostic{
				Code: "E0103", Span: t.Name.At, Message: fmt.Sprintf("the type `%s` contains itself", name), Label: "a value of it would never end",
				Related: c.related(def.Name.At, "it is made here"), Help: []string{"write `any` for the inner one"},
			})
			c.badTypes[name] = true
			return types.Type{}
		}
		return c.declared(def)
	}
	c.unknownType(*t.Name)
	return types.Type{}
}

func (c *checker) enum(t *syntax.Type) types.Type {
	out := types.Type{Kind: types.Enum}
	seen := map[string]bool{}
	for _, v := range t.Enum {
		s := c.plainText(v, "a value of a type")
		if seen[s] {
			c.add(diag.Diagnostic{Code: "E0114", Span: v.At, Message: fmt.Sprintf("%q is listed twice", s), Label: "one is enough"})
			continue
		}
		seen[s] = true
		out.Values = append(out.Values, s)
	}
	return out
}

func (c *checker) unknownType(name syntax.Name) {
	if c.broken[name.Text] || syntax.ForeignType(name.Text) {
		return
	}
	key := "type " + name.Text
	if first, ok := c.unknown[key]; ok {
		c.again(first, name.At)
		return
	}
	d := diag.Diagnostic{Code: "E0101", Span: name.At, Message: fmt.Sprintf("I don't know a type named `%s`", name.Text)}
	if !c.suggests() {
		c.unknown[key] = len(*c.diags)
		c.add(d)
		return
	}
	own := slices.Sorted(maps.Keys(c.typeDefs))
	all := append(slices.Sorted(maps.Keys(builtinTypes)), own...)
	if near, ok := diag.Nearest(name.Text, all); ok {
		d.Label = fmt.Sprintf("did you mean `%s`?", near)
		d.Fix = &diag.Fix{Span: name.At, Text: near}
		c.typeUses[near]++
	} else {
		d.Label = "no type has this name"
		d.Help = append(d.Help, fmt.Sprintf("to make one: `type %s { name: string }`", name.Text))
	}
	d.Help = append([]string{"types: " + strings.Join(diag.NearestN(name.Text, all, 8), ", ")}, d.Help...)
	c.unknown[key] = len(*c.diags)
	c.add(d)
}

// resolveInputs gives the inputs their types and checks what is known of their values.
func (c *checker) resolveInputs() {
	for _, d := range c.info.Inputs {
		in := d.Input
		d.Type = fromInput(d.Name, c.typeOf(&in.Type))
		if in.Doc != nil {
			c.plainText(in.Doc, "the question of an input")
		}
		if in.Must != nil {
			scope := &Block{Value: -1, names: map[string]*Decl{d.Name: {Name: d.Name, File: c.file, At: d.At, Type: d.Type, Slot: -1}}}
			scope.names[d.Name].Block = scope
			c.resolveExpr(in.Must, place{block: scope})
			c.condition(in.Must, "must")
		}
		if in.Default != nil && !types.HoldsAgent(d.Type) {
			c.checkDefault(d)
		}
	}
}

// checkDefault proves that the default of an input is a constant that its own type and `must` accept.
func (c *checker) checkDefault(d *Decl) {
	e := d.Input.Default
	before := len(*c.diags)
	agents := types.HoldsAgent(d.Type)
	if at, ok := c.firstName(e); ok && !agents {
		c.add(diag.Diagnostic{
			Code: "E0113", Span: at, Message: fmt.Sprintf("the default of `%s` must be a constant", d.Name), Label: "a name has no value yet when defaults are read",
			Help: []string{fmt.Sprintf("leave the default out and write, below, `let my_%s = …`", d.Name)},
		})
		return
	}
	c.resolveExpr(e, place{block: &Block{Value: -1, names: map[string]*Decl{}}, agents: agents})
	k := c.typeExpr(e)
	if len(*c.diags) > before || k.bad {
		return
	}
	if agents && !k.Fits(leaveOut(d.Type, k.Precise())) {
		x := diag.Diagnostic{
			Code: "E0113", Span: e.At, Message: fmt.Sprintf("the default of `%s` is not of its type", d.Name), Label: fmt.Sprintf("this is %s", article(k.Type)),
			Related: c.related(d.Input.Type.At, fmt.Sprintf("it is to be %s", d.Type)),
		}
		if k.Type.Kind == types.String {
			x.Label = "an agent is named without quotes"
		}
		c.add(x)
		return
	}
	value, err := evaluate(c.codeOf(e), nil)
	if err != nil {
		c.add(diag.Diagnostic{Code: "E0113", Span: e.At, Message: fmt.Sprintf("the default of `%s` has no value", d.Name), Label: err.Error()})
		return
	}
	value, problems := eval.Read(d.Type, value)
	if len(problems) > 0 {
		c.add(diag.Diagnostic{
			Code: "E0113", Span: e.At, Message: fmt.Sprintf("the default of `%s` is not of its type", d.Name), Label: problems[0],
			Related: c.related(d.Input.Type.At, fmt.Sprintf("it is to be %s", d.Type)),
		})
		return
	}
	if d.Input.Must == nil || len(*c.diags) > before {
		return
	}
	if ok, err := evaluate(c.codeOf(d.Input.Must), map[string]any{d.Name: value}); err == nil && ok == false {
		c.add(diag.Diagnostic{
			Code: "E0113", Span: e.At, Message: fmt.Sprintf("the default of `%s` breaks its own `must`", d.Name), Label: "this value would be refused",
			Related: c.related(d.Input.Must.At, "it must meet this"),
		})
	}
}

// firstName finds the first name that a constant may not hold.
func (c *checker) firstName(e *syntax.Expr) (source.Span, bool) {
	if len(e.Path) > 0 {
		return e.At, !builtinConstant(e.Path[0])
	}
	for _, name := range c.parse(e.Code).names {
		i, ok := syntax.PlaceholderIndex(name.Text)
		if !ok {
			return spanIn(c.src, e, name.Start, name.End), true
		}
		if i >= len(e.Texts) {
			continue
		}
		for _, inner := range exprsOf(e.Texts[i]) {
			if at, found := c.firstName(inner); found {
				return at, true
			}
		}
	}
	return source.Span{}, false
}

func builtinConstant(name string) bool { return name == "true" || name == "false" || name == "nil" }

// evaluate computes an expression that was found free of mistakes.
func evaluate(code string, env map[string]any) (any, error) {
	program, err := eval.Compile(code)
	if err != nil {
		return nil, err
	}
	return program.Eval(env)
}
