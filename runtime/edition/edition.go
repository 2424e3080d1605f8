// Package edition keeps named things of tenants on a store of documents, each with the editions it had: an edition never changes once there is a newer one.
//
// A thing is one document, its head, which holds the newest edition whole; each older edition is a document of its own, written before the head moves on. So a
// process that dies in between leaves a copy that nobody sees, and of two writers who read the same head one is told that it has moved.
package edition

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

// The bounds of what a tenant keeps.
const (
	MaxThings   = 10_000 // of a kind
	MaxEditions = 10_000 // of a thing
)

// ErrFull: there are as many things, or editions of a thing, as there may be.
var ErrFull = errors.New("there are too many already")

// Thing is a thing with its newest edition. About is what is said of it whatever its edition.
type Thing[About, Text any] struct {
	ID      string    `json:"id"` // follows from the name
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	By      string    `json:"by"` // who changed it last
	Life    string    `json:"life"`
	About   About     `json:"about"`
	Edition[Text]

	document uint64 // version of the head
}

// Edition is the text of a thing as it was from a change to the next.
type Edition[Text any] struct {
	Number int       `json:"number"` // from 1
	At     time.Time `json:"at"`
	Author string    `json:"author"`
	Note   string    `json:"note,omitempty"`
	Text   Text      `json:"text"`
}

// Tag names the thing as it stands: it differs after every change, and in every life of its name.
func (t *Thing[About, Text]) Tag() string { return fmt.Sprintf("%s.%d", t.Life, t.document) }

// Shelf keeps the things of a kind. Its methods may be called from any goroutine. The errors are those of the store.
type Shelf[About, Text any] struct {
	Docs   store.Docs
	Kind   string // of the documents
	Prefix string // of ids
}

func (s *Shelf[About, Text]) names() string    { return s.Kind + ".id" }
func (s *Shelf[About, Text]) editions() string { return s.Kind + ".edition" }

// ID is what a thing of a name is called where names are awkward.
func (s *Shelf[About, Text]) ID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return s.Prefix + hex.EncodeToString(sum[:10])
}

func space(tenant string) string { return url.PathEscape(tenant) + "/" }

func (s *Shelf[About, Text]) head(tenant, name string) string {
	return space(tenant) + url.PathEscape(name)
}

func (s *Shelf[About, Text]) edition(tenant string, t *Thing[About, Text], number int) string {
	return fmt.Sprintf("%s%s/%s/%08d", space(tenant), t.ID, t.Life, number)
}

// Create begins a thing with its first edition. ErrExists: the name is taken. life may name the request that makes it, so that one who asks again sees
// whether it was they; "" is a new one.
func (s *Shelf[About, Text]) Create(ctx context.Context, tenant, name, life, by string, about About, text Text) (*Thing[About, Text], error) {
	count := 0
	for _, err := range s.Docs.AllDocs(ctx, s.Kind, space(tenant)) {
		if err != nil {
			return nil, err
		}
		if count++; count >= MaxThings {
			return nil, ErrFull
		}
	}
	if life == "" {
		var dice [8]byte
		_, _ = rand.Read(dice[:]) // it never fails
		life = hex.EncodeToString(dice[:])
	}
	now := time.Now().UTC().Round(0)
	t := &Thing[About, Text]{
		ID: s.ID(name), Name: name, Created: now, Updated: now, By: by, Life: life, About: about, Edition: Edition[Text]{Number: 1, At: now, Author: by, Text: text},
	}
	// What an id stands for never changes, so it is written once for all lives of the name.
	if err := s.Docs.PutDoc(ctx, s.names(), space(tenant)+t.ID, 0, []byte(name)); err != nil && !errors.Is(err, store.ErrConflict) {
		return nil, err
	}
	err := s.put(ctx, tenant, t)
	if errors.Is(err, store.ErrConflict) {
		return nil, store.ErrExists
	}
	return t, err
}

func (s *Shelf[About, Text]) put(ctx context.Context, tenant string, t *Thing[About, Text]) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := s.Docs.PutDoc(ctx, s.Kind, s.head(tenant, t.Name), t.document, data); err != nil {
		return err
	}
	t.document++
	return nil
}

