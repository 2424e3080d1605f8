package server

import (
	"context"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/slopstudios/slop/runtime/metrics"
)

// gauges are what a scrape of this process tells (the text format of Prometheus). Labels are names that people chose for flows and agents, and routes: never an id,
// and bounded in number.
type gauges struct {
	handler  http.Handler
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	sockets  prometheus.Gauge
}

func newGauges(s *Server) *gauges {
	g := &gauges{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "slop_http_requests_total", Help: "Requests, by route and class of the status."}, []string{"route", "class"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "slop_http_request_duration_seconds", Help: "How long requests took that are no streams.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"route"}),
		sockets: prometheus.NewGauge(prometheus.GaugeOpts{Name: "slop_sockets", Help: "WebSockets and streams of events that are open."}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "slop_build_info", Help: "Always 1; the labels say what this is.", ConstLabels: prometheus.Labels{"version": s.config.Version, "go": runtime.Version()},
	})
	build.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(g.requests, g.latency, g.sockets, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), tallied{s})
	g.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return g
}

// asked counts a request that is over.
func (g *gauges) asked(rt route, a *answer, took time.Duration) {
	status := a.status
	if !a.begun {
		status = gaveUp
	}
	g.requests.WithLabelValues(rt.id, strconv.Itoa(status/100)+"xx").Inc()
	if status != http.StatusSwitchingProtocols && a.Header().Get("Content-Type") != "text/event-stream" {
		g.latency.WithLabelValues(rt.id).Observe(took.Seconds())
	}
}

func (s *Server) scrape(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	s.gauges.handler.ServeHTTP(w, r)
	return nil
}

// tallied collects what the book of this process counted since it began, over all tenants, and how many runs of the pool are in line.
type tallied struct{ server *Server }

var (
	runsTotal   = prometheus.NewDesc("slop_runs_total", "Runs that ended in this process.", []string{"flow", "status"}, nil)
	stepSeconds = prometheus.NewDesc("slop_step_duration_seconds", "How long calls of agents took.", []string{"agent"}, nil)
	tokensTotal = prometheus.NewDesc("slop_tokens_total", "Tokens that models reported.", []string{"agent", "type"}, nil)
	costTotal   = prometheus.NewDesc("slop_cost_usd_total", "What calls cost, as far as that is known.", []string{"agent"}, nil)
	queueDepth  = prometheus.NewDesc("slop_queue_depth", "Runs that wait for a server or worker, of all that share the store.", nil, nil)
)

// Describe implements prometheus.Collector.
func (tallied) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runsTotal, stepSeconds, tokensTotal, costTotal, queueDepth} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (t tallied) Collect(ch chan<- prometheus.Metric) {
	c := t.server.config
	all := c.Metrics.Totals()
	for k, n := range all.Runs {
		ch <- prometheus.MustNewConstMetric(runsTotal, prometheus.CounterValue, float64(n), k.Flow, string(k.Status))
	}
	for agent, h := range all.Calls {
		buckets := map[float64]uint64{}
		for i, n := range h.Under {
			buckets[metrics.Buckets[i]] = n
		}
		ch <- prometheus.MustNewConstHistogram(stepSeconds, h.Count, h.Sum, buckets, agent)
	}
	for k, n := range all.Tokens {
		ch <- prometheus.MustNewConstMetric(tokensTotal, prometheus.CounterValue, float64(n), k.Agent, k.Type)
	}
	for agent, dollars := range all.Cost {
		ch <- prometheus.MustNewConstMetric(costTotal, prometheus.CounterValue, dollars, agent)
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	if n, err := c.Store.Queued(ctx, c.Options.Pool); err == nil { // without the store nobody knows
		ch <- prometheus.MustNewConstMetric(queueDepth, prometheus.GaugeValue, float64(n))
	}
}
