package langtest

import (
	"fmt"
	"strings"
)

// GenerateHCL is what Generate says, as HCL says it: the same prompts, expressions and policies. What reads a script is measured beside what reads this.
func GenerateHCL(sizeBytes int) string {
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
