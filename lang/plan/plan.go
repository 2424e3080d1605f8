// Package plan is a checked flow as data: everything the machine needs to run it, closed over sub-flows, personas, signatures, types and prices.
//
// A plan is a list of blocks. A block is a list of nodes and the names its header binds. Nodes are referred to by slot:
// slots 0 … len(Nodes)-1 of a block are its nodes, the slots after them its Binds. A reference reaches Depth blocks outward from the block it
// stands in; blocks are nested as they are written, and a flow's block sees nothing outside itself.
package plan

import (
	"encoding/json"
	"time"

	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

// Version of the encoding.
const Version = 1

// Plan is a checked flow.
type Plan struct {
	Version int               `json:"version"`
	Name    string            `json:"name"` // the flow: the file's name without folder and ending
	Sources []Source          `json:"sources"`
	Inputs  []Input           `json:"inputs,omitempty"` // in the order of Blocks[0].Binds
	Secrets []string          `json:"secrets,omitempty"`
	Budget  []Amount          `json:"budget,omitempty"` // of the whole run; a Duration in it is the run's deadline
	Callees []types.Signature `json:"callees,omitempty"`
	Blocks  []Block           `json:"blocks"` // Blocks[0] is the file
	Output  types.Type        `json:"output"`
}

// Source is a file that went into the plan. The first is the script itself.
type Source struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Text   string `json:"text"`
}

// Input is what the flow asks for. Default is nil when there is none.
type Input struct {
	Name     string          `json:"name"`
	Type     types.Type      `json:"type"`
	Default  json.RawMessage `json:"default,omitempty"`
	Musts    []types.Must    `json:"musts,omitempty"`
	Doc      string          `json:"doc,omitempty"`
	Required bool            `json:"required,omitempty"` // no default and not optional
}

// Amount is what a budget allows; exactly one field is set.
type Amount struct {
	Money    Money         `json:"money,omitempty"`
	Tokens   int64         `json:"tokens,omitempty"`
	Calls    int64         `json:"calls,omitempty"`
	Duration time.Duration `json:"duration,omitempty"`
}

// Money is in millionths of a dollar.
type Money int64

// Block is a list of nodes that live and fail together.
type Block struct {
	Nodes  []Node   `json:"nodes"`
	Binds  []string `json:"binds,omitempty"`
	Value  int      `json:"value"`  // the slot of the value line; -1: a record of the named steps
	Parent int      `json:"parent"` // the block it stands in; -1: the file, or the body of a flow
}

// NodeKind tells what a node does when it starts.
type NodeKind string

// The kinds. Each names the field of Node that is set with it, where there is one.
const (
	CallNode    NodeKind = "call"    // Call
	LetNode     NodeKind = "let"     // Expr
	ValueNode   NodeKind = "value"   // Expr: the value line of a block when it is an expression
	RequireNode NodeKind = "require" // Expr, Message
	StopNode    NodeKind = "stop"    // Expr: stop if, directly in a loop's body
	GroupNode   NodeKind = "group"   // Group: parallel, sequence, try
	RaceNode    NodeKind = "race"    // Race
	MapNode     NodeKind = "map"     // Map
	IntoNode    NodeKind = "into"    // the list a map's `into` names; its value is set when the map at slot Of is done
	ReduceNode  NodeKind = "reduce"  // Reduce
	ChoiceNode  NodeKind = "choice"  // Choice: if
	MatchNode   NodeKind = "match"   // Match
	LoopNode    NodeKind = "loop"    // Loop
	FlowNode    NodeKind = "flow"    // Flow: a used flow, inlined
)

