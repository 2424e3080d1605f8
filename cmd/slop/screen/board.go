// Package screen shows a run while it happens: as a tree that is drawn anew on a terminal, or as lines that each say which step they are about.
package screen

import (
	"strings"
	"time"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/runs"
)

// Screen takes in what happens in a run. It is used by one goroutine.
type Screen interface {
	// Event shows one event.
	Event(e runs.Event)
	// Note shows what follows from the fact before it, which came at a time.
	Note(n *run.Note, at time.Time)
	// Hold makes room for a question on the terminal; Go on shows again what has happened meanwhile.
	Hold()
	GoOn()
	// Close leaves the last state on the screen.
	Close()
}

// state of a row.
type state uint8

const (
	pending state = iota
	running
	retrying
	asking
	sleeping
	succeeded
	replaced // it failed, and its fallback stands in for it
	failed
	stopped
)

// row is a step, or a container of steps, at its place in the tree.
type row struct {
	name     string
	path     run.Path
	agent    string
	state    state
	attempt  int
	repair   string // "1" while the first repair is under way
	asked    bool   // its agent asked something in mid-call
	started  time.Time
	ended    time.Time
	usage    run.Usage
	message  string // why it failed or what it says about itself
	tail     []byte // the end of what streams
	parent   *row
	children []*row
	index    map[string]*row
}

// board is the tree of all steps that have been seen, built from facts alone.
type board struct {
	root  row
	agent func(run.Path) string
	now   func() time.Time

	cancelled bool
}

func (b *board) row(path run.Path) *row {
	r := &b.root
	for _, name := range levels(path) {
		next := r.index[name]
		if next == nil {
			next = &row{name: name, parent: r}
			if r.index == nil {
				r.index = map[string]*row{}
			}
			r.index[name] = next
			r.children = append(r.children, next)
		}
		r = next
	}
	return r
}

// levels splits a path where a reader sees one thing inside another: poem#2/review is poem, round 2, review.
func levels(path run.Path) []string {
	s, _ := cutRepair(path)
	var out []string
	start, quoted := 0, false
	flush := func(end int) {
		if end > start {
			out = append(out, s[start:end])
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '/':
			flush(i)
			start = i + 1
		case c == '#' || c == '^' || (c == '[' && !strings.Contains(s[start:i], "^")):
			flush(i)
			start = i
		}
	}
	flush(len(s))
	return out
}

// cutRepair takes the ~1 of a repair, and the ?1 of a question, off the path: it is the same step.
func cutRepair(path run.Path) (base, round string) {
	path, _ = path.Asker()
	step := path.Step()
	return string(step), strings.TrimPrefix(string(path[len(step):]), "~")
}

// fact moves the board on and gives the row the fact is about, nil when it is about none.
func (b *board) fact(f run.Fact) *row {
	begin := func(path run.Path) *row {
		r := b.row(path)
		_, r.repair = cutRepair(path)
		if r.started.IsZero() {
			r.started = f.At
		}
		if r.agent == "" {
			r.agent = b.agent(path)
		}
		r.path = path
		return r
	}
	switch body := f.Body.(type) {
	case *run.CallStarted:
		r := begin(body.Path)
		r.state, r.attempt, r.tail = running, body.Attempt, nil
		return r
	case *run.CallDone:
		r := begin(body.Path)
		r.state, r.ended, r.tail, r.message = succeeded, f.At, nil, ""
		r.attempt = max(r.attempt, body.Attempt)
		r.usage = r.usage.Add(body.Usage)
		if body.Source == "cache" {
			r.message = "from the cache"
		}
		return r
	case *run.CallFailed:
		r := begin(body.Path)
		if body.Outcome == run.Asks && body.Form != nil { // it goes on when that is answered
			r.state, r.tail, r.message, r.asked = asking, nil, body.Form.Text, true
			r.usage = r.usage.Add(body.Usage)
			return r
		}
		r.state, r.ended, r.tail = failed, f.At, nil
		r.attempt = max(r.attempt, body.Attempt)
		r.message = Reason(body)
		r.usage = r.usage.Add(body.Usage)
		return r
	case *run.CallEnded:
		r := begin(body.Path)
		r.usage = r.usage.Add(body.Usage)
		if r.state == running || r.state == pending {
			r.state, r.ended, r.tail, r.message = stopped, f.At, nil, b.why()
		}
		return r
	case *run.Asked:
		r := begin(body.Path)
		r.state, r.message = asking, body.Form.Text
		return r
	case *run.Answered:
		r := begin(body.Path)
		if r.state == asking {
			r.state, r.ended, r.message = succeeded, f.At, ""
			if r.asked {
				r.state, r.ended = running, time.Time{}
			}
		}
		return r
	case *run.CancelAsked:
		b.cancelled = true
	case *run.Finished:
		b.end(&b.root, f.At)
	}
	return nil
}

