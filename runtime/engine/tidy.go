package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/upload"
)

// tidyEvery is how often the processes that share a store look for what has expired; one of them does.
const tidyEvery = time.Hour

// tidyPatience is how long an engine that closes waits for that.
const tidyPatience = 2 * time.Second

// tidyKind is the kind of the document that says when it was looked for last.
const tidyKind = "expired"

// sweeper remembers when this process last thought of it.
type sweeper struct {
	mu   sync.Mutex
	last time.Time
}

// tidy has what expired removed, now and then: whoever writes what expires calls it.
func (e *Engine) tidy() {
	e.sweeper.mu.Lock()
	now := time.Now()
	due := now.Sub(e.sweeper.last) >= tidyEvery
	if due {
		e.sweeper.last = now
	}
	e.sweeper.mu.Unlock()
	if !due {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.group.Go(func() {
		// A process that ends soon finishes what it has begun: it has taken the turn, and the next comes in an hour.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), tidyPatience)
		defer cancel()
		if turn(ctx, e.store, now) {
			_, err := Expire(ctx, e.store, now) // what stays is found the next time
			e.dropped("remove what has expired", "", err)
		}
	})
}

// turn reports whether it is this process's turn.
func turn(ctx context.Context, s store.Store, now time.Time) bool {
	var last time.Time
	data, version, err := s.GetDoc(ctx, tidyKind, "last")
	if err == nil {
		if json.Unmarshal(data, &last) == nil && now.Sub(last) < tidyEvery && !last.After(now) {
			return false
		}
	} else if !errors.Is(err, store.ErrNotFound) {
		return false
	}
	data, err = json.Marshal(now.UTC())
	return err == nil && s.PutDoc(ctx, tidyKind, "last", version, data) == nil
}

// Expire removes from a store what has come to its end: values of shared state with a ttl, answers in the cache, and uploads that nobody used. It returns how many documents changed or
// went. What cannot be read stays and does not keep the rest.
func Expire(ctx context.Context, s store.Store, now time.Time) (int, error) {
	count := 0
	for kind, expire := range map[string]func(context.Context, store.Store, string, time.Time) (bool, error){
		commonsKind: expireShared, cacheKind: (&attic{}).expire, upload.Kind: upload.Expire,
	} {
		names, err := docs(ctx, s, kind)
		if err != nil {
			return count, fmt.Errorf("look for what has expired: %w", err)
		}
		for _, name := range names {
			changed, err := expire(ctx, s, name, now)
			if ctx.Err() != nil {
				return count, ctx.Err()
			}
			if err == nil && changed {
				count++
			}
		}
	}
	return count, nil
}

// hashes finds whatever may be the name of a value that is kept apart.
var hashes = regexp.MustCompile(`[0-9a-f]{64}`)

// NamedBlobs visits the hashes of the values that shared state, the cache and uploads name: whoever sweeps blobs keeps them. An error means that some may be missing.
func NamedBlobs(ctx context.Context, s store.Store, visit func(hash string)) error {
	for _, kind := range []string{commonsKind, cacheKind, upload.Kind} {
		names, err := docs(ctx, s, kind)
		if err != nil {
			return fmt.Errorf("look for values in use: %w", err)
		}
		for _, name := range names {
			data, _, err := s.GetDoc(ctx, kind, name)
			if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt) {
				return fmt.Errorf("look for values in use: %w", err)
			}
			for _, hash := range hashes.FindAll(data, -1) {
				visit(string(hash))
			}
		}
	}
	return nil
}

// docs lists the names of a kind before anything is changed.
func docs(ctx context.Context, s store.Store, kind string) ([]string, error) {
	var names []string
	for name, err := range s.AllDocs(ctx, kind, "") {
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}
