package metrics

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

// Filter chooses what a report is about.
type Filter struct {
	Since time.Time // the hour in which it lies and all after it; never before Keep
	Flow  string    // "": all
	Agent string    // of calls; "": all
}

// Report is what the runs of a tenant did. What nobody knows is null.
type Report struct {
	Since  time.Time     `json:"since"` // begin of the first hour that counts
	Until  time.Time     `json:"until"`
	Runs   Runs          `json:"runs"`
	Calls  Calls         `json:"calls"`
	Flows  []FlowReport  `json:"flows"`
	Agents []AgentReport `json:"agents"`
	Steps  []StepReport  `json:"steps"`
}

// Runs is about runs. Ended ones count in the hour of their end.
type Runs struct {
	Begun       int64    `json:"begun"`
	Succeeded   int64    `json:"succeeded"`
	Failed      int64    `json:"failed"`
	Cancelled   int64    `json:"cancelled"`
	SuccessRate *float64 `json:"successRate"` // of those that ended and were not cancelled
	PerHour     float64  `json:"perHour"`     // begun
	Duration    Spread   `json:"durationMs"`
	QueueWait   Spread   `json:"queueWaitMs"`
}

// Calls is about attempts of calls.
type Calls struct {
	Succeeded   int64    `json:"succeeded"`
	Failed      int64    `json:"failed"`
	Cancelled   int64    `json:"cancelled"`
	Cached      int64    `json:"cached"` // answered from the cache
	Asked       int64    `json:"asked"`  // put a question to people first
	Retries     int64    `json:"retries"`
	Repairs     int64    `json:"repairs"`
	SuccessRate *float64 `json:"successRate"` // of those that succeeded or failed
	Duration    Spread   `json:"durationMs"`
	Tokens      Tokens   `json:"tokens"`
	Cost        *float64 `json:"cost"`        // dollars, of calls whose cost is known
	CostUnknown int64    `json:"costUnknown"` // calls whose cost is not
}

// Tokens are those of calls that said how many.
type Tokens struct {
	Input      *int64 `json:"input"`
	Output     *int64 `json:"output"`
	CacheRead  *int64 `json:"cacheRead"`
	CacheWrite *int64 `json:"cacheWrite"`
	Unknown    int64  `json:"unknown"` // calls that did not
}

// Spread is how long things took, in milliseconds, to 1 %.
type Spread struct {
	Count int64    `json:"count"`
	Mean  *float64 `json:"mean"`
	P50   *float64 `json:"p50"`
	P95   *float64 `json:"p95"`
	P99   *float64 `json:"p99"`
}

// FlowReport is about one flow.
type FlowReport struct {
	Flow string `json:"flow"`
	Runs
}

// AgentReport is about one agent.
type AgentReport struct {
	Agent string `json:"agent"`
	Calls
}

// StepReport is about one step.
type StepReport struct {
	Step
	Calls
}

func (s Step) compare(o Step) int {
	return cmp.Or(cmp.Compare(s.Flow, o.Flow), cmp.Compare(s.Step, o.Step), cmp.Compare(s.Agent, o.Agent))
}

