package engine_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/stdlib/contexts"
)

// The story that every seed tells differently.
const story = `notes = map i in 1..6 limit 3 tolerate 3 into missed {
  reader "Read <<i>>" retry 2 wait 1s timeout 20s
}
built = shell "make" else "not built"
tested = shell "test <<built>>"
ok = human.approve "Publish <<tested>>?" timeout 1h else "no"
quote = race {
  a = oracle "A quote." retry 1
  b = elder "A quote."
} else "none"
poem = loop draft from "draft" max 3 {
  review = critic "Score <<draft>>" as {score: int} retry 3 wait 1s repair 2 else { output {score: 5} }
  stop if review.score >= 8
  better = writer "Better than <<draft>>" retry 3 wait 1s else "<<draft>>!"
  output "<<better>>!"
} else keep
w = wait "40s" after quote
last = echo "<<ok>> <<quote>>" after w
places = map i in 1..6 { memory.append(path: "list", value: i) }
hits = map i in 1..6 { memory.add(path: "hits.<<run.id>>", scope: "shared") retry 99 wait 1s }
list = memory.get "list" after places, last
sum = memory.get(path: "hits.<<run.id>>", scope: "shared") after hits, last retry 99 wait 1s
output {notes: notes, missed: missed, poem: poem, last: last, places: places, hits: hits, list: list, sum: sum}`

// A store that fails, fails after it has stored, is slow, and lets others write between a read and an append; agents that crash, hang, come late and answer
// nonsense; processes that die, and processes that are stopped until their lease has lapsed and go on as if nothing had been; a second worker beside the
// first; runs that rest. Whatever happens, the history keeps its invariants, nothing is called before its beginning is stored, no attempt is called twice, and
// once the faults stop the run ends.
func TestSimulation(t *testing.T) {
	seeds := 40
	if n, err := strconv.Atoi(os.Getenv("SLOP_SEEDS")); err == nil {
		seeds = n
	}
	first := uint64(0)
	if n, err := strconv.Atoi(os.Getenv("SLOP_SEED")); err == nil {
		first, seeds = uint64(n), 1
	}
	for i := range seeds {
		seed := first + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

type simulation struct {
	t     *testing.T
	seed  uint64
	dice  *rand.Rand // of the main goroutine
	disk  *memory.Store
	plan  *plan.Plan
	world *world
	id    run.ID
	calm  atomic.Bool // the faults have stopped
	crew  []*process
	born  int        // processes
	mates sync.Mutex // guards all, and id until it is set
	all   []*process // that were ever born
	lapse bool       // leases lapse: a process may die unseen, or be stopped

	mu    sync.Mutex
	calls map[string]int
	early map[string]bool // calls that began in an outage, before a fact said so
}

// process is one worker.
type process struct {
	name    string
	engine  *engine.Engine
	store   *weather
	dismiss func()
	gone    atomic.Bool // it calls nobody any more
}

func simulate(t *testing.T, seed uint64) {
	s := &simulation{t: t, seed: seed, dice: rand.New(rand.NewPCG(seed, 1)), disk: memory.New(), world: newWorld(t), calls: map[string]int{}, early: map[string]bool{}}
	for _, name := range []string{"reader", "oracle", "elder", "critic", "writer"} {
		s.world.model(name, s.call)
	}
	s.world.doer("shell", s.call)
	s.world.add("memory", contexts.New())
	s.plan = s.world.plan(story)
	s.lapse = seed%2 == 1
	s.crew = make([]*process, 1+seed%3/2)
	for i := range s.crew {
		s.boot(i)
	}
	for s.id == "" {
		id, err := s.crew[0].engine.Start(t.Context(), s.plan, nil, run.Options{})
		if err == nil {
			s.mates.Lock()
			s.id = id
			s.mates.Unlock()
		}
	}
	const calmAfter = 100
	for step := 0; ; step++ {
		if step == calmAfter {
			s.calm.Store(true)
		}
		if step > calmAfter+20000 {
			t.Fatalf("the run does not end: %v", s.facts())
		}
		time.Sleep(time.Duration(s.dice.IntN(2000)) * time.Millisecond)
		if s.ended() {
			break
		}
		if s.dice.IntN(4) == 0 {
			s.answer()
		}
		if step < calmAfter && s.dice.IntN(12) == 0 {
			s.strike(s.dice.IntN(len(s.crew)))
		}
	}
	for _, p := range s.crew {
		s.leave(p)
	}
	s.verify()
}

// boot starts a process.
func (s *simulation) boot(i int) {
	s.born++
	p := &process{name: fmt.Sprint("process ", s.born)}
	p.store = &weather{Store: s.disk, sim: s, dice: rand.New(rand.NewPCG(s.seed, uint64(s.born)+100))}
	c := engine.Config{Store: p.store, Registry: s.world.registry, Owner: p.name, Grace: 5 * time.Second, Pool: "sim", Linger: time.Duration(1+s.seed%5) * time.Second}
	if s.lapse {
		c.Lease = engine.DefaultLease
	}
	p.engine = engine.New(c)
	ctx, cancel := context.WithCancel(s.t.Context())
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		if err := p.engine.Work(ctx); err != nil {
			s.t.Error(err)
		}
	}()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx, p.engine)
	}()
	p.dismiss = func() {
		cancel()
		<-worked
		<-watched
	}
	s.crew[i] = p
	s.mates.Lock()
	defer s.mates.Unlock()
	s.all = append(s.all, p)
}

