package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// maxSteps bounds a script after its flows are unfolded: a file that uses another twice, which uses another twice, and so on, doubles at each file.
const maxSteps = 200_000

// maxFlows bounds how deep flows may use flows.
const maxFlows = 64

// loadFlows loads, parses and checks what the file uses.
func (c *checker) loadFlows() {
	c.stack = append(c.stack, using{name: c.src.Name, file: c.src})
	defer func() { c.stack = c.stack[:len(c.stack)-1] }()
	for _, item := range c.file.Items {
		u, ok := item.(*syntax.Use)
		if !ok || c.uses[u.As.Text] != u || u.Path == nil {
			continue
		}
		if u.Template {
			c.loadTemplate(u)
		} else if f := c.loadFlow(u); f != nil {
			c.info.Flows[u.As.Text] = f
		}
	}
}

func (c *checker) loadFlow(u *syntax.Use) *Info {
	name, plain := u.Path.Plain()
	d := diag.Diagnostic{Code: "E0108", Span: u.Path.At}
	switch {
	case !plain:
		d.Message, d.Label = "the name of a flow cannot hold values", "it is read before the flow runs: write it out"
		c.add(d)
		return nil
	case c.scope.Load == nil:
		d.Message, d.Label = "this script cannot use other flows here", "there is no folder to look in"
		c.add(d)
		return nil
	}
	resolved, text, err := c.scope.Load(c.src.Name, name)
	if err != nil {
		d.Message, d.Label = fmt.Sprintf("I cannot use %q", name), err.Error()
		if !strings.Contains(name, "/") && !strings.HasPrefix(name, "@") {
			d.Help = []string{fmt.Sprintf("a file beside this one is written `\"./%s\"`", name)}
		}
		c.add(d)
		return nil
	}
	for i, at := range c.stack {
		if at.name == resolved {
			c.recursion(u, i, resolved)
			return nil
		}
	}
	if f, ok := c.flows[resolved]; ok {
		return f
	}
	if len(c.stack) >= maxFlows {
		c.add(diag.Diagnostic{Code: "E0130", Span: u.Path.At, Message: fmt.Sprintf("flows use flows more than %d deep here", maxFlows), Label: "this one is too deep"})
		return nil
	}
	file, said := syntax.Parse(source.NewFile(resolved, text))
	for _, d := range said {
		c.diags.Add(d)
	}
	scope := c.scope
	scope.Values = nil
	c.stack[len(c.stack)-1].at = u.At
	before := len(*c.diags)
	f := c.session.file(file, scope)
	if said.HasErrors() {
		*c.diags = append((*c.diags)[:before:before], Unspoiled(said, (*c.diags)[before:])...)
		f.Output, f.Root.bad = types.Type{}, true
	}
	c.flows[resolved] = f
	return f
}

// recursion reports a file that uses itself, by way of others or at once.
func (c *checker) recursion(u *syntax.Use, first int, resolved string) {
	d := diag.Diagnostic{Code: "E0130", Span: u.At, Message: fmt.Sprintf("the flow %s uses itself", resolved), Label: "a flow inside itself would never end"}
	var names []string
	for _, at := range c.stack[first:] {
		names = append(names, at.name)
		if at.file != c.src {
			d.Related = append(d.Related, diag.Related{File: at.file, Span: at.at, Message: "by way of this"})
		}
	}
	if len(names) > 1 {
		d.Help = []string{"the circle: " + strings.Join(append(names, resolved), " → ")}
	}
	d.Help = append(d.Help, "to repeat something, use `loop`")
	c.add(d)
}

