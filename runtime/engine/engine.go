// Package engine carries runs out: it owns every goroutine, clock and slot that the machine does without.
//
// Each run has a session: one goroutine around one machine. Calls are made by a pool of workers. Nothing is granted, and nobody is told, before the facts
// that led to it are stored; so a crash at any point loses only work that nobody has heard of.
package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/metrics"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

// What Config leaves open.
const (
	DefaultParallel = 1000             // calls at a time in a process
	DefaultGrace    = 10 * time.Second // for a `do` that was told to end
	patience        = time.Second      // for a `think` or `read` to say what it used; it should have ended already
	releaseTimeout  = 2 * time.Second
	maxPlans        = 256 // hashes kept of plans that were started

	DefaultLease    = 15 * time.Second // for stores that several machines share: what a crash of one costs at most, and a third of it between two extensions
	DefaultResident = 2000             // runs with a session: some 100 MiB of typical ones
	DefaultQueued   = 10_000           // runs that wait for a session
	DefaultLinger   = 10 * time.Second // a person who reads a question and answers at once
)

// Config says what an engine works with. The zero value works: it keeps runs in memory and knows no agents.
type Config struct {
	Store       store.Store
	Registry    *agent.Registry
	Secrets     func(name string) (string, error) // nil: there are none; called from many goroutines
	MaxParallel int                               // calls at a time, over all runs; 0: DefaultParallel
	MaxPerFlow  int                               // calls at a time of all runs of one flow; 0: no limit of its own
	Grace       time.Duration                     // how long the end of a cancelled `do` is awaited; 0: DefaultGrace
	Shared      bool                              // the limits of agents and flows hold over all processes that share the store
	Pool        string                            // of the runs that are started here, and of those that Work takes up
	Sweep       time.Duration                     // how often Work looks for runs that were left behind; 0: DefaultSweep, and with a Lease DefaultLeaseSweep
	MaxResident int                               // runs in memory at a time; more wait in line. 0: DefaultResident
	MaxQueued   int                               // runs that may wait in line: Start refuses more. 0: DefaultQueued
	Linger      time.Duration                     // how long a run that only waits stays in memory; 0: DefaultLinger
	Lease       time.Duration                     // 0: leases do not lapse by time; DefaultLease where other machines share the store
	Owner       string                            // names this process in leases, best as presence does; "": a random name
	Folder      string                            // of the flows: agents see it as theirs
	Forgets     bool                              // the store may lose its last seconds, as a Redis that syncs once a second: they are kept, to be written again
	Inline      int                               // texts and files of more bytes are kept apart from facts; 0: DefaultInline
	Unstored    Unstored                          // what may begin while the store cannot be reached
	Entropy     io.Reader                         // for ids and seeds; nil: crypto/rand
	Leftovers   func() int                        // ends what dead processes of this machine left running, before a run is taken up, and counts it. nil: nothing does
	Metrics     *metrics.Book                     // counts what the runs here do; nil: nobody does
	Log         *slog.Logger                      // hears of what nobody waits for: runs that stop, a store that fails for a while; nil: nobody
}

// Engine implements runs.Runs.
type Engine struct {
	store    store.Store
	registry *agent.Registry
	secrets  func(string) (string, error)
	grace    time.Duration
	patience time.Duration
	ttl      time.Duration
	owner    string
	folder   string
	inline   int
	forgets  bool
	entropy  io.Reader
	pool     string
	sweep    time.Duration
	appetite chan struct{} // there may be room for more
	linger   time.Duration
	seats    int // sessions at most
	queued   int // runs in line at most
	limits   *limits
	flows    *limits // gates before the flows' calls
	perFlow  int
	shared   bool
	cache    cache
	tier     tier
	commons  commons
	sweeper  sweeper
	outages  outages
	clerk    clerk
	workers  pool
	leftover func() int
	metrics  *metrics.Book
	log      *slog.Logger
	troubles troubles
	ctx      context.Context
	stop     context.CancelCauseFunc
	group    sync.WaitGroup // sessions and the listener

	mu        sync.Mutex
	sessions  map[run.ID]*session
	plans     map[*plan.Plan]*storedPlan
	decoded   map[string]*plan.Plan // those that were read back, by hash
	adopting  map[run.ID]bool       // on their way to a session
	agenda    agenda
	viewers   map[run.ID][]*arrival // who wants to know that a run is at work here
	listening bool
	dismiss   func() // ends Work; nil: this engine is no worker
	draining  bool
	closed    bool
}