func (s *simulation) leave(p *process) {
	p.store.stop(0)
	p.dismiss()
	if err := p.engine.Close(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	p.gone.Store(true)
}

// strike kills a process, stops it until its lease has lapsed, takes its store away for a while, or has it drained. Whatever a dead process still does reaches
// nobody.
func (s *simulation) strike(i int) {
	p := s.crew[i]
	p.store.stop(0) // it goes on
	switch s.dice.IntN(7) {
	case 4, 5, 6:
		p.store.leave(time.Duration(s.dice.IntN(50)) * time.Second)
		return
	case 0:
		if s.lapse {
			p.store.stop(engine.DefaultLease + time.Duration(s.dice.IntN(20))*time.Second)
			return
		}
		fallthrough
	case 1:
		p.dismiss()
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Duration(s.dice.IntN(10))*time.Second)
		defer cancel()
		if err := p.engine.Drain(ctx); err != nil {
			s.t.Error(err)
		}
		if !s.lapse {
			s.disk.Void(p.name) // it is gone, whether it could give its lease back or not
		}
	default:
		p.store.dead.Store(true)
		if !s.lapse || s.dice.IntN(2) == 0 {
			s.disk.Void(p.name) // it is seen to be dead
		}
		s.leave(p)
	}
	s.boot(i)
}

func (s *simulation) facts() []run.Fact { return s.history(s.id) }

func (s *simulation) history(id run.ID) []run.Fact {
	facts, err := s.disk.Load(context.Background(), id, 0)
	if err != nil {
		s.t.Error(err)
	}
	return facts
}

func (s *simulation) ended() bool {
	facts := s.facts()
	_, over := facts[len(facts)-1].Body.(*run.Finished)
	return over
}

// answer gives every open question an answer, right or wrong, once or twice.
func (s *simulation) answer() {
	open := map[run.Path]run.Form{}
	for _, f := range s.facts() {
		switch b := f.Body.(type) {
		case *run.Asked:
			open[b.Path] = b.Form
		case *run.Answered:
			delete(open, b.Path)
		}
	}
	for path, form := range open {
		value := any("yes")
		if form.Kind == "interrupted" {
			value = []any{"again", "done", map[string]any{"done": "by hand"}}[s.dice.IntN(3)]
		}
		for range 1 + s.dice.IntN(2) {
			err := s.crew[s.dice.IntN(len(s.crew))].engine.Answer(s.t.Context(), s.id, path, value, "ada")
			if err != nil && !errors.Is(err, runs.ErrAnswered) && !errors.Is(err, runs.ErrFinished) && !errors.Is(err, runs.ErrNotAsked) && !errors.Is(err, errWeather) && !errors.Is(err, runs.ErrUnavailable) {
				s.t.Errorf("answer %s with %v: %v", path, value, err)
			}
		}
	}
}

