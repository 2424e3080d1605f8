package main

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/graph"
	"github.com/slopstudios/slop/lang/plan"
)

type graphCmd struct {
	Format string `help:"mermaid, dot, ascii or json." enum:"mermaid,dot,ascii,json" default:"ascii"`
	File   string `arg:"" optional:"" help:"The script; - is standard input."`
}

func (v *graphCmd) Run(c *console) error {
	if v.File == "" {
		return usage("slop graph needs a script: slop graph FILE")
	}
	p, _, err := c.compile(v.File)
	if err != nil {
		return err
	}
	var text string
	switch v.Format {
	case "mermaid":
		text = graph.Mermaid(p)
	case "dot":
		text = graph.DOT(p)
	case "json":
		body, err := graph.JSON(p)
		if err != nil {
			return err
		}
		text = string(body)
	default:
		text = graph.ASCII(p)
	}
	fmt.Fprintln(c.out, strings.TrimRight(text, "\n"))
	return nil
}

// compile reads and checks a script. Mistakes and warnings are printed; with mistakes the process ends with exit 3.
func (c *console) compile(path string) (*plan.Plan, *project, error) {
	src, err := c.readScript(path)
	if err != nil {
		return nil, nil, err
	}
	pr, err := openProject(path)
	if err != nil {
		return nil, nil, err
	}
	defer pr.close()
	p, _, diags := c.compileIn(pr, src)
	if diags.HasErrors() {
		diag.Print(c.err, diags, c.style.On)
		return nil, nil, &exit{code: exitScript}
	}
	return p, pr, nil
}
