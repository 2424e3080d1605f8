package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/runtime/edition"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/template"
)

func (s *Server) templateRoutes() []route {
	at := Root + "/templates/{id}"
	return []route{
		{method: "POST", path: Root + "/templates", role: auth.Operator, id: "createTemplate", handle: s.createTemplate},
		{method: "GET", path: Root + "/templates", role: auth.Viewer, id: "listTemplates", handle: s.listTemplates},
		{method: "GET", path: at, role: auth.Viewer, id: "getTemplate", handle: s.getTemplate},
		{method: "PUT", path: at, role: auth.Operator, id: "updateTemplate", handle: s.updateTemplate},
		{method: "DELETE", path: at, role: auth.Operator, id: "deleteTemplate", handle: s.templates().remove},
		{method: "POST", path: at + "/interpolate", role: auth.Viewer, id: "interpolateTemplate", handle: s.interpolateTemplate, reads: true},
		{method: "GET", path: at + "/versions", role: auth.Viewer, id: "listTemplateVersions", handle: s.templates().versions},
		{method: "GET", path: at + "/versions/{version}", role: auth.Viewer, id: "getTemplateVersion", handle: s.getTemplateVersion},
		{method: "GET", path: at + "/diff", role: auth.Viewer, id: "diffTemplate", handle: s.diffTemplate},
		{method: "POST", path: at + "/rollback", role: auth.Operator, id: "rollbackTemplate", handle: s.rollbackTemplate},
	}
}

// templateAbout is what is said of a template whatever its version.
type templateAbout struct {
	Description string   `json:"description,omitempty"`
	Category    string   `json:"category,omitempty"`
	Tags        []string `json:"tags,omitempty"`
}

type storedTemplate = thing[templateAbout, template.Text]

func (s *Server) templates() *kept[templateAbout, template.Text] {
	return &kept[templateAbout, template.Text]{edition.Shelf[templateAbout, template.Text]{Docs: s.config.Store, Kind: "template", Prefix: "tpl_"}, "template"}
}

// Template is a prompt template as clients see it. A list leaves Content and Variables out.
type Template struct {
	ID          string              `json:"id"`
	Name        string              `json:"name"`
	Version     int                 `json:"version"`
	Content     *string             `json:"content,omitempty"`
	Variables   []template.Variable `json:"variables,omitempty"`
	Description string              `json:"description,omitempty"`
	Category    string              `json:"category,omitempty"`
	Tags        []string            `json:"tags"`
	CreatedAt   time.Time           `json:"createdAt"`
	UpdatedAt   time.Time           `json:"updatedAt"`
	By          string              `json:"by"`
	Note        string              `json:"note,omitempty"` // about the version
}

func templateOf(t *storedTemplate, whole bool) Template {
	out := Template{
		ID: t.ID, Name: t.Name, Version: t.Number, Description: t.About.Description, Category: t.About.Category, Tags: append([]string{}, t.About.Tags...),
		CreatedAt: t.Created, UpdatedAt: t.Updated, By: t.By, Note: t.Note,
	}
	if !whole {
		return out
	}
	out.Content = &t.Text.Content
	if read, faults, said := template.Read(t.Name, t.Text); len(faults) == 0 && !said.HasErrors() {
		out.Variables = read.Variables()
	}
	return out
}

// templateBody is what a request says of a template. Of a change, what is nil stays.
type templateBody struct {
	Name              *string              `json:"name"`
	Content           *string              `json:"content"`
	Variables         *[]template.Variable `json:"variables"`
	Description       *string              `json:"description"`
	Category          *string              `json:"category"`
	Tags              *[]string            `json:"tags"`
	ChangeDescription string               `json:"changeDescription"`
}

