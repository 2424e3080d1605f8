package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/jsonflow"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/wire"
)

// Orchestrations are requests of a pattern instead of a script. Each becomes a script over the flows that come with SLOP, and so a run like any other: with an id at
// once, events, budgets, cancel.
func (s *Server) orchestrateRoutes() []route {
	routes := []route{
		{method: "POST", path: Root + "/orchestrate", role: auth.Operator, id: "orchestrate", handle: s.orchestrate(""), streams: true},
		{method: "GET", path: Root + "/orchestrate/{id}", role: auth.Viewer, id: "getOrchestration", handle: s.getOrchestration, streams: true},
	}
	for _, pattern := range jsonflow.Patterns {
		routes = append(routes, route{method: "POST", path: Root + "/orchestrate/" + pattern, role: auth.Operator, id: "orchestrate-" + pattern,
			handle: s.orchestrate(pattern), streams: true})
	}
	return routes
}

// definition is something to run that is said in JSON.
type definition struct {
	text     []byte
	pattern  *string // of an orchestration, "" when the text names it; nil: it is a workflow
	priority int     // that the text asks for
}

// definitionIn tells the definition of a workflow, {workflow: {…}, context} or its own body with steps, from an order; nil: it is none.
func definitionIn(body []byte) *definition {
	var head struct {
		Workflow json.RawMessage `json:"workflow"`
		Steps    json.RawMessage `json:"steps"`
		Script   *string         `json:"script"`
		Flow     *string         `json:"flow"`
	}
	if err := json.Unmarshal(body, &head); err != nil || head.Workflow == nil && head.Steps == nil || head.Script != nil || head.Flow != nil {
		return nil
	}
	return &definition{text: body}
}

func (s *Server) orchestrate(pattern string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		body, err := readBody(r)
		if err != nil {
			return err
		}
		return s.run(w, r, &order{definition: &definition{text: body, pattern: &pattern}})
	}
}

// planOfJSON makes a script of a definition and compiles that. What is wrong is said in terms of the JSON.
func (s *Server) planOfJSON(ctx context.Context, d *definition) (*plan.Plan, error) {
	src, name := source.NewFile("workflow.json", string(d.text)), ""
	p, diags, err := s.compileBy(ctx, func(scope types.Scope) (*plan.Plan, diag.List) {
		var flow *jsonflow.Flow
		var diags diag.List
		if d.pattern != nil {
			flow, diags = jsonflow.Orchestrate(*d.pattern, src, scope)
		} else {
			flow, diags = jsonflow.Workflow(src, scope)
		}
		if flow == nil {
			return nil, diags
		}
		d.priority, name = flow.Priority, flow.Name
		p, said := lang.Compile(flow.Script, scope)
		return p, append(diags, flow.Place(said)...)
	})
	switch {
	case err != nil:
		return nil, err
	case p == nil || diags.HasErrors():
		return nil, scriptProblem(diags)
	}
	if name != "" {
		p.Name = name
	}
	return p, nil
}

// getOrchestration is a run that an orchestration began.
func (s *Server) getOrchestration(w http.ResponseWriter, r *http.Request) error {
	id := run.ID(part(r, "id"))
	if err := s.mine(r.Context(), id); err != nil {
		return err
	}
	h, err := s.config.Host.History(r.Context(), id)
	if err != nil {
		return err
	}
	for _, tag := range h.Facts[0].Body.(*run.Started).Options.Tags {
		if tag == wire.Orchestrated {
			return s.getRun(w, r)
		}
	}
	return missing("orchestration", string(id))
}
