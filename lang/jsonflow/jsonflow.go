// Package jsonflow reads JSON workflow definitions and turns them into scripts: what runs is what `slop import` shows.
//
// Two forms of definitions are read, that of the reference implementation of the design record and the one that its documentation describes (spec/json.md). A definition keeps a mutable
// context that steps read and write by path; a script has only values. So for each place where a value is read, it is worked out which step has written it by then, and the
// place mentions that step. Steps then wait for what they read, and no write can be lost.
//
// What is wrong is said in terms of the JSON, by pointer and place. Nothing is left out without a word.
package jsonflow

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// Flow is a definition as a script.
type Flow struct {
	Name   string            // what its author calls it
	Script *source.File      // its source text; formatted
	Steps  map[string]string // the ids that the definition has for its steps, by their names in the script

	// Priority of the request, 0 when it says none.
	Priority int

	json  *source.File
	where map[string]*value // by names of the script
}

// File tells whether a file is a definition, by its name.
func File(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".json") }

// Workflow reads the definition of a workflow: a body of its own, or a request {workflow, context, priority}, whose context becomes the defaults of the script's inputs. The
// agents it may call arrive as data in scope. The flow is nil when the list has an error.
func Workflow(src *source.File, scope types.Scope) (*Flow, diag.List) {
	c := newCompiler(src, scope)
	if v := c.read(); v != nil {
		c.workflow(v)
	}
	return c.flow()
}

// compiler makes one script of one definition.
type compiler struct {
	*reader
	names     names // of values
	functions names // of templates, which are called, and of agents and flows
	title     string
	head      []string // comments at the top
	decls     []string // lines that begin with use or agent
	budget    string
	priority  int

	inputs []*input
	roots  map[string]*input // by name at the root of the context
	steps  []*step
	byID   map[string]*step
	order  []*step          // as they are written
	before map[*step][]bool // by number: who has ended when a step begins
	later  []func()         // what can be read when all steps are known

	uses      map[string]string // names of flows in the script
	templates map[string]string // names in the script, by id
	bound     map[string]expr   // names that the pattern around the steps binds
	where     map[string]*value
	body      string // the lines below the declarations

	answerName string // of the call inside a try
	writes     int
}

func newCompiler(src *source.File, scope types.Scope) *compiler {
	return &compiler{
		reader: &reader{src: src, scope: scope}, names: names{}, functions: names{}, roots: map[string]*input{}, byID: map[string]*step{}, before: map[*step][]bool{},
		uses: map[string]string{}, templates: map[string]string{}, bound: map[string]expr{}, where: map[string]*value{},
	}
}

// workflow reads a definition and writes its script.
func (c *compiler) workflow(v *value) {
	o := c.object(v, "a workflow")
	if o == nil {
		return
	}
	if inner := o.of(object, "workflow"); inner != nil {
		c.request(o)
		o.end("the request")
		o = &record{r: c.reader, v: inner}
	} else if id := v.get("workflowId"); id != nil && v.get("steps") == nil {
		c.wrong("E0202", id, "a stored workflow is named here, and none is defined").Help = []string{"stored flows are started by their name, where they are stored"}
		return
	} else {
		c.request(o)
	}
	c.readHead(o)
	c.readContext(o.of(object, "initialContext"), false)
	limit, limitAt := o.whole(1, 1000, "maxParallelSteps")
	if d, at := o.duration("timeoutMs", "timeout"); at != nil {
		c.budget = "budget " + written(d)
	}
	policy := &step{retries: 3} // the reference's own
	if v := o.of(object, "defaultRetryPolicy", "retryPolicy"); v != nil {
		c.readRetry(v, policy)
	}
	steps := o.of(list, "steps")
	switch {
	case steps == nil && o.v.get("steps") == nil:
		c.wrong("E0202", o.v, "this workflow has no `steps`")
	case steps != nil && len(steps.items) == 0:
		c.wrong("E0202", steps, "this workflow has no steps")
	case steps != nil && len(steps.items) > maxSteps:
		c.wrong("E0202", steps, "a workflow has at most %d steps, this one has %d", maxSteps, len(steps.items))
	case steps != nil:
		for _, item := range steps.items {
			c.readWorkflowStep(item, policy)
		}
	}
	o.end("a workflow")
	if !c.prepare() {
		return
	}
	var lines []string
	for _, st := range c.order {
		lines = append(lines, c.write(st)...)
	}
	lines = append(lines, "", "output "+c.outcome())
	if limitAt != nil && limit < len(c.steps) {
		lines = slices.Concat([]string{fmt.Sprintf("output parallel limit %d {", limit)}, lines, []string{"}"})
	}
	c.body = strings.Join(lines, "\n")
}

