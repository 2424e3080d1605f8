package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/auth"
)

// The times of streams.
const (
	heartbeat   = 15 * time.Second // between two signs of life
	holdsAgain  = 4 * time.Second  // between two looks whether a token still holds
	maxEvents   = 1000             // of a page
	streamRetry = 2 * time.Second  // what SSE clients wait before they come again
)

func (s *Server) eventRoutes() []route {
	return []route{
		{method: "GET", path: Root + "/workflows/{id}/events", role: auth.Viewer, id: "runEvents", handle: s.runEvents, streams: true},
		{method: "GET", path: Root + "/events", role: auth.Viewer, id: "events", handle: s.socket, streams: true, tickets: true},
	}
}

// runEvents sends the frames of a run: as server-sent events to who asks for a stream, else as a list.
func (s *Server) runEvents(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "after", "limit")
	after := run.Seq(q.number("after", 0, 0, math.MaxInt))
	limit := q.number("limit", 200, 1, maxEvents)
	if q.err != nil {
		return q.err
	}
	id := run.ID(part(r, "id"))
	if err := s.mine(r.Context(), id); err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		if last := r.Header.Get("Last-Event-ID"); last != "" {
			n, err := strconv.ParseUint(last, 10, 64)
			if err != nil {
				return problem("E_INVALID", "Last-Event-ID is the id of an event of this stream, a number")
			}
			after = run.Seq(n)
			if e, err := s.config.Store.GetEntry(r.Context(), id); err == nil && e.Status.Final() && e.Seq <= after {
				w.WriteHeader(http.StatusNoContent) // a client that comes again by itself stops coming
				return nil
			}
		}
		return s.sse(w, r, id, after)
	}
	return s.listEvents(w, r, id, after, limit)
}

// listEvents sends what is there now, without progress.
func (s *Server) listEvents(w http.ResponseWriter, r *http.Request, id run.ID, after run.Seq, limit int) error {
	h, err := s.config.Host.History(r.Context(), id)
	if err != nil {
		return err
	}
	m := makerOf(h)
	items, shown, more := []json.RawMessage{}, 0, false
	var last run.Seq
	for i := range h.Facts {
		f := h.Facts[i]
		frames, err := m.frames(runs.Event{Fact: &f})
		if err != nil {
			return err
		}
		if f.Seq <= after {
			continue
		}
		if shown == limit {
			more = true
			break
		}
		shown++
		last = f.Seq
		for _, f := range frames {
			items = append(items, f.data)
		}
	}
	next := ""
	if more {
		next = strconv.FormatUint(uint64(last), 10)
	}
	return send(w, http.StatusOK, pageOf(items, next))
}

// sse sends frames as server-sent events (HTML Standard, section 9.2): the id of an event is the seq of its fact.
func (s *Server) sse(w http.ResponseWriter, r *http.Request, id run.ID, after run.Seq) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.exit()
	ctx, cancel := s.lasting(r.Context())
	defer cancel(nil)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(w)
	write := func(text []byte) error {
		_ = out.SetWriteDeadline(time.Now().Add(s.config.WriteTime)) // a test's recorder has none
		if _, err := w.Write(text); err != nil {
			return err
		}
		return out.Flush()
	}
	if err := write(fmt.Appendf(nil, "retry: %d\n\n", streamRetry.Milliseconds())); err != nil {
		return nil // nobody is there
	}
	frames := make(chan frame)
	ended := make(chan error, 1)
	var shown run.Seq
	go func() {
		var err error
		shown, err = s.watch(ctx, id, after, func(f frame) error {
			select {
			case frames <- f:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		ended <- err
	}()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	var b bytes.Buffer
	for {
		var err error
		select {
		case f := <-frames:
			b.Reset()
			if f.seq > 0 {
				fmt.Fprintf(&b, "id: %d\n", f.seq)
			}
			fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", f.name, f.data) // JSON has no line ends
			err = write(b.Bytes())
		case <-beat.C:
			err = write([]byte(": alive\n\n"))
		case why := <-ended:
			if why != nil {
				_ = write(fmt.Appendf(nil, "event: agent:error\ndata: %s\n\n", parting(why, shown))) // it is over anyway
			}
			return nil
		}
		if err != nil {
			cancel(err)
			<-ended
			return nil
		}
	}
}

// parting is what a stream says that ends before its run does: why, and where to go on.
func parting(why error, shown run.Seq) []byte {
	p := problemOf(why)
	switch {
	case errors.Is(why, errSlow):
		p = problem("E_TOO_SLOW", fmt.Sprintf("you read too slowly; resume from %d", shown))
	case errors.Is(why, context.Canceled), errors.Is(why, runs.ErrClosed):
		p = problem("E_CLOSING", fmt.Sprintf("the server is ending; resume from %d", shown))
	}
	text, _ := json.Marshal(struct { // texts and a number
		Event string   `json:"event"`
		After run.Seq  `json:"after"`
		Error *Problem `json:"error"`
	}{"agent:error", shown, p})
	return text
}

// lasting is the context of a stream: it ends with the request, with the server, and when what proved its caller holds no more.
func (s *Server) lasting(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	detach := context.AfterFunc(s.ctx, func() { cancel(runs.ErrClosed) })
	caller := auth.From(ctx)
	s.open.Go(func() {
		defer detach()
		look := time.NewTicker(holdsAgain)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
				if err := s.config.Gate.Holds(ctx, caller); errors.Is(err, auth.ErrUnknown) {
					cancel(err)
				}
			}
		}
	})
	return ctx, cancel
}