// typeFlowCall types a call of a used flow: its inputs are its arguments, its output its value.
func (c *checker) typeFlowCall(call *syntax.Call, t *Call, n *Node) known {
	k := known{Operand: eval.Operand{Type: t.Flow.Output, Taint: worldTaint}, bad: t.Flow.Root.bad}
	agents := 0
	given := names{}
	for i := range call.Args {
		a := &call.Args[i]
		v := c.typeExpr(a.Value)
		if given.has(a.Name.Text) {
			c.add(diag.Diagnostic{Code: "E0112", Span: a.Name.At, Message: fmt.Sprintf("`%s` is given twice", a.Name.Text), Label: "once is enough"})
			continue
		}
		given.add(a.Name.Text)
		c.flowArg(a, v, t.Flow, call)
		agents += len(lent(v).Values)
	}
	c.info.asked += t.Flow.asked
	if !c.unfold(t.Flow.size+t.Flow.asked*agents, call.Callee.At, "this flow is one too many") {
		k.bad = true
	}
	if call.Text != nil {
		v := c.typeText(call.Text, "this text")
		c.flowText(call, t, v, given)
	} else if t.TextInput >= 0 { // inherited, and typed where it is written
		if in := t.Flow.Inputs[t.TextInput]; types.Fits(types.Type{Kind: types.String}, in.Type) {
			given.add(in.Name)
		} else {
			t.TextInput = -1
		}
	}
	if t.Persona != nil {
		for name := range arguments(call, t.Persona) {
			given.add(name)
		}
	}
	c.missingInputs(call, t, given)
	return k
}

// unfold counts steps that a call stands for. It reports false when they are more than a script may have.
func (c *checker) unfold(steps int, at source.Span, label string) bool {
	c.info.size += steps
	if c.info.size <= maxSteps {
		return true
	}
	c.add(diag.Diagnostic{Code: "E0130", Span: at, Message: fmt.Sprintf("unfolded, this script has more than %d steps", maxSteps), Label: label})
	c.info.size = 0
	return false
}

// flowText checks the text behind a flow: it is the flow's first input.
func (c *checker) flowText(call *syntax.Call, t *Call, v known, given names) {
	d := diag.Diagnostic{Code: "E0112", Span: call.Text.At}
	if len(t.Flow.Inputs) == 0 {
		d.Message, d.Label = fmt.Sprintf("`%s` has no inputs, so it takes no text", call.Callee), "it would be ignored"
		c.add(d)
		return
	}
	in := t.Flow.Inputs[0]
	d.Related = []diag.Related{{File: in.File.Source, Span: in.At, Message: "the text would fill this, its first input"}}
	if given.has(in.Name) {
		d.Message, d.Label = fmt.Sprintf("`%s` is given twice: the text is the first input", in.Name), "the second time"
		c.add(d)
		return
	}
	given.add(in.Name)
	if !v.bad && !v.Fits(in.Type) {
		d.Message, d.Label = fmt.Sprintf("the first input of `%s` must be %s", call.Callee, article(in.Type)), "this is a text"
		d.Help = []string{fmt.Sprintf("give it by name: `%s(%s: …)`", call.Callee, in.Name)}
		c.add(d)
	}
}

