package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// greet looks at the server behind a new connection before anything is sent over it. An error refuses the connection, so that a server which comes back with less than
// was promised is not used.
func (s *Store) greet(ctx context.Context, cn *goredis.Conn) error {
	text, err := cn.Info(ctx).Result()
	if err != nil { // not wrapped: of an error of the server the driver shows the innermost alone
		return fmt.Errorf("look at the server (its user needs +info): %v", err)
	}
	info := parseInfo(text)
	if err := s.judge(ctx, cn, info); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := info["run_id"]; !s.servers[id] {
		s.servers[id] = true
		s.rescan.Store(true)
		for _, w := range volatile(info) {
			s.conf.Warn("redis: " + w)
		}
	}
	return nil
}

func (s *Store) judge(ctx context.Context, cn *goredis.Conn, info map[string]string) error {
	if !atLeast(info["redis_version"], minMajor, minMinor) {
		return fmt.Errorf("the server is Redis %s, and %d.%d or newer is needed", info["redis_version"], minMajor, minMinor)
	}
	if s.single != nil && info["role"] == "slave" {
		return errors.New("the server is a replica: connect to its primary, or through its sentinels with redis+sentinel://")
	}
	if s.conf.Durability != Strict {
		return nil
	}
	const not = "durability strict cannot be kept: "
	set, err := cn.ConfigGet(ctx, "append*").Result()
	if err != nil {
		return fmt.Errorf(not+"the server does not show its configuration (its user needs +config|get): %v", err)
	}
	if set["appendonly"] != "yes" || set["appendfsync"] != "always" {
		return fmt.Errorf(not+"the server has appendonly %q and appendfsync %q: set appendonly yes and appendfsync always", set["appendonly"], set["appendfsync"])
	}
	if evicts(info) {
		return fmt.Errorf(not+"the server evicts keys (maxmemory-policy %s): set maxmemory-policy noeviction", info["maxmemory_policy"])
	}
	if info["role"] == "slave" { // of a cluster: nothing is written there
		return nil
	}
	need := s.need(info)
	if need > 0 && !atLeast(info["redis_version"], 7, 2) {
		return fmt.Errorf(not+"the server has replicas, and Redis %s cannot wait for their disks: use 7.2 or newer, or no replicas", info["redis_version"])
	}
	s.replicas.Store(int32(need))
	return nil
}

// need is how many replicas of a server must confirm.
func (s *Store) need(info map[string]string) int {
	if s.conf.Replicas > 0 {
		return s.conf.Replicas
	}
	n, _ := strconv.Atoi(info["connected_slaves"])
	return min(n, 1)
}

// volatile lists what in a configuration may lose what was acknowledged.
func volatile(info map[string]string) []string {
	var out []string
	if info["aof_enabled"] == "0" {
		out = append(out, "the server keeps no append-only file: when it stops, acknowledged runs and answers are lost. Set appendonly yes")
	}
	if evicts(info) {
		out = append(out, "the server evicts keys when its memory is full (maxmemory-policy "+info["maxmemory_policy"]+"): runs may vanish. Set maxmemory-policy noeviction")
	}
	return out
}

func evicts(info map[string]string) bool {
	policy := info["maxmemory_policy"]
	return info["maxmemory"] != "" && info["maxmemory"] != "0" && policy != "" && policy != "noeviction"
}

func parseInfo(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[k] = v
		}
	}
	return info
}

func atLeast(version string, major, minor int) bool {
	a, rest, _ := strings.Cut(version, ".")
	b, _, _ := strings.Cut(rest, ".")
	x, err1 := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	return err1 == nil && err2 == nil && (x > major || x == major && y >= minor)
}
