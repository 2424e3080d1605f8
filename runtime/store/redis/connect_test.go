package redis_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/store/redis"
	"github.com/slopstudios/slop/runtime/store/redis/redistest"
)

func refuses(t *testing.T, conf redis.Config, words ...string) {
	t.Helper()
	if conf.Warn == nil {
		conf.Warn = func(string) {}
	}
	s, err := redis.Open(t.Context(), conf)
	if err == nil {
		_ = s.Close()
		t.Error("it was opened")
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a password is in the error: %v", err)
	}
}

// Strict is refused by a server that does not write each answer to its disk first, with the word what to set.
func TestStrictIsChecked(t *testing.T) {
	t.Parallel()
	everysec := redistest.Start(t, redistest.Everysec...)
	refuses(t, redis.Config{URL: everysec.URL(), Durability: redis.Strict}, "set appendonly yes and appendfsync always", `appendfsync "everysec"`)
	none := redistest.Start(t)
	refuses(t, redis.Config{URL: none.URL(), Durability: redis.Strict}, "set appendonly yes")
	evicts := redistest.Start(t, append(slices.Clone(redistest.Always), "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")...)
	refuses(t, redis.Config{URL: evicts.URL(), Durability: redis.Strict}, "set maxmemory-policy noeviction")
	refuses(t, redis.Config{URL: everysec.URL(), Durability: "very"}, `"very"`, `"strict"`)
}

// What was checked when the store was opened is checked again with every new connection.
func TestStrictIsCheckedAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Always...)
	s := open(t, redis.Config{URL: server.URL(), Prefix: "p", Durability: redis.Strict})
	defer func() { _ = s.Close() }()
	lease := create(t, s, "r", "me", 0)
	must(t, s.Append(t.Context(), lease, 1, fired(2, "a")))
	server.Kill()
	server.Restart("--appendfsync", "everysec")
	err := s.Append(t.Context(), lease, 2, fired(3, "b"))
	if err == nil || !strings.Contains(err.Error(), "appendfsync always") {
		t.Errorf("append to a server that came back weaker: %v", err)
	}
	if n := server.Do("XLEN", "p:{r}:log"); n != int64(2) {
		t.Errorf("the log has %v facts", n)
	}
	server.Do("CONFIG", "SET", "appendfsync", "always")
	eventually(t, "append to a server that keeps the promise", func() error { return s.Append(t.Context(), lease, 2, fired(3, "b")) })
	if got := timers(t, s, "r"); got != "started a b" {
		t.Errorf("the log holds %s", got)
	}
}

// A server with replicas must be able to wait for their disks, which Redis 7.0 is not; and a replica is no place to write to.
func TestStrictWithReplicas(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, redistest.Always...)
	replica := redistest.Start(t, append(slices.Clone(redistest.Always), "--replicaof", "127.0.0.1 "+strconv.Itoa(primary.Port))...)
	eventually(t, "a replica", func() error {
		if n := redistest.Info(primary, "connected_slaves"); n != "1" {
			return fmt.Errorf("there are %s", n)
		}
		return nil
	})
	if version := redistest.Info(primary, "redis_version"); strings.HasPrefix(version, "7.0.") || strings.HasPrefix(version, "6.") {
		refuses(t, redis.Config{URL: primary.URL(), Durability: redis.Strict}, "7.2 or newer")
	}
	refuses(t, redis.Config{URL: replica.URL()}, "is a replica", "redis+sentinel://")
	refuses(t, redis.Config{URL: redistest.Start(t, redistest.Always...).URL(), Durability: redis.Strict, Replicas: 1})
}

// scripted is a server of a few lines that claims to be Redis 7.2 with a replica, and answers to WAITAOF as it is told.
type scripted struct {
	listener net.Listener
	group    sync.WaitGroup

	mu      sync.Mutex
	version string
	waitaof string
	seen    []string
}

func startScripted(t *testing.T) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &scripted{listener: l, version: "7.2.4", waitaof: "*2\r\n:1\r\n:1\r\n"}
	s.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.group.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.group.Wait()
	})
	return s
}

func (s *scripted) url() string { return "redis://" + s.listener.Addr().String() }

func (s *scripted) answers(waitaof string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waitaof, s.seen = waitaof, nil
}

