package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/slopstudios/slop/runtime/jsonvalue"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/auth"
)

func (s *Server) steerRoutes() []route {
	at := Root + "/workflows/{id}"
	return []route{
		{method: "POST", path: at + "/pause", role: auth.Operator, id: "pauseRun", handle: s.steer(s.config.Host.Pause)},
		{method: "POST", path: at + "/resume", role: auth.Operator, id: "resumeRun", handle: s.steer(s.config.Host.Resume)},
		{method: "POST", path: at + "/cancel", role: auth.Operator, id: "cancelRun", handle: s.steer(s.config.Host.Cancel)},
		{method: "DELETE", path: at, role: auth.Operator, id: "deleteRun", handle: s.steer(s.config.Host.Cancel)},
		{method: "POST", path: at + "/answer", role: auth.Operator, id: "answerRun", handle: s.answerRun},
	}
}

// steer asks something of a run, and answers with the run as it is then.
func (s *Server) steer(ask func(ctx context.Context, id run.ID, by, reason string) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		var body struct {
			Reason string `json:"reason"`
		}
		if err := read(r, &body); err != nil {
			return err
		}
		id, ctx := run.ID(part(r, "id")), r.Context()
		if err := s.mine(ctx, id); err != nil {
			return err
		}
		if err := ask(ctx, id, auth.From(ctx).Name, body.Reason); err != nil {
			return err
		}
		return s.sendRun(w, r, id)
	}
}

func (s *Server) sendRun(w http.ResponseWriter, r *http.Request, id run.ID) error {
	told, err := s.tell(r.Context(), id)
	if err != nil {
		return err
	}
	return send(w, http.StatusOK, told)
}

func (s *Server) answerRun(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Step   run.Path        `json:"step"`
		Value  json.RawMessage `json:"value"`
		Reason string          `json:"reason"`
	}
	if err := read(r, &body); err != nil {
		return err
	}
	id, ctx := run.ID(part(r, "id")), r.Context()
	if err := s.mine(ctx, id); err != nil {
		return err
	}
	if err := s.answer(ctx, id, body.Step, body.Value, body.Reason); err != nil {
		return err
	}
	return s.sendRun(w, r, id)
}

// answer answers a question of a run of the caller.
func (s *Server) answer(ctx context.Context, id run.ID, step run.Path, raw json.RawMessage, reason string) error {
	if step == "" {
		return problem("E_INVALID", "which question is answered?", Fault{"/step", "the path of the step that asks"})
	}
	if len(raw) == 0 {
		return problem("E_INVALID", "there is no answer", Fault{"/value", "the answer, as the schema of the question wants it"})
	}
	value, err := jsonvalue.Parse(raw)
	if err != nil {
		return problem("E_INVALID", "the answer is no JSON value", Fault{"/value", err.Error()})
	}
	return s.config.Host.Answer(ctx, id, step, runs.Because(value, reason), auth.From(ctx).Name)
}
