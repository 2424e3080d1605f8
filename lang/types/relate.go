package types

import (
	"slices"
	"strconv"
	"strings"
)

// ListOf is the type of a list whose items have type t.
func ListOf(t Type) Type { return Type{Kind: List, Elem: &t} }

// Maybe is t?: a t, or nothing.
func Maybe(t Type) Type {
	if t.Kind != Nothing {
		t.Optional = true
	}
	return t
}

// Item is the type of the items of a list; any when nothing is known of them.
func (t Type) Item() Type {
	if t.Elem == nil {
		return Type{}
	}
	return *t.Elem
}

// Field finds a field of a record by name.
func (t Type) Field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// String says the type in the words of an author: "list of string", `"bug" or "billing"`, "Review", "int or nothing".
func (t Type) String() string {
	if t.Optional && t.Kind != Nothing {
		return t.bare() + " or nothing"
	}
	return t.bare()
}

func (t Type) bare() string {
	if t.Name != "" {
		return t.Name
	}
	switch t.Kind {
	case Any:
		return "any"
	case String:
		return "string"
	case Int:
		return "int"
	case Float:
		return "float"
	case Bool:
		return "bool"
	case File:
		return "file"
	case Nothing:
		return "nothing"
	case Agent:
		return "agent"
	case List:
		return t.list()
	case Enum:
		return Quoted(t.Values)
	case Record:
		return t.record()
	}
	return "any"
}

func (t Type) list() string {
	item := t.Item()
	if item.Kind == Nothing {
		return "empty list"
	}
	if item.Optional || item.Kind == Enum {
		return "list of (" + item.String() + ")"
	}
	return "list of " + item.String()
}

func (t Type) record() string {
	const shown = 8 // more fields than this do not help a reader
	var b strings.Builder
	b.WriteString("{")
	for i, f := range t.Fields {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == shown {
			b.WriteString("…")
			break
		}
		b.WriteString(f.Name + ": " + f.Type.String())
	}
	b.WriteString("}")
	return b.String()
}

// Quoted lists the values of an enum for a message: `"a", "b" or "c"`.
func Quoted(values []string) string {
	const shown = 12
	quoted := make([]string, 0, len(values))
	for i, v := range values {
		if i == shown {
			quoted = append(quoted, "…")
			break
		}
		quoted = append(quoted, strconv.Quote(v))
	}
	switch n := len(quoted); n {
	case 0:
		return "no value"
	case 1:
		return quoted[0]
	default:
		return strings.Join(quoted[:n-1], ", ") + " or " + quoted[n-1]
	}
}

// Same reports whether two types have the same values. Names, the order of fields and of enum values, descriptions and musts do not count.
func Same(a, b Type) bool {
	if a.Kind != b.Kind || a.Optional != b.Optional && a.Kind != Nothing {
		return false
	}
	switch a.Kind {
	case List:
		return Same(a.Item(), b.Item())
	case Enum, Agent:
		return subset(a.Values, b.Values) && subset(b.Values, a.Values)
	case Record:
		if len(a.Fields) != len(b.Fields) {
			return false
		}
		for _, f := range a.Fields {
			g, ok := b.Field(f.Name)
			if !ok || !Same(f.Type, g.Type) {
				return false
			}
		}
	}
	return true
}

// Fits reports whether a value of type from may stand where to is wanted: int fits float, an enum fits string, T fits T?,
// a record fits one with fewer fields, and any goes both ways (it is checked where it is used). An agent is never any: who can be called is known before.
func Fits(from, to Type) bool {
	if to.Kind == Any {
		return true
	}
	if from.Kind == Nothing {
		return to.Kind == Nothing || to.Optional
	}
	if from.Optional && !to.Optional {
		return false
	}
	if from.Kind == Any {
		return !HoldsAgent(to)
	}
	switch to.Kind {
	case Float:
		return from.Kind == Float || from.Kind == Int
	case String:
		return from.Kind == String || from.Kind == Enum
	case Enum:
		return from.Kind == Enum && subset(from.Values, to.Values)
	case List:
		return from.Kind == List && (from.Item().Kind == Nothing || Fits(from.Item(), to.Item()))
	case Record:
		return from.Kind == Record && fitsFields(from, to)
	}
	return from.Kind == to.Kind
}

