package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// place is where an expression stands: the block whose names it sees and the innermost node that waits for what it mentions (nil in declarations).
type place struct {
	block  *Block
	node   *Node
	secret bool    // secrets may stand here
	agents bool    // agents may stand here as values
	quiet  bool    // a second look at something that was resolved before: no edges, no counting
	binds  []*Decl // names of this place alone: what `else fail "…"` knows
}

// lending is the place where agents may stand as values.
func (p place) lending() place {
	p.agents = true
	return p
}

// resolveBlock resolves every mention in the block and in the blocks inside it, and draws the edges of the block.
func (c *checker) resolveBlock(b *Block) {
	b.edges = make([][]edge, len(b.Nodes))
	for _, n := range b.Nodes {
		c.resolveNode(n)
	}
	c.drawOrder(b)
	for _, n := range b.Nodes {
		n.Needs = compactNeeds(n.Needs)
	}
}

func (c *checker) resolveNode(n *Node) {
	at := place{block: n.block, node: n}
	if n.Kind == plan.IntoNode {
		c.need(n, 0, n.Of, plan.Reference)
		n.block.edges[n.slot] = append(n.block.edges[n.slot], edge{from: n.Of, why: plan.Reference, at: n.at})
		return
	}
	if n.Expr != nil {
		here := at
		here.agents = n.Kind == plan.LetNode
		c.resolveExpr(n.Expr, here)
	}
	if n.Text != nil {
		c.resolveText(n.Text, at)
	}
	if r, ok := n.Stmt.(*syntax.Require); ok && r.Else != nil {
		c.resolveText(r.Else, at)
	}
	if n.Step == nil {
		return
	}
	switch s := n.Step.(type) {
	case *syntax.Call:
		c.resolveCall(s, n)
	case *syntax.Map:
		c.resolveExpr(s.Over, at.lending())
	case *syntax.Reduce:
		c.resolveExpr(s.Over, at.lending())
	case *syntax.Loop:
		c.resolveExpr(s.From, at.lending())
	case *syntax.If:
		for _, br := range s.Branches {
			c.resolveExpr(br.Cond, at)
		}
	case *syntax.Match:
		c.resolveExpr(s.Subject, at)
		for _, arm := range s.Arms {
			for _, l := range arm.Literals {
				c.resolveExpr(l, at)
			}
		}
	}
	for i := range Clauses(n.Step) {
		clause := &Clauses(n.Step)[i]
		if clause.Kind == syntax.AfterClause {
			for _, name := range clause.After {
				c.resolveAfter(name, clause, n)
			}
		}
		if f := clause.Fallback; f != nil && f.Fail != nil {
			failing := at
			failing.binds = n.failing
			c.resolveText(f.Fail, failing)
		}
	}
	for _, b := range n.Bodies {
		c.resolveBlock(b)
	}
	for _, b := range n.Fallbacks {
		if b != nil {
			c.resolveBlock(b)
		}
	}
	c.setEffect(n)
}

// setEffect gives a step its effect and tells whether it asks a question, once its inside is resolved.
func (c *checker) setEffect(n *Node) {
	n.Effect = types.Think
	if call, ok := n.Step.(*syntax.Call); ok {
		t := c.info.Calls[call]
		switch {
		case t == nil:
		case t.Flow != nil:
			n.Effect = t.Flow.Effect
		default:
			n.Effect = effectOf(t.Signature)
			n.question = t.Signature.Question
		}
	}
	for _, b := range n.Bodies {
		if b.effect() == types.Do {
			n.Effect = types.Do
		}
		if b.Value >= 0 && b.Nodes[b.Value].question {
			n.question = true
		}
	}
	for _, b := range n.Fallbacks {
		if b != nil && b.effect() == types.Do {
			n.Effect = types.Do
		}
	}
}

// effect is Do when a step of the block is.
func (b *Block) effect() types.Effect {
	for _, n := range b.Nodes {
		if n.Step != nil && n.Effect == types.Do {
			return types.Do
		}
	}
	return types.Think
}

func effectOf(s *types.Signature) types.Effect {
	if s.Effect == "" {
		return types.Do
	}
	return s.Effect
}

