package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/inputs"
	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/wire"
)

type replCmd struct {
	Trust bool   `help:"Trust the project's slop.toml, and remember that until it changes."`
	Load  string `arg:"" optional:"" name:"file" help:"A script to run first."`
}

func (replCmd) Help() string {
	return "Each line runs at once. Steps, values and declarations stay.  :help lists the commands."
}

func (v *replCmd) Run(c *console) error {
	pr, err := openProject("")
	if err != nil {
		return err
	}
	if err := c.trust(pr, v.Trust); err != nil {
		return err
	}
	h := newHost(pr, nil)
	defer h.close()
	r := &repl{c: c, project: pr, host: h, talks: c.asks}
	r.reset()
	if v.Load != "" {
		if err := r.load(v.Load); err != nil {
			return err
		}
	}
	if !r.talks {
		return r.readPiped()
	}
	return r.readTerminal()
}

// repl keeps what earlier lines left behind. Every line is a flow of its own, run by one engine; the values of earlier lines are its inputs.
type repl struct {
	c       *console
	project *project
	host    *host
	talks   bool // a person sits before it

	declared []declaration // in the order they were made
	values   []binding
	usage    run.Usage
	last     *plan.Plan
	history  []kept // what ran well, for :save
	file     string // from which lines are read; "" when they are typed
}

// declaration is a type, agent, use or secret that later lines may name.
type declaration struct {
	kind, name, text string
	path             string // of a `use`, from the folder one stands in; it stands in text
}

// binding is a value that later lines may name.
type binding struct {
	name  string
	kind  types.Type
	value any
	plan  *plan.Plan // what made it; nil for an input
}

var errQuit = errors.New("quit")

func (r *repl) reset() {
	r.declared, r.values, r.history, r.last = nil, nil, nil, nil
}

// readPiped runs a script that comes in by standard input, statement by statement, and stops at the first that fails.
func (r *repl) readPiped() error {
	in := bufio.NewReader(r.c.in)
	text, next := "", ""
	for {
		line, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		ended := err != nil
		next = line
		if text != "" && (ended && next == "" || !r.goesOn(text, next)) {
			if err := r.line(text); errors.Is(err, errQuit) {
				return nil
			} else if err != nil {
				return err
			}
			text = ""
		}
		text += next
		if strings.TrimSpace(text) == "" {
			text = ""
		}
		if ended {
			if text == "" {
				return nil
			}
			if err := r.line(text); err != nil && !errors.Is(err, errQuit) {
				return err
			}
			return nil
		}
	}
}

// goesOn reports whether next belongs to the statement in text: something is open, or next begins with a clause.
func (r *repl) goesOn(text, next string) bool {
	if strings.HasPrefix(strings.TrimSpace(text), ":") {
		return false
	}
	if syntax.Incomplete(text) {
		return true
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(next), " ")
	switch word {
	case "as", "after", "retry", "repair", "timeout", "cache", "budget", "else":
		return !strings.HasPrefix(strings.TrimSpace(rest), "=")
	}
	return false
}

// line runs one line or block that was typed. In front of a person an error is shown and the next line may come; else it is returned.
func (r *repl) line(text string) error {
	err := r.run(text)
	if err == nil || errors.Is(err, errQuit) || !r.talks {
		return err
	}
	var e *exit
	if errors.As(err, &e) && e.err == nil {
		return nil // it has been said
	}
	r.c.sayError(err)
	return nil
}

func (r *repl) run(text string) error {
	text = strings.TrimRight(text, " \t\r\n")
	trimmed := strings.TrimSpace(text)
	if strings.HasPrefix(trimmed, ":") {
		return r.command(trimmed)
	}
	if command := commandMeant(trimmed); command != "" && !r.knows(trimmed) {
		return r.command(command)
	}
	src := source.NewFile("repl", text)
	file, diags := syntax.Parse(src)
	if diags.HasErrors() {
		asValue := source.NewFile("repl", valueWord+text)
		if other, worse := syntax.Parse(asValue); !worse.HasErrors() && len(other.Items) == 1 {
			return r.statement(asValue, other.Items[0], false)
		}
		return r.mistakes(diags)
	}
	return r.items(src, file.Items)
}

