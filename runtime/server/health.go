package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
)

// probeTime is how long the store may take to say that it is there.
const probeTime = 2 * time.Second

func (s *Server) healthRoutes() []route {
	return []route{
		{method: "GET", path: "/healthz", role: auth.Anyone, id: "live", handle: s.live},
		{method: "GET", path: "/readyz", role: auth.Anyone, id: "ready", handle: s.health},
		{method: "GET", path: Root + "/health", role: auth.Anyone, id: "health", handle: s.health},
	}
}

// live says that the process answers.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) error {
	return send(w, http.StatusOK, struct {
		Status string `json:"status"`
	}{"ok"})
}

// Health is how a server is.
type Health struct {
	Status  string `json:"status"` // ok, degraded (the store is away), draining
	Store   string `json:"store"`  // ok, unreachable
	Version string `json:"version"`
}

// health says whether runs can be begun here now.
func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	h := Health{Status: "ok", Store: "ok", Version: s.config.Version}
	ctx, cancel := context.WithTimeout(r.Context(), probeTime)
	defer cancel()
	if _, _, err := s.config.Store.GetDoc(ctx, "health", "probe"); err != nil && !errors.Is(err, store.ErrNotFound) {
		h.Status, h.Store = "degraded", "unreachable"
	}
	if s.ctx.Err() != nil {
		h.Status = "draining"
	}
	if h.Status != "ok" {
		return send(w, http.StatusServiceUnavailable, h)
	}
	return send(w, http.StatusOK, h)
}