func (s *scripted) commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *scripted) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		s.mu.Lock()
		name := strings.ToUpper(args[0])
		s.seen = append(s.seen, name)
		answer := "+OK\r\n"
		switch name {
		case "HELLO":
			answer = "-ERR unknown command\r\n"
		case "INFO":
			answer = bulk("redis_version:" + s.version + "\r\nrun_id:x\r\nrole:master\r\nconnected_slaves:1\r\naof_enabled:1\r\n")
		case "CONFIG":
			answer = "*4\r\n" + bulk("appendonly") + bulk("yes") + bulk("appendfsync") + bulk("always")
		case "SET", "SETNX", "SADD":
			answer = ":1\r\n"
		case "GET":
			answer = bulk("1")
		case "EVALSHA", "EVAL":
			answer = "*2\r\n" + bulk("ok") + bulk("1")
		case "WAITAOF":
			answer = s.waitaof
			s.seen[len(s.seen)-1] = strings.Join(args[:3], " ")
		}
		s.mu.Unlock()
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }

func readCommand(in *bufio.Reader) ([]string, error) {
	number := func(mark byte) (int, error) {
		line, err := in.ReadString('\n')
		if err != nil || line[0] != mark {
			return 0, errors.Join(err, fmt.Errorf("%q is no command", line))
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number('*')
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := number('$')
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(in, text); err != nil {
			return nil, err
		}
		args[i] = string(text[:size])
	}
	return args, nil
}

// Under strict, what replicas must confirm and do not is not acknowledged, whatever they say instead.
func TestStrictWaitsForReplicas(t *testing.T) {
	t.Parallel()
	server := startScripted(t)
	s := open(t, redis.Config{URL: server.url(), Durability: redis.Strict})
	defer func() { _ = s.Close() }()
	ctx := t.Context()
	lease := create(t, s, "r", "me", 0)
	for answer, good := range map[string]bool{
		"*2\r\n:1\r\n:1\r\n": true,
		"*2\r\n:1\r\n:3\r\n": true,
		"*2\r\n:1\r\n:0\r\n": false,
		"*2\r\n:0\r\n:1\r\n": false,
		"*0\r\n":             false,
		":2\r\n":             false,
		"-ERR WAITAOF cannot be used with it\r\n": false,
	} {
		server.answers(answer)
		for what, call := range map[string]func() error{
			"append":   func() error { return s.Append(ctx, lease, 1, fired(2, "a")) },
			"create":   func() error { _, err := s.Create(ctx, "q", "me", 0, started()); return err },
			"tell":     func() error { _, err := s.Tell(ctx, "r", pause("b"), ""); return err },
			"claim":    func() error { _, err := s.Claim(ctx, "r", "me", 0); return err },
			"blob":     func() error { _, err := s.PutBlob(ctx, []byte("x")); return err },
			"document": func() error { return s.PutDoc(ctx, "k", "n", 0, nil) },
		} {
			err := call()
			if (err == nil) != good {
				t.Errorf("%s when WAITAOF answers %q: %v", what, answer, err)
			}
			if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrFenced) {
				t.Errorf("%s: %v says that nothing was stored, which is unknown", what, err)
			}
		}
		if !slices.Contains(server.commands(), "WAITAOF 1 1") {
			t.Errorf("the replica was not asked: %v", server.commands())
		}
	}
	server.answers("*2\r\n:1\r\n:0\r\n")
	if err := s.Enqueue(ctx, store.Hint{Run: "r"}); err != nil {
		t.Errorf("a hint, which may be lost, waited for the replica: %v", err)
	}
}

func TestOldServerIsRefused(t *testing.T) {
	t.Parallel()
	server := startScripted(t)
	server.version = "6.0.16"
	refuses(t, redis.Config{URL: server.url()}, "6.0.16", "6.2 or newer")
	server.mu.Lock()
	server.version = "7.0.15"
	server.mu.Unlock()
	refuses(t, redis.Config{URL: server.url(), Durability: redis.Strict}, "7.2 or newer")
	s := open(t, redis.Config{URL: server.url()})
	must(t, s.Close())
}