// resolveExpr finds what the names of an expression stand for and lets the node wait for it.
func (c *checker) resolveExpr(e *syntax.Expr, at place) {
	if e == nil || c.info.Exprs[e] != nil {
		return
	}
	x := &Expr{}
	c.info.Exprs[e] = x
	if len(e.Path) > 0 {
		root := e.Path[0]
		c.resolveName(x, root, source.Span{Start: e.At.Start, End: e.At.Start + len(root)}, at)
		return
	}
	p := c.parse(e.Code)
	x.Tree = p.tree
	c.callTemplates(p.tree)
	for _, problem := range p.problems {
		c.problem(e, problem)
	}
	for _, name := range p.names {
		if i, ok := syntax.PlaceholderIndex(name.Text); ok {
			if i < len(e.Texts) {
				inner := at
				inner.agents = false
				c.resolveText(e.Texts[i], inner)
			}
			continue
		}
		if !mentioned(x.Refs, name.Text) {
			said := len(*c.diags)
			c.resolveName(x, name.Text, spanIn(c.src, e, name.Start, name.End), at)
			c.fieldOfItem(said, name.Text, e.Code)
		}
	}
}

// fieldOfItem adds to what was said about an unknown name, when it stands in a function that goes over a list: there a field of the item has a dot.
func (c *checker) fieldOfItem(said int, name, code string) {
	if len(*c.diags) == said || !regexp.MustCompile(overItems).MatchString(code) {
		return
	}
	if d := &(*c.diags)[len(*c.diags)-1]; d.Code == "E0101" && d.Fix == nil {
		d.Help = append(d.Help, fmt.Sprintf("if it is a field of each item of the list, write `.%s`", name))
	}
}

// What only mistakes need is compiled for them: the tables of such expressions are a good part of what a process does before it begins.
const overItems = `\b(map|filter|all|any|one|none|count|find|findIndex|findLast|sortBy|groupBy|sum|countBy|reduce)\s*\(`

func mentioned(refs []Ref, name string) bool {
	for _, r := range refs {
		if r.Name == name {
			return true
		}
	}
	return false
}

// parse reads an expression's code once per file.
func (c *checker) parse(code string) *parsed {
	if p := c.trees[code]; p != nil {
		return p
	}
	p := &parsed{}
	p.tree, p.problems = eval.Parse(code)
	if p.tree != nil && len(p.problems) == 0 {
		p.names = p.tree.Names()
	} else {
		p.tree = nil
	}
	c.trees[code] = p
	return p
}

// spanIn is the span in the file of a range of runes in an expression's code.
func spanIn(f *source.File, e *syntax.Expr, start, end int) source.Span {
	text := f.Slice(e.At)
	at := source.Span{Start: e.At.Start + byteOf(text, start), End: e.At.Start + byteOf(text, end)}
	for _, t := range e.Texts { // a placeholder is one rune of a longer text
		if at.Start > t.At.Start && at.Start < t.At.End {
			at.Start = t.At.Start
		}
		if at.End > t.At.Start && at.End < t.At.End {
			at.End = t.At.End
		}
	}
	return at
}

func byteOf(text string, runes int) int {
	for i := range text {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(text)
}

// problem reports a mistake that lang/eval found in an expression.
func (c *checker) problem(e *syntax.Expr, p eval.Problem) {
	d := diag.Diagnostic{Code: diag.Code(p.Code), Span: spanIn(c.src, e, p.Start, p.End), Message: p.Message, Label: p.Label}
	if p.Help != "" {
		d.Help = []string{p.Help}
	}
	if p.Fix != nil {
		d.Fix = &diag.Fix{Span: d.Span, Text: *p.Fix}
	}
	if c.forgotten != nil {
		d.Fix = c.forgotten
	}
	if p.Code == "E0101" {
		c.agentInBrackets(&d, e)
	}
	d.Related = c.ofTemplate(p)
	c.templateMistakes(&d, e, p)
	if d.Span.Start == d.Span.End && d.Span.End < e.At.End {
		_, size := utf8.DecodeRuneInString(c.src.Text[d.Span.End:])
		d.Span.End += size
	}
	c.add(d)
}

// agentInBrackets turns an unknown function into what it was meant for, when it is an agent: `output writer("…")`.
func (c *checker) agentInBrackets(d *diag.Diagnostic, e *syntax.Expr) {
	name := c.src.Slice(d.Span)
	if c.agents[name] == nil && c.uses[name] == nil && !c.isAgent(name) {
		return
	}
	if c.uses[name] != nil {
		c.useCount[name]++
	}
	d.Code = "E0005"
	d.Message = fmt.Sprintf("`%s` is an agent: its text stands behind it, without brackets", name)
	d.Label = fmt.Sprintf("call it in a line of its own: `answer = %s \"…\"`", name)
	d.Help = []string{"an agent is called in a line of its own, or behind `output`; a name before `(` in an expression is a function"}
	before := strings.TrimRight(c.src.Text[:e.At.Start], " ")
	if e.At.Start != d.Span.Start || !strings.HasSuffix(before, "output") && !strings.HasSuffix(before, "->") {
		return // no place for a call
	}
	inside := strings.TrimSpace(c.src.Slice(source.Span{Start: d.Span.End, End: e.At.End}))
	inside = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(inside, "("), ")"))
	if isPath(inside) {
		d.Label = fmt.Sprintf("write `%s \"<<%s>>\"`", name, inside)
		d.Fix = &diag.Fix{Span: e.At, Text: fmt.Sprintf("%s \"<<%s>>\"", name, inside)}
	}
	for _, t := range e.Texts {
		open, shut := c.src.Slice(source.Span{Start: d.Span.End, End: t.At.Start}), c.src.Slice(source.Span{Start: t.At.End, End: e.At.End})
		if strings.TrimSpace(open) == "(" && strings.TrimSpace(shut) == ")" {
			d.Label = fmt.Sprintf("write `%s \"…\"`", name)
			d.Fix = &diag.Fix{Span: e.At, Text: name + " " + c.src.Slice(t.At)}
		}
	}
}

