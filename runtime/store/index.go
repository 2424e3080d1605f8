package store

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/run"
)

// Compare orders entries as List gives them: the newest start first, then by id, the later one first.
func (e Entry) Compare(o Entry) int {
	return cmp.Or(o.Started.Compare(e.Started), cmp.Compare(o.Run, e.Run))
}

// Cursor is what List returns when e is the last of a page: start in nanoseconds and id.
func (e Entry) Cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(e.Started.UnixNano(), 10) + " " + string(e.Run)))
}

// After reads a cursor: the start and id of the last entry that was shown. Without a cursor ok is false. ErrCursor.
func (f Filter) After() (started time.Time, id run.ID, ok bool, err error) {
	if f.Cursor == "" {
		return time.Time{}, "", false, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(f.Cursor)
	at, name, cut := strings.Cut(string(text), " ")
	nanos, bad := strconv.ParseInt(at, 10, 64)
	if err != nil || bad != nil || !cut {
		return time.Time{}, "", false, fmt.Errorf("%q: %w", f.Cursor, ErrCursor)
	}
	return time.Unix(0, nanos).UTC(), run.ID(name), true, nil
}

// Behind tells which entries come behind the cursor. ErrCursor.
func (f Filter) Behind() (func(Entry) bool, error) {
	started, id, ok, err := f.After()
	if err != nil {
		return nil, err
	}
	last := Entry{Run: id, Started: started}
	return func(e Entry) bool { return !ok || last.Compare(e) < 0 }, nil
}

// Match reports whether f chooses e, wherever its cursor stands.
func (f Filter) Match(e Entry) bool {
	return (len(f.Status) == 0 || slices.Contains(f.Status, e.Status)) &&
		(f.Flow == "" || f.Flow == e.Flow) && (f.Pool == "" || f.Pool == e.Pool) && (f.Tenant == "" || f.Tenant == e.Tenant) &&
		(f.Tag == "" || slices.Contains(e.Tags, f.Tag)) && (!f.Waiting || len(e.Waiting) > 0) && (f.Since.IsZero() || !e.Started.Before(f.Since)) && (f.Text == "" || f.mentions(e))
}

func (f Filter) mentions(e Entry) bool {
	word := strings.ToLower(f.Text)
	holds := func(s string) bool { return strings.Contains(strings.ToLower(s), word) }
	return holds(e.Flow) || holds(string(e.Run)) || slices.ContainsFunc(e.Tags, holds)
}

// Size is how many entries a page has at most.
func (f Filter) Size() int {
	if f.Limit <= 0 {
		return DefaultLimit
	}
	return min(f.Limit, MaxLimit)
}

// Gaps gives the time between two things at this rate, and by how much they may come early.
func (r Rate) Gaps() (gap, slack time.Duration, err error) {
	if r.Count <= 0 || r.Per <= 0 || r.Burst < 0 {
		return 0, 0, errors.New("a rate is so many in a time, both more than nothing")
	}
	gap = max(1, r.Per/time.Duration(r.Count))
	burst := r.Burst
	if burst == 0 {
		burst = r.Count
	}
	return gap, gap * time.Duration(burst-1), nil
}
