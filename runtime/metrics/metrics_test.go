package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slopstudios/slop/runtime/metrics"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// clock is set by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// count tells a book of a run: it calls writer once for each time, which takes that long; the first of two attempts fails.
func count(b *metrics.Book, tenant, flow string, began time.Time, status run.Status, took ...time.Duration) {
	t := b.Tally(tenant, flow, began)
	t.Begun()
	t.Waited(began.Add(10 * time.Millisecond))
	at := began
	used := run.Usage{Calls: 1, Input: 100, Output: 10, CacheRead: 5, Tokens: run.Reported, Cost: 2000, CostSource: run.Reported}
	for i, d := range took {
		path := run.Path("notes").Item(i).Join("poem")
		t.Calls(path, "writer")
		started := run.Fact{At: at, Body: &run.CallStarted{Path: path, Attempt: 1}}
		at = at.Add(d)
		t.Stored([]run.Fact{started, {At: at, Body: &run.CallDone{Path: path, Attempt: 1, Usage: used}}})
	}
	t.Stored([]run.Fact{{At: at, Body: &run.Finished{Status: status}}})
}

func report(t *testing.T, b *metrics.Book, tenant string, f metrics.Filter) *metrics.Report {
	t.Helper()
	if f.Since.IsZero() {
		f.Since = noon.Add(-24 * time.Hour)
	}
	r, err := b.Report(t.Context(), tenant, f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(got *float64, want float64) bool { return got != nil && math.Abs(*got-want) <= want/50 }

func TestNumbersOfKnownRuns(t *testing.T) {
	b := metrics.New(memory.New(), metrics.Config{Now: (&clock{noon.Add(time.Hour)}).now})
	for i := 1; i <= 100; i++ {
		status := run.Succeeded
		if i%10 == 0 {
			status = run.Failed
		}
		count(b, "a", "poems", noon, status, time.Duration(i)*time.Millisecond)
	}
	count(b, "a", "other", noon, run.Cancelled)
	r := report(t, b, "a", metrics.Filter{Since: noon})
	if r.Runs.Begun != 101 || r.Runs.Succeeded != 90 || r.Runs.Failed != 10 || r.Runs.Cancelled != 1 || !near(r.Runs.SuccessRate, .9) || r.Runs.PerHour != 101 {
		t.Errorf("runs: %+v", r.Runs)
	}
	d := r.Flows[1].Duration
	if r.Flows[1].Flow != "poems" || d.Count != 100 || !near(d.P50, 50) || !near(d.P95, 95) || !near(d.P99, 99) || !near(d.Mean, 50.5) || !near(r.Runs.QueueWait.P50, 10) {
		t.Errorf("the flow: %+v", r.Flows[1])
	}
	if len(r.Steps) != 1 || r.Steps[0].Step != (metrics.Step{Flow: "poems", Step: "notes/poem", Agent: "writer"}) || r.Steps[0].Succeeded != 100 {
		t.Errorf("steps: %+v", r.Steps)
	}
	c := r.Agents[0].Calls
	if *c.Tokens.Input != 10_000 || *c.Tokens.Output != 1000 || *c.Tokens.CacheRead != 500 || *c.Tokens.CacheWrite != 0 || !near(c.Cost, .2) {
		t.Errorf("the agent: %+v", c)
	}
	if r := report(t, b, "a", metrics.Filter{Since: noon, Flow: "other"}); r.Runs.Begun != 1 || len(r.Steps) != 0 || r.Calls.Cost != nil || r.Calls.Tokens.Input != nil || r.Calls.SuccessRate != nil || r.Calls.Duration.P50 != nil || r.Runs.SuccessRate != nil {
		t.Errorf("the other flow: %+v", r)
	}
	if r := report(t, b, "a", metrics.Filter{Agent: "nobody"}); r.Calls.Succeeded != 0 || len(r.Agents) != 0 {
		t.Errorf("an agent that was not called: %+v", r.Calls)
	}
}

// Attempts, repairs, questions, answers of the cache, and what nobody knows.
func TestWaysOfCalls(t *testing.T) {
	b := metrics.New(memory.New(), metrics.Config{Now: (&clock{noon}).now})
	tally := b.Tally("a", "f", noon)
	for _, path := range []run.Path{"x", "y", "z", "k"} {
		tally.Calls(path, "writer")
	}
	unknown := run.Usage{Calls: 1, Tokens: run.Unknown, CostSource: run.Unknown}
	for _, body := range []run.Body{
		&run.CallStarted{Path: "x", Attempt: 1}, &run.CallFailed{Path: "x", Attempt: 1, Outcome: run.Timeout, Usage: unknown},
		&run.CallStarted{Path: "x", Attempt: 2}, &run.CallFailed{Path: "x", Attempt: 2, Outcome: run.Invalid},
		&run.CallStarted{Path: "x~1", Attempt: 1}, &run.CallDone{Path: "x~1", Attempt: 1},
		&run.CallFailed{Path: "y", Attempt: 1, Outcome: run.Asks}, &run.CallEnded{Path: "y", Attempt: 1, Usage: unknown},
		&run.CallDone{Path: "z", Attempt: 1, Source: "cache", Usage: run.Usage{Input: 9, Tokens: run.Reported}},
		&run.CallDone{Path: "k", Attempt: 1, Source: run.Kept, Usage: run.Usage{Input: 9, Tokens: run.Reported}},
	} {
		tally.Stored([]run.Fact{{At: noon, Body: body}})
	}
	c := report(t, b, "a", metrics.Filter{}).Calls
	if c.Succeeded != 1 || c.Failed != 2 || c.Retries != 1 || c.Repairs != 1 || c.Asked != 1 || c.Cancelled != 1 || c.Cached != 1 || c.Duration.Count != 3 {
		t.Errorf("calls: %+v", c)
	}
	if c.Tokens.Input != nil || c.Tokens.Unknown != 2 || c.Cost != nil || c.CostUnknown != 2 {
		t.Errorf("what nobody knows has a figure: %+v", c)
	}
}

// Two servers on one store are one in a report, and what one counted outlives it.
func TestServersAreMergedAndOutlived(t *testing.T) {
	docs := memory.New()
	at := &clock{noon.Add(time.Minute)}
	one, two := metrics.New(docs, metrics.Config{Now: at.now}), metrics.New(docs, metrics.Config{Now: at.now})
	for i := 1; i <= 50; i++ {
		count(one, "a", "f", noon, run.Succeeded, time.Duration(i)*time.Millisecond)
		count(two, "a", "f", noon, run.Succeeded, time.Duration(50+i)*time.Millisecond)
	}
	for range 2 { // what did not change is not written again, and counts once
		if err := errors.Join(one.Flush(t.Context()), two.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	count(one, "a", "f", noon, run.Failed)
	if err := one.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*metrics.Book{"one": one, "two": two, "after a restart": metrics.New(docs, metrics.Config{Now: at.now})} {
		r := report(t, b, "a", metrics.Filter{})
		if c := r.Calls; r.Runs.Begun != 101 || r.Runs.Failed != 1 || c.Duration.Count != 100 || !near(c.Duration.P50, 50) || !near(c.Duration.P95, 95) || !near(c.Duration.Mean, 50.5) || *c.Tokens.Input != 10_000 {
			t.Errorf("%s: %+v %+v", name, r.Runs, c)
		}
	}
}

func TestTenantsAreApart(t *testing.T) {
	docs := memory.New()
	b := metrics.New(docs, metrics.Config{Now: (&clock{noon}).now})
	count(b, "a", "secret", noon, run.Succeeded, time.Second)
	for range 2 {
		for _, tenant := range []string{"b", "a/2026112712", "", "A"} {
			if r := report(t, b, tenant, metrics.Filter{}); r.Runs.Begun != 0 || len(r.Flows)+len(r.Agents)+len(r.Steps) != 0 {
				t.Errorf("%q sees %+v", tenant, r)
			}
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		b = metrics.New(docs, metrics.Config{Now: (&clock{noon}).now})
	}
}

// Hours are told apart, go after their time, and do not stay in memory.
func TestHours(t *testing.T) {
	docs := memory.New()
	at := &clock{noon}
	b := metrics.New(docs, metrics.Config{Now: at.now})
	for h := range 200 {
		at.at = noon.Add(time.Duration(h) * time.Hour)
		count(b, "a", "f", at.at, run.Succeeded)
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	kept := 0
	for _, err := range docs.AllDocs(t.Context(), "metrics", "a/") {
		if err != nil {
			t.Fatal(err)
		}
		kept++
	}
	if kept != 169 { // seven days, and the hour that is not over
		t.Errorf("%d hours are kept", kept)
	}
	count(b, "a", "f", at.at.Add(-10*time.Hour), run.Failed) // it comes late, from a store that was away
	for _, tt := range []struct{ hours, want int64 }{{0, 1}, {5, 6}, {24, 26}, {1000, 170}} {
		if r := report(t, b, "a", metrics.Filter{Since: at.at.Add(-time.Duration(tt.hours) * time.Hour)}); r.Runs.Begun != tt.want {
			t.Errorf("in %d hours: %d runs, not %d", tt.hours, r.Runs.Begun, tt.want)
		}
	}
}

// A hundred thousand names do not make a hundred thousand counters.
func TestNamesAreBounded(t *testing.T) {
	docs := memory.New()
	b := metrics.New(docs, metrics.Config{Now: (&clock{noon}).now})
	for i := range 5000 {
		count(b, "a", fmt.Sprintf("flow %d %s", i, strings.Repeat("é", 200)), noon, run.Succeeded, time.Millisecond)
		tally := b.Tally("a", "f", noon)
		tally.Calls("x", fmt.Sprint("agent ", i))
		tally.Stored([]run.Fact{{At: noon, Body: &run.CallDone{Path: "x", Attempt: 1, Usage: run.Usage{Input: 1, Tokens: run.Reported}}}})
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := report(t, b, "a", metrics.Filter{})
	if r.Runs.Succeeded != 5000 || r.Calls.Succeeded != 10_000 || len(r.Flows) > 1001 || len(r.Steps) > 2001 {
		t.Errorf("%d flows and %d steps with %d runs and %d calls", len(r.Flows), len(r.Steps), r.Runs.Succeeded, r.Calls.Succeeded)
	}
	if n := b.Totals(); len(n.Runs) > 603 || len(n.Calls) > 201 || len(n.Cost) > 201 || len(n.Tokens) > 804 {
		t.Errorf("%d %d %d %d labels", len(n.Runs), len(n.Calls), len(n.Cost), len(n.Tokens))
	}
}

// reads counts the bytes that are read.
type reads struct {
	store.Docs
	documents, bytes int
}

func (r *reads) GetDoc(ctx context.Context, kind, name string) ([]byte, uint64, error) {
	data, version, err := r.Docs.GetDoc(ctx, kind, name)
	r.documents++
	r.bytes += len(data)
	return data, version, err
}

// Ten thousand runs cost a look no more than ten: one document an hour and process, of a size that grows with the names in it.
func TestALookDoesNotGrowWithTheRuns(t *testing.T) {
	docs := &reads{Docs: memory.New()}
	b := metrics.New(docs, metrics.Config{Now: (&clock{noon}).now})
	for i := range 10_000 {
		count(b, "a", "f", noon, run.Succeeded, time.Duration(i)*time.Millisecond)
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	docs.documents, docs.bytes = 0, 0
	if r := report(t, metrics.New(docs, metrics.Config{Now: (&clock{noon}).now}), "a", metrics.Filter{}); r.Runs.Succeeded != 10_000 || docs.documents != 1 || docs.bytes > 16<<10 {
		t.Errorf("%d runs out of %d bytes in %d documents", r.Runs.Succeeded, docs.bytes, docs.documents)
	}
}

// lossy says that it failed when it wrote.
type lossy struct {
	store.Docs
	lies atomic.Bool
}

func (l *lossy) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	err := l.Docs.PutDoc(ctx, kind, name, version, data)
	if l.lies.Load() {
		return errors.Join(err, errors.New("the connection broke"))
	}
	return err
}

// The writer keeps what was counted every few seconds and at the end, and a write whose end was not heard of counts nothing twice.
func TestWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		docs := &lossy{Docs: memory.New()}
		docs.lies.Store(true)
		b := metrics.New(docs, metrics.Config{})
		ctx, stop := context.WithCancel(t.Context())
		written := make(chan struct{})
		go func() { b.Write(ctx); close(written) }()
		count(b, "a", "f", time.Now(), run.Succeeded)
		time.Sleep(15 * time.Second)
		docs.lies.Store(false)
		time.Sleep(10 * time.Second)
		other := metrics.New(docs, metrics.Config{})
		if r, err := other.Report(t.Context(), "a", metrics.Filter{}); err != nil || r.Runs.Succeeded != 1 {
			t.Errorf("%+v %v", r, err)
		}
		count(b, "a", "f", time.Now(), run.Succeeded)
		stop()
		<-written
		if r, err := other.Report(t.Context(), "a", metrics.Filter{}); err != nil || r.Runs.Succeeded != 2 {
			t.Errorf("at the end: %+v %v", r, err)
		}
	})
}

func TestSteps(t *testing.T) {
	b := metrics.New(memory.New(), metrics.Config{Now: (&clock{noon}).now})
	for path, want := range map[run.Path]string{
		"poem#2/review": "poem/review", "notes[13]/reader": "notes/reader", "total^1[0]": "total", "quote/else2": "quote/else2", "a~1?2": "a", `kind/"bug #2 [x]"/y[0]`: `kind/"bug #2 [x]"/y`,
	} {
		tally := b.Tally("a", "f", noon)
		tally.Stored([]run.Fact{{At: noon, Body: &run.CallDone{Path: path, Attempt: 1}}})
		found := false
		for _, s := range report(t, b, "a", metrics.Filter{}).Steps {
			found = found || s.Step.Step == want
		}
		if !found {
			t.Errorf("%s is not counted as %s", path, want)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	book := metrics.New(memory.New(), metrics.Config{})
	tally := book.Tally("a", "f", noon)
	facts := []run.Fact{{At: noon, Body: &run.CallStarted{Path: "notes[3]/poem", Attempt: 1}}, {At: noon.Add(time.Second), Body: &run.CallDone{Path: "notes[3]/poem", Attempt: 1}}}
	b.ReportAllocs()
	for b.Loop() {
		tally.Calls("notes[3]/poem", "writer")
		tally.Stored(facts)
	}
}
