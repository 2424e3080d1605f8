package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/edition"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
)

func (s *Server) flowRoutes() []route {
	at := Root + "/flows/{id}"
	return []route{
		{method: "POST", path: Root + "/flows", role: auth.Operator, id: "createFlow", handle: s.createFlow},
		{method: "GET", path: Root + "/flows", role: auth.Viewer, id: "listFlows", handle: s.listFlows},
		{method: "GET", path: at, role: auth.Viewer, id: "getFlow", handle: s.getFlow},
		{method: "PUT", path: at, role: auth.Operator, id: "updateFlow", handle: s.updateFlow},
		{method: "DELETE", path: at, role: auth.Operator, id: "deleteFlow", handle: s.flows().remove},
		{method: "GET", path: at + "/versions", role: auth.Viewer, id: "listFlowVersions", handle: s.flows().versions},
		{method: "GET", path: at + "/versions/{version}", role: auth.Viewer, id: "getFlowVersion", handle: s.getFlowVersion},
		{method: "GET", path: at + "/diff", role: auth.Viewer, id: "diffFlow", handle: s.diffFlow},
	}
}

// flowAbout is what is said of a flow whatever its version.
type flowAbout struct {
	Description string   `json:"description,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	Published   int      `json:"published"` // the version that the name alone means; 0: none
}

type flowText struct {
	Script string          `json:"script"`
	Inputs json.RawMessage `json:"inputs"` // JSON Schema of what it takes, as it was when it was stored
}

type storedFlow = thing[flowAbout, flowText]

func (s *Server) flows() *kept[flowAbout, flowText] {
	return &kept[flowAbout, flowText]{edition.Shelf[flowAbout, flowText]{Docs: s.config.Store, Kind: "flow", Prefix: "flow_"}, "flow"}
}

// Flow is a stored flow as clients see it. A list leaves Script out.
type Flow struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Version     int             `json:"version"`
	Published   int             `json:"published"`
	Script      string          `json:"script,omitempty"`
	Inputs      json.RawMessage `json:"inputs"`
	Description string          `json:"description,omitempty"`
	Tags        []string        `json:"tags"`
	CreatedAt   time.Time       `json:"createdAt"`
	UpdatedAt   time.Time       `json:"updatedAt"`
	By          string          `json:"by"`
	Note        string          `json:"note,omitempty"`
}

func flowOf(t *storedFlow, whole bool) Flow {
	f := Flow{
		ID: t.ID, Name: t.Name, Version: t.Number, Published: t.About.Published, Inputs: t.Text.Inputs, Description: t.About.Description,
		Tags: append([]string{}, t.About.Tags...), CreatedAt: t.Created, UpdatedAt: t.Updated, By: t.By, Note: t.Note,
	}
	if whole {
		f.Script = t.Text.Script
	}
	return f
}

// flowBody is what a request says of a flow. Of a change, what is nil stays.
type flowBody struct {
	Name              *string   `json:"name"`
	Script            *string   `json:"script"`
	Description       *string   `json:"description"`
	Tags              *[]string `json:"tags"`
	Draft             bool      `json:"draft"`     // the name goes on to mean the version that it means now
	Published         *int      `json:"published"` // the version that the name is to mean; 0: none
	ChangeDescription string    `json:"changeDescription"`
}

func (b *flowBody) put(about *flowAbout) []Fault {
	set(&about.Description, b.Description)
	set(&about.Tags, b.Tags)
	faults := aboutFaults(about.Description, about.Tags)
	if b.Draft && b.Published != nil {
		faults = append(faults, Fault{"/draft", "either this or published"})
	}
	if len(b.ChangeDescription) > maxDescription {
		faults = append(faults, Fault{"/changeDescription", fmt.Sprintf("at most %d bytes", maxDescription)})
	}
	return faults
}

// spelled are the characters of a flow's name: those that stand in `use` and in a path without any escape but for the slash.
func spelled(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_./", c)
}

func flowNameFault(name string) string {
	if fault := nameFault(name, spelled); fault != "" {
		return "a name of 1 to 200 letters from a to z, digits and - _ . /"
	}
	if slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return part == "" || part == "." || part == ".." }) || strings.HasPrefix(name, "std/") {
		return "a name like house/review; std/ is for what comes with the program"
	}
	return ""
}

// compile makes the plan of a script of the caller. An error is of the store, which could not be asked for what the script uses.
func (s *Server) compile(ctx context.Context, src *source.File) (*plan.Plan, diag.List, error) {
	return s.compileBy(ctx, func(scope types.Scope) (*plan.Plan, diag.List) { return lang.Compile(src, scope) })
}

// compileBy lets make compile something in the scope of the caller.
func (s *Server) compileBy(ctx context.Context, make func(types.Scope) (*plan.Plan, diag.List)) (*plan.Plan, diag.List, error) {
	var away error
	scope := s.config.Registry.Scope()
	note := func(name, text string, err error) (string, string, error) {
		var p *Problem
		if errors.As(err, &p) && p.Code == "E_UNAVAILABLE" || errors.Is(err, context.Canceled) {
			away = err
		} else if p := problemOf(err); err != nil && p.Code == "E_UNAVAILABLE" {
			away = p
		}
		return name, text, err
	}
	scope.Load = func(_, path string) (string, string, error) { return note(s.load(ctx, path)) }
	scope.Template = func(name string) (string, string, error) { return note(s.loadTemplate(ctx, name)) }
	p, diags := make(scope)
	if away != nil {
		return nil, nil, away
	}
	return p, diags, nil
}

// checkFlow compiles what is to be stored, and gives it with the form of its inputs.
func (s *Server) checkFlow(ctx context.Context, name, script string) (flowText, error) {
	if strings.TrimSpace(script) == "" {
		return flowText{}, problem("E_INVALID", "a flow without a script does nothing", Fault{"/script", "the text of a script"})
	}
	p, diags, err := s.compile(ctx, source.NewFile(name, script))
	if err != nil {
		return flowText{}, err
	}
	if p == nil {
		return flowText{}, scriptProblem(diags)
	}
	return flowText{Script: script, Inputs: inputForm(p)}, nil
}

// inputForm is the JSON Schema of the inputs of a flow, with what is needed to ask a person for them.
func inputForm(p *plan.Plan) json.RawMessage {
	var b bytes.Buffer
	var required []string
	b.WriteString(`{"type":"object","properties":{`)
	for i, in := range p.Inputs {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(in.Name)
		b.Write(name)
		b.WriteString(":{")
		var parts []string
		add := func(key string, v any) {
			if text, err := json.Marshal(v); err == nil {
				parts = append(parts, `"`+key+`":`+string(text))
			}
		}
		if in.Doc != "" {
			add("description", in.Doc)
		}
		if in.Default != nil {
			add("default", in.Default)
		}
		if schema := string(valueSchema(in.Type)); schema != "{}" {
			parts = append(parts, schema[1:len(schema)-1])
		}
		b.WriteString(strings.Join(parts, ",") + "}")
		if in.Required {
			required = append(required, in.Name)
		}
	}
	list, _ := json.Marshal(append([]string{}, required...))
	b.WriteString(`},"required":` + string(list) + `,"additionalProperties":false}`)
	return b.Bytes()
}

// valueSchema is the schema of a value as a client gives it: a file is one that was uploaded.
func valueSchema(t types.Type) json.RawMessage {
	const blob = `{"type":"object","properties":{"sha256":{"type":"string"},"name":{"type":"string"}},"required":["sha256"],"additionalProperties":false}`
	switch {
	case t.Kind == types.File:
		return json.RawMessage(blob)
	case t.Kind == types.List && t.Item().Kind == types.File:
		return json.RawMessage(`{"type":"array","items":` + blob + `}`)
	}
	t.Optional = false
	return types.Schema(t)
}

func (s *Server) createFlow(w http.ResponseWriter, r *http.Request) error {
	body, same, err := readSame[flowBody](r)
	if err != nil {
		return err
	}
	about := flowAbout{Published: 1}
	var faults []Fault
	switch {
	case body.Name == nil:
		faults = append(faults, Fault{"/name", "a name is needed"})
	case flowNameFault(*body.Name) != "":
		faults = append(faults, Fault{"/name", flowNameFault(*body.Name)})
	}
	if body.Script == nil {
		faults = append(faults, Fault{"/script", "the text of a script is needed"})
	}
	if body.Draft {
		about.Published = 0
	}
	if body.Published != nil {
		if about.Published = *body.Published; about.Published != 0 && about.Published != 1 {
			faults = append(faults, Fault{"/published", "its first version is 1; 0: none"})
		}
	}
	if faults = append(faults, body.put(&about)...); faults != nil {
		return problem("E_INVALID", "the flow is not said as it should be", faults...)
	}
	text, err := s.checkFlow(r.Context(), *body.Name, *body.Script)
	if err != nil {
		return err
	}
	t, err := s.flows().create(s, w, r, *body.Name, same, about, text)
	if err != nil {
		return err
	}
	w.Header().Set("Location", Root+"/flows/"+url.PathEscape(t.Name))
	tagged(w, r, t.Tag())
	return send(w, http.StatusCreated, flowOf(t, true))
}

func (s *Server) getFlow(w http.ResponseWriter, r *http.Request) error {
	if q := query(r); q.err != nil {
		return q.err
	}
	t, err := s.flows().find(r.Context(), part(r, "id"))
	if err != nil {
		return err
	}
	if tagged(w, r, t.Tag()) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return send(w, http.StatusOK, flowOf(t, true))
}

func (s *Server) listFlows(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "tag", "q", "published", "limit", "cursor")
	tags, word, published, limit := q.texts("tag"), q.text("q"), q.flag("published"), q.number("limit", store.DefaultLimit, 1, 200)
	if q.err != nil {
		return q.err
	}
	list, next, err := s.flows().shelf.Page(r.Context(), auth.From(r.Context()).Tenant, q.text("cursor"), limit, func(t *storedFlow) bool {
		for _, tag := range tags {
			if !slices.Contains(t.About.Tags, tag) {
				return false
			}
		}
		return (!published || t.About.Published > 0) && (word == "" || holds(word, append([]string{t.Name, t.About.Description}, t.About.Tags...)...))
	})
	if err != nil {
		return storedThing(err)
	}
	items := make([]Flow, len(list))
	for i, t := range list {
		items[i] = flowOf(t, false)
	}
	return send(w, http.StatusOK, pageOf(items, next))
}

func (s *Server) updateFlow(w http.ResponseWriter, r *http.Request) error {
	var body flowBody
	if err := read(r, &body); err != nil {
		return err
	}
	t, err := s.flows().update(r, func(t *storedFlow) (*flowText, string, error) {
		if body.Name != nil && *body.Name != t.Name {
			return nil, "", problem("E_INVALID", "a flow keeps its name, since scripts find it by that; create another", Fault{"/name", "it is " + t.Name})
		}
		text, number := (*flowText)(nil), t.Number
		if body.Script != nil && *body.Script != t.Text.Script {
			made, err := s.checkFlow(r.Context(), t.Name, *body.Script)
			if err != nil {
				return nil, "", err
			}
			text, number = &made, number+1
			if !body.Draft {
				t.About.Published = number
			}
		}
		faults := body.put(&t.About)
		if body.Published != nil {
			if t.About.Published = *body.Published; t.About.Published < 0 || t.About.Published > number {
				faults = append(faults, Fault{"/published", fmt.Sprintf("a version from 1 to %d; 0: none", number)})
			}
		}
		if faults != nil {
			return nil, "", problem("E_INVALID", "the change is not said as it should be", faults...)
		}
		return text, body.ChangeDescription, nil
	})
	if err != nil {
		return err
	}
	tagged(w, r, t.Tag())
	return send(w, http.StatusOK, flowOf(t, true))
}

func (s *Server) getFlowVersion(w http.ResponseWriter, r *http.Request) error {
	t, err := s.flows().numbered(r)
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, flowOf(t, true))
}

func (s *Server) diffFlow(w http.ResponseWriter, r *http.Request) error {
	from, to, err := s.flows().pair(r)
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, struct {
		From int    `json:"from"`
		To   int    `json:"to"`
		Diff string `json:"diff"`
	}{from.Number, to.Number, unified(fmt.Sprintf("%s@%d", from.Name, from.Number), from.Text.Script, fmt.Sprintf("%s@%d", to.Name, to.Number), to.Text.Script)})
}

// flow gives the version of a stored flow that a reference means: one that it names, or the published one.
func (s *Server) flow(ctx context.Context, ref string) (*storedFlow, error) {
	t, err := s.flows().find(ctx, ref)
	if err != nil {
		return nil, err
	}
	if _, version, _ := reference(ref); version > 0 {
		return t, nil
	}
	if t.About.Published == 0 {
		return nil, problem("E_NOT_FOUND", fmt.Sprintf("no version of the flow %s is published; name one, like %s@%d", t.Name, t.Name, t.Number))
	}
	return s.flows().edition(ctx, t, t.About.Published)
}

// load finds what `use` names. A server never resolves a path: whoever sends a script must not read the server's files with it.
func (s *Server) load(ctx context.Context, path string) (name, text string, err error) {
	if ref, ok := strings.CutPrefix(path, "@"); ok {
		t, err := s.flow(ctx, ref)
		if err != nil {
			return "", "", err
		}
		return fmt.Sprintf("@%s@%d", t.Name, t.Number), t.Text.Script, nil
	}
	if strings.HasPrefix(path, "std/") && s.config.Load != nil {
		return s.config.Load(path)
	}
	return "", "", fmt.Errorf("%s: a server reads no files: `use` finds std/… and stored flows as @name@version", path)
}
