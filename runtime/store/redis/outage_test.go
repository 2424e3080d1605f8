package redis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/redis"
	"github.com/slopstudios/slop/runtime/store/redis/redistest"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func started() run.Fact { return run.Fact{Seq: 1, At: at, Body: &run.Started{Plan: "p"}} }

func fired(seq run.Seq, timer string) run.Fact {
	return run.Fact{Seq: seq, At: at, Body: &run.TimerFired{Timer: timer}}
}

func pause(by string) run.Fact { return run.Fact{At: at, Body: &run.PauseAsked{By: by}} }

func create(t testing.TB, s store.Store, id run.ID, owner string, ttl time.Duration) run.Lease {
	t.Helper()
	l, err := s.Create(t.Context(), id, owner, ttl, started())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

// timers lists what a log holds, to compare it as a whole.
func timers(t testing.TB, s store.Store, id run.ID) string {
	t.Helper()
	facts, err := s.Load(t.Context(), id, 0)
	must(t, err)
	var out []string
	for i, f := range facts {
		if f.Seq != run.Seq(i+1) {
			t.Errorf("fact %d is numbered %d", i+1, f.Seq)
		}
		switch b := f.Body.(type) {
		case *run.TimerFired:
			out = append(out, b.Timer)
		case *run.PauseAsked:
			out = append(out, b.By)
		default:
			out = append(out, f.Kind())
		}
	}
	return strings.Join(out, " ")
}

// eventually repeats something until it succeeds; what it waits for is bounded by the client's redialling.
func eventually(t testing.TB, what string, do func() error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// While the server is away every call fails, and says so; when it is back the same store goes on, and so does who listens.
func TestOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Always...)
	s := open(t, redis.Config{URL: server.URL()})
	defer func() { _ = s.Close() }()
	lease := create(t, s, "r", "me", 0)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tail := make(chan run.Seq)
	go func() {
		defer close(tail)
		for f, err := range s.Tail(ctx, "r", 1) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("the tail broke: %v", err)
				}
				return
			}
			tail <- f.Seq
		}
	}()
	told := make(chan run.ID)
	go func() {
		for id, err := range s.Told(ctx) {
			if err != nil {
				t.Errorf("told: %v", err)
			}
			select {
			case told <- id:
			case <-ctx.Done():
				return
			}
		}
	}()
	if id := <-told; id != "" {
		t.Errorf("heard %q before anything was told", id)
	}
	must(t, s.Append(ctx, lease, 1, fired(2, "a")))
	if seq := <-tail; seq != 2 {
		t.Errorf("the tail gave %d", seq)
	}

	server.Kill()
	for what, call := range map[string]func() error{
		"append":  func() error { return s.Append(ctx, lease, 2, fired(3, "lost")) },
		"create":  func() error { _, err := s.Create(ctx, "q", "me", 0, started()); return err },
		"tell":    func() error { _, err := s.Tell(ctx, "r", pause("lost"), ""); return err },
		"claim":   func() error { _, err := s.Claim(ctx, "r", "me", 0); return err },
		"load":    func() error { _, err := s.Load(ctx, "r", 0); return err },
		"enqueue": func() error { return s.Enqueue(ctx, store.Hint{Run: "r"}) },
		"dequeue": func() error { _, _, _, err := s.Dequeue(ctx, ""); return err },
		"blob":    func() error { _, err := s.PutBlob(ctx, []byte("x")); return err },
		"doc":     func() error { return s.PutDoc(ctx, "k", "n", 0, nil) },
		"list":    func() error { _, _, err := s.List(ctx, store.Filter{}); return err },
		"slot":    func() error { _, err := s.Take(ctx, "n", "h", 1, time.Minute); return err },
	} {
		err := call()
		if err == nil {
			t.Errorf("%s succeeded without a server", what)
		}
		for _, sentinel := range []error{store.ErrConflict, store.ErrFenced, store.ErrNotFound, store.ErrFinished, store.ErrHeld} {
			if errors.Is(err, sentinel) {
				t.Errorf("%s without a server says %v, as if it had been judged", what, err)
			}
		}
	}
	server.Restart()
	eventually(t, "append after the outage", func() error { return s.Append(ctx, lease, 2, fired(3, "b")) })
	if seq := <-tail; seq != 3 {
		t.Errorf("after the outage the tail gave %d", seq)
	}
	if id := <-told; id != "" {
		t.Errorf("after the outage the listener heard %q first, not that it may have missed something", id)
	}
	_, err := s.Tell(ctx, "r", pause("c"), "")
	must(t, err)
	if id := <-told; id != "r" {
		t.Errorf("heard %q", id)
	}
	<-tail
	cancel()
	for range tail {
	}
	if got := timers(t, s, "r"); got != "started a b c" {
		t.Errorf("the log holds %s", got)
	}
}

