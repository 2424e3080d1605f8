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
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/travel"
	"github.com/slopstudios/slop/runtime/wire"
)

// The bounds of what a run is begun with.
const (
	maxTags     = 20
	maxTag      = 100 // bytes
	maxPriority = 100
)

func (s *Server) runRoutes() []route {
	return []route{
		{method: "POST", path: Root + "/workflows", role: auth.Operator, id: "startRun", handle: s.startRun, streams: true},
		{method: "GET", path: Root + "/workflows", role: auth.Viewer, id: "listRuns", handle: s.listRuns},
		{method: "GET", path: Root + "/workflows/{id}", role: auth.Viewer, id: "getRun", handle: s.getRun, streams: true},
	}
}

// order is what a client wants run.
type order struct {
	Script         string          `json:"script"`   // the text of a script
	Flow           string          `json:"flow"`     // or a stored flow: "name" is its published version, "name@2" that one
	Inputs         json.RawMessage `json:"inputs"`   // by name
	Priority       int             `json:"priority"` // 0 to 100, the higher first
	Budget         words           `json:"budget"`   // "0.50" dollars, "20 calls", "5000 tokens", "10m"; one or a list
	Timeout        string          `json:"timeout"`  // "10m"
	Cache          run.CacheMode   `json:"cache"`
	Tags           []string        `json:"tags"`
	IdempotencyKey string          `json:"idempotencyKey"` // as the header Idempotency-Key

	name       string      // of the run's flow; "": it is a script of its own
	definition *definition // what is to run was sent as JSON; nil: it was not
}

// words are a text or a list of texts.
type words []string

// UnmarshalJSON implements json.Unmarshaler.
func (w *words) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte(`"`)) {
		*w = make(words, 1)
		return json.Unmarshal(b, &(*w)[0])
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// readOrder reads what is to be run: JSON, or a script as it is with the rest in the query.
func readOrder(r *http.Request) (*order, error) {
	o := &order{}
	if kind := mediaType(r); kind == "text/x-slop" || kind == "text/plain" {
		q := query(r, "wait", "priority", "budget", "timeout", "cache", "tag", "input.")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, bodyError(err)
		}
		o.Script, o.Priority, o.Budget, o.Timeout = string(body), q.number("priority", 0, 0, maxPriority), q.values["budget"], q.text("timeout")
		o.Cache, o.Tags = run.CacheMode(q.text("cache")), q.texts("tag")
		inputs := map[string]string{}
		for name, v := range q.values {
			if input, ok := strings.CutPrefix(name, "input."); ok {
				inputs[input] = v[0]
			}
		}
		if len(inputs) > 0 {
			o.Inputs, _ = json.Marshal(inputs) // texts
		}
		return o, q.err
	}
	if q := query(r, "wait"); q.err != nil {
		return nil, q.err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if o.definition = definitionIn(body); o.definition != nil {
		return o, nil
	}
	return o, unmarshal(body, o)
}

// begin compiles what is ordered and says how it is to run.
func (s *Server) begin(ctx context.Context, o *order) (*plan.Plan, map[string]any, run.Options, error) {
	options := s.config.Options
	caller := auth.From(ctx)
	options.Tenant, options.By, options.Priority, options.Cache, options.Tags = caller.Tenant, caller.Name, o.Priority, o.Cache, slices.Clone(o.Tags)
	var faults []Fault
	if o.Priority < 0 || o.Priority > maxPriority {
		faults = append(faults, Fault{"/priority", fmt.Sprintf("a whole number from 0 to %d", maxPriority)})
	}
	if !o.Cache.Known() {
		faults = append(faults, Fault{"/cache", "off, read, write or refresh"})
	}
	if len(o.Tags) > maxTags || slices.ContainsFunc(o.Tags, func(t string) bool { return t == "" || len(t) > maxTag }) {
		faults = append(faults, Fault{"/tags", fmt.Sprintf("at most %d, of 1 to %d bytes", maxTags, maxTag)})
	}
	for i, text := range o.Budget {
		a, err := plan.ParseAmount(text)
		if err != nil {
			faults = append(faults, Fault{"/budget/" + strconv.Itoa(i), err.Error()})
		}
		options.Budget = append(slices.Clip(options.Budget), a)
	}
	if o.Timeout != "" {
		d, err := plan.ParseDuration(o.Timeout)
		if err != nil {
			faults = append(faults, Fault{"/timeout", err.Error()})
		}
		options.Timeout = d
	}
	switch {
	case o.Flow != "" && o.Script != "":
		faults = append(faults, Fault{"/flow", "either a flow or a script: what runs by name brings no code"})
	case o.definition == nil && o.Flow == "" && strings.TrimSpace(o.Script) == "":
		faults = append(faults, Fault{"/script", "the text of a script, or the name of a stored flow as flow"})
	}
	if faults != nil {
		return nil, nil, options, problem("E_INVALID", "what is to be run is not said as it should be", faults...)
	}
	p, err := s.planOf(ctx, o)
	if err != nil {
		return nil, nil, options, err
	}
	if d := o.definition; d != nil {
		options.Priority = d.priority
		if d.pattern != nil {
			options.Tags = append(options.Tags, wire.Orchestrated)
		}
	}
	inputs, err := s.inputs(ctx, p, o.Inputs)
	if err != nil {
		return nil, nil, options, err
	}
	if s.config.Ready != nil {
		if err := s.config.Ready(p, inputs); err != nil {
			return nil, nil, options, problem("E_NOT_READY", err.Error())
		}
	}
	return p, inputs, options, nil
}

// planOf compiles the script that is ordered, or the stored one.
func (s *Server) planOf(ctx context.Context, o *order) (*plan.Plan, error) {
	if o.definition != nil {
		return s.planOfJSON(ctx, o.definition)
	}
	src, name := source.NewFile("script.slop", o.Script), o.name
	if o.Flow != "" {
		t, err := s.flow(ctx, strings.TrimPrefix(o.Flow, "@"))
		if err != nil {
			return nil, err
		}
		src, name = source.NewFile(fmt.Sprintf("@%s@%d", t.Name, t.Number), t.Text.Script), t.Name
	}
	p, diags, err := s.compile(ctx, src)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, scriptProblem(diags)
	}
	if name != "" {
		p.Name = name // all versions of it share the state of the flow
	}
	return p, nil
}

