package strudel

import (
	"context"
	"math"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
	"github.com/slopstudios/slop/stdlib/strudel/node"
	"github.com/slopstudios/slop/stdlib/strudel/pattern"
	"github.com/slopstudios/slop/stdlib/strudel/song"
)

// defaultCycles is how many cycles are told when nobody says how many.
const (
	defaultCycles = 4
	maxCycles     = 1024
)

func eventsSignature() types.Signature {
	number, text := types.Type{Kind: types.Float}, types.Type{Kind: types.String}
	return types.Signature{
		Name: "strudel.events", Use: "strudel.events", Doc: "Says what Strudel code would play, and when.",
		Params: []types.Param{
			codeParam(),
			{Name: "cycles", Type: types.Type{Kind: types.Int, Optional: true}, Doc: "how many cycles from the start, up to 1024; 4 when it is not given"},
		},
		Primary: "code", Text: types.Code,
		Result: types.ListOf(types.Type{Kind: types.Record, Fields: []types.Field{
			{Name: "begin", Type: number, Doc: "when it begins, in cycles"},
			{Name: "end", Type: number, Doc: "when it ends, in cycles"},
			{Name: "whole", Type: text, Doc: "both exactly: \"1/3 2/3\""},
			{Name: "time", Type: number, Doc: "when it begins, in seconds at the code's tempo"},
			{Name: "duration", Type: number, Doc: "how long it lasts, in seconds"},
			{Name: "values", Type: types.Type{Kind: types.Any}, Doc: "what with: {s: \"bd\", gain: 0.8}, by the controls' full names"},
		}}),
		Effect: types.Read, Kind: types.Call, Free: true, Idempotent: true, Version: "1",
	}
}

func (s strudel) events(ctx context.Context, c *agent.Call) agent.Reply {
	cycles := int64(defaultCycles)
	switch n := c.Args["cycles"].(type) {
	case int:
		cycles = int64(n)
	case float64:
		cycles = int64(n)
	}
	if cycles < 1 || cycles > maxCycles {
		return agent.Fail(run.Failure, "strudel.events: cycles is a number from 1 to 1024")
	}
	if s.config.Packages != "" {
		a, err := node.Ask(ctx, s.config.Packages, codeOf(c), int(cycles))
		switch {
		case err != nil:
			return unasked(ctx, err)
		case a.Problem != "":
			return broken("strudel.events", []song.Problem{{Message: a.Problem}})
		}
		return agent.Reply{Value: beginnings(a.Events, a.CPS)}
	}
	read, problems := song.Read(codeOf(c))
	if read == nil {
		return broken("strudel.events", problems)
	}
	found, err := read.Beginnings(ctx, cycles)
	if err != nil {
		if reply, ended := outcome.Ended(ctx); ended {
			return reply
		}
		return agent.Fail(run.Failure, "strudel.events: "+err.Error())
	}
	return agent.Reply{Value: beginnings(found, read.CPS)}
}

// beginnings are the events that begin in the time asked for, as people read them. Of one that goes on beyond it, the whole is told.
func beginnings(found []pattern.Event, cps float64) []any {
	list := []any{}
	for _, e := range found {
		if !e.Begins() {
			continue
		}
		begin, end := e.Whole.Begin, e.Whole.End
		list = append(list, map[string]any{
			"begin": rounded(begin.Float()), "end": rounded(end.Float()), "whole": begin.String() + " " + end.String(),
			"time": rounded(begin.Float() / cps), "duration": rounded(e.Whole.Length().Float() / cps), "values": e.Value,
		})
	}
	return list
}

// rounded leaves a millionth: what is exact stands in whole.
func rounded(f float64) float64 { return math.Round(f*1e6) / 1e6 }
