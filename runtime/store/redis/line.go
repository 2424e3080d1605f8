package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// line sends the calls of many goroutines together: while one group is under way, the next one collects. There is no timer; under no load a call goes out at once.
type line struct {
	group   sync.WaitGroup
	mu      sync.Mutex
	more    sync.Cond // on mu: somebody waits, or the line is closed
	waiting []*call
	closed  bool
}

const (
	maxFlights    = 2       // the server works on one group while the answers to the other are read
	maxGroup      = 512     // calls
	maxGroupBytes = 4 << 20 // a large blob does not hold up more than what goes with it
)

// call is one run of a script. Scripts can be run again: a second run reports what the first has done.
type call struct {
	script *script
	keys   []string
	args   []any
	lasts  bool // under Strict, the answer waits for the replicas' disks
	bytes  int
	cmd    *goredis.Cmd
	err    error
	done   chan struct{}
}

// errUnconfirmed says that it is unknown whether what was written will survive.
var errUnconfirmed = errors.New("too few servers confirmed that it is on disk")

// write runs a script whose effect must last as long as was promised.
func (s *Store) write(ctx context.Context, sc *script, keys []string, args ...any) (reply, error) {
	return s.call(ctx, &call{script: sc, keys: keys, args: args, lasts: true})
}

// run runs a script that only reads, or changes what is derived or passes by.
func (s *Store) run(ctx context.Context, sc *script, keys []string, args ...any) (reply, error) {
	return s.call(ctx, &call{script: sc, keys: keys, args: args})
}

func (s *Store) call(ctx context.Context, c *call) (reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.single == nil {
		s.direct(ctx, c)
		return c.reply()
	}
	for _, a := range c.args {
		switch a := a.(type) {
		case []byte:
			c.bytes += len(a)
		case string:
			c.bytes += len(a)
		}
	}
	c.done = make(chan struct{})
	if !s.line.add(c) {
		return nil, goredis.ErrClosed
	}
	select {
	case <-c.done:
		return c.reply()
	case <-ctx.Done(): // it may be under way: what comes of it is unknown
		return nil, ctx.Err()
	}
}

// begin starts the goroutines that send.
func (l *line) begin(send func([]*call)) {
	for range maxFlights {
		l.group.Go(func() {
			for group := l.next(); group != nil; group = l.next() {
				send(group)
				for _, c := range group {
					close(c.done)
				}
			}
		})
	}
}

func (l *line) add(c *call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.waiting = append(l.waiting, c)
	l.more.Signal()
	return true
}

// next waits for a group. It is nil when the line is closed and nobody waits any more.
func (l *line) next() []*call {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 {
		if l.closed {
			return nil
		}
		l.more.Wait()
	}
	n, size := 0, 0
	for n < len(l.waiting) && n < maxGroup && (n == 0 || size+l.waiting[n].bytes <= maxGroupBytes) {
		size += l.waiting[n].bytes
		n++
	}
	group := l.waiting[:n:n]
	l.waiting = l.waiting[n:]
	return group
}

func (l *line) close() {
	l.mu.Lock()
	l.closed = true
	l.more.Broadcast()
	l.mu.Unlock()
	l.group.Wait()
}

// send runs calls on one server and has what must last confirmed, by the server and as many replicas as are needed.
func (s *Store) send(ctx context.Context, client *goredis.Client, need int, group []*call) {
	s.exec(ctx, client, need, group, func(p goredis.Pipeliner, c *call) *goredis.Cmd {
		return p.EvalSha(ctx, c.script.sha, c.keys, c.args...)
	})
	var unknown []*call
	for _, c := range group {
		if goredis.HasErrorPrefix(c.err, "NOSCRIPT") {
			unknown = append(unknown, c)
		}
	}
	if len(unknown) > 0 {
		s.exec(ctx, client, need, unknown, func(p goredis.Pipeliner, c *call) *goredis.Cmd {
			return p.Eval(ctx, c.script.text, c.keys, c.args...)
		})
	}
}