// A configuration that may lose what was acknowledged is warned of, once a server.
func TestVolatileConfigurationIsWarnedOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no append-only file": {nil, "appendonly yes"},
		"eviction":            {append(slices.Clone(redistest.Everysec), "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "noeviction"},
		"nothing":             {redistest.Everysec, ""},
		"memory is bounded":   {append(slices.Clone(redistest.Everysec), "--maxmemory", "100mb"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, test.args...)
			var mu sync.Mutex
			var warned []string
			s := open(t, redis.Config{URL: server.URL(), Warn: func(text string) {
				mu.Lock()
				defer mu.Unlock()
				warned = append(warned, text)
			}})
			defer func() { _ = s.Close() }()
			create(t, s, "r", "me", 0)
			mu.Lock()
			defer mu.Unlock()
			if test.want == "" && len(warned) > 0 || test.want != "" && (len(warned) != 1 || !strings.Contains(warned[0], test.want)) {
				t.Errorf("warned of %q", warned)
			}
		})
	}
}

// exercise does a little of everything over a connection that is special.
func exercise(t *testing.T, conf redis.Config) {
	t.Helper()
	s := open(t, conf)
	defer func() { _ = s.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lease := create(t, s, "r", "me", time.Hour)
	must(t, s.Append(ctx, lease, 1, fired(2, "a")))
	for id, err := range s.Told(ctx) { // publish and subscribe
		must(t, err)
		if id == "r" {
			break
		}
		_, err := s.Tell(ctx, "r", pause("b"), "k")
		must(t, err)
	}
	for range s.Hinted(ctx, "") {
		break
	}
	if h, ok, _, err := s.Dequeue(ctx, ""); err != nil || !ok || h.Run != "r" {
		t.Errorf("dequeued %v, %v, %v", h, ok, err)
	}
	hash, err := s.PutBlob(ctx, []byte("x"))
	must(t, err)
	_, err = s.GetBlob(ctx, hash)
	must(t, err)
	for _, err := range s.AllBlobs(ctx) {
		must(t, err)
	}
	must(t, s.DropBlob(ctx, hash, time.Now().Add(time.Hour)))
	must(t, s.PutDoc(ctx, "k", "n", 0, []byte("x")))
	for _, err := range s.AllDocs(ctx, "k", "") {
		must(t, err)
	}
	must(t, s.DropDoc(ctx, "k", "n", 1))
	must(t, s.PutEntries(ctx, store.Entry{Run: "r", Started: at, Seq: 1}))
	_, err = s.GetEntry(ctx, "r")
	must(t, err)
	_, _, err = s.List(ctx, store.Filter{})
	must(t, err)
	ok, err := s.Take(ctx, "n", "h", 1, time.Minute)
	if err != nil || !ok {
		t.Errorf("no slot: %v", err)
	}
	must(t, s.Give(ctx, "n", "h"))
	_, err = s.Pass(ctx, "n", store.Rate{Count: 1, Per: time.Second})
	must(t, err)
	for _, err := range s.Strays(ctx, "") {
		must(t, err)
	}
	for _, err := range s.Unfinished(ctx, "") {
		must(t, err)
	}
	must(t, s.Append(ctx, lease, 3, run.Fact{Seq: 4, At: at, Body: &run.Finished{Status: run.Succeeded}}))
	if got := timers(t, s, "r"); got != "started a b finished" {
		t.Errorf("the log holds %s", got)
	}
	must(t, s.Remove(ctx, "r"))
}

// The ACL user that the documentation names may do all that a store does, and nothing outside its prefix.
func TestACLUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Always...)
	server.Do(append([]any{"ACL", "SETUSER", "slop", "on", ">canary", "~mine:*", "&mine:*"}, anys(strings.Fields(redis.ACL))...)...)
	url := "redis://slop:canary@" + server.Addr()
	exercise(t, redis.Config{URL: url, Prefix: "mine"})
	exercise(t, redis.Config{URL: url, Prefix: "mine", Durability: redis.Strict})
	refuses(t, redis.Config{URL: url, Prefix: "others"}, "NOPERM")
	refuses(t, redis.Config{URL: "redis://slop:wrongcanary@" + server.Addr(), Prefix: "mine"}, "WRONGPASS")
	cluster := redistest.Cluster(t, 1, redistest.Always...)[0]
	cluster.Do(append([]any{"ACL", "SETUSER", "slop", "on", ">canary", "~mine:*", "&mine:*"}, anys(strings.Fields(redis.ACL))...)...)
	exercise(t, redis.Config{URL: "redis+cluster://slop:canary@" + cluster.Addr(), Prefix: "mine", Durability: redis.Strict})
	server.Do("ACL", "SETUSER", "slop", "-config")
	refuses(t, redis.Config{URL: url, Prefix: "mine", Durability: redis.Strict}, "+config|get")
	exercise(t, redis.Config{URL: url, Prefix: "mine"})
}

