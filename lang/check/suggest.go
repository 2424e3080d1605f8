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

// maxSuggested is how many unknown names of a file get a suggestion: each is compared with every name in scope, and nobody reads that far.
const maxSuggested = 25

// maxCompared is how many comparisons they may cost together, in a file with thousands of names.
const maxCompared = 400_000

// suggests tells whether another unknown name gets a suggestion.
func (c *checker) suggests() bool { return len(c.unknown) <= maxSuggested && c.compared <= maxCompared }

// unknownName reports a value name that stands for nothing here, in the words that fit what it could have been meant for.
func (c *checker) unknownName(name string, span source.Span, b *Block) {
	if c.broken[name] || syntax.ForeignConstant(name) {
		return
	}
	if first, ok := c.unknown[name]; ok {
		c.again(first, span)
		return
	}
	d := diag.Diagnostic{Code: "E0101", Span: span, Message: fmt.Sprintf("I don't know the name `%s`", name)}
	if !c.suggests() {
		c.unknown[name] = len(*c.diags)
		c.add(d)
		return
	}
	inside := c.inside(name, b)
	if inside != nil && !c.inFlow(b) {
		d.Message = fmt.Sprintf("`%s` is not known here", name)
		d.Label = "a `must` looks at nothing but its own value"
		if len(b.names) == 0 {
			d.Label = "only a constant can stand here"
		}
		if b.names["output"] != nil {
			d.Label = "an `expect` looks at `output` and the inputs"
			d.Help = []string{fmt.Sprintf("to test it, let the output hold it: `output {…, %s: %s}`, then `output.%s`", name, name, name)}
		}
		d.Related = c.related(inside.At, fmt.Sprintf("`%s` is here", name))
	} else if inside != nil {
		c.livesInside(&d, inside, b)
	} else if name == "error" {
		d.Message = "`error` is known only inside an `else`"
		d.Label = "nothing has failed here"
		d.Help = []string{"`step … else { … <<error.message>> … }`; in `else fail \"…\"` it is known too"}
	} else if name == "output" {
		d.Message = "the output has no name inside the flow"
		d.Label = "only the `expect` of a test can look at it"
	} else if u := c.uses[name]; u != nil && u.Template {
		c.useCount[name]++
		d.Message = fmt.Sprintf("`%s` is a template, not a value", name)
		d.Label = fmt.Sprintf("it is called with a record: `%s`", c.templateCall(name))
	} else if u := c.uses[name]; u != nil || c.agents[name] != nil || c.isAgent(name) {
		d.Message = fmt.Sprintf("`%s` is an agent, not a value", name)
		d.Label = fmt.Sprintf("an agent is called with a text: `%s \"…\"`", name)
		d.Help = []string{fmt.Sprintf("call it in a line of its own, and mention the answer: `answer = %s \"…\"`, then `answer`", name)}
		if u != nil {
			c.useCount[name]++
		}
	} else if c.typeDefs[name] != nil {
		c.typeUses[name]++
		d.Message = fmt.Sprintf("`%s` is a type, not a value", name)
		d.Label = "a type stands behind `as` or `:`"
	} else if isFunction(name) {
		d.Message = fmt.Sprintf("`%s` is a function", name)
		d.Label = fmt.Sprintf("call it with parentheses: `%s(…)`", name)
	} else {
		names := visible(b)
		c.compared += len(names)
		if near, ok := diag.Nearest(name, names); ok {
			d.Label = fmt.Sprintf("did you mean `%s`?", near)
			d.Fix = &diag.Fix{Span: span, Text: near}
			if meant, _ := lookup(b, near); meant != nil {
				meant.reads++
			}
		} else {
			d.Label = "nothing has this name here"
		}
		if len(names) > 0 {
			d.Help = []string{"names in scope: " + strings.Join(diag.NearestN(name, names, 8), ", ")}
		} else {
			d.Help = []string{fmt.Sprintf("nothing has a name yet; to be asked for it write `input %s: string` at the top", name)}
		}
	}
	c.unknown[name] = len(*c.diags)
	c.add(d)
}

