package travel

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
)

// Change says how a fork differs from its origin.
type Change struct {
	From   run.Path       // the step, or the block, item, round or flow of steps, to be done again; empty: only what the other fields change
	Only   bool           // what depends on From keeps its result all the same
	Plan   *plan.Plan     // of an edited script; nil: the origin's
	Inputs map[string]any // all inputs of the fork, read and checked; nil: the origin's
}

// New is what the fork is to be called and when it begins.
type New struct {
	ID   run.ID
	At   time.Time
	By   string // empty: who began the origin
	Pool string // empty: that of the origin
}

// Fork is a run that begins with what its origin's steps came to.
type Fork struct {
	ID     run.ID
	Origin run.Fork
	Plan   *plan.Plan
	Facts  []run.Fact // its whole history at the beginning: Started, and what is kept
	Again  []Again    // what will be done again, in the order in which the origin did it, then what it has never done
	Keeps  []Keeps    // what keeps its result
	Gone   []run.Path // steps of the origin that the edited script does not have
	// Fails is why the fork will fail before anything in it is done again; nil: nothing says that it will.
	Fails *run.Error
}

// Again is a step that will be done again, as far as one can tell: which way a run goes depends on what it is told.
type Again struct {
	Path   run.Path     `json:"path"`
	Agent  string       `json:"agent"`
	Effect types.Effect `json:"effect"`
	Why    Why          `json:"why"`
	Of     run.Path     `json:"of,omitempty"`   // the step that is the cause
	What   []string     `json:"what,omitempty"` // of Changed: what is not as it was
}

// Keeps is a step that keeps its result.
type Keeps struct {
	Path   run.Path  `json:"path"`
	Agent  string    `json:"agent"`
	Usage  run.Usage `json:"usage,omitzero"`
	Pinned bool      `json:"pinned,omitempty"` // it depends on what is done again
}

// Why is the reason for which a step is done again.
type Why string

// The reasons.
const (
	Named      Why = "named"      // by Change.From
	Changed    Why = "changed"    // what it sends is not what the origin's sent
	Downstream Why = "downstream" // it needs Of, which is done again
	Asked      Why = "asked"      // a question that stands below Of, and was answered after Of had begun
	Failed     Why = "failed"     // its failure was the end of the origin
	Decides    Why = "decides"    // its result would end Of, which is done again, before that is done
	Unfinished Why = "unfinished" // the origin knows no result of it
	Fresh      Why = "new"        // the origin did not come to it, or has no such step
)

// Text is the reason in words.
func (a *Again) Text() string {
	switch a.Why {
	case Named:
		return "you named it"
	case Changed:
		return "what it sends has changed: " + strings.Join(a.What, ", ")
	case Downstream:
		if a.Of == "" {
			return "it depends on what is done again"
		}
		return "it needs " + string(a.Of)
	case Asked:
		return "people are asked again after " + string(a.Of)
	case Failed:
		return "it failed"
	case Decides:
		return "its result would end " + string(a.Of) + " before that is done"
	case Unfinished:
		return "it had not ended"
	case Fresh:
		return "the origin did not come to it"
	}
	return string(a.Why)
}

// ErrNothing says that a fork would differ in nothing from its origin.
var ErrNothing = errors.New("nothing would be done again")

// maxPasses bounds how often the decision is made anew; each time at least one more step is done again.
const maxPasses = 10_000

