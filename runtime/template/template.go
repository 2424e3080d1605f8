// Package template is prompt templates as a server keeps them: a text with gaps, as lang/template reads it, whose variables may be declared as JSON.
//
// What is declared as JSON becomes the header that the text of a file would have, so a stored template means in a script what it means anywhere else.
package template

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/template"
	"github.com/slopstudios/slop/lang/types"
)

// The bounds of a template.
const (
	MaxContent     = 100_000 // bytes
	MaxVariables   = 50
	MaxDescription = 500 // bytes, of a variable
)

// Text is what a template says and takes.
type Text struct {
	Content   string     `json:"content"`
	Variables []Variable `json:"variables,omitempty"` // none: those of the header of Content, or those that it mentions
}

// Variable is a variable declared as JSON.
type Variable struct {
	Name        string `json:"name"`
	Type        string `json:"type"`               // string, number, boolean, array, object, or a type of the language
	Required    *bool  `json:"required,omitempty"` // nil: when it has no default
	Default     any    `json:"default,omitempty"`
	Description string `json:"description,omitempty"`
}

// words are types as JSON Schema calls them. array and object say more than the language's types do: shape keeps to it.
var words = map[string]string{"number": "float", "boolean": "bool", "array": "[any]", "object": "any", "integer": "int"}

// Fault is a mistake and where it is: a JSON Pointer.
type Fault struct{ Pointer, Detail string }

// Template can be filled.
type Template struct {
	name      string
	text      string // as a file of its own would hold it
	read      *check.Template
	mentioned []string            // variables, in the order of the text
	declared  map[string]Variable // as JSON
	empty     map[string]bool     // variables that leave a gap empty when they are not given
}

// Read reads a template. It may be filled when neither list has an error. Places in diagnostics are those of Content.
func Read(name string, t Text) (*Template, []Fault, diag.List) {
	if len(t.Content) > MaxContent {
		return nil, []Fault{{"/content", fmt.Sprintf("at most %d bytes, and this has %d", MaxContent, len(t.Content))}}, nil
	}
	src := source.NewFile(name, t.Content)
	gaps, said := template.Parse(src)
	if said.HasErrors() {
		return nil, nil, said
	}
	r := &Template{name: name, text: t.Content, declared: map[string]Variable{}, empty: map[string]bool{}}
	for _, p := range gaps.Parts {
		if p.Gap != nil && !slices.Contains(r.mentioned, p.Gap.Path[0].Name) {
			r.mentioned = append(r.mentioned, p.Gap.Path[0].Name)
		}
	}
	if len(t.Variables) == 0 {
		var list diag.List
		r.read, list = lang.Template(src)
		return r, nil, list
	}
	if gaps.Declared {
		return nil, []Fault{{"/variables", "the header of content declares the variables already"}}, nil
	}
	header, faults := r.header(t.Variables)
	for _, name := range r.mentioned {
		if _, ok := r.declared[name]; !ok && faults == nil {
			faults = append(faults, Fault{"/variables", fmt.Sprintf("content mentions {{%s}}, which is not declared", name)})
		}
	}
	if faults != nil {
		return nil, faults, nil
	}
	w := &weaver{from: t.Content}
	w.b.WriteString(header)
	for _, p := range gaps.Parts {
		if p.Gap != nil && p.Gap.Default == nil && r.empty[p.Gap.Path[0].Name] {
			end := p.Gap.At.End - len("}}")
			w.copy(end)
			w.b.WriteString(` | ""`)
		}
	}
	w.copy(len(t.Content))
	r.text = w.b.String()
	woven := source.NewFile(name, r.text)
	read, list := lang.Template(woven)
	r.read = read
	faults, list = w.back(woven, src, len(header), list)
	return r, faults, list
}