// isAgent reports whether a name alone, or the family before the dot, is something the scope can call.
func (c *checker) isAgent(name string) bool {
	if _, ok := c.scope.Capabilities[name]; ok {
		return true
	}
	for full := range c.scope.Capabilities {
		if strings.HasPrefix(full, name+".") {
			return true
		}
	}
	return false
}

func isFunction(name string) bool {
	for _, f := range eval.Functions() {
		if f.Name == name {
			return true
		}
	}
	return false
}

// visible are the value names that a line of the block sees, in no order.
func visible(b *Block) []string {
	set := map[string]bool{}
	for ; b != nil; b = b.Parent {
		for name := range b.names {
			set[name] = true
		}
	}
	return slices.Collect(maps.Keys(set))
}

// unknownAfter reports a name behind `after` that is no step here.
func (c *checker) unknownAfter(name syntax.Name, b *Block) {
	if c.broken[name.Text] {
		return
	}
	if first, ok := c.unknown[name.Text]; ok {
		c.again(first, name.At)
		return
	}
	if inner := c.inside(name.Text, b); inner != nil {
		c.unknown[name.Text] = len(*c.diags)
		d := diag.Diagnostic{Code: "E0101", Span: name.At}
		c.livesInside(&d, inner, b)
		if owner := outermost(inner, b); owner.Name != "" && owner.block.names[owner.Name] == owner.Decl {
			d.Label = fmt.Sprintf("wait for the whole block: `after %s`", owner.Name)
			d.Fix = &diag.Fix{Span: name.At, Text: owner.Name}
		}
		c.add(d)
		return
	}
	var steps []string
	for outer := b; outer != nil; outer = outer.Parent {
		for _, n := range outer.Nodes {
			if n.Step != nil && n.Name != "" {
				steps = append(steps, n.Name)
			}
		}
	}
	d := diag.Diagnostic{Code: "E0101", Span: name.At, Message: fmt.Sprintf("I don't know a step named `%s`", name.Text), Label: "`after` needs the name of a step"}
	if near, ok := diag.Nearest(name.Text, steps); ok {
		d.Label = fmt.Sprintf("did you mean `%s`?", near)
		d.Fix = &diag.Fix{Span: name.At, Text: near}
	}
	if len(steps) > 0 {
		d.Help = []string{"steps in scope: " + strings.Join(diag.NearestN(name.Text, steps, 8), ", ")}
	}
	c.unknown[name.Text] = len(*c.diags)
	c.add(d)
}

// inside finds a declaration of the name in a block that b does not see into, or nil.
func (c *checker) inside(name string, b *Block) *Decl {
	if c.anywhere == nil {
		c.anywhere = map[string][]*Decl{}
		for _, other := range c.order {
			for name, d := range other.names {
				if d.At != (source.Span{}) && len(c.anywhere[name]) < maxSuggested {
					c.anywhere[name] = append(c.anywhere[name], d)
				}
			}
		}
	}
	for _, d := range c.anywhere[name] {
		seen := false
		for outer := b; outer != nil; outer = outer.Parent {
			seen = seen || outer == d.Block
		}
		if !seen {
			return d
		}
	}
	return nil
}

// inFlow tells whether a block belongs to the flow. The places of an `expect` and a `must` do not.
func (c *checker) inFlow(b *Block) bool {
	for b.Parent != nil {
		b = b.Parent
	}
	return b == c.info.Root
}

// outermost is the step of a block around b that holds a declaration which b does not see.
func outermost(inner *Decl, b *Block) *Node {
	around := map[*Block]bool{}
	for outer := b; outer != nil; outer = outer.Parent {
		around[outer] = true
	}
	block := inner.Block
	for !around[block.Parent] {
		block = block.Parent
	}
	return block.owner
}