var _ runs.Runs = (*Engine)(nil)

// New returns an engine. It starts no goroutine before its first run.
func New(c Config) *Engine {
	e := &Engine{
		store: c.Store, registry: c.Registry, secrets: c.Secrets, grace: c.Grace, patience: patience, ttl: c.Lease, owner: c.Owner, folder: c.Folder,
		entropy: c.Entropy, sessions: map[run.ID]*session{}, adopting: map[run.ID]bool{}, plans: map[*plan.Plan]*storedPlan{},
		decoded: map[string]*plan.Plan{},
	}
	if e.store == nil {
		e.store = memory.New()
	}
	if e.registry == nil {
		e.registry = agent.NewRegistry()
	}
	if e.grace <= 0 {
		e.grace = DefaultGrace
	}
	e.forgets = c.Forgets
	if e.inline = c.Inline; e.inline <= 0 {
		e.inline = DefaultInline
	}
	e.patience = min(e.patience, e.grace)
	if e.entropy == nil {
		e.entropy = rand.Reader
	}
	if e.owner == "" {
		var name [8]byte
		_, _ = io.ReadFull(rand.Reader, name[:]) // never fails: crypto/rand ends the process instead
		e.owner = hex.EncodeToString(name[:])
	}
	room := c.MaxParallel
	if room <= 0 {
		room = DefaultParallel
	}
	e.limits, e.flows, e.perFlow = newLimits(room), newGates(), c.MaxPerFlow
	e.pool, e.sweep, e.appetite = c.Pool, c.Sweep, make(chan struct{}, 1)
	if e.sweep <= 0 && e.ttl > 0 {
		e.sweep = DefaultLeaseSweep
	}
	if e.sweep <= 0 {
		e.sweep = DefaultSweep
	}
	e.seats, e.queued, e.linger = c.MaxResident, c.MaxQueued, c.Linger
	if e.seats <= 0 {
		e.seats = DefaultResident
	}
	if e.queued <= 0 {
		e.queued = DefaultQueued
	}
	if e.linger <= 0 {
		e.linger = DefaultLinger
	}
	_, e.tier.off = e.store.(*memory.Store)
	e.tier.engine = e
	e.commons.init(e)
	if e.leftover = c.Leftovers; e.leftover == nil {
		e.leftover = func() int { return 0 }
	}
	e.metrics = c.Metrics
	if e.log = c.Log; e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.outages.init(c.Unstored)
	e.ctx, e.stop = context.WithCancelCause(context.Background())
	if e.shared = c.Shared; e.shared {
		sh := &sharing{e.store, e.owner, e.ctx, e.workers.do}
		e.limits.sharing, e.flows.sharing = sh, sh
	}
	return e
}

// Start implements runs.Runs: the plan is stored under its hash and Started is fact 1 before the caller hears of the run.
func (e *Engine) Start(ctx context.Context, p *plan.Plan, inputs map[string]any, o run.Options) (run.ID, error) {
	return e.reached(ctx, func(ctx context.Context) (run.ID, error) { return e.start(ctx, p, inputs, o) })
}

func (e *Engine) start(ctx context.Context, p *plan.Plan, inputs map[string]any, o run.Options) (run.ID, error) {
	s, first, err := e.draft(ctx, p, inputs, o)
	if err != nil {
		return "", err
	}
	seated, err := e.seat(ctx, s)
	if err != nil {
		s.stop(nil)
		return "", err
	}
	if seated {
		defer e.stand(s.id)
	}
	if !seated {
		if err := e.create(ctx, s, first); err != nil {
			return "", err
		}
		e.line(ctx, s, first, first.Seq)
		return s.id, nil
	}
	if err := s.open(ctx, first); err != nil {
		return "", err
	}
	return s.id, e.animate(s)
}

// Submit stores a new run as Start does and leaves it to another process, which adopts it: nothing of it runs here.
func (e *Engine) Submit(ctx context.Context, p *plan.Plan, inputs map[string]any, o run.Options) (run.ID, error) {
	return e.reached(ctx, func(ctx context.Context) (run.ID, error) {
		s, first, err := e.draft(ctx, p, inputs, o)
		if err != nil {
			return "", err
		}
		return e.submit(ctx, s, first)
	})
}