// items runs what stands in src one after the other, and shows the last value.
func (r *repl) items(src *source.File, items []syntax.Item) error {
	for i, item := range items {
		part := src
		if strings.TrimSpace(src.Text) != strings.TrimSpace(src.Slice(item.Span())) {
			part = r.part(src, item.Span())
			one, diags := syntax.Parse(part)
			if diags.HasErrors() || len(one.Items) != 1 {
				return r.mistakes(diags)
			}
			item = one.Items[0]
		}
		quiet := i < len(items)-1
		if err := r.item(part, item, quiet); err != nil {
			return err
		}
	}
	return nil
}

// part is one statement as a source of its own. In that of a loaded file it stands where it does in the file, for the sake of messages.
func (r *repl) part(src *source.File, at source.Span) *source.File {
	if r.file == "" {
		return source.NewFile("repl", src.Slice(at))
	}
	pos := src.Pos(at.Start)
	return source.NewFile(r.file, strings.Repeat("\n", pos.Line-1)+strings.Repeat(" ", pos.Column-1)+src.Slice(at))
}

func (r *repl) item(src *source.File, item syntax.Item, quiet bool) error {
	switch item := item.(type) {
	case *syntax.TypeDef:
		return r.declare(src, declaration{kind: "type", name: item.Name.Text, text: written(src)})
	case *syntax.Agent:
		return r.declare(src, declaration{kind: "agent", name: item.Name.Text, text: written(src)})
	case *syntax.Use:
		return r.declare(src, r.used(src, item))
	case *syntax.Secret:
		if err := r.project.missingSecrets([]string{item.Name.Text}); err != nil {
			return err
		}
		r.host.know(r.project, []string{item.Name.Text})
		return r.declare(src, declaration{kind: "secret", name: item.Name.Text, text: written(src)})
	case *syntax.Input:
		return r.input(src, item)
	case *syntax.Budget, *syntax.Test:
		return usage("budgets and tests belong in a file: slop run, slop test")
	}
	return r.statement(src, item, quiet)
}

// commandMeant is the command that a bare word of other programs stands for.
func commandMeant(word string) string {
	switch word {
	case "exit", "quit", "exit()", "quit()":
		return ":quit"
	case "help", "?":
		return ":help"
	}
	return ""
}

// knows reports whether a value has that name.
func (r *repl) knows(name string) bool {
	for _, b := range r.values {
		if b.name == name {
			return true
		}
	}
	return false
}

// valueWord is put before what was typed when it is a value.
const valueWord = "output "

// typed is a mistake shown in the line as it was typed, without the word that we put before it.
func typed(d diag.Diagnostic) diag.Diagnostic {
	whole := d.File
	if whole == nil || !strings.HasPrefix(whole.Text, valueWord) {
		return d
	}
	line := source.NewFile(whole.Name, whole.Text[len(valueWord):])
	back := func(s source.Span) source.Span {
		return source.Span{Start: max(0, s.Start-len(valueWord)), End: max(0, s.End-len(valueWord))}
	}
	d.File, d.Span = line, back(d.Span)
	if d.Fix != nil {
		d.Fix = &diag.Fix{Span: back(d.Fix.Span), Text: d.Fix.Text}
	}
	related := make([]diag.Related, len(d.Related))
	for i, other := range d.Related {
		if other.File == whole {
			other.File, other.Span = line, back(other.Span)
		}
		related[i] = other
	}
	d.Related = related
	return d
}

