package check

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// typeCall types a call and checks what it is given against what it takes.
func (c *checker) typeCall(call *syntax.Call, n *Node) known {
	t := c.info.Calls[call]
	if t == nil {
		c.typeUnknownCall(call)
		return known{bad: true}
	}
	if t.Flow != nil {
		return c.typeFlowCall(call, t, n)
	}
	sig := t.Signature
	k := known{Operand: eval.Operand{Type: sig.Result}}
	if t.As != nil {
		k.Type = *t.As
	}
	taint := eval.Taint(0)
	var given names
	taint |= c.typeArgs(call.Args, sig, call, &given)
	taint |= c.typePrimary(call, t, &given)
	if t.Persona != nil {
		for name := range arguments(call, t.Persona) {
			given.add(name)
		}
	}
	given = append(given, defaults(sig)...)
	c.missing(call, sig, given)
	if sig.World || taint&eval.World != 0 && textual(k.Type) {
		k.Taint = eval.World
	}
	return k
}

// names is a small set.
type names []string

func (s names) has(name string) bool { return slices.Contains(s, name) }

func (s *names) add(name string) { *s = append(*s, name) }

// typeUnknownCall types what is written behind an unknown callee: mistakes in it are mistakes all the same.
func (c *checker) typeUnknownCall(call *syntax.Call) {
	for i := range call.Args {
		c.typeExpr(call.Args[i].Value)
	}
	c.typeText(call.Text, "this text")
}

// textual reports whether a value of the type can carry text of somebody else's making.
func textual(t types.Type) bool {
	switch t.Kind {
	case types.Int, types.Float, types.Bool, types.Enum, types.Nothing:
		return false
	}
	return true
}

// typeArgs checks arguments against the parameters and returns their taint.
func (c *checker) typeArgs(args []syntax.Arg, sig *types.Signature, call *syntax.Call, given *names) eval.Taint {
	var taint eval.Taint
	for i := range args {
		a := &args[i]
		k := c.typeExpr(a.Value)
		if given.has(a.Name.Text) {
			c.add(diag.Diagnostic{Code: "E0111", Span: a.Name.At, Message: fmt.Sprintf("`%s` is given twice", a.Name.Text), Label: "once is enough"})
			continue
		}
		given.add(a.Name.Text)
		p := param(sig, a.Name.Text)
		if p == nil {
			c.unknownArg(a, sig, call)
			continue
		}
		taint |= k.Taint
		if k.bad {
			continue
		}
		c.fitsParam(a, k, p, call)
		c.safe(a, k, p, sig)
	}
	return taint
}

func (c *checker) unknownArg(a *syntax.Arg, sig *types.Signature, call *syntax.Call) {
	names := make([]string, 0, len(sig.Params))
	for _, p := range sig.Params {
		names = append(names, p.Name)
	}
	d := diag.Diagnostic{Code: "E0111", Span: a.Name.At, Message: fmt.Sprintf("`%s` takes no `%s`", call.Callee, a.Name.Text)}
	if near, ok := diag.Nearest(a.Name.Text, names); ok {
		d.Label = fmt.Sprintf("did you mean `%s`?", near)
		d.Fix = &diag.Fix{Span: a.Name.At, Text: near}
	} else {
		d.Label = "it would be ignored"
	}
	if len(names) > 0 {
		d.Help = []string{"it takes: " + strings.Join(diag.NearestN(a.Name.Text, names, 8), ", ")}
	} else {
		d.Help = []string{"it takes no arguments"}
	}
	if word := clauseWord(a.Name.Text); word != "" {
		d.Label = fmt.Sprintf("`%s` is no argument: it stands behind the call", word)
		d.Fix = nil
		d.Help = []string{fmt.Sprintf("`%s … %s …`", call.Callee, word)}
	}
	c.add(d)
}

func clauseWord(name string) string {
	switch name {
	case "retry", "retries":
		return "retry"
	case "timeout":
		return "timeout"
	case "cache":
		return "cache"
	case "repair":
		return "repair"
	case "budget":
		return "budget"
	}
	return ""
}

