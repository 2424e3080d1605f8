package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/model"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// probeTokens bounds each answer of a probe; a model that thinks first needs more than the few that the answer takes.
const probeTokens = 1024

// Probe finds out by three small requests what the server can do with the model: whether it streams and counts, keeps to a schema, and uses tools.
func (a *chat) Probe(ctx context.Context, say func(agent.Finding)) {
	secrets := outcome.NewSecrets(nil)
	key, err := a.key(secrets)
	if err != nil || a.Model == "" {
		return // Examine has said it
	}
	ask := func(prompt string, change func(*model.Request)) (model.Round, *reader) {
		req := model.Request{Model: a.Model, MaxTokens: min(a.MaxTokens, probeTokens), Turns: []model.Turn{{Text: prompt}}}
		change(&req)
		var last *reader
		round := a.watched(ctx, req, key, func(agent.Progress) {}, func(r *reader) { last = r })
		round.Message = secrets.Black(round.Message)
		return round, last
	}
	plain := func(*model.Request) {}
	round, got := ask("Answer with the one word: ready", plain)
	if round.Outcome != "" {
		say(agent.Finding{What: "answer", Said: round.Message, Wrong: true, Mend: a.mend(round.Reply)})
		return
	}
	switch {
	case got.whole:
		say(agent.Finding{What: "stream", Said: "no: an answer is shown when it is complete", Mend: "a server, or a proxy before it, that passes streams on shows answers as they come"})
	default:
		say(agent.Finding{What: "stream", Said: "yes"})
	}
	if round.Usage.Tokens == run.Reported {
		say(agent.Finding{What: "usage", Said: fmt.Sprintf("reported (%d tokens in, %d out)", round.Usage.Input+round.Usage.CacheRead, round.Usage.Output)})
	} else {
		say(agent.Finding{What: "usage", Said: "not reported: what calls use is unknown, and budgets take what they reserved", Mend: "price = {input = 0, output = 0} says that calls are free, if they are"})
	}
	say(a.probeSchema(ask))
	say(a.probeTools(ask))
}

// probeSchema asks for prose and binds the model to a record: who gets prose was not listened to.
func (a *chat) probeSchema(ask func(string, func(*model.Request)) (model.Round, *reader)) agent.Finding {
	shape := model.ShapeOf(types.Type{Kind: types.Record, Fields: []types.Field{{Name: "waves", Type: types.Type{Kind: types.Int}}}})
	round, _ := ask("Write one sentence about the sea and its waves.", func(r *model.Request) { r.Shape = shape })
	how := a.binding(model.Request{Model: a.Model, Shape: shape})
	f := agent.Finding{What: "json_schema"}
	record, _ := round.Value.(map[string]any)
	_, kept := record["waves"].(int)
	switch {
	case round.Outcome != "":
		f.Said = "no answer: " + round.Message
	case how == bySchema && kept:
		f.Said = "the model is held to it"
	case how == bySchema:
		f.Said = "accepted, and not kept to: what `as` asks for may take repairs"
	case how == byRecord:
		f.Said = "refused: it is asked for a JSON object instead, with the schema in words"
	default:
		f.Said = "refused: the schema is given in words"
	}
	if round.Outcome == "" && !kept {
		f.Said += "; this time the answer was " + outcome.Brief(fmt.Sprintf("%q", fmt.Sprint(round.Value)), 80, false)
		f.Mend = "answers are validated here in any case, and repaired; `repair 2` allows more of it"
	}
	return f
}

// probeTools offers a tool and asks for its use.
func (a *chat) probeTools(ask func(string, func(*model.Request)) (model.Round, *reader)) agent.Finding {
	tool := types.Tool{
		Name: "note", Doc: "Writes a word down.", Effect: types.Read,
		Input: json.RawMessage(`{"type":"object","properties":{"word":{"type":"string","description":"the word"}},"required":["word"],"additionalProperties":false}`),
	}
	round, _ := ask("Use the tool note to write down the word: sea", func(r *model.Request) { r.Tools = []model.Tool{{Tool: tool, Name: "note"}} })
	f := agent.Finding{What: "tools"}
	switch {
	case round.Outcome != "":
		f.Said, f.Mend = "no: "+round.Message, "an agent that is granted `tools` needs another model or server"
	case len(round.Uses) == 0:
		f.Said, f.Mend = "offered, and not used", "an agent that is granted `tools` may need a larger model, or a server that knows how this one asks for them"
	case round.Uses[0].Name != "note" || !strings.Contains(round.Uses[0].Args, "sea"):
		f.Said = fmt.Sprintf("used badly: %s(%s)", round.Uses[0].Name, outcome.Brief(round.Uses[0].Args, 80, false))
		f.Mend = "an agent that is granted `tools` may need a larger model"
	default:
		f.Said = "the model uses them"
	}
	return f
}

// mend is what to do about a request that failed.
func (a *chat) mend(r agent.Reply) string {
	switch r.Outcome {
	case run.Denied:
		return fmt.Sprintf("is %s a key of %s that may use %s, and is its account in order?", a.keyName(), a.host(), a.Model)
	case run.RateLimited:
		return "wait, or set limit or rate under its table in slop.toml"
	case run.Unavailable, run.Timeout:
		return "is the server well, and does the model fit into its memory? timeout in slop.toml allows it more time"
	}
	return "set model and base_url to what " + a.host() + " offers"
}
