package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/audit"
	"github.com/slopstudios/slop/runtime/server/auth"
)

// The bounds of a socket.
const (
	maxMessage  = 1 << 20 // bytes of what a client sends
	maxWatched  = 1000    // runs that one socket watches
	pongTime    = 10 * time.Second
	closeReason = 120 // bytes that fit into a close frame
)

// command is what a client says on a socket. Which fields count depends on the event.
type command struct {
	Event       string          `json:"event"`
	ID          json.RawMessage `json:"id"` // comes back with the answer
	Run         run.ID          `json:"run"`
	ExecutionID run.ID          `json:"executionId"` // another word for run
	WorkflowID  run.ID          `json:"workflowId"`  // and another
	After       run.Seq         `json:"after"`
	Step        run.Path        `json:"step"`
	Value       json.RawMessage `json:"value"`
	Reason      string          `json:"reason"`
	order
}

// socket is a client that watches many runs over one connection and steers them.
type socket struct {
	server  *Server
	request *http.Request // of the caller, for what commands do
	conn    *websocket.Conn
	ctx     context.Context
	cancel  context.CancelCauseFunc
	out     chan []byte // one writer; who has a frame waits for it
	group   sync.WaitGroup

	mu      sync.Mutex
	watched map[run.ID]context.CancelFunc
	follows map[string]Agent // the agents as they were when it was asked what becomes of them; nil: it was not
}

// socket serves a WebSocket (RFC 6455): frames of runs go out, commands come in.
func (s *Server) socket(w http.ResponseWriter, r *http.Request) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.exit()
	var hosts []string
	for _, origin := range s.config.Origins {
		if u, err := url.Parse(origin); err == nil {
			hosts = append(hosts, u.Host)
		}
	}
	a := w.(*answer)
	conn, err := websocket.Accept(a.ResponseWriter, r, &websocket.AcceptOptions{OriginPatterns: hosts, CompressionMode: websocket.CompressionDisabled})
	a.begun, a.status = true, http.StatusSwitchingProtocols
	if err != nil {
		return nil // it has been answered
	}
	s.sockets.Add(1)
	defer s.sockets.Add(-1)
	conn.SetReadLimit(maxMessage)
	k := &socket{server: s, request: r, conn: conn, out: make(chan []byte), watched: map[run.ID]context.CancelFunc{}}
	k.ctx, k.cancel = s.lasting(context.WithoutCancel(r.Context())) // the request's own ends when the connection is taken over
	defer k.cancel(nil)
	k.group.Go(k.write)
	k.group.Go(k.beat)
	q := r.URL.Query()
	for _, id := range q["run"] {
		var after run.Seq
		_, _ = fmt.Sscan(q.Get("after"), &after)
		k.do(&command{Event: "agent:workflow:watch", Run: run.ID(id), After: after})
	}
	k.group.Go(func() {
		<-k.ctx.Done()
		k.close()
	})
	for {
		_, text, err := conn.Read(context.WithoutCancel(k.ctx)) // a context that ends would break the connection off, and with it the goodbye
		if err != nil {
			k.cancel(err)
			break
		}
		k.hear(text)
	}
	k.group.Wait()
	return nil
}

// close says goodbye with the reason, as far as that can still be heard.
func (k *socket) close() {
	code, reason := websocket.StatusNormalClosure, ""
	switch why := context.Cause(k.ctx); {
	case errors.Is(why, runs.ErrClosed):
		code, reason = websocket.StatusServiceRestart, "the server is ending; come again and resume from the last seq"
	case errors.Is(why, auth.ErrUnknown):
		code, reason = websocket.StatusPolicyViolation, "your token does not hold any more"
	case errors.Is(why, errSlow):
		code, reason = websocket.StatusTryAgainLater, why.Error()
	}
	if len(reason) > closeReason {
		reason = reason[:closeReason]
	}
	_ = k.conn.Close(code, reason) // it may be gone
}

