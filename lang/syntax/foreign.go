package syntax

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// Characters that word processors, chat windows and web pages put into scripts.

// maxLook is how far is looked for the end of what should not be there at all.
const maxLook = 1000

var curly = map[rune]string{'“': `"`, '”': `"`, '„': `"`, '‟': `"`, '«': `"`, '»': `"`, '‘': "'", '’': "'", '‚': "'", '‛': "'"}

// foreign takes a character beyond ASCII: the letter of a name, or one that has no place outside a text.
func (s *scanner) foreign() {
	r, size := utf8.DecodeRuneInString(s.text[s.pos:])
	at := source.Span{Start: s.pos, End: s.pos + size}
	switch {
	case unicode.IsLetter(r) && !isPlaceholder(r):
		s.name()
	case curly[r] != "":
		s.curlyText(at, curly[r])
	case unicode.Is(unicode.Zs, r):
		s.report(diag.Diagnostic{
			Code:    "E0023",
			Span:    at,
			Message: fmt.Sprintf("this blank is no ordinary one: it is %s", blankName(r)),
			Label:   "put an ordinary space here",
			Help:    []string{"web pages and chat windows put such blanks into copied text"},
			Fix:     &diag.Fix{Span: at, Text: " "},
		})
		s.pos += size
	case turnsWriting(r): // reported for the whole file
		s.pos += size
	case unicode.Is(unicode.Cf, r):
		s.report(diag.Diagnostic{
			Code:    "E0023",
			Span:    at,
			Message: fmt.Sprintf("here stands an invisible character (U+%04X)", r),
			Label:   "remove it",
			Fix:     &diag.Fix{Span: at},
		})
		s.pos += size
	default:
		d := diag.Diagnostic{
			Code:    "E0001",
			Span:    at,
			Message: fmt.Sprintf("`%c` has no meaning outside a text", r),
		}
		switch r {
		case '…':
			d.Help = []string{"if something is left out here, write it; if it is meant as text, put it in quotes"}
		case '→', '⇒':
			d.Label, d.Fix = "write `->`", &diag.Fix{Span: at, Text: "->"}
		case '–', '—', '−':
			d.Label, d.Fix = "write `-`", &diag.Fix{Span: at, Text: "-"}
		case '≥':
			d.Label, d.Fix = "write `>=`", &diag.Fix{Span: at, Text: ">="}
		case '≤':
			d.Label, d.Fix = "write `<=`", &diag.Fix{Span: at, Text: "<="}
		case '≠':
			d.Label, d.Fix = "write `!=`", &diag.Fix{Span: at, Text: "!="}
		case '×':
			d.Label, d.Fix = "write `*`", &diag.Fix{Span: at, Text: "*"}
		default:
			d.Help = []string{"texts stand in double quotes: \"…\""}
		}
		s.report(d)
		s.pos += size
		if d.Fix != nil {
			s.tokens = append(s.tokens, lexer.Token{Type: opToken, Value: d.Fix.Text, Pos: lexer.Position{Offset: at.Start}})
		}
	}
}

func blankName(r rune) string {
	switch r {
	case '\u00a0':
		return "a no-break space"
	case '\u3000':
		return "an ideographic space"
	case '\u2009', '\u200a', '\u202f':
		return "a thin space"
	}
	return fmt.Sprintf("a space of a special width (U+%04X)", r)
}

// curlyText takes a text in typographic quotes as the one its author meant, so that nothing else is said about it.
func (s *scanner) curlyText(at source.Span, straight string) {
	line := s.text[at.Start:min(len(s.text), at.Start+maxLook)]
	if i := strings.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	line = strings.TrimRight(line, "\r")
	end, close := curlyEnd(line, straight)
	end += at.Start
	d := diag.Diagnostic{
		Code:    "E0120",
		Span:    at,
		Message: "these are curly quotes; texts stand in straight ones",
		Label:   fmt.Sprintf("write %s", straight),
		Help:    []string{"word processors turn straight quotes into curly ones: switch off \"smart quotes\""},
	}
	if close == 0 {
		end = at.Start + len(line)
		d.Message = "this is a curly quote; texts stand in straight ones"
	} else {
		inner := s.text[at.End : end-close]
		quote := straight
		if strings.Contains(inner, straight) {
			quote = strings.Repeat(straight, 3)
		}
		if good := quote + inner + quote; wholeText(good) {
			d.Fix = &diag.Fix{Span: source.Span{Start: at.Start, End: end}, Text: good}
		}
	}
	s.report(d)
	s.add(textToken, at.Start, end)
}

// closers are the quotes that close a typographic one.
var closers = map[rune]string{'“': "”", '”': "”", '„': "“”", '‟': "”", '«': "»", '»': "«", '‘': "’", '’': "’", '‚': "‘’", '‛': "’"}

// curlyEnd returns where the text ends that a curly quote opens at the start of line, and how long its closing quote is. Quotes of its own kind inside it are
// counted, so that “he said “hi” to me” is one text; when they do not come out even, the first quote closes it. The ’ of an it’s is no quote.
func curlyEnd(line, straight string) (end, close int) {
	open, size := utf8.DecodeRuneInString(line)
	depth, before := 1, open
	first := 0
	for i, width := size, 0; i < len(line); i += width {
		var r rune
		r, width = utf8.DecodeRuneInString(line[i:])
		after, _ := utf8.DecodeRuneInString(line[i+width:])
		apostrophe := r == '’' && unicode.IsLetter(before) && unicode.IsLetter(after)
		before = r
		if apostrophe {
			continue
		}
		if first == 0 && (curly[r] == straight || string(r) == straight) {
			first, close = i+width, width
		}
		if strings.ContainsRune(closers[open], r) {
			depth--
		} else if r == open {
			depth++
		}
		if depth == 0 {
			return i + width, width
		}
	}
	if first == 0 {
		return size, 0
	}
	return first, close
}