func (s *Store) exec(ctx context.Context, client *goredis.Client, need int, group []*call, add func(goredis.Pipeliner, *call) *goredis.Cmd) {
	pipe := client.Pipeline()
	last := false
	for _, c := range group {
		c.cmd = add(pipe, c)
		last = last || c.lasts
	}
	var wait *goredis.Cmd
	if s.conf.Durability == Strict && need > 0 && last {
		// WAITAOF speaks of what this connection wrote, so it goes behind the calls in the same pipeline.
		wait = pipe.Do(ctx, "WAITAOF", 1, need, int((answerTimeout / 2).Milliseconds()))
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	for _, c := range group {
		c.err = c.cmd.Err()
	}
	if wait == nil {
		return
	}
	err := confirmed(wait, need)
	for _, c := range group {
		if c.lasts && c.err == nil {
			c.err = err
		}
	}
}

// confirmed checks the counts that WAITAOF gives: when time is up it answers with what it has.
func confirmed(wait *goredis.Cmd, need int) error {
	counts, err := wait.Int64Slice()
	if err != nil {
		return fmt.Errorf("%w: %w", errUnconfirmed, err)
	}
	if len(counts) != 2 || counts[0] < 1 || counts[1] < int64(need) {
		return fmt.Errorf("%w: WAITAOF 1 %d answered %v", errUnconfirmed, need, counts)
	}
	return nil
}

// direct runs one call in a cluster.
func (s *Store) direct(ctx context.Context, c *call) {
	if s.conf.Durability == Strict && c.lasts {
		s.directOn(ctx, c)
		return
	}
	c.cmd = s.client.EvalSha(ctx, c.script.sha, c.keys, c.args...)
	if goredis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") {
		c.cmd = s.client.Eval(ctx, c.script.text, c.keys, c.args...)
	}
	c.err = c.cmd.Err()
}

// directOn runs a call on the node of its keys, over one connection with WAITAOF. After a move the client has learnt the new node.
func (s *Store) directOn(ctx context.Context, c *call) {
	cluster := s.client.(*goredis.ClusterClient)
	for range 3 {
		node, err := cluster.MasterForKey(ctx, c.keys[0])
		if err != nil {
			c.err = err
			return
		}
		need, err := s.confirmers(ctx, node)
		if err != nil {
			c.err = err
			return
		}
		s.send(ctx, node, need, []*call{c})
		if !goredis.HasErrorPrefix(c.err, "MOVED") && !goredis.HasErrorPrefix(c.err, "ASK") {
			return
		}
		cluster.ReloadState(ctx)
	}
}

// confirmers tells how many replicas of a node of a cluster must confirm. It looks again as often as connections are checked.
func (s *Store) confirmers(ctx context.Context, node *goredis.Client) (int, error) {
	type known struct {
		need int
		at   time.Time
	}
	addr := node.Options().Addr
	if k, ok := s.nodes.Load(addr); ok && time.Since(k.(known).at) < strictLife {
		return k.(known).need, nil
	}
	text, err := node.Info(ctx, "replication").Result()
	if err != nil {
		return 0, err
	}
	need := s.need(parseInfo(text))
	s.nodes.Store(addr, known{need, time.Now()})
	return need, nil
}

// reply is what a script returned: strings.
type reply []string

func (c *call) reply() (reply, error) {
	if c.err != nil {
		return nil, c.err
	}
	return c.cmd.StringSlice()
}

// is tells what a script said first.
func (r reply) is(word string) bool { return len(r) > 0 && r[0] == word }

func (r reply) at(i int) string {
	if i < len(r) {
		return r[i]
	}
	return ""
}

// micros writes a duration for a script.
func micros(d time.Duration) int64 { return max(0, d.Microseconds()) }

// odd is an answer that no script gives.
func odd(r reply) error { return fmt.Errorf("the script answered %q", strings.Join(r, " ")) }