func fitsFields(from, to Type) bool {
	for _, want := range to.Fields {
		have, ok := from.Field(want.Name)
		if !ok || !Fits(have.Type, want.Type) {
			return false
		}
	}
	return true
}

// Meet is the type of a value that is an a or a b: of branches, fallbacks, list items. The same type stays; int with float is float; two enums
// are both lists; an enum with string is string; with nothing it is T?; lists and records with the same fields meet inside; else it is any.
func Meet(a, b Type) Type {
	switch {
	case a.Kind == Nothing:
		return Maybe(b)
	case b.Kind == Nothing:
		return Maybe(a)
	}
	t := meet(a, b)
	t.Optional = a.Optional || b.Optional
	return t
}

func meet(a, b Type) Type {
	plainA, plainB := a, b
	plainA.Optional, plainB.Optional = false, false
	if Same(plainA, plainB) {
		if a.Name != b.Name {
			plainA.Name, plainA.Musts = "", nil
		}
		return plainA
	}
	switch {
	case a.Kind == Agent && b.Kind == Agent:
		return Type{Kind: Agent, Values: union(a.Values, b.Values)}
	case a.Kind == List && b.Kind == List:
		return meetLists(a, b)
	case a.Kind == Enum && b.Kind == Enum:
		return Type{Kind: Enum, Values: union(a.Values, b.Values)}
	case a.Kind == Record && b.Kind == Record:
		return meetRecords(a, b)
	case isNumber(a) && isNumber(b):
		return Type{Kind: Float}
	case isText(a) && isText(b):
		return Type{Kind: String}
	}
	return Type{}
}

// An empty list says nothing of its items, so it takes those of the other.
func meetLists(a, b Type) Type {
	switch {
	case a.Item().Kind == Nothing:
		return ListOf(b.Item())
	case b.Item().Kind == Nothing:
		return ListOf(a.Item())
	}
	return ListOf(Meet(a.Item(), b.Item()))
}

func meetRecords(a, b Type) Type {
	if len(a.Fields) != len(b.Fields) {
		return Type{}
	}
	t := Type{Kind: Record, Fields: make([]Field, 0, len(a.Fields))}
	for _, f := range a.Fields {
		g, ok := b.Field(f.Name)
		if !ok {
			return Type{}
		}
		t.Fields = append(t.Fields, Field{Name: f.Name, Type: Meet(f.Type, g.Type), Doc: f.Doc})
	}
	return t
}

func isNumber(t Type) bool { return t.Kind == Int || t.Kind == Float }

func isText(t Type) bool { return t.Kind == String || t.Kind == Enum }

func subset(a, b []string) bool {
	for _, v := range a {
		if !slices.Contains(b, v) {
			return false
		}
	}
	return true
}

func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// HoldsAgent reports whether a value of the type is, or has in it, an agent.
func HoldsAgent(t Type) bool { return len(agents(t, nil)) > 0 }

// Agents are the agents that a value of the type may stand for, or hold.
func Agents(t Type) []string {
	var names []string
	for _, a := range agents(t, nil) {
		names = union(names, a.Values)
	}
	return names
}

func agents(t Type, found []Type) []Type {
	switch t.Kind {
	case Agent:
		found = append(found, t)
	case List:
		found = agents(t.Item(), found)
	case Record:
		for _, f := range t.Fields {
			found = agents(f.Type, found)
		}
	}
	return found
}

// WithAgents is the type with each agent in it replaced.
func WithAgents(t Type, replace func(Type) Type) Type {
	switch {
	case t.Kind == Agent:
		as := replace(t)
		as.Optional = as.Optional || t.Optional
		return as
	case !HoldsAgent(t):
		return t
	case t.Kind == List:
		item := WithAgents(t.Item(), replace)
		t.Elem = &item
	case t.Kind == Record:
		fields := make([]Field, len(t.Fields))
		for i, f := range t.Fields {
			f.Type = WithAgents(f.Type, replace)
			fields[i] = f
		}
		t.Fields = fields
	}
	return t
}

// Named is the type as those see it for whom an agent is the text that names it.
func Named(t Type) Type {
	return WithAgents(t, func(Type) Type { return Type{Kind: String} })
}
