package diag

// checkExplanations are the codes of the checks, E0101 and up.
var checkExplanations = []Explanation{}