// write is the one who writes frames. Whoever has one waits, so a slow client slows nobody but what it watches itself.
func (k *socket) write() {
	for {
		select {
		case text := <-k.out:
			ctx, done := context.WithTimeout(context.WithoutCancel(k.ctx), k.server.config.WriteTime) // a frame that has begun is ended
			err := k.conn.Write(ctx, websocket.MessageText, text)
			done()
			if err != nil {
				k.cancel(err)
				return
			}
		case <-k.ctx.Done():
			return
		}
	}
}

// beat notices a client that is gone without a word.
func (k *socket) beat() {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			ctx, done := context.WithTimeout(k.ctx, pongTime)
			err := k.conn.Ping(ctx)
			done()
			if err != nil {
				k.cancel(err)
				return
			}
		case <-k.ctx.Done():
			return
		}
	}
}

func (k *socket) send(text []byte) error {
	select {
	case k.out <- text:
		return nil
	case <-k.ctx.Done():
		return context.Cause(k.ctx)
	}
}

func (k *socket) say(v any) {
	if text, err := json.Marshal(v); err == nil {
		_ = k.send(text) // the socket is closing
	}
}

// hear reads a command and answers it.
func (k *socket) hear(text []byte) {
	c := &command{}
	if err := unmarshal(text, c); err != nil {
		k.complain(c, err)
		return
	}
	if c.Run == "" {
		c.Run = c.ExecutionID
	}
	if c.Run == "" {
		c.Run = c.WorkflowID
	}
	k.do(c)
}

// commands are what can be said on a socket, with the role that each takes.
var commands = map[string]struct {
	role auth.Role
	do   func(*socket, context.Context, *command) (any, error)
}{
	"agent:workflow:execute": {auth.Operator, (*socket).execute},
	"agent:workflow:watch":   {auth.Viewer, (*socket).watch},
	"agent:workflow:unwatch": {auth.Viewer, (*socket).unwatch},
	"agent:workflow:status":  {auth.Viewer, (*socket).status},
	"agent:workflow:answer":  {auth.Operator, (*socket).answer},
	"agent:workflow:pause":   {auth.Operator, (*socket).pause},
	"agent:workflow:resume":  {auth.Operator, (*socket).resume},
	"agent:workflow:cancel":  {auth.Operator, (*socket).end},
	"agent:registry:watch":   {auth.Viewer, (*socket).watchAgents},
}

// ack answers a command.
type ack struct {
	Event string          `json:"event"` // agent:ack
	ID    json.RawMessage `json:"id,omitempty"`
	Of    string          `json:"of"`            // the event of the command
	Run   any             `json:"run,omitempty"` // as GET shows it
}

func (k *socket) do(c *command) {
	what, ok := commands[c.Event]
	caller := auth.From(k.ctx)
	var told any
	var err error
	switch {
	case !ok:
		err = problem("E_INVALID", fmt.Sprintf("there is no command %q", c.Event), Fault{"/event", "see spec/asyncapi.yaml"})
	case caller.Role < what.role:
		err = problem("E_FORBIDDEN", fmt.Sprintf("this takes the role %s, and you are %s", what.role, caller.Role))
	default:
		if err = k.server.byCaller.count(caller); err != nil {
			break
		}
		ctx, cancel := context.WithTimeout(k.ctx, bodyTime)
		told, err = what.do(k, ctx, c)
		cancel()
	}
	if p := (*Problem)(nil); ok && what.role > auth.Viewer && !(errors.As(err, &p) && p.Status == http.StatusTooManyRequests) {
		k.note(c, err) // as in noting
	}
	if err != nil {
		k.complain(c, err)
		return
	}
	if c.Event != "agent:workflow:watch" || len(c.ID) > 0 {
		k.say(ack{"agent:ack", c.ID, c.Event, told})
	}
	if c.Event == "agent:workflow:watch" || c.Event == "agent:workflow:execute" {
		k.stream(c.Run, c.After)
	}
	if c.Event == "agent:registry:watch" {
		k.group.Go(k.tellOfAgents)
	}
}

