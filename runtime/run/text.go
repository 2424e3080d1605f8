package run

import (
	"fmt"
	"strings"
	"time"
)

// maxShown is how much of a value the texts below show.
const maxShown = 200

func show(v any) string {
	raw, err := EncodeValue(v)
	if err != nil {
		return "‹" + err.Error() + "›"
	}
	return clip(string(raw))
}

func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}

// String is the line of a history in archives: `page 2 done: "hello"`.
func (f Fact) String() string {
	switch b := f.Body.(type) {
	case nil:
		return "nothing"
	case *Started:
		if len(b.Inputs) == 0 {
			return "started"
		}
		return "started: " + show(b.Inputs)
	case *CallStarted:
		return fmt.Sprintf("%s %d started", b.Path, b.Attempt)
	case *CallDone:
		if b.Source != "" {
			return fmt.Sprintf("%s %d done (%s): %s", b.Path, b.Attempt, b.Source, show(b.Value))
		}
		return fmt.Sprintf("%s %d done: %s", b.Path, b.Attempt, show(b.Value))
	case *CallFailed:
		s := fmt.Sprintf("%s %d failed", b.Path, b.Attempt)
		if b.Outcome != Failure {
			s += " (" + string(b.Outcome) + ")"
		}
		s += ": " + b.Message
		for _, p := range b.Problems {
			s += "; " + p
		}
		return s
	case *CallEnded:
		return fmt.Sprintf("%s %d ended", b.Path, b.Attempt)
	case *Asked:
		return fmt.Sprintf("%s asked: %s", b.Path, show(b.Form.Text))
	case *Answered:
		s := fmt.Sprintf("%s answered: %s", b.Path, show(b.Value))
		if b.By != "" {
			s += " by " + b.By
		}
		return s
	case *Computed:
		if b.Error != "" {
			return fmt.Sprintf("%s computed: failed: %s", b.Path, b.Error)
		}
		return fmt.Sprintf("%s computed: %s", b.Path, show(b.Value))
	case *TimerFired:
		return b.Timer + " timer"
	case *PauseAsked:
		return words("pause asked", b.By, b.Reason)
	case *ResumeAsked:
		return words("resume asked", b.By, b.Reason)
	case *CancelAsked:
		return words("cancel asked", b.By, b.Reason)
	case *Finished:
		if b.Error != nil {
			return fmt.Sprintf("finished: %s: %s", b.Status, b.Error)
		}
		if b.Status == Succeeded {
			return "finished: " + show(b.Value)
		}
		return "finished: " + string(b.Status)
	}
	return f.Kind()
}

func words(what, by, reason string) string {
	if by != "" {
		what += " by " + by
	}
	if reason != "" {
		what += ": " + reason
	}
	return what
}

// String is `E_TIMEOUT at quote: no answer within 30s`.
func (e *Error) String() string {
	if e == nil {
		return "no error"
	}
	s := e.Code
	if e.Path != "" {
		s += " at " + string(e.Path)
	}
	return s + ": " + e.Message
}

// String is the wish in archives: `call page 1 http.get "x"`.
func (w *CallWish) String() string {
	s := fmt.Sprintf("call %s %d %s", w.Path, w.Attempt, w.Agent)
	switch t := w.Text.(type) {
	case nil:
	case []string:
		s += fmt.Sprintf(" %q", t)
	default:
		s += " " + show(t)
	}
	if len(w.Args) > 0 {
		s += " " + show(w.Args)
	}
	if w.Repair != nil {
		s += " repair: " + strings.Join(w.Repair.Problems, "; ")
	}
	if !w.Due.IsZero() {
		s += " due " + w.Due.UTC().Format(time.RFC3339)
	}
	if w.Timeout > 0 {
		s += " timeout " + w.Timeout.String()
	}
	return s
}

// String is `ask ok human.approve "Publish this?"`.
func (w *AskWish) String() string {
	s := fmt.Sprintf("ask %s %s %s", w.Path, w.Agent, show(w.Form.Text))
	if !w.Deadline.IsZero() {
		s += " until " + w.Deadline.UTC().Format(time.RFC3339)
	}
	return s
}

// String is `sleep pause until 2026-11-22T11:00:00Z`.
func (w *SleepWish) String() string {
	return fmt.Sprintf("sleep %s until %s", w.Timer, w.Until.UTC().Format(time.RFC3339))
}

// String is `compute big len(x)`.
func (w *ComputeWish) String() string { return fmt.Sprintf("compute %s %s", w.Path, w.Code) }

// String is `cancel page 1`.
func (w *CancelWish) String() string {
	s := fmt.Sprintf("cancel %s %d", w.Path, w.Attempt)
	if w.Grace {
		s += " with grace"
	}
	return s
}

// String is `finish succeeded "hello"`.
func (w *FinishWish) String() string {
	if w.Finished.Error != nil {
		return fmt.Sprintf("finish %s %s", w.Finished.Status, w.Finished.Error)
	}
	return fmt.Sprintf("finish %s %s", w.Finished.Status, show(w.Finished.Value))
}