func (c *checker) fitsParam(a *syntax.Arg, k known, p *types.Param, call *syntax.Call) bool {
	if k.Fits(p.Type) {
		return true
	}
	written := c.written(a.Value)
	d := diag.Diagnostic{Code: "E0111", Span: a.Value.At}
	bare := k.Type
	bare.Optional = false
	if k.Type.Kind == types.Nothing || k.Type.Optional && types.Fits(bare, p.Type) {
		d.Code = "E0115"
		d.Message = fmt.Sprintf("`%s` may be empty, and `%s` needs a value", written, p.Name)
		d.Label = fmt.Sprintf("it is %s", k.Type)
		d.Help = []string{fmt.Sprintf("say what to give in its place: `%s: %s ?? …`", p.Name, written)}
	} else {
		d.Message = fmt.Sprintf("`%s` of `%s` must be %s", p.Name, call.Callee, article(required(p.Type)))
		d.Label = fmt.Sprintf("this is %s", article(k.Type))
		if s, ok := k.Literal.(string); ok && p.Type.Kind == types.Enum {
			d.Label = fmt.Sprintf("%q is not one of them", s)
			if near, ok := diag.Nearest(s, p.Type.Values); ok {
				d.Label = fmt.Sprintf("did you mean %q?", near)
			}
		}
		if p.Type.Kind == types.String && k.Type.Kind != types.File {
			d.Help = []string{fmt.Sprintf("to make it a text: `%s: \"<<…>>\"`", p.Name)}
		}
	}
	c.add(d)
	return false
}

// required is a type without its question mark.
func required(t types.Type) types.Type {
	t.Optional = false
	return t
}

// typePrimary checks the text behind the callee and returns its taint.
func (c *checker) typePrimary(call *syntax.Call, t *Call, given *names) eval.Taint {
	sig := t.Signature
	if t.Text == nil {
		return 0
	}
	if sig.Primary == "" {
		if call.Text == nil {
			t.Text = nil // an inherited text that it has no use for
			return 0
		}
		d := diag.Diagnostic{Code: "E0111", Span: call.Text.At, Message: fmt.Sprintf("`%s` takes no text", call.Callee), Label: "it would be ignored"}
		if len(sig.Params) > 0 {
			d.Help = []string{"it takes arguments: `" + example(call.Callee.String(), sig) + "`"}
		}
		c.add(d)
		return 0
	}
	if call.Text == nil { // inherited, and typed where it is written
		given.add(sig.Primary)
		c.textFits(t.Text, sig.Text)
		return 0
	}
	k := c.typeText(call.Text, "this "+textWord(sig.Text))
	if given.has(sig.Primary) {
		c.add(diag.Diagnostic{
			Code: "E0111", Span: call.Text.At, Message: fmt.Sprintf("`%s` is given twice", sig.Primary), Label: fmt.Sprintf("the text is the `%s` of `%s`, too", sig.Primary, call.Callee),
		})
		return k.Taint
	}
	given.add(sig.Primary)
	c.textFits(call.Text, sig.Text)
	return k.Taint
}

// textFits checks what is special to the kind of text a capability takes.
func (c *checker) textFits(t *syntax.Text, kind types.TextKind) {
	switch kind {
	case types.Argv:
		c.checkCommand(t)
	case types.URL:
		c.checkHost(t)
	}
}

func textWord(kind types.TextKind) string {
	switch kind {
	case types.Prompt:
		return "prompt"
	case types.Argv:
		return "command"
	case types.URL:
		return "URL"
	case types.Code:
		return "code"
	}
	return "text"
}

// example is a call with everything it needs.
func example(callee string, sig *types.Signature) string {
	var args []string
	for _, p := range sig.Params {
		if p.Required && p.Name != sig.Primary {
			args = append(args, p.Name+": …")
		}
	}
	s := callee
	if len(args) > 0 || sig.Primary == "" {
		s += "(" + strings.Join(args, ", ") + ")"
	}
	if sig.Primary != "" {
		s += ` "…"`
	}
	return s
}

