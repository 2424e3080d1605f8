package syntax

import (
	"time"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/slopstudios/slop/lang/source"
)

// The tree of a file. Every node has the span of its source, so that a message can point at it and the formatter can find its comments.
//
// The tags are the grammar, as participle reads it: one production per line of a script (grammar.go). Types without tags read themselves (leaf.go, expr.go).

// File is a parsed script.
type File struct {
	Source   *source.File
	Items    []Item    // in source order
	Comments []Comment // in source order; the formatter places them by span
	Broken   []Name    // what lines that could not be read would have declared: who uses these names is not to blame
}

// Item is anything that stands at the top of a file: a declaration or a Stmt.
type Item interface{ Span() source.Span }

// Node carries the span of a tree node.
type Node struct{ At source.Span }

// Span is the source range of the node.
func (n Node) Span() source.Span { return n.At }

// Comment is a `//` comment without its line end.
type Comment struct {
	Node
	Text string // from the slashes on
}

// Name is a name where it stands.
type Name struct {
	Node
	Text string
}

// Use is `use "path" as name` or `use template "name@3" as name`.
type Use struct {
	Node
	Template bool  `parser:"'use' @'template'?"`
	Path     *Text `parser:"@@"`
	As       Name  `parser:"'as' @@"`
}

// Input is `input name: type = default must expr "question"`.
type Input struct {
	Node
	Name    Name  `parser:"'input' @@"`
	Type    Type  `parser:"':' @@"`
	Default *Expr `parser:"( '=' @@ )?"`
	Must    *Expr `parser:"( 'must' @@ )?"`
	Doc     *Text `parser:"@@?"`
}

// Secret is `secret name`.
type Secret struct {
	Node
	Name Name `parser:"'secret' @@"`
}

// Budget is the file's `budget $2`, `budget 10m`, `budget 5000 tokens` or `budget 20 calls`.
type Budget struct {
	Node
	Amount Amount `parser:"'budget' @@"`
}

// Amount is what a budget allows; exactly one field is set.
type Amount struct {
	Node
	Money    int64 // millionths of a dollar
	Tokens   int
	Calls    int
	Duration time.Duration
}

// TypeDef is `type Name { field … must … }`.
type TypeDef struct {
	Node
	Name   Name    `parser:"'type' @@ '{'"`
	Fields []Field `parser:"( ( @@"`
	Musts  []Must  `parser:"| @@ ) ( ',' | EOL )? )* '}'"`
}

// Field is `name: type "doc"`.
type Field struct {
	Node
	Name Name
	Type Type
	Doc  *Text
}

// Must is `must expr else "message"`.
type Must struct {
	Node
	Cond *Expr
	Else *Text
}

// Type is a type as written: exactly one of Name, List, Fields and Enum is set.
type Type struct {
	Node
	Name     *Name
	List     *Type
	Fields   []Field
	Enum     []*Text
	Optional bool
}

// Agent is `agent name = base(args) "system text" clauses`.
type Agent struct {
	Node
	Name Name  `parser:"'agent' @@"`
	Base *Call `parser:"'=' @@"`
}

// Test is a `test "name" { … }` block.
type Test struct {
	Node
	Name  *Text      `parser:"'test' @@ '{'"`
	Lines []TestLine `parser:"@@? ( EOL @@ )* '}'"`
}

// TestLine is one line of a test: *Given, *Mock, *FailMock or *Expect.
type TestLine interface{ Span() source.Span }

// Given is `given input = expr`.
type Given struct {
	Node
	Name  Name  `parser:"'given' @@"`
	Value *Expr `parser:"'=' @@"`
}

// Mock is `mock callee -> expr, expr`: the answers in order, the last one repeated.
type Mock struct {
	Node
	Callee  Callee  `parser:"'mock' @@"`
	Answers []*Expr `parser:"'->' @@ ( ',' @@ )*"`
}

// FailMock is `fail callee "message"`.
type FailMock struct {
	Node
	Callee  Callee `parser:"'fail' @@"`
	Message *Text  `parser:"@@"`
}

// Expect is `expect expr` or `expect fail "part of the message"`.
type Expect struct {
	Node
	Fail *Text `parser:"'expect' ( 'fail' @@"`
	Cond *Expr `parser:"| @@ )"`
}

