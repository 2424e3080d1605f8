package strudel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
	"github.com/slopstudios/slop/stdlib/strudel/node"
	"github.com/slopstudios/slop/stdlib/strudel/song"
)

func codeParam() types.Param {
	return types.Param{Name: "code", Type: types.Type{Kind: types.String}, Required: true, Doc: "Strudel code"}
}

func validateSignature() types.Signature {
	text, number := types.Type{Kind: types.String}, types.Type{Kind: types.Int}
	return types.Signature{
		Name: "strudel.validate", Use: "strudel.validate", Doc: "Says whether Strudel code plays, and what is wrong with it.",
		Params: []types.Param{codeParam()}, Primary: "code", Text: types.Code,
		Result: types.Type{Kind: types.Record, Fields: []types.Field{
			{Name: "valid", Type: types.Type{Kind: types.Bool}},
			{Name: "problem", Type: text, Doc: "all problems with their places, a line each, for a model to mend; empty when it is valid"},
			{Name: "problems", Type: types.ListOf(types.Type{Kind: types.Record, Fields: []types.Field{
				{Name: "line", Type: number, Doc: "from 1; 0 when the whole code is meant"},
				{Name: "column", Type: number, Doc: "from 1, in characters"},
				{Name: "message", Type: text},
				{Name: "suggestion", Type: text, Doc: "what to do; may be empty"},
			}})},
		}},
		Effect: types.Read, Kind: types.Call, Free: true, Idempotent: true, Version: "1",
	}
}

// codeOf is the code that a call is about.
func codeOf(c *agent.Call) string {
	if text, ok := c.Text.(string); ok {
		return text
	}
	text, _ := c.Args["code"].(string)
	return text
}

func (s strudel) validate(ctx context.Context, c *agent.Call) agent.Reply {
	if s.config.Packages != "" {
		a, err := node.Ask(ctx, s.config.Packages, codeOf(c), checkedCycles)
		if err != nil {
			return unasked(ctx, err)
		}
		var problems []song.Problem
		if a.Problem != "" {
			problems = []song.Problem{{Message: a.Problem}}
		}
		return agent.Reply{Value: verdict(problems)}
	}
	_, problems, err := song.Check(ctx, codeOf(c))
	if reply, ended := outcome.Ended(ctx); err != nil && ended {
		return reply
	}
	return agent.Reply{Value: verdict(problems)}
}

// checkedCycles is how much of the code the packages are asked to play when it is looked at.
const checkedCycles = 8

// unasked is the failure of a call that the packages did not answer.
func unasked(ctx context.Context, err error) agent.Reply {
	if reply, ended := outcome.Ended(ctx); ended {
		return reply
	}
	if errors.Is(err, node.ErrUnavailable) {
		return agent.Fail(run.Unavailable, err.Error())
	}
	return agent.Fail(run.Failure, err.Error())
}

// verdict is the value of strudel.validate.
func verdict(problems []song.Problem) map[string]any {
	list := make([]any, len(problems))
	for i, p := range problems {
		list[i] = map[string]any{"line": p.Line, "column": p.Column, "message": p.Message, "suggestion": p.Suggestion}
	}
	return map[string]any{"valid": len(problems) == 0, "problem": told(problems), "problems": list}
}

// told is one text of all problems.
func told(problems []song.Problem) string {
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// broken is the failure of a call whose code does not play.
func broken(name string, problems []song.Problem) agent.Reply {
	return agent.Fail(run.Failure, fmt.Sprintf("%s: this code does not play: %s", name, told(problems)))
}