// Report tells what the runs of a tenant did, in all processes that share the store. What others counted in the last seconds may be missing.
func (b *Book) Report(ctx context.Context, tenant string, f Filter) (*Report, error) {
	now := b.now().UTC()
	since := f.Since.UTC().Truncate(time.Hour)
	if oldest := now.Add(-Keep).Truncate(time.Hour); since.Before(oldest) {
		since = oldest
	}
	all, err := b.gather(ctx, tenant, since)
	if err != nil {
		return nil, err
	}
	r := &Report{Since: since, Until: now, Flows: []FlowReport{}, Agents: []AgentReport{}, Steps: []StepReport{}}
	hours := max(now.Sub(since).Hours(), 1.0/60)
	var runs runCounts
	for _, name := range slices.Sorted(maps.Keys(all.flows)) {
		if f.Flow != "" && f.Flow != name {
			continue
		}
		runs.add(all.flows[name])
		r.Flows = append(r.Flows, FlowReport{name, all.flows[name].report(hours)})
	}
	r.Runs = runs.report(hours)
	var calls callCounts
	agents := map[string]*callCounts{}
	for _, s := range slices.SortedFunc(maps.Keys(all.steps), Step.compare) {
		if f.Flow != "" && f.Flow != s.Flow || f.Agent != "" && f.Agent != s.Agent {
			continue
		}
		c := all.steps[s]
		calls.add(c)
		entry(&agents, s.Agent).add(c)
		r.Steps = append(r.Steps, StepReport{s, c.report()})
	}
	for _, name := range slices.Sorted(maps.Keys(agents)) {
		r.Agents = append(r.Agents, AgentReport{name, agents[name].report()})
	}
	r.Calls = calls.report()
	return r, nil
}

// gather merges the documents of a tenant with what this process has yet to write.
func (b *Book) gather(ctx context.Context, tenant string, since time.Time) (*counts, error) {
	all := &counts{}
	own := map[string]bool{}
	b.mu.Lock()
	for key, p := range b.pages {
		if key.tenant == tenant && !p.hour.Before(since) {
			own[p.name] = true
			all.add(&p.counts)
		}
	}
	b.mu.Unlock()
	prefix, first := folder(tenant), since.Format(hourName)
	var names []string
	for name, err := range b.docs.AllDocs(ctx, kind, prefix) {
		if err != nil {
			return nil, err
		}
		if strings.TrimPrefix(name, prefix) >= first && !own[name] {
			names = append(names, name)
		}
	}
	for _, name := range names {
		data, _, err := b.docs.GetDoc(ctx, kind, name)
		if errors.Is(err, store.ErrNotFound) {
			continue // it became too old meanwhile
		}
		if err != nil {
			return nil, err
		}
		var c counts
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, fmt.Errorf("the metrics %s: %w: %w", name, store.ErrCorrupt, err)
		}
		all.add(&c)
	}
	return all, nil
}

func (c *runCounts) report(hours float64) Runs {
	return Runs{
		Begun: c.Begun, Succeeded: c.Succeeded, Failed: c.Failed, Cancelled: c.Cancelled, SuccessRate: rate(c.Succeeded, c.Failed), PerHour: float64(c.Begun) / hours,
		Duration: c.Took.report(), QueueWait: c.Waited.report(),
	}
}

func (c *callCounts) report() Calls {
	r := Calls{
		Succeeded: c.Succeeded, Failed: c.Failed, Cancelled: c.Cancelled, Cached: c.Cached, Asked: c.Asked, Retries: c.Retries, Repairs: c.Repairs,
		SuccessRate: rate(c.Succeeded, c.Failed), Duration: c.Took.report(), Tokens: Tokens{Unknown: c.Uncounted}, CostUnknown: c.Unpriced,
	}
	if c.Counted > 0 {
		r.Tokens.Input, r.Tokens.Output, r.Tokens.CacheRead, r.Tokens.CacheWrite = new(c.Input), new(c.Output), new(c.CacheRead), new(c.CacheWrite)
	}
	if c.Priced > 0 {
		r.Cost = new(float64(c.Cost) / 1e6)
	}
	return r
}

func rate(good, bad int64) *float64 {
	if good+bad == 0 {
		return nil
	}
	return new(float64(good) / float64(good+bad))
}

func (s *spread) report() Spread {
	if s.sketch == nil || s.sketch.IsEmpty() {
		return Spread{}
	}
	n := s.sketch.GetCount()
	at, err := s.sketch.GetValuesAtQuantiles([]float64{.5, .95, .99})
	if err != nil {
		return Spread{}
	}
	return Spread{int64(n), new(s.sum / n), &at[0], &at[1], &at[2]}
}
