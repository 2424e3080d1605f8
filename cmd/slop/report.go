package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"unicode"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
	"github.com/slopstudios/slop/runtime/wire"
)

// exitCode says how the end of a run ends the process.
func (s *session) exitCode(end run.Finished, o run.Options) int {
	switch {
	case s.unasked != nil && end.Status != run.Succeeded:
		return exitWaiting
	case end.Status == run.Succeeded:
		return exitOK
	case end.Status == run.Cancelled || s.interrupted && s.state == nil:
		return exitInterrupted
	case end.Error == nil:
		return exitFailed
	}
	switch end.Error.Kind {
	case string(run.Denied):
		return exitAuth
	case string(run.OverBudget), string(run.RateLimited), "limit":
		return exitBudget
	case string(run.Unavailable):
		return exitUnreachable
	case string(run.Timeout):
		if o.Timeout > 0 && end.Error.Path == "" {
			return exitTimeout
		}
	}
	return exitFailed
}

// runReport is what --json prints.
type runReport struct {
	ID     run.ID      `json:"id"`
	Status string      `json:"status"`
	Output any         `json:"output"`
	Error  *wire.Error `json:"error"`
	Steps  []wire.Step `json:"steps"`
	Notes  []wire.Note `json:"notes"`
	Usage  wire.Usage  `json:"usage"`
	wire.Cost
	Fork      *run.Fork  `json:"fork,omitempty"`      // what the run is a fork of
	Questions []question `json:"questions,omitempty"` // that wait for an answer

	Diagnostics json.RawMessage `json:"diagnostics,omitempty"`
}

// question waits for an answer.
type question struct {
	wire.Question
	Command string `json:"command,omitempty"` // that answers it, of a run that is kept
}

func (s *session) open(view runs.View) (open []question) {
	asked := waiting(view)
	for i, q := range wire.Questions(view) {
		one := question{Question: q}
		if s.state != nil {
			one.Command = answerLine(s.state, s.id, asked[i])
		}
		open = append(open, one)
	}
	return open
}

func (s *session) report(end run.Finished) runReport {
	view := s.folder.View()
	r := runReport{
		ID: s.id, Status: string(end.Status), Output: wire.Plain(end.Value), Steps: wire.Steps(view), Notes: s.notes,
		Usage: wire.UsageOf(view.Usage), Cost: wire.CostOfRun(view), Fork: view.Fork, Questions: s.open(view),
	}
	r.Error = wire.ErrorOf(end.Error)
	if q := s.unasked; q != nil && end.Status != run.Succeeded {
		r.Status = string(run.Failed)
		r.Error = &wire.Error{Code: "E_NO_PERSON", Message: noPerson(q), Path: q.Path}
	}
	if asked := waiting(view); s.state != nil && end.Status == run.Waiting && len(asked) > 0 {
		r.Error = &wire.Error{Code: "E_NO_PERSON", Message: noPerson(&run.Asked{Form: *asked[0].Form}), Path: asked[0].Path}
	}
	if r.Error == nil && end.Status == run.Cancelled {
		r.Error = &wire.Error{Code: "E_CANCELLED", Message: "the run was cancelled"}
	}
	return r
}

// invalidScript is the report of a script that cannot run.
func invalidScript(l diag.List) runReport {
	text, err := diag.JSON(l)
	var body struct {
		Diagnostics json.RawMessage `json:"diagnostics"`
	}
	if err == nil {
		_ = json.Unmarshal(text, &body) // our own JSON
	}
	message := "the script has errors"
	for _, d := range l {
		if d.Severity == diag.Error {
			message = d.Message
			break
		}
	}
	r := notRun("E_SCRIPT", message)
	r.Diagnostics = body.Diagnostics
	return r
}

// notRun is the report of a run that never began.
func notRun(code, message string) runReport {
	return runReport{
		Status: "invalid", Error: &wire.Error{Code: code, Message: message}, Steps: []wire.Step{}, Notes: []wire.Note{},
		Usage: wire.UsageOf(run.Usage{}), Cost: wire.CostOf(run.Usage{}, wire.FreeSource),
	}
}

func noPerson(q *run.Asked) string {
	return "a person must answer and there is no terminal: " + screen.OneLine(q.Form.Text, 200)
}

// printJSON prints v indented, with letters and < > & as they are.
func (c *console) printJSON(v any) {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // standard output is gone: nobody reads
}

// printUnstarted is all that --events says of a run that never began: one line.
func (c *console) printUnstarted(r runReport) {
	line := map[string]any{"schemaVersion": wire.SchemaVersion, "kind": "error", "error": r.Error}
	if r.Diagnostics != nil {
		line["diagnostics"] = r.Diagnostics
	}
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	_ = e.Encode(line) // standard output is gone: nobody reads
}

// printValue prints the value of a run: a text as it is, a file's bytes, anything else as JSON. On a terminal a text cannot command it.
func (c *console) printValue(v any) {
	switch v := v.(type) {
	case nil:
		return
	case string:
		if c.outTerminal {
			v = screen.Inert(v)
		}
		fmt.Fprint(c.out, v)
		if !strings.HasSuffix(v, "\n") {
			fmt.Fprintln(c.out)
		}
	case types.FileValue:
		if c.outTerminal {
			c.printJSON(wire.Plain(v))
			return
		}
		_, _ = c.out.Write(v.Data)
	default:
		text, err := eval.Render(wire.Plain(v))
		if err != nil {
			c.printJSON(wire.Plain(v))
			return
		}
		if c.outTerminal {
			text = screen.Inert(text)
		}
		fmt.Fprintln(c.out, text)
	}
}

