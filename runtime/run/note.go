package run

import (
	"fmt"
	"strings"
	"time"
)

// Note says what the machine decided where no fact tells it: why a step has no value of its own, what it waits for, which way it went. Notes follow from the
// facts, the same at each fold, so they are derived where somebody looks and never stored.
type Note struct {
	Kind    NoteKind  `json:"note"`
	Path    Path      `json:"path"`
	Agent   string    `json:"agent,omitempty"`   // when the note is about a call
	Attempt int       `json:"attempt,omitempty"` // of NoteRetry: the next one, from 2
	Until   time.Time `json:"until,omitzero"`    // of NoteWaits and NoteRetry
	Name    string    `json:"name,omitempty"`    // of NoteElse, NoteBranch, NoteWon: which
	Number  int       `json:"number,omitempty"`  // of NoteRound and NoteStopped: the round, from 1; of NoteMore: how many
	Of      int       `json:"of,omitempty"`      // of NoteRound: the most there can be
	Error   *Error    `json:"error,omitempty"`   // of NoteFailed, NoteElse and NoteLeftOut
	Value   any       `json:"value,omitempty"`   // of NoteElse, when the fallback is a text that stands in the script
}

// NoteKind tells what a note is about.
type NoteKind string

// The kinds of notes.
const (
	NoteWaits     NoteKind = "waits"     // a `wait` has begun
	NoteWaited    NoteKind = "waited"    // and is over
	NoteRetry     NoteKind = "retry"     // the next attempt comes at Until
	NoteBudget    NoteKind = "budget"    // the call fits no more and waits for what calls under way give back
	NoteFailed    NoteKind = "failed"    // a step, gate or block failed and no fact says so: a budget, a value, a `require`, a timeout of a block
	NoteElse      NoteKind = "else"      // a fallback is taken; Name is skip, keep or the path of its block
	NoteBranch    NoteKind = "branch"    // of an `if` or `match`; Name is its path segment, empty when none is taken
	NoteRound     NoteKind = "round"     // a round of a loop begins
	NoteStopped   NoteKind = "stopped"   // a `stop if` held
	NoteLeftOut   NoteKind = "left_out"  // an item of a map failed and that is tolerated
	NoteWon       NoteKind = "won"       // a race is decided; Name lists its winners
	NoteWithdrawn NoteKind = "withdrawn" // a question, a wait or a retry is not needed any more
	NoteMore      NoteKind = "more"      // there were more notes at this fact than are told
)

// Text is the note in words, for the step at Path.
func (n *Note) Text() string {
	switch n.Kind {
	case NoteWaits:
		return "waits until " + n.Until.UTC().Format(time.RFC3339)
	case NoteWaited:
		return "is over"
	case NoteRetry:
		if n.Until.IsZero() {
			return fmt.Sprintf("attempt %d follows", n.Attempt)
		}
		return fmt.Sprintf("attempt %d follows at %s", n.Attempt, n.Until.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	case NoteBudget:
		return "waits for what calls under way leave of the budget"
	case NoteFailed:
		return "failed: " + n.reason()
	case NoteElse:
		switch n.Name {
		case "skip":
			return "is skipped: " + n.reason()
		case "keep":
			return "keeps its last value: " + n.reason()
		}
		return "goes on with " + n.Name + ": " + n.reason()
	case NoteBranch:
		if n.Name == "" {
			return "takes no branch"
		}
		return "takes " + n.Name
	case NoteRound:
		return fmt.Sprintf("round %d of at most %d", n.Number, n.Of)
	case NoteStopped:
		return fmt.Sprintf("stops in round %d", n.Number)
	case NoteLeftOut:
		return "is left out: " + n.reason()
	case NoteWon:
		return "won by " + n.Name
	case NoteWithdrawn:
		return "is not needed any more"
	case NoteMore:
		return fmt.Sprintf("and %d more", n.Number)
	}
	return string(n.Kind)
}

func (n *Note) reason() string {
	if n.Error == nil {
		return "no reason is known"
	}
	return strings.TrimSpace(n.Error.Message)
}

// String is the line of a note in archives: `quote goes on with quote/else: no answer within 30s`.
func (n *Note) String() string {
	if n.Path == "" {
		return n.Text()
	}
	return string(n.Path) + " " + n.Text()
}