// cut takes the last bytes of the append-only file away, as a crash does with what was not yet on disk.
func cut(t *testing.T, server *redistest.Server, size int64) {
	t.Helper()
	files := server.Files()
	if len(files) != 1 {
		t.Fatalf("append-only files: %v", files)
	}
	must(t, os.Truncate(files[0], size))
}

func size(t *testing.T, server *redistest.Server) int64 {
	t.Helper()
	info, err := os.Stat(server.Files()[0])
	must(t, err)
	return info.Size()
}

// A log that came back shorter is recognised: its holder hears of a conflict, can write again what was lost, and no fact stands where another was.
func TestShorterLog(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Always...)
	s := open(t, redis.Config{URL: server.URL()})
	defer func() { _ = s.Close() }()
	lease := create(t, s, "r", "me", 0)
	must(t, s.Append(t.Context(), lease, 1, fired(2, "a")))
	kept := size(t, server)
	must(t, s.Append(t.Context(), lease, 2, fired(3, "b"), fired(4, "c")))
	must(t, s.Append(t.Context(), lease, 4, fired(5, "d")))

	server.Kill()
	cut(t, server, kept+10) // in the midst of a write
	server.Restart()
	var err error
	eventually(t, "an answer after the outage", func() error {
		err = s.Append(t.Context(), lease, 5, fired(6, "e"))
		if errors.Is(err, store.ErrConflict) || err == nil {
			return nil
		}
		return err
	})
	want(t, "append after what was lost", err, store.ErrConflict)
	if got := timers(t, s, "r"); got != "started a" {
		t.Errorf("the log holds %s", got)
	}
	must(t, s.Append(t.Context(), lease, 2, fired(3, "b"), fired(4, "c"), fired(5, "d"))) // the holder kept them
	must(t, s.Append(t.Context(), lease, 5, fired(6, "e")))
	if got := timers(t, s, "r"); got != "started a b c d e" {
		t.Errorf("the log holds %s", got)
	}
}

// A log that came back shorter and was told as much as it had lost has the length that its holder expects, and not the facts: the holder is fenced.
func TestShorterLogThatGrewAgain(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]func(*testing.T, store.Store, run.Lease){
		"what was lost was appended": func(t *testing.T, s store.Store, lease run.Lease) {
			must(t, s.Append(t.Context(), lease, 2, fired(3, "lost")))
		},
		"what was lost was told and read": func(t *testing.T, s store.Store, _ run.Lease) {
			_, err := s.Tell(t.Context(), "r", pause("lost"), "")
			must(t, err)
			_, err = s.Load(t.Context(), "r", 2)
			must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, redistest.Always...)
			holder := open(t, redis.Config{URL: server.URL(), Prefix: "p"})
			defer func() { _ = holder.Close() }()
			lease := create(t, holder, "r", "me", 0)
			must(t, holder.Append(t.Context(), lease, 1, fired(2, "a")))
			kept := size(t, server)
			lost(t, holder, lease)
			server.Kill()
			cut(t, server, kept)
			server.Restart()

			other := open(t, redis.Config{URL: server.URL(), Prefix: "p"})
			defer func() { _ = other.Close() }()
			seq, err := other.Tell(t.Context(), "r", pause("told"), "")
			if err != nil || seq != 3 {
				t.Fatalf("told at %d, %v", seq, err)
			}
			eventually(t, "an answer after the outage", func() error {
				err = holder.Append(t.Context(), lease, 3, fired(4, "b"))
				if errors.Is(err, store.ErrFenced) || err == nil {
					return nil
				}
				return err
			})
			want(t, "append after another fact than the holder had seen", err, store.ErrFenced)
			if got := timers(t, holder, "r"); got != "started a told" {
				t.Errorf("the log holds %s", got)
			}
			fresh, err := holder.Claim(t.Context(), "r", "me", 0)
			must(t, err)
			must(t, holder.Append(t.Context(), fresh, 3, fired(4, "b")))
		})
	}
}

