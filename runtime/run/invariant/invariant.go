// Package invariant checks the history of a run against its plan, and knows nothing of the machine that made it.
//
// What it states holds for every history, whatever failed, was cancelled or crashed on the way: facts are in order, a call starts before it ends and ends once,
// nothing starts before what it needs is there, what changes the world happens one after the other as it is written, and budgets are never promised twice.
package invariant

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// MaxProblems is how many lines Check returns at most.
const MaxProblems = 50

// Check says what is wrong with a history, one line each, beginning with the seq of the fact. The history may be of a run that has not ended.
func Check(p *plan.Plan, facts []run.Fact) []string {
	c := &checker{p: p, places: places{p: p, known: map[string][]spot{}}, calls: map[run.Path]*callState{}, done: map[string]bool{}, values: map[string]any{}, deeds: map[string]*deeds{}, spent: map[string]*account{}}
	for i, f := range facts {
		c.seq = f.Seq
		if f.Seq != run.Seq(i+1) {
			c.problem("its seq should be %d", i+1)
		}
		if i > 0 && c.finished {
			c.problem("%s comes after the end", f)
		}
		c.fact(i, f)
	}
	c.doing()
	return c.problems
}

type checker struct {
	p        *plan.Plan
	places   places
	seq      run.Seq
	problems []string

	inputs    map[string]any
	budget    []plan.Amount
	started   bool
	finished  bool
	paused    bool
	cancelled bool
	kept      run.Seq // of the last fact that a fork has taken over
	run       string  // what every key begins with
	usage     run.Usage

	calls  map[run.Path]*callState
	done   map[string]bool // steps that have a result, by spot
	values map[string]any  // of calls that succeeded, by spot
	deeds  map[string]*deeds
	blocks []string // those with deeds, in order of their first
	spent  map[string]*account
}

// callState is what is known of the call at one path.
type callState struct {
	attempt  int
	open     bool // started, not ended
	done     bool
	reserved run.Amount
	spot     []spot
	asked    int  // questions that its attempts ended with
	waits    bool // for the answer to the last of them
}

// deeds are the times at which the `do` nodes of one opened block were under way.
type deeds struct {
	block int
	spans map[int]*span // by slot
}

type span struct{ first, last run.Seq }

const never = ^run.Seq(0)

// account is one budget in force.
type account struct{ spent, reserved run.Amount }

func (c *checker) problem(format string, args ...any) {
	if len(c.problems) < MaxProblems {
		c.problems = append(c.problems, fmt.Sprintf("fact %d: ", c.seq)+fmt.Sprintf(format, args...))
	}
}

func (c *checker) fact(i int, f run.Fact) {
	if s, ok := f.Body.(*run.Started); ok {
		if i > 0 {
			c.problem("the run is started twice")
		}
		c.started, c.inputs = true, s.Inputs
		c.budget = append(append([]plan.Amount(nil), c.p.Budget...), s.Options.Budget...)
		if s.Fork != nil {
			c.kept = s.Fork.Kept
		}
		return
	}
	if !c.started {
		c.problem("%s comes before the start", f)
	}
	if f.Seq <= c.kept {
		c.keep(f)
		return
	}
	switch b := f.Body.(type) {
	case *run.CallStarted:
		c.callStarted(b)
	case *run.CallDone:
		c.callDone(b)
	case *run.CallFailed:
		c.callFailed(b)
	case *run.CallEnded:
		if s := c.calls[b.Path]; s == nil || !s.open || s.attempt != b.Attempt {
			c.problem("%s ends, but that attempt is not under way", b.Path)
		} else {
			c.ends(b.Path, s, b.Usage, "", b.Usage == run.Usage{})
		}
	case *run.Answered:
		if way := c.places.find(string(b.Path)); way == nil {
			c.problem("%s is answered, and the plan has no such step", b.Path)
		} else if call, ok := b.Path.Asker(); ok {
			if s := c.calls[call]; s != nil && b.Path == call.Question(s.asked) {
				s.waits = false
			}
		} else {
			c.result(way, nil, false)
		}
	case *run.TimerFired:
		c.timer(b)
	case *run.PauseAsked:
		c.paused = !c.cancelled
	case *run.ResumeAsked:
		c.paused = false
	case *run.CancelAsked:
		c.cancelled, c.paused = true, false
	case *run.Finished:
		c.finish(b)
	}
}

