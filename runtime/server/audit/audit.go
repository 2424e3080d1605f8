// Package audit keeps who changed what, and when: a list a tenant that only grows, in which each entry names the hash of the one before, so that what is taken
// away or written over later shows.
//
//	audit/acme/…01         audit/acme/…02               audit/acme/…03
//	┌──────────────┐       ┌──────────────┬─────────┐   ┌──────────────┐
//	│ entry 1      │◀─hash─│ entry 2      │ entry 3 │◀──│ entry 4      │      a batch is what waited while the one before was written
//	└──────────────┘       └──────────────┴─────────┘   └──────────────┘
//
// It holds no bodies and no secrets.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

// The kinds of the documents: the batches of a tenant, and where its list begins since the oldest went.
const (
	batchKind  = "audit"
	anchorKind = "audit-anchor"
)

// The bounds of a list.
const (
	DefaultKeep = 400 * 24 * time.Hour // how old an entry gets
	maxBatches  = 100_000              // of a tenant
	maxBatch    = 64                   // entries in a document
	waiting     = 4096                 // entries that wait to be written
	noteTime    = 2 * time.Second      // that a request waits for its entry; after that the entry is written as soon as it can be
	storeTime   = 10 * time.Second     // for one look or write
	pruneEvery  = 64                   // batches between two looks for what is too old
	pruneMost   = 256                  // batches that go at once
)

// Entry is one change, or one that was asked for and refused.
type Entry struct {
	Seq     uint64    `json:"seq"` // from 1, without gaps
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Role    string    `json:"role"`
	Proof   string    `json:"proof,omitempty"`   // names what proved the caller, as `token 3f2a…`
	Address string    `json:"address,omitempty"` // where it came from
	Method  string    `json:"method"`            // of HTTP; WS: a command on a socket; CLI: a command line beside the server
	Route   string    `json:"route"`             // the operation, as the description of the API names it
	Path    string    `json:"path,omitempty"`    // what it was about
	Made    string    `json:"made,omitempty"`    // where what was made is
	Status  int       `json:"status"`            // of the answer
	Code    string    `json:"code,omitempty"`    // of the problem that was answered
	Request string    `json:"request,omitempty"` // the id of the request
	Hash    string    `json:"-"`                 // SHA-256 of the hash before and this entry, in hex
}

// batch is a document.
type batch struct {
	Entries []sealed `json:"entries"`
}

// sealed is an entry as it was hashed.
type sealed struct {
	Hash  string          `json:"hash"`
	Entry json.RawMessage `json:"entry"`
}

// anchor is where a list begins, when its oldest batches are gone.
type anchor struct {
	First uint64 `json:"first"` // number of the oldest batch
	Hash  string `json:"hash"`  // of the entry before
	Seq   uint64 `json:"seq"`   // of the entry before
}

func seal(before string, entry []byte) string {
	sum := sha256.Sum256(append([]byte(before+"\n"), entry...))
	return hex.EncodeToString(sum[:])
}

func batchName(tenant string, n uint64) string {
	return fmt.Sprintf("%s/%016d", url.PathEscape(tenant), n)
}

// Config says how long entries are kept. The zero value works.
type Config struct {
	Keep time.Duration    // 0: DefaultKeep
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // hears of entries that cannot be written. nil: nobody
}

// Book writes the lists of a store. All methods may be called from any goroutine. Several books on one store write one list a tenant.
type Book struct {
	docs   store.Docs
	config Config
	heads  map[string]*head // the writer's
	quit   chan struct{}    // closed by Close: nothing is tried twice any more
	once   sync.Once

	mu    sync.Mutex
	queue []*noted
	idle  chan struct{} // closed when the writer has ended; nil: there is none
}

// noted is an entry on its way.
type noted struct {
	tenant string
	entry  Entry
	stored chan struct{} // closed when it is
}

