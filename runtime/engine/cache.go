package engine

import (
	"container/heap"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// What the cache of an engine holds at most; who was used longest ago leaves first. A value larger than maxCachedValue would push out too many others.
const (
	maxCached      = 10_000
	maxCachedBytes = 64 << 20
	maxCachedValue = 4 << 20
)

// cache keeps the answers of calls that the script lets answer again (`cache 1h`), for all runs of an engine and as long as it lives; behind it tier keeps
// them for other processes. Two calls that are under way at the same time both ask: neither waits for the other's answer, which may never come.
type cache struct {
	mu    sync.Mutex
	byKey map[cacheKey]*list.Element
	used  list.List // of *cached, the one used last in front
	bytes int
}

// cacheKey is the hash of all that decides an answer.
type cacheKey [sha256.Size]byte

// cached is an answer that was read and validated.
type cached struct {
	key   cacheKey
	value any
	at    time.Time // when it came: how old an answer may be is for the call to say that wants it
	bytes int
}

// get finds an answer that came at most ttl ago.
func (c *cache) get(key cacheKey, now time.Time, ttl time.Duration) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		return nil, false
	}
	entry := e.Value.(*cached)
	if age := now.Sub(entry.at); age >= ttl || age < 0 {
		return nil, false
	}
	c.used.MoveToFront(e)
	return entry.value, true
}

// put keeps an answer. Values are never changed once they are made, so it is shared and not copied.
func (c *cache) put(key cacheKey, value any, now time.Time) {
	bytes := weight(value, maxCachedValue) + len(key)
	if bytes > maxCachedValue {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil {
		c.drop(e)
	}
	if c.byKey == nil {
		c.byKey = map[cacheKey]*list.Element{}
	}
	c.byKey[key] = c.used.PushFront(&cached{key, value, now, bytes})
	c.bytes += bytes
	for c.used.Len() > maxCached || c.bytes > maxCachedBytes {
		c.drop(c.used.Back())
	}
}

func (c *cache) drop(e *list.Element) {
	entry := c.used.Remove(e).(*cached)
	delete(c.byKey, entry.key)
	c.bytes -= entry.bytes
}

// maxKept is how many answers a store keeps; those that end first leave. A variable for the tests.
var maxKept = 100_000

// tier is the part of the cache that a store keeps for all processes that share it. What goes wrong with it costs a call its answer from the cache and no more.
type tier struct {
	engine *Engine
	off    bool         // the store is in the memory of this process, as the cache is
	rests  atomic.Int64 // until when a store that did not answer is left alone, in Unix nanoseconds
}

const (
	cacheKind     = "cache"
	cachePatience = 2 * time.Second  // for the store: the call can be made instead
	cacheRest     = 10 * time.Second // after it was in vain
)

// kept is an answer as a store keeps it. Its name is the key, in hex.
type kept struct {
	At    time.Time       `json:"at"`
	Until time.Time       `json:"until"` // it is of no use to the call that brought it
	Value json.RawMessage `json:"value"`
}

func (t *tier) ready() bool { return !t.off && time.Now().UnixNano() >= t.rests.Load() }

func (t *tier) trouble(err error) {
	if err != nil && t.engine.ctx.Err() == nil {
		t.rests.Store(time.Now().Add(cacheRest).UnixNano())
	}
}

// get finds an answer that came at most ttl ago. What it names is brought to life again, so that the fact which names it next can rely on it.
func (t *tier) get(key cacheKey, ttl time.Duration) (value any, at time.Time, ok bool) {
	ctx, cancel := context.WithTimeout(t.engine.ctx, cachePatience)
	defer cancel()
	data, _, err := t.engine.store.GetDoc(ctx, cacheKind, key.String())
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrCorrupt):
		return nil, at, false
	case err != nil:
		t.trouble(err)
		return nil, at, false
	}
	var k kept
	if json.Unmarshal(data, &k) != nil {
		return nil, at, false
	}
	if age := time.Since(k.At); age >= ttl || age < -maxSkew {
		return nil, at, false
	}
	if value, err = run.DecodeValue(k.Value); err == nil {
		value, err = t.engine.fetch(ctx, value)
	}
	if err == nil {
		value, err = t.engine.shelve(ctx, value)
	}
	return value, k.At, err == nil
}

// put keeps an answer. Of two that come at the same time one stays.
func (t *tier) put(key cacheKey, value any, at time.Time, ttl time.Duration) {
	encoded, err := run.EncodeValue(value)
	if err != nil || len(encoded) > maxCachedValue {
		return
	}
	data, err := json.Marshal(kept{at.UTC().Round(0), at.UTC().Round(0).Add(ttl), encoded})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.engine.ctx), cachePatience) // its call was made, even if the engine closes now
	defer cancel()
	var version uint64
	for range 3 {
		err = t.engine.store.PutDoc(ctx, cacheKind, key.String(), version, data)
		if !errors.Is(err, store.ErrConflict) {
			break
		}
		if _, version, err = t.engine.store.GetDoc(ctx, cacheKind, key.String()); errors.Is(err, store.ErrNotFound) {
			version = 0
		} else if errors.Is(err, store.ErrCorrupt) {
			return // prune tells of it
		} else if err != nil {
			break
		}
	}
	if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
		t.trouble(err)
	}
	t.engine.tidy()
}

// attic removes answers that are of no use any more, or cannot be read; and, of those that are, the one that ends first when there are too many.
type attic struct{ stays []shelved }

// shelved is an answer that stays.
type shelved struct {
	name    string
	version uint64
	until   time.Time
}