// missing reports parameters that nothing fills.
func (c *checker) missing(call *syntax.Call, sig *types.Signature, given names) {
	var absent []string
	for _, p := range sig.Params {
		command := sig.Text == types.Argv && p.Name == sig.Primary // a command, or else a script of a real shell
		if command && !given.has(p.Name) && !given.has(shellParam) || p.Required && !command && !given.has(p.Name) {
			absent = append(absent, p.Name)
		}
	}
	if len(absent) == 0 {
		return
	}
	d := diag.Diagnostic{Code: "E0111", Span: call.Callee.At, Message: fmt.Sprintf("`%s` needs %s", call.Callee, quoted(absent))}
	if len(absent) == 1 && absent[0] == sig.Primary {
		switch sig.Text {
		case types.Prompt:
			d.Message = fmt.Sprintf("`%s` needs a prompt", call.Callee)
		case types.Argv:
			d.Message = fmt.Sprintf("`%s` needs a command", call.Callee)
		case types.URL:
			d.Message = fmt.Sprintf("`%s` needs a URL", call.Callee)
		default:
			d.Message = fmt.Sprintf("`%s` needs a text", call.Callee)
		}
		if sig.Question {
			d.Message = fmt.Sprintf("`%s` needs its question", call.Callee)
		}
		if sig.Text == types.Code {
			d.Message = fmt.Sprintf("`%s` needs code", call.Callee)
		}
	}
	d.Label = fmt.Sprintf("write `%s`", example(call.Callee.String(), sig))
	c.add(d)
}

// shellParam is the argument whose value a real shell reads.
const shellParam = "sh"

// defaults are the names of the configured arguments.
func defaults(sig *types.Signature) []string {
	if len(sig.Defaults) == 0 {
		return nil
	}
	values := map[string]json.RawMessage{}
	if json.Unmarshal(sig.Defaults, &values) != nil {
		return nil
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	return names
}

// safe checks that nothing from outside decides what a shell runs or where a request goes.
func (c *checker) safe(a *syntax.Arg, k known, p *types.Param, sig *types.Signature) {
	text := whole(a.Value)
	if sig.Text == types.Argv && p.Name == shellParam {
		if !c.built(a.Value) && k.Taint&eval.World == 0 {
			return
		}
		d := diag.Diagnostic{
			Code: "E0123", Span: a.Value.At, Message: "a shell would read the value as part of its command", Label: "whoever wrote the value could run anything here",
			Help: []string{"give the value in the environment: `shell(sh: 'grep \"$WORD\" notes.txt', env: {WORD: word})`", "or run the command without a shell: `shell \"grep <<word>> notes.txt\"`, where a value is always one word"},
		}
		if text != nil {
			for i := range text.Parts {
				if text.Parts[i].Expr != nil {
					d.Span = text.Parts[i].At
					break
				}
			}
		}
		c.add(d)
		return
	}
	if p.Name == sig.Primary && sig.Text == types.Argv && text != nil {
		c.checkCommand(text)
		return
	}
	if !p.Host {
		return
	}
	if text != nil && (len(text.Parts) == 0 || text.Parts[0].Expr == nil) {
		c.checkHost(text)
		return
	}
	// A URL that begins with a value is used as it is, so what it begins with must be trusted.
	if text != nil && !c.leads(text) {
		return
	}
	if k.Taint&eval.World != 0 && textual(k.Type) {
		c.add(diag.Diagnostic{
			Code: "E0123", Span: a.Value.At, Message: "an answer would decide where this call goes", Label: "this comes from a model, a person or the web",
			Help: []string{"write the host out and put only the rest in: `\"https://example.com/<<path>>\"`"},
		})
	}
}

// leads reports whether text of the world stands in a URL before the first slash, question mark or hash of its own.
func (c *checker) leads(t *syntax.Text) bool {
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Expr == nil && strings.ContainsAny(p.Literal, "/?#") {
			return false
		}
		if p.Expr != nil && c.tainted(p.Expr) {
			return true
		}
	}
	return false
}

// built reports whether an expression, or the `let` it names, puts a value into a text. A script for a shell may be an input as a whole, but not be built from one.
func (c *checker) built(e *syntax.Expr) bool {
	if len(e.Path) == 0 {
		_, named := c.firstName(e)
		return named
	}
	if x := c.info.Exprs[e]; len(e.Path) == 1 && x != nil && len(x.Refs) == 1 {
		if d := x.Refs[0].Decl; d.Block != nil && d.Slot >= 0 && d.Slot < len(d.Block.Nodes) {
			if n := d.Block.Nodes[d.Slot]; n.Kind == plan.LetNode && n.Expr != e && d.Type.Kind == types.String && !n.bad {
				return c.built(n.Expr)
			}
		}
	}
	return false
}