// inputs reads values by name as the flow wants them. A file is one that was uploaded.
func (s *Server) inputs(ctx context.Context, p *plan.Plan, raw json.RawMessage) (map[string]any, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return map[string]any{}, nil
	}
	v, err := jsonvalue.Parse(raw)
	given, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, problem("E_INVALID", "inputs are an object: values by name", Fault{"/inputs", "an object"})
	}
	var faults []Fault
	for _, in := range p.Inputs {
		v, ok := given[in.Name]
		if !ok {
			continue
		}
		if text, ok := v.(string); ok {
			v = readText(in.Type, text)
		}
		value, wrong, err := s.withFiles(ctx, in.Type, v, "/inputs/"+pointerPart(in.Name))
		if err != nil {
			return nil, err
		}
		given[in.Name], faults = value, append(faults, wrong...)
	}
	if faults != nil {
		return nil, problem("E_INPUT", "the inputs do not fit: "+faults[0].Detail, faults...)
	}
	return given, nil
}

// readText lets an input that is no text be written as one, as in a query: "3" is a number where a number is wanted.
func readText(t types.Type, text string) any {
	switch t.Kind {
	case types.Int, types.Float, types.Bool, types.List, types.Record, types.File:
		if v, err := jsonvalue.Parse([]byte(text)); err == nil {
			return v
		}
	}
	return text
}

func (s *Server) startRun(w http.ResponseWriter, r *http.Request) error {
	o, err := readOrder(r)
	if err != nil {
		return err
	}
	return s.run(w, r, o)
}

// run begins what is ordered, and answers with the run.
func (s *Server) run(w http.ResponseWriter, r *http.Request, o *order) error {
	q := query(r, "wait", "priority", "budget", "timeout", "cache", "tag", "input.")
	wait := q.duration("wait", maxWait)
	if q.err != nil {
		return q.err
	}
	id, again, err := s.start(r, o)
	if err != nil {
		return err
	}
	if again {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	w.Header().Set("Location", Root+"/workflows/"+url.PathEscape(string(id)))
	ended := wait > 0 && s.await(r.Context(), id, wait)
	told, err := s.tell(r.Context(), id)
	if err != nil {
		return err
	}
	if ended || told.FinishedAt != nil && wait > 0 {
		return send(w, http.StatusOK, told)
	}
	return send(w, http.StatusAccepted, told)
}

// start begins a run once for all requests with the same key.
func (s *Server) start(r *http.Request, o *order) (id run.ID, again bool, err error) {
	key := r.Header.Get("Idempotency-Key")
	if o.IdempotencyKey != "" {
		if key != "" && key != o.IdempotencyKey {
			return "", false, problem("E_INVALID", "the header and the body name two keys", Fault{"/idempotencyKey", "the same as the header Idempotency-Key"})
		}
		key = o.IdempotencyKey
	}
	ctx := r.Context()
	p, inputs, options, err := s.begin(ctx, o)
	if err != nil {
		return "", false, err
	}
	if key == "" {
		id, err = s.config.Host.Start(ctx, p, inputs, options)
		return id, false, err
	}
	same, _ := json.Marshal([]any{plan.Hash(p), o.Inputs, options.Priority, o.Budget, o.Timeout, o.Cache, o.Tags}) // plain values
	if options.ID, err = s.once(ctx, "startRun", key, same); err != nil {
		return "", false, err
	}
	_, err = s.config.Host.Start(ctx, p, inputs, options)
	if errors.Is(err, runs.ErrExists) {
		return options.ID, true, nil
	}
	return options.ID, false, err
}

// await reports whether a run ends in time.
func (s *Server) await(ctx context.Context, id run.ID, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	_, err := s.config.Host.Wait(ctx, id)
	return err == nil
}

// mine makes sure that a run belongs to who asks: what is another's is not there.
func (s *Server) mine(ctx context.Context, id run.ID) error {
	caller := auth.From(ctx)
	e, err := s.config.Store.GetEntry(ctx, id)
	tenant, pool := e.Tenant, e.Pool
	if errors.Is(err, store.ErrNotFound) {
		var h *travel.History // the list is derived, and a write to it may be lost
		if h, err = s.config.Host.History(ctx, id); err == nil {
			o := h.Facts[0].Body.(*run.Started).Options
			tenant, pool = o.Tenant, o.Pool
		}
	}
	switch {
	case errors.Is(err, runs.ErrNotFound):
		return missing("run", string(id))
	case err != nil:
		return stored(err)
	case tenant != caller.Tenant || pool != s.config.Options.Pool:
		return missing("run", string(id))
	}
	return nil
}

// stored is an error of the store in words that promise nothing.
func stored(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrCursor) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", runs.ErrUnavailable, err)
}

