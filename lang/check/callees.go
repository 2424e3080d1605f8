package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// resolveCall finds whom a call calls, and resolves its arguments and text.
func (c *checker) resolveCall(call *syntax.Call, n *Node) {
	t := c.valueCallee(call, n)
	if t == nil {
		t = c.findCallee(call.Callee, "", func() bool { return c.valueInsteadOfAgent(call, n) })
	}
	if t != nil {
		if t.Flow != nil {
			n.Kind = plan.FlowNode
		}
		c.info.Calls[call] = t
		c.calls = append(c.calls, callSite{call, n.block, n})
	} else {
		n.bad = true
	}
	at := place{block: n.block, node: n}
	var sig *types.Signature
	if t != nil {
		sig = t.Signature
		c.inherit(t, call, n)
		c.mentionPersona(t.Persona, call.Callee.At, n)
	}
	for i := range call.Args {
		a := &call.Args[i]
		here := at
		here.agents = t != nil && t.Flow != nil
		here.secret = sig == nil && t == nil
		if sig != nil {
			if p := param(sig, a.Name.Text); p != nil {
				here.secret = p.Secret
			}
		}
		c.resolveExpr(a.Value, here)
	}
	c.resolveText(call.Text, at)
}

// inherit gives a call its text and `as`: its own, or, when it is a fallback that has none, those of the call it stands in for.
func (c *checker) inherit(t *Call, call *syntax.Call, n *Node) {
	t.Text, t.TextInput = call.Text, -1
	if as := ownAs(call, t.Persona); as != nil {
		of := c.asType(as)
		t.As = &of
	}
	if b := n.block; b.kind == elseBlock && b.Syntax == nil {
		if original := callOf(b.owner); original != nil && c.info.Calls[original] != nil {
			from := c.info.Calls[original]
			if t.Text == nil && !c.givesPrimary(t, call) {
				t.Text = from.Text
			}
			if t.As == nil && t.Signature != nil && t.Signature.Structured {
				t.As = from.As
			}
		}
	}
	if t.Flow != nil && t.Text != nil && len(t.Flow.Inputs) > 0 {
		t.TextInput = 0
	}
}

// ownAs is the nearest `as` of a call: behind it, or behind its persona or one of that one's bases.
func ownAs(call *syntax.Call, p *Persona) *syntax.Type {
	for {
		for _, clause := range call.Clauses {
			if clause.Kind == syntax.AsClause && clause.Type != nil {
				return clause.Type
			}
		}
		if p == nil {
			return nil
		}
		call, p = p.Syntax.Base, p.Base
	}
}

// asType is the meaning of a type behind `as`, resolved once however many calls share it.
func (c *checker) asType(t *syntax.Type) types.Type {
	if of, ok := c.info.Named[t]; ok {
		return of
	}
	of := c.typeOf(t)
	if types.HoldsAgent(of) {
		c.add(diag.Diagnostic{
			Code: "E0128", Span: t.At, Message: "an answer cannot hold an agent", Label: "an answer is text, and who can be called is known before the flow runs",
			Help: []string{"let it answer with a name or a role, and find the agent by that: `find(panel, .role == answer)`"},
		})
	}
	return of
}

// givesPrimary reports whether a call or its persona fills the primary parameter by name.
func (c *checker) givesPrimary(t *Call, call *syntax.Call) bool {
	name := ""
	switch {
	case t.Signature != nil:
		name = t.Signature.Primary
	case len(t.Flow.Inputs) > 0:
		name = t.Flow.Inputs[0].Name
	}
	_, given := arguments(call, t.Persona)[name]
	return given
}

// arguments are the arguments of a call by name, those of its personas included: the nearest wins.
func arguments(call *syntax.Call, p *Persona) map[string]*syntax.Arg {
	if p == nil && len(call.Args) == 0 {
		return nil
	}
	args := map[string]*syntax.Arg{}
	for {
		for i := range call.Args {
			if a := &call.Args[i]; args[a.Name.Text] == nil {
				args[a.Name.Text] = a
			}
		}
		if p == nil {
			return args
		}
		call, p = p.Syntax.Base, p.Base
	}
}

