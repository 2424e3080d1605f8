package check

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

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
	if p.Name == sig.Primary && sig.Text == types.Argv {
		c.checkWords(a)
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
	if c.toldToShell(words, t) {
		return
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

// interpreters run what stands behind this flag of theirs, whatever it says.
var interpreters = map[string]string{
	"sh": "c", "bash": "c", "zsh": "c", "dash": "c", "ksh": "c", "ash": "c", "fish": "c", "python": "c", "python3": "c", "node": "e", "perl": "e", "ruby": "e", "php": "r",
}

// runs tells whether a word makes a program run what stands in the next.
func runs(program, word string) bool {
	flag := interpreters[path.Base(program)]
	return flag != "" && strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--") && strings.HasSuffix(word, flag)
}

// toldToShell reports a command such as `sh -c <<answer>>`, or one whose script is built from values.
func (c *checker) toldToShell(words []plan.Text, t *syntax.Text) bool {
	if len(words[0].Parts) != 1 {
		return false
	}
	for i, w := range words[1:] {
		if len(w.Parts) != 1 || w.Parts[0].Expr != nil || !runs(words[0].Parts[0].Literal, w.Parts[0].Literal) || i+2 >= len(words) {
			continue
		}
		script := words[i+2].Parts
		built := len(script) > 1
		for j := range t.Parts {
			if e := t.Parts[j].Expr; e != nil && (built || c.tainted(e)) {
				c.add(diag.Diagnostic{
					Code: "E0123", Span: t.Parts[j].At, Message: fmt.Sprintf("`%s` would read the value as part of its script", words[0].Parts[0].Literal), Label: "whoever wrote the value could run anything here",
					Help: []string{"for a shell give the value in the environment: `shell(sh: 'grep \"$WORD\" notes.txt', env: {WORD: word})`", "or run the program itself: `shell \"grep <<word>> notes.txt\"`, where a value is always one word"},
				})
				return true
			}
		}
	}
	return false
}

// checkWords checks a command that is given as a list: no answer decides which program runs, or what an interpreter does.
func (c *checker) checkWords(a *syntax.Arg) {
	e := c.behindLet(a.Value)
	if !c.tainted(e) {
		return
	}
	d := diag.Diagnostic{
		Code: "E0123", Span: a.Value.At, Message: "an answer would decide which program runs", Label: "this comes from a model, a person or the web",
		Help: []string{"write the program out, as the first word of the list: `shell(argv: [\"grep\", word, \"notes.txt\"])`"},
	}
	program, ok := programOf(e)
	if ok {
		told := false
		for _, t := range e.Texts {
			word, plain := t.Plain()
			told = told || plain && runs(program, word)
		}
		if !told {
			return
		}
		d.Message, d.Label = fmt.Sprintf("`%s` would read the value as part of its script", program), "whoever wrote the value could run anything here"
		d.Help = []string{"for a shell give the value in the environment: `shell(sh: 'grep \"$WORD\" notes.txt', env: {WORD: word})`"}
	}
	c.add(d)
}

// programOf is the first item of a list of words, when it is written out.
func programOf(e *syntax.Expr) (string, bool) {
	code, ok := strings.CutPrefix(strings.TrimSpace(e.Code), "[")
	code = strings.TrimSpace(code)
	if !ok || code == "" {
		return "", false
	}
	_, size := utf8.DecodeRuneInString(code)
	i, ok := syntax.PlaceholderIndex(code[:size])
	rest := strings.TrimSpace(code[size:])
	if !ok || i >= len(e.Texts) || !strings.HasPrefix(rest, ",") && !strings.HasPrefix(rest, "]") {
		return "", false
	}
	return e.Texts[i].Plain()
}

// behindLet is the expression that a name stands for, if a `let` says so.
func (c *checker) behindLet(e *syntax.Expr) *syntax.Expr {
	for range maxBehind {
		x := c.info.Exprs[e]
		if len(e.Path) != 1 || x == nil || len(x.Refs) != 1 {
			break
		}
		d := x.Refs[0].Decl
		if d.Block == nil || d.Slot < 0 || d.Slot >= len(d.Block.Nodes) || d.Block.Nodes[d.Slot].Kind != plan.LetNode {
			break
		}
		e = d.Block.Nodes[d.Slot].Expr
	}
	return e
}

const maxBehind = 100 // a `let` may name another, and in a circle of them this would not end

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
