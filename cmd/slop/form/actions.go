package form

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/runtime/run"
)

// How much of a value is shown: enough for a letter. All of it is in the history.
const (
	maxLines = 30
	maxRunes = 2000
)

// Actions are the calls that a yes lets happen, with what they send, for people to read.
func Actions(f run.Form) []string {
	var lines []string
	for _, a := range f.Actions {
		head := "yes: " + screen.Inert(a.Agent) + "  (" + screen.Inert(string(a.Path)) + ")"
		lines = append(lines, head)
		for _, s := range a.Sent {
			lines = append(lines, sentLines(s)...)
		}
	}
	if f.More > 0 {
		lines = append(lines, fmt.Sprintf("yes: and %d more calls that are not shown", f.More))
	}
	return lines
}

func sentLines(s run.Sent) []string {
	name := "  " + screen.Inert(s.Name) + ": "
	if len(s.Value) == 0 {
		return []string{name + "not known before the answer"}
	}
	text := string(s.Value)
	var plain any
	if json.Unmarshal(s.Value, &plain) == nil {
		if words, ok := plain.(string); ok {
			text = words
		} else if raw, err := unescaped(plain); err == nil {
			text = raw
		}
	}
	rest := 0
	if n := utf8.RuneCountInString(text); n > maxRunes {
		text, rest = string([]rune(text)[:maxRunes]), n-maxRunes
	}
	all := strings.Split(screen.Inert(strings.TrimRight(text, "\n")), "\n")
	shown := all[:min(len(all), maxLines)]
	for _, line := range all[len(shown):] {
		rest += utf8.RuneCountInString(line) + 1
	}
	lines := []string{name + shown[0]}
	if len(shown) > 1 {
		lines = []string{name}
		for _, line := range shown {
			lines = append(lines, "    "+line)
		}
	}
	if rest > 0 {
		lines = append(lines, fmt.Sprintf("    … and %d characters more: slop runs show --json has them", rest))
	}
	return lines
}

// unescaped is JSON with < > & as they are.
func unescaped(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}
