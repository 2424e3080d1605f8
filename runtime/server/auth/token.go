package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/slopstudios/slop/runtime/store"
)

// The kinds of the documents of tokens: one of each token, and one that says when it was used last, which many servers write and nobody needs to be exact.
const (
	tokenKind = "token"
	usedKind  = "token-used"
)

// The bounds of tokens.
const (
	MaxTokens   = 10_000 // of one store
	maxLife     = 10 * 365 * 24 * time.Hour
	kept        = 90 * 24 * time.Hour // how long a token that was revoked is listed
	cacheLife   = 2 * time.Second     // how old what is known of a token may be when a request comes
	holdsLife   = time.Second / 2     // and when a stream asks, which does so every few seconds
	cacheSize   = 10_000              // tokens, and names of none, that are remembered
	lookTime    = 5 * time.Second     // for the store to answer
	usedEvery   = 10 * time.Minute    // between two notes of a use
	tokenIDSize = 8                   // characters
	tokenStart  = "slop_"
	idAlphabet  = "abcdefghijkmnpqrstuvwxyz23456789" // 32 characters that are not taken for one another
)

// Token is what is kept of a token. Its text is not: who has it was shown it once.
type Token struct {
	ID      string    `json:"id"`
	Hash    string    `json:"hash"` // SHA-256 of the text, in hex: it has 256 random bits, which nobody tries out
	Role    string    `json:"role"`
	Tenant  string    `json:"tenant"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"`
	Used    time.Time `json:"-"` // to within ten minutes; only List knows
}

// State is active, revoked or expired.
func (t *Token) State(now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !now.Before(t.Expires):
		return "expired"
	}
	return "active"
}

func (t *Token) caller() (Caller, error) {
	role, err := ParseRole(t.Role)
	return Caller{Tenant: t.Tenant, Name: t.Name, Role: role, Proof: proofOf(t.ID), Until: t.Expires}, err
}

func proofOf(id string) string { return "token " + id }

// Tokens are the tokens of a store, and the gate that knows them. All methods may be called from any goroutine.
type Tokens struct {
	docs store.Docs
	now  func() time.Time
	one  singleflight.Group // looks up each token once, however many ask

	mu    sync.Mutex
	known map[string]known // by id
	uses  map[string]time.Time
	notes sync.WaitGroup
}

// known is what was found about an id: a token, or that there is none.
type known struct {
	token *Token
	at    time.Time
}

// NewTokens returns the tokens of a store. now is time.Now, but for tests; nil is time.Now.
func NewTokens(docs store.Docs, now func() time.Time) *Tokens {
	if now == nil {
		now = time.Now
	}
	return &Tokens{docs: docs, now: now, known: map[string]known{}, uses: map[string]time.Time{}}
}

