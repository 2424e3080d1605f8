package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/contexts"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// maxUnseen is how much of a text that streams waits for somebody to watch: a run is watched from the moment after its start.
const maxUnseen = 4 << 10

// maxQuestion is how long a question may be that an agent asks in mid-call: a person is to read it.
const maxQuestion = 16 << 10

// maxMessage is how much of an agent's message a fact keeps.
const maxMessage = 4 << 10

// The causes with which the context of a call ends.
var (
	errTimeout   = errors.New("the call's time is over")
	errCancelled = errors.New("the call is not needed any more")
	errClosing   = errors.New("the engine closes")
)

// callee is what a session needs to know to call one capability.
type callee struct {
	agent    agent.Agent
	vitals   *agent.Vitals    // nil: nobody watches its calls
	pinned   *types.Signature // as the plan has it
	defaults map[string]any
	line     *line
	inline   bool // free and without limits: many are called by one worker, one after another
	do       bool
}

// flight is one attempt of a call, from the moment it may begin until its end is recorded. The session owns it, except for what its worker writes before
// it posts the result.
type flight struct {
	session *session
	wish    *run.CallWish
	callee  *callee
	ctx     context.Context
	cancel  context.CancelCauseFunc // nil: free calls end by themselves

	gated    bool // it holds a slot of its flow
	slot     bool // it holds slots of its agent and of the process
	launched bool
	told     bool // it was asked to end, because nobody needs it any more
	grace    bool // its end is worth waiting for: it changes the world
	late     bool // its time is over
	closed   bool // its end is recorded: what still comes settles the budget
	early    bool // it was launched before the facts that led to it were stored
	disowned bool // what comes of it answers nothing that is asked now
	alarm    *alarm
	pass     atomic.Pointer[agent.Pass] // the leave to make the call, once it is made
	given    atomic.Bool                // its slots went back
	freed    bool                       // and its place among the calls of its run

	unsure time.Time // since when it may have been made already, by an earlier attempt or process; zero: it was not

	body   run.Body         // CallDone or CallFailed: set by the worker
	looked bool             // at the run's own state: set by the worker
	change *contexts.Change // of the run's own state, for the session to make when it records the end: set by the worker
	usage  run.Usage        // what the call used: set by the worker

	muted    atomic.Bool
	returned atomic.Bool // the agent has answered
	stream   sync.Mutex  // guards offset and held: an agent may emit from several goroutines
	offset   int
	held     string
	unseen   string // what came while nobody watched, for who comes soon
}

// fly makes the call on a worker and posts what came of it.
func (f *flight) fly() {
	landed := false
	defer func() {
		if !landed {
			f.crash(recover())
		}
	}()
	f.answer()
	landed = true
	f.land()
	f.session.post(letter{kind: resultLetter, flight: f})
}

// crash posts the end of an attempt that neither returned nor can: the agent ended its goroutine, or our own reading of its reply broke. Nothing else is
// harmed by it.
func (f *flight) crash(reason any) {
	f.crashed(reason)
	f.land()
	f.session.post(letter{kind: resultLetter, flight: f})
}

func (f *flight) crashed(reason any) {
	if reason == nil {
		reason = "it ended its goroutine"
	}
	message := fmt.Sprintf("agent %s crashed: %v", f.wish.Agent, reason)
	f.body = f.failed(agent.Fail(run.Unavailable, message))
	if p := f.pass.Load(); p != nil {
		p.End(run.Unavailable, f.session.redactor.text(message), 0)
	}
	f.usage = used(run.Usage{}, f.callee.pinned, true)
	f.body.(*run.CallFailed).Usage = f.usage
}

// flyAll makes free calls one after another and posts their results at once.
func flyAll(s *session, flights []*flight) {
	done := 0
	defer func() {
		if done == len(flights) {
			return
		}
		flights[done].crashed(recover())
		if rest := flights[done+1:]; len(rest) > 0 {
			s.engine.workers.do(func() { flyAll(s, rest) })
		}
		s.post(letter{kind: resultsLetter, flights: flights[:done+1]})
	}()
	for ; done < len(flights); done++ {
		flights[done].answer()
	}
	s.post(letter{kind: resultsLetter, flights: flights})
}

