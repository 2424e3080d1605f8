package http

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.216.34": true, "1.1.1.1": true, "172.15.255.255": true, "172.32.0.1": true, "100.63.255.255": true, "100.128.0.1": true, "223.255.255.255": true,
		"2606:4700::1111": true, "2a00:1450::1": true, "64:ff9b::1.1.1.1": true, "::ffff:1.1.1.1": true,

		"127.0.0.1": false, "127.255.255.254": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "169.254.170.2": false, "100.100.100.200": false, "192.0.0.192": false, "168.63.129.16": false,
		"198.18.0.1": false, "192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false,
		"fec0::1": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false, "64:ff9b::127.0.0.1": false, "64:ff9b::169.254.169.254": false,
		"64:ff9b:1::1": false, "2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "3fff::1": false, "100::1": false, "5f00::1": false,
	} {
		if got := public(netip.AddrPortFrom(netip.MustParseAddr(address), 80)); got != want {
			t.Errorf("%s: of the internet: %v, want %v", address, got, want)
		}
	}
	if public(netip.AddrPort{}) {
		t.Error("no address is one of the internet")
	}
}

// site is a server of the tests, and how often it was asked.
type site struct {
	*httptest.Server
	asked atomic.Int32
}

func newSite(t *testing.T, h http.HandlerFunc) *site {
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) port() string {
	u, _ := url.Parse(s.URL)
	return u.Port()
}

func (s *site) at(at netip.AddrPort) bool { return at.String() == s.Listener.Addr().String() }

func fetch(t *testing.T, c *client, address string) agent.Reply {
	t.Helper()
	t.Cleanup(c.open.CloseIdleConnections)
	t.Cleanup(c.guarded.CloseIdleConnections)
	return c.Call(t.Context(), &agent.Call{Callee: &types.Signature{Use: "http.get"}, Text: address, Emit: func(agent.Progress) {}})
}

func expect(t *testing.T, r agent.Reply, o run.Outcome, say string) {
	t.Helper()
	if r.Outcome != o || !strings.Contains(r.Message, say) {
		t.Errorf("outcome %q (%s), want %q and %q", r.Outcome, r.Message, o, say)
	}
}