// livesInside says in which block a name lives and how its value can leave it.
func (c *checker) livesInside(d *diag.Diagnostic, inner *Decl, b *Block) {
	owner := outermost(inner, b)
	if owner.Decl != nil {
		owner.Decl.reads++ // that is what was meant
	}
	block := inner.Block
	for block.owner != owner {
		block = block.Parent
	}
	word := stepWord(owner)
	where := fmt.Sprintf("the %s", word)
	if block.kind == elseBlock {
		where = "the `else` of the " + word
	}
	if owner.Name != "" {
		where += fmt.Sprintf(" `%s`", owner.Name)
	} else {
		where = strings.Replace(where, "the "+word, "the `"+word+"`", 1) + fmt.Sprintf(" of line %d", c.line(owner.at.Start))
	}
	d.Message = fmt.Sprintf("`%s` lives inside %s", inner.Name, where)
	d.Related = c.related(inner.At, fmt.Sprintf("`%s` is made here, and seen only up to the closing brace", inner.Name))
	if c.fromItsElse(owner, b) {
		d.Label = "an `else` does not see the block that failed"
		d.Help = []string{"`<<error.message>>` says why it failed; to use something in both, make it above the block"}
		return
	}
	switch {
	case owner.Name == "" && owner.block.Value == owner.slot:
		d.Label = "it is not seen from outside"
		d.Help = []string{fmt.Sprintf("give the `%s` a name, and mention that: `name = %s …`", word, word)}
	case owner.Name == "":
		d.Label = "it is not seen from outside"
	case inner.Block == block && block.Value < 0 && block.kind != raceBlock && owner.Kind == plan.GroupNode:
		d.Label = fmt.Sprintf("from outside it is `%s.%s`", owner.Name, inner.Name)
		d.Fix = &diag.Fix{Span: d.Span, Text: owner.Name + "." + inner.Name}
	case owner.Kind == plan.MapNode:
		d.Label = fmt.Sprintf("its value leaves as `%s`, a list with one value for each item", owner.Name)
	case owner.Kind == plan.RaceNode:
		d.Label = fmt.Sprintf("the winner leaves as `%s`", owner.Name)
	default:
		d.Label = fmt.Sprintf("its value leaves as `%s`", owner.Name)
	}
}

// fromItsElse tells whether b stands in an `else` of the step that holds what is mentioned.
func (c *checker) fromItsElse(owner *Node, b *Block) bool {
	for ; b != nil; b = b.Parent {
		if b.owner == owner {
			return b.kind == elseBlock
		}
	}
	return false
}

// stepWord is the word that begins a step.
func stepWord(n *Node) string {
	switch s := n.Step.(type) {
	case *syntax.Group:
		return string(s.Kind)
	case *syntax.Race:
		return "race"
	case *syntax.Map:
		return "map"
	case *syntax.Reduce:
		return "reduce"
	case *syntax.If:
		return "if"
	case *syntax.Match:
		return "match"
	case *syntax.Loop:
		return "loop"
	}
	return "call"
}

// looksLikeValue warns of a text that seems to hold a value but does not: `<<x>>` in single quotes, `{{x}}`, `${x}` or `{x}` in double quotes.
func (c *checker) looksLikeValue(t *syntax.Text, b *Block) {
	raw := t.Quote == syntax.Single || t.Quote == syntax.TripleSingle
	if raw {
		text := c.src.Slice(t.At)
		if i := strings.Index(text, "<<"); i >= 0 {
			c.scanBraces(text, t.At.Start, "<<", ">>", b, func(whole source.Span, name string) {
				c.add(diag.Diagnostic{
					Code: "E0121", Severity: diag.Warning, Span: whole, Message: fmt.Sprintf("`<<%s>>` stays as it is here", name),
					Label: "single quotes don't listen", Help: []string{"to put the value in, use double quotes"},
				})
			})
		}
		return
	}
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Expr != nil {
			continue
		}
		if strings.Contains(p.Literal, "<<") { // a text inside another's <<…>>
			c.scanBraces(c.src.Slice(p.At), p.At.Start, "<<", ">>", b, func(whole source.Span, name string) {
				if whole.Start > p.At.Start && c.src.Text[whole.Start-1] == '\\' {
					return
				}
				c.add(diag.Diagnostic{
					Code: "E0121", Severity: diag.Warning, Span: whole, Message: fmt.Sprintf("`<<%s>>` stays as it is here", name),
					Label: "inside `<<…>>` a text is plain", Help: []string{"to join texts there write `+`: `<<\"a \" + " + name + ">>`"},
				})
			})
		}
		if strings.IndexByte(p.Literal, '{') < 0 {
			continue
		}
		c.scanBraces(c.src.Slice(p.At), p.At.Start, "{", "}", b, func(whole source.Span, name string) {
			text := c.src.Text
			for whole.Start > p.At.Start && (text[whole.Start-1] == '{' || text[whole.Start-1] == '$') {
				whole.Start--
			}
			for whole.End < p.At.End && text[whole.End] == '}' {
				whole.End++
			}
			c.add(diag.Diagnostic{
				Code: "E0121", Severity: diag.Warning, Span: whole, Message: fmt.Sprintf("`%s` stays as it is: values are written `<<%s>>`", text[whole.Start:whole.End], name),
				Label: fmt.Sprintf("write `<<%s>>`", name), Fix: &diag.Fix{Span: whole, Text: "<<" + name + ">>"},
			})
		})
	}
}

