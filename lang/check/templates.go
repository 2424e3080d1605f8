package check

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/template"
	"github.com/slopstudios/slop/lang/types"
)

// Template is a prompt template that a file uses: a function that makes a text of a record.
type Template struct {
	Source   *source.File
	Function *eval.Template
	Declared bool // its variables stand in its header; else they are what its text mentions
	// Variables are those of Function, with what the header says of each.
	Variables []Variable

	code string                 // its text as lang/eval compiles it, over `#`, the record
	at   map[string]source.Span // where a variable is declared, or first mentioned
	bad  bool
}

// Variable is what a template takes.
type Variable struct {
	Name       string
	Type       types.Type // optional only when it is declared so, or when its text has a stand-in wherever it is mentioned
	Default    any
	HasDefault bool
	Doc        string
}

// ReadTemplate reads and checks a template that no script uses. It may be filled when the list has no errors.
func ReadTemplate(src *source.File) (*Template, diag.List) {
	s := &session{flows: map[string]*Info{}, templates: map[string]*Template{}, diags: &diag.List{}}
	c := newChecker(s, &syntax.File{Source: src}, types.Scope{})
	t := c.readTemplate(src)
	s.diags.Sort()
	return t, *s.diags
}

// Fill puts values into the text, as a script does that calls it with a record. An error is one of the values: something of it that the text mentions is not
// there, or is too large.
func (t *Template) Fill(values map[string]any) (string, error) {
	program, err := eval.Compile("map([values], " + t.code + ")[0]")
	if err != nil {
		return "", err
	}
	v, err := program.Eval(map[string]any{"values": values})
	if err != nil {
		return "", err
	}
	text, _ := v.(string)
	return text, nil
}

// loadTemplate loads, reads and checks a template, once for each file however often it is used.
func (c *checker) loadTemplate(u *syntax.Use) {
	name, plain := u.Path.Plain()
	load, kept := c.scope.Load, strings.Contains(name, "@") || !strings.ContainsAny(name, "./")
	if kept && c.scope.Template != nil {
		load, kept = func(_, name string) (string, string, error) { return c.scope.Template(name) }, false
	}
	d := diag.Diagnostic{Code: "E0108", Span: u.Path.At}
	switch {
	case eval.Taken(u.As.Text):
		c.add(diag.Diagnostic{Code: "E0104", Span: u.As.At, Message: fmt.Sprintf("`%s` is a function of the language already", u.As.Text), Label: "give the template another name"})
		return
	case !plain:
		d.Message, d.Label = "the name of a template cannot hold values", "it is read before the flow runs: write it out"
	case kept:
		d.Message, d.Label = "stored templates live on a server", "here the path of a file is written"
		d.Help = []string{fmt.Sprintf("put the text into a file: `use template \"./prompts/%s.txt\" as %s`", u.As.Text, u.As.Text)}
	case load == nil:
		d.Message, d.Label = "this script cannot use files here", "there is no folder to look in"
	}
	if d.Message != "" {
		c.add(d)
		return
	}
	resolved, text, err := load(c.src.Name, name)
	if err != nil {
		d.Message, d.Label = fmt.Sprintf("I cannot use %q", name), err.Error()
		c.add(d)
		return
	}
	t := c.templates[resolved]
	if t == nil {
		t = c.readTemplate(source.NewFile(resolved, text))
		c.templates[resolved] = t
	}
	c.info.Templates[u.As.Text] = t
}

// readTemplate reads and checks a template. What is said of it is said of its own file.
func (c *checker) readTemplate(src *source.File) *Template {
	read, said := template.Parse(src)
	for _, d := range said {
		c.diags.Add(d)
	}
	t := &Template{Source: src, Function: &eval.Template{}, Declared: read.Declared, at: map[string]source.Span{}, bad: said.HasErrors()}
	h := c.templateHeader(read, t)
	if !t.Declared {
		t.mentioned(read)
	}
	parts := make([]string, 0, len(read.Parts))
	for _, p := range read.Parts {
		if p.Gap == nil {
			h.looksLikeInterpolation(p.Literal, t)
			parts = append(parts, quote(p.Literal))
			continue
		}
		if t.Declared {
			t.bad = !h.gap(p.Gap) || t.bad
		}
		t.shows(p.Gap)
		parts = append(parts, h.gapCode(p.Gap))
	}
	if len(parts) == 0 {
		parts = []string{`""`}
	}
	t.code = "text(" + strings.Join(parts, ", ") + ")"
	h.unusedVariables(t)
	if _, err := eval.Compile("map([{}], " + t.code + ")[0]"); err != nil && !t.bad {
		h.add(diag.Diagnostic{Code: "E0130", Message: "this template is too large", Label: err.Error()})
		t.bad = true
	}
	return t
}

