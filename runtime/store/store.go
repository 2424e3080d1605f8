// Package store is the border between a run and what keeps it: the log of its facts, the documents and the large values they name.
//
// Atomic together, always: log head, lease token, dedup and inbox of one run. Everything else is derived from it and repairable.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/slopstudios/slop/runtime/run"
)

// The errors callers branch on.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
	ErrHeld     = errors.New("another holds the lease")
	ErrFenced   = errors.New("the lease went to another")
	ErrConflict = errors.New("the head moved")
	ErrFinished = errors.New("the run is finished")
)

// Store is everything an engine keeps. storetest.Run holds every implementation to the same contract.
type Store interface {
	Log
	Blobs
	Docs
	Close() error
}

// Log keeps the facts of runs. All methods may be called from any goroutine. Facts that were handed in or out are never changed by anybody.
type Log interface {
	// Create begins the log of a run with its first facts (Seq 1, 2, …) and leases it to owner for ttl (0: until Release). ErrExists.
	Create(ctx context.Context, id run.ID, owner string, ttl time.Duration, facts ...run.Fact) (run.Lease, error)
	// Claim leases a run to owner. ErrHeld, ErrNotFound, ErrFinished. An owner that claims again gets a new token; its old lease is void.
	Claim(ctx context.Context, id run.ID, owner string, ttl time.Duration) (run.Lease, error)
	// Extend makes a lease last for ttl from now. ErrFenced.
	Extend(ctx context.Context, lease run.Lease, ttl time.Duration) (run.Lease, error)
	// Release gives a lease back. Giving back one that was lost is no error.
	Release(ctx context.Context, lease run.Lease) error
	// Append adds facts after head; only the holder of the run's lease may. The facts are numbered head+1, head+2, …
	// ErrFenced: the lease went to another. ErrConflict: the head moved. ErrFinished: nothing follows Finished. Then nothing was stored.
	// Any other error leaves it unknown whether they were stored: reload and look.
	Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error
	// Tell adds one fact from outside at whatever the head is, wakes the run, and returns its seq. It needs no lease. f.Seq is ignored.
	// The second Tell with the same dedup ("" is none) returns the first one's seq and adds nothing. ErrNotFound, ErrFinished.
	Tell(ctx context.Context, id run.ID, f run.Fact, dedup string) (run.Seq, error)
	// Told yields the id of each run that is told something, until ctx ends. It yields "" whenever it has begun to listen, or listens again after a gap:
	// what was told before may have been missed. It may repeat an id; it never blocks a teller.
	Told(ctx context.Context) iter.Seq2[run.ID, error]
	// Load gives the facts after a seq that are stored now. ErrNotFound. The slice must not be changed.
	Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error)
	// Tail yields history, then what comes. It ends after Finished, when ctx ends (with ctx.Err), or with an error.
	Tail(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[run.Fact, error]
	// Unfinished yields the runs without Finished, oldest first.
	Unfinished(ctx context.Context) iter.Seq2[run.ID, error]
}

// Blobs keeps bytes under their SHA-256 in lower-case hex.
type Blobs interface {
	// PutBlob keeps data, which must not be changed afterwards, and returns its hash.
	PutBlob(ctx context.Context, data []byte) (hash string, err error)
	// GetBlob gives the bytes. ErrNotFound. They must not be changed.
	GetBlob(ctx context.Context, hash string) ([]byte, error)
}

// Docs keeps small named documents with versions from 1.
type Docs interface {
	// PutDoc writes the version after version (0: the first). ErrConflict when the document has moved on.
	PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error
	// GetDoc gives the newest version. ErrNotFound.
	GetDoc(ctx context.Context, kind, name string) (data []byte, version uint64, err error)
}
