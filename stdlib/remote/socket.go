package remote

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/slopstudios/slop/stdlib/outcome"
)

// NewGuest returns an agent that connects to us, by any number of WebSockets: as long as there is none, its calls fail as unavailable.
func NewGuest(name string) *Agent { return newAgent(name, "guest "+name, nil) }

// socketPulse is how often a connection that is silent is tried: one whose other end is gone without a word is noticed within two.
const socketPulse = 20 * time.Second

// ServeSocket takes a request that becomes a WebSocket, speaks with the agent behind it, and returns when the connection ends, with the reason. welcome hears what
// the agent says of itself before it is called; its error turns the agent away. A page of another origin is refused.
func (a *Agent) ServeSocket(w http.ResponseWriter, r *http.Request, welcome func(*Description) error) error {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return fmt.Errorf("accept the agent %s: %w", a.name, err) // the answer is written
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxLine)
	s := newSession(socket{conn})
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		for {
			_, line, err := conn.Read(context.Background()) // ends with the connection
			if err != nil {
				s.lost(fmt.Errorf("the connection ended: %w", err))
				return
			}
			s.receive(line)
		}
	}()
	err = a.host(r.Context(), s, welcome)
	s.lost(err)
	why := s.reason()
	_ = conn.Close(websocket.StatusPolicyViolation, outcome.Brief(why.Error(), 100, false)) // it says why, if anybody listens
	<-reading
	return why
}

// host has a session that connected to us serve calls until it is over.
func (a *Agent) host(ctx context.Context, s *session, welcome func(*Description) error) error {
	d, err := s.greet(ctx)
	if err != nil {
		return err
	}
	a.mu.Lock()
	if a.about == nil {
		a.about = d
	}
	a.mu.Unlock()
	if welcome != nil {
		if err := welcome(d); err != nil {
			return err
		}
	}
	if err := a.add(s); err != nil {
		return err
	}
	pulse := time.NewTicker(socketPulse)
	defer pulse.Stop()
	for {
		select {
		case <-s.over:
			return s.reason()
		case <-ctx.Done():
			return errEnded
		case <-pulse.C:
			ctx, cancel := context.WithTimeout(ctx, socketPulse)
			err := s.wire.(socket).conn.Ping(ctx)
			cancel()
			if err != nil {
				return fmt.Errorf("%w: %w", errSilent, err)
			}
		}
	}
}

// socket is the wire of a WebSocket: each message is a text of its own.
type socket struct{ conn *websocket.Conn }

func (w socket) send(ctx context.Context, line []byte) error {
	return w.conn.Write(ctx, websocket.MessageText, line)
}

func (w socket) end() { _ = w.conn.CloseNow() } // it may be closed already
