package redis_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/redis"
	"github.com/slopstudios/slop/runtime/store/redis/redistest"
	"github.com/slopstudios/slop/runtime/store/storetest"
)

var prefixes atomic.Int64

// open gives an empty store on a server: under a prefix of its own.
func open(t testing.TB, conf redis.Config) *redis.Store {
	t.Helper()
	if conf.Prefix == "" {
		conf.Prefix = fmt.Sprintf("t%d", prefixes.Add(1))
	}
	if conf.Warn == nil {
		conf.Warn = func(text string) { t.Errorf("warned: %s", text) }
	}
	s, err := redis.Open(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, redis.Config{URL: server.URL()}) })
}

func TestStoreWithShards(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, redis.Config{URL: server.URL(), Shards: 3}) })
}

func TestStoreStrict(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Always...)
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, redis.Config{URL: server.URL(), Durability: redis.Strict})
	})
}

func TestStoreInACluster(t *testing.T) {
	t.Parallel()
	servers := redistest.Cluster(t, 3, redistest.Everysec...)
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, redis.Config{URL: "redis+cluster://" + servers[0].Addr()})
	})
}
