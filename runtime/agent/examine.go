package agent

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Finding is one thing that was looked at to see whether an agent can be called.
type Finding struct {
	What  string `json:"what"`           // "program", "key", "model"
	Said  string `json:"said"`           // what was found, without secrets
	Wrong bool   `json:"wrong"`          // calls will fail because of it
	Mend  string `json:"mend,omitempty"` // what to do about it
}

// Examiner is an Agent that can say part by part whether it could be called: its program, version, key, endpoint, model.
type Examiner interface {
	// Examine says what it finds as it finds it. It costs nothing and ends with ctx.
	Examine(ctx context.Context, say func(Finding))
}

// Prober is an Agent that finds out what a service can do by making small calls, which may cost something: it is asked for by name only.
type Prober interface {
	Probe(ctx context.Context, say func(Finding))
}

// How long looking at one agent may take.
const (
	ExamineTimeout = 10 * time.Second
	ProbeTimeout   = 2 * time.Minute
)

// Examine looks closely at the agent registered as name: by its Examine, else by its Check. nothing: it has neither, so there is nothing to look at.
func (r *Registry) Examine(ctx context.Context, name string) (found []Finding, nothing bool) {
	entry := r.entry(name)
	if entry == nil {
		return nil, true
	}
	if e, ok := entry.agent.(guard).agent.(Examiner); ok {
		return look(ctx, ExamineTimeout, e.Examine), false
	}
	if entry.checks == nil {
		return nil, true
	}
	if err := check(ctx, name, entry); err != nil {
		return []Finding{{What: "check", Said: err.Error(), Wrong: true}}, false
	}
	return []Finding{{What: "check", Said: "it can be called"}}, false
}

// Probe has the agent registered as name find out what its service can do; it may cost something. Nothing is found where there is nothing to find out.
func (r *Registry) Probe(ctx context.Context, name string) []Finding {
	entry := r.entry(name)
	if entry == nil {
		return nil
	}
	p, ok := entry.agent.(guard).agent.(Prober)
	if !ok {
		return nil
	}
	return look(ctx, ProbeTimeout, p.Probe)
}

func (r *Registry) entry(name string) *registered {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.agents[name]
}

// look collects what is found until the time is over. An agent that panics, or does not end, has its other findings kept.
func look(ctx context.Context, limit time.Duration, at func(context.Context, func(Finding))) []Finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var (
		mu    sync.Mutex
		found []Finding
		over  bool
	)
	say := func(f Finding) {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			found = append(found, f)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				say(Finding{What: "crash", Said: fmt.Sprintf("it panicked: %v", r), Wrong: true, Mend: "this is a mistake in the agent: report it"})
			}
		}()
		at(ctx, say)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		say(Finding{What: "time", Said: fmt.Sprintf("no answer within %v", limit), Wrong: true})
	}
	mu.Lock()
	defer mu.Unlock()
	over = true
	return found
}
