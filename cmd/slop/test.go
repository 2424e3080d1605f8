package main

import (
	"fmt"
	"regexp"
	"time"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/cmd/slop/trial"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/runtime/agent/cassette"
	"github.com/slopstudios/slop/runtime/run"
)

type testCmd struct {
	JSON   bool     `name:"json" help:"Print the results as JSON on standard output."`
	Match  string   `name:"run" placeholder:"RE" help:"Only the tests whose name matches; -run RE too."`
	Replay string   `placeholder:"DIR" help:"Answer what no mock stands for out of the recordings of slop run --record DIR, and play each of them as a test."`
	Files  []string `arg:"" optional:"" name:"file" help:"Scripts."`
}

func (testCmd) Help() string {
	return "Tests stand in the script, run offline and in no time: agents answer what `mock` says.\n\n" +
		"  test \"a bug goes to the engineer\" {\n    given message = \"it crashes\"\n    mock triage -> {kind: \"bug\", urgent: true}\n" +
		"    fail engineer \"asleep\"\n    expect fail \"asleep\"\n  }\n\n" +
		"With --replay DIR real answers stand in: slop run FILE --record DIR writes them, one file for each flow and inputs. Every recording of the script is played as a test " +
		"too: the same inputs must come to the same output. A step that sends something else than was recorded fails, with what changed. Nothing is called."
}

type testReport struct {
	File     string          `json:"file"`
	Name     string          `json:"name"`
	Line     int             `json:"line"`
	Status   string          `json:"status"` // passed, failed
	Problems []problemReport `json:"problems"`
	Calls    int             `json:"calls"`
	Elapsed  float64         `json:"elapsed"`          // seconds by the test's own clock
	Unused   []run.Path      `json:"unused,omitempty"` // of a recording: steps whose answers nobody asked for
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
	tapes, err := recordings(v.Replay, v.Files[0])
	if err != nil {
		return err
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
		recorded := tapes.of(p.Name)
		if len(tests)+len(recorded) == 0 && !v.JSON {
			what := " has no tests"
			if v.Replay != "" {
				what += ", and " + v.Replay + " no recording of it; " + again(path, v.Replay, nil) + " makes one"
			}
			fmt.Fprintf(c.out, "%s  %s\n", c.outStyle.Dim("none"), path+what)
		}
		note := func(name string, line int, result trial.Result, recording *cassette.Recording) {
			r := testReport{
				File: path, Name: name, Line: line, Status: "passed", Problems: []problemReport{}, Calls: result.Calls,
				Elapsed: result.Elapsed.Seconds(), Unused: result.Unused,
			}
			if len(result.Problems) == 0 {
				passed++
			} else {
				failed++
				r.Status = "failed"
			}
			for _, problem := range result.Problems {
				r.Problems = append(r.Problems, problemOf(path, v.Replay, recording, problem))
			}
			reports = append(reports, r)
			if !v.JSON {
				c.sayTest(r)
			}
		}
		for _, t := range tests {
			if !match.MatchString(t.Name) {
				skipped++
				continue
			}
			note(t.Name, t.At.Line, trial.Run(p, t, recorded...), nil)
		}
		for _, r := range recorded {
			if !match.MatchString(r.Name) {
				skipped++
				continue
			}
			note(r.Name, 1, trial.Replay(p, r), r)
		}
	}
	if !v.JSON {
		c.sayStrays(tapes)
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
	for _, path := range r.Unused {
		fmt.Fprintf(c.out, "      %s\n", st.Dim("recorded and not asked for: "+screen.Inert(string(path))))
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