// wholeText tells whether s is one text, from its first quote to its last.
func wholeText(s string) bool {
	end, ok := textEnd(s, 0, false)
	return ok && end == len(s)
}

// otherComment takes what other languages call a comment, and the semicolon, which separates lines in many of them.
func (s *scanner) otherComment(rest string) bool {
	line := rest[:min(len(rest), maxLook)]
	if rest[0] == '#' {
		line = rest
	}
	if i := strings.IndexByte(line, '\n'); i >= 0 {
		line = strings.TrimRight(line[:i], "\r")
	}
	at := source.Span{Start: s.pos, End: s.pos + 1}
	switch {
	case rest[0] == '#' && s.round == 0: // inside brackets it is the current element
		s.report(diag.Diagnostic{
			Code: "E0010", Span: at, Message: "a comment begins with `//`", Label: "write `//`", Fix: &diag.Fix{Span: at, Text: "//"},
		})
		s.pos += len(line)
		return true
	case strings.HasPrefix(rest, "/*"):
		end := strings.Index(rest[:min(len(rest), 1<<16)], "*/")
		if end < 0 {
			end = len(line) - 2
		}
		at.End++
		s.report(diag.Diagnostic{
			Code: "E0010", Span: at, Message: "a comment begins with `//` and ends with its line", Label: "write `//`, on every line of the comment",
		})
		s.pos += end + 2
		return true
	case rest[0] == ';':
		d := diag.Diagnostic{Code: "E0016", Span: at, Message: "lines need no `;`", Label: "remove it", Fix: &diag.Fix{Span: at}}
		if after := strings.TrimSpace(line[1:]); after != "" && !strings.HasPrefix(after, "//") && s.round == 0 {
			d.Message, d.Label = "every step stands on a line of its own", "begin a new line instead of `;`"
			d.Fix.Text = "\n"
			s.tokens = append(s.tokens, lexer.Token{Type: eolToken, Value: eol, Pos: lexer.Position{Offset: s.pos}})
		}
		s.report(d)
		s.pos++
		return true
	}
	return false
}

// unreadable is what makes a file no script at all, or one that shows something else than it says.
func unreadable(src *source.File) (diag.Diagnostic, bool) {
	text := src.Text
	d := diag.Diagnostic{Severity: diag.Error, File: src}
	if len(text) > MaxBytes {
		d.Code = "E0130"
		d.Span = source.Span{Start: 0, End: 0}
		d.Message = fmt.Sprintf("this file is %d MB; a script may have %d MB", (len(text)+1<<20-1)>>20, MaxBytes>>20)
		d.Help = []string{"keep data in files of its own and hand it in: `input text: file`"}
		return d, true
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		d.Code = "E0002"
		d.Span = source.Span{Start: i, End: i + 1}
		d.Message = "this file is not a text"
		d.Label = "a zero byte"
		d.Help = []string{"a script is a plain text file in UTF-8"}
		if inUTF16(text) {
			d.Message = "this file is in UTF-16"
			d.Help = []string{"save it as UTF-8"}
		}
		return d, true
	}
	if !utf8.ValidString(text) {
		i := 0
		for i < len(text) {
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			i += size
		}
		d.Code = "E0002"
		d.Span = source.Span{Start: i, End: i + 1}
		d.Message = fmt.Sprintf("this file is not in UTF-8: the byte 0x%02x begins no character", text[i])
		d.Help = []string{"save it as UTF-8; an old editor may call it \"Unicode\""}
		return d, true
	}
	return d, false
}

func turnsWriting(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// bidi reports characters that turn the direction of writing: with them a line shows something else than it says.
func bidi(src *source.File) diag.List {
	var l diag.List
	text := src.Text
	for i := 0; i < len(text); {
		j := strings.IndexByte(text[i:], 0xe2) // the first byte of them all
		if j < 0 {
			return l
		}
		i += j
		r, size := utf8.DecodeRuneInString(text[i:])
		if turnsWriting(r) {
			at := source.Span{Start: i, End: i + size}
			l.Add(diag.Diagnostic{
				Code:     "E0130",
				Severity: diag.Error,
				File:     src,
				Span:     at,
				Message:  fmt.Sprintf("here the direction of writing is turned by an invisible character (U+%04X)", r),
				Label:    "remove it: what you see is not what runs",
				Help:     []string{fmt.Sprintf("in a text write it visibly: \\u{%x}", r)},
				Fix:      &diag.Fix{Span: at},
			})
			if len(l) == 20 {
				return l
			}
		}
		i += size
	}
	return l
}

// inUTF16 tells a text in UTF-16, where every second byte of plain letters is zero, from a program or an image, which has zeros anywhere.
func inUTF16(text string) bool {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return true
	}
	head := text[:min(len(text), 100)]
	var zeros [2]int
	for i := range len(head) {
		switch {
		case head[i] == 0:
			zeros[i%2]++
		case head[i] < ' ' && head[i] != '\n' && head[i] != '\r' && head[i] != '\t':
			return false
		}
	}
	few, many := min(zeros[0], zeros[1]), max(zeros[0], zeros[1])
	return few == 0 && many > len(head)/4
}