// answer calls the agent and turns its reply into the fact that ends the attempt.
func (f *flight) answer() {
	if f.callee.agent == nil {
		f.body = f.failed(agent.Fail(run.Denied, fmt.Sprintf("no agent named `%s` is registered here", f.callee.pinned.Name)))
		return
	}
	call, err := f.call()
	if err != nil {
		f.body = f.failed(agent.Fail(run.Unavailable, err.Error()))
		return
	}
	if v := f.callee.vitals; v != nil {
		pass, refusal := v.Admit(f.ctx, call)
		if pass == nil {
			f.body = f.failed(refusal)
			return
		}
		f.pass.Store(pass)
	}
	reply := f.callee.agent.Call(f.ctx, call)
	f.returned.Store(true)
	f.body = f.conclude(reply)
	if p := f.pass.Load(); p != nil {
		p.End(f.verdict(reply))
	}
	if done, ok := f.body.(*run.CallDone); ok {
		f.keep(done)
	}
}

// verdict is what the end of a call says about its agent.
func (f *flight) verdict(r agent.Reply) (outcome run.Outcome, message string, gaveUp time.Duration) {
	switch cause := context.Cause(f.ctx); {
	case errors.Is(cause, errTimeout):
		return run.Timeout, f.overdue(run.Usage{}).Message, f.wish.Timeout
	case cause != nil:
		return run.Stopped, "", 0
	}
	if failed, ok := f.body.(*run.CallFailed); ok {
		message = failed.Message // secrets are blacked out
	}
	return r.Outcome, message, 0
}

// land gives back what the call held.
func (f *flight) land() {
	f.muted.Store(true)
	if f.slot {
		f.give()
	}
	if f.cancel != nil {
		f.cancel(nil)
	}
}

// call is what the agent gets, with everything that was put away back in its place.
func (f *flight) call() (*agent.Call, error) {
	w, c := f.wish, f.callee
	args := w.Args
	if len(c.defaults) > 0 {
		args = maps.Clone(c.defaults)
		maps.Copy(args, w.Args)
	}
	text := w.Text
	if text == nil && c.pinned.Primary != "" {
		text = args[c.pinned.Primary] // `strudel.validate(code: x)` is `strudel.validate "<<x>>"`
	}
	system, repair := w.System, w.Repair
	if apart(w) || eval.HoldsLarge(text) {
		var err error
		if args, text, system, repair, err = f.fetch(args, text); err != nil {
			return nil, err
		}
	}
	answer := w.Answer
	if answer != nil && eval.HoldsLarge(answer.Value) {
		value, err := f.session.engine.fetch(f.session.ctx, answer.Value)
		if err != nil {
			return nil, err
		}
		answer = &run.Answer{Token: answer.Token, Value: value}
	}
	var deadline time.Time
	if w.Timeout > 0 {
		deadline = time.Now().Add(w.Timeout)
	}
	call := &agent.Call{
		Deadline: deadline,
		Run:      f.session.id, Path: w.Path, Attempt: w.Attempt, Key: w.Key, Callee: c.pinned, Args: args, Text: text, Shared: w.Shared, System: system,
		As: w.As, Schema: f.session.schema(w.As), Repair: repair, Answer: answer, Folder: f.session.engine.folder,
		Secret: f.session.secretFunc, Hide: f.session.redactor.learn, Emit: f.emit, Memory: stateOf{f},
	}
	if len(c.pinned.Tools) > 0 {
		call.Use = f.use
	}
	return call, nil
}

// fetch brings back what was put away of the things a call sends.
func (f *flight) fetch(args map[string]any, text any) (_ map[string]any, _ any, system string, repair *run.Repair, err error) {
	s, w := f.session, f.wish
	fail := func(err error) (map[string]any, any, string, *run.Repair, error) { return nil, nil, "", nil, err }
	if len(args) > 0 {
		joined := make(map[string]any, len(args))
		for name, v := range args {
			if joined[name], err = s.joined(f.ctx, v); err != nil {
				return fail(err)
			}
		}
		args = joined
	}
	if text, err = s.joined(f.ctx, text); err != nil {
		return fail(err)
	}
	system = w.System
	if w.Persona != nil {
		whole, err := s.joined(f.ctx, w.Persona)
		if err != nil {
			return fail(err)
		}
		system, _ = whole.(string)
	}
	if w.Repair != nil {
		again := *w.Repair
		if again.Answer, err = s.fetch(f.ctx, again.Answer); err != nil {
			return fail(err)
		}
		repair = &again
	}
	return args, text, system, repair, nil
}

