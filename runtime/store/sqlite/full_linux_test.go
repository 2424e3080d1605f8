package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/slopstudios/slop/runtime/store/sqlite"
)

// A real disk that is full: it needs the right to mount one. Where it is missing, TestTheFileIsFull stands for it.
func TestTheDiskIsFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("this user may not mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "store.db")
	s := open(t, path)
	whenFull(t, s, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if got := problems(t, s); got != nil {
		t.Error(got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// breakSync puts /dev/null in the place of the write-ahead log in this process: writing goes well, and fsync fails.
func breakSync(t *testing.T, path string) {
	t.Helper()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	broken := 0
	for _, fd := range fds {
		if file, err := os.Readlink("/proc/self/fd/" + fd.Name()); err != nil || file != path+"-wal" {
			continue
		}
		n := 0
		if _, err := fmt.Sscan(fd.Name(), &n); err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup3(int(null.Fd()), n, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		broken++
	}
	if broken == 0 {
		t.Fatal("the log is not open")
	}
}

func TestAFailedSyncStopsTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	l, err := s.Create(t.Context(), "r", "me", 0, started("p"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	breakSync(t, path)
	first := s.Append(t.Context(), l, 1, timer(2, "a"))
	if first == nil || !strings.Contains(first.Error(), "the store "+path+" has stopped") {
		t.Fatalf("the append that was not synced: %v", first)
	}
	if err := s.Append(t.Context(), l, 1, timer(2, "a")); err == nil || err.Error() != first.Error() {
		t.Errorf("the next append: %v", err)
	}
	if _, err := s.Load(t.Context(), "r", 0); err == nil || err.Error() != first.Error() {
		t.Errorf("a read: %v", err)
	}
	if err := s.Enqueue(t.Context(), hint("r")); err == nil || err.Error() != first.Error() {
		t.Errorf("a hint: %v", err)
	}
	_ = s.Close()
	s, err = sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, s)
	if facts, err := s.Load(t.Context(), "r", 0); err != nil || len(facts) != 1 {
		t.Errorf("opened again: %d facts, %v", len(facts), err)
	}
}
