package main

import (
	"fmt"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
)

type explainCmd struct {
	Code string `arg:"" optional:"" help:"A code such as E0102, E_TIMEOUT of a failed run, or a flow such as std/critique. Without one: the list of all."`
}

func (v *explainCmd) Run(c *console) error {
	all := append(diag.Explanations(), failures...)
	if v.Code == "" {
		for _, e := range all {
			fmt.Fprintf(c.out, "%-14s %s\n", e.Code, e.Title)
		}
		return nil
	}
	if strings.HasPrefix(v.Code, "std/") {
		return c.tellFlow(v.Code)
	}
	code := normalCode(v.Code)
	codes := make([]string, len(all))
	for i, e := range all {
		codes[i] = string(e.Code)
		if codes[i] == code {
			c.explain(e)
			return nil
		}
	}
	if near := diag.NearestN(code, codes, 3); len(near) > 0 {
		return usage("there is no code %s; the nearest are: %s", v.Code, strings.Join(near, ", "))
	}
	return usage("there is no code %s; `slop explain` lists them all", v.Code)
}

// normalCode accepts e0102, 0102, 102, error[E0102] and E_timeout.
func normalCode(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(s, "ERROR["), "WARNING["), "]")
	if digits := strings.TrimPrefix(s, "E"); digits != "" && strings.Trim(digits, "0123456789") == "" {
		return "E" + strings.Repeat("0", max(0, 4-len(digits))) + digits
	}
	return s
}

func (c *console) explain(e diag.Explanation) {
	st := c.outStyle
	fmt.Fprintf(c.out, "%s %s\n\n%s\n", st.Bold(string(e.Code)), st.Bold(e.Title), wrapText(e.Text, 80))
	example := func(title, code string) {
		if code = strings.Trim(code, "\n"); code != "" {
			fmt.Fprintf(c.out, "\n%s\n\n%s\n", st.Cyan(title), indent(code, "    "))
		}
	}
	example("This is not right:", e.Bad)
	example("This is:", e.Good)
}

func indent(text, by string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = by + l
		}
	}
	return strings.Join(lines, "\n")
}

// wrapText fills paragraphs to width; lines that are indented stay as they are.
func wrapText(text string, width int) string {
	var out []string
	for _, par := range strings.Split(strings.TrimSpace(text), "\n") {
		if par == "" || par[0] == ' ' || par[0] == '\t' {
			out = append(out, par)
			continue
		}
		line := ""
		for _, w := range strings.Fields(par) {
			if line != "" && len([]rune(line))+1+len([]rune(w)) > width {
				out = append(out, line)
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += w
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// failures explains the codes of runs that failed (spec/diagnostics.md, "Failures of runs").
var failures = []diag.Explanation{
	{Code: "E_APPROVAL", Title: "a call is not the one that was approved",
		Text: "Somebody answered yes to a question that showed this call, and it would be made with something else than was shown: the plan or the program that reads the history has changed. Nothing was done. `slop runs events` has what was shown; start the run anew, or fork it, and it is asked again."},
	{Code: "E_BUDGET", Title: "a budget is used up",
		Text: "Before each call its worst case is set aside from every budget around it. When it does not fit and nothing else is under way, the step fails. Raise the budget, make max_tokens smaller, or catch it with `else`. `slop run --dry-run` shows the worst case."},
	{Code: "E_CALL", Title: "a call failed and nothing stood in for it",
		Text: "An agent could not be reached, answered with an error, was called too often, or declined. The message says which. `retry 3` after the call tries it again when that can help; `else` names another agent or a text; `slop agents` says who can be called now."},
	{Code: "E_CANCELLED", Title: "the run was stopped before its end",
		Text: "Somebody cancelled the run, or pressed Ctrl-C in one that is not kept. Calls that think or read were cut off; calls that change the world were told and waited for."},
	{Code: "E_DENIED", Title: "a key is missing or not accepted",
		Text: "The service did not accept who we are, or something on this machine is not allowed. Set the key the message names; `slop agents` shows what is missing."},
	{Code: "E_DRIFT", Title: "what a step is asked is not what was recorded",
		Text: "The history of the run belongs to a different plan, or the program renders it differently. The run is stopped rather than continued with other words."},
	{Code: "E_FAIL", Title: "the script said `fail`",
		Text: "An `else fail \"…\"` was reached: what stands before it did not work out."},
	{Code: "E_INPUT", Title: "an input is missing or does not fit",
		Text: "A flow that is used like an agent was called with a value its input does not take, or without one it needs."},
	{Code: "E_INTERRUPTED", Title: "a call was cut off and may have done its work",
		Text: "The call changes the world, so it is never repeated by itself: the run asks what became of it, and somebody answered `fail` (slop help durability). Or an `else` caught it. Look what it did, then run again."},
	{Code: "E_INVALID", Title: "an answer does not have the type the script asks for",
		Text: "The answer was read against `as T`, the agent was told what was wrong as often as `repair` allows, and it still did not fit."},
	{Code: "E_LIMIT", Title: "the flow goes on and on without calling anybody",
		Text: "Very many lets, gates and loops ran one after the other and none of them called an agent. Such a flow is ended, since nothing outside could end it. Make its loops or lists smaller."},
	{Code: "E_LOOP", Title: "a loop ran out of rounds",
		Text: "`stop if` did not hold in any round, and the loop's `else` did not stand in for that. Raise `max`, or use `else keep`."},
	{Code: "E_NO_PERSON", Title: "a person must answer and there is no terminal",
		Text: "`human.ask`, `human.approve` and `human.choose` ask on the terminal. Run the script in one, or answer from anywhere with `slop answer` and go on with `slop resume`: a run that is kept waits. With --ephemeral it has ended. An `else` stands in for an answer that does not come in time, not for the person."},
	{Code: "E_PATH", Title: "two steps under way have one path",
		Text: "A step named `then` or `else` beside a nameless `if` gets the path of a step inside it, and their answers could not be told apart. Give the step another name."},
	{Code: "E_RECORDING", Title: "nothing is recorded of what a step sends",
		Text: "`slop run --replay DIR` has recordings answer in the place of agents and people, and calls nobody. What this step sends is in none of them: the script, an input or a prompt is another one than it was. What changed stands below the error, with the command that records again."},
	{Code: "E_REQUIRE", Title: "a `require` was not met",
		Text: "The condition after `require` was false, so its block failed with the text after its `else`."},
	{Code: "E_SCRIPT", Title: "the script has errors, so nothing ran",
		Text: "Only `slop run --json` says so: its `diagnostics` are those of `slop check --json`."},
	{Code: "E_TIMEOUT", Title: "a step or the run took longer than it may",
		Text: "A call has its `timeout` for one attempt, a block from opening to closing, a run from --timeout or `budget 10m`. Give it more time, `retry` it, or say with `else` what stands in for it."},
	{Code: "E_USAGE", Title: "an input, a secret or trust is missing, so nothing ran",
		Text: "Only `slop run --json` says so, beside what stands on standard error. `slop help inputs` and `slop help configuration` tell what may be given."},
	{Code: "E_VALUE", Title: "an expression could not be computed",
		Text: "The expression read a field that is not there, divided by zero, or met a value of another type than it needs. The message shows the place."},
}