// why a call that was under way was stopped.
func (b *board) why() string {
	if b.cancelled {
		return "stopped"
	}
	return "not needed any more"
}

// end settles what is still open when the run ends.
func (b *board) end(r *row, at time.Time) {
	if r.waits() {
		r.state, r.ended, r.tail, r.message = stopped, at, nil, ""
	}
	for _, c := range r.children {
		b.end(c, at)
	}
}

// note moves the board on by what no fact says.
func (b *board) note(n *run.Note, at time.Time) {
	if n.Kind == run.NoteMore {
		return
	}
	r := b.row(n.Path)
	if n.Agent != "" && r.agent == "" {
		r.agent = n.Agent
	}
	end := func(s state, message string) {
		r.state, r.ended, r.tail, r.message = s, at, nil, message
		if r.started.IsZero() && len(r.children) == 0 {
			r.started = at
		}
	}
	switch n.Kind {
	case run.NoteWaits:
		r.state, r.started, r.message = sleeping, at, "until "+clock(n.Until, at)
	case run.NoteWaited:
		end(succeeded, "")
	case run.NoteRetry:
		r.state = retrying
		if !n.Until.IsZero() {
			r.message += ", again in " + Took(n.Until.Sub(at))
		}
	case run.NoteBudget:
		r.message = "waits for the budget"
	case run.NoteFailed:
		end(failed, n.Error.Message)
	case run.NoteElse:
		switch n.Name {
		case "skip":
			end(stopped, "skipped: "+n.Error.Message)
		default:
			end(replaced, "else: "+n.Error.Message)
		}
	case run.NoteLeftOut:
		end(stopped, "left out: "+n.Error.Message)
	case run.NoteWithdrawn:
		end(stopped, b.why())
	case run.NoteStopped, run.NoteWon:
		end(succeeded, n.Text())
	case run.NoteBranch:
		if r.message = n.Text(); n.Name == "" {
			end(succeeded, r.message)
		}
	default:
		r.message = n.Text()
	}
}

// clock is a moment as one near to it would say it.
func clock(at, now time.Time) string {
	at = at.Local()
	if at.Sub(now) < 20*time.Hour {
		return at.Format("15:04:05")
	}
	return at.Format("2 Jan 15:04")
}

func (r *row) waits() bool {
	return r.state == running || r.state == asking || r.state == retrying || r.state == sleeping
}

func (b *board) progress(p *runs.Progress) *row {
	r := b.row(p.Path)
	if p.Reset {
		r.tail = nil
	}
	if p.Note != "" {
		r.message = p.Note
	}
	r.tail = append(r.tail, p.Delta...)
	if len(r.tail) > 2*maxTail {
		r.tail = append([]byte(nil), r.tail[len(r.tail)-maxTail:]...)
	}
	return r
}

// maxTail is how much of a streaming answer is kept to show its end.
const maxTail = 400

// Reason is why an attempt failed, as a reader says it.
func Reason(f *run.CallFailed) string {
	word := map[run.Outcome]string{
		run.Timeout: "timed out", run.Unavailable: "unavailable", run.RateLimited: "called too often", run.Refused: "refused", run.Denied: "denied",
		run.Invalid: "the answer does not fit", run.Interrupted: "interrupted", run.OverBudget: "over budget",
	}[f.Outcome]
	text := f.Message
	if f.Outcome == run.Invalid && len(f.Problems) > 0 {
		text = strings.Join(f.Problems, "; ")
	}
	switch {
	case word == "" || strings.Contains(strings.ToLower(text), word):
		return text
	case text == "":
		return word
	}
	return word + ": " + text
}
