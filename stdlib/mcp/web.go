package mcp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// web is the way to a server by streamable HTTP. Headers are read at each request: a key that was changed meanwhile counts.
func (c *Config) web() (sdk.Transport, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of an MCP server: write url = \"https://…\"", c.URL)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 0 // a tool may take long: its own timeout ends it
	return &sdk.StreamableClientTransport{
		Endpoint: c.URL, MaxRetries: 2, MaxEventSize: maxLine, DisableStandaloneSSE: true,
		HTTPClient: &http.Client{
			Transport: &signed{config: c, host: u.Host, next: transport},
			CheckRedirect: func(r *http.Request, via []*http.Request) error {
				if len(via) > 5 || r.URL.Host != u.Host || r.URL.Scheme != u.Scheme {
					return http.ErrUseLastResponse // keys go to the server that slop.toml names, and nowhere else
				}
				return nil
			},
		},
	}, nil
}

// signed puts the configured headers on requests, and remembers what kept one from being answered.
type signed struct {
	config *Config
	host   string
	next   *http.Transport
}

func (s *signed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == s.host {
		r = r.Clone(r.Context())
		for name, variable := range s.config.Headers {
			if value, ok := s.config.Getenv(variable); ok {
				r.Header.Set(name, value)
			}
		}
		if value, ok := s.config.Getenv(s.config.Token); ok && s.config.Token != "" {
			r.Header.Set("Authorization", "Bearer "+value)
		}
	}
	resp, err := s.next.RoundTrip(r)
	if seen, ok := r.Context().Value(statusKey{}).(*statuses); ok {
		seen.note(s.host, resp, err)
	}
	return resp, err
}

// CloseIdleConnections lets the connections go when the client does.
func (s *signed) CloseIdleConnections() { s.next.CloseIdleConnections() }

type statusKey struct{}

// statuses remembers the last refusal of a request made for a call.
type statuses struct {
	mu     sync.Mutex
	result run.Outcome
	text   string
	wait   time.Duration
}

// watched has refusals of requests made under ctx noted.
func watched(ctx context.Context) (context.Context, *statuses) {
	s := &statuses{}
	return context.WithValue(ctx, statusKey{}, s), s
}

func (s *statuses) note(host string, resp *http.Response, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.result, s.text = outcome.Connection(err, host)
		s.wait = 0
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500:
		s.result, s.text = outcome.Of(resp.StatusCode), fmt.Sprintf("%s answered %s", host, resp.Status)
		if s.result == run.Denied {
			s.text += ": see headers or token_env in slop.toml"
		}
		s.wait = outcome.RetryAfter(resp.Header, time.Now())
	default:
		s.result, s.text, s.wait = "", "", 0
	}
}

func (s *statuses) outcome() (string, run.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, s.result
}

func (s *statuses) after() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wait
}
