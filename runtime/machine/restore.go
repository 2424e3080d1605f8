package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
)

// restorer builds a machine from a snapshot.
type restorer struct {
	m      *Machine
	s      *snapshot
	frames map[uint64]*frame
	scopes []*scope
}

var errSnapshot = errors.New("the snapshot does not fit the plan")

// Restore makes the machine a snapshot was taken of. p must be the plan of that run. Of a snapshot of another version, or one that does not fit, it reports
// an error; the history is then folded instead.
func Restore(p *plan.Plan, data []byte) (m *Machine, err error) {
	var s snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if s.Version != SnapshotVersion || s.Machine != Version {
		return nil, fmt.Errorf("restore: the snapshot is of version %d.%d, this is %d.%d", s.Version, s.Machine, SnapshotVersion, Version)
	}
	defer func() { // a snapshot of another plan points at slots that are not there
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("restore run %s: %w: %v", s.ID, errSnapshot, r)
		}
	}()
	r := &restorer{m: New(s.ID, p), s: &s, frames: make(map[uint64]*frame)}
	if err := r.restore(); err != nil {
		return nil, fmt.Errorf("restore run %s: %w", s.ID, err)
	}
	return r.m, nil
}

func (r *restorer) restore() error {
	m, s := r.m, r.s
	m.head, m.started, m.began, m.now, m.seed = s.Head, s.Started, s.Began, s.Now, s.Seed
	m.paused, m.pausedAt, m.held, m.frames, m.orders, m.usage, m.cancelled = s.Paused, s.PausedAt, s.Held, s.Count, s.Orders, s.Usage, s.Cancelled
	m.large, m.approved = s.Large, s.Approved
	var err error
	if s.Inputs != nil {
		m.inputs = make(map[string]any, len(s.Inputs))
		for k, raw := range s.Inputs {
			if m.inputs[k], err = run.DecodeValue(raw); err != nil {
				return err
			}
		}
	}
	if m.final, err = ending(s.Final); err != nil {
		return err
	}
	if m.finished, err = ending(s.Finished); err != nil {
		return err
	}
	m.forked(&run.Fork{Kept: s.Kept})
	m.kept.prefix = s.Prefix
	for _, raw := range s.Waiting {
		f, err := run.DecodeFact(raw)
		if err != nil {
			return err
		}
		m.kept.waiting[about(f.Body)] = append(m.kept.waiting[about(f.Body)], f)
	}
	for range s.Scopes {
		r.scopes = append(r.scopes, &scope{})
	}
	for i, in := range s.Scopes {
		*r.scopes[i] = scope{parent: r.scope(in.Parent), limits: in.Limits, spent: in.Spent, reserved: in.Reserved, inFlight: in.InFlight}
	}
	m.scope = r.scope(s.Scope)
	for i := range s.Frames {
		if err := r.frame(&s.Frames[i]); err != nil {
			return err
		}
	}
	m.root = r.frames[s.Root]
	if m.root == nil {
		m.root = &frame{key: run.Path(s.ID) + "/", state: frameClosed}
	}
	r.signUp()
	for i := range s.Frames {
		if err := r.underway(&s.Frames[i]); err != nil {
			return err
		}
	}
	for i := range s.Cut {
		r.cut(&s.Cut[i])
	}
	for i, in := range s.Scopes {
		for _, at := range in.Waiting {
			c := r.frames[at.Frame].nodes[at.Slot].call
			c.blocked = r.scopes[i]
			r.scopes[i].waiting = append(r.scopes[i].waiting, c)
			r.scopes[i].live++
		}
	}
	for _, at := range s.Ready {
		m.enqueue(&r.frames[at.Frame].nodes[at.Slot])
	}
	if d := s.Deadline; d != nil {
		r.timer(&timer{id: d.ID, kind: d.Kind, until: d.Until, after: d.After}, d.Open)
	}
	m.conclude()
	for _, h := range m.opened {
		h.turn = 0
	}
	m.opened = m.opened[:0]
	return nil
}