// A call whose answer was lost is made again by the client, and what it did the first time counts once.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	proxy := redistest.NewProxy(t, server)
	s := open(t, redis.Config{URL: proxy.URL()})
	defer func() { _ = s.Close() }()
	ctx := t.Context()
	lose := func(what string, do func() error) {
		t.Helper()
		before := proxy.Lost()
		proxy.Lose()
		if err := do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if proxy.Lost() != before+1 {
			t.Errorf("%s: no answer was lost", what)
		}
	}
	// Create makes two calls: with the run known to be announced, the one that is lost is the log's.
	var lease run.Lease
	lose("create", func() (err error) { lease, err = s.Create(ctx, "r", "me", 0, started()); return err })
	lose("append", func() error { return s.Append(ctx, lease, 1, fired(2, "a"), fired(3, "b")) })
	var seq run.Seq
	lose("tell", func() (err error) { seq, err = s.Tell(ctx, "r", pause("c"), ""); return err })
	if seq != 4 {
		t.Errorf("told at %d", seq)
	}
	lose("tell with a key", func() (err error) { seq, err = s.Tell(ctx, "r", pause("d"), "k"); return err })
	if seq != 5 {
		t.Errorf("told at %d", seq)
	}
	lose("extend", func() (err error) { lease, err = s.Extend(ctx, lease, time.Hour); return err })
	lose("document", func() error { return s.PutDoc(ctx, "k", "n", 0, []byte("x")) })
	lose("blob", func() error { _, err := s.PutBlob(ctx, []byte("x")); return err })
	lose("rest", func() error { return s.Rest(ctx, lease, 5, time.Now().Add(time.Hour)) })
	lose("claim", func() (err error) { lease, err = s.Claim(ctx, "r", "me", 0); return err })
	lose("the last append", func() error {
		return s.Append(ctx, lease, 5, run.Fact{Seq: 6, At: at, Body: &run.Finished{Status: run.Succeeded}})
	})
	if got := timers(t, s, "r"); got != "started a b c d finished" {
		t.Errorf("the log holds %s", got)
	}
}

// Two processes and one run: whoever lets its lease lapse, or is known to be dead, is followed by the other and can write no more.
func TestTakeover(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	dead := map[string]bool{}
	a := open(t, redis.Config{URL: server.URL(), Prefix: "p"})
	defer func() { _ = a.Close() }()
	b := open(t, redis.Config{URL: server.URL(), Prefix: "p", Dead: func(owner string) bool { return dead[owner] }})
	defer func() { _ = b.Close() }()
	ctx := t.Context()

	t.Run("a lease that lapses", func(t *testing.T) {
		old := create(t, a, "lapses", "a", 50*time.Millisecond)
		var lease run.Lease
		eventually(t, "claim", func() (err error) { lease, err = b.Claim(ctx, "lapses", "b", time.Hour); return err })
		if lease.Token <= old.Token {
			t.Errorf("the token went from %d to %d", old.Token, lease.Token)
		}
		want(t, "append of the former holder", a.Append(ctx, old, 1, fired(2, "a")), store.ErrFenced)
		_, err := a.Extend(ctx, old, time.Hour)
		want(t, "extend of the former holder", err, store.ErrFenced)
		want(t, "rest of the former holder", a.Rest(ctx, old, 1, time.Time{}), store.ErrFenced)
		must(t, b.Append(ctx, lease, 1, fired(2, "b")))
		if got := timers(t, a, "lapses"); got != "started b" {
			t.Errorf("the log holds %s", got)
		}
	})
	t.Run("a holder that died", func(t *testing.T) {
		old := create(t, a, "dies", "a", 0)
		_, err := b.Claim(ctx, "dies", "b", time.Hour)
		want(t, "claim of a run whose holder lives", err, store.ErrHeld)
		dead["a"] = true
		if owner, err := b.Holder(ctx, "dies"); err != nil || owner != "" {
			t.Errorf("a dead one holds it: %q, %v", owner, err)
		}
		found := false
		for id, err := range store.Named(b.Strays(ctx, "")) {
			must(t, err)
			found = found || id == "dies"
		}
		if !found {
			t.Error("the run of a dead holder is no stray")
		}
		lease, err := b.Claim(ctx, "dies", "b", time.Hour)
		must(t, err)
		want(t, "append of the dead", a.Append(ctx, old, 1, fired(2, "a")), store.ErrFenced)
		must(t, b.Append(ctx, lease, 1, fired(2, "b")))
	})
}

