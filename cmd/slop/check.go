package main

import (
	"bytes"
	"fmt"

	"github.com/slopstudios/slop/lang/diag"
)

type checkCmd struct {
	JSON  bool     `name:"json" help:"Print the diagnostics as JSON on standard output."`
	Files []string `arg:"" optional:"" name:"file" help:"Scripts; - is standard input."`
}

func (v *checkCmd) Run(c *console) error {
	if len(v.Files) == 0 {
		return usage("slop check needs a script: slop check FILE…")
	}
	var all diag.List
	var unread []error
	for _, path := range v.Files {
		src, err := c.readScript(path)
		var p *project
		if err == nil {
			p, err = openProject(path)
		}
		if err != nil {
			unread = append(unread, err)
			continue
		}
		defer p.close()
		_, _, diags := c.compileIn(p, src) // what a run may ask of its budget is known of the plan
		all = append(all, diags...)
	}
	if v.JSON {
		text, err := diag.JSON(all)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s\n", bytes.TrimRight(text, "\n"))
	} else {
		diag.Print(c.err, all, c.style.On)
		if len(all) > 0 || len(unread) == 0 {
			c.summary(all, len(v.Files)-len(unread))
		}
	}
	if len(unread) > 0 {
		return c.sayAll(unread)
	}
	if all.HasErrors() {
		return &exit{code: exitScript}
	}
	return nil
}

// summary is the last line of check.
func (c *console) summary(all diag.List, files int) {
	errs, warnings := 0, 0
	for _, d := range all {
		if d.Severity == diag.Error {
			errs++
		} else {
			warnings++
		}
	}
	switch {
	case errs > 0 && warnings > 0:
		fmt.Fprintln(c.err, c.style.Red(plural(errs, "error")+", "+plural(warnings, "warning")))
	case errs > 0:
		fmt.Fprintln(c.err, c.style.Red(plural(errs, "error")))
	case warnings > 0:
		fmt.Fprintln(c.err, c.style.Yellow(plural(warnings, "warning"))+", no errors")
	default:
		fmt.Fprintln(c.err, c.style.Green("ok")+", no mistakes in "+plural(files, "script"))
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
