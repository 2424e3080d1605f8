package run

import (
	"strconv"
	"time"

	"github.com/slopstudios/slop/lang/types"
)

// Wish is something the machine wants done: *CallWish, *AskWish, *SleepWish, *ComputeWish, *CancelWish or *FinishWish.
// Granting a wish twice is harmless: the second answer is stale.
type Wish interface{ ID() WishID }

// WishID is unique among the open wishes of a run: the kind of wish, and what it is about.
type WishID struct {
	Kind    WishKind
	Name    string // a path or, of a sleep, its timer
	Attempt int
}

// WishKind tells wishes of different kinds about one path apart.
type WishKind uint8

// The kinds of wishes.
const (
	FinishKind WishKind = iota
	CallKind
	AskKind
	SleepKind
	ComputeKind
	CancelKind
)

var wishKinds = [...]string{"finish", "call", "ask", "sleep", "compute", "cancel"}

func (id WishID) String() string {
	s := wishKinds[id.Kind]
	if id.Name != "" {
		s += " " + id.Name
	}
	if id.Attempt > 0 {
		s += " " + strconv.Itoa(id.Attempt)
	}
	return s
}

// CallWish asks for one attempt of a call. The answer is CallDone, CallFailed or, once cancelled, CallEnded.
type CallWish struct {
	Path        Path
	Attempt     int
	Key         string
	Callee      *types.Signature // as pinned in the plan
	Agent       string           // the name the script uses
	Args        map[string]any   // without the text, configured defaults included; values may be types.Secret, types.Parts or hold types.Large where the signature allows
	Text        any              // string, or types.Parts (secrets and large texts); nil when none; []string for argv
	Shared      int              // bytes of the text, as it is sent, that other calls of the run begin with too
	System      string
	Persona     types.Parts // the system prompt when something large stands in it: System is empty then
	As          *types.Type // the answer must fit it; nil: Callee.Result
	Repair      *Repair     // set on a repair round
	Answer      *Answer     // set when an attempt before asked, and was answered
	Due         time.Time   // not before; zero: at once
	Timeout     time.Duration
	Cache       time.Duration
	Fingerprint string // of all that is sent; empty when the callee is free, since no CallStarted is recorded for it
	Reserve     Amount
	// Started is set by Open when CallStarted is recorded already. A host that is not carrying the call out (it was restarted) answers with
	// CallFailed{Interrupted}, and the machine decides: a think or read is called again, a do is not.
	Started bool
}

// Repair carries the last answer and what was wrong with it.
type Repair struct {
	Round    int
	Answer   any
	Problems []string
}

// Answer is what people said to what an agent asked in mid-call.
type Answer struct {
	Token string // as the agent gave it
	Value any
}

// AskWish asks a person. The host records Asked, shows the question, and the answer is Answered (or TimerFired of a Sleep beside it).
type AskWish struct {
	Path     Path
	Agent    string
	Form     Form
	Deadline time.Time // zero: none
}

// SleepWish asks for TimerFired at Until.
type SleepWish struct {
	Timer string
	Path  Path
	Until time.Time
}

// ComputeWish asks the edge to evaluate an expression that must look inside large values. The answer is Computed.
type ComputeWish struct {
	Path   Path // of the block, behind it `!`, the line and a number: no call has such a path
	Code   string
	Env    map[string]any
	Render bool // what is wanted is the value as it stands in a text
}

// CancelWish asks to end a call under way. It stays open until CallEnded (or the call's own end) is recorded or the grace is over.
type CancelWish struct {
	Path    Path
	Attempt int
	Grace   bool // a `do`: told, and its end awaited
}

// FinishWish asks for the fact Finished with these values.
type FinishWish struct {
	Finished Finished
}

// ID implementations.
func (w *CallWish) ID() WishID    { return WishID{CallKind, string(w.Path), w.Attempt} }
func (w *AskWish) ID() WishID     { return WishID{Kind: AskKind, Name: string(w.Path)} }
func (w *SleepWish) ID() WishID   { return WishID{Kind: SleepKind, Name: w.Timer} }
func (w *ComputeWish) ID() WishID { return WishID{Kind: ComputeKind, Name: string(w.Path)} }
func (w *CancelWish) ID() WishID  { return WishID{CancelKind, string(w.Path), w.Attempt} }
func (w *FinishWish) ID() WishID  { return WishID{Kind: FinishKind} }

// Delta is what a fact changed: wishes that opened, and those that closed, in plan order; and what is to be said of it that no fact says, as it came about.
type Delta struct {
	Opened []Wish
	Closed []WishID
	Notes  []Note
	Taken  []Taken // of a fork: the wishes that were granted by facts of its origin
}

// Taken is a kept fact whose turn came, and the wish it answers.
type Taken struct {
	Wish  Wish
	Place []Spot // of the step, the outermost block first
	Fact  Fact
}

// Spot is a line of an opened block.
type Spot struct {
	Block, Slot int
	Path        Path  // of the opened block
	Part        int64 // which of the blocks of its owner: item, round, level and group, fallback
}