// NewFork decides which facts of a run a fork of it keeps, and what it will do again and why.
//
// It refolds the history into a machine of the fork's plan and inputs which is never told what the steps that are done again came to. So whatever depends on
// one of them, for whatever reason, does not open; and what opens keeps its result if what it sends is what it sent.
func NewFork(h *History, c Change, n New) (*Fork, error) {
	old, err := h.read()
	if err != nil {
		return nil, err
	}
	if e := old.drift(); e != nil {
		return nil, fmt.Errorf("%w at %s: %s", ErrDrift, e.Path, e.Message)
	}
	d := &decision{history: h, change: c, new: n, old: old, again: map[run.Path]*Again{}}
	if d.plan = c.Plan; d.plan == nil {
		d.plan = h.Plan
	}
	if c.From != "" {
		chosen := old.named(c.From)
		if len(chosen) == 0 {
			return nil, old.unknown(c.From)
		}
		for _, s := range chosen {
			d.mark(s, Named, "")
		}
	}
	for range maxPasses {
		again, err := d.pass()
		if err != nil {
			return nil, err
		}
		if !again && !d.askAgain() {
			return d.fork()
		}
	}
	return nil, fmt.Errorf("it is not decided after %d passes what a fork of run %s does again", maxPasses, h.ID)
}

// decision is a fork in the making.
type decision struct {
	history *History
	change  Change
	new     New
	plan    *plan.Plan
	old     *steps
	again   map[run.Path]*Again // steps that do not keep their results, whatever else happens

	// Of the last pass:
	m       *machine.Machine
	open    map[run.WishID]run.Wish
	opened  map[run.Path]bool // steps that opened
	kept    []run.Fact        // of the origin, in the order in which they were taken
	taken   map[run.Path]int  // how many of a step
	pending map[run.Path][]run.Fact
	fails   *run.Error

	known map[*plan.Node][]plan.Need // of mentions
}

func (d *decision) mark(s *step, why Why, of run.Path) *Again {
	a := &Again{Path: s.path, Agent: s.agent, Effect: s.effect, Why: why, Of: of}
	d.again[s.path] = a
	return a
}

// begin is the first fact of the fork, without its origin.
func (d *decision) begin() *run.Started {
	s, _ := d.history.started()
	begin := *s
	begin.Fork, begin.Machine, begin.Plan = nil, machine.Version, plan.Hash(d.plan)
	if d.change.Inputs != nil {
		begin.Inputs = d.change.Inputs
	}
	if d.new.By != "" {
		begin.Options.By = d.new.By
	}
	if d.new.Pool != "" {
		begin.Options.Pool = d.new.Pool
	}
	return &begin
}

// pass refolds the history without the steps that are done again. It reports whether it found more of them, and must be made anew.
func (d *decision) pass() (again bool, err error) {
	d.m = machine.NewWide(d.new.ID, d.plan)
	d.open, d.opened, d.taken, d.pending = map[run.WishID]run.Wish{}, map[run.Path]bool{}, map[run.Path]int{}, map[run.Path][]run.Fact{}
	d.kept, d.fails = d.kept[:0], nil
	delta, err := d.m.Apply(run.Fact{Seq: 1, At: d.new.At, Body: d.begin()})
	if err != nil {
		return false, err
	}
	if d.follow(delta, nil) {
		return true, nil
	}
	for _, f := range d.history.Facts[1:] {
		path, deadline := target(f.Body)
		if deadline && (d.old.byPath[path] == nil || d.old.byPath[path].kind == callStep) {
			again = d.deadline(path, f)
		} else if s := d.old.byPath[path]; s != nil && s.has() && d.again[path] == nil {
			d.pending[path] = append(d.pending[path], f)
			again = d.serve(s)
		}
		if again {
			return true, nil
		}
	}
	open := map[run.Path]bool{}
	for _, w := range d.open {
		if path, ok := subject(w); ok {
			open[path] = true
		}
	}
	for _, s := range d.old.order {
		if n := d.taken[s.path]; n > 0 && d.again[s.path] == nil && (n < len(s.facts) || open[s.path]) {
			d.mark(s, Changed, "").What = []string{"how often it is tried"} // only a part of it fits, or it is not the end now
			again = true
		}
	}
	return again, nil
}

