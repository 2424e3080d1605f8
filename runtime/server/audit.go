package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/slopstudios/slop/runtime/server/audit"
	"github.com/slopstudios/slop/runtime/server/auth"
)

func (s *Server) accountRoutes() []route {
	return []route{
		{method: "GET", path: Root + "/audit", role: auth.Admin, id: "listAudit", handle: s.listAudit},
		{method: "POST", path: Root + "/tickets", role: auth.Viewer, id: "createTicket", handle: s.createTicket, reads: true},
	}
}

// noting notes a change when its answer begins: what a client was told was done is in the list.
func (s *Server) noting(rt route, w *answer, r *http.Request) func(status int) {
	return func(status int) {
		if status == http.StatusTooManyRequests {
			return // who asks too often would fill the list
		}
		s.note(r.Context(), audit.Entry{
			Method: r.Method, Route: rt.id, Path: r.URL.Path, Made: w.Header().Get("Location"), Status: status, Code: w.code,
		})
	}
}

// note adds to the list of the caller's tenant who it was.
func (s *Server) note(ctx context.Context, e audit.Entry) {
	caller, came := auth.From(ctx), arrivalOf(ctx)
	e.By, e.Role, e.Proof, e.Request = caller.Name, caller.Role.String(), caller.Proof, came.id
	if came.address.IsValid() {
		e.Address = came.address.String()
	}
	// Who has given up does not take the entry along. One that comes later was told to the log of the book.
	_ = s.audit.Note(context.WithoutCancel(ctx), caller.Tenant, e)
}

// auditEntry is an entry as clients see it.
type auditEntry struct {
	audit.Entry
	Hash string `json:"hash"`
}

// listAudit shows who changed what in the caller's tenant, the newest first.
func (s *Server) listAudit(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "limit", "cursor")
	limit, cursor := q.number("limit", 50, 1, 200), q.text("cursor")
	if q.err != nil {
		return q.err
	}
	entries, next, err := audit.List(r.Context(), s.config.Store, auth.From(r.Context()).Tenant, cursor, limit)
	if errors.Is(err, audit.ErrCursor) {
		return problem("E_INVALID", "the cursor is not one that was given out", Fault{"/cursor", "take it from next of the list before"})
	}
	if err != nil {
		return stored(err)
	}
	items := make([]auditEntry, len(entries))
	for i, e := range entries {
		items[i] = auditEntry{e, e.Hash}
	}
	return send(w, http.StatusOK, pageOf(items, next))
}

// createTicket gives a text that opens one WebSocket in the caller's name within half a minute, for web pages, whose browsers send no header of theirs with one.
func (s *Server) createTicket(w http.ResponseWriter, r *http.Request) error {
	var body struct{}
	if err := read(r, &body); err != nil {
		return err
	}
	text, expires, err := s.tickets.Issue(r.Context(), auth.From(r.Context()))
	if err != nil {
		return stored(err)
	}
	return send(w, http.StatusCreated, struct {
		Ticket    string    `json:"ticket"` // ?ticket=… of GET /events
		ExpiresAt time.Time `json:"expiresAt"`
	}{text, expires})
}
