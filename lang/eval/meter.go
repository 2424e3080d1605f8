package eval

import "fmt"

// What one evaluation may do. A step is about one visit of one node, or 64 bytes looked at. The limits are counted, never timed, so a replay ends
// where the run did.
const (
	MaxSteps = 5_000_000
	MaxBytes = 64 << 20 // made in one evaluation, garbage included
	MaxValue = 16 << 20 // of one text, list or record that an evaluation makes
	maxDepth = 1000     // of a value, nested
)

// The size of a value's parts, near enough to what Go takes for them.
const (
	itemBytes  = 16
	fieldBytes = 48
)

// meter counts what an evaluation does and ends it by panicking with a *Failure. Its methods are the operators and functions of expressions.
type meter struct {
	steps int
	bytes int
	refer bool // the text of a file that is kept elsewhere is given as a types.Large
}

func fail(kind, format string, args ...any) {
	panic(&Failure{Kind: kind, Message: fmt.Sprintf(format, args...)})
}

func (m *meter) step(n int) {
	if m.steps += n; m.steps > MaxSteps || n < 0 {
		fail(LimitFailure, "this takes more than %d steps", MaxSteps)
	}
}

// scan charges for looking at n bytes.
func (m *meter) scan(n int) { m.step(1 + n/64) }

// alloc charges for making n bytes, before they are made.
func (m *meter) alloc(n int) {
	if n > MaxValue || n < 0 {
		fail(LimitFailure, "this makes a value larger than %d MiB", MaxValue>>20)
	}
	if m.bytes += n; m.bytes > MaxBytes {
		fail(LimitFailure, "this makes more than %d MiB of values", MaxBytes>>20)
	}
	m.step(1 + n/64)
}

// items charges for a list of n items.
func (m *meter) items(n int) {
	if n > MaxValue/itemBytes {
		fail(LimitFailure, "this makes a list of more than %d items", MaxValue/itemBytes)
	}
	m.alloc(n * itemBytes)
}

// whole fails when v, written out, is larger than a value may be. A list that holds the same long text a thousand times is small in memory, but not
// where it is stored or sent.
func (m *meter) whole(v any) {
	if left := m.weigh(v, MaxValue, 0); left < 0 {
		fail(LimitFailure, "this makes a value larger than %d MiB", MaxValue>>20)
	}
}

func (m *meter) weigh(v any, left, depth int) int {
	m.step(1)
	if depth > maxDepth {
		fail(LimitFailure, "this makes a value nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case string:
		return left - itemBytes - len(v)
	case []any:
		for _, item := range v {
			if left = m.weigh(item, left-itemBytes, depth+1); left < 0 {
				return left
			}
		}
	case map[string]any:
		m.step(2 * len(v))
		for _, key := range sortedKeys(v) { // which limit is met first must not depend on Go's order of maps
			if left = m.weigh(v[key], left-itemBytes-len(key), depth+1); left < 0 {
				return left
			}
		}
	}
	return left - itemBytes
}