// Get finds a thing by its name, or by its id. ErrNotFound.
func (s *Shelf[About, Text]) Get(ctx context.Context, tenant, ref string) (*Thing[About, Text], error) {
	t, err := s.read(ctx, s.head(tenant, ref))
	if !errors.Is(err, store.ErrNotFound) || !strings.HasPrefix(ref, s.Prefix) {
		return t, err
	}
	name, _, err := s.Docs.GetDoc(ctx, s.names(), space(tenant)+ref)
	if err != nil {
		return nil, err
	}
	return s.read(ctx, s.head(tenant, string(name)))
}

func (s *Shelf[About, Text]) read(ctx context.Context, doc string) (*Thing[About, Text], error) {
	data, version, err := s.Docs.GetDoc(ctx, s.Kind, doc)
	if err != nil {
		return nil, err
	}
	t := &Thing[About, Text]{document: version}
	if err := json.Unmarshal(data, t); err != nil {
		return nil, fmt.Errorf("%w: %s %s: %w", store.ErrCorrupt, s.Kind, doc, err)
	}
	return t, nil
}

// Save writes what was changed of a thing that was read. ErrConflict: another changed it since.
func (s *Shelf[About, Text]) Save(ctx context.Context, tenant string, t *Thing[About, Text], by string) error {
	t.Updated, t.By = time.Now().UTC().Round(0), by
	return s.put(ctx, tenant, t)
}

// SaveText is Save with a new edition.
func (s *Shelf[About, Text]) SaveText(ctx context.Context, tenant string, t *Thing[About, Text], text Text, by, note string) error {
	if t.Number >= MaxEditions {
		return ErrFull
	}
	old, err := json.Marshal(t.Edition)
	if err != nil {
		return err
	}
	err = s.Docs.PutDoc(ctx, s.editions(), s.edition(tenant, t, t.Number), 0, old)
	if err != nil && !errors.Is(err, store.ErrConflict) { // another copied the same before
		return err
	}
	t.Edition = Edition[Text]{Number: t.Number + 1, At: time.Now().UTC().Round(0), Author: by, Note: note, Text: text}
	return s.Save(ctx, tenant, t, by)
}

// At gives an edition of a thing. ErrNotFound.
func (s *Shelf[About, Text]) At(ctx context.Context, tenant string, t *Thing[About, Text], number int) (*Edition[Text], error) {
	if number == t.Number {
		return &t.Edition, nil
	}
	if number < 1 || number > t.Number {
		return nil, store.ErrNotFound
	}
	data, _, err := s.Docs.GetDoc(ctx, s.editions(), s.edition(tenant, t, number))
	if err != nil {
		return nil, err
	}
	e := &Edition[Text]{}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("%w: edition %d of %s: %w", store.ErrCorrupt, number, t.Name, err)
	}
	return e, nil
}

// Drop takes a thing away with its editions. ErrConflict: another changed it since it was read.
func (s *Shelf[About, Text]) Drop(ctx context.Context, tenant string, t *Thing[About, Text]) error {
	if err := s.Docs.DropDoc(ctx, s.Kind, s.head(tenant, t.Name), t.document); err != nil {
		return err
	}
	for number := 1; number < t.Number; number++ { // what stays of them nobody sees: a name that comes again has another life
		_ = s.Docs.DropDoc(ctx, s.editions(), s.edition(tenant, t, number), 1)
	}
	return nil
}

// Page gives the things of a tenant that keep chooses, limit at most, in the order of their names after a cursor ("": from the beginning); next is "" at the end.
// ErrCursor.
func (s *Shelf[About, Text]) Page(ctx context.Context, tenant, cursor string, limit int, keep func(*Thing[About, Text]) bool) (things []*Thing[About, Text], next string, err error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, "", store.ErrCursor
	}
	var docs []string // listed before one is read: a store may hold a lock while it lists
	for doc, err := range s.Docs.AllDocs(ctx, s.Kind, space(tenant)) {
		if err != nil {
			return nil, "", err
		}
		if strings.TrimPrefix(doc, space(tenant)) > string(after) {
			docs = append(docs, doc)
		}
	}
	for _, doc := range docs {
		t, err := s.read(ctx, doc)
		if errors.Is(err, store.ErrNotFound) {
			continue // it went meanwhile
		}
		if err != nil {
			return nil, "", err
		}
		if !keep(t) {
			continue
		}
		if len(things) == limit {
			last := url.PathEscape(things[limit-1].Name)
			return things, base64.RawURLEncoding.EncodeToString([]byte(last)), nil
		}
		things = append(things, t)
	}
	return things, "", nil
}
