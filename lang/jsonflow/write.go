package jsonflow

import (
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/types"
)

// prepare finds out what waits for what, and gives everything its name. It reports false when the definition has mistakes.
func (c *compiler) prepare() bool {
	for _, do := range c.later {
		do()
	}
	for _, st := range c.steps {
		c.mentioned(st)
	}
	if c.diags.HasErrors() || !c.sort() {
		return false
	}
	c.waitForWriters()
	c.sort()
	c.alone()
	for _, st := range c.steps {
		st.cond.paths(func(path []seg) {
			if path, ok := c.contextPath(st, path); ok && c.bound[path[0].name].code == "" && !c.isWritten(path) {
				if in := c.root(path[0].name, st.condAt); in.value == nil {
					in.optional = true
				}
			}
		})
	}
	for _, in := range c.inputs {
		if in.value != nil && in.value.size() > 200 {
			in.let, in.typ = true, anyType
		}
	}
	for _, st := range c.order {
		st.name = c.names.take(st.id, "step")
		c.where[st.name] = st.at
	}
	c.answerName = c.names.take("answer", "answer")
	return true
}

// size counts the values in a value.
func (v *value) size() int {
	n := 1
	for _, item := range v.items {
		n += item.size()
	}
	for _, f := range v.fields {
		n += f.value.size() + 1
	}
	return n
}

// isWritten tells whether a step writes the path, or around it.
func (c *compiler) isWritten(path []seg) bool {
	for _, st := range c.steps {
		if slices.ContainsFunc(st.outputs, func(o write) bool { return overlaps(o.path, path) }) {
			return true
		}
	}
	return false
}

// mentioned finds the steps and the paths of the context that a step reads.
func (c *compiler) mentioned(st *step) {
	c.previous(st)
	own, bare := st, *st
	bare.variables = nil // the text of a variable knows no other variables
	see := func(st *step, path []seg) {
		if w, _, ok := c.stepOf(st, path); ok {
			switch {
			case w == own:
				c.wrong("E0205", st.at, "%s reads its own answer", quoted(st.id))
			case w != nil && !slices.Contains(own.after, w):
				own.after = append(own.after, w)
			}
			return
		}
		if path, ok := c.contextPath(st, path); ok {
			own.reads = append(own.reads, path)
		}
	}
	gapsOf := func(st *step, text []piece) {
		for _, p := range text {
			if p.gap() {
				if v := st.variable(p.path); v != nil {
					v.used = true
				}
				see(st, p.path)
			}
		}
	}
	gaps := func(text []piece) { gapsOf(st, text) }
	gaps(st.prompt)
	if st.system != nil {
		gaps(c.pieces(st.system))
	}
	for _, a := range st.args {
		gaps(a.text)
	}
	if st.pattern != nil {
		for _, t := range st.pattern.texts() {
			gaps(t)
		}
	}
	st.cond.paths(func(path []seg) {
		if v := st.variable(path); v != nil {
			v.used = true
		}
		see(st, path)
	})
	for _, v := range st.variables {
		if st.template != "" {
			v.used = true
		}
		if !v.used && st.sig != nil && v.from == nil && v.path == nil { // an argument under its own name
			if i := slices.IndexFunc(st.sig.Params, func(p types.Param) bool { return p.Name == v.name && p.Name != st.sig.Primary }); i >= 0 && v.value.kind != nothing {
				st.args = append(st.args, arg{name: v.name, at: v.value, text: v.text})
				gapsOf(&bare, v.text)
				continue
			}
		}
		if !v.used {
			c.odd("E0203", v.at, "the prompt of %s never mentions {{%s}}", quoted(st.id), v.name)
			continue
		}
		gapsOf(&bare, v.text)
		switch {
		case v.from == st:
			c.wrong("E0205", v.at, "%s reads its own answer", quoted(st.id))
		case v.from != nil && !slices.Contains(st.after, v.from):
			st.after = append(st.after, v.from)
		case v.from == nil && v.path != nil:
			st.reads = append(st.reads, v.path)
		}
	}
}

func (st *step) variable(path []seg) *variable {
	for _, v := range st.variables {
		if v.name == path[0].name {
			return v
		}
	}
	return nil
}

