package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// Agents as values (spec/language.md 4.9). At run time such a value is the text that names the agent. Who can stand behind it is known before: the type of
// every expression carries its candidates. They are names of this file and of its scope, and, for what an input of the file brings, the input itself (see
// InputAgent): who that is differs from one use of the flow to the next, and is found when the flow is put into a plan.

// inputAgent marks a candidate that is whatever an input of the file brings. No name begins so.
const inputAgent = "input "

// InputAgent returns the input of the file whose agents a candidate stands for.
func InputAgent(candidate string) (input string, ok bool) {
	return strings.CutPrefix(candidate, inputAgent)
}

// fromInput gives the agents in the type of an input their candidate.
func fromInput(name string, t types.Type) types.Type {
	return types.WithAgents(t, func(types.Type) types.Type { return types.Type{Kind: types.Agent, Values: []string{inputAgent + name}} })
}

// lends reports whether an agent of this signature can be given to a flow: it changes nothing, takes a text and nothing else that it needs, and answers with a text.
func lends(sig *types.Signature) bool {
	return sig.Kind == types.Call && effectOf(sig) != types.Do && !sig.Question && sig.Structured && (sig.Text == types.Prompt || sig.Text == types.Text) &&
		types.Same(sig.Result, types.Type{Kind: types.String}) &&
		!slices.ContainsFunc(sig.Params, func(p types.Param) bool { return p.Required && p.Name != sig.Primary })
}

