package claude

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/agent"
	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/stdlib/outcome"
)

// denial is a use of a tool that the program did not permit.
type denial struct {
	Tool  string `json:"tool_name"`
	Input struct {
		Command string
		File    string `json:"file_path"`
		Book    string `json:"notebook_path"`
		URL     string
	} `json:"tool_input"`
}

// offered are the tools that the model may ask for when people decide: those that touch nothing beyond the folder are used without a word, the others with leave.
var offered = []string{"Bash", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "WebFetch", "WebSearch", "Write"}

// permit is the token of a question: the session that goes on, what people allowed before, and what they are asked now.
type permit struct {
	Session string   `json:"session"`
	Allowed []string `json:"allowed,omitempty"`
	Asked   []string `json:"asked"`
	Wants   string   `json:"wants"` // the same in words
}

func (t *permit) rules() []string { return append(slices.Clone(t.Allowed), t.Asked...) }

// readPermit reads what people said; the error says what they forbade.
func readPermit(a *run.Answer) (*permit, error) {
	t := &permit{}
	if err := json.Unmarshal([]byte(a.Token), t); err != nil || t.Session == "" {
		return nil, errors.New("what was remembered of the call cannot be read")
	}
	if a.Value != "yes" {
		return nil, errors.New("claude was not allowed to " + t.Wants)
	}
	return t, nil
}

// askLeave makes the question whether what was denied may be done. false: it cannot be asked.
func askLeave(w work, denied []denial) (agent.Reply, bool) {
	t := permit{Session: w.session, Allowed: w.allowed}
	var wants []string
	for _, d := range denied {
		rule, words := d.rule()
		if slices.Contains(w.allowed, rule) { // the program did not take it: the whole tool then
			rule, words = d.Tool, d.whole()
		}
		if slices.Contains(w.allowed, rule) {
			return agent.Reply{}, false
		}
		if !slices.Contains(t.Asked, rule) {
			t.Asked, wants = append(t.Asked, rule), append(wants, words)
		}
	}
	t.Wants = strings.Join(wants, ", and ")
	text := "claude wants to " + t.Wants + ". May it?"
	if len(wants) > 1 {
		text = "claude wants to\n- " + strings.Join(wants, "\n- ") + "\nMay it?"
	}
	raw, err := json.Marshal(t)
	if err != nil || len(wants) == 0 || len(raw) > run.MaxToken {
		return agent.Reply{}, false
	}
	choices := []string{"yes", "no"}
	return agent.Ask(run.Form{Kind: "approve", Text: text, Choices: choices, Type: types.Type{Kind: types.Enum, Values: choices}}, string(raw)), true
}

// rule is the narrowest rule that permits what was denied, and the same in words. Rules know patterns and look at the parts of a compound command one by one:
// what has no rule of its own needs the whole tool.
func (d denial) rule() (rule, words string) {
	in := d.Input
	switch file := in.File + in.Book; {
	case d.Tool == "Bash" && in.Command != "" && !strings.ContainsAny(in.Command, "*\\;&|<>()`${}\r\n#"):
		return "Bash(" + in.Command + ")", "run `" + outcome.Brief(in.Command, 1000, false) + "`"
	case file != "" && path.IsAbs(file) && path.Clean(file) == file && !strings.ContainsAny(file, "*?[]!\\()\r\n#"):
		if d.Tool == "Read" {
			return "Read(/" + file + ")", "read " + file
		}
		if d.Tool == "Edit" || d.Tool == "Write" || d.Tool == "NotebookEdit" || d.Tool == "MultiEdit" {
			return "Edit(/" + file + ")", "write " + file
		}
	case d.Tool == "WebFetch":
		if u, err := url.Parse(in.URL); err == nil && u.Hostname() != "" && !strings.ContainsAny(u.Hostname(), "*()") {
			return "WebFetch(domain:" + u.Hostname() + ")", "fetch pages of " + u.Hostname()
		}
	}
	return d.Tool, d.whole()
}

// whole says in words what the whole tool is wanted for.
func (d denial) whole() string {
	first := d.Input.Command + d.Input.File + d.Input.Book + d.Input.URL
	if first == "" {
		return "use " + d.Tool + " in this step"
	}
	return fmt.Sprintf("use %s as it likes in this step, first for `%s`", d.Tool, outcome.Brief(first, 1000, false))
}
