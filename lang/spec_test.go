package lang_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slopstudios/slop/lang"
	"github.com/slopstudios/slop/lang/diag"
	"github.com/slopstudios/slop/lang/langtest"
	"github.com/slopstudios/slop/lang/source"
)

const specFolder = "../testdata/spec"

// diagnose compiles the script of an archive and draws what is said about it.
func diagnose(a *langtest.Archive) (string, diag.List) {
	_, list := lang.Compile(source.NewFile("main.slop", a.Main()), langtest.Files(langtest.Scope(), a.Files))
	var b bytes.Buffer
	diag.Print(&b, list, false)
	return b.String(), list
}

// Every archive that says what is to be said about its script gets exactly that.
func TestDiagnostics(t *testing.T) {
	for _, a := range langtest.Read(t, specFolder) {
		_, expected := a.Part("out/diag")
		isDiag := strings.HasPrefix(a.Name(), "E")
		if !expected && !(isDiag && langtest.Golden()) {
			if isDiag {
				t.Errorf("%s has no out/diag; make golden writes it", a.Path)
			}
			continue
		}
		t.Run(a.Name(), func(t *testing.T) {
			got, list := diagnose(a)
			if isDiag {
				code, _, _ := strings.Cut(a.Name(), "-")
				if !hasCode(list, diag.Code(code)) {
					t.Errorf("%s does not provoke %s:\n%s", filepath.Base(a.Path), code, got)
				}
			}
			a.Expect(t, "out/diag", got)
		})
	}
}

func hasCode(list diag.List, code diag.Code) bool {
	for _, d := range list {
		if d.Code == code {
			return true
		}
	}
	return false
}

// An archive whose comment begins with a code shows exactly one diagnostic of it and no other, unless its name says "and": one root cause, one message.
func TestOneMistakeOneMessage(t *testing.T) {
	for _, a := range langtest.Read(t, specFolder) {
		if !strings.HasPrefix(a.Name(), "E01") || strings.Contains(a.Comment, "(several)") {
			continue
		}
		if got, list := diagnose(a); len(list) != 1 {
			t.Errorf("%s: %d messages for one mistake:\n%s", a.Name(), len(list), got)
		}
	}
}

// A fix that a machine may make leaves a script in which that mistake is gone.
func TestFixesMend(t *testing.T) {
	tried := 0
	for _, a := range langtest.Read(t, specFolder) {
		_, list := diagnose(a)
		for _, d := range list {
			if d.Fix == nil || d.File.Name != "main.slop" {
				continue
			}
			tried++
			text := a.Main()
			mended := text[:d.Fix.Span.Start] + d.Fix.Text + text[d.Fix.Span.End:]
			_, after := lang.Compile(source.NewFile("main.slop", mended), langtest.Files(langtest.Scope(), a.Files))
			for _, left := range after {
				if left.Code == d.Code && left.Message == d.Message && len(after) >= len(list) {
					t.Errorf("%s: the fix of %q does not mend it:\n%s", a.Name(), d.Message, mended)
				}
			}
		}
	}
	if tried < 10 {
		t.Errorf("only %d fixes were tried", tried)
	}
}
