// Package strudel is the agent that knows Strudel code: whether it plays, what it plays and when, and how that sounds. Nothing else needs to be
// installed for it, and nothing of the code is ever run.
package strudel

import (
	"context"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/strudel/node"
)

// Config of the agent. The zero value needs nothing that is not built in.
type Config struct {
	// Packages is a folder whose node_modules have the @strudel/* packages of whoever runs this. When it is given they are asked what plays, in a process of
	// Node's that is shut in; else what is built in answers.
	Packages string
}

// New returns the agent.
func New(c Config) agent.Agent { return strudel{c} }

type strudel struct{ config Config }

func (strudel) Signatures() []types.Signature {
	return []types.Signature{
		validateSignature(),
		eventsSignature(),
		renderSignature(),
	}
}

func (s strudel) Call(ctx context.Context, c *agent.Call) agent.Reply {
	switch c.Callee.Use {
	case "strudel.validate":
		return s.validate(ctx, c)
	case "strudel.events":
		return s.events(ctx, c)
	case "strudel.render":
		return render(ctx, c)
	}
	return agent.Fail(run.Failure, "this is no capability of strudel")
}

// Check reports what is missing of the packages, when they are to be asked.
func (s strudel) Check(context.Context) error {
	if s.config.Packages == "" {
		return nil
	}
	return node.Ready(s.config.Packages)
}

// Account keeps answers of the packages apart from those of what is built in.
func (s strudel) Account() string { return agent.Account("strudel", s.config.Packages) }
