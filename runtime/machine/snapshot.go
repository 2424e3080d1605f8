package machine

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// SnapshotVersion is the version of what Snapshot writes. A snapshot is disposable: where it does not fit, the history is folded again.
const SnapshotVersion = 4

// snapshot is the state as it is written: frames by number, nodes by frame and slot. What follows from the plan and the rest (who waits for whom, what a call
// sends, the texts of wishes) is made again by Restore.
type snapshot struct {
	Version   int                        `json:"v"`
	Machine   int                        `json:"machine"`
	ID        run.ID                     `json:"id"`
	Head      run.Seq                    `json:"head"`
	Started   bool                       `json:"started,omitempty"`
	Began     time.Time                  `json:"began,omitzero"`
	Now       time.Time                  `json:"now,omitzero"`
	Seed      uint64                     `json:"seed,omitempty"`
	Inputs    map[string]json.RawMessage `json:"inputs,omitempty"`
	Paused    bool                       `json:"paused,omitempty"`
	PausedAt  time.Time                  `json:"pausedAt,omitzero"`
	Held      []string                   `json:"held,omitempty"`
	Count     uint64                     `json:"count,omitempty"` // of frames opened
	Orders    uint64                     `json:"orders,omitempty"`
	Usage     run.Usage                  `json:"usage,omitzero"`
	Large     bool                       `json:"large,omitempty"`
	Cancelled bool                       `json:"cancelled,omitempty"`
	Final     json.RawMessage            `json:"final,omitempty"`    // as a fact
	Finished  json.RawMessage            `json:"finished,omitempty"` // as a fact
	Deadline  *snapTimer                 `json:"deadline,omitempty"`
	Root      uint64                     `json:"root,omitempty"`
	Scope     uint64                     `json:"scope,omitempty"`
	Scopes    []snapScope                `json:"scopes,omitempty"`
	Frames    []snapFrame                `json:"frames,omitempty"`
	Cut       []snapCall                 `json:"cut,omitempty"`
	Ready     []place                    `json:"ready,omitempty"`
	Kept      run.Seq                    `json:"kept,omitempty"` // the last fact of a fork's origin
	Prefix    bool                       `json:"prefix,omitempty"`
	Waiting   []json.RawMessage          `json:"waiting,omitempty"` // kept facts whose turn has not come

	Approved map[run.Path][]approval `json:"approved,omitempty"`
}

// place names a node.
type place struct {
	Frame uint64 `json:"f"`
	Slot  int32  `json:"s"`
}

type snapScope struct {
	Parent   uint64        `json:"parent,omitempty"` // scopes are numbered from 1; 0: none
	Limits   []plan.Amount `json:"limits"`
	Spent    run.Amount    `json:"spent,omitzero"`
	Reserved run.Amount    `json:"reserved,omitzero"`
	InFlight int           `json:"inFlight,omitempty"`
	Waiting  []place       `json:"waiting,omitempty"`
}

type snapFrame struct {
	ID      uint64          `json:"id"`
	Block   int             `json:"block"`
	Owner   place           `json:"owner,omitzero"`
	Part    int64           `json:"part,omitempty"`
	Path    run.Path        `json:"path,omitempty"`
	Binds   json.RawMessage `json:"binds,omitempty"`
	Scope   uint64          `json:"scope,omitempty"`
	State   frameState      `json:"state,omitempty"`
	Err     *run.Error      `json:"err,omitempty"`
	Left    int             `json:"left"`
	Holding int             `json:"holding,omitempty"`
	Limit   int             `json:"limit,omitempty"`
	Running int             `json:"running,omitempty"`
	Queue   []int32         `json:"queue,omitempty"`
	Won     int             `json:"won,omitempty"`
	Lost    int             `json:"lost,omitempty"`
	Nodes   []snapNode      `json:"nodes"`
}

type snapNode struct {
	State  nodeState       `json:"st,omitempty"`
	Intent intent          `json:"in,omitempty"`
	Tried  int32           `json:"tried,omitempty"`
	Held   int32           `json:"held,omitempty"`
	Err    *run.Error      `json:"err,omitempty"`
	Value  json.RawMessage `json:"v,omitempty"`
	Call   *snapCall       `json:"call,omitempty"`
	Many   *snapMany       `json:"many,omitempty"`
	Timer  *snapTimer      `json:"timer,omitempty"`
	Scope  uint64          `json:"scope,omitempty"`

	Computing *snapComputing `json:"computing,omitempty"`
}

type snapComputing struct {
	Tried   int32           `json:"tried,omitempty"`
	Values  []snapComputed  `json:"values,omitempty"`
	Again   bool            `json:"again,omitempty"`
	Falling bool            `json:"falling,omitempty"`
	At      source.Pos      `json:"at,omitzero"`
	Path    run.Path        `json:"path,omitempty"`
	Code    string          `json:"code,omitempty"` // of the open wish
	Env     json.RawMessage `json:"env,omitempty"`
	Render  bool            `json:"render,omitempty"`
}

