package langtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Folder is where the archives are, from the folder of a package two levels below the project's.
const Folder = "../../testdata/spec"

// Golden reports whether this run of the tests rewrites what they expect (make golden).
func Golden() bool { return os.Getenv("SLOP_GOLDEN") != "" }

// Archive is a script with what belongs to it and what is expected of it.
type Archive struct {
	Path    string
	Comment string            // what it shows
	Files   map[string]string // main.slop, and what it uses
	parts   *txtar.Archive
}

// Main is the script.
func (a *Archive) Main() string { return a.Files["main.slop"] }

// Name is the name of the file without its ending.
func (a *Archive) Name() string { return strings.TrimSuffix(filepath.Base(a.Path), ".txtar") }

// Part is a part of the archive by its name, such as out/diag.
func (a *Archive) Part(name string) (string, bool) {
	for _, f := range a.parts.Files {
		if f.Name == name {
			return string(f.Data), true
		}
	}
	return "", false
}

// Read reads the archives of a folder, in order of their names.
func Read(t testing.TB, folder string) []*Archive {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	list := make([]*Archive, 0, len(paths))
	for _, p := range paths {
		parts, err := txtar.ParseFile(p)
		if err != nil {
			t.Fatal(err)
		}
		a := &Archive{Path: p, Comment: strings.TrimSpace(string(parts.Comment)), Files: map[string]string{}, parts: parts}
		for _, f := range parts.Files {
			if strings.HasSuffix(f.Name, ".slop") || strings.HasSuffix(f.Name, ".txt") {
				a.Files[f.Name] = string(f.Data)
			}
		}
		list = append(list, a)
	}
	return list
}

// Expect compares what was got with a part of the archive, or, when golden files are rewritten, puts it there.
// Several packages rewrite parts of one archive in turn, so the file is read again before it is written.
func (a *Archive) Expect(t testing.TB, part, got string) {
	t.Helper()
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	want, ok := a.Part(part)
	if ok && want == got {
		return
	}
	if !Golden() {
		if !ok {
			t.Errorf("%s has no part %s; make golden writes it. Got:\n%s", a.Path, part, got)
			return
		}
		t.Errorf("%s: %s\n--- want\n%s--- got\n%s", a.Path, part, want, got)
		return
	}
	fresh, err := txtar.ParseFile(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for i := range fresh.Files {
		if fresh.Files[i].Name == part {
			fresh.Files[i].Data, found = []byte(got), true
		}
	}
	if !found {
		fresh.Files = append(fresh.Files, txtar.File{Name: part, Data: []byte(got)})
	}
	if err := os.WriteFile(a.Path, txtar.Format(fresh), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Standard reads a flow that comes with the language from the folder of the project, which is where the tests of the language find it: lang knows nothing of
// stdlib, where it is part of the program. ok is false when the name is that of another flow.
func Standard(project, use string) (name, text string, ok bool) {
	own, ok := strings.CutPrefix(use, "std/")
	if !ok {
		return "", "", false
	}
	body, err := os.ReadFile(filepath.Join(project, "stdlib", "flows", own+".slop"))
	return use, string(body), err == nil
}