// deadline lets a block end as it did in the origin, with what was under way in it cut off, unless something in it is done again: that has its own time.
func (d *decision) deadline(block run.Path, f run.Fact) bool {
	for _, s := range d.old.order {
		if s.first > 0 && s.first < f.Seq && inside(s.path, block) && (d.again[s.path] != nil || !s.void && d.taken[s.path] == 0) {
			return false
		}
	}
	again, _ := d.take(f, nil)
	return again
}

// serve takes the facts of a step whose turn has come.
func (d *decision) serve(s *step) (again bool) {
	for len(d.pending[s.path]) > 0 && d.again[s.path] == nil {
		again, taken := d.take(d.pending[s.path][0], s)
		if again {
			return true
		}
		if !taken {
			return false
		}
	}
	return false
}

// take folds a fact of the origin if it fits. It reports whether more is done again than was known.
func (d *decision) take(f run.Fact, s *step) (again, taken bool) {
	body := d.renewed(f.Body, false)
	delta, err := d.m.Apply(run.Fact{Seq: d.m.Head() + 1, At: d.new.At, Body: body})
	if err != nil { // it does not fit now
		return false, false
	}
	if s != nil {
		d.pending[s.path] = d.pending[s.path][1:]
		d.taken[s.path]++
	}
	d.kept = append(d.kept, f)
	return d.follow(delta, s), true
}

// renewed is a fact of the origin as it stands in the fork.
func (d *decision) renewed(b run.Body, pinned bool) run.Body {
	switch b := b.(type) {
	case *run.CallStarted:
		c := *b
		c.Key, c.Reserved = c.Path.Key(d.new.ID), run.Amount{}
		if pinned {
			c.Fingerprint = ""
		}
		return &c
	case *run.CallDone:
		c := *b
		c.Source = run.Kept
		return &c
	case *run.CallFailed:
		c := *b
		c.Source = run.Kept
		return &c
	case *run.Asked:
		c := *b
		c.Deadline = time.Time{}
		return &c
	}
	return b
}

// follow takes note of what a fact of s opened and closed.
func (d *decision) follow(delta run.Delta, s *step) (again bool) {
	for _, id := range delta.Closed {
		w := d.open[id]
		delete(d.open, id)
		path, ok := subject(w)
		if ok && s != nil && d.again[path] != nil && path != s.path {
			d.mark(s, Decides, path)
			return true
		}
	}
	for _, w := range delta.Opened {
		d.open[w.ID()] = w
		if end, ok := w.(*run.FinishWish); ok && end.Finished.Status == run.Failed {
			if s != nil && s.failed {
				d.mark(s, Failed, "")
				return true
			}
			d.fails = end.Finished.Error
		}
		path, ok := subject(w)
		if !ok {
			continue
		}
		if was := d.old.byPath[path]; was != nil && !d.opened[path] && d.again[path] == nil && was.has() {
			if what := d.differences(was, w); len(what) > 0 {
				d.mark(was, Changed, "").What = what
				delete(d.pending, path)
			}
		}
		d.opened[path] = true
	}
	for _, w := range delta.Opened {
		if c, ok := w.(*run.ComputeWish); ok { // what was evaluated once is so for ever
			if was := d.old.computed[content(c)]; was != nil {
				if again, _ := d.take(run.Fact{Body: &run.Computed{Path: c.Path, Value: was.Value, Error: was.Error}}, nil); again {
					return true
				}
			}
			continue
		}
		if path, ok := subject(w); ok && len(d.pending[path]) > 0 && (s == nil || path != s.path) {
			if d.serve(d.old.byPath[path]) {
				return true
			}
		}
	}
	return false
}

// subject is the step whose doing a wish asks for.
func subject(w run.Wish) (run.Path, bool) {
	switch w := w.(type) {
	case *run.CallWish:
		return w.Path.Step(), true
	case *run.AskWish:
		return w.Path.Step(), true
	case *run.SleepWish:
		return w.Path, w.Timer == string(w.Path)
	}
	return "", false
}

