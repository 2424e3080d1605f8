// Package redis keeps runs in Redis 6.2 or newer, on one server, behind Sentinel or in a cluster, so that several servers share them.
//
// What must be atomic together belongs to one run: its keys share the hash tag {run id}, and every change is one script that is given all keys it touches.
//
//	slop:{ID}:run   hash    lease (token, owner, until), fin, rests, pool, prio, d:KEY → seq of what was told under a dedup key, e → index entry
//	slop:{ID}:log   stream  one entry a fact; entry SEQ-MARK holds fact SEQ. MARK is drawn at random for each batch, and so names the history the fact belongs to
//
// The head of a log is the length of its stream; it is written nowhere else. The mark serves twice. A script that is run again because its answer was lost finds its own
// mark and reports what it had done, so every call may be retried. And a holder sends the last mark it knows: if Redis lost its last seconds and the log has grown again
// since, the mark is gone and the holder is fenced, although the numbers would fit.
//
// Everything else is derived from the logs and repaired from them: per pool and shard {POOL/N} the unfinished runs (open), the leases as they were
// taken (leases) and the hints (hints, ready, later); the lists of runs by start ({index}). open is written before the log it names and cleared after its end, so it may name too many runs, never too few; only a Redis that lost its
// last seconds can know too few, so the logs are looked through once after each start of a server.
//
// Time is the clock of the server that keeps the run. Other processes hear of facts, answers and hints by publish and subscribe; nobody asks at intervals.
package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/slopstudios/slop/runtime/run"
)

// Strict is the Durability that acknowledges only what is on disk.
const Strict = "strict"

// Config of a store.
type Config struct {
	// URL of the server: redis:// and rediss:// (TLS), unix://; redis+cluster:// and rediss+cluster:// with further nodes as ?addr=host:port;
	// redis+sentinel:// and rediss+sentinel:// with ?master_name=NAME and further sentinels as ?addr=host:port. User and password are those of an ACL user.
	URL string
	// Prefix of every key and channel. Default "slop".
	Prefix string
	// Durability is "" (as durable as the server is configured to be; a volatile configuration is warned of) or Strict: appendfsync is always, and replicas
	// confirm by WAITAOF that what is acknowledged is on their disks too.
	Durability string
	// Replicas that must confirm under Strict. 0: one when the server has any.
	Replicas int
	// Shards of each queue. It counts for the first process that ever uses the prefix; the others follow it. 0: 1, or 16 in a cluster.
	Shards int
	// Keep is how long finished runs stay. 0: until they are removed.
	Keep time.Duration
	// TLS replaces the configuration that rediss:// implies, for private certificates.
	TLS *tls.Config
	// Dead reports that a holder of leases is known to have died; nil knows nobody.
	Dead func(owner string) bool
	// Warn is told of a configuration that may lose what was acknowledged. nil: slog.
	Warn func(text string)
}

// ACL are the rights that a user of a store needs, beside ~PREFIX:* and &PREFIX:*: ACL SETUSER slop on >PASSWORD ~slop:* &slop:* and these.
// +config|get is for Strict alone.
const ACL = "-@all +@connection +@read +@write +@scripting +@pubsub +@transaction -@dangerous +time +info +cluster|slots +cluster|shards +config|get"

const (
	minMajor, minMinor = 6, 2

	// A call fails within about twice this time when the server does not answer; when it refuses connections, at once.
	answerTimeout = 5 * time.Second
	dialTimeout   = 3 * time.Second

	// strictLife makes connections of a strict store come back to be checked again: appendfsync can be changed at any time, and replicas come and go.
	strictLife = time.Minute
)

// Store is a store.Store. Use Open.
type Store struct {
	conf   Config
	client goredis.UniversalClient
	single *goredis.Client // nil in a cluster
	line   line
	ears   hub
	marks  marks
	shards int
	pools  sync.Map // pools known to be in the set of pools

	mu       sync.Mutex
	servers  map[string]bool // run ids of servers that were seen
	replicas atomic.Int32    // that must confirm, as of the newest connection; not of a cluster
	nodes    sync.Map        // of a cluster: address → replicas that must confirm
	rescan   atomic.Bool     // a server has started: what is derived may be behind the logs
}