// Create makes a token that holds for life, and gives its text, which can never be read again.
func (t *Tokens) Create(ctx context.Context, role Role, tenant, name string, life time.Duration) (text string, made *Token, err error) {
	tenant = cmp.Or(tenant, Local)
	if err := CheckTenant(tenant); err != nil {
		return "", nil, err
	}
	if life < time.Second || life > maxLife {
		return "", nil, errors.New("a token lasts from a second to ten years")
	}
	if len(name) > 100 || strings.IndexFunc(name, func(c rune) bool { return c < ' ' || c == 0x7f }) >= 0 {
		return "", nil, errors.New("the name of a token is one line of up to 100 bytes")
	}
	all, err := t.List(ctx)
	if err != nil {
		return "", nil, err
	}
	if len(all) >= MaxTokens {
		return "", nil, fmt.Errorf("there are %d tokens; revoke those that nobody uses", len(all))
	}
	now := t.now().UTC().Truncate(time.Second)
	for {
		var dice [tokenIDSize]byte
		_, _ = rand.Read(dice[:]) // it never fails
		for i := range dice {
			dice[i] = idAlphabet[dice[i]%32]
		}
		var secret [32]byte
		_, _ = rand.Read(secret[:])
		id := string(dice[:])
		text = tokenStart + id + "_" + base64.RawURLEncoding.EncodeToString(secret[:])
		made = &Token{ID: id, Hash: hashOf(text), Role: role.String(), Tenant: tenant, Name: cmp.Or(name, id), Created: now, Expires: now.Add(life)}
		data, _ := json.Marshal(made) // texts and times
		err := t.docs.PutDoc(ctx, tokenKind, id, 0, data)
		if errors.Is(err, store.ErrConflict) {
			continue // somebody has the id
		}
		return text, made, err
	}
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// List gives all tokens, the oldest first, and forgets those that were revoked long ago. One that expired stays until it is revoked: that there was one says that
// callers are to say who they are.
func (t *Tokens) List(ctx context.Context) ([]*Token, error) {
	var names []string
	for name, err := range t.docs.AllDocs(ctx, tokenKind, "") {
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	var all []*Token
	now := t.now()
	for _, name := range names {
		one, version, err := t.read(ctx, name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !one.Revoked.IsZero() && now.Sub(one.Revoked) > kept {
			if err := t.docs.DropDoc(ctx, tokenKind, name, version); err == nil {
				if _, version, err := t.docs.GetDoc(ctx, usedKind, name); err == nil {
					_ = t.docs.DropDoc(ctx, usedKind, name, version) // the next List tries again what is left
				}
			}
			continue
		}
		if used, _, err := t.docs.GetDoc(ctx, usedKind, name); err == nil {
			one.Used, _ = time.Parse(time.RFC3339, string(used))
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *Token) int { return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID)) })
	return all, nil
}

// ErrNoToken is of an id that no token has.
var ErrNoToken = errors.New("there is no such token")

// Revoke ends a token: requests within 2 seconds, streams within 5. Revoking it again is no error.
func (t *Tokens) Revoke(ctx context.Context, id string) (*Token, error) {
	for {
		one, version, err := t.read(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, ErrNoToken
		}
		if err != nil || !one.Revoked.IsZero() {
			return one, err
		}
		one.Revoked = t.now().UTC().Truncate(time.Second)
		data, _ := json.Marshal(one) // texts and times
		if err = t.docs.PutDoc(ctx, tokenKind, id, version, data); errors.Is(err, store.ErrConflict) {
			continue
		}
		t.mu.Lock()
		delete(t.known, id)
		t.mu.Unlock()
		return one, err
	}
}

// Any reports whether tokens are in use here: one was made and not revoked, though it may have expired; and whether one holds.
func (t *Tokens) Any(ctx context.Context) (used, holds bool, err error) {
	all, err := t.List(ctx)
	now := t.now()
	for _, one := range all {
		used = used || one.Revoked.IsZero()
		holds = holds || one.State(now) == "active"
	}
	return used, holds, err
}

func (t *Tokens) read(ctx context.Context, id string) (*Token, uint64, error) {
	data, version, err := t.docs.GetDoc(ctx, tokenKind, id)
	if err != nil {
		return nil, 0, err
	}
	one := &Token{}
	if err := json.Unmarshal(data, one); err != nil {
		return nil, 0, fmt.Errorf("token %s cannot be read: %w", id, err)
	}
	return one, version, nil
}

// idOf is the id in the text of a token. What cannot be a token is known without a look into the store.
func idOf(text string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(text, tokenStart)
	if !ok || len(rest) != tokenIDSize+1+43 || rest[tokenIDSize] != '_' || strings.Trim(rest[:tokenIDSize], idAlphabet) != "" {
		return "", false
	}
	return rest[:tokenIDSize], true
}

// Caller implements Gate.
func (t *Tokens) Caller(r *http.Request) (Caller, error) {
	text, _ := Bearer(r)
	id, ok := idOf(text)
	if !ok {
		return Caller{}, ErrUnknown
	}
	one, err := t.look(r.Context(), id, cacheLife)
	if err != nil {
		return Caller{}, err
	}
	if one == nil || subtle.ConstantTimeCompare([]byte(hashOf(text)), []byte(one.Hash)) != 1 || one.State(t.now()) != "active" {
		return Caller{}, ErrUnknown
	}
	t.note(id)
	return one.caller()
}

// Holds implements Gate.
func (t *Tokens) Holds(ctx context.Context, c Caller) error {
	id, ok := strings.CutPrefix(c.Proof, proofOf(""))
	if !ok {
		return ErrUnknown
	}
	one, err := t.look(ctx, id, holdsLife)
	if err == nil && (one == nil || one.State(t.now()) != "active") {
		err = ErrUnknown
	}
	return err
}

// look gives the token with an id as it was no longer than age ago; nil: there is none.
func (t *Tokens) look(ctx context.Context, id string, age time.Duration) (*Token, error) {
	t.mu.Lock()
	k, ok := t.known[id]
	t.mu.Unlock()
	if ok && t.now().Sub(k.at) < age {
		return k.token, nil
	}
	found, err, _ := t.one.Do(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTime) // others wait for it too
		defer cancel()
		k := known{at: t.now()} // before the look: what is read may be older than its end, never than its beginning
		var err error
		if k.token, _, err = t.read(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if len(t.known) >= cacheSize {
			t.forget(k.at)
		}
		t.known[id] = k
		return k.token, nil
	})
	if err != nil {
		return nil, err
	}
	return found.(*Token), nil
}

// forget makes room: what is too old to be used goes, and when that is not enough, all of it.
func (t *Tokens) forget(now time.Time) {
	for id, k := range t.known {
		if now.Sub(k.at) >= cacheLife {
			delete(t.known, id)
		}
	}
	if len(t.known) >= cacheSize {
		clear(t.known)
	}
}

// note keeps, now and then, that a token was used. Nobody waits for it.
func (t *Tokens) note(id string) {
	now := t.now().UTC().Truncate(time.Second)
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.uses[id]) < usedEvery {
		return
	}
	t.uses[id] = now
	t.notes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), lookTime)
		defer cancel()
		old, version, err := t.docs.GetDoc(ctx, usedKind, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return
		}
		if last, err := time.Parse(time.RFC3339, string(old)); err == nil && now.Sub(last) < usedEvery {
			return // another server has noted it
		}
		_ = t.docs.PutDoc(ctx, usedKind, id, version, []byte(now.Format(time.RFC3339))) // a use that is not noted is noted ten minutes later
	})
}

// Close waits for what is being noted.
func (t *Tokens) Close() { t.notes.Wait() }
