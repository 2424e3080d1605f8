package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/jsonflow"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/roster"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/wire"
)

// Agents belong to the server and not to a tenant: everybody sees them, and only admins of the tenant `local`, whose the server is, say who is there and who is
// enabled. What a failed call told of the world is shown to that tenant alone, since it may have been another's call.
func (s *Server) registryRoutes() []route {
	at := Root + "/registry/{id}"
	return []route{
		{method: "GET", path: Root + "/registry", role: auth.Viewer, id: "listAgents", handle: s.listAgents},
		{method: "POST", path: Root + "/registry", role: auth.Admin, id: "registerAgent", handle: s.registerAgent},
		{method: "GET", path: at, role: auth.Viewer, id: "getAgent", handle: s.getAgent},
		{method: "DELETE", path: at, role: auth.Admin, id: "unregisterAgent", handle: s.unregisterAgent},
		{method: "GET", path: at + "/health", role: auth.Viewer, id: "getAgentHealth", handle: s.agentHealth},
		{method: "POST", path: at + "/execute", role: auth.Operator, id: "executeAgent", handle: s.executeAgent, streams: true},
		{method: "POST", path: at + "/enable", role: auth.Admin, id: "enableAgent", handle: s.enableAgent},
		{method: "POST", path: at + "/disable", role: auth.Admin, id: "disableAgent", handle: s.disableAgent},
	}
}

// Agent is an agent as clients see it.
type Agent struct {
	ID           string        `json:"id"`
	Origin       string        `json:"origin"` // configured (or built in), registered
	URL          string        `json:"url,omitempty"`
	RegisteredAt *time.Time    `json:"registeredAt,omitempty"`
	RegisteredBy string        `json:"registeredBy,omitempty"`
	Enabled      bool          `json:"enabled"`
	DisabledAt   *time.Time    `json:"disabledAt,omitempty"`
	DisabledBy   string        `json:"disabledBy,omitempty"`
	Status       agent.Status  `json:"status"`
	Reason       string        `json:"reason,omitempty"`
	Capabilities []Capability  `json:"capabilities"`
	Limits       AgentLimits   `json:"limits"`
	Health       *AgentFigures `json:"health,omitempty"`
	RetryAt      *time.Time    `json:"retryAt,omitempty"`   // when a call is tried again
	CheckedAt    *time.Time    `json:"checkedAt,omitempty"` // absent: it has nothing to check, or was not
}

// Capability is something that scripts can call.
type Capability struct {
	Name       string          `json:"name"`
	Use        string          `json:"use"`
	Doc        string          `json:"doc,omitempty"`
	Kind       types.CallKind  `json:"kind"`
	Effect     types.Effect    `json:"effect"`
	Idempotent bool            `json:"idempotent"`
	Free       bool            `json:"free"`
	Structured bool            `json:"structured"`     // takes a type as `as`
	Text       string          `json:"text,omitempty"` // the argument that the text behind the callee fills
	TextKind   types.TextKind  `json:"textKind,omitempty"`
	Input      json.RawMessage `json:"input"`             // JSON Schema
	Output     json.RawMessage `json:"output"`            // JSON Schema
	Secrets    []string        `json:"secrets,omitempty"` // arguments that may hold secrets
	Tools      []string        `json:"tools,omitempty"`   // that a model may use by itself
	Price      *types.Price    `json:"price,omitempty"`   // dollars for a million tokens
}

// AgentLimits bound the calls of an agent; 0 is no bound.
type AgentLimits struct {
	Parallel  int `json:"parallel"`
	PerSecond int `json:"perSecond"`
	PerMinute int `json:"perMinute"`
}

// AgentFigures count the calls of this process.
type AgentFigures struct {
	Calls        int64      `json:"calls"`
	Failures     int64      `json:"failures"`
	InARow       int        `json:"failuresInARow"`
	Active       int        `json:"active"`
	LastError    string     `json:"lastError,omitempty"`
	LastFailedAt *time.Time `json:"lastFailedAt,omitempty"`
}

// owns reports whether the server is the caller's.
func owns(ctx context.Context) bool { return auth.From(ctx).Tenant == auth.Local }

// rules is an error for who may not say what agents there are.
func rules(ctx context.Context) error {
	if owns(ctx) {
		return nil
	}
	return problem("E_FORBIDDEN", "agents belong to the server: an admin of the tenant "+auth.Local+" may do this")
}

