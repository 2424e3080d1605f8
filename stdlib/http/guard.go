package http

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Networks says which addresses a request may go to.
//
// It is decided when a connection is made, about the very address that it is made to. So it does not matter how the address was written, what its name
// says when it is looked up a second time, or which redirect led there.
type Networks int

const (
	Named  Networks = iota // whatever the script names; a redirect from the internet does not lead into this machine or a private network
	Public                 // the internet only, without the proxies of the environment, which would choose the address themselves
	Any                    // any, by redirects too
)

// privateError is the end of a connection that was not made.
type privateError struct{}

func (privateError) Error() string {
	return "it is an address of this machine or of a private network" + allowed
}

const allowed = "; `private = true` below [agents.http] in slop.toml allows it"

// transport makes connections. With a guard it makes them to addresses of the internet only.
func (c *client) transport(guarded bool) *http.Transport {
	d := &net.Dialer{Timeout: 30 * time.Second, Resolver: c.resolver}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            d.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  c.FirstByte,
		MaxResponseHeaderBytes: maxHeaders,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        30 * time.Second,
	}
	if guarded {
		t.Proxy = nil
		d.Control = func(_, address string, _ syscall.RawConn) error {
			if at, err := netip.ParseAddrPort(address); err != nil || !c.public(at) {
				return privateError{}
			}
			return nil
		}
	}
	return t
}

// Transport reaches what an http agent for these networks does, for who speaks HTTP with what others name: with Public the internet only.
func Transport(n Networks) http.RoundTripper {
	return newClient(Config{Networks: n, FirstByte: 10 * time.Minute}, nil, public).transport(n == Public)
}

// maxHeaders of an answer, in bytes.
const maxHeaders = 1 << 20

// route sends the requests of one call: the first, and those its redirects lead to.
type route struct {
	*client
	outside    atomic.Bool // an earlier one went to the internet
	redirected bool
}

func (r *route) RoundTrip(req *http.Request) (*http.Response, error) {
	r.redirected = req.Response != nil
	switch {
	case r.Networks == Any:
	case r.Networks == Public:
		return r.guarded.RoundTrip(req)
	case proxied(req):
		r.outside.Store(true) // what a proxy reaches is its to decide
	case r.outside.Load():
		return r.guarded.RoundTrip(req)
	default:
		trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
			if at, err := netip.ParseAddrPort(i.Conn.RemoteAddr().String()); err == nil && r.public(at) {
				r.outside.Store(true)
			}
		}}
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
	}
	return r.open.RoundTrip(req)
}

func proxied(req *http.Request) bool {
	proxy, err := http.ProxyFromEnvironment(req)
	return proxy != nil || err != nil
}

// refused says why a request was not sent on, as the rest of a sentence.
func (r *route) refused(err error) (why string, refused bool) {
	if !errors.As(err, &privateError{}) {
		return "", false
	}
	why = "may not go there: it is an address of this machine or of a private network"
	if r.redirected {
		why = "was redirected to an address of this machine or of a private network"
	}
	return why + allowed, true
}

// public reports whether an address is one of the internet, by the registries of special addresses (RFC 6890 and its successors).
func public(at netip.AddrPort) bool {
	a := at.Addr().WithZone("").Unmap()
	if nat64.Contains(a) { // leads to the IPv4 address in its last four bytes
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.Is6() && !global.Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

var (
	global = netip.MustParsePrefix("2000::/3")
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
)

// special are the ranges that are not of the internet, and 168.63.129.16, where Azure answers its machines.
var special = prefixes(`
	0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16
	198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 168.63.129.16/32
	2001::/23 2001:db8::/32 2002::/16 3fff::/20`)

func prefixes(text string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range strings.Fields(text) {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// odd reports whether a host is a number that some programs read as an IPv4 address, such as 2130706433, 0x7f.1 or 0177.0.0.1. The rule is that of
// browsers: a host whose last part is a number is an address.
func odd(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	last := host[strings.LastIndexByte(host, '.')+1:]
	digits, base := last, "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		digits, base = hex, "0123456789abcdef"
	}
	return last != "" && strings.Trim(digits, base) == ""
}
