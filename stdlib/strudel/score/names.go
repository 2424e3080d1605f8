package score

import "strings"

// drums are the documented names of a kit, and the names people write for the same.
var drums = map[string]string{
	"bd": "bass drum", "kick": "bass drum", "sbd": "bass drum", "sd": "snare", "snare": "snare", "sn": "snare", "rim": "rimshot", "rs": "rimshot", "cp": "clap", "clap": "clap",
	"hh": "closed hi-hat", "hc": "closed hi-hat", "ch": "closed hi-hat", "hat": "closed hi-hat", "oh": "open hi-hat", "ho": "open hi-hat",
	"cr": "crash", "cy": "crash", "crash": "crash", "rd": "ride", "ride": "ride", "ht": "high tom", "mt": "middle tom", "lt": "low tom",
	"cb": "cowbell", "cl": "claves", "sh": "shaker", "tb": "tambourine", "perc": "percussion", "misc": "percussion", "fx": "effect",
}

// percussion are sounds of orchestras and streets that stand near one of the kit, by the first word of their names.
var percussion = map[string]string{
	"bassdrum": "bass drum", "snare": "snare", "hihat": "closed hi-hat", "tom": "middle tom", "clap": "clap", "slapstick": "clap", "clash": "crash", "sus": "crash",
	"shaker": "shaker", "cabasa": "shaker", "guiro": "shaker", "ratchet": "shaker", "vibraslap": "shaker", "tambourine": "tambourine", "sleighbells": "tambourine",
	"cowbell": "cowbell", "agogo": "cowbell", "clave": "claves", "woodblock": "claves", "conga": "percussion", "bongo": "percussion", "cajon": "percussion",
	"framedrum": "low tom", "darbuka": "percussion", "brakedrum": "cowbell",
}

// Drum tells whether a sound is one of a drum kit.
func Drum(sound string) bool { return Called(sound) != "" }

// Called is what a sound of the kit is called; "" when it is none.
func Called(sound string) string {
	if called, ok := drums[sound]; ok {
		return called
	}
	word, _, _ := strings.Cut(strings.TrimPrefix(sound, "gm_"), "_")
	return percussion[strings.TrimRight(word, "0123456789")]
}
