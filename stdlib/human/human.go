// Package human lets a script ask people: a question, a yes or no, a choice. The question belongs to the run: any process can show it and take the answer.
package human

import (
	"context"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// New returns the agent.
func New() agent.Agent { return human{} }

type human struct{}

func (human) Signatures() []types.Signature {
	text := types.Type{Kind: types.String}
	question := types.Param{Name: "question", Type: text, Required: true, Doc: "what to ask"}
	base := types.Signature{
		Primary: "question", Text: types.Text, Params: []types.Param{question},
		Effect: types.Do, Kind: types.Ask, Question: true,
	}

	ask := base
	ask.Name, ask.Doc, ask.Result, ask.World = "human.ask", "Asks a person and gives the answer as text, or what `as` asks for: then it is a form, and what does not fit is not taken.", text, true
	ask.Structured = true

	approve := base
	approve.Name, approve.Doc = "human.approve", "Asks a person for a yes or a no."
	approve.Result = types.Type{Kind: types.Enum, Values: []string{"yes", "no"}}

	choose := base
	choose.Name, choose.Doc, choose.Result = "human.choose", "Lets a person choose one text of a list.", text
	choose.Params = []types.Param{question, {Name: "from", Type: types.Type{Kind: types.List, Elem: &text}, Required: true, Doc: "what there is to choose from"}}

	return []types.Signature{ask, approve, choose}
}

// Call is never reached in a run: the host grants an Ask wish instead.
func (human) Call(context.Context, *agent.Call) agent.Reply {
	return agent.Fail(run.Failure, "a question to a person belongs to a run and cannot be called on its own")
}
