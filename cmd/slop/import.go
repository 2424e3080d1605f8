package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/jsonflow"
	"github.com/slopstudios/slop/lang/plan"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/types"
)

type importCmd struct {
	Output  string `short:"o" placeholder:"FILE" help:"Write the script there instead of printing it; a file that is there is kept."`
	Check   bool   `help:"Say what is wrong with the definition, and print nothing."`
	Pattern string `placeholder:"NAME" help:"The file is a request to orchestrate: sequential, parallel, conditional, map-reduce, self-critique or discussion; - is the one that it names."`
	File    string `arg:"" help:"The JSON definition; - is standard input."`
}

func (v *importCmd) Run(c *console) error {
	if v.Check && v.Output != "" {
		return usage("--check writes nothing: leave -o out")
	}
	src, err := c.readScript(v.File)
	if err != nil {
		return err
	}
	p, err := openProject(v.File)
	if err != nil {
		return err
	}
	defer p.close()
	if v.File == "-" {
		src = source.NewFile("stdin.json", src.Text)
	}
	read := jsonflow.Workflow
	if v.Pattern != "" {
		read = func(src *source.File, scope types.Scope) (*jsonflow.Flow, diag.List) {
			if v.Pattern == "-" {
				return jsonflow.Orchestrate("", src, scope)
			}
			return jsonflow.Orchestrate(v.Pattern, src, scope)
		}
	}
	var flow *jsonflow.Flow
	_, _, diags := c.compileWith(p, func() (made *plan.Plan, tests []plan.Test, diags diag.List) {
		made, tests, flow, diags = compileJSON(p, src, read)
		return made, tests, diags
	})
	diag.Print(c.err, diags, c.style.On)
	if v.Check && (len(diags) > 0 || flow != nil) {
		c.summary(diags, 1)
	}
	switch {
	case diags.HasErrors():
		return &exit{code: exitScript}
	case v.Check:
		return nil
	case v.Output == "":
		fmt.Fprint(c.out, flow.Script.Text)
		return nil
	}
	f, err := os.OpenFile(v.Output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, os.ErrExist) {
		return usage("%s is there already: remove it first, or choose another name", v.Output)
	}
	if err != nil {
		return usage("%s", plainPathError(err))
	}
	_, err = f.WriteString(flow.Script.Text)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return plainPathError(err)
	}
	fmt.Fprintln(c.err, "wrote "+v.Output)
	return nil
}

// compile is lang.CompileTests for a script, or for a JSON definition, which is turned into one; what is wrong is said of the file that was written by hand.
func (p *project) compile(src *source.File) (*plan.Plan, []plan.Test, diag.List) {
	if !jsonflow.File(src.Name) {
		return lang.CompileTests(src, p.scope())
	}
	made, tests, _, diags := compileJSON(p, src, jsonflow.Workflow)
	return made, tests, diags
}

func compileJSON(p *project, src *source.File, read func(*source.File, types.Scope) (*jsonflow.Flow, diag.List)) (*plan.Plan, []plan.Test, *jsonflow.Flow, diag.List) {
	flow, diags := read(src, p.scope())
	if flow == nil {
		return nil, nil, nil, diags
	}
	made, tests, said := lang.CompileTests(flow.Script, p.scope())
	return made, tests, flow, append(diags, flow.Place(said)...)
}
