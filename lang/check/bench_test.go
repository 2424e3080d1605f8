package check_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// twins writes one flow in two languages until the script has size bytes: calls, loops, conditions, blocks and calculations, each step mentioning the
// one before. Names and texts are the same, so that both parsers read the same content.
func twins(size int) (slop, twin string) {
	var s, h strings.Builder
	s.WriteString("input topic: string\ntype Review { score: int, notes: string }\n")
	h.WriteString("variable \"topic\" {\n  type = string\n}\ntype \"Review\" {\n  score = int\n  notes = string\n}\n")
	last, lastH := "topic", "var.topic"
	for i := 0; s.Len() < size; i++ {
		switch i % 5 {
		case 0:
			fmt.Fprintf(&s, "s%d = writer \"Write %d words about <<topic>> from these facts:\\n<<%s>>\" retry 2 timeout 90s\n", i, i, last)
			fmt.Fprintf(&h, "step \"s%d\" {\n  agent = writer\n  text = \"Write %d words about ${var.topic} from these facts:\\n${%s}\"\n  retry = 2\n  timeout = \"90s\"\n}\n", i, i, lastH)
		case 1:
			fmt.Fprintf(&s, "s%d = loop v%d from %s max 5 {\n  r%d = critic \"Score this:\\n<<v%d>>\" as Review\n  stop if r%d.score >= 8\n  writer \"Rewrite with <<r%d.notes>>\\n<<v%d>>\"\n} else keep\n", i, i, last, i, i, i, i, i)
			fmt.Fprintf(&h, "loop \"s%d\" {\n  from = %s\n  max = 5\n  step \"r%d\" {\n    agent = critic\n    text = \"Score this:\\n${v%d}\"\n    as = Review\n  }\n  stop_if = r%d.score >= 8\n  value {\n    agent = writer\n    text = \"Rewrite with ${r%d.notes}\\n${v%d}\"\n  }\n  else = keep\n}\n", i, lastH, i, i, i, i, i)
		case 2:
			fmt.Fprintf(&s, "let l%d = upper(%s) + \" and <<topic>>\"\nrequire len(l%d) > %d else \"too short\"\ns%d = editor(prompt: l%d)\n", i, last, i, i, i, i)
			fmt.Fprintf(&h, "l%d = join(upper(%s), \" and ${var.topic}\")\nrequire \"l%d\" {\n  condition = length(l%d) > %d\n  message = \"too short\"\n}\nstep \"s%d\" {\n  agent = editor\n  prompt = l%d\n}\n", i, lastH, i, i, i, i, i)
		case 3:
			fmt.Fprintf(&s, "s%d = if %s == \"x%d\" { claude \"Yes <<%s>>\" } else { claude \"No <<%s>>\" }\n", i, last, i, last, last)
			fmt.Fprintf(&h, "if \"s%d\" {\n  condition = %s == \"x%d\"\n  then {\n    agent = claude\n    text = \"Yes ${%s}\"\n  }\n  else {\n    agent = claude\n    text = \"No ${%s}\"\n  }\n}\n", i, lastH, i, lastH, lastH)
		case 4:
			fmt.Fprintf(&s, "p%d = parallel {\n  a = composer \"Tune <<%s>>\"\n  b = drummer \"Beat <<%s>>\"\n}\ns%d = producer \"\"\"\n  Weave <<p%d.a>>\n  and <<p%d.b>>\n  \"\"\"\n", i, last, last, i, i, i)
			fmt.Fprintf(&h, "parallel \"p%d\" {\n  step \"a\" {\n    agent = composer\n    text = \"Tune ${%s}\"\n  }\n  step \"b\" {\n    agent = drummer\n    text = \"Beat ${%s}\"\n  }\n}\nstep \"s%d\" {\n  agent = producer\n  text = <<-EOT\n  Weave ${p%d.a}\n  and ${p%d.b}\n  EOT\n}\n", i, lastH, lastH, i, i, i)
		}
		last = fmt.Sprintf("s%d", i)
		lastH = "step." + last
	}
	fmt.Fprintf(&s, "output %s\n", last)
	fmt.Fprintf(&h, "output = %s\n", lastH)
	return s.String(), h.String()
}

const megabyte = 1 << 20

// Reading and checking a megabyte, beside another configuration language's parser on the same content (which it only parses).
func BenchmarkCheck1MB(b *testing.B) {
	text, _ := twins(megabyte)
	benchmarkCheck(b, text)
}

func BenchmarkCheck5KB(b *testing.B) {
	text, _ := twins(5 << 10)
	benchmarkCheck(b, text)
}

func benchmarkCheck(b *testing.B, text string) {
	scope := langtest.Scope()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		file, said := syntax.Parse(source.NewFile("main.slop", text))
		_, found := check.File(file, scope)
		if list := append(said, found...); len(list) > 0 {
			b.Fatalf("%s: %s", list[0].Code, list[0].Message)
		}
	}
}

func BenchmarkHCL1MB(b *testing.B) {
	_, text := twins(megabyte)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, diags := hclsyntax.ParseConfig([]byte(text), "main.hcl", hcl.InitialPos); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}
