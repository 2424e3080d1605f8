package mcp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"

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
		seen.note(s.config, s.host, resp, err)
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

func (s *statuses) note(c *Config, host string, resp *http.Response, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		s.result, s.text = outcome.Connection(err, host)
		s.wait = 0
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 500:
		s.result, s.text = outcome.Of(resp.StatusCode), fmt.Sprintf("%s answered %s", host, resp.Status)
		if s.result == run.Denied {
			s.text += ": " + c.denied(resp)
		}
		s.wait = outcome.RetryAfter(resp.Header, time.Now())
	default:
		s.result, s.text, s.wait = "", "", 0
	}
}

// denied says what to do when a server does not let us in. What it says itself is text of the world: only the kind of its refusal counts.
func (c *Config) denied(resp *http.Response) string {
	table := fmt.Sprintf("under [mcp.%s] in slop.toml", c.Name)
	challenges, err := oauthex.ParseWWWAuthenticate(resp.Header.Values("WWW-Authenticate"))
	oauth, scope := false, false
	for _, challenge := range challenges {
		bearer := err == nil && challenge.Scheme == "bearer"
		oauth = oauth || bearer
		scope = scope || bearer && challenge.Params["error"] == "insufficient_scope"
	}
	switch {
	case scope:
		return fmt.Sprintf("the token may do less than this needs: get one with more rights, and put it into the variable that token_env %s names", table)
	case c.Token != "":
		return fmt.Sprintf("it does not accept the token in %s (token_env %s): it may have ended, or be another server's", c.Token, table)
	case len(c.Headers) > 0:
		return fmt.Sprintf("it does not accept the headers %s; a token goes into a variable that token_env names", table)
	case oauth:
		return fmt.Sprintf("it wants to know who you are, by OAuth, and slop opens no browser to sign in: make a token at the service (or take that of another client), put it into a variable, and write token_env = \"THE_VARIABLE\" %s", table)
	}
	return fmt.Sprintf("it wants a key: put it into a variable, and name that as token_env, or in headers, %s", table)
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
