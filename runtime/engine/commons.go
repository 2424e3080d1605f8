package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// commonsKind is the kind of the documents of shared state.
const commonsKind = "context"

// The bounds of what outlives runs.
const (
	maxCommons      = 1 << 20            // bytes of a document, that is of all below one first name
	maxCommonsNames = 10_000             // first names of a scope
	maxSeen         = 256                // changes that a document knows it has seen
	keepEmpty       = 7 * 24 * time.Hour // an empty document stays, for the changes it has seen
	maxSkew         = time.Minute        // between the clocks of two machines
)

// How often a change is tried.
const (
	maxConflicts = 200 // of other writers; each time one of them went on
	maxTroubles  = 6   // of the store
	longestPause = 50 * time.Millisecond
)

// commons keeps the state that outlives runs: a document for each first name of a path in a scope, written by compare-and-set. A document knows the keys of
// the last calls that changed it, so that a call whose fate is unknown (its process died, the store did not answer, it is tried again) is made once.
type commons struct {
	engine *Engine
	lanes  [64]chan struct{} // writers of one process take turns instead of undoing each other's work
	seed   maphash.Seed
	recall recall
}

func (c *commons) init(e *Engine) {
	c.engine, c.seed = e, maphash.MakeSeed()
	for i := range c.lanes {
		c.lanes[i] = make(chan struct{}, 1)
	}
}

// space is the prefix under which the documents of a scope are named.
func (s *session) space(scope contexts.Scope) string {
	return spaceOf(contexts.Place{Scope: scope, Tenant: s.tenant, Pool: s.options.Pool, Flow: s.plan.Name})
}

func spaceOf(p contexts.Place) string {
	if p.Scope == contexts.Flow {
		return "flow/" + url.PathEscape(p.Tenant) + "/" + url.PathEscape(p.Pool) + "/" + url.PathEscape(p.Flow) + "/"
	}
	return "shared/" + url.PathEscape(p.Tenant) + "/"
}

// Kept gives a value that outlives runs, with the version of all that is below its first name. ok is false when there is none.
func (e *Engine) Kept(ctx context.Context, p contexts.Place, path string) (value any, version uint64, ok bool, err error) {
	top, err := contexts.Top(path)
	if err != nil {
		return nil, 0, false, err
	}
	d, version, err := e.commons.read(ctx, spaceOf(p)+url.PathEscape(top))
	if err != nil {
		return nil, 0, false, err
	}
	if value, ok, err = d.state.At(time.Now()).Get(path); err != nil || !ok {
		return nil, 0, false, err
	}
	if value, err = e.fetch(ctx, value); err != nil {
		return nil, 0, false, fmt.Errorf("%w: %w", contexts.ErrUnavailable, err)
	}
	return value, version, true, nil
}

// KeptNames lists the first names of what outlives runs, in order.
func (e *Engine) KeptNames(ctx context.Context, p contexts.Place) ([]string, error) {
	return e.commons.list(ctx, spaceOf(p), "")
}

// ChangeKept changes what outlives runs as a step of a run does, once for its key. contexts.ErrMoved, contexts.ErrNone, contexts.ErrUnavailable.
func (e *Engine) ChangeKept(ctx context.Context, p contexts.Place, key string, c contexts.Change, m contexts.Match) error {
	_, err := e.commons.changeIf(ctx, spaceOf(p), key, time.Time{}, c, m)
	return err
}

// shared is a document as it is kept.
type shared struct {
	State   json.RawMessage `json:"state"`
	Seen    []seen          `json:"seen,omitempty"` // the oldest first
	Since   time.Time       `json:"since"`          // what was changed before may be missing in Seen
	Changed time.Time       `json:"changed"`

	state contexts.State
}

// seen is a change that was made.
type seen struct {
	Key   string          `json:"key"`
	At    time.Time       `json:"at"`
	Value json.RawMessage `json:"value,omitempty"`
}

