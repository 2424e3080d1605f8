// Package eval parses, types and runs the expressions of the language. The grammar and the machine are those of expr-lang/expr; which functions exist,
// what types mean and how much an evaluation may do are ours, so that the same expression gives the same value, or the same failure, for ever.
package eval

import (
	"github.com/slopstudios/slop/lang/types"
)

// Tree is a parsed expression that has passed the guards: no banned syntax, only the documented functions, within the limits of size and depth.
type Tree struct {
	code string
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
type Operand struct {
	Type    types.Type
	Taint   Taint
	Literal any
}