// put writes what the body says over what there is.
func (b *templateBody) put(about *templateAbout, text *template.Text) []Fault {
	set(&about.Description, b.Description)
	set(&about.Category, b.Category)
	set(&about.Tags, b.Tags)
	set(&text.Content, b.Content)
	set(&text.Variables, b.Variables)
	faults := aboutFaults(about.Description, about.Tags)
	if len(about.Category) > maxTag {
		faults = append(faults, Fault{"/category", fmt.Sprintf("at most %d bytes", maxTag)})
	}
	if len(b.ChangeDescription) > maxDescription {
		faults = append(faults, Fault{"/changeDescription", fmt.Sprintf("at most %d bytes", maxDescription)})
	}
	return faults
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// checkTemplate reads a template, and tells what is wrong with it.
func checkTemplate(name string, text template.Text) (*template.Template, error) {
	read, faults, said := template.Read(name, text)
	if len(faults) == 0 && !said.HasErrors() {
		return read, nil
	}
	p := problem("E_TEMPLATE", "the template has mistakes", faultsOf(faults)...)
	if said.HasErrors() {
		i := slices.IndexFunc(said, func(d diag.Diagnostic) bool { return d.Severity == diag.Error })
		p.Detail, p.Diagnostics = said[i].Message, diagnostics(said)
		p.Errors = append(p.Errors, Fault{"/content", said[i].Message})
	}
	return nil, p
}

func faultsOf(list []template.Fault) []Fault {
	faults := make([]Fault, len(list))
	for i, f := range list {
		faults[i] = Fault(f)
	}
	return faults
}

func (s *Server) createTemplate(w http.ResponseWriter, r *http.Request) error {
	body, same, err := readSame[templateBody](r)
	if err != nil {
		return err
	}
	var faults []Fault
	switch {
	case body.Name == nil:
		faults = append(faults, Fault{"/name", "a name is needed"})
	case nameFault(*body.Name, titled) != "":
		faults = append(faults, Fault{"/name", nameFault(*body.Name, titled)})
	}
	if body.Content == nil || *body.Content == "" {
		faults = append(faults, Fault{"/content", "the text of the template is needed"})
	}
	var about templateAbout
	var text template.Text
	if faults = append(faults, body.put(&about, &text)...); faults != nil {
		return problem("E_INVALID", "the template is not said as it should be", faults...)
	}
	if _, err := checkTemplate(*body.Name, text); err != nil {
		return err
	}
	t, err := s.templates().create(s, w, r, *body.Name, same, about, text)
	if err != nil {
		return err
	}
	w.Header().Set("Location", Root+"/templates/"+url.PathEscape(t.ID))
	tagged(w, r, t.Tag())
	return send(w, http.StatusCreated, templateOf(t, true))
}

// readSame reads a body, and gives what makes it the same as another: its bytes, however they are indented.
func readSame[T any](r *http.Request) (body T, same []byte, err error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return body, nil, bodyError(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	if err := read(r, &body); err != nil {
		return body, nil, err
	}
	var b bytes.Buffer
	_ = json.Compact(&b, raw) // it was read
	return body, b.Bytes(), nil
}

func (s *Server) getTemplate(w http.ResponseWriter, r *http.Request) error {
	if q := query(r); q.err != nil {
		return q.err
	}
	t, err := s.templates().find(r.Context(), part(r, "id"))
	if err != nil {
		return err
	}
	if tagged(w, r, t.Tag()) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return send(w, http.StatusOK, templateOf(t, true))
}

func (s *Server) listTemplates(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "tag", "category", "q", "limit", "cursor")
	tags, category, word, limit := q.texts("tag"), q.text("category"), q.text("q"), q.number("limit", store.DefaultLimit, 1, 200)
	if q.err != nil {
		return q.err
	}
	list, next, err := s.templates().shelf.Page(r.Context(), auth.From(r.Context()).Tenant, q.text("cursor"), limit, func(t *storedTemplate) bool {
		for _, tag := range tags {
			if !slices.Contains(t.About.Tags, tag) {
				return false
			}
		}
		return (category == "" || t.About.Category == category) && (word == "" || holds(word, append([]string{t.Name, t.About.Description}, t.About.Tags...)...))
	})
	if err != nil {
		return storedThing(err)
	}
	items := make([]Template, len(list))
	for i, t := range list {
		items[i] = templateOf(t, false)
	}
	return send(w, http.StatusOK, pageOf(items, next))
}

func (s *Server) updateTemplate(w http.ResponseWriter, r *http.Request) error {
	var body templateBody
	if err := read(r, &body); err != nil {
		return err
	}
	return s.changeTemplate(w, r, func(t *storedTemplate) (*template.Text, string, error) {
		if body.Name != nil && *body.Name != t.Name {
			return nil, "", problem("E_INVALID", "a template keeps its name, since scripts find it by that; create another", Fault{"/name", "it is " + strconv.Quote(t.Name)})
		}
		text := t.Text
		if faults := body.put(&t.About, &text); faults != nil {
			return nil, "", problem("E_INVALID", "the change is not said as it should be", faults...)
		}
		return &text, body.ChangeDescription, nil
	})
}

// changeTemplate stores what change makes of a template, as a new version when its text is another.
func (s *Server) changeTemplate(w http.ResponseWriter, r *http.Request, change func(*storedTemplate) (*template.Text, string, error)) error {
	t, err := s.templates().update(r, func(t *storedTemplate) (*template.Text, string, error) {
		text, note, err := change(t)
		if err != nil {
			return nil, "", err
		}
		if sameJSON(*text, t.Text) {
			return nil, "", nil
		}
		_, err = checkTemplate(t.Name, *text)
		return text, note, err
	})
	if err != nil {
		return err
	}
	tagged(w, r, t.Tag())
	return send(w, http.StatusOK, templateOf(t, true))
}

func sameJSON(a, b any) bool {
	x, err := json.Marshal(a)
	y, wrong := json.Marshal(b)
	return err == nil && wrong == nil && bytes.Equal(x, y)
}

func (s *Server) interpolateTemplate(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Variables json.RawMessage `json:"variables"`
	}
	if err := read(r, &body); err != nil {
		return err
	}
	values := map[string]any{}
	if len(body.Variables) > 0 && string(body.Variables) != "null" {
		v, err := jsonvalue.Parse(body.Variables)
		object, ok := v.(map[string]any)
		if err != nil || !ok {
			return problem("E_INVALID", "variables are an object: values by name", Fault{"/variables", "an object"})
		}
		values = object
	}
	t, err := s.templates().find(r.Context(), part(r, "id"))
	if err != nil {
		return err
	}
	read, err := checkTemplate(t.Name, t.Text)
	if err != nil {
		return err
	}
	filled, faults := read.Fill(values)
	if faults != nil {
		return problem("E_INPUT", "the template cannot be filled with these variables: "+faults[0].Pointer[1:]+": "+faults[0].Detail, faultsOf(faults)...)
	}
	return send(w, http.StatusOK, struct {
		Content string   `json:"content"`
		Used    []string `json:"used"`
		Missing []string `json:"missing"`
		Version int      `json:"version"`
	}{filled.Content, filled.Used, filled.Missing, t.Number})
}

