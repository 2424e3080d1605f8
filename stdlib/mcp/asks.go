package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// token is what is remembered of a call while people are asked, and what they said so far. There are two manners of asking:
//
// From 2026-07-28 on a server ends the call with requests and a state of its own, and is called again with the responses and the state. It may ask several
// things at once; people are asked one after the other.
//
// Before, it asks in the midst of the call and waits. Its call is ended then, and made anew from its beginning when people have answered: what it
// asks for the second time it is told at once.
type token struct {
	State    string              `json:"state,omitempty"`
	Requests sdk.InputRequestMap `json:"requests,omitempty"`
	Told     map[string]*told    `json:"told,omitempty"` // by the name of the request, or the hash of what was asked
	Asked    string              `json:"asked,omitempty"`
	Form     *sdk.ElicitParams   `json:"form,omitempty"` // what was asked in the older manner
}

// told is what people said to one request.
type told struct {
	Action  string         `json:"action"`
	Content map[string]any `json:"content,omitempty"`
}

// readToken is what is known when a call begins: nothing, or what was remembered, and the answer.
func readToken(a *run.Answer) (*token, error) {
	t := &token{Told: map[string]*told{}}
	if a == nil {
		return t, nil
	}
	if err := json.Unmarshal([]byte(a.Token), t); err != nil {
		return nil, fmt.Errorf("what was remembered of the call cannot be read: %w", err)
	}
	if t.Told == nil {
		t.Told = map[string]*told{}
	}
	switch v := a.Value.(type) {
	case map[string]any:
		t.Told[t.Asked] = &told{Action: "accept", Content: present(v)}
	default:
		t.Told[t.Asked] = &told{Action: run.Decline}
	}
	t.Asked, t.Form = "", nil
	return t, nil
}

// present leaves out the fields that were not filled in.
func present(v map[string]any) map[string]any {
	out := maps.Clone(v)
	maps.DeleteFunc(out, func(_ string, v any) bool { return v == nil })
	return out
}

// next is the request that people have not been asked yet, in the order of their names; nil: there is none.
func (t *token) next() *sdk.ElicitParams {
	for _, name := range slices.Sorted(maps.Keys(t.Requests)) {
		if t.Told[name] != nil {
			continue
		}
		if p, ok := t.Requests[name].(*sdk.ElicitParams); ok {
			t.Asked = name
			return p
		}
	}
	return nil
}

// responses are what people said to the requests of the last result.
func (t *token) responses() sdk.InputResponseMap {
	if len(t.Requests) == 0 {
		return nil
	}
	out := sdk.InputResponseMap{}
	for name := range t.Requests {
		if a := t.Told[name]; a != nil {
			out[name] = &sdk.ElicitResult{Action: a.Action, Content: a.Content}
		}
	}
	return out
}

// needs makes the reply to a result that asks for input.
func (t *token) needs(r *sdk.CallToolResult, server string) agent.Reply {
	if len(r.InputRequests) == 0 {
		return agent.Fail(run.Unavailable, fmt.Sprintf("the MCP server %s is busy", server))
	}
	for name, request := range r.InputRequests {
		if _, ok := request.(*sdk.ElicitParams); !ok {
			return agent.Fail(run.Failure, fmt.Sprintf("the tool wants %q, which is no question to people: folders, and answers of models, are not given to MCP servers here", clip(name, 100)))
		}
	}
	*t = token{State: r.RequestState, Requests: r.InputRequests, Told: map[string]*told{}}
	return t.ask(server)
}

// wants remembers what was asked in the older manner.
func (t *token) wants(p *sdk.ElicitParams) { t.Asked, t.Form = key(p), p }

// key tells what is asked in the older manner from other questions of the call.
func key(p *sdk.ElicitParams) string {
	raw, err := json.Marshal([]any{p.Message, p.Mode, p.RequestedSchema, p.URL})
	if err != nil {
		raw = []byte(p.Message)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])[:16]
}

// ask makes the reply of an attempt that needs to know what is asked next.
func (t *token) ask(server string) agent.Reply {
	p := t.Form
	if p == nil {
		p = t.next()
	}
	raw, err := json.Marshal(t)
	if err != nil {
		return agent.Fail(run.Failure, fmt.Sprintf("the question of the MCP server %s cannot be kept: %v", server, err))
	}
	return agent.Ask(form(p, server), string(raw))
}

// form is a request as people see it. They see who asks: the text is the server's.
func form(p *sdk.ElicitParams, server string) run.Form {
	text := strings.TrimSpace(clip(p.Message, 8000))
	if p.URL != "" {
		text += "\nOpen this address, and accept when you are done: " + clip(p.URL, 2000)
	}
	f := run.Form{Kind: "form", Text: "The MCP server " + server + " asks: " + text, Type: types.Type{Kind: types.Record}}
	if p.RequestedSchema == nil {
		return f
	}
	raw, err := json.Marshal(p.RequestedSchema)
	if err != nil {
		return f
	}
	if t, err := types.FromSchema(raw); err == nil && t.Kind == types.Record {
		f.Type = t
		for i := range f.Type.Fields {
			f.Type.Fields[i].Doc = doc(f.Type.Fields[i].Doc)
		}
	}
	return f
}

// errAsks is why a call ends whose server asks in the midst of it.
var errAsks = errors.New("the server asks something")

// elicit answers a server that asks in the midst of a call. It does not say of which: so what people know is looked for among the calls under way, and
// while it is, no other begins.
func (l *link) elicit(ctx context.Context, r *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
	cancel := &sdk.ElicitResult{Action: "cancel"}
	l.mu.Lock()
	l.asking++
	l.news()
	defer func() {
		l.mu.Lock()
		l.asking--
		l.news()
		l.mu.Unlock()
	}()
	for {
		var open []*flight
		for _, f := range l.flights {
			if f.asked == nil && !f.mixed {
				open = append(open, f)
			}
		}
		switch {
		case len(open) == 1:
			f := open[0]
			if a := f.told.Told[key(r.Params)]; a != nil {
				l.mu.Unlock()
				return &sdk.ElicitResult{Action: a.Action, Content: a.Content}, nil
			}
			f.asked = r.Params
			f.cancel(errAsks)
			l.mu.Unlock()
			return cancel, nil
		case len(open) == 0:
			l.mu.Unlock()
			return cancel, nil
		case l.asking >= len(open):
			for _, f := range open {
				f.mixed = true
				f.cancel(errAsks)
			}
			l.mu.Unlock()
			return cancel, nil
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return cancel, nil
		case <-l.ended:
			return cancel, nil
		}
		l.mu.Lock()
	}
}

// news tells those who wait that something changed. The caller has the lock.
func (l *link) news() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// enter begins a call, when nobody looks for who asked something.
func (l *link) enter(ctx context.Context, f *flight) (int64, error) {
	l.mu.Lock()
	for l.asking > 0 {
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-l.ended:
			return 0, errors.New("it is gone")
		}
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	id := l.tokens.Add(1)
	l.flights[id] = f
	l.news()
	return id, nil
}

func (l *link) leave(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.flights, id)
	l.news()
}
