package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/store"
)

// The entry of a run is in the run's hash. Two sorted sets list the runs by start, with members 'START ID' that sort as text: all of them, and those without an end, so
// that who looks for what runs or waits does not read what is long over.
const (
	listAll  = "all"
	listOpen = "open"
	listDone = "done" // no set: the mark of an entry that left open
)

// maxEntryBytes bounds an index entry that is read: it holds names, tags and paths.
const maxEntryBytes = 1 << 20

func (s *Store) list(name string) string { return s.tagged("index", name) }

// member of the lists: the start in nanoseconds, then the id.
func member(e store.Entry) string { return due(e.Started) + " " + string(e.Run) }

func decodeEntry(data []byte) (e store.Entry, err error) {
	if len(data) > maxEntryBytes {
		return e, fmt.Errorf("an entry of %d bytes: %w", len(data), store.ErrCorrupt)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return e, nil
}

// PutEntries implements store.Index.
func (s *Store) PutEntries(ctx context.Context, entries ...store.Entry) error {
	var group errgroup.Group
	group.SetLimit(maxListing)
	for _, e := range entries {
		group.Go(func() error { return s.putEntry(ctx, e) })
	}
	return group.Wait()
}

// maxListing is how many entries are written at a time: enough to go out together, few enough to leave connections to others.
const maxListing = 16

func (s *Store) putEntry(ctx context.Context, e store.Entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	hash := s.keysOf(e.Run)[:1]
	r, err := s.run(ctx, entryScript, hash, uint64(e.Seq), data)
	switch {
	case err != nil:
		return failure(err, "list", e.Run)
	case !r.is("ok"): // there is no log, or a newer entry
		return nil
	}
	in := listOpen
	if e.Status.Final() {
		in = listDone
	}
	if r.at(1) == in {
		return nil
	}
	if err := s.enlist(ctx, e); err != nil {
		return failure(err, "list", e.Run)
	}
	_, err = s.run(ctx, listedScript, hash, in) // when it is lost, the next entry is listed once more
	return err
}

// enlist puts a run into the lists.
func (s *Store) enlist(ctx context.Context, e store.Entry) error {
	m := member(e)
	pipe := s.client.Pipeline()
	pipe.ZAdd(ctx, s.list(listAll), goredis.Z{Member: m})
	if e.Status.Final() {
		pipe.ZRem(ctx, s.list(listOpen), m)
	} else {
		pipe.ZAdd(ctx, s.list(listOpen), goredis.Z{Member: m})
	}
	_, err := pipe.Exec(ctx)
	return err
}

// unlist takes a run out of the lists. Where it fails, the next List that meets the run does it.
func (s *Store) unlist(ctx context.Context, e store.Entry) {
	_ = s.client.ZRem(ctx, s.list(listAll), member(e)).Err()
	_ = s.client.ZRem(ctx, s.list(listOpen), member(e)).Err()
}

// GetEntry implements store.Index.
func (s *Store) GetEntry(ctx context.Context, id run.ID) (store.Entry, error) {
	data, err := s.client.HGet(ctx, s.keysOf(id)[0], "e").Bytes()
	switch {
	case errors.Is(err, goredis.Nil):
		return store.Entry{}, fmt.Errorf("the entry of run %s: %w", id, store.ErrNotFound)
	case err != nil:
		return store.Entry{}, failure(err, "look up", id)
	}
	e, err := decodeEntry(data)
	if err != nil {
		return store.Entry{}, fmt.Errorf("the entry of run %s: %w", id, err)
	}
	return e, nil
}

// List implements store.Index.
func (s *Store) List(ctx context.Context, f store.Filter) ([]store.Entry, string, error) {
	from, id, behind, err := f.After()
	if err != nil {
		return nil, "", err
	}
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	list := s.list(listAll)
	if f.Waiting || len(f.Status) > 0 && !anyFinal(f.Status) {
		list = s.list(listOpen)
	}
	top := "+"
	if behind {
		top = "(" + due(from) + " " + string(id)
	}
	bottom := "-"
	if !f.Since.IsZero() {
		bottom = "[" + due(f.Since)
	}
	var chosen []store.Entry
	want := f.Size() + 1
	for len(chosen) < want {
		members, err := s.client.ZRevRangeByLex(ctx, list, &goredis.ZRangeBy{Max: top, Min: bottom, Count: int64(max(want, 200))}).Result()
		if err != nil {
			return nil, "", fmt.Errorf("redis: list runs: %w", err)
		}
		if len(members) == 0 {
			break
		}
		entries, err := s.entries(ctx, list, members)
		if err != nil {
			return nil, "", fmt.Errorf("redis: list runs: %w", err)
		}
		for _, e := range entries {
			if f.Match(e) && len(chosen) < want {
				chosen = append(chosen, e)
			}
		}
		top = "(" + members[len(members)-1]
	}
	next := ""
	if n := f.Size(); len(chosen) > n {
		chosen = chosen[:n:n]
		next = chosen[n-1].Cursor()
	}
	return chosen, next, nil
}

func anyFinal(statuses []run.Status) bool {
	for _, s := range statuses {
		if s.Final() {
			return true
		}
	}
	return false
}

// entries reads the entries of members of a list, and takes out of it what does not belong there any more.
func (s *Store) entries(ctx context.Context, list string, members []string) ([]store.Entry, error) {
	pipe := s.client.Pipeline()
	cmds := make([]*goredis.StringCmd, len(members))
	for i, m := range members {
		_, id, _ := strings.Cut(m, " ")
		cmds[i] = pipe.HGet(ctx, s.keysOf(run.ID(id))[0], "e")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, goredis.Nil) {
		return nil, err
	}
	var out []store.Entry
	var stale []any
	for i, cmd := range cmds {
		data, err := cmd.Bytes()
		if err != nil && !errors.Is(err, goredis.Nil) {
			return nil, err
		}
		if err != nil { // the run was removed, or its time was over
			stale = append(stale, members[i])
			continue
		}
		e, err := decodeEntry(data)
		if err != nil {
			continue // its run says so when it is looked at; the others stay readable
		}
		if member(e) != members[i] || list == s.list(listOpen) && e.Status.Final() {
			stale = append(stale, members[i])
			continue
		}
		out = append(out, e)
	}
	if len(stale) > 0 {
		_ = s.client.ZRem(ctx, list, stale...).Err()
	}
	return out, nil
}

// repair looks through the logs once after each start of a server, and adds what is derived from them where it is missing.
func (s *Store) repair(ctx context.Context) (err error) {
	if !s.rescan.Swap(false) {
		return nil
	}
	defer func() {
		if err != nil {
			s.rescan.Store(true)
			err = fmt.Errorf("redis: look through the logs: %w", err)
		}
	}()
	prefix, suffix := s.conf.Prefix+":{", "}:run"
	return s.scan(ctx, escapeGlob(prefix)+"*"+suffix, func(keys []string) error {
		return s.crowd(ctx, len(keys), func(i int) error {
			id := run.ID(tagUnescape.Replace(strings.TrimSuffix(strings.TrimPrefix(keys[i], prefix), suffix)))
			r, err := s.run(ctx, standScript, s.keysOf(id))
			if err != nil || r.is("none") {
				return err
			}
			if !r.is("finished") {
				look := time.Microsecond
				if r.is("rests") {
					look = 0
				}
				if err := s.register(ctx, id, r.at(2), "", look); err != nil {
					return err
				}
			}
			if e, err := decodeEntry([]byte(r.at(3))); err == nil && e.Run == id {
				return s.enlist(ctx, e)
			}
			return nil
		})
	})
}

// scan goes through all keys of a pattern on all nodes. It may meet a key twice.
func (s *Store) scan(ctx context.Context, pattern string, each func(keys []string) error) error {
	one := func(ctx context.Context, node *goredis.Client) error {
		for cursor := uint64(0); ; {
			keys, next, err := node.Scan(ctx, cursor, pattern, pageRuns).Result()
			if err == nil && len(keys) > 0 {
				err = each(keys)
			}
			if err != nil || next == 0 {
				return err
			}
			cursor = next
		}
	}
	if cluster, ok := s.client.(*goredis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, one)
	}
	return one(ctx, s.single)
}

var tagUnescape = strings.NewReplacer("%7B", "{", "%7D", "}", "%25", "%")

func escapeGlob(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(text)
}

// stamp reads microseconds of the server's clock.
func stamp(text string) time.Time {
	n, _ := strconv.ParseInt(text, 10, 64)
	return time.UnixMicro(n).UTC()
}
