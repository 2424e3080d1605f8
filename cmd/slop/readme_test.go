package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// fences gives the fenced parts of the README in a language, in order.
func fences(t *testing.T, language string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		parts = append(parts, m[1])
	}
	return parts
}

// prompted are the command lines that the README shows behind a $, without their comments, each with the output below it.
func prompted(t *testing.T) (lines []struct{ line, output string }) {
	t.Helper()
	for _, part := range fences(t, "console") {
		for text := range strings.Lines(part) {
			if line, ok := strings.CutPrefix(text, "$ "); ok {
				line, _, _ = strings.Cut(line, " #")
				lines = append(lines, struct{ line, output string }{line: strings.TrimSpace(line)})
				continue
			}
			lines[len(lines)-1].output += text
		}
	}
	return lines
}

// named gives the program that begins with the comment of that name.
func named(t *testing.T, name string) string {
	t.Helper()
	for _, part := range fences(t, "slop") {
		if strings.HasPrefix(part, "// "+name) {
			return part
		}
	}
	t.Fatalf("the README shows no %s", name)
	return ""
}

// slopIn runs slop as a stranger would: in a folder, with a home of its own.
func slopIn(t *testing.T, dir string, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := exec.Command("slop", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "SLOP_HOME="+filepath.Join(t.TempDir(), "home"))
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err = cmd.Run()
	if err != nil {
		t.Logf("slop %s: %v\n%s", strings.Join(args, " "), err, problems.String())
	}
	return out.String(), err
}

// The first program of the README gives what is shown below it, and every other command line shown with an output gives that.
func TestReadmeOutput(t *testing.T) {
	dir := t.TempDir()
	first := fences(t, "slop")[0]
	name := regexp.MustCompile(`^// ([a-z]+\.slop)\n`).FindStringSubmatch(first)
	if name == nil {
		t.Fatal("the README's first program does not say what it is called")
	}
	if err := os.WriteFile(filepath.Join(dir, name[1]), []byte(first), 0o644); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, p := range prompted(t) {
		if p.output == "" || strings.Contains(p.line, " ID") { // TestReadmeNight tells that story
			continue
		}
		shown++
		words := strings.Fields(p.line)
		if words[0] != "slop" {
			t.Fatalf("the README shows what %s prints", p.line)
		}
		if got, err := slopIn(t, dir, words[1:]...); err != nil || got != p.output {
			t.Errorf("%s gives\n%s(%v) and not, as the README says,\n%s", p.line, got, err, p.output)
		}
	}
	if shown == 0 {
		t.Error("the README shows no output")
	}

	// What the README types after that works, too, on that program.
	for _, p := range prompted(t) {
		words := strings.Fields(p.line)
		if len(words) < 3 || words[0] != "slop" || p.output != "" || strings.Contains(p.line, "night.slop") || strings.Contains(p.line, " ID ") { // of a run that has to be there: TestCLI/travel
			continue
		}
		if _, err := slopIn(t, dir, words[1:]...); err != nil {
			t.Errorf("%s: %v", p.line, err)
		}
	}
}

// Every program of the README is without mistakes and written as `slop fmt` writes it, but for what it aligns by hand.
func TestReadmePrograms(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"tea.slop", "poem.slop", "night.slop"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(named(t, name)), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := slopIn(t, dir, "check", "--json", name)
		if err != nil || !strings.Contains(out, `"diagnostics": []`) && !strings.Contains(out, `"diagnostics":[]`) {
			t.Errorf("slop check %s: %v\n%s", name, err, out)
		}
	}
	for _, text := range fences(t, "toml") {
		if err := os.WriteFile(filepath.Join(dir, "slop.toml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := slopIn(t, dir, "agents"); err != nil {
			t.Errorf("slop does not take the README's slop.toml: %v", err)
		}
	}
}

// Every slop command that the README mentions, in a block or in passing, is one that slop understands.
func TestReadmeCommands(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range prompted(t) {
		lines = append(lines, p.line)
	}
	for _, m := range regexp.MustCompile("`(slop [a-z][^`]*)`").FindAllStringSubmatch(string(page), -1) {
		lines = append(lines, m[1])
	}
	seen := 0
	for _, line := range lines {
		line, _, _ = strings.Cut(line, " & ") // what a shell does with it
		line, _, _ = strings.Cut(line, " | ")
		words := strings.Fields(strings.Replace(line, "go run ./cmd/slop ", "slop ", 1))
		if words[0] != "slop" {
			continue
		}
		seen++
		var g grammar
		parser, err := kong.New(&g, kong.Bind(&console{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(words[1:]); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if seen < 10 {
		t.Errorf("only %d command lines were found", seen)
	}
}

// The targets of make that the README names are there.
func TestReadmeTargets(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)(?:`|^\\$ )make ([a-z-]+)").FindAllStringSubmatch(string(page), -1) {
		if !bytes.Contains(makefile, []byte("\n"+m[1]+": ")) {
			t.Errorf("the Makefile has no target %s", m[1])
		}
	}
}

// The folders and pages that the README names are there.
func TestReadmeLinks(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)|(?m)^\| \x60([a-z/]+)\x60 \|`).FindAllStringSubmatch(string(page), -1) {
		path := m[1] + m[2]
		if strings.HasPrefix(path, "https://") {
			continue
		}
		if _, err := os.Stat(filepath.Join("..", "..", path)); err != nil {
			t.Errorf("the README names %s: %v", path, err)
		}
	}
}