// submit stores a run that another process is to adopt.
func (e *Engine) submit(ctx context.Context, s *session, facts ...run.Fact) (run.ID, error) {
	if err := e.create(ctx, s, facts...); err != nil {
		return "", err
	}
	s.stop(nil)
	e.dropped("list a run", s.id, e.store.PutEntries(ctx, Entry(s.id, s.plan, facts))) // derived: whoever adopts the run writes it too
	if err := e.store.Release(ctx, s.lease.Load().Lease); err != nil {
		return s.id, fmt.Errorf("give run %s away: %w", s.id, err)
	}
	return s.id, nil
}

// draft makes a new run that is not stored yet, with a session that does nothing yet.
func (e *Engine) draft(ctx context.Context, p *plan.Plan, inputs map[string]any, o run.Options) (*session, run.Fact, error) {
	if o.Pool == "" {
		o.Pool = e.pool
	}
	given, err := readInputs(p, inputs)
	if err != nil {
		return nil, run.Fact{}, err
	}
	if !o.Cache.Known() {
		return nil, run.Fact{}, fmt.Errorf("%w: the cache has no mode %q", runs.ErrInput, o.Cache)
	}
	hash, err := e.keep(ctx, p)
	if err != nil {
		return nil, run.Fact{}, fmt.Errorf("store the plan of %s: %w", p.Name, err)
	}
	now := time.Now().UTC().Round(0)
	id, seed, err := e.name(now)
	if err != nil {
		return nil, run.Fact{}, err
	}
	if o.ID != "" {
		id = o.ID
	}
	started := &run.Started{Plan: hash, Inputs: given, Options: o, Seed: seed, Machine: machine.Version}
	first := run.Fact{Seq: 1, At: now, Body: started}
	s := e.newSession(id, p, first)
	shelved, err := e.shelve(ctx, s.redactor.value(given))
	if err != nil {
		return nil, run.Fact{}, fmt.Errorf("store the inputs of %s: %w", p.Name, err)
	}
	started.Inputs, _ = shelved.(map[string]any)
	s.now = now
	return s, first, nil
}

// create stores a new run, leased to this engine.
func (e *Engine) create(ctx context.Context, s *session, facts ...run.Fact) error {
	asked := wall()
	lease, err := e.store.Create(ctx, s.id, e.owner, e.ttl, facts...)
	if err != nil {
		if lease, err = e.reclaim(ctx, s.id, facts, err); err != nil {
			s.stop(nil)
			if errors.Is(err, store.ErrExists) && s.options.ID != "" {
				return fmt.Errorf("start run %s: %w", s.id, runs.ErrExists)
			}
			return fmt.Errorf("start a run of %s: %w", s.plan.Name, err)
		}
	}
	s.lease.Store(e.held(lease, asked))
	if s.tally != nil {
		s.tally.Begun()
	}
	return nil
}

// seat reserves the place of a session for a new run. Without one the run is to wait in line, unless too many do.
func (e *Engine) seat(ctx context.Context, s *session) (bool, error) {
	e.mu.Lock()
	switch {
	case e.closed, e.draining:
		e.mu.Unlock()
		return false, runs.ErrClosed
	case e.room():
		e.adopting[s.id] = true
		e.mu.Unlock()
		return true, nil
	}
	line := len(e.agenda.ready)
	e.mu.Unlock()
	if e.works(s.options.Pool) {
		var err error
		if line, err = e.store.Queued(ctx, e.pool); err != nil {
			return false, fmt.Errorf("start a run of %s: %w", s.plan.Name, err)
		}
	}
	if line >= e.queued {
		return false, &runs.BusyError{Bound: e.queued}
	}
	return false, nil
}

// stand gives the place up that seat reserved; the session has its own by then.
func (e *Engine) stand(id run.ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.adopting, id)
	e.dispatch()
}

// line has a new run wait for a session.
func (e *Engine) line(ctx context.Context, s *session, first run.Fact, head run.Seq) {
	s.stop(errResting)
	waiting := entry(s.id, s.plan, s.options, s.began)
	waiting.Status, waiting.Seq = run.Queued, head
	e.clerk.put(e, waiting)
	err := e.store.Rest(context.WithoutCancel(ctx), s.lease.Load().Lease, head, first.At)
	if err == nil && e.works(s.options.Pool) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.agenda.put(&appointment{id: s.id, head: head, at: first.At, priority: s.priority})
	e.dispatch()
}

