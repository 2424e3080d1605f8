package contexts

import "errors"

// Place is what outlives runs, seen from outside of them: whose it is, and, of the scope Flow, of which flow in which pool.
type Place struct {
	Scope  Scope
	Tenant string
	Pool   string
	Flow   string
}

// What keeps a change from outside from being made.
var (
	ErrMoved = errors.New("shared state is of another version")
	ErrNone  = errors.New("there is no such value")
)

// Match says what a change from outside is for; the zero value is for whatever is there.
type Match struct {
	Version uint64 // of the document: all that is below one first name; 0: any
	Some    bool   // something must be there
}
