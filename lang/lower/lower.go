// Package lower turns a checked script into its plan: everything it names is put in, so that the plan runs without the script, its flows and the registry.
//
// Lowering decides nothing that check has not decided. It resolves what is written once and meant in many places (personas, texts that fallbacks inherit,
// defaults), inlines used flows, and makes every expression self-contained. The same source text gives the same plan, byte for byte.
package lower

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// Defaults of the policies a script leaves out (spec/language.md 6).
const (
	RetryWait = time.Second // before the first retry
	Repairs   = 1           // when there is an `as`
)

// Plan builds the plan of a script that was checked without errors.
func Plan(info *check.Info) *plan.Plan {
	b := &builder{
		p:       &plan.Plan{Version: plan.Version, Name: info.Name, Budget: info.Budget},
		callees: map[string]int{}, sources: map[string]bool{}, secrets: map[string]bool{}, named: map[any]string{}, taken: map[string]bool{},
	}
	f := b.flow(info)
	b.p.Output = f.plain(info.Output)
	for _, name := range slices.Sorted(maps.Keys(info.Personas)) {
		b.claim(info.Personas[name], info.Personas[name].Signature, info) // those of the script itself keep their names
	}
	f.fromOutside()
	b.p.Inputs = f.inputs()
	f.block(info.Root, -1)
	approvals(b.p)
	return b.p
}

// builder is the plan under construction.
type builder struct {
	p       *plan.Plan
	callees map[string]int  // index in Plan.Callees by name
	sources map[string]bool // by hash and name
	secrets map[string]bool
	named   map[any]string  // agents that are values, by persona or name of the capability: what they are called at run time
	taken   map[string]bool // those names
}

// flow is one file on its way into the plan. A file used twice goes in twice.
type flow struct {
	*builder
	info *check.Info
	src  *source.File

	given  map[string][]candidate // by input: the agents that this use of the flow may be given
	hidden []*check.Decl          // inputs that bring what they say
}

func (b *builder) flow(info *check.Info) *flow {
	f := &flow{builder: b, info: info, src: info.File.Source, given: map[string][]candidate{}}
	b.source(f.src)
	for _, item := range info.File.Items {
		if u, ok := item.(*syntax.Use); ok && u.Template {
			b.source(info.Templates[u.As.Text].Source)
		}
	}
	for _, d := range info.Secrets {
		if !b.secrets[d.Name] {
			b.secrets[d.Name] = true
			b.p.Secrets = append(b.p.Secrets, d.Name)
		}
	}
	return f
}

// source keeps the text of a file in the plan.
func (b *builder) source(src *source.File) {
	sum := sha256.Sum256([]byte(src.Text))
	s := plan.Source{Name: src.Name, SHA256: hex.EncodeToString(sum[:]), Text: src.Text}
	if key := s.SHA256 + s.Name; !b.sources[key] {
		b.sources[key] = true
		b.p.Sources = append(b.p.Sources, s)
	}
}

// inputs are the binds of the file's block: the names a scope brings, then the `input` lines.
func (f *flow) inputs() []plan.Input {
	var ins []plan.Input
	for _, d := range f.info.Root.Binds {
		in := plan.Input{Name: d.Name, Type: f.plain(d.Type), Required: !d.Type.Optional}
		if s := d.Input; s != nil {
			if s.Default != nil && d.Absent == "" {
				in.Default, in.Required = constant(f, s.Default), false
			}
			if s.Must != nil {
				in.Musts = []types.Must{{Expr: f.code(s.Must)}}
			}
			if s.Doc != nil {
				in.Doc, _ = s.Doc.Plain()
			}
		}
		ins = append(ins, in)
	}
	for _, d := range f.hidden {
		ins = append(ins, plan.Input{Name: d.Name, Required: true})
	}
	return ins
}

// block lowers b and everything in it, and returns its index.
func (f *flow) block(b *check.Block, parent int) int {
	i := len(f.p.Blocks)
	f.p.Blocks = append(f.p.Blocks, plan.Block{Parent: parent, Value: b.Value, Nodes: make([]plan.Node, len(b.Nodes))})
	for _, d := range b.Binds {
		f.p.Blocks[i].Binds = append(f.p.Blocks[i].Binds, d.Name)
	}
	if b == f.info.Root {
		for _, d := range f.hidden {
			f.p.Blocks[i].Binds = append(f.p.Blocks[i].Binds, d.Name)
		}
	}
	for slot, n := range b.Nodes {
		l := lowering{flow: f, block: b, index: i}
		f.p.Blocks[i].Nodes[slot] = l.node(n)
	}
	return i
}

// constant is the value of an expression without names, as JSON.
func constant(f *flow, e *syntax.Expr) []byte {
	raw, err := plan.Literal(evaluate(f.code(e)))
	if err != nil {
		panic(fmt.Sprintf("lower: a default that check let pass: %v", err))
	}
	return raw
}

// evaluate computes an expression without names.
func evaluate(code string) any {
	program, err := eval.Compile(code)
	if err != nil {
		panic(fmt.Sprintf("lower: check let %q pass: %v", code, err))
	}
	v, err := program.Eval(nil)
	if err != nil {
		panic(fmt.Sprintf("lower: check let %q pass: %v", code, err))
	}
	return v
}
