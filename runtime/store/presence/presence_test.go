package presence_test

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"github.com/slopstudios/slop/runtime/store/presence"
)

func open(t *testing.T, path string) *presence.Folder {
	t.Helper()
	f, err := presence.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDead(t *testing.T) {
	path := t.TempDir() + "/processes"
	here, elsewhere := open(t, path), open(t, t.TempDir())
	h, err := here.Announce()
	if err != nil {
		t.Fatal(err)
	}
	if open(t, path).Dead(h.Name) {
		t.Error("a process that holds its lock is taken for dead")
	}
	if elsewhere.Dead(h.Name) {
		t.Error("a folder judges a process that it knows nothing of")
	}
	for _, name := range []string{"", "..", "../" + h.Name, "id", h.Name[:16]} {
		if here.Dead(name) {
			t.Errorf("%q is taken for a dead process", name)
		}
	}
	h.Leave()
	if !here.Dead(h.Name) {
		t.Error("a process that left is not dead")
	}
}

// The lock of a process that was killed is free at once.
func TestKilled(t *testing.T) {
	if path := os.Getenv("SLOP_PRESENCE"); path != "" {
		h, err := open(t, path).Announce()
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString(h.Name + "\n")
		select {}
	}
	path := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), "SLOP_PRESENCE="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	name, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	name = name[:len(name)-1]
	f := open(t, path)
	if f.Dead(name) {
		t.Error("it lives and is taken for dead")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	if !f.Dead(name) {
		t.Error("it was killed and is taken for alive")
	}
}

// The number of a process is told to people who ask for its name.
func TestPID(t *testing.T) {
	f, err := presence.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h, err := f.Announce()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Leave()
	if got := f.PID(h.Name); got != os.Getpid() {
		t.Errorf("the process is %d, and not %d", got, os.Getpid())
	}
	for _, name := range []string{"", "somebody", "../id", h.Name + "x"} {
		if got := f.PID(name); got != 0 {
			t.Errorf("%q is said to be process %d", name, got)
		}
	}
}