// works reports whether the store's queue wakes the runs of a pool, so that this engine needs not.
func (e *Engine) works(pool string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dismiss != nil && pool == e.pool
}

// Resident counts the runs that have a session, and so cost memory.
func (e *Engine) Resident() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sessions)
}

// crowded reports whether so many runs are in memory that those which only wait should leave at once.
func (e *Engine) crowded() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sessions) > e.seats/2 || len(e.agenda.ready) > 0
}

// reclaim looks whether a run was created after all, when the store could not say. A run of the same id that another request began has another seed, or, as a fork
// of the same origin, began at another time.
func (e *Engine) reclaim(ctx context.Context, id run.ID, created []run.Fact, cause error) (run.Lease, error) {
	facts, err := e.store.Load(ctx, id, 0)
	if err != nil || len(facts) != len(created) || len(created) == 0 {
		return run.Lease{}, cause
	}
	ours, _ := created[0].Body.(*run.Started)
	if found, ok := facts[0].Body.(*run.Started); !ok || ours == nil || found.Seed != ours.Seed || !facts[0].At.Equal(created[0].At) {
		return run.Lease{}, cause
	}
	if _, ended := facts[len(facts)-1].Body.(*run.Finished); ended {
		return run.Lease{Run: id, Owner: e.owner}, nil // there is nothing left to lease
	}
	return e.store.Claim(ctx, id, e.owner, e.ttl)
}

// name makes the id and the seed of a new run.
func (e *Engine) name(at time.Time) (run.ID, uint64, error) {
	var dice [18]byte
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := io.ReadFull(e.entropy, dice[:]); err != nil {
		return "", 0, fmt.Errorf("roll the dice for a new run: %w", err)
	}
	return run.NewID(at, [10]byte(dice[:10])), binary.LittleEndian.Uint64(dice[10:]), nil
}

// storedPlan is a plan that is stored under its hash, or is about to be.
type storedPlan struct {
	done chan struct{} // closed when that was tried
	hash string        // "": it failed
}

// keep stores a plan under its hash. A plan that was started before costs a look-up; of many who start it at the same time one stores it.
func (e *Engine) keep(ctx context.Context, p *plan.Plan) (string, error) {
	for {
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return "", runs.ErrClosed
		}
		k := e.plans[p]
		if k == nil {
			if len(e.plans) >= maxPlans {
				clear(e.plans)
			}
			k = &storedPlan{done: make(chan struct{})}
			e.plans[p] = k
			e.mu.Unlock()
			return e.storePlan(ctx, p, k)
		}
		e.mu.Unlock()
		select {
		case <-k.done:
		case <-ctx.Done():
			return "", ctx.Err()
		}
		if k.hash != "" {
			return k.hash, nil
		}
	}
}

func (e *Engine) storePlan(ctx context.Context, p *plan.Plan, k *storedPlan) (string, error) {
	defer func() {
		e.mu.Lock()
		if k.hash == "" && e.plans[p] == k {
			delete(e.plans, p) // who waits tries for itself
		}
		e.mu.Unlock()
		close(k.done)
	}()
	hash, err := e.store.PutBlob(ctx, plan.Encode(p)) // it is plan.Hash
	if err != nil {
		return "", err
	}
	k.hash = hash
	return hash, nil
}

// Adopt takes up a run that no process is at work on: after a crash, or on another machine. It folds the log and goes on where the run was.
// store.ErrHeld when another holds it, runs.ErrFinished, runs.ErrNotFound.
func (e *Engine) Adopt(ctx context.Context, id run.ID) error {
	if ok, err := e.mayAdopt(id); !ok {
		return err
	}
	defer e.stand(id)
	return e.adopt(ctx, id)
}

