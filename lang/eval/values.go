package eval

import (
	"bytes"
	"math"
	"strings"

	"github.com/slopstudios/slop/lang/types"
)

// Equal reports whether two values are the same: numbers by what they count (1 equals 1.0), lists item by item, records field by field.
// Values of different kinds are not equal.
func Equal(a, b any) bool { return equal(a, b, nil, 0) }

func equal(a, b any, m *meter, depth int) bool {
	if m != nil {
		m.step(1)
	}
	if depth > maxDepth {
		if m != nil {
			fail(LimitFailure, "this compares values nested deeper than %d", maxDepth)
		}
		return false
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case int:
		switch b := b.(type) {
		case int:
			return a == b
		case float64:
			return compareIntFloat(a, b) == 0
		}
	case float64:
		switch b := b.(type) {
		case int:
			return compareIntFloat(b, a) == 0
		case float64:
			return a == b
		}
	case types.Large:
		return a.Is(b)
	case string:
		if l, large := b.(types.Large); large {
			return l.Is(a)
		}
		b, ok := b.(string)
		if ok && m != nil && len(a) == len(b) {
			m.scan(len(a))
		}
		return ok && a == b
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i], m, depth+1) {
				return false
			}
		}
		return true
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		return equalFields(a, b, m, depth)
	case types.FileValue:
		b, ok := b.(types.FileValue)
		return ok && equalFiles(a, b)
	case types.Secret:
		b, ok := b.(types.Secret)
		return ok && a == b
	case types.Parts:
		b, ok := b.(types.Parts)
		return ok && equal([]any(a), []any(b), m, depth+1)
	}
	return false
}

// equalFields visits the fields in order: where the budget of an evaluation ends must not depend on Go's order of maps.
func equalFields(a, b map[string]any, m *meter, depth int) bool {
	for _, key := range sortedKeys(a) {
		other, ok := b[key]
		if !ok || !equal(a[key], other, m, depth+1) {
			return false
		}
	}
	return true
}

func equalFiles(a, b types.FileValue) bool {
	if a.Name != b.Name || a.Size != b.Size || a.Type != b.Type || a.SHA256 != b.SHA256 {
		return false
	}
	return a.SHA256 != "" || bytes.Equal(a.Data, b.Data)
}

// compareIntFloat is exact, also beyond 2^53 where an int does not fit into a float.
func compareIntFloat(i int, f float64) int {
	switch {
	case math.IsNaN(f):
		return 1 // equal to nothing; no evaluation makes one
	case f >= math.MaxInt64:
		return -1
	case f < math.MinInt64:
		return 1
	}
	whole := math.Trunc(f)
	if n := int(whole); i != n {
		if i < n {
			return -1
		}
		return 1
	}
	switch {
	case f > whole:
		return -1
	case f < whole:
		return 1
	}
	return 0
}

// compare orders two numbers or two texts.
func compare(a, b any) (order int, ok bool) {
	switch a := a.(type) {
	case int:
		switch b := b.(type) {
		case int:
			return compareInts(a, b), true
		case float64:
			return compareIntFloat(a, b), true
		}
	case float64:
		switch b := b.(type) {
		case int:
			return -compareIntFloat(b, a), true
		case float64:
			switch {
			case a < b:
				return -1, true
			case a > b:
				return 1, true
			}
			return 0, true
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), true
		}
	}
	return 0, false
}

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// word says what kind of thing a value is.
func word(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a bool"
	case int:
		return "an int"
	case float64:
		return "a float"
	case string, types.Large:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "a record"
	case types.FileValue:
		return "a file"
	case types.Secret, types.Parts:
		return "a secret"
	}
	return "something that is no value"
}

// show is a value for a message: short, never a secret.
func show(v any) string {
	const shown = 40
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		s, err := appendJSON(nil, v, "", "")
		if err == nil && len(s) <= 2*shown {
			return string(s)
		}
		runes := []rune(v[:min(len(v), 4*shown)])
		return `"` + string(runes[:min(len(runes), shown)]) + `…"`
	case bool, int, float64:
		s, _ := Render(v)
		return s
	}
	return word(v)
}