// differences lists in words in what a step differs from what it was in the origin.
func (d *decision) differences(s *step, is run.Wish) []string {
	if is, ok := is.(*run.SleepWish); ok {
		if was, ok := s.wish.(*run.SleepWish); ok {
			rest, over := is.Until.Sub(d.new.At), !was.Until.After(d.new.At)
			if !is.Until.Equal(was.Until) && rest != s.rest && !(rest == 0 && over) {
				return []string{"how long it waits"}
			}
		}
	}
	return sentDifferences(s.wish, is)
}

func callDifferences(was, is *run.CallWish) []string {
	var what []string
	note := func(differs bool, name string) {
		if differs {
			what = append(what, name)
		}
	}
	note(was.Agent != is.Agent || was.Callee.Use != is.Callee.Use, "the agent ("+was.Agent+", now "+is.Agent+")")
	note(was.Callee.Version != is.Callee.Version, "the version of "+is.Agent)
	note(was.System != is.System || !same(was.Persona, is.Persona), "the agent's own text")
	note(!same(was.As, is.As), "what it must answer")
	note(!same(was.Text, is.Text), "its text")
	if !same(was.Args, is.Args) {
		names := map[string]bool{}
		for k := range was.Args {
			names[k] = true
		}
		for k := range is.Args {
			names[k] = true
		}
		for _, k := range slices.Sorted(maps.Keys(names)) {
			_, before := was.Args[k]
			_, now := is.Args[k]
			note(before != now || !same(was.Args[k], is.Args[k]), "its "+k)
		}
	}
	if len(what) == 0 && was.Fingerprint != is.Fingerprint && was.Fingerprint != "" && is.Fingerprint != "" {
		what = append(what, "its fingerprint")
	}
	return what
}

// same compares values of the language, and what else is plain data.
func same(a, b any) bool {
	x, errX := run.EncodeValue(a)
	y, errY := run.EncodeValue(b)
	if errX != nil || errY != nil {
		x, errX = json.Marshal(a)
		y, errY = json.Marshal(b)
	}
	return errX == nil && errY == nil && string(x) == string(y)
}

// keeps reports whether all of a step was taken.
func (d *decision) keeps(s *step) bool {
	return s.has() && d.again[s.path] == nil && d.taken[s.path] == len(s.facts)
}

// askAgain finds the questions that come after what is done again and kept their answers all the same. It reports whether there are any.
//
// A question comes after a step when it stands below it, in its block or in a block around both, and was answered when that step had begun.
func (d *decision) askAgain() bool {
	var again []*step
	for _, s := range d.old.order {
		if !d.keeps(s) && s.first > 0 {
			again = append(again, s)
		}
	}
	found := false
	for _, q := range d.old.order {
		if q.kind != askStep || !d.keeps(q) {
			continue
		}
		for _, s := range again {
			if q.last > s.first && d.below(q.place, s.place) {
				d.mark(q, Asked, s.path)
				found = true
				break
			}
		}
	}
	return found
}

// below reports whether a step at one place stands below one at another. Items of a map and members of a parallel or a race do not see each other.
func (d *decision) below(a, b []run.Spot) bool {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i].Block != b[i].Block:
			return false // two branches, or a step and its fallback
		case a[i].Part != b[i].Part:
			return i > 0 && d.node(a[i-1]).Kind == plan.LoopNode && a[i].Part > b[i].Part
		case a[i].Slot != b[i].Slot:
			if i > 0 {
				owner := d.node(a[i-1])
				if owner.Kind == plan.RaceNode || owner.Kind == plan.GroupNode && owner.Group.Kind == "parallel" && owner.Group.Block == a[i].Block {
					return false
				}
			}
			return a[i].Slot > b[i].Slot
		}
	}
	return false
}

func (d *decision) node(s run.Spot) *plan.Node {
	return &d.history.Plan.Blocks[s.Block].Nodes[s.Slot]
}

