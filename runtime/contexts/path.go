package contexts

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// key is one step of a path: a name of a record, or an index of a list.
type key struct {
	named bool
	name  string
	index int
}

func (k key) String() string {
	if !k.named {
		return "[" + strconv.Itoa(k.index) + "]"
	}
	return k.name
}

// compare orders the items of a list by their numbers, and a path before what is below it.
func compare(a, b key) int {
	if c := cmp.Compare(a.index, b.index); c != 0 {
		return c
	}
	return cmp.Compare(a.name, b.name)
}

// parse reads a path: name { "." name | "[" index "]" } .
func parse(path string) ([]key, error) {
	if path == "" {
		return nil, fmt.Errorf("a path is missing")
	}
	if len(path) > MaxPath {
		return nil, fmt.Errorf("a path of %d bytes is too long; at most %d", len(path), MaxPath)
	}
	var keys []key
	for rest := path; rest != ""; {
		if len(keys) == MaxDepth {
			return nil, fmt.Errorf("path `%s` is deeper than %d", path, MaxDepth)
		}
		if rest[0] == '[' && len(keys) > 0 {
			digits, after, closed := strings.Cut(rest[1:], "]")
			index, err := strconv.Atoi(digits)
			if !closed || err != nil || index < 0 || strings.HasPrefix(digits, "+") {
				return nil, fmt.Errorf("path `%s`: an index is a whole number from 0 in brackets, as in `a[0]`", path)
			}
			if index > MaxItems {
				return nil, fmt.Errorf("path `%s`: a list has at most %d items", path, MaxItems)
			}
			keys = append(keys, key{index: index})
			rest = after
			continue
		}
		if len(keys) > 0 {
			if rest[0] != '.' {
				return nil, fmt.Errorf("path `%s`: after `]` comes a dot or another `[`", path)
			}
			rest = rest[1:]
		}
		n := nameLength(rest)
		if n == 0 {
			return nil, fmt.Errorf("path `%s`: a path looks like `a.b[0].c`", path)
		}
		keys = append(keys, key{name: rest[:n], named: true})
		rest = rest[n:]
		if rest != "" && rest[0] != '.' && rest[0] != '[' {
			return nil, fmt.Errorf("path `%s`: names hold letters, digits, _ and -", path)
		}
	}
	return keys, nil
}

// Top gives the first name of a path.
func Top(path string) (string, error) {
	keys, err := parse(path)
	if err != nil {
		return "", err
	}
	return keys[0].name, nil
}

func nameLength(s string) int {
	for i, r := range s {
		if r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == utf8.RuneError {
			return i
		}
	}
	return len(s)
}

// canonical writes keys so that equal paths are equal texts, and a path below another begins with it and a separator. A name that no path can say, since a
// record brought it along, is quoted.
func canonical(keys []key) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteByte('/')
		if k.named && (k.name == "" || nameLength(k.name) < len(k.name)) {
			b.WriteString(strconv.Quote(k.name))
			continue
		}
		b.WriteString(k.String())
	}
	return b.String()
}

func below(path, ancestor string) bool {
	return strings.HasPrefix(path, ancestor) && (len(path) == len(ancestor) || path[len(ancestor)] == '/')
}

// keysOf reads the canonical form of a path that parse has read.
func keysOf(path string) []key {
	var keys []key
	for _, text := range strings.Split(path[1:], "/") {
		if strings.HasPrefix(text, "[") {
			index, _ := strconv.Atoi(strings.Trim(text, "[]"))
			keys = append(keys, key{index: index})
			continue
		}
		keys = append(keys, key{name: text, named: true})
	}
	return keys
}

// isCanonical reports whether a text is what canonical makes of a path that parse reads.
func isCanonical(text string) bool {
	if !strings.HasPrefix(text, "/") {
		return false
	}
	keys, err := parse(strings.ReplaceAll(strings.ReplaceAll(text[1:], "/[", "["), "/", "."))
	return err == nil && canonical(keys) == text
}
