package config

import (
	"strings"

	"github.com/slopstudios/slop/lang/source"
)

// locate finds where a key stands in the text of a file that has been read as TOML. It reads lines, not TOML: the key is found where people write
// it, below its table's header, as a dotted key, or inside an inline table; else the nearest part of its path that is found is shown.
func locate(f *source.File, path []string) source.Span {
	for n := len(path); n > 0; n-- {
		if at, ok := lineOf(f, path[:n]); ok {
			if n < len(path) {
				return within(f, at, path[len(path)-1])
			}
			return at
		}
	}
	return source.Span{}
}

func lineOf(f *source.File, path []string) (source.Span, bool) {
	var table []string
	offset := 0
	for line := range strings.Lines(f.Text) {
		start := offset
		offset += len(line)
		trimmed := strings.TrimSpace(line)
		lead := strings.Index(line, trimmed)
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case trimmed[0] == '[':
			inside, _, ok := strings.Cut(strings.TrimLeft(trimmed, "["), "]")
			if !ok {
				continue
			}
			table = keyParts(inside)
			if hasPrefix(table, path) {
				at := start + strings.Index(line, inside)
				return source.Span{Start: at, End: at + len(inside)}, true
			}
		default:
			key, _, ok := strings.Cut(trimmed, "=")
			if !ok {
				continue
			}
			key = strings.TrimSpace(key)
			full := append(append([]string{}, table...), keyParts(key)...)
			if hasPrefix(full, path) && len(path) > len(table) {
				return source.Span{Start: start + lead, End: start + lead + len(key)}, true
			}
		}
	}
	return source.Span{}, false
}

// within narrows a place to word when it stands later on the same line.
func within(f *source.File, at source.Span, word string) source.Span {
	end := strings.IndexByte(f.Text[at.End:], '\n')
	if end < 0 {
		end = len(f.Text) - at.End
	}
	if i := strings.Index(f.Text[at.End:at.End+end], word); i >= 0 {
		return source.Span{Start: at.End + i, End: at.End + i + len(word)}
	}
	return at
}

func keyParts(s string) []string {
	var parts []string
	for p := range strings.SplitSeq(s, ".") {
		parts = append(parts, strings.Trim(strings.TrimSpace(p), `"'`))
	}
	return parts
}

func hasPrefix(full, path []string) bool {
	if len(full) < len(path) {
		return false
	}
	for i := range path {
		if full[i] != path[i] {
			return false
		}
	}
	return true
}
