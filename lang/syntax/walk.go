package syntax

import "fmt"

// Walk calls visit for n and then, if it says so, for all that is in n, in source order. What it visits are pointers: *File, the items, lines and steps,
// *Block, *Branch, *Arm, *Call, *Callee, *Arg, *Clause, *Fallback, *Type, *Field, *Must, *Text, *Part and *Expr.
func Walk(n any, visit func(n any) bool) {
	w := walker{visit}
	w.node(n)
}

type walker struct{ visit func(any) bool }

func (w walker) node(n any) {
	if !w.visit(n) {
		return
	}
	switch n := n.(type) {
	case *File:
		for _, item := range n.Items {
			w.node(item)
		}
	case *Use:
		w.text(n.Path)
	case *Input:
		w.node(&n.Type)
		w.expr(n.Default)
		w.expr(n.Must)
		w.text(n.Doc)
	case *Secret, *Budget:
	case *TypeDef:
		fields, musts := n.Fields, n.Musts
		for len(fields)+len(musts) > 0 { // as they are written
			if len(musts) == 0 || len(fields) > 0 && fields[0].At.Start < musts[0].At.Start {
				w.node(&fields[0])
				fields = fields[1:]
			} else {
				w.node(&musts[0])
				musts = musts[1:]
			}
		}
	case *Field:
		w.node(&n.Type)
		w.text(n.Doc)
	case *Must:
		w.expr(n.Cond)
		w.text(n.Else)
	case *Type:
		if n.List != nil {
			w.node(n.List)
		}
		for i := range n.Fields {
			w.node(&n.Fields[i])
		}
		for _, t := range n.Enum {
			w.text(t)
		}
	case *Agent:
		w.node(n.Base)
	case *Test:
		w.text(n.Name)
		for _, l := range n.Lines {
			w.node(l)
		}
	case *Given:
		w.expr(n.Value)
	case *Mock:
		w.node(&n.Callee)
		for _, x := range n.Answers {
			w.expr(x)
		}
	case *FailMock:
		w.node(&n.Callee)
		w.text(n.Message)
	case *Expect:
		w.expr(n.Cond)
		w.text(n.Fail)

	case *StepStmt:
		w.node(n.Step)
	case *Let:
		w.expr(n.Value)
	case *Require:
		w.expr(n.Cond)
		w.text(n.Else)
	case *StopIf:
		w.expr(n.Cond)
	case *Output:
		w.value(&n.Value)
	case *Block:
		for _, s := range n.Stmts {
			w.node(s)
		}

	case *Call:
		w.node(&n.Callee)
		for i := range n.Args {
			w.node(&n.Args[i])
		}
		w.text(n.Text)
		w.clauses(n.Clauses)
	case *Callee:
	case *Arg:
		w.expr(n.Value)
	case *Clause:
		if n.Type != nil {
			w.node(n.Type)
		}
		if n.Fallback != nil {
			w.node(n.Fallback)
		}
	case *Fallback:
		w.text(n.Fail)
		w.text(n.Text)
		w.block(n.Block)
		if n.Call != nil {
			w.node(n.Call)
		}
	case *Group:
		w.block(n.Body)
		w.clauses(n.Clauses)
	case *Race:
		w.block(n.Body)
		w.clauses(n.Clauses)
	case *Map:
		w.expr(n.Over)
		w.block(n.Body)
		w.clauses(n.Clauses)
	case *Reduce:
		w.expr(n.Over)
		w.block(n.Body)
		w.clauses(n.Clauses)
	case *Loop:
		w.expr(n.From)
		w.block(n.Body)
		w.clauses(n.Clauses)
	case *If:
		for i := range n.Branches {
			w.node(&n.Branches[i])
		}
		w.block(n.Else)
		w.clauses(n.Clauses)
	case *Branch:
		w.expr(n.Cond)
		w.block(n.Body)
	case *Match:
		w.expr(n.Subject)
		for i := range n.Arms {
			w.node(&n.Arms[i])
		}
		w.clauses(n.Clauses)
	case *Arm:
		for _, x := range n.Literals {
			w.expr(x)
		}
		w.block(n.Block)
		if n.Value != nil {
			w.value(n.Value)
		}

	case *Text:
		for i := range n.Parts {
			w.node(&n.Parts[i])
		}
	case *Part:
		w.expr(n.Expr)
	case *Expr:
		for _, t := range n.Texts {
			w.text(t)
		}
	default:
		panic(fmt.Sprintf("syntax: cannot walk %T", n))
	}
}

func (w walker) text(t *Text) {
	if t != nil {
		w.node(t)
	}
}

func (w walker) expr(x *Expr) {
	if x != nil {
		w.node(x)
	}
}

func (w walker) block(b *Block) {
	if b != nil {
		w.node(b)
	}
}

func (w walker) value(v *Value) {
	if v.Step != nil {
		w.node(v.Step)
	}
	w.expr(v.Expr)
}

func (w walker) clauses(clauses []Clause) {
	for i := range clauses {
		w.node(&clauses[i])
	}
}
