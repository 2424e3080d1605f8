package machine

import (
	"slices"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// frame is an opened block.
type frame struct {
	id    uint64
	block int
	owner *node // nil: the file
	kid   int   // its place among the owner's frames
	depth int
	// part tells the frames of one owner apart and orders them: branch, item, round, level<<32+group; a fallback's has FallbackPart added.
	part  int64
	key   run.Path // the path of the block behind the id of the run: paths and keys of what is in it are one text
	nodes []node
	binds []any
	scope *scope // the innermost budget around; nil: none

	state   frameState
	err     *run.Error // why it is failing
	left    int        // nodes that have not ended
	holding int        // nodes that wait for a `do`, once the frame is failing or stopping

	limit   int // of parallel; 0: none
	running int
	queue   []*node // ready, beyond the limit

	won, lost int // of a race
}

// FallbackPart is added to the part of a block that is the fallback of its owner.
const FallbackPart = 1 << 60

func (f *frame) fallback() bool { return f.part >= FallbackPart }

type frameState uint8

const (
	frameOpen     frameState = iota
	frameFailing             // by itself: its owner hears of it when the last `do` has ended
	frameStopping            // from outside
	frameClosed
)

// node is one line of an opened block.
type node struct {
	f       *frame
	slot    int32
	missing int32 // needs that are not done
	state   nodeState
	intent  intent // what comes after ending
	queued  bool
	tried   int32      // fallbacks
	held    int32      // frames of its own that wait for a `do`
	err     *run.Error // of its last failure
	value   any        // when done; what it will be, while ending with intentDone
	waiters []*node    // of inner blocks
	kids    []*frame
	call    *call
	many    *many
	timer   *timer
	scope   *scope // its own budget

	computing *computing // nil: nothing of it was evaluated at the edge
}

type nodeState uint8

const (
	nodeWaiting nodeState = iota
	nodeRunning
	nodeEnding
	nodeFalling
	nodeDone
	nodeFailed
	nodeStopped
)

type intent uint8

const (
	intentStop intent = iota
	intentFail
	intentDone
)

func (m *Machine) plan(n *node) *plan.Node  { return &m.p.Blocks[n.f.block].Nodes[n.slot] }
func (m *Machine) table(n *node) *nodeTable { return &m.t.blocks[n.f.block].nodes[n.slot] }

// budgetOf is the innermost budget that what happens in a node is charged to.
func (m *Machine) budgetOf(n *node) *scope {
	if n.scope != nil {
		return n.scope
	}
	return n.f.scope
}

// up is the frame depth blocks outward.
func (f *frame) up(depth int) *frame {
	for ; depth > 0 && f.owner != nil; depth-- {
		f = f.owner.f
	}
	return f
}

// path of a node: its name behind its block's path. What is nameless has its block's, and in the file it is `output`.
func (m *Machine) path(n *node) run.Path {
	name, block := m.plan(n).Name, m.unkeyed(n.f.key)
	if name != "" {
		return block.Join(name)
	}
	if block == "" {
		return "output"
	}
	return block
}

// key is path behind the id of the run.
func (m *Machine) key(n *node) run.Path {
	name, inFile := m.plan(n).Name, m.unkeyed(n.f.key) == ""
	switch {
	case inFile && name == "":
		return n.f.key + "output"
	case inFile:
		return n.f.key + run.Path(name)
	case name != "":
		return n.f.key.Join(name)
	}
	return n.f.key
}

// unkeyed cuts the id of the run off a key.
func (m *Machine) unkeyed(key run.Path) run.Path { return key[len(m.id)+1:] }

// frameSpec says which block to open, and how.
type frameSpec struct {
	block int
	key   run.Path
	part  int64
	scope *scope
	limit int
	judge bool // the last round of a loop whose value is not needed
}

// smallFrame is a frame of one line with the room for it, since most blocks that are opened by the thousand have one.
type smallFrame struct {
	frame
	node [1]node
	bind [2]any
}

func newFrame(nodes int, binds []any) *frame {
	if nodes == 1 && len(binds) <= 2 {
		s := &smallFrame{}
		s.nodes, s.binds = s.node[:], append(s.bind[:0], binds...)
		return &s.frame
	}
	return &frame{nodes: make([]node, nodes), binds: slices.Clone(binds)}
}

// openFrame opens a block in owner and queues what can start in it.
func (m *Machine) openFrame(owner *node, s frameSpec, binds ...any) *frame {
	m.frames++
	bt := &m.t.blocks[s.block]
	f := newFrame(len(bt.nodes), binds)
	f.id, f.block, f.owner, f.part, f.key, f.scope, f.limit = m.frames, s.block, owner, s.part, s.key, s.scope, s.limit
	if owner != nil {
		f.depth = owner.f.depth + 1
		f.kid = len(owner.kids)
		owner.kids = append(owner.kids, f)
	}
	for i := range f.nodes {
		n := &f.nodes[i]
		n.f, n.slot = f, int32(i)
		if s.judge && bt.skipLast != nil && bt.skipLast[i] {
			n.state = nodeStopped
			continue
		}
		f.left++
		m.await(n)
	}
	for i := range f.nodes {
		if n := &f.nodes[i]; n.missing == 0 && n.state == nodeWaiting {
			m.enqueue(n)
		}
	}
	if f.left == 0 {
		m.closeFrame(f)
	}
	return f
}

// await counts what a node still needs, and signs it up with nodes of blocks around it.
func (m *Machine) await(n *node) {
	nt := m.table(n)
	n.missing = nt.missing
	for _, e := range nt.outer {
		g := n.f.up(e.Depth)
		if e.Slot >= len(g.nodes) {
			continue // a bind
		}
		if t := &g.nodes[e.Slot]; t.state != nodeDone {
			t.waiters = append(t.waiters, n)
			n.missing++
		}
	}
}

// advance serves a node from the queue.
func (m *Machine) advance(n *node) {
	if n.f.state != frameOpen {
		return
	}
	m.serve(n)
	switch n.state {
	case nodeWaiting:
		if n.f.limit > 0 && m.table(n).step && !m.wide {
			if n.f.running >= n.f.limit {
				n.f.queue = append(n.f.queue, n)
				return
			}
			n.f.running++
		}
		n.state = nodeRunning
		m.start(n)
	case nodeRunning:
		m.goOn(n)
	case nodeFalling:
		m.fallBack(n)
	}
}

// done ends a node with its value and sets free who waits for it.
func (m *Machine) done(n *node, v any) {
	m.keepMissed(n)
	m.leave(n)
	n.state, n.value = nodeDone, v
	f := n.f
	f.left--
	nt := m.table(n)
	for _, s := range nt.feeds {
		m.fed(&f.nodes[s])
	}
	for _, w := range n.waiters {
		m.fed(w)
	}
	n.waiters = nil
	if f.state != frameOpen {
		return
	}
	if nt.step {
		m.freed(f)
		if f.owner != nil && m.raceWon(f) {
			return
		}
	}
	if f.left == 0 {
		m.closeFrame(f)
	}
}

func (m *Machine) fed(n *node) {
	n.missing--
	if n.missing == 0 && n.state == nodeWaiting && n.f.state == frameOpen {
		m.enqueue(n)
	}
}

// freed gives the place of a step that ended to the next one under the limit of a parallel.
func (m *Machine) freed(f *frame) {
	if f.limit == 0 || m.wide {
		return
	}
	f.running--
	if len(f.queue) > 0 && f.running < f.limit {
		n := f.queue[0]
		f.queue = f.queue[1:]
		m.enqueue(n)
	}
}

// leave drops what only a running node has.
func (m *Machine) leave(n *node) {
	m.dropTimer(n.timer)
	m.dropComputing(n)
	n.timer, n.call, n.many, n.kids, n.scope = nil, nil, nil, nil, nil
}

// closeFrame hands the value of a block to its owner.
func (m *Machine) closeFrame(f *frame) {
	if f.state != frameOpen {
		return
	}
	f.state = frameClosed
	b := &m.p.Blocks[f.block]
	var v any
	if b.Value >= 0 && b.Value < len(f.nodes) {
		v = f.nodes[b.Value].value
	} else {
		fields := make(map[string]any)
		for i := range b.Nodes {
			if b.Nodes[i].Name != "" && m.t.blocks[f.block].nodes[i].step {
				fields[b.Nodes[i].Name] = f.nodes[i].value
			}
		}
		v = fields
	}
	if f.owner == nil {
		m.dropTimer(m.timers[runDeadline])
		m.final = &run.Finished{Status: run.Succeeded, Value: v}
		return
	}
	m.dropKid(f)
	m.childDone(f, v)
}

func (m *Machine) dropKid(f *frame) {
	kids := f.owner.kids
	last := kids[len(kids)-1]
	kids[f.kid], last.kid = last, f.kid
	kids[len(kids)-1] = nil
	f.owner.kids = kids[:len(kids)-1]
}

// fail ends a running node for a reason that no fact tells; then its fallbacks are tried. told: its `do` calls are told to end, else only awaited.
func (m *Machine) fail(n *node, err *run.Error, told bool) {
	if err == errLater {
		return // nothing failed: the line is taken up again when its value is there
	}
	if n.state == nodeRunning {
		m.noteFailure(n, err)
		m.fall(n, err, told)
	}
}

// fall is fail for a reason that is known: a fact tells it, or the block within.
func (m *Machine) fall(n *node, err *run.Error, told bool) {
	if n.state != nodeRunning {
		return
	}
	n.err = err
	m.end(n, intentFail, told)
}

// end stops everything in a running node and goes on with its intent when that has ended.
func (m *Machine) end(n *node, to intent, told bool) {
	n.state, n.intent = nodeEnding, to
	m.dropTimer(n.timer)
	m.dropComputing(n)
	n.timer = nil
	m.stopKids(n, told)
	if n.held == 0 {
		m.settled(n)
	}
}

func (m *Machine) settled(n *node) {
	n.scope = nil // what follows is charged to the blocks around
	switch n.intent {
	case intentDone:
		m.done(n, n.value)
	case intentStop:
		m.leave(n)
		n.state = nodeStopped
		m.release(n.f)
	case intentFail:
		if int(n.tried) < len(m.plan(n).Else) {
			n.state = nodeFalling
			m.enqueue(n)
			return
		}
		m.failed(n)
	}
}

// failed ends a node whose fallbacks are used up: its block fails, unless it is a member of a race that others can still win.
func (m *Machine) failed(n *node) {
	m.leave(n)
	n.state = nodeFailed
	f := n.f
	if f.state != frameOpen {
		return
	}
	if m.raceLost(n) {
		return
	}
	m.failFrame(f, n.err, false)
}

// failFrame ends a block: nothing more starts in it, its thinking and reading calls are cancelled, its `do` calls are awaited.
func (m *Machine) failFrame(f *frame, err *run.Error, told bool) {
	switch {
	case f.state == frameOpen:
		f.state, f.err = frameFailing, err
	case f.state == frameFailing && told: // the first failure stays the reason
	default:
		return
	}
	m.stopNodes(f, told)
	if f.holding == 0 {
		m.frameEnded(f)
	}
}

// stopFrame ends a block from outside. It reports whether `do` calls in it are still awaited.
func (m *Machine) stopFrame(f *frame, told bool) bool {
	if f.state == frameClosed {
		return false
	}
	f.state = frameStopping
	m.stopNodes(f, told)
	if f.holding == 0 {
		f.state = frameClosed
	}
	return f.holding > 0
}

func (m *Machine) stopNodes(f *frame, told bool) {
	f.holding, f.queue = 0, nil
	for i := range f.nodes {
		if m.stopNode(&f.nodes[i], told) {
			f.holding++
		}
	}
}

func (m *Machine) stopNode(n *node, told bool) bool {
	switch n.state {
	case nodeDone, nodeFailed, nodeStopped:
		return false
	case nodeWaiting, nodeFalling:
		m.leave(n)
		n.state = nodeStopped
		return false
	}
	m.dropTimer(n.timer)
	m.withdrawCompute(n) // the values it got are needed as long as its call is
	n.timer = nil
	n.state, n.intent = nodeEnding, intentStop
	if n.call != nil {
		if m.stopCall(n.call, told) {
			return true
		}
		n.call = nil
	}
	m.stopKids(n, told)
	if n.held > 0 {
		return true
	}
	m.leave(n)
	n.state = nodeStopped
	return false
}

func (m *Machine) stopKids(n *node, told bool) {
	kept := n.kids[:0]
	for _, f := range n.kids {
		if m.stopFrame(f, told) {
			f.kid = len(kept)
			kept = append(kept, f)
		}
	}
	clear(n.kids[len(kept):])
	n.kids = kept
	n.held = int32(len(kept))
}

// release tells a frame that one of the nodes it held for has ended.
func (m *Machine) release(f *frame) {
	f.holding--
	if f.holding == 0 {
		m.frameEnded(f)
	}
}

// frameEnded goes on after the last `do` of a failing or stopping frame.
func (m *Machine) frameEnded(f *frame) {
	failing := f.state == frameFailing
	f.state = frameClosed
	if f.owner == nil {
		m.rootEnded(f)
		return
	}
	m.dropKid(f)
	if failing {
		m.childFailed(f, f.err)
		return
	}
	f.owner.held--
	if f.owner.held == 0 {
		m.settled(f.owner)
	}
}

// fallBack tries the next else of a node that failed.
func (m *Machine) fallBack(n *node) {
	pn := m.plan(n)
	i := int(n.tried)
	fb := &pn.Else[i]
	n.tried++
	n.state = nodeRunning
	if n.computing != nil && n.computing.tried != n.tried {
		m.dropComputing(n) // values of what was tried before
	}
	failure := errorValue(n.err)
	binds := []any{failure}
	if pn.Kind == plan.LoopNode {
		binds = append(binds, n.loopValue())
	}
	switch fb.Kind {
	case plan.Skip:
		m.note(n, run.Note{Kind: run.NoteElse, Name: "skip", Error: n.err})
		m.done(n, nil)
	case plan.Keep:
		m.note(n, run.Note{Kind: run.NoteElse, Name: "keep", Error: n.err})
		m.done(n, n.loopValue())
	case plan.Fail:
		env := map[string]any{"error": failure}
		if pn.Kind == plan.LoopNode {
			if names := m.p.Blocks[pn.Loop.Block].Binds; len(names) > 0 {
				env[names[0]] = n.loopValue()
			}
		}
		text, err := m.message(n.f, fb.Message, env)
		if err == errLater {
			n.tried--
			n.computing.falling = true
			return
		}
		if err != nil {
			m.fail(n, err, false)
			return
		}
		m.fail(n, m.fault(n, "E_FAIL", "fail", text), false)
	default:
		key := m.key(n).Else(m.table(n).elses + i + 1)
		m.note(n, run.Note{Kind: run.NoteElse, Name: string(m.unkeyed(key)), Error: n.err, Value: m.constant(fb.Block)})
		m.openFrame(n, frameSpec{block: fb.Block, key: key, part: FallbackPart + int64(i), scope: n.f.scope}, binds...)
	}
}

// constant is the value of a block that is a text, a number or a word of the script itself; nil where it is anything else.
func (m *Machine) constant(block int) any {
	b := &m.p.Blocks[block]
	if len(b.Nodes) != 1 || b.Nodes[0].Kind != plan.ValueNode || len(b.Nodes[0].Expr.Refs) > 0 || len(b.Nodes[0].Expr.Path) > 0 {
		return nil
	}
	v, err := run.DecodeValue([]byte(b.Nodes[0].Expr.Code))
	if err != nil {
		return nil
	}
	return v
}

// errorValue is what `error` is in a fallback.
func errorValue(e *run.Error) map[string]any {
	return map[string]any{"step": string(e.Path), "kind": e.Kind, "message": e.Message}
}

// fault is a failure of a node at its place in the source.
func (m *Machine) fault(n *node, code, kind, message string) *run.Error {
	at := m.plan(n).At
	e := &run.Error{Code: code, Kind: kind, Message: message, Path: m.path(n), File: at.File, Line: at.Line, Column: at.Column}
	if c := m.plan(n).Call; c != nil {
		e.Agent = c.Agent
	}
	return e
}
