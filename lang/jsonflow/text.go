package jsonflow

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// piece is a part of a text: letters as they are, or a path that stood in `{{ }}`.
type piece struct {
	letters string
	path    []seg // of a gap
}

// gap tells whether the piece is a path.
func (p piece) gap() bool { return p.path != nil }

// pieces cuts a text at its gaps. `\{{` is two braces as they are. What looks like a block of a template language cannot be done, and never goes to an agent raw;
// other braces, as in JSON and code, are letters.
func (r *reader) pieces(v *value) []piece {
	var all []piece
	var letters strings.Builder
	s := v.text
	for {
		i := strings.Index(s, "{{")
		if i < 0 {
			break
		}
		if i > 0 && s[i-1] == '\\' {
			letters.WriteString(s[:i-1] + "{{")
			s = s[i+2:]
			continue
		}
		for i+2 < len(s) && s[i+2] == '{' { // the last two of a run open the gap
			i++
		}
		end := strings.Index(s[i:], "}}")
		if end < 0 {
			break
		}
		inner := strings.TrimSpace(s[i+2 : i+end])
		letters.WriteString(s[:i])
		whole := s[i : i+end+2]
		s = s[i+end+2:]
		path, ok := parsePath(inner)
		switch {
		case ok && inner != "else":
			if letters.Len() > 0 {
				all = append(all, piece{letters: letters.String()})
				letters.Reset()
			}
			all = append(all, piece{path: path})
			continue
		case inner == "else" || inner != "" && strings.IndexByte("#/^>!&", inner[0]) >= 0:
			d := r.wrong("E0209", v, "%s cannot stand in a prompt: a gap is the path of a value", quoted(whole))
			d.Help = []string{"conditions belong in `condition` of a step, lists are put in as they are; for the braces themselves write \\\\{{"}
		case strings.ContainsAny(inner, "|()") && !strings.ContainsAny(inner, "\"':\n{"):
			r.wrong("E0209", v, "%s cannot be computed in a prompt: a gap is the path of a value", quoted(whole))
		default:
			r.odd("E0209", v, "%s is no path: it stays as it stands", quoted(whole))
		}
		letters.WriteString(whole)
	}
	letters.WriteString(s)
	if letters.Len() > 0 {
		all = append(all, piece{letters: letters.String()})
	}
	return all
}

// letters writes what stands in talking quotes. Lines are kept as they are when the text spans several.
func letters(s string, lines bool) string {
	var b strings.Builder
	for i, skip := 0, false; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		next := s[i+size:]
		i += size
		switch {
		case skip:
			skip = false
		case c == '\\':
			b.WriteString(`\\`)
		case c == '"':
			b.WriteString(`\"`)
		case c == '\n' && !lines:
			b.WriteString(`\n`)
		case c == '\n':
			b.WriteByte('\n')
		case c == '\t':
			b.WriteString(`\t`)
		case c == '<' && strings.HasPrefix(next, "<"):
			b.WriteString(`\<<`)
			skip = true
		case c == '<' && next == "":
			b.WriteString(`\u{3c}`) // what follows may begin with another
		case c != ' ' && !unicode.IsGraphic(c), unicode.In(c, unicode.Bidi_Control), unicode.Is(unicode.Zs, c) && c != ' ', c == '\ufeff':
			fmt.Fprintf(&b, `\u{%x}`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// literal is a text without gaps as an expression has it.
func literal(s string) string { return `"` + letters(s, false) + `"` }

// talk writes a text with values in it. A text of several lines stands line by line when that keeps every letter.
func talk(parts []part) string {
	plain := ""
	for _, p := range parts {
		if p.expr != "" {
			plain += "x"
		}
		plain += p.letters
	}
	lines := strings.Contains(plain, "\n")
	least := -1
	for _, line := range strings.Split(plain, "\n") {
		rest := strings.TrimLeft(line, " ")
		if line != "" && (rest == "" || strings.IndexFunc(line, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }) >= 0 || rest[0] == '\t') {
			lines = false
		}
		if rest != "" && (least < 0 || len(line)-len(rest) < least) {
			least = len(line) - len(rest)
		}
	}
	lines = lines && least == 0
	var b strings.Builder
	if lines {
		b.WriteString("\"\"\"\n")
	} else {
		b.WriteByte('"')
	}
	for _, p := range parts {
		if p.expr != "" {
			b.WriteString("<<" + p.expr + ">>")
			continue
		}
		b.WriteString(letters(p.letters, lines))
	}
	if lines {
		b.WriteString("\n\"\"\"")
	} else {
		b.WriteByte('"')
	}
	return b.String()
}

// part is a piece whose path has become an expression.
type part struct{ letters, expr string }

// comment makes lines of a comment of what the author wrote about something.
func comment(s string) []string {
	s = strings.Map(func(c rune) rune {
		if c != '\n' && !unicode.IsGraphic(c) || unicode.In(c, unicode.Bidi_Control) {
			return ' '
		}
		return c
	}, s)
	var all []string
	for _, line := range strings.Split(strings.TrimSpace(s), "\n") {
		all = append(all, strings.TrimRight("// "+strings.TrimSpace(line), " "))
	}
	return all
}
