package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/slopstudios/slop/runtime/server"
)

// What runs did is told to their tenant, also by a server that has none of them in memory, and to nobody else. In the reference implementation a call that was
// part of an orchestration counted twice, and what is under way was always none (O4).
func TestMetrics(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = people })
	w.token = "o"
	waiting := w.start("ok = human.approve \"Go?\"\noutput ok")
	close(w.slow)
	script := "all = map i in [1, 2, 3] {\n  a = slow \"<<i>>\"\n  b = echo \"<<a>>\"\n  output b\n}\noutput all"
	for range 2 {
		w.want(200, "POST", "/workflows?wait=10s", map[string]any{"script": script})
	}
	w.want(200, "POST", "/workflows?wait=10s", map[string]any{"script": "require 1 > 2 else \"no\"\noutput \"x\""})
	w.token = "v"
	v := w.want(200, "GET", "/metrics", nil)
	runs := v["runs"].(map[string]any)
	if runs["begun"] != 4.0 || runs["succeeded"] != 2.0 || runs["failed"] != 1.0 || runs["cancelled"] != 0.0 {
		t.Errorf("runs: %v", runs)
	}
	if d := runs["durationMs"].(map[string]any); d["count"] != 3.0 || d["p50"] == nil || d["p99"] == nil {
		t.Errorf("durations: %v", d)
	}
	if d := runs["queueWaitMs"].(map[string]any); d["count"] != 4.0 {
		t.Errorf("waits: %v", d)
	}
	agents := map[string]map[string]any{}
	for _, a := range v["agents"].([]any) {
		agents[a.(map[string]any)["agent"].(string)] = a.(map[string]any)
	}
	if a := agents["slow"]; a["succeeded"] != 6.0 || a["durationMs"].(map[string]any)["count"] != 6.0 {
		t.Errorf("slow: %v", a)
	}
	if a := agents["echo"]; a["succeeded"] != 6.0 || a["cost"] != nil || a["tokens"].(map[string]any)["input"] != nil {
		t.Errorf("echo: %v", a)
	}
	for _, s := range v["steps"].([]any) {
		if step := s.(map[string]any)["step"].(string); strings.Contains(step, "[") {
			t.Errorf("a step is counted by its item: %v", step)
		}
	}
	if now := w.want(200, "GET", "/metrics", nil)["now"].(map[string]any); now["running"].(float64)+now["waiting"].(float64) != 1 {
		t.Errorf("now: %v", now)
	}
	since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	if v := w.want(200, "GET", "/metrics?agent=slow&since="+since, nil); len(v["agents"].([]any)) != 1 {
		t.Errorf("agents: %v", v["agents"])
	}
	w.want(400, "GET", "/metrics?since=yesterday", nil)
	w.want(400, "GET", "/metrics?tenant=b", nil)
	w.token = "b"
	if v := w.want(200, "GET", "/metrics", nil); v["runs"].(map[string]any)["begun"] != 0.0 || len(v["flows"].([]any))+len(v["steps"].([]any)) != 0 || v["now"].(map[string]any)["running"] != 0.0 {
		t.Errorf("bob sees %v", v)
	}
	w.token = "o"
	w.want(200, "POST", "/workflows/"+waiting+"/cancel", nil)
}

// scrape reads what Prometheus would.
func (w *world) scrape() map[string]*dto.MetricFamily {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), "GET", strings.TrimSuffix(w.url, server.Root)+"/metrics", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		w.t.Fatalf("%d: %v", answer.StatusCode, err)
	}
	return all
}

func TestPrometheus(t *testing.T) {
	w := newWorld(t, func(c *server.Config) { c.Gate = people })
	w.token = "a"
	close(w.slow)
	id := w.want(200, "POST", "/workflows?wait=10s", map[string]any{"script": "a = slow \"x\"\noutput a"})["id"].(string)
	w.want(404, "GET", "/workflows/none", nil)
	c := w.dial()
	c.say(map[string]any{"event": "agent:workflow:watch", "run": id, "id": "1"})
	c.hear()
	all := w.scrape()
	value := func(name string, labels ...string) float64 {
		t.Helper()
		f := all[name]
		if f == nil {
			t.Errorf("there is no %s", name)
			return -1
		}
		for _, m := range f.Metric {
			var has []string
			for _, l := range m.Label {
				has = append(has, l.GetName()+"="+l.GetValue())
			}
			if slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(has, l) }) {
				continue
			}
			switch {
			case m.Histogram != nil:
				return float64(m.Histogram.GetSampleCount())
			case m.Counter != nil:
				return m.Counter.GetValue()
			}
			return m.Gauge.GetValue()
		}
		t.Errorf("there is no %s with %v: %v", name, labels, f)
		return -1
	}
	for _, tt := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "slop_runs_total", []string{"status=succeeded"}}, {1, "slop_step_duration_seconds", []string{"agent=slow"}}, {0, "slop_queue_depth", nil}, {1, "slop_sockets", nil},
		{1, "slop_http_requests_total", []string{"route=startRun", "class=2xx"}}, {1, "slop_http_requests_total", []string{"class=4xx"}}, {1, "slop_http_request_duration_seconds", []string{"route=startRun"}},
		{1, "slop_build_info", []string{"version=test"}},
	} {
		if got := value(tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s %v is %v, not %v", tt.name, tt.labels, got, tt.want)
		}
	}
	if text := fmt.Sprint(all); strings.Contains(text, id) {
		t.Error("the id of a run is a label")
	}
}
