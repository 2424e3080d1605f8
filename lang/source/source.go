// Package source holds the text of a script and answers where in it a byte stands.
package source

import (
	"sort"
	"unicode/utf8"
)

// File is one source text under the name that messages show for it.
type File struct {
	Name string
	Text string

	lines []int // byte offset at which each line begins
}

// NewFile prepares text for position lookups. The text is kept as it is: a byte order mark or CRLF stays in it, so offsets are those of the file on disk.
func NewFile(name, text string) *File {
	f := &File{Name: name, Text: text, lines: []int{0}}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	return f
}

// Span is the half-open byte range [Start, End) of a File's text.
type Span struct {
	Start, End int
}

// Join returns the smallest span that covers both.
func (s Span) Join(t Span) Span {
	return Span{min(s.Start, t.Start), max(s.End, t.End)}
}

// Pos is a place as people count it: lines from 1, columns from 1 in runes.
type Pos struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Pos returns the place of the byte at offset; an offset outside the text counts as the nearest end.
func (f *File) Pos(offset int) Pos {
	offset = max(0, min(offset, len(f.Text)))
	line := sort.SearchInts(f.lines, offset+1) - 1
	return Pos{
		File:   f.Name,
		Line:   line + 1,
		Column: utf8.RuneCountInString(f.Text[f.lines[line]:offset]) + 1,
	}
}

// Line returns the text of line n (from 1) without its line end.
func (f *File) Line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	start, end := f.lines[n-1], len(f.Text)
	if n < len(f.lines) {
		end = f.lines[n] - 1
	}
	if end > start && f.Text[end-1] == '\r' {
		end--
	}
	return f.Text[start:end]
}

// Slice returns the text of a span, clipped to the file.
func (f *File) Slice(s Span) string {
	start := max(0, min(s.Start, len(f.Text)))
	end := max(start, min(s.End, len(f.Text)))
	return f.Text[start:end]
}
