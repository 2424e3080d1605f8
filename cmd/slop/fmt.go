package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/jsonflow"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/runtime/atomicfile"
)

type fmtCmd struct {
	Write bool     `short:"w" help:"Write the files in place."`
	Check bool     `help:"Name the files that are not formatted; exit 3 if there are any."`
	Diff  bool     `help:"Show what would change."`
	Files []string `arg:"" optional:"" name:"file" help:"Scripts; - is standard input. Without a flag one is printed on standard output."`
}

func (v *fmtCmd) Run(c *console) error {
	modes := 0
	for _, on := range []bool{v.Write, v.Check, v.Diff} {
		if on {
			modes++
		}
	}
	switch {
	case len(v.Files) == 0:
		return usage("slop fmt needs a script: slop fmt -w FILE…, or - for standard input")
	case v.Write && modes > 1:
		return usage("-w writes, --check and --diff only look: choose one")
	}
	broken, different := false, false
	var unread []error
	for _, path := range v.Files {
		if jsonflow.File(path) {
			unread = append(unread, usage("%s is a JSON definition and no script: slop import %s makes one of it", path, path))
			continue
		}
		src, err := c.readScript(path)
		if err != nil {
			unread = append(unread, err)
			continue
		}
		tree, diags := syntax.Parse(src)
		if diags.HasErrors() {
			diag.Print(c.err, diags, c.style.On)
			broken = true
			continue
		}
		text := string(format.File(tree))
		changed := text != src.Text
		different = different || changed
		if v.Check && changed {
			fmt.Fprintln(c.out, path)
		}
		if v.Diff && changed {
			fmt.Fprint(c.out, difference(path, src.Text, text))
		}
		switch {
		case modes == 0:
			fmt.Fprint(c.out, text)
		case v.Write && path == "-":
			fmt.Fprint(c.out, text)
		case v.Write && changed:
			if err := replaceFile(path, text); err != nil {
				var p *os.PathError
				if errors.As(err, &p) {
					err = p.Err // the path is that of a file the person never heard of
				}
				return fmt.Errorf("%s cannot be written: %w", path, err)
			}
			fmt.Fprintln(c.err, "formatted "+path)
		}
	}
	if len(unread) > 0 {
		return c.sayAll(unread)
	}
	if broken || (v.Check && different) {
		return &exit{code: exitScript}
	}
	return nil
}

// replaceFile writes a file in one move and keeps its mode. A link stays a link.
func replaceFile(path, text string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	return atomicfile.Write(real, []byte(text), info.Mode().Perm())
}

// difference writes a unified diff of two texts with three lines around each change.
func difference(name, old, new string) string {
	a, b := splitLines(old), splitLines(new)
	ops := edits(a, b)
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s (formatted)\n", name, name)
	const around = 3
	for i := 0; i < len(ops); {
		if ops[i].kind == ' ' {
			i++
			continue
		}
		from := max(0, i-around)
		to, quiet := i, 0
		for to < len(ops) && quiet <= 2*around {
			if ops[to].kind == ' ' {
				quiet++
			} else {
				quiet = 0
			}
			to++
		}
		to -= max(0, quiet-around)
		oldLines, newLines := 0, 0
		for _, o := range ops[from:to] {
			if o.kind != '+' {
				oldLines++
			}
			if o.kind != '-' {
				newLines++
			}
		}
		fmt.Fprintf(&out, "@@ -%d,%d +%d,%d @@\n", ops[from].a+1, oldLines, ops[from].b+1, newLines)
		for _, o := range ops[from:to] {
			fmt.Fprintf(&out, "%c%s\n", o.kind, strings.TrimSuffix(o.text, "\n"))
		}
		i = to
	}
	return out.String()
}

func splitLines(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		out = append(out, l)
	}
	return out
}

// edit is a line that stays (' '), goes ('-') or comes ('+'), with its line numbers before and after.
type edit struct {
	kind byte
	text string
	a, b int
}

// maxDiff bounds the table of edits: beyond it the whole middle counts as changed.
const maxDiff = 4_000_000

// edits finds the longest common lines of two texts.
func edits(a, b []string) []edit {
	var ops []edit
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		ops = append(ops, edit{' ', a[start], start, start})
		start++
	}
	endA, endB := len(a), len(b)
	for endA > start && endB > start && a[endA-1] == b[endB-1] {
		endA--
		endB--
	}
	n, m := endA-start, endB-start
	i, j := start, start
	if n*m <= maxDiff {
		common := make([][]int32, n+1)
		for k := range common {
			common[k] = make([]int32, m+1)
		}
		for x := n - 1; x >= 0; x-- {
			for y := m - 1; y >= 0; y-- {
				if a[start+x] == b[start+y] {
					common[x][y] = common[x+1][y+1] + 1
				} else {
					common[x][y] = max(common[x+1][y], common[x][y+1])
				}
			}
		}
		for i < endA && j < endB {
			switch {
			case a[i] == b[j]:
				ops = append(ops, edit{' ', a[i], i, j})
				i, j = i+1, j+1
			case common[i-start+1][j-start] >= common[i-start][j-start+1]:
				ops = append(ops, edit{'-', a[i], i, j})
				i++
			default:
				ops = append(ops, edit{'+', b[j], i, j})
				j++
			}
		}
	}
	for ; i < endA; i++ {
		ops = append(ops, edit{'-', a[i], i, j})
	}
	for ; j < endB; j++ {
		ops = append(ops, edit{'+', b[j], i, j})
	}
	for ; i < len(a); i, j = i+1, j+1 {
		ops = append(ops, edit{' ', a[i], i, j})
	}
	return ops
}