// mentionPersona lets a call wait for what the texts and arguments of its persona mention.
func (c *checker) mentionPersona(p *Persona, span source.Span, n *Node) {
	if p == nil || len(p.mentions) == 0 {
		return
	}
	depth := 0
	for b := n.block; b.Parent != nil; b = b.Parent {
		depth++
	}
	for _, d := range p.mentions {
		c.mention(d, depth, plan.Reference, span, n.block, n)
	}
}

func param(sig *types.Signature, name string) *types.Param {
	for i := range sig.Params {
		if sig.Params[i].Name == name {
			return &sig.Params[i]
		}
	}
	return nil
}

// findCallee resolves a callee: a persona or used flow of the file first, else a capability of the scope. Self is the persona being made: its own
// name means the capability of that name. When nothing fits, explain may say why in its own words; else the callee is reported as unknown.
func (c *checker) findCallee(callee syntax.Callee, self string, explain func() bool) *Call {
	name := callee.String()
	if callee.Capability == nil && name != self {
		if p := c.info.Personas[name]; p != nil {
			if p.bad {
				return nil
			}
			return &Call{Signature: p.Signature, Flow: p.Flow, Persona: p}
		}
		if u := c.uses[name]; u != nil && !(u.Template && c.signature(name) != nil) {
			c.useCount[name]++
			if c.info.Templates[name] != nil {
				c.templateAsAgent(callee)
				return nil
			}
			if f := c.info.Flows[name]; f != nil {
				return &Call{Flow: f}
			}
			return nil // the use was reported
		}
	}
	if sig := c.signature(name); sig != nil {
		return &Call{Signature: sig}
	}
	if c.broken[callee.Agent.Text] && name != self {
		return nil
	}
	if explain != nil && explain() {
		return nil
	}
	c.unknownCallee(callee)
	return nil
}

// signature finds a capability of the scope.
func (c *checker) signature(name string) *types.Signature {
	sig, ok := c.signatures[name]
	if !ok {
		if found, known := c.scope.Capabilities[name]; known {
			sig = &found
		}
		c.signatures[name] = sig
	}
	return sig
}