// standing is how an agent is, without what it can do; false: there is none.
func (s *Server) standing(ctx context.Context, name string) (Agent, bool) {
	health, ok := s.config.Registry.Health(name)
	if !ok {
		return Agent{}, false
	}
	a := Agent{
		ID: name, Origin: "configured", Enabled: health.Status != agent.Disabled, Status: health.Status, Capabilities: []Capability{},
		RetryAt: wire.Instant(health.RetryAt), CheckedAt: wire.Instant(health.Checked),
	}
	note := s.config.Roster.Of(name)
	if c := note.Callback; c != nil {
		a.Origin, a.URL, a.RegisteredAt, a.RegisteredBy = "registered", c.URL, wire.Instant(c.At), c.By
	}
	if off := note.Off; off != nil {
		a.DisabledAt, a.DisabledBy = wire.Instant(off.At), off.By
	}
	if owns(ctx) || !a.Enabled || health.Err != nil {
		a.Reason = health.Reason
	}
	if owns(ctx) {
		a.Health = &AgentFigures{health.Calls, health.Failures, health.InARow, health.Active, health.LastError, wire.Instant(health.LastFailed)}
	}
	return a, true
}

// agent describes an agent; false: there is none.
func (s *Server) agent(ctx context.Context, name string) (Agent, bool) {
	registry := s.config.Registry
	a, ok := s.standing(ctx, name)
	if !ok {
		return a, false
	}
	for _, callee := range registry.Names() {
		owner, limits, _ := registry.Owner(callee)
		_, sig, ok := registry.Lookup(callee)
		if !ok || owner != name {
			continue
		}
		a.Limits = AgentLimits{limits.Limit, limits.PerSecond, limits.PerMinute}
		a.Capabilities = append(a.Capabilities, capabilityOf(sig))
	}
	return a, true
}

func capabilityOf(sig *types.Signature) Capability {
	c := Capability{
		Name: sig.Name, Use: sig.Use, Doc: sig.Doc, Kind: sig.Kind, Effect: sig.Effect, Idempotent: sig.Idempotent, Free: sig.Free, Structured: sig.Structured,
		Text: sig.Primary, TextKind: sig.Text, Input: sig.Input, Output: types.Schema(sig.Result), Price: sig.Price,
	}
	input := types.Type{Kind: types.Record}
	for _, p := range sig.Params {
		t := p.Type
		t.Optional = t.Optional || !p.Required
		input.Fields = append(input.Fields, types.Field{Name: p.Name, Type: t, Doc: p.Doc})
		if p.Secret {
			c.Secrets = append(c.Secrets, p.Name)
		}
	}
	if c.Input == nil {
		c.Input = types.Schema(input)
	}
	for _, t := range sig.Tools {
		c.Tools = append(c.Tools, t.Name)
	}
	return c
}

func (s *Server) listAgents(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "use", "status", "effect", "q")
	uses, statuses, effects, word := q.texts("use"), q.texts("status"), q.texts("effect"), q.text("q")
	for _, status := range statuses {
		if !slices.Contains([]agent.Status{agent.Available, agent.Busy, agent.Degraded, agent.Offline, agent.Disabled}, agent.Status(status)) {
			q.fault("status", "available, busy, degraded, offline or disabled")
		}
	}
	for _, effect := range effects {
		if !slices.Contains([]types.Effect{types.Think, types.Read, types.Do}, types.Effect(effect)) {
			q.fault("effect", "think, read or do")
		}
	}
	if q.err != nil {
		return q.err
	}
	var items []Agent
	for _, name := range s.config.Registry.Agents() {
		a, ok := s.agent(r.Context(), name)
		if !ok || len(statuses) > 0 && !slices.Contains(statuses, string(a.Status)) {
			continue
		}
		if slices.ContainsFunc(a.Capabilities, func(c Capability) bool {
			use, _, _ := strings.Cut(c.Use, ".")
			return (len(uses) == 0 || slices.Contains(uses, c.Use) || slices.Contains(uses, use)) &&
				(len(effects) == 0 || slices.Contains(effects, string(c.Effect))) && (word == "" || holds(word, name, c.Name, c.Doc))
		}) {
			items = append(items, a)
		}
	}
	return send(w, http.StatusOK, pageOf(items, ""))
}

