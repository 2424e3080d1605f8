// Package auth says who asks, what they may do and whose things are theirs.
package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	Proof  string // names what proved it, as `token 3f2a…`; it is no secret. "": nothing did
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
