package spec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a link from a document to tests of a file: [TestThis](file_test.go), [TestThis, TestThat](file_test.go).
var named = regexp.MustCompile(`\[((?:Test|Fuzz|Benchmark)\w+(?:, *(?:Test|Fuzz|Benchmark)\w+)*)\]\(([^)#\s]+\.go)\)`)

// What is promised is held by a test that is there: every test that a document names is declared in the file that the link leads to.
func TestNamedTestsExist(t *testing.T) {
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			code, err := os.ReadFile(m[2])
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			for _, name := range strings.Split(m[1], ",") {
				count[file]++
				name = strings.TrimSpace(name)
				if !regexp.MustCompile(`(?m)^func ` + name + `\(`).Match(code) {
					t.Errorf("%s promises by %s, which is not in %s", file, name, m[2])
				}
			}
		}
	}
	if count["runtime.md"] < 10 {
		t.Errorf("runtime.md names %d tests", count["runtime.md"])
	}
}

// Each row of a table of promises names what holds us to it.
func TestPromisesNameTheirTests(t *testing.T) {
	text, err := os.ReadFile("runtime.md")
	if err != nil {
		t.Fatal(err)
	}
	table := false
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "| promise |"):
			table = true
		case !strings.HasPrefix(line, "|"):
			table = false
		case table && !strings.HasPrefix(line, "| ---"):
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			if len(cells) < 2 || !strings.Contains(cells[len(cells)-1], "](../") {
				t.Errorf("runtime.md:%d: nothing holds us to it: %s", i+1, line)
			}
		}
	}
}

// reliability.md has each of the known bugs once, in its order, with a test or with the reason why there is none.
func TestKnownBugsNameTheirTests(t *testing.T) {
	text, err := os.ReadFile("reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, family := range []struct {
		letter string
		count  int
	}{{"", 20}, {"S", 13}, {"D", 7}, {"C", 7}, {"O", 10}} {
		for n := range family.count {
			want = append(want, fmt.Sprint(family.letter, n+1))
		}
	}
	row := regexp.MustCompile(`^\| ([SDCO]?\d+) \| `)
	for i, line := range strings.Split(string(text), "\n") {
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if len(want) == 0 || m[1] != want[0] {
			t.Fatalf("reliability.md:%d: %s stands where %v should", i+1, m[1], want[:min(1, len(want))])
		}
		want = want[1:]
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 4 || !named.MatchString(cells[3]) && !strings.Contains(line, "*does not apply*") && !strings.Contains(line, "*not covered*") {
			t.Errorf("reliability.md:%d: nothing holds us to it: %s", i+1, line)
		}
	}
	if len(want) > 0 {
		t.Errorf("reliability.md lacks %v", want)
	}
}