// stepOf tells whether a path is the answer of a step, and what is wanted of it: steps.ID…, ID.output…, ID, previousOutput… . The step is nil when there is none, which has been reported.
func (c *compiler) stepOf(st *step, path []seg) (*step, []seg, bool) {
	first := path[0].name
	if st.variable(path) != nil || c.bound[first].code != "" {
		return nil, nil, false
	}
	switch {
	case first == "steps" && len(path) > 1 && c.roots["steps"] == nil:
		return c.stepNamed(st.told(), path[1].name), path[2:], true
	case first == "previousOutput" || first == "_lastResult" || first == "lastResult" || first == "previousResult":
		if c.roots[first] != nil {
			return nil, nil, false
		}
		if w := c.previous(st); w != nil {
			return w, path[1:], true
		}
		c.wrong("E0205", st.told(), "nothing has an answer before %s", quoted(st.id))
		return nil, nil, true
	case strings.HasPrefix(first, "_task_") && c.byID[first[len("_task_"):]] != nil:
		return c.byID[first[len("_task_"):]], path[1:], true
	}
	w := c.byID[first]
	if w == nil {
		if len(path) > 1 && (path[1].name == "output" || path[1].name == "result") && c.roots[first] == nil && !c.isWritten(path[:1]) && first != "context" {
			return c.stepNamed(st.told(), first), path[1:], true
		}
		return nil, nil, false
	}
	own := len(path) > 1 && (path[1].name == "output" || path[1].name == "result") && !c.isWritten(path[:2])
	if own || c.roots[first] == nil && !c.isWritten(path[:1]) {
		return w, path[1:], true
	}
	return nil, nil, false
}

// told is the place of a step's prompt, or of the step.
func (st *step) told() *value {
	if st.promptAt != nil {
		return st.promptAt
	}
	return st.at
}

// previous is the step whose answer came before: the last of its dependencies, or else the one above it.
func (c *compiler) previous(st *step) *step {
	if st.prior == nil {
		switch {
		case len(st.after) > 0:
			st.prior = st.after[len(st.after)-1]
		case st.number > 0:
			st.prior = c.steps[st.number-1]
		}
	}
	return st.prior
}

// contextPath is the path within the context that a path means.
func (c *compiler) contextPath(st *step, path []seg) ([]seg, bool) {
	if st.variable(path) != nil {
		return nil, false
	}
	if _, _, ok := c.stepOf(st, path); ok {
		return nil, false
	}
	if path[0].name == "context" && len(path) > 1 && c.roots["context"] == nil {
		path = path[1:]
	}
	if c.bound[path[0].name].code != "" || path[0].name == "_workflow" {
		return nil, false
	}
	return path, true
}

// sort puts the steps in an order in which each comes after those it waits for, else as they are written.
func (c *compiler) sort() bool {
	c.order = nil
	state := map[*step]int{} // 1: being looked at; 2: done
	var stack []*step
	var visit func(*step) bool
	visit = func(st *step) bool {
		switch state[st] {
		case 2:
			return true
		case 1:
			ids := []string{}
			for _, s := range stack[slices.Index(stack, st):] {
				ids = append(ids, s.id)
			}
			c.wrong("E0206", st.at, "these steps wait for each other: %s", strings.Join(append(ids, st.id), " → ")).Label = "each waits for the one behind it"
			return false
		}
		state[st] = 1
		stack = append(stack, st)
		for _, w := range st.after {
			if !visit(w) {
				return false
			}
		}
		stack = stack[:len(stack)-1]
		state[st] = 2
		c.order = append(c.order, st)
		before := make([]bool, len(c.steps))
		for _, w := range st.after {
			before[w.number] = true
			for n, is := range c.before[w] {
				before[n] = before[n] || is
			}
		}
		c.before[st] = before
		return true
	}
	for _, st := range c.steps {
		if !visit(st) {
			return false
		}
	}
	return true
}