// mistakes shows diagnostics.
func (r *repl) mistakes(diags diag.List) error {
	for i := range diags {
		diags[i] = typed(diags[i])
	}
	diag.Print(r.c.err, diags, r.c.style.On)
	return &exit{code: exitScript}
}

// compile checks text with everything that has been declared. Its lines come first, so that messages count lines as they were typed.
func (r *repl) compile(text string, without ...string) (*plan.Plan, error) {
	whole := text + "\n"
	words := text
	for _, d := range r.declared {
		if !contains(without, d.kind+" "+d.name) {
			whole += d.seenFrom(r.file) + "\n"
			words += " " + d.text
		}
	}
	scope := r.project.scope()
	everything := scope
	for _, b := range r.values {
		if contains(without, b.name) {
			continue
		}
		field := types.Field{Name: b.name, Type: b.kind}
		if everything.Values = append(everything.Values, field); mentions(words, b.name) {
			scope.Values = append(scope.Values, field)
		}
	}
	name := r.file
	if name == "" {
		name = "repl"
	}
	src := source.NewFile(name, whole)
	p, diags := lang.Compile(src, scope)
	if diags.HasErrors() {
		_, diags = lang.Compile(src, everything) // a message suggests names that were not mentioned
		return nil, r.mistakes(errorsOnly(diags))
	}
	return p, nil
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// errorsOnly leaves out warnings: a line of a REPL is full of names nobody uses yet.
func errorsOnly(l diag.List) diag.List {
	var out diag.List
	for _, d := range l {
		if d.Severity == diag.Error {
			out = append(out, d)
		}
	}
	return out
}

// mentions reports whether name stands in text as a word.
func mentions(text, name string) bool {
	isWord := func(b byte) bool {
		return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
	}
	for at := 0; ; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		from, to := at+i, at+i+len(name)
		if (from == 0 || !isWord(text[from-1])) && (to == len(text) || !isWord(text[to])) {
			return true
		}
		at = to
	}
}

// declare keeps a declaration in the place of an earlier one of the same name.
func (r *repl) declare(src *source.File, d declaration) error {
	if _, err := r.compile(src.Text+"\noutput true", d.kind+" "+d.name); err != nil {
		return err
	}
	for i, old := range r.declared {
		if old.kind == d.kind && old.name == d.name {
			r.declared[i] = d
			r.keep(kept{d.text, d.name, d.kind})
			return nil
		}
	}
	r.declared = append(r.declared, d)
	r.keep(kept{d.text, d.name, d.kind})
	return nil
}

// input gives a name its default, or asks for its value.
func (r *repl) input(src *source.File, item *syntax.Input) error {
	p, err := r.compile(src.Text+"\noutput true", item.Name.Text)
	if err != nil {
		return err
	}
	for _, in := range p.Inputs {
		if in.Name != item.Name.Text {
			continue
		}
		var v any
		switch {
		case in.Default != nil:
			if v, err = eval.FromJSON(in.Default); err == nil {
				v, err = inputs.Check(in, v)
			}
		case !in.Required:
		case r.talks:
			v, err = r.c.askInput(in)
		default:
			err = usage("input %s has no value: give it a default, or run the file with -i", in.Name)
		}
		if err != nil {
			return err
		}
		r.bind(binding{name: in.Name, kind: in.Type, value: v})
	}
	r.keep(kept{written(src), item.Name.Text, "input"})
	return nil
}

func (r *repl) bind(b binding) {
	for i := range r.values {
		if r.values[i].name == b.name {
			r.values[i] = b
			return
		}
	}
	r.values = append(r.values, b)
}

