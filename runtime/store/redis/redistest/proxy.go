package redistest

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands before a server and loses answers on request: what was asked has happened, and the one who asked does not hear of it.
type Proxy struct {
	listener net.Listener
	server   string
	lose     atomic.Bool
	lost     atomic.Int64
	left     atomic.Int64 // scripts that may pass, when limited
	limited  atomic.Bool
	spent    atomic.Bool

	mu    sync.Mutex
	conns map[net.Conn]bool
	group sync.WaitGroup
}

// NewProxy starts a proxy before a server.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, server: s.Addr(), conns: map[net.Conn]bool{}}
	p.group.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		p.group.Wait()
	})
	return p
}

// URL of the proxy.
func (p *Proxy) URL() string { return "redis://" + p.listener.Addr().String() }

// Lose makes the next answer to a script be lost, with its connection.
func (p *Proxy) Lose() { p.lose.Store(true) }

// Lost counts the answers that were lost.
func (p *Proxy) Lost() int64 { return p.lost.Load() }

// Allow lets n more scripts pass; the next one does not arrive, and from then on nothing passes, as when the process that asks has died.
func (p *Proxy) Allow(n int) {
	p.left.Store(int64(n))
	p.limited.Store(true)
}

// Spent tells that the script after the last allowed one was asked for.
func (p *Proxy) Spent() bool { return p.spent.Load() }

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.spent.Load() {
			_ = in.Close()
			continue
		}
		out, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		var script atomic.Bool // a script was asked for over this connection
		p.group.Go(func() {
			p.copy(out, in, func(b []byte) bool {
				if !asksScript(b) {
					return !p.spent.Load()
				}
				script.Store(true)
				if p.limited.Load() && p.left.Add(-1) < 0 {
					p.spent.Store(true)
				}
				return !p.spent.Load()
			})
		})
		p.group.Go(func() {
			p.copy(in, out, func([]byte) bool {
				if script.Load() && p.lose.CompareAndSwap(true, false) {
					p.lost.Add(1)
					return false
				}
				return true
			})
		})
	}
}

// asksScript looks at what a client sent at once: one pipeline, as long as it fits.
func asksScript(b []byte) bool {
	b = bytes.ToLower(b[:min(len(b), 64)])
	return bytes.Contains(b, []byte("\nevalsha\r")) || bytes.Contains(b, []byte("\neval\r"))
}

// copy passes on what pass lets through; it closes both when one ends or pass refuses.
func (p *Proxy) copy(to io.WriteCloser, from io.ReadCloser, pass func([]byte) bool) {
	defer func() {
		_ = to.Close()
		_ = from.Close()
	}()
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if n > 0 && (!pass(buf[:n]) || write(to, buf[:n]) != nil) || err != nil {
			return
		}
	}
}

func write(w io.Writer, b []byte) error {
	_, err := w.Write(b)
	return err
}
