// Package mcp makes the tools of a server that speaks the Model Context Protocol agents of a script: `github.search`.
//
//	slop.toml ── Server ──┬── listing: the tools as they were last seen, on disk: a script is checked without starting anything
//	                      └── link: the living connection, made at the first call, shared by all runs of the process, mended with backoff
//	                            ├── a program: newline-delimited JSON on stdin and stdout, its own process tree, stderr into a log
//	                            └── an address: streamable HTTP
//
// A plan pins the signature that a listing gave; a tool that is another one when it is called fails. Nothing is held open for people: what a server
// wants to know in mid-call ends the attempt with a question, and the tool is called again with the answer (see asks.go).
package mcp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/sync/singleflight"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// Config is one server. Exactly one of Command and URL is set.
type Config struct {
	Name    string   // in slop.toml: the first word of its agents
	Command []string // program and arguments
	Folder  string   // the program's working folder; "" is ours
	Env     []string // names of environment variables that the program may see, beside those every program needs
	URL     string
	Headers map[string]string // of each request: the names of the variables that hold the values
	Token   string            // the name of the variable that holds a bearer token; "" none

	Allow, Deny []string // patterns of tool names; no Allow: all
	Trusted     bool     // what it says of the effects of its tools counts
	Effects     map[string]types.Effect
	Idempotent  []string // tools of which a repeated call does no more than one

	Timeout time.Duration // of one call; 0: DefaultTimeout
	Start   time.Duration // of starting and connecting; 0: DefaultStart

	Cache string // the folder of listings; "": none are kept
	Log   string // the file that stderr goes to; "": nowhere

	Changed   func()                      // hears that the signatures are others now, while the server is connected; nil: nobody does
	Getenv    func(string) (string, bool) // nil: os.LookupEnv
	Version   string                      // of slop, which a server is told
	Transport func() sdk.Transport        // instead of Command and URL: of tests
}

// What is waited for where slop.toml does not say.
const (
	DefaultTimeout = 5 * time.Minute
	DefaultStart   = time.Minute // a server may be installed at its first start
)

// Server is the agent that serves the tools of one server.
type Server struct {
	config  Config
	connect singleflight.Group

	mu       sync.Mutex
	listing  *Listing
	link     *link     // nil: not connected
	failures int       // in a row
	rests    time.Time // not tried again before
	closed   bool
}

// New does not start or connect anything.
func New(c Config) *Server {
	if c.Getenv == nil {
		c.Getenv = os.LookupEnv
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Start <= 0 {
		c.Start = DefaultStart
	}
	s := &Server{config: c}
	s.listing = c.load()
	return s
}

// Listing is what is known of the server's tools; nil: nothing is.
func (s *Server) Listing() *Listing {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listing
}

// Signatures of the tools that are known and allowed.
func (s *Server) Signatures() []types.Signature {
	l := s.Listing()
	if l == nil {
		return nil
	}
	var out []types.Signature
	for _, t := range s.config.tools(l) {
		out = append(out, t.signature)
	}
	return out
}

// Learn starts the server, or connects to it, and lists its tools anew.
func (s *Server) Learn(ctx context.Context) (*Listing, error) {
	l, err := s.reach(ctx, true)
	if err != nil {
		return nil, err
	}
	return l.known.Load().listing, nil
}

// Account is whose answers the server gives.
func (s *Server) Account() string {
	parts := append([]string{s.config.URL, s.config.Folder}, s.config.Command...)
	for _, name := range s.config.variables() {
		value, _ := s.config.Getenv(name)
		parts = append(parts, name, value)
	}
	return agent.Account(parts...)
}

// variables are the names of those that slop.toml hands to the server, in order.
func (c *Config) variables() []string {
	names := slices.Clone(c.Env)
	for _, name := range c.Headers {
		names = append(names, name)
	}
	if c.Token != "" {
		names = append(names, c.Token)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// secrets are the values of variables that hold one for sure, and those whose name says so, by name.
func (c *Config) secrets() map[string]string {
	secret := map[string]string{}
	for _, name := range c.variables() {
		value, _ := c.Getenv(name)
		upper := strings.ToUpper(name)
		tells := slices.ContainsFunc([]string{"TOKEN", "KEY", "SECRET", "PASS", "AUTH", "CREDENTIAL"}, func(word string) bool { return strings.Contains(upper, word) })
		if len(value) >= agent.MinSecret && (tells || !slices.Contains(c.Env, name)) {
			secret[name] = value
		}
	}
	return secret
}

// Check reports whether the server could be called: one that is a program is not started for it.
func (s *Server) Check(ctx context.Context) error {
	s.mu.Lock()
	l := s.link
	s.mu.Unlock()
	switch {
	case l != nil && !l.dead():
		return l.ping(ctx)
	case len(s.config.Command) > 0:
		return s.config.installed()
	}
	_, err := s.reach(ctx, false)
	return err
}

// Close ends the connection and the program.
func (s *Server) Close() error {
	s.mu.Lock()
	l := s.link
	s.link, s.closed = nil, true
	s.mu.Unlock()
	if l != nil {
		l.close()
	}
	return nil
}

// allows reports whether slop.toml lets scripts call a tool.
func (c *Config) allows(tool string) bool {
	matches := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			ok, _ := path.Match(p, tool)
			return ok
		})
	}
	return (len(c.Allow) == 0 || matches(c.Allow)) && !matches(c.Deny)
}