// Stmt is a line of a block: *StepStmt, *Let, *Require, *StopIf or *Output.
type Stmt interface {
	Item
	stmt()
}

// StepStmt is `name = step`, or a nameless step.
type StepStmt struct {
	Node
	Name *Name `parser:"( @@ '=' )?"`
	Step Step  `parser:"@@"`
}

// Let is `let name = expr`.
type Let struct {
	Node
	Name  Name  `parser:"'let' @@"`
	Value *Expr `parser:"'=' @@"`
}

// Require is `require expr else "message"`.
type Require struct {
	Node
	Cond *Expr `parser:"'require' @@"`
	Else *Text `parser:"'else' @@"`
}

// StopIf is `stop if expr`.
type StopIf struct {
	Node
	Cond *Expr `parser:"'stop' 'if' @@"`
}

// Output is `output value`.
type Output struct {
	Node
	Value Value `parser:"'output' @@"`
}

func (*StepStmt) stmt() {}
func (*Let) stmt()      {}
func (*Require) stmt()  {}
func (*StopIf) stmt()   {}
func (*Output) stmt()   {}

// Value is a step or an expression; exactly one is set.
type Value struct {
	Step Step
	Expr *Expr
}

// Step is one of *Call, *Group, *Race, *Map, *Reduce, *If, *Match, *Loop.
type Step interface {
	Span() source.Span
	step()
}

// Callee is `agent` or `agent.capability`.
type Callee struct {
	Node
	Agent      Name
	Capability *Name
}

// String is the callee as written: "http.get".
func (c Callee) String() string {
	if c.Capability == nil {
		return c.Agent.Text
	}
	return c.Agent.Text + "." + c.Capability.Text
}

// Call is `callee(args) "text" clauses`.
type Call struct {
	Node
	Callee  Callee
	Parens  bool // `parser:"()"` was written
	Args    []Arg
	Text    *Text
	Clauses []Clause
}

// Arg is `name: expr`.
type Arg struct {
	Node
	Name  Name
	Value *Expr
}

// ClauseKind names a clause by its word.
type ClauseKind string

// The clauses.
const (
	AsClause      ClauseKind = "as"
	AfterClause   ClauseKind = "after"
	RetryClause   ClauseKind = "retry"
	RepairClause  ClauseKind = "repair"
	TimeoutClause ClauseKind = "timeout"
	CacheClause   ClauseKind = "cache"
	BudgetClause  ClauseKind = "budget"
	ElseClause    ClauseKind = "else"
)

// Clause is one policy of a step; which fields are set follows from Kind.
type Clause struct {
	Node
	Kind     ClauseKind
	Type     *Type         // as
	After    []Name        // after
	Count    int           // retry, repair
	Wait     time.Duration // retry … wait; 0 when not written
	Duration time.Duration // timeout, cache
	Amount   Amount        // budget
	Fallback *Fallback     // else
}

// Fallback is what stands after a clause's `else`: exactly one field is set.
type Fallback struct {
	Node
	Skip  bool
	Keep  bool
	Fail  *Text // else fail "message"
	Text  *Text // a plain text is a value
	Block *Block
	Call  *Call
}

// GroupKind tells the three plain blocks apart.
type GroupKind string

// One block with three orders: mentions only; written order; the usual order.
const (
	Parallel GroupKind = "parallel"
	Sequence GroupKind = "sequence"
	Try      GroupKind = "try"
)

// Group is `parallel limit N { … }`, `sequence { … }` or `try { … }`.
type Group struct {
	Node
	Kind    GroupKind `parser:"@( 'parallel' | 'sequence' | 'try' )"`
	Limit   int       `parser:"( 'limit' @Int )?"` // 0: none written
	Body    *Block    `parser:"@@"`
	Clauses []Clause  `parser:"@@*"`
}

// Race is `race N { … }`; N is 0 when none is written.
type Race struct {
	Node
	N       int      `parser:"'race' @Int?"`
	Body    *Block   `parser:"@@"`
	Clauses []Clause `parser:"@@*"`
}

