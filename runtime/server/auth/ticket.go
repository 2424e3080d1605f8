package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

// TicketLife is how long a ticket waits to be used.
const TicketLife = 30 * time.Second

const (
	ticketKind  = "ticket"
	ticketStart = "ticket_"
	sweepEvery  = time.Minute
)

// Tickets let a web page open a WebSocket, for which a browser sends no header of the page's choice: who has proved who they are gets a text that does so once
// more, within half a minute. It may stand in a URL, since nobody can use it again. Any server of the store takes it.
type Tickets struct {
	docs store.Docs
	now  func() time.Time

	mu    sync.Mutex
	swept time.Time
}

// NewTickets returns the tickets of a store. now is time.Now, but for tests; nil is time.Now.
func NewTickets(docs store.Docs, now func() time.Time) *Tickets {
	if now == nil {
		now = time.Now
	}
	return &Tickets{docs: docs, now: now}
}

// ticket is what is kept of one, under the hash of its text.
type ticket struct {
	Caller  Caller    `json:"caller"`
	Expires time.Time `json:"expires"`
}

// Issue gives the text of a ticket for a caller.
func (t *Tickets) Issue(ctx context.Context, c Caller) (text string, expires time.Time, err error) {
	t.sweep(ctx)
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // it never fails
	text = ticketStart + base64.RawURLEncoding.EncodeToString(secret[:])
	one := ticket{c, t.now().UTC().Add(TicketLife).Truncate(time.Second)}
	data, err := json.Marshal(one)
	if err != nil {
		return "", time.Time{}, err
	}
	return text, one.Expires, t.docs.PutDoc(ctx, ticketKind, hashOf(text), 0, data)
}

// Redeem gives the caller of a ticket, once. ErrUnknown.
func (t *Tickets) Redeem(ctx context.Context, text string) (Caller, error) {
	if !strings.HasPrefix(text, ticketStart) || len(text) > 100 {
		return Caller{}, ErrUnknown
	}
	name := hashOf(text)
	data, version, err := t.docs.GetDoc(ctx, ticketKind, name)
	if errors.Is(err, store.ErrNotFound) {
		return Caller{}, ErrUnknown
	}
	if err != nil {
		return Caller{}, err
	}
	// Of those who come at once one may write the next version, and is let in.
	if err := t.docs.PutDoc(ctx, ticketKind, name, version, []byte("{}")); err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = ErrUnknown
		}
		return Caller{}, err
	}
	_ = t.docs.DropDoc(ctx, ticketKind, name, version+1) // the sweep finds it otherwise
	var one ticket
	if err := json.Unmarshal(data, &one); err != nil {
		return Caller{}, err
	}
	if !t.now().Before(one.Expires) {
		return Caller{}, ErrUnknown
	}
	return one.Caller, nil
}

// sweep takes tickets away that nobody used, now and then.
func (t *Tickets) sweep(ctx context.Context) {
	now := t.now()
	t.mu.Lock()
	due := now.Sub(t.swept) >= sweepEvery
	if due {
		t.swept = now
	}
	t.mu.Unlock()
	if !due {
		return
	}
	var names []string
	for name, err := range t.docs.AllDocs(ctx, ticketKind, "") {
		if err != nil {
			return
		}
		names = append(names, name)
	}
	for _, name := range names {
		data, version, err := t.docs.GetDoc(ctx, ticketKind, name)
		if err != nil {
			continue
		}
		var one ticket
		if json.Unmarshal(data, &one); !now.Before(one.Expires) {
			_ = t.docs.DropDoc(ctx, ticketKind, name, version) // tried again in a minute
		}
	}
}
