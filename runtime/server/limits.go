package server

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
)

// Limits bound what callers ask of one server. Each server counts for itself: a limit that all share would cost every request a look into the store.
// What is zero is not bounded.
type Limits struct {
	Caller  store.Rate // requests of one caller
	Address store.Rate // requests from one address, whoever they say they are
	Streams int        // sockets, streams and waiting requests of one caller at a time
}

// The limits of a server that other people reach, when nobody says otherwise.
var DefaultLimits = Limits{
	Caller:  store.Rate{Count: 100, Per: time.Second, Burst: 200},
	Address: store.Rate{Count: 200, Per: time.Second, Burst: 400},
	Streams: 1000,
}

// failures is how often an address may show tokens that nobody knows. Those that are known get through all the same, so that nobody can lock others out.
var failures = store.Rate{Count: 10, Per: time.Minute, Burst: 10}

// maxBuckets is how many callers or addresses are counted at a time.
const maxBuckets = 50_000

// meter counts by name: a bucket of tokens for each.
type meter struct {
	what  string // as the header RateLimit calls it
	rate  store.Rate
	mu    sync.Mutex
	names map[string]*rate.Limiter
}

func newMeter(what string, r store.Rate) *meter {
	if r.Burst == 0 {
		r.Burst = r.Count
	}
	return &meter{what: what, rate: r, names: map[string]*rate.Limiter{}}
}

// take counts one, and says how many more may follow at once. wait is 0, or when it would have been in order.
func (m *meter) take(name string, now time.Time) (left int, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.names[name]
	if l == nil {
		if len(m.names) >= maxBuckets {
			m.forget(now)
		}
		l = rate.NewLimiter(rate.Every(m.rate.Per/time.Duration(m.rate.Count)), m.rate.Burst)
		m.names[name] = l
	}
	turn := l.ReserveN(now, 1)
	if wait = turn.DelayFrom(now); wait > 0 {
		turn.CancelAt(now)
		return 0, wait
	}
	return int(l.TokensAt(now)), 0
}

// forget makes room: who has not asked for a while counts like who never did. When everybody asks, half of them begin anew.
func (m *meter) forget(now time.Time) {
	for name, l := range m.names {
		if l.TokensAt(now) >= float64(m.rate.Burst) {
			delete(m.names, name)
		}
	}
	for name := range m.names {
		if len(m.names) <= maxBuckets/2 {
			break
		}
		delete(m.names, name)
	}
}

// pass counts a request and says in its answer how many more may come (draft-ietf-httpapi-ratelimit-headers). m may be nil.
func (m *meter) pass(w http.ResponseWriter, name string) error {
	if m == nil {
		return nil
	}
	left, wait := m.take(name, time.Now())
	h := w.Header()
	h.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", m.what, m.rate.Count, int(math.Ceil(m.rate.Per.Seconds()))))
	h.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", m.what, left, int(math.Ceil(max(wait, m.rate.Per/time.Duration(m.rate.Count)).Seconds()))))
	if wait > 0 {
		return m.refused(wait)
	}
	return nil
}

// count counts a command on a socket like a request. m may be nil.
func (m *meter) count(c auth.Caller) error {
	if m == nil || c.Proof == "" {
		return nil
	}
	if _, wait := m.take(callerName(c), time.Now()); wait > 0 {
		return m.refused(wait)
	}
	return nil
}

func (m *meter) refused(wait time.Duration) error {
	return problem("E_RATE_LIMITED", fmt.Sprintf("%d requests in %v are too many for one %s; ask again in %v", m.rate.Count, m.rate.Per, m.what, wait.Round(time.Millisecond))).after(wait)
}

// callerName is what a caller is counted as: each token for itself.
func callerName(c auth.Caller) string { return c.Tenant + "/" + c.Proof }

// addressOf is where a request comes from. What a header says of it counts only from a proxy that is trusted, and there the last hop that is none of them.
func (s *Server) addressOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := peer.Addr().Unmap()
	if !s.proxy(address) {
		return address
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if at, err := netip.ParseAddrPort(hop); err == nil {
			hop = at.Addr().String()
		}
		next, err := netip.ParseAddr(hop)
		if err != nil {
			break // who wrote that is the last whose word we have
		}
		if address = next.Unmap().WithZone(""); !s.proxy(address) {
			break
		}
	}
	return address
}

func (s *Server) proxy(a netip.Addr) bool {
	for _, p := range s.config.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// countedAs is what an address is counted as: who has an address of IPv6 has 2^64 of them.
func countedAs(a netip.Addr) string {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// seats bound how much lasts at a time for each caller.
type seats struct {
	most  int // 0: no bound
	mu    sync.Mutex
	taken map[string]int
}

// take gives a way to give the seat back, or tells that there is none.
func (s *seats) take(c auth.Caller) (give func(), err error) {
	if s.most == 0 {
		return func() {}, nil
	}
	name := callerName(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[name] >= s.most {
		return nil, problem("E_RATE_LIMITED", strconv.Itoa(s.most)+" streams are open for you already; close one first").after(time.Second)
	}
	s.taken[name]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.taken[name]--; s.taken[name] == 0 {
			delete(s.taken, name)
		}
	}, nil
}

// DefaultConnections is how many connections a server holds at a time.
const DefaultConnections = 10_000

// Crowd wraps a listener so that at most so many connections are open at a time, and at most a quarter of them from one address that is neither this machine nor a
// trusted proxy. Others are closed at once: who waits in line would fill the line.
func (s *Server) Crowd(l net.Listener, most int) net.Listener {
	if most <= 0 {
		most = DefaultConnections
	}
	return &crowd{Listener: l, server: s, most: most, from: map[string]int{}}
}

type crowd struct {
	net.Listener
	server *Server
	most   int
	mu     sync.Mutex
	open   int
	from   map[string]int
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		name := ""
		if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			if a := at.Addr().Unmap(); !a.IsLoopback() && !c.server.proxy(a) {
				name = countedAs(a)
			}
		}
		if c.enter(name) {
			return &guest{Conn: conn, leave: sync.OnceFunc(func() { c.left(name) })}, nil
		}
		_ = conn.Close()
	}
}

func (c *crowd) enter(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open >= c.most || name != "" && c.from[name] >= max(1, c.most/4) {
		return false
	}
	c.open++
	if name != "" {
		c.from[name]++
	}
	return true
}

func (c *crowd) left(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
	if name != "" {
		if c.from[name]--; c.from[name] == 0 {
			delete(c.from, name)
		}
	}
}

type guest struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}
