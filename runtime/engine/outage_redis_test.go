package engine_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/run/invariant"
	"github.com/slopstudios/slop/runtime/store/redis"
	"github.com/slopstudios/slop/runtime/store/redis/redistest"
	"github.com/slopstudios/slop/stdlib/contexts"
)

// A Redis is killed in the midst of a run and comes back, with all it had and with a log that lost its end. The run thinks on meanwhile, does nothing, and ends as
// if nothing had been: nothing is called twice, and what was seen with a seq is the history. SLOP_LONG=1 keeps it away for 30 s, which is longer than the lease.
func TestRedisIsKilledInTheMidstOfARun(t *testing.T) {
	away := 2500 * time.Millisecond
	if os.Getenv("SLOP_LONG") != "" {
		away = 30 * time.Second
	}
	for name, shorter := range map[string]bool{"with all it had": false, "with a shorter log": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.Always...)
			s, err := redis.Open(t.Context(), redis.Config{URL: server.URL()})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()

			w := newWorld(t)
			var mu sync.Mutex
			var calls []string
			var kept int64 // bytes of its file
			down := false
			held, release := make(chan struct{}), make(chan struct{})
			call := func(_ context.Context, c *agent.Call) agent.Reply {
				mu.Lock()
				calls = append(calls, fmt.Sprint(c.Text))
				if c.Callee.Name == "do" && down {
					t.Error("the deed began while the server was away")
				}
				if c.Text == "first" {
					kept = sizeOf(t, server)
				}
				mu.Unlock()
				if c.Text == "held" {
					close(held)
					<-release
				}
				return agent.Reply{Value: fmt.Sprintf("%v!", c.Text)}
			}
			w.model("think", call)
			w.doer("do", call)
			w.add("memory", contexts.New())
			p := w.plan("first = think \"first\"\nn = memory.add(path: \"n\", by: 2, scope: \"shared\") after first\nheld = think \"held\" after n\nmore = map i in 1..3 limit 1 { m = think \"<<held>> <<i>>\" }\nd = do \"d\" after more\nsum = memory.get(path: \"n\", scope: \"shared\") after d\noutput [d, len(more), sum]")
			e := engine.New(engine.Config{Registry: w.registry, Store: s, Forgets: true, Lease: engine.DefaultLease, Owner: "first", Pool: "p"})
			defer shut(t, e)
			id := start(t, e, p, run.Options{})
			<-held
			seen, err := s.Load(t.Context(), id, 0)
			if err != nil {
				t.Fatal(err)
			}

			mu.Lock()
			down = true
			mu.Unlock()
			server.Kill()
			if shorter {
				if err := os.Truncate(server.Files()[0], kept+10); err != nil { // in the midst of a write
					t.Fatal(err)
				}
			}
			close(release)
			<-time.After(away)
			mu.Lock()
			during := slices.Clone(calls)
			down = false
			mu.Unlock()
			if want := []string{"first", "held", "held! 1", "held! 2", "held! 3"}; !slices.Equal(during, want) {
				t.Errorf("while the server was away: %q", during)
			}
			if o := e.Outage(); o.Since.IsZero() || o.Facts == 0 {
				t.Errorf("while the server was away: %+v", o)
			}
			server.Restart()
			if end := wait(t, e, id); fmt.Sprint(end.Value) != "[d! 3 2]" {
				t.Errorf("it ended with %+v, %v", end, end.Error)
			}
			if len(calls) != 6 {
				t.Errorf("in all %q were called", calls)
			}
			facts, err := s.Load(t.Context(), id, 0)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range seen {
				if facts[i].String() != f.String() || !facts[i].At.Equal(f.At) {
					t.Errorf("fact %d was %s and is %s", i+1, f, facts[i])
				}
			}
			for _, broken := range invariant.Check(p, facts) {
				t.Errorf("invariant: %s", broken)
			}
		})
	}
}

func sizeOf(t *testing.T, server *redistest.Server) int64 {
	info, err := os.Stat(server.Files()[0])
	if err != nil {
		t.Error(err)
		return 0
	}
	return info.Size()
}

// A process on another machine dies: nothing tells so but the end of its lease. Another worker has its run within five seconds of that, with the priority that it
// was started with. SLOP_LONG=1 has the usual lease.
func TestTakeoverOnRedis(t *testing.T) {
	t.Parallel()
	lease := time.Second
	if os.Getenv("SLOP_LONG") != "" {
		lease = engine.DefaultLease
	}
	server := redistest.Start(t, redistest.Everysec...)
	proxy := redistest.NewProxy(t, server)
	open := func(url string) *redis.Store {
		s, err := redis.Open(t.Context(), redis.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	w := newWorld(t)
	began := make(chan time.Time, 2)
	w.model("think", func(ctx context.Context, c *agent.Call) agent.Reply {
		began <- time.Now()
		if c.Attempt == 1 {
			<-ctx.Done()
		}
		return agent.Reply{Value: "x"}
	})
	first := engine.New(engine.Config{Registry: w.registry, Store: open(proxy.URL()), Lease: lease, Owner: "first", Pool: "server", Shared: true})
	second := engine.New(engine.Config{Registry: w.registry, Store: open(server.URL()), Lease: lease, Owner: "second", Pool: "server", Shared: true})
	defer shut(t, second)
	defer employ(t, second)()
	id := start(t, first, w.plan(`output think "x"`), run.Options{Priority: 7})
	<-began
	died := time.Now()
	proxy.Allow(0)
	proxy.Cut()
	taken := (<-began).Sub(died)
	if taken > lease+5*time.Second {
		t.Errorf("it was taken over after %s", taken)
	}
	t.Logf("with a lease of %s it was taken over after %s", lease, taken)
	if end := wait(t, second, id); end.Value != "x" {
		t.Errorf("it ended with %+v", end)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_ = first.Close(ctx) // nothing that it says arrives
}
