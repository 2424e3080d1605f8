package vocab

import (
	"maps"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
)

// Like gives the known name nearest to one that is not known, or "" when none is near.
func Like(name string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return k
		}
	}
	near, _ := diag.Nearest(name, known)
	return near
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// ScaleLike gives the scale that was probably meant, or "".
func ScaleLike(name string) string {
	plain := map[string]string{
		"min": "minor", "maj": "major", "natural minor": "minor", "pentatonic minor": "minor pentatonic", "pentatonic major": "major pentatonic",
		"minorpentatonic": "minor pentatonic", "majorpentatonic": "major pentatonic", "harmonicminor": "harmonic minor", "melodicminor": "melodic minor",
		"minorblues": "minor blues", "wholetone": "whole tone", "phrygiandominant": "phrygian dominant",
	}
	if meant, ok := plain[name]; ok {
		return meant
	}
	return Like(name, keys(Scales()))
}