// callable are the names a script can call: its own and those of the scope.
func (c *checker) callable() []string {
	set := map[string]bool{}
	for name := range c.scope.Capabilities {
		set[name] = true
	}
	for name := range c.agents {
		set[name] = true
	}
	for name, u := range c.uses {
		if !u.Template {
			set[name] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func (c *checker) unknownCallee(callee syntax.Callee) {
	name := callee.String()
	key := "agent " + name
	if first, ok := c.unknown[key]; ok {
		c.again(first, callee.At)
		return
	}
	d := diag.Diagnostic{Code: "E0102", Span: callee.At, Message: fmt.Sprintf("I don't know an agent named `%s`", name)}
	if callee.Capability == nil && syntax.ForeignOutput(name) {
		d.Code, d.Message, d.Label = "E0008", fmt.Sprintf("there is no `%s` in this language", name), "write `output`"
		d.Help = []string{"what a script answers is its last line: output draft"}
		if c.endsFile(callee) {
			d.Fix = &diag.Fix{Span: callee.At, Text: "output"}
		}
		c.unknown[key] = len(*c.diags)
		c.add(d)
		return
	}
	if !c.suggests() {
		c.unknown[key] = len(*c.diags)
		c.add(d)
		return
	}
	all := c.callable()
	var family []string
	for _, known := range all {
		if strings.HasPrefix(known, callee.Agent.Text+".") {
			family = append(family, known)
		}
	}
	switch {
	case callee.Capability == nil && len(family) > 0:
		d.Message = fmt.Sprintf("`%s` does several things: say which", name)
		d.Label = fmt.Sprintf("write, for instance, `%s`", c.harmless(family))
		d.Help = []string{fmt.Sprintf("`%s` can do: %s", name, quoted(family[:min(8, len(family))]))}
	case callee.Capability != nil && (c.agents[callee.Agent.Text] != nil || c.uses[callee.Agent.Text] != nil):
		d.Message = fmt.Sprintf("`%s` has no `%s`", callee.Agent.Text, callee.Capability.Text)
		d.Label = fmt.Sprintf("it is called by its name alone: `%s \"…\"`", callee.Agent.Text)
		d.Fix = &diag.Fix{Span: callee.At, Text: callee.Agent.Text}
	case callee.Capability != nil && len(family) > 0:
		near, ok := diag.Nearest(name, family)
		d.Message = fmt.Sprintf("`%s` cannot do `%s`", callee.Agent.Text, callee.Capability.Text)
		if ok {
			d.Label = fmt.Sprintf("did you mean `%s`?", near)
			d.Fix = &diag.Fix{Span: callee.At, Text: near}
		}
		d.Help = []string{fmt.Sprintf("`%s` can do: %s", callee.Agent.Text, quoted(diag.NearestN(name, family, 8)))}
	default:
		near, ok := diag.Nearest(name, all)
		if whole := withFamily(name, all); len(whole) == 1 {
			near, ok = whole[0], true
		}
		if ok {
			d.Label = fmt.Sprintf("did you mean `%s`?", near)
			d.Fix = &diag.Fix{Span: callee.At, Text: near}
			d.Help = []string{"agents in scope: " + strings.Join(diag.NearestN(name, all, 8), ", ")}
		} else {
			d.Label = "no agent, flow or capability has this name"
			if len(all) > 0 {
				d.Help = []string{"agents in scope: " + strings.Join(diag.NearestN(name, all, 8), ", ")}
			}
			if callee.Capability == nil {
				d.Help = append(d.Help, fmt.Sprintf("to make one: `agent %s = claude \"You are …\"`", name))
			}
		}
	}
	c.unknown[key] = len(*c.diags)
	c.add(d)
}

// endsFile tells whether a callee begins the last line of the file, where `output` can stand in its place.
func (c *checker) endsFile(callee syntax.Callee) bool {
	nodes := c.info.Root.Nodes
	if len(nodes) == 0 {
		return false
	}
	call := callOf(nodes[len(nodes)-1])
	return call != nil && call.Callee.At == callee.At && call.At.Start == nodes[len(nodes)-1].at.Start && len(call.Clauses) == 0 && !call.Parens
}

// withFamily are the capabilities that a name alone may stand for: human.approve for approve.
func withFamily(name string, all []string) []string {
	var whole []string
	for _, known := range all {
		if strings.HasSuffix(known, "."+name) {
			whole = append(whole, known)
		}
	}
	return whole
}

// harmless picks what to show as an example: what changes nothing, if there is such.
func (c *checker) harmless(names []string) string {
	for _, name := range names {
		if sig := c.scope.Capabilities[name]; effectOf(&sig) != types.Do {
			return name
		}
	}
	return names[0]
}

// again notes that an unknown name, already reported, stands in another place too.
func (c *checker) again(first int, span source.Span) {
	if first >= len(*c.diags) { // it was one too many
		return
	}
	d := &(*c.diags)[first]
	if len(d.Related) < 3 {
		d.Related = append(d.Related, diag.Related{File: c.src, Span: span, Message: "also here"})
	}
}

// valueInsteadOfAgent recognises a value where an agent is called: `x = draft`, `x = band.melody`, `draft "…"`.
func (c *checker) valueInsteadOfAgent(call *syntax.Call, n *Node) bool {
	name := call.Callee.Agent.Text
	d, _ := lookup(n.block, name)
	if d == nil && !c.broken[name] {
		if inside := c.inside(name, n.block); inside != nil && bare(call) {
			c.unknownName(name, call.Callee.Agent.At, n.block)
			return true
		}
		return false
	}
	if d != nil {
		d.reads++
	}
	whole := call.Callee.String()
	if !bare(call) {
		c.add(diag.Diagnostic{
			Code: "E0102", Span: call.Callee.At, Message: fmt.Sprintf("`%s` is a value, not an agent", whole), Label: "only an agent can be given a text or arguments",
			Help: []string{fmt.Sprintf("to give it to an agent, mention it: `claude \"… <<%s>>\"`", whole)}, Related: c.relatedDecl(d, fmt.Sprintf("`%s` is made here", name)),
		})
		return true
	}
	out := diag.Diagnostic{Code: "E0102", Span: call.Callee.At, Message: fmt.Sprintf("`%s` is a value, not an agent", whole), Related: c.relatedDecl(d, fmt.Sprintf("`%s` is made here", name))}
	stmt, ok := n.Stmt.(*syntax.StepStmt)
	start := source.Span{Start: n.at.Start, End: n.at.Start}
	switch {
	case ok && stmt.Name != nil:
		out.Label = fmt.Sprintf("to give a value a name write `let %s = %s`", stmt.Name.Text, whole)
		out.Fix = &diag.Fix{Span: start, Text: "let "}
	case ok:
		out.Label = fmt.Sprintf("to make it the value of the block write `output %s`", whole)
		out.Fix = &diag.Fix{Span: start, Text: "output "}
	default:
		out.Label = "an agent is called here"
		out.Help = []string{fmt.Sprintf("to use the value write a block: `else { output %s }`", whole)}
	}
	c.add(out)
	return true
}

// bare reports whether a call is only a name.
func bare(call *syntax.Call) bool {
	if call.Text != nil || call.Parens || len(call.Args) > 0 {
		return false
	}
	return len(call.Clauses) == 0
}

// resolvePersonas resolves the agents of the file, bases first.
func (c *checker) resolvePersonas() {
	state := map[string]int{} // 1: under way, 2: done
	var visit func(item *syntax.Agent)
	visit = func(item *syntax.Agent) {
		name := item.Name.Text
		if state[name] != 0 {
			return
		}
		state[name] = 1
		p := &Persona{Syntax: item}
		c.info.Personas[name] = p
		if base := c.agents[item.Base.Callee.Agent.Text]; base != nil && base != item && item.Base.Callee.Capability == nil {
			if state[base.Name.Text] == 1 {
				c.add(diag.Diagnostic{
					Code: "E0103", Span: item.Base.Callee.At, Message: "these agents are made from each other", Label: fmt.Sprintf("`%s` is made from `%s`", name, base.Name.Text),
					Related: c.related(base.Name.At, fmt.Sprintf("and `%s`, in turn, from `%s`", base.Name.Text, name)),
				})
				p.bad = true
			} else {
				visit(base)
			}
		}
		if item.Base != nil {
			for _, of := range c.mentionedAgents(item.Base.Args) {
				if state[of.Name.Text] == 0 {
					visit(of)
				}
			}
		}
		c.resolvePersona(p, name)
		state[name] = 2
	}
	for _, item := range c.file.Items {
		if a, ok := item.(*syntax.Agent); ok && c.agents[a.Name.Text] == a {
			visit(a)
		}
	}
}

func (c *checker) resolvePersona(p *Persona, name string) {
	base := p.Syntax.Base
	if base == nil {
		p.bad = true
		return
	}
	if !p.bad {
		t := c.findCallee(base.Callee, name, func() bool { return c.madeOfInput(base.Callee) })
		if t == nil {
			p.bad = true
		} else {
			p.Base, p.Signature, p.Flow = t.Persona, t.Signature, t.Flow
		}
	}
	if p.Base != nil {
		p.mentions = append(p.mentions, p.Base.mentions...)
	}
	at := place{block: c.info.Root, agents: true}
	var exprs []*syntax.Expr
	for i := range base.Args {
		a := &base.Args[i]
		here := at
		if p.Signature != nil {
			if q := param(p.Signature, a.Name.Text); q != nil {
				here.secret = q.Secret
			}
		} else {
			here.secret = p.Flow == nil
		}
		c.resolveExpr(a.Value, here)
		exprs = append(exprs, a.Value)
	}
	if base.Text != nil {
		c.resolveText(base.Text, at)
		exprs = append(exprs, exprsOf(base.Text)...)
	}
	for _, e := range exprs {
		c.eachRef(e, func(r Ref) {
			if a := r.Decl.agent; a != nil && a.Persona != nil {
				p.mentions = append(p.mentions, a.Persona.mentions...)
			} else if !r.Decl.Secret {
				p.mentions = append(p.mentions, r.Decl)
			}
		})
	}
}

// exprsOf are the expressions directly inside a text.
func exprsOf(t *syntax.Text) []*syntax.Expr {
	var list []*syntax.Expr
	for i := range t.Parts {
		if t.Parts[i].Expr != nil {
			list = append(list, t.Parts[i].Expr)
		}
	}
	return list
}

// eachRef visits the references of an expression, those in its texts included.
func (c *checker) eachRef(e *syntax.Expr, visit func(Ref)) {
	if x := c.info.Exprs[e]; x != nil {
		for _, r := range x.Refs {
			visit(r)
		}
	}
	for _, t := range e.Texts {
		for _, inner := range exprsOf(t) {
			c.eachRef(inner, visit)
		}
	}
}

// quoted lists names in backticks.
func quoted(names []string) string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = "`" + n + "`"
	}
	return strings.Join(list, ", ")
}
