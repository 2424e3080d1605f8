package jsonflow

import (
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/types"
)

// step is a step of a workflow, or a task of an orchestration: the two are read alike.
type step struct {
	at         *value
	number     int    // in written order
	id, name   string // as the definition and as the script have it
	title, doc string

	callee string           // what it calls
	sig    *types.Signature // nil: nobody knows it
	system *value

	prompt    []piece
	promptAt  *value
	template  string // its name as the script has it
	variables []*variable
	outputs   []write
	args      []arg

	after  []*step // what must have ended before it, in declared order; no step twice
	prior  *step   // whose answer {{previousOutput}} is
	cond   *cond
	condAt *value
	goesOn bool // its failure stops nobody

	timeout time.Duration
	retries int
	wait    time.Duration

	pattern *pattern // it is a whole orchestration

	reads [][]seg  // paths of the context
	codes []string // the expressions in its lines
	view  *tree
}

// variable is a value under a name that the prompt, or the template, of one step knows.
type variable struct {
	at      *value
	name    string
	from    *step   // the answer of a step, or
	path    []seg   // of the context, or of what the step answered
	value   *value  // as it stands, or
	text    []piece // a text with gaps
	used    bool
	letName string
}

// write is a value of an answer that goes into the context.
type write struct {
	at    *value
	field []seg
	path  []seg
}

// arg is an argument of a call that is known.
type arg struct {
	name string
	at   *value
	text []piece // of a text
}

// ids of the reference's own agents, and what is meant by them.
var ownAgents = map[string]string{
	"agent_claude_default": "claude", "claude_default": "claude", "claude-default": "claude",
	"agent_strudel_default": "strudel", "strudel_default": "strudel", "strudel-default": "strudel",
}

// callee finds out what is called for an agentType and an agentId.
func (c *compiler) callee(o *record, at *value) (string, *types.Signature) {
	kind, kindAt := o.text("agentType")
	id, idAt := o.text("agentId")
	name, where := id, idAt
	if idAt == nil {
		name, where = kind, kindAt
	}
	switch {
	case where == nil && (kindAt == nil && o.v.get("agentType") != nil || o.v.get("agentId") != nil):
		return "", nil // said
	case where == nil:
		return c.known("claude", at)
	case idAt == nil && kind == "custom":
		c.wrong("E0208", kindAt, "a custom agent is named by `agentId`").Help = c.inScope()
		return "", nil
	case idAt != nil && kindAt != nil && !slices.Contains([]string{"claude", "strudel", "custom"}, kind) && kind != id:
		c.odd("E0203", kindAt, "`agentType` says nothing beside an `agentId`")
	}
	return c.known(name, where)
}

// known finds a capability by the name that a definition has for it.
func (c *compiler) known(name string, at *value) (string, *types.Signature) {
	if own, ok := ownAgents[name]; ok {
		name = own
	}
	find := func(name string) (string, *types.Signature) {
		if sig, ok := c.scope.Capabilities[name]; ok {
			return name, &sig
		}
		return "", nil
	}
	if name == "strudel" {
		if callee, sig := find("strudel.render"); sig != nil {
			return callee, sig
		}
	}
	for _, try := range []string{name, strings.ReplaceAll(name, "-", "_")} {
		if callee, sig := find(try); sig != nil {
			return callee, sig
		}
	}
	var of []string
	for full := range c.scope.Capabilities {
		if strings.HasPrefix(full, name+".") {
			of = append(of, full)
		}
	}
	slices.Sort(of)
	if len(of) == 1 {
		return find(of[0])
	}
	d := c.wrong("E0208", at, "I don't know an agent named %s", quoted(name))
	d.Help = c.inScope()
	if len(of) > 1 {
		d.Message = "the agent " + quoted(name) + " can do several things: say which"
		d.Help = []string{"it has " + strings.Join(of[:min(len(of), 8)], ", ")}
	} else if near, ok := diag.Nearest(name, c.callees()); ok {
		d.Label = "did you mean `" + near + "`?"
	}
	return "", nil
}

func (c *compiler) callees() []string {
	var all []string
	for full := range c.scope.Capabilities {
		all = append(all, full)
	}
	slices.Sort(all)
	return all
}

