package syntax_test

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

func TestGenerated(t *testing.T) {
	if _, list := syntax.Parse(source.NewFile("generated.slop", langtest.Generate(50_000))); len(list) > 0 {
		t.Errorf("%d messages; first: %s", len(list), list[0].Message)
	}
	if _, list := hclsyntax.ParseConfig([]byte(langtest.GenerateHCL(50_000)), "generated.hcl", hcl.InitialPos); list.HasErrors() {
		t.Error(list)
	}
}

func benchmarkParse(b *testing.B, size int) {
	text := langtest.Generate(size)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, list := syntax.Parse(source.NewFile("generated.slop", text)); len(list) > 0 {
			b.Fatal(list[0].Message)
		}
	}
}

func BenchmarkParse5KB(b *testing.B) { benchmarkParse(b, 5_000) }
func BenchmarkParse1MB(b *testing.B) { benchmarkParse(b, 1<<20) }

func BenchmarkHCL1MB(b *testing.B) {
	text := []byte(langtest.GenerateHCL(1 << 20))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, list := hclsyntax.ParseConfig(text, "generated.hcl", hcl.InitialPos); list.HasErrors() {
			b.Fatal(list)
		}
	}
}