// templateHeader checks the header of a template as the inputs of a flow that is nothing else. The checker of that flow is returned.
func (c *checker) templateHeader(read *template.Template, t *Template) *checker {
	if !read.Declared {
		h := newChecker(c.session, &syntax.File{Source: read.Source}, types.Scope{})
		h.declareFile()
		return h
	}
	file, said := syntax.Parse(source.NewFile(read.Source.Name, read.HeaderText()))
	file.Source = read.Source
	for _, d := range said {
		d.File = read.Source
		for i := range d.Related {
			d.Related[i].File = read.Source
		}
		c.diags.Add(d)
	}
	h := newChecker(c.session, file, types.Scope{})
	before := len(*c.diags)
	for _, item := range file.Items {
		switch item := item.(type) {
		case *syntax.TypeDef:
			for _, m := range item.Musts {
				h.noMust(m.At)
			}
		case *syntax.Input:
			if item.Must != nil {
				h.noMust(item.Must.At)
			}
		default:
			h.add(diag.Diagnostic{
				Code: "E0128", Span: firstLine(h.src, item.Span()), Message: "the header of a template holds its inputs, and their types", Label: "this stands in the script",
				Help: []string{"for instance `input name: string = \"friend\"`"},
			})
		}
	}
	h.declareFile()
	h.declareTypes()
	h.resolveInputs()
	for _, d := range h.info.Inputs {
		if types.HoldsAgent(d.Type) {
			h.add(diag.Diagnostic{Code: "E0128", Span: d.Input.Type.At, Message: "a variable of a template is no agent", Label: "what is put into a text is a value; who is asked is said in the script"})
		}
		p := types.Field{Name: d.Name, Type: d.Type}
		if d.Input.Default != nil {
			p.Type = types.Maybe(p.Type)
		}
		t.Function.Params = append(t.Function.Params, p)
		t.at[d.Name] = d.At
		v := Variable{Name: d.Name, Type: d.Type}
		if d.Input.Default != nil {
			v.HasDefault = true
			v.Default, _ = evaluate(h.codeOf(d.Input.Default), nil) // that it can be is checked elsewhere
		}
		if d.Input.Doc != nil {
			v.Doc, _ = d.Input.Doc.Plain()
		}
		t.Variables = append(t.Variables, v)
	}
	t.bad = t.bad || said.HasErrors() || (*c.diags)[before:].HasErrors()
	return h
}

func (h *checker) noMust(at source.Span) {
	h.add(diag.Diagnostic{Code: "E0128", Span: at, Message: "a variable of a template has no `must`", Label: "check the value in the script, before it comes here"})
}

// mention is what the text of a template without a header says of a value.
type mention struct {
	name     string
	fields   []*mention
	item     *mention
	required bool // it stands somewhere without a default
}

func (m *mention) field(name string) *mention {
	for _, f := range m.fields {
		if f.name == name {
			return f
		}
	}
	f := &mention{name: name}
	m.fields = append(m.fields, f)
	return f
}

// typ is the type that a value must have for what is said of it. What may be missing has a default where it is mentioned, so nothing is said of it.
func (m *mention) typ() types.Type {
	var t types.Type
	switch {
	case m.item != nil && len(m.fields) == 0:
		t = types.ListOf(m.item.typ())
		if !m.item.required {
			t = types.ListOf(types.Type{})
		}
	case len(m.fields) > 0 && m.item == nil:
		t.Kind = types.Record
		for _, f := range m.fields {
			if f.required {
				t.Fields = append(t.Fields, types.Field{Name: f.name, Type: f.typ()})
			}
		}
	}
	return t
}

// mentioned takes the variables from the text.
func (t *Template) mentioned(read *template.Template) {
	all := &mention{}
	for _, p := range read.Parts {
		if p.Gap == nil {
			continue
		}
		root := p.Gap.Path[0]
		if _, seen := t.at[root.Name]; !seen {
			t.at[root.Name] = root.At
		}
		m := all
		for _, s := range p.Gap.Path {
			if s.Name != "" {
				m = m.field(s.Name)
			} else {
				if m.item == nil {
					m.item = &mention{}
				}
				m = m.item
			}
			m.required = m.required || p.Gap.Default == nil
		}
	}
	for _, f := range all.fields {
		p := types.Field{Name: f.name, Type: f.typ()}
		if !f.required {
			p.Type = types.Maybe(p.Type)
		}
		t.Function.Params = append(t.Function.Params, p)
		t.Variables = append(t.Variables, Variable{Name: p.Name, Type: p.Type})
	}
}