func (c *compiler) inScope() []string {
	all := c.callees()
	if len(all) == 0 {
		return nil
	}
	more := ""
	if len(all) > 12 {
		all, more = all[:12], ", …"
	}
	return []string{"agents in scope: " + strings.Join(all, ", ") + more}
}

// What a definition may hold; more than the reference takes, and few enough that nothing here gets slow.
const (
	maxSteps     = 500
	maxVariables = 100
	maxWrites    = 1000
	maxRoots     = 1000
	maxText      = 200_000
)

// readStep reads what steps and tasks have in common, and what only steps have: a task that says it as well means it.
func (c *compiler) readStep(o *record) *step {
	st := &step{at: o.v, retries: -1}
	var idAt *value
	if st.id, idAt = o.text("id"); idAt == nil {
		if o.v.get("id") == nil {
			c.wrong("E0202", o.v, "this step has no `id`")
		}
	} else if strings.TrimSpace(st.id) == "" {
		c.wrong("E0202", idAt, "an `id` is not empty")
	} else if old := c.byID[st.id]; old != nil {
		c.wrong("E0204", idAt, "two steps have the id %s", quoted(st.id)).Related = []diag.Related{{File: c.src, Span: old.at.at, Message: "the first is here"}}
	} else {
		c.byID[st.id] = st
	}
	st.title, _ = o.text("name")
	st.doc, _ = o.text("description")
	if p, at := o.text("pattern", "orchestration"); at != nil {
		st.pattern = c.readPattern(o, p, at, st)
	} else {
		st.callee, st.sig = c.callee(o, o.v)
	}
	c.readPrompt(o, st)
	if st.pattern == nil && st.promptAt == nil && st.template == "" && o.v.get("prompt") == nil && o.v.get("input") == nil {
		c.wrong("E0202", o.v, "the step %s has no `prompt` and no `promptTemplateId`", quoted(st.id))
	}
	if v, at := o.text("condition"); at != nil && strings.TrimSpace(v) != "" {
		st.cond, st.condAt = c.condition(at), at
	}
	st.goesOn = o.flag("continueOnError")
	st.timeout, _ = o.duration("timeoutMs", "timeout")
	if v := o.of(object, "retryPolicy"); v != nil {
		c.readRetry(v, st)
	}
	if v := o.of(object, "config"); v != nil && st.pattern == nil {
		c.readArgs(v, st)
	}
	if v := o.get("metadata"); v != nil {
		c.odd("E0203", v, "`metadata` of a step has no meaning here")
	}
	return st
}

// readPrompt reads what the agent is told: the reference's own fields, and `input` as its documentation has it.
func (c *compiler) readPrompt(o *record, st *step) {
	in := o.get("input")
	var inside *record
	switch {
	case in == nil:
	case in.kind == object:
		inside = &record{r: c.reader, v: in}
	default:
		st.variables = append(st.variables, &variable{at: in, name: "input", value: in})
	}
	template, templateAt := o.text("promptTemplateId", "templateId")
	version := o.get("promptTemplateVersion", "templateVersion")
	prompt, promptAt := o.text("prompt")
	_, st.system = o.text("systemPrompt")
	c.readVariables(o.of(object, "variables"), st)
	if inside != nil {
		for _, f := range []struct {
			names []string
			take  func(string, *value)
		}{
			{[]string{"prompt", "pattern", "text", "code"}, func(s string, v *value) { prompt, promptAt = c.once(promptAt, prompt, s, v) }},
			{[]string{"templateId", "promptTemplateId"}, func(s string, v *value) { template, templateAt = c.once(templateAt, template, s, v) }},
			{[]string{"systemPrompt"}, func(_ string, v *value) { st.system = v }},
		} {
			if s, v := inside.text(f.names...); v != nil {
				f.take(s, v)
			}
		}
		if v := inside.get("templateVersion", "version"); v != nil {
			version = v
		}
		c.readVariables(inside.of(object, "variables"), st)
		rest := &value{kind: object, at: in.at, pointer: in.pointer}
		for _, f := range in.fields {
			if !slices.Contains(inside.known, f.name) {
				rest.fields = append(rest.fields, f)
			}
		}
		c.readArgs(rest, st)
	}
	if inputs := o.get("inputs"); inputs != nil && inputs.kind == list {
		if len(inputs.items) > maxVariables {
			c.wrong("E0202", inputs, "a step has at most %d inputs", maxVariables)
			inputs.items = nil
		}
		for _, v := range inputs.items {
			c.readInput(v, st)
		}
	} else if inputs != nil {
		c.wrong("E0202", inputs, "`inputs` is a list, not %s", inputs.kind)
	}
	if templateAt != nil {
		if v := version; v != nil && (v.kind == number || v.kind == text) && !strings.Contains(template, "@") {
			template += "@" + v.text
		}
		st.template = c.useTemplate(template, templateAt)
		st.promptAt = templateAt
		if promptAt != nil {
			c.odd("E0203", promptAt, "a `prompt` has no meaning beside a template").Label = "the template is used"
		}
		return
	}
	if version != nil {
		c.odd("E0203", version, "a version has no meaning without a template")
	}
	if promptAt != nil {
		if len(prompt) > maxText {
			c.wrong("E0202", promptAt, "a prompt has at most %d bytes", maxText)
			return
		}
		if strings.TrimSpace(prompt) == "" {
			c.wrong("E0202", promptAt, "a prompt is not empty")
			return
		}
		st.promptAt, st.prompt = promptAt, c.pieces(promptAt)
	}
}

