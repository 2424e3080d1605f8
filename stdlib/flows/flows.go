// Package flows is the flows that come with the language: patterns of working with agents, written in it (spec/flows.md).
package flows

import (
	"embed"
	"fmt"
	"path"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
)

//go:embed *.slop
var files embed.FS

// Prefix is what the name of every flow here begins with, as scripts write it.
const Prefix = "std/"

// Names are the flows as scripts name them, in alphabetical order: "std/best-of".
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("flows: " + err.Error()) // the folder is part of the program
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = Prefix + strings.TrimSuffix(e.Name(), ".slop")
	}
	return names
}

// Load reads a flow by the name a script writes behind `use`. It returns the name that messages give the file.
func Load(use string) (name, text string, err error) {
	body, err := files.ReadFile(strings.TrimPrefix(path.Clean(use), Prefix) + ".slop")
	if err != nil || path.Clean(use) != use {
		if near, ok := diag.Nearest(strings.TrimSuffix(use, ".slop"), Names()); ok {
			return "", "", fmt.Errorf("there is no standard flow %s, did you mean %s?", use, near)
		}
		return "", "", fmt.Errorf("there is no standard flow %s; there are %s", use, strings.Join(Names(), ", "))
	}
	return use, string(body), nil
}

// About is what the comment at the head of a flow says of it, a line for each paragraph.
func About(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		said, ok := strings.CutPrefix(strings.TrimSpace(line), "//")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSpace(said))
	}
	paragraphs := strings.Split(strings.Join(lines, "\n"), "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.ReplaceAll(p, "\n", " ")
	}
	return strings.Join(paragraphs, "\n\n")
}
