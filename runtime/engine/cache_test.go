package engine

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

func numbered(i int) (key cacheKey) {
	binary.BigEndian.PutUint64(key[:], uint64(i))
	return key
}

// Who was used longest ago leaves first, by number and by size.
func TestCacheIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	var c cache
	for i := range maxCached {
		c.put(numbered(i), i, now)
	}
	if _, ok := c.get(numbered(0), now, time.Hour); !ok {
		t.Fatal("the first is gone before there are too many")
	}
	c.put(numbered(maxCached), "one more", now)
	if _, ok := c.get(numbered(0), now, time.Hour); !ok {
		t.Error("the one used last left")
	}
	if _, ok := c.get(numbered(1), now, time.Hour); ok {
		t.Error("the one used longest ago stayed")
	}
	if len(c.byKey) != maxCached || c.used.Len() != maxCached {
		t.Errorf("%d entries, want %d", len(c.byKey), maxCached)
	}

	large := strings.Repeat("x", maxCachedValue/2)
	for i := range 100 {
		c.put(numbered(-1-i), large, now)
	}
	if c.bytes > maxCachedBytes {
		t.Errorf("%d bytes, the limit is %d", c.bytes, maxCachedBytes)
	}
	for c.used.Len() > 0 {
		c.drop(c.used.Back())
	}
	if c.bytes != 0 || len(c.byKey) != 0 {
		t.Errorf("empty, and %d bytes of %d are still counted", c.bytes, len(c.byKey))
	}
	c.put(numbered(1), strings.Repeat("x", maxCachedValue), now)
	if c.used.Len() != 0 {
		t.Error("a value that is too large was kept")
	}
}

func TestCacheAge(t *testing.T) {
	now := time.Unix(1000, 0)
	var c cache
	c.put(numbered(1), "old", now)
	c.put(numbered(1), "new", now.Add(time.Second))
	for _, want := range []struct {
		after, ttl time.Duration
		fresh      bool
	}{{0, time.Second, false}, {time.Second, time.Second, true}, {2 * time.Second, time.Second, false}, {2 * time.Second, time.Minute, true}} {
		v, ok := c.get(numbered(1), now.Add(want.after), want.ttl)
		if ok != want.fresh || ok && v != "new" {
			t.Errorf("%s later with a ttl of %s: %v, %t", want.after, want.ttl, v, ok)
		}
	}
}
