// Package contexts gives scripts shared state by nested path: memory.get, list, set, merge, append, add and delete, in the scope of the run, the flow or all.
package contexts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/run"
)

// New returns the agent.
func New() agent.Agent { return memory{} }

type memory struct{}

func (memory) Signatures() []types.Signature {
	path := types.Param{Name: "path", Type: types.Type{Kind: types.String}, Required: true, Doc: "where: `a.b[0].c`"}
	anywhere := types.Param{Name: "path", Type: types.Type{Kind: types.String, Optional: true}, Doc: "where: `a.b[0].c`; without one, all"}
	scope := types.Param{
		Name: "scope", Type: types.Type{Kind: types.Enum, Values: contexts.Scopes, Optional: true}, Lasts: true,
		Doc: "who shares it: the steps of this run (the default), all runs of this flow, or all flows; the last two outlive the run",
	}
	ttl := types.Param{Name: "ttl", Type: types.Type{Kind: types.String, Optional: true}, Doc: "how long to keep what is at the path: \"90s\", \"2h\", \"7d\""}
	value := func(t types.Type, doc string) types.Param {
		return types.Param{Name: "value", Type: t, Required: true, Doc: doc}
	}
	anything := types.Type{Kind: types.Any}
	capability := func(verb, doc string, effect types.Effect, result types.Type, params ...types.Param) types.Signature {
		return types.Signature{
			Name: "memory." + verb, Doc: doc, Primary: "path", Text: types.Text, Kind: types.Call, Free: true, Effect: effect, Result: result,
			// A run's own state follows the history, where each call stands once; what outlives it knows which calls it has seen.
			Idempotent: true,
			Params:     append(params, scope),
		}
	}
	return []types.Signature{
		capability("get", "Reads a value from shared state; nothing when there is none.", types.Read, types.Type{Kind: types.Any, Optional: true},
			path, types.Param{Name: "default", Type: types.Type{Kind: types.Any, Optional: true}, Doc: "what to give when there is nothing"}),
		capability("list", "Lists what is below a path of shared state: the names of a record, the indexes of a list.", types.Read,
			types.Type{Kind: types.List, Elem: &types.Type{Kind: types.String}}, anywhere),
		capability("set", "Puts a value into shared state, in the place of what is there.", types.Do, types.Type{Kind: types.Nothing},
			path, value(anything, "what to keep"), ttl),
		capability("merge", "Puts the fields of a record into the record that is there, and so on inside; all else is replaced.", types.Do, types.Type{Kind: types.Nothing},
			path, value(anything, "a record"), ttl),
		capability("append", "Puts an item behind the last of a list in shared state, and gives the length.", types.Do, types.Type{Kind: types.Int},
			path, value(anything, "the item"), ttl),
		capability("add", "Adds to a number in shared state, from 0, and gives the sum.", types.Do, types.Type{Kind: types.Any},
			path, types.Param{Name: "by", Type: types.Type{Kind: types.Float, Optional: true}, Doc: "what to add; 1 when it is not said"}, ttl),
		capability("delete", "Takes a value out of shared state.", types.Do, types.Type{Kind: types.Nothing}, path),
	}
}

func (m memory) Call(ctx context.Context, c *agent.Call) agent.Reply {
	if c.Memory == nil {
		return agent.Fail(run.Failure, "there is no shared state here")
	}
	value, err := act(ctx, c)
	switch {
	case err == nil:
		return agent.Reply{Value: value}
	case errors.Is(err, contexts.ErrUnsure):
		return agent.Fail(run.Interrupted, err.Error())
	case errors.Is(err, contexts.ErrUnavailable):
		return agent.Fail(run.Unavailable, err.Error())
	}
	return agent.Fail(run.Failure, err.Error())
}

func act(ctx context.Context, c *agent.Call) (any, error) {
	use := c.Callee.Use
	if use == "" {
		use = c.Callee.Name
	}
	_, verb, _ := strings.Cut(use, ".")
	path, ok := c.Text.(string)
	if !ok {
		path, ok = c.Args["path"].(string)
	}
	if !ok && verb != "list" {
		return nil, fmt.Errorf("a path is missing: memory.%s \"a.b[0]\"", verb)
	}
	scope := contexts.Run
	if s, ok := c.Args["scope"].(string); ok {
		scope = contexts.Scope(s)
	}
	switch verb {
	case "get":
		value, ok, err := c.Memory.Get(ctx, scope, path)
		if err == nil && !ok {
			value = c.Args["default"]
		}
		return value, err
	case "list":
		names, err := c.Memory.List(ctx, scope, path)
		list := make([]any, len(names))
		for i, name := range names {
			list[i] = name
		}
		return list, err
	}
	change := contexts.Change{Verb: contexts.Verb(verb), Path: path, Value: c.Args["value"]}
	switch change.Verb {
	case contexts.Set, contexts.Merge, contexts.Append, contexts.Delete:
	case contexts.Add:
		if change.Value = c.Args["by"]; change.Value == nil {
			change.Value = 1
		}
		if by, ok := change.Value.(float64); ok && by == float64(int(by)) {
			change.Value = int(by)
		}
	default:
		return nil, fmt.Errorf("memory has no %s", verb)
	}
	var err error
	if change.TTL, err = duration(c.Args["ttl"]); err != nil {
		return nil, err
	}
	return c.Memory.Change(ctx, scope, change)
}

// duration reads "90s", "5m", "2h", "7d" or "500ms"; nothing is 0.
func duration(v any) (time.Duration, error) {
	if v == nil {
		return 0, nil
	}
	text, ok := v.(string)
	if !ok {
		return 0, fmt.Errorf("ttl is a text such as \"90s\" or \"2h\"")
	}
	var d time.Duration
	var err error
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * 24 * float64(time.Hour))
	} else {
		d, err = time.ParseDuration(text)
	}
	if err != nil || d <= 0 || d > types.MaxDuration {
		return 0, fmt.Errorf("ttl `%s` is no time such as \"90s\", \"5m\", \"2h\" or \"7d\"", text)
	}
	return d, nil
}
