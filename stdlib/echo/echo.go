// Package echo is the agent that says what it is told: for first steps, for tests, and to build a value as a step.
package echo

import (
	"context"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// New returns the agent.
func New() agent.Agent { return echo{} }

type echo struct{}

func (echo) Signatures() []types.Signature {
	text := types.Type{Kind: types.String}
	return []types.Signature{{
		Name: "echo", Doc: "Answers with its own text. With `as T` the text is read as JSON.",
		Params:  []types.Param{{Name: "text", Type: text, Required: true, Doc: "what to say"}},
		Primary: "text", Text: types.Text, Result: text,
		Effect: types.Read, Kind: types.Call, Free: true, Idempotent: true, Structured: true,
	}}
}

func (echo) Call(_ context.Context, c *agent.Call) agent.Reply {
	text := c.Text
	if text == nil {
		text = c.Args["text"]
	}
	s, ok := text.(string)
	if !ok {
		return agent.Fail(run.Failure, "echo needs a text to say")
	}
	return agent.Reply{Value: s}
}
