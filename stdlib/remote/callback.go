package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// Callback says where an agent takes requests.
type Callback struct {
	Name      string                 // of the agent, for messages
	URL       string                 // takes every message as the body of a POST, and answers with messages, one a line, as they come
	Token     func() (string, error) // goes along as Authorization: Bearer; nil: none
	Transport http.RoundTripper      // who may register must not reach what it could not reach itself: the guard against that is the caller's
}

// NewCallback returns an agent that is reached by HTTP. Redirects are not followed.
func NewCallback(c Callback) *Agent {
	return newAgent(c.Name, "callback "+c.URL, func(ctx context.Context) (*session, error) {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("its address begins with http:// or https:// and names a host")
		}
		w := &callback{Callback: c, host: u.Host}
		w.client = http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		w.life, w.stop = context.WithCancel(context.WithoutCancel(ctx))
		w.session = newSession(w)
		return w.session, nil
	})
}

// callback is the wire of requests: each message is one, and what the agent says comes in the answers. A call's answer may stream for as long as the call lasts.
type callback struct {
	Callback
	host    string
	client  http.Client
	session *session
	life    context.Context
	stop    context.CancelFunc

	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
}

func (w *callback) send(_ context.Context, line []byte) error {
	m, err := decode(line)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errEnded
	}
	w.group.Go(func() { w.post(m, line) })
	return nil
}

// post makes one request and hears all of its answer. That a call cannot be made is the end of that call, anything else the end of the connection.
func (w *callback) post(m *message, line []byte) {
	fail := func(o run.Outcome, why string, retryAfter time.Duration) {
		switch {
		case m.Type == "call":
			w.session.hangup(m.ID, o, why, retryAfter)
		case m.Type != "cancel":
			w.session.lost(errors.New(why))
		}
	}
	req, err := http.NewRequestWithContext(w.life, http.MethodPost, w.URL, bytes.NewReader(line))
	if err != nil {
		fail(run.Failure, err.Error(), 0)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "slop")
	if w.Token != nil {
		token, err := w.Token()
		if err != nil {
			fail(run.Denied, "it has no token: "+err.Error(), 0)
			return
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		o, why := outcome.Connection(err, w.host)
		fail(o, why, 0)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		fail(outcome.Of(max(400, resp.StatusCode)), fmt.Sprintf("%s answered %s", w.host, resp.Status), outcome.RetryAfter(resp.Header, time.Now()))
		return
	}
	l := &lines{each: w.session.receive}
	buffer := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buffer)
		if !l.write(buffer[:n]) {
			w.session.lost(fmt.Errorf("it sent a line longer than %d MiB", maxLine>>20))
			return
		}
		if err == nil {
			continue
		}
		if len(l.rest) > 0 {
			w.session.receive(l.rest)
		}
		if err == io.EOF {
			err = errors.New("its answer holds no end of the call")
		}
		if m.Type == "call" {
			w.session.hangup(m.ID, run.Unavailable, err.Error(), 0)
		}
		return
	}
}

func (w *callback) end() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.stop()
	w.group.Wait()
	w.client.CloseIdleConnections()
}
