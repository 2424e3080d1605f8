package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// maxShown is how much of what a tool was given, and of what it answered, those see who watch.
const maxShown = 2 << 10

// use calls a tool in the midst of a call. It is part of that call: no fact tells of it, and what the call may do twice, its tools may. So the effect of a
// call is the strongest of its tools', and one that changes the world is never made again after a crash.
func (f *flight) use(ctx context.Context, u agent.Use) agent.Reply {
	sig := f.callee.pinned
	i := slices.IndexFunc(sig.Tools, func(t types.Tool) bool { return t.Name == u.Tool })
	if i < 0 {
		return agent.Fail(run.Denied, fmt.Sprintf("%s has no tool %q", sig.Name, u.Tool))
	}
	r := &f.session.redactor
	shown := run.ToolUse{ID: u.ID, Name: u.Tool}
	if args, err := json.Marshal(u.Args); err == nil {
		shown.Args = string(args)
	}
	begun := shown
	f.emit(agent.Progress{Tool: &begun})

	reply := f.useTool(ctx, &sig.Tools[i], u)
	reply.Message = r.text(reply.Message)
	switch reply.Outcome {
	case "":
		value, err := normal(reply.Value)
		if err != nil {
			reply = replace(reply, run.Failure, fmt.Sprintf("the answer of %s cannot be used: %v", u.Tool, err))
			break
		}
		reply.Value = r.value(value)
	case run.Asks:
	default:
		reply.Value = nil
	}
	shown.Ended, shown.Failed = true, reply.Outcome != ""
	switch shown.Result = reply.Message; v := reply.Value.(type) {
	case nil:
	case string:
		shown.Result = v
	default:
		if text, err := json.Marshal(v); err == nil {
			shown.Result = string(text)
		}
	}
	f.emit(agent.Progress{Tool: &shown})
	return reply
}

func (f *flight) useTool(ctx context.Context, tool *types.Tool, u agent.Use) agent.Reply {
	e := f.session.engine
	served, _, ok := e.registry.Lookup(tool.Name)
	if !ok {
		return agent.Fail(run.Denied, fmt.Sprintf("no agent named `%s` is registered here", tool.Name))
	}
	name, bounds, _ := e.registry.Owner(tool.Name)
	leave, err := e.limits.line(name, bounds).visit(ctx)
	if err != nil {
		return agent.Fail(run.Stopped, fmt.Sprintf("%s was not called: %v", tool.Name, err))
	}
	defer leave()
	if ctx.Err() != nil {
		return agent.Fail(run.Stopped, tool.Name+" was not called: the call that wanted it is over")
	}
	call := &agent.Call{
		Run: f.session.id, Path: f.wish.Path, Attempt: f.wish.Attempt, Key: f.wish.Key + "?" + u.ID, Folder: e.folder,
		Callee: &types.Signature{Name: tool.Name, Use: tool.Use, Kind: types.Call, Effect: tool.Effect, World: true, Version: tool.Version},
		Args:   u.Args, Answer: u.Answer, Hide: f.session.redactor.learn,
		Emit: func(p agent.Progress) {
			if p.Note != "" {
				f.emit(agent.Progress{Note: tool.Name + ": " + p.Note})
			}
		},
	}
	if d, ok := ctx.Deadline(); ok {
		call.Deadline = d
	}
	var pass *agent.Pass
	if v := e.registry.Vitals(tool.Name); v != nil {
		var refusal agent.Reply
		if pass, refusal = v.Admit(ctx, call); pass == nil {
			return refusal
		}
	}
	reply := served.Call(ctx, call)
	if pass != nil {
		outcome := reply.Outcome
		if outcome != "" && ctx.Err() != nil {
			outcome = run.Stopped // it was told to end, which says nothing about it
		}
		pass.End(outcome, f.session.redactor.text(reply.Message), 0)
	}
	return reply
}

// visit takes a slot of an agent for a call made in the midst of another one, which has a slot of the process already. It is served before those that are
// to begin: what it holds up holds slots itself. No agent whose calls visit others is visited, so nobody waits in a circle. leave gives the slot back.
func (ln *line) visit(ctx context.Context) (leave func(), err error) {
	l, p := ln.limits, ln.pot
	if p.limit == 0 {
		return func() {}, nil
	}
	g := &guest{admitted: make(chan struct{})}
	l.mu.Lock()
	p.guests = append(p.guests, g)
	ln.welcome()
	ln.send()
	l.mu.Unlock()
	leave = func() {
		l.mu.Lock()
		p.used--
		ln.welcome()
		p.settle(l, l.waiting+len(p.guests) > 0)
		served := l.serve()
		l.mu.Unlock()
		call(served)
	}
	select {
	case <-g.admitted:
		return leave, nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	in := !slices.Contains(p.guests, g)
	p.guests = slices.DeleteFunc(p.guests, func(o *guest) bool { return o == g })
	l.mu.Unlock()
	if in {
		leave()
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errClosing) {
		return nil, cause
	}
	return nil, ctx.Err()
}

// guest waits for a slot of an agent in the midst of another call.
type guest struct{ admitted chan struct{} }

// welcome lets guests in, as far as there are slots. The limits are locked.
func (ln *line) welcome() {
	p := ln.pot
	for len(p.guests) > 0 && !p.empty() && (p.loan == nil || len(p.loan.held) > p.used) {
		p.used++
		close(p.guests[0].admitted)
		p.guests = p.guests[1:]
	}
}

// awaited reports whether anybody waits for a slot of the agent who could have one now.
func (ln *line) awaited() bool {
	return len(ln.pot.guests) > 0 || len(ln.queues) > 0 && ln.limits.room > 0
}