func (c *compiler) once(old *value, was, is string, v *value) (string, *value) {
	if old != nil {
		c.wrong("E0202", v, "this is said twice: %s says it as well", old.pointer)
		return was, old
	}
	return is, v
}

// readVariables reads an object of values; their texts may have gaps.
func (c *compiler) readVariables(v *value, st *step) {
	if v == nil {
		return
	}
	if len(v.fields) > maxVariables {
		c.wrong("E0202", v, "a step has at most %d variables", maxVariables)
		return
	}
	for _, f := range v.fields {
		one := &variable{at: f.value, name: f.name, value: f.value}
		if f.value.kind == text {
			one.text = c.pieces(f.value)
		}
		st.variables = append(st.variables, one)
	}
}

// readInput reads {variable, source, value, stepId}.
func (c *compiler) readInput(v *value, st *step) {
	o := c.object(v, "an input")
	if o == nil {
		return
	}
	one := &variable{at: v}
	var at *value
	if one.name, at = o.text("variable", "name"); at == nil {
		c.wrong("E0202", v, "this input does not say which `variable` it is")
		return
	}
	source, sourceAt := o.text("source")
	from, fromAt := o.text("stepId")
	path := o.get("value")
	if sourceAt == nil {
		source = "literal"
		if fromAt != nil {
			source = "step"
		}
	}
	switch source {
	case "literal":
		if one.value = path; path == nil {
			one.value = &value{kind: nothing, at: v.at, pointer: v.pointer}
		}
	case "context", "step":
		if path != nil && path.kind != text {
			c.wrong("E0202", path, "the `value` of an input from a %s is a path, not %s", source, path.kind)
			return
		}
		if path != nil && path.text != "" {
			var ok bool
			if one.path, ok = parsePath(path.text); !ok {
				c.wrong("E0209", path, "%s is no path", quoted(path.text))
				return
			}
		}
		if source == "step" && fromAt == nil {
			c.wrong("E0202", v, "this input does not say of which step: `stepId` is missing")
			return
		}
		if source == "context" && one.path == nil {
			c.wrong("E0202", v, "this input does not say where in the context: `value` is missing")
			return
		}
		if source == "step" {
			c.later = append(c.later, func() { one.from = c.stepNamed(fromAt, from) })
		} else if len(one.path) > 1 && one.path[0].name == "context" {
			one.path = one.path[1:]
		}
	default:
		c.wrong("E0202", sourceAt, "a source is context, step or literal, not %s", quoted(source))
		return
	}
	o.end("an input")
	st.variables = append(st.variables, one)
}

