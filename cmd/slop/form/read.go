package form

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/cmd/slop/screen"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/types"
	"github.com/slopstudios/slop/runtime/run"
)

// Read turns one line into the answer that a form asks for, and the reason that may stand behind a yes or a no.
func Read(f run.Form, line string) (value any, reason string, err error) {
	text := strings.TrimSpace(line)
	switch {
	case f.Kind == run.ApproveForm:
		return verdict(text)
	case f.Kind == run.InterruptedForm:
		value, err = interrupted(f, line)
	case len(f.Choices) > 0:
		value, err = choice(f.Choices, text)
	case f.Kind == run.FillForm:
		value, err = filled(f.Type, text)
	case text == "" && !f.Type.Optional:
		err = errors.New("please type an answer")
	default:
		value, err = one(f.Answer(), line)
	}
	return value, "", err
}

func verdict(text string) (value any, reason string, err error) {
	word, reason, _ := strings.Cut(text, " ")
	reason = strings.TrimSpace(reason)
	switch strings.ToLower(strings.Trim(word, ",:;.")) {
	case "y", "yes", "approve", "approved":
		return "yes", reason, nil
	case "n", "no", "reject", "rejected":
		return "no", reason, nil
	}
	return nil, "", errors.New("please answer yes or no, and why if you like")
}

// choice reads the name of one of several, or its number.
func choice(from []string, text string) (any, error) {
	for _, c := range from {
		if c == text {
			return c, nil
		}
	}
	for _, c := range from {
		if strings.EqualFold(c, text) {
			return c, nil
		}
	}
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= len(from) {
		return from[n-1], nil
	}
	if near, ok := diag.Nearest(text, from); ok && text != "" {
		return nil, fmt.Errorf("please choose one of them; did you mean %q?", near)
	}
	return nil, errors.New("please choose one of them, by its number or name")
}

// one reads a value of a type. A text does not need its quotes, and is a text also when it looks like a number.
func one(t types.Type, line string) (any, error) {
	text := strings.TrimSpace(line)
	if text == "" && t.Optional {
		return nil, nil
	}
	switch t.Kind {
	case types.String:
		if text == "" {
			return nil, errors.New(`please type a text; "" is an empty one`)
		}
		if text == `""` {
			return "", nil
		}
		return line, nil
	case types.Int:
		if n, err := strconv.Atoi(text); err == nil {
			return n, nil
		}
		return nil, fmt.Errorf("%s is not a whole number", screen.OneLine(strconv.Quote(text), 60))
	case types.Float:
		if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return nil, fmt.Errorf("%s is not a number", screen.OneLine(strconv.Quote(text), 60))
	case types.Bool:
		switch strings.ToLower(text) {
		case "y", "yes", "true":
			return true, nil
		case "n", "no", "false":
			return false, nil
		}
		return nil, errors.New("please answer yes or no")
	case types.Enum:
		return choice(t.Values, text)
	case types.Any:
		return readResult(t, line), nil
	}
	return readJSON(t, text)
}

// readJSON reads all of a value at once.
func readJSON(t types.Type, text string) (any, error) {
	v, err := eval.FromJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("this is not JSON: %w; such as %s", err, Sample(t))
	}
	v, problems := eval.ReadAt(t, v)
	if len(problems) > 0 {
		return nil, problem(problems[0])
	}
	return v, nil
}

// filled reads what a person says to the form of an agent: decline; accept, where nothing is to be filled in; a value, where one field is; else the fields.
func filled(t types.Type, text string) (any, error) {
	if strings.EqualFold(text, run.Decline) {
		return run.Decline, nil
	}
	needed := 0
	for _, f := range t.Fields {
		if !f.Type.Optional {
			needed++
		}
	}
	if strings.EqualFold(text, "accept") && needed == 0 {
		return map[string]any{}, nil
	}
	if strings.HasPrefix(text, "{") {
		return readJSON(t, text)
	}
	if len(t.Fields) == 1 && text != "" {
		v, err := one(t.Fields[0].Type, text)
		return map[string]any{t.Fields[0].Name: v}, err
	}
	return nil, fmt.Errorf("please answer with %s", strings.TrimSpace(Hint(run.Form{Kind: run.FillForm, Type: t})))
}

// interrupted reads what a person says about a call that was cut off: done, done and its value, again, fail.
func interrupted(f run.Form, line string) (any, error) {
	word, value, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	switch word = strings.ToLower(strings.TrimSpace(word)); {
	case word == "done" && strings.TrimSpace(value) != "":
		v, problems := eval.ReadAt(f.Type, readResult(f.Type, value))
		if len(problems) > 0 {
			return nil, fmt.Errorf("what the call gave does not fit: %w", problem(problems[0]))
		}
		return map[string]any{"done": v}, nil
	case strings.TrimSpace(value) == "" && (word == "done" || word == "again" || word == "fail"):
		return word, nil
	}
	return nil, errors.New("please answer done (with the value, if there is one), again or fail")
}

// readResult reads JSON. A text does not need its quotes, and is a text also when it looks like a number.
func readResult(t types.Type, text string) any {
	v, err := eval.FromJSON([]byte(text))
	if err != nil {
		return text
	}
	if _, quoted := v.(string); !quoted && t.Kind == types.String {
		return text
	}
	return v
}

// Hint is the prompt of a form that takes one line.
func Hint(f run.Form) string {
	switch {
	case f.Kind == run.ApproveForm:
		return "[yes/no] "
	case f.Kind == run.InterruptedForm:
		return "[done/done VALUE/again/fail] "
	case f.Kind == run.FillForm && (f.Type.Kind != types.Record || len(f.Type.Fields) == 0):
		return "[accept/decline] "
	case f.Kind == run.FillForm:
		return "[" + screen.Inert(Sample(f.Type)) + ", or decline] "
	case len(f.Choices) > 0:
		return fmt.Sprintf("[1-%d] ", len(f.Choices))
	}
	switch t := f.Answer(); {
	case t.Kind == types.Enum:
		return strings.TrimSpace(choices(t.Values)) + "\n" + fmt.Sprintf("[1-%d] ", len(t.Values))
	case t.Kind != types.String || t.Optional:
		return field(t, "")
	}
	return "> "
}

// Fields lists what a form has, a line each.
func Fields(t types.Type) []string {
	var lines []string
	for _, f := range t.Fields {
		line := screen.Inert(f.Name) + ": " + screen.Inert(f.Type.String())
		if f.Doc != "" {
			line += "  " + screen.OneLine(f.Doc, 200)
		}
		lines = append(lines, line)
	}
	return lines
}

// Sample is an answer of a type as JSON, to be filled in.
func Sample(t types.Type) string { return sample(t, 0) }

// maxSample bounds how deep a sample goes.
const maxSample = 4

func sample(t types.Type, depth int) string {
	switch {
	case t.Kind == types.Int, t.Kind == types.Float:
		return "0"
	case t.Kind == types.Bool:
		return "true"
	case t.Kind == types.Enum && len(t.Values) > 0:
		return quoted(t.Values[0])
	case depth >= maxSample:
	case t.Kind == types.List:
		return "[" + sample(t.Item(), depth+1) + "]"
	case t.Kind == types.Record:
		fields := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			fields[i] = quoted(f.Name) + ": " + sample(f.Type, depth+1)
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return `"…"`
}

func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return `"…"`
	}
	return string(text)
}