// note notes a change, or one that was refused, before it is answered.
func (k *socket) note(c *command, err error) {
	e := audit.Entry{Method: "WS", Route: c.Event, Status: http.StatusOK}
	if c.Run != "" {
		e.Path = Root + "/workflows/" + url.PathEscape(string(c.Run))
	}
	if err != nil {
		p := problemOf(err)
		e.Status, e.Code = p.Status, p.Code
	}
	k.server.note(k.ctx, e)
}

func (k *socket) complain(c *command, err error) {
	p := problemOf(err)
	if p.cause != nil {
		k.server.config.Log.Error("a command failed", "command", c.Event, "code", p.Code, "error", p.cause)
	}
	k.say(struct {
		Event string          `json:"event"`
		ID    json.RawMessage `json:"id,omitempty"`
		Of    string          `json:"of,omitempty"`
		Run   run.ID          `json:"run,omitempty"`
		Error *Problem        `json:"error"`
	}{"agent:error", c.ID, c.Event, c.Run, p})
}

// execute begins a run, whose frames follow.
func (k *socket) execute(ctx context.Context, c *command) (any, error) {
	id, _, err := k.server.start(k.request.WithContext(ctx), &c.order)
	if err != nil {
		return nil, err
	}
	c.Run = id
	return k.server.tell(ctx, id)
}

// watch makes sure that the frames of a run may be shown; do sends them.
func (k *socket) watch(ctx context.Context, c *command) (any, error) {
	if err := k.server.mine(ctx, c.Run); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, watched := k.watched[c.Run]; watched {
		return nil, problem("E_EXISTS", "you watch this run already")
	}
	if len(k.watched) >= maxWatched {
		return nil, problem("E_RATE_LIMITED", fmt.Sprintf("a socket watches %d runs at most", maxWatched))
	}
	return nil, nil
}

// stream sends the frames of a run until it is over. When the client cannot keep up, the socket ends with the seq to go on from.
func (k *socket) stream(id run.ID, after run.Seq) {
	ctx, cancel := context.WithCancel(k.ctx)
	k.mu.Lock()
	k.watched[id] = cancel
	k.mu.Unlock()
	k.group.Go(func() {
		shown, err := k.server.watch(ctx, id, after, func(f frame) error { return k.send(f.data) })
		k.mu.Lock()
		delete(k.watched, id)
		k.mu.Unlock()
		stopped := ctx.Err() != nil
		cancel()
		switch {
		case err == nil, stopped:
		case errors.Is(err, errSlow):
			k.cancel(fmt.Errorf("%w: run %s, resume from %d", errSlow, id, shown))
		default:
			_ = k.send(parting(err, shown)) // the socket is closing
		}
	})
}

func (k *socket) unwatch(_ context.Context, c *command) (any, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	cancel, ok := k.watched[c.Run]
	if !ok {
		return nil, problem("E_NOT_FOUND", "you do not watch this run")
	}
	cancel()
	return nil, nil
}

func (k *socket) status(ctx context.Context, c *command) (any, error) {
	return k.server.tell(ctx, c.Run)
}

func (k *socket) answer(ctx context.Context, c *command) (any, error) {
	if err := k.server.mine(ctx, c.Run); err != nil {
		return nil, err
	}
	if err := k.server.answer(ctx, c.Run, c.Step, c.Value, c.Reason); err != nil {
		return nil, err
	}
	return k.server.tell(ctx, c.Run)
}

func (k *socket) pause(ctx context.Context, c *command) (any, error) {
	return k.steer(ctx, c, k.server.config.Host.Pause)
}

func (k *socket) resume(ctx context.Context, c *command) (any, error) {
	return k.steer(ctx, c, k.server.config.Host.Resume)
}

func (k *socket) end(ctx context.Context, c *command) (any, error) {
	return k.steer(ctx, c, k.server.config.Host.Cancel)
}

func (k *socket) steer(ctx context.Context, c *command, ask func(context.Context, run.ID, string, string) error) (any, error) {
	if err := k.server.mine(ctx, c.Run); err != nil {
		return nil, err
	}
	if err := ask(ctx, c.Run, auth.From(ctx).Name, c.Reason); err != nil {
		return nil, err
	}
	return k.server.tell(ctx, c.Run)
}