// emit shows progress to whoever watches. It never blocks.
func (f *flight) emit(p agent.Progress) {
	s := f.session
	if f.muted.Load() {
		return
	}
	f.stream.Lock()
	defer f.stream.Unlock()
	if s.gallery.count.Load() == 0 {
		if f.unseen += p.Delta; len(f.unseen) > maxUnseen {
			f.offset += len(f.unseen)
			f.unseen = ""
		}
		return
	}
	delta := f.unseen + p.Delta
	f.unseen = ""
	if delta != "" {
		delta, f.held = s.redactor.stream(f.held, delta)
	}
	note := clip(s.redactor.text(p.Note), maxMessage)
	tool := p.Tool
	if tool != nil {
		shown := *tool
		shown.Args, shown.Result = clip(s.redactor.text(tool.Args), maxShown), clip(s.redactor.text(tool.Result), maxShown)
		tool, note = &shown, cmp.Or(note, shown.Note())
	}
	if delta == "" && note == "" {
		return
	}
	s.gallery.progress(runs.Progress{Path: f.wish.Path, Attempt: f.wish.Attempt, Offset: f.offset, Delta: delta, Note: note, Tool: tool})
	f.offset += len(delta)
}

// conclude reads a reply: the fact it becomes says nothing that the store may not keep.
func (f *flight) conclude(r agent.Reply) run.Body {
	if r.Outcome != "" {
		return f.failed(r)
	}
	w, s := f.wish, f.session
	if f.change != nil {
		f.usage = used(r.Usage, f.callee.pinned, true)
		return &run.CallDone{Path: w.Path, Attempt: w.Attempt, Usage: f.usage}
	}
	files := fileBytes(r.Value)
	if files > maxFiles {
		return f.failed(replace(r, run.Failure, fmt.Sprintf("the files of %s are larger than %d MiB", w.Agent, maxFiles>>20)))
	}
	if weight(r.Value, maxAnswer+files)-files > maxAnswer {
		return f.failed(replace(r, run.Failure, fmt.Sprintf("the answer of %s is larger than %d MiB", w.Agent, maxAnswer>>20)))
	}
	value, err := normal(r.Value)
	if err != nil {
		return f.failed(replace(r, run.Failure, fmt.Sprintf("the answer of %s cannot be used: %v", w.Agent, err)))
	}
	value = s.redactor.value(value)
	if w.As != nil {
		read, problems := read(*w.As, value)
		if len(problems) > 0 {
			return f.invalid(r, value, problems)
		}
		value = read
	} else if value, err = declared(f.callee.pinned, value); err != nil {
		return f.failed(replace(r, run.Failure, err.Error()))
	}
	f.usage = used(r.Usage, f.callee.pinned, true)
	if value, err = s.shelve(value); err != nil {
		return f.failed(replace(r, run.Unavailable, "the answer could not be kept: "+err.Error()))
	}
	return &run.CallDone{Path: w.Path, Attempt: w.Attempt, Value: value, Usage: f.usage, AgentID: s.redactor.text(r.AgentID)}
}

func replace(r agent.Reply, outcome run.Outcome, message string) agent.Reply {
	r.Outcome, r.Message = outcome, message
	return r
}

// declared holds a capability to the type it promises.
func declared(s *types.Signature, v any) (any, error) {
	switch s.Result.Kind {
	case types.Any:
		return v, nil
	case types.Nothing:
		return nil, nil
	case types.String:
		if _, ok := v.(string); ok {
			return v, nil
		}
	}
	value, problems := eval.Read(s.Result, v)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s did not answer with %s, as it is declared: %s", s.Name, s.Result, problems[0])
	}
	return value, nil
}

func (f *flight) invalid(r agent.Reply, answer any, problems []string) run.Body {
	f.usage = used(r.Usage, f.callee.pinned, true)
	for i, p := range problems {
		problems[i] = clip(p, maxMessage)
	}
	if text, ok := answer.(string); ok {
		answer = clip(text, maxDelta)
	}
	answer, err := f.session.shelve(answer)
	if err != nil {
		answer = nil
	}
	return &run.CallFailed{
		Path: f.wish.Path, Attempt: f.wish.Attempt, Outcome: run.Invalid, Message: "the answer is not " + f.wish.As.String(),
		Problems: problems, Answer: answer, Usage: f.usage,
	}
}

// failed makes the fact of a failed attempt. Outcomes that are not a call's own count as plain failures.
func (f *flight) failed(r agent.Reply) run.Body {
	s := f.session
	switch r.Outcome {
	case run.Timeout, run.Unavailable, run.RateLimited, run.Refused, run.Denied, run.Failure, run.Interrupted:
	case run.Asks:
		return f.asks(r)
	case run.Invalid:
		if f.wish.As != nil {
			value, err := normal(r.Value)
			if err != nil {
				value = nil
			}
			return f.invalid(r, s.redactor.value(value), []string{s.redactor.text(r.Message)})
		}
		r.Outcome = run.Failure
	default:
		r.Outcome = run.Failure
	}
	f.usage = used(r.Usage, f.callee.pinned, false)
	message := r.Message
	if message == "" {
		message = "it failed and did not say why"
	}
	return &run.CallFailed{
		Path: f.wish.Path, Attempt: f.wish.Attempt, Outcome: r.Outcome, Message: clip(s.redactor.text(message), maxMessage),
		RetryAfter: max(0, r.RetryAfter), Usage: f.usage,
	}
}

