package screen

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// Lines writes one whole line for each thing that happens, with the step's path before it.
type Lines struct {
	w     io.Writer
	style Style
	board board
	held  []string
	holds bool
}

// NewLines writes to w. agent names the agent of a path.
func NewLines(w io.Writer, style Style, agent func(run.Path) string) *Lines {
	return &Lines{w: w, style: style, board: board{agent: agent, now: time.Now}}
}

// Event writes what happened, if it is worth a line.
func (l *Lines) Event(e runs.Event) {
	if p := e.Progress; p != nil {
		if p.Note != "" {
			l.say(p.Path, p.Note)
		}
		return
	}
	if e.Fact == nil {
		return
	}
	before := state(pending)
	switch body := e.Fact.Body.(type) {
	case *run.CallDone:
		before = l.board.row(body.Path).state
	case *run.CallEnded:
		before = l.board.row(body.Path).state
	case *run.Answered:
		before = l.board.row(body.Path).state
	}
	r := l.board.fact(*e.Fact)
	if r == nil {
		return
	}
	switch body := e.Fact.Body.(type) {
	case *run.CallStarted:
		text := r.agent + " started"
		if body.Attempt > 1 {
			text = fmt.Sprintf("%s tries again (attempt %d)", r.agent, body.Attempt)
		}
		if r.asked {
			text = fmt.Sprintf("%s goes on with the answer (attempt %d)", r.agent, body.Attempt)
			r.asked = false
		}
		if r.repair != "" {
			text = fmt.Sprintf("%s is asked to repair its answer (%s)", r.agent, r.repair)
		}
		l.say(body.Path, text)
	case *run.CallDone:
		text := r.agent + " " + l.style.Green("done")
		if before == running { // what is free has no beginning
			text += " in " + Took(r.ended.Sub(r.started))
		}
		if body.Source == "cache" {
			text = r.agent + " " + l.style.Green("done") + " from the cache"
		}
		if used := Used(body.Usage); used != "" {
			text += ", " + used
		}
		l.say(body.Path, text)
	case *run.CallFailed:
		if r.state == asking {
			break // its question follows
		}
		text := r.agent + " " + l.style.Red("failed")
		if body.Attempt > 1 {
			text += fmt.Sprintf(" (attempt %d)", body.Attempt)
		}
		l.say(body.Path, text+": "+OneLine(Reason(body), 500))
	case *run.CallEnded:
		if before == running {
			l.say(body.Path, r.agent+": "+l.board.why())
		}
	case *run.Asked:
		text := r.agent + " asks: " + OneLine(body.Form.Text, 500)
		for i, a := range body.Form.Actions {
			text += [...]string{"; yes: ", ", "}[min(i, 1)] + OneLine(a.Agent+" at "+string(a.Path), 80)
		}
		l.say(body.Path, text)
	case *run.Answered:
		if _, ok := body.Path.Asker(); ok || before == asking {
			l.say(body.Path, strings.TrimSpace(r.agent+" answered ")+" "+Answer(body.Value, body.By, body.Reason))
		}
	}
}

// Note writes what follows from the fact before it.
func (l *Lines) Note(n *run.Note, at time.Time) {
	l.board.note(n, at)
	who := ""
	if n.Agent != "" {
		who = n.Agent + " "
	}
	text := n.Text()
	switch {
	case n.Kind == run.NoteWaits:
		text = Took(n.Until.Sub(at)) + ", until " + clock(n.Until, at)
	case n.Kind == run.NoteElse && n.Value != nil && n.Error != nil:
		text = "goes on with " + Value(n.Value, 100) + ": " + n.Error.Message
	case n.Kind == run.NoteRetry && !n.Until.IsZero():
		text = fmt.Sprintf("is called again in %s (attempt %d)", Took(n.Until.Sub(at)), n.Attempt)
	}
	text = OneLine(text, 500)
	if n.Kind == run.NoteFailed {
		text = l.style.Red("failed") + strings.TrimPrefix(text, "failed")
	}
	l.say(n.Path, who+text)
}

func (l *Lines) say(path run.Path, text string) {
	line := l.style.Cyan("["+Inert(string(path))+"]") + " " + strings.ReplaceAll(text, "\n", " ") + "\n"
	if l.holds {
		l.held = append(l.held, line)
		return
	}
	_, _ = io.WriteString(l.w, line) // one write: lines of other processes do not fall into it
}

// Hold keeps lines back while a question stands on the terminal.
func (l *Lines) Hold() { l.holds = true }

// GoOn writes what was kept back.
func (l *Lines) GoOn() {
	l.holds = false
	for _, line := range l.held {
		_, _ = io.WriteString(l.w, line)
	}
	l.held = nil
}

// Close has nothing to leave behind.
func (l *Lines) Close() { l.GoOn() }
