package redis_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slopstudios/slop/runtime/run"
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