// header writes variables as inputs, one a line.
func (r *Template) header(variables []Variable) (string, []Fault) {
	var b strings.Builder
	var faults []Fault
	at := func(i int, field, detail string) {
		faults = append(faults, Fault{"/variables/" + strconv.Itoa(i) + field, detail})
	}
	if len(variables) > MaxVariables {
		return "", []Fault{{"/variables", fmt.Sprintf("at most %d", MaxVariables)}}
	}
	b.WriteString("---\n")
	for i, v := range variables {
		_, twice := r.declared[v.Name]
		switch {
		case !isName(v.Name):
			at(i, "/name", "a name of letters, digits and _, which no digit begins")
			continue
		case twice:
			at(i, "/name", "there is a variable of that name already")
			continue
		case v.Type == "" || strings.ContainsAny(v.Type, "\n\r") || len(v.Type) > MaxDescription:
			at(i, "/type", "string, number, boolean, array or object, or a type of the language, like [string]")
			continue
		case len(v.Description) > MaxDescription:
			at(i, "/description", fmt.Sprintf("at most %d bytes", MaxDescription))
			continue
		}
		r.declared[v.Name] = v
		word, ok := words[v.Type]
		if !ok {
			word = v.Type
		}
		fmt.Fprintf(&b, "input %s: %s", v.Name, word)
		switch {
		case v.Default != nil:
			if detail := shape(v, v.Default); detail != "" {
				at(i, "/default", detail)
			}
			b.WriteString(" = ")
			literal(&b, v.Default)
		case v.Required != nil && !*v.Required:
			r.empty[v.Name] = true
			if !strings.HasSuffix(word, "?") && word != "any" {
				b.WriteString("?")
			}
			b.WriteString(" = nil")
		}
		if v.Description != "" {
			b.WriteString(" ")
			literal(&b, v.Description)
		}
		b.WriteString("\n")
	}
	b.WriteString("---\n")
	return b.String(), faults
}

func isName(s string) bool {
	for i, c := range s {
		if c != '_' && !('a' <= c && c <= 'z') && !('A' <= c && c <= 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

// shape holds a value to what its JSON type says beyond the type of the language.
func shape(v Variable, value any) string {
	if _, ok := value.(map[string]any); !ok && v.Type == "object" {
		return "an object"
	}
	return ""
}

// literal writes a value of JSON as the language has it, on one line.
func literal(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("nil")
	case string:
		b.WriteByte('"')
		for _, c := range v {
			switch {
			case c == '"' || c == '\\':
				b.WriteByte('\\')
				b.WriteRune(c)
			case c == '\n':
				b.WriteString(`\n`)
			case c == '\t':
				b.WriteString(`\t`)
			case c == '<' || c < ' ' || c == 0x7f || c >= 0x80 && !strconv.IsPrint(c): // `<<` would put a value in
				fmt.Fprintf(b, `\u{%x}`, c)
			default:
				b.WriteRune(c)
			}
		}
		b.WriteByte('"')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			literal(b, item)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteString(", ")
			}
			literal(b, name)
			b.WriteString(": ")
			literal(b, v[name])
		}
		b.WriteByte('}')
	default: // a number, true or false
		text, _ := eval.Render(v)
		b.WriteString(text)
	}
}

// weaver copies a text piece by piece, with something between the pieces, and knows where each came from.
type weaver struct {
	b      strings.Builder
	from   string
	done   int      // of from
	pieces [][2]int // where a piece begins in b, and in from
}

func (w *weaver) copy(end int) {
	w.pieces = append(w.pieces, [2]int{w.b.Len(), w.done})
	w.b.WriteString(w.from[w.done:end])
	w.done = end
}