// Node is a step, let, gate or value line of a block.
type Node struct {
	Kind  NodeKind   `json:"kind"`
	Name  string     `json:"name,omitempty"` // empty for gates and a nameless value line
	At    source.Pos `json:"at"`
	Needs []Need     `json:"needs,omitempty"` // what must be done before it starts
	Type  types.Type `json:"type"`
	// Effect of the node: of its call, or, for a container, Do if any call in it is, fallbacks included, else Think.
	Effect types.Effect `json:"effect,omitempty"`

	// Policies of steps. The timeout of a call is for one attempt, of a container from opening to closing.
	Timeout time.Duration `json:"timeout,omitempty"`
	Budget  []Amount      `json:"budget,omitempty"`
	Else    []Fallback    `json:"else,omitempty"` // tried in order

	Call    *Call   `json:"call,omitempty"`
	Expr    *Expr   `json:"expr,omitempty"`
	Message *Text   `json:"message,omitempty"`
	Group   *Group  `json:"group,omitempty"`
	Race    *Race   `json:"race,omitempty"`
	Map     *Map    `json:"map,omitempty"`
	Of      int     `json:"of,omitempty"`
	Reduce  *Reduce `json:"reduce,omitempty"`
	Choice  *Choice `json:"choice,omitempty"`
	Match   *Match  `json:"match,omitempty"`
	Loop    *Loop   `json:"loop,omitempty"`
	Flow    *Flow   `json:"flow,omitempty"`
}

// Why is the reason of an edge (spec/language.md, "Edges").
type Why string

// The reasons.
const (
	Reference Why = "reference"
	After     Why = "after"
	Gate      Why = "gate"
	Order     Why = "order"
	Sequence  Why = "sequence"
	Approval  Why = "approval" // a person is asked when what the answer decides about is known
)

// Decides reports whether what comes first may decide what the other does, or whether it does anything: not for edges that only give an order.
func (w Why) Decides() bool { return w == Reference || w == After || w == Gate }

// Need is an edge into a node. Depth 0 is its own block; a deeper one holds back only this node, not the containers around it.
type Need struct {
	Depth int `json:"depth,omitempty"`
	Slot  int `json:"slot"`
	Why   Why `json:"why"`
}

// Ref says where an expression finds a name. Depth counts blocks outward; Slot is as in the package comment.
// A name that is not in Refs is `run` (run.started, run.id).
type Ref struct {
	Name  string `json:"name"`
	Depth int    `json:"depth,omitempty"`
	Slot  int    `json:"slot"`
}

// Expr is an expression in the source form that lang/eval compiles: interpolating texts in it have become calls of text(…).
type Expr struct {
	Code string     `json:"code"`
	Path []string   `json:"path,omitempty"` // set when it is only a name or a path: read without compiling
	Refs []Ref      `json:"refs,omitempty"`
	At   source.Pos `json:"at"`

	Written string `json:"written,omitempty"` // by its author, when it calls templates: their texts are part of the code
}

// Words is the expression for a reader.
func (e *Expr) Words() string {
	if e.Written != "" {
		return e.Written
	}
	return e.Code
}

// Text is a text with values in it.
type Text struct {
	Parts []Part     `json:"parts"`
	At    source.Pos `json:"at"`
}

// Part is a literal, or the expression whose value stands here.
type Part struct {
	Literal string `json:"literal,omitempty"`
	Expr    *Expr  `json:"expr,omitempty"`
}

// Call is a call of a capability.
type Call struct {
	Callee int           `json:"callee"` // into Plan.Callees
	Agent  string        `json:"agent"`  // as the script calls it: a persona's own name
	Args   []Arg         `json:"args,omitempty"`
	Text   *Text         `json:"text,omitempty"`
	Words  []Text        `json:"words,omitempty"`  // instead of Text when the callee's text is argv: one element is one word
	System []Text        `json:"system,omitempty"` // personas, the base first; goes after the configured Signature.System
	As     *types.Type   `json:"as,omitempty"`
	Retry  int           `json:"retry,omitempty"` // further attempts
	Wait   time.Duration `json:"wait,omitempty"`
	Repair int           `json:"repair,omitempty"`
	Cache  time.Duration `json:"cache,omitempty"`
}

// Arg is an argument by name.
type Arg struct {
	Name  string `json:"name"`
	Value Expr   `json:"value"`
}

// Fallback is one `else` of a step: exactly one of Skip, Keep, Fail and Block ≥ 0 is meant, told by Kind.
// A fallback that is a call or a text is a block of one value line. Its path is the step's with /else, /else2 … behind it.
// Its block binds "error", and, for a loop, the loop's variable after it.
type Fallback struct {
	Kind    FallbackKind `json:"kind"`
	Message *Text        `json:"message,omitempty"` // of Fail; stands in a block of its own scope: depth 0 is the block of the step
	Block   int          `json:"block,omitempty"`
}

