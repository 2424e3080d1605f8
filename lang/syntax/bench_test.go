package syntax_test

import (
	"fmt"
	"strings"
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
	if _, list := hclsyntax.ParseConfig([]byte(generateHCL(50_000)), "generated.hcl", hcl.InitialPos); list.HasErrors() {
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
	text := []byte(generateHCL(1 << 20))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, list := hclsyntax.ParseConfig(text, "generated.hcl", hcl.InitialPos); list.HasErrors() {
			b.Fatal(list)
		}
	}
}

// generateHCL is what langtest.Generate says, as HCL says it: the same prompts, expressions and policies.
func generateHCL(sizeBytes int) string {
	var b strings.Builder
	for i := 0; b.Len() < sizeBytes; i++ {
		b.WriteString(strings.ReplaceAll(unitHCL, "@", fmt.Sprint(i)))
	}
	return b.String()
}

const unitHCL = `// Article @
locals {
  topic_@ = "rain over the city in ${season}, part ${@}"
}
step "facts_@" {
  agent   = researcher
  prompt  = "Find five surprising facts about ${topic_@}, and say where each of them comes from."
  retry   = 2
  wait    = "2s"
  timeout = "90s"
}
step "draft_@" {
  agent  = writer
  prompt = <<-EOT
  Write 300 words about ${topic_@} from these facts:
  ${facts_@}
  Keep it plain, and begin with the weather: ${upper(season)}
  EOT
  retry  = 1
}
parallel "band_@" {
  step "melody" {
    agent  = composer
    prompt = "A short melody, mood: ${topic_@}"
  }
  step "words" {
    agent  = lyricist
    prompt = "Four lines about this, for a slow melody:\n${draft_@}"
  }
}
map "notes_@" {
  for_each = [draft_@, facts_@]
  limit    = 4
  step {
    agent  = reader
    prompt = "Summarise this in five bullets:\n${item}"
    retry  = 2
  }
}
step "review_@" {
  agent  = critic
  prompt = "Score this and say what to fix:\n${draft_@}\nThe song:\n${band_@.words}"
  as     = Review
}
if "final_@" {
  condition = review_@.score >= 8 && length(review_@.notes) > 0
  step {
    agent  = editor
    prompt = "Tighten this. Keep the voice:\n${draft_@}"
  }
  else {
    agent    = writer
    prompt   = "Rewrite this using these notes: ${review_@.notes}\n${draft_@}\n${join("\n", notes_@)}\nMelody: ${band_@.melody}"
    fallback = elder
    timeout  = "30s"
  }
}

`
