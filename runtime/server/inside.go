package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/travel"
	"github.com/slopstudios/slop/runtime/wire"
)

// maxExport bounds what is put into one document: the large values of a run together.
const maxExport = 256 << 20

// insideRoutes are about what is in a run.
func (s *Server) insideRoutes() []route {
	at := Root + "/workflows/{id}"
	return []route{
		{method: "GET", path: at + "/context", role: auth.Viewer, id: "getRunContext", handle: s.runContext},
		{method: "GET", path: at + "/snapshot", role: auth.Viewer, id: "getRunSnapshot", handle: s.runSnapshot},
		{method: "GET", path: at + "/steps", role: auth.Viewer, id: "listSteps", handle: s.listSteps},
		{method: "GET", path: at + "/steps/{step}", role: auth.Viewer, id: "getStep", handle: s.getStep},
		{method: "POST", path: at + "/fork", role: auth.Operator, id: "forkRun", handle: s.forkRun},
		{method: "GET", path: at + "/diff", role: auth.Viewer, id: "diffRuns", handle: s.diffRuns},
		{method: "GET", path: at + "/export", role: auth.Viewer, id: "exportRun", handle: s.exportRun, streams: true},
		{method: "GET", path: at + "/artifacts", role: auth.Viewer, id: "listArtifacts", handle: s.listArtifacts},
		{method: "GET", path: at + "/artifacts/{sha256}", role: auth.Viewer, id: "getArtifact", handle: s.getArtifact, streams: true},
	}
}

// seqOf reads the number of a fact; 0: the last.
func (q *asked) seqOf() run.Seq { return run.Seq(q.number("seq", 0, 1, 1<<40)) }

// until is a history up to a fact.
func until(h *travel.History, seq run.Seq) (*travel.History, error) {
	if seq == 0 {
		return h, nil
	}
	if last := h.Facts[len(h.Facts)-1].Seq; seq > last {
		return nil, problem("E_NOT_FOUND", fmt.Sprintf("the run has %d facts so far", last))
	}
	cut := *h
	cut.Facts = h.Facts[:slices.IndexFunc(h.Facts, func(f run.Fact) bool { return f.Seq == seq })+1]
	return &cut, nil
}

func (s *Server) runContext(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "path", "seq")
	path, seq := q.text("path"), q.seqOf()
	if q.err != nil {
		return q.err
	}
	id := run.ID(part(r, "id"))
	h, err := s.history(r.Context(), id)
	if err != nil {
		return err
	}
	if _, err := until(h, seq); err != nil {
		return err
	}
	state, err := s.config.Host.Memory(r.Context(), id, seq)
	if err != nil {
		return err
	}
	value, err := whole(state, path)
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, struct {
		Path  string `json:"path"`
		Value any    `json:"value"`
	}{path, wire.Plain(value)})
}

// whole gives the value at a path of a state, and all of it at none.
func whole(state contexts.State, path string) (any, error) {
	if path != "" {
		value, ok, err := state.Get(path)
		switch {
		case err != nil:
			return nil, problem("E_INVALID", err.Error(), Fault{"/path", "a path like a.b[0].c"})
		case !ok:
			return nil, missing("value", path)
		}
		return value, nil
	}
	all := map[string]any{}
	names, err := state.List("")
	for _, name := range names {
		if all[name], _, err = state.Get(name); err != nil {
			return nil, err
		}
	}
	return all, err
}

func (s *Server) runSnapshot(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "seq")
	seq := q.seqOf()
	if q.err != nil {
		return q.err
	}
	id := run.ID(part(r, "id"))
	h, err := s.history(r.Context(), id)
	if err != nil {
		return err
	}
	if h, err = until(h, seq); err != nil {
		return err
	}
	folder := runs.Fold(h.Plan).Named(h.ID)
	for _, f := range h.Facts {
		folder.Add(f)
	}
	last := h.Facts[len(h.Facts)-1]
	view := folder.View()
	if end, ok := last.Body.(*run.Finished); ok {
		view.Output = end.Value
	}
	state, err := s.config.Host.Memory(r.Context(), id, last.Seq)
	if err != nil {
		return err
	}
	memory, err := whole(state, "")
	if err != nil {
		return err
	}
	begin := h.Facts[0].Body.(*run.Started)
	return send(w, http.StatusOK, struct {
		wire.Run
		At      time.Time `json:"at"` // of the fact
		Inputs  any       `json:"inputs"`
		Context any       `json:"context"`
	}{wire.RunOf(view, h.Plan.Name, begin.Options, last.Seq), last.At, wire.Plain(begin.Inputs), wire.Plain(memory)})
}

