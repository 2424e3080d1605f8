// Package wire is what runs look like as JSON: the frames of their events, the reports of their state. The command line, the server and its client share it.
package wire

import (
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// Usage is what calls used, in --json and in --events. A figure that nobody knows is null and its source says so; 0 is a figure like any other.
type Usage struct {
	Calls      int64  `json:"calls"`
	Input      *int64 `json:"input"`
	Output     *int64 `json:"output"`
	CacheRead  *int64 `json:"cacheRead"`
	CacheWrite *int64 `json:"cacheWrite"`
	Tokens     string `json:"tokens"` // where the four before come from: reported, estimated, unknown, none
	Model      string `json:"model,omitempty"`
}

// Cost stands beside a Usage.
type Cost struct {
	Dollars    *float64 `json:"cost"`
	CostSource string   `json:"costSource"` // reported, estimated, unknown, none, free, cache
}

// The sources that only a report knows; the others are run.Source.
const (
	NoSource    = "none"  // the call has no such figure: a shell, a person
	FreeSource  = "free"  // its agent is declared to cost nothing
	CacheSource = "cache" // the answer came out of the cache
)

// UsageOf is what a usage says, with null for what nobody knows.
func UsageOf(u run.Usage) Usage {
	r := Usage{Calls: u.Calls, Tokens: string(u.Tokens), Model: u.Model}
	switch u.Tokens {
	case run.Reported, run.Estimated:
		r.Input, r.Output, r.CacheRead, r.CacheWrite = &u.Input, &u.Output, &u.CacheRead, &u.CacheWrite
	case "":
		r.Tokens = NoSource
	}
	return r
}

// CostOf is the cost of a usage. otherwise is the source where the usage itself names none.
func CostOf(u run.Usage, otherwise string) Cost {
	switch u.CostSource {
	case run.Reported, run.Estimated:
		dollars := float64(u.Cost) / 1e6
		return Cost{&dollars, string(u.CostSource)}
	case run.Unknown:
		return Cost{nil, string(run.Unknown)}
	}
	if otherwise == NoSource {
		return Cost{nil, NoSource}
	}
	return Cost{new(float64), otherwise}
}

// CostOfStep is the cost of a step.
func CostOfStep(s runs.Step) Cost {
	switch {
	case s.Cached:
		return CostOf(s.Usage, CacheSource)
	case s.Free:
		return CostOf(s.Usage, FreeSource)
	}
	return CostOf(s.Usage, NoSource)
}

// CostOfRun is the cost of a run: free when nothing that could cost was called.
func CostOfRun(view runs.View) Cost {
	for _, s := range view.Steps {
		if !s.Free && !s.Cached && !s.Kept {
			return CostOf(view.Usage, NoSource)
		}
	}
	return CostOf(view.Usage, FreeSource)
}
