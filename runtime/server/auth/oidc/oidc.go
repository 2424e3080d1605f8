// Package oidc lets in whom an OpenID Connect issuer vouches for.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/slopstudios/slop/runtime/server/auth"
)

// Config says whose word counts, and how its claims are read.
type Config struct {
	Issuer   string // its address, as it stands in tokens
	Audience string // what tokens must be made for
	// RoleClaim holds a role, or a list of them: the highest counts. "": roles.
	RoleClaim string
	// Roles are the values of that claim that make a viewer, an operator, an admin. Without any they are these three words.
	Roles map[auth.Role][]string
	// TenantClaim holds the tenant. "": all are of the tenant auth.Local.
	TenantClaim string
	// NameClaim holds the name for histories and the audit log. "": sub.
	NameClaim string
	Client    *http.Client     // nil: one that waits no longer than ten seconds
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // hears why a token is refused, without the token. nil: nobody
}

// Gate is the gate of an issuer. Its keys are read when the first token comes, and again when a token names one that is not known.
type Gate struct {
	config Config

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
	trouble  error // of the last try to read what the issuer says of itself
	tried    time.Time
}

// again is how long after a failure the issuer is asked again: requests that come meanwhile fail at once, and do not queue up.
const again = 2 * time.Second

// algorithms are those of keys that only the issuer has: neither none nor a shared secret.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

// New returns the gate of an issuer, and asks nobody.
func New(c Config) *Gate {
	if c.RoleClaim == "" {
		c.RoleClaim = "roles"
	}
	if c.NameClaim == "" {
		c.NameClaim = "sub"
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 10 * time.Second}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Gate{config: c}
}

// known reads what the issuer says of itself, until it was read once.
func (g *Gate) known(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.verifier != nil {
		return g.verifier, nil
	}
	if g.trouble != nil && time.Since(g.tried) < again {
		return nil, g.trouble
	}
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), g.config.Client) // keys are read long after this request, with the same client
	provider, err := oidc.NewProvider(ctx, g.config.Issuer)
	if err != nil {
		g.trouble, g.tried = fmt.Errorf("the OIDC issuer %s cannot be asked: %w", g.config.Issuer, err), time.Now()
		return nil, g.trouble
	}
	g.verifier = provider.Verifier(&oidc.Config{ClientID: g.config.Audience, SupportedSigningAlgs: algorithms, Now: g.config.Now})
	return g.verifier, nil
}

// Caller implements auth.Gate.
func (g *Gate) Caller(r *http.Request) (auth.Caller, error) {
	text, ok := auth.Bearer(r)
	if !ok || strings.Count(text, ".") != 2 {
		return auth.Caller{}, auth.ErrUnknown // it is no JSON Web Token, signed
	}
	verifier, err := g.known(r.Context())
	if err != nil {
		return auth.Caller{}, err
	}
	token, err := verifier.Verify(r.Context(), text)
	if err != nil {
		var network interface{ Timeout() bool }
		if errors.As(err, &network) || errors.Is(err, context.Canceled) {
			return auth.Caller{}, fmt.Errorf("the keys of %s cannot be read: %w", g.config.Issuer, err)
		}
		return auth.Caller{}, g.refuse("%s", err.Error())
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return auth.Caller{}, g.refuse("its claims cannot be read")
	}
	c := auth.Caller{Tenant: auth.Local, Role: g.role(claims), Proof: proofStart + token.Subject, Until: token.Expiry}
	if c.Name, _ = find(claims, g.config.NameClaim).(string); c.Name == "" {
		c.Name = token.Subject
	}
	if g.config.TenantClaim != "" {
		c.Tenant, _ = find(claims, g.config.TenantClaim).(string)
		if err := auth.CheckTenant(c.Tenant); err != nil {
			return auth.Caller{}, g.refuse("claim %s: %s", g.config.TenantClaim, err)
		}
	}
	return c, nil
}

// refuse tells the log why, and the caller nothing: who makes up tokens is not taught.
func (g *Gate) refuse(format string, args ...any) error {
	g.config.Log.Warn("a token of the OIDC issuer is refused", "why", fmt.Sprintf(format, args...))
	return auth.ErrUnknown
}

const proofStart = "oidc "

// Holds implements auth.Gate. Nobody tells us when an issuer takes a token back: it holds until it expires.
func (g *Gate) Holds(_ context.Context, c auth.Caller) error {
	if strings.HasPrefix(c.Proof, proofStart) && g.config.Now().Before(c.Until) {
		return nil
	}
	return auth.ErrUnknown
}

// role is the highest that the claim gives; auth.Anyone when it gives none.
func (g *Gate) role(claims map[string]any) auth.Role {
	var said []string
	switch v := find(claims, g.config.RoleClaim).(type) {
	case string:
		said = strings.Fields(v)
	case []any:
		for _, one := range v {
			if text, ok := one.(string); ok {
				said = append(said, text)
			}
		}
	}
	highest := auth.Anyone
	for _, word := range said {
		if len(g.config.Roles) == 0 {
			if role, err := auth.ParseRole(word); err == nil {
				highest = max(highest, role)
			}
			continue
		}
		for role, words := range g.config.Roles {
			for _, w := range words {
				if w == word {
					highest = max(highest, role)
				}
			}
		}
	}
	return highest
}

// find gives a claim by its name, or by a path of names with dots between them, as in realm_access.roles.
func find(claims map[string]any, name string) any {
	if v, ok := claims[name]; ok {
		return v
	}
	first, rest, nested := strings.Cut(name, ".")
	if inner, ok := claims[first].(map[string]any); ok && nested {
		return find(inner, rest)
	}
	return nil
}