func ending(raw json.RawMessage) (*run.Finished, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	f, err := run.DecodeFact(raw)
	if err != nil {
		return nil, err
	}
	end, ok := f.Body.(*run.Finished)
	if !ok {
		return nil, errSnapshot
	}
	return end, nil
}

func (r *restorer) scope(id uint64) *scope {
	if id == 0 {
		return nil
	}
	return r.scopes[id-1]
}

func decodeList(raw json.RawMessage) ([]any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	v, err := run.DecodeValue(raw)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errSnapshot
	}
	return list, nil
}

func decodeOne(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	return run.DecodeValue(raw)
}

// frame builds a frame and its nodes with their values; owners come before what they own.
func (r *restorer) frame(in *snapFrame) error {
	f := &frame{id: in.ID, block: in.Block, part: in.Part, key: run.Path(in.Path.Key(r.s.ID)), scope: r.scope(in.Scope), state: in.State, err: in.Err, left: in.Left, holding: in.Holding, limit: in.Limit, running: in.Running,
		won: in.Won, lost: in.Lost, nodes: make([]node, len(in.Nodes))}
	if len(in.Nodes) != len(r.m.t.blocks[in.Block].nodes) {
		return errSnapshot
	}
	var err error
	if f.binds, err = decodeList(in.Binds); err != nil {
		return err
	}
	if in.Owner != (place{}) {
		f.owner = &r.frames[in.Owner.Frame].nodes[in.Owner.Slot]
		f.depth = f.owner.f.depth + 1
		f.kid = len(f.owner.kids)
		f.owner.kids = append(f.owner.kids, f)
	}
	for i := range f.nodes {
		n, o := &f.nodes[i], &in.Nodes[i]
		*n = node{f: f, slot: int32(i), state: o.State, intent: o.Intent, tried: o.Tried, held: o.Held, err: o.Err, scope: r.scope(o.Scope)}
		if n.value, err = decodeOne(o.Value); err != nil {
			return err
		}
		if o.Computing != nil {
			if n.computing, err = computingOf(o.Computing); err != nil {
				return err
			}
		}
		if o.Many != nil {
			if n.many, err = manyOf(o.Many); err != nil {
				return err
			}
		}
	}
	for _, slot := range in.Queue {
		f.queue = append(f.queue, &f.nodes[slot])
	}
	r.frames[f.id] = f
	return nil
}

func computingOf(in *snapComputing) (*computing, error) {
	c := &computing{tried: in.Tried, again: in.Again, falling: in.Falling, at: in.At, path: in.Path}
	for _, v := range in.Values {
		value, err := decodeOne(v.Value)
		if err != nil {
			return nil, err
		}
		c.values = append(c.values, computed{value, v.Err})
	}
	return c, nil
}

func manyOf(in *snapMany) (*many, error) {
	x := &many{next: in.Next, running: in.Running, ended: in.Ended, allowed: in.Allowed, level: in.Level, round: in.Round}
	var err error
	if x.items, err = decodeList(in.Items); err != nil {
		return nil, err
	}
	if x.results, err = decodeList(in.Results); err != nil {
		return nil, err
	}
	if x.value, err = decodeOne(in.Value); err != nil {
		return nil, err
	}
	for _, l := range in.Missed {
		x.missed = append(x.missed, missed{l.Index, l.Err})
	}
	return x, nil
}

// signUp lets waiting nodes wait again, in the order in which their frames were opened.
func (r *restorer) signUp() {
	for _, id := range slices.Sorted(maps.Keys(r.frames)) {
		f := r.frames[id]
		for i := range f.nodes {
			if n := &f.nodes[i]; n.state == nodeWaiting {
				r.m.await(n)
			}
		}
		for i := range f.nodes {
			if f.nodes[i].state != nodeDone {
				continue
			}
			for _, s := range r.m.t.blocks[f.block].nodes[i].feeds {
				f.nodes[s].missing--
			}
		}
	}
}

