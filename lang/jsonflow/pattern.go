package jsonflow

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/types"
)

// pattern is a self-critique or a discussion: a call of a flow that comes with the language. A request asks for one, and so may a step of a workflow.
type pattern struct {
	at   *value
	kind string

	criteria  []criterion
	threshold *value
	rounds    int
	judging   *value // a template of the reference, told in words
	improving *value

	judge string // who judges, when it is not who writes

	topic       []piece
	topicAt     *value
	members     []member
	consensus   string
	facilitator string
	speaking    *value
	merging     *value
	context     bool // what nothing mentions is told as well
}

type criterion struct {
	name, about       string
	weight, threshold *value
}

type member struct {
	id, role, view string
	callee         string
	system         *value
	weight         *value
}

// The two patterns that are flows.
const (
	critique   = "self-critique"
	discussion = "discussion"
)

// texts are the texts with gaps beside the prompt.
func (p *pattern) texts() [][]piece { return [][]piece{p.topic} }

// result is the type of what the pattern gives, as far as somebody may ask for a part of it.
func (p *pattern) result() types.Type {
	names := []types.Field{{Name: "finalOutput", Type: stringType}, {Name: "finalScore", Type: floatType}}
	if p.kind == discussion {
		names = []types.Field{{Name: "finalConsensus", Type: stringType}, {Name: "consensusScore", Type: floatType}, {Name: "participantSummaries", Type: anyType}}
	}
	more := []types.Field{{Name: "converged", Type: boolType}, {Name: "error", Type: types.Type{Kind: types.String, Optional: true}}}
	name := "iterations"
	if p.kind == discussion {
		name = "rounds"
	}
	return types.Type{Kind: types.Record, Fields: slices.Concat(names, more, []types.Field{{Name: name, Type: anyType}})}
}

// whole is the field that stands for the text of the answer.
func (p *pattern) whole() string {
	if p.kind == discussion {
		return "finalConsensus"
	}
	return "finalOutput"
}

// readPattern reads a step that is a pattern.
func (c *compiler) readPattern(o *record, kind string, at *value, st *step) *pattern {
	p := &pattern{at: o.v, kind: kind}
	config := o.of(object, "config", "options")
	switch kind {
	case critique:
		st.callee, st.sig = c.callee(o, o.v)
		c.readCritique(p, config)
	case discussion:
		c.readDiscussion(p, o, config)
	default:
		c.wrong("E0202", at, "a step can be a self-critique or a discussion, not %s", quoted(kind))
	}
	return p
}

// readCritique reads how a text is judged.
func (c *compiler) readCritique(p *pattern, config *value) {
	p.rounds = 3
	if config == nil {
		config = &value{kind: object, at: p.at.at, pointer: p.at.pointer}
	}
	o := &record{r: c.reader, v: config}
	if n, at := o.whole(1, 10, "maxIterations"); at != nil {
		p.rounds = n
	}
	p.threshold = o.part(0, 1, "stopOnQualityThreshold", "qualityThreshold")
	_, p.improving = o.text("improvementPromptTemplate")
	_, p.judging = o.text("evaluationPromptTemplate")
	if id, at := o.text("evaluatorAgentId", "criticAgentId", "judgeAgentId"); at != nil {
		p.judge, _ = c.known(id, at)
		c.speaks(p.judge, at)
	}
	c.limit(o)
	criteria := o.of(list, "qualityCriteria", "criteria")
	if criteria != nil && (len(criteria.items) == 0 || len(criteria.items) > 100) {
		c.wrong("E0202", criteria, "there are 1 to 100 criteria, not %d", len(criteria.items))
	} else if criteria != nil {
		total := 0.0
		for _, item := range criteria.items {
			total += c.readCriterion(p, item)
		}
		if total <= 0 && !c.diags.HasErrors() {
			c.wrong("E0202", criteria, "no criterion has any weight")
		}
	}
	if config != p.at {
		o.end("the config of a self-critique")
	}
}