// answer is what a step gave, as far as it was asked for.
func (c *compiler) answer(st *step, rest []seg, at *value, soft bool) expr {
	e := expr{st.name, anyType}
	switch {
	case st.pattern != nil:
		e.typ = st.pattern.result()
	case st.sig != nil:
		e.typ = st.sig.Result
	}
	if st.cond != nil && st.goesOn {
		e.code += "?.value"
	} else if st.goesOn {
		e.code += ".value"
	}
	e.typ.Optional = e.typ.Optional || st.cond != nil || st.goesOn
	if len(rest) > 0 && (rest[0].name == "output" || rest[0].name == "result") && !hasField(e.typ, rest[0].name) {
		rest = rest[1:]
	}
	switch e.typ.Kind {
	case types.String:
		if len(rest) > 0 && slices.Contains([]string{"text", "content", "response", "output", "result"}, rest[0].name) {
			rest = rest[1:]
		}
		if len(rest) > 0 {
			c.odd("E0210", at, "%s answers with a text, which has no %s: the whole text is taken", quoted(st.id), quoted(join(rest))).Label = "a text has no fields"
			return e
		}
	case types.Record:
		if len(rest) == 0 {
			break
		}
		if rest[0].name == "duration" && hasField(e.typ, "seconds") && !hasField(e.typ, "duration") {
			rest = append([]seg{{name: "seconds"}}, rest[1:]...)
		}
		if !hasField(e.typ, rest[0].name) {
			var names []string
			for _, f := range e.typ.Fields {
				names = append(names, f.Name)
			}
			c.odd("E0210", at, "the answer of %s has no %s: the whole of it is taken", quoted(st.id), quoted(rest[0].name)).Label = "it has " + strings.Join(names, ", ")
			return e
		}
	}
	return access(e, rest, soft)
}

func hasField(t types.Type, name string) bool {
	return slices.ContainsFunc(t.Fields, func(f types.Field) bool { return f.Name == name })
}

// resolve is the value of a path as a step sees it. A variable that is a text with gaps is several parts.
func (c *compiler) resolve(st *step, path []seg, at *value, soft bool) []part {
	one := func(e expr) []part {
		if e.typ.Optional && !soft {
			e.code = e.code + ` ?? ""`
		}
		return []part{{expr: c.note(st, e.code)}}
	}
	if v := st.variable(path); v != nil {
		switch {
		case v.text != nil && len(path) == 1:
			var all []part
			for _, p := range v.text {
				if p.gap() {
					all = append(all, one(c.read1(st, p.path, v.at, soft))...)
				} else {
					all = append(all, part{letters: p.letters})
				}
			}
			return all
		case v.value != nil && v.value.kind == text && len(path) == 1:
			return []part{{letters: v.value.text}}
		}
	}
	return one(c.reads(st, path, at, soft))
}

// reads is the value of a path as an expression.
func (c *compiler) reads(st *step, path []seg, at *value, soft bool) expr {
	if v := st.variable(path); v != nil {
		var e expr
		switch {
		case v.from != nil:
			e = c.answer(v.from, v.path, v.at, soft)
		case v.path != nil:
			e = c.read1(st, v.path, v.at, soft)
		case slices.ContainsFunc(v.text, piece.gap):
			var sum []string
			for _, p := range v.text {
				if p.gap() {
					sum = append(sum, c.read1(st, p.path, v.at, soft).text())
				} else {
					sum = append(sum, literal(p.letters))
				}
			}
			e = expr{"(" + strings.Join(sum, " + ") + ")", stringType}
		case v.letName != "":
			e = expr{v.letName, typeOf(v.value)}
		default:
			e = expr{v.value.code(), typeOf(v.value)}
			if v.value.kind == nothing {
				e.typ = types.Type{Kind: types.String, Optional: true}
			}
		}
		return access(e, path[1:], soft)
	}
	return c.read1(st, path, at, soft)
}

