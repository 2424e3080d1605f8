package main

import (
	"fmt"
	"regexp"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/cmd/slop/trial"
	"github.com/slopstudios/slop/lang/diag"
)

type testCmd struct {
	JSON  bool     `name:"json" help:"Print the results as JSON on standard output."`
	Match string   `name:"run" placeholder:"RE" help:"Only the tests whose name matches; -run RE too."`
	Files []string `arg:"" optional:"" name:"file" help:"Scripts."`
}

func (testCmd) Help() string {
	return "Tests stand in the script, run offline and in no time: agents answer what `mock` says.\n\n" +
		"  test \"a bug goes to the engineer\" {\n    given message = \"it crashes\"\n    mock triage -> {kind: \"bug\", urgent: true}\n" +
		"    fail engineer \"asleep\"\n    expect fail \"asleep\"\n  }"
}

type testReport struct {
	File     string          `json:"file"`
	Name     string          `json:"name"`
	Line     int             `json:"line"`
	Status   string          `json:"status"` // passed, failed
	Problems []problemReport `json:"problems"`
	Calls    int             `json:"calls"`
	Elapsed  float64         `json:"elapsed"` // seconds by the test's own clock
}

type problemReport struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Detail  string `json:"detail,omitempty"`
}

func (v *testCmd) Run(c *console) error {
	if len(v.Files) == 0 {
		return usage("slop test needs a script: slop test FILE…")
	}
	match, err := regexp.Compile(v.Match)
	if err != nil {
		return usage("-run %s: %s", v.Match, err)
	}
	var reports []testReport
	var warnings diag.List
	passed, failed, broken, skipped := 0, 0, false, 0
	begun := time.Now()
	for _, path := range v.Files {
		src, err := c.readScript(path)
		if err != nil {
			return err
		}
		pr, err := openProject(path)
		if err != nil {
			return err
		}
		defer pr.close()
		p, tests, diags := c.compileIn(pr, src)
		if diags.HasErrors() {
			warnings = append(warnings, diags...)
			if !v.JSON {
				diag.Print(c.err, diags, c.style.On)
			}
			broken = true
			continue
		}
		if len(tests) == 0 && !v.JSON {
			fmt.Fprintf(c.out, "%s  %s\n", c.outStyle.Dim("none"), path+" has no tests")
		}
		for _, t := range tests {
			if !match.MatchString(t.Name) {
				skipped++
				continue
			}
			result := trial.Run(p, t)
			r := testReport{
				File: path, Name: t.Name, Line: t.At.Line, Status: "passed", Problems: []problemReport{}, Calls: result.Calls,
				Elapsed: result.Elapsed.Seconds(),
			}
			if len(result.Problems) == 0 {
				passed++
			} else {
				failed++
				r.Status = "failed"
			}
			for _, problem := range result.Problems {
				r.Problems = append(r.Problems, problemReport{problem.At.File, problem.At.Line, problem.At.Column, problem.Message, problem.Detail})
			}
			reports = append(reports, r)
			if !v.JSON {
				c.sayTest(r)
			}
		}
	}
	if v.JSON {
		if reports == nil {
			reports = []testReport{}
		}
		c.printJSON(map[string]any{"tests": reports, "passed": passed, "failed": failed, "diagnostics": invalidScript(warnings).Diagnostics})
	} else {
		c.sayTests(passed, failed, skipped, broken, time.Since(begun))
	}
	switch {
	case broken:
		return &exit{code: exitScript}
	case failed > 0:
		return &exit{code: exitFailed}
	}
	return nil
}

func (c *console) sayTest(r testReport) {
	st := c.outStyle
	word := st.Green("ok  ")
	if r.Status == "failed" {
		word = st.Red("FAIL")
	}
	fmt.Fprintf(c.out, "%s  %s  %s\n", word, r.File, screen.Inert(r.Name))
	for _, p := range r.Problems {
		fmt.Fprintf(c.out, "      %s:%d: %s\n", p.File, p.Line, screen.Inert(p.Message))
		if p.Detail != "" {
			fmt.Fprintln(c.out, indent(screen.Inert(p.Detail), "        "))
		}
	}
}

func (c *console) sayTests(passed, failed, skipped int, broken bool, took time.Duration) {
	text := plural(passed, "test") + " passed"
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	if skipped > 0 {
		text += fmt.Sprintf(", %d left out by -run", skipped)
	}
	if broken {
		text += ", and a script has errors"
	}
	paint := c.style.Green
	if failed > 0 || broken {
		paint = c.style.Red
	}
	fmt.Fprintln(c.err, paint(text)+c.style.Dim(" in "+screen.Took(took)))
}