// keep notes what a fork has taken over. When its turn came and what it needed then, its facts do not say; that it names steps of the plan they do.
func (c *checker) keep(f run.Fact) {
	path := run.Path("")
	switch b := f.Body.(type) {
	case *run.CallStarted:
		path = b.Path
	case *run.CallDone:
		path = b.Path
	case *run.CallFailed:
		path = b.Path
	case *run.Asked:
		path = b.Path
	case *run.Answered:
		path = b.Path
	case *run.TimerFired:
		c.timer(b)
		return
	case *run.Computed:
		return
	default:
		c.problem("%s is taken over from the origin of the fork", f)
		return
	}
	way := c.places.find(string(path))
	if way == nil {
		c.problem("%s is taken over, and the plan has no such step", path)
		return
	}
	last := way[len(way)-1]
	switch b := f.Body.(type) {
	case *run.CallDone:
		c.result(way, b.Value, true)
		if b.Source != run.Kept {
			c.problem("the result of %s is taken over and does not say so", path)
		}
	case *run.CallFailed:
		if len(c.p.Blocks[last.block].Nodes[last.slot].Else) > 0 {
			c.done[last.same()] = true
		}
		if b.Source != run.Kept {
			c.problem("the failure of %s is taken over and does not say so", path)
		}
	case *run.Answered:
		if _, ok := path.Asker(); !ok {
			c.result(way, nil, false)
		}
	}
}

// timer marks the step as ended whose wait or answer's deadline it was.
func (c *checker) timer(b *run.TimerFired) {
	name, _ := strings.CutSuffix(b.Timer, "@timeout")
	if way := c.places.find(name); way != nil && !c.paused {
		c.result(way, nil, false)
	} else if way != nil {
		c.done[way[len(way)-1].same()] = true // it takes effect at the resume
	}
}

func (c *checker) finish(b *run.Finished) {
	c.finished = true
	for path, s := range c.calls {
		if s.open {
			c.problem("the run ends while %s is under way", path)
		}
	}
	if b.Usage != c.usage {
		c.problem("the end says %+v was used, the calls say %+v", b.Usage, c.usage)
	}
	switch {
	case b.Status == run.Succeeded && b.Error != nil, b.Status == run.Failed && b.Error == nil:
		c.problem("the run is %s and its error is %v", b.Status, b.Error)
	case b.Status == run.Cancelled && !c.cancelled:
		c.problem("the run is cancelled and nobody asked for it")
	}
}

func (c *checker) signature(way []spot) *types.Signature {
	last := way[len(way)-1]
	return &c.p.Callees[c.p.Blocks[last.block].Nodes[last.slot].Call.Callee]
}

func (c *checker) callStarted(b *run.CallStarted) {
	s := c.calls[b.Path]
	if s == nil {
		way := c.places.find(string(b.Path))
		if way == nil {
			c.problem("%s starts, and the plan has no such step", b.Path)
			return
		}
		s = &callState{spot: way}
		c.calls[b.Path] = s
	}
	switch {
	case s.open:
		c.problem("%s starts while its attempt %d is under way", b.Path, s.attempt)
	case s.done:
		c.problem("%s starts after it was done", b.Path)
	case s.waits:
		c.problem("%s starts before its question %d is answered", b.Path, s.asked)
	case b.Attempt != s.attempt+1:
		c.problem("attempt %d of %s comes after %d", b.Attempt, b.Path, s.attempt)
	case c.paused:
		c.problem("%s starts during a pause", b.Path)
	case c.cancelled:
		c.problem("%s starts after the run was cancelled", b.Path)
	case b.Fingerprint == "":
		c.problem("%s starts and what it sends is not recorded", b.Path)
	}
	prefix, ok := strings.CutSuffix(b.Key, "/"+string(b.Path))
	if !ok || c.run != "" && prefix != c.run {
		c.problem("the key %q of %s is not run/path", b.Key, b.Path)
	}
	c.run = prefix
	s.attempt, s.open, s.reserved = b.Attempt, true, b.Reserved
	if last := s.spot[len(s.spot)-1]; c.signature(s.spot).Free && !c.p.Blocks[last.block].Nodes[last.slot].Call.MayLast(c.signature(s.spot)) {
		c.problem("%s is free, nobody records its start", b.Path)
	}
	c.reserve(b.Path, s)
	c.needs(b.Path, s.spot)
	c.deed(s.spot, true)
	c.alone(b.Path, s.spot)
}

