// Package remote makes agents of programs in any language. A program speaks one protocol, lines of JSON on its standard input and output; the same messages
// go over a WebSocket, or as HTTP requests, to agents that register where slop serves (spec/agent-protocol.md).
//
//	slop ──hello──▶ agent        then, for each call, any number of them at a time:
//	     ◀──hello──              call ──▶   ◀── progress, usage …   ◀── result | error | ask
//
// One connection serves many calls. Whatever an agent says is held to bounds: lines without end, floods, answers to nobody, silence and deafness cost the agent
// its connection, and nobody else anything.
package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// Agent is an agent of slop that lives elsewhere.
type Agent struct {
	name    string
	about   *Description
	connect func(ctx context.Context) (*session, error) // nil: it connects to us, see attach
	account string

	opening chan struct{} // holds one: connections are opened one at a time

	mu       sync.Mutex
	sessions []*session
	begun    bool           // there was a session before
	closed   string         // why it takes no more calls; "": it does
	group    sync.WaitGroup // of their heartbeats
}

func newAgent(name, account string, connect func(context.Context) (*session, error)) *Agent {
	return &Agent{name: name, connect: connect, account: account, opening: make(chan struct{}, 1)}
}

// Signatures are those of its hello.
func (a *Agent) Signatures() []types.Signature { return slices.Clone(a.about.Signatures) }

// Concurrency is how many calls at a time it takes.
func (a *Agent) Concurrency() int { return a.about.Concurrency }

// Account is where the agent lives and which version of it answers.
func (a *Agent) Account() string { return agent.Account(a.account, a.about.Version) }

