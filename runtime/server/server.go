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
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/mux"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/metrics"
	"github.com/slopstudios/slop/runtime/roster"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/audit"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/travel"
)

// Root is where the API begins.
const Root = "/api/v1/agents"

// The bounds of requests.
const (
	DefaultMaxBody   = 4 << 20          // bytes
	DefaultWriteTime = 10 * time.Second // for a frame to leave

	maxWait    = 60 * time.Second // of ?wait=
	bodyTime   = 30 * time.Second // for the whole of a body to arrive
	largeTime  = 5 * time.Minute  // for that of a file
	handleTime = 60 * time.Second // for what does not last
	answerTime = 2 * time.Minute  // for the whole of its answer to leave
)

// Host works on runs.
type Host interface {
	runs.Runs
	// History reads a run with its plan.
	History(ctx context.Context, id run.ID) (*travel.History, error)
	// Memory gives the state that the steps of a run share, as it was after a fact; seq 0: as it is now.
	Memory(ctx context.Context, id run.ID, seq run.Seq) (contexts.State, error)
	// Kept, KeptNames and ChangeKept are about what outlives runs: a value with the version of all below its first name, the first names, a change, made once
	// for its key. contexts.ErrMoved, contexts.ErrNone, contexts.ErrUnavailable.
	Kept(ctx context.Context, p contexts.Place, path string) (value any, version uint64, ok bool, err error)
	KeptNames(ctx context.Context, p contexts.Place) ([]string, error)
	ChangeKept(ctx context.Context, p contexts.Place, key string, c contexts.Change, m contexts.Match) error
}

// Config says what a server works with. Host, Store and Registry must be there.
type Config struct {
	Host     Host
	Store    store.Store
	Registry *agent.Registry
	// Roster keeps what admins say of agents. nil: one that registers none, and follows nobody.
	Roster *roster.Roster
	// Load finds the std/… that `use` names: what comes with the program. It never reads a file.
	Load func(path string) (name, text string, err error)
	// Ready reports what this server lacks to run a flow with these inputs: a model, a secret. nil: nothing ever.
	Ready func(p *plan.Plan, inputs map[string]any) error
	// Redact makes what blacks out the values of the secrets that a plan names. nil: there are none.
	Redact  func(p *plan.Plan) func(text string) string
	Gate    auth.Gate      // nil: auth.Open
	Options run.Options    // of runs: the pool, and what requests do not say
	Hosts   []string       // names under which clients reach this server beside loopback; with an Open gate only those of loopback count
	Origins []string       // of web pages that may call it
	Proxies []netip.Prefix // whose X-Forwarded-For counts
	Limits  Limits
	MaxBody int64         // bytes; 0: DefaultMaxBody
	Keep    time.Duration // of entries of the audit log; 0: audit.DefaultKeep
	Metrics *metrics.Book // of the engine behind Host; nil: only what other processes count is told
	// WriteTime is how long a stream may take for one frame, before its client counts as gone; 0: DefaultWriteTime.
	WriteTime time.Duration
	Version   string
	Log       *slog.Logger // nil: nobody listens
}

// Server answers requests. Its methods may be called from any goroutine.
type Server struct {
	config Config
	router *mux.Router
	routes []route
	csrf   *http.CrossOriginProtection
	reels  reels
	audit  *audit.Book
	gauges *gauges

	tickets   *auth.Tickets
	byAddress *meter // nil: no limit
	byCaller  *meter // nil: no limit
	failures  *meter
	seats     seats

	ctx  context.Context // ends with Close
	stop context.CancelFunc

	sockets atomic.Int64 // that are open
	closing sync.Mutex
	open    sync.WaitGroup // sockets and streams, which http.Server does not wait for: see enter
}

// route is a row of the table of what can be asked.
type route struct {
	method, path string
	role         auth.Role
	id           string // operationId in the OpenAPI description
	handle       func(http.ResponseWriter, *http.Request) error
	streams      bool  // it may last: no time limit
	reads        bool  // a POST that changes nothing
	tickets      bool  // a ticket in its query proves who comes
	body         int64 // bytes of a request; 0: as many as of any other
}

// changes reports whether a request may change something, and belongs into the audit log.
func (r *route) changes() bool {
	return r.method != http.MethodGet && r.method != http.MethodHead && !r.reads
}

// New returns a server.
func New(c Config) *Server {
	if c.Gate == nil {
		c.Gate = auth.Open{}
	}
	if c.MaxBody <= 0 {
		c.MaxBody = DefaultMaxBody
	}
	if c.WriteTime <= 0 {
		c.WriteTime = DefaultWriteTime
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Roster == nil {
		c.Roster = roster.New(roster.Config{Docs: c.Store, Registry: c.Registry, Log: c.Log})
	}
	s := &Server{config: c, router: mux.NewRouter(), csrf: http.NewCrossOriginProtection()}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.reels.init(s)
	s.tickets = auth.NewTickets(c.Store, nil)
	s.audit = audit.New(c.Store, audit.Config{Keep: c.Keep, Log: c.Log})
	if c.Limits.Caller.Count > 0 {
		s.byCaller = newMeter("caller", c.Limits.Caller)
	}
	if c.Limits.Address.Count > 0 {
		s.byAddress = newMeter("address", c.Limits.Address)
	}
	s.failures = newMeter("address", failures)
	s.seats = seats{most: c.Limits.Streams, taken: map[string]int{}}
	for _, origin := range c.Origins {
		if err := s.csrf.AddTrustedOrigin(origin); err != nil {
			c.Log.Warn("an origin is left out", "origin", origin, "error", err)
		}
	}
	if s.config.Metrics == nil {
		s.config.Metrics = metrics.New(c.Store, metrics.Config{})
	}
	s.gauges = newGauges(s)
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
	for _, chapter := range [][]route{s.healthRoutes(), s.runRoutes(), s.steerRoutes(), s.orchestrateRoutes(), s.eventRoutes(), s.accountRoutes(), s.templateRoutes(), s.flowRoutes(), s.editorRoutes(), s.insideRoutes(), s.blobRoutes(), s.contextRoutes(), s.registryRoutes(), s.metricsRoutes()} {
		all = append(all, chapter...)
	}
	return all
}

// Close ends sockets and streams, each with a word about where to go on, and waits for them and for what the audit log has yet to write.
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
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.audit.Close(ctx)
}

// enter lets a stream begin, unless the server is ending. Who entered calls exit.
func (s *Server) enter() error {
	s.closing.Lock()
	defer s.closing.Unlock()
	if s.ctx.Err() != nil {
		return runs.ErrClosed
	}
	s.open.Add(1)
	s.gauges.sockets.Inc()
	return nil
}

func (s *Server) exit() {
	s.gauges.sockets.Dec()
	s.open.Done()
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
	if a, ok := w.(*answer); ok {
		a.code = p.Code
	}
	told := *p
	told.Instance, told.RequestID = r.URL.Path, w.Header().Get("X-Request-Id")
	told.write(w)
}

func (s *Server) refusing(say func(*http.Request) *Problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, say(r))
	})
}