// read1 is the value of a path that is no variable.
func (c *compiler) read1(st *step, path []seg, at *value, soft bool) expr {
	if e := c.bound[path[0].name]; e.code != "" {
		return access(e, path[1:], soft)
	}
	bare := *st
	bare.variables = nil
	if w, rest, ok := c.stepOf(&bare, path); ok && w != nil {
		if w.pattern != nil {
			for len(rest) > 0 && slices.Contains([]string{"output", "result", "text", "content"}, rest[0].name) {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				rest = []seg{{name: w.pattern.whole()}}
			}
		}
		return c.answer(w, rest, at, soft)
	}
	if path[0].name == "context" && len(path) > 1 && c.roots["context"] == nil {
		path = path[1:]
	}
	if path[0].name == "_workflow" && len(path) == 2 {
		switch path[1].name {
		case "executionId":
			return expr{"run.id", stringType}
		case "startedAt":
			return expr{"run.started", stringType}
		}
	}
	if e, ok := c.seen(st).look(path, soft); ok {
		return e
	}
	if c.isWritten(path[:1]) && !soft {
		c.wrong("E0209", at, "nothing has written %s when %s reads it", quoted(join(path)), quoted(st.id))
		return expr{`""`, stringType}
	}
	if c.isWritten(path[:1]) {
		return expr{"nil", types.Type{Kind: types.Any, Optional: true}}
	}
	in := c.root(path[0].name, at)
	in.deep = in.deep || len(path) > 1
	return access(in.expr(), path[1:], soft)
}

// parts resolves the gaps of a text.
func (c *compiler) parts(st *step, text []piece, at *value) []part {
	var all []part
	for _, p := range text {
		if !p.gap() {
			all = append(all, part{letters: p.letters})
			continue
		}
		all = append(all, c.resolve(st, p.path, at, false)...)
	}
	return all
}

// work writes the call of a step, and the lines that it needs above it.
func (c *compiler) work(st *step) (lets []string, call string) {
	for _, v := range st.variables {
		if v.used && v.text == nil && v.value != nil && (v.value.kind == list || v.value.kind == object) && st.template == "" {
			v.letName = c.names.take(st.name+"_"+v.name, "value")
			c.where[v.letName] = v.at
			lets = append(lets, "let "+v.letName+" = "+v.value.code())
		}
	}
	switch {
	case st.pattern != nil:
		more, call := c.writePattern(st)
		return append(lets, more...), call
	case st.template != "":
		name := c.names.take(st.name+"_prompt", "prompt")
		c.where[name] = st.promptAt
		lets = append(lets, "let "+name+" = "+st.template+"("+c.recordOf(st)+")")
		return lets, c.call(st, []part{{expr: name}})
	}
	return lets, c.call(st, c.parts(st, st.prompt, st.promptAt))
}

// write writes the lines of a step.
func (c *compiler) write(st *step) []string {
	lines := c.label(st)
	condition := ""
	if st.cond != nil {
		condition = unwrap(c.note(st, st.cond.truth(func(path []seg) expr { return c.reads(st, path, st.condAt, true) })))
	}
	lets, call := c.work(st)
	var after []string
	for _, w := range st.after {
		if !slices.ContainsFunc(st.codes, func(code string) bool { return mentions(code, w.name) }) {
			after = append(after, w.name)
		}
	}
	wait := ""
	if len(after) > 0 {
		wait = " after " + strings.Join(after, ", ")
	}
	inner := slices.Concat(lets, []string{call})
	if st.goesOn {
		inner[len(inner)-1] = c.answerName + " = " + call
		inner = slices.Concat([]string{"try {"}, inner, []string{
			"output {value: " + c.answerName + ", error: nil}", "} else {", "output {value: nil, error: error.message}", "}",
		})
	}
	switch {
	case condition != "":
		lines = append(lines, st.name+" = if "+condition+" {")
		lines = append(lines, inner...)
		lines = append(lines, "}"+wait)
	case st.goesOn:
		lines = append(lines, st.name+" = try {")
		lines = append(lines, inner[1:]...)
		lines[len(lines)-1] += wait
	default:
		lines = append(lines, lets...)
		lines = append(lines, st.name+" = "+call+wait)
	}
	return lines
}

// indented gives each line the place that its brackets ask for; the lines of a text stand below the line it begins on, and lose that indent when it is read.
func indented(script string) string {
	var b strings.Builder
	depth, text := 0, false
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		closes := strings.HasPrefix(line, `"""`)
		if closes {
			text = false
		} else if !text && (strings.HasPrefix(line, "}") || strings.HasPrefix(line, "]")) {
			depth = max(0, depth-1)
		}
		if line != "" {
			in := depth
			if text || closes {
				in++
			}
			b.WriteString(strings.Repeat("  ", in) + line)
		}
		b.WriteByte('\n')
		if !text && !strings.HasPrefix(line, "//") {
			if strings.HasSuffix(line, `"""`) && !closes {
				text = true
			} else if strings.HasSuffix(line, "{") || strings.HasSuffix(line, "[") || strings.HasSuffix(line, "(") {
				depth++
			}
		}
	}
	return b.String()
}