// request reads what stands beside a definition in a request.
func (c *compiler) request(o *record) {
	c.readContext(o.of(object, "context"), true)
	c.priority, _ = o.whole(0, 100, "priority")
	if o.v.get("workflow") != nil {
		o.none("the workflow stands in the request", "workflowId")
	}
}

// readHead reads what only people read.
func (c *compiler) readHead(o *record) {
	title, _ := o.text("name")
	id := ""
	if v := o.get("id"); v != nil {
		id = v.text
	}
	c.title = title
	if c.title == "" {
		c.title = id
	}
	line := title
	if id != "" && id != title {
		line = strings.TrimSpace(line + " (" + id + ")")
	}
	if line != "" {
		c.head = append(c.head, comment(line)...)
	}
	if doc, at := o.text("description"); at != nil {
		c.head = append(c.head, comment(doc)...)
	}
	if v := o.get("version"); v != nil {
		c.head = append(c.head, comment("version "+v.text)...)
	}
	if meta := o.get("metadata"); meta != nil && meta.kind == object {
		var said []string
		for _, f := range meta.fields {
			switch f.value.kind {
			case nothing:
			case list:
				var all []string
				for _, item := range f.value.items {
					all = append(all, item.text)
				}
				said = append(said, f.name+": "+strings.Join(all, " "))
			default:
				said = append(said, f.name+": "+f.value.text)
			}
		}
		if len(said) > 0 {
			c.head = append(c.head, comment(strings.Join(strings.Fields(strings.Join(said, ", ")), " "))...)
		}
	}
}

// readWorkflowStep reads a step with what only steps have.
func (c *compiler) readWorkflowStep(v *value, policy *step) {
	o := c.object(v, "a step")
	if o == nil {
		return
	}
	st := c.readStep(o)
	c.add(st)
	if o.v.get("retryPolicy") == nil {
		st.retries, st.wait = policy.retries, policy.wait
		if st.sig != nil && (!mayRetry(st.sig) || st.sig.Free) {
			st.retries = 0
		}
	} else if st.retries < 0 {
		st.retries = policy.retries
	}
	if outs := o.of(list, "outputs"); outs != nil {
		for _, item := range outs.items {
			c.readWrite(item, st)
		}
	}
	if deps := o.of(list, "dependencies", "dependsOn"); deps != nil {
		for _, d := range deps.items {
			if d.kind != text {
				c.wrong("E0202", d, "a dependency is the id of a step, not %s", d.kind)
				continue
			}
			c.later = append(c.later, func() {
				if w := c.stepNamed(d, d.text); w != nil && !slices.Contains(st.after, w) {
					st.after = append(st.after, w)
				}
			})
		}
	}
	o.end("a step")
}

// mayRetry tells whether a call can be made twice.
func mayRetry(sig *types.Signature) bool {
	return sig.Kind == types.Call && (sig.Effect == types.Think || sig.Effect == types.Read || sig.Idempotent)
}

func (c *compiler) add(st *step) {
	st.number = len(c.steps)
	c.steps = append(c.steps, st)
}

