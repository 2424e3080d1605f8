package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

// Pace of a connection.
const (
	helloTimeout = 10 * time.Second // to say hello
	sendTimeout  = 10 * time.Second // to take a message
	missed       = 3                // so many heartbeats that do not come, and it is given up
	cancelGrace  = 3 * time.Second  // to end a call that is cancelled
)

// wire carries messages to an agent. What comes back the transport hands to session.receive, line by line, and session.lost when nothing more can come.
type wire interface {
	// send hands one encoded message over; one at a time is sent. After an error nothing is known of what arrived.
	send(ctx context.Context, line []byte) error
	// end ends the connection and whatever serves it, and waits until that is gone.
	end()
}

// session is one connection to an agent: hello, then any number of calls at a time, told apart by their ids.
type session struct {
	wire wire
	turn chan struct{} // holds one: messages are sent one at a time

	greeted chan struct{} // closed by the hello
	over    chan struct{} // closed when the connection is

	mu       sync.Mutex
	about    *Description
	calls    map[string]*call
	next     int
	strays   int
	pongs    int64
	heard    time.Time // when it last said anything
	err      error     // why it is over
	retiring bool      // it takes no more calls, and ends with the last
	idle     *time.Timer
	talked   func(garbage string) // of lines that are no message; may be nil
	saw      func(*message)       // of every message; may be nil
}

// call is one call under way.
type call struct {
	end   chan *message // of its result, error or ask: one
	emit  func(agent.Progress)
	black func(string) string
	used  *usage
	talk  int
	ended bool
}

var (
	errSilent = errors.New("it no longer answers")
	errFlood  = errors.New("it floods the connection with what is no answer")
)

func newSession(w wire) *session {
	return &session{
		wire: w, turn: make(chan struct{}, 1), greeted: make(chan struct{}), over: make(chan struct{}), calls: map[string]*call{}, heard: time.Now(),
	}
}

// greet says hello and waits for the hello of the agent.
func (s *session) greet(ctx context.Context) (*Description, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTimeout)
	defer cancel()
	if err := s.send(ctx, &message{Type: "hello", Protocol: Protocol, Name: "slop"}); err != nil {
		return nil, err
	}
	select {
	case <-s.greeted:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.about, nil
	case <-s.over:
		return nil, s.reason()
	case <-ctx.Done():
		err := fmt.Errorf("it said no hello within %v: a program that is an agent speaks the protocol of spec/agent-protocol.md", helloTimeout)
		if errors.Is(context.Cause(ctx), context.Canceled) {
			err = context.Canceled
		}
		s.lost(err)
		return nil, err
	}
}

// keep pings an agent that promised a heartbeat, and gives it up when it stays silent. It returns when the connection is over.
func (s *session) keep() {
	s.mu.Lock()
	beat := s.about.Heartbeat
	s.mu.Unlock()
	if beat == 0 {
		<-s.over // the end of its process or of its connection is all the news there is
		return
	}
	clock := time.NewTicker(beat)
	defer clock.Stop()
	for n := int64(1); ; n++ {
		select {
		case <-s.over:
			return
		case <-clock.C:
		}
		s.mu.Lock()
		silent := time.Since(s.heard)
		s.mu.Unlock()
		switch {
		case silent >= missed*beat:
			s.lost(fmt.Errorf("%w: no word for %v", errSilent, silent.Round(time.Second/10)))
			return
		case silent >= beat/2:
			_ = s.send(context.Background(), &message{Type: "ping", N: n}) // else the session is over, and the next turn sees it
		}
	}
}

// send hands a message over; a connection that does not take it is over.
func (s *session) send(ctx context.Context, m *message) error {
	line, err := encode(m)
	if err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-s.over:
		return s.reason()
	case <-ctx.Done():
		return ctx.Err()
	}
	// Half a message would be the end of the connection, so a call that ends does not end the sending.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	if err := s.wire.send(ctx, line); err != nil {
		s.lost(fmt.Errorf("it does not take messages: %w", err))
		return s.reason()
	}
	return nil
}

// receive reads a line of the agent. It never blocks: who reads the connection calls it.
func (s *session) receive(line []byte) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	m, err := decode(line)
	s.mu.Lock()
	s.heard = time.Now()
	talked, saw := s.talked, s.saw
	s.mu.Unlock()
	if err != nil {
		if talked != nil {
			talked(string(line))
		}
		s.stray()
		return
	}
	if saw != nil {
		saw(m)
	}
	switch m.Type {
	case "hello":
		s.welcome(m, line)
	case "pong":
		s.mu.Lock()
		s.pongs = max(s.pongs, m.N)
		s.mu.Unlock()
	case "progress", "usage":
		s.told(m, len(line))
	case "result", "error", "ask":
		s.answered(m)
	default:
		s.stray() // of a later version, perhaps
	}
}

// stray counts what is no message or of no call: a few are no harm.
func (s *session) stray() {
	s.mu.Lock()
	s.strays++
	flood := s.strays > maxStrays
	s.mu.Unlock()
	if flood {
		s.lost(errFlood)
	}
}

func (s *session) welcome(m *message, raw []byte) {
	about, err := describe(m, raw)
	if err != nil {
		s.lost(err)
		return
	}
	s.mu.Lock()
	first := s.about == nil
	if first {
		s.about = about
	}
	s.mu.Unlock()
	if !first {
		s.stray()
		return
	}
	close(s.greeted)
}

