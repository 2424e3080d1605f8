// Package lang is the language: text in, a plan or diagnostics out. It knows nothing of what runs a plan.
package lang

import (
	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/lower"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// Compile reads, checks and lowers a script. The agents it may call arrive as data in scope. The list has everything that is to be said about it, in
// order of position; the plan is nil when that includes an error.
func Compile(src *source.File, scope types.Scope) (*plan.Plan, diag.List) {
	p, _, diags := CompileTests(src, scope)
	return p, diags
}

// CompileTests is Compile that also returns the script's `test` blocks, which are no part of its plan.
func CompileTests(src *source.File, scope types.Scope) (*plan.Plan, []plan.Test, diag.List) {
	info, diags := Check(src, scope)
	if diags.HasErrors() {
		return nil, nil, diags
	}
	p := lower.Plan(info)
	diags = append(diags, check.Afford(info, plan.Worst(p))...)
	diags.Sort()
	return p, lower.Tests(info), diags
}

// Check reads and checks a script without building its plan. What check found out is complete only when the list has no errors.
func Check(src *source.File, scope types.Scope) (*check.Info, diag.List) {
	file, diags := syntax.Parse(src)
	info, found := check.File(file, scope)
	diags = append(diags, check.Unspoiled(diags, found)...)
	diags.Sort()
	return info, diags
}

// Template reads and checks a prompt template by itself. It may be filled when the list has no errors.
func Template(src *source.File) (*check.Template, diag.List) { return check.ReadTemplate(src) }