func (c *compiler) readCriterion(p *pattern, v *value) float64 {
	if v.kind == text {
		p.criteria = append(p.criteria, criterion{name: v.text, about: v.text})
		return 1
	}
	o := c.object(v, "a criterion")
	if o == nil {
		return 1
	}
	var k criterion
	var at *value
	if k.name, at = o.text("name"); at == nil {
		c.wrong("E0202", v, "this criterion has no `name`")
	}
	k.about, _ = o.text("description")
	if k.about == "" {
		k.about = k.name
	}
	if s, at := o.text("evaluationPrompt"); at != nil {
		k.about += " " + s
	}
	if rubric := o.get("rubric"); rubric != nil {
		s := rubric.text
		if rubric.kind == list || rubric.kind == object {
			s = c.src.Slice(rubric.at)
		}
		k.about += " Rubric: " + strings.Join(strings.Fields(s), " ")
	}
	k.weight = o.part(0, 1e6, "weight")
	k.threshold = o.part(0, 1, "threshold")
	o.end("a criterion")
	p.criteria = append(p.criteria, k)
	if k.weight == nil {
		return 1
	}
	f, _ := strconv.ParseFloat(k.weight.text, 64)
	return f
}

// limit reads how long a pattern may take.
func (c *compiler) limit(o *record) {
	if d, at := o.duration("timeoutMs", "timeout"); at != nil && c.budget == "" {
		c.budget = "budget " + written(d)
	}
}

// readDiscussion reads who talks about what.
func (c *compiler) readDiscussion(p *pattern, o *record, config *value) {
	p.rounds, p.consensus = 3, "majority"
	if config == nil {
		config = &value{kind: object, at: p.at.at, pointer: p.at.pointer}
	}
	k := &record{r: c.reader, v: config}
	topic, at := o.text("topic")
	if at == nil {
		topic, at = k.text("topic")
	}
	if at == nil {
		topic, at = o.text("prompt")
	}
	if at == nil {
		c.wrong("E0202", o.v, "this discussion has no `topic`")
	} else if strings.TrimSpace(topic) == "" {
		c.wrong("E0202", at, "a topic is not empty")
	} else {
		p.topic, p.topicAt = c.pieces(at), at
	}
	if n, at := k.whole(1, 10, "maxRounds"); at != nil {
		p.rounds = n
	}
	if s, at := k.text("consensusStrategy", "consensus"); at != nil {
		if !slices.Contains([]string{"unanimous", "majority", "weighted", "facilitator"}, s) {
			c.wrong("E0202", at, "consensus is unanimous, majority, weighted or facilitator, not %s", quoted(s))
		}
		p.consensus = s
	}
	p.threshold = k.part(0, 1, "convergenceThreshold", "consensusThreshold")
	for _, name := range []string{"contributionPromptTemplate", "discussionPromptTemplate"} { // the first goes before the second
		if _, at := k.text(name); at != nil && p.speaking == nil {
			p.speaking = at
		} else if at != nil {
			c.odd("E0203", at, "%s has no meaning beside `contributionPromptTemplate`", quoted(name))
		}
	}
	_, p.merging = k.text("synthesisPromptTemplate")
	c.limit(k)
	members := o.of(list, "participants")
	if members == nil {
		members = k.of(list, "participants")
	}
	if members == nil {
		members = o.of(list, "tasks")
	}
	if members == nil || len(members.items) == 0 || len(members.items) > 20 {
		c.wrong("E0202", o.v, "a discussion has 1 to 20 `participants`")
	} else {
		roles, ids := map[string]int{}, map[string]bool{}
		for i, item := range members.items {
			c.readMember(p, item, i, roles, ids)
		}
	}
	if id, at := k.text("facilitatorAgentId"); at != nil {
		p.facilitator, _ = c.known(id, at)
		c.speaks(p.facilitator, at)
	} else if i := slices.IndexFunc(p.members, func(m member) bool {
		return strings.Contains(strings.ToLower(m.role), "facilitator") || strings.Contains(strings.ToLower(m.role), "moderator")
	}); i >= 0 && len(p.members) > 1 && p.consensus == "facilitator" {
		m := p.members[i] // who leads does not speak for a side
		p.members = slices.Delete(p.members, i, i+1)
		p.facilitator = m.callee
		if m.system != nil {
			p.facilitator = c.persona(&step{at: m.system}, m.callee, m.id, m.system)
		}
	}
	if config != p.at {
		k.end("the config of a discussion")
	}
}

