// Package metrics counts what runs do: how they end, how long they and their steps take, what they cost.
//
//	metrics/acme/2026112722/9f3c…-1     metrics/acme/2026112723/9f3c…-2      one document a tenant, hour and process
//	                                    metrics/acme/2026112723/07aa…-1
//	                                     └── merged when somebody asks
//
// A process counts the facts that it stores and writes its own documents, so no two ever count the same fact or write the same document. Times are kept as
// sketches, which can be merged without losing their quantiles.
package metrics

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

const kind = "metrics" // of the documents

// The bounds of what is kept.
const (
	Keep       = 7 * 24 * time.Hour // how long an hour is kept
	writeEvery = 10 * time.Second   // what a crash costs at most
	storeTime  = 5 * time.Second    // for all that is written at once
	maxSeries  = 1000               // of a tenant in an hour: steps beyond count as Other
	maxName    = 200                // bytes of the name of a flow, step or agent
)

// Other is the name of all that has no counter of its own, because there are too many.
const Other = "(other)"

// hourName is how an hour stands in the name of a document: names of later hours come later.
const hourName = "2006010215"

// Config says what a book works with. The zero value works.
type Config struct {
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // hears of what cannot be written; nil: nobody
}

// Book counts what the runs of one process do. All methods may be called from any goroutine.
type Book struct {
	docs    store.Docs
	now     func() time.Time
	log     *slog.Logger
	process string

	mu     sync.Mutex
	pages  map[pageKey]*page
	made   int // pages, so that each has a name of its own
	totals Totals
	pruned time.Time // the hour at which old documents were looked for last
}

type pageKey struct {
	tenant string
	hour   int64 // Unix time of its begin
}

// page is what a tenant's runs did in an hour, as far as this process knows.
type page struct {
	hour    time.Time
	name    string
	counts  counts
	changed bool
	version uint64 // of the document; 0: there is none
}

// New returns a book on a store.
func New(docs store.Docs, c Config) *Book {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never fails
	return &Book{docs: docs, now: c.Now, log: c.Log, process: hex.EncodeToString(id[:]), pages: map[pageKey]*page{}, totals: newTotals()}
}

// page is where something that happened at a time is counted. The caller holds mu.
func (b *Book) page(tenant string, at time.Time) *page {
	hour := at.Unix() - at.Unix()%3600
	key := pageKey{tenant, hour}
	p := b.pages[key]
	if p == nil {
		b.made++
		begin := time.Unix(hour, 0).UTC()
		p = &page{hour: begin, name: fmt.Sprintf("%s%s/%s-%d", folder(tenant), begin.Format(hourName), b.process, b.made)}
		b.pages[key] = p
	}
	p.changed = true
	return p
}

func folder(tenant string) string { return url.PathEscape(tenant) + "/" }

// Write keeps what was counted, every few seconds until ctx ends and once more then.
func (b *Book) Write(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.flush()
			return
		}
		b.flush()
	}
}

func (b *Book) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	if err := b.Flush(ctx); err != nil {
		b.log.Warn("metrics cannot be written", "error", err) // they are counted on, and written when that can be done
	}
}

// Flush writes what has changed since, lets go of hours that are over, and drops the documents of those that are too old. It is called by one goroutine at a time.
func (b *Book) Flush(ctx context.Context) error {
	type draft struct {
		page *page
		data []byte
	}
	var drafts []draft
	var failed error
	b.mu.Lock()
	over := b.now().Add(-2 * time.Hour) // what comes late has its time
	for key, p := range b.pages {
		if !p.changed {
			if p.hour.Before(over) {
				delete(b.pages, key)
			}
			continue
		}
		data, err := json.Marshal(&p.counts)
		if err != nil {
			failed = err
			continue
		}
		p.changed = false
		drafts = append(drafts, draft{p, data})
	}
	b.mu.Unlock()
	for _, d := range drafts {
		if err := b.put(ctx, d.page, d.data); err != nil {
			failed = err
			b.mu.Lock()
			d.page.changed = true
			b.mu.Unlock()
		}
	}
	if failed != nil {
		return failed
	}
	return b.prune(ctx)
}

// put writes a document, which nobody else does: when it has moved on, a write did whose end was not heard of.
func (b *Book) put(ctx context.Context, p *page, data []byte) error {
	err := b.docs.PutDoc(ctx, kind, p.name, p.version, data)
	if errors.Is(err, store.ErrConflict) {
		_, version, lost := b.docs.GetDoc(ctx, kind, p.name)
		if lost != nil && !errors.Is(lost, store.ErrNotFound) {
			return lost
		}
		p.version = version
		err = b.docs.PutDoc(ctx, kind, p.name, p.version, data)
	}
	if err != nil {
		return err
	}
	p.version++
	return nil
}

// prune drops what is too old, of all tenants, once an hour.
func (b *Book) prune(ctx context.Context) error {
	now := b.now().UTC()
	if now.Truncate(time.Hour).Equal(b.pruned) {
		return nil
	}
	oldest := now.Add(-Keep).Truncate(time.Hour).Format(hourName)
	var old []string
	for name, err := range b.docs.AllDocs(ctx, kind, "") {
		if err != nil {
			return err
		}
		if hour, ok := hourOf(name); ok && hour < oldest {
			old = append(old, name)
		}
	}
	for _, name := range old {
		_, version, err := b.docs.GetDoc(ctx, kind, name)
		if err == nil {
			err = b.docs.DropDoc(ctx, kind, name, version)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	b.pruned = now.Truncate(time.Hour)
	return nil
}

// hourOf is the hour in the name of a document.
func hourOf(name string) (string, bool) {
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return "", false
	}
	return parts[1], true
}
