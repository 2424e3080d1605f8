package run

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/slopstudios/slop/lang/types"
)

// maxDepth bounds the nesting of a value: a Go stack overflow cannot be caught.
const maxDepth = 1000

// EncodeValue writes a runtime value as JSON that DecodeValue reads back exactly: 3 is an int and 3.0 a float, keys are sorted, and what JSON does not
// know is an object with one key: {"$file":{…}}, {"$large":{"sha256":…,"size":…}}, {"$secret":"NAME"}, {"$parts":[…]}, {"$bytes":"base64"} for a text that is not UTF-8, and {"$map":{…}}
// around a record that itself has a key beginning with $.
func EncodeValue(v any) ([]byte, error) {
	return AppendValue(nil, v)
}

// AppendValue is EncodeValue into a buffer.
func AppendValue(b []byte, v any) ([]byte, error) {
	return appendValue(b, v, 0)
}

func appendValue(b []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return b, fmt.Errorf("a value is nested deeper than %d", maxDepth)
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
		return appendFloat(b, v)
	case string:
		if !utf8.ValidString(v) {
			b = append(b, `{"$bytes":"`...)
			b = base64.StdEncoding.AppendEncode(b, []byte(v))
			return append(b, `"}`...), nil
		}
		return appendString(b, v), nil
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendValue(b, x, depth+1); err != nil {
				return b, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		return appendMap(b, v, depth)
	case types.FileValue:
		raw, err := json.Marshal(v)
		if err != nil {
			return b, err
		}
		b = append(b, `{"$file":`...)
		b = append(b, raw...)
		return append(b, '}'), nil
	case types.Secret:
		b = append(b, `{"$secret":`...)
		b = appendString(b, v.Name)
		return append(b, '}'), nil
	case types.Large:
		b = append(b, `{"$large":{"sha256":`...)
		b = appendString(b, v.SHA256)
		b = append(b, `,"size":`...)
		return append(strconv.AppendInt(b, v.Size, 10), "}}"...), nil
	case types.Parts:
		b = append(b, `{"$parts":`...)
		if b, err = appendValue(b, []any(v), depth+1); err != nil {
			return b, err
		}
		return append(b, '}'), nil
	}
	return b, fmt.Errorf("a %T is not a value of the language", v)
}

func appendMap(b []byte, m map[string]any, depth int) ([]byte, error) {
	keys := make([]string, 0, len(m))
	tagged := false
	for k := range m {
		keys = append(keys, k)
		tagged = tagged || strings.HasPrefix(k, "$")
	}
	slices.Sort(keys)
	if tagged {
		b = append(b, `{"$map":`...)
	}
	b = append(b, '{')
	var err error
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		if !utf8.ValidString(k) {
			return b, fmt.Errorf("the key %q is not UTF-8", k)
		}
		b = append(appendString(b, k), ':')
		if b, err = appendValue(b, m[k], depth+1); err != nil {
			return b, err
		}
	}
	b = append(b, '}')
	if tagged {
		b = append(b, '}')
	}
	return b, nil
}

// appendFloat writes the shortest text that reads back, always with a point or an exponent.
func appendFloat(b []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return b, errors.New("a number is not finite")
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[start:], ".e") {
		b = append(b, ".0"...)
	}
	return b, nil
}

// appendString writes s, which is UTF-8, as a JSON string; nothing is escaped that need not be, save the two line separators and the HTML signs,
// which encoding/json would escape when it copies the text.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
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
		start = i + 1
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// DecodeValue reads what EncodeValue wrote, and any other JSON: a number without point and exponent that fits is an int, every other one a float64.
func DecodeValue(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the value")
	}
	return fromJSON(v, 0)
}

func fromJSON(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("a value is nested deeper than %d", maxDepth)
	}
	var err error
	switch v := v.(type) {
	case json.Number:
		return number(string(v))
	case []any:
		for i, x := range v {
			if v[i], err = fromJSON(x, depth+1); err != nil {
				return nil, err
			}
		}
		return v, nil
	case map[string]any:
		if len(v) == 1 {
			for k, x := range v {
				if strings.HasPrefix(k, "$") {
					return untag(k, x, depth)
				}
			}
		}
		return fields(v, depth)
	}
	return v, nil
}

func fields(m map[string]any, depth int) (any, error) {
	var err error
	for k, x := range m {
		if m[k], err = fromJSON(x, depth+1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func untag(tag string, x any, depth int) (any, error) {
	switch tag {
	case "$map":
		if m, ok := x.(map[string]any); ok {
			return fields(m, depth)
		}
	case "$secret":
		if s, ok := x.(string); ok {
			return types.Secret{Name: s}, nil
		}
	case "$large":
		raw, err := json.Marshal(x)
		if err != nil {
			return nil, err
		}
		var l types.Large
		if err := json.Unmarshal(raw, &l); err != nil || l.Size < 0 {
			return nil, errors.New("the tag $large does not hold what it should")
		}
		return l, nil
	case "$bytes":
		if s, ok := x.(string); ok {
			raw, err := base64.StdEncoding.DecodeString(s)
			return string(raw), err
		}
	case "$parts":
		if l, ok := x.([]any); ok {
			v, err := fromJSON(l, depth+1)
			if err != nil {
				return nil, err
			}
			return types.Parts(v.([]any)), nil
		}
	case "$file":
		raw, err := json.Marshal(x)
		if err != nil {
			return nil, err
		}
		var f types.FileValue
		err = json.Unmarshal(raw, &f)
		return f, err
	default: // plain JSON from outside that happens to look so
		return fields(map[string]any{tag: x}, depth)
	}
	return nil, fmt.Errorf("the tag %s does not hold what it should", tag)
}

func number(s string) (any, error) {
	if !strings.ContainsAny(s, ".eE") {
		if n, err := strconv.Atoi(s); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil, fmt.Errorf("the number %s is out of range", s)
	}
	return f, nil
}