// statement runs one line and binds its value: to its name, else to _.
func (r *repl) statement(src *source.File, item syntax.Item, quiet bool) error {
	if step, ok := item.(*syntax.StepStmt); ok && step.Name == nil && r.isValue(step.Step) {
		at := len(src.Text) - len(written(src))
		src = source.NewFile(src.Name, src.Text[:at]+valueWord+src.Text[at:])
		file, diags := syntax.Parse(src)
		if diags.HasErrors() || len(file.Items) != 1 {
			return r.mistakes(diags)
		}
		item = file.Items[0]
	}
	text, name := src.Text, "_"
	line := keptStatement(src, item)
	switch item := item.(type) {
	case *syntax.StepStmt:
		if item.Name != nil {
			name = item.Name.Text
			text = r.named(src, name, item.Name.Span().Start, item.Step.Span().Start, "")
		}
	case *syntax.Let:
		name = item.Name.Text
		text = r.named(src, name, item.Span().Start, item.Value.Span().Start, "output ")
	case *syntax.Require, *syntax.StopIf:
		text, name = src.Text+"\noutput true", ""
	}
	var without []string
	if name != "_" {
		without = []string{}
	}
	p, err := r.compile(text, without...)
	if err != nil {
		return err
	}
	r.last = p
	end, err := r.play(p)
	if err != nil {
		return err
	}
	r.keep(line)
	if name == "" {
		return nil
	}
	r.bind(binding{name, p.Output, end.Value, p})
	switch {
	case name == "_" && !quiet:
		r.show(end.Value, "_")
	case r.talks && !quiet:
		r.show(end.Value, name)
	}
	return nil
}

// isValue tells a line that is only a name: it may look like a call, but it shows a value unless an agent has that name.
func (r *repl) isValue(step syntax.Step) bool {
	call, ok := step.(*syntax.Call)
	if !ok || call.Parens || call.Text != nil || len(call.Args)+len(call.Clauses) > 0 {
		return false
	}
	for _, d := range r.declared {
		if d.name == call.Callee.String() && (d.kind == "agent" || d.kind == "use") {
			return false
		}
	}
	_, _, callable := r.project.registry.Lookup(call.Callee.String())
	return !callable
}

// named makes the program of `name = …`. When the name has a value already, which the line may mention, the line declares nothing and is itself the value.
func (r *repl) named(src *source.File, name string, from, to int, lead string) string {
	for _, b := range r.values {
		if b.name == name {
			blank := strings.Repeat(" ", max(0, to-from-len(lead)))
			return src.Text[:from] + lead + blank + src.Text[to:]
		}
	}
	return src.Text + "\noutput " + name
}

// play runs a plan to its end in front of the person.
func (r *repl) play(p *plan.Plan) (run.Finished, error) {
	if err := r.project.missingSecrets(p.Secrets); err != nil {
		return run.Finished{}, err
	}
	values := map[string]any{}
	for _, in := range p.Inputs {
		for _, b := range r.values {
			if b.name == in.Name {
				values[in.Name] = b.value
			}
		}
	}
	s := &session{c: r.c, runs: r.host.engine, plan: p, redact: r.host.redact}
	if r.c.live && r.talks {
		s.screen = screen.NewTree(r.c.err, r.c.style, func() (int, int) { return r.c.width(), r.c.height() }, nil, s.agent)
	}
	end, err := s.play(context.Background(), s.start(values, run.Options{By: "repl"}))
	if errors.Is(err, errAtOnce) {
		return end, &exit{exitInterrupted, errors.New("left behind: it may still be ending")}
	}
	if err != nil {
		return end, err
	}
	used := s.folder.View().Usage
	r.usage = r.usage.Add(used)
	if end.Status != run.Succeeded {
		code := s.exitCode(end, run.Options{})
		if end.Status == run.Cancelled && s.unasked == nil && r.talks {
			fmt.Fprintln(r.c.err, r.c.style.Yellow("cancelled"))
		} else {
			s.drawFailure(end, code)
		}
		return end, &exit{code: code}
	}
	if text := screen.Used(used); text != "" && !(r.c.live && r.talks) {
		fmt.Fprintln(r.c.err, r.c.style.Dim(text))
	}
	return end, nil
}