// lookup finds a value name from a block outward.
func lookup(b *Block, name string) (*Decl, int) {
	for depth := 0; b != nil; b, depth = b.Parent, depth+1 {
		if d := b.names[name]; d != nil {
			return d, depth
		}
		if b.kind == elseBlock && name == "error" {
			return b.Binds[0], depth
		}
	}
	return nil, 0
}

func (c *checker) resolveName(x *Expr, name string, span source.Span, at place) {
	d, depth := lookup(at.block, name)
	for _, bind := range at.binds {
		if bind.Name == name {
			d, depth = bind, 0
		}
	}
	if old := c.before[name]; old != nil && c.ownLine(d, at) {
		d = old
	}
	if d == nil && at.agents {
		if d = c.agentValue(name, span); d != nil {
			c.lend(d, span, at)
		}
	}
	if d == nil {
		if name != "run" && !(at.agents && c.nearAgent(name, span, at.block)) {
			c.unknownName(name, span, at.block)
		}
		return
	}
	if d.Secret {
		if !at.secret {
			c.add(diag.Diagnostic{
				Code: "E0122", Span: span, Message: fmt.Sprintf("the secret `%s` may not stand here", name),
				Label:   "it would be shown, stored or sent to a model",
				Help:    []string{"a secret may stand only in an argument made for it: `http.get(url: …, headers: {Authorization: \"Bearer <<" + name + ">>\"})`, or `env` of shell"},
				Related: c.related(d.At, "it is declared secret here"),
			})
			return
		}
		d.reads++
		x.Refs = append(x.Refs, Ref{Name: name, Decl: d, Depth: depth})
		return
	}
	if c.racing(d, at) {
		c.add(diag.Diagnostic{
			Code: "E0101", Span: span, Message: fmt.Sprintf("`%s` is another member of the race", name),
			Label:   "members of a race start together and do not see each other",
			Related: c.related(d.At, fmt.Sprintf("`%s` races here", name)),
		})
		return
	}
	x.Refs = append(x.Refs, Ref{Name: name, Decl: d, Depth: depth})
	if at.quiet {
		return
	}
	d.reads++
	c.mention(d, depth, plan.Reference, span, at.block, at.node)
}

// ownLine reports whether d is the name of the line of the file that the mention stands in.
func (c *checker) ownLine(d *Decl, at place) bool {
	if d == nil || at.node == nil || d.Block != c.info.Root || d.Slot >= len(d.Block.Nodes) {
		return false
	}
	n := at.node
	for n.block.owner != nil {
		n = n.block.owner
	}
	return d.Block.Nodes[d.Slot] == n
}

// racing reports whether d is a member of a race and the mention stands in another line of it.
func (c *checker) racing(d *Decl, at place) bool {
	return d.Block != nil && d.Block.kind == raceBlock && d.Slot < len(d.Block.Nodes) && d.Block.Nodes[d.Slot].Step != nil
}

// mention lets node n of block b, and the container that holds it beside d, wait for d.
func (c *checker) mention(d *Decl, depth int, why plan.Why, span source.Span, b *Block, n *Node) {
	if n == nil || d.Block == nil || d.Slot >= len(d.Block.Nodes) || d.Slot < 0 {
		return
	}
	if why == plan.Reference {
		c.need(n, depth, d.Slot, why)
	}
	for range depth {
		n = b.owner
		b = b.Parent
	}
	if why == plan.After {
		c.need(n, 0, d.Slot, why)
	}
	if b.edges != nil {
		b.edges[n.slot] = append(b.edges[n.slot], edge{from: d.Slot, why: why, at: span})
	}
}