func (t *Template) shows(g *template.Gap) {
	s := eval.Shown{Stands: g.Default != nil}
	for _, segment := range g.Path {
		s.Path = append(s.Path, segment.Name)
	}
	t.Function.Shows = append(t.Function.Shows, s)
}

// gap checks a gap against the variables that the header declares. It reports whether all is well.
func (h *checker) gap(g *template.Gap) bool {
	root := g.Path[0]
	d := h.info.Root.names[root.Name]
	if d == nil {
		if h.broken[root.Name] {
			return false
		}
		out := diag.Diagnostic{Code: "E0101", Span: root.At, Message: fmt.Sprintf("this template has no variable `%s`", root.Name)}
		if near, ok := diag.Nearest(root.Name, visible(h.info.Root)); ok {
			out.Label, out.Fix = fmt.Sprintf("did you mean `%s`?", near), &diag.Fix{Span: root.At, Text: near}
			h.info.Root.names[near].reads++
		} else {
			out.Label = "its header does not declare it"
			out.Help = []string{fmt.Sprintf("add a line to the header: `input %s: string`", root.Name)}
		}
		h.add(out)
		return false
	}
	d.reads++
	if d.bad || d.Input == nil {
		return false
	}
	have, what := d.Type, root.Name
	have.Optional = have.Optional && d.Input.Default == nil
	stop := func(code diag.Code, at source.Span, message, label string, help ...string) bool {
		h.add(diag.Diagnostic{Code: code, Span: at, Message: message, Label: label, Help: help})
		return false
	}
	for _, s := range g.Path[1:] {
		if have.Optional && g.Default == nil {
			break
		}
		have.Optional = false
		switch {
		case have.Kind == types.Any:
			return true
		case s.Name == "" && have.Kind == types.List:
			have = have.Item()
		case s.Name == "":
			return stop("E0110", s.At, fmt.Sprintf("`%s` is %s, it has no items", what, article(have)), "")
		case have.Kind == types.List:
			return stop("E0109", s.At, fmt.Sprintf("a list has no field `%s`", s.Name), fmt.Sprintf("take one of its items: `%s[0].%s`", what, s.Name))
		case have.Kind == types.File && slices.Contains([]string{"name", "size", "type", "text"}, s.Name):
			have = types.Type{Kind: types.String}
		default:
			f, ok := have.Field(s.Name)
			if !ok {
				return h.noField(what, have, s)
			}
			have = f.Type
		}
		if s.Name != "" {
			what += "." + s.Name
		} else {
			what += fmt.Sprintf("[%d]", s.Index)
		}
	}
	switch {
	case have.Optional && g.Default == nil:
		return stop("E0115", g.At, fmt.Sprintf("`%s` may be empty, and the text needs a value", what), fmt.Sprintf("it is %s", have), fmt.Sprintf("say what to put in its place: `{{%s | \"none\"}}`", g))
	case have.Kind == types.File:
		return stop("E0110", g.At, "a file cannot stand in a text as it is", fmt.Sprintf("what is in it is `{{%s.text}}`, its name `{{%s.name}}`", g, g))
	case have.Kind == types.List && have.Item().Kind == types.File:
		return stop("E0110", g.At, "files cannot stand in a text as they are", "this is a list of files")
	}
	return true
}

func (h *checker) noField(what string, have types.Type, s template.Segment) bool {
	d := diag.Diagnostic{Code: "E0109", Span: s.At, Message: fmt.Sprintf("`%s` has no field `%s`", what, s.Name)}
	names := make([]string, 0, len(have.Fields))
	for _, f := range have.Fields {
		names = append(names, f.Name)
	}
	if near, ok := diag.Nearest(s.Name, names); ok {
		d.Label, d.Fix = fmt.Sprintf("did you mean `%s`?", near), &diag.Fix{Span: s.At, Text: near}
	} else {
		d.Label = fmt.Sprintf("it is %s", article(have))
	}
	if len(names) > 0 {
		d.Help = []string{"its fields: " + strings.Join(diag.NearestN(s.Name, names, 8), ", ")}
	}
	h.add(d)
	return false
}

