package redis

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"github.com/slopstudios/slop/runtime/run"
)

// marks remembers, for each lease that this process took, the last entry of the log that its holder has seen.
type marks struct {
	mu    sync.Mutex
	known map[run.ID]*mark
}

type mark struct {
	token uint64
	seq   run.Seq
	entry string // id in the stream; "" while nothing is known
	torn  bool   // something else was read where the entry had been
}

// newMark names a batch of entries. The second half of an id in a stream is an unsigned number of 64 bits.
func newMark() string { return strconv.FormatUint(rand.Uint64()>>1, 10) }

func entryID(seq run.Seq, mark string) string {
	return strconv.FormatUint(uint64(seq), 10) + "-" + mark
}

func seqOf(entry string) (run.Seq, bool) {
	text, _, ok := strings.Cut(entry, "-")
	n, err := strconv.ParseUint(text, 10, 64)
	return run.Seq(n), ok && err == nil
}

// set remembers a new lease, or what its holder appended.
func (m *marks) set(id run.ID, token uint64, entry string) {
	seq, _ := seqOf(entry)
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.known[id]; old != nil && old.token > token {
		return
	}
	if m.known == nil {
		m.known = map[run.ID]*mark{}
	}
	m.known[id] = &mark{token: token, seq: seq, entry: entry}
}

func (m *marks) drop(id run.ID, token uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.known[id]; old != nil && old.token <= token {
		delete(m.known, id)
	}
}

// anchor is the entry that must be there for an append after head. A holder that appends before what it had seen knows that the rest is lost.
func (m *marks) anchor(lease run.Lease, head run.Seq) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[lease.Run]
	if k == nil || k.token != lease.Token || k.seq > head && !k.torn {
		return ""
	}
	return k.entry
}

// at tells where reading must begin so that it meets the last entry that is known.
func (m *marks) at(id run.ID) (run.Seq, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[id]
	if k == nil || k.entry == "" {
		return 0, false
	}
	return k.seq, true
}

// saw learns from entries that were read in order. Only what follows the last known entry extends it; something else in its place tears it.
func (m *marks) saw(id run.ID, entries []string) {
	if len(entries) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.known[id]
	if k == nil || k.torn {
		return
	}
	first, ok := seqOf(entries[0])
	last, ok2 := seqOf(entries[len(entries)-1])
	if !ok || !ok2 {
		return
	}
	if k.entry == "" {
		k.seq, k.entry = last, entries[len(entries)-1]
		return
	}
	if k.seq < first || k.seq > last {
		return
	}
	if i := int(k.seq - first); i < len(entries) && entries[i] != k.entry {
		k.torn = true
		return
	}
	k.seq, k.entry = last, entries[len(entries)-1]
}
