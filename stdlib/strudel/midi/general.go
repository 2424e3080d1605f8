package midi

import "strings"

// percussion is where General MIDI has the sounds of a kit.
var percussion = map[string]byte{
	"bass drum": 36, "rimshot": 37, "snare": 38, "clap": 39, "closed hi-hat": 42, "open hi-hat": 46, "low tom": 45, "middle tom": 47, "high tom": 50,
	"crash": 49, "ride": 51, "tambourine": 54, "cowbell": 56, "effect": 55, "shaker": 70, "claves": 75, "percussion": 63,
}

// programs are the 128 instruments of General MIDI, by the words of their names.
var programs = strings.FieldsFunc(`acoustic grand piano steinway|bright acoustic piano|electric grand piano|honky tonk piano|electric piano epiano rhodes|electric piano fmpiano dx
harpsichord|clavinet clavisynth|celesta|glockenspiel|music box|vibraphone|marimba|xylophone|tubular bells tubularbells|dulcimer
drawbar organ|percussive organ|rock organ|church pipe organ|reed organ|accordion|harmonica|bandoneon tango
acoustic guitar nylon|acoustic guitar steel|electric guitar jazz|electric guitar clean|electric guitar muted|overdriven guitar|distortion guitar|guitar harmonics
acoustic bass|electric bass finger|electric bass pick|fretless bass|slap bass|slap bass|synth bass|synth bass
violin|viola|cello|contrabass|tremolo strings|pizzicato strings|orchestral harp|timpani
string ensemble|string ensemble|synth strings|synth strings|choir aahs|voice oohs|synth choir|orchestra hit
trumpet|trombone|tuba|muted trumpet|french horn|brass section|synth brass|synth brass
soprano sax|alto sax|tenor sax|baritone sax|oboe|english horn|bassoon|clarinet
piccolo|flute|recorder|pan flute|blown bottle|shakuhachi|whistle|ocarina sine
lead square pulse triangle|lead sawtooth saw supersaw|lead calliope|lead chiff|lead charang|lead voice|lead fifths|lead bass
pad new age|pad warm|pad poly|pad choir|pad bowed|pad metallic|pad halo|pad sweep
fx rain|fx soundtrack|fx crystal|fx atmosphere|fx brightness|fx goblins|fx echoes|fx sci fi
sitar|banjo|shamisen|koto|kalimba|bagpipe|fiddle|shanai
tinkle bell|agogo|steel drums|woodblock|taiko drum|melodic tom|synth drum|reverse cymbal
guitar fret noise|breath noise white pink brown|seashore|bird tweet|telephone|helicopter|applause|gun shot`, func(r rune) bool { return r == '|' || r == '\n' })

// program is the instrument whose name shares most words with that of a sound.
func program(sound string) byte {
	words := strings.FieldsFunc(strings.ToLower(sound), func(r rune) bool { return r == '_' || r == '-' || r >= '0' && r <= '9' })
	best, most := byte(0), 0
	for i, p := range programs {
		shared := 0
		for of := range strings.FieldsSeq(p) {
			for _, w := range words {
				if w == of {
					shared++
				}
			}
		}
		if shared > most {
			best, most = byte(i), shared
		}
	}
	return best
}
