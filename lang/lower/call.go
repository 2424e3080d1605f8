package lower

import (
	"slices"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// call lowers a call of a capability or of a used flow, by its own name or through personas.
func (l *lowering) call(s *syntax.Call, n *check.Node, p *plan.Node) {
	c := l.info.Calls[s]
	if c.Flow != nil {
		p.Kind = plan.FlowNode
		p.Flow = l.used(s, c)
		return
	}
	if c.Agent != nil {
		l.valueCall(s, n, c, p)
		return
	}
	sig := c.Signature
	out := &plan.Call{Callee: l.callee(sig), Agent: s.Callee.String(), As: c.As}
	args := arguments(s, c.Persona)
	if t := c.Text; t != nil {
		l.primary(out, sig, t)
	} else if t := textArg(sig, args); t != nil {
		l.primary(out, sig, t)
		args = without(args, sig.Primary)
	}
	for _, a := range args {
		out.Args = append(out.Args, plan.Arg{Name: a.Name.Text, Value: *l.expr(a.Value)})
	}
	out.System = l.system(c.Persona)
	l.clauses(out, s, c, p)
	p.Call = out
}

func (l *lowering) callee(sig *types.Signature) int {
	if i, ok := l.callees[sig.Name]; ok {
		return i
	}
	i := len(l.p.Callees)
	l.callees[sig.Name] = i
	l.p.Callees = append(l.p.Callees, *sig)
	return i
}

// primary puts in the text after the callee. The command of an argv is split here, before there are values in it.
func (l *lowering) primary(out *plan.Call, sig *types.Signature, t *syntax.Text) {
	text := l.text(t)
	if sig.Text == types.Argv {
		out.Words, _ = plan.Words(*text)
		return
	}
	out.Text = text
}

// textArg is the text that fills the primary parameter by name when it is a URL: written as `http.get(url: "https://…<<q>>")` its values are
// percent-encoded as they are behind the callee. One that begins with a value is taken as the author built it.
func textArg(sig *types.Signature, args []syntax.Arg) *syntax.Text {
	if sig.Text != types.URL {
		return nil
	}
	for _, a := range args {
		if a.Name.Text != sig.Primary || len(a.Value.Texts) != 1 {
			continue
		}
		t := a.Value.Texts[0]
		if t.At == a.Value.At && len(t.Parts) > 0 && t.Parts[0].Expr == nil {
			return t
		}
	}
	return nil
}

func names(args []syntax.Arg, name string) bool {
	return slices.ContainsFunc(args, func(a syntax.Arg) bool { return a.Name.Text == name })
}

func without(args []syntax.Arg, name string) []syntax.Arg {
	var out []syntax.Arg
	for _, a := range args {
		if a.Name.Text != name {
			out = append(out, a)
		}
	}
	return out
}

// arguments are those of the call, then those its personas add, the nearest first.
func arguments(s *syntax.Call, p *check.Persona) []syntax.Arg {
	args := append([]syntax.Arg(nil), s.Args...)
	seen := map[string]bool{}
	for _, a := range args {
		seen[a.Name.Text] = true
	}
	for ; p != nil; p = p.Base {
		for _, a := range p.Syntax.Base.Args {
			if !seen[a.Name.Text] {
				seen[a.Name.Text] = true
				args = append(args, a)
			}
		}
	}
	return args
}

// system are the texts of the personas, the base first.
func (l *lowering) system(p *check.Persona) []plan.Text {
	if p == nil {
		return nil
	}
	out := l.system(p.Base)
	if t := p.Syntax.Base.Text; t != nil {
		out = append(out, *l.text(t))
	}
	return out
}

// clauses adds the policies of a call: its own, and those of its personas where it has none, the nearest first.
func (l *lowering) clauses(out *plan.Call, s *syntax.Call, c *check.Call, p *plan.Node) {
	if out.As != nil {
		out.Repair = Repairs
	}
	seen := map[syntax.ClauseKind]bool{}
	take := func(clauses []syntax.Clause) {
		for _, cl := range clauses {
			if seen[cl.Kind] {
				continue
			}
			seen[cl.Kind] = true
			switch cl.Kind {
			case syntax.RetryClause:
				if out.Retry, out.Wait = cl.Count, cl.Wait; out.Retry > 0 && out.Wait == 0 {
					out.Wait = RetryWait
				}
			case syntax.RepairClause:
				out.Repair = cl.Count
			case syntax.TimeoutClause:
				p.Timeout = cl.Duration
			case syntax.CacheClause:
				out.Cache = cl.Duration
			}
		}
	}
	take(s.Clauses)
	for q := c.Persona; q != nil; q = q.Base {
		take(q.Syntax.Base.Clauses)
	}
}

// used inlines a flow: its block stands alone, and binds its inputs.
func (l *lowering) used(s *syntax.Call, c *check.Call) *plan.Flow {
	f := l.builder.flow(c.Flow)
	args := arguments(s, c.Persona)
	hidden := l.fromCaller(f, args)
	out := &plan.Flow{Name: c.Flow.Name, Inputs: f.inputs(), Budget: c.Flow.Budget}
	own := len(out.Inputs) - len(hidden)
	out.Args = make([]*plan.Expr, own, len(out.Inputs))
	for i := range own {
		for _, a := range args {
			if a.Name.Text == out.Inputs[i].Name {
				out.Args[i] = l.expr(a.Value)
			}
		}
	}
	if c.Text != nil && c.TextInput >= 0 && !names(s.Args, out.Inputs[c.TextInput].Name) {
		out.Text, out.TextInput = l.text(c.Text), c.TextInput
		out.Args[c.TextInput] = nil // the text of the call is nearer than an argument of its persona
	}
	out.Args = append(out.Args, hidden...)
	out.Block = f.block(c.Flow.Root, -1)
	return out
}