// Open connects to Redis and checks that it can keep what Durability promises.
func Open(ctx context.Context, conf Config) (*Store, error) {
	if conf.Prefix == "" {
		conf.Prefix = "slop"
	}
	if strings.ContainsAny(conf.Prefix, "{}") {
		return nil, fmt.Errorf("redis: the prefix %q contains braces, which choose the node of a cluster", conf.Prefix)
	}
	if conf.Durability != "" && conf.Durability != Strict {
		return nil, fmt.Errorf("redis: durability %q is not known: leave it out, or set %q", conf.Durability, Strict)
	}
	if conf.Warn == nil {
		conf.Warn = func(text string) { slog.Warn(text) }
	}
	if conf.Dead == nil {
		conf.Dead = func(string) bool { return false }
	}
	hush()
	s := &Store{conf: conf, servers: map[string]bool{}}
	s.rescan.Store(true)
	if err := s.connect(); err != nil {
		return nil, err
	}
	s.ears.client = s.client
	s.line.more.L = &s.line.mu
	if s.single != nil {
		s.line.begin(func(group []*call) { s.send(context.Background(), s.single, int(s.replicas.Load()), group) })
	}
	if err := s.open(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// hush keeps the driver from writing to stderr: what it would say there, it returns too.
var hush = sync.OnceFunc(logging.Disable)

func (s *Store) open(ctx context.Context) error {
	if err := s.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	if err := s.agree(ctx); err != nil {
		return fmt.Errorf("redis: agree on the shards of queues: %w", err)
	}
	return nil
}

// agree makes all processes of a prefix use as many shards as the first one chose.
func (s *Store) agree(ctx context.Context) error {
	want := s.conf.Shards
	if want <= 0 {
		want = 1
		if s.single == nil {
			want = 16
		}
	}
	key := s.key("shards")
	if err := s.client.SetNX(ctx, key, want, 0).Err(); err != nil {
		return err
	}
	n, err := s.client.Get(ctx, key).Int()
	if err != nil {
		return err
	}
	if n < 1 || n > 4096 {
		return fmt.Errorf("%s is %d", key, n)
	}
	s.shards = n
	return nil
}

// connect makes the client that the URL asks for. Its errors never show the URL, which may hold a password.
func (s *Store) connect() error {
	scheme, rest, ok := strings.Cut(s.conf.URL, "://")
	if _, err := url.Parse(s.conf.URL); err != nil || !ok {
		return errors.New("redis: the URL cannot be read; it looks like redis://user:password@host:6379/0")
	}
	base, kind, _ := strings.Cut(scheme, "+")
	plain := base + "://" + rest
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	var life time.Duration
	if s.conf.Durability == Strict {
		life = strictLife
	}
	// The three kinds of options have the same fields and no type in common. A call is tried twice: a connection may have died unnoticed.
	switch kind {
	case "":
		o, err := goredis.ParseURL(plain)
		if err != nil {
			return unreadable(err)
		}
		o.OnConnect, o.TLSConfig, o.ConnMaxLifetime, o.Protocol, o.MaintNotificationsConfig = s.greet, cmp.Or(s.conf.TLS, o.TLSConfig), life, 2, quiet
		o.DialTimeout, o.ReadTimeout, o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries, o.PipelinePoolSize = dialTimeout, answerTimeout, true, 1, 1, -1
		s.single = goredis.NewClient(o)
	case "sentinel":
		o, err := goredis.ParseFailoverURL(plain)
		if err != nil {
			return unreadable(err)
		}
		if o.MasterName == "" {
			return errors.New("redis: the URL of sentinels does not say of which primary: add ?master_name=NAME")
		}
		o.OnConnect, o.TLSConfig, o.ConnMaxLifetime, o.Protocol = s.greet, cmp.Or(s.conf.TLS, o.TLSConfig), life, 2
		o.DialTimeout, o.ReadTimeout, o.ContextTimeoutEnabled, o.MaxRetries, o.DialerRetries, o.PipelinePoolSize = dialTimeout, answerTimeout, true, 1, 1, -1
		s.single = goredis.NewFailoverClient(o)
	case "cluster":
		o, err := goredis.ParseClusterURL(plain)
		if err != nil {
			return unreadable(err)
		}
		o.OnConnect, o.TLSConfig, o.ConnMaxLifetime, o.Protocol, o.MaintNotificationsConfig = s.greet, cmp.Or(s.conf.TLS, o.TLSConfig), life, 2, quiet
		o.DialTimeout, o.ReadTimeout, o.ContextTimeoutEnabled, o.DialerRetries, o.PipelinePoolSize = dialTimeout, answerTimeout, true, 1, -1
		s.client = goredis.NewClusterClient(o)
		return nil
	default:
		return fmt.Errorf("redis: a URL begins with redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://, not %q", scheme+"://")
	}
	s.client = s.single
	return nil
}

// unreadable keeps what is wrong with a URL and drops the URL.
func unreadable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("redis: the URL cannot be read: %w", err)
}

// Close ends the connections. What others listen to with this store ends too.
func (s *Store) Close() error {
	s.ears.close()
	err := s.client.Close() // what is under way fails
	s.line.close()
	return err
}

// key is a key outside the runs.
func (s *Store) key(parts ...string) string { return s.conf.Prefix + ":" + strings.Join(parts, ":") }

// tagged is a key whose node the tag chooses.
func (s *Store) tagged(tag, name string) string {
	return s.conf.Prefix + ":{" + tagEscape.Replace(tag) + "}:" + name
}

// A tag ends at the first closing brace.
var tagEscape = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

// keysOf are the keys of a run: what it is and what happened.
func (s *Store) keysOf(id run.ID) []string {
	return []string{s.tagged(string(id), "run"), s.tagged(string(id), "log")}
}

func (s *Store) grown(id run.ID) string { return s.key("grown", string(id)) }

// shard of something that has a name.
func (s *Store) shard(name string) string {
	h := uint32(2166136261) // FNV-1a: all processes must agree, in all releases
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return strconv.Itoa(int(h % uint32(s.shards)))
}