func (s *Server) getTemplateVersion(w http.ResponseWriter, r *http.Request) error {
	t, err := s.templates().numbered(r)
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, templateOf(t, true))
}

func (s *Server) diffTemplate(w http.ResponseWriter, r *http.Request) error {
	from, to, err := s.templates().pair(r)
	if err != nil {
		return err
	}
	var told struct {
		From      int    `json:"from"`
		To        int    `json:"to"`
		Diff      string `json:"diff"` // unified; "": the contents are the same
		Variables struct {
			Added   []string `json:"added"`
			Removed []string `json:"removed"`
			Changed []string `json:"changed"`
		} `json:"variables"`
	}
	told.From, told.To = from.Number, to.Number
	told.Diff = unified(fmt.Sprintf("%s@%d", from.Name, from.Number), from.Text.Content, fmt.Sprintf("%s@%d", to.Name, to.Number), to.Text.Content)
	v := &told.Variables
	v.Added, v.Removed, v.Changed = []string{}, []string{}, []string{}
	was, is := map[string]template.Variable{}, map[string]template.Variable{}
	for _, one := range templateOf(from, true).Variables {
		was[one.Name] = one
	}
	for _, one := range templateOf(to, true).Variables {
		is[one.Name] = one
		if old, ok := was[one.Name]; !ok {
			v.Added = append(v.Added, one.Name)
		} else if !reflect.DeepEqual(old, one) {
			v.Changed = append(v.Changed, one.Name)
		}
	}
	for _, one := range templateOf(from, true).Variables {
		if _, ok := is[one.Name]; !ok {
			v.Removed = append(v.Removed, one.Name)
		}
	}
	return send(w, http.StatusOK, told)
}

func (s *Server) rollbackTemplate(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Version int `json:"version"`
	}
	if err := read(r, &body); err != nil {
		return err
	}
	if body.Version < 1 {
		return problem("E_INVALID", "which version is it to be as?", Fault{"/version", "the number of a version, from 1"})
	}
	return s.changeTemplate(w, r, func(t *storedTemplate) (*template.Text, string, error) {
		old, err := s.templates().edition(r.Context(), t, body.Version)
		if err != nil {
			return nil, "", err
		}
		return &old.Text, fmt.Sprintf("as version %d", body.Version), nil
	})
}

// loadTemplate finds what a script's `use template` names.
func (s *Server) loadTemplate(ctx context.Context, ref string) (name, text string, err error) {
	t, err := s.templates().find(ctx, ref)
	if err != nil {
		var p *Problem
		if errors.As(err, &p) && p.Code == "E_UNAVAILABLE" {
			return "", "", err
		}
		return "", "", fmt.Errorf("%w; POST %s/templates stores one", err, Root)
	}
	read, err := checkTemplate(t.Name, t.Text)
	if err != nil {
		return "", "", err
	}
	return fmt.Sprintf("%s@%d", t.Name, t.Number), read.File(), nil
}