// listSteps lists the steps of a run, or gives the one that ?step= names.
func (s *Server) listSteps(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "step")
	if q.err != nil {
		return q.err
	}
	if step := q.text("step"); step != "" {
		return s.sendStep(w, r, run.Path(step))
	}
	told, err := s.tell(r.Context(), run.ID(part(r, "id")))
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, pageOf(told.Steps, ""))
}

func (s *Server) getStep(w http.ResponseWriter, r *http.Request) error {
	if q := query(r); q.err != nil {
		return q.err
	}
	return s.sendStep(w, r, run.Path(part(r, "step")))
}

// step is a step of a run as clients see it.
type step struct {
	Path   run.Path `json:"path"`
	Agent  string   `json:"agent"`
	Kind   string   `json:"kind"` // call, ask, wait
	Effect string   `json:"effect"`
	Status string   `json:"status"` // done, failed, kept, cancelled, open
	Line   int      `json:"line,omitempty"`
	Input  struct { // as it was rendered
		Text   any            `json:"text,omitempty"`
		System any            `json:"system,omitempty"`
		Args   map[string]any `json:"args,omitempty"`
		Form   *run.Form      `json:"form,omitempty"`
	} `json:"input"`
	Value     any        `json:"value"`
	Error     string     `json:"error,omitempty"`
	Attempts  []attempt  `json:"attempts"`
	StartedAt *time.Time `json:"startedAt"`
	EndedAt   *time.Time `json:"finishedAt"`
	Usage     wire.Usage `json:"usage"`
	wire.Cost
}

type attempt struct {
	Path      run.Path    `json:"path"` // with ~1 behind it: a repair
	Attempt   int         `json:"attempt"`
	Seq       run.Seq     `json:"seq"`
	StartedAt *time.Time  `json:"startedAt"`
	EndedAt   *time.Time  `json:"finishedAt"`
	Done      bool        `json:"done"`
	Outcome   run.Outcome `json:"outcome,omitempty"`
	Message   string      `json:"message,omitempty"`
	Source    string      `json:"source,omitempty"`
	AgentID   string      `json:"agentId,omitempty"`
	Usage     wire.Usage  `json:"usage"`
	wire.Cost
}

func (s *Server) sendStep(w http.ResponseWriter, r *http.Request, path run.Path) error {
	h, err := s.history(r.Context(), run.ID(part(r, "id")))
	if err != nil {
		return err
	}
	c, err := h.Look(path)
	var unknown *travel.ErrStep
	if errors.As(err, &unknown) {
		return problem("E_NOT_FOUND", err.Error())
	}
	if err != nil {
		return err
	}
	told := step{
		Path: c.Path, Agent: c.Agent, Kind: c.Kind, Effect: string(c.Effect), Status: c.Status, Line: c.At.Line, Value: wire.Plain(c.Value), Error: c.Error,
		Attempts: []attempt{}, StartedAt: wire.Instant(c.Began), EndedAt: wire.Instant(c.Ended), Usage: wire.UsageOf(c.Usage), Cost: wire.CostOf(c.Usage, wire.NoSource),
	}
	told.Input.Text, told.Input.System, told.Input.Form = wire.Plain(c.Text), wire.Plain(c.System), c.Form
	told.Input.Args, _ = wire.Plain(c.Args).(map[string]any)
	for _, a := range c.Attempts {
		told.Attempts = append(told.Attempts, attempt{
			a.Path, a.Number, a.Seq, wire.Instant(a.Began), wire.Instant(a.Ended), a.Done, a.Outcome, a.Message, a.Source, a.AgentID, wire.UsageOf(a.Usage), wire.CostOf(a.Usage, wire.NoSource),
		})
	}
	return send(w, http.StatusOK, told)
}

