package hosttest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// script says what the agents and people of an archive answer.
//
//	writer: "one", then fail timeout "slow", then after 5s {"score": 8}
//	reader@notes[2]: fail "unreadable"
//	shell: after 15s stubborn "built"
//
// Each call takes the next answer of its line, and the last repeats. A line for one path goes before the line for the agent.
type script map[string]*line

type line struct {
	answers []answer
	next    int
}

// answer is one of: a value; fail [OUTCOME] "message" [retry DURATION]; hang (until told to end); stubborn (deaf to that: it answers at its time, or after a minute);
// panic "message"; asks "question" (to people, as an agent does in mid-call; or asks FORM); prompt (the text it was sent); call (all it was sent, as a text); reveal (the same with secrets revealed, and each of them encoded).
// after DURATION stands before, and `used IN/OUT` behind a value says how many tokens it took.
type answer struct {
	kind       string
	after      time.Duration
	value      any
	outcome    run.Outcome
	message    string
	form       run.Form
	retryAfter time.Duration
	input      int64
	output     int64
}

func (s script) take(agent string, path run.Path) (answer, bool) {
	l := s[agent+"@"+string(path)]
	if l == nil {
		l = s[agent]
	}
	if l == nil {
		return answer{}, false
	}
	a := l.answers[min(l.next, len(l.answers)-1)]
	l.next++
	return a, true
}

func parseScript(text string) (script, error) {
	s := script{}
	for i, row := range strings.Split(text, "\n") {
		if row = strings.TrimSpace(row); row == "" || strings.HasPrefix(row, "//") {
			continue
		}
		name, rest, ok := strings.Cut(row, ": ")
		if !ok {
			return nil, fmt.Errorf("agents, line %d: want `callee: answer, then answer`", i+1)
		}
		l := &line{}
		for {
			a, after, err := parseAnswer(rest)
			if err != nil {
				return nil, fmt.Errorf("agents, line %d: %w", i+1, err)
			}
			l.answers = append(l.answers, a)
			rest = strings.TrimSpace(after)
			if rest == "" {
				break
			}
			if rest, ok = strings.CutPrefix(rest, ", then "); !ok {
				return nil, fmt.Errorf("agents, line %d: what is `%s`?", i+1, after)
			}
		}
		s[name] = l
	}
	return s, nil
}

func parseAnswer(text string) (a answer, rest string, err error) {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, "after "); ok {
		word, rest, _ := strings.Cut(rest, " ")
		if a.after, err = parseDuration(word); err != nil {
			return a, "", err
		}
		text = rest
	}
	word := text
	if i := strings.IndexAny(text, " ,"); i >= 0 {
		word = text[:i]
	}
	switch word {
	case "hang", "prompt", "call", "reveal":
		a.kind = word
		return a, text[len(word):], nil
	case "asks":
		a.kind = word
		v, rest, err := parseValue(strings.TrimSpace(text[len(word):]))
		if err != nil {
			return a, "", err
		}
		if text, ok := v.(string); ok {
			a.form = run.Form{Kind: "ask", Text: text, Type: types.Type{Kind: types.String}}
			return a, rest, nil
		}
		raw, err := json.Marshal(v)
		if err == nil {
			err = json.Unmarshal(raw, &a.form)
		}
		return a, rest, err
	case "panic", "fail", "stubborn":
		a.kind = word
		text = strings.TrimSpace(text[len(word):])
		a.outcome = run.Failure
		if word == "fail" && !strings.HasPrefix(text, `"`) {
			outcome, after, _ := strings.Cut(text, " ")
			a.outcome, text = run.Outcome(outcome), after
		}
		v, rest, err := parseValue(text)
		if err != nil {
			return a, "", err
		}
		a.value = v
		a.message, _ = v.(string)
		if after, ok := strings.CutPrefix(rest, " retry "); ok {
			word, more, _ := strings.Cut(after+",", ",")
			if a.retryAfter, err = parseDuration(strings.TrimSpace(word)); err != nil {
				return a, "", err
			}
			if rest = ""; more != "" {
				rest = "," + strings.TrimSuffix(more, ",")
			}
		}
		return a, rest, nil
	}
	a.kind = "value"
	a.value, rest, err = parseValue(text)
	if used, ok := strings.CutPrefix(rest, " used "); ok {
		n, scanErr := fmt.Sscanf(used, "%d/%d", &a.input, &a.output)
		if scanErr != nil || n != 2 {
			return a, "", fmt.Errorf("`%s` does not say how many tokens: used 200/100", rest)
		}
		rest = strings.TrimLeft(used, "0123456789/")
	}
	return a, rest, err
}

// parseValue reads the JSON value a text begins with.
func parseValue(text string) (any, string, error) {
	d := json.NewDecoder(strings.NewReader(text))
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, "", fmt.Errorf("`%s` does not begin with a JSON value: %w", text, err)
	}
	v, err := run.DecodeValue(raw)
	return v, text[d.InputOffset():], err
}

func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		d, err := time.ParseDuration(days + "h")
		return 24 * d, err
	}
	return time.ParseDuration(text)
}