// alone checks that nothing of what a fallback replaces still changes the world when a call of the fallback starts.
func (c *checker) alone(path run.Path, way []spot) {
	for i, s := range way {
		if !s.viaElse {
			continue
		}
		for other, o := range c.calls {
			if !o.open || i+1 >= len(o.spot) || o.spot[i].same() != s.same() || o.spot[i+1].block == way[i+1].block {
				continue
			}
			if sig := c.signature(o.spot); sig.Effect != types.Think && sig.Effect != types.Read {
				c.problem("%s starts while %s, which it replaces, is under way", path, other)
			}
		}
	}
}

func (c *checker) callDone(b *run.CallDone) {
	s := c.ended(b.Path, b.Attempt, b.Source == "cache")
	if s == nil {
		return
	}
	if s.done {
		c.problem("%s has a second result", b.Path)
	}
	c.ends(b.Path, s, b.Usage, b.Source, false)
	s.done = true
	c.result(s.spot, b.Value, true)
}

func (c *checker) callFailed(b *run.CallFailed) {
	s := c.ended(b.Path, b.Attempt, false)
	if s == nil {
		return
	}
	c.ends(b.Path, s, b.Usage, "", b.Outcome == run.Interrupted && b.Usage == run.Usage{})
	if b.Outcome == run.Asks && b.Form != nil {
		s.asked++
		s.waits = true
	}
	last := s.spot[len(s.spot)-1]
	if len(c.p.Blocks[last.block].Nodes[last.slot].Else) > 0 {
		c.done[last.same()] = true // its fallback may be a text or nothing, of which there is no fact
	}
}

// ended finds the attempt that a result belongs to.
func (c *checker) ended(path run.Path, attempt int, cached bool) *callState {
	s := c.calls[path]
	if s == nil {
		way := c.places.find(string(path))
		if way == nil {
			c.problem("%s ends, and the plan has no such step", path)
			return nil
		}
		if !c.signature(way).Free && !cached {
			c.problem("%s ends and has not started", path)
		}
		s = &callState{spot: way}
		c.calls[path] = s
	}
	free := c.signature(s.spot).Free && !s.open // one that reaches beyond its run is not free, and its start is recorded
	if free || cached && !s.open {
		if attempt != s.attempt+1 {
			c.problem("attempt %d of %s comes after %d", attempt, path, s.attempt)
		}
		s.attempt = attempt
		c.needs(path, s.spot)
		return s
	}
	if !s.open || s.attempt != attempt {
		c.problem("attempt %d of %s ends and is not under way", attempt, path)
	}
	return s
}

func (c *checker) ends(path run.Path, s *callState, u run.Usage, source string, unknown bool) {
	c.usage = c.usage.Add(u)
	if s.open {
		spent := u.Spent(s.reserved, source)
		if unknown {
			spent = s.reserved
		}
		for _, a := range c.accounts(s.spot) {
			a.account.reserved = a.account.reserved.Sub(s.reserved)
			a.account.spent = a.account.spent.Add(spent)
		}
		c.deed(s.spot, false)
	}
	s.open = false
}

// result notes that a step has a value, for those that need it.
func (c *checker) result(way []spot, v any, known bool) {
	last := way[len(way)-1]
	c.done[last.same()] = true
	if known {
		c.values[last.same()] = v
	}
}

// limited is a budget and what it allows.
type limited struct {
	name    string
	limits  []plan.Amount
	account *account
}

// accounts are the budgets a call is charged to: the run's, those of the containers around it, its own.
func (c *checker) accounts(way []spot) []limited {
	get := func(name string, limits []plan.Amount) limited {
		a := c.spent[name]
		if a == nil {
			a = &account{}
			c.spent[name] = a
		}
		return limited{name, limits, a}
	}
	out := []limited{get("the run", c.budget)}
	for _, s := range way {
		n := &c.p.Blocks[s.block].Nodes[s.slot]
		if s.viaElse { // a fallback is charged to the blocks, not to the step it replaces
			continue
		}
		limits := n.Budget
		if n.Kind == plan.FlowNode {
			limits = append(append([]plan.Amount(nil), limits...), n.Flow.Budget...)
		}
		if len(limits) > 0 {
			out = append(out, get(s.same(), limits))
		}
	}
	return out
}

func (c *checker) reserve(path run.Path, s *callState) {
	for _, a := range c.accounts(s.spot) {
		a.account.reserved = a.account.reserved.Add(s.reserved)
		sum := a.account.reserved.Add(a.account.spent)
		for _, l := range a.limits {
			if l.Calls > 0 && sum.Calls > l.Calls || l.Tokens > 0 && sum.Tokens > l.Tokens || l.Money > 0 && sum.Money > l.Money {
				c.problem("%s starts, and the budget of %q promises %+v of %+v", path, a.name, sum, l)
			}
		}
	}
}

