package jsonflow

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/slopstudios/slop/lang/syntax"
)

// seg is a part of a path: a name, or an index in brackets.
type seg struct {
	name    string
	index   int
	isIndex bool
}

// parsePath reads `a.b[0].c`, `steps.my-step.output` and `steps["my-step"].output`.
func parsePath(s string) ([]seg, bool) {
	var path []seg
	s = strings.TrimSpace(s)
	for i, first := 0, true; first || i < len(s); first = false {
		switch {
		case !first && s[i] == '[':
			end := strings.IndexByte(s[i:], ']')
			if end < 0 {
				return nil, false
			}
			inner := strings.TrimSpace(s[i+1 : i+end])
			i += end + 1
			if n, err := strconv.Atoi(inner); err == nil && n >= 0 && n < 1_000_000 {
				path = append(path, seg{index: n, isIndex: true})
				continue
			}
			if len(inner) < 3 || inner[0] != inner[len(inner)-1] || inner[0] != '"' && inner[0] != '\'' {
				return nil, false
			}
			path = append(path, seg{name: inner[1 : len(inner)-1]})
			continue
		case !first && s[i] == '.':
			i++
		case !first:
			return nil, false
		}
		start := i
		for i < len(s) && s[i] != '.' && s[i] != '[' {
			i++
		}
		name := s[start:i]
		if n, err := strconv.Atoi(name); err == nil && !first && n >= 0 && n < 1_000_000 && strconv.Itoa(n) == name { // items.0 is items[0]
			path = append(path, seg{index: n, isIndex: true})
			continue
		}
		for j, c := range name {
			if !(unicode.IsLetter(c) || c == '_' || c == '$' && j == 0 || j > 0 && (unicode.IsDigit(c) || c == '-')) {
				return nil, false
			}
		}
		if name == "" {
			return nil, false
		}
		path = append(path, seg{name: name})
	}
	return path, len(path) <= maxDepth
}

// join writes a path back.
func join(path []seg) string {
	var b strings.Builder
	for i, s := range path {
		switch {
		case s.isIndex:
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case i > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

// plainName tells whether a name may stand in an expression as it is.
func plainName(name string) bool {
	if name == "" || syntax.Reserved(name) || name == "let" {
		return false
	}
	for i, c := range name {
		if !(unicode.IsLetter(c) || c == '_' || i > 0 && unicode.IsDigit(c)) {
			return false
		}
	}
	return true
}

// fieldName is a name as a record has it.
func fieldName(name string) string {
	if plainName(name) {
		return name
	}
	return literal(name)
}

// names gives out the names of a script, each once.
type names map[string]bool

// take makes a name of an id, or of other when nothing of the id can stand in a name.
func (n names) take(id, other string) string {
	var b strings.Builder
	for _, c := range id {
		switch {
		case unicode.IsLetter(c) || c == '_' || unicode.IsDigit(c):
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
		if b.Len() > 60 {
			break
		}
	}
	name := b.String()
	if strings.Trim(name, "_") == "" {
		name = other
	}
	if c := []rune(name)[0]; unicode.IsDigit(c) {
		name = other + "_" + name
	}
	if !strings.HasSuffix(id, "_") {
		name = strings.TrimRight(name, "_")
	}
	if syntax.Reserved(name) || name == "let" {
		name = "the_" + name
	}
	for try, i := name, 2; ; i++ {
		if !n[try] {
			n[try] = true
			return try
		}
		try = name + "_" + strconv.Itoa(i)
	}
}
