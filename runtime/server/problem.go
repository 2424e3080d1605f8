package server

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/server/auth"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/travel"
)

// Problem is an error as clients get it: problem details of RFC 9457, with a code that stays the same in every release.
type Problem struct {
	Type        string          `json:"type"` // about the code
	Title       string          `json:"title"`
	Status      int             `json:"status"`
	Detail      string          `json:"detail,omitempty"` // what happened and what to do
	Instance    string          `json:"instance,omitempty"`
	Code        string          `json:"code"`
	RequestID   string          `json:"requestId,omitempty"`
	Errors      []Fault         `json:"errors,omitempty"`
	Diagnostics json.RawMessage `json:"diagnostics,omitempty"` // of a script
	Run         run.ID          `json:"run,omitempty"`
	retry       time.Duration   // 0: nothing is said about when to try again
	cause       error           // for the log: never shown
}

// Fault is one mistake in what was sent.
type Fault struct {
	Pointer string `json:"pointer"` // JSON Pointer, RFC 6901
	Detail  string `json:"detail"`
}

func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

func (p *Problem) Unwrap() error { return p.cause }

// titles are the codes with the status and the title that go with them.
var titles = map[string]struct {
	status int
	title  string
}{
	"E_INVALID":         {http.StatusBadRequest, "The request is not as it should be"},
	"E_UNAUTHENTICATED": {http.StatusUnauthorized, "Who are you?"},
	"E_FORBIDDEN":       {http.StatusForbidden, "You may not do this"},
	"E_NOT_FOUND":       {http.StatusNotFound, "There is no such thing"},
	"E_METHOD":          {http.StatusMethodNotAllowed, "This cannot be done here"},
	"E_CONFLICT":        {http.StatusConflict, "It has changed meanwhile"},
	"E_EXISTS":          {http.StatusConflict, "It is there already"},
	"E_FINISHED":        {http.StatusConflict, "The run is finished"},
	"E_ANSWERED":        {http.StatusConflict, "The question has been answered"},
	"E_NOT_ASKED":       {http.StatusConflict, "Nobody asked that"},
	"E_IN_FLIGHT":       {http.StatusConflict, "The same request is under way"},
	"E_PRECONDITION":    {http.StatusPreconditionFailed, "It is not the version you know"},
	"E_TOO_LARGE":       {http.StatusRequestEntityTooLarge, "That is too much"},
	"E_MEDIA_TYPE":      {http.StatusUnsupportedMediaType, "This kind of content means nothing here"},
	"E_FULL":            {http.StatusConflict, "There is no more room"},
	"E_TEMPLATE":        {http.StatusUnprocessableEntity, "The template has mistakes"},
	"E_SCRIPT":          {http.StatusUnprocessableEntity, "The script has mistakes"},
	"E_INPUT":           {http.StatusUnprocessableEntity, "The inputs do not fit"},
	"E_ANSWER":          {http.StatusUnprocessableEntity, "The answer does not fit the question"},
	"E_AGENT":           {http.StatusUnprocessableEntity, "The agent is not as it should be"},
	"E_NOT_READY":       {http.StatusUnprocessableEntity, "This server lacks what the flow needs"},
	"E_IDEMPOTENCY":     {http.StatusUnprocessableEntity, "The Idempotency-Key was used for something else"},
	"E_TOO_SLOW":        {http.StatusTooManyRequests, "The stream ran ahead of you"},
	"E_RATE_LIMITED":    {http.StatusTooManyRequests, "Too many requests"},
	"E_BUSY":            {http.StatusTooManyRequests, "Too many runs wait"},
	"E_INTERNAL":        {http.StatusInternalServerError, "Something went wrong here"},
	"E_UNAVAILABLE":     {http.StatusServiceUnavailable, "The store cannot be reached"},
	"E_CLOSING":         {http.StatusServiceUnavailable, "The server is ending"},
}