func (s *Server) sendAgent(w http.ResponseWriter, r *http.Request, status int, name string) error {
	a, ok := s.agent(r.Context(), name)
	if !ok {
		return missing("agent", name)
	}
	return send(w, status, a)
}

func (s *Server) getAgent(w http.ResponseWriter, r *http.Request) error {
	if q := query(r); q.err != nil {
		return q.err
	}
	return s.sendAgent(w, r, http.StatusOK, part(r, "id"))
}

// agentHealth answers 503 when the agent cannot be called, so that who only looks at the status knows.
func (s *Server) agentHealth(w http.ResponseWriter, r *http.Request) error {
	q := query(r, "check")
	check := q.flag("check")
	if q.err != nil {
		return q.err
	}
	name := part(r, "id")
	if check {
		s.config.Registry.CheckOne(r.Context(), name)
	}
	a, ok := s.agent(r.Context(), name)
	if !ok {
		return missing("agent", name)
	}
	status := http.StatusOK
	if a.Status == agent.Offline || a.Status == agent.Disabled {
		status = http.StatusServiceUnavailable
	}
	return send(w, status, struct {
		ID        string        `json:"id"`
		Status    agent.Status  `json:"status"`
		Reason    string        `json:"reason,omitempty"`
		Health    *AgentFigures `json:"health,omitempty"`
		RetryAt   *time.Time    `json:"retryAt,omitempty"`
		CheckedAt *time.Time    `json:"checkedAt,omitempty"`
	}{a.ID, a.Status, a.Reason, a.Health, a.RetryAt, a.CheckedAt})
}

// executeAgent has an agent called: by a script of one call, and so by a run like any other.
func (s *Server) executeAgent(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Callee         string          `json:"callee"` // which of its capabilities; "": the one named like the agent, or its only one
		Text           *string         `json:"text"`
		Prompt         *string         `json:"prompt"` // another word for text
		Args           json.RawMessage `json:"args"`
		As             string          `json:"as"` // a type, as a script has it: {score: int}
		Timeout        string          `json:"timeout"`
		Priority       int             `json:"priority"`
		Budget         words           `json:"budget"`
		Cache          run.CacheMode   `json:"cache"`
		Tags           []string        `json:"tags"`
		IdempotencyKey string          `json:"idempotencyKey"`
	}
	if q := query(r, "wait"); q.err != nil {
		return q.err
	}
	if err := read(r, &body); err != nil {
		return err
	}
	a, ok := s.agent(r.Context(), part(r, "id"))
	if !ok {
		return missing("agent", part(r, "id"))
	}
	if body.Callee == "" {
		body.Callee = a.ID
		if len(a.Capabilities) == 1 {
			body.Callee = a.Capabilities[0].Name
		}
	}
	i := slices.IndexFunc(a.Capabilities, func(c Capability) bool { return c.Name == body.Callee })
	_, sig, known := s.config.Registry.Lookup(body.Callee)
	if i < 0 || !known {
		var names []string
		for _, c := range a.Capabilities {
			names = append(names, c.Name)
		}
		return problem("E_INVALID", "it is not said which of its capabilities", Fault{"/callee", "one of " + strings.Join(names, ", ")})
	}
	if body.Text != nil && body.Prompt != nil {
		return problem("E_INVALID", "one text stands behind a callee", Fault{"/prompt", "either this or text"})
	}
	if body.Text == nil {
		body.Text = body.Prompt
	}
	script, err := jsonflow.Call(sig, body.Text, body.Args, body.As)
	if err != nil {
		return problem("E_INVALID", "the arguments are not said as they should be", Fault{"/args", err.Error()})
	}
	return s.run(w, r, &order{
		Script: script, name: "agent:" + body.Callee, Priority: body.Priority, Budget: body.Budget, Timeout: body.Timeout, Cache: body.Cache, Tags: body.Tags,
		IdempotencyKey: body.IdempotencyKey,
	})
}

func (s *Server) enableAgent(w http.ResponseWriter, r *http.Request) error {
	if err := read(r, &struct{}{}); err != nil {
		return err
	}
	return s.turnAgent(w, r, nil)
}