// read gives a document, an empty one when there is none.
func (c *commons) read(ctx context.Context, name string) (shared, uint64, error) {
	data, version, err := c.engine.store.GetDoc(ctx, commonsKind, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return shared{Since: time.Now().Add(-keepEmpty)}, 0, nil
	case err != nil:
		return shared{}, 0, fmt.Errorf("%w: %w", contexts.ErrUnavailable, err)
	}
	d, err := decodeShared(data)
	return d, version, err
}

func decodeShared(data []byte) (d shared, err error) {
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("read shared state: %w", err)
	}
	d.state, err = contexts.Decode(d.State)
	return d, err
}

func (d *shared) encode() (_ []byte, err error) {
	if d.State, err = d.state.Encode(); err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

func (c *commons) get(ctx context.Context, space, path string) (value any, ok bool, err error) {
	top, err := contexts.Top(path)
	if err != nil {
		return nil, false, err
	}
	d, _, err := c.read(ctx, space+url.PathEscape(top))
	if err != nil {
		return nil, false, err
	}
	if value, ok, err = d.state.At(time.Now()).Get(path); err != nil || !ok {
		return nil, false, err
	}
	if value, err = c.engine.fetch(ctx, value); err != nil {
		return nil, false, fmt.Errorf("%w: %w", contexts.ErrUnavailable, err)
	}
	return value, true, nil
}

func (c *commons) list(ctx context.Context, space, path string) ([]string, error) {
	if path != "" {
		top, err := contexts.Top(path)
		if err != nil {
			return nil, err
		}
		d, _, err := c.read(ctx, space+url.PathEscape(top))
		if err != nil {
			return nil, err
		}
		return d.state.At(time.Now()).List(path)
	}
	var docs, names []string
	for doc, err := range c.engine.store.AllDocs(ctx, commonsKind, space) {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", contexts.ErrUnavailable, err)
		}
		docs = append(docs, doc)
	}
	for _, doc := range docs {
		d, _, err := c.read(ctx, doc)
		if err != nil {
			return nil, err
		}
		name, err := url.PathUnescape(strings.TrimPrefix(doc, space))
		if err == nil && !d.state.At(time.Now()).Empty() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// change makes a change that no other writer undoes, once for its key. unsure is the earliest time at which it may have been made already; zero: it was not.
func (c *commons) change(ctx context.Context, space, key string, unsure time.Time, ch contexts.Change) (any, error) {
	return c.changeIf(ctx, space, key, unsure, ch, contexts.Match{})
}

// changeIf is change, made only when what is there matches. ErrMoved, ErrNone.
func (c *commons) changeIf(ctx context.Context, space, key string, unsure time.Time, ch contexts.Change, match contexts.Match) (any, error) {
	top, err := contexts.Top(ch.Path)
	if err != nil {
		return nil, err
	}
	if ch.Value, err = c.engine.shelve(ctx, ch.Value); err != nil {
		return nil, fmt.Errorf("%w: %w", contexts.ErrUnavailable, err)
	}
	name := space + url.PathEscape(top)
	lane := c.lanes[maphash.String(c.seed, name)%uint64(len(c.lanes))]
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", contexts.ErrUnavailable, context.Cause(ctx))
	}
	defer c.engine.tidy()
	begun := time.Now()
	pause := time.Millisecond
	for conflicts, troubles := 0, 0; ; {
		made := made{space, name, hashKey(key), time.Now().UTC().Round(0), ch, match}
		value, err := c.try(ctx, made, unsure, false)
		switch {
		case err == nil && c.engine.forgets:
			c.recall.add(made)
			return value, nil
		case errors.Is(err, store.ErrConflict):
			conflicts++
		case errors.Is(err, contexts.ErrUnavailable):
			troubles++
			if unsure.IsZero() {
				unsure = begun
			}
		default:
			return value, err
		}
		if conflicts > maxConflicts || troubles > maxTroubles {
			return nil, fmt.Errorf("%w: %w", contexts.ErrUnavailable, err)
		}
		timer := time.NewTimer(rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%w: %w", contexts.ErrUnavailable, context.Cause(ctx))
		}
		pause = min(2*pause, longestPause)
	}
}

// try makes a change, unless the document has seen it. again: it was made before, and may have been lost since.
func (c *commons) try(ctx context.Context, ch made, unsure time.Time, again bool) (any, error) {
	d, version, err := c.read(ctx, ch.name)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(d.Seen, func(s seen) bool { return s.Key == ch.key }); i >= 0 {
		if d.Seen[i].Value == nil {
			return nil, nil
		}
		return run.DecodeValue(d.Seen[i].Value)
	}
	if !unsure.IsZero() && !d.Since.Before(unsure) {
		return nil, contexts.ErrUnsure
	}
	if again && d.passed(ch) {
		return nil, nil
	}
	if !again && ch.match.Version > 0 && ch.match.Version != version {
		return nil, contexts.ErrMoved
	}
	if !again && ch.match.Some {
		if _, ok, err := d.state.At(ch.at).Get(ch.Path); err != nil || !ok {
			return nil, cmp.Or(err, contexts.ErrNone)
		}
	}
	if version == 0 {
		if err := c.room(ctx, ch.space); err != nil {
			return nil, err
		}
	}
	state, value, err := d.state.Apply(ch.Change, ch.at)
	if err != nil {
		return nil, err
	}
	made := seen{Key: ch.key, At: ch.at}
	if value != nil {
		if made.Value, err = run.EncodeValue(value); err != nil {
			return nil, err
		}
	}
	d.state, d.Changed, d.Seen = state, ch.at, append(d.Seen, made)
	if over := len(d.Seen) - maxSeen; over > 0 {
		for _, gone := range d.Seen[:over] {
			if gone.At.After(d.Since) { // one that was made again is older than those before it
				d.Since = gone.At
			}
		}
		d.Seen = d.Seen[over:]
	}
	data, err := d.encode()
	if err != nil {
		return nil, err
	}
	if len(data) > maxCommons {
		return nil, fmt.Errorf("path `%s`: what outlives a run is at most %d MiB below one first name", ch.Path, maxCommons>>20)
	}
	err = c.engine.store.PutDoc(ctx, commonsKind, ch.name, version, data)
	if err != nil && !errors.Is(err, store.ErrConflict) {
		err = fmt.Errorf("%w: %w", contexts.ErrUnavailable, err) // it may be stored all the same: its key says so
	}
	return value, err
}

// room refuses a new first name when there are too many.
func (c *commons) room(ctx context.Context, space string) error {
	count := 0
	for _, err := range c.engine.store.AllDocs(ctx, commonsKind, space) {
		if err != nil {
			return fmt.Errorf("%w: %w", contexts.ErrUnavailable, err)
		}
		if count++; count >= maxCommonsNames {
			return fmt.Errorf("what outlives runs has at most %d first names in a scope", maxCommonsNames)
		}
	}
	return nil
}

func hashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:12])
}

// expireShared takes out of a document what has come to its end. An empty one goes when no change it has seen can be asked for any more.
func expireShared(ctx context.Context, s store.Store, name string, now time.Time) (bool, error) {
	data, version, err := s.GetDoc(ctx, commonsKind, name)
	if err != nil {
		return false, err
	}
	d, err := decodeShared(data)
	if err != nil {
		return false, err
	}
	before := d.state.Bytes()
	if d.state = d.state.At(now); d.state.Empty() && now.Sub(d.Changed) > keepEmpty {
		return true, s.DropDoc(ctx, commonsKind, name, version)
	}
	if d.state.Bytes() == before {
		return false, nil
	}
	if data, err = d.encode(); err != nil {
		return false, err
	}
	return true, s.PutDoc(ctx, commonsKind, name, version, data)
}