// adopt takes up a run whose place is reserved.
func (e *Engine) adopt(ctx context.Context, id run.ID) error {
	asked := wall()
	lease, err := e.store.Claim(ctx, id, e.owner, e.ttl)
	if err != nil {
		return fmt.Errorf("take up run %s: %w", id, outward(err))
	}
	if n := e.leftover(); n > 0 { // they would be under way beside the call that is made again
		e.log.Info("ended what a dead process left running", "commands", n)
	}
	facts, p, err := e.history(ctx, id)
	if err != nil {
		e.release(lease)
		return fmt.Errorf("take up run %s: %w", id, outward(err))
	}
	s := e.newSession(id, p, facts[0])
	s.lease.Store(e.held(lease, asked))
	s.refresh(facts)
	if s.tally != nil && len(facts) == 1 && !s.sleeps() {
		s.tally.Waited(time.Now())
	}
	if err := e.animate(s); err != nil {
		return err
	}
	e.log.Info("took up a run", "run", id, "facts", len(facts))
	s.post(letter{kind: toldLetter}) // what was told between the reading of the log and here found no session
	return nil
}

// mayAdopt reserves a run for one caller. A run that is at work here needs nothing.
func (e *Engine) mayAdopt(id run.ID) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed, e.draining:
		return false, runs.ErrClosed
	case e.sessions[id] != nil:
		return false, nil
	case e.adopting[id]:
		return false, fmt.Errorf("take up run %s: %w", id, store.ErrHeld)
	}
	e.adopting[id] = true
	return true, nil
}

// Recover takes up every unfinished run that nobody holds, and returns how many.
func (e *Engine) Recover(ctx context.Context) (int, error) {
	count := 0
	for id, err := range e.store.Unfinished(ctx, "") {
		if err != nil {
			return count, err
		}
		switch err := e.Adopt(ctx, id); {
		case err == nil:
			count++
		case errors.Is(err, store.ErrHeld), errors.Is(err, runs.ErrFinished):
		default:
			return count, err
		}
	}
	return count, nil
}

// errUnread is for a history that the store has and nobody can read.
var errUnread = errors.New("its history makes no sense")

// history reads the facts of a run and its plan.
func (e *Engine) history(ctx context.Context, id run.ID) ([]run.Fact, *plan.Plan, error) {
	facts, err := e.store.Load(ctx, id, 0)
	if err != nil {
		return nil, nil, err
	}
	if len(facts) == 0 {
		return nil, nil, fmt.Errorf("%w: it is empty", errUnread)
	}
	started, ok := facts[0].Body.(*run.Started)
	if !ok {
		return nil, nil, fmt.Errorf("%w: it does not begin with started", errUnread)
	}
	e.mu.Lock()
	p := e.decoded[started.Plan]
	e.mu.Unlock()
	if p != nil {
		return facts, p, nil
	}
	data, err := e.store.GetBlob(ctx, started.Plan)
	if err != nil {
		return nil, nil, fmt.Errorf("its plan: %w", err)
	}
	if p, err = plan.Decode(data); err != nil {
		return nil, nil, fmt.Errorf("%w: its plan: %w", errUnread, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.decoded) >= maxPlans {
		clear(e.decoded)
	}
	e.decoded[started.Plan] = p
	return facts, p, nil
}

// newSession makes the session of a run from its first fact.
func (e *Engine) newSession(id run.ID, p *plan.Plan, first run.Fact) *session {
	o := first.Body.(*run.Started).Options
	s := &session{
		engine: e, id: id, plan: p, options: o, began: first.At, tenant: o.Tenant, priority: o.Priority, parallel: o.MaxParallel, machine: machine.New(id, p),
		callees: map[*types.Signature]*callee{}, flights: map[attempt]*flight{}, parked: map[run.WishID]*parked{},
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if e.metrics != nil {
		s.tally = e.metrics.Tally(o.Tenant, p.Name, first.At)
	}
	if e.perFlow > 0 {
		s.gate = e.flows.line("flow "+p.Name, agent.Limits{Limit: e.perFlow})
	}
	s.ctx, s.stop = context.WithCancelCause(e.ctx)
	s.secretFunc = s.secret
	for _, name := range p.Secrets {
		_, _ = s.secret(name) // known from the start, since an answer may hold it before a call asks for it; one that cannot be had fails that call
	}
	return s
}

// animate gives a session its goroutine.
func (e *Engine) animate(s *session) error {
	e.mu.Lock()
	if e.closed || e.draining {
		e.mu.Unlock()
		s.stop(errClosing)
		e.handOver(s)
		return runs.ErrClosed
	}
	defer e.mu.Unlock()
	e.sessions[s.id] = s
	e.agenda.drop(s.id)
	for _, a := range e.viewers[s.id] {
		a.come()
	}
	delete(e.viewers, s.id)
	if !e.listening {
		e.listening = true
		e.group.Add(1)
		go e.listener()
		if e.ttl > 0 {
			e.group.Add(1)
			go e.keeper()
		}
		if e.shared {
			e.group.Add(1)
			go e.sharer()
		}
	}
	e.group.Add(1)
	go s.live()
	return nil
}

// release gives a lease back. One that is not given back lapses.
func (e *Engine) release(lease run.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), releaseTimeout)
	defer cancel()
	e.dropped("give a lease back", lease.Run, e.store.Release(ctx, lease)) // it lapses
}