// readWrite reads {field, contextPath}.
func (c *compiler) readWrite(v *value, st *step) {
	o := c.object(v, "an output")
	if o == nil {
		return
	}
	out := write{at: v}
	if s, at := o.text("field"); at != nil && s != "" {
		var ok bool
		if out.field, ok = parsePath(s); !ok {
			c.wrong("E0209", at, "%s is no path", quoted(s))
			return
		}
	}
	s, at := o.text("contextPath")
	if at == nil {
		c.wrong("E0202", v, "this output does not say where it goes: `contextPath` is missing")
		return
	}
	path, ok := parsePath(s)
	if ok && len(path) > 1 && path[0].name == "context" {
		path = path[1:]
	}
	if !ok || slices.ContainsFunc(path, func(s seg) bool { return s.isIndex }) {
		c.wrong("E0209", at, "%s is no path that can be written: names joined by dots are", quoted(s))
		return
	}
	out.path = path
	o.end("an output")
	c.writes++
	if c.writes > maxWrites {
		if c.writes == maxWrites+1 {
			c.wrong("E0202", v, "a workflow has at most %d outputs in all", maxWrites)
		}
		return
	}
	st.outputs = append(st.outputs, out)
}

// flow is the script, checked to be one.
func (c *compiler) flow() (*Flow, diag.List) {
	c.diags.Sort()
	c.diags = slices.CompactFunc(c.diags, func(a, b diag.Diagnostic) bool { return a.Code == b.Code && a.Span == b.Span && a.Message == b.Message })
	if c.diags.HasErrors() {
		return nil, c.diags
	}
	var b strings.Builder
	for _, l := range c.head {
		b.WriteString(l + "\n")
	}
	if len(c.head) > 0 {
		b.WriteString("\n")
	}
	lets := ""
	for _, in := range c.inputs {
		if in.let {
			lets += "let " + in.name + " = fromJSON(" + literal(c.src.Slice(in.value.at)) + ")\n"
			continue
		}
		b.WriteString(c.writeInput(in) + "\n")
	}
	for _, d := range c.decls {
		b.WriteString(d + "\n")
	}
	if c.budget != "" {
		b.WriteString(c.budget + "\n")
	}
	b.WriteString("\n" + lets + c.body + "\n")
	script := indented(b.String())
	name := strings.TrimSuffix(c.src.Name, ".json") + ".slop"
	tree, diags := syntax.Parse(source.NewFile(name, script))
	if diags.HasErrors() {
		// Only a size that no script may have is left to go wrong.
		v := &value{}
		c.wrong("E0202", v, "this definition is too much for a script: %s", diags.Errors()[0].Message)
		return nil, c.diags
	}
	f := &Flow{
		Name: c.title, Script: source.NewFile(name, string(format.File(tree))), Steps: map[string]string{}, Priority: c.priority, json: c.src, where: c.where,
	}
	for _, st := range c.steps {
		if st.name != "" {
			f.Steps[st.name] = st.id
		}
	}
	return f, c.diags
}

// Place puts what is said of the script at the places of the definition that it comes from.
func (f *Flow) Place(list diag.List) diag.List {
	tree, _ := syntax.Parse(f.Script)
	type stretch struct {
		span source.Span
		at   *value
	}
	var known []stretch
	note := func(name *syntax.Name, span source.Span) {
		if name != nil && f.where[name.Text] != nil {
			known = append(known, stretch{span, f.where[name.Text]})
		}
	}
	var visit func(any)
	visit = func(item any) {
		switch n := item.(type) {
		case *syntax.Use:
			note(&n.As, n.At)
		case *syntax.Input:
			note(&n.Name, n.At)
		case *syntax.Agent:
			note(&n.Name, n.At)
		case *syntax.Let:
			note(&n.Name, n.At)
		case *syntax.StepStmt:
			note(n.Name, n.At)
		case *syntax.Output:
			if g, ok := n.Value.Step.(*syntax.Group); ok && g.Body != nil {
				for _, s := range g.Body.Stmts {
					visit(s)
				}
			}
		}
	}
	for _, item := range tree.Items {
		visit(item)
	}
	var out diag.List
	for _, d := range list {
		if d.File == nil || d.File.Name != f.Script.Name {
			out.Add(d)
			continue
		}
		d.File, d.Fix = f.json, nil
		at := &value{at: source.Span{End: 1}}
		for _, k := range known {
			if k.span.Start <= d.Span.Start && d.Span.Start < k.span.End {
				at = k.at
			}
		}
		d.Span, d.Pointer = at.at, at.pointer
		var related []diag.Related
		for _, r := range d.Related {
			if r.File != nil && r.File.Name != f.Script.Name {
				related = append(related, r)
			}
		}
		d.Related = related
		out.Add(d)
	}
	return out
}
