package diag

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/slopstudios/slop/lang/source"
)

type jsonPlace struct {
	Line      int `json:"line"` // from 1
	Column    int `json:"column"`
	EndLine   int `json:"endLine"`
	EndColumn int `json:"endColumn"`
}

type jsonDiagnostic struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	File     string   `json:"file"`
	jsonPlace
	Pointer string        `json:"pointer,omitempty"` // in a JSON definition
	Label   string        `json:"label,omitempty"`
	Help    string        `json:"help"`
	Fix     *jsonFix      `json:"fix"`
	Related []jsonRelated `json:"related"`
}

type jsonFix struct {
	StartLine   int    `json:"startLine"`
	StartColumn int    `json:"startColumn"`
	EndLine     int    `json:"endLine"`
	EndColumn   int    `json:"endColumn"`
	Text        string `json:"text"`
}

type jsonRelated struct {
	File string `json:"file"`
	jsonPlace
	Message string `json:"message"`
}

// JSON returns the list as {"diagnostics": […]}, lines and columns from 1, columns in runes, ends exclusive. Unlike Print it has no cap.
func JSON(l List) ([]byte, error) {
	out := struct {
		Diagnostics []jsonDiagnostic `json:"diagnostics"`
	}{make([]jsonDiagnostic, 0, len(l))}
	for _, d := range l {
		j := jsonDiagnostic{
			Code: d.Code, Severity: d.Severity, Message: d.Message, File: nameOf(d.File), jsonPlace: place(d.File, d.Span),
			Pointer: d.Pointer,
			Label:   d.Label, Help: strings.Join(d.Help, "\n"), Related: []jsonRelated{},
		}
		if d.Fix != nil {
			p := place(d.File, d.Fix.Span)
			j.Fix = &jsonFix{p.Line, p.Column, p.EndLine, p.EndColumn, d.Fix.Text}
		}
		for _, r := range d.Related {
			j.Related = append(j.Related, jsonRelated{nameOf(r.File), place(r.File, r.Span), r.Message})
		}
		out.Diagnostics = append(out.Diagnostics, j)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(out)
	return b.Bytes(), err
}

func nameOf(f *source.File) string {
	if f == nil {
		return ""
	}
	return f.Name
}

func place(f *source.File, s source.Span) jsonPlace {
	if f == nil {
		return jsonPlace{1, 1, 1, 1}
	}
	start, end := f.Pos(s.Start), f.Pos(s.End)
	return jsonPlace{start.Line, start.Column, end.Line, end.Column}
}