// handOver gives the lease of an unfinished run back and lets another worker of the pool know.
func (e *Engine) handOver(s *session) {
	e.release(s.lease.Load().Lease)
	if e.pool == "" || s.options.Pool != e.pool {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), releaseTimeout)
	defer cancel()
	e.dropped("hand a run over", s.id, e.store.Enqueue(ctx, store.Hint{Run: s.id, Pool: e.pool, Priority: s.priority})) // else a sweep finds the run
}

// listener wakes the sessions of runs that are told something through the store.
func (e *Engine) listener() {
	defer e.group.Done()
	rest := firstRest
	for e.ctx.Err() == nil {
		for id, err := range e.store.Told(e.ctx) {
			e.heed(&e.troubles.told, "hear what runs are told", err)
			if err != nil {
				break
			}
			rest = firstRest
			e.told(id)
		}
		timer := time.NewTimer(rest)
		select {
		case <-timer.C:
		case <-e.ctx.Done():
			timer.Stop()
		}
		rest = min(2*rest, longRest)
	}
}

// told passes on that a run was told something; "" that any may have been.
func (e *Engine) told(id run.ID) {
	if id != "" {
		if s := e.session(id); s == nil || !s.post(letter{kind: toldLetter}) {
			e.hurry(id)
		}
		return
	}
	_ = e.commons.mend(e.ctx, time.Now()) // a store that is listened to again may have lost something; if it is away again, so it is told of again
	for _, s := range e.all() {
		s.post(letter{kind: toldLetter})
	}
	e.missed(e.ctx)
}

func (e *Engine) all() []*session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.sessions))
}

func (e *Engine) session(id run.ID) *session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions[id]
}

// forget lets go of a session that is over; when its run rests, with the appointment for it.
func (e *Engine) forget(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sessions[s.id] == s {
		delete(e.sessions, s.id)
	}
	if s.appointment != nil {
		e.agenda.put(s.appointment)
	}
	e.dispatch()
	e.hunger()
}

// callee finds who serves a capability of a plan.
func (e *Engine) callee(sig *types.Signature) *callee {
	c := &callee{pinned: sig, do: sig.Effect != types.Think && sig.Effect != types.Read}
	if len(sig.Defaults) > 0 {
		if v, err := decode(string(sig.Defaults)); err == nil {
			c.defaults, _ = v.(map[string]any)
		}
	}
	name, bounds := sig.Name, agent.Limits{}
	if a, _, ok := e.registry.Lookup(sig.Name); ok {
		c.agent = a
		name, bounds, _ = e.registry.Owner(sig.Name)
		c.vitals = e.registry.Vitals(sig.Name)
	}
	c.line = e.limits.line(name, bounds)
	c.inline = sig.Free && !c.line.bounded()
	return c
}

// Wait implements runs.Runs.
func (e *Engine) Wait(ctx context.Context, id run.ID) (run.Finished, error) {
	var after run.Seq
	if s := e.session(id); s != nil {
		select {
		case <-s.done:
		case <-ctx.Done():
			return run.Finished{}, ctx.Err()
		}
		switch {
		case s.finished != nil:
			return e.whole(ctx, *s.finished)
		case errors.Is(s.err, errClosing):
			return run.Finished{}, runs.ErrClosed
		case errors.Is(s.err, errResting):
			after = s.head
		case !errors.Is(s.err, store.ErrFenced):
			return run.Finished{}, s.err
		}
	}
	if after > 0 {
		// It ends after what its session has seen.
	} else if facts, err := e.store.Load(ctx, id, 0); err != nil {
		return run.Finished{}, outward(err)
	} else if n := len(facts); n > 0 {
		after = facts[n-1].Seq - 1
	}
	tail, cancel := e.whileOpen(ctx)
	defer cancel()
	for f, err := range e.store.Tail(tail, id, after) {
		if err != nil {
			return run.Finished{}, e.ended(ctx, err)
		}
		if b, ok := f.Body.(*run.Finished); ok {
			return e.whole(ctx, *b)
		}
	}
	return run.Finished{}, fmt.Errorf("the history of run %s ends without an end", id)
}

