// Package pattern is music as functions of time, as TidalCycles and Strudel document it: a pattern is asked what happens in a span of cycles and answers
// with events. Nothing here has a clock or makes a sound.
package pattern
