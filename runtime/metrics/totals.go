package metrics

import (
	"sort"
	"time"

	"github.com/slopstudios/slop/runtime/run"
)

// maxLabels is how many flows and how many agents have a counter of their own in Totals.
const maxLabels = 200

// Buckets are the bounds of the histogram of how long calls take, in seconds.
var Buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

// Totals is what a process counted since it began, over all tenants.
type Totals struct {
	Runs   map[RunTotal]int64
	Calls  map[string]*Histogram // by agent
	Tokens map[TokenTotal]int64
	Cost   map[string]float64 // dollars, by agent
}

// RunTotal names runs of a flow that ended in a way.
type RunTotal struct {
	Flow   string
	Status run.Status
}

// TokenTotal names tokens of an agent: input, output, cache_read, cache_write.
type TokenTotal struct{ Agent, Type string }

// Histogram is how long calls took.
type Histogram struct {
	Count uint64
	Sum   float64  // seconds
	Under []uint64 // up to each of Buckets
}

func newTotals() Totals {
	return Totals{map[RunTotal]int64{}, map[string]*Histogram{}, map[TokenTotal]int64{}, map[string]float64{}}
}

// Totals gives a copy of what was counted.
func (b *Book) Totals() Totals {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := newTotals()
	for k, v := range b.totals.Runs {
		t.Runs[k] = v
	}
	for k, v := range b.totals.Calls {
		t.Calls[k] = &Histogram{v.Count, v.Sum, append([]uint64(nil), v.Under...)}
	}
	for k, v := range b.totals.Tokens {
		t.Tokens[k] = v
	}
	for k, v := range b.totals.Cost {
		t.Cost[k] = v
	}
	return t
}

func (t *Totals) finished(flow string, status run.Status) {
	k := RunTotal{clip(flow), status}
	if _, known := t.Runs[k]; !known && len(t.Runs) >= 3*maxLabels {
		k.Flow = Other
	}
	t.Runs[k]++
}

func (t *Totals) took(agent string, d time.Duration) {
	agent = clip(agent)
	h := t.Calls[agent]
	if h == nil && len(t.Calls) >= maxLabels {
		agent = Other
		h = t.Calls[agent]
	}
	if h == nil {
		h = &Histogram{Under: make([]uint64, len(Buckets))}
		t.Calls[agent] = h
	}
	seconds := max(d, 0).Seconds()
	h.Count++
	h.Sum += seconds
	for i := sort.SearchFloat64s(Buckets, seconds); i < len(Buckets); i++ {
		h.Under[i]++
	}
}

func (t *Totals) used(agent string, u run.Usage) {
	agent = clip(agent)
	if _, known := t.Cost[agent]; !known && len(t.Cost) >= maxLabels {
		agent = Other
	}
	t.Cost[agent] += float64(u.Cost) / 1e6
	for _, n := range [...]struct {
		kind  string
		count int64
	}{{"input", u.Input}, {"output", u.Output}, {"cache_read", u.CacheRead}, {"cache_write", u.CacheWrite}} {
		if n.count > 0 {
			t.Tokens[TokenTotal{agent, n.kind}] += n.count
		}
	}
}
