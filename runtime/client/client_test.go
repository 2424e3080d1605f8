package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/client"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/memory"
	"github.com/slopstudios/slop/stdlib/echo"
	"github.com/slopstudios/slop/stdlib/flows"
	"github.com/slopstudios/slop/stdlib/human"
)

type world struct {
	t      *testing.T
	url    string
	store  store.Store
	client *client.Client
	scope  *agent.Registry
}

// newWorld is a server and its client, with between them whatever is put there.
func newWorld(t *testing.T, between func(http.Handler) http.Handler) *world {
	t.Helper()
	w := &world{t: t, store: memory.New(), scope: agent.NewRegistry()}
	for name, a := range map[string]agent.Agent{"echo": echo.New(), "human": human.New()} {
		if err := w.scope.Register(name, a, nil); err != nil {
			t.Fatal(err)
		}
	}
	e := engine.New(engine.Config{Store: w.store, Registry: w.scope, Pool: "server"})
	api := server.New(server.Config{Host: e, Store: w.store, Registry: w.scope, Load: flows.Load, Options: run.Options{Pool: "server"}})
	var handler http.Handler = api
	if between != nil {
		handler = between(api)
	}
	web := httptest.NewServer(handler)
	w.url = web.URL
	var err error
	if w.client, err = client.New(web.URL, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := errors.Join(api.Close(ctx), e.Close(ctx)); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return w
}

func (w *world) plan(script string) *plan.Plan {
	w.t.Helper()
	p, diags := lang.Compile(source.NewFile("x.slop", script), w.scope.Scope())
	if p == nil || diags.HasErrors() {
		w.t.Fatal(diags)
	}
	return p
}

// A client is a runs.Runs like an engine.
func TestRunsOverHTTP(t *testing.T) {
	w := newWorld(t, nil)
	p := w.plan("input who: string\nok = human.approve \"<<who>>?\"\nrequire ok == \"yes\" else \"no\"\noutput echo \"hi <<who>>\"")
	if _, err := w.client.Start(t.Context(), p, nil, run.Options{}); !errors.Is(err, runs.ErrInput) {
		t.Errorf("without its input: %v", err)
	}
	id, err := w.client.Start(t.Context(), p, map[string]any{"who": "sea"}, run.Options{Tags: []string{"a"}, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Pause(t.Context(), id, "", "lunch"); err != nil {
		t.Error(err)
	}
	if err := w.client.Resume(t.Context(), id, "", ""); err != nil {
		t.Error(err)
	}
	if err := w.client.Answer(t.Context(), id, "ok", "maybe", ""); !errors.Is(err, runs.ErrAnswer) {
		t.Errorf("an answer that does not fit: %v", err)
	}
	if err := w.client.Answer(t.Context(), id, "ok", runs.Because("yes", "why not"), ""); err != nil {
		t.Error(err)
	}
	if end, err := w.client.Wait(t.Context(), id); err != nil || end.Value != "hi sea" || end.Status != run.Succeeded {
		t.Errorf("it ended with %+v, %v", end, err)
	}
	if err := w.client.Answer(t.Context(), id, "ok", "yes", ""); !errors.Is(err, runs.ErrAnswered) && !errors.Is(err, runs.ErrFinished) {
		t.Errorf("a second answer: %v", err)
	}
	if err := w.client.Cancel(t.Context(), id, "", ""); !errors.Is(err, runs.ErrFinished) {
		t.Errorf("to cancel what is finished: %v", err)
	}
	if _, err := w.client.Run(t.Context(), "none"); !errors.Is(err, runs.ErrNotFound) {
		t.Errorf("an unknown run: %v", err)
	}
	entries, _, err := w.client.List(t.Context(), store.Filter{Tag: "a"})
	if err != nil || len(entries) != 1 || entries[0].ID != id {
		t.Errorf("the list is %v, %v", entries, err)
	}
	w.sameLog(w.client, id)
}

// sameLog watches a run to its end and compares what came with what is stored.
func (w *world) sameLog(c *client.Client, id run.ID) {
	w.t.Helper()
	var got []string
	for e, err := range c.Watch(w.t.Context(), id, 0) {
		if err != nil {
			w.t.Errorf("after %d facts: %v", len(got), err)
			return
		}
		if e.Fact != nil {
			text, _ := run.EncodeFact(*e.Fact)
			got = append(got, string(text))
		}
	}
	facts, err := w.store.Load(w.t.Context(), id, 0)
	if err != nil {
		w.t.Error(err)
		return
	}
	var want []string
	for _, f := range facts {
		text, _ := run.EncodeFact(f)
		want = append(want, string(text))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Error(diff)
	}
}

// breaking cuts answers off after a while.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) > b.left {
		_, _ = b.ResponseWriter.Write(p[:b.left])
		_ = http.NewResponseController(b.ResponseWriter).Flush()
		b.left = 0
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

func (b *breaking) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// Clients whose connections break at random each rebuild the exact log.
func TestWhoComesAgainMissesNothing(t *testing.T) {
	clients, steps := 20, 60
	if os.Getenv("SLOP_LONG") == "1" {
		clients, steps = 200, 1000
	}
	w := newWorld(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept") == "text/event-stream" {
				w = &breaking{w, 1000 + rand.IntN(20_000)}
			}
			next.ServeHTTP(w, r)
		})
	})
	p := w.plan(fmt.Sprintf("xs = map i in 1..%d limit 4 { echo \"<<i>>\" }\nok = human.approve \"Go?\"\nrequire ok == \"yes\" else \"no\"\noutput len(xs)", steps))
	id, err := w.client.Start(t.Context(), p, nil, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			c, err := client.New(w.url, "")
			if err != nil {
				t.Error(err)
				return
			}
			w.sameLog(c, id)
		})
	}
	time.Sleep(100 * time.Millisecond) // some are there before the end and some are not
	if err := w.client.Answer(t.Context(), id, "ok", "yes", ""); err != nil {
		t.Error(err)
	}
	group.Wait()
}

// A wrong address, a server that is no SLOP server and one that is not there are said as such.
func TestWhatIsNoServer(t *testing.T) {
	for _, address := range []string{"", "localhost:7070", "ftp://x", "http://user:secret@x"} {
		if _, err := client.New(address, ""); err == nil {
			t.Errorf("%q is taken for a server", address)
		}
	}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); _, _ = io.WriteString(w, "<html>") }))
	c, _ := client.New(other.URL, "")
	var p *client.Problem
	if _, err := c.Run(t.Context(), "x"); !errors.As(err, &p) || p.Code != "" || errors.Is(err, runs.ErrNotFound) {
		t.Errorf("another server: %v", err)
	}
	other.Close()
	if _, err := c.Run(t.Context(), "x"); !errors.Is(err, runs.ErrUnavailable) {
		t.Errorf("no server: %v", err)
	}
}
