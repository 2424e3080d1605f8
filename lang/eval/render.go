package eval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/types"
)

// Render is the text of a value where it stands in a text: strings, numbers and booleans as they are, lists and records as indented JSON with sorted
// keys. The error says why there is no such text: a file, a secret, nothing, or more than MaxValue bytes.
func Render(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int:
		return strconv.Itoa(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return string(appendFloat(nil, v)), nil
	case nil:
		return "", errors.New("there is nothing to put into the text; say what to write instead: `<<… ?? \"none\">>`")
	case types.FileValue:
		return "", fmt.Errorf("the file `%s` cannot stand in a text; write `.text` for what is in it, `.name` for its name", v.Name)
	case types.Secret, types.Parts:
		return "", errors.New("a secret cannot stand in this text")
	}
	b, err := appendJSON(nil, v, "\n", "  ")
	return string(b), err
}

// AppendPlain is Render for texts, whole numbers and truths, behind what b holds. Of other values it says no and leaves b as it is.
func AppendPlain(b []byte, v any) ([]byte, bool) {
	switch v := v.(type) {
	case string:
		return append(b, v...), true
	case int:
		return strconv.AppendInt(b, int64(v), 10), true
	case bool:
		return strconv.AppendBool(b, v), true
	}
	return b, false
}

// RenderParts joins the parts of a text. It is a string, or, when a part is a secret or large, types.Parts. A part that cannot be
// rendered gives an error, as the value: it is an error or one of these two.
func RenderParts(parts []any) any {
	var joined types.Parts
	var b strings.Builder
	apart := false
	flush := func() {
		if b.Len() > 0 {
			joined = append(joined, b.String())
			b.Reset()
		}
	}
	total := 0
	for _, part := range parts {
		switch part := part.(type) {
		case types.Secret:
			apart = true
			flush()
			joined = append(joined, part)
		case types.Large:
			apart = true
			if total += int(part.Size); total > MaxValue {
				return errTooLarge
			}
			flush()
			joined = append(joined, part)
		case types.Parts:
			apart = true
			for _, inner := range part {
				if s, ok := inner.(string); ok {
					b.WriteString(s)
					continue
				}
				flush()
				joined = append(joined, inner)
			}
		default:
			s, err := Render(part)
			if err != nil {
				return err
			}
			if total += len(s); total > MaxValue {
				return errTooLarge
			}
			b.WriteString(s)
		}
	}
	if !apart {
		return b.String()
	}
	flush()
	return joined
}

// appendFloat writes a float as JSON does: the shortest text that reads back; 3.0 is 3.
func appendFloat(b []byte, f float64) []byte {
	if f == 0 {
		return append(b, '0') // also the negative one
	}
	format := byte('f')
	if abs := math.Abs(f); abs < 1e-6 || abs >= 1e21 {
		format = 'e'
	}
	b = strconv.AppendFloat(b, f, format, -1, 64)
	if n := len(b); format == 'e' && n >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b[n-2] = b[n-1] // e-09 is e-9
		b = b[:n-1]
	}
	return b
}

var errTooLarge = fmt.Errorf("this makes a text larger than %d MiB", MaxValue>>20)

// appendJSON writes v as JSON with sorted keys and nothing escaped that need not be. line begins each line ("\n" and the indent so far; "" for one
// line), indent is added for each level.
func appendJSON(b []byte, v any, line, indent string) ([]byte, error) {
	if len(b) > MaxValue {
		return b, errTooLarge
	}
	if len(line) > 2*maxDepth {
		return b, fmt.Errorf("this value is nested deeper than %d", maxDepth)
	}
	var err error
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case float64:
		return appendFloat(b, v), nil
	case string:
		return appendString(b, v), nil
	case []any:
		if len(v) == 0 {
			return append(b, "[]"...), nil
		}
		inner := deeper(line, indent)
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, shownLine(inner, indent)...)
			if b, err = appendJSON(b, item, inner, indent); err != nil {
				return b, err
			}
		}
		b = append(b, shownLine(line, indent)...)
		return append(b, ']'), nil
	case map[string]any:
		return appendRecord(b, v, line, indent)
	case types.FileValue:
		return b, fmt.Errorf("the file `%s` cannot stand in a text; write `.text` for what is in it, `.name` for its name", v.Name)
	case types.Secret, types.Parts:
		return b, errors.New("a secret cannot stand in this text")
	}
	return b, fmt.Errorf("%s cannot stand in a text", word(v))
}

func appendRecord(b []byte, v map[string]any, line, indent string) ([]byte, error) {
	if len(v) == 0 {
		return append(b, "{}"...), nil
	}
	inner := deeper(line, indent)
	b = append(b, '{')
	var err error
	for i, name := range sortedKeys(v) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, shownLine(inner, indent)...)
		b = appendString(b, name)
		b = append(b, ':')
		if indent != "" {
			b = append(b, ' ')
		}
		if b, err = appendJSON(b, v[name], inner, indent); err != nil {
			return b, err
		}
	}
	b = append(b, shownLine(line, indent)...)
	return append(b, '}'), nil
}

// deeper is the line of the next level. In one line it counts the depth all the same.
func deeper(line, indent string) string {
	if indent == "" {
		return line + "  "
	}
	return line + indent
}

func shownLine(line, indent string) string {
	if indent == "" {
		return ""
	}
	return line
}

func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, `\n`...)
			case '\r':
				b = append(b, `\r`...)
			case '\t':
				b = append(b, `\t`...)
			default:
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\uFFFD"...)
			i++
			start = i
			continue
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// FromJSON reads one JSON value into the values of the language: a number with a point or an exponent is a float, any other an int
// (a float when it is too large for one). The error says where the text stops being JSON, in an author's words.
func FromJSON(text []byte) (any, error) {
	if len(text) > MaxValue {
		return nil, errTooLarge
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var raw any
	if err := d.Decode(&raw); err != nil {
		return nil, sayJSON(err, d.InputOffset(), text)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is something after the end of the JSON")
	}
	return fromNumbers(raw, 0)
}

func sayJSON(err error, offset int64, text []byte) error {
	var broken *json.SyntaxError
	if errors.As(err, &broken) {
		offset = broken.Offset
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return errors.New("the text is empty, it is not JSON")
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "unexpected end") {
		return errors.New("the JSON ends too early")
	}
	line := 1 + bytes.Count(text[:min(int(max(offset, 0)), len(text))], []byte("\n"))
	return fmt.Errorf("this is not JSON (line %d)", line)
}

// fromNumbers replaces the numbers in place.
func fromNumbers(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the JSON is nested deeper than %d", maxDepth)
	}
	var err error
	switch v := v.(type) {
	case json.Number:
		return number(string(v))
	case []any:
		for i := range v {
			if v[i], err = fromNumbers(v[i], depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for _, k := range sortedKeys(v) { // of two mistakes the same is told each time
			if v[k], err = fromNumbers(v[k], depth+1); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func number(s string) (any, error) {
	if !strings.ContainsAny(s, ".eE") {
		if n, err := strconv.Atoi(s); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, fmt.Errorf("the number %.40s is too large", s)
	}
	return f, nil
}

// Path reads a.b.c of the value of a, without an expression. It fails as the expression would, with a Failure that has no place. It opens nothing: the text of
// a file whose bytes are elsewhere is a types.Large.
func Path(v any, path []string) (_ any, err error) {
	m := meter{refer: true}
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(*Failure)
			if !ok {
				panic(r)
			}
			err = f
		}
	}()
	for _, name := range path {
		v = m.field(v, name)
	}
	return v, nil
}
