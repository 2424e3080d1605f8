package lang_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/jsonflow"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
)

// used are the second files of the examples that need one.
var used = map[string]string{
	"polish.slop":   "input text: string\neditor \"Polish: <<text>>\"\n",
	"critique.slop": "input text: string = \"this\"\ncritic \"Judge: <<text>>\"\n",
}

// Every explanation is true: its bad script provokes its code, its good one is clean.
func TestExplanations(t *testing.T) {
	seen := map[diag.Code]bool{}
	for _, e := range diag.Explanations() {
		if seen[e.Code] {
			t.Errorf("%s is explained twice", e.Code)
		}
		seen[e.Code] = true
		if e.Title == "" || e.Text == "" || e.Bad == "" || e.Good == "" {
			t.Errorf("%s is explained only in part: %+v", e.Code, e)
			continue
		}
		if strings.HasPrefix(e.Bad, "(") {
			continue // described in words: it is no text at all
		}
		said := func(script string) diag.List {
			files := maps.Clone(used)
			files["main.slop"] = script
			scope := langtest.Files(langtest.Scope(), files)
			if strings.HasPrefix(script, "{") {
				flow, list := jsonflow.Workflow(source.NewFile("main.json", script), scope)
				if flow != nil {
					_, more := lang.Compile(flow.Script, scope)
					list = append(list, more...)
				}
				return list
			}
			_, list := lang.Compile(source.NewFile("main.slop", script), scope)
			return list
		}
		if list := said(e.Bad); !hasCode(list, e.Code) {
			t.Errorf("the bad example of %s does not provoke it, but %v", e.Code, codes(list))
		}
		if list := said(e.Good); len(list) > 0 {
			t.Errorf("the good example of %s is not clean: %v %s", e.Code, codes(list), list[0].Message)
		}
	}
}

func codes(list diag.List) []diag.Code {
	var out []diag.Code
	for _, d := range list {
		out = append(out, d.Code)
	}
	return out
}

var isCode = regexp.MustCompile(`^E0\d\d\d$`)

// emitted are the codes that stand as strings in the source of the passes, with a place each.
func emitted(t *testing.T) map[diag.Code]string {
	t.Helper()
	found := map[diag.Code]string{}
	for _, dir := range []string{"syntax", "check", "eval", "jsonflow"} {
		paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			if strings.HasSuffix(p, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, p, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				lit, ok := n.(*ast.BasicLit)
				if !ok || lit.Kind != token.STRING {
					return true
				}
				if s, err := strconv.Unquote(lit.Value); err == nil && isCode.MatchString(s) {
					found[diag.Code(s)] = fset.Position(lit.Pos()).String()
				}
				return true
			})
		}
	}
	if len(found) < 30 {
		t.Fatalf("found only %d codes in the source: the walk is wrong", len(found))
	}
	return found
}

// Every code that a pass can emit has an archive that provokes it and an explanation, and none is explained that nobody emits.
func TestEveryCodeIsShownAndExplained(t *testing.T) {
	archives := map[diag.Code]bool{}
	for _, a := range append(langtest.Read(t, specFolder), langtest.Read(t, jsonFolder)...) {
		if code, _, _ := strings.Cut(a.Name(), "-"); isCode.MatchString(code) {
			archives[diag.Code(code)] = true
		}
	}
	all := emitted(t)
	for code, where := range all {
		if !archives[code] {
			t.Errorf("%s (%s) has no archive %s-….txtar in testdata/spec or testdata/json", code, where, code)
		}
		if _, ok := diag.Explain(code); !ok {
			t.Errorf("%s (%s) has no explanation in lang/diag", code, where)
		}
	}
	for _, e := range diag.Explanations() {
		if all[e.Code] == "" {
			t.Errorf("%s is explained, but nothing emits it", e.Code)
		}
	}
}

// jsonFolder has the archives of JSON definitions, which runtime/hosttest plays.
const jsonFolder = "../testdata/json"

const (
	diagnosticsPage = "../spec/diagnostics.md"
	generated       = "<!-- from here to the next mark: written by `make golden` from lang/diag; edit it there -->\n"
	byHand          = "<!-- from here on: written by hand -->\n"
)

// The page of diagnostics is written from the explanations; what stands below its last mark is written by hand.
func TestDiagnosticsPage(t *testing.T) {
	text, err := os.ReadFile(diagnosticsPage)
	if err != nil && !langtest.Golden() {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), generated)
	if !ok {
		head, rest = "# Diagnostics\n\n", byHand
	}
	old, tail, ok := strings.Cut(rest, byHand)
	if !ok {
		t.Fatalf("%s has lost its second mark", diagnosticsPage)
	}
	want := page()
	if old == want {
		return
	}
	if !langtest.Golden() {
		t.Fatalf("%s is not what lang/diag says: make golden writes it", diagnosticsPage)
	}
	if err := os.WriteFile(diagnosticsPage, []byte(head+generated+want+byHand+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// page is the generated part: a table of all codes, then each with its rule and examples.
func page() string {
	var b strings.Builder
	all := slices.SortedFunc(slices.Values(diag.Explanations()), func(a, b diag.Explanation) int { return strings.Compare(string(a.Code), string(b.Code)) })
	b.WriteString("\n| code | what is wrong |\n|---|---|\n")
	for _, e := range all {
		fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", e.Code, strings.ToLower(string(e.Code)), e.Title)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Bad, "{") {
			fmt.Fprintf(&b, "\n### %s\n\n**%s.** %s\n\nNot so:\n\n```json\n%s\n```\n\nBut so:\n\n```json\n%s\n```\n", e.Code, upperFirst(e.Title), e.Text, e.Bad, e.Good)
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n**%s.** %s\n\n```slop\n// not so\n%s\n```\n```slop\n// but so\n%s\n```\n", e.Code, upperFirst(e.Title), e.Text, strings.TrimRight(e.Bad, "\n"), strings.TrimRight(e.Good, "\n"))
	}
	b.WriteString("\n")
	return b.String()
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
