package jsonflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// kind is the kind of a JSON value; its words are those of messages.
type kind string

const (
	nothing kind = "null"
	boolean kind = "true or false"
	number  kind = "a number"
	text    kind = "a text"
	list    kind = "a list"
	object  kind = "an object"
)

// value is a JSON value that knows where it stands.
type value struct {
	kind    kind
	at      source.Span
	pointer string // RFC 6901; "" is the whole
	text    string // of a text; of a number and of true or false as written
	items   []*value
	fields  []field // of an object, in written order
}

type field struct {
	name  string
	at    source.Span
	value *value
}

// What a definition may measure. Beyond that it is a mistake or an attack.
const (
	maxBytes = 2 << 20 // as a script
	maxDepth = 100
)

// read makes a tree of JSON, or says where the text is none.
func (r *reader) read() *value {
	raw := []byte(r.src.Text)
	if len(raw) > maxBytes {
		r.broken(0, fmt.Sprintf("a definition has at most %d bytes, this one has %d", maxBytes, len(raw)))
		return nil
	}
	if bytes.HasPrefix(raw, []byte("\ufeff")) {
		copy(raw, "   ") // the mark keeps its place, so that positions stay those of the file
	}
	var any json.RawMessage
	if err := json.Unmarshal(raw, &any); err != nil {
		at := len(raw)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = int(max(0, syntax.Offset-1))
		}
		r.broken(at, "this is no JSON: "+err.Error())
		return nil
	}
	s := scanner{r: r, raw: raw}
	v := s.value("", 0)
	if s.deep {
		return nil
	}
	return v
}

func (r *reader) broken(at int, message string) {
	r.diags.Add(diag.Diagnostic{Code: "E0201", Severity: diag.Error, File: r.src, Span: source.Span{Start: at, End: at + 1}, Message: message})
}

// scanner walks JSON that is known to be well-formed.
type scanner struct {
	r    *reader
	raw  []byte
	i    int
	deep bool // too deep: it has been said
}

func (s *scanner) blank() {
	for s.i < len(s.raw) && strings.IndexByte(" \t\r\n,:", s.raw[s.i]) >= 0 {
		s.i++
	}
}

func (s *scanner) value(pointer string, depth int) *value {
	s.blank()
	v := &value{pointer: pointer, at: source.Span{Start: s.i}}
	if depth > maxDepth {
		if !s.deep {
			s.deep = true
			s.r.broken(s.i, fmt.Sprintf("values are nested more than %d deep", maxDepth))
		}
		s.i = len(s.raw)
		return v
	}
	switch c := s.raw[s.i]; c {
	case '{':
		v.kind = object
		seen := map[string]bool{}
		for s.i++; ; {
			if s.blank(); s.i >= len(s.raw) || s.raw[s.i] == '}' {
				break
			}
			start := s.i
			name := s.text()
			f := field{name: name, at: source.Span{Start: start, End: s.i}}
			f.value = s.value(pointer+"/"+escape(name), depth+1)
			if seen[name] {
				s.r.wrong("E0202", &value{pointer: f.value.pointer, at: f.at}, "%s stands here twice", quoted(name)).Label = "which of them counts?"
			}
			seen[name] = true
			v.fields = append(v.fields, f)
		}
		s.i++
	case '[':
		v.kind = list
		for s.i++; ; {
			if s.blank(); s.i >= len(s.raw) || s.raw[s.i] == ']' {
				break
			}
			v.items = append(v.items, s.value(pointer+"/"+strconv.Itoa(len(v.items)), depth+1))
		}
		s.i++
	case '"':
		v.kind, v.text = text, s.text()
	default:
		for s.i < len(s.raw) && strings.IndexByte(" \t\r\n,:]}", s.raw[s.i]) < 0 {
			s.i++
		}
		v.text = string(s.raw[v.at.Start:s.i])
		switch c {
		case 't', 'f':
			v.kind = boolean
		case 'n':
			v.kind = nothing
		default:
			v.kind = number
			if f, err := strconv.ParseFloat(v.text, 64); err != nil {
				s.r.wrong("E0202", &value{pointer: pointer, at: source.Span{Start: v.at.Start, End: s.i}}, "%s is beyond what a number can be", quoted(v.text))
				v.text = strconv.FormatFloat(min(f, 1), 'g', -1, 64)
			}
		}
	}
	v.at.End = min(s.i, len(s.raw))
	return v
}

func (s *scanner) text() string {
	start := s.i
	for s.i++; s.i < len(s.raw) && s.raw[s.i] != '"'; s.i++ {
		if s.raw[s.i] == '\\' {
			s.i++
		}
	}
	s.i = min(s.i+1, len(s.raw))
	var t string
	_ = json.Unmarshal(s.raw[start:s.i], &t) // it was read as a whole before
	return t
}

// escape writes a name as a part of a JSON pointer.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// get is the value of a field that is there and not null.
func (v *value) get(name string) *value {
	if v == nil {
		return nil
	}
	for i := range v.fields {
		if v.fields[i].name == name && v.fields[i].value.kind != nothing {
			return v.fields[i].value
		}
	}
	return nil
}
