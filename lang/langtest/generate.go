package langtest

import (
	"fmt"
	"strings"
)

// Generate returns a script of about so many bytes, made of the constructs that real ones are made of. It reads and checks without a word against Scope,
// and is the same for the same size.
func Generate(sizeBytes int) string {
	var b strings.Builder
	b.Grow(sizeBytes + 2000)
	b.WriteString(`// Generated: articles, one after the other.
type Review { score: int "1 is dull, 10 is unforgettable", notes: string }
input season: string = "autumn"

`)
	var finals []string
	for i := 0; b.Len() < sizeBytes || i == 0; i++ {
		b.WriteString(strings.ReplaceAll(unit, "@", fmt.Sprint(i)))
		finals = append(finals, fmt.Sprintf("final_%d", i))
	}
	b.WriteString("output [\n  " + strings.Join(finals, ",\n  ") + "\n]\n")
	return b.String()
}

// unit is one article; @ is its number.
const unit = `// Article @
let topic_@ = "rain over the city in " + season + ", part " + string(@)
facts_@ = researcher "Find five surprising facts about <<topic_@>>, and say where each of them comes from."
  retry 2 wait 2s
  timeout 90s
draft_@ = writer """
  Write 300 words about <<topic_@>> from these facts:
  <<facts_@>>
  Keep it plain, and begin with the weather: <<upper(season)>>
  """ retry 1
band_@ = parallel {
  melody = composer "A short melody, mood: <<topic_@>>"
  words = lyricist "Four lines about this, for a slow melody:\n<<draft_@>>"
}
notes_@ = map item in [draft_@, facts_@] limit 4 {
  reader "Summarise this in five bullets:\n<<item>>" retry 2
}
review_@ = critic "Score this and say what to fix:\n<<draft_@>>\nThe song:\n<<band_@.words>>" as Review
final_@ = if review_@.score >= 8 and len(review_@.notes) > 0 {
  editor "Tighten this. Keep the voice:\n<<draft_@>>"
} else {
  writer "Rewrite this using these notes: <<review_@.notes>>\n<<draft_@>>\n<<join(notes_@, "\n")>>\nMelody: <<band_@.melody>>"
    else elder timeout 30s
}

`
