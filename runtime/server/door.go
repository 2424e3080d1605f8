package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/server/auth"
)

// arrival is what is known of a request before it is known who sent it.
type arrival struct {
	id      string // marks it in the log and in its answer
	address netip.Addr
}

type arrivalKey struct{}

func arrivalOf(ctx context.Context) arrival {
	a, _ := ctx.Value(arrivalKey{}).(arrival)
	return a
}

// ServeHTTP implements http.Handler. What it checks depends neither on what is asked nor on who asks.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := arrival{requestID(r), s.addressOf(r)}
	h := w.Header()
	h.Set("X-Request-Id", a.id)
	h.Set("X-Content-Type-Options", "nosniff")
	r = r.WithContext(context.WithValue(r.Context(), arrivalKey{}, a))
	s.inTime(w, r)
	err := s.known(r)
	if err == nil {
		err = s.sameSite(w, r)
	}
	if err == nil {
		err = s.byAddress.pass(w, countedAs(a.address))
	}
	switch {
	case err != nil:
		s.refuse(w, r, problemOf(err))
	case r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "":
		w.WriteHeader(http.StatusNoContent) // of a page that may call: sameSite said what it may
	default:
		s.router.ServeHTTP(w, r)
	}
}

// probes are asked by what watches over servers, under whatever address they have.
var probes = []string{"/healthz", "/readyz"}

// known refuses requests for another name than ours: a page whose name was made to lead here (DNS rebinding) says its own.
func (s *Server) known(r *http.Request) error {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() || slices.Contains(probes, r.URL.Path) {
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

// sameSite refuses requests that web pages of other sites make a browser send, and tells browsers which pages may.
func (s *Server) sameSite(w http.ResponseWriter, r *http.Request) error {
	refused := problem("E_FORBIDDEN", "a web page of another site may not do this")
	if origin := r.Header.Get("Origin"); origin != "" {
		h := w.Header()
		h.Add("Vary", "Origin")
		if slices.Contains(s.config.Origins, origin) {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "Location, ETag, Link, Retry-After, X-Request-Id, Idempotency-Replayed, RateLimit, RateLimit-Policy")
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-Request-Id, Traceparent")
				h.Set("Access-Control-Max-Age", "600")
			}
		} else if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return refused
		}
	}
	if err := s.csrf.Check(r); err != nil {
		return refused
	}
	return nil
}

// serve is what is the same for all routes: who asks, whether they may, how much they may send, how mistakes are told, and that changes are noted.
func (s *Server) serve(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := arrivalOf(r.Context()).id
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
			out.settle()
			s.gauges.asked(rt, out, time.Since(began))
		}()
		r, leave, err := s.admit(rt, out, r)
		defer leave()
		if err == nil {
			err = rt.handle(out, r)
		}
		if err != nil {
			s.fail(out, r, rt, err)
		}
		s.config.Log.Debug("request", "request", id, "route", rt.id, "status", out.status, "by", auth.From(r.Context()).Proof, "from", arrivalOf(r.Context()).address.String(), "took", time.Since(began))
	})
}

// admit checks everything that does not depend on what is asked. The request it returns knows its caller; leave is called when it is over.
func (s *Server) admit(rt route, w *answer, r *http.Request) (_ *http.Request, leave func(), err error) {
	leave = func() {}
	if rt.role > auth.Anyone {
		caller, err := s.who(rt, r)
		if err != nil {
			return r, leave, err
		}
		r = r.WithContext(auth.With(r.Context(), caller))
		if caller.Proof != "" {
			if err := s.byCaller.pass(w, callerName(caller)); err != nil {
				return r, leave, err
			}
		}
		if rt.changes() {
			w.before = s.noting(rt, w, r)
		}
		if caller.Role < rt.role {
			return r, leave, problem("E_FORBIDDEN", fmt.Sprintf("this takes the role %s, and you are %s", rt.role, caller.Role))
		}
		if rt.streams {
			give, err := s.seats.take(caller)
			if err != nil {
				return r, leave, err
			}
			leave = give
		}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return r, leave, problem("E_MEDIA_TYPE", "send the body as it is: nothing is unpacked here")
	}
	most := s.config.MaxBody
	if rt.body > 0 {
		most = rt.body
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	out := http.NewResponseController(w.ResponseWriter) // whose errors are those of a test's recorder, which has no times
	if most > s.config.MaxBody {
		_ = out.SetReadDeadline(time.Now().Add(largeTime))
	}
	if rt.streams {
		_ = out.SetWriteDeadline(time.Time{}) // there may be one of the request before; who sends frames gives each its own
	} else {
		_ = out.SetWriteDeadline(time.Now().Add(answerTime))
		ctx, cancel := context.WithTimeout(r.Context(), handleTime)
		r, leave = r.WithContext(ctx), cancel
	}
	return r, leave, nil
}

// who asks. A token that nobody knows costs a wait, which grows longer for an address that tries many.
func (s *Server) who(rt route, r *http.Request) (caller auth.Caller, err error) {
	shown := r.Header.Get("Authorization") != ""
	if ticket := r.URL.Query().Get("ticket"); rt.tickets && ticket != "" && !shown {
		shown = true
		caller, err = s.tickets.Redeem(r.Context(), ticket)
	} else {
		caller, err = s.config.Gate.Caller(r)
	}
	if err == nil {
		return caller, nil
	}
	if !errors.Is(err, auth.ErrUnknown) {
		return caller, stored(err)
	}
	if _, open := s.config.Gate.(auth.Open); shown && !open {
		if _, wait := s.failures.take(countedAs(arrivalOf(r.Context()).address), time.Now()); wait > 0 {
			return caller, problem("E_RATE_LIMITED", "too many tokens that nobody knows came from your address").after(wait)
		}
	}
	return caller, err
}

// inTime says how long a body may take to come: also one that nobody reads, since the connection waits for its end.
func (s *Server) inTime(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Now().Add(bodyTime)) // as in admit
	r.Body = &timed{r.Body, out}
}

// timed is a body that must come in time. Once it has, the connection may stay silent.
type timed struct {
	io.ReadCloser
	out *http.ResponseController
}

// Read implements io.Reader.
func (t *timed) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	if errors.Is(err, io.EOF) {
		_ = t.out.SetReadDeadline(time.Time{}) // as in admit
	}
	return n, err
}

// answer knows whether something of it was sent.
type answer struct {
	http.ResponseWriter
	begun  bool
	status int
	before func(status int) // called once, before the first byte leaves
	code   string           // of the problem that it is
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if !a.begun {
		a.begin(status)
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if !a.begun {
		a.begin(http.StatusOK)
	}
	return a.ResponseWriter.Write(b)
}

func (a *answer) begin(status int) {
	a.begun, a.status = true, status
	a.settle()
}

// gaveUp is the status of an answer for which nobody waited.
const gaveUp = 499

// settle calls before, unless that was done.
func (a *answer) settle() {
	if before := a.before; before != nil {
		a.before = nil
		if !a.begun {
			a.status = gaveUp
		}
		before(a.status)
	}
}

// Unwrap lets http.ResponseController find what the connection can do.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
