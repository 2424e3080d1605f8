// Package redistest starts private Redis servers for tests: each on a port of its own, in a folder of its own, gone with the test.
package redistest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// patience is how long a server may take to start, to load its data or to end. It bounds a failure; no test waits for it.
const patience = 30 * time.Second

// Server is a redis-server that nobody else knows of.
type Server struct {
	Port int
	Dir  string

	t     testing.TB
	args  []string
	fixed []string // instead of the usual ones
	dial  goredis.Options
	cmd   *exec.Cmd
	done  chan struct{}
	log   *tail
}

// Everysec and Always are options of servers that keep an append-only file.
var (
	Everysec = []string{"--appendonly", "yes", "--appendfsync", "everysec"}
	Always   = []string{"--appendonly", "yes", "--appendfsync", "always"}
)

// Certificates writes a certificate for 127.0.0.1 and its key into the server's options, and gives what a client needs to trust it.
func Certificates(t testing.TB) (args []string, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return []string{"--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", certFile, "--tls-auth-clients", "no"}, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// Sentinel starts a sentinel that watches a server under the name "main".
func Sentinel(t testing.TB, watched *Server) *Server {
	t.Helper()
	Binary(t)
	s := &Server{t: t, Dir: t.TempDir()}
	conf := s.Fill("sentinel.conf", fmt.Appendf(nil, "sentinel monitor main 127.0.0.1 %d 1\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n", watched.Port))
	s.fixed = []string{conf, "--sentinel"}
	t.Cleanup(s.Kill)
	for range 5 {
		if s.Port = FreePort(t); s.start() == nil {
			return s
		}
	}
	t.Fatalf("a sentinel does not start: %v", s.start())
	return nil
}

// Binary finds redis-server, or fails the test: without it nothing is known of the store.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("these tests need redis-server, 6.2 or newer: apt-get install redis-server (or run make test as root on Debian)")
	}
	return path
}

// Start starts a server with further options of redis-server.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	hush()
	s := &Server{t: t, Dir: t.TempDir(), args: args}
	t.Cleanup(s.Kill)
	for range 5 {
		if s.Port = FreePort(t); s.start() == nil {
			return s
		}
	}
	t.Fatalf("redis-server does not start: %v", s.start())
	return nil
}

// hush keeps the driver from reporting each attempt to reach a server that is starting.
var hush = sync.OnceFunc(logging.Disable)

// FreePort finds a port that was free a moment ago, and whose neighbour for the bus of a cluster is no special one.
func FreePort(t testing.TB) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port < 55000 { // a cluster listens at port + 10000 too
			return port
		}
	}
}

func (s *Server) start() error {
	args := append([]string{"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--daemonize", "no"}, s.args...)
	if s.fixed != nil {
		args = append([]string{s.fixed[0], "--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", s.Dir}, s.fixed[1:]...)
	}
	cmd := exec.Command(Binary(s.t), args...)
	s.log = &tail{}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.Dir = s.Dir
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	s.cmd, s.done = cmd, done
	return s.await()
}

// await waits until the server answers, and checks that it is ours: another one may have taken the port.
func (s *Server) await() error {
	c := s.Client()
	defer func() { _ = c.Close() }()
	deadline := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		info, err := c.Info(ctx).Result()
		cancel()
		if err == nil && !strings.Contains(info, "process_id:"+strconv.Itoa(s.cmd.Process.Pid)+"\r\n") {
			s.Kill()
			return fmt.Errorf("port %d belongs to somebody else", s.Port)
		}
		if err == nil && !strings.Contains(info, "loading:1\r\n") {
			return nil
		}
		select {
		case <-s.done:
			return fmt.Errorf("redis-server ended:\n%s", s.log)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			s.Kill()
			return fmt.Errorf("redis-server does not answer: %w\n%s", err, s.log)
		}
	}
}

// Addr of the server.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.Port) }

// URL of the server.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Client is a plain client of the server, for looking behind the store. Whoever takes one closes it.
func (s *Server) Client() *goredis.Client {
	o := s.dial
	o.Addr, o.MaxRetries, o.DialerRetries, o.PipelinePoolSize = s.Addr(), -1, 1, -1
	return goredis.NewClient(&o)
}

// Do sends one command and returns what came.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	c := s.Client()
	defer func() { _ = c.Close() }()
	v, err := c.Do(context.Background(), args...).Result()
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return v
}

// Info looks up one field of INFO. It is empty when the connection breaks, as it does when a sentinel changes the role of a server.
func Info(s *Server, field string) string {
	c := s.Client()
	defer func() { _ = c.Close() }()
	text, _ := c.Info(context.Background()).Result()
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Kill ends the server as a crash does.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Shutdown lets the server write what it has.
func (s *Server) Shutdown() { s.signal(syscall.SIGTERM) }

func (s *Server) signal(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.done:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// Restart starts the server again at its port, with what its files hold; options given here count from now on.
func (s *Server) Restart(args ...string) {
	s.t.Helper()
	s.args = append(s.args, args...)
	var err error
	for range 5 {
		if err = s.start(); err == nil {
			return
		}
	}
	s.t.Fatalf("redis-server does not start again: %v", err)
}

// Files are the parts of the append-only file that grow, as it is kept by Redis 6 and 7.
func (s *Server) Files() []string {
	s.t.Helper()
	var files []string
	for _, pattern := range []string{"appendonly.aof", "appendonlydir/*.incr.aof"} {
		some, err := filepath.Glob(filepath.Join(s.Dir, pattern))
		if err != nil {
			s.t.Fatal(err)
		}
		files = append(files, some...)
	}
	return files
}

// Cluster starts n servers that share the slots of a cluster.
func Cluster(t testing.TB, n int, args ...string) []*Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	servers := make([]*Server, n)
	var group sync.WaitGroup
	for i := range servers {
		servers[i] = Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "5000"}, args...)...)
		from, to := 16384*i/n, 16384*(i+1)/n-1
		c := servers[i].Client()
		t.Cleanup(func() { _ = c.Close() })
		if err := c.ClusterAddSlotsRange(ctx, from, to).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.ClusterMeet(ctx, "127.0.0.1", strconv.Itoa(servers[0].Port)).Err(); i > 0 && err != nil {
			t.Fatal(err)
		}
		group.Go(func() { // until it knows all the others
			for ctx.Err() == nil {
				info, err := c.ClusterInfo(ctx).Result()
				if err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(n)+"\r") && strings.Contains(info, "cluster_slots_assigned:16384\r") {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Error("the cluster does not come together")
		})
	}
	group.Wait()
	return servers
}

// Fill writes a file into the server's folder.
func (s *Server) Fill(name string, data []byte) string {
	s.t.Helper()
	path := filepath.Join(s.Dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// tail keeps the end of what a server says.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() > 1<<16 {
		l.buf.Reset()
	}
	return l.buf.Write(p)
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