func (s *Server) forkRun(w http.ResponseWriter, r *http.Request) error {
	body, same, err := readSame[struct {
		From   run.Path        `json:"from"`
		Only   bool            `json:"only"`
		Inputs json.RawMessage `json:"inputs"`
		Script string          `json:"script"`
		Flow   string          `json:"flow"`
		Head   run.Seq         `json:"head"`
		DryRun bool            `json:"dryRun"`
	}](r)
	if err != nil {
		return err
	}
	switch {
	case body.Only && body.From == "":
		return problem("E_INVALID", "which step only?", Fault{"/only", "it goes with from"})
	case body.Script != "" && body.Flow != "":
		return problem("E_INVALID", "a fork runs one text", Fault{"/flow", "either a flow or a script"})
	}
	ctx, id := r.Context(), run.ID(part(r, "id"))
	h, err := s.history(ctx, id)
	if err != nil {
		return err
	}
	change := runs.Change{From: body.From, Only: body.Only, Head: body.Head, By: auth.From(ctx).Name, Pool: s.config.Options.Pool}
	p := h.Plan
	if body.Script != "" || body.Flow != "" {
		if p, err = s.planOf(ctx, &order{Script: body.Script, Flow: body.Flow}); err != nil {
			return err
		}
		change.Plan = p
	}
	if len(body.Inputs) > 0 && string(body.Inputs) != "null" {
		if change.Inputs, err = s.inputs(ctx, p, body.Inputs); err != nil {
			return err
		}
	}
	if body.DryRun {
		f, err := s.config.Host.Forecast(ctx, id, change)
		if err != nil {
			return err
		}
		return send(w, http.StatusOK, wire.ForecastOf(f))
	}
	if s.config.Ready != nil {
		if err := s.config.Ready(p, change.Inputs); err != nil {
			return problem("E_NOT_READY", err.Error())
		}
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		if change.ID, err = s.once(ctx, "forkRun "+string(id), key, same); err != nil {
			return err
		}
	}
	fork, err := s.config.Host.Fork(ctx, id, change)
	if errors.Is(err, runs.ErrExists) && change.ID != "" {
		fork, err = change.ID, nil
		w.Header().Set("Idempotency-Replayed", "true")
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", Root+"/workflows/"+url.PathEscape(string(fork)))
	told, err := s.tell(ctx, fork)
	if err != nil {
		return err
	}
	return send(w, http.StatusAccepted, told)
}

func (s *Server) diffRuns(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "with")
	a, b := run.ID(part(r, "id")), run.ID(q.text("with"))
	if err := s.mine(r.Context(), a); err != nil {
		return err
	}
	if b == "" {
		q.fault("with", "the id of another run")
	}
	if q.err != nil {
		return q.err
	}
	if err := s.mine(r.Context(), b); err != nil {
		return err
	}
	d, err := s.config.Host.Diff(r.Context(), a, b)
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, wire.DifferenceOf(d))
}

func (s *Server) exportRun(w http.ResponseWriter, r *http.Request) error {
	h, err := s.history(r.Context(), run.ID(part(r, "id")))
	if err != nil {
		return err
	}
	redact := func(text string) string { return text }
	if s.config.Redact != nil {
		redact = s.config.Redact(h.Plan)
	}
	blobs, size := map[string][]byte{}, 0
	for _, hash := range h.Blobs() {
		data, err := s.blob(r.Context(), hash)
		if err != nil {
			return err
		}
		if size += len(data); size > maxExport {
			return problem("E_TOO_LARGE", fmt.Sprintf("the large values of the run are more than %d MiB; take them one by one from artifacts", maxExport>>20))
		}
		// What is stored holds no secret; should one have become a secret since, it stays here all the same.
		if text := string(data); redact(text) != text {
			return problem("E_FORBIDDEN", "the value of a secret stands in the large value "+hash+", so the run is not exported")
		}
		blobs[hash] = data
	}
	data, err := travel.Export(h, blobs, redact)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Disposition", attachment(string(h.ID)+".json"))
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(data) // the client is gone
	return nil
}

