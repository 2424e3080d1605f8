package machine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// scene is what would happen if a question were answered with yes: the blocks as they stand, copied, with the answer in its place, and as much of what follows
// as can be known before anything of it has happened. Nothing of the run is changed.
type scene struct {
	m       *Machine
	hangs   map[*node]bool // lines that depend on the answer: by what they mention, an `after`, or a gate
	actions []run.Action
	more    int // beyond maxActions
}

// maxActions is how many calls a question shows: nobody reads more.
const maxActions = 30

// maxItems is up to how many items of a map each has its own calls shown.
const maxItems = 10

// unknown stands for a value that is not there yet.
type unknown struct{}

// actions are the calls that change the world and depend on the answer to an approval, as they will be made if it is yes.
func (m *Machine) actions(n *node) ([]run.Action, int) {
	s := &scene{m: m, hangs: map[*node]bool{}}
	m.supposing = true
	defer func() { m.supposing = false }()
	f, answered := s.copied(n.f), int(n.slot)
	var value any = "yes"
	for {
		at := &f.nodes[answered]
		at.state, at.value, s.hangs[at] = nodeDone, value, true
		if !s.walk(f, false) {
			break // a gate in it will not pass
		}
		if value = s.valueOf(f); f.owner == nil || !s.hangs[at] || !leaves(m.plan(f.owner).Kind) {
			break
		}
		f, answered = s.copied(f.owner.f), int(f.owner.slot)
	}
	return s.actions, s.more
}

// leaves reports whether what a block comes to is what its step comes to.
func leaves(k plan.NodeKind) bool {
	return k == plan.GroupNode || k == plan.ChoiceNode || k == plan.MatchNode || k == plan.FlowNode
}

// copied is a block as it stands.
func (s *scene) copied(f *frame) *frame {
	c := *f
	c.nodes = slices.Clone(f.nodes)
	for i := range c.nodes {
		c.nodes[i].f = &c
	}
	return &c
}

// opened is a block as it will begin.
func (s *scene) opened(owner *node, block int, key run.Path, binds ...any) *frame {
	f := newFrame(len(s.m.t.blocks[block].nodes), binds)
	f.block, f.owner, f.key, f.depth = block, owner, key, owner.f.depth+1
	for i := range f.nodes {
		f.nodes[i].f, f.nodes[i].slot = f, int32(i)
	}
	return f
}

func (s *scene) valueOf(f *frame) any {
	b := &s.m.p.Blocks[f.block]
	if b.Value >= 0 && b.Value < len(f.nodes) {
		if n := &f.nodes[b.Value]; n.state == nodeDone {
			return n.value
		}
		return unknown{}
	}
	fields := map[string]any{}
	for i := range b.Nodes {
		if b.Nodes[i].Name == "" || !s.m.t.blocks[f.block].nodes[i].step {
			continue
		}
		if f.nodes[i].state != nodeDone || f.nodes[i].value == any(unknown{}) {
			return unknown{}
		}
		fields[b.Nodes[i].Name] = f.nodes[i].value
	}
	return fields
}

// walk goes through the lines of a block that have not begun. all: the block as a whole depends on the answer. It reports false when a gate in it will not pass.
func (s *scene) walk(f *frame, all bool) bool {
	s.hang(f, all)
	for again := true; again; { // lines may stand in any order
		again = false
		for i := range f.nodes {
			if n := &f.nodes[i]; n.state == nodeWaiting {
				again = s.settle(n) || again
			}
		}
	}
	for i := range f.nodes {
		if n := &f.nodes[i]; s.m.plan(n).Kind == plan.RequireNode && n.state == nodeFailed {
			return false
		}
	}
	for i := range f.nodes {
		switch n := &f.nodes[i]; n.state {
		case nodeWaiting:
			s.line(n)
		case nodeRunning:
			for _, kid := range n.kids {
				c := s.copied(kid)
				c.owner = n
				s.walk(c, false)
			}
		}
	}
	return true
}

// hang finds the lines that depend on the answer.
func (s *scene) hang(f *frame, all bool) {
	for again := true; again; {
		again = false
		for i := range f.nodes {
			n := &f.nodes[i]
			if s.hangs[n] || n.state != nodeWaiting {
				continue
			}
			for _, need := range s.m.plan(n).Needs {
				if g := f.up(need.Depth); all || need.Why.Decides() && need.Slot < len(g.nodes) && s.hangs[&g.nodes[need.Slot]] {
					s.hangs[n], again = true, true
					break
				}
			}
			if all && !s.hangs[n] {
				s.hangs[n] = true
			}
		}
	}
}

