// Package eval parses, types and runs the expressions of the language. The grammar and the machine are those of expr-lang/expr; which functions exist,
// what types mean and how much an evaluation may do are ours, so that the same expression gives the same value, or the same failure, for ever.
//
// An expression goes through four doors. Parse scans the text for what we do not take and for what would hurt (guard.go), then lets expr's parser build
// a tree. Type walks that tree once and knows types, optionals, enums and taints (infer.go, calls.go). Compile rewrites the tree so that every operator
// and function is one of ours, which counts what it does (rewrite.go, meter.go), and has expr make a program of it. Eval runs the program on expr's
// machine. Values are nil, bool, int, float64, string, []any, map[string]any, types.FileValue, types.Secret and types.Parts; nothing else ever.
package eval

import (
	"github.com/expr-lang/expr/ast"

	"github.com/slopstudios/slop/lang/types"
)

// Tree is a parsed expression that has passed the guards: no banned syntax, within the limits of size and depth.
type Tree struct {
	code string
	root ast.Node
}

// Problem is a mistake in an expression. Start and End are rune offsets in its code. Code is the number of the check it belongs to (spec/diagnostics.md),
// as "E0109"; a mistake of syntax is "E0001".
type Problem struct {
	Code       string
	Start, End int
	Message    string
	Label      string
	Help       string
	Fix        *string // replaces Start … End

	Template, Param string // the template, and its variable, that a wrong argument was given to
}

// Name is an occurrence of a free name, in runes.
type Name struct {
	Text       string
	Start, End int
}

// Taint marks where a value comes from. The taint of an expression is the union of what it is made of.
type Taint uint8

// Secret values may reach secret arguments only. World marks text of a model, person or network. Loops marks what changes from round to round.
const (
	Secret Taint = 1 << iota
	World
	Changing
)

// Operand is what is known of a value before it exists. Literal is set for a constant (string, int, float64, bool).
//
// Type is what a name bound to the value gets. Of an expression made of literals more is known: whether it may stand where a type is wanted is
// answered by Fits, for which "bug" fits the enum "bug" or "other", and {kind: "bug"} a record with such a field.
type Operand struct {
	Type    types.Type
	Taint   Taint
	Literal any

	precise *types.Type // with literal texts as enums of one; nil when Type says it all
	written *types.Type // of a list written out, whose records differ in their fields: see together
}

// Fits reports whether the value may stand where a to is wanted.
func (o Operand) Fits(to types.Type) bool {
	if o.precise != nil {
		return types.Fits(*o.precise, to)
	}
	if s, ok := o.Literal.(string); ok && !o.Type.Optional {
		return types.Fits(types.Type{Kind: types.Enum, Values: []string{s}}, to)
	}
	return types.Fits(o.Type, to)
}

// Precise is all that is known of the value: of an expression made of literals it says more than the type that a name bound to it gets.
func (o Operand) Precise() types.Type { return precise(o) }

// Failure is why an evaluation gave no value. Start and End are rune offsets in the code of the expression; both 0 when there is no such place.
// The same expression fails in the same way on the same values, so a failure may be recorded and replayed.
type Failure struct {
	Kind       string
	Message    string
	Start, End int
}

// The kinds of failure.
const (
	TypeFailure    = "type"       // a value of the wrong type
	MissingFailure = "missing"    // a field, item or name that is not there
	NumberFailure  = "arithmetic" // a division by zero, an overflow
	ValueFailure   = "value"      // a value of the right type that does not do
	LimitFailure   = "limit"      // more steps or bytes than an evaluation may take
)

func (f *Failure) Error() string { return f.Message }