// readRetry reads a policy. The wait doubles up to half a minute here, whatever the policy says.
func (c *compiler) readRetry(v *value, st *step) {
	o := &record{r: c.reader, v: v}
	if n, at := o.whole(0, 100, "maxRetries", "maxAttempts"); at != nil {
		st.retries = n
	}
	if d, at := o.duration("initialDelayMs", "retryDelayMs"); at != nil {
		st.wait = d
	}
	if f := o.part(1, 100, "backoffMultiplier"); f != nil && f.text != "2" && f.text != "2.0" && st.retries > 1 {
		c.odd("E0210", f, "the wait between attempts doubles, it does not grow by %s", f.text)
	}
	if _, at := o.whole(1, 1<<31, "maxDelayMs"); at != nil && at.text != "30000" && st.retries > 1 {
		c.odd("E0210", at, "the wait between attempts grows up to 30 s, and not to what stands here")
	}
	if errs := o.of(list, "retryableErrors"); errs != nil && len(errs.items) > 0 {
		missing := map[string]bool{"TIMEOUT": true, "RATE_LIMIT": true, "SERVICE_UNAVAILABLE": true}
		for _, e := range errs.items {
			switch name := strings.ToUpper(e.text); name {
			case "TIMEOUT", "RATE_LIMIT", "RATE_LIMITED", "SERVICE_UNAVAILABLE", "UNAVAILABLE", "NETWORK_ERROR", "CONNECTION_ERROR":
				delete(missing, strings.Replace(strings.Replace(name, "LIMITED", "LIMIT", 1), "SERVICE_", "", 1))
				delete(missing, name)
			default:
				c.odd("E0210", e, "%s is no failure that is tried again here", quoted(e.text)).Label = "only what may pass is: a timeout, too many requests, a lost connection, a server error"
			}
		}
		delete(missing, "SERVICE_UNAVAILABLE")
		if len(missing) > 0 {
			c.odd("E0210", errs, "every failure that may pass is tried again, whichever this list names")
		}
	}
	o.end("a retry policy")
}

// names of arguments that definitions write in another way.
var argNames = map[string]string{
	"maxTokens": "max_tokens", "duration": "seconds", "durationSeconds": "seconds", "tempo": "bpm", "outputFormat": "format",
}

// readArgs reads what else the agent is told: arguments of what it can do.
func (c *compiler) readArgs(v *value, st *step) {
	for _, f := range v.fields {
		if f.value.kind == nothing {
			continue
		}
		name := f.name
		if own, ok := argNames[name]; ok {
			name = own
		}
		if name == "systemPrompt" && f.value.kind == text && st.system == nil {
			st.system = f.value
			continue
		}
		if st.sig == nil {
			continue
		}
		i := slices.IndexFunc(st.sig.Params, func(p types.Param) bool { return p.Name == name })
		if i < 0 || name == st.sig.Primary {
			var takes []string
			for _, p := range st.sig.Params {
				if p.Name != st.sig.Primary {
					takes = append(takes, p.Name)
				}
			}
			d := c.odd("E0203", &value{pointer: f.value.pointer, at: f.at}, "%s takes no %s: it is left out", quoted(st.callee), quoted(f.name))
			if len(takes) > 0 {
				d.Label = "it takes " + strings.Join(takes, ", ")
			}
			continue
		}
		if slices.ContainsFunc(st.args, func(a arg) bool { return a.name == name }) {
			c.wrong("E0202", f.value, "%s is said twice", quoted(name))
			continue
		}
		a := arg{name: name, at: f.value}
		if f.value.kind == text {
			a.text = c.pieces(f.value)
		}
		st.args = append(st.args, a)
	}
}

// stepNamed finds a step by its id.
func (c *compiler) stepNamed(at *value, id string) *step {
	if st := c.byID[id]; st != nil {
		return st
	}
	d := c.wrong("E0205", at, "there is no step %s", quoted(id))
	var ids []string
	for _, st := range c.steps {
		ids = append(ids, st.id)
	}
	if near, ok := diag.Nearest(id, ids); ok {
		d.Label = "did you mean `" + near + "`?"
	} else if len(ids) > 0 {
		d.Help = []string{"the steps are " + strings.Join(ids[:min(8, len(ids))], ", ")}
	}
	return nil
}

// useTemplate names a stored template for the script, once.
func (c *compiler) useTemplate(id string, at *value) string {
	if name, ok := c.templates[id]; ok {
		return name
	}
	base, _, _ := strings.Cut(id, "@")
	base = base[strings.LastIndexByte(base, '/')+1:]
	base, _, _ = strings.Cut(base, ".")
	if eval.Taken(base) {
		base += "_template"
	}
	name := c.functions.take(base, "template")
	c.templates[id] = name
	c.where[name] = at
	c.decls = append(c.decls, "use template "+literal(id)+" as "+name)
	return name
}
