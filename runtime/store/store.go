// Package store is the border between a run and what keeps it: the log of its facts, the documents and the large values they name.
//
// Atomic together, always: log head, lease token, dedup and inbox of one run. Everything else is derived from it and repairable.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/slopstudios/slop/lang/plan"
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
	ErrCursor   = errors.New("the cursor is not one that was given out")
	ErrCorrupt  = errors.New("what is stored was damaged")
)

// Store is everything an engine keeps. storetest.Run holds every implementation to the same contract.
type Store interface {
	Log
	Queue
	Limits
	Index
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
	// Rest gives a lease back when the log still ends at head, and hints for a worker at wake (zero: only when the run is told something).
	// ErrConflict: the run was told something since; the lease stays. ErrFenced.
	Rest(ctx context.Context, lease run.Lease, head run.Seq, wake time.Time) error
	// Append adds facts after head; only the holder of the run's lease may. The facts are numbered head+1, head+2, …
	// ErrFenced: the lease went to another. ErrConflict: the head moved. ErrFinished: nothing follows Finished. Then nothing was stored.
	// Any other error leaves it unknown whether they were stored: reload and look. With Finished the lease has served: it need not be given back.
	Append(ctx context.Context, lease run.Lease, head run.Seq, facts ...run.Fact) error
	// Tell adds one fact from outside at whatever the head is, wakes the run (Told hears, and its pool's queue has a hint that is due), and returns its
	// seq. It needs no lease. f.Seq is ignored.
	// The second Tell with the same dedup ("" is none) returns the first one's seq and adds nothing. ErrNotFound, ErrFinished.
	Tell(ctx context.Context, id run.ID, f run.Fact, dedup string) (run.Seq, error)
	// Told yields the id of each run that is told something, until ctx ends. It yields "" whenever it has begun to listen, or listens again after a gap:
	// what was told before may have been missed. It may repeat an id; it never blocks a teller.
	Told(ctx context.Context) iter.Seq2[run.ID, error]
	// Load gives the facts after a seq that are stored now. ErrNotFound. The slice must not be changed.
	Load(ctx context.Context, id run.ID, after run.Seq) ([]run.Fact, error)
	// Tail yields history, then what comes. It ends after Finished, when ctx ends (with ctx.Err), or with an error.
	Tail(ctx context.Context, id run.ID, after run.Seq) iter.Seq2[run.Fact, error]
	// Unfinished yields the runs without Finished, oldest first. pool is the one that Started names; "" yields those of all pools.
	Unfinished(ctx context.Context, pool string) iter.Seq2[run.ID, error]
	// Strays yields the unfinished runs of a pool that nobody holds and that no hint will wake, as a lost write or a lapsed lease leaves them: each as the hint
	// that it lacks. A run that rests until it is told something is none.
	Strays(ctx context.Context, pool string) iter.Seq2[Hint, error]
	// Lapsed yields the strays whose lease lapsed, whose holder is known to be dead, or whose hint was taken by somebody who died since, at a cost that does
	// not grow with the runs that rest. It is derived: it may miss a stray, which Strays finds, and yields nothing but strays.
	Lapsed(ctx context.Context, pool string) iter.Seq2[Hint, error]
	// Holder tells who holds the lease of a run: "" when nobody does, when the holder is known to be dead, or when the run is finished. ErrNotFound.
	Holder(ctx context.Context, id run.ID) (owner string, err error)
	// Remove takes the log of a finished run away, with its index entry. ErrNotFound; an unfinished run stays: ErrHeld.
	Remove(ctx context.Context, id run.ID) error
}

// Hint says that a run may want a worker.
type Hint struct {
	Run      run.ID
	Pool     string
	Priority int       // the higher first
	Due      time.Time // zero: now
}

// Named yields the runs of hints.
func Named(hints iter.Seq2[Hint, error]) iter.Seq2[run.ID, error] {
	return func(yield func(run.ID, error) bool) {
		for h, err := range hints {
			if !yield(h.Run, err) {
				return
			}
		}
	}
}

// Queue keeps hints. It is derived from the logs: a lost hint delays its run until the next sweep over Strays, it never strands it.
type Queue interface {
	// Enqueue keeps a hint. A run has one at most: of two the earlier Due and the higher Priority count.
	Enqueue(ctx context.Context, h Hint) error
	// Dequeue takes the next hint of a pool that is due away: the highest priority first, then the one due first. Without one, ok is false and next is
	// when the first of the pool becomes due (zero: there is none).
	Dequeue(ctx context.Context, pool string) (h Hint, ok bool, next time.Time, err error)
	// Queued counts the hints of a pool that are due.
	Queued(ctx context.Context, pool string) (int, error)
	// Hinted yields whenever the pool may have a new hint, and whenever it has begun to listen or listens again after a gap, until ctx ends.
	Hinted(ctx context.Context, pool string) iter.Seq2[struct{}, error]
}