// needs checks that what a call and the containers around it wait for is there.
func (c *checker) needs(path run.Path, way []spot) {
	for i, s := range way {
		n := &c.p.Blocks[s.block].Nodes[s.slot]
		for _, need := range n.Needs {
			if need.Depth > i {
				continue
			}
			c.need(path, way[i-need.Depth], need.Slot, 0)
		}
	}
}

func (c *checker) need(path run.Path, in spot, slot, depth int) {
	b := &c.p.Blocks[in.block]
	if slot >= len(b.Nodes) || depth > 50 {
		return
	}
	at := spot{block: in.block, slot: slot, prefix: in.prefix}
	n := &b.Nodes[slot]
	switch n.Kind {
	case plan.CallNode:
		if !c.done[at.same()] && len(n.Else) == 0 {
			c.problem("%s starts before %s, which it needs, has a result", path, n.Name)
		}
	case plan.LetNode, plan.RequireNode, plan.StopNode:
		for _, need := range n.Needs {
			if need.Depth == 0 {
				c.need(path, in, need.Slot, depth+1)
			}
		}
		c.gate(path, in, n)
	}
}

// gate evaluates a gate above a call that starts, where all it mentions are calls of its block or inputs of the file.
func (c *checker) gate(path run.Path, in spot, n *plan.Node) {
	if n.Kind == plan.LetNode {
		return
	}
	env := map[string]any{}
	b := &c.p.Blocks[in.block]
	for _, r := range n.Expr.Refs {
		if r.Depth > 0 {
			return
		}
		if i := r.Slot - len(b.Nodes); i >= 0 {
			if in.block != 0 || i >= len(c.p.Inputs) {
				return
			}
			v, ok := c.inputs[c.p.Inputs[i].Name]
			if !ok {
				return
			}
			env[r.Name] = v
			continue
		}
		v, ok := c.values[spot{block: in.block, slot: r.Slot, prefix: in.prefix}.same()]
		if !ok {
			return
		}
		env[r.Name] = v
	}
	if eval.HoldsLarge(env) {
		return // what it looks at is elsewhere
	}
	program, err := eval.Compile(n.Expr.Code)
	if err != nil {
		return
	}
	v, err := program.Eval(env)
	if err == nil && v != (n.Kind == plan.RequireNode) {
		c.problem("%s starts, and the gate at line %d above it did not let it through", path, n.At.Line)
	}
}

// deed notes when the `do` nodes on the way to a call were under way.
func (c *checker) deed(way []spot, begins bool) {
	sig := c.signature(way)
	if sig.Effect == types.Think || sig.Effect == types.Read {
		return
	}
	for _, s := range way {
		block := fmt.Sprintf("%s\x00%d", s.prefix, s.block)
		d := c.deeds[block]
		if d == nil {
			d = &deeds{block: s.block, spans: map[int]*span{}}
			c.deeds[block] = d
			c.blocks = append(c.blocks, block)
		}
		t := d.spans[s.slot]
		if t == nil {
			t = &span{first: c.seq}
			d.spans[s.slot] = t
		}
		t.last = never
		if !begins {
			t.last = c.seq
		}
	}
}

// doing checks that what changes the world happened in the written order of each block, one after the other.
func (c *checker) doing() {
	for _, name := range c.blocks {
		d := c.deeds[name]
		b := &c.p.Blocks[d.block]
		before := -1
		for slot := range b.Nodes {
			t := d.spans[slot]
			if t == nil {
				continue
			}
			if before >= 0 && c.ordered(b, before, slot) {
				if was := d.spans[before]; was.last == never || was.last > t.first {
					c.seq = t.first
					c.problem("the `do` step %q begins before %q above it has ended", b.Nodes[slot].Name, b.Nodes[before].Name)
				}
			}
			before = slot
		}
	}
}

// ordered reports whether the plan orders two nodes of a block, the second below the first: in parallel and race it does not.
func (c *checker) ordered(b *plan.Block, first, second int) bool {
	seen := map[int]bool{second: true}
	todo := []int{second}
	for len(todo) > 0 {
		n := &b.Nodes[todo[0]]
		todo = todo[1:]
		for _, need := range n.Needs {
			if need.Depth != 0 || need.Slot >= len(b.Nodes) || seen[need.Slot] {
				continue
			}
			if need.Slot == first {
				return true
			}
			seen[need.Slot] = true
			todo = append(todo, need.Slot)
		}
	}
	return false
}