func (s *Server) disableAgent(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Reason string `json:"reason"`
	}
	if err := read(r, &body); err != nil {
		return err
	}
	if len(body.Reason) > maxDescription {
		return problem("E_INVALID", "the reason is too long", Fault{"/reason", fmt.Sprintf("at most %d bytes", maxDescription)})
	}
	return s.turnAgent(w, r, &roster.Off{Reason: body.Reason, By: auth.From(r.Context()).Name, At: time.Now().UTC()})
}

func (s *Server) turnAgent(w http.ResponseWriter, r *http.Request, off *roster.Off) error {
	name := part(r, "id")
	a, ok := s.agent(r.Context(), name)
	if !ok {
		return missing("agent", name)
	}
	if err := rules(r.Context()); err != nil {
		return err
	}
	if off != nil && slices.ContainsFunc(a.Capabilities, func(c Capability) bool { return c.Kind != types.Call }) {
		return problem("E_FORBIDDEN", name+" asks people or waits; it is not called, and cannot be disabled")
	}
	if err := s.config.Roster.Turn(r.Context(), name, off); err != nil {
		return rosterProblem(name, err)
	}
	return s.sendAgent(w, r, http.StatusOK, name)
}

func rosterProblem(name string, err error) error {
	var unfit *roster.AgentError
	switch {
	case errors.Is(err, roster.ErrUnknown):
		return missing("agent", name)
	case errors.Is(err, roster.ErrConfigured):
		return problem("E_FORBIDDEN", name+" comes with the server or stands in its slop.toml; it can be disabled, not unregistered")
	case errors.Is(err, roster.ErrTaken):
		return problem("E_EXISTS", "there is an agent "+name, Fault{"/name", "this name is taken"})
	case errors.Is(err, roster.ErrFull):
		return problem("E_FULL", "unregister what nobody needs any more")
	case errors.Is(err, roster.ErrNoMaker):
		return problem("E_NOT_READY", err.Error())
	case errors.As(err, &unfit):
		return problem("E_AGENT", name+" was not registered: "+err.Error(), Fault{"/url", err.Error()})
	}
	return stored(err)
}

// agentNames are those that a script can call.
var agentNames = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

func (s *Server) registerAgent(w http.ResponseWriter, r *http.Request) error {
	body, same, err := readSame[struct {
		Name   string `json:"name"`
		URL    string `json:"url"`
		Secret string `json:"secret"` // name of the secret that goes along as Authorization: Bearer
	}](r)
	if err != nil {
		return err
	}
	var faults []Fault
	if !agentNames.MatchString(body.Name) || syntax.Reserved(body.Name) {
		faults = append(faults, Fault{"/name", "up to 64 letters from a to z, digits and _, a letter first, and no word of the language"})
	}
	if u, err := url.Parse(body.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || len(body.URL) > 2000 {
		faults = append(faults, Fault{"/url", "it begins with http:// or https://, and holds neither a password nor a query, since everybody sees it"})
	}
	if faults != nil {
		return problem("E_INVALID", "the agent is not said as it should be", faults...)
	}
	ctx := r.Context()
	if err := rules(ctx); err != nil {
		return err
	}
	now := time.Now().UTC()
	c := roster.Callback{URL: body.URL, Secret: body.Secret, By: auth.From(ctx).Name, At: now, Life: rand.Text()}
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		id, err := s.once(ctx, "registerAgent", key, same)
		if err != nil {
			return err
		}
		c.Life = string(id)
	}
	w.Header().Set("Location", Root+"/registry/"+url.PathEscape(body.Name))
	err = s.config.Roster.Register(ctx, body.Name, c)
	if known := s.config.Roster.Of(body.Name).Callback; errors.Is(err, roster.ErrTaken) && known != nil && known.Life == c.Life {
		w.Header().Set("Idempotency-Replayed", "true")
		err = nil
	}
	if err != nil {
		w.Header().Del("Location")
		return rosterProblem(body.Name, err)
	}
	return s.sendAgent(w, r, http.StatusCreated, body.Name)
}

func (s *Server) unregisterAgent(w http.ResponseWriter, r *http.Request) error {
	if err := read(r, &struct{}{}); err != nil {
		return err
	}
	name := part(r, "id")
	if _, ok := s.agent(r.Context(), name); !ok {
		return missing("agent", name)
	}
	if err := rules(r.Context()); err != nil {
		return err
	}
	if err := s.config.Roster.Unregister(r.Context(), name); err != nil {
		return rosterProblem(name, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
