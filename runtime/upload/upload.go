// Package upload remembers which bytes a tenant has sent to be used as files, until they are used or forgotten.
//
// The bytes are blobs, under their hash; that a tenant may use them is a document. Once a run names them, its facts keep them.
package upload

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/store"
)

// Kind is that of the documents.
const Kind = "upload"

// Lasts is how long bytes may be used after they were sent last.
const Lasts = 24 * time.Hour

type note struct {
	File types.FileValue `json:"file"`
	At   time.Time       `json:"at"`
}

func name(tenant, hash string) string { return url.PathEscape(tenant) + "/" + hash }

// Keep stores bytes for a tenant. Of bytes that were sent before, the name and type that come last count.
func Keep(ctx context.Context, s store.Store, tenant, fileName, mediaType string, data []byte) (types.FileValue, error) {
	hash, err := s.PutBlob(ctx, data)
	if err != nil {
		return types.FileValue{}, err
	}
	n := note{types.FileValue{Name: fileName, Type: mediaType, Size: int64(len(data)), SHA256: hash, Binary: !utf8.Valid(data)}, time.Now().UTC()}
	text, err := json.Marshal(n)
	if err != nil {
		return types.FileValue{}, err
	}
	_, version, err := s.GetDoc(ctx, Kind, name(tenant, hash))
	if err != nil {
		version = 0
	}
	return n.File, s.PutDoc(ctx, Kind, name(tenant, hash), version, text)
}

// Get gives a file that a tenant sent. ErrNotFound: it sent none, or long ago.
func Get(ctx context.Context, s store.Store, tenant, hash string) (types.FileValue, error) {
	text, _, err := s.GetDoc(ctx, Kind, name(tenant, hash))
	if err != nil {
		return types.FileValue{}, err
	}
	var n note
	if err := json.Unmarshal(text, &n); err != nil {
		return types.FileValue{}, err
	}
	if time.Since(n.At) > Lasts {
		return types.FileValue{}, store.ErrNotFound
	}
	return n.File, nil
}

// Expire forgets what was sent too long ago, and reports whether that was so.
func Expire(ctx context.Context, s store.Store, doc string, now time.Time) (bool, error) {
	text, version, err := s.GetDoc(ctx, Kind, doc)
	if err != nil {
		return false, err
	}
	var n note
	if err := json.Unmarshal(text, &n); err != nil || now.Sub(n.At) <= Lasts {
		return false, err
	}
	return true, s.DropDoc(ctx, Kind, doc, version)
}
