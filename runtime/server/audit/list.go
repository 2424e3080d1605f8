package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/store"
)

// head is the end of a list.
type head struct {
	number uint64 // of the last batch; 0: there is none
	hash   string // of the last entry; "": there is none
	seq    uint64
	last   []byte // the last batch, when it was read
}

// read gives a batch as it is stored, and taken apart.
func read(ctx context.Context, docs store.Docs, tenant string, n uint64) (data []byte, entries []Entry, err error) {
	data, _, err = docs.GetDoc(ctx, batchKind, batchName(tenant, n))
	if err != nil {
		return nil, nil, err
	}
	var b batch
	if err := json.Unmarshal(data, &b); err != nil {
		return data, nil, fmt.Errorf("batch %d cannot be read: %w", n, err)
	}
	for _, s := range b.Entries {
		e := Entry{Hash: s.Hash}
		if err := json.Unmarshal(s.Entry, &e); err != nil {
			return data, nil, fmt.Errorf("batch %d cannot be read: %w", n, err)
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return data, nil, fmt.Errorf("batch %d is empty", n)
	}
	return data, entries, nil
}

// beginning is where a list begins.
func beginning(ctx context.Context, docs store.Docs, tenant string) (a anchor, version uint64, err error) {
	data, version, err := docs.GetDoc(ctx, anchorKind, url.PathEscape(tenant))
	if errors.Is(err, store.ErrNotFound) {
		return anchor{First: 1}, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	return a, version, err
}

// find looks for the end of a list: batches are numbered without gaps, so that a few looks tell.
func find(ctx context.Context, docs store.Docs, tenant string) (*head, error) {
	a, _, err := beginning(ctx, docs, tenant)
	if err != nil {
		return nil, err
	}
	there := func(n uint64) (bool, error) {
		_, _, err := docs.GetDoc(ctx, batchKind, batchName(tenant, n))
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	}
	low, high := a.First-1, a.First // low is there, or none is; high is not
	for step := uint64(1); ; step *= 2 {
		ok, err := there(high)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		low, high = high, high+step
	}
	for low+1 < high {
		middle := low + (high-low)/2
		ok, err := there(middle)
		if err != nil {
			return nil, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	if low < a.First {
		return &head{number: low, hash: a.Hash, seq: a.Seq}, nil
	}
	data, entries, err := read(ctx, docs, tenant, low)
	if err != nil {
		return nil, err
	}
	end := entries[len(entries)-1]
	return &head{number: low, hash: end.Hash, seq: end.Seq, last: data}, nil
}

// prune takes batches away that are too old or too many. The anchor moves first: what it leaves behind when the process dies is taken away the next time.
func (b *Book) prune(ctx context.Context, tenant string, last uint64) error {
	a, version, err := beginning(ctx, b.docs, tenant)
	if err != nil {
		return err
	}
	from, first := max(a.First, pruneMost+1)-pruneMost, a.First
	tooOld := b.config.Now().Add(-b.config.Keep)
	for a.First < last && a.First-first < pruneMost {
		_, entries, err := read(ctx, b.docs, tenant, a.First)
		if err != nil {
			return err
		}
		end := entries[len(entries)-1]
		if last-a.First < maxBatches && !end.At.Before(tooOld) {
			break
		}
		a = anchor{First: a.First + 1, Hash: end.Hash, Seq: end.Seq}
	}
	if a.First == first {
		return nil
	}
	data, _ := json.Marshal(a) // numbers and a text
	if err := b.docs.PutDoc(ctx, anchorKind, url.PathEscape(tenant), version, data); err != nil {
		return err
	}
	for n := from; n < a.First; n++ {
		if err := b.docs.DropDoc(ctx, batchKind, batchName(tenant, n), 1); err != nil {
			return err
		}
	}
	return nil
}

// ErrCursor is of a cursor that List did not give.
var ErrCursor = errors.New("the cursor is not one that was given out")

// List gives entries of a tenant, the newest first, and the cursor of those before: "" at the end.
func List(ctx context.Context, docs store.Docs, tenant, cursor string, limit int) (entries []Entry, next string, err error) {
	a, _, err := beginning(ctx, docs, tenant)
	if err != nil {
		return nil, "", err
	}
	var number, below uint64
	if cursor != "" {
		batch, seq, ok := strings.Cut(cursor, ".")
		var err1, err2 error
		number, err1 = strconv.ParseUint(batch, 10, 64)
		below, err2 = strconv.ParseUint(seq, 10, 64)
		if !ok || err1 != nil || err2 != nil {
			return nil, "", ErrCursor
		}
	} else {
		h, err := find(ctx, docs, tenant)
		if err != nil {
			return nil, "", err
		}
		number, below = h.number, h.seq+1
	}
	for ; number >= a.First && number > 0; number-- {
		_, some, err := read(ctx, docs, tenant, number)
		if errors.Is(err, store.ErrNotFound) {
			return entries, "", nil // it has become too old meanwhile
		}
		if err != nil {
			return nil, "", err
		}
		for i := len(some) - 1; i >= 0; i-- {
			if some[i].Seq >= below {
				continue
			}
			if len(entries) == limit {
				return entries, fmt.Sprintf("%d.%d", number, below), nil
			}
			entries = append(entries, some[i])
			below = some[i].Seq
		}
	}
	return entries, "", nil
}

// Tenants are those that have a list.
func Tenants(ctx context.Context, docs store.Docs) ([]string, error) {
	var all []string
	last := ""
	for name, err := range docs.AllDocs(ctx, batchKind, "") {
		if err != nil {
			return nil, err
		}
		escaped, _, _ := strings.Cut(name, "/")
		if escaped == last {
			continue
		}
		last = escaped
		if tenant, err := url.PathUnescape(escaped); err == nil {
			all = append(all, tenant)
		}
	}
	return all, nil
}

// Verified is what Verify found.
type Verified struct {
	Entries uint64
	Since   time.Time // of the oldest
	Seq     uint64    // of the newest
	Hash    string    // of the newest: who notes it elsewhere notices later if even the end was cut off
}

// Verify goes through the list of a tenant and yields what does not fit: batches that are missing, entries that were written over.
func Verify(ctx context.Context, docs store.Docs, tenant string, problem func(string)) (Verified, error) {
	var v Verified
	a, _, err := beginning(ctx, docs, tenant)
	if err != nil {
		return v, err
	}
	expected, hash, seq := a.First, a.Hash, a.Seq
	var names []string
	for name, err := range docs.AllDocs(ctx, batchKind, url.PathEscape(tenant)+"/") {
		if err != nil {
			return v, err
		}
		names = append(names, name)
	}
	for _, name := range names {
		_, digits, _ := strings.Cut(name, "/")
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			problem(fmt.Sprintf("%s is no batch", name))
			continue
		}
		if n < a.First {
			continue // too old, and about to be taken away
		}
		if n > expected {
			problem(fmt.Sprintf("batches %d to %d are missing", expected, n-1))
		}
		expected = n + 1
		data, _, err := docs.GetDoc(ctx, batchKind, name)
		if errors.Is(err, store.ErrNotFound) {
			continue // it was just taken away
		}
		if err != nil {
			return v, err
		}
		var b batch
		if err := json.Unmarshal(data, &b); err != nil || len(b.Entries) == 0 {
			problem(fmt.Sprintf("batch %d cannot be read", n))
			continue
		}
		for _, s := range b.Entries {
			var e Entry
			if err := json.Unmarshal(s.Entry, &e); err != nil {
				problem(fmt.Sprintf("an entry of batch %d cannot be read", n))
				continue
			}
			switch {
			case e.Seq != seq+1:
				problem(fmt.Sprintf("entry %d follows %d", e.Seq, seq))
			case seal(hash, s.Entry) != s.Hash:
				problem(fmt.Sprintf("entry %d of %s was changed, or the one before it", e.Seq, e.At.Format(time.RFC3339)))
			}
			hash, seq = s.Hash, e.Seq
			if v.Entries++; v.Since.IsZero() {
				v.Since = e.At
			}
		}
	}
	v.Seq, v.Hash = seq, hash
	return v, nil
}
