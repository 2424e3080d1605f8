package sqlite_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/slopstudios/slop/runtime/store/sqlite"
)

// The room of what was removed goes back to the file system, while others write; what is left is whole.
func TestShrink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for i := range 64 {
		hash, err := s.PutBlob(t.Context(), bytes.Repeat([]byte(fmt.Sprint(i, " ")), 40_000))
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, hash)
	}
	for _, hash := range hashes[1:] {
		if err := s.DropBlob(t.Context(), hash, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	group.Go(func() {
		for i := range 50 {
			if _, err := s.PutBlob(t.Context(), fmt.Append(nil, "small ", i)); err != nil {
				t.Error(err)
			}
		}
	})
	freed, err := s.Shrink(t.Context())
	if err != nil || freed < 4<<20 {
		t.Errorf("%d bytes are free, %v", freed, err)
	}
	group.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 2<<20 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
	if s, err = sqlite.Open(t.Context(), sqlite.Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.GetBlob(t.Context(), hashes[0]); err != nil {
		t.Error(err)
	}
	for p, err := range s.Check(t.Context()) {
		t.Errorf("damaged: %+v %v", p, err)
	}
	if freed, err := s.Shrink(t.Context()); err != nil || freed > 1<<20 {
		t.Errorf("again: %d bytes, %v", freed, err)
	}
}