// forgotAs adds what was meant to a problem with a field of an agent's plain answer: the `as` that would have given it fields. The name of the answer is marked
// bad then: it is said once, not for every field.
func (c *checker) forgotAs(p *eval.Problem, e *syntax.Expr, x *Expr) {
	at := spanIn(c.src, e, p.Start, p.End)
	field := c.src.Slice(at)
	before := strings.TrimSuffix(strings.TrimSuffix(c.src.Text[e.At.Start:max(at.Start, e.At.Start)], "."), "?")
	var d *Decl
	for _, r := range x.Refs {
		if rest, ok := strings.CutSuffix(before, r.Name); ok && (rest == "" || !isPath("x"+rest[len(rest)-1:]) && !strings.HasSuffix(rest, ".")) {
			d = r.Decl
		}
	}
	if d == nil || d.Type.Kind != types.String || d.Block == nil || d.Slot < 0 || d.Slot >= len(d.Block.Nodes) || !isPath(field) {
		return
	}
	call := callOf(d.Block.Nodes[d.Slot])
	if call == nil || c.info.Calls[call] == nil || c.info.Calls[call].Signature == nil || !c.info.Calls[call].Signature.Structured || c.info.Calls[call].As != nil {
		return
	}
	shape := fmt.Sprintf("{%s: …}", field)
	for _, item := range c.file.Items {
		if t, ok := item.(*syntax.TypeDef); ok && slices.ContainsFunc(t.Fields, func(f syntax.Field) bool { return f.Name.Text == field }) {
			shape = t.Name.Text
			c.typeUses[shape]++
			end := call.Callee.At.End
			if call.Text != nil {
				end = call.Text.At.End
			} else if call.Parens {
				end = call.At.End
			}
			if call.Text != nil || !call.Parens || len(call.Clauses) == 0 {
				c.forgotten = &diag.Fix{Span: source.Span{Start: end, End: end}, Text: " as " + shape}
			}
			p.Label = fmt.Sprintf("did you forget `as %s`?", shape)
			break
		}
	}
	p.Help = fmt.Sprintf("the answer of an agent is a text, unless its call says otherwise: `%s = %s \"…\" as %s`", d.Name, call.Callee, shape)
	d.bad = true
}

// scanBraces finds names of values in scope, or paths that begin with one, between an opening and a closing mark.
func (c *checker) scanBraces(text string, offset int, open, shut string, b *Block, found func(whole source.Span, name string)) {
	for i := 0; ; {
		j := strings.Index(text[i:], open)
		if j < 0 {
			return
		}
		start := i + j
		i = start + len(open)
		end := strings.Index(text[i:], shut)
		if end < 0 {
			return
		}
		if end > 80 {
			continue
		}
		name := strings.TrimSpace(text[i : i+end])
		root, _, _ := strings.Cut(name, ".")
		if !isPath(name) {
			continue
		}
		d, _ := lookup(b, root)
		if d == nil || d.Secret {
			continue
		}
		d.reads++ // it was meant to be read: said once, here
		found(source.Span{Start: offset + start, End: offset + i + end + len(shut)}, name)
		i += end + len(shut)
	}
}

// isPath reports whether s is names joined by dots.
func isPath(s string) bool {
	if s == "" {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		for i, r := range part {
			letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127
			if !letter && (i == 0 || r < '0' || r > '9') {
				return false
			}
		}
		if part == "" {
			return false
		}
	}
	return true
}
