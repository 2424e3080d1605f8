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

	Blocks map[*syntax.Block]*Block
	Calls  map[*syntax.Call]*Call
	Exprs  map[*syntax.Expr]*Expr // every expression of the file, those inside texts included
	Steps  map[syntax.Step]types.Type
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
}

// Call is a resolved callee. Exactly one of Signature and Flow is set; with Persona, Signature is that of its root.
type Call struct {
	Signature *types.Signature
	Persona   *Persona
	Flow      *Info
}

// Persona is an `agent name = …` of the file.
type Persona struct {
	Syntax    *syntax.Agent
	Base      *Persona // when it is made from another
	Signature *types.Signature
	Flow      *Info
}

// Expr is a typed expression.
type Expr struct {
	Tree *eval.Tree // nil when the expression is only a Path
	Type types.Type
	Refs []Ref // each distinct name once, in order of appearance; placeholders of texts and `run` are not names
}

// Ref is a resolved name.
type Ref struct {
	Name  string
	Decl  *Decl
	Depth int // blocks outward from the one the expression stands in
}