// underway renders again what calls send, and opens their wishes and timers.
func (r *restorer) underway(in *snapFrame) error {
	m := r.m
	f := r.frames[in.ID]
	for i := range f.nodes {
		n, o := &f.nodes[i], &in.Nodes[i]
		if t := o.Timer; t != nil {
			n.timer = &timer{id: t.ID, node: n, kind: t.Kind, until: t.Until, after: t.After}
			r.timer(n.timer, t.Open)
		}
		if o.Computing != nil && o.Computing.Code != "" {
			env, err := decodeOne(o.Computing.Env)
			if err != nil {
				return err
			}
			names, _ := env.(map[string]any)
			m.openCompute(n, &run.ComputeWish{Path: n.computing.path, Code: o.Computing.Code, Env: names, Render: o.Computing.Render})
		}
		if o.Call == nil {
			continue
		}
		m.serve(n)
		w := &run.CallWish{}
		if failure := m.render(n, w); failure != nil {
			return fmt.Errorf("%w: %s", errSnapshot, failure)
		}
		c, err := r.call(o.Call, n)
		if err != nil {
			return err
		}
		c.sent, c.path = w, w.Path
		n.call = c
		if c.asking != nil {
			c.sent.Answer = c.asking.answer
		}
		switch {
		case c.repair > 0:
			m.repairing(c)
		case c.sent.Answer != nil:
			m.seal(c)
		}
		if c.state == callWants {
			c.path = c.path.Question(c.asking.count)
		}
		if c.state != callSleeping {
			m.calls[c.path] = c
		}
		r.count(c)
		if o.Call.Open {
			r.open(c, o.Call)
		}
		if o.Call.Cancel {
			m.openCancel(c, true)
		}
	}
	return nil
}

func (r *restorer) open(c *call, in *snapCall) {
	m := r.m
	switch c.state {
	case callAsked:
		form, _ := question(c.sent.Callee, c.sent)
		form.Actions, form.More = in.Actions, in.More
		var deadline time.Time
		if c.node.timer != nil {
			deadline = c.node.timer.until
		}
		m.openAsk(c, form, deadline)
	case callWants:
		m.openAsk(c, *c.asking.form, time.Time{})
	case callUnsure:
		m.openAsk(c, m.unsureForm(c), time.Time{})
	default:
		m.openCall(c)
	}
}

func (r *restorer) count(c *call) {
	switch c.state {
	case callAsked, callUnsure, callWants:
		r.m.asks++
	case callSleeping:
		r.m.sleeps++
	case callCut:
		r.m.cut++
	default:
		r.m.active++
	}
}

func (r *restorer) call(in *snapCall, n *node) (*call, error) {
	c := &call{node: n, path: in.Path, attempt: in.Attempt, retries: in.Retries, repair: in.Repair, state: in.State, due: in.Due, effect: in.Effect, free: in.Free,
		scope: r.scope(in.Scope), need: in.Need, reserved: in.Reserved, told: in.Told}
	if in.Asking != nil {
		c.asking = &asking{count: in.Asking.Count, form: in.Asking.Form, token: in.Asking.Token}
		if a := in.Asking.Answer; a != nil {
			value, err := decodeOne(a.Value)
			if err != nil {
				return nil, err
			}
			c.asking.answer = &run.Answer{Token: a.Token, Value: value}
		}
	}
	if in.Repair == 0 {
		return c, nil
	}
	answer, err := decodeOne(in.Answer)
	c.invalid = &invalid{answer, in.Problems}
	return c, err
}

func (r *restorer) cut(in *snapCall) {
	c, _ := r.call(in, nil)
	r.m.calls[c.path] = c
	r.count(c)
	c.cancel = &holder{order: in.Order}
	r.m.openCancel(c, false)
}

func (r *restorer) timer(t *timer, open bool) {
	r.m.timers[t.id] = t
	if open {
		r.m.openTimer(t)
	}
}
