package engine

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// What the cache of an engine holds at most; who was used longest ago leaves first. A value larger than maxCachedValue would push out too many others.
const (
	maxCached      = 10_000
	maxCachedBytes = 64 << 20
	maxCachedValue = 4 << 20
)

// cache keeps the answers of calls that the script lets answer again (`cache 1h`), for all runs of an engine and as long as it lives. Two calls that are under
// way at the same time both ask: neither waits for the other's answer, which may never come.
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

// recall answers a call out of the cache. It reports whether it did; else the call is to be made.
func (s *session) recall(w *run.CallWish) bool {
	if w.Repair != nil || !cacheable(w) {
		return false // what is asked to repair an answer is another question
	}
	key, ok := s.cacheKey(w)
	if !ok {
		return false
	}
	value, ok := s.engine.cache.get(key, s.now, w.Cache)
	if !ok {
		return false
	}
	return s.record(&run.CallDone{Path: w.Path, Attempt: w.Attempt, Value: value, Source: "cache"}) == nil
}

// keep puts the answer of a call into the cache, if the script says so. A repaired answer answers the question as it was asked first.
func (s *session) keep(w *run.CallWish, value any) {
	if !cacheable(w) {
		return
	}
	if key, ok := s.cacheKey(w); ok {
		s.engine.cache.put(key, value, s.now)
	}
}

// cacheable: what changes the world is done and people are asked each time, whatever the script says. What is free has nothing to save, and may answer from
// the memory of its own run.
func cacheable(w *run.CallWish) bool {
	sig := w.Callee
	return w.Cache > 0 && sig.Kind == types.Call && !sig.Free && (sig.Effect == types.Think || sig.Effect == types.Read)
}

// cacheKey is false for a call whose arguments have no encoding. Of a secret only the name goes in. Every text goes in behind its length, so that no two calls
// can pass for one.
func (s *session) cacheKey(w *run.CallWish) (cacheKey, bool) {
	sig := w.Callee
	var b []byte
	text := func(t string) { b = append(binary.AppendUvarint(b, uint64(len(t))), t...) }
	for _, t := range []string{s.tenant, sig.Name, sig.Use, sig.Version, w.System} {
		text(t)
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
	return sha256.Sum256(b), err == nil
}
