package eval

import "github.com/slopstudios/slop/lang/types"

// HoldsLarge reports whether something in a value is kept elsewhere: a types.Large, or a file without its bytes. No expression may look into such a value
// before its bytes were fetched.
func HoldsLarge(v any) bool { return holdsLarge(v, 0) }

func holdsLarge(v any, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch v := v.(type) {
	case types.Large:
		return true
	case types.FileValue:
		return v.Data == nil && v.Size > 0 && v.SHA256 != ""
	case []any:
		for _, x := range v {
			if holdsLarge(x, depth+1) {
				return true
			}
		}
	case types.Parts:
		return holdsLarge([]any(v), depth)
	case map[string]any:
		for _, x := range v {
			if holdsLarge(x, depth+1) {
				return true
			}
		}
	}
	return false
}
