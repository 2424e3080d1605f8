// Package wait gives scripts `wait "90s"`. The timer belongs to the run, not to an agent, so it survives the process.
package wait

import (
	"context"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// New returns the agent.
func New() agent.Agent { return timer{} }

type timer struct{}

func (timer) Signatures() []types.Signature {
	text := types.Type{Kind: types.String, Optional: true}
	return []types.Signature{{
		Name: "wait", Doc: "Waits for a time such as \"90s\", \"5m\", \"2h\" or \"7d\", or until a moment.",
		Params: []types.Param{
			{Name: "for", Type: text, Doc: "how long: \"90s\", \"500ms\", \"2h\", \"7d\""},
			{Name: "until", Type: text, Doc: "the moment it ends: \"2026-12-24T18:00:00Z\""},
		},
		Primary: "for", Text: types.Text, Result: types.Type{Kind: types.Nothing},
		Effect: types.Do, Kind: types.Sleep,
	}}
}

// Call is never reached in a run: the host grants a Sleep wish instead.
func (timer) Call(context.Context, *agent.Call) agent.Reply {
	return agent.Fail(run.Failure, "wait is a timer of the run and cannot be called on its own")
}
