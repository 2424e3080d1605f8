package plan

import "strings"

// Words splits the text of a command as a shell would, before any value is put in: at blanks outside quotes. A value is always one word or part of one.
// Single quotes keep everything; double quotes keep all but \" \\ \$ and \`; outside quotes a backslash keeps the next character. Nothing is expanded.
// It reports false when a quote does not end; the rest then counts as quoted.
func Words(t Text) ([]Text, bool) {
	s := splitter{at: t}
	for _, p := range t.Parts {
		if p.Expr != nil {
			s.value(p.Expr)
			continue
		}
		s.literal(p.Literal)
	}
	closed := s.quote == 0 && !s.escape
	if s.escape {
		s.lit.WriteByte('\\')
	}
	s.end()
	return s.words, closed
}

type splitter struct {
	at     Text
	words  []Text
	parts  []Part
	lit    strings.Builder
	open   bool // a word has begun, be it empty quotes
	quote  byte // ' or " while inside them
	escape bool // a backslash waits for its character
}

func (s *splitter) value(e *Expr) {
	if s.escape { // a backslash before a value is a backslash
		s.escape = false
		s.lit.WriteByte('\\')
	}
	s.flush()
	s.open = true
	s.parts = append(s.parts, Part{Expr: e})
}

func (s *splitter) literal(text string) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case s.escape:
			s.escape = false
			if s.quote == '"' && !strings.ContainsRune("\"\\$`", rune(c)) {
				s.lit.WriteByte('\\')
			}
			if c != '\n' { // an escaped line end joins two lines
				s.lit.WriteByte(c)
			}
		case s.quote == '\'' && c != '\'', s.quote == '"' && c != '"' && c != '\\':
			s.lit.WriteByte(c)
		case s.quote != 0 && c == s.quote:
			s.quote = 0
		case c == '\\':
			s.escape, s.open = true, true
		case c == '\'' || c == '"':
			s.quote, s.open = c, true
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			s.end()
		default:
			s.open = true
			s.lit.WriteByte(c)
		}
	}
}

func (s *splitter) flush() {
	if s.lit.Len() > 0 {
		s.parts = append(s.parts, Part{Literal: s.lit.String()})
		s.lit.Reset()
	}
}

func (s *splitter) end() {
	if !s.open {
		return
	}
	s.flush()
	if s.parts == nil {
		s.parts = []Part{}
	}
	s.words = append(s.words, Text{Parts: s.parts, At: s.at.At})
	s.parts, s.open = nil, false
}