// gapCode is a gap as lang/eval compiles it: read from `#`, the record that the template is given.
func (h *checker) gapCode(g *template.Gap) string {
	code, dot := "#", "."
	if g.Default != nil {
		dot = "?."
	}
	for i, s := range g.Path {
		switch {
		case s.Name == "" && g.Default != nil: // an item that is not there has its stand-in too
			code = fmt.Sprintf("first((%s ?? [])[%d:%d])", code, s.Index, s.Index+1)
		case s.Name == "":
			code += fmt.Sprintf("[%d]", s.Index)
		default:
			code += dot + s.Name
		}
		if d := h.info.Root.names[s.Name]; i == 0 && d != nil && d.Input != nil && d.Input.Default != nil {
			code = "(#?." + s.Name + " ?? " + h.codeOf(d.Input.Default) + ")"
		}
	}
	switch v := g.Default.(type) {
	case nil:
		return code
	case string:
		return "(" + code + " ?? " + quote(v) + ")"
	default:
		text, err := eval.Render(v)
		if err != nil {
			panic("check: a constant that has no text: " + err.Error())
		}
		return "(" + code + " ?? " + text + ")"
	}
}

const angles = `<<\s*([\pL_][\pL\pN_]*)`

// looksLikeInterpolation warns of `<<x>>` in a template that has a variable x: there it is text.
func (h *checker) looksLikeInterpolation(text string, t *Template) {
	if !strings.Contains(text, "<<") {
		return
	}
	for _, found := range regexp.MustCompile(angles).FindAllStringSubmatch(text, -1) {
		if _, ok := t.at[found[1]]; !ok {
			continue
		}
		at := strings.Index(h.src.Text, found[0])
		if at < 0 {
			continue
		}
		h.add(diag.Diagnostic{
			Code: "E0121", Severity: diag.Warning, Span: source.Span{Start: at, End: at + len(found[0])}, Message: fmt.Sprintf("in a template `%s` is plain text", found[0]+">>"), Label: fmt.Sprintf("a gap is written `{{%s}}`", found[1]),
		})
		return
	}
}

// unusedVariables warns of what the header declares and the text never mentions.
func (h *checker) unusedVariables(t *Template) {
	if t.bad {
		return
	}
	for _, d := range h.info.Inputs {
		if d.reads == 0 {
			h.add(diag.Diagnostic{
				Code: "E0107", Severity: diag.Warning, Span: d.At, Message: fmt.Sprintf("nothing uses the variable `%s`", d.Name), Label: "it would be given in vain",
				Help: []string{fmt.Sprintf("mention it with `{{%s}}`, or remove the line", d.Name)},
			})
		}
	}
	for _, item := range h.file.Items {
		if def, ok := item.(*syntax.TypeDef); ok && h.typeUses[def.Name.Text] == 0 {
			h.add(diag.Diagnostic{Code: "E0107", Severity: diag.Warning, Span: def.Name.At, Message: fmt.Sprintf("nothing uses the type `%s`", def.Name.Text), Label: "no input asks for it"})
		}
	}
}

// callTemplates counts the templates that an expression calls.
func (c *checker) callTemplates(t *eval.Tree) {
	if len(c.info.Templates) == 0 {
		return
	}
	for _, call := range t.Calls() {
		if u := c.uses[call.Name]; u != nil && u.Template {
			c.useCount[call.Name]++
		}
	}
}

// templatesOf finds the templates that an expression calls. One that was reported before makes it bad.
func (c *checker) templatesOf(k *known) func(name string) (*eval.Template, bool) {
	return func(name string) (*eval.Template, bool) {
		u := c.uses[name]
		if u == nil || !u.Template {
			return nil, false
		}
		t := c.info.Templates[name]
		if t == nil || t.bad {
			k.bad = true
			return nil, true
		}
		return t.Function, true
	}
}

// fitsWithTemplates checks that an expression is within the limits once the templates it calls are put in.
func (c *checker) fitsWithTemplates(e *syntax.Expr) bool {
	if !c.info.CallsTemplate(e) {
		return true
	}
	_, problems := eval.Parse(c.codeOf(e))
	if len(problems) > 0 {
		c.add(diag.Diagnostic{
			Code: "E0130", Span: e.At, Message: "with the templates put in, this expression is too large", Label: problems[0].Message, Help: []string{"split it with `let`"},
		})
	}
	return len(problems) == 0
}

