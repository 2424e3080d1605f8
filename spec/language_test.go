package spec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/eval"
	"github.com/slopstudios/slop/lang/format"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

const languageFile = "language.md"

func language(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(languageFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The table of functions in section 11.5 is the list that expressions really have. `make golden` writes it.
func TestTheSpecificationKnowsEveryFunction(t *testing.T) {
	const open, end = "<!-- functions: kept in step with lang/eval by a test -->\n", "<!-- end of functions -->"
	text := language(t)
	before, rest, ok := strings.Cut(text, open)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatal("the marks around the table of functions are gone")
	}
	var table strings.Builder
	table.WriteString("\n| function | gives |\n|---|---|\n")
	escape := strings.NewReplacer("|", `\|`)
	for _, f := range eval.Functions() {
		fmt.Fprintf(&table, "| `%s` | %s |\n", escape.Replace(f.Signature()), escape.Replace(f.Doc))
	}
	table.WriteString("\n")
	want := before + open + table.String() + end + after
	if text == want {
		return
	}
	if os.Getenv("SLOP_GOLDEN") != "" {
		if err := os.WriteFile(languageFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the table of functions is not that of lang/eval; run make golden\nwant:\n%s", table.String())
}

// Every example of the specification can be read, and is written as the formatter writes it.
func TestExamplesOfTheSpecification(t *testing.T) {
	blocks := regexp.MustCompile("(?ms)^```slop\n(.*?)^```").FindAllStringSubmatchIndex(language(t), -1)
	if len(blocks) < 20 {
		t.Fatalf("found only %d examples", len(blocks))
	}
	for _, at := range blocks {
		text := language(t)
		src := source.NewFile(languageFile, text[at[2]:at[3]])
		file, diags := syntax.Parse(src)
		for _, d := range diags {
			line := strings.Count(text[:at[2]], "\n") + src.Pos(d.Span.Start).Line
			t.Errorf("%s:%d: %s %s (%s)", languageFile, line, d.Code, d.Message, d.Label)
		}
		if got := string(format.File(file)); !diags.HasErrors() && got != src.Text {
			t.Errorf("%s: an example is not formatted; it should be\n%s", languageFile, got)
		}
	}
}

// "Spec 7.5" in the comment of an archive is a section of the language's specification.
func TestCitationsLeadToSections(t *testing.T) {
	sections := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^##+ (\d+(?:\.\d+)?) `).FindAllStringSubmatch(language(t), -1) {
		sections[m[1]] = true
	}
	archives, err := filepath.Glob("../testdata/spec/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	cited := 0
	for _, name := range archives {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		comment, _, _ := strings.Cut("\n"+string(text), "\n-- ")
		for _, m := range regexp.MustCompile(`Spec (\S*[^\s.,;:])(?:,? (?:and|to) (\d[\d.]*\d|\d))?`).FindAllStringSubmatch(comment, -1) {
			for _, section := range m[1:] {
				if section == "" {
					continue
				}
				if cited++; !sections[section] {
					t.Errorf("%s cites section %s of %s, which has none", filepath.Base(name), section, languageFile)
				}
			}
		}
	}
	if cited < 10 {
		t.Errorf("found only %d citations", cited)
	}
}
