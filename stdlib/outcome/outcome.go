// Package outcome says what the end of an attempt means: a finished context, the status of a web service, a connection that broke.
// All adapters share it, so that the same cause has the same outcome everywhere, and secrets are blacked out of every message in one way.
package outcome

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// Ended makes the Reply of an attempt whose context has ended; false while it has not.
func Ended(ctx context.Context) (agent.Reply, bool) {
	switch err := ctx.Err(); {
	case err == nil:
		return agent.Reply{}, false
	case errors.Is(err, context.DeadlineExceeded):
		return agent.Fail(run.Timeout, "it took too long and was stopped"), true
	default:
		return agent.Fail(run.Stopped, "it was cancelled"), true
	}
}

// Of a web service's status from 400 on. What may pass is RateLimited or Unavailable.
func Of(status int) run.Outcome {
	switch {
	case status == http.StatusTooManyRequests:
		return run.RateLimited
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusPaymentRequired, status == http.StatusProxyAuthRequired:
		return run.Denied
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return run.Unavailable
	default:
		return run.Failure
	}
}

// maxRetryAfter bounds what a server may ask us to wait; beyond it the header is more likely wrong than meant.
const maxRetryAfter = 7 * 24 * time.Hour

// RetryAfter reads when the server wants to be asked again: Retry-After in seconds or as a date, or retry-after-ms. 0 when it does not say.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return bounded(ms * float64(time.Millisecond))
	}
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return bounded(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return bounded(float64(at.Sub(now)))
	}
	return 0
}

func bounded(d float64) time.Duration {
	if !(d > 0) { // NaN too
		return 0
	}
	return time.Duration(min(d, float64(maxRetryAfter)))
}

// Connection says what kept a request from being answered. host is for the message. The text of err is not shown where it may hold the address with its query.
func Connection(err error, host string) (run.Outcome, string) {
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		timeout net.Error
		address *url.Error
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return run.Unavailable, host + " refused the connection"
	case errors.As(err, &dns) && dns.IsNotFound:
		return run.Unavailable, "there is no host named " + dns.Name
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &invalid), errors.As(err, &verify):
		return run.Failure, "the certificate of " + host + " is not valid: " + innermost(err).Error()
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return run.Failure, host + " does not speak TLS: is it http:// instead of https://?"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return run.Unavailable, host + " broke the connection off"
	case errors.As(err, &timeout) && timeout.Timeout():
		return run.Unavailable, host + " does not answer"
	}
	if errors.As(err, &address) {
		err = address.Err
	}
	return run.Unavailable, "no answer from " + host + ": " + err.Error()
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// Secrets opens the secrets of one call and blacks their values out of what is said about it.
type Secrets struct {
	source func(name string) (string, error)
	hide   func(name, value string)
	mu     sync.Mutex
	values []secret // longest first, so that one that contains another is replaced whole
}

type secret struct {
	name, value string
	forms       []string
}

// NewSecrets opens secrets through source, which may be nil.
func NewSecrets(source func(name string) (string, error)) *Secrets { return &Secrets{source: source} }

// SecretsOf opens the secrets of a call, and tells its host of those that the agent brings itself.
func SecretsOf(c *agent.Call) *Secrets { return &Secrets{source: c.Secret, hide: c.Hide} }

// Open returns v with the values of its secrets (agent.Reveal) and remembers them.
func (s *Secrets) Open(v any) (any, error) {
	if s.source == nil {
		return agent.Reveal(v, nil)
	}
	return agent.Reveal(v, func(name string) (string, error) {
		value, err := s.source(name)
		if err == nil {
			s.Add(name, value)
		}
		return value, err
	})
}

// Add remembers a value that did not come from the script: a configured key.
func (s *Secrets) Add(name, value string) {
	if len(value) < agent.MinSecret {
		return // blacking out a letter would black out everything
	}
	if s.hide != nil {
		s.hide(name, value)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = append(s.values, secret{name, value, agent.Forms(value)})
	slices.SortStableFunc(s.values, func(a, b secret) int { return len(b.value) - len(a.value) })
}

// Black replaces the values of known secrets in text, in all their forms, by ‹secret NAME›.
func (s *Secrets) Black(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.values {
		for _, form := range v.forms {
			text = strings.ReplaceAll(text, form, "‹secret "+v.name+"›")
		}
	}
	return text
}

// Brief cuts a text of the world down to a line or a few for a message: at most max bytes of it, its end when tail is set, valid UTF-8, no control characters.
func Brief(text string, max int, tail bool) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	text = strings.TrimSpace(text)
	if len(text) <= max {
		return text
	}
	if tail {
		text = text[len(text)-max:]
		for len(text) > 0 && !utf8.RuneStart(text[0]) {
			text = text[1:]
		}
		return "… " + text
	}
	text = text[:max]
	for len(text) > 0 && !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text + " …"
}
