package diag

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns the candidate that word was most likely meant to be, if one is close enough to suggest.
func Nearest(word string, candidates []string) (string, bool) {
	best, found, distance := "", false, allowance(word)+1
	for _, c := range candidates {
		if c == word || c == "" {
			continue
		}
		d := Distance(word, c)
		if strings.EqualFold(strings.ReplaceAll(word, "_", ""), strings.ReplaceAll(c, "_", "")) {
			d = 0
		}
		if d < distance || d == distance && found && c < best {
			best, found, distance = c, true, d
		}
	}
	return best, found
}

// allowance is how many slips of the fingers a word of this length may hold.
func allowance(word string) int {
	switch n := len([]rune(word)); {
	case n <= 2:
		return 0
	case n <= 5:
		return 1
	case n <= 8:
		return 2
	default:
		return 3
	}
}

// NearestN returns at most n candidates, the nearest first and equals in alphabetical order.
func NearestN(word string, candidates []string, n int) []string {
	type ranked struct {
		name     string
		distance int
	}
	best := make([]ranked, 0, n+1) // so far, in order
	word = strings.ToLower(word)
	for _, c := range candidates {
		r := ranked{c, Distance(word, strings.ToLower(c))}
		at, _ := slices.BinarySearchFunc(best, r, func(a, b ranked) int {
			return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
		})
		if at < n {
			best = slices.Insert(best, at, r)
			best = best[:min(n, len(best))]
		}
	}
	names := make([]string, 0, len(best))
	for _, r := range best {
		names = append(names, r.name)
	}
	return names
}

// Distance is how many letters must be added, dropped, changed or swapped with their neighbour to make b of a (Damerau and Levenshtein). Long words are
// compared by their first 64 letters.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	x, y = x[:min(len(x), 64)], y[:min(len(y), 64)]
	var older, old, row [65]int
	for j := range len(y) + 1 {
		old[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old = old, row
	}
	return old[len(y)]
}
