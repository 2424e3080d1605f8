// Package server offers runs, and what they are made of, over HTTP: REST under /api/v1/agents, events by WebSocket and server-sent events.
//
// A request goes through one row of a table of routes: it names the least role that may, and the rest is the same for all. Everything that is kept has the
// tenant of its caller in its name; what belongs to another tenant is answered like what does not exist.
package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/mux"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/travel"
)

// Root is where the API begins.
const Root = "/api/v1/agents"

// The bounds of requests.
const (
	DefaultMaxBody = 4 << 20          // bytes
	maxWait        = 60 * time.Second // of ?wait=
	bodyTime       = 30 * time.Second // for the whole of a body to arrive
)

// Host works on runs.
type Host interface {
	runs.Runs
	// History reads a run with its plan.
	History(ctx context.Context, id run.ID) (*travel.History, error)
}

// Config says what a server works with. Host, Store and Registry must be there.
type Config struct {
	Host     Host
	Store    store.Store
	Registry *agent.Registry
	// Load finds what `use` names and is no stored flow: what comes with the program. It never reads a file.
	Load func(path string) (name, text string, err error)
	// Ready reports what this server lacks to run a flow with these inputs: a model, a secret. nil: nothing ever.
	Ready   func(p *plan.Plan, inputs map[string]any) error
	Gate    auth.Gate   // nil: auth.Open
	Options run.Options // of runs: the pool, and what requests do not say
	Hosts   []string    // names under which clients reach this server beside loopback; with an Open gate only those of loopback count
	Origins []string    // of web pages that may call it
	MaxBody int64       // bytes; 0: DefaultMaxBody
	Version string
	Log     *slog.Logger // nil: nobody listens
}

// Server answers requests. Its methods may be called from any goroutine.
type Server struct {
	config Config
	router *mux.Router
	routes []route
	csrf   *http.CrossOriginProtection
	reels  reels
	ctx    context.Context // ends with Close
	stop   context.CancelFunc

	closing sync.Mutex
	open    sync.WaitGroup // sockets and streams, which http.Server does not wait for: see enter
}

// route is a row of the table of what can be asked.
type route struct {
	method, path string
	role         auth.Role
	id           string // operationId in the OpenAPI description
	handle       func(http.ResponseWriter, *http.Request) error
	streams      bool // it may last: no time limit
}

// New returns a server.
func New(c Config) *Server {
	if c.Gate == nil {
		c.Gate = auth.Open{}
	}
	if c.MaxBody <= 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: c, router: mux.NewRouter(), csrf: http.NewCrossOriginProtection()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.reels.init(s)
	for _, origin := range c.Origins {
		if err := s.csrf.AddTrustedOrigin(origin); err != nil {
			c.Log.Warn("an origin is left out", "origin", origin, "error", err)
		}
	}
	s.routes = s.table()
	s.router.UseEncodedPath() // a path of a step may hold a slash
	for _, r := range s.routes {
		s.router.Handle(r.path, s.serve(r)).Methods(r.method)
	}
	s.router.NotFoundHandler = s.refusing(func(r *http.Request) *Problem { return missing("route", r.URL.Path) })
	s.router.MethodNotAllowedHandler = s.refusing(func(r *http.Request) *Problem {
		return problem("E_METHOD", r.Method+" cannot be done at "+r.URL.Path)
	})
	return s
}

// table is everything that can be asked, one list a chapter.
func (s *Server) table() []route {
	var all []route
	for _, chapter := range [][]route{s.healthRoutes(), s.runRoutes(), s.steerRoutes(), s.eventRoutes()} {
		all = append(all, chapter...)
	}
	return all
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.router.ServeHTTP(w, r) }

// Close ends sockets and streams, each with a word about where to go on, and waits for them.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Lock()
	s.stop()
	s.closing.Unlock()
	done := make(chan struct{})
	go func() {
		s.open.Wait()
		s.reels.wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter lets a stream begin, unless the server is ending. Who entered calls open.Done.
func (s *Server) enter() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.ctx.Err() != nil {
		return runs.ErrClosed
	}
	s.open.Add(1)
	return nil
}

