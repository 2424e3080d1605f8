package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/types"
)

// maxAnswer bounds one answer of an agent: a flood ends that call, not the process. Files are kept apart and never opened by a run, so they may hold more:
// ten minutes of sound are 106 MB. maxLevels bounds the nesting.
const (
	maxAnswer = 32 << 20
	maxFiles  = 128 << 20
	maxLevels = 200
)

// read turns what an agent gave into a value of type t, or says what is wrong with it. A text stands for the JSON in it, unless a text is wanted.
func read(t types.Type, v any) (any, []string) {
	if s, ok := v.(string); ok && !textual(t) {
		return readText(t, s)
	}
	return eval.Read(t, v)
}

func textual(t types.Type) bool {
	return t.Kind == types.String || t.Kind == types.Any || t.Kind == types.File
}

// readText looks for the JSON in a model's text: the whole text, a fenced block, the first brace or bracket that closes. The first that fits counts; if
// none does, the problems are those of the first that could be read.
func readText(t types.Type, text string) (any, []string) {
	trimmed := strings.TrimSpace(text)
	if t.Kind == types.Enum && slices.Contains(t.Values, trimmed) {
		return trimmed, nil
	}
	var problems []string
	for _, candidate := range candidates(trimmed) {
		v, err := decode(candidate)
		if err != nil {
			continue
		}
		value, wrong := eval.Read(t, v)
		if len(wrong) == 0 {
			return value, nil
		}
		if problems == nil {
			problems = wrong
		}
	}
	if problems == nil {
		problems = []string{"expected " + t.String() + " as JSON, found a text without it"}
		if t.Kind == types.Enum {
			problems = []string{"expected one of " + t.String()}
		}
	}
	return nil, problems
}

// candidates lists the parts of a text that may be its JSON, likeliest first.
func candidates(text string) []string {
	list := []string{text}
	for rest := text; len(list) < 8; {
		_, after, fenced := strings.Cut(rest, "```")
		if !fenced {
			break
		}
		inside, further, closed := strings.Cut(after, "```")
		if !closed {
			inside, further = after, ""
		}
		if first, body, more := strings.Cut(inside, "\n"); more && !strings.ContainsAny(first, "{[\"") {
			inside = body // the word after the fence
		}
		list = append(list, strings.TrimSpace(inside))
		rest = further
	}
	for i := 0; i < len(text) && len(list) < 16; i++ {
		if text[i] != '{' && text[i] != '[' {
			continue
		}
		if end := closing(text[i:]); end > 0 {
			list = append(list, text[i:i+end])
			i += end - 1
		}
	}
	return list
}

// closing is the length of the JSON that begins with a bracket, by counting brackets outside of strings; 0 when it does not end.
func closing(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// decode reads JSON into values of the language: a number without point and exponent is an int where it fits.
func decode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more follows")
	}
	return normal(v)
}

// normal turns what adapters give into values of the language, sharing what is normal already. It is an error to give anything else, a number that is
// none, or more levels than a value may have.
func normal(v any) (any, error) {
	n, _, err := normalize(v, 0)
	return n, err
}

// normalize also reports whether the value is another one than it was given.
func normalize(v any, level int) (value any, changed bool, err error) {
	if level > maxLevels {
		return nil, false, fmt.Errorf("it is nested deeper than %d levels", maxLevels)
	}
	switch v := v.(type) {
	case nil, bool, int, string, types.FileValue:
		return v, false, nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, false, errors.New("it holds a number that is none")
		}
		return v, false, nil
	case []any:
		return normalList(v, level)
	case map[string]any:
		return normalRecord(v, level)
	}
	value, err = foreign(v)
	return value, true, err
}

// foreign takes the Go types that adapters are most likely to hand over.
func foreign(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		return number(v)
	case int64:
		return int(v), nil
	case int32:
		return int(v), nil
	case float32:
		return normal(float64(v))
	case json.RawMessage:
		return decode(string(v))
	case []string:
		list := make([]any, len(v))
		for i, s := range v {
			list[i] = s
		}
		return list, nil
	case map[string]string:
		record := make(map[string]any, len(v))
		for name, s := range v {
			record[name] = s
		}
		return record, nil
	case *types.FileValue:
		if v == nil {
			return nil, nil
		}
		return *v, nil
	default:
		return nil, fmt.Errorf("a %T is no value", v)
	}
}

func normalList(v []any, level int) (any, bool, error) {
	list, copied := v, false
	for i, item := range v {
		n, changed, err := normalize(item, level+1)
		if err != nil {
			return nil, false, err
		}
		if changed && !copied {
			list, copied = slices.Clone(v), true
		}
		if changed {
			list[i] = n
		}
	}
	return list, copied, nil
}

func normalRecord(v map[string]any, level int) (any, bool, error) {
	record, copied := v, false
	for name, field := range v {
		n, changed, err := normalize(field, level+1)
		if err != nil {
			return nil, false, err
		}
		if changed && !copied {
			record, copied = maps.Clone(v), true
		}
		if changed {
			record[name] = n
		}
	}
	return record, copied, nil
}

func number(n json.Number) (any, error) {
	if !strings.ContainsAny(string(n), ".eE") {
		if i, err := n.Int64(); err == nil {
			return int(i), nil
		}
	}
	f, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("the number %s is too large", n)
	}
	return f, nil
}

// fileBytes are the bytes in the files of a value.
func fileBytes(v any) (sum int) {
	switch v := v.(type) {
	case types.FileValue:
		return len(v.Data)
	case []any:
		for _, item := range v {
			sum += fileBytes(item)
		}
	case map[string]any:
		for _, field := range v {
			sum += fileBytes(field)
		}
	}
	return sum
}

// weight estimates the bytes of a value, and stops counting at limit.
func weight(v any, limit int) int {
	switch v := v.(type) {
	case string:
		return len(v) + 16
	case types.FileValue:
		return len(v.Data) + 64
	case []any:
		sum := 24
		for _, item := range v {
			if sum > limit {
				return sum
			}
			sum += weight(item, limit-sum)
		}
		return sum
	case map[string]any:
		sum := 48
		for name, field := range v {
			if sum > limit {
				return sum
			}
			sum += len(name) + weight(field, limit-sum)
		}
		return sum
	case json.RawMessage:
		return len(v)
	default:
		return 16
	}
}

// clip shortens a message to at most n bytes, at a rune's edge.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return string(bytes.ToValidUTF8([]byte(s[:n-len("…")]), nil)) + "…"
}