type snapComputed struct {
	Value json.RawMessage `json:"v,omitempty"`
	Err   *run.Error      `json:"err,omitempty"`
}

type snapCall struct {
	Path     run.Path        `json:"path,omitempty"` // of a cut call; the others have their node's
	Attempt  int             `json:"attempt"`
	Retries  int             `json:"retries,omitempty"`
	Repair   int             `json:"repair,omitempty"`
	State    callState       `json:"state,omitempty"`
	Due      time.Time       `json:"due,omitzero"`
	Effect   types.Effect    `json:"effect,omitempty"`
	Free     bool            `json:"free,omitempty"`
	Answer   json.RawMessage `json:"answer,omitempty"`
	Problems []string        `json:"problems,omitempty"`
	Asking   *snapAsking     `json:"asking,omitempty"`
	Scope    uint64          `json:"scope,omitempty"`
	Need     run.Amount      `json:"need,omitzero"`
	Reserved bool            `json:"reserved,omitempty"`
	Told     bool            `json:"told,omitempty"`
	Open     bool            `json:"open,omitempty"`   // its wish
	Cancel   bool            `json:"cancel,omitempty"` // its cancel
	Order    uint64          `json:"order,omitempty"`  // of its cancel

	Actions []run.Action `json:"actions,omitempty"` // that its question shows
	More    int          `json:"more,omitempty"`
}

type snapAsking struct {
	Count  int         `json:"n"`
	Form   *run.Form   `json:"form,omitempty"`
	Token  string      `json:"token,omitempty"`
	Answer *snapAnswer `json:"answer,omitempty"`
}

type snapAnswer struct {
	Token string          `json:"token,omitempty"`
	Value json.RawMessage `json:"v"`
}

