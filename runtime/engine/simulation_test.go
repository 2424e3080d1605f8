package engine_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/machine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
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
last = echo "<<ok>> <<quote>>"
output {notes: notes, missed: missed, poem: poem, last: last}`

// A store that fails, fails after it has stored, is slow, and lets others write between a read and an append; agents that crash, hang, come late and answer
// nonsense; processes that die. Whatever happens, the history keeps its invariants, nothing is called before its beginning is stored, no attempt is called
// twice, and once the faults stop the run ends.
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
	t       *testing.T
	seed    uint64
	dice    *rand.Rand // of the main goroutine
	disk    *memory.Store
	plan    *plan.Plan
	world   *world
	id      run.ID
	calm    atomic.Bool // the faults have stopped
	process int
	engine  *engine.Engine
	store   *weather

	mu    sync.Mutex
	calls map[string]int
}

func simulate(t *testing.T, seed uint64) {
	s := &simulation{t: t, seed: seed, dice: rand.New(rand.NewPCG(seed, 1)), disk: memory.New(), world: newWorld(t), calls: map[string]int{}}
	for _, name := range []string{"reader", "oracle", "elder", "critic", "writer"} {
		s.world.model(name, s.call)
	}
	s.world.doer("shell", s.call)
	s.plan = s.world.plan(story)
	s.boot()
	for s.id == "" {
		id, err := s.engine.Start(t.Context(), s.plan, nil, run.Options{})
		if err == nil {
			s.id = id
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
		s.answer()
		if step < calmAfter && s.dice.IntN(12) == 0 {
			s.crash()
		}
	}
	if err := s.engine.Close(t.Context()); err != nil {
		t.Error(err)
	}
	s.verify()
}

// boot starts a process. What it finds unfinished it takes up.
func (s *simulation) boot() {
	s.process++
	s.store = &weather{Store: s.disk, sim: s, dice: rand.New(rand.NewPCG(s.seed, uint64(s.process)+100))}
	s.engine = engine.New(engine.Config{Store: s.store, Registry: s.world.registry, Owner: fmt.Sprint("process ", s.process), Grace: 5 * time.Second})
	for {
		if _, err := s.engine.Recover(s.t.Context()); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// crash kills the process: whatever it still does reaches nobody.
func (s *simulation) crash() {
	s.store.dead.Store(true)
	s.disk.Void(fmt.Sprint("process ", s.process))
	if err := s.engine.Close(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	s.boot()
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
			err := s.engine.Answer(s.t.Context(), s.id, path, value, "ada")
			if err != nil && !errors.Is(err, runs.ErrAnswered) && !errors.Is(err, runs.ErrFinished) && !errors.Is(err, runs.ErrNotAsked) && !errors.Is(err, errWeather) {
				s.t.Errorf("answer %s with %v: %v", path, value, err)
			}
		}
	}
}

// call is every agent of the story. What it does depends on the seed and on what is called.
func (s *simulation) call(ctx context.Context, c *agent.Call) agent.Reply {
	key := fmt.Sprintf("%s %s %d", c.Run, c.Path, c.Attempt)
	s.mu.Lock()
	s.calls[key]++
	again := s.calls[key] > 1
	s.mu.Unlock()
	if again {
		s.t.Errorf("%s was called twice", key)
	}
	s.begun(c)

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

// begun holds the engine to its promise: the beginning of a call is stored before the call, and its end is not.
func (s *simulation) begun(c *agent.Call) {
	begun := false
	for _, f := range s.history(c.Run) {
		switch b := f.Body.(type) {
		case *run.CallStarted:
			begun = begun || b.Path == c.Path && b.Attempt == c.Attempt
		case *run.CallDone:
			if b.Path == c.Path {
				s.t.Errorf("%s is called, and was done in fact %d", c.Path, f.Seq)
			}
		}
	}
	if !begun {
		s.t.Errorf("%s %d is called, and no fact says so", c.Path, c.Attempt)
	}
}

func (s *simulation) verify() {
	facts := s.facts()
	for _, broken := range invariant.Check(s.plan, facts) {
		s.t.Errorf("invariant: %s", broken)
	}
	m := machine.New(s.id, s.plan)
	for _, f := range facts {
		if b, failed := f.Body.(*run.CallFailed); failed && b.Outcome == run.Interrupted && s.process == 1 {
			s.t.Errorf("%s was interrupted, and no process died", b.Path)
		}
		if _, err := m.Apply(f); err != nil && !errors.Is(err, machine.ErrStale) {
			s.t.Errorf("fact %d does not fold: %v", f.Seq, err)
		}
	}
	last := facts[len(facts)-1].Body.(*run.Finished)
	s.t.Logf("%d processes, %d facts over %s, %s %v", s.process, len(facts), facts[len(facts)-1].At.Sub(facts[0].At), last.Status, last.Error)
	if end := m.Finished(); end == nil || end.Status != last.Status {
		s.t.Errorf("folded again the run ended with %+v, it ended with %+v", end, last)
	}
	if last.Error != nil && last.Error.Code == "E_DRIFT" {
		s.t.Errorf("the run drifted: %s", last.Error)
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
}

func (w *weather) roll(n int) int {
	if w.sim.calm.Load() {
		return -1
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dice.IntN(n)
}

func (w *weather) Create(ctx context.Context, id run.ID, owner string, ttl time.Duration, facts ...run.Fact) (run.Lease, error) {
	switch w.roll(4) {
	case 0:
		return run.Lease{}, errWeather
	case 1:
		if _, err := w.Store.Create(ctx, id, owner, ttl, facts...); err != nil {
			return run.Lease{}, err
		}
		return run.Lease{}, errWeather
	}
	return w.Store.Create(ctx, id, owner, ttl, facts...)
}

func (w *weather) Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error {
	roll := w.roll(20)
	if roll < 6 && roll > 3 {
		time.Sleep(time.Duration(roll) * 100 * time.Millisecond)
	}
	if w.dead.Load() {
		return errWeather
	}
	switch roll {
	case 0:
		return errWeather
	case 1:
		if err := w.Store.Append(ctx, lease, head, facts...); err != nil {
			return err
		}
		return errWeather
	case 2:
		// Another process says something between this one's read and its write.
		body := []run.Body{&run.PauseAsked{}, &run.ResumeAsked{}, &run.Answered{Path: "ok", Value: "no", By: "eve"}}[head%3]
		if _, paused := body.(*run.PauseAsked); paused {
			defer func() {
				_, _ = w.Tell(context.Background(), lease.Run, run.Fact{At: time.Now().UTC(), Body: &run.ResumeAsked{}}, "")
			}()
		}
		_, _ = w.Tell(ctx, lease.Run, run.Fact{At: time.Now().UTC(), Body: body}, "")
	}
	return w.Store.Append(ctx, lease, head, facts...)
}

func (w *weather) Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error) {
	if w.dead.Load() || w.roll(10) == 0 {
		return nil, errWeather
	}
	return w.Store.Load(ctx, id, after)
}