func anys(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

func TestTLS(t *testing.T) {
	t.Parallel()
	args, client := redistest.Certificates(t)
	plain := redistest.Start(t, append(args, redistest.Everysec...)...)
	port := redistest.FreePort(t)
	plain.Do("CONFIG", "SET", "tls-port", port)
	url := "rediss://127.0.0.1:" + strconv.Itoa(port)
	exercise(t, redis.Config{URL: url, TLS: client})
	refuses(t, redis.Config{URL: url}, "certificate")
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Everysec...)
	server.Kill()
	server.Restart("--unixsocket", "s")
	exercise(t, redis.Config{URL: "unix://" + server.Dir + "/s?db=3"})
}

// Behind Sentinel the store follows the primary.
func TestSentinel(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, append(slices.Clone(redistest.Everysec), "--repl-diskless-sync-delay", "0")...)
	replica := redistest.Start(t, append(slices.Clone(redistest.Everysec), "--replicaof", "127.0.0.1 "+strconv.Itoa(primary.Port))...)
	sentinel := redistest.Sentinel(t, primary)
	url := "redis+sentinel://" + sentinel.Addr() + "?master_name=main"
	refuses(t, redis.Config{URL: "redis+sentinel://" + sentinel.Addr()}, "master_name")
	exercise(t, redis.Config{URL: url})

	s := open(t, redis.Config{URL: url, Prefix: "p"})
	defer func() { _ = s.Close() }()
	lease := create(t, s, "r", "me", 0)
	must(t, s.Append(t.Context(), lease, 1, fired(2, "a")))
	eventually(t, "a replica that has it all", func() error {
		a, b := redistest.Info(primary, "master_repl_offset"), redistest.Info(replica, "slave_repl_offset")
		if a != b || redistest.Info(replica, "master_link_status") != "up" {
			return fmt.Errorf("it is at %s of %s", b, a)
		}
		return nil
	})
	eventually(t, "a failover", func() error { // once the sentinel knows the replica
		c := sentinel.Client()
		defer func() { _ = c.Close() }()
		return c.Do(t.Context(), "SENTINEL", "FAILOVER", "main").Err()
	})
	eventually(t, "a new primary", func() error {
		if role := redistest.Info(replica, "role"); role != "master" {
			return fmt.Errorf("the replica is a %s", role)
		}
		return nil
	})
	primary.Kill() // as long as it lives and does not know, it takes writes that are lost: that is Redis
	eventually(t, "append after the failover", func() error { return s.Append(t.Context(), lease, 2, fired(3, "b")) })
	if n := replica.Do("XLEN", "p:{r}:log"); n != int64(3) {
		t.Errorf("the new primary has %v facts", n)
	}
}

// No error shows the password of a URL.
func TestURLsAreNotShown(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "localhost", "redis://u:canary@h:99999999", "redis://u:canary@[h", "redis://u:canary@127.0.0.1:1", "redis://u:canary@h/notanumber", "redis://u:can%ary@h",
		"http://u:canary@h", "redis+cluster://u:canary@127.0.0.1:1", "redis+sentinel://u:canary@127.0.0.1:1", "redis+sentinel://u:canary@127.0.0.1:1?master_name=x",
		"redis://u:canary@127.0.0.1:1?unknown=canary", "unix://u:canary@/nowhere", "redis+other://canary",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		s, err := redis.Open(ctx, redis.Config{URL: url})
		cancel()
		if err == nil {
			_ = s.Close()
			t.Errorf("%s was opened", url)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", url, err)
		}
	}
	refuses(t, redis.Config{URL: "redis://127.0.0.1:1", Prefix: "a{b}"}, "braces")
}
