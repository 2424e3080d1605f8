package template_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/template"
)

// show writes what was read of a template: literals in quotes, gaps in braces.
func show(t *template.Template) string {
	var parts []string
	for _, p := range t.Parts {
		switch {
		case p.Gap == nil:
			parts = append(parts, fmt.Sprintf("%q", p.Literal))
		case p.Gap.Default != nil:
			parts = append(parts, fmt.Sprintf("{%s | %#v}", p.Gap, p.Gap.Default))
		default:
			parts = append(parts, fmt.Sprintf("{%s}", p.Gap))
		}
	}
	return strings.Join(parts, " ")
}

// Spec 4.8: what is text and what is a gap.
func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"\n", ""},
		{"plain\n\n", `"plain\n"`},
		{"a {{b}} c", `"a " {b} " c"`},
		{"{{a.b}}{{ a [0]", `error`},
		{"{{a.b}}{{a[0].c}}", `{a.b} {a[0].c}`},
		{"{{ a[10][2] }}", `{a[10][2]}`},
		{`{{a | "x }} \"y\" \n"}}`, `{a | "x }} \"y\" \n"}`},
		{`{{a|'raw \n'}} {{b | 3}} {{c | -0.5}} {{d | true}}`, `{a | "raw \\n"} " " {b | 3} " " {c | -0.5} " " {d | true}`},
		{`\{{a}} \{ { } }} \ <<a>>`, `"{{a}} \\{ { } }} \\ <<a>>"`},
		{"{{größe}}", `{größe}`},
		{"a\r\nb{{c}}\r\n", `"a\nb" {c}`},
		{"\ufeffa", `"a"`},
		{"---\ninput a: int\n---\nx {{a}}\n", `"x " {a}`},
		{"---\n---\n---\n", `"---"`},
		{"---  \r\n---\r\nx", `"x"`},
		{" ---\nx", `" ---\nx"`},
		{"---\nx", "error"},
		{"{{}}", "error"},
		{"{{a\n}}", "error"},
		{"{{a b}}", "error"},
		{"{{1}}", "error"},
		{"{{a[-1]}}", "error"},
		{"{{a[99999999999999999999]}}", "error"},
		{"{{a | }}", "error"},
		{"{{a | b}}", "error"},
		{"{{a | NaN}}", "error"},
		{`{{a | "\q"}}`, "error"},
		{"{{{a}}}", "error"},
		{"\xff", "error"},
	} {
		read, diags := template.Parse(source.NewFile("t.txt", c.text))
		got := show(read)
		if diags.HasErrors() {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}

// What is blanked around the header does not move it.
func TestHeaderKeepsItsPlace(t *testing.T) {
	text := "---\ninput ä: int\n---\nx {{ä}}\n"
	read, _ := template.Parse(source.NewFile("t.txt", text))
	header := read.HeaderText()
	if len(header) != len(text) || strings.TrimSpace(header) != "input ä: int" || strings.Index(header, "input") != strings.Index(text, "input") {
		t.Errorf("the header is %q", header)
	}
	if !read.Declared {
		t.Error("the header was not seen")
	}
}

// A template of any text is read without a panic; its gaps stand where they say, and its literals have no gap left in them that was not escaped.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "{{a}}", `\{{`, "---\ninput a: int\n---\n{{a | 1}}", `{{a[0].b | "x"}}`, "{{a | 'é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src := source.NewFile("t.txt", text)
		read, diags := template.Parse(src)
		for _, d := range diags {
			if d.Span.Start < 0 || d.Span.Start > d.Span.End || d.Span.End > len(text)+1 {
				t.Fatalf("%q: a place outside the file: %v", text, d.Span)
			}
		}
		for _, p := range read.Parts {
			if p.Gap == nil {
				continue
			}
			written := src.Slice(p.Gap.At)
			if !strings.HasPrefix(written, "{{") || !strings.HasSuffix(written, "}}") {
				t.Fatalf("%q: a gap stands at %q", text, written)
			}
			for _, s := range p.Gap.Path {
				if s.Name != "" && src.Slice(s.At) != s.Name {
					t.Fatalf("%q: %s stands at %q", text, s.Name, src.Slice(s.At))
				}
			}
		}
	})
}