// asks makes the fact of an attempt that needs an answer of people. What it holds is kept, so it holds no secret.
func (f *flight) asks(r agent.Reply) run.Body {
	s := f.session
	if r.Form == nil || r.Form.Text == "" {
		return f.failed(replace(r, run.Failure, "it asks people, and does not say what"))
	}
	if len(r.Token) > run.MaxToken {
		return f.failed(replace(r, run.Failure, fmt.Sprintf("it asks people, and wants to remember more than %d KiB until they answer", run.MaxToken>>10)))
	}
	if s.redactor.text(r.Token) != r.Token {
		return f.failed(replace(r, run.Failure, "it asks people, and wants to remember a secret until they answer: that would be kept"))
	}
	form := *r.Form
	form.Text, form.Large = clip(s.redactor.text(form.Text), maxQuestion), nil
	f.usage = used(r.Usage, f.callee.pinned, true)
	return &run.CallFailed{
		Path: f.wish.Path, Attempt: f.wish.Attempt, Outcome: run.Asks, Message: clip(s.redactor.text(r.Message), maxMessage), Usage: f.usage, Form: &form, Token: r.Token,
	}
}

// used completes what an agent reported: what a model answered without a word about it is unknown, never 0. Of a failure the adapter says itself whether it
// may be charged for: then silence means that it used nothing. mute: nobody was there to say.
func used(u run.Usage, s *types.Signature, mute bool) run.Usage {
	if u.Calls == 0 {
		u.Calls = 1
	}
	if s.Free {
		return u
	}
	model := s.Effect == types.Think && mute
	if u.Tokens == "" {
		if u.Input+u.Output+u.CacheRead+u.CacheWrite > 0 {
			u.Tokens = run.Reported
		} else if model {
			u.Tokens = run.Unknown
		}
	}
	if u.CostSource != "" {
		return u
	}
	switch {
	case u.Cost > 0:
		u.CostSource = run.Reported
	case s.Price != nil && (u.Tokens == run.Reported || u.Tokens == run.Estimated):
		u.Cost, u.CostSource = cost(u, *s.Price), run.Estimated
	case model, u.Tokens != "": // tokens were used, and nobody says for how much
		u.CostSource = run.Unknown
	}
	return u
}

// cost is in millionths of a dollar, so dollars per million tokens need no factor.
func cost(u run.Usage, p types.Price) plan.Money {
	return plan.Money(float64(u.Input)*p.Input + float64(u.Output)*p.Output + float64(u.CacheRead)*p.CacheRead + float64(u.CacheWrite)*p.CacheWrite + 0.5)
}

// schema gives the JSON Schema of a type, made once a run.
func (s *session) schema(t *types.Type) json.RawMessage {
	if t == nil {
		return nil
	}
	s.shared.Lock()
	defer s.shared.Unlock()
	if have, ok := s.schemas[t]; ok {
		return have
	}
	made := types.Schema(*t)
	if s.schemas == nil {
		s.schemas = map[*types.Type]json.RawMessage{}
	}
	s.schemas[t] = made
	return made
}

// secret reveals a secret to a call of this run, and remembers to black it out wherever it would be kept or shown.
func (s *session) secret(name string) (string, error) {
	if s.engine.secrets == nil {
		return "", fmt.Errorf("there is no source of secrets here")
	}
	value, err := s.engine.secrets(name)
	if err != nil {
		return "", err
	}
	s.redactor.learn(name, value)
	return value, nil
}

// overdue is the fact of an attempt whose time was over.
func (f *flight) overdue(u run.Usage) *run.CallFailed {
	return &run.CallFailed{
		Path: f.wish.Path, Attempt: f.wish.Attempt, Outcome: run.Timeout,
		Message: fmt.Sprintf("no answer within %s", shortly(f.wish.Timeout)), Usage: u,
	}
}

// shortly writes a duration as scripts do: 30s, 5m, 2h, 7d.
func shortly(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d >= unit.of && d%unit.of == 0 {
			return fmt.Sprintf("%d%s", d/unit.of, unit.name)
		}
	}
	return d.String()
}