func (s *session) told(m *message, size int) {
	s.mu.Lock()
	c := s.calls[m.ID]
	if c == nil || c.ended {
		s.mu.Unlock()
		s.stray()
		return
	}
	if m.Usage != nil {
		c.used = m.Usage
	}
	c.talk += size
	flood := c.talk > maxTalk
	emit, black := c.emit, c.black
	s.mu.Unlock()
	if flood {
		s.lost(fmt.Errorf("it reported more than %d MiB of progress of one call", maxTalk>>20))
		return
	}
	if m.Delta != "" || m.Note != "" {
		emit(agent.Progress{Delta: black(m.Delta), Note: black(m.Note)})
	}
}

func (s *session) answered(m *message) {
	s.mu.Lock()
	c := s.calls[m.ID]
	if c == nil || c.ended {
		s.mu.Unlock()
		s.stray() // a second answer, or one nobody waits for
		return
	}
	c.ended = true
	if m.Usage == nil {
		m.Usage = c.used
	}
	s.mu.Unlock()
	c.end <- m
}

// lost ends the session: every call under way hears of it. Whoever opened it ends its wire.
func (s *session) lost(err error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = err
	if s.idle != nil {
		s.idle.Stop()
	}
	s.mu.Unlock()
	close(s.over)
}

func (s *session) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// hangup fails one call whose answer cannot come any more.
func (s *session) hangup(id string, o run.Outcome, why string, retryAfter time.Duration) {
	s.mu.Lock()
	c := s.calls[id]
	waits := c != nil && !c.ended && s.err == nil // when all is over, that is why
	s.mu.Unlock()
	if waits {
		s.answered(&message{Type: "error", ID: id, Outcome: o, Message: why, RetryAfter: retryAfter.Seconds()})
	}
}

// enter takes a place for a call; false when there is none.
func (s *session) enter() (id string, c *call, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.retiring || s.about == nil || len(s.calls) >= s.about.Concurrency {
		return "", nil, false
	}
	if s.idle != nil {
		s.idle.Stop()
	}
	s.next++
	id = fmt.Sprintf("c%d", s.next)
	c = &call{end: make(chan *message, 1)}
	s.calls[id] = c
	return id, c, true
}

// leave gives the place back. forsaken: the agent did not end the call, so it is not to be trusted with more.
func (s *session) leave(id string, forsaken bool) {
	s.mu.Lock()
	delete(s.calls, id)
	s.retiring = s.retiring || forsaken
	last := len(s.calls) == 0
	retire := s.retiring && last
	if last && s.idle != nil && s.err == nil {
		s.idle.Reset(maxIdle)
	}
	s.mu.Unlock()
	if retire {
		s.lost(errors.New("it did not end a call that was cancelled"))
	}
}

// maxIdle is how long a program without calls is kept.
const maxIdle = 5 * time.Minute

// ask makes a call for which enter took a place.
func (s *session) ask(ctx context.Context, id string, c *call, m *message) agent.Reply {
	forsaken := false
	defer func() { s.leave(id, forsaken) }()
	m.Type, m.ID = "call", id
	if err := s.send(ctx, m); err != nil {
		if ctx.Err() != nil {
			return agent.Fail(run.Stopped, "it was cancelled")
		}
		return s.broken(c, err)
	}
	select {
	case end := <-c.end:
		return finish(end)
	case <-s.over:
		return s.broken(c, s.reason())
	case <-ctx.Done():
	}
	tell, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	_ = s.send(tell, &message{Type: "cancel", ID: id, Reason: "nobody waits for it"})
	grace := time.NewTimer(cancelGrace)
	defer grace.Stop()
	reply := agent.Fail(run.Stopped, "it was cancelled")
	select {
	case end := <-c.end:
		reply.Usage = end.Usage.runUsage()
	case <-s.over:
		reply.Usage = s.usage(c)
	case <-grace.C:
		forsaken = true
		reply.Usage = s.usage(c)
	}
	return reply
}

// finish is the reply of a call that was answered.
func finish(end *message) agent.Reply {
	r := end.reply()
	r.Usage = end.Usage.runUsage()
	return r
}

// broken is the reply of a call whose connection broke. An answer that came before is not lost.
func (s *session) broken(c *call, err error) agent.Reply {
	select {
	case end := <-c.end:
		return finish(end)
	default:
	}
	r := agent.Fail(run.Unavailable, err.Error())
	r.Usage = s.usage(c)
	return r
}

func (s *session) usage(c *call) run.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.used.runUsage()
}

// lines splits what comes in pieces into lines. It reports false when a line has no end.
type lines struct {
	rest []byte
	each func(line []byte)
}

func (l *lines) write(chunk []byte) bool {
	for {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			l.rest = append(l.rest, chunk...)
			return len(l.rest) <= maxLine
		}
		if len(l.rest) > 0 {
			l.rest = append(l.rest, chunk[:i]...)
			l.each(l.rest)
			l.rest = l.rest[:0]
			if cap(l.rest) > 1<<20 {
				l.rest = nil
			}
		} else {
			l.each(chunk[:i])
		}
		chunk = chunk[i+1:]
	}
}
