package server

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/graph"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/runtime/server/auth"
)

func (s *Server) editorRoutes() []route {
	return []route{
		{method: "POST", path: Root + "/check", role: auth.Viewer, id: "check", handle: s.check, reads: true},
		{method: "POST", path: Root + "/format", role: auth.Viewer, id: "format", handle: s.format, reads: true},
		{method: "POST", path: Root + "/graph", role: auth.Viewer, id: "graph", handle: s.graph, reads: true},
	}
}

// scriptBody is a script, as JSON or as it is.
type scriptBody struct {
	Script *string `json:"script"`
	Name   string  `json:"name"`   // of the file in diagnostics; "": script.slop
	Format string  `json:"format"` // of a graph
}

func readScript(r *http.Request) (*source.File, scriptBody, error) {
	var body scriptBody
	q := query(r, "name", "format")
	if q.err != nil {
		return nil, body, q.err
	}
	if kind := mediaType(r); kind == "text/x-slop" || kind == "text/plain" {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, body, bodyError(err)
		}
		text := string(raw)
		body.Script = &text
	} else if err := read(r, &body); err != nil {
		return nil, body, err
	}
	if body.Script == nil {
		return nil, body, problem("E_INVALID", "there is no script", Fault{"/script", "the text of a script"})
	}
	for to, word := range map[*string]string{&body.Name: q.text("name"), &body.Format: q.text("format")} {
		if word != "" {
			*to = word
		}
	}
	if body.Name == "" {
		body.Name = "script.slop"
	}
	if len(body.Name) > maxName || strings.ContainsAny(body.Name, "\n\r") {
		return nil, body, problem("E_INVALID", "that is no name of a file", Fault{"/name", "at most 200 bytes on one line"})
	}
	return source.NewFile(body.Name, *body.Script), body, nil
}

func (s *Server) check(w http.ResponseWriter, r *http.Request) error {
	src, _, err := readScript(r)
	if err != nil {
		return err
	}
	p, diags, err := s.compile(r.Context(), src)
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, struct {
		OK          bool            `json:"ok"`
		Diagnostics json.RawMessage `json:"diagnostics"`
	}{p != nil, diagnostics(diags)})
}

func (s *Server) format(w http.ResponseWriter, r *http.Request) error {
	src, body, err := readScript(r)
	if err != nil {
		return err
	}
	tree, diags := syntax.Parse(src)
	if diags.HasErrors() {
		return scriptProblem(diags)
	}
	text := string(format.File(tree))
	return send(w, http.StatusOK, struct {
		Script  string `json:"script"`
		Changed bool   `json:"changed"`
	}{text, text != *body.Script})
}

func (s *Server) graph(w http.ResponseWriter, r *http.Request) error {
	src, body, err := readScript(r)
	if err != nil {
		return err
	}
	p, diags, err := s.compile(r.Context(), src)
	if err != nil {
		return err
	}
	if p == nil {
		return scriptProblem(diags)
	}
	var drawn any
	switch body.Format {
	case "json", "":
		body.Format = "json"
		drawn = graph.Of(p)
	case "mermaid":
		drawn = graph.Mermaid(p)
	case "dot":
		drawn = graph.DOT(p)
	case "ascii":
		drawn = graph.ASCII(p)
	default:
		return problem("E_INVALID", "a graph cannot be drawn like that", Fault{"/format", "json, mermaid, dot or ascii"})
	}
	return send(w, http.StatusOK, struct {
		Format string `json:"format"`
		Graph  any    `json:"graph"`
	}{body.Format, drawn})
}
