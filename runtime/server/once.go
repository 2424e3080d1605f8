package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
)

// onceKind is the kind of the documents that remember keys.
const onceKind = "idempotency"

// onceFor is how long a key is remembered.
const onceFor = 24 * time.Hour

// maxKey is how long a key may be, in bytes.
const maxKey = 255

// promise is what the first request with a key was, and the id of what it makes. It is written before that is made, so that whoever comes again, after whatever
// became of the first, makes the same thing and no second one.
type promise struct {
	Request string    `json:"request"` // hash of what was asked
	ID      run.ID    `json:"id"`
	At      time.Time `json:"at"`
}

// once gives the id of what requests with a key make: all of them the same. What was asked before with that key and is something else is a mistake.
func (s *Server) once(ctx context.Context, operation, key string, request []byte) (run.ID, error) {
	if len(key) > maxKey {
		return "", problem("E_INVALID", "an Idempotency-Key has 255 bytes at most")
	}
	name := auth.From(ctx).Tenant + "/" + operation + "/" + digest([]byte(key))
	asked := digest(request)
	for range 3 {
		data, version, err := s.config.Store.GetDoc(ctx, onceKind, name)
		var p promise
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return "", stored(err)
		default:
			if err := json.Unmarshal(data, &p); err != nil {
				return "", err
			}
		}
		if version > 0 && time.Since(p.At) < onceFor {
			if p.Request != asked {
				return "", problem("E_IDEMPOTENCY", "this key came with another request before; a new request wants a new key")
			}
			return p.ID, nil
		}
		var dice [10]byte
		_, _ = rand.Read(dice[:]) // it never fails
		p = promise{Request: asked, At: time.Now().UTC()}
		p.ID = run.NewID(p.At, dice)
		data, _ = json.Marshal(p) // texts and a time
		err = s.config.Store.PutDoc(ctx, onceKind, name, version, data)
		if err == nil {
			return p.ID, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return "", stored(err)
		}
	}
	return "", problem("E_IN_FLIGHT", "another request with this key is under way; ask again").after(time.Second)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
