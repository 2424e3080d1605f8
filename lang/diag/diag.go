// Package diag describes what is wrong with a script, as data: a code, a place, a message and what to do about it.
package diag

import (
	"sort"

	"github.com/slopstudios/slop/lang/source"
)

// Code names a diagnostic for ever: "E0102". The checks of the language are E0100 + their number; E00xx is what the reader of the text says before any check.
type Code string

// Severity tells whether a script with this diagnostic may run.
type Severity string

// Only an Error stops a script from running.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one mistake, said once.
type Diagnostic struct {
	Code     Code
	Severity Severity
	File     *source.File
	Span     source.Span // what is underlined
	Pointer  string      // in a JSON definition: which value it is (RFC 6901)
	Message  string      // the headline: what is wrong, in the author's words
	Label    string      // stands beside the carets; may be empty
	Help     []string    // lines after "= help:"
	Fix      *Fix        // the repair, when it is certain enough for a machine to make
	Related  []Related   // second places that matter
}

// Fix replaces the text of Span by Text.
type Fix struct {
	Span source.Span
	Text string
}

// Related points at another place and says why it matters.
type Related struct {
	File    *source.File
	Span    source.Span
	Message string
}

// List collects diagnostics in the order they were found.
type List []Diagnostic

// Add appends d.
func (l *List) Add(d Diagnostic) { *l = append(*l, d) }

// HasErrors reports whether any diagnostic stops the script.
func (l List) HasErrors() bool {
	for _, d := range l {
		if d.Severity == Error {
			return true
		}
	}
	return false
}

// Errors returns a list of those that stop the script.
func (l List) Errors() List {
	var errors List
	for _, d := range l {
		if d.Severity == Error {
			errors.Add(d)
		}
	}
	return errors
}

// Sort puts the list in order of file and position; equal places keep the order in which they were found.
func (l List) Sort() {
	sort.SliceStable(l, func(i, j int) bool {
		a, b := l[i], l[j]
		if a.File != b.File && a.File != nil && b.File != nil && a.File.Name != b.File.Name {
			return a.File.Name < b.File.Name
		}
		return a.Span.Start < b.Span.Start
	})
}
