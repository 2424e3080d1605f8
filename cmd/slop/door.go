package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/config"
	"github.com/slopstudios/slop/runtime/server"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/server/auth/oidc"
	"github.com/slopstudios/slop/runtime/store"
)

// defaultListen is where a server listens when nobody says.
const defaultListen = "127.0.0.1:7070"

// door is where a server listens, and whom it lets in.
type door struct {
	config.Server
	gate auth.Gate // nil: every program of this machine
}

// guarded says in the line that a server prints who may call.
func (d *door) guarded() string {
	if d.gate == nil {
		return "for programs of this machine"
	}
	return "for callers with a token"
}

// limits bound callers. Programs of this machine are one person's, who need not be kept from asking.
func (d *door) limits() server.Limits {
	var l server.Limits
	if d.gate != nil {
		l = server.DefaultLimits
	}
	rate := func(to *store.Rate, said string) {
		if count, per := config.Per(said); count > 0 {
			*to = store.Rate{Count: count, Per: per, Burst: 2 * count}
		}
	}
	rate(&l.Caller, d.Rate)
	rate(&l.Address, d.AddressRate)
	if d.Streams > 0 {
		l.Streams = d.Streams
	}
	return l
}

// said puts flags before the environment, and that before slop.toml.
func (v *serveCmd) said(conf config.Server) (*door, error) {
	d := &door{Server: conf}
	from := "--listen"
	if d.Listen = v.Listen; d.Listen == "" {
		d.Listen, from = os.Getenv("SLOP_LISTEN"), "SLOP_LISTEN"
	}
	d.Listen = cmp.Or(d.Listen, conf.Listen, defaultListen)
	if !config.CheckListen(d.Listen) {
		return nil, usage("%s %s: an address and a port, like %s", from, d.Listen, defaultListen)
	}
	d.Auth = d.Auth || v.Auth || os.Getenv("SLOP_AUTH") == "1"
	if words := listed("SLOP_HOSTS"); words != nil {
		d.Hosts = words
	}
	if words := listed("SLOP_ORIGINS"); words != nil {
		d.Origins = words
	}
	for _, origin := range d.Origins {
		if !config.CheckOrigin(origin) {
			return nil, usage("SLOP_ORIGINS %s: where web pages come from, like https://app.example.com", origin)
		}
	}
	if words := listed("SLOP_PROXIES"); words != nil {
		d.Proxies = nil
		for _, word := range words {
			p, err := config.ParseProxy(word)
			if err != nil {
				return nil, usage("SLOP_PROXIES %s: an address, or a range like 10.0.0.0/8", word)
			}
			d.Proxies = append(d.Proxies, p)
		}
	}
	if issuer := os.Getenv("SLOP_OIDC_ISSUER"); issuer != "" {
		o := config.OIDC{}
		if d.OIDC != nil {
			o = *d.OIDC
		}
		if o.Issuer, o.Audience = issuer, cmp.Or(os.Getenv("SLOP_OIDC_AUDIENCE"), o.Audience); o.Audience == "" {
			return nil, usage("SLOP_OIDC_ISSUER needs SLOP_OIDC_AUDIENCE: what its tokens are made for")
		}
		d.OIDC = &o
	}
	return d, nil
}

// listed are the words of a variable between commas; nil: it is not set.
func listed(name string) (words []string) {
	for word := range strings.SplitSeq(os.Getenv(name), ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// guard decides whether callers must say who they are, and refuses to serve other machines when none could.
func (d *door) guard(ctx context.Context, st *state, log *slog.Logger) error {
	tokens := auth.NewTokens(st.store, nil)
	used, holds, err := tokens.Any(ctx)
	if err != nil {
		return st.unusable(err)
	}
	local := config.Loopback(d.Listen)
	switch {
	case local && !used && !d.Auth && d.OIDC == nil:
		return nil
	case holds, d.OIDC != nil:
	case !local:
		return usage("--listen %s is reached from other machines, so callers must say who they are, and nobody can yet. Make a token first:\n"+
			"  slop token create --role operator --expires 30d%s\nor name an OIDC issuer (slop help configuration); or serve this machine only: --listen %s",
			d.Listen, st.said, defaultListen)
	case used:
		return usage("all tokens have expired, so nobody could call. Make one, or revoke those that there are (slop token list%s), and programs of this machine need none:\n"+
			"  slop token create --role operator --expires 30d%s", st.said, st.said)
	default:
		return usage("callers must say who they are, and nobody can yet. Make a token first:\n  slop token create --role operator --expires 30d%s", st.said)
	}
	gates := auth.AnyOf{tokens}
	if o := d.OIDC; o != nil {
		c := oidc.Config{Issuer: o.Issuer, Audience: o.Audience, RoleClaim: o.RoleClaim, TenantClaim: o.TenantClaim, NameClaim: o.NameClaim, Log: log}
		for name, values := range o.Roles {
			role, err := auth.ParseRole(name)
			if err != nil {
				return fmt.Errorf("[server.oidc] roles: %w", err)
			}
			if c.Roles == nil {
				c.Roles = map[auth.Role][]string{}
			}
			c.Roles[role] = values
		}
		gates = append(gates, oidc.New(c))
	}
	d.gate = gates
	if !local {
		log.Warn("tokens travel as they are: put a proxy with TLS before a server that other machines reach", "listen", d.Listen)
	}
	return nil
}