func (a *attic) Len() int           { return len(a.stays) }
func (a *attic) Less(i, j int) bool { return a.stays[i].until.Before(a.stays[j].until) }
func (a *attic) Swap(i, j int)      { a.stays[i], a.stays[j] = a.stays[j], a.stays[i] }
func (a *attic) Push(x any)         { a.stays = append(a.stays, x.(shelved)) }
func (a *attic) Pop() any {
	last := a.stays[len(a.stays)-1]
	a.stays = a.stays[:len(a.stays)-1]
	return last
}

func (a *attic) expire(ctx context.Context, s store.Store, name string, now time.Time) (bool, error) {
	data, version, err := s.GetDoc(ctx, cacheKind, name)
	if err != nil {
		return false, err
	}
	var k kept
	if json.Unmarshal(data, &k) != nil || !now.Before(k.Until) {
		return true, s.DropDoc(ctx, cacheKind, name, version)
	}
	heap.Push(a, shelved{name, version, k.Until})
	if a.Len() <= maxKept {
		return false, nil
	}
	first := heap.Pop(a).(shelved)
	return true, s.DropDoc(ctx, cacheKind, first.name, first.version)
}

func (k cacheKey) String() string { return hex.EncodeToString(k[:]) }

// recall looks for the answer of a call in the cache. It reports whether the call need not begin: it is answered, or will be when a store has been asked.
func (s *session) recall(w *run.CallWish) bool {
	if w.Repair != nil || w.Answer != nil || !cacheable(w) || !s.options.Cache.Reads() {
		return false // what is asked to repair an answer is another question
	}
	key, ok := s.cacheKey(w)
	if !ok {
		return false
	}
	e := s.engine
	if value, ok := e.cache.get(key, s.now, w.Cache); ok {
		return s.recalled(w, value)
	}
	if !e.tier.ready() || s.out != nil {
		return false
	}
	p := &parked{wish: w}
	s.parked[w.ID()] = p
	e.workers.do(func() {
		value, at, ok := e.tier.get(key, w.Cache)
		if ok {
			e.remember(key, value, at)
		}
		s.post(letter{kind: cacheLetter, parked: p, value: value, found: ok})
	})
	return true
}

// looked goes on with a call when the store has been asked for its answer.
func (s *session) looked(l letter) {
	w := l.parked.wish.(*run.CallWish)
	if l.parked.gone || s.parked[w.ID()] != l.parked {
		return // it is not wanted any more
	}
	delete(s.parked, w.ID())
	if s.draining {
		return
	}
	if !l.found || !s.recalled(w, l.value) {
		s.board(w)
	}
}

func (s *session) recalled(w *run.CallWish, value any) bool {
	return s.record(&run.CallDone{Path: w.Path, Attempt: w.Attempt, Value: value, Source: "cache"}) == nil
}

// keep puts the answer of a call into the cache, if the script says so. A repaired answer answers the question as it was asked first. It is called by the
// worker that made the call, before the session hears of its end: so a process that ends with the run has kept it.
func (f *flight) keep(done *run.CallDone) {
	s, w := f.session, f.wish
	if w.Answer != nil || !cacheable(w) || !s.options.Cache.Writes() { // what people said is not for others
		return
	}
	key, ok := s.cacheKey(w)
	if !ok {
		return
	}
	now := time.Now()
	s.engine.remember(key, done.Value, now)
	if s.engine.tier.ready() {
		s.engine.tier.put(key, done.Value, now, w.Cache)
	}
}

// remember keeps an answer in this process. One that names values which are kept apart stays where others see that they are in use.
func (e *Engine) remember(key cacheKey, value any, at time.Time) {
	if e.tier.off || !eval.HoldsLarge(value) {
		e.cache.put(key, value, at)
	}
}

// cacheable: what changes the world is done and people are asked each time, whatever the script says. What is free has nothing to save, and may answer from
// the memory of its own run.
func cacheable(w *run.CallWish) bool {
	sig := w.Callee
	return w.Cache > 0 && sig.Kind == types.Call && !sig.Free && (sig.Effect == types.Think || sig.Effect == types.Read)
}

// cacheKey is false for a call whose arguments have no encoding. Of a secret only the name goes in, and then the pool too: another project may mean another
// secret by the name. Every text goes in behind its length, so that no two calls can pass for one.
func (s *session) cacheKey(w *run.CallWish) (cacheKey, bool) {
	sig := w.Callee
	var b []byte
	text := func(t string) { b = append(binary.AppendUvarint(b, uint64(len(t))), t...) }
	for _, t := range []string{s.tenant, sig.Name, sig.Use, sig.Version, s.engine.registry.Account(sig.Name), string(sig.Defaults), w.System} {
		text(t)
	}
	if len(s.plan.Secrets) > 0 {
		text(s.options.Pool)
	}
	asked, err := json.Marshal(w.As)
	if err != nil {
		return cacheKey{}, false
	}
	text(string(asked))
	switch t := w.Text.(type) {
	case []string:
		b = binary.AppendUvarint(append(b, 'w'), uint64(len(t)))
		for _, word := range t {
			text(word)
		}
	default:
		b, err = run.AppendValue(append(b, 't'), t)
	}
	if err == nil {
		b, err = run.AppendValue(append(b, 'a'), w.Args)
	}
	if err == nil && w.Persona != nil {
		b, err = run.AppendValue(append(b, 'p'), w.Persona)
	}
	return sha256.Sum256(b), err == nil
}