// Describe connects and gives what the agent says of itself. The connection is kept for calls.
func (a *Agent) Describe(ctx context.Context) (*Description, error) {
	s, err := a.session(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.about = s.about
	return s.about, nil
}

// Known has the agent be what it said of itself before, so that nothing is begun until it is called.
func (a *Agent) Known(d *Description) { a.about = d }

// Check connects, unless that was done before, and sees whether what is there is what was known. A program that was ended since nobody called it is not begun
// again for a check.
func (a *Agent) Check(ctx context.Context) error {
	a.mu.Lock()
	rests := a.connect != nil && a.begun && len(a.sessions) == 0
	a.mu.Unlock()
	if rests {
		return nil
	}
	s, err := a.session(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	now := s.about
	s.mu.Unlock()
	for _, sig := range a.about.Signatures {
		if !slices.ContainsFunc(now.Signatures, func(o types.Signature) bool { return o.Name == sig.Name }) {
			return fmt.Errorf("%s no longer offers %s", a.name, a.spoken(sig.Name))
		}
	}
	return nil
}

// Examine says what is there and whether it is what was known.
func (a *Agent) Examine(ctx context.Context, say func(agent.Finding)) {
	s, err := a.session(ctx)
	if err != nil {
		say(agent.Finding{What: "hello", Said: err.Error(), Wrong: true, Mend: "slop agent test tells more about a program"})
		return
	}
	s.mu.Lock()
	now := s.about
	s.mu.Unlock()
	say(agent.Finding{What: "hello", Said: strings.TrimSpace(orElse(now.Name, "no name") + " " + now.Version)})
	say(agent.Finding{What: "capabilities", Said: count(len(now.Signatures), "capability", "capabilities") + ", " + count(now.Concurrency, "call", "calls") + " at a time"})
	if err := a.Check(ctx); err != nil {
		say(agent.Finding{What: "capabilities", Said: err.Error(), Wrong: true, Mend: "scripts that name it need another agent"})
	}
}

// spoken is the name of a capability as scripts have it.
func (a *Agent) spoken(name string) string { return a.name + strings.TrimPrefix(name, own) }

// Call makes one attempt.
func (a *Agent) Call(ctx context.Context, c *agent.Call) agent.Reply {
	secrets := outcome.SecretsOf(c)
	m, err := a.message(c, secrets)
	if err != nil {
		return agent.Fail(run.Failure, secrets.Black(err.Error()))
	}
	s, id, place, err := a.place(ctx)
	if err != nil {
		if reply, ended := outcome.Ended(ctx); ended {
			return reply
		}
		return agent.Fail(run.Unavailable, secrets.Black(a.name+" cannot be called: "+err.Error()))
	}
	place.emit, place.black = c.Emit, secrets.Black
	reply := s.ask(ctx, id, place, m)
	if reply.Outcome != "" && reply.Outcome != run.Asks {
		reply.Message = a.name + ": " + reply.Message
	}
	reply.Message = secrets.Black(reply.Message)
	if c.Callee.Effect == types.Think && reply.Outcome != "" && reply.Usage.Tokens == "" && reply.Outcome == run.Unavailable {
		reply.Usage = run.Usage{Calls: 1, Tokens: run.Unknown, CostSource: run.Unknown} // it may have asked a model before it broke
	}
	return reply
}

// message puts a call into the words of the protocol. Secrets enter here, and only into arguments that are marked.
func (a *Agent) message(c *agent.Call, secrets *outcome.Secrets) (*message, error) {
	_, name, _ := strings.Cut(c.Callee.Use, ".")
	m := &message{
		Capability: &name, Key: c.Key, Attempt: c.Attempt, System: c.System, Folder: c.Folder, Args: map[string]any{},
	}
	if c.As != nil {
		m.Schema = c.Schema
	}
	if !c.Deadline.IsZero() {
		m.Deadline = c.Deadline.UTC().Format(time.RFC3339Nano)
	}
	open := func(name string, v any) (any, error) {
		if slices.ContainsFunc(c.Callee.Params, func(p types.Param) bool { return p.Name == name && p.Secret }) {
			return secrets.Open(v)
		}
		if holdsSecret(v) {
			return nil, fmt.Errorf("a secret stands in %s of %s, which does not take one", name, a.name)
		}
		return agent.Reveal(v, nil)
	}
	var err error
	for name, v := range c.Args {
		if name == c.Callee.Primary && c.Text != nil {
			continue
		}
		if m.Args[name], err = open(name, v); err != nil {
			return nil, err
		}
	}
	if c.Text != nil && c.Callee.Primary != "" {
		if m.Args[c.Callee.Primary], err = open(c.Callee.Primary, c.Text); err != nil {
			return nil, err
		}
	}
	if c.Repair != nil {
		m.Repair = &repair{c.Repair.Round, c.Repair.Answer, c.Repair.Problems}
	}
	if c.Answer != nil {
		m.Answer = &answer{c.Answer.Token, c.Answer.Value}
	}
	return m, nil
}

func holdsSecret(v any) bool {
	found := errors.New("found")
	_, err := agent.Reveal(v, func(string) (string, error) { return "", found })
	return errors.Is(err, found)
}

// place finds room for a call on a connection, and opens one when there is none.
func (a *Agent) place(ctx context.Context) (*session, string, *call, error) {
	if s, id, c, ok := a.free(); ok {
		return s, id, c, nil
	}
	select {
	case a.opening <- struct{}{}:
		defer func() { <-a.opening }()
	case <-ctx.Done():
		return nil, "", nil, ctx.Err()
	}
	for {
		if s, id, c, ok := a.free(); ok {
			return s, id, c, nil
		}
		s, err := a.open(ctx)
		if err != nil {
			return nil, "", nil, err
		}
		if id, c, ok := s.enter(); ok {
			return s, id, c, nil
		}
		if err := s.reason(); err != nil {
			return nil, "", nil, err
		}
	}
}

// free takes a place on a connection that is there.
func (a *Agent) free() (*session, string, *call, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.sessions {
		if id, c, ok := s.enter(); ok {
			return s, id, c, true
		}
	}
	return nil, "", nil, false
}

// session gives a connection that works, one that is there if there is one.
func (a *Agent) session(ctx context.Context) (*session, error) {
	select {
	case a.opening <- struct{}{}:
		defer func() { <-a.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	a.mu.Lock()
	for _, s := range a.sessions {
		select {
		case <-s.over:
		default:
			a.mu.Unlock()
			return s, nil
		}
	}
	a.mu.Unlock()
	return a.open(ctx)
}

// open makes a connection. Only who holds `opening` may.
func (a *Agent) open(ctx context.Context) (*session, error) {
	a.mu.Lock()
	closed := a.closed
	connected := slices.ContainsFunc(a.sessions, func(s *session) bool { return s.reason() == nil }) // one that is over may be there for a moment more
	a.mu.Unlock()
	switch {
	case closed != "":
		return nil, errors.New(closed)
	case a.connect == nil && connected:
		return nil, errors.New("it takes no more calls at a time")
	case a.connect == nil:
		return nil, errors.New("it is not connected")
	}
	s, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.greet(ctx); err != nil {
		s.wire.end()
		return nil, err
	}
	if err := a.add(s); err != nil {
		return nil, err
	}
	return s, nil
}

// add takes a connection whose hello was said into use.
func (a *Agent) add(s *session) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed != "" {
		s.lost(errors.New(a.closed))
		return s.reason()
	}
	a.begun = true
	a.sessions = append(a.sessions, s)
	a.group.Go(func() {
		s.keep()
		a.mu.Lock()
		a.sessions = slices.DeleteFunc(a.sessions, func(o *session) bool { return o == s })
		a.mu.Unlock()
		s.wire.end()
	})
	if a.connect != nil {
		s.mu.Lock()
		s.idle = time.AfterFunc(maxIdle, func() { s.lost(errors.New("nobody called it")) })
		s.mu.Unlock()
	}
	return nil
}

// Close ends every connection and waits until what served them is gone. Calls under way fail.
func (a *Agent) Close() error { return a.Dismiss("slop ends") }

// Dismiss is Close for another reason, which calls under way hear.
func (a *Agent) Dismiss(why string) error {
	a.mu.Lock()
	a.closed = why
	sessions := slices.Clone(a.sessions)
	a.mu.Unlock()
	for _, s := range sessions {
		s.lost(errors.New(why))
	}
	a.group.Wait()
	return nil
}
