package diag

import "sync"

// Explanation is what `slop explain` says of a code: a title of one line, the rule in a few sentences, and the smallest script
// that breaks it beside the same script put right.
type Explanation struct {
	Code  Code
	Title string
	Text  string
	Bad   string
	Good  string
}

var explanations = sync.OnceValue(func() map[Code]Explanation {
	table := map[Code]Explanation{}
	for _, e := range Explanations() {
		table[e.Code] = e
	}
	return table
})

// Explain returns the explanation of a code.
func Explain(code Code) (Explanation, bool) {
	e, ok := explanations()[code]
	return e, ok
}

// Explanations returns every explanation in order of code.
func Explanations() []Explanation {
	all := append([]Explanation(nil), syntaxExplanations...)
	all = append(all, checkExplanations...)
	return append(all, jsonExplanations...)
}