func (c *compiler) readMember(p *pattern, v *value, n int, roles map[string]int, ids map[string]bool) {
	o := c.object(v, "a participant")
	if o == nil {
		return
	}
	var m member
	m.id, _ = o.text("id")
	m.role, _ = o.text("role", "name")
	m.view, _ = o.text("perspective")
	if s, at := o.text("prompt"); at != nil {
		m.view = strings.TrimSpace(m.view + " " + s)
	}
	m.callee, _ = c.callee(o, v)
	c.speaks(m.callee, v)
	_, m.system = o.text("systemPrompt")
	m.weight = o.part(0, 1e6, "weight")
	o.end("a participant")
	if m.id == "" {
		m.id = m.role
	}
	if m.id == "" {
		m.id = "participant-" + strconv.Itoa(n+1)
	}
	if m.role == "" {
		m.role = m.id
	}
	if ids[m.id] {
		if o.v.get("id") != nil {
			c.wrong("E0204", v, "two participants have the id %s", quoted(m.id))
		}
		m.id += "-" + strconv.Itoa(n+1)
	}
	ids[m.id] = true
	if roles[m.role]++; roles[m.role] > 1 {
		m.role += " (" + strconv.Itoa(roles[m.role]) + ")"
	}
	p.members = append(p.members, m)
}

// speaks reports what cannot take part in a pattern: it needs somebody who reads a prompt and answers in a given form.
func (c *compiler) speaks(callee string, at *value) {
	if sig, ok := c.scope.Capabilities[callee]; ok && (!sig.Structured || strings.Contains(callee, ".")) {
		c.wrong("E0208", at, "%s cannot take part: it is no model", quoted(callee))
	}
}

var (
	ifBlock   = regexp.MustCompile(`\{\{\s*#(if|unless)\s+([^{}]*)\}\}`)
	eachBlock = regexp.MustCompile(`(?s)\{\{\s*#each\s+[^{}]*\}\}.*?\{\{\s*/each\s*\}\}`)
	elseBlock = regexp.MustCompile(`\{\{\s*else\s*\}\}`)
	endBlock  = regexp.MustCompile(`\{\{\s*/(if|unless)\s*\}\}`)
)

// words tells in words what a template of the reference puts in: the flows that come with the language show task, text and notes in places of their own, so the template
// says where they are. What is no part of the pattern is a gap as everywhere.
func (c *compiler) words(st *step, v *value, where map[string]string, each string) string {
	if v == nil {
		return ""
	}
	s := eachBlock.ReplaceAllString(v.text, each)
	s = ifBlock.ReplaceAllString(s, "If there is a ${2}: ")
	s = elseBlock.ReplaceAllString(s, " Otherwise: ")
	s = endBlock.ReplaceAllString(s, "")
	if s != v.text {
		c.odd("E0210", v, "the blocks of this template are told in words")
	}
	s = strings.ReplaceAll(s, "If there is a previousRound", "If there was a round before")
	told := &value{kind: text, text: s, at: v.at, pointer: v.pointer}
	var all []part
	for _, p := range c.pieces(told) {
		switch {
		case !p.gap():
			all = append(all, part{letters: p.letters})
		case where[p.path[0].name] != "":
			all = append(all, part{letters: where[p.path[0].name]})
		default:
			all = append(all, c.resolve(st, p.path, v, false)...)
		}
	}
	return talk(all)
}

var (
	toJudge = map[string]string{
		"output": "(what was written, below)", "content": "(what was written, below)", "task": "(the task, below)", "prompt": "(the task, below)", "originalPrompt": "(the task, below)",
		"originalTask": "(the task, below)", "criteria": "(the criteria, below)", "qualityCriteria": "(the criteria, below)", "iteration": "(this round)",
	}
	toImprove = map[string]string{
		"output": "(what was written, below)", "previousOutput": "(what was written, below)", "content": "(what was written, below)", "task": "(the task, below)",
		"prompt": "(the task, below)", "originalPrompt": "(the task, below)", "originalTask": "(the task, below)", "feedback": "(what to change, below)",
		"suggestions": "(what to change, below)", "critique": "(what to change, below)", "criteriaScores": "(the scores, below)", "scores": "(the scores, below)",
		"overallScore": "(the scores, below)", "score": "(the scores, below)", "criteria": "(the criteria, below)", "iteration": "(this round)",
	}
	toSpeak = map[string]string{
		"topic": "(the topic, above)", "role": "(your role, above)", "perspective": "(your role, above)", "previousRound": "(the proposal, above)", "round": "(this round)",
		"roundNumber": "(this round)", "previousSynthesis": "(the proposal, above)", "synthesis": "(the proposal, above)", "contributions": "(the proposal, above)",
		"previousContributions": "(the proposal, above)", "participantId": "(your role, above)",
	}
	toMerge = map[string]string{
		"topic": "(the topic, above)", "contributions": "(what they said, above)", "round": "(this round)", "roundNumber": "(this round)", "participants": "(who they are, above)",
		"previousSynthesis": "(the proposal, above)", "previousRound": "(the proposal, above)",
	}
)

