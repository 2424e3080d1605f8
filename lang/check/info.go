// Package check resolves the names of a script, types it and proves what can be proved before it runs.
// Its tables (Info) are what lang/lower builds the plan from.
package check

import (
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// Info is everything check found out about one file.
type Info struct {
	File    *syntax.File
	Name    string // the flow's name
	Types   map[string]types.Type
	Inputs  []*Decl // in order; they are Root's binds, after Scope.Values
	Secrets []*Decl
	Budget  []plan.Amount
	Root    *Block
	Output  types.Type

	Personas map[string]*Persona
	Flows    map[string]*Info // by the name a `use` gives; the same *Info for two uses of one file
	Tests    []*syntax.Test

	Templates map[string]*Template // by the name a `use template` gives; the same *Template for two uses of one file

	Blocks map[*syntax.Block]*Block
	Calls  map[*syntax.Call]*Call
	Exprs  map[*syntax.Expr]*Expr // every expression of the file, those inside texts included
	Steps  map[syntax.Step]types.Type

	// Named holds every type as written (after `as`, of inputs and fields) with what it means.
	Named map[*syntax.Type]types.Type
	// Lent are the agents that a run of the file can be given from outside, and those that can be values in it.
	Lent []string
	// Effect is Do when a call of the flow is, else Think.
	Effect types.Effect

	asked      int                         // calls of agents that are values, in the flows it uses too
	size       int                         // steps after unfolding the flows it uses
	signatures map[string]*types.Signature // of the scope, as far as they were asked for
}

// Block is a block of the file with its nodes in slots. The fallback of a step has a Block of its own even when it is a call or a text:
// then Syntax is nil, it has one node (or none, for a text), and it is found in Fallbacks.
type Block struct {
	Syntax *syntax.Block // nil for the file and for one-line fallbacks, branches and arms
	Parent *Block
	Nodes  []*Node
	Binds  []*Decl // slots len(Nodes) and up
	Value  int     // slot of the value line; -1: a record of the named steps
	Type   types.Type

	kind  blockKind
	owner *Node            // the container it belongs to; nil for the file
	names map[string]*Decl // its nodes and binds
	edges [][]edge         // by slot: what must be done before the node starts, for the search for cycles
	at    source.Span
	bad   bool // its value rests on something that was reported already
	taint eval.Taint
}

// Node is a step, let, gate or value line.
type Node struct {
	Kind   plan.NodeKind
	Name   string
	Stmt   syntax.Stmt // nil for an IntoNode and for the value line of a one-line block
	Step   syntax.Step // of step nodes
	Expr   *syntax.Expr
	Text   *syntax.Text // the value line of a fallback that is a text
	Decl   *Decl        // nil when nameless
	Type   types.Type
	Effect types.Effect
	Needs  []plan.Need
	Of     int // of an IntoNode: the slot of its map
	Into   int // of a MapNode: the slot of its IntoNode, or -1

	// Inner blocks in the order they are written: the body; branches then else; arms (in order, else included).
	Bodies []*Block
	// Fallbacks[i] belongs to the i-th else clause; nil for skip, keep and fail.
	Fallbacks []*Block

	block    *Block
	slot     int
	at       source.Span
	question bool // its value is the answer of a question
	bad      bool
	taint    eval.Taint
	failing  []*Decl // what the message of an `else fail` knows: `error` and, of a loop, its variable; they have no slot
}

// Decl is a value name.
type Decl struct {
	Name   string
	File   *syntax.File
	At     source.Span
	Block  *Block
	Slot   int
	Type   types.Type
	Input  *syntax.Input // when it is one
	Secret bool          // `secret name`: no slot, lives in Info.Secrets

	Absent string // the agent that is its default and is not there: so it has none
	agent  *Call  // when it is an agent as a value: it has no slot
	taint  eval.Taint
	bad    bool // its type rests on something that was reported already
	reads  int  // mentions; `after` is not one
	after  int
}

// Call is a resolved callee. Exactly one of Signature and Flow is set; with Persona, Signature is that of its root.
// A call whose callee is unknown is not in Info.Calls. That of a value has Agent, whose type knows the candidates; Signature is what they have in common.
type Call struct {
	Agent *syntax.Expr

	Signature *types.Signature
	Persona   *Persona
	Flow      *Info
	As        *types.Type  // the nearest `as`: of the call, else of its persona and its bases
	Text      *syntax.Text // the text after the callee, or the one a fallback inherits from the call it stands in for
	TextInput int          // of a flow: the input that Text fills; -1: none

	lent bool // not a call: a mention of an agent as a value
}

// Persona is an `agent name = …` of the file.
type Persona struct {
	Syntax    *syntax.Agent
	Base      *Persona // when it is made from another
	Signature *types.Signature
	Flow      *Info

	bad      bool
	mentions []*Decl // what its text and arguments mention, bases included
}

// Expr is a typed expression. One that stands in a persona or in a test counts its depths from the file's block; one in a `must` mentions fields
// (or the input itself), which have no slot.
type Expr struct {
	Tree *eval.Tree // nil when the expression is only a Path
	Type types.Type
	Lent types.Type // of Kind Agent: who its value may be, or whom it may hold
	Refs []Ref      // each distinct name once, in order of appearance; placeholders of texts and `run` are not names
}

// Ref is a resolved name.
type Ref struct {
	Name  string
	Decl  *Decl
	Depth int // blocks outward from the one the expression stands in
}