// New returns a book on a store.
func New(docs store.Docs, c Config) *Book {
	if c.Keep <= 0 {
		c.Keep = DefaultKeep
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Book{docs: docs, config: c, heads: map[string]*head{}, quit: make(chan struct{})}
}

// ErrLater is of an entry that could not be written at once. It is written as soon as it can be.
var ErrLater = errors.New("the audit log cannot be written now")

// Note adds an entry to the list of a tenant, and waits until it is stored. Seq is given; At is when nobody says another.
func (b *Book) Note(ctx context.Context, tenant string, e Entry) error {
	if e.At.IsZero() {
		e.At = b.config.Now()
	}
	e.At = e.At.UTC().Truncate(time.Millisecond)
	n := &noted{tenant, e, make(chan struct{})}
	b.mu.Lock()
	full := len(b.queue) >= waiting
	if !full {
		b.queue = append(b.queue, n)
		if b.idle == nil {
			b.idle = make(chan struct{})
			go b.write()
		}
	}
	b.mu.Unlock()
	if full {
		b.lost(n)
		return ErrLater
	}
	patience := time.NewTimer(noteTime)
	defer patience.Stop()
	select {
	case <-n.stored:
		return nil
	case <-patience.C:
		return ErrLater
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lost gives an entry that cannot be kept to the log, so that it is somewhere.
func (b *Book) lost(n *noted) {
	text, _ := json.Marshal(n.entry) // texts, numbers and a time
	b.config.Log.Error("an entry of the audit log cannot be kept", "tenant", n.tenant, "entry", string(text))
}

// Close waits until what waits is written, as long as ctx lasts. What cannot be written any more the log gets. An entry that comes later is tried once.
func (b *Book) Close(ctx context.Context) error {
	b.once.Do(func() { close(b.quit) })
	b.mu.Lock()
	idle := b.idle
	b.mu.Unlock()
	if idle == nil {
		return nil
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the one who writes, batch after batch, while there is something to write.
func (b *Book) write() {
	for {
		b.mu.Lock()
		some := b.queue[:min(len(b.queue), maxBatch)]
		if b.queue = b.queue[len(some):]; len(some) == 0 {
			close(b.idle)
			b.idle, b.queue = nil, nil
			b.mu.Unlock()
			return
		}
		b.mu.Unlock()
		byTenant := map[string][]*noted{}
		for _, n := range some {
			byTenant[n.tenant] = append(byTenant[n.tenant], n)
		}
		for tenant, some := range byTenant {
			b.keep(tenant, some)
		}
	}
}

// keep writes a batch. A store that is away is asked again until the book closes.
func (b *Book) keep(tenant string, some []*noted) {
	var sent []byte // what was handed to the store and may be there
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := b.append(tenant, some, &sent)
		if err == nil {
			for _, n := range some {
				close(n.stored)
			}
			return
		}
		delete(b.heads, tenant)
		b.config.Log.Warn("the audit log cannot be written", "tenant", tenant, "error", err)
		select {
		case <-b.quit:
			for _, n := range some {
				b.lost(n)
			}
			return
		case <-time.After(wait):
		}
	}
}

// append writes a batch behind the last one. Another server may write at the same time: then its batch comes first.
func (b *Book) append(tenant string, some []*noted, sent *[]byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	for {
		h := b.heads[tenant]
		if h == nil {
			var err error
			if h, err = find(ctx, b.docs, tenant); err != nil {
				return err
			}
			if *sent != nil && string(h.last) == string(*sent) {
				b.heads[tenant] = h // the store had it when it said that it knew nothing
				return nil
			}
		}
		var doc batch
		next := head{number: h.number + 1, hash: h.hash, seq: h.seq}
		for _, n := range some {
			next.seq++
			n.entry.Seq = next.seq
			text, err := json.Marshal(n.entry)
			if err != nil {
				return err
			}
			next.hash = seal(next.hash, text)
			doc.Entries = append(doc.Entries, sealed{next.hash, text})
		}
		data, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		*sent = data
		err = b.docs.PutDoc(ctx, batchKind, batchName(tenant, next.number), 0, data)
		if errors.Is(err, store.ErrConflict) {
			delete(b.heads, tenant)
			continue
		}
		if err != nil {
			return err
		}
		b.heads[tenant] = &next
		if next.number%pruneEvery == 0 {
			if err := b.prune(ctx, tenant, next.number); err != nil {
				b.config.Log.Warn("the audit log cannot be shortened", "tenant", tenant, "error", err)
			}
		}
		return nil
	}
}
