package eval

import (
	"errors"
	"math"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Program is an expression ready to run. It keeps the machine and the counters of its last evaluation, so it belongs to one goroutine at a time.
type Program struct {
	code    string
	program *vm.Program
	machine vm.VM
	meter   *meter
	names   []string // each free name once
	builds  bool     // the value may be one that the expression made
}

// Compile makes a program of code, which may come from a plan: it takes what Parse takes and refuses the rest, as an error that is a *Failure.
func Compile(code string) (*Program, error) {
	t, problems := Parse(code)
	if len(problems) > 0 {
		p := problems[0]
		return nil, &Failure{Kind: ValueFailure, Message: p.Message, Start: p.Start, End: p.End}
	}
	return t.Compile()
}

// Compile makes a program of the tree.
func (t *Tree) Compile() (*Program, error) {
	r := rewriter{m: &meter{}, functions: conf.FunctionsTable{}}
	root := r.rewrite(t.root)
	if r.failure != nil {
		return nil, t.place(r.failure)
	}
	config := &conf.Config{ShortCircuit: true, Functions: r.functions}
	config.WithEnv(map[string]any{})
	made, err := compiler.Compile(&parser.Tree{Node: root, Source: file.NewSource(t.code)}, config)
	if err != nil {
		return nil, &Failure{Kind: ValueFailure, Message: "this expression cannot be compiled"}
	}
	p := &Program{code: t.code, program: made, meter: r.m, builds: r.builds}
	p.machine.MemoryBudget = math.MaxInt // the meter counts instead
	seen := map[string]bool{}
	for _, n := range t.Names() {
		if !seen[n.Text] {
			seen[n.Text] = true
			p.names = append(p.names, n.Text)
		}
	}
	return p, nil
}

// Names lists each free name once, in the order of their first appearance: what Eval wants in env.
func (p *Program) Names() []string { return p.names }

// Eval computes the value. env holds a value for each name; more do no harm, and it is only read. The error is a *Failure. The value shares what it
// can with env, so neither may be changed afterwards.
func (p *Program) Eval(env map[string]any) (any, error) {
	for _, name := range p.names {
		if _, ok := env[name]; !ok {
			return nil, p.place(&Failure{Kind: MissingFailure, Message: "there is no value named `" + name + "`"}, name)
		}
	}
	*p.meter = meter{}
	v, err := p.machine.Run(p.program, env)
	if err != nil {
		return nil, p.failure(err)
	}
	if !p.builds {
		return v, nil
	}
	switch made := v.(type) {
	case []any, map[string]any:
		if f := p.tooLarge(made); f != nil {
			return nil, f
		}
	case string:
		if len(made) > MaxValue {
			return nil, p.tooLarge(made)
		}
	}
	return v, nil
}

func (p *Program) tooLarge(v any) (failure error) {
	defer func() {
		if f, ok := recover().(*Failure); ok {
			failure = f
		}
	}()
	p.meter.whole(v)
	return nil
}

// failure says where in the author's code the machine stopped.
func (p *Program) failure(err error) *Failure {
	var at *file.Error
	found := &Failure{Kind: TypeFailure, Message: "this cannot be computed"}
	var ours *Failure
	if errors.As(err, &ours) {
		copied := *ours
		found = &copied
	}
	if !errors.As(err, &at) {
		return found
	}
	found.Start, found.End = at.From, at.To
	if t, problems := Parse(p.code); len(problems) == 0 {
		return t.place(found)
	}
	return found
}

// place finds the whole expression whose token f blames.
func (t *Tree) place(f *Failure) *Failure {
	found := false
	walk(t.root, func(n ast.Node) {
		at := n.Location()
		if _, body := n.(*ast.PredicateNode); found || body || at.From != f.Start || at.To != f.End {
			return
		}
		found = true
		f.Start, f.End = t.span(n)
	})
	return f
}

// place blames the first use of a name.
func (p *Program) place(f *Failure, name string) *Failure {
	t, _ := Parse(p.code)
	for _, n := range t.Names() {
		if n.Text == name {
			f.Start, f.End = n.Start, n.End
			break
		}
	}
	return f
}

// Cache compiles each distinct code once. It is a plain map: its owner sees to it that one goroutine uses it, and its programs, at a time.
type Cache map[string]*Program

// Compile is Compile, remembered. Failures are not: a plan that holds code that does not compile is broken.
func (c Cache) Compile(code string) (*Program, error) {
	if p, ok := c[code]; ok {
		return p, nil
	}
	p, err := Compile(code)
	if err == nil {
		c[code] = p
	}
	return p, err
}