// whole is the end of a run with its value as it is, large parts included.
func (e *Engine) whole(ctx context.Context, f run.Finished) (run.Finished, error) {
	value, err := e.fetch(ctx, f.Value)
	f.Value = value
	return f, err
}

// whileOpen is a context that ends with ctx or with the engine; ended says which it was.
func (e *Engine) whileOpen(ctx context.Context) (context.Context, func()) {
	open, cancel := context.WithCancel(ctx)
	detach := context.AfterFunc(e.ctx, cancel)
	return open, func() { detach(); cancel() }
}

func (e *Engine) ended(ctx context.Context, err error) error {
	if ctx.Err() == nil && e.ctx.Err() != nil {
		return runs.ErrClosed
	}
	return outward(err)
}

// Cancel implements runs.Runs.
func (e *Engine) Cancel(ctx context.Context, id run.ID, by, reason string) error {
	return e.request(ctx, id, reason, func(reason string) run.Body { return &run.CancelAsked{By: by, Reason: reason} })
}

// Pause implements runs.Runs.
func (e *Engine) Pause(ctx context.Context, id run.ID, by, reason string) error {
	return e.request(ctx, id, reason, func(reason string) run.Body { return &run.PauseAsked{By: by, Reason: reason} })
}

// Resume implements runs.Runs.
func (e *Engine) Resume(ctx context.Context, id run.ID, by, reason string) error {
	return e.request(ctx, id, reason, func(reason string) run.Body { return &run.ResumeAsked{By: by, Reason: reason} })
}

// request goes to the session, or, when the run is at work elsewhere or nowhere, into its log. Who asks may have named a secret among the reasons.
func (e *Engine) request(ctx context.Context, id run.ID, reason string, body func(reason string) run.Body) error {
	if err, ok := e.mail(ctx, id, letter{kind: requestLetter, request: body, reason: reason}); ok {
		return err
	}
	_, err := e.reached(ctx, func(ctx context.Context) (run.ID, error) {
		var secrets redactor
		if reason != "" && e.secrets != nil {
			_, p, err := e.history(ctx, id)
			if err != nil {
				return id, err
			}
			e.acquaint(p, &secrets)
		}
		_, err := e.store.Tell(ctx, id, run.Fact{At: time.Now().UTC().Round(0), Body: body(secrets.reason(reason))}, "")
		return id, err
	})
	return err
}

// mail hands a letter to the session of a run and waits for the reply; ok is false when there is none here.
func (e *Engine) mail(ctx context.Context, id run.ID, l letter) (err error, ok bool) {
	s := e.session(id)
	if s == nil {
		return nil, false
	}
	l.reply = make(chan error, 1)
	if !s.post(l) {
		return nil, false
	}
	select {
	case err := <-l.reply:
		switch {
		case errors.Is(err, errResting), errors.Is(err, store.ErrFenced):
			return nil, false // nothing of it was stored
		case errors.Is(err, errClosing):
			err = runs.ErrClosed
		}
		return err, true
	case <-ctx.Done():
		return ctx.Err(), true
	}
}

// Close ends the engine: calls in flight are cancelled, leases go back, and every goroutine ends. Runs that are not finished stay so in their store, for
// Adopt. It returns ctx.Err() when an agent does not end in time; its goroutine is then lost with it.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	if e.agenda.timer != nil {
		e.agenda.timer.Stop()
	}
	e.mu.Unlock()
	e.stop(errClosing)
	for _, s := range e.all() {
		s.post(letter{kind: nudgeLetter})
	}
	e.limits.close()
	e.flows.close()
	e.workers.close()
	over := make(chan struct{})
	go func() {
		e.group.Wait()
		e.workers.group.Wait()
		close(over)
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close the engine: an agent does not end: %w", ctx.Err())
	}
}
