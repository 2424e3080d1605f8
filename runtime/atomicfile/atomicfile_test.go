package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/slopstudios/slop/runtime/atomicfile"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path, aside := filepath.Join(folder, "a"), filepath.Join(folder, "aside")
	if err := os.WriteFile(aside, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(aside, path); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "", "three"} {
		if err := atomicfile.Write(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%q, %v; not %q", got, err, want)
		}
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode() != fs.FileMode(0o644) {
		t.Errorf("it is %v, %v", info.Mode(), err)
	}
	if got, _ := os.ReadFile(aside); string(got) != "untouched" {
		t.Errorf("what the link led to is %q", got)
	}
}

// A failure leaves nothing behind.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "a")
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("x"), 0o644); err == nil {
		t.Error("a folder was replaced")
	}
	if err := atomicfile.Write(filepath.Join(folder, "none", "a"), nil, 0o644); err == nil {
		t.Error("a folder was made")
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}
