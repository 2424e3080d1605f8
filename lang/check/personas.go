package check

import (
	"fmt"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// typePersonas types what the agents of the file are made of, and checks that it is known before the flow runs.
func (c *checker) typePersonas() {
	for _, item := range c.file.Items {
		a, ok := item.(*syntax.Agent)
		if !ok || c.info.Personas[a.Name.Text] == nil || c.info.Personas[a.Name.Text].Syntax != a || a.Base == nil {
			continue
		}
		p := c.info.Personas[a.Name.Text]
		if !c.fixed(p) || p.bad {
			continue
		}
		c.checkPersona(p)
	}
}

// fixed reports whether a persona mentions only what is known before the flow runs, and says so when it does not.
func (c *checker) fixed(p *Persona) bool {
	ok := true
	check := func(e *syntax.Expr) {
		c.eachRef(e, func(r Ref) {
			if ok && !c.inputOnly(r.Decl, map[*Decl]bool{}) {
				ok = false
				c.add(diag.Diagnostic{
					Code: "E0101", Span: e.At, Message: fmt.Sprintf("an agent cannot mention `%s`: it is made before the flow runs", r.Name), Label: "only inputs, and `let`s of inputs, are known then",
					Help:    []string{fmt.Sprintf("mention `<<%s>>` in the prompt of the call instead", r.Name)},
					Related: c.relatedDecl(r.Decl, fmt.Sprintf("`%s` comes from a step", r.Name)),
				})
			}
		})
	}
	for _, a := range p.Syntax.Base.Args {
		check(a.Value)
	}
	if t := p.Syntax.Base.Text; t != nil {
		for _, e := range exprsOf(t) {
			check(e)
		}
	}
	return ok
}

// inputOnly reports whether a name is an input, or a `let` made of inputs alone.
func (c *checker) inputOnly(d *Decl, seen map[*Decl]bool) bool {
	if d.Secret || d.Block == nil || d.Slot >= len(d.Block.Nodes) || seen[d] {
		return true
	}
	seen[d] = true
	n := d.Block.Nodes[d.Slot]
	if n.Kind != plan.LetNode {
		return false
	}
	ok := true
	c.eachRef(n.Expr, func(r Ref) { ok = ok && c.inputOnly(r.Decl, seen) })
	return ok
}

func (c *checker) checkPersona(p *Persona) {
	base := p.Syntax.Base
	c.typeLets(p)
	if p.Flow != nil {
		if base.Text != nil {
			c.add(diag.Diagnostic{Code: "E0128", Span: base.Text.At, Message: "a flow has no system prompt", Label: "give its inputs by name instead"})
		}
		for i := range base.Args {
			a := &base.Args[i]
			k := c.typeExpr(a.Value)
			c.flowArg(a, k, p.Flow, p.Syntax.Base)
		}
	} else {
		c.typeArgs(base.Args, p.Signature, base, names{})
		if base.Text != nil {
			c.typeText(base.Text, "this system prompt")
			if p.Signature.Text != types.Prompt {
				c.add(diag.Diagnostic{
					Code: "E0128", Span: base.Text.At, Message: fmt.Sprintf("`%s` is no model and has no system prompt", base.Callee), Label: "here only arguments can be fixed",
					Help: []string{fmt.Sprintf("`agent %s = %s(name: …)`", p.Syntax.Name.Text, base.Callee)},
				})
			}
		}
	}
	seen := map[string]source.Span{}
	for i := range base.Clauses {
		clause := &base.Clauses[i]
		switch clause.Kind {
		case syntax.AsClause, syntax.RepairClause, syntax.RetryClause, syntax.TimeoutClause, syntax.CacheClause:
		default:
			c.add(diag.Diagnostic{
				Code: "E0128", Span: firstLine(c.src, clause.At), Message: fmt.Sprintf("`%s` cannot stand behind an agent of the file", clause.Kind), Label: "it belongs to a step",
				Help: []string{"an agent can have: as, repair, retry, timeout, cache"},
			})
			continue
		}
		c.twice(clause, seen)
		if clause.Kind == syntax.AsClause && clause.Type != nil {
			c.asType(clause.Type)
		}
		c.clauseFits(clause, base, &Call{Signature: p.Signature, Flow: p.Flow, Persona: p})
	}
}

// typeLets types the `let`s that a persona mentions, ahead of the block they stand in: they are made of inputs alone.
func (c *checker) typeLets(p *Persona) {
	seen := map[*Decl]bool{}
	var visit func(d *Decl)
	visit = func(d *Decl) {
		if d.Block == nil || d.Secret || d.Slot >= len(d.Block.Nodes) || d.bad || seen[d] {
			return
		}
		seen[d] = true
		n := d.Block.Nodes[d.Slot]
		if n.Kind != plan.LetNode {
			return
		}
		c.eachRef(n.Expr, func(r Ref) { visit(r.Decl) })
		before := len(*c.diags)
		c.typeNode(n)
		*c.diags = (*c.diags)[:before] // said when its block is typed
	}
	for _, d := range p.mentions {
		visit(d)
	}
}