// fork writes down what was decided.
func (d *decision) fork() (*Fork, error) {
	f := &Fork{ID: d.new.ID, Plan: d.plan, Fails: d.fails}
	pinned := d.pinned()
	var again, maybe []*Again
	seq := d.old.last + 1
	for _, s := range d.old.order {
		switch {
		case d.keeps(s):
			f.Keeps = append(f.Keeps, Keeps{Path: s.path, Agent: s.agent, Usage: s.usage})
			continue
		case pinned[s.path]:
			f.Keeps = append(f.Keeps, Keeps{Path: s.path, Agent: s.agent, Usage: s.usage, Pinned: true})
			continue
		}
		a := d.again[s.path]
		switch {
		case d.change.Plan != nil && !exists(d.plan, d.history.Plan, s):
			f.Gone = append(f.Gone, s.path)
			a = nil
		case a != nil:
		case s.has():
			a = &Again{Path: s.path, Agent: s.agent, Effect: s.effect, Why: Downstream}
		case d.opened[s.path] && d.waits(s.path):
			a = &Again{Path: s.path, Agent: s.agent, Effect: s.effect, Why: Unfinished}
		case s.first > 0 && !d.opened[s.path]: // it had no result, such as one that lost a race: whether it is done depends on what it needs
			maybe = append(maybe, &Again{Path: s.path, Agent: s.agent, Effect: s.effect, Why: Downstream})
		}
		if a != nil {
			again = append(again, a)
		}
		if s.first > 0 {
			seq = min(seq, s.first)
		}
	}
	again = d.causes(again, maybe)
	for _, w := range d.inOrder() {
		path, ok := subject(w)
		if !ok || d.old.byPath[path] != nil {
			continue
		}
		a := &Again{Path: path, Why: Fresh, Effect: types.Do, Agent: "wait"}
		switch w := w.(type) {
		case *run.CallWish:
			a.Agent, a.Effect = w.Agent, w.Callee.Effect
		case *run.AskWish:
			a.Agent = w.Agent
		}
		again = append(again, a)
	}
	for _, a := range again {
		f.Again = append(f.Again, *a)
	}
	if len(again) == 0 && d.change.Plan == nil && d.change.Inputs == nil && d.change.From == "" {
		return nil, ErrNothing
	}
	begin := d.begin()
	f.Origin = run.Fork{Run: d.history.ID, Seq: seq}
	f.Facts = []run.Fact{{Seq: 1, At: d.new.At, Body: begin}}
	add := func(b run.Body) {
		f.Facts = append(f.Facts, run.Fact{Seq: run.Seq(len(f.Facts) + 1), At: d.new.At, Body: b})
	}
	for _, k := range d.kept {
		path, _ := target(k.Body)
		if s := d.old.byPath[path]; s == nil || s.kind == callStep && isTimer(k.Body) || !pinned[path] {
			add(d.renewed(k.Body, false))
		}
	}
	for _, k := range d.history.Facts[1:] {
		path, _ := target(k.Body)
		if s := d.old.byPath[path]; pinned[path] && !(s.kind == callStep && isTimer(k.Body)) {
			add(d.renewed(k.Body, true))
		}
	}
	if len(f.Facts) > 1 {
		f.Origin.Kept = run.Seq(len(f.Facts))
	}
	begin.Fork = &f.Origin
	return f, nil
}

func isTimer(b run.Body) bool {
	_, ok := b.(*run.TimerFired)
	return ok
}

// pinned are the steps that keep their results although they depend on what is done again: all but those that were named, people, and what failed or
// would end what was named.
func (d *decision) pinned() map[run.Path]bool {
	pinned := map[run.Path]bool{}
	if !d.change.Only {
		return pinned
	}
	for _, s := range d.old.order {
		a := d.again[s.path]
		if s.kind != askStep && s.has() && !d.keeps(s) && (a == nil || a.Why == Changed) {
			pinned[s.path] = true
		}
	}
	return pinned
}

