package diag_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/source"
)

// at finds the n-th place of a piece of text, counted from 1.
func at(t *testing.T, f *source.File, piece string, n int) source.Span {
	t.Helper()
	start := 0
	for ; n > 0; n-- {
		i := strings.Index(f.Text[start:], piece)
		if i < 0 {
			t.Fatalf("no %q in %q", piece, f.Text)
		}
		start += i + 1
	}
	return source.Span{Start: start - 1, End: start - 1 + len(piece)}
}

func draw(l ...diag.Diagnostic) string {
	var b strings.Builder
	diag.Print(&b, l, false)
	return b.String()
}

func TestPrint(t *testing.T) {
	article := source.NewFile("article.slop", "input topic: string\n\nfacts = reseacher \"Find five surprising facts about <<topic>>.\"\n")
	wide := source.NewFile("wide.slop", "\tx = 音楽家 \"日本\"\r\n")
	twice := source.NewFile("twice.slop", "a = writer \"x\"\nb = writer \"y\"\na = writer \"z\"\n\n\n\n\n\n\na = b \"\"\n")
	other := source.NewFile("other.slop", "a = writer \"x\"\n")
	block := source.NewFile("block.slop", "x = parallel {\n  a = writer \"x\"\n  b = writer \"y\"\n}\n")
	for _, c := range []struct {
		name string
		d    diag.Diagnostic
		want string
	}{
		{"one line", diag.Diagnostic{
			Code: "E0102", Severity: diag.Error, File: article, Span: at(t, article, "reseacher", 1), Message: "I don't know an agent named `reseacher`",
			Label: "did you mean `researcher`?", Help: []string{"agents in scope: claude, editor, researcher, writer"},
		}, `
error[E0102]: I don't know an agent named ` + "`reseacher`" + `
 --> article.slop:3:9
  |
3 | facts = reseacher "Find five surprising facts about <<topic>>."
  |         ^^^^^^^^^ did you mean ` + "`researcher`" + `?
  |
  = help: agents in scope: claude, editor, researcher, writer
`},
		{"tabs and wide runes", diag.Diagnostic{
			Code: "E0102", Severity: diag.Error, File: wide, Span: at(t, wide, "音楽家", 1), Message: "no",
		}, `
error[E0102]: no
 --> wide.slop:1:6
  |
1 |     x = 音楽家 "日本"
  |         ^^^^^^
`},
		{"a second place", diag.Diagnostic{
			Code: "E0104", Severity: diag.Error, File: twice, Span: at(t, twice, "a =", 2), Message: "two steps are called `a`", Label: "again",
			Related: []diag.Related{{twice, at(t, twice, "a =", 1), "first here"}, {twice, at(t, twice, "a =", 3), "and here"}, {other, at(t, other, "a =", 1), "and in a flow"}},
		}, `
error[E0104]: two steps are called ` + "`a`" + `
  --> twice.slop:3:1
   |
 1 | a = writer "x"
   | --- first here
 2 | b = writer "y"
 3 | a = writer "z"
   | ^^^ again
....
10 | a = b ""
   | --- and here
   |
  ::: other.slop:1:1
   |
 1 | a = writer "x"
   | --- and in a flow
`},
		{"several lines", diag.Diagnostic{
			Code: "E0107", Severity: diag.Warning, File: block, Span: source.Span{Start: 4, End: len(block.Text) - 1}, Message: "nobody reads this", Label: "all of it",
			Help: []string{"one", "two"},
		}, `
warning[E0107]: nobody reads this
 --> block.slop:1:5
  |
1 | x = parallel {
  |     ^^^^^^^^^^
...
4 | }
  | ^ all of it
  |
  = help: one
  = help: two
`},
		{"a fix", diag.Diagnostic{
			Code: "E0004", Severity: diag.Error, File: other, Span: source.Span{Start: 14, End: 14}, Message: "more is wanted", Label: "here",
			Fix: &diag.Fix{Span: source.Span{Start: 14, End: 14}, Text: " retry 2"},
		}, `
error[E0004]: more is wanted
 --> other.slop:1:15
  |
1 | a = writer "x"
  |               ^ here
  |
  = try:  a = writer "x" retry 2
`},
		{"no file", diag.Diagnostic{Code: "E0108", Severity: diag.Error, Message: "no such flow", Help: []string{"look"}}, `
error[E0108]: no such flow
  = help: look
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(strings.TrimPrefix(c.want, "\n"), draw(c.d)); d != "" {
				t.Error(d)
			}
		})
	}
}

// A message about a line of a million columns shows the part that matters, and none of a script can paint or turn the reader's terminal.
func TestPrintHostile(t *testing.T) {
	f := source.NewFile("long.slop", strings.Repeat("a", 1_000_000)+"\x1b[31mHERE\u202e"+strings.Repeat("b", 1_000_000))
	out := draw(diag.Diagnostic{Code: "E0001", Severity: diag.Error, File: f, Span: at(t, f, "HERE", 1), Message: "bad \x1b[2J"})
	if len(out) > 2000 || strings.ContainsAny(out, "\x1b\u202e") || !strings.Contains(out, "HERE") {
		t.Errorf("%d bytes:\n%.2000q", len(out), out)
	}
	lines := strings.Split(out, "\n")
	if !strings.Contains(lines[4], "^^^^") || len([]rune(lines[4][:strings.Index(lines[4], "^")])) != len([]rune(lines[3][:strings.Index(lines[3], "HERE")])) {
		t.Errorf("the carets are not below the word:\n%s\n%s", lines[3], lines[4])
	}
}

// Nobody reads the twenty-first message.
func TestPrintCap(t *testing.T) {
	var l diag.List
	for range 23 {
		l.Add(diag.Diagnostic{Code: "E0001", Severity: diag.Error, Message: "no"})
	}
	out := draw(l...)
	if n := strings.Count(out, "error[E0001]"); n != 20 || !strings.HasSuffix(out, "\n… and 3 more\n") {
		t.Errorf("%d shown:\n%s", n, out)
	}
}

func TestPrintColor(t *testing.T) {
	f := source.NewFile("a.slop", "x = 1\n")
	d := diag.Diagnostic{Code: "E0004", Severity: diag.Error, File: f, Span: source.Span{Start: 4, End: 5}, Message: "m", Label: "l", Help: []string{"h"}}
	var b strings.Builder
	diag.Print(&b, diag.List{d}, true)
	plain := b.String()
	for _, code := range []string{"\x1b[1m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[32m", "\x1b[0m"} {
		plain = strings.ReplaceAll(plain, code, "")
	}
	if diff := cmp.Diff(draw(d), plain); diff != "" || b.String() == plain {
		t.Errorf("color changes more than the color: %s", diff)
	}
}

func TestJSON(t *testing.T) {
	f := source.NewFile("ä.slop", "ä = \"ö\" ü\nb\n")
	got, err := diag.JSON(diag.List{{
		Code: "E0001", Severity: diag.Error, File: f, Span: at(t, f, "ü", 1), Message: "a <b>", Help: []string{"c", "d"},
		Fix:     &diag.Fix{Span: at(t, f, "ü\nb", 1), Text: "x"},
		Related: []diag.Related{{f, at(t, f, "b", 1), "there"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(got, &v); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"diagnostics": []any{map[string]any{
		"code": "E0001", "severity": "error", "message": "a <b>", "file": "ä.slop", "line": 1.0, "column": 9.0, "endLine": 1.0, "endColumn": 10.0, "help": "c\nd",
		"fix":     map[string]any{"startLine": 1.0, "startColumn": 9.0, "endLine": 2.0, "endColumn": 2.0, "text": "x"},
		"related": []any{map[string]any{"file": "ä.slop", "line": 2.0, "column": 1.0, "endLine": 2.0, "endColumn": 2.0, "message": "there"}},
	}}}
	if d := cmp.Diff(want, v); d != "" {
		t.Error(d)
	}
	empty, _ := diag.JSON(nil)
	if string(empty) != "{\n  \"diagnostics\": []\n}\n" {
		t.Errorf("%s", empty)
	}
}

func TestNearest(t *testing.T) {
	agents := []string{"claude", "editor", "http.get", "researcher", "writer"}
	for word, want := range map[string]string{
		"reseacher": "researcher", "wrtier": "writer", "htpp.get": "http.get", "Claude": "claude", "banana": "", "ed": "", "editr": "editor",
	} {
		if got, _ := diag.Nearest(word, agents); got != want {
			t.Errorf("nearest to %s is %q, not %q", word, got, want)
		}
	}
	if d := cmp.Diff([]string{"writer", "editor", "claude"}, diag.NearestN("writr", agents, 3)); d != "" {
		t.Error(d)
	}
	if d := diag.Distance("ab", "ba"); d != 1 {
		t.Errorf("a swap counts %d", d)
	}
}

func TestExplanations(t *testing.T) {
	seen := map[diag.Code]bool{}
	for _, e := range diag.Explanations() {
		if seen[e.Code] {
			t.Errorf("%s is explained twice", e.Code)
		}
		seen[e.Code] = true
		if e.Title == "" || e.Text == "" || e.Bad == "" || e.Good == "" {
			t.Errorf("%s lacks words", e.Code)
		}
		if got, ok := diag.Explain(e.Code); !ok || got != e {
			t.Errorf("%s is not found", e.Code)
		}
	}
}
