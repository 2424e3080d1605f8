// Package strudel is the agent that knows Strudel code: whether it plays, what it plays and when. Nothing else needs to be installed for it, and nothing of
// the code is ever run.
package strudel

import (
	"context"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// New returns the agent.
func New() agent.Agent { return strudel{} }

type strudel struct{}

func (strudel) Signatures() []types.Signature {
	number := types.Type{Kind: types.Float, Optional: true}
	return []types.Signature{
		validateSignature(),
		eventsSignature(),
		{
			Name: "strudel.render", Doc: "Plays Strudel code into a sound file.",
			Params: []types.Param{
				codeParam(),
				{Name: "seconds", Type: number, Doc: "length of the sound"},
				{Name: "bpm", Type: number, Doc: "tempo"},
				{Name: "format", Type: types.Type{Kind: types.String, Optional: true}, Doc: "\"wav\", \"mp3\""},
			},
			Primary: "code", Text: types.Code, Result: types.Type{Kind: types.File},
			Effect: types.Read, Kind: types.Call, Idempotent: true,
		},
	}
}

func (strudel) Call(ctx context.Context, c *agent.Call) agent.Reply {
	switch c.Callee.Use {
	case "strudel.validate":
		return validate(ctx, c)
	case "strudel.events":
		return events(ctx, c)
	}
	return agent.Fail(run.Failure, c.Callee.Name+": rendering sound is not part of this version; a test can stand in for it with `mock "+c.Callee.Name+" -> …`")
}