// What is derived may be lost with the last seconds of a server, before or without the logs: after a start it is made again from them.
func TestDerivedIsMadeAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	s := open(t, redis.Config{URL: server.URL(), Prefix: "p"})
	lease, err := s.Create(t.Context(), "a{b}", "me", 0, run.Fact{Seq: 1, At: at, Body: &run.Started{Options: run.Options{Pool: "x"}}})
	must(t, err)
	must(t, s.Release(t.Context(), lease))
	must(t, s.PutEntries(t.Context(), store.Entry{Run: "a{b}", Status: run.Running, Started: at, Seq: 1}))
	must(t, s.Close())
	for _, key := range []string{"p:{x/0}:open", "p:{x/0}:leases", "p:pools", "p:{index}:all", "p:{index}:open"} {
		if n := server.Do("DEL", key); n != int64(1) {
			t.Errorf("%s was not there", key)
		}
	}
	s = open(t, redis.Config{URL: server.URL(), Prefix: "p"})
	defer func() { _ = s.Close() }()
	var strays []run.ID
	for id, err := range store.Named(s.Strays(t.Context(), "x")) {
		must(t, err)
		strays = append(strays, id)
	}
	if fmt.Sprint(strays) != "[a{b}]" {
		t.Errorf("strays: %v", strays)
	}
	for id, err := range store.Named(s.Lapsed(t.Context(), "x")) {
		must(t, err)
		strays = append(strays, id)
	}
	if fmt.Sprint(strays) != "[a{b} a{b}]" {
		t.Errorf("strays and lapsed: %v", strays)
	}
	entries, _, err := s.List(t.Context(), store.Filter{Status: []run.Status{run.Running}})
	if err != nil || len(entries) != 1 {
		t.Errorf("entries: %v, %v", entries, err)
	}
}

// Who looks for lapsed leases asks once for each run that began to rest, and after that for none.
func TestLapsedAsksForNoRunThatRests(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	s := open(t, redis.Config{URL: server.URL(), Prefix: "p"})
	defer func() { _ = s.Close() }()
	const runs = 20
	for i := range runs {
		id := run.ID(fmt.Sprint("r", i))
		lease, err := s.Create(t.Context(), id, "me", time.Hour, run.Fact{Seq: 1, At: at, Body: &run.Started{Options: run.Options{Pool: "x"}}})
		must(t, err)
		must(t, s.Rest(t.Context(), lease, 1, time.Time{}))
		server.Do("HSET", "p:{x/0}:leases", string(id), "2 me") // an hour later
	}
	look := func() (scripts int) {
		server.Do("CONFIG", "RESETSTAT")
		for h, err := range s.Lapsed(t.Context(), "x") {
			t.Errorf("%+v lapsed, %v", h, err)
		}
		text, _ := server.Do("INFO", "commandstats").(string)
		_, text, _ = strings.Cut(text, "cmdstat_evalsha:calls=")
		text, _, _ = strings.Cut(text, ",")
		scripts, err := strconv.Atoi(text)
		must(t, err)
		return scripts
	}
	look()
	if n := look(); n != 1 {
		t.Errorf("it takes %d scripts to see that %d runs rest", n, runs)
	}
}

// A run that was announced and never created, and one whose end was not noted, are forgotten by the sweep.
func TestSweepForgetsWhatIsNoRun(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	s := open(t, redis.Config{URL: server.URL(), Prefix: "p"})
	defer func() { _ = s.Close() }()
	lease := create(t, s, "over", "me", 0)
	must(t, s.Append(t.Context(), lease, 1, run.Fact{Seq: 2, At: at, Body: &run.Finished{Status: run.Succeeded}}))
	server.Do("ZADD", "p:{/0}:open", time.Now().UnixMicro(), "soon", time.Now().Add(-time.Hour).UnixMicro(), "never", time.Now().UnixMicro(), "over")
	for id, err := range s.Unfinished(t.Context(), "") {
		t.Errorf("unfinished: %s, %v", id, err)
	}
	if left := fmt.Sprint(server.Do("ZRANGE", "p:{/0}:open", 0, -1)); left != "[soon]" {
		t.Errorf("left: %s", left)
	}
}