// whole is the text that an expression is, when it is nothing but a text.
func whole(e *syntax.Expr) *syntax.Text {
	if len(e.Texts) == 1 && e.Texts[0].At == e.At {
		return e.Texts[0]
	}
	return nil
}

// scheme is the beginning of a URL up to its host.
var scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// checkHost checks that no value reaches the host of a URL: what stands before the first slash, question mark or hash behind the scheme.
func (c *checker) checkHost(t *syntax.Text) {
	written := ""
	for i := range t.Parts {
		p := &t.Parts[i]
		if p.Expr == nil {
			written += p.Literal
			continue
		}
		start := scheme.FindString(written)
		if start != "" && strings.ContainsAny(written[len(start):], "/?#") {
			return
		}
		c.add(diag.Diagnostic{
			Code: "E0123", Span: p.At, Message: "the host of a URL cannot come from a value", Label: "whoever made the value could send the call anywhere",
			Help: []string{"write the host out: `\"https://example.com/<<…>>\"`", "if you trust where the value comes from, as with an input, give the URL by name: `(url: \"<<address>>/…\")`"},
		})
		return
	}
}

// checkCommand checks that the text of a command can be split into words.
func (c *checker) checkCommand(t *syntax.Text) {
	words, closed := plan.Words(skeleton(t))
	if !closed {
		c.add(diag.Diagnostic{Code: "E0120", Span: t.At, Message: "a quote inside this command is not closed", Label: "every ' and \" in a command needs its partner"})
		return
	}
	if len(words) == 0 {
		c.add(diag.Diagnostic{Code: "E0111", Span: t.At, Message: "this command is empty", Label: "the first word is the program to run"})
		return
	}
	if len(words[0].Parts) > 0 && words[0].Parts[0].Expr != nil || len(words[0].Parts) > 1 {
		for i := range t.Parts {
			if t.Parts[i].Expr == nil {
				continue
			}
			if k := c.info.Exprs[t.Parts[i].Expr]; k != nil && c.tainted(t.Parts[i].Expr) {
				c.add(diag.Diagnostic{
					Code: "E0123", Span: t.Parts[i].At, Message: "an answer would decide which program runs", Label: "this comes from a model, a person or the web",
					Help: []string{"write the program out, and give the value as one of its words: `shell \"grep <<word>> notes.txt\"`"},
				})
			}
			return
		}
	}
	for _, w := range words[1:] {
		if len(w.Parts) == 1 && w.Parts[0].Expr == nil && shellSign[w.Parts[0].Literal] && !quotedIn(t, w.Parts[0].Literal) {
			c.add(diag.Diagnostic{
				Code: "E0123", Severity: diag.Warning, Span: t.At, Message: fmt.Sprintf("no shell runs here: `%s` is an ordinary word of this command", w.Parts[0].Literal),
				Label: "the program gets it as an argument", Help: []string{"for a real shell: `shell(sh: '…')`"},
			})
			return
		}
	}
}

// shellSign are the words that mean something to a shell and nothing to a program.
var shellSign = map[string]bool{"|": true, "||": true, "&&": true, ">": true, ">>": true, "<": true, "2>&1": true, "&": true}

func quotedIn(t *syntax.Text, word string) bool {
	for _, p := range t.Parts {
		if strings.Contains(p.Literal, "'"+word+"'") || strings.Contains(p.Literal, `"`+word+`"`) {
			return true
		}
	}
	return false
}

// skeleton is a text with its values as holes, as far as splitting it needs.
func skeleton(t *syntax.Text) plan.Text {
	out := plan.Text{}
	for _, p := range t.Parts {
		if p.Expr != nil {
			out.Parts = append(out.Parts, plan.Part{Expr: &plan.Expr{}})
		} else {
			out.Parts = append(out.Parts, plan.Part{Literal: p.Literal})
		}
	}
	return out
}

// tainted reports whether an expression mentions text of the world.
func (c *checker) tainted(e *syntax.Expr) bool {
	found := false
	c.eachRef(e, func(r Ref) { found = found || r.Decl.taint&eval.World != 0 && textual(r.Decl.Type) })
	return found
}

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
		c.typeArgs(base.Args, p.Signature, base, &names{})
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
	seen := map[syntax.ClauseKind]source.Span{}
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