// writePattern writes the call of the flow and what is made of it, as a block.
func (c *compiler) writePattern(st *step) (lets []string, call string) {
	name := c.names.take(st.name+"_"+st.pattern.flow(), "found")
	lets, call = c.patternCall(st)
	call = "sequence {\n" + name + " = " + call + "\n" + strings.Join(c.patternOutcome(st, name), "\n") + "\n}"
	if st.timeout > 0 {
		call += " timeout " + written(st.timeout)
	}
	return lets, call
}

// flow is the name of the flow that does it.
func (p *pattern) flow() string {
	if p.kind == discussion {
		return "panel"
	}
	return "critique"
}

// patternCall writes the call of the flow.
func (c *compiler) patternCall(st *step) (lets []string, call string) {
	p, flow := st.pattern, st.pattern.flow()
	use := c.uses[flow]
	if use == "" {
		use = c.functions.take(flow, flow)
		c.uses[flow] = use
		c.where[use] = p.at
		c.decls = append(c.decls, "use "+literal("std/"+flow)+" as "+use)
	}
	var args []string
	if p.kind == discussion {
		args = c.panelArgs(st)
	} else {
		lets, args = c.critiqueArgs(st)
	}
	return lets, use + "(" + strings.Join(args, ", ") + ")"
}

// patternOutcome makes what the reference returns of what the flow gave.
func (c *compiler) patternOutcome(st *step, name string) []string {
	if st.pattern.kind == critique {
		return []string{"output " + critiqueOutcome(name)}
	}
	spoken := c.names.take("spoken", "spoken")
	return []string{
		fmt.Sprintf("let %s = flatten(map(%s.history, .said))", spoken, name),
		"output " + st.pattern.panelOutcome(name, spoken),
	}
}

// rest tells what of the context nothing mentions, so that nobody has to go without it.
func (c *compiler) rest(st *step) []part {
	var all []part
	if !st.pattern.context {
		return nil
	}
	for _, in := range c.inputs {
		if !in.given || slices.ContainsFunc(st.reads, func(path []seg) bool { return path[0].name == in.root }) {
			continue
		}
		if all == nil {
			all = append(all, part{letters: "\n\nContext:"})
		}
		e := in.expr()
		all = append(all, part{letters: "\n" + in.root + ": "}, part{expr: c.note(st, e.some(`""`))})
	}
	return all
}

func (c *compiler) critiqueArgs(st *step) (lets, args []string) {
	p := st.pattern
	var task []part
	if st.template != "" {
		name := c.names.take(st.id+"_prompt", "prompt")
		c.where[name] = st.promptAt
		lets = append(lets, "let "+name+" = "+st.template+"("+c.recordOf(st)+")")
		task = []part{{expr: c.note(st, name)}}
	} else {
		task = c.parts(st, st.prompt, st.promptAt)
	}
	writer := st.callee
	c.speaks(st.callee, st.at)
	if st.system != nil {
		writer = c.persona(st, st.callee, st.id, st.system)
	}
	args = append(args, "task: "+talk(append(task, c.rest(st)...)), "writer: "+writer, "critic: "+cmp.Or(p.judge, st.callee))
	var all []string
	if p.criteria == nil { // the reference's own
		p.criteria = []criterion{
			{name: "completeness", about: "Everything that was asked for is there.", weight: &value{kind: number, text: "0.5"}, threshold: &value{kind: number, text: "0.7"}},
			{name: "clarity", about: "A reader understands it at once.", weight: &value{kind: number, text: "0.5"}, threshold: &value{kind: number, text: "0.7"}},
		}
	}
	for _, k := range p.criteria {
		s := "{name: " + literal(k.name) + ", description: " + literal(k.about)
		s += among(p.criteria, k, "weight", func(k criterion) *value { return k.weight })
		all = append(all, s+among(p.criteria, k, "threshold", func(k criterion) *value { return k.threshold })+"}")
	}
	args = append(args, "criteria: [\n"+strings.Join(all, ",\n")+"\n]", "rounds: "+strconv.Itoa(p.rounds))
	if p.threshold != nil {
		args = append(args, "threshold: "+p.threshold.code())
	}
	if s := c.words(st, p.judging, toJudge, "(each of them)"); s != "" {
		args = append(args, "judging: "+s)
	}
	if s := c.words(st, p.improving, toImprove, "(what to change, below)"); s != "" {
		args = append(args, "improving: "+s)
	}
	return lets, args
}

