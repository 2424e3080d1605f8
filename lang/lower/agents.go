package lower

import (
	"fmt"
	"slices"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// An agent as a value is, in a plan, the text that names it. The call of such a value becomes a match over that text with an arm for each agent it may be, or,
// when it can be but one, the call of that one. So a machine knows nothing of agents as values, and a plan says of every candidate what it says of any callee.

// candidate is an agent that a value may stand for in a flow.
type candidate struct {
	name    string // the value at run time, one for each agent of the plan
	sig     *types.Signature
	persona *check.Persona
	home    *check.Info // the file it is an agent of

	// Of one from another file: what its personas say. They are texts that mention nothing, or hidden inputs of the flow it was given to: only its own file
	// knows what stands in them.
	system []carried
	args   []carriedArg
}

type carried struct {
	text plan.Text
	from *check.Decl // the hidden input that holds it; nil: text is all there is
}

type carriedArg struct {
	name  string
	value plan.Expr
	from  *check.Decl
}

// claim gives an agent the name it has at run time: its own, unless another agent of the plan has that.
func (b *builder) claim(p *check.Persona, sig *types.Signature, home *check.Info) string {
	var who any
	own := ""
	if p != nil {
		who, own = p, p.Syntax.Name.Text
	} else {
		who, own = sig.Name, sig.Name
	}
	if name, ok := b.named[who]; ok {
		return name
	}
	name := own
	for i := 1; b.taken[name]; i++ {
		if name = own + " of " + home.Name; i > 1 {
			name = fmt.Sprintf("%s of %s, %d", own, home.Name, i)
		}
	}
	b.taken[name] = true
	b.named[who] = name
	return name
}

// lend finds an agent of the file by its name.
func (f *flow) lend(name string) candidate {
	p := f.info.Personas[name]
	sig := f.info.Signature(name)
	if p != nil {
		sig = p.Signature
	}
	return candidate{name: f.claim(p, sig, f.info), sig: sig, persona: p, home: f.info}
}

// candidates are the agents that a value of the type may stand for in this use of the flow.
func (f *flow) candidates(t types.Type) []candidate {
	var list []candidate
	add := func(c candidate) {
		if !slices.ContainsFunc(list, func(other candidate) bool { return other.name == c.name }) {
			list = append(list, c)
		}
	}
	for _, name := range types.Agents(t) {
		if input, ok := check.InputAgent(name); ok {
			for _, c := range f.given[input] {
				add(c)
			}
		} else {
			add(f.lend(name))
		}
	}
	return list
}

// plain is the type as a plan has it: agents are enums of their names.
func (f *flow) plain(t types.Type) types.Type {
	return types.WithAgents(t, func(a types.Type) types.Type {
		of := types.Type{Kind: types.Enum}
		for _, c := range f.candidates(a) {
			of.Values = append(of.Values, c.name)
		}
		return of
	})
}

// fromOutside are the agents that the run can be given for its inputs.
func (f *flow) fromOutside() {
	for _, d := range f.info.Inputs {
		if !types.HoldsAgent(d.Type) {
			continue
		}
		for _, name := range f.info.Lent {
			f.given[d.Name] = append(f.given[d.Name], f.lend(name))
		}
		f.addDefault(d)
	}
}

// addDefault adds the agents of an input's default to those it can be given: a default may name one that is not given from outside.
func (f *flow) addDefault(d *check.Decl) {
	if d.Input.Default == nil || d.Absent != "" {
		return
	}
	for _, c := range f.candidates(f.info.Exprs[d.Input.Default].Lent) {
		if !slices.ContainsFunc(f.given[d.Name], func(other candidate) bool { return other.name == c.name }) {
			f.given[d.Name] = append(f.given[d.Name], c)
		}
	}
}

// fromCaller are the agents that one use of a flow gives it. What their personas say and only the caller knows travels in hidden inputs, whose values are
// returned.
func (l *lowering) fromCaller(f *flow, args []syntax.Arg) []*plan.Expr {
	var hidden []*plan.Expr
	brought := map[string]candidate{}
	for _, d := range f.info.Inputs {
		if !types.HoldsAgent(d.Type) {
			continue
		}
		i := slices.IndexFunc(args, func(a syntax.Arg) bool { return a.Name.Text == d.Name })
		if i < 0 {
			f.addDefault(d)
			continue
		}
		for _, c := range l.candidates(l.info.Exprs[args[i].Value].Lent) {
			if _, ok := brought[c.name]; !ok {
				brought[c.name] = l.carry(f, c, &hidden)
			}
			f.given[d.Name] = append(f.given[d.Name], brought[c.name])
		}
	}
	return hidden
}

// carry makes a candidate fit for another flow.
func (l *lowering) carry(to *flow, c candidate, hidden *[]*plan.Expr) candidate {
	out := candidate{name: c.name, sig: c.sig, persona: c.persona, home: c.home}
	hide := func(e *plan.Expr, what string) *check.Decl {
		root := to.info.Root
		d := &check.Decl{Name: c.name + "." + what, Block: root, Slot: len(root.Nodes) + len(root.Binds) + len(to.hidden)}
		to.hidden = append(to.hidden, d)
		*hidden = append(*hidden, e)
		return d
	}
	texts := l.systemOf(c)
	for i := range texts {
		if e := joined(&texts[i]); e != nil {
			out.system = append(out.system, carried{from: hide(e, fmt.Sprintf("system%d", i+1)), text: plan.Text{At: texts[i].At}})
		} else {
			out.system = append(out.system, carried{text: texts[i]})
		}
	}
	for _, a := range l.argsOf(c) {
		if len(a.Value.Refs) > 0 {
			value := a.Value
			out.args = append(out.args, carriedArg{name: a.Name, from: hide(&value, a.Name), value: plan.Expr{At: a.Value.At}})
		} else {
			out.args = append(out.args, carriedArg{name: a.Name, value: a.Value})
		}
	}
	return out
}

// joined is a text as one expression; nil when it mentions nothing.
func joined(t *plan.Text) *plan.Expr {
	if len(t.Parts) == 1 && t.Parts[0].Expr != nil && len(t.Parts[0].Expr.Path) > 0 {
		return t.Parts[0].Expr // a hidden input has no code to make another of
	}
	out := &plan.Expr{At: t.At}
	var refs refSet
	code := ""
	for i, p := range t.Parts {
		if i > 0 {
			code += ", "
		}
		if p.Expr == nil {
			code += quote(p.Literal)
			continue
		}
		code += p.Expr.Code
		for _, r := range p.Expr.Refs {
			if !refs.has(r.Name) {
				refs.add(r)
			}
		}
	}
	if len(refs.list) == 0 {
		return nil
	}
	out.Code, out.Refs = "text("+code+")", refs.list
	return out
}

// systemOf are the texts of a candidate's personas, the base first, where it is called.
func (l *lowering) systemOf(c candidate) []plan.Text {
	if c.home == l.info {
		return l.system(c.persona)
	}
	var out []plan.Text
	for _, s := range c.system {
		t := s.text
		if s.from != nil {
			t.Parts = []plan.Part{{Expr: l.hiddenExpr(s.from, plan.Expr{At: s.text.At})}}
		}
		out = append(out, t)
	}
	return out
}

func (l *lowering) argsOf(c candidate) []plan.Arg {
	var out []plan.Arg
	if c.home == l.info {
		for _, a := range arguments(&syntax.Call{}, c.persona) {
			out = append(out, plan.Arg{Name: a.Name.Text, Value: *l.expr(a.Value)})
		}
		return out
	}
	for _, a := range c.args {
		value := a.value
		if a.from != nil {
			value = *l.hiddenExpr(a.from, a.value)
		}
		out = append(out, plan.Arg{Name: a.name, Value: value})
	}
	return out
}

// hiddenExpr reads a hidden input of the flow.
func (l *lowering) hiddenExpr(d *check.Decl, at plan.Expr) *plan.Expr {
	var refs refSet
	l.ref(&refs, d)
	return &plan.Expr{Code: quote(d.Name), Path: []string{d.Name}, Refs: refs.list, At: at.At}
}

// valueCall lowers the call of an agent that is a value.
func (l *lowering) valueCall(s *syntax.Call, n *check.Node, c *check.Call, p *plan.Node) {
	agents := l.candidates(l.info.Exprs[c.Agent].Lent)
	if len(agents) == 1 {
		p.Call, p.Effect = l.callOf(agents[0], s, c, p), agents[0].sig.Effect
		return
	}
	p.Kind = plan.MatchNode
	p.Match = &plan.Match{Subject: *l.expr(c.Agent), Else: -1}
	for _, agent := range agents {
		i := len(l.p.Blocks)
		l.p.Blocks = append(l.p.Blocks, plan.Block{Parent: l.index})
		arm := lowering{flow: l.flow, block: &check.Block{Parent: l.block}, index: i}
		call := plan.Node{Kind: plan.CallNode, At: p.At, Type: l.plain(n.Type), Effect: agent.sig.Effect}
		call.Call = arm.callOf(agent, s, c, &call)
		call.Needs = needs(arm.reads, nil)
		l.p.Blocks[i].Nodes = []plan.Node{call}
		p.Match.Arms = append(p.Match.Arms, plan.Arm{Values: []any{agent.name}, Block: i})
	}
}

// callOf is the call of one of the agents that a value may be.
func (l *lowering) callOf(agent candidate, s *syntax.Call, c *check.Call, p *plan.Node) *plan.Call {
	out := &plan.Call{Callee: l.callee(agent.sig), Agent: agent.name, As: c.As}
	if c.Text != nil {
		out.Text = l.text(c.Text)
	}
	out.Args = l.argsOf(agent)
	out.System = l.systemOf(agent)
	of := *c
	of.Persona = agent.persona
	l.clauses(out, s, &of, p)
	return out
}

// agentNames puts the names that agents have at run time in the place of those they have in the file.
func (f *flow) agentNames(e *syntax.Expr) []check.Splice {
	var list []check.Splice
	for _, at := range f.info.AgentsIn(e) {
		name := at.Text
		if f.builder != nil { // a test gives what it would be given from outside
			name = f.lend(name).name
		}
		list = append(list, check.Splice{Start: at.Start, End: at.End, Code: quote(name)})
	}
	return list
}

// path is the path of an expression that is nothing else; that of an agent is the name of one.
func (f *flow) path(e *syntax.Expr) []string {
	if len(f.info.AgentsIn(e)) > 0 {
		return nil
	}
	return e.Path
}
