package process

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A number that now belongs to somebody else is not signalled.
func TestForeignProcessIsSpared(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	s, err := readStat(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	earlier := s
	earlier.born--
	signalExactly(earlier, unix.SIGKILL)
	// The tree of a root that had this number before: none of its marks fit the stranger.
	old := &tree{root: 1 << 30, born: s.born, token: []byte("none"), seen: map[int]uint64{s.pid: s.born - 1}}
	old.kill()
	if now, err := readStat(s.pid); err != nil || now.state == 'Z' {
		t.Errorf("the stranger was ended: %+v %v", now, err)
	}
	signalExactly(s, unix.SIGTERM)
	if err := cmd.Wait(); err == nil {
		t.Error("the process itself was not reached")
	}
}
