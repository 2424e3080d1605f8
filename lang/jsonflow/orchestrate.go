package jsonflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// Patterns are the orchestrations that a request can ask for.
var Patterns = []string{"sequential", "parallel", "conditional", "map-reduce", critique, discussion}

// Orchestrate reads the request of an orchestration. An empty pattern is the one that the request names. The script's value is what the reference returns, without times and ids:
// {taskResults, aggregatedResult}, for a self-critique {iterations, finalOutput, finalScore, converged, error}, for a discussion {rounds, finalConsensus, consensusScore,
// converged, participantSummaries, error}. The flow is nil when the list has an error.
func Orchestrate(pattern string, src *source.File, scope types.Scope) (*Flow, diag.List) {
	c := newCompiler(src, scope)
	if v := c.read(); v != nil {
		c.orchestrate(pattern, v)
	}
	return c.flow()
}

func (c *compiler) orchestrate(kind string, v *value) {
	o := c.object(v, "a request")
	if o == nil {
		return
	}
	said, at := o.text("pattern")
	switch {
	case kind == "" && at == nil:
		c.wrong("E0202", v, "this request names no `pattern`").Help = []string{"patterns are " + strings.Join(Patterns, ", ")}
		return
	case kind == "":
		kind = said
	case at != nil && said != kind:
		c.wrong("E0202", at, "this is the place for %s, not for %s", kind, quoted(said))
		return
	}
	if !slices.Contains(Patterns, kind) {
		c.wrong("E0202", at, "there is no pattern %s", quoted(kind)).Help = []string{"patterns are " + strings.Join(Patterns, ", ")}
		return
	}
	c.title = kind
	if id, at := o.text("id"); at != nil {
		c.title = id
	}
	if s, at := o.text("name"); at != nil {
		c.title = s
	}
	c.head = append(c.head, comment(c.title)...)
	c.request(o)
	c.limit(o)
	if kind == critique || kind == discussion {
		c.judged(kind, o)
		return
	}
	options := o.of(object, "options", "config")
	if options == nil {
		options = &value{kind: object, at: v.at, pointer: v.pointer}
	}
	t := &tasks{c: c, kind: kind, o: o, options: &record{r: c.reader, v: options}}
	t.read()
	t.options.end("the options of " + kind)
	o.end("a request")
	if !c.prepare() {
		return
	}
	unread := func(in *input) bool {
		return in.given && in.root != "" && !slices.ContainsFunc(c.steps, func(st *step) bool {
			return slices.ContainsFunc(st.reads, func(path []seg) bool { return path[0].name == in.root })
		})
	}
	for _, in := range c.inputs {
		if unread(in) {
			c.odd("E0203", in.value, "no task reads %s", quoted(in.root))
		}
	}
	c.inputs = slices.DeleteFunc(c.inputs, unread)
	t.write()
}

// judged writes a self-critique or a discussion.
func (c *compiler) judged(kind string, o *record) {
	config := o.of(object, "config", "options")
	st := &step{at: o.v, id: kind, retries: -1}
	st.pattern = &pattern{at: o.v, kind: kind, context: true}
	switch kind {
	case discussion:
		c.readDiscussion(st.pattern, o, config)
	default:
		task := o.of(object, "task")
		if tasks := o.of(list, "tasks"); tasks != nil && len(tasks.items) > 0 {
			if len(tasks.items) > 1 {
				c.wrong("E0202", tasks, "a self-critique has one task, not %d", len(tasks.items))
			}
			if task == nil {
				task = tasks.items[0]
			}
		}
		in := o
		if task != nil {
			if in = c.object(task, "a task"); in == nil {
				return
			}
			in.text("id")
			in.text("name")
		}
		st.callee, st.sig = c.callee(in, in.v)
		c.readPrompt(in, st)
		if st.promptAt == nil && !c.diags.HasErrors() {
			c.wrong("E0202", in.v, "this self-critique has no `prompt`")
		}
		if in != o {
			c.limit(in)
			in.end("a task")
		}
		c.readCritique(st.pattern, config)
	}
	o.end("a request")
	c.add(st)
	if !c.prepare() {
		return
	}
	lines, call := c.patternCall(st)
	lines = append(lines, st.name+" = "+call)
	c.body = strings.Join(append(lines, c.patternOutcome(st, st.name)...), "\n")
}

// tasks is a request of one of the patterns that are made of tasks.
type tasks struct {
	c       *compiler
	kind    string
	o       *record
	options *record

	limit    int
	tolerant bool
	least    int // how many must succeed; -1: all

	items         *value
	mapper        *step
	reducer       *step
	item, index   string
	mapped, given string
}