// FallbackKind tells what a fallback does.
type FallbackKind string

// The kinds of fallback. Keep is a loop's: its last value.
const (
	Skip      FallbackKind = "skip"
	Keep      FallbackKind = "keep"
	Fail      FallbackKind = "fail"
	BlockElse FallbackKind = "block"
)

// Group is parallel, sequence or try: the orders are in the edges. Limit 0 is none.
type Group struct {
	Kind  string `json:"kind"`
	Limit int    `json:"limit,omitempty"`
	Block int    `json:"block"`
}

// Race takes the first success; with N > 0 the first N, as a list in written order.
type Race struct {
	N     int `json:"n,omitempty"`
	Block int `json:"block"`
}

// Map runs Block for each item. Block binds the item and, if Index is set, the index after it.
type Map struct {
	Over     Expr      `json:"over"`
	Index    bool      `json:"index,omitempty"`
	Limit    int       `json:"limit"`
	Tolerate *Tolerate `json:"tolerate,omitempty"`
	Into     int       `json:"into"` // slot of the IntoNode in the same block; -1: none
	Block    int       `json:"block"`
}

// Tolerate is how many items may fail: All, Percent (rounded down) or Count.
type Tolerate struct {
	Count   int  `json:"count,omitempty"`
	Percent int  `json:"percent,omitempty"`
	All     bool `json:"all,omitempty"`
}

// Reduce merges groups of By, in order, level by level. Block binds the part.
type Reduce struct {
	Over  Expr `json:"over"`
	By    int  `json:"by"`
	Block int  `json:"block"`
}

// ReduceLimit is how many groups of a reduce run at a time.
const ReduceLimit = 8

// MapLimit is how many items of a map run at a time when the script does not say.
const MapLimit = 8

// Choice is an if: the first branch whose condition holds, else Else.
type Choice struct {
	Branches []Branch `json:"branches"`
	Else     int      `json:"else"` // block; -1: none, the value is nothing
}

// Branch is a condition and its block. The path segment of branch i is /then, then /elif2, /elif3 …; of Else /else.
type Branch struct {
	Cond  Expr `json:"cond"`
	Block int  `json:"block"`
}

// Match compares the subject with literals. The path segment of an arm is /"bug" (its first literal as JSON); of Else /else.
type Match struct {
	Subject Expr  `json:"subject"`
	Arms    []Arm `json:"arms"`
	Else    int   `json:"else"` // block; -1: none can be needed
}

// Arm holds the literals of an arm and its block.
type Arm struct {
	Values []any `json:"values"` // string, int, float64 or bool
	Block  int   `json:"block"`
}

// Loop repeats Block with its value as the next value of the variable, which is Block's first bind.
type Loop struct {
	From  Expr `json:"from"`
	Max   int  `json:"max"`
	Block int  `json:"block"`
	// JudgeOnly is set when no `else` uses the variable: in the last round nothing below the last `stop if` starts.
	JudgeOnly bool `json:"judgeOnly,omitempty"`
}

// Flow is a used flow. Its Block binds its inputs, in order; Args holds an expression for each, nil for one left to its Default.
type Flow struct {
	Name      string   `json:"name"`
	Inputs    []Input  `json:"inputs,omitempty"`
	Args      []*Expr  `json:"args,omitempty"`
	Text      *Text    `json:"text,omitempty"` // fills the input at TextInput
	TextInput int      `json:"textInput,omitempty"`
	Budget    []Amount `json:"budget,omitempty"` // the flow's own
	Block     int      `json:"block"`
}

// Test is a `test` block of a script. Tests are no part of the plan and of its hash.
type Test struct {
	Name  string
	At    source.Pos
	Lines []TestLine
}

// TestLine is one line of a test.
type TestLine struct {
	Kind    string // "given", "mock", "fail", "expect", "expect fail"
	At      source.Pos
	Name    string // of given: the input; of mock and fail: the callee as written
	Exprs   []Expr // given: one; mock: the answers, the last repeated; expect: one, over `output` and the inputs
	Message string // of fail and expect fail
}
