package lang_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
)

const megabyte = 1_000_000

// script is a generated script of about size bytes: steps with prompts, arguments, policies and a block in every tenth.
func script(size int) string {
	var b strings.Builder
	b.WriteString("input topic: string\nagent writer = claude \"You write plainly.\"\nagent composer = claude \"Melodies.\"\nagent drummer = claude \"Beats.\"\n\nstep0 = writer \"Begin with <<topic>>\"\n")
	for i := 1; b.Len() < size; i++ {
		switch i % 10 {
		case 3:
			fmt.Fprintf(&b, "let n%d = len(step%d) + %d * 2\nstep%d = writer \"Number <<n%d>> of <<topic>>.\"\n", i, i-1, i, i, i)
		case 7:
			fmt.Fprintf(&b, "step%d = parallel {\n  a = composer(temperature: 0.%d) \"A melody for <<step%d>>\"\n  b = drummer \"A beat for <<topic>>\" timeout 30s\n  output \"<<a>> and <<b>>\"\n}\n", i, i%9+1, i-1)
		default:
			fmt.Fprintf(&b, "step%d = writer(max_tokens: %d) \"Write part %d about <<topic>>, after\\n<<step%d>>\" retry 2 wait 5s timeout 30s\n", i, 100+i, i, i-1)
		}
	}
	return b.String()
}

// config is the same as script in the syntax of HCL.
func config(size int) string {
	var b strings.Builder
	b.WriteString("input \"topic\" {\n  type = string\n}\n\nstep \"step0\" {\n  agent  = writer\n  prompt = \"Begin with ${topic}\"\n}\n")
	for i := 1; b.Len() < size; i++ {
		switch i % 10 {
		case 3:
			fmt.Fprintf(&b, "n%d = len(step%d) + %d * 2\nstep \"step%d\" {\n  agent  = writer\n  prompt = \"Number ${n%d} of ${topic}.\"\n}\n", i, i-1, i, i, i)
		case 7:
			fmt.Fprintf(&b, "parallel \"step%d\" {\n  step \"a\" {\n    agent = composer\n    temperature = 0.%d\n    prompt = \"A melody for ${step%d}\"\n  }\n  step \"b\" {\n    agent = drummer\n    prompt = \"A beat for ${topic}\"\n    timeout = \"30s\"\n  }\n  output = \"${a} and ${b}\"\n}\n", i, i%9+1, i-1)
		default:
			fmt.Fprintf(&b, "step \"step%d\" {\n  agent = writer\n  max_tokens = %d\n  prompt = \"Write part %d about ${topic}, after\\n${step%d}\"\n  retry = 2\n  wait = \"5s\"\n  timeout = \"30s\"\n}\n", i, 100+i, i, i-1)
		}
	}
	return b.String()
}

// BenchmarkCheck1MB reads and checks a script of 1 MB. Its yardstick is BenchmarkHCL1MB, which only reads; the gate is half its speed.
func BenchmarkCheck1MB(b *testing.B) { benchmarkCheck(b, megabyte) }

// BenchmarkCheck5KB is the size of script that people write; it takes less than 3 ms.
func BenchmarkCheck5KB(b *testing.B) { benchmarkCheck(b, 5000) }

func benchmarkCheck(b *testing.B, size int) {
	text := script(size)
	scope := langtest.Scope()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, diags := lang.Check(source.NewFile("bench.slop", text), scope); diags.HasErrors() {
			b.Fatal(drawn(diags[:1]))
		}
	}
}

// BenchmarkHCL1MB reads a file of 1 MB with the same content.
func BenchmarkHCL1MB(b *testing.B) {
	text := []byte(config(megabyte))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, diags := hclsyntax.ParseConfig(text, "bench.hcl", hcl.InitialPos); diags.HasErrors() {
			b.Fatal(diags.Error())
		}
	}
}

// BenchmarkCompile1MB goes all the way to the plan.
func BenchmarkCompile1MB(b *testing.B) {
	text := script(megabyte)
	scope := langtest.Scope()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if p, diags := lang.Compile(source.NewFile("bench.slop", text), scope); p == nil {
			b.Fatal(drawn(diags[:1]))
		}
	}
}
