package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// Entry derives what lists show of a run from its facts. Without its plan, or of facts that do not fit it, it says what the facts themselves say.
func Entry(id run.ID, p *plan.Plan, facts []run.Fact) store.Entry {
	var began time.Time
	var o run.Options
	if len(facts) == 0 {
		return store.Entry{Run: id, Status: run.Queued}
	}
	if b, ok := facts[0].Body.(*run.Started); ok {
		began, o = facts[0].At, b.Options
	}
	last := facts[len(facts)-1]
	e := entry(id, p, o, began)
	e.Seq, e.Status = last.Seq, run.Running
	var usage run.Usage
	if m := replay(id, p, facts); m != nil {
		e.Status, usage = m.Status(), m.Usage()
		for w := range m.Open() {
			if ask, ok := w.(*run.AskWish); ok {
				e.Waiting = append(e.Waiting, ask.Path)
			}
		}
		slices.Sort(e.Waiting)
	}
	e.Cost, e.CostSource = usage.Cost, usage.CostSource
	if b, ok := last.Body.(*run.Finished); ok {
		conclude(&e, b, last.At)
	}
	return e
}

// replay folds facts as far as they fit their plan; nil when they do not.
func replay(id run.ID, p *plan.Plan, facts []run.Fact) *machine.Machine {
	if p == nil || len(p.Blocks) == 0 {
		return nil
	}
	m := machine.New(id, p)
	for _, f := range facts {
		if _, err := m.Apply(f); err != nil && !errors.Is(err, machine.ErrStale) {
			return nil
		}
	}
	return m
}

// entry is what never changes about a run.
func entry(id run.ID, p *plan.Plan, o run.Options, began time.Time) store.Entry {
	e := store.Entry{Run: id, Started: began, Pool: o.Pool, Tenant: o.Tenant, Tags: o.Tags}
	if p != nil {
		e.Flow = p.Name
	}
	return e
}

func conclude(e *store.Entry, b *run.Finished, at time.Time) {
	e.Status, e.Finished, e.Cost, e.CostSource, e.Waiting = b.Status, at, b.Usage.Cost, b.Usage.CostSource, nil
	if b.Error != nil {
		e.Code = b.Error.Code
	}
}

// list hands the entry of the run to the clerk when it has changed. It is looked at once a turn, when all is stored.
func (s *session) list() {
	status := s.machine.Status()
	if status == s.listed && !s.relist {
		return
	}
	s.listed, s.relist = status, false
	e := entry(s.id, s.plan, s.options, s.began)
	e.Seq, e.Status = s.head, status
	if s.finished != nil {
		conclude(&e, s.finished, s.now)
		s.filed = s.engine.clerk.put(s.engine, e)
		return
	}
	u := s.machine.Usage()
	e.Cost, e.CostSource = u.Cost, u.CostSource
	for path := range s.asks {
		e.Waiting = append(e.Waiting, path)
	}
	slices.Sort(e.Waiting)
	s.engine.clerk.put(s.engine, e)
}

// clerk writes entries beside the work of the runs: of each run the newest only, and those of many runs together, so a store that is slow is asked less often. An
// entry that could not be written is written when the run changes next or is folded next.
type clerk struct {
	mu      sync.Mutex
	pending map[run.ID]*draft
	writing bool
}

type draft struct {
	entry   store.Entry
	written chan struct{} // closed when it was tried
}

// maxDrafts is how many entries are written together.
const maxDrafts = 256

// put has an entry written soon. What it returns is closed when that was tried.
func (c *clerk) put(e *Engine, entry store.Entry) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.pending[entry.Run]; d != nil {
		d.entry = entry
		return d.written
	}
	if c.pending == nil {
		c.pending = map[run.ID]*draft{}
	}
	d := &draft{entry, make(chan struct{})}
	c.pending[entry.Run] = d
	if !c.writing {
		c.writing = true
		e.workers.do(func() { c.write(e) })
	}
	return d.written
}

func (c *clerk) write(e *Engine) {
	for drafts := c.next(); len(drafts) > 0; drafts = c.next() {
		entries := make([]store.Entry, len(drafts))
		for i, d := range drafts {
			entries[i] = d.entry
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), releaseTimeout)
		err := e.store.PutEntries(ctx, entries...)
		if err != nil && len(entries) > 1 { // the trouble of one is not everybody's
			err = nil
			for _, entry := range entries {
				err = cmp.Or(e.store.PutEntries(ctx, entry), err)
			}
		}
		e.heed(&e.troubles.listing, "list runs", err) // derived: it never fails a run
		cancel()
		for _, d := range drafts {
			close(d.written)
		}
	}
}

func (c *clerk) next() []*draft {
	c.mu.Lock()
	defer c.mu.Unlock()
	drafts := make([]*draft, 0, min(len(c.pending), maxDrafts))
	for id, d := range c.pending {
		if len(drafts) == maxDrafts {
			break
		}
		delete(c.pending, id)
		drafts = append(drafts, d)
	}
	c.writing = len(drafts) > 0
	return drafts
}

// Relist derives the entry of a run from its facts again, as after a write that was lost.
func (e *Engine) Relist(ctx context.Context, id run.ID) error {
	facts, p, err := e.history(ctx, id)
	if err == nil {
		err = e.store.PutEntries(ctx, Entry(id, p, facts))
	}
	if err != nil {
		return fmt.Errorf("list run %s: %w", id, outward(err))
	}
	return nil
}
