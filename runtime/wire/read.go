package wire

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// Read reads a frame that Frames made: a fact or progress. Of what was used, figures that nobody knows come back as unknown and 0. ok is false for frames
// that are neither, such as notes: whoever folds the facts has those already.
func Read(frame []byte) (e runs.Event, ok bool, err error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(frame, &head); err != nil {
		return e, false, fmt.Errorf("read a frame: %w", err)
	}
	switch head.Kind {
	case "progress":
		var p struct {
			Path    run.Path `json:"path"`
			Attempt int      `json:"attempt"`
			Delta   string   `json:"delta"`
			Offset  int      `json:"offset"`
			Note    string   `json:"note"`
			Reset   bool     `json:"reset"`
		}
		if err := json.Unmarshal(frame, &p); err != nil {
			return e, false, fmt.Errorf("read a frame: %w", err)
		}
		e.Progress = &runs.Progress{Path: p.Path, Attempt: p.Attempt, Offset: p.Offset, Delta: p.Delta, Note: p.Note, Reset: p.Reset}
		return e, true, nil
	case "", "note", "run", "error":
		return e, false, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(frame, &fields); err != nil {
		return e, false, fmt.Errorf("read a frame: %w", err)
	}
	used, has, err := usageOf(fields)
	if err != nil {
		return e, false, err
	}
	if has {
		if fields["usage"], err = json.Marshal(used); err != nil {
			return e, false, err
		}
	}
	for _, name := range []string{"event", "run", "cost", "costSource"} {
		delete(fields, name)
	}
	fact, err := json.Marshal(fields)
	if err != nil {
		return e, false, err
	}
	f, err := run.DecodeFact(fact)
	if err != nil {
		return e, false, err
	}
	e.Fact = &f
	return e, true, nil
}

// usageOf is what CostOf and UsageOf were made of.
func usageOf(fields map[string]json.RawMessage) (u run.Usage, ok bool, err error) {
	raw, ok := fields["usage"]
	if !ok {
		return u, false, nil
	}
	var used Usage
	var cost Cost
	if err := json.Unmarshal(raw, &used); err != nil {
		return u, false, fmt.Errorf("read a frame: usage: %w", err)
	}
	if raw := fields["cost"]; raw != nil {
		if err := json.Unmarshal(raw, &cost.Dollars); err != nil {
			return u, false, fmt.Errorf("read a frame: cost: %w", err)
		}
	}
	if raw := fields["costSource"]; raw != nil {
		if err := json.Unmarshal(raw, &cost.CostSource); err != nil {
			return u, false, fmt.Errorf("read a frame: costSource: %w", err)
		}
	}
	return ReadUsage(used, cost), true, nil
}

// ReadUsage is what UsageOf and CostOf were made of; figures that nobody knows are 0.
func ReadUsage(used Usage, cost Cost) run.Usage {
	u := run.Usage{Calls: used.Calls, Model: used.Model}
	if used.Tokens != NoSource {
		u.Tokens = run.Source(used.Tokens)
	}
	for figure, from := range map[*int64]*int64{&u.Input: used.Input, &u.Output: used.Output, &u.CacheRead: used.CacheRead, &u.CacheWrite: used.CacheWrite} {
		if from != nil {
			*figure = *from
		}
	}
	switch cost.CostSource {
	case NoSource, FreeSource, CacheSource:
	default:
		u.CostSource = run.Source(cost.CostSource)
		if cost.Dollars != nil {
			u.Cost = plan.Money(math.Round(*cost.Dollars * 1e6))
		}
	}
	return u
}
