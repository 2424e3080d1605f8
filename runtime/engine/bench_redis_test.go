package engine_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slopstudios/slop/runtime/engine"
	"github.com/slopstudios/slop/runtime/store/redis"
	"github.com/slopstudios/slop/runtime/store/redis/redistest"
)

// BenchmarkDiamonds1000OnRedis runs 1,000 diamonds at once on a server with appendfsync everysec. Its yardstick stores as many facts of the usual size by XADD, a call
// each, from 64 callers.
func BenchmarkDiamonds1000OnRedis(b *testing.B) {
	const runs, steps, factsOfRun, callers = 1000, 10, 22, 64
	server := redistest.Start(b, redistest.Everysec...)
	s, err := redis.Open(b.Context(), redis.Config{URL: server.URL()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	raw := goredis.NewClient(&goredis.Options{Addr: server.Addr(), PoolSize: callers})
	defer func() { _ = raw.Close() }()

	p, registry := paidDiamond(b)
	fact := strings.Repeat("x", 200)
	var plain time.Duration
	for b.Loop() {
		atOnce(b, engine.Config{Store: s, Registry: registry}, p, runs)

		b.StopTimer()
		var group sync.WaitGroup
		began := time.Now()
		for caller := range callers {
			group.Go(func() {
				for range runs * factsOfRun / callers {
					if err := raw.XAdd(b.Context(), &goredis.XAddArgs{Stream: "raw" + strconv.Itoa(caller), Values: []any{"f", fact}}).Err(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
		plain += time.Since(began)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N*runs*steps)/b.Elapsed().Seconds(), "steps/s")
	b.ReportMetric(b.Elapsed().Seconds()/plain.Seconds(), "x-xadd")
}
