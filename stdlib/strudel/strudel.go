// Package strudel is the agent that knows Strudel code: whether it plays, what it plays and when, and how that sounds. Nothing else needs to be
// installed for it, and nothing of the code is ever run.
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
	return []types.Signature{
		validateSignature(),
		eventsSignature(),
		renderSignature(),
	}
}

func (strudel) Call(ctx context.Context, c *agent.Call) agent.Reply {
	switch c.Callee.Use {
	case "strudel.validate":
		return validate(ctx, c)
	case "strudel.events":
		return events(ctx, c)
	case "strudel.render":
		return render(ctx, c)
	}
	return agent.Fail(run.Failure, "this is no capability of strudel")
}