type snapMany struct {
	Items   json.RawMessage `json:"items,omitempty"`
	Next    int             `json:"next,omitempty"`
	Running int             `json:"running,omitempty"`
	Ended   int             `json:"ended,omitempty"`
	Results json.RawMessage `json:"results,omitempty"`
	Allowed int             `json:"allowed,omitempty"`
	Missed  []snapMissed    `json:"missed,omitempty"`
	Level   int             `json:"level,omitempty"`
	Round   int             `json:"round,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
}

type snapMissed struct {
	Index int        `json:"index"`
	Err   *run.Error `json:"err"`
}

type snapTimer struct {
	ID    string        `json:"id"`
	Kind  timerKind     `json:"kind,omitempty"`
	Until time.Time     `json:"until"`
	After time.Duration `json:"after,omitempty"`
	Open  bool          `json:"open,omitempty"`
}

// taker collects a snapshot. The first error stays.
type taker struct {
	s      snapshot
	scopes []*scope
	err    error
}

// Snapshot and Restore carry the state across processes. Restore(Snapshot()) equals folding the facts again.
func (m *Machine) Snapshot() ([]byte, error) {
	t := &taker{s: snapshot{Version: SnapshotVersion, Machine: Version, ID: m.id, Head: m.head, Started: m.started, Began: m.began, Now: m.now, Seed: m.seed, Paused: m.paused, PausedAt: m.pausedAt,
		Held: m.held, Count: m.frames, Orders: m.orders, Usage: m.usage, Large: m.large, Cancelled: m.cancelled}}
	if m.inputs != nil {
		t.s.Inputs = make(map[string]json.RawMessage, len(m.inputs))
		for k, v := range m.inputs {
			t.s.Inputs[k] = t.value(v)
		}
	}
	t.s.Final, t.s.Finished = t.end(m.final), t.end(m.finished)
	t.s.Kept, t.s.Prefix = m.kept.last, m.kept.prefix
	for _, f := range m.keptFacts() {
		raw, err := run.EncodeFact(f)
		if err != nil && t.err == nil {
			t.err = err
		}
		t.s.Waiting = append(t.s.Waiting, raw)
	}
	t.s.Approved = m.approved
	t.s.Deadline = snapOf(m.timers[runDeadline])
	t.s.Scope = t.scope(m.scope)
	if m.root != nil && m.root.state != frameClosed {
		t.s.Root = m.root.id
		t.frame(m.root)
	}
	for h := m.first; h != nil; h = h.next {
		if w, ok := h.wish.(*run.CancelWish); ok && h.node == nil {
			t.s.Cut = append(t.s.Cut, *t.call(m.calls[w.Path], true))
		}
	}
	for _, n := range m.ready[m.served:] {
		if n.f.state == frameOpen {
			t.s.Ready = append(t.s.Ready, place{n.f.id, n.slot})
		}
	}
	for i := 0; i < len(t.scopes); i++ { // t.scope adds parents as they are met
		s := t.scopes[i]
		out := snapScope{Parent: t.scope(s.parent), Limits: s.limits, Spent: s.spent, Reserved: s.reserved, InFlight: s.inFlight}
		for _, c := range s.waiting {
			if c.blocked == s {
				out.Waiting = append(out.Waiting, place{c.node.f.id, c.node.slot})
			}
		}
		t.s.Scopes = append(t.s.Scopes, out)
	}
	for _, s := range t.scopes {
		s.id = 0
	}
	if t.err != nil {
		return nil, fmt.Errorf("snapshot of run %s: %w", m.id, t.err)
	}
	return json.Marshal(&t.s)
}

func (t *taker) value(v any) json.RawMessage {
	raw, err := run.EncodeValue(v)
	if err != nil && t.err == nil {
		t.err = err
	}
	return raw
}

func (t *taker) end(f *run.Finished) json.RawMessage {
	if f == nil {
		return nil
	}
	raw, err := run.EncodeFact(run.Fact{Seq: 1, Body: f})
	if err != nil && t.err == nil {
		t.err = err
	}
	return raw
}

func (t *taker) scope(s *scope) uint64 {
	if s == nil {
		return 0
	}
	if s.id == 0 {
		t.scopes = append(t.scopes, s)
		s.id = uint64(len(t.scopes))
	}
	return s.id
}

func snapOf(x *timer) *snapTimer {
	if x == nil {
		return nil
	}
	return &snapTimer{x.id, x.kind, x.until, x.after, x.wish.open}
}

func (t *taker) frame(f *frame) {
	out := snapFrame{ID: f.id, Block: f.block, Part: f.part, Path: f.key[len(t.s.ID)+1:], Scope: t.scope(f.scope), State: f.state, Err: f.err, Left: f.left, Holding: f.holding, Limit: f.limit, Running: f.running,
		Won: f.won, Lost: f.lost, Nodes: make([]snapNode, len(f.nodes))}
	if f.owner != nil {
		out.Owner = place{f.owner.f.id, f.owner.slot}
	}
	if len(f.binds) > 0 {
		out.Binds = t.value(f.binds)
	}
	for _, n := range f.queue {
		out.Queue = append(out.Queue, n.slot)
	}
	for i := range f.nodes {
		n := &f.nodes[i]
		o := &out.Nodes[i]
		*o = snapNode{State: n.state, Intent: n.intent, Tried: n.tried, Held: n.held, Err: n.err, Timer: snapOf(n.timer), Scope: t.scope(n.scope)}
		if n.value != nil {
			o.Value = t.value(n.value)
		}
		if n.call != nil {
			o.Call = t.call(n.call, false)
		}
		if n.many != nil {
			o.Many = t.many(n.many)
		}
		if n.computing != nil {
			o.Computing = t.computing(n.computing)
		}
	}
	t.s.Frames = append(t.s.Frames, out)
	for i := range f.nodes {
		for _, kid := range f.nodes[i].kids {
			t.frame(kid)
		}
	}
}

func (t *taker) call(c *call, cut bool) *snapCall {
	out := &snapCall{Attempt: c.attempt, Retries: c.retries, Repair: c.repair, State: c.state, Due: c.due, Effect: c.effect, Free: c.free,
		Scope: t.scope(c.scope), Need: c.need, Reserved: c.reserved, Told: c.told, Open: c.wish.open, Cancel: c.cancelled()}
	if cut {
		out.Path, out.Order = c.path, c.cancel.order
	}
	if w, ok := c.wish.wish.(*run.AskWish); ok && c.state == callAsked {
		out.Actions, out.More = w.Form.Actions, w.Form.More
	}
	if c.invalid != nil {
		out.Problems = c.invalid.problems
		if c.invalid.answer != nil {
			out.Answer = t.value(c.invalid.answer)
		}
	}
	if a := c.asking; a != nil {
		out.Asking = &snapAsking{Count: a.count, Form: a.form, Token: a.token}
		if a.answer != nil {
			out.Asking.Answer = &snapAnswer{a.answer.Token, t.value(a.answer.Value)}
		}
	}
	return out
}

func (t *taker) computing(c *computing) *snapComputing {
	out := &snapComputing{Tried: c.tried, Again: c.again, Falling: c.falling, At: c.at, Path: c.path}
	for _, v := range c.values {
		s := snapComputed{Err: v.err}
		if v.value != nil {
			s.Value = t.value(v.value)
		}
		out.Values = append(out.Values, s)
	}
	if w, ok := c.wish.wish.(*run.ComputeWish); ok && c.wish.open {
		out.Code, out.Env, out.Render = w.Code, t.value(w.Env), w.Render
	}
	return out
}

func (t *taker) many(x *many) *snapMany {
	out := &snapMany{Next: x.next, Running: x.running, Ended: x.ended, Allowed: x.allowed, Level: x.level, Round: x.round}
	if x.items != nil {
		out.Items = t.value(x.items)
	}
	if x.results != nil {
		out.Results = t.value(x.results)
	}
	if x.value != nil {
		out.Value = t.value(x.value)
	}
	for _, l := range x.missed {
		out.Missed = append(out.Missed, snapMissed{l.index, l.err})
	}
	return out
}
