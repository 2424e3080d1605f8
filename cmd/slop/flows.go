package main

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
	"github.com/slopstudios/slop/lang/types"
)

type flowsCmd struct {
	JSON bool   `name:"json" help:"Print them as JSON."`
	Name string `arg:"" optional:"" help:"A flow such as std/critique: what it does and what it asks for."`
}

type flowReport struct {
	Name   string      `json:"name"`
	Doc    string      `json:"doc"`
	Inputs []flowInput `json:"inputs"`
	Output string      `json:"output"`
	Source string      `json:"source"`
}

type flowInput struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Fields   string `json:"fields,omitempty"` // of the record that it is, or is a list of
	Default  string `json:"default,omitempty"`
	Doc      string `json:"doc,omitempty"`
	Required bool   `json:"required"`
}

func (v *flowsCmd) Run(c *console) error {
	if v.Name != "" && !v.JSON {
		return c.tellFlow(v.Name)
	}
	var reports []flowReport
	for _, name := range standardFlows() {
		if v.Name != "" && v.Name != name && "std/"+v.Name != name {
			continue
		}
		r, err := reportFlow(name)
		if err != nil {
			return err
		}
		reports = append(reports, r)
	}
	if v.JSON && len(reports) > 0 {
		c.printJSON(map[string]any{"flows": reports})
		return nil
	}
	if len(reports) == 0 {
		_, err := reportFlow(v.Name)
		return err
	}
	for _, r := range reports {
		first, _, _ := strings.Cut(strings.ReplaceAll(r.Doc, "\n", " ")+" ", ". ")
		fmt.Fprintf(c.out, "%s  %s\n", c.outStyle.Bold(pad(r.Name, 16)), strings.TrimSuffix(first, "."))
	}
	fmt.Fprintf(c.out, "\n`slop flows %s` tells more; in a script: use \"%s\" as %s\n", "std/critique", "std/critique", "critique")
	return nil
}

// tellFlow says what a standard flow does, what it asks for and what it gives.
func (c *console) tellFlow(name string) error {
	r, err := reportFlow(name)
	if err != nil {
		return err
	}
	use := "use %q as " + strings.ReplaceAll(strings.TrimPrefix(r.Name, "std/"), "-", "_")
	if _, wrong := syntax.Parse(source.NewFile("use", fmt.Sprintf(use, r.Name)+"\n")); wrong.HasErrors() {
		use = "use %q as the_" + strings.TrimPrefix(r.Name, "std/") // a word of the language
	}
	st := c.outStyle
	fmt.Fprintf(c.out, "%s\n\n%s\n\n    "+use+"\n\n%s\n", st.Bold(r.Name), wrapText(r.Doc, 100), r.Name, st.Cyan("It asks for:"))
	for _, in := range r.Inputs {
		line := fmt.Sprintf("  %s: %s", st.Bold(in.Name), in.Type)
		if in.Default != "" {
			line += " = " + in.Default
		}
		fmt.Fprintln(c.out, line)
		for _, more := range []string{in.Fields, in.Doc} {
			if more != "" {
				fmt.Fprintf(c.out, "      %s\n", more)
			}
		}
	}
	fmt.Fprintf(c.out, "\n%s %s\n", st.Cyan("It gives:"), r.Output)
	return nil
}

func reportFlow(name string) (flowReport, error) {
	if !strings.Contains(name, "/") {
		name = "std/" + name
	}
	file, text, err := standardFlow(name)
	if err != nil {
		return flowReport{}, usage("%s", err)
	}
	known, err := agents(noProject()) // what a flow asks for does not depend on where one stands
	if err != nil {
		return flowReport{}, err
	}
	src := source.NewFile(file, text)
	info, _ := lang.Check(src, known.Scope())
	r := flowReport{Name: name, Doc: aboutFlow(text), Output: info.Output.String(), Source: text}
	for _, in := range info.Inputs {
		r.Inputs = append(r.Inputs, inputOf(src, in))
	}
	return r, nil
}

func inputOf(src *source.File, in *check.Decl) flowInput {
	out := flowInput{Name: in.Name, Type: in.Type.String(), Required: in.Input.Default == nil && !in.Type.Optional}
	if in.Input.Default != nil {
		out.Default = strings.Join(strings.Fields(src.Slice(in.Input.Default.At)), " ")
	}
	if in.Input.Doc != nil {
		out.Doc, _ = in.Input.Doc.Plain()
	}
	record := in.Type
	if record.Kind == types.List {
		record = record.Item()
	}
	if record.Kind == types.Record && record.Name != "" {
		out.Fields = record.Name + ": "
		record.Name = ""
		out.Fields += strings.ReplaceAll(record.String(), " or nothing", "?")
	}
	return out
}
