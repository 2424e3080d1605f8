package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/slopstudios/slop/runtime/store"
)

func (s *Store) blob(hash string) string { return s.key("blob", hash) }

// PutBlob implements store.Blobs.
func (s *Store) PutBlob(ctx context.Context, data []byte) (string, error) {
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	if _, err := s.write(ctx, blobScript, []string{s.blob(hash)}, data); err != nil {
		return "", fmt.Errorf("redis: put blob %s: %w", hash, err)
	}
	return hash, nil
}

// GetBlob implements store.Blobs.
func (s *Store) GetBlob(ctx context.Context, hash string) ([]byte, error) {
	data, err := s.client.HGet(ctx, s.blob(hash), "d").Bytes()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, fmt.Errorf("blob %s: %w", hash, store.ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("redis: get blob %s: %w", hash, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("blob %s: %w", hash, store.ErrCorrupt)
	}
	return data, nil
}

// AllBlobs implements store.Blobs.
func (s *Store) AllBlobs(ctx context.Context) iter.Seq2[store.Blob, error] {
	return func(yield func(store.Blob, error) bool) {
		var mu sync.Mutex // the nodes of a cluster are gone through at once
		var keys []string
		prefix := s.blob("")
		err := s.scan(ctx, escapeGlob(prefix)+"*", func(some []string) error {
			mu.Lock()
			keys = append(keys, some...)
			mu.Unlock()
			return nil
		})
		if err != nil {
			yield(store.Blob{}, fmt.Errorf("redis: list blobs: %w", err))
			return
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		for chunk := range slices.Chunk(keys, pageRuns) {
			pipe := s.client.Pipeline()
			puts, sizes := make([]*goredis.StringCmd, len(chunk)), make([]*goredis.Cmd, len(chunk))
			for i, k := range chunk {
				puts[i] = pipe.HGet(ctx, k, "t")
				sizes[i] = pipe.Do(ctx, "HSTRLEN", k, "d")
			}
			if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, goredis.Nil) {
				yield(store.Blob{}, fmt.Errorf("redis: list blobs: %w", err))
				return
			}
			for i, k := range chunk {
				size, err := sizes[i].Int64()
				if err != nil || puts[i].Err() != nil { // dropped meanwhile
					continue
				}
				if !yield(store.Blob{Hash: strings.TrimPrefix(k, prefix), Size: size, Put: stamp(puts[i].Val())}, nil) {
					return
				}
			}
		}
	}
}

// DropBlob implements store.Blobs.
func (s *Store) DropBlob(ctx context.Context, hash string, before time.Time) error {
	if _, err := s.run(ctx, dropBlobScript, []string{s.blob(hash)}, before.UnixMicro()); err != nil {
		return fmt.Errorf("redis: drop blob %s: %w", hash, err)
	}
	return nil
}

// keysOfDoc are a document and the names of its kind in its shard.
func (s *Store) keysOfDoc(kind, name string) []string {
	tag := kind + "/" + s.shard(name)
	return []string{s.tagged(tag, "doc:"+name), s.tagged(tag, "names")}
}

// PutDoc implements store.Docs.
func (s *Store) PutDoc(ctx context.Context, kind, name string, version uint64, data []byte) error {
	r, err := s.write(ctx, docScript, s.keysOfDoc(kind, name), name, version, data, newMark())
	switch {
	case err != nil:
		return fmt.Errorf("redis: put %s %s: %w", kind, name, err)
	case r.is("conflict"):
		return fmt.Errorf("%s %s at version %d: %w: it is at %s", kind, name, version, store.ErrConflict, r.at(1))
	}
	return nil
}

// GetDoc implements store.Docs.
func (s *Store) GetDoc(ctx context.Context, kind, name string) ([]byte, uint64, error) {
	got, err := s.client.HMGet(ctx, s.keysOfDoc(kind, name)[0], "v", "d").Result()
	if err != nil {
		return nil, 0, fmt.Errorf("redis: get %s %s: %w", kind, name, err)
	}
	if len(got) != 2 || got[0] == nil {
		return nil, 0, fmt.Errorf("%s %s: %w", kind, name, store.ErrNotFound)
	}
	v, _ := got[0].(string)
	data, ok := got[1].(string)
	version, err := strconv.ParseUint(v, 10, 64)
	if err != nil || !ok {
		return nil, 0, fmt.Errorf("%s %s: %w", kind, name, store.ErrCorrupt)
	}
	return []byte(data), version, nil
}

// DropDoc implements store.Docs.
func (s *Store) DropDoc(ctx context.Context, kind, name string, version uint64) error {
	r, err := s.write(ctx, dropDocScript, s.keysOfDoc(kind, name), name, version)
	switch {
	case err != nil:
		return fmt.Errorf("redis: drop %s %s: %w", kind, name, err)
	case r.is("conflict"):
		return fmt.Errorf("%s %s at version %d: %w: it is at %s", kind, name, version, store.ErrConflict, r.at(1))
	}
	return nil
}

// AllDocs implements store.Docs.
func (s *Store) AllDocs(ctx context.Context, kind, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := ctx.Err(); err != nil {
			yield("", err)
			return
		}
		var names []string
		for n := range s.shards {
			key := s.tagged(kind+"/"+strconv.Itoa(n), "names")
			for from := "[" + prefix; ; {
				page, err := s.client.ZRangeByLex(ctx, key, &goredis.ZRangeBy{Min: from, Max: beyond(prefix), Count: pageRuns}).Result()
				if err != nil {
					yield("", fmt.Errorf("redis: list %s: %w", kind, err))
					return
				}
				names = append(names, page...)
				if len(page) < pageRuns {
					break
				}
				from = "(" + page[len(page)-1]
			}
		}
		slices.Sort(names)
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// beyond is the end of the names that begin with prefix.
func beyond(prefix string) string {
	b := []byte(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return "(" + string(b[:i+1])
		}
	}
	return "+"
}
