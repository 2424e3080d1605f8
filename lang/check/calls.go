package check

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
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
	if t.Agent != nil && !c.typeCallee(call, t) {
		k.bad = true
	}
	if t.As != nil {
		k.Type = *t.As
	}
	taint := eval.Taint(0)
	given := names{}
	taint |= c.typeArgs(call.Args, sig, call, given)
	taint |= c.typePrimary(call, t, given)
	if t.Persona != nil {
		for name := range arguments(call, t.Persona) {
			given.add(name)
		}
	}
	for _, name := range defaults(sig) {
		given.add(name)
	}
	c.missing(call, sig, given)
	if sig.World || taint&eval.World != 0 && textual(k.Type) {
		k.Taint = eval.World
	}
	return k
}

// names is a set.
type names map[string]bool

func (s names) has(name string) bool { return s[name] }

func (s names) add(name string) { s[name] = true }

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
func (c *checker) typeArgs(args []syntax.Arg, sig *types.Signature, call *syntax.Call, given names) eval.Taint {
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
	if c.full() {
		return
	}
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
func (c *checker) typePrimary(call *syntax.Call, t *Call, given names) eval.Taint {
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
	stranger := slices.ContainsFunc(call.Args, func(a syntax.Arg) bool { return param(sig, a.Name.Text) == nil })
	if len(absent) == 0 || stranger { // by another name it is there, and that is reported
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