// How much of a value is shown at once.
const (
	shownLines = 20
	shownRunes = 4000

	shownOnOneLine = 80
)

// show prints a value, folded when it is big and a person reads it.
func (r *repl) show(v any, name string) {
	if v == nil {
		return
	}
	if !r.talks {
		r.c.printValue(v)
		return
	}
	text, ok := v.(string)
	if !ok {
		text = compact(wire.Plain(v))
	}
	text = screen.Inert(r.host.redact(text))
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	hidden := ""
	if len(lines) > shownLines {
		hidden = plural(len(lines)-shownLines, "more line")
		lines = lines[:shownLines]
	}
	text = strings.Join(lines, "\n")
	if runes := []rune(text); len(runes) > shownRunes {
		text, hidden = string(runes[:shownRunes]), "more"
	}
	fmt.Fprintln(r.c.out, text)
	if hidden != "" {
		fmt.Fprintln(r.c.out, r.c.outStyle.Dim("… "+hidden+"  (:show "+name+" prints all)"))
	}
}

// compact is a value as JSON, on one line when it is short.
func compact(v any) string {
	text, err := eval.Render(v)
	if err != nil {
		return "(cannot be shown: " + err.Error() + ")"
	}
	var short bytes.Buffer
	if len(text) < 200 && json.Compact(&short, []byte(text)) == nil && short.Len() <= shownOnOneLine {
		return short.String()
	}
	return text
}

// load runs a script as if it were typed. Its tests are for `slop test`; a budget counts for a whole run, which there is none of here.
func (r *repl) load(path string) error {
	src, err := r.c.readScript(path)
	if err != nil {
		return err
	}
	file, diags := syntax.Parse(src)
	if diags.HasErrors() {
		return r.mistakes(diags)
	}
	var items []syntax.Item
	for _, item := range file.Items {
		switch item.(type) {
		case *syntax.Test:
			continue
		case *syntax.Budget:
			return usage("%s has a budget, which a run keeps and single lines cannot: slop run %s", path, path)
		}
		items = append(items, item)
	}
	r.file = src.Name
	defer func() { r.file = "" }()
	return r.items(src, items)
}

// written is a statement without the blank lines that put it in its place.
func written(src *source.File) string { return strings.TrimLeft(src.Text, " \n") }

// used is a `use` as later lines need it, which are not in the folder of the file that was loaded.
func (r *repl) used(src *source.File, u *syntax.Use) declaration {
	d := declaration{kind: "use", name: u.As.Text, text: written(src)}
	path, plain := u.Path.Plain()
	if !plain || !strings.HasPrefix(path, ".") {
		return d
	}
	d.path = dotted(filepath.Join(filepath.Dir(r.file), filepath.FromSlash(path)))
	at, shift := u.Path.Span(), len(src.Text)-len(d.text)
	d.text = d.text[:at.Start-shift] + strconv.Quote(d.path) + d.text[at.End-shift:]
	return d
}

// seenFrom is a declaration as a file says it: a path counts from the folder of the file.
func (d declaration) seenFrom(file string) string {
	if file == "" || d.path == "" {
		return d.text
	}
	path, err := filepath.Rel(filepath.Dir(file), d.path)
	if err != nil {
		return d.text
	}
	return strings.Replace(d.text, strconv.Quote(d.path), strconv.Quote(dotted(path)), 1)
}

// dotted writes a path as `use` wants it.
func dotted(path string) string {
	path = filepath.ToSlash(path)
	if strings.HasPrefix(path, ".") || filepath.IsAbs(path) {
		return path
	}
	return "./" + path
}

// inputNames lists the inputs of a script, broken or not.
func inputNames(name, text string) []string {
	file, _ := syntax.Parse(source.NewFile(name, text))
	var names []string
	for _, item := range file.Items {
		if in, ok := item.(*syntax.Input); ok {
			names = append(names, in.Name.Text)
		}
	}
	return names
}
