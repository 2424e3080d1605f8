package main

import (
	"bytes"
	"encoding/json"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// usageReport is what calls used, in --json and in --events. A figure that nobody knows is null and its source says so; 0 is a figure like any other.
type usageReport struct {
	Calls      int64  `json:"calls"`
	Input      *int64 `json:"input"`
	Output     *int64 `json:"output"`
	CacheRead  *int64 `json:"cacheRead"`
	CacheWrite *int64 `json:"cacheWrite"`
	Tokens     string `json:"tokens"` // where the four before come from: reported, estimated, unknown, none
	Model      string `json:"model,omitempty"`
}

// costReport stands beside a usageReport.
type costReport struct {
	Cost       *float64 `json:"cost"`       // dollars
	CostSource string   `json:"costSource"` // reported, estimated, unknown, none, free, cache
}

// The sources that only a report knows; the others are run.Source.
const (
	noSource    = "none"  // the call has no such figure: a shell, a person
	freeSource  = "free"  // its agent is declared to cost nothing
	cacheSource = "cache" // the answer came out of the cache
)

func reportUsage(u run.Usage) usageReport {
	r := usageReport{Calls: u.Calls, Tokens: string(u.Tokens), Model: u.Model}
	switch u.Tokens {
	case run.Reported, run.Estimated:
		r.Input, r.Output, r.CacheRead, r.CacheWrite = &u.Input, &u.Output, &u.CacheRead, &u.CacheWrite
	case "":
		r.Tokens = noSource
	}
	return r
}

// reportCost is in dollars. otherwise is the source where the usage itself names none.
func reportCost(u run.Usage, otherwise string) costReport {
	switch u.CostSource {
	case run.Reported, run.Estimated:
		dollars := float64(u.Cost) / 1e6
		return costReport{&dollars, string(u.CostSource)}
	case run.Unknown:
		return costReport{nil, string(run.Unknown)}
	}
	if otherwise == noSource {
		return costReport{nil, noSource}
	}
	return costReport{new(float64), otherwise}
}

// costOf is the cost of a step.
func costOf(s runs.Step) costReport {
	switch {
	case s.Cached:
		return reportCost(s.Usage, cacheSource)
	case s.Free:
		return reportCost(s.Usage, freeSource)
	}
	return reportCost(s.Usage, noSource)
}

// costOfAll is the cost of a run: free when nothing that could cost was called.
func costOfAll(view runs.View) costReport {
	for _, s := range view.Steps {
		if !s.Free && !s.Cached && !s.Kept {
			return reportCost(view.Usage, noSource)
		}
	}
	return reportCost(view.Usage, freeSource)
}

// factLine is a fact as --events prints it: as it is stored, save that what was used has the shape it has in --json.
func (s *session) factLine(f run.Fact) ([]byte, error) {
	var used run.Usage
	var cost costReport
	switch b := f.Body.(type) {
	case *run.CallDone:
		c := *b
		used, c.Usage, f.Body = b.Usage, run.Usage{}, &c
		cost = s.costAt(b.Path, used)
		if b.Source == cacheSource {
			cost = reportCost(used, cacheSource)
		}
	case *run.CallFailed:
		c := *b
		used, c.Usage, f.Body = b.Usage, run.Usage{}, &c
		cost = s.costAt(b.Path, used)
	case *run.CallEnded:
		c := *b
		used, c.Usage, f.Body = b.Usage, run.Usage{}, &c
		cost = s.costAt(b.Path, used)
	case *run.Finished:
		c := *b
		used, c.Usage, f.Body = b.Usage, run.Usage{}, &c
		cost = costOfAll(s.folder.View())
	default:
		return run.EncodeFact(f)
	}
	line, err := run.EncodeFact(f)
	if err != nil {
		return nil, err
	}
	more, err := json.Marshal(struct {
		Usage usageReport `json:"usage"`
		costReport
	}{reportUsage(used), cost})
	if err != nil {
		return nil, err
	}
	return append(append(bytes.TrimSuffix(line, []byte("}")), ','), more[1:]...), nil
}

func (s *session) costAt(path run.Path, u run.Usage) costReport {
	if step, ok := s.folder.Step(path); ok && step.Free {
		return reportCost(u, freeSource)
	}
	return reportCost(u, noSource)
}