// CallsTemplate reports whether an expression, or one in a text in it, calls a template.
func (i *Info) CallsTemplate(e *syntax.Expr) bool {
	if len(i.Templates) == 0 {
		return false
	}
	if len(i.Splices(e)) > 0 {
		return true
	}
	for _, t := range e.Texts {
		if slices.ContainsFunc(exprsOf(t), i.CallsTemplate) {
			return true
		}
	}
	return false
}

// Splice is what lang/eval reads in place of the runes Start to End of the code of an expression.
type Splice struct {
	Start, End int
	Code       string
}

// Splices puts the templates that an expression calls into its code: greet(x) becomes map([x], text(…))[0], in which `#` is x. So x is computed
// once, and whatever it holds is put into the text, never read again. In order, and none overlaps another.
func (i *Info) Splices(e *syntax.Expr) []Splice {
	if len(i.Templates) == 0 || i.Exprs[e] == nil {
		return nil
	}
	var list []Splice
	for _, call := range i.Exprs[e].Tree.Calls() {
		t := i.Templates[call.Name]
		if t == nil {
			continue
		}
		record := ""
		if strings.TrimSpace(string([]rune(e.Code)[call.Open+1:call.Close])) == "" {
			record = "{}"
		}
		list = append(list, Splice{call.Start, call.Open + 1, "map([" + record}, Splice{call.Close, call.Close + 1, "], " + t.code + ")[0]"})
	}
	slices.SortFunc(list, func(a, b Splice) int { return a.Start - b.Start })
	return list
}

// templateAsAgent says how a template is called, of one that is called as an agent is.
func (c *checker) templateAsAgent(callee syntax.Callee) {
	name := callee.String()
	call := c.templateCall(name)
	c.add(diag.Diagnostic{
		Code: "E0102", Span: callee.At, Message: fmt.Sprintf("`%s` is a template, not an agent", name), Label: fmt.Sprintf("it makes a text: `\"<<%s>>\"`", call),
		Help: []string{fmt.Sprintf("give the text to an agent: `claude \"<<%s>>\"`, or a name: `let text = %s`", call, call)},
	})
}

// templateCall is how a template is called.
func (c *checker) templateCall(name string) string {
	var fields []string
	if t := c.info.Templates[name]; t != nil {
		for _, p := range t.Function.Params {
			if !p.Type.Optional {
				fields = append(fields, p.Name+": …")
			}
		}
	}
	return name + "({" + strings.Join(fields, ", ") + "})"
}

// ofTemplate points at the template that a wrong argument was given to.
func (c *checker) ofTemplate(p eval.Problem) []diag.Related {
	t := c.info.Templates[p.Template]
	if t == nil {
		return nil
	}
	at, ok := t.at[p.Param]
	switch {
	case ok && t.Declared:
		return []diag.Related{{File: t.Source, Span: at, Message: "it is declared here"}}
	case ok:
		return []diag.Related{{File: t.Source, Span: at, Message: "it is mentioned here"}}
	case len(t.at) == 0:
		return nil
	}
	var first source.Span
	for i, p := range t.Function.Params {
		if span := t.at[p.Name]; i == 0 || span.Start < first.Start {
			first = span
		}
	}
	return []diag.Related{{File: t.Source, Span: first, Message: "its variables are here"}}
}

const argumentList = `([\pL_][\pL\pN_]*)\s*\(\s*[\pL_][\pL\pN_]*\s*:`

// templateMistakes knows what goes wrong with the call of a template: no braces around the values, or its name misspelt.
func (c *checker) templateMistakes(d *diag.Diagnostic, e *syntax.Expr, p eval.Problem) {
	switch p.Code {
	case "E0001":
		found := regexp.MustCompile(argumentList).FindStringSubmatchIndex(e.Code)
		if found == nil {
			return
		}
		name := e.Code[found[2]:found[3]]
		if u := c.uses[name]; u == nil || !u.Template {
			return
		}
		c.useCount[name]++
		d.Message = fmt.Sprintf("`%s` takes one record", name)
		d.Label = "its values stand in braces"
		d.Help = []string{fmt.Sprintf("write `%s`", c.templateCall(name))}
		d.Fix = nil
	case "E0101":
		near, ok := diag.Nearest(c.src.Slice(d.Span), slices.Sorted(maps.Keys(c.info.Templates)))
		if !ok || d.Code != "E0101" { // an agent, then
			return
		}
		c.useCount[near]++
		d.Label, d.Help, d.Fix = fmt.Sprintf("did you mean `%s`?", near), nil, &diag.Fix{Span: d.Span, Text: near}
	}
}
