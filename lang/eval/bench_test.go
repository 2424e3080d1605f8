package eval

import (
	"testing"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

const smallCode = `review.kind == "bug" and review.score > 2`

var smallEnv = map[string]any{"review": map[string]any{"kind": "bug", "score": 7}}

// The two Small benchmarks stand beside each other: ours counts and checks, expr's does neither.
func BenchmarkEvalSmall(b *testing.B) {
	p, err := Compile(smallCode)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if v, err := p.Eval(smallEnv); err != nil || v != true {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkExprSmall(b *testing.B) {
	p, err := expr.Compile(smallCode, expr.Env(map[string]any{"review": map[string]any{}}))
	if err != nil {
		b.Fatal(err)
	}
	var machine vm.VM
	b.ReportAllocs()
	for b.Loop() {
		if v, err := machine.Run(p, smallEnv); err != nil || v != true {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkEvalFilter100(b *testing.B) { benchmarkFilter(b, compileOurs) }
func BenchmarkExprFilter100(b *testing.B) { benchmarkFilter(b, compileTheirs) }

func compileOurs(b *testing.B, code string) func(map[string]any) (any, error) {
	p, err := Compile(code)
	if err != nil {
		b.Fatal(err)
	}
	return p.Eval
}

func compileTheirs(b *testing.B, code string) func(map[string]any) (any, error) {
	p, err := expr.Compile(code)
	if err != nil {
		b.Fatal(err)
	}
	machine := vm.VM{MemoryBudget: 1 << 30}
	return func(env map[string]any) (any, error) { return machine.Run(p, env) }
}

func benchmarkFilter(b *testing.B, compile func(*testing.B, string) func(map[string]any) (any, error)) {
	items := make([]any, 100)
	for i := range items {
		items[i] = map[string]any{"score": i}
	}
	run := compile(b, `filter(xs, .score > 50)`)
	env := map[string]any{"xs": items}
	b.ReportAllocs()
	for b.Loop() {
		if v, err := run(env); err != nil || len(v.([]any)) != 49 {
			b.Fatal(v, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Parse(smallCode)
	}
}

func BenchmarkType(b *testing.B) {
	tree, _ := Parse(`review.kind == "bug" and review.score > 2`)
	b.ReportAllocs()
	for b.Loop() {
		tree.Type(lookup)
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Compile(smallCode)
	}
}