// drawFailure says why a run ended badly, in the shape of a diagnostic: where in the script, which step, what was done, how to go on.
func (s *session) drawFailure(end run.Finished, code int) {
	c := s.c
	d := diag.Diagnostic{Severity: diag.Error}
	switch e := end.Error; {
	case s.unasked != nil:
		s.drawNoPerson([]string{"run it in a terminal, without CI set: a run that lives as long as its command cannot wait for an answer"})
		return
	case end.Status == run.Cancelled || s.interrupted && s.state == nil:
		d.Code, d.Message = "E_CANCELLED", "the run was stopped before its end"
		if e != nil && e.Code == "E_CANCELLED" && s.state != nil { // of a run that is kept it is known by whom, and why
			d.Message = screen.Inert(s.redact(e.Message))
		}
	case e != nil:
		d.Code, d.Message = diag.Code(e.Code), screen.Inert(s.redact(firstLines(e.Message, 20)))
		s.place(&d, e.Path, e)
		d.Help = append(d.Help, s.hints(e, code)...)
	default:
		d.Code, d.Message = "E_FAIL", "the run failed"
	}
	d.Help = append(d.Help, s.finishedSteps()...)
	if again := s.forkLine(end); again != "" {
		d.Help = append(d.Help, again)
	}
	c.drawEnd(d)
}

// drawNoPerson says that a question stands and nobody is here to answer it.
func (s *session) drawNoPerson(help []string) {
	d := diag.Diagnostic{Severity: diag.Error, Code: "E_NO_PERSON", Message: screen.OneLine(s.redact(noPerson(s.unasked)), 300), Help: help}
	s.place(&d, s.unasked.Path, nil)
	d.Help = append(d.Help, s.finishedSteps()...)
	s.c.drawEnd(d)
}

func (c *console) drawEnd(d diag.Diagnostic) {
	if d.File == nil {
		fmt.Fprintln(c.err, c.style.Bold(c.style.Red("error["+string(d.Code)+"]"))+c.style.Bold(": "+d.Message))
		for _, h := range d.Help {
			fmt.Fprintln(c.err, "  = help: "+h)
		}
		return
	}
	diag.Print(c.err, diag.List{d}, c.style.On)
}

// place points at the source of a failure and names the step.
func (s *session) place(d *diag.Diagnostic, path run.Path, e *run.Error) {
	if e != nil && e.Line > 0 {
		for _, src := range s.plan.Sources {
			if src.Name != e.File && e.File != "" {
				continue
			}
			d.File = source.NewFile(src.Name, src.Text)
			d.Span = wordAt(d.File, e.Line, e.Column)
			break
		}
	}
	if from := runs.Callers(s.plan, path); d.File != nil && len(from) > 0 && d.File.Name != s.plan.Sources[0].Name {
		// The line to look at is the reader's own; where it failed in the flow that it calls comes after.
		d.Related = append(d.Related, diag.Related{File: d.File, Span: d.Span, Message: "it failed here"})
		d.File = source.NewFile(s.plan.Sources[0].Name, s.plan.Sources[0].Text)
		d.Span = wordAt(d.File, from[0].Line, from[0].Column)
	}
	if path == "" {
		return
	}
	step := "step " + string(path)
	if known, ok := s.folder.Step(path); ok {
		if known.Agent != "" {
			step += ", agent " + known.Agent
		}
		if known.Attempts > 1 {
			step += fmt.Sprintf(", attempt %d", known.Attempts)
		}
	}
	d.Help = append(d.Help, step)
}

// wordAt is the span of the word that begins at a place.
func wordAt(f *source.File, line, column int) source.Span {
	text := f.Line(line)
	start := 0
	for n := 1; n < line; n++ {
		i := strings.IndexByte(f.Text[start:], '\n')
		if i < 0 {
			break
		}
		start += i + 1
	}
	runes := []rune(text)
	column = max(1, min(column, len(runes)+1))
	from := start + len(string(runes[:column-1]))
	to := from
	for _, r := range runes[column-1:] {
		if to > from && !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '.' {
			break
		}
		to += len(string(r))
	}
	return source.Span{Start: from, End: to}
}

// hints say how to go on.
func (s *session) hints(e *run.Error, code int) []string {
	switch code {
	case exitAuth:
		return []string{"`slop agents` shows which agents can be called and what the others lack"}
	case exitBudget:
		return []string{"`slop run --dry-run` shows the worst case; raise the budget, or catch it with `else`"}
	case exitTimeout:
		return []string{"give it more time: --timeout 30m"}
	case exitUnreachable:
		return []string{"`slop agents` shows which agents can be reached; `retry 3` tries a call again"}
	}
	if e.Kind == string(run.Timeout) || e.Kind == string(run.RateLimited) {
		return []string{"`retry 3` after the call tries it again, `else \"…\"` says what stands in for it"}
	}
	return nil
}

// maxListed is how many finished steps a failure lists.
const maxListed = 12

func (s *session) finishedSteps() []string {
	var done []string
	for _, step := range s.folder.View().Steps {
		if step.Status == runs.Done {
			done = append(done, string(step.Path))
		}
	}
	if len(done) == 0 {
		return []string{"no step had finished"}
	}
	sort.Strings(done)
	text := strings.Join(done[:min(len(done), maxListed)], ", ")
	if len(done) > maxListed {
		text += fmt.Sprintf(" and %d more", len(done)-maxListed)
	}
	return []string{"finished before that: " + text}
}

func firstLines(s string, n int) string {
	lines := strings.SplitN(s, "\n", n+1)
	if len(lines) > n {
		lines[n] = "…"
	}
	return strings.Join(lines, "\n")
}