// lent are the agents that can be values here: those of the file, then those of the scope. It is asked for the first time when the agents of the file are known.
func (c *checker) lent() []string {
	if c.info.Lent != nil {
		return c.info.Lent
	}
	names := []string{}
	dollars := c.inDollars()
	free := func(sig *types.Signature) bool { return sig.Free || sig.Price != nil || sig.Effect != types.Think }
	for _, name := range slices.Sorted(maps.Keys(c.info.Personas)) {
		if p := c.info.Personas[name]; c.whyNotLent(p) == "" && !p.bad && (!dollars || free(p.Signature)) {
			names = append(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.scope.Capabilities)) {
		if sig := c.signature(name); c.agents[name] == nil && c.uses[name] == nil && lends(sig) && (!dollars || free(sig)) {
			names = append(names, name)
		}
	}
	return names
}

// inDollars reports whether the file has a budget in money. Under it only agents with a price can be given from outside.
func (c *checker) inDollars() bool {
	if slices.ContainsFunc(c.info.Budget, func(a plan.Amount) bool { return a.Money > 0 }) {
		return true
	}
	for _, b := range c.order {
		if slices.ContainsFunc(b.Nodes, func(n *Node) bool { return n.Step != nil && dollarBudget(n) != nil }) {
			return true
		}
	}
	return false
}

// whyNotLent says why an agent of the file cannot be given to a flow; "" when it can.
func (c *checker) whyNotLent(p *Persona) string {
	if p.bad {
		return ""
	}
	switch as := ownAs(p.Syntax.Base, p.Base); {
	case p.Flow != nil:
		return "it is a flow, not an agent"
	case !lends(p.Signature):
		return "only an agent that changes nothing, takes a text and answers with one can be given away"
	case as != nil:
		return fmt.Sprintf("its answer is `%s`, and an agent that is given away answers with a text: write `as` behind the call", c.src.Slice(as.At))
	}
	return ""
}

// agentValue is the agent that a name stands for where an agent may be a value; nil when no agent has the name. What is wrong with it is reported once.
func (c *checker) agentValue(name string, span source.Span) *Decl {
	if d := c.agentValues[name]; d != nil {
		return d
	}
	t := &Call{lent: true}
	why := ""
	switch u := c.uses[name]; {
	case c.info.Personas[name] != nil:
		t.Persona = c.info.Personas[name]
		t.Signature, t.Flow = t.Persona.Signature, t.Persona.Flow
		why = c.whyNotLent(t.Persona)
	case u != nil && !u.Template:
		c.useCount[name]++
		why = "it is a flow, not an agent"
	case c.signature(name) != nil:
		if t.Signature = c.signature(name); !lends(t.Signature) {
			why = "only an agent that changes nothing, takes a text and answers with one can be given away"
		}
	default:
		return nil
	}
	d := &Decl{Name: name, File: c.file, Slot: -1, Type: types.Type{Kind: types.Agent, Values: []string{name}}, agent: t, bad: why != "" || t.Persona != nil && t.Persona.bad}
	c.agentValues[name] = d
	if why != "" {
		out := diag.Diagnostic{Code: "E0110", Span: span, Message: fmt.Sprintf("`%s` cannot be a value", name), Label: why}
		if c.suggests() {
			c.compared += len(c.lent())
			out.Help = []string{"agents that can: " + strings.Join(diag.NearestN(name, c.lent(), 8), ", ")}
		}
		c.add(out)
	}
	return d
}

// nearAgent reports an unknown name that looks like that of an agent, where one may stand.
func (c *checker) nearAgent(name string, span source.Span, b *Block) bool {
	if _, known := c.unknown[name]; known || c.broken[name] || !c.suggests() || c.inside(name, b) != nil {
		return false
	}
	if _, value := diag.Nearest(name, visible(b)); value {
		return false
	}
	c.compared += len(c.lent())
	near, ok := diag.Nearest(name, c.lent())
	if ok {
		c.unknown[name] = len(*c.diags)
		c.add(diag.Diagnostic{
			Code: "E0101", Span: span, Message: fmt.Sprintf("I don't know the name `%s`", name), Label: fmt.Sprintf("did you mean the agent `%s`?", near),
			Fix: &diag.Fix{Span: span, Text: near},
		})
	}
	return ok
}

// lend notes that an expression mentions an agent as a value. For prices and for tests that is as good as a call of it.
func (c *checker) lend(d *Decl, span source.Span, at place) {
	if d.bad {
		return
	}
	if at.quiet {
		return
	}
	call := &syntax.Call{Callee: syntax.Callee{Node: syntax.Node{At: span}, Agent: syntax.Name{Node: syntax.Node{At: span}, Text: d.Name}}}
	c.info.Calls[call] = d.agent
	if at.node != nil {
		c.calls = append(c.calls, callSite{call, at.block, at.node})
		c.mentionPersona(d.agent.Persona, span, at.node)
	}
}

// valueCallee finds the value that a callee is, when it can be an agent. A value that can be one comes before an agent of the scope: a new agent in the
// configuration never changes what a file means.
func (c *checker) valueCallee(call *syntax.Call, n *Node) *Call {
	name := call.Callee.Agent.Text
	if call.Callee.Capability == nil && (c.agents[name] != nil || c.uses[name] != nil) {
		return nil
	}
	d, _ := lookup(n.block, name)
	if d == nil || d.bad || !c.mayBeAgent(d, map[*Decl]bool{}) {
		return nil
	}
	path := []string{name}
	if call.Callee.Capability != nil {
		path = append(path, call.Callee.Capability.Text)
	}
	e := &syntax.Expr{Node: syntax.Node{At: call.Callee.At}, Code: call.Callee.String(), Path: path}
	c.resolveExpr(e, place{block: n.block, node: n})
	return &Call{Agent: e, Signature: &types.Signature{
		Name: call.Callee.String(), Use: call.Callee.String(), Primary: "prompt", Text: types.Prompt, Result: types.Type{Kind: types.String}, Effect: types.Think, Kind: types.Call,
		Structured: true, World: true, Params: []types.Param{{Name: "prompt", Type: types.Type{Kind: types.String}, Required: true}},
	}}
}

// mayBeAgent reports whether a value is, or holds, an agent, as far as can be told before types are known: an input that says so, and what is made of one.
func (c *checker) mayBeAgent(d *Decl, seen map[*Decl]bool) bool {
	switch {
	case d.agent != nil:
		return true
	case d.Input != nil:
		return types.HoldsAgent(d.Type)
	case d.Block == nil || d.Secret || seen[d]:
		return false
	}
	seen[d] = true
	var from *syntax.Expr
	b := d.Block
	if d.Slot < len(b.Nodes) {
		if n := b.Nodes[d.Slot]; n.Kind == plan.LetNode {
			from = n.Expr
		}
	} else if b.owner != nil {
		switch s := b.owner.Step.(type) {
		case *syntax.Map:
			from = s.Over
		case *syntax.Reduce:
			from = s.Over
		case *syntax.Loop:
			from = s.From
		}
		b = b.owner.block
	}
	if from == nil {
		return types.HoldsAgent(d.Type) // a name of the scope
	}
	for _, root := range c.rootsOf(from) {
		of, _ := lookup(b, root)
		if of == nil && c.agents[root] != nil || of != nil && c.mayBeAgent(of, seen) {
			return true
		}
		if sig := c.signature(root); of == nil && sig != nil && lends(sig) {
			return true
		}
	}
	return false
}

// madeOfInput says of an agent of the file that it cannot be made from one that the flow is given.
func (c *checker) madeOfInput(callee syntax.Callee) bool {
	d, _ := lookup(c.info.Root, callee.Agent.Text)
	if d == nil || callee.Capability != nil || !c.mayBeAgent(d, map[*Decl]bool{}) {
		return false
	}
	d.reads++
	c.add(diag.Diagnostic{
		Code: "E0102", Span: callee.At, Message: fmt.Sprintf("`%s` is a value, and an agent of the file is made of one that is known now", d.Name), Label: "who this is is known when the flow is used",
		Help: []string{fmt.Sprintf("say it in the prompt: `%s \"You judge poems. …\"`", d.Name)}, Related: c.relatedDecl(d, fmt.Sprintf("`%s` is here", d.Name)),
	})
	return true
}

// mentionedAgents are the agents of the file that arguments mention.
func (c *checker) mentionedAgents(args []syntax.Arg) []*syntax.Agent {
	var list []*syntax.Agent
	for i := range args {
		e := args[i].Value
		if e == nil {
			continue
		}
		for _, root := range c.rootsOf(e) {
			if a := c.agents[root]; a != nil && c.info.Root.names[root] == nil {
				list = append(list, a)
			}
		}
	}
	return list
}

// rootsOf are the names in an expression, without its texts.
func (c *checker) rootsOf(e *syntax.Expr) []string {
	if len(e.Path) > 0 {
		return e.Path[:1]
	}
	var roots []string
	for _, name := range c.parse(e.Code).names {
		roots = append(roots, name.Text)
	}
	return roots
}

// typeCallee types the value that is called.
func (c *checker) typeCallee(call *syntax.Call, t *Call) bool {
	k := c.typeExpr(t.Agent)
	c.info.asked++
	if len(c.stack) == 0 { // of a used flow the caller counts whom it gives
		c.unfold(len(c.info.Lent), call.Callee.At, "too many agents could be called here")
	}
	switch {
	case k.bad:
		return false
	case k.Type.Kind == types.Agent && !k.Type.Optional:
		return true
	}
	name := call.Callee.String()
	d := diag.Diagnostic{Code: "E0102", Span: call.Callee.At, Message: fmt.Sprintf("`%s` is %s, not an agent", name, article(k.Type)), Label: "only an agent can be given a text"}
	switch {
	case k.Type.Kind == types.Agent:
		d.Code = "E0115"
		d.Message = fmt.Sprintf("`%s` may be empty, and nothing cannot be called", name)
		d.Label = "it is " + k.Type.String()
		d.Help = []string{fmt.Sprintf("say whom to call then: `let speaker = %s ?? claude`, and call `speaker`", name)}
	case k.Type.Kind == types.Record:
		for _, f := range k.Type.Fields {
			if f.Type.Kind == types.Agent {
				d.Label = fmt.Sprintf("did you mean `%s.%s`?", name, f.Name)
				d.Fix = &diag.Fix{Span: call.Callee.At, Text: name + "." + f.Name}
			}
		}
	case k.Type.Kind == types.List && k.Type.Item().Kind == types.Agent:
		d.Label = "these are several: call one of them"
		d.Help = []string{fmt.Sprintf("`map one in %s { one \"…\" }` calls each", name)}
	}
	c.add(d)
	return false
}

// withoutDefault notes that the default of an input names an agent that does not exist where the flow is used: whoever uses it has to name another.
func (c *checker) withoutDefault(d *Decl) bool {
	e := d.Input.Default
	if len(c.stack) == 0 || len(e.Path) != 1 || c.agents[e.Path[0]] != nil || c.uses[e.Path[0]] != nil || c.signature(e.Path[0]) != nil {
		return false
	}
	d.Absent = e.Path[0]
	return true
}

// agentDefaults checks the defaults of inputs that hold agents, once the agents of the file are known.
func (c *checker) agentDefaults() {
	for _, d := range c.info.Inputs {
		if d.Input.Default != nil && types.HoldsAgent(d.Type) && !c.withoutDefault(d) {
			c.checkDefault(d)
		}
	}
	c.info.Lent = c.lent()
	for _, d := range c.info.Inputs {
		if len(c.info.Lent) == 0 && len(c.stack) == 0 && types.HoldsAgent(d.Type) && !d.bad {
			c.add(diag.Diagnostic{
				Code: "E0113", Span: d.Input.Type.At, Message: fmt.Sprintf("nobody could be given as `%s`", d.Name), Label: "there is no agent here that takes a text and answers with one",
				Help: []string{"`slop agents` lists what can be called"},
			})
			return
		}
	}
}

// AgentsIn are the places in an expression's code, in runes, where an agent is mentioned as a value.
func (i *Info) AgentsIn(e *syntax.Expr) []eval.Name {
	x := i.Exprs[e]
	if x == nil || !slices.ContainsFunc(x.Refs, func(r Ref) bool { return r.Decl.agent != nil }) {
		return nil
	}
	is := func(name string) bool {
		return slices.ContainsFunc(x.Refs, func(r Ref) bool { return r.Name == name && r.Decl.agent != nil })
	}
	if len(e.Path) > 0 {
		return []eval.Name{{Text: e.Path[0], End: len([]rune(e.Path[0]))}}
	}
	var list []eval.Name
	for _, name := range x.Tree.Names() {
		if is(name.Text) {
			list = append(list, name)
		}
	}
	slices.SortFunc(list, func(a, b eval.Name) int { return a.Start - b.Start })
	return list
}

// Signature is what the scope of the file knows of a capability that is mentioned in it as a value, or can be given to it.
func (i *Info) Signature(name string) *types.Signature { return i.signatures[name] }

// lent are the agents that a value may be or hold.
func lent(k known) types.Type {
	return types.Type{Kind: types.Agent, Values: types.Agents(k.Precise())}
}
