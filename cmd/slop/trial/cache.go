package trial

import (
	"time"

	"github.com/slopstudios/slop/runtime/run"
)

// cached is an answer that a test keeps as an engine would (`cache 1h`), from one call to those that open after it.
type cached struct {
	value any
	at    time.Time
	under map[run.WishID]bool // calls that were open before it came: they ask themselves
}

// question is the key of a call that may be answered out of the cache, the same for its repairs; "" for any other.
func (w *world) question(c *run.CallWish) string {
	if c.Cache <= 0 || c.Fingerprint == "" {
		return ""
	}
	if c.Repair != nil {
		return w.questions[c.Path.Step()]
	}
	key := c.Callee.Name + " " + c.Fingerprint
	if w.questions == nil {
		w.questions = map[run.Path]string{}
	}
	w.questions[c.Path.Step()] = key
	return key
}

// recall answers a call out of the cache. It reports whether it did.
func (w *world) recall(c *run.CallWish) bool {
	kept, ok := w.cache[w.question(c)]
	if !ok || c.Repair != nil || w.now.Sub(kept.at) >= c.Cache || kept.under[c.ID()] {
		return false
	}
	w.fact(&run.CallDone{Path: c.Path, Attempt: c.Attempt, Value: kept.value, Source: "cache"})
	return true
}

func (w *world) keep(c *run.CallWish, value any) {
	key := w.question(c)
	if key == "" {
		return
	}
	kept := cached{value, w.now, map[run.WishID]bool{}}
	for _, o := range w.wishes {
		kept.under[o.ID()] = true
	}
	if w.cache == nil {
		w.cache = map[string]cached{}
	}
	w.cache[key] = kept
}