// get finds an option, beside the tasks or among the options.
func (t *tasks) get(read func(o *record) *value) *value {
	if v := read(t.options); v != nil {
		return v
	}
	if t.options.v.pointer == t.o.v.pointer {
		return nil
	}
	return read(t.o)
}

func (t *tasks) read() {
	c := t.c
	t.least = -1
	t.get(func(o *record) *value {
		n, at := o.whole(1, 1000, "maxParallel", "maxConcurrent", "maxConcurrency")
		if at != nil {
			t.limit = n
			if t.kind != "parallel" && t.kind != "map-reduce" {
				c.odd("E0203", at, "%s does one thing at a time: this limit has no meaning", t.kind)
			}
		}
		return at
	})
	t.get(func(o *record) *value {
		at := o.of(boolean, "continueOnError")
		t.tolerant = t.tolerant || at != nil && at.text == "true"
		return at
	})
	t.get(func(o *record) *value {
		at := o.of(boolean, "stopOnError", "failFast")
		t.tolerant = t.tolerant || at != nil && at.text == "false"
		return at
	})
	t.get(func(o *record) *value {
		n, at := o.whole(0, 1000, "least", "minSuccess", "minSuccessful")
		if at != nil {
			t.least, t.tolerant = n, true
		}
		return at
	})
	all := t.o.of(list, "tasks", "steps")
	if all == nil || len(all.items) == 0 || len(all.items) > maxSteps {
		if all != nil || t.o.v.get("tasks") == nil {
			c.wrong("E0202", t.o.v, "a request has 1 to %d `tasks`", maxSteps)
		}
		return
	}
	if t.kind == "map-reduce" {
		t.readItems(all)
	}
	for _, v := range all.items {
		o := c.object(v, "a task")
		if o == nil {
			continue
		}
		st := c.readStep(o)
		o.end("a task")
		if st.retries < 0 {
			st.retries = 0
		}
		c.add(st)
		switch t.kind {
		case "sequential":
			if n := len(c.steps); n > 1 {
				st.prior = c.steps[n-2]
				st.after = []*step{st.prior}
			}
			st.goesOn = st.goesOn || t.tolerant
		case "parallel":
			st.goesOn = true
		case "conditional":
			if st.goesOn {
				c.odd("E0203", v, "one task runs: there is nothing to go on with")
				st.goesOn = false
			}
		}
	}
	if t.kind == "map-reduce" && !c.diags.HasErrors() {
		t.readMapReduce()
	}
}

// readItems finds what is mapped.
func (t *tasks) readItems(all *value) {
	c := t.c
	t.items = t.get(func(o *record) *value { return o.of(list, "items") })
	if t.items == nil && len(all.items) > 0 {
		if v := all.items[0].get("input"); v != nil && v.kind == list {
			t.items = v
		}
	}
	if t.items == nil || len(t.items.items) == 0 || len(t.items.items) > 1000 {
		c.wrong("E0202", t.o.v, "map-reduce needs `options.items`, 1 to 1000 of them")
		return
	}
	t.item, t.index = c.names.take("item", "item"), c.names.take("index", "index")
	t.mapped, t.given = c.names.take("mapped", "mapped"), c.names.take("items", "items")
	for _, n := range []string{"item", "_item"} {
		c.bound[n] = expr{t.item, anyType}
	}
	for _, n := range []string{"index", "itemIndex", "_itemIndex"} {
		c.bound[n] = expr{t.index, floatType}
	}
	for _, n := range []string{"totalItems", "_totalItems"} {
		c.bound[n] = expr{"len(" + t.given + ")", floatType}
	}
	for _, n := range []string{"results", "mapResults", "_mapResults"} {
		c.bound[n] = expr{t.mapped, anyType}
	}
	for _, n := range []string{"resultCount", "_resultCount"} {
		c.bound[n] = expr{"len(" + t.mapped + ")", floatType}
	}
	in := c.root("", t.items) // no context can have a value of this name
	in.name, in.value, in.typ = t.given, t.items, types.Type{Kind: types.List}
	c.where[t.given] = t.items
}

