package server

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/wire"
)

// contextRoutes are about what outlives runs: memory.* of the scopes flow and shared.
func (s *Server) contextRoutes() []route {
	at := Root + "/contexts/{path}"
	return []route{
		{method: "GET", path: Root + "/contexts", role: auth.Viewer, id: "listContexts", handle: s.listContexts},
		{method: "GET", path: at, role: auth.Viewer, id: "getContext", handle: s.getContext},
		{method: "PUT", path: at, role: auth.Operator, id: "putContext", handle: s.changeContext(contexts.Set)},
		{method: "PATCH", path: at, role: auth.Operator, id: "mergeContext", handle: s.changeContext(contexts.Merge)},
		{method: "DELETE", path: at, role: auth.Operator, id: "deleteContext", handle: s.deleteContext},
	}
}

// place reads whose state is meant: that of all flows, or with ?scope=flow&flow=NAME of one.
func (s *Server) place(r *http.Request, q *asked) contexts.Place {
	p := contexts.Place{Scope: contexts.Shared, Tenant: auth.From(r.Context()).Tenant, Pool: s.config.Options.Pool, Flow: q.text("flow")}
	switch scope := q.text("scope"); scope {
	case "", string(contexts.Shared):
		if p.Flow != "" && scope != "" {
			q.fault("flow", "shared state is of no flow; scope=flow goes with a flow")
		} else if p.Flow != "" {
			p.Scope = contexts.Flow
		}
	case string(contexts.Flow):
		if p.Scope = contexts.Flow; p.Flow == "" {
			q.fault("flow", "the name of a flow goes with scope=flow")
		}
	default:
		q.fault("scope", "shared or flow; the memory of one run is workflows/{id}/context")
	}
	return p
}

func (s *Server) listContexts(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "scope", "flow", "limit", "cursor")
	p, limit := s.place(r, q), q.number("limit", store.DefaultLimit, 1, 200)
	if q.err != nil {
		return q.err
	}
	names, err := s.config.Host.KeptNames(r.Context(), p)
	if err != nil {
		return contextError(err)
	}
	type entry struct {
		Name string `json:"name"`
	}
	var items []entry
	next := ""
	for _, name := range names {
		if name <= q.text("cursor") {
			continue
		}
		if len(items) == limit {
			next = items[limit-1].Name
			break
		}
		items = append(items, entry{name})
	}
	return send(w, http.StatusOK, pageOf(items, next))
}

// pathOf is the path of a request, when it is one.
func pathOf(r *http.Request) (string, error) {
	path := part(r, "path")
	if _, _, err := (contexts.State{}).Get(path); err != nil {
		return "", problem("E_INVALID", err.Error(), Fault{"/path", "a path like a.b[0].c"})
	}
	return path, nil
}

func (s *Server) getContext(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "scope", "flow")
	p := s.place(r, q)
	if q.err != nil {
		return q.err
	}
	path, err := pathOf(r)
	if err != nil {
		return err
	}
	return s.sendContext(w, r, p, path)
}

func (s *Server) sendContext(w http.ResponseWriter, r *http.Request, p contexts.Place, path string) error {
	value, version, ok, err := s.config.Host.Kept(r.Context(), p, path)
	if err != nil {
		return contextError(err)
	}
	if !ok {
		return missing("value", path)
	}
	if tagged(w, r, strconv.FormatUint(version, 10)) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return send(w, http.StatusOK, struct {
		Path    string         `json:"path"`
		Scope   contexts.Scope `json:"scope"`
		Flow    string         `json:"flow,omitempty"`
		Value   any            `json:"value"`
		Version uint64         `json:"version"` // of all below the first name
	}{path, p.Scope, p.Flow, wire.Plain(value), version})
}

// match reads If-Match: a version of all below the first name, or * for whatever is there.
func match(r *http.Request) (contexts.Match, error) {
	switch want := strings.TrimSpace(r.Header.Get("If-Match")); want {
	case "":
		return contexts.Match{}, nil
	case "*":
		return contexts.Match{Some: true}, nil
	default:
		version, err := strconv.ParseUint(strings.Trim(want, `"`), 10, 64)
		if err != nil || version == 0 {
			return contexts.Match{}, problem("E_PRECONDITION", "If-Match is the ETag that was read")
		}
		return contexts.Match{Version: version}, nil
	}
}

func (s *Server) changeContext(verb contexts.Verb) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		q := query(r, "scope", "flow")
		p := s.place(r, q)
		if q.err != nil {
			return q.err
		}
		var body struct {
			Value json.RawMessage `json:"value"`
			TTL   string          `json:"ttl"`
		}
		if err := read(r, &body); err != nil {
			return err
		}
		if len(body.Value) == 0 {
			return problem("E_INVALID", "there is no value", Fault{"/value", "what is to be there"})
		}
		c := contexts.Change{Verb: verb}
		var err error
		if c.Path, err = pathOf(r); err != nil {
			return err
		}
		if c.Value, err = jsonvalue.Parse(body.Value); err != nil {
			return problem("E_INVALID", "the value is no JSON that can be kept", Fault{"/value", err.Error()})
		}
		if body.TTL != "" {
			if c.TTL, err = plan.ParseDuration(body.TTL); err != nil {
				return problem("E_INVALID", "the ttl is no time", Fault{"/ttl", err.Error()})
			}
		}
		if err := s.apply(r, p, c, contexts.Match{}); err != nil {
			return err
		}
		return s.sendContext(w, r, p, c.Path)
	}
}

func (s *Server) deleteContext(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "scope", "flow")
	p := s.place(r, q)
	if q.err != nil {
		return q.err
	}
	path, err := pathOf(r)
	if err != nil {
		return err
	}
	err = s.apply(r, p, contexts.Change{Verb: contexts.Delete, Path: path}, contexts.Match{Some: true})
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

// apply makes a change on top of what If-Match asks for. Requests with the same Idempotency-Key make it once.
func (s *Server) apply(r *http.Request, p contexts.Place, c contexts.Change, m contexts.Match) error {
	asked, err := match(r)
	if err != nil {
		return err
	}
	m.Version, m.Some = asked.Version, m.Some || asked.Some
	key := "request " + rand.Text()
	if k := r.Header.Get("Idempotency-Key"); k != "" {
		key = "key " + p.Tenant + " " + k
	}
	return contextError(s.config.Host.ChangeKept(r.Context(), p, key, c, m))
}

// contextError is an error of shared state in the words of the API: what is not about reaching it is about the change.
func contextError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, contexts.ErrMoved):
		return problem("E_PRECONDITION", "it was changed since you read it; read it again, and see what your change means now")
	case errors.Is(err, contexts.ErrNone):
		return problem("E_NOT_FOUND", "there is no such value")
	case errors.Is(err, contexts.ErrUnavailable), errors.Is(err, contexts.ErrUnsure):
		return fmt.Errorf("%w: %w", runs.ErrUnavailable, err)
	}
	return problem("E_INVALID", err.Error(), Fault{"/value", err.Error()})
}
