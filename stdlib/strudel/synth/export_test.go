package synth

import "slices"

// Known are the controls that are heard.
func Known() []string { return slices.Clone(known) }