func (c *checker) need(n *Node, depth, slot int, why plan.Why) {
	n.Needs = append(n.Needs, plan.Need{Depth: depth, Slot: slot, Why: why})
}

// compactNeeds orders needs by depth and slot and keeps the first reason of each.
func compactNeeds(needs []plan.Need) []plan.Need {
	if len(needs) < 2 {
		return needs
	}
	slices.SortStableFunc(needs, func(a, b plan.Need) int {
		if a.Depth != b.Depth {
			return a.Depth - b.Depth
		}
		return a.Slot - b.Slot
	})
	return slices.CompactFunc(needs, func(a, b plan.Need) bool { return a.Depth == b.Depth && a.Slot == b.Slot })
}

// resolveText resolves the expressions inside a text.
func (c *checker) resolveText(t *syntax.Text, at place) {
	if t == nil {
		return
	}
	c.looksLikeValue(t, at.block)
	for i := range t.Parts {
		if e := t.Parts[i].Expr; e != nil {
			c.resolveExpr(e, at)
		}
	}
}

// resolveAfter draws the edges of `after name`.
func (c *checker) resolveAfter(name syntax.Name, clause *syntax.Clause, n *Node) {
	d, depth := lookup(n.block, name.Text)
	if d == nil {
		c.unknownAfter(name, n.block)
		return
	}
	step := d.Block != nil && d.Slot >= 0 && d.Slot < len(d.Block.Nodes) && d.Block.Nodes[d.Slot].Step != nil
	if !step {
		c.add(diag.Diagnostic{
			Code: "E0128", Span: name.At, Message: fmt.Sprintf("`after` waits for steps, and `%s` is not one", name.Text), Label: "name a step of this block or one around it",
			Related: c.relatedDecl(d, fmt.Sprintf("`%s` is here", name.Text)),
		})
		return
	}
	target := d.Block.Nodes[d.Slot]
	for outer := n; outer != nil; outer = outer.block.owner {
		if outer == target {
			message, label := fmt.Sprintf("`%s` cannot wait for itself", name.Text), "it would never start"
			if outer != n {
				message, label = fmt.Sprintf("this step is inside `%s` and cannot wait for its end", name.Text), fmt.Sprintf("`%s` ends only when this step has ended", name.Text)
			}
			c.add(diag.Diagnostic{Code: "E0103", Span: name.At, Message: message, Label: label, Related: c.relatedDecl(d, fmt.Sprintf("`%s` is here", name.Text))})
			return
		}
	}
	if c.racing(d, place{}) && d.Block == n.block {
		c.add(diag.Diagnostic{
			Code: "E0101", Span: name.At, Message: fmt.Sprintf("`%s` is another member of the race", name.Text), Label: "members of a race start together and cannot wait for each other",
			Related: c.relatedDecl(d, fmt.Sprintf("`%s` races here", name.Text)),
		})
		return
	}
	d.after++
	if depth == 0 {
		for _, e := range n.block.edges[n.slot] {
			if e.from == d.Slot && e.why == plan.Reference && e.at.Start != name.At.Start {
				d := diag.Diagnostic{
					Code: "E0106", Severity: diag.Warning, Span: name.At, Message: fmt.Sprintf("`after %s` says what a mention says already", name.Text),
					Label:   "this can go",
					Related: c.related(e.at, fmt.Sprintf("`%s` is mentioned here, so the step waits for it anyway", name.Text)),
				}
				if len(clause.After) == 1 {
					d.Span = clause.At
					d.Fix = &diag.Fix{Span: withBlankBefore(c.src, clause.At)}
				}
				c.add(d)
				break
			}
		}
	}
	c.mention(d, depth, plan.After, name.At, n.block, n)
}

// withBlankBefore widens a span over the blanks before it, so that what is left when it goes looks as if it had never been there.
func withBlankBefore(f *source.File, at source.Span) source.Span {
	for at.Start > 0 && (f.Text[at.Start-1] == ' ' || f.Text[at.Start-1] == '\t') {
		at.Start--
	}
	return at
}

// relatedDecl points at a declaration, if it stands in a file at all.
func (c *checker) relatedDecl(d *Decl, message string) []diag.Related {
	if d.At == (source.Span{}) {
		return nil
	}
	return c.related(d.At, message)
}