// Map is `map item, index in expr limit N tolerate T into name { … }`.
type Map struct {
	Node
	Item     Name      `parser:"'map' @@"`
	Index    *Name     `parser:"( ',' @@ )?"`
	Over     *Expr     `parser:"'in' @@"`
	Limit    int       `parser:"( 'limit' @Int )?"` // 0: none written
	Tolerate *Tolerate `parser:"( 'tolerate' @@ )?"`
	Into     *Name     `parser:"( 'into' @@ )?"`
	Body     *Block    `parser:"@@"`
	Clauses  []Clause  `parser:"@@*"`
}

// Tolerate is how many items may fail; one of the fields is set, or All.
type Tolerate struct {
	Node
	Count   int
	Percent int // -1 when not a percentage
	All     bool
}

// Reduce is `reduce part in expr by N { … }`.
type Reduce struct {
	Node
	Part    Name     `parser:"'reduce' @@"`
	Over    *Expr    `parser:"'in' @@"`
	By      int      `parser:"'by' @Int"`
	Body    *Block   `parser:"@@"`
	Clauses []Clause `parser:"@@*"`
}

// Loop is `loop v from expr max N { … }`.
type Loop struct {
	Node
	Var     Name     `parser:"'loop' @@"`
	From    *Expr    `parser:"'from' @@"`
	Max     int      `parser:"'max' @Int"`
	Body    *Block   `parser:"@@"`
	Clauses []Clause `parser:"@@*"`
}

// If is `if cond { … } else if cond { … } else { … }`.
type If struct {
	Node
	Branches []Branch `parser:"'if' @@ ( 'else' 'if' @@ )*"`
	Else     *Block   `parser:"( 'else' @@ )?"`
	Clauses  []Clause `parser:"@@*"`
}

// Branch is a condition and its block.
type Branch struct {
	Node
	Cond *Expr  `parser:"@@"`
	Body *Block `parser:"@@"`
}

// Match is `match expr { arms }`.
type Match struct {
	Node
	Subject *Expr    `parser:"'match' @@"`
	Arms    []Arm    `parser:"'{' @@? ( EOL @@ )* '}'"`
	Clauses []Clause `parser:"@@*"`
}

// Arm is `literal, literal -> value` or `else -> value`.
type Arm struct {
	Node
	Literals []*Expr // each a text, number, true or false; nil for else
	Else     bool
	Block    *Block // or
	Value    *Value
}

func (*Call) step()   {}
func (*Group) step()  {}
func (*Race) step()   {}
func (*Map) step()    {}
func (*Reduce) step() {}
func (*If) step()     {}
func (*Match) step()  {}
func (*Loop) step()   {}

// Block is what stands in braces.
type Block struct {
	Node
	Stmts []Stmt
	Lost  bool // a line of it could not be read

	from lexer.Checkpoint // behind the brace: the lines are read when the line around them stands
}

// Quote tells the four kinds of text apart.
type Quote string

// Double quotes talk, single quotes don't listen.
const (
	Double       Quote = `"`
	TripleDouble Quote = `"""`
	Single       Quote = `'`
	TripleSingle Quote = `'''`
)

// Text is a quoted text. Parts are ready for use: escapes are resolved, the common indent of a triple-quoted text is stripped, `\<<` is `<<`.
type Text struct {
	Node
	Quote Quote
	Parts []Part
}

// Part is a piece of a text: Literal, or Expr when it is set.
type Part struct {
	Node    // of an interpolation: with its << and >>
	Literal string
	Expr    *Expr
}

// Plain returns the text when it has no interpolation.
func (t *Text) Plain() (string, bool) {
	s := ""
	for _, p := range t.Parts {
		if p.Expr != nil {
			return "", false
		}
		s += p.Literal
	}
	return s, true
}

// Expr is expr-lang source. Code has the same number of runes as the source of the span: each quoted text in it (SLOP's quotes are not expr's) is
// replaced by a placeholder identifier (Placeholder of its index in Texts) padded with blanks, each comment and newline by blanks. So a rune offset in Code is one in the file.
type Expr struct {
	Node
	Code  string
	Texts []*Text
	Path  []string // set when the expression is only a name, or names joined by dots: it needs no compile
}