// unwrap drops the brackets around a whole expression.
func unwrap(code string) string {
	if !strings.HasPrefix(code, "(") {
		return code
	}
	depth, quote := 0, byte(0)
	for i := 0; i < len(code); i++ {
		switch ch := code[i]; {
		case quote != 0:
			if ch == '\\' && quote == '"' {
				i++
			} else if ch == quote {
				quote = 0
			}
		case ch == '"' || ch == '\'':
			quote = ch
		case ch == '(':
			depth++
		case ch == ')':
			if depth--; depth == 0 && i < len(code)-1 {
				return code
			}
		}
	}
	return code[1 : len(code)-1]
}

// label is the comment above a step.
func (c *compiler) label(st *step) []string {
	lines := []string{""}
	said := ""
	if st.id != st.name {
		said = st.id
	}
	if st.title != "" && st.title != st.id && st.title != st.name {
		if said != "" {
			said += ": "
		}
		said += st.title
	}
	if said != "" {
		lines = append(lines, comment(said)...)
	}
	if st.doc != "" {
		lines = append(lines, comment(st.doc)...)
	}
	return lines
}

// call writes a call, with the agent made for it where it has words of its own.
func (c *compiler) call(st *step, prompt []part) string {
	agent := st.callee
	if st.system != nil {
		agent = c.persona(st, st.callee, st.id, st.system)
	}
	var args []string
	text := ""
	if st.sig != nil && st.sig.Primary == "" {
		c.wrong("E0208", st.told(), "%s takes no text", quoted(st.callee))
	}
	plain := !slices.ContainsFunc(prompt, func(p part) bool { return p.expr != "" })
	if raw := join1(prompt); plain && st.sig != nil && st.sig.Text == types.Code && isRaw(raw) {
		text = "'" + raw + "'"
	} else {
		text = talk(prompt)
	}
	for _, a := range st.args {
		code := a.at.code()
		if slices.ContainsFunc(a.text, piece.gap) {
			code = talk(c.parts(st, a.text, a.at))
		}
		args = append(args, a.name+": "+code)
	}
	call := agent
	if len(args) > 0 {
		call += "(" + strings.Join(args, ", ") + ")"
	}
	call += " " + text
	if st.retries > 0 && st.sig != nil {
		if mayRetry(st.sig) {
			call += " retry " + strconv.Itoa(st.retries)
			if st.wait > 0 {
				call += " wait " + written(st.wait)
			}
		} else {
			c.odd("E0210", st.at, "%s is not tried again: it could do its work twice", quoted(st.id))
		}
	}
	if st.timeout > 0 {
		call += " timeout " + written(st.timeout)
	}
	return call
}

// isRaw tells whether a text can stand in single quotes.
func isRaw(s string) bool {
	return !strings.ContainsAny(s, "'\n\r") && letters(s, false) != "" && !strings.Contains(letters(s, false), `\u{`)
}

func join1(prompt []part) string {
	all := ""
	for _, p := range prompt {
		all += p.letters
	}
	return all
}

// persona declares an agent with a system prompt.
func (c *compiler) persona(st *step, base, id string, system *value) string {
	name := c.functions.take(id+"_agent", "agent")
	c.where[name] = system
	var parts []part
	for _, p := range c.pieces(system) {
		if !p.gap() {
			parts = append(parts, part{letters: p.letters})
			continue
		}
		if w, _, ok := c.stepOf(st, p.path); ok && w != nil || c.bound[p.path[0].name].code != "" {
			c.wrong("E0209", system, "a system prompt is there before any step: it cannot hold %s", quoted(join(p.path)))
			continue
		}
		if ctx, ok := c.contextPath(st, p.path); ok && c.isWritten(ctx) {
			c.wrong("E0209", system, "a system prompt is there before any step: it cannot hold %s", quoted(join(p.path)))
			continue
		}
		parts = append(parts, c.resolve(st, p.path, system, false)...)
	}
	c.decls = append(c.decls, "agent "+name+" = "+base+" "+talk(parts))
	return name
}