// waits reports whether a step is open at the end of the pass.
func (d *decision) waits(path run.Path) bool {
	for _, w := range d.open {
		if p, ok := subject(w); ok && p == path {
			return true
		}
	}
	return false
}

func (d *decision) inOrder() []run.Wish {
	var open []run.Wish
	for w := range d.m.Open() {
		open = append(open, w)
	}
	return open
}

// exists reports whether a plan still has a step, as far as the names along its path go.
func exists(now, before *plan.Plan, s *step) bool {
	block := 0
	for i, spot := range s.place {
		node := &before.Blocks[spot.Block].Nodes[spot.Slot]
		found := -1
		b := &now.Blocks[block]
		for slot := range b.Nodes {
			if b.Nodes[slot].Name == node.Name && (node.Name != "" || slot == b.Value) {
				found = slot
			}
		}
		if found < 0 {
			return false
		}
		if i+1 == len(s.place) {
			return b.Nodes[found].Kind == node.Kind
		}
		bodies, were := plan.Bodies(&b.Nodes[found]), plan.Bodies(node)
		at := slices.Index(were, s.place[i+1].Block)
		if at < 0 || at >= len(bodies) {
			return false
		}
		block = bodies[at]
	}
	return true
}

// causes finds for each step that is done again because of another the nearest one of which it is true. It adds those of maybe that have one.
func (d *decision) causes(again, maybe []*Again) []*Again {
	paths := make([]run.Path, len(again))
	for i, a := range again {
		paths[i] = a.Path
	}
	slices.Sort(paths)
	for _, a := range again {
		if a.Why == Downstream {
			a.Of = d.cause(d.old.byPath[a.Path], paths)
		}
	}
	for _, a := range maybe {
		if a.Of = d.cause(d.old.byPath[a.Path], paths); a.Of != "" {
			again = append(again, a)
		}
	}
	slices.SortStableFunc(again, func(a, b *Again) int { return cmp.Compare(d.old.byPath[a.Path].first, d.old.byPath[b.Path].first) })
	return again
}

// cause walks from a step outward and along what each line needs.
func (d *decision) cause(s *step, again []run.Path) run.Path {
	for level := len(s.place) - 1; level >= 0; level-- {
		spot := s.place[level]
		if of := d.needed(s, level, d.node(spot).Needs, again, 0); of != "" {
			return of
		}
		if level == 0 {
			continue
		}
		if of := d.within(s, level, again); of != "" {
			return of
		}
		if owner := d.node(s.place[level-1]); spot.Part > 0 && (owner.Kind == plan.LoopNode || owner.Kind == plan.ReduceNode) || spot.Part >= machine.FallbackPart {
			if of := d.needed(s, level-1, d.mentions(owner), again, 0); of != "" {
				return of
			}
		}
	}
	return ""
}

// needed looks at what a line of the block at a level of a step's place needs.
func (d *decision) needed(s *step, level int, needs []plan.Need, again []run.Path, depth int) run.Path {
	if depth > maxDepth {
		return ""
	}
	for _, need := range needs {
		at := level - need.Depth
		if at < 0 {
			continue
		}
		spot := s.place[at]
		nodes := d.history.Plan.Blocks[spot.Block].Nodes
		if need.Slot >= len(nodes) {
			continue
		}
		spot.Slot = need.Slot
		n := &nodes[need.Slot]
		if n.Kind == plan.IntoNode {
			spot.Slot = n.Of
			n = &nodes[n.Of]
		}
		switch n.Kind {
		case plan.LetNode, plan.ValueNode, plan.RequireNode, plan.StopNode:
		default:
			if of := firstInside(again, d.path(spot)); of != "" {
				return of
			}
		}
		if n.Kind == plan.CallNode && len(n.Else) == 0 {
			continue
		}
		// Nothing in it is done again, and its value may be another all the same: by what it mentions of the blocks around it.
		if of := d.needed(s, at, d.mentions(n), again, depth+1); of != "" {
			return of
		}
	}
	return ""
}

