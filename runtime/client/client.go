// Package client talks to a server about its runs: it implements runs.Runs over HTTP.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/store"
	"github.com/slopstudios/slop/runtime/travel"
	"github.com/slopstudios/slop/runtime/wire"
)

const root = "/api/v1/agents"

// The bounds of what a client does.
const (
	maxAnswer  = 512 << 20 // bytes of an answer
	waitOnce   = 50 * time.Second
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
	maxLine    = 16 << 20 // bytes of a frame
)

// Client is a server as its clients see it. Its methods may be called from any goroutine.
type Client struct {
	base  string
	token string
	http  *http.Client
}

var _ runs.Runs = (*Client)(nil)

// New returns a client of the server at an address, as http://127.0.0.1:7070. token proves who asks; "" when the server wants none.
func New(server, token string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no address of a server: it is like http://127.0.0.1:7070", server)
	}
	if u.User != nil {
		return nil, errors.New("the address of a server holds no password: set SLOP_TOKEN")
	}
	base := strings.TrimSuffix(strings.TrimSuffix(u.Scheme+"://"+u.Host+u.Path, "/"), root)
	return &Client{base: base + root, token: token, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token goes to nobody else
	}}, nil
}

// Server is its address.
func (c *Client) Server() string { return strings.TrimSuffix(c.base, root) }

// Problem is an error that the server told of. It is one of the errors of runs where its code says so.
type Problem struct {
	Status      int             `json:"status"`
	Code        string          `json:"code"`
	Title       string          `json:"title"`
	Detail      string          `json:"detail"`
	RequestID   string          `json:"requestId"`
	Diagnostics json.RawMessage `json:"diagnostics"`
	Errors      []struct {
		Pointer string `json:"pointer"`
		Detail  string `json:"detail"`
	} `json:"errors"`
	RetryAfter time.Duration `json:"-"`
}

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if text == "" {
		text = fmt.Sprintf("the server answered %d %s", p.Status, http.StatusText(p.Status))
	}
	for _, e := range p.Errors {
		text += fmt.Sprintf("\n  %s: %s", e.Pointer, e.Detail)
	}
	return text
}

// kinds are the errors of runs, by the codes of problems.
var kinds = map[string]error{
	"E_NOT_FOUND": runs.ErrNotFound, "E_FINISHED": runs.ErrFinished, "E_ANSWERED": runs.ErrAnswered, "E_NOT_ASKED": runs.ErrNotAsked, "E_ANSWER": runs.ErrAnswer,
	"E_INPUT": runs.ErrInput, "E_BUSY": runs.ErrBusy, "E_EXISTS": runs.ErrExists, "E_UNAVAILABLE": runs.ErrUnavailable, "E_CLOSING": runs.ErrClosed,
}

// Is makes it one of the errors of runs.
func (p *Problem) Is(target error) bool { return kinds[p.Code] != nil && kinds[p.Code] == target }

func runPath(id run.ID, more string) string { return "/workflows/" + url.PathEscape(string(id)) + more }

// send makes a request and gives the answer, which the caller closes.
func (c *Client) send(ctx context.Context, method, path string, body any, header http.Header) (*http.Response, error) {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, reader)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		var about *url.Error
		if errors.As(err, &about) {
			err = about.Err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %s does not answer: %w", runs.ErrUnavailable, c.Server(), err)
	}
	if answer.StatusCode >= 300 {
		defer func() { _ = answer.Body.Close() }()
		return nil, problemOf(answer)
	}
	return answer, nil
}

func problemOf(answer *http.Response) error {
	p := &Problem{}
	data, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<20)) // what came of it
	if json.Unmarshal(data, p) != nil || p.Code == "" {
		*p = Problem{Title: fmt.Sprintf("this is no SLOP server: it answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))}
	}
	p.Status = answer.StatusCode
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
		p.RetryAfter = time.Duration(seconds) * time.Second
	}
	return p
}

// ask makes a request and reads the answer as JSON into v.
func (c *Client) ask(ctx context.Context, method, path string, body, v any) error {
	answer, err := c.send(ctx, method, path, body, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: the answer of %s broke off: %w", runs.ErrUnavailable, c.Server(), err)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("the answer of %s is not as it should be: %w", c.Server(), err)
	}
	return nil
}

// Start implements runs.Runs. The flow must be one script: what it uses is looked for on the server.
func (c *Client) Start(ctx context.Context, p *plan.Plan, inputs map[string]any, o run.Options) (run.ID, error) {
	body := map[string]any{"script": p.Sources[0].Text, "inputs": wire.Plain(inputs)}
	if o.Priority != 0 {
		body["priority"] = o.Priority
	}
	if o.Timeout > 0 {
		body["timeout"] = o.Timeout.String()
	}
	if len(o.Tags) > 0 {
		body["tags"] = o.Tags
	}
	if o.Cache != "" {
		body["cache"] = o.Cache
	}
	if o.ID != "" {
		body["idempotencyKey"] = string(o.ID)
	}
	var told wire.Run
	err := c.ask(ctx, http.MethodPost, "/workflows", body, &told)
	return told.ID, err
}

// Run gives a run as it is.
func (c *Client) Run(ctx context.Context, id run.ID) (*wire.Run, error) {
	told := &wire.Run{}
	if err := c.ask(ctx, http.MethodGet, runPath(id, ""), nil, told); err != nil {
		return nil, err
	}
	return told, nil
}