// readMapReduce tells which task is which.
func (t *tasks) readMapReduce() {
	c := t.c
	find := func(begin string) *step {
		for _, st := range c.steps {
			if strings.HasPrefix(st.id, begin) {
				return st
			}
		}
		return nil
	}
	if t.mapper = find("map"); t.mapper == nil {
		for _, st := range c.steps {
			if !strings.HasPrefix(st.id, "reduce") {
				t.mapper = st
				break
			}
		}
	}
	if t.mapper == nil {
		c.wrong("E0202", t.o.v, "no task maps the items")
		return
	}
	t.reducer = find("reduce")
	t.mapper.variables = slices.DeleteFunc(t.mapper.variables, func(v *variable) bool { return v.value == t.items })
	prompt := t.get(func(o *record) *value { return o.of(text, "reducePrompt") })
	if prompt != nil && t.reducer == nil {
		m := t.mapper
		t.reducer = &step{at: prompt, id: "reduce", callee: m.callee, sig: m.sig, system: m.system, promptAt: prompt, prompt: c.pieces(prompt), timeout: m.timeout}
		c.byID["reduce"] = t.reducer
		c.add(t.reducer)
	} else if prompt != nil {
		c.odd("E0203", prompt, "`reducePrompt` has no meaning beside the task %s", quoted(t.reducer.id))
	}
	for _, st := range c.steps {
		if st != t.mapper && st != t.reducer {
			c.odd("E0203", st.at, "map-reduce has one task that maps and one that reduces: %s is left out", quoted(st.id))
		}
		st.cond = nil
	}
	c.steps = slices.DeleteFunc(c.steps, func(st *step) bool { return st != t.mapper && st != t.reducer })
	for i, st := range c.steps {
		st.number = i
	}
	has := func(st *step, names ...string) bool {
		of := func(text []piece) bool {
			return slices.ContainsFunc(text, func(p piece) bool { return p.gap() && slices.Contains(names, p.path[0].name) })
		}
		return of(st.prompt) || slices.ContainsFunc(st.variables, func(v *variable) bool { return of(v.text) })
	}
	if !has(t.mapper, "item", "_item") && t.mapper.template == "" {
		c.odd("E0210", t.mapper.told(), "the prompt of %s does not mention {{item}}: the item stands below it", quoted(t.mapper.id))
		t.mapper.prompt = append(t.mapper.prompt, piece{letters: "\n\n"}, piece{path: []seg{{name: "item"}}})
	}
	if t.reducer != nil && !has(t.reducer, "results", "mapResults", "_mapResults") && t.reducer.template == "" {
		c.odd("E0210", t.reducer.told(), "the prompt of %s does not mention {{results}}: they stand below it", quoted(t.reducer.id))
		t.reducer.prompt = append(t.reducer.prompt, piece{letters: "\n\n"}, piece{path: []seg{{name: "results"}}})
	}
}

func (t *tasks) write() {
	switch t.kind {
	case "sequential":
		t.writeSequential()
	case "parallel":
		t.writeParallel()
	case "conditional":
		t.writeConditional()
	default:
		t.writeMapReduce()
	}
}

// done is what is told of a task that has ended.
func (t *tasks) done(st *step) string {
	value := t.c.answer(st, nil, st.at, false).code
	id := "{taskId: " + literal(st.id)
	switch {
	case st.cond != nil && st.goesOn:
		return fmt.Sprintf("%s, success: %s != nil and %s?.error == nil, skipped: %s == nil, result: %s, error: %s?.error}", id, st.name, st.name, st.name, value, st.name)
	case st.cond != nil:
		return fmt.Sprintf("%s, success: %s != nil, skipped: %s == nil, result: %s, error: nil}", id, st.name, st.name, value)
	case st.goesOn:
		return fmt.Sprintf("%s, success: %s.error == nil, skipped: false, result: %s, error: %s.error}", id, st.name, value, st.name)
	}
	return fmt.Sprintf("%s, success: true, skipped: false, result: %s, error: nil}", id, value)
}

func (t *tasks) results() string {
	var all []string
	for _, st := range t.c.steps {
		all = append(all, t.done(st))
	}
	return "[\n" + strings.Join(all, ",\n") + "\n]"
}

func (t *tasks) writeSequential() {
	c := t.c
	var lines []string
	for _, st := range c.order {
		lines = append(lines, c.write(st)...)
	}
	last := c.steps[len(c.steps)-1]
	lines = append(lines, "", "output {\ntaskResults: "+t.results()+",\naggregatedResult: "+c.answer(last, nil, last.at, false).code+"\n}")
	c.body = strings.Join(lines, "\n")
}

func (t *tasks) writeParallel() {
	c := t.c
	limit := t.limit
	if limit == 0 {
		limit = 10 // the reference's own
	}
	all, failed := c.names.take("tasks", "tasks"), c.names.take("failed", "failed")
	lines := []string{fmt.Sprintf("%s = parallel limit %d {", all, limit)}
	for _, st := range c.order {
		lines = append(lines, c.write(st)...)
	}
	lines = append(lines, "", "output "+t.results(), "}", fmt.Sprintf("let %s = filter(%s, .error != nil)", failed, all))
	least := strconv.Itoa(len(c.steps))
	switch {
	case t.least >= 0:
		least = strconv.Itoa(t.least)
	case t.tolerant:
		least = "1"
	}
	lines = append(lines, fmt.Sprintf(`require len(%[1]s) - len(%[2]s) >= %[3]s else "<<len(%[2]s)>> of <<len(%[1]s)>> tasks failed; <<first(%[2]s)?.taskId ?? "">>: <<first(%[2]s)?.error ?? "">>"`, all, failed, least),
		fmt.Sprintf("output {taskResults: %[1]s, aggregatedResult: map(filter(%[1]s, .success), .result)}", all))
	c.body = strings.Join(lines, "\n")
}