// maxSearched bounds how many steps are looked at to name a cause: a reduce of 10,000 items has as many that are done again, and each has a cause.
const maxSearched = 500

// maxDepth bounds the chain of lines between a step and what it needs.
const maxDepth = 200

// mentions lists what a line and all that stands in it needs of its block and those around.
func (d *decision) mentions(n *plan.Node) []plan.Need {
	if needs, ok := d.known[n]; ok {
		return needs
	}
	needs := slices.Clone(n.Needs)
	for _, body := range plan.Bodies(n) {
		b := &d.history.Plan.Blocks[body]
		if b.Parent < 0 {
			continue // a flow sees nothing of its caller
		}
		for i := range b.Nodes {
			for _, need := range d.mentions(&b.Nodes[i]) {
				if need.Depth > 0 {
					need.Depth--
					if !slices.Contains(needs, need) {
						needs = append(needs, need)
					}
				}
			}
		}
	}
	if d.known == nil {
		d.known = map[*plan.Node][]plan.Need{}
	}
	d.known[n] = needs
	return needs
}

// path of the line at a spot.
func (d *decision) path(s run.Spot) run.Path {
	name := d.node(s).Name
	switch {
	case name != "":
		return s.Path.Join(name)
	case s.Path == "":
		return "output"
	}
	return s.Path
}

// firstInside finds the first of the sorted paths that is, or is inside, root.
func firstInside(sorted []run.Path, root run.Path) run.Path {
	i, _ := slices.BinarySearch(sorted, root)
	for ; i < len(sorted) && strings.HasPrefix(string(sorted[i]), string(root)); i++ {
		if inside(sorted[i], root) {
			return sorted[i]
		}
	}
	return ""
}

// within finds what a step needs in the container that the block at a level of its place belongs to: of a loop the rounds before, of a reduce the groups that
// were merged into this one, of a fallback the step that failed. Of several it is the one that is written last, in the last round.
func (d *decision) within(s *step, level int, again []run.Path) run.Path {
	owner, spot := d.node(s.place[level-1]), s.place[level]
	var earlier func(part int64) bool
	switch {
	case spot.Part >= machine.FallbackPart:
		earlier = func(part int64) bool { return part < spot.Part }
	case owner.Kind == plan.LoopNode:
		earlier = func(part int64) bool { return part < spot.Part }
	case owner.Kind == plan.ReduceNode:
		earlier = func(part int64) bool { return merges(spot.Part, part, int64(owner.Reduce.By)) }
	default:
		return ""
	}
	container := d.path(s.place[level-1])
	var best *step
	i, _ := slices.BinarySearch(again, container)
	for end := i + maxSearched; i < min(len(again), end) && strings.HasPrefix(string(again[i]), string(container)); i++ {
		o := d.old.byPath[again[i]]
		if o == nil || o == s || len(o.place) < level || o.place[level-1] != s.place[level-1] || len(o.place) > level && !earlier(o.place[level].Part) {
			continue
		}
		if best == nil || slices.CompareFunc(o.place[level-1:], best.place[level-1:], later) > 0 {
			best = o
		}
	}
	if best == nil {
		return ""
	}
	return best.path
}

func later(a, b run.Spot) int {
	return cmp.Or(cmp.Compare(a.Part, b.Part), cmp.Compare(a.Slot, b.Slot))
}

// merges reports whether one group of a reduce is among those that another, of a higher level, is merged from.
func merges(into, part, by int64) bool {
	level, group := into>>32, into&(1<<32-1)
	below, other := part>>32, part&(1<<32-1)
	for ; below < level; below++ {
		other /= by
		if below+1 == level && other == group {
			return true
		}
	}
	return false
}