// Call calls a tool once.
func (s *Server) Call(ctx context.Context, c *agent.Call) agent.Reply {
	for name, value := range s.config.secrets() {
		if c.Hide != nil {
			c.Hide(name, value)
		}
	}
	for _, name := range s.config.variables() {
		if _, set := s.config.Getenv(name); !set && !slices.Contains(s.config.Env, name) {
			return agent.Fail(run.Denied, fmt.Sprintf("set %s, which slop.toml names for the MCP server %s", name, s.config.Name))
		}
	}
	then, err := readToken(c.Answer)
	if err != nil {
		return agent.Fail(run.Failure, err.Error())
	}
	if then.next() != nil {
		return then.ask(s.config.Name) // the server asked several things at once, and people have not told all of them
	}
	l, err := s.reach(ctx, false)
	if err != nil {
		return s.unreached(ctx, err)
	}
	_, own, _ := strings.Cut(c.Callee.Use, ".")
	t := l.known.Load().tools[own]
	switch {
	case t == nil || !s.config.allows(own):
		return agent.Fail(run.Failure, fmt.Sprintf("the MCP server %s has no tool %q any more", s.config.Name, own))
	case t.signature.Version != c.Callee.Version:
		return agent.Fail(run.Failure, fmt.Sprintf("the tool %q of the MCP server %s has changed since this run was planned: a new run takes it as it is now", own, s.config.Name))
	}
	args, err := t.arguments(c)
	if err != nil {
		return agent.Fail(run.Failure, err.Error())
	}
	within, cancel := context.WithTimeoutCause(ctx, s.config.Timeout, errTool)
	defer cancel()
	r := l.call(within, t, args, then, c.Emit)
	if r.Outcome != run.Unavailable {
		s.mu.Lock()
		s.failures = 0
		s.mu.Unlock()
	}
	return r
}

// errTool is why a call ends that takes longer than its server may.
var errTool = errors.New("the tool takes too long")

// reach gives the living connection, and makes it if there is none. Many callers wait for one attempt; each may give up by itself.
func (s *Server) reach(ctx context.Context, anew bool) (*link, error) {
	s.mu.Lock()
	if s.link != nil && s.link.dead() {
		if s.link.program != nil && s.link.lived() < settled { // one that dies again and again is not started at once each time
			s.failures++
			s.rests = time.Now().Add(pause(s.failures))
		}
		s.link = nil
	}
	l, rests, closed := s.link, s.rests, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return nil, &unreachable{message: "it was closed: this process is about to end"}
	case l != nil:
		if !anew {
			return l, nil
		}
		l.close()
	case !anew && time.Now().Before(rests):
		rest := time.Until(rests)
		return nil, &unreachable{message: fmt.Sprintf("it has just failed, and is tried again in %s", rest.Round(100*time.Millisecond)), after: rest}
	}
	done := s.connect.DoChan("", func() (any, error) { return s.dial() })
	select {
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*link), nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// dial connects, lists the tools, and keeps the listing when it is another.
func (s *Server) dial() (*link, error) {
	s.mu.Lock()
	if l := s.link; l != nil && !l.dead() {
		s.mu.Unlock()
		return l, nil
	}
	known := s.listing
	s.mu.Unlock()
	l, err := s.config.open(known, s.relisted)
	if err = s.joined(l, err); err != nil {
		return nil, err
	}
	if now := l.known.Load().listing; known != nil && !reflect.DeepEqual(known, now) {
		s.relisted(now)
	}
	return l, nil
}

// joined takes over what came of an attempt to connect.
func (s *Server) joined(l *link, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failures++
		s.rests = time.Now().Add(pause(s.failures))
		return err
	}
	if s.closed {
		go l.close()
		return &unreachable{message: "it was closed: this process is about to end"}
	}
	s.rests = time.Time{}
	s.link, s.listing = l, l.known.Load().listing
	return nil
}

// relisted takes over what the server offers now. Runs that are planned from here on call that; those under way have a plan that says what they call.
func (s *Server) relisted(l *Listing) {
	s.mu.Lock()
	s.listing = l
	s.mu.Unlock()
	if s.config.Changed != nil {
		s.config.Changed()
	}
}

// settled is how long a connection lives that was no failure.
const settled = 10 * time.Second

// pause is how long a server is left alone after so many failures in a row.
func pause(failures int) time.Duration {
	return min(500*time.Millisecond<<min(max(failures-1, 0), 10), 30*time.Second)
}

// unreachable is why there is no connection.
type unreachable struct {
	message string
	outcome run.Outcome // "": unavailable
	after   time.Duration
	late    bool // it did not answer in time
}

func (e *unreachable) Error() string { return e.message }

// Is makes one that was late a context.DeadlineExceeded.
func (e *unreachable) Is(target error) bool { return e.late && target == context.DeadlineExceeded }

// unreached makes the reply of a call that found no connection.
func (s *Server) unreached(ctx context.Context, err error) agent.Reply {
	r := agent.Fail(run.Unavailable, fmt.Sprintf("the MCP server %s cannot be reached: %v", s.config.Name, err))
	var u *unreachable
	if errors.As(err, &u) {
		r.RetryAfter = u.after
		if u.outcome != "" {
			r.Outcome = u.outcome
		}
	}
	if ctx.Err() != nil {
		r.Outcome = run.Timeout
	}
	return r
}