// writeConditional takes the first task whose condition holds; one without a condition is for when none does.
func (t *tasks) writeConditional() {
	c := t.c
	var other *step
	branches := ""
	for _, st := range c.steps {
		if st.cond == nil {
			if other != nil {
				c.odd("E0210", other.at, "%s has no condition either, so it never runs", quoted(other.id)).Label = "the last task without a condition is the one for all else"
			}
			other = st
			continue
		}
		condition := unwrap(st.cond.truth(func(path []seg) expr { return c.reads(st, path, st.condAt, true) }))
		if branches != "" {
			branches += " else "
		}
		branches += "if " + condition + " {\n" + t.branch(st) + "\n}"
	}
	chosen := c.names.take("chosen", "chosen")
	switch {
	case branches == "":
		c.wrong("E0202", t.o.v, "no task has a `condition`")
		return
	case other != nil:
		branches += " else {\n" + t.branch(other) + "\n}"
		c.body = fmt.Sprintf("%[1]s = %[2]s\noutput {taskResults: [%[1]s], aggregatedResult: %[1]s.result}", chosen, branches)
	default:
		c.body = fmt.Sprintf("%[1]s = %[2]s\noutput {taskResults: %[1]s == nil ? [] : [%[1]s], aggregatedResult: %[1]s?.result}", chosen, branches)
	}
}

func (t *tasks) branch(st *step) string {
	cond := st.cond
	st.cond = nil // it stands around the branch
	lines := t.c.write(st)
	end := "output " + t.done(st)
	st.cond = cond
	return strings.Join(append(lines, end), "\n")
}

func (t *tasks) writeMapReduce() {
	c := t.c
	limit := t.limit
	if limit == 0 {
		limit = 10
	}
	m := t.mapper
	if m.goesOn {
		t.tolerant, m.goesOn = true, false
	}
	lines := c.label(m)
	lets, call := c.work(m)
	each := t.item
	if slices.ContainsFunc(m.codes, func(code string) bool { return mentions(code, t.index) }) {
		each += ", " + t.index
	}
	head := fmt.Sprintf("map %s in %s limit %d {", each, t.given, limit)
	aggregated, told := t.mapped, ""
	mapID := literal(m.id + "_")
	if t.tolerant {
		all, failed := c.names.take("all", "all"), c.names.take("failed", "failed")
		least := max(t.least, 1)
		if t.least == 0 {
			least = 0
		}
		lines = append(lines, all+" = "+head, "try {")
		lines = append(lines, lets...)
		lines = append(lines, c.answerName+" = "+call, "output {value: "+c.answerName+", error: nil}", "} else {", "output {value: nil, error: error.message}", "}", "}",
			fmt.Sprintf("let %s = filter(%s, .error != nil)", failed, all),
			fmt.Sprintf("let %s = map(filter(%s, .error == nil), .value)", t.mapped, all),
			fmt.Sprintf(`require len(%s) >= %d else "<<len(%s)>> of <<len(%s)>> items failed: <<first(%s)?.error ?? "">>"`, t.mapped, least, failed, all, failed))
		told = fmt.Sprintf("map(%s, {{taskId: %s + string(#index), success: .error == nil, result: .value, error: .error}})", all, mapID)
	} else {
		lines = append(lines, t.mapped+" = "+head)
		lines = append(lines, lets...)
		lines = append(lines, call, "}")
		told = fmt.Sprintf("map(%s, {{taskId: %s + string(#index), success: true, result: #, error: nil}})", t.mapped, mapID)
	}
	if r := t.reducer; r != nil {
		c.bound[m.id], c.bound["previousOutput"] = c.bound["results"], c.bound["results"]
		lines = append(lines, c.write(r)...)
		value := c.answer(r, nil, r.at, false).code
		aggregated = value
		told = fmt.Sprintf("concat(%s, [{taskId: %s, success: true, result: %s, error: nil}])", told, literal(r.id), value)
	}
	lines = append(lines, "", "output {\ntaskResults: "+told+",\naggregatedResult: "+aggregated+"\n}")
	c.body = strings.Join(lines, "\n")
}