// requestID marks a request in the log and in its answer.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 128 && strings.IndexFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) < 0 {
		return id
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

type requestKey struct{}

// serve is what is the same for all routes: who asks, whether they may, how much they may send, and how mistakes are told.
func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := requestID(r)
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, id))
		began := time.Now()
		out := &answer{ResponseWriter: w}
		defer func() {
			if err := recover(); err != nil {
				if err == http.ErrAbortHandler {
					panic(err)
				}
				s.config.Log.Error("a request broke something", "request", id, "route", rt.id, "panic", fmt.Sprint(err), "stack", string(debug.Stack()))
				if !out.begun {
					s.refuse(out, r, problem("E_INTERNAL", "the log of the server says more, under the request id"))
				}
			}
		}()
		r, err := s.admit(rt, out, r)
		if err == nil {
			err = rt.handle(out, r)
		}
		if err != nil {
			s.fail(out, r, rt, err)
		}
		s.config.Log.Debug("request", "request", id, "route", rt.id, "status", out.status, "took", time.Since(began))
	})
}

// admit checks everything that does not depend on what is asked. The request it returns knows its caller.
func (s *Server) admit(rt route, w *answer, r *http.Request) (*http.Request, error) {
	if err := s.known(r); err != nil {
		return r, err
	}
	if err := s.csrf.Check(r); err != nil {
		return r, problem("E_FORBIDDEN", "a web page of another site may not do this")
	}
	if rt.role > auth.Anyone {
		caller, err := s.config.Gate.Caller(r)
		if err != nil {
			return r, err
		}
		if caller.Role < rt.role {
			return r, problem("E_FORBIDDEN", fmt.Sprintf("this takes the role %s, and you are %s", rt.role, caller.Role))
		}
		r = r.WithContext(auth.With(r.Context(), caller))
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.config.MaxBody)
	if !rt.streams {
		_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Now().Add(bodyTime)) // a test's recorder has none
	}
	return r, nil
}

// known refuses requests for another name than ours: a page whose name was made to lead here (DNS rebinding) says its own.
func (s *Server) known(r *http.Request) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	if _, local := s.config.Gate.(auth.Open); !local {
		if len(s.config.Hosts) == 0 {
			return nil // a token is needed anyway, and no page has one of another's
		}
		for _, name := range s.config.Hosts {
			if strings.EqualFold(name, host) {
				return nil
			}
		}
	}
	return problem("E_FORBIDDEN", fmt.Sprintf("this server does not answer to the name %q", host))
}

// fail answers with the problem that an error is.
func (s *Server) fail(w *answer, r *http.Request, rt route, err error) {
	if w.begun || r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody listens, or half of an answer is sent
	}
	p := problemOf(err)
	if p.cause != nil {
		s.config.Log.Error("a request failed", "request", w.Header().Get("X-Request-Id"), "route", rt.id, "code", p.Code, "error", p.cause)
	}
	s.refuse(w, r, p)
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p *Problem) {
	told := *p
	told.Instance, told.RequestID = r.URL.Path, w.Header().Get("X-Request-Id")
	told.write(w)
}

func (s *Server) refusing(say func(*http.Request) *Problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", requestID(r))
		s.refuse(w, r, say(r))
	})
}

// answer knows whether something of it was sent.
type answer struct {
	http.ResponseWriter
	begun  bool
	status int
}

func (a *answer) WriteHeader(status int) {
	if !a.begun {
		a.begun, a.status = true, status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if !a.begun {
		a.begun, a.status = true, http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what the connection can do.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// scope is what a script of a caller may name.
func (s *Server) scope(ctx context.Context) types.Scope {
	scope := s.config.Registry.Scope()
	scope.Load = func(_, path string) (string, string, error) { return s.load(ctx, path) }
	return scope
}

// load finds what `use` names. A server never resolves a path: whoever sends a script must not read the server's files with it.
func (s *Server) load(_ context.Context, path string) (name, text string, err error) {
	if strings.HasPrefix(path, "std/") && s.config.Load != nil {
		return s.config.Load(path)
	}
	return "", "", fmt.Errorf("%s: a server reads no files: `use` finds std/… and stored flows as @name@version", path)
}
