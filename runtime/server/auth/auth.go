// Package auth says who asks, what they may do and whose things are theirs.
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Role is what a caller may do. Each role may do what those before it may.
type Role int

// The roles.
const (
	Anyone   Role = iota // who says nothing of themselves
	Viewer               // looks
	Operator             // starts runs, steers and answers them, writes flows, templates and contexts
	Admin                // registers agents, makes and revokes tokens, reads the audit log
)

var roleNames = []string{"anyone", "viewer", "operator", "admin"}

func (r Role) String() string { return roleNames[r] }

// ParseRole reads the name of a role that a caller can have.
func ParseRole(name string) (Role, error) {
	for i, known := range roleNames[1:] {
		if name == known {
			return Role(i + 1), nil
		}
	}
	return 0, fmt.Errorf("there is no role %q; there are: viewer, operator, admin", name)
}

// Caller is who asks. Tenant and Name come from what proved it, never from what is asked.
type Caller struct {
	Tenant string // whose things these are: part of the name of everything that is kept
	Name   string // for histories and the audit log
	Role   Role
	Proof  string    // names what proved it, as `token 3f2a…`; it is no secret. "": nothing did
	Until  time.Time // when that holds no more; zero: nothing is known
}

// tenants may be part of the names of documents, where a slash divides.
var tenants = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._@-]{0,63}$`)

// CheckTenant refuses what cannot be the name of a tenant.
func CheckTenant(name string) error {
	if !tenants.MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a tenant: up to 64 letters, digits and . _ @ -, the first no sign but _", name)
	}
	return nil
}

// Bearer is what a request proves its caller with (RFC 6750, section 2.1). A token in a URL is none: URLs end up in logs.
func Bearer(r *http.Request) (text string, ok bool) {
	kind, text, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(text), ok && strings.EqualFold(kind, "Bearer")
}

// ErrUnknown is of who proves nothing, or nothing that holds any more.
var ErrUnknown = errors.New("this needs a token")

// Gate tells who asks. All methods may be called from any goroutine.
type Gate interface {
	// Caller proves who sent a request. ErrUnknown; any other error is the gate's own trouble.
	Caller(r *http.Request) (Caller, error)
	// Holds reports whether what proved a caller still does: a stream that lasts asks again every few seconds. ErrUnknown.
	Holds(ctx context.Context, c Caller) error
}

// Local is the tenant of a server without tokens, and of a token that names none.
const Local = "local"

// Open is the gate of a server that only programs of the same machine can reach: they are all its one admin.
type Open struct{}

// Caller implements Gate.
func (Open) Caller(*http.Request) (Caller, error) {
	return Caller{Tenant: Local, Name: Local, Role: Admin}, nil
}

// Holds implements Gate.
func (Open) Holds(context.Context, Caller) error { return nil }

// AnyOf lets in whom one of several gates knows.
type AnyOf []Gate

// Caller implements Gate.
func (all AnyOf) Caller(r *http.Request) (Caller, error) {
	trouble := ErrUnknown
	for _, g := range all {
		c, err := g.Caller(r)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, ErrUnknown) {
			trouble = err
		}
	}
	return Caller{}, trouble
}

// Holds implements Gate.
func (all AnyOf) Holds(ctx context.Context, c Caller) error {
	trouble := ErrUnknown
	for _, g := range all {
		err := g.Holds(ctx, c)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrUnknown) {
			trouble = err
		}
	}
	return trouble
}

type callerKey struct{}

// With notes the caller of a request.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From gives the caller that With noted.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