// names answers every question about an IPv4 address with the next one of a list, the last one for ever, and knows no IPv6 address.
func names(t *testing.T, answers ...string) *net.Resolver {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		for buf := make([]byte, 1500); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			end := 12 + bytes.IndexByte(buf[12:n], 0) + 5 // behind the name, its type and its class
			reply := append([]byte{buf[0], buf[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, buf[12:end]...)
			if binary.BigEndian.Uint16(buf[end-4:]) == 1 && len(answers) > 0 {
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				reply = append(reply, netip.MustParseAddr(answers[0]).AsSlice()...)
				answers = answers[min(1, len(answers)-1):]
			}
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// However an address of this machine is written, a server's http does not connect to it.
func TestNoSpellingLeadsInside(t *testing.T) {
	inside := newSite(t, func(http.ResponseWriter, *http.Request) {})
	c := newClient(Config{Networks: Public}, names(t, "127.0.0.1"), public)
	for _, host := range []string{
		"127.0.0.1", "localhost", "LOCALHOST", "internal.example", "internal.example.", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
		"[64:ff9b::7f00:1]", "[0:0:0:0:0:0:0:1]", "[::]", "[fe80::1%25lo]", "0.0.0.0", "127.1.2.3", "169.254.169.254", "10.0.0.1", "[fd00:ec2::254]",
		"１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1",
	} {
		r := fetch(t, c, "http://"+host+":"+inside.port()+"/")
		if strings.HasPrefix(host, "[") && r.Outcome == run.Unavailable {
			continue // a machine without IPv6 does not come so far
		}
		expect(t, r, run.Denied, "private = true")
	}
	for _, host := range []string{"127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "127.0.0.0x1", "0x", "256.1.1.1"} {
		for _, n := range []Networks{Named, Public, Any} {
			c := newClient(Config{Networks: n}, names(t, "127.0.0.1"), public)
			expect(t, fetch(t, c, "http://"+host+":"+inside.port()+"/"), run.Failure, "is a number")
		}
	}
	if n := inside.asked.Load(); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
	if c.guarded.Proxy != nil {
		t.Error("a proxy would choose the address")
	}
	for _, n := range []Networks{Named, Any} {
		expect(t, fetch(t, newClient(Config{Networks: n}, nil, public), inside.URL), "", "")
	}
}

// A name that leads to the internet when it is first looked up, and inside when it is looked up again, wins nothing: each connection is judged by where it goes.
func TestRebinding(t *testing.T) {
	site := newSite(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	c := newClient(Config{Networks: Public}, names(t, "127.0.0.1", "10.0.0.1"), func(at netip.AddrPort) bool { return site.at(at) || public(at) })
	expect(t, fetch(t, c, "http://rebind.example:"+site.port()), "", "")
	expect(t, fetch(t, c, "http://rebind.example:"+site.port()), run.Denied, "private network")
	if n := site.asked.Load(); n != 1 {
		t.Errorf("%d requests arrived", n)
	}
}

// What the internet answers does not lead a script of one's own machine into its networks, not even over a connection that is there already.
func TestRedirectsFromTheInternetStayThere(t *testing.T) {
	var outside *site
	inside := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/out" {
			http.Redirect(w, r, outside.URL+"/to-inside", http.StatusFound)
		}
		if r.URL.Path == "/in" {
			http.Redirect(w, r, "/", http.StatusFound)
		}
	})
	outside = newSite(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/to-inside":
			http.Redirect(w, r, inside.URL, http.StatusFound)
		case "/twice":
			http.Redirect(w, r, "/to-inside", http.StatusFound)
		case "/stay":
			http.Redirect(w, r, "/", http.StatusFound)
		}
	})
	c := newClient(Config{}, nil, func(at netip.AddrPort) bool { return outside.at(at) })
	expect(t, fetch(t, c, inside.URL), "", "")
	expect(t, fetch(t, c, inside.URL+"/in"), "", "")
	expect(t, fetch(t, c, outside.URL+"/stay"), "", "")
	before := inside.asked.Load()
	for _, address := range []string{outside.URL + "/to-inside", outside.URL + "/twice", outside.URL + "/to-inside"} {
		expect(t, fetch(t, c, address), run.Denied, "was redirected to an address of this machine")
	}
	if n := inside.asked.Load(); n != before {
		t.Errorf("%d requests arrived", n-before)
	}
	expect(t, fetch(t, c, inside.URL+"/out"), run.Denied, "was redirected")
	server := newClient(Config{Networks: Public}, nil, c.public)
	expect(t, fetch(t, server, outside.URL+"/stay"), "", "")
	expect(t, fetch(t, server, outside.URL+"/twice"), run.Denied, "was redirected")
	expect(t, fetch(t, server, inside.URL+"/in"), run.Denied, "may not go there")
	expect(t, fetch(t, newClient(Config{Networks: Any}, nil, c.public), outside.URL+"/twice"), "", "")
}

func TestLimits(t *testing.T) {
	slow := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 2*maxHeaders))
			return
		case "/body":
			_, _ = io.WriteString(w, "a beginning")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	})
	c := newClient(Config{FirstByte: 50 * time.Millisecond}, nil, public)
	expect(t, fetch(t, c, slow.URL+"/silent"), run.Timeout, "did not begin to answer within 50ms")
	expect(t, fetch(t, newClient(Config{}, nil, public), slow.URL+"/headers"), run.Unavailable, "headers exceeded")
	c = newClient(Config{Timeout: 50 * time.Millisecond}, nil, public)
	expect(t, fetch(t, c, slow.URL+"/silent"), run.Timeout, "took longer than 50ms")
	expect(t, fetch(t, c, slow.URL+"/body"), run.Timeout, "took longer than 50ms")
	if c := newClient(Config{}, nil, public); c.FirstByte != time.Minute || c.Timeout != 5*time.Minute {
		t.Errorf("%+v", c.Config)
	}
}

// The dots of a value were encoded, which means the same to a server.
func TestNoValueClimbs(t *testing.T) {
	site := newSite(t, func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{"/a/%2E%2E/b", "/a/%2e%2E", "/%2E/x", "/a/.%2e?q=1"} {
		expect(t, fetch(t, newClient(Config{}, nil, public), site.URL+path), run.Failure, "read as another path")
	}
	for _, path := range []string{"/a/../b", "/a/..%2Fb", "/%2E%2E%2E", "/a?q=%2E%2E", "/a#%2E%2E", "/a%2Eb"} {
		expect(t, fetch(t, newClient(Config{}, nil, public), site.URL+path), "", "")
	}
}
