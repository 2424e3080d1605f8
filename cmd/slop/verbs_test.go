package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang/source"
)

// A diff, applied to the old text, gives the new one.
func TestDifference(t *testing.T) {
	long := strings.Repeat("same\n", 20)
	for _, tt := range []struct{ old, new string }{
		{"a\nb\nc\n", "a\nB\nc\n"},
		{"", "new\n"},
		{"old\n", ""},
		{"1\n" + long + "2\n" + long, "one\n" + long + "two\n" + long},
		{long + "x\ny\n", long + "y\nx\n"},
		{"a\na\na\n", "a\na\n"},
	} {
		if got := patch(tt.old, difference("f", tt.old, tt.new)); got != tt.new {
			t.Errorf("%q to %q by\n%s\ngives %q", tt.old, tt.new, difference("f", tt.old, tt.new), got)
		}
	}
	if text := difference("f", "1\n"+long+"2\n", "one\n"+long+"two\n"); strings.Count(text, "@@ -") != 2 {
		t.Errorf("want two hunks:\n%s", text)
	}
}

// patch applies a unified diff, going by the numbers in its hunk heads.
func patch(old, diff string) string {
	from := strings.SplitAfter(old, "\n")
	var out strings.Builder
	next := 0
	for line := range strings.Lines(diff) {
		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"):
		case strings.HasPrefix(line, "@@"):
			start := 0
			for _, c := range line[len("@@ -"):] {
				if c < '0' || c > '9' {
					break
				}
				start = 10*start + int(c-'0')
			}
			for ; next < start-1; next++ {
				out.WriteString(from[next])
			}
		case line[0] == ' ':
			out.WriteString(line[1:])
			next++
		case line[0] == '-':
			next++
		case line[0] == '+':
			out.WriteString(line[1:])
		}
	}
	for ; next < len(from); next++ {
		out.WriteString(from[next])
	}
	return out.String()
}

func TestWordAt(t *testing.T) {
	f := source.NewFile("f", "a = \"ü\" x\n  http.get(url: u)\n")
	for _, tt := range []struct {
		line, column int
		want         string
	}{{1, 1, "a"}, {1, 9, "x"}, {2, 3, "http.get"}, {2, 11, "("}, {9, 1, ""}} {
		if got := f.Slice(wordAt(f, tt.line, tt.column)); tt.want != "" && !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("wordAt(%d, %d) = %q, want %q", tt.line, tt.column, got, tt.want)
		}
	}
}

func TestMentions(t *testing.T) {
	for _, tt := range []struct {
		text, name string
		want       bool
	}{{"a + b", "a", true}, {"ab + cab", "a", false}, {"<<a>>", "a", true}, {"ba a", "a", true}, {"ä", "a", false}, {"", "a", false}, {"_x x_", "x", false}} {
		if got := mentions(tt.text, tt.name); got != tt.want {
			t.Errorf("mentions(%q, %q) = %v", tt.text, tt.name, got)
		}
	}
}

// Every topic fits a narrow terminal.
func TestHelpFits(t *testing.T) {
	for _, topic := range topics {
		for i, line := range strings.Split(topic.text, "\n") {
			if n := len([]rune(line)); n > 85 {
				t.Errorf("help %s, line %d has %d columns: %s", topic.name, i, n, line)
			}
		}
	}
}

// Each code of a failed run is in the table of spec/diagnostics.md, as `slop explain` has it, and the table has no other.
func TestFailuresAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "spec", "diagnostics.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "## Failures of runs")
	for _, f := range failures {
		if !strings.Contains(section, "| "+string(f.Code)+" | "+f.Title+" |") {
			t.Errorf("spec/diagnostics.md lacks: | %s | %s |", f.Code, f.Title)
		}
	}
	if n := strings.Count(section, "\n| E_"); n != len(failures) {
		t.Errorf("the table has %d codes, slop explain %d", n, len(failures))
	}
}

// Every code that the runtime gives a failure is explained.
func TestFailuresAreExplained(t *testing.T) {
	known := map[string]bool{}
	for _, f := range failures {
		known[string(f.Code)] = true
	}
	code := regexp.MustCompile(`"(E_[A-Z_]+)"`)
	for _, folder := range []string{"machine", "engine"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "runtime", folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in runtime/%s: %v", folder, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range code.FindAllStringSubmatch(string(text), -1) {
				if !known[m[1]] {
					t.Errorf("%s: slop explain does not know %s", file, m[1])
				}
			}
		}
	}
}
