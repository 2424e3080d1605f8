// Package contexts gives scripts the shared state of their run: memory.get, memory.set and memory.delete by nested path.
package contexts

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// New returns the agent.
func New() agent.Agent { return memory{} }

type memory struct{}

func (memory) Signatures() []types.Signature {
	path := types.Param{Name: "path", Type: types.Type{Kind: types.String}, Required: true, Doc: "where: `a.b[0].c`"}
	base := types.Signature{Primary: "path", Text: types.Text, Kind: types.Call, Free: true, Params: []types.Param{path}}

	get := base
	get.Name, get.Doc, get.Effect = "memory.get", "Reads a value from the shared state of the run; nothing when there is none.", types.Read
	get.Params = []types.Param{path, {Name: "default", Type: types.Type{Kind: types.Any, Optional: true}, Doc: "what to give when there is nothing"}}
	get.Result = types.Type{Kind: types.Any, Optional: true}

	set := base
	set.Name, set.Doc, set.Effect, set.Idempotent = "memory.set", "Puts a value into the shared state of the run.", types.Do, true
	set.Params = []types.Param{
		path,
		{Name: "value", Type: types.Type{Kind: types.Any}, Required: true, Doc: "what to keep"},
		{Name: "ttl", Type: types.Type{Kind: types.String, Optional: true}, Doc: "how long to keep it: \"90s\", \"2h\", \"7d\""},
	}
	set.Result = types.Type{Kind: types.Nothing}

	del := base
	del.Name, del.Doc, del.Effect, del.Idempotent = "memory.delete", "Takes a value out of the shared state of the run.", types.Do, true
	del.Result = types.Type{Kind: types.Nothing}

	return []types.Signature{get, set, del}
}

func (m memory) Call(ctx context.Context, c *agent.Call) agent.Reply {
	if c.Memory == nil {
		return agent.Fail(run.Failure, "this run has no shared state")
	}
	path, ok := c.Text.(string)
	if !ok {
		path, ok = c.Args["path"].(string)
	}
	if !ok {
		return agent.Fail(run.Failure, "a path is missing: memory.get \"a.b[0]\"")
	}
	value, err := act(ctx, c, path)
	if err != nil {
		return agent.Fail(run.Failure, err.Error())
	}
	return agent.Reply{Value: value}
}

func act(ctx context.Context, c *agent.Call, path string) (any, error) {
	use := c.Callee.Use
	if use == "" {
		use = c.Callee.Name
	}
	switch _, verb, _ := strings.Cut(use, "."); verb {
	case "get":
		value, ok, err := c.Memory.Get(ctx, path)
		if err == nil && !ok {
			value = c.Args["default"]
		}
		return value, err
	case "set":
		ttl, err := duration(c.Args["ttl"])
		if err != nil {
			return nil, err
		}
		return nil, c.Memory.Set(ctx, path, c.Args["value"], ttl)
	case "delete":
		return nil, c.Memory.Delete(ctx, path)
	default:
		return nil, fmt.Errorf("memory has no %s", verb)
	}
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
