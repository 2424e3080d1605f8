package check_test

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

// readAndCheck is what `slop check` does to a file once it has it.
func readAndCheck(text string, scope types.Scope) diag.List {
	file, said := syntax.Parse(source.NewFile("generated.slop", text))
	_, found := check.File(file, scope)
	return append(said, found...)
}

func TestGeneratedIsClean(t *testing.T) {
	if list := readAndCheck(langtest.Generate(50_000), langtest.Scope()); len(list) > 0 {
		t.Errorf("%d messages; first: %s: %s", len(list), list[0].Code, list[0].Message)
	}
}

// Reading and checking a megabyte, beside HCL reading (only reading) a file of the same size and content.
func BenchmarkCheck1MB(b *testing.B) { benchmarkCheck(b, 1<<20) }

func BenchmarkCheck5KB(b *testing.B) { benchmarkCheck(b, 5_000) }

func benchmarkCheck(b *testing.B, size int) {
	text, scope := langtest.Generate(size), langtest.Scope()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if list := readAndCheck(text, scope); len(list) > 0 {
			b.Fatal(list[0].Message)
		}
	}
}

func BenchmarkHCL1MB(b *testing.B) {
	text := []byte(langtest.GenerateHCL(1 << 20))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, diags := hclsyntax.ParseConfig(text, "generated.hcl", hcl.InitialPos); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}