// watch looks on at a process: what it shows with a seq is what is stored under it, at that moment.
func (s *simulation) watch(ctx context.Context, e *engine.Engine) {
	for last := run.Seq(0); ctx.Err() == nil; {
		s.mates.Lock()
		id := s.id
		s.mates.Unlock()
		if id != "" {
			for ev, err := range e.Watch(ctx, id, last) {
				if err != nil {
					break
				}
				if ev.Fact == nil {
					continue
				}
				last = ev.Fact.Seq
				if facts := s.history(id); int(last) > len(facts) || facts[last-1].String() != ev.Fact.String() || !facts[last-1].At.Equal(ev.Fact.At) {
					s.t.Errorf("%s is shown as fact %d, and is not stored as that", ev.Fact, last)
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// call is every agent of the story. What it does depends on the seed and on what is called.
func (s *simulation) call(ctx context.Context, c *agent.Call) agent.Reply {
	key := fmt.Sprintf("%s %s %d", c.Run, c.Path, c.Attempt)
	s.mu.Lock()
	s.calls[key]++
	again, early := s.calls[key] > 1, s.early[key]
	s.mu.Unlock()
	if again && (c.Callee.Effect == types.Do || !early && !s.inOutage()) {
		s.t.Errorf("%s was called twice", key)
	}
	s.begun(c, key)

	h := fnv.New64a()
	fmt.Fprint(h, s.seed, c.Path, c.Attempt)
	dice := rand.New(rand.NewPCG(h.Sum64(), 7))
	stop := ctx.Done()
	delay := time.Duration(dice.IntN(5000)) * time.Millisecond
	if !s.calm.Load() {
		switch dice.IntN(10) {
		case 0:
			return agent.Fail(run.Unavailable, "no line")
		case 1:
			panic("out of cheese")
		case 2:
			delay = time.Hour // until told
		case 3:
			stop = nil // deaf
		case 4:
			return agent.Reply{Value: "nonsense"}
		case 5:
			for range 50 {
				c.Emit(agent.Progress{Delta: "word "})
			}
		}
	}
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-stop:
			return agent.Fail(run.Failure, "told to end")
		}
	}
	if c.As != nil {
		return agent.Reply{Value: map[string]any{"score": dice.IntN(10)}}
	}
	return agent.Reply{Value: "answer of " + c.Callee.Name, Usage: run.Usage{Input: 10, Output: 5}}
}

// begun holds the engine to its promise: the beginning of a call is stored before the call, and its end is not. Only what changes nothing may begin while the
// store of a process is away.
func (s *simulation) begun(c *agent.Call, key string) {
	begun, may := false, c.Callee.Effect != types.Do && s.inOutage()
	for _, f := range s.history(c.Run) {
		switch b := f.Body.(type) {
		case *run.CallStarted:
			begun = begun || b.Path == c.Path && b.Attempt == c.Attempt
		case *run.CallDone:
			if b.Path == c.Path && !may {
				s.t.Errorf("%s is called, and was done in fact %d", c.Path, f.Seq)
			}
		}
	}
	if begun {
		return
	}
	if !may {
		s.t.Errorf("%s %d is called, and no fact says so", c.Path, c.Attempt)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.early[key] = true
}

// inOutage reports whether the store does not answer some process, dying ones included: what they still do is nobody's business.
func (s *simulation) inOutage() bool {
	s.mates.Lock()
	defer s.mates.Unlock()
	return slices.ContainsFunc(s.all, func(p *process) bool {
		return !p.gone.Load() && (p.store.dead.Load() || p.store.away() || !p.engine.Outage().Since.IsZero())
	})
}

func (s *simulation) verify() {
	facts := s.facts()
	for _, broken := range invariant.Check(s.plan, facts) {
		s.t.Errorf("invariant: %s", broken)
	}
	m := machine.New(s.id, s.plan)
	for _, f := range facts {
		if b, failed := f.Body.(*run.CallFailed); failed && b.Outcome == run.Interrupted && s.born == 1 && !s.lapse {
			s.t.Errorf("%s was interrupted, and no process died", b.Path)
		}
		if _, err := m.Apply(f); err != nil && !errors.Is(err, machine.ErrStale) {
			s.t.Errorf("fact %d does not fold: %v", f.Seq, err)
		}
	}
	last := facts[len(facts)-1].Body.(*run.Finished)
	s.t.Logf("%d processes, %d facts over %s, %s %v", s.born, len(facts), facts[len(facts)-1].At.Sub(facts[0].At), last.Status, last.Error)
	if end := m.Finished(); end == nil || end.Status != last.Status {
		s.t.Errorf("folded again the run ended with %+v, it ended with %+v", end, last)
	}
	if last.Error != nil && last.Error.Code == "E_DRIFT" {
		s.t.Errorf("the run drifted: %s", last.Error)
	}
	s.remembered(facts)
}

// remembered checks that each write to shared state was made once, in the order of the history where it is the run's own, and that nobody was asked.
func (s *simulation) remembered(facts []run.Fact) {
	seen := map[any]bool{}
	for _, f := range facts {
		switch b := f.Body.(type) {
		case *run.CallDone:
			if strings.HasPrefix(string(b.Path), "hits[") {
				if seen[b.Value] {
					s.t.Errorf("two writers were told the sum %v", b.Value)
				}
				seen[b.Value] = true
			}
		case *run.Asked:
			if strings.HasPrefix(string(b.Path), "hits[") {
				s.t.Errorf("somebody was asked about %s", b.Path)
			}
		case *run.Finished:
			if b.Status != run.Succeeded {
				continue
			}
			v := b.Value.(map[string]any)
			if v["sum"] != 6 {
				s.t.Errorf("six times one is %v", v["sum"])
			}
			for i, place := range v["places"].([]any) {
				if list := v["list"].([]any); len(list) != 6 || place.(int) > 6 || list[place.(int)-1] != i+1 {
					s.t.Errorf("%d was told place %v of %v", i+1, place, list)
				}
			}
		}
	}
}

var errWeather = errors.New("bad weather")

// weather is the store of one process in a storm.
type weather struct {
	store.Store
	sim  *simulation
	dead atomic.Bool
	mu   sync.Mutex
	dice *rand.Rand
	thaw time.Time // until then the process is stopped
	back time.Time // until then the store does not answer it
}

func (w *weather) roll(n int) int {
	if w.sim.calm.Load() {
		return -1
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dice.IntN(n)
}

func (w *weather) stop(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.thaw = time.Now().Add(d)
}

func (w *weather) leave(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.back = time.Now().Add(d)
}

func (w *weather) away() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.back)
}

func (w *weather) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Before(w.thaw)
}

// pass is the way to the store and back: it takes as long as the process is stopped, and a dead process never arrives.
func (w *weather) pass() error {
	for w.stopped() {
		time.Sleep(time.Second)
	}
	if w.dead.Load() || w.away() {
		return errWeather
	}
	return nil
}

// through makes a request that one in so many times is lost, and as often carried out without an answer.
func through(w *weather, oneIn int, request func() error) error {
	if err := w.pass(); err != nil {
		return err
	}
	roll := w.roll(oneIn)
	if roll == 0 {
		return errWeather
	}
	err := request()
	if back := w.pass(); back != nil {
		return back
	}
	if roll == 1 && err == nil {
		return errWeather
	}
	return err
}

func (w *weather) Create(ctx context.Context, id run.ID, owner string, ttl time.Duration, facts ...run.Fact) (l run.Lease, err error) {
	err = through(w, 4, func() (err error) { l, err = w.Store.Create(ctx, id, owner, ttl, facts...); return err })
	return l, err
}

func (w *weather) Claim(ctx context.Context, id run.ID, owner string, ttl time.Duration) (l run.Lease, err error) {
	err = through(w, 10, func() (err error) { l, err = w.Store.Claim(ctx, id, owner, ttl); return err })
	return l, err
}

func (w *weather) Extend(ctx context.Context, lease run.Lease, ttl time.Duration) (l run.Lease, err error) {
	err = through(w, 10, func() (err error) { l, err = w.Store.Extend(ctx, lease, ttl); return err })
	return l, err
}

func (w *weather) Release(ctx context.Context, lease run.Lease) error {
	return through(w, 10, func() error { return w.Store.Release(ctx, lease) })
}

func (w *weather) Rest(ctx context.Context, lease run.Lease, head run.Seq, wake time.Time) error {
	return through(w, 5, func() error { return w.Store.Rest(ctx, lease, head, wake) })
}

func (w *weather) Enqueue(ctx context.Context, h store.Hint) error {
	return through(w, 5, func() error { return w.Store.Enqueue(ctx, h) })
}

func (w *weather) Dequeue(ctx context.Context, pool string) (h store.Hint, ok bool, next time.Time, err error) {
	err = through(w, 10, func() (err error) { h, ok, next, err = w.Store.Dequeue(ctx, pool); return err })
	return h, ok && err == nil, next, err
}

func (w *weather) PutEntries(ctx context.Context, entries ...store.Entry) error {
	return through(w, 5, func() error { return w.Store.PutEntries(ctx, entries...) })
}

func (w *weather) Tell(ctx context.Context, id run.ID, f run.Fact, dedup string) (seq run.Seq, err error) {
	err = through(w, 20, func() (err error) { seq, err = w.Store.Tell(ctx, id, f, dedup); return err })
	return seq, err
}

func (w *weather) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	roll := w.roll(20)
	if roll < 6 && roll > 3 {
		time.Sleep(time.Duration(roll) * 100 * time.Millisecond)
	}
	if roll == 2 && !w.dead.Load() {
		// Another process says something between this one's read and its write.
		body := []run.Body{&run.PauseAsked{}, &run.ResumeAsked{}, &run.Answered{Path: "ok", Value: "no", By: "eve"}}[head%3]
		if _, paused := body.(*run.PauseAsked); paused {
			defer func() {
				_, _ = w.Store.Tell(context.Background(), lease.Run, run.Fact{At: time.Now().UTC(), Body: &run.ResumeAsked{}}, "")
			}()
		}
		_, _ = w.Store.Tell(ctx, lease.Run, run.Fact{At: time.Now().UTC(), Body: body}, "")
	}
	return through(w, 20, func() error { return w.Store.Append(ctx, lease, head, facts...) })
}

func (w *weather) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	return through(w, 4, func() error { return w.Store.PutDoc(ctx, kind, name, version, data) })
}

func (w *weather) GetDoc(ctx context.Context, kind, name string) (data []byte, version uint64, err error) {
	err = through(w, 10, func() (err error) { data, version, err = w.Store.GetDoc(ctx, kind, name); return err })
	return data, version, err
}

func (w *weather) Load(ctx context.Context, id run.ID, after run.Seq) (facts []run.Fact, err error) {
	if err := w.pass(); err != nil || w.roll(10) == 0 {
		return nil, errWeather
	}
	return w.Store.Load(ctx, id, after)
}
