package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Server says how `slop serve` serves. A project's replaces the user's as a whole. Zero: not said.
type Server struct {
	Listen      string
	Auth        bool     // callers say who they are, also those of this machine
	Hosts       []string // names under which clients reach it
	Origins     []string // of web pages that may call it
	Proxies     []netip.Prefix
	OIDC        *OIDC
	Rate        string // of the requests of one caller, as "100/s"
	AddressRate string // of one address
	Streams     int    // of one caller at a time
	Connections int    // in all
	MaxBody     int    // bytes
	MaxRuns     int    // runs in memory at a time
	MaxQueued   int    // runs that may wait in line
	KeepAudit   time.Duration
	File        *File
}

// OIDC is [server.oidc]: whose tokens count beside those of slop token.
type OIDC struct {
	Issuer, Audience                  string
	RoleClaim, TenantClaim, NameClaim string
	Roles                             map[string][]string // values of the role claim that make a viewer, an operator, an admin
}

// Per gives the count and the time of a rate as it is written; 0: there is none.
func Per(rate string) (count int, per time.Duration) {
	digits, unit, _ := strings.Cut(rate, "/")
	count, _ = strconv.Atoi(digits) // the pattern has made sure
	if unit == "m" {
		return count, time.Minute
	}
	return count, time.Second
}

// Loopback reports whether an address to listen on is reached from this machine only.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// CheckListen refuses what is no address to listen on.
func CheckListen(listen string) bool {
	_, port, err := net.SplitHostPort(listen)
	n, bad := strconv.Atoi(port)
	return err == nil && bad == nil && n >= 0 && n < 1<<16
}

// CheckOrigin tells whether a text is the origin of a web page, as browsers send it: https://app.example.com.
func CheckOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.String() == u.Scheme+"://"+u.Host
}

// ParseProxy reads the address of a proxy, or a range of them.
func ParseProxy(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
	}
	return netip.ParsePrefix(text)
}

var serverKeys = []string{
	"listen", "auth", "hosts", "origins", "proxies", "oidc", "rate", "address_rate", "max_streams", "max_connections", "max_body", "max_runs", "max_queued", "keep_audit",
}

func (r *reader) server(t map[string]any) {
	s := Server{File: r.file}
	for _, key := range r.ordered([]string{"server"}, t) {
		at, v := []string{"server", key}, t[key]
		switch key {
		case "listen":
			r.text(at, v, &s.Listen)
			if !CheckListen(s.Listen) {
				r.fail(at, "", "`listen` is an address and a port: \"127.0.0.1:7070\"")
			}
			if !Loopback(s.Listen) {
				r.asks = append(r.asks, "serves other machines at "+s.Listen)
			}
		case "auth":
			r.flag(at, v, &s.Auth)
		case "hosts":
			s.Hosts = r.texts(at, v)
			if slices.ContainsFunc(s.Hosts, func(h string) bool { return h == "" || strings.ContainsAny(h, "/: ") }) {
				r.fail(at, "", "`hosts` lists names without a port: [\"slop.example.com\"]")
			}
		case "origins":
			s.Origins = r.texts(at, v)
			for _, origin := range s.Origins {
				if !CheckOrigin(origin) {
					r.fail(at, "", "`origins` lists where web pages come from, without a path: [\"https://app.example.com\"]")
				}
				r.asks = append(r.asks, "lets web pages of "+origin+" call the server")
			}
		case "proxies":
			for _, text := range r.texts(at, v) {
				p, err := ParseProxy(text)
				if err != nil {
					r.fail(at, "", "`proxies` lists addresses or ranges of them: [\"10.0.0.0/8\", \"127.0.0.1\"]")
				}
				s.Proxies = append(s.Proxies, p)
				r.asks = append(r.asks, "believes what "+text+" says of the addresses of callers")
			}
		case "oidc":
			s.OIDC = r.oidc(v)
		case "rate":
			r.rate(at, v, &s.Rate)
		case "address_rate":
			r.rate(at, v, &s.AddressRate)
		case "max_streams":
			r.count(at, v, &s.Streams)
		case "max_connections":
			r.count(at, v, &s.Connections)
		case "max_body":
			r.count(at, v, &s.MaxBody)
		case "max_runs":
			r.count(at, v, &s.MaxRuns)
		case "max_queued":
			r.count(at, v, &s.MaxQueued)
		case "keep_audit":
			s.KeepAudit, _ = r.duration(at, v)
		default:
			r.unknown(at, serverKeys)
		}
	}
	r.file.server = s
}

func (r *reader) rate(at []string, v any, to *string) {
	r.text(at, v, to)
	if !ratePattern.MatchString(*to) {
		r.fail(at, `such as "100/s"`, "`%s` must be a number of requests per second or minute", at[len(at)-1])
	}
}

func (r *reader) flag(at []string, v any, to *bool) {
	b, ok := v.(bool)
	if !ok {
		r.fail(at, "", "`%s` must be true or false", at[len(at)-1])
	}
	*to = b
}

var oidcKeys = []string{"issuer", "audience", "role_claim", "tenant_claim", "name_claim", "roles"}

func (r *reader) oidc(v any) *OIDC {
	path := []string{"server", "oidc"}
	t, ok := v.(map[string]any)
	if !ok {
		r.fail(path, "write it as a table: [server.oidc]", "`oidc` must be a table")
		return nil
	}
	o := &OIDC{}
	for _, key := range r.ordered(path, t) {
		at, v := append(slices.Clone(path), key), t[key]
		switch key {
		case "issuer":
			r.text(at, v, &o.Issuer)
			if u, err := url.Parse(o.Issuer); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
				r.fail(at, "", "`issuer` is the address that stands in its tokens as iss: \"https://login.example.com\"")
			}
		case "audience":
			r.text(at, v, &o.Audience)
		case "role_claim":
			r.text(at, v, &o.RoleClaim)
		case "tenant_claim":
			r.text(at, v, &o.TenantClaim)
		case "name_claim":
			r.text(at, v, &o.NameClaim)
		case "roles":
			roles, ok := v.(map[string]any)
			if !ok {
				r.fail(at, "", "`roles` says who is what: roles = {admin = [\"slop-admins\"], operator = [\"staff\"]}")
				break
			}
			o.Roles = map[string][]string{}
			for _, role := range r.ordered(at, roles) {
				at := append(slices.Clone(at), role)
				if !slices.Contains([]string{"viewer", "operator", "admin"}, role) {
					r.unknown(at, []string{"viewer", "operator", "admin"})
					break
				}
				o.Roles[role] = r.texts(at, roles[role])
			}
		default:
			r.unknown(at, oidcKeys)
		}
	}
	if o.Issuer == "" || o.Audience == "" {
		r.fail(path, "", "[server.oidc] needs an issuer, and the audience that its tokens are made for")
	}
	r.asks = append(r.asks, "lets in whom "+o.Issuer+" vouches for")
	return o
}
