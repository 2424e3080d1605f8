package check_test

import (
	"testing"

	"github.com/slopstudios/slop/lang/check"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
	"github.com/slopstudios/slop/lang/syntax"
)

// Whatever a script says, the check ends, points at places that exist, and says in words what is wrong.
func FuzzCheck(f *testing.F) {
	for _, a := range langtest.Read(f, langtest.Folder) {
		f.Add(a.Main())
	}
	f.Add("a = a after a\nb = map a in b { b }")
	f.Add("x = loop v from x max 2 { stop if v\noutput v } else { output v }")
	scope := langtest.Scope()
	f.Fuzz(func(t *testing.T, text string) {
		file, _ := syntax.Parse(source.NewFile("main.slop", text))
		info, list := check.File(file, langtest.Files(scope, map[string]string{"main.slop": text}))
		if info == nil || info.Root == nil {
			t.Fatal("no info")
		}
		for _, d := range list {
			sound(t, d)
		}
	})
}

func sound(t *testing.T, d diag.Diagnostic) {
	t.Helper()
	inside := func(f *source.File, at source.Span) bool {
		return f != nil && 0 <= at.Start && at.Start <= at.End && at.End <= len(f.Text)
	}
	if d.Code == "" || d.Message == "" || !inside(d.File, d.Span) {
		t.Fatalf("not a diagnostic: %+v", d)
	}
	for _, r := range d.Related {
		if r.Message == "" || !inside(r.File, r.Span) {
			t.Fatalf("%s: %q points nowhere: %+v", d.Code, d.Message, r)
		}
	}
	if d.Fix != nil && !inside(d.File, d.Fix.Span) {
		t.Fatalf("%s: %q would change what is not there: %+v", d.Code, d.Message, d.Fix)
	}
}
