package server

import (
	"context"
	"net/http"
	"time"

	"github.com/slopstudios/slop/runtime/metrics"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
)

// metricsSpan is what a report is about when nobody says.
const metricsSpan = 24 * time.Hour

func (s *Server) metricsRoutes() []route {
	return []route{
		{method: "GET", path: Root + "/metrics", role: auth.Viewer, id: "getMetrics", handle: s.getMetrics},
		{method: "GET", path: "/metrics", role: auth.Admin, id: "scrapeMetrics", handle: s.scrape},
	}
}

// Metrics are what the runs of a tenant did, and what they are doing.
type Metrics struct {
	*metrics.Report
	Now Now `json:"now"`
}

// Now counts the runs that have not ended.
type Now struct {
	Queued  int  `json:"queued"`
	Running int  `json:"running"`
	Waiting int  `json:"waiting"`
	Paused  int  `json:"paused"`
	More    bool `json:"more"` // there are more than were counted
}

func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "since", "flow", "agent")
	f := metrics.Filter{Since: q.time("since"), Flow: q.text("flow"), Agent: q.text("agent")}
	if q.err != nil {
		return q.err
	}
	if f.Since.IsZero() {
		f.Since = time.Now().Add(-metricsSpan)
	}
	tenant := auth.From(r.Context()).Tenant
	report, err := s.config.Metrics.Report(r.Context(), tenant, f)
	if err != nil {
		return stored(err)
	}
	now, err := s.countNow(r.Context(), tenant, f.Flow)
	if err != nil {
		return stored(err)
	}
	return send(w, http.StatusOK, Metrics{report, now})
}

// countNow counts the runs of a tenant that have not ended, as lists show them.
func (s *Server) countNow(ctx context.Context, tenant, flow string) (Now, error) {
	entries, next, err := s.config.Store.List(ctx, store.Filter{
		Tenant: tenant, Flow: flow, Limit: store.MaxLimit, Status: []run.Status{run.Queued, run.Running, run.Waiting, run.Paused},
	})
	n := Now{More: next != ""}
	for _, e := range entries {
		switch e.Status {
		case run.Queued:
			n.Queued++
		case run.Running:
			n.Running++
		case run.Waiting:
			n.Waiting++
		case run.Paused:
			n.Paused++
		}
	}
	return n, err
}