// history reads a run of the caller.
func (s *Server) history(ctx context.Context, id run.ID) (*travel.History, error) {
	if err := s.mine(ctx, id); err != nil {
		return nil, err
	}
	return s.config.Host.History(ctx, id)
}

// tell folds a run of the caller.
func (s *Server) tell(ctx context.Context, id run.ID) (*wire.Run, error) {
	h, err := s.history(ctx, id)
	if err != nil {
		return nil, err
	}
	folder := runs.Fold(h.Plan).Named(h.ID)
	for _, f := range h.Facts {
		folder.Add(f)
	}
	last := h.Facts[len(h.Facts)-1]
	view := folder.View()
	if end, ok := last.Body.(*run.Finished); ok {
		view.Output = end.Value
		whole, err := s.config.Host.Wait(ctx, id) // with what is kept apart for its size
		if err != nil {
			return nil, err
		}
		view.Output = whole.Value
	}
	told := wire.RunOf(view, h.Plan.Name, h.Facts[0].Body.(*run.Started).Options, last.Seq)
	if e, err := s.config.Store.GetEntry(ctx, id); err == nil && e.Status == run.Queued && told.FinishedAt == nil {
		told.Status, told.Queue = run.Queued, &wire.Queue{Reason: "as many runs as this server takes at a time are under way"}
	}
	return &told, nil
}

func (s *Server) getRun(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "wait")
	wait := q.duration("wait", maxWait)
	if q.err != nil {
		return q.err
	}
	id := run.ID(part(r, "id"))
	if wait > 0 {
		if err := s.mine(r.Context(), id); err != nil {
			return err
		}
		s.await(r.Context(), id, wait)
	}
	told, err := s.tell(r.Context(), id)
	if err != nil {
		return err
	}
	tag := `"` + strconv.FormatUint(uint64(told.Seq), 10) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return send(w, http.StatusOK, told)
}

// statuses are those that a list can be narrowed to.
var statuses = []run.Status{run.Queued, run.Running, run.Waiting, run.Paused, run.Succeeded, run.Failed, run.Cancelled}

func (s *Server) listRuns(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "status", "flow", "tag", "q", "since", "waiting", "limit", "cursor")
	f := store.Filter{
		Tenant: auth.From(r.Context()).Tenant, Pool: s.config.Options.Pool, Flow: q.text("flow"), Tag: q.text("tag"), Text: q.text("q"), Since: q.time("since"),
		Waiting: q.flag("waiting"), Limit: q.number("limit", store.DefaultLimit, 1, 200), Cursor: q.text("cursor"),
	}
	for _, word := range q.texts("status") {
		if !slices.Contains(statuses, run.Status(word)) {
			q.fault("status", "queued, running, waiting, paused, succeeded, failed or cancelled")
		}
		f.Status = append(f.Status, run.Status(word))
	}
	if q.err != nil {
		return q.err
	}
	entries, next, err := s.config.Store.List(r.Context(), f)
	if err != nil {
		return stored(err)
	}
	items := make([]wire.Entry, len(entries))
	for i, e := range entries {
		items[i] = wire.EntryOf(e)
	}
	if next != "" {
		u := *r.URL
		v := u.Query()
		v.Set("cursor", next)
		u.RawQuery = v.Encode()
		w.Header().Set("Link", "<"+u.RequestURI()+`>; rel="next"`)
	}
	return send(w, http.StatusOK, pageOf(items, next))
}
