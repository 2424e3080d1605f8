package diag

// syntaxExplanations are the codes of reading: what is wrong with the text of a script before any of it means something.
var syntaxExplanations = []Explanation{}
