package run

import (
	"strconv"
	"strings"
	"time"
)

// Join is the path of a named step or branch in the block at p.
func (p Path) Join(name string) Path {
	if p == "" {
		return Path(name)
	}
	return p + "/" + Path(name)
}

// Item is the block of item i of the map at p.
func (p Path) Item(i int) Path {
	var room [96]byte // most paths are short: it costs one allocation
	b := append(append(room[:0], p...), '[')
	return Path(append(strconv.AppendInt(b, int64(i), 10), ']'))
}

// Round is the block of round k (from 1) of the loop at p.
func (p Path) Round(k int) Path { return p + "#" + Path(strconv.Itoa(k)) }

// Group is the block of group i of a level (from 1) of the reduce at p.
func (p Path) Group(level, i int) Path {
	return p + "^" + Path(strconv.Itoa(level)) + "[" + Path(strconv.Itoa(i)) + "]"
}

// Else is the block of fallback n (from 1) of the step at p.
func (p Path) Else(n int) Path {
	if n == 1 {
		return p.Join("else")
	}
	return p.Join("else" + strconv.Itoa(n))
}

// Repaired is the path of repair round n (from 1) of the call at p; round 0 is the call itself.
func (p Path) Repaired(n int) Path {
	if n == 0 {
		return p
	}
	return p + "~" + Path(strconv.Itoa(n))
}

// Question is the path of the n-th question (from 1) that the call at p asks while it is under way.
func (p Path) Question(n int) Path { return p + "?" + Path(strconv.Itoa(n)) }

// Asker cuts the mark of a question off: the path of the call that asks it. ok: there was one.
func (p Path) Asker() (call Path, ok bool) {
	i := len(p)
	for i > 0 && p[i-1] >= '0' && p[i-1] <= '9' {
		i--
	}
	if i == len(p) || i < 2 || p[i-1] != '?' {
		return p, false
	}
	return p[:i-1], true
}

// Step cuts the marks of questions and repairs off: the path of the step whose call this is.
func (p Path) Step() Path {
	p, _ = p.Asker()
	if i := strings.LastIndexByte(string(p), '~'); i >= 0 && !strings.ContainsAny(string(p[i:]), "/\"") {
		return p[:i]
	}
	return p
}

// Key is the idempotency key of the call at p: the same for each of its attempts.
func (p Path) Key(id ID) string { return string(id) + "/" + string(p) }

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID makes an ID that sorts by at, to the millisecond; entropy makes it unique. 26 characters, safe in URLs and file names.
func NewID(at time.Time, entropy [10]byte) ID {
	var bits [16]byte
	ms := uint64(max(at.UnixMilli(), 0))
	for i := range 6 {
		bits[i] = byte(ms >> (8 * (5 - i)))
	}
	copy(bits[6:], entropy[:])
	var out [26]byte
	for i := range out { // 128 bits in 26 groups of five; the first group has only three
		var v byte
		for j := range 5 {
			bit := i*5 + j - 2
			v <<= 1
			if bit >= 0 {
				v |= bits[bit/8] >> (7 - bit%8) & 1
			}
		}
		out[i] = crockford[v]
	}
	return ID(out[:])
}