// Rate lets Count things happen in Per, of which Burst at once (0: Count).
type Rate struct {
	Count int
	Per   time.Duration
	Burst int
}

// Limits are shared by all processes that share a store.
type Limits interface {
	// Take gives holder one of n slots under name until ttl has passed. A holder that has one keeps it for ttl from now. ok is false when all are taken.
	Take(ctx context.Context, name, holder string, n int, ttl time.Duration) (ok bool, err error)
	// Give gives a slot back. Giving back one that was lost is no error.
	Give(ctx context.Context, name, holder string) error
	// Pass lets one thing happen under a rate (the generic cell rate algorithm, GCRA, of ITU-T I.371). wait 0: it may, and is counted; else nothing is
	// counted and it would conform after wait.
	Pass(ctx context.Context, name string, rate Rate) (wait time.Duration, err error)
}

// Entry is what lists of runs show. It is derived from the facts of its run.
type Entry struct {
	Run        run.ID     `json:"id"`
	Flow       string     `json:"flow"`
	Status     run.Status `json:"status"`
	Started    time.Time  `json:"started"`
	Finished   time.Time  `json:"finished,omitzero"`
	Cost       plan.Money `json:"cost,omitempty"`
	CostSource run.Source `json:"costSource,omitempty"` // as in run.Usage
	Pool       string     `json:"pool,omitempty"`
	Tenant     string     `json:"tenant,omitempty"`
	Tags       []string   `json:"tags,omitempty"`
	Waiting    []run.Path `json:"waiting,omitempty"` // the questions that wait for an answer
	Code       string     `json:"code,omitempty"`    // of the error of a failed run
	Seq        run.Seq    `json:"seq"`               // of the fact it was derived at: an older entry never replaces a newer one
}

// Filter chooses entries; the zero value chooses all. What is set must all hold.
type Filter struct {
	Status  []run.Status // any of them
	Flow    string
	Pool    string
	Tenant  string
	Tag     string
	Text    string    // in the flow, a tag or the id, whatever its case
	Waiting bool      // only those with a question
	Since   time.Time // started at or after
	Limit   int       // 0: DefaultLimit
	Cursor  string    // what List returned as next
}

// DefaultLimit is how many entries List gives when nobody says; MaxLimit how many it gives at most.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// Index keeps an entry for each run, newest first.
type Index interface {
	// PutEntries keeps each entry unless a newer one (by Seq) is there. The entry of a run without a log is not kept. Of several, an error leaves it unknown
	// which are kept.
	PutEntries(ctx context.Context, entries ...Entry) error
	// GetEntry gives the entry of a run. ErrNotFound.
	GetEntry(ctx context.Context, id run.ID) (Entry, error)
	// List gives the entries that a filter chooses, by start, newest first, then by id; next is "" at the end. Between two pages no run is shown twice,
	// and none that was there all the time is left out. ErrCursor.
	List(ctx context.Context, f Filter) (entries []Entry, next string, err error)
}

// Blobs keeps bytes under their SHA-256 in lower-case hex.
type Blobs interface {
	// PutBlob keeps data, which must not be changed afterwards, and returns its hash.
	PutBlob(ctx context.Context, data []byte) (hash string, err error)
	// GetBlob gives the bytes. ErrNotFound. They must not be changed.
	GetBlob(ctx context.Context, hash string) ([]byte, error)
	// AllBlobs yields what is kept, in no order.
	AllBlobs(ctx context.Context) iter.Seq2[Blob, error]
	// DropBlob takes bytes away that were put before a time; later ones stay. Dropping what is not there is no error.
	DropBlob(ctx context.Context, hash string, before time.Time) error
}

// Blob describes bytes that are kept.
type Blob struct {
	Hash string
	Size int64
	Put  time.Time // when they were put last
}

// Docs keeps small named documents with versions from 1.
type Docs interface {
	// PutDoc writes the version after version (0: the first). ErrConflict when the document has moved on.
	PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error
	// GetDoc gives the newest version. ErrNotFound.
	GetDoc(ctx context.Context, kind, name string) (data []byte, version uint64, err error)
	// DropDoc takes a document away whose newest version is version. ErrConflict when it has moved on; dropping what is not there is no error. A document
	// that is put again begins at version 1.
	DropDoc(ctx context.Context, kind, name string, version uint64) error
	// AllDocs yields the names of a kind that begin with prefix, in order.
	AllDocs(ctx context.Context, kind, prefix string) iter.Seq2[string, error]
}
