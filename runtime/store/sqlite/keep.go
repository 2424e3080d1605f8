package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

// PutBlob implements store.Blobs. The bytes are in a table of their own, since the time of a put changes and they do not.
func (s *Store) PutBlob(ctx context.Context, data []byte) (string, error) {
	digest := sha256.Sum256(data)
	hash := hex.EncodeToString(digest[:])
	if data == nil {
		data = []byte{}
	}
	err := s.lasting(ctx, len(data), func(t *tx) error {
		now := time.Now().UnixNano()
		var n int64
		err := t.row("SELECT n FROM blobs WHERE hash = ?", []any{hash}, &n)
		if err == nil {
			return t.exec("UPDATE blobs SET put = ?, crc = ? WHERE n = ?", now, sum(hash, int64(len(data)), now), n)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if n, err = t.insert("INSERT INTO blobs (hash, size, put, crc) VALUES (?, ?, ?, ?)", hash, len(data), now, sum(hash, int64(len(data)), now)); err != nil {
			return err
		}
		return t.exec("INSERT OR REPLACE INTO bytes (n, data) VALUES (?, ?)", n, data)
	})
	if err != nil {
		return "", err
	}
	return hash, nil
}

// GetBlob implements store.Blobs. Bytes that are not those of their hash are not given out.
func (s *Store) GetBlob(ctx context.Context, hash string) ([]byte, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var data []byte
	err := s.row(ctx, "SELECT y.data FROM blobs b JOIN bytes y ON y.n = b.n WHERE b.hash = ?", []any{hash}, &data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("blob %s: %w", hash, store.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", hash, unread(ctx, err))
	}
	if digest := sha256.Sum256(data); hex.EncodeToString(digest[:]) != hash {
		return nil, fmt.Errorf("blob %s: %w: its bytes are not those of its hash", hash, store.ErrCorrupt)
	}
	return data, nil
}

// AllBlobs implements store.Blobs.
func (s *Store) AllBlobs(ctx context.Context) iter.Seq2[store.Blob, error] {
	return func(yield func(store.Blob, error) bool) {
		for after, more := int64(-1), true; more; {
			more = false
			if err := s.ready(ctx); err != nil {
				yield(store.Blob{}, err)
				return
			}
			var page []store.Blob
			err := s.rows(ctx, "SELECT n, hash, size, put, crc FROM blobs WHERE n > ? ORDER BY n LIMIT 1000", []any{after}, func(scan func(...any) error) error {
				more = true
				var b store.Blob
				var put, crc int64
				if err := scan(&after, &b.Hash, &b.Size, &put, &crc); err != nil {
					return err
				}
				if b.Put = time.Unix(0, put); crc == sum(b.Hash, b.Size, put) { // else the check reports it
					page = append(page, b)
				}
				return nil
			})
			if err != nil {
				yield(store.Blob{}, fmt.Errorf("list blobs: %w", unread(ctx, err)))
				return
			}
			for _, b := range page {
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// DropBlob implements store.Blobs.
func (s *Store) DropBlob(ctx context.Context, hash string, before time.Time) error {
	return s.lasting(ctx, 0, func(t *tx) error {
		var n, size, put, crc int64
		err := t.row("SELECT n, size, put, crc FROM blobs WHERE hash = ?", []any{hash}, &n, &size, &put, &crc)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil && crc != sum(hash, size, put) {
			return fmt.Errorf("blob %s: %w: its row does not fit its checksum", hash, store.ErrCorrupt)
		}
		if err != nil || !time.Unix(0, put).Before(before) {
			return err
		}
		if err := t.exec("DELETE FROM bytes WHERE n = ?", n); err != nil {
			return err
		}
		return t.exec("DELETE FROM blobs WHERE n = ?", n)
	})
}

// PutDoc implements store.Docs.
func (s *Store) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	if data == nil {
		data = []byte{}
	}
	return s.lasting(ctx, len(data), func(t *tx) error {
		at, err := t.docVersion(kind, name)
		if err != nil {
			return err
		}
		if at != version {
			return fmt.Errorf("%s %s at version %d: %w: it is at %d", kind, name, version, store.ErrConflict, at)
		}
		next := int64(version) + 1
		return t.exec("INSERT OR REPLACE INTO docs (kind, name, version, crc, data) VALUES (?, ?, ?, ?, ?)", kind, name, next, sum(kind, name, next, data), data)
	})
}

func (t *tx) docVersion(kind, name string) (uint64, error) {
	var at uint64
	err := t.row("SELECT version FROM docs WHERE kind = ? AND name = ?", []any{kind, name}, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return at, err
}

// GetDoc implements store.Docs.
func (s *Store) GetDoc(ctx context.Context, kind, name string) ([]byte, uint64, error) {
	if err := s.ready(ctx); err != nil {
		return nil, 0, err
	}
	var data []byte
	var version, crc int64
	err := s.row(ctx, "SELECT version, crc, data FROM docs WHERE kind = ? AND name = ?", []any{kind, name}, &version, &crc, &data)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, 0, fmt.Errorf("%s %s: %w", kind, name, store.ErrNotFound)
	case err != nil:
		return nil, 0, fmt.Errorf("%s %s: %w", kind, name, unread(ctx, err))
	case crc != sum(kind, name, version, data):
		return nil, 0, fmt.Errorf("%s %s: %w: it does not fit its checksum", kind, name, store.ErrCorrupt)
	}
	return data, uint64(version), nil
}

// DropDoc implements store.Docs.
func (s *Store) DropDoc(ctx context.Context, kind, name string, version uint64) error {
	return s.lasting(ctx, 0, func(t *tx) error {
		at, err := t.docVersion(kind, name)
		if err != nil || at == 0 {
			return err
		}
		if at != version {
			return fmt.Errorf("%s %s at version %d: %w: it is at %d", kind, name, version, store.ErrConflict, at)
		}
		return t.exec("DELETE FROM docs WHERE kind = ? AND name = ?", kind, name)
	})
}

// AllDocs implements store.Docs.
func (s *Store) AllDocs(ctx context.Context, kind, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for after, first := prefix, true; ; first = false {
			page, err := s.names(ctx, kind, prefix, after, first)
			if err != nil {
				yield("", err)
				return
			}
			for _, name := range page {
				if !yield(name, nil) {
					return
				}
				after = name
			}
			if len(page) == 0 {
				return
			}
		}
	}
}

func (s *Store) names(ctx context.Context, kind, prefix, after string, first bool) ([]string, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var page []string
	err := s.rows(ctx, `SELECT name FROM docs WHERE kind = ?1 AND (name > ?2 OR ?4 AND name = ?2) AND substr(CAST(name AS BLOB), 1, ?5) = CAST(?3 AS BLOB)
		ORDER BY name LIMIT 1000`, []any{kind, after, prefix, first, len(prefix)}, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		page = append(page, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, unread(ctx, err))
	}
	return page, nil
}