// List gives the runs that a filter chooses; its Pool and Tenant count for nothing, since the server knows whose they are.
func (c *Client) List(ctx context.Context, f store.Filter) (entries []wire.Entry, next string, err error) {
	q := url.Values{}
	for _, s := range f.Status {
		q.Add("status", string(s))
	}
	for name, value := range map[string]string{"flow": f.Flow, "tag": f.Tag, "cursor": f.Cursor} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Waiting {
		q.Set("waiting", "true")
	}
	if !f.Since.IsZero() {
		q.Set("since", f.Since.UTC().Format(time.RFC3339))
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(min(f.Limit, 200)))
	}
	var page struct {
		Items []wire.Entry `json:"items"`
		Next  *string      `json:"next"`
	}
	if err := c.ask(ctx, http.MethodGet, "/workflows?"+q.Encode(), nil, &page); err != nil {
		return nil, "", err
	}
	if page.Next != nil {
		next = *page.Next
	}
	return page.Items, next, nil
}

// Export gives a run as one document, for travel.Import.
func (c *Client) Export(ctx context.Context, id run.ID) ([]byte, error) {
	var doc json.RawMessage
	if err := c.ask(ctx, http.MethodGet, runPath(id, "/export"), nil, &doc); err != nil {
		return nil, err
	}
	return doc, nil
}

// History reads a run with its plan, and the bytes that its facts name.
func (c *Client) History(ctx context.Context, id run.ID) (*travel.History, map[string][]byte, error) {
	doc, err := c.Export(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	return travel.Import(doc)
}

// Wait implements runs.Runs. Files in the value come without their bytes.
func (c *Client) Wait(ctx context.Context, id run.ID) (run.Finished, error) {
	pause := firstPause
	for {
		var told wire.Run
		err := c.ask(ctx, http.MethodGet, runPath(id, "?wait="+waitOnce.String()), nil, &told)
		switch {
		case err == nil && told.FinishedAt != nil:
			end := run.Finished{Status: told.Status, Value: told.Output}
			if e := told.Error; e != nil && told.Status == run.Failed {
				end.Error = &run.Error{Code: e.Code, Message: e.Message, Path: e.Path}
			}
			return end, nil
		case err == nil:
			pause = firstPause
			continue
		case !passing(err):
			return run.Finished{}, err
		}
		if err := rest(ctx, &pause, err); err != nil {
			return run.Finished{}, err
		}
	}
}

// passing reports whether another try may go better.
func passing(err error) bool {
	var p *Problem
	return errors.Is(err, runs.ErrUnavailable) || errors.Is(err, runs.ErrClosed) || errors.As(err, &p) && (p.Status == http.StatusTooManyRequests || p.Status >= 500)
}

// rest waits before the next try, ever longer.
func rest(ctx context.Context, pause *time.Duration, why error) error {
	wait := *pause
	var p *Problem
	if errors.As(why, &p) {
		wait = max(wait, p.RetryAfter)
	}
	*pause = min(2**pause, maxPause)
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cancel implements runs.Runs. by counts for nothing: the server knows who asks.
func (c *Client) Cancel(ctx context.Context, id run.ID, _, reason string) error {
	return c.steer(ctx, id, "/cancel", reason)
}

// Pause implements runs.Runs.
func (c *Client) Pause(ctx context.Context, id run.ID, _, reason string) error {
	return c.steer(ctx, id, "/pause", reason)
}

// Resume implements runs.Runs.
func (c *Client) Resume(ctx context.Context, id run.ID, _, reason string) error {
	return c.steer(ctx, id, "/resume", reason)
}

func (c *Client) steer(ctx context.Context, id run.ID, verb, reason string) error {
	body := map[string]string{}
	if reason != "" {
		body["reason"] = reason
	}
	return c.ask(ctx, http.MethodPost, runPath(id, verb), body, nil)
}

// Answer implements runs.Runs.
func (c *Client) Answer(ctx context.Context, id run.ID, path run.Path, value any, _ string) error {
	value, reason := runs.Reason(value)
	body := map[string]any{"step": path, "value": wire.Plain(value)}
	if reason != "" {
		body["reason"] = reason
	}
	return c.ask(ctx, http.MethodPost, runPath(id, "/answer"), body, nil)
}

// change is a runs.Change as the server reads it.
type change struct {
	From   run.Path       `json:"from,omitempty"`
	Only   bool           `json:"only,omitempty"`
	Inputs map[string]any `json:"inputs,omitempty"`
	Script string         `json:"script,omitempty"`
	Head   run.Seq        `json:"head,omitempty"`
	DryRun bool           `json:"dryRun,omitempty"`
}

func changeOf(c runs.Change, dry bool) change {
	out := change{From: c.From, Only: c.Only, Inputs: c.Inputs, Head: c.Head, DryRun: dry}
	if c.Plan != nil {
		out.Script = c.Plan.Sources[0].Text
	}
	return out
}

// Forecast implements runs.Runs.
func (c *Client) Forecast(ctx context.Context, id run.ID, ch runs.Change) (*runs.Forecast, error) {
	var f wire.Forecast
	if err := c.ask(ctx, http.MethodPost, runPath(id, "/fork"), changeOf(ch, true), &f); err != nil {
		return nil, err
	}
	return wire.ReadForecast(f), nil
}

// Fork implements runs.Runs.
func (c *Client) Fork(ctx context.Context, id run.ID, ch runs.Change) (run.ID, error) {
	var told wire.Run
	err := c.ask(ctx, http.MethodPost, runPath(id, "/fork"), changeOf(ch, false), &told)
	return told.ID, err
}

// Diff implements runs.Runs. The histories of both runs are compared here.
func (c *Client) Diff(ctx context.Context, a, b run.ID) (*travel.Difference, error) {
	ha, _, err := c.History(ctx, a)
	if err != nil {
		return nil, err
	}
	hb, _, err := c.History(ctx, b)
	if err != nil {
		return nil, err
	}
	return travel.Differ(ha, hb)
}