// recordOf writes the variables of a template.
func (c *compiler) recordOf(st *step) string {
	var fields []string
	for _, v := range st.variables {
		code := ""
		path := []seg{{name: v.name}}
		switch {
		case len(v.text) == 1 && v.text[0].gap():
			code = c.note(st, c.read1(st, v.text[0].path, v.at, false).code)
		case v.text != nil:
			code = talk(c.resolve(st, path, v.at, false))
		default:
			code = c.note(st, c.reads(st, path, v.at, false).code)
		}
		fields = append(fields, fieldName(v.name)+": "+code)
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// outcome is what a workflow gives: the context in the end, the answers of the steps by their ids, and why those failed that may.
func (c *compiler) outcome() string {
	results := "{}"
	if e, ok := c.seen(nil).whole(); ok {
		results = e.code
	}
	var answers, failed []string
	for _, st := range c.order {
		answers = append(answers, fieldName(st.id)+": "+c.answer(st, nil, st.at, false).code)
		if st.goesOn {
			e := st.name + ".error"
			if st.cond != nil {
				e = st.name + "?.error"
			}
			failed = append(failed, fieldName(st.id)+": "+e)
		}
	}
	out := "{\nresults: " + results + ",\nsteps: {" + strings.Join(answers, ", ") + "}"
	if len(failed) > 0 {
		out += ",\nfailed: {" + strings.Join(failed, ", ") + "}"
	}
	return out + "\n}"
}

// writeInput declares a value that comes from outside.
func (c *compiler) writeInput(in *input) string {
	t := "any"
	switch {
	case in.typ.Kind == types.String || in.typ.Kind == types.Any && in.value == nil && !in.deep && !in.optional:
		t = "string"
	case in.typ.Kind == types.Float:
		t = "float"
	case in.typ.Kind == types.Bool:
		t = "bool"
	}
	if in.typ.Kind == types.List {
		t = "[any]"
	}
	line := "input " + in.name + ": " + t
	if in.optional {
		line += "?"
	}
	switch {
	case in.value != nil:
		line += " = " + in.value.code()
	case in.optional:
		line += " = nil"
	}
	return line
}

// code is the value as an expression has it.
func (v *value) code() string {
	switch v.kind {
	case nothing:
		return "nil"
	case text:
		return literal(v.text)
	case number:
		if _, err := strconv.ParseInt(v.text, 10, 64); err == nil {
			return v.text
		}
		f, err := strconv.ParseFloat(v.text, 64)
		if err != nil {
			f = 0 // beyond what a number can be: reported when it was read
		}
		s := strconv.FormatFloat(f, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return strings.Replace(s, "e+", "e", 1)
	case list:
		var all []string
		for _, item := range v.items {
			all = append(all, item.code())
		}
		return "[" + strings.Join(all, ", ") + "]"
	case object:
		var all []string
		for _, f := range v.fields {
			all = append(all, fieldName(f.name)+": "+f.value.code())
		}
		return "{" + strings.Join(all, ", ") + "}"
	}
	return v.text
}

// note keeps the code of an expression that a step's lines hold.
func (c *compiler) note(st *step, code string) string {
	st.codes = append(st.codes, code)
	return code
}

// mentions tells whether a name stands in code as a value.
func mentions(code, name string) bool {
	quote := byte(0)
	for i := 0; i < len(code); i++ {
		switch ch := code[i]; {
		case quote != 0:
			if ch == '\\' && quote == '"' {
				i++
			} else if ch == quote {
				quote = 0
			}
		case ch == '"' || ch == '\'':
			quote = ch
		case strings.HasPrefix(code[i:], name) && (i == 0 || !wordByte(code[i-1]) && code[i-1] != '.'):
			if rest := code[i+len(name):]; rest == "" || !wordByte(rest[0]) && rest[0] != ':' {
				return true
			}
		}
	}
	return false
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
