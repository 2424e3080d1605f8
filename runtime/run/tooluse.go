package run

import "strings"

// ToolUse is the use of a tool within a call, as those see it who watch: as it begins and again as it ends.
type ToolUse struct {
	ID     string `json:"id,omitempty"`
	Name   string `json:"name"`
	Args   string `json:"args,omitempty"` // JSON
	Ended  bool   `json:"ended"`
	Failed bool   `json:"failed,omitempty"` // it ended badly
	Result string `json:"result,omitempty"` // of one that ended: what it answered, or why it failed
}

// Note is the use on one line.
func (u *ToolUse) Note() string {
	switch {
	case u.Failed:
		return u.Name + " failed: " + oneLine(u.Result)
	case u.Ended:
		return u.Name + " answered"
	}
	return strings.TrimSpace("uses " + u.Name + " " + oneLine(u.Args))
}

// oneLine is the beginning of a text.
func oneLine(text string) string {
	const most = 200
	text, _, _ = strings.Cut(text, "\n")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