func problem(code, detail string, faults ...Fault) *Problem {
	t, ok := titles[code]
	if !ok {
		panic("server: no problem has the code " + code)
	}
	return &Problem{Type: "urn:slop:problem:" + code, Title: t.title, Status: t.status, Detail: detail, Code: code, Errors: faults}
}

func (p *Problem) after(d time.Duration) *Problem {
	p.retry = d
	return p
}

func (p *Problem) of(cause error) *Problem {
	p.cause = cause
	return p
}

// missing is what is said of what is not there, and of what is another's.
func missing(what, name string) *Problem {
	return problem("E_NOT_FOUND", "there is no "+what+" "+strconv.Quote(name))
}

// scriptProblem is of a script that does not compile.
func scriptProblem(l diag.List) *Problem {
	p := problem("E_SCRIPT", "the script has errors")
	for _, d := range l {
		if d.Severity == diag.Error {
			p.Detail = d.Message
			break
		}
	}
	p.Diagnostics = diagnostics(l)
	return p
}

func diagnostics(l diag.List) json.RawMessage {
	text, err := diag.JSON(l)
	var body struct {
		Diagnostics json.RawMessage `json:"diagnostics"`
	}
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil || body.Diagnostics == nil {
		return json.RawMessage("[]")
	}
	return body.Diagnostics
}

// problemOf puts an error into the words of the API. What nobody expected says nothing of itself but that it happened: the log has it.
func problemOf(err error) *Problem {
	var p *Problem
	var busy *runs.BusyError
	var step *travel.ErrStep
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLarge):
		return problem("E_TOO_LARGE", "the body may have "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes at most")
	case errors.Is(err, runs.ErrNotFound), errors.Is(err, store.ErrNotFound):
		return problem("E_NOT_FOUND", "there is no such thing")
	case errors.Is(err, runs.ErrFinished):
		return problem("E_FINISHED", err.Error())
	case errors.Is(err, runs.ErrAnswered):
		return problem("E_ANSWERED", err.Error())
	case errors.Is(err, runs.ErrNotAsked):
		return problem("E_NOT_ASKED", err.Error())
	case errors.Is(err, runs.ErrAnswer):
		var unfit *runs.UnfitError
		p := problem("E_ANSWER", err.Error())
		if errors.As(err, &unfit) {
			for _, m := range unfit.Problems {
				p.Errors = append(p.Errors, Fault{"/value" + m.At, m.Message})
			}
		}
		return p
	case errors.Is(err, runs.ErrInput):
		return problem("E_INPUT", err.Error())
	case errors.Is(err, runs.ErrExists):
		return problem("E_EXISTS", err.Error())
	case errors.As(err, &busy):
		return problem("E_BUSY", busy.Error()).after(5 * time.Second)
	case errors.Is(err, runs.ErrClosed):
		return problem("E_CLOSING", "the server is ending; ask again, another or the next one answers").after(2 * time.Second)
	case errors.Is(err, runs.ErrUnavailable):
		return problem("E_UNAVAILABLE", "nothing can be stored now, so nothing is promised; ask again").after(2 * time.Second).of(err)
	case errors.Is(err, store.ErrConflict):
		return problem("E_CONFLICT", "it was changed by another at the same time; read it again")
	case errors.Is(err, store.ErrCursor):
		return problem("E_INVALID", "the cursor is not one that was given out", Fault{"/cursor", "take it from next of the list before"})
	case errors.As(err, &step), errors.Is(err, travel.ErrNothing), errors.Is(err, travel.ErrDrift):
		return problem("E_INVALID", err.Error())
	case errors.Is(err, auth.ErrUnknown):
		return problem("E_UNAUTHENTICATED", "send Authorization: Bearer TOKEN; slop token create makes one")
	case errors.Is(err, context.DeadlineExceeded):
		return problem("E_UNAVAILABLE", "this took too long; ask again").after(2 * time.Second).of(err)
	}
	return problem("E_INTERNAL", "the log of the server says more, under the request id").of(err)
}

// write sends the problem.
func (p *Problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retry.Seconds()))))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="slop"`)
	}
	w.WriteHeader(p.Status)
	writeJSON(w, p)
}
