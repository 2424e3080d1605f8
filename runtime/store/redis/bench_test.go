package redis_test

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/redis"
	"github.com/slopstudios/slop/runtime/store/redis/redistest"
)

// BenchmarkAppend appends one fact a call, from one caller and from 64 with a run each; beside it, XADD of the same bytes by the same driver, which checks nothing.
func BenchmarkAppend(b *testing.B) {
	text := strings.Repeat("x", 120)
	for name, args := range map[string][]string{"everysec": redistest.Everysec, "always": redistest.Always} {
		server := redistest.Start(b, args...)
		s := open(b, redis.Config{URL: server.URL(), Prefix: "p"})
		raw := goredis.NewClient(&goredis.Options{Addr: server.Addr(), PoolSize: 64})
		for _, callers := range []int{1, 64} {
			leases, heads := make([]run.Lease, callers), make([]run.Seq, callers)
			for i := range callers {
				leases[i], heads[i] = create(b, s, run.ID(fmt.Sprint(name, callers, " ", i)), "me", 0), 1
			}
			fact, err := run.EncodeFact(fired(1000, text))
			must(b, err)
			b.Run(fmt.Sprint(name, "/", callers, "/append"), func(b *testing.B) {
				share(b, callers, func(caller int) error {
					heads[caller]++
					return s.Append(b.Context(), leases[caller], heads[caller]-1, fired(heads[caller], text))
				})
			})
			b.Run(fmt.Sprint(name, "/", callers, "/xadd"), func(b *testing.B) {
				share(b, callers, func(caller int) error {
					return raw.XAdd(b.Context(), &goredis.XAddArgs{Stream: fmt.Sprint("raw", callers, caller), Values: []any{"f", fact}}).Err()
				})
			})
		}
		must(b, raw.Close())
		must(b, s.Close())
	}
}

// share lets callers make b.N calls together.
func share(b *testing.B, callers int, do func(caller int) error) {
	b.Helper()
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for i := caller; i < b.N; i += callers {
				if err := do(caller); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "facts/s")
}

// BenchmarkLoad reads a log of 10,000 facts, decoded.
func BenchmarkLoad(b *testing.B) {
	const facts = 10000
	server := redistest.Start(b, redistest.Everysec...)
	s := open(b, redis.Config{URL: server.URL()})
	defer func() { _ = s.Close() }()
	lease := create(b, s, "r", "me", 0)
	for head := run.Seq(1); head < facts; head += 100 {
		var batch []run.Fact
		for i := range run.Seq(100) {
			batch = append(batch, fired(head+i+1, "a timer"))
		}
		must(b, s.Append(b.Context(), lease, head, batch...))
	}
	for b.Loop() {
		if got, err := s.Load(b.Context(), "r", 0); err != nil || len(got) < facts {
			b.Fatal(len(got), err)
		}
	}
	b.ReportMetric(float64(b.N*facts)/b.Elapsed().Seconds(), "facts/s")
}

// BenchmarkLapsed looks for lapsed leases where 10,000 runs wait for people and 100 are at work. Its yardstick looks through all unfinished runs;
// what counts is how long the server works at it.
func BenchmarkLapsed(b *testing.B) {
	const resting, working, leases = 10_000, 100, "p:{x/0}:leases"
	server := redistest.Start(b, redistest.Everysec...)
	s := open(b, redis.Config{URL: server.URL(), Prefix: "p"})
	defer func() { _ = s.Close() }()
	var group errgroup.Group
	group.SetLimit(64)
	for i := range resting + working {
		group.Go(func() error {
			id := run.ID(fmt.Sprint("r", i))
			lease, err := s.Create(b.Context(), id, "me", time.Hour, run.Fact{Seq: 1, At: at, Body: &run.Started{Options: run.Options{Pool: pool}}})
			if err == nil && i < resting {
				err = s.Rest(b.Context(), lease, 1, time.Time{})
			}
			return err
		})
	}
	must(b, group.Wait())
	for i := range resting { // their leases are long over
		server.Do("HSET", leases, fmt.Sprint("r", i), "2 me")
	}
	count := func(look iter.Seq2[store.Hint, error]) (n int) {
		for _, err := range look {
			must(b, err)
			n++
		}
		return n
	}
	count(s.Strays(b.Context(), pool))                                                                  // the first looks through the logs too
	if n := count(s.Lapsed(b.Context(), pool)); n != 0 || server.Do("HLEN", leases) != int64(working) { // looks at each of them once
		b.Fatalf("%d lapsed, %v left", n, server.Do("HLEN", leases))
	}
	spent := func(look func(context.Context, string) iter.Seq2[store.Hint, error]) float64 {
		was := busy(server)
		count(look(b.Context(), pool))
		return busy(server) - was
	}
	var short, full float64
	for b.Loop() {
		short += spent(s.Lapsed)
		b.StopTimer()
		full += spent(s.Strays)
		b.StartTimer()
	}
	b.ReportMetric(short/full, "x-strays")
	b.ReportMetric(full/1000/float64(b.N), "ms-strays")
	b.ReportMetric(short/1000/float64(b.N), "ms-lapsed")
}

// busy is how long a server ran scripts, in microseconds.
func busy(server *redistest.Server) float64 {
	text, _ := server.Do("INFO", "commandstats").(string)
	_, text, _ = strings.Cut(text, "cmdstat_evalsha:")
	_, text, _ = strings.Cut(text, "usec=")
	text, _, _ = strings.Cut(text, ",")
	n, _ := strconv.ParseFloat(text, 64)
	return n
}