// flowArg checks an argument against the input of its name.
func (c *checker) flowArg(a *syntax.Arg, v known, f *Info, call *syntax.Call) {
	var names []string
	for _, in := range f.Inputs {
		names = append(names, in.Name)
		if in.Name != a.Name.Text {
			continue
		}
		if v.bad || in.bad || v.Fits(leaveOut(in.Type, v.Precise())) {
			return
		}
		d := diag.Diagnostic{
			Code: "E0112", Span: a.Value.At, Message: fmt.Sprintf("the input `%s` of `%s` must be %s", in.Name, call.Callee, article(in.Type)), Label: fmt.Sprintf("this is %s", article(v.Type)),
			Related: []diag.Related{{File: in.File.Source, Span: in.At, Message: "the input is here"}},
		}
		switch {
		case in.Type.Kind == types.Agent && v.Type.Kind == types.String:
			d.Help = []string{"an agent is given by its name alone, without quotes"}
		case types.HoldsAgent(in.Type) && holdsAny(v.Type):
			d.Help = []string{"who can be called must be known before the flow runs: write the list out where the flow is called, or give all its items the same fields"}
		}
		bare := v.Type
		bare.Optional = false
		if v.Type.Optional && types.Fits(bare, in.Type) {
			d.Code = "E0115"
			d.Message = fmt.Sprintf("`%s` may be empty, and the input `%s` needs a value", c.written(a.Value), in.Name)
			d.Help = []string{fmt.Sprintf("say what to give in its place: `%s: %s ?? …`", in.Name, c.written(a.Value))}
		}
		c.add(d)
		return
	}
	if c.full() {
		return
	}
	d := diag.Diagnostic{Code: "E0112", Span: a.Name.At, Message: fmt.Sprintf("the flow `%s` has no input `%s`", call.Callee, a.Name.Text)}
	if near, ok := diag.Nearest(a.Name.Text, names); ok {
		d.Label = fmt.Sprintf("did you mean `%s`?", near)
		d.Fix = &diag.Fix{Span: a.Name.At, Text: near}
	} else {
		d.Label = "it would be ignored"
	}
	if len(names) > 0 {
		d.Help = []string{"its inputs: " + strings.Join(diag.NearestN(a.Name.Text, names, 8), ", ")}
	} else {
		d.Help = []string{"it has no inputs"}
	}
	c.add(d)
}

func (c *checker) missingInputs(call *syntax.Call, t *Call, given names) {
	var absent, sketch, help []string
	var related []diag.Related
	for _, in := range t.Flow.Inputs {
		if !in.required() || given.has(in.Name) {
			continue
		}
		if in.Absent != "" {
			help = append(help, fmt.Sprintf("left out, `%s` would be `%s`, and there is no such agent here; `slop agents` lists those there are", in.Name, in.Absent))
		}
		absent = append(absent, in.Name)
		sketch = append(sketch, in.Name+": …")
		if len(related) < 3 {
			related = append(related, diag.Related{File: in.File.Source, Span: in.At, Message: fmt.Sprintf("`%s` is asked for here", in.Name)})
		}
	}
	stranger := slices.ContainsFunc(call.Args, func(a syntax.Arg) bool {
		return !slices.ContainsFunc(t.Flow.Inputs, func(in *Decl) bool { return in.Name == a.Name.Text })
	})
	if len(absent) == 0 || stranger { // by another name it is there, and that is reported
		return
	}
	c.add(diag.Diagnostic{
		Code: "E0112", Span: call.Callee.At, Message: fmt.Sprintf("the flow `%s` needs %s", call.Callee, quoted(absent)),
		Label: fmt.Sprintf("write `%s(%s)`", call.Callee, strings.Join(sketch, ", ")), Related: related, Help: help,
	})
}

// measure counts the steps of the file, for the bound on unfolding, and whether it changes anything.
func (c *checker) measure() {
	for _, b := range c.order {
		c.info.size += len(b.Nodes)
	}
	c.info.Effect = c.info.Root.effect()
}

// leaveOut is the type of an input without the optional fields that a value of the type given does not have: in what a flow is called with they are nothing.
func leaveOut(want, given types.Type) types.Type {
	switch {
	case want.Kind == types.List && given.Kind == types.List:
		item := leaveOut(want.Item(), given.Item())
		want.Elem = &item
	case want.Kind == types.Record && given.Kind == types.Record:
		var fields []types.Field
		for _, f := range want.Fields {
			g, ok := given.Field(f.Name)
			if !ok && f.Type.Optional {
				continue
			}
			f.Type = leaveOut(f.Type, g.Type)
			fields = append(fields, f)
		}
		want.Fields = fields
	}
	return want
}

func holdsAny(t types.Type) bool {
	switch t.Kind {
	case types.Any:
		return true
	case types.List:
		return holdsAny(t.Item())
	case types.Record:
		return slices.ContainsFunc(t.Fields, func(f types.Field) bool { return holdsAny(f.Type) })
	}
	return false
}

// required reports whether an input must be given.
func (d *Decl) required() bool { return (d.Input.Default == nil || d.Absent != "") && !d.Type.Optional }