// back moves what is said of the woven text to where it is in its source; what is said of its header is about a variable.
func (w *weaver) back(woven, src *source.File, header int, list diag.List) (faults []Fault, kept diag.List) {
	place := func(at int) int {
		i := sort.Search(len(w.pieces), func(i int) bool { return w.pieces[i][0] > at }) - 1
		end := len(w.from)
		if i+1 < len(w.pieces) {
			end = w.pieces[i+1][1]
		}
		return min(w.pieces[max(i, 0)][1]+at-w.pieces[max(i, 0)][0], end)
	}
	for _, d := range list {
		if d.Span.Start < header {
			if d.Severity == diag.Error {
				line := woven.Pos(d.Span.Start).Line - 2
				detail := d.Message
				if d.Label != "" {
					detail += ": " + d.Label
				}
				faults = append(faults, Fault{"/variables/" + strconv.Itoa(max(line, 0)), detail})
			}
			continue
		}
		d.File, d.Span, d.Fix, d.Related = src, source.Span{Start: place(d.Span.Start), End: place(d.Span.End)}, nil, nil
		kept = append(kept, d)
	}
	return faults, kept
}

// File is the template as a script's `use template` reads it.
func (t *Template) File() string { return t.text }

// Variables are what the template takes, in the order of their declaration, or of the text.
func (t *Template) Variables() []Variable {
	list := make([]Variable, 0, len(t.read.Variables))
	for _, v := range t.read.Variables {
		if declared, ok := t.declared[v.Name]; ok {
			if declared.Required == nil {
				needs := declared.Default == nil
				declared.Required = &needs
			}
			list = append(list, declared)
			continue
		}
		needs := !v.HasDefault && !v.Type.Optional
		list = append(list, Variable{Name: v.Name, Type: v.Type.String(), Required: &needs, Default: v.Default, Description: v.Doc})
	}
	return list
}

// Filled is a text with its gaps filled.
type Filled struct {
	Content string
	Used    []string // the variables in it that were given or have a default
	Missing []string // those in whose place stands nothing, or what the text says for that case
}

// Fill puts values, by the names of the variables, into the text. Faults name each value that is missing or does not fit.
func (t *Template) Fill(values map[string]any) (Filled, []Fault) {
	f := Filled{Used: []string{}, Missing: []string{}}
	var faults []Fault
	given := map[string]any{}
	for _, v := range t.read.Variables {
		value := values[v.Name]
		if value == nil {
			if !v.HasDefault && !v.Type.Optional {
				faults = append(faults, Fault{"/variables/" + v.Name, "this variable is required"})
			}
			continue
		}
		if detail := shape(t.declared[v.Name], value); detail != "" {
			faults = append(faults, Fault{"/variables/" + v.Name, "it should be " + detail})
			continue
		}
		read, problems := eval.Read(of(v.Type), value)
		for _, p := range problems {
			faults = append(faults, Fault{"/variables/" + v.Name, p})
		}
		given[v.Name] = read
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.ContainsFunc(t.read.Variables, func(v check.Variable) bool { return v.Name == name }) {
			detail := "the template has no such variable"
			if names := t.names(); len(names) > 0 {
				if near, ok := diag.Nearest(name, names); ok {
					detail += "; did you mean " + near + "?"
				} else {
					detail += "; it has " + strings.Join(names, ", ")
				}
			}
			faults = append(faults, Fault{"/variables/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name), detail})
		}
	}
	if faults != nil {
		return f, faults
	}
	text, err := t.read.Fill(given)
	if err != nil {
		return f, []Fault{{"/variables", err.Error()}}
	}
	f.Content = text
	for _, name := range t.mentioned {
		i := slices.IndexFunc(t.read.Variables, func(v check.Variable) bool { return v.Name == name })
		if _, ok := given[name]; ok || i >= 0 && t.read.Variables[i].Default != nil {
			f.Used = append(f.Used, name)
		} else {
			f.Missing = append(f.Missing, name)
		}
	}
	return f, nil
}

func (t *Template) names() []string {
	names := make([]string, len(t.read.Variables))
	for i, v := range t.read.Variables {
		names[i] = v.Name
	}
	return names
}

// of is a type of a variable that is given.
func of(t types.Type) types.Type {
	t.Optional = false
	return t
}