// settle gives a line that calls nobody its value, if it can be known.
func (s *scene) settle(n *node) bool {
	pn := s.m.plan(n)
	switch pn.Kind {
	case plan.LetNode, plan.ValueNode:
		v, ok := s.value(n.f, pn.Expr)
		if ok {
			n.state, n.value = nodeDone, v
		}
		return ok
	case plan.RequireNode:
		v, ok := s.value(n.f, pn.Expr)
		if ok && v == true {
			n.state = nodeDone
		} else if ok {
			n.state = nodeFailed
		}
		return ok
	}
	return false
}

// value is that of an expression, if all that it mentions is known.
func (s *scene) value(f *frame, e *plan.Expr) (any, bool) {
	if !s.known(f, e) {
		return nil, false
	}
	v, err := s.m.eval(f, e, nil)
	return v, err == nil
}

func (s *scene) known(f *frame, e *plan.Expr) bool {
	for _, r := range e.Refs {
		g := f.up(r.Depth)
		if r.Slot < len(g.nodes) {
			if n := &g.nodes[r.Slot]; n.state != nodeDone || n.value == any(unknown{}) {
				return false
			}
		} else if g.binds[r.Slot-len(g.nodes)] == any(unknown{}) {
			return false
		}
	}
	return true
}

// line looks for calls in a line that has not begun.
func (s *scene) line(n *node) {
	pn := s.m.plan(n)
	if pn.Effect != types.Do {
		return
	}
	key, all := s.m.key(n), s.hangs[n]
	open := func(block int, key run.Path, binds ...any) { s.walk(s.opened(n, block, key, binds...), all) }
	switch pn.Kind {
	case plan.CallNode:
		if sig := &s.m.p.Callees[pn.Call.Callee]; all && sig.Kind == types.Call && sig.Effect == types.Do {
			s.call(n, sig)
		}
	case plan.GroupNode:
		open(pn.Group.Block, key)
	case plan.ChoiceNode:
		s.choice(n, open)
	case plan.MatchNode:
		s.match(n, open)
	case plan.FlowNode:
		open(pn.Flow.Block, key, s.inputs(n)...)
	case plan.MapNode:
		s.items(n, open)
	case plan.ReduceNode:
		open(pn.Reduce.Block, key+"^…", unknown{})
	case plan.LoopNode:
		open(pn.Loop.Block, key+"#…", unknown{})
	}
	for i := range pn.Else {
		if fb := &pn.Else[i]; fb.Kind == plan.BlockElse {
			binds := []any{unknown{}}
			if pn.Kind == plan.LoopNode {
				binds = append(binds, unknown{})
			}
			open(fb.Block, key.Else(s.m.table(n).elses+i+1), binds...)
		}
	}
}

// choice goes into the branch that will be taken, or into all that may be.
func (s *scene) choice(n *node, open func(int, run.Path, ...any)) {
	c, key := s.m.plan(n).Choice, s.m.key(n)
	for i := range c.Branches {
		name := "then"
		if i > 0 {
			name = fmt.Sprintf("elif%d", i+1)
		}
		v, ok := s.value(n.f, &c.Branches[i].Cond)
		if !ok || v == true {
			open(c.Branches[i].Block, key.Join(name))
		}
		if ok && v == true {
			return
		}
	}
	if c.Else >= 0 {
		open(c.Else, key.Join("else"))
	}
}

func (s *scene) match(n *node, open func(int, run.Path, ...any)) {
	mt, key := s.m.plan(n).Match, s.m.key(n)
	subject, ok := s.value(n.f, &mt.Subject)
	for _, arm := range mt.Arms {
		fits := ok && slices.ContainsFunc(arm.Values, func(v any) bool { return eval.Equal(subject, literal(v)) })
		if fits || !ok {
			open(arm.Block, key.Join(armName(arm.Values[0])))
		}
		if fits {
			return
		}
	}
	if mt.Else >= 0 {
		open(mt.Else, key.Join("else"))
	}
}

// inputs are what a flow will be called with.
func (s *scene) inputs(n *node) []any {
	fl := s.m.plan(n).Flow
	binds := make([]any, len(fl.Inputs))
	for i := range fl.Inputs {
		in := &fl.Inputs[i]
		v, ok := any(nil), true
		switch {
		case fl.Text != nil && i == fl.TextInput:
			v, ok = s.text(n.f, fl.Text)
		case i < len(fl.Args) && fl.Args[i] != nil:
			v, ok = s.value(n.f, fl.Args[i])
		default:
			d, err := s.m.defaultOf(in)
			v, ok = d, err == nil
		}
		if ok {
			if fitted, err := s.m.fit(in, v); err == nil {
				binds[i] = fitted
				continue
			}
		}
		binds[i] = unknown{}
	}
	return binds
}

func (s *scene) text(f *frame, t *plan.Text) (any, bool) {
	for i := range t.Parts {
		if e := t.Parts[i].Expr; e != nil && !s.known(f, e) {
			return nil, false
		}
	}
	v, err := s.m.text(f, t, nil)
	return v, err == nil
}

