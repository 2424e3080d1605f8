// Package strudel declares the Strudel capabilities, so that scripts which make music can be checked and tested. Playing and judging code is not part of
// this version: a call fails and says so.
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
	text := types.Type{Kind: types.String}
	number := types.Type{Kind: types.Float, Optional: true}
	format := types.Type{Kind: types.String, Optional: true}
	code := types.Param{Name: "code", Type: text, Required: true, Doc: "Strudel code"}
	return []types.Signature{
		{
			Name: "strudel.validate", Doc: "Says whether Strudel code plays, and what is wrong with it.",
			Params: []types.Param{code}, Primary: "code", Text: types.Code,
			Result: types.Type{Kind: types.Record, Fields: []types.Field{
				{Name: "valid", Type: types.Type{Kind: types.Bool}},
				{Name: "problem", Type: text},
				{Name: "problems", Type: types.Type{Kind: types.List, Elem: &text}},
			}},
			Effect: types.Read, Kind: types.Call, Idempotent: true,
		},
		{
			Name: "strudel.render", Doc: "Plays Strudel code into a sound file.",
			Params: []types.Param{
				code,
				{Name: "seconds", Type: number, Doc: "length of the sound"},
				{Name: "bpm", Type: number, Doc: "tempo"},
				{Name: "format", Type: format, Doc: "\"wav\", \"mp3\""},
			},
			Primary: "code", Text: types.Code, Result: types.Type{Kind: types.File},
			Effect: types.Read, Kind: types.Call, Idempotent: true,
		},
	}
}

func (strudel) Call(_ context.Context, c *agent.Call) agent.Reply {
	name := "strudel"
	if c.Callee != nil {
		name = c.Callee.Name
	}
	return agent.Fail(run.Failure, name+": the Strudel agent is not part of this version; a test can stand in for it with `mock "+name+" -> …`")
}

// Check says the same before a run begins.
func (strudel) Check(context.Context) error { return errNotPart }

type notPart struct{}

func (notPart) Error() string {
	return "the Strudel agent is not part of this version; tests can mock it"
}

var errNotPart error = notPart{}