// among writes a field that may be left out: the records of a list have the same fields, so it is nothing where others have it.
func among[T any](all []T, one T, name string, get func(T) *value) string {
	if v := get(one); v != nil {
		return ", " + name + ": " + v.code()
	}
	if slices.ContainsFunc(all, func(t T) bool { return get(t) != nil }) {
		return ", " + name + ": nil"
	}
	return ""
}

// said is what a member cares about.
func (m member) said() *value {
	if m.view == "" {
		return nil
	}
	return &value{kind: text, text: m.view}
}

func critiqueOutcome(name string) string {
	return fmt.Sprintf(`{
finalOutput: %[1]s.text, finalScore: %[1]s.score, converged: %[1]s.met,
iterations: map(%[1]s.history, {{iteration: #index + 1, output: .text, critique: {overallScore: .score, criteriaScores: fromPairs(map(.scores, [.name, .score])), feedback: .feedback, meetsThreshold: .met}}}),
error: %[1]s.problem == "" ? nil : %[1]s.problem
}`, name)
}

func (c *compiler) panelArgs(st *step) []string {
	p := st.pattern
	args := []string{"topic: " + talk(append(c.parts(st, p.topic, p.topicAt), c.rest(st)...))}
	var all []string
	for _, m := range p.members {
		speaker := m.callee
		if m.system != nil {
			speaker = c.persona(st, m.callee, m.id, m.system)
		}
		s := "{role: " + literal(m.role) + ", speaker: " + speaker
		s += among(p.members, m, "weight", func(m member) *value { return m.weight })
		all = append(all, s+among(p.members, m, "view", member.said)+"}")
	}
	args = append(args, "members: [\n"+strings.Join(all, ",\n")+"\n]", "consensus: "+literal(p.consensus), "rounds: "+strconv.Itoa(p.rounds))
	if p.facilitator != "" {
		args = append(args, "facilitator: "+p.facilitator)
	} else if _, ok := c.scope.Capabilities["claude"]; !ok && len(p.members) > 0 {
		args = append(args, "facilitator: "+p.members[0].callee)
	}
	if p.threshold != nil {
		args = append(args, "threshold: "+p.threshold.code())
	} else {
		args = append(args, "threshold: 0.85") // the reference's own
	}
	if s := c.words(st, p.speaking, toSpeak, "(the proposal, above)"); s != "" {
		args = append(args, "speaking: "+s)
	}
	if s := c.words(st, p.merging, toMerge, "(what they said, above)"); s != "" {
		args = append(args, "merging: "+s)
	}
	return args
}

func (p *pattern) panelOutcome(name, spoken string) string {
	var ids, sums []string
	for _, m := range p.members {
		ids = append(ids, fieldName(m.role)+": "+literal(m.id))
		mine := fmt.Sprintf("filter(%s, .role == %s)", spoken, literal(m.role))
		sums = append(sums, fmt.Sprintf("%[1]s: {contributions: len(%[2]s), agreementRate: len(%[2]s) == 0 ? 0.0 : mean(map(%[2]s, .agreement))}", fieldName(m.id), mine))
	}
	return fmt.Sprintf(`{
finalConsensus: %[1]s.text, consensusScore: %[1]s.score, converged: %[1]s.agreed,
rounds: map(%[1]s.history, {{round: #index + 1, contributions: map(.said, {{participantId: {%[2]s}[.role], role: .role, content: .text, agreementScore: .agreement}}), synthesis: .synthesis, consensusScore: .score, absent: .absent}}),
participantSummaries: {
%[3]s
},
error: %[1]s.problem == "" ? nil : %[1]s.problem
}`, name, strings.Join(ids, ", "), strings.Join(sums, ",\n"))
}
