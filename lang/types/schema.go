package types

import (
	"bytes"
	"encoding/json"
)

// Schema is the JSON Schema of t in the strict manner models want: every record lists its fields, allows no others and says which are required;
// an optional field is one that is not required. An optional type that is not a field is nullable. A schema for any is {}.
//
// The order of fields is that of the declaration, so the bytes are the same every time: they are part of cache keys.
func Schema(t Type) json.RawMessage { return schema(t, false) }

// SchemaStrict is Schema for providers that want every field required (OpenAI's strict mode): an optional field is required and nullable.
func SchemaStrict(t Type) json.RawMessage { return schema(t, true) }

func schema(t Type, allRequired bool) json.RawMessage {
	w := schemaWriter{allRequired: allRequired}
	w.write(t, "", t.Optional)
	return w.b.Bytes()
}

type schemaWriter struct {
	b           bytes.Buffer
	allRequired bool
}

func (w *schemaWriter) write(t Type, doc string, nullable bool) {
	w.b.WriteByte('{')
	if doc != "" {
		w.key("description", true)
		w.text(doc)
	}
	start := doc == ""
	switch t.Kind {
	case String:
		w.kind("string", nullable, start)
	case Int:
		w.kind("integer", nullable, start)
	case Float:
		w.kind("number", nullable, start)
	case Bool:
		w.kind("boolean", nullable, start)
	case Nothing:
		w.kind("null", false, start)
	case File:
		// A model cannot give a file; what it can give is its text.
		w.kind("string", nullable, start)
	case Enum:
		w.kind("string", nullable, start)
		w.enum(t.Values, nullable)
	case List:
		w.kind("array", nullable, start)
		w.key("items", false)
		w.write(t.Item(), "", t.Item().Optional)
	case Record:
		w.kind("object", nullable, start)
		w.record(t)
	}
	w.b.WriteByte('}')
}

func (w *schemaWriter) enum(values []string, nullable bool) {
	w.key("enum", false)
	w.b.WriteByte('[')
	for i, v := range values {
		if i > 0 {
			w.b.WriteByte(',')
		}
		w.text(v)
	}
	if nullable {
		w.b.WriteString(",null")
	}
	w.b.WriteByte(']')
}

func (w *schemaWriter) record(t Type) {
	w.key("properties", false)
	w.b.WriteByte('{')
	for i, f := range t.Fields {
		w.key(f.Name, i == 0)
		w.write(f.Type, f.Doc, f.Type.Optional && w.allRequired)
	}
	w.b.WriteByte('}')
	w.key("required", false)
	w.b.WriteByte('[')
	first := true
	for _, f := range t.Fields {
		if f.Type.Optional && !w.allRequired {
			continue
		}
		if !first {
			w.b.WriteByte(',')
		}
		first = false
		w.text(f.Name)
	}
	w.b.WriteByte(']')
	w.key("additionalProperties", false)
	w.b.WriteString("false")
}

func (w *schemaWriter) kind(name string, nullable, first bool) {
	w.key("type", first)
	if nullable {
		w.b.WriteString(`["` + name + `","null"]`)
		return
	}
	w.b.WriteString(`"` + name + `"`)
}

func (w *schemaWriter) key(name string, first bool) {
	if !first {
		w.b.WriteByte(',')
	}
	w.text(name)
	w.b.WriteByte(':')
}

func (w *schemaWriter) text(s string) {
	enc := json.NewEncoder(&w.b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("types: a string does not encode: " + err.Error())
	}
	w.b.Truncate(w.b.Len() - 1) // Encode ends its value with a newline
}
