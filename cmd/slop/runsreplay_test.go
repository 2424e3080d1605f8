package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/slopstudios/slop/runtime/run"
	"github.com/slopstudios/slop/runtime/travel"
)

// A file that is whole and whose facts do not lead to the end it records is refused with another code than a damaged one.
func TestReplayOfADriftedFile(t *testing.T) {
	name := filepath.Join("..", "..", "testdata", "histories", "m1-chain.json")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	h, blobs, err := travel.Import(data)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	code := func(data []byte) int {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "run.json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := slopIn(t, dir, "runs", "replay", "run.json")
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			return failed.ExitCode()
		}
		return exitOK
	}
	if got := code(data); got != exitOK {
		t.Errorf("as it is: exit %d", got)
	}
	if got := code(data[:len(data)/2]); got != exitUsage {
		t.Errorf("one half of it: exit %d", got)
	}
	for i, f := range h.Facts {
		if done, ok := f.Body.(*run.CallDone); ok {
			other := *done
			other.Value = "something else"
			h.Facts[i].Body = &other
			break
		}
	}
	drifted, err := travel.Export(h, blobs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := code(drifted); got != exitFailed {
		t.Errorf("with another answer: exit %d", got)
	}
}