// artifact is a file, or a text that is kept apart for its size, that the facts of a run name.
type artifact struct {
	SHA256 string   `json:"sha256"`
	Size   int64    `json:"size"`
	Type   string   `json:"type"`
	Name   string   `json:"name,omitempty"` // "": it is a text
	Step   run.Path `json:"step,omitempty"` // whose result it is first; "": an input, or the output
	Seq    run.Seq  `json:"seq"`            // of the first fact that names it
	data   []byte   // nil: they are kept apart
}

// artifacts finds what the facts of a run name, in their order, each once.
func artifacts(h *travel.History) []artifact {
	list := []artifact{}
	var look func(v any, path run.Path, seq run.Seq)
	look = func(v any, path run.Path, seq run.Seq) {
		var a artifact
		switch v := v.(type) {
		case types.Large:
			a = artifact{SHA256: v.SHA256, Size: v.Size, Type: "text/plain; charset=utf-8", Step: path, Seq: seq}
		case types.FileValue:
			a = artifact{SHA256: v.SHA256, Size: v.Size, Type: v.Type, Name: v.Name, Step: path, Seq: seq, data: v.Data}
		case []any:
			for _, x := range v {
				look(x, path, seq)
			}
			return
		case map[string]any:
			names := make([]string, 0, len(v))
			for name := range v {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				look(v[name], path, seq)
			}
			return
		}
		if a.SHA256 != "" && !slices.ContainsFunc(list, func(o artifact) bool { return o.SHA256 == a.SHA256 }) {
			list = append(list, a)
		}
	}
	for _, f := range h.Facts {
		switch b := f.Body.(type) {
		case *run.Started:
			look(b.Inputs, "", f.Seq)
		case *run.CallDone:
			look(b.Value, b.Path, f.Seq)
		case *run.Answered:
			look(b.Value, b.Path, f.Seq)
		case *run.Computed:
			look(b.Value, b.Path, f.Seq)
		case *run.Finished:
			look(b.Value, "", f.Seq)
		}
	}
	return list
}

func (s *Server) listArtifacts(w http.ResponseWriter, r *http.Request) error {
	h, err := s.history(r.Context(), run.ID(part(r, "id")))
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, pageOf(artifacts(h), ""))
}

// getArtifact sends bytes that a run of the caller names. Whatever they are, no browser makes a page of this server of them.
func (s *Server) getArtifact(w http.ResponseWriter, r *http.Request) error {
	h, err := s.history(r.Context(), run.ID(part(r, "id")))
	if err != nil {
		return err
	}
	list, hash := artifacts(h), part(r, "sha256")
	i := slices.IndexFunc(list, func(a artifact) bool { return a.SHA256 == hash })
	if i < 0 {
		return missing("artifact", hash)
	}
	a := list[i]
	if a.data == nil {
		if a.data, err = s.blob(r.Context(), hash); err != nil {
			return err
		}
	}
	name := a.Name
	if name == "" {
		name = hash[:min(len(hash), 12)] + ".txt"
	}
	header := w.Header()
	header.Set("Content-Type", safeType(a.Type))
	header.Set("Content-Disposition", attachment(name))
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("ETag", `"`+hash+`"`)
	header.Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
	return nil
}

// safeType is the type under which bytes of others may be sent: one that nothing runs.
func safeType(kind string) string {
	media, _, err := mime.ParseMediaType(kind)
	top, sub, _ := strings.Cut(media, "/")
	switch {
	case err != nil:
	case media == "text/plain":
		return "text/plain; charset=utf-8"
	case media == "application/json", media == "application/pdf", top == "audio", top == "video", top == "image" && !strings.Contains(sub, "svg") && !strings.Contains(sub, "xml"):
		return media
	}
	return "application/octet-stream"
}

// attachment says that bytes are to be saved, under a name without folders.
func attachment(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}