func (s *scene) items(n *node, open func(int, run.Path, ...any)) {
	mp, key := s.m.plan(n).Map, s.m.key(n)
	v, ok := s.value(n.f, &mp.Over)
	items, _ := v.([]any)
	if !ok || len(items) > maxItems {
		open(mp.Block, key+"[…]", unknown{}, unknown{})
		return
	}
	for i, item := range items {
		open(mp.Block, key.Item(i), item, i)
	}
}

// call writes down a call as it will be made.
func (s *scene) call(n *node, sig *types.Signature) {
	if len(s.actions) == maxActions {
		s.more++
		return
	}
	m, pc := s.m, s.m.plan(n).Call
	a := run.Action{Path: m.path(n), Agent: pc.Agent}
	w := &run.CallWish{}
	if s.renders(n) && m.render(n, w) == nil {
		if a.Fingerprint = w.Fingerprint; a.Fingerprint == "" {
			a.Fingerprint = m.fingerprint(n, w)
		}
		a.Sent = disclosed(w)
		s.actions = append(s.actions, a)
		return
	}
	w.Callee, w.Args = sig, maps.Clone(m.t.callees[pc.Callee].defaults)
	if w.Args == nil {
		w.Args = map[string]any{}
	}
	for i := range pc.Args {
		v, ok := s.value(n.f, &pc.Args[i].Value)
		if !ok {
			v = unknown{}
		}
		w.Args[pc.Args[i].Name] = v
	}
	switch {
	case len(pc.Words) > 0:
		w.Text = unknown{}
		if !slices.ContainsFunc(pc.Words, func(t plan.Text) bool { _, ok := s.text(n.f, &t); return !ok }) {
			if v, err := m.words(n.f, pc.Words); err == nil {
				w.Text = v
			}
		}
	case pc.Text != nil:
		w.Text = unknown{}
		if v, ok := s.text(n.f, pc.Text); ok && sig.Text != types.URL {
			w.Text = v
		} else if ok {
			if v, err := m.url(n.f, pc.Text); err == nil {
				w.Text = v
			}
		}
	}
	a.Sent = disclosed(w)
	s.actions = append(s.actions, a)
}

// renders reports whether all that a call sends is known.
func (s *scene) renders(n *node) bool {
	pc := s.m.plan(n).Call
	texts := append(slices.Clone(pc.Words), pc.System...)
	if pc.Text != nil {
		texts = append(texts, *pc.Text)
	}
	for i := range texts {
		for _, p := range texts[i].Parts {
			if p.Expr != nil && !s.known(n.f, p.Expr) {
				return false
			}
		}
	}
	for i := range pc.Args {
		if !s.known(n.f, &pc.Args[i].Value) {
			return false
		}
	}
	return true
}

// disclosed is what a call sends, to be read and compared: its text first, then its arguments by name.
func disclosed(w *run.CallWish) []run.Sent {
	var list []run.Sent
	add := func(name string, v any) {
		if _, ok := v.(unknown); ok {
			list = append(list, run.Sent{Name: name, Unknown: true})
			return
		}
		list = append(list, run.Sent{Name: name, Value: readable(v)})
	}
	if w.Text != nil {
		add(w.Callee.Primary, w.Text)
	}
	if w.System != "" {
		add("system", w.System)
	} else if w.Persona != nil {
		add("system", w.Persona)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Args)) {
		add(name, w.Args[name])
	}
	return list
}

// maxReadable is how long a value may be that a question shows whole.
const maxReadable = 64 << 10

// readable is a value as JSON for people: a secret by its name, what is kept apart or too long by its hash.
func readable(v any) json.RawMessage {
	raw, err := run.EncodeValue(plainly(v))
	if err != nil {
		return json.RawMessage(`"‹a value that cannot be shown›"`)
	}
	if len(raw) > maxReadable {
		sum := sha256.Sum256(raw)
		raw, _ = json.Marshal(fmt.Sprintf("‹%d bytes, sha256 %s›", len(raw), hex.EncodeToString(sum[:]))) // a string has no error
	}
	var escaped bytes.Buffer
	json.HTMLEscape(&escaped, raw) // as it will be when it has been stored, since it is compared
	return escaped.Bytes()
}

func plainly(v any) any {
	switch v := v.(type) {
	case types.Secret:
		return "‹secret " + v.Name + "›"
	case types.Large:
		return fmt.Sprintf("‹a text of %d bytes, sha256 %s›", v.Size, v.SHA256)
	case types.FileValue:
		return fmt.Sprintf("‹file %s, %d bytes, sha256 %s›", v.Name, v.Size, v.SHA256)
	case types.Parts:
		text := ""
		for _, p := range v {
			text += fmt.Sprint(plainly(p))
		}
		return text
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return list
	case []any:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = plainly(x)
		}
		return list
	case map[string]any:
		record := make(map[string]any, len(v))
		for name, x := range v {
			record[name] = plainly(x)
		}
		return record
	}
	return v
}