// What is not a fact is reported under the name of its run, and the other runs stay readable.
func TestDamage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	s := open(t, redis.Config{URL: server.URL(), Prefix: "p"})
	defer func() { _ = s.Close() }()
	ctx := t.Context()
	for id, entry := range map[run.ID][]any{
		"garbage": {"2-7", "f", "\x00\xff{"},
		"empty":   {"2-7", "g", "x"},
		"gap":     {"3-7", "f", `{"v":1,"seq":3,"at":"2026-01-02T03:04:05Z","kind":"timer_fired","timer":"a"}`},
		"other":   {"2-7", "f", `{"v":1,"seq":9,"at":"2026-01-02T03:04:05Z","kind":"timer_fired","timer":"a"}`},
		"deep":    {"2-7", "f", `{"v":1,"seq":2,"at":"2026-01-02T03:04:05Z","kind":"call_done","value":` + strings.Repeat("[", 1<<20)},
		"later":   {"2-7", "f", `{"v":99,"seq":2,"kind":"timer_fired"}`},
	} {
		create(t, s, id, "me", 0)
		server.Do(append([]any{"XADD", "p:{" + string(id) + "}:log"}, entry...)...)
		_, err := s.Load(ctx, id, 0)
		want(t, string(id), err, store.ErrCorrupt)
		if err != nil && !strings.Contains(err.Error(), string(id)) {
			t.Errorf("%s: %v does not name the run", id, err)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: the error has %d bytes", id, len(err.Error()))
		}
	}
	create(t, s, "sound", "me", 0)
	if got := timers(t, s, "sound"); got != "started" {
		t.Errorf("the log holds %s", got)
	}
	hash, err := s.PutBlob(ctx, []byte("x"))
	must(t, err)
	server.Do("HSET", "p:blob:"+hash, "d", "y")
	_, err = s.GetBlob(ctx, hash)
	want(t, "blob", err, store.ErrCorrupt)
	must(t, s.PutEntries(ctx, store.Entry{Run: "sound", Started: at, Seq: 1}))
	must(t, s.PutEntries(ctx, store.Entry{Run: "gap", Started: at, Seq: 1}))
	server.Do("HSET", "p:{gap}:run", "e", "{")
	entries, _, err := s.List(ctx, store.Filter{})
	if err != nil || len(entries) != 1 || entries[0].Run != "sound" {
		t.Errorf("entries: %v, %v", entries, err)
	}
}

// A finished run stays as long as Keep says; others stay.
func TestKeep(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	s := open(t, redis.Config{URL: server.URL(), Prefix: "p", Keep: time.Hour})
	defer func() { _ = s.Close() }()
	ctx := t.Context()
	lease := create(t, s, "over", "me", 0)
	create(t, s, "runs", "me", 0)
	must(t, s.Append(ctx, lease, 1, run.Fact{Seq: 2, At: at, Body: &run.Finished{Status: run.Succeeded}}))
	must(t, s.PutEntries(ctx, store.Entry{Run: "over", Status: run.Succeeded, Started: at, Seq: 2}))
	for key, expires := range map[string]bool{"p:{over}:run": true, "p:{over}:log": true, "p:{runs}:run": false, "p:{runs}:log": false} {
		if ttl := server.Do("PTTL", key).(int64); (ttl > 0) != expires || ttl > time.Hour.Milliseconds() {
			t.Errorf("%s: PTTL %d", key, ttl)
		}
	}
	server.Do("PEXPIRE", "p:{over}:run", 1)
	server.Do("PEXPIRE", "p:{over}:log", 1)
	eventually(t, "the end of a run", func() error {
		if _, err := s.Load(ctx, "over", 0); !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("it is there: %w", err)
		}
		return nil
	})
	entries, _, err := s.List(ctx, store.Filter{})
	if err != nil || len(entries) != 0 {
		t.Errorf("entries: %v, %v", entries, err)
	}
	if n := server.Do("ZCARD", "p:{index}:all"); n != int64(0) {
		t.Errorf("%v runs are still listed", n)
	}
}
